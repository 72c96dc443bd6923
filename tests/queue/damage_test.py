# SPDX-License-Identifier: MIT
"""What somebody does to a queue from outside (keys that are none, rights that are taken away in the middle) may hold up its
jobs, and loses none: each still comes to one result, and the counts are right again."""

import collections
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
        "recordings_bytes": "string", "audited": "string", "line1:t": "zset", "later:t": "zset", "own:t": "zset", "rr0": "zset"}
TRIES = 30


def setUpModule():
    functions_test.setUpModule()
    functions_test.load_library(0)


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
            for name in ("lease", "delayed"):  # time passes
                for job in store.zrange(q.key(name), 0, -1) if store.type(q.key(name)) == b"zset" else ():
                    q.make_due(name, text(job))
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

    def test_places_far_before_the_others(self):
        """They are mended with the first turn: who has one takes no others' turns."""
        store, q = functions_test.store, Queue()
        for key, evil in ("turns1", "evil"), ("turns", "1"):
            for place in "-inf", "-1000000", "-1", "7", "+inf":
                with self.subTest(key=key, place=place):
                    store.flushall()
                    for i in range(40):
                        q.enqueue(f"evil{i}", tenant="evil")
                        q.enqueue(f"good{i}", tenant="good", priority="normal" if key == "turns1" else "interactive")
                    store.hset(q.key("conf"), mapping={"weight_interactive": 1, "weight_normal": 1})
                    q.order(40)
                    store.zadd(q.key(key), {evil: place})
                    served = collections.Counter(job.rstrip("0123456789") for job in q.order(20))
                    self.assertLessEqual(served["evil"], 12)
                    self.assertGreaterEqual(served["evil"], 8)

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
                for key in ("pace", "bytes", "recordings_bytes", "audited"):
                    store.set(q.key(key), value)
                for key, name in (("topen", "t"), ("tact", "t"), ("weights", "t"), ("kept", "turns:1"), ("kept", "turns"), ("kept", "turns1"), ("kept", "turns0:a"), ("kept", "turns:0"),
                                  ("conf", "max_jobs")):
                    store.hset(q.key(key), name, value)
                self.assertIn("queued", text(q.enqueue("more", tenant="a", priority="interactive")))
                self.assertEqual(q.finish(q.claim()), "done")
                self.assertEqual(len(q.call("position", "wait0")), 2)
                self.assertEqual(len(q.call("depth")), 6)
                self.assertEqual(q.finish(running.pop(), wall_ms=value), "done")
                self.assertGreaterEqual(q.call("position", "wait2")[1], 0)
                someone = Persistent(self, q)
                someone.run_all(running)
                someone.check(self.JOBS)

    def test_a_cancel_that_stopped_in_the_middle_keeps_a_job_from_running(self):
        store = functions_test.store
        q, running = setting(store)
        store.hset(q.key("job:", "wait0"), "cancel", "1")
        someone = Persistent(self, q)
        for _ in range(3):
            job = q.claim()
            self.assertNotEqual(job and job["id"], "wait0")
            running += [job] if job else []
        self.assertEqual(q.state("wait0"), "cancelled")
        someone.run_all(running)
        someone.check(self.JOBS)

    def test_one_that_is_before_all_others_is_looked_after(self):
        store = functions_test.store
        q, running = setting(store)
        store.zadd(q.key("open"), {"wait0": "-inf"})
        store.zrem(q.key("line1:t"), "wait0")
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

    def test_a_job_whose_bytes_are_none_takes_input(self):
        """What is answered by an error is not given to it, and all that is given is answered by none."""
        store, q = functions_test.store, self.q
        q.enqueue("a", live_input="1")
        store.hset(q.key("job:", "a"), "bytes", "x")
        self.assertEqual(q.call("input", "a", "word"), "queued")
        self.assertEqual(store.get(q.key("in:", "a")), b"word")
        self.assertEqual(store.hget(q.key("job:", "a"), "bytes"), b"4")
        store.delete(q.key("open"))
        store.set(q.key("open"), "x")
        with self.assertRaisesRegex(redis.ResponseError, "WRONGTYPE"):
            q.call("input", "a", " more")
        self.assertEqual(store.get(q.key("in:", "a")), b"word")

    def test_dead_letters_that_nobody_knows_any_more(self):
        """None of their keys stays for ever."""
        store, q = functions_test.store, self.q
        q.enqueue("a", live_input="1")
        q.call("input", "a", "x")
        q.call("lost", "a", q.claim(most=1)["token"], "x")
        store.delete(q.key("dead"))
        for _ in range(3):
            q.claim()
        left = [key for key in q.keys() if key.endswith(":a")]
        self.assertEqual(left, ["frames:a", "in:a", "job:a", "zip:a"])
        self.assertEqual([key for key in left if store.ttl(q.key(key)) < 0], [])

    def recorded(self, job, **fields):
        self.q.enqueue(job, **fields)
        claimed = self.q.claim(most=1)
        self.q.record(job, 20000)
        return claimed

    def account(self):
        """What is known of recordings, but for what an audit takes from the jobs themselves."""
        store, q = functions_test.store, self.q
        return {name: set(store.zrange(q.key(name), 0, -1)) for name in ("recordings", "recordings_until")} | {
            "recordings_size": store.hgetall(q.key("recordings_size")), "recordings_bytes": int(store.get(q.key("recordings_bytes")) or 0)}

    def test_what_is_known_of_recordings(self):
        store, q = functions_test.store, self.q
        damages = [lambda name=name: store.delete(q.key(name)) for name in ("recordings", "recordings_until", "recordings_bytes")] + [
            lambda value=value: store.set(q.key("recordings_bytes"), value) for value in ("999999999999", "1", "x")] + [
            lambda name=name: store.zadd(q.key(name), {"nobody": 10**15}) for name in ("recordings", "recordings_until")] + [
            lambda name=name: store.zrem(q.key(name), "j1") for name in ("recordings", "recordings_until")]
        for number, damage in enumerate(damages):
            with self.subTest(number):
                store.flushall()
                for i in range(5):
                    q.finish(self.recorded(f"j{i}"))
                q.call("lost", "letter", self.recorded("letter")["token"], "x")
                before, ends = self.account(), store.zrange(q.key("recordings_until"), 0, -1, withscores=True)
                damage()
                for _ in range(3):
                    q.claim()
                self.assertEqual(self.account(), before)
                self.assertEqual([job for job, _ in store.zrange(q.key("recordings_until"), 0, -1, withscores=True)], [job for job, _ in ends])
                for job in [f"j{i}" for i in range(5)] + ["letter"]:
                    self.assertNotIn("recording_cut", q.job(job))

    def test_recordings_of_which_nothing_is_known(self):
        store, q = functions_test.store, self.q
        for lose in (lambda: store.delete(q.key("recordings_size")), lambda: store.delete(q.key("job:", "a"), q.key("recordings"))):
            q.finish(self.recorded("a"))
            lose()
            for _ in range(3):
                q.claim()
            self.assertEqual(self.account(), {"recordings": set(), "recordings_until": set(), "recordings_size": {}, "recordings_bytes": 0})
            store.flushall()

    def test_more_recordings_than_are_counted_anew(self):
        """They stay until they expire, and are no longer known of; where nothing is wrong they are."""
        store, q = functions_test.store, self.q
        jobs = {f"j{i}": functions_test.now_ms() + 10**6 + i for i in range(1500)}
        for name in (None, "recordings", "recordings_until"):
            with self.subTest(name):
                store.flushall()
                store.hset(q.key("recordings_size"), mapping={job: 7000 for job in jobs})
                store.set(q.key("recordings_bytes"), 7000 * len(jobs))
                for key in ("recordings", "recordings_until"):
                    store.zadd(q.key(key), dict(list(jobs.items())[:1499]) if key == name else jobs)
                for _ in range(3):
                    q.claim()
                left = 0 if name else len(jobs)
                self.assertEqual({key: len(value) if key != "recordings_bytes" else value // 7000 for key, value in self.account().items()},
                                 dict.fromkeys(("recordings", "recordings_until", "recordings_size", "recordings_bytes"), left))

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
        for _ in range(3):
            q.claim()
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
        self.assertEqual(q.claim()["id"], "b")

    def test_while_there_is_always_something_to_run(self):
        """No claim comes in vain, and there are more jobs than are looked after at once: all get their turn, and the counts are
        right."""
        store, q = functions_test.store, self.q
        for i in range(150):
            q.enqueue(f"t{i}", tenant="t", priority="batch")
            q.enqueue(f"u{i}", tenant="u", live_input="1")
        running = q.claim()
        store.delete(q.key("line2:t"), q.key("lease"))
        store.zrem(q.key("turns2"), "t")
        store.hset(q.key("topen"), mapping={"t": 999, "nobody": 3})
        store.hset(q.key("tact"), mapping={"t": 999, "nobody": 3})
        store.set(q.key("bytes"), 10**12)
        store.set(q.key("audited"), "1")  # whatever somebody writes there, for ever
        for i in range(1000):
            q.enqueue(f"more{i}", b"", tenant="v", priority="interactive")
            job = q.claim()
            self.assertIsNotNone(job)
            q.finish(job)
            if store.exists(q.key("lease")):
                q.make_due("lease", running["id"])
            if q.state("t149") == "done" and q.state(running["id"]) == "done":
                break
        left = store.zcard(q.key("open"))
        self.assertTrue(0 < left < 1000, left)
        self.assertEqual((store.hgetall(q.key("tact")), store.hexists(q.key("topen"), "nobody")), ({}, False))
        self.assertEqual(sum(int(number) for number in store.hvals(q.key("topen"))), left)
        bytes_of = [int(store.hget(q.key("job:", text(job)), "bytes")) for job in store.zrange(q.key("open"), 0, -1)]
        self.assertEqual(int(store.get(q.key("bytes"))), sum(bytes_of))
        self.assertGreater(store.ttl(q.key("audited")), 0)

    def test_beside_a_queue_of_its_name_in_another_database(self):
        """What happens in one is no affair of the other's audit, and neither holds up the other's."""
        store, q = functions_test.store, self.q
        path = store.connection_pool.connection_kwargs["path"]
        with redis.Redis(unix_socket_path=path, db=1) as other:
            def beside(function, *arguments):
                other.execute_command("FCALL", "paddock_" + function, 1, q.key("open"), *arguments)

            for i in range(250):
                q.enqueue(f"j{i}", b"12345")
                other.set(q.key("up:u"), b"1234567")
                beside("enqueue", f"j{i}", "upload", "u")
            for database in store, other:
                database.set(q.key("bytes"), 7)
            for turn in range(4):
                functions_test.time.sleep(0.002)
                q.call("tend", functions_test.LEASE_MS)
                other.set(q.key("up:u"), b"1234567")
                beside("enqueue", f"more{turn}", "upload", "u")
                beside("tend", functions_test.LEASE_MS)
            self.assertEqual((store.get(q.key("bytes")), other.get(q.key("bytes"))), (b"1250", b"1778"))

    def test_a_list_of_wake_ups_that_is_none(self):
        """Nobody enqueues there, while relays wait at it and others."""
        store, q = functions_test.store, self.q
        for make in (lambda key: store.set(key, "x"), lambda key: store.zadd(key, {"x": 1})):
            make(q.key("wake"))
            q.call("tend", functions_test.LEASE_MS)
            self.assertEqual(store.exists(q.key("wake")), 0)
        store.lpush(q.key("wake"), "1")
        q.call("tend", functions_test.LEASE_MS)
        self.assertEqual(store.llen(q.key("wake")), 1)

    def test_many_that_came_at_one_moment(self):
        store, q = functions_test.store, self.q
        for i in range(250):
            q.enqueue(f"j{i}")
            store.zadd(q.key("open"), {f"j{i}": 5})
        store.delete(q.key("waits"), q.key("line1:default"))
        q.claim()
        self.assertEqual(store.zcard(q.key("waits")) + store.zcard(q.key("lease")), 250)

    def test_whose_job_it_is_stays_as_it_was_counted(self):
        """Whatever somebody makes of its tenant and class, without any audit."""
        store, q = functions_test.store, self.q
        ends = {"waits": lambda: q.call("cancel", "a"), "delayed": lambda: q.call("cancel", "a"),
                "expires": lambda: q.make_due("waits", "a"), "runs": lambda: q.finish(job), "lost": lambda: q.call("lost", "a", job["token"], "x")}
        functions_test.load_library()
        self.addCleanup(functions_test.load_library, 0)
        for how, end in ends.items():
            with self.subTest(how):
                store.flushall()
                q.enqueue("a", bytes(100), tenant="t", delay_ms=9000 if how == "delayed" else 0)
                job = q.claim(most=1) if how in ("runs", "lost") else None
                store.hset(q.key("job:", "a"), mapping={"tenant": "other", "priority": "batch"})
                q.enqueue("b", tenant="other")
                end()
                self.assertEqual(q.claim()["id"], "b")
                self.assertIn(q.state("a"), functions_test.FINAL)
                self.assertEqual(store.hgetall(q.key("topen")), {b"other": b"1"})
                self.assertEqual(store.hgetall(q.key("tact")), {b"other": b"1"})
                self.assertEqual(int(store.get(q.key("bytes"))), 103 if how == "lost" else 3)
                self.assertEqual(q.keys("line") + q.keys("later"), [])

    def test_it_is_not_looked_all_the_time(self):
        """Whose tenant is at its cap waits as he should: that is seen once, and for a while believed."""
        store, q = functions_test.store, self.q
        q.configure(max_tenant_running=1)
        for i in range(300):
            q.enqueue(f"j{i}")
        functions_test.load_library()
        self.addCleanup(functions_test.load_library, 0)
        q.claim()
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
                    functions_test.load_library(0)
                    self.take(name, word)
                    before = self.state_of_all()
                    with self.subTest(user=name, right=word):
                        if not self.attempt(step):
                            self.assertEqual(self.state_of_all(), before)
                    self.give(name, word)

    def beside_another(self, name, without, call):
        """What a call comes to of a user without a right, beside one who has all and has just called."""
        store = functions_test.store
        words = [word for word in users.rules()[name] if word != without]
        store.execute_command("ACL", "SETUSER", "narrow", "reset", *words)
        self.addCleanup(store.execute_command, "ACL", "DELUSER", "narrow")
        path = functions_test.connections[name].connection_pool.connection_kwargs["path"]
        with redis.Redis(unix_socket_path=path, username="narrow", password=users.PASSWORD) as narrow:
            return call(narrow)

    def test_a_relay_that_lacks_one_takes_no_job_beside_one_that_has_all(self):
        store, q = functions_test.store, self.q
        functions_test.load_library()
        self.addCleanup(functions_test.load_library, 0)
        for i in range(9):
            q.enqueue(f"j{i}")

        def claim(narrow):
            for _ in range(3):
                q.claim(owner="w1")
                with self.assertRaisesRegex(redis.ResponseError, "needs a right that its user has not: XADD"):
                    narrow.execute_command("FCALL", "paddock_claim", 1, q.key("open"), "w2", LEASE_MS, 3)

        self.beside_another(users.WORKER, "+xadd", claim)
        self.assertEqual([q.state(f"j{i}") for i in range(9)], ["running"] * 3 + ["queued"] * 6)

    def test_of_a_client_that_lacks_one_a_call_may_stop_in_the_middle_and_then_none(self):
        store, q = functions_test.store, self.q

        def cancel(narrow):
            refused = []
            for i in range(5):
                q.call("cancel", "nobody")
                before = self.state_of_all()
                with self.assertRaises(redis.ResponseError):
                    narrow.execute_command("FCALL", "paddock_cancel", 1, q.key("open"), f"j{i}")
                refused.append(self.state_of_all() == before)
            return refused

        for i in range(5):
            q.enqueue(f"j{i}")
        refused = self.beside_another(users.WEB, "+xadd", cancel)
        self.assertEqual(refused[1:], [True] * 4)
        someone = Persistent(self, q)
        someone.run_all([])
        someone.check([f"j{i}" for i in range(5)])

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
