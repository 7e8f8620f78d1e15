"""durability of one job: what the server can do, what was reached, what not."""

import unittest

from pitharness import PitTestCase, wait_until


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

    def test_not_in_batches_nor_flows(self):
        self.begin(aof="no")
        job = {"task": "noop", "durability": "memory"}
        answer = self.http.post("/v1/jobs:batch", [job]).json()
        self.assertEqual(answer["results"][0]["problem"]["pointer"],
                         "/durability")
        answer = self.http.post("/v1/flows", {"chain": [job]})
        self.assertEqual((answer.status, answer.json()["pointer"]),
                         (400, "/chain/0/durability"))

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


if __name__ == "__main__":
    unittest.main()
