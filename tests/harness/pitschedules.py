"""The scripts of schedules, as a client in another language calls them."""

import collections
import json

from pitscripts import READY

FIRE_KEYS = ["schedules", "fires", "fired", "jobs", "state", "gone", "stats",
             "wake", "meta", *READY]
CHANNEL = "pit:scheduled"

Due = collections.namedtuple("Due", "now next schedules")
Fired = collections.namedtuple("Fired", "nominal buffered last fires")
Fire = collections.namedtuple("Fire", "nominal at what word")


class Schedules:
    """Those of one pitscripts.Queue."""

    def __init__(self, queue):
        self.queue = queue
        self.client = queue.client

    def _call(self, script, keys, args):
        return self.queue.scripts[script](
            keys=[self.queue.key(key) for key in keys], args=args)

    def put(self, name, next_at, version=0, at=None, **definition):
        """@next_at None: it does not fire. The new version; 0: refused."""
        definition.setdefault("overlap", "allow")
        definition.setdefault("record", "15- 0 noop\n{}")
        rest = json.dumps(definition)[1:]
        times = ["-", "-"] if next_at is None else [next_at, at or next_at]
        now, version = self._call(
            "schedule_put", ["schedules", "fires", "fired"],
            [name, version, rest, *times, CHANNEL, self.queue.name])
        return version

    def delete(self, name, version=0):
        return self._call("schedule_delete", ["schedules", "fires", "fired"],
                          [name, version])

    def get(self, *names):
        return self._call("schedule_get", ["schedules", "fired"], names)[1:]

    def due(self, most=64):
        reply = self._call("schedule_due", ["schedules", "fires", "fired"],
                           [most])
        words = iter(reply[2:])
        return Due(reply[0], reply[1], list(zip(words, words, words)))

    def item(self, name, version, nominal, next_at, steps=(), at=None):
        """The words of one schedule. A step: a nominal time, a pair of it and
        when it is fired, or a triple with how many were missed."""
        words = [name, version, nominal, *(("-", "-") if next_at is None else
                                           (next_at, at or next_at)),
                 len(steps)]
        for step in steps:
            step = step if isinstance(step, tuple) else (step, step)
            words += step if len(step) == 3 else [*step, 0]
        return words

    def fire(self, *items):
        """(first, [jobs stored, or -1])"""
        reply = self._call("schedule_fire", FIRE_KEYS,
                           [word for item in items for word in item])
        return reply[1], reply[2:]

    def trigger(self, name, local):
        return self._call("schedule_trigger", FIRE_KEYS, [name, local])[1:]

    def fired(self, name):
        text = self.client.hget(self.queue.key("fired"), name)
        if text is None:
            return None
        head, *lines = text.split("\n")[:-1]
        nominal, buffered, last = head.split(" ")
        fires = [Fire(int(a), int(b), c, d) for a, b, c, d in
                 (line.split(" ") for line in lines)]
        return Fired(None if nominal == "-" else int(nominal), int(buffered),
                     None if last == "-" else last, fires)

    def outcomes(self, name):
        return "".join(fire.what for fire in self.fired(name).fires)

    def score(self, name):
        score = self.client.zscore(self.queue.key("fires"), name)
        return None if score is None else int(score)
