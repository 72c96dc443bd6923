# SPDX-License-Identifier: MIT
"""What a recording holds: order, calls, errors, caps, and the last call before a kill."""

import json
import os
import subprocess
import tempfile
import unittest

import pool
import recording

BEES = """\
class Bee:
    def buzz(self, times):
        for _ in range(times):
            self.hum()
        return times

    def hum(self):
        print('bzz')
"""
ROBOT = """\
from bees import Bee

def main():
    Bee().buzz(2)

main()
"""


class Recording(pool.TestCase):
    def run_program(self, files, verdict, **fields):
        job = self.client.run(files, **fields)
        self.assertEqual(job.verdict, verdict, job.result)
        return job, recording.decode(job.recording, partial=verdict not in ("ok", "exit", "exception"))

    def test_calls_in_order_with_output(self):
        _, records = self.run_program({"robot.py": ROBOT, "bees.py": BEES}, "ok", trace="calls")
        self.assertEqual(records[0], {"kind": "header", "magic": "PADDOCK", "version": 4,
                                      "level": "calls", "engine": records[0]["engine"]})
        names = [name for _, _, name in recording.calls(records)]
        self.assertEqual(names, ["<module>", "<module>", "Bee", "main", "Bee.buzz", "Bee.hum", "Bee.hum"])
        self.assertIn(("/robot/bees.py", 2, "Bee.buzz"), recording.calls(records))
        flow = [r["kind"] for r in records if r["kind"] in ("call", "return", "out")]
        self.assertEqual(flow[-9:], ["call", "out", "return", "call", "out", "return", "return", "return",
                                     "return"])
        times = [r["time"] for r in records if "time" in r]
        self.assertEqual(times, sorted(times))
        self.assertEqual(records[-1]["kind"], "end")
        self.assertEqual(records[-1]["produced"], flow.count("call") + flow.count("return"))

    def test_off_records_no_calls(self):
        _, records = self.run_program({"robot.py": ROBOT, "bees.py": BEES}, "ok")
        self.assertEqual([r["kind"] for r in records], ["header", "out", "out", "end"])

    def test_threads_are_told_apart(self):
        code = ("import threading\ndef work():\n    print('w')\n"
                "t = threading.Thread(target=work)\nt.start()\nt.join()\n")
        _, records = self.run_program(code, "ok", trace="calls")
        self.assertEqual([r["thread"] for r in records if r["kind"] == "thread"][:1], [1])
        self.assertIn("work", [name for _, _, name in recording.calls(records)])

    def test_every_prefix_decodes(self):
        job, records = self.run_program({"robot.py": ROBOT, "bees.py": BEES}, "ok", trace="calls")
        for size in range(len(job.recording)):
            prefix = recording.decode(job.recording[:size], partial=True)
            self.assertEqual(prefix, records[:len(prefix)])

    def test_error_is_structured(self):
        code = {"robot.py": "import deep\ndeep.go({})\n",
                "deep.py": "def go(d):\n    try:\n        return d['x']\n    except KeyError as e:\n"
                           "        raise ValueError('no x') from e\n"}
        _, records = self.run_program(code, "exception")
        errors = [r for r in records if r["kind"] == "error"]
        self.assertEqual([(e["type"], e["relation"]) for e in errors],
                         [("KeyError", "cause"), ("ValueError", "")])
        frame = errors[1]["frames"][-1]
        self.assertEqual((frame["file"], frame["line"], frame["function"]), ("/robot/deep.py", 5, "go"))
        self.assertEqual(frame["source"].strip(), "raise ValueError('no x') from e")
        self.assertEqual(errors[1]["frames"][0]["file"], "/robot/robot.py")
        traceback = recording.text(records, "err")
        self.assertIn("deep.go({})", traceback)
        self.assertIn("ValueError: no x", traceback)
        self.assertNotIn("paddock", traceback)

    def test_compile_error_has_file_line_and_column(self):
        job, records = self.run_program({"robot.py": "import broken\n", "broken.py": "x = 1\ny = (2\n"},
                                        "compile_error")
        error = [r for r in records if r["kind"] == "error"][0]
        frame = error["frames"][-1]
        self.assertEqual((frame["file"], frame["line"], frame["column"]), ("/robot/broken.py", 2, 5))
        self.assertIn("broken.py, line 2", job.result["sentence"])

    def test_columns_are_those_of_the_carets(self):
        """In characters, also behind those of more than one byte, and where a statement has more than one line."""
        for code, expected in (("x = '\u00fc\u00fc\u00fc\u00fc', None.foo\n", (1, 13, 1, 21)),
                               ("x = 1 / 0\n", (1, 5, 1, 10)), ("x = ('\u00fc',\n     '\U0001f40e', [][\n 1])\n", (2, 11, 3, 4))):
            with self.subTest(code):
                _, records = self.run_program(code, "exception")
                frame = [r for r in records if r["kind"] == "error"][0]["frames"][-1]
                self.assertEqual(tuple(frame[name] for name in ("line", "column", "end_line", "end_column")), expected)

    def test_columns_of_compile_errors_are_in_characters(self):
        """Whatever Python takes the source for, and whether it sees the error at once or at the end; the caret stands there."""
        rows = [("x = '\u65e5\u672c\u8a9e' y\n", 11, 12), ('print("\u00e9" 5)\n', 7, 12), ("'\u00e9\U0001f40e'; return\n", 7, 13),
                ("'\u00e9\u00e9'; break\n", 7, 12), ("'\u00e9'; 5 = x\n", 6, 7), ("\u00e9 = '\\N{foo}'\n", 14, 14),
                # What Python 3.11 counts in bytes, however it is told.
                ("\u00e9 = 08\n", 5, 6), ("x = '\U0001f40e\u65e5', 0777\n", 11, 12), ("\u65e5 = '\u00e9\u00e9'; '\u00e9', 00_7\n", 16, 19),
                ("(\u00e9, f'{\u00e9 b')\n", 12, 13), ("(\u00e9, f'{}')\n", 10, 11),
                ("\u00e9 = f'{}'", 10, 10)]
        for code, column, end in rows:
            for head in "", "# coding: utf-8\n", "\ufeff":
                for file in "robot.py", "arm.py":
                    with self.subTest(code, head=head, file=file):
                        files = {"robot.py": "import arm\n", file: (head + code).encode()}
                        _, records = self.run_program(files, "compile_error")
                        frame = [r for r in records if r["kind"] == "error"][0]["frames"][-1]
                        self.assertEqual((frame["file"], frame["column"], frame["end_column"]), (f"/robot/{file}", column, end))
                        lines = recording.text(records, "err").splitlines()
                        caret = lines[lines.index("    " + code.strip()) + 1]
                        self.assertEqual(caret, " " * (3 + column) + "^" * max(end - column, 1))

    def python_says(self, code):
        """What python3 itself prints of a program that is a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "robot.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(code)
            return subprocess.run(["/usr/bin/python3", path], capture_output=True, text=True, check=False).stderr.replace(folder, "/robot")

    def test_lines_that_go_on_behind_a_backslash(self):
        """Or are of a text: each error has its line, and the marks stand where those of python3 do."""
        for code in ("total = 1 + \\\n    2 3\n", "print('a') \\\nprint('b')\n", "if x == 1 and \\\n   y == 2\n    pass\n", "x = '''a\nb''' 3\n",
                     "x = \\\n\\\n  1 1\n", "x = 1 \\\n  $\n", "for x in '''a\n''' y: pass\n", "x = 1 + \\\ny = (2\n", "(a,\nb) += 1\n", "del f(1,\n2)\n", "f(\n1) = 2\n", "x = (1,\n 2\n",
                     "x = '''a\nb\nc\n", "x = 'é' + \\\n  , 2\n"):
            with self.subTest(code):
                _, records = self.run_program({"robot.py": code}, "compile_error")
                frame = [r for r in records if r["kind"] == "error"][0]["frames"][-1]
                self.assertEqual(frame["source"], code.splitlines()[frame["line"] - 1])
                self.assertEqual(recording.text(records, "err"), self.python_says(code))
        # python3 counts the bytes of the one line in the other.
        for code, marked in (("x = 'é' \\\n  , 'éé' 2\n", "2"), ("x = 'a' \\\n  , 'éé' 2\n", "2"), ("f('''é\né''', 1 2)\n", "1 2"),
                             ("x = '''é\né''' + $\n", "$"), ("x = '''é\nüü''' é é\n", "é"), ("ü = '''€\n\n€€\né''' 5 ü\n", "5"),
                             ("x = '''€\n€''' \u00ac\n", "\u00ac")):
            with self.subTest(code):
                _, records = self.run_program({"robot.py": code}, "compile_error")
                frame = [r for r in records if r["kind"] == "error"][0]["frames"][-1]
                self.assertEqual(frame["source"][frame["column"] - 1:max(frame["end_column"] - 1, frame["column"])], marked, frame)
        # An end in a later line is a column of that one.
        _, records = self.run_program({"robot.py": "f(1 2 + '''é\U0001f600\n\U0001f600xxx''')\n"}, "compile_error")
        frame = [r for r in records if r["kind"] == "error"][0]["frames"][-1]
        self.assertEqual([frame[key] for key in ("line", "column", "end_line", "end_column")], [1, 3, 2, 8])
        # Also where that is longer than the first one, and however the source says that it is encoded.
        for first in "e = 1", "é = 1", "# coding: utf-8 é", "#!/robot é -*- coding: utf-8 -*-":
            _, records = self.run_program({"robot.py": f"{first}\n(a,\n b, c) + 1 = 3\n"}, "compile_error")
            frame = [r for r in records if r["kind"] == "error"][0]["frames"][-1]
            self.assertEqual([frame[key] for key in ("line", "column", "end_line", "end_column")], [2, 1, 3, 11], first)

    def test_errors_at_the_end_of_a_source(self):
        """Whatever its lines end with: in the line that it has there."""
        for code in "x = 1\nwhile x:\n", "def f():\n", "x = (1,\n", "x = 1 +\n", "s = '''abc\n", "try:\n    x = 1\n", "x = 1 \\\n", "if 1:\n\n\n":
            for end in "\n", "\r\n", "\r":
                with self.subTest(code, end=end):
                    _, records = self.run_program({"robot.py": code.replace("\n", end)}, "compile_error")
                    lines, expected = recording.text(records, "err").splitlines(), self.python_says(code).splitlines()
                    self.assertEqual((lines[:2], lines[-1]), (expected[:2], expected[-1]))

    def test_warnings_of_a_source_that_is_refused(self):
        """Are said once, however often it is looked at to find out where it is wrong."""
        code = ("import warnings\nfound = []\nwarnings.showwarning = lambda m, c, f, l, *a, **k: found.append((f, l))\nwarnings.simplefilter('always')\n"
                "before = warnings.filters\ntry: import m\nexcept SyntaxError: print(found, warnings.filters is before)\n")
        for word in "e", "é":
            _, records = self.run_program({"robot.py": code, "m.py": f"{word} = 1\ny = '\\d'\nz = = 3\n"}, "ok")
            self.assertIn(recording.text(records, "out"), [str([("/robot/m.py", 2)] * n) + " True\n" for n in (1, 2)])  # Python's parser looks twice
        for place in "del sys.modules['warnings']", "sys.modules['warnings'] = None", "sys.modules['warnings'] = one = object()":
            code = f"import sys\n{place}\nbefore = sys.modules.get('warnings', 0)\ntry: import m\nexcept SyntaxError: print(sys.modules.get('warnings', 0) is before)\n"
            _, records = self.run_program({"robot.py": code, "m.py": "é = 1\nz = = 3\n"}, "ok")
            self.assertEqual(recording.text(records, "out"), "True\n")
        # However a program has hidden them, and also behind that.
        for place in ("del sys.modules['warnings']", "sys.modules['warnings'] = None", "sys.modules['warnings'] = object()", "del warnings.filters",
                      "warnings.__class__ = type('M', (type(sys),), {})"):
            code = f"import sys, warnings\nwarnings.simplefilter('always')\n{place}\ntry: import m\nexcept SyntaxError: import n\n"
            said = [recording.text(self.run_program({"robot.py": code, "m.py": f"{word} = 1\ny = '\\d'\nz = = 3\n", "n.py": "x = 1 is 1\n"}, "ok")[1], "err")
                    for word in ("e", "é")]
            self.assertEqual(said[0], said[1], place)
            self.assertIn("DeprecationWarning: invalid escape", said[0])
            self.assertIn("SyntaxWarning", said[0])

    def test_warnings_that_are_errors(self):
        """Are what a source was refused for, whatever else is wrong with it."""
        for filters, line, words in (("[('error', None, Warning, None, 0)]", 1, "invalid escape sequence"),
                                     ("[('always', None, DeprecationWarning, None, 0), ('error', None, SyntaxWarning, None, 0)]", 2, 'with a literal'),
                                     ("[('always', None, Warning, None, 0)]", 3, "outside function")):
            for word in "e", "é":
                code = f"import warnings\nwarnings.filters[:] = {filters}\nimport m\n"
                _, records = self.run_program({"robot.py": code, "m.py": f"{word} = '\\d'\nx = 1 is 1\nreturn\n"}, "compile_error")
                error, = [r for r in records if r["kind"] == "error"]
                self.assertIn(words, error["message"])
                self.assertEqual([error["frames"][-1][key] for key in ("file", "line", "source")],
                                 ["/robot/m.py", line, [f"{word} = '\\d'", "x = 1 is 1", "return"][line - 1]])

    def test_what_a_syntax_error_is_made_of(self):
        code = "try: import m\nexcept SyntaxError as e: print(e.args == (e.msg, (e.filename, e.lineno, e.offset, e.text, e.end_lineno, e.end_offset)), e.filename)\n"
        for source in "return\n", "é = 1\nreturn\n", "é = = 3\n", "f'{é é}'\n", "x = (\n", "x = '''é\n":
            _, records = self.run_program({"robot.py": code, "m.py": source}, "ok")
            self.assertEqual(recording.text(records, "out"), "True /robot/m.py\n", source)

    def test_marks_of_lines_with_blanks_behind_them(self):
        for code in ("x = math.sqr(2)", "return a + len(5)", "print('a' + 1)  # sum", "x = 1 + len(5) + 2", "x = len(\n   5)"):
            for blanks in "", " ", "   ", "\t":
                with self.subTest(code, blanks=blanks):
                    source = "import math\ndef f(a):\n    " + code + blanks + "\nf(1)\n"
                    _, records = self.run_program(source, "exception")
                    self.assertEqual([line.rstrip() for line in recording.text(records, "err").splitlines()],
                                     [line.rstrip() for line in self.python_says(source).splitlines()])

    def test_columns_within_an_f_string_are_those_of_its_line(self):
        """Python 3.11 shows its expression as a line of its own. Where that cannot be found in the line there are none."""
        rows = [("\u00e9 = f'{\u00e9 b}'", 1, 8, 11), ("x = 1\nprint(f'hello {name y}')", 2, 16, 22),
                ("    # deep\nif 1:\n    x = f'h\u00e9h\u00e9 {1 +} and {2 +}'", 3, 20, 21), ("s = f'''\nline {a b}'''", 2, 7, 10),
                ("f'{ a b }'", 1, 5, 8), ("f'{x:{a b}}'", 1, 7, 10), ("f'{08}'", 1, 4, 5), ("f'{a $ b}'", 1, 6, 7),
                ("f'{a b} {a b}'", 1, 0, 0), ("f'{(}'", 1, 7, 7)]
        for code, line, column, end in rows:
            for last in "\n", "":
                with self.subTest(code, last=last):
                    _, records = self.run_program({"robot.py": code + last}, "compile_error")
                    frame = [r for r in records if r["kind"] == "error"][0]["frames"][-1]
                    self.assertEqual(tuple(frame[key] for key in ("line", "column", "end_column", "source")),
                                     (line, column, end, code.splitlines()[line - 1]))
                    shown = recording.text(records, "err").splitlines()
                    self.assertEqual(shown[1], "    " + frame["source"].strip())
                    indent = len(frame["source"]) - len(frame["source"].lstrip())
                    caret = " " * (3 + column - indent) + "^" * max(end - column, 1)
                    self.assertEqual(shown[2].rstrip(), caret if column > 0 else shown[2])

    def test_errors_of_an_encoding_have_a_place(self):
        for code, expected in ((b"\n# coding: foo\n", (2, 11, 2, 14, "# coding: foo")),
                               (b"\xef\xbb\xbf# coding: latin-1\n", (1, 11, 1, 18, "# coding: latin-1")),
                               (b"x = 1\ny = '\xc3\xa9', '\xe9'\n", (2, 11, 2, 12, "y = '\u00e9', '\ufffd'")),
                               (b"# coding: cp1252\r\nx = '\xe9\x81'\r\n", (2, 7, 2, 8, "x = '\u00e9\ufffd'")),
                               ("x = 1\n".encode("utf-16"), (1, 0, 1, 0, ""))):
            for files, file in (({"robot.py": code}, "robot.py"), ({"robot.py": "import arm\n", "arm.py": code}, "arm.py")):
                with self.subTest(code, file=file):
                    _, records = self.run_program(files, "compile_error")
                    frame = [r for r in records if r["kind"] == "error"][0]["frames"][-1]
                    self.assertEqual(tuple(frame[key] for key in ("line", "column", "end_line", "end_column", "source")), expected)
                    self.assertEqual(frame["file"], f"/robot/{file}")

    def test_compile_errors_that_come_late_have_their_line(self):
        """Python reads it from the file when the source has been read to its end."""
        for code, line in (("x = 1\nreturn x\n", 2), ("for i in []: pass\nbreak\n", 2), ("def f(a, a): pass\n", 1),
                           ("x = 1\ndef f():\n    x = 2\n    global x\n", 4), ("from __future__ import nothing\n", 1),
                           ("x = 1\nnonlocal x\n", 2), ("x = '\x0c\u2028'\nreturn '\u00e4'\n", 2)):
            for files, file in (({"robot.py": code}, "robot.py"), ({"robot.py": "import arm\n", "arm.py": code}, "arm.py")):
                with self.subTest(code, file=file):
                    job, records = self.run_program(files, "compile_error")
                    frame = [r for r in records if r["kind"] == "error"][0]["frames"][-1]
                    source = code.split("\n")[line - 1]
                    self.assertEqual((frame["file"], frame["line"], frame["source"]), (f"/robot/{file}", line, source))
                    self.assertIn(f"    {source.strip()}\n", recording.text(records, "err"))

    def errors(self, code, verdict="exception"):
        job, records = self.run_program({"robot.py": code}, verdict)
        return job, records, [r for r in records if r["kind"] == "error"]

    def test_of_many_frames_the_outermost_and_the_innermost_are_told(self):
        code = "def f(n):\n    if n: return f(n - 1)\n    1 / 0\n\n\ndef main():\n    f({})\n\n\nmain()\n"
        for depth in 17, 18, 900:
            with self.subTest(depth):
                _, _, (error,) = self.errors(code.format(depth))
                told = [(f["function"], f["line"]) for f in error["frames"]]
                whole = [("<module>", 10), ("main", 7), *[("f", 2)] * depth, ("f", 3)]
                if len(whole) > 20:
                    whole[10:-10] = [("", 0)]
                    self.assertEqual(error["frames"][10]["source"], "... 1 more frame ..." if depth == 18 else f"... {depth - 17} more frames ...")
                self.assertEqual(told, whole)

    def test_of_a_long_chain_the_root_is_told(self):
        code = ("def chain(n):\n    try:\n        if n == 0: raise KeyError('root')\n        chain(n - 1)\n"
                "    except Exception as e: raise ValueError(n) from e\n\n\nchain({})\n")
        for n in 7, 8, 12, 200:
            with self.subTest(n):
                _, records, errors = self.errors(code.format(n))
                whole = [("KeyError", "'root'", "cause"), *(("ValueError", str(i), "cause") for i in range(n)), ("ValueError", str(n), "")]
                count = len(whole)
                if count > 8:
                    whole[4:-4] = [("...", "1 more exception" if count == 9 else f"{count - 8} more exceptions", "cause")]
                self.assertEqual([(e["type"], e["message"], e["relation"]) for e in errors], whole)
                self.assertEqual(recording.text(records, "err").count("direct cause"), count - 1)
        group = "try: chain(20)\nexcept Exception as e: x = e\nraise ExceptionGroup('all', [x])"
        _, _, errors = self.errors(code.replace("from e", "").replace("chain({})", group))
        self.assertIn(("...", "14 more exceptions", "member 1 context"), [(e["type"], e["message"], e["relation"]) for e in errors])

    def test_of_a_circle_each_is_told_once(self):
        _, records, errors = self.errors("a, b, c = map(ValueError, 'abc')\na.__context__, b.__context__, c.__context__ = b, c, a\nraise a\n")
        self.assertEqual([(e["message"], e["relation"]) for e in errors], [("c", "context"), ("b", "context"), ("a", "")])

    def test_long_texts_are_cut_and_say_so(self):
        _, _, (error,) = self.errors(f"raise ValueError('\u20ac' * 1000, {'1' * 300})\n")
        self.assertEqual(error["message"], "('" + "\u20ac" * 681 + "...")
        self.assertEqual(len(error["frames"][0]["source"].encode()), 256)
        self.assertTrue(error["frames"][0]["source"].endswith("111..."))

    def test_a_text_that_cannot_be_compiled_has_its_place(self):
        for code, name, expected in (("print(eval('2 +* 3'))\n", "<string>", (1, 4, 1, 5, "2 +* 3")),
                                     ("exec('x = 1\\ny = (\\n')\n", "<string>", (2, 5, 2, 0, "y = (")),
                                     ("compile('x = = 1', 'mine.txt', 'exec')\n", "mine.txt", (1, 5, 1, 6, "x = = 1")),
                                     ("exec('\u00e9 = 08')\n", "<string>", (1, 5, 1, 6, "\u00e9 = 08")),
                                     ("import ast\nast.literal_eval('a b')\n", "<unknown>", (1, 3, 1, 4, "a b"))):
            with self.subTest(code):
                job, records, (error,) = self.errors(code)
                self.assertEqual([f["file"] for f in error["frames"]], ["/robot/robot.py", name])
                frame = error["frames"][-1]
                self.assertEqual((*(frame[key] for key in ("line", "column", "end_line", "end_column")), frame["source"].rstrip()),
                                 expected)
        _, _, (error,) = self.errors("raise SyntaxError('mine', ('/usr/lib/x.py', 1, 2, 'text'))\n")
        self.assertEqual([f["file"] for f in error["frames"]], ["/robot/robot.py"])

    def test_frames_of_texts_that_the_program_made_code_of(self):
        """With the lines of the text, whatever it is called; what the library makes of texts is the library's."""
        rows = [
            ("exec('x = 1\\n1 / 0\\n')\n", [(1, "<module>", 1), ("<string>", "<module>", 2, 1, 6, "1 / 0")]),
            ("exec('def f(a):\\n  return 1 / a\\n')\nf(0)\n", [(1, "<module>", 2), ("<string>", "f", 2, 10, 15, "  return 1 / a")]),
            ("eval('  \"\u00e9\", 1 / 0')\n", [(1, "<module>", 1), ("<string>", "<module>", 1, 6, 11, '"\u00e9", 1 / 0')]),
            ("exec(b'1 / 0')\n", [(1, "<module>", 1), ("<string>", "<module>", 1, 1, 6, "1 / 0")]),
            ("exec(compile(source='1 / 0', filename='mine.txt', mode='exec'))\n",
             [(1, "<module>", 1), ("mine.txt", "<module>", 1, 1, 6, "1 / 0")]),
            ("exec(compile('\\n1 / 0', __file__, 'exec'))\nlast = 2\n", [(1, "<module>", 1), (1, "<module>", 2, 1, 6, "1 / 0")]),
            ("import ast\nexec(compile(ast.parse('1 / 0'), '<tree>', 'exec'))\n",
             [(1, "<module>", 2), ("<tree>", "<module>", 1, 1, 6, "")]),
            ("import marshal\nexec(marshal.loads(marshal.dumps(compile('1 / 0', 'mine', 'exec'))))\n",
             [(1, "<module>", 2), ("mine", "<module>", 1, 1, 6, "")]),
            ("exec('exec(\"1 / 0\")')\n", [(1, "<module>", 1), ("<string>", "<module>", 1, 1, 14, 'exec("1 / 0")'),
                                         ("<string>", "<module>", 1, 1, 6, "1 / 0")]),
            ("import heapq\nheapq.nsmallest(2, [1, 0, 2], key=eval('lambda a: 1 / a'))\n",
             [(1, "<module>", 2), ("<string>", "<lambda>", 1, 11, 16, "lambda a: 1 / a")]),
            ("import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int\n    def __post_init__(self): 1 / self.x\nA(0)\n",
             [(1, "<module>", 6), (1, "A.__post_init__", 5)]),
            ("import collections\nA = collections.namedtuple('A', 'x y')\nA._make([1 / x for x in [0]])\n",
             [(1, "<module>", 3), (1, "<listcomp>", 3)]),
            ("import timeit\ntimeit.timeit('1 / 0')\n", [(1, "<module>", 2)]),
        ]
        for trace in "off", "lines":
            for code, expected in rows:
                with self.subTest(code, trace=trace):
                    job, records = self.run_program({"robot.py": code}, "exception", trace=trace)
                    error, = (r for r in records if r["kind"] == "error")
                    frames = [tuple(f[key] for key in ("file", "function", "line", "column", "end_column", "source")) for f in error["frames"]]
                    self.assertEqual([f[:len(row)] for f, row in zip(frames, expected)],
                                     [("/robot/robot.py" if row[0] == 1 else row[0], *row[1:]) for row in expected])
                    self.assertEqual(len(frames), len(expected))
                    last = frames[-1]
                    self.assertIn(f"({last[0].removeprefix('/robot/')}, line {last[2]})", job.result["sentence"])

    def test_texts_are_compiled_as_ever(self):
        """What stands in for compile, exec and eval is Python's own to who looks at it, and at what it makes."""
        code = ("from __future__ import annotations\nimport marshal, pickle\n"
                "print(exec, eval, compile, pickle.loads(pickle.dumps(exec)) is exec, eval.__text_signature__ is not None)\n"
                "exec('def f(a: b): pass')\nprint(f.__annotations__)\ng = {}\nexec('x = 1', g, g)\nprint(g['x'], eval('x + 1', g), eval(b' 3'))\n"
                "print(compile('1', 'f', 'eval') == compile('1', 'f', 'eval'), eval(marshal.loads(marshal.dumps(compile('5', 'f', 'eval')))))\n"
                "for wrong in (lambda: exec(), lambda: eval(5), lambda: compile('1'), lambda: exec('1', 2), lambda: exec('\\0')):\n"
                "    try: wrong()\n    except (TypeError, ValueError, SyntaxError) as error: print(error)\n")
        expected = ("<built-in function exec> <built-in function eval> <built-in function compile> True True\n{'a': 'b'}\n1 2 3\nTrue 5\n"
                    "exec() takes at least 1 positional argument (0 given)\neval() arg 1 must be a string, bytes or code object\n"
                    "compile() missing required argument 'filename' (pos 2)\nexec() globals must be a dict, not int\n"
                    "source code string cannot contain null bytes\n")
        for trace in "off", "lines":
            _, records = self.run_program({"robot.py": code}, "ok", trace=trace)
            self.assertEqual(recording.text(records), expected)

    def test_members_of_a_group_and_notes(self):
        code = ("def make(kind):\n    try: raise kind('x')\n    except kind as e: return e\n\n\n"
                "k, v = make(KeyError), make(ValueError)\nk.add_note('first\\nline')\nk.add_note('second')\nv.__cause__ = OSError('why')\n"
                "raise ExceptionGroup('all', [k, ExceptionGroup('two', [v, TypeError()])]) from make(IndexError)\n")
        _, records, errors = self.errors(code)
        self.assertEqual([(e["relation"], e["type"], e["message"]) for e in errors], [
            ("cause", "IndexError", "x"), ("", "ExceptionGroup", "all (2 sub-exceptions)"),
            ("member 1", "KeyError", "'x'\nfirst\nline\nsecond"), ("member 2", "ExceptionGroup", "two (2 sub-exceptions)"),
            ("member 2 member 1 cause", "OSError", "why"), ("member 2 member 1", "ValueError", "x"),
            ("member 2 member 2", "TypeError", "")])
        self.assertEqual([f["line"] for f in errors[2]["frames"]], [2])
        _, _, errors = self.errors("raise ExceptionGroup('many', [ValueError(i) for i in range(100)])\n")
        self.assertEqual([(e["relation"], e["message"]) for e in errors], [("", "many (100 sub-exceptions)"), *(
            (f"member {i + 1}", str(i)) for i in range(8)), ("member", "92 more exceptions")])
        # However many there are: of these there is an end.
        code = "e = ValueError()\nfor i in range(30): e = ExceptionGroup(str(i), [e, *[ExceptionGroup('', [ValueError()] * 9) for _ in range(9)]])\n"
        self.assertLess(len(self.errors(code + "raise e\n")[2]), 40)

    def test_raw_writes_keep_their_order(self):
        code = ("import os, sys\nprint('a')\nos.write(1, b'b\\n')\nprint('c', file=sys.stderr)\n"
                "os.write(2, b'd\\n')\nprint('e')\n")
        _, records = self.run_program(code, "ok")
        data = [(r["kind"], r["data"]) for r in records if r["kind"] in ("out", "err")]
        self.assertEqual(data, [("out", b"a\n"), ("out", b"b\n"), ("err", b"c\n"), ("err", b"d\n"),
                                ("out", b"e\n")])

    def test_stdin(self):
        code = "import sys\nprint(input('name? '))\nprint(sys.stdin.read())\ninput()\n"
        job, records = self.run_program(code, "exception", stdin="Ada\nline\n")
        self.assertEqual(recording.text(records), "name? Ada\nline\n\n")
        self.assertIn("EOFError", job.result["sentence"])

    def test_last_call_of_a_killed_program_is_there(self):
        code = ("def work(n):\n    return n + 1\ndef last(n):\n    while True:\n        pass\n"
                "print('begin')\nn = 0\nfor _ in range(300000):\n    n = work(n)\nlast(n)\n")
        job, records = self.run_program(code, "cpu_limit", trace="calls", recording_kb=64, cpu_ms=3000)
        self.assertEqual(recording.text(records), "begin\n")
        self.assertEqual(recording.calls(records)[-1][2], "last")
        self.assertLess(len(job.recording), 64 * 1024 + 2 * 32 * 1024 + 4096)

    def test_output_limit_keeps_what_came_before(self):
        code = "while True:\n    print('0123456789')\n"
        job, records = self.run_program(code, "output_limit", output_kb=10)
        self.assertEqual(len(recording.text(records)), 10 * 1024)
        self.assertTrue(recording.text(records).startswith("0123456789\n"))

    def test_the_line_that_runs_is_there_while_it_does(self):
        """Also where each line before it took the same step as this one."""
        code = "import time\ndef wait():\n    q = 1\n    r = 2\n    s = 3\n    t = 4\n    u = 5\n    time.sleep(600)\nwait()\n"
        for trace in "lines", "steps":
            with self.subTest(trace):
                job = self.client.enqueue(pool.make_zip(code), trace=trace, wall_ms=60000)

                def last_line():
                    slices = [fields[b"d"] for _, fields in self.client.redis.xrange(self.client.key("frames:", job))
                              if fields[b"k"] == b"slice"]
                    lines = [r["line"] for r in recording.unfold(recording.decode(b"".join(slices), partial=True)) if r["kind"] == "line"]
                    return lines and lines[-1]

                pool.wait_until(lambda: last_line() == 8, "the line that sleeps is told")
                self.client.cancel(job)
                self.client.wait(job)

    def test_output_comes_while_the_program_runs(self):
        job = self.client.enqueue(pool.make_zip("print('now')\nwhile True: pass\n"))
        for entry in self.client.entries(job):
            if entry[b"k"] == b"slice" and b"now" in entry[b"d"]:
                self.assertEqual(self.client.job(job)["state"], b"running")
                self.assertEqual(self.client.cancel(job), b"requested")
        self.assertEqual(self.client.wait(job).verdict, "cancelled")


C = "import ctypes\nlibc = ctypes.CDLL(None)\n"


class Buffers(pool.TestCase):
    """What is written when: as Python does it at a terminal, whose user sees each line as it ends."""

    OPTIONS = {"allow_ctypes": "yes"}
    # what, program, [(stream, the bytes of one write)]
    ROWS = [
        ("lines", "print('a')\nprint('b')\n", [("out", b"a\n"), ("out", b"b\n")]),
        ("a line in parts", "print('a', end='')\nprint('b')\n", [("out", b"ab\n")]),
        ("a line and part of the next", "print('a\\nb', end='')\nprint('c')\n", [("out", b"a\nb"), ("out", b"c\n")]),
        ("part of a line, and an error", "import sys\nprint('a', end='')\nprint('e', file=sys.stderr)\n",
         [("err", b"e\n"), ("out", b"a")]),
        ("part of a line, flushed", "import sys\nprint('a', end='', flush=True)\nprint('e', file=sys.stderr)\nprint('b')\n",
         [("out", b"a"), ("err", b"e\n"), ("out", b"b\n")]),
        ("a prompt", "print('a', end='')\ninput('? ')\nprint('b')\n", [("out", b"a? "), ("out", b"b\n")]),
        ("a prompt, and an error before", "import sys\nsys.stderr.write('e')\ninput('? ')\n", [("err", b"e"), ("out", b"? ")]),
        ("bytes", "import sys\nsys.stdout.buffer.write(b'\\xff')\nprint('a')\n", [("out", b"\xffa\n")]),
        ("blocks", "import sys\nsys.stdout.reconfigure(line_buffering=False)\nfor i in range(3): print(i)\nprint('e', file=sys.stderr)\n",
         [("err", b"e\n"), ("out", b"0\n1\n2\n")]),
        ("no buffer", "f = open(1, 'wb', buffering=0, closefd=False)\nf.write(b'a')\nf.write(b'b')\n",
         [("out", b"a"), ("out", b"b")]),
        ("a stream of its own", "import os\nwith os.fdopen(1, 'w', closefd=False) as f: f.write('a\\nb')\nprint('c')\n",
         [("out", b"a\nb"), ("out", b"c\n")]),
        ("C, by lines", C + "print('a')\nlibc.printf(b'b')\nlibc.printf(b'\\nc')\nprint('d')\n",
         [("out", b"a\n"), ("out", b"b\n"), ("out", b"d\n"), ("out", b"c")]),
        ("C, its errors", C + "libc.printf(b'a')\nlibc.dprintf(2, b'e\\n')\n", [("err", b"e\n"), ("out", b"a")]),
        ("C, at the end of an error", C + "libc.printf(b'a')\nexit(3)\n", [("out", b"a")]),
    ]

    def test_every_row(self):
        for what, code, expected in self.ROWS:
            with self.subTest(what):
                job = self.client.run(code, stdin="\n")
                self.assertIn(job.verdict, ("ok", "exit"), job.result)
                self.assertEqual([(r["kind"], r["data"]) for r in recording.decode(job.recording) if r["kind"] in ("out", "err")],
                                 expected)


class Totals(pool.TestCase):
    """What one kind of record takes is not another's: no honest program is ended for its trace."""

    def test_output_byte_by_byte(self):
        code = "import sys\nfor i in range(250 * 1024):\n    sys.stdout.write('x')\n    sys.stdout.flush()\n"
        job = self.client.run(code, output_kb="256", recording_kb="64", cpu_ms="30000", wall_ms="60000")
        self.assertEqual(job.verdict, "ok", job.result["sentence"])
        self.assertEqual(len(recording.text(recording.decode(job.recording))), 250 * 1024)

    def test_output_between_calls(self):
        code = "def f(i):\n    print(i % 10)\nfor i in range(125000):\n    f(i)\n"
        job = self.client.run(code, trace="calls", output_kb="256", recording_kb="64", cpu_ms="30000", wall_ms="60000")
        self.assertEqual(job.verdict, "ok", job.result["sentence"])
        self.assertEqual(len(recording.text(recording.decode(job.recording))), 250000)

    def test_an_error_has_room_of_its_own(self):
        """Whatever is left of output_kb: it is recorded, and 16 KB of it are shown."""
        full = "import sys\nsys.stdout.write('x' * (8192 - {}))\nsys.stdout.flush()\n"
        hook = "sys.excepthook = lambda *a: [{}.write('z' * 50) for i in range(1000)]\n"
        rows = [(full.format(10) + "1 / 0\n", "ZeroDivisionError", "ZeroDivisionError: division by zero\n"),
                (full.format(0) + "raise ValueError('y' * 50000)\n", "ValueError", "y" * 1000 + "...\n"),
                (full.format(0) + hook.format("sys.stderr") + "1 / 0\n", "ZeroDivisionError", "z" * 16000),
                (full.format(0) + hook.format("sys.__stderr__.buffer.raw").replace("'z'", "b'z'") + "1 / 0\n", "ZeroDivisionError",
                 "z" * 1000),
                ("import paddock\nwhile True: paddock.save('x.bin', b'x' * 1000)\n", "ValueError", "than the job's output has left\n"),
                ("import paddock\nwhile True: paddock.result('x' * 1000)\n", "ValueError", "than the job's output has left\n")]
        for code, kind, end in rows:
            for encoding in "binary", "json":
                with self.subTest(code, encoding=encoding):
                    job = self.client.run(code, output_kb="8", encoding=encoding)
                    self.assertEqual(job.verdict, "exception", job.result)
                    if encoding == "json":
                        records = [json.loads(line) for line in job.recording.decode().splitlines()]
                        shown = "".join(r["data"] for r in records if r["kind"] == "err")
                    else:
                        records = recording.decode(job.recording)
                        shown = recording.text(records, "err")
                    self.assertEqual([r["type"] for r in records if r["kind"] == "error"], [kind])
                    self.assertTrue(shown.endswith(end), shown[-200:])
                    self.assertLessEqual(len(shown), 16384 + 10)
                    self.assertLess(len(job.recording), 8 * (8192 + 16384) + 16384)

    def test_a_text_leaves_room_for_the_others(self):
        """On stderr, also of a program that has printed all it may: a giant one costs itself, and says so."""
        full = "import sys\nsys.stdout.write('x' * 8192)\nsys.stdout.flush()\n"
        giant = "class B(Exception):\n    def __str__(self): return '{}' * 10_000_000\n"
        own = "ValueError: the program's own\n"
        cause = "try: raise {}\nexcept Exception as e: raise ValueError(\"the program's own\") from e\n"
        members = "  | ValueError: the program's own\n    +------------------------------------\n"
        group = "raise ExceptionGroup('g', [{}, KeyError(1), ValueError(\"the program's own\")])\n"
        chain = ("def f(n):\n    try:\n        if n: f(n - 1)\n        raise B\n    except Exception as e:\n"
                 "        raise ValueError(\"the program's own\") from e\nf(20)\n")
        note = "e = ValueError(\"the program's own\")\ne.__notes__ = {}\nraise e\n"
        rows = [(giant.format("y") + cause.format("B"), own), (giant.format("\u00fc") + cause.format("B"), own),
                (giant.format("\\ud800") + cause.format("B"), own), (cause.format("ValueError('z\\n' * 100_000)"), own),
                (giant.format("y") + group.format("B()"), members), (giant.format("y") + group.format("B(), B()"), members),
                (giant.format("y") + chain, own), (note.format("['n' * 10_000_000, 'o' * 5000]"), "n...\n...\n"),
                (note.format("['n'] * 100_000"), "n\nn\n...\n"),
                ("e = SyntaxError('mine', ('f.py', 3, 2, 'a' * 10 ** 6, 3, 10 ** 6))\nraise e\n", "...\nSyntaxError: mine\n"),
                ("def f(): 1 / 0; '" + "s" * 100_000 + "'\n" + cause.replace("raise {}", "f()"), "\n...\n" + own)]
        for code, end in rows:
            for encoding in "binary", "json":
                with self.subTest(code[-200:], encoding=encoding):
                    job = self.client.run(full + code, output_kb="8", encoding=encoding)
                    if encoding == "json":
                        shown = "".join(r["data"] for r in map(json.loads, job.recording.decode().splitlines()) if r["kind"] == "err")
                    else:
                        shown = recording.text(recording.decode(job.recording), "err")
                    self.assertTrue(shown.endswith(end), shown[-200:])
                    self.assertLessEqual(len(shown.encode()), 16384)
                    if "class B" in code and "f(20)" not in code:
                        cut = next(line for line in shown.splitlines() if "B: " in line)
                        self.assertTrue(cut.endswith("...") and 2000 < len(cut.encode()) < 2100, len(cut))

    def test_what_is_printed_beside_an_error_has_none(self):
        code = ("import sys, threading, time\nsys.stdout.write('x' * 8192)\nsys.stdout.flush()\n"
                "sys.excepthook = lambda *a: {}\n{}\n1 / 0\n")
        printing = "threading.Thread(target=print, args=('y' * 99,))"
        for hook, before in (("None", "sys.stdout.write('y')"), (f"({printing}.start(), time.sleep(600))", ""),
                             ("None", "import atexit; atexit.register(print, 'y')")):
            with self.subTest(hook, before=before):
                job = self.client.run(code.format(hook, before), output_kb="8", wall_ms="60000")
                self.assertEqual(job.verdict, "output_limit", job.result)
                self.assertEqual(recording.text(recording.decode(job.recording)), "x" * 8192)

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer keeps what is freed, and runs out of memory")
    def test_functions_without_end(self):
        code = "for i in range(100000):\n    exec(compile('def f(): pass\\nf()', __file__, 'exec'))\nprint('done')\n"
        job = self.client.run(code, trace="calls", recording_kb="64", cpu_ms="60000", wall_ms="120000")
        self.assertEqual(job.verdict, "ok", job.result["sentence"])
        self.assertLess(len(job.recording), 2 << 20)
        self.assertEqual(recording.text(recording.decode(job.recording)), "done\n")

    def test_names_are_cut_between_characters(self):
        for letter in "\u00fc", "\u8a9e":
            name = "a" + 300 * letter
            job = self.client.run(f"def {name}():\n    pass\n{name}()\n", trace="calls")
            self.assertEqual(job.verdict, "ok", job.result["sentence"])
            names = [r["name"] for r in recording.decode(job.recording) if r["kind"] == "function"]
            self.assertTrue(any(len(n) > 150 and name.startswith(n) for n in names), names)

    def test_sync_tells_its_thread(self):
        code = ("import random, threading, time\ndef inner1(): time.sleep(0)\ndef inner2(): time.sleep(0)\n"
                "def other1(): pass\ndef other2(): pass\n"  # in no order that could be told by a repeat
                "def one():\n    for _ in range(20000): random.choice((inner1, other1))()\n"
                "def two():\n    for _ in range(20000): random.choice((inner2, other2))()\n"
                "t = [threading.Thread(target=f) for f in (one, two)]\n[x.start() for x in t]\n[x.join() for x in t]\n")
        job = self.client.run(code, trace="calls", recording_kb="64", cpu_ms="30000", wall_ms="60000")
        self.assertEqual(job.verdict, "ok", job.result["sentence"])
        names, threads, syncs, thread = {}, {"one": set(), "two": set()}, 0, 0
        of = {"one": "one", "inner1": "one", "other1": "one", "two": "two", "inner2": "two", "other2": "two"}
        for record in recording.decode(job.recording):
            thread = record.get("thread", thread)
            if record["kind"] == "function":
                names[record["function"]] = record["name"]
            elif record["kind"] in ("call", "sync"):
                syncs += record["kind"] == "sync"
                for call in record.get("stack", [record]):
                    if names.get(call["function"]) in of:
                        threads[of[names[call["function"]]]].add(thread)
        self.assertGreater(syncs, 0)
        self.assertEqual([len(found) for found in threads.values()], [1, 1], threads)


if __name__ == "__main__":
    unittest.main()
