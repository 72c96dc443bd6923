# SPDX-License-Identifier: MIT
"""What a job costs as the queue, its tenants and its workers grow: computing time by the kernel's own accounts, and jobs per
second, of the same no-op. The queue is kept as full as it is said to be while the jobs run."""

import statistics
import time

import cost
import pool

BATCH = 500  # enqueued in one write

# What grows, and how far; the others stay: jobs that wait, tenants, workers.
SERIES = {
    "queued jobs": ([10, 100, 1_000, 10_000, 100_000], lambda value: (value, 1, 2)),
    "tenants": ([1, 10, 100, 1_000], lambda value: (10_000, value, 2)),
    "workers": ([1, 2, 4, 16, 64], lambda value: (1_000, 1, value)),
}


class Feeder:
    """Keeps so many jobs in the queue, of so many tenants in turn."""

    def __init__(self, client, data, queued, tenants):
        self.client, self.data, self.queued, self.tenants = client, data, queued, tenants
        self.count = 0

    def enqueue(self, number):
        pipe = self.client.redis.pipeline(transaction=False)
        for _ in range(number):
            self.count += 1
            pipe.set(self.client.key("up:", str(self.count)), self.data, ex=60)
            pipe.execute_command("FCALL", "paddock_enqueue", 1, self.client.key("open"), f"job-{self.count}", "upload",
                                 str(self.count), "tenant", f"tenant-{self.count % self.tenants}", "max_wait_s", 3600)
        pipe.execute()

    def top_up(self):
        """Returns how many have ended by now."""
        waiting = self.client.redis.zcard(self.client.key("open"))
        for start in range(0, self.queued - waiting, BATCH):
            self.enqueue(min(BATCH, self.queued - waiting - start))
        return self.count - max(waiting, self.queued)


def measure_one(server, queued, tenants, workers, jobs, data):
    """{"jobs/s", and who: ms of computing time a job}"""
    server.connect().flushall()
    with pool.Pool(workers=workers, redis=server.address, log_level="warning") as p:
        client = p.client
        client.redis.hset(client.key("conf"), mapping={"max_jobs": 2 * queued + 1000, "max_tenant_jobs": 2 * queued + 1000})
        for _ in range(2 * workers):
            client.run(data)
        client.redis.set(client.key("paused"), 1)
        feeder = Feeder(client, data, queued, tenants)
        feeder.top_up()
        members = {"redis": ([server.process.pid], cost.run_ms), "relays": (p.relays(), cost.run_ms),
                   "sandboxes": ([p.zygote()], cost.ticks)}
        before = {name: sum(map(read, pids)) for name, (pids, read) in members.items()}
        cost.let_go(client, min(workers, 64))
        start = time.perf_counter()
        while feeder.top_up() < jobs:
            time.sleep(0.002)
        took = time.perf_counter() - start
        used = {name: (sum(map(read, pids)) - before[name]) / jobs for name, (pids, read) in members.items()}
        client.redis.set(client.key("paused"), 1)
    return {"jobs/s": jobs / took, **used}


def measure(rounds, jobs, source, note):
    """{what grows: {value: {figure: median}}}"""
    data, figures = pool.make_zip(source), {}
    for turn in range(rounds):
        with pool.RedisServer() as server:
            for name, (values, shape) in SERIES.items():
                for value in values:
                    note(f"scale: round {turn + 1} of {rounds}, {value} {name}")
                    found = figures.setdefault(name, {}).setdefault(value, [])
                    found.append(measure_one(server, *shape(value), jobs, data))
    note("")
    return {name: {value: {figure: statistics.median(one[figure] for one in found) for figure in found[0]}
                   for value, found in row.items()} for name, row in figures.items()}


def queue_cost(figures):
    """What the queue has of a job: programs are not its own."""
    return figures["redis"] + figures["relays"]


def summarise(figures):
    worst = {name: max(queue_cost(one) for one in row.values()) / queue_cost(next(iter(row.values())))
             for name, row in figures.items()}
    return {"scale": figures, "scale_worst": worst, "scale_growth": max(worst.values())}


def show(summary):
    print("computing, ms a job; redis and relays together also against the smallest")
    print(f"{'':12} {'':>8} {'jobs/s':>8} {'redis':>8} {'relays':>8} {'sandboxes':>10} {'both':>8} {'ratio':>7}")
    for name, row in summary["scale"].items():
        first = queue_cost(next(iter(row.values())))
        for number, (value, one) in enumerate(row.items()):
            print(f"{name if number == 0 else '':12} {value:8} {one['jobs/s']:8.0f} {one['redis']:8.3f} {one['relays']:8.3f} "
                  f"{one['sandboxes']:10.2f} {queue_cost(one):8.3f} {queue_cost(one) / first:7.2f}")
