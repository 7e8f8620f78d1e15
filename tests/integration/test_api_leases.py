"""Workers over HTTP: claim, keep, end; what is refused; who hangs up."""

import json
import socket
import threading
import time
import unittest

from pitharness import PitTestCase, wait_until


class LeaseTestCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.front = self.web(self.store, ready="/readyz")
        self.http = self.front.http
        self.client = self.store.client()
        self.addCleanup(self.client.close)

    def enqueue(self, queue="q", **more):
        answer = self.http.post("/v1/jobs", {"task": "noop", "queue": queue,
                                             **more})
        self.assertEqual(answer.status, 202, answer)
        return answer.json()["id"]

    def claim(self, queues=("q",), status=200, **more):
        answer = self.http.post("/v1/leases", {"queues": list(queues), **more})
        self.assertEqual(answer.status, status, answer)
        return answer.json()["leases"] if status == 200 else []

    def one(self, **more):
        lease, = self.claim(**more)
        return lease

    def act(self, verb, lease, body=None, status=200, raw=None, token=None):
        headers = {"Lease-Token": token or lease["token"]}
        if raw is not None:
            headers["Content-Type"] = "application/json"
        answer = self.http.post(f"/v1/jobs/{lease['job']['id']}:{verb}",
                                body, raw, headers)
        self.assertEqual(answer.status, status, answer)
        return answer

    def job(self, full):
        return self.http.get(f"/v1/jobs/{full}").json()

    def lost(self, answer):
        self.assertEqual(answer.status, 409, answer)
        self.assertTrue(answer.json()["type"].endswith("/lease-lost"))


class Life(LeaseTestCase):
    def test_claim_and_ack(self):
        full = self.enqueue(args={"n": 1}, tags=["x"], priority=7)
        lease = self.one(worker="me")
        job = lease["job"]
        self.assertEqual((job["id"], job["state"], job["attempt"]),
                         (full, "running", 1))
        self.assertEqual((job["args"], job["tags"]), ({"n": 1}, ["x"]))
        self.assertRegex(job["worker"], "^me-[0-9a-f]{10}$")
        self.assertEqual(lease["lease_ms"], 30000)
        self.assertEqual(self.job(full)["worker"], job["worker"])
        answer = self.act("ack", lease, {"ok": True})
        self.assertEqual(answer.json(), {"id": full, "state": "succeeded"})
        self.assertEqual(self.job(full)["result"], {"ok": True})
        # The answer may have been lost: the same again is answered the same.
        self.assertEqual(self.act("ack", lease, {"ok": True}).json(),
                         {"id": full, "state": "succeeded"})
        self.lost(self.act("fail", lease, {}, status=409))

    def test_an_ack_without_a_result(self):
        full = self.enqueue()
        self.act("ack", self.one())
        self.assertIsNone(self.job(full)["result"])

    def test_fail_is_retried_as_the_policy_says(self):
        full = self.enqueue(retry={"max": 1, "base": "50s", "jitter": 0})
        answer = self.act("fail", self.one(), {"message": "no\nluck"}).json()
        self.assertEqual((answer["state"], answer["retry_in_ms"]),
                         ("retrying", 50000))
        job = self.job(full)
        self.assertEqual(job["error"], {"cause": "failed",
                                        "message": "no\nluck"})
        self.http.post(f"/v1/jobs/{full}:promote")
        answer = self.act("fail", self.one()).json()
        self.assertEqual(answer["state"], "dead")

    def test_fail_for_good_and_with_a_delay(self):
        self.enqueue()
        self.assertEqual(self.act("fail", self.one(), {"retry": False})
                         .json()["state"], "dead")
        full = self.enqueue()
        self.assertEqual(self.act("fail", self.one(), {"delay": "2h"})
                         .json()["retry_in_ms"], 7200000)
        self.assertEqual(self.job(full)["state"], "retrying")

    def test_extend_progress_and_log(self):
        full = self.enqueue()
        lease = self.one(lease="1s")
        answer = self.act("extend", lease, {"lease": "1h"}).json()
        self.assertEqual(answer, {"lease_ms": 3600000, "cancel": False})
        left = (self.client.zscore("pit:{q}:leased", "5" + full[2:]) / 1000 -
                self.client.time()[0])
        self.assertGreater(left, 3500)
        self.act("progress", lease, {"done": 3, "total": 10, "message": "a"}, 204)
        self.assertEqual(self.job(full)["progress"]["done"], 3)
        self.act("log", lease, {"lines": "one\ntwo"}, 204)
        self.act("log", lease, {"lines": ["three"]}, 204)
        lines = self.http.get(f"/v1/jobs/{full}/logs").json()["lines"]
        self.assertEqual([line["text"] for line in lines],
                         ["one", "two", "three"])

    def test_a_lost_lease_is_said_to_be(self):
        self.enqueue()
        lease = self.one(lease="1s")
        other = wait_until(lambda: (self.http.post(
            "/v1/leases", {"queues": ["q"]}).status == 200), 10, "a reaped one")
        self.assertTrue(other)
        for verb, body in (("ack", 1), ("fail", {}), ("extend", {}),
                           ("progress", {"done": 1}), ("log", {"lines": "x"})):
            self.lost(self.act(verb, lease, body, status=409))

    def test_batch(self):
        ids = [self.enqueue(queue) for queue in ("a", "b", "a", "a")]
        leases = self.claim(["a", "b"], max=10)
        self.assertEqual(len(leases), 4)
        by_id = {lease["job"]["id"]: lease for lease in leases}
        outcomes = ["succeeded", "failed", "released", "cancelled"]
        finishes = [{"id": full, "token": by_id[full]["token"],
                     "outcome": outcome}
                    for full, outcome in zip(ids, outcomes)]
        finishes[0]["result"] = {"n": 1}
        finishes[1]["message"] = "no"
        finishes.append({"id": "a.none", "token": "x.1",
                         "outcome": "succeeded"})
        finishes.append({"id": ids[0], "token": "x.1",
                         "outcome": "succeeded"})
        answer = self.http.post("/v1/leases:finish", {"finishes": finishes})
        self.assertEqual(answer.status, 200, answer)
        results = answer.json()["results"]
        self.assertEqual([r["status"] for r in results],
                         [200, 200, 200, 200, 404, 409])
        self.assertEqual([self.job(full)["state"] for full in ids],
                         ["succeeded", "retrying", "ready", "cancelled"])
        self.assertEqual(self.job(ids[0])["result"], {"n": 1})
        self.assertEqual(self.job(ids[2])["attempt"], 0)

    def test_a_job_that_follows_others_brings_their_results(self):
        self.assertIsNone(self.one_of_new()["inputs"])

    def one_of_new(self):
        self.enqueue()
        return self.one()


class Waiting(LeaseTestCase):
    def wait_for_sleeper(self):
        wait_until(lambda: any(c["name"] == "pit-web-pull" and
                               c["cmd"] == "blpop"
                               for c in self.client.client_list()),
                   10, "a connection that sleeps")

    def poll(self, queues=("q",), **more):
        """Claims on a thread; its answer is in the list once it has ended."""
        answers = []

        def run():
            answers.append(type(self.http)(self.http.port).post(
                "/v1/leases", {"queues": list(queues), "wait": "20s", **more}))
        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        return thread, answers

    def test_204_when_the_time_is_up(self):
        begin = time.monotonic()
        self.claim(status=204, wait="200ms")
        self.assertGreaterEqual(time.monotonic() - begin, 0.19)
        self.claim(status=204)

    def test_a_job_wakes_one(self):
        thread, answers = self.poll()
        self.wait_for_sleeper()
        begin = time.monotonic()
        full = self.enqueue()
        thread.join(10)
        self.assertLess(time.monotonic() - begin, 1)
        self.assertEqual(answers[0].json()["leases"][0]["job"]["id"], full)

    def test_many_wait_on_one_connection(self):
        polls = [self.poll([f"q{n}", "all"]) for n in range(20)]
        self.wait_for_sleeper()
        ids = [self.enqueue(f"q{n}") for n in range(20)]
        for (thread, answers), full in zip(polls, ids):
            thread.join(10)
            self.assertEqual(answers[0].json()["leases"][0]["job"]["id"], full)
        sleepers = [c for c in self.client.client_list()
                    if c["name"] == "pit-web-pull"]
        self.assertEqual(len(sleepers), 1)

    def test_one_that_falls_due_wakes_too(self):
        full = self.enqueue(delay="300ms")
        begin = time.monotonic()
        lease = self.one(wait="10s")
        self.assertEqual(lease["job"]["id"], full)
        self.assertLess(time.monotonic() - begin, 2)
        thread, answers = self.poll()
        self.wait_for_sleeper()
        begin = time.monotonic()
        self.enqueue(delay="300ms")
        thread.join(10)
        self.assertEqual(answers[0].status, 200)
        self.assertLess(time.monotonic() - begin, 2)

    def raw_poll(self):
        """A connection that has asked, and not read."""
        connection = socket.create_connection(("127.0.0.1", self.http.port))
        body = json.dumps({"queues": ["q"], "wait": "20s"})
        connection.sendall(
            (f"POST /v1/leases HTTP/1.1\r\nHost: {self.http.host}\r\n"
             f"Content-Type: application/json\r\n"
             f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
        return connection

    def test_who_hangs_up_while_waiting_loses_nothing(self):
        connection = self.raw_poll()
        self.wait_for_sleeper()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.close()
        time.sleep(0)
        full = self.enqueue()
        lease = self.one(wait="10s")
        self.assertEqual(lease["job"]["id"], full)

    def test_a_token_whose_taker_hangs_up_goes_on(self):
        # All hang up at once, as the job arrives; whatever the order in which
        # the server sees that, the job can be claimed afterwards.
        for _ in range(20):
            connections = [self.raw_poll() for _ in range(3)]
            self.wait_for_sleeper()
            full = self.enqueue()
            for connection in connections:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      b"\x01\x00\x00\x00\x00\x00\x00\x00")
                connection.close()
            # Either it was handed back, or its answer was on its way when the
            # client went: then only the lease's end brings it back.
            state = wait_until(
                lambda: (lambda s: s in ("ready", "running") and s)(
                    self.job(full)["state"]), 10, "a state")
            if state == "ready":
                self.act("ack", self.one(wait="5s"))
            else:
                job = self.job(full)
                token = self.client.hget("pit:{q}:state",
                                         full[2:]).split(" ")[1]
                if job["state"] == "running":
                    answer = self.http.post(
                        f"/v1/jobs/{full}:ack",
                        headers={"Lease-Token": token})
                    if answer.status == 409:  # handed back meanwhile
                        self.act("ack", self.one(wait="5s"))

    def test_a_server_that_stops_answers_at_once(self):
        thread, answers = self.poll()
        self.wait_for_sleeper()
        self.front.terminate()
        thread.join(10)
        self.assertEqual(answers[0].status, 204)
        self.front.assert_exit(0)

    def test_redis_away_and_back(self):
        thread, answers = self.poll()
        self.wait_for_sleeper()
        self.store.restart()
        wait_until(lambda: self.http.get("/readyz").status == 200, 10, "Redis")
        self.client = self.store.client()
        self.addCleanup(self.client.close)
        full = self.enqueue()
        thread.join(15)
        if answers[0].status == 200:
            self.assertEqual(answers[0].json()["leases"][0]["job"]["id"], full)
        else:  # it had asked just when Redis went
            self.assertEqual(answers[0].status, 503)
            self.one(wait="5s")


class Refusals(LeaseTestCase):
    def refused(self, path, body, pointer, status=400, **headers):
        answer = self.http.post(path, body, headers=headers)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.json().get("pointer"), pointer, answer)

    def test_claims(self):
        for body, pointer in (
                ({}, "/queues"), ({"queues": []}, "/queues"),
                ({"queues": "q"}, "/queues"),
                ({"queues": ["a b"]}, "/queues/0"),
                ({"queues": ["a", "a"]}, "/queues/1"),
                ({"queues": ["a"] * 17}, "/queues"),
                ({"queues": ["a"], "max": 0}, "/max"),
                ({"queues": ["a"], "max": 65}, "/max"),
                ({"queues": ["a"], "wait": "61s"}, "/wait"),
                ({"queues": ["a"], "lease": "10ms"}, "/lease"),
                ({"queues": ["a"], "worker": "a.b"}, "/worker"),
                ({"queues": ["a"], "mx": 1}, "/mx")):
            self.refused("/v1/leases", body, pointer)

    def test_tokens(self):
        self.refused("/v1/jobs/q.a:ack", None, None)
        self.refused("/v1/jobs/q.a:extend", {}, None)
        self.refused("/v1/jobs/q.none:ack", None, None, 404,
                     **{"Lease-Token": "w.1"})
        self.refused("/v1/jobs/none:ack", None, None, 400,
                     **{"Lease-Token": "w.1"})

    def test_bodies(self):
        self.enqueue()
        lease = self.one()
        self.act("ack", lease, raw="{", status=400)
        self.assertEqual(self.http.post(
            f"/v1/jobs/{lease['job']['id']}:ack", body="x",
            headers={"Lease-Token": lease["token"],
                     "Content-Type": "text/plain"}).status, 415)
        for verb, body, pointer in (
                ("fail", {"message": 1}, "/message"),
                ("fail", {"delay": "x"}, "/delay"),
                ("progress", {"done": -1}, "/done"),
                ("log", {}, "/lines"), ("log", {"lines": [1]}, "/lines"),
                ("extend", {"lease": 0}, "/lease")):
            answer = self.act(verb, lease, body, status=400)
            self.assertEqual(answer.json()["pointer"], pointer)
        self.act("ack", lease)

    def test_finishes(self):
        good = {"id": "q.a", "token": "w.1", "outcome": "failed"}
        for body, pointer in (
                ({}, "/finishes"), ({"finishes": []}, "/finishes"),
                ({"finishes": [good] * 257}, "/finishes"),
                ({"finishes": [good, {**good, "id": "x"}]}, "/finishes/1/id"),
                ({"finishes": [{**good, "token": ""}]}, "/finishes/0/token"),
                ({"finishes": [{**good, "outcome": "x"}]},
                 "/finishes/0/outcome"),
                ({"finishes": [{**good, "x": 1}]}, "/finishes/0/x")):
            self.refused("/v1/leases:finish", body, pointer)


if __name__ == "__main__":
    unittest.main()
