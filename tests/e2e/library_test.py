# SPDX-License-Identifier: MIT
"""Python's library and the program's files, in a locked sandbox without a file system."""

import base64
import importlib
import os
import platform
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zipfile

import pool
import recording

FILES = {
    "robot.py": "from open_all import show\nshow()\n",
    "open_all.py": """\
import configparser, csv, glob, gzip, io, json, os, pathlib, tokenize, zipfile

def error(action, *args):
    try:
        return action(*args)
    except OSError as e:
        return f"{type(e).__name__} {e.errno} {e.filename}"

def show():
    print(open("levels/1.txt").read().split(), os.getcwd(), sorted(os.listdir("levels")))
    print(open(__file__[:-11] + "levels/1.txt", newline="").readlines(), open("latin.txt", encoding="latin-1").read())
    print([e.name for e in os.scandir("levels") if e.is_file()], os.path.getsize("levels/1.txt"))
    print(sorted(glob.glob("**/*.txt", recursive=True)), sorted(str(p) for p in pathlib.Path("levels").iterdir()))
    print(json.load(open("levels/a.json")), list(csv.reader(io.open("t.csv"))), tokenize.open("robot.py").encoding)
    c = configparser.ConfigParser()
    print(c.read("c.ini"), c["a"]["b"], pathlib.Path(__file__).parent.joinpath("levels", "1.txt").read_text().split())
    print(zipfile.ZipFile("inner.zip").read("x"), error(open, "nope.txt"), error(open, "levels"), error(open, "x", "w"))
    print(error(os.mkdir, "d"), error(os.remove, "t.csv"), error(open, "/etc/passwd"), error(os.listdir, "/etc"))
    print(os.path.exists("/etc/passwd"), os.path.isdir("levels"), os.access("t.csv", os.W_OK))
""",
    "levels/1.txt": "one\r\ntwo\n", "levels/a.json": '{"a": [1]}', "t.csv": "1,2\n", "c.ini": "[a]\nb = c\n",
    "latin.txt": "\xe4".encode("latin-1"), "inner.zip": pool.make_zip({"x": "inside"}),
}
SEEN = """\
['one', 'two'] /robot ['1.txt', 'a.json']
['one\\r\\n', 'two\\n'] \xe4
['1.txt', 'a.json'] 9
['latin.txt', 'levels/1.txt'] ['levels/1.txt', 'levels/a.json']
{'a': [1]} [['1', '2']] utf-8
['c.ini'] c ['one', 'two']
b'inside' FileNotFoundError 2 nope.txt IsADirectoryError 21 levels OSError 30 x
OSError 30 d OSError 30 t.csv FileNotFoundError 2 /etc/passwd FileNotFoundError 2 /etc
False True False
"""

# Modules that no pool preloads, each with something that it does.
UNLOADED = """\
import sys
modules = "tomllib wave xmlrpc.client mailbox sched plistlib shelve cmd sqlite3 email.mime.text".split()
assert not [m for m in modules if m in sys.modules], sys.modules.keys() & set(modules)
compiled = []
sys.addaudithook(lambda event, args: event == "compile" and args[1][:1] == "/" and compiled.append(args))
import importlib
for name in modules:
    module = importlib.import_module(name)
    assert module.__file__.startswith("/usr/lib/python3.11/"), module
print(len(compiled), tomllib.loads("a = 1") if "tomllib" in globals() else sys.modules["tomllib"].loads("a = 1"))
import sqlite3, inspect, traceback
print(sqlite3.connect(":memory:").execute("select 1 + 1").fetchall())
print(inspect.getsource(sys.modules["tomllib"].loads).splitlines()[0])
try:
    sys.modules["tomllib"].loads("a =")
except ValueError:
    print([f.line for f in traceback.extract_tb(sys.exc_info()[2])][1])
import datetime, zoneinfo
for zone in ("Europe/London", "America/New_York"):
    print(datetime.datetime(2026, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo(zone)).isoformat())
print("\u00e9".encode("cp850"), "\u00fc".encode("punycode"))
import importlib.resources, pkgutil, importlib.metadata
print(len([m for m in pkgutil.iter_modules(["/usr/lib/python3.11/json"])]))
"""


# Every name of the standard library is there, or is refused in one sentence at the import itself.
EVERY_NAME = """\
import builtins, importlib, sys, traceback
builtins.print, say = (lambda *words, **more: None), print  # the module `this`
for name in sorted(sys.stdlib_module_names):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as e:
        frames = [f for f in traceback.extract_tb(e.__traceback__) if "importlib" not in f.filename]
        whole = type(e) is ModuleNotFoundError and e.name == name and len(frames) == 1 and e.__context__ is None
        say("refused" if whole and not str(e).startswith("No module named") else "FAILED", name, e)
    except BaseException as e:
        say("FAILED", name, repr(e))
import contextvars, dbm, multiprocessing.pool, multiprocessing.connection, concurrent.futures.process
for name in ("dbm.gnu", "dbm.ndbm"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as e:
        say("refused", name, e)
"""

ASYNCIO = """\
import asyncio, os, signal, threading
from concurrent.futures import ThreadPoolExecutor

async def work(n):
    await asyncio.sleep(n / 1000)
    return n

async def queued():
    queue = asyncio.Queue(1)
    async def put():
        for i in range(3):
            await queue.put(i)
    task = asyncio.create_task(put())
    got = [await queue.get() for _ in range(3)]
    await task
    return got

async def refused(coroutine):
    try:
        await coroutine
    except OSError as e:
        return str(e)

async def main():
    loop = asyncio.get_running_loop()
    print(await asyncio.gather(work(2), work(1), asyncio.create_task(work(3))), await queued())
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.001)
    except asyncio.TimeoutError:
        print("timed out")
    print(await asyncio.to_thread(threading.main_thread().is_alive), await loop.run_in_executor(None, abs, -1))
    future = loop.create_future()
    threading.Thread(target=lambda: [loop.call_soon_threadsafe(future.set_result, "from a thread")]).start()
    print(await future)
    signalled = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, signalled.set)
    threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    await signalled.wait()
    print(loop.remove_signal_handler(signal.SIGUSR1), loop.remove_signal_handler(signal.SIGUSR1))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(work(1))
    print(task.result(), type(loop).__name__, isinstance(loop, asyncio.SelectorEventLoop))
    print(await refused(asyncio.open_connection("localhost", 80)))
    print(await refused(asyncio.create_subprocess_exec("date")))
    try:
        loop.add_reader(0, print)
    except OSError as e:
        print(e)

asyncio.run(main())
asyncio.run(main(), debug=True)
loop = asyncio.new_event_loop()
loop.call_later(0.001, loop.stop)
loop.run_forever()
loop.close()
with ThreadPoolExecutor(2) as pool:
    print(list(pool.map(abs, [-1, 2])))
"""
ASYNCIO_SAYS = """\
[2, 1, 3] [0, 1, 2]
timed out
True 1
from a thread
True False
1 SelectorEventLoop True
[Errno 1] There is no network here: a program cannot open a connection
[Errno 1] Programs cannot start other programs here
[Errno 1] There is nothing here that a program could wait for but time, threads and signals
"""


class Library(pool.TestCase):
    OPTIONS = {"workers": 1}

    def run_ok(self, files, **fields):
        job = self.client.run(files, **fields)
        records = recording.decode(job.recording)
        self.assertEqual(job.verdict, "ok", job.result["sentence"])
        return recording.text(records)

    def test_files_of_the_program(self):
        self.assertEqual(self.run_ok(pool.make_zip(FILES)), SEEN)

    def test_files_from_a_folder_of_its_own(self):
        """The working directory is the folder of the entry; a common top folder is taken off."""
        files = {f"team/user/{name}": content for name, content in FILES.items()}
        self.assertEqual(self.run_ok(pool.make_zip({**files, "team/readme": ""})), SEEN.replace(" /robot ", " /robot/user "))

    def test_a_module_within_the_top_folder(self):
        """The entry says whether a common top folder belongs to its name."""
        files = {"game/main.py": "print(__name__, __file__)\ndef start():\n    from game import part\n    print(part.n)\n",
                 "game/part.py": "n = 1\n"}
        out = self.run_ok(pool.make_zip(files), entry="game.main:start")
        self.assertEqual(out, "game.main /robot/game/main.py\n1\n")
        self.assertEqual(self.run_ok(pool.make_zip(files), entry="game/main.py"), "__main__ /robot/main.py\n")
        self.assertEqual(self.run_ok(pool.make_zip(files)), "__main__ /robot/main.py\n")

    def test_compiled_files_are_never_loaded(self):
        """Whatever way their folder is written on sys.path."""
        source = ("import sys, os\nfor path in ('lib', './lib', '/robot//lib', '/robot/lib/', '/robot/x/../lib',\n"
                  "             os.path.dirname(__file__) + '/lib'):\n    sys.path.append(path)\n    try:\n        import only\n"
                  "    except ImportError as e:\n        print(e)\n    else:\n        print('loaded')\n    sys.path.pop()\n")
        code = importlib._bootstrap_external._code_to_timestamp_pyc(compile("n = 1", "only.py", "exec"))
        out = self.run_ok(pool.make_zip({"robot.py": source, "lib/only.pyc": bytes(code), "x/y.txt": ""}))
        self.assertEqual(out, 6 * "only is only there as lib/only.pyc, which is not loaded: upload its Python source\n")

    def test_locale(self):
        """As LANG=C.UTF-8 has it, which a program can also ask for without a file of it."""
        code = ("import fileinput, locale\nprint(locale.setlocale(locale.LC_CTYPE), locale.setlocale(locale.LC_NUMERIC))\n"
                "print(locale.getencoding(), open('a.txt', encoding='locale').encoding, *fileinput.input('a.txt'))\n"
                "for name in '', 'C.UTF-8', 'de_DE.UTF-8':\n    try:\n        print(locale.setlocale(locale.LC_ALL, name))\n"
                "    except locale.Error as e:\n        print(e)\n")
        self.assertEqual(self.run_ok({"robot.py": code, "a.txt": "\u00e9"}),
                         "C.UTF-8 C\nUTF-8 UTF-8 \u00e9\nC.UTF-8\nC.UTF-8\nunsupported locale setting\n")

    def test_what_is_done_at_the_end(self):
        """By modules that were loaded ahead, for those who have used them, and in Python's order."""
        handler = "import logging.handlers, sys\nh = logging.handlers.MemoryHandler(99, 50, logging.StreamHandler(sys.stdout))\n"
        for code, out in (
                (handler + "logging.getLogger().addHandler(h)\nlogging.error('kept')\nimport atexit\natexit.register(print, 'exit')\n",
                 "exit\nkept\n"),
                # As many handlers as there were before.
                ("import logging.config\nlogging.config.dictConfig({'version': 1})\n"
                 "h = logging.NullHandler()\nh.flush = lambda: print('flushed')\n", "flushed\n"),
                ("import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('late'))).start()\nprint('main')\n",
                 "main\nlate\n"),
                ("import concurrent.futures as c, time\npool = c.ThreadPoolExecutor(2)\nprint('main', flush=True)\n"
                 "[pool.submit(lambda: (time.sleep(0.05), print('x'))) for _ in range(4)]\n", "main\n" + "x\n" * 4),
                ("import threading\nthreading._register_atexit(print, 'threads')\nimport atexit\natexit.register(print, 'exit')\n",
                 "threads\nexit\n")):
            with self.subTest(code):
                self.assertEqual(self.run_ok(code), out)

    def test_which_machine(self):
        """Linux, and nothing of the real one."""
        out = self.run_ok("import os, platform, sysconfig\nprint(platform.system(), platform.node(), platform.release())\n"
                          "print(os.uname().sysname, os.name, sysconfig.get_platform(), platform.platform())\n")
        machine = platform.machine()
        self.assertEqual(out, f"Linux sandbox 6.0.0\nLinux posix linux-{machine} Linux-6.0.0-{machine}-with-glibc2.36\n")

    def test_lines_in_every_traceback(self):
        """Also of those that Python prints by itself: __del__, atexit, an excepthook that is called."""
        code = ("import atexit, sys\nclass A:\n    def __del__(self):\n        1 / 0  # in __del__\nA()\n"
                "atexit.register(lambda: 1 / 0)  # at exit\ntry:\n    1 / 0  # by hand\nexcept ZeroDivisionError:\n"
                "    sys.excepthook(*sys.exc_info())\n")
        job = self.client.run(code)
        err = recording.text(recording.decode(job.recording), "err")
        for line in "    1 / 0  # in __del__\n", "    1 / 0  # by hand\n", "    atexit.register(lambda: 1 / 0)  # at exit\n":
            self.assertIn(line, err)
        self.assertNotIn("<string>", err)

    def test_own_modules_that_a_fresh_python_has_not_loaded(self):
        files = {f"{name}.py": "mine = 1\n" for name in ("token", "tokenize", "linecache", "enum", "re")}
        out = self.run_ok(pool.make_zip({"robot.py": "import token, tokenize, linecache, enum, re\n"
                                                     "print(all(m.mine for m in (token, tokenize, linecache, enum, re)))\n",
                                         **files}))
        self.assertEqual(out, "True\n")

    def test_the_standard_library_is_not_compiled(self):
        out = self.run_ok(UNLOADED)
        self.assertEqual(out, "0 {'a': 1}\n[(2,)]\ndef loads(s: str, /, *, parse_float: ParseFloat = float) -> dict[str, Any]:  # noqa: C901\n"
                              "pos = key_value_rule(src, pos, out, header, parse_float)\n"
                              "2026-07-01T12:00:00+01:00\n2026-07-01T12:00:00-04:00\nb'\\x82' b'tda'\n4\n")

    def test_every_name_of_the_standard_library(self):
        out = self.run_ok(EVERY_NAME, cpu_ms="60000")
        self.assertEqual([line for line in out.splitlines() if not line.startswith("refused ")], [])
        self.assertIn("refused msvcrt This module is a part of Windows, and programs run on Linux here\n", out)
        self.assertIn("refused dbm.gnu Programs cannot write files here, so there is no database in a file\n", out)

    def test_sqlite_without_a_disk(self):
        """Sorts and indexes that outgrow its cache, and random numbers of each job's own."""
        self.assertEqual(self.run_ok("""\
import sqlite3
c = sqlite3.connect(':memory:')
c.execute('create table score(name text, points int)')
c.executemany('insert into score values(?,?)', [('player%d' % i, i * 7 % 1000) for i in range(100000)])
print(c.execute('select name from score order by points desc').fetchone())
c.execute('create index i on score(points)')
print(len(c.execute('select name, count(*) from score group by name').fetchall()))
c.execute('create temp table big as select randomblob(1000) from score limit 20000')
"""), "('player857',)\n100000\n")
        with pool.Pool(workers=2, zygote_forks=4) as p:
            jobs = [p.client.enqueue(pool.make_zip("import sqlite3\nprint(sqlite3.connect(':memory:').execute("
                                                   "'select random()').fetchone())\n")) for _ in range(60)]
            drawn = {recording.text(recording.decode(p.client.wait(job).recording)) for job in jobs}
        self.assertEqual(len(drawn), 60)

    def test_time_zones_of_the_c_library(self):
        code = ("import os, time\nfor zone in 'America/New_York', ':Europe/London', 'XYZ-7', 'Nowhere/There':\n"
                "    os.environ['TZ'] = zone\n    time.tzset()\n    print(time.localtime(1720000000).tm_hour, os.environ['TZ'])\n")
        self.assertEqual(self.run_ok(code), "5 America/New_York\n10 :Europe/London\n16 XYZ-7\n9 Nowhere/There\n")

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer takes address space and memory of its own")
    def test_facts_about_the_machine(self):
        """Are those of the job: its memory; its standard streams, which are there."""
        out = self.run_ok("import os\nprint(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 20)\n"
                          "os.fstat(0), os.fstat(1)\ntry:\n    os.stat('/etc')\nexcept FileNotFoundError:\n    print('no')\n", memory_mb=100)
        size, no = out.splitlines()
        self.assertEqual(no, "no")
        self.assertLess(abs(int(size) - 100), 60)

    def test_pools_of_threads(self):
        """multiprocessing's work, too: they need no processes."""
        for made in "multiprocessing.pool.ThreadPool(2)", "multiprocessing.dummy.Pool(2)":
            self.run_ok(f"import multiprocessing.dummy, multiprocessing.pool\nwith {made} as pool:\n" """\
    assert pool.map(len, ["a", "bb"]) == [1, 2] and list(pool.imap_unordered(len, ["a"])) == [1]
    assert pool.apply_async(len, ("abc",)).get() == 3 and pool.starmap(pow, [(2, 3)]) == [8]
queue = multiprocessing.SimpleQueue()
queue.put(1)
assert not queue.empty() and queue.get() == 1
""")

    def test_asyncio(self):
        """On a loop that waits without sockets; it costs nothing where it is not imported."""
        self.assertEqual(self.run_ok("import sys\nprint('asyncio' in sys.modules)\n"), "False\n")
        self.assertEqual(self.run_ok(ASYNCIO), ASYNCIO_SAYS + ASYNCIO_SAYS + "[1, 2]\n")

    def test_help(self):
        self.assertIn("Return the absolute value of the argument.", self.run_ok("help(abs)\n"))
        self.assertIn('The "for" statement', self.run_ok("help('for')\n"))
        self.assertIn("Welcome to Python 3.11's help utility!", self.run_ok("help()\n"))

    def test_a_missing_file_in_the_traceback(self):
        job = self.client.run("def f():\n    open('nope.txt')\nf()\n")
        err = recording.text(recording.decode(job.recording), "err")
        self.assertEqual(err, "Traceback (most recent call last):\n"
                              '  File "/robot/robot.py", line 3, in <module>\n    f()\n'
                              "  File \"/robot/robot.py\", line 2, in f\n    open('nope.txt')\n"
                              "FileNotFoundError: [Errno 2] No such file or directory: 'nope.txt'\n")

    def test_a_member_that_is_damaged(self):
        data = pool.make_zip({"robot.py": "print(1)\nimport arm\n", "arm.py": "x = 'damaged here'\n"}, zipfile.ZIP_STORED)
        job = self.client.run(data.replace(b"damaged", b"DAMAGED", 1))
        self.assertEqual((job.verdict, job.result["sentence"]),
                         ("bad_zip", 'The ZIP cannot be used: ZipImportError: "arm.py" in the ZIP is damaged: its checksum is '
                                     'wrong. (robot.py, line 2)'))


SCIENCE = """\
import io
import numpy as np, numpy.testing, numpy.polynomial
a = np.arange(12.0).reshape(3, 4)
print((a @ a.T).sum(), round(np.linalg.det(np.eye(3) * 2)), np.fft.fft([1, 2, 3]).real.round(1).tolist())
print(np.polynomial.Polynomial([1, 2]).roots().tolist(), np.random.default_rng(1).integers(10) < 10)
saved = io.BytesIO()
np.save(saved, a)
print(np.load("a.npy").tolist(), np.load(open("a.npy", "rb")).sum(), np.load("both.npz")["b"], saved.getvalue()[:6])
print(np.loadtxt("a.txt"), np.genfromtxt("a.txt").sum(), io.BufferedReader is type(open("a.npy", "rb")))
from PIL import Image, ImageDraw, ImageFilter
image = Image.new("RGB", (20, 10), "red")
ImageDraw.Draw(image).line((0, 0, 19, 9), fill=0)
for kind in ("PNG", "JPEG", "GIF"):
    stream = io.BytesIO()
    image.filter(ImageFilter.BLUR).save(stream, kind)
    print(kind, Image.open(io.BytesIO(stream.getvalue())).size)
print(Image.open("dot.png").size)
import matplotlib, matplotlib.pyplot as plt
figure, axes = plt.subplots()
axes.plot([1, 3, 2], label="$x^2$")
axes.legend()
stream = io.BytesIO()
figure.savefig(stream)
print(matplotlib.get_backend(), stream.getvalue()[:4], len(stream.getvalue()) > 5000)
plt.contourf([[1, 2], [3, 4]])
for kind in "svg", "pdf":
    stream = io.BytesIO()
    plt.savefig(stream, format=kind)
    print(kind, stream.getvalue()[:5])
"""

HEADER = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}\n"  # of an array in numpy's format


def paddock_library(*words):
    return subprocess.run([pool.program("paddock-library"), *words], capture_output=True, text=True,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})


class Science(unittest.TestCase):
    """What the operator adds: Debian's numpy, pillow and matplotlib, their C parts loaded before the lock."""

    def test_added_packages_work_in_a_locked_sandbox(self):
        folder = tempfile.mkdtemp(prefix="paddock-library-")
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "library.zip")
        said = paddock_library("--output", path, "--add", "numpy", "--add", "PIL", "--add", "matplotlib")
        self.assertIn("with numpy PIL matplotlib", said.stdout, said.stderr)
        dot = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNiAAAABgADNjd8qAAAAABJRU5ErkJggg==")
        array = b"\x93NUMPY\1\0" + struct.pack("<H", len(HEADER)) + HEADER + struct.pack("<3d", 1, 2, 3.5)
        files = {"robot.py": SCIENCE, "dot.png": dot, "a.npy": array, "a.txt": "1 2.5\n",
                 "both.npz": pool.make_zip({"b.npy": array})}
        with pool.Pool(workers=1, library=path) as p:
            job = p.client.run(pool.make_zip(files), cpu_ms="60000", wall_ms="120000",
                               memory_mb="512")
            self.assertEqual(job.verdict, "ok", job.result["sentence"])
            self.assertEqual(recording.text(recording.decode(job.recording)),
                             "1134.0 8 [6.0, -1.5, -1.5]\n[-0.5] True\n"
                             "[1.0, 2.0, 3.5] 6.5 [1.  2.  3.5] b'\\x93NUMPY'\n[1.  2.5] 3.5 True\n"
                             "PNG (20, 10)\nJPEG (20, 10)\nGIF (20, 10)\n(1, 1)\n"
                             "agg b'\\x89PNG' True\nsvg b'<?xml'\npdf b'%PDF-'\n")
            code = ("import numpy, io, pathlib, PIL.Image, matplotlib.pyplot as plt\nprint(numpy.arange(3))\n"
                    "print(PIL.Image.open(pathlib.Path('dot.png')).size, PIL.Image.new('RGB', (2, 2), '#ff8800').getpixel((0, 0)))\n"
                    "plt.title('$x^2$')\nfor kind in 'svg', 'pdf': plt.savefig(io.BytesIO(), format=kind)\n")
            again = p.client.run({"robot.py": "from matplotlib import pyplot as plt\nfrom xml.etree import ElementTree\n"
                                  "import importlib, matplotlib, sys\nmatplotlib.use('svg')\nplt.figure()\n"
                                  "print(type(plt.gcf().canvas).__name__, importlib.reload(ElementTree) is ElementTree)\n",
                                  "game/matplotlib.py": "", "game/xml.py": ""}, memory_mb="512", cpu_ms="60000", wall_ms="120000")
            self.assertEqual(recording.text(recording.decode(again.recording)), "FigureCanvasSVG True\n", again.result)
            drawn = {recording.text(recording.decode(p.client.run("import numpy\nprint(numpy.random.rand())\n").recording))
                     for _ in range(4)}
            self.assertEqual(len(drawn), 4, "numpy's random numbers are the same in each job")
            for name in "numpy", "types", "enum", "warnings", "re":
                again = p.client.run({"robot.py": code, "dot.png": dot, f"mocks/{name}.py": ""}, memory_mb="512", cpu_ms="60000",
                                     wall_ms="120000")
                self.assertEqual(recording.text(recording.decode(again.recording)), "[0 1 2]\n(1, 1) (255, 136, 0)\n", again.result)
            self.assertNotIn("unable to preload", p.read_log())
            self.assertIn("There is no scipy here; numpy comes near", p.client.run("import scipy\n").result["sentence"])

    def test_names_that_are_none(self):
        for words, sentence in (
                (("--add", "numpy.linalg"), "\"numpy.linalg\" is no package: --add takes one name that can be imported, without "
                                            "dots, such as numpy"),
                (("--add", ""), "\"\" is no package: --add takes one name that can be imported, without dots, such as numpy"),
                (("--add", "pillow"), "there is no package pillow, but one of that name is imported as PIL: --add PIL"),
                (("--add", "nonono"), "there is no package nonono: install it from Debian first (python3-nonono?)"),
                (("--output", "/"), "unable to write /: it is a folder"),
                (("--show", "--output", "/etc/passwd"), "/etc/passwd is no library of Python")):
            with self.subTest(words), tempfile.TemporaryDirectory() as folder:
                said = paddock_library("--output", os.path.join(folder, "x.zip"), *words)
                self.assertEqual((said.returncode, said.stderr), (1, f"paddock-library: {sentence}\n"))

    def test_what_is_quoted_shows_as_what_it_is(self):
        """Also of what others have made; it is one line, and a terminal is told nothing by it."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/x.zip"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("paddock-library", "format 2\nadd \33[2J\n")
            for words, code in (("--add", "\33[2J\n"), 1), (("--\33[2J",), 2), (("--output", f"{folder}/\33[2J/x"), 1), (("--show",), 0):
                with self.subTest(words):
                    said = paddock_library("--output", path, *words)
                    self.assertEqual(said.returncode, code)
                    self.assertNotIn("\33", said.stdout + said.stderr)
                    self.assertIn("\\x1b[2J", (said.stdout + said.stderr).splitlines()[1 if code == 0 else -1])

    def test_a_package_that_is_not_there(self):
        said = paddock_library("--output", "/nonexistent/x.zip", "--add", "nonono")
        self.assertEqual((said.returncode, said.stderr),
                         (1, "paddock-library: unable to write /nonexistent/x.zip: No such file or directory\n"))
        with tempfile.TemporaryDirectory() as folder:
            said = paddock_library("--output", f"{folder}/x.zip", "--add", "nonono")
            self.assertEqual((said.returncode, os.listdir(folder)), (1, []))
            self.assertEqual(said.stderr, "paddock-library: there is no package nonono: install it from Debian first "
                                          "(python3-nonono?)\n")


class Stamp(unittest.TestCase):
    """A library that does not fit is refused, and the command that makes it anew is named."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="paddock-library-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "library.zip")

    def start(self):
        """What a pool with this library says."""
        config = os.path.join(self.folder, "paddock.conf")
        with open(config, "w") as file:
            file.write(f"[pool]\nruntime_dir = {self.folder}/run\n[sandbox]\nlibrary = {self.path}\n")
        done = subprocess.run([pool.program("paddock"), "up", "--config", config], capture_output=True,
                              timeout=pool.PATIENCE)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr.decode()

    def change(self, old, new, more=""):
        with zipfile.ZipFile(pool.program("python-library.zip")) as archive:
            stamp = archive.read("paddock-library").decode()
        self.assertIn(old, stamp)
        with zipfile.ZipFile(self.path, "w") as archive:
            archive.writestr("paddock-library", stamp.replace(old, new) + more)

    def test_another_interpreter(self):
        self.change("python 3.11.2", "python 3.11.1")
        said = self.start()
        self.assertIn("it was made for Python 3.11.1 ", said)
        self.assertIn(f"make it anew with paddock-library --update --output {self.path}", said)

    def test_update(self):
        """Made anew where it does not fit, with the packages that were added, and else left alone."""
        self.change("python 3.11.2", "python 3.11.1", "add six\n")
        said = paddock_library("--update", "--output", self.path)
        self.assertIn("with six", said.stdout, said.stderr)
        self.assertIn("add six\n", paddock_library("--show", "--output", self.path).stdout)
        before = os.stat(self.path)
        said = paddock_library("--update", "--output", self.path)
        self.assertEqual((said.returncode, said.stdout), (0, f"{self.path}: fits Python 3.11.2\n"))
        self.assertEqual(os.stat(self.path), before)
        said = paddock_library("--update", "--output", self.path, "--add", "dateutil")
        self.assertIn("with six dateutil", said.stdout, said.stderr)

    def test_a_package_that_was_updated(self):
        """Its files are others."""
        words = "--add", "six", "--output", self.path
        self.assertIn("with six", paddock_library(*words).stdout)
        stamp = paddock_library("--show", "--output", self.path).stdout
        self.assertEqual(paddock_library("--update", "--output", self.path).stdout, f"{self.path}: fits Python 3.11.2\n")
        before, = re.findall("^state (.*)$", stamp, re.M)
        with zipfile.ZipFile(self.path) as archive:
            text = archive.read("paddock-library").decode()
        with zipfile.ZipFile(self.path, "w") as archive:  # as before an update
            archive.writestr("paddock-library", text.replace(before, before[::-1]))
        self.assertIn("with six", paddock_library("--update", "--output", self.path).stdout)
        self.assertEqual(paddock_library("--show", "--output", self.path).stdout, stamp)

    def made_of(self):
        """What was asked for, and what the archive has, therefore."""
        text = paddock_library("--show", "--output", self.path).stdout
        return re.findall(r"^asked (.*)$", text, re.M), re.findall(r"^add (.*)$", text, re.M)

    def test_what_was_added_stays(self):
        """Until it is taken out."""
        rows = ((("--add", "six"), ["six"]), (("--add", "dateutil", "--add", "six"), ["six", "dateutil"]), ((), ["six", "dateutil"]),
                (("--drop", "six"), ["dateutil"]), (("--drop", "dateutil", "--add", "six", "--update"), ["six"]))
        for words, names in rows:
            with self.subTest(words):
                said = paddock_library("--output", self.path, *words)
                self.assertIn(f", with {' '.join(names)}\n", said.stdout, said.stderr)
                self.assertEqual(self.made_of(), (names, names))
        said = paddock_library("--output", self.path, "--drop", "dateutil")
        self.assertEqual((said.returncode, said.stderr), (1, "paddock-library: dateutil was not added: six was\n"))

    def test_what_is_to_be_there_and_not(self):
        said = paddock_library("--output", self.path, "--add", "six", "--drop", "six")
        self.assertEqual((said.returncode, said.stderr.splitlines()[-1]), (2, "paddock-library: error: --add six beside --drop six"))

    def test_what_was_added_and_is_gone(self):
        """As the package that it came with: it is left out, with a warning, and not forgotten."""
        self.change("python 3.11.2", "python 3.11.1", "asked nonono\nasked six\nadd nonono\nadd six\n")
        said = paddock_library("--update", "--output", self.path)
        self.assertEqual((said.returncode, said.stderr), (0, "paddock-library: warning: nonono is left out: there is no package nonono: "
                                                             "install it from Debian first (python3-nonono?)\n"))
        self.assertEqual(self.made_of(), (["nonono", "six"], ["six"]))
        said = paddock_library("--update", "--output", self.path)
        self.assertEqual((said.returncode, said.stdout), (0, f"{self.path}: fits Python 3.11.2\n"))
        said = paddock_library("--update", "--output", self.path, "--drop", "nonono")
        self.assertEqual((said.returncode, self.made_of()), (0, (["six"], ["six"])), said.stderr)

    def test_another_magic(self):
        self.change("magic ", "magic f")
        self.assertIn("make it anew with paddock-library", self.start())

    def test_another_format(self):
        self.change("format 2", "format 0")
        self.assertIn('it has the format "0"', self.start())

    def test_no_library(self):
        said = self.start()
        self.assertIn(f"paddock.conf:4: library = {self.path}: takes the absolute path of a file that can be read", said)

    def test_some_other_file(self):
        """Each is one sentence that names the command."""
        with open(pool.program("python-library.zip"), "rb") as file:
            library = file.read()
        none = 'it is no library of Python, or a damaged one ("{}")'
        rows = ((b"", none.format("The ZIP is empty: it has no bytes at all")),
                (b"hello", none.format("This is a text, not a ZIP")),
                (library[:100000], none.format("This ZIP is cut off: its end is missing")),
                (pool.make_zip("x"), "it is a ZIP, but no library of Python"))
        for content, said in rows:
            with self.subTest(said), open(self.path, "wb") as file:
                file.write(content)
                file.flush()
                self.assertIn(f"unable to use Python's library, {self.path}: {said}: make it anew with paddock-library "
                              f"--update --output {self.path}\n", self.start())


if __name__ == "__main__":
    unittest.main()
