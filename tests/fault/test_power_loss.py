"""Power loss: the append-only file ends at a random byte.

Every step of the queue is one script, and Redis writes what a script did as one
transaction: whatever the last byte is, each step is there wholly or not at all,
so every invariant of the queue holds for what was there."""

import os
import random
import unittest

from pitharness import PitTestCase
from pithistory import History
from pitscripts import Queue, check, done_all, seed_of_test

CUTS = 12
CALLS = 600


def drain(queue):
    """Runs everything to its end, as new workers would; how many ran."""
    ran = 0
    for entry, _ in queue.client.zrange(queue.key("leased"), 0, -1,
                                        withscores=True):
        queue.client.zadd(queue.key("leased"), {entry: 1})
    for name in ("due", "retrying"):
        for entry, _ in queue.client.zrange(queue.key(name), 0, -1,
                                            withscores=True):
            queue.client.zadd(queue.key(name), {entry: 1})
    queue.client.delete(queue.key("meta"))
    work = queue.work(claim=64, worker="new")
    while work.claimed or work.more or work.next == 0:
        ran += len(work.claimed)
        work = queue.work(claim=64, worker="new", finishes=[
            done_all(work.claimed)] if work.claimed else ())
        assert work.stale == [], work.stale
    return ran


class PowerLoss(PitTestCase):
    def file_of(self, server):
        folder = os.path.join(server.dir, "appendonlydir")
        name, = [name for name in os.listdir(folder)
                 if name.endswith(".incr.aof")]
        return os.path.join(folder, name)

    def test_what_is_there_is_whole(self):
        seed = seed_of_test()
        rng = random.Random(seed)
        server = self.redis(aof="always")
        with server.client(encoding="latin-1") as client:
            History(client, seed).run(CALLS)
        server.kill()
        path = self.file_of(server)
        with open(path, "rb") as file:
            whole = file.read()
        sizes, ran = set(), 0
        for _ in range(CUTS):
            with open(path, "wb") as file:
                file.write(whole[:rng.randrange(len(whole))])
            server.start()
            self._own(server)
            with server.client(encoding="latin-1") as client:
                queue = Queue(client)
                # Who took the token may have been cut off before its claim;
                # a worker that connects again claims without one.
                places = check(queue, token=False)
                sizes.add(len(places))
                ran += drain(queue)
                after = check(queue)
                self.assertTrue(set(after.values()) <=
                                {"done", "dead", "quarantined"}, after)
            server.kill()
        # They were different moments of a history, and there was work left.
        self.assertGreater(len(sizes), CUTS // 2)
        self.assertGreater(ran, 0)


if __name__ == "__main__":
    unittest.main()
