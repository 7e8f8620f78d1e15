"""Random histories of jobs with options by several workers that crash: no lock,
marker or count goes stale, no limit is exceeded, and all ends.

The checker (pitscripts.check, pitoptions.check) looks after every few calls. A
run is repeated by its seed: PIT_TEST_SEED=123 (times are real, so leases may run
out at other moments)."""

import os
import random
import unittest

from pitscripts import Queue, check, done, ended, job, random_history

CALLS = int(os.environ.get("PIT_TEST_CALLS", "2000"))
KEYS = "abc"
LIMITS = ["1,0,0,a", "3,0,0,b", "0,1,30,c", "2,2,240,d"]


class History:
    def __init__(self, client, seed):
        self.rng = random.Random(seed)
        self.queue = Queue(client)
        self.serial = 0
        self.held = []  # claims that somebody works on
        self.seen = set()
        self.log = []

    def options(self):
        rng = self.rng
        words = ""
        if rng.random() < 0.1:
            words += f" e{self.queue.now() + rng.choice([-5, 5, 60000])}"
        words += rng.choice(["", " k0", " k20"])
        if rng.random() < 0.5:
            hold = rng.choice("wre")
            ttl = rng.choice([1, 30]) if hold == "e" else rng.choice([0, 0, 20])
            words += f" u{hold},{ttl},{rng.choice(KEYS)}"
        if rng.random() < 0.6:
            words += f" l{rng.choice(LIMITS)}"
        if rng.random() < 0.2:
            words += " cSD,http://x"
        if rng.random() < 0.2:
            words += " oq.child"
        return words

    def enqueue(self):
        rng = self.rng
        jobs = []
        for _ in range(rng.choice([1, 1, 3, 8])):
            self.serial += 1
            options = self.options()
            asks = any(f" {letter}" in options for letter in "eulco")
            jobs.append(job(f"id-{self.serial}", rng.randrange(10),
                            options=options, flag="+" if asks else "-",
                            where=rng.choice([None, None, "+0", "+20", "@1"]),
                            conflict=rng.choice("rtp")))
        mode = rng.choice(["fresh", "named", "all"])
        reply = self.queue.enqueue(*jobs, mode=mode)
        self.log.append((mode, [(one.id, one.record, one.conflict)
                                for one in jobs], reply))
        self.seen |= {one.id for one in jobs}

    def work(self, claim=None):
        rng = self.rng
        rng.shuffle(self.held)
        n = rng.randrange(len(self.held) + 1)
        ending, self.held = self.held[:n], self.held[n:]
        finishes = []
        for claimed in ending:
            how = rng.choice("sssSSfftcxr")
            keep = rng.choice([0, 20, 60000])
            if how in "sS":
                finishes.append(done(claimed, keep, "1" if how == "S" else None))
            else:
                finishes.append(ended(how, claimed, rng.choice([-1, 0, 9]),
                                      keep))
        work = self.queue.work(
            claim=rng.choice([0, 1, 5, 20]) if claim is None else claim,
            lease=rng.choice([5, 40, 15000]), crashes=3, lost=4,
            finishes=finishes)
        self.log.append(("work", finishes, work.stale, work.claimed))
        self.held += work.claimed
        # Those of a crashed worker are not heard of again.
        if rng.random() < 0.02:
            self.held = []

    def control(self):
        local = f"id-{self.rng.randrange(1, self.serial + 2)}"
        verb = self.rng.choice(["cancel", "cancel", "retry", "promote",
                                "release", "delete", "edit"])
        words = {"cancel": [5, '"no"'],
                 "edit": [self.rng.choice(["", str(self.queue.now() + 9)]),
                          self.rng.choice(["", "3"])]}.get(verb, [])
        self.log.append((verb, local, self.queue.control(verb, local, *words)))

    def renew(self):
        if self.held:
            self.queue.renew(*self.held[:20], lease=50)

    def settings(self):
        meta = self.queue.key("meta")
        self.queue.client.delete(meta)
        if self.rng.random() < 0.4:
            self.queue.client.hset(meta, mapping=self.rng.choice([
                {"concurrency": 4}, {"rate": "30/100"}, {"len_max": 100000},
                {"bytes_max": 10**9}, {"watched": self.queue.now() + 300}]))
        if not self.queue.client.exists(self.queue.key("wake")):
            self.queue.client.rpush(self.queue.key("wake"), "1")

    def check(self):
        # A limit of the queue may hold up what is ready: nobody need be woken.
        check(self.queue, token=not self.queue.client.exists(
            self.queue.key("meta")))

    def run(self, calls):
        verbs = [(self.work, 40), (self.enqueue, 25), (self.control, 15),
                 (self.renew, 5), (self.settings, 2)]
        functions, weights = zip(*verbs)
        for n in range(calls):
            self.rng.choices(functions, weights)[0]()
            if n % 15 == 0:
                self.check()

    def drain(self):
        client, key = self.queue.client, self.queue.key
        client.delete(key("meta"))
        for _ in range(5000):
            client.delete(key("rates"))
            work = self.queue.work(claim=20, finishes=[
                done(claimed, 0) for claimed in self.held])
            self.held = work.claimed
            counts = self.queue.counts()
            if not (counts.ready + counts.due + counts.retrying +
                    counts.leased):
                return
            if not self.held:  # nobody holds these any more
                for name in ("leased", "retrying", "due"):
                    for entry in client.zrange(key(name), 0, -1):
                        client.zadd(key(name), {entry: 1})
        raise AssertionError(f"not drained: {counts}")


class RandomHistory(unittest.TestCase):
    def test_nothing_goes_stale(self):
        with random_history(History, CALLS) as history:
            queue = history.queue
            for name in ("running", "turns"):
                self.assertFalse(queue.client.exists(queue.key(name)), name)
            stats = queue.stats()
            self.assertEqual(stats.get("held", 0), 0)
            for name in ("rubbish", "skipped"):
                self.assertEqual(stats.get(name, 0), 0, stats)
            for name in ("succeeded", "cancelled", "expired", "lost", "dead",
                         "keyed"):
                self.assertGreater(stats.get(name, 0), 0, stats)


if __name__ == "__main__":
    unittest.main()
