"""The model: what a job is, and what each verb of the queue makes of it.

It knows nothing of Redis: no keys, no entries, no markers. Where the queue has a
choice (which of the jobs that may run it hands out, when it forgets what is past
its time) the model is told what was chosen and says whether that was allowed.
A rule of docs/ that is not in here is not checked.
"""

import dataclasses
import typing

CRASHES, LOST = 2, 2  # that quarantine
STEP = 5000           # ms: a clock that is set by more is noticed
KEEP_STANDARD = 3600000
ENDED = "SCX"


class Wrong(AssertionError):
    """The queue did what the model does not allow."""


def expect(condition, *what):
    if not condition:
        raise Wrong(" ".join(str(word) for word in what))


@dataclasses.dataclass(frozen=True)
class Spec:
    """What is enqueued. The times are ms."""
    priority: int = 5
    delay: int = 0
    expires: int = 0            # a time, 0: never
    keep: int = KEEP_STANDARD
    unique: typing.Optional[tuple] = None   # (while letter, ttl, key)
    conflict: str = "r"                     # r, t or p
    limit: typing.Optional[tuple] = None    # (concurrency, key, rate or "")
    parents: typing.Optional[tuple] = None  # (how many, policy)
    children: tuple = ()                    # local ids that hear of its end


@dataclasses.dataclass
class Job:
    id: str
    spec: Spec
    place: str = "ready"  # due retrying blocked leased dead done quarantined
    code: str = ""        # of its state; "": never claimed
    priority: int = 5
    at: int = 0           # due, retrying: when; leased: the deadline
    line: int = 0         # ready: its place in the line of its priority
    token: str = ""
    attempt: int = 0
    retries: int = 0
    crashes: int = 0
    lost: int = 0
    until: int = 0        # done: when it may be forgotten
    cancelled: bool = False

    @property
    def entry(self):
        return f"{self.priority}{self.id}"

    @property
    def waits(self):
        return self.place in ("ready", "due", "retrying", "blocked")


class Model:
    def __init__(self, now):
        self.now = self.latest = now
        self.seen = None     # what the queue says: when it was worked last
        self.jobs = {}
        self.gone = set()
        self.locks = {}      # key -> (id, until or None)
        self.children = {}   # id -> [ids], attached
        self.inputs = {}     # id of a child -> {parent: code}
        self.stops = set()   # children that were to be stopped before they came
        self.outbox = []     # (to, from, code); (first, "flow", a flow's jobs)
        self.flows = {}      # id -> [left, failed, {id of a job: code}]
        self.paused = self.closed = False
        self.len_max = self.concurrency = self.done_max = None
        self.front, self.back = 0, 0  # of all lines

    # --- lines and locks -------------------------------------------------

    def to_line(self, job, first=False):
        job.place, job.at = "ready", 0
        if first:
            self.front -= 1
            job.line = self.front
        else:
            self.back += 1
            job.line = self.back

    def holder(self, key):
        """Who holds the key, or None when it is free."""
        if key not in self.locks:
            return None
        local, until = self.locks[key]
        if until is not None:
            return local if self.lasts(until) else None
        return local if local in self.jobs else None

    def lasts(self, until):
        """Has that time not come, neither by a clock that was set back since?"""
        return until > self.now and (not self.was_set_back() or
                                     until > self.seen)

    def lock(self, job):
        if job.spec.unique:
            hold, ttl, key = job.spec.unique
            until = self.now + ttl if hold != "e" and ttl else None
            self.locks[key] = (job.id, until)

    def unlock(self, job, for_good=False):
        """It leaves the while of its key."""
        if not job.spec.unique:
            return
        hold, ttl, key = job.spec.unique
        if self.locks.get(key, (None,))[0] != job.id:
            return
        if hold == "e" and not for_good:
            self.locks[key] = (job.id, self.now + ttl)
        else:
            del self.locks[key]

    def running(self, key):
        return sum(job.place == "leased" and job.spec.limit is not None and
                   job.spec.limit[1] == key for job in self.jobs.values())

    def leased(self):
        return [job for job in self.jobs.values() if job.place == "leased"]

    def set_clock(self, now):
        """It may go back. A lock that its time has ended may be gone for good by
        then, or hold again: both are fine, see lock_seen()."""
        self.now = now
        self.latest = max(self.latest, now)

    def was_set_back(self):
        return self.seen is not None and self.now < self.seen - STEP

    def work_clock(self, expected, lease):
        """What a call of work does first. @expected: what its caller expects
        the clock to show, or None."""
        if self.was_set_back():
            far = self.now - self.seen
            for job in self.jobs.values():
                if job.place == "leased":
                    job.at = max(job.at + far, min(job.at, self.now + lease))
                elif job.place == "retrying":
                    job.at += far
            for key, (local, until) in self.locks.items():
                if until is not None:
                    self.locks[key] = local, until + far
            self.latest = self.now
        elif expected is not None and self.seen is not None:
            ahead = self.now - expected
            if ahead > min(STEP, lease / 3) and \
                    self.now - self.seen >= ahead - 1000:
                for job in self.leased():
                    job.at = max(job.at + (ahead if job.at < self.now else 0),
                                 self.now + lease)

    def lock_seen(self, key, there, holder):
        """The queue has something @there for @key, and by that @holder has it: is
        that allowed?"""
        local, until = self.locks.get(key, (None, None))
        if not there and until is not None and until <= self.latest:
            self.locks.pop(key)
        return holder == self.holder(key)

    # --- ends ------------------------------------------------------------

    def tell_children(self, job, code):
        for child in job.spec.children + tuple(self.children.pop(job.id, ())):
            self.outbox.append((child, job.id, code))

    def forget(self, job):
        del self.jobs[job.id]
        self.gone.add(job.id)

    def end(self, job, code):
        job.code, job.cancelled = code, False
        self.unlock(job)
        self.tell_children(job, code)
        if job.spec.parents:
            self.inputs.pop(job.id, None)
        if code == "D":
            job.place = "dead"
        elif job.spec.keep == 0:
            self.forget(job)
        else:
            job.place, job.until = "done", self.now + job.spec.keep

    def quarantine(self, job):
        job.place, job.code = "quarantined", "Q"
        self.unlock(job)

    # --- enqueue ---------------------------------------------------------

    def begin(self, job):
        """Where a job that is stored begins."""
        if job.spec.parents:
            count, policy = job.spec.parents
            if policy == "s" and job.id in self.stops:
                self.stops.discard(job.id)
                self.end(job, "C")
                return
            if len(self.inputs.get(job.id, ())) < count:
                job.place = "blocked"
                return
        self.begin_now(job)

    def begin_now(self, job):
        if job.spec.delay:
            job.place, job.at = "due", self.now + job.spec.delay
        else:
            self.to_line(job)

    def enqueue(self, mode, jobs, taken=None):
        """[(id, Spec)]; the outcomes, or "FULL", "CLOSED" as an error."""
        if mode == "all":
            return self.enqueue_all(jobs)
        busy = ("leased", "done", "dead", "quarantined")
        room = float("inf") if self.len_max is None else self.len_max - sum(
            job.place not in busy for job in self.jobs.values())
        outcomes, stored = [], []
        for local, spec in jobs:
            key = spec.unique and spec.unique[2]
            # All or nothing: what one of this call took stands, even if that
            # one ends at once.
            own = taken.get(key) if key and taken is not None else None
            holder = own or (self.holder(key) if key else None)
            if mode != "fresh" and (local in self.jobs or local in self.gone):
                outcomes.append("there" if local in self.jobs else 0)
                continue
            if holder and (own or not (spec.conflict == "p" and
                                       self.jobs.get(holder) and
                                       self.jobs[holder].waits)):
                outcomes.append(f"={holder}")
            elif self.closed:
                outcomes.append(-2)
            elif room < 1 and not holder:
                outcomes.append(-1)
            else:
                if holder:
                    room += 1
                    self.end(self.jobs[holder], "C")
                room -= 1
                job = Job(local, spec, priority=spec.priority)
                self.jobs[local] = job
                self.lock(job)
                stored.append(job)
                if key and taken is not None:
                    taken[key] = local
                self.begin(job)
                outcomes.append(f"~{holder}" if holder else 1)
        if not stored and outcomes and set(outcomes) <= {-1, -2}:
            return "CLOSED" if self.closed else "FULL"
        return outcomes

    def enqueue_all(self, jobs):
        """All of them or none: what stands in any one's way is looked for
        first."""
        busy = ("leased", "done", "dead", "quarantined")
        room = float("inf") if self.len_max is None else self.len_max - sum(
            job.place not in busy for job in self.jobs.values())
        outcomes, taken, refused, full = [], {}, False, False
        for local, spec in jobs:
            key = spec.unique and spec.unique[2]
            first = taken.get(key) if key else None
            holder = first or (self.holder(key) if key else None)
            if local in self.jobs or local in self.gone:
                outcomes.append("there" if local in self.jobs else 0)
                refused = True
                continue
            if holder and (first or not (
                    spec.conflict == "p" and self.jobs.get(holder) and
                    self.jobs[holder].waits)):
                outcomes.append(f"={holder}")
                refused |= spec.conflict != "t"
                continue
            if self.closed or (room < 1 and not holder):
                outcomes.append(1)
                full = True
                continue
            taken[key] = local
            room -= 1
            outcomes.append(1)
        if refused:
            return outcomes
        if full:
            return "CLOSED" if self.closed else "FULL"
        return self.enqueue("named", jobs, {})

    @staticmethod
    def is_plain(spec):
        return not (spec.expires or spec.unique or spec.limit or spec.parents
                    or spec.children)

    # --- work ------------------------------------------------------------

    def finish(self, local, token, how, delay):
        """One end of an attempt; False when it was refused."""
        job = self.jobs.get(local)
        if not job or job.place != "leased" or job.token != token:
            return False
        if how in "sS":
            self.end(job, "S")
        elif how == "x" or job.cancelled:
            self.end(job, "C")
        elif how in "ft" and delay < 0:
            self.end(job, "D")
        elif how in "ft":
            job.retries += 1
            job.place, job.code, job.at = "retrying", "W", self.now + delay
        elif how == "c":
            job.crashes += 1
            if job.crashes >= CRASHES:
                self.quarantine(job)
            else:
                self.again(job)
        else:
            job.attempt -= 1
            self.again(job)
        return True

    def again(self, job):
        job.code = "W"
        self.to_line(job, first=True)

    def reap(self):
        late = sorted((job.at, job.entry, job) for job in self.leased()
                      if job.at <= self.now)
        for _, _, job in late:
            job.lost += 1
            if job.cancelled:
                self.end(job, "C")
            elif job.lost >= LOST:
                self.quarantine(job)
            else:
                self.again(job)

    def promote(self):
        for place in ("due", "retrying"):
            for job in sorted((job for job in self.jobs.values()
                               if job.place == place and job.at <= self.now),
                              key=lambda job: (job.at, job.entry)):
                self.to_line(job)

    def may_start(self, job):
        """Is it ready, and does no limit of its key stand in the way?"""
        if job.place != "ready" or (job.spec.expires and
                                    job.spec.expires <= self.now):
            return False
        return not job.spec.limit or not job.spec.limit[0] or \
            self.running(job.spec.limit[1]) < job.spec.limit[0]

    def must_start(self, job):
        """The same, and is there no rate that may hold it back?"""
        return self.may_start(job) and not (job.spec.limit and
                                            job.spec.limit[2])

    def open(self):
        """Does the queue itself let anything start?"""
        return not self.paused and (
            self.concurrency is None or len(self.leased()) < self.concurrency)

    def claim(self, want, lease, claimed, expired, worker):
        """@claimed: [(id, token, again)] that the queue gave out, @expired: ids
        that it ended instead."""
        expect(len(claimed) <= want, "more jobs than asked for")
        for local in expired:
            job = self.jobs[local]
            expect(want and not self.paused and job.place == "ready" and
                   0 < job.spec.expires <= self.now, local, "expired", job)
            self.end(job, "X")
        lowest = 9
        for local, token, again in claimed:
            job = self.jobs.get(local)
            expect(job and self.may_start(job), local, "was given out:", job)
            expect(self.open(), local, "was given out against the queue")
            expect(job.priority <= lowest, local, "came behind a lower one")
            lowest = job.priority
            for other in self.jobs.values():
                expect(not (other.place == "ready" and
                            other.priority == job.priority and
                            other.line < job.line and not job.spec.limit and
                            not other.spec.limit and self.may_start(other)),
                       local, "overtook", other.id)
            job.attempt += 1
            expect(bool(again) == bool(job.code or job.spec.parents),
                   local, "again:", again)
            if again:
                expect(again == f"{job.attempt} {job.retries} "
                       f"{job.crashes}", local, again, job)
            job.place, job.code, job.token = "leased", "R", token
            job.at = self.now + lease
            if job.spec.unique and job.spec.unique[0] == "w":
                self.unlock(job)
        if len(claimed) < want and self.open():
            for job in self.jobs.values():
                expect(not self.must_start(job), job.id, "was passed over")
        for job in self.jobs.values():
            expect(not claimed or job.priority <= lowest or
                   not self.must_start(job), job.id, "of a higher priority was "
                   "passed over")

    def kept(self):
        return sum(job.place == "done" for job in self.jobs.values())

    def forgotten(self, ids, busy):
        """@busy: something was done beside. An idle queue may keep more ended
        jobs than it should until then."""
        over = self.done_max is not None and self.kept() > self.done_max
        for local in ids:
            job = self.jobs[local]
            expect(job.place == "done" and (job.until <= self.now or over),
                   local, "was forgotten:", job)
            self.forget(job)
        expect(self.done_max is None or self.kept() <= self.done_max or
               not busy,
               self.kept(), "are kept, and not", self.done_max)

    def letter(self, local):
        """What the script look says of it."""
        job = self.jobs.get(local)
        if not job:
            return "G" if local in self.gone else "-"
        if job.waits and 0 < job.spec.expires <= self.now:
            return "O"
        return {"due": "d", "retrying": "w", "blocked": "B",
                "ready": job.code or "N"}.get(job.place, job.code)

    def renew(self, local, token, lease):
        """"", "!" for one that is to stop, or None when it is lost."""
        job = self.jobs.get(local)
        if not job or job.place != "leased" or job.token != token:
            return None
        job.at = self.now + lease if self.was_set_back() else \
            max(job.at, self.now + lease)
        return "!" if job.cancelled else ""

    # --- what an operator does -------------------------------------------

    def code_of(self, job):
        if job.place == "leased":
            return "R"
        if job.place == "blocked":
            return "B"
        if job.waits:
            return (job.code or "N") + ("+" if job.place != "ready" else "")
        return job.code

    def control(self, verb, local, run_at=None, priority=None):
        """(outcome, code before, or who holds the key); "gone" or None."""
        job = self.jobs.get(local)
        if not job:
            return "gone" if local in self.gone else None
        code = self.code_of(job)
        return getattr(self, verb)(job, code, run_at, priority)

    def cancel(self, job, code, *_):
        if code == "C":
            return "same", "C"
        if code == "R":
            asked, job.cancelled = job.cancelled, True
            return ("same" if asked else "asked"), "R"
        if not job.waits and code != "Q":
            return "state", code
        self.end(job, "C")
        return "done", code

    def delete(self, job, code, *_):
        if code == "R":
            return "state", code
        self.unlock(job, for_good=True)
        if job.waits or code == "Q":
            self.tell_children(job, "C")
        self.children.pop(job.id, None)
        self.inputs.pop(job.id, None)
        self.forget(job)
        return "done", code

    def edit(self, job, code, run_at, priority):
        if not job.waits or (code == "B" and run_at is not None):
            return "state", code
        due = job.at if job.place in ("due", "retrying") else None
        at = due if run_at is None else run_at
        new = job.priority if priority is None else priority
        ready_now = code != "B" and (at is None or at <= self.now)
        if new == job.priority and (at == due or (due is None and ready_now)):
            return "same", code
        job.priority = new
        if code == "B":
            pass
        elif ready_now:
            self.to_line(job)
        else:
            job.place, job.at = ("retrying" if job.code else "due"), at
        return "done", code

    def to_ready(self, job, code, allowed, verb):
        if code not in allowed:
            already = verb != "release" and code in ("N", "W")
            return ("same" if already else "state"), code
        if job.spec.expires and job.spec.expires <= self.now:
            return "expired", code
        if not job.waits:
            key = job.spec.unique and job.spec.unique[2]
            holder = self.holder(key) if key else None
            if holder and holder != job.id:
                return "held", holder
            self.lock(job)
        if verb != "promote":
            job.retries = job.crashes = job.lost = 0
        job.code = "W" if job.code else ""
        self.to_line(job)
        return "done", code

    def retry(self, job, code, *_):
        return self.to_ready(job, code, ("D", "C", "X", "W+"), "retry")

    def promote_one(self, job, code, *_):
        return self.to_ready(job, code, ("N+", "W+"), "promote")

    def release(self, job, code, *_):
        return self.to_ready(job, code, ("Q",), "release")

    # --- other jobs' ends ------------------------------------------------

    def attach(self, local, child):
        job = self.jobs.get(local)
        if not job:
            return -1 if local in self.gone else 0
        if job.code and job.code in "SCXD" and job.place != "leased":
            self.outbox.append((child, local, job.code))
            return 2
        known = self.children.setdefault(local, [])
        if child not in known:
            known.append(child)
        return 1

    def flow(self, flow, jobs):
        """1, 0 when it is there, or the name of the error."""
        if flow in self.flows:
            return 0
        if self.closed:
            return "CLOSED"
        self.flows[flow] = [len(jobs), False, {}]
        self.outbox.append((jobs[0], "flow", tuple(jobs)))
        return 1

    def deliver_to_flow(self, flow, parent, code, last):
        state = self.flows[flow]
        if parent not in state[2]:
            state[2][parent] = code
            state[0] -= 1
            state[1] |= last and code != "S"

    def deliver(self, child, parent, code):
        if child.rstrip(":") in self.flows:
            self.deliver_to_flow(child.rstrip(":"), parent, code,
                                 child.endswith(":"))
            return
        job = self.jobs.get(child)
        if not job:
            if child not in self.gone:
                self.inputs.setdefault(child, {}).setdefault(parent, code)
                if code != "S":
                    self.stops.add(child)
            return
        if job.place != "blocked":
            return
        count, policy = job.spec.parents
        self.inputs.setdefault(child, {}).setdefault(parent, code)
        if policy == "s" and (code != "S" or child in self.stops):
            self.stops.discard(child)
            self.inputs.pop(child, None)
            self.end(job, "C")
        elif len(self.inputs[child]) >= count:
            self.stops.discard(child)
            self.begin_now(job)
