"""pit-worker beside a private Redis: outcomes, order, limits, drain."""

import json
import os
import re
import subprocess
import time
import unittest

from pitharness import (SLOWNESS, PitTestCase, children_of, cpu_seconds,
                        process_name, program_path, wait_until)
from pitqueue import Queue

ROGUE = "tests/fixtures/rogue_app.so"


class WorkerCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.redis(aof="no")
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, "default")

    def start(self, **kwargs):
        kwargs.setdefault("app", ROGUE)
        worker = self.worker(self.server, **kwargs)
        worker.wait_for_line(r"ready: worker")
        return worker

    def slots(self, worker):
        return [pid for pid in children_of(worker.pid)
                if process_name(pid) == "pit-slot"]

    def result(self, local, deadline=10.0):
        self.queue.wait_code(local, "S", deadline)
        return self.queue.result(local)


class Outcomes(WorkerCase):
    def test_success_with_and_without_a_result(self):
        self.start(app="examples/smokehouse.so")
        plain = self.queue.enqueue("noop")
        echo = self.queue.enqueue("echo", {"x": [1, "\u00fc"]})
        self.assertEqual(self.result(echo), {"x": [1, "\u00fc"]})
        self.queue.wait_code(plain, "S")
        self.assertIsNone(self.queue.result(plain))

    def test_failure_is_retried_and_then_dead(self):
        self.start(app="examples/smokehouse.so")
        job = self.queue.enqueue("fail", {"message": "no \"wood\"\n"},
                                 retries=2, backoff_ms=20)
        state = self.queue.wait_code(job, "D")
        self.assertEqual([a.outcome for a in state.history], ["f"] * 3)
        self.assertEqual(state.history[0].message, "no \"wood\"\n")
        for before, after in zip(state.history, state.history[1:]):
            self.assertGreaterEqual(after.started - before.ended, 20)

    def test_permanent_failure_is_not_retried(self):
        other = Queue(self.client, "other")
        self.start()
        job = other.enqueue("give-up", retries=5)
        state = other.wait_code(job, "D")
        self.assertEqual(state.attempt, 1)
        self.assertEqual(state.history[0].message, "never again")

    def test_unknown_task_fails_and_says_so(self):
        self.start()
        job = self.queue.enqueue("nobody.knows", retries=0)
        state = self.queue.wait_code(job, "D")
        self.assertRegex(state.history[0].message, "no task nobody.knows")

    def test_damaged_record_goes_to_the_dead(self):
        self.client.hset(self.queue.key("jobs"), "broken", "1x rubbish")
        self.client.rpush(self.queue.key("ready:5"), "5broken")
        self.client.rpush(self.queue.key("wake"), "1")
        self.start()
        self.queue.wait_code("broken", "D")

    def test_timeout_of_a_task_that_listens(self):
        self.start(app="examples/smokehouse.so")
        begin = time.monotonic()
        job = self.queue.enqueue("sleep", {"seconds": 30}, timeout_ms=200,
                                 retries=0)
        state = self.queue.wait_code(job, "D")
        self.assertLess(time.monotonic() - begin, 2)
        self.assertEqual(state.history[0].outcome, "t")
        self.assertRegex(state.history[0].message, "^.?timeout after 200 ms.?$")

    def test_timeout_of_a_task_that_does_not(self):
        worker = self.start(slots=1, flags=["--kill-grace", "300ms"])
        before = self.slots(worker)
        job = self.queue.enqueue("deaf", {"seconds": 60}, timeout_ms=200,
                                 retries=0)
        state = self.queue.wait_code(job, "D")
        attempt = state.history[0]
        self.assertEqual(attempt.outcome, "t")
        self.assertGreaterEqual(attempt.ended - attempt.started, 480)
        self.assertLess(attempt.ended - attempt.started, 2000)
        self.assertNotEqual(self.slots(worker), before)
        self.assertEqual(self.queue.stat("crashed"), 0)

    def test_exit_in_a_handler_is_a_crash(self):
        self.start()
        job = self.queue.enqueue("exit", {"status": 3})
        state = self.queue.wait_code(job, "Q")
        self.assertEqual([a.message for a in state.history],
                         ["exit status 3"] * 3)
        self.assertEqual((state.crashes, state.retries), (3, 0))
        quiet = self.queue.enqueue("exit", {"status": 0})
        state = self.queue.wait_code(quiet, "Q")
        self.assertEqual(state.history[0].message, "exit status 0")

    def test_crash_runs_again_soon(self):
        self.start(slots=1, app="examples/smokehouse.so")
        job = self.queue.enqueue("crash", {"times": 2})
        state = self.queue.wait_code(job, "S")
        self.assertEqual(state.crashes, 2)
        self.assertEqual(self.queue.result(job), {"crashes": 2})
        for before, after in zip(state.history, state.history[1:]):
            self.assertLess(after.started - before.started,
                            100 * SLOWNESS)

    def test_largest_args_and_results(self):
        self.start(app="examples/smokehouse.so")
        args = "x" * (1024 * 1024 - 2)
        jobs = self.queue.enqueue_many("echo", 5, args)
        small = self.queue.enqueue("echo", 1)
        for job in jobs:
            self.assertEqual(self.result(job), args)
        self.assertEqual(self.result(small), 1)

    def test_result_over_the_limit_is_a_failure(self):
        self.start()
        job = self.queue.enqueue("big", {"bytes": 1024 * 1024 + 1}, retries=0)
        state = self.queue.wait_code(job, "D")
        self.assertRegex(state.history[0].message, "1048576")

    def test_what_a_task_prints_is_in_the_log(self):
        worker = self.start()
        job = self.queue.enqueue("print")
        worker.wait_for_line(f"printed by default.{job}")

    def test_progress_is_stored_while_it_runs(self):
        self.start(app="examples/smokehouse.so")
        job = self.queue.enqueue("sleep", {"seconds": 1})
        progress = wait_until(lambda: self.client.hget(
            self.queue.key("progress"), job), 3, "progress")
        self.assertEqual(json.loads(progress)["total"], 1000)
        self.assertEqual(json.loads(progress)["message"], "sleeping")
        self.queue.wait_code(job, "S")


class Order(WorkerCase):
    def test_delayed_job_starts_on_time(self):
        self.start(app="examples/smokehouse.so")
        job = self.queue.enqueue("noop", delay_ms=400)
        due = self.client.zscore(self.queue.key("due"), f"5{job}")
        state = self.queue.wait_code(job, "S")
        self.assertGreaterEqual(state.started, due)
        self.assertLess(state.started, due + 50)

    def test_higher_priority_first(self):
        low = self.queue.enqueue_many("noop", 300, priority=1)
        high = self.queue.enqueue("noop", priority=9)
        self.start(app="examples/smokehouse.so", slots=1)
        self.queue.wait_code(low[-1], "S")
        self.assertLessEqual(self.queue.state(high).started,
                             min(self.queue.state(job).started
                                 for job in low))

    def test_weights_share_and_nobody_starves(self):
        heavy, light = Queue(self.client, "a"), Queue(self.client, "b")
        heavy.enqueue_many("deaf", 60, {"seconds": 0.01})
        light.enqueue_many("deaf", 60, {"seconds": 0.01})
        self.start(queues="a:3,b:1", slots=1)
        wait_until(lambda: heavy.stat("succeeded") >= 40, 20, "40 of a")
        done = light.stat("succeeded")
        self.assertGreaterEqual(done, 8)
        self.assertLessEqual(done, 20)

    def test_queue_that_is_not_served_is_left_alone(self):
        self.start(queues="other", app="examples/smokehouse.so")
        job = self.queue.enqueue("noop")
        other = Queue(self.client, "other")
        other.wait_code(other.enqueue("noop"), "S")
        self.assertIsNone(self.queue.state(job).code)

    def test_a_slow_job_does_not_hold_up_quick_ones(self):
        """Short jobs are fed far ahead; a long one among them gives back what
        waits behind it."""
        self.start(slots=2)
        warm = self.queue.enqueue_many("pid", 500)
        self.queue.wait_code(warm[-1], "S")
        slow = self.queue.enqueue("deaf", {"seconds": 3})
        quick = self.queue.enqueue_many("pid", 200)
        for job in quick:
            self.queue.wait_code(job, "S", 2)
        self.assertEqual(self.queue.state(slow).code, "R")

    def test_two_workers_share_a_backlog_of_long_jobs(self):
        jobs = self.queue.enqueue_many("deaf", 8, {"seconds": 0.3})
        self.start(slots=2)
        self.start(slots=2)
        states = [self.queue.wait_code(job, "S") for job in jobs]
        self.assertEqual(len({s.worker for s in states}), 2)


class Life(WorkerCase):
    def test_names_and_sizes(self):
        worker = self.start(slots=2, app="examples/smokehouse.so")
        self.assertEqual(process_name(worker.pid), "pit-worker")
        self.assertEqual(len(self.slots(worker)), 2)
        job = self.queue.enqueue("sleep", {"seconds": 1})
        self.queue.wait_code(job, "R")

        def title(pid):
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as words:
                return words.read().rstrip("\0 ")
        wait_until(lambda: any("sleep" in title(pid)
                               for pid in self.slots(worker)), 5, "a title")

    def test_children_are_recycled_by_count(self):
        self.start(slots=1, flags=["--max-jobs-per-child", "5"])
        pids = [self.result(job)["pid"]
                for job in self.queue.enqueue_many("pid", 20)]
        self.assertEqual(len(set(pids)), 4)
        self.assertEqual(self.queue.stat("crashed"), 0)

    def test_children_are_recycled_by_size(self):
        self.start(slots=1, flags=["--max-child-rss", "40MiB"])
        pids = [self.result(self.queue.enqueue(
            "leak", {"bytes": 50 * 1024 * 1024}))["pid"] for _ in range(3)]
        self.assertEqual(len(set(pids)), 3)
        self.assertEqual(self.queue.stat("crashed"), 0)

    def test_registers_itself_and_its_tasks(self):
        worker = self.start(slots=2)
        self.assertIn("deaf", self.client.hgetall("pit:tasks"))
        (entry,) = self.client.hvals("pit:workers")
        entry = json.loads(entry)
        self.assertEqual(entry["slots"], 2)
        self.assertEqual(entry["pid"], worker.pid)
        self.assertEqual(set(entry["queues"]), {"default", "other", "async"})
        self.assertLess(abs(entry["seen_ms"] - time.time() * 1000), 5000)
        worker.terminate()
        worker.assert_exit(0)
        self.assertEqual(self.client.hgetall("pit:workers"), {})

    def test_idle_worker_is_quiet(self):
        worker = self.start(app="examples/smokehouse.so")
        self.queue.wait_code(self.queue.enqueue("noop"), "S")
        # The calls that follow a job have been made once it sleeps in BLPOP.
        wait_until(lambda: any(c["cmd"] == "blpop"
                               for c in self.client.client_list()), 5, "BLPOP")
        def calls():
            stats = self.client.info("commandstats")
            return sum(v["calls"] for k, v in stats.items()
                       if k not in ("cmdstat_info", "cmdstat_client|list"))
        pids = [worker.pid] + children_of(worker.pid)
        before, cpu = calls(), sum(map(cpu_seconds, pids))
        # A stretch of time is what is measured here.
        time.sleep(10)
        self.assertLessEqual(calls() - before, 2)
        self.assertLess(sum(map(cpu_seconds, pids)) - cpu, 0.05)


class Drain(WorkerCase):
    def test_running_job_ends_within_the_grace(self):
        worker = self.start(slots=1)
        path = os.path.join(self.dir, "notes")
        running = self.queue.enqueue("deaf", {"seconds": 1, "path": path})
        # Claimed is not begun: one that was not is handed back.
        wait_until(lambda: os.path.exists(path), 5, "its start")
        waiting = self.queue.enqueue_many("deaf", 3, {"seconds": 1})
        worker.terminate()
        worker.assert_exit(0)
        self.assertEqual(self.queue.state(running).code, "S")
        self.assertEqual(self.queue.ready(), 3)
        self.assertEqual(self.queue.leased(), 0)
        for job in waiting:
            self.assertEqual(self.queue.state(job).attempt, 0)

    def test_job_over_the_grace_is_handed_back_with_its_attempt(self):
        worker = self.start(slots=1, flags=["--grace", "300ms", "--kill-grace",
                                            "200ms"])
        job = self.queue.enqueue("deaf", {"seconds": 60})
        self.queue.wait_code(job, "R")
        worker.terminate()
        worker.assert_exit(0, 5)
        state = self.queue.state(job)
        self.assertEqual((state.code, state.attempt, state.crashes),
                         ("W", 0, 0))
        self.assertEqual(self.queue.ready(), 1)
        self.assertEqual(self.queue.stat("released"), 1)

    def test_second_signal_does_not_wait(self):
        worker = self.start(slots=1)
        job = self.queue.enqueue("deaf", {"seconds": 60})
        self.queue.wait_code(job, "R")
        worker.terminate()
        worker.wait_for_line("draining")
        worker.terminate()
        worker.assert_exit(0, 3)
        self.assertEqual(self.queue.state(job).code, "W")
        self.assertEqual(self.queue.ready(), 1)

    def test_short_jobs_ahead_are_handed_back_in_order(self):
        worker = self.start(slots=1)
        jobs = self.queue.enqueue_many("deaf", 5000, {"seconds": 0.0003})
        wait_until(lambda: self.queue.stat("succeeded") > 300, 5, "a start")
        worker.terminate()
        worker.assert_exit(0)
        done = self.queue.stat("succeeded")
        self.assertLess(done, 5000)
        self.assertGreater(self.queue.stat("released"), 0)
        self.assertEqual(self.queue.leased(), 0)
        left = [entry[1:] for entry in
                self.client.lrange(self.queue.key("ready:5"), 0, -1)]
        self.assertEqual(left, jobs[done:])


class Start(PitTestCase):
    def run_worker(self, *words):
        return subprocess.run([program_path("pit-worker"), *words],
                              capture_output=True, text=True, timeout=20,
                              check=False)

    def test_help_and_version(self):
        shown = self.run_worker("--help")
        self.assertEqual(shown.returncode, 0)
        for flag in ("--redis", "--queues", "--slots", "--lease", "--grace",
                     "--kill-grace", "--max-jobs-per-child"):
            self.assertIn(flag, shown.stdout)
        self.assertRegex(self.run_worker("--version").stdout,
                         r"^pit-worker \d+\.\d+\.\d+$")

    def test_refusals_are_one_line(self):
        app = program_path(ROGUE)
        for words, says in [
                ([], "--app"),
                (["--app", "/nowhere.so"], "/nowhere.so"),
                (["--app", app, "--queues", "a b"], "'a b' is no queue"),
                (["--app", app, "--queues", "a:0"], "'a:0'"),
                (["--app", app, "--queues", "a,a:2"], "twice"),
                (["--app", app, "--slots", "x"], "--slots"),
                (["--app", app, "--lease", "10ms"], "--lease"),
                (["--app", app, "--log-level", "loud"], "loud"),
                (["--app", app, "stray"], "stray"),
                (["--app", app, "--redis", "http://x"], "redis://")]:
            with self.subTest(words=words):
                done = self.run_worker(*words)
                lines = [line for line in done.stderr.splitlines()
                         if "as root" not in line]
                self.assertEqual(done.returncode, 2)
                self.assertEqual(len(lines), 1, done.stderr)
                self.assertRegex(lines[0], re.escape(says))


if __name__ == "__main__":
    unittest.main()
