"""Random calls of all the queue's scripts by some workers and clients, side by
side with a model of what must come of them.

The model is told what each call answered and knows nothing of the keys; the
checker (pitscripts.check) knows the keys and nothing of the calls.
"""

import random

from pitscripts import Queue, check, done, done_all, ended, job

CHECK_EVERY = 25
CRASHES, LOST = 3, 4


class Known:
    """What the model knows of one job."""

    def __init__(self, expires):
        self.expires = expires  # ms, 0: never
        self.token = None       # of the present attempt
        self.deadline = 0
        self.ran = False
        self.crashes = self.lost = 0
        self.end = None         # done, dead or quarantined

    def places(self, now):
        """Where it may be; None: forgotten."""
        if self.end == "quarantined":
            return {"quarantined"}
        if self.end:
            return {self.end, None}
        if self.token:
            return {"leased"}
        found = {"ready", "retrying" if self.ran else "due"}
        if self.expires and self.expires <= now:
            found |= {"done", None}
        return found


class History:
    def __init__(self, client, seed):
        self.rng = random.Random(seed)
        self.client = client
        self.queue = Queue(client)
        self.known = {}         # id -> Known
        self.serial = 0
        self.workers = {}       # name -> [number of the next token, claims]
        self.born = 0
        for _ in range(4):
            self.hire()
        self.log = []           # the last calls, for a failure's message

    # --- workers ---------------------------------------------------------

    def hire(self):
        self.born += 1
        self.workers[f"w{self.born}"] = [0, []]

    def crash_a_worker(self):
        """It forgets what it held; its leases run out."""
        del self.workers[self.rng.choice(list(self.workers))]
        self.hire()

    def finish_of(self, claimed):
        how = self.rng.choice("ssssSSfftcxr")
        keep = self.rng.choice([0, 1, 20, 60000])
        if how in "sS":
            return how, done(claimed, keep, "[1]" if how == "S" else None)
        delay = self.rng.choice([-1, 0, 3, 40]) if how in "ft" else None
        return how + ("-" if delay == -1 else ""), ended(how, claimed, delay,
                                                         keep)

    def settle(self, local, how):
        """A finish that was taken."""
        one = self.known[local]
        one.token, one.ran = None, True
        if how in ("s", "S", "x"):
            one.end = "done"
        elif how in ("f-", "t-"):
            one.end = "dead"
        elif how == "c":
            one.crashes += 1
            if one.crashes == CRASHES:
                one.end = "quarantined"

    def reap(self, now):
        for one in self.known.values():
            if one.token and one.deadline <= now:
                one.token = None
                one.lost += 1
                if one.lost == LOST:
                    one.end = "quarantined"

    def work(self, claim=None, drain=False):
        rng = self.rng
        name = rng.choice(list(self.workers))
        worker = self.workers[name]
        if claim is None:
            claim = rng.choice([0, 1, 1, 2, 5, 20])
        lease = rng.choice([2, 10, 50, 15000])
        rng.shuffle(worker[1])
        n = len(worker[1]) if drain else rng.randrange(len(worker[1]) + 1)
        ending, worker[1] = worker[1][:n], worker[1][n:]
        if ending and rng.random() < 0.1:
            ending.append(rng.choice(ending))  # twice in one call
        if rng.random() < 0.3:
            hows, finishes = ["s"] * len(ending), [done_all(ending, 30)]
        else:
            pairs = [self.finish_of(claimed) for claimed in ending]
            hows = [how for how, _ in pairs]
            finishes = [finish for _, finish in pairs]
        work = self.queue.work(claim=claim, lease=lease, worker=name,
                               first=worker[0], crashes=CRASHES, lost=LOST,
                               finishes=finishes if ending else ())
        self.log.append(("work", name, claim, lease, hows,
                         [claimed.id for claimed in ending], work))
        worker[0] += claim
        stale = []
        for how, claimed in zip(hows, ending):
            if self.known[claimed.id].token == claimed.token:
                self.settle(claimed.id, how)
            else:
                stale.append(claimed.token)
        assert work.stale == stale, f"stale {work.stale}, expected {stale}"
        self.reap(work.now)
        assert len(work.claimed) <= claim
        for claimed in work.claimed:
            one = self.known[claimed.id]
            assert not one.token and not one.end, f"{claimed} was not waiting"
            assert bool(claimed.again) == one.ran, claimed
            assert not one.expires or one.expires > work.now, claimed
            one.token, one.ran = claimed.token, True
            one.deadline = work.now + lease
            worker[1].append(claimed)

    def blocked_worker(self):
        """BLPOP on wake, which answers at once or not at all here."""
        if self.client.lpop(self.queue.key("wake")):
            self.work(claim=self.rng.choice([1, 3, 10]))

    # --- other verbs -----------------------------------------------------

    def spec(self, local):
        rng = self.rng
        options, expires = "", 0
        if rng.random() < 0.15:
            expires = self.queue.now() + rng.choice([-5, 5, 60, 60000])
            options = f" e{expires} k{rng.choice([0, 10, 60000])}"
        where = rng.choice([None, None, None, "+0", "+5", "+30",
                            f"@{self.queue.now() + 10}", "@1"])
        return expires, job(local, rng.randrange(10), options=options,
                            flag="+" if expires else "-", where=where)

    def enqueue(self):
        rng = self.rng
        mode = rng.choice(["fresh", "fresh", "named", "all"])
        ids = []
        for _ in range(rng.choice([1, 1, 2, 8])):
            if mode != "fresh" and self.serial and rng.random() < 0.2:
                ids.append(f"id-{rng.randrange(self.serial)}")
            else:
                ids.append(f"id-{self.serial}")
                self.serial += 1
        if mode != "fresh" and rng.random() < 0.1:
            ids.append(ids[0])
        specs = [self.spec(local) for local in ids]
        reply = self.queue.enqueue(*[one for _, one in specs], mode=mode)
        self.log.append(("enqueue", mode, ids, reply[1:]))
        new = [self.is_new(ids, at) for at in range(len(ids))]
        stored = all(new) if mode == "all" else any(new)
        assert reply[0] == int(stored and not self.known), reply
        if mode != "fresh":
            assert [outcome == 1 for outcome in reply[1:]] == new, reply
        if mode == "all" and not all(new):
            return
        for (expires, one), fresh in zip(specs, new):
            if fresh:
                self.known[one.id] = Known(expires)

    def is_new(self, ids, at):
        return ids[at] not in self.known and ids[at] not in ids[:at]

    def renew(self):
        held = [claimed for _, claims in self.workers.values()
                for claimed in claims]
        some = self.rng.sample(held, min(len(held), self.rng.randrange(1, 9)))
        if not some:
            return
        lost = self.queue.renew(*some, lease=self.rng.choice([1, 20, 5000]))
        self.log.append(("renew", [one.token for one in some], lost))
        expected = []
        for claimed in some:
            one = self.known[claimed.id]
            if one.token == claimed.token:
                deadline = self.client.zscore(self.queue.key("leased"),
                                              claimed.entry)
                assert deadline >= one.deadline, "a deadline moved back"
                one.deadline = deadline
            else:
                expected.append(claimed.token)
        assert lost == expected, f"lost {lost}, expected {expected}"

    def progress(self):
        for _, claims in self.workers.values():
            if claims:
                claimed = self.rng.choice(claims)
                taken = self.queue.progress(claimed, "0.5")
                assert taken == (self.known[claimed.id].token ==
                                 claimed.token), claimed

    def look(self):
        if not self.known:
            return
        local = self.rng.choice(list(self.known))
        view = self.queue.get(local)
        assert view is not None, f"{local} was never heard of"
        ending = self.queue.wait(local, f"ch{self.rng.randrange(3)}")
        one = self.known[local]
        if ending == 0:
            assert one.end is None and view != "gone", local
        self.queue.counts()

    def settings(self):
        meta = self.queue.key("meta")
        if self.rng.random() < 0.5:
            self.client.hset(meta, "paused", "1")
            return
        self.client.hset(meta, mapping={
            "paused": "0", "done_max": self.rng.choice([0, 20, 100000]),
            "dead_max": self.rng.choice([5, 10000])})
        # Whoever resumes a queue wakes its workers.
        if not self.client.exists(self.queue.key("wake")):
            self.client.rpush(self.queue.key("wake"), "1")

    # --- a run -----------------------------------------------------------

    def check(self):
        places = check(self.queue)
        now = self.queue.now()
        for local, one in self.known.items():
            assert places.get(local) in one.places(now), (
                f"{local} is in {places.get(local)}, not in "
                f"{one.places(now)}")
        assert set(places) <= set(self.known), set(places) - set(self.known)
        stats = self.queue.stats()
        assert stats.get("enqueued", 0) == len(self.known), stats
        gone = self.client.zcard(self.queue.key("gone"))
        assert gone == min(len(self.known) - len(places), 10000), (
            f"{gone} are gone of {len(self.known) - len(places)}")

    def run(self, calls):
        verbs = [(self.work, 40), (self.enqueue, 25), (self.blocked_worker, 10),
                 (self.renew, 8), (self.progress, 5), (self.look, 8),
                 (self.settings, 3), (self.crash_a_worker, 1)]
        functions, weights = zip(*verbs)
        for n in range(calls):
            self.rng.choices(functions, weights)[0]()
            if n % CHECK_EVERY == 0:
                self.check()

    def drain(self):
        """Everything ends within a bound."""
        self.client.delete(self.queue.key("meta"))
        for _ in range(20000):
            self.work(claim=20, drain=True)
            left = self.queue.counts()
            if left.ready + left.due + left.retrying + left.leased == 0:
                return
            if left.ready + left.due + left.retrying == 0:
                # Nobody holds these any more: their leases run out, now.
                for entry, _ in self.client.zrange(
                        self.queue.key("leased"), 0, -1, withscores=True):
                    self.client.zadd(self.queue.key("leased"), {entry: 1})
                    self.known[entry[1:]].deadline = 1
        raise AssertionError(f"not drained: {left}")
