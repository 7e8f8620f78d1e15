"""What a worker leaves behind when it dies between two steps is found by one that
sleeps within the lease: messages of an outbox, the next start of a queue's rate,
of a limit key's rate, and a retry."""

import time
import unittest

from pitharness import SLOWNESS, PitTestCase, wait_until
from pitscripts import Queue, done, ended, job

LEASE_MS = 2000


class LeftBehind(PitTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.redis(aof="no")
        self.client = self.server.client(encoding="latin-1")
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, "default")
        worker = self.worker(self.server, queues="default", slots=1,
                             flags=["--lease", f"{LEASE_MS}ms"])
        worker.wait_for_line(r"ready: worker")
        # Not the one that takes the job: the dead one is faster.
        wait_until(self.asleep, 5, "it to sleep")

    def asleep(self):
        return any(one["cmd"] == "blpop" for one in self.client.client_list())

    def claim_and_die(self, *jobs, want=1):
        """What is claimed in the same breath, so that nobody else does."""
        pipe = self.queue.settings(paused="1")
        self.assertEqual(pipe["paused"], "1")
        self.queue.enqueue(*jobs)
        wait_until(self.asleep, 5, "it to sleep")
        self.client.delete(self.queue.key("wake"))
        self.client.hdel(self.queue.key("meta"), "paused")
        return self.queue.work(claim=want, worker="dead", lease=LEASE_MS)

    def ended(self, local):
        view = self.queue.get(local)
        return view and view.state and view.state[0] == "S"

    def wait_ended(self, local, within_ms):
        began = time.monotonic()
        wait_until(lambda: self.ended(local), 20, f"{local} to end",
                   interval=0.005)
        took = (time.monotonic() - began) * 1000
        self.assertLess(took, within_ms + 1000 * SLOWNESS)
        return took

    def test_messages_of_an_outbox(self):
        self.queue.enqueue(job("child", options=" n1,g", flag="+"))
        one, = self.claim_and_die(job("one", options=" odefault.child",
                                      flag="+")).claimed
        work = self.queue.work(worker="dead", finishes=[done(one)])
        self.assertEqual(work.more & 2, 2)
        self.wait_ended("child", LEASE_MS)

    def test_messages_of_a_web_process(self):
        """It died between storing a job that waits and carrying over what its
        parent, which has ended, had to say."""
        self.queue.enqueue(job("one"))
        self.wait_ended("one", 0)
        self.assertEqual(self.queue._call(
            "attach", ["jobs", "state", "results", "gone", "children",
                       "outbox"], ["one", "default.one", "default.child"]), 2)
        self.queue.enqueue(job("child", options=" n1,g", flag="+"))
        self.wait_ended("child", LEASE_MS)

    def test_the_next_start_of_a_queues_rate(self):
        self.queue.settings(rate="1/1500")
        work = self.claim_and_die(job("one"), job("two"), want=2)
        self.assertEqual([one.id for one in work.claimed], ["one"])
        self.queue.work(worker="dead", finishes=[done(work.claimed[0])])
        self.assertGreater(self.wait_ended("two", 1500), 1000)

    def test_the_next_start_of_a_keys_rate(self):
        limit = {"options": " l0,1,1500,K", "flag": "+"}
        work = self.claim_and_die(job("one", **limit), job("two", **limit),
                                  want=2)
        self.assertEqual([one.id for one in work.claimed], ["one"])
        self.queue.work(worker="dead", finishes=[done(work.claimed[0])])
        self.assertGreater(self.wait_ended("two", 1500), 1000)

    def test_a_retry(self):
        one, = self.claim_and_die(job("one")).claimed
        self.queue.work(worker="dead", finishes=[ended("f", one, 1000)])
        self.assertGreater(self.wait_ended("one", 1000), 800)

    def test_a_job_that_was_claimed_and_no_more(self):
        self.claim_and_die(job("one"))
        self.wait_ended("one", LEASE_MS)


if __name__ == "__main__":
    unittest.main()
