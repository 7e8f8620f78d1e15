"""A thousand jobs side by side and one behind them, while workers and web
processes are killed: the last one runs once, with all results.

What carries a job's end to those behind it lies in Redis before anybody is told;
so whoever is killed between two steps, another takes it from there."""

import os
import random
import time
import unittest

from pitharness import (SLOWNESS, PitTestCase, children_of, wait_until)
from pitscripts import seed_of_test

APP = "tests/fixtures/chaos_app.so"
MEMBERS = 1000
KILLS = 8


class Flow(PitTestCase):
    def setUp(self):
        super().setUp()
        self.random = random.Random(seed_of_test())
        self.store = self.redis()
        self.log = os.path.join(self.dir, "chaos.log")

    def start_worker(self):
        return self.worker(self.store, queues="chaos", app=APP, slots=2,
                           flags=["--lease", "2s"],
                           env={"CHAOS_LOG": self.log})

    def started(self):
        if not os.path.exists(self.log):
            return 0
        with open(self.log, encoding="utf-8") as file:
            return sum(line.startswith("S") for line in file)

    def kill(self, process):
        """The whole of it, as a machine that loses its power."""
        pids = [process.pid, *children_of(process.pid)]
        for pid in pids:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        process.wait_exit()

    def test_the_last_job_runs_once_with_all_results(self):
        web = self.web(self.store, app=APP, ready="/readyz")
        workers = [self.start_worker() for _ in range(2)]
        answer = web.http.post("/v1/flows", {
            "group": [{"task": "chaos", "args": {"n": n, "ms": n % 5}}
                      for n in range(MEMBERS)],
            "then": {"task": "chaos", "name": "last", "queue": "last"}})
        self.assertEqual(answer.status, 202, answer)
        flow = answer.json()["links"]["self"]
        for number in range(KILLS):
            before = self.started()
            wait_until(lambda n=before: self.started() >=
                       min(n + MEMBERS // (KILLS + 2), MEMBERS), 30, "starts")
            victim = self.random.randrange(len(workers))
            self.kill(workers[victim])
            workers[victim] = self.start_worker()
            if number % 3 == 1:
                self.kill(web)
                web = self.web(self.store, app=APP, ready="/readyz")
        lease = None
        deadline = time.monotonic() + 60 * SLOWNESS
        while lease is None and time.monotonic() < deadline:
            claimed = web.http.post("/v1/leases", {"queues": ["last"],
                                                   "wait": "5s"})
            lease = (claimed.json()["leases"][0] if claimed.status == 200
                     else None)
        self.assertIsNotNone(lease, web.http.get(flow).text()[:600])
        self.assertEqual(len(lease["inputs"]), MEMBERS)
        self.assertEqual(lease["job"]["attempt"], 1)
        local = flow.rpartition(".")[2]
        self.assertEqual(set(lease["inputs"]),
                         {f"chaos.{local}:{n + 1}" for n in range(MEMBERS)})
        done = web.http.post(f"/v1/jobs/{lease['job']['id']}:ack",
                             headers={"Lease-Token": lease["token"]})
        self.assertEqual(done.status, 200, done)
        document = wait_until(
            lambda: (lambda f: f["state"] != "running" and f)(
                web.http.get(flow).json()), 20, "the flow's end")
        self.assertEqual(document["state"], "succeeded")
        self.assertEqual(document["counts"]["succeeded"], MEMBERS + 1)
        # Nothing comes later.
        again = web.http.post("/v1/leases", {"queues": ["last"],
                                             "wait": "3s"})
        self.assertEqual(again.status, 204, again)
        self.seen = {"inputs": len(lease["inputs"]), "starts": self.started(),
                     "killed": KILLS}
        client = self.store.client()
        self.assertEqual(client.xlen("pit:{chaos}:outbox"), 0)
        self.assertEqual(client.keys("pit:{last}:in:*"), [])
        client.close()


if __name__ == "__main__":
    unittest.main()
