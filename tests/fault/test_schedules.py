"""Five workers, a thousand schedules that are all due at the same moments, and a
worker killed at random again and again: each time fires exactly once.

Prints its seed; PIT_TEST_SEED repeats the choices (not the races).
"""

import hashlib
import json
import random
import time
import unittest

from pitharness import PitTestCase, wait_until
from pitscripts import seed_of_test

SCHEDULES, WORKERS = 1000, 5
NAMES = [f"s{n:04}" for n in range(SCHEDULES)]


class Schedules(PitTestCase):
    PERIOD_MS = 5000  # of each; stands for a minute (bench/checks takes one)
    ROUNDS = 5

    def setUp(self):
        super().setUp()
        self.rng = random.Random(seed_of_test())
        self.store = self.redis(aof="no")
        self.client = self.store.client()
        self.addCleanup(self.client.close)

    def key(self, what):
        return f"pit:{{default}}:{what}"

    def now(self):
        seconds, us = self.client.time()
        return seconds * 1000 + us // 1000

    def put_all(self):
        """All with the same beat; when it is first."""
        anchor = self.now() - self.PERIOD_MS + 1500
        pipe = self.client.pipeline(transaction=False)
        for name in NAMES:
            text = {"version": 1, "every_ms": self.PERIOD_MS, "timezone": "UTC",
                    "misfire": "all", "overlap": "allow", "jitter_ms": 0,
                    "paused": False, "note": "", "queue": "default",
                    "record": "15- 0 noop\nnull", "anchor_ms": anchor}
            pipe.hset("pit:schedules", name, "default")
            pipe.hset(self.key("schedules"), name,
                      json.dumps(text, separators=(",", ":")))
            pipe.hset(self.key("fired"), name, f"{anchor + self.PERIOD_MS} 0 -\n")
            pipe.zadd(self.key("fires"), {name: anchor + self.PERIOD_MS})
        pipe.execute()
        return anchor + self.PERIOD_MS

    def start(self):
        return self.worker(self.store, slots=1, queues="default",
                           flags=["--lease", "2s", "--async", "0"])

    def fires(self):
        """name -> nominal times of the history, oldest first; not of those
        that the application brings along."""
        found = {}
        for name, text in self.client.hgetall(self.key("fired")).items():
            if name not in NAMES:
                continue
            lines = [line.split(" ") for line in text.split("\n")[1:-1]]
            self.assertEqual({line[2] for line in lines} - {"e"}, set(), name)
            found[name] = [int(line[0]) for line in lines]
        return found

    def test_each_time_once(self):
        workers = [self.start() for _ in range(WORKERS)]
        for worker in workers:
            worker.wait_for_line("ready: worker", 20)
        first = self.put_all()
        self.client.publish("pit:scheduled", "default")
        last = first + (self.ROUNDS - 1) * self.PERIOD_MS
        killed = 0
        while self.now() < last + 1000:
            # Around the moment when all are due, most of all.
            until_due = (first - self.now()) % self.PERIOD_MS
            time.sleep(self.rng.uniform(0.2, 0.6) if until_due > 700 else
                       until_due / 1000 + self.rng.uniform(0, 0.08))
            victim = self.rng.randrange(WORKERS)
            workers[victim].kill()
            killed += 1
            workers[victim] = self.start()

        def all_fired():
            return all(times[-1:] >= [last] for times in self.fires().values())
        wait_until(all_fired, 30, "the last fires", interval=0.2)
        self.client.delete(self.key("fires"))  # no more of them
        self.check(first, last)
        print(f"{killed} workers were killed", flush=True)
        self.seen = {"killed": killed, "fires": sum(
            len(times) for times in self.fires().values())}

    def check(self, first, last):
        expected = set()
        for name, times in self.fires().items():
            self.assertGreaterEqual(times[-1], last)
            self.assertEqual(times, list(range(first, times[-1] + 1,
                                               self.PERIOD_MS)), name)
            digest = hashlib.sha1(name.encode()).hexdigest()[:16]
            expected |= {f"{name}-{time}-{digest}" for time in times}
        self.assertGreaterEqual(len(expected), SCHEDULES * self.ROUNDS)
        self.assertEqual(set(self.client.hkeys(self.key("jobs"))), expected)

        def succeeded():
            stats = self.client.hgetall(self.key("stats"))
            self.assertEqual(int(stats["enqueued"]), len(expected))
            return int(stats.get("succeeded", 0)) == len(expected)
        wait_until(succeeded, 40, "all jobs to succeed", interval=0.2)


if __name__ == "__main__":
    unittest.main()
