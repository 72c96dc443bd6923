# SPDX-License-Identifier: MIT
"""Attacks on the sandbox as real jobs: what each tries, what must come of it, and that the next job is right."""

import unittest
import zipfile

import pool
import recording

# Honest programs that do what is not allowed: an exception that says so, and the program goes on.
DENIED = [
    ("fork", "import os\nos.fork()", "PermissionError"),
    ("system", "import os\nos.system('id')", "PermissionError"),
    ("subprocess", "import subprocess\nsubprocess.run(['id'])", "Error"),
    ("socket", "import socket\nsocket.socket()", "PermissionError"),
    ("socketpair", "import socket\nsocket.socketpair()", "PermissionError"),
    ("read a file", "open('/etc/passwd')", "FileNotFoundError"),
    ("write a file", "open('log.txt', 'w')", "OSError"),
    ("make a folder", "import os\nos.mkdir('x')", "OSError"),
    ("list the root", "import os\nos.listdir('/')", "Error"),
    ("kill the parent", "import os\nos.kill(os.getppid(), 9)", "PermissionError"),
    ("kill everybody", "import os\nos.kill(-1, 9)", "PermissionError"),
    ("become root", "import os\nos.setuid(0)", "PermissionError"),
    ("new session", "import os\nos.setsid()", "PermissionError"),
    ("priority", "import os\nos.nice(-20)", "PermissionError"),
    ("an alarm", "import signal\nsignal.setitimer(signal.ITIMER_REAL, 1)", "itimer_error"),
    ("raise a limit", "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (9999, 9999))", "ValueError"),
    ("4 GB at once", "bytearray(4 << 30)", "MemoryError"),
]

# Calls that only an attacker makes: killed, and the result names the call.
FORBIDDEN = [
    ("ptrace", 101, "0, 0, 0, 0"),
    ("execve", 59, "0, 0, 0"),
    ("mount", 165, "0, 0, 0, 0, 0"),
    ("unshare", 272, "0x10000000"),
    ("setns", 308, "0, 0"),
    ("bpf", 321, "0, 0, 0"),
    ("io_uring_setup", 425, "1, 0"),
    ("keyctl", 250, "0, 0, 0, 0, 0"),
    ("memfd_create", 319, "0, 0"),
    ("process_vm_readv", 310, "1, 0, 0, 0, 0, 0"),
    ("userfaultfd", 323, "0"),
    ("perf_event_open", 298, "0, 0, 0, 0, 0"),
    ("pivot_root", 155, "0, 0"),
    ("chroot", 161, "0"),
]

RAW = "import ctypes\nprint('before', flush=True)\nctypes.CDLL(None).syscall({number}, {arguments})\nprint('after')\n"

# What ends in a limit or a crash, and how.
CONTAINED = [
    ("spin", "while True: pass", {"cpu_ms": 100}, "cpu_limit"),
    ("one long C call", "3 ** (10 ** 8)", {"cpu_ms": 200}, "cpu_limit"),
    ("SIGXCPU ignored", "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
     {"cpu_ms": 100}, "cpu_limit"),
    ("spinning threads", "import threading\nfor _ in range(4):\n    threading.Thread(target=lambda: exec("
     "'while True: pass')).start()", {"cpu_ms": 200}, "cpu_limit"),
    ("sleep", "import time\ntime.sleep(1000)", {"wall_ms": 100}, "wall_limit"),
    ("stopped by itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", {"wall_ms": 200},
     "wall_limit"),
    ("a thread that never ends", "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,))."
     "start()", {"wall_ms": 200}, "wall_limit"),
    ("all signals blocked", "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
     "while True: pass", {"cpu_ms": 100}, "cpu_limit"),
    ("flood", "while True: print('x' * 100)", {"output_kb": 10}, "output_limit"),
    ("raw flood", "import os\nwhile True: os.write(1, b'x' * 65536)", {"output_kb": 10}, "output_limit"),
    ("one huge line", "print('x' * 10_000_000)", {"output_kb": 10}, "output_limit"),
    ("memory, one by one", "x = []\nwhile True: x.append(bytearray(1 << 20))", {"memory_mb": 32},
     "memory_limit"),
    ("memory, ignored", "x = []\nwhile True:\n    try:\n        x.append(bytearray(1 << 16))\n    except MemoryError:"
     "\n        pass", {"memory_mb": 32, "cpu_ms": 300}, "cpu_limit"),
    ("abort", "import os\nos.abort()", {}, "crashed"),
    ("segmentation fault", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", {}, "crashed"),
    ("leave at once", "import os\nos._exit(0)", {}, "vanished"),
    ("leave at once with a status", "import os\nos._exit(7)", {}, "vanished"),
    ("a CPU limit of its own", "import resource\ntry:\n    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nexcept ValueError:"
     "\n    pass\nwhile True: pass", {"cpu_ms": 2500}, "cpu_limit"),
    ("an alarm without a handler", "import signal, time\nsignal.alarm(1)\ntime.sleep(9)", {}, "crashed"),
    ("all signals blocked, then printed", "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
     "print('x')", {}, "ok"),
    ("exit hook that never ends", "import atexit, time\natexit.register(time.sleep, 1000)", {"wall_ms": 200},
     "wall_limit"),
    ("fds closed", "import os\nfor fd in range(64):\n    try: os.close(fd)\n    except OSError: pass\nprint('x')",
     {}, "ok"),
    ("streams gone", "import sys\nsys.stdout = sys.stderr = sys.excepthook = None\nraise ValueError('still told')",
     {}, "exception"),
    ("audit hook that raises", "import sys\ndef hook(*a): raise RuntimeError\nsys.addaudithook(hook)\n1/0", {},
     None),
    ("modules gone", "import sys\nsys.modules.clear()\nsys.meta_path.clear()\n1/0", {}, None),
]

# H31: sources that are hard on a compiler, and what may come of each.
HARD_SOURCES = [
    ("a line of 1 MB", "x = '" + "x" * (1 << 20) + "'\nprint(len(x))\n", "ok"),
    ("a sum of 1 MB", "x = " + "1+" * (1 << 19) + "1\n", "compile_error memory_limit crashed"),
    ("100,000 imports", "import sys\n" * 100_000, "ok"),
    ("100,000 functions", "".join(f"def f{i}(): pass\n" for i in range(100_000)), "ok memory_limit cpu_limit"),
    ("10,000 brackets", "x = " + "(" * 10_000 + ")" * 10_000 + "\n", "compile_error"),
    ("100 blocks in one another", "".join(" " * i + "if 1:\n" for i in range(101)) + " " * 101 + "pass\n", "compile_error"),
    ("a package 10,000 deep", "import " + ".".join("a" * 10_000) + "\n", "exception compile_error"),
    ("an attribute 100,000 deep", "x" + ".a" * 100_000 + "\n", "exception compile_error memory_limit crashed"),
    ("a NUL", "x = 1\0\n", "compile_error"),
    ("a number of 100,000 digits", "x = " + "9" * 100_000 + "\n", "compile_error"),
]


if pool.SANITIZED:
    # AddressSanitizer ends a process that gets no memory, before Python can, and its own handlers of
    # faults come before the kernel's.
    DENIED = [row for row in DENIED if row[2] != "MemoryError"]
    CONTAINED = [row for row in CONTAINED if "memory" not in row[0] and row[3] != "crashed"]
    HARD_SOURCES = [row for row in HARD_SOURCES if row[2] in ("ok", "compile_error")]


class Sandbox(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = pool.Pool(workers=2, allow_ctypes="yes")
        cls.pool.__enter__()
        cls.client = cls.pool.client

    @classmethod
    def tearDownClass(cls):
        cls.pool.__exit__(None, None, None)

    def tearDown(self):
        job = self.client.run("print('next')")
        self.assertEqual((job.verdict, recording.text(recording.decode(job.recording))), ("ok", "next\n"))

    def test_denied_calls_raise(self):
        for name, code, error in DENIED:
            with self.subTest(name):
                job = self.client.run("print('before')\n" + code + "\n")
                verdict = "memory_limit" if error == "MemoryError" else "exception"
                self.assertEqual(job.verdict, verdict, job.result)
                self.assertIn(error, job.result["claim"])

    def test_forbidden_calls_are_named(self):
        for name, number, arguments in FORBIDDEN:
            with self.subTest(name):
                job = self.client.run(RAW.format(number=number, arguments=arguments))
                self.assertEqual(job.verdict, "forbidden", job.result)
                self.assertEqual(job.result["call"], name)
                self.assertEqual(job.result["exit_code"], 87)
                text = recording.text(recording.decode(job.recording, partial=True))
                self.assertEqual(text, "before\n")

    def test_foreign_abi_is_killed(self):
        code = RAW.format(number=0x40000000 + 39, arguments="0")
        self.assertEqual(self.client.run(code).verdict, "forbidden")

    def test_contained(self):
        for name, code, fields, verdict in CONTAINED:
            with self.subTest(name):
                job = self.client.run(code, **fields)
                if verdict is not None:
                    self.assertEqual(job.verdict, verdict, job.result)

    def test_hard_sources(self):
        for name, source, verdicts in HARD_SOURCES:
            with self.subTest(name):
                job = self.client.run(pool.make_zip(source, zipfile.ZIP_STORED))
                self.assertIn(job.verdict, verdicts.split(), job.result)

    def test_random_numbers_differ(self):
        code = "import random, uuid\nprint(random.random(), random.getrandbits(64))"
        outputs = {recording.text(recording.decode(self.client.run(code).recording)) for _ in range(8)}
        self.assertEqual(len(outputs), 8)

    def test_nothing_is_seen_of_the_job_before(self):
        first = "import json, os\njson.left = 1\nos.environ['LEFT'] = '1'\nimport builtins\nbuiltins.left = 1\n"
        second = "import json, os, builtins\nprint(hasattr(json, 'left'), 'LEFT' in os.environ, hasattr(builtins, 'left'))"
        for _ in range(4):
            self.assertEqual(self.client.run(first).verdict, "ok")
        for _ in range(4):
            job = self.client.run(second)
            self.assertEqual(recording.text(recording.decode(job.recording)), "False False False\n")

    def test_no_secret_in_memory(self):
        code = ("import ctypes, os, sys\nprint(sorted(os.environ), sys.path[1:2])\n"
                "print(os.getuid() == 0, os.getgroups())\n")
        job = self.client.run(code)
        text = recording.text(recording.decode(job.recording))
        self.assertEqual(text, "['HOME', 'LANG', 'USER'] ['/usr/lib/python3.11']\nFalse []\n")

    def test_fake_claim_gains_nothing_over_evidence(self):
        """A program that ends itself by a signal is `crashed`, whatever it wrote before."""
        code = "print('{\"kind\": \"result\", \"verdict\": \"ok\"}')\nimport os\nos.abort()\n"
        self.assertEqual(self.client.run(code).verdict, "crashed")


if __name__ == "__main__":
    unittest.main()
