"""pit enqueue --batch: a job a line, a result a line."""

import json
import os
import subprocess
import unittest

from pitharness import PitTestCase, program_path
from pitwaitaof import WaitAof

NOOP = {"queue": "default", "timeout_ms": 60000, "retries": 3,
        "backoff_ms": 2000, "backoff_cap_ms": 3600000, "keep_ms": 3600000,
        "priority": 5, "about": "does nothing"}
GOOD = '{"task": "noop"}'


class Batch(PitTestCase):
    def setUp(self):
        super().setUp()
        self.begin(aof="no")

    def begin(self, **options):
        self.store = self.redis(**options)
        with self.store.client() as client:
            client.hset("pit:tasks", "noop", json.dumps(NOOP))

    def write(self, text):
        path = os.path.join(self.dir, "jobs.ndjson")
        if isinstance(text, list):
            text = "\n".join(text)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    def batch(self, text, *options, code=0, **kwargs):
        return self.cli(self.store, "enqueue", "--batch", self.write(text),
                        *options, code=code, **kwargs)

    def job(self, job):
        return json.loads(self.cli(self.store, "job", job, "--json").stdout)

    def ready(self):
        queues = json.loads(self.cli(self.store, "queues", "--json").stdout)
        return sum(queue["counts"]["ready"] for queue in queues["queues"])

    def test_ids_in_order(self):
        lines = [json.dumps({"task": "noop", "args": n, "queue": f"q{n % 2}"})
                 for n in range(10)]
        done = self.batch("\r\n".join(lines) + "\n")
        ids = done.stdout.splitlines()
        self.assertEqual([self.job(job)["args"] for job in ids],
                         list(range(10)))
        self.assertEqual([job.split(".")[0] for job in ids], ["q0", "q1"] * 5)
        self.assertEqual(done.stderr, "")

    def test_refusals_stand_where_their_lines_do(self):
        text = "\n".join([
            GOOD, "", '{"task": "none"}', "{", GOOD,
            '{"task": "noop", "retry": {"max": -1}}',
            '{"task": "noop", "durability": "fsync"}',
            '{"task": "noop", "after": ["default.none"]}',
            '{"task": "noop", "unique": {"key": "k"}}',
            '{"task": "noop", "unique": {"key": "k"}}',
            '{"task": "noop", "unique": {"key": "k",'
            ' "on_conflict": "return"}}'])
        done = self.batch(text, code=1)
        got = done.stdout.splitlines()
        for line, start in zip(got, (
                "default.", "line 3: /task: ", "line 4: ", "default.",
                "line 6: /retry/max: ", "line 7: /durability: ",
                "line 8: /after/0: ", "default.", "line 10: /unique/key: ",
                "default."), strict=True):
            self.assertTrue(line.startswith(start), (line, start))
        self.assertEqual(got[9], got[7])
        self.assertIn(got[7], got[8])
        self.assertEqual(done.stderr,
                         "pit enqueue: 6 of 10 jobs were refused\n")
        self.assertEqual(self.ready(), 3)

    def test_json_is_what_http_answers(self):
        done = self.batch(GOOD + '\n{"task": "none"}\n', "--json", code=1)
        good, bad = (json.loads(line) for line in done.stdout.splitlines())
        self.assertEqual((good["line"], good["status"]), (1, 202))
        self.assertEqual(self.job(good["id"])["state"], "ready")
        self.assertEqual((bad["line"], bad["status"]), (2, 422))
        self.assertEqual(bad["problem"]["pointer"], "/task")

    def test_a_job_behind_another(self):
        first = self.batch(GOOD).stdout.strip()
        done = self.batch(json.dumps({"task": "noop", "after": [first]}))
        self.assertEqual(self.job(done.stdout.strip())["state"], "blocked")

    def test_more_than_a_window_and_a_read(self):
        done = self.batch((GOOD + "\n") * 20000)
        self.assertEqual(len(set(done.stdout.splitlines())), 20000)
        self.assertEqual(self.ready(), 20000)

    def test_long_lines(self):
        long = '{"task": "noop", "args": "' + "x" * 1000000 + '"}'
        longer = '{"task": "noop", "args": "' + "x" * 3000000 + '"}'
        done = self.batch("\n".join([GOOD, longer, long, longer]), code=1)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 4)
        self.assertIn("line 2: a line may hold", lines[1])
        self.assertEqual(len(self.job(lines[2])["args"]), 1000000)
        self.assertIn("line 4: a line may hold", lines[3])

    def test_a_pipe_gets_each_result_at_once(self):
        with subprocess.Popen(
                [program_path("pit"), "enqueue", "--batch", "-", "--redis",
                 self.store.url], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True) as pit:
            for count in (1, 2):
                pit.stdin.write(GOOD + "\n")
                pit.stdin.flush()
                self.assertRegex(pit.stdout.readline(), r"^default\.\w{26}$")
                self.assertEqual(self.ready(), count)
            pit.stdin.close()
            self.assertEqual(pit.wait(20), 0)

    def test_nothing_is_no_failure(self):
        self.assertEqual(self.batch("\n\n").stdout, "")

    def test_redis_goes_away(self):
        with subprocess.Popen(
                [program_path("pit"), "enqueue", "--batch", "-", "--redis",
                 self.store.url, "--timeout", "500ms"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True) as pit:
            pit.stdin.write(GOOD + "\n")
            pit.stdin.flush()
            self.assertRegex(pit.stdout.readline(), r"^default\.")
            self.store.kill()
            out, err = pit.communicate((GOOD + "\n") * 100000, timeout=30)
        self.assertEqual(pit.returncode, 1)
        self.assertLess(len(out.splitlines()), 5000)
        self.assertRegex(err, r"behind line \d+ was not sent")

    def test_all_or_nothing(self):
        done = self.batch([GOOD] * 128, "--atomic")
        self.assertEqual([self.job(job)["state"]
                          for job in done.stdout.splitlines()[::40]],
                         ["ready"] * 4)
        self.assertEqual(self.ready(), 128)
        held = '{"task": "noop", "unique": {"key": "k"}}'
        self.batch(held)
        for text, says in (
                ([GOOD, "", '{"task": "none"}'], "line 3: /task: "),
                ([GOOD, '{"task": "noop", "queue": "b"}'], "line 2: /queue: "),
                ([GOOD, '{"task": "noop", "after": ["default.a"]}'],
                 "line 2: /after: "),
                ([GOOD, held], r"line 2: /unique/key: default\.\w+ holds"),
                ([GOOD] * 129, "at most 128 jobs")):
            done = self.batch(text, "--atomic", code=2)
            self.assertRegex(done.stderr, says)
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertEqual(done.stdout, "")
        self.assertEqual(self.ready(), 129)
        returned = '{"task": "noop", "unique": {"key": "k", '\
            '"on_conflict": "return"}}'
        done = self.batch([GOOD, returned], "--atomic", "--json")
        self.assertEqual([json.loads(line)["status"]
                          for line in done.stdout.splitlines()], [202, 200])

    def test_the_same_again(self):
        lines = [json.dumps({"task": "noop", "args": n}) for n in range(5)]
        for options in (["--id", "may"], ["--id", "june", "--atomic"]):
            first = self.batch(lines[:3], *options).stdout.splitlines()
            name = options[1]
            self.assertEqual(first, [f"default.{name}:{n}" for n in (1, 2, 3)])
            self.assertEqual(self.batch(lines[:3], *options)
                             .stdout.splitlines(), first)
        self.assertEqual(self.ready(), 6)
        # One that was cut short is completed.
        done = self.batch(lines, "--id", "may")
        self.assertEqual(len(done.stdout.splitlines()), 5)
        self.assertEqual(self.ready(), 8)
        done = self.batch([GOOD, lines[1]], "--id", "may", code=1)
        self.assertRegex(done.stdout, "line 1: default.may:1 is there already, "
                         "with other content\ndefault.may:2\n")
        done = self.batch(lines, "--id", "june", "--atomic", code=1)
        self.assertEqual(self.ready(), 8)
        for name in ("a.b", "x" * 53):
            self.assertIn("--id", self.batch(lines, "--id", name,
                                             code=2).stderr)

    def test_durability(self):
        self.assertEqual(len(self.batch(GOOD, "--durability", "memory")
                             .stdout.splitlines()), 1)
        done = self.batch(GOOD, "--durability", "fsync", code=2)
        self.assertIn("appendonly no", done.stderr)
        self.assertEqual(self.ready(), 1)

    def test_durability_that_is_not_reached(self):
        self.begin(aof="everysec")
        front = WaitAof(self.store)
        self.addCleanup(front.close)
        front.synced = 0
        for words in (["--batch", self.write([GOOD] * 3)],
                      ["--batch", self.write([GOOD] * 3), "--atomic"],
                      ["noop"]):
            done = self.cli(front, "enqueue", *words, "--durability", "fsync",
                            code=1)
            self.assertIn("stored, but: ", done.stderr)
        self.assertEqual(self.ready(), 7)
        front.synced = 1
        self.cli(front, "enqueue", "noop", "--durability", "fsync")

    def test_bad_words(self):
        for words, says in (
                (["noop", "--batch", "x"], "not both"),
                (["--batch", "x", "--queue", "q"], "--queue"),
                (["--batch", "x", "--priority", "0"], "--priority"),
                (["--batch", "x", "--wait", "5s"], "--wait"),
                (["--batch", "x", "--force"], "--force"),
                (["--batch", "x", "--durability", "disk"], "--durability"),
                (["noop", "--atomic"], "--atomic"),
                (["--batch", self.dir + "/none"], "No such file"),
                (["--batch", self.dir], "Is a directory")):
            done = self.cli(self.store, "enqueue", *words, code=2)
            self.assertIn(says, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn("JSON array", self.batch("[" + GOOD + "]",
                                               code=2).stderr)


if __name__ == "__main__":
    unittest.main()
