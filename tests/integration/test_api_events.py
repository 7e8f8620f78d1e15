"""Server-sent events: of all jobs, of one; what is missed, who comes back."""

import http.client
import json
import unittest

from pitharness import PitTestCase, wait_until


class Stream:
    """One stream, read event by event."""

    def __init__(self, port, path, headers=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port,
                                                     timeout=20)
        self.connection.request("GET", path, headers=headers or {})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.last_id = None

    def next(self):
        """(name, data, id), or None at the end."""
        name, data, own = "message", [], None
        while True:
            line = self.answer.readline().decode()
            if not line:
                return None
            line = line.rstrip("\n").rstrip("\r")
            if not line:
                if data:
                    return name, json.loads("\n".join(data)), own
                continue
            field, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                own = self.last_id = value

    def until(self, name, **members):
        """The first event of that name with those members, and all before."""
        before = []
        while True:
            event = self.next()
            if event is None:
                raise AssertionError(f"no {name} {members} in {before}")
            if event[0] == name and members.items() <= event[1].items():
                return event, before
            before.append(event)

    def close(self):
        self.connection.close()


class EventsTestCase(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.front = self.web(self.store, ready="/readyz")
        self.http = self.front.http

    def stream(self, path, last=None, status=200):
        stream = Stream(self.http.port, path,
                        {"Last-Event-ID": last} if last else {})
        self.addCleanup(stream.close)
        self.assertEqual(stream.status, status)
        return stream

    def enqueue(self, queue="q", **more):
        return self.http.post("/v1/jobs", {"task": "noop", "queue": queue,
                                           **more}).json()["id"]

    def claim(self, queue="q"):
        return self.http.post("/v1/leases", {"queues": [queue]}).json()[
            "leases"][0]

    def act(self, lease, verb, body=None):
        answer = self.http.post(f"/v1/jobs/{lease['job']['id']}:{verb}", body,
                                headers={"Lease-Token": lease["token"]})
        self.assertLess(answer.status, 300, answer)


class OneJob(EventsTestCase):
    def test_from_waiting_to_its_end(self):
        full = self.enqueue()
        stream = self.stream(f"/v1/jobs/{full}/events")
        self.assertEqual(stream.next()[:2],
                         ("state", {"state": "ready", "attempt": 0,
                                    "retries": 0, "crashes": 0}))
        lease = self.claim()
        stream.until("state", state="running", attempt=1)
        self.act(lease, "progress", {"done": 1, "total": 4})
        event, _ = stream.until("progress", done=1, total=4)
        self.act(lease, "log", {"lines": ["one", "two"]})
        event, _ = stream.until("log", text="one")
        stream.until("log", text="two")
        last = stream.last_id
        self.act(lease, "ack", {"n": 7})
        event, _ = stream.until("end")
        self.assertEqual(event[1], {"state": "succeeded", "result": {"n": 7},
                                    "error": None})
        self.assertIsNone(stream.next())
        # Who comes back gets the rest, and only once.
        again = self.stream(f"/v1/jobs/{full}/events", last)
        _, before = again.until("end")
        self.assertNotIn("log", [name for name, _, _ in before])
        self.stream(f"/v1/jobs/{full}/events", again.last_id, status=204)

    def test_one_that_has_ended(self):
        full = self.enqueue()
        self.act(self.claim(), "fail", {"retry": False, "message": "no"})
        stream = self.stream(f"/v1/jobs/{full}/events")
        event, _ = stream.until("end")
        self.assertEqual(event[1]["error"], {"cause": "failed",
                                             "message": "no"})
        self.assertIsNone(stream.next())

    def test_of_a_log_what_was_missed(self):
        full = self.enqueue()
        lease = self.claim()
        self.act(lease, "log", {"lines": [f"l{n}" for n in range(5)]})
        stream = self.stream(f"/v1/jobs/{full}/events")
        stream.until("log", text="l1")
        cut = stream.last_id
        stream.close()
        self.act(lease, "log", {"lines": "l5"})
        again = self.stream(f"/v1/jobs/{full}/events", cut)
        self.act(lease, "ack")
        _, before = again.until("end")
        self.assertEqual([data["text"] for name, data, _ in before
                          if name == "log"], ["l2", "l3", "l4", "l5"])

    def test_refusals(self):
        for path, status in (("/v1/jobs/q.none/events", 404),
                             ("/v1/jobs/none/events", 400),
                             ("/v1/events?queue=a%20b", 400),
                             ("/v1/events?x=1", 400)):
            self.assertEqual(self.http.get(path).status, status, path)

    def test_a_server_that_stops_ends_the_stream(self):
        stream = self.stream(f"/v1/jobs/{self.enqueue()}/events")
        stream.next()
        all_of_them = self.stream("/v1/events")
        all_of_them.next()
        self.front.terminate()
        self.assertIsNone(stream.next())
        while all_of_them.next():
            pass
        self.front.assert_exit(0)


class All(EventsTestCase):
    def test_counters_and_states(self):
        full = self.enqueue()
        stream = self.stream("/v1/events")
        name, data, own = stream.next()
        self.assertEqual((name, data["queue"], data["counts"]["ready"], own),
                         ("counters", "q", 1, None))
        lease = self.claim()
        event, _ = stream.until("state", id=full, state="running")
        self.assertNotIn("args", event[1])
        stream.until("counters", queue="q")
        self.act(lease, "ack")
        stream.until("state", id=full, state="succeeded")

    def test_one_reader_for_all(self):
        self.enqueue()
        streams = [self.stream("/v1/events") for _ in range(10)]
        for stream in streams:
            stream.next()
        lease = self.claim()
        for stream in streams:
            stream.until("state", state="running")
        client = self.store.client()
        readers = [c for c in client.client_list()
                   if c["name"] == "pit-events"]
        client.close()
        self.assertEqual(len(readers), 1)
        self.act(lease, "ack")

    def test_only_one_queue(self):
        self.enqueue("a")
        self.enqueue("b")
        stream = self.stream("/v1/events?queue=b")
        self.assertEqual(stream.next()[1]["queue"], "b")
        self.claim("a")
        self.claim("b")
        _, before = stream.until("state", state="running")
        self.assertEqual([e for e in before if e[1]["queue"] == "a"], [])

    def test_what_was_missed_comes_first(self):
        self.enqueue()
        stream = self.stream("/v1/events?queue=q")
        stream.next()
        lease = self.claim()
        event, _ = stream.until("state", state="running")
        stream.close()
        self.act(lease, "ack")
        again = self.stream("/v1/events?queue=q", event[2])
        _, before = again.until("state", state="succeeded")
        self.assertNotIn("running", [data.get("state") for _, data, _ in
                                     before])

    def test_what_may_be_missing_is_said(self):
        self.enqueue()
        stream = self.stream("/v1/events?queue=q", "1000-1")
        event, _ = stream.until("lost")
        self.assertEqual(event[1], {"reason": "old"})
        stream.until("counters", queue="q")
        lease = self.claim()  # the reader is there
        stream.until("state", state="running")
        client = self.store.client()
        for other in client.client_list():
            if other["name"] == "pit-events":
                client.client_kill_filter(_id=other["id"])
        client.close()
        stream.until("lost", reason="away")
        stream.until("counters", queue="q")
        self.act(lease, "ack")
        stream.until("state", state="succeeded")

    def test_nobody_listens_nothing_is_written(self):
        self.enqueue()
        client = self.store.client()
        self.assertEqual(client.exists("pit:{q}:events"), 0)
        self.stream("/v1/events?queue=q").next()
        wait_until(lambda: client.hget("pit:{q}:meta", "watched"), 5, "watch")
        client.close()


if __name__ == "__main__":
    unittest.main()
