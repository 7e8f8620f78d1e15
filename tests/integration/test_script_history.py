"""A few thousand random calls of all scripts: model and keys agree.

A run is repeated by its seed: PIT_TEST_SEED=123 test_script_history.py (times
are real, so leases may run out at other moments)."""

import os
import unittest

from pitharness import Redis
from pithistory import History
from pitscripts import seed_of_test

CALLS = int(os.environ.get("PIT_TEST_CALLS", "4000"))


class RandomHistory(unittest.TestCase):
    def test_model_and_keys_agree(self):
        seed = seed_of_test()
        print(f"seed {seed}: PIT_TEST_SEED={seed} repeats it", flush=True)
        with Redis(aof="no") as server, \
                server.client(encoding="latin-1") as client:
            history = History(client, seed)
            try:
                history.run(CALLS)
                history.drain()
                history.check()
            except AssertionError as problem:
                calls = "\n".join(map(str, history.log[-12:]))
                raise AssertionError(
                    f"seed {seed}: {problem}\nlast calls:\n{calls}") from None
            ends = {one.end for one in history.known.values()}
            self.assertTrue({"done", "dead", "quarantined"} <= ends, ends)


if __name__ == "__main__":
    unittest.main()
