"""The queue's scripts as a client in another language calls them, and a checker
of what must hold between any two calls.

    client = redis.client(encoding="latin-1")   # every byte is a character
    queue = Queue(client)
    queue.enqueue(job("a"), job("b", 9))
    work = queue.work(claim=2)
    queue.work(finishes=[done(work.claimed[0])])
    check(queue)
"""

import collections
import contextlib
import os
import random
import re
import unittest

import redis as redislib

import pitlua
import pitoptions
from pitharness import Redis, wait_until

READY = [f"ready:{priority}" for priority in range(9, -1, -1)]
# In the order in which work takes them.
KEYS = ["jobs", "state", "results", "progress", "due", "leased", "dead",
        "done", "gone", "quarantined", "stats", "wake", "waits", "meta",
        *READY, "retrying", "unique", "unlocks", "running", "rates", "turns",
        "blocked", "children", "outbox", "cancels", "events", "stale",
        "samples", "logged"]
HASHES = {"jobs", "state", "results", "progress", "stats", "waits", "meta",
          "unique", "running", "rates", "turns", "children", "cancels",
          "stale", "logged"}
# Beside them, in the order of shared/queue/keys.h.
OTHER_KEYS = ["flows", "schedules", "fires", "fired"]
CODES = {"ready": "W", "due": "", "retrying": "W", "leased": "Rr", "dead": "D",
         "done": "SCX", "quarantined": "Q", "blocked": "W"}

Job = collections.namedtuple("Job", "id priority record where conflict",
                             defaults=["r"])
Work = collections.namedtuple("Work", "now next more stale claimed")
Claimed = collections.namedtuple("Claimed", "entry id token record again inputs")
Counts = collections.namedtuple(
    "Counts",
    "ready due leased dead quarantined paused oldest now retrying blocked totals")
View = collections.namedtuple(
    "View", "record state result progress due blocked cancel")


def job(local, priority=5, args="{}", options="", where=None, flag="-",
        created=1700000000000, conflict="r"):
    """@where: None for ready, else "+ms" or "@ms"; @options: " k0 r1", those that
    need it with flag="+"; @conflict: what if its unique key is held."""
    record = f"1{priority}{flag} {created} noop{options}\n{args}"
    return Job(local, priority, record, where, conflict)


def claimed_ids(work):
    """The ids that a call of work gave out, in order."""
    return [claimed.id for claimed in work.claimed]


def done(claimed, keep=60000, result=None):
    """The finish of a success."""
    if result is None:
        return ["s", keep, 1, claimed.entry, claimed.token]
    return ["S", claimed.entry, claimed.token, keep, result]


def done_all(claimed, keep=60000):
    """The finish of many, as one group."""
    words = ["s", keep, len(claimed)]
    for one in claimed:
        words += [one.entry, one.token]
    return words


def ended(how, claimed, delay=None, keep=60000, message='"no"'):
    """The finish of an attempt that ended as the letter @how says."""
    words = [how, claimed.entry, claimed.token, keep, message]
    return words + [delay] if how in "ft" else words


class Queue:
    """One queue's scripts. @client must answer str and encode latin-1."""

    def __init__(self, client, name="q", prefix="pit"):
        self.client = client
        self.name, self.prefix = name, prefix
        self.next_token = 0
        self.scripts = {script: client.register_script(pitlua.text(script))
                        for script in pitlua.names()}

    def key(self, what):
        return f"{self.prefix}:{{{self.name}}}:{what}"

    def _call(self, script, keys, args):
        return self.scripts[script](keys=[self.key(key) for key in keys],
                                    args=args)

    def enqueue(self, *jobs, mode="fresh"):
        """[first, outcome...]"""
        lists, args = [], [mode]
        for one in jobs:
            where = one.where
            if where is None:
                name = f"ready:{one.priority}"
                if name not in lists:
                    lists.append(name)
                where = lists.index(name) + 1
            if "u" in pitoptions.options_of(one.record) and (
                    one.record[2] == "+"):
                where = f"{one.conflict}{where}"
            args += [one.id, one.priority, one.record, where]
        return self._call("enqueue",
                          ["jobs", "gone", "due", "stats", "wake", "meta",
                           *lists],
                          args)

    def work(self, claim=0, lease=15000, worker="w", first=None, crashes=3,
             lost=10, finishes=(), expected=None):
        if expected is not None:
            lost = f"{lost} {expected}"
        if first is None:
            first = self.next_token
            self.next_token += claim
        words = [word for finish in finishes for word in finish]
        reply = self._call("work", KEYS, [claim, lease, worker, first, crashes,
                                          lost, *words])
        stale = reply[4:4 + reply[3]]
        claims, rest = [], reply[4 + reply[3]:]
        for n, at in enumerate(range(0, len(rest), 3)):
            entry, record, again = rest[at:at + 3]
            inputs = None  # id of a parent -> its end
            if isinstance(again, list):
                again, words = again
                inputs = dict(zip(words[::2], words[1::2]))
            claims.append(Claimed(entry, entry[1:], f"{worker}.{first + n}",
                                  record, again, inputs))
        return Work(reply[0], reply[1], reply[2], stale, claims)

    def renew(self, *claimed, lease=15000):
        """The tokens that are lost."""
        words = [word for one in claimed for word in (one.entry, one.token)]
        return self._call("renew", ["leased", "state", "cancels", "meta"],
                          [lease, *words])

    def progress(self, claimed, text):
        return self._call("progress", ["state", "progress"],
                          [claimed.id, claimed.token, text])

    def get(self, local):
        """A View, "gone" or None."""
        reply = self._call("get", ["jobs", "state", "results", "progress",
                                   "due", "gone", "retrying"], [local])
        return View(*reply) if isinstance(reply, list) else reply

    def wait(self, local, channel):
        return self._call("wait", ["jobs", "state", "waits"],
                          [local, channel])

    def control(self, verb, local, *words, seen=None):
        """[outcome, code before], "gone" or None. @seen: a View."""
        expected = ["0", "", "", ""] if seen is None else [
            "1", seen.record[1] + (seen.state or ""), seen.due or "", seen.progress or ""]
        return self._call("control", ["jobs"], [verb, local, *expected,
                                                *words])

    def cancel(self, local, grace=1000, cause='"enough"', seen=None):
        return self.control("cancel", local, grace, cause, seen=seen)

    def list(self, state, limit=1000, cursor="", heads=0):
        """(next, [(id, cursor, head)])"""
        reply = self._call("list", ["jobs"], [state, limit, cursor, heads])
        return reply[0], list(zip(reply[1::3], reply[2::3], reply[3::3]))

    def list_all(self, state, limit=1000):
        """All ids, page by page."""
        ids, cursor = [], ""
        while True:
            cursor, page = self.list(state, limit, cursor)
            ids += [local for local, _, _ in page]
            if cursor == "":
                return ids

    def log(self, claimed, *lines):
        return self._call("log", ["jobs", "state"],
                          [claimed.id, claimed.token, *lines])

    def logs(self, local, after="", limit=1000):
        return self._call("logs", ["jobs", "gone"], [local, after, limit])

    def settings(self, **changes):
        """All settings, after these were made; "" removes one. Without what
        the scripts keep there for themselves."""
        words = [word for pair in changes.items() for word in pair]
        reply = self._call("settings", ["meta", "wake"], words)
        return {name: value for name, value in zip(reply[::2], reply[1::2])
                if name not in ("seen", "step", "watched")}

    def counts(self):
        reply = self._call("counts", ["jobs", "due", "leased", "dead",
                                      "quarantined", "stats", "meta", *READY,
                                      "retrying"], [])
        totals = dict(zip(reply[8::2], map(int, reply[9::2])))
        return Counts(*reply[:8], totals.pop("retrying"),
                      totals.pop("blocked"), totals)

    def stats(self):
        return {name: int(n) for name, n in
                self.client.hgetall(self.key("stats")).items()}

    def now(self):
        seconds, us = self.client.time()
        return seconds * 1000 + us // 1000

    def snapshot(self):
        """All keys with their contents, for "nothing was changed"."""
        found = {}
        for key in sorted(self.client.keys("*")):
            found[key] = self.client.dump(key)
        return found


def seed_of_test():
    """The seed of a random test: PIT_TEST_SEED, or a new one. It is printed."""
    text = os.environ.get("PIT_TEST_SEED")
    seed = int(text) if text else random.SystemRandom().randrange(2**32)
    print(f"PIT_TEST_SEED={seed} repeats it", flush=True)
    return seed


@contextlib.contextmanager
def random_history(make, calls):
    """A history that has run, drained and been checked, on a Redis of its own,
    for what must hold at its end.

    @make: (client, seed) -> the history, with run(calls), drain() and check().
    A failure tells the seed, and the last calls if they are kept in its log."""
    seed = seed_of_test()
    with Redis(aof="no") as server, \
            server.client(encoding="latin-1") as client:
        history = make(client, seed)
        try:
            history.run(calls)
            history.drain()
            history.check()
        except AssertionError as problem:
            log = getattr(history, "log", [])
            last = ["last calls:", *(str(call)[:4000] for call in log[-12:])]
            raise AssertionError("\n".join(
                [f"seed {seed}: {problem}", *(last if log else ())])) from None
        yield history


# --- the checker -----------------------------------------------------------

class Broken(AssertionError):
    """An invariant of the queue does not hold."""


def _expect(condition, what):
    if not condition:
        raise Broken(what)


def _some(names):
    """A set as text, as much as a person reads."""
    return ", ".join(sorted(names)[:8]) + (", ..." if len(names) > 8 else "")


def _read(queue):
    pipe = queue.client.pipeline(transaction=True)
    for key in KEYS:
        name = queue.key(key)
        if key in HASHES:
            pipe.hgetall(name)
        elif key in ("outbox", "events"):
            pipe.xrange(name)
        elif key in ("wake", "samples") or key.startswith("ready"):
            pipe.lrange(name, 0, -1)
        else:
            pipe.zrange(name, 0, -1, withscores=True)
    return dict(zip(KEYS, pipe.execute()))


def _places(data, lists):
    """id -> (place, entry or None); each id must have one place."""
    found = {}

    def put(local, place, entry=None):
        _expect(local not in found,
                f"{local} is in {found.get(local)} and in {place}")
        found[local] = (place, entry)

    stale = {entry: int(n) for entry, n in data["stale"].items()}
    for name in READY:
        for entry in data[name]:
            _expect(entry[:1] == name[-1:], f"{entry!r} is in {name}")
            if pitoptions.is_marker(entry):
                continue
            if stale.get(entry):  # its first occurrences count no more
                stale[entry] -= 1
                continue
            put(entry[1:], "ready", entry)
    for name, entries in lists.items():
        for entry in entries:
            _expect(entry[:1] == name[:1], f"{entry!r} is in {name}")
            if stale.get(entry):
                stale[entry] -= 1
                continue
            put(entry[1:], "ready", entry)
            _expect(pitoptions.limit_key(data["jobs"].get(entry[1:], "")) ==
                    name[1:], f"{entry!r} is in the list of {name}")
    for place in ("due", "retrying", "leased", "blocked"):
        for entry, _ in data[place]:
            if not pitoptions.is_marker(entry):
                put(entry[1:], place, entry)
    for place in ("dead", "quarantined"):
        for local, _ in data[place]:
            put(local, place)
    for group, _ in data["done"]:
        _expect(group.split(" ") == group.split(),
                f"a group of done: {group!r}")
        for local in group.split(" "):
            put(local, "done")
    return found


STATE_HEAD = re.compile(
    r"[RrWSDCXQ] \S+ \d+ \d+ \d+ \d+ \S+ \d+(?: \d+)?")
STATE_LINE = re.compile(r"\d+ [sftclrxe] \d+ \d+ \S+ .*")


def _check_state(local, place, text):
    if text is None:
        _expect(place in ("ready", "due", "blocked"),
                f"{local} in {place} has no state")
        return
    _expect(text[0] in CODES[place], f"{local} in {place} has state {text!r}")
    lines = text.split("\n")
    _expect(lines[-1] == "", f"the state {text!r} has no end")
    _expect(STATE_HEAD.fullmatch(lines[0]), f"the state {text!r}")
    _expect(len(lines) <= 22, f"{local} has {len(lines) - 2} attempts")
    for line in lines[1:-1]:
        _expect(STATE_LINE.fullmatch(line), f"the attempt {line!r}")
    ends = len(lines[0].split(" ")) == 9
    _expect(ends == (text[0] in "SDCXQ"), f"the end in {text!r}")


def check(queue, token=True):
    """Raises Broken when an invariant does not hold; id -> place.

    Every id that has a record is in exactly one of ready, due, retrying,
    leased, blocked, dead, done and quarantined, and nothing else is there; the
    state's code fits the place; what is kept beside a job goes with it. With @token, a
    ready list that is not empty has a token in wake (nobody holds it), unless
    paused.
    """
    data = _read(queue)
    lists = pitoptions.read_key_lists(queue)
    places = _places(data, lists)
    _expect(set(places) == set(data["jobs"]),
            f"records without a place: {_some(set(data['jobs']) - set(places))}"
            f"; places without a record: "
            f"{_some(set(places) - set(data['jobs']))}")
    for local, (place, entry) in places.items():
        record = data["jobs"][local]
        _expect(entry is None or entry[0] == record[1],
                f"{entry} has the record {record!r}")
        _check_state(local, place, data["state"].get(local))
    for key in ("state", "results", "progress", "waits"):
        _expect(set(data[key]) <= set(places),
                f"{key} of no job: {_some(set(data[key]) - set(places))}")
    for local in data["results"]:
        _expect(data["state"][local][0] == "S", f"{local} has a result")
    for local in data["waits"]:
        _expect(places[local][0] in ("ready", "due", "retrying", "leased",
                                     "blocked"),
                f"somebody waits for {local}, which has ended")
    both = {local for local, _ in data["gone"]} & set(places)
    _expect(not both, f"gone and there: {_some(both)}")
    _expect(len(data["gone"]) <= 10000, f"{len(data['gone'])} ids are gone")
    kept = sum(place == "done" for place, _ in places.values())
    _expect(int(data["stats"].get("kept", 0)) == kept,
            f"{kept} are in done, kept is {data['stats'].get('kept')}")
    _expect(len(data["wake"]) <= 1, f"{len(data['wake'])} wake tokens")
    if token and data["meta"].get("paused") != "1":
        waiting = any(data[name] for name in READY)
        _expect(data["wake"] or not waiting, "ready jobs without a token")
    pitoptions.check(data, places, lists, queue.now(), _expect)
    return {local: place for local, (place, _) in places.items()}


class ScriptCase(unittest.TestCase):
    """One Redis a class, emptied for each test; checked after each."""

    @classmethod
    def setUpClass(cls):
        cls.redis = Redis(aof="no")
        cls.addClassCleanup(cls.redis.close)
        cls.client = cls.redis.client(encoding="latin-1")
        cls.addClassCleanup(cls.client.close)

    def setUp(self):
        self.client.flushall()
        self.queue = Queue(self.client)
        self.token = True  # see check()

    def tearDown(self):
        # A test that breaks the keys on purpose sets this to None.
        if self.token is not None:
            check(self.queue, self.token)

    def places(self):
        return check(self.queue, self.token)

    def ready(self, priority=5):
        return self.client.lrange(self.queue.key(f"ready:{priority}"), 0, -1)

    def wake(self):
        return self.client.llen(self.queue.key("wake"))

    def take_token(self):
        """What a worker that blocks on wake does."""
        return self.client.lpop(self.queue.key("wake"))

    def claim(self, *jobs, **kwargs):
        """Enqueues @jobs and claims them."""
        self.queue.enqueue(*jobs)
        work = self.queue.work(claim=len(jobs), **kwargs)
        self.assertEqual(sorted(one.id for one in work.claimed),
                         sorted(one.id for one in jobs))
        return work.claimed

    def until(self, ms):
        """Waits until Redis' clock is past @ms."""
        wait_until(lambda: self.queue.now() > ms, 10, f"Redis' {ms}",
                   interval=0.001)

    def assert_wrong_type_changes_nothing(self, key, call):
        """@call must fail, and change nothing, while @key is of a type that
        it cannot use."""
        name = self.queue.key(key)
        self.client.delete(name)
        self.client.set(name, "of another type")
        before = self.queue.snapshot()
        with self.assertRaisesRegex(redislib.ResponseError, "WRONGTYPE",
                                    msg=key):
            call()
        self.assertEqual(self.queue.snapshot(), before, key)
        self.token = None
