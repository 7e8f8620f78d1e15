"""A Redis whose wall clock a test sets, and workers with short leases."""

import os
import struct
import time

from pitharness import PitTestCase, program_path, wait_until
from pitqueue import Queue

ROGUE = "tests/fixtures/rogue_app.so"
HOUR = 3600
LEASE = 2


class ClockCase(PitTestCase):
    AOF = "no"

    def setUp(self):
        super().setUp()
        self.offset = os.path.join(self.dir, "offset")
        self.notes = os.path.join(self.dir, "notes")
        self.set_clock(0)
        self.server = self.redis(aof=self.AOF, env={
            **os.environ, "PIT_TEST_CLOCK": self.offset,
            "LD_PRELOAD": program_path("tests/fixtures/set_clock.so")})
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, "default")

    def set_clock(self, seconds):
        """Redis' clock, and nobody else's, is that far from the machine's."""
        file = os.open(self.offset, os.O_RDWR | os.O_CREAT)
        os.pwrite(file, struct.pack("q", seconds), 0)
        os.close(file)

    def step(self, seconds):
        self.set_clock(seconds)
        off = self.client.time()[0] - time.time()
        self.assertLess(abs(off - seconds), 2)

    def start(self, **kwargs):
        kwargs.setdefault("app", ROGUE)
        kwargs.setdefault("queues", "default")
        worker = self.worker(self.server, slots=2,
                             flags=["--lease", f"{LEASE}s"], **kwargs)
        worker.wait_for_line(r"ready: worker")
        return worker

    def starts(self):
        try:
            with open(self.notes, encoding="ascii") as notes:
                return sum(line.startswith("start") for line in notes)
        except FileNotFoundError:
            return 0

    def begin(self, n, seconds, queue=None):
        """@n jobs of that length, running; their ids."""
        before = self.starts()
        jobs = (queue or self.queue).enqueue_many(
            "deaf", n, {"seconds": seconds, "path": self.notes})
        wait_until(lambda: self.starts() == before + n, 10, f"{n} starts")
        return jobs

    def orphan(self):
        """A job whose worker was killed just now; another worker, asleep."""
        dead = self.start()
        job, = self.begin(1, 0.3)
        dead.kill()
        self.assertEqual(self.queue.leased(), 1)
        self.start()
        return job

    def assert_ran_once(self, jobs, queue=None):
        for job in jobs:
            state = (queue or self.queue).wait_code(job, "S", 20)
            self.assertEqual((state.attempt, state.lost), (1, 0), job)
