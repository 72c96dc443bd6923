# SPDX-License-Identifier: MIT
"""A pool whose configuration is a file that can be written anew, and read again while jobs run."""

import os
import signal
import tempfile
import unittest

import pool


class Configured(unittest.TestCase):
    FIRST = "[pool]\nworkers = 2\n"

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        os.chmod(self.folder, 0o755)
        self.file = os.path.join(self.folder, "paddock.conf")
        self.write(self.FIRST)
        self.pool = self.enterContext(pool.Pool(config=self.file, workers=None, **self.options()))
        self.client = self.pool.client

    def options(self):
        """What the pool is given beside the file."""
        return {}

    def write(self, text, name="paddock.conf"):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def reload(self, text, *sentences):
        """Writes it, and waits until all of that has been logged since."""
        before = len(self.pool.read_log())
        self.write(text)
        self.pool.process.send_signal(signal.SIGHUP)
        pool.wait_until(lambda: all(s in self.pool.read_log()[before:] for s in sentences), sentences)

    def count(self, number):
        pool.wait_until(lambda: len(self.pool.relays()) == number, f"{number} workers")
