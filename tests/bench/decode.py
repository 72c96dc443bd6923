# SPDX-License-Identifier: MIT
"""As decode.mjs, with deploy/clients/recording.py and Python's json: decode.py FILE."""

import codecs
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "clients"))

import recording  # noqa: E402

SLICE = 1 << 18


def decode(pieces):
    trace = recording.Trace()
    events = sum(1 for piece in pieces for _ in trace.push(piece))
    return events + sum(1 for _ in trace.finish())


def split(pieces):
    decoder, rest, events = codecs.getincrementaldecoder("utf-8")(), "", 0
    for piece in pieces:
        *lines, rest = (rest + decoder.decode(piece)).split("\n")
        events += sum("kind" in json.loads(line) for line in lines)
    return events


with open(sys.argv[1], "rb") as file:
    data = file.read()
start = time.perf_counter()
events = (split if data[:1] == b"{" else decode)([data[at:at + SLICE] for at in range(0, len(data), SLICE)])
print(events, time.perf_counter() - start)
