# SPDX-License-Identifier: MIT
"""What the tests of the `paddock` command share: files to run, the command itself, and a look for what it left behind."""

import os
import subprocess
import tempfile
import unittest

import pool

PADDOCK = pool.program("paddock")


class Command(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.temporary = tempfile.TemporaryDirectory()
        os.chmod(self.temporary.name, 0o1777)
        os.environ["TMPDIR"] = self.temporary.name

    def tearDown(self):
        del os.environ["TMPDIR"]
        left = os.listdir(self.temporary.name)
        self.temporary.cleanup()
        self.folder.cleanup()
        self.assertEqual(left, [])

    def path(self, name, content=None):
        path = os.path.join(self.folder.name, name)
        if content is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def paddock(self, *words, stdin=subprocess.DEVNULL, **options):
        if isinstance(stdin, str):
            options["input"] = stdin
        else:
            options["stdin"] = stdin
        return subprocess.run([PADDOCK, *words], capture_output=True, text=True, timeout=pool.PATIENCE, **options)

    def as_nobody(self, *words):
        """The command as an ordinary user, also where the tests are root's."""
        words = [PADDOCK, *words]
        if os.geteuid() == 0:
            other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
            if subprocess.run([*other, "test", "-x", PADDOCK], check=False).returncode != 0:
                self.skipTest("the build cannot be reached by another user")
            words = [*other, *words]
        return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)

    def check(self, done, code, out=None, err=None):
        self.assertEqual(done.returncode, code, done)
        if out is not None:
            self.assertEqual(done.stdout, out)
        if err is not None:
            self.assertIn(err, done.stderr)
