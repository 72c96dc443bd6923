# SPDX-License-Identifier: MIT
"""What a program leaves running when it has ended, and that this neither delays nor changes its result beyond the grace.
The wall limit is far beyond any test's patience: whoever met it would not be heard of in time."""

import unittest

import pool
import recording

SLEEP = "import threading, time\nthread = threading.Thread(target=time.sleep, args=(1000,))\nthread.start()\n"
SPIN = "import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin, daemon={daemon}).start()\n"
STILL = "still there a grace after its own end"

# name, program, verdict, detail
ROWS = [
    ("an exception, a thread that sleeps", SLEEP + "1 / 0\n", "exception", STILL),
    ("exit(), a thread that sleeps", SLEEP + "exit(3)\n", "exit", STILL),
    ("exit() from a thread's point of view", SLEEP + "thread.join(0.01)\nraise SystemExit('no')\n", "exit", STILL),
    ("an exception, a thread that computes", SPIN.format(daemon=False) + "1 / 0\n", "exception", STILL),
    ("an exception, a daemon that computes", SPIN.format(daemon=True) + "1 / 0\n", "exception", ""),
    ("the end, a daemon that computes", SPIN.format(daemon=True), "ok", ""),
    ("a text that cannot be compiled, a thread", SLEEP + "compile('(', 'x.py', 'exec')\n", "exception", STILL),
    ("no memory, a thread", SLEEP + "bytearray(1 << 40)\n", "memory_limit", STILL),
    ("the end, atexit", "import atexit, time\natexit.register(time.sleep, 1000)\n", "ok", STILL),
    ("the end, atexit that computes", "import atexit\ndef spin():\n    while True: pass\natexit.register(spin)\n", "ok", STILL),
    ("the end, atexit that starts a thread", "import atexit\ndef late():\n    " + SLEEP.replace("\n", "\n    ")
     + "thread.join()\natexit.register(late)\n", "ok", STILL),
    ("an exception, atexit", "import atexit, time\natexit.register(time.sleep, 1000)\n1 / 0\n", "exception", STILL),
    ("an exception, atexit that leaves", "import atexit, os\natexit.register(os._exit, 0)\n1 / 0\n", "exception", ""),
    ("the end, atexit that leaves", "import atexit, os\natexit.register(os._exit, 7)\n", "ok", ""),
    ("an exception, __del__", "import time\nclass A:\n    def __del__(self): time.sleep(1000)\ndef main():\n    a = A()\n    1 / 0\nmain()\n",
     "exception", STILL),
    ("an exception that holds one, __del__", "import time\nclass A(Exception):\n    def __del__(self): time.sleep(1000)\nraise A\n",
     "exception", STILL),
    ("an exception, logging's handler", "import logging, time\nclass H(logging.Handler):\n    def flush(self): time.sleep(1000)\n"
     "logging.getLogger().addHandler(H())\n1 / 0\n", "exception", STILL),
    ("the end, a stream that hangs", "import sys, time\nclass S:\n    def write(self, text): pass\n    def flush(self): time.sleep(1000)\n"
     "sys.stdout = S()\n", "ok", STILL),
    ("an exception, an executor", "import concurrent.futures, time\npool = concurrent.futures.ThreadPoolExecutor(1)\n"
     "pool.submit(time.sleep, 1000)\n1 / 0\n", "exception", STILL),
    ("an exception whose text hangs", "import time\nclass E(Exception):\n    def __str__(self): time.sleep(1000)\nraise E\n",
     "exception", STILL),
    ("an exception, a hook that hangs", "import sys, time\nsys.excepthook = lambda *e: time.sleep(1000)\n1 / 0\n", "exception", STILL),
    ("an exit whose text hangs", "import time\nclass T:\n    def __str__(self): time.sleep(1000)\nexit(T())\n", "exit", STILL),
    ("an exception, a stream that hangs", "import sys, time\nclass S:\n    def write(self, text): time.sleep(1000)\n"
     "    def flush(self): pass\nsys.stderr = S()\n1 / 0\n", "exception", STILL),
    ("an exception, a daemon that holds Python", "import threading\nlock = threading.Lock(); lock.acquire()\ndef work():\n"
     "    lock.acquire(); 3 ** (10 ** 8)\nthreading.Thread(target=work, daemon=True).start()\ne = None\nfor i in range(400):\n"
     "    try: raise ValueError(i) from e\n    except ValueError as x: e = x\nlock.release()\nraise e\n", "exception", STILL),
    # What Python itself waits for is the program, going on.
    ("the end, a thread that goes on", "import threading, time\ndef work():\n    time.sleep(1.5)\n    print('done')\n"
     "threading.Thread(target=work).start()\n", "ok", ""),
    ("exit(0), a thread that goes on", "import threading, time\ndef work():\n    time.sleep(1.5)\n    print('done')\n"
     "threading.Thread(target=work).start()\nexit()\n", "ok", ""),
]

if pool.SANITIZED:
    # AddressSanitizer ends a process that gets no memory, and its own memory makes others end sooner.
    ROWS = [row for row in ROWS if row[0] not in ("no memory, a thread", "an exception, a daemon that holds Python")]

LIMITS = [
    ("a thread that goes on", SLEEP, {"wall_ms": 300}, "wall_limit"),
    ("a thread that goes on computing", SPIN.format(daemon=False), {"cpu_ms": 200}, "cpu_limit"),
    ("atexit, over the wall limit within the grace", "import atexit, time\natexit.register(time.sleep, 1000)\n", {"wall_ms": 300}, "ok"),
    ("atexit, over the CPU limit within the grace", "import atexit\ndef spin():\n    while True: pass\natexit.register(spin)\n",
     {"cpu_ms": 200}, "cpu_limit"),
    ("an exception, then over the CPU limit", SPIN.format(daemon=False) + "1 / 0\n", {"cpu_ms": 200}, "exception"),
    ("an exception, then too much output", "import atexit\ndef flood():\n    while True: print('x' * 1000)\n"
     "atexit.register(flood)\n1 / 0\n", {"output_kb": 8}, "output_limit"),
]


class Ending(pool.TestCase):
    OPTIONS = {"workers": 4, "max_cpu_ms": 600_000, "max_wall_ms": 600_000}

    def test_what_is_left_running_has_a_grace(self):
        ids = [self.client.enqueue(pool.make_zip(code), wall_ms=600_000, cpu_ms=600_000) for _, code, _, _ in ROWS]
        for (name, _, verdict, detail), job in zip(ROWS, ids):
            with self.subTest(name):
                job = self.client.wait(job)
                self.assertEqual((job.verdict, job.result.get("detail", "")), (verdict, detail), job.result)
                if "goes on" in name:
                    self.assertEqual(recording.text(recording.decode(job.recording)), "done\n")

    def test_what_a_function_returned(self):
        """It goes after the claim, with whatever it does then."""
        for end in "time.sleep(1000)", "os._exit(0)", "1 / 0":
            with self.subTest(end):
                job = self.client.run(f"import os, time\nclass A:\n    def __del__(self): {end}\ndef main(): return A()\n",
                                      entry="robot:main", wall_ms=600_000)
                self.assertEqual(job.verdict, "ok", job.result)

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer has a handler of its own for SIGSEGV")
    def test_a_crash_at_the_end_hides_no_error(self):
        for end, verdict in (("", "crashed"), ("1 / 0\n", "exception"), ("exit(2)\n", "exit")):
            with self.subTest(end):
                job = self.client.run("import atexit, signal\natexit.register(signal.raise_signal, signal.SIGSEGV)\n" + end)
                self.assertEqual(job.verdict, verdict, job.result)
                self.assertEqual(job.result["signal"], 11)

    def test_limits_go_on(self):
        for name, code, fields, verdict in LIMITS:
            with self.subTest(name):
                job = self.client.run(code, **{"wall_ms": 600_000, "cpu_ms": 600_000, **fields})
                self.assertEqual(job.verdict, verdict, job.result)

    def test_what_was_printed_is_kept(self):
        """Also a line that has not ended, and what is printed in the grace."""
        code = SLEEP + "import atexit\natexit.register(print, 'never reached')\nprint('no newline', end='')\n1 / 0\n"
        job = self.client.run(code, wall_ms=600_000)
        records = recording.decode(job.recording, partial=True)
        self.assertEqual(recording.text(records), "no newline", job.result)
        self.assertIn("ZeroDivisionError", recording.text(records, "err"))

        code = "import atexit, time\natexit.register(time.sleep, 1000)\natexit.register(print, 'in the grace')\nprint('first')\n"
        job = self.client.run(code, wall_ms=600_000)
        self.assertEqual(recording.text(recording.decode(job.recording, partial=True)), "first\nin the grace\n", job.result)
