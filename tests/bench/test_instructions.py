#!/usr/bin/python3
"""A routed GET of a view that answers at once: what it may cost at most.

Instructions in user mode and calls of the heap, counted by callgrind in the
steady state, so that neither other work on the machine nor its kind matters.
The figures are of x86-64 and the release build; anything else is skipped.
"""
import os
import platform
import re
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
for folder in ("bench", os.path.join("tests", "harness")):
    sys.path.insert(0, os.path.join(ROOT, folder))

import instructions  # noqa: E402
import pitharness  # noqa: E402


def whole_program():
    """True for a build that is optimized as a whole, as the release is."""
    path = os.path.join(pitharness.BUILD_DIR, "CMakeCache.txt")
    with open(path, encoding="utf-8") as file:
        return re.search(r"^PIT_LTO:BOOL=ON$", file.read(), re.M) is not None


class Instructions(pitharness.PitTestCase):
    def setUp(self):
        super().setUp()
        if instructions.why_not():
            self.skipTest(instructions.why_not())
        if platform.machine() != "x86_64":
            self.skipTest("the figures are of x86-64")
        if not whole_program():
            self.skipTest("not the release build: cmake --preset release")
        self.url = self.redis().url

    def check(self, request, width, at_most):
        # What is done once a second counts as well: on a busy machine, where
        # the requests take longer, so much that it is counted again.
        for _ in range(3):
            seen, heap = instructions.count(self.url, request, n=640,
                                            width=width)
            print(f"{len(request)} bytes, {width} at once: {seen:.0f} "
                  f"instructions, {heap:.2f} calls of the heap",
                  file=sys.stderr)
            if seen <= at_most and heap < 0.01:
                break
        self.assertLessEqual(seen, at_most)
        self.assertGreater(seen, 500, "something was not counted")
        self.assertLess(heap, 0.01)

    def test_short_head(self):
        self.check(instructions.SHORT, 1, 3000)

    def test_browser(self):
        self.check(instructions.BROWSER, 1, 4200)

    def test_many_at_once(self):
        self.check(instructions.SHORT, 64, 2700)


if __name__ == "__main__":
    unittest.main()
