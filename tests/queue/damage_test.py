# SPDX-License-Identifier: MIT
"""What somebody does to a queue from outside (keys that are none, rights that are taken away in the middle) may hold up its
jobs, and loses none: each still comes to one result, and the counts are right again."""

import random
import unittest

import redis

import functions_test
import users
from functions_test import LEASE_MS, Queue, Test, text

OTHERS = {"zset": lambda store, key: store.zadd(key, {"x": 1}), "hash": lambda store, key: store.hset(key, "x", "y"),
          "list": lambda store, key: store.lpush(key, "x"), "string": lambda store, key: store.set(key, "x"),
          "stream": lambda store, key: store.xadd(key, {"x": "y"})}
KEYS = {"open": "zset", "lease": "zset", "waits": "zset", "delayed": "zset", "dead": "zset", "turns": "zset", "turns1": "zset",
        "capped": "zset", "kept": "hash", "topen": "hash", "tact": "hash", "conf": "hash", "weights": "hash", "bytes": "string",
        "pace": "string", "wake": "list", "recordings": "zset", "recordings_until": "zset", "recordings_size": "hash",
        "recordings_bytes": "string", "suspect": "string", "line1:t": "zset", "later:t": "zset", "own:t": "zset", "rr0": "zset"}
TRIES = 30


def setUpModule():
    functions_test.setUpModule()


def setting(store):
    """A queue with a job in each state: two run, three wait, one is put off, one is dead, one is done."""
    store.flushall()
    q = Queue()
    q.configure(max_tenant_running=2)
    for job in ("done", "dead", "run0", "run1"):
        q.enqueue(job, tenant="t")
    q.finish(q.claim())
    q.call("lost", "dead", q.claim(most=1)["token"], "x")
    running = [q.claim(), q.claim()]
    for i in range(3):
        q.enqueue(f"wait{i}", tenant="tu"[i % 2])
    q.enqueue("later", tenant="t", delay_ms="3600000")
    return q, running


class Persistent:
    """A relay, and a client: whoever is refused tries again, as often as it takes."""

    def __init__(self, test, q):
        self.test, self.q = test, q

    def persist(self, call):
        for _ in range(TRIES):
            try:
                return call()
            except redis.ResponseError as error:
                self.error = error
        raise AssertionError(f"it goes on: {self.error}")

    def run_all(self, running):
        """All come to an end: those that run, and what can be claimed after them."""
        store, q = functions_test.store, self.q
        for _ in range(TRIES):
            for job in running:
                self.persist(lambda job=job: q.finish(job))
            store.delete(q.key("audited"))  # its time passes
            q.end_delays() if store.type(q.key("delayed")) == b"zset" else None
            job = self.persist(q.claim)
            running = [job] if job else []
            if not running and store.zcard(q.key("open")) == 0:
                return
        raise AssertionError(f"still open: {store.zrange(q.key('open'), 0, -1)}")

    def check(self, jobs):
        test, q, store = self.test, self.q, functions_test.store
        for job in jobs:
            test.assertEqual(len(q.entries(job, "result")), 1, job)
            test.assertIn(q.state(job), functions_test.FINAL)
            if q.state(job) != "dead":
                test.assertGreater(store.ttl(q.key("job:", job)), 0, job)
        store.delete(q.key("audited"))
        self.persist(q.claim)
        test.assertEqual((store.hgetall(q.key("topen")), store.hgetall(q.key("tact"))), ({}, {}))
        test.assertEqual([store.zcard(q.key(name)) for name in ("lease", "waits", "delayed")], [0, 0, 0])
        held = [store.hget(q.key("job:", text(job)), "held") for job in store.zrange(q.key("dead"), 0, -1)]
        test.assertEqual(int(store.get(q.key("bytes")) or 0), sum(int(size or 0) for size in held))


class Keys(Test):
    JOBS = ["done", "run0", "run1", "wait0", "wait1", "wait2", "later"]

    def test_whatever_stands_in_a_keys_place_no_job_is_lost(self):
        store = functions_test.store
        for name, right in KEYS.items():
            for kind, make in OTHERS.items():
                if kind != right:
                    with self.subTest(key=name, kind=kind):
                        q, running = setting(store)
                        store.delete(q.key(name))
                        make(store, q.key(name))
                        someone = Persistent(self, q)
                        someone.run_all(running)
                        someone.check(self.JOBS)

    def test_keys_that_are_gone(self):
        store = functions_test.store
        for name in KEYS:
            if name != "open":  # who is in none of them is no job
                with self.subTest(key=name):
                    q, running = setting(store)
                    store.delete(q.key(name))
                    someone = Persistent(self, q)
                    someone.run_all(running)
                    someone.check(self.JOBS)

    def test_members_that_are_none(self):
        store = functions_test.store
        for key, member in (("turns", "foo"), ("turns", "01"), ("turns", "1.5"), ("turns", "-1"), ("turns1", "a b"),
                            ("capped", "nobody"), ("waits", "nobody"), ("delayed", "nobody"), ("dead", "nobody"),
                            ("recordings", "nobody")):
            with self.subTest(key=key, member=member):
                q, running = setting(store)
                store.zadd(q.key(key), {member: -1})
                someone = Persistent(self, q)
                someone.run_all(running)
                someone.check(self.JOBS)

    def test_what_waits_and_is_not_queued(self):
        store = functions_test.store
        q, running = setting(store)
        store.zadd(q.key("waits"), {"done": 1, "run0": 1, "dead": 1})
        for _ in range(3):
            q.claim()
        self.assertEqual([q.state(job) for job in ("done", "run0", "dead")], ["done", "running", "dead"])
        self.assertEqual(q.finish(running[0]), "done")
        for job in ("done", "run0", "dead"):
            self.assertEqual(len(q.entries(job, "result")), 1)

    def test_leases_that_are_gone(self):
        """Whoever has the token has the job."""
        store = functions_test.store
        q, running = setting(store)
        store.delete(q.key("lease"))
        self.assertEqual(q.call("beat", running[0]["id"], running[0]["token"], LEASE_MS), "ok")
        for job in running:
            self.assertEqual(q.finish(job), "done")
            self.assertEqual(q.finish(job), "stale")

    def test_numbers_that_are_none(self):
        store = functions_test.store
        for value in ("x", "nan", "inf", "-5", "1e400", ""):
            with self.subTest(value=value):
                q, running = setting(store)
                for key in ("pace", "bytes", "recordings_bytes", "suspect"):
                    store.set(q.key(key), value)
                for key, name in (("topen", "t"), ("tact", "t"), ("weights", "t"), ("kept", "turns:1"), ("conf", "max_jobs")):
                    store.hset(q.key(key), name, value)
                self.assertEqual(len(q.call("position", "wait0")), 2)
                self.assertEqual(len(q.call("depth")), 6)
                self.assertEqual(q.finish(running.pop(), wall_ms=value), "done")
                self.assertGreaterEqual(q.call("position", "wait2")[1], 0)
                someone = Persistent(self, q)
                someone.run_all(running)
                someone.check(self.JOBS)

    def test_an_id_that_is_in_no_set_is_free(self):
        """Its enqueue was stopped in the middle: the client, who has heard of an error, sends it again."""
        store, q = functions_test.store, self.q
        q.enqueue("a", tenant="t")
        for key in ("open", "waits", "line1:t"):
            store.delete(q.key(key))
        self.assertRegex(q.enqueue("a", b"again", tenant="t"), "^queued")
        self.assertEqual(q.order(1), ["a"])
        self.check_final("a", "done", "ok")

    def test_a_dead_letter_whose_fields_are_gone(self):
        store, q = functions_test.store, self.q
        q.bury("a", data=bytes(1000))
        store.delete(q.key("job:", "a"))
        q.enqueue("a", b"new")
        self.assertIsNone(store.zscore(q.key("dead"), "a"))
        self.assertEqual(q.order(1), ["a"])
        self.check_final("a", "done", "ok")

    def test_of_an_open_job_no_dead_letter_is_dropped(self):
        store, q = functions_test.store, self.q
        q.enqueue("a")
        store.zadd(q.key("dead"), {"a": 1})
        self.assertEqual(q.call("dead_drop", "a"), 1)
        self.assertEqual(q.order(1), ["a"])
        self.check_final("a", "done", "ok")

    def test_many_open_jobs_that_stand_nowhere(self):
        store, q = functions_test.store, self.q
        for i in range(250):
            q.enqueue(f"j{i}")
        store.delete(q.key("waits"), q.key("line1:default"))
        for _ in range(TRIES):
            q.claim()
            store.delete(q.key("audited"))
        self.assertEqual(store.zcard(q.key("waits")) + store.zcard(q.key("lease")), 250)

    def test_a_count_of_who_runs_that_is_wrong(self):
        """Somebody has changed whose job it is: the cap of that tenant would be met for ever."""
        store, q = functions_test.store, self.q
        q.configure(max_tenant_running=1)
        q.enqueue("a", tenant="t")
        job = q.claim()
        q.enqueue("b", tenant="t")
        self.assertIsNone(q.claim())
        store.hset(q.key("job:", "a"), "tenant", "other")
        q.finish(job)
        for _ in range(3):
            store.delete(q.key("audited"))
            found = q.claim()
            if found:
                break
        self.assertEqual(found["id"], "b")

    def test_it_is_not_looked_all_the_time(self):
        """Whose tenant is at its cap waits as he should: that is seen once, and for a while believed."""
        store, q = functions_test.store, self.q
        q.configure(max_tenant_running=1)
        for i in range(300):
            q.enqueue(f"j{i}")
        q.claim()
        for _ in range(10):
            self.assertIsNone(q.claim())
        self.assertEqual(store.exists(q.key("suspect")), 0)
        self.assertLess(functions_test.commands(lambda: self.assertIsNone(q.claim())), 30)


class Rights(Test):
    """Of each user each right is taken away, while he works."""

    STEPS = {
        users.WORKER: lambda q, running: [
            lambda: q.claim(), lambda: q.call("beat", running[0]["id"], running[0]["token"], LEASE_MS),
            lambda: q.finish(running[0]), lambda: q.call("lost", running[1]["id"], running[1]["token"], "x"),
            lambda: q.call("requeue", running[1]["id"], running[1]["token"]), lambda: q.call("recover", "w1")],
        users.WEB: lambda q, running: [
            lambda: q.enqueue("new", tenant="t"), lambda: q.enqueue("newer", tenant="t", replace="1"),
            lambda: q.enqueue("newest", tenant="t", delay_ms="1000"), lambda: q.call("cancel", "wait1"),
            lambda: q.call("cancel", "later"), lambda: q.call("cancel", "run0")],
        users.OPERATOR: lambda q, running: [lambda: q.call("dead_requeue", "dead"), lambda: q.call("dead_drop", "dead")],
    }

    def setUp(self):
        super().setUp()
        self.addCleanup(users.create, functions_test.store)

    def state_of_all(self):
        store = functions_test.store
        return {key: store.dump(key) for key in store.scan_iter(self.q.key("") + "*") if b":up:" not in key}

    def narrower(self, name):
        words = users.rules()[name]
        return [word for word in words if word[0] == "+" and "fcall" not in word and "|" not in word]

    def take(self, name, word):
        functions_test.store.execute_command("ACL", "SETUSER", name, "-" + word[1:])

    def give(self, name, word):
        functions_test.store.execute_command("ACL", "SETUSER", name, word)

    def attempt(self, step):
        try:
            step()
        except redis.exceptions.NoPermissionError:
            return False
        except redis.ResponseError as error:
            if "script can't" in str(error) or "NOPERM" in str(error) or "can't run this command" in str(error):
                return False
            raise
        return True

    def test_one_that_is_missing_changes_nothing(self):
        """Also after the second for which they are believed: here that begins anew with the library."""
        store = functions_test.store
        for name, steps in self.STEPS.items():
            for word in self.narrower(name):
                q, running = setting(store)
                for step in steps(q, running):
                    store.function_load(functions_test.library, replace=True)
                    self.take(name, word)
                    before = self.state_of_all()
                    with self.subTest(user=name, right=word):
                        if not self.attempt(step):
                            self.assertEqual(self.state_of_all(), before)
                    self.give(name, word)

    def test_one_that_is_taken_away_in_the_middle_loses_no_job(self):
        store, choose = functions_test.store, random.Random(6)
        for name, steps in self.STEPS.items():
            for word in self.narrower(name):
                for number in range(len(steps(None, None))):
                    q, running = setting(store)
                    q.claim(), q.call("cancel", "nobody"), q.call("dead_drop", "nobody")
                    running = [job for job in running if job]
                    self.take(name, word)
                    with self.subTest(user=name, right=word, step=number):
                        for _ in range(choose.choice([1, 2])):
                            self.attempt(steps(q, running)[number])
                        self.give(name, word)
                        someone = Persistent(self, q)
                        someone.persist(lambda: q.call("recover", "w1"))  # whose answers were lost
                        someone.run_all([])
                        someone.check(Keys.JOBS)


if __name__ == "__main__":
    unittest.main()
