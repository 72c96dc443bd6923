# SPDX-License-Identifier: MIT
"""How late limits come: what a job used when it was stopped, beyond what it might have. By the result's own figures, which
are the kernel's for computing time, and the relay's clock for the wall's."""

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


def measure(jobs, note):
    """{"cpu": {1: [ms late, ...], ...}, "wall": {...}}, one job at a time on an idle pool."""
    figures = {name: {threads: [] for threads in THREADS} for name, *_ in LIMITS}
    with pool.Pool(workers=1, log_level="warning") as p:
        for turn in range(jobs):
            for name, value, others, verdict in LIMITS:
                for threads in THREADS:
                    note(f"limits: job {turn + 1} of {jobs}, {name}, {threads} threads")
                    result = p.client.run(WORK.format(threads=threads), **{f"{name}_ms": value}, **others).result
                    assert result["verdict"] == verdict, result
                    figures[name][threads].append(result[f"{name}_ms"] - value)
    note("")
    return figures


def show(figures):
    """`figures`: {"cpu": {threads: {"p50": ms, ...}}, ...}"""
    for name, rows in figures.items():
        for number, (threads, values) in enumerate(rows.items()):
            what = f"{name} limit, ms late" if number == 0 else ""
            print(f"{what:18} {f'threads: {threads}, p50 / p90 / worst':30} {' / '.join(str(v) for v in values.values()):>20}")
