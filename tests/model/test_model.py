"""The queue's scripts against the model: tens of thousands of random steps, and
scripts that are broken on purpose, which must be found.

Prints its seed. PIT_TEST_SEED repeats a run, PIT_MODEL_STEPS makes it longer.
"""

import os
import pprint
import time
import unittest

import pitrun
from pitharness import SLOWNESS, Redis
from pitmodel import Spec
from pitscripts import seed_of_test

STEPS = int(os.environ.get("PIT_MODEL_STEPS", "20000"))
SECONDS = 60 * SLOWNESS  # whatever the steps
BROKEN_TRIES = 1000      # histories in which a broken script must be found
SHORT = 12               # steps that are enough to show it
# Each with one thing wrong: the script, what stands there, what in its place.
BROKEN = {
    "a limit's attempt is not counted down":
        ("work", "options().run_ended(asked)", ""),
    "a key of while waiting is kept":
        ("work", "options().unlock(id, asked)\n    end\n    leases",
         "\n    end\n    leases"),
    "a crash is not counted":
        ("work", "s.crashes = s.crashes + 1", ""),
    "a lost attempt that was to be cancelled runs again":
        ("work", "if job and job.cancelled then\n                local keep_ms",
         "if false then\n                local keep_ms"),
    "a stale finish is not told of":
        ("work", "ended < finishes_len", "ended < 0"),
    "an entry that was taken out still counts":
        ("control", "call('HINCRBY', base .. 'stale', entry, '1')\n    else",
         "\n    else"),
    "a deadline moves back":
        ("renew", "'XX', 'GT', deadline", "'XX', deadline"),
    "a retry waits for the old clock":
        ("work", "if set ~= leased then\n        return at + far",
         "if set ~= leased then\n        return at"),
    "a renewed lease is made longer":
        ("work", "at < now and at + far or at, now + lease)",
         "at + far, now + lease)"),
    "leases lapse when the clock is set forward":
        ("work", "gap >= ahead - SEEN_EVERY", "false"),
    "an end counts twice for its flow":
        ("deliver", "call('HSETNX', key, from, code) == 0", "false"),
    "a flow that failed says it did not":
        ("deliver", "if last and code ~= 'S' then", "if false then"),
    "a closed queue takes a flow":
        ("flow", "call('HGET', KEYS[4], 'closed') == '1'", "false"),
    "a waiter is not told":
        ("work", "call('HDEL', waits, id)", ""),
    "an old token may say its progress":
        ("progress", "string.sub(text, 2, #mark + 1) ~= mark", "false"),
    "one too many is kept":
        ("work", "done_len + kept_change > done_max",
         "done_len + kept_change > done_max + 1"),
    "a retry is listed as scheduled":
        ("look", "w = KEYS[4]", "w = KEYS[3]"),
    "a child waits for one parent too many":
        ("deliver", "call('HLEN', inputs) >= tonumber(parents or 0)",
         "call('HLEN', inputs) > tonumber(parents or 0)"),
    "a child that was attached to a running job never hears":
        ("attach", "if code == 'R' then", "if false then"),
    "some are stored where it is all or nothing":
        ("enqueue", "elseif refused then", "elseif false then"),
    "a rate's key never has its turn again":
        ("work", "call('ZADD', due, string.format('%d', now + wait), marker)",
         ""),
    "what was taken out is purged again":
        ("purge", "call('HEXISTS', base .. 'stale', entry) == 1", "false"),
    "nobody is woken":
        ("enqueue", "if token == 0 and (waiting or", "if false and (waiting or"),
}
# What it has found: short histories that went wrong once.
KNOWN = {
    "a holder of this call that is scheduled makes way": [
        ("enqueue", "fresh", (
            ("f1", Spec(delay=40, unique=("r", 0, "U"))),
            ("f2", Spec(unique=("r", 0, "U"), conflict="p")))),
        ("clock", 60), ("work", 0, 5, 30, ())],
    "a quarantined job does not take its key again": [
        ("enqueue", "fresh", (("f1", Spec(unique=("e", 30, "U"))),)),
        ("work", 0, 1, 30, ()), ("work", 0, 1, 30, ((0, "c", 0),)),
        ("work", 0, 0, 30, ((0, "c", 0),)), ("clock", 60),
        ("enqueue", "fresh", (("f2", Spec(unique=("e", 30, "U"))),)),
        ("control", "cancel", 0, None, None)],
}


class ModelCheck(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redis = Redis(aof="no")
        cls.addClassCleanup(cls.redis.close)
        cls.client = cls.redis.client(encoding="latin-1")
        cls.addClassCleanup(cls.client.close)

    def setUp(self):
        self.seed = seed_of_test()

    def test_random_histories(self):
        scripts = pitrun.scripts_of(self.client)
        steps = number = 0
        end = time.monotonic() + SECONDS
        while steps < STEPS and time.monotonic() < end:
            history = pitrun.Generator(self.seed + number).history()
            made, wrong = pitrun.play(self.client, scripts, history)
            steps += made
            if wrong:
                short = pitrun.shrink(self.client, scripts, history)
                wrong = pitrun.play(self.client, scripts, short)[1]
                self.fail(f"seed {self.seed}, history {number}: {wrong}\n"
                          f"{pprint.pformat(short)}")
            number += 1
        print(f"{steps} steps in {number} histories", flush=True)

    def test_what_was_found(self):
        scripts = pitrun.scripts_of(self.client)
        for name, history in KNOWN.items():
            with self.subTest(name):
                self.assertIsNone(pitrun.play(self.client, scripts,
                                              history)[1])

    def test_broken_scripts_are_found(self):
        for name, (script, *change) in BROKEN.items():
            with self.subTest(name):
                scripts = pitrun.scripts_of(self.client, {script: change})
                self.find(scripts)

    def find(self, scripts):
        """A history that fails, made short. Not each can be: some are left with
        steps of which only two together can go."""
        shortest = None
        for number in range(BROKEN_TRIES):
            history = pitrun.Generator(self.seed + number).history()
            if not pitrun.play(self.client, scripts, history)[1]:
                continue
            short = pitrun.shrink(self.client, scripts, history)
            self.assertTrue(pitrun.play(self.client, scripts, short)[1])
            if len(short) <= SHORT:
                return
            shortest = min(shortest or short, short, key=len)
        self.fail(f"in {BROKEN_TRIES} histories: {pprint.pformat(shortest)}")


if __name__ == "__main__":
    unittest.main()
