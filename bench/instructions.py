"""Instructions of pit-web a request, and its calls of the heap, by callgrind.

Two processes answer N and 2N requests: what the second has more than the first
is N requests in the steady state, without start and end. It counts instructions
in user mode, so it says the same on a busy machine. Each process answers on one
connection, or on several whose requests are sent one after the other before the
first answer is read: the slow pit-web finds many of them in one turn.
"""
import os
import re
import shutil
import socket
import subprocess
import tempfile

import pitharness

APP = "bench/tasks.so"
# What a program calls for memory, whatever lies below it.
HEAP = ("malloc", "calloc", "realloc", "free", "posix_memalign",
        "aligned_alloc", "memalign")
START_S = 60  # valgrind's own start, on a busy machine

SHORT = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: bench\r\n\r\n"
BROWSER = (
    b"GET / HTTP/1.1\r\n"
    b"Host: 127.0.0.1:8000\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
    b"Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    b"\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Connection: keep-alive\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Site: none\r\n"
    b"Priority: u=0, i\r\n"
    b"\r\n")


def why_not():
    """None, or one line that says what is missing here."""
    if not shutil.which("valgrind"):
        return "no valgrind here: apt-get install valgrind"
    return None


def answer(connection):
    """Reads one answer with a Content-Length; its status line."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += receive(connection)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(re.search(rb"\r\nContent-Length: (\d+)", head).group(1))
    while len(body) < length:
        body += receive(connection)
    return head.split(b"\r\n", 1)[0]


def receive(connection):
    piece = connection.recv(65536)
    if not piece:
        raise AssertionError("pit-web has closed the connection")
    return piece


def ask(port, request, n, width):
    """@n times @request, @width of them at once, each on its connection."""
    connections = [socket.create_connection(("127.0.0.1", port), START_S)
                   for _ in range(width)]
    try:
        for _ in range(n // width):
            for connection in connections:
                connection.sendall(request)
            for connection in connections:
                status = answer(connection)
                if status != b"HTTP/1.1 200 OK":
                    raise AssertionError(f"pit-web answers {status!r}")
    finally:
        for connection in connections:
            connection.close()


def read(path):
    """(instructions, calls of HEAP) of one process."""
    names, total, calls, called = {}, 0, 0, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("cfn="):
                number, _, name = line[4:].strip().partition(" ")
                called = names.setdefault(number, name)
            elif line.startswith("fn="):
                number, _, name = line[3:].strip().partition(" ")
                names.setdefault(number, name)
            elif line.startswith("calls=") and called in HEAP:
                calls += int(line[6:].split()[0])
            elif line.startswith(("summary:", "totals:")):
                total = max(total, int(line.split()[1]))
    return total, calls


def run(redis_url, request, n, width):
    """One pit-web under callgrind that answers @n requests; of the web
    process, as read()."""
    with tempfile.TemporaryDirectory(prefix="pit-callgrind-") as folder:
        web = pitharness.Web(
            redis_url, folder, app=APP, ready=None,
            flags=["--log-level", "warn", "--max-requests", 10**6],
            wrapper=["valgrind", "--quiet", "--tool=callgrind",
                     f"--callgrind-out-file={folder}/out.%p"])
        try:
            web.wait_ready("/readyz", START_S)
            pids = pitharness.descendants_of(web.pid)
            ask(web.port, request, n, width)
            web.terminate()
            web.wait_exit(START_S)
        finally:
            web.close()
        return max(read(os.path.join(folder, f"out.{pid}")) for pid in pids)


def count(redis_url, request=SHORT, n=1000, width=1):
    """(instructions, calls of the heap) a request, in the steady state."""
    few = run(redis_url, request, n, width)
    many = run(redis_url, request, 2 * n, width)
    return tuple((b - a) / n for a, b in zip(few, many))
