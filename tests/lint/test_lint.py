#!/usr/bin/python3
"""The checks themselves: each finds what it is for, and nothing else.

    test_lint.py     makes small trees in a temporary folder
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def run(check, root):
    done = subprocess.run([os.path.join(HERE, check), root],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


class Tree(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, path, text):
        path = os.path.join(self.folder.name, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


class Banned(Tree):
    def test_call_is_found_with_its_line(self):
        self.write("web/a.c", "int x;\nvoid f(void) { strcpy (a, b); }\n")
        code, out = run("check-banned", self.folder.name)
        self.assertEqual(code, 1, out)
        self.assertIn("web/a.c:2: strcpy() is banned; use ", out)

    def test_each_of_the_issue_is_banned(self):
        names = ("strcpy strcat sprintf vsprintf gets strtok atoi atol atof "
                 "strncpy system popen alloca tmpnam").split()
        for name in names:
            self.write("cli/a.c", f"int x = {name}(y);\n")
            self.assertEqual(run("check-banned", self.folder.name)[0], 1, name)

    def test_words_and_longer_names_are_not(self):
        self.write("shared/base/a.c",
                   "/* strcpy(a, b) */ // gets(x)\n"
                   'char *s = "system(1)"; char c = \'"\';\n'
                   "snprintf(a, 1); my_strcpy(b); x->system(1); fgets(q);\n")
        code, out = run("check-banned", self.folder.name)
        self.assertEqual(code, 0, out)


class Lua(Tree):
    SCRIPTS = "shared/queue/scripts/"

    def expect(self, what, **texts):
        for name, text in texts.items():
            self.write(self.SCRIPTS + name.replace("_in_", "include/") + ".lua",
                       text)
        code, out = run("check-lua", self.folder.name)
        self.assertEqual(code, 1 if what else 0, out)
        self.assertIn(what or "0 found, ", out)

    def test_a_script_and_its_include_pass(self):
        self.expect("", a="#!lua\n-- a: b.\n-- include: b\n", _in_b="-- b: c\n")

    def test_lines(self):
        fits = "-- a: b.\n" + "x" * 80 + "\n"
        self.expect("", a=fits)
        self.expect("a.lua:2: 81 columns; break", a=fits[:-1] + "x\n")
        self.expect("a.lua:2: a tab; ", a="-- a: b.\n\tx\n")
        self.expect("a.lua:1: a space at the end; ", a="-- a: b. \n")

    def test_contract(self):
        self.expect("a.lua:1: does not say what it is; ", a="#!lua\n-- b: c\n")

    def test_includes(self):
        self.expect("a.lua:2: there is no include b; ",
                    a="-- a: b.\n-- include: b\n")
        self.expect("include/b.lua:1: no script includes it; ",
                    a="-- a: b.\n", _in_b="-- b: c\n")


class Awaits(Tree):
    def test_a_kind_without_a_row(self):
        self.write("tests/integration/test_awaits.c",
                   '    {"sleep", "pit_sleep", run},\n')
        self.write("shared/async/a.c",
                   'static const struct op_class a = {"sleep", NULL};\n')
        self.assertEqual(run("check-awaits", self.folder.name)[0], 0)
        self.write("web/b.c", 'static const struct op_class b = {"new", c};\n')
        self.write("shared/app/c.c", 'st = co_thread(co, "file copy", f, a, 0);\n')
        code, out = run("check-awaits", self.folder.name)
        self.assertEqual(code, 1, out)
        self.assertIn('web/b.c:1: the await "new" has no row', out)
        self.assertIn('shared/app/c.c:1: the await "file copy"', out)


class Layout(Tree):
    def expect(self, path, include, wrong):
        self.write(path, f'#include "{include}"\n')
        code, out = run("check-layout", self.folder.name)
        self.assertEqual(code, 1 if wrong else 0, out)
        if wrong:
            self.assertIn(f"{path}:1: ", out)
        os.unlink(os.path.join(self.folder.name, path))

    def test_programs_do_not_see_each_other(self):
        self.write("worker/dispatch.h", "")
        self.write("web/route.h", "")
        self.expect("web/a.c", "dispatch.h", True)
        self.expect("web/a.c", "worker/dispatch.h", True)
        self.expect("worker/a.c", "route.h", True)
        self.expect("cli/a.c", "dispatch.h", True)
        self.expect("web/a.c", "route.h", False)
        self.expect("tests/unit/test_a.c", "dispatch.h", False)

    def test_same_name_in_two_programs_is_its_own(self):
        self.write("worker/supervisor.h", "")
        self.write("web/supervisor.h", "")
        self.expect("web/a.c", "supervisor.h", False)
        self.expect("worker/a.c", "supervisor.h", False)

    def test_arrows_never_run_back(self):
        self.expect("shared/base/a.c", "async/loop.h", True)
        self.expect("shared/async/a.c", "queue/job.h", True)
        self.expect("shared/queue/a.c", "app/app.h", True)
        self.expect("shared/app/a.c", "queue/job.h", False)
        self.expect("shared/async/a.c", "base/buf.h", False)
        self.expect("shared/base/a.c", "pit/status.h", False)

    def test_shared_knows_no_program(self):
        self.write("web/route.h", "")
        self.expect("shared/app/a.c", "route.h", True)

    def test_nothing_climbs(self):
        self.expect("web/http/a.c", "../route.h", True)

    def test_public_headers_and_applications(self):
        self.expect("shared/include/pit/a.h", "base/buf.h", True)
        self.expect("examples/hello/a.c", "base/buf.h", True)
        self.expect("examples/hello/a.c", "pit/app.h", False)

    def test_programs_do_not_link_each_other(self):
        self.write("web/CMakeLists.txt", "target_link(x pit_worker_core)\n")
        code, out = run("check-layout", self.folder.name)
        self.assertEqual(code, 1, out)
        self.assertIn("web/CMakeLists.txt:1: ", out)


class Symbols(unittest.TestCase):
    """Against real objects, laid out as CMake lays them out."""

    def compile(self, text):
        with tempfile.TemporaryDirectory() as build:
            folder = os.path.join(build, "shared/CMakeFiles/pit.dir/base")
            os.makedirs(folder)
            # The name must be that of a file of ours: shared/base/buf.c.
            done = subprocess.run(
                ["cc", "-x", "c", "-c", "-", "-o",
                 os.path.join(folder, "buf.c.o")],
                input=text, text=True, capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            return run("check-symbols", build)

    def setUp(self):
        if not os.path.exists(os.path.join(HERE, "../../shared/base/buf.c")):
            self.skipTest("no shared/base/buf.c")

    def test_own_prefix_and_static_pass(self):
        code, out = self.compile("int buf_add(void) {return 0;}\n"
                                 "int pit_x(void) {return 0;}\n"
                                 "static int y; int *buf_y(void){return &y;}")
        self.assertEqual(code, 0, out)

    def test_foreign_name_is_found(self):
        code, out = self.compile("int helper(void) {return 0;}")
        self.assertEqual(code, 1, out)
        self.assertIn("shared/base/buf.c: helper is exported; call it buf_",
                      out)

    def test_names_of_libraries_are_refused(self):
        code, out = self.compile("int strfoo(void) {return 0;}")
        self.assertEqual(code, 1, out)
        self.assertIn("rename it", out)


class Ways(Tree):
    def setUp(self):
        super().setUp()
        self.write("web/api/openapi/a.json", json.dumps({"paths": {"/v1/jobs": {
            "post": {"operationId": "enqueueJob"}}}}))
        self.write("cli/cmd_put.c", "const struct command cmd_put = {\n"
                   '    .name = "put",\n};\n')
        for name in ("queue", "flow", "follow", "jobs", "operations", "queues",
                     "schedules", "tasks", "workers", "run"):
            self.write(f"shared/include/pit/{name}.h", "/* pit_no() */\n")
        self.write("shared/include/pit/jobs.h",
                   "enum pit_status pit_put(void);\nvoid pit_put_clear(int);\n")

    def expect(self, code, says, page):
        self.write("docs/three-ways.md", page)
        ended, out = run("check-ways", self.folder.name)
        self.assertEqual(ended, code, out)
        self.assertIn(says, out)

    ROW = "| `POST /v1/jobs` | `pit put` | `pit_put()` |\n"

    def test_a_whole_page_passes(self):
        self.expect(0, "0 found", "| HTTP | pit | C |\n|---|---|---|\n" + self.ROW)

    def test_what_is_missing_is_named(self):
        self.expect(1, "operation POST /v1/jobs is missing",
                    "| - | `pit put` | `pit_put()` |\n")
        self.expect(1, "command put is missing",
                    "| `POST /v1/jobs` | - | `pit_put()` |\n")
        self.expect(1, "function pit_put is missing",
                    "| `POST /v1/jobs` | `pit put` | - |\n")

    def test_what_is_not_there_is_named(self):
        self.expect(1, "no operation GET /v1/none",
                    self.ROW + "| `GET /v1/none` | - | - |\n")
        self.expect(1, "no command none", self.ROW + "`pit none`\n")
        self.expect(1, "no function pit_none", self.ROW + "`pit_none()`\n")

    def test_rows(self):
        self.expect(1, "has a row already", self.ROW + self.ROW)
        self.expect(1, "a cell is empty", self.ROW.replace("`pit put`", " ") +
                    "`pit put`\n")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
