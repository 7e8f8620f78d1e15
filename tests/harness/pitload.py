#!/usr/bin/env python3
"""Clients that account for every request: what wrk does not tell apart.

wrk counts a request that was lost as "write error" or "connect error", as it
does one that found the port closed. Here each request that was written on a
connection that the server had accepted ends as exactly one of

  answered   a whole answer, status 200
  status     a whole answer, another status
  reset      the connection was reset, with or without a part of the answer
  cut        it ended within the answer
  dropped    it ended without a byte, and the client had every reason to expect
             an answer: its first request, or one sent within PATIENT_MS of the
             answer before, which had not announced the end
  raced      it ended without a byte while the request of a client that had
             waited longer was on its way: HTTP/1.1 cannot rule that out, and
             lets the client send it again (RFC 9112 section 9.3.1)
  stuck      no end of it within STUCK_S

and each attempt to connect as connected, refused or unaccepted: the kernel
reset it, out of the queue of a socket that was closed (accept_is_safe).

    python3 pitload.py [--unix] ADDRESS --kept N --slow N --fresh N

@kept connections send their next request as soon as the answer is there, @slow
ones after 0 to SLOW_MAX_MS, @fresh ones connect anew for each request, half of
them with "Connection: close". Runs until standard input ends; those that are
under way are waited for. Prints one line "ready" after READY_AFTER answers, and
in the end the counts as JSON.
"""

import argparse
import collections
import ctypes
import errno
import heapq
import json
import random
import select
import socket
import struct
import subprocess
import sys
import time

PATIENT_MS = 400
SLOW_MAX_MS = 3000
STUCK_S = 20
READY_AFTER = 1000
REFUSED_PAUSE_S = 0.05
SO_ATTACH_FILTER = 26
REQUEST = b"GET %s HTTP/1.1\r\nHost: t\r\n%s\r\n"


def accept_is_safe():
    """Can a server close its socket so that no client is in its queue? It takes
    a filter against new ones, which some sandboxes forbid."""
    take_all = ctypes.create_string_buffer(
        struct.pack("HBBI", 6, 0, 0, 2**32 - 1))
    with socket.socket() as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack(
                "HL", 1, ctypes.addressof(take_all)))
        except PermissionError:
            return False
    return True


class Client:
    """One client: at any time at most one connection and one request."""

    def __init__(self, load, kind):
        self.load = load
        self.kind = kind
        self.sock = None
        self.request = REQUEST % (load.path.encode(), b"Connection: close\r\n"
                                  if kind == "closing" else b"")
        self.requests = 0        # answered on this connection
        self.answer = None       # bytes so far; None: no request is out
        self.waited_ms = 0.0     # between the answer before and this request
        self.last = 0.0          # when the last answer was there
        self.generation = 0      # of its timers

    # -- the connection

    def connect(self):
        self.sock = socket.socket(self.load.family, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.requests = 0
        self.generation += 1
        code = self.sock.connect_ex(self.load.address)
        if code in (0, errno.EINPROGRESS):
            self.load.watch(self, select.EPOLLOUT | select.EPOLLIN)
            self.load.later(STUCK_S, self.stuck)
        else:
            self.not_connected(code)

    def not_connected(self, code):
        self.close()
        if code in (errno.ECONNREFUSED, errno.ENOENT, errno.EAGAIN):
            self.load.count("refused")
        else:
            self.load.count("unaccepted", errno.errorcode[code])
        self.load.later(REFUSED_PAUSE_S, self.again)

    def close(self):
        if self.sock is not None:
            self.load.forget(self)
            self.sock.close()
            self.sock = None
        self.answer = None
        self.generation += 1

    def again(self):
        if self.sock is None and not self.load.ending:
            self.connect()

    # -- a request

    def send(self):
        if self.sock is None or self.answer is not None:
            return
        if self.load.ending:
            self.close()
            return
        now = time.monotonic()
        self.waited_ms = (now - self.last) * 1000 if self.requests else 0
        self.generation += 1
        self.answer = b""
        self.load.later(STUCK_S, self.stuck)
        try:
            sent = self.sock.send(self.request)
            assert sent == len(self.request), "a socket without any room"
        except (ConnectionResetError, BrokenPipeError) as problem:
            self.ended("reset", f"writing: {problem}")

    def stuck(self):
        self.ended("stuck", "no end in sight")

    def ended(self, how, words=None):
        if words:
            words = (f"{self.kind}, request {self.requests + 1} of its "
                     f"connection, {self.waited_ms:.0f} ms after the last: "
                     f"{words}, {self.answer!r}")
        self.load.count(how, words)
        self.close()
        self.again()

    def on_event(self, events):
        if self.sock is None:
            return
        if events & select.EPOLLOUT:
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self.not_connected(code)
                return
            self.load.count("connected")
            self.load.watch(self, select.EPOLLIN)
            self.send()
            return
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.ended("reset", "reading") if self.answer is not None else \
                self.ended("idle_reset")
            return
        if self.answer is None:
            self.ended("idle_closed" if not data else "unasked")
        elif data:
            self.on_data(data)
        elif self.answer:
            self.ended("cut", "closed")
        elif self.requests and self.waited_ms > PATIENT_MS:
            self.ended("raced")
        else:
            self.ended("dropped", "closed")

    def on_data(self, data):
        self.answer += data
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found:
            return
        fields = head.lower().split(b"\r\n")
        length = next(int(field[15:]) for field in fields
                      if field.startswith(b"content-length:"))
        if len(body) < length:
            return
        status = fields[0].split()[1]
        self.load.count("answered" if status == b"200" else "status",
                        None if status == b"200" else repr(fields[0]))
        self.requests += 1
        self.last = time.monotonic()
        self.answer = None
        self.generation += 1
        if b"connection: close" in fields or self.kind in ("fresh", "closing"):
            self.close()
            self.again()
        elif self.kind == "slow":
            self.load.later(random.uniform(0, SLOW_MAX_MS) / 1000, self.send)
        else:
            self.send()


class Load:
    """All clients and their one epoll."""

    def __init__(self, options):
        self.path = options.path
        self.family = socket.AF_UNIX if options.unix else socket.AF_INET
        self.address = options.address
        if not options.unix:
            host, _, port = options.address.rpartition(":")
            self.address = (host, int(port))
        self.epoll = select.epoll()
        self.clients = {}
        self.timers = []
        self.order = 0
        self.ending = False
        self.counts = collections.Counter()
        self.words = []
        self.all = [Client(self, kind) for kind, n in (
            ("kept", options.kept), ("slow", options.slow),
            ("fresh", (options.fresh + 1) // 2),
            ("closing", options.fresh // 2)) for _ in range(n)]

    def watch(self, client, events):
        fd = client.sock.fileno()
        if fd in self.clients:
            self.epoll.modify(fd, events)
        else:
            self.clients[fd] = client
            self.epoll.register(fd, events)

    def forget(self, client):
        if self.clients.pop(client.sock.fileno(), None):
            self.epoll.unregister(client.sock.fileno())

    def later(self, seconds, fn):
        """For the client's present connection and request only."""
        client = fn.__self__
        self.order += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.order,
                                     fn, client, client.generation))

    def count(self, what, words=None):
        self.counts[what] += 1
        if what == "answered" and self.counts[what] == READY_AFTER:
            print("ready", flush=True)
        if words and len(self.words) < 20:
            self.words.append(f"{what}: {words}")

    def turn(self):
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            _, _, fn, client, generation = heapq.heappop(self.timers)
            if client.generation == generation:
                fn()
        for fd, events in self.epoll.poll(0.02):
            if fd == sys.stdin.fileno():
                self.end()
            elif fd in self.clients:
                self.clients[fd].on_event(events)

    def end(self):
        self.ending = True
        self.epoll.unregister(sys.stdin.fileno())
        for client in self.all:
            if client.sock is not None and client.answer is None:
                client.close()

    def run(self):
        self.epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        for client in self.all:
            client.connect()
        while not self.ending or self.clients:
            self.turn()
        print(json.dumps({"counts": self.counts, "words": self.words}))


class Running:
    """The same from a test: a process of its own, so that it is not slowed."""

    def __init__(self, address, kept=0, slow=0, fresh=0, unix=False,
                 path="/healthz"):
        self.popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, __file__,
             str(address), "--kept", str(kept), "--slow", str(slow),
             "--fresh", str(fresh), "--path", path] +
            (["--unix"] if unix else []),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.popen.stdout.readline() == "ready\n"

    def end(self):
        """The counts (a Counter), and some words on what went wrong."""
        text = self.popen.communicate("", timeout=120)[0]
        assert self.popen.returncode == 0
        found = json.loads(text)
        return collections.Counter(found["counts"]), found["words"]

    def close(self):
        self.popen.kill()
        self.popen.communicate()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--unix", action="store_true")
    parser.add_argument("--path", default="/healthz")
    for kind in ("kept", "slow", "fresh"):
        parser.add_argument(f"--{kind}", type=int, default=0)
    Load(parser.parse_args()).run()


if __name__ == "__main__":
    main()
