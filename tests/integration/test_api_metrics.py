"""What machines ask: /metrics for Prometheus, /scale for an autoscaler."""

import json
import os
import re
import signal
import time
import unittest

from pitharness import children_of, wait_until
from pitscripts import ended, job
from test_api_control import ControlCase

LINE = re.compile(r'^([a-z_]+)(?:\{([a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*)\})? '
                  r'(-?[0-9.]+)$')


def read(text):
    """name{labels} -> value; checks the format on the way."""
    found, families, current = {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert current not in families, f"{current} comes twice"
            families.add(current)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name == current and kind in ("gauge", "counter"), line
            assert name.endswith("_total") == (kind == "counter"), line
        else:
            match = LINE.match(line)
            assert match and match.group(1) == current, line
            key = match.group(1) + (f"{{{match.group(2)}}}"
                                    if match.group(2) else "")
            assert key not in found, line
            found[key] = float(match.group(3))
    return found


class Metrics(ControlCase):
    def scrape(self):
        answer = self.http.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["Content-Type"].startswith(
            "text/plain; version=0.0.4"))
        return read(answer.text())

    def test_queues_and_workers(self):
        self.client.sadd("pit:queues", "q")
        self.queue.enqueue(job("a"), job("b"), job("c", where="+60000"))
        one, = self.claim()
        self.queue.work(finishes=[ended("f", one, -1)])
        self.queue.settings(closed=1)
        self.client.hset("pit:workers", "w1", json.dumps(
            {"seen_ms": int(time.time() * 1000), "slots": 4, "queues": {}}))
        seen = self.scrape()
        for state, n in (("ready", 1), ("scheduled", 1), ("dead", 1),
                         ("running", 0)):
            self.assertEqual(
                seen[f'pit_queue_jobs{{queue="q",state="{state}"}}'], n)
        self.assertEqual(
            seen['pit_queue_events_total{queue="q",event="enqueued"}'], 3)
        self.assertGreater(seen['pit_queue_oldest_ready_seconds{queue="q"}'],
                           0)
        self.assertEqual(seen['pit_queue_closed{queue="q"}'], 1)
        self.assertEqual(seen['pit_queue_paused{queue="q"}'], 0)
        self.assertEqual((seen["pit_workers"], seen["pit_worker_slots"]),
                         (1, 4))
        self.assertEqual(seen["pit_redis_up"], 1)

    def test_without_redis(self):
        self.store.kill()
        seen = self.scrape()
        self.assertEqual(seen["pit_redis_up"], 0)
        self.assertEqual(seen["pit_web_processes"], 1)
        self.assertNotIn("pit_workers", seen)

    def test_all_processes_add_up(self):
        front = self.web(self.store, processes=3, ready="/readyz")
        self.http = front.http
        wait_until(lambda: self.scrape()["pit_web_processes"] == 3)
        before = self.scrape()["pit_web_requests_total"]
        for _ in range(60):
            self.http.get("/healthz")
        # The others tell once a second.
        wait_until(lambda: self.scrape()["pit_web_requests_total"]
                   >= before + 60)
        last = self.scrape()
        self.assertGreater(last["pit_web_resident_bytes"], 1000000)
        os.kill(children_of(front.pid)[0], signal.SIGKILL)
        wait_until(lambda: self.scrape()["pit_web_processes"] == 3)
        self.assertGreaterEqual(self.scrape()["pit_web_requests_total"],
                                last["pit_web_requests_total"])


class Scale(ControlCase):
    def scale(self, query=""):
        answer = self.http.get(f"/v1/queues/q/scale{query}")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def test_nothing_known(self):
        told = self.scale()
        self.assertEqual((told["wanted_workers"], told["drain_s"]), (0, 0))
        self.queue.enqueue(job("a"))
        told = self.scale()
        self.assertEqual((told["wanted_workers"], told["drain_s"]), (1, None))

    def test_from_samples(self):
        """600 came and 1,200 ended in a minute; 600 wait, 10 run: one takes
        half a second, and the backlog is gone in another minute."""
        self.queue.enqueue(*[job(f"j{n:03d}") for n in range(110)])
        self.claim(10)
        self.queue.work()
        stats = self.queue.key("stats")
        self.client.delete(self.queue.key("samples"))
        self.client.hset(stats, mapping={"enqueued": 1600, "succeeded": 2200})
        now = self.queue.now()
        for seconds in (300, 60, 10):
            self.client.lpush(self.queue.key("samples"),
                              f"{now - 1000 * seconds} 1000 1000 0 0 0 0 0 0 0")
        told = self.scale("?target=10s&slots=4")
        self.assertAlmostEqual(told["rates"]["enqueued_per_s"], 10, 0)
        self.assertAlmostEqual(told["rates"]["succeeded_per_s"], 20, 0)
        self.assertAlmostEqual(told["attempt_s"], 0.5, 1)
        self.assertAlmostEqual(told["drain_s"], 10, 0)
        # 0.5 s times (10/s and 100 within 10 s): 10 slots, 3 workers of 4.
        self.assertIn(told["wanted_slots"], (10, 11))
        self.assertEqual(told["wanted_workers"], 3)
        shown = self.http.get("/v1/queues/q").json()["rates"]
        self.assertAlmostEqual(shown["enqueued_per_s"], 10, 0)

    def test_refused(self):
        for query in ("?target=soon", "?target=100ms", "?slots=0", "?x=1"):
            self.refuse("GET", f"/v1/queues/q/scale{query}", 400,
                        "invalid-request")


del ControlCase
if __name__ == "__main__":
    unittest.main()
