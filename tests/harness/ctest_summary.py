#!/usr/bin/python3
"""Counts what ctest --output-junit wrote.

    ctest_summary.py FILE...

Prints `failed: NAME` and `skipped: NAME: why` for each such test, and ends with
`N passed, N failed, N skipped` (N of tests; one that could not be run failed).
Exit status 0: none failed.
"""
import sys
import xml.etree.ElementTree as tree


def why(case):
    """The last thing that a skipped test said."""
    text = case.findtext("system-out") or ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"


def main(paths):
    passed = failed = skipped = 0
    for path in paths:
        for case in tree.parse(path).getroot().iter("testcase"):
            name = case.get("name")
            skip = case.find("skipped")
            if case.get("status") == "run":
                passed += 1
            elif skip is not None and "SKIP_" in skip.get("message", ""):
                skipped += 1
                print(f"skipped: {name}: {why(case)}")
            elif case.get("status") == "disabled":
                skipped += 1
                print(f"skipped: {name}: disabled")
            else:
                failed += 1
                print(f"failed: {name}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
