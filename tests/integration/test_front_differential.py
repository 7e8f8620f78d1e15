"""The front beside other servers' parsers: no message is understood in two ways.

A few hundred messages, most of them odd, go to pit-web directly, through nginx
and through haproxy; http-parser and node's llhttp say how they read the same
bytes. Each message carries what would be a second request if its end were
taken to be elsewhere.

  - What pit-web takes, no other parser that takes it reads differently.
  - What two of them read differently, pit-web refuses.
  - Behind a proxy pit-web sees exactly the requests that the proxy has sent.

What is not installed is left out.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import unittest

from pitharness import (BUILD_DIR, SLOWNESS, SOURCE_DIR, PitTestCase, Process,
                        free_port, program_path, wait_until)

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
HAPROXY = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
NODE = shutil.which("node")
HTTP_PARSER = os.path.join(BUILD_DIR, "bin", "peer-http-parser")


def messages():
    """Each message's bytes; NAME in them is replaced by its number."""
    get = b"GET /echo/NAME HTTP/1.1\r\nHost: a\r\n\r\n"
    smuggled = b"GET /echo/sNAME HTTP/1.1\r\nHost: a\r\n\r\n"
    found = [get, get + smuggled, b"\r\n\r\n" + get]

    def head(*fields, method=b"POST", version=b"HTTP/1.1", end=b"\r\n"):
        lines = [method + b" /echo/NAME " + version, b"Host: a", *fields]
        return end.join(lines) + end + end

    # Methods, versions, the request line.
    for method in (b"GET", b"HEAD", b"PUT", b"PATCH", b"DELETE", b"OPTIONS",
                   b"TRACE", b"CONNECT", b"get", b"G\x00T", b"FOO", b"", b"P@T",
                   b"PROPFIND", b"PRI", b"M-SEARCH"):
        found.append(head(method=method) + smuggled)
    for version in (b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9",
                    b"HTTP/1.1 ", b" HTTP/1.1", b"HTTP/1.10", b"HTTP/01.1",
                    b"http/1.1", b"HTTP/1", b"", b"HTTP/1.1\x00", b"ICE/1.0",
                    b"HTTP/1.1\t", b"HTTP /1.1", b"HTTP/+1.1"):
        found.append(head(version=version) + smuggled)
    for line in (b"GET  /echo/NAME HTTP/1.1", b"GET\t/echo/NAME HTTP/1.1",
                 b" GET /echo/NAME HTTP/1.1", b"GET /echo/NAME\tHTTP/1.1",
                 b"GET /echo/NA ME HTTP/1.1", b"GET /echo/NAME#x HTTP/1.1",
                 b"GET /echo/NAME\x01 HTTP/1.1", b"GET /echo/NAME\xff HTTP/1.1",
                 b"GET echo/NAME HTTP/1.1", b"GET http://a/echo/NAME HTTP/1.1",
                 b"GET http://b/echo/NAME HTTP/1.1", b"GET * HTTP/1.1",
                 b"GET //a/echo/NAME HTTP/1.1", b"GET ?NAME HTTP/1.1",
                 b"GET /echo/NAME?a=b HTTP/1.1", b"GET /echo\\NAME HTTP/1.1",
                 b"GET /echo/%4eNAME HTTP/1.1", b"GET /echo/%zzNAME HTTP/1.1",
                 b"GET /echo/%00NAME HTTP/1.1", b"GET /echo/{NAME} HTTP/1.1",
                 b"GET /./echo/../echo/NAME HTTP/1.1", b"GET /echo/NAME",
                 b"GET http://a@b/echo/NAME HTTP/1.1",
                 b"GET a:80 HTTP/1.1", b"GET https://a/echo/NAME HTTP/1.1"):
        found.append(line + b"\r\nHost: a\r\n\r\n" + smuggled)

    # Lines.
    for end in (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\x0b\r\n", b"\x0c\r\n",
                b"\x85", b"\0\r\n"):
        found.append(head(b"Content-Length: 0", end=end) + smuggled)
        found.append(get[:-4] + end + b"X: y\r\n\r\n" + smuggled)
        found.append(get[:-2] + end + smuggled)
    for field in (b"X : y", b"X\t: y", b" X: y", b"\tX: y", b": y", b"X",
                  b"X y: z", b"X(: y", b"X\x00: y", b"X: a\x00b", b"X: a\x01b",
                  b"X: a\x7fb", b"X: a\xffb", b"X: a\rb", b"X: a\nb",
                  b"X: a\r\n b", b"X: a\r\n\tb", b"X:", b"X: \t y \t ",
                  b"X\xff: y", b"\xffX: y", b"X\r: y", b"X:\r\n y", b"\r\n"):
        found.append(head(field, method=b"GET") + smuggled)

    # Hosts.
    for host in (b"Host: a\r\nHost: a", b"Host: a\r\nHost: b", b"X: y",
                 b"Host:", b"Host: a b", b"Host: a/b", b"Host: a@b",
                 b"Host: a,b", b"Host: a:b", b"Host: a:99999", b"Host: a:",
                 b"Host: [::1]", b"Host: [::1", b"Host: a?b", b"Host : a",
                 b"Host: a\r\nhost: a", b"Host: http://a", b"Host: a\x0bb"):
        found.append(b"GET /echo/NAME HTTP/1.1\r\n" + host + b"\r\n\r\n" +
                     smuggled)
    found.append(b"GET /echo/NAME HTTP/1.0\r\n\r\n" + smuggled)

    # Lengths. The body is the second request, to whoever sees no body.
    n = b"%d" % len(smuggled)
    for length in (n, b"+" + n, b"-" + n, b"0" + n, b"0x" + n, n + b" ",
                   n + b"," + n, n + b", " + n, b"", n + b"a", b"1e1",
                   b"\t" + n, b"\x0b" + n, n + b"\x00", b"9" * 20,
                   b"18446744073709551616", b"4294967296", n + b";q=1",
                   b"\"" + n + b"\"", b"0", b"5"):
        found.append(head(b"Content-Length: " + length) + smuggled)
        found.append(head(b"content-length:" + length,
                          method=b"GET") + smuggled)
    for pair in ((n, n), (n, b"0"), (b"0", n), (b"5", n)):
        found.append(head(b"Content-Length: " + pair[0],
                          b"Content-Length: " + pair[1]) + smuggled)
    for name in (b"Content_Length", b"Content-Length ", b"Content-Length\t",
                 b"Content-\x00Length", b"X\nContent-Length"):
        found.append(head(name + b": " + n) + smuggled)

    # Transfer codings, beside lengths and versions.
    chunked = b"5\r\nhello\r\n0\r\n\r\n"
    for coding in (b"chunked", b"Chunked", b"CHUNKED", b" chunked ",
                   b"chunked,", b",chunked", b"chunked, chunked",
                   b"gzip, chunked", b"chunked, gzip", b"identity",
                   b"identity, chunked", b"gzip", b"x", b"", b"chunke",
                   b"chunkedx", b"\x0bchunked", b"chunked\x0b", b"chunked;q=1",
                   b"\"chunked\"", b"'chunked'", b"chunked\x00", b"xchunked",
                   b"chunked\r\n , x", b"\r\n chunked"):
        field = b"Transfer-Encoding:" + coding
        found.append(head(field) + chunked + smuggled)
        found.append(head(field, b"Content-Length: " +
                          b"%d" % len(chunked)) + chunked + smuggled)
        found.append(head(b"Content-Length: 3", field) + chunked + smuggled)
        found.append(head(field, version=b"HTTP/1.0") + chunked + smuggled)
        found.append(head(field, method=b"GET") + chunked + smuggled)
    for name in (b"Transfer-Encoding ", b"Transfer_Encoding",
                 b" Transfer-Encoding", b"Transfer-Encoding\x00",
                 b"TRANSFER-ENCODING", b"X: y\nTransfer-Encoding",
                 b"Transfer-\r\n Encoding"):
        found.append(head(name + b": chunked", b"Content-Length: " + n) +
                     smuggled)
    found.append(head(b"Transfer-Encoding: chunked",
                      b"Transfer-Encoding: identity") + chunked + smuggled)
    found.append(head(b"Transfer-Encoding: identity",
                      b"Transfer-Encoding: chunked") + chunked + smuggled)

    # Chunks.
    for body in (b"5\r\nhello\r\n0\r\n\r\n", b"05\r\nhello\r\n0\r\n\r\n",
                 b"5\nhello\n0\n\n", b"5\r\nhello\r\n0\r\n\n",
                 b"5 \r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
                 b"5\t\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n",
                 b"+5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n",
                 b"5;a=b\r\nhello\r\n0\r\n\r\n", b"5;\r\nhello\r\n0\r\n\r\n",
                 b"5 ;a\r\nhello\r\n0\r\n\r\n",
                 b"5;a\nb\r\nhello\r\n0\r\n\r\n",
                 b"5;a\rb\r\nhello\r\n0\r\n\r\n",
                 b"5;\"\r\n\"\r\nhello\r\n0\r\n\r\n",
                 b"5\r\nhello0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n",
                 b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello\r\n00\r\n\r\n",
                 b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
                 b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
                 b"5\r\nhello\r\n0\r\nX: y\n\r\n",
                 b"5\r\nhello\r\n0\r\n X: y\r\n\r\n",
                 b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
                 b"5\r\nhello\r\n0\r\n", b"5\r\nhel", b"\r\n", b"g\r\n",
                 b"10000000000000000\r\nhello\r\n0\r\n\r\n",
                 b"100000005\r\nhello\r\n0\r\n\r\n",
                 b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
                 b"A\r\n0123456789\r\n0\r\n\r\n", b"0\r\n\r\n", b"5\r\r\n",
                 b"5\r\nhello\r\n0;x\r\n\r\n", b"5_\r\nhello\r\n0\r\n\r\n",
                 b"5\x00\r\nhello\r\n0\r\n\r\n", b"5,5\r\nhello\r\n0\r\n\r\n"):
        found.append(head(b"Transfer-Encoding: chunked") + body + smuggled)

    # What is said about the connection.
    for field in (b"Connection: close", b"Connection: keep-alive",
                  b"Connection: Content-Length", b"Connection: upgrade",
                  b"Connection: close, Host", b"Expect: 100-continue",
                  b"Expect: 200-ok", b"Upgrade: h2c",
                  b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c"):
        found.append(head(field, b"Content-Length: " + n) + smuggled)
    found.append(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + smuggled)
    return [text.replace(b"NAME", b"%d" % i) for i, text in enumerate(found)]


MESSAGES = messages()


def ask(port, message, patience=5.0):
    """All that a server answers; the client has closed its sending half."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.settimeout(patience * SLOWNESS)
        try:
            client.sendall(message)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                answer += piece
        except (ConnectionError, socket.timeout):
            pass
    return answer


def understood(answer):
    """What the echo view said, and whether a refusal followed."""
    seen = [(m.decode("latin-1"), int(n)) for m, n in re.findall(
        rb"^([A-Z-]+ \S+) (\d+)\r?$", answer, re.M)]
    return seen, re.search(rb"^HTTP/1\.\d [45]", answer, re.M) is not None


class Differential(PitTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        store = self.redis(aof="no")
        self.access = os.path.join(self.dir, "access.log")
        self.front = self.web(
            store, app="tests/fixtures/front_app.so",
            flags=["--access-log", self.access, "--log-json"])

    def served(self):
        """The paths that were answered with 200, by message."""
        by_message = {}
        with open(self.access, encoding="utf-8") as log:
            for line in log:
                entry = json.loads(line)
                found = re.fullmatch(r"/echo/(s?)(\d+)", entry["path"])
                if found and entry["status"] == 200:
                    by_message.setdefault(int(found.group(2)), []).append(
                        f"{entry['method']} {entry['path']}")
        return by_message

    def front_says(self):
        return [understood(ask(self.front.port, text)) for text in MESSAGES]

    def http_parser_says(self):
        if not os.path.exists(HTTP_PARSER):
            return None
        text = b"".join(b"%d\n%s" % (len(one), one) for one in MESSAGES)
        lines = subprocess.run([HTTP_PARSER], input=text, check=True,
                               capture_output=True).stdout.splitlines()
        says = []
        for line in lines:
            parts = line.decode("latin-1").split("\t")
            seen = [(one.rpartition(" ")[0], int(one.rpartition(" ")[2]))
                    for one in parts if one and one != "!"]
            says.append((seen, parts[-1] == "!"))
        self.assertEqual(len(says), len(MESSAGES))
        return says

    def llhttp_says(self):
        if not NODE:
            return None
        port = free_port()
        node = Process([NODE, os.path.join(SOURCE_DIR, "tests", "peers",
                                           "llhttp.js"), str(port)],
                       os.path.join(self.dir, "node.log"))
        self.addCleanup(node.close)
        wait_until(lambda: ask(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
        return [understood(ask(port, text)) for text in MESSAGES]

    def agree(self, ours, theirs):
        """True when one understood no more than a part of what the other has:
        the rest was refused, or nothing came of it."""
        ours, theirs = self.shown(ours), self.shown(theirs)
        n = min(len(ours), len(theirs))
        return ours[:n] == theirs[:n]

    def shown(self, seen):
        """Without those whose answer has no body that could say so."""
        return [one for one in seen
                if one[0].split()[0] not in ("HEAD", "OPTIONS")]

    def test_parsers(self):
        ours = self.front_says()
        accepted = sum(1 for seen, _ in ours if seen)
        self.assertGreater(accepted, 20)
        self.assertGreater(len(ours) - accepted, 150)
        peers = {"http-parser": self.http_parser_says(),
                 "llhttp": self.llhttp_says()}
        peers = {name: says for name, says in peers.items() if says}
        if not peers:
            self.skipTest("neither libhttp-parser-dev nor node is installed")
        wrong = []
        for i, (seen, refused) in enumerate(ours):
            for name, says in peers.items():
                if seen and not self.comparable(i):
                    continue
                if not self.agree(seen, says[i][0]):
                    wrong.append((name, MESSAGES[i], seen, says[i]))
            if len(peers) == 2:
                first, second = (says[i][0] for says in peers.values())
                if not self.agree(first, second) and not refused and seen:
                    wrong.append(("they differ", MESSAGES[i], first, second))
        self.assertEqual(wrong, [])

    def comparable(self, i):
        """Where the echo view answers, and shows the target as it came."""
        return re.search(rb"^[A-Z]+ /echo/\d+ ", MESSAGES[i])

    def through(self, port, sent):
        """@sent(): the requests that a proxy has forwarded and that were
        answered with 200, as (method, path)."""
        before = self.served()
        self.assertEqual(before, {})
        for text in MESSAGES:
            ask(port, text, patience=2.0)

        def complete():
            got, forwarded = self.served(), {}
            for method, path in sent():
                found = re.fullmatch(r"(?:https?://a)?/echo/(s?)(\d+)(?:\?.*)?", path)
                if found:
                    forwarded.setdefault(int(found.group(2)), []).append(
                        f"{method} /echo/{found.group(1)}{found.group(2)}")
            return got if got == forwarded else None
        try:
            got = wait_until(complete, 5, "the proxy's log to say the same")
        except AssertionError:
            got, forwarded = self.served(), list(sent())
            differing = [(i, MESSAGES[i], got.get(i)) for i in
                         range(len(MESSAGES)) if got.get(i, []) != [
                             f"{m} {p}" for m, p in forwarded
                             if re.fullmatch(rf".*/echo/s?{i}", p)]]
            self.fail(f"{differing}")
        self.assertGreater(sum(map(len, got.values())), 20)

    @unittest.skipUnless(NGINX, "nginx is not installed")
    def test_behind_nginx(self):
        port, log = free_port(), os.path.join(self.dir, "nginx.log")
        config = os.path.join(self.dir, "nginx.conf")
        with open(config, "w", encoding="ascii") as out:
            out.write(f"""
daemon off; worker_processes 1; pid {self.dir}/nginx.pid;
error_log {self.dir}/nginx-error.log;
events {{ worker_connections 256; }}
http {{
  log_format sent '$request_method $request_uri $upstream_status';
  access_log {log} sent;
  client_body_temp_path {self.dir}/b; proxy_temp_path {self.dir}/p;
  fastcgi_temp_path {self.dir}/f; uwsgi_temp_path {self.dir}/u;
  scgi_temp_path {self.dir}/s;
  upstream front {{ server 127.0.0.1:{self.front.port}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://front; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_ignore_client_abort on; proxy_request_buffering off;
    }}
  }}
}}""")
        nginx = Process([NGINX, "-c", config, "-p", self.dir],
                        os.path.join(self.dir, "nginx-out.log"))
        self.addCleanup(nginx.close)
        wait_until(lambda: ask(port, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"))

        def sent():
            with open(log, encoding="latin-1") as lines:
                for line in lines:
                    words = line.split()
                    if len(words) == 3 and words[2] == "200":
                        yield words[0], words[1]
        self.through(port, sent)

    @unittest.skipUnless(HAPROXY, "haproxy is not installed")
    def test_behind_haproxy(self):
        port, config = free_port(), os.path.join(self.dir, "haproxy.cfg")
        lines = []
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        with open(config, "w", encoding="ascii") as out:
            out.write(f"""
global
  log 127.0.0.1:{receiver.getsockname()[1]} len 4096 format raw local0
defaults
  mode http
  log global
  log-format "%HM %HU %ST %s"
  timeout connect 2s
  timeout client 5s
  timeout server 5s
  option http-keep-alive
  http-reuse always
frontend in
  bind 127.0.0.1:{port}
  default_backend out
backend out
  server front 127.0.0.1:{self.front.port}
""")
        haproxy = Process([HAPROXY, "-db", "-f", config],
                          os.path.join(self.dir, "haproxy.log"))
        self.addCleanup(haproxy.close)
        stop = threading.Event()

        def listen():
            while not stop.is_set():
                try:
                    lines.append(receiver.recv(65536).decode("latin-1"))
                except OSError:
                    continue
        thread = threading.Thread(target=listen)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)
        wait_until(lambda: ask(port, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"))

        def sent():
            for line in list(lines):
                words = line.split()
                if len(words) == 4 and words[2] == "200" and \
                        words[3] == "front":
                    yield words[0], words[1]
        self.through(port, sent)


if __name__ == "__main__":
    program_path("pit-web")
    unittest.main()
