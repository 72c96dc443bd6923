# SPDX-License-Identifier: MIT
"""deploy/clients/paddock.{py,js,php}: the same cases for each, by a driver in its language, at a real pool whose Redis knows the
users of deploy/redis-users.acl: as `paddock-web`, to whom nothing is refused."""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

import redis

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", folder) for folder in ("e2e", "queue")]

import npm
import pool
import proxy
import recording
import users

CLIENTS = os.path.join(ROOT, "deploy", "clients")
PACKAGES = os.path.join(os.path.dirname(pool.BIN), "clients")
QUEUE, PREFIX = "default", "paddock:{default}:"
ADMIN = "user admin on nopass ~* &* +@all\n"
BEFORE_RESULT, END = (f"18446744073709551615-{2**64 - 2 + i}" for i in range(2))
PATIENT, HASTY = 120, 0.3
# Says so much, waits for input, and says it.
ASKS = "import sys\nprint('begun', flush=True)\nfor line in sys.stdin:\n    print('got', line, end='', flush=True)\n"


def encoded(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


class Driver:
    """A client in its language. `call` returns what it answers: a value, or a dict with its `error`."""

    def __init__(self, command, socket, patience=PATIENT, queue=QUEUE, **environment):
        variables = {"CLIENTS": CLIENTS, "SOCKET": socket, "USERNAME": users.WEB, "PASSWORD": users.PASSWORD, "QUEUE": queue,
                     "PATIENCE": str(patience), "PYTHONUNBUFFERED": "1", **environment}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **variables})
        self.is_busy = False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        """Ends by itself, but where a test has ended before it."""
        self.process.stdin.close()
        if self.is_busy:
            self.process.kill()
        code = self.process.wait(pool.PATIENCE)
        self.process.stdout.close()
        assert self.is_busy or code == 0, f"the driver ends with {code}"

    def begin(self, call, **words):
        self.process.stdin.write(json.dumps({"call": call, **words}) + "\n")
        self.process.stdin.flush()
        self.is_busy = True

    def line(self):
        line = self.process.stdout.readline()
        assert line, "the driver has ended"
        answer = json.loads(line)
        self.is_busy = "entry" in answer
        return answer

    def answer(self):
        answer = self.line()
        return answer["value"] if "value" in answer else {k: v for k, v in answer.items() if v is not None}

    def call(self, call, **words):
        self.begin(call, **words)
        return self.answer()

    def enqueue(self, program, id=None, **fields):
        return self.call("enqueue", program=encoded(pool.make_zip(program)), id=id, fields=fields)

    def entry(self):
        """The next one that it follows; None: that was the last."""
        answer = self.line()
        assert "error" not in answer, answer
        return answer.get("entry")

    def follow(self, id, **words):
        self.begin("follow", id=id, **words)
        return list(iter(self.entry, None))


def positions(entries):
    return [entry["position"] for entry in entries]


def output(entries):
    """As text, of the last attempt."""
    begun = max((i for i, entry in enumerate(entries) if entry["kind"] == "state"), default=0)
    slices = [base64.b64decode(entry["data"]) for entry in entries[begun:] if entry["kind"] == "slice"]
    return recording.text(recording.decode(b"".join(slices)))


class Tier:
    """A Redis that keeps what it has and knows the users, a pool as its worker, and whoever asks as its web tier."""

    WORKERS = 2

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        os.chmod(cls.folder, 0o755)
        path = os.path.join(cls.folder, "users.acl")
        with open(path, "w", encoding="ascii") as file:
            file.write(users.read() + ADMIN)
        cls.options = "--aclfile", path, "--appendonly", "yes", "--maxmemory-policy", "noeviction"
        cls.server = cls.enterClassContext(pool.RedisServer(*cls.options, port=pool.free_port()))
        cls.admin = cls.enterClassContext(redis.Redis(unix_socket_path=cls.server.socket, username="admin", password="x"))
        address = f"redis://{users.WORKER}:{users.PASSWORD}@127.0.0.1:{cls.server.port}"
        cls.pool = cls.enterClassContext(pool.Pool(workers=cls.WORKERS, queue=QUEUE, redis=address))

    @classmethod
    def tearDownClass(cls):
        refused = [(entry["username"], entry["object"]) for entry in cls.admin.acl_log()]
        assert not refused, refused

    def setUp(self):
        self.addCleanup(lambda: [self.admin.delete(PREFIX + "conf"), self.admin.config_set("maxmemory", 0)])

    def configure(self, **values):
        self.admin.hset(PREFIX + "conf", mapping=values)

    def start_again(self):
        self.server.start(*self.options)
        pool.wait_until(lambda: pool.is_there(self.admin), "it has loaded what it keeps")

    def all_of(self, job):
        """Positions of all that is in its Stream."""
        return [at.decode() for at, _ in self.admin.xrange(PREFIX + "frames:" + job)]


class Cases(Tier):
    """COMMAND runs the driver, EXTRA are its variables, TIMED_OUT says how it calls an end that did not come."""

    EXTRA = {}
    TIMED_OUT = "TimeoutError"
    FAILS = True  # where Redis stays away
    BLOCKS = True  # for no longer than its limit

    def setUp(self):
        super().setUp()
        self.driver = self.enterContext(self.drive())

    @classmethod
    def drive(cls, socket=None, **options):
        return Driver(cls.COMMAND, socket or cls.server.socket, **{**cls.EXTRA, **options})

    def begun(self, program=pool.LONG, **fields):
        """A job that runs and has said so, and the entries of it."""
        job = self.driver.enqueue(program, wall_ms=600000, **fields)["id"]
        self.driver.begin("follow", id=job)
        entries = [self.driver.entry()]
        while "begun" not in output(entries):
            entries.append(self.driver.entry())
        return job, entries

    def rest(self):
        return list(iter(self.driver.entry, None))

    def check_error(self, answer, name, **tells):
        self.assertEqual({"error": name, **tells}, {key: answer.get(key) for key in ("error", *tells)}, answer)

    def test_a_job(self):
        made = self.driver.enqueue("print('Gr\\u00fc\\u00dfe')", tenant="team-7", trace="calls", cpu_ms=2000, meta="007")
        self.assertRegex(made["id"], r"^[A-Za-z0-9_-]{16,64}$")
        self.assertEqual(made["position"], 0)
        entries = self.driver.follow(made["id"])
        self.assertEqual((entries[0]["kind"], entries[0]["data"]["state"], entries[0]["attempt"]), ("state", "running", 1))
        self.assertEqual((entries[-1]["kind"], entries[-1]["position"], entries[-1]["data"]["verdict"]), ("result", END, "ok"))
        self.assertEqual({entry["kind"] for entry in entries[1:-1]}, {"slice"})
        self.assertEqual(positions(entries), self.all_of(made["id"]))
        self.assertEqual(output(entries), "Grüße\n")
        self.assertEqual(self.driver.call("result", id=made["id"]), entries[-1]["data"])
        status = self.driver.call("status", id=made["id"])
        told = {name: value for name, value in entries[-1]["data"].items() if name not in ("kind", "id")}
        self.assertEqual({name: status[name] for name in told}, told)
        self.assertEqual((status["state"], status["tenant"], status["meta"], status["exit_code"]), ("done", "team-7", "007", 0))
        self.assertIsNone(self.driver.call("position", id=made["id"]))
        self.assertIs(self.driver.call("exists", id=made["id"]), True)

    def test_bytes_as_they_are(self):
        """A recording is no text; one of several reads."""
        job = self.driver.enqueue("import os, sys\nfor i in range(300):\n    os.write(1, bytes(range(256)) * 16)\n", output_kb=2000)
        entries = self.driver.follow(job["id"])
        told = [(at.decode(), fields[b"d"]) for at, fields in self.admin.xrange(PREFIX + "frames:" + job["id"]) if fields[b"k"] == b"slice"]
        self.assertEqual([(e["position"], base64.b64decode(e["data"])) for e in entries if e["kind"] == "slice"], told)
        self.assertGreater(sum(len(data) for _, data in told), 300 * 4096)

    def test_a_bare_source(self):
        program = encoded("print(input())")
        job = self.driver.call("enqueue", program=program, fields={"source": "py", "entry": "a.py", "stdin": "typed"})
        self.assertEqual(output(self.driver.follow(job["id"])), "typed\n")

    def test_an_exception(self):
        job = self.driver.enqueue("1 / 0")["id"]
        result = self.driver.call("result", id=job, timeout=pool.PATIENCE)
        self.assertEqual((result["verdict"], result["exit_code"], result["attempt"]), ("exception", 1, 1))
        self.assertIn("ZeroDivisionError", result["sentence"])

    def test_cancel(self):
        later = self.driver.enqueue("print(1)", delay_ms=600000)["id"]
        self.assertGreater(self.driver.call("position", id=later)["wait_ms"], 0)
        self.assertEqual(self.driver.call("cancel", id=later), "cancelled")
        self.assertEqual([entry["data"]["verdict"] for entry in self.driver.follow(later)], ["cancelled"])
        job, _ = self.begun()
        with self.drive() as other:
            self.assertEqual(other.call("position", id=job), {"ahead": 0, "wait_ms": 0})
            self.assertEqual(other.call("cancel", id=job), "requested")
        self.assertEqual(self.rest()[-1]["data"]["verdict"], "cancelled")
        self.assertEqual(self.driver.call("cancel", id=job), "final")

    def test_live_input(self):
        job, entries = self.begun(ASKS, live_input=True)
        with self.drive() as other:
            self.assertEqual(other.call("input", id=job, data=encoded("Grüße\n")), "ok")
            self.check_error(other.call("input", id=job, data=encoded("x" * 65537)), "TooBig", limit=65536)
            self.assertEqual(other.call("input", id=job, data=encoded("end\n"), eof=True), "ok")
        self.assertEqual(output(entries + self.rest()), "begun\ngot Grüße\ngot end\n")
        self.check_error(self.driver.call("input", id=job), "InputRefused", reason="final")
        deaf, later = (self.driver.enqueue(ASKS, delay_ms=600000, live_input=live)["id"] for live in (False, True))
        self.check_error(self.driver.call("input", id=deaf, data=encoded("x")), "InputRefused", reason="refused")
        self.assertEqual(self.driver.call("input", id=later, eof=True), "queued")
        self.check_error(self.driver.call("input", id=later, data=encoded("x")), "InputRefused", reason="closed")
        self.assertEqual([self.driver.call("cancel", id=job) for job in (deaf, later)], ["cancelled"] * 2)

    def test_what_is_refused(self):
        uploads = self.admin.keys(PREFIX + "up:*")
        later = self.driver.enqueue("print(1)", id="of_ours-1", delay_ms=600000)
        self.assertEqual(later["id"], "of_ours-1")
        self.check_error(self.driver.enqueue("print(1)", id="of_ours-1"), "Duplicate", state="queued")
        self.configure(max_jobs=1)
        self.check_error(self.driver.enqueue("print(1)"), "Full", reason="jobs", retry_ms=1000)
        self.configure(max_zip_mb=1)
        program = encoded(b"#" * 1500000)
        self.check_error(self.driver.call("enqueue", program=program, fields={"source": "py", "entry": "a.py"}), "TooBig", limit=1048576)
        self.check_error(self.driver.enqueue("print(1)", color="red"), "BadField", field="color", sentence="there is no such field")
        self.check_error(self.driver.enqueue("print(1)", cpu_ms=1), "BadField", field="cpu_ms")
        self.assertEqual(self.driver.call("cancel", id="of_ours-1"), "cancelled")
        self.assertEqual(self.admin.keys(PREFIX + "up:*"), uploads)

    def test_redis_is_full(self):
        waits = self.driver.enqueue("input()", live_input=1, delay_ms=600000)["id"]
        self.admin.config_set("maxmemory", 1)
        self.check_error(self.driver.enqueue("print(1)"), "Full", reason="memory", retry_ms=1000)
        self.check_error(self.driver.call("input", id=waits, data=encoded("a")), "Full", reason="memory", retry_ms=1000)
        self.admin.config_set("maxmemory", 0)
        self.assertEqual(self.driver.call("cancel", id=waits), "cancelled")

    def test_names_that_are_none(self):
        for id in ("", "a b", "x" * 65, "a\n", "ä", "../a", "a.b"):
            for call in ("follow", "result", "cancel", "input", "exists", "status", "position"):
                self.check_error(self.driver.call(call, id=id), "BadField", field="id")
            self.check_error(self.driver.enqueue("print(1)", id=id), "BadField", field="id")
        for position in ("", "$", "0", "0-0\n", "x-1", "-", "1-1-1", "18446744073709551616-0", "0-99999999999999999999"):
            self.check_error(self.driver.call("follow", id="a", position=position), "BadField", field="position")

    def test_queues_that_are_none(self):
        for name in ("a b", "x" * 65, "a{b}", "ä"):
            done = subprocess.run(self.COMMAND, input="", capture_output=True, text=True, timeout=pool.PATIENCE, env={
                **os.environ, "CLIENTS": CLIENTS, "SOCKET": self.server.socket, "USERNAME": users.WEB,
                "PASSWORD": users.PASSWORD, "QUEUE": name, "PATIENCE": "1"})
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("a queue's name is", done.stderr + done.stdout)

    def test_a_job_that_is_not_there(self):
        for call in ("follow", "result", "cancel", "input", "status"):
            self.check_error(self.driver.call(call, id="nobody"), "NoSuchJob")
        self.assertIsNone(self.driver.call("position", id="nobody"))
        self.assertIs(self.driver.call("exists", id="nobody"), False)

    def test_a_job_that_is_gone_while_it_is_followed(self):
        job = self.driver.enqueue("print(1)", delay_ms=600000)["id"]
        self.driver.begin("follow", id=job)
        self.wait_for_a_reader()
        self.driver_cancels(job)
        self.admin.delete(PREFIX + "frames:" + job)
        self.check_error(self.driver.answer(), "NoSuchJob")

    def driver_cancels(self, job):
        """In one step also what it leaves is gone, before anybody can read it."""
        with self.admin.pipeline() as pipe:
            pipe.execute_command("FCALL", "paddock_cancel", 1, PREFIX + "open", job)
            pipe.delete(PREFIX + "job:" + job, PREFIX + "frames:" + job)
            pipe.execute()

    def wait_for_a_reader(self):
        """Who waits in a blocked XREAD, as users.WEB."""
        def readers():
            return [c for c in self.admin.client_list() if c["user"] == users.WEB and c["cmd"] == "xread" and "b" in c["flags"]]
        return pool.wait_until(readers, "somebody waits for entries")

    def test_an_end_that_does_not_come(self):
        job = self.driver.enqueue("print(1)", delay_ms=600000)["id"]
        self.check_error(self.driver.call("result", id=job, timeout=0.2), self.TIMED_OUT)
        self.check_error(self.driver.call("follow", id=job, timeout=0.2), self.TIMED_OUT)
        self.driver.call("cancel", id=job)

    def test_a_result_that_is_waited_for(self):
        job = self.driver.enqueue("print(1)", delay_ms=600000)["id"]
        self.driver.begin("result", id=job, timeout=pool.PATIENCE)
        self.wait_for_a_reader()
        with self.drive() as other:
            other.call("cancel", id=job)
        self.assertEqual(self.driver.answer()["verdict"], "cancelled")

    def test_from_each_position(self):
        job = self.driver.enqueue("for i in range(9): print('x' * 30000, flush=True)", recording_kb=1024)["id"]
        entries = self.driver.follow(job)
        self.assertGreater(len(entries), 3)
        for i, entry in enumerate(entries):
            self.assertEqual(self.driver.follow(job, position=entry["position"]), entries[i + 1:])
        self.assertEqual(self.driver.follow(job, position=BEFORE_RESULT), entries[-1:])

    def test_what_a_lost_relay_sends_late(self):
        """The Stream of a job whose first attempt was lost: left out is what comes of it behind the second one's state."""
        self.admin.hset(PREFIX + "job:twice", mapping={"state": "done", "attempt": 2})
        rows = [("1-0", "state", 1), ("2-0", "slice", 1), ("3-0", "state", 2), ("4-0", "slice", 1), ("5-0", "slice", 2), (END, "result", 2)]
        for at, kind, attempt in rows:
            self.admin.xadd(PREFIX + "frames:twice", {"k": kind, "a": attempt, "d": '{"n": 1}'}, id=at)
        self.addCleanup(self.admin.delete, PREFIX + "job:twice", PREFIX + "frames:twice")
        for position, rest in (("0-0", [0, 1, 2, 4, 5]), ("1-0", [1, 2, 4, 5]), ("3-0", [4, 5]), ("5-0", [5]), (END, [])):
            found = self.driver.follow("twice", position=position)
            self.assertEqual([(e["position"], e["kind"], e["attempt"]) for e in found], [rows[i] for i in rest], position)

    def kill_connections(self):
        """Of the web tier; returns how many."""
        return self.admin.execute_command("CLIENT", "KILL", "USER", users.WEB)

    def test_connections_killed(self):
        """In the midst: nothing is lost, and nothing comes twice."""
        job, entries = self.begun(ASKS, live_input=1)
        for i in range(5):
            self.wait_for_a_reader()
            self.assertGreater(self.kill_connections(), 0)
            self.admin.execute_command("FCALL", "paddock_input", 1, PREFIX + "open", job, f"{i}\n")
            while f"got {i}\n" not in output(entries):
                entries.append(self.driver.entry())
        self.admin.execute_command("FCALL", "paddock_input", 1, PREFIX + "open", job, "", "eof")
        entries += self.rest()
        self.assertEqual(positions(entries), self.all_of(job))
        self.assertEqual(output(entries), "begun\n" + "".join(f"got {i}\n" for i in range(5)))
        self.assertIs(self.driver.call("exists", id=job), True)

    def test_redis_away_and_back(self):
        job, entries = self.begun(ASKS, live_input=1)
        self.wait_for_a_reader()
        self.server.stop()
        self.start_again()
        self.admin.execute_command("FCALL", "paddock_input", 1, PREFIX + "open", job, "back\n", "eof")
        entries += self.rest()
        self.assertEqual(positions(entries), self.all_of(job))
        self.assertEqual(output(entries), "begun\ngot back\n")
        self.assertEqual(output(self.driver.follow(self.driver.enqueue("print(1)")["id"])), "1\n")

    def test_redis_away_for_good(self):
        with pool.RedisServer("--aclfile", self.options[1]) as server, self.drive(server.socket, patience=HASTY) as driver:
            self.assertIs(driver.call("exists", id="a"), False)
            server.stop()
            if self.FAILS:
                self.assertIn("error", driver.call("exists", id="a"))
            server.start("--aclfile", self.options[1])
            pool.wait_until(lambda: driver.call("exists", id="a") is False, "it is there again")

    def test_a_limit_where_a_connection_is_lost(self):
        """What is asked once more is asked for what is left of it."""
        blocks = []

        def hook(when, words):
            if when == "before" and words[0] == "XREAD":
                blocks.append(int(words[words.index("BLOCK") + 1]))
                if len(blocks) == 1:
                    time.sleep(1)
                    raise proxy.Torn

        job = self.driver.enqueue("print(1)", delay_ms=600000)["id"]
        with proxy.Proxy(self.server.socket) as way, self.drive(way.socket, RESP="2") as driver:
            way.hook = hook
            self.check_error(driver.call("result", id=job, timeout=1.8), self.TIMED_OUT)
        self.driver.call("cancel", id=job)
        if self.BLOCKS:
            self.assertLess(blocks[1], blocks[0] - 900, blocks)

    def test_a_limit_while_redis_is_away(self):
        """It is one in all, however long calls would be repeated."""
        with pool.RedisServer("--aclfile", self.options[1]) as server, self.drive(server.socket) as driver:
            self.assertIs(driver.call("exists", id="a"), False)
            server.stop()
            for call in "result", "follow":
                self.check_error(driver.call(call, id="a", timeout=0.3), self.TIMED_OUT)
            server.start("--aclfile", self.options[1])
            pool.wait_until(lambda: driver.call("exists", id="a") is False, "it is there again")

    def test_a_redis_without_a_pool(self):
        with pool.RedisServer("--aclfile", self.options[1]) as server, self.drive(server.socket) as driver:
            self.check_error(driver.enqueue("print(1)"), "NoPool")
            self.check_error(driver.call("position", id="a"), "NoPool")
            self.assertIs(driver.call("exists", id="a"), False)

    def lost(self, moment, before=lambda: None):
        """What enqueue says whose connection is lost once, when its call, or the answer of it, is under way."""
        torn = []

        def hook(when, words):
            if when == moment and words[:2] == ["FCALL", "paddock_enqueue"] and not torn:
                torn.append(words)
                raise proxy.Torn
            if when == "before" and words[0] == "TIME":
                time.sleep(0.1)  # a way that is slow
        with proxy.Proxy(self.server.socket) as way, self.drive(way.socket, RESP="2") as driver:
            way.hook = hook
            answer = driver.enqueue("print(1)", id="once-" + moment)
            self.assertEqual(len(torn), 1)
            return answer, (driver.call("result", id="once-" + moment)["verdict"] if "error" not in answer else "")

    def test_an_enqueue_whose_connection_is_lost(self):
        for moment in ("before", "after"):
            self.assertEqual(self.lost(moment), ({"id": "once-" + moment, "position": 0}, "ok"))
            self.check_error(self.driver.enqueue("print(1)", id="once-" + moment), "Duplicate", state="done")
            enqueued = int(self.admin.hget(PREFIX + "job:once-" + moment, "enqueued_ms"))
            self.admin.hset(PREFIX + "job:once-" + moment, "enqueued_ms", enqueued - 3600000)
            self.check_error(self.lost(moment)[0], "Duplicate", state="done")


class Python(Cases, unittest.TestCase):
    COMMAND = [sys.executable, os.path.join(HERE, "driver.py")]


class PythonOfTexts(Cases, unittest.TestCase):
    """A connection that makes texts of what Redis says."""

    COMMAND = Python.COMMAND
    EXTRA = {"DECODE": "1"}


class Php(Cases, unittest.TestCase):
    COMMAND = ["php", os.path.join(HERE, "driver.php")]
    TIMED_OUT = "TimedOut"


class Node5(Cases, unittest.TestCase):
    """What the gateway uses. Of its versions this one alone is for node 18 and later."""

    VERSION = "redis"
    FAILS = False  # unless it is told so, it waits as long as its library tries
    BLOCKS = False  # for all who follow: a limit is each one's own

    @classmethod
    def setUpClass(cls):
        npm.install(os.path.join(HERE, "packages"), PACKAGES)
        cls.COMMAND = ["node", os.path.join(HERE, "driver.mjs"), os.path.join(PACKAGES, "node_modules", cls.VERSION)]
        super().setUpClass()

    def test_followers_who_leave_at_once(self):
        """The connection that waits for them is closed, also where it was not there yet; the driver ends."""
        def connections():
            return sum(c["user"] == users.WEB for c in self.admin.client_list())

        job, _ = self.begun()
        with self.drive() as driver:
            driver.call("exists", id=job)
            before = connections()
            driver.call("churn", id=job, times=200)
            pool.wait_until(lambda: connections() == before, "nobody waits any more")
        self.admin.execute_command("FCALL", "paddock_cancel", 1, PREFIX + "open", job)
        self.rest()

    def test_types(self):
        types = ["--typeRoots", os.path.join(PACKAGES, "node_modules", "@types"), "--types", "node", "--module", "node16"]
        self.assertEqual(npm.check_types(PACKAGES, os.path.join(CLIENTS, "paddock.js"), words=types), "")


class Node4(Node5):
    """That of Debian 12."""

    VERSION = "redis-4"


def version_of_node():
    return int(subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True).stdout.strip("v\n").split(".")[0])


@unittest.skipIf(version_of_node() < 20, "node-redis 6 is for node 20 and later")
class Node6(Node5):
    """Which speaks RESP3."""

    VERSION = "redis-6"


if __name__ == "__main__":
    unittest.main()
