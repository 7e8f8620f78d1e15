"""Redis is frozen, or away, for longer than a lease: who lives loses none."""

import time
import unittest

from pitclock import LEASE, ClockCase


class Away(ClockCase):
    """Longer than a lease, and everybody comes back at the same time."""
    AOF = "always"

    def check(self, away):
        workers = [self.start(), self.start()]
        jobs = self.begin(4, 3 * LEASE)
        away()
        other = self.queue.enqueue("pid", {})
        self.assert_ran_once([*jobs, other])
        for worker in workers:
            self.assertNotIn("lease is lost", worker.log())

    def test_leases_outlive_a_frozen_redis(self):
        def frozen():
            self.server.sigstop()
            time.sleep(2 * LEASE)
            self.server.sigcont()
        self.check(frozen)

    def test_leases_outlive_a_restart(self):
        def killed():
            self.server.kill()
            time.sleep(1.5 * LEASE)
            self.server.start()
        self.check(killed)


if __name__ == "__main__":
    unittest.main()
