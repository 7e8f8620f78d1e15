"""Schedules of an application's table: applied when a worker starts, merged with
what was changed by hand, removed with the table's entry."""

import json
import unittest

from pitharness import PitTestCase, wait_until

OLD = "tests/fixtures/schedules_old_app.so"
NEW = "tests/fixtures/schedules_new_app.so"


class AppSchedules(PitTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.redis(aof="no")
        self.client = self.store.client()
        self.addCleanup(self.client.close)

    def deploy(self, app):
        """Starts a worker with it, and waits until the table is applied."""
        worker = self.worker(self.store, app=app, slots=1)
        worker.wait_for_line("ready: worker")
        last = "goes" if app == OLD else "comes"
        wait_until(lambda: last in (self.client.hget(
            "pit:declared", "scheduled") or ""), 10, "the table")
        return worker

    def all(self):
        listed = self.cli(self.store, "schedules", "--json").stdout
        return {one["name"]: one for one in json.loads(listed)["schedules"]}

    def pit(self, *words, code=0):
        return self.cli(self.store, "schedules", *words, code=code)

    def test_applied_at_start(self):
        self.deploy(OLD)
        seen = self.all()
        self.assertEqual(sorted(seen),
                         ["changes", "each", "goes", "mine", "stays"])
        stays = seen["stays"]
        self.assertEqual((stays["origin"], stays["app"], stays["modified"]),
                         ("app", "scheduled", False))
        self.assertEqual((stays["cron"], stays["timezone"], stays["args"]),
                         ("0 3 * * *", "Europe/Berlin", {"n": 1.0}))
        self.assertEqual(seen["each"]["queue"], "side")
        wait_until(lambda: (self.all()["each"]["last"] or {}).get("outcome") ==
                   "enqueued", 10, "a fire")

    def test_a_deploy_changes_what_the_table_changed(self):
        self.deploy(OLD).terminate()
        before = self.all()
        self.deploy(NEW)
        seen = self.all()
        self.assertEqual(sorted(seen),
                         ["changes", "comes", "each", "mine", "stays"])
        changes = seen["changes"]
        self.assertEqual((changes["cron"], changes["task"], changes["queue"],
                          changes["note"], changes["overlap"],
                          changes["modified"]),
                         ("30 4 * * *", "other", "side", "second", "skip",
                          False))
        self.assertEqual(seen["comes"]["timezone"], "Asia/Tokyo")
        for name in ("stays", "mine"):
            self.assertEqual(seen[name], before[name])

    def test_what_was_changed_by_hand_stays(self):
        self.deploy(OLD).terminate()
        self.pit("pause", "changes", "--note", "by hand")
        self.pit("put", "stays", "--cron", "15 3 * * *")
        self.assertTrue(self.all()["stays"]["modified"])
        self.deploy(NEW)
        seen = self.all()
        changes = seen["changes"]
        self.assertEqual((changes["paused"], changes["note"], changes["cron"],
                          changes["task"], changes["modified"]),
                         (True, "by hand", "30 4 * * *", "other", True))
        stays = seen["stays"]
        self.assertEqual((stays["cron"], stays["modified"]),
                         ("15 3 * * *", True))
        # Back to what the table says: nothing is modified any more.
        self.pit("put", "stays", "--cron", "0 3 * * *")
        self.assertFalse(self.all()["stays"]["modified"])

    def test_hand_made_ones_are_left_alone(self):
        self.pit("put", "mine", "--cron", "5 5 * * *", "--task", "x", "--force")
        worker = self.deploy(OLD)
        worker.wait_for_line("mine was made by hand", from_start=True)
        mine = self.all()["mine"]
        self.assertEqual((mine["origin"], mine["cron"]), ("api", "5 5 * * *"))
        worker.terminate()
        self.deploy(NEW)
        self.assertEqual(self.all()["mine"], mine)

    def test_cannot_be_deleted_by_hand(self):
        self.deploy(OLD)
        self.assertIn("take it out of the table",
                      self.pit("delete", "goes", code=1).stderr)

    def test_comes_back_after_everything_was_lost(self):
        self.deploy(OLD)
        self.client.flushall()
        wait_until(lambda: len(self.all()) == 5, 30, "the table again",
                   interval=0.2)

    def test_two_workers_at_once(self):
        workers = [self.worker(self.store, app=OLD, slots=1)
                   for _ in range(3)]
        for worker in workers:
            worker.wait_for_line("ready: worker")
        wait_until(lambda: len(self.all()) == 5, 10, "the table")
        for worker in workers:
            self.assertNotIn("error", worker.log())


if __name__ == "__main__":
    unittest.main()
