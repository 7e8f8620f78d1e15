"""Checks that are tests already: tests/fault and others, at full size.

A test leaves what it measured in .seen. What it asserts is what is promised, so a
failure is a miss; the figures are for the table.
"""
import os
import sys
import unittest

TESTS = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "tests")


def case(kind, module, name, test, **sizes):
    """Runs one test with other sizes; its .seen. AssertionError on failure."""
    folder = os.path.join(TESTS, kind)
    if folder not in sys.path:
        sys.path.append(folder)
    cls = getattr(__import__(module), name)
    one = type(name, (cls,), sizes)(test)
    result = unittest.TestResult()
    with open(os.devnull, "w", encoding="ascii") as nowhere:
        keep = sys.stdout
        sys.stdout = nowhere  # what a test says of itself
        try:
            one.run(result)
        finally:
            sys.stdout = keep
    if result.skipped:
        raise unittest.SkipTest(result.skipped[0][1])
    for _, text in result.failures + result.errors:
        lines = [line for line in text.strip().split("\n")
                 if line and not line.startswith(" ")]
        raise AssertionError(next(
            (line for line in lines if "Error" in line), lines[-1]))
    return one.seen


def rate(bench):
    seconds = 4 if bench.options.quick else 60
    seen = case("fault", "test_limit_faults", "Limits",
                "test_rate_over_three_workers", RATE_S=seconds)
    name = f"rate 100/s on a key, three workers, {seconds} s"
    bench.check(f"{name}: off by", seen["off_percent"], 2, "%")
    bench.check(f"{name}: starts within 1 s", seen["most_within_1_s"], 111,
                "")


def concurrency(bench):
    sizes = {} if bench.options.quick else {"JOBS": 1000, "KILLS": 12}
    seen = case("fault", "test_limit_faults", "Limits",
                "test_concurrency_while_workers_die", **sizes)
    bench.check(f"concurrency 5, {seen['killed']} workers killed, "
                f"{seen['lost']} handlers hit", seen["most"], 5, "at once")


def flow(bench):
    seen = case("fault", "test_flow_faults", "Flow",
                "test_the_last_job_runs_once_with_all_results")
    bench.check(f"flow of 1000 and a callback, {seen['killed']} workers "
                "killed", seen["inputs"], 1000, "results", at_least=True)


def schedules(bench):
    sizes = {} if bench.options.quick else {"PERIOD_MS": 60000}
    seen = case("fault", "test_schedules", "Schedules",
                "test_each_time_once", **sizes)
    bench.check(f"1000 schedules, 5 workers, {seen['killed']} killed: fires, "
                "each once", seen["fires"], 5000, "", at_least=True)


def child(bench):
    for slots in (2, 1):
        seen = case("fault", "test_worker_faults", "Children",
                    "test_killed_slot_runs_its_job_again_within_100_ms"
                    if slots == 2 else
                    "test_the_only_slot_killed_is_replaced_within_100_ms")
        bench.check(f"child killed -9, {slots} slots: runs again within",
                    seen["again_ms"], 100, "ms")


def worker(bench):
    seen = case(
        "fault", "test_worker_faults", "Workers",
        "test_killed_worker_leaves_no_orphan_and_its_jobs_run_elsewhere")
    bench.check("worker killed -9, lease 2 s: runs again within",
                seen["again_ms"], 3000, "ms")


def smoke(bench):
    seen = case("integration", "test_smokehouse_views", "Smoke",
                "test_a_hundred_at_once")
    bench.check("100 /smoke_some_meats/ at once, all answered within",
                seen["seconds"], 2.5, "s")


CHECKS = {
    "rate": (rate, "100/s on a key over one minute and three workers"),
    "concurrency": (concurrency, "5 of a key, by the handlers' own log, while "
                    "workers die"),
    "flow": (flow, "1,000 jobs and a callback while workers die"),
    "schedules": (schedules, "a thousand each minute, five minutes, five "
                  "workers that die"),
    "child": (child, "a killed slot child's job runs again"),
    "worker": (worker, "a killed worker's job runs elsewhere"),
    "smoke": (smoke, "100 views that fetch, at once"),
}
