"""A queue as its protocol describes it, for tests of a worker alone.

Enqueues through the same script as every other client (docs/protocol.md), and
reads the states that the worker's calls leave behind. No web process is needed.

    queue = Queue(redis.client(), "default")
    job = queue.enqueue("sleep", {"seconds": 1}, timeout_ms=200)
    wait_until(lambda: queue.state(job).code == "S")
"""

import collections
import itertools
import json as jsonlib
import time

import pitharness
import pitlua

State = collections.namedtuple(
    "State", "code token attempt retries crashes lost worker started ended "
             "history")
Attempt = collections.namedtuple(
    "Attempt", "number outcome started ended worker message")
NEVER = State(None, None, 0, 0, 0, 0, None, 0, 0, [])


class Queue:
    """One queue. @client: a redis.Redis with decode_responses."""

    serial = itertools.count(1)

    def __init__(self, client, name="default"):
        self.client = client
        self.name = name
        self.script = client.register_script(pitlua.text("enqueue"))

    def key(self, what):
        return f"pit:{{{self.name}}}:{what}"

    def record(self, task, args, priority=5, retries=None, timeout_ms=None,
               keep_ms=None, backoff_ms=None):
        options = ""
        if timeout_ms is not None:
            options += f" t{timeout_ms}"
        if keep_ms is not None:
            options += f" k{keep_ms}"
        if retries is not None:
            options += f" r{retries}"
        if backoff_ms is not None:
            options += f" bf,{backoff_ms},{backoff_ms},0"
        created = int(time.time() * 1000)
        return (f"1{priority}- {created} {task}{options}\n"
                f"{jsonlib.dumps(args)}")

    def enqueue_many(self, task, n, args=None, delay_ms=0, priority=5,
                     **options):
        """Local ids of @n jobs, stored in batches."""
        keys = [self.key(what)
                for what in ("jobs", "gone", "due", "stats", "wake", "meta")]
        keys.append(self.key(f"ready:{priority}"))
        where = f"+{delay_ms}" if delay_ms else "1"
        record = self.record(task, args, priority=priority, **options)
        ids = [f"t{next(Queue.serial):08d}" for _ in range(n)]
        for first in range(0, n, 128):
            words = ["fresh"]
            for local in ids[first:first + 128]:
                words += [local, priority, record, where]
            self.script(keys=keys, args=words)
        return ids

    def enqueue(self, task, args=None, **options):
        return self.enqueue_many(task, 1, args, **options)[0]

    def state(self, local):
        """The job's state text, taken apart; NEVER before its first claim."""
        text = self.client.hget(self.key("state"), local)
        if not text:
            return NEVER
        head, *lines = text.rstrip("\n").split("\n")
        words = head.split(" ")
        history = []
        for line in lines:
            number, outcome, started, ended, worker, message = line.split(
                " ", 5)
            history.append(Attempt(int(number), outcome, int(started),
                                   int(ended), worker,
                                   jsonlib.loads(message) if message else ""))
        return State(words[0], words[1], *map(int, words[2:6]), words[6],
                     int(words[7]), int(words[8]) if len(words) > 8 else 0,
                     history)

    def wait_code(self, local, code, deadline=10.0):
        """Waits until the state's code is one of @code's letters."""
        def arrived():
            state = self.state(local)
            return state.code and state.code in code and state

        try:
            return pitharness.wait_until(arrived, deadline,
                                         f"{local} to be one of {code}")
        except AssertionError as problem:
            raise AssertionError(
                f"{problem}; it is {self.state(local)}") from None

    def result(self, local):
        text = self.client.hget(self.key("results"), local)
        return None if text is None else jsonlib.loads(text)

    def stat(self, name):
        return int(self.client.hget(self.key("stats"), name) or 0)

    def leased(self):
        return self.client.zcard(self.key("leased"))

    def ready(self):
        return sum(self.client.llen(self.key(f"ready:{p}")) for p in range(10))
