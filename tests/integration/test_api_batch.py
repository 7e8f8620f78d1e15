"""Many jobs in one request: results in order, each with its own status."""

import json
import socket
import unittest

from pitharness import PitTestCase, wait_until

NDJSON = "application/x-ndjson"


class BatchTestCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.front = self.web(self.store, ready="/readyz")
        self.http = self.front.http
        self.db = self.store.client()
        self.addCleanup(self.db.close)

    def batch(self, jobs, query="", status=200, **headers):
        answer = self.http.post(f"/v1/jobs:batch{query}", jobs,
                                headers=headers)
        self.assertEqual(answer.status, status, answer)
        return answer

    def lines(self, text, accept=NDJSON, **headers):
        headers.update({"Content-Type": NDJSON, "Accept": accept})
        answer = self.http.post("/v1/jobs:batch", body=text, headers=headers)
        self.assertEqual(answer.status, 200, answer)
        if accept != NDJSON:
            return answer.json()
        return [json.loads(line) for line in answer.text().splitlines()]

    def stored(self, queue="default"):
        return self.db.hlen(f"pit:{{{queue}}}:jobs")


class Each(BatchTestCase):
    def test_array(self):
        answer = self.batch([{"task": "noop"}, {"task": "nope"},
                             {"task": "noop", "x": 1}, 5,
                             {"task": "noop", "queue": "other"}]).json()
        self.assertEqual((answer["accepted"], answer["rejected"]), (2, 3))
        results = answer["results"]
        self.assertEqual([one["status"] for one in results],
                         [202, 422, 400, 400, 202])
        self.assertEqual(results[2]["problem"]["pointer"], "/x")
        self.assertTrue(results[4]["id"].startswith("other."))
        for one in (results[0], results[4]):
            self.assertEqual(self.http.get(f"/v1/jobs/{one['id']}").status,
                             200)

    def test_nothing(self):
        self.assertEqual(self.batch([]).json(),
                         {"results": [], "accepted": 0, "rejected": 0})
        self.assertEqual(self.lines(""), [])
        self.assertEqual(self.lines("\n \r\n"), [])

    def test_ndjson(self):
        text = '{"task":"noop","args":1}\r\n\n{"task":\n{"task":"noop"}'
        results = self.lines(text)
        self.assertEqual([one["status"] for one in results], [202, 400, 202])
        asked_for_json = self.lines(text, accept="*/*")
        self.assertEqual((asked_for_json["accepted"],
                          asked_for_json["rejected"]), (2, 1))

    def test_many_lines_keep_their_order(self):
        count = 20000
        text = "".join('{"task":"%s","args":%d}\n'
                       % ("nope" if n % 1000 == 7 else "noop", n)
                       for n in range(count))
        results = self.lines(text)
        self.assertEqual(len(results), count)
        self.assertEqual(self.stored(), count - count // 1000)
        for n in range(0, count, 997):
            if n % 1000 == 7:
                continue
            local = results[n]["id"].split(".")[1]
            record = self.db.hget("pit:{default}:jobs", local)
            self.assertEqual(record.split("\n")[1], str(n))
        self.assertEqual([n for n in range(count)
                          if results[n]["status"] != 202],
                         list(range(7, count, 1000)))

    def test_a_line_that_spans_many_reads(self):
        long_line = json.dumps({"task": "noop", "args": "x" * 700000})
        results = self.lines("\n".join(['{"task":"noop"}', long_line,
                                        '{"task":"noop"}']))
        self.assertEqual([one["status"] for one in results], [202] * 3)

    def test_not_an_array(self):
        for body in ('{"task":"noop"}', "5", "[", '[{"task":"noop"},]'):
            answer = self.http.post("/v1/jobs:batch", body=body)
            self.assertEqual(answer.status, 400, answer)
        self.assertEqual(self.stored(), 0)

    def test_refusals(self):
        answer = self.http.post("/v1/jobs:batch", body="x",
                                headers={"Content-Type": "text/plain"})
        self.assertEqual(answer.status, 415)
        self.batch([], query="?atomic=maybe", status=400)
        self.batch([], status=400, **{"Pit-Task": "noop"})

    def test_query_parameter_with_a_typo(self):
        for query in ("?atmoic=true", "?wait=1",
                      "?atomic=true&atomic=false"):
            answer = self.batch([{"task": "noop"}], query, status=400)
            self.assertIn("query parameter", answer.json()["detail"])
        self.assertEqual(self.stored(), 0)

    def test_large_headers_and_one_large_args(self):
        tags = ["t" * 62 + "%02d" % n for n in range(16)]
        jobs = [{"task": "noop", "tags": tags, "args": "x" * 8200}] * 127
        jobs.append({"task": "noop", "tags": tags, "args": "y" * 1047000})
        answer = self.batch(jobs).json()
        self.assertEqual((answer["accepted"], answer["rejected"]), (128, 0))

    def test_client_that_goes_away_half_way(self):
        with socket.create_connection(("127.0.0.1", self.front.port), 5) as s:
            s.sendall(b"POST /v1/jobs:batch HTTP/1.1\r\nHost: x\r\n"
                      b"Content-Type: application/x-ndjson\r\n"
                      b"Content-Length: 1000000\r\n\r\n" +
                      b'{"task":"noop"}\n' * 3000)
            wait_until(lambda: self.stored() > 0, 5, "jobs of the first part")
        self.assertEqual(self.http.get("/healthz").status, 200)
        self.assertEqual(self.lines('{"task":"noop"}')[0]["status"], 202)


class Bodies(BatchTestCase):
    def setUp(self):
        PitTestCase.setUp(self)
        self.store = self.redis(aof="no")
        self.front = self.web(self.store, ready="/readyz",
                              flags=["--processes", "1"])
        self.http = self.front.http

    def announce(self, size):
        """A batch of which only the head comes; what is answered to it."""
        client = socket.create_connection(("127.0.0.1", self.front.port), 5)
        self.addCleanup(client.close)
        client.sendall(b"POST /v1/jobs:batch HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Type: application/json\r\n"
                       b"Expect: 100-continue\r\n"
                       b"Content-Length: %d\r\n\r\n" % size)
        return client, client.recv(4096)

    def test_what_is_held_as_a_whole_is_bounded(self):
        clients = []
        for _ in range(4):
            client, answer = self.announce(64 << 20)
            self.assertIn(b" 100 Continue", answer)
            clients.append(client)
        _, answer = self.announce(64 << 20)
        self.assertIn(b" 503 ", answer)
        self.assertIn(b"\r\nRetry-After: ", answer)
        for client in clients:
            client.close()
        wait_until(lambda: b" 100 " in self.announce(1 << 20)[1], 5,
                   "room again")


class Limits(BatchTestCase):
    def setUp(self):
        PitTestCase.setUp(self)
        self.store = self.redis(aof="no")
        self.front = self.web(self.store, ready="/readyz", flags=[
            "--max-body", "4KiB", "--max-batch-body", "64KiB"])
        self.http = self.front.http
        self.db = self.store.client()
        self.addCleanup(self.db.close)

    def test_body_above_the_limit(self):
        line = '{"task":"noop"}\n'
        answer = self.http.post("/v1/jobs:batch", body=line * 5000,
                                headers={"Content-Type": NDJSON})
        self.assertEqual(answer.status, 413)
        self.assertEqual(self.stored(), 0)
        self.assertEqual(len(self.lines(line * 4000)), 4000)

    def test_line_above_the_limit_of_a_body(self):
        for size in (4096, 20000, 60000):  # within a read, and over several
            text = ('{"task":"noop"}\n' + json.dumps(
                {"task": "noop", "args": "x" * size}) + "\n"
                '{"task":"noop"}')
            self.assertEqual([one["status"] for one in self.lines(text)],
                             [202, 413, 202])
        self.assertEqual(self.stored(), 6)
        last = '{"task":"noop"}\n"' + "x" * 50000
        self.assertEqual([one["status"] for one in self.lines(last)],
                         [202, 413])


class Atomic(BatchTestCase):
    def test_all(self):
        answer = self.batch([{"task": "noop"}] * 128, "?atomic=true").json()
        self.assertEqual(answer["accepted"], 128)
        self.assertEqual(self.stored(), 128)

    def test_nothing_when_one_is_bad(self):
        answer = self.batch([{"task": "noop"}, {"task": "noop", "delay": "x"}],
                            "?atomic=true", status=400)
        self.assertEqual(answer.json()["pointer"], "/1/delay")
        answer = self.batch([{"task": "noop"}, {"task": "nope"}],
                            "?atomic=true", status=422)
        self.assertEqual(answer.json()["pointer"], "/1/task")
        answer = self.batch([{"task": "noop"}, {"task": "noop", "queue": "b"}],
                            "?atomic=true", status=400)
        self.assertEqual(answer.json()["pointer"], "/1/queue")
        self.batch([{"task": "noop"}] * 129, "?atomic=true", status=413)
        self.assertEqual(self.stored(), 0)

    def test_ndjson(self):
        answer = self.http.post("/v1/jobs:batch?atomic=true",
                                body='{"task":"noop"}\n{"task":"noop"}\n',
                                headers={"Content-Type": NDJSON})
        self.assertEqual(answer.json()["accepted"], 2)


if __name__ == "__main__":
    unittest.main()
