#!/usr/bin/python3
"""bench/checks works, a miss is told apart, and its table can be read."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

CHECKS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "bench", "checks")


def run(*words, **env):
    return subprocess.run([sys.executable, CHECKS, *words],
                          capture_output=True, text=True, timeout=170,
                          check=False, env={**os.environ, **env})


class Checks(unittest.TestCase):
    def test_quick(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "table.json")
            done = run("due", "million", "concurrency", "memory", "--quick",
                       "--json", path)
            self.assertEqual(done.stderr, "")
            with open(path, encoding="utf-8") as file:
                checks = json.load(file)["checks"]
        self.assertGreaterEqual(len(checks), 15, done.stdout)
        for one in checks:
            self.assertIsNotNone(one["seen"], one)
            self.assertIs(one["met"], one["seen"] <= one["target"], one)
        self.assertEqual(done.returncode,
                         0 if all(one["met"] for one in checks) else 1)

    def test_miss(self):
        """A check that comes to no figure is a miss, and the next one runs."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "table.json")
            broken = os.path.join(folder, "redis-server")
            # A test of the list has its own Redis: one that cannot start.
            with open(broken, "w", encoding="ascii") as file:
                file.write('#!/bin/sh\ncase "$*" in *appendfsync*|--version) '
                           'exec /usr/bin/redis-server "$@";; esac; exit 1\n')
            os.chmod(broken, 0o755)
            done = run("concurrency", "memory", "--quick", "--json", path,
                       PATH=f"{folder}:{os.environ['PATH']}")
            with open(path, encoding="utf-8") as file:
                checks = json.load(file)["checks"]
        self.assertEqual(done.returncode, 1)
        self.assertFalse(checks[0]["met"])
        self.assertIn("it ended", checks[0]["why"])
        self.assertIn("MISSED: ", done.stdout)
        self.assertTrue(checks[1]["met"], checks)

    def test_bad_options(self):
        for words in (["nothing"], ["--no-such"]):
            done = run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("bench/checks: error:", done.stderr)
        self.assertIn("there are: due, ", run("nothing").stderr)

    def test_list(self):
        done = run("--list")
        self.assertEqual(done.returncode, 0)
        self.assertGreater(len(done.stdout.splitlines()), 12)


if __name__ == "__main__":
    unittest.main()
