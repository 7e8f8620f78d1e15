"""Flows over HTTP: what is accepted, what is refused and where, how they look."""

import datetime
import unittest

from pitharness import PitTestCase, wait_until

PROBLEM = "application/problem+json"


def task(name=None, **more):
    """A job of a flow."""
    return {"task": "noop", **({"name": name} if name else {}), **more}


class FlowTestCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.http = self.web(self.store, ready="/readyz").http

    def start(self, flow, status=202, **headers):
        answer = self.http.post("/v1/flows", flow, headers=headers)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["Location"],
                         answer.json()["links"]["self"])
        return answer.json()

    def links(self, flow):
        """name -> names that it follows."""
        return {job["name"]: set(job["after"]) for job in flow["jobs"]}

    def refused(self, flow, pointer, words, status=400,
                kind="invalid-request"):
        answer = self.http.post("/v1/flows", flow)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["Content-Type"], PROBLEM)
        problem = answer.json()
        self.assertEqual(problem["type"].rpartition("/")[2], kind)
        self.assertEqual(problem.get("pointer"), pointer)
        self.assertRegex(problem["detail"], words)


class Shapes(FlowTestCase):
    def test_a_chain(self):
        flow = self.start({"name": "Nachts ☾", "chain": [
            task(), task("b"), task(queue="other")]})
        self.assertEqual(flow["name"], "Nachts ☾")
        self.assertEqual(flow["state"], "running")
        self.assertEqual(self.links(flow),
                         {"1": set(), "b": {"1"}, "3": {"b"}})
        self.assertRegex(flow["id"], r"^default\.[0-9A-Z]{26}$")
        local = flow["id"].partition(".")[2]
        self.assertEqual([job["id"] for job in flow["jobs"]],
                         [f"default.{local}:1", f"default.{local}:b",
                          f"other.{local}:3"])
        first = self.http.get(f"/v1/jobs/{flow['jobs'][0]['id']}").json()
        self.assertEqual(first["state"], "ready")

    def test_a_group_with_a_job_behind_it(self):
        flow = self.start({"group": [task("a"), task("b"), task("c")],
                           "then": task("sum", on_failure="go_on")})
        self.assertEqual(self.links(flow), {
            "a": set(), "b": set(), "c": set(), "sum": {"a", "b", "c"}})
        self.assertEqual(flow["jobs"][3]["on_failure"], "go_on")
        self.assertEqual(flow["jobs"][0]["on_failure"], "stop")

    def test_chains_and_groups_nest(self):
        flow = self.start({"chain": [
            task("a"),
            {"group": [task("b"), {"chain": [task("c"), task("d")]}]},
            {"group": [task("e"), task("f")]}]})
        self.assertEqual(self.links(flow), {
            "a": set(), "b": {"a"}, "c": {"a"}, "d": {"c"},
            "e": {"b", "d"}, "f": {"b", "d"}})

    def test_a_graph_in_any_order(self):
        flow = self.start({"on_failure": "go_on", "jobs": {
            "end": task(after=["left", "right"]),
            "left": task(after=["begin"]),
            "right": task(after=["begin"], on_failure="stop"),
            "begin": task()}})
        self.assertEqual(self.links(flow), {
            "end": {"left", "right"}, "left": {"begin"},
            "right": {"begin"}, "begin": set()})
        self.assertEqual({job["name"]: job["on_failure"]
                          for job in flow["jobs"]},
                         {"end": "go_on", "left": "go_on", "right": "stop",
                          "begin": "go_on"})

    def test_the_record_has_its_place(self):
        flow = self.start({"chain": [task("a"), task("b")], "queue": "home"})
        local = flow["id"].partition(".")[2]
        client = self.store.client()
        jobs = client.hgetall("pit:{default}:jobs")
        client.close()
        self.assertRegex(jobs[f"{local}:a"],
                         rf"^15\+ .* odefault\.{local}:b,home\.{local} "
                         rf"whome\.{local}\n")
        self.assertRegex(jobs[f"{local}:b"],
                         rf"^15\+ .* n1,s ohome\.{local}: whome\.{local}\n")

    def test_many_jobs(self):
        flow = self.start({"group": [task(args=n) for n in range(999)],
                           "then": task("sum")})
        self.assertEqual(flow["jobs_total"], 1000)
        counts = flow["counts"]
        self.assertEqual(counts["ready"] + counts["blocked"], 1000)
        self.assertEqual(len(flow["jobs"][-1]["after"]), 999)
        client = self.store.client()
        self.assertEqual(client.xlen("pit:{default}:outbox"), 0)
        client.close()


class Refusals(FlowTestCase):
    def test_shape(self):
        self.refused([], None, "a flow is an object")
        self.refused({}, None, "give one of")
        self.refused({"chain": [task()], "group": [task()]}, "/group",
                     "give one of")
        self.refused({"chain": []}, "/chain", "at least one")
        self.refused({"chain": {}}, "/chain", "array")
        self.refused({"jobs": {}}, None, "at least one")
        self.refused({"jobs": []}, "/jobs", "an object")
        self.refused({"chain": [task()], "then": task()}, "/then", "group")
        self.refused({"chian": [task()]}, "/chian", "no such field")
        self.refused({"group": [task(), {"chain": [5]}]}, "/group/1/chain/0",
                     "must be a job")
        self.refused({"group": [{"chain": [task()], "name": "x"}]}, "/group/0",
                     "no other field")
        deep = task()
        for _ in range(9):
            deep = {"chain": [deep]}
        answer = self.http.post("/v1/flows", deep)
        self.assertEqual(answer.status, 400)
        self.assertRegex(answer.json()["detail"], "nest at most 8")

    def test_jobs(self):
        self.refused({"chain": [task(), task(priority=10)]},
                     "/chain/1/priority", "0 to 9")
        self.refused({"chain": [task(taks=1)]}, "/chain/0/taks", ".")
        self.refused({"chain": [task("a"), task("a")]}, "/chain/1/name",
                     "two jobs")
        self.refused({"chain": [task("a.b")]}, "/chain/0/name", "1 to 32")
        self.refused({"jobs": {"a": task("b")}}, "/jobs/a/name", ".")
        self.refused({"chain": [{"task": "nobody"}]}, "/chain/0/task",
                     "no application", 422, "unknown-task")
        self.refused({"chain": [task(on_failure="x")]},
                     "/chain/0/on_failure", "stop")

    def test_graphs(self):
        self.refused({"jobs": {"a": task(after=["b"])}}, "/jobs/a/after/0",
                     "no job of this flow")
        self.refused({"jobs": {"a": task(after=["a"])}}, "/jobs/a/after/0",
                     "follow itself")
        self.refused({"jobs": {"a": task(after="b")}}, "/jobs/a/after",
                     "array")
        answer = self.http.post("/v1/flows", {"jobs": {
            "a": task(after=["c"]), "b": task(after=["a"]),
            "c": task(after=["b"]), "d": task(after=["c"])}})
        self.assertEqual(answer.status, 400)
        self.assertRegex(answer.json()["pointer"], "^/jobs/[abc]/after$")
        self.assertRegex(answer.json()["detail"], "waits for itself")

    def test_settings(self):
        self.refused({"chain": [task()], "queue": "a b"}, "/queue", "1 to 64")
        self.refused({"chain": [task()], "keep": "soon"}, "/keep", "duration")
        self.refused({"chain": [task()], "name": "x" * 129}, "/name", "128")
        self.refused({"chain": [task()], "on_failure": 1}, "/on_failure",
                     "stop")

    def test_limits(self):
        self.refused({"group": [task() for _ in range(2001)]}, "/group/2000",
                     "at most 2000", 413, "payload-too-large")
        self.refused({"chain": [{"group": [task()] * 200},
                                {"group": [task()] * 200}]}, "/chain/1",
                     "at most 20000 links", 413, "payload-too-large")

    def test_nothing_is_stored_of_what_is_refused(self):
        self.refused({"chain": [task(), task(priority=10)]},
                     "/chain/1/priority", ".")
        client = self.store.client()
        self.assertEqual(client.keys("pit:{default}:*"), [])
        client.close()

    def test_content_type_and_query(self):
        answer = self.http.post("/v1/flows", body="x",
                                headers={"Content-Type": "text/plain"})
        self.assertEqual(answer.status, 415)
        self.assertEqual(self.http.post("/v1/flows?x=1", {}).status, 400)


class Repeats(FlowTestCase):
    def test_the_same_key_starts_one(self):
        flow = {"group": [task(), task()]}
        first = self.start(flow, **{"Idempotency-Key": "k"})
        again = self.http.post("/v1/flows", flow,
                               headers={"Idempotency-Key": "k"})
        self.assertEqual(again.status, 200, again)
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        self.assertEqual(again.json()["id"], first["id"])
        other = self.http.post("/v1/flows", {"chain": [task()]},
                               headers={"Idempotency-Key": "k"})
        self.assertEqual(other.status, 422)
        self.assertEqual(len(self.http.get("/v1/flows").json()["flows"]), 1)

    def test_the_same_key_starts_none_where_the_first_is_forgotten(self):
        """Nor is it a flow whose jobs have ended and that never does."""
        flow = {"chain": [task()], "keep": "1ms"}
        headers = {"Idempotency-Key": "k"}
        first = self.start(flow, **headers)
        path = first["links"]["self"]
        self.worker(self.store)
        wait_until(lambda: self.http.get(path).status == 404, 10,
                   "the flow to be forgotten")
        again = self.http.post("/v1/flows", flow, headers=headers)
        self.assertEqual(again.status, 410, again)
        self.assertEqual(again.json()["type"].rpartition("/")[2], "gone")
        self.assertIn(first["id"], again.json()["detail"])
        self.assertEqual(self.http.get(path).status, 404)

    def test_a_refused_one_does_not_use_the_key_up(self):
        headers = {"Idempotency-Key": "k"}
        bad = {"chain": [task(priority=10)]}
        self.assertEqual(self.http.post("/v1/flows", bad,
                                        headers=headers).status, 400)
        self.assertEqual(self.http.post("/v1/flows", bad,
                                        headers=headers).status, 400)


class Looking(FlowTestCase):
    def test_one(self):
        flow = self.start({"chain": [task("a"), task("b")]})
        again = self.http.get(flow["links"]["self"])
        self.assertEqual(again.status, 200)
        self.assertEqual(again.json()["jobs"], flow["jobs"])
        for path, status in (("/v1/flows/default.none", 404),
                             ("/v1/flows/none", 400)):
            self.assertEqual(self.http.get(path).status, status)

    def test_jobs_that_should_have_expired(self):
        """No worker is there to meet them."""
        at = datetime.datetime.now(datetime.timezone.utc)
        at = (at + datetime.timedelta(milliseconds=300)).isoformat()
        flow = self.start({"jobs": {
            "a": task(expires_at=at), "b": task(after=["a"]),
            "c": task(queue="other", delay="1h", expires_at=at),
            "d": task(after=["c"], on_failure="go_on"), "e": task()}})
        self.assertEqual([one["state"] for one in flow["jobs"]],
                         ["ready", "blocked", "scheduled", "blocked", "ready"])
        seen = wait_until(lambda: (lambda flow: flow["jobs"][0][
            "state"] != "ready" and flow)(self.http.get(
                flow["links"]["self"]).json()), 5, "the first to expire")
        self.assertEqual([one["state"] for one in seen["jobs"]],
                         ["expired", "cancelled", "expired", "ready", "ready"])
        self.assertEqual((seen["state"], seen["jobs_left"]), ("running", 2))
        self.assertEqual((seen["counts"]["expired"], seen["counts"]["ready"]),
                         (2, 2))

    def test_pages(self):
        ids = [self.start({"chain": [task(queue=queue)]})["id"]
               for queue in ("x", "y", "x", "x", "y")]
        seen, cursor = [], ""
        while cursor is not None:
            page = self.http.get(f"/v1/flows?limit=2{cursor}").json()
            seen += [flow["id"] for flow in page["flows"]]
            cursor = (f"&cursor={page['next_cursor']}"
                      if page["next_cursor"] else None)
        self.assertEqual(sorted(seen), sorted(ids))
        only = self.http.get("/v1/flows?queue=y").json()["flows"]
        self.assertEqual({flow["id"] for flow in only}, {ids[1], ids[4]})
        for query in ("limit=0", "limit=x", "queue=a%20b", "cursor=z", "x=1"):
            self.assertEqual(self.http.get(f"/v1/flows?{query}").status, 400,
                             query)

    def test_cancel(self):
        flow = self.start({"chain": [task("a"), task("b"), task("c")]})
        answer = self.http.post(f"{flow['links']['self']}:cancel")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual({job["state"] for job in answer.json()["jobs"]},
                         {"cancelled"})
        flow = self.http.get(flow["links"]["self"]).json()
        self.assertEqual((flow["state"], flow["jobs_left"]), ("cancelled", 0))
        again = self.http.post(f"{flow['links']['self']}:cancel")
        self.assertEqual(again.status, 409)
        self.assertEqual(self.http.post("/v1/flows/q.none:cancel").status, 404)


if __name__ == "__main__":
    unittest.main()
