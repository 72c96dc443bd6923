# SPDX-License-Identifier: MIT
"""`cmake --install` puts things where a Debian user looks, and they work from there."""

import os
import re
import subprocess
import tempfile
import unittest

import pool

MULTIARCH = "x86_64-linux-gnu"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.dirname(pool.BIN)
INSTALLED = ["bin/paddock", "sbin/paddock-supervisor", "libexec/paddock/paddock-zygote",
             "libexec/paddock/paddock-relay", "share/man/man1/paddock.1", "share/man/man5/paddock.conf.5",
             "share/man/man8/paddock-supervisor.8",
             "share/man/man8/paddock-library.8", "share/man/man1/paddock-loadtest.1", "bin/paddock-loadtest", "share/paddock/clients/paddock.py", "sbin/paddock-library", "libexec/paddock/python-library.zip",
             "lib/python3.11/dist-packages/paddock_importer.cpython-311-x86_64-linux-gnu.so",
             "lib/systemd/system/paddock.service", "lib/systemd/system/paddock-redis.service", "lib/sysusers.d/paddock.conf",
             "lib/tmpfiles.d/paddock.conf", "etc/paddock/redis.conf", "share/doc/paddock/README.md", "share/doc/paddock/PROTOCOL.md",
             "share/doc/paddock/examples/robot2010/robot.py", "etc/paddock/paddock.conf",
             *(f"share/paddock/clients/{name}" for name in ("paddock.py", "paddock.js", "paddock.php", "package.json", "follow.sh")),
             *(f"share/doc/paddock/examples/gateway/{name}" for name in ("server.js", "index.html", "follow.js", "paddock.js", "recording.js"))]


class Install(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.chmod(self.folder, 0o755)
        self.warned = self.install("--prefix", self.folder)

    def install(self, *words, **environment):
        """What it complains of."""
        return subprocess.run(["cmake", "--install", BUILD, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **environment}).stderr

    def test_another_prefix(self):
        """The units would not find their files: it says so, and not of the prefix that the build was configured with."""
        self.assertIn(f"-DCMAKE_INSTALL_PREFIX={self.folder}", self.warned)
        self.assertEqual(self.install(DESTDIR=os.path.join(self.folder, "staged")), "")

    def test_a_configuration_that_is_there(self):
        """An installation over another one keeps what was changed, and puts what is new beside it."""
        changed = {"paddock.conf": "[pool]\nworkers = 3\n", "redis.conf": "maxmemory 1gb\n"}
        for name, text in changed.items():
            path = os.path.join(self.folder, "etc", "paddock", name)
            with open(path, encoding="utf-8") as file:
                sample = file.read()
            self.install("--prefix", self.folder)
            self.assertFalse(os.path.exists(path + ".new"), "it is the same")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path, 0o640)
            self.assertIn(f"kept: {path}; what is new is in {name}.new", self.install("--prefix", self.folder))
            with open(path, encoding="utf-8") as file, open(path + ".new", encoding="utf-8") as new:
                self.assertEqual((file.read(), os.fstat(file.fileno()).st_mode & 0o777, new.read()), (text, 0o640, sample))

    def test_files_that_the_units_name(self):
        """Below a prefix of which CMake has another folder for them, too, they are where they are installed."""
        prefix, build = "/opt/paddock", os.path.join(self.folder, "build")
        subprocess.run(["cmake", "-S", ROOT, "-B", build, f"-DCMAKE_INSTALL_PREFIX={prefix}"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        named = ""
        for name in "paddock.service", "paddock-redis.service", "paddock.tmpfiles", "redis.conf":
            with open(os.path.join(build, "deploy", "systemd", name)) as file:
                named += file.read()
        self.assertEqual(set(re.findall(r"(\S*/)paddock/(?:paddock|redis)\.conf", named)), {prefix + "/etc/"})

    @unittest.skipIf(pool.SANITIZED, "a program without sanitizers cannot be linked with it")
    def test_the_importer_in_a_c_program(self):
        """The example of the documentation, compiled against what is installed and nothing else."""
        example = os.path.join(self.folder, "share", "doc", "paddock", "examples", "importer", "embed.c")
        program, robot = os.path.join(self.folder, "embed"), os.path.join(self.folder, "robot.zip")
        path = os.path.join(self.folder, "lib", MULTIARCH, "pkgconfig")
        path = path if os.path.exists(path) else os.path.join(self.folder, "lib", "pkgconfig")
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "paddock-importer"], check=True, capture_output=True,
                               text=True, env={**os.environ, "PKG_CONFIG_PATH": path}).stdout.split()
        subprocess.run(["gcc", "-o", program, example, *flags], check=True)
        with open(robot, "wb") as file:
            file.write(pool.make_zip({"robot.py": "import arm\nprint(arm.n, open('/robot/level.txt').read())\n",
                                      "arm.py": "n = 1\n", "level.txt": "#..#"}))
        run = subprocess.run([program, robot], capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "1 #..#\n", ""))

    def test_installed_tree_works(self):
        folder = self.folder
        missing = [name for name in INSTALLED if not os.path.exists(os.path.join(folder, name))]
        self.assertEqual(missing, [])
        paddock = os.path.join(folder, "bin", "paddock")
        example = os.path.join(folder, "share", "doc", "paddock", "examples", "hello.py")
        run = subprocess.run([paddock, "run", example], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run)
        self.assertIn("Hello", run.stdout)
        library = subprocess.run([os.path.join(folder, "sbin", "paddock-library")], capture_output=True, text=True,
                                 env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        self.assertIn(os.path.join(folder, "libexec/paddock/python-library.zip"), os.path.realpath(library.stdout.split(":")[0]),
                      library.stderr)
        for words in (["check"], ["check", "--policy"],
                      ["check", "--config", os.path.join(folder, "etc", "paddock", "paddock.conf")]):
            self.assertEqual(subprocess.run([paddock, *words], capture_output=True).returncode, 0, words)


if __name__ == "__main__":
    unittest.main()
