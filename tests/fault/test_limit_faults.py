"""Limits by key over several workers: the rate holds over time, and concurrency is
not exceeded while workers die."""

import os
import signal
import time
import unittest

from pitharness import SLOWNESS, PitTestCase, children_of, process_name, wait_until
from pitscripts import Queue, check, job


class Limits(PitTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.redis(aof="no")
        self.client = self.server.client(encoding="latin-1")
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, "default")

    def workers(self, n, **kwargs):
        found = [self.worker(self.server, queues="default", **kwargs)
                 for _ in range(n)]
        for worker in found:
            worker.wait_for_line(r"ready: worker")
        return found

    def enqueue(self, n, task, args, limit):
        jobs = []
        for i in range(n):
            one = job(f"id-{i}", args=args, options=f" l{limit},k", flag="+")
            jobs.append(one._replace(record=one.record.replace(
                " noop ", f" {task} ", 1)))
        for first in range(0, n, 128):
            self.queue.enqueue(*jobs[first:first + 128])

    def succeeded(self):
        return int(self.queue.stats().get("succeeded", 0))

    def test_rate_over_three_workers(self):
        self.workers(3, slots=1)
        self.enqueue(410, "noop", "{}", "0,100,1000")
        wait_until(lambda: self.succeeded() == 410, 20, "all to end")
        starts = sorted(int(text.split(" ")[7]) for text in
                        self.client.hvals(self.queue.key("state")))
        # A burst of ten, then one each 10 ms: four seconds, within 2 %.
        took = starts[-1] - starts[0]
        self.assertGreaterEqual(took, 3980)
        self.assertLessEqual(took, 4080)
        for at, start in enumerate(starts):
            within = sum(start <= other < start + 1000
                         for other in starts[at:])
            self.assertLessEqual(within, 111)

    def test_concurrency_while_workers_die(self):
        workers = self.workers(3, slots=4, flags=["--lease", "1s"])
        self.enqueue(80, "sleep", '{"seconds":0.05}', "5,0,0")
        killed, most = 0, 0
        end = time.monotonic() + 30 * SLOWNESS
        while self.succeeded() < 80:
            self.assertLess(time.monotonic(), end, "not all have ended")
            leased = self.client.zcard(self.queue.key("leased"))
            most = max(most, leased)
            self.assertLessEqual(leased, 5)
            if self.succeeded() >= 15 * (killed + 1) and killed < 3:
                for pid in children_of(workers[killed].pid):
                    if process_name(pid) == "pit-worker":
                        os.kill(pid, signal.SIGKILL)
                killed += 1
        self.assertEqual((killed, most), (3, 5))
        check(self.queue, token=False)
        self.assertFalse(self.client.exists(self.queue.key("running")))


if __name__ == "__main__":
    unittest.main()
