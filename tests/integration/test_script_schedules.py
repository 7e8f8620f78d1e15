"""The scripts of schedules: each fire once, judged by Redis' clock."""

import hashlib
import re
import unittest

from pitschedules import CHANNEL, FIRE_KEYS, Schedules
from pitscripts import ScriptCase, done, job


class SchedulesCase(ScriptCase):
    def setUp(self):
        super().setUp()
        self.schedules = Schedules(self.queue)

    def put(self, name="s", late=1000, **definition):
        """A schedule that was due @late ms ago; (version, nominal)."""
        nominal = self.queue.now() - late
        version = self.schedules.put(name, nominal, **definition)
        self.assertGreater(version, 0)
        return version, nominal

    def job_ids(self):
        return sorted(self.client.hkeys(self.queue.key("jobs")))


class TestFire(SchedulesCase):
    def test_a_fire_is_a_job(self):
        version, nominal = self.put(record='13- 0 mail.send t5\n{"to":1.0}')
        first, fired = self.schedules.fire(self.schedules.item(
            "s", version, nominal, nominal + 60000, [nominal]))
        self.assertEqual((first, fired), (1, [1]))
        local, = self.job_ids()
        self.assertEqual(self.ready(3), ["3" + local])
        record = self.queue.get(local).record
        head, args = record.split("\n")
        self.assertEqual(args, '{"to":1.0}')
        self.assertRegex(head, r"^13- \d{13} mail\.send t5$")
        self.assertEqual(self.wake(), 1)
        self.assertEqual(self.queue.stats()["enqueued"], 1)
        seen = self.schedules.fired("s")
        self.assertEqual((seen.nominal, seen.buffered, seen.last),
                         (nominal + 60000, 0, local))
        self.assertEqual([(f.nominal, f.what, f.word) for f in seen.fires],
                         [(nominal, "e", local)])
        self.assertEqual(self.schedules.score("s"), nominal + 60000)

    def test_the_id_follows_from_name_and_time(self):
        name = "a.name:that_is-longer.than.an.id.can.hold.and.goes.on.and.on"
        version, nominal = self.put(name)
        self.schedules.fire(self.schedules.item(
            name, version, nominal, None, [nominal]))
        digest = hashlib.sha1(name.encode()).hexdigest()[:16]
        self.assertEqual(self.job_ids(), [
            f"{name.replace('.', '_')[:32]}-{nominal}-{digest}"])

    def test_only_the_first_one_fires(self):
        version, nominal = self.put()
        item = self.schedules.item("s", version, nominal, nominal + 60000,
                                   [nominal])
        self.assertEqual(self.schedules.fire(item), (1, [1]))
        before = self.queue.snapshot()
        self.assertEqual(self.schedules.fire(item), (0, [-1]))
        self.assertEqual(self.queue.snapshot(), before)

    def test_never_twice_even_if_the_times_are_set_back(self):
        version, nominal = self.put()
        item = self.schedules.item("s", version, nominal, None, [nominal])
        self.schedules.fire(item)
        version = self.schedules.put("s", nominal, version)
        item = self.schedules.item("s", version, nominal, None, [nominal])
        self.assertEqual(self.schedules.fire(item), (0, [0]))
        self.assertEqual(len(self.job_ids()), 1)

    def refused(self, item):
        before = self.queue.snapshot()
        self.assertEqual(self.schedules.fire(item), (0, [-1]))
        self.assertEqual(self.queue.snapshot(), before)

    def test_a_wrong_clock_fires_nothing_early(self):
        nominal = self.queue.now() + 100000
        version = self.schedules.put("s", nominal)
        self.refused(self.schedules.item("s", version, nominal, None,
                                         [nominal]))
        # nor a later time together with one that has come
        version = self.schedules.put("s", nominal - 200000, version)
        self.refused(self.schedules.item(
            "s", version, nominal - 200000, None,
            [nominal - 200000, nominal]))

    def test_a_changed_definition_refuses(self):
        version, nominal = self.put()
        changed = self.schedules.put("s", nominal, version)
        self.assertGreater(changed, version)
        self.refused(self.schedules.item("s", version, nominal, None,
                                         [nominal]))

    def test_a_deleted_one_refuses(self):
        version, nominal = self.put()
        self.assertEqual(self.schedules.delete("s"), 1)
        self.refused(self.schedules.item("s", version, nominal, None,
                                         [nominal]))

    def test_a_paused_one_refuses(self):
        version, nominal = self.put()
        version = self.schedules.put("s", None, version)
        self.refused(self.schedules.item("s", version, nominal, None,
                                         [nominal]))
        self.refused(self.schedules.item("s", version, "-", None))

    def test_many_in_one_call(self):
        items, names = [], [f"n{i}" for i in range(50)]
        for name in names:
            version, nominal = self.put(name, record=f"1{len(items) % 10}- 0 "
                                        "noop\nnull")
            items.append(self.schedules.item(name, version, nominal, None,
                                             [nominal]))
        items[7][1] = 1  # a stale version among them
        first, fired = self.schedules.fire(*items)
        self.assertEqual(fired, [1] * 7 + [-1] + [1] * 42)
        self.assertEqual((first, len(self.job_ids())), (1, 49))
        work = self.queue.work(claim=64)
        self.assertEqual(len(work.claimed), 49)

    def test_missed_times_are_a_line(self):
        version, nominal = self.put(late=5000)
        self.schedules.fire(self.schedules.item(
            "s", version, nominal, nominal + 6000,
            [(nominal, nominal, 4), nominal + 4000]))
        seen = self.schedules.fired("s")
        self.assertEqual([(f.what, f.word) for f in seen.fires],
                         [("m", "4"), ("e", self.job_ids()[0])])

    def test_history_is_bounded(self):
        version, nominal = self.put(late=30000)
        self.schedules.fire(self.schedules.item(
            "s", version, nominal, None,
            [nominal + 1000 * n for n in range(30)]))
        seen = self.schedules.fired("s")
        self.assertEqual(len(seen.fires), 20)
        self.assertEqual(seen.fires[-1].nominal, nominal + 29000)
        self.assertEqual(len(self.job_ids()), 30)

    def test_a_closed_queue_takes_none(self):
        version, nominal = self.put()
        self.client.hset(self.queue.key("meta"), "closed", 1)
        self.assertEqual(self.schedules.fire(self.schedules.item(
            "s", version, nominal, nominal + 60000, [nominal])), (0, [0]))
        self.assertEqual(self.job_ids(), [])
        self.assertEqual(self.schedules.outcomes("s"), "c")

    def test_a_full_queue_takes_none(self):
        for limit, value in (("len_max", 2), ("bytes_max", 60)):
            self.client.flushall()
            self.client.hset(self.queue.key("meta"), limit, value)
            version, nominal = self.put(late=5000)
            self.assertEqual(self.schedules.fire(self.schedules.item(
                "s", version, nominal, None,
                [nominal + n for n in range(3)])), (1, [2]))
            self.assertEqual(self.schedules.outcomes("s"), "eec")

    def test_a_job_with_options_goes_through_the_outbox(self):
        record = "15+ 0 noop ur,0,key\nnull"
        version, nominal = self.put(record=record, overlap="skip")
        self.assertEqual(self.schedules.fire(self.schedules.item(
            "s", version, nominal, nominal + 1, [nominal])), (2, [1]))
        self.assertEqual(self.job_ids(), [])
        (_, message), = self.client.xrange(self.queue.key("outbox"))
        local = self.schedules.fired("s").last
        self.assertEqual((message["kind"], message["job"]),
                         ("enqueue", f"q.{local}"))
        self.assertRegex(message["record"], r"^15\+ \d{13} noop ur,0,key")
        self.assertEqual(self.wake(), 1)
        # On its way, it counts as under way.
        self.assertEqual(self.schedules.fire(self.schedules.item(
            "s", version, nominal + 1, None, [nominal + 1])), (0, [0]))
        self.assertEqual(self.schedules.outcomes("s"), "es")
        self.client.delete(self.queue.key("outbox"))

    def test_a_unique_key_that_is_held_skips(self):
        version, nominal = self.put(record="15+ 0 noop ur,0,key\nnull")
        self.queue.enqueue(job("holder", options=" ur,0,key", flag="+"))
        self.assertEqual(self.schedules.fire(self.schedules.item(
            "s", version, nominal, nominal + 1, [nominal])), (0, [0]))
        self.queue.cancel("holder")
        # Only the first of one call gets it.
        self.assertEqual(self.schedules.fire(self.schedules.item(
            "s", version, nominal + 1, None, [nominal + 1, nominal + 2])),
            (2, [1]))
        self.assertEqual(self.schedules.outcomes("s"), "ses")

    def test_a_lost_history_is_begun_anew(self):
        version, nominal = self.put()
        self.client.delete(self.queue.key("fired"))
        (name, due, _), = self.schedules.due().schedules
        self.assertEqual((name, due), ("s", str(nominal)))
        self.assertEqual(self.schedules.fire(self.schedules.item(
            "s", version, due, None, [nominal])), (1, [1]))

    def test_a_wrong_type_changes_nothing(self):
        for key in FIRE_KEYS:
            self.client.flushall()
            version, nominal = self.put()
            item = self.schedules.item("s", version, nominal, None, [nominal])
            if key in ("schedules", "fires", "fired"):
                continue  # of schedules alone
            self.assert_wrong_type_changes_nothing(
                key, lambda item=item: self.schedules.fire(item))


class TestOverlap(SchedulesCase):
    def fire(self, version, nominal, *steps, after=1000):
        last = steps[-1] if steps else nominal
        return self.schedules.fire(self.schedules.item(
            "s", version, nominal, last + after, list(steps)))[1][0]

    def test_skip_while_it_waits_and_runs(self):
        version, t = self.put(late=10000, overlap="skip")
        self.assertEqual(self.fire(version, t, t), 1)
        self.assertEqual(self.fire(version, t + 1000, t + 1000), 0)
        claimed, = self.queue.work(claim=1).claimed
        self.assertEqual(self.fire(version, t + 2000, t + 2000), 0)
        self.queue.work(finishes=[done(claimed)])
        self.assertEqual(self.fire(version, t + 3000, t + 3000), 1)
        self.assertEqual(self.schedules.outcomes("s"), "esse")

    def test_allow_fires_on(self):
        version, t = self.put(late=10000, overlap="allow")
        self.assertEqual(self.fire(version, t, t, t + 1000, t + 2000), 3)

    def test_buffer_keeps_one(self):
        version, t = self.put(late=10000, overlap="buffer")
        self.assertEqual(self.fire(version, t, t), 1)
        self.assertEqual(self.fire(version, t + 1000, t + 1000), 0)
        self.assertEqual(self.fire(version, t + 2000, t + 2000,
                                   after=1000000), 0)
        seen = self.schedules.fired("s")
        self.assertEqual((seen.buffered, self.schedules.outcomes("s")),
                         (t + 1000, "es"))
        # Somebody looks again soon, long before the next fire.
        soon = self.schedules.score("s") - self.queue.now()
        self.assertLess(soon, 2000)
        claimed, = self.queue.work(claim=1).claimed
        self.queue.work(finishes=[done(claimed)])
        self.until(self.schedules.score("s"))
        self.assertEqual(self.schedules.fire(self.schedules.item(
            "s", version, t + 1002000, t + 1002000))[1], [1])
        seen = self.schedules.fired("s")
        self.assertEqual(seen.buffered, 0)
        self.assertEqual(self.schedules.outcomes("s"), "ese")
        self.assertIn(str(t + 1000), seen.last)
        self.assertEqual(self.schedules.score("s"), t + 1002000)

    def test_buffer_outlives_the_last_time(self):
        version, t = self.put(late=10000, overlap="buffer")
        self.fire(version, t, t)
        self.schedules.fire(self.schedules.item("s", version, t + 1000, None,
                                                [t + 1000]))
        self.assertIsNotNone(self.schedules.score("s"))
        claimed, = self.queue.work(claim=1).claimed
        self.queue.work(finishes=[done(claimed)])
        self.until(self.schedules.score("s"))
        (_, nominal, _), = self.schedules.due().schedules
        self.assertEqual(nominal, "-")
        self.assertEqual(self.schedules.fire(self.schedules.item(
            "s", version, "-", None))[1], [1])
        self.assertIsNone(self.schedules.score("s"))

    def test_pausing_drops_what_waits(self):
        version, t = self.put(late=10000, overlap="buffer")
        self.fire(version, t, t)
        self.fire(version, t + 1000, t + 1000)
        version = self.schedules.put("s", None, version, overlap="buffer")
        self.assertEqual(self.schedules.fired("s").buffered, 0)
        self.assertIsNone(self.schedules.score("s"))

    def test_a_quarantined_job_does_not_hold_it_up(self):
        version, t = self.put(late=10000, overlap="skip")
        self.fire(version, t, t)
        claimed, = self.queue.work(claim=1).claimed
        self.queue.work(crashes=1, finishes=[
            ["c", claimed.entry, claimed.token, 60000, '"boom"']])
        self.assertEqual(self.fire(version, t + 1000, t + 1000), 1)


class TestPut(SchedulesCase):
    def test_compare_and_set(self):
        at = self.queue.now() + 1000
        version = self.schedules.put("s", at)
        before = self.queue.snapshot()
        self.assertEqual(self.schedules.put("s", at), 0)
        self.assertEqual(self.schedules.put("s", at, version - 1), 0)
        self.assertEqual(self.schedules.delete("s", version - 1), -1)
        self.assertEqual(self.queue.snapshot(), before)
        self.assertGreater(self.schedules.put("s", at, version), version)

    def test_history_stays(self):
        version, t = self.put()
        self.schedules.fire(self.schedules.item("s", version, t, None, [t]))
        self.schedules.put("s", t + 5000, version)
        self.assertEqual(self.schedules.outcomes("s"), "e")

    def test_delete_leaves_nothing_but_jobs(self):
        version, t = self.put()
        self.schedules.fire(self.schedules.item("s", version, t, t + 9000,
                                                [t]))
        self.assertEqual(self.schedules.delete("s", version), 1)
        self.assertEqual(self.schedules.delete("s"), 0)
        for key in ("schedules", "fires", "fired"):
            self.assertFalse(self.client.exists(self.queue.key(key)), key)
        self.assertEqual(len(self.job_ids()), 1)

    def test_an_earlier_fire_is_published(self):
        listener = self.client.pubsub(ignore_subscribe_messages=True)
        self.addCleanup(listener.close)
        listener.subscribe(CHANNEL)
        listener.get_message(timeout=1)
        now = self.queue.now()

        def heard():
            message = listener.get_message(timeout=0.3)
            return message and message["data"]

        self.schedules.put("a", now + 50000)
        self.assertEqual(heard(), "q")
        self.schedules.put("b", now + 60000)
        self.assertIsNone(heard())
        self.schedules.put("c", now + 40000)
        self.assertEqual(heard(), "q")

    def test_wrong_types(self):
        for key in ("schedules", "fires", "fired"):
            self.client.flushall()
            version, t = self.put()
            self.assert_wrong_type_changes_nothing(
                key, lambda v=version, t=t: self.schedules.put("s", t, v))


class TestDue(SchedulesCase):
    def test_says_what_and_when_next(self):
        now = self.queue.now()
        self.assertEqual(self.schedules.due()[1:], (-1, []))
        self.schedules.put("late", now - 2000)
        self.schedules.put("later", now - 1000, at=now - 500)
        self.schedules.put("next", now + 60000)
        due = self.schedules.due()
        self.assertEqual([(name, int(nominal)) for name, nominal, _ in
                          due.schedules],
                         [("late", now - 2000), ("later", now - 1000)])
        self.assertAlmostEqual(due.next, now + 60000 - due.now)
        self.assertEqual(self.schedules.due(1).next, 0)

    def test_bounds_its_answer(self):
        big = "15- 0 noop\n" + '"' + "x" * 400000 + '"'
        for n in range(6):
            self.put(f"s{n}", record=big)
        due = self.schedules.due()
        self.assertEqual((len(due.schedules), due.next), (3, 0))


class TestRetries(SchedulesCase):
    """What a schedule leaves open is its queue's to say when it fires."""

    def fired_record(self, record, **meta):
        if meta:
            self.client.hset(self.queue.key("meta"), mapping={
                f"retry_{name}": value for name, value in meta.items()})
        version, nominal = self.put(record=record)
        self.schedules.fire(self.schedules.item("s", version, nominal, None,
                                                [nominal]))
        record = self.queue.get(self.schedules.fired("s").last).record
        self.client.flushall()
        return re.sub(r" \d{13} ", " 0 ", record)

    def test_filled_in(self):
        every = {"max": 9, "backoff": "f", "base": 50, "cap": 70, "jitter": 5}
        for record, meta, expected in (
                ("15- 0 noop qmkbcj\n1", {}, "15- 0 noop\n1"),
                ("15- 0 noop t5 r2 gx\n1", every, "15- 0 noop t5 r2 gx\n1"),
                ("15- 0 noop qmkbcj\n1", every,
                 "15- 0 noop r9 bf,50,70,5\n1"),
                # A task's name is no option.
                ("15- 0 qmkbcj r2 be,10,20,30\n1", every,
                 "15- 0 qmkbcj r2 be,10,20,30\n1"),
                ("15- 0 quick qm\n1", every, "15- 0 quick r9\n1"),
                ("15- 0 noop t5 k6 r2 be,10,20,30 qkj gx\n1 q r4", every,
                 "15- 0 noop t5 k6 r2 bf,10,20,5 gx\n1 q r4"),
                ("15- 0 noop r2 qm gx\n1", {"max": 0},
                 "15- 0 noop r0 gx\n1"),
                # Base and cap fit each other: what was open gives way.
                ("15- 0 noop qmkbcj\n1", {"base": 7200000},
                 "15- 0 noop be,7200000,7200000,20\n1"),
                ("15- 0 noop be,2000,3000,20 qmkbj\n1", {"base": 9000},
                 "15- 0 noop be,3000,3000,20\n1")):
            self.assertEqual(self.fired_record(record, **meta), expected)

    def test_triggered(self):
        self.client.hset(self.queue.key("meta"), "retry_max", 9)
        self.put(record="15- 0 noop qmkbcj\nnull")
        self.schedules.trigger("s", "one")
        self.assertRegex(self.queue.get("one").record, r" noop r9\nnull$")


class TestTrigger(SchedulesCase):
    def test_now_whatever_the_times_say(self):
        version = self.schedules.put("s", None, overlap="skip")
        self.assertEqual(self.schedules.trigger("s", "one"), [1, 1])
        self.assertEqual(self.schedules.trigger("s", "two"), [0, 1])
        self.assertEqual(self.schedules.trigger("s", "two"), [0, 2])
        self.assertEqual(self.job_ids(), ["one", "two"])
        self.assertEqual(self.schedules.outcomes("s"), "tt")
        self.assertEqual(self.schedules.fired("s").last, "two")
        self.assertGreater(version, 0)

    def test_refusals(self):
        self.assertEqual(self.schedules.trigger("s", "one"), [0, 0])
        self.put()
        self.client.hset(self.queue.key("meta"), "closed", 1)
        self.assertEqual(self.schedules.trigger("s", "one"), [0, -1])
        self.assertEqual(self.job_ids(), [])

    def test_a_unique_key_that_is_held(self):
        self.put(record="15+ 0 noop ur,0,U\nnull")
        self.queue.enqueue(job("holder", options=" ur,0,U", flag="+"))
        self.assertEqual(self.schedules.trigger("s", "one"), [0, "=holder"])
        self.assertEqual(self.schedules.outcomes("s"), "")
        self.assertFalse(self.client.exists(self.queue.key("outbox")))
        self.queue.cancel("holder")
        self.assertEqual(self.schedules.trigger("s", "one"), [2, 1])

    def test_a_unique_key_that_is_lost_on_the_way(self):
        """Between the trigger and the delivery; asked again, it is said."""
        self.put(record="15+ 0 noop ur,0,U\nnull")
        self.assertEqual(self.schedules.trigger("s", "one"), [2, 1])
        self.queue.enqueue(job("other", options=" ur,0,U", flag="+"))
        self.client.delete(self.queue.key("outbox"))  # it was refused
        self.assertEqual(self.schedules.trigger("s", "one"), [0, "=other"])


if __name__ == "__main__":
    unittest.main()
