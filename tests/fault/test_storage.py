"""Redis cannot store any more: its disk is full, its memory is, or the end of its
file is lost. Web and worker go on with what can be done, and recover by
themselves."""

import os
import struct
import time
import unittest

from pitharness import PitTestCase, program_path, wait_until
from pitqueue import Queue
from pitscripts import Queue as Scripts, check

ROGUE = "tests/fixtures/rogue_app.so"


class StorageCase(PitTestCase):
    def begin(self, aof):
        self.disk = os.path.join(self.dir, "disk")
        self.notes = os.path.join(self.dir, "notes")
        self.fill(False)
        self.server = self.redis(aof=aof, env={
            **os.environ, "PIT_TEST_DISK": self.disk,
            "LD_PRELOAD": program_path("tests/fixtures/full_disk.so")})
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client, "default")
        self.worker_of = self.worker(self.server, queues="default", slots=2,
                                     app=ROGUE, flags=["--lease", "2s"])
        self.worker_of.wait_for_line(r"ready: worker")
        self.http = self.web(self.server, app=ROGUE, ready="/readyz").http

    def fill(self, full):
        file = os.open(self.disk, os.O_RDWR | os.O_CREAT)
        os.pwrite(file, struct.pack("q", full), 0)
        os.close(file)

    def post(self, seconds=0):
        return self.http.post("/v1/jobs", {
            "task": "deaf", "args": {"seconds": seconds, "path": self.notes}})

    def posted(self, seconds=0):
        answer = self.post(seconds)
        self.assertEqual(answer.status, 202, answer)
        return answer.json()["id"].partition(".")[2]

    def started(self):
        try:
            with open(self.notes, encoding="ascii") as notes:
                return sum(line.startswith("start") for line in notes)
        except FileNotFoundError:
            return 0

    def assert_refused(self, kind):
        answer = self.post()
        self.assertEqual(answer.status, 503, answer)
        self.assertTrue(answer.json()["type"].endswith(kind), answer)
        self.assertTrue(answer.headers["Retry-After"])

    def check_reads(self):
        for path in ("/v1/queues", "/v1/queues/default",
                     "/v1/jobs?queue=default&state=ended",
                     "/v1/queues/default/scale", "/v1/tasks", "/v1/workers",
                     "/v1/flows", "/v1/schedules", "/metrics"):
            answer = self.http.get(path)
            self.assertLess(answer.status, 400, f"{path}: {answer}")

    def pause(self):
        for verb in ("pause", "resume"):
            answer = self.http.post(f"/v1/queues/default:{verb}")
            self.assertEqual(answer.status, 200, answer)

    def wait_accepted(self, deadline=10):
        """One that is taken again, and runs."""
        answer = wait_until(lambda: (lambda one: one.status == 202 and one)(
            self.post()), deadline, "a job to be taken")
        self.queue.wait_code(answer.json()["id"].partition(".")[2], "S")

    def check_all(self):
        with self.server.client(encoding="latin-1") as client:
            return check(Scripts(client, "default"), token=False)


class Disk(StorageCase):
    def test_full_with_everysec(self):
        self.begin("everysec")
        job = self.posted(1.5)
        wait_until(lambda: self.started() == 1, 5, "its start")
        self.fill(True)
        wait_until(lambda: self.post().status == 503, 5, "the first refusal")
        self.assert_refused("/store-readonly")
        # What is there can be read, and what runs, runs.
        self.assertEqual(self.http.get(f"/v1/jobs/default.{job}").status, 200)
        self.check_reads()
        time.sleep(2)  # its end comes while nothing can be written
        self.assertEqual(self.queue.state(job).code, "R")
        self.fill(False)
        state = self.queue.wait_code(job, "S")
        self.assertEqual(state.crashes, 0)
        self.wait_accepted()
        self.check_all()

    def test_full_with_always(self):
        """Redis ends itself, and what it acknowledged is there again."""
        self.begin("always")
        jobs = [self.posted() for _ in range(20)]
        for job in jobs:
            self.queue.wait_code(job, "S")
        job = self.posted(0.5)
        wait_until(lambda: self.started() == 21, 5, "its start")
        self.fill(True)
        wait_until(lambda: not self.server.process.running(), 5, "Redis' end")
        self.assert_refused("/store-unavailable")
        self.fill(False)
        self.server.start()
        self._own(self.server)
        self.wait_accepted()
        self.queue.wait_code(job, "S")
        for one in jobs:
            self.assertEqual(self.queue.state(one).code, "S")
        self.check_all()

    def test_the_end_of_the_file_is_lost(self):
        """As after a crash of the machine with everysec: jobs whose end or
        claim is lost run again, and none is in two places."""
        self.begin("everysec")
        early = [self.posted() for _ in range(5)]
        for job in early:
            self.queue.wait_code(job, "S")
        folder = os.path.join(self.server.dir, "appendonlydir")
        name, = [name for name in os.listdir(folder)
                 if name.endswith(".incr.aof")]
        path = os.path.join(folder, name)
        kept = os.path.getsize(path)
        running = self.posted(1)
        late = [self.posted() for _ in range(5)]
        for job in late:
            self.queue.wait_code(job, "S")
        wait_until(lambda: self.queue.state(running).code == "R", 5, "R")
        self.server.kill()
        size = os.path.getsize(path)
        self.assertGreater(size, kept)
        os.truncate(path, (kept + size) // 2 + 7)
        self.server.start()
        self._own(self.server)
        self.wait_accepted()
        for job in [*early, running, *late]:
            if self.client.hexists("pit:{default}:jobs", job):
                self.queue.wait_code(job, "S")
        self.assertTrue(all(self.client.hexists("pit:{default}:jobs", job)
                            for job in early))
        self.check_all()


class Memory(StorageCase):
    def test_full_memory_is_drained(self):
        self.begin("no")
        self.client.hset("pit:{default}:meta", "paused", "1")
        jobs = [self.posted() for _ in range(50)]
        self.client.config_set("maxmemory", "1")
        self.assert_refused("/store-readonly")
        self.assertEqual(self.client.info("memory")["maxmemory"], 1)
        self.client.config_set("maxmemory", "0")
        self.client.hdel("pit:{default}:meta", "paused")
        self.client.rpush("pit:{default}:wake", "1")
        self.client.config_set("maxmemory", "1")
        for job in jobs:
            self.queue.wait_code(job, "S")
        self.assert_refused("/store-readonly")
        self.check_reads()
        self.pause()
        self.client.config_set("maxmemory", "0")
        self.wait_accepted()
        self.check_all()


if __name__ == "__main__":
    unittest.main()
