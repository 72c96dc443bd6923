# SPDX-License-Identifier: MIT
"""The Functions library of the queue, function by function, in a redis-server of its own; and, at the end, all of
them in random order with what must hold of every job checked after each step."""

import json
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import redis

LIBRARY = os.environ.get("PADDOCK_LIBRARY", "build/dev/queue/paddock.lua")
PATIENCE = 60  # a watchdog, not an expectation
LEASE_MS = 60000
FINAL = {"done", "dead", "cancelled", "expired"}


def start_server(folder):
    """A redis-server on a socket in the folder, and a connection to it."""
    path = os.path.join(folder, "redis.sock")
    process = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder,
         "--maxmemory", "200mb", "--maxmemory-policy", "noeviction", "--enable-debug-command", "yes"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return process, redis.Redis(unix_socket_path=path)
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError("redis-server does not start")
        time.sleep(0.01)


def setUpModule():
    global folder, server, store, library
    folder = tempfile.mkdtemp(prefix="paddock-functions-")
    server, store = start_server(folder)
    with open(LIBRARY, encoding="utf-8") as file:
        library = file.read()
    store.function_load(library)


def tearDownModule():
    store.close()
    server.kill()
    server.wait()
    shutil.rmtree(folder)


def text(value):
    """Bytes of an answer as text, through lists."""
    if isinstance(value, list):
        return [text(v) for v in value]
    return value.decode() if isinstance(value, bytes) else value


class Queue:
    """One queue, called as clients and relays do. Its keys are paddock:{name}:..."""

    def __init__(self, name="q"):
        self.prefix = f"paddock:{{{name}}}:"
        self.uploads = 0

    def key(self, name, job=""):
        return self.prefix + name + job

    def call(self, function, *arguments, command="FCALL"):
        return text(store.execute_command(command, "paddock_" + function, 1, self.key("open"), *arguments))

    def upload(self, data=b"zip"):
        self.uploads += 1
        store.set(self.key("up:", str(self.uploads)), data, ex=60)
        return str(self.uploads)

    def enqueue(self, job, data=b"zip", **fields):
        flat = [x for pair in fields.items() for x in pair]
        return self.call("enqueue", job, "upload", self.upload(data), *flat)

    def claim(self, owner="w1", lease_ms=LEASE_MS, most=3):
        """The claimed job's fields, or None."""
        flat = self.call("claim", owner, lease_ms, most)
        return dict(zip(flat[::2], flat[1::2])) or None

    def finish(self, job, verdict="ok", exit_code=0, **fields):
        flat = [x for pair in fields.items() for x in pair]
        return self.call("finish", job["id"], job["token"], "verdict", verdict, "exit_code", exit_code, *flat)

    def job(self, job):
        return {text(k): v for k, v in store.hgetall(self.key("job:", job)).items()}

    def state(self, job):
        return text(store.hget(self.key("job:", job), "state"))

    def entries(self, job, kind=None):
        found = [fields for _, fields in store.xrange(self.key("frames:", job))]
        return [e for e in found if kind is None or text(e[b"k"]) == kind]

    def result(self, job):
        """The one result of a job, which is the last entry."""
        entries = self.entries(job)
        results = self.entries(job, "result")
        assert len(results) == 1, f"{len(results)} results of {job}"
        assert entries[-1] == results[0], "something follows the result"
        return json.loads(results[0][b"d"].decode("utf-8"))

    def keys(self, name=""):
        return sorted(text(k)[len(self.prefix):] for k in store.scan_iter(self.prefix + name + "*"))

    def make_due(self, name, job):
        """Time passes for one job: its score in lease, waits or delayed lies in the past."""
        assert store.zscore(self.key(name), job) is not None, f"{job} is not in {name}"
        store.zadd(self.key(name), {job: 1})


class Test(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        store.flushall()
        self.q = Queue()

    def refuse(self, pattern, *arguments, **fields):
        with self.assertRaisesRegex(redis.ResponseError, pattern):
            self.q.enqueue(*arguments, **fields)

    def check_final(self, job, state, verdict):
        """What holds of every final job, however it came to be one."""
        q = self.q
        self.assertEqual(q.state(job), state)
        result = q.result(job)
        self.assertEqual(result["kind"], "result")
        self.assertEqual((result["id"], result["state"], result["verdict"]), (job, state, verdict))
        self.assertIsInstance(result["exit_code"], int)
        self.assertIsInstance(result["attempt"], int)
        for name in ("open", "lease", "waits", "delayed"):
            self.assertIsNone(store.zscore(q.key(name), job), name)
        self.assertEqual(store.exists(q.key("zip:", job), q.key("ctl:", job), q.key("in:", job)), 0)
        keep_s = int(q.job(job)["keep_s"])
        for name in ("job:", "frames:"):
            self.assertTrue(0 < store.ttl(q.key(name, job)) <= keep_s, name)
        return result


class Library(Test):
    def test_loads_twice_and_says_its_version(self):
        store.function_load(library, replace=True)
        version = int(re.search(r"local VERSION = (\d+)", library)[1])
        self.assertEqual(self.q.call("version", command="FCALL_RO"), version)

    def test_one_queue_cannot_name_keys_of_another(self):
        for key in ("paddock:{q}:job:a", "open", "paddock:{q}:open:open", "other:{q}:open", "paddock:{a b}:open"):
            with self.assertRaisesRegex(redis.ResponseError, "BADKEY"):
                store.execute_command("FCALL", "paddock_claim", 1, key, "w1", 1000, 3)
        with self.assertRaisesRegex(redis.ResponseError, "BADKEY"):
            store.execute_command("FCALL", "paddock_claim", 0)
        self.assertEqual(store.dbsize(), 0)

    def test_queues_are_apart(self):
        other = Queue("q2")
        self.q.enqueue("a")
        self.assertIsNone(other.claim())
        self.assertEqual(other.enqueue("a"), "queued 0")
        self.assertEqual(self.q.claim()["id"], "a")

    def test_reading_functions_may_run_read_only(self):
        self.q.enqueue("a")
        self.assertEqual(self.q.call("position", "a", command="FCALL_RO"), [0, 0])
        self.assertEqual(self.q.call("depth", command="FCALL_RO")[:2], [1, 0])


class Enqueue(Test):
    def test_stores_the_job(self):
        q = self.q
        self.assertEqual(q.enqueue("a", b"\x00\xff" * 50, tenant="t", meta="m", argv="x\ny"), "queued 0")
        job = q.job("a")
        self.assertEqual((job["state"], job["attempt"], job["lost"], job["bytes"]), (b"queued", b"0", b"0", b"100"))
        self.assertEqual((job["tenant"], job["meta"], job["argv"]), (b"t", b"m", b"x\ny"))
        self.assertEqual(store.get(q.key("zip:", "a")), b"\x00\xff" * 50)
        self.assertEqual(q.keys("up:"), [])
        self.assertEqual(store.get(q.key("bytes")), b"100")
        self.assertEqual(store.hgetall(q.key("topen")), {b"t": b"1"})
        self.assertTrue(600 < store.ttl(q.key("zip:", "a")) <= 600 + 3600)
        self.assertEqual(store.ttl(q.key("job:", "a")), -1)

    def test_fields_that_are_not_given_have_their_defaults(self):
        self.q.enqueue("a")
        job = self.q.job("a")
        self.assertEqual((job["priority"], job["tenant"], job["cpu_ms"], job["keep_s"], job["entry"]),
                         (b"normal", b"default", b"5000", b"3600", b""))

    def test_answers_how_many_wait_ahead(self):
        self.assertEqual([self.q.enqueue(f"j{i}") for i in range(3)], ["queued 0", "queued 1", "queued 2"])
        self.q.claim()
        self.assertEqual(self.q.enqueue("j3"), "queued 2")

    def test_duplicate_says_the_state_and_keeps_the_first(self):
        q = self.q
        q.enqueue("a", b"first")
        self.assertEqual(q.enqueue("a", b"second"), "duplicate queued")
        self.assertEqual(store.get(q.key("zip:", "a")), b"first")
        self.assertEqual(q.keys("up:"), [])
        job = q.claim()
        self.assertEqual(q.enqueue("a"), "duplicate running")
        q.finish(job)
        self.assertEqual(q.enqueue("a"), "duplicate done")
        self.assertIsNone(q.claim())

    def test_an_id_is_free_again_when_its_result_has_expired(self):
        q = self.q
        q.enqueue("a")
        q.call("cancel", "a")
        store.delete(q.key("job:", "a"))  # as its expiry does; the Stream may outlive it by a moment
        self.assertEqual(q.enqueue("a"), "queued 0")
        q.finish(q.claim())
        self.check_final("a", "done", "ok")

    def test_ids(self):
        for job in ("", "a b", "a:b", "é", "x" * 65, "a\nb", "{a}"):
            self.refuse("^BADFIELD id: ", job)
        self.assertEqual(self.q.enqueue("x" * 64), "queued 0")
        self.assertEqual(self.q.enqueue("A-z_9"), "queued 1")

    def test_uploads(self):
        q = self.q
        with self.assertRaisesRegex(redis.ResponseError, "^NOUPLOAD nothing"):
            q.call("enqueue", "a", "upload", "nothing")
        for arguments in ((), ("upload",), ("upload", ""), ("upload", "a:b"), ("download", "x")):
            with self.assertRaisesRegex(redis.ResponseError, "^BADFIELD upload: "):
                q.call("enqueue", "a", *arguments)
        self.assertEqual(q.keys(), [])
        self.assertEqual(q.enqueue("empty", b""), "queued 0")

    def test_bad_fields_name_the_field_and_what_it_takes(self):
        rows = [
            ("no_such", "1", "^BADFIELD no_such: there is no such field$"),
            ("cpu_ms", "9", "^BADFIELD cpu_ms: takes a whole number from 10 to 600000$"),
            ("cpu_ms", "600001", "^BADFIELD cpu_ms: "),
            ("cpu_ms", "-10", "^BADFIELD cpu_ms: "),
            ("cpu_ms", "1e3", "^BADFIELD cpu_ms: "),
            ("cpu_ms", "0x100", "^BADFIELD cpu_ms: "),
            ("cpu_ms", " 100", "^BADFIELD cpu_ms: "),
            ("cpu_ms", "", "^BADFIELD cpu_ms: "),
            ("cpu_ms", "9" * 19, "^BADFIELD cpu_ms: "),
            ("priority", "urgent", "^BADFIELD priority: takes one of: interactive normal batch$"),
            ("priority", "", "^BADFIELD priority: "),
            ("source", "tar", "^BADFIELD source: takes one of: zip py$"),
            ("tenant", "", "^BADFIELD tenant: "),
            ("tenant", "a b", "^BADFIELD tenant: "),
            ("tenant", "x" * 65, "^BADFIELD tenant: "),
            ("tenant", "a}", "^BADFIELD tenant: "),
            ("entry", "x" * 257, "^BADFIELD entry: takes a text of at most 256 bytes$"),
            ("entry", "a\0b", "^BADFIELD entry: "),
            ("meta", "x" * 4097, "^BADFIELD meta: "),
            ("state", "done", "^BADFIELD state: there is no such field$"),
            ("token", "x", "^BADFIELD token: "),
            ("a\r\n+OK", "x", r"^BADFIELD a\?\?\+OK: there is no such field$"),
            ("n" * 500, "x", "^BADFIELD n{64}: there is no such field$"),
        ]
        for name, value, pattern in rows:
            with self.subTest(field=name[:20], value=value[:20]):
                self.refuse(pattern, "a", **{name: value})
        with self.assertRaisesRegex(redis.ResponseError, "^BADFIELD entry: has no value$"):
            self.q.call("enqueue", "a", "upload", self.q.upload(), "entry")
        self.assertEqual(self.q.keys(), [], "a refused job leaves nothing, nor its upload")

    def test_every_field_takes_its_own_default(self):
        fields = re.findall(r'^  \["(\w+)"\] = {type = "(\w+)".* default = "(.*?)"', library, re.M)
        self.assertGreater(len(fields), 10)
        for i, (name, _, default) in enumerate(fields):
            self.assertEqual(self.q.enqueue(f"j{i}", **{name: default}), f"queued {i}", name)

    def test_every_number_takes_its_bounds_and_no_more(self):
        rows = re.findall(r'^  \["(\w+)"\] = {type = "number", min = (\d+), max = (\d+)', library, re.M)
        self.assertGreater(len(rows), 5)
        for name, least, most in rows:
            for value in (least, most):
                self.assertRegex(self.q.enqueue(f"{name}-{value}", **{name: value}), "^queued", name)
            self.refuse(f"^BADFIELD {name}: ", "a", **{name: str(int(most) + 1)})
            if int(least) > 0:
                self.refuse(f"^BADFIELD {name}: ", "a", **{name: str(int(least) - 1)})

    def test_a_zip_may_be_so_large(self):
        q = self.q
        q.enqueue("fits", bytes(10 << 20))
        self.refuse(f"^TOOBIG {10 << 20}$", "a", bytes((10 << 20) + 1))
        store.hset(q.key("conf"), "max_zip_mb", 1)
        self.refuse(f"^TOOBIG {1 << 20}$", "a", bytes((1 << 20) + 1))
        store.hset(q.key("conf"), "max_zip_mb", 1000)
        self.refuse(f"^TOOBIG {50 << 20}$", "a", bytes((50 << 20) + 1))
        self.assertEqual(q.keys("up:"), [])

    def test_full(self):
        q = self.q
        rows = [("max_jobs", 1, "full jobs 1000"), ("max_tenant_jobs", 1, "full tenant 1000"),
                ("max_mb", 0, "full bytes 1000")]
        q.enqueue("first", tenant="t")
        for name, value, answer in rows:
            store.hset(q.key("conf"), name, value)
            self.assertEqual(q.enqueue("a", tenant="t"), answer)
            store.delete(q.key("conf"))
        store.hset(q.key("conf"), "max_tenant_jobs", 1)
        self.assertEqual(q.enqueue("other", tenant="u"), "queued 1", "another tenant has room")
        self.assertEqual(q.enqueue("a", tenant="t"), "full tenant 1000")
        q.finish(q.claim())
        self.assertEqual(q.enqueue("a", tenant="t"), "queued 1", "what is final takes no room")
        self.assertEqual(q.keys("up:"), [])

    def test_full_counts_what_runs(self):
        q = self.q
        store.hset(q.key("conf"), "max_jobs", 1)
        q.enqueue("a")
        q.claim()
        self.assertEqual(q.enqueue("b"), "full jobs 1000")

    def test_wakes_an_idle_worker(self):
        q = self.q
        for i in range(100):
            q.enqueue(f"j{i}")
        self.assertEqual(store.llen(q.key("wake")), 64, "tokens are bounded")

    def test_a_full_redis_refuses_jobs_and_can_be_drained(self):
        q = self.q
        for i in range(6):
            q.enqueue(f"j{i}")
        jobs = [q.claim() for _ in range(4)]
        upload = q.upload()
        try:
            store.config_set("maxmemory", 1)
            with self.assertRaisesRegex(redis.ResponseError, "^OOM|^command not allowed"):
                q.call("enqueue", "late", "upload", upload)
            self.assertEqual(q.call("beat", jobs[0]["id"], jobs[0]["token"], LEASE_MS), "ok")
            self.assertEqual(q.finish(jobs[0]), "done")
            self.assertEqual(q.call("lost", jobs[1]["id"], jobs[1]["token"], "x"), "queued")
            self.assertEqual(q.call("requeue", jobs[2]["id"], jobs[2]["token"]), "queued")
            self.assertEqual(q.call("recover", "w1"), ["j3"])
            self.assertEqual(q.call("cancel", "j5"), "cancelled")
            while job := q.claim():
                self.assertEqual(q.finish(job), "done")
        finally:
            store.config_set("maxmemory", 200 << 20)
        self.assertEqual(q.keys("zip:"), [])


class Claim(Test):
    def test_nothing(self):
        self.assertIsNone(self.q.claim())
        self.assertEqual(self.q.keys(), [])

    def test_hands_out_the_job_with_its_fields(self):
        q = self.q
        q.enqueue("a", tenant="t", stdin=b"\x00\xff", cpu_ms="1234")
        flat = store.execute_command("FCALL", "paddock_claim", 1, q.key("open"), "w1", LEASE_MS, 3)
        job = dict(zip(flat[::2], flat[1::2]))
        self.assertEqual(text(flat[::2][:3]), ["id", "token", "attempt"])
        self.assertEqual((job[b"id"], job[b"attempt"], job[b"tenant"]), (b"a", b"1", b"t"))
        self.assertEqual((job[b"stdin"], job[b"cpu_ms"], job[b"wall_ms"]), (b"\x00\xff", b"1234", b"10000"))
        stored = q.job("a")
        self.assertEqual((stored["state"], stored["owner"], stored["token"], stored["attempt"]),
                         (b"running", b"w1", job[b"token"], b"1"))
        self.assertIsNotNone(store.zscore(q.key("lease"), "a"))
        self.assertIsNone(store.zscore(q.key("waits"), "a"))
        self.assertEqual(store.hgetall(q.key("tact")), {b"t": b"1"})
        self.assertIsNone(q.claim())

    def test_lease_is_as_long_as_asked_by_the_clock_of_redis(self):
        q = self.q
        q.enqueue("a")
        q.claim(lease_ms=3600000)
        seconds, micros = store.time()
        left = store.zscore(q.key("lease"), "a") - (seconds * 1000 + micros // 1000)
        self.assertTrue(0 < left <= 3600000, left)

    def test_announces_the_attempt(self):
        q = self.q
        q.enqueue("a", keep_s="50")
        q.claim()
        entry, = q.entries("a")
        self.assertEqual((entry[b"k"], entry[b"a"]), (b"state", b"1"))
        self.assertTrue(entry[b"d"].startswith(b'{"kind":"state","state":"running","attempt":1,"time_ms":'))
        self.assertEqual(set(json.loads(entry[b"d"])), {"kind", "state", "attempt", "time_ms", "queue_ms"})
        self.assertTrue(50 < store.ttl(q.key("frames:", "a")))

    def test_oldest_first(self):
        for i in range(5):
            self.q.enqueue(f"j{i}")
        self.assertEqual([self.q.claim()["id"] for _ in range(5)], ["j0", "j1", "j2", "j3", "j4"])

    def test_classes_in_order(self):
        for name in ("batch", "normal", "interactive"):
            self.q.enqueue(name, priority=name)
        self.assertEqual([self.q.claim()["id"] for _ in range(3)], ["interactive", "normal", "batch"])

    def test_a_flood_of_one_tenant_does_not_delay_another(self):
        q = self.q
        for i in range(1000):
            q.enqueue(f"a{i}", tenant="A")
        for _ in range(50):
            q.finish(q.claim())
        for i in range(3):
            q.enqueue(f"b{i}", tenant="B")
        order = "".join(q.claim()["tenant"] for _ in range(8))
        self.assertEqual(order, "ABABABAA")

    def test_tenants_that_come_back_at_once_do_not_starve_one_that_waits(self):
        q = self.q
        for tenant in "ABC":
            for i in range(3):
                q.enqueue(f"{tenant}{i}", tenant=tenant)
        served = []
        for i in range(9):
            job = q.claim()
            served.append(job["tenant"])
            q.finish(job)
            if job["tenant"] == "B":
                q.enqueue(f"again{i}", tenant="B")
        self.assertEqual(sorted(served), sorted("ABCABCABC"))

    def test_a_tenant_with_one_job_at_a_time_gets_no_more_than_its_turn(self):
        q = self.q
        for i in range(3):
            q.enqueue(f"c{i}", tenant="C")
            q.enqueue(f"d{i}", tenant="D")
        q.enqueue("b", tenant="B")
        served = []
        for i in range(9):
            job = q.claim()
            served.append(job["tenant"])
            q.finish(job)
            if job["tenant"] == "B":
                q.enqueue(f"b{i}", tenant="B")
        self.assertEqual(served.count("C"), 3, served)
        self.assertEqual(served.count("D"), 3, served)

    def test_many_tenants_that_have_left_hide_no_job(self):
        q = self.q
        for i in range(350):
            q.enqueue(f"j{i}", tenant=f"t{i}")
        for _ in range(350):
            q.finish(q.claim())
        store.delete(q.key("wake"))
        q.enqueue("last", tenant="zzz")
        for _ in range(10):
            self.assertIsNotNone(store.lpop(q.key("wake")), "a worker is woken as long as a job waits")
            if job := q.claim():
                break
        self.assertEqual(job["id"], "last")

    def test_paused(self):
        q = self.q
        q.enqueue("a")
        store.set(q.key("paused"), 1)
        self.assertIsNone(q.claim())
        store.delete(q.key("paused"))
        self.assertEqual(q.claim()["id"], "a")

    def test_delayed(self):
        q = self.q
        q.enqueue("a", delay_ms="3600000")
        self.assertIsNone(q.claim())
        self.assertEqual(q.call("depth")[0], 0)
        ahead, wait = q.call("position", "a")
        self.assertEqual(ahead, 0)
        self.assertTrue(0 < wait <= 3600000)
        self.assertTrue(4200 < store.ttl(q.key("zip:", "a")))
        q.make_due("delayed", "a")
        self.assertEqual(q.claim()["id"], "a")
        self.assertIsNone(store.zscore(q.key("delayed"), "a"))

    def test_waits_in_the_queue_are_told(self):
        q = self.q
        q.enqueue("a")
        store.hincrby(q.key("job:", "a"), "enqueued_ms", -5000)
        q.finish(q.claim())
        self.assertGreaterEqual(q.result("a")["queue_ms"], 5000)


class Expired(Test):
    def test_waiting(self):
        q = self.q
        q.enqueue("a", max_wait_s="1")
        q.enqueue("b")
        q.make_due("waits", "a")
        self.assertEqual(q.claim()["id"], "b")
        result = self.check_final("a", "expired", "expired")
        self.assertEqual((result["exit_code"], result["attempt"]), (91, 0))
        self.assertIn("waited too long", result["sentence"])

    def test_delayed(self):
        self.q.enqueue("a", delay_ms="3600000")
        self.q.make_due("waits", "a")
        self.assertIsNone(self.q.claim())
        self.check_final("a", "expired", "expired")

    def test_at_most_twenty_per_call_and_none_of_them_runs(self):
        q = self.q
        for i in range(200):
            q.enqueue(f"j{i}", tenant="abcdefg"[i % 7])
            q.make_due("waits", f"j{i}")
        store.hset(q.key("conf"), "max_jobs", 1000)
        store.set(q.key("paused"), 1)
        self.assertIsNone(q.claim())
        self.assertEqual(store.zcard(q.key("open")), 180)
        store.delete(q.key("paused"))
        while store.zcard(q.key("open")) > 0:
            self.assertIsNone(q.claim())
        for i in range(200):
            self.check_final(f"j{i}", "expired", "expired")

    def test_a_running_job_does_not_expire(self):
        q = self.q
        q.enqueue("a")
        job = q.claim()
        self.assertIsNone(store.zscore(q.key("waits"), "a"))
        self.assertEqual(q.finish(job), "done")

    def test_a_job_that_was_given_back_waits_anew(self):
        q = self.q
        q.enqueue("a", max_wait_s="500")
        store.zadd(q.key("waits"), {"a": 9e15})
        job = q.claim()
        q.call("requeue", job["id"], job["token"])
        seconds, _ = store.time()
        self.assertTrue(0 < store.zscore(q.key("waits"), "a") - seconds * 1000 <= 501000)
        q.make_due("waits", "a")
        self.assertIsNone(q.claim())
        self.check_final("a", "expired", "expired")


class Beat(Test):
    def test_renews_only_the_own_lease(self):
        q = self.q
        q.enqueue("a")
        job = q.claim(lease_ms=1000)
        before = store.zscore(q.key("lease"), "a")
        self.assertEqual(q.call("beat", "a", job["token"], 50000), "ok")
        self.assertGreater(store.zscore(q.key("lease"), "a"), before + 40000)
        self.assertEqual(q.call("beat", "a", "other", 99000), "lost")
        self.assertLess(store.zscore(q.key("lease"), "a"), before + 60000)

    def test_tells_of_a_cancel(self):
        q = self.q
        q.enqueue("a")
        job = q.claim()
        q.call("cancel", "a")
        self.assertEqual(q.call("beat", "a", job["token"], 1000), "cancel")

    def test_unknown_and_final(self):
        q = self.q
        self.assertEqual(q.call("beat", "nobody", "x", 1000), "lost")
        q.enqueue("a")
        job = q.claim()
        q.finish(job)
        self.assertEqual(q.call("beat", "a", job["token"], 1000), "lost")
        self.assertEqual(store.zcard(q.key("lease")), 0)


class Finish(Test):
    def run_one(self, **fields):
        self.q.enqueue("a")
        job = self.q.claim()
        self.assertEqual(self.q.finish(job, **fields), "done")

    def test_done(self):
        self.q.enqueue("a", keep_s="77", meta='{"x": 1}', tenant="t")
        job = self.q.claim()
        figures = {"signal": 0, "cpu_ms": 12, "wall_ms": 34, "max_rss_kb": 5678, "frames_dropped": 0}
        words = {"sentence": "Your program ran to its end.", "detail": "", "call": "", "claim": "", "versions": "v"}
        self.assertEqual(self.q.finish(job, "exit", 3, **figures, **words), "done")
        result = self.check_final("a", "done", "exit")
        self.assertEqual({k: result[k] for k in figures}, figures)
        self.assertEqual({k: result[k] for k in words}, words)
        self.assertEqual((result["exit_code"], result["meta"], result["attempt"]), (3, '{"x": 1}', 1))
        stored = self.q.job("a")
        self.assertEqual((stored["verdict"], stored["exit_code"], stored["cpu_ms"]), (b"exit", b"3", b"12"))
        self.assertIn("ended_ms", stored)
        for name in ("topen", "tact"):
            self.assertEqual(store.hgetall(self.q.key(name)), {})
        self.assertEqual(store.get(self.q.key("bytes")), b"0")

    def test_the_object_begins_with_its_kind(self):
        self.run_one()
        self.assertTrue(self.q.entries("a", "result")[0][b"d"].startswith(b'{"kind":"result","id":"a",'))

    def test_cancelled(self):
        self.run_one(verdict="cancelled", exit_code=90)
        self.check_final("a", "cancelled", "cancelled")

    def test_whatever_a_program_said_the_result_is_json(self):
        rows = [b"plain", b'"quotes" \\ / \n\t\x01\x1f\x7f', b"\x00nul", "é ☃ 𝄞".encode(),
                b"\xff\xfe", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xf0\x9f\x98",
                b"\xe2\x98", b"ok\x80end", bytes(range(256)), "\u2028\u2029".encode(), b"\xf4\x90\x80\x80",
                b"</script>", b"\xf0\x8f\xbf\xbf", b"\xe0\x80\x80"]
        for i, said in enumerate(rows):
            job = f"j{i}"
            self.q.enqueue(job)
            self.q.finish(self.q.claim(), sentence=said)
            answered = self.q.result(job)["sentence"]
            self.assertNotIn(b"\n", self.q.entries(job, "result")[0][b"d"])
            try:
                self.assertEqual(answered, said.decode("utf-8"))
            except UnicodeDecodeError:
                self.assertEqual(re.sub(r"\?+", "?", answered),
                                 re.sub(r"\?+", "?", said.decode("utf-8", "replace").replace("\ufffd", "?")))

    def test_a_stale_token_changes_nothing(self):
        q = self.q
        q.enqueue("a")
        first = q.claim()
        q.make_due("lease", "a")
        second = q.claim(owner="w2")
        self.assertEqual((second["id"], second["attempt"]), ("a", "2"))
        before = (q.job("a"), q.entries("a"), store.zrange(q.key("lease"), 0, -1, withscores=True))
        self.assertEqual(q.finish(first, "crashed", 88), "stale")
        self.assertEqual(q.call("beat", "a", first["token"], 1), "lost")
        self.assertEqual(q.call("lost", "a", first["token"], "x"), "stale")
        self.assertEqual(q.call("requeue", "a", first["token"]), "stale")
        self.assertEqual((q.job("a"), q.entries("a"), store.zrange(q.key("lease"), 0, -1, withscores=True)), before)
        self.assertEqual(q.finish(second), "done")
        self.assertEqual(self.check_final("a", "done", "ok")["attempt"], 2)

    def test_a_second_finish_changes_nothing(self):
        q = self.q
        q.enqueue("a")
        job = q.claim()
        q.finish(job)
        before = (q.job("a"), q.entries("a"))
        self.assertEqual(q.finish(job, "crashed", 88), "stale")
        for function in (("lost", "a", job["token"], "x"), ("requeue", "a", job["token"])):
            self.assertEqual(q.call(*function), "stale")
        self.assertEqual((q.job("a"), q.entries("a")), before)

    def test_a_token_is_of_its_attempt_also_with_the_same_owner(self):
        q = self.q
        q.enqueue("a")
        tokens = set()
        for _ in range(20):
            job = q.claim(most=100)
            tokens.add(job["token"])
            q.call("requeue", "a", job["token"])
        self.assertEqual(len(tokens), 20)

    def test_unknown(self):
        self.assertEqual(self.q.finish({"id": "nobody", "token": "x"}), "stale")
        self.assertEqual(self.q.keys(), [])


class GivenBack(Test):
    def test_lost_returns_to_the_front(self):
        q = self.q
        for name in ("a", "b"):
            q.enqueue(name)
        job = q.claim()
        self.assertEqual(q.call("lost", "a", job["token"], "the zygote died"), "queued")
        self.assertEqual((q.state("a"), q.job("a")["lost"]), ("queued", b"1"))
        self.assertNotIn("token", q.job("a"))
        again = q.claim()
        self.assertEqual((again["id"], again["attempt"]), ("a", "2"))
        self.assertEqual([json.loads(e[b"d"])["attempt"] for e in q.entries("a", "state")], [1, 2])

    def test_dead_after_three(self):
        q = self.q
        q.enqueue("a", tenant="t")
        answers = []
        for _ in range(3):
            job = q.claim(most=3)
            answers.append(q.call("lost", "a", job["token"], "the zygote died"))
        self.assertEqual(answers, ["queued", "queued", "dead"])
        result = self.check_final("a", "dead", "fault")
        self.assertEqual((result["exit_code"], result["attempt"]), (99, 3))
        self.assertIn("not your program's fault", result["sentence"])
        self.assertIn("the zygote died", result["detail"])
        self.assertEqual(store.zrange(q.key("dead"), 0, -1), [b"a"])
        self.assertEqual(store.hgetall(q.key("tact")), {})
        self.assertIsNone(q.claim())

    def test_dead_is_bounded(self):
        q = self.q
        store.zadd(q.key("dead"), {f"old{i}": i for i in range(1500)})
        q.enqueue("a")
        q.call("lost", "a", q.claim(most=1)["token"], "x")
        self.assertEqual(store.zcard(q.key("dead")), 1000)
        self.assertIsNotNone(store.zscore(q.key("dead"), "a"))

    def test_leases_that_ran_out(self):
        q = self.q
        for attempt in range(1, 4):
            if attempt == 1:
                q.enqueue("a")
            job = q.claim(most=3)
            self.assertEqual((job["id"], job["attempt"]), ("a", str(attempt)))
            q.make_due("lease", "a")
        self.assertIsNone(q.claim())
        self.assertIn("lease", self.check_final("a", "dead", "fault")["detail"])

    def test_at_most_twenty_leases_per_call(self):
        q = self.q
        for i in range(30):
            q.enqueue(f"j{i}")
            q.claim()
        for i in range(30):
            q.make_due("lease", f"j{i}")
        store.set(q.key("paused"), 1)
        q.claim()
        self.assertEqual(store.zcard(q.key("lease")), 10)
        q.claim()
        self.assertEqual(store.zcard(q.key("lease")), 0)

    def test_requeue_does_not_count(self):
        q = self.q
        q.enqueue("a")
        for _ in range(5):
            job = q.claim(most=1)
            self.assertEqual(q.call("requeue", "a", job["token"]), "queued")
        self.assertEqual(q.job("a")["lost"], b"0")
        self.assertEqual(q.finish(q.claim()), "done")

    def test_recover(self):
        q = self.q
        for name in ("a", "b", "c"):
            q.enqueue(name)
        mine, other, also_mine = q.claim("w1"), q.claim("w10"), q.claim("w1")
        self.assertEqual(sorted(q.call("recover", "w1")), ["a", "c"])
        self.assertEqual((q.state("a"), q.state("b"), q.state("c")), ("queued", "running", "queued"))
        self.assertEqual((q.job("a")["lost"], q.job("b")["lost"]), (b"1", b"0"))
        self.assertEqual(q.call("recover", "w1"), [])
        self.assertEqual([q.finish(mine), q.finish(also_mine), q.finish(other)], ["stale", "stale", "done"])

    def test_recover_makes_dead_too(self):
        q = self.q
        q.enqueue("a")
        q.claim("w1", most=1)
        self.assertEqual(q.call("recover", "w1"), ["a"])
        self.check_final("a", "dead", "fault")

    def test_the_zip_outlives_run_and_wait(self):
        q = self.q
        q.enqueue("a", wall_ms="3600000", max_wait_s="600")
        store.expire(q.key("zip:", "a"), 5)
        q.claim()
        self.assertGreater(store.ttl(q.key("zip:", "a")), 3600 + 600)
        self.assertGreater(store.ttl(q.key("frames:", "a")), 3600)

    def test_given_back_wakes_a_worker(self):
        q = self.q
        q.enqueue("a")
        job = q.claim()
        store.delete(q.key("wake"))
        q.call("requeue", "a", job["token"])
        self.assertEqual(store.llen(q.key("wake")), 1)


class Cancel(Test):
    def test_unknown(self):
        self.assertEqual(self.q.call("cancel", "nobody"), "unknown")
        self.assertEqual(self.q.keys(), [])

    def test_queued(self):
        q = self.q
        for name in ("a", "b"):
            q.enqueue(name)
        self.assertEqual(q.call("cancel", "a"), "cancelled")
        result = self.check_final("a", "cancelled", "cancelled")
        self.assertEqual(result["exit_code"], 90)
        self.assertEqual(q.claim()["id"], "b")
        self.assertIsNone(q.claim())

    def test_leaves_nothing_in_line(self):
        q = self.q
        q.enqueue("a")
        q.call("cancel", "a")
        self.assertEqual(q.keys("t1:"), [])

    def test_delayed(self):
        q = self.q
        q.enqueue("a", delay_ms="1000")
        self.assertEqual(q.call("cancel", "a"), "cancelled")
        self.check_final("a", "cancelled", "cancelled")

    def test_running(self):
        q = self.q
        q.enqueue("a")
        job = q.claim()
        self.assertEqual(q.call("cancel", "a"), "requested")
        self.assertEqual(store.lrange(q.key("ctl:", "a"), 0, -1), [b"cancel"])
        self.assertGreater(store.ttl(q.key("ctl:", "a")), 0)
        self.assertEqual(q.state("a"), "running")
        q.finish(job, "cancelled", 90)
        self.check_final("a", "cancelled", "cancelled")

    def test_running_and_then_lost_does_not_run_again(self):
        q = self.q
        for name, give_back in (("a", lambda j: q.call("lost", j["id"], j["token"], "x")),
                                ("b", lambda j: q.call("requeue", j["id"], j["token"])),
                                ("c", lambda j: q.call("recover", "w1")),
                                ("d", lambda j: (q.make_due("lease", j["id"]), q.claim()))):
            q.enqueue(name)
            job = q.claim("w1")
            q.call("cancel", name)
            give_back(job)
            self.check_final(name, "cancelled", "cancelled")
            self.assertIsNone(q.claim())

    def test_too_late(self):
        q = self.q
        q.enqueue("a")
        job = q.claim()
        q.call("cancel", "a")
        q.finish(job)
        self.check_final("a", "done", "ok")
        self.assertEqual(q.call("cancel", "a"), "final")
        self.check_final("a", "done", "ok")
        q.enqueue("b")
        q.call("cancel", "b")
        self.assertEqual(q.call("cancel", "b"), "final")


class Input(Test):
    LIMIT = 1 << 16
    ALL = 1 << 20

    def begin(self, job="a", **fields):
        self.q.enqueue(job, live_input="1", **fields)
        return self.q.claim()

    def input(self, *words, job="a"):
        return self.q.call("input", job, *words)

    def read(self, offset=0, most=LIMIT, job="a"):
        return self.q.call("input_from", job, offset, most, command="FCALL_RO")

    def words(self):
        return store.lrange(self.q.key("ctl:", "a"), 0, -1)

    def test_answers(self):
        q = self.q
        self.assertEqual(self.input("x"), "unknown")
        self.assertEqual(q.keys(), [])
        q.enqueue("a")
        self.assertEqual(self.input("x"), "refused", "it waits, and its input is what it came with")
        q.claim()
        self.assertEqual(self.input("x", "eof"), "refused")
        job = self.begin("b")
        self.assertEqual(self.input("x", job="b"), "ok")
        q.finish(job)
        self.assertEqual(self.input("x", job="b"), "final")
        self.check_final("b", "done", "ok")
        self.assertEqual(q.keys("in:"), [])

    def test_errors(self):
        self.begin()
        for words, pattern in ((["x" * (self.LIMIT + 1)], "^TOOBIG 65536$"), (["x", "end"], "^BADFIELD end: "),
                               (["x", "\x1b\xff" * 100], r"^BADFIELD \?\?\?")):
            with self.assertRaisesRegex(redis.ResponseError, pattern):
                self.input(*words)
        self.assertEqual((self.read(), self.words()), (["", 0, 0], []))

    def test_what_is_sent_can_be_read_from_anywhere(self):
        self.begin()
        self.assertEqual([self.input("one\n"), self.input(), self.input("two\n")], ["ok"] * 3)
        self.assertEqual(self.read(), ["one\ntwo\n", 0, 0])
        self.assertEqual(self.read(0, 3), ["one", 1, 0])
        self.assertEqual(self.read(3, 3), ["\ntw", 1, 0])
        self.assertEqual(self.read(8), ["", 0, 0])
        self.assertEqual(self.read(100), ["", 0, 0])
        every = bytes(range(256))
        self.input(every)
        self.assertEqual(store.get(self.q.key("in:", "a")), b"one\ntwo\n" + every)

    def test_the_end(self):
        self.begin()
        self.assertEqual(self.input("last", "eof"), "ok")
        self.assertEqual(self.read(0, 3), ["las", 1, 0], "not before all is read")
        self.assertEqual(self.read(3, 3), ["t", 0, 1])
        self.assertEqual(self.read(4), ["", 0, 1])
        self.assertEqual([self.input("more"), self.input("", "eof")], ["closed"] * 2)
        self.begin("b")
        self.assertEqual(self.input("", "eof", job="b"), "ok")
        self.assertEqual(self.read(job="b"), ["", 0, 1])

    def test_the_relay_is_told_once_until_it_looks(self):
        self.begin()
        for text in ("one", "two", ""):
            self.input(text)
        self.assertEqual(self.words(), [b"input"])
        self.assertGreater(store.ttl(self.q.key("ctl:", "a")), 0)
        self.q.call("cancel", "a")
        self.assertEqual(self.words(), [b"cancel", b"input"], "a cancel does not wait")
        store.delete(self.q.key("ctl:", "a"))
        self.input("", "eof")
        self.assertEqual(self.words(), [b"input"])

    def test_it_is_kept_for_a_job_that_waits(self):
        q = self.q
        q.enqueue("a", live_input="1", delay_ms="5000", max_wait_s="100", wall_ms="7000")
        self.assertEqual(self.input("early\n", "eof"), "queued")
        self.assertEqual(self.words(), [])
        self.assertAlmostEqual(store.ttl(q.key("in:", "a")), 3600 + 5 + 100 + 7, delta=5)
        q.make_due("delayed", "a")
        q.claim()
        self.assertEqual(self.read(), ["early\n", 0, 1])
        self.assertAlmostEqual(store.ttl(q.key("in:", "a")), 3600 + 100 + 7, delta=5)

    def test_another_attempt_reads_it_again(self):
        q = self.q
        for give_back in ("lost", "requeue"):
            job = self.begin(give_back)
            self.input("one\n", job=give_back)
            q.call(give_back, give_back, job["token"])
            self.assertEqual(self.input("two\n", job=give_back), "queued")
            self.assertEqual(q.claim()["attempt"], "2")
            self.assertEqual(self.read(job=give_back), ["one\ntwo\n", 0, 0])

    def test_so_much_and_no_more(self):
        self.begin()
        for _ in range(self.ALL // self.LIMIT):
            self.assertEqual(self.input("x" * self.LIMIT), "ok")
        self.assertEqual(self.input("x"), "full")
        self.assertEqual(self.input("x", "eof"), "full")
        self.assertEqual(self.input("", "eof"), "ok", "it may still be told that this was all")
        self.assertEqual(self.read(self.ALL - 1), ["x", 0, 1])

    def test_nothing_is_left(self):
        q = self.q
        for ending in (lambda job: q.finish(job), lambda job: q.call("lost", "a", job["token"]),
                       lambda job: q.call("requeue", "a", job["token"]) and q.call("cancel", "a")):
            store.flushall()
            q.enqueue("a", live_input="1")
            job = q.claim(most=1)
            self.input("x")
            ending(job)
            self.assertEqual(q.keys("in:"), [])
        store.flushall()
        q.enqueue("a", live_input="1")
        self.input("x")
        q.make_due("waits", "a")
        q.claim()
        self.check_final("a", "expired", "expired")

    def test_a_full_redis_takes_none(self):
        self.begin()
        memory = store.config_get("maxmemory")["maxmemory"]
        store.config_set("maxmemory", 1)
        try:
            with self.assertRaisesRegex(redis.ResponseError, "OOM|command not allowed"):
                self.input("x")
        finally:
            store.config_set("maxmemory", memory)
        self.assertEqual(self.input("x"), "ok")


class Look(Test):
    def test_position(self):
        q = self.q
        for i in range(4):
            q.enqueue(f"j{i}")
        self.assertEqual([q.call("position", f"j{i}")[0] for i in range(4)], [0, 1, 2, 3])
        job = q.claim()
        self.assertEqual([q.call("position", f"j{i}")[0] for i in range(4)], [0, 0, 1, 2])
        q.finish(job)
        self.assertEqual([q.call("position", f"j{i}")[0] for i in range(4)], [-1, 0, 1, 2])
        self.assertEqual(q.call("position", "nobody"), [-1, 0])

    def test_expected_wait_follows_what_jobs_took(self):
        q = self.q
        q.enqueue("first")
        q.finish(q.claim(), wall_ms=4000)
        for i in range(5):
            q.enqueue(f"j{i}")
        self.assertEqual(q.call("position", "j2"), [2, 8000])
        q.claim(), q.claim()
        self.assertEqual(q.call("position", "j0"), [0, 0], "it runs")
        self.assertEqual(q.call("position", "j4"), [2, 4000], "two at once")

    def test_depth(self):
        q = self.q
        self.assertEqual(q.call("depth"), [0, 0, 0])
        for i in range(5):
            q.enqueue(f"j{i}")
        store.zadd(q.key("open"), {"j0": 1, "j1": 2})
        q.enqueue("later", delay_ms="100000")
        store.zadd(q.key("open"), {"later": 0})
        q.claim()
        waiting, running, oldest = q.call("depth")
        self.assertEqual((waiting, running), (4, 1))
        self.assertGreater(oldest, 1000000000000, "j1, since the beginning of time")
        while q.claim():
            pass
        self.assertEqual(q.call("depth"), [0, 5, 0])


class Leftovers(Test):
    def test_all_that_is_left_after_expiry_are_counters(self):
        """One job to each final state; each key of a job has an expiry; what has none is bounded."""
        q = self.q
        for name in ("done", "dead", "cancelled", "expired", "stopped"):
            q.enqueue(name, keep_s="1", tenant=name, live_input="1")
            q.call("input", name, "x", "eof")
        q.call("cancel", "cancelled")
        q.make_due("waits", "expired")
        while job := q.claim(most=1):
            if job["id"] == "dead":
                q.call("lost", "dead", job["token"], "x")
            elif job["id"] == "stopped":
                q.call("cancel", "stopped")
                q.finish(job, "cancelled", 90)
            else:
                q.finish(job, wall_ms=1)
        for key in q.keys():
            if re.match("(job|zip|frames|ctl|in|up):", key):
                self.assertGreater(store.ttl(q.key(key)), 0, key)
        end = time.monotonic() + PATIENCE
        while any(":" in key for key in q.keys()) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(q.keys(), ["bytes", "dead", "pace", "wake"])
        self.assertEqual(store.get(q.key("bytes")), b"0")


class Model:
    """What the library does, at random, and what must then be true."""

    TENANTS = ["t1", "t2", "t3"]
    CLASSES = ["interactive", "normal", "batch"]

    def __init__(self, test, seed):
        self.test, self.q, self.random = test, Queue("random"), random.Random(seed)
        self.attempts = []  # every claim there ever was, stale ones too
        self.ids = 0
        self.final = {}  # id: (state, result) as first seen
        self.steps = [self.enqueue] * 6 + [self.claim] * 8 + [self.finish] * 4 + [
            self.beat, self.lost, self.requeue, self.cancel, self.cancel, self.recover, self.input,
            self.lease_ends, self.wait_ends, self.delay_ends, self.duplicate, self.pause]

    def some(self, name):
        members = store.zrange(self.q.key(name), 0, -1)
        return text(self.random.choice(members)) if members else None

    def enqueue(self):
        self.ids += 1
        self.q.enqueue(f"j{self.ids}", bytes(self.random.randrange(100)), tenant=self.random.choice(self.TENANTS),
                       priority=self.random.choice(self.CLASSES), delay_ms=self.random.choice(["0", "0", "999999"]),
                       live_input=self.random.choice(["0", "1"]))

    def duplicate(self):
        if self.ids:
            answer = self.q.enqueue(f"j{self.random.randint(1, self.ids)}", b"other")
            self.test.assertTrue(answer.startswith("duplicate"), answer)

    def claim(self):
        job = self.q.claim(owner=self.random.choice(["w1", "w2"]), most=2)
        if job:
            self.attempts.append(job)

    def attempt(self):
        return self.random.choice(self.attempts[-12:]) if self.attempts else {"id": "none", "token": "none"}

    def finish(self):
        self.q.finish(self.attempt(), self.random.choice(["ok", "cpu_limit", "cancelled"]), wall_ms=5)

    def beat(self):
        self.q.call("beat", self.attempt()["id"], self.attempt()["token"], LEASE_MS)

    def lost(self):
        job = self.attempt()
        self.q.call("lost", job["id"], job["token"], "x")

    def requeue(self):
        job = self.attempt()
        self.q.call("requeue", job["id"], job["token"])

    def cancel(self):
        self.q.call("cancel", f"j{self.random.randint(0, self.ids)}")

    def input(self):
        self.q.call("input", f"j{self.random.randint(0, self.ids)}", "x", *self.random.choice([[], [], ["eof"]]))

    def recover(self):
        self.q.call("recover", self.random.choice(["w1", "w2"]))

    def ends(self, name):
        if (job := self.some(name)) is not None:
            self.q.make_due(name, job)

    def lease_ends(self):
        self.ends("lease")

    def wait_ends(self):
        self.ends("waits")

    def delay_ends(self):
        self.ends("delayed")

    def pause(self):
        if self.random.random() < 0.3:
            store.set(self.q.key("paused"), 1)
        else:
            store.delete(self.q.key("paused"))

    def members(self, name):
        return {text(m) for m in store.zrange(self.q.key(name), 0, -1)}

    def check(self):
        test, q = self.test, self.q
        jobs = {f"j{i}": q.job(f"j{i}") for i in range(1, self.ids + 1)}
        states = {job: text(fields["state"]) for job, fields in jobs.items()}
        by_state = lambda *wanted: {job for job, state in states.items() if state in wanted}
        alive, running, queued = by_state("queued", "running"), by_state("running"), by_state("queued")
        in_line = [text(m) for key in q.keys("t") if re.match("t[012]:", key)
                   for m in store.lrange(q.key(key), 0, -1)]
        delayed = self.members("delayed")
        test.assertEqual(set(states.values()) - FINAL - {"queued", "running"}, set())
        test.assertEqual(self.members("open"), alive)
        test.assertEqual(self.members("lease"), running)
        test.assertEqual(self.members("waits"), queued)
        test.assertEqual(sorted(in_line + list(delayed)), sorted(queued), "each queued job stands in one place")
        test.assertEqual({key[4:] for key in q.keys("zip:")}, alive)
        test.assertLessEqual({key[3:] for key in q.keys("in:")}, {j for j in alive if jobs[j]["live_input"] == b"1"})
        test.assertEqual(int(store.get(q.key("bytes")) or 0), sum(int(jobs[job]["bytes"]) for job in alive))
        for key, members in (("topen", alive), ("tact", running)):
            counted = {text(k): int(v) for k, v in store.hgetall(q.key(key)).items()}
            expected = {}
            for job in members:
                tenant = text(jobs[job]["tenant"])
                expected[tenant] = expected.get(tenant, 0) + 1
            test.assertEqual(counted, expected, key)
        for job, state in states.items():
            if state not in FINAL:
                test.assertEqual(q.entries(job, "result"), [])
                test.assertEqual("token" in jobs[job], state == "running")
            elif job in self.final:
                test.assertEqual((state, q.result(job)), self.final[job], "what is final stays as it is")
            else:
                self.final[job] = (state, q.result(job))
                test.assertGreater(store.ttl(q.key("job:", job)), 0)
                test.assertGreater(store.ttl(q.key("frames:", job)), 0)

    def drain(self):
        """Whatever happened, all that is left can be run."""
        store.delete(self.q.key("paused"))
        while (job := self.some("lease")) is not None:
            self.q.call("recover", "w1"), self.q.call("recover", "w2")
        while (job := self.some("delayed")) is not None:
            self.q.make_due("delayed", job)
            if claimed := self.q.claim():
                self.q.finish(claimed)
        while claimed := self.q.claim():
            self.q.finish(claimed)
        self.check()
        self.test.assertEqual(self.members("open"), set())


class Random(Test):
    def test_what_must_hold_holds_after_each_step(self):
        for seed in range(12):
            store.flushall()
            model = Model(self, seed)
            done = []
            try:
                for _ in range(150):
                    done.append(model.random.choice(model.steps))
                    done[-1]()
                    model.check()
                done.append(model.drain)
                model.drain()
            except (AssertionError, redis.ResponseError) as error:
                last = ", ".join(step.__name__ for step in done[-5:])
                raise AssertionError(f"seed {seed}, step {len(done)} ({last}): {error}") from error


if __name__ == "__main__":
    unittest.main()
