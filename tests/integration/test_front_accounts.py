"""Not one request that was accepted is lost, whatever the operator does.

200 clients with an account of every request each (pitload.py): while pit-web is
reloaded, scaled, recycled and stopped, again and again.
"""

import os
import signal
import unittest

from pitharness import (PitTestCase, children_of, free_port, is_running,
                        program_path, wait_until)
from pitload import Running, accept_is_safe

# What must not happen. "raced" may: see pitload.py.
FAILURES = ("status", "reset", "cut", "dropped", "stuck", "unasked",
            "idle_reset")


class Accounts(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")

    def load(self, address, **kwargs):
        load = Running(address, kept=80, slow=60, fresh=60, **kwargs)
        self.addCleanup(load.close)
        return load

    def check(self, load, refused=False):
        counts, words = load.end()
        failed = {name: counts[name] for name in FAILURES if counts[name]}
        if not refused and counts["refused"]:
            failed["refused"] = counts["refused"]
        if accept_is_safe() and counts["unaccepted"]:
            failed["unaccepted"] = counts["unaccepted"]
        self.assertEqual(failed, {}, "\n".join(words))
        self.assertGreater(counts["answered"], 500)
        self.assertGreater(counts["connected"], 200)
        return counts

    def replaced(self, front, before, count):
        now = children_of(front.pid)
        return (len(now) == count and not set(now) & set(before)
                and not any(is_running(pid) for pid in before))

    def test_sighup(self):
        front = self.web(self.store, processes=2)
        load = self.load(f"127.0.0.1:{front.port}")
        for _ in range(3):
            before = children_of(front.pid)
            front.signal(signal.SIGHUP)
            wait_until(lambda: self.replaced(front, before, 2), 30)
        self.check(load)

    def test_more_and_fewer(self):
        front = self.web(self.store, processes=2)
        load = self.load(f"127.0.0.1:{front.port}")
        for signo, count in ((signal.SIGTTOU, 1), (signal.SIGTTIN, 2),
                             (signal.SIGTTIN, 3), (signal.SIGTTOU, 2),
                             (signal.SIGTTOU, 1)):
            front.signal(signo)
            wait_until(lambda: len(children_of(front.pid)) == count, 30)
        self.check(load)

    def test_recycling(self):
        front = self.web(self.store, processes=2,
                         flags=["--recycle-after", "1500"])
        first = children_of(front.pid)
        load = self.load(f"127.0.0.1:{front.port}")
        wait_until(lambda: not any(is_running(pid) for pid in first), 60)
        self.check(load)
        self.assertIn("has served its requests", front.log())

    def stop(self, address, count, **kwargs):
        """Rounds of a stop under load."""
        raced = 0
        for _ in range(count):
            front = self.program("pit-web", [
                "--redis", self.store.url, "--processes", "2", "--listen",
                ("unix:" if kwargs.get("unix") else "") + address])
            front.wait_for_line("listening on")
            load = self.load(address, **kwargs)
            front.terminate()
            front.assert_exit(0, 30)
            raced += self.check(load, refused=True)["raced"]
        return raced

    def test_sigterm(self):
        self.stop(f"127.0.0.1:{free_port()}", 4)

    def test_sigterm_of_a_unix_socket(self):
        self.stop(os.path.join(self.dir, "web.sock"), 2, unix=True)


if __name__ == "__main__":
    program_path("pit-web")
    unittest.main()
