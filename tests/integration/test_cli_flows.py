"""pit flows: the list, one flow, its cancellation."""

import json
import unittest

from pitharness import PitTestCase


class Flows(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.http = self.web(self.store, ready="/readyz").http
        self.flow = self.http.post("/v1/flows", {"name": "nightly", "chain": [
            {"task": "noop", "name": "a"}, {"task": "noop", "name": "b"}],
            "queue": "home"}).json()

    def pit(self, *words, code=0):
        done = self.cli(self.store, "flows", *words, code=code)
        return done.stdout if hasattr(done, "stdout") else done

    def test_list(self):
        text = self.pit()
        for word in (self.flow["id"], "nightly", "running"):
            self.assertIn(word, text)
        listed = json.loads(self.pit("--json"))["flows"]
        self.assertEqual([flow["id"] for flow in listed], [self.flow["id"]])
        self.assertNotIn("nightly", self.pit("--queue", "default"))

    def test_show_and_cancel(self):
        text = self.pit("show", self.flow["id"])
        self.assertRegex(text, r"a +ready +noop")
        self.assertRegex(text, r"b +blocked +noop .* a")
        shown = json.loads(self.pit("show", self.flow["id"], "--json"))
        self.assertEqual(shown["jobs"], self.flow["jobs"])
        self.assertRegex(self.pit("cancel", self.flow["id"]),
                         "a +cancelled")
        self.pit("cancel", self.flow["id"], code=1)

    def test_bad_words(self):
        for words in (["show"], ["lose", "x.y"], ["show", "nodot"],
                      ["--queue", "a b"]):
            self.pit(*words, code=2)
        self.pit("show", "home.none", code=1)


if __name__ == "__main__":
    unittest.main()
