# SPDX-License-Identifier: MIT
"""Limits: what counts, that nothing inside a program gets round them, and that each job has its own. How late they come
is measured by tests/bench/run limits, not here."""

import os
import re
import resource
import signal
import subprocess
import unittest

import faults_test
import pool
import recording

DEAF = ("import signal\nfor number in range(1, 65):\n    try: signal.signal(number, {how})\n"
        "    except (OSError, ValueError): pass\n")
MASK = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
SPIN = "while True: pass\n"
HOG = ("import os, signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(34, 60))\n"
       "for _ in range(80): os.kill(os.getpid(), 34)\nprint('begun', flush=True)\ntime.sleep(60)\n")

THREADS = ("import threading\ndef f():\n    n = 0\n    while True: n += 1\nlock = threading.Lock()\nlock.acquire()\n"
           "threading.Thread(target=f).start()\n{}\n")

# asyncio logs every task that is lost.
QUIET = "import logging\nlogging.disable()\n"

# name, program, fields, verdict
ROWS = [
    ("the kernel's time: pages", "while True: bytes(1 << 28)", {"cpu_ms": 300, "memory_mb": 512}, "cpu_limit"),
    ("the kernel's time: random bytes", "import os\nwhile True: os.urandom(1 << 20)", {"cpu_ms": 300}, "cpu_limit"),
    ("the kernel's time: calls", "import os\nwhile True: os.getppid()", {"cpu_ms": 300}, "cpu_limit"),
    # Each thread stays below 250 ms, as its own clock tells; all four together do not.
    ("the kernel's time: one long call", "import os\nwhile True: os.urandom(200 << 20)", {"cpu_ms": 300}, "cpu_limit"),
    ("threads, together", "import threading, time\ndef work():\n    while time.thread_time() < 0.25: pass\n"
     "threads = [threading.Thread(target=work) for _ in range(4)]\nfor t in threads: t.start()\n"
     "for t in threads: t.join()\n", {"cpu_ms": 400}, "cpu_limit"),
    ("a thread that has ended", "import threading\ndef work():\n    for _ in range(10**6): pass\n"
     "while True:\n    t = threading.Thread(target=work)\n    t.start()\n    t.join()\n", {"cpu_ms": 300}, "cpu_limit"),
    ("sleep does not count", "import time\ntime.sleep(0.5)\nprint(time.process_time() < 0.2)", {"cpu_ms": 200}, "ok"),
    ("sleep and spin in turn", "import time\nwhile True:\n    end = time.process_time() + 0.001\n"
     "    while time.process_time() < end: pass\n    time.sleep(0.1)\n", {"cpu_ms": 600, "wall_ms": 700}, "wall_limit"),
    ("signals ignored", DEAF.format(how="signal.SIG_IGN") + SPIN, {"cpu_ms": 100}, "cpu_limit"),
    ("signals handled", DEAF.format(how="lambda *_: None") + SPIN, {"cpu_ms": 100}, "cpu_limit"),
    ("signals blocked", MASK + SPIN, {"cpu_ms": 100}, "cpu_limit"),
    ("signals ignored, wall", DEAF.format(how="signal.SIG_IGN") + "import time\nwhile True: time.sleep(1)",
     {"wall_ms": 200}, "wall_limit"),
    ("signals blocked, wall", MASK + "import time\nwhile True: time.sleep(1)", {"wall_ms": 200}, "wall_limit"),
    ("errors caught", "while True:\n    try:\n        while True: pass\n    except BaseException: pass\n",
     {"cpu_ms": 100}, "cpu_limit"),
    ("limits raised", "import resource\nfor limit in range(16):\n    try:\n        resource.setrlimit(limit, (-1, -1))\n"
     "    except (OSError, ValueError): pass\n" + SPIN, {"cpu_ms": 100}, "cpu_limit"),
    # The kernel would end it with SIGKILL after a second, which nobody could tell from a fault.
    ("limits lowered", "import resource\nfor limit in range(16):\n    try:\n        resource.setrlimit(limit, (1, 1))\n"
     "    except (OSError, ValueError): pass\n" + SPIN, {"cpu_ms": 1500}, "cpu_limit"),
    ("more memory than there is, caught", "try:\n    x = bytearray(1 << 33)\nexcept MemoryError:\n    print('no')\n", {}, "ok"),
    ("recursion", "def f(n): return f(n + 1)\nf(0)", {}, "exception"),
    ("recursion, caught", "def f(n): return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError:\n    print('no')\n", {}, "ok"),
    # The interpreter finds no memory for its own needs, and aborts.
    ("tasks without end", QUIET + "import asyncio\nasync def main():\n    while True: asyncio.create_task(asyncio.sleep(9))\n"
     "asyncio.run(main())\n", {"memory_mb": 64, "cpu_ms": 20000, "wall_ms": 60000}, "memory_limit"),
    ("frames without end", "import sys\nsys.setrecursionlimit(10**6)\ndef f(n):\n    x = [0] * 1000\n    return f(n + 1) + x[0]\nf(0)\n",
     {"memory_mb": 64, "cpu_ms": 20000, "wall_ms": 60000}, "memory_limit"),
    ("recursion without a limit", "import sys\nsys.setrecursionlimit(10**8)\ndef f(n): return f(n + 1)\nf(0)\n",
     {"memory_mb": 64, "cpu_ms": 20000, "wall_ms": 60000}, "memory_limit"),
    ("recursion through C without a limit", "import sys\nsys.setrecursionlimit(10**8)\nclass A:\n"
     "    def __repr__(self): return repr(self)\nrepr(A())\n", {"cpu_ms": 20000, "wall_ms": 60000}, "crashed"),
    ("recursion, a thread's", "import sys, threading\nsys.setrecursionlimit(10**8)\nclass A:\n"
     "    def __repr__(self): return repr(self)\nthreading.Thread(target=repr, args=(A(),)).start()\n",
     {"cpu_ms": 20000, "wall_ms": 60000}, "crashed"),
    ("recursion, by way of a path", "class P:\n    def __fspath__(self): return open(self)\ntry:\n    open(P())\n"
     "except RecursionError:\n    print('no')\n", {}, "ok"),
    ("recursion, by way of a path, a thread's", "import os, threading\nclass P:\n    def __fspath__(self): return os.listdir(self)\n"
     "def f():\n    try:\n        os.stat(P())\n    except RecursionError:\n        print('no')\nt = threading.Thread(target=f)\n"
     "t.start()\nt.join()\n", {}, "ok"),
    ("recursion through C, a pool's", "from concurrent.futures import ThreadPoolExecutor\ndef order(n):\n"
     "    return sorted([n, n + 1], key=lambda x: order(n + 1))\nwith ThreadPoolExecutor() as pool:\n    try:\n"
     "        pool.submit(order, 0).result()\n    except RecursionError as e:\n        print(e)\n", {}, "ok"),
    ("recursion through C, of many threads", "from concurrent.futures import ThreadPoolExecutor as T\nimport threading\n"
     "b = threading.Barrier(20)\ndef f(): return sorted([1, 2], key=lambda x: f())\ndef g(i):\n    b.wait()\n    try: f()\n"
     "    except RecursionError: return 'R'\nwith T(20) as t: assert list(t.map(g, range(20))) == ['R'] * 20\n", {"cpu_ms": 20000}, "ok"),
    ("recursion through C, a bare thread's", "import _thread, time\ndone = _thread.allocate_lock()\ndone.acquire()\n"
     "def f(): return sorted([1, 2], key=lambda x: f())\ndef g():\n    try: f()\n    except RecursionError: done.release()\n"
     "_thread.start_new_thread(g, ())\nassert done.acquire(timeout=9)\n", {}, "ok"),
    ("threads without end, caught", "import threading\nwait = threading.Event()\nthreads = []\ntry:\n    while True:\n"
     "        threads.append(threading.Thread(target=wait.wait))\n        threads[-1].start()\n"
     "except RuntimeError as error:\n    print(error)\nwait.set()\n", {"memory_mb": 64}, "ok"),
]

# Python ends itself, or stands still, for want of memory: also where most of it was never touched, in a pool's first job,
# and without control groups. Threads stand still too, unless they get as far as to end with their MemoryErrors: those are not the
# program's end, as ever in Python.
FULL = [
    ("errors without end", "l = []\nwhile True:\n    try: 1 / 0\n    except Exception as e: l.append(e)\n", ["memory_limit"]),
    ("tasks without end", QUIET + "import asyncio\nasync def main():\n    while True: asyncio.create_task(asyncio.sleep(9))\n"
     "asyncio.run(main())\n", ["memory_limit"]),
    ("memory not touched, tasks", QUIET + "import asyncio\ngrid = bytes(100 << 20)\nasync def main():\n"
     "    while True: asyncio.create_task(asyncio.sleep(9))\nasyncio.run(main())\n", ["memory_limit"]),
    ("a list in threads", "import threading\nl = []\ndef f():\n    while True: l.append([1])\n"
     "for _ in range(2): threading.Thread(target=f).start()\n", ["memory_limit", "ok"]),
    ("a list in an executor", "from concurrent.futures import ThreadPoolExecutor\nl = []\ndef f():\n    while True: l.append([1, 2, 3])\n"
     "with ThreadPoolExecutor() as pool: print(pool.submit(f).result())\n", ["memory_limit"]),
    ("while another is handled", "try: int('x')\nexcept ValueError as e:\n    l = []\n    while True: l.append([1])\n", ["memory_limit"]),
]

# Programs that were refused memory, went on without, and ended for another reason: what they caught decides nothing.
REFUSED = "try:\n    x = bytearray({size} << 20)\nexcept MemoryError:\n    print('no')\n"
PIECES = "l = []\ntry:\n    while True: l.append('x' * 1000)\nexcept MemoryError: l = []\n"
PART = ("import time\nl = []\ntry:\n    while True: l.append(bytearray(3000))\nexcept MemoryError: print('full', flush=True)\n"
        "del l[:9000]\nfor i in range(5): b = [bytearray(3000) for k in range(100)]\n")
GONE_ON = [
    ("sleeps", REFUSED.format(size=260) + "import time\ntime.sleep(60)\n", {"wall_ms": 400}, "wall_limit"),
    ("sleeps, with some in use", "y = bytearray(100 << 20)\n" + REFUSED.format(size=200) + "import time\n"
     "while True:\n    time.sleep(0.05)\n    print('tick', flush=True)\n", {"wall_ms": 400}, "wall_limit"),
    ("waits for input", REFUSED.format(size=200) * 2 + "input()\n", {"wall_ms": 400, "live_input": 1}, "wall_limit"),
    ("aborts", REFUSED.format(size=260) + "import os\nos.abort()\n", {}, "crashed"),
    ("recurses", REFUSED.format(size=260) + "import sys\nsys.setrecursionlimit(10**8)\nclass A:\n"
     "    def __repr__(self): return repr(self)\nrepr(A())\n", {"cpu_ms": 20000, "wall_ms": 60000}, "crashed"),
    ("gave a part back", PART + "time.sleep(60)\n", {"wall_ms": 2000}, "wall_limit"),
    ("gave a part back, and aborts", PART + "import os\nos.abort()\n", {}, "crashed"),
    ("gave it back in pieces", PIECES + "import time\ntime.sleep(60)\n", {"wall_ms": 2000}, "wall_limit"),
    ("gave it back in pieces, and aborts", PIECES + "import os\nos.abort()\n", {}, "crashed"),
    ("computes", REFUSED.format(size=260) + "while True: pass\n", {"cpu_ms": 200}, "cpu_limit"),
]

# Full of small objects, to the last byte; in lines further down than where an int of Python's own for the place is made ahead.
DOWN = "".join(f"v{i} = {i}\n" for i in range(300)) + "l = []\n"
CAUGHT = [
    ("far down", DOWN + "try:\n    while True: l.append([1])\nexcept MemoryError:\n    print('full', len(l) > 10**6)\n"),
    ("with a lock", DOWN + "import threading\nlock = threading.Lock()\ntry:\n    while True:\n        with lock: l.append((1, len(l)))\n"
     "except MemoryError:\n    print('full', len(l) > 10**5)\n"),
    ("time after time", DOWN + "for _ in range(999):\n    try:\n        while True: l.append([1])\n    except MemoryError: pass\n"
     "l.clear()\nprint('full', True)\n"),
    ("very often", DOWN + "n = 0\nfor _ in range(300000):\n    try: l.append(bytearray(2000))\n    except MemoryError: n += 1\n"
     "print('full', n > 10**5)\n"),
    ("filled anew", DOWN + "for _ in range(3):\n    l = []\n    try:\n        while True: l.append([1])\n    except MemoryError: n = len(l)\n"
     "print('full', n > 10**6)\n"),
]

# What is said of a program that recursed too deep.
SENTENCES = {
    "recursion": "RecursionError: maximum recursion depth exceeded",
    "recursion without a limit": "or a function that calls itself",
    "recursion through C without a limit": "Very deep recursion is the usual cause",
    "recursion, a thread's": "Very deep recursion is the usual cause",
}

if pool.SANITIZED:
    # AddressSanitizer ends a process that gets no memory, or no stack, before Python or the kernel can.
    ROWS = [row for row in ROWS if row[3] not in ("memory_limit", "crashed") and "memory" not in row[0]
            and "without end" not in row[0]]


class Limits(pool.TestCase):
    OPTIONS = {"workers": 2, "max_cpu_ms": 20000, "max_wall_ms": 60000}

    def test_every_row(self):
        for name, code, fields, verdict in ROWS:
            with self.subTest(name):
                job = self.client.run(code, **fields)
                self.assertEqual(job.verdict, verdict, job.result)
                self.assertIn(SENTENCES.get(name, ""), job.result["sentence"])
                if verdict == "cpu_limit":
                    self.assertGreaterEqual(job.result["cpu_ms"], fields["cpu_ms"])
                elif verdict == "wall_limit":
                    self.assertGreaterEqual(job.result["wall_ms"], fields["wall_ms"])

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer ends a process that gets no memory")
    def test_full_is_full_in_every_way(self):
        for options in {}, {"cgroup": "none"}:
            for name, code, verdicts in FULL:
                with self.subTest(name, **options), pool.Pool(workers=1, max_cpu_ms=20000, max_wall_ms=60000, **options) as p:
                    for _ in range(2):
                        job = p.client.run(code, cpu_ms=20000, wall_ms=40000)
                        self.assertIn(job.verdict, verdicts, job.result)

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer ends a process that gets no memory")
    def test_full_and_caught(self):
        """There is enough left for Python to come to the handler, and for what this does."""
        for name, code in CAUGHT:
            with self.subTest(name):
                job = self.client.run(code, cpu_ms=20000, wall_ms=60000)
                self.assertEqual(job.verdict, "ok", job.result)
                self.assertEqual(recording.text(recording.decode(job.recording)), "full True\n")

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer ends a process that gets no memory")
    def test_memory_that_was_refused_and_done_without(self):
        for name, code, fields, verdict in GONE_ON:
            with self.subTest(name):
                job = self.client.run(code, **fields)
                self.assertEqual(job.verdict, verdict, job.result)
                self.assertEqual("where" in job.result, verdict in ("wall_limit", "cpu_limit"), job.result)

    @unittest.skipUnless(os.geteuid() == 0, "takes root, to become somebody else")
    def test_where_it_was_while_another_hoards_signals(self):
        """Those that wait are counted for all processes of one id."""
        hoard = ("import os, signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(34, 60))\nfor _ in range(200):\n"
                 "    try:\n        os.kill(os.getpid(), 34)\n    except OSError: break\nprint('ready', flush=True)\ntime.sleep(8)\n")
        with pool.Pool(workers=2, user=pool.STRANGER) as p:
            other = p.client.enqueue(pool.make_zip(hoard), wall_ms=20000)
            for entry in p.client.entries(other):
                if b"ready" in entry[b"d"]:
                    break
            for _ in range(3):
                self.assertIn("robot.py, line", p.client.run(SPIN, cpu_ms=200).result.get("where", ""))
            p.client.cancel(other)

    def test_where_it_was_by_its_own_word(self):
        printing = "import threading\ndef f():\n    while True:\n        print('x' * 99)\n"
        for code, fields, verdict, line in (
                (printing + "f()\n", {"output_kb": 8}, "output_limit", 4),
                (printing + "t = threading.Thread(target=f)\nt.start()\nt.join()\n", {"output_kb": 8}, "output_limit", 4),
                ("import os\nwhile True: os.write(1, b'x' * 999)\n", {"output_kb": 8}, "output_limit", 2),
                ("import json, sys\nfor i in range(9999):\n    json.dump([i] * 99, sys.stdout)\n", {"output_kb": 8}, "output_limit", 3),
                ("def f():\n    return bytearray(1 << 40)\n\n\nf()\n", {}, "memory_limit", 2),
                ("l = []\nwhile True:\n    l.append(bytearray(1 << 20))\n", {"memory_mb": 64}, "memory_limit", 3)):
            if pool.SANITIZED and verdict == "memory_limit":
                continue
            for trace in "off", "lines":
                with self.subTest(code, trace=trace):
                    job = self.client.run(code, trace=trace, **fields)
                    self.assertEqual((job.verdict, job.result.get("where")), (verdict, f"robot.py, line {line}"), job.result)
                    self.assertIn(f" It was at robot.py, line {line}. ", job.result["sentence"])

    def test_where_it_was(self):
        """Said of the line in the program, also within the library, and of one that is deaf to signals."""
        loop = "def work(n):\n    while True:\n        n += 1\n\nwork(0)\n"
        for code, fields, where in (
                (loop, {"cpu_ms": 200}, "robot.py, line [23]$"),
                ("import time\nfor i in range(9):\n    time.sleep(9)\n", {"wall_ms": 200}, "robot.py, line 3"),
                ("import json\nwhile True:\n    json.dumps({'a': [1] * 1000}, indent=1)\n", {"cpu_ms": 200}, "robot.py, line [23]"),
                ("import threading\ndef f():\n    while True: pass\nt = threading.Thread(target=f)\nt.start()\nt.join()\n", {"cpu_ms": 200},
                 "robot.py, line 3$"), (THREADS.format("lock.acquire()"), {"cpu_ms": 300}, "robot.py, line 4$"),
                (THREADS.format("import time; time.sleep(99)"), {"cpu_ms": 300}, "robot.py, line 4$"),
                # All wait: the main thread, or what it waits for when it has ended.
                ("import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()\ntime.sleep(9)\n",
                 {"wall_ms": 300}, "robot.py, line 3$"),
                ("import threading, time\ndef f():\n    time.sleep(9)\nthreading.Thread(target=f).start()\n", {"wall_ms": 300},
                 "robot.py, line 3$"),
                ("x = 3 ** 10 ** 8\n", {"cpu_ms": 200}, "robot.py, line 1"),
                # A text that the program made code of, and one that the library did.
                ("exec('x = 1\\nwhile True: pass')\n", {"cpu_ms": 200}, "^<string>, line 2$"),
                ("import timeit\ntimeit.timeit('while True: pass')\n", {"cpu_ms": 200}, "^robot.py, line 2$"),
                (DEAF.format(how="signal.SIG_IGN") + SPIN, {"cpu_ms": 200}, "robot.py, line 5$"),
                (DEAF.format(how="lambda *_: None") + SPIN, {"cpu_ms": 200}, "robot.py, line 5$"),
                (MASK + SPIN, {"cpu_ms": 200}, "robot.py, line 3$"),
                ("class S(str): pass\nexec(S('def f():\\n    while True: pass\\nf()\\n'))\n", {"cpu_ms": 200}, "<string>, line 2$"),
                ("exec(bytearray(b'def f():\\n    while True: pass\\nf()\\n'))\n", {"cpu_ms": 200}, "<string>, line 2$"),
                ("import threading\nthreading.Thread(target=exec, args=('def f():\\n    while True: pass\\nf()\\n', {})).start()\n",
                 {"cpu_ms": 200}, "<string>, line 2$")):
            with self.subTest(code):
                job = self.client.run(code, **fields)
                self.assertIn(job.verdict, ("cpu_limit", "wall_limit"))
                self.assertRegex(job.result["where"], where)
                self.assertIn(f"It was at {job.result['where']}.", job.result["sentence"])
        job = self.client.run({"user/robot.py": "import deep.arm\n", "user/deep/arm.py": loop}, cpu_ms=200)
        self.assertRegex(job.result["where"], "^deep/arm.py, line [23]$")
        files = {"main.py": "import modul_ü.größe as m\nm.f()\n", "modul_ü/größe.py": "def f():\n    while True:\n        pass\n"}
        with pool.Pool(workers=1) as p:
            self.assertRegex(p.client.run(pool.make_zip(files), cpu_ms=200).result["where"], "^modul_ü/größe.py, line [23]$")

    def test_where_it_was_between_lines(self):
        """Much of what handles an exception, or goes on with a generator, is of no line."""
        for code, lines in (("while True:\n    try:\n        n = int('x')\n        break\n    except ValueError:\n        pass\n", (1, 2, 3, 5, 6)),
                            ("d = {}\nwhile True:\n    try: d[1]\n    except KeyError: pass\n    else: print('never')\n", (2, 3, 4)),
                            ("d = {}\nwhile True:\n    try:\n        try: d[1]\n        finally: d\n        print('never')\n    except KeyError as error:\n"
                             "        try: error.x\n        except: pass\n        else: print('never')\n    else: print('never')\n", (2, 3, 4, 5, 7, 8, 9)),
                            ("def g():\n    yield 1\n\nwhile True: next(g())\n", (1, 2, 4)),
                            # It is what comes behind both that takes the time, and that is of neither.
                            ("x = 0\ntry: x\nexcept ValueError:\n    print('never')\nwhile True:\n    try:\n        [0] * 10**6 if x else [1] * 10**6\n"
                             "    except KeyError:\n        print('never')\n", (5, 6, 7))):
            jobs = [self.client.enqueue(pool.make_zip(code), cpu_ms=20 + i, trace=("off", "calls", "lines", "steps")[i % 4]) for i in range(100)]
            places = [self.client.wait(job).result.get("where") for job in jobs]
            self.assertLessEqual(places.count(None), 10, "a machine that is busy")
            self.assertLessEqual(set(places) - {None}, {f"robot.py, line {line}" for line in lines}, code)

    def test_where_it_was_as_c_calls_python(self):
        """There is a moment at which the interpreter does not know its own frame."""
        for code, line in (("from collections import deque\nfrom itertools import repeat\ndef f(x): pass\nwhile True:\n"
                            "    deque(map(f, repeat(0)), 0)\n", "[345]"),
                           ("d = [(i * 7919 % 1000,) for i in range(1000)]\nwhile True: d.sort(key=lambda p: p[0])\n", "2")):
            jobs = [self.client.enqueue(pool.make_zip(code), cpu_ms=20 + i % 8) for i in range(200)]
            ended = [self.client.wait(job).result for job in jobs]
            self.assertEqual({result["signal"] for result in ended}, {signal.SIGKILL})
            for result in ended:
                self.assertRegex(result.get("where", ""), f"^(robot.py, line {line})?$")

    def test_where_it_was_at_its_end(self):
        """It waits for threads, but not for daemons, and can be in no line of the library's."""
        begin = ("import threading, time\ndef beat():\n    while True: time.sleep(1)\ndef work():\n    time.sleep(100)\n"
                 "threading.Thread(target=beat, daemon=True).start()\n")
        work = "threading.Thread(target=work).start()\n"
        for code, line in ((begin + work, 5), (begin + "threading.Timer(100, print).start()\n" + work, 5), (begin + "threading.Timer(100, print).start()\n", 3),
                           (begin + "import concurrent.futures as c\nc.ThreadPoolExecutor(1).submit(work)\n", 5)):
            job = self.client.run(code, wall_ms=600)
            self.assertEqual((job.verdict, job.result.get("where")), ("wall_limit", f"robot.py, line {line}"), code)

    def test_where_it_was_in_a_thread_that_computes_in_c(self):
        """It holds no lock of the interpreter's, and others only wait for it, or wake up now and then."""
        begin = ("import hashlib, threading, time\ndef compute():\n    while True: hashlib.sha512(data)\ndata = bytes(20_000_000)\n"
                 "def doze():\n    while True: time.sleep(0.01)\nthread = threading.Thread(target=compute)\n")
        for more in ("thread.start()\nthread.join()\n", "thread.start()\n", "threading.Thread(target=doze).start()\nthread.start()\ndoze()\n",
                     "from concurrent.futures import ThreadPoolExecutor as T\nwith T(2) as pool: list(pool.map(lambda n: compute(), [1, 2]))\n"):
            for limits in {"cpu_ms": 800}, {"wall_ms": 1500, "cpu_ms": 20000}:  # it has to begin, on a busy machine
                with self.subTest(more, **limits):
                    jobs = [self.client.enqueue(pool.make_zip(begin + more), **limits) for _ in range(4)]
                    places = [self.client.wait(job).result.get("where") for job in jobs]
                    self.assertGreaterEqual(places.count("robot.py, line 3"), 2, places)  # it may have no turn, on a busy machine

    def test_where_it_was_beside_threads_that_nap(self):
        """They wake up now and then, and use little; the main one is met in the kernel, or holds the lock, or gives it away."""
        begin = ("import os, threading, time\ndef nap(n, size):\n    while True:\n        time.sleep(n); list(range(size))\n"
                 "for n, size in (0.001, 1), (0.005, 100), (0.01, 500): threading.Thread(target=nap, args=(n, size), daemon=True).start()\n")
        for line, more in ((6, "while True: os.urandom(1 << 20)\n"), (6, "while True: print('x', flush=True)\n"), (6, "while True: time.sleep(0)\n"),
                           (6, "while True: pass\n")):
            with self.subTest(more):
                jobs = [self.client.enqueue(pool.make_zip(begin + more), cpu_ms=800, output_kb=20000) for _ in range(4)]
                places = [self.client.wait(job).result.get("where") for job in jobs]
                self.assertGreaterEqual(places.count(f"robot.py, line {line}"), 2, places)

    def test_where_it_was_among_many_threads(self):
        """One that computes is found among them, the oldest, whose clock is looked at last."""
        code = ("import threading, time\ndef compute():\n    while True: pass\ndef wait(): time.sleep(1000)\nthreading.stack_size(1 << 16)\n"
                "threading.Thread(target=compute).start()\nfor i in range({}): threading.Thread(target=wait).start()\nwait()\n")
        for count in 30, 90:
            with self.subTest(count):
                jobs = [self.client.enqueue(pool.make_zip(code.format(count)), cpu_ms=1500, memory_mb=512) for _ in range(3)]
                places = [self.client.wait(job).result.get("where") for job in jobs]
                self.assertGreaterEqual(places.count("robot.py, line 3"), 2, places)

    def test_where_it_was_while_many_threads_compute_in_c(self):
        """Each waits for its turn behind all others, and all use up time meanwhile."""
        code = ("import hashlib, threading\ndata = bytes(60_000_000)\ndef compute():\n    while True:\n        hashlib.md5(data)\n"
                "threads = [threading.Thread(target=compute) for _ in range(16)]\nfor t in threads: t.start()\nthreads[0].join()\n")
        for limit in {"cpu_ms": 1000}, {"cpu_ms": 100000, "wall_ms": 700}:
            with self.subTest(limit):
                places = [self.client.run(code, **limit).result.get("where") for _ in range(6)]
                self.assertGreaterEqual(places.count("robot.py, line 5"), 5, places)

    def test_where_it_was_on_a_busy_machine(self):
        """Threads that give way to each other, where the next one's turn comes late, and use up time meanwhile."""
        code = ("import threading\ndef f():\n    n = 0\n    while True: n += 1\nthreads = [threading.Thread(target=f) for _ in range(4)]\n"
                "for t in threads: t.start()\nfor t in threads: t.join()\n")
        with pool.Pool(workers=6) as p:
            jobs = [p.client.enqueue(pool.make_zip(code), cpu_ms=150) for _ in range(30)]
            places = [p.client.wait(job).result.get("where") for job in jobs]
        self.assertLessEqual(places.count(None), 10, "all the time may be over before its turn comes")
        self.assertEqual(set(places) - {None}, {"robot.py, line 4"})

    def test_nesting_is_no_memory(self):
        job = self.client.run("x = " + "not " * 7000 + "1\n")
        self.assertEqual(job.verdict, "compile_error", job.result)
        self.assertEqual(job.result["sentence"], "Python cannot read your program: MemoryError. It is nested too deep, or too long, for "
                         "Python's compiler: write it in smaller steps.")
        job = self.client.run({"user/robot.py": "import arm\n", "user/arm.py": "x = " + "not " * 7000 + "1\n"})
        self.assertEqual(job.verdict, "exception", job.result)
        self.assertIn("arm.py cannot be compiled: it is nested too deep", job.result["sentence"])

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer ends a process that gets no memory")
    def test_memory_that_was_missed_and_is_not_any_more(self):
        """A MemoryError that was caught decides nothing that comes later; nor does one that a program makes up."""
        fill = "k = []\ntry:\n    while True: k.append(bytearray(1 << 20))\nexcept MemoryError:\n    k.clear()\n"
        absurd = "try: x = [0] * 10**11\nexcept MemoryError: pass\n"
        for code, fields, verdict in ((fill + "import time\ntime.sleep(99)\n", {"wall_ms": 800}, "wall_limit"),
                                      (absurd + "import time\ntime.sleep(99)\n", {"wall_ms": 800}, "wall_limit"),
                                      (fill + "import os\nos.abort()\n", {}, "crashed"), (absurd + "import os\nos.abort()\n", {}, "crashed"),
                                      ("raise MemoryError('the backpack is full')\n", {}, "exception"),
                                      ("raise MemoryError\n", {}, "exception"), ("x = list(range(2 * 10**18))\n", {}, "memory_limit"),
                                      ("x = [0] * (2 * 10**18)\n", {}, "memory_limit"), ("bytearray(2**63 - 1)\n", {}, "memory_limit"),
                                      ("import sqlite3\nc = sqlite3.connect(':memory:')\n"
                                       "c.execute('select length(randomblob(900000000))').fetchall()\n", {}, "memory_limit"),
                                      ("import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('create table t(a)')\n"
                                       "while True: c.execute('insert into t values(zeroblob(1000000))')\n", {"memory_mb": 128}, "memory_limit")):
            with self.subTest(code):
                job = self.client.run(code, **fields)
                self.assertEqual(job.verdict, verdict, job.result)

    def test_in_every_trace(self):
        """A trace costs its program time, and that is all."""
        for trace in ("off", "calls"):
            with self.subTest(trace):
                job = self.client.run("def f(): pass\nwhile True: f()\n", cpu_ms=100, trace=trace)
                self.assertEqual(job.verdict, "cpu_limit", job.result)

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer takes address space and memory of its own")
    def test_threads_have_the_stacks_that_were_asked_for(self):
        """Small ones where nobody asked, so that a hundred take no more memory than there is; large ones for deep recursion."""
        many = ("import threading\nwait = threading.Event()\nthreads = [threading.Thread(target=wait.wait) for _ in range(100)]\n"
                "for t in threads: t.start()\nprint(threading.active_count(), threading.stack_size())\nwait.set()\n")
        deep = ("import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(64 << 20)\nclass Node:\n"
                "    def __init__(self, n): self.child = Node(n - 1) if n else None\n"
                "def main(): print(len(str(Node(20000).child)) > 0)\nfor _ in range(2):\n    t = threading.Thread(target=main)\n"
                "    t.start()\n    t.join()\nprint(threading.stack_size())\n")
        for code, out in ((many, f"101 {1 << 20}\n"), (deep, f"True\nTrue\n{64 << 20}\n")):
            job = self.client.run(code)
            self.assertEqual(recording.text(recording.decode(job.recording, partial=True)), out, job.result)

    def test_threads_are_counted_where_that_can_be(self):
        """Small stacks, so that it is not memory that ends it."""
        code = ("import threading, time\nthreading.stack_size(65536)\nn = 0\ntry:\n    while n < 2000:\n"
                "        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n        n += 1\n"
                "except RuntimeError as error:\n    print(error)\nprint(n)\n")
        for isolation, most in (("auto", 128), ("single", 128 * 12)):
            if os.geteuid() != 0 and isolation == "auto":
                continue
            with self.subTest(isolation), pool.Pool(workers=1, isolation=isolation) as p:
                said, count = recording.text(recording.decode(p.client.run(code, memory_mb=512).recording)).splitlines()
                self.assertEqual(said, "can't start new thread")
                self.assertLess(int(count), most)
                self.assertGreater(int(count), 100)

    def test_address_space_follows_memory(self):
        code = "import resource\nprint(resource.getrlimit(resource.RLIMIT_AS)[1])\n"
        spaces = [int(recording.text(recording.decode(self.client.run(code, memory_mb=memory).recording))) for memory in (32, 64, 128)]
        self.assertEqual([spaces[1] - spaces[0], spaces[2] - spaces[1]], [4 * 32 << 20, 4 * 64 << 20])

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer ends a process that gets no memory")
    def test_threads_are_bounded(self):
        job = self.client.run("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(100,)).start()",
                              memory_mb=64, wall_ms=3000)
        self.assertIn(job.verdict, ("exception", "wall_limit"))  # the threads are waited for
        self.assertIn("RuntimeError: can't start new thread",
                      recording.text(recording.decode(job.recording, partial=True), "err") + str(job.result))

    def test_limits_are_a_job_s_own(self):
        """isolate#109, #158, #195: what one job was given, lowered or used up is not the next one's."""
        tight = {"cpu_ms": 100, "wall_ms": 300, "memory_mb": 32, "output_kb": 1}
        lower = ("import resource\nfor limit in range(16):\n    try: resource.setrlimit(limit, (0, 0))\n"
                 "    except (OSError, ValueError): pass\n" + SPIN)
        wide = ("import time, resource\nx = bytearray(64 << 20)\nwhile time.process_time() < 0.3: pass\n"
                "time.sleep(0.3)\nprint('x' * 5000)\nprint(resource.getrlimit(resource.RLIMIT_DATA))\n")
        data = set()
        for _ in range(3):
            for program in (SPIN, "import time\ntime.sleep(9)", "print('x' * 5000)", lower):
                self.assertIn(self.client.run(program, **tight).verdict, ("cpu_limit", "wall_limit", "output_limit"))
            job = self.client.run(wide)
            self.assertEqual(job.verdict, "ok", job.result)
            data.add(recording.text(recording.decode(job.recording)).splitlines()[-1])
        self.assertEqual(len(data), 1)

    def test_there_is_no_life_without_limits(self):
        """0, nothing and less are refused, and what is not said has a default."""
        for name in ("cpu_ms", "wall_ms", "memory_mb", "output_kb"):
            for value in ("0", "", "-1"):
                with self.subTest(f"{name}={value}"), self.assertRaisesRegex(Exception, f"BADFIELD {name}"):
                    self.client.enqueue(pool.make_zip("print(1)"), **{name: value})
        fields = self.client.job(self.client.enqueue(pool.make_zip("import time\ntime.sleep(1)")))
        for name in ("cpu_ms", "wall_ms", "memory_mb", "output_kb"):
            self.assertGreater(int(fields[name]), 0)


class Clock(unittest.TestCase):
    def test_computing_time_is_a_job_s_own(self):
        """All of it, also what it used before the zygote came to look."""
        code = ("import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass\n"
                "print('begun', flush=True)\ntime.sleep(9)\n")
        with pool.Pool(workers=1) as p:
            p.client.run("print(1)")
            p.count_fds()  # when a sandbox waits
            zygote = p.zygote()
            os.kill(zygote, signal.SIGSTOP)
            job = p.client.enqueue(pool.make_zip(code), wall_ms=2000, cpu_ms=1000)
            faults_test.begun(p.client, job)
            os.kill(zygote, signal.SIGCONT)
            result = p.client.wait(job).result
            self.assertEqual(result["verdict"], "wall_limit", result)
            self.assertGreaterEqual(result["cpu_ms"], 100)


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
class Signals(unittest.TestCase):
    """A timer holds a signal, of as many as the kernel grants a user, or the maker of a namespace."""

    WORKERS = 3

    def check(self, limit):
        return subprocess.run(["bash", "-c", f'ulimit -i {limit}; exec "$0" --check-sandbox --workers={self.WORKERS}',
                               pool.program("paddock-supervisor")], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=pool.PATIENCE)

    def least(self):
        least = int(re.search(r"\(ulimit -i\) is 1, and Paddock needs (\d+)", self.check(1).stderr)[1])
        self.assertEqual((self.check(least - 1).returncode, self.check(least).returncode), (125, 0))
        return least

    def test_pending_signals_of_some_leave_others_their_timers(self):
        least = self.least()
        for user, refused in (None, False), (pool.STRANGER, False), (pool.STRANGER, True):
            def born():
                resource.setrlimit(resource.RLIMIT_SIGPENDING, (least, least))
                if refused:
                    pool.refuse_namespaces()
            with (self.subTest(user=user, refused=refused),
                  pool.Pool(workers=self.WORKERS, user=user, born={"preexec_fn": born}) as p):
                hogs = [p.client.enqueue(pool.make_zip(HOG)) for _ in range(self.WORKERS - 1)]
                for hog in hogs:
                    faults_test.begun(p.client, hog)
                for _ in range(2):
                    job = p.client.run(SPIN, cpu_ms=100)
                    self.assertEqual(job.verdict, "cpu_limit", job.result)
                for hog in hogs:
                    p.client.cancel(hog)
                    self.assertEqual(p.client.wait(hog).verdict, "cancelled")


class Maxima(unittest.TestCase):
    def test_operator_s_maxima_cap(self):
        with pool.Pool(workers=1, max_cpu_ms=200, max_wall_ms=3000, max_memory_mb=48, max_output_kb=2) as p:
            fields = {"cpu_ms": 60000, "wall_ms": 60000, "memory_mb": 512, "output_kb": 1024}
            rows = [(SPIN, "cpu_limit"), ("import time\ntime.sleep(50)", "wall_limit"),
                    ("print('x' * 10000)", "output_limit")]
            if not pool.SANITIZED:
                rows.append(("x = bytearray(100 << 20)", "memory_limit"))
            for code, verdict in rows:
                for asked in (fields, {}):
                    with self.subTest(code, asked=bool(asked)):
                        job = p.client.run(code, **asked)
                        self.assertEqual(job.verdict, verdict, job.result)


if __name__ == "__main__":
    unittest.main()
