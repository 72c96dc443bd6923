# SPDX-License-Identifier: MIT
"""What recording costs: five programs, and one that does little but raise, under every trace level, beside coverage's C tracer,
cProfile and sys.settrace, all in turn in one run, so that noise hits them alike. Computing time, with what the interpreter takes
to start taken off."""

import os
import resource
import statistics
import subprocess
import tempfile

import pool
import recording

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = "fib", "nbody", "richards", "pidigits", "json_regex"
EACH = (*PROGRAMS, "raising")  # of which no figure is an aim
LEVELS = "off", "calls", "lines", "steps"
PYTHON = "/usr/bin/python3"
LONG = {"cpu_ms": 300_000, "wall_ms": 600_000, "memory_mb": 512}

SETTRACE = "import sys\ndef trace(*a): return trace\nsys.settrace(trace)\nexec(compile(open(sys.argv[1]).read(), sys.argv[1], 'exec'))\n"
PEERS = {
    "python3": [PYTHON],
    "libpython": [],  # the command of the pool's own libpython: the caller says where it is
    # Each writes what it found into the folder that it runs in.
    "coverage": [PYTHON, "-m", "coverage", "run", "--data-file=data"],
    "cProfile": [PYTHON, "-m", "cProfile", "-o", "data"],
    "sys.settrace, empty": [PYTHON, "-c", SETTRACE],
}


def path_of(program):
    return os.path.join(HERE, "programs", program + ".py")


def peer_ms(command, path, folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def source_of(program, times=1):
    with open(path_of(program)) as file:
        return file.read() * times


EVENTS = (*recording.TRACE, "variable")


def run_traced(client, source, level):
    """(computing time in ms, events that its recording holds, bytes of the recording) of a job. What a recording has no room
    for is no event of it."""
    job = client.run(source, trace=level, **LONG)
    assert job.verdict == "ok", job.result
    events = sum(r["records"] if r["kind"] == "repeat" else r["kind"] in EVENTS for r in recording.decode(job.recording))
    return job.result["cpu_ms"], events, len(job.recording)


OFTEN = 5  # as a job's time is told in whole milliseconds


def measure_off(client, program, command, folder):
    """ms of the program, run often: as a job without a trace, and by the command."""
    source = source_of(program, OFTEN)
    path = os.path.join(folder, "often.py")
    with open(path, "w") as file:
        file.write(source)
    return (run_traced(client, source, "off")[0] - run_traced(client, source_of("empty"), "off")[0],
            peer_ms(command, path, folder) - peer_ms(command, path_of("empty"), folder))


def measure(rounds, build, note):
    """({program: {what: [ms of each round]}}, {level: [bytes an event]}): of programs that have so many that it matters."""
    libpython = [os.path.join(build, "tests", "bench", "python")]
    peers = {**PEERS, "libpython": libpython}
    times = {program: {} for program in EACH}
    sizes = {level: [] for level in LEVELS[1:]}
    with (pool.Pool(workers=1, max_cpu_ms=300_000, max_wall_ms=600_000) as p, tempfile.TemporaryDirectory() as folder):
        for number in range(rounds):
            for program in EACH:
                note(f"trace: {program}, round {number + 1} of {rounds}")
                for level in LEVELS:
                    ms, events, size = run_traced(p.client, source_of(program), level)
                    # Without what it takes to start, and for its own imports.
                    times[program].setdefault(level, []).append(ms - run_traced(p.client, source_of("empty"), level)[0])
                    if program in PROGRAMS and events > 1000:
                        sizes[level].append(size / events)
                for name, command in peers.items():
                    took = peer_ms(command, path_of(program), folder) - peer_ms(command, path_of("empty"), folder)
                    times[program].setdefault(name, []).append(took)
                for name, ms in zip(("often", "often, libpython"), measure_off(p.client, program, libpython, folder)):
                    times[program].setdefault(name, []).append(ms)
    return times, sizes


def slowdown(times, what):
    pair = {"off": ("often", "often, libpython")}.get(what, (what, "off" if what in LEVELS else "python3"))
    traced, untraced = (statistics.median(times[name]) for name in pair)
    return traced / untraced


def summarise(times, sizes):
    slow = {what: {program: slowdown(times[program], what) for program in EACH}
            for what in (*LEVELS, *list(PEERS)[1:])}

    def worst(one, other):
        return max(slow[one][program] / slow[other][program] for program in PROGRAMS)

    return {
        "trace_slowdown": slow,
        "trace_bytes_an_event": max(statistics.mean(sizes[level]) for level in ("calls", "lines")),
        "trace_bytes_an_event_of_steps": statistics.mean(sizes["steps"]),
        "trace_off_slowdown": max(slow["off"][program] for program in PROGRAMS),
        "trace_calls_to_cprofile": worst("calls", "cProfile"),
        "trace_lines_to_coverage": worst("lines", "coverage"),
        "trace_steps_slowdown": max(slow["steps"][program] for program in PROGRAMS),
    }


def show(summary):
    print(f"{'slowdown by a trace':30}" + "".join(f"{program:>11}" for program in EACH))
    for what, values in summary["trace_slowdown"].items():
        name = f"Paddock, {what}" if what in LEVELS else what
        print(f"{name:30}" + "".join(f"{values[program]:11.2f}" for program in EACH))
    print(f"{'bytes an event, at most':30}{summary['trace_bytes_an_event']:11.2f}")
    print(f"{'of steps, values being texts':30}{summary['trace_bytes_an_event_of_steps']:11.2f}")
