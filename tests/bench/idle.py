# SPDX-License-Identifier: MIT
"""What a worker costs that waits for a job: memory that is nobody else's, and computing time, beside peers whose workers wait as
well. By the kernel's own accounts of each process."""

import os
import time

import cost
import peers
import pool

WORKERS = 8
WATCH_S = 20


def own_kb(pid):
    """What would be free without it: pages that no other process has, and its share of shared memory (a ring is the relay's and
    the sandbox's)."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("Private_Clean:", "Private_Dirty:", "Pss_Shmem:")))


def watch(groups, workers):
    """{group: (MB, ms of computing a second)} for each worker, of {group: pids}."""
    def used():
        return {name: sum(cost.run_ms(pid) for pid in pids) for name, pids in groups.items()}

    before, start = used(), time.monotonic()
    time.sleep(WATCH_S)
    after, took = used(), time.monotonic() - start
    return {name: (sum(map(own_kb, pids)) / 1024 / workers, (after[name] - before[name]) / took / workers)
            for name, pids in groups.items()}


def measure_paddock(server):
    """Each has run a job before: its ring was written, and its sandbox is not the first."""
    with pool.Pool(workers=WORKERS, redis=server.address, log_level="warning") as p:
        data = pool.make_zip("print(1)\n")
        for job in [p.client.enqueue(data) for _ in range(10 * WORKERS)]:
            p.client.wait(job)
        p.count_fds()  # when a sandbox waits for each
        return watch({"relay": p.relays(), "sandbox that waits": p.sandboxes(),
                      "zygote and supervisor": [p.zygote(), p.process.pid], "redis-server": [server.process.pid]}, WORKERS)


def measure_peer(peer, server):
    """All of its processes, once each has had work."""
    with peer(server, WORKERS) as running:
        before = running.done()
        running.enqueue(10 * WORKERS)
        pool.wait_until(lambda: running.done() - before >= 10 * WORKERS, "its jobs are done")
        pids = {pid for process in running.processes for pid in (process.pid, *pool.children_of(process.pid))}
        return watch({"all": sorted(pids), "redis-server": [server.process.pid]}, WORKERS)


def measure(note):
    figures = {}
    with pool.RedisServer() as server:
        note("idle: Paddock")
        figures["Paddock"] = measure_paddock(server)
        for peer in peers.PEERS.values():
            if peer.is_there():
                note(f"idle: {peer.label}")
                figures[peer.label] = measure_peer(peer, server)
    note("")
    worker = [figures["Paddock"][name] for name in ("relay", "sandbox that waits")]
    return {"idle": figures, "idle_worker_mb": sum(mb for mb, _ in worker)}


def show(summary):
    for number, (name, groups) in enumerate(summary["idle"].items()):
        for group, (mb, ms) in groups.items():
            print(f"{'a worker that waits' if number == 0 and group == 'relay' else '':20} {name + ', ' + group:44} "
                  f"{mb:>6.2f} MB {ms:>7.2f} ms/s")
    for name, command in peers.missing().items():
        print(f"{'missing':20} {peers.PEERS[name].label}: {command}")
