"""What the checks of this folder share: the C files, and C without words.

A check prints one line a finding, `file:line: what is wrong; what to do`, and
ends with 1 if there was any.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
ROOMS = ("shared", "web", "worker", "cli", "examples", "bench", "tests")


def files(*suffixes, rooms=ROOMS, root=ROOT):
    """Paths relative to @root of all sources in @rooms."""
    for room in rooms:
        for folder, folders, names in os.walk(os.path.join(root, room)):
            # What npm puts into bench/peers is not ours.
            folders[:] = sorted(set(folders) - {"node_modules"})
            for name in sorted(names):
                if name.endswith(suffixes):
                    yield os.path.relpath(os.path.join(folder, name), root)


def read(path, root=ROOT):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


_WORDS = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_only(text):
    """@text with comments, strings and characters blanked, lines kept."""
    return _WORDS.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def report(name, findings, what):
    """Prints the findings and ends the program."""
    for finding in findings:
        print(finding)
    print(f"{name}: {len(findings)} found, {what}")
    sys.exit(1 if findings else 0)
