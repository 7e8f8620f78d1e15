"""Workers as others see them: listed, quieted, stopped; cancelled jobs; logs."""

import json
import os
import signal
import time
import unittest

from pitharness import (SLOWNESS, PitTestCase, children_of, is_running,
                        process_name, wait_until)
from pitqueue import Queue

ROGUE = "tests/fixtures/rogue_app.so"


class WorkersCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.redis(aof="no")
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, "default")
        self.async_queue = Queue(self.client, "async")
        self.notes = os.path.join(self.dir, "notes")
        self.front = self.web(self.server, app=None)

    def start(self, **kwargs):
        kwargs.setdefault("slots", 1)
        worker = self.worker(self.server, app=ROGUE, **kwargs)
        worker.wait_for_line(r"ready: worker")
        wait_until(lambda: "pit-worker-orders" in
                   {c["name"] for c in self.client.client_list()}, 5)
        return worker

    def workers(self):
        return self.front.http.get("/v1/workers").json()["workers"]

    def only(self):
        (worker,) = self.workers()
        return worker

    def order(self, word, status=202):
        answer = self.front.http.post(f"/v1/workers/{self.only()['id']}:{word}")
        self.assertEqual(answer.status, status, answer)

    def notes_with(self, word):
        try:
            with open(self.notes, encoding="ascii") as notes:
                return sum(line.startswith(word) for line in notes)
        except FileNotFoundError:
            return 0


class Listing(WorkersCase):
    def test_list_and_show(self):
        worker = self.start(slots=2, queues="default:3,async")
        slow = self.queue.enqueue("deaf", {"seconds": 30, "path": self.notes})
        nap = self.async_queue.enqueue("async.nap", {"seconds": 30,
                                                     "path": self.notes})
        wait_until(lambda: self.notes_with("start") == 2, 5)
        self.order("quiet")  # makes it say at once what it runs
        seen = wait_until(lambda: (lambda w: w["state"] == "quiet" and w)
                          (self.only()), 5)
        self.assertEqual((seen["pid"], seen["slots"], seen["async"]),
                         (worker.pid, 2, 256))
        self.assertEqual(seen["queues"], {"default": 3, "async": 1})
        self.assertGreater(seen["rss_bytes"], 1 << 20)
        self.assertRegex(seen["started_at"], r"^20\d\d-.*Z$")
        running = {one["job"]: one for one in seen["running"]}
        self.assertIn(running[f"default.{slow}"]["slot"], (0, 1))
        self.assertIsNone(running[f"async.{nap}"]["slot"])
        self.assertEqual(running[f"async.{nap}"]["task"], "async.nap")
        self.assertEqual(
            self.front.http.get(f"/v1/workers/{seen['id']}").json()["id"],
            seen["id"])
        listed = self.cli(self.server, "workers")
        self.assertIn(seen["id"], listed.stdout)
        listed = json.loads(self.cli(self.server, "workers", "--json").stdout)
        self.assertEqual(listed["workers"][0]["id"], seen["id"])

    def test_what_is_not_there(self):
        for path in ("/v1/workers/nobody", "/v1/workers/no%20body"):
            self.assertEqual(self.front.http.get(path).status, 404)
        self.assertEqual(
            self.front.http.post("/v1/workers/nobody:stop").status, 404)
        self.assertEqual(self.front.http.get("/v1/workers?x=1").status, 400)
        self.cli(self.server, "workers", "stop", "nobody", code=1)
        self.cli(self.server, "workers", "stop", code=2)
        self.cli(self.server, "workers", "jump", "nobody", code=2)

    def test_lost_and_forgotten_ones(self):
        now = int(time.time() * 1000)
        for name, seen in (("here", now), ("lost", now - 90000),
                           ("gone", now - 3700000)):
            self.client.hset("pit:workers", name, json.dumps(
                {"id": name, "seen_ms": seen}))
        self.client.hset("pit:workers", "rubbish", "[[[")
        self.client.hset("pit:workers", "bad id", "{}")
        self.assertEqual([(w["id"], w["state"]) for w in self.workers()],
                         [("here", "running"), ("lost", "lost")])
        self.assertFalse(self.client.hexists("pit:workers", "gone"))


class Orders(WorkersCase):
    def test_quiet_and_resume(self):
        self.start()
        self.queue.wait_code(self.queue.enqueue("pid"), "S")
        self.order("quiet")
        wait_until(lambda: self.only()["state"] == "quiet", 5)
        job = self.queue.enqueue("pid")
        time.sleep(0.3)
        self.assertIsNone(self.queue.state(job).code)
        self.order("resume")
        self.queue.wait_code(job, "S", 2)
        self.assertEqual(self.only()["state"], "running")

    def test_token_that_a_quiet_worker_took_is_passed_on(self):
        self.start()
        wait_until(lambda: any(c["cmd"] == "blpop"
                               for c in self.client.client_list()), 5)
        self.cli(self.server, "workers", "quiet", self.only()["id"])
        wait_until(lambda: self.only()["state"] == "quiet", 5)
        job = self.queue.enqueue("pid")
        self.start()
        self.queue.wait_code(job, "S", 3)

    def test_stop_drains_and_ends(self):
        worker = self.start()
        job = self.queue.enqueue("deaf", {"seconds": 0.5, "path": self.notes})
        wait_until(lambda: self.notes_with("start") == 1, 5)
        self.order("stop")
        worker.assert_exit(0, 5)
        self.assertEqual(self.queue.state(job).code, "S")
        self.assertEqual(self.workers(), [])

    def test_unknown_order_is_passed_over(self):
        worker = self.start()
        self.client.publish(f"pit:worker:{self.only()['id']}", "explode now")
        worker.wait_for_line("an unknown order: explode now")
        self.queue.wait_code(self.queue.enqueue("pid"), "S")


class Cancelling(WorkersCase):
    def cancel(self, queue, local, grace=None):
        body = {"grace": grace} if grace else None
        answer = self.front.http.post(f"/v1/jobs/{queue.name}.{local}:cancel",
                                      body)
        self.assertIn(answer.status, (200, 202), answer)

    def test_task_that_listens(self):
        self.start()
        job = self.queue.enqueue("listen", {"path": self.notes})
        wait_until(lambda: self.notes_with("start") == 1, 5)
        begin = time.monotonic()
        self.cancel(self.queue, job)
        state = self.queue.wait_code(job, "C", 5)
        self.assertLess(time.monotonic() - begin, 1 * SLOWNESS)
        self.assertEqual(state.history[-1].outcome, "x")
        self.assertEqual(self.notes_with("stop"), 1)
        self.queue.wait_code(self.queue.enqueue("pid"), "S")

    def test_task_that_does_not_is_killed_after_the_grace(self):
        worker = self.start()
        (slot,) = [pid for pid in children_of(worker.pid)
                   if process_name(pid) == "pit-slot"]
        job = self.queue.enqueue("deaf", {"seconds": 30, "path": self.notes})
        wait_until(lambda: self.notes_with("start") == 1, 5)
        self.cancel(self.queue, job, "300ms")
        state = self.queue.wait_code(job, "C", 5)
        self.assertFalse(is_running(slot))
        self.assertEqual((state.crashes, state.retries), (0, 0))
        self.assertEqual(self.queue.stat("crashed"), 0)

    def test_async_task(self):
        self.start()
        args = {"seconds": 30, "path": self.notes}
        other, job = self.async_queue.enqueue_many("async.nap", 2, args)
        wait_until(lambda: self.notes_with("start") == 2, 5)
        self.cancel(self.async_queue, job)
        self.async_queue.wait_code(job, "C", 2)
        self.assertIn(self.async_queue.state(other).code, "Rr")

    def test_order_that_was_not_heard_comes_with_the_next_renewal(self):
        worker = self.start(flags=["--lease", "3s"])
        job = self.queue.enqueue("listen", {"path": self.notes})
        wait_until(lambda: self.notes_with("start") == 1, 5)
        (orders,) = [c for c in self.client.client_list()
                     if c["name"] == "pit-worker-orders"]
        # Nobody hears the message; the worker connects again later.
        self.client.client_pause(1)
        self.client.client_kill_filter(_id=orders["id"])
        self.cancel(self.queue, job)
        self.queue.wait_code(job, "C", 5)
        self.assertTrue(worker.running())

    def test_survives_the_workers_death(self):
        worker = self.start(flags=["--lease", "1s"])
        job = self.queue.enqueue("deaf", {"seconds": 30, "path": self.notes})
        wait_until(lambda: self.notes_with("start") == 1, 5)
        self.cancel(self.queue, job, "10s")
        worker.kill()
        self.start(flags=["--lease", "1s"])
        self.queue.wait_code(job, "C", 5)
        self.assertEqual(self.notes_with("start"), 1)


class Flows(WorkersCase):
    def test_results_reach_a_job_of_another_queue(self):
        """The worker carries them over, in one that only it serves."""
        self.start(slots=2)
        answer = self.front.http.post("/v1/flows", {"jobs": {
            "a": {"task": "pid"},
            "b": {"task": "async.nap", "args": {"seconds": 0}},
            "c": {"task": "inherit", "queue": "other", "after": ["a", "b"]}}})
        self.assertEqual(answer.status, 202, answer)
        flow = answer.json()
        path = flow["links"]["self"]
        ended = wait_until(
            lambda: (lambda f: f["state"] == "succeeded" and f)
            (self.front.http.get(path).json()), 10, "the flow's end")
        self.assertTrue(ended)
        other = Queue(self.client, "other")
        (result,) = self.client.hvals(other.key("results"))
        result = json.loads(result)
        self.assertEqual(result["parents"], 2)
        self.assertIn("pid", result["first"])


class Logs(WorkersCase):
    def lines(self, queue, local):
        answer = self.front.http.get(f"/v1/jobs/{queue.name}.{local}/logs")
        self.assertEqual(answer.status, 200, answer)
        return [line["text"] for line in answer.json()["lines"]]

    def test_lines_are_kept_with_the_job(self):
        self.start()
        for queue, task in ((self.queue, "log"), (self.async_queue,
                                                  "async.log")):
            job = queue.enqueue(task, {"lines": 3})
            queue.wait_code(job, "S")
            self.assertEqual(self.lines(queue, job),
                             ["line 1", "of ? 3", "line 2", "of ? 3", "line 3",
                              "of ? 3"])

    def test_too_many_lines_are_cut(self):
        self.start()
        job = self.queue.enqueue("log", {"lines": 5000})
        self.queue.wait_code(job, "S")
        lines = self.lines(self.queue, job)
        self.assertGreaterEqual(len(lines), 90)
        self.assertLess(len(lines), 1000)

    def test_retry_after(self):
        self.start()
        job = self.queue.enqueue("later", {"ms": 700}, retries=1,
                                 backoff_ms=10)
        first, second = self.queue.wait_code(job, "D").history
        self.assertGreaterEqual(second.started - first.ended, 695)


if __name__ == "__main__":
    unittest.main()
