# SPDX-License-Identifier: MIT
"""The module `paddock`: what a program gives back, and what it says of its own trace."""

import json
import os
import random
import subprocess
import tempfile
import unittest

import pool
import recording


def values(records):
    """What was given back as JSON, parts put together."""
    found, whole = [], b""
    for record in records:
        if record["kind"] == "value":
            whole += record["part"]
            if len(whole) == record["total"]:
                found.append(json.loads(whole))
                whole = b""
    return found


def files(records):
    """{name: (media type, bytes)}, the last of each name."""
    found = {}
    for record in records:
        if record["kind"] == "saved":
            kind, whole = found.get(record["name"], ("", b""))
            whole = whole if len(whole) < record["total"] else b""
            found[record["name"]] = record["media_type"], whole + record["part"]
    return found


class Module(pool.TestCase):
    def records(self, code, verdict="ok", **fields):
        self.job = self.client.run(code, **fields)
        self.assertEqual(self.job.verdict, verdict, self.job.result)
        return recording.decode(self.job.recording)

    def test_results(self):
        records = self.records("import paddock\npaddock.result({'score': 3, 'name': 'é\\u2028\\ud800'})\npaddock.result(None)\n"
                               "paddock.result('x' * 40000)\n")
        self.assertEqual(values(records), [{"score": 3, "name": "é\u2028\ud800"}, None, "x" * 40000])

    def test_what_a_function_returns(self):
        for code, given, said in (("return [1, {'a': None}]", [[1, {"a": None}]], ""), ("pass", [], ""),
                                  ("return object()", [], "cannot be JSON: TypeError: Object of type object"),
                                  ("class D(dict):\n        def items(self): raise KeyError(5)\n    return D(a=1)", [], "cannot be JSON: KeyError: 5"),
                                  ("return float('nan')", [], "cannot be JSON: ValueError: Out of range"),
                                  ("x = []; x.append(x); return x", [], "cannot be JSON: ValueError: Circular reference")):
            with self.subTest(code):
                records = self.records(f"def main():\n    {code}\n", entry="robot:main")
                self.assertEqual(values(records), given)
                self.assertIn(said, recording.text(records, "err"))

    def test_files(self):
        records = self.records("import paddock\npaddock.save('a.txt', 'héllo')\npaddock.save('b.png', bytes(range(256)) * 200)\n"
                               "paddock.save('b.png', b'\\x89PNG')\npaddock.save('c', memoryview(b'a-b-c')[::2], 'x/y')\npaddock.save('empty', b'')\n"
                               "class Figure:\n    def savefig(self, stream, format): stream.write(format.encode())\n"
                               "paddock.save('f.svg', Figure())\n")
        self.assertEqual(files(records), {
            "a.txt": ("text/plain;charset=utf-8", "héllo".encode()), "b.png": ("image/png", b"\x89PNG"), "c": ("x/y", b"abc"),
            "empty": ("application/octet-stream", b""), "f.svg": ("image/svg+xml", b"svg")})

    def test_names_that_are_none(self):
        folders, printed = "a file has a name without folders", "a name has only characters that can be printed"
        for name, why in (("''", folders), ("'../x'", folders), ("'a/b'", folders), ("'..'", folders), ("'a\\\\b'", folders),
                          ("'a\\0'", printed), ("'\\x1b[2J'", printed), ("'a\\nb'", printed), ("'\\u202e'", printed), ("'\\ud800'", printed),
                          ("'x' * 256", "a name is at most 255 bytes long"), ("'\u00e9' * 128", "a name is at most 255 bytes long")):
            with self.subTest(name):
                records = self.records(f"import paddock\npaddock.save({name}, b'x')\n", "exception")
                self.assertIn(f" is no name of a file: {why} (robot.py", self.job.result["sentence"])
                self.assertNotIn("<paddock>", recording.text(records, "err"))
                self.assertEqual(files(records), {})
        self.records("import paddock\npaddock.save('x', 5)\n", "exception")

    def test_media_types(self):
        for good in ("text/html", "image/svg+xml", "application/vnd.a-b.c+json;v=1", 'text/plain; charset="utf 8"; x=y', 'a/b;c="\\\\\\""'):
            with self.subTest(good):
                records = self.records(f"import paddock\npaddock.save('a', b'x', '{good}')\n")
                self.assertEqual(files(records), {"a": (eval(f"'{good}'"), b"x")})
        for bad in ("text/html\\r\\nX: y", "text/html\\n", "text", "/", "text/", "a/b/c", "text/html;", "text/html;a", "text/html;a=", "t t/x", "té/x",
                    'a/b;c="', 'a/b;c="\\n"', 'a/b;c="é"', "a/b\\0", "", " a/b", "a/\\ud800", "a/" + "b" * 300, "a/b; c=(d)"):
            with self.subTest(bad):
                records = self.records(f"import paddock\npaddock.save('a', b'x', '{bad}')\n", "exception")
                self.assertIn("is no media type: one is written as image/png", self.job.result["sentence"])
                self.assertNotIn("<paddock>", recording.text(records, "err"))
                self.assertEqual(files(records), {})
        self.records("import paddock\npaddock.save('a', b'x', b'a/b')\n", "exception")
        self.assertIn("a media type is a text, not bytes", self.job.result["sentence"])

    def test_too_much(self):
        """An error that can be caught, and nothing of it: half a file is of no use."""
        records = self.records("import paddock\ntry:\n    paddock.save('x', bytes(9000))\nexcept ValueError as e:\n    print(e)\n"
                               "paddock.save('y', bytes(5000))\nprint('z' * 2000)\n", output_kb="8")
        self.assertEqual(list(files(records)), ["y"])
        self.assertIn("9000 bytes are more than the job's output has left", recording.text(records))
        self.assertEqual(self.client.run("import paddock\npaddock.save('x', bytes(8000))\nprint('x' * 500)\n", output_kb="8").verdict,
                         "output_limit")

        records = self.records("import paddock\nwhile True: paddock.save('a', '')\n", "exception", output_kb="8")
        self.assertIn("ValueError: a file's name and 0 bytes are more than the job's output has left (robot.py", self.job.result["sentence"])
        job = self.client.run("def main(): return 'x' * 9000\n", entry="robot:main", output_kb="8")
        self.assertEqual(recording.text(recording.decode(job.recording), "err"),
                         "What the program returned is not kept, because 9002 bytes are more than the job's output has left\n")

    def test_own_modules_of_these_names(self):
        self.assertEqual(recording.text(self.records({"robot.py": "import paddock\nprint(paddock.x)\n", "paddock.py": "x = 5\n"})), "5\n")
        records = self.records({"robot.py": "import json, paddock\npaddock.result(1)\nprint(json.x)\n", "json.py": "x = 5\n"})
        self.assertEqual((values(records), recording.text(records)), ([1], "5\n"))

    def test_trace_is_the_program_s_to_lower(self):
        code = ("import paddock\nx = 1\nwith paddock.trace('off') as t:\n    x = 2\n    x = 3\nx = 4\nprint(t.level)\n"
                "paddock.trace('calls')\nx = 5\nprint(paddock.trace('lines').level)\n")
        for level, lines, said in (("off", [], "off\noff\n"), ("calls", [], "off\ncalls\n"),
                                   ("lines", [1, 2, 3, 6, 7, 8], "off\nlines\n")):
            with self.subTest(level):
                records = self.records(code, trace=level)
                self.assertEqual(recording.text(records), said)
                seen = [r["line"] for r in recording.unfold(records) if r["kind"] == "line"]
                self.assertEqual(seen, lines)
        self.records("import paddock\npaddock.trace('all')\n", "exception")
        self.assertIn("a trace level is one of off, calls, lines, steps, not 'all'", self.job.result["sentence"])
        self.records("import paddock\n@paddock.trace('off')\ndef f(): pass\n", "exception")
        self.assertIn("paddock.trace() is no decorator: write `with paddock.trace(\"off\"):` in the function", self.job.result["sentence"])

    def called(self, records):
        functions = {r["function"]: r["name"] for r in records if r["kind"] == "function"}
        return [functions[r["function"]] for r in recording.unfold(records) if r["kind"] == "call"]

    BLOCKS = {
        "threads": ("import threading\nbegun, ended = threading.Event(), threading.Event()\n"
                    "def first():\n    with paddock.trace('off'):\n        begun.set()\n        ended.wait()\n"
                    "def second():\n    begun.wait()\n    with paddock.trace('off'):\n        t.join()\n        hidden()\n"
                    "t, u = threading.Thread(target=first), threading.Thread(target=second)\n"
                    "t.start()\nu.start()\nended.set()\nu.join()\n"),
        "tasks": ("import asyncio\nasync def quiet(before, within):\n    for _ in range(before): await asyncio.sleep(0)\n"
                  "    with paddock.trace('off'):\n        for _ in range(within): await asyncio.sleep(0)\n        hidden()\n"
                  "async def both(): await asyncio.gather(quiet(0, 4), quiet(2, 9), quiet(1, 1))\nasyncio.run(both())\n"),
        "made before they are entered": ("a, b = paddock.trace('off'), paddock.trace('off')\na.__enter__()\nb.__enter__()\n"
                                         "a.__exit__(None, None, None)\nhidden()\nb.__exit__(None, None, None)\n"),
        "one within another": ("with paddock.trace('off'):\n    hidden()\n    with paddock.trace('calls'):\n        shown()\n    hidden()\n"),
        "the same again": ("t = paddock.trace('off')\nfor _ in range(2):\n    with t, t:\n        hidden()\n    shown()\n"),
        "left by an error": ("try:\n    with paddock.trace('off'): 1 / 0\nexcept ZeroDivisionError: shown()\n"),
        "a generator that is given up": ("def within():\n    with paddock.trace('off'): yield\ng = within()\nnext(g)\nhidden()\ndel g\n"),
        "from here on": ("paddock.trace('off')\nt = paddock.trace('off')\nwith paddock.trace('off'):\n    paddock.trace('calls')\n"
                         "    shown()\nshown()\ndel t\n"),
        "from here on, among many": ("t = [paddock.trace(l) for l in ('off', 'calls', 'off')]\nhidden()\ndel t[2], t[0]\nhidden()\n"
                                     "t.append(paddock.trace('calls'))\ndel t[0]\nshown()\n"),
    }

    def test_blocks_that_overlap(self):
        """Whichever ends last leaves what was before the first: no order switches the trace off for good."""
        functions = "import paddock\ndef hidden(): pass\ndef shown(): pass\ndef after(): pass\n"
        for name, code in self.BLOCKS.items():
            with self.subTest(name):
                called = self.called(self.records(f"{functions}{code}after()\n", trace="calls"))
                self.assertNotIn("hidden", called)
                self.assertEqual(called.count("shown"), code.count("shown()") * (1 + code.count("range(2)")))
                self.assertEqual(called[-1], "after")

    def test_a_level_that_changes_without_end(self):
        """Its records are of the trace, in its order and within its size; what is defined later is traced as ever."""
        code = ("import paddock\ndef f(): pass\nfor i in range(30000):\n    with paddock.trace('off'): f()\n"
                "paddock.trace('calls')\nprint('late')\ndef late(): pass\nclass Robot:\n    def go(self): pass\n"
                "for i in range({}):\n    late()\n    Robot().go()\n{}")
        for encoding, trace, rounds, end in (("binary", "lines", 1, ""), ("json", "calls", 9000, ""), ("binary", "lines", 9000, ""),
                                             ("binary", "lines", 1, "paddock.trace('lines')\nlate()\n")):
            with self.subTest(encoding=encoding, rounds=rounds, end=end):
                job = self.client.run(code.format(rounds, end), trace=trace, encoding=encoding, recording_kb="64", cpu_ms="60000", wall_ms="60000")
                self.assertEqual(job.verdict, "ok", job.result)
                self.assertLess(len(job.recording), 64 * 1024 + 2 * 32 * 1024 + 4096)
                records = ([json.loads(line) for line in job.recording.splitlines()] if encoding == "json"
                           else recording.decode(job.recording))
                self.assertEqual(self.called(records)[-2:], ["Robot.go", "late"] if end else ["late", "Robot.go"])
                self.check_levels(records, trace)
                self.assertEqual([r["level"] for r in records if r["kind"] == "level"][-1], "lines" if end else "calls")

    def check_levels(self, records, level):
        """A reader that goes by what stands there knows which level it is: no line where there are none."""
        runs = [i for i, r in enumerate(records) if r["kind"] == "sync"]
        self.assertGreater(len(runs), 0)
        for i, record in enumerate(records):
            level = record.get("level", level)
            if record["kind"] == "line":
                self.assertEqual(level, "lines", (i, runs))
            if record["kind"] == "call":
                self.assertIn(level, ("calls", "lines"), (i, runs))


class Save(pool.TestCase):
    """paddock save: what was given back, on disk."""

    def save(self, *words, **options):
        return subprocess.run([pool.program("paddock"), "save", *words], capture_output=True, text=True, cwd=self.folder,
                              timeout=pool.PATIENCE, stdin=subprocess.DEVNULL, **options)

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def read(self, *path):
        with open(os.path.join(self.folder, *path), "rb") as file:
            return file.read()

    def test_all_of_it(self):
        job = self.client.enqueue(pool.make_zip("import paddock\npaddock.result({'a': 1})\npaddock.save('p.png', bytes(range(256)) * 200)\n"
                                                "paddock.save('p.png', b'last')\npaddock.save('é.txt', 'x')\npaddock.result('y' * 40000)\n"))
        ended = self.client.wait(job)
        done = self.save(job, "--runtime-dir", self.pool.runtime)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f"{job}.paddock\n", ""))
        self.assertEqual(self.read(f"{job}.paddock", "recording"), ended.recording)
        self.assertEqual(self.read(f"{job}.paddock", "values.jsonl").decode(), '{"a": 1}\n"' + "y" * 40000 + '"\n')
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, f"{job}.paddock", "files"))), ["p.png", "é.txt"])
        self.assertEqual(self.read(f"{job}.paddock", "files", "p.png"), b"last")
        again = self.save(os.path.join(f"{job}.paddock", "recording"), "--output", "again")
        self.assertEqual((again.returncode, again.stdout), (0, "again\n"), again.stderr)
        self.assertEqual(self.read("again", "files", "p.png"), b"last")
        refused = self.save(job, "--output", "again", "--runtime-dir", self.pool.runtime)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("again: File exists", refused.stderr)

    def test_hostile_recordings(self):
        """A name becomes a file only where it is a plain one; what is torn is kept up to there."""
        def saved(name, part, total=None):
            def text(value):
                return bytes([len(value)]) + value
            return b"\x19\0" + text(name) + text(b"t") + bytes([len(part) if total is None else total]) + text(part)
        header = b"\x01\x07PADDOCK\x04\x00\x00"
        data = header + b"".join(saved(name, b"x") for name in (b"../up", b"/abs", b"..", b"", b"a\0b", b"a/b", b"\x1b[2J", "\u202e".encode(), b"\xff\xfe",
                                                                  b"\xc2\x9b"))
        data += saved(b"ok", b"1", 2) + saved(b"ok", b"2", 2) + saved(b"half", b"1", 9) + b"\x7f"
        with open(os.path.join(self.folder, "bad"), "wb") as file:
            file.write(data)
        done = self.save("bad", "--output", "out")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(f"at byte {len(data) - 1}: a record of kind 127, which", done.stderr)
        self.assertIn('paddock: 10 of the files were not written: their names are no plain ones, the first is "../up"\n', done.stderr)
        self.assertIn("1 of the files came in part only", done.stderr)
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "out", "files"))), ["half", "ok"])
        self.assertEqual(self.read("out", "files", "ok"), b"12")
        self.assertEqual(sorted(os.listdir(self.folder)), ["bad", "out"])

    def save_bad(self, parts):
        with open(os.path.join(self.folder, "bad"), "wb") as file:
            file.write(b"\x01\x07PADDOCK\x04\x00\x00" + parts)
        return self.save("bad", "--output", "out")

    def test_values_of_a_hostile_recording(self):
        """One per line, JSON and UTF-8, whatever comes; `total` bytes are a whole. What is none is left out and said."""
        def value(part, total=None):
            return b"\x18\0" + bytes([len(part) if total is None else total, len(part)]) + part
        half, none = "1 of the values came in part only, and was left out", "1 of the values is no JSON, and was left out: it ends with the record at byte "
        for parts, expected, said in (
                (value(b'["a",\n"b"\r\t]') + value(b"1"), '["a", "b"  ]\n1\n', ""), (value(b'"\xff\xe2\x82x"'), '"\ufffd\ufffdx"\n', ""),
                (value(b'"\xc3', 4) + value(b'\xa9"', 4), '"\u00e9"\n', ""), (value(b'"\xc3', 4) + value(b'x"', 4), '"\ufffdx"\n', ""),
                (value(b"1", 2) + value(b"23", 2) + value(b"4"), "12\n4\n", ""), (value(b"1", 9) + value(b"2") + value(b"3"), "2\n3\n", half),
                (value(b"1") + value(b"2", 9), "1\n", half), (value(b"", 0) + value(b"1"), "1\n", none + "12"),
                (value(b"1") + value(b"a\nb\r\0c") + value(b"2"), "1\n2\n", none + "17"), (value(b'{"a":', 7) + value(b"x}", 7), "", none + "21"),
                (value(b"NaN") + value(b"1") + value(b"1\n2"), "1\n", "2 of the values are no JSON, and were left out: the first ends with the record at byte 12"),
                (value(b'"\0"'), "", none + "12"), (value(b"[1"), "", none + "12"), (value(b"\xff"), "", none + "12")):
            with self.subTest(parts), tempfile.TemporaryDirectory() as self.folder:
                done = self.save_bad(parts)
                self.assertEqual(self.read("out", "values.jsonl").decode(), expected)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "out\n", f"paddock: {said}\n") if said else (0, "out\n", ""))

    def test_values_are_json(self):
        """What Python's own reads, and nothing else. Where Python reads more, it is told to."""
        def refuse(constant):
            raise ValueError(constant)
        chance, texts, expected = random.Random(7), [], []
        for _ in range(3000):
            text = bytearray(chance.choice((b'{"a": [1, -2.5e+3, true], "b\\u00e9": null}', b'["\\n", {}, [[]], "x", false, 0]', b"-0.5E-7", b'"\\ud800/"')))
            for _ in range(chance.randrange(3)):
                at = chance.randrange(len(text))
                text[at:at + chance.randrange(2)] = bytes(chance.choice(b'{}[]:,"\\u0019e.-+ \n\x00atf') for _ in range(chance.randrange(2)))
            texts.append(bytes(text))
        data = b"".join(b"\x18\0" + bytes([len(text), len(text)]) + text for text in texts)
        self.save_bad(data)
        for text in texts:
            try:
                expected.append(json.loads(text, parse_constant=refuse))
            except ValueError:
                pass
        self.assertEqual([json.loads(line) for line in self.read("out", "values.jsonl").splitlines()], expected)
        self.assertTrue(500 < len(expected) < 2500)

    def test_files_of_no_more_than_they_are(self):
        def saved(name, part, total):
            return b"\x19\0" + bytes([len(name)]) + name + b"\x01t" + bytes([total, len(part)]) + part
        done = self.save_bad(saved(b"a", b"12345", 3) + saved(b"a\nb", b"1", 3) + saved(b"a\nb", b"2", 3) + saved(b"a\nb", b"3", 3))
        self.assertEqual((done.returncode, done.stderr), (1, 'paddock: 1 of the files was not written: "a\\nb" is no plain name\n'))
        self.assertEqual(self.read("out", "files", "a"), b"123")

    def test_each_refusal_says_what(self):
        self.save_bad(b"")
        long = "x" * 5000
        for words, code, said in ((["bad", "--output", ""], 2, "--output needs a value"), ([""], 2, "an empty name is neither a file's nor a job's"),
                                  ([long], 2, f"there is no file {long}, and no job can have this id"), (["bad", "--output", "no/out"], 99, "unable to make no/out: No such file"),
                                  (["bad", "--output", long], 99, f"unable to make {long}: File name too long"), ([self.folder], 2, f"{self.folder}: Is a directory")):
            with self.subTest(words[-1][:20]):
                done = self.save(*words)
                self.assertEqual((done.returncode, done.stdout), (code, ""))
                self.assertEqual(done.stderr[:len(said) + 9], f"paddock: {said}")
        self.client.redis.xadd(self.client.key("frames:", "odd"), {"k": "state", "a": 1, "d": "{}"})
        done = self.save("odd", "--output", "odd", "--runtime-dir", self.pool.runtime)
        self.client.redis.delete(self.client.key("frames:", "odd"))
        self.assertEqual((done.returncode, done.stderr), (1, "paddock: the recording cannot be read on, at byte 0: there is nothing in it\n"))

    def test_half_a_file(self):
        with open(os.path.join(self.folder, "half"), "wb") as file:
            file.write(b"\x01\x07PADDOCK\x04\x00\x00" + b"\x19\0\x01a\x01t\x09\x01x")
        done = self.save("half", "--output", "out")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "out\n", "paddock: 1 of the files came in part only\n"))
        self.assertEqual(self.read("out", "files", "a"), b"x")

    def test_every_prefix(self):
        """One that is cut off is an error, what came before it is saved; one that ends with a record is whole, with or without
        an `end`: so a program that was killed has it."""
        data = self.client.run("import paddock\nprint('x')\npaddock.save('a', b'abc')\npaddock.result(1)\n", trace="lines").recording
        decoder, ends = recording.Decoder(data), [0]
        while ends[-1] < len(data):
            decoder.record()
            ends.append(decoder.at)
        for size in range(len(data) + 1):
            with self.subTest(size), tempfile.TemporaryDirectory() as self.folder:
                with open(os.path.join(self.folder, "cut"), "wb") as file:
                    file.write(data[:size])
                done = self.save("cut", "--output", "out")
                before = max(end for end in ends if end <= size)
                is_whole = size == before > 0
                reason = "a record that is cut off" if size else "there is nothing in it"
                said = f"paddock: the recording cannot be read on, at byte {before}: {reason}\n"
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "out\n", "") if is_whole else (1, "out\n", said))
                self.assertEqual(self.read("out", "recording"), data[:size])
                self.assertEqual(os.listdir(os.path.join(self.folder, "out", "files")), ["a"] * (b"\x03abc" in data[:before]))

    def test_none(self):
        for words, code, said in ((["no/such"], 2, "there is no file no/such"), (["bad id!"], 2, "no job can have this id"),
                                  (["nobody", "--runtime-dir", self.pool.runtime], 1, "there is no job")):
            with self.subTest(words):
                done = self.save(*words, "--output", "x" + str(code) + words[0][-2:].strip("!"))
                self.assertEqual(done.returncode, code, done)
                self.assertIn(said, done.stderr)
                self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
