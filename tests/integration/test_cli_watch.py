"""pit watch on a terminal and in a pipe; completion; manual pages."""

import glob
import json
import os
import pty
import shutil
import signal
import subprocess
import unittest

from pitharness import BUILD_DIR, program_path, wait_until
from pitscripts import Queue, job
from test_cli import CliTestCase


class Watch(CliTestCase):
    def setUp(self):
        super().setUp()
        self.queue = Queue(self.server.client(encoding="latin-1"))
        self.addCleanup(self.queue.client.close)
        self.client.sadd("pit:queues", "q")
        self.queue.enqueue(job("a"), job("b"))

    def test_lines_in_a_pipe(self):
        lines = self.pit("watch", "--count", 2, "--every",
                         "100ms").stdout.splitlines()
        self.assertEqual(len(lines), 4)
        self.assertRegex(lines[0], r"^\S+Z q ready 2 scheduled 0 running 0 "
                                   r"retrying 0 dead 0 in/s 0.0 out/s 0.0 open$")
        self.assertRegex(lines[1], r"^\S+Z workers 0$")

    def test_json_lines_with_rates(self):
        with subprocess.Popen(
                [program_path("pit"), "watch", "--json", "--count", "2",
                 "--every", "300ms", "--redis", self.server.url],
                stdout=subprocess.PIPE, text=True) as pit:
            first = json.loads(pit.stdout.readline())
            self.queue.enqueue(job("c"), job("d"), job("e"))
            second = json.loads(pit.stdout.readline())
            self.assertEqual(pit.wait(), 0)
        self.assertEqual(first["queues"][0]["counts"]["ready"], 2)
        self.assertEqual(second["queues"][0]["counts"]["ready"], 5)
        self.assertGreater(second["queues"][0]["in_per_s"], 3)
        self.assertEqual(second["workers"], [])

    def on_terminal(self):
        """(process, descriptor of the terminal's other side)"""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        process = subprocess.Popen(
            [program_path("pit"), "watch", "--redis", self.server.url],
            stdin=theirs, stdout=theirs, stderr=theirs,
            env={**os.environ, "TERM": "xterm"})
        os.close(theirs)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.set_blocking(ours, False)
        self.seen = b""

        def shown(text):
            def look():
                try:
                    self.seen += os.read(ours, 65536)
                except BlockingIOError:
                    pass
                return text in self.seen
            wait_until(look, 10, f"{text} on the terminal")
        return process, ours, shown

    def test_repaints_in_place_and_q_ends_it(self):
        process, terminal, shown = self.on_terminal()
        shown(b"QUEUE")
        shown(b"WORKER")
        self.seen = b""
        self.queue.enqueue(job("f"))
        shown(b"\x1b[H")  # from the top again
        os.write(terminal, b"q")
        self.assertEqual(process.wait(10), 0)
        shown(b"\x1b[?1049l")

    def test_a_signal_leaves_the_terminal_as_it_was(self):
        process, _, shown = self.on_terminal()
        shown(b"QUEUE")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(10), 0)
        shown(b"\x1b[?25h\x1b[?1049l")


class Pages(CliTestCase):
    def complete(self, *words):
        script = (f"source <('{program_path('pit')}' completion bash); "
                  f"COMP_WORDS=({' '.join(words)}); "
                  f"COMP_CWORD={len(words) - 1}; _pit; "
                  'echo "${COMPREPLY[@]}"')
        folder = os.path.dirname(program_path("pit"))
        env = {**os.environ, "PIT_REDIS": self.server.url,
               "PATH": f"{folder}:{os.environ['PATH']}"}
        return subprocess.run(["bash", "-c", script], check=True, text=True,
                              capture_output=True, env=env).stdout.split()

    def test_bash(self):
        self.assertEqual(self.complete("pit", "can"), ["cancel"])
        self.assertIn("watch", self.complete("pit", "''"))
        self.assertEqual(self.complete("pit", "cancel", "--gr"), ["--grace"])
        self.assertEqual(self.complete("pit", "jobs", "--state", "qua"),
                         ["quarantined"])
        self.assertEqual(self.complete("pit", "completion", "z"), ["zsh"])
        self.assertEqual(self.complete("pit", "schedules", "p"),
                         ["put", "pause"])
        self.assertEqual(self.complete("pit", "enqueue", "--on-conflict",
                                       "re"), ["reject", "return", "replace"])

    def test_bash_knows_the_names_that_there_are(self):
        self.tell_of("shop.count")
        Queue(self.client, "mail").enqueue(job("a"))
        self.client.sadd("pit:queues", "mail")
        self.assertEqual(self.complete("pit", "enqueue", "sh"), ["shop.count"])
        self.assertEqual(self.complete("pit", "queue", "''"), ["mail"])
        self.assertEqual(self.complete("pit", "retry", "--queue", "m"),
                         ["mail"])
        self.assertEqual(self.complete("pit", "schedules", "show", "''"), [])
        self.server.kill()
        self.assertEqual(self.complete("pit", "queue", "''"), [])

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_can_read_it(self):
        text = self.pit("completion", "zsh").stdout
        subprocess.run(["zsh", "-n", "/dev/stdin"], input=text, text=True,
                       check=True)

    def test_bad_use(self):
        for words, says in ((["completion"], "shell"),
                            (["completion", "fish"], "shell"),
                            (["man"], "folder"), (["watch", "x"], "no words")):
            self.assert_refused(words, 2, says)
        self.assert_refused(["man", "/nonexistent"], 1, "/nonexistent")

    def test_a_page_for_each_command(self):
        self.pit("man", self.dir)
        commands = [line.split()[0] for line in
                    self.pit("--help").stdout.partition("Commands:\n")[2]
                    .partition("\n\n")[0].splitlines()]
        self.assertEqual(
            {os.path.basename(path) for path in glob.glob(self.dir + "/*.1")},
            {"pit.1"} | {f"pit-{name}.1" for name in commands})
        with open(self.dir + "/pit-cancel.1", encoding="utf-8") as page:
            self.assertIn("\\fB\\-\\-grace\\fR \\fITIME\\fR", page.read())

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_pages_are_clean(self):
        pages = glob.glob(os.path.join(BUILD_DIR, "share", "man", "*.1"))
        self.assertGreater(len(pages), 20)
        done = subprocess.run(["groff", "-man", "-ww", "-z", *pages],
                              capture_output=True, text=True, check=True)
        self.assertEqual(done.stderr, "")


del CliTestCase

if __name__ == "__main__":
    unittest.main()
