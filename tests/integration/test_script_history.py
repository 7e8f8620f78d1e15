"""A few thousand random calls of all scripts: model and keys agree.

A run is repeated by its seed: PIT_TEST_SEED=123 test_script_history.py (times
are real, so leases may run out at other moments)."""

import os
import unittest

from pithistory import History
from pitscripts import random_history

CALLS = int(os.environ.get("PIT_TEST_CALLS", "4000"))


class RandomHistory(unittest.TestCase):
    def test_model_and_keys_agree(self):
        with random_history(History, CALLS) as history:
            ends = {one.end for one in history.known.values()}
            self.assertTrue({"done", "dead", "quarantined"} <= ends, ends)


if __name__ == "__main__":
    unittest.main()
