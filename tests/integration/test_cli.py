"""pit, the command line: words in, exit status and text out, Redis behind it."""
import http.server
import json
import os
import socket
import subprocess
import threading
import time
import unittest

from pitharness import PitTestCase, program_path, wait_until

NOOP = {"queue": "default", "timeout_ms": 60000, "retries": 3,
        "backoff_ms": 2000, "backoff_cap_ms": 3600000, "keep_ms": 3600000,
        "priority": 5, "about": "does nothing"}


class CliTestCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.redis()
        self.client = self.server.client()
        self.addCleanup(self.client.close)

    def tell_of(self, name, **entry):
        """What a worker does at its start."""
        self.client.hset("pit:tasks", name, json.dumps({**NOOP, **entry}))

    def pit(self, *words, code=0, **kwargs):
        return self.cli(self.server, *words, code=code, **kwargs)

    def pit_json(self, *words, code=0):
        return json.loads(self.pit(*words, "--json", code=code).stdout)

    def assert_refused(self, words, code, says):
        """One line on standard error, nothing on standard output."""
        done = self.pit(*words, code=code)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn(says, done.stderr)


class Words(CliTestCase):
    def test_help_lists_every_command(self):
        text = self.pit("--help").stdout
        for command in ("enqueue", "job", "queues", "tasks", "doctor",
                        "health"):
            self.assertIn(command, text)
            about = self.pit(command, "--help").stdout
            self.assertIn("Usage: pit " + command, about)
            self.assertEqual(about, self.pit("help", command).stdout)
            self.assertIn("PIT_", about)

    def test_routes_are_listed_without_redis(self):
        app = ["--app", program_path("examples/smokehouse.so")]
        lines = self.pit("routes", *app).stdout.splitlines()
        self.assertEqual(lines[0].split(), ["METHOD", "ROUTE", "KIND",
                                            "TIMEOUT", "BODY", "MIDDLEWARE"])
        rows = {tuple(line.split()[:2]): line.split()[2:] for line in lines}
        self.assertEqual(rows["GET", "/sync/"], ["sync", "-", "-", "1"])
        self.assertEqual(rows["GET", "/smoke_some_meats/"],
                         ["async", "10s", "-", "1"])
        self.assertEqual(rows["PUT", "/notes/{name:slug}"][2], "65536")
        shown = json.loads(self.pit("routes", *app, "--json").stdout)
        self.assertEqual(shown["app"], "smokehouse")
        self.assertEqual(len(shown["views"]), len(lines) - 1)
        self.assert_refused(["routes"], 2, "pit routes --app")
        self.assert_refused(["routes", "--app", "/nowhere.so"], 1,
                            "/nowhere.so")

    def test_version(self):
        version = self.pit("--version").stdout
        self.assertRegex(version, r"^pit \d+\.\d+")
        self.assertEqual(self.pit("purge", "q", "--version").stdout, version)

    def test_bad_use_is_2(self):
        self.assertEqual(self.pit(code=2).stdout, "")
        for words, says in (
                (["frobnicate"], "frobnicate"),
                (["enqueue"], "name one task"),
                (["enqueue", "a", "b"], "name one task"),
                (["enqueue", "no/slash"], "name one task"),
                (["enqueue", "noop", "--args", "{"], "--args"),
                (["enqueue", "noop", "--args", "[1] [2]"], "--args"),
                (["enqueue", "noop", "--args"], "--args"),
                (["enqueue", "noop", "--queue", "a b"], "--queue"),
                (["enqueue", "noop", "--id", "a.b"], "--id"),
                (["enqueue", "noop", "--delay", "soon"], "--delay"),
                (["enqueue", "noop", "--priority", "10"], "--priority"),
                (["enqueue", "noop", "--nonsense"], "--nonsense"),
                (["job"], "id"),
                (["job", "nodot"], "no dot"),
                (["queues", "default"], "no words"),
                (["queues", "--redis", "foo://bar"], "redis://"),
                (["health", "--url", "http://[oops"], "--url")):
            with self.subTest(words=words):
                self.assert_refused(words, 2, says)

    def test_options_come_from_file_and_environment(self):
        path = self.dir + "/pit.conf"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"redis = {self.server.url}\njson = yes\n")
        env = {"PIT_REDIS": "", "PIT_CONFIG": path}
        self.assertEqual(json.loads(self.pit("queues", env=env).stdout),
                         {"queues": []})
        env["PIT_JSON"] = "no"
        self.assertIn("QUEUE", self.pit("queues", env=env).stdout)

    def test_redis_away_is_one_line(self):
        self.server.kill()
        began = time.monotonic()
        self.assert_refused(["queues", "--timeout", "300ms"], 1,
                            "does not answer")
        self.assertLess(time.monotonic() - began, 5)

    def test_password_is_not_shown(self):
        done = self.pit("queues", "--redis", "redis://:hunter2@127.0.0.1:1",
                        "--timeout", "100ms", code=1)
        self.assertNotIn("hunter2", done.stderr + done.stdout)

    def test_a_full_disk_behind_stdout_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run(
                [program_path("pit"), "--help"], stdout=full,
                stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 1)


class Enqueue(CliTestCase):
    def setUp(self):
        super().setUp()
        self.tell_of("noop")

    def test_prints_the_id(self):
        job = self.pit("enqueue", "noop").stdout.strip()
        self.assertRegex(job, r"^default\.[0-9A-HJKMNP-TV-Z]{26}$")
        self.assertEqual(self.pit_json("job", job)["state"], "ready")

    def test_takes_queue_and_policy_from_the_task(self):
        self.tell_of("mail.send", queue="mail", priority=7, retries=9)
        job = self.pit("enqueue", "mail.send").stdout.strip()
        self.assertTrue(job.startswith("mail."))
        shown = self.pit_json("job", job)
        self.assertEqual((shown["queue"], shown["priority"]), ("mail", 7))
        self.assertIn("of 9 retries", self.pit("job", job).stdout)

    def test_options_go_before_the_tasks(self):
        job = self.pit("enqueue", "noop", "--queue", "other", "--priority", 0,
                       "--args", '{"a": [1, "ü"]}').stdout.strip()
        shown = self.pit_json("job", job)
        self.assertEqual(shown["queue"], "other")
        self.assertEqual(shown["priority"], 0)
        self.assertEqual(shown["args"], {"a": [1, "ü"]})

    def test_args_from_standard_input(self):
        done = subprocess.run(
            [program_path("pit"), "enqueue", "noop", "--args", "-", "--redis",
             self.server.url], input='{"big": "' + "x" * 100000 + '"}',
            capture_output=True, text=True, check=True)
        shown = self.pit_json("job", done.stdout.strip())
        self.assertEqual(len(shown["args"]["big"]), 100000)

    def test_delay(self):
        job = self.pit("enqueue", "noop", "--delay", "1h").stdout.strip()
        self.assertEqual(self.pit_json("job", job)["state"], "scheduled")
        self.assertIn("due", self.pit("job", job).stdout)

    def test_own_id_makes_one_job(self):
        words = ["enqueue", "noop", "--id", "order-7", "--args", "[1]"]
        self.assertTrue(self.pit_json(*words)["new"])
        self.assertFalse(self.pit_json(*words)["new"])
        self.assertEqual(self.pit(*words).stdout, "default.order-7\n")
        words[-1] = "[2]"
        self.assert_refused(words, 1, "other content")
        counts = self.pit_json("queues")["queues"][0]["counts"]
        self.assertEqual(counts["ready"], 1)

    def test_unknown_task_needs_force(self):
        self.assert_refused(["enqueue", "nope"], 1, "nope")
        self.assertEqual(self.pit_json("queues"), {"queues": []})
        self.assertEqual(self.pit_json("enqueue", "nope", "--force")["task"],
                         "nope")

    def test_wait_that_is_too_short(self):
        done = self.pit("enqueue", "noop", "--wait", "200ms", code=1)
        self.assertIn("ready", done.stdout)
        self.assertIn("not ended", done.stderr)

    def test_foreign_schema_is_left_alone(self):
        self.client.set("pit:schema", "99")
        self.assert_refused(["enqueue", "noop"], 1, "schema")
        self.assertEqual(self.client.exists("pit:queues"), 0)

    def test_full_memory_is_a_refusal(self):
        self.client.config_set("maxmemory", "1mb")
        self.client.config_set("maxmemory-policy", "noeviction")
        self.client.config_set("maxmemory", "1")
        self.assert_refused(["enqueue", "noop"], 1, "OOM")


class Look(CliTestCase):
    def test_ties_to_other_jobs(self):
        self.tell_of("noop")
        first = self.pit("enqueue", "noop", "--unique", "a", "--limit", "t",
                         "--concurrency", "2", "--rate", "5/s").stdout.strip()
        self.assert_refused(["enqueue", "noop", "--unique", "a"], 1,
                            f"{first} holds the unique key a")
        again = self.pit("enqueue", "noop", "--unique", "a", "--on-conflict",
                         "return").stdout.strip()
        self.assertEqual(again, first)
        child = self.pit("enqueue", "noop", "--after", first).stdout.strip()
        self.assertEqual(self.pit_json("job", child)["state"], "blocked")
        for words, says in (
                (["--rate", "5/s"], "--limit"),
                (["--limit", "t", "--rate", "5"], "--rate takes"),
                (["--unique", "a", "--unique-while", "x"], "--unique-while"),
                (["--after", "ab"], "--after"),
                (["--run-at", "soon"], "--run-at"),
                (["--backoff", "linear"], "--backoff takes"),
                (["--backoff-base", "x"], "--backoff-base"),
                (["--backoff-jitter", "1.5"], "--backoff-jitter takes"),
                (["--keep", "x"], "--keep"),
                (["--callback-on", "lost"], "--callback-on takes"),
                (["--durability", "disk"], "--durability takes")):
            self.assert_refused(["enqueue", "noop", *words], 2, says)
        self.assert_refused(["enqueue", "noop", "--after", "default.no"], 2,
                            "no job default.no")

    def test_retries_of_its_own(self):
        self.tell_of("noop")
        job = self.pit("enqueue", "noop", "--retries", 2, "--backoff", "fixed",
                       "--backoff-base", "5s", "--backoff-cap", "1m",
                       "--backoff-jitter", "0.5", "--callback",
                       "http://127.0.0.1:1/", "--callback-on", "dead")
        record = self.client.hget("pit:{default}:jobs",
                                  job.stdout.strip().partition(".")[2])
        self.assertIn(" r2 bf,5000,60000,50 cD,http://127.0.0.1:1/", record)

    def test_no_such_job(self):
        self.assert_refused(["job", "default.nope"], 1, "no job")

    def test_queues(self):
        self.tell_of("noop")
        for _ in range(3):
            self.pit("enqueue", "noop")
        self.pit("enqueue", "noop", "--queue", "later", "--delay", "1h")
        lines = self.pit("queues").stdout.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[1].split()[:3], ["default", "3", "0"])
        self.assertEqual(lines[2].split()[:3], ["later", "0", "1"])
        queues = self.pit_json("queues")["queues"]
        self.assertEqual([queue["name"] for queue in queues],
                         ["default", "later"])
        self.assertEqual(queues[0]["counts"]["ready"], 3)
        self.assertEqual(queues[0]["totals"]["enqueued"], 3)
        self.assertGreaterEqual(queues[0]["oldest_ready_s"], 0)
        self.assertIsNone(queues[1]["oldest_ready_s"])

    def test_tasks(self):
        self.tell_of("b.second", queue="reports", timeout_ms=90000)
        self.tell_of("a.first", about="evil \x1b[31m text")
        self.client.hset("pit:tasks", "broken", "no JSON")
        lines = self.pit("tasks").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines],
                         ["TASK", "a.first", "b.second"])
        self.assertIn("1m 30s", lines[2])
        self.assertNotIn("\x1b", "".join(lines))
        tasks = self.pit_json("tasks")["tasks"]
        self.assertEqual(tasks[1], {**NOOP, "name": "b.second",
                                    "queue": "reports", "timeout_ms": 90000})

    def test_a_job_with_control_characters(self):
        self.tell_of("noop")
        job = self.pit("enqueue", "noop", "--args",
                       '"\u009b31m"').stdout.strip()
        self.assertNotIn("\u009b", self.pit("job", job).stdout)
        self.assertEqual(self.pit_json("job", job)["args"], "\u009b31m")


class Doctor(CliTestCase):
    def findings(self, code):
        found = self.pit_json("doctor", code=code)["findings"]
        return {finding["check"]: finding for finding in found}

    def test_a_sound_redis(self):
        self.client.config_set("maxmemory", "1gb")
        found = self.findings(0)
        self.assertEqual({entry["level"] for entry in found.values()}, {"ok"})
        self.assertIn("noeviction", self.pit("doctor").stdout)

    def test_each_finding_has_its_fix(self):
        self.client.config_set("maxmemory-policy", "allkeys-lru")
        self.client.config_set("appendonly", "no")
        self.client.set("pit:schema", "7")
        found = self.findings(1)
        self.assertEqual(found["eviction"]["level"], "error")
        self.assertEqual(found["append-only"]["level"], "warning")
        self.assertEqual(found["schema"]["level"], "error")
        for finding in found.values():
            self.assertEqual(finding["level"] == "ok", finding["fix"] is None)
        text = self.pit("doctor", code=1).stdout
        self.assertIn("fix: redis-cli CONFIG SET maxmemory-policy noeviction",
                      text)

    def test_fsync_no(self):
        self.client.config_set("appendfsync", "no")
        self.assertEqual(self.findings(1)["append-only"]["level"], "warning")

    def test_memory_nearly_full(self):
        self.client.set("filler", "x" * 20_000_000)

        def warned():  # buffers that shrink meanwhile change what is used
            used = self.client.info("memory")["used_memory"]
            self.client.config_set("maxmemory", int(used / 0.87))
            return self.findings(1)["memory"]["level"] == "warning"
        wait_until(warned, 20, "a warning about memory")

    def test_replica(self):
        self.client.execute_command("REPLICAOF", "127.0.0.1", "1")
        self.client.config_set("replica-serve-stale-data", "yes")
        self.assertEqual(self.findings(1)["role"]["level"], "error")

    def test_snapshot_that_failed(self):
        # A folder stands where the file should go.
        os.mkdir(os.path.join(self.server.dir, "dump.rdb"))
        self.client.bgsave()
        wait_until(lambda: self.client.info("persistence")
                   ["rdb_last_bgsave_status"] == "err", 20, "a failed save")
        self.assertEqual(self.findings(1)["persistence"]["level"], "error")

    def test_config_forbidden(self):
        self.client.execute_command(
            "ACL", "SETUSER", "guest", "on", ">secret", "~*", "&*", "+@all",
            "-config")
        url = f"unix://guest:secret@{self.server.socket_path}"
        done = self.pit("doctor", "--redis", url, "--json")
        found = {finding["check"]: finding
                 for finding in json.loads(done.stdout)["findings"]}
        self.assertEqual(found["append-only"]["level"], "note")
        self.assertIn("CONFIG", found["append-only"]["text"])
        self.assertEqual(found["eviction"]["level"], "ok")

    def test_redis_away(self):
        self.server.kill()
        self.assert_refused(["doctor", "--timeout", "200ms"], 1,
                            "does not answer")


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.send_header("Location", "/healthz")
        self.end_headers()

    def log_message(self, *_):
        pass


class Health(CliTestCase):
    def serve(self, status):
        server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
        server.status, server.paths = status, []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server, f"http://127.0.0.1:{server.server_port}"

    def test_web(self):
        server, url = self.serve(200)
        self.pit("health", "--url", url)
        self.pit("health", "--url", url + "/readyz")
        self.assertEqual(server.paths, ["/healthz", "/readyz"])

    def test_web_is_asked_without_a_proxy(self):
        _, url = self.serve(200)
        self.pit("health", "--url", url,
                 env={"http_proxy": "http://127.0.0.1:1"})

    def test_web_that_is_ill(self):
        for status in (503, 404, 302):
            _, url = self.serve(status)
            self.assert_refused(["health", "--url", url], 1, str(status))

    def test_web_that_is_away_or_hangs(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self.assert_refused(["health", "--url", url], 1, url)
            listener.listen(1)
            self.assert_refused(
                ["health", "--url", url, "--timeout", "200ms"], 1, url)

    def beat(self, name, age_s, **more):
        now_ms = int(time.time() * 1000)
        self.client.hset("pit:workers", name, json.dumps(
            {"seen_ms": now_ms - age_s * 1000, **more}))

    def test_worker(self):
        self.assert_refused(["health", "--worker"], 1, "no worker")
        self.beat("old", 120)
        self.client.hset("pit:workers", "odd", "no JSON")
        self.assert_refused(["health", "--worker"], 1, "no worker")
        self.beat("elsewhere", 1, host="another-host")
        self.assert_refused(["health", "--worker"], 1, "no worker")
        self.beat("here", 1, host=socket.gethostname())
        self.pit("health", "--worker")
        self.assertEqual(
            json.loads(self.pit("health", "--worker", "--json").stdout),
            {"status": "ok", "workers": 1})


class WithWorker(CliTestCase):
    """The whole way: pit, Redis, pit-worker with smokehouse."""

    def setUp(self):
        super().setUp()
        self.worker(self.server, queues="default:1,reports:1")
        wait_until(lambda: self.client.hexists("pit:tasks", "noop"), 10,
                   "the worker to tell of its tasks")

    def test_wait_for_a_result(self):
        job = self.pit_json("enqueue", "echo", "--args", '{"a": 1}', "--wait",
                            "10s")
        self.assertEqual(job["state"], "succeeded")
        self.assertEqual(job["result"], {"a": 1})
        self.assertIn("succeeded", self.pit("job", job["id"]).stdout)

    def test_wait_for_a_failure(self):
        done = self.pit("enqueue", "reports.packages", "--args",
                        '{"top": "ten"}', "--wait", "10s", code=1)
        self.assertIn("dead", done.stdout)
        self.assertIn("top must be a number", done.stdout)

    def test_worker_is_healthy(self):
        wait_until(lambda: self.pit("health", "--worker",
                                    code=None).returncode == 0, 10,
                   "the worker's heartbeat")

    def test_tasks_are_those_of_the_application(self):
        names = [task["name"] for task in self.pit_json("tasks")["tasks"]]
        self.assertIn("reports.packages", names)
        self.assertEqual(names, sorted(names))


if __name__ == "__main__":
    unittest.main()
