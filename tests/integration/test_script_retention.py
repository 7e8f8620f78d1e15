"""scripts/work.lua: what follows the end of a job, for how long it is kept and
who hears of it."""

import unittest

from pitscripts import ScriptCase, done, done_all, ended, job


class Retention(ScriptCase):
    def end(self, *locals_, keep=60000):
        claimed = self.claim(*[job(local) for local in locals_])
        return self.queue.work(finishes=[done_all(claimed, keep)])

    def test_by_age(self):
        work = self.end("a", "b", keep=20)
        self.end("c")
        self.assertEqual(len(self.places()), 3)
        self.until(work.now + 20)
        self.queue.work()
        self.assertEqual(self.places(), {"c": "done"})
        self.assertEqual(self.queue.get("a"), "gone")
        self.assertGreater(self.client.zscore(self.queue.key("gone"), "a"),
                           work.now)
        self.queue.enqueue(job("x"))
        self.queue.work(claim=1)
        self.assertEqual(self.queue.stats()["kept"], 1)

    def test_an_idle_queue_forgets_too(self):
        work = self.end("a", keep=20)
        self.until(work.now + 20)
        again = self.queue.work()
        self.assertEqual((again.next, self.places()), (-1, {}))

    def test_everything_goes_with_the_job(self):
        claimed, = self.claim(job("a"))
        self.queue.progress(claimed, "1")
        work = self.queue.work(finishes=[done(claimed, 20, result="1")])
        self.until(work.now + 20)
        self.queue.work()
        left = sorted(self.client.keys("*"))
        self.assertEqual(left, [self.queue.key(key) for key in
                                ("gone", "meta", "samples", "stats")])

    def test_a_crowd_is_forgotten_in_steps(self):
        last = None
        for n in range(40):
            last = self.end(*[f"id-{n}-{m}" for m in range(64)], keep=1)
        self.until(last.now + 1)
        work, calls = self.queue.work(), 1
        while work.next == 0:
            work, calls = self.queue.work(), calls + 1
            self.assertLess(calls, 100)
        self.assertEqual((work.next, self.places()), (-1, {}))

    def test_by_count(self):
        self.client.hset(self.queue.key("meta"), "done_max", 10)
        for n in range(25):
            self.end(f"id-{n:02}", keep=60000 + n)
            self.assertEqual(len(self.places()), min(n + 1, 10))
        self.assertEqual(sorted(self.places()),
                         [f"id-{n:02}" for n in range(15, 25)])
        self.assertEqual(self.queue.stats()["kept"], 10)

    def test_by_count_of_what_falls_due_first(self):
        self.client.hset(self.queue.key("meta"), "done_max", 2)
        self.end("long", keep=90000)
        self.end("short", keep=10000)
        self.end("middle", keep=50000)
        self.assertEqual(sorted(self.places()), ["long", "middle"])

    def test_done_max_0_keeps_none(self):
        self.client.hset(self.queue.key("meta"), "done_max", 0)
        self.end("a", "b")
        self.assertEqual(self.places(), {})

    def test_a_set_that_was_removed_by_hand_is_counted_anew(self):
        self.client.hset(self.queue.key("meta"), "done_max", 3)
        self.end("a", "b", "c")
        self.client.delete(self.queue.key("done"))
        for n in range(3):
            self.end(f"id-{n}")
        self.token = None  # a to c are in no place: somebody removed them
        self.assertLessEqual(self.queue.stats()["kept"], 3)
        self.assertEqual(self.client.zcard(self.queue.key("done")),
                         self.queue.stats()["kept"])

    def test_dead_by_count(self):
        self.client.hset(self.queue.key("meta"), "dead_max", 3)
        for n in range(6):
            claimed, = self.claim(job(f"id-{n}"))
            work = self.queue.work(finishes=[ended("f", claimed, -1)])
            self.assertEqual(len(self.places()), min(n + 1, 3))
            self.until(work.now)
        self.assertEqual(self.places(),
                         dict.fromkeys(["id-3", "id-4", "id-5"], "dead"))
        self.assertEqual(self.queue.get("id-0"), "gone")

    def test_dead_by_age(self):
        claimed, = self.claim(job("a"))
        work = self.queue.work(finishes=[ended("f", claimed, -1)])
        self.client.hset(self.queue.key("meta"), "dead_ms", 20)
        self.until(work.now + 20)
        claimed, = self.claim(job("b"))
        self.queue.work(finishes=[ended("f", claimed, -1)])
        self.assertEqual(self.places(), {"b": "dead"})

    def quarantine(self, local, options=""):
        claimed, = self.claim(job(local, options=options,
                                  flag="+" if options else "-"))
        return self.queue.work(finishes=[ended("c", claimed)], crashes=1)

    def test_quarantined_by_count(self):
        self.client.hset(self.queue.key("meta"), "quarantined_max", 3)
        for n in range(6):
            work = self.quarantine(f"id-{n}")
            self.assertEqual(len(self.places()), min(n + 1, 3))
            self.until(work.now)
        self.assertEqual(self.places(), dict.fromkeys(
            ["id-3", "id-4", "id-5"], "quarantined"))
        self.assertEqual(self.queue.get("id-0"), "gone")

    def test_quarantined_by_age(self):
        self.client.hset(self.queue.key("meta"), "quarantined_ms", 20)
        work = self.quarantine("a")
        self.until(work.now + 20)
        self.quarantine("b")
        self.assertEqual(self.places(), {"b": "quarantined"})

    def test_who_waits_for_a_quarantined_one_hears_of_its_retention(self):
        self.client.hset(self.queue.key("meta"), "quarantined_max", 0)
        self.quarantine("a", " oq.child")
        self.assertEqual(self.places(), {})
        (_, message), = self.client.xrange(self.queue.key("outbox"))
        self.assertEqual((message["to"], message["from"], message["code"]),
                         ("q.child", "q.a", "C"))

    def test_a_queue_without_new_ones_is_looked_through(self):
        """By a worker that idles, and by one that is busy with others."""
        for busy in (False, True):
            claimed, = self.claim(job("dead"))
            self.queue.work(finishes=[ended("f", claimed, -1)])
            work = self.quarantine("quarantined")
            self.client.hset(self.queue.key("meta"), mapping={
                "dead_ms": 20, "quarantined_ms": 20})
            self.until(work.now + 20)
            if busy:
                self.queue.enqueue(job("other"))
            self.queue.work(claim=1)  # the last look was less than 10 s ago
            self.assertEqual(self.places()["dead"], "dead")
            self.client.delete(self.queue.key("samples"))
            self.queue.work(claim=1)
            self.assertEqual(self.places(),
                             {"other": "leased"} if busy else {})
            self.client.flushall()

    def test_settings_that_are_none_count_as_unset(self):
        self.client.hset(self.queue.key("meta"), mapping={
            "done_max": "many", "dead_max": "", "dead_ms": "x", "paused": "?",
            "quarantined_max": "few", "quarantined_ms": ""})
        self.end("a")
        self.quarantine("b")
        self.assertEqual(self.places(), {"a": "done", "b": "quarantined"})

    def test_keep_0_is_forgotten_at_once(self):
        self.end("a", keep=0)
        self.assertEqual(self.queue.get("a"), "gone")
        self.assertNotIn("kept", self.queue.stats())

    def test_the_last_10000_are_remembered(self):
        self.client.zadd(self.queue.key("gone"),
                         {f"old-{n}": n + 1 for n in range(10000)})
        self.end("a", "b", "c", keep=0)
        self.assertEqual(self.client.zcard(self.queue.key("gone")), 10000)
        self.assertIsNone(self.queue.get("old-2"))
        self.assertEqual(self.queue.get("old-3"), "gone")
        self.assertEqual(self.queue.get("c"), "gone")


class Waits(ScriptCase):
    def setUp(self):
        super().setUp()
        self.listener = self.client.pubsub(ignore_subscribe_messages=True)
        self.addCleanup(self.listener.close)
        self.listener.subscribe("ch1", "ch2")
        self.listener.get_message(timeout=5)
        self.listener.get_message(timeout=5)

    def heard(self):
        """All messages so far: what is published behind them says when."""
        found = []
        self.client.publish("ch1", "end of test")
        while True:
            message = self.listener.get_message(timeout=5)
            if message is None:
                continue
            if message["data"] == "end of test":
                return sorted(found)
            found.append((message["channel"], message["data"]))

    def test_every_channel_hears_of_an_end_once(self):
        claimed, = self.claim(job("a"))
        self.queue.wait("a", "ch1")
        self.queue.wait("a", "ch2")
        self.queue.work(finishes=[done(claimed)])
        self.assertEqual(self.heard(), [("ch1", "a"), ("ch2", "a")])
        self.assertEqual(self.queue.work(finishes=[done(claimed)]).stale,
                         [claimed.token])
        self.assertEqual(self.heard(), [])
        self.assertFalse(self.client.exists(self.queue.key("waits")))

    def test_each_kind_of_end(self):
        past = self.queue.now() - 1
        claimed = self.claim(*[job(name) for name in "sSfxcq"])
        self.queue.enqueue(job("e", options=f" e{past}", flag="+"))
        for name in "sSfxcqe":
            self.queue.wait(name, "ch1")
        s, result, f, x, c, kept0 = claimed
        self.queue.work(claim=1, crashes=1, finishes=[
            done(s), done(result, result="1"), ended("f", f, -1),
            ended("x", x), ended("c", c), done(kept0, keep=0)])
        self.assertEqual(self.heard(), sorted(("ch1", n) for n in "sSfxcqe"))

    def test_lost_for_the_last_time(self):
        self.claim(job("a"), lease=1)
        self.queue.wait("a", "ch1")
        self.until(self.client.zscore(self.queue.key("leased"), "5a"))
        self.queue.work(lost=1)
        self.assertEqual(self.heard(), [("ch1", "a")])

    def test_nothing_is_said_before_the_end(self):
        claimed, = self.claim(job("a"))
        self.queue.wait("a", "ch1")
        for how in "fcr":
            claimed, = self.queue.work(
                claim=1, finishes=[ended(how, claimed, 0)]).claimed
        self.assertEqual(self.heard(), [])
        self.assertTrue(self.client.exists(self.queue.key("waits")))


if __name__ == "__main__":
    unittest.main()
