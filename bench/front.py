"""The front beside servers that answer the same: bench/run's section `front`.

All servers are up at once, each with one process that answers; the same client
loads one after the other, and again, so that a busy neighbour falls on all of
them alike. What counts is CPU time of the server a request, as a ratio to the
bare epoll loop's (bench/epoll.c) of the same round. A peer that is not
installed is named and left out.
"""
import contextlib
import json
import os
import shutil
import statistics
import subprocess

import instructions
import pitharness
import probe

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
WAITERS = 10000
SPARE = 100  # above the waiters: connections that look, coroutines of others


class Missing(Exception):
    """A peer that is not here: one line that says how to get it."""


def needs_program(name, package):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if not path:
        raise Missing(f"no {name} here: apt-get install {package}")
    return path


def needs_module(name):
    node = needs_program("node", "nodejs")
    if not os.path.isdir(os.path.join(PEERS, "node_modules", name)):
        raise Missing(f"no {name} here: npm install --prefix bench/peers "
                      "--no-package-lock")
    return node


class Server(pitharness.Process):
    """A peer on a port of its own; ready when it answers GET /."""

    def __init__(self, name, argv, port, folder):
        super().__init__(argv, os.path.join(folder, f"{name}.log"),
                         cwd=folder)
        self.port = port
        try:
            pitharness.wait_until(self.answers, 20, f"{name} to answer")
        except AssertionError:
            self.close()
            raise

    def answers(self):
        assert self.running(), self.log_tail()
        return pitharness.Http(self.port).get("/").status == 200


def start_epoll(bench, port):
    return [pitharness.program_path("bin/bench-epoll"), "--port", str(port)]


def start_nginx(bench, port):
    nginx = needs_program("nginx", "nginx-light")
    folder = os.path.join(bench.dir, "nginx")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(PEERS, "nginx.conf"), encoding="ascii") as file:
        text = file.read().replace("DIR", folder).replace("PORT", str(port))
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return [nginx, "-p", folder, "-c", path, "-e", "stderr"]


def start_fastify(bench, port):
    return [needs_module("fastify"), os.path.join(PEERS, "web.mjs"), str(port)]


def start_bullmq(bench, port):
    node = needs_module("bullmq")
    needs_module("fastify")
    return [node, os.path.join(PEERS, "web.mjs"), str(port),
            bench.redis.socket_path]


HELLO = (("bare epoll loop", start_epoll),
         ("nginx return 200", start_nginx),
         ("fastify", start_fastify))
ENQUEUE = (("fastify + BullMQ", start_bullmq),)


class Front:
    """The section; what it finds is in .rows and in bench.checks."""

    def __init__(self, bench):
        self.bench = bench
        self.rows = []
        self.skipped = []

    def peers(self, stack, table):
        """[(name, process)] of those that are installed."""
        found = []
        for name, command in table:
            port = pitharness.free_port()
            try:
                argv = command(self.bench, port)
            except Missing as why:
                self.skipped.append(f"{name}: {why}")
                print(f"skipped {name}: {why}", flush=True)
                continue
            server = Server(name.replace(" ", "-"), argv, port,
                            self.bench.dir)
            stack.callback(server.close)
            found.append((name, server))
        return found

    def load(self, server, n, flags):
        """One load: CPU us a request of the server, and requests/s."""
        before = probe.cpu_of_tree(server.pid), self.bench.redis_cpu()
        done = self.bench.tool("http", "--port", server.port, "--requests", n,
                               *flags)
        own = probe.cpu_of_tree(server.pid) - before[0]
        redis = self.bench.redis_cpu() - before[1]
        if done["2xx"] != n:
            raise AssertionError(f"{server.argv}: {done} for {n} requests")
        return {"own_us": own / n * 1e6, "redis_us": redis / n * 1e6,
                "per_s": n / done["seconds"]}

    def compare(self, title, servers, n, flags_of):
        """Loads all of them in turn, @rounds times; {name: (CPU ratio to the
        first one, rate ratio)}, each the median of the rounds'."""
        rounds = []
        for name, server in servers:  # warm: caches, JIT, connections
            self.load(server, max(n // 5, 100), flags_of(name))
        for _ in range(max(self.bench.options.rounds, 3)):
            rounds.append({name: self.load(server, n, flags_of(name))
                           for name, server in servers})
        first = servers[0][0]
        print(f"\n{title:44}{'n':>8}{'per s':>9}{'CPU us':>10}"
              f"{'Redis us':>10}{'x first':>9}")
        ratios = {}
        for name, _ in servers:
            def median(key, name=name):
                return statistics.median(one[name][key] for one in rounds)
            ratios[name] = tuple(
                statistics.median(one[name][key] / one[first][key]
                                  for one in rounds)
                for key in ("own_us", "per_s"))
            row = {"section": title, "name": name, "n": n,
                   "per_s": round(median("per_s")),
                   "own_us": round(median("own_us"), 2),
                   "redis_us": round(median("redis_us"), 2),
                   "cpu_ratio": round(ratios[name][0], 3),
                   "rate_ratio": round(ratios[name][1], 3)}
            self.rows.append(row)
            print(f"{name:44}{n:>8}{row['per_s']:>9}{row['own_us']:>10.2f}"
                  f"{row['redis_us']:>10.2f}{row['cpu_ratio']:>9.2f}",
                  flush=True)
        return ratios

    def hello(self):
        n = self.bench.options.jobs
        flags = ["--method", "GET", "--path", "/", "--connections", 64]
        with contextlib.ExitStack() as stack:
            servers = self.peers(stack, HELLO)
            servers.insert(1, ("pit-web, hello view",
                               stack.enter_context(self.bench.web())))
            ratios = self.compare("hello, 64 connections", servers, n,
                                  lambda name: flags)
        ours = ratios["pit-web, hello view"]
        self.bench.check("hello view: CPU a request to the bare epoll loop's",
                         round(ours[0], 2), 1.1, "x", "issue")
        if "nginx return 200" in ratios:
            self.bench.check("hello view: CPU a request to nginx return 200",
                             round(ours[0] / ratios["nginx return 200"][0], 2),
                             1, "x", "issue")
        if "fastify" in ratios:
            self.bench.check("hello view: requests/s to fastify's",
                             round(ours[1] / ratios["fastify"][1], 2), 2.5,
                             "x", "issue", at_least=True)

    def enqueue(self, job):
        """The same job by POST: pit-web against fastify + BullMQ."""
        n = max(self.bench.options.jobs // 5, 500)
        body = ["--connections", 64, "--body",
                self.bench.body("one.json", job)]
        self.bench.clear()
        with contextlib.ExitStack() as stack:
            servers = self.peers(stack, ENQUEUE)
            if not servers:
                return
            servers.insert(0, ("pit-web, POST /v1/jobs",
                               stack.enter_context(self.bench.web())))
            ratios = self.compare(
                "enqueue, 64 connections", servers, n,
                lambda name: body + ["--path", "/v1/jobs" if "pit-web" in name
                                     else "/jobs"])
        self.bench.check("POST: requests/s to fastify + BullMQ's",
                         round(1 / ratios["fastify + BullMQ"][1], 2), 6,
                         "x", "design", at_least=True)

    def waiting(self):
        """Many views that wait for a second at the same time."""
        n = min(WAITERS, self.bench.options.jobs)
        flags = ["--max-connections", n + SPARE, "--max-in-flight",
                 n + SPARE]
        with self.bench.web(flags) as web:
            def own_kib():
                return probe.rss_by_name(web.pid)["pit-web"][1] * 1024
            start = own_kib()
            tool = subprocess.Popen(
                [pitharness.program_path("bin/bench-waiters"), "--port",
                 str(web.port), "--connections", str(n)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                if tool.stdout.readline() != "connected\n":
                    raise AssertionError("bench-waiters cannot connect")
                connected = own_kib()
                tool.stdin.write("go\n")
                tool.stdin.flush()
                peak = connected
                while tool.poll() is None:
                    peak = max(peak, own_kib())
                    pitharness.time.sleep(0.02)
                done = json.loads(tool.stdout.read())
            finally:
                tool.kill()
                tool.wait()
                tool.stdin.close()
                tool.stdout.close()
        if done["200"] != n:
            raise AssertionError(f"waiting views: {done}")
        self.rows.append({
            "section": f"{n} views waiting 1 s", "name": "pit-web", **done,
            "kib_connected": round((connected - start) / n, 2),
            "kib_waiting": round((peak - start) / n, 2)})
        print(f"\n{n} views waiting 1 s at once: first {done['first_ms']:.0f}"
              f", p50 {done['p50_ms']:.0f}, p99 {done['p99_ms']:.0f}, last "
              f"{done['last_ms']:.0f} ms after the first request, which took "
              f"{done['sending_ms']:.0f} ms to send all; each after its own: "
              f"p50 {done['own_p50_ms']:.0f}, p99 {done['own_p99_ms']:.0f}, "
              f"most {done['own_most_ms']:.0f} ms; {(connected - start) / n:.1f} KiB "
              f"an idle connection, {(peak - start) / n:.1f} KiB with its "
              "view", flush=True)
        name = f"{n} views waiting 1 s at once"
        self.bench.check(f"{name}: the last answer", done["last_ms"], 1500,
                         "ms", "issue")
        self.bench.check(f"{name}: p99 after its own request",
                         done["own_p99_ms"], 1100, "ms", "design")
        self.bench.check(f"{name}: resident, each",
                         round((peak - start) / n, 2), 8, "KiB", "issue")

    def count(self):
        """Instructions and calls of the heap a request, by callgrind."""
        why_not = instructions.why_not()
        if why_not:
            self.skipped.append(f"instructions: {why_not}")
            print(f"skipped instructions: {why_not}", flush=True)
            return
        print()
        for name, request, width in (
                ("short head", instructions.SHORT, 1),
                ("a browser's head", instructions.BROWSER, 1),
                ("short head", instructions.SHORT, 64)):
            seen, heap = instructions.count(self.bench.redis.url, request,
                                            n=640, width=width)
            what = f"routed GET, {name}, {len(request)} bytes, {width} at once"
            self.rows.append({"section": "instructions", "name": what,
                              "instructions": round(seen),
                              "heap_calls": round(heap, 3)})
            print(f"{what:52}{seen:>9.0f} instructions, {heap:.2f} calls of "
                  "the heap", flush=True)
            if (request, width) == (instructions.SHORT, 1):
                self.bench.check("routed GET: user instructions a request",
                                 round(seen), 3000, "", "issue")
                self.bench.check("routed GET: calls of the heap a request",
                                 round(heap, 2), 0, "", "issue")

    def all(self, job):
        self.count()
        self.hello()
        self.enqueue(job)
        self.waiting()
