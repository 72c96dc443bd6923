# SPDX-License-Identifier: MIT
"""Writes the vectors: make_vectors.py [--real]. Run by hand, when the format or the events change; what it writes is to be
read before it is committed, as the expected events are those of deploy/clients/recording.py. With --real also those of
programs that a pool has run (PADDOCK_BIN says which); their times differ each time."""

import os
import sys

import vectors
from vectors import FOLDER, varint

sys.path.insert(0, os.path.join(FOLDER, "..", "..", "e2e"))

VERSION = vectors.recording.VERSION


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return varint(len(value)) + value


class Recording:
    """Lines of a .hex file: r.call(5, 1) is a record, its fields in order; r.raw("00", "why") anything."""

    def __init__(self, about, header=True, repeats=None):
        self.about, self.repeats = about, repeats
        self.lines = []
        if header:
            self.header("PADDOCK", VERSION, "lines", "test")

    def raw(self, hexadecimal, comment=""):
        self.lines.append(f"{hexadecimal}  # {comment}" if comment else hexadecimal)

    def short(self, *steps):
        self.raw(" ".join(f"{192 + step:02x}" for step in steps), "short lines: " + " ".join(map(str, steps)))

    def record(self, kind, values):
        name, fields = vectors.recording._KINDS[kind]
        data = bytes([kind]) + self.fields(fields, values)
        if len(data) > 1000 and len(set(data[-1000:])) == 1:  # much of the same
            same = len(data) - len(data.rstrip(data[-1:]))
            self.raw(data[:-same].hex(" "), name)
            self.raw(f"{same} * {data[-1:].hex()}")
        else:
            self.raw(data.hex(" "), f"{name} {' '.join(map(repr, values))}".strip().replace("\n", "\\n"))

    def fields(self, fields, values):
        data = b""
        for (_, letter, group), value in zip(fields, values, strict=True):
            if letter == "s":
                value = value * 2 if value >= 0 else -value * 2 - 1
            if letter == "[":
                data += varint(len(value)) + b"".join(self.fields(group, member) for member in value)
            else:
                data += text(value) if letter in "bdx" else varint(value)
        return data

    def variable(self, name, kind, value, head=0, tail=0):
        self.record(10, (name, kind, head, tail, value))

    def __getattr__(self, name):
        kind = {row: number for number, (row, _) in vectors.recording._KINDS.items()}[name.rstrip("_")]
        return lambda *values: self.record(kind, values)

    def write(self, name):
        with open(os.path.join(FOLDER, name + ".hex"), "w", encoding="utf-8") as file:
            file.write("".join(f"# {line}\n" for line in self.about.splitlines()) + "".join(f"{x}\n" for x in self.lines))
        options = {} if self.repeats is None else {"repeats": self.repeats}
        vectors.write_expected(name, options)


def tables(r):
    r.file(0, "/robot/robot.py")
    r.file(1, "/robot/bees.py")
    r.function(1, 0, 1, "<module>")
    r.function(2, 0, 10, "f")
    r.function(3, 1, 20, "Bee.buzz")
    r.name(1, "n")
    r.name(2, "int")
    r.name(3, "ValueError")


def every_kind():
    r = Recording("Every kind of record.")
    tables(r)
    r.call(100, 1)
    r.line(5, 0)
    r.short(1, 1)
    r.variable(1, 2, "42")
    r.variable(1, 0, "")
    r.out(1, "hello\n")
    r.err(1, "oh\n")
    r.call(2, 2)
    r.line(200, 300)
    r.line(1, -299)
    r.exception(3, 1, 3)
    r.unwind(0)
    r.exception(0, 0, 3)
    r.resume(1, 3, 4)
    r.short(1)
    r.yield_(1)
    r.short(2, 1, -1)
    r.repeat(50, 2, 5)
    r.level("calls")
    r.thread(1)
    r.call(1, 3)
    r.return_(1)
    r.thread(0)
    r.input(1000)
    r.input_end(1)
    r.host(1, '{"map":[1,2]}')
    r.value(1, 7, "[1,2,3]")
    r.saved(1, "map.png", "image/png", 4, b"\x89PNG")
    r.sync(3000, 0, [(1, 9), (2, 12)])
    r.dropped(1, 1000)
    r.return_(5)
    r.error(7, "cause", "KeyError", "'x'", [])
    r.error(0, "", "ValueError", "no x", [("/robot/robot.py", 4, 0, 4, 9, "<module>", "    f(1)"),
                                          ("/robot/robot.py", 12, 4, 13, 1, "f", "raise ValueError(\n)")])
    r.unwind(0)
    r.end(10, 1002)
    return r


def example():
    """The one of docs/PROTOCOL.md, its own lines."""
    r = Recording("The example of docs/PROTOCOL.md.", header=False)
    with open(os.path.join(FOLDER, "..", "..", "..", "docs", "PROTOCOL.md"), encoding="utf-8") as file:
        lines = file.read().partition("```recording\n")[2].partition("```")[0].splitlines()
    for line in lines:
        if not line.startswith("{"):
            r.raw(line)
    return r


def lines():
    r = Recording("Short lines of every step, long ones, and numbers coded longer than they need be.")
    tables(r)
    r.call(100, 1)
    r.line(7, 1000)
    r.short(*range(-64, 64))
    r.line(0, -65)
    r.line(0, 64)
    r.line(128, 1 << 30)
    r.line(16384, -(1 << 30))
    r.raw("08 80 80 80 80 80 80 80 80 80 00 82 00", "line 0 1, in ten bytes and in two")
    r.raw("08 81 80 00 80 80 80 00", "line 1 0")
    return r


def repeats():
    r = Recording("Repeats: of one record, of three with a round cut short, of what a repeat stands for, of calls, and with\n"
                  "other records between that are not remembered.")
    tables(r)
    r.call(100, 1)
    r.short(1)
    r.repeat(10, 1, 3)
    r.short(5, 1, -6)
    r.repeat(10, 3, 7)
    r.repeat(1, 3, 3)
    r.repeat(1, 5, 6)
    r.repeat(1, 2, 0)
    r.short(2)
    r.call(0, 2)
    r.short(1)
    r.return_(0)
    r.short(-2)
    r.repeat(20, 5, 12)
    r.call(0, 2)
    r.short(1)
    r.exception(1, 1, 3)
    r.unwind(1)
    r.out(1, "x")
    r.name(9, "y")
    r.repeat(5, 4, 8)
    r.call(0, 2)
    r.short(1)
    r.repeat(5, 2, 4)
    r.return_(0)
    r.repeat(5, 1, 10)
    r.resume(0, 3, 2)
    r.short(3)
    r.yield_(0)
    r.repeat(5, 3, 3)
    r.end(1, 85)
    return r


def values():
    r = Recording("Values that go on from the last one of their name: at its beginning, its end, both and neither, of characters of\n"
                  "several bytes, within one, too long to be kept, of a name that is not, gone between, and anew behind a sync.")
    tables(r)
    r.call(100, 1)
    r.variable(1, 2, "[1, 2, 3]")
    r.variable(1, 2, "20", 4, 4)
    r.variable(1, 2, "", 3, 1)
    r.variable(1, 2, "", 4, 0)
    r.variable(2, 2, "other")
    r.variable(1, 2, "7", 1, 1)
    r.variable(2, 2, "", 2, 3)
    r.variable(1, 0, "")
    r.variable(1, 2, "\u00e9\u20ac\U0001f40e")
    r.variable(1, 2, "x", 2, 4)
    r.variable(1, 2, b"\xff", 1, 2)
    r.variable(1, 2, b"\xc3", 0, 1)
    r.variable(1, 2, "y" * 256)
    r.variable(1, 2, "z", 255, 0)
    r.variable(1, 2, "y" * 257)
    r.variable(1, 2, "n")
    r.variable(1024, 2, "kept")
    r.variable(1024, 2, "", 2, 0)
    r.variable(1025, 2, "not kept")
    r.variable(1025, 2, "")
    r.variable(0, 2, "nor is this")
    r.thread(1)
    r.variable(1, 2, "", 1, 0)
    r.sync(4000, 0, [(2, 12)])
    r.variable(1, 2, "new")
    return r


def values_beyond(*records):
    r = Recording("A value that goes on from what is not there.")
    tables(r)
    for record in records:
        r.variable(*record)
    r.short(1)
    return r


def exceptions(repeats=None):
    r = Recording("Numbers of exceptions: each so many above the last one, in whatever thread, from 0 to 2^32 - 1 and round again;\n"
                  "in loops, of which a part may be folded, and anew behind a sync.", repeats=repeats)
    tables(r)
    for step in 5, 0, -5, -1, 1, 1 << 40, -(1 << 52), (1 << 52) - 1:
        r.exception(1, step, 3)
    r.thread(1)
    r.exception(1, 2, 3)
    r.thread(0)
    r.exception(1, 1, 99)
    r.call(1, 2)
    r.exception(1, 1, 3)
    r.short(1)
    r.exception(0, -3, 1)
    r.unwind(1)
    r.exception(0, 7, 3)
    r.repeat(5, 6, 3002)
    r.exception(1, 1, 3)
    r.sync(4000, 0, [(2, 12)])
    r.exception(1, 3, 3)
    r.short(1)
    r.repeat(5, 2, 3001)
    r.thread(1)
    r.exception(1, 0, 1 << 32)
    r.exception(1, 1, 3)
    r.repeat(5, 1, 2000)
    r.exception(1, 0, 3)
    return r


def resumes():
    r = Recording("Calls that go on, on the line that they were suspended on: below and above that of their function, told of and\n"
                  "left at once, in a loop, within one another, and of a function that nobody knows.")
    tables(r)
    r.call(100, 1)
    r.short(1)
    r.resume(1, 2, 5)
    r.exception(1, 1, 3)
    r.unwind(0)
    r.resume(1, 2, -7)
    r.short(1)
    r.yield_(1)
    r.repeat(5, 3, 7)
    r.short(2)
    r.resume(1, 3, 300)
    r.resume(0, 2, 0)
    r.yield_(1)
    r.repeat(5, 2, 4)
    r.yield_(1)
    r.resume(1, 99, 3)
    r.variable(1, 2, "1")
    r.resume(1, 2, (1 << 31) - 11)
    r.resume(1, 2, -(1 << 31) - 10)
    r.short(1)
    r.resume(1, 2, (1 << 31) - 10)
    r.short(1)
    return r


def repeat_255():
    r = Recording("The longest period, and one of which most is forgotten.")
    tables(r)
    r.call(100, 1)
    for i in range(5):
        r.short(*range(-25, 26))
    r.repeat(1, 255, 511)
    r.repeat(1, 254, 3)
    r.repeat(1, 256, 3)
    return r


def repeat_of_too_much(about, *before, period):
    r = Recording(about)
    tables(r)
    r.call(100, 1)
    r.short(1, 1)
    for name, values in before:
        getattr(r, name)(*values)
    r.repeat(1, period, 3)
    return r


def repeat_huge():
    r = Recording("Repeats of 2^29 records and more, capped: loops that stand still, that wander, that call, that begin within\n"
                  "a call, that return from calls that nobody knows; and one of calls within calls.", repeats=100)
    tables(r)
    r.call(100, 1)
    r.short(1, 1, -1)
    r.repeat(1, 2, 1 << 32)
    r.short(3)
    r.repeat(1, 1, (1 << 29) + 1)
    r.line(1, -((1 << 29) + 1) * 3)
    r.short(1)
    r.call(1, 2)
    r.short(1, 1)
    r.return_(1)
    r.short(1)
    r.repeat(1, 6, (1 << 32) + 3)
    r.short(1)
    r.return_(1)
    r.short(5)
    r.return_(1)
    r.short(1)
    r.call(1, 3)
    r.repeat(1, 3, 1 << 40)
    r.short(1)
    r.call(1, 2)
    r.repeat(1, 1, 1000)
    r.return_(1)
    r.repeat(1, 1, 2000)
    r.end(1, 1 << 41)
    return r


def repeat_deep():
    r = Recording("Calls within calls without end.", repeats=510)
    tables(r)
    r.call(100, 1)
    r.repeat(1, 1, 1 << 32)
    return r


def repeat_back():
    r = Recording("Calls within calls, and back, capped: in each a line, on the way back some lines and a call; and a loop\n"
                  "that goes back further than there are calls.", repeats=510)
    tables(r)
    r.call(100, 1)
    r.short(1)
    r.call(0, 2)
    r.short(1, 2)
    r.repeat(10, 3, 60001)
    r.exception(1, 1, 3)
    r.variable(1, 2, "1")
    r.return_(1)
    r.short(1)
    r.call(1, 3)
    r.short(1)
    r.return_(0)
    r.short(-2)
    r.repeat(10, 6, 60000)
    r.exception(1, 1, 3)
    r.short(1)
    r.call(1, 2)
    r.short(1)
    r.return_(1)
    r.return_(1)
    r.call(1, 2)
    r.repeat(10, 4, 100001)
    r.short(1)
    r.repeat(10, 5, 100000)
    r.short(1)
    r.end(1, 320000)
    return r


def repeat_open():
    r = Recording("More calls than there can be in all threads together, capped.", repeats=600)
    tables(r)
    for thread in 0, 1, 65535:
        r.thread(thread)
        r.call(1, 1)
        r.short(1)
        r.repeat(1, 2, 2 * 99999)
    return r


def open_after_sync():
    r = Recording("What was open before a sync of its thread, or of others before a gap, does not count; returns of it take nothing "
                  "from what is.", repeats=510)
    tables(r)
    r.thread(1)
    r.call(1, 1)
    r.repeat(1, 1, 99999)
    r.sync(10, 0, [(1, 1)])
    r.dropped(1, 1_000_000)
    for thread in 0, 1, 2:
        r.thread(thread)
        r.return_(1)
        r.call(1, 1)
        r.repeat(1, 1, 99998)
    r.call(1, 2)
    r.call(1, 2)
    r.call(1, 2)
    return r


def lines_beyond(about, *steps, repeat=None):
    r = Recording(about, repeats=510 if repeat else None)
    tables(r)
    r.call(100, 1)
    for step in steps:
        r.line(1, step)
    if repeat:
        r.repeat(1, *repeat)
    r.short(1)
    return r


def line_between():
    """Calls whose lines are near the last one stand where a loop that comes back does not look first."""
    r = Recording("A loop that takes two calls off in each round, and moves the line of the upper one, which is the last that there\n"
                  "can be of one far down.", repeats=510)
    r.file(0, "/robot/robot.py")
    r.function(1, 0, (1 << 31) - 10, "far")
    r.function(2, 0, 1, "near")
    for function, count in (2, 4), (1, 2), (2, 1):
        for _ in range(count):
            r.call(1, function)
    r.repeat(1, 1, 1999)
    r.return_(1)
    r.short(20)
    r.return_(1)
    r.repeat(1, 3, 3003)
    return r


def dropped_less():
    """A number that goes back says of nothing that it is missing."""
    r = Recording("Fewer records than there were: nothing is missing, neither then nor when there are as many.")
    tables(r)
    r.call(100, 1)
    r.thread(1)
    r.call(1, 2)
    r.short(1)
    for produced in 1, 0, 3, 2:
        r.dropped(1, produced)
    r.thread(0)
    r.short(1)
    r.dropped(1, 5)
    r.thread(1)
    r.short(1)
    return r


def threads():
    r = Recording("Three threads, whose calls have nothing to do with one another; numbers are out of order.")
    tables(r)
    r.call(100, 1)
    r.short(1)
    r.thread(1)
    r.call(1, 2)
    r.short(1)
    r.thread(65535)
    r.call(1, 3)
    r.short(2)
    r.repeat(1, 1, 2)
    r.thread(0)
    r.short(1)
    r.out(1, "of all threads")
    r.thread(1)
    r.short(1)
    r.return_(1)
    r.thread(65535)
    r.short(1)
    r.unwind(1)
    r.thread(0)
    r.return_(1)
    return r


def sync():
    r = Recording("Three runs behind what is missing, in one of which nothing is. Each thread is named by itself; of one that is not\n"
                  "the calls are forgotten where something is missing, and go on where nothing is. Functions without a name are no one's.")
    tables(r)
    r.call(100, 1)
    r.short(1)
    r.thread(1)
    r.call(1, 2)
    r.short(1)
    r.sync(90, 0, [(1, 5), (2, 11), (7, 100)])
    r.dropped(0, 1000)
    r.short(1)
    r.return_(1)
    r.short(1)
    r.repeat(1, 2, 2)
    r.thread(1)
    r.short(1)
    r.return_(1)
    r.sync(300, 0, [(1, 5), (2, 11)])
    r.dropped(0, 2000)
    r.sync(300, 1, [(3, 21), (2, 12)])
    r.sync(300, 2, [(2, 10)])
    r.thread(0)
    r.short(1)
    r.thread(1)
    r.return_(1)
    r.short(1)
    r.sync(310, 2, [(2, 13)])
    r.dropped(0, 2003)
    r.short(1)
    r.thread(1)
    r.short(1)
    r.thread(0)
    r.return_(1)
    r.short(1)
    r.sync(500, 1, [])
    r.dropped(0, 3000)
    r.short(1)
    r.call(1, 3)
    r.short(1)
    r.thread(2)
    r.short(1)
    r.thread(1)
    r.dropped(0, 1)
    r.end(1, 3004)
    return r


def unwinds():
    r = Recording("Calls are left that had been entered before tracing began.")
    tables(r)
    r.unwind(5)
    r.return_(1)
    r.yield_(1)
    r.short(3)
    r.exception(1, 1, 3)
    r.variable(1, 2, "1")
    r.call(1, 2)
    r.exception(0, 1, 3)
    r.unwind(0)
    r.exception(0, 0, 3)
    r.unwind(0)
    r.repeat(1, 2, 3)
    return r


def variables():
    r = Recording("Variables: new, changed, gone, of a name and a type that nobody knows, of any text.")
    tables(r)
    r.variable(1, 2, "before any call")
    r.call(100, 1)
    r.short(1)
    for value in "0", "", "'\u00fc'", "\u8a9e" * 10, "'\\x00'", "\"a\\nb\"", "\x00\x1f\u2028\U0001f41d":
        r.variable(1, 2, value)
    r.variable(1, 0, "")
    r.variable(1, 0, "unheard")
    r.variable(77, 78, "x")
    r.name(1, "passed over")
    r.variable(1, 2, "1")
    return r


def starts(about, hexadecimal, more=""):
    r = Recording(about, header=False)
    r.raw(hexadecimal)
    if more:
        r.raw(more)
    return r


def header(version, rest="05 6c 69 6e 65 73 04 74 65 73 74"):
    return f"01 07 50 41 44 44 4f 43 4b {varint(version).hex(' ')} {rest}"


def many_fields(kind, *values):
    r = Recording(f"As many fields as a record of this kind can have, and one with {'a call' if kind == 'sync' else 'a frame'} more.")
    *before, group = values
    for members in group, group + group[:1]:
        getattr(r, kind)(*before, members)
    r.short(1)
    return r


def cut(about, hexadecimal):
    """Something that has not come whole, behind something that has."""
    r = Recording(about)
    tables(r)
    r.call(100, 1)
    r.short(1)
    r.raw(hexadecimal)
    return r


def ends(about, hexadecimal):
    """Something that cannot be read, behind something that can."""
    r = cut(about, hexadecimal)
    r.raw("c1", "never read")
    return r


def out_of_turn():
    r = Recording("Files, functions and names that come twice, too early, and as no number that is given.")
    tables(r)
    for number in 0, 1, 2, 5, 1 << 40:
        r.file(number, f"file {number}")
        r.function(number, 2, 30, f"function {number}")
        r.name(number, f"name {number}")
    for number in 0, 1, 2, 3, 4, 5, 1 << 40:
        r.call(1, number)
        r.variable(number, 2, "x")
    r.function(4, 2, 40, "four")
    r.function(5, 9, 50, "of no file")
    r.call(1, 4)
    r.call(1, 5)
    return r


def utf8():
    r = Recording("Characters that are cut between records, of both streams at a time, and bytes that are none.")
    for kind, data in (("out", b"a\xc3"), ("err", b"\xe2\x82"), ("out", b"\xbcb"), ("err", b"\xac"), ("out", b"\xf0"),
                       ("out", b"\x9f"), ("out", b""), ("out", b"\x90"), ("out", b"\x9d!"), ("out", b"\xff\xfe"), ("out", b"\xc3("),
                       ("out", b"\xe2\x82"), ("out", b"x"), ("out", b"\xed\xa0\x80"), ("out", b"\xed"), ("out", b"\xa0"),
                       ("out", b"\xc0\xaf\xe0\x80\xaf\xf4\x90\x80\x80"), ("out", b"\xf4"), ("out", b"\x90"),
                       ("out", b"\xef\xbb\xbfbom"), ("out", b"\xef\xbb"), ("err", b"\xef\xbb\xbf"), ("out", b"\xbf"), ("out", b"\x80"),
                       ("out", b"\r\n\x00\x1b[0m"), ("out", b"end \xf0\x9f\x90"), ("err", b"\xc3")):
        getattr(r, kind)(1, data)
    r.file(0, b"\xef\xbb\xbfbom \xff \xe2\x82")
    r.function(1, 0, 1, b"\xed\xa0\x80 \xf0\x9f\x90")
    r.call(1, 1)
    r.end(1, 1)
    return r


def utf8_cut():
    r = Recording("Output that ends within a character, of a program that was killed.")
    r.out(1, b"x\xe2")
    r.err(1, b"y")
    r.out(1, b"\x82")
    return r


def parts():
    r = Recording("Values and files in parts, among one another; too long, empty, twice, begun anew and never whole.")
    r.value(1, 7, "[1,")
    r.saved(1, "a", "text/plain", 4, "ab")
    r.saved(1, "b", "text/plain", 3, "12")
    r.out(1, "between")
    r.value(1, 7, "")
    r.value(1, 7, "2,3]")
    r.saved(1, "a", "text/plain", 4, "cd")
    r.saved(1, "a", "text/html", 2, "ef")
    r.saved(1, "b", "text/plain", 3, "345")
    r.value(1, 0, "")
    r.value(1, 2, "{}[]")
    r.value(1, 6, '"\u8a9e'[:2])
    r.value(1, 6, '"')
    r.saved(1, "c", "x/y", 4, "ab")
    r.saved(1, "c", "x/y", 2, "z")
    r.saved(1, "c", "x/y", 2, "w")
    r.saved(1, "", "", 1, "\u00fc")
    r.saved(1, "d", "x/y", 1 << 52, "only the beginning")
    r.value(1, 1 << 52, "[")
    r.end(1, 0)
    return r


def long_record(size):
    r = Recording(f"A record of {size} bytes, {'the longest there is' if size == 32768 else 'which is too long'}.")
    r.out(1, "before")
    r.saved(300, "n" * 10, "m" * 10, 99999, "x" * (size - 31))
    r.raw("0c 01 01 79", "err")
    return r


def numbers(about, hexadecimal):
    r = Recording(about)
    r.raw(hexadecimal)
    r.raw("0c 00 01 79", "err")
    return r


HANDMADE = {
    "every_kind": every_kind(), "example": example(), "lines": lines(), "repeats": repeats(), "resumes": resumes(), "exceptions": exceptions(),
    "values": values(), "values_head": values_beyond((1, 2, "ab"), (1, 2, "", 3, 0)), "values_tail": values_beyond((1, 2, "ab"), (1, 2, "x", 0, 3)),
    "values_both": values_beyond((1, 2, "ab"), (1, 2, "x", 1, 1), (1, 2, "x", 2, 2)), "values_first": values_beyond((1, 2, "x", 0, 1)),
    "values_long": values_beyond((1, 2, "y" * 257), (1, 2, "", 0, 1)), "values_of_1025": values_beyond((1025, 2, "ab"), (1025, 2, "", 1, 0)),
    "values_largest": values_beyond((1, 2, "ab"), (1, 2, "", (1 << 53) - 1, (1 << 53) - 1)),
    "exceptions_folded": exceptions(510), "repeat_255": repeat_255(),
    "repeat_after_thread": repeat_of_too_much("A repeat of what was forgotten with the thread.", ("thread", (0,)), period=1),
    "repeat_after_sync": repeat_of_too_much("A repeat of what was forgotten with the sync.", ("sync", (50, 0, [(1, 3)])), period=1),
    "repeat_after_thread_ok": repeat_of_too_much("What came since the thread's record can come again.", ("thread", (1,)),
                                                 ("call", (1, 2)), ("line", (1, 1)), ("return_", (1,)), period=3),
    "repeat_of_nothing": repeat_of_too_much("A period of no records.", period=0),
    "repeat_too_far": repeat_of_too_much("A period of more records than there are.", period=4),
    "repeat_huge": repeat_huge(), "repeat_deep": repeat_deep(), "threads": threads(), "sync": sync(), "unwinds": unwinds(),
    "variables": variables(), "utf8": utf8(), "utf8_cut": utf8_cut(), "parts": parts(),
    "empty": Recording("Nothing at all.", header=False),
    "header_torn": starts("A header without its end.", header(VERSION, "05 6c 69")),
    "header_late": starts("No header.", "05 64 01", "c1"),
    "header_short_line": starts("A file of another kind, whose first byte would be a short line.", "89 50 4e 47 0d 0a 1a 0a"),
    "header_text": starts("A file of another kind, whose first byte is no kind.", "47 49 46 38"),
    "header_lines": starts("Lines of JSON.", b'{"kind":"header",'.hex(" "), b'"magic":'.hex(" ")),
    "header_lines_cut": starts("No more than the beginning of lines of JSON.", b'{"kind":"he'.hex(" ")),
    "header_json": starts("JSON of somebody else.", b'{"a":1}'.hex(" ")),
    "header_magic": starts("A recording of somebody else.", "01 07 50 41 44 44 4f 43 58 03 00 00"),
    "header_magic_long": starts("A magic without end.", "01 ff 01 50 41 44 44"),
    "header_twice": ends("A second header.", header(VERSION)),
    "version_before": starts("The version before.", header(VERSION - 1), "05 64 01"),
    "version_after": starts("The version after, whose header may have any other fields.", header(VERSION + 1, "ff ff ff"), "05 64 01"),
    "version_after_shorter": starts("The version after, whose header ends there.", header(VERSION + 1, ""), "05 64 01"),
    "version_after_text": starts("The version after, whose header goes on with a long text.", header(VERSION + 1, "ff 7f 41"), "05 64 01"),
    "version_after_cut": starts("The version after, of which no more has come.", header(VERSION + 1, "")),
    "version_largest": starts("The last version that there can be.", header((1 << 53) - 1, "ff ff ff")),
    "version_2_53": starts("One more, which is no number.", header(1 << 53, "ff ff ff")),
    "version_2_64": starts("The largest of ten bytes, which is none either.", header((1 << 64) - 1)),
    "version_65_bits": starts("A version of 65 bits.", "01 07 50 41 44 44 4f 43 4b 82 80 80 80 80 80 80 80 80 02 00 00"),
    "version_cut": starts("A header that is cut within its version.", "01 07 50 41 44 44 4f 43 4b 83"),
    "magic_cut": starts("A header that is cut within its magic.", "01 07 50 41 44 44"),
    "repeat_back": repeat_back(), "repeat_open": repeat_open(), "open_after_sync": open_after_sync(),
    "line_last": lines_beyond("The last line that there can be, and the one behind it.", (1 << 31) - 2),
    "line_first": lines_beyond("The least, and below it.", -(1 << 31) - 1, -1),
    "line_far": lines_beyond("Further than a number goes.", (1 << 52) - 1, (1 << 52) - 1, (1 << 52) - 1),
    "line_repeat": lines_beyond("A loop that wanders off.", 5, -4, repeat=(2, (1 << 53) - 1)),
    "line_repeat_back": lines_beyond("A loop that wanders off to the front.", -4, 1, repeat=(2, (1 << 53) - 1)),
    "dropped_less": dropped_less(), "line_between": line_between(),
    "line_of_function": ends("A function that begins beyond all lines.", "03 09 00 80 80 80 80 08 01 66"),
    "line_of_resume": ends("A call goes on above all lines.", "0f 01 01 83 80 80 80 10"),
    "line_of_sync": ends("A call that is beyond all lines.", "13 64 00 02 01 ff ff ff ff 07 01 80 80 80 80 08"),
    "thread_65536": ends("More threads than there can be.", "04 ff ff 03 04 80 80 04"),
    "thread_of_sync": ends("A sync of more threads than there can be.", "13 64 80 80 04 00"),
    "kind_0": ends("No such kind.", "00"), "kind_27": ends("A kind that is yet to be.", "1b 01 02"),
    "kind_127": ends("No such kind.", "7f"),
    "varint_largest": numbers("2^53 - 1 is a number, also in ten bytes.", "0d ff ff ff ff ff ff ff 8f 80 00 00"),
    "varint_2_53": numbers("2^53 is not.", "04 80 80 80 80 80 80 80 10"),
    "varint_2_64": numbers("2^64 - 1 is not.", "04 ff ff ff ff ff ff ff ff ff 01"),
    "varint_65_bits": numbers("A number of 65 bits.", "04 ff ff ff ff ff ff ff ff ff 02"),
    "varint_11_bytes": numbers("A number of eleven bytes.", "04 80 80 80 80 80 80 80 80 80 80 00"),
    "varint_step": numbers("The furthest steps, and one that is further.", "08 00 fe ff ff ff ff ff ff 0f 08 00 ff ff ff ff ff ff ff 0f "
                           "08 00 80 80 80 80 80 80 80 10"),
    "time_too_late": numbers("Times are numbers, too.", "16 ff ff ff ff ff ff ff 0f 16 00 16 01"),
    "record_32768": long_record(32768), "record_32769": long_record(32769),
    "bytes_too_long": numbers("A text longer than a record.", "0b 00 81 80 02 41"),
    "bytes_beyond": numbers("A text of 2^63 bytes.", "0b 00 80 80 80 80 80 80 80 80 80 01 41"),
    "fields_of_sync": many_fields("sync", 5, 0, [(1, 1)] * 510),
    "fields_of_error": many_fields("error", 5, "", "", "", [("", 0, 0, 0, 0, "", "")] * 145),
    "group_too_long": numbers("A stack of 2^32 calls, of which two bytes have come.", "13 00 00 80 80 80 80 10 01"),
    "cut_kind": cut("A record of which no more than the kind has come.", "05"),
    "cut_number": cut("A record that ends within a number.", "05 01 80"),
    "cut_text": cut("A record that ends within a text, behind half a character.", "0b 00 02 c3 28 0b 00 01 c3 0b 00 03 41"),
    "cut_group": cut("A record that ends within a group.", "13 00 00 02 01 05"),
    "tables_out_of_turn": out_of_turn(),
    "after_end": ends("A record behind the end.", "14 01 02 0b 01 01 78"),
    "after_end_line": ends("A short line behind the end.", "14 01 02 c1"),
    "after_end_cut": cut("Behind the end something that is no whole record.", "14 01 02 05"),
    "end_twice": ends("A second end.", "14 01 02 14 01 02"),
}

REAL = {
    "real_loop": ("n = 0\nfor i in range(100000):\n    n += i\nprint(n)\n", {}),
    "real_threads": ("import threading\ndef work(name, n):\n    for i in range(n):\n        step(name, i)\ndef step(name, i):\n"
                     "    print(name, i)\nthreads = [threading.Thread(target=work, args=(x, 3)) for x in 'abc']\n"
                     "for t in threads: t.start()\nfor t in threads: t.join()\nprint('end')\n", {}),
    "real_generators": ("def count(n):\n    for i in range(n):\n        yield i\ndef pairs(n):\n    yield from count(n)\n"
                        "    yield 'end'\ntotal = sum(x for x in count(40))\nprint(total, list(pairs(2)))\nit = count(9)\nnext(it)\n"
                        "try:\n    it.throw(ValueError('thrown'))\nexcept ValueError as e:\n    print(e)\n", {}),
    "real_coroutines": ("import asyncio\nasync def bee(name, n):\n    for i in range(n):\n        await asyncio.sleep(0)\n"
                        "        print(name, i)\n    return name\nasync def main():\n"
                        "    print(await asyncio.gather(bee('a', 2), bee('b', 3)))\n    async with asyncio.Lock():\n"
                        "        print([x async for x in ticks()])\nasync def ticks():\n    for i in range(2):\n        yield i\n"
                        "        await asyncio.sleep(0)\nasyncio.run(main())\n", {}),
    "real_exceptions": ("def deep(n):\n    if n:\n        return deep(n - 1)\n    return {}['x']\ndef guarded(n):\n    try:\n"
                        "        deep(n)\n    except KeyError as e:\n        raise ValueError('no x') from e\n    finally:\n"
                        "        print('finally')\nfor n in range(3):\n    try:\n        guarded(n)\n    except ValueError as e:\n"
                        "        print(e)\nguarded(4)\n", {}),
    "real_suspended": ("import asyncio\ndef gen():\n    yield 1\n    x = (yield 2) or sum(iter(int, 1))\n"
                       "async def main():\n    g = gen()\n    next(g), next(g)\n"
                       "    return [await asyncio.sleep(0, 7), next(g)]\nasyncio.run(main())\n", {"cpu_ms": "100"}),
    "real_killed": ("print('\u00fc')\nn = 0\nwhile True:\n    n += 1\n", {"cpu_ms": "100"}),
}


def real():
    import pool
    with pool.Pool(workers=1) as running:
        for name, (source, fields) in REAL.items():
            job = running.client.run(source, **{"trace": "lines", **fields})
            r = Recording(f"A real program, which ended as {job.verdict}:\n\n{source}", header=False,
                          repeats=510 if name in ("real_loop", "real_killed") else None)
            for at in range(0, len(job.recording), 32):
                r.raw(job.recording[at:at + 32].hex(" "))
            r.write(name)
            print(name, job.verdict, len(job.recording), "bytes")


if __name__ == "__main__":
    for _name, _recording in HANDMADE.items():
        _recording.write(_name)
    if "--real" in sys.argv[1:]:
        real()
