# SPDX-License-Identifier: MIT
"""Queues that others use, with the no-op of Paddock's own measurement, on the same Redis and measured in the same way. Each is
started as its manual has it. One that is not installed is named, with what installs it, and left out."""

import gc
import importlib.metadata
import os
import shutil
import subprocess
import time

import pool

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
# Where npm has put what the benchmark needs: outside of the tree, which no package of a registry gets into.
NODE_FOLDER = os.environ.get("PADDOCK_BENCH_NODE") or os.path.expanduser("~/.cache/paddock-bench")
WARM = 10  # the first tenth of the jobs is not counted: in it workers come up


def rate(done, jobs):
    """Jobs per second, of so many that are waiting now. `done`: a function that says how many have a result."""
    first = start = 0
    end = time.monotonic() + pool.PATIENCE
    while time.monotonic() < end:
        count, now = done(), time.perf_counter()
        if count >= jobs:
            return (jobs - first) / (now - start)
        if first == 0 and count >= jobs // WARM:
            first, start = count, now
        time.sleep(0.002)
    raise AssertionError(f"{done()} of {jobs} jobs have ended")


def is_installed(distribution):
    try:
        return bool(importlib.metadata.version(distribution))
    except importlib.metadata.PackageNotFoundError:
        return False


class Peer:
    """with Rq(server, workers) as peer: what waits is worked on. `server`: a pool.RedisServer that holds nothing else."""

    def __init__(self, server, workers):
        self.server, self.workers, self.processes = server, workers, []
        self.redis = server.connect()
        self.redis.flushall()

    def start(self, *command, **options):
        self.processes.append(subprocess.Popen(command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL, **options))

    def __enter__(self):
        self.work()
        return self

    def __exit__(self, *error):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(pool.PATIENCE)

    def throughput(self, jobs):
        self.enqueue(jobs)
        before = self.done()
        with self:
            return rate(lambda: self.done() - before, jobs)


class Rq(Peer):
    """A worker forks for each job, and isolates nothing."""

    label = "rq, a fork per job"
    install = "apt-get install python3-rq"

    @staticmethod
    def is_there():
        return is_installed("rq")

    def __init__(self, *words):
        super().__init__(*words)
        import rq
        self.queue = rq.Queue(connection=self.redis)

    def work(self):
        code = "from rq.cli import main; main()"
        for _ in range(self.workers):
            self.start(PYTHON, "-c", code, "worker", "-q", "-u", f"unix://{self.server.socket}",
                       env={**os.environ, "PYTHONPATH": HERE})

    def enqueue(self, jobs):
        for _ in range(jobs):
            self.queue.enqueue("rq_job.job")

    def done(self):
        return self.redis.zcard("rq:finished:default")

    def latency(self, jobs):
        for _ in range(jobs):
            start = time.perf_counter()
            handle = self.queue.enqueue("rq_job.job")
            while not handle.is_finished:
                time.sleep(0.0002)
            yield (time.perf_counter() - start) * 1000


class Celery(Peer):
    """Processes that are used again and again, and isolate nothing."""

    label = "Celery, prefork"
    install = "apt-get install python3-celery"

    @staticmethod
    def is_there():
        return is_installed("celery")

    def __init__(self, *words):
        super().__init__(*words)
        os.environ["PADDOCK_BENCH_REDIS"] = self.server.socket
        import celery_job
        self.app = celery_job.connect()
        self.task = self.app.tasks["celery_job.job"]

    def work(self):
        self.start(PYTHON, "-m", "celery", "-A", "celery_job", "worker", "--pool", "prefork", "--loglevel", "ERROR",
                   "--concurrency", str(self.workers), env={**os.environ, "C_FORCE_ROOT": "1"})

    def __exit__(self, *error):
        super().__exit__(*error)
        gc.collect()  # results talk to Redis as they go: while it is there
        self.app.close()

    def enqueue(self, jobs):
        for _ in range(jobs):
            self.task.delay()

    def done(self):
        """Results are its only keys that expire, and that count costs Redis nothing."""
        return self.redis.info("keyspace").get("db0", {"expires": 0})["expires"]

    def latency(self, jobs):
        for _ in range(jobs):
            start = time.perf_counter()
            self.task.delay().get(timeout=pool.PATIENCE)
            yield (time.perf_counter() - start) * 1000


class BullMq(Peer):
    """A processor in a file, and so in processes of its own, which are used again and again, and isolate nothing."""

    label = "BullMQ, processor in a file"
    install = f"npm install --prefix {NODE_FOLDER} bullmq@5"

    @staticmethod
    def is_there():
        return shutil.which("node") is not None and os.path.isdir(os.path.join(NODE_FOLDER, "node_modules", "bullmq"))

    def command(self, *words):
        return ["node", os.path.join(HERE, "bullmq.mjs"), NODE_FOLDER, self.server.socket, *map(str, words)]

    def work(self):
        self.start(*self.command("work", self.workers))

    def enqueue(self, jobs):
        subprocess.run(self.command("enqueue", jobs), check=True, stdout=subprocess.DEVNULL)

    def done(self):
        return self.redis.zcard("bull:bench:completed")

    def latency(self, jobs):
        """In a client of its own language, by its own clock."""
        output = subprocess.run(self.command("latency", jobs), stdout=subprocess.PIPE, text=True, check=True).stdout
        yield from map(float, output.split())


PEERS = {"rq": Rq, "celery": Celery, "bullmq": BullMq}


def missing():
    """{name: what installs it} of those that are not there."""
    return {name: peer.install for name, peer in PEERS.items() if not peer.is_there()}


def measure(server, jobs, waits, note):
    """{name: {"jobs/s": {workers: rate}, "result": [ms, ...]}} of those that are there."""
    figures = {}
    for name, peer in PEERS.items():
        if not peer.is_there():
            continue
        found = figures[name] = {"jobs/s": {}}
        for workers in (1, 2):
            note(f"{name}, {workers} workers")
            found["jobs/s"][workers] = peer(server, workers).throughput(jobs)
        note(f"{name}, latency")
        with peer(server, 1) as running:
            found["result"] = list(running.latency(waits + 5))[5:]  # the first ones wait for the worker to come up
    return figures
