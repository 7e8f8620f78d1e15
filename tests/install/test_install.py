#!/usr/bin/python3
"""cmake --install leaves what an application's author needs.

    test_install.py BUILD_DIR

Installs into a temporary folder, builds tests/install/app against it once with
pkg-config and once with find_package(), and has the installed programs load it.
"""
import ctypes
import glob
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "harness"))
import pitharness  # noqa: E402
import pitlua  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(HERE)), "examples")
BUILD = ""


def run(*argv, **keys):
    done = subprocess.run(argv, capture_output=True, text=True, check=False,
                          timeout=120, **keys)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}:\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        # Moved after the install: nothing may have the prefix written into it.
        first = os.path.join(cls.folder.name, "first")
        run("cmake", "--install", BUILD, "--prefix", first)
        cls.prefix = os.path.join(cls.folder.name, "moved")
        os.rename(first, cls.prefix)
        found = glob.glob(cls.prefix + "/lib/**/pitmaster.pc", recursive=True)
        cls.pc_dir = os.path.dirname(found[0]) if found else ""

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def pkg_config(self, *what):
        env = dict(os.environ, PKG_CONFIG_PATH=self.pc_dir)
        return run("pkg-config", *what, "pitmaster", env=env).split()

    def by_pkg_config(self):
        path = os.path.join(self.folder.name, "by-pkg-config.so")
        run("cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror",
            *self.pkg_config("--cflags"), os.path.join(HERE, "app/tiny.c"),
            "-o", path, *self.pkg_config("--libs"))
        return path

    def by_find_package(self):
        build = os.path.join(self.folder.name, "by-find-package")
        run("cmake", "-S", os.path.join(HERE, "app"), "-B", build,
            f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DPIT_EXAMPLES={EXAMPLES}")
        run("cmake", "--build", build)
        return os.path.join(build, "tiny.so")

    def expect_app(self, path):
        # Lazily: the pit_ functions are in the programs, not here.
        app = ctypes.CDLL(path, mode=os.RTLD_LAZY)
        abi = ctypes.c_uint32.in_dll(app, "pit_app").value
        self.assertGreaterEqual(abi, 1)

    def test_scripts(self):
        # The texts that the tests run are those that the programs carry.
        folder = os.path.join(self.prefix, "share", "pitmaster", "scripts")
        self.assertEqual(sorted(os.listdir(folder)),
                         [f"{name}.lua" for name in pitlua.names()])
        for name in pitlua.names():
            with open(os.path.join(folder, f"{name}.lua"),
                      encoding="utf-8") as script:
                self.assertEqual(script.read(), pitlua.text(name))
            self.assertNotIn("-- include:", pitlua.text(name))

    def test_programs(self):
        for name in ("pit-web", "pit-worker", "pit"):
            if not os.path.exists(os.path.join(BUILD, "bin", name)):
                self.skipTest(f"{name} is not built")
            out = run(os.path.join(self.prefix, "bin", name), "--version")
            self.assertIn(self.pkg_config("--modversion")[0], out)

    def test_headers_are_the_public_ones(self):
        names = os.listdir(os.path.join(self.prefix, "include"))
        self.assertEqual(names, ["pit"])
        self.assertIn("app.h",
                      os.listdir(os.path.join(self.prefix, "include/pit")))

    def test_each_header_compiles_alone(self):
        for path in glob.glob(self.prefix + "/include/pit/*.h"):
            run("cc", "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                "-fsyntax-only", *self.pkg_config("--cflags"), "-include",
                path, "-x", "c", os.devnull)

    def test_application_by_pkg_config(self):
        self.expect_app(self.by_pkg_config())

    def test_tests_by_pkg_config(self):
        path = os.path.join(self.folder.name, "tiny-test")
        env = dict(os.environ, PKG_CONFIG_PATH=self.pc_dir)
        flags = run("pkg-config", "--cflags", "--libs", "pitmaster-test",
                    env=env).split()
        run("cc", "-Wall", "-Wextra", "-Werror",
            os.path.join(HERE, "app/tiny.c"),
            os.path.join(HERE, "app/tiny_test.c"), "-o", path, *flags)
        run(path)

    def test_tests_by_find_package(self):
        build = os.path.dirname(self.by_find_package())
        run("ctest", "--test-dir", build, "--no-tests=error",
            "--output-on-failure")

    def test_client_by_pkg_config(self):
        path = os.path.join(self.folder.name, "client")
        env = dict(os.environ, PKG_CONFIG_PATH=self.pc_dir)
        flags = run("pkg-config", "--cflags", "--libs", "pitmaster-client",
                    env=env).split()
        run("cc", "-Wall", "-Wextra", "-Werror",
            os.path.join(EXAMPLES, "client/client.c"), "-o", path, *flags)
        self.expect_client(path)

    def test_client_by_find_package(self):
        build = os.path.dirname(self.by_find_package())
        self.expect_client(os.path.join(build, "client"))

    def expect_client(self, path):
        """It enqueues for a worker of the installed tree, and waits."""
        redis = pitharness.Redis()
        self.addCleanup(redis.close)
        worker = pitharness.Process(
            [os.path.join(self.prefix, "bin", "pit-worker"), "--redis",
             redis.url, "--slots", "1", "--app", self.by_pkg_config()],
            os.path.join(self.folder.name, "worker.log"), dict(os.environ))
        self.addCleanup(worker.close)
        look = redis.client()
        self.addCleanup(look.close)
        pitharness.wait_until(lambda: look.hexists("pit:tasks", "tiny.double"))
        env = dict(os.environ, PIT_REDIS=redis.url)
        ask = [path, "tiny.double", '{"n": 21}']
        self.assertRegex(run(*ask, env=env),
                         r'^default\.\w+ succeeded: {"twice":42}\n$')
        refused = subprocess.run([path, "no.such"], env=env, timeout=60,
                                 capture_output=True, text=True, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("no.such", refused.stderr)

    def test_application_by_find_package(self):
        self.expect_app(self.by_find_package())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BUILD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
