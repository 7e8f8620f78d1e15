"""The front under clients that mean no good, and under very many of them.

Slow heads, slow bodies and slow readers are cut at their deadlines and leave
everybody else alone; thousands of idle connections and waiting views cost what
they may cost; over a limit there is an answer, not a crash.
"""

import http.client
import os
import resource
import select
import shutil
import socket
import subprocess
import time
import unittest

from pitharness import (SLOWNESS, Http, PitTestCase, children_of, cpu_seconds,
                        program_path, wait_until)

SLOWHTTPTEST = shutil.which("slowhttptest")
APP = "tests/fixtures/front_app.so"
GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"


def resident(pid):
    """Bytes of a process that are in memory."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


class Base(PitTestCase):
    def start(self, *flags, **kwargs):
        store = self.redis(aof="no")
        kwargs.setdefault("app", APP)
        front = self.web(store, flags=flags, **kwargs)
        self.worker_pid = children_of(front.pid)[0]
        return front

    def connect(self, front):
        client = socket.create_connection(("127.0.0.1", front.port), 10)
        self.addCleanup(client.close)
        client.settimeout(20 * SLOWNESS)
        return client

    def others_are_fine(self, front):
        """Answers within moments, on a new connection and on an old one."""
        client = Http(front.port, keep_alive=True)
        self.addCleanup(client.close)
        for _ in range(3):
            began = time.monotonic()
            self.assertEqual(client.get("/echo/a").status, 200)
            self.assertLess(time.monotonic() - began, 1 * SLOWNESS)


class Slow(Base):
    def until_closed(self, client):
        """Seconds until the server ends the connection, and what it said."""
        began, said = time.monotonic(), b""
        try:
            while piece := client.recv(65536):
                said += piece
        except ConnectionError:
            pass
        return time.monotonic() - began, said

    def test_slow_head(self):
        front = self.start("--head-timeout", "500ms")
        slow = [self.connect(front) for _ in range(50)]
        for client in slow:
            client.sendall(b"GET /echo/a HTTP/1.1\r\n")
        # A byte now and then does not put the deadline off.
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            slow[0].sendall(b"X")
            time.sleep(0.05)
        self.others_are_fine(front)
        for client in slow:
            took, said = self.until_closed(client)
            self.assertLess(took, 3 * SLOWNESS)
            self.assertIn(b" 408 ", said)

    def test_silent_connections(self):
        front = self.start("--head-timeout", "300ms", "--idle-timeout",
                           "300ms")
        silent, idle = self.connect(front), self.connect(front)
        idle.sendall(GET % b"/echo/a")
        self.assertIn(b" 200 ", idle.recv(4096))
        for client in (silent, idle):
            took, said = self.until_closed(client)
            self.assertLess(took, 3 * SLOWNESS)
            self.assertEqual(said, b"")

    def test_slow_body(self):
        front = self.start("--body-timeout", "700ms")
        client = self.connect(front)
        client.sendall(b"POST /echo/a HTTP/1.1\r\nHost: a\r\n"
                       b"Content-Length: 100000\r\n\r\n")
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            client.sendall(b"x")
            time.sleep(0.05)
        self.others_are_fine(front)
        took, said = self.until_closed(client)
        self.assertLess(took, 5 * SLOWNESS)
        self.assertIn(b" 408 ", said)

    def test_slow_reader(self):
        front = self.start("--write-timeout", "500ms")
        slow = []
        for _ in range(20):
            client = socket.socket()
            self.addCleanup(client.close)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", front.port))
            client.sendall(GET % b"/large")
            slow.append(client)
        self.others_are_fine(front)

        def cut():
            gone = 0
            for client in slow:
                watched = select.poll()
                watched.register(client, select.POLLRDHUP)
                gone += bool(watched.poll(0))
            return gone == len(slow)
        wait_until(cut, 5, "slow readers to be cut")
        # One that reads, however slowly, is left alone.
        steady = socket.socket()
        self.addCleanup(steady.close)
        steady.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        steady.connect(("127.0.0.1", front.port))
        steady.settimeout(10 * SLOWNESS)
        steady.sendall(GET % b"/large")
        total, began = 0, time.monotonic()
        while total < 8 * 1024 * 1024:
            piece = steady.recv(262144)
            self.assertTrue(piece, f"cut after {total} bytes")
            total += len(piece)
            if time.monotonic() - began < 1.5:
                time.sleep(0.1)

    @unittest.skipUnless(SLOWHTTPTEST, "slowhttptest is not installed")
    def test_slowhttptest(self):
        front = self.start("--head-timeout", "1s", "--body-timeout", "1s",
                           "--write-timeout", "1s")
        url = f"http://127.0.0.1:{front.port}"
        attacks = [["-H", "-u", url + "/echo/a", "-i", "1"],
                   ["-B", "-u", url + "/echo/a", "-i", "1", "-s", "8192"],
                   ["-X", "-u", url + "/large?kib=512", "-w", "1", "-y", "2",
                    "-n", "1", "-z", "1"]]
        running = []
        for flags in attacks:
            log = open(os.path.join(self.dir, "attack" + flags[0]), "w+b")
            self.addCleanup(log.close)
            attack = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", SLOWHTTPTEST, "-c",
                 "200", "-r", "200", "-l", "3", "-p", "3", "-v", "1", *flags],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            self.addCleanup(attack.wait)
            self.addCleanup(attack.kill)
            running.append((attack, log))
        end = time.monotonic() + 2
        while time.monotonic() < end:
            self.others_are_fine(front)
            time.sleep(0.1)
        for attack, log in running:
            attack.wait(60)
            log.seek(0)
            self.assertNotRegex(log.read().decode("utf-8", "replace"),
                                r"service available:\s*\S*NO")

        def all_cut():
            with socket.create_connection(("127.0.0.1", front.port), 5) as s:
                s.sendall(GET % b"/echo/a")
                return b" 200 " in s.recv(4096)
        self.assertTrue(all_cut())
        wait_until(lambda: len(os.listdir(f"/proc/{self.worker_pid}/fd")) < 40,
                   10, "the attackers' connections to be gone")


class Many(Base):
    """Thousands of connections in this process too."""

    def setUp(self):
        super().setUp()
        self.before = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= self.before[1] < 12000:
            self.skipTest("fewer than 12,000 descriptors (ulimit -Hn)")
        resource.setrlimit(resource.RLIMIT_NOFILE,
                           (self.before[1], self.before[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE,
                        self.before)

    def open(self, front, count):
        clients = []
        for i in range(count):
            client = socket.socket()
            # Of several addresses: more than the ports of one.
            client.connect(("127.0.0.1", front.port))
            clients.append(client)
        self.addCleanup(lambda: [client.close() for client in clients])
        return clients

    def test_idle_connections(self):
        front = self.start("--idle-timeout", "60s", "--head-timeout", "60s",
                           "--max-connections", "11000")
        before = resident(self.worker_pid)
        clients = self.open(front, 10000)
        for client in clients[:2000]: # some have been used
            client.sendall(GET % b"/echo/a")
        for client in clients[:2000]:
            self.assertIn(b" 200 ", client.recv(4096))
        wait_until(lambda: len(os.listdir(f"/proc/{self.worker_pid}/fd")) >
                   10000, 10)
        each = (resident(self.worker_pid) - before) / len(clients)
        self.assertLess(each, 3000)
        self.others_are_fine(front)
        spent = cpu_seconds(self.worker_pid)
        time.sleep(0.5)
        self.assertLess(cpu_seconds(self.worker_pid) - spent, 0.2)

    def test_one_request_too_many(self):
        front = self.start("--max-connections", "11000")
        clients = self.open(front, 8192)
        for client in clients:
            client.sendall(GET % b"/wait?ms=4000")
        one = Http(front.port)

        def refused():
            answer = one.get("/echo/a")
            return answer if answer.status == 503 else None
        answer = wait_until(refused, 3, "the cap")
        self.assertTrue(answer.headers["Retry-After"])
        self.assertTrue(answer.json()["type"].endswith("overloaded"))
        for client in clients:
            client.settimeout(20 * SLOWNESS)
            self.assertIn(b" 200 ", client.recv(4096))
        self.assertEqual(one.get("/echo/a").status, 200)

    def test_over_the_connections_accepting_pauses(self):
        front = self.start("--max-connections", "20")
        first = self.open(front, 20)
        for client in first:
            client.sendall(GET % b"/echo/a")
            self.assertIn(b" 200 ", client.recv(4096))
        waiting = self.open(front, 5)
        for client in waiting:
            client.sendall(GET % b"/echo/a")
            client.settimeout(0.2)
        with self.assertRaises(socket.timeout):
            waiting[0].recv(4096)
        for client in first:
            client.close()
        for client in waiting:
            client.settimeout(10 * SLOWNESS)
            self.assertIn(b" 200 ", client.recv(4096))

    def test_out_of_descriptors(self):
        front = self.start(wrapper=["prlimit", "--nofile=64:64"])
        self.assertIn("too few for --max-connections", front.log())
        clients = self.open(front, 100)
        front.wait_for_line("out of descriptors")
        # Some were turned away instead of left hanging; it does not spin.
        spent = cpu_seconds(self.worker_pid)
        time.sleep(0.5)
        self.assertLess(cpu_seconds(self.worker_pid) - spent, 0.2)
        for client in clients:
            client.close()

        def answers():
            try:
                return front.http.get("/echo/a").status == 200
            except (OSError, http.client.HTTPException):
                return False
        wait_until(answers, 10)


if __name__ == "__main__":
    program_path("pit-web")
    unittest.main()
