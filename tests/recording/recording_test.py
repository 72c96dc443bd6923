# SPDX-License-Identifier: MIT
"""deploy/clients/recording.py, on the vectors of vectors/, and beside it the decoders of common/, of records and of events
(DECODE_RECORDS and TELL_EVENTS name their programs), and that of tests/e2e. Run by ctest; test_recording.mjs walks the same vectors."""

import base64
import importlib.util
import itertools
import json
import os
import random
import re
import subprocess
import time
import unittest
import unittest.mock

import vectors
from vectors import recording

SEED = random.randrange(1 << 32)
SMALL = 1000  # bytes: every prefix is tried, where there are no more than so many events


def second_opinion():
    """tests/e2e/recording.py, which has the same name."""
    path = os.path.join(vectors.FOLDER, "..", "..", "e2e", "recording.py")
    spec = importlib.util.spec_from_file_location("second_recording", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def records_of(data):
    """(records, error or None)"""
    decoder = recording.Decoder()
    records = []
    try:
        records = decoder.push(data)
        decoder.finish()
    except recording.RecordingError as error:
        return records, error
    return records, None


def as_json(kind, value):
    """A record's value in its line."""
    if not isinstance(value, bytes):
        return value
    return base64.b64encode(value).decode() if kind == "saved" else value.decode("utf-8", "replace")


def in_line(record):
    return {key: as_json(record["kind"], value) for key, value in record.items()}


def ends_of(data):
    """Where records end."""
    decoder, ends = recording.Decoder(), []
    decoder.feed(data)
    try:
        while decoder.next() is not None:
            ends.append(decoder.offset)
    except recording.RecordingError:
        pass
    return ends


def run(program, data, *words):
    """(lines, the error with which it refuses to read on or None, exit code)"""
    done = subprocess.run([program, *words], input=data, stdout=subprocess.PIPE, check=False)
    lines = done.stdout.decode().split("\n")[:-1]
    refused = re.match("at byte ([0-9]+): (.*)", lines[-1]) if lines else None
    return lines[:-1] if refused else lines, as_error(refused[1], refused[2]) if refused else None, done.returncode


def as_error(offset, reason):
    return {"offset": int(offset), "reason": reason}


def in_common(data, offset, reason):
    """As the decoders of common/ have it, which are not asked for lines of JSON here."""
    return as_error(offset, "this is not the beginning of a recording" if data.startswith(b"{") else reason)


HEADER = b"\1\7PADDOCK\4\5lines\4test"
TRACED = "call", "resume", "line", "return", "unwind", "yield", "exception"
PLACE = "kind", "thread", "depth", "function", "file"
# Told in another form: characters and parts are put together by others, and repeats are folded elsewhere.
OTHERWISE = "out", "err", "value", "saved", "folded", "repeat", "thread"


def cleaned(value):
    """common/trace.c has '?' for what cannot be shown."""
    return value.replace("\ufffd", "?") if isinstance(value, str) else value


def common_traced(event):
    return (*(cleaned(event[key]) for key in PLACE), event["line"], event.get("exception"), cleaned(event.get("type")))


def common_record(event):
    """In the words of the event that recording.py makes of it."""
    told = {**event["record"], "kind": event["kind"], "time": event["time"], "thread": event["thread"]}
    if event["kind"] == "variable":
        told.update((key, cleaned(event[key])) for key in (*PLACE, "line", "name", "type", "value"))
        del told["head"], told["tail"]
        if event["record"]["type"] == 0:
            told.update(type=None, value=None)
    if event["kind"] == "dropped":
        told["missing"] = event["count"]
    for unneeded in {"header": ("magic", "version"), "sync": ("stack",)}.get(event["kind"], ()):
        del told[unneeded]
    return told


def folds_level(events):
    """Whether no more calls are open behind what is folded than before it, nor fewer: of other loops both tell what they can
    of how it ends."""
    depths = {}
    for e in events:
        if e["kind"] == "folded" and e["depth"] != depths.get(e["thread"], 0):
            return False
        if e["kind"] in TRACED:
            depths[e["thread"]] = max(e["depth"] - (e["kind"] in ("return", "unwind", "yield")), 0)
    return True


def compare_events(test, theirs, ours):
    """In one order. Of a call that nobody knows, with a depth of 0, recording.py alone tells."""
    told = [e for e in theirs if not e["implied"] and e["kind"] not in OTHERWISE
            and not (e["kind"] in TRACED and e["depth"] == 0)]
    expected = [e for e in ours if e["kind"] not in OTHERWISE
                and not (e["kind"] in TRACED and e["depth"] == 0)]
    others = [common_record(e) for e in told if e["kind"] not in TRACED]
    wanted = [{key: cleaned(value) for key, value in e.items()} for e in expected if e["kind"] not in TRACED]
    for event in wanted:
        if event["kind"] == "sync":
            del event["depth"], event["stack"]
    test.assertEqual(others, wanted)
    steps = [common_traced(e) if e["kind"] in TRACED else e["kind"] for e in told]
    known = [common_traced(e) if e["kind"] in TRACED else e["kind"] for e in expected]
    if not any(e["kind"] in ("folded", "repeat") for e in theirs + ours):
        test.assertEqual(steps, known)
    elif folds_level(ours):  # common/trace.c unfolds no more of a repeat than recording.py does
        rest = iter(known)
        test.assertEqual([step for step in steps if step not in rest], [])


class Vectors(unittest.TestCase):
    maxDiff = 4000

    def each(self, check):
        for name in vectors.names():
            with self.subTest(name, seed=SEED):
                check(name, vectors.read_hex(name), vectors.read_expected(name))

    def compare(self, told, expected):
        events, last, error = told
        self.assertEqual(error, expected.get("error"))
        found = vectors.summary(events + last)
        found["events"] = [json.loads(event) for event in found.get("events", [])]
        for key in "events", "count", "sha256":
            self.assertEqual(found.get(key), expected.get(key, [] if key == "events" else None))

    def test_events(self):
        """Whole, byte by byte, and in random cuts."""
        chance = random.Random(SEED)

        def check(name, data, expected):
            options = expected.get("options", {})
            self.compare(vectors.tell(data, options), expected)
            self.compare(vectors.tell(data, options, range(1, len(data))), expected)
            cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(20)))
            self.compare(vectors.tell(data, options, cuts), expected)

        self.each(check)

    def test_prefixes(self):
        """A recording that has come in part tells a part. To whoever expects no more it is cut off, unless it ends with a record."""
        chance = random.Random(SEED)

        def check(name, data, expected):
            options = expected.get("options", {})
            events = vectors.tell(data, options)[0]
            ends = ends_of(data)
            sizes = range(len(data)) if max(len(data), len(events)) < SMALL else chance.sample(range(len(data)), 10)
            for size in sizes:
                part, _, error = vectors.tell(data[:size], options)
                self.assertEqual(part, events[:len(part)])
                if error is not None and error == expected.get("error"):
                    continue
                cut = {"offset": max((end for end in ends if end <= size), default=0),
                       "reason": "a record that is cut off" if size else "there is nothing in it"}
                self.assertEqual(error, None if size in ends else cut)

        self.each(check)

    def test_records(self):
        """In any pieces the same; an error comes behind what can be read, and stays."""
        def check(name, data, expected):
            records, error = records_of(data)
            decoder, found, errors = recording.Decoder(), [], []
            for byte in vectors.pieces(data, range(1, len(data))):
                try:
                    found += decoder.push(byte)
                except recording.RecordingError as e:
                    errors.append(str(e))
            self.assertEqual(found, records)
            self.assertEqual({*errors, str(error)}, {str(error)})
            if error is None:
                self.assertIsNone(decoder.finish())
            else:
                self.assertEqual(error.offset, expected["error"]["offset"])
                self.assertRaises(recording.RecordingError, decoder.finish)
                self.assertRaises(recording.RecordingError, decoder.push, b"")

        self.each(check)

    def test_every_kind_is_there(self):
        kinds = {r["kind"] for name in vectors.names() for r in records_of(vectors.read_hex(name))[0]}
        self.assertEqual(kinds, {row.split()[0] for row in recording.FIELDS.values()})

    @unittest.skipUnless("DECODE_RECORDS" in os.environ, "run by hand")
    def test_the_decoder_of_common(self):
        """Reads the same records, and refuses the same one."""
        def check(name, data, expected):
            theirs, refused, code = run(os.environ["DECODE_RECORDS"], data)
            records, error = records_of(data)
            self.assertEqual([json.loads(line.partition(" ")[2]) for line in theirs], [in_line(r) for r in records])
            self.assertEqual(refused, None if error is None else in_common(data, error.offset, error.reason))
            self.assertEqual(code, 0 if error is None else 1)

        self.each(check)

    @unittest.skipUnless("TELL_EVENTS" in os.environ, "run by hand")
    def test_the_events_of_common(self):
        """Of the same records common/trace.c tells the same, and refuses the same one."""
        def check(name, data, expected):
            repeats = expected.get("options", {}).get("repeats")
            words = [] if repeats is None else [str(max(repeats, recording.CAP_MIN))]
            theirs, refused, _ = run(os.environ["TELL_EVENTS"], data, *words)
            self.assertEqual(refused, in_common(data, **expected["error"]) if "error" in expected else None)
            events, last, _ = vectors.tell(data, expected.get("options", {}))
            compare_events(self, [json.loads(line) for line in theirs], [json.loads(event) for event in events + last])

        self.each(check)

    def test_a_second_opinion(self):
        second = second_opinion()

        def check(name, data, expected):
            if name != "example" and name not in ("lines", "repeats", "threads") and not name.startswith("real_"):
                return
            told = [(r["kind"], r["time"], r["thread"], r.get("line"), r.get("name"), r.get("path"))
                    for r in second.unfold(second.decode(data, partial=True)) if r["kind"] in second.TRACE]
            events = [e for e in recording.Trace().push(data) if e["kind"] in second.TRACE]
            here = "line", "function", "file"
            self.assertEqual([(e["kind"], e["time"], e["thread"],
                               *(e[key] if e["kind"] in ("line", "resume") and e["depth"] else None for key in here)) for e in events], told)

        self.each(check)


def told(data, repeats):
    """(events, error or None, the calls that are open)"""
    trace, events, error = recording.Trace(repeats=repeats), [], None
    try:
        for event in trace.push(data):
            events.append(event)
    except recording.RecordingError as e:
        error = str(e)
    calls = {thread: [call.place() for call in stack] for thread, stack in trace._stacks.items()}
    return events, error, trace._seen if error is None else None, calls


class Lazy(unittest.TestCase):
    HUGE = "repeat_huge"

    def test_a_repeat_is_unfolded_as_it_is_asked_for(self):
        trace = recording.Trace()
        data = vectors.read_hex(self.HUGE)
        events = list(itertools.islice(trace.push(data), 1000))
        rest = list(itertools.islice(trace.push(b""), 1000))  # the first iterator is left as it is
        again = list(itertools.islice(recording.Trace().push(data), 2000))
        self.assertEqual(events + rest, again)

    def test_a_repeat_can_be_capped(self):
        """At any number: what is told behind the repeat, and how much there was, is the same."""
        data = vectors.read_hex("real_loop")
        whole = list(recording.Trace().push(data))
        traced = "call", "return", "unwind", "line", "yield", "resume"
        for repeats in 0, 511, 1000, 1001:
            events = list(recording.Trace(repeats=repeats).push(data))
            self.assertEqual(events[-2:], whole[-2:])
            count = sum(e["records"] if e["kind"] == "folded" else e["kind"] in traced for e in events)
            self.assertEqual(count, whole[-1]["produced"])
            self.assertLess(len(events), len(whole))

    def test_what_is_folded_is_as_if_told(self):
        """Of any loop, in bounds that it comes to soon: the same calls are open, at the same lines, or the same is refused."""
        chance = random.Random(SEED)
        words = [bytes([5, 0, 1]), bytes([5, 0, 2]), b"\x06\0", bytes([15, 0, 1, 5]), bytes([15, 0, 2, 90]), *(bytes([192 + step]) for step in (-2, -1, 1, 2))]
        tables = b"\x03\1\0\1\1f\x03\2\0\4\1g"
        bounds = {"DEPTH_MAX": 40, "OPEN_MAX": 60, "LINE_MIN": -50, "LINE_MAX": 50, "CAP_MIN": 24}
        refused = folded = 0
        with unittest.mock.patch.multiple(recording, **bounds):
            for _ in range(4000):
                data = HEADER + tables
                if chance.random() < 0.5:  # a stack to come back through
                    data += b"".join(chance.choices([bytes([5, 0, 1]), bytes([5, 0, 2]), b"\x05\0\1\xe1", b"\x05\0\2\x9f"], (3, 3, 1, 1), k=chance.randrange(38)))
                for _ in range(chance.randrange(1, 4)):
                    pattern = chance.choices(words, [chance.random() ** 2 for _ in words], k=chance.randrange(1, 13))
                    data += b"\x04" + bytes([chance.randrange(2)]) + b"".join(chance.choices(words, k=chance.randrange(12)))
                    data += b"".join(pattern) + bytes([9, 0, len(pattern), chance.randrange(128)])
                whole, part = told(data, None), told(data, 0)
                with self.subTest(data.hex(), seed=SEED):
                    self.assertEqual(part[1:], whole[1:])
                refused += whole[1] is not None
                folded += any(event["kind"] == "folded" for event in part[0])
        self.assertGreater(min(refused, folded), 200)

    def test_speed(self):
        """Asserts nothing: for whoever wants to know."""
        data = vectors.read_hex("real_loop")
        began = time.perf_counter()
        count = sum(1 for _ in recording.Trace().push(data))
        print(f"{count / (time.perf_counter() - began):,.0f} events/s")


if __name__ == "__main__":
    unittest.main()
