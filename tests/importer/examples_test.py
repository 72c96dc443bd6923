# SPDX-License-Identifier: MIT
"""The two examples of deploy/examples/importer: the Python module, and a C program that embeds Python."""

import os
import subprocess
import sys
import tempfile
import unittest
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, "deploy", "examples")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


class Examples(unittest.TestCase):
    def test_python_module(self):
        done = run(sys.executable, os.path.join(EXAMPLES, "importer", "use_importer.py"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "/game/arena/__init__.py has 4 walls: #..# ['__init__.py', 'map.txt', 'walls.py']\n"
                                      "This ZIP is cut off: its end is missing. Please upload it again.\n")

    def test_uncaught_exceptions_show_their_lines(self):
        script = ("import io, sys, zipfile, paddock_importer\nstream = io.BytesIO()\n"
                  "with zipfile.ZipFile(stream, 'w') as archive:\n    archive.writestr('m.py', 'def f():\\n    1 / 0  # here\\n')\n"
                  "    for name in 'ast', 'traceback': archive.writestr(name + '.py', 'raise SystemExit')\n"
                  "paddock_importer.mount(stream.getvalue(), '/m')\nsys.path.insert(0, '/m')\nimport m\nm.f()\n")
        done = run(sys.executable, "-c", script)
        self.assertEqual(done.returncode, 1)
        self.assertIn('  File "/m/m.py", line 2, in f\n    1 / 0  # here\n    ~~^~~\n', done.stderr)

    def test_embedding(self):
        embed = os.environ["PADDOCK_EMBED"]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "robot.zip")
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("robot.py", "import arm\nprint(__name__, __file__, arm.size, open('/robot/a.txt').read())\n")
                archive.writestr("arm.py", "size = 3\n")
                archive.writestr("a.txt", "text")
            done = run(embed, path)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "__main__ /robot/robot.py 3 text\n", ""))
            with open(path, "wb") as file:
                file.write(b"")
            done = run(embed, path)
            self.assertEqual((done.returncode, done.stderr), (1, "The ZIP is empty: it has no bytes at all.\n"))
            self.assertEqual(run(embed).returncode, 2)


if __name__ == "__main__":
    unittest.main()
