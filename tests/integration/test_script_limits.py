"""Limits by key and of a queue: concurrency, rate, fair share. The checker counts
what runs and looks for lost markers after each test."""

import time
import unittest

from pitscripts import ScriptCase, done, done_all, ended, job


def one(local, key="k", concurrency=0, rate=0, period=0, more="", **kwargs):
    return job(local, options=f"{more} l{concurrency},{rate},{period},{key}",
               flag="+", **kwargs)


def ids(work):
    return [found.id for found in work.claimed]


class Concurrency(ScriptCase):
    def test_is_never_exceeded(self):
        self.queue.enqueue(*[one(f"a{n}", concurrency=2) for n in range(5)],
                           job("p"))
        first = self.queue.work(claim=10)
        self.assertEqual(ids(first), ["a0", "p", "a1"])
        self.assertEqual((first.more, ids(self.queue.work(claim=10))), (0, []))
        # Each end, of whatever kind, makes room for one.
        for n, how in ((2, "s"), (3, "f"), (4, "x")):
            claimed = first.claimed[0]
            finish = done(claimed) if how == "s" else ended(how, claimed,
                                                            -1 if how == "f"
                                                            else None)
            work = self.queue.work(claim=10, finishes=[finish])
            self.assertEqual(ids(work), [f"a{n}"])
            first.claimed[0] = work.claimed[0]
            self.places()

    def test_a_lost_lease_makes_room(self):
        self.queue.enqueue(*[one(f"a{n}", concurrency=1) for n in range(2)])
        work = self.queue.work(claim=5, lease=1)
        self.assertEqual(ids(work), ["a0"])
        self.until(work.now + 1)
        # It runs again, and first.
        self.assertEqual(ids(self.queue.work(claim=5)), ["a0"])

    def test_who_is_idle_is_woken_by_the_end(self):
        self.queue.enqueue(*[one(f"a{n}", concurrency=1) for n in range(2)])
        claimed, = self.queue.work(claim=5).claimed
        self.take_token()
        self.queue.work(finishes=[done(claimed)])
        self.assertEqual(self.wake(), 1)

    def test_handed_back_and_crashed_are_first(self):
        self.queue.enqueue(*[one(f"a{n}", concurrency=1) for n in range(3)])
        for how in "rc":
            claimed, = self.queue.work(claim=5).claimed
            self.assertEqual(claimed.id, "a0")
            self.queue.work(finishes=[ended(how, claimed)])

    def test_retries_and_delays_wait_in_the_key_s_list(self):
        self.queue.enqueue(one("d", concurrency=1, where="@1"),
                           one("a", concurrency=1))
        claimed, = self.queue.work(claim=5).claimed
        work = self.queue.work(claim=5, finishes=[ended("f", claimed, 0)])
        self.assertEqual(len(ids(work)), 1)
        self.places()

    def test_priorities_of_one_key(self):
        self.queue.enqueue(one("low", concurrency=1, priority=1),
                           one("high", concurrency=1, priority=9))
        for local in ("high", "low"):
            claimed, = self.queue.work(claim=5).claimed
            self.assertEqual(claimed.id, local)
            self.queue.work(finishes=[done(claimed)])

    def test_deleted_and_expired_ones_are_passed_over(self):
        self.queue.enqueue(one("x", concurrency=1, more=" e1"),
                           one("del", concurrency=1),
                           one("c", concurrency=1), one("a", concurrency=1))
        self.queue.control("delete", "del")
        self.queue.control("cancel", "c", 0, '"no"')
        self.assertEqual(ids(self.queue.work(claim=1)), ["a"])
        self.assertEqual(self.client.exists(self.queue.key("stale")), 0)

    def test_cancelled_and_retried_runs_once(self):
        self.queue.enqueue(one("a", concurrency=5), one("b", concurrency=5))
        self.queue.control("cancel", "a", 0, '"no"')
        self.queue.control("retry", "a")
        self.assertEqual(ids(self.queue.work(claim=9)), ["b", "a"])

    def test_of_the_queue(self):
        self.client.hset(self.queue.key("meta"), "concurrency", 3)
        self.queue.enqueue(*[job(f"a{n}") for n in range(8)])
        work = self.queue.work(claim=10)
        self.assertEqual((len(work.claimed), work.more), (3, 0))
        self.take_token()
        # Who finished has no room: somebody else is woken.
        self.assertEqual(
            self.queue.work(finishes=[done(work.claimed[0])]).more, 1)
        self.assertEqual(self.wake(), 1)
        self.assertEqual(len(self.queue.work(claim=10).claimed), 1)
        self.token = False


class Rate(ScriptCase):
    def starts(self, n, deadline):
        """Claims as soon as each reply says; [time of the start]."""
        found, end = [], time.monotonic() + deadline
        while len(found) < n and time.monotonic() < end:
            work = self.queue.work(claim=10)
            found += [work.now] * len(work.claimed)
            if work.claimed:
                self.queue.work(finishes=[done_all(work.claimed, 0)])
            elif work.next > 0:
                time.sleep(min(work.next, 100) / 1000)
        return found

    def test_of_a_key_over_time(self):
        self.queue.enqueue(*[one(f"a{n}", rate=100, period=1000)
                             for n in range(128)])
        found = self.starts(128, 10)
        # A burst of 10, then one each 10 ms: 118 steps.
        self.assertAlmostEqual(found[-1] - found[0], 1180, delta=24)
        self.assertEqual(len([at for at in found if at == found[0]]), 10)

    def test_late_starts_do_not_add_up(self):
        self.queue.enqueue(*[one(f"a{n}", rate=8, period=960)
                             for n in range(13)])
        found, begin = [], None
        while len(found) < 13:
            work = self.queue.work(claim=1)
            if work.claimed:
                begin = begin or work.now
                found.append(work.now)
                self.queue.work(finishes=[done(work.claimed[0], 0)])
            time.sleep(0.012)  # always late
        self.assertAlmostEqual(found[-1] - begin, 1440, delta=35)

    def test_nobody_spins_while_it_holds(self):
        self.queue.enqueue(*[one(f"a{n}", rate=1, period=60000)
                             for n in range(3)])
        self.assertEqual(len(self.queue.work(claim=5).claimed), 1)
        work = self.queue.work(claim=5)
        self.assertEqual((work.more, work.claimed), (0, []))
        self.assertLessEqual(work.next, 15000)  # the lease
        counts = self.queue.counts()
        self.assertEqual((counts.ready, counts.due), (2, 0))

    def test_of_the_queue(self):
        self.client.hset(self.queue.key("meta"), "rate", "5/1000")
        self.queue.enqueue(*[job(f"a{n}") for n in range(4)])
        work = self.queue.work(claim=10)
        self.assertEqual((len(work.claimed), work.more), (1, 0))
        self.assertTrue(190 <= work.next <= 200, work)
        self.token = False
        found = self.starts(3, 10)
        self.assertAlmostEqual(found[-1] - work.now, 600, delta=60)

    def test_of_the_queue_is_known_to_a_second_worker(self):
        # Who was told when the next may start may die before that.
        self.client.hset(self.queue.key("meta"), "rate", "1/200")
        self.queue.enqueue(*[job(f"a{n}") for n in range(3)])
        first = self.queue.work(claim=5)
        self.assertEqual(len(first.claimed), 1)
        self.assertEqual(self.take_token(), "1")  # the lease is news
        self.until(first.now + 200)
        self.assertEqual(len(self.queue.work(claim=5).claimed), 1)
        self.assertEqual(self.take_token(), "1")  # now only the rate is
        other = self.queue.work(claim=5, worker="x")
        self.assertEqual(other.claimed, [])
        self.assertLessEqual(other.next, 200)
        self.assertEqual(self.wake(), 0)  # and it is none any more
        self.token = False


class FairShare(ScriptCase):
    def test_keys_take_turns(self):
        self.queue.enqueue(*[one(f"a{n}", "A") for n in range(6)])
        self.queue.enqueue(*[one(f"b{n}", "B") for n in range(2)], job("p"))
        self.assertEqual(ids(self.queue.work(claim=9)),
                         ["a0", "b0", "p", "a1", "b1", "a2", "a3", "a4", "a5"])

    def test_ten_beside_a_crowd(self):
        for first in range(0, 20000, 128):
            self.queue.enqueue(*[one(f"a{n}", "A")
                                 for n in range(first, first + 128)])
        self.queue.enqueue(*[one(f"b{n}", "B") for n in range(10)])
        found = ids(self.queue.work(claim=20))
        self.assertEqual(sum(local[0] == "b" for local in found), 10)
        # A turn takes some ten commands: no call gives out 64 of them.
        work = self.queue.work(claim=64)
        self.assertEqual((len(work.claimed), work.more), (34, 1))
        self.assertEqual(self.queue.counts().ready, 20096 - 10 - 34)

    def test_a_crowd_that_falls_due_at_once(self):
        for first in range(0, 1024, 128):
            self.queue.enqueue(*[one(f"a{n}", "A", where="@1")
                                 for n in range(first, first + 128)])
        self.queue.enqueue(one("b", "B"))
        self.assertIn("b", ids(self.queue.work(claim=3)))


if __name__ == "__main__":
    unittest.main()
