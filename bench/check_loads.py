"""Checks that need a load of their own: many jobs due at once, a tenant with a
million, a queue that holds a million, what options cost, an idle worker, and ten
thousand views. Each is called with bench/checks' Checks."""
import contextlib
import json
import os
import statistics
import struct
import sys
import time

import pitharness
import pitscripts

SLOW_US = 500     # scripts are looked at from there on
HELD = 5000       # jobs with options that wait beside plain ones
LINE = struct.Struct("qq")  # bench.due: args.at, when it started (us)


def sized(bench, n):
    return n // 100 if bench.options.quick else n


@contextlib.contextmanager
def worker(bench, slots=2):
    """bench.worker() whose handlers note their starts; the path of the notes."""
    path = os.path.join(bench.dir, "due.log")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    one = pitharness.Worker(bench.redis.url, bench.dir, queues="bench",
                            app="bench/tasks.so", slots=slots,
                            env={"BENCH_LOG": path})
    try:
        one.wait_for_line("ready: worker", 20)
        yield path
    finally:
        one.terminate()
        try:
            one.wait_exit(30)
        finally:
            one.close()


def notes(path):
    """[(at, started us)]"""
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        data = file.read()
    return list(LINE.iter_unpack(data[:len(data) // LINE.size * LINE.size]))


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def slowest_script_ms(bench):
    found = [one["duration"] for one in bench.client.slowlog_get(1000)
             if "EVAL" in str(one["command"])[:6]]  # str or bytes
    return max(found, default=0) / 1000


def watch_scripts(bench):
    bench.client.config_set("slowlog-log-slower-than", SLOW_US)
    bench.client.config_set("slowlog-max-len", 1000)
    bench.client.slowlog_reset()


def due(bench):
    """Jobs due evenly within one second, on a worker that sleeps till then."""
    n = sized(bench, 10000)
    queue = pitscripts.Queue(bench.client, "bench")
    with worker(bench) as path:
        first = queue.now() + (2000 if bench.options.quick else 6000)
        jobs = []
        for i in range(n):
            at = first + i * 1000 // n
            jobs.append(pitscripts.Job(
                f"due{i}", 5, '15- %d bench.due\n{"at":%d}' % (first, at),
                f"@{at}"))
        for at in range(0, n, 100):
            queue.enqueue(*jobs[at:at + 100])
        pitharness.wait_until(lambda: queue.now() > first - 500, 20, "silence")
        if notes(path):
            raise AssertionError("a job ran before the first was due")
        watch_scripts(bench)
        pitharness.wait_until(lambda: bench.totals("succeeded") == n, 20,
                              "all to end", interval=0.1)
        late = [us / 1000 - at for at, us in notes(path)]
    name = f"{n} jobs due within one second"
    if len(late) != n:
        raise AssertionError(f"{name}: {len(late)} have run")
    bench.check(f"{name}: early", sum(ms < 0 for ms in late), 0, "jobs")
    bench.check(f"{name}: late, p50", statistics.median(late), 10, "ms")
    bench.check(f"{name}: late, p99", percentile(late, 0.99), 10, "ms")
    bench.check(f"{name}: slowest script", slowest_script_ms(bench), 5, "ms")


def post_jobs(bench, web, n, job, each=1000):
    """@n of the same job, by NDJSON batches of @each."""
    bench.tool("http", "--port", web.port, "--requests", n // each,
               "--path", "/v1/jobs:batch", "--limit", "300s",
               "--type", "application/x-ndjson", "--body",
               bench.body("jobs.ndjson", (json.dumps(job) + "\n") * each))


def tenants(bench):
    """One has very many jobs of 10 ms each; another one comes with ten."""
    n = sized(bench, 1000000)
    big = {"task": "bench.due", "args": {"at": 0, "ms": 10},
           "limit": {"key": "big"}}
    queue = pitscripts.Queue(bench.client, "bench")
    with bench.web() as web, worker(bench) as path:
        post_jobs(bench, web, n, big)
        if bench.totals("enqueued") != n:
            raise AssertionError(f"{bench.totals('enqueued')} of {n} jobs")
        begun = bench.totals("succeeded")
        pitharness.wait_until(lambda: bench.totals("succeeded") > begun + 100,
                              20, "the big tenant's jobs to run")
        watch_scripts(bench)
        now = queue.now()
        small = json.dumps({"task": "bench.due", "args": {"at": now},
                            "limit": {"key": "small"}})
        answer = web.http.post("/v1/jobs:batch", body=(small + "\n") * 10,
                               headers={"Content-Type":
                                        "application/x-ndjson"})
        if answer.status != 200:
            raise AssertionError(f"the ten: {answer}")
        pitharness.wait_until(lambda: len(notes(path)) == 10, 30, "the ten")
        left = n + 10 - bench.totals("succeeded")
        late = max(us / 1000 - now for _, us in notes(path))
        bench.client.hset(queue.key("meta"), "paused", "1")
    bench.check(f"ten jobs beside {left} of another tenant: the last starts",
                late, 1000, "ms")
    bench.check("    slowest script", slowest_script_ms(bench), 5, "ms")


def looks(http):
    """Median ms of what is looked at, each as a client sees it."""
    ids = [http.get(f"/v1/jobs?queue=q&state={state}&limit=1").json()["jobs"]
           [0]["id"] for state in ("ready", "succeeded")]
    found = {}
    for path in ("/v1/queues/q", "/v1/queues", "/v1/queues/q/scale",
                 "/metrics", "/v1/jobs?queue=q&state=ready&limit=100",
                 "/v1/jobs?queue=q&state=succeeded&limit=100",
                 "/v1/jobs?queue=q&state=ended&limit=100",
                 f"/v1/jobs/{ids[0]}", f"/v1/jobs/{ids[1]}",
                 f"/v1/jobs/{ids[0]}/explain"):
        took = []
        for _ in range(9):
            start = time.monotonic()
            answer = http.get(path)
            took.append(1000 * (time.monotonic() - start))
            if answer.status != 200:
                raise AssertionError(f"GET {path}: {answer}")
        found[path.replace(ids[0], "{waiting}").replace(
            ids[1], "{ended}")] = statistics.median(took)
    return found


def million(bench):
    """Looking at a queue with a million that wait and a million that ended, and
    what is left once a worker has run the first and forgotten all."""
    folder = os.path.join(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__))), "tests", "fault")
    if folder not in sys.path:
        sys.path.append(folder)
    import test_million  # noqa: PLC0415: it lies with the tests
    if bench.options.quick:
        test_million.MILLION = 10000
    n = test_million.MILLION
    queue = pitscripts.Queue(bench.client, "q")
    with bench.web() as web:
        http = pitharness.Http(web.port, keep_alive=True)
        empty = bench.client.info("memory")["used_memory"]
        test_million.fill(bench.client, queue)
        full = bench.client.info("memory")["used_memory"]
        watch_scripts(bench)
        print(f"{n} waiting, {n} ended:", flush=True)
        for path, took in looks(http).items():
            bench.check(f"GET {path}", took, 10, "ms")
        bench.check("    slowest script", slowest_script_ms(bench), 10, "ms")
        answer = http.request("PATCH", "/v1/queues/q",
                              {"retention": {"ended": 0}})
        if answer.status != 200:
            raise AssertionError(f"PATCH: {answer}")
        http.close()
        one = pitharness.Worker(bench.redis.url, bench.dir, queues="q")
        try:
            pitharness.wait_until(
                lambda: not bench.client.hlen(queue.key("jobs")), 300,
                "all to have run and to be forgotten", interval=0.5)
        finally:
            one.terminate()
            one.wait_exit(30)
            one.close()
        bench.client.script_flush()
        left = bench.client.info("memory")["used_memory"] - empty
    bench.check(f"memory left of {(full - empty) >> 20} MiB once forgotten",
                left / 2**20, 8, "MiB")


def memory(bench):
    """Of a plain ready job."""
    n = max(sized(bench, 100000), 20000)

    def used():
        return bench.client.info("memory")["used_memory"]
    before = used()
    done = bench.tool("enqueue", "--redis", bench.redis.url, "--jobs", n,
                      "--pad", 100)
    bench.check("memory of a ready job over its args",
                (used() - before) / n - done["args_bytes"], 200, "B", "design")


def backlog_us(bench, queue, enqueue, n):
    """Redis' CPU us a job: to take @n plain jobs in, and to run them."""
    before = bench.totals("succeeded")
    cpu = bench.redis_cpu()
    bench.client.hset(queue.key("meta"), "paused", "1")
    stored = bench.totals("enqueued")
    enqueue()
    if bench.totals("enqueued") - stored != n:
        raise AssertionError(f"{bench.totals('enqueued') - stored} of {n} "
                             "jobs were taken in")
    bench.client.hdel(queue.key("meta"), "paused")
    bench.client.rpush(queue.key("wake"), "1")
    pitharness.wait_until(lambda: bench.totals("succeeded") >= before + n,
                          120, "the backlog's end", interval=0.05)
    return (bench.redis_cpu() - cpu) / n * 1e6


def held_jobs(http, queue):
    """Jobs with unique and limit keys that wait: of each key one an hour."""
    jobs = [json.dumps({"task": "bench.noop", "args": {"i": i},
                        "unique": {"key": f"u{i}", "while": "ended",
                                   "ttl": "1h"},
                        "limit": {"key": f"k{i % 100}", "rate": "1/h"}})
            for i in range(HELD)]
    for at in range(0, HELD, 1000):
        http.post("/v1/jobs:batch", body="\n".join(jobs[at:at + 1000]),
                  headers={"Content-Type": "application/x-ndjson"})
    pitharness.wait_until(
        lambda: queue.client.hlen(queue.key("unique")) == HELD, 10,
        "their keys")


def options(bench):
    """Plain jobs alone, and where thousands with options wait beside them; then
    jobs with an option. Each on an empty Redis; ratios within a round."""
    n = max(sized(bench, 50000), 2000)
    queue = pitscripts.Queue(bench.client, "bench")

    def cost(beside=False, **more):
        bench.clear()
        job = {"task": "bench.noop", "args": {"i": 1}, **more}
        with bench.web() as web, worker(bench):
            if beside:
                held_jobs(web.http, queue)
            return backlog_us(bench, queue,
                              lambda: post_jobs(bench, web, n, job), n)
    ratios = {"beside": [], "key": [], "most": []}
    for _ in range(3):
        alone = cost()
        ratios["beside"].append(cost(beside=True) / alone)
        ratios["key"].append(cost(limit={"key": "k"}) / alone)
        ratios["most"].append(cost(limit={"key": "k", "concurrency": 100}) /
                              alone)
    beside, key, most = map(statistics.median, ratios.values())
    bench.check(f"Redis' CPU of plain jobs beside {HELD} with options", beside,
                1.15, "x alone")
    print(f"{'    of jobs with a key for fair share':56}{key:>10.3g} x alone\n"
          f"{'    of jobs with a concurrency of 100':56}{most:>10.3g} x alone",
          flush=True)


def idle(bench):
    with bench.worker() as one:
        bench.idleness(one)


def waiting(bench):
    bench.front.waiting()


CHECKS = {
    "due": (due, "10,000 jobs due within one second, on an idle worker"),
    "tenants": (tenants, "ten jobs beside a million of another tenant"),
    "million": (million, "a million waiting, a million ended: looking, and "
                "memory afterwards"),
    "memory": (memory, "of a plain ready job"),
    "options": (options, "options cost only who uses them"),
    "idle": (idle, "what an idle worker asks of Redis"),
    "waiting": (waiting, "10,000 views that wait a second, in one process"),
}
