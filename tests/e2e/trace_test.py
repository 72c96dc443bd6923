# SPDX-License-Identifier: MIT
"""The trace, read by deploy/clients/recording.py, beside what sys.settrace says of the same programs: those of
tests/trace/programs.py, which there run without a pool, and some with threads or more trace than is kept."""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import types
import unittest

import pool

FILE = "/robot/robot.py"
TRACED = "call", "return", "unwind", "line", "yield", "resume", "exception"


def load(*path):
    """A module by its path, as another of the name is in this folder."""
    name = "_".join(path[:-1]) + "_" + path[-1].removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, os.path.join(pool.ROOT, *path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recording = load("deploy", "clients", "recording.py")
PROGRAMS = load("tests", "trace", "programs.py").PROGRAMS


def depth_of(frame):
    depth = 0
    while frame is not None:
        depth += frame.f_code.co_filename == FILE
        frame = frame.f_back
    return depth


def watched(source):
    """(what it printed, [(event, function, line, depth)]) under sys.settrace."""
    found, out = [], io.StringIO()

    def trace(frame, event, argument):
        if frame.f_code.co_filename != FILE:
            return None
        line = frame.f_lineno if event != "call" else frame.f_code.co_firstlineno
        found.append((event, frame.f_code.co_qualname, line, depth_of(frame)))
        return trace

    code = compile(source, FILE, "exec", dont_inherit=True)
    with contextlib.redirect_stdout(out), contextlib.suppress(Exception):
        sys.settrace(trace)
        try:
            exec(code, types.ModuleType("__main__").__dict__)
        finally:
            sys.settrace(None)
    return out.getvalue(), found


def traced(source, wanted="line"):
    """(what it printed, [(function, line, depth)] of the wanted events) under sys.settrace."""
    out, found = watched(source)
    return out, [(function, line, depth) for event, function, line, depth in found if event == wanted]


def told(events, wanted="line"):
    return [(e["function"], e["line"], e["depth"]) for e in events if e["kind"] == wanted and e["file"] == FILE]


def text_of(events):
    return "".join(e["text"] for e in events if e["kind"] == "out")


class Reading(pool.TestCase):
    """Of programs with a trace."""

    maxDiff = 4000

    def read(self, job):
        trace = recording.Trace()
        return [*trace.push(job.recording), *trace.finish()]

    def run_program(self, source, trace="lines", **fields):
        """Its events, which are in order."""
        job = self.client.run(source, trace=trace, **fields)
        self.assertIn(job.verdict, ("ok", "exception"), job.result)
        events = self.read(job)
        self.check_order(events)
        return events

    def check_order(self, events):
        self.assertEqual((events[0]["kind"], events[-1]["kind"]), ("header", "end"))
        missing = sum(e["missing"] for e in events if e["kind"] == "dropped")
        self.assertEqual(sum(e["kind"] in TRACED for e in events) + missing, events[-1]["produced"])
        # What was dropped before a sync may be older than output that stands in front of it.
        for before, event in zip(events, events[1:]):
            if event["kind"] != "sync":
                self.assertGreaterEqual(event["time"], before["time"])
        for event in events:
            if event["kind"] in TRACED and missing == 0:
                self.assertGreater(event["depth"], 0, event)
                self.assertIn(event["file"], (FILE, "<string>"))

    def assert_same(self, found, expected):
        """Of lists that are long: assertEqual looks for what they have in common, for minutes."""
        same = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), min(len(found), len(expected)))
        self.assertEqual(found[same:same + 10], expected[same:same + 10], f"after {same}")

    def depths_at_the_end(self, events):
        """Calls that are open, by thread."""
        depths = {}
        for event in events:
            if event["kind"] in ("call", "resume", "line"):
                depths[event["thread"]] = event["depth"]
            elif event["kind"] in ("return", "unwind", "yield"):
                depths[event["thread"]] = max(event["depth"] - 1, 0)
            elif event["kind"] == "sync":
                depths[event["thread"]] = event["depth"]
            elif event["kind"] == "dropped" and event["missing"]:
                depths = {event["thread"]: depths[event["thread"]]}
        return depths


class Trace(Reading):
    def test_code_of_texts(self):
        """Of compile, exec and eval, by their own file name; that of the library's is not the program's."""
        source = ("exec('a = 1\\nb = 2')\nprint(eval(' a + b'))\nexec(compile('def g():\\n    return 7', 'made.py', 'exec'))\ng()\n"
                  "def f(x):\n    return eval('x + 1')\nf(3)\nimport collections\ncollections.namedtuple('T', 'x')(1)\n"
                  "try:\n    exec('1 / 0')\nexcept ZeroDivisionError as e:\n    print(e)\nns = {}\nexec('y = 1', ns)\nprint(eval('y', ns))\n"
                  "try:\n    eval('(')\nexcept SyntaxError as e:\n    print(e.filename)\n")
        job = self.client.run(source, trace="lines")
        plain = self.client.run(source)
        events = self.read(job)
        self.assertEqual((job.verdict, text_of(events)), (plain.verdict, text_of(self.read(plain))))
        made = [(e["file"], e["function"], e["line"]) for e in events if e["kind"] == "line" and e["file"] != FILE]
        self.assertEqual(made, [("<string>", "<module>", 1), ("<string>", "<module>", 2), ("<string>", "<module>", 1), ("made.py", "<module>", 1),
                                ("made.py", "g", 2), ("<string>", "<module>", 1), ("<string>", "<module>", 1), ("<string>", "<module>", 1),
                                ("<string>", "<module>", 1)])

    def test_names_that_are_no_utf8(self):
        """are written as Python writes them to stderr."""
        job = self.client.run("exec(compile('def f(): pass', 'a\\udc80b', 'exec'))\nf()\nglobals()['v\\ud800'] = 1\nx = 2\n", trace="steps")
        events = self.read(job)
        self.assertIn("a\\udc80b", {e.get("file") for e in events})
        self.assertIn("v\\ud800", {e.get("name") for e in events if e["kind"] == "variable"})

    def test_lines_of_code_are_those_of_the_source(self):
        """And then come ranges of our own, in lines that are there anyway, and one without a line, as Python's code has them."""
        source = ("import types\ndef f(n):\n    for i in range(n):\n        while i: i -= 1\n    try: n\n    except E as e:\n        pass\n"
                  "    finally:\n        n = 1\n    with n: pass\n    return [x for x in n]\n\n\ndef g():\n    yield 1\n\n\nclass K:\n    a = 1\n"
                  "    async def m(self):\n        async for x in self: return lambda: 3\n\n\ndef lines_of(code):\n    lines = []\n"
                  "    for _, _, line in code.co_lines():\n        if lines[-1:] != [line]: lines.append(line)\n    return lines\n\n\n"
                  "def all_of(code):\n    yield code\n    for one in code.co_consts:\n        if isinstance(one, types.CodeType): yield from all_of(one)\n\n\n"
                  "own = {code.co_qualname: lines_of(code) for code in all_of(compile(open(__file__).read(), __file__, 'exec'))}\n"
                  "for function in f, g, K.m, lines_of, all_of:\n    for code in all_of(function.__code__):\n"
                  "        lines, found = own[code.co_qualname], lines_of(code)\n"
                  "        print(found[:len(lines)] == lines and {*found} == {*lines, None} and found[-1] is None)\n")
        for level in "calls", "lines":
            self.assertEqual(text_of(self.run_program(source, level)), "True\n" * 7)

    def test_code_that_a_program_compiles_is_pythons_own(self):
        """To compare, to write and to take apart; what runs it is traced all the same, each time."""
        source = ("import dis, marshal\ncode = compile('def g(x):\\n    return x + 1\\ny = g(1)\\n', 'made.py', 'exec')\n"
                  "print(code == compile('def g(x):\\n    return x + 1\\ny = g(1)\\n', 'made.py', 'exec'))\n"
                  "print(hash(code) == hash(marshal.loads(marshal.dumps(code))))\nprint(len(list(dis.get_instructions(code))))\n"
                  "for _ in range(2): exec(code)\nexec(marshal.loads(marshal.dumps(code)), {})\nprint(eval(compile('g(3)', 'e.py', 'eval')))\n"
                  "def f():\n    n = 1\n    def inner(): return n\n    return inner.__closure__\n"
                  "def h():\n    n = 0\n    def inner(): return n\n    return inner\nexec(h().__code__, {}, closure=f())\n")
        plain, events = self.client.run(source), self.read(self.client.run(source, trace="lines"))
        self.assertEqual(text_of(events), text_of(self.read(plain)))
        self.assertEqual([e["function"] for e in events if e["kind"] == "call" and e["file"] == "made.py"], ["<module>", "g"] * 3 + ["g"])

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer keeps what is freed")
    def test_texts_without_end(self):
        """Nothing is kept of them but their names, which have a bound."""
        job = self.client.run("for i in range(30000): exec(f'x = {i}')\n", trace="lines", memory_mb=64)
        self.assertEqual(job.verdict, "ok", job.result)

    def test_programs(self):
        with_trace = {name: self.client.enqueue(pool.make_zip(PROGRAMS[name]), trace="lines") for name in PROGRAMS}
        without = {name: self.client.enqueue(pool.make_zip(PROGRAMS[name])) for name in PROGRAMS}
        for name, source in PROGRAMS.items():
            with self.subTest(name):
                events = self.read(self.client.wait(with_trace[name]))
                plain = self.read(self.client.wait(without[name]))
                printed, lines = traced(source)
                found = told(events)
                if "throw" in source:  # calls that an exception passes through from outside say nothing of it
                    found, lines = ([line[:2] for line in each] for each in (found, lines))
                self.assertEqual(text_of(plain), printed)
                self.assertEqual(text_of(events), printed)
                self.assert_same(found, lines)
                self.check_order(events)
                self.assertEqual(set(self.depths_at_the_end(events).values()) - {0}, set())

    # Hot, so that repeats come of them: of one line, of several, of calls, of what changes its mind.
    LOOPS = {
        "lines": "n = 0\nfor i in range(100000):\n    if i % 3:\n        n += i\nprint(n)\n",
        "one line": "for i in range(50000): i\n",
        "calls": "def f(n):\n    return g(n) + 1\ndef g(n):\n    return n\nfor i in range(8000):\n    f(i)\n    if i % 100 == 0: g(i)\n",
        "loops": "for i in range(300):\n    for j in range(i):\n        k = j\n",
        "recursion": "def fib(n):\n    if n < 2:\n        return n\n    return fib(n - 1) + fib(n - 2)\nprint(fib(18))\n"
                     "def down(n):\n    if n:\n        down(n - 1)\nfor _ in range(50):\n    down(300)\n",
        "generators": "def count(n):\n    while n:\n        n -= 1\n        yield n\nprint(sum(x for x in count(9000)))\n"
                      "for a, b in zip(count(4000), count(4000)):\n    a\n",
        "exceptions": "def f(n):\n    if n % 5 == 0:\n        raise ValueError\nfor i in range(6000):\n    try:\n        f(i)\n"
                      "    except ValueError:\n        pass\n",
        "output": "import sys\nfor i in range(9000):\n    if i % 50 == 0:\n        print(i)\n    i\n",
        "long": "for i in range(60):\n" + "".join(f"    x{i} = i\n" for i in range(253)) + "for i in range(60):\n"
                + "".join(f"    x{i} = i\n" for i in range(300)),
    }

    def test_loops(self):
        jobs = {name: self.client.enqueue(pool.make_zip(source), trace="lines", cpu_ms="20000") for name, source in self.LOOPS.items()}
        for name, source in self.LOOPS.items():
            with self.subTest(name):
                events = self.read(self.client.wait(jobs[name]))
                self.check_order(events)
                self.assertNotIn("dropped", [event["kind"] for event in events])
                printed, lines = traced(source)
                self.assertEqual(text_of(events), printed)
                self.assert_same(told(events), lines)
                self.assertEqual(len(told(events)), len(lines))

    def test_a_program_that_watches_itself(self):
        """Its function is called where Python was about to enter or to leave a call: that has not begun, and does not go on."""
        source = ("import sys\ndef watch(*_): return watch\ndef f(): return g()\ndef g(): return 1\n"
                  "def h():\n    yield f()\n    yield 2\nsys.{0}(watch)\nf()\nlist(h())\nsys.{0}(None)\nf()\n")
        for name in "settrace", "setprofile":
            with self.subTest(name):
                said = [(e["kind"], e["function"]) for e in self.run_program(source.format(name), trace="calls")
                        if e["kind"] in ("call", "return", "yield", "resume") and e["function"] != "watch"]
                inner = [("call", "f"), ("call", "g"), ("return", "g"), ("return", "f")]
                self.assertEqual(said, [("call", "<module>"), *inner, ("call", "h"), *inner, ("yield", "h"), ("resume", "h"),
                                        ("yield", "h"), ("resume", "h"), ("return", "h"), *inner, ("return", "<module>")])

    def test_deeper_than_is_traced(self):
        """100,000 calls are on the stack that the tracer keeps; what is deeper runs as ever, and what comes later is traced."""
        source = ("import sys\nsys.setrecursionlimit(10**6)\ndef count(n): return 1 + count(n - 1) if n else 0\ndef after(): pass\n"
                  "print(count(200000))\nafter()\n")
        for level in "calls", "lines":
            with self.subTest(level):
                events = self.run_program(source, trace=level)
                self.assertEqual(text_of(events), "200000\n")
                calls, returns = ([e["function"] for e in events if e["kind"] == kind] for kind in ("call", "return"))
                self.assertEqual(calls, ["<module>"] + ["count"] * 99999 + ["after"])
                self.assertEqual(returns, ["count"] * 99999 + ["after", "<module>"])

    def test_lines_of_code_that_names_any(self):
        """One that is beyond all files is told as the last, one below the first as 0; readers take whatever it comes to."""
        source = ("import ast\ntree = ast.parse('def f():\\n  a = 1\\n  a = 2\\n  a = 3\\nfor i in range(200): f()\\n')\n"
                  "far = iter([2**31 - 1, 2**27, -7, 2**30, 5] * 20)\n"
                  "for node in ast.walk(tree):\n    if hasattr(node, 'lineno'): node.lineno = node.end_lineno = next(far)\n"
                  "exec(compile(tree, '<string>', 'exec'))\nprint('end')\n")
        events = self.run_program(source)
        self.assertEqual(text_of(events), "end\n")
        lines = {e["line"] for e in events if e["kind"] in TRACED and e["file"] == "<string>"}
        self.assertIn(2**26 - 1, lines)
        self.assertLessEqual(lines, {0, 1, 5, 2**26 - 1})

    def test_more_than_is_traced_of_all_threads(self):
        """200,000 calls are open in all threads that a reader takes; what is more runs as ever, and what comes later is traced."""
        source = ("import sys, threading\nsys.setrecursionlimit(10**6)\nthere = threading.Barrier(3)\ndef count(n):\n"
                  "    if n: return 1 + count(n - 1)\n    there.wait()\n    return 0\ndef after(): pass\n"
                  "threads = [threading.Thread(target=count, args=(90000,)) for _ in range(3)]\n"
                  "for t in threads: t.start()\nfor t in threads: t.join()\nafter()\nprint('end')\n")
        events = self.run_program(source, trace="calls", memory_mb=512)
        self.assertEqual(text_of(events), "end\n")
        calls, returns = ([e["function"] for e in events if e["kind"] == kind] for kind in ("call", "return"))
        self.assertEqual(len(returns), len(calls))
        self.assertGreater(calls.count("count"), 190000)
        self.assertEqual(calls.count("after"), 1)

    def test_deeper_and_not_back(self):
        """Exceptions through calls that are not traced, caught above and within them; and a level that changes down there."""
        start = "import paddock, sys\nsys.setrecursionlimit(10**6)\n"
        for name, source in {
                "caught above": "def f(n):\n    if n == 0: raise KeyError\n    f(n - 1)\ntry: f(200000)\nexcept KeyError: pass\n",
                "caught within": "def f(n):\n    if n == 0:\n        for _ in range(30000): g()\n    else: f(n - 1)\n"
                                 "def g():\n    try: h()\n    except KeyError: pass\ndef h(): raise KeyError\nf(150000)\n",
                "the recursion limit": "sys.setrecursionlimit(300000)\ndef f(n): return n * f(n - 1)\n"
                                       "try: f(5)\nexcept RecursionError: pass\n",
                "off for a while": "def f(n):\n    if n: return f(n - 1)\n    with paddock.trace('off'): pass\n    g()\ndef g(): pass\nf(160000)\n",
                "off until it is back": "def f(n):\n    if n: return f(n - 1)\n    paddock.trace('off')\nf(160000)\npaddock.trace('lines')\n"}.items():
            with self.subTest(name):
                events = self.run_program(start + source + "def after(): pass\nafter()\nprint('end')\n", memory_mb=512)
                self.assertEqual(text_of(events), "end\n")
                after = [e for e in events if e["kind"] in ("call", "return") and e["function"] == "after"]
                self.assertEqual([(e["kind"], e["depth"]) for e in after], [("call", 2), ("return", 2)])

    def test_numbers_of_exceptions(self):
        """Two at one address, one that is raised again after another, and two that two threads have in turns."""
        first = "try: raise KeyError\nexcept KeyError: pass\n"
        other = "try: raise ValueError\nexcept ValueError: pass\n"
        handled = "def f():\n    try: raise KeyError\n    except KeyError:\n        try: raise ValueError\n        except ValueError: pass\n        raise\n"
        again = ("kept = [KeyError() for _ in range(63)]\nfirst = KeyError()\ntry: raise first\nexcept KeyError: pass\nfor e in kept:\n"
                 "    try: raise e\n    except KeyError: pass\nother = ValueError()\ndel first\nsecond = KeyError()\ndef f():\n    try: raise second\n"
                 "    except KeyError:\n        try: raise other\n        except ValueError: pass\n        raise\ntry: f()\nexcept KeyError: pass\n")
        unseen = ("import paddock\ndef f(e, handled):\n    try: raise e\n    except handled: pass\ndef g():\n    paddock.trace('off')\n"
                  "    try: f(ValueError, ())\n    except ValueError:\n        paddock.trace('lines')\n        raise\n"
                  "for i in range(3):\n    f(KeyError, KeyError)\n    try: g()\n    except ValueError: pass\n")
        threads = ("import threading\ndef f(mine, its):\n    try: raise KeyError\n    except KeyError:\n        its.set()\n        mine.wait()\n"
                   "        raise\ndef run(*a):\n    try: f(*a)\n    except KeyError: pass\none, two = threading.Event(), threading.Event()\n"
                   "thread = threading.Thread(target=run, args=(one, two))\nthread.start()\ntwo.wait()\nrun(two, one)\nthread.join()\n")
        for source, numbers in ((first + other, [[1, 2]]), (handled + "try: f()\nexcept KeyError: pass\n", [[1, 2, 1, 1]]),
                                (again, [[*range(1, 67), 65, 65]]), (unseen, [[1, 2, 2, 3, 4, 4, 5, 6, 6]]),
                                (threads, [[1, 1, 1], [2, 2, 2]])):
            found = {}
            for event in self.run_program(source):
                if event["kind"] == "exception":
                    found.setdefault(event["thread"], []).append(event["exception"])
            self.assertEqual(sorted(found.values()), numbers, source)

    THREADS = ("import threading, time\ndef one(n):\n    for i in range(n):\n        a = i\n        b = a\n        nap1(i)\n"
               "def nap1(i):\n    if i % 50 == 0: time.sleep(0)\ndef two(n):\n    for i in range(n):\n        c = i\n        nap2(i)\n"
               "def nap2(i):\n    if i % 70 == 0: time.sleep(0)\n"
               "threads = [threading.Thread(target=f, args=(COUNT,)) for f in (one, two)]\nfor t in threads: t.start()\n"
               "for t in threads: t.join()\n")
    CALLS = {0: {"<module>", "<listcomp>"}, 1: {"one", "nap1"}, 2: {"two", "nap2"}}

    def check_threads(self, events):
        of = {name: number for number, names in self.CALLS.items() for name in names}
        found = {}
        for event in events:
            names = [event["function"]] if event["kind"] in TRACED else [c["function"] for c in event.get("stack", ())]
            for name in filter(None, names):
                found.setdefault(event["thread"], set()).add(of[name])
        self.assertEqual([len(numbers) for numbers in found.values()], [1] * len(found), found)

    def test_threads(self):
        events = self.run_program(self.THREADS.replace("COUNT", "2000"))
        self.check_threads(events)
        self.assertEqual(self.depths_at_the_end(events), {0: 0, 1: 0, 2: 0})
        for name, number in (("one", 2000 * 4 + 1), ("two", 2000 * 3 + 1)):
            self.assertEqual(sum(function == name for function, *_ in told(events)), number)

    PRINTING = ("import sys, threading, time\ndef work():\n    time.sleep(0.05) or print('worker')\n    sys.stderr.write('also\\n')\n"
                "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\nprint('main')\nfor i in range(COUNT): i\n"
                "def last(): print('last')\nthread = threading.Thread(target=last)\nthread.start()\nthread.join()\nprint('main')\n")

    def test_threads_that_print(self):
        """While the first one waits in a call, and where the trace is no longer kept in full: what they print is theirs."""
        for fields in {"trace": "lines"}, {"trace": "steps"}, {"trace": "calls"}, {"trace": "lines", "recording_kb": "64"}:
            with self.subTest(fields):
                events = self.run_program(self.PRINTING.replace("COUNT", "60000" if "recording_kb" in fields else "10"),
                                          cpu_ms="20000", **fields)
                self.assertEqual([(e["thread"], e["text"]) for e in events if e["kind"] in ("out", "err")],
                                 [(1, "worker\n"), (1, "also\n"), (0, "main\n"), (2, "last\n"), (0, "main\n")])

    def test_no_thread_is_named_where_nothing_is_traced(self):
        source = self.PRINTING.replace("COUNT", "10")
        with_trace, without = (self.client.run(source, encoding="json", trace=trace).recording for trace in ("calls", "off"))
        kinds = [[json.loads(line)["kind"] for line in recording.splitlines()] for recording in (with_trace, without)]
        self.assertEqual(kinds[0].count("thread"), 4)
        self.assertNotIn("thread", kinds[1])

    def test_threads_with_more_trace_than_is_kept(self):
        for _ in range(3):
            self.check_threads(self.run_program(self.THREADS.replace("COUNT", "30000"), recording_kb="64", cpu_ms="20000",
                                                wall_ms="60000"))

    SPINNING = ("import threading, time\ndef spin_a():\n    n = 1\n    while True:\n        n = n * 1103515245 + 12345 & 0x7fffffff\n"
                "        if n & 8192:\n            n ^= 5\ndef spin_b():\n    m = 1\n    while True:\n"
                "        m = m * 1103515245 + 12345 & 0x7fffffff\n        if m & 8192:\n            m ^= 5\n"
                "def leaf(n): return n\ndef calls():\n    n = 1\n    while True:\n        n = n * 1103515245 + 12345 & 0x7fffffff\n"
                "        leaf(n)\n        if n & 8192: leaf(leaf(n))\n"
                "def turns():\n    n = 1\n    while True:\n        n = n * 1103515245 + 12345 & 0x7fffffff\n"
                "        if n & 8192: leaf(n)\n        time.sleep(0)\n"
                "def wait(n):\n    if n: wait(n - 1)\n    else: threading.Event().wait()\ndef waits(): wait(n=DEEP)\n"
                "for f in TARGETS: threading.Thread(target=f).start()\nthreading.Event().wait()\n")
    SPUN = {"two loops": ("(spin_a, spin_b)", 0), "loops and calls": ("(spin_a, calls, calls, spin_b, calls)", 0),
            "some that wait": ("(waits, spin_a, spin_b, waits)", 5), "many that wait deep": ("[waits] * 20 + [turns, calls]", 100),
            "in turns": ("(turns, turns, turns)", 0)}

    def spin(self, name, level, **fields):
        targets, deep = self.SPUN[name]
        source = self.SPINNING.replace("TARGETS", targets).replace("DEEP", str(deep))
        job = self.client.run(source, trace=level, recording_kb="64", cpu_ms="1000", wall_ms="60000", **fields)
        self.assertEqual(job.verdict, "cpu_limit", job.result)
        return job, ["<module>", *(f.__name__ for f in eval(targets, {name: types.SimpleNamespace(__name__=name) for name in (
            "spin_a", "spin_b", "calls", "turns", "waits")}))]

    def test_threads_that_are_killed(self):
        """Each is told to the end as what it was, whether it has spoken of late or not."""
        for name in self.SPUN:
            for level in "lines", "steps":
                with self.subTest(name, level=level):
                    job, targets = self.spin(name, level)
                    trace = recording.Trace()
                    events = list(trace.push(job.recording))
                    gap = [e["kind"] for e in events].index("sync")
                    self.assertGreater(sum(e["missing"] for e in events if e["kind"] == "dropped"), 0)
                    self.assertEqual([e for e in events[gap:] if e["kind"] in TRACED and e["function"] == ""], [])
                    if "deep" in name:  # the innermost 64 calls are named
                        continue
                    outermost = {e["thread"]: e["stack"][0]["function"] for e in events[gap:] if e["kind"] == "sync" and e["stack"]}
                    self.assertEqual(sorted(outermost.values()), sorted(targets))
                    self.assertEqual(sorted(self.unfinished(job.recording)), sorted(targets))

    def unfinished(self, data):
        """The outermost call of each thread that `paddock trace` says is unfinished, behind what is missing."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            text = subprocess.run([pool.program("paddock"), "trace", file.name], capture_output=True, text=True, check=True,
                                  timeout=pool.PATIENCE).stdout
        thread, last = None, {}
        for line in text.rpartition("trace records are missing before this")[2].splitlines():
            words = line.replace(",", "").split()
            if words[:1] == ["thread"]:
                thread = words[1]
            elif words[1:2] == ["unfinished"]:
                last[thread] = words[2]
        return last.values()

    def test_runs_name_each_thread(self):
        """Before its first record in the run, in either form."""
        for level, encoding in ("lines", "binary"), ("calls", "json"):
            for name in ("in turns", "many that wait deep"):
                with self.subTest(name, encoding=encoding):
                    job, _ = self.spin(name, level, encoding=encoding)
                    records = ([json.loads(line) for line in job.recording.splitlines()] if encoding == "json"
                               else list(recording.Decoder().push(job.recording)))
                    starts = [i - 1 for i, r in enumerate(records) if r["kind"] == "dropped"]
                    self.assertIn(len(starts), (1, 2))
                    thread, named = 0, set()
                    for i, record in enumerate(records[starts[0]:], starts[0]):
                        named = set() if i in starts else named
                        thread = record.get("thread", thread)
                        if record["kind"] == "sync":
                            self.assertNotIn(thread, named)
                            named.add(thread)
                        elif record["kind"] in (*TRACED, "repeat", "thread"):
                            self.assertIn(thread, named)

    KEPT = {"recording_kb": "64", "cpu_ms": "20000", "wall_ms": "60000"}
    CALLS_AND_LINES = ("def f(n):\n    return n * 1103515245 + 12345 & 0x7fffffff\ndef g(n):\n    if n & 8192:\n        n ^= 5\n"
                       "    return f(n)\ndef main():\n    n = 1\n    for i in range(40000):\n        n = f(n) if n & 4096 else g(n)\n"
                       "main()\n")

    def test_behind_a_gap(self):
        """What stands before it is the first of all, what stands behind it the last, within the same calls."""
        for trace, wanted in ("calls", "call"), ("lines", "line"):
            with self.subTest(trace):
                events = self.run_program(self.CALLS_AND_LINES, trace, **self.KEPT)
                expected = traced(self.CALLS_AND_LINES, wanted)[1]
                gap = [event["kind"] for event in events].index("sync")
                first, last = told(events[:gap], wanted), told(events[gap:], wanted)
                self.assert_same(first, expected[:len(first)])
                self.assert_same(last, expected[-len(last):])

    def test_an_exception_is_of_its_thread(self):
        """Also where other threads ran between its last line and the exception."""
        source = ("import queue, threading\ndef wait():\n    try:\n        queue.Queue().get(timeout=0.05)\n    except queue.Empty:\n"
                  "        pass\ndef spin():\n    while thread.is_alive(): pass\nthread = threading.Thread(target=wait)\n"
                  "thread.start()\nspin()\n")
        exceptions = [e for e in self.run_program(source, cpu_ms="20000") if e["kind"] == "exception"]
        self.assertEqual([(e["function"], e["line"], e["type"]) for e in exceptions], [("wait", 4, "Empty")])

    WORK = ("def work(a, b):\n    c = a + b\n    if c % 3 == 0: c += 1\n    return c\na, end = 0, time.time() + 0.1\n"
            "while time.time() < end: a = work(a, 7) % 1000\nprint('done')\n")

    def test_what_c_prints_meanwhile(self):
        """By a thread of which Python knows nothing, and by a signal's handler on the thread that is traced."""
        for name, start in (
                ("a thread of C's", "import faulthandler, time\nfaulthandler.dump_traceback_later(0.001, repeat=True)\n"),
                ("a handler", "import faulthandler, signal, threading, time\nfaulthandler.register(signal.SIGUSR1)\n"
                 "main = threading.get_ident()\ndef send():\n    while True:\n        signal.pthread_kill(main, signal.SIGUSR1)\n"
                 "        time.sleep(0.0005)\nthreading.Thread(target=send, daemon=True).start()\n")):
            with self.subTest(name):
                events = self.run_program(start + self.WORK, cpu_ms="20000", output_kb="20000")
                text = {kind: "".join(e["text"] for e in events if e["kind"] == kind) for kind in ("out", "err")}
                self.assertEqual(text["out"], "done\n")
                self.assertIn("most recent call first", text["err"])  # how often is the machine's affair
                for line in text["err"].splitlines()[:-1]:  # the program's end may cut the last one
                    self.assertRegex(line, r'^$|^(Current thread|Thread) 0x\w+ \(most recent call first\):$|'
                                           r'^Timeout \(0:00:00.001000\)!$|^  File "/[\w./]+", line \d+ in |^  <no Python frame>$')

    def test_exceptions_in_their_order(self):
        """Each before the lines that it leads to, also of code that only puts things in order. One that goes on by a `finally` is told again."""
        begin = "def stop(n):\n    if n: raise ValueError\ndef f():\n"
        end = "try: f()\nexcept Exception: pass\n"
        for name, source in {
            "finally": "    try: stop(1)\n    finally:\n        x = 1\n        stop(1)\n        y = 2\n",
            "finally, in another": "    try: stop(1)\n    finally:\n        try:\n            stop(1)\n        finally:\n            y = 2\n",
            "finally, handled": "    try:\n        try: stop(1)\n        finally:\n            stop(1)\n            y = 2\n    except Exception:\n        x = 1\n",
            "finally, in a loop": "    for i in range(2):\n        try: stop(1)\n        finally:\n            if i: stop(1)\n            if stop(1): break\n            y = 2\n",
            "finally, alone": "    try: stop(0)\n    finally:\n        stop(1)\n        y = 2\n",
            "with": "    import contextlib\n    with contextlib.suppress(ValueError):\n        try: stop(1)\n        finally:\n            stop(1)\n            y = 2\n    x = 1\n",
            "as": "    try: stop(1)\n    except ValueError as e:\n        x = 1\n        stop(1)\n        y = 2\n",
            "from": "    try: stop(1)\n    except ValueError as e:\n        x = 1\n        raise KeyError from e\n",
        }.items():
            with self.subTest(name):
                events = [e for e in self.run_program(begin + source + end) if e["kind"] in ("line", "exception")]
                found, came = [], {}
                for e in events:
                    if e["kind"] == "line" or came.get(e["depth"]) != e["exception"]:
                        found.append((e["kind"], e["function"], e["line"], e["depth"]))
                    came[e["depth"]] = e.get("exception", came.get(e["depth"]))
                self.assertEqual(found, [e for e in watched(begin + source + end)[1] if e[0] in ("line", "exception")])

    def test_an_exception_whose_name_cannot_end(self):
        """It is told of, before the one that follows."""
        source = ("import enum\ndef stop(): raise ValueError\ntry:\n    class Color(enum.Enum):\n        try: {}['x']\n        except LookupError as e: stop()\n"
                  "except TypeError: pass\n")
        told_of = [(e["type"], e["line"]) for e in self.run_program(source) if e["kind"] == "exception" and e["function"] == "Color"]
        self.assertEqual(told_of[:2] + told_of[-1:], [("KeyError", 5), ("ValueError", 6), ("TypeError", 6)])

    def test_numbers_of_exceptions_of_threads_that_saw_nothing(self):
        """One that is raised again while less is traced is gone by when its address comes again."""
        source = ("import paddock, threading\nclass A(Exception): pass\nclass B(Exception): pass\nclass C(Exception): pass\ndef f(k):\n    try: raise k\n"
                  "    except k: pass\ndef unseen():\n    paddock.trace('off')\n    try:\n        try: raise A\n        except A: raise\n    except A: pass\n"
                  "    paddock.trace('lines')\ndef work():\n    for _ in range(20):\n        one.acquire()\n        unseen()\n        two.release()\n        one.acquire()\n"
                  "        f(C)\n        two.release()\none, two = threading.Semaphore(0), threading.Semaphore(0)\nthread = threading.Thread(target=work)\n"
                  "thread.start()\nfor _ in range(20):\n    one.release()\n    two.acquire()\n    f(B)\n    one.release()\n    two.acquire()\nthread.join()\n")
        types = {}
        for event in self.run_program(source):
            if event["kind"] == "exception" and event["type"] in "BC":
                types.setdefault(event["exception"], set()).add(event["type"])
        self.assertEqual(len(types), 40, types)

    def test_a_number_is_an_exception(self):
        """And each has one: beside objects that all are there at the end, by their addresses. What frees others meanwhile, what hangs
        an old traceback behind a new exception, what goes on where nothing was traced."""
        begin = ("import paddock\nseen = []\nclass A(Exception):\n    pass\nclass B(ValueError):\n    pass\n"
                 "class Held(Exception):\n    def __del__(self):\n        try: raise B\n        except B as e: seen.append(e)\n")
        for name, body, count in (
                ("a generator that is dropped", "def rows():\n    try:\n        yield '1'\n        yield 'x'\n    finally:\n        pass\ndef total():\n"
                 "    for row in rows():\n        try: int(row)\n        except KeyError: pass\nfor i in range(5):\n    try: total()\n    except ValueError as e: KEEP\n", 10),
                ("a `raise` as it goes", "def rows():\n    yield '1'\n    yield 'x'\ndef total():\n    for row in rows():\n        try: int(row)\n"
                 "        except ValueError: raise\nfor i in range(5):\n    try: total()\n    except ValueError as e: KEEP\n", 10),
                ("__del__", "def f():\n    try: raise A\n    except A as e:\n        e = Held()\n        raise\nfor i in range(5):\n    try: f()\n    except A as e: KEEP\n", 10),
                ("an old traceback", "import sys\ndef work(): raise A\ndef fetch():\n    try: work()\n    except A as e:\n        tb = sys.exc_info()[2]\n        KEEP\n"
                 "    raise B().with_traceback(tb)\nfor i in range(5):\n    try: fetch()\n    except B as e: KEEP\n", 10),
                ("a level", "def items():\n    with paddock.trace('lines'):\n        yield '1'\n        yield 'x'\npaddock.trace('off')\nfor i in range(5):\n    try:\n"
                 "        for item in items():\n            try: int(item)\n            except ValueError as e:\n                KEEP\n                raise\n    except ValueError: pass\n", 10),
                ("the same one", "one = A()\nfor i in range(5):\n    try: raise one\n    except A as e: KEEP\n", 1),
                ("many that are there", "many = [A() for i in range(63)]\nfor i in range(3):\n    for one in many:\n        try: raise one\n        except A as e: KEEP\n", 63),
                ("many that are gone", "one = A()\nfor i in range(200):\n    try:\n        if i % 100: raise B\n        raise one\n    except (A, B) as e: KEEP\n", 199)):
            told = []
            if "gone" in name:
                body = body.replace("KEEP", "pass")
            for keep in "pass", "seen.append(e)":
                with self.subTest(name, keep=keep):
                    events = [e for e in self.run_program(begin + body.replace("KEEP", keep)) if e["kind"] == "exception"]
                    self.assertEqual(len({e["exception"] for e in events}), count)
                    self.assertEqual(len({(e["exception"], e["type"]) for e in events}), count)
                    told.append([(e["function"], e["line"], e["exception"]) for e in events if e["function"] != "Held.__del__"])
            self.assertEqual(told[0], told[1])

    def test_long_chains_of_exceptions(self):
        """They are freed in turns, as without a trace."""
        source = ("class A(Exception): pass\ndef make(kind):\n    one = None\n    for i in range(300000):\n        one, last = kind('x'), one\n"
                  "        one.__context__ = last\n    return one\nfor kind in ValueError, A, MemoryError, OSError, SystemExit, StopIteration, SyntaxError:\n"
                  "    try: raise make(kind)\n    except kind: pass\nprint('done')\n")
        self.assertEqual(text_of(self.run_program(source, recording_kb=64, cpu_ms=60000, wall_ms=120000, memory_mb=768)), "done\n")

    def test_numbers_behind_what_is_too_deep(self):
        """What is raised there is not told, and gives its number to nobody."""
        source = ("import sys\nsys.setrecursionlimit(300000)\nclass A(Exception): pass\nclass B(Exception): pass\ndef f(k):\n    try: raise k\n"
                  "    except k: pass\ndef deep(n):\n    if n: return deep(n - 1)\n    try:\n        try: raise A\n        except A: raise\n    except A: pass\n"
                  "deep(100010)\nf(A)\ndeep(100010)\nf(B)\n")
        events = self.run_program(source, cpu_ms="60000", wall_ms="60000", memory_mb=512)
        self.assertEqual([(e["exception"], e["type"]) for e in events if e["kind"] == "exception"], [(1, "A"), (2, "B")])
        source = source.partition("def deep")[0] + ("def fall(n, k):\n    if n: return fall(n - 1, k)\n    raise k\ndef deep(n):\n    if n: return deep(n - 1)\n    for k in A, B, A, B:\n"
                                                    "        try: fall(14, k)\n        except k: pass\ndeep(99992)\n")
        events = [e for e in self.run_program(source, cpu_ms="60000", wall_ms="60000", memory_mb=512) if e["kind"] == "exception"]
        self.assertGreater(len(events), 4)
        self.assertEqual(sorted({(e["exception"], e["type"]) for e in events}), [(1, "A"), (2, "B"), (3, "A"), (4, "B")])

    def test_exceptions_in_loops(self):
        """They come again as they came before, and each is another one."""
        source = ("def find(n):\n    if n: return find(n - 1)\n    raise KeyError\nfor i in range(3000):\n    try: find(3)\n"
                  "    except KeyError: pass\n")
        job = self.client.run(source, trace="lines")
        events = self.read(job)
        self.check_order(events)
        self.assertEqual([e["exception"] for e in events if e["kind"] == "exception"], [1 + i // 5 for i in range(15000)])
        self.assert_same(told(events), traced(source, "line")[1])
        self.assertLess(sum(r["kind"] == "exception" for r in recording.Decoder().push(job.recording)), 7500)

    # In a loop that never comes again as it came before.
    EXCEPTIONS = ("x, count = 1, 0\nfor i in range(400000):\n    x = x * 1103515245 + 12345 & 0x7fffffff\n    if x >> 16 & 1:\n        count += 1\n"
                  "        try: raise ValueError\n        except ValueError: pass\ndef last(): pass\nlast()\nprint(count)\n")

    def test_exceptions_are_not_output(self):
        """However many they are, `recording_kb` is for the trace and `output_kb` for what is printed."""
        job = self.client.run(self.EXCEPTIONS, trace="lines", output_kb="16", **self.KEPT)
        self.assertEqual(job.verdict, "ok", job.result)
        self.assertLess(len(job.recording), 4 * 64 * 1024)

    def test_exceptions_are_not_names(self):
        events = self.run_program(self.EXCEPTIONS, **self.KEPT)
        self.assertTrue(any(function == "last" for function, *_ in told(events)))
        # Behind a gap, the number of each is that which it has.
        self.assertGreater(sum(e["missing"] for e in events if e["kind"] == "dropped"), 0)
        self.assertEqual([e["exception"] for e in events if e["kind"] == "exception"][-1], int(text_of(events)))


if __name__ == "__main__":
    unittest.main()
