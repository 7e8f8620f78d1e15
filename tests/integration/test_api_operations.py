"""Work on many jobs over HTTP: filters, dry run, rate, purge, lists, cancel, a
process that dies half way."""

import json
import os
import signal
import time
import unittest

from pitcontract import Context
from pitharness import children_of, wait_until
from pitscripts import check, done, ended, job
from test_api_control import ControlCase


class OperationCase(ControlCase):
    def start(self, path, body, status=202):
        answer = self.http.post(path, body)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["Location"],
                         answer.json()["links"]["self"])
        return answer.headers["Location"]

    def show(self, path):
        return self.http.get(path).json()

    def finish(self, path, body):
        """The operation at its end."""
        where = self.start(path, body)
        return wait_until(
            lambda: (lambda one: one["state"] != "running" and one)(
                self.show(where)), 20, "the operation to end")

    def counts(self, operation):
        return [operation[name]
                for name in ("state", "matched", "done", "refused")]

    def fill_dead(self, n, **kwargs):
        for first in range(0, n, 50):
            self.queue.enqueue(*[job(f"d{i:04d}", **kwargs)
                                 for i in range(first, min(n, first + 50))])
            claimed = self.claim(50)
            self.queue.work(finishes=[ended("f", one, -1) for one in claimed])


class Bulk(OperationCase):
    def test_retry_all_dead(self):
        self.fill_dead(200)
        one = self.finish("/v1/jobs:retry", {"queue": "q", "state": "dead"})
        self.assertEqual(self.counts(one), ["done", 200, 200, 0])
        self.assertEqual(one["seen"], 200)
        self.assertEqual(one["filter"], {"queue": "q", "state": "dead"})
        self.assertTrue(one["ended_at"])
        self.assertEqual(set(check(self.queue).values()), {"ready"})

    def test_dry_run_changes_nothing(self):
        self.fill_dead(70)
        before = self.queue.snapshot()
        one = self.finish("/v1/jobs:delete", {"queue": "q", "state": "dead",
                                              "dry_run": True})
        self.assertEqual(self.counts(one), ["done", 70, 0, 0])
        after = {key: value for key, value in self.queue.snapshot().items()
                 if not key.startswith("pit:{@operations}:")}
        self.assertEqual(after, before)

    def test_filters(self):
        self.queue.enqueue(
            job("a", options=" gx,nightly"), job("b", options=" gnightlyx"),
            job("c", options=" gnightly"),
            job("d", created=self.queue.now(), options=" gnightly"))
        one = self.finish("/v1/jobs:cancel", {
            "queue": "q", "state": ["ready", "scheduled"], "tag": "nightly",
            "older_than": "1h", "task": "noop", "reason": "obsolete"})
        self.assertEqual(self.counts(one), ["done", 2, 2, 0])
        self.assertEqual(one["seen"], 4)
        self.assertEqual(self.places(), {"a": "done", "b": "ready",
                                         "c": "done", "d": "ready"})
        self.assertIn('"obsolete"', self.queue.get("a").state)
        one = self.finish("/v1/jobs:cancel", {"queue": "q", "state": "ready",
                                              "task": "other"})
        self.assertEqual(self.counts(one), ["done", 0, 0, 0])

    def places(self):
        return check(self.queue)

    def test_limit_and_ids(self):
        self.queue.enqueue(*[job(f"j{n}") for n in range(9)])
        one = self.finish("/v1/jobs:delete", {"queue": "q", "state": "ready",
                                              "limit": 4})
        self.assertEqual(self.counts(one), ["done", 4, 4, 0])
        one = self.finish("/v1/jobs:delete",
                          {"ids": ["q.j0", "q.j1", "q.never"]})
        self.assertEqual(self.counts(one), ["done", 3, 2, 1])
        self.assertEqual(sorted(self.places()), ["j2", "j3", "j4"])

    def test_ended_jobs_in_groups(self):
        for first in range(0, 180, 60):
            self.queue.enqueue(*[job(f"e{n:03d}", options=" k3600000")
                                 for n in range(first, first + 60)])
            claimed = self.claim(60)
            self.queue.work(finishes=[
                done(one, keep=3600000) if n % 3 else
                ended("x", one, keep=3600000) for n, one in enumerate(claimed)])
        one = self.finish("/v1/jobs:retry", {"queue": "q",
                                             "state": "cancelled"})
        self.assertEqual(self.counts(one), ["done", 60, 60, 0])
        one = self.finish("/v1/jobs:delete", {"queue": "q", "state": "ended"})
        self.assertEqual(self.counts(one), ["done", 120, 120, 0])
        self.assertEqual(list(self.places().values()), ["ready"] * 60)

    def test_rate(self):
        self.fill_dead(200)
        began = time.monotonic()
        one = self.finish("/v1/jobs:retry", {"queue": "q", "state": "dead",
                                             "rate": "200/s"})
        self.assertEqual(self.counts(one), ["done", 200, 200, 0])
        self.assertGreater(time.monotonic() - began, 0.9)

    def test_refused(self):
        for body, pointer in (
                ({}, "/queue"), ({"queue": "q"}, "/state"),
                ({"queue": "q", "state": "odd"}, "/state"),
                ({"queue": "q", "state": []}, "/state"),
                ({"queue": "q", "state": ["dead", "dead"]}, "/state"),
                ({"queue": "q", "state": "running"}, "/state"),
                ({"queue": "a b", "state": "dead"}, "/queue"),
                ({"queue": "q", "state": "dead", "limit": 0}, "/limit"),
                ({"queue": "q", "state": "dead", "rate": "x"}, "/rate"),
                ({"queue": "q", "state": "dead", "colour": 1}, "/colour"),
                ({"ids": []}, "/ids"), ({"ids": ["nodot"]}, "/ids/0"),
                ({"ids": ["q.a", 7]}, "/ids/1"),
                ({"ids": ["q.a"], "queue": "q"}, "/queue")):
            self.refuse("POST", "/v1/jobs:delete", 400, "invalid-request",
                        pointer, json=body)
        self.refuse("GET", "/v1/operations/nope", 404, "not-found")
        self.refuse("GET", "/v1/operations/01ARZ3NDEKTSV4RRFFQ69G5FAV", 404,
                    "not-found")


class Purge(OperationCase):
    def test_all_that_waits(self):
        self.queue.enqueue(*[job(f"r{n:03d}") for n in range(100)])
        self.queue.enqueue(*[job(f"s{n:03d}", where="+60000")
                             for n in range(100)])
        one, two = self.claim(2)
        self.queue.work(finishes=[ended("f", one, 60000)])
        one = self.finish("/v1/queues/q:purge", {"confirm": "q"})
        self.assertEqual(self.counts(one), ["done", 199, 199, 0])
        self.assertEqual(check(self.queue), {two.id: "leased"})
        self.assertEqual(self.http.get("/v1/jobs/q.r099").status, 410)

    def test_named_states_and_what_is_left(self):
        self.fill_dead(60)
        self.queue.enqueue(job("keep"), job("gone", options=" ur,0,K",
                                            flag="+"))
        self.client.hset(self.queue.key("unique"), "K", "gone")
        self.queue.cancel("gone")
        self.finish("/v1/queues/q:purge", {"confirm": "q",
                                           "state": ["dead", "ended"]})
        self.assertEqual(check(self.queue), {"keep": "ready"})
        self.finish("/v1/queues/q:purge", {"confirm": "q"})
        left = {key.rpartition("}:")[2] for key in self.client.keys("*{q}:*")}
        self.assertLessEqual(left, {"gone", "stats", "wake", "meta", "samples"})

    def test_must_be_confirmed(self):
        for body in ({}, {"confirm": "Q"}, {"confirm": ""}):
            self.refuse("POST", "/v1/queues/q:purge", 400, "invalid-request",
                        "/confirm", json=body)
        self.refuse("POST", "/v1/queues/q:purge", 400, "invalid-request",
                    "/state", json={"confirm": "q", "state": "running"})


class Death(OperationCase):
    RUNNING = "pit:{@operations}:running"

    def begin(self, n=150, rate="50/s"):
        """One that takes some pages, and has done the first."""
        self.fill_dead(n)
        where = self.start("/v1/jobs:retry", {"queue": "q", "state": "dead",
                                              "rate": rate})
        wait_until(lambda: self.client.zcard(self.queue.key("dead")) < n)
        return where

    def ends(self, where):
        return wait_until(
            lambda: (lambda one: one["state"] not in (
                "running", "interrupted") and one)(self.show(where)),
            20, "the operation to end")

    def test_another_process_goes_on_with_it(self):
        where = self.begin()
        process, = children_of(self.front.pid)
        os.kill(process, signal.SIGKILL)
        self.http.wait_status("/readyz", 200)
        self.assertGreater(self.client.zcard(self.queue.key("dead")), 0)
        self.assertEqual(self.show(where)["state"], "running")
        # The process answers for it for 15 s from what it said last.
        self.client.zadd(self.RUNNING, {where.rpartition("/")[2]: 1})
        self.assertIn(self.show(where)["state"], ("interrupted", "running"))
        one = self.ends(where)
        self.assertEqual(one["state"], "done")
        self.assertEqual(one["filter"], {"queue": "q", "state": "dead",
                                         "rate": "50/s"})
        self.assertLessEqual(one["done"], 150)
        self.assertNotIn("resume", one)
        self.assertEqual(set(check(self.queue).values()), {"ready"})
        self.assertEqual(self.client.zcard(self.RUNNING), 0)

    def test_an_orderly_stop_leaves_it_to_the_next(self):
        where = self.begin()
        self.front.terminate()
        self.front.assert_exit(0)
        left = self.client.zcard(self.queue.key("dead"))
        self.assertGreater(left, 0)
        self.front = self.web(self.store, ready="/readyz")
        self.http = self.front.http
        one = self.ends(where)
        self.assertEqual(self.counts(one), ["done", 150, 150, 0])
        self.assertEqual(set(check(self.queue).values()), {"ready"})

    def test_ids_and_purge_go_on_too(self):
        self.queue.enqueue(*[job(f"j{n:03d}") for n in range(100)])
        by_ids = self.start("/v1/jobs:delete", {
            "ids": [f"q.j{n:03d}" for n in range(100)], "rate": "50/s"})
        self.front.terminate()
        self.front.assert_exit(0)
        self.front = self.web(self.store, ready="/readyz")
        self.http = self.front.http
        one = self.ends(by_ids)
        self.assertEqual((one["state"], one["matched"]), ("done", 100))
        self.assertEqual(check(self.queue), {})

    def test_who_lost_it_stops(self):
        where = self.begin(rate="1/s")
        local = where.rpartition("/")[2]
        self.client.hset("pit:{@operations}:runners", local, "another")
        self.front.wait_for_line("another process has gone on with it")
        self.assertEqual(self.client.hget("pit:{@operations}:runners", local),
                         "another")

    def test_what_cannot_be_read_has_failed(self):
        local = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
        self.client.hset("pit:{@operations}:documents", local, json.dumps({
            "id": local, "state": "running", "kind": "retry",
            "filter": {"colour": 1}, "resume": {"at": 0, "cursor": ""}}))
        self.client.zadd(self.RUNNING, {local: 1})
        one = self.ends(f"/v1/operations/{local}")
        self.assertEqual(one["state"], "failed")
        self.assertIn("no such field", one["error"])


class Repeated(OperationCase):
    """Under an Idempotency-Key."""

    PATH, BODY = "/v1/jobs:retry", {"queue": "q", "state": "dead",
                                    "rate": "1/h"}

    def send(self, key="k"):
        return self.http.post(self.PATH, self.BODY,
                              headers={"Idempotency-Key": key})

    def test_it_is_begun_once(self):
        self.fill_dead(200)
        first = self.send()
        self.assertEqual(first.status, 202, first)
        where = first.headers["Location"]
        wait_until(lambda: self.show(where)["seen"], 5, "its first page")
        again = self.send()
        self.assertEqual(again.status, 200, again)
        self.assertEqual((again.headers["Idempotency-Replayed"],
                          again.headers["Location"]), ("true", where))
        self.assertEqual(again.json()["seen"], self.show(where)["seen"])
        later = self.send("later")
        listed = self.http.get("/v1/operations").json()["operations"]
        self.assertEqual([one["id"] for one in listed],
                         [later.json()["id"], first.json()["id"]])

    def test_one_that_was_cut_off_is_not_begun_again(self):
        """It was stored; that the key is done was not."""
        self.fill_dead(3)
        first = self.send()
        where = first.headers["Location"]
        ended = wait_until(lambda: (lambda one: one["ended_at"] and one)(
            self.show(where)), 5, "the operation to end")
        Context(self.http, self.client).reopen("k")
        again = self.send()
        self.assertEqual((again.status, again.json()), (200, ended))
        self.assertEqual(self.show(where), ended)
        self.assertEqual(len(self.http.get("/v1/operations").json()[
            "operations"]), 1)

    def test_refused_it_does_not_use_the_key_up(self):
        self.assertEqual(self.http.post(
            self.PATH, {"queue": "q"}, headers={"Idempotency-Key": "k"}).status,
            400)
        self.assertEqual(self.send().status, 202)


class Listed(OperationCase):
    def test_pages_newest_first(self):
        made = [self.start("/v1/jobs:delete", {"queue": "q", "state": "dead"})
                for _ in range(5)]
        made = [where.rpartition("/")[2] for where in made]
        page = self.http.get("/v1/operations?limit=2").json()
        self.assertEqual([one["id"] for one in page["operations"]],
                         sorted(made)[:-3:-1])
        rest = self.http.get("/v1/operations?cursor=" +
                             page["next_cursor"]).json()
        self.assertEqual([one["id"] for one in rest["operations"]],
                         sorted(made)[2::-1])
        self.assertIsNone(rest["next_cursor"])
        for query in ("?limit=0", "?limit=101", "?cursor=x", "?state=done"):
            self.refuse("GET", "/v1/operations" + query, 400,
                        "invalid-request")
        listed = self.cli(self.store, "operations", "--limit", "1").stdout
        self.assertEqual([line.split()[:4] for line in listed.splitlines()],
                         [["OPERATION", "KIND", "QUEUE", "STATE"],
                          [max(made), "delete", "q", "done"]])

    def test_cancel(self):
        self.fill_dead(200)
        body = {"queue": "q", "state": "dead", "rate": "1/h"}
        first, second = (self.start("/v1/jobs:retry", body) for _ in range(2))
        answer = self.http.post(first + ":cancel")
        self.assertEqual(answer.status, 202)
        self.assertTrue(answer.json()["cancel_asked"])
        told = self.cli(self.store, "operations", "cancel",
                        second.rpartition("/")[2], "--json").stdout
        self.assertTrue(json.loads(told)["cancel_asked"])
        for where in (first, second):
            one = wait_until(lambda: (lambda one: one["ended_at"] and one)(
                self.show(where)), 5, "the operation to stop")
            self.assertEqual((one["state"], one["cancel_asked"]),
                             ("cancelled", False))
            self.refuse("POST", where + ":cancel", 409, "invalid-state")
        self.assertGreater(self.client.zcard(self.queue.key("dead")), 0)
        refused = self.cli(self.store, "operations", "cancel",
                           first.rpartition("/")[2], code=1)
        self.assertIn("has ended", refused.stderr)
        self.refuse("POST", "/v1/operations/01ARZ3NDEKTSV4RRFFQ69G5FAV:cancel",
                    404, "not-found")
        self.cli(self.store, "operations", "nope", code=1)
        self.cli(self.store, "operations", "cancel", code=2)

    def test_a_slow_one_is_alive(self):
        """The rate lets it wait for longer than its process answers for it."""
        self.fill_dead(70)
        where = self.start("/v1/jobs:retry", {"queue": "q", "state": "dead",
                                              "rate": "1/h"})
        running = "pit:{@operations}:running"
        local = where.rpartition("/")[2]
        till = self.client.zscore(running, local)
        wait_until(lambda: self.client.zscore(running, local) > till + 1000, 5,
                   "a sign of life")


del ControlCase

if __name__ == "__main__":
    unittest.main()
