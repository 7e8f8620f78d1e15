"""Where a job comes from: the id and the trace of the request that enqueued it,
kept with the job, in the worker's log, and in what its tasks send."""

import json
import unittest

from pitharness import PitTestCase, wait_until
from pitstandin import Upstream

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SENT = {"X-Request-Id": "order:7", "traceparent": TRACE}
SECRET = "whsec_" + "n" * 32


class OriginCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.upstream = Upstream()
        self.addCleanup(self.upstream.close)
        self.http = self.web(self.store, ready="/readyz").http

    def start(self, **kwargs):
        worker = self.worker(
            self.store, slots=1, env={"SMOKEHOUSE_UPSTREAM": self.upstream.url},
            flags=["--webhook-secret", SECRET,
                   "--webhook-allow", "127.0.0.0/8"], **kwargs)
        worker.wait_for_line(r"ready: worker")
        return worker

    def post(self, path, body, **headers):
        answer = self.http.post(path, body, headers=headers)
        self.assertIn(answer.status, (200, 202), answer)
        return answer.json()

    def request_id(self, job):
        return self.http.get(f"/v1/jobs/{job}").json()["request_id"]


class Kept(OriginCase):
    def test_an_id_that_the_client_chose(self):
        job = self.post("/v1/jobs", {"task": "noop"}, **SENT)
        self.assertEqual(job["request_id"], "order:7")
        self.assertEqual(self.request_id(job["id"]), "order:7")

    def test_none_that_the_front_made(self):
        job = self.post("/v1/jobs", {"task": "noop"})
        self.assertIsNone(job["request_id"])
        with self.store.client() as client:
            record = client.hget("pit:{default}:jobs", job["id"].split(".")[1])
        self.assertEqual(len(record.split("\n")[0].split()), 3, record)

    def test_none_that_is_refused(self):
        job = self.post("/v1/jobs", {"task": "noop"},
                        **{"X-Request-Id": "two words"})
        self.assertIsNone(job["request_id"])

    def test_each_job_of_a_batch_and_of_a_flow(self):
        done = self.post("/v1/jobs:batch",
                         [{"task": "noop"}, {"task": "echo"}], **SENT)
        for result in done["results"]:
            self.assertEqual(self.request_id(result["id"]), "order:7")
        flow = self.post("/v1/flows", {"chain": [{"task": "noop"},
                                                 {"task": "echo"}]}, **SENT)
        for job in flow["jobs"]:
            self.assertEqual(self.request_id(job["id"]), "order:7")

    def test_it_is_no_part_of_what_the_job_is(self):
        body = {"task": "echo", "args": {"pounds": 7}}
        for status, origin in ((201, SENT), (200, {"X-Request-Id": "again"}),
                               (200, {})):
            answer = self.http.request("PUT", "/v1/jobs/default.seven", body,
                                       headers=origin)
            self.assertEqual(answer.status, status, answer)
        self.assertEqual(self.request_id("default.seven"), "order:7")


class Carried(OriginCase):
    def test_into_what_a_task_fetches_and_logs(self):
        worker = self.start()
        job = self.post("/v1/jobs", {"task": "meats.smoke"}, **SENT,
                        Prefer="wait=20")
        self.assertEqual(job["state"], "succeeded", job)
        self.assertEqual(len(self.upstream.requests), 2)
        for request in self.upstream.requests:
            self.assertEqual(request.headers["x-request-id"], "order:7")
            self.assertEqual(request.headers["traceparent"], TRACE)
        worker.wait_for_line(rf"{job['id']} order:7: Returning flavor")

    def test_without_one_the_job_names_itself(self):
        worker = self.start()
        job = self.post("/v1/jobs", {"task": "meats.smoke"}, Prefer="wait=20")
        for request in self.upstream.requests:
            self.assertEqual(request.headers["x-request-id"], job["id"])
            self.assertNotIn("traceparent", request.headers)
        worker.wait_for_line(rf"{job['id']}: Returning flavor")

    def test_into_the_log_of_a_failure(self):
        worker = self.start()
        job = self.post("/v1/jobs", {"task": "fail", "retry": {"max": 0}},
                        **SENT)
        worker.wait_for_line(
            rf"{job['id']} \(fail\) of request order:7 attempt 1 failed")

    def test_into_the_callback(self):
        self.start()
        job = self.post("/v1/jobs", {
            "task": "echo", "args": 1,
            "callback": {"url": self.upstream.url, "on": ["succeeded"]}}, **SENT)
        self.upstream.wait_requests(1)
        request = self.upstream.requests[0]
        self.assertEqual(json.loads(request.body)["id"], job["id"])
        self.assertEqual(request.headers["x-request-id"], "order:7")
        self.assertEqual(request.headers["traceparent"], TRACE)

    def test_into_the_jobs_that_a_job_enqueues(self):
        self.start()
        job = self.post("/v1/jobs", {"task": "reports.nightly"}, **SENT,
                        Prefer="wait=20")
        self.assertEqual(job["state"], "succeeded", job)
        flow = self.http.get(f"/v1/flows/{job['result']['flow']}").json()
        for part in flow["jobs"][:2]:
            wait_until(lambda part=part:
                       self.request_id(part["id"]) == "order:7", 5,
                       "the job to be there")


if __name__ == "__main__":
    unittest.main()
