"""pit flows: the list, one flow, its start, its cancellation."""

import json
import os
import subprocess
import unittest

from pitharness import PitTestCase, program_path, wait_until


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
                      ["--queue", "a b"], ["--wait", "1s"],
                      ["show", self.flow["id"], "--wait", "1s"]):
            self.pit(*words, code=2)
        self.pit("show", "home.none", code=1)


class Start(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.http = self.web(self.store, ready="/readyz").http
        client = self.store.client()
        self.addCleanup(client.close)
        wait_until(lambda: client.hget("pit:tasks", "noop"), 10,
                   "pit-web to tell of its tasks")

    def start(self, document, *options, code=0):
        path = os.path.join(self.dir, "flow.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(document if isinstance(document, str)
                       else json.dumps(document))
        return self.cli(self.store, "flows", "start", path, *options,
                        code=code)

    def jobs_of(self, document):
        """As the command line and as HTTP make them, without the ids."""
        made = self.start(document).stdout.strip()
        posted = self.http.post("/v1/flows", document).json()["id"]
        return [[{key: value for key, value in job.items() if key != "id"}
                 for job in self.http.get("/v1/flows/" + flow).json()["jobs"]]
                for flow in (made, posted)]

    def test_the_same_flow_as_over_http(self):
        noop = {"task": "noop"}
        for document in (
                {"chain": [noop, {"group": [noop, noop]}, noop]},
                {"group": [noop, noop], "then": {**noop, "name": "last"}},
                {"jobs": {"a": noop, "b": {**noop, "after": ["a"],
                                           "on_failure": "go_on"}}}):
            ours, theirs = self.jobs_of(document)
            self.assertEqual(ours, theirs)
            self.assertEqual(ours[0]["state"], "ready")

    def test_id_or_document(self):
        flow = {"name": "nightly", "queue": "home", "durability": "memory",
                "group": [{"task": "noop"}]}
        self.assertRegex(self.start(flow).stdout, r"\Ahome\.\w{26}\n\Z")
        shown = json.loads(self.start(flow, "--json").stdout)
        self.assertEqual(shown,
                         self.http.get("/v1/flows/" + shown["id"]).json())

    def test_standard_input(self):
        done = subprocess.run(
            [program_path("pit"), "flows", "start", "-", "--redis",
             self.store.url], input='{"chain": [{"task": "noop"}]}', text=True,
            capture_output=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(
            self.http.get("/v1/flows/" + done.stdout.strip()).status, 200)

    def test_wait_for_the_end(self):
        started = self.start({"chain": [{"task": "noop"}]}, "--wait", "50ms",
                             code=1)
        self.assertIn("has not ended yet", started.stderr)
        self.assertIn("running", started.stdout)
        self.worker(self.store)
        flow = {"chain": [{"task": "noop"}, {"task": "noop"}]}
        text = self.start(flow, "--wait", "20s").stdout
        self.assertRegex(text, r"state +succeeded")
        shown = json.loads(self.start(flow, "--wait", "20s", "--json").stdout)
        self.assertEqual((shown["state"], shown["jobs_left"]),
                         ("succeeded", 0))

    def test_refusals(self):
        before = self.http.get("/v1/flows").json()
        for document, says in (
                ({"chain": [{"task": "noop"}, {"task": "none"}]},
                 "/chain/1/task: "),
                ({"group": [{"task": "noop", "retry": {"max": -1}}]},
                 "/group/0/retry/max: "),
                ({"jobs": {"a": {"task": "noop", "after": ["b"]},
                           "b": {"task": "noop", "after": ["a"]}}}, "/after: "),
                ({"chain": [{"task": "noop"}], "durability": "fsync"},
                 "/durability: "),
                ({"chains": []}, "/chains: "), ({}, "give one of"),
                ("{", "flow.json: "), ("", "flow.json: ")):
            done = self.start(document, code=2)
            self.assertEqual(done.stdout, "")
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(says, done.stderr)
            self.assertIn("flow.json", done.stderr)
        self.assertEqual(self.http.get("/v1/flows").json(), before)

    def test_bad_words(self):
        for words, says in (
                (["start"], "one FILE"), (["start", "a", "b"], "one FILE"),
                (["start", self.dir + "/none"], "No such file"),
                (["start", self.dir], "Is a directory"),
                (["start", "-", "--queue", "home"], "--queue")):
            done = self.cli(self.store, "flows", *words, code=2)
            self.assertIn(says, done.stderr)

    def test_the_home_is_closed(self):
        self.cli(self.store, "pause", "home", "--intake")
        done = self.start({"queue": "home", "chain": [{"task": "noop"}]},
                          code=1)
        self.assertIn("it is closed", done.stderr)


if __name__ == "__main__":
    unittest.main()
