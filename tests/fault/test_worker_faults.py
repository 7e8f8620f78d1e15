"""What a worker must survive: its children's deaths, its own, and Redis'."""

import json
import os
import signal
import time
import unittest

from pitharness import (SLOWNESS, PitTestCase, children_of, cpu_seconds,
                        descendants_of, is_running, process_name, program_path,
                        wait_until)
from pitqueue import Queue

ROGUE = "tests/fixtures/rogue_app.so"


class FaultCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.redis(aof="everysec")
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, "default")
        self.notes = os.path.join(self.dir, "notes")

    def start(self, **kwargs):
        kwargs.setdefault("app", ROGUE)
        worker = self.worker(self.server, **kwargs)
        worker.wait_for_line(r"ready: worker")
        return worker

    def named(self, worker, name):
        return [pid for pid in children_of(worker.pid)
                if process_name(pid) == name]

    def starts(self, local=None):
        """How often jobs (or one of them) were started, by their own notes."""
        try:
            with open(self.notes, encoding="ascii") as notes:
                return sum(1 for line in notes if line.startswith("start")
                           and (local is None or f".{local} " in line))
        except FileNotFoundError:
            return 0

    def deaf(self, seconds, **options):
        return self.queue.enqueue(
            "deaf", {"seconds": seconds, "path": self.notes}, **options)

    def wait_start(self, local, times=1):
        wait_until(lambda: self.starts(local) >= times, 10,
                   f"start {times} of {local}")


class Children(FaultCase):
    def kill_slot_of(self, job, slots):
        worker = self.start(slots=slots)
        local = self.deaf(1, **job)
        self.wait_start(local)
        (busy,) = [pid for pid in self.named(worker, "pit-slot")
                   if self.title(pid).endswith("deaf")]
        killed = time.monotonic()
        os.kill(busy, signal.SIGKILL)
        self.wait_start(local, 2)
        return local, time.monotonic() - killed

    @staticmethod
    def title(pid):
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as words:
            return words.read().rstrip("\0 ")

    def check_killed_slot(self, slots):
        local, took = self.kill_slot_of({}, slots)
        self.seen = {"again_ms": 1000 * took}
        self.assertLess(took, 0.1 * SLOWNESS)
        state = self.queue.wait_code(local, "S")
        self.assertEqual((state.attempt, state.crashes, state.retries),
                         (2, 1, 0))
        self.assertEqual(state.history[0].message, "signal 9 (SIGKILL)")
        self.assertEqual(self.starts(local), 2)

    def test_killed_slot_runs_its_job_again_within_100_ms(self):
        self.check_killed_slot(2)

    def test_the_only_slot_killed_is_replaced_within_100_ms(self):
        self.check_killed_slot(1)

    def test_jobs_behind_a_crash_are_no_crashes(self):
        worker = self.start(slots=1)
        # Short jobs are fed ahead, so some wait in the ring behind the kill.
        jobs = self.queue.enqueue_many("deaf", 1000, {"seconds": 0.0003})
        kills = 0
        while self.queue.stat("succeeded") < 900:
            for pid in self.named(worker, "pit-slot"):
                os.kill(pid, signal.SIGKILL)
                kills += 1
            time.sleep(0.05)
        wait_until(lambda: self.queue.stat("succeeded") == 1000, 10, "all")
        self.assertGreater(kills, 1)
        self.assertLessEqual(self.queue.stat("crashed"), kills)
        self.assertEqual(self.queue.leased(), 0)
        states = [self.queue.state(job) for job in jobs]
        self.assertEqual(sum(state.crashes for state in states),
                         self.queue.stat("crashed"))
        # On a slow machine some wait for so long that they are handed back:
        # that refunds the attempt.
        self.assertEqual([state for state in states
                          if state.attempt != 1 + state.crashes], [])

    def check_scribble(self, queue, task, other, innocent_crashes):
        """The culprit is quarantined (or had ended before it was noticed, or
        wrote over the time it began at), at the cost of no more than so many
        crashes of others; and no job is held for ever."""
        warm = queue.enqueue_many(other, 300, {"seconds": 0})
        queue.wait_code(warm[-1], "S")
        for byte in (0, 1, 3, 255):
            for seconds in (0, 0.3):
                bad = queue.enqueue(task, {"byte": byte, "seconds": seconds},
                                    timeout_ms=3000, retries=0)
                jobs = queue.enqueue_many(other, 40, {"seconds": 0})
                crashes = sum(queue.wait_code(local, "S", 10).crashes
                              for local in jobs)
                self.assertLessEqual(crashes, innocent_crashes)
                queue.wait_code(bad, "SQD", 10)
                wait_until(lambda: queue.leased() == 0, 5, "no lease left")
        fresh = queue.enqueue(other, {"seconds": 0})
        self.assertEqual(queue.wait_code(fresh, "S", 5).attempt, 1)

    def test_task_that_writes_over_its_ring(self):
        self.start(slots=1, flags=["--kill-grace", "300ms"])
        # What had ended before it stands in the ring until it is collected.
        self.check_scribble(self.queue, "scribble", "pid", 1)

    def test_task_that_writes_over_the_board(self):
        self.start(slots=1, flags=["--kill-grace", "300ms"])
        # All that run beside it crash, but are not quarantined with it.
        self.check_scribble(Queue(self.client, "async"), "async.scribble",
                            "async.nap", 2 * 40)

    def test_neighbours_of_a_crash_are_not_quarantined_with_it(self):
        self.start(slots=1)
        queue = Queue(self.client, "async")
        bad = queue.enqueue("async.exit", {"status": 3})
        others = queue.enqueue_many("async.nap", 20, {"seconds": 0.2})
        self.assertEqual(queue.wait_code(bad, "Q", 20).crashes, 3)
        crashes = [queue.wait_code(local, "S", 20).crashes for local in others]
        self.assertGreater(max(crashes), 0)

    def test_killed_dispatcher_takes_its_slots_along(self):
        worker = self.start(slots=2, flags=["--lease", "1s"])
        local = self.deaf(0.5)
        self.wait_start(local)
        before = descendants_of(worker.pid)
        (dispatcher,) = self.named(worker, "pit-worker")
        os.kill(dispatcher, signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, before)), 2, "their end")
        state = self.queue.wait_code(local, "S", 5)
        self.assertEqual((state.lost, state.crashes), (1, 0))

    def test_application_that_vanished_costs_no_jobs(self):
        """Slots that cannot start back off; what waits is done once they can."""
        app = os.path.join(self.dir, "app.so")
        with open(program_path(ROGUE), "rb") as source, open(app, "wb") as copy:
            copy.write(source.read())
        os.chmod(app, 0o755)
        worker = self.start(slots=1, app=app)
        os.rename(app, app + ".gone")
        (slot,) = self.named(worker, "pit-slot")
        os.kill(slot, signal.SIGKILL)
        worker.wait_for_line("slot: ")
        local = self.queue.enqueue("pid")
        time.sleep(1)
        self.assertLess(worker.log().count("slot: "), 10)
        os.rename(app + ".gone", app)
        self.queue.wait_code(local, "S", 10)


class Workers(FaultCase):
    def both(self, **kwargs):
        """Two idle workers, each asleep in Redis."""
        workers = [self.start(slots=1, **kwargs) for _ in range(2)]
        wait_until(lambda: sum(c["cmd"] == "blpop" for c in
                               self.client.client_list()) == 2, 5, "BLPOP")
        return workers

    def claimer(self, local, workers):
        """Which of them claimed the job."""
        name = wait_until(lambda: self.queue.state(local).worker, 5, "a claim")
        pid = json.loads(self.client.hget("pit:workers", name))["pid"]
        (worker,) = [w for w in workers if w.pid == pid]
        return worker

    def test_killed_worker_leaves_no_orphan_and_its_jobs_run_elsewhere(self):
        workers = self.both(flags=["--lease", "2s"])
        local = self.deaf(5)
        self.wait_start(local)
        victim = self.claimer(local, workers)
        below = descendants_of(victim.pid)
        self.assertEqual(len(below), 2)
        victim.kill()
        killed = time.monotonic()
        wait_until(lambda: not any(map(is_running, below)), 2, "no orphans")
        self.wait_start(local, 2)
        took = time.monotonic() - killed
        self.seen = {"again_ms": 1000 * took}
        self.assertLess(took, 2 + 1)
        state = self.queue.wait_code(local, "S")
        self.assertEqual((state.lost, state.crashes), (1, 0))

    def test_token_of_a_draining_worker_is_passed_on(self):
        first = self.start(slots=1, queues="default", app="examples/smokehouse.so")
        (dispatcher,) = self.named(first, "pit-worker")
        wait_until(self.sleepers(1), 10, "it to sleep")
        self.start(slots=1, queues="default", app="examples/smokehouse.so")
        wait_until(self.sleepers(2), 10, "both to sleep")
        # The longest sleeper is given the token, and is told to end at the
        # same time; SIGTERM to its supervisor continues it.
        os.kill(dispatcher, signal.SIGSTOP)
        local = self.queue.enqueue("noop")
        first.signal(signal.SIGTERM)
        self.queue.wait_code(local, "S", 5)

    def sleepers(self, n):
        return lambda: len([c for c in self.client.client_list()
                            if c["cmd"] == "blpop"]) == n

    def test_retry_of_a_dead_worker_is_known_to_the_others(self):
        """An idle worker learns of due times that came up while it slept."""
        workers = self.both()
        local = self.queue.enqueue("big", {"bytes": 1}, backoff_ms=1500,
                                   retries=1)
        wait_until(lambda: self.queue.state(local).retries == 1, 5, "failure")
        self.claimer(local, workers).kill()
        # The dying one may have eaten the token: then it is the other's look
        # when its sleep ends, 15 s at most.
        self.queue.wait_code(local, "D", 20)

    def test_worker_that_lost_its_lease_stops_its_handler(self):
        worker = self.start(slots=1, flags=["--lease", "1s", "--kill-grace",
                                            "300ms"])
        local = self.deaf(30)
        self.wait_start(local)
        (slot,) = self.named(worker, "pit-slot")
        # Another worker takes the job over, as far as Redis knows.
        state = self.queue.state(local)
        text = self.client.hget(self.queue.key("state"), local)
        self.client.hset(self.queue.key("state"), local,
                         text.replace(state.token, "other.1", 1))
        worker.wait_for_line("lease is lost")
        wait_until(lambda: not is_running(slot), 3, "its handler's end")
        self.assertEqual(self.queue.state(local).token, "other.1")
        self.assertEqual(self.queue.stat("crashed"), 0)
        self.assertEqual(self.queue.wait_code(
            self.queue.enqueue("pid"), "S").attempt, 1)


class RedisFaults(FaultCase):
    def test_restart_while_jobs_run(self):
        worker = self.start(slots=2)
        running = self.deaf(1.5)
        self.wait_start(running)
        warm = self.queue.enqueue_many("pid", 500)
        self.queue.wait_code(warm[-1], "S")
        time.sleep(1.1)  # everysec: what is acknowledged is on disk by then
        self.server.kill()
        worker.wait_for_line("Redis is away")
        self.server.start()
        state = self.queue.wait_code(running, "S", 10)
        self.assertEqual(state.attempt, 1)
        self.assertEqual(self.starts(running), 1)
        self.assertEqual(self.queue.wait_code(
            self.queue.enqueue("pid"), "S", 3).attempt, 1)

    def test_job_that_ends_while_redis_is_away(self):
        worker = self.start(slots=1)
        local = self.deaf(1)
        self.wait_start(local)
        time.sleep(0.3)
        self.server.process.terminate()
        self.server.process.wait_exit()
        worker.wait_for_line("Redis is away")
        pids = [worker.pid] + descendants_of(worker.pid)
        cpu = sum(map(cpu_seconds, pids))
        time.sleep(3)
        self.assertLess(sum(map(cpu_seconds, pids)) - cpu, 3 * 0.02)
        self.server.start()
        state = self.queue.wait_code(local, "S", 5)
        self.assertEqual((state.attempt, state.lost), (1, 0))
        self.assertEqual(self.starts(local), 1)

    def test_hung_redis(self):
        worker = self.start(slots=1)
        local = self.deaf(1)
        self.wait_start(local)
        self.server.sigstop()
        time.sleep(5)
        self.server.sigcont()
        self.queue.wait_code(local, "S", 5)
        more = self.queue.enqueue_many("pid", 200)
        self.queue.wait_code(more[-1], "S", 5)
        self.assertEqual(self.starts(local), 1)
        self.assertTrue(worker.running())

    def test_backlog_through_restarts(self):
        self.start(slots=2)
        self.queue.enqueue_many("pid", 40000)
        for _ in range(3):
            time.sleep(0.1)
            self.server.process.terminate()
            self.server.process.wait_exit()
            self.server.start()
        wait_until(lambda: self.queue.leased() + self.queue.ready() == 0, 30,
                   "the backlog's end")
        self.assertEqual(self.queue.stat("crashed"), 0)

    def test_drain_while_redis_is_away(self):
        worker = self.start(slots=1, flags=["--grace", "200ms", "--kill-grace",
                                            "200ms"])
        local = self.deaf(30)
        self.wait_start(local)
        self.server.kill()
        worker.wait_for_line("Redis is away")
        worker.terminate()
        worker.assert_exit(0, 10)
        self.assertRegex(worker.log(), "1 jobs could not be handed back")

    def test_flushall_and_script_flush(self):
        self.start(slots=1)
        self.queue.wait_code(self.queue.enqueue("pid"), "S")
        local = self.deaf(0.5)
        self.wait_start(local)
        self.client.flushall()
        self.client.script_flush()
        after = self.queue.enqueue("pid")
        self.queue.wait_code(after, "S", 5)
        # With the next heartbeat it says again what it can run.
        wait_until(lambda: self.client.hlen("pit:tasks") > 0 and
                   self.client.exists("pit:schema"), 30, "its tasks again")

    def test_key_of_the_wrong_type(self):
        worker = self.start(slots=1, queues="default,other")
        self.client.set(self.queue.key("leased"), "rubbish")
        self.client.rpush(self.queue.key("wake"), "1")
        worker.wait_for_line("queue default: ")
        time.sleep(1)
        self.assertLess(worker.log().count("queue default: "), 5)
        other = Queue(self.client, "other")
        other.wait_code(other.enqueue("pid"), "S")
        self.client.delete(self.queue.key("leased"))
        self.queue.wait_code(self.queue.enqueue("pid"), "S", 5)

    def test_worker_started_before_redis(self):
        self.server.kill()
        worker = self.worker(self.server, app=ROGUE, slots=1)
        time.sleep(1)
        self.assertTrue(worker.running())
        self.server.start()
        worker.wait_for_line("ready: worker")
        self.queue.wait_code(self.queue.enqueue("pid"), "S")


if __name__ == "__main__":
    unittest.main()
