# SPDX-License-Identifier: MIT
"""What a program leaves running when it has ended, and that this neither delays nor changes its result beyond the grace.
The wall limit is far beyond any test's patience: whoever met it would not be heard of in time."""

import json
import os
import re
import subprocess
import tempfile
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
    ("the end, a daemon that is stopped meanwhile", "import os\n" + SPIN.format(daemon=True).replace("pass", "os.sched_yield()")
     + "import time\nclass A:\n    def __del__(self): time.sleep(0.1)\na = A()\n", "ok", ""),
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
     "exception", ""),
    ("an exception, a hook that hangs", "import sys, time\nsys.excepthook = lambda *e: time.sleep(1000)\n1 / 0\n", "exception", STILL),
    ("an exit whose text hangs", "import time\nclass T:\n    def __str__(self): time.sleep(1000)\nexit(T())\n", "exit", ""),
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


GONE = ("class R:\n    def __init__(self, name): self.name = name\n    def __del__(self): print('gone', self.name, helper())\n"
        "def helper(): return 'helped'\n")
SUSPENDED = "def steps():\n    try: yield 1\n    finally: print('closed', helper())\n"

# What goes with a program's modules, and what of it is seen; python3 is what it is compared with. Name: files.
G = "def g():\n    try: yield\n    finally: print('closed')\nit = g()\nnext(it)\n"
MODULES = {
    "a stream on stdout": {"robot.py": "out = open(1, 'w')\nout.write('hello\\n')\n"},
    "a stream on a descriptor": {"robot.py": "import os\nout = os.fdopen(1, 'w', closefd=False)\nprint('x', file=out)\n"},
    "a stream around a buffer": {"robot.py": "import io, sys\nout = io.TextIOWrapper(sys.stdout.buffer)\nout.write('0\\n')\n"},
    "stdout's bytes": {"robot.py": "import sys\nout = sys.stdout.detach()\nout.write(b'answer\\n')\nsys.stdout = None\n"},
    "csv": {"robot.py": "import csv\nw = csv.writer(open(1, 'w', newline=''), lineterminator='\\n')\nw.writerow([1, 2])\n"},
    "stdout replaced": {"robot.py": "import io, sys\nprint('working...', end=' ')\nsys.stdout = io.StringIO()\n"},
    "stdout to nowhere": {"robot.py": "import os, sys\nprint('partial', end='')\nsys.stdout = open(os.devnull, 'w')\n"},
    "a tee that does not flush": {"robot.py": "import sys\nclass Tee:\n    def __init__(self, to): self.to = to\n"
                                  "    def write(self, text): self.to.write(text)\n    def flush(self): pass\n"
                                  "sys.stdout = Tee(sys.stdout)\nprint('x', end='')\n"},
    "a stream that says when it closes": {"robot.py": "import io\nclass A(io.StringIO):\n    def close(self): print('closed')\na = A()\n"},
    "a signal's handler": {"robot.py": "import signal\ndef h(*a): pass\nsignal.signal(signal.SIGTERM, h)\n" + G},
    "print replaced": {"robot.py": "import builtins\nold = print\ndef mine(*a): old(*a)\nbuiltins.print = mine\n"
                                   "class A:\n    def __del__(self): old('gone')\na = A()\n"},
    "a function given to warnings": {"robot.py": "import warnings\ndef h(*a): pass\nwarnings.showwarning = h\n" + G},
    "a daemon that waits": {"robot.py": "import queue, threading\nthreading.Thread(target=queue.Queue().get, daemon=True).start()\n" + G},
    "a daemon that sleeps": {"robot.py": "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n" + G},
    "objects": {"robot.py": GONE + "a = R('a')\n_b = R('_b')\nc = [R('c')]\na.c = c\nprint('end')\n"},
    "an object of a class without a cycle": {"robot.py": "import helper\na = helper.R('a')\n", "helper.py": GONE},
    "in a cycle": {"robot.py": GONE + "c = R('c')\nc.me = c\ndel c\nd = R('d')\nd.me = d\n"},
    "generators": {"robot.py": GONE + SUSPENDED + "s = steps()\nnext(s)\nnever_begun = steps()\n"},
    "coroutines": {"robot.py": "import types\n@types.coroutine\ndef wait(): yield\nasync def work():\n    try: await wait()\n"
                               "    finally: print('closed')\nw = work()\nw.send(None)\nnever = work()\n"},
    "modules and packages": {"robot.py": GONE + "import lib.arm, lib\na = R('a')\n", "lib/arm.py": GONE + "b = R('b')\n",
                             "lib/__init__.py": ""},
    "a package without a file": {"robot.py": "import lib.arm\n", "lib/arm.py": GONE + "b = R('b')\n"},
    "an error in it": {"robot.py": GONE + "def helper(): return 1 / 0\na = R('a')\nb = R('b')\n"},
    "an error": {"robot.py": GONE + SUSPENDED + "a = R('a')\ns = steps()\nnext(s)\n1 / 0\n"},
    "exit()": {"robot.py": GONE + "import sys\na = R('a')\nsys.exit(3)\n"},
    "exit() of it": {"robot.py": GONE + "def helper(): raise SystemExit(4)\na = R('a')\n"},
    "exit functions": {"robot.py": GONE + "import atexit\na = R('a')\natexit.register(print, 'exit')\n"},
    "no collector": {"robot.py": GONE + "import gc\ngc.disable()\na = R('a')\na.me = a\ndel a\nb = R('b')\n"},
    "an eager collector": {"robot.py": "import gc\ngc.set_threshold(1)\n" + GONE + "a = R('a')\na.me = a\n"},
    "another stdout": {"robot.py": GONE + "import io, sys\nclass S(io.StringIO):\n    def __del__(self): print('stream')\n"
                                   "sys.stdout = S()\na = R('a')\n"},
    "a stream of its own": {"robot.py": "import io\nclass S(io.RawIOBase):\n    def writable(self): return True\n    def write(self, b):\n"
                                        "        print(bytes(b))\n        return len(b)\ns = io.BufferedWriter(S())\ns.write(b'x')\n"},
    "a weak reference": {"robot.py": "import weakref\nclass A: pass\na = A()\nr = weakref.ref(a, lambda r: print('called'))\n"
                                     "weakref.finalize(a, print, 'finalized')\n"},
    "written elsewhere": {"robot.py": "exec(open('more.txt').read())\n", "more.txt": GONE + "a = R('a')\n"},
    "an import": {"robot.py": "import helper\na = helper.R()\n", "helper.py": "print('run')\nclass R:\n    def __del__(self):\n"
                                                                         "        import helper\n        print('imported')\n"},
    "a daemon": {"robot.py": GONE + "import threading, time\nc = R('c')\nc.me = c\ndel c\na = R('a')\n"
                             "threading.Thread(target=lambda: time.sleep(1000), daemon=True).start()\n"},
    "held by Python's": {"robot.py": GONE + "import sys\nsys.excepthook = lambda *error: None\nc = R('c')\nc.me = c\ndel c\na = R('a')\n"},
}


# The program has an exception E printed, and goes on.
PRINTED_MEANWHILE = {
    "a thread": "import threading\ndef f(): raise E\nt = threading.Thread(target=f); t.start(); t.join()\n",
    "__del__": "class D:\n    def __del__(self): raise E\nd = D(); del d\n",
    "__del__ in a thread": "import threading\nclass D:\n    def __del__(self): raise E\ndef f(): d = D(); del d\n"
                           "t = threading.Thread(target=f); t.start(); t.join()\n",
    "print_exc": "import traceback\ntry: raise E\nexcept E: traceback.print_exc()\n",
    "print_exc in a thread": "import threading, traceback\ndef f():\n    try: raise E\n    except E: traceback.print_exc()\n"
                             "t = threading.Thread(target=f); t.start(); t.join()\n",
    "excepthook": "import sys\ntry: raise E\nexcept E: sys.excepthook(*sys.exc_info())\n",
    "logging": "import logging\ntry: raise E\nexcept E: logging.exception('x')\n",
    "a task": "import asyncio, gc\nasync def g(): raise E\nasync def main():\n    t = asyncio.create_task(g())\n"
              "    await asyncio.sleep(0)\n    await asyncio.sleep(0)\n    del t\n    gc.collect()\nasyncio.run(main())\n",
}


# What an exception's text may say of the thread, which is asked itself: programs that print it in one, and look at what there is then.
THREAD = ("import asyncio, contextvars, decimal, logging, threading, traceback\nlocal = threading.local()\nvar = contextvars.ContextVar('v')\n"
          "lock = threading.RLock()\nclass E(Exception):\n    def __str__(self):\n        {}\n"
          "def work():\n    local.name = 'worker'\n    var.set('request')\n    decimal.getcontext().prec = 5\n    try: raise E\n    except E:\n"
          "        with lock: traceback.print_exc()\n        logging.exception('logged')\n    {}\n"
          "t = threading.Thread(target=work, name='arm')\nt.start()\nt.join()\nprint(threading.active_count(), [t.name for t in threading.enumerate()])\n")
TEXTS_OF_A_THREAD = ["return threading.current_thread().name", "return local.name", "return var.get()",
                     "with lock: return str(decimal.Decimal(1) / 3)"]


# What is printed of errors.
PRINTED = [
    "import sys\ndef hook(e): print('Oops', e)\nsys.excepthook = hook\nint('x')\n",
    "import sys\ndef hook(*a): raise KeyError\nsys.excepthook = hook\nint('x')\n",
    "import sys\nsys.stderr = None\nprint('result')\n1 / 0\n",
    "import sys\nsys.stderr = None\nsys.exit('bye')\n",
    "import sys, threading\nsys.tracebacklimit = 2\ndef f(): g()\ndef g(): h()\ndef h(): 1 / 0\nt = threading.Thread(target=f, name='T')\n"
    "t.start()\nt.join()\nf()\n",
    "import sys\nsys.exit('bye')\n",
    "import sys\nclass A:\n    def __del__(self): 1 / 0\nsys.stderr = None\nA()\nprint('x')\n",
    "import sys, threading\nsys.stderr = None\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()\n",
    "def f():\n    colour = 1\n    return color\nf()\n",
    "value = 1\ntry: valeu\nexcept NameError as e: raise ExceptionGroup('g', [e, ValueError(2)])\n",
    "import atexit\nclass C:\n    def __call__(self): raise ValueError('in it')\n    def __repr__(self): raise KeyError('r')\n"
    "atexit.register(C())\n",
    "class Many(Exception):\n    exceptions = 3\nimport sys, threading\ntry: raise Many('m')\nexcept Many: sys.excepthook(*sys.exc_info())\n"
    "def f(): raise Many('t')\nt = threading.Thread(target=f, name='T')\nt.start()\nt.join()\nraise Many('x')\n",
    "class A: first = 1\ntry: A().frist\nexcept Exception: prnt(1)\n",
    "import threading\nt = threading.Thread(target=lambda: prnt(), name='T')\nt.start()\nt.join()\n",
    "import sys, traceback\ntry: prnt\nexcept NameError:\n    sys.excepthook(*sys.exc_info())\n    traceback.print_exc()\n",
    "def f(n):\n    if n: return f(n - 1)\n    prnt()\nf(900)\n",
    "a, b = ValueError('a'), ValueError('b')\na.__context__, b.__context__ = b, a\nraise a\n",
    "e = ValueError('a')\ne.add_note('one\\ntwo')\ne.add_note(3)\nraise ExceptionGroup('g', [e, ExceptionGroup('h', [e, KeyError()])])\n",
    "class E(Exception):\n    def __bool__(self): 1 / 0\n    def __cause__(self): 1 / 0\nraise E('x') from E('y')\n",
    "class E(Exception):\n    def __str__(self): 1 / 0\ntry: raise E('x')\nexcept E: 1 / 0\n",
    *(f"class E(Exception):\n    def __str__(self): {how}\n" + source + "print('on')\n" for how in ("return 'said'", "1 / 0")
      for name, source in PRINTED_MEANWHILE.items() if name != "a task"),  # python3's tasks are in C
    *(THREAD.format(text, "raise E") for text in TEXTS_OF_A_THREAD),
    THREAD.format("logging.error('within'); return 'said'", "pass"),
    "import signal, traceback\nsignal.signal(signal.SIGPWR, lambda *a: print('mine'))\nclass E(Exception):\n    def __str__(self): return 'said'\n"
    "try: raise E\nexcept E: traceback.print_exc()\nsignal.raise_signal(signal.SIGPWR)\n",
    "import atexit, signal\nsignal.signal(signal.SIGPWR, lambda *a: print('mine'))\nclass E(Exception):\n    def __str__(self): return 'said'\n"
    "@atexit.register\ndef late(): signal.raise_signal(signal.SIGPWR)\nraise E\n",
    "import sys\nsys.excepthook(ValueError, ValueError('x'), None)\n",
    "class D:\n    def __del__(self): raise ValueError\nd = D(); del d\n",
    "class D:\n    def __del__(self):\n        try: 1 / 0\n        except ZeroDivisionError:\n            e = ValueError('x')\n"
    "            e.add_note('n')\n            raise e\nd = D(); del d\n",
    # What a SyntaxError points at.
    "eval('2 +* 3')\n",
    "import os\nexec('x = 1\\ndef f(:\\n  pass', {})\n",
    "SECRET = 'line one'\ndef f(): exec(compile('1 / 0', 'nowhere/at_all.py', 'exec'))\nf()\n",
    *(f"raise SyntaxError({arguments})\n" for arguments in (
        "'mine'", "'mine', ('f.py', -3, 10 ** 30, 'text\\nhere', None, 'a')", "'mine', ('f.py', 3, 2, 'text here', None, 'a')",
        "'mine', ('f.py', 'x', 2, 'text here', None, 3)", "'mine', ('f.py', 3, -2, 'abc', 3, 3)",
        "'mine', ('f.py', 3, 200, 'abc', 3, 10 ** 9)", "'mine', ('f.py', 3, 2, 'abc', 5, 1)", "'mine', (None, 3, 2, '  abc ', 5, 1)",
        "5, ('f.py', 3, 2, 'text\\nhere', 2, 3)")),
    # What says how many frames, or nothing; a stream that fails at the end.
    *(f"import sys\nsys.tracebacklimit = {limit}\ndef f(n):\n    if n: f(n - 1)\n    1 / 0\nf(3)\n"
      for limit in ("True", "False", "'x'", "1.5", "2 ** 70", "-2 ** 70", "float('inf')", "type('I', (int,), {'__index__': None})(2)")),
    "import sys\nclass S:\n    def write(self, text): pass\n    def flush(self): raise ValueError('full')\nsys.stdout = S()\n",
    "import io, sys\nsys.stdout = io.StringIO()\nsys.stdout.close()\n",
    "import sys\nsys.tracebacklimit = 2\ndef f(n):\n    if n: f(n - 1)\n    1 / 0\nclass D:\n    def __del__(self): f(3)\nd = D(); del d\n",
    # Names of Python's that are the program's own by then.
    *("import builtins, threading\nclass D:\n    def __del__(self): 1 / 0\n" + own + "\nd = D(); del d\n"
      "t = threading.Thread(target=lambda: int('y'), name='T')\nt.start()\nt.join()\nint('x')\n"
      for own in ("builtins.print = lambda *a, **k: None", "old = print\nbuiltins.print = lambda *a, **k: old('[log]', *a, **k)")),
    # A hook of Python's that is called with what is no exception, and with another's traceback.
    "import sys\nsys.excepthook(None, None, None)\nsys.excepthook(ValueError, ValueError('x'), 5)\nsys.excepthook(1, 2, 3)\n",
    "import sys\ndef f(): g()\ndef g(): 1 / 0\nold = sys.excepthook\nsys.excepthook = lambda k, v, t: old(k, v, t.tb_next)\nf()\n",
    # A text whose name can be no file's.
    "import sys, threading\ncode = compile('1 / 0', 'x\\ud800', 'exec')\nclass D:\n    def __del__(self): exec(code)\nd = D(); del d\n"
    "t = threading.Thread(target=exec, args=[code], name='T')\nt.start()\nt.join()\ntry: exec(code)\nexcept Exception: sys.excepthook(*sys.exc_info())\n"
    "exec(code)\n",
    # What a program's own function for traces and profiles is told.
    *(f"import sys\ndef f(frame, event, arg):\n    print(event, frame.f_code.co_name)\n    return f\nsys.{hook}(f)\n{end}\n"
      for hook in ("settrace", "setprofile") for end in ("x = 1", "sys.exit('bye')")),
    # Streams as Python has them.
    *("import io, sys\n" + line + "\nprint('fine')\nprint('bad', file=sys.stderr)\n" for line in (
        "sys.stderr.reconfigure(errors='replace')", "sys.stderr = io.TextIOWrapper(sys.stderr.buffer, encoding='utf-8')",
        "print(sys.stdout.seekable(), sys.stderr.seekable())")),
]

# What was printed and not yet written when the error came: all that was shown, in its order.
DOTS = "import os, sys\nfor i in range(5): print('.', end='')\n"
UNWRITTEN = [
    DOTS + "1 / 0\n",
    DOTS + "sys.exit('bye')\n",
    DOTS + "quit('bye')\n",
    DOTS + "raise KeyboardInterrupt\n",
    DOTS + "sys.stdout.reconfigure(line_buffering=False)\nprint('line')\n1 / 0\n",
    DOTS + "sys.stdout = open(1, 'w', closefd=False)\nprint('line')\n1 / 0\n",
    DOTS + "sys.stderr.write('E')\nsys.excepthook = lambda *e: sys.stderr.write('hooked')\n1 / 0\n",
    "import sys\nsys.stderr.write('E')\nprint('z', end='')\nsys.excepthook = lambda *e: print('hooked')\n1 / 0\n",
    DOTS + "class E(Exception):\n    def __str__(self): os._exit(1)\nsys.excepthook = lambda kind, e, trace: str(e)\nraise E\n",
    "import sys\nsys.stdout = open(1, 'w', closefd=False)\nfor i in range(50): print('line', i)\nimport os\nsys.excepthook = lambda *e: os._exit(1)\n1 / 0\n",
    "import sys\nprint('a', end='')\nsys.stderr.write('b')\n",
    "import atexit, sys\nprint('a', end='')\nsys.stderr.write('b')\natexit.register(print, 'c', end='')\n",
    "import sys, threading, time\nprint('a', end='')\nsys.stderr.write('b')\nthreading.Timer(0.1, print, 'T').start()\n",
    "import atexit, os, threading, time\ndef f():\n    time.sleep(0.1)\n    print('T', end='')\nthreading.Thread(target=f).start()\n"
    "atexit.register(os.write, 2, b'bye')\n",
    "import sys\nclass S:\n    def write(self, text): return old.write(text)\n    def flush(self): old.write('F')\nold = sys.stdout\n"
    "sys.stdout = S()\nprint('a')\n",
    DOTS + "import threading, time\ndef f():\n    time.sleep(0.1)\n    os.write(1, b'raw')\nthreading.Thread(target=f).start()\n",
]


# Telling the error hangs, in Python, in C, and whatever is raised in it. Program, [(type, message) as recorded].
NO_TEXT = "<its text could not be made>"
E = "class E(Exception):\n    def __str__(self):\n        {}\n"
HANGS = [
    (E.format("while True: pass") + "raise E\n", [("E", NO_TEXT)]),
    (E.format("import time; time.sleep(1000)") + "raise E\n", [("E", NO_TEXT)]),
    (E.format("import re; return str(re.match('(a+)+$', 'a' * 60 + 'b'))") + "raise E\n", [("E", NO_TEXT)]),
    (E.format("while True:\n            try:\n                while True: pass\n            except BaseException: pass") + "raise E\n",
     [("E", NO_TEXT)]),
    (E.format("while True: pass") + "try: 1 / 0\nexcept ZeroDivisionError: raise E\n",
     [("ZeroDivisionError", "division by zero"), ("E", NO_TEXT)]),
    (E.format("while True: pass") + "try: raise E\nexcept E: raise KeyError('later')\n", [("E", NO_TEXT), ("KeyError", "'later'")]),
    *(("import signal\n" + E.format(f"if self is e: return 'said' if signal.{out} else ''\n        import time; time.sleep(1000)") +
       "e = E()\ntry: raise e\nexcept E: raise E\n", [("E", "said"), ("E", NO_TEXT)])
      for out in ("signal(signal.SIGPWR, signal.SIG_IGN) is not None", "pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPWR}) is not None")),
    *((f"import {name} as m, sys, time\n{how}\n" + E.format("while True: pass") + "raise E\n", [("E", NO_TEXT)])
      for name, how in (("_signal", "m.signal = lambda *_: time.sleep(100)"), ("signal", "del sys.modules['_signal']"))),
    (E.format("while True: pass") + "def f(n):\n    if n == 0: raise E\n    f(n - 1)\nf(2)\n", [("E", NO_TEXT)]),
    ("class E(Exception):\n    @property\n    def __notes__(self):\n        while True: pass\nraise E('mine')\n", [("E", "mine")]),
    ("class E(SyntaxError):\n    @property\n    def text(self):\n        while True: pass\nraise E('x')\n", [("E", "x")]),
    ("class R:\n    def __repr__(self):\n        while True: pass\nraise ValueError(1, R())\n", [("ValueError", NO_TEXT)]),
    ("class H:\n    def __repr__(self):\n        while True: pass\nraise FileNotFoundError(2, 'no', H())\n",
     [("FileNotFoundError", NO_TEXT)]),
    ("class H:\n    def __str__(self):\n        while True: pass\ne = UnicodeDecodeError('a', b'', 0, 1, 'x')\ne.reason = H()\nraise e\n",
     [("UnicodeDecodeError", NO_TEXT)]),
    ("class A:\n    def __dir__(self):\n        while True: pass\nA().x\n", [("AttributeError", "'A' object has no attribute 'x'")]),
    ("import sys\ndef hook(*error):\n    while True: pass\nsys.excepthook = hook\n1 / 0\n",
     [("ZeroDivisionError", "division by zero")]),
    ("import sys\nclass S:\n    def write(self, text):\n        while True: pass\nsys.stderr = S()\n1 / 0\n",
     [("ZeroDivisionError", "division by zero")]),
]

# "good", where the process is still there.
BEHIND = "<behind>"

# Whatever is asked does {0}. Program behind BEFORE, [(relation, type, message)] but for the cause, which is innocent.
BEFORE = "try: int('x')\nexcept ValueError as error: x = error\n"
CAUSE = ("cause", "ValueError", "invalid literal for int() with base 10: 'x'")
OURS = [("", "ValueError", "mine")]
ALL = "    def {name}(self, *rest):\n        {{0}}\n"
PROPERTY = "    @property\n" + ALL


def define(names, one=ALL):
    return "".join(one.format(name=name) for name in names.split())


STRANGE = "class S(str):\n" + define("__str__ __repr__ __format__ __len__ __add__ __eq__ __hash__ __getitem__ encode strip rstrip")
LOADER = "import linecache\nlinecache.cache.clear()\nclass L:\n" + define("__getattribute__ __bool__ __eq__ __hash__")
HOSTILE = {
    "a note": ("class N:\n" + define("__str__") + "e = ValueError('mine')\ne.__notes__ = ['good', N(), 'third']\nraise e from x\n",
               [("", "ValueError", f"mine\ngood\n{NO_TEXT}\nthird")]),
    "a note behind one that answers": (
        "class G:\n    def __str__(self): return 'good'\nclass N:\n" + define("__str__") + "e = ValueError('mine')\n"
        "e.__notes__ = [G(), N(), G()]\nraise e from x\n", [("", "ValueError", f"mine\ngood\n{NO_TEXT}\n{BEHIND}")]),
    "notes": ("class N:\n" + define("__iter__ __len__ __repr__ __getitem__") + "    @property\n" + define("__class__")
              + "e = ValueError('mine')\ne.__notes__ = N()\nraise e from x\n", OURS),
    "a list of notes": ("class N(list):\n" + define("__iter__ __len__ __repr__ __getitem__")
                        + "e = ValueError('mine')\ne.__notes__ = N(['a'])\nraise e from x\n", [("", "ValueError", "mine\na")]),
    **{f"a class's {name}": (f"class M(type):\n{define(name, how)}class E(Exception, metaclass=M): pass\nraise E('mine') from x\n",
                            [("", "E", "mine")])
       for name, how in (("__module__", PROPERTY), ("__name__", PROPERTY), ("__getattribute__", ALL))},
    "a class's classes": ("class M(type):\n" + define("__subclasscheck__ __instancecheck__ __eq__ __hash__")
                          + "class E(Exception, metaclass=M): pass\nraise E('mine') from x\n", [("", "E", "mine")]),
    "names of a class": (STRANGE + "class E(Exception): pass\nE.__module__ = S('m')\nE.__qualname__ = S('q')\nraise E('mine') from x\n",
                         [("", "E", "mine")]),
    "what an exception holds": ("armed = False\nclass K:\n    def __hash__(self): return hash('__notes__')\n    def __eq__(self, other):\n"
                                "        if armed:\n            {0}\ne = ValueError('mine')\nvars(e)[K()] = 1\narmed = True\nraise e from x\n",
                                OURS),
    "a loader": (LOADER + "__loader__ = L()\nraise ValueError('mine') from x\n", OURS),
    "a module's name": (LOADER + "__name__ = __loader__ = L()\nraise ValueError('mine') from x\n", OURS),
    "linecache": ("import linecache\ndef f(*rest):\n    {0}\nlinecache.getlines = linecache.getline = linecache.lazycache = f\n"
                  "raise ValueError('mine') from x\n", OURS),
    "its cache": ("import linecache\nclass D(dict):\n" + define("__getitem__ __contains__") + "linecache.cache = D()\n"
                  "raise ValueError('mine') from x\n", OURS),
    "a member of a group": ("class E(Exception):\n" + define("__str__")
                            + "raise ExceptionGroup('all', [KeyError('first'), E('a'), ValueError('last')]) from x\n",
                            [("", "ExceptionGroup", "all (3 sub-exceptions)"), ("member 1", "KeyError", "'first'"),
                             ("member 2", "E", NO_TEXT), ("member 3", "ValueError", "last")]),
    "an exception that is shown after one that answers": (
        "class G(Exception):\n    def __str__(self): return 'good'\nclass E(Exception):\n" + define("__str__")
        + "g = G()\ng.__cause__ = x\nraise E from g\n", [("cause", "G", "good"), ("", "E", NO_TEXT)]),
    "an exception that is shown before one that answers": (
        "class G(Exception):\n    def __str__(self): return 'good'\nclass E(Exception):\n" + define("__str__")
        + "e = E()\ne.__cause__ = x\nraise G from e\n", [("cause", "E", NO_TEXT), ("", "G", BEHIND)]),
    "whatever it is asked": ("class E(Exception):\n" + define("__getattribute__") + define(
        "__cause__ __context__ exceptions __traceback__ __suppress_context__ args __class__ __dict__ __notes__", PROPERTY)
        + "raise E('mine') from x\n", [("", "E", "mine")]),
    "its message": (STRANGE + "raise ValueError(S('mine')) from x\n", [("", "ValueError", NO_TEXT)]),
    "what its text does": (STRANGE + "class E(Exception):\n    def __str__(self): return S('mine')\nraise E from x\n", [("", "E", "mine")]),
    "names of code": (STRANGE + "def f(): raise ValueError('mine') from x\nf.__code__ = f.__code__.replace(co_name=S('n'), "
                      "co_qualname=S('q'), co_filename=S('/robot/robot.py'))\nf()\n", OURS),
}


# What is asked, or shows it, takes off what the exception holds. Program, where it was: [(type, message, functions)].
TAKEN_OFF = "def f(): raise E\nf()\n"
TAKING = {
    "its traceback": (E.format("self.with_traceback(None); return 'x'") + TAKEN_OFF, [("E", "x", ["<module>", "f"])]),
    "its traceback, in a hook": (
        "import sys, atexit\nsys.excepthook = lambda t, v, tb: print('Error:', v.with_traceback(None))\n"
        "atexit.register(print, 'saved')\nraise ValueError('boom')\n", [("ValueError", "boom", ["<module>"])]),
    "its traceback, an attribute": (
        "class E(AttributeError):\n    def __str__(self): self.__traceback__ = None; return 'x'\n" + TAKEN_OFF,
        [("E", "x", ["<module>", "f"])]),
    "that of a name": ("import sys\nsys.excepthook = lambda t, v, tb: sys.__excepthook__(t, v.with_traceback(None), tb)\nprnt\n",
                       [("NameError", "name 'prnt' is not defined", ["<module>"])]),
    "a cause's own": (E.format("tb, self.__traceback__ = self.__traceback__, None; return 'x'")
                      + "def f(): raise E\ntry: f()\nexcept E as e: raise RuntimeError('outer') from e\n",
                      [("E", "x", ["<module>", "f"]), ("RuntimeError", "outer", ["<module>"])]),
    "that of its cause": (E.format("self.__cause__.with_traceback(None); self.__cause__ = None; return 'x'")
                          + "def g(): raise KeyError(1)\ndef f():\n    try: g()\n    except KeyError as z: raise E from z\nf()\n",
                          [("KeyError", "1", ["f", "g"]), ("E", "x", ["<module>", "f"])]),
    "that of what it caused": (
        E.format("import gc; top.__cause__ = top.__context__ = None; top.with_traceback(None); gc.collect(); return 'x'")
        + "def f():\n    try: raise E\n    except E as e: raise ValueError('top') from e\ntry: f()\nexcept ValueError as e: top = e\n"
        "raise top\n", [("E", "x", ["f"]), ("ValueError", "top", ["<module>", "<module>", "f"])]),
    "its entries": (E.format("t = self.__traceback__\n        while t: n = t.tb_next; t.tb_next = None; t = n\n        return 'x'")
                    + TAKEN_OFF, [("E", "x", ["<module>", "f"])]),
}


def run_python(files, stderr=subprocess.PIPE):
    """(stdout, stderr) of python3, as if it had run in /robot."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        done = subprocess.run(["/usr/bin/python3", os.path.join(folder, "robot.py")], cwd=folder, stdout=subprocess.PIPE, stderr=stderr,
                              text=True, timeout=pool.PATIENCE, env={"PYTHONDONTWRITEBYTECODE": "1"})
        return tuple(text and text.replace(folder, "/robot") for text in (done.stdout, done.stderr))


def without_addresses(text):
    return re.sub("0x[0-9a-f]+", "0x", text)


def comparable(text):
    """Without addresses, and without what python3 cannot say any more by then: source lines, and one word about tracemalloc."""
    return [line for line in without_addresses(text).splitlines()
            if not line.startswith("    ") and "Enable tracemalloc" not in line]


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

    def test_modules_are_taken_down(self):
        for name, files in MODULES.items():
            out, err = run_python(files)
            for trace in "off", "steps":
                with self.subTest(name, trace=trace):
                    job = self.client.run(pool.make_zip(files), trace=trace)
                    records = recording.decode(job.recording)
                    self.assertEqual(recording.text(records), out, job.result)
                    self.assertEqual(comparable(recording.text(records, "err")), comparable(err))

    def test_errors_are_printed_as_ever(self):
        for source in PRINTED:
            with self.subTest(source):
                out, err = run_python({"robot.py": source})
                records = recording.decode(self.client.run(source).recording)
                self.assertEqual(recording.text(records), out)
                self.assertEqual(without_addresses(recording.text(records, "err")), without_addresses(err))

    def test_what_was_printed_comes_before_the_error(self):
        for source in UNWRITTEN:
            with self.subTest(source):
                shown, _ = run_python({"robot.py": source}, stderr=subprocess.STDOUT)
                records = recording.decode(self.client.run(source).recording, partial=True)
                ours = "".join(recording.text([r], r["kind"]) for r in records if r["kind"] in ("out", "err"))
                self.assertEqual(ours.partition("Traceback")[0] if "os._exit" in source else ours, shown)  # then ours tells it still

    def test_a_stream_that_hangs_costs_no_error(self):
        """Nor does one that ends the process."""
        for how, detail in (("while True: pass", STILL), ("__import__('os')._exit(3)", "")):
            with self.subTest(how):
                job = self.client.run("import sys\nclass S:\n    def write(self, text): pass\n    def flush(self):\n        " + how
                                      + "\nsys.stdout = S()\n1 / 0\n", wall_ms=600_000, cpu_ms=600_000)
                self.assertEqual((job.verdict, job.result.get("detail", "")), ("exception", detail), job.result)
                records = recording.decode(job.recording, partial=True)
                self.assertEqual([r["type"] for r in records if r["kind"] == "error"], ["ZeroDivisionError"])
                self.assertTrue(recording.text(records, "err").endswith("ZeroDivisionError: division by zero\n"))

    def test_files_on_stdout_are_finished(self):
        for source in ("import gzip, sys\ng = gzip.GzipFile(fileobj=sys.stdout.buffer, mode='wb', mtime=0)\ng.write(b'hello')\n",
                       "import sys, zipfile\nz = zipfile.ZipFile(sys.stdout.buffer, 'w')\nz.writestr('a', 'b')\n",
                       "import bz2, sys\nf = bz2.BZ2File(sys.stdout.buffer, 'w')\nf.write(b'hello')\n"):
            with self.subTest(source):
                with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
                    file.write(source)
                    file.flush()
                    expected = subprocess.run(["/usr/bin/python3", file.name], stdout=subprocess.PIPE, check=True).stdout
                records = recording.decode(self.client.run(source).recording)
                shown = b"".join(r["data"] for r in records if r["kind"] == "out")
                self.assertEqual(len(shown), len(expected))

    def test_an_error_is_printed_untraced(self):
        """The program's own function for traces or profiles is told nothing of ours; python3 tells it how it reads the file."""
        source = ("import sys, threading\ntold = []\ndef f(frame, *a):\n    told.append(frame.f_code.co_name)\n    return f\n"
                  "class D:\n    def __del__(self): 1 / 0\nthreading.{0}(f)\nsys.{0}(f)\nd = D(); del d\nt = threading.Thread(target=D.__del__, args=[0])\n"
                  "t.start()\nt.join()\ntry: 1 / 0\nexcept Exception: sys.excepthook(*sys.exc_info())\n"
                  "import atexit\natexit.register(lambda: print({{*told}} & {{'_print_lines', 'format', '_print_chain', '__init__', 'hook'}}))\n1 / 0\n")
        for hook in "settrace", "setprofile":
            with self.subTest(hook):
                records = recording.decode(self.client.run(source.format(hook)).recording)
                self.assertEqual(recording.text(records).splitlines()[0], "{'__init__'}", "of Thread")
                self.assertEqual(recording.text(records, "err").count("division by zero"), 4)

    def test_an_error_whose_telling_hangs(self):
        """It costs its own text alone, on stderr and in the record, also where C holds the interpreter: what answers to no
        interrupt, or is asked by the program's own hook or stream, is ended a grace after the program. One after the other,
        for on a machine that is busy with them all their texts take longer than that grace."""
        for trace in "off", "calls":
            for source, errors in HANGS:
                with self.subTest(source, trace=trace):
                    job = self.client.run(source, trace=trace, wall_ms=600_000, cpu_ms=600_000)
                    stays = any(word in source for word in ("hook", "def write"))
                    self.assertEqual((job.verdict, job.result.get("detail", "")), ("exception", STILL if stays else ""), job.result)
                    records = recording.decode(job.recording, partial=True)
                    self.assertEqual([(r["type"], r["message"]) for r in records if r["kind"] == "error"], errors)
                    frames = [r["frames"] for r in records if r["kind"] == "error"]
                    self.assertTrue(all(f[-1]["file"] == "/robot/robot.py" and f[-1]["source"] for f in frames), frames)
                    self.assert_shown(recording.text(records, "err"), errors, frames)

    def test_others_print_what_is_being_told(self):
        """Another thread, or what is being asked, prints an exception of the chain meanwhile: each is told as if nobody did."""
        good = "    def __str__(self):\n        time.sleep(0.1)\n        return 'good'\n"
        begin = ("import sys, threading, time\nclass G(Exception):\n" + good + "class H(Exception):\n    def __str__(self):\n        {}\n"
                 "        while True: pass\n")
        chain = "try:\n    try:\n        raise first\n    except G: raise H\nexcept H: raise G\n"
        told = [("G", "good"), ("H", NO_TEXT), ("G", "good")]
        for source, errors in ((begin.format("sys.excepthook(G, first, None)") + "first = G()\n" + chain, told),
                               (begin.format("d = D(); del d") + "first = G()\nclass D:\n    def __del__(self): raise first\n" + chain, told),
                               (begin.format("pass") + "def f():\n    time.sleep(0.05)\n    raise first\nfirst = G()\n"
                                "threading.Thread(target=f).start()\n" + chain, told),
                               (begin.format("pass") + "first = G()\ndef f(): raise first\nthreading.Timer(0.05, f).start()\nf()\n", [("G", "good")])):
            with self.subTest(source):
                job = self.client.run(source, wall_ms=600_000, cpu_ms=600_000)
                records = recording.decode(job.recording)
                self.assertEqual([(r["type"], r["message"]) for r in records if r["kind"] == "error"], errors)
                self.assertEqual((job.verdict, job.result.get("detail", "")), ("exception", ""), job.result)
                self.assertIn("G: good (robot.py, line", job.result["sentence"])
                self.assertGreaterEqual(recording.text(records, "err").count("G: good\n"), len(errors) - errors.count(("H", NO_TEXT)))

    def test_texts_of_errors_that_are_left_out(self):
        """Of a chain that is too long for the record; on stderr they cost their own text alone, too."""
        source = ("import time\nclass G(Exception):\n    def __str__(self): return 'good'\nclass E(Exception):\n    def __str__(self): {}\n"
                  "def f(n):\n    try:\n        if n: f(n - 1)\n    finally: raise (E if n == 4 else G)\nf(11)\n")
        for how, text in (("time.sleep(1000)", "<exception str() failed>"), ("return 'said'", "said")):
            with self.subTest(how):
                job = self.client.run(source.format(how), wall_ms=600_000, cpu_ms=600_000)
                self.assertEqual((job.verdict, job.result.get("detail", "")), ("exception", ""), job.result)
                records = recording.decode(job.recording)
                told = [r for r in records if r["kind"] == "error"]
                self.assertEqual([(r["type"], r["message"]) for r in told], [("G", "good")] * 4 + [("...", "4 more exceptions")] + [("G", "good")] * 4)
                lines = recording.text(records, "err").splitlines()
                self.assertEqual([line for line in lines if line[:3] in ("G: ", "E: ")], ["G: good"] * 4 + ["E: " + text] + ["G: good"] * 7)

    def test_one_that_is_left_out_ends_the_process(self):
        """What was shown before it is not shown again."""
        source = ("import os\nclass E(Exception):\n    def __str__(self): os._exit(0)\n"
                  "raise ExceptionGroup('all', [E() if i == 10 else ValueError(i) for i in range(12)])\n")
        job = self.client.run(source)
        self.assertEqual(job.verdict, "exception", job.result)
        lines = recording.text(recording.decode(job.recording, partial=True), "err").splitlines()
        self.assertEqual([line.strip("| ") for line in lines if "ValueError: " in line], [f"ValueError: {i}" for i in range(10)])

    def assert_shown(self, text, errors, frames):
        """All frames with their source lines, each once."""
        *shown, last = text.splitlines()
        self.assertEqual(last, ": ".join(errors[-1]))
        self.assertEqual([line for line in shown if line.startswith("  File")],
                         [f'  File "/robot/robot.py", line {f["line"]}, in {f["function"]}' for told in frames for f in told])
        self.assertEqual([line for line in shown if re.match(r"    [^ ~^]", line)],
                         ["    " + f["source"].strip() for told in frames for f in told])

    def test_what_is_hostile_costs_its_own_text_alone(self):
        """All else is told, in the record and on stderr, with the lines of the source, whoever else is asked in between."""
        for how in "while True: pass", "import os; os._exit(0)":
            ids = [self.client.enqueue(pool.make_zip(BEFORE + source.format(how)), wall_ms=600_000, cpu_ms=600_000)
                   for source, _ in HOSTILE.values()]
            for (name, (_, errors)), job in zip(HOSTILE.items(), ids):
                with self.subTest(name, how=how):
                    job = self.client.wait(job)
                    self.assertEqual(job.verdict, "exception", job.result)
                    records = recording.decode(job.recording, partial=True)
                    told = [r for r in records if r["kind"] == "error"]
                    behind = "good" if "while" in how else NO_TEXT
                    errors = [(relation, kind, message.replace(BEHIND, behind)) for relation, kind, message in errors]
                    self.assertEqual([(r["relation"], r["type"], r["message"]) for r in told], [CAUSE, *errors])
                    main, = (r for r in told if r["relation"] == "")
                    self.assertTrue(main["frames"])
                    text = recording.text(records, "err")
                    for frame in [*told[0]["frames"], *main["frames"]]:
                        self.assertEqual(text.count(f'  File "/robot/robot.py", line {frame["line"]}, in '), 1, text)
                        self.assertIn("    " + frame["source"].strip() + "\n", text)
                    name = "m.q" if name == "names of a class" else main["type"]
                    self.assertIn(f"\n{name}", text.replace("\n  | ", "\n"))
                    if errors == OURS:
                        self.assertIn("ValueError: mine (robot.py, line ", job.result["sentence"])

    def test_an_error_that_loses_what_it_holds(self):
        """Meanwhile, by its own text or hook: it is told as it was when it ended the program."""
        for name, (source, errors) in TAKING.items():
            for trace in "off", "lines":
                with self.subTest(name, trace=trace):
                    job = self.client.run(source, trace=trace)
                    self.assertEqual(job.verdict, "exception", job.result)
                    self.assertEqual(job.result["signal"], 0)
                    records = recording.decode(job.recording)
                    told = [r for r in records if r["kind"] == "error"]
                    self.assertEqual([(r["type"], r["message"], [f["function"] for f in r["frames"]]) for r in told], errors)
                    self.assertIn(f"(robot.py, line {told[-1]['frames'][-1]['line']})", job.result["sentence"])
                    if "atexit" in source:
                        self.assertEqual(recording.text(records), "Error: boom\nsaved\n")
                    else:
                        self.assertEqual(recording.text(records, "err").splitlines()[-1], ": ".join(errors[-1][:2]))

    def test_a_text_is_asked_for_once(self):
        """And what it said then is said everywhere."""
        code = ("class T:\n    count = 0\n    def __str__(self):\n        self.count += 1\n        return f'asked {{self.count}}'\n"
                "class E(Exception, T): __str__ = T.__str__\ne = E()\ne.__notes__ = [T(), T()]\n{}raise e\n")
        for call in "", "import traceback, sys\nsys.excepthook = lambda t, v, tb: sys.__excepthook__(t, v, tb)\n":
            with self.subTest(call):
                job = self.client.run(code.format(call))
                records = recording.decode(job.recording)
                self.assertTrue(recording.text(records, "err").endswith("E: asked 1\nasked 1\nasked 1\n"), recording.text(records, "err"))
                self.assertEqual([r["message"] for r in records if r["kind"] == "error"], ["asked 1\nasked 1\nasked 1"])
                self.assertIn("E: asked 1 (robot.py", job.result["sentence"])

    def test_nothing_but_texts_is_asked_for(self):
        """Whatever kind of exception it is, of whatever kind of class; text and notes stand on stderr as Python prints them."""
        code = ("import atexit\nasked = set()\nclass M(type):\n    def __getattribute__(cls, name):\n        asked.add(name)\n"
                "        return type.__getattribute__(cls, name)\nclass E({}, metaclass=M):\n    def __getattribute__(self, name):\n"
                "        asked.add(name)\n        return {}.__getattribute__(self, name)\ne = E({})\n{}asked.clear()\n"
                "atexit.register(lambda: print(sorted(asked)))\nraise e\n")
        members = "[ValueError('inner')]"
        for base, arguments, last in (("ValueError", "'mine'", "mine"), ("SyntaxError", "'mine', ('f.py', 3, 2, 'abc', 3, 3)", "mine"),
                                      ("NameError", "'mine'", "mine"), ("OSError", "2, 'mine'", "[Errno 2] mine"),
                                      ("ExceptionGroup", f"'mine', {members}", "mine (1 sub-exception)")):
            for note in "", "BaseException.add_note(e, 'a note')\n":
                with self.subTest(base, note=note):
                    records = recording.decode(self.client.run(code.format(base, base, arguments, note)).recording)
                    self.assertEqual(recording.text(records), "[]\n")
                    text = recording.text(records, "err").replace("\n  | ", "\n").split("\n  +-")[0].strip("\n")
                    self.assertTrue(text.endswith(f"\nE: {last}" + "\na note" * bool(note)), text)

    def test_an_error_whose_telling_ends_the_process(self):
        for end in "import os; os._exit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)":
            for call in "", "m = E\n", "import sys\nsys.excepthook = lambda *error: str(error[1])\n":
                for encoding in "binary", "json":
                    with self.subTest(end, call=call, encoding=encoding):
                        source = E.format(end) + call + "def f(n):\n    if n: return f(n - 1)\n    raise E\n\n\nf(2)\n"
                        job = self.client.run("try: int('x')\nexcept ValueError as e: x = e\n" + source.replace("raise E", "raise E from x"),
                                              encoding=encoding, **({} if encoding == "json" else {"trace": "lines"}))
                        self.assertEqual(job.verdict, "exception", job.result)
                        if encoding == "json":
                            records = [json.loads(line) for line in job.recording.splitlines()]
                            text = "".join(r["data"] for r in records if r["kind"] == "err")
                        else:
                            records = recording.decode(job.recording, partial=True)
                            text = recording.text(records, "err")
                        errors = [r for r in records if r["kind"] == "error"]
                        self.assertEqual([(r["relation"], r["type"], r["message"]) for r in errors],
                                         [("cause", "ValueError", "invalid literal for int() with base 10: 'x'"), ("", "E", NO_TEXT)])
                        self.assertEqual([f["function"] for f in errors[1]["frames"]], ["<module>", "f", "f", "f"])
                        self.assertEqual(text.count("The above exception was the direct cause of the following exception:"), 1)
                        self.assert_shown(text, [("E", NO_TEXT)], [r["frames"] for r in errors])

    def test_an_error_is_told_once(self):
        """Also where the trace has grown over its size, and the process ends by itself after all has been told."""
        code = ("import os, atexit\n{}class E(Exception):\n    def __str__(self): return 'said'\ndef f(n):\n    pass\n"
                "for i in range(20000): f(i)\nraise E\n")
        for late in "", "atexit.register(os._exit, 3)\n":
            with self.subTest(late):
                job = self.client.run(code.format(late), trace="calls", recording_kb=64)
                records = recording.decode(job.recording, partial=True)
                self.assertEqual([r["message"] for r in records if r["kind"] == "error"], ["said"])
                self.assertEqual(recording.text(records, "err").count("E: said"), 1)

    def test_an_error_that_traceback_cannot_print(self):
        """As the program has spoilt it: then Python prints it by itself, without source lines."""
        for spoilt in "import traceback\ntraceback.StackSummary = None\n", "import linecache\nlinecache.getlines = None\n":
            with self.subTest(spoilt):
                job = self.client.run(spoilt + "1 / 0\n")
                self.assertEqual(job.verdict, "exception")
                self.assertEqual(recording.text(recording.decode(job.recording), "err"), "Traceback (most recent call last):\n"
                                 '  File "/robot/robot.py", line 3, in <module>\nZeroDivisionError: division by zero\n')

    def test_codes_of_exit(self):
        """A subclass may have one of its own; a property of the program's is not asked, for it could lie or hang."""
        quit = "class Quit(SystemExit): code = {}\nraise Quit({})\n"
        for code, argument, verdict, exit_code in ((3, "", "exit", 3), (0, 5, "ok", 0), ("'no'", "", "exit", 1), (3, 4, "exit", 3),
                                                   ("property(lambda s: 7)", "", "ok", 0)):
            with self.subTest(code):
                job = self.client.run(quit.format(code, argument))
                self.assertEqual((job.verdict, job.result["exit_code"]), (verdict, exit_code), job.result)

    def test_a_text_of_exit_that_hangs(self):
        source = "class H:\n    def __str__(self):\n        {}\nimport atexit\natexit.register(print, 'late')\nraise SystemExit(H())\n"
        for text, err in (("while True: pass", NO_TEXT + "\n"), ("1 / 0", "\n"), ("return 'said'", "said\n")):
            with self.subTest(text):
                job = self.client.run(source.format(text), wall_ms=600_000, cpu_ms=600_000)
                records = recording.decode(job.recording)
                self.assertEqual((job.verdict, job.result["exit_code"], job.result.get("detail", "")), ("exit", 1, ""), job.result)
                self.assertEqual((recording.text(records), recording.text(records, "err")), ("late\n", err))

    def test_what_runs_late_is_traced(self):
        job = self.client.run(pool.make_zip(MODULES["objects"]), trace="calls")
        self.assertEqual([name for _, _, name in recording.calls(recording.decode(job.recording))].count("R.__del__"), 3)

    def test_modules_are_taken_down_after_the_claim(self):
        for end, verdict, code in (("", "ok", 0), ("raise SystemExit(3)\n", "exit", 3), ("1 / 0\n", "exception", 1)):
            for last in "time.sleep(1000)", "os._exit(9)", "raise SystemExit(9)":
                with self.subTest(end, last=last):
                    job = self.client.run("import os, time\nclass A:\n    def __del__(self):\n        print('gone', flush=True)\n"
                                          f"        {last}\na = A()\n{end}", wall_ms=600_000)
                    self.assertEqual((job.verdict, job.result["exit_code"]), (verdict, code), job.result)
                    self.assertEqual(recording.text(recording.decode(job.recording, partial=True)), "gone\n")

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
