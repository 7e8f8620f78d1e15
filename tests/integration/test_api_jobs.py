"""One job over HTTP: every success and every refusal of docs/http-api.md."""

import os
import re
import socket
import threading
import time
import unittest

from pitharness import SOURCE_DIR, Http, PitTestCase, wait_until

PROBLEM = "application/problem+json"
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


class ApiTestCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.front = self.web(self.store, ready="/readyz")
        self.http = self.front.http

    def refused(self, answer, status, kind, pointer=None, instance="/v1/jobs"):
        """Checks that an answer is a complete problem document."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["Content-Type"], PROBLEM)
        self.assertTrue(answer.headers["X-Request-Id"])
        problem = answer.json()
        self.assertEqual(problem["type"].rpartition("/")[2], kind)
        self.assertEqual(problem["status"], status)
        for member in ("title", "detail"):
            self.assertTrue(problem[member], problem)
        self.assertEqual(problem["instance"], instance)
        self.assertEqual(problem.get("pointer"), pointer)
        return problem

    def enqueue(self, job, status=202, **headers):
        answer = self.http.post("/v1/jobs", job, headers=headers)
        self.assertEqual(answer.status, status, answer)
        return answer.json()


class Enqueue(ApiTestCase):
    def test_202_with_location_and_document(self):
        answer = self.http.post("/v1/jobs", {"task": "noop", "args": {"a": 1},
                                             "tags": ["x"], "priority": 9})
        self.assertEqual(answer.status, 202)
        job = answer.json()
        self.assertEqual(answer.headers["Location"], f"/v1/jobs/{job['id']}")
        self.assertRegex(job["id"], r"^default\.[0-9A-Z]{26}$")
        self.assertEqual(job["state"], "ready")
        self.assertEqual(job["args"], {"a": 1})
        self.assertEqual(job["tags"], ["x"])
        self.assertEqual(job["priority"], 9)
        self.assertRegex(job["created_at"], TIME)
        for member in ("result", "error", "progress", "started_at",
                       "ended_at", "worker"):
            self.assertIsNone(job[member])
        looked_up = self.http.get(job["links"]["self"]).json()
        for member in ("created_at", "run_at"):  # another turn of the loop
            looked_up.pop(member), job.pop(member)
        self.assertEqual(looked_up, job)

    def test_args_stay_the_bytes_that_came(self):
        args = '{ "big": 9007199254740993, "e": 1.50, "u": "\\u00e9" }'
        answer = self.http.post("/v1/jobs", body='{"task":"noop","args":%s}'
                                % args)
        self.assertEqual(answer.status, 202)
        shown = self.http.get(answer.headers["Location"]).text()
        self.assertIn(f'"args":{args}', shown)

    def test_delay_and_run_at(self):
        later = self.enqueue({"task": "noop", "delay": "1h"})
        self.assertEqual(later["state"], "scheduled")
        at = self.enqueue({"task": "noop", "run_at": "2100-01-01T08:00:00+01:00"})
        self.assertEqual(at["run_at"], "2100-01-01T07:00:00.000Z")
        self.assertEqual(at["state"], "scheduled")
        past = self.enqueue({"task": "noop", "run_at": "2001-01-01T00:00:00Z"})
        self.assertEqual(past["state"], "ready")

    def test_refusals_of_the_envelope(self):
        rows = [
            ({}, "/task"),
            ({"task": "noop", "quue": "x"}, "/quue"),
            ({"task": "noop", "retry": {"maxx": 1}}, "/retry/maxx"),
            ({"task": 7}, "/task"),
            ({"task": "noop", "priority": "high"}, "/priority"),
            ({"task": "noop", "priority": 10}, "/priority"),
            ({"task": "noop", "delay": "soon"}, "/delay"),
            ({"task": "noop", "timeout": "9d"}, "/timeout"),
            ({"task": "noop", "delay": 1, "run_at": "2100-01-01T00:00:00Z"},
             "/delay"),
            ({"task": "noop", "unique": {"while": "ended"}}, "/unique/key"),
            ({"task": "noop", "limit": {"key": "k", "rate": "5"}},
             "/limit/rate"),
            ({"task": "noop", "tags": ["ok", "not ok"]}, "/tags/1"),
            ([], None),
        ]
        for body, pointer in rows:
            with self.subTest(body=body):
                self.refused(self.http.post("/v1/jobs", body), 400,
                             "invalid-request", pointer)
        for text in ("", "{", "nonsense", '{"task":"noop"}}', "\xff",
                     '{"task":"noop","args":' + "[" * 65 + "]" * 65 + "}",
                     '{"task":"noop","task":"noop"}'):
            with self.subTest(text=text[:30]):
                answer = self.http.post("/v1/jobs", body=text)
                self.assertEqual(answer.status, 400, answer)
                self.assertEqual(answer.headers["Content-Type"], PROBLEM)

    def test_unknown_task(self):
        self.refused(self.http.post("/v1/jobs", {"task": "nope"}), 422,
                     "unknown-task", "/task")

    def test_a_task_that_a_worker_registered(self):
        with self.store.client() as client:
            client.hset("pit:tasks", "elsewhere",
                        '{"queue":"far","timeout_ms":1000,"priority":8}')
            client.hset("pit:tasks", "rubbish", '{"queue":"a b"}')
        job = self.enqueue({"task": "elsewhere"})
        self.assertEqual(job["queue"], "far")
        self.assertEqual(job["priority"], 8)
        self.refused(self.http.post("/v1/jobs", {"task": "rubbish"}), 422,
                     "unknown-task", "/task")

    def test_content_types(self):
        for content_type in ("application/x-www-form-urlencoded", "text/plain",
                             "application/json; charset=latin1",
                             "application/x-ndjson"):
            with self.subTest(content_type=content_type):
                answer = self.http.post("/v1/jobs", body='{"task":"noop"}',
                                        headers={"Content-Type": content_type})
                self.refused(answer, 415, "unsupported-media-type")
        answer = self.http.post("/v1/jobs", body='{"task":"noop"}', headers={
            "Content-Type": "application/json", "Content-Encoding": "gzip"})
        self.assertEqual(answer.status, 415, answer)

    def test_body_above_the_limit_is_refused_before_it_is_read(self):
        # Nothing but the head is sent: whoever waited for the body would hang.
        with socket.create_connection(("127.0.0.1", self.front.port), 5) as s:
            s.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"
                      b"Content-Type: application/json\r\n"
                      b"Content-Length: 1048577\r\n\r\n")
            head = s.makefile("rb").readline()
        self.assertIn(b" 413 ", head)
        self.refused(self.http.post("/v1/jobs", body="x" * 1048577), 413,
                     "payload-too-large")
        body = '{"task":"noop","args":"%s"}' % ("x" * 1048000)
        self.assertEqual(self.http.post("/v1/jobs", body=body).status, 202)

    def test_payload_with_options_in_fields(self):
        answer = self.http.post("/v1/jobs", body=b"\x89PNG\0", headers={
            "Pit-Task": "echo", "Content-Type": "image/png",
            "Pit-Delay": "1h", "Pit-Priority": "7", "Pit-Tags": "a, b"})
        self.assertEqual(answer.status, 202, answer)
        job = answer.json()
        self.assertEqual(job["args"], {"content_type": "image/png",
                                       "base64": "iVBORwA="})
        self.assertEqual((job["priority"], job["tags"], job["state"]),
                         (7, ["a", "b"], "scheduled"))
        answer = self.http.post("/v1/jobs", body="x", headers={
            "Pit-Task": "echo", "Pit-Dealy": "1h"})
        self.assertIn("Pit-Dealy",
                      self.refused(answer, 400, "invalid-request")["detail"])

    def test_return_minimal(self):
        answer = self.http.post("/v1/jobs", {"task": "noop"},
                                headers={"Prefer": "return=minimal"})
        self.assertEqual(list(answer.json()), ["id"])
        self.assertEqual(answer.headers["Preference-Applied"],
                         "return=minimal")

    def test_traceparent_is_stored(self):
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        good = self.enqueue({"task": "noop"}, traceparent=trace)
        bad = self.enqueue({"task": "noop"}, traceparent=trace[:-1])
        with self.store.client() as client:
            def record(job):
                return client.hget("pit:{default}:jobs",
                                   job["id"].split(".")[1])
            self.assertIn(f" p{trace}", record(good))
            self.assertNotIn(" p00-", record(bad))

    def test_request_id_is_kept_or_made(self):
        answer = self.http.get("/healthz", headers={"X-Request-Id": "abc-1"})
        self.assertEqual(answer.headers["X-Request-Id"], "abc-1")
        answer = self.http.get("/healthz", headers={"X-Request-Id": "a b\"c"})
        self.assertNotIn(" ", answer.headers["X-Request-Id"])

    def test_query_parameters(self):
        for path in ("/v1/jobs/a.b?wiat=1", "/v1/jobs/a.b?wait=1&wait=2",
                     "/v1/jobs/a.b/result?x", "/v1/queues?limit=1",
                     "/v1/queues/a?x=%ff", "/v1/tasks?%77ait=1"):
            answer = self.http.get(path)
            self.refused(answer, 400, "invalid-request",
                         instance=path.partition("?")[0])
            self.assertIn("query parameter", answer.json()["detail"])

    def test_instance_is_a_uri(self):
        self.refused(self.http.get("/v1/queues/a%2Fb%ff"), 400,
                     "invalid-request", instance="/v1/queues/a%2Fb%ff")

    def test_methods_and_paths(self):
        answer = self.http.delete("/v1/jobs")
        self.refused(answer, 405, "method-not-allowed")
        self.assertIn("POST", answer.headers["Allow"])
        self.refused(self.http.get("/v1/nothing"), 404, "not-found",
                     instance="/v1/nothing")
        options = self.http.request("OPTIONS", "/v1/jobs")
        self.assertEqual(options.status, 204)
        self.assertIn("POST", options.headers["Allow"])
        head = self.http.request("HEAD", "/healthz")
        self.assertEqual((head.status, head.body), (200, b""))
        self.refused(self.http.post("/v1/jobs?wait=90s", {"task": "noop"}),
                     400, "invalid-request")


class Put(ApiTestCase):
    def test_new_same_other(self):
        job = {"task": "noop", "args": [1], "delay": "1h"}
        first = self.http.put("/v1/jobs/mail.order:7", job)
        self.assertEqual(first.status, 201, first)
        self.assertEqual(first.headers["Location"], "/v1/jobs/mail.order:7")
        self.assertEqual(first.json()["queue"], "mail")
        again = self.http.put("/v1/jobs/mail.order:7", job)
        self.assertEqual(again.status, 200, again)
        self.assertEqual(again.json()["id"], "mail.order:7")
        other = self.http.put("/v1/jobs/mail.order:7", {"task": "echo"})
        self.refused(other, 409, "duplicate-job",
                     instance="/v1/jobs/mail.order:7")
        kept = self.http.get("/v1/jobs/mail.order:7").json()
        self.assertEqual(kept["task"], "noop")

    def test_bad_ids(self):
        for name in ("noqueue", ".x", "q.", "q." + "x" * 65, "q%20r.x"):
            with self.subTest(name=name):
                answer = self.http.put(f"/v1/jobs/{name}", {"task": "noop"})
                self.assertEqual(answer.status, 400, answer)
        answer = self.http.put("/v1/jobs/mail.x",
                               {"task": "noop", "queue": "post"})
        self.refused(answer, 400, "invalid-request", "/queue",
                     instance="/v1/jobs/mail.x")

    def test_an_id_that_was_used_and_forgotten(self):
        self.worker(self.store, queues="mail:1")
        job = {"task": "noop", "keep": "0s"}
        self.assertEqual(self.http.put("/v1/jobs/mail.x", job).status, 201)
        self.http.wait_status("/v1/jobs/mail.x", 410)
        self.refused(self.http.put("/v1/jobs/mail.x", job), 410, "gone",
                     instance="/v1/jobs/mail.x")


class Look(ApiTestCase):
    def test_404_and_400(self):
        self.refused(self.http.get("/v1/jobs/q.none"), 404, "not-found",
                     instance="/v1/jobs/q.none")
        self.assertEqual(self.http.get("/v1/jobs/none").status, 400)
        self.assertEqual(self.http.get("/v1/queues/none").status, 404)
        self.assertEqual(self.http.get("/v1/queues/a%20b").status, 400)

    def test_etag(self):
        job = self.enqueue({"task": "noop"})
        path = f"/v1/jobs/{job['id']}"
        etag = self.http.get(path).headers["ETag"]
        same = self.http.get(path, headers={"If-None-Match": f'"x", {etag}'})
        self.assertEqual((same.status, same.body), (304, b""))
        self.worker(self.store, queues="default:1")
        wait_until(lambda: self.http.get(path).json()["state"] == "succeeded")
        changed = self.http.get(path, headers={"If-None-Match": etag})
        self.assertEqual(changed.status, 200)

    def test_result(self):
        waiting = self.enqueue({"task": "echo", "args": {"x": [1, "é"]}})
        path = f"/v1/jobs/{waiting['id']}/result"
        self.assertEqual(self.http.get(path).status, 202)
        self.worker(self.store, queues="default:1")
        result = self.http.wait_status(path, 200)
        self.assertEqual(result.json(), {"x": [1, "é"]})

    def test_result_of_a_dead_job(self):
        self.worker(self.store, queues="default:1")
        job = self.enqueue({"task": "fail", "args": {"message": "no luck"},
                            "retry": {"max": 0}})
        path = f"/v1/jobs/{job['id']}/result"
        answer = self.http.wait_status(path, 409)
        problem = self.refused(answer, 409, "job-dead", instance=path)
        self.assertEqual(problem["state"], "dead")
        self.assertEqual(problem["error"]["cause"], "failed")
        self.assertIn("no luck", problem["error"]["message"])
        shown = self.http.get(f"/v1/jobs/{job['id']}").json()
        self.assertEqual(shown["state"], "dead")
        self.assertEqual(len(shown["attempts"]), 1)

    def test_tasks_and_queues(self):
        def names():
            return [task["name"] for task in
                    self.http.get("/v1/tasks").json()["tasks"]]
        wait_until(lambda: "spin" in names(), 5, "the tasks to be published")
        self.assertIn("reports.packages", names())
        self.assertEqual(names(), sorted(names()))
        self.enqueue({"task": "noop"})
        self.enqueue({"task": "noop", "delay": "1h"})
        queue = self.http.get("/v1/queues/default").json()
        self.assertEqual(queue["counts"]["ready"], 1)
        self.assertEqual(queue["counts"]["scheduled"], 1)
        self.assertEqual(queue["totals"]["enqueued"], 2)
        self.assertGreaterEqual(queue["oldest_ready_s"], 0)
        listed = self.http.get("/v1/queues").json()["queues"]
        self.assertEqual([one["name"] for one in listed], ["default"])


class Wait(ApiTestCase):
    def test_prefer_wait_answers_with_the_result(self):
        self.worker(self.store, queues="default:1")
        answer = self.http.post("/v1/jobs", {"task": "echo", "args": 5},
                                headers={"Prefer": "wait=20"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Preference-Applied"], "wait=20")
        job = answer.json()
        self.assertEqual((job["state"], job["result"]), ("succeeded", 5))

    def test_time_is_up(self):
        began = time.monotonic()
        answer = self.http.post("/v1/jobs?wait=300ms", {"task": "noop"})
        self.assertEqual(answer.status, 202, answer)
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        path = answer.headers["Location"]
        self.assertEqual(self.http.get(f"{path}?wait=200ms").json()["state"],
                         "ready")
        self.assertEqual(self.http.get(f"{path}/result?wait=100ms").status,
                         202)

    def test_get_wakes_when_the_job_ends(self):
        job = self.enqueue({"task": "echo", "args": "ended"})
        path = f"/v1/jobs/{job['id']}"
        answers = []
        threads = [threading.Thread(target=lambda p=p: answers.append(
            Http(self.front.port).get(p)))
            for p in (f"{path}?wait=20s", f"{path}/result?wait=20s")]
        for thread in threads:
            thread.start()
        with self.store.client() as client:
            wait_until(lambda: client.pubsub_channels("*"), 5, "a listener")
        self.worker(self.store, queues="default:1")
        for thread in threads:
            thread.join(25)
        self.assertEqual([answer.status for answer in answers], [200, 200])
        self.assertIn("ended", [answer.json() for answer in answers])

    def test_dead_jobs_end_the_wait(self):
        self.worker(self.store, queues="default:1")
        answer = self.http.post("/v1/jobs", {"task": "fail",
                                             "retry": {"max": 0}},
                                headers={"Prefer": "wait=20"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json()["state"], "dead")


class Views(ApiTestCase):
    def test_the_application_s_views_are_served(self):
        answer = self.http.get("/")
        self.assertEqual((answer.status, answer.text()), (200, "Hello, async C!"))

    def test_health(self):
        self.assertEqual(self.http.get("/healthz").json(), {"status": "ok"})
        ready = self.http.get("/readyz").json()
        self.assertEqual(ready["status"], "ready")
        checks = {finding["check"]: finding for finding in ready["findings"]}
        self.assertEqual(checks["append-only"]["level"], "warning")
        self.assertTrue(checks["append-only"]["fix"])


class Docs(unittest.TestCase):
    def test_every_type_of_problem_is_explained(self):
        def read(name):
            with open(os.path.join(SOURCE_DIR, name), encoding="utf-8") as f:
                return f.read()
        rows = re.findall(r"\[PROBLEM_\w+\] = \{(\d+),\s*\"([a-z-]+)\"",
                          read("shared/app/http/problem.c"))
        self.assertGreater(len(rows), 30)
        table = read("docs/errors.md")
        for status, name in rows:
            with self.subTest(name=name):
                self.assertRegex(table, rf"\| `{name}` +\| {status} \|")


if __name__ == "__main__":
    unittest.main()
