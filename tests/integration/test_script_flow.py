"""attach, deliver, flow and look against a real Redis, from what their first
comments promise."""

import unittest

import redis as redislib

from pitscripts import ScriptCase, done, ended, job


class FlowCase(ScriptCase):
    """Keys that only these scripts know of are not the checker's."""

    def setUp(self):
        super().setUp()
        self.token = None

    def block(self, local, n, policy="s", options="", priority=5):
        """A job that waits for @n others, as enqueue stores it."""
        one = job(local, priority, options=f"{options} n{n},{policy}", flag="+")
        self.client.hset(self.queue.key("jobs"), local, one.record)
        self.client.zadd(self.queue.key("blocked"),
                         {f"{priority}{local}": self.queue.now()})

    def deliver(self, *messages):
        words = [word for message in messages for word in message]
        return self.queue._call("deliver", ["jobs"], words)

    def outbox(self):
        return [fields for _, fields in
                self.client.xrange(self.queue.key("outbox"))]

    def inputs(self, local):
        return self.client.hgetall(self.queue.key(f"in:{local}"))

    def blocked(self):
        return self.client.zrange(self.queue.key("blocked"), 0, -1)


class Deliver(FlowCase):
    def test_the_last_parent_makes_it_ready(self):
        self.block("c", 2)
        self.assertEqual(self.deliver(("c", "q.a", "S", '{"n":1}')), 0)
        self.assertEqual(self.ready(), [])
        self.assertEqual(self.deliver(("c", "q.b", "S", "")), 1)
        self.assertEqual(self.ready(), ["5c"])
        self.assertEqual(self.blocked(), [])
        self.assertEqual(self.wake(), 1)
        self.assertEqual(self.inputs("c"), {"q.a": 'S{"n":1}', "q.b": "S"})

    def test_a_message_twice_counts_once(self):
        self.block("c", 2)
        for _ in range(3):
            self.deliver(("c", "q.a", "S", "1"))
        self.assertEqual(self.ready(), [])
        self.deliver(("c", "q.b", "S", "2"))
        self.deliver(("c", "q.b", "S", "3"), ("c", "q.a", "S", "4"))
        self.assertEqual(self.ready(), ["5c"])
        self.assertEqual(self.inputs("c"), {"q.a": "S1", "q.b": "S2"})

    def test_stop_cancels_at_the_first_failure(self):
        self.block("c", 3, options=" ox.d,x.f:")
        self.deliver(("c", "q.a", "S", ""), ("c", "q.b", "D", ""))
        view = self.queue.get("c")
        self.assertEqual(view.state[0], "C")
        self.assertIn('"q.b did not succeed"', view.state)
        self.assertEqual(self.blocked(), [])
        self.assertEqual(self.inputs("c"), {})
        self.assertEqual([(m["to"], m["from"], m["code"])
                          for m in self.outbox()],
                         [("x.d", "q.c", "C"), ("x.f:", "q.c", "C")])
        self.assertEqual(self.queue.stats()["cancelled"], 1)
        # What comes later changes nothing.
        self.deliver(("c", "q.z", "S", ""))
        self.assertEqual(self.inputs("c"), {})

    def test_go_on_waits_for_all_however_they_ended(self):
        self.block("c", 2, "g")
        self.deliver(("c", "q.a", "D", ""))
        self.assertEqual(self.blocked(), ["5c"])
        self.deliver(("c", "q.b", "C", ""))
        self.assertEqual(self.ready(), ["5c"])

    def test_what_comes_before_the_job_is_kept(self):
        self.deliver(("c", "q.a", "S", "7"))
        self.assertGreater(self.client.pttl(self.queue.key("in:c")), 80000000)
        self.block("c", 1)
        self.assertEqual(self.deliver(("c", "", "", "")), 1)
        self.assertEqual(self.ready(), ["5c"])
        self.assertEqual(self.client.pttl(self.queue.key("in:c")), -1)

    def test_a_failure_that_comes_before_the_job_stops_it(self):
        self.deliver(("c", "q.a", "X", ""))
        self.block("c", 2)
        self.deliver(("c", "", "", ""))
        self.assertEqual(self.queue.get("c").state[0], "C")
        self.assertEqual(self.client.exists(self.queue.key("stop:c")), 0)

    def test_a_look_changes_nothing_while_parents_are_missing(self):
        self.block("c", 2)
        self.deliver(("c", "q.a", "S", ""))
        self.assertEqual(self.deliver(("c", "", "", "")), 0)
        self.assertEqual(self.blocked(), ["5c"])

    def test_a_delay_counts_from_then_on(self):
        self.block("c", 1, options=" d60000")
        before = self.queue.now()
        self.deliver(("c", "q.a", "S", ""))
        at = self.client.zscore(self.queue.key("due"), "5c")
        self.assertGreaterEqual(at, before + 60000)
        self.assertEqual(self.wake(), 1)

    def test_a_limit_key_puts_it_in_its_own_line(self):
        self.block("c", 1, options=" l5,0,0,tenant")
        self.deliver(("c", "q.a", "S", ""))
        self.assertEqual(self.client.lrange(self.queue.key("key:5tenant"), 0,
                                            -1), ["5c"])
        self.assertEqual(self.ready(), ["5=tenant"])

    def test_a_job_that_is_forgotten_hears_nothing(self):
        self.client.zadd(self.queue.key("gone"), {"c": 1})
        self.deliver(("c", "q.a", "S", "1"))
        self.assertEqual(self.inputs("c"), {})

    def test_who_waits_hears_of_a_cancelled_one(self):
        self.block("c", 1)
        self.assertEqual(self.queue.wait("c", "chan"), 0)
        pubsub = self.client.pubsub()
        pubsub.subscribe("chan")
        self.assertEqual(pubsub.get_message(timeout=5)["type"], "subscribe")
        self.deliver(("c", "q.a", "D", ""))
        self.assertEqual(pubsub.get_message(timeout=5)["data"], "c")
        pubsub.close()
        pubsub.connection_pool.disconnect()

    def test_a_wrong_type_changes_nothing(self):
        self.block("c", 1)
        for key in ("done", "stats", "waits", "gone", "stale", "retrying",
                    "logged", "events", "outbox"):
            self.assert_wrong_type_changes_nothing(
                key, lambda: self.deliver(("c", "q.a", "S", "")))
            self.client.delete(self.queue.key(key))


class Flow(FlowCase):
    def accept(self, local="F", jobs=(("q.F:1", "15+ 1 noop\nnull"),)):
        return self.queue._call(
            "flow", ["flows", "outbox", "wake", "meta"],
            [local, "{}", 60000, "title", *[w for pair in jobs for w in pair]])

    def flow(self, local="F"):
        return self.client.hgetall(self.queue.key(f"flow:{local}"))

    def test_it_is_kept_with_its_jobs_as_messages(self):
        jobs = [(f"q.F:{n}", f"15+ 1 noop\n{n}") for n in range(70)]
        self.assertEqual(self.accept(jobs=jobs), 1)
        self.assertEqual(self.flow()["left"], "70")
        self.assertEqual(self.wake(), 1)
        found = self.client.execute_command(
            "XRANGE", self.queue.key("outbox"), "-", "+")
        self.assertEqual(len(found), 3)
        words = [word for _, fields in found for word in
                 (fields if isinstance(fields, list) else
                  [w for pair in fields.items() for w in pair])]
        self.assertEqual(words.count("enqueue"), 3)

    def test_the_same_flow_twice_is_one(self):
        self.accept()
        before = self.queue.snapshot()
        self.assertEqual(self.accept(), 0)
        self.assertEqual(self.queue.snapshot(), before)

    def test_a_closed_queue_takes_none(self):
        self.client.hset(self.queue.key("meta"), "closed", "1")
        with self.assertRaisesRegex(redislib.ResponseError, "^CLOSED"):
            self.accept()
        self.assertEqual(self.flow(), {})

    def test_it_counts_its_jobs_ends_once_each(self):
        self.accept(jobs=[(f"q.F:{n}", "15+ 1 noop\nnull") for n in "abc"])
        self.deliver(("F", "q.F:a", "D", ""), ("F", "q.F:a", "D", ""),
                     ("F:", "q.F:b", "S", ""))
        flow = self.flow()
        self.assertEqual((flow["left"], flow["q.F:a"], flow["q.F:b"]),
                         ("1", "D", "S"))
        self.assertNotIn("failed", flow)
        self.assertEqual(self.client.pttl(self.queue.key("flow:F")), -1)
        self.deliver(("F:", "q.F:c", "C", ""))
        flow = self.flow()
        self.assertEqual((flow["left"], flow["failed"]), ("0", "1"))
        self.assertIn("ended", flow)
        self.assertGreater(self.client.pttl(self.queue.key("flow:F")), 50000)


class Attach(FlowCase):
    def attach(self, parent="p", child="x.c"):
        return self.queue._call(
            "attach", ["jobs", "state", "results", "gone", "children",
                       "outbox"], [parent, f"q.{parent}", child])

    def test_a_waiting_parent_is_marked(self):
        self.queue.enqueue(job("p"))
        self.assertEqual(self.attach(), 1)
        self.assertEqual(self.attach(), 1)
        self.assertEqual(self.attach(child="x.d"), 1)
        self.assertEqual(self.client.hget(self.queue.key("children"), "p"),
                         "x.c x.d ")
        self.assertTrue(self.queue.get("p").record.startswith("15+ "))

    def test_a_running_parent_is_marked(self):
        claimed, = self.claim(job("p"))
        self.assertEqual(self.attach(), 1)
        self.assertEqual(self.queue.get("p").state[:2 + len(claimed.token)],
                         f"r {claimed.token}")

    def test_of_an_ended_one_it_hears_at_once(self):
        claimed, = self.claim(job("p"))
        self.queue.work(finishes=[done(claimed, result='{"n":1}')])
        self.assertEqual(self.attach(), 2)
        message, = self.outbox()
        self.assertEqual(message, {"kind": "end", "to": "x.c", "from": "q.p",
                                   "code": "S", "result": '{"n":1}'})

    def test_of_a_dead_one_too(self):
        claimed, = self.claim(job("p"))
        self.queue.work(finishes=[ended("f", claimed, delay=-1)])
        self.assertEqual(self.attach(), 2)
        self.assertEqual(self.outbox()[0]["code"], "D")

    def test_an_unknown_or_forgotten_one_is_said_to_be(self):
        self.assertEqual(self.attach(), 0)
        claimed, = self.claim(job("p"))
        self.queue.work(finishes=[done(claimed, keep=0)])
        self.assertEqual(self.attach(), -1)

    def test_there_is_a_limit(self):
        self.queue.enqueue(job("p"))
        self.client.hset(self.queue.key("children"), "p", "x" * 65534)
        with self.assertRaisesRegex(redislib.ResponseError, "^LIMIT"):
            self.attach()


class Look(FlowCase):
    def test_every_state_has_its_letter(self):
        self.claim(job("run"))
        dead, = self.claim(job("dead"))
        self.queue.work(finishes=[ended("f", dead, delay=-1)])
        again, = self.claim(job("again"))
        self.queue.work(finishes=[ended("f", again, delay=60000)])
        well, = self.claim(job("well"))
        self.queue.work(finishes=[done(well)])
        gone, = self.claim(job("gone"))
        self.queue.work(finishes=[done(gone, keep=0)])
        self.queue.enqueue(job("ready"), job("later", where="+60000"))
        self.block("blocked", 1)
        ids = ["run", "dead", "again", "well", "gone", "ready", "later",
               "blocked", "never"]
        self.assertEqual(
            "".join(self.queue._call("look", ["jobs", "state", "due",
                                              "retrying", "blocked", "gone"],
                                     ids)), "RDwSGNdB-")

    def test_one_that_waits_past_its_expiry(self):
        over, ahead = f" e{self.queue.now() - 1}", " e9999999999999"
        named = job("task", options=ahead, flag="+")
        self.queue.enqueue(
            job("ready", options=over, flag="+"),
            job("later", options=over, flag="+", where="+60000"),
            named._replace(record=named.record.replace(" noop", " e1")),
            job("args", args='" e1"', options=" g1", flag="-"))
        ids = ["ready", "later", "task", "args"]
        self.assertEqual(
            "".join(self.queue._call("look", ["jobs", "state", "due",
                                              "retrying", "blocked", "gone"],
                                     ids)), "OONN")


if __name__ == "__main__":
    unittest.main()
