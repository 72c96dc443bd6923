# SPDX-License-Identifier: MIT
"""How late limits come: what a job used when it was stopped, beyond what it might have. By the result's own figures, which
are the kernel's for computing time, and the relay's clock for the wall's. And how soon a cancel has stopped a job, as who asks
for it sees."""

import os
import time

import pool

# Threads that compute at once: hashing lets go of the interpreter's lock.
WORK = """\
import hashlib, threading
block = bytes(1 << 20)
def work():
    while True:
        hashlib.sha256(block)
for _ in range({threads} - 1):
    threading.Thread(target=work).start()
work()
"""

THREADS = (1, 2, 4)

# which limit, its value in ms, what else the job may use, the verdict
LIMITS = (("cpu", 200, {"wall_ms": 60000}, "cpu_limit"), ("wall", 200, {"cpu_ms": 60000}, "wall_limit"))


# What a running job does when it is cancelled.
CANCELLED = {"computes": "while True: pass\n", "sleeps": "import time\ntime.sleep(600)\n", "prints": "import time\nwhile True:\n    print('x' * 99)\n    time.sleep(0.001)\n",
             "its ZIP of 9 MB is fetched": None}
LARGE = 9 << 20


def cancel(client, program):
    """ms from the call that asks for it to the job's result."""
    data = pool.make_zip({"robot.py": b"while True: pass\n", "data": os.urandom(LARGE)}) if program is None else pool.make_zip(program)
    job = client.enqueue(data, wall_ms=60000, cpu_ms=60000)
    while client.job(job).get("state") != b"running":
        pass
    time.sleep(0 if program is None else 0.05)
    begin = time.monotonic()
    client.cancel(job)
    result = client.wait(job).result
    assert result["verdict"] == "cancelled", result
    return (time.monotonic() - begin) * 1000


def measure(jobs, note):
    """{"cpu": {1: [ms late, ...], ...}, "wall": {...}, "cancel": {what: [ms, ...]}}, one job at a time on an idle pool."""
    figures = {name: {threads: [] for threads in THREADS} for name, *_ in LIMITS}
    figures["cancel"] = {what: [] for what in CANCELLED}
    with pool.Pool(workers=1, log_level="warning") as p:
        for turn in range(jobs):
            for name, value, others, verdict in LIMITS:
                for threads in THREADS:
                    note(f"limits: job {turn + 1} of {jobs}, {name}, {threads} threads")
                    result = p.client.run(WORK.format(threads=threads), **{f"{name}_ms": value}, **others).result
                    assert result["verdict"] == verdict, result
                    figures[name][threads].append(result[f"{name}_ms"] - value)
            for what, program in CANCELLED.items():
                note(f"limits: job {turn + 1} of {jobs}, cancelled while it {what}")
                figures["cancel"][what].append(cancel(p.client, program))
    note("")
    return figures


def show(figures):
    """`figures`: {"cpu": {threads: {"p50": ms, ...}}, ...}"""
    for name, rows in figures.items():
        for number, (case, values) in enumerate(rows.items()):
            what = ("cancel, ms" if name == "cancel" else f"{name} limit, ms late") if number == 0 else ""
            case = case if name == "cancel" else f"threads: {case}"
            print(f"{what:18} {f'{case}, p50 / p90 / worst':50} {' / '.join(f'{v:.0f}' for v in values.values()):>20}")
