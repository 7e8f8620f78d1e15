"""The harness itself: a test that leans on it must be able to fail."""

import os
import sys
import unittest

import redis as redislib

from pitharness import (PitTestCase, Process, free_port, is_running,
                        process_state, wait_until)


class Harness(PitTestCase):
    def test_redis_keeps_its_data_over_kill_and_restart(self):
        redis = self.redis(aof="always")
        with redis.client() as client:
            client.set("key", "value")
        before = redis.pid
        redis.restart()
        self.assertNotEqual(redis.pid, before)
        self.assertFalse(is_running(before))
        with redis.client() as client:
            self.assertEqual(client.get("key"), "value")

    def test_redis_over_tcp_with_a_password(self):
        redis = self.redis(tcp=True, password="p@ss/word")
        self.assertEqual(redis.url,
                         f"redis://:p%40ss%2Fword@127.0.0.1:{redis.port}")
        with redislib.Redis(port=redis.port, password="wrong") as client:
            with self.assertRaisesRegex(redislib.RedisError, "WRONGPASS"):
                client.ping()
        with redis.client() as client:
            self.assertTrue(client.ping())

    def test_sigstop_and_sigcont(self):
        redis = self.redis(aof="no")
        redis.sigstop()
        with self.assertRaises(redislib.exceptions.TimeoutError):
            with redis.client(socket_timeout=0.1) as client:
                client.ping()
        redis.sigcont()
        with redis.client() as client:
            self.assertTrue(client.ping())

    def test_wait_until_says_what_it_waited_for(self):
        with self.assertRaisesRegex(AssertionError, "for the moon; last: 0"):
            wait_until(lambda: 0, 0.05, "the moon")
        with self.assertRaisesRegex(AssertionError, "last: no moon"):
            wait_until(self._no_moon, 0.05, "the moon")

    @staticmethod
    def _no_moon():
        raise RuntimeError("no moon")

    def _python(self, code):
        return self._own(Process([sys.executable, "-uc", code],
                                 os.path.join(self.dir, "python.log")))

    def test_wait_for_line_continues_behind_the_last_match(self):
        process = self._python("print('one 1\\none 2')\nimport time\n"
                               "time.sleep(60)")
        self.assertEqual(process.wait_for_line(r"one (\d)")[1], "1")
        self.assertEqual(process.wait_for_line(r"one (\d)")[1], "2")
        with self.assertRaisesRegex(AssertionError, "within 0.05 s"):
            process.wait_for_line("one", 0.05)
        self.assertTrue(process.wait_for_line("one 1", from_start=True))

    def test_wait_for_line_fails_when_the_process_ends(self):
        process = self._python("print('last words'); raise SystemExit(3)")
        with self.assertRaisesRegex(AssertionError, "(?s)ended with 3.*last w"):
            process.wait_for_line("never", 30)
        process.assert_exit(3)
        with self.assertRaisesRegex(AssertionError, "ended with 3, not 0"):
            process.assert_exit(0)

    def test_processes_die_with_the_one_that_started_them(self):
        code = (f"import sys, time; sys.path = {sys.path!r}\n"
                "from pitharness import Redis\nredis = Redis(aof='no')\n"
                "print('pid', redis.pid)\ntime.sleep(60)")
        process = self._python(code)
        redis_pid = int(process.wait_for_line(r"pid (\d+)")[1])
        self.assertTrue(is_running(redis_pid))
        process.kill()
        wait_until(lambda: not is_running(redis_pid), 5, "redis to die")
        self.assertIn(process_state(redis_pid), (None, "Z"))

    def test_free_ports_are_free(self):
        self.assertNotEqual(free_port(), free_port())


if __name__ == "__main__":
    unittest.main()
