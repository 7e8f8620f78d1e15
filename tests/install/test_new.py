#!/usr/bin/python3
"""What `pit new` writes builds against an installed Pitmaster, passes its own
tests, and runs.

    test_new.py BUILD_DIR
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

BAD_APP = """#include <pit/app.h>
static enum pit_status
view(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    return pit_reply_text(res, 200, "here");
}
static enum pit_status
task(struct pit_job *job)
{
    return PIT_OK;
}
PIT_EXPORT const struct pit_app pit_app = {PIT_APP("bad"), %s};
"""
GREEDY_APP = """#include <pit/app.h>
#include <string.h>
static enum pit_status
greedy(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    volatile char frame[256 * 1024];
    memset((char *)frame, 1, sizeof frame);
    return pit_reply_text(res, 200, "%d", frame[req != NULL]);
}
PIT_EXPORT const struct pit_app pit_app = {PIT_APP("greedy"),
    .views = (const struct pit_view[]){{PIT_GET, "/greedy", greedy}, {0}}};
"""
HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = None  # all of it, made in main()
PREFIX = None  # the installation in it


def run(*argv, code=0, env=None, **keys):
    full = {name: value for name, value in os.environ.items()
            if not name.startswith("PIT_")}
    full.update(env or {})
    done = subprocess.run(argv, capture_output=True, text=True, check=False,
                          timeout=120, env=full, **keys)
    if done.returncode != code:
        raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}:"
                             f"\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def pit(*words, **keys):
    return run(os.path.join(PREFIX, "bin", "pit"), *words, **keys)


def pkg_config_path():
    for folder, _, names in os.walk(PREFIX):
        if "pitmaster.pc" in names:
            return folder
    raise AssertionError("no pitmaster.pc was installed")


class New(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=FOLDER)
        self.addCleanup(shutil.rmtree, self.dir, True)

    def new(self, name):
        out = pit("new", name, "--dir", self.dir)
        root = os.path.join(self.dir, name)
        self.assertIn(f"cd {root}", out)
        return root

    def test_nothing_is_left_to_fill_in(self):
        root = self.new("grill")
        names = sorted(os.listdir(root))
        self.assertEqual(names, [".gitignore", "CMakeLists.txt", "Makefile",
                                 "README.md", "app.c", "test_app.c"])
        for name in names:
            with open(os.path.join(root, name), encoding="utf-8") as file:
                self.assertNotIn("@NAME@", file.read(), name)

    def test_builds_tests_and_runs(self):
        """By find_package(); then served and worked on by the programs."""
        root = self.new("grill")
        build = os.path.join(root, "build")
        run("cmake", "-S", root, "-B", build, "-DCMAKE_C_FLAGS=-Werror",
            f"-DCMAKE_PREFIX_PATH={PREFIX}")
        run("cmake", "--build", build)
        out = run("ctest", "--test-dir", build, "--output-on-failure",
                  "--no-tests=error")
        self.assertIn("100% tests passed", out)
        self.serve(os.path.join(build, "grill.so"))

    def serve(self, app):
        with pitharness.Redis(aof="no") as redis:
            web = pitharness.Web(redis.url, self.dir, app=app, ready="/readyz")
            self.addCleanup(web.close)
            worker = pitharness.Worker(redis.url, self.dir, app=app, slots=1)
            self.addCleanup(worker.close)
            worker.wait_for_line("ready: worker")
            answer = web.http.get("/?name=Ada")
            self.assertEqual((answer.status, answer.text()),
                             (200, "Hello, Ada!\n"))
            answer = web.http.post("/count", {"text": "low and slow"})
            self.assertEqual(answer.status, 202, answer)
            done = web.http.get(answer.json()["url"] + "?wait=10").json()
            self.assertEqual(done["result"], {"words": 3}, done)
            answer = web.http.post("/count", {"txt": 1})
            self.assertEqual(answer.status, 400, answer)
            out = pit("schedules", env={"PIT_REDIS": redis.url})
            self.assertIn("grill.nightly", out)
            for program in (worker, web):
                program.terminate()
                program.assert_exit(0, 20)

    def test_builds_by_pkg_config(self):
        root = self.new("pit_stop2")
        env = {"PKG_CONFIG_PATH": pkg_config_path(), "CFLAGS": "-Werror"}
        run("make", "-C", root, env=env)
        self.assertTrue(os.path.exists(os.path.join(root,
                                                    "build/pit_stop2.so")))
        self.assertIn("all passed", run("make", "-C", root, "test", env=env))

    def test_builds_by_make_as_its_readme_says(self):
        root = self.new("grill")
        run("make", "-C", root, f"PKG_CONFIG_PATH={pkg_config_path()}")
        self.assertIn("all passed",
                      run("make", "-C", root, "test",
                          f"PKG_CONFIG_PATH={pkg_config_path()}"))

    def test_a_frame_does_not_jump_over_the_guard(self):
        """Twice the stack in one frame, compiled as pkg-config and the CMake
        package say."""
        source = os.path.join(self.dir, "greedy.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(GREEDY_APP)
        with open(os.path.join(self.dir, "CMakeLists.txt"), "w",
                  encoding="utf-8") as file:
            file.write("cmake_minimum_required(VERSION 3.25)\n"
                       "project(greedy LANGUAGES C)\n"
                       "find_package(pitmaster REQUIRED)\n"
                       "pitmaster_add_app(greedy greedy.c)\n")
        made = os.path.join(self.dir, "made")
        run("cmake", "-S", self.dir, "-B", made,
            f"-DCMAKE_PREFIX_PATH={PREFIX}")
        run("cmake", "--build", made)
        env = {"PKG_CONFIG_PATH": pkg_config_path()}
        flags = run("pkg-config", "--cflags", "pitmaster", env=env).split()
        app = os.path.join(self.dir, "greedy.so")
        run("cc", "-shared", "-fPIC", source, "-o", app, *flags)
        for path in (app, os.path.join(made, "greedy.so")):
            with pitharness.Redis(aof="no") as redis:
                web = pitharness.Web(redis.url, self.dir, app=path)
                self.addCleanup(web.close)
                with self.assertRaises(Exception):
                    web.http.get("/greedy")
                web.wait_for_line("view/coroutine GET /greedy overflowed its "
                                  "stack of 131072 bytes")

    def refused(self, table, *words):
        """What pit-web says of an application with that table: one line."""
        source = os.path.join(self.dir, "bad.c")
        app = os.path.join(self.dir, "bad.so")
        with open(source, "w", encoding="utf-8") as file:
            file.write(BAD_APP % table)
        env = {"PKG_CONFIG_PATH": pkg_config_path()}
        flags = run("pkg-config", "--cflags", "pitmaster", env=env).split()
        run("cc", "-shared", "-fPIC", "-w", source, "-o", app, *flags)
        for program in ("pit-web", "pit"):
            argv = ([program, "routes"] if program == "pit" else
                    [program, "--redis", "unix:///nowhere.sock",
                     "--listen", f"unix:{self.dir}/socket"])
            if program == "pit" and "Pitmaster's own" in words:
                continue  # what pit-web itself answers is known there
            argv[0] = os.path.join(PREFIX, "bin", program)
            done = subprocess.run(argv + ["--app", app], check=False,
                                  capture_output=True, text=True, timeout=20)
            self.assertNotEqual(done.returncode, 0, table)
            said = [line for line in done.stderr.splitlines()
                    if " warn " not in line]
            self.assertEqual(len(said), 1, done.stderr)
            for word in words:
                self.assertIn(word, said[0])

    def test_a_mistake_in_the_table_is_one_line(self):
        views = ".views = (const struct pit_view[]){%s, {0}}"
        tasks = ('.tasks = (const struct pit_task[]){{"t", task}, %s{0}}, '
                 ".schedules = (const struct pit_schedule[]){%s {0}}")
        self.refused(views % '{PIT_GET, "/a", view}, {PIT_GET, "/a", view}',
                     "/a", "twice")
        self.refused(views % '{PIT_GET, "/v1/jobs", view}', "/v1/jobs",
                     "Pitmaster's own")
        self.refused(views % '{PIT_GET, "/{id:integer}", view}',
                     "/{id:integer}", "must look like")
        self.refused(views % '{PIT_GET, "/a"}', "/a", "has no function")
        self.refused(tasks % ('{"t", task},', ""), "task t", "twice")
        self.refused(tasks % ('{"u", task, .queue = "a b"},', ""), "u: ",
                     "queue", "a b")
        self.refused(tasks % ("", '{"n", "0 25 * * *", "UTC", "t"},'),
                     "schedule n", "25 is not within 0-23")
        self.refused(tasks % ("", '{"n", "0 3 * * *", "Berlin", "t"},'),
                     "schedule n", "Berlin")
        self.refused(tasks % ("", '{"n", "0 3 * * *", "UTC", "u"},'),
                     "schedule n", 'no task "u"')
        self.refused(".abi = 1", "built for ABI 1", "compile")
        self.refused("}; enum pit_status pit_new(void); PIT_EXPORT enum "
                     "pit_status (*const later)(void) = pit_new; "
                     "const struct pit_app more = {0", "pit_new", "newer")

    def test_refusals(self):
        root = self.new("grill")
        with open(os.path.join(root, "app.c"), "a", encoding="utf-8") as file:
            file.write("/* mine */\n")
        out = pit("new", "grill", "--dir", self.dir, code=1)
        self.assertIn("is there already", out)
        with open(os.path.join(root, "app.c"), encoding="utf-8") as file:
            self.assertIn("/* mine */", file.read())
        for name in ("", "Grill", "1grill", "../grill", "gri ll", "a" * 33,
                     "grill;ls"):
            with self.subTest(name=name):
                out = pit("new", name, "--dir", self.dir, code=2)
                self.assertEqual(len(out.splitlines()), 1)
        for name in ("test", "all", "install", "pit"):
            with self.subTest(name=name):
                out = pit("new", name, "--dir", self.dir, code=2)
                self.assertIn("choose another name", out)
        self.assertEqual(len(pit("new", code=2).splitlines()), 1)
        out = pit("new", "grill", "--dir", os.path.join(self.dir, "no"),
                  code=1)
        self.assertIn("No such file", out)
        self.assertEqual(os.listdir(self.dir), ["grill"])


def main():
    global FOLDER, PREFIX, pitharness
    build = os.path.abspath(sys.argv.pop(1))
    FOLDER = tempfile.mkdtemp(prefix="pit-new-")
    try:
        # Moved after the install: nothing may have the prefix written in it.
        first = os.path.join(FOLDER, "first")
        run("cmake", "--install", build, "--prefix", first)
        PREFIX = os.path.join(FOLDER, "moved")
        os.rename(first, PREFIX)
        # The harness then starts the installed programs.
        os.environ["PIT_BUILD_DIR"] = PREFIX
        sys.path.insert(0, os.path.join(os.path.dirname(HERE), "harness"))
        import pitharness
        unittest.main(argv=sys.argv)
    finally:
        shutil.rmtree(FOLDER, True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
