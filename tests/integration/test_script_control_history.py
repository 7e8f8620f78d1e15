"""Random histories of an operator's steps among those of workers and clients:
after each of them every invariant of the queue holds."""

import random
import unittest

from pitscripts import ScriptCase, check, done, ended, job, seed_of_test

STEPS = 700
IDS = [f"j{n}" for n in range(24)]
OPTIONS = ["", "", " k0", " ur,0,U1", " uw,0,U2", " ue,5,U3", " l1,0,0,K1",
           " l2,100,1000,K2", " l1,0,0,K1 ur,0,U1", " oother.child",
           " l1,0,0,K3 ow.x cSD,http://h/"]


def ordered(options):
    """A record's options in the order that the protocol has."""
    words = options.split()
    return "".join(" " + word for word in
                   sorted(words, key=lambda word: "kulnoc".index(word[0])))


class History(ScriptCase):
    def setUp(self):
        super().setUp()
        self.seed = seed_of_test()
        self.rng = random.Random(self.seed)
        self.held = []
        self.told = []
        self.serial = 0

    def enqueue(self):
        self.serial += 1
        options = ordered(self.rng.choice(OPTIONS))
        where = self.rng.choice([None, None, None, "+1", "+40"])
        local = f"{self.rng.choice(IDS)}-{self.serial}"
        self.queue.enqueue(job(local, self.rng.choice([5, 5, 9]),
                               options=options, where=where,
                               flag="+" if set(options) & set("ulo") else "-",
                               created=self.queue.now()))

    def known(self):
        ids = sorted(self.client.hkeys(self.queue.key("jobs")))
        return self.rng.choice(ids) if ids else "none"

    def work(self):
        finishes = []
        for one in self.rng.sample(self.held, min(len(self.held), 3)):
            self.held.remove(one)
            how = self.rng.choice("sfcxrS")
            finishes.append(
                done(one) if how == "s" else done(one, result="1")
                if how == "S" else
                ended(how, one, self.rng.choice([-1, 0, 30])))
        self.held += self.queue.work(claim=self.rng.randrange(4),
                                     finishes=finishes).claimed

    def control(self):
        verb = self.rng.choice(["cancel", "cancel", "retry", "promote",
                                "release", "delete", "edit"])
        words = {"cancel": [1000, '"why"'],
                 "edit": [self.rng.choice(["", 0, self.queue.now() + 50]),
                          self.rng.choice(["", "1", "9"])]}.get(verb, [])
        self.queue.control(verb, self.known(), *words)

    def purge(self):
        place = self.rng.choice(["ready", "scheduled", "retrying", "dead",
                                 "quarantined", "ended"])
        if self.rng.random() < 0.2:
            self.queue._call("purge", ["jobs"], [place,
                                                 self.rng.choice([1, 3])])

    def look(self):
        state = self.rng.choice(["ready", "scheduled", "retrying", "dead",
                                 "running", "ended"])
        places = {"scheduled": "due", "running": "leased", "ended": "done"}
        found = self.queue.list_all(state, self.rng.randrange(1, 9))
        expected = {local for local, place in
                    check(self.queue, token=False).items()
                    if place == places.get(state, state)}
        self.assertEqual(set(found), expected, state)
        self.assertEqual(len(found), len(expected), state)

    def test_invariants_hold(self):
        steps = [self.enqueue] * 4 + [self.work] * 4 + [self.control] * 5 + [
            self.purge, self.look]
        for n in range(STEPS):
            step = self.rng.choice(steps)
            try:
                step()
                check(self.queue, token=False)
            except AssertionError as problem:
                raise AssertionError(f"PIT_TEST_SEED={self.seed}, step {n}, "
                                     f"{step.__name__}: {problem}") from None
        self.token = False


if __name__ == "__main__":
    unittest.main()
