"""durability of a job, a batch, a flow: what the server can do, what was reached,
what not."""

import json
import unittest

from pitharness import PitTestCase, wait_until
from pitwaitaof import WaitAof


class DurabilityCase(PitTestCase):
    def begin(self, **options):
        self.store = self.redis(**options)
        self.http = self.web(self.store, ready="/readyz").http
        self.client = self.store.client()
        self.addCleanup(self.client.close)

    def enqueue(self, durability, status=202, **headers):
        answer = self.http.post("/v1/jobs", {"task": "noop",
                                             "durability": durability},
                                headers=headers)
        self.assertEqual(answer.status, status, answer)
        return answer

    def cannot(self, durability, words):
        problem = self.enqueue(durability, 400).json()
        self.assertEqual(problem["pointer"], "/durability")
        self.assertRegex(problem["detail"], words)
        self.assertEqual(self.client.hlen("pit:{default}:jobs"), 0)


class Alone(DurabilityCase):
    def test_memory_is_reported(self):
        self.begin(aof="no")
        self.assertEqual(self.enqueue("memory").headers["Pit-Durability"],
                         "memory")
        self.assertIsNone(self.http.post("/v1/jobs", {"task": "noop"})
                          .headers["Pit-Durability"])

    def test_bad_words(self):
        self.begin(aof="no")
        for word in ("disk", "replica", "replica:0", "replica:17", 1, "FSYNC"):
            self.cannot(word, "must be")

    def test_fsync_without_a_file(self):
        self.begin(aof="no")
        self.cannot("fsync", "appendonly no")

    def test_fsync_always(self):
        self.begin(aof="always")
        answer = self.enqueue("fsync")
        self.assertEqual(answer.headers["Pit-Durability"], "fsync")
        full = answer.json()["id"]
        self.store.restart()  # kill -9
        wait_until(lambda: self.http.get("/readyz").status == 200, 10, "Redis")
        self.assertEqual(self.http.get(f"/v1/jobs/{full}").status, 200)

    def test_fsync_each_second(self):
        """Where the server can say when it is synced; else it is refused."""
        self.begin(aof="everysec")
        version = self.client.info("server")["redis_version"].split(".")
        if (int(version[0]), int(version[1])) >= (7, 2):
            self.assertEqual(self.enqueue("fsync").headers["Pit-Durability"],
                             "fsync")
        else:
            self.cannot("fsync", "Redis 7.2 or newer, or appendfsync always")

    def test_no_replica(self):
        self.begin(aof="no")
        self.cannot("replica:1", "no replica")

    def test_it_is_for_the_whole_of_a_batch_or_a_flow(self):
        self.begin(aof="no")
        job = {"task": "noop", "durability": "memory"}
        answer = self.http.post("/v1/jobs:batch", [job]).json()
        self.assertEqual(answer["results"][0]["problem"]["pointer"],
                         "/durability")
        answer = self.http.post("/v1/flows", {"chain": [job]})
        self.assertEqual((answer.status, answer.json()["pointer"]),
                         (400, "/chain/0/durability"))

    def test_what_cannot_be_had_is_refused_before_anything_is_stored(self):
        self.begin(aof="no")
        jobs = [{"task": "noop"}]
        for word in ("fsync", "replica:1"):
            for answer in (
                    self.http.post(f"/v1/jobs:batch?durability={word}", jobs),
                    self.http.post("/v1/flows", {"chain": jobs,
                                                 "durability": word}),
                    self.http.put("/v1/jobs/default.mine", {
                        "task": "noop", "durability": word})):
                self.assertEqual((answer.status, answer.json()["pointer"]),
                                 (400, "/durability"), answer)
        for answer in (
                self.http.post("/v1/jobs:batch?durability=disk", jobs),
                self.http.post("/v1/flows", {"chain": jobs,
                                             "durability": "disk"})):
            self.assertEqual(answer.status, 400, answer)
            self.assertRegex(answer.json()["detail"], "memory")
        self.assertEqual(self.client.keys("pit:{default}:jobs"), [])

    def test_as_a_field_of_the_header(self):
        self.begin(aof="no")
        answer = self.http.post("/v1/jobs", body="{}", headers={
            "Pit-Task": "noop", "Pit-Durability": "memory",
            "Content-Type": "application/json"})
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(answer.headers["Pit-Durability"], "memory")


class Replicas(DurabilityCase):
    def setUp(self):
        super().setUp()
        self.begin(aof="no", tcp=True)
        self.other = self.redis(aof="no", tcp=True)
        self.replica = self.other.client()
        self.addCleanup(self.replica.close)
        self.client.config_set("repl-diskless-sync-delay", 0)
        port = self.client.config_get("port")["port"]
        self.replica.execute_command("REPLICAOF", "127.0.0.1", port)
        wait_until(lambda: self.replica.info("replication").get(
            "master_link_status") == "up", 15, "the replica")
        wait_until(lambda: self.client.info("replication").get(
            "connected_slaves") == 1, 15, "the replica")

    def test_it_is_at_the_replica_before_the_answer(self):
        answer = self.enqueue("replica:1")
        self.assertEqual(answer.headers["Pit-Durability"], "replica:1")
        local = answer.json()["id"].partition(".")[2]
        self.assertTrue(self.replica.hexists("pit:{default}:jobs", local))

    def test_too_few_replicas(self):
        answer = self.enqueue("replica:2", 503)
        self.assertTrue(answer.json()["type"].endswith("/store-unavailable"))
        self.assertEqual(self.client.hlen("pit:{default}:jobs"), 0)

    def test_batches_and_flows(self):
        jobs = [{"task": "noop"}] * 3
        answer = self.http.post("/v1/jobs:batch?durability=replica:1", jobs)
        self.assertEqual(answer.headers["Pit-Durability"], "replica:1")
        self.assertEqual(self.replica.hlen("pit:{default}:jobs"), 3)
        answer = self.http.post("/v1/flows", {"chain": jobs,
                                              "durability": "replica:1"})
        self.assertEqual((answer.status, answer.headers["Pit-Durability"]),
                         (202, "replica:1"))
        self.assertEqual(self.replica.hlen("pit:{default}:jobs"), 6)
        self.other.sigstop()
        for answer in (
                self.http.post("/v1/jobs:batch?durability=replica:1", jobs),
                self.http.post("/v1/flows", {"chain": jobs,
                                             "durability": "replica:1"})):
            self.assertTrue(answer.json()["type"].endswith(
                "/durability-not-reached"), answer)
        self.other.sigcont()

    def test_one_that_hangs(self):
        self.other.sigstop()
        answer = self.enqueue("replica:1", 503, **{"Idempotency-Key": "k"})
        self.assertTrue(answer.json()["type"].endswith(
            "/durability-not-reached"), answer)
        full = answer.json()["id"]
        self.assertEqual(answer.headers["Location"], f"/v1/jobs/{full}")
        self.assertEqual(self.http.get(f"/v1/jobs/{full}").status, 200)
        # The same again, once it goes on: as the first time, and it is there.
        self.other.sigcont()
        again = self.enqueue("replica:1", 200, **{"Idempotency-Key": "k"})
        self.assertEqual(again.json()["id"], full)
        self.assertEqual(again.headers["Pit-Durability"], "replica:1")


class Many(DurabilityCase):
    """Batches and flows, on a server that says when it is synced."""

    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="everysec")
        self.front = WaitAof(self.store)
        self.addCleanup(self.front.close)
        self.http = self.web(self.front.url, ready="/readyz").http
        self.client = self.store.client()
        self.addCleanup(self.client.close)

    def batch(self, n, query="", ndjson=False, **headers):
        lines = [json.dumps({"task": "noop", "args": i}) for i in range(n)]
        headers["Content-Type"] = "application/x-ndjson"
        if ndjson:
            headers["Accept"] = "application/x-ndjson"
        return self.http.post(f"/v1/jobs:batch?durability=fsync{query}",
                              body="\n".join(lines), headers=headers)

    def jobs(self):
        return self.client.hlen("pit:{default}:jobs")

    def test_a_batch_waits_once(self):
        for query in ("", "&atomic=true"):
            with self.subTest(query):
                asked, jobs = self.front.asked, self.jobs()
                answer = self.batch(100, query)
                self.assertEqual((answer.status, answer.json()["accepted"]),
                                 (200, 100))
                self.assertEqual(answer.headers["Pit-Durability"], "fsync")
                self.assertEqual(self.front.asked, asked + 1)
                self.assertEqual(self.jobs(), jobs + 100)

    def test_a_large_batch_is_not_answered_before_it_is_there(self):
        answer = self.batch(5000, ndjson=True)
        self.assertEqual(answer.status, 200)
        self.assertEqual(len(answer.text().splitlines()), 5000)
        self.assertEqual((self.front.asked, self.jobs()), (1, 5000))

    def test_one_that_is_too_large(self):
        answer = self.batch(10001).json()
        self.assertEqual((answer["accepted"], answer["rejected"]), (10000, 1))
        self.assertRegex(answer["results"][-1]["problem"]["detail"],
                         "at most 10000")

    def test_nothing_stored_is_nothing_to_wait_for(self):
        answer = self.http.post("/v1/jobs:batch?durability=fsync",
                                [{"task": "nobody"}])
        self.assertEqual((answer.status, self.front.asked), (200, 0))
        self.assertIsNone(answer.headers["Pit-Durability"])

    def test_a_batch_that_does_not_get_there_says_so_with_its_ids(self):
        self.front.synced = 0
        for ndjson in (False, True):
            answer = self.batch(3, ndjson=ndjson)
            self.assertEqual(answer.status, 503, answer)
            problem = answer.json()
            self.assertTrue(problem["type"].endswith("/durability-not-reached"))
            self.assertEqual((problem["accepted"], problem["rejected"]), (3, 0))
            for result in problem["results"]:
                self.assertEqual(
                    self.http.get(f"/v1/jobs/{result['id']}").status, 200)

    def test_a_batch_under_a_key_waits_again(self):
        self.front.synced = 0
        first = self.batch(3, **{"Idempotency-Key": "k"})
        self.assertEqual(first.status, 503)
        self.front.synced = 1
        again = self.batch(3, **{"Idempotency-Key": "k"})
        self.assertEqual((again.status, again.headers["Pit-Durability"]),
                         (200, "fsync"))
        self.assertEqual([one["id"] for one in again.json()["results"]],
                         [one["id"] for one in first.json()["results"]])
        self.assertEqual(self.jobs(), 3)

    def flow(self, **headers):
        return self.http.post("/v1/flows", {
            "group": [{"task": "noop"}] * 5, "then": {"task": "noop"},
            "durability": "fsync"}, headers=headers)

    def test_a_flow_waits_once(self):
        answer = self.flow()
        self.assertEqual((answer.status, answer.headers["Pit-Durability"]),
                         (202, "fsync"))
        self.assertEqual((self.front.asked, self.jobs()), (1, 6))

    def test_a_flow_that_does_not_get_there_says_so(self):
        self.front.synced = 0
        answer = self.flow(**{"Idempotency-Key": "k"})
        problem = answer.json()
        self.assertEqual(answer.status, 503)
        self.assertTrue(problem["type"].endswith("/durability-not-reached"))
        self.assertEqual(answer.headers["Location"],
                         f"/v1/flows/{problem['id']}")
        self.assertEqual(self.http.get(f"/v1/flows/{problem['id']}").status,
                         200)
        self.front.synced = 1
        again = self.flow(**{"Idempotency-Key": "k"})
        self.assertEqual((again.status, again.json()["id"]),
                         (200, problem["id"]))
        self.assertEqual(again.headers["Pit-Durability"], "fsync")

    def test_a_job_under_an_own_id(self):
        job = {"task": "noop", "durability": "fsync"}
        answer = self.http.put("/v1/jobs/default.mine", job)
        self.assertEqual((answer.status, answer.headers["Pit-Durability"]),
                         (201, "fsync"))
        self.front.synced = 0
        answer = self.http.put("/v1/jobs/default.mine", job)
        self.assertEqual(answer.status, 503)


if __name__ == "__main__":
    unittest.main()
