"""Real processes for tests: a private Redis, Pitmaster's programs, HTTP.

Every process that is started here is stopped by its own id when the test ends,
and dies with the test process (PR_SET_PDEATHSIG), so a test that is killed by
its time limit leaves nothing behind. Start processes from the main thread: the
kernel sends the signal when the thread that started them ends.

Nothing waits by sleeping for a guessed time: wait_until() polls a condition up
to a deadline and says what it waited for when that passes.

    class Enqueue(PitTestCase):
        def test_runs(self):
            redis = self.redis()
            web = self.web(redis)
            self.worker(redis)
            job = web.http.post("/v1/jobs", {"task": "noop"}).json()
            web.http.wait_status(f"/v1/jobs/{job['id']}/result", 200)

The programs are taken from $PIT_BUILD_DIR (default: build/ beside tests/).
"""

import http.client
import json as jsonlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

import redis as redislib

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD_DIR = os.path.abspath(
    os.environ.get("PIT_BUILD_DIR") or os.path.join(SOURCE_DIR, "build"))
# Under a sanitizer or Valgrind everything takes longer: multiply deadlines.
SLOWNESS = float(os.environ.get("PIT_TEST_SLOWNESS", "1"))
LOG_TAIL_LINES = 40


def wait_until(condition, deadline=10.0, what=None, interval=0.01):
    """Calls condition() until it is true and returns its value.

    An exception of the condition counts as "not yet", and is part of the
    message when the deadline (seconds) passes: AssertionError then.
    """
    end = time.monotonic() + deadline * SLOWNESS
    while True:
        error = None
        try:
            value = condition()
            if value:
                return value
        except Exception as problem:  # the condition is not there yet
            value, error = None, problem
        if time.monotonic() >= end:
            name = what or getattr(condition, "__name__", "the condition")
            last = error or repr(value)
            raise AssertionError(
                f"waited {deadline * SLOWNESS:.1f} s for {name}; last: {last}")
        time.sleep(interval)


def free_port():
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program_path(name):
    """Path of a built file: a program's name, or "examples/smokehouse.so"."""
    path = os.path.join(BUILD_DIR, name if "/" in name else f"bin/{name}")
    if not os.path.exists(path):
        raise unittest.SkipTest(f"{path} is not built")
    return path


def process_state(pid):
    """The state letter of /proc/PID/stat ("R", "S", "T", "Z"), or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii",
                  errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_running(pid):
    """True while the process exists and is not a zombie."""
    return process_state(pid) not in (None, "Z", "X")


def children_of(pid):
    """Ids of the direct children of a process, oldest first."""
    found = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return found
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children",
                      encoding="ascii") as listing:
                found += [int(word) for word in listing.read().split()]
        except FileNotFoundError:
            continue
    # Not by their ids: those begin again at /proc/sys/kernel/pid_max.
    return sorted(found, key=started_at)


def started_at(pid):
    """When a process began, in ticks since the machine did; 0 without it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii",
                  errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def descendants_of(pid):
    """Ids of all processes below a process."""
    found = []
    for child in children_of(pid):
        found.append(child)
        found += descendants_of(child)
    return found


def process_name(pid):
    """What ps shows: /proc/PID/comm, or None."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8",
                  errors="replace") as comm:
            return comm.read().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None


def cpu_seconds(pid):
    """User and system time that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Process:
    """A child process with its output in a file. Use the subclasses."""

    def __init__(self, argv, log_path, env=None, cwd=None):
        self.argv = argv
        self.log_path = log_path
        with open(log_path, "ab") as log:
            # setpriv execs the program, so the id stays the same.
            self.popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--"] + argv,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                cwd=cwd, start_new_session=True)
        self.pid = self.popen.pid
        self._log_seen = 0

    def running(self):
        return self.popen.poll() is None

    def signal(self, signo):
        self.popen.send_signal(signo)

    def sigstop(self):
        """Stops it and waits until it stands still."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: process_state(self.pid) == "T", 5, "SIGSTOP")

    def sigcont(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """kill -9, and waits for the end."""
        if self.running():
            self.popen.kill()
        return self.popen.wait()

    def terminate(self):
        """Sends SIGTERM only; see wait_exit()."""
        if self.running():
            self.popen.terminate()

    def wait_exit(self, deadline=10.0):
        """The exit code (-N for signal N). AssertionError when it stays."""
        try:
            return self.popen.wait(deadline * SLOWNESS)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.argv[0]} did not end within {deadline} s\n"
                f"{self.log_tail()}") from None

    def assert_exit(self, code=0, deadline=10.0):
        """Waits for the end and checks the exit code."""
        got = self.wait_exit(deadline)
        if got != code:
            raise AssertionError(f"{self.argv[0]} ended with {got}, "
                                 f"not {code}\n{self.log_tail()}")

    def close(self):
        """Ends it and whatever is left of its session."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def log_tail(self):
        lines = self.log().splitlines()[-LOG_TAIL_LINES:]
        return f"--- end of {self.log_path}\n" + "\n".join(lines)

    def wait_for_line(self, pattern, deadline=10.0, from_start=False):
        """The match of a regular expression within one line of the output.

        Continues behind the line that matched last; @from_start looks at the
        whole output again. Fails at once when the process has ended.
        """
        expression = re.compile(pattern)
        if from_start:
            self._log_seen = 0
        end = time.monotonic() + deadline * SLOWNESS
        while True:
            ended = not self.running()
            with open(self.log_path, "rb") as log:
                log.seek(self._log_seen)
                fresh = log.read()
            complete = fresh.rpartition(b"\n")[0]
            at = self._log_seen
            for line in complete.split(b"\n") if complete else []:
                at += len(line) + 1
                match = expression.search(line.decode("utf-8", "replace"))
                if match:
                    self._log_seen = at
                    return match
            if ended or time.monotonic() >= end:
                why = (f"ended with {self.popen.returncode}" if ended
                       else f"did not write it within {deadline} s")
                raise AssertionError(f"no line with {pattern!r}: "
                                     f"{self.argv[0]} {why}\n"
                                     f"{self.log_tail()}")
            time.sleep(0.01)


class Client(redislib.Redis):
    """redis.Redis whose close() closes the pool's connections too."""

    def close(self):
        super().close()
        self.connection_pool.disconnect()


class Redis:
    """A private redis-server in a directory of its own.

    @aof: "no", "everysec" or "always". Listens on a unix socket, or with
    tcp=True on a free port of 127.0.0.1 as well. @options: more settings, as
    {"maxmemory": "20mb"}; "_" in a name stands for "-". The data survives
    kill() and start(), and goes with close(). @env: its environment.
    """

    def __init__(self, aof="everysec", tcp=False, password=None,
                 options=None, env=None):
        self.dir = tempfile.mkdtemp(prefix="pit-redis-")
        self.socket_path = os.path.join(self.dir, "redis.sock")
        self.port = free_port() if tcp else 0
        self.password = password
        self.aof = aof
        self.options = dict(options or {})
        self.env = env
        self.process = None
        self.start()

    @property
    def pid(self):
        return self.process.pid

    @property
    def url(self):
        """The URL for --redis: TCP when there is a port."""
        user = ""
        if self.password:
            user = f":{urllib.parse.quote(self.password, safe='')}@"
        if self.port:
            return f"redis://{user}127.0.0.1:{self.port}"
        return f"unix://{user}{self.socket_path}"

    def client(self, **kwargs):
        """A redis.Redis that answers str; close() it, or use it in a with."""
        kwargs.setdefault("decode_responses", True)
        kwargs.setdefault("socket_timeout", 10 * SLOWNESS)
        return Client(unix_socket_path=self.socket_path,
                      password=self.password, **kwargs)

    def start(self):
        """Starts it (again) with the same data and waits for PONG."""
        assert self.process is None or not self.process.running()
        settings = {
            "port": self.port, "bind": "127.0.0.1", "dir": self.dir,
            "unixsocket": self.socket_path, "daemonize": "no", "save": "",
            "appendonly": "no" if self.aof == "no" else "yes",
            "maxmemory-policy": "noeviction", "enable-debug-command": "local",
        }
        if self.aof != "no":
            settings["appendfsync"] = self.aof
        if self.password:
            settings["requirepass"] = self.password
        settings.update((name.replace("_", "-"), value)
                        for name, value in self.options.items())
        argv = [shutil.which("redis-server") or "redis-server"]
        for name, value in settings.items():
            argv += [f"--{name}", str(value)]
        if os.path.exists(self.socket_path):
            os.unlink(self.socket_path)
        self.process = Process(argv, os.path.join(self.dir, "redis.log"),
                               self.env)
        client = self.client()
        try:
            wait_until(lambda: self._answers(client), 20,
                       "redis-server to answer PING")
        finally:
            client.close()

    def _answers(self, client):
        if not self.process.running():
            raise RuntimeError("it ended: " + self.process.log_tail())
        return os.path.exists(self.socket_path) and client.ping()

    def kill(self):
        """kill -9."""
        return self.process.kill()

    def restart(self, kill=True):
        """kill -9 (or SIGTERM) and start with the same data."""
        if kill:
            self.kill()
        else:
            self.process.terminate()
            self.process.wait_exit()
        self.start()

    def sigstop(self):
        self.process.sigstop()

    def sigcont(self):
        self.process.sigcont()

    def close(self):
        if self.process:
            self.process.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Response:
    """An HTTP answer: status, headers (any case), body."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return jsonlib.loads(self.body)

    def text(self):
        return self.body.decode("utf-8", "replace")

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


class Http:
    """A client of one server; one connection a request unless keep_alive."""

    def __init__(self, port, host="127.0.0.1", keep_alive=False, timeout=30.0):
        self.host, self.port = host, port
        self.timeout = timeout * SLOWNESS
        self.keep_alive = keep_alive
        self.connection = None

    def request(self, method, path, json=None, body=None, headers=None):
        """@json is encoded and gets its Content-Type; @body goes as it is."""
        headers = dict(headers or {})
        if json is not None:
            body = jsonlib.dumps(json)
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        if not self.keep_alive:
            headers.setdefault("Connection", "close")
        if self.connection is None:
            self.connection = http.client.HTTPConnection(
                self.host, self.port, timeout=self.timeout)
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            result = Response(answer.status, answer.headers, answer.read())
        except BaseException:
            self.close()
            raise
        if not self.keep_alive:
            self.close()
        return result

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, json=None, body=None, headers=None):
        return self.request("POST", path, json, body, headers)

    def put(self, path, json=None, body=None, headers=None):
        return self.request("PUT", path, json, body, headers)

    def delete(self, path, headers=None):
        return self.request("DELETE", path, headers=headers)

    def wait_status(self, path, status, deadline=10.0):
        """GETs until the answer has that status, and returns it."""
        last = None

        def arrived():
            nonlocal last
            last = self.get(path)
            return last.status == status
        try:
            wait_until(arrived, deadline, f"GET {path} to answer {status}")
        except AssertionError as problem:
            raise AssertionError(f"{problem}; last answer {last}") from None
        return last

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Program(Process):
    """One of ours: Program("pit-worker", ["--slots", "2"], log_dir=...).

    @wrapper is put in front (["valgrind", "-q"]); @env adds to the present
    environment. PIT_ variables of the caller are not passed on, so that the
    machine's own settings cannot change a test.
    """

    def __init__(self, name, flags, log_dir, env=None, wrapper=(), cwd=None):
        full = {key: value for key, value in os.environ.items()
                if not key.startswith("PIT_")}
        full.update(env or {})
        handle, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".log",
                                        dir=log_dir)
        os.close(handle)
        self.name = name
        super().__init__(list(wrapper) + [program_path(name)] +
                         [str(flag) for flag in flags], path, full, cwd)


class Web(Program):
    """pit-web on a free port; .http is a client of it."""

    def __init__(self, redis_url, log_dir, flags=(), processes=1,
                 app="examples/smokehouse.so", ready="/healthz", **kwargs):
        self.port = free_port()
        argv = ["--redis", redis_url, "--listen", f"127.0.0.1:{self.port}",
                "--processes", processes]
        if app:
            argv += ["--app", program_path(app)]
        super().__init__("pit-web", argv + list(flags), log_dir, **kwargs)
        self.http = Http(self.port)
        if ready:
            self.wait_ready(ready)

    def wait_ready(self, path="/readyz", deadline=10.0):
        def answers():
            if not self.running():
                raise RuntimeError("pit-web ended")
            return self.http.get(path).status == 200
        try:
            wait_until(answers, deadline, f"pit-web to answer {path}")
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{self.log_tail()}") from None


class Worker(Program):
    """pit-worker."""

    def __init__(self, redis_url, log_dir, flags=(), queues=None, slots=2,
                 app="examples/smokehouse.so", **kwargs):
        argv = ["--redis", redis_url, "--slots", slots]
        if queues:
            argv += ["--queues", queues]
        if app:
            argv += ["--app", program_path(app)]
        super().__init__("pit-worker", argv + list(flags), log_dir, **kwargs)


class PitTestCase(unittest.TestCase):
    """A test whose processes are ended afterwards, newest first, and whose
    logs are shown when it fails."""

    def setUp(self):
        super().setUp()
        self.dir = tempfile.mkdtemp(prefix="pit-test-")
        self.processes = []
        self.addCleanup(shutil.rmtree, self.dir, True)

    def tearDown(self):
        result = self._outcome.result
        failed = any(test is self
                     for test, _ in result.failures + result.errors)
        for process in self.processes:
            if failed:
                print(process.log_tail(), file=sys.stderr)
        super().tearDown()

    def _own(self, thing):
        process = thing.process if isinstance(thing, Redis) else thing
        self.processes.append(process)
        self.addCleanup(thing.close)
        return thing

    def redis(self, **kwargs):
        return self._own(Redis(**kwargs))

    def program(self, name, flags, **kwargs):
        return self._own(Program(name, flags, self.dir, **kwargs))

    def web(self, redis, **kwargs):
        return self._own(Web(getattr(redis, "url", redis), self.dir,
                             **kwargs))

    def worker(self, redis, **kwargs):
        return self._own(Worker(getattr(redis, "url", redis), self.dir,
                                **kwargs))

    def cli(self, redis, *words, code=0, env=None, timeout=30.0):
        """Runs pit WORDS... --redis URL to its end; its CompletedProcess."""
        full = {key: value for key, value in os.environ.items()
                if not key.startswith("PIT_")}
        full["PIT_REDIS"] = getattr(redis, "url", redis)
        full.update(env or {})
        done = subprocess.run(
            [program_path("pit")] + [str(word) for word in words], env=full,
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout * SLOWNESS, check=False)
        if code is not None:
            self.assertEqual(done.returncode, code,
                             f"pit {words}: {done.stdout}{done.stderr}")
        return done
