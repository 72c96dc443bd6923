# SPDX-License-Identifier: MIT
"""The Functions library of the queue, function by function, in a redis-server of its own; and, at the end, all of
them in random order with what must hold of every job checked after each step. Each call is made by the user whose it is in
deploy/redis-users.acl, so that all of this shows, too, that these users may do enough."""

import codecs
import collections
import functools
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

import users

LIBRARY = os.environ.get("PADDOCK_LIBRARY", "build/dev/queue/paddock.lua")
PATIENCE = 60  # a watchdog, not an expectation
LEASE_MS = 60000
FINAL = {"done", "dead", "cancelled", "expired"}
DAY_S = 86400
WEEK_S = 7 * DAY_S
QUEUE = "default"  # the one that the users are made for
codecs.register_error("a question mark for each byte", lambda error: ("?", error.start + 1))
NEVER_MS = 10**15  # so that what an audit would set right is seen
connections = {}  # of each user


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
    unittest.addModuleCleanup(shutil.rmtree, folder)
    server, store = start_server(folder)
    unittest.addModuleCleanup(server.wait)
    unittest.addModuleCleanup(server.kill)
    unittest.addModuleCleanup(store.close)
    with open(LIBRARY, encoding="utf-8") as file:
        library = file.read()
    store.function_load(library)
    load_library()
    users.create(store)
    for name in users.NAMES:
        connections[name] = redis.Redis(unix_socket_path=os.path.join(folder, "redis.sock"), username=name, password=users.PASSWORD)
        unittest.addModuleCleanup(connections[name].close)


def used_memory():
    """What Redis uses for its keys: it keeps room for one more argument as large as a client's last one, for about as long as it
    pleases, so all others are made to connect anew."""
    with redis.Redis(unix_socket_path=os.path.join(folder, "redis.sock")) as alone:
        alone.client_kill_filter(_type="normal", skipme=True)
        return alone.info("memory")["used_memory"]


def load_library(audit_ms=NEVER_MS, at_once=100):
    """Anew, with an audit that looks after so many jobs so often; the first time at the next claim."""
    changed = library
    for name, number in (("AUDIT_MS", audit_ms), ("AUDIT_AT_MOST", at_once)):
        changed, found = re.subn(rf"^(local {name} =) \d+", rf"\1 {number}", changed, flags=re.M)
        assert found == 1, name
    store.function_load(changed, replace=True)


def text(value):
    """Bytes of an answer as text, through lists."""
    if isinstance(value, list):
        return [text(v) for v in value]
    return value.decode() if isinstance(value, bytes) else value


def now_ms():
    seconds, micros = store.time()
    return seconds * 1000 + micros // 1000


class Queue:
    """One queue, called as clients and relays do. Its keys are paddock:{name}:..."""

    # Whose library is loaded: that of another version is no affair of the users of this one.
    current = True

    def __init__(self, name=QUEUE):
        self.prefix = f"paddock:{{{name}}}:"
        self.uploads = 0

    def connection(self, user):
        return connections[user] if Queue.current and self.prefix == f"paddock:{{{QUEUE}}}:" else store

    def key(self, name, job=""):
        return self.prefix + name + job

    def call(self, function, *arguments):
        command = "FCALL_RO" if re.search(rf'register\("{function}", \w+, "no-writes"\)', library) else "FCALL"
        user = users.function_user(function)
        return text(self.connection(user).execute_command(command, "paddock_" + function, 1, self.key("open"), *arguments))

    def upload(self, data=b"zip"):
        self.uploads += 1
        self.connection(users.WEB).set(self.key("up:", str(self.uploads)), data, ex=60)
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
        return {text(k): v for k, v in self.connection(users.WEB).hgetall(self.key("job:", job)).items()}

    def state(self, job):
        return text(store.hget(self.key("job:", job), "state"))

    def entries(self, job, kind=None):
        found = [fields for _, fields in self.connection(users.WEB).xrange(self.key("frames:", job))]
        return [e for e in found if kind is None or text(e[b"k"]) == kind]

    def result(self, job):
        """The one result of a job, which is the last entry."""
        entries = self.entries(job)
        results = self.entries(job, "result")
        assert len(results) == 1, f"{len(results)} results of {job}"
        assert entries[-1] == results[0], "something follows the result"
        return json.loads(results[0][b"d"].decode("utf-8"))

    def keys(self, name=""):
        """All but the mark of the audit, which is gone after a minute, and what relays are to say."""
        found = sorted(text(k)[len(self.prefix):] for k in store.scan_iter(self.prefix + name + "*"))
        return [key for key in found if key not in ("audited", "untold", "untold_by")]

    def make_due(self, name, job):
        """Time passes for one job: its score in lease (and its owner was missed), waits, delayed or dead lies in the past."""
        assert store.zscore(self.key(name), job) is not None, f"{job} is not in {name}"
        store.zadd(self.key(name), {job: now_ms() - 1000 + 0.5 if name == "lease" else 1.5})

    def end_delays(self):
        """Time passes for all that is delayed."""
        for job in store.zrange(self.key("delayed"), 0, -1):
            store.zadd(self.key("delayed"), {job: 1})

    def configure(self, **numbers):
        store.hset(self.key("conf"), mapping=numbers)

    def bury(self, job="a", detail="x", **fields):
        """One job, lost as often as it takes."""
        self.enqueue(job, **fields)
        claimed = self.claim(most=1)
        assert claimed["id"] == job
        return self.call("lost", job, claimed["token"], detail)

    def record(self, job, size):
        """The recording of a job that runs grows."""
        entry = {"k": "slice", "a": 1, "d": bytes(size)}
        self.connection(users.WORKER).xadd(self.key("frames:", job), entry, nomkstream=True)

    def status(self):
        flat = self.call("status")
        return dict(zip(flat[::2], flat[1::2]))

    def order(self, count, field="id"):
        """What so many claims give, each finished at once."""
        served = []
        for _ in range(count):
            job = self.claim()
            served.append(job[field])
            self.finish(job)
        return served


def commands(step):
    """How many commands Redis carries out for it, those of functions included."""
    store.config_resetstat()
    step()
    return sum(row["calls"] for row in store.info("commandstats").values())


class Test(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.q = Queue()
        self.begin_anew()

    def begin_anew(self):
        """Nothing is there, and the next audit comes after AUDIT_MS."""
        store.flushall()
        self.assertIsNone(self.q.claim())

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
        self.assertEqual(store.exists(q.key("ctl:", job)), 0)
        if state == "dead":
            self.assertIsNotNone(store.zscore(q.key("dead"), job))
            for name in ("job:", "frames:"):
                self.assertTrue(WEEK_S < store.ttl(q.key(name, job)) <= WEEK_S + DAY_S, name)
            return result
        self.assertEqual(store.exists(q.key("zip:", job), q.key("in:", job)), 0)
        self.assertEqual({"stdin", "argv", "host"} & set(q.job(job)), set())
        keep_s = int(q.job(job).get("keep_s", 3600))
        for name in ("job:", "frames:"):
            self.assertTrue(0 < store.ttl(q.key(name, job)) <= keep_s, name)
        return result


class Several(Test):
    """What relays of a pool that serves several queues call."""

    def setUp(self):
        super().setUp()
        self.other = Queue("q2")

    def call(self, function, *arguments, queues=(QUEUE, "q2")):
        keys = [f"paddock:{{{name}}}:open" for name in queues]
        return text(store.execute_command("FCALL", "paddock_" + function, len(keys), *keys, *arguments))

    def claim(self, *arguments, **named):
        flat = self.call("claim", "w1", LEASE_MS, 3, *arguments, **named)
        return dict(zip(flat[::2], flat[1::2]))

    def test_the_first_that_has_a_job(self):
        self.other.enqueue("b")
        found = self.claim()
        self.assertEqual((found["queue"], found["id"]), ("q2", "b"))
        self.q.enqueue("a")
        self.other.enqueue("c")
        self.assertEqual(self.claim(queues=(QUEUE, "q2"))["queue"], QUEUE)
        self.assertEqual(self.claim(queues=(QUEUE, "q2"))["queue"], "q2")
        self.assertEqual(self.claim(), {})
        self.assertEqual(self.other.finish(found), "done")

    def test_when_to_ask_again(self):
        self.assertEqual(self.claim("idle_ms"), {})
        self.other.enqueue("b", delay_ms=5000)
        self.assertTrue(0 < int(self.claim("idle_ms")["idle_ms"]) <= 5001)
        self.q.enqueue("a", delay_ms=1000)
        self.assertTrue(0 < int(self.claim("idle_ms")["idle_ms"]) <= 1001)

    def test_one_is_in_no_others_way(self):
        """Paused, or damaged so that no claim of it can be answered."""
        self.other.enqueue("b")
        self.q.enqueue("a")
        self.q.call("pause", "why")
        self.assertEqual(self.claim()["id"], "b")
        self.q.call("resume")
        self.other.enqueue("c")
        store.execute_command("ACL", "SETUSER", "half", "on", "nopass", "~paddock:{q2}:*", f"~paddock:{{{QUEUE}}}:open", "+@all")
        half = redis.Redis(unix_socket_path=os.path.join(folder, "redis.sock"), username="half", password="x")
        self.addCleanup(store.execute_command, "ACL", "DELUSER", "half")
        self.addCleanup(half.close)
        recover = ("FCALL", "paddock_recover", 2, self.q.key("open"), self.other.key("open"), "w1")
        self.assertEqual(text(half.execute_command(*recover)), ["b"])
        self.assertEqual(self.other.finish(self.claim(queues=("q2",))), "done")
        for expected in "c", None:
            command = ("FCALL", "paddock_claim", 2, self.q.key("open"), self.other.key("open"), "w1", LEASE_MS, 3)
            if expected:
                self.assertEqual(text(half.execute_command(*command))[1], expected)
            else:
                with self.assertRaisesRegex(redis.ResponseError, f"EXISTS recordings_until of paddock:{{{QUEUE}}}:"):
                    half.execute_command(*command)

    def test_what_nobody_claims_expires(self):
        self.q.enqueue("a", max_wait_s=2)
        self.other.enqueue("b", max_wait_s=1)
        self.assertTrue(900 < int(self.call("tend", LEASE_MS)[1]) <= 1001)
        time.sleep(1.05)
        self.assertTrue(0 < int(self.call("tend", LEASE_MS)[1]) <= 1000)
        self.assertEqual([self.q.state("a"), self.other.state("b")], ["queued", "expired"])

    def test_what_was_left_behind_in_each(self):
        for queue, job in (self.q, "a"), (self.other, "b"), (self.other, "c"):
            queue.enqueue(job)
            queue.claim(owner="w1" if job != "c" else "w2")
        self.assertEqual(self.call("recover", "w1"), ["a", "b"])
        self.assertEqual([self.q.state("a"), self.other.state("b"), self.other.state("c")], ["queued", "queued", "running"])


class Library(Test):
    def test_loads_twice_and_says_its_version(self):
        load_library()
        version = int(re.search(r"local VERSION = (\d+)", library)[1])
        self.assertEqual(self.q.call("version"), version)

    def test_one_queue_cannot_name_keys_of_another(self):
        store.flushall()
        for key in ("paddock:{q}:job:a", "open", "paddock:{q}:open:open", "other:{q}:open", "paddock:{a b}:open"):
            with self.assertRaisesRegex(redis.ResponseError, "BADKEY"):
                store.execute_command("FCALL", "paddock_claim", 1, key, "w1", 1000, 3)
        with self.assertRaisesRegex(redis.ResponseError, "BADKEY"):
            store.execute_command("FCALL", "paddock_claim", 0)
        self.assertEqual(store.dbsize(), 0)

    def test_only_relays_calls_take_several_queues(self):
        keys = ("paddock:{q}:open", "paddock:{q2}:open")
        for function in ("enqueue", "cancel", "finish", "beat", "lost", "requeue", "pause", "resume", "dead_drop"):
            with self.subTest(function), self.assertRaisesRegex(redis.ResponseError, "BADKEY"):
                store.execute_command("FCALL", "paddock_" + function, 2, *keys, "a", "b", "c", "d")
        for bad in ("open", "paddock:{q2}:job", ""):
            with self.subTest(bad), self.assertRaisesRegex(redis.ResponseError, "BADKEY"):
                store.execute_command("FCALL", "paddock_claim", 2, keys[0], bad, "w", 1000, 3)

    def test_a_queues_name_has_bounds(self):
        for name in ("", "x" * 65, "x" * 3000, "a b", "a}"):
            with self.subTest(name=name[:5]), self.assertRaisesRegex(redis.ResponseError, "BADKEY"):
                store.execute_command("FCALL", "paddock_claim", 1, f"paddock:{{{name}}}:open", "w", 1000, 3)

    def test_queues_are_apart(self):
        other = Queue("q2")
        self.q.enqueue("a")
        self.assertIsNone(other.claim())
        self.assertEqual(other.enqueue("a"), "queued 0")
        self.assertEqual(self.q.claim()["id"], "a")

    def test_reading_functions_may_run_read_only(self):
        self.q.enqueue("a")
        self.assertEqual(self.q.call("position", "a"), [0, 0])
        self.assertEqual(self.q.call("depth")[:2], [1, 0])


class Enqueue(Test):
    def test_stores_the_job(self):
        q = self.q
        self.assertEqual(q.enqueue("a", b"\x00\xff" * 50, tenant="t", meta="m", argv="x\ny"), "queued 0")
        job = q.job("a")
        self.assertEqual((job["state"], job["attempt"], job["lost"], job["bytes"]), (b"queued", b"0", b"0", b"104"), "ZIP, argv and meta")
        self.assertEqual((job["tenant"], job["meta"], job["argv"]), (b"t", b"m", b"x\ny"))
        self.assertNotIn("host", job, "the version before does not know the field")
        self.assertEqual(store.get(q.key("zip:", "a")), b"\x00\xff" * 50)
        self.assertEqual(q.keys("up:"), [])
        self.assertEqual(store.get(q.key("bytes")), b"104")
        self.assertEqual(store.hgetall(q.key("topen")), {b"t": b"1"})
        self.assertTrue(600 < store.ttl(q.key("zip:", "a")) <= 600 + DAY_S)
        self.assertTrue(600 < store.ttl(q.key("zip:", "a")) < store.ttl(q.key("job:", "a")) <= 660 + DAY_S)

    def test_fields_that_are_not_given_have_their_defaults(self):
        self.q.enqueue("a")
        job = self.q.job("a")
        self.assertEqual((job["priority"], job["tenant"], job["cpu_ms"], job["keep_s"], job["entry"]),
                         (b"normal", b"default", b"5000", b"3600", b""))

    def test_answers_how_many_wait_ahead(self):
        self.assertEqual([self.q.enqueue(f"j{i}") for i in range(3)], ["queued 0", "queued 1", "queued 2"])
        self.q.claim()
        self.assertEqual(self.q.enqueue("j3"), "queued 2")

    def test_who_is_at_its_cap_waits_ahead_of_nobody(self):
        """Neither where a claim has noted it, nor where none has come; nor do those of a letter that is to run again."""
        q = self.q
        q.configure(max_tenant_running=1)
        q.bury("letter", tenant="t")
        for tenant in "ac":
            q.enqueue(f"{tenant}0", tenant=tenant)
            q.claim()
        self.assertEqual([q.enqueue(f"a{i}", tenant="a") for i in (1, 2)], ["queued 0", "queued 0"])
        self.assertEqual([q.enqueue(f"b{i}", tenant="b") for i in (1, 2)], ["queued 0", "queued 1"])
        self.assertEqual(q.enqueue("later", tenant="d", delay_ms="100000"), "queued 2")
        while q.claim():
            pass
        self.assertEqual(store.zrange(q.key("capped"), 0, -1), [b"a", b"b"])
        self.assertEqual(q.call("dead_requeue", "letter"), "queued 0")
        self.assertEqual((q.enqueue("a3", tenant="a"), q.enqueue("e", tenant="e")), ("queued 1", "queued 1"))
        self.assertEqual((q.call("depth")[0], q.call("position", "later")[0]), (2, 2))

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
        store.lpush(q.key("up:", "list"), "x")
        with self.assertRaisesRegex(redis.ResponseError, "^NOUPLOAD list"):
            q.call("enqueue", "a", "upload", "list")
        self.assertEqual(q.keys(), [])
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
            ("cpu_ms", "0100", "^BADFIELD cpu_ms: "),
            ("live_input", "01", "^BADFIELD live_input: "),
            ("replace", "00", "^BADFIELD replace: "),
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

    def test_an_id_whose_fields_are_gone(self):
        """It is open yet: a claim will tell of it, and it is no other's until then."""
        q = self.q
        q.enqueue("x", tenant="A")
        store.delete(q.key("job:", "x"))
        self.assertEqual(q.enqueue("x", tenant="B"), "duplicate queued")
        self.assertIsNone(q.claim())
        self.check_final("x", "dead", "fault")

    def test_a_zip_may_be_so_large(self):
        q = self.q
        q.enqueue("fits", bytes(10 << 20))
        self.refuse(f"^TOOBIG {10 << 20}$", "a", bytes((10 << 20) + 1))
        store.hset(q.key("conf"), "max_zip_mb", 1)
        self.refuse(f"^TOOBIG {1 << 20}$", "a", bytes((1 << 20) + 1))
        store.hset(q.key("conf"), "max_zip_mb", 1000)
        self.refuse(f"^TOOBIG {50 << 20}$", "a", bytes((50 << 20) + 1))
        store.hset(q.key("conf"), "max_mb", 1)
        self.refuse(f"^TOOBIG {(1 << 20) - 9}$", "a", bytes((1 << 20) - 8), stdin="abcd", argv="[]", meta="x", host="{}")
        self.refuse(f"^TOOBIG {(1 << 20) - 7}$", "a", bytes((1 << 20) - 6), stdin="abcd", argv="[]", meta="x")
        q.call("cancel", "fits")
        self.assertEqual(q.enqueue("all", bytes((1 << 20) - 7), stdin="abcd", argv="[]", meta="x"), "queued 0")
        self.assertEqual(q.keys("up:"), [])

    def test_full(self):
        q = self.q
        rows = [("max_jobs", 1, "full jobs 1000"), ("max_tenant_jobs", 1, "full tenant 1000"),
                ("max_mb", 1, "full bytes 1000")]
        q.enqueue("first", bytes(600000), tenant="t")
        for name, value, answer in rows:
            store.hset(q.key("conf"), name, value)
            self.assertEqual(q.enqueue("a", bytes(600000), tenant="t"), answer)
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
            self.assertEqual(q.call("enqueue", "lost", "upload", "never"), "full memory 1000")
            self.assertEqual(q.call("enqueue", "late", "upload", upload), "queued 2", "its upload had found room")
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


    def test_fields_take_room_too(self):
        q = self.q
        q.configure(max_mb=3)
        self.assertEqual(q.enqueue("a", b"", stdin="x" * 1000000), "queued 0")
        self.assertEqual(q.enqueue("b", b"", stdin="x" * 1000000, meta="m" * 4000), "queued 1")
        self.assertEqual(store.get(q.key("bytes")), b"2004000")
        self.assertEqual(q.enqueue("c", b"x" * 200000, stdin="x" * 1000000), "full bytes 1000")
        self.assertEqual(q.order(2), ["a", "b"])
        self.assertIsNone(q.claim())
        self.assertEqual(store.get(q.key("bytes")), b"0")

    def test_large_fields_that_found_no_room(self):
        """Their upload was small, and granted."""
        q = self.q
        memory = store.config_get("maxmemory")["maxmemory"]
        try:
            store.config_set("maxmemory", used_memory() + (6 << 20))
            answers = [q.enqueue(f"j{i}", b"x", stdin="x" * (1 << 20)) for i in range(10)]
            self.assertEqual(answers[-1], "full memory 1000")
            self.assertLess(answers.count("full memory 1000"), 10)
            self.assertEqual(q.keys("up:"), [])
        finally:
            store.config_set("maxmemory", memory)

    def test_a_large_upload_that_found_no_room(self):
        """By the time of the call there may be some: the refused bytes themselves had taken it."""
        q = self.q
        for i in range(2):
            q.bury(f"dead{i}", data=bytes(1000))
        memory = store.config_get("maxmemory")["maxmemory"]
        try:
            store.config_set("maxmemory", used_memory() + (4 << 20))
            with self.assertRaisesRegex(redis.ResponseError, "OOM|command not allowed"):
                q.upload(bytes(9 << 20))
            self.assertEqual(q.call("enqueue", "a", "upload", str(q.uploads)), "full memory 1000")
            self.assertEqual(q.keys("zip:"), ["zip:dead1"], "a dead letter has given way")
            for _ in range(3):
                self.assertEqual(q.call("enqueue", "a", "upload", "never"), "full memory 1000")
            self.assertEqual(q.keys("zip:"), ["zip:dead1"], "to what was refused, and to nothing else")
        finally:
            store.config_set("maxmemory", memory)
        with self.assertRaisesRegex(redis.ResponseError, "^NOUPLOAD"):
            q.call("enqueue", "a", "upload", str(q.uploads))


class Claim(Test):
    def test_a_call_that_is_none_takes_nothing(self):
        q = self.q
        q.enqueue("a")
        for words in ((), ("",), ("w1",), ("w1", "nan", "3"), ("w1", "1000"), ("w1", "1000", "x"), ("w1", "-1", "3")):
            with self.subTest(words=words), self.assertRaisesRegex(redis.ResponseError, "BADCALL"):
                q.call("claim", *words)
        self.assertEqual(q.order(1), ["a"])

    def test_nothing(self):
        load_library()
        self.assertIsNone(self.q.claim())
        self.assertEqual(self.q.keys(), [])
        self.assertGreater(store.ttl(self.q.key("audited")), 0)

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

    def test_it_says_behind_which_entry_the_recording_comes(self):
        """For each attempt: nothing that a relay of the one before sends comes behind it, nor the same twice."""
        q = self.q
        q.enqueue("a")
        for number in range(1, 4):
            after = text(q.claim(most=100)["after"])
            self.assertEqual(text(q.connection(users.WEB).xrevrange(q.key("frames:", "a"), count=1)[0][0]), after)
            ms, count = map(int, after.split("-"))
            relay = q.connection(users.WORKER)
            words = ["XADD", q.key("frames:", "a"), "NOMKSTREAM", f"{ms}-{count + 1}", "k", "slice", "a", number, "d", "x"]
            relay.execute_command(*words)
            with self.assertRaisesRegex(redis.ResponseError, "equal or smaller"):
                relay.execute_command(*words)
            q.call("requeue", "a", text(q.job("a")["token"]))
            with self.assertRaisesRegex(redis.ResponseError, "equal or smaller"):
                relay.execute_command(*words)
        self.assertEqual([text(entry[b"k"]) for entry in q.entries("a")], ["state", "slice"] * 3)

    def test_lease_is_as_long_as_asked_by_the_clock_of_redis(self):
        q = self.q
        q.enqueue("a")
        q.claim(lease_ms=60000)
        left = store.zscore(q.key("lease"), "a") - now_ms()
        self.assertTrue(0 < left <= 60000 / 2, left)

    def test_an_owner_is_missed_before_he_is_given_up(self):
        q = self.q
        q.enqueue("a")
        job = q.claim(lease_ms=10000)
        store.zadd(q.key("lease"), {"a": 1})
        for _ in range(2):
            self.assertIsNone(q.claim("w2", lease_ms=10000), "he has half of the lease left")
        left = store.zscore(q.key("lease"), "a") - now_ms()
        self.assertTrue(0 < left <= 5001, left)
        self.assertEqual(q.call("beat", "a", job["token"], 10000), "ok")
        store.zadd(q.key("lease"), {"a": 1})
        self.assertIsNone(q.claim("w2"), "that he was missed once is forgotten")
        q.make_due("lease", "a")
        self.assertEqual(q.claim("w2")["attempt"], "2")

    def test_a_lease_is_its_owners_whoever_misses_him(self):
        """Pools of one queue may have leases of several lengths. Where nothing says the owner's, it is that of who misses him."""
        q = self.q
        q.enqueue("a")
        job = q.claim(lease_ms=20000)

        def miss(half_ms):
            for how in (lambda: store.zadd(q.key("lease"), {"a": 1}), lambda: store.zadd(q.key("lease"), {"a": now_ms() + 3600000}),
                        lambda: (store.zrem(q.key("lease"), "a"), load_library(0))):
                how()
                self.addCleanup(load_library)
                self.assertIsNone(q.claim("w2", lease_ms=1000))
                left = store.zscore(q.key("lease"), "a") - now_ms()
                self.assertTrue(half_ms - 500 < left <= half_ms + 1, (half_ms, left))

        miss(10000)
        self.assertEqual(q.call("beat", "a", job["token"], 40000), "ok")
        miss(20000)
        for damaged in ("x", "0", "60001"):
            store.hset(q.key("job:", "a"), "lease_ms", damaged)
            miss(500)
        store.hdel(q.key("job:", "a"), "lease_ms")
        miss(500)
        self.assertEqual(q.call("beat", "a", job["token"], 1e9), "ok")
        miss(30000)
        self.assertEqual(q.call("requeue", "a", job["token"]), "queued")
        self.assertNotIn("lease_ms", q.job("a"))
        q.claim(lease_ms=1e9)
        miss(30000)

    def test_an_owner_that_was_missed_is_missed_again_after_a_jump(self):
        """The clock was put on: his time is over, and has not passed."""
        q = self.q
        q.enqueue("a")
        job = q.claim(lease_ms=10000)
        store.zadd(q.key("lease"), {"a": now_ms() - 3600000 + 0.5})
        self.assertIsNone(q.claim("w2", lease_ms=10000))
        self.assertEqual(q.call("beat", "a", job["token"], 10000), "ok")

    def test_no_lease_outlasts_a_clock_that_is_put_back(self):
        q = self.q
        q.enqueue("a")
        job = q.claim(lease_ms=10000)
        store.zadd(q.key("lease"), {"a": now_ms() + 3600000})
        self.assertIsNone(q.claim("w2", lease_ms=10000))
        left = store.zscore(q.key("lease"), "a") - now_ms()
        self.assertTrue(0 < left <= 5001, left)
        self.assertEqual(q.call("beat", "a", job["token"], 10000), "ok")
        q.make_due("lease", "a")
        self.assertEqual(q.claim("w2")["attempt"], "2")

    def test_nobody_is_put_off_for_longer_than_he_asked(self):
        """The clock was put back."""
        q = self.q
        for job in "abc":
            q.enqueue(job, tenant="t", delay_ms=2000)
        lost = 0
        q.enqueue("d")
        while lost < 2:
            job = q.claim()
            lost += q.call("lost", "d", job["token"]) == "queued"
        q.enqueue("e", tenant="t", delay_ms=7200000)
        for name, jobs in (("delayed", "abcd"), ("later:t", "abc")):
            for job in jobs:
                store.zincrby(q.key(name), 3600000, job)
        store.zrem(q.key("later:default"), "d")
        self.assertIsNone(q.claim())
        for job, most in (("a", 2001), ("b", 2001), ("c", 2001), ("d", 1251)):
            left = store.zscore(q.key("delayed"), job) - now_ms()
            self.assertTrue(0 < left <= most, (job, left))
        self.assertLessEqual(store.zscore(q.key("later:t"), "a") - now_ms(), 2001)
        self.assertGreater(store.zscore(q.key("delayed"), "e") - now_ms(), 7000000, "it is as it should be")

    def test_tells_how_long_nothing_is_due(self):
        def idle():
            answer = q.call("claim", "w", LEASE_MS, 3, "idle_ms")
            return int(answer[1]) if answer[:1] == ["idle_ms"] else answer

        q = self.q
        self.assertEqual(idle(), [])
        q.enqueue("a", delay_ms=30000)
        self.assertTrue(29000 < idle() <= 30001)
        q.enqueue("b")
        self.assertEqual(q.claim(lease_ms=10000)["id"], "b")
        self.assertTrue(4000 < idle() <= 5001)
        q.configure(max_tenant_running=1)
        q.enqueue("c", max_wait_s=3)
        self.assertTrue(2000 < idle() <= 3001, "a job that waits for its tenant's turn")
        q.make_due("delayed", "a")
        q.make_due("lease", "b")
        self.assertIn(idle()[1], ("a", "b", "c"))
        self.assertEqual(q.call("claim", "w", LEASE_MS, 3), [], "a relay of before did not ask")

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
        q.enqueue("b", delay_ms="1000")
        self.assertTrue(3600 + DAY_S - 60 < store.ttl(q.key("later:default")) <= 3600 + DAY_S, "as long as the last of them")
        q.call("cancel", "b")
        q.make_due("delayed", "a")
        self.assertEqual(q.claim()["id"], "a")
        self.assertIsNone(store.zscore(q.key("delayed"), "a"))

    def test_who_is_due_while_all_workers_have_a_job(self):
        """No claim comes then: whoever looks around is told when, and has him in line by then, to be seen by all."""
        q = self.q
        q.enqueue("long")
        q.claim()
        q.enqueue("a", delay_ms=5000)
        self.assertTrue(0 < int(q.call("tend", LEASE_MS)[1]) <= 5001)
        q.make_due("delayed", "a")
        q.call("tend", LEASE_MS)
        self.assertEqual(q.call("depth")[:4], [1, 1, q.call("depth")[2], 0])
        self.assertEqual(q.call("position", "a"), [0, 0])
        self.assertEqual(q.claim()["id"], "a")

    def test_what_expires_while_all_workers_have_a_job(self):
        """Dead letters, recordings that count, and what the version before has left: whoever looks around sees to it."""
        q = self.q
        for job in "ab":
            q.enqueue(job)
        claimed = q.claim(most=1)
        q.record("a", 10000)
        self.assertEqual(q.call("lost", "a", claimed["token"], "x"), "dead")
        claimed = q.claim()
        q.record("b", 10000)
        q.finish(claimed)
        self.assertIsNotNone(store.zscore(q.key("recordings_until"), "b"))
        q.make_due("dead", "a")
        store.zadd(q.key("recordings_until"), {"b": 1})
        q.enqueue("old")
        store.delete(*[q.key(key) for key in q.keys("line")])
        store.lpush(q.key("t1:"), "old")
        store.zadd(q.key("rr1"), {"": 1})
        q.call("tend", LEASE_MS)
        self.assertEqual((store.zcard(q.key("dead")), store.zscore(q.key("recordings_until"), "b"), store.exists(q.key("t1:"))), (0, None, 0))

    def test_who_sleeps_until_another_is_due_is_woken_for_one_that_is_due_before(self):
        q = self.q
        for job, delay_ms, woken in (("a", 5000, 1), ("b", 9000, 1), ("c", 1000, 2)):
            q.enqueue(job, delay_ms=delay_ms)
            self.assertEqual(store.llen(q.key("wake")), woken, job)

    def test_more_are_due_than_one_call_takes(self):
        q = self.q
        for i in range(150):
            q.enqueue(f"j{i}", delay_ms=5000)
        q.end_delays()
        self.assertEqual(q.call("tend", LEASE_MS), ["idle_ms", "1"])
        self.assertEqual(store.zcard(q.key("delayed")), 50)
        self.assertGreater(int(q.call("tend", LEASE_MS)[1]), 1)
        self.assertEqual(store.zcard(q.key("delayed")), 0)

    def test_waits_in_the_queue_are_told(self):
        q = self.q
        q.enqueue("a")
        store.hincrby(q.key("job:", "a"), "queued_ms", -5000)
        q.finish(q.claim())
        self.assertGreaterEqual(q.result("a")["queue_ms"], 5000)

    def test_a_wait_is_of_its_attempt(self):
        """From when it could run: without its delay, and what it ran before."""
        q = self.q
        q.enqueue("a", delay_ms="9000")
        store.hincrby(q.key("job:", "a"), "queued_ms", -3000)
        q.end_delays()
        job = q.claim()
        self.assertEqual(job["queue_ms"], "0")
        store.hincrby(q.key("job:", "a"), "queued_ms", -60000)  # so long it has run
        q.call("lost", "a", job["token"], "x")
        job = q.claim()
        self.assertLess(int(job["queue_ms"]), 3000)
        store.hincrby(q.key("job:", "a"), "queued_ms", -60000)
        q.call("requeue", "a", job["token"])
        store.hincrby(q.key("job:", "a"), "queued_ms", -5000)
        q.finish(q.claim())
        self.assertTrue(5000 <= q.result("a")["queue_ms"] < 8000)

    def test_who_was_woken_does_not_come(self):
        """Another is woken where somebody waits and nobody is on his way."""
        q = self.q
        deeds = {"enqueue": lambda: q.enqueue("a"), "pause": lambda: q.call("pause"), "resume": lambda: q.call("resume"),
                 "claim": lambda: self.assertEqual([q.claim()["id"], q.claim()], ["a", None])}
        for (deed, do), is_woken in zip(deeds.items(), (1, 0, 1, 0)):
            do()
            store.delete(q.key("wake"))
            for _ in range(2):
                q.call("tend", LEASE_MS)
                self.assertEqual(store.llen(q.key("wake")), is_woken, deed)


class Expired(Test):
    def test_while_all_workers_have_a_job(self):
        """No claim comes then; one relay looks around, and clients come."""
        q = self.q
        q.enqueue("long")
        job = q.claim()
        for name, call in (("a", lambda: q.call("tend", LEASE_MS)), ("b", lambda: q.enqueue("other"))):
            q.enqueue(name)
            q.make_due("waits", name)
            call()
            self.check_final(name, "expired", "expired")

    def test_replaced_when_its_time_was_over(self):
        q = self.q
        q.enqueue("a", tenant="t")
        q.make_due("waits", "a")
        q.enqueue("b", tenant="t", replace="1")
        self.check_final("a", "expired", "expired")

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
        for i in range(200):
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


class Nonsense(Test):
    """What only a relay can say, and none that is well does."""

    def test_without_arguments(self):
        for function in "claim", "tend", "beat", "finish", "lost", "requeue", "input_from":
            with self.subTest(function), self.assertRaisesRegex(redis.ResponseError, "^BADCALL"):
                self.q.call(function)
        self.q.enqueue("a")
        for words in (["a"], ["a", "x"], ["a", "0", "0"], ["a", "-1", "5"], ["a", "nan", "5"]):
            with self.subTest(words), self.assertRaisesRegex(redis.ResponseError, "^BADCALL"):
                self.q.call("input_from", *words)

    def test_figures_that_are_none(self):
        q = self.q
        for i, value in enumerate(("nan", "inf", "-inf", "1e308", "x", "")):
            q.enqueue(f"j{i}")
            self.assertEqual(q.finish(q.claim(), wall_ms=value, cpu_ms=value, signal=value), "done")
            result = q.result(f"j{i}")
            self.assertEqual([result[name] for name in ("wall_ms", "cpu_ms", "signal")], [0, 0, 0])

    def test_maxima_that_are_none(self):
        """Each is as if it were not there."""
        q = self.q
        for value in "1e0", "0x1", " 1", "1 ", "-1", "+1", "1.0", "":
            q.configure(max_jobs=value)
            self.assertEqual(q.enqueue("a"), "queued 0", value)
            self.assertEqual(q.enqueue("b"), "queued 1", value)
            q.call("cancel", "a"), q.call("cancel", "b")
            store.delete(q.key("job:", "a"), q.key("job:", "b"))


class Beat(Test):
    def test_renews_only_the_own_lease(self):
        q = self.q
        q.enqueue("a")
        job = q.claim(lease_ms=1000)
        before = store.zscore(q.key("lease"), "a")
        self.assertEqual(q.call("beat", "a", job["token"], 50000), "ok")
        self.assertGreater(store.zscore(q.key("lease"), "a"), before + 23000)
        self.assertEqual(q.call("beat", "a", "other", 99000), "lost")
        self.assertLess(store.zscore(q.key("lease"), "a"), before + 60000)

    def test_tells_of_a_cancel(self):
        q = self.q
        q.enqueue("a")
        job = q.claim()
        q.call("cancel", "a")
        self.assertEqual(q.call("beat", "a", job["token"], 1000), "cancel")

    def test_what_was_forgotten(self):
        """of an attempt that a relay has, who says so with the first beat on a connection."""
        q, part, has_read = self.q, "forgotten a part of its recording", "forgotten input that it was given"
        sum_of = lambda data: functools.reduce(lambda s, b: (s * 31 + b) % 2 ** 32, data[-64:], 0)  # noqa: E731
        given = bytes(range(256)) * 2
        for words, why in ((("", 0, 0), None), (("slice", 0, 0), None), (("1-1", 0, 0), part),
                           (("", 512, sum_of(given)), None), (("", 3, sum_of(b"\0\1\2")), None), (("slice", 512, sum_of(given)), None),
                           (("", 513, sum_of(given)), has_read), (("", 512, sum_of(given) + 1), has_read), (("", 3, sum_of(b"\0\1\3")), has_read)):
            with self.subTest(words):
                q.enqueue("a", live_input=1)
                job = q.claim(most=9)
                slice_id = store.xadd(q.key("frames:", "a"), {"k": "slice", "a": 1, "d": "x"})
                self.assertEqual(q.call("input", "a", given), "ok")
                answer = q.call("beat", "a", job["token"], 1000, *(slice_id if word == "slice" else word for word in words))
                self.assertEqual(answer, why or "ok")
                self.assertEqual(q.state("a"), "running")
                self.begin_anew()

    def test_what_stands_in_the_place_of_what_it_had(self):
        """is as good as forgotten."""
        q = self.q
        for key, words, what in (("in:", ("", 1, ord("x")), "input that it was given"), ("frames:", ("1-1", 0, 0), "a part of its recording")):
            with self.subTest(key):
                q.enqueue("a", live_input=1)
                job = q.claim(lease_ms=1000)
                store.delete(q.key(key, "a"))
                store.set(q.key(key, "a"), "x") if key == "frames:" else store.rpush(q.key(key, "a"), "x")
                self.assertEqual(q.call("beat", "a", job["token"], 50000, *words), "forgotten " + what)
                self.assertGreater(store.zscore(q.key("lease"), "a"), now_ms() + 20000, "it has time to be given back")
                self.begin_anew()

    def test_one_that_fails_renews_nothing(self):
        """Else an attempt whose beats all fail would be nobody else's for ever."""
        q = self.q
        q.enqueue("a")
        job = q.claim(lease_ms=1000)
        self.assertEqual(q.call("beat", "a", job["token"], 1000), "ok")
        before = store.zscore(q.key("lease"), "a")
        store.execute_command("ACL", "SETUSER", users.WORKER, "-hset")
        self.addCleanup(users.create, store)
        with self.assertRaises(redis.ResponseError):
            q.call("beat", "a", job["token"], 50000)
        self.assertEqual(store.zscore(q.key("lease"), "a"), before)

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
        chance = random.Random(3629)
        bounds = [chr(code).encode() for code in (0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x3ffff, 0x40000, 0x10ffff)]
        rows += [b"".join(chance.choice((chance.choice(bounds), chance.choice(bounds)[:-1], chance.randbytes(1))) for _ in range(40))
                 for _ in range(200)]
        for i, said in enumerate(rows):
            job = f"j{i}"
            self.q.enqueue(job)
            self.q.finish(self.q.claim(), sentence=said)
            answered = self.q.result(job)["sentence"]
            self.assertNotIn(b"\n", self.q.entries(job, "result")[0][b"d"])
            self.assertEqual(answered, said.decode(errors="a question mark for each byte"))

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
            q.end_delays()
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

    def test_the_second_time_after_a_while(self):
        q = self.q
        q.enqueue("a", tenant="t", max_wait_s="100")
        q.enqueue("b", tenant="t")
        pauses = []
        for lost in range(1, 9):
            job = q.claim(most=100)
            self.assertEqual((job["id"], job["attempt"]), ("a", str(lost)))
            self.assertEqual(q.call("lost", "a", job["token"], "x"), "queued")
            self.assertEqual(q.job("a")["lost"], str(lost).encode())
            due, wait = store.zscore(q.key("delayed"), "a"), store.zscore(q.key("waits"), "a")
            seconds, micros = store.time()
            now = seconds * 1000 + micros // 1000
            pauses.append(due - now if due else 0)
            self.assertAlmostEqual(wait - now - pauses[-1], 100000, delta=5000)
            q.end_delays()
        self.assertEqual(pauses[0], 0)
        for pause, expected in zip(pauses[1:], (1000, 4000, 16000, 60000, 60000, 60000, 60000)):
            self.assertLessEqual(pause, expected * 1.25)
            self.assertGreater(pause, expected * 0.75 - 5000)

    def test_in_its_delay_it_is_cancelled_like_any_other(self):
        q = self.q
        q.enqueue("a")
        for _ in range(2):
            q.call("lost", "a", q.claim(most=9)["token"], "x")
        self.assertIsNone(q.claim())
        self.assertEqual(q.call("cancel", "a"), "cancelled")
        self.check_final("a", "cancelled", "cancelled")
        self.assertEqual(q.keys("later:"), [])

    def test_leases_that_ran_out(self):
        q = self.q
        q.enqueue("a")
        q.claim(most=3)
        q.make_due("lease", "a")
        self.assertEqual(q.claim(most=3)["attempt"], "2")
        q.make_due("lease", "a")
        self.assertIsNone(q.claim(most=3), "it rests for a while")
        q.end_delays()
        self.assertEqual(q.claim(most=3)["attempt"], "3")
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
        self.assertEqual(q.call("recover", "w1", "the answer to its claim was lost"), ["a"])
        self.assertEqual(self.check_final("a", "dead", "fault")["detail"], "lost 1 times, last: the answer to its claim was lost")

    def test_who_gave_it_back_asks_once_more_what_became_of_it(self):
        """Its answer was lost with its connection. Of an end that it has not made it is told nothing: another is."""
        q = self.q
        for end, words, most in (("dead", ("lost", "x"), 1), ("cancelled", ("lost", "x"), 3), ("cancelled", ("requeue",), 3)):
            with self.subTest(words=words):
                q.enqueue("a", keep_s=1)
                job = q.claim(most=most)
                self.assertEqual(q.call("cancel", "a") if end == "cancelled" else "", "requested" if end == "cancelled" else "")
                call = words[0], "a", job["token"], *words[1:]
                self.assertEqual(q.call(*call), end)
                before = (q.job("a"), q.entries("a"))
                self.assertEqual(q.call(*call), end)
                self.assertEqual((q.job("a"), q.entries("a")), before)
                for other in ("lost", "a", job["token"], "y"), ("lost", "a", "x", "x"), ("beat", "a", job["token"], LEASE_MS):
                    self.assertIn(q.call(*other), ("stale", "lost"))
                self.assertEqual(self.untold(), [])
                q.call("dead_drop", "*")
                store.delete(q.key("job:", "a"), q.key("frames:", "a"))

    def test_another_has_ended_what_it_would_give_back(self):
        q = self.q
        q.enqueue("a")
        job = q.claim(most=1)
        q.make_due("lease", "a")
        self.assertEqual([row[1:4] for row in self.untold()], [("a", "1", "fault")])
        self.assertEqual([q.call("lost", "a", job["token"], "x"), q.call("requeue", "a", job["token"])], ["stale", "stale"])

    def untold(self, *queues, pool=()):
        """What a relay is to say of these queues: {queue, id, attempt, verdict, tenant, detail} each. `pool`: its name, the mark of what
        it has heard last, and that of this call."""
        keys = [q.key("open") for q in queues or [self.q]]
        connection = self.q.connection(users.WORKER) if len(keys) == 1 else store
        flat = text(connection.execute_command("FCALL", "paddock_tend", len(keys), *keys, LEASE_MS, "untold", *pool))
        words = dict(zip(flat[::2], flat[1::2])).get("untold", [])
        return [tuple(words[i:i + 6]) for i in range(0, len(words), 6)]

    def test_what_ends_while_it_waits_is_to_be_told(self):
        """Once, by whoever asks first; an answer to a relay is no second time."""
        q = self.q
        for name in ("a", "b", "c", "d"):
            q.enqueue(name, tenant="t")
        self.assertEqual(q.call("cancel", "b"), "cancelled")
        q.enqueue("e", tenant="t", replace="1")
        self.assertEqual(self.untold(), [
            (QUEUE, "b", "0", "cancelled", "t", "cancelled while it waited"), (QUEUE, "a", "0", "cancelled", "t", "replaced by e"),
            (QUEUE, "c", "0", "cancelled", "t", "replaced by e"), (QUEUE, "d", "0", "cancelled", "t", "replaced by e")])
        q.make_due("waits", "e")
        self.assertEqual(self.untold(), [(QUEUE, "e", "0", "expired", "t", "waited longer than max_wait_s")])
        self.assertEqual(self.untold(), [])
        self.assertEqual(store.exists(q.key("untold")), 0)

    def test_what_the_relay_hears_is_not_told_again(self):
        q = self.q
        for end in ("finish", "lost", "dead", "requeue", "cancelled"):
            q.enqueue(end)
            job = q.claim(most=1 if end == "dead" else 3)
            if end == "cancelled":
                q.call("cancel", end)
            words = {"finish": ("finish", "verdict", "ok", "exit_code", 0), "requeue": ("requeue",), "cancelled": ("requeue",)}.get(end, ("lost", "x"))
            q.call(words[0], job["id"], job["token"], *words[1:])
            q.call("cancel", end)  # of what runs again
            told = self.untold()
            self.assertEqual([row[1:4] for row in told], [(end, "1", "cancelled")] if end in ("lost", "requeue") else [])

    def test_an_attempt_whose_relay_is_gone_is_to_be_told(self):
        q = self.q
        q.enqueue("a", tenant="t")
        q.claim("w1", most=3)
        self.assertEqual(q.call("recover", "w1"), ["a"])
        q.claim("w1", most=2)
        q.make_due("lease", "a")
        self.assertEqual(self.untold(), [
            (QUEUE, "a", "1", "", "t", "its worker process ended"),
            (QUEUE, "a", "2", "fault", "t", "lost 2 times, last: its lease ran out: the worker or its host is gone")])

    def test_what_several_queues_have_to_tell(self):
        other = Queue("other")
        for q in (self.q, other):
            q.enqueue("a")
            q.call("cancel", "a")
        store.set(Queue("third").key("waits"), "damage")
        self.assertEqual([row[:2] for row in self.untold(self.q, Queue("third"), other)], [(QUEUE, "a"), ("other", "a")])
        store.flushall()

    def cancel_each(self, *names, queue=None):
        for name in names:
            (queue or self.q).enqueue(name)
            (queue or self.q).call("cancel", name)

    def names(self, *pool):
        return [row[1] for row in self.untold(pool=pool)]

    def test_an_answer_that_is_not_heard(self):
        """A pool is told it again, by whichever of its relays asks, until one says that it was heard."""
        self.cancel_each("a", "b")
        self.assertEqual(self.names("p", "0", "1"), ["a", "b"])
        self.cancel_each("c")
        self.assertEqual([self.names("p", "0", mark) for mark in "23"], [["a", "b"]] * 2)
        self.assertEqual(self.names("p", "2", "4"), ["a", "b"], "2 was heard too late: the last is 3")
        self.assertEqual(self.names("p", "4", "5"), ["c"])
        self.assertTrue(0 < store.ttl(self.q.key("told:", "p")) <= 86400)
        self.assertEqual(self.names("p", "5", "6"), [])
        self.assertEqual(self.names("p", "5", "7"), [])
        self.assertEqual(store.exists(self.q.key("told:", "p"), self.q.key("untold")), 0)

    def ends(self, *heard, queues=None, pool="p", word="ends"):
        """What a relay of a pool is to say, as (queue, id), and the marks; it says what it has heard of each queue."""
        keys = [q.key("open") for q in queues or [self.q]]
        connection = self.q.connection(users.WORKER) if len(keys) == 1 else store
        flat = text(connection.execute_command("FCALL", "paddock_tend", len(keys), *keys, LEASE_MS, word, pool, " ".join(heard)))
        answer = dict(zip(flat[::2], flat[1::2]))
        words, marks = answer.get("untold", []), answer.get("marks", [])
        return list(zip(words[::6], words[1::6])), dict(zip(marks[::2], marks[1::2]))

    def test_who_asks_meanwhile(self):
        """is given the same, by the same mark, with nothing more, until it was heard: whoever of the pool hears it, and when."""
        self.cancel_each("a", "b")
        first, marks = self.ends("0")
        self.assertEqual((first, list(marks)), ([(QUEUE, "a"), (QUEUE, "b")], [QUEUE]))
        self.cancel_each("c")
        for heard in "0", "1":
            self.assertEqual(self.ends(heard), (first, marks))
        self.assertTrue(0 < store.ttl(self.q.key("told:", "p")) <= 86400)
        then, others = self.ends(marks[QUEUE])
        self.assertEqual(then, [(QUEUE, "c")])
        self.assertNotEqual(others, marks)
        self.assertEqual(self.ends(marks[QUEUE]), (then, others))
        self.assertEqual([self.ends(others[QUEUE]) for _ in range(2)], [([], {})] * 2)
        self.assertEqual(store.exists(self.q.key("told:", "p")), 0)

    def test_who_leaves(self):
        """says what was heard, and is given nothing."""
        self.cancel_each("a")
        first, marks = self.ends("0")
        self.cancel_each("b")
        self.assertEqual([self.ends(heard, word="heard") for heard in ("0", marks[QUEUE])], [([], {})] * 2)
        self.assertEqual(store.exists(self.q.key("told:", "p")), 0)
        self.assertEqual([self.ends("0")[0], first], [[(QUEUE, "b")], [(QUEUE, "a")]])

    def test_each_queue_has_its_mark(self):
        """in the order in which they are asked."""
        other = Queue("other")
        self.cancel_each("a")
        _, marks = self.ends("0", "0", queues=(self.q, other))
        self.cancel_each("b", queue=other)
        both, all_marks = self.ends("0", "0", queues=(self.q, other))
        self.assertEqual((both, all_marks[QUEUE], list(all_marks)), ([(QUEUE, "a"), ("other", "b")], marks[QUEUE], [QUEUE, "other"]))
        self.assertEqual(self.ends("0", marks[QUEUE], queues=(other, self.q)), ([("other", "b")], {"other": all_marks["other"]}))
        self.assertEqual(self.ends(all_marks["other"], marks[QUEUE], queues=(other, self.q)), ([], {}))

    def test_relays_of_the_version_before_hear_the_same(self):
        """They name the mark of each call themselves."""
        self.cancel_each("a")
        first, marks = self.ends("0")
        self.assertEqual(self.names("p", "0", "7"), ["a"])
        self.assertEqual(self.ends(marks[QUEUE]), (first, {QUEUE: "7"}))
        self.assertEqual(self.names("p", "7", "8"), [])

    def test_what_was_not_heard_is_asked_for_at_once(self):
        """Behind it there may be more."""
        self.cancel_each(*(f"a{i}" for i in range(150)))
        for heard, mark, names in (("0", "1", range(100)), ("0", "2", range(100)), ("2", "3", range(100, 150))):
            flat = self.q.call("tend", LEASE_MS, "untold", "p", heard, mark)
            answer = dict(zip(flat[::2], flat[1::2]))
            self.assertEqual(answer["untold"][1::6], [f"a{i}" for i in names])
            self.assertEqual(answer.get("idle_ms") == "1", mark != "3")

    def test_two_pools_and_one_of_the_version_before(self):
        """None is given what another has been given, heard or not."""
        self.cancel_each("a")
        self.assertEqual(self.names("p", "0", "1"), ["a"])
        self.assertEqual([self.names("q", "0", "1"), self.names(), self.names("q", "1", "2")], [[]] * 3)
        self.cancel_each("b")
        self.assertEqual(self.names(), ["b"])
        self.assertEqual(self.names(), [])
        self.assertEqual(self.names("p", "0", "2"), ["a"])

    def test_some_queues_have_told_and_others_not(self):
        """One mark is for all."""
        other = Queue("other")
        self.cancel_each("a")
        self.assertEqual([row[:2] for row in self.untold(self.q, other, pool=("p", "0", "1"))], [(QUEUE, "a")])
        self.cancel_each("b", queue=other)
        both = [(QUEUE, "a"), ("other", "b")]
        self.assertEqual([row[:2] for row in self.untold(self.q, other, pool=("p", "0", "2"))], both)
        self.assertEqual(self.untold(self.q, other, pool=("p", "2", "3")), [])

    def test_numbers_that_were_not_heard(self):
        q = self.q
        q.enqueue("a")
        store.hset(q.key("untold_by"), "*", 5000)
        q.call("cancel", "a")
        for _ in range(2):
            self.assertEqual(self.untold(pool=("p", "0", "1")), [(QUEUE, "", "1", "cancelled", "", "too many to name each")])

    def test_nobody_fetches_it(self):
        """There is a day's of it at most, and a bounded number: the others are counted, and nobody takes more than his share."""
        q, full = self.q, {"*": 5000, "many": 999}
        for name in ("a", "b", "c", "d", "e"):
            q.enqueue(name, tenant="many" if name in "ab" else "few")
        store.hset(q.key("untold_by"), mapping=full)
        self.assertEqual([q.call("cancel", name) for name in "ac"], ["cancelled"] * 2)  # all have too many
        self.assertEqual(store.hgetall(q.key("untold_by")), {b"*": b"5000", b"many": b"999"})
        self.assertTrue(0 < store.ttl(q.key("untold_more")) <= 86400)
        store.hset(q.key("untold_by"), "*", 4999 - 2)
        q.enqueue("f", tenant="many")
        self.assertEqual([q.call("cancel", name) for name in "bfd"], ["cancelled"] * 3)
        self.assertEqual(store.hgetall(q.key("untold_by")), {b"*": b"4999", b"many": b"1000", b"few": b"1"})
        for key in ("untold", "untold_by"):
            self.assertTrue(0 < store.ttl(q.key(key)) <= 86400)
        q.make_due("waits", "e")
        more = (QUEUE, "", "3", "cancelled", "", "too many to name each")
        self.assertEqual([row if row == more else row[1] for row in self.untold()], ["b", "d", "e", more])
        self.assertEqual(store.exists(q.key("untold"), q.key("untold_by"), q.key("untold_more")), 0)
        q.enqueue("g")
        store.hset(q.key("untold_by"), mapping=full)
        q.make_due("waits", "g")
        self.assertEqual(self.untold(), [(QUEUE, "", "1", "expired", "", "too many to name each")])

    def test_a_loss_that_is_not_named(self):
        """makes a dead letter, and is counted as a loss, too."""
        q = self.q
        q.enqueue("a")
        q.claim("w1", most=1)
        store.hset(q.key("untold_by"), "*", 5000)
        q.make_due("lease", "a")
        self.assertEqual(sorted(self.untold()), [(QUEUE, "", "1", "", "", "too many to name each"), (QUEUE, "", "1", "fault", "", "too many to name each")])

    def test_its_shares_are_free_again(self):
        q = self.q
        for i in range(150):
            q.enqueue(f"a{i}", tenant="even" if i % 2 == 0 else "odd")
            q.call("cancel", f"a{i}")
        self.assertEqual([row[1] for row in self.untold()], [f"a{i}" for i in range(100)])
        self.assertEqual(store.hgetall(q.key("untold_by")), {b"*": b"50", b"even": b"25", b"odd": b"25"})
        self.assertEqual([row[1] for row in self.untold()], [f"a{i}" for i in range(100, 150)])
        self.assertEqual(store.exists(q.key("untold_by")), 0)

    def test_somebody_damages_it(self):
        q = self.q
        for name in "abc":
            q.enqueue(name)
        for key in ("untold", "untold_by", "untold_more"):
            store.set(q.key(key), "damage")
        q.call("cancel", "a")
        self.assertEqual([row[1] for row in self.untold()], ["a"])
        store.hset(q.key("untold_by"), "*", "x")
        store.rpush(q.key("untold"), *["x"] * 9)
        q.call("cancel", "b")
        self.assertEqual(len(self.untold()), 2)
        store.hset(q.key("untold_by"), "*", 5000)
        store.set(q.key("untold_more"), "damage")
        q.call("cancel", "c")
        self.assertEqual(self.untold(), [(QUEUE, "", "1", "cancelled", "", "too many to name each")])

    def test_somebody_damages_what_was_not_heard(self):
        """It is lost, and nothing else."""
        key = self.q.key("told:", "p")
        for number, damage in enumerate((lambda: store.set(key, "damage"), lambda: store.set(key, "[1]"), lambda: store.set(key, "7"),
                                         lambda: store.rpush(key, "damage"), lambda: store.set(key, '{"mark": 1, "words": 2}'),
                                         lambda: store.set(key, '{"mark": "1000", "words": ["x"]}'),
                                         lambda: store.set(key, '{"mark": "1000", "words": ["default", "b", 0, "cancelled", "t", "x"]}'),
                                         lambda: store.set(key, '{"mark": "w", "words": ["default", "b", "0", "cancelled", "t", "x"]}'),
                                         lambda: store.set(key, '{"mark": 7, "words": ["default", "b", "0", "cancelled", "t", "x"]}'))):
            store.delete(key)
            damage()
            self.cancel_each(f"a{number}")
            self.assertEqual(self.names("p", "x", f"y{number}"), [f"a{number}"])
        store.set(key, '{"words": [{"err": "x"}, 7, null, [[]]]}')
        self.q.call("tend", LEASE_MS, "untold", "p", "x", "z")
        self.assertEqual(self.names("p", "z", "z2"), [])

    def test_the_zip_outlives_run_and_wait(self):
        q = self.q
        q.enqueue("a", wall_ms="3600000", max_wait_s="600")
        store.expire(q.key("zip:", "a"), 5)
        q.claim()
        self.assertGreater(store.ttl(q.key("zip:", "a")), 3600 + 600 + DAY_S - 60)
        self.assertGreater(store.ttl(q.key("frames:", "a")), 3600 + DAY_S - 60)

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
        self.assertEqual(q.keys("line"), [])

    def test_costs_the_same_however_many_wait(self):
        q = self.q
        q.enqueue("a0")
        few = commands(lambda: q.call("cancel", "a0"))
        for i in range(3000):
            q.enqueue(f"j{i}")
        self.assertLessEqual(commands(lambda: q.call("cancel", "j1500")), few)
        self.assertEqual(q.order(3), ["j0", "j1", "j2"])

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

    def test_one_word_is_enough(self):
        q = self.q
        q.enqueue("a")
        job = q.claim()
        for _ in range(5000):
            self.assertEqual(q.call("cancel", "a"), "requested")
        self.assertEqual(store.lrange(q.key("ctl:", "a"), 0, -1), [b"cancel"])
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
    def test_it_counts_with_the_program(self):
        q = self.q
        q.configure(max_mb=1)
        for i in range(20):
            q.enqueue(f"j{i}", b"x" * 1000, live_input="1")
        piece, answers = "y" * 65536, []
        for i in range(20):
            answers.append(q.call("input", f"j{i}", piece))
        taken = answers.count("queued")
        self.assertEqual(answers, ["queued"] * taken + ["full"] * (20 - taken))
        self.assertEqual((taken, int(store.get(q.key("bytes")))), (15, 20000 + 15 * 65536))
        self.assertEqual(q.call("input", "j19", "", "eof"), "queued", "an end takes no room")
        for i in range(20):
            q.call("cancel", f"j{i}")
        self.assertEqual(store.get(q.key("bytes")), b"0")

    def test_it_counts_where_an_audit_has_passed(self):
        load_library(audit_ms=0)
        q = self.q
        q.enqueue("a", b"12345", live_input="1")
        q.enqueue("b", b"12345", live_input="1")
        for i in range(10):
            self.assertEqual(q.call("input", "ab"[i % 2], "z"), "queued")
            q.call("tend", LEASE_MS)
            self.assertEqual(int(store.get(q.key("bytes"))), 10 + i + 1)

    def test_where_keys_are_damaged(self):
        q = self.q
        q.enqueue("a", live_input="1")
        job = q.claim()
        for key, value in ("ctl:", "x"), ("bytes", "no number"):
            store.set(q.key(key, "a" if key == "ctl:" else ""), value)
            self.assertEqual(q.call("input", "a", "z"), "ok")
            self.assertIn(b"input", store.lrange(q.key("ctl:", "a"), 0, -1))
        store.delete(q.key("ctl:", "a"))
        store.set(q.key("ctl:", "a"), "x")
        self.assertEqual(q.call("cancel", "a"), "requested")
        self.assertEqual(store.lrange(q.key("ctl:", "a"), 0, -1), [b"cancel"])
        q.finish(job, verdict="cancelled")

    LIMIT = 1 << 16
    ALL = 1 << 20

    def begin(self, job="a", **fields):
        self.q.enqueue(job, live_input="1", **fields)
        return self.q.claim()

    def input(self, *words, job="a"):
        return self.q.call("input", job, *words)

    def read(self, offset=0, most=LIMIT, job="a"):
        return self.q.call("input_from", job, offset, most)

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

    def test_something_else_stands_in_its_place(self):
        """Who runs hears that, and the job cannot be run again."""
        job = self.begin(tenant="t")
        store.rpush(self.q.key("in:", "a"), "x")
        self.assertEqual(self.read(), "forgotten its input")
        self.q.call("lost", "a", job["token"], "Redis has forgotten its input")
        self.assertIsNone(self.q.claim())
        self.assertEqual(self.check_final("a", "dead", "fault")["detail"], "it cannot be run: what stands in the place of its input is a list")

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
        self.assertAlmostEqual(store.ttl(q.key("in:", "a")), DAY_S + 5 + 100 + 7, delta=5)
        q.make_due("delayed", "a")
        store.expire(q.key("in:", "a"), 60)
        q.claim()
        self.assertEqual(self.read(), ["early\n", 0, 1])
        self.assertAlmostEqual(store.ttl(q.key("in:", "a")), DAY_S + 100 + 7, delta=5)

    def test_another_attempt_reads_it_again(self):
        q = self.q
        for give_back in ("lost", "requeue"):
            job = self.begin(give_back)
            self.input("one\n", job=give_back)
            q.call(give_back, give_back, job["token"])
            self.assertEqual(q.keys("ctl:"), [], "what was to be heard by who ran it")
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
            q.call("dead_drop", "*")
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
    def test_position_counts_nobody_who_comes_later(self):
        q = self.q
        for i in range(50):
            q.enqueue(f"later{i}", delay_ms="86400000")
        self.assertEqual(q.enqueue("now"), "queued 0")
        self.assertEqual(q.call("position", "now")[0], 0)
        self.assertEqual(q.call("position", "later0")[0], 1)

    def test_position_by_turns(self):
        """What the estimate says is what then happens."""
        q, choose = self.q, random.Random(3)
        for i in range(100):
            q.enqueue(f"b{i}", tenant="flood", priority="batch")
        q.enqueue("urgent", tenant="t", priority="interactive")
        self.assertLessEqual(q.call("position", "urgent")[0], 1)
        for i in range(60):
            q.enqueue(f"n{i}", tenant=choose.choice("abcd"), priority=choose.choice(["normal", "interactive"]))
        jobs = ["urgent"] + [f"b{i}" for i in range(0, 100, 9)] + [f"n{i}" for i in range(0, 60, 7)]
        said = {job: q.call("position", job)[0] for job in jobs}
        order = q.order(161)
        for job in jobs:
            self.assertLessEqual(abs(said[job] - order.index(job)), 12 + order.index(job) / 4, job)

    def test_position_is_what_then_happens(self):
        """Where nobody joins and nobody weighs more: also of tenants that were served as much."""
        q, choose = self.q, random.Random(5)
        for i in range(40):
            q.enqueue(f"z{i}", tenant="z", priority="interactive")
        for name in "abcdefghijklmnopqrst":
            q.enqueue(f"b{name}", tenant=name, priority="batch")
        for i in range(60):
            q.enqueue(f"n{i}", tenant=choose.choice("klmn"))
        jobs = [f"z{i}" for i in range(40)] + [f"b{name}" for name in "abcdefghijklmnopqrst"] + [f"n{i}" for i in range(60)]
        said = {job: q.call("position", job)[0] for job in jobs}
        order = q.order(120)
        wrong = {job: (said[job], order.index(job)) for job in jobs if abs(said[job] - order.index(job)) > 2}
        self.assertEqual(wrong, {})

    def test_position_among_more_tenants_than_are_looked_at(self):
        q = self.q
        for i in range(600):
            q.enqueue(f"t{i % 300}_{i // 300}", tenant=f"t{i % 300:03}")
        for served in range(2):
            self.assertEqual(q.call("position", f"t0_{served}")[0], 0)
            self.assertTrue(abs(q.call("position", f"t299_{served}")[0] - 299) <= 3)
            self.assertTrue(abs(q.call("position", f"t150_{served}")[0] - 150) <= 150)
            for _ in range(300):
                q.finish(q.claim())

    def test_the_wait_of_a_tenant_at_its_cap(self):
        q = self.q
        q.configure(max_tenant_running=2)
        store.set(q.key("pace"), "1000")
        for i in range(10):
            q.enqueue(f"a{i}", tenant="a")
        for i in range(10):
            q.enqueue(f"b{i}", tenant=f"b{i}")
        while q.claim():
            pass
        self.assertEqual([q.call("position", f"a{i}")[1] for i in (0, 2, 3, 4, 9)], [0, 1000, 1000, 2000, 4000])

    def test_the_lines_of_a_tenant_at_its_cap(self):
        """They take turns of their own, whether a claim has noted that it is there or not; also where others have turns, too."""
        q = self.q
        for others in 0, 3:
            with self.subTest(others=others):
                store.flushall()
                q.configure(max_tenant_running=1)
                store.set(q.key("pace"), "1000")
                q.enqueue("run", tenant="t")
                running = q.claim()
                jobs = [f"{priority[0]}{i}" for priority, count in (("interactive", 60), ("normal", 9), ("batch", 9)) for i in range(count)]
                for job in jobs:
                    q.enqueue(job, tenant="t", priority={"i": "interactive", "n": "normal", "b": "batch"}[job[0]])
                for i in range(others):
                    q.enqueue(f"other{i}", tenant=f"u{i}", priority="batch")
                said = [{job: q.call("position", job) for job in jobs}]
                held = [q.claim() for _ in range(others)]
                self.assertIsNone(q.claim())
                self.assertEqual(store.zrange(q.key("capped"), 0, -1), [b"t"])
                said.append({job: q.call("position", job) for job in jobs})
                for job in [*held, running]:
                    q.finish(job)
                order = q.order(len(jobs))
                for answers, before in zip(said, (others, 0)):
                    wrong = {job: (answers[job], order.index(job) + before) for job in jobs
                             if abs(answers[job][0] - order.index(job) - before) > others}
                    self.assertEqual(wrong, {})
                self.assertEqual(said[1]["b8"][1], 1000 * (order.index("b8") + 1))

    def test_the_pace_follows_short_jobs(self):
        q = self.q
        for i in range(3):
            q.enqueue(f"long{i}")
            q.finish(q.claim(), wall_ms=300)
        for i in range(200):
            q.enqueue(f"short{i}")
            q.finish(q.claim(), wall_ms=1)
        self.assertLess(float(store.get(q.key("pace"))), 1.1)

    def test_tenants(self):
        q = self.q
        self.assertEqual(q.call("tenants"), [])
        q.configure(max_tenant_running=1)
        for i in range(4):
            q.enqueue(f"a{i}", tenant="a", priority=["normal", "batch"][i % 2])
        q.enqueue("b", tenant="b")
        q.enqueue("c", tenant="c", delay_ms="100000")
        for _ in range(3):
            q.claim()
        self.assertEqual(q.call("tenants"), [["a", 3, 1], ["b", 0, 1]])
        for i in range(150):
            q.enqueue(f"t{i}", tenant=f"t{i:03}")
        rows = q.call("tenants")
        self.assertEqual((len(rows), rows[0]), (100, ["a", 3, 1]))

    def test_the_oldest_wait_is_of_one_that_could_run(self):
        q = self.q
        q.configure(max_tenant_running=1)
        for i in range(300):
            q.enqueue(f"later{i}", delay_ms="86400000")
        for i in range(3):
            q.enqueue(f"capped{i}", tenant="capped")
        q.claim()
        self.assertIsNone(q.claim())
        self.assertEqual(q.call("depth"), [0, 1, 0, 300, 0, 0])
        q.enqueue("waits", tenant="t")
        store.hset(q.key("job:", "waits"), "queued_ms", now_ms() - 5000)
        waiting, running, oldest = q.call("depth")[:3]
        self.assertEqual((waiting, running), (1, 1))
        self.assertGreaterEqual(oldest, 5000)

    def test_the_oldest_wait_is_no_delay_and_no_attempt(self):
        """It is what `queue_ms` will be: since when the job could run, this time."""
        q = self.q
        for job, waits in (("delayed", 1000000), ("lost", 0), ("drained", 0)):
            store.flushall()
            q.enqueue(job, delay_ms=waits and 4000000)
            store.hset(q.key("job:", job), "enqueued_ms", now_ms() - 5000000)
            if job == "delayed":
                store.hset(q.key("job:", job), "queued_ms", now_ms() - waits)
                q.end_delays()
                q.call("tend", LEASE_MS)
            else:
                function = {"lost": "lost", "drained": "requeue"}[job]
                self.assertEqual(q.call(function, job, q.claim()["token"], "x"), "queued")
            with self.subTest(job):
                found = [q.call("depth")[2], q.status()["oldest_ms"], int(q.claim()["queue_ms"])]
                self.assertTrue(all(waits <= oldest < waits + 900000 for oldest in found), found)

    def test_the_oldest_wait_behind_those_that_were_given_back(self):
        """So many of them are looked at, and no more."""
        q = self.q
        for i in range(150):
            q.enqueue(f"j{i}")
        running = [q.claim() for _ in range(150)]
        q.enqueue("waits")
        store.hset(q.key("job:", "waits"), "queued_ms", now_ms() - 5000000)
        for given_back, job in enumerate(running, 1):
            q.call("requeue", job["id"], job["token"])
            if given_back in (1, 50, 100, 101, 150):
                self.assertEqual(q.call("depth")[2] >= 5000000, given_back <= 100, given_back)

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
        self.assertEqual(q.call("depth"), [0, 0, 0, 0, 0, 0])
        for i in range(5):
            q.enqueue(f"j{i}")
        for i in range(2):
            store.hset(q.key("job:", f"j{i}"), "queued_ms", i)
        q.enqueue("later", delay_ms="100000")
        store.hset(q.key("job:", "later"), "queued_ms", 0)
        q.claim()
        waiting, running, oldest = q.call("depth")[:3]
        self.assertEqual((waiting, running), (4, 1))
        self.assertGreater(oldest, 1000000000000, "j1, since the beginning of time")
        while q.claim():
            pass
        self.assertEqual(q.call("depth"), [0, 5, 0, 1, 0, 0])


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
                q.record(job["id"], 20000)
                q.finish(job, wall_ms=1)
        self.assertEqual(q.call("dead_drop", "dead"), 1)
        for key in q.keys():
            if re.match("(job|zip|frames|ctl|in|up):", key):
                self.assertGreater(store.ttl(q.key(key)), 0, key)
        end = time.monotonic() + PATIENCE
        while any(":" in key for key in q.keys()) and time.monotonic() < end:
            time.sleep(0.05)
        load_library()
        self.assertIsNone(q.claim())
        self.assertEqual(q.keys(), ["kept", "pace", "recordings_bytes", "wake"])
        self.assertGreater(store.ttl(q.key("audited")), 0)
        self.assertTrue(0 < store.ttl(q.key("pace")) <= 86400, "how long jobs ran that nobody runs any more")
        self.assertEqual(store.get(q.key("recordings_bytes")), b"0")
        self.assertEqual(store.hkeys(q.key("kept")), [b"turns1", b"of:turns1", b"turns:1", b"turns"], "of each class, and of each round")

    def abandon(self):
        """A job in each state that is not final, in a queue whose pool is gone: what they leave is gone a day after their times."""
        q, jobs = self.q, ("running", "back", "waits", "delayed", "again")
        for job in jobs:
            q.enqueue(job, bytes(1000), tenant=job, live_input="1", stdin="x" * 1000, max_wait_s="50", wall_ms="7000",
                      delay_ms="5000" if job == "delayed" else "0")
            q.call("input", job, "x")
        tokens = {job["id"]: job["token"] for job in [q.claim(most=2) for _ in range(3)]}
        for job, how in (("again", "lost"), ("back", "requeue")):
            self.assertEqual(q.call(how, job, tokens[job]), "queued")
        q.make_due("lease", "running")
        for job in jobs:
            times = [store.ttl(q.key(name, job)) for name in ("zip:", "in:", "job:")]
            self.assertTrue(DAY_S < min(times[:2]) and times[0] < times[2] <= DAY_S + 120, (job, times))
        for key in q.keys():
            if re.match("(job|zip|in|frames|ctl|later):", key):
                self.assertGreater(store.ttl(q.key(key)), 0, key)
                store.delete(q.key(key))
        for name, late in ("waits", DAY_S + 61), ("delayed", DAY_S + 111):
            for job in store.zrange(q.key(name), 0, -1):
                store.zadd(q.key(name), {job: now_ms() - late * 1000})
        return jobs

    def test_nobody_tends_the_queue(self):
        """A pool that comes after all ends what has waited: nobody is to look for a fault. What ran was lost."""
        q = self.q
        self.addCleanup(load_library)
        for audit_ms in (NEVER_MS, 0):
            with self.subTest(audit_ms):
                load_library(audit_ms)
                self.begin_anew()
                jobs = self.abandon()
                self.assertIsNone(q.claim())
                load_library(0)
                for _ in range(3):
                    self.assertIsNone(q.claim())
                for job in jobs:
                    self.check_final(job, *("dead", "fault") if job == "running" else ("expired", "expired"))
                self.assertEqual([key for key in q.keys() if re.match("open|waits|lease|delayed|line|topen|tact|bytes|in:|zip:", key)], [])

    def test_nobody_tends_the_queue_but_clients_go_on(self):
        """The first that comes ends them: they are in nobody's way."""
        q = self.q
        self.abandon()
        q.configure(max_jobs=2)
        self.assertRegex(q.enqueue("new"), "^queued")
        self.check_final("delayed", "expired", "expired")
        self.assertEqual(sorted(text(store.zrange(q.key("open"), 0, -1))), ["new", "running"])

    def test_waits_that_are_gone_begin_anew(self):
        """And with them the time that is left to what a job needs."""
        q = self.q
        q.enqueue("a", live_input="1", max_wait_s="5000")
        q.call("input", "a", "x")
        for key in ("job:a", "zip:a", "in:a"):
            store.expire(q.key(key), 60)
        store.delete(q.key("waits"))
        self.addCleanup(load_library)
        load_library(0)
        q.call("pause")
        self.assertIsNone(q.claim())
        for key in ("job:a", "zip:a", "in:a"):
            self.assertGreater(store.ttl(q.key(key)), DAY_S + 4000, key)

    def test_what_only_a_program_needs_goes_with_its_end(self):
        """It counts with the queue's bytes while the job is not final; then it counts nowhere, for as long as 30 days."""
        q = self.q
        fields = {"stdin": "x" * 100000, "argv": "a\nb", "host": "{}"}
        ends = {"done": lambda: q.finish(q.claim()), "cancelled": lambda: q.call("cancel", "a"),
                "expired": lambda: (q.make_due("waits", "a"), q.claim()),
                "dead": lambda: q.call("lost", "a", q.claim(most=1)["token"], "x")}
        for state, end in ends.items():
            with self.subTest(state):
                self.begin_anew()
                q.enqueue("a", keep_s=2592000, **fields)
                end()
                self.assertEqual(q.state("a"), state)
                if state == "dead":  # it may run again
                    self.assertEqual((len(q.job("a")["stdin"]), q.job("a")["argv"]), (100000, b"a\nb"))
                    q.call("dead_requeue", "a")
                    job = q.claim(most=1)
                    self.assertEqual({name: job[name] for name in fields}, fields)
                    q.call("lost", "a", job["token"], "x")
                    q.call("dead_drop", "a")
                self.assertEqual(set(fields) & set(q.job("a")), set())
                self.assertEqual((q.job("a")["tenant"], store.get(q.key("bytes"))), (b"default", b"0"))


class Turns(Test):
    def fill(self, count, **fields):
        name = "-".join(fields.values())
        for i in range(count):
            self.q.enqueue(f"{name}-{i}", **fields)

    def test_no_class_starves(self):
        for priority in ("batch", "normal", "interactive"):
            self.fill(70, priority=priority)
        served = self.q.order(84, "priority")
        self.assertEqual([served.count(name) for name in ("interactive", "normal", "batch")], [64, 16, 4])
        self.assertEqual(served[:3], ["interactive", "normal", "batch"], "of equals the higher comes first")

    def starve(self, cap, workers, lines):
        """So many workers that are never idle serve lines that are never empty, {(tenant, class): how often} was served."""
        q, running, served, number = self.q, [], dict.fromkeys(lines, 0), 0
        q.configure(max_tenant_running=cap)
        for _ in range(600):
            for tenant, priority in lines:
                while store.zcard(q.key(f"line{['interactive', 'normal', 'batch'].index(priority)}:{tenant}")) < 3:
                    number += 1
                    q.enqueue(f"j{number}", b"", tenant=tenant, priority=priority)
            while len(running) <= workers and (job := q.claim()):  # one more than there are comes by, and may be idle
                served[job["tenant"], job["priority"]] += 1
                running.append(job)
            q.finish(running.pop(0))
        return served

    def test_no_class_starves_at_a_cap(self):
        classes = "interactive", "normal", "batch"
        for cap, workers, tenants in ((1, 1, "a"), (1, 2, "a"), (2, 3, "a"), (1, 4, "abc"), (2, 3, "abc")):
            with self.subTest(cap=cap, workers=workers, tenants=tenants):
                store.flushall()
                served = self.starve(cap, workers, [(tenant, name) for tenant in tenants for name in classes])
                of_class = [sum(served[tenant, name] for tenant in tenants) for name in classes]
                self.assertGreater(of_class[2], 12)
                self.assertTrue(2 < of_class[1] / of_class[2] < 8 and 2 < of_class[0] / of_class[1] < 8, served)
                for tenant in tenants:
                    self.assertGreater(served[tenant, "batch"], 3, served)

    def test_no_class_of_a_tenant_at_its_cap_starves_beside_others(self):
        served = self.starve(2, 3, [("a", "interactive"), ("b", "batch"), ("c", "normal"), ("c", "batch")])
        self.assertGreater(min(served.values()), 10, served)

    def test_nor_has_a_line_of_whom_others_hold_up(self):
        """Whose turn it is may be another's, who runs something else with it."""
        i, n, b = "interactive", "normal", "batch"
        for cap, workers, lines in ((1, 2, {"a": (i, n), "b": (i, n), "c": (n,)}), (1, 2, {"a": (i,), "b": (i, n), "c": (i, n)}),
                                    (2, 3, {"a": (i, n, b), "b": (i, n, b), "c": (n,)})):
            with self.subTest(lines=lines):
                store.flushall()
                served = self.starve(cap, workers, [(tenant, name) for tenant, names in lines.items() for name in names])
                self.assertGreater(min(served.values()), 3, served)

    def trickle(self, name, count):
        """At each claim one comes that has never been seen. Returns after how many claims zoe's job is begun."""
        q = self.q
        for i in range(3):
            q.enqueue(f"first-{i}", tenant=name(i))
        q.enqueue("zoes", tenant="zoe")
        for i in range(count):
            q.enqueue(f"late-{i}", tenant=name(3 + i))
            job = q.claim()
            q.finish(job)
            if job["id"] == "zoes":
                return i + 1
        self.fail("it never came")

    def test_newcomers_do_not_starve_who_waits(self):
        """However many there are, and whatever their names; and of who was served and is gone nothing is left."""
        for name in (lambda i: f"m{i:05}", lambda i: f"m{99999 - i:05}", lambda i: f"zz{i:05}"):
            with self.subTest(name(0)):
                self.begin_anew()
                self.assertLessEqual(self.trickle(name, 300), 5)
                self.assertLess(sum(store.zcard(q) for q in store.scan_iter(self.q.key("turns*"))), 30)

    def test_newcomers_do_not_starve_who_has_had_a_turn(self):
        """However many come between two claims."""
        q = self.q
        for tenant in "AB":
            self.fill(2, tenant=tenant)
        self.assertEqual(q.order(1), ["A-0"])
        for turn in range(60):
            for i in range(20):
                q.enqueue(f"late-{turn}-{i}", b"", tenant=f"m{turn}-{i}")
            if q.order(1) == ["A-1"]:
                return
        self.fail("it never came")

    def serve_beside_newcomers(self, count):
        """How often each tenant is served in so many claims, before each of which one comes that has never been seen."""
        served = collections.Counter()
        for i in range(count):
            self.q.enqueue(f"new-{i}", b"", tenant=f"m{i:04}")
            job = self.q.claim()
            self.q.finish(job)
            served[job["tenant"]] += 1
        return served

    def test_newcomers_do_not_starve_who_was_alone(self):
        """However long: nobody else was there who could have had it. And of who comes and goes nothing is left."""
        q = self.q
        for count in 0, 20, 300:
            with self.subTest(count):
                self.begin_anew()
                self.fill(count + 60, tenant="W")
                q.order(count)
                self.assertGreater(self.serve_beside_newcomers(100)["W"], 8)
                self.assertLess(store.zcard(q.key("turns_had1")), 30)

    def test_nor_does_damage(self):
        """Where it is not known any more how far a round has come, it is as far as who is served."""
        q = self.q
        for damage in (lambda: store.delete(q.key("kept"))), (lambda: store.hset(q.key("kept"), "turns1", "x")):
            self.begin_anew()
            for tenant in "MN":
                self.fill(200, tenant=tenant)
            q.order(200)
            damage()
            served = self.serve_beside_newcomers(100)
            self.assertGreater(min(served["M"], served["N"]), 4, served)

    def test_a_turn_that_is_saved_up_is_one_job(self):
        """Whatever weight it has."""
        q = self.q
        q.configure(weight_interactive=16, weight_batch=16)
        self.fill(3, priority="batch")
        q.order(3)
        self.fill(80, priority="interactive")
        q.order(40)
        self.fill(20, priority="batch")
        self.assertEqual("".join(name[0] for name in q.order(12, "priority")).count("b"), 6)
        self.begin_anew()
        store.hset(q.key("weights"), "a", 20)
        self.fill(40, tenant="a")
        q.configure(max_tenant_running=1)
        held = q.claim()
        self.assertEqual(held["tenant"], "a")
        store.hset(q.key("weights"), "b", 20)
        self.fill(80, tenant="b")
        for _ in range(40):
            q.finish(q.claim())
        q.finish(held)
        q.configure(max_tenant_running=0)
        self.assertLessEqual(q.order(12, "tenant").count("a"), 7)

    def test_all_that_come_back_from_their_cap_have_one_turn_saved_up(self):
        """However many at once, with no claim between them: none because of the others."""
        q, number = self.q, 8
        q.configure(max_tenant_running=1)
        for i in range(number):
            self.fill(30, tenant=f"t{i}")
        held = [q.claim() for _ in range(number)]
        q.configure(max_tenant_running=9)
        self.fill(100, tenant="w")
        self.assertEqual(q.order(2, "tenant"), ["t0", "t1"])  # as many as they may again, but for these two
        q.configure(max_tenant_running=1)
        for _ in range(3 * number):
            q.finish(q.claim())
        for job in held:
            q.call("requeue", job["id"], job["token"])
        served = self.serve_beside_newcomers(5 * number)
        self.assertGreater(served["w"], 0, served)

    def test_who_comes_and_goes_leaves_nothing(self):
        """Beside one that is always served, and without having been served."""
        q = self.q
        self.fill(80, tenant="zoe")
        q.order(20)
        for i in range(40):
            q.enqueue(f"gone-{i}", tenant=f"m{i}")
            q.call("cancel", f"gone-{i}")
            self.assertEqual(q.order(1, "tenant"), ["zoe"])
        self.assertLess(store.zcard(q.key("turns_had1")), 3)

    def begin_bursts(self, count, size, floods="UV"):
        """So many times so many tenants with a job each, one after the other, beside some who always wait; all of them served by
        two workers."""
        q, running = self.q, []
        for tenant in floods:
            self.fill(600, tenant=tenant)
        for burst in range(count):
            left = {f"burst{burst}-{i}" for i in range(size)}
            for tenant in left:
                q.enqueue(tenant, b"", tenant=tenant)
            while left:
                while len(running) < 2:
                    running.append(q.claim())
                job = running.pop(0)
                left.discard(job["tenant"])
                q.finish(job)
        for job in running:
            q.finish(job)

    def test_who_comes_back_from_its_cap_after_bursts(self):
        """Of tenants who are gone after a single turn: the round is not ahead of those who wait for it."""
        q = self.q
        for weight in 1, 100:
            for bursts, size in (1, 100), (10, 30), (30, 5):
                with self.subTest(weight=weight, bursts=bursts, size=size):
                    self.begin_anew()
                    q.configure(max_tenant_running=1)
                    self.begin_bursts(bursts, size)
                    store.hset(q.key("weights"), mapping=dict.fromkeys("TUV", weight))
                    self.fill(50, tenant="T")
                    while (long := q.claim())["tenant"] != "T":
                        q.finish(long)
                    q.order(30)
                    q.finish(long)
                    self.assertIn("T", q.order(4, "tenant"))

    def test_who_weighs_little_and_comes_again_had_its_turn(self):
        q = self.q
        store.hset(q.key("weights"), "p", 100)
        self.fill(450, tenant="p")
        served = []
        for i in range(4):
            q.enqueue(f"r-{i}", tenant="r")
            while not served or served[-1] != "r":
                job = q.claim()
                served.append(job["tenant"])
                q.finish(job)
            served.append("")
        turns = [len(part.split("p")) - 1 for part in "".join(served).split("r")]
        self.assertGreater(min(turns[1:-1]), 90, turns)

    def test_what_is_kept_of_who_left_is_bounded(self):
        """Also where nobody is served, and the round comes no further."""
        q = self.q
        for tenant in "ABC":
            self.fill(2, tenant=tenant)
        running = [q.claim(), q.claim()]
        q.call("cancel", "C-0"), q.call("cancel", "C-1")
        for i in range(1100):
            q.enqueue(f"late-{i}", b"", tenant=f"late-{i}")
            q.call("cancel", f"late-{i}")
        self.assertGreater(store.zcard(q.key("turns_had1")), 900)
        self.assertLessEqual(store.zcard(q.key("turns_had1")), 1000)
        for job in running:
            q.finish(job)

    def passed_over(self, seed):
        """At random: who waits all the time, who comes and goes, bursts, caps. How often whoever could have run was passed over,
        most of all, in rounds of those whom it waited with: of who was there when it began, or came within its first round."""
        q, chance, running, number = self.q, random.Random(seed), [], 0
        cap = chance.choice([0, 1, 2])
        q.configure(max_tenant_running=cap)
        lines, active, since, most = collections.Counter(), collections.Counter(), {}, 0

        def could():
            return {tenant for tenant, waiting in lines.items() if waiting and not 0 < cap <= active[tenant]}

        for step in range(400):
            phase = chance.choice(["burst", "newcomers", "floods", "one"]) if step % 50 == 0 else phase
            coming = {"burst": [f"b{step}-{i}" for i in range(30)] if step % 50 == 0 else ["U", "V"], "newcomers": [f"n{step}", "W"],
                      "floods": ["U", "V"] * 2, "one": ["W"] if not lines["W"] else []}[phase]
            for tenant in coming:
                number += 1
                q.enqueue(f"j{number}", b"", tenant=tenant)
                lines[tenant] += 1
            new = could() - set(since)
            since = {tenant: (count, of + (len(new) if count <= first else 0), first)
                     for tenant, (count, of, first) in since.items() if tenant in could()}
            since |= dict.fromkeys(new, (0, len(could()) + 1, len(could())))
            while len(running) < 3 and (job := q.claim()):
                running.append(job)
                tenant = job["tenant"]
                lines[tenant] -= 1
                active[tenant] += 1
                since.pop(tenant, None)
                since = {other: (count + 1, of, first) for other, (count, of, first) in since.items()}
                most = max([most, *(count / of for count, of, _ in since.values())])
            if running:
                job = running.pop(chance.choice([0, 0, -1]))  # some run for long
                active[job["tenant"]] -= 1
                q.finish(job)
        return most

    def test_nobody_is_passed_over_for_long(self):
        for seed in range(8):
            with self.subTest(seed=seed):
                self.begin_anew()
                self.assertLess(self.passed_over(seed), 2)

    def test_who_weighs_much_has_it_with_one_job_at_a_time(self):
        q = self.q
        store.hset(q.key("weights"), mapping={"p": 20, "r": 20})
        for tenant in ("p", *(f"q{i}" for i in range(5))):
            self.fill(300, tenant=tenant)
        q.enqueue("r-0", tenant="r")
        served = collections.Counter()
        for i in range(300):
            job = q.claim()
            served[job["tenant"]] += 1
            if job["tenant"] == "r":
                q.enqueue(f"r-{i + 1}", tenant="r")
            q.finish(job)
        self.assertGreater(served["r"], 0.6 * served["p"], served)
        self.assertGreater(served["r"], 10 * served["q0"], served)

    def test_what_somebody_makes_of_places(self):
        """Also where that is infinitely far: an audit sees to it."""
        q = self.q
        self.addCleanup(load_library)
        for damage in ({"A": "inf"}, {"A": 1e17}):
            with self.subTest(damage):
                self.begin_anew()
                for tenant in "AC":
                    self.fill(60, tenant=tenant)
                q.order(4)
                store.zadd(q.key("turns1"), damage)
                load_library(0)
                self.assertGreaterEqual(q.order(20, "tenant").count("A"), 8)
        self.begin_anew()
        self.fill(60, tenant="C")
        store.zadd(q.key("turns_had1"), {"A": 9e11})
        self.fill(10, tenant="A")
        self.assertGreaterEqual(q.order(20, "tenant").count("A"), 8)

    def test_newcomers_do_not_hold_up_who_always_waits(self):
        """One who was served much before, and so is far: newcomers take turns with it, the more of them the fewer."""
        q = self.q
        self.fill(60, tenant="a")
        self.fill(60, tenant="zoe")
        q.order(80)
        served = []
        for i in range(40):
            q.enqueue(f"late-{i}", tenant=f"m{i:03}")
            job = q.claim()
            served.append(job["tenant"])
            q.finish(job)
        late = [tenant for tenant in served if tenant[0] == "m"]
        self.assertEqual(late, sorted(late), "in the order in which they came")
        self.assertGreater(served.count("a"), 3, served)
        self.assertLessEqual(abs(served.count("a") - served.count("zoe")), 1, served)

    def test_who_leaves_and_returns_has_no_more_turns_than_who_stays(self):
        q = self.q
        self.fill(60, tenant="z")
        served = []
        for i in range(40):
            q.enqueue(f"one-{i}", tenant="a")  # never more than one waits
            job = q.claim()
            served.append(job["tenant"])
            q.finish(job)
        self.assertTrue(18 <= served.count("a") <= 22, served)

    def test_however_long_others_were_away(self):
        """A queue that was empty in between forgets no more than one turn, whoever had run much before."""
        q = self.q
        for count, priority in ((1, "batch"), (200, "interactive")):
            self.fill(count, priority=priority)
            q.order(count)
            self.assertIsNone(q.claim())
        for priority in ("batch", "interactive"):
            for i in range(20):
                q.enqueue(f"late-{priority}-{i}", priority=priority)
        self.assertLessEqual(q.order(10, "priority").count("batch"), 2)

    def test_however_much_others_have_run_at_a_cap(self):
        q = self.q
        q.configure(max_tenant_running=1)
        self.fill(2, tenant="a")
        held = q.claim()
        self.assertIsNone(q.claim())
        self.fill(100, tenant="b")
        q.order(99)
        other = q.claim()
        self.assertIsNone(q.claim())
        q.finish(held), q.finish(other)
        for i in range(20):
            for tenant in "ab":
                q.enqueue(f"late-{tenant}-{i}", tenant=tenant)
        self.assertLessEqual(q.order(10, "tenant").count("a"), 7)

    def test_a_class_that_returns_has_no_turns_saved_up(self):
        self.fill(60, priority="interactive")
        self.q.order(50)
        self.fill(10, priority="batch")
        self.assertEqual(self.q.order(4, "priority"), ["interactive", "batch", "interactive", "interactive"])

    def test_classes_weigh_what_is_configured(self):
        self.q.configure(weight_interactive=2, weight_normal=1)
        self.fill(20, priority="normal")
        self.fill(20, priority="interactive")
        self.assertEqual("".join(name[0] for name in self.q.order(9, "priority")), "iniiniini")

    def test_nonsense_weighs_what_is_the_default(self):
        q = self.q
        q.configure(weight_interactive="-1", weight_normal="x", weight_batch="0", max_tenant_running="nan", max_jobs="-2")
        store.hset(q.key("weights"), mapping={"a": "0", "b": "nonsense", "c": "1e400"})
        for tenant in "abc":
            self.fill(2, tenant=tenant)
        self.assertEqual("".join(q.order(6, "tenant")), "abcabc")

    def test_weights_out_of_bounds_are_the_default(self):
        for value in ("0", "101", "-1", "nan", "x", "1e400"):
            store.flushall()
            self.q.configure(weight_interactive=value, weight_normal=value, weight_batch=value)
            for priority in ("batch", "normal", "interactive"):
                self.fill(20, priority=priority)
            served = self.q.order(21, "priority")
            self.assertEqual([served.count(name) for name in ("interactive", "normal", "batch")], [16, 4, 1], value)

    def test_tenants_weigh_what_is_configured(self):
        store.hset(self.q.key("weights"), "b", 3)
        for tenant in "ab":
            self.fill(30, tenant=tenant)
        served = "".join(self.q.order(20, "tenant"))
        self.assertEqual((served.count("a"), served.count("b")), (5, 15))

    def test_a_heavy_tenant_does_not_starve_a_light_one(self):
        store.hset(self.q.key("weights"), "b", 100)
        for tenant in "ab":
            self.fill(110, tenant=tenant)
        self.assertEqual(self.q.order(101, "tenant").count("a"), 1)


class Cap(Test):
    def setUp(self):
        super().setUp()
        self.q.configure(max_tenant_running=2)

    def fill(self, count, tenant="a", **fields):
        for i in range(count):
            self.q.enqueue(f"{tenant}{i}", tenant=tenant, **fields)

    def test_a_tenant_runs_no_more_than_so_many(self):
        q = self.q
        self.fill(5)
        self.fill(2, "b")
        jobs = []
        while job := q.claim():
            jobs.append(job)
        self.assertEqual([job["id"] for job in jobs], ["a0", "b0", "a1", "b1"])
        q.finish(jobs[0])
        self.assertEqual(q.claim()["id"], "a2")
        self.assertIsNone(q.claim())

    def test_however_one_of_them_ends_the_next_begins(self):
        q = self.q
        self.fill(8)
        running = [q.claim("w1"), q.claim("w1")]
        for end in (lambda job: q.finish(job), lambda job: q.call("requeue", job["id"], job["token"]),
                    lambda job: q.call("lost", job["id"], job["token"], "x"),
                    lambda job: (q.call("cancel", job["id"]), q.finish(job, "cancelled", 90))):
            self.assertIsNone(q.claim())
            store.delete(q.key("wake"))
            end(running.pop(0))
            self.assertGreater(store.llen(q.key("wake")), 0, "whoever is idle hears of it")
            running.append(q.claim("w1"))
            self.assertIsNotNone(running[-1])
        q.make_due("lease", running[0]["id"])
        self.assertIsNotNone(q.claim())
        self.assertEqual(len(q.call("recover", "w1")), 2)
        self.assertIsNotNone(q.claim())

    def test_it_is_of_all_classes(self):
        q = self.q
        self.fill(2)
        q.claim(), q.claim()
        q.enqueue("i", tenant="a", priority="interactive")
        q.enqueue("b", tenant="a", priority="batch")
        self.assertIsNone(q.claim())
        q.configure(max_tenant_running=9)
        self.assertEqual(q.order(2), ["i", "b"])

    def test_raised_or_taken_away_it_lets_jobs_begin_by_itself(self):
        q = self.q
        self.fill(6)
        for more, cap in ((2, 2), (1, 3), (3, 0)):
            q.configure(max_tenant_running=cap)
            self.assertEqual([q.claim() is not None for _ in range(more)], [True] * more)
            self.assertIsNone(q.claim())

    def test_raised_or_taken_away_it_wakes_all_who_can_have_a_job(self):
        """And nobody in vain. One relay of the pool looks around: the others sleep until they hear of it."""
        q = self.q
        for jobs, cap, woken in ((6, 5, 3), (4, 5, 2), (6, 0, 4), (200, 0, 64), (200, 150, 64)):
            with self.subTest(jobs=jobs, cap=cap):
                store.flushall()
                q.configure(max_tenant_running=2)
                self.fill(jobs)
                self.assertEqual([q.claim() is not None for _ in range(3)], [True, True, False])
                store.delete(q.key("wake"))
                q.configure(max_tenant_running=cap)
                q.call("tend", LEASE_MS)
                self.assertEqual(store.llen(q.key("wake")), woken)

    def test_raised_while_all_workers_have_a_job(self):
        """No claim comes then: whoever looks around has them counted among those that could run."""
        q = self.q
        self.fill(4)
        self.assertEqual([q.claim() is not None for _ in range(3)], [True, True, False])
        q.configure(max_tenant_running=3)
        q.call("tend", LEASE_MS)
        self.assertEqual((q.call("depth")[0], q.status()["capped"]), (2, 0))

    def test_who_has_no_job_in_a_class_has_no_turns_of_it(self):
        """Its last ones there were over before their turn: those of another class are not served in their place."""
        q = self.q
        self.fill(3, priority="batch")
        held = [q.claim() for _ in range(3)]
        self.assertIsNone(held.pop())
        for job in held:
            q.finish(job)
        q.finish(q.claim())
        self.assertTrue(store.exists(q.key("own:", "a")))
        for i in range(60):
            for tenant in "ab":
                q.enqueue(f"{tenant}-batch{i}", tenant=tenant, priority="batch")
        for i in range(30):
            q.enqueue(f"a-soon{i}", tenant="a", priority="interactive")
        for i in range(30):
            q.make_due("waits", f"a-soon{i}")
        tenants = []
        for _ in range(40):
            job = q.claim()
            tenants.append(job["tenant"])
            q.finish(job)
        self.assertTrue(18 <= tenants.count("b") <= 22, tenants)

    def test_it_is_seen_while_all_workers_have_a_job(self):
        """No claim has come upon it yet: its jobs could not run all the same."""
        q = self.q
        self.fill(4)
        self.assertEqual([q.claim() is not None for _ in range(2)], [True, True])
        depth = q.call("depth")
        self.assertEqual((depth[0], depth[1], depth[2], q.status()["capped"]), (0, 2, 0, 1))
        self.fill(1, "b")
        self.assertEqual((q.call("depth")[0], q.status()["capped"]), (1, 1))

    def test_lowered_it_counts_from_then_on(self):
        q = self.q
        self.fill(9)
        jobs = [q.claim(), q.claim()]
        q.configure(max_tenant_running=1)
        self.assertIsNone(q.claim())
        q.finish(jobs[0])
        self.assertIsNone(q.claim())
        q.configure(max_tenant_running=2)
        self.assertIsNotNone(q.claim())
        q.configure(max_tenant_running=1)
        q.finish(jobs[1])
        self.assertIsNone(q.claim())

    def test_who_was_at_it_has_one_turn_saved_up(self):
        q = self.q
        self.fill(9)
        self.fill(90, "b")
        store.hset(q.key("conf"), "max_tenant_running", 1)
        held = q.claim()
        self.assertEqual(held["tenant"], "a")
        for _ in range(20):
            q.finish(q.claim())
        q.finish(held)
        self.assertEqual(sorted(q.order(10, "tenant")), ["a"] * 6 + ["b"] * 4)

    def test_however_many_wait_at_it_they_cost_the_others_the_same(self):
        q = self.q
        costs = []
        for tenants in (1, 300):
            store.flushall()
            q.configure(max_tenant_running=1)
            for i in range(tenants):
                self.fill(2, f"t{i}-")
            for _ in range(2 * tenants + 9):
                q.claim()
            self.assertEqual(q.status()["capped"], tenants)
            self.fill(5, "z")
            q.finish(q.claim())
            costs.append(commands(lambda: q.finish(q.claim())))
        self.assertEqual(costs[0], costs[1])

    def test_nothing_is_left_of_it(self):
        q = self.q
        self.fill(3)
        jobs = [q.claim(), q.claim()]
        self.assertIsNone(q.claim())
        q.call("cancel", "a2")
        for job in jobs:
            q.finish(job)
        self.assertIsNone(q.claim())
        self.assertEqual([key for key in q.keys() if key.startswith(("turns", "line", "capped"))], [])
        self.assertEqual(q.keys("own:"), ["own:a"])
        self.assertTrue(0 < store.ttl(q.key("own:a")) <= 3600, "there may be any number of tenants")


class Replace(Test):
    def test_all_that_wait(self):
        q = self.q
        for priority in ("interactive", "normal", "batch"):
            q.enqueue("r-" + priority, tenant="t", priority=priority)
        running = q.claim()
        q.enqueue("later", tenant="t", delay_ms="99999")
        q.enqueue("other", tenant="u")
        self.assertEqual(q.enqueue("new", tenant="t", replace="1"), "queued 1")
        for job in ("r-normal", "r-batch", "later"):
            self.assertEqual(self.check_final(job, "cancelled", "cancelled")["detail"], "replaced by new")
        self.assertEqual(q.finish(running), "done")
        self.assertEqual(sorted(q.order(2)), ["new", "other"])
        self.assertIsNone(q.claim())
        self.assertEqual(q.keys("later:"), [])

    def test_one_that_was_lost_and_waits_again(self):
        q = self.q
        q.enqueue("a")
        for _ in range(2):
            q.call("lost", "a", q.claim(most=9)["token"], "x")
        q.enqueue("new", replace="1")
        self.check_final("a", "cancelled", "cancelled")
        self.assertEqual(q.order(1), ["new"])

    def test_they_take_no_room(self):
        q = self.q
        rows = [("max_jobs", 1), ("max_tenant_jobs", 1), ("max_mb", 1)]
        for name, value in rows:
            store.flushall()
            q.configure(**{name: value})
            self.assertEqual(q.enqueue("a", bytes(700000)), "queued 0")
            self.assertRegex(q.enqueue("b", bytes(700000)), "^full")
            self.assertEqual(q.enqueue("c", bytes(700000), replace="1"), "queued 0")
            self.check_final("a", "cancelled", "cancelled")
            self.assertEqual(store.get(q.key("bytes")), b"700000")

    def test_a_job_that_is_refused_replaces_none(self):
        q = self.q
        q.enqueue("a", tenant="t")
        q.enqueue("b", tenant="u")
        q.configure(max_jobs=1)
        self.assertEqual(q.enqueue("c", tenant="t", replace="1"), "full jobs 1000")
        self.refuse("^BADFIELD", "c", tenant="t", replace="1", cpu_ms="x")
        self.refuse("^TOOBIG", "c", bytes(11 << 20), tenant="t", replace="1")
        with self.assertRaisesRegex(redis.ResponseError, "^NOUPLOAD"):
            q.call("enqueue", "c", "upload", "none", "tenant", "t", "replace", "1")
        self.assertEqual(q.enqueue("a", tenant="t", replace="1"), "duplicate queued")
        self.assertEqual((q.state("a"), q.state("b")), ("queued", "queued"))

    def test_so_many_per_call(self):
        q = self.q
        for i in range(250):
            q.enqueue(f"j{i}")
        self.assertEqual(q.enqueue("n1", replace="1"), "queued 50")
        self.assertEqual(q.state("j199"), "cancelled")
        self.assertEqual(q.state("j200"), "queued")
        self.assertEqual(q.enqueue("n2", replace="1"), "queued 0")
        self.check_final("n1", "cancelled", "cancelled")

    def test_of_a_tenant_at_its_cap(self):
        q = self.q
        q.configure(max_tenant_running=1)
        q.enqueue("a"), q.enqueue("b")
        job = q.claim()
        self.assertIsNone(q.claim())
        q.enqueue("c", replace="1")
        self.assertIsNone(q.claim())
        q.finish(job)
        self.assertEqual(q.order(1), ["c"])


class Dead(Test):
    def test_keeps_what_is_needed_to_look_and_to_run_it_again(self):
        q = self.q
        q.enqueue("a", b"12345", live_input="1", keep_s="1", tenant="t")
        q.call("input", "a", "typed\n")
        job = q.claim(most=1)
        q.record("a", 100)
        q.call("lost", "a", job["token"], "the zygote died")
        self.check_final("a", "dead", "fault")
        self.assertEqual(store.get(q.key("zip:", "a")), b"12345")
        self.assertEqual(store.get(q.key("in:", "a")), b"typed\n")
        for key in q.keys():
            self.assertEqual(store.ttl(q.key(key)) > WEEK_S, ":" in key, key)
        self.assertEqual((store.get(q.key("bytes")), store.hgetall(q.key("topen"))), (b"11", {}))
        self.assertEqual(len(q.entries("a", "slice")), 1)

    def test_list(self):
        q = self.q
        self.assertEqual(q.call("dead"), [])
        for i in range(3):
            q.bury(f"j{i}", f"reason {i}", tenant=f"t{i}")
        store.zadd(q.key("dead"), {f"j{i}": 1000 + i for i in range(3)})
        rows = [[f"j{i}", 1000 + i, f"t{i}", f"lost 1 times, last: reason {i}"] for i in (2, 1, 0)]
        self.assertEqual(q.call("dead"), rows)
        self.assertEqual(q.call("dead", 1, 1), rows[1:2])
        self.assertEqual(q.call("dead", 1), rows[1:])
        self.assertEqual(q.call("dead", 0, 0), [])
        self.assertEqual(q.call("dead", 9), [])
        self.assertEqual(q.call("dead", "nonsense", "nonsense"), rows)

    def test_requeue(self):
        q = self.q
        q.bury(tenant="t", delay_ms="0", meta="m")
        q.enqueue("b", tenant="t")
        before = q.entries("a")
        self.assertEqual(q.call("dead_requeue", "a"), "queued 1")
        self.assertEqual(q.entries("a"), [])
        self.assertGreater(len(before), 0)
        fresh = q.job("b")
        self.assertEqual(set(q.job("a")) - set(fresh), {"max_deliveries"})
        self.assertEqual((q.job("a")["lost"], q.job("a")["state"]), (b"0", b"queued"))
        self.assertEqual(store.zcard(q.key("dead")), 0)
        self.assertTrue(0 < store.ttl(q.key("zip:", "a")) < store.ttl(q.key("job:", "a")) < WEEK_S)
        self.assertEqual(store.get(q.key("bytes")), b"7", "the meta, too")
        self.assertEqual(q.order(2), ["b", "a"])
        self.assertEqual(self.check_final("a", "done", "ok")["attempt"], 2)
        self.assertEqual(q.call("dead_requeue", "a"), "unknown")
        self.assertEqual(store.get(q.key("bytes")), b"0")

    def test_it_can_be_lost_again(self):
        q = self.q
        self.assertEqual(q.bury(), "dead")
        for _ in range(3):
            q.call("dead_requeue", "a")
            self.assertEqual(q.call("lost", "a", q.claim(most=1)["token"], "again"), "dead")
            self.check_final("a", "dead", "fault")
            self.assertEqual(store.get(q.key("bytes")), b"3")

    def test_input_is_read_again(self):
        q = self.q
        q.enqueue("a", live_input="1")
        q.call("input", "a", "typed\n", "eof")
        q.call("lost", "a", q.claim(most=1)["token"], "x")
        self.assertEqual(q.call("input", "a", "late"), "final")
        q.call("dead_requeue", "a")
        self.assertEqual(q.claim()["id"], "a")
        self.assertEqual(q.call("input_from", "a", 0, 99), ["typed\n", 0, 1])

    def test_requeue_is_refused(self):
        q = self.q
        q.bury(tenant="t")
        q.enqueue("b", tenant="t")
        self.assertEqual(q.call("dead_requeue", "b"), "unknown")
        self.assertEqual(q.call("dead_requeue"), "unknown")
        for name, reason in (("max_jobs", "jobs"), ("max_tenant_jobs", "tenant")):
            q.configure(**{name: 1})
            self.assertEqual(q.call("dead_requeue", "a"), f"full {reason} 1000")
            store.delete(q.key("conf"))
        store.delete(q.key("zip:", "a"))
        self.assertEqual(q.call("dead_requeue", "a"), "gone")
        self.check_final("a", "dead", "fault")

    def test_drop(self):
        q = self.q
        for i in range(3):
            q.bury(f"j{i}", keep_s="50")
        self.assertEqual(q.call("dead_drop", "j1"), 1)
        self.assertEqual((q.call("dead_drop", "j1"), q.call("dead_drop", "nobody"), q.call("dead_drop")), (0, 0, 0))
        self.assertEqual(store.get(q.key("bytes")), b"6")
        self.assertEqual(q.state("j1"), "dead")
        self.assertTrue(0 < store.ttl(q.key("job:", "j1")) <= 50)
        self.assertTrue(0 < store.ttl(q.key("frames:", "j1")) <= 50)
        self.assertEqual(q.call("dead_requeue", "j1"), "unknown")
        self.assertEqual(q.call("dead_drop", "*"), 2)
        self.assertEqual(q.call("dead_drop", "*"), 0)
        self.assertEqual((store.get(q.key("bytes")), q.keys("zip:")), (b"0", []))

    def test_so_many_and_no_more(self):
        q = self.q
        now = store.time()[0] * 1000
        store.zadd(q.key("dead"), {f"old{i}": now - 5000 + i for i in range(1050)})
        for i in range(4):
            q.bury(f"a{i}")
        self.assertEqual(store.zcard(q.key("dead")), 1000)
        self.assertIsNotNone(store.zscore(q.key("dead"), "a0"))
        self.assertIsNone(store.zscore(q.key("dead"), "old53"))

    def test_who_has_had_its_turn_has_had_it(self):
        """Its letter waits for the next one, as any of its jobs."""
        q = self.q
        q.bury("letter", tenant="a")
        for i in range(9):
            q.enqueue(f"j{i}", tenant="bcd"[i % 3])
        for i in range(2):
            q.enqueue(f"a{i}", tenant="a")
        while store.zscore(q.key("turns_had1"), "a") is None:
            self.assertIsNotNone(q.claim())
        self.assertRegex(q.call("dead_requeue", "letter"), "^queued")
        self.assertIsNone(store.zscore(q.key("turns_had1"), "a"))
        self.assertNotEqual(q.claim()["tenant"], "a")

    def test_for_a_week(self):
        q = self.q
        q.bury("a", keep_s="50")
        q.bury("b")
        q.make_due("dead", "a")
        self.assertIsNone(q.claim())
        self.assertEqual(store.zrange(q.key("dead"), 0, -1), [b"b"])
        self.assertTrue(0 < store.ttl(q.key("job:", "a")) <= 50)
        self.assertEqual(q.keys("zip:"), ["zip:b"])
        self.assertEqual(store.get(q.key("bytes")), b"3")

    def test_they_give_way_to_jobs(self):
        q = self.q
        q.configure(max_mb=1, max_tenant_jobs=1)
        self.assertEqual(q.bury("letter", data=bytes(700000)), "dead")
        q.enqueue("one", b"", tenant="t")
        self.assertEqual(q.enqueue("two", bytes(400000), tenant="t"), "full bytes 1000")
        self.assertEqual(q.keys("zip:letter"), ["zip:letter"], "it would not help")
        q.call("cancel", "one"), q.call("dead_drop", "letter")
        q.configure(max_tenant_jobs=100)
        self.refuse("^TOOBIG 1048576", "never", bytes(1100000))
        for i in range(3):
            self.assertEqual(q.bury(f"j{i}", data=bytes(300000)), "dead")
        self.assertEqual(q.enqueue("new", bytes(600000)), "queued 0")
        self.assertEqual(q.keys("zip:"), ["zip:j2", "zip:new"])
        self.assertEqual(store.get(q.key("bytes")), b"900000")
        for _ in range(2):  # for what does not fit all the same none is dropped
            self.assertEqual(q.enqueue("more", bytes(600000)), "full bytes 1000")
            self.assertEqual(q.keys("zip:"), ["zip:j2", "zip:new"])

    def test_they_give_way_to_input(self):
        """The oldest, and no more than it takes; none for what does not fit all the same."""
        q = self.q
        q.configure(max_mb=1)
        for i in range(3):
            q.enqueue(f"j{i}", bytes(300000))
            job = q.claim(most=1)
            q.record(f"j{i}", 20000)
            q.call("lost", f"j{i}", job["token"], "x")
            store.zadd(q.key("dead"), {f"j{i}": now_ms() - 10 + i})
        q.enqueue("live", b"", live_input="1")
        room = 1048576 - 900000
        for size, dead in ((60000, 3), (60000, 3), (room - 120000, 3), (1, 2)):
            self.assertEqual(q.call("input", "live", "x" * size), "queued")
            self.assertEqual(store.zcard(q.key("dead")), dead)
        self.assertEqual(q.keys("zip:"), ["zip:j1", "zip:j2", "zip:live"])
        self.assertEqual(int(store.get(q.key("bytes"))), 600000 + room + 1)
        q.configure(max_mb=0)
        self.assertEqual(q.call("input", "live", "x"), "full")
        self.assertEqual(store.zcard(q.key("dead")), 2)


class Pause(Test):
    def test_pause_and_resume(self):
        q = self.q
        self.assertEqual(q.call("resume"), "running")
        self.assertNotIn("paused", q.status())
        for i in range(3):
            q.enqueue(f"j{i}")
        running = q.claim()
        self.assertEqual(q.call("pause", "the projector is being moved"), "paused")
        self.assertEqual(q.status()["paused"], "the projector is being moved")
        self.assertIsNone(q.claim())
        self.assertEqual(q.enqueue("more"), "queued 2")
        self.assertEqual(q.finish(running), "done", "what runs goes on")
        self.assertIsNone(q.claim())
        store.delete(q.key("wake"))
        self.assertEqual(q.call("resume"), "resumed")
        self.assertEqual(store.llen(q.key("wake")), 3, "one for each that waits")
        self.assertEqual(q.claim()["id"], "j1")

    def test_places_are_those_that_jobs_have_when_it_goes_on(self):
        q = self.q
        for i in range(4):
            q.enqueue(f"j{i}")
        q.finish(q.claim(), wall_ms=2000)
        running = q.claim()
        q.call("pause")
        self.assertEqual([q.call("position", f"j{i}") for i in (1, 2, 3)], [[0, 0], [0, 0], [1, 2000]])
        q.finish(running, wall_ms=2000)
        q.enqueue("urgent", priority="interactive")
        said = {job: q.call("position", job) for job in ("urgent", "j2", "j3")}
        self.assertEqual(said, {"urgent": [0, 0], "j2": [1, 2000], "j3": [2, 4000]})
        q.call("resume")
        self.assertEqual(q.order(3), sorted(said, key=said.get))

    def test_without_a_reason_and_with_a_bad_one(self):
        q = self.q
        self.assertEqual((q.call("pause"), q.status()["paused"]), ("paused", ""))
        self.assertEqual((q.call("pause", "x" * 256), q.status()["paused"]), ("paused", "x" * 256))
        self.assertEqual((q.call("pause", b"caf\xe9"), q.status()["paused"]), ("paused", "caf?"))
        for reason in ("x" * 257, "a\0b"):
            with self.assertRaisesRegex(redis.ResponseError, "^BADFIELD reason: "):
                q.call("pause", reason)

    def test_who_was_served_is_in_nobodys_way(self):
        """Of many tenants that had jobs before, while no claim comes: those that wait are seen."""
        q = self.q
        for i in range(150):
            q.enqueue(f"old-{i}", tenant=f"a{i:03}")
        q.enqueue("long", tenant="z")
        q.order(150)
        q.claim()
        for i in range(30):
            q.enqueue(f"new-{i}", tenant=f"b{i:03}")
            store.hincrby(q.key("job:", f"new-{i}"), "queued_ms", -5000)
        self.assertGreaterEqual(q.call("depth")[2], 5000)
        self.assertEqual([q.call("position", f"new-{i}")[0] for i in (0, 15, 29)], [0, 15, 29])
        self.assertEqual(len(q.call("tenants")), 31)
        self.assertEqual(q.order(30), [f"new-{i}" for i in range(30)])

    def test_status(self):
        q = self.q
        for i in range(3):
            q.enqueue(f"j{i}", b"12345")
        q.enqueue("later", b"", delay_ms="99999")
        q.claim()
        status = q.status()
        self.assertGreaterEqual(status.pop("oldest_ms"), 0)
        self.assertEqual(status, {"queue": QUEUE, "waiting": 2, "running": 1, "delayed": 1, "capped": 0, "dead": 0,
                                  "bytes": 15, "recordings_bytes": 0})


class Recordings(Test):
    def run_one(self, job, size=400000, **fields):
        self.q.enqueue(job, **fields)
        claimed = self.q.claim()
        self.q.record(job, size)
        self.q.finish(claimed)

    def sums(self):
        sizes = {text(k): int(v) for k, v in store.hgetall(self.q.key("recordings_size")).items()}
        self.assertEqual(int(store.get(self.q.key("recordings_bytes")) or 0), sum(sizes.values()))
        self.assertEqual({text(m) for m in store.zrange(self.q.key("recordings"), 0, -1)}, set(sizes))
        return sizes

    def test_over_it_the_oldest_are_cut_to_their_result(self):
        q = self.q
        q.configure(recordings_mb=1)
        for i in range(4):
            self.run_one(f"j{i}", keep_s=str(5000 - i))
        for i, entries in enumerate((1, 1, 3, 3)):
            self.assertEqual(len(q.entries(f"j{i}")), entries, i)
            self.check_final(f"j{i}", "done", "ok")
            self.assertEqual("recording_cut" in q.job(f"j{i}"), entries == 1)
        self.assertEqual(set(self.sums()), {"j2", "j3"})

    def test_nothing_comes_behind_the_result(self):
        """From a way to Redis that was cut, of an attempt that was lost. It is no obstacle to the next job of that name."""
        q = self.q
        for turn in range(2):
            self.run_one("late")
            with self.assertRaisesRegex(redis.ResponseError, "exhausted"):
                q.record("late", 100)
            self.assertEqual(text(q.entries("late")[-1][b"k"]), "result")
            store.delete(q.key("job:", "late"))

    def test_the_result_of_the_version_before_stays(self):
        """Behind which such slices came. A relay's finish cuts, and so does a client's cancel."""
        q = self.q

        def cancel():
            q.enqueue("cancelled")
            claimed = q.claim()
            q.record("cancelled", 400000)
            q.call("lost", "cancelled", claimed["token"], "why")
            self.assertEqual(q.call("cancel", "cancelled"), "cancelled")

        for job, cut in ("one", lambda: self.run_one("next")), ("two", cancel):
            q.configure(recordings_mb=1000)
            self.run_one(job)
            result, = q.entries(job, "result")
            expiry = store.ttl(q.key("frames:", job))
            store.delete(q.key("frames:", job))
            store.xadd(q.key("frames:", job), result)
            store.expire(q.key("frames:", job), expiry)
            for _ in range(600):
                q.record(job, 100)
            q.configure(recordings_mb=0)
            cut()
            self.assertEqual(q.entries(job), [result])
            self.assertLessEqual(abs(store.ttl(q.key("frames:", job)) - expiry), 60)

    def test_small_ones_are_let_be(self):
        self.q.configure(recordings_mb=0)
        self.run_one("small", 1000)
        self.run_one("large", 10000)
        self.assertEqual((len(self.q.entries("small")), len(self.q.entries("large"))), (3, 1))
        self.assertEqual(self.sums(), {})

    def test_what_has_expired_counts_no_more(self):
        q = self.q
        q.configure(recordings_mb=1)
        self.run_one("a")
        self.run_one("b")
        store.delete(q.key("frames:", "a"), q.key("job:", "a"))  # as their expiry does
        store.zadd(q.key("recordings_until"), {"a": 1})
        self.run_one("c")
        self.assertEqual(len(q.entries("b")), 3)
        self.assertEqual(set(self.sums()), {"b", "c"})
        store.zadd(q.key("recordings_until"), {"b": 1, "c": 1})
        q.claim()
        self.assertEqual(self.sums(), {})
        self.assertEqual(q.keys("recordings"), ["recordings_bytes"])

    def test_of_one_that_has_expired_nothing_is_made_again(self):
        q = self.q
        self.run_one("a")
        store.delete(q.key("frames:", "a"), q.key("job:", "a"))
        q.configure(recordings_mb=0)
        self.run_one("b")
        self.assertEqual((q.keys("job:"), q.keys("frames:"), self.sums()), (["job:b"], ["frames:b"], {}))

    def test_an_id_that_is_used_again(self):
        q = self.q
        self.run_one("a")
        store.delete(q.key("frames:", "a"), q.key("job:", "a"))
        self.run_one("a", 100000)
        self.assertLess(self.sums()["a"], 200000)

    def test_slices_of_lost_attempts_count(self):
        q = self.q
        q.enqueue("a")
        job = q.claim()
        q.record("a", 300000)
        q.call("lost", "a", job["token"], "x")
        q.finish(q.claim())
        self.assertGreater(self.sums()["a"], 300000)

    def test_of_dead_letters_they_count_too(self):
        q = self.q
        q.enqueue("a")
        job = q.claim(most=1)
        q.record("a", 300000)
        q.call("lost", "a", job["token"], "x")
        self.assertGreater(self.sums()["a"], 300000)
        self.assertIsNone(store.zscore(q.key("recordings_until"), "a"))
        q.call("dead_drop", "a")
        self.assertIsNotNone(store.zscore(q.key("recordings_until"), "a"))
        q.enqueue("b")
        job = q.claim(most=1)
        q.record("b", 300000)
        q.call("lost", "b", job["token"], "x")
        q.call("dead_requeue", "b")
        self.assertEqual(set(self.sums()), {"a"})

    def test_so_many_per_call(self):
        q = self.q
        for i in range(50):
            self.run_one(f"j{i}", 30000)
        q.configure(recordings_mb=0)
        self.run_one("more", 30000)
        self.assertEqual(len(self.sums()), 31)
        self.run_one("more2", 30000)
        self.run_one("more3", 30000)
        self.assertEqual(self.sums(), {})


    def test_of_which_nothing_says_how_large_they_are(self):
        """They are in no other's way."""
        q = self.q
        self.run_one("a", 20000)
        for name in ("recordings", "recordings_until"):
            store.zadd(q.key(name), {f"nobody{i}": 1 for i in range(30)})
        q.configure(recordings_mb=0)
        for _ in range(2):
            q.call("tend", LEASE_MS)
        self.assertEqual((q.keys("recordings"), store.get(q.key("recordings_bytes"))), (["recordings_bytes"], b"0"))

    def test_where_there_is_no_result_not_all_is_looked_through(self):
        q = self.q
        self.run_one("a")
        store.delete(q.key("frames:", "a"))
        pipe = store.pipeline(transaction=False)
        for _ in range(10000):
            pipe.xadd(q.key("frames:", "a"), {"k": "slice", "a": 1, "d": "x"})
        pipe.execute()
        q.configure(recordings_mb=0)
        commands(lambda: self.run_one("b"))
        self.assertLess(store.info("commandstats")["cmdstat_xrevrange"]["calls"], 20)
        self.assertEqual((len(q.entries("a")), self.sums()), (0, {}))


class Memory(Test):
    """Recordings of jobs that are final give way to new ones, when Redis's memory is nearly used up."""

    MB = 1 << 20
    run_one = Recordings.run_one

    def setUp(self):
        super().setUp()
        self.addCleanup(store.config_set, "maxmemory", store.config_get("maxmemory")["maxmemory"])

    def bound(self, size):
        store.config_set("maxmemory", int(size))

    def run_many(self, number, size):
        for i in range(number):
            self.run_one(f"j{i}", size)

    def kept(self):
        return int(store.get(self.q.key("recordings_bytes")) or 0)

    def tend(self):
        """Until there is nothing more to be done, and how often it was called."""
        for number in range(1, 1000):
            if self.q.call("tend", LEASE_MS) != ["idle_ms", "1"]:
                return number
        raise AssertionError("it goes on")

    def test_to_those_that_end(self):
        """None of them finds no room for its output, and none loses it that ended of late."""
        self.bound(used_memory() + 16 * self.MB)
        self.run_many(60, self.MB)
        self.assertEqual(len(self.q.entries("j0")), 1)
        self.assertIn("recording_cut", self.q.job("j0"))
        self.check_final("j0", "done", "ok")
        for i in range(55, 60):
            self.assertEqual(len(self.q.entries(f"j{i}")), 3, i)

    def test_while_nothing_ends(self):
        """So many per call, the next one at once, and no more than it takes."""
        self.run_many(200, 40000)
        before, maximum = self.kept(), used_memory() / 0.92
        self.bound(maximum)
        self.assertEqual(self.q.call("tend", LEASE_MS), ["idle_ms", "1"])
        self.assertEqual(store.hlen(self.q.key("recordings_size")), 180)
        self.assertGreater(self.tend(), 1)
        self.assertLess(used_memory(), maximum * 0.76)
        self.assertGreater(self.kept(), before / 2)
        self.assertEqual((len(self.q.entries("j0")), len(self.q.entries("j199"))), (1, 3))
        self.assertEqual(self.tend(), 1)

    def test_others_do_not_take_all_from_them(self):
        """Where it is others who use it up; until there is hardly any left."""
        store.set("others", bytes(50 * self.MB))
        self.run_many(50, 40000)
        before = self.kept()
        for share, kept in (0.90, before), (0.99, 0):
            self.bound(used_memory() / share)
            self.tend()
            self.assertEqual(self.kept(), kept)

    def test_without_a_bound_they_stay(self):
        self.bound(0)
        self.run_many(5, 40000)
        self.assertEqual(self.tend(), 1)
        self.assertEqual(store.hlen(self.q.key("recordings_size")), 5)

    def test_to_an_upload_that_was_refused(self):
        """Before a dead letter does."""
        q = self.q
        q.bury("letter")
        self.run_many(20, 400000)
        self.bound(used_memory() + self.MB)
        with self.assertRaisesRegex(redis.ResponseError, "OOM|command not allowed"):
            q.upload(bytes(3 * self.MB))
        self.assertEqual(q.call("enqueue", "a", "upload", str(q.uploads)), "full memory 1000")
        self.assertEqual(q.enqueue("a", bytes(3 * self.MB)), "queued 0")
        self.assertEqual(q.keys("zip:"), ["zip:a", "zip:letter"])

    def test_to_large_fields(self):
        q = self.q
        q.bury("letter")
        self.run_many(20, 400000)
        self.bound(used_memory() + self.MB)
        self.assertEqual(q.enqueue("a", stdin="x" * self.MB), "full memory 1000")
        self.assertEqual(q.enqueue("a", stdin="x" * self.MB), "queued 0")
        self.assertEqual(q.keys("zip:"), ["zip:a", "zip:letter"])


class Malformed(Test):
    """Whatever somebody did to a job's keys, a claim ends it, says why, and goes on with the next."""

    def damage(self, how, reason=None, job="a"):
        """`job`: what it is called afterwards."""
        q = self.q
        self.begin_anew()
        q.enqueue("a", tenant="t")
        q.enqueue("good", tenant="t")
        how(q)
        self.assertEqual(q.claim()["id"], "good")
        self.assertIsNone(q.claim())
        result = self.check_final(job, "dead", "fault")
        self.assertEqual(result["exit_code"], 99)
        self.assertIn(reason, result["detail"])
        self.assertEqual(store.hgetall(q.key("topen")), {b"t": b"1"})
        self.assertEqual(store.hgetall(q.key("tact")), {b"t": b"1"})
        self.assertEqual(int(store.get(q.key("bytes")) or 0), 3 * len(q.keys("zip:")))

    def test_fields(self):
        rows = [
            ("tenant", "a b", "its field tenant takes a name"),
            ("tenant", "", "its field tenant takes"),
            ("tenant", "other", "not the one it has waited with"),
            ("tenant", None, "its field tenant is missing"),
            ("priority", "urgent", "its field priority takes one of"),
            ("priority", "batch", "not the one it has waited with"),
            ("priority", None, "its field priority is missing"),
            ("cpu_ms", "a lot", "its field cpu_ms takes a whole number from 10 to 600000"),
            ("wall_ms", "1e99", "its field wall_ms takes"),
            ("keep_s", "-1", "its field keep_s takes"),
            ("max_wait_s", "nan", "its field max_wait_s takes"),
            ("delay_ms", "", "its field delay_ms takes"),
            ("queued_ms", "x", "its field queued_ms takes a whole number up to 999999999999999"),
            ("enqueued_ms", "1e3", "its field enqueued_ms takes a whole number"),
            ("entry", "x" * 300, "its field entry takes"),
            ("stdin", b"x" * 2000000, "its field stdin takes"),
            ("no_such\r\n", "x", "there is no field no_such??"),
        ]
        for name, value, reason in rows:
            with self.subTest(name=name, value=str(value)[:20]):
                if value is None:
                    self.damage(lambda q: store.hdel(q.key("job:", "a"), name), reason)
                else:
                    self.damage(lambda q: store.hset(q.key("job:", "a"), name, value), reason)

    def test_since_when_it_waits_is_not_known(self):
        """Then it has not waited: no figure says that it has since 1970."""
        q = self.q
        q.enqueue("a")
        for damage in (lambda: store.hset(q.key("job:", "a"), "queued_ms", "x"), lambda: store.hdel(q.key("job:", "a"), "queued_ms", "enqueued_ms")):
            damage()
            self.assertEqual(q.call("depth")[:3], [1, 0, 0])
        self.assertEqual(q.claim()["queue_ms"], "0")

    def test_fields_that_do_not_go_together(self):
        """What an enqueue refuses, too, in the same words."""
        words = "encoding: json goes with trace off or calls"
        for trace in "lines", "steps":
            together = {"encoding": "json", "trace": trace}
            self.refuse("BADFIELD " + words, "other", **together)
            self.damage(lambda q: store.hset(q.key("job:", "a"), mapping=together), "its field " + words)

    def test_ids_that_are_none(self):
        """No enqueue takes one: somebody has written it to Redis himself. What relays are to say of it is cut."""
        q = self.q
        for job in ("", " ", "a b", "a/b", "l\nf", "k\0z", "ü", "x" * 65, "x" * 100000):
            def rename(q):
                for name in ("job:", "zip:"):
                    store.rename(q.key(name, "a"), q.key(name, job))
                for name in ("open", "waits", "line1:t"):
                    store.zadd(q.key(name), {job: store.zscore(q.key(name), "a")})
                    store.zrem(q.key(name), "a")

            with self.subTest(job[:70]):
                self.damage(rename, "it cannot be run: its id is none: it takes 1 to 64 letters, digits, _ and -", job)
                told = q.call("tend", LEASE_MS, "untold")[-1]
                self.assertEqual(told[:5], [QUEUE, text(job.encode()[:256]), "0", "fault", "t"])

    def test_no_tenant(self):
        """He is told of by a name all the same: with none it would be a number of jobs."""
        q = self.q
        store.zadd(q.key("line1:"), {"": 0})
        store.zadd(q.key("turns1"), {"": 0})
        store.zadd(q.key("turns"), {"1": 0})
        self.assertIsNone(q.claim())
        self.assertEqual(q.call("tend", LEASE_MS, "untold")[-1][:5], [QUEUE, "", "0", "fault", "?"])

    def test_numbers_of_the_queue_itself(self):
        for name in ("attempt", "lost"):
            self.damage(lambda q: store.hset(q.key("job:", "a"), name, "5000000000"), f"its field {name} takes")

    def test_bytes_that_cannot_be(self):
        """They are no reason to refuse others: neither while it waits, nor when it is a dead letter."""
        for value in ("999999999999999", "9" * 40, "1e400", "-1", "", "x"):
            with self.subTest(value):
                self.damage(lambda q: store.hset(q.key("job:", "a"), "bytes", value), "its field bytes takes a whole number up to 5")
        q = self.q
        store.flushall()
        self.addCleanup(load_library)
        load_library(0)
        for job in ("later", "dead"):
            q.enqueue(job, b"12345", delay_ms="600000" if job == "later" else "0")
        q.call("lost", "dead", q.claim(most=1)["token"], "x")
        for job, name in (("later", "bytes"), ("dead", "held")):
            store.hset(q.key("job:", job), name, "999999999999999")
        for _ in range(3):
            q.claim()
        self.assertEqual(int(store.get(q.key("bytes")) or 0), 0)
        self.assertEqual(q.enqueue("new", b"12345"), "queued 0")
        self.assertEqual((q.call("cancel", "later"), q.call("dead_drop", "dead")), ("cancelled", 1))
        self.assertEqual(int(store.get(q.key("bytes"))), 5, "of others nothing is taken away")

    def test_live_input_that_is_none(self):
        def how(q):
            store.hset(q.key("job:", "a"), "live_input", "1")
            store.lpush(q.key("in:", "a"), "x")

        self.damage(how, "what stands in the place of its input is a list")

    def test_a_program_that_has_grown(self):
        q = self.q
        q.enqueue("a", tenant="t")
        store.append(q.key("zip:", "a"), "x")
        self.assertIsNone(q.claim())
        self.assertIn("its ZIP has grown to 4 bytes", self.check_final("a", "dead", "fault")["detail"])

    def test_what_is_gone_is_counted_no_more(self):
        q = self.q
        for end in (lambda: q.call("dead_drop", "a"), lambda: None):
            store.flushall()
            q.enqueue("a", bytes(5000), tenant="t")
            store.delete(q.key("job:", "a"))
            q.make_due("waits", "a")
            self.assertIsNone(q.claim())
            self.assertIsNone(q.claim())
            self.assertEqual(store.hgetall(q.key("topen")), {})
            end()
            self.assertEqual(int(store.get(q.key("bytes")) or 0), store.strlen(q.key("zip:", "a")))

    def test_keys(self):
        def replace(key, make):
            def how(q):
                store.delete(q.key(key, "a"))
                make(q.key(key, "a"))
            return how

        text_there, list_there = lambda key: store.set(key, "x"), lambda key: store.lpush(key, "x")
        for key, make, reason in (("zip:", lambda key: None, "its ZIP is missing"),
                                  ("zip:", list_there, "what stands in the place of its ZIP is a list"),
                                  ("job:", text_there, "what stands in its place is not a job"),
                                  ("job:", lambda key: store.hset(key, "tenant", "t"), "its field priority is missing")):
            with self.subTest(reason):
                self.damage(replace(key, make), reason)

    def test_what_is_only_in_line(self):
        q = self.q
        q.enqueue("good")
        for line in ("line1:default", "line0:nobody"):
            store.zadd(q.key(line), {"ghost-" + line[4]: -5})
        store.zadd(q.key("turns"), {"0": 0})
        store.zadd(q.key("turns0"), {"nobody": 0})
        self.assertEqual(q.order(1), ["good"])
        self.assertIsNone(q.claim())
        for line in "01":
            self.assertIn("its fields are gone", self.check_final("ghost-" + line, "dead", "fault")["detail"])

    def test_what_is_in_line_and_does_not_wait(self):
        q = self.q
        for name in ("done", "running", "queued"):
            q.enqueue(name)
        q.finish(q.claim())
        job = q.claim()
        store.zadd(q.key("line1:default"), {"done": -2, "running": -1})
        self.assertEqual(q.claim()["id"], "queued")
        self.assertIsNone(q.claim())
        self.assertEqual(q.finish(job), "done")
        self.check_final("done", "done", "ok")
        self.check_final("running", "done", "ok")

    def test_a_line_that_is_none(self):
        q = self.q
        q.enqueue("a")
        q.enqueue("b", tenant="t")
        store.delete(q.key("line1:default"))
        store.set(q.key("line1:default"), "x")
        self.assertEqual(q.claim()["id"], "b")
        self.assertIsNone(q.claim())
        q.make_due("waits", "a")
        self.assertIsNone(q.claim())
        self.check_final("a", "expired", "expired")

    def test_a_stream_that_is_none(self):
        q = self.q
        q.enqueue("a")
        store.set(q.key("frames:", "a"), "x")
        job = q.claim()
        self.assertEqual(len(q.entries("a", "state")), 1)
        store.delete(q.key("frames:", "a"))
        store.xadd(q.key("frames:", "a"), {"k": "x"}, id="18446744073709551615-18446744073709551615")
        self.assertEqual(q.finish(job), "done")
        self.check_final("a", "done", "ok")

    def test_counters(self):
        q = self.q
        q.enqueue("a"), q.enqueue("b")
        store.set(q.key("bytes"), "x")
        for key in ("topen", "tact"):
            store.hset(q.key(key), "default", "x")
        self.assertEqual(q.order(2), ["a", "b"])
        self.assertEqual((store.get(q.key("bytes")), q.keys("topen"), q.keys("tact")), (b"0", [], []))

    def test_a_recording_that_is_to_be_cut(self):
        q = self.q
        for job, key in (("a", "frames:"), ("b", "job:"), ("c", "frames:")):
            q.enqueue(job)
            claimed = q.claim()
            q.record(job, 10000)
            q.finish(claimed)
            store.delete(q.key(key, job))
            store.set(q.key(key, job), "x")
        q.configure(recordings_mb=0)
        q.enqueue("d")
        claimed = q.claim()
        q.record("d", 10000)
        self.assertEqual(q.finish(claimed), "done")
        self.assertEqual(store.hlen(q.key("recordings_size")), 0)

    def test_an_acl_that_is_too_narrow_repairs_nothing(self):
        q = self.q
        q.enqueue("a")
        try:
            store.execute_command("ACL", "SETUSER", "narrow", "on", "nopass", "~*", "+@all", "-hmget", "-hgetall", "-xadd")
            with redis.Redis(unix_socket_path=os.path.join(folder, "redis.sock"), username="narrow", password="x") as narrow:
                for function, *words in (("claim", "w1", 1000, 3), ("cancel", "a"), ("dead_requeue", "a")):
                    try:
                        narrow.execute_command("FCALL", "paddock_" + function, 1, q.key("open"), *words)
                    except redis.ResponseError:
                        pass
        finally:
            store.execute_command("ACL", "DELUSER", "narrow")
        self.assertEqual(q.state("a"), "queued")

    def test_in_every_state_time_still_passes(self):
        """Random damage to random jobs; then their leases, waits and delays end, and no call fails."""
        load_library(0)
        self.addCleanup(load_library)
        for seed in range(20):
            store.flushall()
            q, choose = Queue(), random.Random(seed)
            for i in range(30):
                q.enqueue(f"j{i}", tenant=choose.choice("ab"), delay_ms=choose.choice(["0", "5000"]))
            for _ in range(8):
                q.claim(most=2)
            for i in range(30):
                job, key = f"j{i}", q.key(choose.choice(["job:", "zip:", "frames:", "in:", "ctl:"]), f"j{i}")
                action = choose.randrange(4)
                if action == 0:
                    store.delete(key)
                elif action == 1:
                    store.delete(key)
                    choose.choice([lambda: store.set(key, "x"), lambda: store.lpush(key, "x"),
                                   lambda: store.zadd(key, {"x": 1}), lambda: store.hset(key, "x", "y")])()
                elif action == 2:
                    names = ["tenant", "priority", "attempt", "lost", "bytes", "keep_s", "max_wait_s", "wall_ms",
                             "max_deliveries", "enqueued_ms", "queued_ms", "lease_ms", "meta", "state", "token"]
                    if store.type(q.key("job:", job)) == b"hash":
                        store.hset(q.key("job:", job), choose.choice(names),
                                   choose.choice(["", "-1", "x", "1e999", "9" * 40, b"\xff\0{}"]))
            for _ in range(60):
                for name in ("lease", "waits", "delayed"):
                    for job in store.zrange(q.key(name), 0, -1):
                        if choose.random() < 0.3:
                            q.make_due(name, text(job))
                q.claim(most=2)
            self.assertEqual([store.zcard(q.key(name)) for name in ("lease", "waits", "delayed")], [0, 0, 0], seed)
            self.assertEqual(store.zcard(q.key("open")), 0, seed)
            self.assertEqual(q.keys("line"), [], seed)


    def test_what_is_too_long_for_a_result(self):
        """It is no part of it: nobody has to wait until it is made JSON, or could not be."""
        self.damage(lambda q: store.hset(q.key("job:", "a"), "meta", b"\xff" * (1 << 20)), "its field meta takes")
        self.assertNotIn("meta", self.q.result("a"))
        self.assertLess(store.memory_usage(self.q.key("frames:", "a")), 10000)


class MalformedAndAudited(Malformed):
    """An audit at each claim comes to the same."""

    def setUp(self):
        super().setUp()
        load_library(0)
        self.addCleanup(load_library)


    def test_a_line_that_is_none(self):
        """But for this: nobody waits in vain."""
        q = self.q
        q.enqueue("a")
        store.delete(q.key("line1:default"))
        store.set(q.key("line1:default"), "x")
        self.assertEqual(q.order(1), ["a"])


class Rarely(Test):
    """What few calls of a kind meet, so that it is seen of each kind that its user may do it."""

    def test_cancel_of_what_is_none(self):
        store.set(self.q.key("job:", "a"), "x")
        self.assertEqual(self.q.call("cancel", "a"), "unknown")
        self.assertEqual(self.q.keys(), [])

    def test_cancel_with_damaged_counters(self):
        q = self.q
        q.enqueue("a")
        store.delete(q.key("bytes"))
        self.assertEqual(q.call("cancel", "a"), "cancelled")
        self.assertEqual(store.get(q.key("bytes")), b"0")

    def test_cancel_with_a_count_that_is_none(self):
        q = self.q
        q.enqueue("a")
        store.delete(q.key("topen"))
        store.set(q.key("topen"), "x")
        self.assertEqual(q.call("cancel", "a"), "cancelled")
        self.check_final("a", "cancelled", "cancelled")

    def test_dead_letters_with_keys_that_are_none(self):
        q = self.q
        q.bury("a")
        for name in ("topen", "line1:default"):
            store.delete(q.key(name))
            store.set(q.key(name), "x")
        self.assertEqual(q.call("dead_requeue", "a"), "queued 0")
        self.assertEqual(q.order(1), ["a"])

    def test_enqueue_beside_one_whose_fields_are_gone(self):
        q = self.q
        q.enqueue("a", tenant="t")
        store.delete(q.key("job:", "a"))
        q.make_due("waits", "a")
        store.zadd(q.key("waits"), {"nobody": 1})
        q.enqueue("b")
        self.assertEqual(q.order(1), ["b"])
        self.assertIsNone(q.claim())
        self.check_final("a", "dead", "fault")

    def test_dead_letters_with_damaged_counters(self):
        q = self.q
        for drop in (True, False):
            q.bury("a")
            store.set(q.key("bytes"), "-9")
            q.call("dead_drop", "a")
            self.assertEqual(store.get(q.key("bytes")), b"0")
            store.flushall()

    def test_cancel_with_a_stream_that_is_none(self):
        q = self.q
        q.enqueue("a")
        store.set(q.key("frames:", "a"), "x")
        self.assertEqual(q.call("cancel", "a"), "cancelled")
        self.check_final("a", "cancelled", "cancelled")

    def recorded(self, job, size=100000, **fields):
        """It was lost once, has a recording and waits again."""
        self.q.enqueue(job, **fields)
        claimed = self.q.claim()
        self.q.record(job, size)
        self.assertEqual(self.q.call("lost", job, claimed["token"], "x"), "queued")

    def test_cancel_cuts_recordings(self):
        """Its own, which had counted under an id that was used before, and of others."""
        q = self.q
        for job in ("other", "a"):
            q.enqueue(job)
            claimed = q.claim()
            q.record(job, 100000)
            q.finish(claimed)
        store.delete(q.key("frames:", "a"), q.key("job:", "a"))
        self.recorded("a")
        q.configure(recordings_mb=0)
        self.assertEqual(q.call("cancel", "a"), "cancelled")
        self.assertEqual((len(q.entries("a")), len(q.entries("other"))), (1, 1))
        self.assertEqual(store.hlen(q.key("recordings_size")), 0)

    def test_cancel_forgets_what_has_expired(self):
        q = self.q
        q.enqueue("a")
        claimed = q.claim()
        q.record("a", 100000)
        q.finish(claimed)
        self.recorded("b")
        store.zadd(q.key("recordings_until"), {"a": 1})
        q.call("cancel", "b")
        self.assertEqual(store.hkeys(q.key("recordings_size")), [b"b"])

    def test_cancel_forgets_who_was_served_long_ago(self):
        q = self.q
        for tenant in "ab":
            q.enqueue(tenant, tenant=tenant)
        store.hset(q.key("kept"), "turns1", 5)
        store.zadd(q.key("turns_had1"), {"old": 4, "young": 6})
        q.call("cancel", "a")
        self.assertEqual(store.zrange(q.key("turns_had1"), 0, -1), [b"young"])
        q.call("cancel", "b")
        self.assertEqual(store.exists(q.key("turns_had1")), 0)

    def test_wake_ups_of_dead_letters(self):
        q = self.q
        q.bury()
        store.lpush(q.key("wake"), *"1" * 64)
        self.assertRegex(q.call("dead_requeue", "a"), "^queued")
        self.assertEqual(store.llen(q.key("wake")), 64)

    def test_dead_letters_that_are_none(self):
        q = self.q
        for function in ("dead_drop", "dead_requeue"):
            q.bury()
            store.delete(q.key("job:", "a"))
            store.set(q.key("job:", "a"), "x")
            q.call(function, "a")
            store.flushall()

    def test_dead_letters_with_a_damaged_count_of_their_tenant(self):
        q = self.q
        q.bury()
        store.hset(q.key("topen"), "default", -5)
        self.assertRegex(q.call("dead_requeue", "a"), "^queued")

    def test_a_cap_that_was_raised_too_little(self):
        q = self.q
        for i in range(6):
            q.enqueue(f"j{i}", tenant="t")
        for _ in range(4):
            q.claim()
        q.configure(max_tenant_running=2)
        self.assertIsNone(q.claim())
        self.assertEqual(store.zscore(q.key("capped"), "t"), 2)
        q.configure(max_tenant_running=3)
        self.assertIsNone(q.claim())
        self.assertEqual(store.zscore(q.key("capped"), "t"), 3)


class Flat(Test):
    """What one job costs, in commands, is the same for the first and the last of many."""

    def cost(self):
        q = self.q
        store.lpush(q.key("wake"), *"1" * 64)
        enqueue = commands(lambda: q.enqueue("x", tenant="t0"))
        run = []
        for _ in range(5):
            run.append(commands(lambda: q.finish(q.claim())))
        return enqueue, max(run)

    def test_however_many_jobs_and_tenants(self):
        q = self.q
        for few, many in ((1, 1), (2, 500)):
            costs = []
            for jobs, tenants in ((10, few), (3000, many)):
                self.begin_anew()
                for i in range(jobs):
                    q.enqueue(f"j{i}", tenant=f"t{i % tenants}")
                costs.append(self.cost())
            self.assertEqual(costs[0], costs[1], (few, many))

    def test_a_claim_costs_so_many_commands_at_most(self):
        q = self.q
        for i in range(10):
            q.enqueue(f"j{i}")
        q.finish(q.claim())
        self.assertLess(commands(q.claim), 45)


class Versions(Test):
    """The library of the version before has left jobs behind, and its relays and clients go on calling."""

    def setUp(self):
        super().setUp()
        self.load("library_4.lua")

    def tearDown(self):
        self.load()

    def load(self, name=None):
        if name is None:
            load_library()
        else:
            with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), encoding="utf-8") as file:
                store.function_load(file.read(), replace=True)
        Queue.current = name is None

    def test_what_waits_runs(self):
        q = self.q
        for i in range(9):
            q.enqueue(f"j{i}", tenant="ab"[i % 2], priority=["interactive", "normal", "batch"][i % 3])
        q.enqueue("later", delay_ms="9999999")
        running = q.claim()
        q.call("cancel", "j3")
        self.load()
        q.enqueue("new", tenant="a")
        self.assertEqual(q.call("cancel", "j4"), "cancelled")
        self.assertEqual(q.finish(running), "done")
        q.make_due("delayed", "later")
        served = []
        while job := q.claim():
            served.append(job["id"])
            q.finish(job)
        self.assertEqual(sorted(served), sorted(["j1", "j2", "j5", "j6", "j7", "j8", "later", "new"]))
        self.assertEqual([key for key in q.keys() if re.match(r"t\d:|rr\d|line|turns|later", key)], [])
        self.assertEqual((store.get(q.key("bytes")), store.hgetall(q.key("topen"))), (b"0", {}))

    def test_many_that_wait(self):
        q = self.q
        for i in range(1200):
            q.enqueue(f"j{i}")
        self.load()
        self.assertEqual(q.order(1200), [f"j{i}" for i in range(1200)])
        self.assertIsNone(q.claim())

    def test_what_the_old_one_has_begun_or_ended_is_not_replaced(self):
        """Jobs that wait for ours, while its library is loaded once more."""
        q = self.q
        self.load()
        for job in ("runs", "ends"):
            q.enqueue(job, tenant="t", delay_ms="5000")
        q.enqueue("cancelled", tenant="t")
        self.assertTrue(0 < store.ttl(q.key("later:t")) <= 5 + DAY_S)
        self.load("library_4.lua")
        self.assertEqual(q.call("cancel", "cancelled"), "cancelled")
        q.end_delays()
        jobs = [q.claim(), q.claim()]
        self.assertEqual({job["id"] for job in jobs}, {"runs", "ends"})
        q.finish(jobs[1])
        self.load()
        self.assertEqual(q.enqueue("new", tenant="t", replace="1"), "queued 0")
        self.assertEqual(q.finish(jobs[0]), "done")
        for job, state in (("runs", "done"), ("ends", "done"), ("cancelled", "cancelled")):
            self.assertEqual((q.state(job), q.result(job)["state"]), (state, state))
        self.assertEqual((q.keys("later"), q.order(1)), ([], ["new"]))

    def test_dead_letters_without_a_program(self):
        q = self.q
        self.assertEqual(q.bury("a"), "dead")
        self.load()
        self.assertEqual([row[0] for row in q.call("dead")], ["a"])
        self.assertEqual(q.call("dead_requeue", "a"), "gone")
        self.assertEqual(q.call("dead_drop", "a"), 1)
        self.assertEqual(store.get(q.key("bytes")), b"0")

    def test_given_back_by_either(self):
        q = self.q
        for i in range(4):
            q.enqueue(f"j{i}")
        first = q.claim()
        q.call("requeue", q.claim()["id"], "stale")
        self.load()
        self.assertEqual(q.call("requeue", first["id"], first["token"]), "queued")
        self.assertEqual(sorted(q.order(3)), ["j0", "j2", "j3"])

    def test_random_jobs_of_the_version_before(self):
        for seed in range(6):
            store.flushall()
            self.load("library_4.lua")
            model = Model(self, seed)
            model.begin_before(80)
            self.load()
            while any(re.match(r"rr\d", key) for key in model.q.keys()):
                model.q.call("pause")
                model.claim()
            model.q.call("resume")
            model.adopt()
            for _ in range(60):
                model.random.choice(model.steps)()
                model.check()
            model.drain()


class Model:
    """What the library does, at random, and what must then be true."""

    TENANTS = ["t1", "t2", "t3"]
    CLASSES = ["interactive", "normal", "batch"]

    def __init__(self, test, seed):
        self.test, self.q, self.random = test, Queue(), random.Random(seed)
        self.attempts = []  # every claim there ever was, stale ones too
        self.ids = 0
        self.final = {}  # id: (state, result) as first seen
        self.cap = 0
        self.old_delayed = set()  # what a version without later:TENANT has put off
        self.old = set()  # its jobs: their hashes do not expire before they have run
        self.steps = [self.enqueue] * 6 + [self.claim] * 8 + [self.finish] * 4 + [
            self.beat, self.lost, self.lost, self.requeue, self.cancel, self.cancel, self.recover, self.input,
            self.tend, self.tend, self.lease_ends, self.wait_ends, self.delay_ends, self.delay_ends, self.duplicate, self.pause,
            self.replace, self.set_cap, self.set_weights, self.record, self.share, self.recording_expires,
            self.dead_requeue, self.dead_drop, self.letter_ends, self.clock_jumps]

    def some(self, name):
        members = store.zrange(self.q.key(name), 0, -1)
        return text(self.random.choice(members)) if members else None

    def begin_before(self, steps):
        """Steps that the version before knows, unchecked."""
        known = [self.enqueue] * 6 + [self.claim] * 6 + [self.finish] * 3 + [
            self.beat, self.requeue, self.cancel, self.recover, self.input, self.lease_ends, self.wait_ends,
            self.delay_ends]
        for _ in range(steps):
            self.random.choice(known)()

    def adopt(self):
        """What that version had put off is not found by replace=1; what it buried has no program."""
        self.old_delayed = self.members("delayed")
        self.old = self.members("open")
        self.q.call("dead_drop", "*")

    def enqueue(self, **fields):
        self.ids += 1
        self.q.enqueue(f"j{self.ids}", bytes(self.random.randrange(100)), tenant=self.random.choice(self.TENANTS),
                       priority=self.random.choice(self.CLASSES), delay_ms=self.random.choice(["0", "0", "5000", "999999"]),
                       live_input=self.random.choice(["0", "1"]), max_wait_s=self.random.choice(["5", "600", "9999"]),
                       keep_s=self.random.choice(["60", "3600"]), **fields)

    def replace(self):
        running = self.members("lease")
        self.enqueue(replace="1")
        new = f"j{self.ids}"
        tenant = text(self.q.job(new)["tenant"])
        left = {job for job in self.members("waits") - self.old_delayed if text(self.q.job(job)["tenant"]) == tenant}
        self.test.assertEqual(left, {new})
        self.test.assertEqual(self.members("lease"), running)

    def set_cap(self):
        self.cap = self.random.choice([0, 1, 2, 3])
        self.q.configure(max_tenant_running=self.cap)

    def set_weights(self):
        store.hset(self.q.key("weights"), self.random.choice(self.TENANTS), self.random.choice([1, 2, 50]))

    def record(self):
        if (job := self.some("lease")) is not None:
            self.q.record(job, self.random.choice([10, 7000, 200000]))

    def share(self):
        self.q.configure(recordings_mb=self.random.choice([0, 1, 1, 100]))

    def recording_expires(self):
        if (job := self.some("recordings_until")) is not None:
            store.zadd(self.q.key("recordings_until"), {job: 1})

    def dead_requeue(self):
        if (job := self.some("dead")) is not None:
            self.test.assertRegex(self.q.call("dead_requeue", job), "^queued")
            del self.final[job]

    def dead_drop(self):
        if self.random.random() < 0.3 and (job := self.some("dead")) is not None:
            self.q.call("dead_drop", job)

    def letter_ends(self):
        if self.random.random() < 0.3:
            self.ends("dead")

    def duplicate(self):
        if self.ids:
            job = f"j{self.random.randint(1, self.ids)}"
            known = self.q.state(job)
            answer = self.q.enqueue(job, b"other")
            if known is None:  # its result was kept no longer: it is a new one
                del self.final[job]
            self.test.assertRegex(answer, f"^duplicate {known}$" if known else "^queued")

    def claim(self):
        job = self.q.claim(owner=self.random.choice(["w1", "w2"]), most=self.random.choice([2, 2, 4]))
        if job:
            self.attempts.append(job)
            active = int(store.hget(self.q.key("tact"), job["tenant"]))
            self.test.assertTrue(self.cap == 0 or active <= self.cap, "within the cap")
        elif not store.exists(self.q.key("paused")):
            for key in self.q.keys("line"):
                active = int(store.hget(self.q.key("tact"), key.split(":")[1]) or 0)
                self.test.assertTrue(0 < self.cap <= active, f"{key} is left waiting")

    def tend(self):
        """Whoever was due is in line."""
        self.q.call("tend", LEASE_MS)
        self.test.assertEqual(store.zcount(self.q.key("delayed"), "-inf", now_ms() - 1000), 0)

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

    def clock_jumps(self):
        """All that stands somewhere until a time is nearer to it, and so is what Redis itself ends."""
        by = self.random.choice([500, 30000, 700000])
        times = ["lease", "waits", "delayed", "dead", "recordings_until", *self.q.keys("later:")]
        for key in map(self.q.key, times):
            for member, score in store.zrange(key, 0, -1, withscores=True):
                store.zadd(key, {member: score - by})
        for key in [key for name in ("job:", "frames:", "zip:", "audited") for key in self.q.keys(name)]:
            left = store.pttl(self.q.key(key))
            if left > 0:
                store.pexpire(self.q.key(key), max(left - by, 0))

    def pause(self):
        self.q.call("pause" if self.random.random() < 0.3 else "resume")

    def members(self, name):
        return {text(m) for m in store.zrange(self.q.key(name), 0, -1)}

    def check(self):
        test, q = self.test, self.q
        jobs = {f"j{i}": q.job(f"j{i}") for i in range(1, self.ids + 1)}
        gone = {job for job, fields in jobs.items() if not fields}
        test.assertLessEqual(gone, set(self.final), "nothing is forgotten that has not ended")
        ever = set(jobs)
        jobs = {job: fields for job, fields in jobs.items() if fields}
        states = {job: text(fields["state"]) for job, fields in jobs.items()}
        by_state = lambda *wanted: {job for job, state in states.items() if state in wanted}
        alive, running, queued = by_state("queued", "running"), by_state("running"), by_state("queued")
        in_line = [text(m) for key in q.keys("line") for m in store.zrange(q.key(key), 0, -1)]
        delayed = self.members("delayed")
        test.assertEqual(set(states.values()) - FINAL - {"queued", "running"}, set())
        test.assertEqual(self.members("open"), alive)
        test.assertEqual(self.members("lease"), running)
        test.assertEqual(self.members("waits"), queued)
        test.assertEqual(sorted(in_line + list(delayed)), sorted(queued), "each queued job stands in one place")
        dead = self.members("dead")
        test.assertLessEqual(dead, by_state("dead"))
        kept = alive | dead
        test.assertEqual({key[4:] for key in q.keys("zip:")}, kept)
        test.assertLessEqual({key[3:] for key in q.keys("in:")}, {j for j in kept if jobs[j]["live_input"] == b"1"})
        test.assertEqual(int(store.get(q.key("bytes")) or 0), sum(int(jobs[job]["bytes"]) for job in kept))
        later = {text(m) for key in q.keys("later:") for m in store.zrange(q.key(key), 0, -1)}
        test.assertLessEqual(delayed - self.old_delayed, later)
        test.assertLessEqual(later, delayed)
        self.check_turns()
        self.check_recordings(ever - alive, dead)
        self.check_tenants()
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
            if state in FINAL:
                for key in ("job:", "frames:"):
                    test.assertGreater(store.ttl(q.key(key, job)), 86400 if job in dead else 0, key + job)
            elif job not in self.old:
                test.assertLess(600, store.ttl(q.key("zip:", job)), job)
                test.assertLess(store.pttl(q.key("zip:", job)), store.pttl(q.key("job:", job)), job)

    def check_tenants(self):
        """What is told of each tenant, those with none left out."""
        expected = {text(tenant): [0, int(number)] for tenant, number in store.hgetall(self.q.key("tact")).items()}
        for key in self.q.keys("line"):
            expected.setdefault(key.split(":")[1], [0, 0])[0] += store.zcard(self.q.key(key))
        self.test.assertEqual({row[0]: row[1:] for row in self.q.call("tenants")}, expected)

    def check_turns(self):
        """Whoever has jobs in line is in the round, or at its cap, and nobody else is; of whoever is in a round the class has
        turns, and where there is none nobody is remembered."""
        capped, classes, rounds = self.members("capped"), self.members("turns"), {"0": set(), "1": set(), "2": set()}
        for key in self.q.keys("line"):
            class_, tenant = key[4:].split(":")
            rounds[class_].add(tenant)
        for class_, tenants in rounds.items():
            waiting, had = self.members("turns" + class_), self.members("turns_had" + class_)
            self.test.assertEqual(waiting | tenants & capped, tenants, class_)
            self.test.assertTrue(class_ in classes or not waiting, class_)
            self.test.assertEqual(had & waiting, set(), class_)
            self.test.assertTrue(waiting or tenants & capped or not had, class_)
        self.test.assertLessEqual(capped, {text(k) for k in store.hkeys(self.q.key("tact"))}, "each runs something")

    def check_recordings(self, final, dead):
        q, test = self.q, self.test
        sizes = {text(k): int(v) for k, v in store.hgetall(q.key("recordings_size")).items()}
        test.assertEqual(int(store.get(q.key("recordings_bytes")) or 0), sum(sizes.values()))
        test.assertEqual(self.members("recordings"), set(sizes))
        test.assertEqual(self.members("recordings_until"), set(sizes) - dead)
        over = {text(job) for job in store.zrangebyscore(q.key("recordings_until"), "-inf", now_ms())}
        test.assertLessEqual(set(sizes) - over, final)

    def drain(self):
        """Whatever happened, all that is left can be run."""
        self.q.call("resume")
        self.q.configure(max_tenant_running=0)
        self.cap = 0
        while (job := self.some("lease")) is not None:
            self.q.call("recover", "w1"), self.q.call("recover", "w2")
        while (job := self.some("delayed")) is not None:
            self.q.make_due("delayed", job)
            if claimed := self.q.claim():
                self.q.finish(claimed)
        self.q.call("dead_drop", "*")
        while claimed := self.q.claim():
            self.q.finish(claimed)
        self.check()
        self.test.assertEqual(self.members("open"), set())
        self.test.assertEqual([name for name in store.hkeys(self.q.key("kept")) if re.match(rb"turns\d:", name)], [], "no tenant's place is kept")


class Random(Test):
    SEEDS = range(12)

    def run_model(self, seed, steps=150, damage=None):
        store.flushall()
        model = Model(self, seed)
        done = []
        try:
            for number in range(steps):
                done.append(model.random.choice(model.steps))
                done[-1]()
                if damage and number % 10 == 9:
                    done.append(damage)
                    damage(model)
                model.check()
            done.append(model.drain)
            model.drain()
        except (AssertionError, redis.ResponseError, KeyError) as error:
            last = ", ".join(step.__name__ for step in done[-5:])
            raise AssertionError(f"seed {seed}, step {len(done)} ({last}): {error!r}") from error

    def test_what_must_hold_holds_after_each_step(self):
        for seed in self.SEEDS:
            self.run_model(seed)

    def test_an_audit_meanwhile_disturbs_nothing(self):
        """Three jobs at each call: what it counts is right at the end of its rounds, however much has happened in them."""
        self.addCleanup(load_library)
        for seed in self.SEEDS:
            load_library(0, 3)
            self.run_model(seed)

    def test_what_somebody_damages_an_audit_sets_right(self):
        self.addCleanup(load_library)
        for seed in self.SEEDS:
            load_library(0, self.pick(seed, [3, 100]))
            self.run_model(seed, damage=damage)

    @staticmethod
    def pick(seed, values):
        return values[seed % len(values)]


def damage(model):
    """Something is taken away or made wrong; then come calls that change nothing else, as many as two rounds of an audit take."""
    q, choose = model.q, model.random.choice
    tenant, class_ = choose(model.TENANTS), choose("012")
    choose([
        lambda: store.delete(q.key(f"line{class_}:{tenant}")),
        lambda: store.zrem(q.key("turns" + class_), tenant),
        lambda: store.zrem(q.key("turns"), class_),
        lambda: store.delete(q.key("turns" + class_), q.key("turns")),
        lambda: store.delete(q.key("lease")),
        lambda: store.delete(q.key("waits")),
        lambda: store.delete(q.key("later:" + tenant)),
        lambda: store.delete(q.key("topen"), q.key("tact"), q.key("bytes")),
        lambda: store.set(q.key("bytes"), choose(["7", "x", "-1"])),
        lambda: [store.hset(q.key(key), choose([tenant, "nobody"]), choose([7, 0, -1, "x"])) for key in ("topen", "tact")],
        lambda: store.zadd(q.key("capped"), {tenant: 1}),
        lambda: store.set(q.key("audited"), "1"),
        lambda: store.delete(q.key(choose(["recordings", "recordings_until", "recordings_size", "recordings_bytes"]))),
        lambda: store.set(q.key("recordings_bytes"), choose(["7", "x", "999999999999"])),
        lambda: store.zadd(q.key(choose(["recordings", "recordings_until"])), {"nobody": 10**15}),
    ])()
    paused = store.get(q.key("paused"))
    store.set(q.key("paused"), "")
    for _ in range(2 * (store.zcard(q.key("open")) + 1)):
        q.claim()
    if paused is None:
        store.delete(q.key("paused"))


if __name__ == "__main__":
    unittest.main()
