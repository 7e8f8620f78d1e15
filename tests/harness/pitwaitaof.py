"""A Redis that has WAITAOF, whatever the server's version: a proxy that has the
server answer another command in its place, and passes on all else.

    front = WaitAof(redis)
    web(front.url)
    front.synced = 0   # what WAITAOF says from now on
"""

import os
import socket
import socketserver
import tempfile
import threading


def _read_command(stream):
    """The words of one command, [] at the end."""
    head, words = stream.readline(), []
    for _ in range(int(head[1:]) if head[:1] == b"*" else 0):
        length = int(stream.readline()[1:])
        words.append(stream.read(length + 2)[:-2])
    return words


def _written(words):
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        front = self.server.front
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(front.path)
            back = threading.Thread(target=self.pass_back, args=(server,),
                                    daemon=True)
            back.start()
            while words := _read_command(self.rfile):
                server.sendall(_written(front.instead_of(words)))
            server.shutdown(socket.SHUT_RDWR)
            back.join()

    def pass_back(self, server):
        try:
            while piece := server.recv(65536):
                self.wfile.write(piece)
        except OSError:
            pass  # the client is gone


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class WaitAof:
    def __init__(self, redis):
        self.path = redis.socket_path
        self.synced, self.asked = 1, 0
        self.dir = tempfile.mkdtemp(prefix="pit-waitaof-")
        self.socket_path = os.path.join(self.dir, "redis.sock")
        self.url = f"unix://{self.socket_path}"
        self.server = _Server(self.socket_path, _Handler)
        self.server.front = self
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def instead_of(self, words):
        if words[0].upper() == b"WAITAOF":
            self.asked += 1
            return [b"EVAL", b"return {%d, 0}" % self.synced, b"0"]
        if [word.lower() for word in words] == [b"command", b"info",
                                                b"waitaof"]:
            return [b"COMMAND", b"INFO", b"wait"]
        return words

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        os.unlink(self.socket_path)
        os.rmdir(self.dir)
