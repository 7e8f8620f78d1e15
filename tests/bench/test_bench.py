#!/usr/bin/python3
"""bench/run works, and its figures can be read. Nothing about their size."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
RUN = os.path.join(ROOT, "bench", "run")


def run(*words):
    return subprocess.run([sys.executable, RUN, *words], capture_output=True,
                          text=True, timeout=170, check=False)


class Run(unittest.TestCase):
    def test_quick(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "figures.json")
            done = run("--quick", "--json", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
        names = [row["name"] for row in report["rows"]]
        for part in ("LPUSH, 50 connections", "claim and finish",
                     "POST /v1/jobs, 64 connections", "NDJSON", "JSON array",
                     "process a backlog, round 1"):
            self.assertTrue(any(part in name for name in names),
                            f"no row {part!r} among {names}")
        for row in report["rows"]:
            self.assertGreater(row["n"], 0, row)
            self.assertGreaterEqual(row["redis_us"], 0, row)
            self.assertIn(row["name"], done.stdout)
        process = [row for row in report["rows"] if row["whose"] == "worker"]
        self.assertTrue(all(row["redis_us"] > 0 and row["own_us"] > 0
                            for row in process), process)
        issue = [one["name"] for one in report["checks"]
                 if one["source"] == "issue"]
        # Each peer that is missing is named, and takes a check or two along.
        self.assertGreaterEqual(len(issue), 7, issue)
        for one in report["checks"]:
            self.assertIs(one["met"], one["seen"] >= one["target"]
                          if one["at_least"] else
                          one["seen"] <= one["target"], one)
        self.check_front(report, done.stdout)

    def check_front(self, report, text):
        rows = {row["name"]: row for row in report["front"]}
        self.assertEqual(rows["bare epoll loop"]["cpu_ratio"], 1)
        for peer in ("nginx return 200", "fastify", "fastify + BullMQ"):
            if peer in rows:
                self.assertGreater(rows[peer]["own_us"], 0, rows[peer])
            else:
                self.assertTrue(any(line.startswith(peer + ": no ")
                                    for line in report["skipped"]), peer)
                self.assertIn(f"skipped {peer}: no ", text)
        self.assertGreater(rows["pit-web, hello view"]["cpu_ratio"], 0)
        waiting = rows["pit-web"]
        self.assertEqual(waiting["200"], waiting["connections"])
        self.assertGreaterEqual(waiting["first_ms"], 1000)

    def test_bad_options(self):
        for words in (["--jobs", "0"], ["--rounds", "x"], ["--no-such"],
                      ["--only", "nothing"]):
            done = run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("bench/run: error:", done.stderr)


if __name__ == "__main__":
    unittest.main()
