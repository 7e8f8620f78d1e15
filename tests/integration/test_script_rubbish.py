"""scripts/work.lua among keys that somebody wrote to by hand, and in a server
that is full."""

import random
import unittest

import redis as redislib

from pitharness import Redis
from pitscripts import (KEYS, Queue, ScriptCase, check, claimed_ids, done,
                        done_all, ended, job)


class Rubbish(ScriptCase):
    """Nothing that anybody put into a key by hand stops a worker."""

    def drain(self):
        """Calls work until there is nothing left; the jobs that it saw."""
        seen = []
        for _ in range(100):
            work = self.queue.work(claim=64)
            seen += work.claimed
            if work.claimed:
                self.queue.work(finishes=[done_all(work.claimed)])
            elif not work.more and work.next != 0:
                return [one.id for one in seen]
        raise AssertionError("the queue is never empty")

    def test_random_bytes(self):
        rng = random.Random(7)
        rubbish = ["", " ", "5", "\x00", "\xff" * 100, "5\n", "a", ":5", "/5"]
        rubbish += ["".join(chr(rng.randrange(256))
                            for _ in range(rng.randrange(1, 40)))
                    for _ in range(60)]
        for priority in range(10):
            self.client.rpush(self.queue.key(f"ready:{priority}"), *rubbish)
        for key in ("due", "retrying", "leased"):
            self.client.zadd(self.queue.key(key), dict.fromkeys(rubbish, 1))
        self.queue.enqueue(*[job(f"id-{n}", n % 10) for n in range(30)])
        self.assertEqual(sorted(self.drain()),
                         sorted(f"id-{n}" for n in range(30)))
        self.assertEqual(set(self.places().values()), {"done"})
        stats = self.queue.stats()
        self.assertGreater(stats["skipped"] + stats["rubbish"], 500)

    def test_ids_without_a_record(self):
        self.client.rpush(self.queue.key("ready:5"), "5never")
        self.client.zadd(self.queue.key("due"), {"5nor": 1})
        self.client.zadd(self.queue.key("leased"), {"5ever": 1})
        self.assertEqual(self.drain(), [])
        self.assertEqual(self.places(), {})
        self.assertEqual(self.queue.stats(), {"skipped": 2, "rubbish": 1})

    def test_entries_without_a_priority(self):
        for key in ("due", "retrying", "leased"):
            self.client.zadd(self.queue.key(key), {":a": 1, "": 1})
        self.queue.enqueue(job("a"))
        self.assertEqual(self.drain(), ["a"])
        self.assertEqual(self.queue.stats()["rubbish"], 6)

    def test_ready_entry_of_a_job_behind_no_digit(self):
        self.queue.enqueue(job("a"))
        self.client.lpush(self.queue.key("ready:5"), "xa", ":a")
        self.queue.work(claim=1)
        self.assertEqual(self.client.zrange(self.queue.key("leased"), 0, -1),
                         ["5a"])
        self.assertEqual(self.queue.stats()["rubbish"], 2)

    def test_a_crowd_of_doubles_is_taken_in_steps(self):
        self.queue.enqueue(job("a"), job("b", 4))
        self.client.rpush(self.queue.key("ready:5"), *["5a"] * 5000)
        calls, found = 0, []
        while len(found) < 2:
            found += claimed_ids(self.queue.work(claim=64))
            calls += 1
            self.assertLess(calls, 500)
        self.assertGreater(calls, 5)
        self.assertEqual(self.places(), dict.fromkeys("ab", "leased"))

    def test_ids_in_a_state_that_does_not_wait(self):
        a, b, c, d = self.claim(*[job(name) for name in "abcd"])
        self.queue.work(crashes=1, finishes=[
            done(a), ended("f", b, -1), ended("c", c)])
        before = self.queue.snapshot()
        self.client.rpush(self.queue.key("ready:5"), "5a", "5b", "5c", "5d")
        for key in ("due", "retrying"):
            self.client.zadd(self.queue.key(key),
                             {f"5{name}": 1 for name in "abcd"})
        self.client.zadd(self.queue.key("leased"), {f"5{n}": 1 for n in "abc"})
        work = self.queue.work(claim=64)
        self.assertEqual(work.claimed, [])
        self.assertEqual(self.queue.stats()["rubbish"], 15)
        self.client.hdel(self.queue.key("stats"), "rubbish")
        self.assertEqual(self.queue.snapshot(), before)

    def test_an_entry_twice_is_claimed_once(self):
        self.queue.enqueue(job("a"), job("b"), job("c", 9))
        self.client.rpush(self.queue.key("ready:5"), "5a", "5c", "5a")
        self.client.rpush(self.queue.key("ready:1"), "1a", "1b")
        work = self.queue.work(claim=64)
        self.assertEqual(claimed_ids(work), ["c", "a", "b"])
        self.assertEqual(self.places(), dict.fromkeys("abc", "leased"))
        self.assertEqual(self.queue.work(
            finishes=[done_all(work.claimed)]).stale, [])

    def test_a_lease_of_another_priority_does_not_double_a_job(self):
        claimed, = self.claim(job("a"))
        self.client.zadd(self.queue.key("leased"), {"6a": 1})
        self.queue.work(finishes=[done(claimed)])
        self.assertEqual(self.places(), {"a": "done"})
        claimed, = self.claim(job("b"))
        self.client.zadd(self.queue.key("leased"), {"6b": 1, "5b": 1})
        self.queue.work()
        self.queue.work()
        self.assertEqual(self.queue.stats()["lost"], 1)
        self.assertEqual(self.drain(), ["b"])

    def test_a_crowd_of_rubbish_is_taken_in_steps(self):
        for _ in range(20):
            self.client.rpush(self.queue.key("ready:5"),
                              *[f"5no-{n}" for n in range(1000)])
        self.queue.enqueue(job("a", 4))
        calls, work = 1, self.queue.work(claim=64)
        while not work.claimed:
            self.assertEqual((work.more, self.wake()), (1, 1))
            calls, work = calls + 1, self.queue.work(claim=64)
        self.assertEqual(claimed_ids(work), ["a"])
        self.assertTrue(20 < calls < 1000, calls)
        self.assertEqual(self.queue.stats()["skipped"], 20000)

    def test_records_that_are_none_are_the_worker_s_to_judge(self):
        records = {"a": "", "b": "+++", "c": "15+", "d": "\x00" * 9,
                   "e": "15+ 1 t e99999999999999999999999\n"}
        self.client.hset(self.queue.key("jobs"), mapping=records)
        self.client.rpush(self.queue.key("ready:5"),
                          *[f"5{name}" for name in records])
        work = self.queue.work(claim=64)
        self.assertEqual({one.id: one.record for one in work.claimed}, records)
        self.token = None

    def test_states_that_are_none(self):
        for text in ("", "W", "W \n", "W w.1 x", "garbage", "W - - -\n"):
            self.client.flushall()
            self.queue.enqueue(job("a"))
            self.client.hset(self.queue.key("state"), "a", text)
            self.queue.work(claim=1)
        self.token = None

    def test_a_wrong_type_changes_nothing(self):
        # Those of options, too: what is popped may be a job with options.
        for key in KEYS:
            self.client.flushall()
            self.queue._call("watch", ["meta", "events"], [60000])
            claimed = self.claim(*[job(f"id-{n}") for n in range(8)])
            self.queue.enqueue(job("r"), job("d", where="@1"))
            self.queue.wait("id-0", "ch")
            a, b, c, d, e, f, g, _ = claimed
            self.assert_wrong_type_changes_nothing(
                key, lambda: self.queue.work(claim=3, finishes=[
                    done(a), done(b, result="1"), ended("f", c, 0),
                    ended("f", d, -1), ended("c", e), ended("x", f),
                    ended("r", g)]))

    def test_after_flushall_every_token_is_stale(self):
        a, b = self.claim(job("a"), job("b"))
        self.client.flushall()
        work = self.queue.work(claim=5, finishes=[done(a), ended("f", b, 0)])
        self.assertEqual(work[1:], (-1, 0, [a.token, b.token], []))
        self.assertEqual(self.client.keys("*"), [])

    def test_after_script_flush(self):
        self.queue.enqueue(job("a"))
        self.client.script_flush()
        self.assertEqual(claimed_ids(self.queue.work(claim=1)), ["a"])


class FullMemory(unittest.TestCase):
    def test_work_goes_on_while_enqueue_is_refused(self):
        with Redis(aof="no") as server, \
                server.client(encoding="latin-1") as client:
            queue = Queue(client)
            for n in range(300):
                queue.enqueue(job(f"id-{n}", args="x" * 4096))
            queue.enqueue(job("later", where="@1"))
            claimed = queue.work(claim=4).claimed
            client.config_set("maxmemory", "1mb")
            for mode in ("fresh", "named"):
                with self.assertRaisesRegex(redislib.ResponseError, "OOM"):
                    queue.enqueue(job("new"), mode=mode)
            with self.assertRaisesRegex(redislib.ResponseError, "OOM"):
                queue.progress(claimed[0], "1")
            self.assertEqual(queue.renew(*claimed), [])
            self.assertEqual(queue.get("id-0").state[0], "R")
            self.assertEqual(queue.counts().leased, 4)
            drained = 0
            finishes = [ended("f", claimed[0], 0), ended("c", claimed[1]),
                        done_all(claimed[2:], keep=0)]
            while True:
                work = queue.work(claim=64, finishes=finishes)
                self.assertEqual(work.stale, [])
                drained += len(work.claimed)
                if not work.claimed:
                    break
                finishes = [done_all(work.claimed, keep=0)]
            # Two of the 301 had ended before, two ran a second time.
            self.assertEqual(drained, 301 - 2)
            client.config_set("maxmemory", "100mb")
            self.assertEqual(check(queue), {})
            queue.enqueue(job("new"))
            check(queue)


if __name__ == "__main__":
    unittest.main()
