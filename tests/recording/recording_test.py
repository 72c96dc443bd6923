# SPDX-License-Identifier: MIT
"""deploy/clients/recording.py, on the vectors of vectors/, and beside it the decoder of common/ (DECODE_RECORDS names its
program) and that of tests/e2e. Run by ctest; test_recording.mjs walks the same vectors."""

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
        """A recording that has come in part tells a part, and is in order unless the whole of it is not."""
        chance = random.Random(SEED)

        def check(name, data, expected):
            options = expected.get("options", {})
            events = vectors.tell(data, options)[0]
            sizes = range(len(data)) if max(len(data), len(events)) < SMALL else chance.sample(range(len(data)), 10)
            for size in sizes:
                part, _, error = vectors.tell(data[:size], options)
                self.assertEqual(part, events[:len(part)])
                self.assertIn(error, (None, expected.get("error")))

        self.each(check)

    def test_records(self):
        """In any pieces the same; torn ends are counted; an error comes behind what can be read, and stays."""
        def check(name, data, expected):
            records, error = records_of(data)
            decoder, found, errors = recording.Decoder(), [], []
            for byte in vectors.pieces(data, range(1, len(data))):
                try:
                    found += decoder.push(byte)
                except recording.RecordingError as e:
                    errors.append(str(e))
            self.assertEqual(found, records)
            if error is None:
                self.assertEqual((errors, decoder.finish()), ([], expected.get("torn", 0)))
            else:
                self.assertEqual({*errors, str(error)}, {str(error)})
                self.assertRaises(recording.RecordingError, decoder.push, b"")
                self.assertRaises(recording.RecordingError, decoder.finish)

        self.each(check)

    def test_every_kind_is_there(self):
        kinds = {r["kind"] for name in vectors.names() for r in records_of(vectors.read_hex(name))[0]}
        self.assertEqual(kinds, {row.split()[0] for row in recording.FIELDS.values()})

    @unittest.skipUnless("DECODE_RECORDS" in os.environ, "run by hand")
    def test_the_decoder_of_common(self):
        """Reads the same records; where it reads on, the vector says why (`c`), and it does so still."""
        def check(name, data, expected):
            run = subprocess.run([os.environ["DECODE_RECORDS"]], input=data, stdout=subprocess.PIPE, check=False)
            lines = run.stdout.decode().split("\n")
            theirs = [json.loads(line.partition(" ")[2]) for line in lines if line[:1].isdigit()]
            records, error = records_of(data)
            ours = [{k: as_json(r["kind"], v) for k, v in r.items()} for r in records]
            # How many U+FFFD stand for bytes that are no UTF-8 is not said anywhere.
            theirs, ours = (json.loads(re.sub("(\ufffd)+", "\ufffd", json.dumps(r, ensure_ascii=False))) for r in (theirs, ours))
            if "c" in expected:
                self.assertEqual(theirs[:len(ours)], ours)
                self.assertGreater(len(theirs), len(ours), "`c` is no longer needed")
            else:
                self.assertEqual(theirs, ours)
                self.assertEqual(run.returncode != 0, error is not None or expected.get("torn", 0) > 0, run.stdout)

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
                               *(e[key] if e["kind"] == "line" and e["depth"] else None for key in here)) for e in events], told)

        self.each(check)


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

    def test_speed(self):
        """Asserts nothing: for whoever wants to know."""
        data = vectors.read_hex("real_loop")
        began = time.perf_counter()
        count = sum(1 for _ in recording.Trace().push(data))
        print(f"{count / (time.perf_counter() - began):,.0f} events/s")


if __name__ == "__main__":
    unittest.main()
