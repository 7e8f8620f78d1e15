"""pit, what an operator does: lists, steps for one job and many, queues."""

import json
import subprocess
import unittest

from pitharness import program_path
from pitscripts import Queue, check, done, ended, job
from test_cli import CliTestCase


class ControlCase(CliTestCase):
    def setUp(self):
        super().setUp()
        self.latin = self.server.client(encoding="latin-1")
        self.addCleanup(self.latin.close)
        self.queue = Queue(self.latin)

    def dead(self, *ids):
        self.queue.enqueue(*[job(one) for one in ids])
        self.queue.work(finishes=[ended("f", one, -1) for one in
                                  self.queue.work(claim=len(ids)).claimed])


class Lists(ControlCase):
    def test_jobs(self):
        self.queue.enqueue(job("a", options=" gx"), job("b", 9))
        lines = self.pit("jobs", "q").stdout.splitlines()
        self.assertEqual(lines[0].split()[:3], ["JOB", "TASK", "STATE"])
        self.assertEqual([line.split()[0] for line in lines[1:]],
                         ["q.b", "q.a"])
        page = self.pit_json("jobs", "q", "--limit", 1)
        self.assertEqual([one["id"] for one in page["jobs"]], ["q.b"])
        page = self.pit_json("jobs", "q", "--cursor", page["next_cursor"])
        self.assertEqual([one["id"] for one in page["jobs"]], ["q.a"])
        self.assertIsNone(page["next_cursor"])
        self.assertEqual(self.pit_json("jobs", "q", "--state", "dead"),
                         {"jobs": [], "next_cursor": None})

    def test_logs(self):
        self.queue.enqueue(job("a"))
        one, = self.queue.work(claim=1).claimed
        self.queue.log(one, "hello", "bell\x07")
        lines = self.pit("logs", "q.a").stdout.splitlines()
        self.assertRegex(lines[0], r"^\d{4}-.*Z 1  hello$")
        self.assertTrue(lines[1].endswith("bell?"))
        parsed = [json.loads(line) for line in
                  self.pit("logs", "q.a", "--json").stdout.splitlines()]
        self.assertEqual(parsed[1]["text"], "bell\x07")
        self.assert_refused(["logs", "q.never"], 1, "no job")

    def test_logs_are_followed_to_the_end(self):
        self.queue.enqueue(job("a"))
        one, = self.queue.work(claim=1).claimed
        self.queue.log(one, "first")
        with subprocess.Popen(
                [program_path("pit"), "logs", "q.a", "--follow", "--redis",
                 self.server.url], stdout=subprocess.PIPE, text=True) as pit:
            self.assertIn("first", pit.stdout.readline())
            self.queue.log(one, "second")
            self.assertIn("second", pit.stdout.readline())
            self.queue.log(one, "last")
            self.queue.work(finishes=[done(one)])
            self.assertIn("last", pit.stdout.read())
            self.assertEqual(pit.wait(), 0)


class Steps(ControlCase):
    def test_named_jobs(self):
        self.queue.enqueue(job("a"), job("b"), job("s", where="+60000"))
        self.assertEqual(self.pit("cancel", "q.a", "q.b").stdout, "")
        self.assertEqual(self.queue.get("a").state[0], "C")
        self.pit("retry", "q.a")
        self.pit("promote", "q.s")
        self.pit("delete", "q.b")
        self.pit("delete", "q.b")
        self.assertEqual(check(self.queue), {"a": "ready", "s": "ready"})

    def test_one_refusal_does_not_stop_the_others(self):
        self.dead("a", "b")
        finished = self.pit("retry", "q.a", "q.never", "q.b", code=1)
        self.assertIn("q.never", finished.stderr)
        self.assertEqual(check(self.queue), {"a": "ready", "b": "ready"})
        finished = self.pit("release", "q.a", code=1)
        self.assertIn("is ready", finished.stderr)

    def test_running_is_asked(self):
        self.queue.enqueue(job("a"))
        self.queue.work(claim=1)
        self.assertIn("asked to stop", self.pit("cancel", "q.a").stdout)
        self.assertEqual(self.pit_json("cancel", "q.a"),
                         {"id": "q.a", "done": True, "asked": False,
                          "why": None})

    def test_release(self):
        self.queue.enqueue(job("a"))
        one, = self.queue.work(claim=1).claimed
        self.queue.work(finishes=[ended("c", one)], crashes=1)
        self.pit("release", "q.a")
        self.assertEqual(check(self.queue), {"a": "ready"})

    def test_edit(self):
        self.queue.enqueue(job("a"), job("b"))
        self.assertEqual(self.pit("edit", "q.a", "--run-at",
                                  "2100-01-01T00:00:00Z").stdout, "")
        shown = self.pit_json("job", "q.a")
        self.assertEqual((shown["state"], shown["run_at"], shown["priority"]),
                         ("scheduled", "2100-01-01T00:00:00.000Z", 5))
        self.pit("edit", "q.a", "--priority", 9)
        shown = self.pit_json("job", "q.a")
        self.assertEqual((shown["run_at"], shown["priority"]),
                         ("2100-01-01T00:00:00.000Z", 9))
        self.pit("edit", "q.a", "--delay", 0)
        shown = self.pit_json("job", "q.a")
        self.assertEqual((shown["state"], shown["priority"]), ("ready", 9))

        before = self.queue.now()
        self.assertEqual(
            self.pit_json("edit", "q.b", "--delay", "1h", "--priority", 0),
            {"id": "q.b", "done": True, "asked": False, "why": None})
        due = self.client.zscore(self.queue.key("due"), "0b")
        self.assertGreaterEqual(due, before + 3600000)
        self.assertLessEqual(due, self.queue.now() + 3600000)
        self.assertEqual(check(self.queue), {"a": "ready", "b": "due"})

    def test_edit_refused(self):
        """Each has its line; those that wait are changed all the same."""
        self.queue.enqueue(job("a"))
        self.queue.work(claim=1)
        self.queue.enqueue(job("b"))
        finished = self.pit("edit", "q.a", "q.never", "q.b", "--priority", 1,
                            code=1)
        self.assertEqual(len(finished.stderr.splitlines()), 2)
        self.assertIn("q.a: the job is running: only one that waits",
                      finished.stderr)
        self.assertIn("q.never", finished.stderr)
        self.assertEqual(self.pit_json("job", "q.b")["priority"], 1)
        told = self.pit_json("edit", "q.a", "--delay", "5s", code=1)
        self.assertFalse(told["done"])
        self.assertIn("only one that waits", told["why"])

    def test_filter(self):
        self.dead("a", "b", "c")
        self.assertEqual(self.pit_json("retry", "--queue", "q", "--state",
                                       "dead", "--dry-run"),
                         {"dry_run": True, "seen": 3, "matched": 3, "done": 0,
                          "refused": 0})
        self.assertIn("2 of 2 jobs done",
                      self.pit("retry", "--queue", "q", "--state", "dead",
                               "--limit", "2").stdout)
        self.assertIn("1 of 1", self.pit("delete", "--queue", "q", "--state",
                                         "dead,ended").stdout)
        self.assertEqual(len(check(self.queue)), 2)

    def test_bad_use(self):
        for words, says in (
                (["cancel"], "name jobs"), (["promote"], "name jobs"),
                (["cancel", "nodot"], "no dot"),
                (["cancel", "q.a", "--queue", "q"], "name jobs"),
                (["cancel", "--queue", "q"], "--state"),
                (["cancel", "--queue", "a b", "--state", "ready"], "--queue"),
                (["cancel", "--queue", "q", "--state", "odd"], "odd"),
                (["delete", "--queue", "q", "--state", "running"], "running"),
                (["retry", "--queue", "q", "--state", "dead", "--rate", "x"],
                 "--rate"),
                (["retry", "q.a", "--dry-run"], "--dry-run"),
                (["jobs"], "queue"), (["jobs", "q", "--state", "odd"], "odd"),
                (["edit", "--priority", "1"], "name jobs"),
                (["edit", "nodot", "--priority", "1"], "no dot"),
                (["edit", "q.a"], "nothing to change"),
                (["edit", "q.a", "--priority", "-1"], "between 0 and 9"),
                (["edit", "q.a", "--run-at", "soon"], "--run-at"),
                (["edit", "q.a", "--delay", "soon"], "--delay"),
                (["edit", "q.a", "--delay", "3651d"], "--delay"),
                (["edit", "q.a", "--delay", "1s", "--run-at",
                  "2100-01-01T00:00:00Z"], "one of --run-at and --delay"),
                (["logs"], "id"), (["pause"], "queue"),
                (["scale"], "queue"), (["scale", "a b"], "queue"),
                (["scale", "q", "--target", "100ms"], "--target"),
                (["scale", "q", "--slots", "10001"], "--slots"),
                (["purge", "q"], "--confirm q"),
                (["purge", "q", "--confirm", "q", "--state", "running"],
                 "running")):
            with self.subTest(words=words):
                self.assert_refused(words, 2, says)


class Queues(ControlCase):
    def test_pause_and_resume(self):
        self.queue.enqueue(job("a"))
        self.assertIn("dispatch paused",
                      self.pit("pause", "q", "--note", "deploy").stdout)
        self.assertEqual(self.queue.work(claim=1).claimed, [])
        self.assertEqual(
            self.pit_json("pause", "q", "--intake"),
            {"name": "q", "paused": True, "closed": True, "note": "deploy"})
        self.assertIn("intake open", self.pit("resume", "q").stdout)
        self.assertEqual(self.queue.settings(), {})
        self.assertEqual(len(self.queue.work(claim=1).claimed), 1)

    def test_limits_of_one_queue(self):
        self.queue.enqueue(job("a"))
        told = self.pit_json("queue", "q", "--concurrency", 5, "--rate",
                             "30/m", "--length", 100, "--dead-for", "7d",
                             "--quarantined", 7, "--quarantined-for", "2h",
                             "--note", "shared")
        self.assertEqual(told["limits"], {"length": 100, "bytes": None,
                                          "concurrency": 5, "rate": "30/m"})
        self.assertEqual(told["retention"]["dead_for_s"], 604800)
        self.assertEqual((told["retention"]["quarantined"],
                          told["retention"]["quarantined_for_s"]), (7, 7200))
        self.assertEqual((told["note"], told["counts"]["ready"]),
                         ("shared", 1))
        self.pit("queue", "q", "--rate", "none", "--length", "none",
                 "--note", "none", "--dead-for", "none", "--quarantined",
                 "none", "--quarantined-for", "none")
        self.assertEqual(self.queue.settings(), {"concurrency": "5"})
        text = self.pit("queue", "q").stdout
        self.assertRegex(text, r"(?m)^concurrency +5$")
        self.assertRegex(text, r"(?m)^rate +none$")
        for words, says in ((["--rate", "fast"], "--rate"),
                            (["--length", "-1"], "--length"),
                            (["--concurrency", "999999999"], "--concurrency"),
                            (["--dead-for", "1ms"], "--dead-for")):
            self.assert_refused(["queue", "q", *words], 2, says)

    def test_a_queue_that_is_not_there(self):
        """As GET /v1/queues/{queue}: a typo is no empty queue."""
        self.assert_refused(["queue", "quue"], 1, '"quue"')
        self.pit("queue", "later", "--concurrency", "5")
        self.assertRegex(self.pit("queue", "later").stdout,
                         r"(?m)^concurrency +5$")

    def test_a_state_that_is_none_names_those_there_are(self):
        self.assert_refused(["jobs", "q", "--state", "dad"], 2, "quarantined")
        self.assert_refused(["cancel", "--queue", "q", "--state", "dad"], 2,
                            "quarantined")

    def test_scale(self):
        """600 came and 1,200 ended in a minute; 100 wait, 10 run."""
        lines = self.pit("scale", "q").stdout.splitlines()
        self.assertEqual(lines[1].split(), ["in,", "out,", "failed", "not",
                                            "known", "yet"])
        self.assertEqual(lines[-1].split(), ["wanted", "workers", "0"])
        self.queue.enqueue(*[job(f"j{n:03d}") for n in range(110)])
        self.queue.work(claim=10)
        self.client.delete(self.queue.key("samples"))
        self.client.hset(self.queue.key("stats"),
                         mapping={"enqueued": 1600, "succeeded": 2200})
        self.client.lpush(self.queue.key("samples"),
                          f"{self.queue.now() - 60000} 1000 1000 0 0 0 0 0 0 0")
        told = self.pit_json("scale", "q", "--target", "10s", "--slots", 4)
        self.assertEqual((told["queue"], told["waiting"], told["running"],
                          told["workers"]), ("q", 100, 10, 0))
        self.assertAlmostEqual(told["rates"]["enqueued_per_s"], 10, 0)
        self.assertAlmostEqual(told["drain_s"], 10, 0)
        # 0.5 s times (10/s and 100 within 10 s): 10 slots, 3 workers of 4.
        self.assertIn(told["wanted_slots"], (10, 11))
        self.assertEqual(told["wanted_workers"], 3)
        text = self.pit("scale", "q", "--target", "10s", "--slots", 4).stdout
        for line in (r"queue +q", r"waiting +100", r"running +10",
                     r"in, out, failed +(10\.0|9\.\d)/s, (20\.0|19\.\d)/s, "
                     r"0\.0/s over 1m( \ds)?", r"drained in +1\d(\.\d)?s",
                     r"an attempt takes +5\d\dms", r"wanted workers +3"):
            self.assertRegex(text, f"(?m)^{line}$")

    def test_scale_of_what_never_drains(self):
        self.queue.enqueue(job("a"))
        self.assertRegex(self.pit("scale", "q").stdout,
                         r"(?m)^drained in +not known yet$")
        self.client.delete(self.queue.key("samples"))
        self.client.lpush(self.queue.key("samples"),
                          f"{self.queue.now() - 60000} 0 0 0 0 0 0 0 0 0")
        self.assertRegex(self.pit("scale", "q").stdout,
                         r"(?m)^drained in +never at these rates$")
        self.assertIsNone(self.pit_json("scale", "q")["drain_s"])

    def test_purge(self):
        self.dead("d")
        self.queue.enqueue(job("a"), job("b", where="+60000"))
        self.assertEqual(self.pit_json("purge", "q", "--confirm", "q"),
                         {"removed": 2})
        self.assertIn("1 jobs", self.pit("purge", "q", "--confirm", "q",
                                         "--state", "dead").stdout)
        self.assertEqual(check(self.queue), {})


del CliTestCase

if __name__ == "__main__":
    unittest.main()
