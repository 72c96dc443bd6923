# SPDX-License-Identifier: MIT
"""The vectors of vectors/: NAME.hex, bytes, and NAME.json, what they tell. For recording_test.py and make_vectors.py; trusts
them. test_recording.mjs reads them by the same rules.

Of NAME.hex a line is hex digits, or `COUNT * DIGITS`; `#` and what follows says what they are. NAME.json: `events`, or
`count` and `sha256` of many (each as JSON with sorted keys, and a newline); `error` that comes behind them; `options` of
Trace. Bytes in events are hex digits."""

import hashlib
import json
import os
import sys

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors")
sys.path.insert(0, os.path.join(FOLDER, "..", "..", "..", "deploy", "clients"))

import recording  # noqa: of deploy/clients

MANY = 300  # events: more are counted


def varint(value):
    found = b""
    while value >= 128:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def names():
    return sorted(name[:-4] for name in os.listdir(FOLDER) if name.endswith(".hex"))


def read_hex(name):
    data = b""
    with open(os.path.join(FOLDER, name + ".hex"), encoding="utf-8") as file:
        for line in file:
            count, star, digits = line.partition("#")[0].partition("*")
            data += bytes.fromhex(digits) * int(count) if star else bytes.fromhex(count)
    return data


def read_expected(name):
    with open(os.path.join(FOLDER, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def as_json(event):
    return json.dumps(event, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=bytes.hex)


def hash_of(events):
    return hashlib.sha256("".join(e + "\n" for e in events).encode()).hexdigest()


def summary(events):
    """`events` or `count` and `sha256` of them, as JSON texts."""
    if len(events) <= MANY:
        return {"events": events}
    return {"count": len(events), "sha256": hash_of(events)}


def pieces(data, cuts):
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]


def tell(data, options, cuts=()):
    """(events as JSON texts, those that come with the end, error or None) of bytes that come in pieces."""
    trace, events, last = recording.Trace(**options), [], []
    try:
        for piece in pieces(data, cuts):
            for event in trace.push(piece):
                events.append(as_json(event))
        for event in trace.finish():
            last.append(as_json(event))
    except recording.RecordingError as error:
        return events, last, {"offset": error.offset, "reason": error.reason}
    return events, last, None


def write_expected(name, options):
    data = read_hex(name)
    events, last, error = tell(data, options)
    found = summary(events + last)
    rows = [f'"{key}": {json.dumps(value)}' for key, value in (("options", options), ("error", error)) if value]
    rows += [f'"{key}": {json.dumps(value)}' for key, value in found.items() if key != "events"]
    if "events" in found:
        rows.append('"events": [' + ",".join("\n" + event for event in found["events"]) + "]")
    with open(os.path.join(FOLDER, name + ".json"), "w", encoding="utf-8") as file:
        file.write("{" + ",\n".join(rows) + "}\n")
