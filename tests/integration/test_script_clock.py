"""Redis' clock is set while the queue is worked: what the queue timed by itself
goes on as though it had not been, what people timed keeps its time."""

import unittest

import pitlua
from pitscripts import ScriptCase, done, ended, job

START = 1700000000000
HOUR = 3600000
LEASE = 15000
UNIQUE = " u{},{},U"


def names(work):
    return [one.id for one in work.claimed]


class ClockCase(ScriptCase):
    def setUp(self):
        super().setUp()
        for name in ("enqueue", "work", "renew"):
            self.queue.scripts[name] = self.client.register_script(
                pitlua.with_clock(name))
        self.queue.now = lambda: self.now
        self.real = 0  # what has passed, by a clock that nobody sets
        self.set(START)

    def set(self, now):
        self.now = now
        self.client.set(pitlua.CLOCK_KEY, now)

    def pass_by(self, ms):
        """Time passes."""
        self.real += ms
        self.set(self.now + ms)

    def step(self, ms):
        """The clock is set, and no time passes."""
        self.set(self.now + ms)

    def work(self, **kwargs):
        """As a worker that heard from Redis at START."""
        kwargs.setdefault("expected", START + self.real)
        return self.queue.work(**kwargs)

    def deadline(self, one):
        return self.client.zscore(self.queue.key("leased"), one.entry) - \
            self.now

    def meta(self, name):
        return self.client.hget(self.queue.key("meta"), name)


class Back(ClockCase):
    def test_a_lost_lease_is_found_within_a_lease(self):
        one, = self.claim(job("a"))
        self.pass_by(5000)
        self.work()
        self.step(-HOUR)
        work = self.work(claim=1)
        self.assertEqual((names(work), self.meta("step")), ([], None))
        self.assertLessEqual(self.deadline(one), LEASE)
        self.assertLessEqual(work.next, LEASE)
        self.pass_by(LEASE)
        self.assertEqual(names(self.work(claim=1)), ["a"])

    def test_a_long_lease_keeps_what_it_had_left(self):
        one, = self.claim(job("a"), lease=600000)
        self.step(-HOUR)
        self.work()
        self.assertEqual(self.deadline(one), 600000)

    def test_a_renewal_counts_from_the_new_time(self):
        one, = self.claim(job("a"))
        self.step(-HOUR)
        self.assertEqual(self.queue.renew(one, lease=20000), [])
        self.assertEqual(self.deadline(one), 20000)
        self.work()  # finds out, and leaves the renewed one alone
        self.assertEqual(self.deadline(one), LEASE)
        self.pass_by(LEASE - 1)
        self.assertEqual(self.queue.renew(one), [])
        self.assertEqual(self.deadline(one), LEASE)

    def test_no_deadline_moves_back_otherwise(self):
        one, = self.claim(job("a"), lease=60000)
        self.step(-4000)
        self.assertEqual(self.queue.renew(one, lease=1000), [])
        self.work()
        self.assertEqual(self.deadline(one), 64000)

    def test_a_retry_comes_after_its_delay(self):
        one, = self.claim(job("a"))
        self.work(finishes=[ended("f", one, 30000)])
        self.step(-HOUR)
        work = self.work(claim=1)
        self.assertEqual((names(work), work.next), ([], 30000))
        self.pass_by(30000)
        self.assertEqual(names(self.work(claim=1)), ["a"])

    def test_a_retry_of_the_call_that_finds_out(self):
        one, = self.claim(job("a"))
        self.step(-HOUR)
        work = self.work(finishes=[ended("f", one, 30000)])
        self.assertEqual(work.next, 30000)
        self.assertEqual(self.work().next, 30000)

    def test_a_time_that_was_named_stays(self):
        self.queue.enqueue(job("a", where=f"@{START + 1000}"), job("b"))
        self.work(claim=1)
        self.step(-HOUR)
        self.work()
        self.assertEqual(self.client.zscore(self.queue.key("due"), "5a"),
                         START + 1000)

    def test_many_retries_are_moved_in_parts_and_once(self):
        count = 1000
        for first in range(0, count, 50):
            held = self.claim(*[job(f"j{n:04}") for n in
                                range(first, first + 50)])
            self.work(finishes=[ended("f", one, 10000 + 10 * int(one.id[1:]))
                                for one in held])
        new, = self.claim(job("new"))
        self.step(-HOUR)
        # Its delay reaches beyond all that is still to be moved.
        work = self.work(finishes=[ended("f", new, 2 * HOUR)])
        self.assertEqual((work.next, self.wake()), (0, 1))
        self.assertTrue(self.meta("step"))
        calls = 0
        while self.meta("step"):
            self.take_token()
            work = self.work()
            calls += 1
            self.assertLess(calls, 20)
        self.assertGreater(calls, 1)
        at = dict(self.client.zrange(self.queue.key("retrying"), 0, -1,
                                     withscores=True))
        self.assertEqual(at.pop("5new"), self.now + 2 * HOUR)
        self.assertEqual(at, {f"5j{n:04}": self.now + 10000 + 10 * n
                              for n in range(count)})

    def test_many_of_one_time(self):
        held = []
        for first in range(0, 600, 60):
            held += self.claim(*[job(f"j{n:04}") for n in
                                 range(first, first + 60)])
        for first in range(0, 600, 60):
            self.work(finishes=[ended("f", one, 10000)
                                for one in held[first:first + 60]])
        self.step(-HOUR)
        while self.work().next == 0:
            pass
        self.assertEqual(
            {at for _, at in self.client.zrange(
                self.queue.key("retrying"), 0, -1, withscores=True)},
            {self.now + 10000})

    def test_a_lock_by_time_ends_after_that_time(self):
        self.queue.enqueue(job("a", flag="+", options=UNIQUE.format("e", 30000)))
        one, = self.work(claim=1).claimed
        self.work(finishes=[done(one, keep=0)])
        self.pass_by(10000)
        self.claim(job("x"))
        self.step(-HOUR)
        again = job("b", flag="+", options=UNIQUE.format("e", 30000))
        self.assertEqual(self.queue.enqueue(again)[1:], ["=a"])
        self.work()
        self.pass_by(19000)
        self.assertEqual(self.queue.enqueue(again)[1:], ["=a"])
        self.pass_by(1000)
        self.assertEqual(self.queue.enqueue(again), [0])

    def test_the_lock_of_an_idle_queue_goes_on(self):
        self.queue.enqueue(job("a", flag="+", options=UNIQUE.format("e", 30000)))
        one, = self.work(claim=1).claimed
        self.work(finishes=[done(one, keep=0)])
        self.step(-HOUR)
        again = job("b", flag="+", options=UNIQUE.format("e", 30000))
        self.take_token()
        self.assertEqual(self.queue.enqueue(again)[1:], ["=a"])
        self.assertEqual(self.wake(), 1)  # somebody is to look at it
        self.work()
        self.pass_by(30000)
        self.assertEqual(self.queue.enqueue(again), [0])

    def test_a_lock_whose_time_is_over_is_free_before_work_finds_out(self):
        self.queue.enqueue(job("a", flag="+", options=UNIQUE.format("e", 30000)))
        one, = self.work(claim=1).claimed
        self.work(finishes=[done(one, keep=0)])
        self.pass_by(60000)
        self.claim(job("x"))
        self.step(-HOUR)
        self.assertEqual(self.queue.enqueue(
            job("b", flag="+", options=UNIQUE.format("e", 30000))), [0])

    def test_a_rate_goes_on(self):
        limit = " l0,1,10000,K"
        self.queue.enqueue(*[job(f"j{n}", flag="+", options=limit)
                             for n in range(3)])
        self.assertEqual(names(self.work(claim=3)), ["j0"])
        self.step(-HOUR)
        work = self.work(claim=3)
        self.assertEqual(names(work), [])
        self.assertLessEqual(work.next, 10000)
        self.pass_by(10000)
        self.assertEqual(names(self.work(claim=3)), ["j1"])

    def test_the_rate_of_a_queue_goes_on(self):
        self.queue.settings(rate="1/10000")
        self.queue.enqueue(*[job(f"j{n}") for n in range(3)])
        self.assertEqual(names(self.work(claim=3)), ["j0"])
        self.step(-HOUR)
        work = self.work(claim=3)
        self.assertEqual((names(work), work.next), ([], 10000))
        self.pass_by(10000)
        self.assertEqual(names(self.work(claim=3)), ["j1"])

    def test_samples_begin_anew(self):
        one, = self.claim(job("a"))
        self.assertEqual(self.client.llen(self.queue.key("samples")), 1)
        self.step(-HOUR)
        self.work(finishes=[done(one)])
        self.assertEqual(
            [text.split()[0] for text in
             self.client.lrange(self.queue.key("samples"), 0, -1)],
            [str(self.now)])


class Forward(ClockCase):
    def test_leases_keep_what_they_had_left(self):
        one, two = self.claim(job("a"), job("b"))
        self.pass_by(5000)
        self.work()
        self.step(HOUR)
        work = self.work(claim=2)
        self.assertEqual(names(work), [])
        self.assertEqual(self.deadline(one), LEASE)  # a grace, at least
        self.pass_by(5000)
        self.assertEqual(self.queue.renew(one), [])
        self.pass_by(LEASE - 5000)
        # Its holder lives, and the other's does not.
        self.assertEqual(names(self.work(claim=2)), ["b"])
        self.assertEqual(self.queue.renew(one, two), [two.token])

    def test_a_long_lease_keeps_what_it_had_left(self):
        one, = self.claim(job("a"), lease=600000)
        self.pass_by(100000)
        self.step(HOUR)
        self.work()
        self.assertEqual(self.deadline(one), 500000)

    def test_whoever_hears_of_it_late_changes_nothing(self):
        one, = self.claim(job("a"))
        self.step(HOUR)
        self.work()
        self.pass_by(2000)
        left = self.deadline(one)
        self.work()  # expects an hour less, too
        self.assertEqual(self.deadline(one), left)

    def test_a_renewed_lease_is_not_made_longer(self):
        one, = self.claim(job("a"))
        self.step(HOUR)
        self.assertEqual(self.queue.renew(one), [])
        self.work()
        self.assertEqual(self.deadline(one), LEASE)

    def test_time_that_passed_is_no_step(self):
        self.claim(job("a"))
        self.pass_by(HOUR)
        self.assertEqual(names(self.work(claim=1)), ["a"])

    def test_without_an_expectation_there_is_no_step(self):
        self.claim(job("a"))
        self.step(HOUR)
        self.assertEqual(names(self.queue.work(claim=1)), ["a"])

    def test_retries_and_schedules_go_by_the_new_time(self):
        one, = self.claim(job("a"))
        self.work(finishes=[ended("f", one, 30000)])
        self.queue.enqueue(job("b", where="+60000"))
        self.step(HOUR)
        self.assertEqual(sorted(names(self.work(claim=2))), ["a", "b"])

    def test_many_leases_are_moved_in_parts_and_none_is_lost(self):
        held = []
        for first in range(0, 1000, 50):
            held += self.claim(*[job(f"j{n:04}") for n in
                                 range(first, first + 50)])
            self.pass_by(10)
        self.step(HOUR)
        work = self.work(claim=64)
        while work.next == 0:
            self.assertEqual(names(work), [])
            work = self.work(claim=64)
        self.assertEqual(names(work), [])
        self.assertEqual(self.client.zcard(self.queue.key("leased")), 1000)
        for first in range(0, 1000, 100):
            self.assertEqual(self.queue.renew(*held[first:first + 100]), [])
        self.assertEqual({self.deadline(one) for one in held}, {LEASE})


if __name__ == "__main__":
    unittest.main()
