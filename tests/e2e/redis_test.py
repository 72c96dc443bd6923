# SPDX-License-Identifier: MIT
"""What Redis may say or not say to a relay: whatever it is, the jobs that run go on, each has its one result in the end, and
when Redis is well again all workers work, without a process having been started anew."""

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import typing
import unittest

import redis

import pool
import proxy
import recording

WORKERS = 3
SHORT = "import time\nprint('begun', flush=True)\ntime.sleep(1)\nprint('done')\n"
HELD = "print('begun', flush=True)\ninput()\nprint('done')\n"


def cluster_by(bus):
    return "--cluster-enabled", "yes", "--cluster-port", str(bus), "--bind", "127.0.0.1"


def cluster(server, *words):
    answer = server.execute_command("CLUSTER", *words)
    return answer.decode() if isinstance(answer, bytes) else str(answer)


def give_slot(server, slot, node):
    """Redis refuses to give away a slot with keys in it, but not one of nobody."""
    server.execute_command("CLUSTER", "DELSLOTS", slot)
    server.execute_command("CLUSTER", "SETSLOT", slot, "NODE", node)


def verdicts(p):
    """How many of each a pool has counted."""
    done = subprocess.run([pool.program("paddock"), "top", "--once", "--json", "--runtime-dir", p.runtime], capture_output=True, check=True)
    return json.loads(done.stdout)["verdicts"]


def has_begun(client, job):
    entries = client.redis.xrange(client.key("frames:", job))
    return any(b"begun" in fields.get(b"d", b"") for _, fields in entries)


class Held:
    """A job that runs until it is let go."""

    def __init__(self, client, program=HELD):
        self.client = client
        self.id = client.enqueue(pool.make_zip(program), live_input="1", wall_ms="600000")

    def has_begun(self):
        return has_begun(self.client, self.id)

    def let_go(self):
        self.client.redis.execute_command("FCALL", "paddock_input", 1, self.client.key("open"), self.id, "\n")


class Watched(contextlib.ExitStack):
    """A pool of three workers, one with a job that ends by itself, one with a job that is held, one idle."""

    def __init__(self, test, address, **options):
        super().__init__()
        self.test = test
        self.pool = self.enter_context(pool.Pool(workers=WORKERS, redis=address, log_level="debug", **options))
        self.client = self.pool.client
        self.pids = self.trusted()
        self.situation = ""

    def __exit__(self, kind, *error):
        if kind is not None:  # the held job would be waited for
            print(f"in the situation {self.situation!r}")
            self.pool.stop(signal.SIGKILL)
        return super().__exit__(kind, *error)

    def trusted(self):
        return {self.pool.process.pid, *self.pool.zygotes(), *self.pool.relays()}

    def begin(self):
        self.said = len(self.pool.read_log())
        self.held, self.short = Held(self.client), self.client.enqueue(pool.make_zip(SHORT))
        pool.wait_until(self.held.has_begun, "the held job runs")
        pool.wait_until(lambda: has_begun(self.client, self.short), "the short job runs")

    def log(self):
        """What has been logged since begin()."""
        return self.pool.read_log()[self.said:]

    def wait_for(self, words, times=1):
        pool.wait_until(lambda: self.log().count(words) >= times, f"the log has {words!r}")

    def wait_for_short(self):
        """The program of the short job has ended, whatever became of its result."""
        self.wait_for(f"job={self.short} attempt=1 verdict=ok")

    def check(self, job, verdict="ok", text="begun\ndone\n", attempt=1):
        ended = self.client.wait(job)
        self.test.assertEqual((ended.verdict, ended.result["attempt"]), (verdict, attempt), ended.result)
        if text is not None:
            self.test.assertEqual(recording.text(recording.decode(ended.recording)), text)
            self.test.assertEqual(ended.result["frames_dropped"], 0)
        self.test.assertEqual([s["attempt"] for s in ended.states if s["state"] == "running"], list(range(1, attempt + 1)))
        return ended

    def check_all_work(self):
        """Each worker runs a job at the same time as all others; each can be told."""
        jobs = [Held(self.client) for _ in range(WORKERS)]
        pool.wait_until(lambda: all(job.has_begun() for job in jobs), "all workers run one")
        self.test.assertEqual(self.client.cancel(jobs[0].id), b"requested")
        for job in jobs[1:]:
            job.let_go()
        self.check(jobs[0].id, "cancelled", text=None)
        for job in jobs[1:]:
            self.check(job.id)
        self.check_rest()

    def check_rest(self):
        self.test.assertEqual(self.client.redis.zcard(self.client.key("open")), 0)
        self.test.assertEqual(self.client.redis.zcard(self.client.key("lease")), 0)
        self.test.assertEqual(self.client.redis.zcard(self.client.key("dead")), 0)
        self.test.assertEqual(pool.keys_without_expiry(self.client), [])
        self.test.assertEqual(self.trusted(), self.pids, "a process was started anew")

    def end(self):
        self.held.let_go()
        self.check(self.short)
        self.check(self.held.id)
        self.check_all_work()


def follow_nobody(server):
    """A replica of a Redis that is not there: nobody listens on the port of tcpmux."""
    server.execute_command("REPLICAOF", "127.0.0.1", "1")


def follow_while_one_waits(server):
    pool.wait_until(lambda: any("b" in one["flags"] for one in server.client_list()), "somebody waits")
    follow_nobody(server)


def lead_again(server):
    server.execute_command("REPLICAOF", "NO", "ONE")


def kill_clients(server):
    server.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def unblock(server):
    """Whom it finds waiting: after the situation before, nobody may wait yet."""
    pool.wait_until(lambda: any([server.execute_command("CLIENT", "UNBLOCK", one["id"], "ERROR") for one in server.client_list()]),
                    "somebody waited")


def serve_no_stale_data(server):
    server.config_set("replica-serve-stale-data", "no")
    follow_nobody(server)


def serve_again(server):
    lead_again(server)
    server.config_set("replica-serve-stale-data", "yes")


def set_password(server):
    server.config_set("requirepass", "new")
    kill_clients(server)


def reset_password(password):
    def reset(server):
        server.config_set("requirepass", password)
    return reset


def fail_to_save(server):
    server.config_set("save", "3600 1")
    server.config_set("dir", "/proc")
    server.bgsave()
    pool.wait_until(lambda: server.info("persistence")["rdb_last_bgsave_status"] == "err", "it cannot save")


def fail_to_save_and_close(server):
    fail_to_save(server)
    kill_clients(server)


def save_again(server):
    server.config_set("save", "")
    server.config_set("dir", "/")


def forbid(right):
    return lambda server: server.execute_command("ACL", "SETUSER", "default", f"-{right}")


def permit(right):
    return lambda server: server.execute_command("ACL", "SETUSER", "default", f"+{right}")


def config(name, value):
    return lambda server: server.config_set(name, value)


def endless(server):
    def run():
        with contextlib.suppress(redis.RedisError):  # it is killed
            redis.Redis(connection_pool=server.connection_pool).eval("while true do end", 0)
    threading.Thread(target=run, daemon=True).start()


def load_slowly(server):
    """As a replica does on the first day: its clients stay connected."""
    for i in range(100):
        server.set(f"other:{i}", "x" * 2000)
    server.config_set("loading-process-events-interval-bytes", "1024")
    server.config_set("key-load-delay", "100000")
    threading.Thread(target=redis.Redis(connection_pool=server.connection_pool).execute_command, args=("DEBUG", "RELOAD"),
                     daemon=True).start()
    pool.wait_until(lambda: server.info("persistence")["loading"], "it loads")


def load_quickly(server):
    server.config_set("key-load-delay", "0")
    pool.wait_until(lambda: not server.info("persistence")["loading"], "it has loaded")


def kill_script(server):
    def answers():
        with contextlib.suppress(redis.ResponseError):
            return server.ping()

    server.execute_command("SCRIPT", "KILL")
    pool.wait_until(answers, "the script is dead")


class Situation(typing.NamedTuple):
    says: str  # what is then found in the log of a relay
    make: typing.Callable
    undo: typing.Callable = lambda server: None


SITUATIONS = {
    "replica": Situation('"READONLY', follow_nobody, lead_again),
    "replica, while it is waited for": Situation('"UNBLOCKED', follow_while_one_waits, lead_again),
    "unblocked": Situation('"UNBLOCKED', unblock),
    "no master": Situation('MASTERDOWN', serve_no_stale_data, serve_again),
    "functions flushed": Situation('"ERR Function not found', lambda s: s.execute_command("FUNCTION", "FLUSH")),
    "password set": Situation("it wants a password", set_password, reset_password("")),
    "no right to call": Situation('"NOPERM', forbid("fcall"), permit("fcall")),
    "no right within a function": Situation('"NOPERM paddock_', forbid("zadd"), permit("zadd")),
    "no right to wait": Situation('unable to wait for word: Redis says "NOPERM', forbid("blpop"), permit("blpop")),
    "script": Situation('BUSY', endless, kill_script),
    "loading": Situation('"LOADING', load_slowly, load_quickly),
    "cannot save": Situation('"MISCONF', fail_to_save, save_again),
    "cannot save, and connections closed": Situation('"MISCONF', fail_to_save_and_close, save_again),
    "no replicas": Situation('"NOREPLICAS', config("min-replicas-to-write", "1"), config("min-replicas-to-write", "0")),
    "connections closed": Situation("", kill_clients),
}


class Answers(unittest.TestCase):
    """Each error that Redis has for a relay, made for real."""

    def walk(self, server, watched, situations):
        for name, situation in situations.items():
            watched.situation = name
            watched.begin()
            situation.make(server)
            watched.wait_for(situation.says)
            watched.wait_for_short()
            situation.undo(server)
            watched.end()

    def test_situations(self):
        options = ("--enable-protected-configs", "yes", "--enable-debug-command", "yes", "--busy-reply-threshold", "50")
        with pool.RedisServer(*options) as server, \
                Watched(self, server.address) as watched:
            self.walk(server.connect(), watched, SITUATIONS)

    def test_a_replica_cuts_no_connections(self):
        """The relay does, to find another server. It is said what Redis is, and no connection was lost."""
        with pool.RedisServer() as server, pool.Pool(workers=3, redis=server.address) as p:
            follow_nobody(server.connect())
            pool.wait_until(lambda: p.read_log().count('"READONLY') >= 2, "it is found out")
            time.sleep(4)
            lead_again(server.connect())
            self.assertEqual(p.client.run("print(1)").verdict, "ok")
            self.assertNotIn("cuts connections", p.read_log())
            self.assertLessEqual(p.read_log().count('"READONLY'), 2 * 3)
            done = subprocess.run([pool.program("paddock"), "top", "--once", "--runtime-dir", p.runtime], capture_output=True, text=True)
            self.assertIn("reconnects 0\n", done.stdout)

    def test_who_asks_one_that_cannot_save(self):
        """What it has is read; what is written is refused in its own words, and nobody says that it is not there."""
        with pool.RedisServer("--enable-protected-configs", "yes") as server:
            def paddock(*words):
                return subprocess.run([pool.program("paddock"), *words, "--redis", server.address], stdin=subprocess.DEVNULL,
                                      capture_output=True, text=True)

            paddock("status")  # which loads the functions
            fail_to_save(server.connect())
            for words in (["status"], ["top", "--once"], ["dead", "list"]):
                self.assertEqual(paddock(*words).returncode, 0, words)
            done = paddock("pause")
            self.assertEqual((done.returncode, done.stderr.partition("MISCONF")[0]), (100, "paddock: Redis answers to paddock_pause: "))
            save_again(server.connect())

    def test_passwords(self):
        port = pool.free_port()
        with pool.RedisServer("--requirepass", "old", port=port) as server, \
                Watched(self, f"redis://:old@127.0.0.1:{port}") as watched:
            admin = redis.Redis(unix_socket_path=server.socket, password="old")
            self.walk(admin, watched, {
                "password changed": Situation("it refuses the user or the password", set_password, reset_password("old"))})

    def test_cluster(self):
        port, other, bus, other_bus = (pool.free_port() for _ in range(4))
        with pool.RedisServer(*cluster_by(bus), port=port) as server, \
                pool.RedisServer(*cluster_by(other_bus), port=other) as second:
            redis_server = server.connect()
            redis_server.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            redis_server.execute_command("CLUSTER", "MEET", "127.0.0.1", other, other_bus)
            theirs = second.connect().execute_command("CLUSTER", "MYID").decode()
            ours = redis_server.execute_command("CLUSTER", "MYID").decode()
            pool.wait_until(lambda: f"{theirs} 127.0.0.1" in cluster(redis_server, "NODES"), "the nodes know each other")
            pool.wait_until(lambda: "cluster_state:ok" in cluster(redis_server, "INFO"), "the slots are served")
            with Watched(self, server.address) as watched:
                slot = redis_server.execute_command("CLUSTER", "KEYSLOT", watched.client.key("open"))
                self.walk(redis_server, watched, {
                    "slot of nobody": Situation('"CLUSTERDOWN', lambda s: s.execute_command("CLUSTER", "DELSLOTS", slot),
                                                lambda s: s.execute_command("CLUSTER", "ADDSLOTS", slot)),
                    "slot of another": Situation('"MOVED', lambda s: give_slot(s, slot, theirs),
                                                 lambda s: give_slot(s, slot, ours)),
                })

    def test_data_that_take_long_to_load(self):
        with pool.RedisServer("--appendonly", "no", "--rdbcompression", "no") as server:
            for i in range(100):
                server.connect().set(f"other:{i}", "x" * 2000)
            with Watched(self, server.address) as watched:
                watched.begin()
                server.connect().save()
                server.stop()
                watched.client.redis.connection_pool.disconnect()
                server.start("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024",
                             "--rdbcompression", "no", wait=False)
                watched.wait_for("it is still loading its data")
                watched.wait_for_short()
                pool.wait_until(lambda: server.answer() == b"+PONG\r\n", "it has loaded")
                watched.end()

    def test_a_result_is_offered_until_it_is_taken(self):
        with pool.RedisServer() as server, Watched(self, server.address) as watched:
            watched.begin()
            forbid("fcall")(server.connect())
            watched.wait_for("unable to settle a job", 9)
            permit("fcall")(server.connect())
            watched.end()

    def test_a_recording_that_may_not_be_published(self):
        """It waits; and so does the result behind it."""
        with pool.RedisServer() as server, Watched(self, server.address) as watched:
            program = "print('begun', flush=True)\ninput()\nprint('said', flush=True)\ninput()\nprint('done')\n"
            held = Held(watched.client, program)
            watched.begin()
            pool.wait_until(held.has_begun, "it runs")
            forbid("xadd")(server.connect())
            held.let_go()
            watched.wait_for('unable to publish the recording: Redis says "NOPERM', 2)
            held.let_go()
            watched.wait_for(f"job={held.id} attempt=1 verdict=ok")
            watched.wait_for_short()
            permit("xadd")(server.connect())
            watched.check(held.id, text="begun\nsaid\ndone\n")
            watched.end()

    def test_who_may_not_wait_looks(self):
        """Without a wait that could be ended, jobs are found all the same."""
        with pool.RedisServer() as server, Watched(self, server.address) as watched:
            forbid("blpop")(server.connect())
            kill_clients(server.connect())
            for _ in range(5):
                self.assertEqual(watched.client.run("print(1)").verdict, "ok")
            permit("blpop")(server.connect())
            watched.check_all_work()

    def test_memory_is_full(self):
        """Who runs, ends, but for what its recording would take; who comes is told; and afterwards all is as before."""
        with pool.RedisServer() as server, Watched(self, server.address) as watched:
            watched.begin()
            server.connect().config_set("maxmemory", "1mb")
            with self.assertRaisesRegex(redis.ResponseError, "command not allowed when used memory"):
                server.connect().set("any", "value")
            watched.client.redis.execute_command("FCALL", "paddock_cancel", 1, watched.client.key("open"), watched.held.id)
            watched.check(watched.held.id, "cancelled", text=None)
            watched.check(watched.short, text=None)
            answer = watched.client.redis.execute_command("FCALL", "paddock_enqueue", 1, watched.client.key("open"), "one",
                                                          "upload", "none")
            self.assertTrue(answer.startswith(b"full memory"), answer)
            server.connect().config_set("maxmemory", "0")
            watched.check_all_work()

    def test_memory_without_a_maximum(self):
        """Is warned of, once."""
        said = "the Redis of the queue has no maxmemory"
        with pool.RedisServer("--maxmemory", "100mb") as bounded, pool.RedisServer() as server:
            with pool.Pool(workers=1, redis=bounded.address) as quiet, pool.Pool(workers=2, redis=server.address) as p:
                pool.wait_until(lambda: said in p.read_log(), "it is said")
                p.client.run("import time\ntime.sleep(4)")
                self.assertEqual((p.read_log().count(said), quiet.read_log().count(said)), (1, 0))

    def test_what_is_lost_is_counted(self):
        """Where there is no memory for a program's last words its result says so, whatever else is under way with them."""
        source = "import time\nprint('begun', flush=True)\ntime.sleep(0.3)\nprint('the result')\n"
        with pool.RedisServer() as server, proxy.Proxy(server.socket) as proxied, pool.Pool(workers=1, redis=proxied.address) as p:
            proxied.delay_s = 0.01  # so that there is something under way
            client = pool.Client(server.connect(), p.queue)
            for _ in range(4):
                job = client.enqueue(pool.make_zip(source))
                next(entry for entry in client.entries(job) if b"begun" in entry.get(b"d", b""))
                server.connect().config_set("maxmemory", 1)
                pool.wait_until(lambda: client.job(job).get("state") == b"done", "it ends")
                server.connect().config_set("maxmemory", 0)
                ended = client.wait(job)
                self.assertEqual(ended.verdict, "ok")
                self.assertNotIn(b"the result", ended.recording)
                self.assertGreater(ended.result["frames_dropped"], 0)
                with tempfile.TemporaryDirectory() as folder:
                    for words in (["follow"], ["trace"], ["trace", "--format", "chrome"], ["save", "--output", folder + "/saved"]):
                        done = subprocess.run([pool.program("paddock"), *words, job, "--redis", server.address, "--queue", p.queue], capture_output=True, text=True)
                        self.assertEqual(done.returncode, 0, done.stderr)
                        self.assertRegex(done.stderr, r"(?m)^paddock: \d+ parts? of what the program did (is|are) missing here: Redis, full or away, did not take (it|them)$")

    def test_memory_is_full_of_recordings(self):
        """Those of jobs that are over give way, the oldest first: many more jobs than it holds print all they may, one after the
        other, and no client is refused for longer than it is told to wait."""
        program = pool.make_zip("for i in range(60):\n    print(f'{i:02}' * 8000)\n")
        with pool.Pool(workers=2, maxmemory_mb=32) as p:
            client, jobs = p.client, []
            for _ in range(80):
                jobs.append(client.enqueue(program))
                ended = client.wait(jobs[-1])
                self.assertEqual((ended.verdict, ended.result["frames_dropped"]), ("ok", 0))
                self.assertEqual(len(recording.text(recording.decode(ended.recording))), 60 * 16001)
            cut = ["recording_cut" in client.job(job) for job in jobs]
            self.assertEqual((cut[0], cut[-1], cut), (True, False, sorted(cut, reverse=True)))
            for large in 4 << 20, 8 << 20:
                refused = self.refusals(client, "large" + str(large), os.urandom(large))
                self.assertLessEqual(refused, 1)

    def refusals(self, client, job, data):
        """How often it is to be tried."""
        for refused in range(10):
            pipe = client.redis.pipeline(transaction=False)
            pipe.set(client.key("up:", "u"), data, ex=60)
            pipe.execute_command("FCALL", "paddock_enqueue", 1, client.key("open"), job, "upload", "u")
            answer = pipe.execute(raise_on_error=False)[1]
            if not answer.startswith(b"full memory"):
                self.assertRegex(answer, b"^queued")
                client.wait(job)
                return refused
            time.sleep(1)
        raise AssertionError("it is always refused")

    def test_data_are_lost(self):
        """Jobs that the queue no longer knows are ended, without a result: there is nobody to tell."""
        for name, lose in {"flushed": lambda server: server.connect().flushall(),
                           "restarted without": lambda server: (server.stop(), server.start())}.items():
            with self.subTest(name), pool.RedisServer() as server, Watched(self, server.address) as watched:
                watched.begin()
                lose(server)
                watched.wait_for(f"job={watched.held.id} attempt=1 is not ours any more")
                pool.wait_until(lambda: len(watched.pool.sandboxes()) == WORKERS, "the programs are gone")
                pool.wait_until(lambda: watched.client.redis.execute_command("FUNCTION", "LIST"), "the library is there")
                watched.check_all_work()
                self.assertEqual(watched.client.redis.exists(watched.client.key("frames:", watched.held.id)), 0)


class Death:
    """Of a process that is to be killed: it takes until it is let go."""

    SEIZE, DETACH, AT_EXIT = 0x4206, 17, 0x40

    def __init__(self, pid):
        self.pid = pid
        self.call(self.SEIZE, self.AT_EXIT)

    def call(self, request, data=0):
        arguments = (ctypes.c_long(word) for word in (request, self.pid, 0, data))
        assert ctypes.CDLL(None, use_errno=True).ptrace(*arguments) == 0, os.strerror(ctypes.get_errno())

    def wait(self):
        os.waitpid(self.pid, 0)

    def let_go(self):
        self.call(self.DETACH)


class OlderData(unittest.TestCase):
    """Redis comes back with what it had a while ago: as after a power cut, or from another copy. Each recording is of one attempt,
    and whole, whatever of the attempt was forgotten."""

    PROGRAM = ("import os, time\nname = os.urandom(4).hex()\nfor i in range(4000):\n    print(name, i, flush=i < 10)\n"
               "    if i % 40 == 0: time.sleep(0.02)\n")

    def setUp(self):
        self.server = self.enterContext(pool.RedisServer())
        self.pool = self.enterContext(pool.Pool(workers=3, redis=self.server.address))
        self.client = self.pool.client

    def call(self, function, *words):
        return self.client.redis.execute_command("FCALL", f"paddock_{function}", 1, self.client.key("open"), *words)

    def go_back(self):
        """To what was saved."""
        self.server.process.kill()
        self.server.process.wait()
        self.server.start()

    def wait_for_slices(self, jobs, count):
        pool.wait_until(lambda: all(self.client.redis.xlen(self.client.key("frames:", job)) > count for job in jobs), "they run")

    def check(self, job, attempts):
        ended = self.client.wait(job)
        self.assertEqual((ended.verdict, ended.result["frames_dropped"]), ("ok", 0), ended.result)
        self.assertIn(ended.result["attempt"], attempts)
        lines = recording.text(recording.decode(ended.recording)).splitlines()
        self.assertEqual(len({line.split()[0] for line in lines}), 1, "one process")
        self.assertEqual([line.split()[1] for line in lines], [str(i) for i in range(4000)])

    def test_a_claim_is_forgotten(self):
        for _ in range(2):
            self.call("pause")
            jobs = [self.client.enqueue(pool.make_zip(self.PROGRAM)) for _ in range(2)]
            self.client.redis.save()
            self.call("resume")
            self.wait_for_slices(jobs, 3)
            self.go_back()
            self.call("resume")
            for job in jobs:
                self.check(job, {1})

    def test_slices_are_forgotten(self):
        jobs = [self.client.enqueue(pool.make_zip(self.PROGRAM)) for _ in range(2)]
        self.wait_for_slices(jobs, 3)
        self.client.redis.save()
        self.wait_for_slices(jobs, 10)
        self.go_back()
        for job in jobs:
            self.check(job, {2})
            self.assertIn(f"job={job} attempt=1 lost: Redis has forgotten a part of its recording", self.pool.read_log())

    @unittest.skipUnless(os.geteuid() == 0, "takes root, to hold up a death")
    def test_slices_are_forgotten_while_it_dies(self):
        """It was killed for a limit, so its end is known although its zygote dies, too; its recording is not whole."""
        self.pool.stop()
        program = "import time\nfor i in range(10):\n    print(i, flush=True)\n    time.sleep(0.05)\ntime.sleep(60)\n"
        with proxy.Proxy(self.server.socket) as proxied, pool.Pool(redis=proxied.address, lease_ms=2000, log_level="debug", workers=1) as p:
            job = self.client.enqueue(pool.make_zip(program), wall_ms=2000)
            self.wait_for_slices([job], 1)
            self.client.redis.save()
            self.wait_for_slices([job], 10)
            death = Death(p.sandboxes()[0])
            death.wait()
            os.kill(p.zygote(), signal.SIGKILL)
            pool.wait_until(lambda: "state=orphaned" in p.read_log(), "it is orphaned")
            self.go_back()
            beats = []
            proxied.hook = lambda moment, words: beats.append(words) if moment == "before" and "paddock_beat" in words else None
            pool.wait_until(lambda: len(beats) > 1, "the first is answered")
            death.let_go()
            ended = self.client.wait(job)
            self.assertEqual((ended.verdict, ended.result["attempt"]), ("wall_limit", 2), ended.result)
            lines = recording.text(recording.decode(ended.recording)).splitlines()
            self.assertEqual(lines, [str(i) for i in range(10)])
            self.assertIn(f"job={job} attempt=1 lost: Redis has forgotten a part of its recording", p.read_log())

    def test_input_is_forgotten(self):
        """Also where as much has come since."""
        echo = "print('begun', flush=True)\nfor line in iter(input, 'end'): print(line, flush=True)\n"
        for later in "bb", "bbbb", "bbbbbb":
            with self.subTest(later):
                job = self.client.enqueue(pool.make_zip(echo), live_input=1)
                self.wait_for_slices([job], 1)
                self.client.redis.save()
                self.call("input", job, "aaaa\n")
                pool.wait_until(lambda: b"aaaa" in b"".join(entry.get(b"d", b"") for _, entry in
                                                            self.client.redis.xrange(self.client.key("frames:", job))), "it has read")
                self.go_back()
                self.call("input", job, later + "\n")
                pool.wait_until(lambda: self.client.job(job)["attempt"] == b"2", "it runs again")
                self.call("input", job, "end\n")
                ended = self.client.wait(job)
                self.assertEqual(ended.verdict, "ok", ended.result)
                self.assertEqual(recording.text(recording.decode(ended.recording)), f"begun\n{later}\n")


class Damage(unittest.TestCase):
    """Somebody damages what belongs to a job that runs."""

    def setUp(self):
        self.server = self.enterContext(pool.RedisServer())
        self.pool = self.enterContext(pool.Pool(workers=1, redis=self.server.address, lease_ms=2000))
        self.client = self.pool.client

    def call(self, function, *words):
        return self.client.redis.execute_command("FCALL", f"paddock_{function}", 1, self.client.key("open"), *words)

    def check_it_works(self):
        self.assertEqual(self.client.run("print(1)").verdict, "ok")

    def test_input_that_it_was_given(self):
        """With the next connection that is seen, by a beat or where more is asked for: it begins anew, and cannot."""
        held = Held(self.client, "input()\nprint('begun', flush=True)\ninput()\n")
        held.let_go()
        pool.wait_until(held.has_begun, "it has read")
        job = held.id
        self.client.redis.delete(self.client.key("in:", job))
        self.client.redis.rpush(self.client.key("in:", job), "x")
        kill_clients(self.client.redis)
        ended = self.client.wait(job)
        self.assertEqual((ended.verdict, ended.result["detail"]), ("fault", "it cannot be run: what stands in the place of its input is a list"))
        lost = f"job={job} attempt=1 lost: Redis has forgotten (input that it was given|its input)"
        pool.wait_until(lambda: re.search(lost, self.pool.read_log()), "it is said")
        self.check_it_works()

    def test_input_that_it_is_to_be_given(self):
        """It is not left to wait for that, to be blamed for its time."""
        held = Held(self.client)
        pool.wait_until(held.has_begun, "it runs")
        self.client.redis.rpush(self.client.key("in:", held.id), "x")
        self.client.redis.rpush(self.client.key("ctl:", held.id), "input")
        ended = self.client.wait(held.id)
        self.assertEqual((ended.verdict, ended.result["detail"]), ("fault", "it cannot be run: what stands in the place of its input is a list"))
        self.check_it_works()

    def test_a_recording_whose_first_part_is_not_answered(self):
        """As where it is: what is refused is dropped, and counted."""
        torn = []

        def damage(moment, words):
            if words[0] != "XADD" or torn:
                return
            if moment == "after":
                torn.append(words)
                raise proxy.Torn
            client.redis.delete(words[1])
            client.redis.set(words[1], "x")

        with proxy.Proxy(self.server.socket) as proxied, pool.Pool(workers=1, redis=proxied.address, queue="other") as p:
            client = pool.Client(self.server.connect(), "other")
            proxied.hook = damage
            job = client.enqueue(pool.make_zip("print('done')\n"))
            pool.wait_until(lambda: client.job(job).get("state") == b"done", "its result is taken")
            self.assertEqual(client.job(job)["attempt"], b"1")
            self.assertGreater(int(client.job(job)["frames_dropped"]), 0)
            self.assertEqual(len(torn), 1)

    def test_a_job_whose_beats_are_refused(self):
        """by something else than how Redis is: its relay gives it up when its lease is over, and takes others."""
        job = self.client.begin()
        about = self.client.redis.execute_command("FUNCTION", "LIST", "WITHCODE")[0]
        code = about[about.index(b"library_code") + 1].decode()
        refusing = code.replace('register("beat", beat, ', 'register("beat", function() return redis.error_reply("DAMAGED") end, ')
        self.assertNotEqual(refusing, code)
        self.client.redis.function_load(refusing, replace=True)
        self.call("pause")
        kill_clients(self.client.redis)
        pool.wait_until(lambda: f"job={job} attempt=1 is not ours any more" in self.pool.read_log(), "it is given up")
        pool.wait_until(lambda: self.client.job(job)["state"] == b"queued", "the queue has it")
        self.client.redis.function_load(code, replace=True)
        self.client.cancel(job)
        self.call("resume")
        self.check_it_works()


class Connections(unittest.TestCase):
    LOAD = 60

    def setUp(self):
        self.server = self.enterContext(pool.RedisServer("--appendonly", "yes"))

    def check_load(self, watched, jobs):
        ended = [watched.client.wait(job) for job in jobs]
        self.assertEqual([(job, one.verdict) for job, one in zip(jobs, ended) if one.verdict != "ok"], [])
        watched.check_all_work()

    def disturb(self, watched, client, disturb):
        """A load of jobs, enqueued by a way that is not disturbed."""
        jobs = [client.enqueue(pool.make_zip("print(1)")) for _ in range(self.LOAD)]
        while client.redis.zcard(client.key("open")) > 0:
            disturb()
            time.sleep(0.1)
        self.check_load(watched, jobs)

    def test_closed_under_load(self):
        with Watched(self, self.server.address) as watched:
            self.disturb(watched, watched.client, lambda: kill_clients(watched.client.redis))

    def through(self, proxied, **options):
        """A pool behind a proxy, and a client that is not."""
        watched = Watched(self, proxied.address, **options)
        watched.client = watched.pool.client = pool.Client(self.server.connect(), "test")
        return watched

    def test_cut_under_load(self):
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied) as watched:
            self.disturb(watched, watched.client, proxied.cut)

    def test_a_hole(self):
        """Nothing comes and nobody says goodbye, until every deadline has passed."""
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied) as watched:
            watched.begin()
            proxied.hole()
            for line in ("commands", "waiting"):
                watched.wait_for(f"Redis is away ({line})", WORKERS)
            watched.wait_for_short()
            more = watched.client.enqueue(pool.make_zip("print(1)"))
            proxied.mend()
            self.assertEqual(watched.client.wait(more).verdict, "ok")
            watched.end()

    def test_slow_answers(self):
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied) as watched:
            proxied.delay_s = 0.2
            proxied.cut()
            watched.begin()
            watched.end()

    def test_only_the_wait_is_dead(self):
        """The answer to a wait never comes, though the connection stands and Redis answers on the other one: it is given up,
        for each wait has an end, and what comes afterwards is heard by the next one."""
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied) as watched:
            deaf, over = [], threading.Event()

            def swallow(moment, words):
                if moment == "after" and words[0] == "BLPOP" and len(deaf) < WORKERS:
                    deaf.append(words)
                    over.wait()

            proxied.hook = swallow
            jobs = [watched.client.enqueue(pool.make_zip("print(1)")) for _ in range(WORKERS)]
            pool.wait_until(lambda: len(deaf) == WORKERS, "all are deaf")
            jobs += [watched.client.enqueue(pool.make_zip("print(1)")) for _ in range(WORKERS)]
            self.check_load(watched, jobs)
            over.set()

    def test_no_wait_can_be_made_again(self):
        """No new connection can be had, as where the server has no room for more: who cannot be told looks by himself, for
        work that is new, that was put off, for input, and for a cancel."""
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied) as watched:
            over, client = threading.Event(), watched.client

            def close_to_new_ones(moment, words):
                if moment == "before" and words[0] == "BLPOP":
                    raise proxy.Torn
                if moment == "after" and words[0] == "PING":
                    over.wait()

            proxied.hook = close_to_new_ones
            self.check_load(watched, [client.enqueue(pool.make_zip("print(1)")) for _ in range(2 * WORKERS)])  # ends what waits
            jobs = [client.enqueue(pool.make_zip("print(1)"), delay_ms=delay) for delay in ("0", "2000") for _ in range(WORKERS)]
            self.assertEqual({client.wait(job).verdict for job in jobs}, {"ok"})
            job = client.enqueue(pool.make_zip("print(input())\nwhile True: pass\n"), live_input="1", wall_ms="600000", cpu_ms="60000")
            pool.wait_until(lambda: client.job(job).get("state") == b"running", "it runs")
            client.redis.execute_command("FCALL", "paddock_input", 1, client.key("open"), job, "heard\n")
            next(entry for entry in client.entries(job) if entry[b"k"] == b"slice" and b"heard" in entry[b"d"])
            client.cancel(job)
            self.assertEqual(client.wait(job).verdict, "cancelled")
            over.set()

    def test_connections_that_do_not_last(self):
        """Those that are cut as soon as they wait are said to be, once, and so is that they last again. Meanwhile jobs run."""
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied) as watched:
            def cut_waits(moment, words):
                if moment == "before" and words[0] == "BLPOP":
                    raise proxy.Torn

            proxied.hook = cut_waits
            cuts = re.compile(r"(?m)^warning .* cuts connections that it has taken \(waiting\)$")
            pool.wait_until(lambda: len(cuts.findall(watched.pool.read_log())) == WORKERS, "each says so")
            jobs = [watched.client.enqueue(pool.make_zip("print(1)")) for _ in range(20)]
            self.assertEqual({watched.client.wait(job).verdict for job in jobs}, {"ok"})
            proxied.hook = None
            pool.wait_until(lambda: watched.pool.read_log().count("connected to Redis again (waiting)") == WORKERS, "all is well again")
            owners = set(re.findall(r"(?m)^warning (\S+)\[.* cuts connections that it has taken \(waiting\)$", watched.pool.read_log()))
            self.assertEqual(len(owners), WORKERS)
            watched.check_all_work()

    def test_a_cancel_while_the_program_is_fetched(self):
        """It ends at once, and not behind its ZIP, which takes long to come, or does not."""
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied) as watched:
            fetched, over = [], threading.Event()

            def hold(moment, words):
                if moment == "after" and words[0] == "GETRANGE":
                    fetched.append(words)
                    over.wait()

            proxied.hook = hold
            for number in range(1, 9):
                job = watched.client.enqueue(pool.make_zip("print(1)"))
                pool.wait_until(lambda: len(fetched) == number, "it is fetched")
                self.assertEqual(watched.client.cancel(job), b"requested")
                self.assertEqual(watched.client.wait(job).verdict, "cancelled")
            self.assertEqual(len(fetched), number)
            proxied.hook = None
            over.set()
            watched.check_all_work()

    def test_a_job_that_is_no_more(self):
        """Redis was emptied: that is noticed by what the program prints, long before a sign of life is due."""
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied, lease_ms=60_000) as watched:
            slices = []
            job = watched.client.enqueue(pool.make_zip("import time\nwhile True:\n    print(1)\n    time.sleep(0.01)\n"), wall_ms="600000", cpu_ms="60000")
            next(entry for entry in watched.client.entries(job) if entry[b"k"] == b"slice")
            proxied.hook = lambda moment, words: slices.append(words) if moment == "after" and words[0] == "XADD" else None
            watched.client.redis.flushall()
            pool.wait_until(lambda: "not ours any more" in watched.pool.read_log(), "it is given up")
            self.assertLess(len(slices), 50)

    def test_an_answer_that_is_lost(self):
        """Who does not hear that its job was settled asks again, hears that it is not its own any more, and knows why: the job
        counts, and nobody is alarmed."""
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied) as watched:
            torn = []

            def tear(moment, words):
                if moment == "after" and words[:2] == ["FCALL", "paddock_finish"] and len(torn) < 4:
                    torn.append(words)
                    raise proxy.Torn

            proxied.hook = tear
            self.check_load(watched, [watched.client.enqueue(pool.make_zip("print(1)")) for _ in range(8)])
            self.assertEqual(len(torn), 4)
            # with those by which it was seen that all work
            self.assertEqual(verdicts(watched.pool), {"ok": 8 + WORKERS - 1, "cancelled": 1})
            self.assertNotIn("not ours any more", watched.pool.read_log())

    def test_an_answer_that_is_lost_by_which_a_job_is_given_back(self):
        """The job has ended by it: that is asked once more, for else nobody says it, and it counts nowhere."""
        for function, verdict in (("lost", "fault"), ("lost", "cancelled"), ("requeue", "cancelled")):
            with (self.subTest(function=function, verdict=verdict), proxy.Proxy(self.server.socket) as proxied,
                  pool.Pool(workers=1, redis=proxied.address, max_deliveries=1) as p):
                client = pool.Client(self.server.connect(), "test")
                pool.wait_until(p.sandboxes, "one waits")
                torn = []

                def tear(moment, words):
                    if moment == "after" and words[0] == "GETRANGE" and function == "requeue" and not torn:
                        os.kill(p.sandboxes()[0], signal.SIGKILL)
                        pool.wait_until(lambda: "it ended before its job" in p.read_log(), "its relay knows that")
                    if words[:2] == ["FCALL", f"paddock_{function}"] and not torn:
                        if moment == "before" and verdict == "cancelled":
                            client.cancel(words[4])
                        if moment == "after":
                            torn.append(words)
                            raise proxy.Torn

                proxied.hook = tear
                job = client.begin() if function == "lost" else client.enqueue(pool.make_zip("print(1)"))
                if function == "lost":
                    os.kill(p.sandboxes()[0], signal.SIGKILL)
                self.assertEqual(client.wait(job).verdict, verdict)
                line = f"job={job} attempt=1 verdict={verdict} "
                pool.wait_until(lambda: line in p.read_log(), "it is said")
                self.assertEqual(client.run("print(1)").verdict, "ok")
                self.assertEqual((p.read_log().count(f"job={job} "), len(torn)), (1, 1))
                self.assertEqual(verdicts(p), {verdict: 1, "ok": 1})

    def cancel_some(self, client):
        """Jobs that wait."""
        jobs = [client.enqueue(pool.make_zip("print(1)")) for _ in range(10)]
        self.assertEqual({client.cancel(job) for job in jobs}, {b"cancelled"})
        return jobs

    def check_said(self, p, jobs, others):
        """Each of the jobs is said and counted once."""
        log = p.read_log()
        self.assertEqual([log.count(f"job={job} attempt=0 verdict=cancelled ") for job in jobs], [1] * len(jobs))
        self.assertEqual(verdicts(p)["cancelled"], len(jobs) + others)

    def wait_until_said(self, p, jobs):
        pool.wait_until(lambda: all(f"job={job} " in p.read_log() for job in jobs), "all are said")

    def test_what_nobody_has_heard_is_lost_with_its_connection(self):
        """Jobs that ended while they waited: they are told again, also to the relay that comes after who did not hear it. Who hears it
        late, when another has said it, keeps it to himself."""
        deeds = {"tear": 3, "kill": 3, "stop": 1}
        for deed, times in deeds.items():
            with self.subTest(deed), proxy.Proxy(self.server.socket) as proxied, pool.Pool(workers=2, redis=proxied.address) as p:
                client = pool.Client(self.server.connect(), "test")
                running, hit, ended = [client.begin() for _ in range(2)], [], threading.Event()

                def strike(moment, words):
                    if "paddock_tend" not in words:
                        return
                    ended.wait()
                    if moment == "after" and (hit or not client.redis.exists(client.key("untold"))) and len(hit) < times:
                        hit.append(proxied.here.connection.pid)
                        if deed != "tear":
                            os.kill(hit[-1], signal.SIGKILL if deed == "kill" else signal.SIGSTOP)
                        if deed != "stop":
                            raise proxy.Torn

                proxied.hook = strike
                jobs = self.cancel_some(client)
                ended.set()
                self.wait_until_said(p, jobs)
                if deed == "stop":
                    os.kill(hit[0], signal.SIGCONT)
                for job in running:
                    client.cancel(job)
                self.check_said(p, jobs, sum(client.wait(job).verdict == "cancelled" for job in running))
                self.assertEqual(len(hit), times)

    def test_what_nobody_has_heard_comes_behind_a_program(self):
        """Of a job that is cancelled, with whose ZIP, which takes long to come, the relay leaves what else is on its way."""
        with proxy.Proxy(self.server.socket) as proxied, pool.Pool(workers=1, redis=proxied.address) as p:
            client, fetched, ended, over = pool.Client(self.server.connect(), "test"), *(threading.Event() for _ in range(3))

            def hold(moment, words):
                if words[0] == "GETRANGE":
                    fetched.set()
                    if moment == "after":
                        over.wait()
                elif "paddock_tend" in words and moment == "before" and fetched.is_set():
                    ended.wait()

            proxied.hook = hold
            slow = client.enqueue(pool.make_zip("print(1)"))
            fetched.wait()
            jobs = self.cancel_some(client)
            ended.set()
            pool.wait_until(lambda: not client.redis.exists(client.key("untold")), "they are on their way")
            client.cancel(slow)
            self.assertEqual(client.wait(slow).verdict, "cancelled")
            self.wait_until_said(p, jobs)
            self.check_said(p, jobs, 1)
            over.set()

    def test_who_ends_hears_what_he_was_given(self):
        """A pool that is stopped says it, and that it was heard: the next one would say it again, or nobody would."""
        with proxy.Proxy(self.server.socket) as proxied, pool.Pool(workers=1, redis=proxied.address) as p:
            client, given, ends = pool.Client(self.server.connect(), "test"), threading.Event(), threading.Event()
            told = client.key("told:", "*")

            def hold(moment, words):
                if moment == "after" and "paddock_tend" in words and client.redis.keys(told) and not given.is_set():
                    given.set()
                    ends.wait()

            client.redis.execute_command("FCALL", "paddock_pause", 1, client.key("open"))
            proxied.hook = hold
            jobs = self.cancel_some(client)
            given.wait()
            p.process.send_signal(signal.SIGTERM)
            pool.wait_until(lambda: re.search(r"relay-0.* draining", p.read_log()), "its relay is to end")
            ends.set()
            p.process.wait(pool.PATIENCE)
            self.assertEqual([p.read_log().count(f"job={job} attempt=0 verdict=cancelled ") for job in jobs], [1] * len(jobs))
            self.assertEqual(client.redis.keys(told), [])

    def test_claims_whose_answers_are_lost(self):
        """Each time, until the job is a dead letter: that says why, and no worker is blamed, for none has ended."""
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied) as watched:
            def tear(moment, words):
                if moment == "after" and words[:2] == ["FCALL", "paddock_claim"] and watched.client.redis.exists(watched.client.key("lease")):
                    raise proxy.Torn

            proxied.hook = tear
            ended = watched.client.wait(watched.client.enqueue(pool.make_zip("print(1)")))
            self.assertEqual((ended.verdict, ended.result["detail"]),
                             ("fault", "lost 3 times, last: the answer to its claim was lost"))
            self.assertEqual(watched.trusted(), watched.pids)

    def test_a_cancel_waits_for_no_sign_of_life(self):
        """A relay hears of it at once: while none gives a sign of life, which would tell it, too, and is due every few seconds."""
        with proxy.Proxy(self.server.socket) as proxied, self.through(proxied, lease_ms=60_000) as watched:
            for program in "while True: pass\n", "import time\ntime.sleep(600)\n":
                job, beats = watched.client.enqueue(pool.make_zip(program), wall_ms="600000", cpu_ms="60000"), []
                pool.wait_until(lambda: watched.client.job(job).get("state") == b"running", "it runs")
                proxied.hook = lambda moment, words: beats.append(words) if words[:2] == ["FCALL", "paddock_beat"] else None
                self.assertEqual(watched.client.cancel(job), b"requested")
                self.assertEqual(watched.client.wait(job).verdict, "cancelled")
                self.assertEqual([words for words in beats if job in words], [])

    def test_redis_stands_still(self):
        with Watched(self, self.server.address) as watched:
            watched.begin()
            os.kill(self.server.process.pid, signal.SIGSTOP)
            watched.wait_for_short()
            watched.wait_for("Redis is away (commands)", WORKERS)
            os.kill(self.server.process.pid, signal.SIGCONT)
            watched.end()

    def test_redis_is_restarted(self):
        """Results wait until it is back; so does what has been printed, as far as there is room, and the program behind it."""
        with Watched(self, self.server.address, max_output_kb=65536) as watched:
            watched.begin()
            much = watched.client.enqueue(pool.make_zip(
                "print('begun', flush=True)\ninput()\nfor i in range(400_000): print('x' * 50)\nprint('done')\n"),
                live_input="1", wall_ms="600000", cpu_ms="60000", output_kb="65536")
            pool.wait_until(lambda: watched.client.job(much).get("state") == b"running", "it runs")
            watched.client.redis.execute_command("FCALL", "paddock_input", 1, watched.client.key("open"), much, "\n")
            pool.wait_until(lambda: watched.client.redis.xlen(watched.client.key("frames:", much)) > 3, "it prints")
            self.server.stop()
            watched.wait_for_short()
            watched.wait_for("Redis is away (commands)", WORKERS)
            time.sleep(2)  # for who would go on to fill its memory
            if not pool.SANITIZED:
                for relay in watched.pool.relays():
                    self.assertLess(resident_kb(relay), 16384)
            self.server.start("--appendonly", "yes")
            watched.client.redis.connection_pool.disconnect()
            watched.check(much, text="begun\n" + ("x" * 50 + "\n") * 400_000 + "done\n")
            watched.end()

    def test_nobody_answers_at_the_start(self):
        """As where a firewall swallows all, or Redis hangs: an end, with a sentence."""
        with proxy.Proxy(self.server.socket) as proxied:
            proxied.hole()
            with self.assertRaises(AssertionError) as raised:
                with pool.Pool(workers=1, redis=proxied.address):
                    pass
            self.assertIn(f"unable to reach Redis at {proxied.address}: it does not answer", str(raised.exception))


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


class Addresses(unittest.TestCase):
    def test_a_job_by_each(self):
        port = pool.free_port()
        with pool.RedisServer(port=port) as server:
            admin = server.connect()
            admin.execute_command("ACL", "SETUSER", "somebody", "on", ">secret", "~*", "&*", "+@all")
            plain = [server.address, f"127.0.0.1:{port}", f"localhost:{port}", f"redis://127.0.0.1:{port}/3",
                     f"redis://somebody:secret@127.0.0.1:{port}", f"redis://somebody:secret@127.0.0.1:{port}/5"]
            for address in plain:
                self.check(address)
            admin.config_set("requirepass", "word")
            self.check(f"redis://:word@127.0.0.1:{port}")
            self.check(f"redis://default:word@127.0.0.1:{port}/2")

    def check(self, address):
        with self.subTest(address), pool.Pool(workers=1, redis=address) as one:
            ended = one.client.run("print(1)")
            self.assertEqual((ended.verdict, ended.result["attempt"]), ("ok", 1))
            self.assertNotIn("secret", one.read_log())


if __name__ == "__main__":
    unittest.main()
