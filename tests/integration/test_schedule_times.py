"""When a cron line fires in a time zone, against an independent implementation:
every local minute of a stretch of time, with Python's zoneinfo for the clock.

Prints its seed; PIT_TEST_SEED repeats a run. PIT_TEST_CASES for more of them.
"""

import datetime
import json
import os
import random
import subprocess
import unittest
import zoneinfo

from pitharness import program_path
from pitscripts import seed_of_test

UTC = datetime.timezone.utc
MINUTE = datetime.timedelta(minutes=1)
DAY = datetime.timedelta(days=1)
CASES = int(os.environ.get("PIT_TEST_CASES", "800"))
# Where clocks do what is rare: half hours, whole days, midnights, no rule.
ODD = ["Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Asia/Gaza",
       "Africa/Casablanca", "America/St_Johns", "Antarctica/Troll",
       "Europe/Dublin", "Asia/Kathmandu", "America/Nuuk", "Pacific/Chatham",
       "Asia/Pyongyang", "America/Caracas", "Europe/Berlin", "Asia/Tehran",
       "Pacific/Kwajalein", "America/Havana", "Asia/Beirut", "Etc/GMT+5"]
FIELDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
NAMES = {3: "jan feb mar apr may jun jul aug sep oct nov dec".split(),
         4: "sun mon tue wed thu fri sat".split()}


class Line:
    """A random cron line, and the sets that it was made from."""

    def __init__(self, rng):
        self.sets, texts, self.stars = [], [], []
        busy = rng.random() < 0.5  # many fires in few days
        for number, (low, high) in enumerate(FIELDS):
            star = rng.random() < (0.3 if number < 2 and not busy else 0.75)
            values, text = self.field(rng, number, low, high, star)
            self.sets.append(values)
            self.stars.append(text[0] == "*")
            texts.append(text)
        self.sets[4] = {day % 7 for day in self.sets[4]}
        self.text = " ".join(texts)

    @staticmethod
    def field(rng, number, low, high, star):
        if star:
            if rng.random() < 0.75:
                return set(range(low, high + 1)), "*"
            step = rng.randint(1, max(1, (high - low) // 2))
            top = 6 if number == 4 else high
            return set(range(low, top + 1, step)), f"*/{step}"
        values, parts = set(), []
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            first = rng.randint(low, high)
            last = rng.randint(first, high)
            how = rng.randrange(4)
            if how == 0:
                step = rng.randint(1, high)
                values |= set(range(first, last + 1, step))
                parts.append(f"{first}-{last}/{step}")
            elif how == 1:
                values |= set(range(first, last + 1))
                parts.append(f"{first}-{last}")
            else:
                values.add(first)
                names = NAMES.get(number)
                parts.append(rng.choice([str.upper, str.title, str])(
                    names[first - low]) if names and first - low < len(names)
                    and rng.random() < 0.5 else str(first))
        return values, ",".join(parts)

    def day_fits(self, date):
        if date.month not in self.sets[3]:
            return False
        day = date.day in self.sets[2]
        weekday = date.isoweekday() % 7 in self.sets[4]
        if self.stars[2] or self.stars[4]:
            return day and weekday
        return day or weekday

    def minutes(self, date):
        """Every minute of the day that fits."""
        if self.day_fits(date):
            for hour in sorted(self.sets[1]):
                for minute in sorted(self.sets[0]):
                    yield datetime.datetime.combine(
                        date, datetime.time(hour, minute))

    def possible(self):
        return any(self.day_fits(datetime.date(2024, 1, 1) + n * DAY)
                   for n in range(366))


def shown(zone, instant):
    """What the zone's clock shows."""
    return instant.astimezone(zone).replace(tzinfo=None)


def instant_of(zone, local):
    """The first instant that shows @local, or the first behind the gap."""
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if shown(zone, instant) == local:
        return instant
    # Skipped: somewhere before this the clock went past it.
    low, high = instant - 2 * DAY, instant
    while high - low > datetime.timedelta(seconds=1):
        middle = low + (high - low) / 2
        middle = middle.replace(microsecond=0)
        if shown(zone, middle) > local:
            high = middle
        else:
            low = middle
    return high


def brute_force(line, zone, start, count):
    """The first @count fires after @start, from every fitting minute."""
    found, date = [], shown(zone, start).date() - 2 * DAY
    end = date + datetime.timedelta(days=366 * 3)
    while date < end and len(found) < count:
        for local in line.minutes(date):
            instant = instant_of(zone, local)
            if instant > start and (not found or instant > found[-1]):
                found.append(instant)
                if len(found) == count:
                    break
        date += DAY
    return found


def changes(zone, year):
    """The days of a year on which the offset changes."""
    day = datetime.datetime(year, 1, 1, tzinfo=UTC)
    found = []
    while day.year == year:
        if zone.utcoffset(day) != zone.utcoffset(day + DAY):
            found.append(day)
        day += DAY
    return found


class TestTimes(unittest.TestCase):
    def ask(self, line, name, start, count):
        out = subprocess.run(
            [program_path("pit"), "schedules", "next", "--json", "--cron", line,
             "--timezone", name, "--count", str(count), "--from",
             start.strftime("%Y-%m-%dT%H:%M:%SZ")],
            capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, f"{line!r} {name}: {out.stderr}")
        return [datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
                for text in json.loads(out.stdout)["next"]]

    def test_agrees_with_zoneinfo(self):
        seed = seed_of_test()
        rng = random.Random(seed)
        names = sorted(name for name in zoneinfo.available_timezones()
                       if name not in ("Factory", "localtime", "posixrules"))
        compared = 0
        for case in range(CASES):
            name = rng.choice(ODD if rng.random() < 0.5 else names)
            zone = zoneinfo.ZoneInfo(name)
            line = Line(rng)
            if not line.possible():
                continue
            year = rng.randint(1972, 2090)
            start = datetime.datetime(year, 1, 1, tzinfo=UTC) + \
                datetime.timedelta(minutes=rng.randrange(525600))
            special = changes(zone, year)
            if special and rng.random() < 0.8:
                start = rng.choice(special) + \
                    datetime.timedelta(minutes=rng.randrange(-800, 1600))
            start += datetime.timedelta(seconds=rng.randrange(60))
            count = rng.choice([5, 60, 300])
            want = brute_force(line, zone, start, count)
            if not want:
                continue
            got = self.ask(line.text, name, start, len(want))
            compared += len(want)
            self.assertEqual(got, want,
                             f"seed {seed} case {case}: {line.text!r} in "
                             f"{name} from {start}")
        self.assertGreater(compared, CASES * 10)

    def test_a_skipped_time_fires_behind_the_gap(self):
        """As docs/schedules.md says it."""
        start = datetime.datetime(2026, 3, 28, 12, tzinfo=UTC)
        got = self.ask("30 2 * * *", "Europe/Berlin", start, 2)
        self.assertEqual([str(one) for one in got],
                         ["2026-03-29 01:00:00+00:00",
                          "2026-03-30 00:30:00+00:00"])

    def test_a_time_that_comes_twice_fires_once(self):
        start = datetime.datetime(2026, 10, 24, 12, tzinfo=UTC)
        got = self.ask("30 2 * * *", "Europe/Berlin", start, 2)
        self.assertEqual([str(one) for one in got],
                         ["2026-10-25 00:30:00+00:00",
                          "2026-10-26 01:30:00+00:00"])


if __name__ == "__main__":
    unittest.main()
