# SPDX-License-Identifier: MIT
"""A new version rolls out beside the old one, under load: the old one's library holds jobs in every state, clients go on
enqueuing and an old relay goes on working while the pool of today starts."""

import collections
import os
import random
import re
import threading
import unittest

import pool

OLD = os.path.join(pool.ROOT, "tests", "queue", "library_4.lua")
TENANTS = [f"t{i}" for i in range(7)]
CLASSES = ["interactive", "normal", "batch"]
FINAL = {b"done", b"dead", b"cancelled", b"expired"}
LEASE_MS = 10000


def load(connection, how="FUNCTION LOAD REPLACE"):
    with open(OLD, encoding="utf-8") as file:
        connection.execute_command(*how.split(), file.read())


class Partner:
    """Whoever works beside the pool, in a thread and over a connection of his own, until the test says that it is enough. What is
    answered with an error ends it, and is kept."""

    def __init__(self, server, step, *arguments):
        self.client = pool.Client(server.connect(), "test")
        self.step, self.arguments = step, arguments
        self.enough, self.error, self.steps = threading.Event(), None, 0
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            while not self.enough.is_set():
                self.step(self.client, *self.arguments)
                self.steps += 1
                self.enough.wait(0.01)  # not more than a pool of two can take
        except Exception as error:  # told by end()
            self.error = error

    def end(self, at_least=1):
        """After so many steps."""
        pool.wait_until(lambda: self.steps >= at_least or self.error, "the partner works")
        self.enough.set()
        self.thread.join(pool.PATIENCE)
        self.client.redis.close()
        if self.error:
            raise self.error


def call(client, function, *words, how="FCALL"):
    return client.redis.execute_command(how, "paddock_" + function, 1, client.key("open"), *words)


def claim(client, owner="old"):
    """As relays of version 4 did: without a word of how long nothing will be due."""
    flat = call(client, "claim", owner, LEASE_MS, 3)
    job = dict(zip(flat[::2], flat[1::2]))
    assert not job or b"id" in job, f"a relay of version 4 does not understand {job}"
    return job


def finish(client, job):
    return call(client, "finish", job[b"id"], job[b"token"], "verdict", "ok", "exit_code", "0", "sentence", "x", "wall_ms", "1")


def old_relay(client, done, held):
    """One turn: it claims, beats, records, and finishes, gives back or loses what it has. `held`: what it had before."""
    job = held.pop() if held else claim(client)
    call(client, "depth", how="FCALL_RO")
    if not job:
        client.redis.blpop(client.key("wake"), 0.02)
        return
    client.redis.xadd(client.key("frames:", job[b"id"].decode()), {"k": "slice", "a": job[b"attempt"], "d": b""}, nomkstream=True)
    said = call(client, "beat", job[b"id"], job[b"token"], LEASE_MS)
    assert said in (b"ok", b"cancel"), said
    call(client, "input_from", job[b"id"], 0, 100, how="FCALL_RO")
    assert client.redis.get(client.key("zip:", job[b"id"].decode())), "its program is there"
    how = random.randrange(6)
    if how == 0:
        assert call(client, "requeue", job[b"id"], job[b"token"]) in (b"queued", b"cancelled")
    elif how == 1 and job[b"attempt"] == b"1":
        assert call(client, "lost", job[b"id"], job[b"token"], "x") in (b"queued", b"cancelled")
    else:
        assert finish(client, job) == b"done"
        done.append(job[b"id"].decode())


class Rollout(unittest.TestCase):
    PROGRAM = pool.make_zip("print(1)")

    def setUp(self):
        self.server = self.enterContext(pool.RedisServer())
        self.client = pool.Client(self.server.connect(), "test")
        self.addCleanup(self.client.redis.close)
        self.jobs = []

    def enqueue(self, client, **fields):
        fields = {"tenant": random.choice(TENANTS), "priority": random.choice(CLASSES), **fields}
        self.jobs.append(client.enqueue(self.PROGRAM, **fields))

    def web(self, client):
        """One turn of a client: most jobs it lets be, some it cancels."""
        self.enqueue(client, delay_ms=random.choice(["0", "0", "0", "300"]))
        if random.random() < 0.1:
            call(client, "cancel", random.choice(self.jobs))
        call(client, "position", self.jobs[-1], how="FCALL_RO")

    def leave_behind(self):
        """Jobs of every state; returns those that run."""
        for i in range(60):
            self.enqueue(self.client, tenant=TENANTS[i % 7], priority=CLASSES[i % 3])
        held = [claim(self.client) for _ in range(5)]
        for _ in range(3):
            finish(self.client, claim(self.client))
        job = self.client.redis.execute_command("FCALL", "paddock_claim", 1, self.client.key("open"), "old", LEASE_MS, 1)
        call(self.client, "lost", job[1], job[3], "x")
        for _ in range(10):
            self.enqueue(self.client, delay_ms="1000")
        call(self.client, "cancel", self.jobs[40])
        states = collections.Counter(self.client.job(job)["state"] for job in self.jobs)
        self.assertEqual(set(states), {b"queued", b"running", b"done", b"dead", b"cancelled"})
        return held

    def check_all_ended_once(self):
        for job in self.jobs:
            self.assertIn(self.client.job(job)["state"], FINAL)
            kinds = [fields[b"k"] for _, fields in self.client.redis.xrange(self.client.key("frames:", job))]
            self.assertEqual((kinds.count(b"result"), kinds[-1]), (1, b"result"), job)
        lost = [job for job in self.jobs if self.client.job(job)["state"] == b"dead"]
        self.assertEqual(len(lost), 1, "the one that was dead before")

    def check_nothing_is_left(self):
        r, key = self.client.redis, self.client.key
        for name in ("open", "lease", "waits", "delayed", "capped"):
            self.assertEqual(r.zcard(key(name)), 0, name)
        self.assertEqual((r.get(key("bytes")) or b"0", r.hgetall(key("topen")), r.hgetall(key("tact"))), (b"0", {}, {}))
        left = [k.decode()[len(self.client.prefix):] for k in r.scan_iter(self.client.prefix + "*")]
        self.assertEqual([k for k in left if re.match(r"(t\d:|rr\d|line|zip:|in:|ctl:|up:)", k)], [])
        # What ours had put off and the old one began is forgotten in time.
        self.assertEqual([k for k in left if k.startswith("later:") and r.ttl(key(k)) < 0], [])
        self.assertEqual(pool.keys_without_expiry(self.client), [])

    def version(self):
        return call(self.client, "version", how="FCALL_RO")

    def test_under_load(self):
        load(self.client.redis)
        held, done = self.leave_behind(), []
        partners = [Partner(self.server, self.web), Partner(self.server, old_relay, done, held)]
        with pool.Pool(workers=2, redis=self.server.address):
            self.assertGreater(self.version(), 4)
            self.jobs.append(self.client.enqueue(self.PROGRAM, replace="1", tenant="new"))
            partners[0].end(at_least=200)
            pool.wait_until(lambda: self.client.redis.zcard(self.client.key("open")) == 0 or partners[1].error, "all have ended")
            partners[1].end()
            self.assertEqual(held, [])
            pool.wait_until(lambda: not self.client.redis.exists(self.client.key("turns")), "nobody has a turn")
        self.check_all_ended_once()
        self.check_nothing_is_left()
        self.assertGreater(len(done), 0)
        self.assertEqual(len(set(done)), len(done))

    def test_an_old_library_in_the_place_of_ours(self):
        """An old relay was first after a flush, or had looked before ours was loaded."""
        with pool.Pool(workers=2, redis=self.server.address) as p:
            ours = self.version()
            web = Partner(self.server, self.web)
            for flush in (True, False, True):
                pipe = self.client.redis.pipeline(transaction=True)
                if flush:
                    pipe.execute_command("FUNCTION", "FLUSH")
                load(pipe)
                pipe.execute()
                pool.wait_until(lambda: self.version() == ours, "ours is there again")
            web.end(at_least=100)
            # It is seen by its version, or by what it does not have.
            self.assertRegex(p.read_log(), f'version {ours} in the place of 4|look after the queue: Redis says "ERR Function not found"')
            pool.wait_until(lambda: self.client.redis.zcard(self.client.key("open")) == 0, "all have ended")
            pool.wait_until(lambda: not self.client.redis.exists(self.client.key("turns")), "nobody has a turn")
        for job in self.jobs:
            self.assertEqual(len([1 for _, e in self.client.redis.xrange(self.client.key("frames:", job)) if e[b"k"] == b"result"]), 1)
        self.check_nothing_is_left()

    def test_while_redis_is_full(self):
        """There is no room for the functions of today: the pool does not start, and says why. The old ones go on; once there is
        room it starts beside them."""
        load(self.client.redis)
        self.enqueue(self.client)
        self.client.redis.config_set("maxmemory", 1)
        refused = pool.Pool(workers=1, redis=self.server.address)
        with self.assertRaisesRegex(AssertionError, "refuses the queue's functions: OOM"):
            refused.__enter__()
        self.assertEqual((refused.process.returncode, self.version()), (100, 4))
        self.assertEqual(finish(self.client, claim(self.client)), b"done")
        self.client.redis.config_set("maxmemory", 0)
        with pool.Pool(workers=1, redis=self.server.address) as p:
            self.assertGreater(self.version(), 4)
            self.assertEqual(p.client.run("print(1)").verdict, "ok")

    def test_a_later_library_stays(self):
        """What is true of an old relay that comes back to ours: to it, this pool is the old one."""
        with pool.Pool(workers=1, redis=self.server.address) as p:
            with open(OLD, encoding="utf-8") as file:
                later = file.read().replace("local VERSION = 4", "local VERSION = 99")
            self.client.redis.function_load(later, replace=True)
            for _ in range(3):
                os.kill(p.relays()[0], 9)
                self.assertEqual(self.client.run("print(1)").verdict, "ok")
            self.assertEqual(self.version(), 99)


if __name__ == "__main__":
    unittest.main()
