# SPDX-License-Identifier: MIT
"""A Redis with the users of deploy/redis-users.acl: a pool, a backend and an operator do their work, and nothing is refused to
them. (tests/queue/acl_test.py asks of each right whether it is needed.)"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

import redis

import pool
import recording
from command import Command
from command_test import FarRedis

sys.path.insert(0, os.path.join(pool.ROOT, "tests", "queue"))
import users

QUEUE = "default"
ADMIN = "user admin on nopass ~* &* +@all\n"


class Users(Command):
    def setUp(self):
        super().setUp()
        path = self.path("users.acl", users.read() + ADMIN)
        self.options = "--aclfile", path, "--appendonly", "yes"
        self.server = self.enterContext(FarRedis(*self.options))
        self.admin = self.connect("admin")
        self.web = pool.Client(self.connect(users.WEB), QUEUE)
        self.addCleanup(self.check_that_nothing_was_refused)

    def check_that_nothing_was_refused(self):
        with redis.Redis(unix_socket_path=self.server.socket, username="admin", password=users.PASSWORD) as admin:
            self.assertEqual(admin.acl_log(), [])

    def connect(self, name):
        connection = redis.Redis(unix_socket_path=self.server.socket, username=name, password=users.PASSWORD)
        self.addCleanup(connection.close)
        return connection

    def address(self, name):
        return f"redis://{name}:{users.PASSWORD}@{self.server.address}"

    def pool(self, **options):
        return pool.Pool(**{"workers": 2, "queue": QUEUE, "redis": self.address(users.WORKER), **options})

    def begun(self, job):
        pool.wait_until(lambda: self.web.job(job).get("state") == b"running", "it runs")
        return job

    def call(self, function, job, *words):
        return self.web.redis.execute_command("FCALL", "paddock_" + function, 1, self.web.key("open"), job, *words).decode()

    def commands_own(self):
        """What a pool's configuration says for the commands of its machine."""
        return {"redis_web": self.address(users.WEB), "redis_operator": self.address(users.OPERATOR)}

    def as_user(self, name, *words, **options):
        """The command, with a `pool` file of this user."""
        path = self.path(f"{name}/pool", f"redis={self.address(name)}\nqueue={QUEUE}\n")
        os.chmod(path, 0o600)
        return self.paddock(*words, "--runtime-dir", os.path.dirname(path), **options)

    def test_jobs_of_a_backend(self):
        with self.pool():
            job = self.web.run("print('x' * 300000)", trace="lines")
            self.assertEqual((job.verdict, len(recording.text(recording.decode(job.recording)))), ("ok", 300001))
            asks = self.web.enqueue(pool.make_zip("print('Hello', input())"), live_input="1")
            self.assertIn(self.call("input", asks, "Ada\n", "eof"), ("ok", "queued"))
            self.assertEqual(recording.text(recording.decode(self.web.wait(asks).recording)), "Hello Ada\n")
            running = [self.begun(self.web.enqueue(pool.make_zip("while True: pass"))) for _ in range(2)]
            first = self.web.enqueue(pool.make_zip("print(1)"))
            second = self.web.enqueue(pool.make_zip("print(1)"), replace="1")
            self.assertEqual(self.web.wait(first).verdict, "cancelled")
            later = self.web.enqueue(pool.make_zip("print(1)"), delay_ms="999999")
            self.assertEqual(self.call("cancel", later), "cancelled")
            self.assertEqual([self.call("cancel", job) for job in running], ["requested"] * 2)
            self.assertEqual({self.web.wait(job).verdict for job in running}, {"cancelled"})
            self.assertEqual(self.web.wait(second).verdict, "ok")

    def test_jobs_that_are_lost(self):
        with self.pool(workers=1, max_deliveries=2) as p:
            job = self.begun(self.web.enqueue(pool.make_zip("while True: pass"), wall_ms="600000", cpu_ms="600000"))
            for attempt in (b"1", b"2"):
                pool.wait_until(lambda: (self.web.job(job)["attempt"], self.web.job(job)["state"]) == (attempt, b"running"), "it runs")
                os.kill(p.relays()[0], signal.SIGKILL)
            self.assertEqual(self.web.wait(job).result["state"], "dead")

    def test_jobs_that_are_given_back(self):
        program = "while 'now' not in input(): pass\nprint('done')\n"
        with self.pool(workers=1, drain_s=0):
            job = self.begun(self.web.enqueue(pool.make_zip(program), live_input="1", wall_ms="600000"))
        self.assertEqual(self.web.job(job)["state"], b"queued")
        with self.pool(workers=1):
            self.assertIn(self.call("input", job, "now\n"), ("ok", "queued"))
            self.assertEqual(self.web.wait(job).verdict, "ok")

    def test_a_restart(self):
        """Redis reads its log again as its default user, who is off: what a call has written in steps is there all the same."""
        with self.pool(workers=1):
            done, later = self.web.run("print(1)"), self.web.enqueue(pool.make_zip("print(1)"), delay_ms="999999")
        recordings = self.admin.keys("*frames:*")
        self.server.stop()
        self.server.start(*self.options)
        pool.wait_until(lambda: pool.is_there(self.admin), "it has loaded what it keeps")
        self.assertEqual((done.verdict, self.web.job(later)["state"], self.admin.keys("*frames:*")), ("ok", b"queued", recordings))

    def test_the_library_comes_back(self):
        with self.pool(workers=1):
            self.admin.function_flush()
            pool.wait_until(lambda: b"paddock" in str(self.admin.function_list()).encode(), "it is loaded again")
            self.assertEqual(self.web.run("print(1)").verdict, "ok")

    def test_the_command(self):
        file = self.path("robot.py", "print(input())\n")
        with self.pool(workers=1):
            done = self.as_user(users.WEB, "submit", file, "--live-input", "--id", "a")
            self.check(done, 0)
            self.check(self.as_user(users.WEB, "input", "a", "--eof", stdin="typed\n"), 0)
            self.check(self.as_user(users.WEB, "follow", "a"), 0, "typed\n")
            self.check(self.as_user(users.WEB, "trace", "a"), 0)
            self.check(self.as_user(users.WEB, "status", "a"), 0)
            self.check(self.as_user(users.WEB, "cancel", "a"), 1)
            self.check(self.as_user(users.OPERATOR, "pause", "a reason"), 0)
            done = self.as_user(users.OPERATOR, "status", "--json")
            self.check(done, 0)
            self.assertEqual(json.loads(done.stdout)["paused"], "a reason")
            self.check(self.as_user(users.OPERATOR, "resume"), 0)
            self.check(self.as_user(users.OPERATOR, "dead", "list"), 0, "")
            self.check(self.as_user(users.OPERATOR, "status", "a"), 0)

    def test_commands_of_this_machine(self):
        """Are users of their own, as the pool's configuration says."""
        file = self.path("robot.py", "print('hello')\n")
        with self.pool(**self.commands_own()) as p:
            def paddock(*words, out=None):
                self.check(self.paddock(*words, "--runtime-dir", p.runtime), 0, out)

            paddock("submit", file, "--id", "a", "--trace", "calls")
            paddock("follow", "a", out="hello\n")
            paddock("trace", "a")
            paddock("save", "a", "--output", self.path("a"))
            paddock("status", "a")
            paddock("pause", "maintenance")
            paddock("submit", file, "--id", "b")
            paddock("cancel", "b", out="cancelled\n")
            paddock("resume", out="resumed\n")
            paddock("dead", "list", out="")
            paddock("dead", "drop", "--all", out="dropped 0\n")
            paddock("status")
            done = self.paddock("top", "--once", "--json", "--runtime-dir", p.runtime)
            self.check(done, 0)
            self.assertEqual(json.loads(done.stdout)["queues"][0].get("waiting"), 0)

    def test_the_load_test(self):
        """Is what the pool's file says for a backend; a password on its command line is there no more when it submits."""
        few = [os.path.join(pool.ROOT, "deploy", "loadtest"), "--jobs", "1", "--mix", "short"]
        with self.pool(**self.commands_own()) as p:
            done = subprocess.run([*few, "--runtime-dir", p.runtime], capture_output=True, text=True, timeout=pool.PATIENCE)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done)
            self.admin.execute_command("FCALL", "paddock_pause", 1, self.web.key("open"))
            with subprocess.Popen([*few, "--redis", self.address(users.WEB)], stdout=subprocess.DEVNULL) as test:
                pool.wait_until(lambda: self.admin.zcard(self.web.key("open")) == 1, "its job waits")
                with open(f"/proc/{test.pid}/cmdline", encoding="ascii") as file:
                    words = file.read().split("\0")
                self.admin.execute_command("FCALL", "paddock_resume", 1, self.web.key("open"))
                self.assertEqual(test.wait(pool.PATIENCE), 0)
        self.assertIn(f"redis://***@{self.server.address}", words)
        self.assertNotIn(users.PASSWORD, " ".join(words))

    def test_a_right_that_is_missing(self):
        """The relay says so, waits, and goes on when it has it."""
        for right in ("fcall|paddock_claim", "zrange"):
            with self.subTest(right), self.pool(workers=1) as p:
                without = [word for word in users.rules()[users.WORKER] if word != "+" + right]
                self.admin.execute_command("ACL", "SETUSER", users.WORKER, "reset", *without)
                job = self.web.enqueue(pool.make_zip("print(1)"))
                pool.wait_until(lambda: "(an ACL" in p.read_log(), "it is refused")
                self.admin.execute_command("ACL", "SETUSER", users.WORKER, "+" + right)
                self.assertEqual(self.web.wait(job).verdict, "ok")
        self.admin.acl_log_reset()

    def test_rights_that_go_while_jobs_run(self):
        """Whatever was half done: each job still comes to one result, as soon as the right is back."""
        with self.pool(workers=2) as p:
            self.web.run("print(0)")
            for right in ("hset", "unlink", "zadd", "hincrby", "xadd", "expire"):
                with self.subTest(right):
                    jobs = [self.web.enqueue(pool.make_zip("import time\ntime.sleep(0.3)")) for _ in range(4)]
                    self.begun(jobs[1])
                    self.admin.execute_command("ACL", "SETUSER", users.WORKER, "-" + right)
                    seen = p.read_log().count("(an ACL")
                    pool.wait_until(lambda: p.read_log().count("(an ACL") > seen, "it is refused")
                    time.sleep(2)
                    self.admin.execute_command("ACL", "SETUSER", users.WORKER, "+" + right)
                    for job in jobs:
                        self.assertEqual(self.web.wait(job).verdict, "ok")
                        kinds = [fields[b"k"] for _, fields in self.web.redis.xrange(self.web.key("frames:", job))]
                        self.assertEqual(kinds.count(b"result"), 1)
                    self.assertEqual(self.web.redis.zcard(self.web.key("open")), 0)
        self.admin.acl_log_reset()

    def test_each_right_that_is_missing_is_said(self):
        """Once while that goes on, also where one is behind the other, and where what only reads is answered in between."""
        with self.pool(workers=1) as p:
            self.web.run("print(0)")
            for right in ("-xrange", "-hset", "-fcall_ro"):
                self.admin.execute_command("ACL", "SETUSER", users.WORKER, right)
            self.web.enqueue(pool.make_zip("print(1)"))
            pool.wait_until(lambda: p.read_log().count("(an ACL") >= 2, "it is refused")
            time.sleep(5)
            self.admin.execute_command("ACL", "SETUSER", users.WORKER, "+hset")
            time.sleep(3)
            said = re.findall(r'warning relay-0\[\d+\] .*?"(.*?)".*\(an ACL', p.read_log())
            self.assertEqual(len(said), len(set(said)), said)
            for right in "XRANGE", "fcall_ro":
                self.assertTrue(any(right in one for one in said), said)
            for right in ("+xrange", "+fcall_ro"):
                self.admin.execute_command("ACL", "SETUSER", users.WORKER, right)
        self.admin.acl_log_reset()

    def test_a_program_that_cannot_be_read(self):
        """Its job is not renewed for ever: it is lost, and runs when it can."""
        with self.pool(workers=1) as p:
            self.admin.execute_command("ACL", "SETUSER", users.WORKER, "-getrange", "(+getrange ~*:in:*)")
            job = self.web.enqueue(pool.make_zip("print(1)"))
            pool.wait_until(lambda: f"job={job} attempt=1 lost: its ZIP could not be read in time" in p.read_log(), "it is lost")
            self.admin.execute_command("ACL", "SETUSER", users.WORKER, "+getrange", "clearselectors")
            ended = self.web.wait(job)
            self.assertEqual((ended.verdict, ended.attempt), ("ok", b"2"))
        self.admin.acl_log_reset()

    def test_another_work_than_ones_own(self):
        with self.pool(workers=1):
            self.check(self.as_user(users.WEB, "pause"), 100, "", "Redis answers to paddock_pause: NOPERM this user has no permissions")
            with self.pool(workers=1) as p:
                done = self.paddock("pause", "--runtime-dir", p.runtime)
                self.check(done, 100, "", "(this is the user paddock-worker; redis_web and redis_operator in paddock.conf name others, or a file `pool`")
            self.check(self.as_user(users.OPERATOR, "cancel", "a"), 100, "", "Redis answers to paddock_cancel: NOPERM this user has no permissions")
        self.assertGreater(len(self.admin.acl_log()), 0)
        self.admin.acl_log_reset()

    def test_who_may_not_follow(self):
        """Is told so once, and asks no more."""
        with self.pool(workers=1):
            job = self.web.enqueue(pool.make_zip("print(1)"))
            self.web.wait(job)
            self.check(self.as_user(users.OPERATOR, "follow", job), 99, "", "paddock: Redis answers to XREAD: NOPERM ")
            self.check(self.as_user(users.OPERATOR, "trace", job), 99, "", "paddock: Redis answers to XREVRANGE: NOPERM ")
            self.admin.execute_command("ACL", "SETUSER", users.WEB, "-hgetall")
            self.check(self.as_user(users.WEB, "follow", "nobody"), 99, "", "paddock: Redis answers to HGETALL: NOPERM ")
        self.assertEqual([row["count"] for row in self.admin.acl_log()], [1, 1, 1])
        self.admin.acl_log_reset()


if __name__ == "__main__":
    unittest.main()
