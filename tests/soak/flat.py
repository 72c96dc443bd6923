# SPDX-License-Identifier: MIT
"""Many jobs through one pool, without a fault: does anything grow? In equal steps the queue is let run empty, the results are
let expire, and it is looked what each process has, and Redis."""

import collections
import random
import re
import statistics
import time

import pool

OPEN_AT_MOST = 200
KEEP_S = 1  # results expire at once
POOL = {"log_level": "warning"}
PROGRAMS = (
    "x = 1 + 2\nprint(x)\n",
    "print('x' * 5000)\n",
    "import json\nprint(json.dumps({'a': [1, 2]}))\n",
    "raise ValueError('x')\n",
)
FIELDS = ({}, {"trace": "calls"}, {"trace": "lines"}, {"encoding": "json"}, {"stdin": "x" * 1000})

# What is looked at: its unit; by how much it may grow from the first sample of the second half to the last one; whether a build
# with sanitizers, which keep what is freed, can tell.
FIGURES = {
    "processes": ("", 0, True),
    "fds": ("", 4, True),  # a zygote that is being renewed, or a link to it
    "keys": ("", 0, True),
    "redis_kb": ("KB", 512, True),
    "supervisor_rss_kb": ("KB", 256, False),
    "supervisor_pss_kb": ("KB", 256, False),
    "zygote_rss_kb": ("KB", 1024, False),
    "zygote_pss_kb": ("KB", 1024, False),
    "relays_rss_kb": ("KB", 1024, False),
    "relays_pss_kb": ("KB", 1024, False),
}
NOISE = 3  # growth of less than so many times what samples differ from their own line is none


def memory_of(pids):
    """(RSS, PSS) in KB of all of them."""
    sums = collections.Counter()
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            sums.update({name: int(size) for name, size in re.findall(r"^(Rss|Pss): +(\d+) kB", file.read(), re.M)})
    return sums["Rss"], sums["Pss"]


def sample(p, server):
    """When the pool is idle."""
    client = p.client
    fds = sum(p.count_fds().values())
    for kind in ("job:*", "frames:*"):
        pool.wait_until(lambda: not any(client.redis.scan_iter(client.prefix + kind, count=1000)), "all results expire")
    found = {"processes": 1 + len(p.processes()), "fds": fds, "keys": client.redis.dbsize(),
             "redis_kb": client.redis.info("memory")["used_memory"] // 1024}
    for name, pids in ("supervisor", [p.process.pid]), ("zygote", [p.zygote()]), ("relays", p.relays()):
        found[f"{name}_rss_kb"], found[f"{name}_pss_kb"] = memory_of(pids)
    return found


def run(client, dice, programs, number):
    """Returns when all have ended."""
    left = number
    while left > 0 or client.redis.zcard(client.key("open")) > 0:
        room = OPEN_AT_MOST - client.redis.zcard(client.key("open"))
        for _ in range(min(room, left)):
            client.enqueue(dice.choice(programs), keep_s=KEEP_S, tenant=f"tenant-{dice.randrange(20)}",
                           priority=dice.choice(("interactive", "normal", "batch")), **dice.choice(FIELDS))
            left -= 1
        time.sleep(0.01)


def slope(values):
    """Of the line through them, per step: the median of all slopes between two, which single samples cannot move (Theil and
    Sen)."""
    return statistics.median((values[j] - values[i]) / (j - i) for i in range(len(values)) for j in range(i + 1, len(values)))


def growth(values):
    """Of the second half of the samples: (by how much they grow along their line, how far they are from it)."""
    half = values[len(values) // 2:]
    step = slope(half)
    rests = [value - step * number for number, value in enumerate(half)]
    middle = statistics.median(rests)
    return step * (len(half) - 1), statistics.median(abs(rest - middle) for rest in rests)


def judge(samples):
    """What grows: sentences."""
    for name, (unit, most, always) in FIGURES.items():
        grown, noise = growth([one[name] for one in samples])
        if grown > max(most, NOISE * noise) and (always or not pool.SANITIZED):
            yield f"{name} grows by {grown:.0f} {unit} in the second half; at most {max(most, NOISE * noise):.0f}"


def measure(options, number, note):
    dice = random.Random(options.seed)
    programs = [pool.make_zip(source) for source in PROGRAMS]
    samples, begun = [], time.monotonic()
    with pool.RedisServer() as server, pool.Pool(workers=options.workers, redis=server.address, **POOL) as p:
        run(p.client, dice, programs, options.workers * 5)
        for step in range(options.samples):
            note(f"flat: {number * step // options.samples} of {number} jobs")
            run(p.client, dice, programs, number * (step + 1) // options.samples - number * step // options.samples)
            samples.append({"jobs": number * (step + 1) // options.samples, **sample(p, server)})
    return {"jobs": number, "workers": options.workers, "seconds": round(time.monotonic() - begun, 1), "samples": samples,
            "growth": {name: [round(part, 1) for part in growth([one[name] for one in samples])] for name in FIGURES},
            "wrong": list(judge(samples))}


def show(figures):
    print(f"flat: {figures['jobs']} jobs, {figures['workers']} workers, {figures['seconds']} s")
    names = ["jobs", *FIGURES]
    heads = [name.removesuffix("_kb").replace("_", " ") for name in names]
    print(" ".join(f"{head:>{max(len(head), 7)}}" for head in heads))
    for one in figures["samples"]:
        print(" ".join(f"{one[name]:>{max(len(head), 7)}}" for name, head in zip(names, heads)))
    for label, part in ("grown", 0), ("noise", 1):
        row = [label, *(f"{figures['growth'][name][part]:.0f}" for name in FIGURES)]
        print(" ".join(f"{value:>{max(len(head), 7)}}" for value, head in zip(row, heads)))
    for sentence in figures["wrong"]:
        print(f"WRONG: {sentence}")
    print(f"flat: {len(figures['wrong'])} things grow")
