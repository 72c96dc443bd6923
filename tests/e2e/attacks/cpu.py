# SPDX-License-Identifier: MIT
"""E: computing time, and time."""

import zipfile

import pool
from attacks import Attack

SHORT = {"cpu_ms": 50}


def trace_is_bounded(job):
    return any(r["kind"] == "dropped" for r in job.records) and len(job.recording) < 300_000


ATTACKS = [
    Attack("E1", "spin", "while True: pass\n", "cpu_limit", SHORT),
    Attack("E2", "one long call into C", "3 ** (10 ** 8)\n", "cpu_limit", SHORT),
    Attack("E3", "a pattern that backtracks", "import re\nre.match('(a+)+$', 'a' * 40 + 'b')\n", "cpu_limit", SHORT),
    Attack("E4", "equal hashes", "class K:\n    def __hash__(self): return 1\n"
           "x = {K(): None for _ in range(120_000)}\n", "cpu_limit", SHORT),
    Attack("E4", "equal hashes of numbers", "x = {n * (2 ** 61 - 1): None for n in range(1, 120_000)}\n", "cpu_limit",
           SHORT),
    Attack("E5", "a list without end", "list(iter(int, 1))\n", "cpu_limit memory_limit", {"cpu_ms": 300, "memory_mb": 32},
           asan=False),
    Attack("E6", "a number of 5,000 digits", "int('9' * 5000)\n", "exception", claim="4300 digits"),
    Attack("E6", "a number of many digits", "import sys\nsys.set_int_max_str_digits(0)\nint('9' * 10 ** 7)\n", "cpu_limit",
           SHORT),
    Attack("E7", "sleep", "import time\ntime.sleep(1000)\n", "wall_limit", {"wall_ms": 100}),
    Attack("E7", "a lock that nobody opens", "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()\n",
           "wall_limit", {"wall_ms": 100}),
    Attack("E8", "sleep and spin in turn", "import time\nwhile True:\n    time.sleep(0.02)\n    for _ in range(1000): pass\n",
           "wall_limit", {"wall_ms": 300, "cpu_ms": 5000}),
    Attack("E9", "input where there is none", "input()\n", "exception", claim="EOFError"),
    Attack("E10", "a giant factorial", "import math\nmath.factorial(10 ** 8)\n", "cpu_limit", SHORT),
    Attack("E10", "giant powers", "pow(7, 10 ** 9, 10 ** 100_000 + 1)\n", "cpu_limit", SHORT),
    Attack("E10", "giant decimals", "import decimal\ndecimal.getcontext().prec = 10 ** 7\n"
           "print(decimal.Decimal(2).sqrt() ** decimal.Decimal('0.3'))\n", "cpu_limit", SHORT),
    Attack("E10", "a decimal that overflows", "import decimal\ndecimal.Decimal(10) ** 10 ** 19\n", "exception",
           claim="Overflow"),
    Attack("E11", "threads that spin", "import threading\nfor _ in range(4):\n"
           "    threading.Thread(target=lambda: exec('while True: pass')).start()\n", "cpu_limit", SHORT),
    Attack("E11", "threads that spin outside of Python", "import hashlib, threading\nfor _ in range(4):\n    threading."
           "Thread(target=lambda: hashlib.pbkdf2_hmac('sha256', b'x', b'y', 10 ** 8)).start()\n", "cpu_limit", SHORT),
    Attack("E12", "the kernel's time", "while True: bytes(1 << 26)\n", "cpu_limit", SHORT, asan=False),
    Attack("E12", "system calls", "import os\nwhile True: os.getppid()\n", "cpu_limit", SHORT),
    Attack("E14", "a package that imports itself", {"robot.py": "import arm\n", "arm/__init__.py": "import arm.arm\n"},
           "exception", claim="ModuleNotFoundError"),
    Attack("E14", "a module that reloads itself", {"robot.py": "import arm\n", "arm.py": "import importlib, sys\n"
           "importlib.reload(sys.modules['arm'])\n"}, "ok",
           why="importlib returns a module that is being reloaded as it is"),
    Attack("E14", "a circle", {"robot.py": "import a\n", "a.py": "from b import x\n", "b.py": "from a import x\n"},
           "exception", claim="ImportError"),
    Attack("E14", "a module that runs itself", {"robot.py": "import runpy\nrunpy.run_module('robot')\n"}, "exception",
           claim="RecursionError", asan=False),
    Attack("E15", "more calls than a trace may hold", "import random\ndef f(): pass\ndef g(): pass\n"
           "for _ in range(200_000): random.choice((f, g))()\n", "ok",
           {"trace": "calls", "recording_kb": 64, "cpu_ms": 20_000, "wall_ms": 60_000}, check=trace_is_bounded),
]

# Sources that are hard on a compiler (E13), and what may come of each.
HARD_SOURCES = [
    ("a line of 1 MB", "x = '" + "x" * (1 << 20) + "'\nprint(len(x))\n", "ok"),
    ("a sum of 1 MB", "x = " + "1+" * (1 << 19) + "1\n", "compile_error memory_limit crashed"),
    ("100,000 imports", "import sys\n" * 100_000, "ok"),
    ("100,000 functions", "".join(f"def f{i}(): pass\n" for i in range(100_000)), "ok memory_limit cpu_limit"),
    ("10,000 brackets", "x = " + "(" * 10_000 + ")" * 10_000 + "\n", "compile_error"),
    ("100 blocks in one another", "".join(" " * i + "if 1:\n" for i in range(101)) + " " * 101 + "pass\n", "compile_error"),
    ("a package 10,000 deep", "import " + ".".join("a" * 10_000) + "\n", "exception compile_error"),
    ("an attribute 100,000 deep", "x" + ".a" * 100_000 + "\n", "exception compile_error memory_limit crashed"),
    ("a million signs", "x = " + "-" * 1_000_000 + "1\n", "compile_error memory_limit crashed cpu_limit"),
    ("100,000 conditions", "x = " + "1 if 1 else " * 100_000 + "1\n",
     "compile_error memory_limit crashed cpu_limit exception"),
    ("a NUL", "x = 1\0\n", "compile_error"),
    ("a number of 100,000 digits", "x = " + "9" * 100_000 + "\n", "compile_error"),
]
# Sanitizers make frames larger: the stack ends where it would not have ended.
ATTACKS += [Attack("E13", what, pool.make_zip(source, zipfile.ZIP_STORED), verdicts,
                   asan=verdicts in ("ok", "compile_error")) for what, source, verdicts in HARD_SOURCES]
