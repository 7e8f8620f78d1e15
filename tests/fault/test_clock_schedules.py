"""Redis' wall clock is set by an hour, either way, and each time of a schedule is
fired once. A worker that has nothing else to do finds it out in its sleep."""

import time
import unittest

from pitclock import HOUR, ClockCase
from pitharness import wait_until
from pitschedules import Schedules
from pitscripts import Queue as Scripts


class Fires(ClockCase):
    def test_each_time_of_a_schedule_is_fired_once(self):
        schedules = Schedules(Scripts(self.client, "default"))
        seconds, us = self.client.time()
        first = seconds * 1000 + us // 1000 + 500
        self.client.hset("pit:schedules", "s", "default")
        schedules.put("s", first, every_ms=500, anchor_ms=first - 500,
                      misfire="skip", jitter_ms=0, paused=False, note="",
                      timezone="UTC", queue="default", created_ms=0,
                      updated_ms=0, record="15- 0 pid\n{}")
        self.start()

        def fired():
            return [fire.nominal for fire in schedules.fired("s").fires
                    if fire.what == "e"]
        wait_until(lambda: len(fired()) >= 2, 10, "two fires")
        self.step(-HOUR)
        before = fired()
        time.sleep(1.2)  # two of its times, if it went by the old clock
        self.assertLessEqual(len(fired()), len(before) + 1)
        self.step(0)
        # A sleep that began before both steps tells nothing; a job does.
        self.queue.wait_code(self.queue.enqueue("pid", {}), "S", 5)
        wait_until(lambda: len(fired()) >= len(before) + 2, 5, "it to go on")
        self.step(HOUR)
        wait_until(lambda: fired()[-1] > first + HOUR * 1000, 5,
                   "it to go by the new time")
        self.client.delete(self.queue.key("fires"))  # no more of them
        # And one job was this test's own.
        wait_until(lambda: self.queue.stat("succeeded") == len(fired()) + 1, 5,
                   "a job for each fire")
        self.assertEqual(self.queue.stat("enqueued"), len(fired()) + 1)
        self.assertEqual(sorted(set(fired())), fired())


if __name__ == "__main__":
    unittest.main()
