# SPDX-License-Identifier: MIT
"""What `paddock` makes of recordings that nobody wrote for it (PADDOCK_BIN names the folder that it is in): all formats of
`trace`, `follow` and `save` refuse the same ones with the same words, after everything that stands before, and none writes
more than is in proportion. Trusts nothing. Run by ctest; RECORDINGS=2000 makes it longer, and SEED=n as it was."""

import decimal
import json
import os
import random
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

import differential_test as chance_of
import vectors
from recording_test import HEADER
from vectors import recording, varint

PADDOCK = os.path.join(os.environ["PADDOCK_BIN"], "paddock")
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
COUNT = int(os.environ.get("RECORDINGS", 60))
FORMATS = "text", "json", "chrome", "speedscope", "flame"
REFUSAL = "paddock: the recording cannot be read on, "
PATIENCE = 120


def text(value):
    return varint(len(value)) + value


def repeat(period, records):
    return b"\x09\0" + varint(period) + varint(records)


def tables(name, path=b"/a.py"):
    """Two functions and a name."""
    return HEADER + b"\x02\0" + text(path) + b"".join(bytes([3, i, 0, 1]) + text(name) for i in (1, 2)) + b"\x0d\1" + text(name)


CALL, OTHER, RETURN = b"\x05\0\1", b"\x05\0\2", b"\x06\0"
LONG = b"n" * 512
# Few bytes that stand for many events, long names, deep stacks.
FORGED = {
    "calls": tables(LONG, LONG) + (CALL + RETURN) * 3000,
    "names that are escaped": tables(b"\\" * 512, b"\\" * 512) + (CALL + RETURN) * 3000,
    "stacks": tables(LONG, LONG) + b"".join(CALL + OTHER + RETURN for _ in range(500)) + (RETURN + OTHER + RETURN) * 500,
    "syncs": tables(LONG, LONG) + b"".join(b"\x13\0\0" + varint(500) + bytes([1 + i % 2, 1]) * 500 for i in range(30)),
    "exceptions": tables(LONG) + CALL + b"\x10\0\0\1" * 3000,
    "variables": tables(LONG) + CALL + b"\x0a\1\1\0\0\0" * 3000,
    "values": tables(LONG) + CALL + b"\x0a\1\1\0\0" + text(b"x" * 256) + b"\x0a\1\1\x80\2\0\0" * 3000,
    "lines": tables(b"f") + CALL * 50 + b"\xc0" * 20000,
    "down and up": tables(LONG) + CALL + RETURN + (CALL + repeat(1, 4000) + RETURN + repeat(1, 4000)) * 300,
    "always deeper": tables(LONG) + (b"\x13\0\0\0" + CALL + repeat(1, 99998)) * 300,
    "rounds": tables(LONG) + (CALL + RETURN) * 127 + repeat(254, 253) * 3000,
    "part of a round": tables(LONG) + CALL * 64 + RETURN * 63 + (repeat(127, 200) + RETURN) * 3000,
    "loops": tables(b"f") + CALL + b"\xc1\xbf" + repeat(2, 1 << 40) * 3000,
    "threads": tables(b"f") + b"".join(b"\4" + varint(i) + CALL for i in range(20000)),
    "levels": tables(b"f") + b"\x15\0" * 5000,
    "controls": tables(b"f") + (b"\x0b\0" + text(b"\0" * 100)) * 300,
}


class Converters(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.pool = self.enterContext(ThreadPoolExecutor(2))

    def path(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def run_paddock(self, *words):
        done = subprocess.run([PADDOCK, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
        return done.returncode, done.stdout, done.stderr.decode(errors="replace")

    def all_of(self, data):
        """{name: (exit code, what was written, the refusal or "")}; of `save` what stands in the folder is left out."""
        path, out = self.path("x.rec", data), os.path.join(self.folder, "out")
        ways = {format: ("trace", path, "--format", format) for format in FORMATS}
        ways |= {"follow": ("follow", path), "follow --json": ("follow", path, "--json"), "save": ("save", path, "--output", out)}
        found = dict(zip(ways, self.pool.map(lambda words: self.run_paddock(*words), ways.values())))
        subprocess.run(["rm", "-r", out], check=True)
        return {way: (code, written, self.refusal(said)) for way, (code, written, said) in found.items()}

    def refusal(self, said):
        """Behind what the program said there."""
        self.assertLessEqual(said.count(REFUSAL), 1)
        return said[said.index(REFUSAL):].strip("\n") if REFUSAL in said else ""

    def check(self, data):
        """Returns what was written, by the way of it."""
        told = self.all_of(data)
        error = vectors.tell(data, {"repeats": 0})[2]
        said = told["json"][2]
        self.assertEqual({way: refusal for way, (_, _, refusal) in told.items()}, dict.fromkeys(told, said))
        self.assertEqual(said, "" if error is None else REFUSAL + self.in_words(data, **error))
        for way, (code, _, _) in told.items():
            if way != "save" or said:  # which finds fault with more
                self.assertEqual(code, 1 if said else 0, way)
        if error is not None and error["offset"] > 0:
            before = self.run_paddock("trace", self.path("before.rec", data[:error["offset"]]), "--format", "json")
            self.assertEqual((0, told["json"][1], ""), before)
        self.assertEqual(told["follow --json"][1], told["json"][1])
        self.assertEqual(told["json"][1], b"".join(line + b"\n" for line in told["json"][1].splitlines() if json.loads(line)))
        self.check_nesting(told)
        return {way: written for way, (_, written, _) in told.items()}

    def in_words(self, data, offset, reason):
        """Of lines of JSON the command says something else, which can read them."""
        if reason == recording.LINES:
            reason = "a record that is cut off" if b"\n" not in data else "this is not the beginning of a recording"
        return f"at byte {offset}: {reason}"

    def check_nesting(self, told):
        """In their order by time, too, as importers have it."""
        stacks, last = {}, -1
        for event in json.loads(told["chrome"][1], parse_float=decimal.Decimal)["traceEvents"]:
            stack = stacks.setdefault(event["tid"], [])
            if event["ph"] in "BE":
                self.assertGreater(event["ts"], last)
                last = event["ts"]
            if event["ph"] == "B":
                stack.append(event["name"])
            elif event["ph"] == "E":
                self.assertEqual(stack.pop(), event["name"])
        self.assertEqual([stack for stack in stacks.values() if stack], [])
        for profile in json.loads(told["speedscope"][1])["profiles"]:
            stack = []
            for event in profile["events"]:
                if event["type"] == "O":
                    stack.append(event["frame"])
                else:
                    self.assertEqual(stack.pop(), event["frame"])
            self.assertEqual(stack, [])

    def test_vectors(self):
        for name in vectors.names():
            with self.subTest(name):
                self.check(vectors.read_hex(name))

    def test_vectors_as_lines(self):
        """The same as lines of JSON, whatever stands in them."""
        for name in vectors.names():
            with self.subTest(name):
                lines = self.run_paddock("trace", self.path("x.rec", vectors.read_hex(name)), "--format", "json")[1]
                told = self.all_of(lines)
                refusals = {refusal for _, _, refusal in told.values()}
                self.assertEqual(refusals, {""} if lines else {REFUSAL + "at byte 0: there is nothing in it"})
                self.assertEqual(told["json"][1], lines)
                wrong = lines + b'{"kind":"repeat","time":9007199254740991,"period":256,"records":1}\n'
                refusals = {refusal for _, _, refusal in self.all_of(wrong).values()}
                self.assertEqual(len(refusals), 1)
                self.assertIn(f"at byte {len(lines)}: ", *refusals)

    def test_chance(self):
        """What the decoders are compared on."""
        chance = random.Random(SEED)
        known = [data for data in map(vectors.read_hex, vectors.names()) if 0 < len(data) <= chance_of.SIZE]
        for _ in range(COUNT):
            data = chance_of.any_of_these(chance, known)
            with self.subTest(data.hex(), seed=SEED):
                self.check(data)

    def test_in_proportion(self):
        """16 MB (4 in a listing) and a thousand times its size; the bound stands in docs/PROTOCOL.md."""
        for name, data in FORGED.items():
            with self.subTest(name):
                for way, written in self.check(data).items():
                    most = (4 if way in ("text", "follow") else 16) * 2**20 + 1000 * len(data)
                    self.assertLess(len(written) if way != "follow" else self.size_followed(data), most, way)

    def size_followed(self, data):
        """Calls are shown on stderr."""
        _, written, said = self.run_paddock("follow", self.path("x.rec", data))
        return len(written) + len(said.encode())

    def test_what_programs_do_is_told(self):
        """Names are as long as they are, and of each loop the rounds that there is room for."""
        name, path = b"T" * 100 + b".method", b"/robot/" + b"package/" * 12 + b"a.py"
        data = tables(name, path) + CALL + (b"\x05\1\2" + b"\x06\1" + repeat(2, 1998)) * 10
        for way, written in self.check(data).items():
            if way in FORMATS:
                self.assertIn(name, written)
                self.assertIn(path, written)
        events = json.loads(self.run_paddock("trace", self.path("x.rec", data), "--format", "chrome")[1])["traceEvents"]
        self.assertEqual(sum(event["ph"] == "B" for event in events), 10001)

    def test_deeper_than_speedscope_can_be(self):
        code, written, said = self.run_paddock("trace", self.path("x.rec", tables(b"f") + CALL * 5000 + RETURN * 2999), "--format", "speedscope")
        self.assertEqual((code, said), (0, "paddock: 3000 calls are left out: there are too many for this format, or they are too deep\n"))
        events = json.loads(written)["profiles"][0]["events"]
        self.assertEqual([event["type"] for event in events], ["O"] * 2000 + ["C"] * 2000)

    def test_deeper_than_lines_are_indented(self):
        data = tables(b"f") + CALL * 45 + b"\xc1" + RETURN * 45
        lines = self.run_paddock("trace", self.path("x.rec", data))[1].decode().splitlines()[1:]
        self.assertEqual([line[14:].strip() for line in lines[39:43]], ["call f (/a.py:1)"] * 2 + [f"{n}: call f (/a.py:1)" for n in (41, 42)])
        self.assertEqual(lines[45][14:], " " * 80 + "44:   line 2")
        self.assertEqual(lines[-1][14:], "return f")


if __name__ == "__main__":
    unittest.main()
