"""control, log, logs and settings against a real Redis: what an operator does to
a job happens wholly, once, and leaves nothing behind."""

import unittest

import redis as redislib

from pitscripts import ScriptCase, done, ended, job


class Cancel(ScriptCase):
    def code(self, local):
        return (self.client.hget(self.queue.key("state"), local) or "N")[0]

    def test_ready_ends_at_once(self):
        self.queue.enqueue(job("a"), job("b"))
        self.assertEqual(self.queue.cancel("a"), ["done", "N"])
        self.assertEqual(self.places(), {"a": "done", "b": "ready"})
        self.assertEqual(self.queue.get("a").state.split("\n")[1].split(" ")[1],
                         "x")
        self.assertIn('"enough"', self.queue.get("a").state)
        work = self.queue.work(claim=2)
        self.assertEqual([one.id for one in work.claimed], ["b"])
        self.assertEqual(self.queue.stats()["cancelled"], 1)

    def test_scheduled_and_retrying_end_at_once(self):
        self.queue.enqueue(job("s", where="+60000"))
        one, = self.claim(job("r"))
        self.queue.work(finishes=[ended("f", one, 60000)])
        self.assertEqual(self.queue.cancel("s"), ["done", "N+"])
        self.assertEqual(self.queue.cancel("r"), ["done", "W+"])
        self.assertEqual(set(self.places().values()), {"done"})

    def test_again_changes_nothing(self):
        self.queue.enqueue(job("a"))
        self.queue.cancel("a")
        before = self.queue.snapshot()
        self.assertEqual(self.queue.cancel("a"), ["same", "C"])
        self.assertEqual(self.queue.snapshot(), before)

    def test_keep_0_is_forgotten(self):
        self.queue.enqueue(job("a", options=" k0"))
        self.assertEqual(self.queue.cancel("a"), ["done", "N"])
        self.assertEqual(self.queue.get("a"), "gone")

    def test_running_is_asked_to_stop(self):
        one, = self.claim(job("a"), worker="w7")
        heard = self.client.pubsub()
        heard.subscribe("pit:worker:w7")
        heard.get_message(timeout=5)
        self.assertEqual(self.queue.cancel("a", grace=250), ["asked", "R"])
        self.assertEqual(self.queue.cancel("a", grace=900), ["same", "R"])
        self.assertEqual(heard.get_message(timeout=5)["data"],
                         f"cancel q.a {one.token} 250")
        heard.close()
        self.assertRegex(self.client.hget(self.queue.key("cancels"), "a"),
                         r'^\d+ 250 "enough"$')
        self.assertEqual(self.code("a"), "r")
        self.token = None

    def test_ended_is_refused(self):
        one, = self.claim(job("a"))
        self.queue.work(finishes=[done(one)])
        before = self.queue.snapshot()
        self.assertEqual(self.queue.cancel("a"), ["state", "S"])
        self.assertEqual(self.queue.snapshot(), before)

    def test_who_waits_hears_of_it(self):
        self.queue.enqueue(job("a"))
        heard = self.client.pubsub()
        heard.subscribe("c")
        heard.get_message(timeout=5)
        self.queue.wait("a", "c")
        self.queue.cancel("a")
        self.assertEqual(heard.get_message(timeout=5)["data"], "a")
        heard.close()

    def test_children_hear_of_it(self):
        self.queue.enqueue(job("a", options=" omail.x,mail.y", flag="+"))
        self.client.hset(self.queue.key("children"), "a", "q.z ")
        self.queue.cancel("a")
        said = [fields for _, fields in
                self.client.xrange(self.queue.key("outbox"))]
        self.assertEqual([one["to"] for one in said],
                         ["mail.x", "mail.y", "q.z"])
        self.assertEqual(said[0], {"kind": "end", "to": "mail.x",
                                   "from": "q.a", "code": "C", "result": ""})
        self.token = None

    def test_unknown_and_gone(self):
        self.assertIsNone(self.queue.cancel("a"))
        one, = self.claim(job("a"))
        self.queue.work(finishes=[done(one, keep=0)])
        self.assertEqual(self.queue.cancel("a"), "gone")

    def test_only_as_it_was_seen(self):
        self.queue.enqueue(job("a"))
        seen = self.queue.get("a")
        one = self.queue.work(claim=1).claimed[0]
        self.assertEqual(self.queue.cancel("a", seen=seen), ["changed", "R"])
        self.queue.work(finishes=[ended("f", one, 60000)])
        seen = self.queue.get("a")
        self.assertEqual(self.queue.cancel("a", seen=seen), ["done", "W+"])

    def test_unique_key_is_free_again(self):
        self.queue.enqueue(job("a", options=" ur,0,K", flag="+"))
        self.client.hset(self.queue.key("unique"), "K", "a")
        self.queue.cancel("a")
        self.assertFalse(self.client.exists(self.queue.key("unique")))

    def test_a_wrong_type_changes_nothing(self):
        self.queue.enqueue(job("a"))
        for key in ("done", "stats", "stale", "waits", "wake", "unique",
                    "ready:5", "outbox", "events", "unlocks"):
            with self.subTest(key=key):
                self.assert_wrong_type_changes_nothing(
                    key, lambda: self.queue.cancel("a"))
                self.client.delete(self.queue.key(key))
        self.token = None


class Again(ScriptCase):
    """retry, promote, release."""

    def dead(self, local, **kwargs):
        one, = self.claim(job(local, **kwargs))
        self.queue.work(finishes=[ended("f", one, -1)])

    def test_dead_is_ready_with_all_retries(self):
        one, = self.claim(job("a"))
        self.queue.work(finishes=[ended("f", one, 0)])
        one = self.queue.work(claim=1).claimed[0]
        self.queue.work(finishes=[ended("f", one, -1)])
        self.assertEqual(self.queue.control("retry", "a"), ["done", "D"])
        self.assertEqual(self.places(), {"a": "ready"})
        one = self.queue.work(claim=1).claimed[0]
        self.assertEqual(one.again, "3 0 0")
        self.queue.work(finishes=[done(one)])
        self.assertEqual(self.places(), {"a": "done"})

    def test_cancelled_leaves_its_group_of_done(self):
        claimed = self.claim(job("a-1"), job("a"), job("c"))
        self.queue.work(finishes=[ended("x", one, keep=3600000)
                                  for one in claimed])
        self.assertEqual(len(self.client.zrange(self.queue.key("done"), 0, -1)),
                         1)
        self.assertEqual(self.queue.control("retry", "a"), ["done", "C"])
        self.assertEqual(self.places(),
                         {"a-1": "done", "a": "ready", "c": "done"})
        self.assertEqual(self.queue.control("retry", "c"), ["done", "C"])
        self.assertEqual(self.queue.control("retry", "a-1"), ["done", "C"])
        self.assertEqual(set(self.places().values()), {"ready"})

    def test_cancelled_while_it_waited_and_again(self):
        """Its old entry still lies in the list: it must not run twice."""
        self.queue.enqueue(job("a"), job("b"))
        for _ in range(3):
            self.assertEqual(self.queue.cancel("a")[0], "done")
            self.assertEqual(self.queue.control("retry", "a"), ["done", "C"])
        self.assertEqual(self.places(), {"a": "ready", "b": "ready"})
        self.assertEqual(self.ready(), ["5a", "5b", "5a", "5a", "5a"])
        self.assertEqual(sorted(self.queue.list_all("ready")), ["a", "b"])
        ran = [one.id for one in self.queue.work(claim=9).claimed]
        self.assertEqual(sorted(ran), ["a", "b"])

    def test_running_and_succeeded_are_refused(self):
        one, = self.claim(job("a"))
        for verb in ("retry", "promote", "release"):
            self.assertEqual(self.queue.control(verb, "a"), ["state", "R"])
        self.queue.work(finishes=[done(one)])
        for verb in ("retry", "promote", "release"):
            self.assertEqual(self.queue.control(verb, "a"), ["state", "S"])

    def test_promote(self):
        self.queue.enqueue(job("a", where="+60000"), job("b"))
        self.assertEqual(self.queue.control("promote", "a"), ["done", "N+"])
        self.assertEqual(self.queue.control("promote", "a"), ["same", "N"])
        self.assertEqual(self.ready(), ["5b", "5a"])
        one = self.queue.work(claim=1).claimed[0]
        self.queue.work(finishes=[ended("f", one, 60000)])
        self.assertEqual(self.queue.control("promote", "b"), ["done", "W+"])
        again = self.queue.work(claim=2).claimed
        self.assertEqual([(one.id, one.again) for one in again],
                         [("a", None), ("b", "2 1 0")])

    def test_release(self):
        one, = self.claim(job("a"))
        self.queue.work(finishes=[ended("c", one)], crashes=1)
        self.assertEqual(self.places(), {"a": "quarantined"})
        self.assertEqual(self.queue.control("retry", "a"), ["state", "Q"])
        self.assertEqual(self.queue.control("release", "a"), ["done", "Q"])
        self.assertEqual(self.queue.work(claim=1).claimed[0].again, "2 0 0")

    def test_expired_would_expire_again(self):
        self.queue.enqueue(job("a", options=" e1", flag="+"))
        self.queue.work(claim=1)
        before = self.queue.snapshot()
        self.assertEqual(self.queue.control("retry", "a"), ["expired", "X"])
        self.assertEqual(self.queue.snapshot(), before)

    def test_unique_key_of_another_is_not_taken(self):
        self.dead("a", options=" ur,0,K", flag="+")
        self.client.hset(self.queue.key("unique"), "K", "b")
        self.queue.enqueue(job("b"))
        self.assertEqual(self.queue.control("retry", "a"), ["held", "b"])
        self.client.hset(self.queue.key("unique"), "K", "nobody")
        self.assertEqual(self.queue.control("retry", "a"), ["done", "D"])
        self.assertEqual(self.client.hgetall(self.queue.key("unique")),
                         {"K": "a"})


class Edit(ScriptCase):
    def test_priority_of_a_waiting_job(self):
        self.queue.enqueue(job("a"), job("b"))
        self.assertEqual(self.queue.control("edit", "b", "", "9"),
                         ["done", "N"])
        self.assertEqual(self.places(), {"a": "ready", "b": "ready"})
        self.assertEqual(self.queue.list_all("ready"), ["b", "a"])
        self.assertEqual(self.queue.get("b").record[:2], "19")
        self.assertEqual([one.entry for one in self.queue.work(claim=9).claimed],
                         ["9b", "5a"])

    def test_time_of_a_waiting_job(self):
        self.queue.enqueue(job("a"))
        at = self.queue.now() + 60000
        self.assertEqual(self.queue.control("edit", "a", at, ""), ["done", "N"])
        self.assertEqual(self.places(), {"a": "due"})
        self.assertEqual(self.queue.get("a").due, str(at))
        self.assertEqual(self.queue.list_all("ready"), [])
        self.assertEqual(self.queue.work(claim=2).claimed, [])
        self.assertEqual(self.queue.control("edit", "a", at, ""),
                         ["same", "N+"])
        self.assertEqual(self.queue.control("edit", "a", 0, ""),
                         ["done", "N+"])
        self.assertEqual([one.id for one in self.queue.work(claim=2).claimed],
                         ["a"])

    def test_one_that_ran_before_stays_retrying(self):
        one, = self.claim(job("a"))
        self.queue.work(finishes=[ended("f", one, 60000)])
        at = self.queue.now() + 90000
        self.assertEqual(self.queue.control("edit", "a", at, "3"),
                         ["done", "W+"])
        self.assertEqual(self.client.zrange(self.queue.key("retrying"), 0, -1,
                                            withscores=True), [("3a", at)])

    def test_running_and_ended_are_refused(self):
        one, = self.claim(job("a"))
        self.assertEqual(self.queue.control("edit", "a", "", "1"),
                         ["state", "R"])
        self.queue.work(finishes=[done(one)])
        self.assertEqual(self.queue.control("edit", "a", "", "1"),
                         ["state", "S"])


class Options(ScriptCase):
    """Steps for jobs whose options the scripts keep."""

    LIMIT = dict(options=" l1,0,0,K", flag="+")

    def test_under_a_limit_key(self):
        self.queue.enqueue(*[job(x, **self.LIMIT) for x in "abc"])
        self.queue.cancel("a")
        self.queue.control("delete", "b")
        self.queue.control("retry", "a")
        self.queue.control("edit", "c", "", "9")
        ran = []
        for _ in range(4):
            for one in self.queue.work(claim=5).claimed:
                ran.append(one.id)
                self.queue.work(finishes=[done(one)])
        self.assertEqual(ran, ["c", "a"])
        self.assertFalse(self.client.exists(self.queue.key("running")))

    def test_a_cancelled_attempt_that_fails_is_cancelled(self):
        one, = self.claim(job("a", **self.LIMIT))
        self.queue.enqueue(job("b", **self.LIMIT))
        self.assertEqual(self.queue.cancel("a"), ["asked", "R"])
        self.assertEqual(self.queue.renew(one), ["!" + one.token])
        self.queue.work(finishes=[ended("f", one, 60000)])
        self.assertEqual(self.queue.get("a").state[0], "C")
        self.assertEqual([x.id for x in self.queue.work(claim=1).claimed],
                         ["b"])
        self.token = None

    def test_a_cancelled_attempt_that_succeeds_has_succeeded(self):
        one, = self.claim(job("a"))
        self.queue.cancel("a")
        self.queue.work(finishes=[done(one)])
        self.assertEqual(self.queue.get("a").state[0], "S")
        self.assertFalse(self.client.exists(self.queue.key("cancels")))

    def test_unique_while_it_runs(self):
        unique = dict(options=" ur,0,K", flag="+")
        self.queue.enqueue(job("a", **unique))
        self.assertEqual(self.client.hget(self.queue.key("unique"), "K"), "a")
        self.queue.cancel("a")
        self.queue.enqueue(job("b", **unique))
        self.assertEqual(self.queue.control("retry", "a"), ["held", "b"])
        self.queue.control("delete", "b")
        self.assertEqual(self.queue.control("retry", "a"), ["done", "C"])

    def test_unique_for_a_time_after_its_end(self):
        self.queue.enqueue(job("a", options=" ue,60000,K", flag="+"))
        self.queue.cancel("a")
        self.assertEqual(self.client.hget(self.queue.key("unique"), "K"), "a")
        self.queue.control("delete", "a")
        self.assertFalse(self.client.exists(self.queue.key("unique")))
        self.assertFalse(self.client.exists(self.queue.key("unlocks")))

    def test_purge_of_limit_keys(self):
        self.queue.enqueue(*[job(f"k{n}", options=f" l1,0,0,K{n % 3}",
                                 flag="+") for n in range(30)],
                           *[job(f"p{n}") for n in range(5)])
        held = self.queue.work(claim=3).claimed
        removed, left = 0, 1
        while left:
            n, left = self.queue._call("purge", ["jobs"], ["ready", 7])
            removed += n
        self.assertEqual(removed, 32)
        self.assertEqual(self.queue.list_all("ready"), [])
        self.assertEqual(self.client.hlen(self.queue.key("jobs")), 3)
        for one in held:
            self.queue.work(finishes=[done(one)])
        self.queue.enqueue(job("new", options=" l1,0,0,K1", flag="+"))
        self.assertEqual([x.id for x in self.queue.work(claim=9).claimed],
                         ["new"])
        self.token = None


class Delete(ScriptCase):
    def test_waiting_and_ended(self):
        claimed = self.claim(job("s"), job("d"), job("t"))
        self.queue.work(finishes=[done(claimed[0], keep=3600000, result="1"),
                                  ended("f", claimed[1], -1),
                                  ended("f", claimed[2], 60000)])
        self.queue.enqueue(job("n"), job("w", where="+60000"))
        for local, code in zip("sdtnw", ("S", "D", "W+", "N", "N+")):
            self.assertEqual(self.queue.control("delete", local),
                             ["done", code])
            self.assertEqual(self.queue.control("delete", local), "gone")
        self.assertEqual(self.places(), {})
        self.assertEqual(self.queue.work(claim=9).claimed, [])
        for key in ("jobs", "state", "results", "done", "dead"):
            self.assertFalse(self.client.exists(self.queue.key(key)), key)

    def test_running_is_refused(self):
        self.claim(job("a"))
        before = self.queue.snapshot()
        self.assertEqual(self.queue.control("delete", "a"), ["state", "R"])
        self.assertEqual(self.queue.snapshot(), before)


class Logs(ScriptCase):
    def test_lines_with_their_attempt(self):
        one, = self.claim(job("a"))
        self.assertEqual(self.queue.log(one, "first", "second"), 1)
        self.queue.work(finishes=[ended("f", one, 0)])
        self.assertEqual(self.queue.log(one, "late"), 0)
        one = self.queue.work(claim=1).claimed[0]
        self.queue.log(one, "third")
        total, more, *words = self.queue.logs("a")
        self.assertEqual((total, more), (3, 0))
        self.assertEqual(list(zip(words[1::3], words[2::3])),
                         [("1", "first"), ("1", "second"), ("2", "third")])
        total, more, *words = self.queue.logs("a", limit=2)
        self.assertEqual((more, words[2::3]), (1, ["first", "second"]))
        self.assertEqual(self.queue.logs("a", after=words[3])[4:], ["third"])

    def test_the_newest_thousand_are_kept(self):
        one, = self.claim(job("a"))
        for first in range(0, 1100, 50):
            self.queue.log(one, *[f"l{n}" for n in range(first, first + 50)])
        total, more, *words = self.queue.logs("a")
        self.assertEqual((total, len(words) // 3, words[2]),
                         (1100, 1000, "l100"))

    def test_go_with_the_job(self):
        one, = self.claim(job("a"))
        self.queue.log(one, "x")
        self.queue.work(finishes=[ended("f", one, -1)])
        self.queue.control("delete", "a")
        self.assertEqual(self.queue.logs("a"), "gone")
        self.assertFalse(self.client.exists(self.queue.key("log:a")))
        self.assertFalse(self.client.exists(self.queue.key("logged")))
        self.assertIsNone(self.queue.logs("never"))


class Expire(ScriptCase):
    """One that waits past its time is ended by who looks at it."""

    def asked(self, local, more="", **kwargs):
        return job(local, options=f" e{self.queue.now() + 300}{more}",
                   flag="+", **kwargs)

    def test_wherever_it_waits(self):
        self.queue.enqueue(self.asked("ready", " ur,0,K"),
                           self.asked("keyed", " l1,0,0,L"),
                           self.asked("blocked", " n1,s"),
                           self.asked("due", " oq.child", where="+60000"))
        self.queue.enqueue(self.asked("retrying", priority=9))
        one, = self.queue.work(claim=1).claimed
        self.assertEqual(one.id, "retrying")
        last = self.queue.work(finishes=[ended("f", one, 60000)]).now
        self.until(last + 300)
        codes = {"ready": "N", "keyed": "N", "blocked": "B", "due": "N+",
                 "retrying": "W+"}
        for local, code in codes.items():
            self.assertEqual(self.queue.control("expire", local),
                             ["done", code])
            self.assertEqual(self.queue.get(local).state[0], "X")
            self.assertEqual(self.queue.control("expire", local),
                             ["state", "X"])
        self.assertEqual(set(self.places().values()), {"done"})
        self.assertEqual(self.queue.stats()["expired"], 5)
        self.assertEqual(self.client.exists(self.queue.key("unique")), 0)
        (_, message), = self.client.xrange(self.queue.key("outbox"))
        self.assertEqual((message["to"], message["code"]), ("q.child", "X"))
        self.assertEqual(self.queue.work(claim=9).claimed, [])

    def test_not_before_its_time_nor_while_it_runs(self):
        self.queue.enqueue(job("never"), self.asked("soon", priority=9))
        self.assertEqual(self.queue.control("expire", "never"),
                         ["state", "N"])
        self.assertEqual(self.queue.control("expire", "soon"), ["state", "N"])
        work = self.queue.work(claim=1)
        self.until(work.now + 300)
        self.assertEqual(self.queue.control("expire", "soon"), ["state", "R"])
        self.assertEqual(self.places(), {"never": "ready", "soon": "leased"})
        self.token = None

    def test_wait_says_when(self):
        """In so many ms, however the task is called."""
        self.queue.enqueue(job("never"), self.asked("soon"))
        self.assertEqual(self.queue.wait("never", "ch"), 0)
        self.assertLessEqual(-301, self.queue.wait("soon", "ch"))
        self.assertLess(self.queue.wait("soon", "ch"), 0)
        self.until(self.queue.now() + 300)
        self.assertEqual(self.queue.wait("soon", "ch"), -1)
        heard = self.client.pubsub(ignore_subscribe_messages=True)
        self.addCleanup(heard.close)
        heard.subscribe("ch")
        heard.get_message(timeout=5)
        self.queue.control("expire", "soon")
        self.assertEqual(heard.get_message(timeout=5)["data"], "soon")
        self.assertEqual(self.queue.wait("soon", "ch"), 1)


class Settings(ScriptCase):
    def test_changes_and_wakes(self):
        self.queue.enqueue(job("a"))
        self.assertEqual(self.queue.settings(paused=1, note="deploy"),
                         {"paused": "1", "note": "deploy"})
        self.queue.work(claim=1)
        self.take_token()
        self.assertEqual(self.queue.settings(paused=""), {"note": "deploy"})
        self.assertEqual(self.wake(), 1)
        self.take_token()
        self.assertEqual(self.queue.settings(note="deploy"),
                         {"note": "deploy"})
        self.assertEqual(self.wake(), 0)
        self.token = False

    def test_wrong_type(self):
        self.assert_wrong_type_changes_nothing(
            "wake", lambda: self.queue.settings(paused=1))


if __name__ == "__main__":
    unittest.main()
