# SPDX-License-Identifier: MIT
"""10,000 times mounted, imported, failed and unmounted: no reference, no block and no byte is left behind. Run by Debian's
debug build of Python, which counts references, with a paddock_importer that was compiled for it."""

import ctypes
import gc
import importlib
import importlib.metadata
import importlib.resources
import io
import linecache
import os
import sys
import unittest
import zipfile

import paddock_importer

CYCLES = 10000
ROUND = 1000  # a leak of one reference in each cycle is a thousand more after each round
ROOT = "/leak"

FILES = {
    "robot.py": "import arm, pkg.inner, space.one\nfrom pkg import *\n",
    "arm.py": "class Arm:\n    def lift(self):\n        return self\n",
    "pkg/__init__.py": "__all__ = ['inner']\n",
    "pkg/inner.py": "from . import other\n",
    "pkg/other.py": "n = 1\n",
    "pkg/data.txt": "data\r\n",
    "space/one.py": "n = 1\n",
    "syntax.py": "def f(:\n",
    "tabs.py": "if 1:\n\tx = 1\n        y = 2\n",
    "nul.py": "x = 1\0\n",
    "cookie.py": "# coding: klingon\n",
    "raises.py": "import arm\n1 / 0\n",
    "half/__init__.py": "from . import bad\n",
    "half/bad.py": "import nothing_of_this_name\n",
    "only_compiled.pyc": "",
    "damaged.py": "unique = 'damage me'\n",
    "thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
}
TOPS = {name.partition("/")[0].removesuffix(".py") for name in FILES}
FAILING = ("syntax", "tabs", "nul", "cookie", "raises", "half", "only_compiled", "damaged", "pkg.nothing", "nothing", "arm.x")


def make_program():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    return stream.getvalue().replace(b"damage me", b"damaged!!")


def read_archives():
    """The corpus of the unit tests: most of it is refused."""
    folder = os.environ["PADDOCK_ARCHIVES"]
    archives = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            archives.append(file.read())
    return [data for data in archives if len(data) < 20000]


def import_all():
    import robot  # noqa: F401
    importlib.reload(sys.modules["arm"])
    for name in FAILING:
        try:
            importlib.import_module(name)
        except (ImportError, SyntaxError, ArithmeticError, ValueError):
            pass
        else:
            raise AssertionError(name)


def read_all(files):
    package = sys.modules["pkg"]
    assert importlib.resources.files(package).joinpath("data.txt").read_bytes() == b"data\r\n"
    with importlib.resources.as_file(importlib.resources.files(package) / "data.txt") as path:
        assert str(path) == ROOT + "/pkg/data.txt"
    assert package.__loader__.get_source("pkg") and package.__loader__.get_code("pkg")
    assert linecache.getlines(ROOT + "/arm.py")
    assert importlib.metadata.version("thing") == "1.0"
    if files:
        with open(ROOT + "/pkg/data.txt") as file:
            assert file.read() == "data\n"
        assert os.stat(ROOT + "/pkg").st_size == 0 and "arm.py" in os.listdir(ROOT)
        with os.scandir(ROOT) as entries:
            assert all(entry.stat() for entry in entries)
        for path, mode in (("nothing", "r"), ("arm.py", "w"), ("pkg", "r"), ("damaged.py", "r")):
            try:
                open(f"{ROOT}/{path}", mode)
            except (OSError, ImportError):
                pass
            else:
                raise AssertionError(path)


def forget():
    for name in list(sys.modules):
        if name.partition(".")[0] in TOPS:
            del sys.modules[name]
    sys.path_importer_cache.pop(ROOT, None)
    importlib.invalidate_caches()
    linecache.clearcache()


class Leak(unittest.TestCase):
    def setUp(self):
        self.program, self.archives = make_program(), read_archives()
        self.assertGreater(len(self.archives), 30)
        sys.path.insert(0, ROOT)
        self.addCleanup(sys.path.remove, ROOT)
        self.refused = 0

    def cycle(self, number):
        files = number % 2 == 0
        paddock_importer.mount(self.program, ROOT, files=files)
        import_all()
        read_all(files)
        try:
            paddock_importer.mount(self.archives[number % len(self.archives)], ROOT, files=files)
        except ImportError:
            self.refused += 1
        paddock_importer.unmount(ROOT)
        try:
            paddock_importer.unmount(ROOT)
        except ValueError:
            pass
        forget()

    def figures(self):
        """References, Python's blocks, and the bytes that are taken from malloc."""
        gc.collect()
        return sys.gettotalrefcount(), sys.getallocatedblocks(), mallinfo2().uordblks

    def test_cycles(self):
        for number in range(ROUND):
            self.cycle(number)
        seen = [self.figures()]
        while len(seen) <= CYCLES // ROUND:
            for number in range(ROUND):
                self.cycle(number)
            seen.append(self.figures())
        self.assertGreater(self.refused, CYCLES // 2)
        # Python's own tables grow by steps, the last of them after some thousand cycles.
        for what, values in zip(("references", "blocks", "bytes"), zip(*seen)):
            self.assertLess(values[-1] - values[2], ROUND, f"{what}: {values}")


class Mallinfo2(ctypes.Structure):
    """mallinfo(3)"""
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                                                     "uordblks", "fordblks", "keepcost")]


mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2

if __name__ == "__main__":
    unittest.main()
