"""An application's views over HTTP: what the test client cannot see."""

import http.client
import os
import signal
import socket
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from pitharness import PitTestCase, children_of, wait_until

APP = "tests/fixtures/site_app.so"
LARGE = 20 * 1024 * 1024  # above what is read at once


class Base(PitTestCase):
    FLAGS = ("--sync-threads", "4", "--view-timeout", "60s")

    def setUp(self):
        super().setUp()
        self.files = os.path.join(self.dir, "site-files")
        os.mkdir(self.files)
        self.put("a.txt", b"0123456789")
        self.web_ = self.web(self.redis(aof="no"), app=APP, cwd=self.dir,
                             flags=self.FLAGS)

    def put(self, name, content):
        with open(os.path.join(self.files, name), "wb") as file:
            file.write(content)

    def raw(self, request, until=None):
        """Sends bytes as they are, and returns all that comes back."""
        got = b""
        with socket.create_connection(("127.0.0.1", self.web_.port),
                                      20) as wire:
            wire.sendall(request)
            while piece := wire.recv(65536):
                got += piece
                if until and until in got:
                    break
        return got

    def get(self, target, extra=""):
        return self.raw(f"GET {target} HTTP/1.1\r\nHost: x\r\n{extra}"
                        "Connection: close\r\n\r\n".encode())

    def connection(self):
        made = http.client.HTTPConnection("127.0.0.1", self.web_.port,
                                          timeout=30)
        self.addCleanup(made.close)
        return made

    def threads(self, pool):
        """Of that pool: functions that run, that wait, that were refused."""
        found = dict(line.rsplit(" ", 1) for line in self.get(
            "/metrics").decode().split("\r\n\r\n")[1].splitlines())
        return tuple(int(found[f'pit_web_threads_{name}{{pool="{pool}"}}'])
                     for name in ("running", "waiting", "refused_total"))


class Views(Base):
    def test_streams(self):
        client = self.connection()
        client.request("GET", "/count")
        answer = client.getresponse()
        self.assertEqual(answer.getheader("Transfer-Encoding"), "chunked")
        self.assertEqual(answer.read().split(),
                         [b"%d" % i for i in range(1000)])
        # One that failed is cut off where everybody can see it.
        client.request("GET", "/half")
        with self.assertRaises(http.client.IncompleteRead):
            client.getresponse().read()
        head = self.raw(b"HEAD /count HTTP/1.1\r\nHost: x\r\n"
                        b"Connection: close\r\n\r\n")
        self.assertTrue(head.endswith(b"\r\n\r\n"), head)

    def test_events(self):
        answer = self.get("/events", "Last-Event-ID: 1\r\n")
        self.assertIn(b"Content-Type: text/event-stream", answer)
        self.assertIn(b"id: 2\nevent: tick\ndata: 1\n\n", answer)

    def test_a_client_that_goes_away(self):
        self.raw(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n", until=b"\0\0")
        self.web_.wait_for_line("the stream ended with 12")
        with socket.create_connection(("127.0.0.1", self.web_.port),
                                      5) as wire:
            wire.sendall(b"GET /hour HTTP/1.1\r\nHost: x\r\n"
                         b"X-Request-Id: hours\r\n\r\n")
            self.web_.wait_for_line("hours: in")
        self.web_.wait_for_line("hours: the hour ended with 12")

    def test_sync_views_leave_the_loop_alone(self):
        with ThreadPoolExecutor(4) as pool:
            slow = [pool.submit(self.get, "/sync/") for _ in range(4)]
            wait_until(lambda: self.get("/count").startswith(b"HTTP/1.1 200"),
                       5, "another view")
            self.assertFalse(any(future.done() for future in slow))
            for future in slow:
                self.assertIn(b"blocked", future.result(20))
        self.assertNotIn("blocked the loop", self.web_.log())

    def test_the_watchdog_names_view_and_cure(self):
        self.assertIn(b"stalled", self.get("/stall"))
        self.web_.wait_for_line(
            "[0-9a-f]+: view/coroutine GET /stall blocked the loop for [0-9]+ ms: "
            "use a sync view, a thread or a job")

    def test_large_files(self):
        content = os.urandom(LARGE)
        self.put("large.bin", content)
        client = self.connection()
        client.request("GET", "/assets/large.bin")
        answer = client.getresponse()
        self.assertEqual(answer.getheader("Content-Length"), str(LARGE))
        self.assertIsNone(answer.getheader("Transfer-Encoding"))
        self.assertTrue(answer.read() == content)
        # The same connection goes on.
        client.request("HEAD", "/assets/large.bin")
        answer = client.getresponse()
        self.assertEqual(answer.getheader("Content-Length"), str(LARGE))
        self.assertEqual(answer.read(), b"")
        client.request("GET", "/assets/large.bin",
                       headers={"Range": f"bytes={LARGE - 3}-"})
        answer = client.getresponse()
        self.assertEqual(answer.status, 206)
        self.assertEqual(answer.read(), content[-3:])
        client.request("HEAD", "/assets/a.txt")
        answer = client.getresponse()
        self.assertEqual(answer.getheader("Content-Length"), "10")
        answer.read()
        client.request("GET", "/assets/a.txt")
        self.assertEqual(client.getresponse().read(), b"0123456789")

    def test_middleware_and_reserved_paths(self):
        for target, marked in (("/count", True), ("/nothing", True),
                               ("/assets/a.txt", True), ("/healthz", False),
                               ("/v1/nothing", False)):
            with self.subTest(target=target):
                head = self.get(target).split(b"\r\n\r\n")[0]
                self.assertEqual(b"X-Mark: 1" in head, marked, head)
        answer = self.get("/count?refuse=1")
        self.assertIn(b"HTTP/1.1 403", answer)
        # Who is refused is not asked for the body.
        answer = self.raw(b"POST /upload?refuse=1 HTTP/1.1\r\nHost: x\r\n"
                          b"Content-Length: 1000\r\n"
                          b"Expect: 100-continue\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 403"), answer)

    def test_uploads(self):
        body = (b"--b\r\nContent-Disposition: form-data; name=\"file\"; "
                b"filename=\"x.bin\"\r\n\r\n" + b"\0" * 500000 +
                b"\r\n--b--\r\n")
        client = self.connection()
        client.request("POST", "/upload", body,
                       {"Content-Type": "multipart/form-data; boundary=b"})
        self.assertEqual(client.getresponse().read(), b"x.bin 500000")

        def chunks():
            for i in range(0, len(body), 70000):
                yield body[i:i + 70000]
        client.request("POST", "/upload", chunks(),
                       {"Content-Type": "multipart/form-data; boundary=b"},
                       encode_chunked=True)
        self.assertEqual(client.getresponse().read(), b"x.bin 500000")

    def test_a_dump_says_who_waits_for_what(self):
        with ThreadPoolExecutor(2) as pool:
            held = pool.submit(self.get, "/held", "X-Request-Id: one\r\n")
            hour = pool.submit(self.get, "/hour", "X-Request-Id: two\r\n")
            for name in ("one", "two"):
                self.web_.wait_for_line(f"{name}: in$", from_start=True)
            wait_until(lambda: self.threads("sync") == (1, 0, 0), 10)
            self.web_.signal(signal.SIGUSR1)
            pid = children_of(self.web_.pid)[0]
            for words in (r"2 requests under way, 0 detached; threads: 0 at "
                          r"work, 0 calls wait; of sync views: 1 at work, 0 ",
                          r"GET /held \(one\): waiting for sync view, \d+ ms, "
                          r"\d+ ms left",
                          r"GET /hour \(two\): waiting for sleep, \d+ ms, "):
                self.web_.wait_for_line(rf" pit-web\[{pid}\] dump: .*{words}",
                                        from_start=True)
            self.put("go", b"")
            self.assertIn(b"released", held.result(20))
            os.kill(pid, signal.SIGKILL)  # nobody waits for an hour
            hour.exception(20)

    def test_sync_views_keep_no_file_waiting(self):
        """Nor another view: as many as there are threads, and one more."""
        with ThreadPoolExecutor(5) as pool:
            held = [pool.submit(self.get, "/held") for _ in range(5)]
            wait_until(lambda: self.threads("sync") == (4, 1, 0), 10)
            answer = self.get("/assets/a.txt")
            self.assertTrue(answer.endswith(b"0123456789"), answer)
            self.assertFalse(any(future.done() for future in held))
            self.put("go", b"")
            for future in held:
                self.assertIn(b"released", future.result(20))
        wait_until(lambda: self.threads("sync") == (0, 0, 0), 10)

    def test_a_missing_folder_is_an_error_at_start(self):
        os.unlink(os.path.join(self.files, "a.txt"))
        os.rmdir(self.files)
        web = self.web(self.redis(aof="no"), app=APP, cwd=self.dir, ready=None)
        self.assertEqual(web.popen.wait(20), 2)
        self.assertIn("site-files", web.log())


class FewThreads(Base):
    FLAGS = ("--sync-threads", "1", "--sync-queue", "1", "--threads", "1",
             "--view-timeout", "400ms")

    def test_one_too_many(self):
        with ThreadPoolExecutor(2) as pool:
            held = pool.submit(self.get, "/held")
            wait_until(lambda: self.threads("sync") == (1, 0, 0), 10)
            # One that only waits ends with its deadline.
            waiting = pool.submit(self.get, "/held")
            wait_until(lambda: self.threads("sync") == (1, 1, 0), 10)
            answer = self.get("/held")
            self.assertTrue(answer.startswith(b"HTTP/1.1 503"), answer)
            self.assertIn(b"Retry-After:", answer)
            self.assertIn(b"all threads for a sync view are busy", answer)
            self.assertIn(b"HTTP/1.1 504", waiting.result(20))
            self.assertFalse(held.done())
            self.put("go", b"")
            self.assertIn(b"HTTP/1.1 504", held.result(20))
        wait_until(lambda: self.threads("sync") == (0, 0, 1), 10)

    def test_a_slow_client_takes_no_time_of_the_view(self):
        with socket.create_connection(("127.0.0.1", self.web_.port),
                                      20) as wire:
            wire.sendall(b"POST /size HTTP/1.1\r\nHost: x\r\n"
                         b"Connection: close\r\nContent-Length: 4\r\n\r\nab")
            self.web_.wait_for_line("in$")
            time.sleep(0.6)  # longer than the timeout
            wire.sendall(b"cd")
            self.assertIn(b"HTTP/1.1 200", wire.recv(65536))
        self.put("large.bin", bytes(LARGE))
        with socket.create_connection(("127.0.0.1", self.web_.port),
                                      20) as wire:
            wire.sendall(b"GET /assets/large.bin HTTP/1.1\r\nHost: x\r\n"
                         b"Connection: close\r\n\r\n")
            got = len(wire.recv(1000))
            time.sleep(0.6)
            while piece := wire.recv(1 << 20):
                got += len(piece)
        self.assertGreater(got, LARGE)


if __name__ == "__main__":
    unittest.main()
