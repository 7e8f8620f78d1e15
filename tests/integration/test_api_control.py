"""Control over HTTP: single jobs, lists, log lines, settings of a queue."""

import datetime
import json
import re
import time
import unittest

from pitharness import wait_until
from pitscripts import Queue, ended, job
from test_api_jobs import PROBLEM, ApiTestCase

ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


class ControlCase(ApiTestCase):
    def setUp(self):
        super().setUp()
        self.client = self.store.client(encoding="latin-1")
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client)

    def act(self, local, verb, status=200, **kwargs):
        answer = self.http.post(f"/v1/jobs/q.{local}:{verb}", **kwargs)
        self.assertEqual(answer.status, status, answer)
        return answer

    def refuse(self, method, path, status, kind, pointer=None, **kwargs):
        answer = self.http.request(method, path, **kwargs)
        return self.refused(answer, status, kind, pointer,
                            path.partition("?")[0])

    def claim(self, n=1):
        return self.queue.work(claim=n).claimed


class Steps(ControlCase):
    def test_cancel(self):
        self.queue.enqueue(job("a"), job("b"))
        done = self.act("a", "cancel", json={"reason": "not needed\u20ac"})
        shown = done.json()
        self.assertEqual(shown["state"], "cancelled")
        self.assertIsNone(shown["worker"])
        self.assertIsNone(shown["attempts"][0]["worker"])
        self.assertEqual(shown["error"], {"cause": "cancelled",
                                          "message": "not needed\u20ac"})
        self.assertEqual(done.headers["ETag"],
                         self.http.get("/v1/jobs/q.a").headers["ETag"])
        self.act("a", "cancel")
        self.claim()
        self.assertEqual(self.act("b", "cancel", 202).json()["state"],
                         "running")
        self.act("b", "cancel", 202, json={"grace": "1s"})

    def test_the_reason_of_a_running_one_is_kept(self):
        """However it ends, unless it succeeds all the same."""
        words = {"fails": ["f", 0], "stops": ["x"], "crashes": ["c"],
                 "dies": ["f", -1]}
        self.queue.enqueue(*[job(local) for local in [*words, "silent",
                                                      "succeeds"]])
        claimed = {one.id: one for one in self.claim(9)}
        for local in [*words, "succeeds"]:
            self.act(local, "cancel", 202, json={"reason": "shop \"closed\""})
        self.act("fails", "cancel", 202, json={"reason": "another"})
        self.act("silent", "cancel", 202)
        self.queue.work(finishes=[
            ended(how[0], claimed[local], *how[1:])
            for local, how in words.items()] + [
                ended("x", claimed["silent"], message='"stopped"'),
                ["s", 60000, 1, claimed["succeeds"].entry,
                 claimed["succeeds"].token]])
        for local in words:
            shown = self.http.get(f"/v1/jobs/q.{local}").json()
            self.assertEqual((shown["state"], shown["error"]),
                             ("cancelled", {"cause": "cancelled",
                                            "message": 'shop "closed"'}))
        shown = self.http.get("/v1/jobs/q.silent").json()
        self.assertEqual(shown["error"]["message"], "stopped")
        shown = self.http.get("/v1/jobs/q.succeeds").json()
        self.assertEqual((shown["state"], shown["error"]), ("succeeded", None))
        self.assertEqual(self.client.exists(self.queue.key("cancels")), 0)

    def test_refused_in_the_wrong_state(self):
        self.queue.enqueue(job("a"))
        one, = self.claim()
        self.queue.work(finishes=[["s", 60000, 1, one.entry, one.token]])
        for method, path, says in (
                ("POST", "/v1/jobs/q.a:cancel", "waits"),
                ("POST", "/v1/jobs/q.a:retry", "dead"),
                ("POST", "/v1/jobs/q.a:promote", "scheduled"),
                ("POST", "/v1/jobs/q.a:release", "quarantined")):
            problem = self.refuse(method, path, 409, "invalid-state")
            self.assertIn(says, problem["detail"])
            self.assertEqual(problem["state"], "succeeded")
        self.refuse("PATCH", "/v1/jobs/q.a", 409, "invalid-state",
                    json={"priority": 1})

    def test_retry_promote_release(self):
        self.queue.enqueue(job("a"), job("c"), job("s", where="+60000"))
        one, two = self.claim(2)
        self.queue.work(finishes=[ended("f", one, -1), ended("c", two)],
                        crashes=1)
        self.assertEqual(self.act("a", "retry").json()["state"], "ready")
        self.assertEqual(self.act("c", "release").json()["state"], "ready")
        self.assertEqual(self.act("s", "promote").json()["state"], "ready")
        self.act("s", "promote")
        self.assertEqual(len(self.claim(9)), 3)

    def test_edit(self):
        self.queue.enqueue(job("a"))
        path = "/v1/jobs/q.a"
        shown = self.http.request("PATCH", path, json={
            "priority": 8, "run_at": "2100-01-01T00:00:00Z"}).json()
        self.assertEqual((shown["priority"], shown["state"], shown["run_at"]),
                         (8, "scheduled", "2100-01-01T00:00:00.000Z"))
        shown = self.http.request("PATCH", path, json={"run_at": None}).json()
        self.assertEqual(shown["state"], "ready")
        for body, pointer in (({}, None), ({"priority": 10}, "/priority"),
                              ({"priority": None}, "/priority"),
                              ({"run_at": "soon"}, "/run_at"),
                              ({"color": 1}, "/color")):
            self.refuse("PATCH", path, 400, "invalid-request", pointer,
                        json=body)
        self.refuse("PATCH", path, 400, "invalid-request", body="[1]",
                    headers={"Content-Type": "application/json"})
        self.refuse("PATCH", path, 415, "unsupported-media-type", body="priority=1",
                    headers={"Content-Type": "text/plain"})
        self.refuse("PATCH", path, 400, "invalid-request", "/priority",
                    body='{"priority":1,"priority":2}',
                    headers={"Content-Type": "application/json"})

    def test_delete(self):
        self.queue.enqueue(job("a"), job("b"))
        self.claim()
        self.refuse("DELETE", "/v1/jobs/q.a", 409, "invalid-state")
        self.assertEqual(self.http.delete("/v1/jobs/q.b").status, 204)
        self.assertEqual(self.http.delete("/v1/jobs/q.b").status, 204)
        self.assertEqual(self.http.get("/v1/jobs/q.b").status, 410)
        self.refuse("DELETE", "/v1/jobs/q.never", 404, "not-found")

    def test_if_match(self):
        self.queue.enqueue(job("a"))
        tag = self.http.get("/v1/jobs/q.a").headers["ETag"]
        patched = self.http.request("PATCH", "/v1/jobs/q.a",
                                    json={"priority": 7},
                                    headers={"If-Match": f'"x", {tag}'})
        self.assertEqual(patched.status, 200)
        self.refuse("PATCH", "/v1/jobs/q.a", 412, "precondition-failed",
                    json={"priority": 6}, headers={"If-Match": tag})
        self.refuse("DELETE", "/v1/jobs/q.a", 412, "precondition-failed",
                    headers={"If-Match": tag})
        weak = "W/" + patched.headers["ETag"]
        self.refuse("DELETE", "/v1/jobs/q.a", 412, "precondition-failed",
                    headers={"If-Match": weak})
        self.assertEqual(self.http.delete(
            "/v1/jobs/q.a",
            headers={"If-Match": patched.headers["ETag"]}).status, 204)

    def test_bad_requests(self):
        self.queue.enqueue(job("a"))
        for path, body, pointer in (
                ("/v1/jobs/q.a:cancel", {"grace": "2h"}, "/grace"),
                ("/v1/jobs/q.a:cancel", {"grace": "soon"}, "/grace"),
                ("/v1/jobs/q.a:cancel", {"reason": ""}, "/reason"),
                ("/v1/jobs/q.a:retry", {"x": 1}, "/x"),
                ("/v1/jobs/nodot:cancel", {}, None),
                ("/v1/jobs/q.a:cancel?force=1", {}, None)):
            self.refuse("POST", path, 400, "invalid-request", pointer,
                        json=body)
        self.refuse("POST", "/v1/jobs/q.never:cancel", 404, "not-found")
        self.refuse("POST", "/v1/jobs/q.a:burn", 405, "method-not-allowed")


class Lists(ControlCase):
    def list(self, **query):
        words = "&".join(f"{k}={v}" for k, v in query.items())
        answer = self.http.get(f"/v1/jobs?{words}")
        self.assertEqual(answer.status, 200, answer)
        page = answer.json()
        return [one["id"] for one in page["jobs"]], page["next_cursor"]

    def test_pages(self):
        ids = [f"j{n:03d}" for n in range(120)]
        for first in range(0, 120, 60):
            self.queue.enqueue(*[job(one) for one in ids[first:first + 60]])
        seen, cursor = [], ""
        while cursor is not None:
            page, cursor = self.list(queue="q", state="ready", limit=50,
                                     cursor=cursor)
            seen += page
        self.assertEqual(seen, [f"q.{one}" for one in ids[::-1]])
        self.assertEqual(self.list(queue="q", state="dead"), ([], None))
        one = self.http.get("/v1/jobs?queue=q&state=ready&limit=1").json()
        self.assertEqual(one["jobs"][0],
                         self.http.get("/v1/jobs/q.j119").json())

    def test_a_page_of_large_jobs_is_cut(self):
        large = json.dumps("x" * 500000)
        for n in range(8):
            self.queue.enqueue(job(f"j{n}", args=large))
        seen, cursor, pages = [], "", 0
        while cursor is not None:
            page, cursor = self.list(queue="q", state="ready", cursor=cursor)
            seen, pages = seen + page, pages + 1
        self.assertEqual(seen, [f"q.j{n}" for n in range(7, -1, -1)])
        self.assertGreater(pages, 1)

    def test_refused(self):
        for query, says in (("", "queue"), ("queue=q", "state"),
                            ("queue=q&state=odd", "state"),
                            ("queue=q&state=dead&limit=0", "limit"),
                            ("queue=q&state=dead&limit=1001", "limit"),
                            ("queue=q&state=dead&cursor=xyz", "cursor"),
                            ("queue=q&state=dead&cursor=7878", "cursor"),
                            ("queue=q&state=dead&task=noop", "task"),
                            ("queue=q&queue=q&state=dead", "twice")):
            problem = self.refuse("GET", f"/v1/jobs?{query}", 400,
                                  "invalid-request")
            self.assertIn(says, problem["detail"])


class Logs(ControlCase):
    def test_lines_are_followed(self):
        self.queue.enqueue(job("a"))
        self.assertEqual(self.http.get("/v1/jobs/q.a/logs").json(),
                         {"lines": [], "total": 0, "more": False,
                          "next_cursor": None})
        one, = self.claim()
        self.queue.log(one, "one", "two \x00\xff")
        page = self.http.get("/v1/jobs/q.a/logs?limit=1").json()
        self.assertEqual(page["lines"][0]["text"], "one")
        self.assertEqual((page["total"], page["more"]), (2, True))
        rest = self.http.get("/v1/jobs/q.a/logs?cursor="
                             + page["next_cursor"]).json()
        self.assertEqual(rest["lines"][0]["text"], "two \x00\ufffd")
        end = self.http.get("/v1/jobs/q.a/logs?cursor="
                            + rest["next_cursor"]).json()
        self.assertEqual(end["lines"], [])
        self.assertEqual(end["next_cursor"], rest["next_cursor"])
        for query in ("limit=0", "cursor=x", "tail=1"):
            self.refuse("GET", f"/v1/jobs/q.a/logs?{query}", 400,
                        "invalid-request")
        self.refuse("GET", "/v1/jobs/q.b/logs", 404, "not-found")


class Settings(ControlCase):
    PATH = "/v1/queues/q"

    def test_pause_and_resume(self):
        self.queue.enqueue(job("a"))
        shown = self.http.post(self.PATH + ":pause",
                               {"note": "deploy"}).json()
        self.assertEqual((shown["paused"], shown["closed"], shown["note"]),
                         (True, False, "deploy"))
        self.assertEqual(self.claim(), [])
        shown = self.http.post(self.PATH + ":pause", {"intake": True}).json()
        self.assertEqual((shown["paused"], shown["closed"]), (True, True))
        shown = self.http.post(self.PATH + ":resume", {"intake": True}).json()
        self.assertEqual((shown["paused"], shown["closed"], shown["note"]),
                         (True, False, ""))
        shown = self.http.post(self.PATH + ":resume").json()
        self.assertFalse(shown["paused"])
        self.assertEqual(len(self.claim()), 1)
        for body, pointer in (({"dispatch": False}, None),
                              ({"intake": 1}, "/intake"),
                              ({"note": "x" * 501}, "/note")):
            self.refuse("POST", self.PATH + ":pause", 400, "invalid-request",
                        pointer, json=body)

    def test_a_queue_can_be_set_up_before_its_first_job(self):
        self.assertEqual(self.http.get(self.PATH).status, 404)
        self.http.post(self.PATH + ":pause")
        self.assertTrue(self.http.get(self.PATH).json()["paused"])
        self.assertEqual([one["name"] for one in
                          self.http.get("/v1/queues").json()["queues"]], ["q"])

    def test_limits_and_retention(self):
        shown = self.http.request("PATCH", self.PATH, json={
            "limits": {"length": 10, "bytes": 1000, "concurrency": 2,
                       "rate": "30/m"},
            "retention": {"ended": 5, "dead": 6, "dead_for": "7d",
                          "quarantined": 7, "quarantined_for": "90d"},
            "note": "small"}).json()
        self.assertEqual(shown["limits"], {"length": 10, "bytes": 1000,
                                           "concurrency": 2, "rate": "30/m"})
        self.assertEqual(shown["retention"],
                         {"ended": 5, "dead": 6, "dead_for_s": 604800,
                          "quarantined": 7, "quarantined_for_s": 7776000})
        self.assertEqual(self.client.hgetall(self.queue.key("meta")), {
            "len_max": "10", "bytes_max": "1000", "concurrency": "2",
            "rate": "30/60000", "done_max": "5", "dead_max": "6",
            "dead_ms": "604800000", "quarantined_max": "7",
            "quarantined_ms": "7776000000", "note": "small"})
        shown = self.http.request("PATCH", self.PATH, json={
            "limits": {"length": None, "rate": None},
            "retention": {"dead": None, "quarantined_for": None},
            "note": None}).json()
        self.assertEqual(shown["limits"]["length"], None)
        self.assertEqual(shown["limits"]["rate"], None)
        self.assertEqual(shown["limits"]["concurrency"], 2)
        self.assertEqual(shown["retention"]["dead"], 10000)
        self.assertEqual(shown["retention"]["quarantined_for_s"], 2592000)
        shown = self.http.request("PATCH", self.PATH, json={
            "limits": None, "retention": None}).json()
        self.assertEqual(set(shown["limits"].values()), {None})
        self.assertEqual(shown["retention"]["ended"], 100000)
        for body, pointer in (
                ({}, None), ({"limits": 1}, "/limits"),
                ({"limits": {"length": -1}}, "/limits/length"),
                ({"limits": {"rate": "fast"}}, "/limits/rate"),
                ({"limits": {"speed": 1}}, "/limits/speed"),
                ({"retention": {"dead_for": "1ms"}}, "/retention/dead_for"),
                ({"paused": True}, "/paused")):
            self.refuse("PATCH", self.PATH, 400, "invalid-request", pointer,
                        json=body)
        self.refuse("PATCH", "/v1/queues/a%20b", 400, "invalid-request",
                    json={"note": "x"})


class Expiry(ControlCase):
    """With no worker at all, who looks at a job or waits for it hears that its
    time is over."""

    def enqueue_for(self, ms, **body):
        at = datetime.datetime.now(datetime.timezone.utc)
        at += datetime.timedelta(milliseconds=ms)
        return {"task": "noop", "expires_at": at.isoformat(), **body}

    def due(self, job_id):
        local = job_id.rpartition(".")[2]
        record = Queue(self.client, "default").get(local).record
        return int(re.search(r" e(\d+)", record).group(1))

    def test_prefer_wait(self):
        for body in ({}, {"delay": "1h"}):
            began = time.monotonic()
            answer = self.http.post("/v1/jobs", self.enqueue_for(300, **body),
                                    headers={"Prefer": "wait=20"})
            self.assertEqual(answer.json()["state"], "expired", answer)
            self.assertEqual(answer.json()["error"]["cause"], "expired")
            self.assertLess(time.monotonic() - began, 2)

    def test_wait_of_a_look(self):
        parent = self.http.post("/v1/jobs", {"task": "noop"}).json()["id"]
        made = self.http.post("/v1/jobs", self.enqueue_for(
            300, after=[parent])).json()
        began = time.monotonic()
        shown = self.http.get(made["links"]["self"] + "?wait=20s").json()
        self.assertEqual(shown["state"], "expired")
        self.assertLess(time.monotonic() - began, 2)

    def test_shown_by_look_and_list(self):
        path = "/v1/jobs?queue=default&state="
        ids = [self.http.post("/v1/jobs", self.enqueue_for(
            100, delay=delay)).json()["id"] for delay in (0, "1h", 0)]
        self.http.post("/v1/jobs", self.enqueue_for(60000))
        wait_until(lambda: self.http.get(f"/v1/jobs/{ids[0]}").json()[
            "state"] == "expired", 2, "the first to expire")
        wait_until(lambda: self.queue.now() > self.due(ids[2]), 2, "the last")
        listed = self.http.get(path + "ready").json()["jobs"]
        self.assertEqual([one["state"] for one in listed],
                         ["ready", "expired"])
        listed = self.http.get(path + "scheduled").json()["jobs"]
        self.assertEqual([one["state"] for one in listed], ["expired"])
        listed = self.http.get(path + "expired").json()["jobs"]
        self.assertEqual({one["id"] for one in listed}, set(ids))
        counts = self.http.get("/v1/queues/default").json()["counts"]
        self.assertEqual((counts["ready"], counts["scheduled"]), (1, 0))


class Away(ControlCase):
    def test_store_away_is_503(self):
        self.store.kill()
        for method, path in (("POST", "/v1/jobs/q.a:cancel"),
                             ("DELETE", "/v1/jobs/q.a"),
                             ("GET", "/v1/jobs?queue=q&state=dead"),
                             ("GET", "/v1/jobs/q.a/logs"),
                             ("POST", "/v1/queues/q:pause")):
            answer = self.http.request(method, path)
            self.assertEqual(answer.status, 503, (path, answer))
            self.assertEqual(answer.headers["Content-Type"], PROBLEM)


del ApiTestCase  # its own tests run in their own file

if __name__ == "__main__":
    unittest.main()
