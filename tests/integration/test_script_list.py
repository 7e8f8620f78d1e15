"""list against a real Redis: pages of every state, in order, none left out."""

import random
import unittest

from pitscripts import ScriptCase, done, ended, job, seed_of_test


class Lists(ScriptCase):
    def add(self, n, prefix="j", **kwargs):
        jobs = [job(f"{prefix}{i:05d}", **kwargs) for i in range(n)]
        for first in range(0, n, 100):
            self.queue.enqueue(*jobs[first:first + 100])
        return [one.id for one in jobs]

    def test_empty(self):
        for state in ("ready", "scheduled", "retrying", "blocked", "running",
                      "dead", "quarantined", "ended", "succeeded",
                      "cancelled", "expired"):
            self.assertEqual(self.queue.list(state), ("", []), state)

    def test_ready_by_priority_then_newest_first(self):
        low, high = self.add(25), self.add(25, "h", priority=9)
        expected = high[::-1] + low[::-1]
        for limit in (1, 7, 25, 50, 1000):
            self.assertEqual(self.queue.list_all("ready", limit), expected)

    def test_a_page_is_found_again_when_others_arrive_and_leave(self):
        ids = self.add(50)
        cursor, page = self.queue.list("ready", 10)
        self.assertEqual([local for local, _, _ in page], ids[:-11:-1])
        self.add(500, "new")
        self.queue.work(claim=20)
        rest = []
        while cursor:
            cursor, page = self.queue.list("ready", 7, cursor)
            rest += [local for local, _, _ in page]
        self.assertEqual(rest, ids[39:19:-1])

    def test_the_last_one_was_claimed(self):
        self.add(50)
        cursor, _ = self.queue.list("ready", 10)
        self.queue.work(claim=60)
        self.assertEqual(self.queue.list("ready", 10, cursor), ("", []))

    def test_heads(self):
        self.queue.enqueue(job("a", options=" k1 gx,y", args="[1]"))
        self.assertEqual(self.queue.list("ready", heads=1)[1][0][2],
                         "15- 1700000000000 noop k1 gx,y")

    def test_sets_with_equal_scores(self):
        at = self.queue.now() + 60000
        ids = self.add(120, where=f"@{at}")
        for limit in (1, 50, 119, 120, 121):
            self.assertEqual(self.queue.list_all("scheduled", limit),
                             ids[::-1])
        cursor, page = self.queue.list("scheduled", 50)
        # The one that the cursor names is gone: the next still follows.
        self.queue.control("delete", page[-1][0])
        self.assertEqual(self.queue.list("scheduled", 1, cursor)[1][0][0],
                         ids[69])

    def test_running_dead_retrying(self):
        claimed = self.claim(*[job(f"r{i:02d}") for i in range(30)])
        self.assertEqual(sorted(self.queue.list_all("running", 7)),
                         [one.id for one in claimed])
        self.queue.work(finishes=[ended("f", one, -1) for one in claimed[:10]]
                        + [ended("f", one, 60000) for one in claimed[10:]])
        self.assertEqual(sorted(self.queue.list_all("dead", 3)),
                         [one.id for one in claimed[:10]])
        self.assertEqual(sorted(self.queue.list_all("retrying", 3)),
                         [one.id for one in claimed[10:]])

    def test_ended_in_groups(self):
        ids = [f"e{i:03d}" for i in range(100)]
        for first in range(0, 100, 20):
            claimed = self.claim(*[job(local)
                                   for local in ids[first:first + 20]])
            self.queue.work(finishes=[
                done(one) if n % 2 else ended("x", one)
                for n, one in enumerate(claimed)])
        for limit in (1, 3, 20, 1000):
            self.assertEqual(sorted(self.queue.list_all("ended", limit)), ids)
            self.assertEqual(
                sorted(self.queue.list_all("succeeded", limit)), ids[1::2])
            self.assertEqual(
                sorted(self.queue.list_all("cancelled", limit)), ids[::2])
            self.assertEqual(self.queue.list_all("expired", limit), [])

    def test_under_a_limit_key(self):
        self.add(5)
        for key in ("t1", "t2"):
            self.client.hset(self.queue.key("turns"), f"5{key}", "r")
            self.client.rpush(self.queue.key("ready:5"), f"5={key}")
            for n in range(4):
                local = f"{key}{n}"
                self.client.hset(self.queue.key("jobs"), local,
                                 f"15+ 1 noop l1,0,0,{key}\n{{}}")
                self.client.rpush(self.queue.key(f"key:5{key}"), "5" + local)
        self.token = None
        expected = [f"j{i:05d}" for i in range(4, -1, -1)] + [
            f"{key}{n}" for key in ("t1", "t2") for n in (3, 2, 1, 0)]
        for limit in (1, 2, 5, 100):
            self.assertEqual(self.queue.list_all("ready", limit), expected)

    def test_a_call_is_bounded(self):
        ids = self.add(6000)
        for local in ids:
            self.queue.cancel(local)
        cursor, page = self.queue.list("ready", 10)
        self.assertEqual(page, [])
        self.assertNotEqual(cursor, "")
        self.assertEqual(self.queue.list("ready", 10, cursor), ("", []))

    def test_random_pages_while_jobs_leave(self):
        rng = random.Random(seed_of_test())
        at = self.queue.now() + 60000
        ids = {f"x{i:03d}" for i in range(200)}
        for local in ids:
            self.queue.enqueue(job(local, where=f"@{at + rng.randrange(9)}"))
        seen, cursor, left = [], "", set(ids)
        while True:
            cursor, page = self.queue.list("scheduled", rng.randrange(1, 30),
                                           cursor)
            seen += [local for local, _, _ in page]
            if not cursor:
                break
            for local in rng.sample(sorted(left), 5):
                left.discard(local)
                self.queue.control("delete", local)
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual(left, set(seen))


if __name__ == "__main__":
    unittest.main()
