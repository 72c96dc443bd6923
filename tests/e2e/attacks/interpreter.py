# SPDX-License-Identifier: MIT
"""G: the interpreter, its tracer and its modules. Containment must hold; a program may blind its own trace."""

import recording
from attacks import RAW, Attack
from attacks.crashers import CRASHERS

TRACED = {"trace": "calls"}
BLIND = "def seen(): pass\nseen()\n{}\ndef after(): pass\nafter()\nprint('done')\n"
CRASH = "crashed exception memory_limit cpu_limit"
MISSING = "ModuleNotFoundError"


def first_call_is_seen(job):
    return "seen" in [name for _, _, name in recording.calls(job.records)]


def blind(row, what, how):
    """A program that stops its own trace ends as it would have ended."""
    return Attack(row, what, BLIND.format(how), "ok", TRACED, out="done\n", check=first_call_is_seen)


HIDING = {name: f"raise SystemExit('mine: {name}')\n" for name in ("json.py", "string.py", "sys.py", "builtins.py",
                                                                  "encodings/__init__.py", "os.py")}

# What the zygote was started with lies above its stack, what it was told on its heap: no path of the pool's, and nothing
# of the environment of who started that.
SEARCH = RAW + """
def pages(place, step):
    start = place
    while is_there(place):
        place += step
    return ctypes.string_at(start, place - start) if step > 0 else ctypes.string_at(place + 4096, start - place)

libc.sbrk.restype = ctypes.c_void_p
stack = pages(ctypes.c_void_p.in_dll(libc, "__libc_stack_end").value & ~4095, 4096)
heap = pages((libc.sbrk(0) - 1) & ~4095, -4096)
print(b"LANG=C.UTF-8" in stack, len(heap) > 1 << 20, dict(os.environ))
for word in b"paddock" + b"-test-", b"PADDOCK" + b"_BIN", b"redis" + b".sock":
    print(word in stack, word in heap)
"""

ATTACKS = [
    blind("G1", "settrace(None)", "import sys, threading\nsys.settrace(None)\nsys.setprofile(None)\n"
          "threading.settrace(None)\nthreading.setprofile(None)"),
    blind("G2", "frames that ask not to be traced", "import sys\nsys._getframe().f_trace_lines = False\n"
          "sys._getframe().f_trace = None\n(x for x in ()).gi_frame.f_trace_lines = False"),
    blind("G3", "a thread past threading", "import _thread, time\n_thread.start_new_thread(seen, ())\n"
          "time.sleep(0.01)"),
    blind("G4", "Python's C interface", "import ctypes\nctypes.pythonapi.PyEval_SetTrace(None, None)\n"
          "ctypes.pythonapi.PyEval_SetProfile(None, None)"),
    Attack("G5", "every object there is", "import gc\ngc.unfreeze()\nfound = gc.get_objects()\nprint(len(found) > 1000)\n"
           "print([x for x in found if isinstance(x, (str, bytes)) and 'redis://' in str(x)[:100]])\n", "ok", out="True\n[]\n"),
    Attack("G5", "Python's own objects emptied", "import gc\nfor x in gc.get_objects():\n    if type(x) is dict and x is not "
           "globals(): x.clear()\nprint('x')\n", "ok exception crashed vanished", out=None),
    Attack("G6", "code that claims to be Python's", "def f(): 1 / 0\nf.__code__ = f.__code__.replace("
           "co_filename='/usr/lib/python3.11/os.py', co_linetable=b'', co_name='x' * 10_000, co_qualname='y' * 10_000)\nf()\n",
           "exception", TRACED, claim="ZeroDivisionError"),
    Attack("G7", "modules gone", "import sys\nsys.modules.clear()\nsys.meta_path.clear()\nsys.path_hooks.clear()\n1 / 0\n",
           "exception", claim="ZeroDivisionError"),
    Attack("G7", "an import after that", "import sys\nsys.meta_path.clear()\nimport colorsys2\n", "exception",
           claim=MISSING),
    Attack("G8", "what everybody uses, replaced", "import builtins, traceback, linecache, io\n"
           "def no(*a, **k): raise RuntimeError('replaced')\nfor module in traceback, linecache, io, builtins:\n"
           "    for name in dir(module):\n        if callable(getattr(module, name)) and not name.startswith('__b'):\n"
           "            setattr(module, name, no)\n1 / 0\n", "exception vanished", out=None),
    Attack("G8", "print and import, replaced", "import builtins\nbuiltins.print = builtins.__import__ = None\n1 / 0\n",
           "exception", claim="ZeroDivisionError"),
    Attack("G9", "modules that are called like Python's", {"robot.py": "import sys, os, encodings, builtins\n"
           "print(sys.version_info[0], os.sep, 'utf-8'.encode('utf-8'), builtins.len([]))\nimport json\n", **HIDING}, "exit",
           out="3 / b'utf-8' 0\n", check=lambda job: job.errors == "mine: json.py\n"),
    Attack("G9", "a module that is called like the entry", {"robot.py": "import robot\nprint(__name__)\n"}, "ok",
           out="robot\n__main__\n"),
    Attack("G10", "loaders tampered with", {"robot.py": "import importlib, arm\narm.__loader__ = None\n"
           "arm.__spec__.loader = 5\ntry: importlib.reload(arm)\nexcept BaseException as e: print(type(e).__name__)\n"
           "arm.__spec__ = None\n"
           "try: importlib.reload(arm)\nexcept BaseException as e: print(type(e).__name__)\nprint('on')\n",
           "arm.py": "print('arm')\n"}, "ok", check=lambda job: job.text.endswith("on\n")),
    Attack("G10", "resources beyond the ZIP", {"robot.py": "import importlib.resources as r, arm\n"
           "for p in '/etc/passwd', '../../etc/passwd', '..':\n"
           "    try: print((r.files(arm) / p).read_bytes())\n    except Exception as e: print('no')\n"
           "try: arm.__loader__.get_data('/etc/passwd')\nexcept OSError: print('no')\n", "arm/__init__.py": ""}, "ok",
           out="no\n" * 4),
    Attack("G10", "loaders called with nonsense", {"robot.py": "import arm, sys\nl = arm.__loader__\n"
           "for name in dir(l):\n    for a in (), (None,), (arm,), ('x' * 100_000,), (5, 5):\n"
           "        try: getattr(l, name)(*a) if name not in ('__setattr__', '__delattr__') else None\n"
           "        except BaseException: pass\nprint('on')\n", "arm/__init__.py": ""}, "ok", out="on\n"),
    Attack("G11", "a null pointer", "import ctypes\nctypes.string_at(0)\n", "crashed", asan=False),
    Attack("G12", "bogus code", "def f(): pass\nexec(f.__code__.replace(co_code=bytes(range(1, 255)), co_consts=()))\n",
           CRASH, {"cpu_ms": 500}, asan=False),
    Attack("G13", "recursion", "def f(): f()\nf()\n", "exception", claim="RecursionError", asan=False),
    Attack("G13", "recursion in C", "import sys\nsys.setrecursionlimit(10 ** 8)\nclass A:\n"
           "    def __getattr__(self, name): return getattr(self, name + 'x')\nA().x\n", CRASH, {"cpu_ms": 300}, asan=False),
    Attack("G13", "recursion without a limit", "import sys\nsys.setrecursionlimit(10 ** 8)\ndef f(): f()\nf()\n", CRASH,
           {"memory_mb": 64, "cpu_ms": 300}, asan=False),
    Attack("G14", "JSON, 87,268 deep", "import json\nx = {}\nfor _ in range(87_268): x = {'a': x}\njson.dumps(x)\n",
           CRASH, asan=False),
    Attack("G14", "JSON to read, 100,000 deep", "import json\njson.loads('[' * 100_000)\n", CRASH, asan=False),
    Attack("G15", "faulthandler", "import faulthandler\nfaulthandler.enable()\nfaulthandler._sigsegv()\n", "crashed",
           asan=False),
    Attack("G15", "faulthandler that wants to leave", "import faulthandler\n"
           "faulthandler.dump_traceback_later(0.05, exit=True)\nwhile True: pass\n", "vanished", {"cpu_ms": 5000},
           check=lambda job: job.errors.startswith("Timeout")),
    Attack("G16", "objects that rise again", "class A:\n    def __del__(self): keep.append(A())\nkeep = []\nA()\n"
           "while True: keep.clear()\n", "cpu_limit", {"cpu_ms": 50}),
    Attack("G17", "another interpreter", "import _xxsubinterpreters as i\nn = i.create()\n"
           "i.run_string(n, 'while True: pass')\n", "cpu_limit exception", {"cpu_ms": 50}),
    Attack("G17", "memory of another interpreter", "import _xxsubinterpreters as i\nn = i.create()\n"
           "i.run_string(n, 'x = bytearray(4 << 30)')\n", "exception memory_limit", asan=False),
    Attack("G17", "another interpreter, left behind", "import _xxsubinterpreters as i\nn = i.create()\n"
           "i.run_string(n, 'import os\\ntry: os.fork()\\nexcept BaseException as e: print(type(e).__name__, flush=True)')\n",
           "ok exception", out=None),
    Attack("G18", "a pickle that runs a program", "import pickle\npickle.loads(b\"cos\\nsystem\\n(S'id'\\ntR.\")\n",
           "exception", claim="PermissionError"),
    Attack("G19", "an audit hook that raises", "import sys\ndef hook(*a): raise RuntimeError('hook')\nsys.addaudithook(hook)\n"
           "1 / 0\n", "exception", claim="ZeroDivisionError"),
    Attack("G19", "an audit hook that leaves", "import os, sys\nsys.addaudithook(lambda *a: os._exit(0))\nimport colorsys2\n",
           "vanished"),
    Attack("G22", "what the operator's processes know", SEARCH, "ok", asan=False,
           out="True True {'LANG': 'C.UTF-8', 'HOME': '/', 'USER': 'robot'}\n" + "False False\n" * 3),
    Attack("G22", "/proc", "open('/proc/self/environ')\n", "exception", claim="FileNotFoundError"),
    *[Attack("G23", what, source, CRASH + " ok wall_limit vanished forbidden",
             {"cpu_ms": 300, "wall_ms": 5000, "memory_mb": 64}, asan=False)
      for what, source in CRASHERS.items()],
    Attack("G24", "a module that is not preloaded", "import xml.dom.minidom\nprint('there')\n", "ok", out="there\n",
           why="all of Python's library that makes sense comes from memory"),
    Attack("G24", "a module that does not exist", "import numpi\n", "exception", claim=MISSING),
    Attack("G24", "an extension module that is not preloaded", "import _crypt\n", "exception", claim=MISSING),
    Attack("G25", "write a file", "open('x', 'w')\n", "exception", claim="Read-only"),
    Attack("G25", "read a file", "open('/etc/passwd')\n", "exception", claim="FileNotFoundError"),
    Attack("G25", "a temporary file", "import tempfile\ntempfile.mkstemp()\n", "exception", claim="OSError"),
    Attack("G25", "what there is", "import os\nfor p in '/', '/tmp', '/proc', '/dev', '/home', '..', '/robot/..':\n"
           "    try: print(os.listdir(p))\n    except OSError: print('no')\n", "ok",
           check=lambda job: not any(x in job.text for x in ("etc", "passwd", "paddock", "bin"))),
    Attack("G25", "links and names that lead out", "import os\nfor f in os.symlink, os.link, os.rename:\n"
           "    try: f('/etc/passwd', 'x')\n    except OSError: print('no')\n"
           "for p in '../etc/passwd', '/robot/../etc/passwd', '/robot/robot.py/../../etc/passwd', 'x\\0y':\n"
           "    try: open(p)\n    except (OSError, ValueError): print('no')\n", "ok", out="no\n" * 7),
]
