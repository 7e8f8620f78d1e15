"""Every script but work against a real Redis, from what its first comment
promises. work has test_script_{work,retention,rubbish}.py, all together
test_script_history.py."""

import unittest

import redis as redislib

from pitscripts import Broken, ScriptCase, check, done, ended, job


class Checker(ScriptCase):
    """A checker that finds nothing is worth nothing."""

    def setUp(self):
        super().setUp()
        self.queue.enqueue(job("a"))
        self.token = None

    def assert_broken(self, pattern):
        with self.assertRaisesRegex(Broken, pattern):
            check(self.queue)

    def test_sees_two_places(self):
        self.client.zadd(self.queue.key("leased"), {"5a": 1})
        self.assert_broken("a is in .*ready.* and in leased")

    def test_sees_a_lost_job(self):
        self.client.delete(self.queue.key("ready:5"))
        self.assert_broken("records without a place: a;")

    def test_sees_an_entry_without_a_record(self):
        self.client.rpush(self.queue.key("ready:5"), "5b")
        self.assert_broken("places without a record: b")

    def test_sees_a_wrong_state(self):
        self.client.hset(self.queue.key("state"), "a", "R w.0 1 0 0 0 w 1\n")
        self.assert_broken("a in ready has state")

    def test_sees_a_missing_token(self):
        self.client.delete(self.queue.key("wake"))
        self.assert_broken("without a token")

    def test_sees_what_is_left_of_a_forgotten_job(self):
        self.client.hset(self.queue.key("progress"), "b", "1")
        self.assert_broken("progress of no job")

    def test_sees_a_wrong_count(self):
        self.client.hset(self.queue.key("stats"), "kept", 1)
        self.assert_broken("0 are in done")


class Enqueue(ScriptCase):
    def test_fresh_jobs_are_ready_in_order(self):
        jobs = [job("a"), job("b"), job("c", 9), job("d")]
        self.assertEqual(self.queue.enqueue(*jobs), [1])
        self.assertEqual(self.ready(5), ["5a", "5b", "5d"])
        self.assertEqual(self.ready(9), ["9c"])
        self.assertEqual(self.client.hgetall(self.queue.key("jobs")),
                         {one.id: one.record for one in jobs})
        self.assertEqual(self.queue.stats(), {"enqueued": 4})

    def test_first_is_said_once(self):
        self.assertEqual(self.queue.enqueue(job("a")), [1])
        self.assertEqual(self.queue.enqueue(job("b")), [0])
        self.assertEqual(self.queue.enqueue(job("a"), mode="named"),
                         [0, job("a").record])

    def test_records_are_kept_byte_for_byte(self):
        args = "".join(map(chr, range(256)))
        self.queue.enqueue(job("a", args=args))
        self.assertEqual(self.queue.get("a").record, job("a", args=args).record)

    def test_named_new_then_the_record_that_stands(self):
        self.assertEqual(self.queue.enqueue(job("a"), mode="named"), [1, 1])
        before = self.queue.snapshot()
        other = job("a", args="[1]")
        for again in (job("a"), other):
            self.assertEqual(self.queue.enqueue(again, mode="named"),
                             [0, job("a").record])
        self.assertEqual(self.queue.snapshot(), before)

    def test_named_stores_what_is_new_beside_what_is_known(self):
        self.queue.enqueue(job("a"))
        self.assertEqual(
            self.queue.enqueue(job("b"), job("a"), job("c"), mode="named"),
            [0, 1, job("a").record, 1])
        self.assertEqual(self.ready(), ["5a", "5b", "5c"])
        self.assertEqual(self.queue.stats()["enqueued"], 3)

    def test_named_twice_in_one_call_is_stored_once(self):
        self.assertEqual(
            self.queue.enqueue(job("a", args="1"), job("a", args="2"),
                               mode="named"),
            [1, 1, job("a", args="1").record])
        self.assertEqual(self.ready(), ["5a"])
        self.assertEqual(self.queue.get("a").record,
                         job("a", args="1").record)

    def test_a_running_and_an_ended_job_keep_their_id(self):
        claimed, = self.claim(job("a"))
        taken = [0, job("a").record]
        self.assertEqual(self.queue.enqueue(job("a"), mode="named"), taken)
        self.queue.work(finishes=[done(claimed)])
        self.assertEqual(self.queue.enqueue(job("a"), mode="named"), taken)

    def test_named_gone(self):
        claimed, = self.claim(job("a"))
        self.queue.work(finishes=[done(claimed, keep=0)])
        self.assertEqual(self.queue.enqueue(job("a"), mode="named"), [0, 0])
        self.assertEqual(self.queue.enqueue(job("b"), job("a"), mode="all"),
                         [0, 1, 0])
        self.assertEqual(self.places(), {})

    def test_all_or_nothing(self):
        self.queue.enqueue(job("a"))
        before = self.queue.snapshot()
        self.assertEqual(
            self.queue.enqueue(job("b"), job("a"), job("c"), mode="all"),
            [0, 1, job("a").record, 1])
        self.assertEqual(
            self.queue.enqueue(job("b"), job("b"), mode="all"),
            [0, 1, job("b").record])
        self.assertEqual(self.queue.snapshot(), before)
        self.assertEqual(
            self.queue.enqueue(job("b"), job("c", 1), mode="all"), [0, 1, 1])
        self.assertEqual(self.places(), dict.fromkeys("abc", "ready"))

    def test_delay_counts_by_redis_clock(self):
        before = self.queue.now()
        self.queue.enqueue(job("a", 7, where="+60000"))
        after = self.queue.now()
        due = self.client.zscore(self.queue.key("due"), "7a")
        self.assertTrue(before + 60000 <= due <= after + 60000)
        self.assertEqual(self.places(), {"a": "due"})

    def test_at_is_taken_as_it_is(self):
        self.queue.enqueue(job("a", where="@253402300799999"),
                           job("b", where="@1"), job("c"))
        self.assertEqual(
            self.client.zrange(self.queue.key("due"), 0, -1, withscores=True),
            [("5b", 1), ("5a", 253402300799999)])
        self.assertEqual(self.ready(), ["5c"])

    def test_a_token_when_there_is_none(self):
        self.queue.enqueue(job("a"))
        self.queue.enqueue(job("b"))
        self.assertEqual(self.wake(), 1)
        self.take_token()
        self.queue.enqueue(job("a"), mode="named")
        self.assertEqual(self.wake(), 0, "nothing was stored")
        self.queue.enqueue(job("c"))
        self.assertEqual(self.wake(), 1)

    def test_a_token_for_what_falls_due_earlier_only(self):
        self.queue.enqueue(job("a", where="+60000"))
        self.assertEqual(self.wake(), 1, "the first")
        self.take_token()
        self.queue.enqueue(job("b", where="+90000"))
        self.assertEqual(self.wake(), 0, "a later one")
        self.queue.enqueue(job("c", where="+90000"), job("d", where="+30000"))
        self.assertEqual(self.wake(), 1, "an earlier one")

    def test_128_jobs_in_one_call(self):
        jobs = [job(f"id-{n}", n % 10) for n in range(128)]
        self.assertEqual(self.queue.enqueue(*jobs, mode="named"),
                         [1] + [1] * 128)
        self.assertEqual(len(self.places()), 128)

    def test_a_wrong_type_changes_nothing(self):
        for key in ("jobs", "due", "stats", "wake", "ready:5"):
            for mode in ("fresh", "named", "all"):
                self.client.flushall()
                self.queue.enqueue(job("there", 4))
                self.assert_wrong_type_changes_nothing(
                    key, lambda: self.queue.enqueue(
                        job("a"), job("b", where="+9"), mode=mode))
        self.client.flushall()
        self.assert_wrong_type_changes_nothing(
            "gone", lambda: self.queue.enqueue(job("a"), mode="named"))

    def test_a_wrong_type_of_what_options_need_changes_nothing(self):
        def one(local, conflict="r", more=""):
            return job(local, flag="+", conflict=conflict,
                       options=f"{more} uw,0,k l1,0,0,K")
        calls = {
            (): ("unique", "unlocks", "turns", "key:5K", "events"),
            ("p",): ("unique", "done", "state", "waits", "stale", "outbox"),
            ("r", " n1,s"): ("unique", "done", "waits", "gone", "blocked"),
        }
        for words, keys in calls.items():
            for key in keys:
                self.client.flushall()
                self.queue._call("watch", ["meta", "events"], [60000])
                self.queue.enqueue(one("there"))
                self.assert_wrong_type_changes_nothing(
                    key, lambda: self.queue.enqueue(job("a"),
                                                    one("b", *words)))

    def test_after_script_flush(self):
        self.client.script_flush()
        self.assertEqual(self.queue.enqueue(job("a")), [1])


class Renew(ScriptCase):
    def deadline(self, claimed):
        return self.client.zscore(self.queue.key("leased"), claimed.entry)

    def test_pushes_back_what_is_held(self):
        one, two = self.claim(job("a"), job("b", 2), lease=1000)
        before = self.queue.now()
        self.assertEqual(self.queue.renew(one, two, lease=30000), [])
        for claimed in (one, two):
            self.assertGreaterEqual(self.deadline(claimed), before + 30000)

    def test_never_moves_a_deadline_back(self):
        claimed, = self.claim(job("a"), lease=60000)
        before = self.deadline(claimed)
        self.assertEqual(self.queue.renew(claimed, lease=1000), [])
        self.assertEqual(self.deadline(claimed), before)

    def test_lost_tokens_come_back_in_order(self):
        a, b, c, d = self.claim(*[job(name) for name in "abcd"])
        self.queue.work(finishes=[done(a, keep=0), done(c)])
        other = b._replace(token="w.77")
        before = self.queue.snapshot()
        self.assertEqual(self.queue.renew(c, other, a),
                         [c.token, "w.77", a.token])
        self.assertEqual(self.queue.snapshot(), before)
        self.assertEqual(self.queue.renew(a, d), [a.token])

    def test_a_token_that_begins_like_the_right_one(self):
        claimed, = self.claim(job("a"), first=12)
        for token in ("w.1", "w.123", "w", ""):
            self.assertEqual(
                self.queue.renew(claimed._replace(token=token)), [token])

    def test_a_lapsed_lease_can_be_renewed_a_reaped_one_not(self):
        claimed, = self.claim(job("a"), lease=1)
        self.until(self.deadline(claimed))
        self.assertEqual(self.queue.renew(claimed, lease=20), [])
        self.until(self.deadline(claimed))
        self.queue.work()
        self.assertEqual(self.places(), {"a": "ready"})
        self.assertEqual(self.queue.renew(claimed), [claimed.token])
        self.assertEqual(self.places(), {"a": "ready"})

    def test_wrong_types(self):
        claimed, = self.claim(job("a"))
        self.assert_wrong_type_changes_nothing(
            "leased", lambda: self.queue.renew(claimed))
        self.client.flushall()
        claimed, = self.claim(job("a"))
        self.assert_wrong_type_changes_nothing(
            "state", lambda: self.queue.renew(claimed))


class Progress(ScriptCase):
    def test_is_kept_while_the_lease_is_held(self):
        claimed, = self.claim(job("a"))
        self.assertEqual(self.queue.progress(claimed, '{"done":1}'), 1)
        self.assertEqual(self.queue.progress(claimed, '{"done":2}'), 1)
        self.assertEqual(self.queue.get("a").progress, '{"done":2}')

    def test_is_refused_for_another_token(self):
        claimed, = self.claim(job("a"), first=12)
        for token in ("w.1", "w.123", "v.12", ""):
            self.assertEqual(
                self.queue.progress(claimed._replace(token=token), "1"), 0)
        self.assertIsNone(self.queue.get("a").progress)

    def test_is_refused_once_the_attempt_ended(self):
        for finish in (done, lambda one: ended("f", one, 0),
                       lambda one: ended("r", one)):
            self.client.flushall()
            claimed, = self.claim(job("a"))
            self.queue.work(finishes=[finish(claimed)])
            self.assertEqual(self.queue.progress(claimed, "1"), 0)
            self.assertIsNone(self.queue.get("a").progress)
        self.assertEqual(
            self.queue.progress(claimed._replace(id="never"), "1"), 0)

    def test_goes_with_its_job(self):
        claimed, = self.claim(job("a"))
        self.queue.progress(claimed, "1")
        self.queue.work(finishes=[done(claimed, keep=0)])
        self.assertFalse(self.client.exists(self.queue.key("progress")))

    def test_wrong_types(self):
        claimed, = self.claim(job("a"))
        self.assert_wrong_type_changes_nothing(
            "progress", lambda: self.queue.progress(claimed, "1"))
        self.assert_wrong_type_changes_nothing(
            "state", lambda: self.queue.progress(claimed, "1"))


class Get(ScriptCase):
    def test_through_a_life(self):
        self.assertIsNone(self.queue.get("a"))
        self.queue.enqueue(job("a", 3, where="@5"))
        self.assertEqual(self.queue.get("a"),
                         (job("a", 3).record, None, None, None, "5", None, None))
        claimed, = self.queue.work(claim=1).claimed
        view = self.queue.get("a")
        self.assertTrue(view.state.startswith(f"R {claimed.token} 1 0 0 0 w "))
        self.assertIsNone(view.due)
        self.queue.work(finishes=[ended("f", claimed, 60000)])
        view = self.queue.get("a")
        self.assertEqual(view.state[0], "W")
        self.assertGreater(float(view.due), self.queue.now() + 50000)
        self.client.zadd(self.queue.key("retrying"), {"3a": 1})
        claimed, = self.queue.work(claim=1).claimed
        self.queue.work(finishes=[done(claimed, result="[1]")])
        view = self.queue.get("a")
        self.assertEqual((view.state[0], view.result), ("S", "[1]"))

    def test_gone(self):
        claimed, = self.claim(job("a"))
        self.queue.work(finishes=[done(claimed, keep=0)])
        self.assertEqual(self.queue.get("a"), "gone")


class Wait(ScriptCase):
    def test_nothing_to_wait_for(self):
        self.assertEqual(self.queue.wait("never", "ch"), 1)
        ends = [done, lambda one: ended("f", one, -1),
                lambda one: ended("x", one), lambda one: done(one, keep=0)]
        for n, finish in enumerate(ends):
            claimed, = self.claim(job(f"id-{n}"))
            self.queue.work(finishes=[finish(claimed)])
            self.assertEqual(self.queue.wait(f"id-{n}", "ch"), 1)
        claimed, = self.claim(job("poison"))
        self.queue.work(crashes=1, finishes=[ended("c", claimed)])
        self.assertEqual(self.queue.wait("poison", "ch"), 1)
        self.assertFalse(self.client.exists(self.queue.key("waits")))

    def test_scheduled_ready_running_and_retrying_are_waited_for(self):
        self.queue.enqueue(job("a", where="+60000"), job("b"))
        self.assertEqual(self.queue.wait("a", "ch"), 0)
        self.assertEqual(self.queue.wait("b", "ch"), 0)
        claimed, = self.queue.work(claim=1).claimed
        self.assertEqual(self.queue.wait("b", "ch"), 0)
        self.queue.work(finishes=[ended("f", claimed, 60000)])
        self.assertEqual(self.queue.wait("b", "ch"), 0)
        self.assertEqual(self.client.hgetall(self.queue.key("waits")),
                         {"a": "ch ", "b": "ch "})

    def test_each_channel_once_and_64_at_most(self):
        self.queue.enqueue(job("a"))
        for n in range(64):
            self.assertEqual(self.queue.wait("a", f"ch{n}"), 0)
        self.assertEqual(self.queue.wait("a", "ch7"), 0)
        before = self.queue.snapshot()
        with self.assertRaisesRegex(redislib.ResponseError, "LIMIT too many"):
            self.queue.wait("a", "ch64")
        self.assertEqual(self.queue.snapshot(), before)


class Counts(ScriptCase):
    def test_of_an_empty_queue(self):
        counts = self.queue.counts()
        self.assertEqual(counts[:7], (0, 0, 0, 0, 0, 0, 0))
        self.assertEqual((counts.retrying, counts.totals), (0, {}))
        self.assertLess(abs(counts.now - self.queue.now()), 1000)

    def test_each_place(self):
        claimed = self.claim(*[job(f"c{n}") for n in range(5)])
        self.queue.work(crashes=1, finishes=[
            done(claimed[0]), ended("f", claimed[1], -1),
            ended("c", claimed[2]), ended("t", claimed[3], 60000)])
        self.queue.enqueue(job("r1", 9, created=7000),
                           job("r2", 1, created=6000),
                           job("r3", 1, created=5000),
                           job("d", where="+60000"))
        self.client.hset(self.queue.key("meta"), "paused", 1)
        counts = self.queue.counts()
        self.assertEqual(counts[:7], (3, 1, 1, 1, 1, 1, 6000))
        self.assertEqual(counts.retrying, 1)
        self.assertEqual(counts.totals, {
            "enqueued": 9, "succeeded": 1, "failed": 1, "dead": 1,
            "crashed": 1, "quarantined": 1, "timeout": 1, "retried": 1,
            "kept": 1})

    def test_rubbish_at_the_head(self):
        self.token = None
        self.client.rpush(self.queue.key("ready:5"), "\x00\xff", "")
        self.client.rpush(self.queue.key("ready:4"), "")
        self.assertEqual(self.queue.counts()[:7], (3, 0, 0, 0, 0, 0, 0))


if __name__ == "__main__":
    unittest.main()
