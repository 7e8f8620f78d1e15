"""Limits by key over several workers: the rate holds over time, and concurrency is
not exceeded while workers die, by what the handlers themselves wrote down.

bench/checks runs the same for a minute, with many more deaths."""

import bisect
import os
import re
import signal
import time
import unittest

from pitharness import SLOWNESS, PitTestCase, children_of, process_name, wait_until
from pitscripts import Queue, check, job


APP = "tests/fixtures/chaos_app.so"


class Limits(PitTestCase):
    RATE_S = 4   # how long the rate is watched
    JOBS, KILLS, MOST = 80, 3, 5

    def setUp(self):
        super().setUp()
        self.seen = {}  # for bench/checks
        self.kills = []
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
            one = job(f"id-{i}", args=args.replace("N", str(i)),
                      options=f" l{limit},k", flag="+")
            jobs.append(one._replace(record=one.record.replace(
                " noop ", f" {task} ", 1)))
        for first in range(0, n, 128):
            self.queue.enqueue(*jobs[first:first + 128])

    def succeeded(self):
        return int(self.queue.stats().get("succeeded", 0))

    def test_rate_over_three_workers(self):
        self.workers(3, slots=1)
        n = 100 * self.RATE_S + 10
        self.enqueue(n, "noop", "{}", "0,100,1000")
        wait_until(lambda: self.succeeded() == n, self.RATE_S + 16,
                   "all to end", interval=0.1)
        starts = sorted(int(text.split(" ")[7]) for text in
                        self.client.hvals(self.queue.key("state")))
        # A burst of ten, then one each 10 ms, within 2 %.
        took = starts[-1] - starts[0]
        most = max(bisect.bisect_left(starts, start + 1000) - at
                   for at, start in enumerate(starts))
        self.seen = {"off_percent": abs(took / (10 * self.RATE_S) - 100),
                     "most_within_1_s": most}
        self.assertGreaterEqual(took, 1000 * self.RATE_S * 0.995)
        self.assertLessEqual(took, 1000 * self.RATE_S * 1.02)
        self.assertLessEqual(most, 111)

    def busy(self, workers):
        """One of them that runs something now, if Redis and its log agree."""
        leased = [entry[1:] for entry in
                  self.client.zrange(self.queue.key("leased"), 0, -1)]
        texts = self.client.hmget(self.queue.key("state"), leased) if leased else []
        running = {text.split(" ")[6] for text in texts if text}
        for worker in workers:
            names = re.findall(r"ready: worker (\S+),", worker.log())
            if names[-1] in running:
                return worker
        return None

    def kill(self, worker):
        """Its dispatcher, with what runs there; the supervisor goes on. Until its
        slots are gone they may start what they were given before."""
        children = children_of(worker.pid)
        for pid in children:
            if process_name(pid) == "pit-worker":
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not set(children) & set(children_of(worker.pid)), 10,
                   "the slots to be gone", interval=0.001)
        self.kills.append(time.time_ns() // 1000)

    def overlap(self, path):
        """How many handlers ran at once at most, by their own lines, and how
        many were killed: without a second line they ran up to the next kill."""
        began, spans = {}, []
        with open(path, encoding="ascii") as log:
            for line in log:
                what, n, _, attempt, us = line.split()
                if what == "S":
                    began[n, attempt] = int(us)
                else:
                    spans.append((began.pop((n, attempt)), int(us)))
        spans += [(us, min([at for at in self.kills if at > us],
                           default=us + 1)) for us in began.values()]
        steps = sorted([(end, -1) for _, end in spans] +
                       [(start, 1) for start, _ in spans])
        most = now = 0
        for _, step in steps:
            now += step
            most = max(most, now)
        return most, len(began)

    def test_concurrency_while_workers_die(self):
        log = os.path.join(self.dir, "chaos.log")
        workers = self.workers(3, app=APP, slots=4, flags=["--lease", "1s"],
                               env={"CHAOS_LOG": log})
        self.enqueue(self.JOBS, "chaos", '{"n":N,"ms":50}', f"{self.MOST},0,0")
        killed = 0
        end = time.monotonic() + (30 + 2 * self.KILLS) * SLOWNESS
        while self.succeeded() < self.JOBS:
            self.assertLess(time.monotonic(), end, "not all have ended")
            self.assertLessEqual(
                self.client.zcard(self.queue.key("leased")), self.MOST)
            if killed < self.KILLS and self.succeeded() >= (
                    (killed + 1) * self.JOBS // (self.KILLS + 2)):
                turn = killed % len(workers)
                victim = self.busy(workers[turn:] + workers[:turn])
                if victim:
                    self.kill(victim)
                    killed += 1
        most, lost = self.overlap(log)
        self.seen = {"most": most, "lost": lost, "killed": killed}
        self.assertEqual((killed, most), (self.KILLS, self.MOST))
        self.assertGreater(lost, 0)  # somebody was hit
        check(self.queue, token=False)
        self.assertFalse(self.client.exists(self.queue.key("running")))


if __name__ == "__main__":
    unittest.main()
