"""Async tasks: hundreds at once in one child of the worker."""

import json
import os
import signal
import time
import unittest

from pitharness import (SLOWNESS, PitTestCase, children_of, is_running,
                        process_name, wait_until)
from pitqueue import Queue

ROGUE = "tests/fixtures/rogue_app.so"


class AsyncCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.redis(aof="no")
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, "async")
        self.notes = os.path.join(self.dir, "notes")

    def start(self, **kwargs):
        kwargs.setdefault("app", ROGUE)
        kwargs.setdefault("slots", 1)
        worker = self.worker(self.server, **kwargs)
        worker.wait_for_line(r"ready: worker")
        return worker

    @staticmethod
    def children(worker):
        return [pid for pid in children_of(worker.pid)
                if process_name(pid) == "pit-async"]

    def child(self, worker):
        return wait_until(lambda: self.children(worker), 5, "the child")[0]

    def nap(self, seconds, n=1, **options):
        return self.queue.enqueue_many(
            "async.nap", n, {"seconds": seconds, "path": self.notes},
            **options)

    def starts(self):
        try:
            with open(self.notes, encoding="ascii") as notes:
                return sum(line.startswith("start") for line in notes)
        except FileNotFoundError:
            return 0


class AtOnce(AsyncCase):
    def test_child_comes_with_the_first_async_job(self):
        worker = self.start()
        self.assertEqual(self.children(worker), [])
        (job,) = self.nap(0)
        state = self.queue.wait_code(job, "S")
        self.assertEqual(state.attempt, 1)
        self.assertEqual(self.queue.result(job)["pid"], self.child(worker))

    def test_hundreds_run_at_once_in_one_process(self):
        worker = self.start()
        begin = time.monotonic()
        jobs = self.nap(1, 200)
        wait_until(lambda: self.starts() == 200, 5, "all of them to start")
        self.assertLess(time.monotonic() - begin, 0.9 * SLOWNESS)
        for job in jobs:
            self.queue.wait_code(job, "S")
        self.assertEqual({self.queue.result(job)["pid"] for job in jobs},
                         {self.child(worker)})

    def test_no_more_than_async_says(self):
        self.start(flags=["--async", "5"])
        jobs = self.nap(0.3, 12)
        wait_until(lambda: self.starts() == 5, 5, "five to start")
        self.assertEqual(self.queue.leased(), 5)
        for job in jobs:
            self.queue.wait_code(job, "S")
        self.assertEqual(self.queue.stat("released"), 0)

    def test_end_out_of_order(self):
        self.start()
        slow, = self.nap(1.5)
        wait_until(lambda: self.starts() == 1, 5)
        quick, = self.nap(0)
        self.queue.wait_code(quick, "S", 1)
        self.assertEqual(self.queue.state(slow).code, "R")
        self.queue.wait_code(slow, "S")

    def test_slots_that_are_busy_do_not_hold_them_up(self):
        self.start(slots=1)
        blocking = Queue(self.client, "default")
        jobs = blocking.enqueue_many("deaf", 3, {"seconds": 1})
        wait_until(lambda: blocking.state(jobs[0]).code == "R", 5)
        job, = self.nap(0)
        self.queue.wait_code(job, "S", 0.8 * SLOWNESS)
        for job in jobs:
            blocking.wait_code(job, "S")

    def test_both_kinds_in_one_queue(self):
        self.start(slots=1, flags=["--async", "2"])
        mixed = Queue(self.client, "default")
        jobs = []
        for _ in range(20):
            jobs += [mixed.enqueue("async.nap", {"seconds": 0.05}),
                     mixed.enqueue("pid")]
        for job in jobs:
            self.assertEqual(mixed.wait_code(job, "S").attempt, 1)

    def test_none_with_async_0(self):
        worker = self.start(flags=["--async", "0"])
        mixed = Queue(self.client, "default")
        job = mixed.enqueue("async.nap", retries=0)
        state = mixed.wait_code(job, "D")
        self.assertRegex(state.history[0].message, "--async 0")
        self.nap(0)
        time.sleep(0.3)
        self.assertEqual(self.queue.ready(), 1)
        self.assertEqual(self.children(worker), [])

    def test_progress_is_told_while_it_runs(self):
        self.start()
        job, = self.nap(1.5)
        told = wait_until(
            lambda: self.client.hget(self.queue.key("progress"), job), 3)
        self.assertEqual(json.loads(told)["message"], "napping")


class Following(AsyncCase):
    def follow(self, job):
        return self.queue.enqueue("async.follow", {
            "job": f"async.{job}", "path": self.notes})

    def test_one_sees_others_to_their_end(self):
        self.start()
        (napping,) = self.nap(0.5)
        jobs = [self.follow(napping) for _ in range(20)]
        for job in jobs:
            self.queue.wait_code(job, "S")
            self.assertEqual(self.queue.result(job), "succeeded")
        readers = [c for c in self.client.client_list()
                   if c["name"] == "pit-events"]
        self.assertEqual(len(readers), 1)

    def test_a_drain_ends_one_that_follows(self):
        worker = self.start(flags=["--grace", "200ms", "--kill-grace", "2s"])
        job = self.follow(self.queue.enqueue(
            "async.nap", delay_ms=3600000))
        wait_until(lambda: self.starts() == 1, 10)
        worker.terminate()
        worker.assert_exit(0, 5)
        self.assertEqual(self.queue.state(job).attempt, 0)


class Time(AsyncCase):
    def test_timeout_wakes_the_await(self):
        self.start()
        job, = self.nap(30, timeout_ms=200, retries=0)
        attempt = self.queue.wait_code(job, "D", 3).history[0]
        self.assertEqual(attempt.outcome, "t")
        self.assertLess(attempt.ended - attempt.started, 1500 * SLOWNESS)

    def test_one_that_does_not_stop_takes_nobody_along(self):
        """Its child is killed; the others run again, uncounted."""
        worker = self.start(flags=["--kill-grace", "300ms"])
        nap, = self.nap(3)
        wait_until(lambda: self.starts() == 1, 5)
        first = self.child(worker)
        stubborn = self.queue.enqueue("async.stubborn", timeout_ms=200,
                                      retries=0)
        self.assertEqual(self.queue.wait_code(stubborn, "D", 5)
                         .history[0].outcome, "t")
        state = self.queue.wait_code(nap, "S", 8)
        self.assertEqual((state.attempt, state.crashes), (1, 0))
        self.assertEqual(self.starts(), 2)
        self.assertNotEqual(self.child(worker), first)
        worker.wait_for_line("does not stop: the async child is killed")

    def test_blocking_task_is_named(self):
        worker = self.start()
        job = self.queue.enqueue("async.deaf", {"seconds": 0.3})
        self.queue.wait_code(job, "S")
        worker.wait_for_line("async.deaf blocked the loop for")


class End(AsyncCase):
    def test_drain_waits_for_them(self):
        worker = self.start()
        job, = self.nap(1)
        wait_until(lambda: self.starts() == 1, 5)
        worker.terminate()
        worker.assert_exit(0, 5)
        self.assertEqual(self.queue.state(job).code, "S")

    def test_drain_hands_back_what_does_not_end(self):
        worker = self.start(flags=["--grace", "200ms", "--kill-grace", "2s"])
        jobs = self.nap(30, 20)
        wait_until(lambda: self.starts() == 20, 5)
        worker.terminate()
        worker.assert_exit(0, 5)
        self.assertEqual(self.queue.ready(), 20)
        self.assertEqual({self.queue.state(job).attempt for job in jobs}, {0})

    def test_child_is_replaced_after_so_many_jobs(self):
        self.start(flags=["--max-jobs-per-child", "10"])
        pids = set()
        for _ in range(4):
            for job in self.nap(0, 10):
                self.assertEqual(self.queue.wait_code(job, "S").attempt, 1)
                pids.add(self.queue.result(job)["pid"])
        self.assertGreater(len(pids), 2)
        self.assertEqual(self.queue.stat("crashed"), 0)


class Death(AsyncCase):
    def test_killed_child_runs_its_jobs_again_within_100_ms(self):
        worker = self.start()
        jobs = self.nap(1, 50)
        wait_until(lambda: self.starts() == 50, 5)
        os.kill(self.child(worker), signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda: self.starts() == 100, 5)
        self.assertLess(time.monotonic() - killed, 0.1 * SLOWNESS)
        for job in jobs:
            state = self.queue.wait_code(job, "S")
            self.assertEqual((state.attempt, state.crashes), (2, 1))
        self.assertEqual(state.history[0].message, "signal 9 (SIGKILL)")

    def test_task_that_exits_is_quarantined(self):
        worker = self.start()
        job = self.queue.enqueue("async.exit", {"status": 3})
        state = self.queue.wait_code(job, "Q")
        self.assertEqual(state.crashes, 3)
        # 3, unless a sanitizer takes the coroutine's end for a leak.
        self.assertRegex(state.history[-1].message, r"^exit status \d+$")
        ok, = self.nap(0)
        self.queue.wait_code(ok, "S")
        self.assertTrue(is_running(self.child(worker)))

    def test_stopped_child_loses_no_job(self):
        """One that hangs is killed once its jobs' time is over."""
        worker = self.start(flags=["--kill-grace", "200ms"])
        self.queue.wait_code(self.nap(0)[0], "S")
        os.kill(self.child(worker), signal.SIGSTOP)
        job, = self.nap(0, timeout_ms=300)
        other, = self.nap(0, timeout_ms=300)
        time.sleep(0.2)
        os.kill(self.child(worker), signal.SIGKILL)
        for local in (job, other):
            state = self.queue.wait_code(local, "S", 5)
            self.assertEqual((state.attempt, state.crashes), (1, 0))


if __name__ == "__main__":
    unittest.main()
