"""scripts/work.lua against a real Redis, from what its first comment promises.

The order of the classes is that of a call: claim, finish, reap, promote, wake
and next. What comes after an end is in test_script_retention.py, what somebody
wrote into the keys by hand in test_script_rubbish.py."""

import random
import unittest

from pitscripts import ScriptCase, claimed_ids, done, done_all, ended, job


class Claim(ScriptCase):
    def test_in_order_of_priority_then_of_arrival(self):
        self.queue.enqueue(*[job(f"{digit}-{n}", digit)
                             for n in range(3) for digit in (5, 0, 9, 1)])
        work = self.queue.work(claim=64)
        self.assertEqual(claimed_ids(work),
                         [f"{digit}-{n}" for digit in (9, 5, 1, 0)
                          for n in range(3)])
        self.assertEqual([one.entry[0] for one in work.claimed],
                         list("999555111000"))
        self.assertEqual(self.places(),
                         dict.fromkeys(claimed_ids(work), "leased"))

    def test_no_more_than_asked_for(self):
        self.queue.enqueue(*[job(f"id-{n}", n % 3) for n in range(100)])
        seen = []
        for claim, more in ((0, 1), (1, 1), (64, 1), (34, 1), (1, 0), (1, 0)):
            work = self.queue.work(claim=claim)
            self.assertEqual(len(work.claimed), min(claim, 100 - len(seen)))
            seen += claimed_ids(work)
            self.assertEqual(work.more, more)
            self.places()
        self.assertEqual(len(set(seen)), 100)

    def test_many_leases_are_no_listpack(self):
        self.queue.enqueue(*[job(f"id-{n}") for n in range(80)])
        leased = self.queue.key("leased")
        self.queue.work(claim=2)
        encoding = self.client.object("encoding", leased)
        self.assertNotEqual(encoding, "skiplist")
        self.queue.work(claim=64)
        encoding = self.client.object("encoding", leased)
        self.assertEqual(encoding, "skiplist")
        self.assertEqual(self.client.zcard(leased), 66, "jobs and no more")

    def test_more_is_said_when_ready_jobs_were_left_only(self):
        self.queue.enqueue(job("a"), job("b", 0))
        self.assertEqual(self.queue.work(claim=1).more, 1)
        self.assertEqual(self.queue.work(claim=1).more, 0)

    def test_tokens_count_up_and_the_lease_is_by_redis_clock(self):
        self.queue.enqueue(*[job(name, 3) for name in "abc"])
        before = self.queue.now()
        work = self.queue.work(claim=3, worker="host-1_x", first=41,
                               lease=20000)
        after = self.queue.now()
        self.assertTrue(before <= work.now <= after)
        for n, claimed in enumerate(work.claimed):
            self.assertEqual(claimed.token, f"host-1_x.{41 + n}")
            self.assertEqual(
                self.queue.get(claimed.id).state,
                f"R {claimed.token} 1 0 0 0 host-1_x {work.now}\n")
            self.assertEqual(
                self.client.zscore(self.queue.key("leased"), claimed.entry),
                work.now + 20000)

    def test_the_record_comes_byte_for_byte(self):
        one = job("a", args="".join(map(chr, range(256))) + "\r\n")
        claimed, = self.claim(one)
        self.assertEqual(claimed.record, one.record)

    def test_first_time_and_again(self):
        claimed, = self.claim(job("a"))
        self.assertIsNone(claimed.again)
        for finish, again in ((ended("f", claimed, 0), "2 1 0"), ("c", "3 1 1"),
                              ("r", "3 1 1"), ("t", "4 2 1")):
            if isinstance(finish, str):
                finish = ended(finish, claimed, 0)
            claimed, = self.queue.work(claim=1, finishes=[finish]).claimed
            self.assertEqual(claimed.again, again)

    def test_paused_claims_nothing_but_finishes(self):
        claimed, = self.claim(job("a"))
        self.queue.enqueue(job("b"))
        self.client.hset(self.queue.key("meta"), "paused", "1")
        work = self.queue.work(claim=5, finishes=[done(claimed)])
        self.assertEqual((work.claimed, work.more, work.stale), ([], 0, []))
        self.assertEqual(self.wake(), 0)
        self.assertEqual(self.places(), {"a": "done", "b": "ready"})
        self.client.hset(self.queue.key("meta"), "paused", "0")
        self.assertEqual(claimed_ids(self.queue.work(claim=5)), ["b"])

    def test_large_records_come_in_replies_of_some_megabytes(self):
        large = "x" * (1 << 20)
        for n in range(12):
            self.queue.enqueue(job(f"id-{n:02}", args=large))
        seen, replies = [], 0
        while len(seen) < 12:
            work = self.queue.work(claim=64)
            size = sum(len(one.record) for one in work.claimed)
            self.assertLess(size, 9 << 20)
            seen += claimed_ids(work)
            self.assertEqual(work.more, int(len(seen) < 12))
            self.places()
            replies += 1
        self.assertEqual(seen, [f"id-{n:02}" for n in range(12)])
        self.assertGreater(replies, 1)

    def test_expired_jobs_do_not_run(self):
        past, future = self.queue.now() - 1, self.queue.now() + 60000
        self.queue.enqueue(
            job("a", options=f" e{past} k5000", flag="+"),
            job("b", options=f" e{future}", flag="+"),
            job("c", options=f" e{past} k0", flag="+"),
            job("d", options=f" t9 e{past}", flag="+"),
            job("e", options=" x9", args=f"- e{past}", flag="+"), job("f"))
        work = self.queue.work(claim=2)
        self.assertEqual(claimed_ids(work), ["b", "e"])
        self.assertEqual(self.places(),
                         {"a": "done", "b": "leased", "d": "done",
                          "e": "leased", "f": "ready"})
        self.assertEqual(self.queue.get("a").state,
                         f"X - 0 0 0 0 - 0 {work.now}\n")
        self.assertEqual(self.queue.get("c"), "gone")
        self.assertEqual(
            dict(self.client.zrange(self.queue.key("done"), 0, -1,
                                    withscores=True)),
            {"a": work.now + 5000, "d": work.now + 3600000})
        self.assertEqual(self.queue.stats()["expired"], 3)

    def test_an_attempt_is_not_interrupted_by_expiry_a_retry_is(self):
        one = job("a", options=f" e{self.queue.now() + 50}", flag="+")
        claimed, = self.claim(one)
        self.until(self.queue.now() + 50)
        self.assertEqual(self.queue.work(claim=1).claimed, [])
        self.assertEqual(self.places(), {"a": "leased"})
        work = self.queue.work(claim=1, finishes=[ended("f", claimed, 0)])
        self.assertEqual(work.claimed, [])
        head, attempt, _ = self.queue.get("a").state.split("\n")
        self.assertRegex(head, rf"^X {claimed.token} 1 1 0 0 w \d+ \d+$")
        self.assertRegex(attempt, "^1 f ")

    def test_a_crowd_of_expired_jobs_is_taken_in_steps(self):
        past = self.queue.now() - 1
        crowd = [job(f"old-{n}", options=f" e{past}", flag="+")
                 for n in range(12000)]
        for at in range(0, len(crowd), 1000):
            self.queue.enqueue(*crowd[at:at + 1000])
        self.queue.enqueue(job("young", 4))
        calls, claimed = 0, []
        while not claimed:
            work = self.queue.work(claim=64)
            claimed += claimed_ids(work)
            self.assertTrue(claimed or work.more)
            self.assertGreaterEqual(self.wake(), work.more)
            calls += 1
            self.assertLess(calls, 1000)
        self.assertGreater(calls, 12)
        self.assertEqual(self.queue.stats()["expired"], 12000)


class Finish(ScriptCase):
    def state(self, local):
        head, *attempts = self.queue.get(local).state.split("\n")[:-1]
        return head.split(" "), attempts

    def test_a_group_of_plain_successes(self):
        claimed = self.claim(*[job(f"id-{n}", n % 10) for n in range(64)])
        work = self.queue.work(finishes=[done_all(claimed, keep=7000)])
        self.assertEqual((work.stale, work.more, work.claimed), ([], 0, []))
        self.assertEqual(set(self.places().values()), {"done"})
        for _, until in self.client.zrange(self.queue.key("done"), 0, -1,
                                           withscores=True):
            self.assertEqual(until, work.now + 7000)
        head, attempts = self.state("id-7")
        self.assertEqual((head[0], head[-1], attempts),
                         ("S", str(work.now), []))
        self.assertEqual(self.queue.stats(),
                         {"enqueued": 64, "succeeded": 64, "kept": 64})

    def test_groups_results_and_failures_in_one_call(self):
        a, b, c, d, e, f = self.claim(*[job(name) for name in "abcdef"])
        work = self.queue.work(finishes=[
            done_all([a, d], keep=5000), done(b, keep=6000, result='{"n":1}'),
            ended("f", c, -1), done(e, keep=0), done(f, keep=0, result="2")])
        self.assertEqual(work.stale, [])
        self.assertEqual(self.places(),
                         {"a": "done", "d": "done", "b": "done", "c": "dead"})
        self.assertEqual(self.client.hgetall(self.queue.key("results")),
                         {"b": '{"n":1}'})
        self.assertEqual((self.queue.get("e"), self.queue.get("f")),
                         ("gone", "gone"))

    def test_retry_after_a_delay_with_history(self):
        claimed, = self.claim(job("a", 8), worker="w1")
        work = self.queue.work(
            finishes=[ended("f", claimed, 60000, message='"no luck"')])
        self.assertEqual(self.places(), {"a": "retrying"})
        self.assertEqual(
            self.client.zrange(self.queue.key("retrying"), 0, -1,
                               withscores=True),
            [("8a", work.now + 60000)])
        head, attempts = self.state("a")
        self.assertEqual(head[:6], ["W", claimed.token, "1", "1", "0", "0"])
        self.assertEqual(attempts,
                         [f'1 f {head[7]} {work.now} w1 "no luck"'])
        self.assertEqual(self.queue.stats(),
                         {"enqueued": 1, "failed": 1, "retried": 1})

    def test_a_retry_without_delay_can_be_claimed_by_the_same_call(self):
        claimed, = self.claim(job("a"))
        work = self.queue.work(claim=1, finishes=[ended("t", claimed, 0)])
        self.assertEqual(claimed_ids(work), ["a"])
        self.assertNotEqual(work.claimed[0].token, claimed.token)
        self.assertEqual(self.queue.stats(),
                         {"enqueued": 1, "timeout": 1, "retried": 1})

    def test_dead(self):
        a, b = self.claim(job("a"), job("b"))
        work = self.queue.work(finishes=[ended("f", a, -1),
                                         ended("t", b, -1, keep=0)])
        self.assertEqual(self.places(), {"a": "dead", "b": "dead"})
        self.assertEqual(
            self.client.zscore(self.queue.key("dead"), "a"), work.now)
        head, attempts = self.state("b")
        self.assertEqual((head[0], head[3], head[8]),
                         ("D", "0", str(work.now)))
        self.assertEqual(len(attempts), 1)
        self.assertEqual(self.queue.stats(), {"enqueued": 2, "failed": 1,
                                              "timeout": 1, "dead": 2})

    def test_a_crash_runs_again_first_and_the_third_is_quarantined(self):
        self.queue.enqueue(job("a"), job("b"))
        for crashes in (1, 2):
            claimed, = self.queue.work(claim=1).claimed
            self.assertEqual(claimed.id, "a")
            self.queue.work(finishes=[ended("c", claimed)])
            self.assertEqual(self.ready(), ["5a", "5b"])
            self.assertEqual(self.state("a")[0][2:6],
                             [str(crashes), "0", str(crashes), "0"])
        claimed, = self.queue.work(claim=1).claimed
        work = self.queue.work(finishes=[ended("c", claimed)])
        self.assertEqual(self.places(), {"a": "quarantined", "b": "ready"})
        self.assertEqual(
            self.client.zscore(self.queue.key("quarantined"), "a"), work.now)
        self.assertEqual(len(self.state("a")[1]), 3)
        self.assertEqual(self.queue.stats(), {"enqueued": 2, "crashed": 3,
                                              "quarantined": 1})

    def test_cancelled(self):
        a, b = self.claim(job("a"), job("b"))
        work = self.queue.work(finishes=[ended("x", a, keep=9000),
                                         ended("x", b, keep=0)])
        self.assertEqual(self.places(), {"a": "done"})
        self.assertEqual(self.client.zscore(self.queue.key("done"), "a"),
                         work.now + 9000)
        head, attempts = self.state("a")
        self.assertEqual((head[0], head[8]), ("C", str(work.now)))
        self.assertRegex(attempts[0], '^1 x .* "no"$')
        self.assertEqual(self.queue.get("b"), "gone")
        self.assertEqual(self.queue.stats(),
                         {"enqueued": 2, "cancelled": 2, "kept": 1})

    def test_tokens_are_compared_as_they_are(self):
        a, = self.claim(job("a"), worker="h-1_x%d", first=1)
        for token in ("h-1_x%d1", "h-1_x%d..", "h-.*", ".*", "h-1_x5.1"):
            lie = a._replace(token=token)
            self.assertEqual(self.queue.work(finishes=[done(lie)]).stale,
                             [token])
        self.assertEqual(self.queue.work(finishes=[done(a)]).stale, [])

    def test_handed_back_as_if_never_claimed(self):
        self.queue.enqueue(job("a", 2), job("b", 2))
        claimed, = self.queue.work(claim=1).claimed
        self.queue.work(finishes=[ended("r", claimed)])
        self.assertEqual(self.ready(2), ["2a", "2b"])
        head, attempts = self.state("a")
        self.assertEqual((head[0], head[2:6], attempts),
                         ("W", ["0", "0", "0", "0"], []))
        self.assertEqual(self.queue.work(claim=1).claimed[0].again, "1 0 0")
        self.assertEqual(self.queue.stats(), {"enqueued": 2, "released": 1})

    def test_a_stale_token_changes_nothing(self):
        old, = self.claim(job("a"), first=12)
        self.queue.work(finishes=[ended("r", old)])
        present, = self.queue.work(claim=1, first=120).claimed
        self.queue.progress(present, "1")
        for token in (old.token, "w.1", "w.1200", "v.120", ""):
            stale = present._replace(token=token)
            for finish in (done(stale), done(stale, result="1"),
                           *(ended(how, stale, 0) for how in "ftcxr")):
                before = self.queue.snapshot()
                work = self.queue.work(finishes=[finish])
                self.assertEqual(work.stale, [token])
                self.assertEqual(self.queue.snapshot(), before, finish)
        self.assertEqual(self.queue.work(finishes=[done(present)]).stale, [])

    def test_the_second_finish_of_a_call_is_refused(self):
        letters = "sSftcxr"
        for first in letters:
            for second in letters:
                self.client.flushall()
                a, b = self.claim(job("a"), job("b"))
                once = self.finish_as(first, a)
                self.queue.work(finishes=[once])
                expected = self.places()
                self.client.flushall()
                a, b = self.claim(job("a"), job("b"))
                work = self.queue.work(
                    finishes=[self.finish_as(first, a),
                              self.finish_as(second, a)])
                self.assertEqual(work.stale, [a.token], first + second)
                self.assertEqual(self.places(), expected, first + second)

    def finish_as(self, how, claimed):
        if how in "sS":
            return done(claimed, result="1" if how == "S" else None)
        return ended(how, claimed, 60000)

    def test_refusals_come_in_order_beside_what_is_taken(self):
        a, b, c, d = self.claim(*[job(name) for name in "abcd"])
        lie = [one._replace(token=f"x.{n}") for n, one in enumerate((a, c))]
        never = a._replace(id="never", entry="5never", token="x.9")
        work = self.queue.work(finishes=[
            done_all([lie[0], b, never]), ended("c", lie[1]), done(d)])
        self.assertEqual(work.stale, ["x.0", "x.9", "x.1"])
        self.assertEqual(self.places(), {"a": "leased", "b": "done",
                                         "c": "leased", "d": "done"})

    def test_the_newest_20_attempts_are_kept(self):
        claimed, = self.claim(job("a"))
        for n in range(25):
            claimed, = self.queue.work(
                claim=1, finishes=[ended("f", claimed, 0, message=f'"{n}"')]
            ).claimed
        head, attempts = self.state("a")
        self.assertEqual(head[2:4], ["26", "25"])
        self.assertEqual([int(one.split(" ")[0]) for one in attempts],
                         list(range(6, 26)))
        self.queue.work(finishes=[done(claimed)])
        self.assertEqual(len(self.state("a")[1]), 20)

    def test_messages_with_spaces_and_any_byte_but_a_newline(self):
        claimed, = self.claim(job("a"))
        message = '"a  b \\n' + "".join(map(chr, range(0x20, 0x100))) + '"'
        self.queue.work(finishes=[ended("f", claimed, -1, message=message)])
        self.assertTrue(self.state("a")[1][0].endswith(" " + message))

    def test_a_damaged_state_cannot_be_finished_and_stops_nobody(self):
        for damage in ("R w.0 ", "R w.0 \n", "R w.0 one 0 0 0 w 1\n",
                       "R w.0 1 0 0 0 w 1"):
            for how in "sSftcxr":
                self.client.flushall()
                a, b = self.claim(job("a"), job("b"), first=0)
                self.client.hset(self.queue.key("state"), "a", damage)
                work = self.queue.work(finishes=[ended("f", b, -1),
                                                 self.finish_as(how, a)])
                if how not in "sS":  # a success needs no more than its token
                    self.assertEqual(work.stale, ["w.0"], (damage, how))
                self.assertEqual(self.queue.counts().dead, 1)
        self.token = None


class Reap(ScriptCase):
    def test_a_lease_that_ran_out_is_claimed_anew_and_fenced(self):
        old, = self.claim(job("a"), lease=20)
        self.queue.enqueue(job("b"))
        deadline = self.client.zscore(self.queue.key("leased"), "5a")
        work = self.queue.work(worker="other")
        if work.now < deadline:
            self.assertEqual(self.places(), {"a": "leased", "b": "ready"})
        self.until(deadline)
        present, = self.queue.work(claim=1, worker="other").claimed
        self.assertEqual((present.id, present.again), ("a", "2 0 0"))
        state = self.queue.get("a").state.split("\n")
        self.assertRegex(state[0], rf"^R {present.token} 2 0 0 1 other \d+$")
        self.assertRegex(state[1], r"^1 l \d+ \d+ w $")
        self.assertEqual(self.queue.stats()["lost"], 1)
        self.assertEqual(self.queue.work(finishes=[done(old)]).stale,
                         [old.token])
        self.assertEqual(self.queue.work(finishes=[done(present)]).stale, [])

    def test_the_holder_may_finish_until_it_is_reaped(self):
        claimed, = self.claim(job("a"), lease=1)
        self.until(self.client.zscore(self.queue.key("leased"), "5a"))
        self.assertEqual(self.queue.work(finishes=[done(claimed)]).stale, [])
        self.assertEqual(self.places(), {"a": "done"})
        self.assertNotIn("lost", self.queue.stats())

    def test_ten_lost_leases_quarantine(self):
        self.queue.enqueue(job("a"))
        for lost in range(1, 4):
            self.queue.work(claim=1, lease=1, lost=3)
            self.until(self.client.zscore(self.queue.key("leased"), "5a"))
            self.queue.work(lost=3)
            self.assertEqual(self.places(),
                             {"a": "ready" if lost < 3 else "quarantined"})
        self.assertEqual(self.queue.stats(),
                         {"enqueued": 1, "lost": 3, "quarantined": 1})

    def test_fifty_a_call_and_the_next_at_once(self):
        self.queue.enqueue(*[job(f"id-{n}") for n in range(128)])
        self.queue.work(claim=64, lease=100)
        last = self.queue.work(claim=64, lease=100)
        self.until(last.now + 100)
        for ready in (50, 100):
            work = self.queue.work()
            self.assertEqual((work.next, work.more), (0, 1))
            self.assertEqual(self.queue.counts()[:3], (ready, 0, 128 - ready))
        self.queue.work()
        self.assertEqual(self.queue.counts()[:3], (128, 0, 0))
        self.assertEqual(self.queue.stats()["lost"], 128)

    def test_more_priorities_go_back_to_their_lists(self):
        self.claim(job("a", 9), job("b", 0), lease=1)
        self.until(max(deadline for _, deadline in self.client.zrange(
            self.queue.key("leased"), 0, -1, withscores=True)))
        self.queue.work()
        self.assertEqual((self.ready(9), self.ready(0)), (["9a"], ["0b"]))


class Promote(ScriptCase):
    def test_nothing_before_its_time(self):
        self.queue.enqueue(job("a", where="+60000"))
        work = self.queue.work(claim=1)
        self.assertEqual((work.claimed, work.more), ([], 0))
        self.assertTrue(59000 < work.next <= 60000)
        self.queue.enqueue(job("b", where="+5"))
        due = self.client.zscore(self.queue.key("due"), "5b")
        self.until(due)
        self.assertEqual(claimed_ids(self.queue.work(claim=9)), ["b"])

    def test_in_the_order_in_which_they_fell_due(self):
        order = list(range(1, 41))
        random.Random(1).shuffle(order)
        self.queue.enqueue(*[job(f"id-{at:02}", where=f"@{at}")
                             for at in order])
        self.assertEqual(claimed_ids(self.queue.work(claim=64)),
                         [f"id-{at:02}" for at in range(1, 41)])

    def test_behind_what_is_ready_already(self):
        self.queue.enqueue(job("a", where="@1"), job("b"), job("c", 9,
                                                               where="@2"))
        self.assertEqual(claimed_ids(self.queue.work(claim=9)), ["c", "b", "a"])

    def test_250_a_call_and_the_next_at_once(self):
        jobs = [job(f"id-{n:04}", where=f"@{n + 1}") for n in range(600)]
        for at in range(0, len(jobs), 100):
            self.queue.enqueue(*jobs[at:at + 100])
        for due in (350, 100):
            work = self.queue.work()
            self.assertEqual((work.next, work.more), (0, 1))
            self.assertEqual(self.queue.counts().due, due)
            self.places()
        self.assertEqual(self.queue.work().next, -1)
        self.assertEqual(self.ready(), [f"5id-{n:04}" for n in range(600)])


class WakeAndNext(ScriptCase):
    def test_the_token_says_whether_ready_jobs_are_left(self):
        self.queue.enqueue(*[job(f"id-{n}") for n in range(5)])
        self.take_token()
        self.assertEqual(self.queue.work(claim=2).more, 1)
        self.assertEqual(self.wake(), 1, "put back")
        claimed = self.queue.work(claim=1).claimed
        self.queue.work(claim=0)
        self.assertEqual(self.wake(), 1)
        work = self.queue.work(claim=9)
        self.assertEqual((len(work.claimed), work.more), (2, 0))
        self.client.delete(self.queue.key("leased"))
        self.queue.work(claim=9, finishes=[done_all(claimed)])
        self.assertEqual(self.wake(), 0, "taken away")
        self.token = None

    def test_a_token_when_something_falls_due_sooner(self):
        self.queue.enqueue(job("a"), job("b"), job("c"))
        self.take_token()
        a = self.queue.work(claim=1, lease=30000).claimed[0]
        self.assertEqual(self.wake(), 1, "jobs are left")
        self.take_token()
        b, c = self.queue.work(claim=2, lease=60000).claimed
        self.assertEqual(self.wake(), 0, "later than the first lease")
        self.queue.work(finishes=[ended("f", b, 40000)])
        self.assertEqual(self.wake(), 0)
        self.queue.work(finishes=[ended("f", c, 20000)])
        self.assertEqual(self.wake(), 1, "a retry before the first lease")
        self.queue.work(finishes=[done(a)])
        self.assertEqual(self.wake(), 1, "nobody heard of it yet")

    def test_an_empty_queue_loses_its_token(self):
        self.client.rpush(self.queue.key("wake"), "1")
        self.assertEqual(self.queue.work(claim=1)[1:],
                         (-1, 0, [], []))
        self.assertEqual(self.wake(), 0)

    def test_more_than_one_token_becomes_none(self):
        claimed, = self.claim(job("a"))
        self.client.rpush(self.queue.key("wake"), "1", "1", "1")
        self.queue.work(claim=1, finishes=[done(claimed)])
        self.assertEqual(self.wake(), 0)

    def test_a_retry_that_is_left_has_a_token(self):
        a, b = self.claim(job("a"), job("b"))
        self.queue.work(finishes=[ended("c", a)])
        self.assertEqual(self.wake(), 1)
        self.take_token()
        self.assertEqual(self.queue.work(finishes=[done(b)]).more, 1)
        self.assertEqual(self.wake(), 1)

    def test_next_is_the_soonest_of_due_and_lease(self):
        claimed = self.claim(job("a"), lease=30000)
        work = self.queue.work()
        self.assertTrue(29000 < work.next <= 30000)
        self.queue.enqueue(job("b", where="+5000"))
        self.assertTrue(4000 < self.queue.work().next <= 5000)
        self.queue.work(finishes=[done_all(claimed, keep=0)])
        self.assertTrue(4000 < self.queue.work().next <= 5000)
        claimed, = self.claim(job("c"), lease=30000)
        work = self.queue.work(finishes=[ended("f", claimed, 2000)])
        self.assertTrue(1000 < work.next <= 2000, "a retry")

    def test_next_of_what_is_kept_is_minutes_at_least_a_day_at_most(self):
        claimed = self.claim(job("a"), job("b"), job("c", where=None))
        work = self.queue.work(finishes=[done(claimed[0], keep=5)])
        self.assertTrue(14000 < work.next <= 15000, "a lease")
        work = self.queue.work(finishes=[done(claimed[1], keep=5),
                                         done(claimed[2], keep=9000)])
        self.assertEqual(work.next, 120000)
        year = 31536000000
        self.client.flushall()
        claimed, = self.claim(job("a"))
        work = self.queue.work(finishes=[done(claimed, keep=year)])
        self.assertEqual(work.next, 86400000)
        self.assertEqual(self.queue.work().next, 86400000)
        self.queue.enqueue(job("b", where=f"+{year}"))
        self.assertEqual(self.queue.work().next, 86400000)


if __name__ == "__main__":
    unittest.main()
