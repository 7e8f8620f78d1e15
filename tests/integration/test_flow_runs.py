"""Flows from their start to their end, by real workers."""

import unittest

from pitharness import PitTestCase, wait_until


def task(name=None, **more):
    return {"task": "noop", **({"name": name} if name else {}), **more}


class FlowCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.http = self.web(self.store, ready="/readyz").http

    def start(self, flow):
        answer = self.http.post("/v1/flows", flow)
        self.assertEqual(answer.status, 202, answer)
        return answer.json()["links"]["self"]

    def ended(self, path, deadline=15):
        return wait_until(
            lambda: (lambda f: f["state"] != "running" and f)(
                self.http.get(path).json()),
            deadline, f"{path} to end: {self.http.get(path)}")

    def states(self, flow):
        return {job["name"]: job["state"] for job in flow["jobs"]}

    def claim(self, *queues, wait="5s"):
        answer = self.http.post("/v1/leases", {"queues": list(queues),
                                               "wait": wait})
        return answer.json()["leases"][0] if answer.status == 200 else None

    def act(self, lease, verb, body=None):
        answer = self.http.post(f"/v1/jobs/{lease['job']['id']}:{verb}", body,
                                headers={"Lease-Token": lease["token"]})
        self.assertEqual(answer.status, 200, answer)


class ByWorker(FlowCase):
    def setUp(self):
        super().setUp()
        self.worker(self.store, queues="default,other")

    def test_a_chain_over_two_queues(self):
        flow = self.ended(self.start({"chain": [
            task("a"), task("b", queue="other"), task("c")]}))
        self.assertEqual(flow["state"], "succeeded")
        self.assertEqual(set(self.states(flow).values()), {"succeeded"})
        self.assertEqual(flow["jobs_left"], 0)
        self.assertIsNotNone(flow["ended_at"])

    def test_a_graph(self):
        flow = self.ended(self.start({"jobs": {
            "a": task(), "b": task(after=["a"], queue="other"),
            "c": task(after=["a"]), "d": task(after=["b", "c"])}}))
        self.assertEqual(flow["state"], "succeeded")

    def test_a_group_of_many(self):
        flow = self.ended(self.start({
            "group": [task() for _ in range(300)], "then": task("sum")}))
        self.assertEqual(flow["state"], "succeeded")
        self.assertEqual(flow["counts"]["succeeded"], 301)


class ByHand(FlowCase):
    def test_results_reach_those_behind(self):
        path = self.start({"group": [task("a"), task("b", queue="other")],
                           "then": task("sum")})
        for n in range(2):
            lease = self.claim("default", "other")
            self.assertIsNone(lease["inputs"])
            self.act(lease, "ack", {"n": lease["job"]["id"][-1]})
        last = self.claim("default")
        local = last["job"]["id"].rpartition(":")[0].partition(".")[2]
        self.assertEqual(last["inputs"], {f"default.{local}:a": {"n": "a"},
                                          f"other.{local}:b": {"n": "b"}})
        self.act(last, "ack", 3)
        self.assertEqual(self.ended(path)["state"], "succeeded")

    def test_stop(self):
        path = self.start({"chain": [task("a"), task("b"), task("c")]})
        self.act(self.claim("default"), "fail", {"retry": False})
        flow = self.ended(path)
        self.assertEqual(flow["state"], "failed")
        self.assertEqual(self.states(flow), {"a": "dead", "b": "cancelled",
                                             "c": "cancelled"})

    def test_go_on_runs_with_null_for_what_failed(self):
        path = self.start({"group": [task("a")],
                           "then": task("tell", on_failure="go_on")})
        self.act(self.claim("default"), "fail", {"retry": False})
        last = self.claim("default")
        self.assertEqual(list(last["inputs"].values()), [None])
        self.act(last, "ack")
        flow = self.ended(path)
        self.assertEqual((flow["state"], self.states(flow)),
                         ("succeeded", {"a": "dead", "tell": "succeeded"}))

    def test_cancel_while_one_runs(self):
        path = self.start({"chain": [task("a"), task("b", on_failure="go_on")]})
        lease = self.claim("default")
        answer = self.http.post(f"{path}:cancel")
        self.assertEqual(answer.status, 202, answer)
        extended = self.http.post(f"/v1/jobs/{lease['job']['id']}:extend", {},
                                  headers={"Lease-Token": lease["token"]})
        self.assertEqual(extended.json()["cancel"], True)
        self.act(lease, "fail")
        flow = self.ended(path)
        self.assertEqual((flow["state"], self.states(flow)),
                         ("cancelled", {"a": "cancelled", "b": "cancelled"}))

    def test_a_delay_counts_from_the_parents_end(self):
        path = self.start({"chain": [task("a"), task("b", delay="300ms")]})
        self.act(self.claim("default"), "ack")
        flow = self.http.get(path).json()
        self.assertEqual(self.states(flow)["b"], "scheduled")
        self.act(self.claim("default"), "ack")
        self.assertEqual(self.ended(path)["state"], "succeeded")


if __name__ == "__main__":
    unittest.main()
