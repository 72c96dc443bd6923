# SPDX-License-Identifier: MIT
"""Host modules: the operator's own code in every sandbox, what it is told, and what it says."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import unittest

import pool
import recording

SUPERVISOR = pool.program("paddock-supervisor")
PADDOCK = pool.program("paddock")
EXAMPLES = os.path.join(pool.ROOT, "deploy", "examples", "hosts")

# A package, with a module beside it that it imports.
SIM = {
    "sim/__init__.py": """\
import os
from paddock import host
import beside
from . import parts

with open(os.path.join(os.path.dirname(__file__), "map.txt")) as file:
    map = file.read()

say, told, end = host.emit, host.job, host.end

def fail():
    raise ValueError("from the simulator")

def late():
    import sim.unloaded

def dig(depth, what):
    return dig(depth - 1, what) if depth else what()

@host.at_start
def first():
    if host.job()["host"] == "hello":
        host.emit("first")

@host.at_start
def second():
    said = host.job()["host"]
    if said == "hello":
        host.emit("second")
    if said == "fail":
        raise KeyError("no such zone")
    if said == "exit":
        raise SystemExit(0)
    if said == "import":
        import colorsys
        host.emit(colorsys.__file__)
""",
    "sim/map.txt": "read as it was loaded",
    "sim/parts.py": "name = 'parts of the simulator'\n",
    "beside.py": "whose = 'the operator'\n",
    "fast.c": """\
#include <Python.h>
static PyObject *twice(PyObject *self, PyObject *number) { return PyNumber_Add(number, number); }
static PyMethodDef methods[] = {{"twice", twice, METH_O, NULL}, {0}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "fast", .m_size = -1, .m_methods = methods};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&definition); }
""",
}


def write(folder, files):
    for name, text in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def host_folder(test, files):
    """A folder of host modules, which the zygote, being nobody, can read."""
    folder = test.enterContext(tempfile.TemporaryDirectory())
    write(folder, files)
    for path, _, names in os.walk(folder):
        os.chmod(path, 0o755)
        for name in names:
            os.chmod(os.path.join(path, name), 0o644)
    return folder


def supervisor(*words):
    return subprocess.run([SUPERVISOR, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)


def said(records):
    return [json.loads(record["json"]) for record in records if record["kind"] == "host"]


class Jobs(unittest.TestCase):
    """Tests that share one pool with host modules."""

    @classmethod
    def setUpClass(cls):
        test = cls()
        cls.addClassCleanup(test.doCleanups)
        folder = host_folder(test, SIM)
        subprocess.run(["gcc", "-shared", "-fPIC", "-I", sysconfig.get_path("include"), "-o", os.path.join(folder, "fast.so"),
                        os.path.join(folder, "fast.c")], check=True)
        cls.pool = cls.enterClassContext(pool.Pool(host_modules="sim fast", host_path=folder))
        cls.client = cls.pool.client

    def runTest(self):
        """For the folder of all, which is made by one that is not run."""

    def records(self, code, verdict="ok", **fields):
        self.job = self.client.run(code, **fields)
        self.assertEqual(self.job.verdict, verdict, self.job.result)
        partial = verdict not in ("ok", "exit", "exception", "match_over")
        return recording.decode(self.job.recording, partial=partial)

    def output(self, code, verdict="ok", **fields):
        return recording.text(self.records(code, verdict, **fields))

    def test_what_it_says_stands_where_it_was_said(self):
        records = self.records("import sim\nprint('a')\nsim.say({'n': [1, None, 'é\\u2028']})\nprint('b')\nsim.say(2)\n")
        order = [r["data"] if r["kind"] == "out" else json.loads(r["json"]) for r in records if r["kind"] in ("out", "host")]
        self.assertEqual(order, [b"a\n", {"n": [1, None, "é\u2028"]}, b"b\n", 2])
        times = [r["time"] for r in records if "time" in r]
        self.assertEqual(times, sorted(times))

    def test_as_json(self):
        job = self.client.run("import sim\nsim.say({'n': 1})\nprint('x')\n", encoding="json")
        lines = [json.loads(line) for line in job.recording.splitlines()]
        self.assertEqual([json.loads(line["json"]) for line in lines if line["kind"] == "host"], [{"n": 1}])

    def test_every_export_has_it(self):
        """As text a line, for Chrome an instant; where only calls are shown it is left out."""
        records = self.client.run("import sim\ndef f(): sim.say({'n': 'mark'})\nf()\n", trace="calls").recording
        for kind, has in (("text", True), ("json", True), ("chrome", True), ("speedscope", False), ("flame", False)):
            with self.subTest(kind):
                done = subprocess.run([PADDOCK, "trace", "-", "--format", kind], input=records, capture_output=True, timeout=pool.PATIENCE)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(b"mark" in done.stdout, has)

    def test_the_job(self):
        told = json.loads(self.output("import json, sim\nprint(json.dumps(sim.told()))\n", host='{"zone": 2}', argv="x\ny", cpu_ms="1234",
                                      trace="calls", output_kb="7"))
        self.assertEqual((told["host"], told["argv"], told["cpu_ms"], told["trace"], told["output_kb"], told["encoding"]),
                         ('{"zone": 2}', ["x", "y"], 1234, "calls", 7, "binary"))
        told = json.loads(self.output("import json, sim\nprint(json.dumps(sim.told()))\n"))
        self.assertEqual((told["host"], told["argv"], told["wall_ms"]), ("", [], 10000))
        self.assertEqual(json.loads(self.output("import json, sim\nprint(json.dumps(sim.told()))\n", host="é" * 2048))["host"], "é" * 2048)

    def test_a_job_s_word_for_it_is_bounded_and_not_kept(self):
        with self.assertRaisesRegex(Exception, "BADFIELD host: takes a text of at most 4096 bytes"):
            self.client.enqueue(pool.make_zip("pass"), host="x" * 4097)
        job = self.client.enqueue(pool.make_zip("pass"), host="x")
        self.client.wait(job)
        self.assertNotIn("host", self.client.job(job))

    def test_the_command_gives_it(self):
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write("import sim\nsim.say({'a': 1})\nprint(sim.told()['host'])\n")
            file.flush()
            done, as_json = (subprocess.run([PADDOCK, "run", file.name, "--host", "zone 3", "--queue", self.pool.queue,
                                             "--redis", f"unix:{self.pool.runtime}/redis.sock", *more],
                                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)
                             for more in ([], ["--json"]))
        self.assertEqual((done.returncode, done.stdout), (0, "zone 3\n"), done.stderr)
        self.assertEqual(said([json.loads(line) for line in as_json.stdout.splitlines()]), [{"a": 1}])

    def test_more_than_a_record_holds(self):
        out = self.output("import sim\nfor size in 16382, 16383:\n    try:\n        sim.say('x' * size)\n    except ValueError as e:\n        print(e)\n")
        self.assertEqual(out, "a host record has at most 16384 bytes of JSON, not 16385\n")
        for bad in ("object()", "float('nan')", "b'x'", "{1, 2}"):
            self.records(f"import sim\nsim.say({bad})\n", "exception")
            self.assertNotIn("paddock", recording.text(recording.decode(self.job.recording), "err"), "frames of ours")

    def test_a_flood_is_output(self):
        records = self.records("import sim\nprint('begun')\nwhile True:\n    try:\n        sim.say('x' * 100)\n    except: pass\n", "output_limit",
                               output_kb="8")
        self.assertLess(len(said(records)), 90)
        self.assertGreater(len(said(records)), 70)
        self.assertEqual(recording.text(records), "begun\n")
        self.assertIn("It was at robot.py, line 5", self.job.result["sentence"])

    def test_the_end_of_a_match(self):
        """From a depth, out of handlers that catch all there is, with what was printed and traced."""
        code = ("import atexit, sim\natexit.register(print, 'exit function')\nprint('one line', end='')\n"
                "def play():\n    while True:\n        try:\n            sim.dig(50, lambda: sim.end('all tokens are\\nfetched'))\n"
                "        except:\n            pass\n        finally:\n            print('never')\n"
                "try:\n    play()\nfinally:\n    print('never')\n")
        records = self.records(code, "match_over", trace="lines")
        self.assertEqual(recording.text(records), "one line")
        self.assertEqual(self.job.result["sentence"], "The match is over: all tokens are fetched.")
        self.assertEqual((self.job.result["exit_code"], self.job.result["claim"]), (82, "all tokens are fetched"))
        self.assertEqual(records[-1]["kind"], "end")
        self.assertIn("play", [name for _, _, name in recording.calls(records)])
        self.records("import sim\nsim.end()\n", "match_over")
        self.assertEqual(self.job.result["sentence"], "The match is over.")
        self.records("import sim\nsim.end('x' * 300)\n", "match_over")
        self.assertEqual(self.job.result["claim"], "x" * 200)
        self.records("import sim\nsim.end('\\ud800\\x1b[2J')\n", "match_over")
        self.assertNotIn("\x1b", self.job.result["sentence"])

    def test_the_end_in_a_thread(self):
        out = self.output("import sim, threading, time\nprint('begun')\nthreading.Thread(target=sim.end, args=('done',)).start()\n"
                          "while True:\n    time.sleep(0.01)\n", "match_over")
        self.assertEqual(out, "begun\n")

    def test_the_end_hides_no_error(self):
        records = self.records("import atexit, sim\natexit.register(sim.end, 'won')\n1 / 0\n", "exception")
        self.assertIn("ZeroDivisionError", recording.text(records, "err"))

    def test_an_end_that_its_streams_keep(self):
        """Whose flush() hangs, or fails, has ended all the same."""
        for flush in ("while True: pass", "raise ValueError", "sys.exit(5)"):
            with self.subTest(flush):
                self.records("import sim, sys\nclass Out:\n    def write(self, text): pass\n    def flush(self):\n        " + flush +
                             "\nsys.stdout = Out()\nsim.end('won')\n", "match_over")

    def test_modules_in_c(self):
        self.assertEqual(self.output("import fast\nprint(fast.twice(21), fast.__name__)\n"), "42 fast\n")

    def test_names_are_the_operator_s(self):
        """What a program calls as the host modules are called hides none; what these import, it hides for itself alone."""
        files = {"robot.py": "import sim, sim.parts, beside, json\nprint(hasattr(sim, 'say'), sim.parts.name, beside.whose, json.x)\n"
                             "sim.say({'a': 1})\nfrom fast import twice\nprint(twice(2), sim.beside.whose)\n",
                 "sim.py": "say = None\n", "beside.py": "whose = 'the program'\n", "fast.py": "twice = None\n", "json.py": "x = 5\n"}
        records = self.records(files)
        self.assertEqual(recording.text(records), "True parts of the simulator the program 5\n4 the operator\n")
        self.assertEqual(said(records), [{"a": 1}])
        files = {"robot.py": "import sim\nprint(hasattr(sim, 'say'))\n", "sim/__init__.py": "", "sim/parts.py": "name = 1\n"}
        self.assertEqual(self.output(files), "True\n")

    def test_paddock_host_is_theirs_alone(self):
        out = self.output("import sys, paddock\nfor code in 'import paddock.host', 'from paddock import host', 'paddock.host':\n"
                          "    try:\n        exec(code)\n        print('there')\n    except Exception as e:\n        print(type(e).__name__)\n"
                          "print('paddock.host' in sys.modules, [name for name in sys.path if 'tmp' in name])\n")
        self.assertEqual(out, "ModuleNotFoundError\nImportError\nAttributeError\nFalse []\n")

    def test_an_error_is_shown_where_the_program_called(self):
        records = self.records("import sim\ndef play():\n    sim.fail()\nplay()\n", "exception", trace="calls")
        error = next(r for r in records if r["kind"] == "error")
        self.assertEqual([(f["file"], f["line"], f["function"]) for f in error["frames"]],
                         [("/robot/robot.py", 4, "<module>"), ("/robot/robot.py", 3, "play")])
        self.assertIn("ValueError: from the simulator (robot.py, line 3)", self.job.result["sentence"])
        self.assertIn('raise ValueError("from the simulator")', recording.text(records, "err"))
        self.assertEqual({name for _, _, name in recording.calls(records)}, {"<module>", "play"})
        self.assertIn("raise ValueError", self.output("import inspect, sim\nprint(inspect.getsource(sim.fail))\n"))

    def test_what_is_not_loaded_is_not_there(self):
        self.assertEqual(self.output("import sim\nprint(sim.map)\n"), "read as it was loaded\n")
        self.records("import sim\nopen(sim.__file__)\n", "exception")
        self.assertIn("FileNotFoundError", self.job.result["sentence"])
        self.records("import sim\nsim.late()\n", "exception")
        self.assertIn("ModuleNotFoundError: No module named 'sim.unloaded'", self.job.result["sentence"])
        self.records("import sim.unloaded\n", "exception")

    def test_what_is_called_at_the_start(self):
        records = self.records("import sim\nsim.say('program')\n", host="hello")
        self.assertEqual(said(records), ["first", "second", "program"])
        for host, failure in (("fail", "KeyError: 'no such zone'"), ("exit", "has called exit()")):
            records = self.records("print('begun')\n", "exception", host=host)
            self.assertEqual(recording.text(records), "")
            self.assertIn("the simulator failed before the program began, which is not the program's fault: ", self.job.result["sentence"])
            self.assertIn(failure, self.job.result["sentence"])
            self.assertIn("second", recording.text(records, "err"))

    def test_what_is_called_at_the_start_runs_nothing_of_the_program_s(self):
        records = self.records({"robot.py": "print('begun')\n", "colorsys.py": "raise ValueError('of the program')\n"}, host="import")
        self.assertEqual((said(records), recording.text(records)), (["/usr/lib/python3.11/colorsys.py"], "begun\n"))

    def test_programs_that_know_nothing_of_it(self):
        self.assertEqual(self.output("print('hello')\n"), "hello\n")
        self.records("1 / 0\n", "exception")
        self.records("while True: pass\n", "cpu_limit", cpu_ms="100")

    def test_hostile_programs(self):
        """Whatever one does to the module, its job ends with a verdict, and the next one is as ever."""
        find = "import sim\nhosts = sim.say.__self__.__globals__['_hosts']\n"
        for code, verdict in (
                (find + "for bad in b'\\xff', b'{', b'', b'\\0', 'text', None, 5, bytearray(b'[]'):\n    try:\n        hosts.told(bad)\n"
                 "    except (TypeError, ValueError) as e:\n        print(e)\n", "ok"),
                (find + "hosts.told(b'\\x01' * 16384)\n", "ok"),
                (find + "hosts.end(b'x')\n", "exception"), (find + "hosts.end(None)\n", "exception"),
                (find + "g = sim.say.__self__.__globals__\ng['_json'] = lambda value: b'[[['\nsim.say(1)\n", "ok"),
                (find + "hosts.told = hosts.end = hosts.job = None\ntry:\n    sim.say(1)\nexcept TypeError:\n    sim.say = print\n    sim.say('mine')\n", "ok"),
                ("import os, sim\ntry:\n    os.fork()\nexcept OSError:\n    pass\nwhile True:\n    sim.say('x' * 1000)\n", "output_limit"),
                ("import sim, threading\nfor _ in range(8):\n    threading.Thread(target=lambda: [sim.say('x' * 1000) for _ in range(9999)]).start()\n",
                 "output_limit"),
                ("import sim, threading\nfor _ in range(8):\n    threading.Thread(target=lambda: [sim.end(str(i)) for i in range(99)]).start()\n"
                 "while True: pass\n", "match_over")):
            with self.subTest(code):
                job = self.client.run(code, output_kb="64")
                self.assertEqual(job.verdict, verdict, job.result)
                recording.decode(job.recording, partial=True)
                as_json = self.client.run(code, output_kb="64", encoding="json")
                self.assertEqual(as_json.verdict, verdict, as_json.result)
                for line in as_json.recording.splitlines()[:-1]:
                    json.loads(line)
        self.assertEqual(said(self.records("import sim\nsim.say('as ever')\n")), ["as ever"])


# A simulator that is nothing but its clock.
CLOCK = {"ticking.py": """\
from paddock import host

now = 0.0

def sleep(seconds):
    global now
    now += seconds
    if host.job()["host"] == "broken":
        raise ValueError("a spring")

@host.at_start
def begin():
    if host.job()["host"] != "real":
        host.clock(lambda: now, sleep)
"""}


class Clock(unittest.TestCase):
    """Time as a simulator has it. Where a program would wait for as long as it says it would meet its limit."""

    @classmethod
    def setUpClass(cls):
        test = Jobs("runTest")
        cls.addClassCleanup(test.doCleanups)
        cls.pool = cls.enterClassContext(pool.Pool(host_modules="ticking", host_path=host_folder(test, CLOCK)))
        cls.client = cls.pool.client

    def look(self, code, verdict="ok", **fields):
        self.job = self.client.run(code, wall_ms="60000", **fields)
        return self.job.verdict, recording.text(recording.decode(self.job.recording, partial=verdict not in ("ok", "exception")))

    def check(self, code, expected, verdict="ok", **fields):
        self.assertEqual(self.look(code, verdict, **fields), (verdict, expected), self.job.result)

    def check_threads(self, code, expected):
        """On a busy machine one may have no turn within the while that it is waited for: it may be so in two jobs of three."""
        seen = [self.look(code)]
        while seen[-1] != ("ok", expected) and len(seen) < 3:
            seen.append(self.look(code))
        self.assertEqual(seen[-1], ("ok", expected), seen)

    def test_sleeping(self):
        self.check("import time\nfrom time import sleep\nbegun = time.time(), time.monotonic(), time.perf_counter(), time.time_ns(), time.monotonic_ns()\n"
                   "for _ in range(1800):\n    time.sleep(0.1)\nsleep(3600)\nclass A: rest = time.sleep\nA().rest(60)\n"
                   "ended = time.time(), time.monotonic(), time.perf_counter(), time.time_ns() , time.monotonic_ns()\n"
                   "print(*(round(e - b, 3) for b, e in zip(begun[:3], ended)), *((e - b) // 10**9 for b, e in zip(begun[3:], ended[3:])))\n"
                   "print(time.process_time() < 5, type(time.sleep).__name__, time.sleep.__name__)\n",
                   "3840.0 3840.0 3840.0 3840 3840\nTrue builtin_function_or_method sleep\n")

    def test_what_the_date_is(self):
        self.check("import time\nzero = time.time()\ntime.sleep(2 * 86400)\nnow = time.time()\n"
                   "print(round(now - zero), time.gmtime() == time.gmtime(now), time.localtime(None) == time.localtime(now), time.ctime() == time.ctime(now),\n"
                   "      time.asctime() == time.asctime(time.localtime(now)), time.strftime('%c') == time.strftime('%c', time.localtime(now)))\n"
                   "print(time.gmtime(0).tm_year, time.ctime(0), time.strftime('%Y', time.gmtime(0)), time.asctime(time.gmtime(0)))\n",
                   "172800 True True True True True\n1970 Thu Jan  1 00:00:00 1970 1970 Thu Jan  1 00:00:00 1970\n")

    def test_what_no_sleep_is(self):
        self.check("import time\nfor bad in -1, 'x', float('nan'), float('inf'), None:\n    try:\n        time.sleep(bad)\n"
                   "    except (ValueError, TypeError, OverflowError) as e:\n        print(type(e).__name__)\ntime.sleep(0)\ntime.sleep(True)\n",
                   "ValueError\nTypeError\nValueError\nOverflowError\nTypeError\n")

    def test_waits_of_one_thread(self):
        """Nobody else is there who could end them: they end when their time is over, and take that time."""
        before = "import queue, threading, time\nbegun = time.time()\ndef took(result):\n    print(result, round(time.time() - begun))\n"
        for code, result in (("threading.Event().wait(100)", "False"), ("threading.Semaphore(0).acquire(timeout=100)", "False"), ("lock.acquire(timeout=100)", "False"),
                             ("lock.acquire(True, 100)", "False")):
            with self.subTest(code):
                self.check(before + f"lock = threading.Lock()\nlock.acquire()\ntook({code})\n", f"{result} 100\n")
        for wait in "c.wait(100)", "c.wait_for(lambda: False, 100)":
            self.check(before + f"c = threading.Condition()\nwith c:\n    took({wait})\n", "False 100\n")
        for kind in "Queue", "SimpleQueue", "LifoQueue":
            self.check(before + f"try:\n    queue.{kind}().get(timeout=100)\nexcept queue.Empty:\n    took('empty')\n", "empty 100\n")
        self.check(before + "lock = threading.Lock()\nprint(lock.acquire(False), lock.acquire(False), lock.acquire(timeout=0), lock.locked())\nlock.release()\n"
                   "with lock:\n    print(lock.locked())\ntook(lock.locked())\n", "True False False True\nTrue\nFalse 0\n")

    def test_threads_take_their_turns_by_the_clock(self):
        self.check_threads("import threading, time\nbegun = time.time()\ndef go(name, pause, times):\n    for _ in range(times):\n        time.sleep(pause)\n"
                           "        print(f'{name} {time.time() - begun:.1f}')\n"
                           "threads = [threading.Thread(target=go, args=a) for a in (('a', 100, 3), ('b', 70, 3))]\n"
                           "for t in threads: t.start()\nfor t in threads: t.join()\nprint(round(time.time() - begun))\n",
                           "b 70.0\na 100.0\nb 140.0\na 200.0\nb 210.0\na 300.0\n300\n")

    def test_threads_wait_for_each_other(self):
        self.check_threads("import queue, threading, time\nbegun = time.time()\nq, done = queue.Queue(), threading.Event()\n"
                           "def make():\n    for i in range(3):\n        time.sleep(100)\n        q.put(i)\n    done.set()\n"
                           "t = threading.Thread(target=make)\nt.start()\nt.join(50)\nprint(t.is_alive(), round(time.time() - begun))\n"
                           "for _ in range(3):\n    print(q.get(timeout=1000), round(time.time() - begun))\n"
                           "print(done.wait(1000), round(time.time() - begun))\nt.join()\n",
                           "True 50\n0 100\n1 200\n2 300\nTrue 300\n")
        self.check_threads("import threading, time\nbegun = time.time()\nt = threading.Timer(500, lambda: print('timer', round(time.time() - begun)))\nt.start()\n",
                           "timer 500\n")
        self.check_threads("import time\nfrom concurrent.futures import ThreadPoolExecutor\nbegun = time.time()\nwith ThreadPoolExecutor(3) as p:\n"
                           "    print(list(p.map(lambda s: time.sleep(s) or s, (300, 100, 200))))\nprint(round(time.time() - begun))\n",
                           "[300, 100, 200]\n300\n")

    def test_a_thread_that_computes_is_not_waited_for(self):
        """Nor does the clock stand still for who waits for nothing that comes by itself."""
        self.check("import threading, time\nstop = False\ndef compute():\n    while not stop: pass\n"
                   "threading.Thread(target=compute).start()\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
                   "for _ in range(10): time.sleep(100)\nstop = True\nprint('over')\n", "over\n", cpu_ms="30000")

    def test_asyncio(self):
        self.check("import asyncio, time\nbegun = time.time()\nasync def go(name, s):\n    await asyncio.sleep(s)\n    print(name, round(time.time() - begun))\n"
                   "async def main():\n    await asyncio.gather(go('a', 300), go('b', 100), go('c', 200))\n    try:\n"
                   "        await asyncio.wait_for(asyncio.Event().wait(), 1000)\n    except TimeoutError:\n        print('timeout', round(time.time() - begun))\n"
                   "    print(await asyncio.to_thread(lambda: time.sleep(50) or 'slept'), round(asyncio.get_running_loop().time() - zero))\n"
                   "zero = time.monotonic()\nasyncio.run(main())\n",
                   "b 100\nc 200\na 300\ntimeout 1300\nslept 1350\n")

    def test_each_job_has_its_own(self):
        for _ in range(2):
            self.check("import ticking, time\nprint(ticking.now)\ntime.sleep(5)\nprint(ticking.now)\n", "0.0\n5.0\n")
        self.check("import threading, time\na = time.monotonic()\ntime.sleep(0.05)\nthreading.Event().wait(0.05)\nlock = threading.Lock()\n"
                   "print(time.monotonic() - a >= 0.1, lock.acquire(), lock.acquire(timeout=0.01), abs(time.time() - time.time_ns() / 1e9) < 5)\n"
                   "t = threading.Thread(target=time.sleep, args=(0.01,))\nt.start()\nt.join()\nprint(t.is_alive())\n",
                   "True True False True\nFalse\n", host="real")

    def test_a_clock_that_is_taken_again(self):
        """Goes on from what was shown."""
        self.check("import ticking, time\nbegun = time.time()\ntime.sleep(100)\n"
                   "ticking.host.clock(lambda: ticking.now * 2 + 7, lambda s: ticking.sleep(s / 2))\n"
                   "print(round(time.time() - begun))\ntime.sleep(100)\nprint(round(time.time() - begun), ticking.now)\n", "100\n200 150.0\n")
        for bad in "5, print", "print, None":
            self.check(f"import ticking\nticking.host.clock({bad})\n", "", "exception")
            self.assertIn("TypeError: a clock is two functions", self.job.result["sentence"])

    def test_own_modules_of_names_that_wait(self):
        """A program's own queue.py is for itself; what Python's own is given anew waits as ever."""
        self.check({"robot.py": "import queue, random, threading, time\nprint(queue.x, random.x)\nbegun = time.time()\n"
                                "from concurrent.futures import ThreadPoolExecutor\nprint(threading.Event().wait(50), round(time.time() - begun))\n",
                    "queue.py": "x = 1\nSimpleQueue = None\n", "random.py": "x = 2\n"}, "1 2\nFalse 50\n")

    def test_a_clock_that_breaks(self):
        self.check("import time\ndef play():\n    time.sleep(1)\nplay()\n", "", "exception", host="broken")
        self.assertIn("ValueError: a spring (robot.py, line 3)", self.job.result["sentence"])
        self.assertIn('raise ValueError("a spring")', recording.text(recording.decode(self.job.recording), "err"))

    def test_real_limits_stay(self):
        job = self.client.run("import time\nwhile True: time.sleep(0.001)\n", cpu_ms="200")
        self.assertEqual(job.verdict, "cpu_limit")
        job = self.client.run("import threading\nthreading.Event().wait()\n", wall_ms="300")
        self.assertEqual(job.verdict, "wall_limit")


class Isolations(unittest.TestCase):
    """Whoever starts the pool, and whatever namespaces there are."""

    def test_each(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be others")
        folder = host_folder(self, CLOCK)
        code = "import ticking, time\ntime.sleep(100)\nticking.host.emit(ticking.now)\nticking.host.end('over')\n"
        for options in {"isolation": "single"}, {"isolation": "none"}, {"user": pool.STRANGER}, {"user": pool.STRANGER, "isolation": "none"}:
            with self.subTest(options), pool.Pool(host_modules="ticking", host_path=folder, **options) as p:
                job = p.client.run(code)
                self.assertEqual((job.verdict, said(recording.decode(job.recording))), ("match_over", [100.0]), job.result)


class Example(unittest.TestCase):
    """The arena of deploy/examples/hosts, and its program."""

    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            with open(os.path.join(EXAMPLES, "arena.py"), encoding="utf-8") as file:
                write(folder, {"arena.py": file.read()})
            os.chmod(folder, 0o755)
            cls.pool = cls.enterClassContext(pool.Pool(host_modules="arena", host_path=folder))
            cls.client = cls.pool.client

    def play(self, code, **host):
        job = self.client.run(code, host=json.dumps(host))
        self.assertEqual(job.verdict, "match_over", job.result)
        return job, said(recording.decode(job.recording))

    def test_its_program_fetches_all(self):
        with open(os.path.join(EXAMPLES, "robot.py"), encoding="utf-8") as file:
            code = file.read()
        for seed in range(5):
            job, told = self.play(code, seed=seed)
            self.assertRegex(job.result["sentence"], r"^The match is over: 6 of 6 tokens are fetched after \d\d s\.$")
            self.assertEqual(told, self.play(code, seed=seed)[1], "the same match again")
            self.assertEqual(told[0]["k"], "arena")
            self.assertEqual(len([one for one in told if one["k"] == "grab"]), 6)
            self.assertEqual(told[-1]["o"], [])

    def test_a_match_is_over(self):
        """Three minutes of the match's time, in no time: were they waited for, the limit would be met."""
        for sleep in "R.sleep", "time.sleep", "threading.Event().wait":
            job, told = self.play("import threading, time\nfrom arena import Robot\nR = Robot()\nR.motors[0].power = R.motors[1].power = 50\n"
                                  f"while True:\n    try:\n        {sleep}(0.1)\n    except:\n        pass\n", match_s=180)
            self.assertEqual(job.result["sentence"], "The match is over: 0 of 6 tokens are fetched after 180 s.")
            poses = [one for one in told if one["k"] == "pose"]
            self.assertEqual(len(poses), 180 * 15 + 2)
            self.assertEqual(len([one for one in poses if "o" in one]), 180 // 5 + 2)
        self.play("from arena import Robot\nR = Robot()\nwhile True: R.see()\n", match_s=60)

    def test_what_a_motor_takes(self):
        for power in ("float('nan')", "float('inf')", "101", "'fast'", "None", "[]"):
            job = self.client.run(f"from arena import Robot\nRobot().motors[0].power = {power}\n")
            self.assertEqual(job.verdict, "exception", power)
            self.assertIn("(robot.py, line 2)", job.result["sentence"])


class Configuration(unittest.TestCase):
    """What the operator is told."""

    def refuse(self, sentence, *, line=2, **options):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("[sandbox]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))
            file.flush()
            done = supervisor("--config", file.name, "--check-config")
        self.assertEqual(done.returncode, 100, done)
        self.assertIn(f"{file.name}:{line}: ", done.stderr)
        self.assertIn(sentence, done.stderr)

    def test_names(self):
        for name in "7x", "a..b", ".a", "a.", "a-b", "a/b", "é", "a,b":
            self.refuse(f"'{name}' is no name of a module", host_modules=name)
        self.refuse("'paddock' is Paddock's own name", host_modules="sim paddock")
        self.refuse("'paddock.host' is Paddock's own name", host_modules="paddock.host")
        self.refuse("'sim' is there twice", host_modules="sim other sim")
        self.assertEqual(supervisor("--host-modules=sr.robot _sim sim2 paddocks", "--check-config").returncode, 0)
        self.assertIn("host_modules = é: takes different names of modules", supervisor("--host-modules=é", "--check-config").stderr)

    def test_every_name_of_python_s_own(self):
        with open(os.path.join(pool.ROOT, "common", "host_modules.c"), encoding="utf-8") as file:
            table = re.search(r"standard\[\] =\n(.*?);", file.read(), re.S)[1]
        self.assertEqual(sorted(" ".join(re.findall(r'"(.*)"', table)).split()), sorted(sys.stdlib_module_names))
        self.refuse("'os.path' is a name of Python's own library", host_modules="sim os.path")
        self.refuse("'json' is a name of Python's own library", host_modules="json")

    def test_folders(self):
        folder = host_folder(self, {"sim.py": "", "more/sim.py": ""})
        self.assertEqual(supervisor(f"--host-path={folder}", "--check-config").returncode, 0)
        self.assertEqual(supervisor(f"--host-path={folder}:{folder}/more", "--check-config").returncode, 0)
        for path, sentence in (("sim", "'sim' is no absolute path"), (f"{folder}/none", f"there is no folder {folder}/none"),
                               (f"{folder}/sim.py", f"there is no folder {folder}/sim.py"), (f"{folder}:", "it ends with a colon"),
                               (f"{folder}::{folder}", "'' is no absolute path"), (f"{folder}:more", "'more' is no absolute path")):
            self.refuse(sentence, host_path=path)

    def test_folders_that_others_can_write_to(self):
        """To the folder, to one above it, to a file anywhere below it."""
        folder = host_folder(self, {"a/b/sim.py": ""})
        for name in "", "a", "a/b", "a/b/sim.py":
            path = os.path.join(folder, name).rstrip("/")
            mode = os.stat(path).st_mode & 0o777
            for more in 0o020, 0o002:
                os.chmod(path, mode | more)
                self.refuse(f"others can write to {path}", host_path=f"{folder}/a")
            os.chmod(path, mode)
            self.assertEqual(supervisor(f"--host-path={folder}/a", "--check-config").returncode, 0)
        if os.geteuid() == 0:
            os.chown(os.path.join(folder, "a/b"), pool.STRANGER, -1)
            self.refuse(f"others can write to {folder}/a/b", host_path=f"{folder}/a")

    def test_folders_that_the_zygote_cannot_read(self):
        if os.geteuid() != 0:
            self.skipTest("the zygote is its user")
        folder = host_folder(self, {"a/sim.py": ""})
        for name, mode in (("", 0o700), ("a", 0o744), ("a/sim.py", 0o600)):
            path = os.path.join(folder, name).rstrip("/")
            os.chmod(path, mode)
            self.refuse(f"the zygote, which is nobody, cannot read {path}", host_path=f"{folder}/a")
            os.chmod(path, 0o755)

    def start(self, name, **files):
        folder = host_folder(self, {f"{module}.py": text for module, text in files.items()})
        run = self.enterContext(tempfile.TemporaryDirectory())
        return supervisor(f"--runtime-dir={run}/run", f"--host-path={folder}", f"--host-modules={name}")

    def test_a_module_that_cannot_be_loaded_ends_the_start(self):
        for text, sentence in (("import nowhere\n", "ModuleNotFoundError: No module named 'nowhere'"), ("1 / 0\n", "ZeroDivisionError: division by zero"),
                               ("def f(:\n", "SyntaxError: invalid syntax"), ("raise SystemExit(0)\n", "SystemExit: 0"),
                               ("raise ValueError('two\\nlines')\n", "ValueError: two lines"),
                               ("import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n", "it has begun a thread"),
                               ("from paddock import host\nhost.emit(1)\n", "RuntimeError: there is no job yet"),
                               ("from paddock import host\nhost.end()\n", "RuntimeError: there is no job yet")):
            with self.subTest(text):
                done = self.start("good bad", good="", bad=text)
                self.assertEqual(done.returncode, 100, done.stderr)
                lines = [line for line in done.stderr.splitlines() if re.search(r"unable to load the host module bad \(/.*/bad.py\): ", line)]
                self.assertEqual(len(lines), 1, done.stderr)
                self.assertIn(sentence, lines[0])
                self.assertNotIn("Traceback", done.stderr)
        self.assertIn("unable to load the host module none: ModuleNotFoundError: No module named 'none'", self.start("none").stderr)

    def test_a_module_that_ends_the_process_ends_the_start(self):
        for text, how in (("import os\nos._exit(0)\n", "exit code 0"), ("import ctypes\nctypes.string_at(0)\n", "exit code 1" if pool.SANITIZED else "signal 11"),
                          ("import os\nos.write(1, b'here')\nos._exit(7)\n", "exit code 7")):
            with self.subTest(text):
                done = self.start("good bad", good="", bad=text)
                self.assertEqual(done.returncode, 100, done.stderr)
                self.assertRegex(done.stderr, rf"error supervisor\[\d+\] the host module bad \(/.*/bad.py\) ended the zygote as it was loaded: {how}")
        self.assertRegex(done.stderr, r"info supervisor\[\d+\] host module bad \(/.*/bad.py\) says: here\n")

    def test_what_modules_print(self):
        """stands in the log, each line for itself, as what it is, whichever way they print; however much it is."""
        talk = ("import os, sys, warnings\nprint('out\\nwith verdict=ok\\x1b[31m')\nprint('err', file=sys.stderr)\nos.write(2, b'raw\\xff\\n')\n"
                "warnings.warn('old')\n")
        more = "import sys\nsys.stdout.write('x' * 100000)\nprint()\n"
        folder = host_folder(self, {"talk.py": talk, "more.py": more, "none.py": ""})
        with pool.Pool(workers=1, host_modules="talk more none", host_path=folder) as p:
            self.assertEqual(recording.text(recording.decode(p.client.run("import sys\nprint(sys.stdin.read() == '')\n").recording)), "True\n")
            log = p.read_log()
        lines = [line.partition("says: ")[2] for line in log.splitlines() if f"host module talk ({folder}/talk.py) says: " in line]
        self.assertEqual(lines[0], "err")  # what Python itself keeps back is last
        self.assertIn(r"raw\xff", lines)
        self.assertIn("out", lines)
        self.assertIn(r"with verdict=ok\x1b[31m", lines)
        self.assertTrue(any("UserWarning: old" in line for line in lines), lines)
        self.assertRegex(log, rf"host module more \({folder}/more.py\) says: x+\n")
        self.assertRegex(log, rf"host module more \({folder}/more.py\) says \d+ bytes more\n")
        self.assertNotIn("host module none", log)
        for line in log.splitlines():
            self.assertRegex(line, r"^[a-z]+ [a-z]+(-\d+)?\[\d+\] ")

    def test_a_module_that_hangs(self):
        """At the start it ends that, and at a reload all stays as it was; either is said, with its name."""
        folder = host_folder(self, {"sim.py": "", "wait.py": "import time\nprint('waiting', flush=True)\ntime.sleep(1000)\n"})
        run = self.enterContext(tempfile.TemporaryDirectory())
        said = f"the host module wait ({folder}/wait.py) is not loaded after 60 s: its zygote is killed"
        with pool.Pool(workers=1, host_modules="sim", host_path=folder) as p, \
                subprocess.Popen([SUPERVISOR, f"--runtime-dir={run}/run", f"--host-path={folder}", "--host-modules=wait"],
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as starting:
            write(folder, {"sim.py": "while True: pass\n"})
            p.process.send_signal(signal.SIGHUP)
            told = starting.communicate(timeout=pool.PATIENCE)[1]
            self.assertEqual(starting.returncode, 100, told)
            self.assertIn(said, told)
            self.assertIn("says: waiting", told)
            pool.wait_until(lambda: "the configuration stays as it was" in p.read_log(), "the reload is over")
            self.assertIn(f"the host module sim ({folder}/sim.py) is not loaded after 60 s: its zygote is killed", p.read_log())
            self.assertEqual(p.client.run("import sim\n").verdict, "ok")

    def test_reload(self):
        """A reload loads them anew, whether the file names others or not; one that cannot be loaded leaves all as it was."""
        folder = host_folder(self, {"sim.py": "version = 1\n", "more.py": "version = 10\n"})
        config = self.enterContext(tempfile.NamedTemporaryFile("w+", suffix=".conf"))

        def configure(modules):
            config.seek(0)
            config.truncate()
            config.write(f"[sandbox]\nhost_modules = {modules}\nhost_path = {folder}\n")
            config.flush()

        def reload(words):
            before = len(p.read_log())
            p.process.send_signal(signal.SIGHUP)
            pool.wait_until(lambda: words in p.read_log()[before:], words)
            return p.read_log()[before:]

        def output(code):
            return recording.text(recording.decode(p.client.run(code).recording))

        configure("sim")
        with pool.Pool(config=config.name) as p:
            self.assertEqual(output("import sim\nprint(sim.version)\n"), "1\n")
            write(folder, {"sim.py": "version = 2\n"})
            reload("the new configuration is in force")
            pool.wait_until(lambda: output("import sim\nprint(sim.version)\n") == "2\n", "the new one serves")
            configure("sim more")
            reload("the new configuration is in force")
            pool.wait_until(lambda: output("try:\n    import more\n    print(more.version)\nexcept ImportError:\n    pass\n") == "10\n",
                            "it serves")
            write(folder, {"sim.py": "raise ValueError('broken')\n"})
            told = reload("the configuration stays as it was")
            self.assertIn(f"unable to load the host module sim ({folder}/sim.py): ValueError: broken", told)
            self.assertNotIn("another is tried", p.read_log())
            self.assertEqual(output("import sim, more\nprint(sim.version, more.version)\n"), "2 10\n")
            modules = [int(count) for count in re.findall(r"zygote ready .* modules=(\d+)", p.read_log())]
            self.assertEqual([count - modules[0] for count in modules], [0, 0, 1], "they count")


class Without(pool.TestCase):
    """A pool without host modules is as it was."""

    def test_nothing_of_it_is_there(self):
        job = self.client.run("import time, threading, sys, _thread\n"
                              "print(type(time.sleep).__name__, time.sleep.__self__ is time, threading.Lock is _thread.allocate_lock)\n"
                              "try:\n    import paddock.host\nexcept ModuleNotFoundError:\n    print('none')\n", host="for nobody")
        self.assertEqual(recording.text(recording.decode(job.recording)), "builtin_function_or_method True True\nnone\n")


if __name__ == "__main__":
    unittest.main()
