# SPDX-License-Identifier: MIT
"""What code with points says, beside what sys.settrace says of the same code without, and frames as sys._getframe has them:
run by the program `points`, in each version of Python that there is."""

import contextlib
import gc
import io
import itertools
import os
import re
import sys
import traceback
import types
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import points  # of the program
from programs import EXCEPTIONS, PROGRAMS, random_program

CALL, LINE, RETURN, YIELD, RESUME, EXCEPTION, UNWIND, ELSEWHERE, AGAIN, AHEAD = (1 << i for i in range(10))
ALL = 127
ITSELF, NUMBER = 1, 2  # how an exception is told
FILE = "/robot/robot.py"


def run(code, trace=None):
    """(what it printed, its traceback or "") of a program."""
    out = io.StringIO()
    error = ""
    module = types.ModuleType("__main__")
    gc.collect()  # what a program before left suspended ends now, and not under this one's trace
    with contextlib.redirect_stdout(out):
        if trace is not None:
            sys.settrace(trace)
        try:
            exec(code, module.__dict__)
        except Exception as e:
            sys.settrace(None)
            frames = [frame for frame in traceback.extract_tb(e.__traceback__) if frame.filename == FILE]
            error = (repr(e), [(f.name, f.lineno, f.end_lineno, f.colno, f.end_colno) for f in frames])
        sys.settrace(None)
    return out.getvalue(), error


def traced(code):
    """((what it printed, error), events) under sys.settrace."""
    events = []

    def trace(frame, event, argument):
        if frame.f_code.co_filename != FILE:
            return None
        events.append((event, frame.f_code.co_qualname, frame.f_lineno))
        return trace

    return run(code, trace), events


def settled(log):
    """Without the lines that are none, as the call is on them already: what the tracer does, by the names of functions."""
    line = {}
    for what, number, function, kind in log:
        if what & LINE:
            if what & ELSEWHERE and line.get(function) == number:
                continue
            line[function] = number
        elif what == AHEAD:
            continue
        elif what == AGAIN:
            line[function] = number
            continue
        elif what in (CALL, RETURN, UNWIND):
            line.pop(function, None)
        yield what & ~ELSEWHERE, number, function, kind


def pointed(code, what=ALL):
    log = []
    said = run(points.instrument(code, what, log))
    return said, list(settled(log))


def numbered(source, how):
    """[(what, function, number)] of the exceptions that come to a program's calls: numbers from 1, each in order."""
    log = []
    run(points.instrument(compile_program(source), ALL, log, how))
    kept = [entry for entry in log if entry[0] in (EXCEPTION, UNWIND)]
    told = list(dict.fromkeys(id(asked) if how == ITSELF else asked for _, _, _, asked in kept))
    return [(what, function, told.index(id(asked) if how == ITSELF else asked) + 1) for what, _, function, asked in kept]


def compile_program(source):
    return compile(source, FILE, "exec", dont_inherit=True)


class Points(unittest.TestCase):
    maxDiff = None

    def test_lines_are_those_of_settrace(self):
        for name, source in PROGRAMS.items():
            with self.subTest(name):
                (said, events), (also, log) = traced(compile_program(source)), pointed(compile_program(source))
                self.assertEqual(also, said)
                self.assertEqual([(function, line) for what, line, function, _ in log if what & LINE],
                                 [(function, line) for event, function, line in events if event == "line"])

    def test_lines_of_try_statements_within_each_other(self):
        """Bodies that are compiled twice, exceptions that are raised again: made by chance, the same each time."""
        for seed in range(400):
            with self.subTest(seed):
                source = random_program(seed)
                (said, events), (also, log) = traced(compile_program(source)), pointed(compile_program(source))
                self.assertEqual(also, said)
                self.assertEqual([(function, line) for what, line, function, _ in log if what & LINE],
                                 [(function, line) for event, function, line in events if event == "line"])

    def test_a_trace_function_is_told_the_same(self):
        """The program's own, of code with points."""
        for name, source in PROGRAMS.items():
            for what in (CALL | RETURN | UNWIND | YIELD | RESUME, ALL):
                with self.subTest(name, what=what):
                    code = compile_program(source)
                    self.assertEqual(traced(points.instrument(code, what, [])), traced(code))

    def test_calls_are_those_of_settrace(self):
        """But for awaits and yield from: a frame that waits for another is not told of when both are suspended."""
        for name, source in PROGRAMS.items():
            if "await" in source or "yield from" in source or "async" in source:
                continue
            with self.subTest(name):
                (_, events), (_, log) = traced(compile_program(source)), pointed(compile_program(source))
                kinds = {CALL: "call", RESUME: "call", RETURN: "return", YIELD: "return", UNWIND: "return"}
                # A generator that an exception is thrown into goes on without a word; that its frame is no longer
                # suspended is seen by who knows the frames.
                if "throw" in source or "close" in source or "break" in source:
                    continue
                self.assertEqual([(kinds[what & ~LINE], function) for what, _, function, _ in log if what & ~LINE in kinds],
                                 [(event, function) for event, function, _ in events if event in ("call", "return")])
                entered = [(what, line) for what, line, _, _ in log if what in (CALL, RESUME)]
                lines = [line for event, _, line in events if event == "call"]
                if sys.version_info < (3, 12):  # from there on the frame alone has it
                    self.assertEqual([line for what, line in entered if what == RESUME],
                                     [line for line, (what, _) in zip(lines, entered) if what == RESUME])

    def test_each_subset(self):
        """No point is in another's way, and a program without any is the same program."""
        for name, source in PROGRAMS.items():
            for what in (0, LINE, CALL | RETURN | UNWIND, CALL | RETURN | UNWIND | YIELD | RESUME, EXCEPTION, ALL):
                with self.subTest(name, what=what):
                    said = run(compile_program(source))
                    also, log = pointed(compile_program(source), what)
                    self.assertEqual(also, said)
                    self.assertEqual([entry for entry in log if entry[0] & ~what], [])
                    whole = pointed(compile_program(source))[1]
                    self.assertEqual([entry[0:2] for entry in log if entry[0] == LINE],
                                     [entry[0:2] for entry in whole if entry[0] == LINE and what & LINE])

    def test_positions(self):
        for name, source in PROGRAMS.items():
            with self.subTest(name):
                code = compile_program(source)
                self.compare_positions(code, points.instrument(code, ALL, []))

    def compare_positions(self, code, other):
        """Of every instruction that was there before, in order."""
        import dis
        mine = [(i.opname, i.positions) for i in dis.get_instructions(code) if i.opname not in ("EXTENDED_ARG",)]
        theirs = [(i.opname, i.positions) for i in dis.get_instructions(other) if i.opname not in ("EXTENDED_ARG",)]
        at = 0
        for opname, positions in theirs:
            turned = opname.replace("FORWARD", "BACKWARD")
            if at < len(mine) and mine[at][0] in (opname, turned) and tuple(mine[at][1]) == tuple(positions):
                at += 1
        self.assertEqual(mine[at:], [])
        for one, another in zip(code.co_consts, other.co_consts):
            if isinstance(one, types.CodeType):
                self.compare_positions(one, another)

    def test_tracebacks_of_what_is_thrown_through(self):
        """Python 3.11 forgets some of that where one waits within an `except`, and we do not: no line is missing, and none is another."""
        begin = ("def library(code):\n    names = dict(globals())\n    exec(compile(code, 'library.py', 'exec'), names)\n    return names['made']\n"
                 "def waits(of, handles):\n    if not handles: return (yield from of)\n    try: 1 / 0\n    except ZeroDivisionError: yield from of\n")
        inner = {
            "at once": "def made(): yield 1\n",
            "raises": "def fail(n):\n    if n: fail(n - 1)\n    raise OSError('mine')\ndef made():\n    try: yield 1\n    except KeyError: fail(3)\n",
            "raises again": "def made():\n    try: yield 1\n    except KeyError as e: raise\n",
            "another": "def made():\n    try: yield 1\n    except KeyError as e: raise LookupError() from e\n",
            "puts in order": "def made():\n    try: yield 1\n    finally: print('in order')\n",
            "deep": "def fail(n):\n    if n: fail(n - 1)\n    1 / 0\ndef made():\n    try: yield 1\n    except KeyError: fail(400)\n",
            "of a library": "made = library('def made(): yield 1')\n",
            "of a library that handles": "made = library('def made():\\n  try: yield 1\\n  finally: print(2)')\n",
        }
        around = {
            "one": "waits(made(), {0})",
            "two": "waits(waits(made(), {0}), {1})",
            "library": "waits(library('def made(of): yield from of')(made()), {0})",
            "library that handles": "waits(library('def made(of):\\n  try: yield from of\\n  finally: print(3)')(waits(made(), {1})), {0})",
            "three": "waits(waits(waits(made(), {0}), {1}), {2})",
        }
        seen, more = set(), 0
        for (name, begin_inner), (way, expression) in itertools.product(inner.items(), around.items()):
            for handles in itertools.product((0, 1), repeat=1 + max(int(n) for n in re.findall(r"{(\d)}", expression))):
                source = begin + begin_inner + f"g = {expression.format(*handles)}\nnext(g)\ng.throw(KeyError('thrown'))\n"
                with self.subTest(name, way=way, handles=handles):
                    out, (error, frames) = run(compile_program(source))
                    for what in (CALL | RETURN | UNWIND | YIELD | RESUME, ALL):
                        also, (another, found) = pointed(compile_program(source), what)[0]
                        self.assertEqual((also, another), (out, error))
                        rest = iter(found)
                        self.assertTrue(all(frame in rest for frame in frames), (found, frames))
                        self.assertTrue(len(found) == len(frames) or any(handles), (found, frames))
                        more += len(found) - len(frames)
                    seen.add(str(frames))
        self.assertGreater(len(seen), 20)
        self.assertEqual(more > 0, sys.version_info < (3, 12))

    def test_exceptions(self):
        source = PROGRAMS["try, raised again"]
        log = pointed(compile_program(source))[1]
        self.assertEqual([(what, function, kind) for what, _, function, kind in log if what in (EXCEPTION, UNWIND)],
                         [(EXCEPTION, "f", ZeroDivisionError), (UNWIND, "f", ZeroDivisionError),
                          (EXCEPTION, "<module>", ZeroDivisionError)])

    @unittest.skipIf(sys.version_info >= (3, 12), "sys.monitoring says of a handler where it begins: this one is no handler there")
    def test_exceptions_that_leave_the_body_of_an_except_star(self):
        """As sys.settrace tells them, beside the groups that come of them."""
        source = ("def f(kind):\n    try:\n        try:\n            raise ExceptionGroup('g', [ValueError(1)])\n"
                  "        except* ValueError{}:\n            raise kind\n    except* kind:\n        pass\n"
                  "f(RuntimeError)\nf(TypeError)\n")
        for name in "", " as e":
            log = pointed(compile_program(source.format(name)))[1]
            self.assertEqual([kind for what, _, _, kind in log if what == EXCEPTION],
                             [ExceptionGroup, RuntimeError, ExceptionGroup, ExceptionGroup, TypeError, ExceptionGroup])

    def test_numbers_of_exceptions(self):
        """Of the tracer, which holds none, beside those of who holds them all: by their addresses, which do not come again."""
        for name, source in {**PROGRAMS, **EXCEPTIONS}.items():
            with self.subTest(name):
                self.assertEqual(numbered(source, NUMBER), numbered(source, ITSELF))

    def test_numbers_of_exceptions_in_try_statements_within_each_other(self):
        for seed in range(150):
            with self.subTest(seed):
                source = random_program(seed)
                self.assertEqual(numbered(source, NUMBER), numbered(source, ITSELF))

    def test_the_standard_library_stays_as_it_was(self):
        """Its modules, instrumented and run: larger and odder code than anybody writes for a test."""
        import importlib.util
        for name in ("argparse", "ast", "asyncio.base_events", "collections", "copy", "csv", "dataclasses", "datetime", "decimal",
                     "difflib", "enum", "fractions", "functools", "heapq", "inspect", "ipaddress", "json.decoder", "logging",
                     "pickle", "random", "re._parser", "shlex", "statistics", "string", "tarfile", "textwrap", "tokenize",
                     "typing", "unittest.mock", "uuid", "zipfile", "_pydecimal", "_pydatetime"):
            spec = importlib.util.find_spec(name)
            if spec is None:
                continue
            with self.subTest(name):
                code = points.instrument(spec.loader.get_code(name), ALL, [])
                module = types.ModuleType(name)
                module.__dict__.update(__spec__=spec, __package__=spec.parent, __file__=spec.origin)
                if name not in ("enum", "typing"):  # which register what they make, once
                    exec(code, module.__dict__)
                self.assertGreater(len(code.co_code), 0)


class Lines:
    """A trace function that asks for the line at each instruction of a program, beside the lines that have run."""

    def __init__(self):
        self.ran, self.next, self.wrong, self.without = {}, {}, [], 0

    def trace(self, frame, event, argument):
        code = frame.f_code
        if code.co_filename != FILE:
            return None
        frame.f_trace_opcodes = True
        ran = self.ran.setdefault(frame, {code.co_firstlineno})
        if event == "line":
            ran.add(frame.f_lineno)
            self.wrong += [told for told in self.next.pop(frame, ()) if told[1] != frame.f_lineno]
        elif event == "opcode":
            own = frame.f_lineno
            line = points.line(code, frame.f_lasti)
            self.without += not own
            if own and line != own:
                self.wrong.append((frame.f_lasti, line))
            elif line not in ran:
                self.next.setdefault(frame, []).append((frame.f_lasti, line))
        return self.trace

    def check(self, test, code):
        run(code, self.trace)
        test.assertEqual((self.wrong, list(self.next.values())), ([], []))


@unittest.skipIf(sys.version_info >= (3, 12), "bytecode_lines.c is for 3.11")
class WithoutLine(unittest.TestCase):
    """Where the call is when its instruction has no line: on one that has run, or a handler's that runs next."""

    def check(self, programs):
        without = 0
        for source in programs:
            for what in (0, CALL | RETURN | UNWIND, ALL):
                with self.subTest(source, what=what):
                    code = compile_program(source)
                    lines = Lines()
                    lines.check(self, points.instrument(code, what, []) if what else code)
                    without += lines.without
        return without

    def test_each_statement(self):
        self.assertGreater(self.check({**PROGRAMS, **EXCEPTIONS}.values()), 1000)

    def test_statements_within_each_other(self):
        self.assertGreater(self.check(map(random_program, range(100))), 1000)

    def test_where_ways_meet(self):
        for source, line in (("x = 0\ntry:\n    pass\nexcept ValueError:\n    print()\ntry:\n    [0] if x else [1]\nexcept KeyError: pass\n", 7),
                             ("def f(x):\n    print(x)\n    [0] if x else [1]\n    return 1\n", 3)):
            code = compile_program(source)
            code = next((c for c in code.co_consts if isinstance(c, types.CodeType)), code)
            told = [points.line(code, at * 2) for at, position in enumerate(code.co_positions()) if position[0] is None]
            self.assertIn(line, told)

    def test_code_of_any_size(self):
        """Jumps that are far, and so many that it is given up."""
        body = "".join(f"    a[{i}] if a else b\n" for i in range(3000))
        for source in (f"a = [0] * 3000\nb = 1\nfor i in 0, 1:\n{body}print(i)\n", f"a = ()\nb = 1\ntry:\n{body}except KeyError: pass\n"):
            code = compile_program(source)
            for at, position in enumerate(code.co_positions()):
                if position[0] is None and at % 37 == 0:
                    self.assertLessEqual(abs(points.line(code, at * 2)), 3004)


class Plain:
    def __init__(self, x):
        self.x = x
        self.later = [x]


class Other(Plain):
    pass


class Log(io.StringIO):
    def __init__(self, x):
        self.x = x


class Frames(unittest.TestCase):
    def stack(self):
        """As Python's own frames have it, from the caller of whoever asks."""
        frame, found = sys._getframe(1), []
        while frame is not None:
            found.append((frame.f_code.co_qualname, frame.f_lineno))
            frame = frame.f_back
        return found

    def test_frames(self):
        def deep(n):
            return deep(n - 1) if n else (points.frames(), self.stack())

        class Called:
            def __getattr__(self, name):  # Python, called by C, called by Python
                return list(map(lambda n: deep(n), [3]))[0]

        for ours, theirs in (deep(0), deep(5), Called().anything, next((points.frames(), self.stack()) for _ in "a")):
            self.assertEqual(ours, theirs)
            self.assertIn("Frames.test_frames", [name for name, _ in ours])

    def test_lines_within_a_statement(self):
        here = sys._getframe().f_lineno
        found = [
            points.frames()[0][1],

            points.frames()[0][1]]
        self.assertEqual([line - here for line in found], [2, 4])

    def test_variables(self):
        def inner(a, *rest, b=2, **more):
            c = [a]
            del b
            def innermost():
                return a, d
            d = innermost
            return points.variables(), locals()

        ours, theirs = inner(1, 2, 3, x=4)
        self.assertEqual(ours, theirs)
        self.assertEqual((ours["a"], ours["rest"], ours["more"], "b" in ours), (1, (2, 3), {"x": 4}, False))

    def test_variables_of_a_class_and_a_module(self):
        class Body:
            x = 1
            found = points.variables()

        self.assertEqual((Body.found["x"], "found" in Body.found), (1, False))
        names = {"points": points}
        exec("y = 2\nfound = points.variables()\n", names)
        self.assertEqual((names["found"]["y"], "found" in names["found"]), (2, False))

    def test_attributes(self):
        plain, other, many = Plain(1), Other(2), Plain(3)
        self.assertEqual(points.attributes(plain), {"x": 1, "later": [1]})
        self.assertEqual(points.attributes(other), {"x": 2, "later": [2]})
        for i in range(40):
            setattr(many, f"a{i}", i)
        self.assertEqual(points.attributes(many), vars(many))
        self.assertEqual(points.attributes(plain), vars(plain))  # which makes its dict
        self.assertEqual(points.attributes(plain), {"x": 1, "later": [1]})
        del plain.x
        self.assertEqual(points.attributes(plain), {"later": [1]})
        for value in types.SimpleNamespace(x=1, y=[2]), Log(1):
            self.assertEqual(points.attributes(value), vars(value))
        for value in 1, "a", [], {}, None, Plain, len:
            self.assertEqual(points.attributes(value), {})


if __name__ == "__main__":
    unittest.main()
