"""What ties a job to others, over HTTP: unique keys, limits, after."""

import unittest

from pitharness import PitTestCase, wait_until


class Ties(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.http = self.web(self.store, ready="/readyz").http

    def post(self, status, **job):
        answer = self.http.post("/v1/jobs", {"task": "noop", **job})
        self.assertEqual(answer.status, status, answer)
        return answer

    def state(self, job_id):
        return self.http.get(f"/v1/jobs/{job_id}").json()["state"]

    def refused(self, answer, kind, pointer):
        problem = answer.json()
        self.assertEqual(problem["type"].rpartition("/")[2], kind)
        self.assertEqual(problem.get("pointer"), pointer)
        return problem


class Unique(Ties):
    def test_a_held_key_refuses_and_names_its_holder(self):
        first = self.post(202, unique={"key": "customer:42"}).json()["id"]
        problem = self.refused(self.post(409, unique={"key": "customer:42"}),
                               "duplicate-job", "/unique/key")
        self.assertEqual(problem["existing"], first)
        self.post(202, unique={"key": "customer:43"})
        self.post(202)

    def test_return_answers_with_the_holder(self):
        unique = {"key": "a", "on_conflict": "return"}
        first = self.post(202, unique=unique, args={"n": 1}).json()["id"]
        answer = self.post(200, unique=unique, args={"n": 2})
        self.assertEqual(answer.headers["Location"], f"/v1/jobs/{first}")
        self.assertEqual(answer.json()["id"], first)
        self.assertEqual(answer.json()["args"], {"n": 1})

    def test_replace_cancels_the_one_that_waits(self):
        unique = {"key": "a", "on_conflict": "replace"}
        first = self.post(202, unique=unique, delay="1h").json()["id"]
        second = self.post(202, unique=unique, delay="1h").json()["id"]
        self.assertNotEqual(first, second)
        self.assertEqual(self.state(first), "cancelled")
        self.assertEqual(self.state(second), "scheduled")

    def test_the_key_is_free_once_its_job_has_ended(self):
        self.worker(self.store)
        unique = {"key": "a", "while": "running"}
        for _ in range(3):
            answer = self.http.post(
                "/v1/jobs", {"task": "noop", "unique": unique},
                headers={"Prefer": "wait=10"})
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json()["state"], "succeeded")

    def test_ended_holds_it_past_the_end(self):
        self.worker(self.store)
        unique = {"key": "a", "while": "ended", "ttl": "1h"}
        answer = self.http.post("/v1/jobs", {"task": "noop", "unique": unique},
                                headers={"Prefer": "wait=10"})
        self.assertEqual(answer.json()["state"], "succeeded")
        self.post(409, unique=unique)

    def test_in_a_batch_each_job_has_its_own_answer(self):
        reject = {"key": "a"}
        give = {"key": "a", "on_conflict": "return"}
        answer = self.http.post("/v1/jobs:batch", [
            {"task": "noop", "unique": reject},
            {"task": "noop", "unique": reject},
            {"task": "noop", "unique": give}])
        results = answer.json()["results"]
        self.assertEqual([r["status"] for r in results], [202, 409, 200])
        self.assertEqual(results[2]["id"], results[0]["id"])
        self.assertEqual(results[1]["problem"]["existing"], results[0]["id"])
        self.assertEqual(answer.json()["accepted"], 2)

    def test_an_atomic_batch_with_a_held_key_stores_nothing(self):
        self.post(202, unique={"key": "a"})
        answer = self.http.post("/v1/jobs:batch?atomic=true", [
            {"task": "noop"}, {"task": "noop", "unique": {"key": "a"}}])
        self.assertEqual(answer.status, 409, answer)
        counts = self.http.get("/v1/queues/default").json()["counts"]
        self.assertEqual(counts["ready"], 1)

    def test_as_fields_of_a_payload(self):
        headers = {"Pit-Task": "noop", "Pit-Unique-Key": "a",
                   "Pit-Limit-Key": "t", "Pit-Limit-Concurrency": "2",
                   "Pit-Limit-Rate": "5/s", "Content-Type": "text/plain"}
        answer = self.http.request("POST", "/v1/jobs", body=b"x", headers=headers)
        self.assertEqual(answer.status, 202, answer)
        answer = self.http.request("POST", "/v1/jobs", body=b"x", headers=headers)
        self.assertEqual(answer.status, 409, answer)
        answer = self.http.request(
            "POST", "/v1/jobs", body=b"x",
            headers={**headers, "Pit-Limit-Rate": "fast"})
        self.assertEqual(answer.status, 400, answer)
        self.assertIn("Pit-Limit-Rate", answer.json()["detail"])

    def test_a_key_of_transport_does_not_stand_in_its_way(self):
        job = {"task": "noop", "unique": {"key": "a"}}
        key = {"Idempotency-Key": "k1"}
        first = self.http.post("/v1/jobs", job, headers=key)
        again = self.http.post("/v1/jobs", job, headers=key)
        self.assertEqual([first.status, again.status], [202, 200])
        self.assertEqual(again.json()["id"], first.json()["id"])
        other = self.http.post("/v1/jobs", job,
                               headers={"Idempotency-Key": "k2"})
        self.assertEqual(other.status, 409)


class Limit(Ties):
    def test_concurrency_of_a_key_over_all_slots(self):
        self.worker(self.store, slots=4)
        limit = {"key": "tenant:7", "concurrency": 1}
        ids = [self.post(202, task="sleep", args={"seconds": 0.3},
                         limit=limit).json()["id"] for _ in range(4)]
        wait_until(lambda: [self.state(i) for i in ids] == ["succeeded"] * 4,
                   20, "four jobs to end")
        shown = sorted((self.http.get(f"/v1/jobs/{i}").json() for i in ids),
                       key=lambda job: job["started_at"])
        for before, after in zip(shown, shown[1:]):
            self.assertLessEqual(before["ended_at"], after["started_at"])


class After(Ties):
    def test_it_waits_until_the_others_have_succeeded(self):
        parent = self.post(202, delay="1h").json()["id"]
        child = self.post(202, task="echo", after=[parent]).json()["id"]
        self.assertEqual(self.state(child), "blocked")
        self.worker(self.store)
        answer = self.http.post(f"/v1/jobs/{parent}:promote", {})
        self.assertEqual(answer.status, 200, answer)
        wait_until(lambda: self.state(child) == "succeeded", 10,
                   "the job behind it to succeed")

    def test_what_has_succeeded_already_does_not_hold_it(self):
        self.worker(self.store)
        done = self.http.post("/v1/jobs", {"task": "noop"},
                              headers={"Prefer": "wait=10"}).json()
        self.assertEqual(done["state"], "succeeded")
        answer = self.http.post(
            "/v1/jobs", {"task": "noop", "after": [done["id"]]},
            headers={"Prefer": "wait=10"})
        self.assertEqual(answer.json()["state"], "succeeded", answer)

    def test_one_that_fails_for_good_stops_it(self):
        self.worker(self.store)
        parent = self.post(202, task="fail", delay="1h",
                           retry={"max": 0}).json()["id"]
        child = self.post(202, after=[parent]).json()["id"]
        self.http.post(f"/v1/jobs/{parent}:promote", {})
        wait_until(lambda: self.state(child) == "cancelled", 10,
                   "the job behind it to be cancelled")

    def test_across_queues_and_in_a_batch(self):
        self.worker(self.store, queues="default,other")
        parent = self.post(202, queue="other", delay="1h").json()["id"]
        answer = self.http.post("/v1/jobs:batch", [
            {"task": "noop", "after": [parent]},
            {"task": "noop", "after": ["other.nobody"]}])
        results = answer.json()["results"]
        self.assertEqual([r["status"] for r in results], [202, 400])
        self.assertEqual(results[1]["problem"]["pointer"], "/after/0")
        child = results[0]["id"]
        self.assertEqual(self.state(child), "blocked")
        self.http.post(f"/v1/jobs/{parent}:promote", {})
        wait_until(lambda: self.state(child) == "succeeded", 10,
                   "the job of the other queue to go on")

    def test_refusals(self):
        problem = self.refused(self.post(400, after=["default.nobody"]),
                               "invalid-request", "/after/0")
        self.assertIn("no job default.nobody", problem["detail"])
        answer = self.http.put("/v1/jobs/default.me",
                               {"task": "noop", "after": ["default.me"]})
        self.assertEqual(answer.status, 400, answer)
        self.refused(answer, "invalid-request", "/after/0")
        answer = self.http.post("/v1/jobs:batch?atomic=true", [
            {"task": "noop", "after": ["default.x"]}])
        self.assertEqual(answer.status, 400, answer)
        self.refused(answer, "invalid-request", "/0/after")
        counts = self.http.get("/v1/queues/default")
        self.assertIn(counts.status, (200, 404))
        if counts.status == 200:
            self.assertEqual(sum(counts.json()["counts"].values()), 0)


if __name__ == "__main__":
    unittest.main()
