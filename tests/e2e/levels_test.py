# SPDX-License-Identifier: MIT
"""A level that changes while the program runs, switched off in one call and on in another: what is told then is what
sys.settrace says of the same program while the level is as high, in the same nesting. What began while nothing was told goes on
(`resume`), what ended is told when it ends."""

import contextlib
import io
import sys
import threading
import types
import unittest

import pool
import trace_test

FILE = trace_test.FILE

# By turns, and by one sequence of numbers: it does the same wherever it runs.
PROGRAM = """\
import paddock, random, sys, threading
LEVEL, SEED, THREADS = {}
chance = random.Random(SEED)
left = 1500
waiting = []
turns = [threading.Semaphore(0) for _ in range(THREADS)]
alive = list(range(THREADS))
here = threading.local()

class Stop(Exception):
    pass

def plain(n):
    a = n
    act(n + 1)
    b = c = d = a

def many(n):
    a = b = c = d = e = f = g = h = i = j = n
    act(n + 1)
    return a

def again(n):
    if n % 3:
        again(n + 1)
    act(n + 1)

def fail(n):
    act(n + 1)
    raise Stop

def through(n):
    x = n
    fail(n + 1)

def caught(n):
    try:
        through(n + 1)
    except Stop as e:
        x = 1
    y = 2

def switch(n):
    paddock.trace(chance.choice(('off', 'off', 'calls', LEVEL, LEVEL)))
    x = 1

def count(n):
    while True:
        act(n + 4)
        yield n
        x = n

def from_count(n):
    x = 1
    yield from count(n)

class Pause:
    def __await__(self):
        act(5)
        yield 1

async def inner(n):
    while True:
        act(n + 4)
        await Pause()

async def outer(n):
    x = 1
    await inner(n)

def begin(n):
    it = chance.choice((count, from_count, outer))(n)
    it.send(None)
    waiting.append(it)

def go_on(n):
    if waiting:
        it = waiting.pop(chance.randrange(len(waiting)))
        try:
            it.send(None)
        except Stop:
            return
        waiting.append(it)
        x = 1

def close(n):
    if waiting:
        it = waiting.pop(0)
        it.close()

def turn(n):
    me = here.number
    if len(alive) > 1:
        other = chance.choice(alive)
        if other != me:
            turns[other].release()
            turns[me].acquire()

def act(n):
    global left
    left -= 1
    for _ in range(chance.randrange(4)):
        if n < 12 and left > 0:
            chance.choice((plain, many, again, caught, switch, switch, begin, go_on, go_on, close, turn, fail))(n)

def work(number):
    here.number = number
    turns[number].acquire()
    while left > 0:
        try:
            act(1)
        except Stop:
            pass
        turn(1)
    alive.remove(number)
    if alive:
        turns[alive[0]].release()

threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
for t in threads: t.start()
turns[0].release()
for t in threads: t.join()
print(left)
"""

LEVELS = "off", "calls", "lines", "steps"


class Watch:
    """sys.settrace, beside a `paddock` whose trace() says when to listen."""

    def __init__(self, level):
        self.level = level
        self.told = {}
        self.known = {}

    def trace(self, level):
        self.level = level

    def listen(self, frame, event, _):
        if frame.f_code.co_filename != FILE:
            return None
        line = frame.f_lineno if event == "line" else frame.f_code.co_firstlineno
        wanted = event == "line" and self.level in ("lines", "steps")
        if event == "call" and self.known.setdefault(id(frame), (frame, frame.f_lasti))[1] == frame.f_lasti:
            wanted = self.level != "off"
        if wanted:
            told = self.told.setdefault(threading.get_ident(), [])
            told.append((event, frame.f_code.co_qualname, line, trace_test.depth_of(frame)))
        return self.listen

    def run(self, source):
        """(what it printed, what was told, by thread) of a program."""
        out = io.StringIO()
        module = types.ModuleType("paddock")
        module.trace = self.trace
        sys.modules["paddock"] = module
        code = compile(source, FILE, "exec", dont_inherit=True)
        try:
            with contextlib.redirect_stdout(out):
                threading.settrace(self.listen)
                sys.settrace(self.listen)
                exec(code, types.ModuleType("__main__").__dict__)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            del sys.modules["paddock"]
        return out.getvalue(), list(self.told.values())


def told(events):
    threads = {}
    for e in events:
        if e["kind"] in ("call", "line"):
            threads.setdefault(e["thread"], []).append((e["kind"], e["function"], e["line"], e["depth"]))
    return list(threads.values())


class Levels(trace_test.Reading):
    maxDiff = 4000

    def compare(self, source, level, **fields):
        printed, expected = Watch(level).run(source)
        events = self.run_program(source, level, **fields)
        self.assertEqual(trace_test.text_of(events), printed)
        found = told(events)
        self.assertEqual(len(found), len(expected))
        for one, other in zip(sorted(found), sorted(expected)):
            self.assert_same(one, other)
        self.assertEqual(set(self.depths_at_the_end(events).values()) - {0}, set())
        return events

    def test_at_random(self):
        for seed in range(6):
            for level in "calls", "lines", "steps":
                for threads in 1, 3:
                    with self.subTest(seed=seed, level=level, threads=threads):
                        self.compare(PROGRAM.format(repr((level, seed, threads))), level, recording_kb="8192", cpu_ms="20000")

    BEGIN = "import paddock\ndef off(): paddock.trace('off')\ndef many(level):\n    paddock.trace(level)\n" \
            "    a = b = c = d = e = f = g = h = i = j = k = l = 1\n    x = a\n"
    # Off in one call and on in another, which stands where the first one stood.
    PROGRAMS = {
        "a larger one": "off(); many(LEVEL)\n",
        "a smaller one": "def few(): paddock.trace(LEVEL)\ndef more():\n    a = b = c = d = e = f = 1\n    off()\nfor _ in range(3):\n"
                         "    more(); few()\n    x = 1\n",
        "callers that began meanwhile": "def first(n): second(n)\ndef second(n): third(n)\ndef third(n):\n    if n: first(n - 1)\n"
                                        "    else: paddock.trace(LEVEL)\n    x = 1\noff(); first(50)\n",
        "recursion": "def again(n):\n    if n == 100: paddock.trace('off')\n    if n: again(n - 1)\n    else: paddock.trace(LEVEL)\n"
                     "    x = n\nfor _ in range(3): again(200)\n",
        "the same again": "def work(n):\n    a = n\n    paddock.trace(('off', LEVEL, 'calls')[n % 3])\n    b = n\nfor n in range(7): work(n)\n",
        "left by an exception": "def fail(n):\n    if n: fail(n - 1)\n    else:\n        off()\n        raise ValueError\ndef after(): x = 1\n"
                                "for n in 3, 0, 5:\n    try: fail(n)\n    except ValueError: many(LEVEL)\n    after()\n",
        "a generator": "def count():\n    for n in range(9):\n        x = n\n        yield n\ndef delegate():\n    yield from count()\n"
                       "for make in count, delegate:\n    it = make()\n    next(it); off(); next(it); many(LEVEL); next(it); off()\n"
                       "    def deeper(): next(it)\n    deeper(); paddock.trace(LEVEL); deeper(); off(); it.close(); many(LEVEL)\n",
        "a generator that switches": "def flip():\n    while True:\n        paddock.trace('off')\n        yield\n        paddock.trace(LEVEL)\n"
                                     "        yield\nit = flip()\nother = flip()\nfor n in range(9):\n    next(it)\n    x = 1\n    next(other)\n",
        "coroutines": "import asyncio\nasync def quiet(n):\n    x = 1\n    await asyncio.sleep(0)\n    if n % 2: off()\n    else: many(LEVEL)\n"
                      "    await asyncio.sleep(0)\n    y = 2\nasync def within(n):\n    await quiet(n)\n    z = 3\n"
                      "async def all():\n    await asyncio.gather(*map(within, range(9)))\n    many(LEVEL)\nasyncio.run(all())\n",
        "a block of its own": "class Quiet:\n    def __enter__(self):\n        self.level = paddock.trace('off')\n"
                              "    def __exit__(self, *_):\n        paddock.trace(LEVEL)\n        a = b = c = d = e = f = g = h = i = 1\n"
                              "for n in range(3):\n    with Quiet(): pass\n",
    }

    def test_programs(self):
        for name, code in self.PROGRAMS.items():
            for level in "calls", "lines", "steps":
                with self.subTest(name, level=level):
                    self.compare(f"{self.BEGIN}LEVEL = {level!r}\n{code}print('end')\n", level)

    def test_what_ends_meanwhile(self):
        """Is told when it does: nothing else is, and no line is of a function that is gone."""
        source = {"robot.py": "import paddock, other\ndef a(): paddock.trace('off')\na(); other.b()\n",
                  "other.py": "import paddock\ndef b():\n    paddock.trace('lines')\n    x = 1\n    raise ValueError\n"}
        events = self.read(self.client.run(source, trace="lines"))
        start = next(i for i, e in enumerate(events) if e["kind"] == "call" and e["function"] == "a")
        self.assertEqual([(e["kind"], e.get("function"), e.get("line")) for e in events[start:] if e["kind"] in (*trace_test.TRACED, "level")], [
            ("call", "a", 2), ("line", "a", 2), ("level", None, None), ("return", "a", 2), ("level", None, None), ("resume", "b", 4),
            ("line", "b", 4), ("line", "b", 5), ("exception", "b", 5), ("unwind", "b", 5), ("exception", "<module>", 3),
            ("unwind", "<module>", 3)])

    THREADS = ("import paddock, threading, time\nLEVEL = {level!r}\ndone = False\n"
               "def small():\n    for a in range(9000): pass\n    return a\n"
               "def big():\n    for a in range(9000): b = c = d = e = f = g = h = i = j = k = l = 1\n    return a\n"
               "def fail(n):\n    if n: fail(n - 1)\n    raise ValueError\n"
               "def count():\n    for i in range(5):\n        yield i\n"
               "def work():\n    while not done:\n        small(); big(); list(count())\n        try: fail(3)\n"
               "        except ValueError: big()\n"
               "threads = [threading.Thread(target=work) for _ in range(2)]\nfor t in threads: t.start()\n"
               "for _ in range(20):\n    with paddock.trace('off'): time.sleep(0.01)\n    time.sleep(0.001)\n"
               "done = True\nfor t in threads: t.join()\nprint('end')\n")
    LINES = {"small": {4, 5, 6}, "big": {7, 8, 9}, "fail": {10, 11, 12}, "count": {13, 14, 15}, "work": {16, 17, 18, 19, 20}}
    CALLERS = {"small": {"work"}, "big": {"work"}, "fail": {"work", "fail"}, "count": {"work"}}

    def test_threads(self):
        """Another thread switches, wherever this one is."""
        for level in "calls", "lines", "steps":
            with self.subTest(level):
                events = self.run_program(self.THREADS.format(level=level), level, recording_kb="131072", cpu_ms="40000", wall_ms="60000")
                self.assertEqual(trace_test.text_of(events), "end\n")
                stacks = {}
                for e in events:
                    stack = stacks.setdefault(e.get("thread"), [])
                    if e["kind"] in ("call", "resume"):
                        stack.append(e["function"])
                        self.assertIn((stack[-2:-1] or ["work"])[0], self.CALLERS.get(e["function"], {"work", "<module>"}))
                    elif e["kind"] in trace_test.TRACED:
                        self.assertEqual(e["function"], stack[-1])
                        self.assertIn(e["line"], self.LINES.get(e["function"], {e["line"]}))
                        if e["kind"] not in ("line", "exception"):
                            stack.pop()
                self.assertEqual([stack for stack in stacks.values() if stack], [])


if __name__ == "__main__":
    unittest.main()
