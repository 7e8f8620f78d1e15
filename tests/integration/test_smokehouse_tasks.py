"""The demo's queued lane: tasks of a real worker beside a private Redis."""

import http.client
import json
import os
import re
import unittest

from pitharness import PitTestCase, wait_until
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
        self.queue = Queue(self.client, "meats")

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
        lines = re.findall(r"\[(\d+)\] (meats\.\w+): Returning smokeable",
                           worker.log())
        self.assertEqual(len({pid for pid, _ in lines}), 1)
        self.assertEqual(sorted(job for _, job in lines),
                         sorted(f"meats.{job}" for job in jobs))

    def test_upstream_that_is_down_is_retried(self):
        self.upstream.stop()
        self.start(slots=1)
        job = self.queue.enqueue("meats.smoke", backoff_ms=100)
        self.queue.wait_code(job, "W", 10)
        self.upstream.start()
        state = self.queue.wait_code(job, "S", 15)
        self.assertGreaterEqual(state.attempt, 2)


STATUS = "".join(
    f"Package: {name}\nStatus: install ok installed\nSection: {section}\n"
    f"Installed-Size: {kib}\nMaintainer: Ada <ada@example.org>\n\n"
    for name, section, kib in (("ribs", "meat", 300), ("brisket", "meat", 500),
                               ("slaw", "sides", 40), ("plum", "sauces", 7)))


class Nightly(TaskCase):
    def setUp(self):
        super().setUp()
        self.queue = Queue(self.client, "reports")
        self.status = os.path.join(self.dir, "status")
        with open(self.status, "w", encoding="ascii") as file:
            file.write(STATUS)

    def test_a_group_and_a_join(self):
        self.start(slots=2)
        job = self.queue.enqueue("reports.nightly",
                                 {"status_file": self.status})
        self.queue.wait_code(job, "S", 15)
        result = self.queue.result(job)
        self.assertEqual(result["sections"], 3)
        self.assertTrue(result["flow"])
        path = os.path.join(self.dir, "data/nightly/sections.csv")
        wait_until(lambda: os.path.exists(path), 15, "the join")
        with open(path, newline="", encoding="ascii") as file:
            lines = file.read().split("\r\n")
        self.assertEqual(lines[0], "section,packages,installed_kib")
        self.assertEqual(sorted(lines[1:-1]),
                         ["meat,2,800", "sauces,1,7", "sides,1,40"])
        wait_until(lambda: self.queue.stat("succeeded") == 5, 10,
                   "nightly, three sections and the join to have succeeded")

    def test_a_report_is_relayed_to_a_browser(self):
        front = self.web(self.server, env=self.env)
        # In a report's place one that takes long enough to be seen at it.
        job = self.queue.enqueue("sleep", {"seconds": 0.6})
        path = f"/reports/reports.{job}/progress"
        browser = http.client.HTTPConnection("127.0.0.1", front.http.port,
                                             timeout=20)
        self.addCleanup(browser.close)
        browser.request("GET", path)
        answer = browser.getresponse()
        self.assertEqual(answer.status, 200)
        self.start(slots=1)
        names, ids = [], []
        for line in answer.read().decode().splitlines():
            field, _, value = line.partition(": ")
            if field == "event":
                names.append(value)
            elif field == "id":
                ids.append(value)
            elif field == "data":
                last = json.loads(value)
        self.assertEqual(names[0], "state")
        self.assertIn("progress", names)
        self.assertEqual(names[-1], "end")
        self.assertEqual(last["state"], "succeeded")
        again = front.http.get(path, headers={"Last-Event-ID": ids[-1]})
        self.assertEqual(again.status, 204)
        self.assertEqual(
            front.http.get("/reports/meats.1/progress").status, 404)

    def test_no_status_file(self):
        self.start(slots=1)
        job = self.queue.enqueue("reports.nightly",
                                 {"status_file": "/nowhere"})
        state = self.queue.wait_code(job, "D", 15)
        self.assertIn("/nowhere", state.history[0].message)
        job = self.queue.enqueue("reports.section",
                                 {"section": "fish",
                                  "status_file": self.status})
        state = self.queue.wait_code(job, "D", 15)
        self.assertIn('no section "fish"', state.history[0].message)


if __name__ == "__main__":
    unittest.main()
