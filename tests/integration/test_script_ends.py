"""What a job's end does for others: children, callbacks, cancels, parents."""

import json
import unittest

from pitscripts import ScriptCase, done, ended, job


def one(local, options, **kwargs):
    return job(local, options=options, flag="+", **kwargs)


class Children(ScriptCase):
    def outbox(self):
        return [fields for _, fields in
                self.client.xrange(self.queue.key("outbox"))]

    def test_each_end_is_told(self):
        for local, code, finish in (
                ("s", "S", lambda c: done(c, result="[1]")),
                ("d", "D", lambda c: ended("f", c, -1)),
                ("x", "C", lambda c: ended("x", c))):
            claimed, = self.claim(one(local, " oq.c,other.d"))
            work = self.queue.work(finishes=[finish(claimed)])
            self.assertEqual(work.more, 2)
            result = "[1]" if code == "S" else ""
            self.assertEqual(self.outbox(), [
                {"kind": "end", "to": to, "from": f"q.{local}", "code": code,
                 "result": result} for to in ("q.c", "other.d")])
            self.client.delete(self.queue.key("outbox"))
        self.queue.enqueue(one("e", " e1 oq.c"))
        self.assertEqual(self.queue.work(claim=1).more, 2)
        self.assertEqual(self.outbox()[0]["code"], "X")

    def test_those_attached_later(self):
        attach = self.queue.scripts["attach"]
        keys = [self.queue.key(key) for key in
                ("jobs", "state", "results", "gone", "children", "outbox")]
        waits, = (job("w"),)
        self.queue.enqueue(waits)
        attach(keys=keys, args=["w", "q.w", "q.first"])
        claimed, = self.queue.work(claim=1).claimed
        self.assertEqual(self.queue.get("w").state[0], "r")
        attach(keys=keys, args=["w", "q.w", "p.second"])
        self.queue.work(finishes=[done(claimed)])
        self.assertEqual([fields["to"] for fields in self.outbox()],
                         ["q.first", "p.second"])

    def test_a_retry_and_a_quarantine_are_no_end(self):
        a, = self.claim(one("a", " oq.c"))
        self.queue.work(finishes=[ended("f", a, 60000)])
        b, = self.claim(one("b", " oq.c"))
        self.queue.work(finishes=[ended("c", b)], crashes=1)
        self.assertEqual(self.outbox(), [])


class Callback(ScriptCase):
    def test_says_what_happened(self):
        claimed, = self.claim(one("a", ' cSD,https://x/?q="1"'))
        work = self.queue.work(claim=1, finishes=[done(claimed, result="[2]")])
        back, = work.claimed
        self.assertEqual(back.id, "cb-a-S")
        self.assertTrue(back.record.startswith("15- "))
        self.assertIn(" pit.callback r10\n", back.record)
        args = json.loads(back.record.split("\n", 1)[1])
        ended_at = args["event"].pop("ended_at_ms")
        self.assertEqual(ended_at, work.now)
        self.assertEqual(args, {
            "url": 'https://x/?q="1"',
            "event": {"type": "job.succeeded", "id": "q.a", "task": "noop",
                      "queue": "q", "state": "succeeded", "result": [2],
                      "error": None}})

    def test_of_the_dead(self):
        claimed, = self.claim(one("a", " cD,http://x"))
        work = self.queue.work(claim=1, finishes=[ended("f", claimed, -1)])
        event = json.loads(work.claimed[0].record.split("\n", 1)[1])["event"]
        self.assertEqual((event["type"], event["error"]), ("job.dead", "no"))
        # Retried by hand, it dies again and says so again.
        self.queue.control("retry", "a")
        self.queue.work(finishes=[done(work.claimed[0])])
        claimed, = self.queue.work(claim=1).claimed
        work = self.queue.work(claim=1, finishes=[ended("f", claimed, -1)])
        self.assertEqual([back.id for back in work.claimed], ["cb-a-D-2"])

    def test_only_of_what_was_asked_for(self):
        a, = self.claim(one("a", " cD,http://x"))
        self.queue.work(finishes=[done(a)])
        b, = self.claim(one("b", " cS,http://x"))
        self.queue.work(finishes=[ended("f", b, -1)])
        self.assertEqual(sorted(self.places()), ["a", "b"])

    def test_of_a_long_id(self):
        claimed, = self.claim(one("x" * 64, " cS,http://x"))
        self.queue.work(finishes=[done(claimed)])
        self.assertTrue(all(len(local) <= 64 for local in self.places()))
        self.assertEqual(len(self.places()), 2)


class Cancel(ScriptCase):
    """Of a job that runs: control asks, work sees to it."""

    def asked(self, local, **kwargs):
        claimed, = self.claim(job(local, **kwargs))
        self.assertEqual(self.queue.cancel(local, grace=5), ["asked", "R"])
        return claimed

    def test_renew_says_so_while_the_lease_is_held(self):
        claimed = self.asked("a")
        self.assertEqual(self.queue.renew(claimed), ["!" + claimed.token])
        other, = self.claim(job("b"))
        self.assertEqual(self.queue.renew(other, claimed),
                         ["!" + claimed.token])

    def test_an_attempt_that_does_not_succeed_is_the_last(self):
        for how in "ftcxr":
            claimed = self.asked(how)
            self.assertEqual(self.queue.progress(claimed, "1"), 1)
            self.queue.work(finishes=[ended(how, claimed, 0)])
            state = self.queue.get(how).state
            self.assertEqual(state[0], "C")
            self.assertIn(" x ", state.split("\n")[1])
            self.assertEqual(self.places()[how], "done")
        self.assertEqual(self.queue.stats()["cancelled"], 5)

    def test_a_lost_one_is_not_given_out_again(self):
        claimed, = self.claim(job("a"), lease=1)
        self.queue.cancel("a")
        self.until(self.client.zscore(self.queue.key("leased"), "5a"))
        self.assertEqual(self.queue.work(claim=1).claimed, [])
        self.assertEqual(self.queue.get("a").state[0], "C")
        self.assertEqual(self.queue.work(finishes=[done(claimed)]).stale,
                         [claimed.token])

    def test_one_that_succeeds_has_succeeded(self):
        claimed = self.asked("a")
        self.queue.work(finishes=[done(claimed, result="1")])
        view = self.queue.get("a")
        self.assertEqual((view.state[0], view.result), ("S", "1"))

    def test_get_says_when(self):
        self.asked("a")
        self.assertRegex(self.queue.get("a").cancel, r'^\d+ 5 "enough"$')


class Parents(ScriptCase):
    def arrive(self, local, **ends):
        for parent, value in ends.items():
            self.client.hset(self.queue.key(f"in:{local}"), f"q.{parent}",
                             value)

    def test_blocked_until_they_have_ended(self):
        self.queue.enqueue(one("a", " n2,s"))
        self.assertEqual(self.places(), {"a": "blocked"})
        self.assertEqual(self.queue.work(claim=1).claimed, [])
        counts = self.queue.counts()
        self.assertEqual((counts.ready, counts.blocked), (0, 1))
        self.assertTrue(self.queue.get("a").blocked)
        self.queue.control("cancel", "a", 0, '"no"')

    def test_goes_on_at_once_when_they_have(self):
        self.arrive("a", p="S[1]", r="S")
        self.queue.enqueue(one("a", " n2,s"))
        claimed, = self.queue.work(claim=1).claimed
        self.assertEqual((claimed.again, claimed.inputs),
                         ("1 0 0", {"q.p": "S[1]", "q.r": "S"}))
        # A retry has them too; afterwards they are gone.
        work = self.queue.work(claim=1, finishes=[ended("c", claimed)])
        claimed, = work.claimed
        self.assertEqual((claimed.again, claimed.inputs),
                         ("2 0 1", {"q.p": "S[1]", "q.r": "S"}))
        self.queue.work(finishes=[done(claimed)])
        self.assertFalse(self.client.exists(self.queue.key("in:a")))

    def test_a_parent_that_failed_before_cancels_it(self):
        self.arrive("a", p="D")
        self.client.set(self.queue.key("stop:a"), "q.p")
        self.queue.enqueue(one("a", " n2,s oq.c"))
        self.assertEqual(self.queue.get("a").state[0], "C")
        self.assertIn("q.p did not succeed", self.queue.get("a").state)
        self.assertEqual(self.queue.work().more, 2)  # its child hears of it

    def test_a_delay_counts_from_then(self):
        self.arrive("a", p="S")
        self.queue.enqueue(one("a", " d50 n1,s", where="+60000"))
        self.assertEqual(self.places(), {"a": "due"})

    def test_results_above_a_megabyte_are_left_out(self):
        self.arrive("a", p="S" + "1" * 600000, r="S" + "2" * 600000)
        self.queue.enqueue(one("a", " n2,s"))
        claimed, = self.queue.work(claim=1).claimed
        self.assertEqual(sorted(map(len, claimed.inputs.values())),
                         [1, 600001])


if __name__ == "__main__":
    unittest.main()
