# SPDX-License-Identifier: MIT
"""`paddock trace` on real jobs: each format by its own rules, all of them against the second decoder; recordings that are
cut off, foreign, newer or hostile; jobs that run, wait, ran twice or are not there."""

import collections
import decimal
import json
import os
import re
import subprocess
import tempfile

import pool
import recording

PADDOCK = pool.program("paddock")
FORMATS = "text", "json", "chrome", "speedscope", "flame"
ENTERS, LEAVES = ("call", "resume"), ("return", "unwind", "yield")

PROGRAMS = {
    "calls": "def greet(name):\n    print('hi', name)\nfor name in 'ab':\n    greet(name)\n",
    "threads": "import threading, time\ndef work(n):\n    for i in range(5):\n        step(i)\ndef step(i):\n    time.sleep(0.002)\n"
               "threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]\n"
               "for t in threads:\n    t.start()\nfor t in threads:\n    t.join()\n",
    "generators": "def numbers(n):\n    for i in range(n):\n        yield i\ndef even(n):\n    yield from (i for i in numbers(n) if i % 2 == 0)\n"
                  "a, b = even(9), numbers(3)\nprint(next(a), next(b), next(a), list(b), list(a))\n",
    "coroutines": "import asyncio\nasync def leaf(n):\n    await asyncio.sleep(0)\n    return n\nasync def branch(n):\n"
                  "    return await leaf(n) + await leaf(n)\nasync def main():\n"
                  "    print(await asyncio.gather(*(branch(i) for i in range(4))))\nasyncio.run(main())\n",
    "exceptions": "def a(n):\n    if n == 0:\n        raise ValueError('a;b\\n\"')\n    a(n - 1)\nfor i in range(3):\n    try:\n        a(i)\n"
                  "    except ValueError as e:\n        print(e)\n",
    "recursion": "def down(n):\n    return 0 if n == 0 else 1 + down(n - 1)\nprint(down(500), down(500))\n",
    "names": "exec(compile('def f(): pass', 'x', 'exec'))\nclass A:\n    def \N{GREEK SMALL LETTER LAMDA}(self):\n        return [i for i in 'ab']\n"
             "A().\N{GREEK SMALL LETTER LAMDA}()\nprint((lambda: '\\x1b[31m \\u202e ; \\n')())\n",
}
MILLION = ("def add(a, b):\n    return a + b\nn = 0\nfor i in range(1_000_000):\n    n += 1\nfor i in range(20_000):\n    n = add(n, 1)\n"
           "print(n)\n")
ENDLESS = ("import threading, time\ndef wait():\n    while True:\n        time.sleep(0.01)\n"
           "def f(n):\n    return g(n) + 1\ndef g(n):\n    return n\ndef loop():\n    n = 0\n    while True:\n        n = f(n)\n"
           "threading.Thread(target=wait, daemon=True).start()\nloop()\n")
RUNAWAY = "def ok():\n    return sum(range(1000))\ndef runaway():\n    while True:\n        pass\nok()\nrunaway()\n"
STUCK = "import time\ndef stuck():\n    time.sleep(100)\nstuck()\n"


def varint(value):
    coded = b""
    while value >= 0x80:
        coded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return coded + bytes([value])


def text(value):
    return varint(len(value.encode())) + value.encode()


HEADER = b"\x01" + text("PADDOCK") + b"\x04" + text("lines") + text("test")
TABLES = b"\x02\0" + text("/robot/a.py") + b"\x03\x01\0\x05" + text("f") + b"\x03\x02\0\x09" + text("g")


class Case(pool.TestCase):
    OPTIONS = {"workers": 1}

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def path(self, name, data=None):
        path = os.path.join(self.folder, name)
        if data is not None:
            with open(path, "wb") as file:
                file.write(data)
        return path

    def trace(self, *words, **options):
        options = {"stdin": subprocess.DEVNULL, "text": True, **options}
        if "input" in options:
            del options["stdin"]
        return subprocess.run([PADDOCK, "trace", *words], capture_output=True, timeout=pool.PATIENCE, cwd=self.folder, **options)

    def export(self, data, format):
        done = self.trace(self.path("x.rec", data), "--format", format)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def job(self, name, verdict="ok", **fields):
        data = self.client.run(PROGRAMS.get(name, name), **{"trace": "lines", **fields})
        self.assertEqual(data.verdict, verdict, data.result)
        return data.recording

    # Rules of each format.

    def check_chrome(self, written, decreases=False):
        """Returns the calls of each thread, as (B or E, name)."""
        events = json.loads(written)["traceEvents"]
        stacks, calls = collections.defaultdict(list), collections.defaultdict(list)
        last, last_instant, named = collections.Counter(), 0, set()
        for event in events:
            thread = event["tid"]
            self.assertEqual(event["pid"], 1)
            self.assertIsInstance(event["ts"], (int, float))
            if event["ph"] == "M":
                self.assertEqual(event["name"], "thread_name")
                self.assertTrue(event["args"]["name"])
                named.add(thread)
                continue
            self.assertIn(thread, named)
            if event["ph"] == "i":
                self.assertEqual(event["s"], "t")
                self.assertTrue(decreases or event["ts"] >= last_instant)
                last_instant = event["ts"]
                continue
            self.assertGreaterEqual(event["ts"], last[thread])
            last[thread] = event["ts"]
            calls[thread].append((event["ph"], event["name"]))
            self.assertNotEqual(event["args"]["file"], "")
            self.assertGreaterEqual(event["args"]["line"], 0)
            if event["ph"] == "B":
                stacks[thread].append((event["name"], event["args"]))
            else:
                self.assertEqual(event["ph"], "E")
                self.assertEqual(stacks[thread].pop(), (event["name"], event["args"]))
        self.assertEqual([stack for stack in stacks.values() if stack], [])
        times = [event["ts"] for event in events if event["ph"] != "M"]
        self.assertTrue(decreases or times == sorted(times))
        return calls

    def check_speedscope(self, written):
        """Returns the same, for each profile."""
        file = json.loads(written, parse_float=decimal.Decimal)
        self.assertEqual(file["$schema"], "https://www.speedscope.app/file-format-schema.json")
        frames = file["shared"]["frames"]
        for frame in frames:
            self.assertIsInstance(frame["name"], str)
            self.assertIsInstance(frame.get("file", ""), str)
            self.assertIsInstance(frame.get("line", 1), int)
        calls = {}
        for profile in file["profiles"]:
            self.assertEqual((profile["type"], profile["unit"]), ("evented", "microseconds"))
            stack, last = [], profile["startValue"]
            for event in profile["events"]:
                self.assertGreater(event["at"], last, "what takes no time is not shown")
                last = event["at"]
                self.assertIn(event["type"], "OC")
                if event["type"] == "O":
                    stack.append(event["frame"])
                else:
                    self.assertEqual(stack.pop(), event["frame"])
            self.assertEqual(stack, [])
            self.assertLessEqual(last, profile["endValue"])
            thread = int(profile["name"].rpartition(" ")[2])
            calls[thread] = [("B" if e["type"] == "O" else "E", frames[e["frame"]]["name"]) for e in profile["events"]]
        return calls

    def check_flame(self, written):
        """Returns {stack of names: microseconds}, threads without their numbers."""
        stacks = collections.Counter()
        for line in written.splitlines():
            stack, _, number = line.rpartition(" ")
            self.assertRegex(number, r"^[1-9]\d*$")
            frames = [frame for frame in stack.split(";") if not re.fullmatch(r"thread \d+", frame)]
            for frame in frames:
                self.assertRegex(frame, r"^\S+ \(\S+:\d+\)$")
            stacks[tuple(frame.split(" ")[0] for frame in frames)] += int(number)
        return stacks


def expected_calls(records):
    """What the second decoder says of each thread's calls; what is open at the end is closed there."""
    calls, stacks = collections.defaultdict(list), collections.defaultdict(list)
    functions = {r["function"]: r["name"] for r in records if r["kind"] == "function"}
    for record in recording.unfold(records):
        thread = record["thread"]
        if record["kind"] in ENTERS:
            stacks[thread].append(functions[record["function"]])
            calls[thread].append(("B", stacks[thread][-1]))
        elif record["kind"] in LEAVES and stacks[thread]:
            calls[thread].append(("E", stacks[thread].pop()))
    for thread, stack in stacks.items():
        while stack:
            calls[thread].append(("E", stack.pop()))
    return calls


class Formats(Case):
    def test_all_formats_tell_the_same_calls(self):
        for name in PROGRAMS:
            for level in "calls", "lines":
                with self.subTest(name, level=level):
                    data = self.job(name, trace=level)
                    expected = expected_calls(recording.decode(data))
                    self.assertEqual(self.check_chrome(self.export(data, "chrome")), expected)
                    self.assertEqual(self.check_speedscope(self.export(data, "speedscope")), expected)
                    stacks = self.check_flame(self.export(data, "flame"))
                    self.assertLessEqual({n for stack in stacks for n in stack}, {n for c in expected.values() for _, n in c})

    def test_text_tells_every_line(self):
        for name in PROGRAMS:
            with self.subTest(name):
                data = self.job(name)
                told = self.export(data, "text")
                again = sum(int(n) for n in re.findall(r"the last \d+ again, (\d+) in all", told))
                lines = [int(n) for n in re.findall(r"^ *\d+\.\d{3}  +(?:\d+: +)?line (\d+)$", told, re.M)]
                expected = [r["line"] for r in recording.unfold(recording.decode(data)) if r["kind"] == "line" and "line" in r]
                if again == 0:
                    self.assertEqual(lines, expected)
                else:
                    self.assertLessEqual(len(lines), len(expected))
                self.assertTrue(told.isprintable() or "\x1b" not in told and "\u202e" not in told)

    def test_a_listing(self):
        told = self.export(self.job("calls"), "text")
        version = re.search(r"paddock [\d.]+", told)[0]
        self.assertEqual(re.sub(r"(?m)^ *\d+\.\d{3}  ", "", told), f"""\
{version}, trace level lines
call <module> (/robot/robot.py:1)
  line 1
  line 3
  line 4
  call greet (/robot/robot.py:1)
    line 2
    out "hi a\\n"
  return greet
  line 3
  line 4
  call greet (/robot/robot.py:1)
    line 2
    out "hi b\\n"
  return greet
  line 3
return <module>
end, after 14 trace records
""")

    def test_exceptions_and_errors(self):
        data = self.job(PROGRAMS["exceptions"] + "a(0)\n", "exception")
        told = self.export(data, "text")
        for line in ("exception ValueError", "unwind a, at line 3", "unwind <module>, at line 10", 'error ValueError: a;b\\n"',
                     "in a (/robot/robot.py:3): "):
            self.assertIn(line, told)
        events = json.loads(self.export(data, "chrome"))["traceEvents"]
        self.assertEqual({e["args"]["line"] for e in events if e.get("cat") == "exception" and e["name"] == "ValueError"}, {3, 4, 7, 10})
        self.assertEqual([e["args"]["message"] for e in events if e["name"] == "error"], ['a;b\n"'])

    def test_json_is_what_follow_prints(self):
        job = self.client.enqueue(pool.make_zip(PROGRAMS["exceptions"]), trace="lines")
        self.client.wait(job)
        pool_ = ["--runtime-dir", self.pool.runtime]
        followed = subprocess.run([PADDOCK, "follow", job, "--json", *pool_], capture_output=True, text=True).stdout.splitlines()
        for words in (["--format", "json"], ["--format=json"], ["--json"]):
            done = self.trace(job, *words, *pool_)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(done.stdout.splitlines(), followed[1:-1])

    def test_follow_shows_a_file_too(self):
        job = self.client.enqueue(pool.make_zip(PROGRAMS["exceptions"] + "import sys\nprint('é', file=sys.stderr)\n"), trace="calls")
        data = self.client.wait(job).recording
        live = subprocess.run([PADDOCK, "follow", job, "--runtime-dir", self.pool.runtime], capture_output=True)
        follow = [PADDOCK, "follow"]
        saved = self.path("saved.rec", data)
        done = subprocess.run([*follow, saved], capture_output=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, live.stdout, live.stderr))
        self.assertIn("é".encode(), done.stderr)
        piped = subprocess.run([*follow, "-"], input=data, capture_output=True)
        self.assertEqual((piped.returncode, piped.stdout, piped.stderr), (0, live.stdout, live.stderr))
        self.assertEqual(subprocess.run([*follow, saved, "--json"], capture_output=True).stdout.decode(), self.export(data, "json"))
        begun = HEADER + b"\x0b\x05\x04hi!\n"
        for whole, ending, shown, sentence in (
                (begun, b"\x05", b"hi!\n", "a record that is cut off"),
                (begun, b"\x1f\x05more", b"hi!\n", "a record of kind 31, which this reader does not know"),
                (data, b"\x05", live.stdout, "there is more behind its end"), (b"", b"", b"", "there is nothing in it")):
            sentence = f"at byte {len(whole)}: {sentence}"
            with self.subTest(sentence):
                torn = subprocess.run([*follow, "-"], input=whole + ending, capture_output=True)
                self.assertEqual((torn.returncode, torn.stdout), (1, shown))
                self.assertEqual(torn.stderr.count(f"paddock: the recording cannot be read on, {sentence}\n".encode()), 1, torn)
        for words, code, sentence in ((["no/file.rec"], 2, "there is no file no/file.rec"), ([self.folder], 2, "Is a directory")):
            refused = subprocess.run([*follow, *words], capture_output=True, text=True)
            self.assertEqual((refused.returncode, refused.stdout), (code, ""))
            self.assertIn(sentence, refused.stderr)
        with open("/dev/full", "wb") as full:
            self.assertEqual(subprocess.run([*follow, saved], stdout=full, stderr=subprocess.DEVNULL).returncode, 99)

    def test_a_trace_that_is_off(self):
        data = self.job("print('x')", trace="off")
        self.assertIn('out "x\\n"', self.export(data, "text"))
        self.assertEqual(self.check_chrome(self.export(data, "chrome")), {})
        self.assertEqual(self.check_speedscope(self.export(data, "speedscope")), {0: []})
        self.assertEqual(self.export(data, "flame"), "")

    def test_a_million_rounds(self):
        data = self.job(MILLION, cpu_ms=60000, wall_ms=120000, recording_kb=65536)
        records = recording.decode(data)
        produced = recording.produced(records)
        self.assertGreater(produced, 2_000_000)
        told = self.export(data, "text")
        again = sum(int(n) for n in re.findall(r"again, (\d+) in all", told))
        listed = len(re.findall(r"^ *\d+\.\d{3}  +(?:call|return|line) ", told, re.M))
        self.assertEqual(again + listed, produced)
        calls = self.check_chrome(self.export(data, "chrome"))
        self.assertEqual(calls, self.check_speedscope(self.export(data, "speedscope")))
        self.assertEqual(set(calls[0]), {("B", "<module>"), ("B", "add"), ("E", "add"), ("E", "<module>")})
        stacks = self.check_flame(self.export(data, "flame"))
        self.assertEqual(set(stacks), {("<module>",), ("<module>", "add")})
        times = [r["time"] for r in records if r["kind"] in recording.TRACE]
        self.assertEqual(sum(stacks.values()), times[-1] - times[0])

    def test_killed_in_a_loop(self):
        for size in 64, 2048:
            with self.subTest(recording_kb=size):
                data = self.job(ENDLESS, "cpu_limit", cpu_ms=400, recording_kb=size)
                calls = self.check_chrome(self.export(data, "chrome"), decreases=True)
                self.assertEqual(calls[0][0], ("B", "<module>"))
                self.assertEqual(calls[0][-2:], [("E", "loop"), ("E", "<module>")])
                self.assertEqual(self.check_speedscope(self.export(data, "speedscope")), calls)
                told = self.export(data, "text").splitlines()
                stood = [e["args"] for e in json.loads(self.export(data, "chrome"))["traceEvents"]
                         if e["name"] == "unfinished" and e["tid"] == 0]
                self.assertIn(stood[-2]["line"], (11, 12))
                self.assertEqual(stood[-1], {"in": "<module>", "line": 14})
                self.assertRegex("\n".join(told[-6:]), r"unfinished loop, at line (11|12)\n *\d+\.\d{3}  unfinished <module>, at line 14")
                self.assertIn(("<module>", "loop", "f", "g"), self.check_flame(self.export(data, "flame")))


class Ends(Case):
    """What is open when a job ends was open until then: of what is killed in a function or while it waits, nearly all of the time."""

    def ends(self, *words):
        """When the forms say that the last call ended, in microseconds: one number if they are of one mind."""
        told = {format: self.trace(*words, "--format", format, "--runtime-dir", self.pool.runtime) for format in FORMATS}
        self.assertEqual({(done.returncode, done.stderr) for done in told.values()}, {(0, "")})
        self.check_chrome(told["chrome"].stdout)
        self.check_speedscope(told["speedscope"].stdout)
        edges = [e for e in json.loads(told["chrome"].stdout)["traceEvents"] if e["ph"] in "BE"]
        profiles = json.loads(told["speedscope"].stdout)["profiles"]
        return {int(edges[-1]["ts"]), int(max(p["endValue"] for p in profiles)), int(profiles[0]["events"][-1]["at"]),
                int(profiles[0]["events"][0]["at"]) + sum(self.check_flame(told["flame"].stdout).values()),
                *(int(ms + us) for ms, us in re.findall(r"(\d+)\.(\d{3})  +(?:unfinished|return) <module>", told["text"].stdout)),
                *(int(e["ts"]) for e in json.loads(told["chrome"].stdout)["traceEvents"] if e["name"] == "unfinished")}

    def test_killed_by_a_limit(self):
        for code, limit, fields in ((RUNAWAY, "cpu_limit", {"trace": "calls", "cpu_ms": 200}), (STUCK, "wall_limit", {"trace": "lines", "wall_ms": 400}),
                                    (RUNAWAY, "cpu_limit", {"trace": "calls", "cpu_ms": 200, "encoding": "json"})):
            with self.subTest(fields):
                job = self.client.enqueue(pool.make_zip(code), **fields)
                ended = self.client.wait(job)
                self.assertEqual(ended.verdict, limit)
                self.assertEqual(self.ends(job), {ended.result["wall_ms"] * 1000})
                saved = self.path(job)
                subprocess.run([PADDOCK, "save", job, "--output", saved, "--runtime-dir", self.pool.runtime], check=True, stdout=subprocess.DEVNULL)
                with open(os.path.join(saved, "result.json")) as file:
                    self.assertEqual(json.load(file), ended.result)
                for words in ([f"{job}/recording"], [os.path.join(saved, "recording")]):
                    self.assertEqual(self.ends(*words), {ended.result["wall_ms"] * 1000})
                os.rename(os.path.join(saved, "recording"), os.path.join(saved, "other"))
                self.assertLess(max(self.ends(f"{job}/other")), ended.result["wall_ms"] * 1000)

    def test_while_it_runs(self):
        job = self.client.enqueue(pool.make_zip(STUCK), trace="lines", wall_ms=100000)
        stuck = r"(\d+)\.\d{3}  +line 3\n(?:.*\n)* *(\d+)\.\d{3}  +unfinished stuck, at line 3"

        def goes_on():
            found = re.search(stuck, self.trace(job, "--runtime-dir", self.pool.runtime).stdout)
            return found is not None and int(found[2]) - int(found[1]) > 300

        pool.wait_until(goes_on, "time passes in the recording of what stands still")
        self.client.cancel(job)
        ended = self.client.wait(job)
        self.assertEqual(self.ends(job), {ended.result["wall_ms"] * 1000})

    def test_whatever_the_end_is_said_to_be(self):
        """Never before the last record, nor behind the program's own end; and nobody knows when an attempt was lost."""
        frames, job = self.client.key("frames:", "said"), self.client.key("job:", "said")
        self.addCleanup(self.client.redis.delete, frames, job)
        whole = HEADER + TABLES.replace(b"\1f", b"\x08<module>") + b"\x05" + varint(5000) + b"\x01\xc1\x0b" + varint(2000) + b"\x02x\n"
        began = self.client.redis.time()[0] * 1000 - 100_000
        for data, said, state, expected in (
                (whole, {"wall_ms": 20}, "done", 20000), (whole, {"wall_ms": 6}, "done", 7000), (whole, {}, "done", 7000),
                (whole, {"wall_ms": -3}, "done", 7000), (whole, {"wall_ms": 1 << 62}, "done", 7000), (whole, {"sentence": '"wall_ms":9'}, "done", 7000),
                (whole + b"\x14\x01\x02", {"wall_ms": 20}, "done", 7001), (whole, None, "queued", 7000), (whole, None, "running", None)):
            with self.subTest(said, state=state):
                self.client.redis.delete(frames, job)
                self.client.redis.hset(job, mapping={"state": state, "attempt": 1})
                self.client.redis.xadd(frames, {"k": "state", "a": 1, "d": json.dumps({"time_ms": began}, separators=(",", ":"))})
                self.client.redis.xadd(frames, {"k": "slice", "a": 1, "d": data})
                if said is not None:
                    self.client.redis.xadd(frames, {"k": "result", "a": 1, "d": json.dumps(said, separators=(",", ":"))})
                if expected is not None:
                    self.assertEqual(self.ends("said"), {expected})
                else:  # each form is asked a little later
                    self.assertTrue(all(100_000_000 <= end < 100_000_000 + 1_000_000 * pool.PATIENCE for end in self.ends("said")))
        self.client.redis.hset(job, "attempt", 2)
        self.assertEqual(self.ends("said"), {7000})


class Unreadable(Case):
    def check_torn(self, data, before, offset, sentence):
        for format in FORMATS:
            with self.subTest(format):
                path = self.path("torn.rec", data)
                done = self.trace(path, "--format", format)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr.count("\n"), 1)
                self.assertIn(f"paddock: the recording cannot be read on, at byte {offset}: {sentence}", done.stderr)
                if before:
                    self.assertEqual(done.stdout, self.export(before, format))
                if format == "chrome":
                    self.check_chrome(done.stdout)
                if format == "speedscope":
                    self.check_speedscope(done.stdout)

    def test_torn_foreign_newer(self):
        whole = HEADER + TABLES + b"\x05\x05\x01\xc1\x05\x01\x02\xc1"
        self.check_torn(whole + b"\x0b\x05\x09abc", whole, len(whole), "a record that is cut off")
        self.check_torn(whole + b"\x1f\x05", whole, len(whole), "a record of kind 31, which this reader does not know")
        self.check_torn(whole + b"\x05" + b"\xff" * 11, whole, len(whole), "a number of more than 64 bits")
        self.check_torn(whole + HEADER, whole, len(whole), "a second header")
        self.check_torn(b"PK\3\4 is a ZIP", b"", 0, "")
        self.check_torn(b"\x06\x01", b"", 0, "this is not the beginning of a recording")
        self.check_torn(HEADER.replace(b"PADDOCK\x04", b"PADDOCK\x03"), b"", 0, "a recording of version 3, where this reader knows version 4")
        self.check_torn(HEADER.replace(b"PADDOCK", b"MANEGES"), b"", 0, "this is not a recording of Paddock")
        self.check_torn(b"", b"", 0, "there is nothing in it")
        self.check_torn(b'{"a":1}', b"", 0, "this is not the beginning of a recording")
        self.check_torn(b'{"kind":"he', b"", 0, "a record that is cut off")
        self.check_torn(HEADER[:5], b"", 0, "a record that is cut off")
        self.check_torn(whole + b"\x04" + varint(1 << 53), whole, len(whole), "a number beyond 2^53 - 1")
        self.check_torn(whole + b"\x06" + varint((1 << 53) - 1), whole, len(whole), "a time beyond 2^53 - 1")

    def test_every_prefix(self):
        data = self.job("exceptions")
        for size in range(0, len(data), 7):
            done = self.trace("-", "--format", "chrome", input=data[:size], text=False)
            self.assertIn(done.returncode, (0, 1))
            self.check_chrome(done.stdout)

    def test_hostile(self):
        """Told in bounded time and room, or refused, in all forms alike, at the record that can not be."""
        start = HEADER + TABLES + b"\x05\x05\x01\xc1\xc1"
        huge = varint((1 << 53) - 1)
        refused = {"ever deeper": (3, "more than 100000 calls within one another"),
                   "forty threads": (2 * 11 + 5, "more than 200000 calls that are open"),
                   "far and farther": (0, "a line beyond 2^31 - 1"),
                   "a thread far off": (0, f"thread {(1 << 53) - 1}, where there are no more than 65536"),
                   "of nothing": (0, "a repeat of the last 9 records, where there are 3"),
                   "of no period": (0, "a repeat of the last 0 records, where there are 3")}
        for name, data in (
                ("a long repeat", start + b"\x09\x05\x01" + varint(1 << 30)),
                ("many of them", start + (b"\x09\x05\x01" + varint(1 << 16)) * 20000),
                ("far and farther", start + b"\x09\x05\x01" + huge),
                ("forty threads", start + b"".join(b"\x04" + bytes([i]) + b"\x05\x01\x02\x09\x05\x01" + varint(99998) for i in range(40))),
                ("ever deeper", start + b"\x05\x00\x02" + b"\x09\x05\x01" + varint(1 << 32) + b"\x06\x00" * 9),
                ("deeper and back", start + b"\x05\x00\x02\xc1\x06\x00" + (b"\x09\x05\x03" + huge) * 20000),
                ("of nothing", start + b"\x09\x05\x09\x09\xc1"),
                ("of no period", start + b"\x09\x05\x00\x09\xc1"),
                ("times that go back", start + (b"\x13" + huge + b"\x00\x00" + b"\x13\x00\x00\x00" + b"\x06\x05") * 3),
                ("threads", start + b"".join(b"\x04" + varint(i) + b"\x05\x01\x02" for i in range(5000))),
                ("a thread far off", start + b"\x04" + huge + b"\x05\x01\x02\x0b\x01\x01x\x13\x09" + huge + b"\x01\x02\x07"),
                ("unknown functions", start + b"\x05\x01" + huge + b"\x0f\x01\x63\x05\x10\x01\x01\x63\x03\x63\x63\x63\x01x")):
            for format in FORMATS:
                with self.subTest(name, format=format):
                    path = self.path("hostile.rec", data)
                    done = self.trace(path, "--format", format, "--output", self.path("out"))
                    said = ""
                    if name in refused:
                        offset, reason = refused[name]
                        said = f"paddock: the recording cannot be read on, at byte {len(start) + offset}: {reason}\n"
                    if format == "speedscope" and "left out" in done.stderr:
                        said = re.match("paddock: [0-9]+ calls are left out: .*\n", done.stderr)[0] + said
                    self.assertEqual((done.returncode, done.stdout, done.stderr), (1 if name in refused else 0, "", said))
                    self.assertLess(os.path.getsize(self.path("out")), 1 << (23 if name == "forty threads" else 29))

    def test_forged_lines(self):
        data = self.job("print('\\n       0.000  call forged (x:1)')\nprint('\"}]}')\n")
        self.assertNotIn("\n       0.000  call forged", self.export(data, "text"))
        self.check_chrome(self.export(data, "chrome"))
        data = HEADER + b"\x02\0" + text("a;b\n") + b"\x03\x01\0\x05" + text("f\n;g 7\n\"") + b"\x05\x05\x01\x06\x63"
        self.assertEqual(self.export(data, "flame"), "f__g 7_\" (a_b_:5) 99\n")
        self.assertEqual(len(self.export(data, "text").splitlines()), 3)
        self.assertEqual(json.loads(self.export(data, "speedscope"))["shared"]["frames"][1]["name"], "f\n;g 7\n\"")


class Sources(Case):
    def of_pool(self, *words):
        return self.trace(*words, "--runtime-dir", self.pool.runtime)

    def test_job_file_and_standard_input(self):
        job = self.client.enqueue(pool.make_zip(PROGRAMS["calls"]), job="the-job", trace="lines")
        data = self.client.wait(job).recording
        told = self.of_pool(job)
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        self.assertEqual(self.trace(self.path("x", data)).stdout, told.stdout)
        self.assertEqual(self.trace("-", input=data, text=False).stdout.decode(), told.stdout)
        self.path("the-job", HEADER)  # a name that exists is a file
        self.assertIn("test, trace level lines", self.of_pool(job).stdout)

    def test_a_job_that_runs(self):
        job = self.client.enqueue(pool.make_zip("import time\ndef f():\n    print('now', flush=True)\n    time.sleep(60)\nf()\n"),
                                  trace="lines", wall_ms=100000)
        done = pool.wait_until(lambda: (lambda d: d if "now" in d.stdout else None)(self.of_pool(job)), "it prints")
        self.assertIn("unfinished f", done.stdout)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.client.cancel(job)
        self.assertEqual(self.client.wait(job).verdict, "cancelled")

    def test_the_last_attempt_counts(self):
        key = self.client.key("frames:", "twice")
        lost = HEADER + TABLES + b"\x05\x05\x01"
        for fields in ({"k": "state", "a": 1, "d": "{}"}, {"k": "slice", "a": 1, "d": lost},
                       {"k": "state", "a": 2, "d": "{}"}, {"k": "slice", "a": 1, "d": b"late"},
                       *({"k": "slice", "a": 2, "d": part} for part in (HEADER + TABLES, *[b"\x05\x05\x02"] * 250, b"\x06", b"\x01"))):
            self.client.redis.xadd(key, fields)
        done = self.of_pool("twice", "--format", "flame")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("f (", done.stdout)
        self.assertIn(";".join(["g (/robot/a.py:9)"] * 250) + " 1\n", done.stdout)
        self.client.redis.delete(key)

    def test_follow_says_where_it_ends(self):
        """With the result of a job its recording is over: cut off or not. A job that never ran has none, which is no error."""
        out = HEADER + b"\x0b\x01\x02x\n"
        result = '{"verdict":"killed","sentence":"It is over.","exit_code":7}'
        for slices, said in (((), ""), ((out,), ""), ((out, b"\x0b\x01\x05ab"), f"at byte {len(out)}: a record that is cut off"),
                             ((out, b"\x09\x01\x01\x01"), f"at byte {len(out)}: a repeat of the last 1 records, where there are 0")):
            with self.subTest(said or slices):
                key = self.client.key("frames:", "ends")
                for kind, data in (("state", "{}"), *(("slice", data) for data in slices), ("result", result)):
                    self.client.redis.xadd(key, {"k": kind, "a": 1, "d": data})
                done = subprocess.run([PADDOCK, "follow", "ends", "--runtime-dir", self.pool.runtime], capture_output=True, text=True)
                self.client.redis.delete(key)
                torn = f"paddock: the recording cannot be read on, {said}\n" if said else ""
                self.assertEqual((done.returncode, done.stdout, done.stderr),
                                 (7, "x\n" if slices else "", torn + "paddock: It is over.\n"))

    def test_one_that_gave_way(self):
        """The queue keeps no more of final jobs: the result is left."""
        self.client.redis.hset(self.client.key("conf"), "recordings_mb", 0)
        self.addCleanup(self.client.redis.hdel, self.client.key("conf"), "recordings_mb")
        job = self.client.enqueue(pool.make_zip("import random\nprint(random.randbytes(9000).hex())\nraise SystemExit(3)"))
        self.client.wait(job)
        gone = "was given up for room (recordings_mb, or Redis's memory): only its result is left"
        for command in "trace", "save", "follow":
            with self.subTest(command):
                done = subprocess.run([PADDOCK, command, job, "--runtime-dir", self.pool.runtime], cwd=self.folder,
                                      capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stdout), (3 if command == "follow" else 1, ""))
                self.assertIn(gone, done.stderr)
                self.assertEqual("exit(3)" in done.stderr, command == "follow", done.stderr)

    def test_none(self):
        self.client.enqueue(pool.make_zip("print(1)"), job="waits", delay_ms=600000)
        for words, code, sentence in (
                (["no-job"], 1, "there is no job no-job (it may have expired)"),
                (["waits"], 1, "job waits has not begun: it has no recording"),
                (["no/file.rec"], 2, "there is no file no/file.rec, and no job can have this id"),
                ([self.folder], 2, "Is a directory"),
                (["x", "--format", "svg"], 2, "--format takes one of: text json chrome speedscope flame"),
                (["x", "--formt=json"], 2, "did you mean --format?"),
                ([], 2, "usage: paddock trace ID|FILE|-"),
                (["a", "b"], 2, "usage: paddock trace ID|FILE|-")):
            with self.subTest(words):
                done = self.of_pool(*words)
                self.assertEqual((done.returncode, done.stdout), (code, ""))
                self.assertIn(sentence, done.stderr)
        self.path("kept", b"what was there")
        for format in FORMATS:
            for name in "no-job", "waits", "no/file.rec":
                with self.subTest(name, format=format):
                    done = self.of_pool(name, "--format", format)
                    self.assertEqual((done.returncode > 0, done.stdout), (True, ""))
                    for output, kept in ("kept", b"what was there"), ("new", None):
                        done = self.of_pool(name, "--format", format, "--output", output)
                        self.assertEqual((done.returncode > 0, done.stdout, self.read(output)), (True, "", kept))
        self.client.cancel("waits")

    def test_no_pool(self):
        done = self.trace("some-job", "--runtime-dir", self.folder)
        self.assertEqual((done.returncode, done.stdout), (100, ""))

    def test_output(self):
        data = self.path("x.rec", HEADER + TABLES + b"\x05\x05\x01" * 5000)
        done = self.trace(data, "--output", self.path("out"))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        with open(self.path("out")) as file:
            self.assertEqual(file.read(), self.trace(data).stdout)
        for path in "/dev/full", self.path("no/folder"):
            done = self.trace(data, "--output", path)
            self.assertEqual((done.returncode, done.stdout), (99, ""))
            self.assertIn(f"unable to write {path}: ", done.stderr)
        with open("/dev/full", "w") as full:
            done = subprocess.run([PADDOCK, "trace", data], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, 99)
        reader = subprocess.Popen([PADDOCK, "trace", data], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        reader.stdout.close()
        self.assertEqual((reader.wait(pool.PATIENCE), reader.stderr.read()), (141, b""))
        reader.stderr.close()

    def read(self, name):
        path = os.path.join(self.folder, name)
        if os.path.exists(path):
            with open(path, "rb") as file:
                return file.read()

    def test_output_over_something(self):
        """The recording itself, what is a link or has rights, what is no file: each stays what it is."""
        data = HEADER + TABLES + b"\x05\x05\x01" * 50
        told = self.trace(self.path("x.rec", data)).stdout.encode()
        for name in "x.rec", "long":
            self.path("long", b"x" * 100_000)
            os.chmod(self.path("long"), 0o640)
            os.link(self.path("long"), self.path("same"))
            os.symlink("long", self.path("link"))
            done = self.trace(self.path("x.rec", data), "--output", name if name == "x.rec" else "link")
            self.assertEqual((done.returncode, done.stdout, done.stderr, self.read(name)), (0, "", "", told))
            self.assertEqual(os.stat(self.path("long")).st_mode & 0o777, 0o640)
            self.assertEqual((os.readlink(self.path("link")), self.read("same")), ("long", self.read("long")))
            self.assertEqual(sorted(os.listdir(self.folder)), ["link", "long", "same", "x.rec"])
            for old in "same", "link", "long":
                os.remove(self.path(old))
        torn = self.trace(self.path("x.rec", data + b"\x05"), "--output", "x.rec")
        self.assertEqual((torn.returncode, self.read("x.rec")), (1, data + b"\x05"), "what cannot be read to its end is not replaced")
        torn = self.trace(self.path("torn", data + b"\x05"), "--output", "x.rec")
        self.assertEqual((torn.returncode, self.read("x.rec")), (1, told))
        os.remove(self.path("torn"))
        for format in FORMATS:
            for none in b"", b"PK\3\4", b"\1":
                self.path("none", none)
                self.assertEqual((self.trace("none", "--format", format, "--output", "x.rec").returncode, self.read("x.rec")), (1, told))
        self.path("x.rec", data)
        with open(self.path("log"), "wb") as log:
            log.write(b"before\n")
            log.flush()
            subprocess.run([PADDOCK, "trace", self.path("x.rec"), "--output", "/dev/stdout"], stdout=log, check=True)
        self.assertEqual(self.read("log"), b"before\n" + told)
        os.mkfifo(self.path("fifo"))
        with subprocess.Popen([PADDOCK, "trace", self.path("x.rec"), "--output", self.path("fifo")]), open(self.path("fifo"), "rb") as fifo:
            self.assertEqual(fifo.read(), told)

    def test_help(self):
        done = self.trace("--help")
        self.assertEqual(done.returncode, 0)
        for word in "usage: paddock trace ID|FILE|-", "--format FORMAT", "--output FILE", "--redis ADDRESS":
            self.assertIn(word, done.stdout)
