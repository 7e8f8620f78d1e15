#!/usr/bin/python3
"""The C in docs/ and in the public headers' own examples is C: each block stands
in the examples as it is, or compiles.

A block that is marked ```c is looked for in examples/ and cli/template/, white
space aside; "..." in it on a line of its own stands for anything. What is not
found there is compiled: as it is, as the inside of a function that has what a
view and a task have (co, req, res, job, st), or as a part of an application's
table. What else it takes for granted
is declared in a comment right before it, which no reader sees:

    <!-- c: int64_t now_us(void); -->

or for a header in GIVEN below. A header's example is what is indented in the
comment that it begins with.
"""
import glob
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BLOCK = re.compile(r"(?:<!-- c: (?P<given>.*?) -->\n+)?```c\n(?P<text>.*?)```",
                   re.S)
SOURCES = ("examples/*/*.[ch]", "cli/template/*.c.in")
# Fields of tables that are left out are zero, unused things are for brevity.
FLAGS = ["-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
         "-Wno-missing-field-initializers", "-Wno-unused"]


# What the headers' examples take for granted.
GIVEN = {
    "flow.h": "extern struct pit_ticket ticket;",
    "mail.h": "extern struct { const char *email; } order;",
    "redis.h": "extern const char *token;",
    "schedules.h": "extern const struct pit_schedule_info *old;",
    "test.h": "extern const struct pit_app pit_app;",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def squeezed(text):
    return " ".join(text.split())


def headers():
    paths = glob.glob(os.path.join(ROOT, "shared/include/pit/*.h"))
    names = sorted(os.path.basename(path) for path in paths)
    return "".join(f"#include <{name}>\n" for name in
                   ("assert.h", "stdio.h", "stdlib.h", "string.h",
                    "unistd.h")) + "".join(
        f"#include <pit/{name}>\n" for name in names)


def in_function(given, text):
    return (f"{given}\nenum pit_status around(struct pit_co *co, "
            "struct pit_request *req, struct pit_response *res, "
            "struct pit_job *job);\n"
            "enum pit_status around(struct pit_co *co, "
            "struct pit_request *req, struct pit_response *res, "
            "struct pit_job *job)\n{\nenum pit_status st = PIT_OK;\n{\n"
            f"{text}\n}}\nreturn st;\n}}\n")


def in_table(given, text):
    return (f"{given}\nextern const struct pit_app around;\n"
            f"const struct pit_app around = {{\n{text}\n}};\n")


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sources = [squeezed(read(path)) for pattern in SOURCES
                       for path in glob.glob(os.path.join(ROOT, pattern))]
        flags = subprocess.run(["pkg-config", "--cflags", "jansson"],
                               capture_output=True, text=True, check=True)
        cls.flags = FLAGS + flags.stdout.split() + [
            "-I", os.path.join(ROOT, "shared/include")]

    def stands_in_a_source(self, text):
        parts = [squeezed(part) for part in
                 re.split(r"^\s*\.\.\.$", text, flags=re.M)]
        return any(all(part in source for part in parts)
                   for source in self.sources)

    def compile(self, text):
        """What the compiler has against it; "" for nothing."""
        with tempfile.NamedTemporaryFile("w", suffix=".c") as file:
            file.write(headers() + text)
            file.flush()
            done = subprocess.run(["cc", *self.flags, file.name], check=False,
                                  capture_output=True, text=True)
        return done.stderr if done.returncode else ""

    def trouble(self, given, text):
        if self.stands_in_a_source(text):
            return ""
        least = None
        for whole in (f"{given}\n{text}", in_function(given, text),
                      in_table(given, text)):
            said = self.compile(whole)
            if not said:
                return ""
            if least is None or said.count("error:") < least.count("error:"):
                least = said
        return least

    def test_pages(self):
        pages = sorted(glob.glob(os.path.join(ROOT, "docs/*.md")))
        count = 0
        for page in pages + [os.path.join(ROOT, "README.md")]:
            text = read(page)
            for block in BLOCK.finditer(text):
                line = text.count("\n", 0, block.start("text")) + 1
                count += 1
                with self.subTest(page=os.path.basename(page), line=line):
                    said = self.trouble(block["given"] or "", block["text"])
                    if said:
                        self.fail(f"neither in the examples nor does it "
                                  f"compile:\n{block['text']}\n{said}")
        self.assertGreater(count, 15)

    def test_headers(self):
        count = 0
        for path in sorted(glob.glob(
                os.path.join(ROOT, "shared/include/pit/*.h"))):
            comment = read(path).partition("*/")[0]
            blocks = re.findall(r"(?:^ \*     .*\n| \*\n(?= \*     ))+", comment,
                                re.M)
            for block in blocks:
                text = re.sub(r"^ \*", "", block, flags=re.M)
                name = os.path.basename(path)
                count += 1
                with self.subTest(header=name):
                    said = self.trouble(GIVEN.get(name, ""), text)
                    if said:
                        self.fail(f"does not compile:\n{text}\n{said}")
        self.assertGreater(count, 8)

    def test_it_can_fail(self):
        self.assertTrue(self.trouble("", "st = pit_sleeep(co, 1);\n"))
        self.assertTrue(self.trouble("", "int f(void) { return pit_x; }\n"))
        self.assertFalse(self.trouble("", "st = pit_sleep(co, 1);\n"))
        self.assertFalse(self.trouble("static int x;", "st = x;\n"))


if __name__ == "__main__":
    unittest.main()
