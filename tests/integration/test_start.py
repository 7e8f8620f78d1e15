"""./start: becomes ready, stops all that it started, says what is wrong."""
import os
import signal
import socket
import subprocess
import unittest

import pitharness
from pitharness import Http, PitTestCase, Process, free_port, wait_until

START = os.path.join(pitharness.SOURCE_DIR, "start")


def setUpModule():
    # start builds and runs build/; the other builds are not its business.
    if pitharness.BUILD_DIR != os.path.join(pitharness.SOURCE_DIR, "build"):
        raise unittest.SkipTest("start runs the release build alone")


class StartCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.data = os.path.join(self.dir, "data")
        self.shims = os.path.join(self.dir, "shims")
        os.mkdir(self.shims)

    def shim(self, name, script):
        """A program that stands in front of the real one in PATH."""
        path = os.path.join(self.shims, name)
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(path, 0o755)

    def environment(self):
        return dict(os.environ, NO_COLOR="1",
                    PATH=self.shims + ":" + os.environ["PATH"])

    def refused(self, *flags, status=2):
        """The one line that ./start FLAGS ends with."""
        done = subprocess.run([START, *flags], capture_output=True, text=True,
                              timeout=60, env=self.environment(), check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("start: "), lines[0])
        return lines[0]

    def start(self, *flags, port=None, data=None):
        self.port = port or free_port()
        process = Process([START, "--port", str(self.port), "--data",
                           data or self.data, *flags],
                          os.path.join(self.dir, "start.log"),
                          self.environment())
        self.processes.append(process)
        self.addCleanup(process.close)
        return process

    def nothing_left(self, pids):
        wait_until(lambda: not any(map(pitharness.is_running, pids)), 5,
                   f"none of {pids} to be left")


class Refusals(StartCase):
    def test_help_names_each_option(self):
        done = subprocess.run([START, "--help"], capture_output=True, text=True,
                              timeout=10, check=True)
        for option in ("--port", "--redis", "--data", "--app", "--processes",
                       "--slots", "--help"):
            self.assertIn(option, done.stdout)

    def test_bad_words(self):
        self.assertIn("'--nope'", self.refused("--nope"))
        self.assertIn("needs a value", self.refused("--port"))
        self.assertIn("1 to 65535", self.refused("--port", "0"))
        self.assertIn("1 to 65535", self.refused("--port=http"))
        self.assertIn("1 to 64", self.refused("--processes", "65"))
        self.assertIn("1 to 256", self.refused("--slots", "-1"))
        self.assertIn("redis://", self.refused("--redis", "localhost"))
        self.assertIn("no such file", self.refused("--app", "/no/such.so"))

    def test_taken_port(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            line = self.refused("--port", str(port), "--data", self.data)
            self.assertIn(f"port {port} is taken", line)

    def missing_package(self):
        # dpkg-query that knows no package at all.
        self.shim("dpkg-query", "exit 1\n")
        return self.refused("--port", str(free_port()), "--data", self.data,
                            status=1)

    def test_missing_package_without_root(self):
        self.shim("id", "echo 1000\n")
        self.shim("sudo", "exit 1\n")
        line = self.missing_package()
        self.assertIn("sudo apt-get install", line)
        self.assertIn("libevent-dev", line)

    def test_no_network(self):
        self.shim("id", "echo 0\n")
        self.shim("apt-get", "echo 'W: Failed to fetch http://deb.debian.org/"
                  "debian  Temporary failure resolving' >&2\n")
        self.assertIn("no network", self.missing_package())


class Build(StartCase):
    def test_signal_during_the_build_leaves_nothing(self):
        noted = os.path.join(self.dir, "pids")
        # A build that would take long, with a compiler of its own.
        self.shim("cmake", f"sleep 1000 &\necho $$ $! >{noted}.new\n"
                  f"mv {noted}.new {noted}\nwait\n")
        process = self.start()
        wait_until(lambda: os.path.exists(noted), 20, "the build to begin")
        with open(noted, encoding="ascii") as file:
            pids = [int(word) for word in file.read().split()]
        process.terminate()
        process.assert_exit(0, 10)
        self.nothing_left(pids)

    def test_failing_build_is_told(self):
        self.shim("cmake", "echo 'some.c:1: error: no'\nexit 1\n")
        process = self.start()
        process.assert_exit(1, 20)
        self.assertIn("some.c:1: error: no", process.log())
        self.assertIn("start: the build failed", process.log())


class Running(StartCase):
    def setUp(self):
        super().setUp()
        for name in ("pit-web", "pit-worker", "examples/smokehouse.so"):
            pitharness.program_path(name)

    def ready(self, *flags, **keys):
        process = self.start(*flags, **keys)
        process.wait_for_line(f"^ready: http://127.0.0.1:{self.port}/$", 90)
        self.assertEqual(Http(self.port).get("/readyz").status, 200)
        return process

    def test_ctrl_c_stops_all_in_order(self):
        process = self.ready()
        pids = pitharness.descendants_of(process.pid)
        names = [pitharness.process_name(pid) for pid in pids]
        for name in ("redis-server", "pit-web", "pit-worker"):
            self.assertTrue(any(n and n.startswith(name) for n in names),
                            names)
        # As a terminal does it: to the whole foreground group.
        os.killpg(process.pid, signal.SIGINT)
        process.assert_exit(0, 30)
        self.nothing_left(pids)
        log = process.log()
        self.assertTrue(log.rstrip().endswith("bye bye..."), log[-500:])
        self.assertNotIn("\033[", log)
        web = max(log.rfind("\nweb "), 0)
        self.assertLess(web, log.index("User requested shutdown"))

    def test_second_start_is_refused(self):
        process = self.ready()
        line = self.refused("--port", str(free_port()), "--data", self.data)
        self.assertIn(f"process {process.pid}", line)
        line = self.refused("--port", str(self.port), "--data",
                            os.path.join(self.dir, "other"))
        self.assertIn(f"port {self.port} is taken", line)
        process.terminate()
        process.assert_exit(0, 30)

    def test_jobs_are_kept_between_runs(self):
        process = self.ready()
        job = Http(self.port).post("/v1/jobs", {"task": "echo",
                                                "delay": "3600s"}).json()
        process.terminate()
        process.assert_exit(0, 30)
        process = self.ready()
        self.assertEqual(Http(self.port).get(f"/v1/jobs/{job['id']}").status,
                         200)
        process.terminate()
        process.assert_exit(0, 30)

    def test_kill_9_leaves_nothing(self):
        process = self.ready()
        pids = pitharness.descendants_of(process.pid)
        process.kill()
        self.nothing_left(pids)

    def test_ended_worker_ends_all(self):
        process = self.ready()
        pids = pitharness.descendants_of(process.pid)
        worker = next(pid for pid in pitharness.children_of(process.pid)
                      if pitharness.process_name(pid) == "pit-worker")
        os.kill(worker, signal.SIGKILL)
        process.assert_exit(1, 40)
        self.assertIn("start: worker ended by itself", process.log())
        self.nothing_left(pids)

    def test_redis_of_ones_own_is_used_and_left_alone(self):
        redis = self.redis()
        process = self.ready("--redis", redis.url)
        names = [pitharness.process_name(pid)
                 for pid in pitharness.descendants_of(process.pid)]
        self.assertNotIn("redis-server", names)
        process.terminate()
        process.assert_exit(0, 30)
        self.assertTrue(redis.process.running())

    def test_long_data_path(self):
        data = os.path.join(self.dir, "d" * 120)
        process = self.ready(data=data)
        self.assertTrue(os.path.isdir(os.path.join(data, "redis")))
        process.terminate()
        process.assert_exit(0, 30)


if __name__ == "__main__":
    unittest.main()
