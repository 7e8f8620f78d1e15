"""What a queue takes in, and what it writes down beside: len_max, bytes_max and
closed, samples and events."""

import unittest

import redis as redislib

from pitscripts import ScriptCase, done, ended, job


class Intake(ScriptCase):
    def set(self, **settings):
        self.client.hset(self.queue.key("meta"), mapping=settings)

    def refused(self, word, *jobs, **kwargs):
        before = self.queue.snapshot()
        with self.assertRaisesRegex(redislib.ResponseError, f"^{word} .*queue q"):
            self.queue.enqueue(*jobs, **kwargs)
        self.assertEqual(self.queue.snapshot(), before)

    def test_len_max_counts_what_waits(self):
        self.set(len_max=3)
        self.queue.enqueue(job("a"), job("b", where="+60000"), job("c"))
        self.refused("FULL", job("d"))
        claimed, = self.queue.work(claim=1).claimed
        self.assertEqual(self.queue.enqueue(job("d")), [0])
        self.refused("FULL", job("e"))
        # It waits for its retry: one more waits than may, nothing is lost.
        self.queue.work(finishes=[ended("f", claimed, 60000)])
        self.refused("FULL", job("e"))

    def test_what_fits_is_taken(self):
        self.set(len_max=2)
        self.assertEqual(self.queue.enqueue(job("a"), job("b"), job("c")),
                         [1, 1, 1, -1])
        self.assertEqual(sorted(self.places()), ["a", "b"])

    def test_a_repeat_is_found_in_a_full_queue(self):
        self.set(len_max=1)
        self.queue.enqueue(job("a"))
        self.assertEqual(self.queue.enqueue(job("a"), job("b"), mode="named"),
                         [0, job("a").record, -1])

    def test_all_or_nothing(self):
        self.set(len_max=2)
        self.refused("FULL", job("a"), job("b"), job("c"), mode="all")
        self.assertEqual(self.queue.enqueue(job("a"), job("b"), mode="all"),
                         [1, 1, 1])

    def test_replacing_needs_no_room(self):
        self.set(len_max=1)
        options = {"options": " ur,0,k", "flag": "+", "conflict": "p"}
        self.queue.enqueue(job("a", **options))
        self.assertEqual(self.queue.enqueue(job("b", **options)), [0, "~a"])
        self.refused("FULL", job("c"))

    def test_bytes_max(self):
        size = len(job("a").record)
        self.set(bytes_max=2 * size)
        self.queue.enqueue(job("a"), job("b"))
        self.refused("FULL", job("c"))
        self.assertEqual(self.queue.stats()["bytes"], 2 * size)
        work = self.queue.work(claim=1)
        self.assertEqual(self.queue.stats()["bytes"], size)
        # A second attempt does not count again.
        self.queue.work(claim=1, finishes=[ended("c", work.claimed[0])])
        self.assertEqual(self.queue.stats()["bytes"], size)
        self.queue.work(claim=1)
        self.assertNotIn("bytes", self.queue.stats())

    def test_bytes_of_one_that_is_replaced(self):
        jobs = [job(local, options=" ur,0,k k0", flag="+", conflict="p")
                for local in "abc"]
        self.set(bytes_max=10000)
        for one in jobs:
            self.queue.enqueue(one)
        self.assertEqual(self.queue.stats()["bytes"], len(jobs[0].record))
        # One that a parent's failure cancels waits no more, either.
        child = job("d", options=" n1,s", flag="+")
        deliver = ("deliver", ["jobs"], ["d", "q.p", "D", ""])
        self.queue.enqueue(child)
        self.assertEqual(self.queue.stats()["bytes"],
                         len(jobs[0].record) + len(child.record))
        self.assertEqual(self.queue._call(*deliver), 1)
        self.queue._call("deliver", ["jobs"], ["e", "q.p", "D", ""])
        self.queue.enqueue(job("e", options=" n1,s", flag="+"))
        self.assertEqual(self.queue.stats()["bytes"], len(jobs[0].record))

    def test_closed(self):
        self.set(closed="1")
        self.refused("CLOSED", job("a"))
        self.refused("CLOSED", job("a"), mode="all")
        self.set(closed="0")
        self.queue.enqueue(job("a"))
        self.set(closed="1")
        self.assertEqual(self.queue.enqueue(job("a"), job("b"), mode="named"),
                         [0, job("a").record, -2])
        self.assertEqual(len(self.queue.work(claim=1).claimed), 1)


class Notes(ScriptCase):
    def events(self):
        found = [line for _, fields in
                 self.client.xrange(self.queue.key("events"))
                 for line in fields["e"].splitlines()]
        self.client.delete(self.queue.key("events"))
        return found

    def test_events_only_while_somebody_listens(self):
        claimed, = self.claim(job("a"))
        self.queue.work(finishes=[done(claimed)])
        self.assertEqual(self.events(), [])

    def test_events_of_each_step(self):
        self.client.hset(self.queue.key("meta"), "watched",
                         self.queue.now() + 60000)
        self.queue.enqueue(job("a"), job("b", where="+60000"),
                           job("c", options=" n1,s", flag="+"))
        self.assertEqual(sorted(self.events()), ["a N 0", "b N+ 0", "c B 0"])
        claimed, = self.queue.work(claim=1).claimed
        self.assertEqual(self.events(), ["a R 1"])
        self.queue.work(finishes=[ended("f", claimed, 0)])
        self.assertEqual(self.events(), ["a W 1"])
        claimed, = self.queue.work(claim=1).claimed
        self.queue.work(finishes=[done(claimed)])
        self.assertEqual(self.events(), ["a R 2", "a S 2"])
        # One entry a call.
        self.queue.enqueue(job("x"), job("y"))
        self.assertEqual(self.client.xlen(self.queue.key("events")), 1)
        self.client.hset(self.queue.key("meta"), "watched", "1")
        self.events()
        self.queue.work(claim=2)
        self.assertEqual(self.events(), [])

    def test_where_watching_begins_anew_lies_a_mark(self):
        def watch():
            return self.queue._call("watch", ["meta", "events"], [60000])

        def entries():
            return self.client.xrange(self.queue.key("events"))

        first = watch()
        self.assertEqual(entries(), [(first, {"w": ""})])
        self.queue.enqueue(job("a"))
        self.assertEqual(watch(), entries()[-1][0])  # it goes on
        self.assertEqual(len(entries()), 2)
        self.client.hset(self.queue.key("meta"), "watched",
                         self.queue.now() - 1)
        self.queue.enqueue(job("b"))  # nobody hears of it
        again = watch()
        self.assertEqual([fields for _, fields in entries()],
                         [{"w": ""}, {"e": "a N 0\n"}, {"w": ""}])
        self.assertEqual(again, entries()[-1][0])

    def test_samples(self):
        key = self.queue.key("samples")
        claimed = self.claim(job("a"), job("b"))
        first = self.client.lrange(key, 0, -1)
        self.assertEqual([line.split(" ")[1] for line in first], ["2"])
        self.queue.work(finishes=[done(claimed[0])])
        self.assertEqual(self.client.lrange(key, 0, -1), first)  # too early
        self.client.lset(key, 0, "1 0 0 0 0 0 0 0 0 0")
        work = self.queue.work(finishes=[ended("f", claimed[1], -1)])
        self.assertEqual(self.client.lrange(key, 0, -1),
                         [f"{work.now} 2 1 1 1 0 0 0 0 0",
                          "1 0 0 0 0 0 0 0 0 0"])
        self.assertEqual(self.queue.stats()["kept"], 1)


if __name__ == "__main__":
    unittest.main()
