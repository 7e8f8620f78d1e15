"""Why is this job not running? Each reason from a real queue, over HTTP and by
the command line."""

import json
import time
import unittest

from pitscripts import check, done, ended, job
from test_api_control import ControlCase


class Explain(ControlCase):
    def setUp(self):
        super().setUp()
        self.client.hset("pit:tasks", "noop", json.dumps({"queue": "q"}))
        self.alive()

    def alive(self, **changes):
        self.client.hset("pit:workers", "w1", json.dumps(
            {"id": "w1", "seen_ms": int(time.time() * 1000),
             "queues": {"q": 1}, **changes}))

    def explain(self, local="a"):
        answer = self.http.get(f"/v1/jobs/q.{local}/explain")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def codes(self, local="a"):
        return [one["code"] for one in self.explain(local)["reasons"]]

    def test_position(self):
        self.queue.enqueue(job("a"), job("b"), job("h", 9))
        self.assertEqual(self.codes("h"), ["next"])
        told = self.explain("b")
        self.assertEqual((told["state"], told["position"]), ("ready", 2))
        self.assertEqual(told["reasons"][0]["text"], "2 jobs are before it")

    def test_no_worker(self):
        self.queue.enqueue(job("a"))
        for changes in ({"seen_ms": 1}, {"queues": {"other": 1}},
                        {"stopping": True}, {"quiet": True}):
            self.alive(**changes)
            self.assertEqual(self.codes(), ["no-worker"], changes)
        self.client.delete("pit:tasks")
        self.assertEqual(self.codes(), ["no-worker", "unknown-task"])

    def test_paused_and_limits(self):
        self.queue.enqueue(job("r"))
        self.claim()
        self.queue.enqueue(job("a"))
        self.queue.settings(paused=1, concurrency=1, rate="1/60000")
        self.client.hset(self.queue.key("rates"), " ",
                         self.queue.now() + 30000)
        self.assertEqual(self.codes(),
                         ["paused", "queue-concurrency", "queue-rate"])
        self.assertTrue(self.explain()["reasons"][2]["until"])

    def test_limit_key(self):
        self.queue.enqueue(job("a"))
        self.client.hset(self.queue.key("jobs"), "k",
                         "15+ 1 noop l2,1,60000,tenant:7\n{}")
        self.client.rpush(self.queue.key("key:5tenant:7"), "5z", "5k")
        self.client.rpush(self.queue.key("ready:5"), "5=tenant:7")
        self.client.hset(self.queue.key("running"), "tenant:7", 2)
        self.client.hset(self.queue.key("rates"), "tenant:7",
                         self.queue.now() + 5000)
        self.assertEqual(self.codes("k"), ["key-concurrency", "key-rate",
                                           "behind-key", "behind"])
        self.assertIn("tenant:7", self.explain("k")["reasons"][0]["text"])

    def test_due_and_blocked(self):
        self.queue.enqueue(job("a", where="+60000"), job("b"))
        self.assertEqual(self.codes(), ["scheduled"])
        one, = self.claim()
        self.assertEqual(self.codes("b"), ["running"])
        self.queue.work(finishes=[ended("f", one, 60000)])
        self.assertEqual(self.codes("b"), ["retrying"])
        self.client.hset(self.queue.key("jobs"), "c",
                         "15+ 1 noop n3,s\n{}")
        self.client.zadd(self.queue.key("blocked"), {"5c": 1})
        self.client.hset(self.queue.key("in:c"), "q.x", "Snull")
        self.assertEqual(self.explain("c")["reasons"][0]["text"],
                         "1 of the 3 jobs that it waits for have ended")

    def test_a_time_that_none_can_show(self):
        """Whoever writes to Redis may write anything: no process dies of it."""
        self.queue.enqueue(job("a", where="+60000"))
        self.client.zadd(self.queue.key("due"), {"5a": 9 * 10 ** 14})
        reason, = self.explain()["reasons"]
        self.assertEqual((reason["code"], reason["until"]), ("scheduled", None))
        told = json.loads(self.cli(self.store, "explain", "q.a",
                                   "--json").stdout)
        self.assertIsNone(told["reasons"][0]["until"])
        for verb in ("job", "q.a"), ("jobs", "q", "--state", "scheduled"):
            said = self.cli(self.store, *verb)
            self.assertIn("scheduled", said.stdout)

    def test_ended(self):
        self.queue.enqueue(job("a"), job("b"), job("c"), job("d"))
        one, two = self.claim(2)
        self.queue.work(finishes=[done(one), ended("f", two, -1)])
        self.queue.cancel("c")
        self.assertEqual([self.codes(x)[0] for x in "abc"],
                         ["succeeded", "dead", "cancelled"])
        self.claim()
        self.queue.cancel("d")
        self.assertEqual(self.codes("d"), ["cancel-asked", "running"])
        self.refuse("GET", "/v1/jobs/q.never/explain", 404, "not-found")
        self.refuse("GET", "/v1/jobs/q.a/explain?x=1", 400, "invalid-request")

    def test_what_should_have_expired(self):
        over = f" e{self.queue.now() - 1}"
        self.queue.enqueue(job("c", options=" e9999999999999", flag="+"),
                           job("a", options=over, flag="+"),
                           job("b", options=over, flag="+", where="+60000"))
        for local in "ab":
            told = self.explain(local)
            self.assertEqual((told["state"], told["position"]),
                             ("expired", None))
            self.assertEqual(self.codes(local), ["expired"])
        self.assertEqual(self.codes("c"), ["next"])
        self.assertEqual(check(self.queue)["a"], "done")

    def test_one_that_cannot_be_ended_is_explained(self):
        self.queue.enqueue(job("a", flag="+",
                               options=f" e{self.queue.now() - 1}"))
        self.client.replicaof("127.0.0.1", 1)
        self.addCleanup(self.client.replicaof, "NO", "ONE")
        self.assertEqual(self.explain()["state"], "ready")

    def test_by_the_command_line(self):
        self.queue.enqueue(job("a"))
        self.queue.settings(paused=1)
        self.assertEqual(self.cli(self.store, "explain", "q.a").stdout,
                         "q.a is ready\n- its queue is paused: resume it\n")
        told = json.loads(self.cli(self.store, "explain", "q.a",
                                   "--json").stdout)
        self.assertEqual(told["reasons"][0]["code"], "paused")
        self.assertEqual(told["position"], 0)


del ControlCase

if __name__ == "__main__":
    unittest.main()
