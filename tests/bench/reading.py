# SPDX-License-Identifier: MIT
"""What a trace is worth at its other end: how many events a second reach a reader of the Stream while the program runs, what
it waits for them, and how many a second each decoder tells. Beside the decoders, JSON's own of the same language, on the
recording of the same program as lines of JSON (whose level is calls)."""

import json
import os
import statistics
import subprocess
import tempfile
import time

import pool
import trace

HERE = os.path.dirname(os.path.abspath(__file__))
REACH = 5.0  # million events a second that Redis must carry, of programs that make as many
WHOLE = {**trace.LONG, "recording_kb": 1 << 20}  # nothing of it is left out
DECODERS = {
    "node, recording.js": ["node", os.path.join(HERE, "decode.mjs")],
    "Python, recording.py": [trace.PYTHON, os.path.join(HERE, "decode.py")],
}


def produced(path):
    """Trace records of a whole recording, as its end says."""
    command = subprocess.run([pool.program("paddock"), "trace", path, "--format", "json"], stdout=subprocess.PIPE, check=True)
    return json.loads(command.stdout[command.stdout.rindex(b"\n", 0, -1) + 1:])["produced"]


def run(client, program, path, **fields):
    """(seconds from the first slice to the last as a reader sees them, the result) of a job whose recording is kept in a file."""
    with open(trace.path_of(program)) as file:
        job = client.enqueue(pool.make_zip(file.read()), **WHOLE, **fields)
    first = last = None
    with open(path, "wb") as file:
        for entry in client.entries(job):
            if entry[b"k"] == b"slice":
                last = time.perf_counter()
                first = first or last
                file.write(entry[b"d"])
            elif entry[b"k"] == b"result":
                result = json.loads(entry[b"d"])
    client.redis.delete(client.key("frames:", job))
    assert result["verdict"] == "ok", result
    return last - first, result


def decode(command, path):
    events, seconds = subprocess.run([*command, path], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return int(events) / float(seconds)


def measure(rounds, note):
    """{what: {program: [million events a second, or a ratio, of each round]}}"""
    figures = {}

    def keep(what, program, value):
        figures.setdefault(what, {}).setdefault(program, []).append(value)

    with (tempfile.TemporaryDirectory() as folder,
          pool.Pool(workers=1, max_cpu_ms=300_000, max_wall_ms=600_000, log_level="warning") as p):
        whole, lines = os.path.join(folder, "whole"), os.path.join(folder, "lines")
        for number in range(rounds):
            for program in trace.PROGRAMS:
                note(f"reading: {program}, round {number + 1} of {rounds}")
                seconds, result = run(p.client, program, whole, trace="lines")
                events = produced(whole) / 1e6
                keep("made, by a second of computing", program, events / result["cpu_ms"] * 1000)
                keep("through Redis, to a reader", program, events / seconds)
                keep("time : computing of its program", program, result["wall_ms"] / result["cpu_ms"])
                run(p.client, program, lines, trace="calls", encoding="json")
                for name, command in DECODERS.items():
                    keep(name, program, decode(command, whole) / 1e6)
                    keep(f"{name.partition(',')[0]}, JSON of the lines", program, decode(command, lines) / 1e6)
    note("")
    return figures


def summarise(figures):
    medians = {what: {program: statistics.median(values) for program, values in row.items()} for what, row in figures.items()}
    made, read = medians["made, by a second of computing"], medians["through Redis, to a reader"]
    return {"reading": medians,
            "reading_m_events_per_s": min(read[program] for program in trace.PROGRAMS if made[program] >= REACH),
            "reading_time_ratio": max(medians["time : computing of its program"].values())}


def show(summary):
    print(f"{'million events a second':34}" + "".join(f"{program:>11}" for program in trace.PROGRAMS))
    for what, values in summary["reading"].items():
        print(f"{what:34}" + "".join(f"{values[program]:11.2f}" for program in trace.PROGRAMS))
