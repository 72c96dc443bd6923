# SPDX-License-Identifier: MIT
"""Recordings that nobody has thought of, read by all decoders: deploy/clients/recording.py and recording.js, and those of
common/ (DECODE_RECORDS and TELL_EVENTS name their programs, NODE that of JavaScript). They tell the same, or refuse the same
record. Trusts nothing. Run by ctest; RECORDINGS=20000 makes it longer, and SEED=n as it was."""

import json
import os
import random
import subprocess
import unittest
from concurrent.futures import ThreadPoolExecutor

import vectors
from recording_test import HEADER, in_common, in_line, records_of, run
from vectors import recording, varint

SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
COUNT = int(os.environ.get("RECORDINGS", 600))
SIZE = 1500  # bytes of a vector that is damaged, at most
NUMBERS = 0, 1, 2, 3, 5, 127, 128, 255, 256, 1000, 65535, 65536, 99998, 100000, 2**31 - 1, 2**31, 2**32 - 2, 2**52, 2**53 - 1, 2**53
KINDS = list(recording.FIELDS)
# Few of these make sense by themselves: records that do are more likely.
LIKELY = [4, 5, 5, 5, 6, 6, 7, 8, 8, 9, 9, 9, 10, 14, 15, 16, 19]
TABLES = b"\2\0\1a\3\1\0\1\1f\3\2\0\5\1g\x0d\1\1n\x0d\2\3int"


def number(chance):
    if chance.random() < 0.1:
        return chance.choice(NUMBERS)
    return chance.randrange(4) if chance.random() < 0.9 else int(2 ** (chance.random() * 40))


def fields(chance, row):
    data = b""
    for _, letter, group in row:
        if letter == "[":
            count = chance.randrange(4) if chance.random() < 0.95 else chance.randrange(600)
            data += varint(count) + b"".join(fields(chance, group) for _ in range(count))
        elif letter in "bdx":
            text = chance.choice((b"", b"ab", b"\xc3", b"\xed\xa0", b"\xf0\x9f\x90\x9d"))
            data += varint(len(text)) + text
        else:
            data += varint(number(chance))
    return data


def written(chance):
    """Records by their rows, of numbers by chance."""
    data = HEADER + TABLES
    for _ in range(chance.randrange(1, 40)):
        if chance.random() < 0.4:
            data += bytes([192 + chance.randrange(-3, 4)])
            continue
        kind = chance.choice(LIKELY) if chance.random() < 0.95 else chance.choice(KINDS)
        data += bytes([kind]) + fields(chance, recording._KINDS[kind][1])
    return data


def step(chance):
    """One record of a trace, as it could be."""
    pick = chance.random()
    if pick < 0.3:
        return bytes([192 + chance.randrange(-2, 3)])
    if pick < 0.5:
        return b"\x05\0" + varint(chance.choice((1, 1, 2, 3)))
    if pick < 0.6:
        return b"\x0f\0" + varint(chance.choice((1, 1, 2, 3))) + varint(chance.choice((0, 1, 2, 5, 2**31, 2**32 - 4)))
    if pick < 0.7:
        return b"\x10\0" + varint(chance.choice((0, 1, 2, 3, 2**32, 2**53 - 1))) + varint(chance.choice((1, 1, 2, 3)))
    return bytes([chance.choice((6, 6, 7, 14)), chance.randrange(3)])


def variable(chance):
    """One that may go on from the last one of its name."""
    text = chance.choice((b"", b"a", b"abc", b"ab" * 20, b"\xc3\xa9", b"\xa9", b"\xf0\x9f", b"y" * 250, b"\xff"))
    shares = 0 if chance.random() < 0.5 else chance.choice((1, 2, 3, 5))
    numbers = chance.choice((1, 1, 1, 2, 2, 3, 1024, 1025)), chance.randrange(3), shares, chance.choice((0, 0, shares, 1))
    return b"\x0a" + b"".join(map(varint, numbers)) + varint(len(text)) + text


def woven(chance):
    """Threads that go on in turn, in loops and in one another, with gaps: what can be refused is that there is too much of it."""
    data = HEADER + TABLES
    for _ in range(chance.randrange(1, 30)):
        kind = chance.random()
        if kind < 0.2:
            data += b"\4" + varint(chance.choice((0, 1, 2, 65535)))
        elif kind < 0.3:
            count = chance.choice((0, 1, 3, 64, 70))
            data += b"\x13" + varint(chance.randrange(2000)) + varint(chance.randrange(3)) + varint(count)
            data += b"".join(varint(chance.choice((1, 2))) + varint(chance.choice((1, 5, 2**31 - 2))) for _ in range(count))
        elif kind < 0.35:
            data += b"".join(variable(chance) for _ in range(chance.randrange(1, 8)))
        elif kind < 0.4:
            data += b"\x12\0" + varint(chance.choice((0, 100, 10**6)))
        else:
            pattern = [step(chance) for _ in range(chance.choice((1, 1, 2, 3, 5, 20, 255)))]
            period = max(1, len(pattern) - chance.randrange(2))
            data += b"".join(pattern) + b"\x09" + varint(chance.randrange(9)) + varint(period)
            data += varint(chance.choice((1, 2, period, 7 * period + 1, 600, 1021, 49999, 99990, 199999, 2**31, 2**53 - 1)))
    return data


def cut(chance, known):
    """Up to some byte."""
    data = chance.choice((written, woven))(chance) if chance.random() < 0.5 else chance.choice(known)
    return data[:chance.randrange(len(data) + 1)]


def any_of_these(chance, known):
    return chance.choices((lambda: written(chance), lambda: damaged(chance, known), lambda: woven(chance), lambda: cut(chance, known)),
                          (3, 4, 2, 1))[0]()


def damaged(chance, known):
    data = bytearray(chance.choice(known))
    for _ in range(chance.randrange(1, 5)):
        at, size = chance.randrange(len(data) + 1), chance.randrange(1, 12)
        how = chance.randrange(5)
        if how == 0 and at < len(data):
            data[at] = chance.choice((data[at] ^ 1 << chance.randrange(8), chance.randrange(256), chance.randrange(26)))
        elif how == 1:
            del data[at:at + size]
        elif how == 2:
            data[at:at] = varint(chance.choice(NUMBERS))
        elif how == 3:
            other = chance.choice(known)
            begin = chance.randrange(len(other) + 1)
            data[at:at] = other[begin:begin + chance.randrange(60)]
        else:
            del data[max(at, 1):]
    return bytes(data)


class Decoders(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        chance = random.Random(SEED)
        known = [data for data in map(vectors.read_hex, vectors.names()) if 0 < len(data) <= SIZE]
        cls.recordings = [any_of_these(chance, known) for _ in range(COUNT)]
        cls.told = [vectors.tell(data, {"repeats": 0}) for data in cls.recordings]

    def each(self, others, check):
        for data, told, other in zip(self.recordings, self.told, others, strict=True):
            with self.subTest(data.hex(), seed=SEED):
                check(data, told, other)

    def of_each(self, program, *words):
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda data: run(os.environ[program], data, *words), self.recordings))

    def test_javascript(self):
        """The same events, and the same error."""
        done = subprocess.run([os.environ["NODE"], os.path.join(os.path.dirname(vectors.FOLDER), "tell_events.mjs")], stdout=subprocess.PIPE,
                              input="".join(data.hex() + "\n" for data in self.recordings), text=True, check=True)

        def check(_, told, other):
            events, last, error = told
            self.assertEqual(other["error"], error)
            self.assertEqual((other["count"], other["sha256"]), (len(events + last), vectors.hash_of(events + last)))

        self.each(map(json.loads, done.stdout.splitlines()), check)

    def test_records_of_common(self):
        def check(data, _, other):
            lines, refused, _ = other
            records, error = records_of(data)
            self.assertEqual([json.loads(line.partition(" ")[2]) for line in lines], [in_line(r) for r in records])
            self.assertEqual(refused, None if error is None else in_common(data, error.offset, error.reason))

        self.each(self.of_each("DECODE_RECORDS"), check)

    def test_events_of_common(self):
        """The same record is refused. That they tell the same, recording_test.py says of the vectors."""
        def check(data, told, other):
            _, _, error = told
            self.assertEqual(other[1], None if error is None else in_common(data, **error))

        self.each(self.of_each("TELL_EVENTS", str(recording.CAP_MIN)), check)


if __name__ == "__main__":
    unittest.main()
