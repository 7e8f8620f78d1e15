"""pit bench contrast: three lanes, what they lose, and nothing left behind."""

import glob
import json
import os
import signal
import unittest

from pitharness import PitTestCase, descendants_of, is_running, wait_until

SMALL = ["--requests", "60", "--burst", "60", "--clients", "20", "--wait",
         "20ms", "--cpu-us", "500"]


def folders():
    return set(glob.glob("/tmp/pit-contrast-*"))


class Contrast(PitTestCase):
    def bench(self, *words, **kwargs):
        return self.cli("", "bench", *words, **kwargs)

    def test_what_each_lane_loses(self):
        before = folders()
        report = json.loads(self.bench("contrast", "--json", *SMALL,
                                       timeout=90).stdout)
        self.assertEqual(folders() - before, set())
        self.assertEqual(report["work"], {"wait_ms": 20, "cpu_us": 500})
        lanes = {lane["lane"]: lane for lane in report["lanes"]}
        self.assertEqual(list(lanes), ["awaited", "detached", "queued"])
        for lane in lanes.values():
            with self.subTest(lane=lane["lane"]):
                self.assertEqual(lane["killed"]["asked"], 60)
                self.assertGreater(lane["done_per_s"], 0)
                self.assertGreaterEqual(lane["others_ms"]["max"],
                                        lane["others_ms"]["p50"])
        # Awaited: the answer comes after the work, so what was cut is known.
        awaited = lanes["awaited"]
        self.assertGreaterEqual(awaited["answer_ms"]["p50"], 20)
        self.assertEqual(awaited["killed"]["lost"], 0)
        self.assertLess(awaited["killed"]["answered"], 60)
        # Detached: answered at once, half of it gone for good.
        detached = lanes["detached"]
        self.assertLess(detached["answer_ms"]["p50"], 20)
        self.assertEqual(detached["killed"]["answered"], 60)
        self.assertGreater(detached["killed"]["lost"], 0)
        self.assertEqual(detached["killed"]["lost"],
                         60 - detached["killed"]["done"])
        # Queued: answered at once, nothing gone.
        queued = lanes["queued"]
        self.assertLess(queued["answer_ms"]["p50"], 20)
        self.assertEqual(queued["killed"]["answered"], 60)
        self.assertEqual((queued["killed"]["lost"], queued["killed"]["done"]),
                         (0, 60))

    def test_interrupted_leaves_nothing(self):
        before = folders()
        process = self.program("pit", ["bench", "contrast", "--requests",
                                       "20000", "--wait", "1s"])
        wait_until(lambda: len(descendants_of(process.pid)) >= 4, 20,
                   "its servers to be there")
        mine = descendants_of(process.pid)
        process.signal(signal.SIGINT)
        process.assert_exit(1, 20)
        self.assertIn("interrupted", process.log())
        wait_until(lambda: not any(map(is_running, mine)), 5,
                   "its servers to be gone")
        self.assertEqual(folders() - before, set())

    def test_complaints(self):
        for words in ([], ["speed"], ["contrast", "more"],
                      ["contrast", "--burst", "1"]):
            with self.subTest(words=words):
                done = self.bench(*words, code=2)
                self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_no_redis_server(self):
        done = self.bench("contrast", code=1, env={"PATH": self.dir})
        self.assertIn("redis-server: No such file", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
