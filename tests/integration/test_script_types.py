"""A key of the wrong type: whatever script comes across it changes nothing, and
says which key it is. Each scenario is run once for each key of the queue, which
holds something else just before the call.

A script that has nothing to do with the key goes its way, and leaves it alone.
What it must have to do with is named beside the scenario."""

import unittest

import redis as redislib

from pitschedules import Schedules
from pitscripts import KEYS, OTHER_KEYS, ScriptCase, done, ended, job

LIMIT = " l1,9,1000,K"
ALL = " ur,0,U" + LIMIT + " cSD,http://x oq.child"
DYNAMIC = ("in:a", "in:b", "in:c", "stop:c", "log:a", "key:5K", "key:7K",
           "flow:F")
STRINGS = ("stop:c",)
# What goes with its job goes whatever it is; as wake does once nothing is there.
TAKEN_AWAY = ("wake", "in:a", "in:b", "in:c", "stop:c", "log:a")


def asks(local, options, **kwargs):
    return job(local, options=options, flag="+", **kwargs)


class Types(ScriptCase):
    def setUp(self):
        super().setUp()
        self.token = None
        self.schedules = Schedules(self.queue)

    # ---- what lies there before the call ----

    def watch(self):
        self.queue._call("watch", ["meta", "events"], [60000])

    def waits(self, options=ALL, local="a", **kwargs):
        self.watch()
        self.queue.enqueue(asks(local, options, **kwargs))
        self.queue.wait(local, "channel")
        self.take_token()

    def runs(self, options=ALL, local="a"):
        self.waits(options, local)
        claimed, = self.queue.work(claim=1).claimed
        return claimed

    def is_dead(self, options=ALL):
        self.queue.work(finishes=[ended("f", self.runs(options), -1)])

    def is_quarantined(self):
        self.queue.work(crashes=1, finishes=[ended("c", self.runs())])

    def is_blocked(self, policy="s", options=LIMIT):
        self.watch()
        self.queue.enqueue(asks("c", options + f" n1,{policy}"))
        self.take_token()

    def deliver(self, to="c", code="S"):
        return self.queue._call("deliver", ["jobs"], [to, "q.a", code, "1"])

    def accept(self):
        return self.queue._call("flow", ["flows", "outbox", "wake", "meta"], [
            "F", "{}", 60000, "name", "q.a", "15- 1 noop\n1"])

    def scheduled(self, **definition):
        self.watch()
        self.nominal = self.queue.now() - 1000
        self.version = self.schedules.put("s", self.nominal, **definition)

    def fire(self):
        return self.schedules.fire(self.schedules.item(
            "s", self.version, self.nominal, None, [self.nominal]))

    # ---- the trial ----

    def trial(self, before, call, *must):
        """@must: keys that @call has to do with, by all means."""
        refused = set()
        for name in (*KEYS, *OTHER_KEYS, *DYNAMIC):
            self.client.flushall()
            before()
            key = self.queue.key(name)
            self.client.delete(key)
            if name in STRINGS:
                self.client.rpush(key, "of another type")
            else:
                self.client.set(key, "of another type")
            was, all_before = self.client.dump(key), self.queue.snapshot()
            try:
                call()
            except redislib.ResponseError as error:
                refused.add(name)
                self.assertTrue(str(error).startswith(f"WRONGTYPE {key} is no "),
                                f"{name}: {error}")
                self.assertEqual(self.queue.snapshot(), all_before, name)
            if name not in TAKEN_AWAY or self.client.exists(key):
                self.assertEqual(self.client.dump(key), was, name)
        self.assertEqual(set(must) - refused, set(), "was not looked at")

    def test_enqueue(self):
        common = ("jobs", "stats", "wake", "ready:5")
        for mode in ("fresh", "named", "all"):
            self.trial(self.watch, lambda: self.queue.enqueue(
                job("x"), job("b", where="+9"), mode=mode), *common, "due",
                "meta", "events")
        self.trial(lambda: None, lambda: self.queue.enqueue(job("x")), *common)
        self.trial(lambda: None, lambda: self.queue.enqueue(
            job("x"), asks("b", LIMIT, priority=7)), *common, "key:7K", "turns")
        self.trial(self.watch, lambda: self.queue.enqueue(
            job("x"), asks("b", " ur,9,U")), *common, "unique", "unlocks",
            "events")
        self.trial(lambda: self.client.hset(self.queue.key("meta"), mapping={
            "len_max": 9, "bytes_max": 999}), lambda: self.queue.enqueue(
                job("x")), "leased", "dead", "quarantined")

    def test_enqueue_replaces(self):
        self.trial(self.waits, lambda: self.queue.enqueue(
            job("x"), asks("b", ALL, conflict="p")), "unique", "children",
            "outbox", "done", "waits", "stale", "state", "key:5K", "cancels")
        self.trial(lambda: self.waits(ALL + " k0", where="+999"),
                   lambda: self.queue.enqueue(asks("b", ALL, conflict="p")),
                   "due", "gone", "logged", "results", "progress")

    def test_enqueue_of_a_child(self):
        def after(code):
            def before():
                self.watch()
                self.deliver(code=code)
            return before
        child = asks("c", LIMIT + " n1,s cD,http://x")
        for code in "SD":
            self.trial(after(code), lambda: self.queue.enqueue(child, job("x")),
                       "in:c", "stop:c", "blocked", "key:5K", "done", "waits")

    def test_work(self):
        def before():
            for local in "abdefg":
                self.queue.enqueue(asks(local, " ur,0," + local))
            self.queue.enqueue(job("x"), job("y"), job("late", where="@1"))
            self.held = self.queue.work(claim=6).claimed
            self.queue.wait("a", "channel")
            self.watch()
            self.client.hdel(self.queue.key("meta"), "seen")
        def call():
            a, b, d, e, f, g = self.held
            self.queue.work(claim=3, finishes=[
                done(a), done(b, result="1"), ended("f", d, 0),
                ended("f", e, -1), ended("c", f), ended("x", g)])
        self.trial(before, call, *KEYS)

    def test_work_goes_on_around_one_limit_key(self):
        # It is come across too late to refuse all: its jobs wait a minute.
        limit = " l1,0,0,K"
        def spoil():
            self.client.delete(self.queue.key("key:5K"))
            self.client.set(self.queue.key("key:5K"), "of another type")
        self.queue.enqueue(asks("a", limit), asks("b", limit))
        held = self.queue.work(claim=1).claimed
        self.queue.enqueue(asks("c", " l0,9,1000,L"), job("x"),
                           asks("late", limit, where="@1"))
        spoil()
        work = self.queue.work(claim=9, finishes=[ended("r", held[0])])
        self.assertEqual({one.id for one in work.claimed}, {"c", "x"})
        now = self.queue.now()
        for place, entry in (("due", "5=K"), ("due", "5late"),
                             ("retrying", "5a")):
            at = self.client.zscore(self.queue.key(place), entry)
            self.assertAlmostEqual(at, now + 60000, delta=5000, msg=entry)
        # All right again: they run as if nothing had been, but for b, which was
        # in the list.
        self.client.delete(self.queue.key("key:5K"))
        for place in ("due", "retrying"):
            for entry in self.client.zrange(self.queue.key(place), 0, -1):
                self.client.zadd(self.queue.key(place), {entry: 1})
        found = []
        while (work := self.queue.work(claim=9, finishes=[
                done(one) for one in work.claimed])).claimed:
            found += [one.id for one in work.claimed]
        self.assertEqual(sorted(found), ["a", "late"])
        self.assertFalse(self.client.exists(self.queue.key("turns")))

    def test_work_goes_on_around_the_inputs_of_a_child(self):
        for options in ("", LIMIT):
            self.client.flushall()
            self.is_blocked("g", options)
            self.deliver()
            self.client.delete(self.queue.key("in:c"))
            self.client.set(self.queue.key("in:c"), "of another type")
            self.queue.enqueue(job("x"))
            work = self.queue.work(claim=9)
            self.assertEqual([one.id for one in work.claimed], ["x"])
            self.assertFalse(self.client.exists(self.queue.key("running")))
            self.assertEqual(self.client.zrange(self.queue.key("due"), 0, -1),
                             ["5c"])

    def test_work_of_an_idle_worker(self):
        self.trial(lambda: None, self.queue.work)
        self.trial(self.runs, self.queue.work)

    def test_cancel(self):
        def call():
            self.queue.cancel("a")
        self.trial(self.waits, call, "jobs", "state", "unique", "children",
                   "outbox", "done", "waits", "stale", "events", "wake")
        self.trial(self.runs, call, "cancels", "state")
        self.trial(self.is_blocked, lambda: self.queue.cancel("c"), "blocked",
                   "done")
        self.trial(self.is_quarantined, call, "quarantined", "done")

    def test_make_ready_again(self):
        for verb, before, place in (
                ("retry", self.is_dead, "dead"),
                ("release", self.is_quarantined, "quarantined"),
                ("promote", lambda: self.waits(where="+9999"), "due")):
            self.trial(before, lambda verb=verb: self.queue.control(verb, "a"),
                       place, "key:5K", "turns", "unique", "events", "ready:5")

    def test_edit(self):
        self.trial(self.waits, lambda: self.queue.control("edit", "a", "", "7"),
                   "key:7K", "ready:7", "stale")
        self.trial(self.waits, lambda: self.queue.control(
            "edit", "a", str(self.queue.now() + 9999), ""), "due", "stale")

    def test_delete(self):
        for before in (self.waits, self.is_dead, lambda: self.is_dead(" k9")):
            self.trial(before, lambda: self.queue.control("delete", "a"),
                       "gone", "logged", "results", "unique", "waits")

    def test_deliver(self):
        for code in "SD":
            self.trial(self.is_blocked, lambda: self.deliver(code=code),
                       "in:c", "stop:c", "key:5K", "blocked", "done", "jobs")
        self.trial(lambda: None, self.deliver, "in:c", "stop:c", "gone")
        self.trial(self.accept, lambda: self.deliver("F"), "flow:F")

    def test_attach(self):
        def call():
            self.queue._call("attach", ["jobs", "state", "results", "gone",
                                        "children", "outbox"],
                             ["a", "q.a", "q.b"])
        self.trial(self.runs, call, "jobs", "state", "results", "children",
                   "outbox")
        self.trial(self.is_dead, call, "jobs", "state", "results", "outbox")

    def test_flow(self):
        self.trial(lambda: None, self.accept, "flows", "outbox", "wake", "meta",
                   "flow:F")

    def test_purge(self):
        def purge(place):
            return lambda: self.queue._call("purge", ["jobs"], [place, 9])
        def held_up():
            self.waits(" l1,0,0,K", "a")
            self.queue.enqueue(asks("b", " l1,0,0,K"), job("x", 4))
            self.queue.work(claim=5)
        self.trial(self.waits, purge("ready"), "key:5K", "turns", "ready:5",
                   "gone", "outbox", "children", "waits", "unique")
        self.trial(held_up, purge("ready"), "key:5K")
        self.trial(self.is_blocked, purge("blocked"), "blocked", "gone")
        self.trial(self.is_dead, purge("dead"), "dead", "gone")
        self.trial(self.is_quarantined, purge("quarantined"), "quarantined")
        self.trial(lambda: self.queue.work(finishes=[done(self.runs())]),
                   purge("ended"), "done", "gone", "stats")

    def test_schedules(self):
        self.trial(self.scheduled, self.fire, "schedules", "fires", "fired",
                   "jobs", "ready:5", "wake", "stats", "gone", "events")
        self.trial(lambda: self.scheduled(record="15+ 0 noop ur,0,U\n1"),
                   self.fire, "outbox", "unique", "unlocks")
        self.trial(self.scheduled, lambda: self.schedules.trigger("s", "new"),
                   "schedules", "fired", "jobs", "ready:5")
        self.trial(self.scheduled, lambda: self.schedules.put(
            "s", self.nominal, self.version), "schedules", "fires", "fired")
        self.trial(self.scheduled, lambda: self.schedules.delete("s"),
                   "schedules", "fires", "fired")
        self.trial(self.scheduled, self.schedules.due, "schedules", "fires",
                   "fired")
        self.trial(self.scheduled, lambda: self.schedules.get("s"), "schedules",
                   "fired")

    def test_what_a_job_says(self):
        def before():
            self.claimed = self.runs()
        self.trial(before, lambda: self.queue.log(self.claimed, "a line"),
                   "log:a", "logged", "events", "state", "jobs")
        self.trial(before, lambda: self.queue.progress(self.claimed, "1"),
                   "progress", "events", "state", "meta")
        self.trial(before, lambda: self.queue.renew(self.claimed), "leased",
                   "state")

    def test_looks(self):
        def view(script, keys, *args):
            return lambda: self.queue._call(script, keys, args)
        for before in (self.waits, self.is_blocked, self.is_dead):
            for local in "ac":
                self.trial(before, lambda local=local: self.queue.get(local),
                           "jobs")
                self.trial(before, view("explain", ["jobs"], local), "jobs")
                self.trial(before, view("look", [
                    "jobs", "state", "due", "retrying", "blocked", "gone"],
                    local), "jobs", "state")
                self.trial(before, lambda local=local: self.queue.logs(local),
                           "jobs")
            self.trial(before, self.queue.counts, "jobs", "stats", "due")
            for state in ("ready", "scheduled", "dead", "ended", "running"):
                self.trial(before, lambda state=state: self.queue.list(state))

    def test_wait_watch_and_settings(self):
        self.trial(self.runs, lambda: self.queue.wait("a", "other"), "jobs",
                   "state", "waits")
        self.trial(lambda: None, self.watch, "meta", "events")
        self.trial(lambda: None, lambda: self.queue.settings(paused=1), "meta",
                   "wake")


if __name__ == "__main__":
    unittest.main()
