# SPDX-License-Identifier: MIT
"""A decoder of recordings, written from docs/PROTOCOL.md alone: a second opinion for the tests."""

FIELDS = {
    1: ("header", "magic:x version:u level:x engine:x"),
    2: ("file", "file:u path:x"),
    3: ("function", "function:u file:u line:u name:x"),
    4: ("thread", "thread:u"),
    5: ("call", "time:t function:u"),
    6: ("return", "time:t"),
    7: ("unwind", "time:t"),
    8: ("line", "time:t step:s"),
    9: ("repeat", "time:t period:u records:u"),
    10: ("variable", "name:u type:u head:u tail:u value:x"),
    11: ("out", "time:t data:b"),
    12: ("err", "time:t data:b"),
    13: ("name", "name:u text:x"),
    14: ("yield", "time:t"),
    15: ("resume", "time:t function:u step:s"),
    16: ("exception", "time:t step:s type:u"),
    17: ("error", "time:t relation:x type:x message:x frames:[ file:x line:u column:u end_line:u "
                  "end_column:u function:x source:x ]"),
    18: ("dropped", "time:t produced:u"),
    19: ("sync", "time:t thread:u stack:[ function:u line:u ]"),
    20: ("end", "time:t produced:u"),
    21: ("level", "level:x"),
    22: ("input", "time:t"),
    23: ("host", "time:t json:x"),
    24: ("value", "time:t total:u part:b"),
    25: ("saved", "time:t name:x media_type:x total:u part:d"),
    26: ("input_end", "time:t"),
}


class Truncated(Exception):
    pass


class Decoder:
    def __init__(self, data):
        self.data = data
        self.at = 0
        self.time = 0

    def varint(self):
        value = shift = 0
        while True:
            if self.at >= len(self.data):
                raise Truncated
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            assert shift < 70, "a varint that is too long"

    def bytes(self):
        size = self.varint()
        if self.at + size > len(self.data):
            raise Truncated
        self.at += size
        return self.data[self.at - size:self.at]

    def field(self, kind, letter):
        if letter == "u":
            return self.varint()
        if letter == "s":
            value = self.varint()
            return value >> 1 ^ -(value & 1)
        if letter == "t":
            delta = self.varint()
            self.time = delta if kind == 19 else self.time + delta
            return self.time
        if letter in "bd":
            return self.bytes()
        return self.bytes().decode("utf-8")

    def record(self):
        kind = self.data[self.at]
        if kind >= 128:
            self.at += 1
            return {"kind": "line", "time": self.time, "step": kind - 192}
        name, fields = FIELDS[kind]
        self.at += 1
        record = {"kind": name}
        words = iter(fields.split())
        for word in words:
            key, letter = word.split(":")
            if letter != "[":
                record[key] = self.field(kind, letter)
                continue
            group = []
            while (inner := next(words)) != "]":
                group.append(inner.split(":"))
            record[key] = [{k: self.field(kind, l) for k, l in group} for _ in range(self.varint())]
        return record


def decode(data, partial=False):
    """The records of a recording; with `partial`, those before a torn end."""
    decoder = Decoder(data)
    records = []
    while decoder.at < len(data):
        try:
            records.append(decoder.record())
        except Truncated:
            assert partial, "a torn record at the end"
            break
    return records


TRACE = "call", "return", "unwind", "line", "yield", "resume", "exception"


def unfold(records):
    """The records with each `repeat` written out, in every `line` and `resume` its `line` and the function that it is of, and in every
    `variable` the whole `value`."""
    functions = {r["function"]: r for r in records if r["kind"] == "function"}
    files = {r["file"]: r["path"] for r in records if r["kind"] == "file"}
    stacks, thread, history, values = {}, 0, [], {}

    def apply(record):
        stack = stacks.setdefault(thread, [])
        if record["kind"] in ("call", "resume"):
            function = functions[record["function"]]
            stack.append([function["name"], files[function["file"]], function["line"] + record.get("step", 0)])
        elif record["kind"] in ("return", "unwind", "yield"):
            if stack:
                stack.pop()
        elif record["kind"] == "line" and stack:
            stack[-1][2] += record["step"]
        if record["kind"] in ("line", "resume") and stack:
            record = {**record, "line": stack[-1][2], "name": stack[-1][0], "path": stack[-1][1]}
        if record["kind"] in TRACE:
            history.append(record)
        return {**record, "thread": thread, "depth": len(stack)}

    for record in records:
        if record["kind"] == "repeat":
            for _ in range(record["records"]):
                yield apply({**history[-record["period"]], "time": record["time"]})
            continue
        if record["kind"] in ("thread", "sync"):
            thread, history = record["thread"], []
        if record["kind"] == "variable":
            last = values.get(record["name"], b"")
            whole = last[:record["head"]] + record["value"].encode() + last[len(last) - record["tail"]:]
            values[record["name"]] = whole if len(whole) <= 256 and record["name"] <= 1024 else b""
            record = {**record, "value": whole.decode()}
        if record["kind"] == "sync":
            values = {}
            stacks[thread] = [[functions[c["function"]]["name"], files[functions[c["function"]]["file"]], c["line"]]
                              for c in record["stack"]]
        yield apply(record)


def produced(records):
    """How many trace records there are, those in repeats counted."""
    return sum(r["kind"] in TRACE for r in unfold(records))


def text(records, kind="out"):
    return b"".join(r["data"] for r in records if r["kind"] == kind).decode("utf-8", "replace")


def calls(records):
    """Every call as (file, line, name), in order."""
    files = {r["file"]: r["path"] for r in records if r["kind"] == "file"}
    functions = {r["function"]: r for r in records if r["kind"] == "function"}
    found = []
    for record in unfold(records):
        if record["kind"] == "call":
            function = functions[record["function"]]
            found.append((files[function["file"]], function["line"], function["name"]))
    return found
