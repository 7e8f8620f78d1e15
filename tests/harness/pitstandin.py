"""Stand-ins for third parties: an HTTP server and a mail server, in process.

Each listens on a free port of 127.0.0.1 on threads of the test's own process,
remembers what it was asked, and misbehaves as it is told to. close() ends it.

    upstream = Upstream(delay=0.5)
    mail = MailServer()
    self.addCleanup(upstream.close)
    self.addCleanup(mail.close)
"""

import email
import email.policy
import http.server
import socket
import socketserver
import threading
import time

from pitharness import wait_until


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a client that went away is what some tests want


class _StandIn:
    """Runs a server; keeps its port when it is stopped and started again."""

    def __init__(self):
        self.lock = threading.Lock()
        self.port = 0
        self.server = None
        self.start()

    def handler(self):
        raise NotImplementedError

    def start(self):
        self.server = _Server(("127.0.0.1", self.port), self.handler())
        self.server.owner = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()

    def stop(self):
        """Nobody listens any more: connections are refused until start()."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    close = stop


class Request:
    """What an Upstream was asked."""

    def __init__(self, method, path, headers, body):
        self.method, self.path = method, path
        self.headers, self.body = headers, body
        self.at = time.monotonic()

    def __repr__(self):
        return f"<{self.method} {self.path}>"


class Upstream(_StandIn):
    """A third party over HTTP. @status, @body and @delay (seconds) may be
    changed at any time; they hold for the answers from then on. @headers are
    added to each. With status None it closes the connection without a word."""

    def __init__(self, status=200, body=b"{}\n", delay=0.0, headers=None):
        self.status, self.body, self.delay = status, body, delay
        self.headers = dict(headers or {})
        self.requests = []
        self.under_way = 0
        self.most_under_way = 0
        super().__init__()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def handler(self):
        return _UpstreamHandler

    def wait_requests(self, n, deadline=10.0):
        wait_until(lambda: len(self.requests) >= n, deadline,
                   f"{n} requests to the upstream")
        return self.requests


class _UpstreamHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One segment an answer, and no waiting for its acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer(self):
        owner = self.server.owner
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        with owner.lock:
            owner.requests.append(Request(self.command, self.path,
                                          self.headers, body))
            owner.under_way += 1
            owner.most_under_way = max(owner.most_under_way, owner.under_way)
        try:
            if owner.delay:
                time.sleep(owner.delay)
            if owner.status is None:
                self.close_connection = True
                return
            self.send_response(owner.status)
            for name, value in owner.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(owner.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(owner.body)
            self.wfile.flush()
        finally:
            with owner.lock:
                owner.under_way -= 1

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, format, *args):
        pass


class Message:
    """A mail that was taken: the envelope, the bytes, and them parsed."""

    def __init__(self, sender, recipients, data):
        self.sender, self.recipients, self.data = sender, recipients, data
        self.mail = email.message_from_bytes(data,
                                             policy=email.policy.default)

    def __getitem__(self, name):
        return self.mail[name]

    def text(self):
        part = self.mail.get_body(("plain",)) or self.mail
        return part.get_content()


class MailServer(_StandIn):
    """Speaks as much SMTP (RFC 5321) as a client needs. @messages are those
    that it took. @refuse is a verb and an answer, as
    ("RCPT", "550 5.1.1 no such user"), until it is set to None again."""

    def __init__(self, refuse=None, delay=0.0):
        self.refuse, self.delay = refuse, delay
        self.messages = []
        self.connections = 0
        super().__init__()

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"

    def handler(self):
        return _MailHandler

    def wait_messages(self, n, deadline=10.0):
        wait_until(lambda: len(self.messages) >= n, deadline, f"{n} mails")
        return self.messages


class _MailHandler(socketserver.StreamRequestHandler):
    timeout = 60
    disable_nagle_algorithm = True

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        owner = self.server.owner
        with owner.lock:
            owner.connections += 1
        self.sender, self.recipients = None, []
        self.say("220 standin.invalid ESMTP")
        try:
            while True:
                line = self.rfile.readline(4096)
                if not line or not self.step(
                        line.rstrip(b"\r\n").decode("utf-8", "replace")):
                    return
        except (ConnectionError, socket.timeout):
            return

    def step(self, line):
        """Answers one command; False after the last one."""
        owner = self.server.owner
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        if owner.delay:
            time.sleep(owner.delay)
        if owner.refuse and owner.refuse[0] == verb:
            self.say(owner.refuse[1])
        elif verb == "EHLO":
            self.say("250-standin.invalid")
            self.say("250-8BITMIME")
            self.say("250-SMTPUTF8")
            self.say("250 SIZE 1048576")
        elif verb == "MAIL":
            self.sender, self.recipients = self.address(rest), []
            self.say("250 2.1.0 ok")
        elif verb == "RCPT":
            self.recipients.append(self.address(rest))
            self.say("250 2.1.5 ok")
        elif verb == "DATA":
            self.say("354 go on")
            data = self.data()
            with owner.lock:
                owner.messages.append(Message(self.sender, self.recipients,
                                              data))
            self.say("250 2.0.0 taken")
        elif verb == "QUIT":
            self.say("221 2.0.0 bye")
            return False
        elif verb in ("HELO", "RSET", "NOOP"):
            self.say("250 ok")
        else:
            self.say("502 5.5.1 not here")
        return True

    @staticmethod
    def address(rest):
        return rest[rest.find("<") + 1:rest.find(">")]

    def data(self):
        lines = []
        while True:
            line = self.rfile.readline(1 << 20)
            if line == b".\r\n":
                return b"".join(lines)
            if not line:
                raise ConnectionError("the mail ends in its middle")
            lines.append(line[1:] if line.startswith(b".") else line)
