"""pit.callback: what is sent, how it is signed, what an answer leads to."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
import unittest

from pitharness import SLOWNESS, PitTestCase, wait_until
from pitqueue import Queue
from pitstandin import Upstream

OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
LOOPBACK = ["--webhook-allow", "127.0.0.0/8"]
EVENT = {"type": "job.succeeded", "id": "mail.1", "result": {"n": 1.50}}


def signature(secret, request):
    """Standard Webhooks 1.0, written down once more."""
    key = base64.b64decode(secret[len("whsec_"):])
    text = b".".join([request.headers["webhook-id"].encode(),
                      request.headers["webhook-timestamp"].encode(),
                      request.body])
    mac = hmac.new(key, text, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


class Raw:
    """A server that answers each connection with fixed bytes and a habit."""

    def __init__(self, answer=b"", drip=0.0, reset=False, hang=False):
        self.answer, self.drip = answer, drip
        self.reset, self.hang = reset, hang
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = 0
        self.kept = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.one, args=(connection,),
                             daemon=True).start()

    def one(self, connection):
        try:
            connection.recv(65536)
            if self.hang:
                self.kept.append(connection)
                return
            if self.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      b"\1\0\0\0\0\0\0\0")
                connection.close()
                return
            for byte in self.answer if self.drip else ():
                connection.sendall(bytes([byte]))
                time.sleep(self.drip)
            if not self.drip:
                connection.sendall(self.answer)
            connection.close()
        except OSError:
            pass

    def close(self):
        self.socket.close()


class CallbackCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.redis(aof="no")
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, "default")

    def start(self, flags=LOOPBACK, secret=NEW):
        if secret:
            flags = ["--webhook-secret", secret] + list(flags)
        worker = self.worker(self.server, slots=1, flags=flags)
        worker.wait_for_line(r"ready: worker")
        return worker

    def upstream(self, **kwargs):
        upstream = Upstream(**kwargs)
        self.addCleanup(upstream.close)
        return upstream

    def raw(self, **kwargs):
        server = Raw(**kwargs)
        self.addCleanup(server.close)
        return server

    def callback(self, url, event=None, **options):
        options.setdefault("retries", 0)
        return self.queue.enqueue(
            "pit.callback", {"url": url, "event": event or EVENT}, **options)

    def failure(self, job):
        return self.queue.wait_code(job, "D").history[-1].message


class Sending(CallbackCase):
    def test_is_signed(self):
        upstream = self.upstream()
        self.start()
        job = self.callback(upstream.url + "/hook?x=1")
        self.queue.wait_code(job, "S")
        (request,) = upstream.requests
        self.assertEqual((request.method, request.path), ("POST", "/hook?x=1"))
        self.assertEqual(request.headers["content-type"], "application/json")
        self.assertEqual(request.headers["webhook-id"], f"default.{job}")
        self.assertLess(abs(int(request.headers["webhook-timestamp"]) -
                            time.time()), 5)
        self.assertEqual(request.headers["webhook-signature"],
                         signature(NEW, request))
        # The very bytes that were enqueued: a number keeps its digits.
        self.assertEqual(request.body.decode(), json.dumps(EVENT))
        self.assertEqual(self.queue.result(job), {"code": 200})

    def test_two_secrets_sign_both(self):
        upstream = self.upstream()
        self.start(secret=f"{NEW},{OLD}")
        self.queue.wait_code(self.callback(upstream.url), "S")
        (request,) = upstream.requests
        self.assertEqual(request.headers["webhook-signature"],
                         f"{signature(NEW, request)} {signature(OLD, request)}")

    def test_without_a_secret_nothing_is_sent(self):
        upstream = self.upstream()
        self.start(secret=None)
        self.assertRegex(self.failure(self.callback(upstream.url)),
                         "--webhook-secret")
        self.assertEqual(upstream.requests, [])

    def test_repeats_have_the_same_id(self):
        upstream = self.upstream(status=500)
        self.start()
        job = self.callback(upstream.url, retries=2, backoff_ms=10)
        self.assertRegex(self.failure(job), "answered 500")
        self.assertEqual({r.headers["webhook-id"] for r in upstream.requests},
                         {f"default.{job}"})
        self.assertEqual(len(upstream.requests), 3)

    def test_bad_secret_is_told_at_start(self):
        worker = self.worker(self.server,
                             flags=["--webhook-secret", "hunter2"])
        worker.assert_exit(2)
        self.assertRegex(worker.log(), "--webhook-secret: a secret is whsec_")
        self.assertNotIn("hunter2", worker.log())

    def test_args_that_make_no_sense(self):
        self.start()
        for args in ({}, [], {"url": "http://x"}, {"event": 1}, {"url": 3}):
            job = self.queue.enqueue("pit.callback", args)
            self.assertRegex(self.failure(job), "pit.callback takes")


class EndToEnd(CallbackCase):
    def enqueue(self, task, args, letters, url, retries=0):
        record = (f"15+ {int(time.time() * 1000)} {task} r{retries} "
                  f"c{letters},{url}\n{json.dumps(args)}")
        queue = Queue(self.client, "default")
        queue.record = lambda *_, **__: record
        return queue.enqueue(task)

    def test_jobs_tell_how_they_ended(self):
        upstream = self.upstream()
        self.start()
        good = self.enqueue("echo", {"x": 1}, "SD", upstream.url)
        bad = self.enqueue("fail", {"message": "no wood"}, "D", upstream.url)
        self.enqueue("echo", {"x": 2}, "D", upstream.url)
        upstream.wait_requests(2)
        events = {json.loads(r.body)["id"]: (json.loads(r.body), r)
                  for r in upstream.requests}
        event, request = events[f"default.{good}"]
        self.assertEqual((event["type"], event["task"], event["queue"],
                          event["state"], event["result"]),
                         ("job.succeeded", "echo", "default", "succeeded",
                          {"x": 1}))
        self.assertEqual(request.headers["webhook-signature"],
                         signature(NEW, request))
        event, request = events[f"default.{bad}"]
        self.assertEqual((event["type"], event["state"]), ("job.dead", "dead"))
        self.assertIn("no wood", json.dumps(event["error"]))
        self.assertEqual(len(events), 2)


class Targets(CallbackCase):
    def test_private_addresses_are_refused(self):
        upstream = self.upstream()
        self.start(flags=[])
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]",
                     "0x7f000001", "2130706433"):
            job = self.callback(f"http://{host}:{upstream.port}/", retries=3)
            self.assertRegex(self.failure(job), "is no public address", host)
            self.assertEqual(self.queue.state(job).attempt, 1)
        for url in ("http://10.0.0.1/", "http://169.254.169.254/latest/",
                    "http://192.168.0.1/", "http://[::1]:1/",
                    "http://[fe80::1]/", "http://0.0.0.0/"):
            self.assertRegex(self.failure(self.callback(url)),
                             "is no public address", url)
        self.assertEqual(upstream.requests, [])

    def test_only_http(self):
        self.start()
        for url in ("file:///etc/passwd", "gopher://127.0.0.1/", "nonsense://",
                    "http://user:pass@127.0.0.1/"):
            state = self.queue.wait_code(self.callback(url, retries=3), "D")
            self.assertEqual(state.attempt, 1, url)

    def test_redirects_are_not_followed(self):
        inner = self.upstream()
        upstream = self.upstream(status=302, headers={"Location": inner.url})
        self.start()
        self.assertRegex(self.failure(self.callback(upstream.url)),
                         "answered 302; redirects are not followed")
        self.assertEqual(inner.requests, [])

    def test_410_is_final(self):
        upstream = self.upstream(status=410)
        self.start()
        state = self.queue.wait_code(
            self.callback(upstream.url, retries=5, backoff_ms=10), "D")
        self.assertEqual(state.attempt, 1)
        self.assertRegex(state.history[0].message, "410")

    def test_retry_after_is_honoured(self):
        upstream = self.upstream(status=503, headers={"Retry-After": "2"})
        self.start()
        job = self.callback(upstream.url, retries=1, backoff_ms=10)
        state = self.queue.wait_code(job, "D")
        self.assertGreaterEqual(
            state.history[1].started - state.history[0].ended, 1990)

    def test_any_2xx_is_a_success(self):
        upstream = self.upstream(status=204, body=b"")
        self.start()
        job = self.callback(upstream.url)
        self.queue.wait_code(job, "S")
        self.assertEqual(self.queue.result(job), {"code": 204})

    def test_endless_answer_is_cut_off(self):
        raw = self.raw(answer=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70000)
        self.start()
        self.queue.wait_code(self.callback(f"http://127.0.0.1:{raw.port}/"),
                             "S")

    def test_reset_is_a_failure(self):
        raw = self.raw(reset=True)
        self.start()
        job = self.callback(f"http://127.0.0.1:{raw.port}/", retries=1,
                            backoff_ms=10)
        self.assertRegex(self.failure(job), "fetch: ")
        self.assertEqual(raw.connections, 2)

    def test_nobody_listens(self):
        upstream = self.upstream()
        upstream.stop()
        self.start()
        self.assertRegex(self.failure(self.callback(upstream.url)), "fetch: ")

    def test_hanging_and_dripping_targets_hold_nobody_up(self):
        hang = self.raw(hang=True)
        drip = self.raw(answer=b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 999,
                        drip=0.05)
        good = self.upstream()
        self.start()
        slow = [self.callback(f"http://127.0.0.1:{server.port}/",
                              timeout_ms=1500)
                for server in (hang, drip) for _ in range(5)]
        wait_until(lambda: hang.connections == 5 and drip.connections == 5, 5)
        begin = time.monotonic()
        self.queue.wait_code(self.callback(good.url), "S")
        self.assertLess(time.monotonic() - begin, 1 * SLOWNESS)
        for job in slow:
            self.assertEqual(self.queue.wait_code(job, "D").history[0].outcome,
                             "t")


if __name__ == "__main__":
    unittest.main()
