"""Random histories of limit keys: nobody starves, no limit is exceeded, no marker is
lost or doubled.

Beside the checker, which looks for lost markers and counts what runs, each start is
judged: by the rate of its key, and by whose turn it was. A run is repeated by its
seed: PIT_TEST_SEED=123 (times are real, so rates may allow other starts)."""

import collections
import math
import os
import random
import unittest

from pitscripts import Queue, check, done, ended, job, random_history

CALLS = int(os.environ.get("PIT_TEST_CALLS", "2500"))
PRIORITIES = (2, 5, 8)
BURST_MS, LATE_MS = 100, 50  # shared/queue/scripts/include/rate.lua


class Key:
    """A limit key and what is known of its starts."""

    def __init__(self, rng, name):
        self.name = name
        kind = rng.choice(("fair", "fair", "running", "rate", "both"))
        self.most = rng.choice((1, 2, 5)) if kind in ("running", "both") else 0
        self.rate, self.period = rng.choice(
            ((1, 20), (5, 100), (400, 1000))) if kind in ("rate", "both") else (
                0, 0)
        self.starts = []  # Redis' ms
        self.waits = {}  # priority -> ids
        # priority -> other key -> its starts since this one's last
        self.passed = {p: collections.Counter() for p in PRIORITIES}

    @property
    def free(self):
        return not (self.most or self.rate)

    def option(self):
        return f" l{self.most},{self.rate},{self.period},{self.name}"

    def check_rate(self):
        """GCRA's promise for every pair of starts."""
        if not self.rate:
            return
        step = self.period / self.rate
        ahead = (max(1, math.floor(BURST_MS / step)) - 1) * step
        late = min(step / 2, LATE_MS) if ahead == 0 else 0
        for i, begin in enumerate(self.starts):
            for n, at in enumerate(self.starts[i:], 1):
                may = (at - begin + 1 + late + ahead) / step + 1
                if n > may + 1e-6:
                    raise AssertionError(
                        f"{n} starts of {self.name} ({self.rate} in "
                        f"{self.period} ms) within {at - begin} ms")


class History:
    def __init__(self, client, seed):
        self.rng = random.Random(seed)
        self.queue = Queue(client)
        self.keys = [Key(self.rng, f"k{n}") for n in range(12)]
        self.by_name = {key.name: key for key in self.keys}
        self.serial = 0
        self.job_of = {}  # id -> [Key, priority]
        self.held = []

    def enqueue(self):
        rng = self.rng
        jobs = []
        crowd = rng.choice(self.keys)
        for _ in range(rng.choice((1, 3, 20))):
            key = crowd if rng.random() < 0.6 else rng.choice(self.keys)
            self.serial += 1
            local, priority = f"id{self.serial}", rng.choice(PRIORITIES)
            jobs.append(job(local, priority, options=key.option(), flag="+"))
            self.job_of[local] = [key, priority]
            self.waits(key, priority).add(local)
        self.queue.enqueue(*jobs)

    def waits(self, key, priority):
        return key.waits.setdefault(priority, set())

    def started(self, claimed, now):
        key, priority = self.job_of[claimed.id]
        self.waits(key, priority).discard(claimed.id)
        key.starts.append(now)
        key.passed[priority].clear()
        for other in self.keys:
            if other is key or not other.free:
                continue
            if not other.waits.get(priority):
                other.passed[priority].clear()
                continue
            other.passed[priority][key.name] += 1
            if other.passed[priority][key.name] > 2:
                raise AssertionError(
                    f"{key.name} had three turns while {other.name} waited, "
                    f"priority {priority}")

    def work(self):
        rng = self.rng
        rng.shuffle(self.held)
        n = rng.randrange(len(self.held) + 1)
        ending, self.held = self.held[:n], self.held[n:]
        finishes, again = [], []
        for claimed in ending:
            how = rng.choice("sssssfcrx")
            finishes.append(done(claimed, 0) if how == "s" else
                            ended(how, claimed, 0, 0))
            if how in "fcr":
                again.append(claimed.id)
        for local in again:
            key, priority = self.job_of[local]
            self.waits(key, priority).add(local)
        work = self.queue.work(claim=rng.choice((0, 1, 4, 20, 64)), crashes=99,
                               finishes=finishes)
        if work.stale:
            raise AssertionError(f"stale: {work.stale}")
        for claimed in work.claimed:
            self.started(claimed, work.now)
        self.held += work.claimed

    def control(self):
        if not self.job_of:
            return
        local = self.rng.choice(list(self.job_of))
        key, priority = self.job_of[local]
        if local not in self.waits(key, priority):
            return
        verb = self.rng.choice(("delete", "edit"))
        to = self.rng.choice(PRIORITIES)
        words = ["", str(to)] if verb == "edit" else []
        reply = self.queue.control(verb, local, *words)
        if reply[0] != "done":
            return
        self.waits(key, priority).discard(local)
        if verb == "edit":
            self.job_of[local][1] = to
            self.waits(key, to).add(local)

    def check(self):
        check(self.queue, token=False)

    def run(self, calls):
        verbs = (self.work, self.enqueue, self.control)
        for n in range(calls):
            # Now more comes than goes, now less.
            more = 50 if n // 200 % 2 else 10
            self.rng.choices(verbs, (60, more, 10))[0]()
            if n % 20 == 0:
                self.check()
        for key in self.keys:
            key.check_rate()

    def drain(self):
        for _ in range(20000):
            work = self.queue.work(claim=64, finishes=[
                done(claimed, 0) for claimed in self.held])
            for claimed in work.claimed:
                self.started(claimed, work.now)
            self.held = work.claimed
            counts = self.queue.counts()
            if not (counts.ready + counts.due + counts.retrying +
                    counts.leased):
                return
            if not self.held:  # the rates are kept as long as it runs; no more
                self.queue.client.delete(self.queue.key("rates"))
                self.queue.client.zadd(self.queue.key("due"), {
                    entry: 1 for entry, _ in self.queue.client.zscan_iter(
                        self.queue.key("due"))} or {"x": 1})
                self.queue.client.zrem(self.queue.key("due"), "x")
        raise AssertionError(f"not drained: {counts}")


class FairHistory(unittest.TestCase):
    def test_turns_limits_and_markers(self):
        with random_history(History, CALLS) as history:
            queue = history.queue
            for name in ("running", "turns", "stale"):
                self.assertFalse(queue.client.exists(queue.key(name)), name)
            stats = queue.stats()
            self.assertEqual(stats.get("held", 0), 0, stats)
            self.assertEqual(stats.get("rubbish", 0), 0, stats)
            self.assertGreater(sum(len(key.starts) for key in history.keys),
                               CALLS)


if __name__ == "__main__":
    unittest.main()
