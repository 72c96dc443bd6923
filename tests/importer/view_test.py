# SPDX-License-Identifier: MIT
"""The file view under programs that mean no good: paths that run code as they are looked at, classes that lie about what
they hold, threads that mount while others read. Nothing of it may crash, and nothing may reach the disk."""

import copy
import errno
import gc
import io
import os
import pathlib
import pickle
import shutil
import sys
import tempfile
import threading
import time
import unittest
import warnings
import zipfile

import paddock_importer
from parity_test import make_zip

FOLDER = tempfile.mkdtemp(prefix="paddock-view-")
unittest.addModuleCleanup(shutil.rmtree, FOLDER)
ROOT = FOLDER + "/missing/root"  # not even its folder is there
TREE = {"robot.py": "", "levels/1.txt": "#..#\n", "levels/2.txt": "", "other/3.txt": "three"}
ARCHIVE = make_zip(TREE)


class View(unittest.TestCase):
    def setUp(self):
        self.here = FOLDER + "/here"
        os.mkdir(self.here)
        self.addCleanup(shutil.rmtree, self.here)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.here)
        self.mount()
        self.addCleanup(self.unmount)

    def mount(self):
        paddock_importer.mount(ARCHIVE, ROOT, files=True)

    def unmount(self):
        try:
            paddock_importer.unmount(ROOT)
        except ValueError:
            pass

    def error(self, function, *args, **keywords):
        """The kind, errno and names of what is raised."""
        with self.assertRaises(Exception) as caught:
            function(*args, **keywords)
        error = caught.exception
        if isinstance(error, OSError):
            return type(error).__name__, errno.errorcode[error.errno], error.filename
        return type(error).__name__, str(error)

    def assert_disk_is_untouched(self):
        self.assertEqual((os.listdir(FOLDER), os.listdir(self.here)), (["here"], []))


class Unmounted:
    """What a path stands for, and takes away as it says so."""

    def __init__(self, path, at):
        self.path, self.at, self.asked = path, at, 0

    def __fspath__(self):
        self.asked += 1
        if self.asked == self.at:
            paddock_importer.unmount(ROOT)
            gc.collect()
        return self.path


class Mounting(View):
    CALLS = (os.listdir, os.scandir, os.stat, os.lstat, os.remove, os.readlink, os.listxattr, open, os.chdir,
             lambda path: os.access(path, os.R_OK), lambda path: os.rename(path, path), lambda path: os.symlink(path, path),
             lambda path: open(path, "w"), lambda path: open(path, "rb", 0), lambda path: os.open(path, os.O_RDONLY),
             os.path.isdir, lambda path: list(os.walk(path)))

    def test_path_that_unmounts(self):
        for path in ROOT, ROOT + "/levels", ROOT + "/levels/1.txt", (ROOT + "/levels").encode():
            for at in 1, 2, 3:
                for call in self.CALLS:
                    self.mount()
                    try:
                        call(Unmounted(path, at))
                    except (OSError, TypeError):
                        pass
                    self.unmount()
                    os.chdir(self.here)
        self.mount()
        self.assert_disk_is_untouched()

    def test_a_path_is_asked_once(self):
        for call in self.CALLS[:7] + self.CALLS[9:10]:
            path = Unmounted(ROOT + "/levels", 9)
            try:
                call(path)
            except OSError:
                pass
            self.assertEqual(path.asked, 1, call)
            path = Unmounted(self.here + "/nothing", 9)
            try:
                call(path)
            except OSError:
                pass
            self.assertEqual(path.asked, 1, call)

    def test_warning_that_unmounts(self):
        def unmount(*args, **keywords):
            self.unmount()
            gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = unmount
            with open(ROOT + "/levels/1.txt", "rb", buffering=1) as file:
                self.assertEqual(file.read(), b"#..#\n")
            self.mount()
            self.assertEqual(self.error(os.listdir, bytearray(ROOT.encode() + b"/levels")),
                             ("FileNotFoundError", "ENOENT", bytearray(ROOT.encode() + b"/levels")))

    def test_integer_that_unmounts(self):
        class Number:
            def __index__(number):
                self.unmount()
                gc.collect()
                return 16
        with open(ROOT + "/levels/1.txt", "rb", Number()) as file:
            self.assertEqual(file.read(), b"#..#\n")

    def test_loader_outlives_its_mount(self):
        sys.path.insert(0, ROOT)
        self.addCleanup(sys.path.remove, ROOT)
        sys.path_importer_cache.pop(ROOT, None)
        import robot
        del sys.modules["robot"]
        loader = robot.__loader__
        self.assertEqual(loader.get_data(Unmounted(ROOT + "/levels/1.txt", 1)), b"#..#\n")
        self.assertEqual(loader.get_data(pathlib.Path(ROOT, "other/3.txt")), b"three")
        self.assertEqual(self.error(loader.get_data, pathlib.Path(ROOT, "x")), ("FileNotFoundError", "ENOENT", ROOT + "/x"))

    def test_threads(self):
        """Each reads a whole archive, whichever it is, or none."""
        ends = threading.Event()
        wrong = []

        def read(call):
            path = pathlib.Path(ROOT)
            while not ends.is_set():
                try:
                    call(path)
                except FileNotFoundError:
                    pass
                except Exception as error:
                    wrong.append(error)
        calls = (lambda path: sorted(os.listdir(path)), lambda path: [entry.stat() for entry in os.scandir(path)],
                 lambda path: (path / "levels/1.txt").read_bytes(), lambda path: list(path.rglob("*")))
        threads = [threading.Thread(target=read, args=(call,)) for call in calls]
        interval = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, interval)
        sys.setswitchinterval(1e-6)
        for thread in threads:
            thread.start()
        for _ in range(1000):
            self.mount()
            self.unmount()
            self.mount()
        ends.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


class Subclasses(View):
    def test_sizes_that_lie(self):
        class Bytes(bytes):
            __len__ = lambda self: 1 << 40
            __getitem__ = __iter__ = None

        class Text(str):
            __len__ = lambda self: 1 << 40
            __getitem__ = __iter__ = encode = __fspath__ = None
        for path in Text(ROOT + "/levels"), Bytes(ROOT.encode() + b"/levels"):
            with os.scandir(path) as entries:
                names = sorted(entry.path for entry in entries)
            plain = (bytes if isinstance(path, bytes) else str)(path)
            self.assertEqual(names, [os.path.join(plain, name) for name in sorted(os.listdir(plain))])
            self.assertEqual(sorted(os.listdir(path)), sorted(os.listdir(plain)))
            os.chdir(path)
            self.assertEqual(os.getcwd(), ROOT + "/levels")
            self.assertEqual(self.error(open, path)[:2], ("IsADirectoryError", "EISDIR"))
            self.assertEqual(self.error(os.mkdir, Text("..") if path == plain else Bytes(b".."))[1], "EEXIST")

    def test_numbers_that_are_paths(self):
        class Both(int):
            def __fspath__(self):
                return ROOT
        self.assertEqual(self.error(os.listdir, Both(1 << 20))[1], "EBADF")
        self.assertEqual(self.error(os.mkdir, Both(1 << 20))[1], "EEXIST")


class WorkingDirectory(View):
    def setUp(self):
        super().setUp()
        os.chdir(ROOT)

    def test_no_relative_path_reaches_the_disk(self):
        for path in "\udcffx.txt", b"\xffx.txt", "x" * 300, "x/" * 2040, "x" * 5000, "x\0", b"x\0", "\ud800", "", "./", "x/":
            for call in (os.mkdir, os.mkfifo, os.mknod, os.rmdir, os.remove, os.chdir, os.listdir, lambda path: open(path, "w"),
                         lambda path: open(path, "x"), lambda path: os.open(path, os.O_CREAT | os.O_WRONLY),
                         lambda path: os.symlink("a", path), lambda path: os.rename(self.here, path),
                         lambda path: os.mkdir(path, dir_fd=-100), lambda path: os.link(self.here, path)):
                with self.subTest(path=path[:20], call=call):
                    try:
                        call(path)
                    except (OSError, ValueError):
                        pass
                    self.assert_disk_is_untouched()
        for name in os.listdir("."):
            self.assertIn(name, ("robot.py", "levels", "other"))

    def test_errors(self):
        self.assertEqual(self.error(open, "\udcffx.txt", "w"), ("OSError", "EROFS", "\udcffx.txt"))
        self.assertEqual(self.error(open, "x" * 300, "w"), ("OSError", "ENAMETOOLONG", "x" * 300))
        self.assertEqual(self.error(os.mkdir, "x" * 5000), ("OSError", "ENAMETOOLONG", "x" * 5000))
        self.assertEqual(self.error(open, "x\0", "w"), ("ValueError", "embedded null byte"))
        self.assertEqual(self.error(os.mkdir, b"x\0"), ("ValueError", "mkdir: embedded null character in path"))
        self.assertEqual(self.error(open, "\ud800", "w")[0], "UnicodeEncodeError")
        with self.assertWarnsRegex(DeprecationWarning, "mkdir: path should be string, bytes or os.PathLike, not bytearray"):
            self.assertEqual(self.error(os.mkdir, bytearray(b"levels")), ("FileExistsError", "EEXIST", bytearray(b"levels")))
        with self.assertWarnsRegex(DeprecationWarning, "listdir: path should be string, bytes, os.PathLike, integer or None, "
                                                       "not memoryview"):
            self.assertEqual(sorted(os.listdir(memoryview(b"levels"))), [b"1.txt", b"2.txt"])
        self.assertEqual(self.error(open, bytearray(b"x"), "w"),
                         ("TypeError", "expected str, bytes or os.PathLike object, not bytearray"))

    def test_what_lies_outside_is_the_disk(self):
        relative = "../../here"
        self.assertEqual(os.listdir(relative), [])
        self.assertEqual(self.error(open, relative + "/x/y", "w"), ("FileNotFoundError", "ENOENT", relative + "/x/y"))
        self.assertEqual(self.error(os.rename, relative + "/x", pathlib.Path(relative, "y")),
                         ("FileNotFoundError", "ENOENT", relative + "/x"))
        self.assertEqual(self.error(open, relative + "/x/", "w")[1], "EISDIR")
        with self.assertWarns(DeprecationWarning):
            self.assertEqual(self.error(os.stat, bytearray(b"../../here/x"))[2], bytearray(b"../../here/x"))
        with open(relative + "/x", "w") as file:
            file.write("x")
        # A path that cannot be walked to its end is not cut short.
        os.mkdir(self.here + "/empty")
        self.assertEqual(self.error(os.rmdir, relative + "/empty/" + "x" * 300)[1], "ENAMETOOLONG")
        os.symlink("../what/it/says", relative + "/link")
        self.assertEqual(os.readlink(self.here + "/link"), "../what/it/says")
        self.assertEqual(sorted(os.listdir(self.here)), ["empty", "link", "x"])

    def test_relative_to_a_descriptor(self):
        folder = os.open(self.here, os.O_RDONLY)
        try:
            os.mkdir("levels", dir_fd=folder)
            self.assertEqual(os.listdir(self.here), ["levels"])
            self.assertEqual(self.error(os.mkdir, ROOT + "/levels", dir_fd=folder)[1], "EEXIST")
            for leave in os.fchdir, os.chdir:
                os.chdir(ROOT)
                self.assertEqual(self.error(leave, 1 << 20)[1], "EBADF")
                self.assertEqual(os.getcwd(), ROOT)
                leave(folder)
                self.assertEqual(os.getcwd(), self.here)
        finally:
            os.close(folder)

    def test_an_opener_sees_the_path(self):
        os.mkdir(self.here + "/levels")
        seen = []

        def opener(path, flags):
            seen.append(path)
            return os.open(self.here + "/file", flags)
        with open("levels/1.txt", "w", opener=opener) as file:
            file.write("x")
        self.assertEqual((seen, sorted(os.listdir(self.here))), (["levels/1.txt"], ["file", "levels"]))

    def test_unmounted(self):
        """As in a folder that was deleted."""
        self.unmount()
        self.assertEqual(self.error(os.getcwd), ("FileNotFoundError", "ENOENT", None))
        self.assertEqual(self.error(os.getcwdb), ("FileNotFoundError", "ENOENT", None))
        self.assertEqual(self.error(os.listdir), ("FileNotFoundError", "ENOENT", None))
        for call in os.listdir, os.mkdir, os.stat, open, os.remove, lambda path: open(path, "w"):
            self.assertEqual(self.error(call, "levels"), ("FileNotFoundError", "ENOENT", "levels"))
        self.assert_disk_is_untouched()
        self.mount()
        self.assertEqual((os.getcwd(), len(os.listdir())), (ROOT, 3))


class Files(View):
    def test_copies_on_a_disk(self):
        target = self.here + "/levels"
        shutil.copytree(ROOT + "/levels", target)
        shutil.copy2(ROOT + "/other/3.txt", target)
        shutil.copystat(ROOT + "/other", target)
        self.assertEqual(sorted(os.listdir(target)), ["1.txt", "2.txt", "3.txt"])
        self.assertEqual(os.stat(target + "/1.txt").st_mtime, os.stat(ROOT + "/levels/1.txt").st_mtime)
        self.assertEqual(self.error(shutil.move, ROOT + "/other/3.txt", target + "/4.txt"),
                         ("OSError", "EROFS", ROOT + "/other/3.txt"))
        self.assertEqual((os.listxattr(ROOT), self.error(os.getxattr, ROOT, "user.x")), ([], ("OSError", "ENODATA", ROOT)))
        os.chmod(target, 0o700)  # the copies of folders are read-only, too

    def test_packing(self):
        name = shutil.make_archive(self.here + "/packed", "zip", ROOT, "levels")
        with zipfile.ZipFile(name) as archive:
            self.assertEqual(sorted(archive.namelist()), ["levels/", "levels/1.txt", "levels/2.txt"])
        self.assertEqual(time.localtime(os.stat(ROOT + "/levels").st_mtime)[:3], (1980, 1, 1))

    def test_names_across_disks(self):
        for call in os.rename, os.replace, os.link:
            with self.assertRaises(OSError) as caught:
                call(pathlib.Path(ROOT, "robot.py"), pathlib.Path(self.here, "x"))
            error = caught.exception
            self.assertEqual((error.errno, error.filename, error.filename2), (errno.EXDEV, ROOT + "/robot.py", self.here + "/x"))
            self.assertIs(type(error.filename), str)

    def test_functions_are_pickled_by_name(self):
        for function in open, io.open, os.stat, os.listdir, os.scandir, os.getcwd, os.rename:
            self.assertIs(pickle.loads(pickle.dumps(function)), function)
            self.assertIs(copy.deepcopy(function), function)
            self.assertIn(type(function.__self__), (type(os),))
            self.assertEqual(repr(function), f"<built-in function {function.__name__}>")


if __name__ == "__main__":
    unittest.main()
