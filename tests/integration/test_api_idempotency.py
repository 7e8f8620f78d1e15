"""Idempotency-Key: whatever is repeated, it is one job."""

import hashlib
import struct
import threading
import time
import unittest

from pitharness import Http, PitTestCase, wait_until


def redis_key(key):
    """The key's place in Redis (web/api/idempotency.c)."""
    text = struct.pack("=Q", len(key)) + key.encode()
    return "pit:{idem}:" + hashlib.sha256(text).hexdigest()


class Idempotency(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.front = self.web(self.store, ready="/readyz", processes=2)
        self.http = self.front.http
        self.db = self.store.client()
        self.addCleanup(self.db.close)

    def post(self, job, key, path="/v1/jobs", **headers):
        headers["Idempotency-Key"] = key
        return self.http.post(path, job, headers=headers)

    def stored(self):
        return self.db.hlen("pit:{default}:jobs")

    def test_same_again_answers_the_same(self):
        job = {"task": "noop", "args": {"n": 1}}
        first = self.post(job, "k1")
        self.assertEqual(first.status, 202)
        self.assertNotIn("Idempotency-Replayed", first.headers)
        again = self.post(job, "k1")
        self.assertEqual(again.status, 200)
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        self.assertEqual(again.headers["Location"], first.headers["Location"])
        self.assertEqual(again.body, first.body)
        self.assertEqual(self.stored(), 1)

    def test_other_content(self):
        self.post({"task": "noop"}, "k2")
        other = self.post({"task": "noop", "args": 1}, "k2")
        self.assertEqual(other.status, 422)
        self.assertTrue(other.json()["type"].endswith("idempotency-key-reuse"))
        with_option = self.post({"task": "noop"}, "k2", **{"Pit-Task": "noop"})
        self.assertEqual(with_option.status, 422)
        self.assertEqual(self.stored(), 1)

    def test_prefer_is_not_content(self):
        self.assertEqual(self.post({"task": "noop"}, "k3").status, 202)
        again = self.post({"task": "noop"}, "k3", Prefer="return=minimal")
        self.assertEqual(again.status, 200)

    def test_refused_requests_do_not_use_the_key_up(self):
        self.assertEqual(self.post({"task": "nope"}, "k4").status, 422)
        self.assertEqual(self.post({"task": "noop"}, "k4").status, 202)

    def test_bad_keys(self):
        for key in ("", "a b", "x" * 256):
            answer = self.post({"task": "noop"}, key)
            self.assertEqual(answer.status, 400, answer)
        self.assertEqual(self.post({"task": "noop"}, "x" * 255).status, 202)

    def test_many_at_once_make_one_job(self):
        answers = []

        def send():
            http = Http(self.front.port)
            end = time.monotonic() + 20
            while time.monotonic() < end:
                answer = http.post("/v1/jobs", {"task": "noop"},
                                   headers={"Idempotency-Key": "race"})
                if answer.status != 409:
                    break
                self.assertTrue(answer.json()["type"].endswith(
                    "idempotency-in-progress"))
                self.assertTrue(answer.headers["Retry-After"])
            answers.append(answer)

        threads = [threading.Thread(target=send) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(sorted(answer.status for answer in answers),
                         [200] * 15 + [202])
        self.assertEqual(len({answer.json()["id"] for answer in answers}), 1)
        self.assertEqual(self.stored(), 1)

    def test_in_progress_then_taken_over(self):
        first = self.post({"task": "noop"}, "k5")
        local = first.json()["id"].split(".")[1]
        name = redis_key("k5")
        entry = self.db.get(name)
        self.assertTrue(entry.startswith("d "), entry)
        # As if the first process had died between its two steps: first with,
        # then without the job.
        day = 86400000
        self.db.set(name, "p" + entry[1:], px=day)
        busy = self.post({"task": "noop"}, "k5")
        self.assertEqual(busy.status, 409, busy)
        self.db.pexpire(name, day - 10001)
        again = self.post({"task": "noop"}, "k5")
        self.assertEqual(again.status, 200, again)
        self.assertEqual(again.json()["id"], first.json()["id"])
        self.assertEqual(self.stored(), 1)
        self.assertTrue(self.db.get(name).startswith("d "))

        self.db.set(name, "p" + entry[1:], px=day - 10001)
        self.db.hdel("pit:{default}:jobs", local)
        taken_over = self.post({"task": "noop"}, "k5")
        self.assertEqual(taken_over.status, 202, taken_over)
        self.assertEqual(taken_over.json()["id"], first.json()["id"])
        self.assertEqual(self.stored(), 1)

    def test_a_failed_one_is_taken_over_at_once(self):
        self.post({"task": "noop"}, "k6")
        name = redis_key("k6")
        self.db.set(name, "f" + self.db.get(name)[1:], keepttl=True)
        self.assertEqual(self.post({"task": "noop"}, "k6").status, 200)
        self.assertEqual(self.stored(), 1)

    def test_kept_for_a_day(self):
        self.post({"task": "noop"}, "k7")
        left = self.db.pttl(redis_key("k7"))
        self.assertTrue(86390000 < left <= 86400000, left)

    def test_rubbish_under_the_key(self):
        self.db.set(redis_key("k8"), "rubbish", ex=100)
        answer = self.post({"task": "noop"}, "k8")
        self.assertEqual(answer.status, 409, answer)
        self.assertEqual(self.stored(), 0)

    def test_batch(self):
        jobs = [{"task": "noop"}, {"task": "later"}, {"task": "noop", "x": 1},
                {"task": "noop"}]
        first = self.post(jobs, "b1", "/v1/jobs:batch")
        self.assertEqual([one["status"] for one in first.json()["results"]],
                         [202, 422, 400, 202])
        # What is known by now does not change what was answered.
        self.db.hset("pit:tasks", "later", '{"queue":"default"}')
        time.sleep(1.1)  # the negative answer is kept for a second
        again = self.post(jobs, "b1", "/v1/jobs:batch")
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        self.assertEqual([(one["status"], one.get("id"))
                          for one in again.json()["results"]],
                         [(one["status"], one.get("id"))
                          for one in first.json()["results"]])
        self.assertEqual(self.stored(), 2)
        other = self.post(jobs[:1], "b1", "/v1/jobs:batch")
        self.assertEqual(other.status, 422)

    def test_atomic_batch(self):
        jobs = [{"task": "noop"}, {"task": "noop"}]
        path = "/v1/jobs:batch?atomic=true"
        first = self.post(jobs, "b2", path)
        self.assertEqual(first.json()["accepted"], 2)
        name = redis_key("b2")
        self.db.set(name, "f" + self.db.get(name)[1:], keepttl=True)
        repeated = self.post(jobs, "b2", path)
        self.assertEqual(repeated.json()["results"],
                         first.json()["results"])
        replayed = self.post(jobs, "b2", path)
        self.assertEqual(replayed.json(), first.json())
        self.assertEqual(self.stored(), 2)
        self.assertEqual(self.post(jobs, "b2", "/v1/jobs:batch").status, 422)

    def test_atomic_batch_that_was_refused_may_succeed_later(self):
        jobs = [{"task": "noop"}, {"task": "soon"}]
        path = "/v1/jobs:batch?atomic=true"
        self.assertEqual(self.post(jobs, "b3", path).status, 422)
        self.db.hset("pit:tasks", "soon", '{"queue":"default"}')
        answer = wait_until(
            lambda: (lambda a: a if a.status == 200 else None)(
                self.post(jobs, "b3", path)), 5, "the task to be known")
        self.assertEqual(answer.json()["accepted"], 2)
        self.assertEqual(self.stored(), 2)


if __name__ == "__main__":
    unittest.main()
