"""Unique keys: one job at a time, for as long as its record says, and never a
lock that nobody opens. The checker looks for stale ones after each test."""

import unittest

from pitscripts import ScriptCase, done, ended, job


def one(local, hold="r", ttl=0, key="k", conflict="r", more="", **kwargs):
    return job(local, options=f"{more} u{hold},{ttl},{key}", flag="+",
               conflict=conflict, **kwargs)


class Unique(ScriptCase):
    def holder(self, key="k"):
        return self.client.hget(self.queue.key("unique"), key)

    def test_reject_and_return_name_the_holder(self):
        self.assertEqual(self.queue.enqueue(one("a")), [1])
        self.assertEqual(self.queue.enqueue(one("b")), [0, "=a"])
        self.assertEqual(self.queue.enqueue(one("c", conflict="t")),
                         [0, "=a"])
        self.assertEqual(self.queue.enqueue(one("d", key="other")), [0])
        self.assertEqual(self.places(), {"a": "ready", "d": "ready"})

    def test_a_call_stores_what_is_not_in_the_way(self):
        reply = self.queue.enqueue(one("a"), job("p"), one("b"), one("c", "w",
                                                                     key="K"))
        self.assertEqual(reply, [1, 1, 1, "=a", 1])
        self.assertEqual(sorted(self.places()), ["a", "c", "p"])

    def test_replace_cancels_one_that_waits(self):
        for where in (None, "+60000"):
            self.queue.enqueue(one("a", where=where))
            self.assertEqual(self.queue.enqueue(one("b", conflict="p")),
                             [0, "~a"])
            self.assertIn('"replaced"', self.queue.get("a").state)
            self.assertEqual(self.queue.get("a").state[0], "C")
            self.assertEqual(self.holder(), "b")
            work = self.queue.work(claim=5)
            self.assertEqual([found.id for found in work.claimed], ["b"])
            # It runs: replacing is refused.
            self.assertEqual(self.queue.enqueue(one("c", conflict="p")),
                             [0, "=b"])
            self.queue.work(finishes=[done(work.claimed[0], 0)])
            self.queue.control("delete", "a")
            self.client.delete(self.queue.key("gone"))

    def test_whoever_delivers_hears_of_a_replaced_one(self):
        self.queue.enqueue(one("a", more=" oother.child", where="+60000"))
        self.take_token()
        self.queue.enqueue(one("b", conflict="p", where="+90000"))
        self.assertEqual(self.client.xlen(self.queue.key("outbox")), 1)
        self.assertEqual(self.wake(), 1)

    def test_debounce(self):
        ids = [f"id{n}" for n in range(10)]
        for local in ids:
            self.queue.enqueue(one(local, "w", conflict="p", where="+50"))
        places = self.places()
        self.assertEqual([i for i in ids if places[i] == "due"], ["id9"])

    def test_debounce_within_one_call(self):
        reply = self.queue.enqueue(*[one(f"id{n}", conflict="p")
                                     for n in range(3)])
        self.assertEqual(reply, [1, 1, "~id0", "~id1"])

    def test_waiting_ends_with_the_claim(self):
        claimed, = self.claim(one("a", "w"))
        self.assertIsNone(self.holder())
        self.assertEqual(self.queue.enqueue(one("b", "w")), [0])
        self.assertEqual(self.holder(), "b")
        # a runs again: it has no claim to the key any more.
        self.queue.work(finishes=[ended("c", claimed)])
        self.assertEqual(self.holder(), "b")

    def test_running_ends_with_the_job(self):
        for how in ("s", "x", "f", "c"):
            claimed, = self.claim(one(f"id-{how}"))
            if how == "s":
                finish = done(claimed)
            elif how == "f":
                finish = ended("f", claimed, -1)
            else:
                finish = ended(how, claimed)
            self.queue.work(finishes=[finish], crashes=1)
            self.assertIsNone(self.holder(), how)

    def test_running_is_kept_over_retries(self):
        claimed, = self.claim(one("a"))
        self.queue.work(finishes=[ended("f", claimed, 60000)])
        self.assertEqual(self.holder(), "a")
        self.assertEqual(self.queue.enqueue(one("b")), [0, "=a"])
        self.queue.control("cancel", "a", 0, '"no"')
        self.assertIsNone(self.holder())

    def test_ended_holds_for_its_time(self):
        claimed, = self.claim(one("a", "e", 60))
        self.queue.work(finishes=[done(claimed, 0)])
        self.assertEqual(self.queue.enqueue(one("b", "e", 60)), [0, "=a"])
        at = self.client.zscore(self.queue.key("unlocks"), "k")
        self.until(at)
        self.assertEqual(self.queue.enqueue(one("b", "e", 60)), [0])
        self.assertEqual(self.holder(), "b")

    def test_a_lock_by_time(self):
        self.queue.enqueue(one("a", "r", 20))
        self.assertEqual(self.queue.enqueue(one("b", "r", 20)), [0, "=a"])
        self.until(self.client.zscore(self.queue.key("unlocks"), "k"))
        self.assertEqual(self.queue.enqueue(one("b", "r", 60000)), [0])
        self.assertEqual(self.holder(), "b")
        claimed = self.queue.work(claim=2).claimed
        # What a holds no more, its end must not take from b.
        self.queue.work(finishes=[done(claimed[0])])
        self.assertEqual(self.holder(), "b")

    def test_expired_opens_it(self):
        self.queue.enqueue(one("a", more=" e1"))
        self.queue.work(claim=1)
        self.assertIsNone(self.holder())

    def test_lapsed_locks_are_purged(self):
        for n in range(8):
            self.queue.enqueue(one(f"id{n}", "w", 1, key=f"k{n}"))
        self.until(self.queue.now() + 1)
        self.queue.enqueue(one("x", "w", 60000, key="x"))
        self.assertEqual(self.client.hkeys(self.queue.key("unique")), ["x"])
        self.until(self.queue.now() + 1)

    def test_the_idle_way_purges_too(self):
        claimed, = self.claim(one("a", "e", 1))
        work = self.queue.work(finishes=[done(claimed, 0)])
        self.until(work.now + 2)
        self.queue.work(claim=1)
        self.assertFalse(self.client.exists(self.queue.key("unique")))

    def test_a_holder_that_is_nowhere_heals(self):
        self.client.hset(self.queue.key("unique"), "k", "ghost")
        self.assertEqual(self.queue.enqueue(one("a")), [1])
        self.assertEqual(self.holder(), "a")

    def test_all_or_nothing(self):
        self.queue.enqueue(one("a"))
        before = self.queue.snapshot()
        self.assertEqual(self.queue.enqueue(job("p"), one("b"), mode="all"),
                         [0, 1, "=a"])
        self.assertEqual(self.queue.enqueue(one("x", key="n"),
                                            one("y", key="n"), mode="all"),
                         [0, 1, "=x"])
        self.assertEqual(self.queue.snapshot(), before)
        # A holder that is the answer is in nobody's way.
        self.assertEqual(self.queue.enqueue(
            job("p"), one("b", conflict="t"), mode="all"), [0, 1, "=a"])
        self.assertEqual(self.queue.enqueue(
            one("c", conflict="p"), mode="all"), [0, "~a"])

    def test_a_repeat_by_id_finds_itself(self):
        self.queue.enqueue(one("a"), mode="named")
        self.assertEqual(self.queue.enqueue(one("a"), mode="named"),
                         [0, one("a").record])

    def test_quarantine_opens_it_and_release_wants_it_back(self):
        claimed, = self.claim(one("a"))
        self.queue.work(finishes=[ended("c", claimed)], crashes=1)
        self.assertIsNone(self.holder())
        self.queue.enqueue(one("b"))
        self.assertEqual(self.queue.control("release", "a"), ["held", "b"])
        self.queue.control("delete", "b")
        self.assertEqual(self.queue.control("release", "a"), ["done", "Q"])
        self.assertEqual(self.holder(), "a")


if __name__ == "__main__":
    unittest.main()
