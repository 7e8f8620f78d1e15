#!/usr/bin/python3
"""docker compose up --build --scale worker=3, with the real engine.

    test_compose.py

The engine is the one that PIT_DOCKER_ENGINE (a script with `start` and
`standin TAG`) or ../shared/tools/docker-engine brings, or one that answers
already. Without any of them the test is skipped: exit status 77 and the reason
as the last line. PIT_DOCKER=0 skips it as well.
"""
import atexit
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
ENGINE = os.environ.get("PIT_DOCKER_ENGINE",
                        os.path.join(ROOT, "../shared/tools/docker-engine"))
REDIS_IMAGE = "redis:7-bookworm"
SKIP = 77


def skip(why):
    print(f"no docker test: {why}")
    sys.exit(SKIP)


def engine_runs():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                if file.read().strip() == "dockerd":
                    return True
        except OSError:
            pass
    return False


def find_engine():
    """Sets DOCKER_HOST to an engine that answers, or skips."""
    if os.environ.get("PIT_DOCKER") == "0":
        skip("PIT_DOCKER=0")
    if os.path.exists(ENGINE):
        if os.geteuid() != 0:
            skip("starting an engine needs root")
        if subprocess.run(["unshare", "--mount", "true"], check=False,
                          capture_output=True).returncode != 0:
            skip("no engine can run here: mounts are not allowed")
        if not engine_runs():
            # What this test starts, it stops; what ran before is left alone.
            atexit.register(subprocess.run, [ENGINE, "stop"], check=False)
        done = subprocess.run([ENGINE, "start"], capture_output=True, text=True,
                              timeout=600, check=False)
        if done.returncode != 0:
            words = done.stderr.strip().splitlines() or ["it said nothing"]
            skip(f"no engine can be started here: {words[-1]}")
        for match in re.finditer(r"^export (\w+)=(.*)$", done.stdout, re.M):
            os.environ[match.group(1)] = match.group(2)
        done = subprocess.run([ENGINE, "standin", REDIS_IMAGE], check=False,
                              capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            skip(f"no image {REDIS_IMAGE}: {done.stderr.strip()[-200:]}")
    elif not shutil.which("docker"):
        skip("docker is not installed")
    elif subprocess.run(["docker", "info"], check=False,
                        capture_output=True).returncode != 0:
        skip("no docker engine answers")


def compose_command():
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run(
                command + ["version"], capture_output=True,
                check=False).returncode == 0:
            return command
    return skip("neither docker compose nor docker-compose")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition, seconds):
    """Waits for @condition() to be true and returns what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.2)


class Compose(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.url = f"http://127.0.0.1:{cls.port}"
        cls.command = compose_command() + ["-p", f"pittest{os.getpid()}"]
        cls.env = dict(os.environ, PIT_PORT=str(cls.port))
        cls.addClassCleanup(cls.down)
        done = cls.compose("up", "--build", "--detach", "--scale", "worker=3",
                           timeout=600)
        if done.returncode != 0:
            raise AssertionError("compose up:\n" + done.stdout[-4000:] +
                                 done.stderr[-4000:])

    @classmethod
    def compose(cls, *argv, timeout=120):
        return subprocess.run(cls.command + list(argv), cwd=ROOT, env=cls.env,
                              capture_output=True, text=True, check=False,
                              timeout=timeout)

    @classmethod
    def down(cls):
        cls.compose("down", "-v", "--remove-orphans", "-t", "10")

    def ids(self, service):
        return self.compose("ps", "-q", service).stdout.split()

    def inspect(self, container):
        done = subprocess.run(["docker", "inspect", container], check=True,
                              capture_output=True, text=True)
        return json.loads(done.stdout)[0]

    def healthy(self, service, count):
        ids = self.ids(service)
        return len(ids) == count and all(
            self.inspect(i)["State"].get("Health", {}).get("Status") ==
            "healthy" for i in ids)

    def call(self, method, path, body=None, headers=()):
        request = urllib.request.Request(
            self.url + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **dict(headers)})
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as answer:
            return answer.code, json.loads(answer.read() or b"null")
        except OSError:
            return 0, None

    def job(self, job_id):
        return self.call("GET", f"/v1/jobs/{job_id}")

    def test_1_all_become_healthy(self):
        for service, count in (("redis", 1), ("web", 1), ("worker", 3)):
            until(f"{service} healthy", lambda: self.healthy(service, count),
                  120)

    def test_2_containers_are_hardened(self):
        for service in ("redis", "web", "worker"):
            about = self.inspect(self.ids(service)[0])
            host = about["HostConfig"]
            self.assertTrue(host["ReadonlyRootfs"], service)
            self.assertEqual(host["CapDrop"], ["ALL"], service)
            self.assertIn("no-new-privileges", " ".join(host["SecurityOpt"]))
            self.assertGreater(host["Memory"], 0, service)
            self.assertNotEqual(self.user_of_first_process(about), 0, service)
            for bindings in (about["NetworkSettings"]["Ports"] or {}).values():
                for binding in bindings or []:
                    self.assertEqual(service, "web")
                    self.assertEqual(binding["HostIp"], "127.0.0.1")

    def user_of_first_process(self, about):
        with open(f"/proc/{about['State']['Pid']}/status",
                  encoding="ascii") as file:
            return int(re.search(r"^Uid:\s+(\d+)", file.read(), re.M).group(1))

    def test_3_job_from_the_host_runs(self):
        status, job = self.call("POST", "/v1/jobs",
                                {"task": "echo", "args": {"n": 1}},
                                {"Prefer": "wait=20"})
        self.assertEqual(status, 200, job)

    def test_3_a_task_can_write_its_files(self):
        status, result = self.call("POST", "/v1/jobs",
                                   {"task": "reports.packages"},
                                   {"Prefer": "wait=20"})
        self.assertEqual(status, 200, result)

    def test_4_killing_a_worker_loses_nothing(self):
        ids = []
        for number in range(60):
            status, job = self.call("POST", "/v1/jobs",
                                    {"task": "sleep", "args": {"seconds": 0.5}})
            self.assertEqual(status, 202, f"job {number}: {job}")
            ids.append(job["id"])
        victim = self.ids("worker")[0]
        subprocess.run(["docker", "kill", "-s", "KILL", victim], check=True,
                       capture_output=True)
        # The lease is 15 s; the jobs of the dead worker run again after it.
        left = set(ids)

        def ended():
            for job_id in sorted(left):
                status, job = self.job(job_id)
                if status == 200 and job["state"] == "succeeded":
                    left.discard(job_id)
                elif status == 200 and job["state"] in ("dead", "quarantined"):
                    raise AssertionError(f"{job_id} is {job['state']}")
            return not left

        until(f"all {len(ids)} jobs succeed", ended, 120)

    def test_5_state_outlives_a_restart(self):
        status, job = self.call("POST", "/v1/jobs",
                                {"task": "echo", "delay": "3600s"})
        self.assertEqual(status, 202, job)
        time_for_everysec = time.monotonic() + 2
        until("a fsync has passed",
              lambda: time.monotonic() > time_for_everysec, 5)
        done = self.compose("restart", "-t", "10", "redis")
        self.assertEqual(done.returncode, 0, done.stderr)
        until("the job is there again",
              lambda: self.job(job["id"])[0] == 200, 60)

    def test_6_stop_is_clean(self):
        workers = self.ids("worker")
        done = self.compose("stop", "web", "worker", timeout=180)
        self.assertEqual(done.returncode, 0, done.stderr)
        for container in workers[1:]:
            self.assertEqual(self.inspect(container)["State"]["ExitCode"], 0)


if __name__ == "__main__":
    find_engine()
    unittest.main()
