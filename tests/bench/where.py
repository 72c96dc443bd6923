# SPDX-License-Identifier: MIT
"""Where the time of a no-op job goes: for each process computing time a job and, in a second run under strace, its calls of the
kernel a job; and which commands Redis is given for it."""

import collections
import os
import re
import subprocess
import tempfile

import cost
import pool


def commands(client):
    """{command: how often} since the server's start."""
    return {name.removeprefix("cmdstat_"): row["calls"] for name, row in client.redis.info("commandstats").items()}


def members_of(p, server):
    return {"redis-server": [server.process.pid], "relay": p.relays(), "zygote": [p.zygote()], "supervisor": [p.process.pid]}


class Trace:
    """strace on these processes; one of `forks` with its children. `calls` is {process: {call: how often}} when it is over."""

    def __init__(self, members, forks):
        self.members, self.forks = members, forks

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.tracers = []
        for name, pids in self.members.items():
            words = [word for pid in pids for word in ("-p", str(pid))]
            self.tracers.append(subprocess.Popen(
                ["strace", *(["-ff"] if name in self.forks else []), "-o", os.path.join(self.folder.name, name), *words],
                stderr=subprocess.PIPE, text=True))
        for tracer in self.tracers:
            assert "attached" in tracer.stderr.readline()
        return self

    def __exit__(self, *error):
        for tracer in self.tracers:
            tracer.terminate()
            tracer.communicate()
        self.calls = collections.defaultdict(collections.Counter)
        for path in os.listdir(self.folder.name):
            name, _, pid = path.partition(".")
            process = "sandbox" if pid and int(pid) not in self.members[name] else name
            with open(os.path.join(self.folder.name, path), errors="replace") as file:
                for line in file:
                    if match := re.match(r"(?:\d+ +)?(\w+)\(", line):
                        self.calls[process][match[1]] += 1
        self.folder.cleanup()


def measure(jobs, source, note):
    """With one worker and all jobs in the queue: {"cpu_ms": {process: ms a job}, "calls": {process: {call: per job}},
    "commands": {command: per job}}."""
    data = pool.make_zip(source)
    with pool.RedisServer() as server, pool.Pool(workers=1, redis=server.address, log_level="warning") as p:
        client, members = p.client, members_of(p, server)
        for _ in range(20):
            client.run(data)
        note("where: computing time")
        queued = cost.fill(client, data, jobs)
        ticks = {name: sum(map(cost.run_ms, pids)) for name, pids in members.items()}
        born, given = cost.ticks(p.zygote()), commands(client)
        cost.let_go(client, 1)
        pool.wait_until(lambda: client.redis.zcard(client.key("open")) == 0, "all have ended", pool.PATIENCE)
        used = {name: (sum(map(cost.run_ms, pids)) - ticks[name]) / jobs for name, pids in members.items()}
        used["sandbox"] = (cost.ticks(p.zygote()) - born) / jobs - used["zygote"]
        asked = {name: (count - given.get(name, 0)) / jobs for name, count in commands(client).items()}
        assert all(client.wait(job).verdict == "ok" for job in queued)
        note("where: calls")
        queued = cost.fill(client, data, jobs // 5)
        with Trace(members, {"zygote"}) as trace:
            cost.let_go(client, 1)
            pool.wait_until(lambda: client.redis.zcard(client.key("open")) == 0, "all have ended", pool.PATIENCE)
    note("")
    return {"cpu_ms": used, "calls": {name: {call: count / (jobs // 5) for call, count in calls.most_common()}
                                      for name, calls in trace.calls.items()},
            "commands": {name: count for name, count in asked.items() if count >= 0.05 and name != "zcard"}}


def show(figures):
    where = figures["where"]
    print("| process | ms of computing a job | calls of the kernel a job |")
    print("|---|---|---|")
    for name, used in where["cpu_ms"].items():
        calls = {call: count for call, count in where["calls"].get(name, {}).items() if count >= 0.05}
        listed = ", ".join(f"{call} {count:.1f}" for call, count in calls.items())
        print(f"| {name} | {used:.3f} | {sum(calls.values()):.1f}: {listed} |")
    print("\nRedis's commands a job: " + ", ".join(f"{name} {count:.1f}" for name, count in sorted(
        where["commands"].items(), key=lambda item: -item[1])))
