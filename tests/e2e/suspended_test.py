# SPDX-License-Identifier: MIT
"""Generators and coroutines go on at the line that they waited on: what is told of them then, by values and by exceptions,
beside what sys.settrace and Python's own frames say of the same programs."""

import contextlib
import dis
import io
import os
import subprocess
import sys
import tempfile
import types
import unittest
from collections import Counter

import pool
import recording as second
import trace_test
from trace_test import FILE

programs = trace_test.load("tests", "trace", "programs.py")

GENERATOR = "def gen():\n    yield 1\n    x = (yield 2) or sum(iter(int, 1))\n    return x\ng = gen()\nnext(g)\nnext(g)\nnext(g)\n"
COROUTINE = ("import asyncio\n\n\ndef work(n):\n    while True:\n        n += 1\n\n\nasync def main():\n"
             "    return work(await asyncio.sleep(0.01, 7))\n\n\nasyncio.run(main())\n")
# Suspended on line 15, in a function of line 12.
BEYOND = ("\n\ndef work(n):\n    while True:\n        n = n * 69069 + 1 & 0xffffffff\n        if n & 4096:\n            n ^= 1\n\n\n\n\ndef outer():\n    for i in range(2):\n"
          "        i\n        z = work((yield 1))\n    yield z\n\n\ng = outer()\nnext(g)\ng.send(1)\n")

# With calls of mark() wherever a line can be left and come back to.
PROGRAMS = {
    "thrown": "def mark(*_): return 1\ndef f():\n    try:\n        mark((yield 1), mark())\n    except ValueError:\n        x = mark(), (yield 2), mark()\n"
              "    finally:\n        mark()\n    mark(\n        (yield 3),\n        mark())\ng = f()\nnext(g)\ng.throw(ValueError())\ng.send(1)\n"
              "try: g.throw(KeyError())\nexcept KeyError: print('k')\n",
    "closed": "def mark(*_): return 1\ndef f():\n    for i in range(3):\n        try: mark((yield i))\n        finally: mark()\ng = f()\nnext(g)\nnext(g)\ng.close()\n",
    "yield from": "def mark(*_): return 1\ndef a():\n    x = (yield 1) or mark()\n    return mark((yield 2), mark())\ndef b():\n    n = 1\n"
                  "    y = [(yield from a()), mark()]\n    return y\ndef c():\n\n\n    mark((yield from b()), mark())\n    mark((yield from b()))\n"
                  "for send in None, KeyError(), 3:\n    g = c()\n    next(g)\n    next(g)\n    try:\n        while True:\n"
                  "            if isinstance(send, KeyError): g.throw(KeyError())\n            else: g.send(None)\n    except (StopIteration, KeyError): mark()\n",
    "within one another": "def mark(*_): return 1\ndef walk(n):\n    yield n\n    if n:\n        for x in walk(n - 1):\n            mark((yield x), mark())\n"
                          "    mark((yield -n))\nprint(list(walk(4)))\ng = walk(3)\nfor _ in range(6): next(g)\ntry: g.throw(KeyError())\nexcept KeyError: mark()\n",
    "caught below": "def mark(*_): return 1\nimport types\nclass Deaf:\n    def __iter__(self): return self\n    def __next__(self): return 1\n"
                    "    def throw(self, *_): raise StopIteration(5)\ndef f():\n\n    x = [(yield from Deaf()), mark()]\n    mark()\n    yield from Deaf()\n"
                    "    return mark((yield))\ng = f()\nnext(g)\ng.throw(KeyError())\ng.throw(KeyError())\ng.close()\n",
    "cancelled": "import asyncio\ndef mark(*_): return 1\nasync def nap(n):\n\n    mark(await asyncio.sleep(n), mark())\nasync def careful(n):\n    try:\n"
                 "        mark(await nap(n), mark())\n    except asyncio.CancelledError:\n        mark(await nap(0), mark())\n        raise\n"
                 "    finally:\n        mark(await asyncio.sleep(0))\nasync def stubborn():\n    try: await asyncio.sleep(9)\n    except asyncio.CancelledError: mark()\n"
                 "async def main():\n    tasks = [asyncio.create_task(c) for c in (nap(9), careful(9), careful(0), stubborn())]\n    for _ in range(5): await asyncio.sleep(0)\n"
                 "    for t in tasks: t.cancel()\n    for t in tasks:\n        try:\n            mark(await t)\n        except asyncio.CancelledError:\n            mark()\n"
                 "    try: mark(await asyncio.wait_for(nap(9), 0.001), mark())\n    except asyncio.TimeoutError: mark()\nasyncio.run(main())\n",
    "async generators": "import asyncio\ndef mark(*_): return 1\nasync def ticks(n):\n    for i in range(n):\n        mark((yield i),\n             mark(await asyncio.sleep(0)))\n"
                        "async def main():\n    async for x in ticks(3): mark(x)\n    y = [mark(x) async for x in ticks(2) if mark(await asyncio.sleep(0))]\n"
                        "    z = {mark(\n        x) async for x in ticks(2)}\n    t = ticks(5)\n    await t.asend(None)\n    mark(await t.asend(1), mark())\n    try: await t.athrow(KeyError())\n"
                        "    except KeyError: mark()\n    t = ticks(5)\n    await t.asend(None)\n    mark(await t.aclose(), mark())\n"
                        "    async with asyncio.Lock(): mark(await asyncio.sleep(0), mark())\nasyncio.run(main())\n",
    "thrown into finally": "def mark(*_): return 1\ndef f():\n    try:\n        mark((yield 1))\n    finally:\n        mark()\n        mark((yield 2))\n"
                           "        x = 1\ng = f()\nnext(g)\ntry:\n    g.throw(KeyError())\n    g.throw(ValueError())\nexcept ValueError: mark()\n",
    "thrown into finally, late": "def mark(*_): return 1\ndef f(first):\n    try:\n        try: [][1]\n        finally:\n            yield 1\n            x = yield 2\n"
                                 "    finally: mark()\nfor nexts in 1, 2:\n    g = f(nexts)\n    for _ in range(nexts): next(g)\n    try: g.throw(KeyError)\n"
                                 "    except KeyError: mark()\n",
    "cancelled in finally": "import asyncio\ndef mark(*_): return 1\nasync def f():\n    try:\n        try: [][1]\n        finally:\n            await asyncio.sleep(0)\n"
                            "            x = await asyncio.sleep(9)\n    finally: mark()\nasync def main():\n    t = asyncio.create_task(f())\n"
                            "    for _ in range(4): await asyncio.sleep(0)\n    t.cancel()\n    try: await t\n    except asyncio.CancelledError: mark()\nasyncio.run(main())\n",
    "expressions": "def mark(*_): return 1\ng = (mark(x) for x in (1, 2, 3))\nfor _ in g: mark()\nh = (x\n     for x in (1, 2)\n     if mark())\nprint(list(h))\n"
                   "i = (mark(x)\n     for x in (1, 2))\nnext(i)\ntry: i.throw(KeyError())\nexcept KeyError: mark()\n",
}
# Nothing is thrown here: whatever goes on and is suspended says so.
TURNS = {
    "tree": "class Tree:\n    def __init__(self, *trees): self.trees = trees\n    def __iter__(self):\n        for tree in self.trees: yield from tree\n        yield self\n"
            "def mark(): pass\nfor tree in Tree(Tree(), Tree(Tree(Tree()), Tree())): mark()\n",
    "of the library": "def mark(*_): pass\ndef f(of):\n    yield from of\n    mark()\nfor x in f([1, 2]): mark()\nfor x in f(f(range(3))): mark()\n"
                      "for x in f(map(mark, 'ab')): print(x)\nfor x in f(i for i in 'ab'): print(x)\nprint(list(zip(f('abc'), f(f('ab')))))\n",
    "sent": "def add():\n    n = 0\n    while n < 9: n += yield n\n    return n\ndef f():\n    print((yield from add()))\n    x = yield from add()\n    yield x\n"
            "g = f()\nnext(g)\ntry:\n    while True: g.send(4)\nexcept StopIteration: pass\n",
    "awaits": "import asyncio, types\ndef mark(): pass\n@types.coroutine\ndef turn(): yield\nclass Turns:\n    def __await__(self):\n        yield from turn()\n        yield\n"
              "async def deep(n): await (deep(n - 1) if n else Turns())\nasync def ticks(n):\n    for i in range(n):\n        await deep(1)\n        yield i\n"
              "async def main(n):\n    async for i in ticks(n): await deep(n)\n    async with asyncio.Lock(): await asyncio.sleep(0)\n    mark()\n"
              "async def all(): await asyncio.gather(main(2), main(3))\nasyncio.run(all())\n",
    "many constants": "def f(of):\n    x = [" + ", ".join(f"{i}.5" for i in range(70000)) + "]\n    yield from of\n    return sum(x)\nfor x in f('ab'): print(x)\n",
}
QUIET = "StopIteration", "StopAsyncIteration"  # of which trace functions are told wherever they end a loop, too


class Expected:
    """What sys.settrace says of a program: [stack] of its calls of mark(); as [(function, line)] its lines, the `exceptions` that have come
    to calls which had not begun a line since they went on, and the `unwinds`, what exceptions have left, with the line told last."""

    def __init__(self, source):
        self.stacks, self.lines, self.exceptions, self.unwinds = [], [], [], []
        # by a frame's id: of one that runs; and the event before
        self.line, self.last, self.fresh = {}, {}, {}
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
            hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
            sys.settrace(self.trace)
            try:
                exec(compile(source, FILE, "exec", dont_inherit=True), types.ModuleType("__main__").__dict__)
            finally:
                sys.settrace(None)
                sys.unraisablehook = hook

    def trace(self, frame, event, argument):
        if frame.f_code.co_filename != FILE:
            return None
        key, name = id(frame), frame.f_code.co_qualname
        if event in ("call", "line") or key not in self.line:
            self.line[key] = frame.f_lineno
        if event == "call" and name == "mark":
            self.stacks.append(self.stack(frame.f_back))
        if event == "exception" and argument[0].__name__ in QUIET:
            event = "quiet"
        if event == "exception" and self.fresh.pop(key, False):
            self.exceptions.append((name, frame.f_lineno))
        if event == "line":
            self.lines.append((name, frame.f_lineno))
            self.fresh.pop(key, None)
        if event == "return":
            if self.is_unwound(frame, self.last[key] == "exception" or self.line[key] != frame.f_lineno):
                self.unwinds.append((name, self.line[key]))
            del self.line[key]
            self.fresh[key] = True
        self.last[key] = event
        return self.trace

    @staticmethod
    def is_unwound(frame, is_thrown):
        """It stands where the exception came from, which for one that was thrown into it is where it waited."""
        name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        return name != "RETURN_VALUE" and (name != "YIELD_VALUE" or is_thrown)

    @staticmethod
    def stack(frame):
        found = []
        while frame is not None:
            if frame.f_code.co_filename == FILE:
                found.insert(0, (frame.f_code.co_qualname, frame.f_lineno))
            frame = frame.f_back
        return found


class Told:
    """The same, as a recording tells it."""

    def __init__(self, events):
        self.stacks, self.lines, self.exceptions, self.unwinds = [], [], [], []
        stack, fresh, seen = [], [], set()
        for e in events:
            kind = e["kind"]
            if kind in ("call", "resume"):
                if e["function"] == "mark":
                    self.stacks.append(list(stack))
                stack.append((e["function"], e["line"]))
                fresh.append(kind == "resume")
            elif kind == "line":
                stack[-1] = e["function"], e["line"]
                self.lines.append(stack[-1])
                fresh[-1] = False
            elif kind == "exception" and e["type"] not in QUIET:
                raised = e["function"], e["exception"]
                if fresh[-1] and raised not in seen:  # and not again
                    self.exceptions.append((e["function"], e["line"]))
                seen.add(raised)
                fresh[-1] = False
            elif kind in ("return", "unwind", "yield"):
                if kind == "unwind":
                    self.unwinds.append((e["function"], e["line"]))
                assert stack.pop() == (e["function"], e["line"])
                fresh.pop()


class Suspended(trace_test.Reading):
    def check_same(self, source, job):
        expected, told = Expected(source), Told(self.read(job))
        self.assert_same(told.stacks, expected.stacks)
        self.assert_same(told.unwinds, expected.unwinds)
        # One is told where it is met: behind what ends on the way there, and behind lines in which only a name is forgotten.
        self.assertEqual(Counter(told.exceptions) - Counter(expected.exceptions), Counter())
        return expected, told

    def test_programs(self):
        for name, source in PROGRAMS.items():
            with self.subTest(name):
                expected, told = self.check_same(source, self.client.run(source, trace="lines"))
                self.assert_same(told.lines, expected.lines)
                self.assertGreater(len(told.stacks), 1)
                self.assert_same(self.callers(Told(self.run_program(source, "calls"))), self.callers(expected))

    @staticmethod
    def callers(of):
        return [[function for function, _ in stack] for stack in of.stacks]

    def test_turns(self):
        """Told as they are taken, before whoever goes on does anything."""
        for name, source in TURNS.items():
            expected = []

            def trace(frame, event, _):
                if frame.f_code.co_filename == FILE and event in ("call", "return"):
                    expected.append((event == "call", frame.f_code.co_qualname))
                return trace if frame.f_code.co_filename == FILE else None

            with contextlib.redirect_stdout(io.StringIO()):
                code = compile(source, FILE, "exec", dont_inherit=True)
                sys.settrace(trace)
                try:
                    exec(code, types.ModuleType("__main__").__dict__)
                finally:
                    sys.settrace(None)
            for level in "calls", "lines", "steps":
                with self.subTest(name, level=level):
                    found = [(e["kind"] in ("call", "resume"), e["function"]) for e in self.run_program(source, level)
                             if e["kind"] in ("call", "resume", "return", "yield", "unwind")]
                    self.assert_same(found, expected)

    def test_turns_of_what_waits_for_another(self):
        """One is told before what its caller does, or what it does itself, which may be all that is told; where something is thrown through
        it, too."""
        begin = "def inner():\n    while True:\n        try: yield 1\n        except KeyError: print('caught')\ndef outer(): yield from {}\ng = outer()\nnext(g)\n"
        goes_on, waits = ["resume outer", "resume inner"], ["yield inner", "yield outer"]
        for level in "calls", "lines":
            for of, throw, thrown in ("inner()", "g.throw(KeyError())\n", [*goes_on, "out caught\n", *waits]), ("iter((1, 2))", "", []):
                with self.subTest(of, level=level):
                    events = self.run_program(begin.format(of) + "print('on')\n" + throw + "print('end')\n", level)
                    told = [f"{e['kind']} {e.get('function') or e['text']}" for e in events if e["kind"] in ("resume", "yield", "out")]
                    self.assertEqual([t for t in told if t != "yield inner"][:2], ["yield outer", "out on\n"])
                    begin_at, end_at = told.index("out on\n") + 1, told.index("out end\n")
                    self.assertEqual(told[begin_at:end_at], thrown)

    def test_where_one_was_as_another_waited(self):
        for level, line in ("calls", ""), ("lines", ", at line 5"):
            job = self.client.run("def waits():\n    yield from [60]\nimport time\nh = waits()\ntime.sleep(next(h))\n", trace=level, wall_ms=300)
            self.assertEqual((job.verdict, job.result["where"]), ("wall_limit", "robot.py, line 5"))
            self.assertIn(f"unfinished <module>{line}\n", self.listing(job))
            self.assertNotIn("unfinished waits", self.listing(job))

    def test_one_goes_on_in_another_thread(self):
        source = ("import threading\ndef outer(): yield from range(9)\ng = outer()\nnext(g)\nt = threading.Thread(target=lambda: [next(g), next(g)])\n"
                  "t.start()\nt.join()\nnext(g)\n")
        for level in "calls", "lines":
            told = [(e["kind"], e["thread"]) for e in self.run_program(source, level) if e.get("function") == "outer" and e["kind"] in ("resume", "yield")]
            self.assertEqual(told[:7], [("yield", 0), *[("resume", 1), ("yield", 1)] * 2, ("resume", 0), ("yield", 0)], level)

    def turns_of(self, source, level):
        return [f"{e['kind']} {e.get('function') or e['text'].strip()}" for e in self.run_program(source, level)
                if e["kind"] in ("call", "resume", "return", "yield", "unwind", "out")]

    def test_a_throw_of_a_class(self):
        """Answers by its end, unlike whatever else may run meanwhile: behind that, those that wait go on."""
        it = "class It:\n    def __iter__(self): return self\n    def __next__(self): return 1\n    def throw(self, *_): return 2\n"
        begin = "def mark(): pass\nclass E(Exception):\n    def __init__(self): mark()\nclass D:\n    def __del__(self): mark()\n"
        for level in "calls", "lines":
            with self.subTest(level):
                told = self.turns_of(it + "def f(n): yield from (f(n - 1) if n else It())\ng = f(2)\nnext(g)\ng.throw(KeyError())\nprint('x')\n", level)
                self.assertEqual(told[told.index("return It.throw"):][:4], ["return It.throw", "yield f", "yield f", "out x"])
                told = self.turns_of(begin + "def f():\n    try: yield 1\n    except E: print('x')\ndef top(): yield from f()\ng = top()\nnext(g)\n"
                                     "try: g.throw(E)\nexcept StopIteration: pass\n", level)
                self.assertNotIn("yield top", told[told.index("return E.__init__"):told.index("return top")])
                told = self.turns_of(begin + "def f():\n    try: x = [D(), (yield from [1])]\n    except GeneratorExit: print('x')\ng = f()\nnext(g)\ng.close()\n", level)
                self.assertEqual(told[told.index("return D.__del__"):][:3], ["return D.__del__", "out x", "return f"])

    def test_a_library_that_goes_on(self):
        """What it catches may go on to us, or it may wait again: nothing is said that does not happen."""
        source = ("import asyncio, contextlib\ndef back(): print('back')\nasync def f():\n    stack = contextlib.AsyncExitStack()\n    stack.callback(back)\n"
                  "    stack.push_async_callback(asyncio.sleep, 9)\n    asyncio.get_running_loop().call_later(0.05, asyncio.current_task().cancel)\n"
                  "    try: await stack.aclose()\n    except asyncio.CancelledError: print('x')\nasyncio.run(f())\n")
        for level in "calls", "lines":
            told = self.turns_of(source, level)
            self.assertEqual(told[told.index("call back"):][:5], ["call back", "out back", "return back", "out x", "return f"], level)

    def test_one_that_unwinds_does_not_wait(self):
        """Though it stands at its yield: what it drops may yield meanwhile, and ignore that it is closed."""
        source = ("import sys\nsys.unraisablehook = lambda _: None\ndef other():\n    while True:\n        try: yield 1\n        except GeneratorExit: print('no')\n"
                  "def outer():\n    try:\n        for x in other(): yield x\n    except KeyError: yield 7\ndef wrap(): yield from outer()\n"
                  "g = wrap()\nnext(g)\ng.throw(KeyError())\nprint('on')\n")
        told = [turn for turn in self.turns_of(source, "lines") if "<lambda>" not in turn]
        self.assertEqual(told[told.index("out no"):][:5], ["out no", "yield other", "yield outer", "yield wrap", "out on"])

    def test_one_of_the_same_function_goes_on(self):
        """Thrown into, without a word: the lines are its own, not those of its caller."""
        source = ("def mark(*_): return 1\nclass It:\n    def __iter__(self): return self\n    def __next__(self): return 1\n"
                  "    def throw(self, *_):\n        mark()\n        raise StopIteration(3)\ndef f(n):\n    x = yield from (f(n - 1) if n else It())\n"
                  "    x = 2\n    mark(x)\n    return x\ng = f(2)\nnext(g)\ntry: g.throw(KeyError())\nexcept StopIteration: mark()\n")
        self.check_same(source, self.client.run(source, trace="lines"))

    def test_copies_of_code(self):
        """As types.coroutine makes one: it is the same function."""
        source = ("import types\ndef mark(): pass\n@types.coroutine\ndef turn():\n    try: yield 1\n    except KeyError: mark()\n"
                  "async def wait(): await turn()\nc = wait()\nc.send(None)\ntry: c.throw(KeyError())\nexcept StopIteration: pass\n")
        for level in "calls", "lines":
            told = self.turns_of(source, level)
            self.assertEqual(told[-7:-1], ["resume wait", "resume turn", "call mark", "return mark", "return turn", "return wait"], level)
        source = ("import paddock\ndef mark(): pass\ndef f():\n    paddock.trace('calls')\n    mark()\nf.__code__ = f.__code__.replace(co_name='f')\n"
                  "paddock.trace('off')\nf()\n")
        self.assertEqual(self.turns_of(source, "calls")[-5:-1], ["resume f", "call mark", "return mark", "return f"])

    def test_programs_by_chance(self):
        seeds = range(60)
        jobs = [[self.client.enqueue(pool.make_zip(programs.random_suspended(seed)), trace=level) for level in ("lines", "calls")] for seed in seeds]
        found = 0
        for seed, (lines, calls) in zip(seeds, jobs):
            with self.subTest(seed):
                expected, told = self.check_same(programs.random_suspended(seed), self.client.wait(lines))
                found += len(told.exceptions)
                self.assert_same(self.callers(Told(self.read(self.client.wait(calls)))), self.callers(expected))
        self.assertGreater(found, 200)

    def listing(self, job):
        """What it says of calls that go on and that are open at the end."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.rec")
            with open(path, "wb") as file:
                file.write(job.recording)
            text = subprocess.run([pool.program("paddock"), "trace", path], capture_output=True, text=True, check=True).stdout
        return "".join(line for line in text.splitlines(True) if line.split()[1] in ("resume", "unfinished"))

    def test_the_line_it_died_on(self):
        """In the listing and in both decoders; of the caller of what it died in, too."""
        for source, stack in ((GENERATOR, [("<module>", 8), ("gen", 3)]), (COROUTINE, [("<module>", 13), ("main", 10), ("work", None)])):
            with self.subTest(stack):
                job = self.client.run(source, trace="lines", cpu_ms=300)
                self.assertEqual(job.verdict, "cpu_limit", job.result)
                for name, line in stack:
                    self.assertRegex(self.listing(job), f"unfinished {name}, at line {line or ''}")
                self.assertRegex(self.listing(job), fr"resume {stack[1][0]} \(/robot/robot\.py:[0-9]+\), at line {stack[1][1]}\n")
                trace = trace_test.recording.Trace(repeats=510)
                list(trace.push(job.recording))
                open_calls = [call.place() for call in trace._stack]
                self.assertEqual([(c["function"], c["line"]) for c in open_calls][:2], stack[:2])
                records = [r for r in second.decode(job.recording) if r["kind"] != "repeat"]
                self.assertEqual([r["line"] for r in second.unfold(records) if r["kind"] == "resume"][-1], stack[1][1])

    def test_a_sync_names_the_line(self):
        job = self.client.run(BEYOND, trace="lines", recording_kb=64, cpu_ms=1000, wall_ms=60000)
        self.assertEqual(job.verdict, "cpu_limit", job.result)
        trace = trace_test.recording.Trace(repeats=510)
        stacks = [[(c["function"], c["line"]) for c in e["stack"]] for e in trace.push(job.recording) if e["kind"] == "sync"]
        self.assertGreater(len(stacks), 0)
        for stack in stacks:
            self.assertEqual(stack[:2], [("<module>", 21), ("outer", 15)])

    def test_calls_alone_have_no_lines(self):
        for encoding in "binary", "json":
            with self.subTest(encoding):
                job = self.client.run(GENERATOR, trace="calls", cpu_ms=300, encoding=encoding)
                self.assertIn("unfinished gen\n", self.listing(job))
        self.assertIn(b',"function":2,"step":0}\n', job.recording)

    def test_on_again(self):
        """What went on while nothing was told stands where it is."""
        source = ("import paddock\ndef mark(): pass\ndef f():\n    yield 1\n    paddock.trace('lines')\n    mark()\n    yield 2\n\n\n"
                  "paddock.trace('off')\nfor _ in f():\n    mark()\n")
        told = Told(self.run_program(source))
        self.assertEqual(told.stacks, [[("<module>", 10), ("f", 6)], [("<module>", 12)]])


if __name__ == "__main__":
    unittest.main()
