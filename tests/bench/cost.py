# SPDX-License-Identifier: MIT
"""What a job costs in computing time, beside a bare fork of the same interpreter and beside sandboxes that start one
Python a job. By the kernel's own accounts, so that what else runs on the machine is not in it."""

import ctypes
import os
import resource
import shutil
import statistics
import subprocess
import time

import pool

PR_SET_CHILD_SUBREAPER = 36
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")

PYTHON = ["/usr/bin/python3", "-I", "-c"]
# As their manuals have it for a command that nobody trusts: its own namespaces, no network, nothing but /usr, a filter.
PEERS = {
    "python3": [],
    "bubblewrap + python3": [
        "bwrap", "--unshare-all", "--new-session", "--die-with-parent", "--cap-drop", "ALL", "--ro-bind", "/usr", "/usr",
        "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin",
        "--proc", "/proc", "--dev", "/dev"],
    "firejail + python3": [
        "firejail", "--quiet", "--noprofile", "--private", "--private-dev", "--net=none", "--caps.drop=all", "--nonewprivs",
        "--seccomp"],
}


def ticks(pid):
    """Of a process and of its children that it has waited for, in ms."""
    with open(f"/proc/{pid}/stat") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:15])) * TICK_MS


def run_ms(pid):
    """Of a process's own threads, to the nanosecond: many processes that each do little add up."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e6


def measure_pool(jobs, source):
    """{what: ms a job}; a sandbox is its zygote's child, and forked for each job. Busy: all jobs wait in the queue. Idle: one
    at a time, so that each sandbox rehearses ahead of its job."""
    figures = {}
    with pool.Pool(workers=1, log_level="warning") as p:
        data = pool.make_zip(source)
        for _ in range(20):
            p.client.run(data)
        for how, run in ("busy", run_at_once), ("idle", run_in_turn):
            members = {f"sandbox, {how}": p.zygote(), f"relay, {how}": p.relays()[0]}
            before = {name: ticks(pid) for name, pid in members.items()}
            run(p.client, data, jobs)
            p.count_fds()  # when the last sandbox is gone
            figures |= {name: (ticks(pid) - before[name]) / jobs for name, pid in members.items()}
    return figures


def fill(client, data, jobs):
    """The ids of so many jobs, none of which is taken yet."""
    client.redis.set(client.key("paused"), 1)
    return [client.enqueue(data) for _ in range(jobs)]


def let_go(client, workers):
    client.redis.delete(client.key("paused"))
    client.redis.lpush(client.key("wake"), *["1"] * workers)


def run_at_once(client, data, jobs):
    queued = fill(client, data, jobs)
    let_go(client, 1)
    assert all(client.wait(job).verdict == "ok" for job in queued)


def run_in_turn(client, data, jobs):
    assert all(client.run(data).verdict == "ok" for _ in range(jobs))


def run_peer(command):
    """(ms of computing time, ms from start to end). Waits for whatever the command leaves to us: bubblewrap goes before the
    init of its namespace does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wall = time.perf_counter() - start
    assert done.stdout == "3\n", (command, done.stdout, done.stderr)
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000, wall * 1000


def measure(rounds, jobs, source, floor, note):
    """`floor`: a function that measures it, in ms a job. {what: [ms, ...]}, and {peer: [ms, ...]} from start to end."""
    cpu, wall = {}, {}
    peers = {name: [*words, *PYTHON, source] for name, words in PEERS.items() if not words or shutil.which(words[0])}
    libc = ctypes.CDLL(None)
    for turn in range(rounds):
        note(f"cost: round {turn + 1} of {rounds}")
        cpu.setdefault("floor", []).append(floor())
        for name, value in measure_pool(jobs, source).items():
            cpu.setdefault(name, []).append(value)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for name, command in peers.items():
            for _ in range(20):
                used, took = run_peer(command)
                cpu.setdefault(name, []).append(used)
                wall.setdefault(name, []).append(took)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    note("")
    return cpu, wall


def summarise(cpu, wall):
    median = {name: statistics.median(values) for name, values in cpu.items()}
    return {
        "cost_cpu_ms": median,
        "cost_wall_ms": {name: statistics.median(values) for name, values in wall.items()},
        "cost_beyond_floor_ms": median["sandbox, busy"] - median["floor"],
    }


def show(summary):
    for number, (name, value) in enumerate(summary["cost_cpu_ms"].items()):
        label = name if name in PEERS else "floor: bare fork" if name == "floor" else f"Paddock, {name}"
        print(f"{'computing, ms a job' if number == 0 else '':18} {label:30} {value:>19.2f}")
    for number, (name, value) in enumerate(summary["cost_wall_ms"].items()):
        print(f"{'result, ms' if number == 0 else '':18} {name:30} {value:>20.2f}")
    for name in PEERS:
        if name not in summary["cost_wall_ms"]:
            print(f"{'':18} {name:30} {'not installed':>20}")
