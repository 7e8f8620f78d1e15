"""The demo's queued lane: tasks of a real worker beside a private Redis."""

import os
import re
import unittest

from pitharness import PitTestCase
from pitqueue import Queue
from pitstandin import Upstream


class TaskCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.upstream = Upstream()
        self.addCleanup(self.upstream.close)
        self.env = {"SMOKEHOUSE_UPSTREAM": self.upstream.url,
                    "SMOKEHOUSE_DATA": os.path.join(self.dir, "data")}
        self.server = self.redis(aof="no")
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, "default")

    def start(self, **kwargs):
        worker = self.worker(self.server, env=self.env, **kwargs)
        worker.wait_for_line("ready: worker")
        return worker


class Meats(TaskCase):
    def test_both_lanes_run_one_function(self):
        worker = self.start(slots=1)
        jobs = [self.queue.enqueue("meats.smoke") for _ in range(20)]
        states = [self.queue.wait_code(job, "S", 15) for job in jobs]
        # Twenty at once, in one process, in the time of one.
        begin = min(state.started for state in states)
        end = max(state.ended for state in states)
        self.assertGreaterEqual(end - begin, 2000)
        self.assertLess(end - begin, 4500)
        for job in jobs:
            result = self.queue.result(job)
            self.assertEqual(result["smoked"], 6)
            self.assertTrue(result["flavor"])
        self.assertEqual(len(self.upstream.requests), 40)
        lines = re.findall(r"\[(\d+)\] Returning smokeable", worker.log())
        self.assertEqual((len(lines), len(set(lines))), (20, 1))

    def test_upstream_that_is_down_is_retried(self):
        self.upstream.stop()
        self.start(slots=1)
        job = self.queue.enqueue("meats.smoke", backoff_ms=100)
        self.queue.wait_code(job, "W", 10)
        self.upstream.start()
        state = self.queue.wait_code(job, "S", 15)
        self.assertGreaterEqual(state.attempt, 2)


if __name__ == "__main__":
    unittest.main()
