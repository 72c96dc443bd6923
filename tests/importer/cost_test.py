# SPDX-License-Identifier: MIT
"""What an import may cost: each module is compiled once, and its source is not kept."""

import gc
import io
import linecache
import sys
import tracemalloc
import unittest
import zipfile

import paddock_importer

ROOT = "/cost"
COMMENT = "# " + "x" * 78 + "\n"
COMPILED = []


def make_zip(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stream.getvalue()


def audit(event, args):
    if event == "compile" and str(args[1]).startswith(ROOT):
        COMPILED.append(args[1])


sys.addaudithook(audit)


class Cost(unittest.TestCase):
    def setUp(self):
        sys.path.insert(0, ROOT)
        self.addCleanup(sys.path.remove, ROOT)
        COMPILED.clear()

    def mount(self, files):
        paddock_importer.mount(make_zip(files), ROOT)
        self.addCleanup(paddock_importer.unmount, ROOT)

    def test_compiled_once(self):
        self.mount({"once/__init__.py": "from . import a, b\n", "once/a.py": "from . import b\n", "once/b.py": "import once.a\n",
                    "once/__main__.py": "", "again.py": "import once\n"})
        import again  # noqa: F401
        import once.b  # noqa: F401
        self.assertEqual(sorted(COMPILED), [f"{ROOT}/{name}.py" for name in ("again", "once/__init__", "once/a", "once/b")])

    def test_source_is_not_kept(self):
        """Neither by the loader, nor by the lines that a traceback would show: those are read when they are wanted."""
        self.mount({"large.py": COMMENT * 50000 + "def f():\n    return 1 / 0\n"})
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        import large
        gc.collect()
        kept, most = tracemalloc.get_traced_memory()
        self.assertGreater(most, len(COMMENT) * 50000)
        self.assertLess(kept, 500000)
        self.assertEqual(linecache.getline(large.__file__, 50002), "    return 1 / 0\n")


if __name__ == "__main__":
    unittest.main()
