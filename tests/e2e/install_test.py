# SPDX-License-Identifier: MIT
"""`cmake --install` puts things where a Debian user looks, and they work from there."""

import os
import subprocess
import tempfile
import unittest

import pool

BUILD = os.path.dirname(pool.BIN)
INSTALLED = ["bin/paddock", "sbin/paddock-supervisor", "libexec/paddock/paddock-zygote",
             "libexec/paddock/paddock-relay", "share/man/man1/paddock.1", "share/man/man8/paddock-supervisor.8",
             "share/man/man8/paddock-library.8", "sbin/paddock-library", "libexec/paddock/python-library.zip",
             "lib/python3.11/dist-packages/paddock_importer.cpython-311-x86_64-linux-gnu.so",
             "share/doc/paddock/README.md", "share/doc/paddock/PROTOCOL.md",
             "share/doc/paddock/examples/robot2010/robot.py", "etc/paddock/paddock.conf"]


class Install(unittest.TestCase):
    def test_installed_tree_works(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            subprocess.run(["cmake", "--install", BUILD, "--prefix", folder], check=True, stdout=subprocess.DEVNULL)
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
