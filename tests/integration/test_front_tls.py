"""pit-web with TLS, and behind proxies: real sockets, real certificates."""

import json
import os
import signal
import socket
import ssl
import subprocess
import unittest

from pitharness import (Http, PitTestCase, children_of, free_port, is_running,
                        program_path, wait_until)


def make_certificate(folder, name):
    cert = os.path.join(folder, "cert.pem")
    key = os.path.join(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
         key, "-out", cert], check=True, capture_output=True)
    return cert, key


class Tls(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.cert, self.key = make_certificate(self.dir, "first")
        self.port = free_port()

    def start(self, *flags, processes=1):
        front = self.program("pit-web", [
            "--redis", self.store.url, "--processes", processes,
            "--listen", f"https://127.0.0.1:{self.port}",
            "--tls-cert", self.cert, "--tls-key", self.key, *flags])
        front.wait_for_line("listening on https://127.0.0.1")
        wait_until(lambda: b" 200 " in self.ask())
        return front

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.cert)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def connect(self, context=None, session=None):
        plain = socket.create_connection(("127.0.0.1", self.port), 20)
        return (context or self.context()).wrap_socket(
            plain, server_hostname="127.0.0.1", session=session)

    def ask(self, path="/healthz", **kwargs):
        with self.connect(**kwargs) as tls:
            tls.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                        "Connection: close\r\n\r\n".encode())
            answer = b""
            while piece := tls.recv(65536):
                answer += piece
            return answer

    def name(self):
        """The server's certificate, by its name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.cert)
        with self.connect(context) as tls:
            subject = dict(pair[0] for pair in tls.getpeercert()["subject"])
            return subject["commonName"]

    def test_speaks_http(self):
        self.start()
        with self.connect() as tls:
            self.assertEqual(tls.selected_alpn_protocol(), "http/1.1")
            self.assertIn(tls.version(), ("TLSv1.2", "TLSv1.3"))
            for _ in range(3):
                tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertIn(b" 200 ", tls.recv(65536))
        # An http client on that port is told.
        self.assertIn("HTTPS", Http(self.port).get("/healthz").text())

    def test_tickets_are_good_in_every_process(self):
        self.start(processes=3)
        context = self.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.connect(context) as first:
            session = first.session
        for _ in range(12):
            with self.connect(context, session) as again:
                self.assertTrue(again.session_reused)

    def test_certificate_is_reloaded(self):
        front = self.start(processes=2)
        self.assertEqual(self.name(), "first")
        before = children_of(front.pid)
        make_certificate(self.dir, "second")
        front.signal(signal.SIGHUP)
        front.wait_for_line("reloaded")
        wait_until(lambda: not any(is_running(pid) for pid in before), 20)
        self.assertEqual(self.name(), "second")
        # A key that does not fit: the processes stay.
        with open(self.cert, "rb") as good:
            kept = good.read()
        folder = os.path.join(self.dir, "other")
        os.mkdir(folder)
        other, _ = make_certificate(folder, "third")
        os.replace(other, self.cert)
        front.signal(signal.SIGHUP)
        front.wait_for_line("--tls-key .*")
        front.wait_for_line("reload refused")
        with open(self.cert, "wb") as out:
            out.write(kept)
        self.assertEqual(self.name(), "second")

    def test_bad_settings(self):
        there = ["--listen", f"https://127.0.0.1:{self.port}"]
        rows = [
            (there, "needs --tls-cert"),
            (there + ["--tls-cert", self.cert], "--tls-key is missing"),
            (there + ["--tls-cert", self.cert, "--tls-key", self.cert],
             "--tls-key"),
            (there + ["--tls-cert", "/nowhere", "--tls-key", self.key],
             "/nowhere"),
            (["--listen", f"127.0.0.1:{self.port}", "--tls-cert", self.cert,
              "--tls-key", self.key], "of no use"),
            (["--listen", "gopher://127.0.0.1:70"], "gopher"),
            (["--trusted-proxy", "10.0.0.0/33"], "10.0.0.0/33"),
            (["--proxy-header", "x-real-ip"], "x-real-ip"),
        ]
        for flags, words in rows:
            with self.subTest(flags=flags):
                if "--listen" not in flags:
                    flags = flags + ["--listen", f"127.0.0.1:{self.port}"]
                process = self.program("pit-web", flags)
                self.assertEqual(process.wait_exit(), 2, process.log())
                lines = [line for line in process.log().splitlines()
                         if " info " not in line]
                self.assertEqual(len(lines), 1, lines)
                self.assertIn(words, lines[0])


class Proxies(PitTestCase):
    def logged(self, headers, *flags):
        """What the access log says of a request with such headers."""
        store = self.redis(aof="no")
        path = os.path.join(self.dir, f"access-{len(os.listdir(self.dir))}")
        front = self.web(store, flags=["--access-log", path, "--log-json",
                                       *flags])
        answer = front.http.get("/v1/x", headers=headers)

        def entry():
            with open(path, encoding="utf-8") as log:
                found = [json.loads(line) for line in log]
            return [one for one in found if one["path"] == "/v1/x"]
        return answer, wait_until(entry, 5)[0]

    def test_trusted_or_not(self):
        headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https",
                   "X-Forwarded-Host": "shop.example",
                   "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
        answer, entry = self.logged(headers)
        self.assertEqual(answer.status, 404)
        self.assertEqual((entry["peer"], entry["scheme"]),
                         ("127.0.0.1", "http"))
        self.assertEqual(entry["traceparent"], headers["traceparent"])
        self.assertEqual(entry["request_id"], answer.headers["X-Request-Id"])
        answer, entry = self.logged(headers, "--trusted-proxy", "127.0.0.0/8")
        self.assertEqual((entry["peer"], entry["scheme"], entry["host"]),
                         ("192.0.2.7", "https", "shop.example"))
        answer, entry = self.logged(
            {"Forwarded": "for=192.0.2.8;proto=https", **headers},
            "--trusted-proxy", "127.0.0.0/8", "--proxy-header", "forwarded")
        self.assertEqual(entry["peer"], "192.0.2.8")

    def test_a_bad_host_from_the_proxy(self):
        answer, _ = self.logged({"X-Forwarded-Host": "a b"},
                                "--trusted-proxy", "127.0.0.1")
        self.assertEqual(answer.status, 400)


if __name__ == "__main__":
    program_path("pit-web")
    unittest.main()
