"""Schedules over HTTP and by `pit schedules`: every success, every refusal, and
the fires of a real worker."""

import datetime
import json
import time
import unittest

from pitharness import PitTestCase, wait_until
from test_api_jobs import TIME, ApiTestCase

NIGHTLY = {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "task": "noop"}


class SchedulesCase(ApiTestCase):
    def put(self, name, document, status=201, **headers):
        answer = self.http.put(f"/v1/schedules/{name}", document,
                               headers=headers)
        self.assertEqual(answer.status, status, answer)
        return answer.json()

    def get(self, name):
        answer = self.http.get(f"/v1/schedules/{name}")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def patch(self, name, document, **headers):
        return self.http.request("PATCH", f"/v1/schedules/{name}",
                                 json=document, headers=headers)

    def refused_put(self, document, status, kind, pointer, says=""):
        answer = self.http.put("/v1/schedules/s", document)
        problem = self.refused(answer, status, kind, pointer,
                               "/v1/schedules/s")
        self.assertIn(says, problem["detail"])


class Put(SchedulesCase):
    def test_201_with_location_etag_and_document(self):
        answer = self.http.put("/v1/schedules/nightly", {
            **NIGHTLY, "args": {"n": 1.0}, "priority": 8, "tags": ["x"],
            "jitter": "5s", "misfire": "once", "overlap": "skip",
            "note": "asked for by Ines"})
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual(answer.headers["Location"], "/v1/schedules/nightly")
        self.assertRegex(answer.headers["ETag"], r'^"\d+"$')
        seen = answer.json()
        self.assertEqual(seen, self.get("nightly"))
        for name, value in {
                "name": "nightly", "cron": "0 3 * * *", "task": "noop",
                "timezone": "Europe/Berlin", "queue": "default",
                "args": {"n": 1.0}, "priority": 8, "tags": ["x"],
                "jitter": "5s", "misfire": "once", "overlap": "skip",
                "paused": False, "note": "asked for by Ines", "timeout": "1m",
                "origin": "api", "last": None, "buffered": None}.items():
            self.assertEqual(seen[name], value, name)
        self.assertNotIn("every", seen)
        self.assertEqual(len(seen["next"]), 5)
        for text in seen["next"]:
            self.assertRegex(text, TIME)
            local = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
            self.assertIn(local.hour, (1, 2))
            self.assertLessEqual(local.second, 5)

    def test_replaces_as_a_whole(self):
        self.put("s", {**NIGHTLY, "note": "old", "paused": True})
        seen = self.put("s", {"every": "90s", "task": "echo"}, 200)
        self.assertEqual((seen["every"], seen["task"], seen["note"],
                          seen["paused"]), ("90s", "echo", "", False))
        self.assertNotIn("cron", seen)
        self.assertEqual(len(self.store.client().hkeys("pit:schedules")), 1)

    def test_one_moment(self):
        seen = self.put("s", {"at": "2099-01-01T08:00:00+01:00",
                              "task": "noop"})
        self.assertEqual(seen["next"], ["2099-01-01T07:00:00.000Z"])

    def test_moves_to_another_queue(self):
        self.put("s", {**NIGHTLY, "queue": "a"})
        self.put("s", {**NIGHTLY, "queue": "b"}, 200)
        client = self.store.client()
        self.assertEqual(client.hgetall("pit:schedules"), {"s": "b"})
        self.assertEqual(client.keys("pit:{a}:*"), [])
        self.assertEqual(self.get("s")["queue"], "b")

    def test_an_interval_keeps_its_beat(self):
        first = self.put("s", {"every": "1h", "task": "noop"})["next"]
        again = self.put("s", {"every": "1h", "task": "noop", "args": [1]},
                         200)["next"]
        self.assertEqual(first, again)

    def test_bad_schedules_are_422_with_pointer(self):
        for field, value, says in [
                ("cron", "61 * * * *", "61 is not within 0-59"),
                ("cron", "* * * *", "five fields"),
                ("cron", "0 0 30 2 *", "never fire"),
                ("cron", 5, "must be a text"),
                ("timezone", "Mars/Olympus", "no time zone"),
                ("timezone", "../../etc/passwd", "no time zone"),
                ("misfire", "never", "skip"),
                ("overlap", "maybe", "buffer"),
                ("jitter", "soon", "duration"),
                ("jitter", "2d", "24 hours"),
                ("paused", "yes", "true or false"),
                ("note", "x" * 501, "500"),
                ("note", "a\nb", "one line"),
        ]:
            with self.subTest(field=field, value=value):
                self.refused_put({**NIGHTLY, field: value}, 422,
                                 "bad-schedule", "/" + field, says)
        for document, pointer in [
                ({"task": "noop"}, "/cron"),
                ({"task": "noop", "every": "1s", "cron": "* * * * *"},
                 "/every"),
                ({"task": "noop", "every": "10ms"}, "/every"),
                ({"task": "noop", "every": "400d"}, "/every"),
                ({"task": "noop", "every": "10s", "jitter": "11s"}, "/jitter"),
                ({"task": "noop", "every": "1h", "timezone": "Europe/Rome"},
                 "/timezone"),
                ({"task": "noop", "at": "tomorrow"}, "/at"),
                ({"task": "noop", "at": "2020-01-01T00:00:00Z"}, "/at"),
        ]:
            with self.subTest(document=document):
                self.refused_put(document, 422, "bad-schedule", pointer)

    def test_bad_requests_are_400_with_pointer(self):
        for field, value in [("delay", "5s"), ("priority", 10), ("corn", "x"),
                             ("run_at", "2099-01-01T00:00:00Z"),
                             ("tags", [1])]:
            with self.subTest(field=field):
                answer = self.http.put("/v1/schedules/s",
                                       {**NIGHTLY, field: value})
                self.assertEqual(answer.status, 400, answer)
                self.assertTrue(answer.json()["pointer"].startswith(
                    "/" + field), answer)
        for name in ("a b", "a%2Fb", "x" * 65):
            answer = self.http.put(f"/v1/schedules/{name.replace(' ', '%20')}",
                                   NIGHTLY)
            self.assertIn(answer.status, (400, 404), answer)
        self.refused_put({**NIGHTLY, "task": "nonsense"}, 422, "unknown-task",
                         "/task")
        answer = self.http.put("/v1/schedules/s", {**NIGHTLY,
                                                   "args": "x" * 70000})
        self.assertEqual(answer.status, 413, answer)
        self.assertEqual(self.http.get("/v1/schedules/s").status, 404)


class Change(SchedulesCase):
    def test_patch_changes_what_it_names(self):
        before = self.put("s", {**NIGHTLY, "args": {"n": 1}, "note": "old"})
        answer = self.patch("s", {"note": "new", "priority": 9})
        self.assertEqual(answer.status, 200, answer)
        after = answer.json()
        for name in set(before) - {"note", "priority", "updated_at"}:
            self.assertEqual(after[name], before[name], name)
        self.assertEqual((after["note"], after["priority"]), ("new", 9))
        self.assertEqual(self.patch("s", {"every": "1h"}).json()["every"],
                         "1h")
        self.refused(self.patch("s", {"cron": "x"}), 422, "bad-schedule",
                     "/cron", "/v1/schedules/s")
        self.refused(self.patch("none", {"note": "x"}), 404, "not-found",
                     None, "/v1/schedules/none")

    def test_preconditions(self):
        self.put("s", NIGHTLY)
        etag = self.http.get("/v1/schedules/s").headers["ETag"]
        headers = {"If-Match": etag}
        self.assertEqual(self.patch("s", {"note": "a"}, **headers).status, 200)
        self.refused(self.patch("s", {"note": "b"}, **headers), 412,
                     "precondition-failed", None, "/v1/schedules/s")
        answer = self.http.put("/v1/schedules/s", NIGHTLY,
                               headers={"If-None-Match": "*"})
        self.assertEqual(answer.status, 412)
        answer = self.http.delete("/v1/schedules/s", headers=headers)
        self.assertEqual(answer.status, 412)
        self.assertEqual(self.get("s")["note"], "a")

    def test_pause_and_resume(self):
        self.put("s", NIGHTLY)
        answer = self.http.post("/v1/schedules/s:pause",
                                {"note": "the mail server moves"})
        self.assertEqual(answer.status, 200, answer)
        seen = answer.json()
        self.assertEqual((seen["paused"], seen["next"], seen["note"]),
                         (True, [], "the mail server moves"))
        self.assertEqual(self.http.post("/v1/schedules/s:pause").status, 200)
        self.assertEqual(self.get("s")["note"], "the mail server moves")
        seen = self.http.post("/v1/schedules/s:resume").json()
        self.assertEqual((seen["paused"], len(seen["next"])), (False, 5))
        self.assertEqual(self.http.post("/v1/schedules/no:pause").status, 404)
        self.refused(self.http.post("/v1/schedules/s:pause", {"nte": "x"}),
                     400, "invalid-request", "/nte", "/v1/schedules/s:pause")

    def test_trigger(self):
        self.put("s", {**NIGHTLY, "args": {"a": 1}, "paused": True})
        answer = self.http.post("/v1/schedules/s:trigger")
        self.assertEqual(answer.status, 202, answer)
        job = answer.json()["id"]
        self.assertEqual(answer.headers["Location"], f"/v1/jobs/{job}")
        self.assertEqual(self.http.get(f"/v1/jobs/{job}").json()["args"],
                         {"a": 1})
        fires = self.http.get("/v1/schedules/s/fires").json()["fires"]
        self.assertEqual([(f["outcome"], f["job"]) for f in fires],
                         [("triggered", job)])
        self.assertEqual(self.get("s")["last"], fires[0])
        key = {"Idempotency-Key": "once"}
        first = self.http.post("/v1/schedules/s:trigger", headers=key)
        again = self.http.post("/v1/schedules/s:trigger", headers=key)
        self.assertEqual((first.status, again.status), (202, 200))
        self.assertEqual(first.json(), again.json())
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        fires = self.http.get("/v1/schedules/s/fires").json()["fires"]
        self.assertEqual(len(fires), 2)
        self.assertEqual(self.http.post("/v1/schedules/no:trigger").status,
                         404)

    def test_trigger_while_the_unique_key_is_held(self):
        unique = {"unique": {"key": "k", "while": "running"}}
        self.put("s", {**NIGHTLY, **unique})
        holder = self.http.post("/v1/schedules/s:trigger").json()["id"]
        self.assertEqual(self.http.get(f"/v1/jobs/{holder}").status, 200)
        key = {"Idempotency-Key": "held"}
        for headers in ({}, key, key):
            answer = self.http.post("/v1/schedules/s:trigger", headers=headers)
            self.refused(answer, 409, "duplicate-job", None,
                         "/v1/schedules/s:trigger")
            self.assertEqual(answer.json()["existing"], holder)
        fires = self.http.get("/v1/schedules/s/fires").json()["fires"]
        self.assertEqual([f["job"] for f in fires], [holder])
        self.assertEqual(self.http.post(f"/v1/jobs/{holder}:cancel").status,
                         200)
        # Refused, it has not used the key up.
        answer = self.http.post("/v1/schedules/s:trigger", headers=key)
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(
            self.http.get(answer.headers["Location"]).json()["state"], "ready")

    def test_delete(self):
        self.put("s", NIGHTLY)
        self.assertEqual(self.http.delete("/v1/schedules/s").status, 204)
        self.assertEqual(self.http.delete("/v1/schedules/s").status, 404)
        client = self.store.client()
        self.assertEqual(client.hlen("pit:schedules"), 0)
        self.assertEqual(client.keys("pit:{default}:*"), [])

    def test_list_in_pages(self):
        for n in range(7):
            self.put(f"s{n}", {**NIGHTLY, "queue": f"q{n % 2}"})
        seen, cursor = [], ""
        while cursor is not None:
            page = self.http.get(f"/v1/schedules?limit=3{cursor}").json()
            seen += [one["name"] for one in page["schedules"]]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        self.assertEqual(seen, [f"s{n}" for n in range(7)])
        for query in ("limit=0", "limit=x", "cursor=a%20b", "page=2"):
            self.assertEqual(self.http.get(f"/v1/schedules?{query}").status,
                             400, query)


class Fires(SchedulesCase):
    """With a worker, and the time that really passes."""

    def outcomes(self, name):
        fires = self.http.get(f"/v1/schedules/{name}/fires").json()["fires"]
        return fires

    def test_each_second(self):
        self.worker(self.store).wait_for_line("ready: worker")
        self.put("s", {"every": "1s", "task": "echo", "args": {"a": 1}})
        fires = wait_until(lambda: len(self.outcomes("s")) >= 3 and
                           self.outcomes("s"), 10, "three fires")
        for fire in fires:
            self.assertEqual(fire["outcome"], "enqueued")
            at, done = (datetime.datetime.fromisoformat(
                fire[when].replace("Z", "+00:00")) for when in
                ("at", "fired_at"))
            self.assertGreaterEqual(done, at)
            self.assertLess(done - at, datetime.timedelta(milliseconds=500))
        job = fires[-1]["job"]
        self.http.wait_status(f"/v1/jobs/{job}/result", 200)

    def test_a_sooner_fire_wakes_a_sleeper(self):
        """The worker's timer is set for tomorrow when the new one comes."""
        self.put("nightly", NIGHTLY)
        self.worker(self.store).wait_for_line("ready: worker")
        time.sleep(0.3)  # it has gone to sleep; the test holds either way
        soon = datetime.datetime.now(datetime.timezone.utc) + \
            datetime.timedelta(seconds=1)
        self.put("once", {"at": soon.isoformat(), "task": "noop"})
        fires = wait_until(lambda: self.outcomes("once"), 5, "the fire")
        self.assertEqual(fires[0]["outcome"], "enqueued")
        seen = self.get("once")
        self.assertEqual(seen["next"], [])
        self.put("once", {"at": soon.isoformat(), "task": "noop",
                          "note": "over"}, 200)

    def test_a_job_with_options(self):
        """It goes through the outbox, and at once."""
        self.worker(self.store).wait_for_line("ready: worker")
        options = {"unique": {"key": "k", "while": "running"},
                   "limit": {"key": "tenant", "concurrency": 1, "rate": "100/s"}}
        seen = self.put("s", {"every": "1s", "task": "noop", **options})
        self.assertEqual(seen["unique"], options["unique"])
        self.assertEqual(seen["limit"], {**options["limit"], "rate": "100/1s"})
        self.assertEqual(self.patch("s", {"limit": {"key": "b", "concurrency":
                                                    2}}).json()["limit"],
                         {"key": "b", "concurrency": 2})
        fires = wait_until(lambda: self.outcomes("s"), 10, "a fire")
        self.http.wait_status(f"/v1/jobs/{fires[-1]['job']}/result", 200)
        for field, value, pointer in [
                ("unique", {"key": "k", "while": "running",
                            "on_conflict": "replace"}, "/unique/on_conflict"),
                ("after", ["default.x"], "/after")]:
            answer = self.patch("s", {field: value})
            self.assertEqual((answer.status, answer.json()["pointer"]),
                             (400, pointer), answer)

    def test_overlap(self):
        self.worker(self.store, slots=1).wait_for_line("ready: worker")
        for overlap in ("skip", "buffer"):
            self.put(overlap, {"every": "1s", "task": "sleep",
                               "args": {"seconds": 2.3}, "overlap": overlap})
        wait_until(lambda: {"skipped", "enqueued"} ==
                   {f["outcome"] for f in self.outcomes("skip")}, 10, "a skip")
        wait_until(lambda: sum(f["outcome"] == "enqueued" for f in
                               self.outcomes("buffer")) >= 2, 15, "a buffered")

    def test_what_was_missed(self):
        for misfire in ("skip", "once", "all"):
            self.put(misfire, {"every": "1s", "task": "noop",
                               "misfire": misfire})
        client = self.store.client()
        wait_until(lambda: client.zrange("pit:{default}:fires", 0, 0,
                                         withscores=True)[0][1] <
                   time.time() * 1000 - 3500, 10, "four missed")
        self.worker(self.store).wait_for_line("ready: worker")
        wait_until(lambda: all(self.outcomes(m) for m in
                               ("skip", "once", "all")), 10, "fires")
        for misfire in ("skip", "once"):
            first, second = self.outcomes(misfire)[-1], \
                self.outcomes(misfire)[-2]
            self.assertEqual(first["outcome"], "missed")
            self.assertGreaterEqual(first["missed"], 3)
            self.assertEqual(second["outcome"], "enqueued")
        fires = self.outcomes("all")
        self.assertGreaterEqual(len(fires), 4)
        self.assertEqual({f["outcome"] for f in fires}, {"enqueued"})

    def test_a_remainder_is_removed(self):
        self.put("s", {"every": "1s", "task": "noop", "queue": "other"})
        client = self.store.client()
        client.hset("pit:schedules", "s", "elsewhere")
        self.worker(self.store, queues="other").wait_for_line("ready: worker")
        wait_until(lambda: not client.exists("pit:{other}:schedules"), 5,
                   "the remainder's end")
        self.assertFalse(client.exists("pit:{other}:jobs"))

    def test_damaged_ones_do_not_hold_up_others(self):
        self.put("good", {"every": "1s", "task": "noop"})
        client = self.store.client()
        for n in range(70):
            client.hset("pit:schedules", f"bad{n}", "default")
            client.hset("pit:{default}:schedules", f"bad{n}", "{")
            client.zadd("pit:{default}:fires", {f"bad{n}": 1000})
        worker = self.worker(self.store)
        worker.wait_for_line("bad0 is damaged")
        wait_until(lambda: len(self.outcomes("good")) >= 2, 10, "two fires")


class Cli(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")

    def pit(self, *words, code=0):
        return self.cli(self.store, "schedules", *words, code=code)

    def document(self, name):
        return json.loads(self.pit("show", name, "--json").stdout)

    def test_life_of_a_schedule(self):
        self.pit("put", "s", "--cron", "0 3 * * *", "--timezone",
                 "Europe/Berlin", "--task", "noop", "--args", '{"a":1}',
                 "--misfire", "once", "--jitter", "2s", "--force")
        seen = self.document("s")
        self.assertEqual((seen["cron"], seen["misfire"], seen["jitter"],
                          seen["args"]), ("0 3 * * *", "once", "2s", {"a": 1}))
        self.pit("put", "s", "--note", "changed")
        self.assertEqual(self.document("s")["cron"], "0 3 * * *")
        self.assertEqual(self.document("s")["note"], "changed")
        self.assertIn("nothing to", self.pit("pause", "s", "--note",
                                             "nothing to do").stdout)
        self.assertTrue(self.document("s")["paused"])
        self.pit("resume", "s")
        self.assertEqual(len(self.pit("next", "s").stdout.split()), 5)
        job = self.pit("trigger", "s").stdout.strip()
        self.assertIn(job, self.pit("show", "s").stdout)
        listed = json.loads(self.pit("--json").stdout)["schedules"]
        self.assertEqual([one["name"] for one in listed], ["s"])
        self.assertIn("Europe/Berlin", self.pit("list").stdout)
        self.pit("delete", "s")
        self.pit("show", "s", code=1)

    def test_trigger_while_the_unique_key_is_held(self):
        http = self.web(self.store, ready="/readyz").http
        answer = http.put("/v1/schedules/s", {
            **NIGHTLY, "unique": {"key": "k"}})
        self.assertEqual(answer.status, 201, answer)
        holder = self.pit("trigger", "s").stdout.strip()
        self.assertIn(f"{holder} holds the unique key k",
                      self.pit("trigger", "s", code=1).stderr)

    def test_refusals(self):
        for words, code, says in [
                (["put", "s"], 2, "--task"),
                (["put", "s", "--task", "noop", "--force"], 2, "--cron"),
                (["put", "s", "--task", "noop", "--cron", "61 * * * *",
                  "--force"], 2, "not within"),
                (["put", "s", "--task", "noop", "--every", "1s", "--cron",
                  "* * * * *", "--force"], 2, "one of"),
                (["put", "s", "--task", "noop", "--every", "1s"], 1,
                 "pit tasks"),
                (["put", "s", "--task", "noop", "--every", "1s", "--force",
                  "--overlap", "x"], 2, "buffer"),
                (["put", "a b", "--task", "noop", "--every", "1s",
                  "--force"], 2, "name"),
                (["pause"], 2, "which one"),
                (["frob"], 2, "there is no"),
                (["list", "x"], 2, "no word"),
                (["trigger", "s"], 1, "no schedule"),
                (["next", "--cron", "x", "--timezone", "UTC"], 2, "five"),
                (["next", "--cron", "* * * * *", "--timezone", "Nowhere"], 2,
                 "IANA"),
        ]:
            with self.subTest(words=words):
                self.assertIn(says, self.pit(*words, code=code).stderr)


if __name__ == "__main__":
    unittest.main()
