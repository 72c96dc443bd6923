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
    11: ("out", "time:t data:b"),
    12: ("err", "time:t data:b"),
    17: ("error", "time:t relation:x type:x message:x frames:[ file:x line:u column:u end_line:u "
                  "end_column:u function:x source:x ]"),
    18: ("dropped", "time:t produced:u"),
    19: ("sync", "time:t thread:u stack:[ function:u ]"),
    20: ("end", "time:t produced:u"),
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
        if letter == "t":
            delta = self.varint()
            self.time = delta if kind == 19 else self.time + delta
            return self.time
        if letter == "b":
            return self.bytes()
        return self.bytes().decode("utf-8")

    def record(self):
        kind = self.data[self.at]
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


def text(records, kind="out"):
    return b"".join(r["data"] for r in records if r["kind"] == kind).decode("utf-8", "replace")


def calls(records):
    """Every call as (file, line, name), in order."""
    files = {r["file"]: r["path"] for r in records if r["kind"] == "file"}
    functions = {r["function"]: r for r in records if r["kind"] == "function"}
    found = []
    for record in records:
        if record["kind"] == "call":
            function = functions[record["function"]]
            found.append((files[function["file"]], function["line"], function["name"]))
    return found
