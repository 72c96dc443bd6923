# SPDX-License-Identifier: MIT
"""Reads Paddock's recordings (docs/PROTOCOL.md, "The recording", version 4). Python 3.9 or later, its library alone.

Trusts nothing: a recording is written in the process of the program that it tells of, which may be hostile. What is kept
grows with the bytes that have come, and with calls that are open, of which there are 200,000 at most; what a `repeat` stands
for is made one by one as it is asked for.

    trace = Trace()
    for piece in slices:
        for event in trace.push(piece):
            show(event)
    for event in trace.finish():
        show(event)

`Decoder` gives the records as they stand, `Trace` what they mean. Whoever reads a recording that still grows calls no
`finish`: it is there that one that is cut off, or has nothing in it, is an error. One that has no `end` record is whole: its
program was killed."""

import codecs
from collections import deque
from itertools import islice
from typing import Any, Deque, Dict, Iterator, List, Optional, Tuple

VERSION = 4
MAGIC = "PADDOCK"
RECORD_MAX = 32768  # bytes
NUMBER_MAX = 2**53 - 1
NUMBERS = 2**32  # of exceptions: they begin again
FIELDS_MAX = 1024  # of a record: each in a group, and a group's count
LINE = b'{"kind":"header",'
LINES = "a recording as lines of JSON (encoding=json): each line is a record, and needs no decoder"
HISTORY = 255  # trace records that a repeat can reach back
DEPTH_MAX = 100000  # calls within one another: what is deeper is not traced
OPEN_MAX = 200000  # calls that are open in all threads: what is more is not traced
THREADS_MAX = 65536  # what more there are is not traced
LINE_MIN, LINE_MAX = -2**31, 2**31 - 1
VALUES, VALUE_MAX = 1024, 256  # names whose last values are kept, and bytes of one
CAP_MIN = 2 * HISTORY  # of a repeat: so much, and all that can be reached back to is of it

# Fields of each kind, as PROTOCOL has them.
FIELDS = {
    1: "header magic:x version:u level:x engine:x",
    2: "file file:u path:x",
    3: "function function:u file:u line:u name:x",
    4: "thread thread:u",
    5: "call time:t function:u",
    6: "return time:t",
    7: "unwind time:t",
    8: "line time:t step:s",
    9: "repeat time:t period:u records:u",
    10: "variable name:u type:u head:u tail:u value:x",
    11: "out time:t data:b",
    12: "err time:t data:b",
    13: "name name:u text:x",
    14: "yield time:t",
    15: "resume time:t function:u step:s",
    16: "exception time:t step:s type:u",
    17: "error time:t relation:x type:x message:x frames:[ file:x line:u column:u end_line:u end_column:u "
        "function:x source:x ]",
    18: "dropped time:t produced:u",
    19: "sync time:t thread:u stack:[ function:u line:u ]",
    20: "end time:t produced:u",
    21: "level level:x",
    22: "input time:t",
    23: "host time:t json:x",
    24: "value time:t total:u part:b",
    25: "saved time:t name:x media_type:x total:u part:d",
    26: "input_end time:t",
}

# What a trace record adds to the depth.
LEVELS = {"call": 1, "resume": 1, "return": -1, "unwind": -1, "yield": -1, "line": 0, "exception": 0}

Fields = List[Tuple[str, str, Any]]
# A record: its `kind`, and its fields by the names of PROTOCOL's table. `time` counts from the start of the job, in
# microseconds; `b` and `d` are bytes, `x` a str in which U+FFFD stands for what is no UTF-8; a group is a list of dicts. A short
# line is a `line` with the time of the record before.
Record = Dict[str, Any]
# What happened: see Trace.
Event = Dict[str, Any]


def _fields(words: Iterator[str]) -> Fields:
    found: Fields = []
    for word in words:
        if word == "]":
            break
        name, letter = word.split(":")
        found.append((name, letter, _fields(words) if letter == "[" else []))
    return found


_KINDS: Dict[int, Tuple[str, Fields]] = {}
for _kind, _row in FIELDS.items():
    _name, _, _rest = _row.partition(" ")
    _KINDS[_kind] = (_name, _fields(iter(_rest.split())))


class RecordingError(Exception):
    """A recording that cannot be read on: foreign, of another version, malformed, or cut off. `offset` is that of the
    record."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"at byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason


class _Torn(Exception):
    """More bytes are needed."""


class Decoder:
    """Records out of bytes, as these come."""

    def __init__(self) -> None:
        self._bytes = b""  # what has come and is not decoded
        self._at = 0  # in these
        self._start = 0  # of the record being read
        self._before = 0  # bytes that came before these
        self._time = 0
        self._started = False
        self._ended = False
        self._count = 0  # of the record's fields
        self._error: Optional[RecordingError] = None

    @property
    def offset(self) -> int:
        """Where the next record begins."""
        return self._before + self._at

    def feed(self, data: bytes) -> None:
        """Takes bytes in without reading them: for `next`."""
        self._before += self._at
        self._bytes = self._bytes[self._at:] + data
        self._at = 0

    def next(self) -> Optional[Record]:
        """The next record, or None where its end is still to come."""
        if self._error is not None:
            raise self._error
        if self._at == len(self._bytes):
            return None
        kind = self._bytes[self._at]
        if kind >= 128 and self._started and not self._ended:
            self._at += 1
            return {"kind": "line", "time": self._time, "step": kind - 192}
        self._start = self._at
        try:
            return self._record(kind)
        except _Torn:
            self._at = self._start
            return None
        except RecordingError as error:
            self._at = self._start
            self._error = error
            raise

    def push(self, data: bytes) -> List[Record]:
        """The records that are whole with these bytes. Where one cannot be read, those before it are returned first, and
        the error comes with the next call of `push` or `finish`."""
        records: List[Record] = []
        self.feed(data)
        try:
            while (record := self.next()) is not None:
                records.append(record)
        except RecordingError:
            if not records:
                raise
        return records

    def finish(self) -> None:
        """No more will come. Raises a RecordingError where a record is cut off, and where there is none."""
        if self._error is None and (self._at < len(self._bytes) or not self._started):
            self._start = self._at
            self._error = self._refuse("a record that is cut off" if self._at < len(self._bytes) else "there is nothing in it")
        if self._error is not None:
            raise self._error

    def _record(self, kind: int) -> Record:
        if not self._started and kind != 1:
            raise self._refuse(LINES if self._is_line() else "this is not the beginning of a recording")
        if self._ended:
            raise self._refuse("there is more behind its end")
        if kind not in _KINDS:
            raise self._refuse(f"a record of kind {kind}, which this reader does not know")
        if self._started and kind == 1:
            raise self._refuse("a second header")
        self._at += 1
        name, fields = _KINDS[kind]
        self._count = len(fields)
        record: Record = {"kind": name}
        for field in fields:
            record[field[0]] = self._field(field, kind)
            if kind == 1:
                self._check_header(record)
        self._started = True
        self._ended = kind == 20
        self._time = record.get("time", self._time)
        return record

    def _is_line(self) -> bool:
        """Does it begin as lines of JSON do?"""
        begin = self._bytes[self._at:self._at + len(LINE)]
        if begin != LINE and LINE.startswith(begin):
            raise _Torn
        return begin == LINE

    def _check_header(self, record: Record) -> None:
        """As early as can be: what stands behind a magic or a version that is not ours is not ours to read."""
        if record["magic"] != MAGIC:
            raise self._refuse("this is not a recording of Paddock")
        version = record.get("version", VERSION)
        if version != VERSION:
            raise self._refuse(f"a recording of version {version}, where this reader knows version {VERSION}")

    def _field(self, field: Tuple[str, str, Any], kind: int) -> Any:
        _, letter, group = field
        value = self._varint()
        if letter == "u":
            return value
        if letter == "t":
            value += 0 if kind == 19 else self._time
            if value > NUMBER_MAX:
                raise self._refuse("a time beyond 2^53 - 1")
            return value
        if letter == "s":
            return value >> 1 ^ -(value & 1)
        if letter == "[":
            self._count += value * len(group)
            if self._count > FIELDS_MAX:
                raise self._refuse(f"a record of more than {FIELDS_MAX} fields")
            self._need(value * len(group))  # at least: before anything is made of so many
            return [{inner[0]: self._field(inner, 0) for inner in group} for _ in range(value)]
        self._need(value)
        self._at += value
        data = self._bytes[self._at - value:self._at]
        return data if letter in "bd" else data.decode("utf-8", "replace")

    def _varint(self) -> int:
        value = shift = 0
        while True:
            self._need(1)
            byte = self._bytes[self._at]
            self._at += 1
            if shift == 63 and byte > 1:
                raise self._refuse("a number of more than 64 bits")
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        if value > NUMBER_MAX:
            raise self._refuse("a number beyond 2^53 - 1")
        return value

    def _need(self, size: int) -> None:
        if self._at + size - self._start > RECORD_MAX:
            raise self._refuse(f"a record of more than {RECORD_MAX} bytes")
        if self._at + size > len(self._bytes):
            raise _Torn

    def _refuse(self, reason: str) -> RecordingError:
        return RecordingError(self._before + self._start, reason)


class _Call:
    """One that is open."""

    __slots__ = "function", "file", "line"

    def __init__(self, function: str = "", file: str = "", line: int = 0) -> None:
        self.function = function
        self.file = file
        self.line = line

    def copy(self) -> "_Call":
        return _Call(self.function, self.file, self.line)

    def place(self) -> Dict[str, Any]:
        return {"function": self.function, "file": self.file, "line": self.line}


_NOWHERE = _Call()  # never changed


class Trace:
    """Events out of bytes, as these come. Each has `kind`, `time` and `thread`; beside these:

    - header: level, engine. level: level. input, input_end: nothing. host: json. end: produced
    - call, resume, line, return, unwind, yield: depth (calls open in the thread, its own among them), function, file, line
      (the line in that file: of a call its function's first, of a resume the one that it was suspended on, of a return the
      last one that ran). Where the call is not known, as tracing began later, function and file are "" and line is 0
    - exception: the same, exception (its number) and type. variable: the same, name, type, value; None where it is gone
    - folded: period, records: so many trace records of a loop, or of calls within calls, that were not unfolded (see
      `repeats`); depth: calls that are open behind them, of which those above the depth before it have not been told
    - out, err: text, with characters that two records share put together. error: relation, type, message, frames
    - dropped: produced, missing (trace records that are not there). sync: depth, stack (places, innermost last)
    - value: json. saved: name, media_type, data. Both come when they are whole

    `repeats`: how many records of one `repeat` are unfolded, 510 at least, before the whole rounds that are left become one
    `folded` event; without it all of them are."""

    def __init__(self, repeats: Optional[int] = None) -> None:
        self._repeats = None if repeats is None else max(repeats, CAP_MIN)
        self._decoder = Decoder()
        self._error: Optional[RecordingError] = None
        self._offset = 0  # of the record being told
        self._time = 0
        self._stacks: Dict[int, List[_Call]] = {}
        self._open = 0  # calls on all stacks
        self._number = 0  # of the last exception
        self._values: Dict[int, bytes] = {}  # the last ones, by the number of the name
        self._repeat: Optional[_Repeat] = None  # that is being unfolded
        self._seen = 0  # trace records, and those that are missing
        self._files: List[str] = []  # from number 0
        self._functions: List[Record] = []  # from number 1
        self._names: List[str] = []  # from number 1
        self._wholes: Dict[str, Tuple[int, bytearray]] = {}
        decoder = codecs.getincrementaldecoder("utf-8")
        self._text = {"out": decoder("replace"), "err": decoder("replace")}
        self._tellers = {
            **dict.fromkeys(("call", "resume", "line", "return", "unwind", "yield", "exception"), self._traced),
            **dict.fromkeys(("error", "end", "level", "input", "input_end", "host"), self._as_it_is),
            **dict.fromkeys(("out", "err"), self._output), **dict.fromkeys(("value", "saved"), self._part),
            **dict.fromkeys(("file", "function", "name"), self._define), "header": self._header, "repeat": self._begin,
            "thread": self._switch, "sync": self._sync, "dropped": self._dropped,
            "variable": self._variable,
        }
        self._switch({"thread": 0})

    def push(self, data: bytes) -> Iterator[Event]:
        """What these bytes tell. Raises a RecordingError after the last event that can be told. What is not asked for now
        comes first in the next call."""
        self._decoder.feed(data)
        return self._drain()

    def finish(self) -> Iterator[Event]:
        """No more will come: what is left, and half a character at the end of the output. Raises as `push` does, and where a
        record is cut off, or there is none."""
        yield from self._drain()
        yield from self._flush()
        self._decoder.finish()

    def _drain(self) -> Iterator[Event]:
        while True:
            if self._error is not None:
                raise self._error
            if self._repeat is not None:
                yield from self._unfold(self._repeat)
                self._repeat = None
            self._offset = self._decoder.offset
            record = self._decoder.next()
            if record is None:
                return
            self._time = record.get("time", self._time)
            if record["kind"] == "end":
                yield from self._flush()
            event = self._tellers[record["kind"]](record)
            if event is not None:
                yield event

    def _unfold(self, repeat: "_Repeat") -> Iterator[Event]:
        """What stands in a repeat, in its order. It may be left at any `yield`: all that it knows is in `repeat`."""
        period = len(repeat.pattern)
        while repeat.left > 0:
            if repeat.at == 0 and self._repeats is not None and repeat.done >= self._repeats and repeat.left >= period:
                rounds = self._skip(repeat)
                if rounds > 0:
                    self._number = (self._number + rounds * repeat.exceptions) % NUMBERS
                    repeat.left -= rounds * period
                    self._seen += rounds * period
                    yield self._event("folded", period=period, records=rounds * period, depth=len(self._stack))
                    continue
            record = repeat.pattern[repeat.at]
            repeat.at = (repeat.at + 1) % period
            repeat.done += 1
            repeat.left -= 1
            yield self._traced(record)

    def _skip(self, repeat: "_Repeat") -> int:
        """Between two rounds, of which two have been told: how many are left out, as if they had been. Each does what the
        one before it did, to the same calls or to others like them; none is left out that could not be told."""
        net, stack = repeat.net, self._stack
        height = len(stack)
        floor = height + repeat.low
        rounds = repeat.left // len(repeat.pattern)
        if floor <= 0:  # every call is left, and those that come are the same each time
            return rounds if net - repeat.low == height else 0
        if net == 0:
            return self._wander(repeat, stack[floor - 1], rounds)
        if net > 0:
            rounds = min(rounds, _steps_to(DEPTH_MAX - repeat.high - height, net),
                         _steps_to(OPEN_MAX - repeat.high - self._open, net))
            return self._deepen(repeat, rounds if repeat.holds(stack[floor - 1].line, repeat.low) else 0)
        rounds = min(rounds, _steps_to(floor - 1, -net))
        return self._rise(repeat, next((i for i in range(rounds) if not self._can_rise(repeat, i)), rounds))

    def _can_rise(self, repeat: "_Repeat", rounds: int) -> bool:
        """Behind so many rounds, can one more begin at the calls that it finds, and none before it has found? The outermost of
        these alone is left where it is: its line goes on, and is there for the next one."""
        low, net, stack = repeat.low, repeat.net, self._stack
        height = len(stack) + rounds * net
        moved = repeat.lines if rounds > 0 else 0
        return (repeat.holds(stack[height + low - net - 1].line + moved, low - net)
                and all(repeat.holds(stack[height + level - 1].line, level) for level in range(low, low - net)))

    @staticmethod
    def _wander(repeat: "_Repeat", call: _Call, rounds: int) -> int:
        """Rounds that leave the stack as high as it was: the line of one call goes on."""
        if repeat.lines > 0:
            rounds = min(rounds, _steps_to(LINE_MAX - repeat.most - call.line, repeat.lines))
        if repeat.lines < 0:
            rounds = min(rounds, _steps_to(call.line + repeat.least - LINE_MIN, -repeat.lines))
        call.line += repeat.lines * rounds
        return rounds

    def _deepen(self, repeat: "_Repeat", rounds: int) -> int:
        """Rounds that add to the stack: what the last one has put there, so many times."""
        if rounds > 0:
            stack, net = self._stack, repeat.net
            floor = len(stack) + repeat.low
            top = [call.copy() for call in stack[floor - net:]]
            self._open += rounds * net
            del stack[floor:]
            stack[-1].line += repeat.lines
            for _ in range(rounds - 1):
                stack.extend(call.copy() for call in top[:net])
                stack[-1].line += repeat.lines
            stack += top
        return rounds

    def _rise(self, repeat: "_Repeat", rounds: int) -> int:
        """Rounds that take from the stack."""
        if rounds > 0:
            stack, net = self._stack, repeat.net
            floor = len(stack) + repeat.low
            top = stack[floor - net:]
            self._open += rounds * net
            del stack[floor + (rounds - 1) * net:]
            stack[-1].line += repeat.lines
            stack += top
        return rounds

    def _flush(self) -> Iterator[Event]:
        """Characters that were begun and never ended."""
        for kind, decoder in self._text.items():
            text = decoder.decode(b"", True)
            if text:
                yield self._event(kind, text=text)

    def _event(self, kind: str, **rest: Any) -> Event:
        return {"kind": kind, "time": self._time, "thread": self._thread, **rest}

    def _here(self, kind: str, **rest: Any) -> Event:
        """Of the innermost call."""
        call = self._stack[-1] if self._stack else _NOWHERE
        return self._event(kind, depth=len(self._stack), **call.place(), **rest)

    def _traced(self, record: Record) -> Event:
        """One of the records that can be repeated."""
        stack, kind = self._stack, record["kind"]
        depth = len(stack)
        self._history.append(record)
        self._seen += 1
        if kind == "exception":
            self._number = (self._number + record["step"]) % NUMBERS
            return self._here("exception", exception=self._number, type=self._named(record["type"]))
        if kind == "line":
            call = _NOWHERE
            if depth:
                call = stack[-1]
                call.line = self._line(call.line + record["step"])
        elif kind == "call" or kind == "resume":
            if depth == DEPTH_MAX:
                raise self._refuse(f"more than {DEPTH_MAX} calls within one another")
            if self._open == OPEN_MAX:
                raise self._refuse(f"more than {OPEN_MAX} calls that are open")
            self._open += 1
            call = self._call(record["function"])
            call.line = self._line(call.line + record.get("step", 0))
            stack.append(call)
            depth += 1
        else:
            call = stack.pop() if depth else _NOWHERE
            self._open -= depth > 0
        return {"kind": kind, "time": self._time, "thread": self._thread, "depth": depth,
                "function": call.function, "file": call.file, "line": call.line}

    def _call(self, number: int) -> _Call:
        if not 1 <= number <= len(self._functions):
            return _Call()
        known = self._functions[number - 1]
        file = known["file"]
        return _Call(known["name"], self._files[file] if file < len(self._files) else "", known["line"])

    def _named(self, number: int) -> str:
        return self._names[number - 1] if 1 <= number <= len(self._names) else ""

    def _begin(self, record: Record) -> None:
        period, known = record["period"], len(self._history)
        if not 1 <= period <= known:
            raise self._refuse(f"a repeat of the last {period} records, where there are {known}")
        self._repeat = _Repeat(list(islice(self._history, known - period, None)), record["records"])

    def _define(self, record: Record) -> None:
        """Out of turn it is passed over."""
        if record["kind"] == "file":
            if record["file"] == len(self._files):
                self._files.append(record["path"])
        elif record["kind"] == "function":
            self._line(record["line"])
            if record["function"] == len(self._functions) + 1:
                self._functions.append(record)
        elif record["name"] == len(self._names) + 1:
            self._names.append(record["text"])

    def _switch(self, record: Record) -> None:
        if record["thread"] >= THREADS_MAX:
            raise self._refuse(f"thread {record['thread']}, where there are no more than {THREADS_MAX}")
        self._thread: int = record["thread"]
        self._history: Deque[Record] = deque(maxlen=HISTORY)
        self._stack = self._stacks.setdefault(self._thread, [])

    def _sync(self, record: Record) -> Event:
        """The calls of its thread, whatever was known of them before."""
        for place in record["stack"]:
            self._line(place["line"])
        self._open -= len(self._stacks.pop(record["thread"], ()))
        self._switch(record)
        self._number = 0
        self._values.clear()
        self._open += len(record["stack"])
        for place in record["stack"]:
            call = self._call(place["function"])
            call.line = place["line"]
            self._stack.append(call)
        return self._event("sync", depth=len(self._stack), stack=[call.place() for call in self._stack])

    def _dropped(self, record: Record) -> Event:
        """What other threads have done in what is missing is not known."""
        missing = max(record["produced"] - self._seen, 0)
        self._seen += missing
        if missing > 0:
            self._stacks = {self._thread: self._stack}
            self._open = len(self._stack)
        return self._event("dropped", produced=record["produced"], missing=missing)

    def _header(self, record: Record) -> Event:
        return self._event("header", level=record["level"], engine=record["engine"])

    def _as_it_is(self, record: Record) -> Event:
        return {**self._event(record["kind"]), **record}

    def _variable(self, record: Record) -> Event:
        gone, value = record["type"] == 0, self._value(record)
        return self._here("variable", name=self._named(record["name"]),
                          type=None if gone else self._named(record["type"]),
                          value=None if gone else value)

    def _value(self, record: Record) -> str:
        """The last one of that name, but for a part of it."""
        name, head, tail = record["name"], record["head"], record["tail"]
        last = self._values.get(name, b"")
        if head + tail > len(last):
            raise self._refuse(f"a value that goes on from one of {len(last)} bytes beyond these")
        value: str = (last[:head] + record["value"].encode() + last[len(last) - tail:]).decode("utf-8", "replace")
        if 1 <= name <= VALUES:
            whole = value.encode()
            self._values[name] = whole if len(whole) <= VALUE_MAX else b""
        return value

    def _output(self, record: Record) -> Event:
        decoder = self._text[record["kind"]]
        text = decoder.decode(record["data"])
        begun = decoder.getstate()[0]
        if begun[:1] == b"\xed" and begun[1:] >= b"\xa0":  # Python waits for half a surrogate; there are none in UTF-8
            text += decoder.decode(b"", True)
        return self._event(record["kind"], text=text)

    def _part(self, record: Record) -> Optional[Event]:
        """The first `total` bytes of one name are a whole; what comes then, or with another total, begins the next one."""
        total, key = record["total"], f"saved {record['name']}" if record["kind"] == "saved" else "value"
        whole = self._wholes.get(key)
        if whole is None or whole[0] != total:
            whole = self._wholes[key] = (total, bytearray())
        whole[1].extend(record["part"])
        if len(whole[1]) < total:
            return None
        del self._wholes[key]
        data = bytes(whole[1][:total])
        if record["kind"] == "value":
            return self._event("value", json=data.decode("utf-8", "replace"))
        return self._event("saved", name=record["name"], media_type=record["media_type"], data=data)

    def _line(self, line: int) -> int:
        if not LINE_MIN <= line <= LINE_MAX:
            raise self._refuse("a line beyond 2^31 - 1")
        return line

    def _refuse(self, reason: str) -> RecordingError:
        self._error = RecordingError(self._offset, reason)
        return self._error


class _Repeat:
    """What is left of one. A round of it adds `net` to the depth, on the way to which it is lowest by `low` and highest by
    `high`. To the line of a call that it finds, at a level of 0 (the innermost) down to `low`, it adds lines on the way from a
    least to a most, which are in `moves`; `lines`, `least` and `most` are those at the lowest. To the number of the last exception
    it adds `exceptions`."""

    def __init__(self, pattern: List[Record], records: int) -> None:
        self.pattern, self.at, self.left, self.done = pattern, 0, records, 0
        self.net = self.low = self.high = self.lines = self.least = self.most = self.exceptions = 0
        self.moves = [(0, 0)]
        for record in pattern:
            self.net += LEVELS[record["kind"]]
            self.high = max(self.high, self.net)
            if self.net < self.low:
                self.low = self.net
                self.lines = self.least = self.most = 0
                self.moves.append((0, 0))
            elif record["kind"] == "line" and self.net == self.low:
                self.lines += record["step"]
                self.least = min(self.least, self.lines)
                self.most = max(self.most, self.lines)
                self.moves[-1] = self.least, self.most
            elif record["kind"] == "exception":
                self.exceptions += record["step"]

    def holds(self, line: int, level: int) -> bool:
        """Can a round begin where a call at this level is at this line?"""
        least, most = self.moves[-level]
        return line + least >= LINE_MIN and line + most <= LINE_MAX


def _steps_to(most: int, step: int) -> int:
    """How many of them there are from 0 to `most`, both included: 0 where that is less."""
    return 0 if most < 0 else most // step + 1
