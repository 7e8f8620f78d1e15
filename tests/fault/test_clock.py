"""Redis' wall clock is set by an hour, either way: who lives loses no lease, and
the jobs of who is dead are found."""

import time
import unittest

from pitclock import HOUR, LEASE, ClockCase
from pitharness import SLOWNESS, wait_until
from pitqueue import Queue


class Steps(ClockCase):
    def check_living(self, seconds):
        """Of two queues: who finds it out in one knows it in the other."""
        workers = [self.start(queues="default,other") for _ in range(2)]
        second = Queue(self.client, "other")
        jobs = self.begin(1, 2 * LEASE)
        others = self.begin(2, 2 * LEASE, second)
        self.step(seconds)
        # Somebody works one queue at once.
        jobs.append(self.queue.enqueue("pid", {}))
        self.queue.wait_code(jobs[-1], "S")
        others.append(second.enqueue("pid", {}))
        self.assert_ran_once(jobs)
        self.assert_ran_once(others, second)
        for worker in workers:
            self.assertNotIn("lease is lost", worker.log())

    def check_dead(self, seconds):
        job = self.orphan()
        self.step(seconds)
        stepped = time.monotonic()
        state = self.queue.wait_code(job, "S", 20)
        took = time.monotonic() - stepped
        self.assertEqual((state.attempt, state.lost), (2, 1))
        # What the lease had left, and one more that a step may cost.
        self.assertLess(took, 2 * LEASE + 1 + SLOWNESS)

    def test_the_living_keep_their_leases_when_it_is_set_back(self):
        self.check_living(-HOUR)

    def test_the_living_keep_their_leases_when_it_is_set_forward(self):
        self.check_living(HOUR)

    def test_the_dead_are_found_when_it_is_set_back(self):
        self.check_dead(-HOUR)

    def test_the_dead_are_found_when_it_is_set_forward(self):
        self.check_dead(HOUR)

    def test_retries_go_on_when_it_is_set_back(self):
        self.start()
        job = self.queue.enqueue("big", {"bytes": 1}, backoff_ms=2000,
                                 retries=1)
        wait_until(lambda: self.queue.state(job).retries == 1, 5, "a failure")
        self.step(-HOUR)
        self.queue.wait_code(job, "D", 8)

    def test_jobs_go_through_after_each_step(self):
        self.start()
        for seconds in (-HOUR, 0, HOUR, 0, -2 * HOUR):
            self.step(seconds)
            job = self.queue.enqueue("pid", {})
            self.queue.wait_code(job, "S", 2)


if __name__ == "__main__":
    unittest.main()
