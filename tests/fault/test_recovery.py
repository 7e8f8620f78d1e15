"""Web, workers and Redis together: frozen, killed and brought back.

What a worker alone survives is in test_worker_faults.py, the web alone in
tests/integration/test_api_server.py, everything at random in test_chaos.py."""

import collections
import json
import os
import signal
import time
import unittest

from pitharness import (SLOWNESS, PitTestCase, children_of, descendants_of,
                        process_name, process_state, wait_until)
from pitscripts import Queue, check

APP = "tests/fixtures/chaos_app.so"
QUEUE = "chaos"
LEASE_S = 2
Run = collections.namedtuple("Run", "n job attempt at")


class Recovery(PitTestCase):
    def setUp(self):
        super().setUp()
        self.notes = os.path.join(self.dir, "notes")
        self.server = self.redis(aof="everysec")
        self.client = self.server.client(encoding="latin-1")
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, QUEUE)

    def start_web(self, **kwargs):
        self.front = self.web(self.server, app=APP, ready="/readyz", **kwargs)
        return self.front

    def hire(self, slots=1):
        worker = self.worker(self.server, app=APP, slots=slots, queues=QUEUE,
                             flags=["--lease", f"{LEASE_S}s",
                                    "--kill-grace", "300ms"],
                             env={"CHAOS_LOG": self.notes})
        worker.wait_for_line(r"ready: worker")
        return worker

    def post(self, n, ms=0):
        """The local id of a job that is acknowledged."""
        answer = self.front.http.post("/v1/jobs", {
            "task": "chaos", "queue": QUEUE, "args": {"n": n, "ms": ms}})
        self.assertEqual(answer.status, 202, answer)
        return answer.json()["id"].rpartition(".")[2]

    def runs(self, what, local=None):
        found = []
        try:
            with open(self.notes, encoding="ascii") as notes:
                lines = notes.readlines()
        except FileNotFoundError:
            return found
        for line in lines:
            letter, n, job, attempt, at_us = line.split()
            run = Run(int(n), job.rpartition(".")[2], int(attempt),
                      int(at_us) / 1e6)
            if letter == what and local in (None, run.job):
                found.append(run)
        return found

    def wait_run(self, what, local, times, deadline=10):
        return wait_until(
            lambda: self.runs(what, local)[times - 1:times], deadline,
            f"{what} number {times} of {local}", interval=0.002)[0]

    def state(self, local):
        """[code, token, attempt, ...] and the letters of the ended attempts."""
        head, *attempts = self.queue.get(local).state.split("\n")[:-1]
        return head.split(" "), [one.split(" ")[1] for one in attempts]

    def wait_code(self, local, code, deadline=10):
        wait_until(lambda: (self.queue.get(local).state or "-")[0] == code,
                   deadline, f"{local} to be {code}")

    @staticmethod
    def freeze(pids):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: all(process_state(pid) == "T" for pid in pids), 5,
                   "SIGSTOP")

    @staticmethod
    def thaw(pids):
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


class Frozen(Recovery):
    """A worker that hangs beyond its lease and then goes on."""

    def setUp(self):
        super().setUp()
        self.start_web()
        self.first = self.hire()

    def taken_over(self, ms, frozen):
        """A job whose worker is frozen until another one runs it."""
        local = self.post(1, ms)
        self.wait_run("S", local, 1)
        self.freeze(frozen)
        frozen_at = time.time()
        self.second = self.hire()
        again = self.wait_run("S", local, 2)
        self.assertEqual(again.attempt, 2)
        self.assertLess(again.at - frozen_at, (LEASE_S + 1) * SLOWNESS)
        return local

    def check_fenced(self, local):
        """It ended once, as the second worker said."""
        self.wait_code(local, "S")
        head, attempts = self.state(local)
        self.assertEqual((head[2:6], attempts), (["2", "0", "0", "1"], ["l"]))
        second = self.client.hgetall("pit:workers")
        self.assertEqual(json.loads(second[head[6]])["pid"], self.second.pid)
        stats = self.queue.stats()
        self.assertEqual((stats["succeeded"], stats["lost"]), (1, 1))
        self.assertNotIn("crashed", stats)
        check(self.queue)

    def check_works_again(self, worker):
        """The worker that came back takes jobs like any other."""
        self.second.terminate()
        self.second.assert_exit(0)
        local = self.post(2)
        self.wait_code(local, "S")
        pid = json.loads(self.client.hget("pit:workers",
                                          self.state(local)[0][6]))["pid"]
        self.assertEqual(pid, worker.pid)

    def test_whole_worker_is_fenced_and_stops_its_handler(self):
        pids = [self.first.pid] + descendants_of(self.first.pid)
        local = self.taken_over(3000, pids)
        self.thaw(pids)
        self.first.wait_for_line("lease is lost")
        self.check_fenced(local)
        self.assertEqual([run.attempt for run in self.runs("E", local)], [2])
        self.check_works_again(self.first)

    def test_token_that_a_frozen_worker_took_delays_for_seconds_only(self):
        def asleep(workers):
            return sum(one["cmd"] == "blpop"
                       for one in self.client.client_list()) == workers
        wait_until(lambda: asleep(1), 5, "the first in BLPOP")
        self.hire()
        wait_until(lambda: asleep(2), 5, "the second in BLPOP")
        # Redis serves those who block in their order: the frozen one first.
        self.freeze([self.first.pid] + descendants_of(self.first.pid))
        local = self.post(1)
        self.wait_code(local, "S", 17)
        self.assertEqual(self.queue.stats()["succeeded"], 1)

    def test_late_finish_is_refused(self):
        """The handler ends while its dispatcher hangs; another one runs it
        meanwhile, and the late success must not be taken for that one's."""
        dispatcher, = [pid for pid in children_of(self.first.pid)
                       if process_name(pid) == "pit-worker"]
        local = self.taken_over(1500 + LEASE_S * 1000, [dispatcher])
        self.wait_run("E", local, 1)
        self.thaw([dispatcher])
        self.first.wait_for_line("lease is lost")
        self.assertEqual(self.state(local)[0][0], "R", "the second one runs")
        self.check_fenced(local)
        self.assertEqual([run.attempt for run in self.runs("E", local)],
                         [1, 2])
        self.check_works_again(self.first)


class Restarts(Recovery):
    def test_all_are_back_within_two_seconds_of_redis(self):
        self.start_web(processes=2)
        self.hire()
        self.wait_code(self.post(1), "S")
        self.server.kill()
        wait_until(lambda: self.front.http.get("/readyz").status == 503)
        time.sleep(1.5)  # long enough for longer pauses between attempts
        self.server.start()
        back = time.monotonic()

        def taken():
            answers = [self.front.http.post("/v1/jobs", {
                "task": "chaos", "queue": QUEUE, "args": {"n": 2}})
                for _ in range(8)]  # both processes
            return (all(answer.status == 202 for answer in answers)
                    and answers[0].json()["id"].rpartition(".")[2])
        local = wait_until(taken, 5, "all web processes")
        self.wait_code(local, "S", 5)
        self.assertLess(time.monotonic() - back, 2 * SLOWNESS)

    def test_a_machine_that_falls_over_loses_nothing(self):
        """kill -9 of web, worker and Redis at once, with jobs everywhere."""
        self.start_web(processes=2)
        worker = self.hire(slots=2)
        jobs = [self.post(n, 20 if n % 10 == 0 else 0) for n in range(300)]
        late = self.front.http.post("/v1/jobs", {
            "task": "chaos", "queue": QUEUE, "args": {"n": -1}, "delay": "3s"})
        jobs.append(late.json()["id"].rpartition(".")[2])
        # What is acknowledged is on disk then: see docs/operations.md.
        wait_until(lambda: self.client.info("persistence")
                   ["aof_pending_bio_fsync"] == 0, 5, "a written file")
        for process in (self.server.process, self.front, worker):
            process.kill()
        done_before = {run.job for run in self.runs("E")}
        self.server.start()
        self.start_web(processes=2)
        self.hire(slots=2)
        wait_until(lambda: {run.job for run in self.runs("E")} == set(jobs), 20,
                   "all jobs to be executed")
        wait_until(lambda: self.queue.counts().leased == 0, 10, "the last end")
        self.assertEqual(set(check(self.queue).values()), {"done"})
        self.assertEqual(self.queue.stats()["enqueued"], len(jobs))
        # Only what was under way, or had ended unheard, ran a second time.
        twice = [job for job in jobs if len(self.runs("E", job)) > 1]
        self.assertLessEqual(set(twice), done_before)


if __name__ == "__main__":
    unittest.main()
