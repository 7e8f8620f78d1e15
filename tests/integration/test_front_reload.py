"""pit-web that changes under load: reload, scaling, recycling, stopping.

wrk keeps 200 connections busy meanwhile; not one request that was accepted may
fail. wrk counts a connection that ends without an answer as a read error, but
cannot tell a write that failed from a port that is closed:
test_front_accounts.py can.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

from pitharness import (BUILD_DIR, SLOWNESS, Http, PitTestCase, children_of,
                        free_port, is_running, program_path, wait_until)

WRK = shutil.which("wrk")
CONNECTIONS = 200
APP = """
#include <pit/app.h>
#include <pit/http.h>
static enum pit_status
version(struct pit_co *co, const struct pit_request *req,
        struct pit_response *res)
{
    (void)co;
    (void)req;
    return pit_reply_text(res, 200, "version %d", VERSION);
}
static const struct pit_view views[] = {
    {.method = PIT_GET, .route = "/version", .view = version}, {0}};
PIT_EXPORT const struct pit_app pit_app = {
    PIT_APP("versioned"), .views = views};
"""


class Load:
    """wrk against a port, in the background."""

    def __init__(self, port, seconds, path="/healthz"):
        self.popen = subprocess.Popen(
            [WRK, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout",
             "30s", f"http://127.0.0.1:{port}{path}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self):
        """What it printed, and its numbers of requests and of errors."""
        text = self.popen.communicate(timeout=120)[0]
        requests = int(re.search(r"(\d+) requests in", text).group(1))
        errors = {}
        found = re.search(r"Socket errors: connect (\d+), read (\d+), "
                          r"write (\d+), timeout (\d+)", text)
        if found:
            errors = dict(zip(("connect", "read", "write", "timeout"),
                              map(int, found.groups())))
        found = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        if found:
            errors["status"] = int(found.group(1))
        return text, requests, errors


class Base(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")

    def compile(self, version, into=None):
        """An application that answers /version; replaced by rename."""
        source = os.path.join(self.dir, "app.c")
        with open(source, "w", encoding="ascii") as out:
            out.write(APP)
        target = into or os.path.join(self.dir, "app.so")
        root = os.path.dirname(os.path.dirname(os.path.dirname(
            os.path.abspath(__file__))))
        flags = []
        with open(os.path.join(BUILD_DIR, "CMakeCache.txt"),
                  encoding="utf-8") as cache:
            sanitize = re.search(r"^PIT_SANITIZE:\w+=(.+)$", cache.read(),
                                 re.M)
        if sanitize:
            flags = [f"-fsanitize={sanitize.group(1)}"]
        subprocess.run(
            ["cc", "-shared", "-fPIC", f"-DVERSION={version}",
             f"-I{root}/shared/include", "-o", target + ".new", source] +
            flags, check=True)
        os.chmod(target + ".new", 0o755)
        os.rename(target + ".new", target)
        return target

    def version(self, front):
        return front.http.get("/version").text()

    def all_replaced(self, front, before, count):
        def look():
            now = children_of(front.pid)
            return (len(now) == count and not set(now) & set(before)
                    and not any(is_running(pid) for pid in before))
        return look


class Reload(Base):
    def test_new_application_and_settings(self):
        app = self.compile(1)
        config = os.path.join(self.dir, "pit.conf")
        with open(config, "w", encoding="ascii") as out:
            out.write("max-body = 2KiB\n")
        front = self.web(self.store, app=None, processes=2, flags=[
            "--app", app, "--config", config])
        self.assertEqual(self.version(front), "version 1")
        self.assertEqual(front.http.post("/v1/jobs", body="x" * 4000).status,
                         413)
        self.compile(2)
        with open(config, "w", encoding="ascii") as out:
            out.write("max-body = 8KiB\n")
        before = children_of(front.pid)
        front.signal(signal.SIGHUP)
        front.wait_for_line("reloaded")
        wait_until(self.all_replaced(front, before, 2), 20)
        self.assertEqual(self.version(front), "version 2")
        self.assertNotEqual(
            front.http.post("/v1/jobs", body="x" * 4000).status, 413)

    def test_what_is_bad_keeps_the_old(self):
        app = self.compile(1)
        config = os.path.join(self.dir, "pit.conf")
        with open(config, "w", encoding="ascii") as out:
            out.write("max-body = 2KiB\n")
        front = self.web(self.store, app=None, processes=2, flags=[
            "--app", app, "--config", config])
        before = children_of(front.pid)

        def refused(word):
            front.signal(signal.SIGHUP)
            front.wait_for_line(word)
            front.wait_for_line("reload refused", from_start=False)
            self.assertLessEqual(set(before), set(children_of(front.pid)))
            self.assertNotIn(" died: ", front.log())
            self.assertEqual(self.version(front), "version 1")

        with open(config, "w", encoding="ascii") as out:
            out.write("max-body = lots\n")
        front.signal(signal.SIGHUP)
        front.wait_for_line("reload refused.*max-body.*lots")
        with open(config, "w", encoding="ascii") as out:
            out.write("listen = nowhere\n")
        good = app + ".good"
        os.rename(app, good)
        front.signal(signal.SIGHUP)
        front.wait_for_line("app")
        front.wait_for_line("reload refused")
        with open(app, "w", encoding="ascii") as out:
            out.write("this is no shared object")
        os.chmod(app, 0o755)
        refused("cannot be loaded")
        os.rename(good, app)
        self.assertEqual(set(children_of(front.pid)), set(before))
        # And it can still be reloaded.
        with open(config, "w", encoding="ascii") as out:
            out.write("max-body = 3KiB\n")
        front.signal(signal.SIGHUP)
        front.wait_for_line("reloaded")
        wait_until(self.all_replaced(front, before, 2), 20)

    def test_addresses_and_processes_change(self):
        path = os.path.join(self.dir, "web.sock")
        other = free_port()
        config = os.path.join(self.dir, "pit.conf")
        first = free_port()
        with open(config, "w", encoding="ascii") as out:
            out.write(f"listen = 127.0.0.1:{first},unix:{path}\n"
                      "processes = 1\n")
        front = self.program("pit-web", ["--redis", self.store.url,
                                         "--config", config])
        wait_until(lambda: Http(first).get("/healthz").status == 200)
        self.assertTrue(os.path.exists(path))
        with open(config, "w", encoding="ascii") as out:
            out.write(f"listen = 127.0.0.1:{first}, 127.0.0.1:{other}\n"
                      "processes = 3\n")
        before = children_of(front.pid)
        front.signal(signal.SIGHUP)
        front.wait_for_line("reloaded")
        wait_until(self.all_replaced(front, before, 3), 20)
        self.assertFalse(os.path.exists(path))
        for port in (first, other):
            for _ in range(10):
                self.assertEqual(Http(port).get("/healthz").status, 200)
        # A port that is taken: nothing changes.
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with open(config, "w", encoding="ascii") as out:
                out.write("listen = 127.0.0.1:%d\n" % taken.getsockname()[1])
            front.signal(signal.SIGHUP)
            front.wait_for_line("reload refused.*cannot listen")
        self.assertEqual(Http(first).get("/healthz").status, 200)

    def test_watches_the_application(self):
        app = self.compile(1)
        front = self.web(self.store, app=None, flags=["--app", app,
                                                      "--reload"])
        self.assertEqual(self.version(front), "version 1")
        self.compile(2)
        wait_until(lambda: self.version(front) == "version 2", 20)

    def test_several_reloads_at_once(self):
        front = self.web(self.store, processes=2)
        for _ in range(5):
            front.signal(signal.SIGHUP)
        front.wait_for_line("reloaded", 20)
        wait_until(lambda: len(children_of(front.pid)) == 2 and
                   front.log().count("reloading") ==
                   front.log().count("reloaded:"), 20)
        self.assertEqual(front.http.get("/healthz").status, 200)
        front.terminate()
        front.assert_exit(0, 20)

    def test_stop_during_a_reload(self):
        front = self.web(self.store, processes=2)
        front.signal(signal.SIGHUP)
        front.wait_for_line("reloading")
        front.terminate()
        front.assert_exit(0, 20)


class Processes(Base):
    def test_more_and_fewer(self):
        front = self.web(self.store, processes=1)
        front.signal(signal.SIGTTOU)
        front.wait_for_line("stays 1")
        for wanted in (2, 3):
            front.signal(signal.SIGTTIN)
            wait_until(lambda n=wanted: len(children_of(front.pid)) == n)
        for wanted in (2, 1):
            front.signal(signal.SIGTTOU)
            wait_until(lambda n=wanted: len(children_of(front.pid)) == n, 20)
        for _ in range(20):
            self.assertEqual(front.http.get("/healthz").status, 200)

    def test_recycling(self):
        front = self.web(self.store, processes=1,
                         flags=["--recycle-after", "50"])
        before = children_of(front.pid)
        for _ in range(70):
            self.assertEqual(front.http.get("/healthz").status, 200)
        front.wait_for_line("has served its requests")
        wait_until(self.all_replaced(front, before, 1), 20)
        self.assertEqual(front.http.get("/healthz").status, 200)


@unittest.skipUnless(WRK, "wrk is not installed")
class UnderLoad(Base):
    def check(self, load, allowed=()):
        text, requests, errors = load.end()
        for name in allowed:
            errors.pop(name, None)
        self.assertGreater(requests, 100, text)
        self.assertEqual({key: value for key, value in errors.items()
                          if value}, {}, text)

    def test_sighup(self):
        front = self.web(self.store, processes=2)
        load = Load(front.port, 3)
        for _ in range(2):
            before = children_of(front.pid)
            time.sleep(0.5)
            front.signal(signal.SIGHUP)
            wait_until(self.all_replaced(front, before, 2), 30)
        self.check(load)

    def test_scaling_and_recycling(self):
        front = self.web(self.store, processes=2,
                         flags=["--recycle-after", "5000"])
        load = Load(front.port, 3)
        for signo in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGTTOU):
            time.sleep(0.5)
            front.signal(signo)
        self.check(load)
        self.assertIn("has served its requests", front.log())

    def test_sigterm(self):
        front = self.web(self.store, processes=2)
        load = Load(front.port, 3)
        time.sleep(1)
        front.terminate()
        self.assertEqual(front.wait_exit(20), 0)
        # The port is closed then: what cannot connect was never accepted.
        # To wrk those are errors of writing.
        self.check(load, allowed=("connect", "write"))


@unittest.skipUnless(shutil.which("systemd-socket-activate"),
                     "systemd-socket-activate is not installed")
class SocketActivation(Base):
    def test_socket_activate(self):
        port = free_port()
        front = self.program(
            "pit-web", ["--redis", self.store.url, "--processes", "2"],
            wrapper=["systemd-socket-activate", "-l", f"127.0.0.1:{port}"])
        wait_until(lambda: Http(port).get("/healthz").status == 200)
        before = children_of(front.pid)
        front.signal(signal.SIGHUP)
        wait_until(self.all_replaced(front, before, 2), 20)
        self.assertEqual(Http(port).get("/healthz").status, 200)


class Handed(Base):
    """The same without systemd: descriptor 3, LISTEN_PID and LISTEN_FDS."""

    def start(self, listener, *flags, notify=None):
        # The shell becomes pit-web, so that $$ is its id.
        script = ('exec 3<&"$0"; export LISTEN_PID=$$ LISTEN_FDS=1; '
                  'exec "$@"')
        os.set_inheritable(listener.fileno(), True)
        handle = os.path.join(self.dir, "handed.log")
        env = dict(os.environ)
        if notify:
            env["NOTIFY_SOCKET"] = notify
        popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", script,
             str(listener.fileno()), program_path("pit-web"), "--redis",
             self.store.url, "--processes", "2", *flags],
            pass_fds=[listener.fileno()], env=env,
            stdout=open(handle, "ab"), stderr=subprocess.STDOUT)
        self.addCleanup(popen.wait)
        self.addCleanup(popen.kill)
        return popen, handle

    def test_handed_socket_and_notify(self):
        told = os.path.join(self.dir, "notify.sock")
        with socket.socket() as listener, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(told)
            manager.settimeout(20)
            listener.bind(("127.0.0.1", 0))
            listener.listen(64)
            port = listener.getsockname()[1]
            popen, _ = self.start(listener, notify=told)
            self.assertEqual(manager.recv(100), b"READY=1")
            self.assertEqual(Http(port).get("/healthz").status, 200)
            before = children_of(popen.pid)
            popen.send_signal(signal.SIGHUP)
            self.assertEqual(manager.recv(100), b"RELOADING=1")
            self.assertEqual(manager.recv(100), b"READY=1")
            wait_until(lambda: not set(before) & set(children_of(popen.pid)),
                       20)
            self.assertEqual(Http(port).get("/healthz").status, 200)
            popen.terminate()
            self.assertEqual(manager.recv(100), b"STOPPING=1")
            self.assertEqual(popen.wait(20 * SLOWNESS), 0)

    def test_what_is_no_listening_socket(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wrong:
            wrong.bind(("127.0.0.1", 0))
            popen, log = self.start(wrong)
            self.assertEqual(popen.wait(20 * SLOWNESS), 2)
            with open(log, encoding="utf-8") as text:
                self.assertIn("no listening stream socket", text.read())

    def test_systemd_without_systemd(self):
        process = self.program("pit-web", ["--listen", "systemd"])
        self.assertEqual(process.wait_exit(), 2)
        self.assertIn("no socket was handed over", process.log())


if __name__ == "__main__":
    program_path("pit-web")
    unittest.main()
