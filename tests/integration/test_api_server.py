"""pit-web as a process: start, Redis that goes away, drain, restart."""

import http.client
import os
import signal
import socket
import threading
import time
import unittest

from pitharness import (SLOWNESS, Http, PitTestCase, children_of, free_port,
                        is_running, process_name, program_path, wait_until)


class Start(PitTestCase):
    def fails(self, *flags, env=None):
        """Runs pit-web to its end: status and its one line."""
        process = self.program("pit-web", flags, env=env)
        status = process.popen.wait(10 * SLOWNESS)
        lines = [line for line in process.log().splitlines()
                 if " info " not in line]
        self.assertEqual(len(lines), 1, lines)
        return status, lines[0]

    def test_taken_port(self):
        with socket.socket() as other:
            # It would share its port; a start must fail all the same.
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            status, line = self.fails("--listen", f"127.0.0.1:{port}")
        self.assertEqual(status, 2)
        self.assertIn(f"127.0.0.1:{port}", line)

    def test_bad_settings(self):
        rows = [
            (["--listen", "nowhere"], "nowhere"),
            (["--redis", "http://x"], "redis"),
            (["--max-body", "much"], "max-body"),
            (["--processes", "-1"], "processes"),
            (["--log-level", "loud"], "loud"),
            (["--what"], "--what"),
            (["word"], "word"),
            (["--app", "/nowhere.so"], "/nowhere.so"),
            (["--access-log", "/nowhere/log"], "/nowhere/log"),
        ]
        for flags, word in rows:
            with self.subTest(flags=flags):
                if "--listen" not in flags:
                    flags = flags + ["--listen", f"127.0.0.1:{free_port()}"]
                status, line = self.fails(*flags)
                self.assertEqual(status, 2, line)
                self.assertIn(word, line)

    def test_help_and_version(self):
        for flag, word in (("--help", "--max-batch-body"),
                           ("--version", "pit-web ")):
            process = self.program("pit-web", [flag])
            self.assertEqual(process.popen.wait(10), 0)
            self.assertIn(word, process.log())

    def test_unix_socket_and_ipv6(self):
        store = self.redis(aof="no")
        path = os.path.join(self.dir, "web.sock")
        local = self.program("pit-web", [
            "--redis", store.url, "--listen", f"unix:{path}",
            "--processes", "2"])

        def asks():
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path)
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
                          b"Connection: close\r\n\r\n")
                with s.makefile("rb") as answer:
                    return answer.readline()
        wait_until(lambda: b" 200 " in asks(), 10, "an answer")
        local.terminate()
        self.assertEqual(local.popen.wait(10), 0)
        self.assertFalse(os.path.exists(path))

        try:  # a container may know the family and have no such address
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        port = free_port()
        self.program("pit-web", ["--redis", store.url, "--listen",
                                 f"[::1]:{port}", "--processes", "1"])
        client = Http(port, host="::1")
        wait_until(lambda: client.get("/healthz").status == 200, 10)

    def test_environment_and_names(self):
        store = self.redis(aof="no")
        port = free_port()
        process = self.program("pit-web", [], env={
            "PIT_REDIS": store.url, "PIT_PROCESSES": "2",
            "PIT_LISTEN": f"127.0.0.1:{port}"})
        process.wait_for_line(r"listening on http://127.0.0.1:\d+, 2 proc")
        wait_until(lambda: [process_name(pid) for pid in
                            [process.pid] + children_of(process.pid)] ==
                   ["pit-web"] * 3, 10, "a supervisor and two processes")

    def test_access_log(self):
        store = self.redis(aof="no")
        path = os.path.join(self.dir, "access.log")
        front = self.web(store, flags=["--access-log", path])
        self.assertEqual(front.http.get("/v1/x?y=%22").status, 404)

        def line():
            with open(path, encoding="ascii") as log:
                return [one for one in log.read().splitlines()
                        if "/v1/x" in one]
        found = wait_until(line, 5, "a line")[0]
        self.assertRegex(found, r'^127\.0\.0\.1 - - \[.*\] '
                         r'"GET /v1/x\?y=%22 HTTP/1.1" 404 \d+ '
                         r'\d\.\d{3} \S+$')

    def test_without_an_application(self):
        store = self.redis(aof="no")
        front = self.web(store, app=None, ready="/readyz")
        self.assertEqual(front.http.get("/").status, 404)
        answer = front.http.post("/v1/jobs", {"task": "noop"})
        self.assertEqual(answer.status, 422)


class RedisAway(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="always")
        self.front = self.web(self.store, ready="/readyz")
        self.http = self.front.http

    def unavailable(self, method, path, json=None):
        began = time.monotonic()
        answer = self.http.request(method, path, json=json)
        took = time.monotonic() - began
        self.assertEqual(answer.status, 503, answer)
        self.assertTrue(answer.headers["Retry-After"])
        self.assertLess(took, 0.1 * SLOWNESS)
        return answer

    def test_away_at_start(self):
        front = self.web("unix:///nowhere/redis.sock")
        self.assertEqual(front.http.get("/readyz").status, 503)
        self.assertEqual(front.http.get("/healthz").status, 200)
        answer = front.http.post("/v1/jobs", {"task": "noop"})
        self.assertEqual(answer.status, 503)

    def test_killed_and_back(self):
        job = self.http.post("/v1/jobs", {"task": "noop"}).json()
        self.store.kill()
        wait_until(lambda: self.http.get("/readyz").status == 503)
        for method, path, body in (
                ("POST", "/v1/jobs", {"task": "noop"}),
                ("POST", "/v1/jobs:batch", [{"task": "noop"}]),
                ("PUT", "/v1/jobs/q.x", {"task": "noop"}),
                ("GET", f"/v1/jobs/{job['id']}", None),
                ("GET", f"/v1/jobs/{job['id']}/result", None),
                ("GET", "/v1/tasks", None), ("GET", "/v1/queues", None),
                ("GET", "/v1/queues/default", None)):
            with self.subTest(method=method, path=path):
                answer = self.unavailable(method, path, body)
                self.assertTrue(answer.json()["type"].endswith(
                    "store-unavailable"), answer)
                self.assertTrue(answer.json()["retryable"])
        self.unavailable("GET", "/readyz")
        self.assertEqual(self.http.get("/healthz").status, 200)
        self.store.start()
        wait_until(lambda: self.http.get("/readyz").status == 200, 5)
        self.assertEqual(self.http.get(f"/v1/jobs/{job['id']}").status, 200)
        self.assertEqual(self.http.post("/v1/jobs", {"task": "noop"}).status,
                         202)

    def test_hung_redis_leaves_the_outcome_open(self):
        front = self.web(self.store, ready="/readyz",
                         flags=["--redis-timeout", "300ms"])
        # What the queue sets for its jobs is known then: nothing is read first.
        front.http.post("/v1/jobs", {"task": "noop"})
        self.store.sigstop()
        answer = front.http.post("/v1/jobs", {"task": "noop"})
        self.store.sigcont()
        self.assertEqual(answer.status, 503, answer)
        problem = answer.json()
        self.assertTrue(problem["type"].endswith("outcome-unknown"), problem)
        self.assertEqual(answer.headers["Location"],
                         f"/v1/jobs/{problem['id']}")
        wait_until(lambda: front.http.get("/readyz").status == 200, 5)
        # Sending it again under its id settles it, whatever had become of it.
        path = answer.headers["Location"]
        self.assertIn(front.http.get(path).status, (200, 404))
        self.assertIn(front.http.put(path, {"task": "noop"}).status, (200, 201))
        self.assertEqual(front.http.get(path).json()["id"], problem["id"])
        with self.store.client() as client:
            self.assertEqual(client.hlen("pit:{default}:jobs"), 2)

    def test_read_only(self):
        with self.store.client() as client:
            client.config_set("maxmemory", "1")
            answer = self.http.post("/v1/jobs", {"task": "noop"})
            client.config_set("maxmemory", "0")
        self.assertEqual(answer.status, 503, answer)
        self.assertTrue(answer.json()["type"].endswith("store-readonly"))
        self.assertTrue(answer.headers["Retry-After"])
        self.assertEqual(self.http.post("/v1/jobs", {"task": "noop"}).status,
                         202)

    def test_another_schema_is_not_touched(self):
        self.http.put("/v1/schedules/s", {"task": "noop", "every": "1h"})
        flow = self.http.post("/v1/flows", {"chain": [
            {"task": "noop", "queue": "flows"}]}).json()["links"]["self"]
        with self.store.client() as client:
            client.set("pit:schema", "99")
        front = self.web(self.store)
        wait_until(lambda: front.http.get("/readyz").status == 503)
        wait_until(lambda: front.http.post(
            "/v1/jobs", {"task": "noop"}).status == 503)
        for path in ("/v1/schedules/s:trigger", "/v1/schedules/s:pause",
                     "/v1/schedules/s:resume", f"{flow}:cancel"):
            self.assertEqual(front.http.post(path).status, 503, path)
        with self.store.client() as client:
            self.assertFalse(client.exists("pit:{default}:jobs"))

    def test_tasks_are_published_again(self):
        with self.store.client() as client:
            client.flushall()
        self.store.restart()
        wait_until(lambda: "noop" in [
            task["name"] for task in
            self.http.get("/v1/tasks").json().get("tasks", [])], 5)


class Load:
    """Clients that enqueue without pause, and remember what was answered."""

    def __init__(self, port, threads=8):
        self.port = port
        self.stop = False
        self.accepted, self.failures = [], []
        self.refused = 0
        self.threads = [threading.Thread(target=self._run)
                        for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        while not self.stop:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                        timeout=20)
                connection.connect()
            except ConnectionRefusedError:
                self.refused += 1
                time.sleep(0.01)
                continue
            except OSError as problem:
                self.failures.append(f"connect: {problem!r}")
                continue
            try:
                connection.request("POST", "/v1/jobs",
                                   '{"task":"noop"}',
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 202:
                    self.accepted.append(answer.headers["Location"])
                else:
                    self.failures.append(f"{answer.status} {body}")
            except (OSError, http.client.HTTPException) as problem:
                self.failures.append(repr(problem))
            connection.close()

    def end(self):
        self.stop = True
        for thread in self.threads:
            thread.join(30)


class Lifecycle(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")

    def stored(self):
        with self.store.client() as client:
            return set(client.hkeys("pit:{default}:jobs"))

    def test_sigterm_under_load_drops_nothing(self):
        front = self.web(self.store, ready="/readyz", processes=2)
        load = Load(front.port)
        wait_until(lambda: len(load.accepted) > 300, 20)
        front.terminate()
        self.assertEqual(front.popen.wait(20), 0)
        wait_until(lambda: load.refused > 0, 10)
        load.end()
        self.assertEqual(load.failures, [])
        stored = self.stored()
        self.assertEqual([path for path in load.accepted
                          if path.rpartition(".")[2] not in stored], [])

    def test_waiting_requests_are_answered_at_sigterm(self):
        front = self.web(self.store, ready="/readyz",
                         flags=["--grace", "20s"])
        answers = []
        thread = threading.Thread(target=lambda: answers.append(
            Http(front.port).post("/v1/jobs", {"task": "noop"},
                                  headers={"Prefer": "wait=60"})))
        thread.start()
        with self.store.client() as client:
            wait_until(lambda: client.hlen("pit:{default}:jobs") == 1)
            wait_until(lambda: client.keys("pit:{default}:waits*"), 5)
        began = time.monotonic()
        front.terminate()
        thread.join(10)
        self.assertEqual(front.popen.wait(10), 0)
        self.assertLess(time.monotonic() - began, 5 * SLOWNESS)
        self.assertEqual(answers[0].status, 202, answers)
        self.assertEqual(answers[0].headers["Connection"], "close")

    def test_readiness_turns_at_sigterm(self):
        front = self.web(self.store, ready="/readyz",
                         flags=["--grace", "10s"])
        # A request under way holds the process, and so does this connection.
        with socket.create_connection(("127.0.0.1", front.port), 5) as slow:
            slow.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"
                         b"Content-Type: application/json\r\n"
                         b"Content-Length: 15\r\n\r\n{\"task\"")
            with socket.create_connection(("127.0.0.1", front.port), 5) as s:
                s.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n")
                time.sleep(0.1)  # both heads are read: there is no sign of it
                front.terminate()
                front.wait_for_line("stopping")
                time.sleep(0.05)
                s.sendall(b"\r\n")
                self.assertIn(b" 503 ", s.makefile("rb").readline())
            slow.sendall(b":\"noop\"}")
            self.assertIn(b" 202 ", slow.makefile("rb").readline())
        self.assertEqual(front.popen.wait(10), 0)

    def test_second_sigterm_ends_at_once(self):
        front = self.web(self.store, ready="/readyz",
                         flags=["--grace", "60s"])
        with socket.create_connection(("127.0.0.1", front.port), 5) as slow:
            slow.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"
                         b"Content-Length: 15\r\n\r\n{")
            wait_until(lambda: front.http.get("/healthz").status == 200)
            front.terminate()
            front.wait_for_line("stopping")
            self.assertTrue(front.running())
            front.terminate()
            front.popen.wait(3 * SLOWNESS)
        self.assertEqual(children_of(front.pid), [])

    def test_grace_has_an_end(self):
        front = self.web(self.store, ready="/readyz",
                         flags=["--grace", "300ms"])
        with socket.create_connection(("127.0.0.1", front.port), 5) as slow:
            slow.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"
                         b"Content-Length: 15\r\n\r\n{")
            wait_until(lambda: front.http.get("/healthz").status == 200)
            front.terminate()
            self.assertEqual(front.popen.wait(5 * SLOWNESS), 0)

    def test_killed_process_is_replaced_within_a_second(self):
        front = self.web(self.store, ready="/readyz", processes=2)
        before = children_of(front.pid)
        self.assertEqual(len(before), 2)
        os.kill(before[0], signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: not is_running(before[0]) and
                   len(children_of(front.pid)) == 2, 5)
        # Every connection is served, also those that meet the new one.
        for _ in range(30):
            self.assertEqual(front.http.get("/healthz").status, 200)
        self.assertLess(time.monotonic() - began, 1.0 * SLOWNESS)
        self.assertIn(before[1], children_of(front.pid))

    def test_children_die_with_a_killed_supervisor(self):
        front = self.web(self.store, ready="/readyz", processes=2)
        children = children_of(front.pid)
        front.kill()
        wait_until(lambda: not any(is_running(pid) for pid in children), 5)

    def test_acknowledged_is_stored_when_a_process_is_killed(self):
        front = self.web(self.store, ready="/readyz", processes=2)
        load = Load(front.port)
        for _ in range(3):
            wanted = len(load.accepted) + 200
            wait_until(lambda: len(load.accepted) > wanted, 20)
            os.kill(children_of(front.pid)[0], signal.SIGKILL)
            wait_until(lambda: len(children_of(front.pid)) == 2, 10)
        load.end()
        stored = self.stored()
        self.assertEqual([path for path in load.accepted
                          if path.rpartition(".")[2] not in stored], [])


if __name__ == "__main__":
    program_path("pit-web")
    unittest.main()
