# SPDX-License-Identifier: MIT
"""The trace level `steps`: which variables have changed at each line, as text that no code of the program's has a hand in."""

import os
import sys
import unittest

import pool
import recording

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "trace"))

from programs import PROGRAMS  # noqa: E402


def changes(records):
    """[(the last line told before, name, type, value)]."""
    names = {r["name"]: r["text"] for r in records if r["kind"] == "name"}
    line, found = 0, []
    for record in recording.unfold(records):
        if record["kind"] == "line":
            line = record["line"]
        elif record["kind"] == "variable":
            found.append((line, names[record["name"]], names.get(record["type"], "gone"), record["value"]))
    return found


class Steps(pool.TestCase):
    OPTIONS = {"workers": 2, "max_cpu_ms": 60000, "max_wall_ms": 120000}
    maxDiff = None

    def changes(self, code, verdict="ok", **fields):
        job = self.client.run(code, trace="steps", **fields)
        self.assertEqual(job.verdict, verdict, job.result)
        return changes(recording.decode(job.recording, partial=verdict != "ok"))

    def test_values(self):
        for value, kind, text in (
                ("3", "int", "3"), ("-2.5", "float", "-2.5"), ("1e300 * 1e10", "float", "inf"), ("True", "bool", "True"),
                ("None", "NoneType", "None"), ("'it\\'s\\n'", "str", "'it\\'s\\n'"), ("'é€😀\\x1b\\u202e'", "str", "'é€😀\\x1b\\u202e'"),
                ("'\\ud800'", "str", "'\\ud800'"), ("'x' * 100", "str", "'" + "x" * 40 + "'..."), ("b'a\\0'", "bytes", "b'a\\x00'"),
                ("[1, 2]", "list", "[1, 2]"), ("(1,)", "tuple", "(1,)"), ("()", "tuple", "()"), ("(1, 2)", "tuple", "(1, 2)"), ("{'a': 1}", "dict", "{'a': 1}"), ("{5}", "set", "{5}"),
                ("list(range(100))", "list", "[0, 1, 2, 3, 4, 5, 6, 7, ... 84 more, 92, 93, 94, 95, 96, 97, 98, 99]"),
                ("list(range(16))", "list", "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]"), ("[[1, [2]]]", "list", "[[1, ...]]"),
                ("dict.fromkeys(range(20))", "dict", "{" + ", ".join(f"{i}: None" for i in range(16)) + ", ... 4 more}"),
                ("[[0] * 8] * 8", "list", str([[0] * 8] * 8)), ("frozenset({1})", "frozenset", "frozenset({1})"), ("set()", "set", "{}"),
                ("__import__('collections').Counter('aa')", "Counter", "Counter({'a': 2})"),
                ("__import__('collections').OrderedDict(a=1)", "collections.OrderedDict", "OrderedDict({'a': 1})"),
                ("__import__('collections').defaultdict(int, a=1)", "collections.defaultdict", "defaultdict({'a': 1})"),
                ("__import__('collections').deque([1, [2]])", "collections.deque", "deque([1, [2]])"),
                ("__import__('collections').deque(range(20))", "collections.deque",
                 "deque([0, 1, 2, 3, 4, 5, 6, 7, ... 4 more, 12, 13, 14, 15, 16, 17, 18, 19])"),
                ("__import__('collections').namedtuple('T', 'a')(1)", "T", "T(1)"), ("type('L', (list,), {})([1])", "L", "L([1])"),
                ("type('deque', (), {'__module__': 'collections'})()", "deque", "<deque>"),
                ("type('D', (__import__('collections').deque,), {'__getitem__': None, '__len__': None})([1])", "D", "D([1])"),
                ("__import__('enum').IntEnum('Level', 'LOW').LOW", "Level", "Level(1)"), ("type('S', (str,), {'__str__': None})('x')", "S", "S('x')"),
                ("__import__('decimal').Decimal('1.50')", "decimal.Decimal", "<Decimal>"), ("KeyError('x', 1)", "KeyError", "KeyError('x', 1)"),
                ("__import__('datetime').date(2026, 1, 2)", "datetime.date", "datetime.date(2026, 1, 2)"),
                ("__import__('dataclasses').make_dataclass('P', ['x', 'y'], slots=True)(1, [2])", "P", "P(x=1, y=[2])"),
                ("type('Q', (type('P', (), {'__slots__': 'a'}),), {'__slots__': ('b', 'c')})()", "Q", "<Q>"),
                ("__import__('dataclasses').make_dataclass('漢' * 40, ['漢' * 40])(1)", "漢" * 40, "漢" * 20 + "(" + "漢" * 20 + "=1)"),
                ("10 ** 40", "int", "an integer of 133 bits"), ("1 + 3j", "complex", "(1+3j)"), ("range(3)", "range", "range(0, 3)"),
                ("object()", "object", "<object>")):
            with self.subTest(value):
                self.assertEqual(self.changes(f"x = {value}\n"), [(1, "x", kind, text)])

    def test_what_changes(self):
        self.assertEqual(self.changes("def f(a, b=2):\n    c = [a]\n    c.append(b)\n    a += 1\n    a = a\n    del b\n    return c\nx = f(1)\n"), [
            (8, "a", "int", "1"), (8, "b", "int", "2"), (2, "c", "list", "[1]"), (3, "c", "list", "[1, 2]"), (4, "a", "int", "2"),
            (6, "b", "gone", ""), (7, "x", "list", "[1, 2]")])
        self.assertEqual(self.changes("for i in range(3):\n    t = str(i)\ndel i\n"), [
            (1, "i", "int", "0"), (2, "t", "str", "'0'"), (1, "i", "int", "1"), (2, "t", "str", "'1'"), (1, "i", "int", "2"),
            (2, "t", "str", "'2'"), (3, "i", "gone", "")])
        self.assertEqual(self.changes("s = ''\nfor _ in range(2):\n    s += 'ab'\n")[2::2], [
            (3, "s", "str", "'ab'"), (3, "s", "str", "'abab'")])

    def test_what_changes_within(self):
        """What is shown counts; what is not does not."""
        begin = "import collections\nx = {}\n"
        for value, change, kind, shown in (
                ("[False] * 10", "x[5] = True", "list", str([False] * 5 + [True] + [False] * 4)), ("[[0] * 9, [1]]", "x[0][4] = 5", "list", "[[0, 0, 0, 0, 5, 0, 0, 0, 0], [1]]"),
                ("collections.Counter()", "x['a'] += 1", "Counter", "Counter({'a': 1})"), ("collections.deque()", "x.append(1)", "collections.deque", "deque([1])"),
                ("type('L', (list,), {})()", "x.append(1)", "L", "L([1])"), ("{1000: 'a'}", "x[1001] = x.pop(1000)", "dict", "{1001: 'a'}"),
                ("'я' * 39", "x = 'я' * 35 + 'а' * 4", "str", repr("я" * 35 + "а" * 4)), ("'-N'", "x = '中'", "str", "'中'"),
                ("range(0, 10, 3)", "x = range(0, 12, 3)", "range", "range(0, 12, 3)"), ("complex(-1)", "x = complex(-2)", "complex", "(-2+0j)"),
                ("1 << 300", "x = 1 << 301", "int", "an integer of 302 bits"),
                ("type('B', (type('A', (), {'__slots__': 'a'}),), {})()", "x.y = 1; del x.y; x.a = 5", "B", "B(a=5)"),
                ("type('P', (), {'__slots__': 'a'})()", "x.a = 5", "P", "P(a=5)"), ("__import__('types').SimpleNamespace()", "x.a = 5", "types.SimpleNamespace", "SimpleNamespace(a=5)"),
                ("type('S', (__import__('io').StringIO,), {})()", "x.a = 5", "S", "S(a=5)"), ("[[type('P', (), {})()]]", "x[0][0].a = 5", "list", "[[...]]"), ("type('D', (collections.deque,), {})()", "x.append(1)", "D", "D([1])"), ("[0] * 100", "x[50] = 1", "", ""), ("[[[0]]]", "x[0][0][0] = 1", "", "")):
            with self.subTest(value):
                self.assertEqual(self.changes(begin.format(value) + change + "\n")[1:], [(3, "x", kind, shown)] if shown else [])

    def test_what_stays_of_a_value(self):
        """Told is what stands between, whole characters of it, and each value is whole again; of so many names as are kept."""
        values = ["ab€cd", "ab₭cd", "ab₭xcd", "ab₭cd", "€€", "€€€", "🐎12345", "🐏12345", "é12345", "É12345",
                  "", "ababab", "abababab", "abab", "x" * 40, "x" * 39]
        code = "".join(f"a = {value!r}\n" for value in values) + "a = None\nb = [1, 2, 3, 4, 5]\nfor i in range(5):\n    b[i] = 77\n"
        code += "".join(f"v{i} = {'w' * 20!r}\n" for i in range(1100)) + "del v0\nv1 = v1099 = 'wwwwwwwwwwwwwwwwwww.'\n"
        job = self.client.run(code, trace="steps", cpu_ms=20000, wall_ms=60000)
        self.assertEqual(job.verdict, "ok", job.result)
        records = recording.decode(job.recording)
        found = changes(records)
        self.assertEqual([value for _, name, kind, value in found if name == "a" and kind == "str"], [repr(value) for value in values])
        self.assertEqual([value for _, name, _, value in found if name == "b"],
                         [str([77] * i + [1, 2, 3, 4, 5][i:]) for i in range(6)])
        self.assertEqual([value for _, name, _, value in found if name in ("v1", "v1099")], [repr("w" * 20)] * 2 + [repr("w" * 19 + ".")] * 2)
        told = [r["value"] for r in records if r["kind"] == "variable"]
        self.assertIn("77", told)
        self.assertIn("₭", told)

    def test_what_is_a_function_now(self):
        """or a class or a module, and was something else: that is told, and where it is gone."""
        for body, kind, shown in (("lambda: 1", "function", "<function>"), ("int", "type", "<class int>"), ("sys", "module", "<module>")):
            told = [("x", "int", "1"), ("x", kind, shown), ("x", "gone", ""), ("x", "int", "2")]
            lines = f"x = {body}\nx = 1\nx = {body}\nx = {body}\ndel x\nx = 2\n"
            within = "import sys\ndef f():\n" + "".join(f"    {line}\n" for line in lines.splitlines()) + "f()\n"
            for source in "import sys\n" + lines, within:
                with self.subTest(source):
                    self.assertEqual([change[1:] for change in self.changes(source)], told)

    def test_instances_and_closures(self):
        code = ("class Robot:\n    wheels = 4\n    def __init__(self): self.x = 1\n    def go(self):\n        self.x += 1\nr = Robot()\nr.go()\n"
                "def outer():\n    n = 0\n    def inner():\n        nonlocal n\n        n += 1\n    inner()\n    return n\nouter()\n")
        said = self.changes(code)
        for change in ((2, "wheels", "int", "4"), (3, "r", "Robot", "Robot(x=1)"), (5, "self", "Robot", "Robot(x=2)"),
                       (9, "n", "int", "0"), (12, "n", "int", "1"), (12, "n", "int", "1")):
            self.assertIn(change, said)

    def test_no_code_of_the_program_runs(self):
        code = ("class M(type):\n    def __getattribute__(c, n): print('no'); return type.__getattribute__(c, n)\n"
                "class Liar(metaclass=M):\n    def __init__(self): object.__setattr__(self, 'x', 1)\n"
                "    def __getattribute__(self, n): print('no'); raise ValueError\n    def __repr__(self): print('no'); return '?'\n"
                "    __str__ = __hash__ = __eq__ = __len__ = __iter__ = __bool__ = __class_getitem__ = __repr__\n"
                "class L(list):\n    __len__ = __iter__ = __getitem__ = lambda *a: print('no')\n"
                "class S(str):\n    __len__ = __str__ = __repr__ = lambda *a: print('no')\n"
                "print('begin')\na = Liar()\nb = L([1])\nc = S('x')\nd = [a, b, c]\nprint('end')\n")
        job = self.client.run(code, trace="steps")
        records = recording.decode(job.recording)
        self.assertEqual(recording.text(records).partition("begin\n")[2], "end\n", job.result)
        self.assertIn((4, "a", "Liar", "Liar(x=1)"), changes(records))

    def test_keys_that_lie(self):
        """Among the names of a module stand keys of the program's: they are not asked, and what they would do is not done."""
        code = ("armed = []\ndef deep(n):\n    if n: deep(n - 1)\njunk = []\nclass Evil:\n    def __hash__(s): return hash('x')\n"
                "    def __eq__(s, o):\n        print('asked')\n        if armed:\n            armed.clear(); deep(900)\n"
                "            junk.append([bytes(b'A' * k) for k in range(1000, 60000, 1000)])\n        return False\n"
                "globals()[Evil()] = 1\nx = 5\ndel x; armed.append(1)\ny = 1\nz = 2\nprint('end')\n")
        said = {(job.verdict, recording.text(recording.decode(job.recording))) for job in (self.client.run(code, trace=trace) for trace in ("off", "steps"))}
        self.assertEqual(len(said), 1, said)
        self.assertEqual({verdict for verdict, _ in said}, {"ok"})

    def test_keys_at_one_address(self):
        """Each has it after the one before: they are told apart by what they are."""
        said = self.changes("d = {1000: 'a'}\nfor k in range(1000, 1006):\n    d[k + 1] = d.pop(k)\n")
        self.assertEqual([value for _, name, _, value in said if name == "d"], [f"{{{k}: 'a'}}" for k in range(1000, 1007)])

    def test_nothing_lives_longer(self):
        code = ("import sys\nclass D:\n    def __del__(self): print('gone')\ndef f():\n    d = D()\n    d = None\n    print('after')\n"
                "    e = D()\n    return sys.getrefcount(e)\nprint(f())\nx = D()\nx = 1\nprint('end')\n")
        said = {recording.text(recording.decode(self.client.run(code, trace=trace).recording)) for trace in ("off", "steps")}
        self.assertEqual(said, {"gone\nafter\ngone\n2\ngone\nend\n"})

    def test_odd_objects(self):
        self.changes("a = []\na.append(a)\nd = {}\nd['d'] = d\nclass N:\n    pass\nn = N()\nn.n = n\nx = [[[[[1]]]]]\n"
                     "class E:\n    __slots__ = ('y',)\ne = E()\nclass P(dict): pass\np = P(a=1)\np.q = 2\nimport collections\n"
                     "t = collections.namedtuple('T', 'a b')(1, 2)\ng = (i for i in x)\nfor i in range(30): setattr(n, f'a{i}', i)\n"
                     "del n.a3\nn.__dict__ = {'z': 1}\nn.__class__ = type('Q', (N,), {})\n")

    def test_programs_stay_what_they_are(self):
        jobs = {}
        for name, source in PROGRAMS.items():
            jobs[name] = [self.client.enqueue(pool.make_zip(source), trace=trace) for trace in ("off", "steps")]
        for name, (plain, stepped) in jobs.items():
            with self.subTest(name):
                plain, stepped = self.client.wait(plain), self.client.wait(stepped)
                self.assertEqual(stepped.verdict, plain.verdict, stepped.result)
                self.assertEqual(*(recording.text(recording.decode(job.recording)) for job in (plain, stepped)))

    def test_over_its_size_lines_are_left(self):
        job = self.client.run("for i in range(20000):\n    x = i\n", trace="steps", recording_kb="64", cpu_ms="60000", wall_ms="60000")
        records = recording.decode(job.recording)
        self.assertEqual({r["level"] for r in records if r["kind"] == "level"}, {"lines"})
        self.assertEqual([r["kind"] for r in records if r["kind"] in ("level", "sync", "end", "dropped")][-1], "end")


if __name__ == "__main__":
    unittest.main()
