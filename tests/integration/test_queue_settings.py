"""What a queue is told holds for its jobs: retries, retention."""

import json
import unittest

from pitharness import wait_until
from pitscripts import Queue
from test_api_jobs import ApiTestCase

STANDARD = {"max": None, "backoff": None, "base": None, "cap": None,
            "jitter": None}


class SettingsCase(ApiTestCase):
    PATH = "/v1/queues/default"

    def setUp(self):
        super().setUp()
        self.client = self.store.client(encoding="latin-1")
        self.addCleanup(self.client.close)

    def tell(self, path=PATH, **settings):
        answer = self.http.request("PATCH", path, json=settings)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def options(self, job):
        """The retry options of a job's record, by its id."""
        queue, _, local = job.rpartition(".")
        record = Queue(self.client, queue).get(local).record
        words = record.partition("\n")[0].split()[3:]
        return [word for word in words if word[0] in "rbq"]

    def posted(self, **body):
        return self.options(self.enqueue({"task": "noop", **body})["id"])


class Retries(SettingsCase):
    def test_set_shown_and_taken_back(self):
        full = {"max": 8, "backoff": "fixed", "base": "10s", "cap": "5m",
                "jitter": 0.5}
        self.assertEqual(self.tell(retry=full)["retry"], full)
        self.assertEqual(self.tell(retry={"max": None, "cap": 3600})["retry"],
                         {**full, "max": None, "cap": "1h"})
        listed = self.http.get("/v1/queues").json()["queues"]
        self.assertEqual(listed[0]["retry"]["jitter"], 0.5)
        shown = json.loads(self.cli(self.store, "queue", "default",
                                    "--json").stdout)
        self.assertEqual(shown["retry"], {**full, "max": None, "cap": "1h"})
        over_http = self.http.get(self.PATH).json()
        for document in (shown, over_http):
            del document["rates"]
        self.assertEqual(shown, over_http)
        self.assertEqual(self.tell(retry=None)["retry"], STANDARD)
        self.assertEqual(self.client.hgetall("pit:{default}:meta"), {})

    def test_refusals(self):
        for retry, pointer in (
                (1, "/retry"), ({"max": -1}, "/retry/max"),
                ({"max": 1001}, "/retry/max"), ({"base": 0}, "/retry/base"),
                ({"backoff": "linear"}, "/retry/backoff"),
                ({"backoff": 2}, "/retry/backoff"),
                ({"jitter": 2}, "/retry/jitter"),
                ({"jitter": "much"}, "/retry/jitter"),
                ({"base": "2s", "cap": "1s"}, "/retry/cap"),
                ({"retries": 1}, "/retry/retries")):
            answer = self.http.request("PATCH", self.PATH,
                                       json={"retry": retry})
            problem = self.refused(answer, 400, "invalid-request", pointer,
                                   self.PATH)
            if pointer == "/retry/backoff":
                self.assertIn("exponential", problem["detail"])
        self.assertEqual(self.client.exists("pit:{default}:meta"), 0)

    def test_the_job_then_its_task_then_the_queue(self):
        self.assertEqual(self.posted(), [])
        self.tell(retry={"max": 8, "base": "10s", "jitter": 0})
        self.assertEqual(self.posted(), ["r8", "be,10000,3600000,0"])
        self.assertEqual(self.posted(retry={"max": 3}),
                         ["be,10000,3600000,0"])
        self.assertEqual(self.posted(retry={"base": "1s", "max": 0}),
                         ["r0", "be,1000,3600000,0"])
        # flaky's table sets its first delay, and nothing else.
        self.assertEqual(self.posted(task="flaky"),
                         ["r8", "be,100,3600000,0"])
        # Another queue knows nothing of it.
        self.assertEqual(self.posted(queue="other"), [])
        self.tell(retry=None)
        self.assertEqual(self.posted(), [])

    def test_batch_flow_and_schedule_alike(self):
        self.tell(retry={"max": 8})
        for path in ("/v1/jobs:batch", "/v1/jobs:batch?atomic=true"):
            done = self.http.post(path, [{"task": "noop"},
                                         {"task": "noop", "retry": {"max": 1}}])
            ids = [one["id"] for one in done.json()["results"]]
            self.assertEqual([self.options(one) for one in ids],
                             [["r8"], ["r1"]])
        put = self.http.put("/v1/jobs/default.mine", {"task": "noop"})
        self.assertEqual(put.status, 201)
        self.assertEqual(self.options("default.mine"), ["r8"])
        flow = self.http.post("/v1/flows", {"chain": [{"task": "noop"}]})
        self.assertEqual(flow.status, 202, flow)
        job = flow.json()["jobs"][0]["id"]
        wait_until(lambda: self.client.hexists("pit:{default}:jobs",
                                               job.partition(".")[2]), 10)
        self.assertEqual(self.options(job), ["r8"])
        # A schedule asks anew each time that it fires.
        self.assertEqual(self.http.put("/v1/schedules/s", {
            "every": "1h", "task": "noop", "retry": {"jitter": 0}}).status,
            201)
        fixed = self.http.get("/v1/schedules/s").json()["retry"]
        self.assertEqual(fixed, {**STANDARD, "jitter": 0})
        for setting, seen in (({"max": 8}, ["r8", "be,2000,3600000,0"]),
                              ({"max": 5}, ["r5", "be,2000,3600000,0"])):
            self.tell(retry=setting)
            fired = self.http.post("/v1/schedules/s:trigger")
            self.assertEqual(fired.status, 202, fired)
            self.assertEqual(self.options(fired.json()["id"]), seen)

    def test_another_process_hears_of_it(self):
        self.assertEqual(self.posted(), [])
        self.cli(self.store, "queue", "default", "--retries", "7",
                 "--backoff", "fixed", "--backoff-base", "1s",
                 "--backoff-cap", "5s", "--backoff-jitter", "0.1")
        words = ["r7", "bf,1000,5000,10"]
        wait_until(lambda: self.posted() == words, 10, "the front to hear")
        worker = self.worker(self.store, queues="nothing")
        worker.wait_for_line("ready: worker")
        made = self.cli(self.store, "enqueue", "noop").stdout
        self.assertEqual(self.options(made.split()[0]), words)
        text = self.cli(self.store, "queue", "default").stdout
        self.assertRegex(text, r"(?m)^retries +7, fixed from 1\S*s up to "
                               r"5\S*s, jitter 0.1$")


del ApiTestCase

if __name__ == "__main__":
    unittest.main()
