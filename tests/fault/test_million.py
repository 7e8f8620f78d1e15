"""A million waiting and a million ended jobs: looking costs what it always does,
and memory is back once they are gone."""

import time
import unittest

from pitharness import SLOWNESS, Redis, wait_until
from pitscripts import Queue

MILLION = 1_000_000
STEP_MS = 10


def fill(client, queue):
    """Jobs by the thousand, straight into the keys that enqueue and work would
    write (through them it takes half an hour)."""
    script = client.register_script("""
        local base, first, n = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
        local records, states, entries, groups, ids = {}, {}, {}, {}, {}
        for i = first, first + n - 1 do
            local w, e = string.format('w%07d', i), string.format('e%07d', i)
            records[#records + 1] = w
            records[#records + 1] = '15- 1760000000000 noop\\n{}'
            records[#records + 1] = e
            records[#records + 1] = '15- 1760000000000 noop k3600000\\n{}'
            entries[#entries + 1] = '5' .. w
            states[#states + 1] = e
            states[#states + 1] =
                'S w.1 1 0 0 0 w 1760000000000 1760000001000\\n'
            ids[#ids + 1] = e
            if #ids == 50 then
                groups[#groups + 1] = ARGV[3]
                groups[#groups + 1] = table.concat(ids, ' ')
                ids = {}
            end
        end
        redis.call('HSET', base .. 'jobs', unpack(records))
        redis.call('HSET', base .. 'state', unpack(states))
        redis.call('RPUSH', base .. 'ready:5', unpack(entries))
        redis.call('ZADD', base .. 'done', unpack(groups))
        redis.call('HINCRBY', base .. 'stats', 'kept', n)
        redis.call('HINCRBY', base .. 'stats', 'enqueued', 2 * n)
    """)
    forget_at = queue.now() + 3_600_000
    for first in range(0, MILLION, 1000):
        script(keys=[queue.key("")], args=[first, 1000, forget_at])
    client.rpush(queue.key("wake"), "1")


class Million(unittest.TestCase):
    def setUp(self):
        self.redis = Redis(aof="no")
        self.addCleanup(self.redis.close)
        self.client = self.redis.client(encoding="latin-1",
                                        socket_timeout=60 * SLOWNESS)
        self.addCleanup(self.client.close)
        self.queue = Queue(self.client)

    def used(self):
        return self.client.info("memory")["used_memory"]

    def slowest_ms(self, *calls):
        """Server time of the slowest of these calls, as SLOWLOG has it. The
        best of five: the machine may be busy."""
        self.client.config_set("slowlog-log-slower-than", 0)
        self.client.config_set("slowlog-max-len", 4096)
        worst = 0
        for call in calls:
            call()  # loads the script
            best = None
            for _ in range(5):
                self.client.slowlog_reset()
                call()
                took = max(one["duration"] for one in
                           self.client.slowlog_get(100)) / 1000
                best = took if best is None else min(best, took)
            worst = max(worst, best)
        return worst

    def test_looking_and_removing(self):
        empty = self.used()
        fill(self.client, self.queue)
        full = self.used()

        deep = {}
        for state in ("ready", "ended", "succeeded"):
            cursor = ""
            for _ in range(50):
                cursor, page = self.queue.list(state, 1000, cursor)
                self.assertEqual(len(page), 1000)
            deep[state] = cursor
        worst = self.slowest_ms(
            self.queue.counts,
            lambda: self.queue.get("w0500000"),
            lambda: self.queue.get("e0500000"),
            lambda: self.queue.list("ready", 100),
            lambda: self.queue.list("ready", 100, deep["ready"]),
            lambda: self.queue.list("ended", 100),
            lambda: self.queue.list("ended", 100, deep["ended"]),
            lambda: self.queue.list("succeeded", 100, deep["succeeded"]),
            lambda: self.queue.list("cancelled", 100),
            lambda: self.queue.list("dead", 100),
            lambda: self.queue.cancel("w0900000"),
            lambda: self.queue.control("delete", "w0800000"))
        print(f"slowest look or step: {worst:.2f} ms of server time")
        self.assertLess(worst, STEP_MS * SLOWNESS)

        slowest = 0
        for place in ("ready", "ended"):
            left = 1
            while left:
                began = time.monotonic()
                _, left = self.queue._call("purge", ["jobs"], [place, 500])
                slowest = max(slowest, time.monotonic() - began)
        self.assertEqual(self.client.hlen(self.queue.key("jobs")), 0)
        # What is left are the 10,000 ids of `gone`.
        wait_until(lambda: self.used() < empty + 8 * 1024 * 1024, 20,
                   "memory to be back")
        print(f"{empty / 2**20:.1f} MiB empty, {full / 2**20:.1f} full, "
              f"{self.used() / 2**20:.1f} after the purge; slowest step "
              f"{1000 * slowest:.1f} ms")


if __name__ == "__main__":
    unittest.main()
