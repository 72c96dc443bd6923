# SPDX-License-Identifier: MIT
"""`paddock top` of a real pool: what its workers do and have done, what the queue says, and what is shown where one of the
two is not there."""

import fcntl
import itertools
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import unittest

import pool
import proxy
from command import PADDOCK, Command
from command_test import FarRedis


class Top(Command):
    def top(self, p, *words):
        return self.paddock("top", "--once", *words, "--runtime-dir", p.runtime)

    def look(self, p):
        done = self.top(p, "--json")
        self.check(done, 0, err="")
        return json.loads(done.stdout)

    def test_what_becomes_of_jobs(self):
        with pool.Pool(workers=2) as p:
            slow = pool.make_zip("import time\ntime.sleep(600)")
            running = p.client.enqueue(slow, tenant="team-7")
            pool.wait_until(lambda: p.client.job(running).get("state") == b"running", "it runs")
            for source in ("print(1)", "1/0", "1/0", "exit(3)"):
                last = p.client.run(source, tenant="short")
            p.client.enqueue(slow, tenant="later", delay_ms="600000")
            seen = self.look(p)
            queue, = seen["queues"]
            self.assertEqual((seen["kind"], queue["queue"], seen["workers"], seen["busy"]), ("top", p.queue, 2, 1))
            self.assertEqual(seen["verdicts"], {"ok": 1, "exception": 2, "exit": 1})
            self.assertEqual((seen["jobs"], queue["running"], queue["waiting"], queue["delayed"], seen["lost"]), (4, 1, 0, 1, 0))
            self.assertGreaterEqual(seen["sandboxes"], 5)
            self.assertGreater(seen["slices"], 0)
            self.assertEqual(queue["tenants"], [{"tenant": "team-7", "waiting": 0, "running": 1}])
            busy, = [slot for slot in seen["slots"] if slot["state"] == "running"]
            self.assertEqual((busy["job"], busy["tenant"], busy["attempt"]), (running, "team-7", 1))
            idle, = [slot for slot in seen["slots"] if slot["state"] == "idle"]
            self.assertEqual((idle["jobs"], "job" in idle), (4, False))
            self.assertEqual((idle["last_job"], idle["last_verdict"], "last_job" in busy), (last.result["id"], "exit", False))
            self.assertEqual(idle["about"], "waits for a job, with a sandbox ready")
            self.assertEqual({slot["pid"] for slot in seen["slots"]}, set(p.relays()))
            text = self.top(p).stdout
            for words in (f"queue {p.queue}, up ", "workers 2, 1 busy, zygote ready", "running 1, delayed 1", "exception 2",
                          running, "team-7", f"(waits for a job, with a sandbox ready)  before: {last.result['id']} exit, "):
                self.assertIn(words, text)
            p.client.cancel(running)
            p.client.wait(running)
            self.assertEqual(self.look(p)["verdicts"]["cancelled"], 1)

    def test_what_has_died(self):
        """The slot of a dead relay, and of one that was killed while it wrote, goes on with its count."""
        with pool.Pool(workers=1) as p:
            self.assertEqual(p.client.run("print(1)").verdict, "ok")
            for _ in range(2):
                relay, = p.relays()
                os.kill(relay, signal.SIGKILL)
                pool.wait_until(lambda: p.relays() not in ([], [relay]) and p.client.run("1").verdict == "ok", "there is another")
            os.kill(p.zygote(), signal.SIGKILL)
            self.assertEqual(p.client.run("print(1)").verdict, "ok")
            seen = self.look(p)
            self.assertEqual((seen["relay_deaths"], seen["zygote_deaths"], seen["zygotes"]), (2, 1, 2))
            self.assertGreaterEqual(seen["verdicts"]["ok"], 2)  # one that is killed at once has not counted yet

    def test_who_stands_still(self):
        with pool.Pool(workers=1) as p:
            relay, = p.relays()
            os.kill(relay, signal.SIGSTOP)
            pool.wait_until(lambda: " STILL " in self.top(p).stdout, "it is seen")
            os.kill(relay, signal.SIGCONT)
            pool.wait_until(lambda: " idle " in self.top(p).stdout, "it goes on")

    def test_a_supervisor_that_was_killed(self):
        """Nobody was left to say so: it is seen all the same, and that another one is there then."""
        with pool.RedisServer() as server, pool.Pool(workers=1, redis=server.address) as p:
            self.assertEqual(self.look(p)["gone"], 0)
            p.process.kill()
            self.assertIsNotNone(p.process.wait())
            shown = self.top(p)
            self.check(shown, 0)
            self.assertIn(f"queue {p.queue}, KILLED: its supervisor, process {p.process.pid}, is gone\n", shown.stdout)
            self.assertNotIn("zygote ready", shown.stdout)
            self.assertEqual(self.look(p)["gone"], 1)
            p.start()
            self.assertIn("zygote ready", self.top(p).stdout)

    def test_of_a_pool_that_follows(self):
        """It is shown as soon as it is there, by the one that is looked at already; its queue, too, which is in another Redis."""
        with pool.RedisServer() as server, pool.RedisServer() as other, pool.Pool(workers=1, redis=server.address) as p:
            with subprocess.Popen([PADDOCK, "top", "--json", "--runtime-dir", p.runtime], stdout=subprocess.PIPE) as process:
                self.addCleanup(process.kill)
                self.assertEqual(json.loads(process.stdout.readline())["slots"][0]["pid"], p.relays()[0])
                p.stop()
                p.options["redis"] = other.address
                p.start()
                client = pool.Client(other.connect(), p.queue)
                client.run("print(1)")
                client.enqueue(pool.make_zip("print(2)"), delay_ms="600000")
                for line in itertools.islice(process.stdout, 20):
                    seen = json.loads(line)
                    if [slot["pid"] for slot in seen["slots"]] == p.relays() and seen["queues"][0].get("delayed") == 1:
                        break
                self.assertEqual([slot["pid"] for slot in seen["slots"]], p.relays())
                self.assertEqual(seen["queues"][0].get("delayed"), 1, seen["queues"])
                process.terminate()

    def test_without_redis(self):
        with FarRedis() as server:
            with pool.Pool(workers=1, redis=server.address) as p:
                p.client.run("print(1)")
                pool.wait_until(lambda: self.look(p)["slots"][0]["state"] == "idle", "its result was handed in")
                server.process.kill()
                server.process.wait()
                pool.wait_until(lambda: self.look(p)["slots"][0]["state"] == "no redis", "it is noticed")
                seen = self.look(p)
                self.assertIn("redis_error", seen["queues"][0])
                self.assertEqual(seen["verdicts"], {"ok": 1})
                self.assertIn("no redis", self.top(p).stdout)

    def test_while_redis_stands_still(self):
        """Of several queues it is waited for once, and each shows that it is not known."""
        names = ["a", "b", "c", "d"]
        with (pool.RedisServer() as server, proxy.Proxy(server.socket) as proxied,
              pool.Pool(workers=1, redis=proxied.address, queue=" ".join(names)) as p):
            proxied.hole()
            top = subprocess.Popen([PADDOCK, "top", "--once", "--json", "--runtime-dir", p.runtime], stdout=subprocess.PIPE)
            seen = json.loads(top.communicate()[0])
            self.assertEqual([queue["queue"] for queue in seen["queues"]], names)
            self.assertEqual([queue for queue in seen["queues"] if "redis_error" not in queue], [])
            # Of two looks, a second apart, one is at the scoreboard alone.
            self.assertEqual(len([way for way in proxied.connections if way.pid == top.pid]), 1)
            proxied.mend()

    def test_of_a_redis_alone(self):
        """A pool of another machine: what its queue says."""
        with FarRedis() as server, pool.Pool(workers=1, redis=server.address) as p:
            p.client.run("print(1)")
            seen = json.loads(self.paddock("top", "--once", "--json", "--redis", server.address, "--queue", p.queue).stdout)
            queue, = seen["queues"]
            self.assertEqual((queue["queue"], queue["waiting"], queue["running"], "slots" in seen), (p.queue, 0, 0, False))

    def test_a_queue_that_is_paused(self):
        with pool.Pool(workers=1) as p:
            self.paddock("pause", "\33[2Jlunch", "--runtime-dir", p.runtime)
            text = self.top(p).stdout
            self.assertIn("PAUSED: ", text)
            self.assertNotIn("\33", text)

    def test_of_another_queue(self):
        """Whose figures these are is said, unless they are of the one that the pool's own line names."""
        with FarRedis() as server, pool.Pool(workers=1, redis=server.address) as p:
            other = pool.Client(p.redis, "other")
            other.enqueue(pool.make_zip("print(1)"), tenant="team-7")
            own = self.top(p).stdout
            self.assertIn(f"queue {p.queue}, up ", own)
            self.assertIn("\nwaiting 0, ", own)
            for where in ["--runtime-dir", p.runtime], ["--redis", server.address]:
                shown = self.paddock("top", "--once", "--queue", "other", *where).stdout
                self.assertIn("\nother: waiting 1 ", "\n" + shown)
                self.assertIn("\nWAITING RUNNING  TENANT OF other\n", shown)

    def test_where_there_is_none(self):
        self.check(self.paddock("top", "--once", "--runtime-dir", self.path("nothing")), 100, out="", err="no pool runs here")
        self.check(self.paddock("top", "word"), 2, out="", err="usage: paddock top")
        self.check(self.paddock("top", "--redis", "127.0.0.1:1", "--once"), 100, out="", err="127.0.0.1:1")
        folder = os.path.dirname(self.path("old/pool", "redis=unix:/nowhere\nqueue=x\n"))
        self.check(self.paddock("top", "--runtime-dir", folder, "--once"), 100, out="", err="scoreboard: No such file")
        self.path("old/scoreboard", b"x" * 100)
        self.check(self.paddock("top", "--runtime-dir", folder, "--once"), 100, out="", err="another version of Paddock")

    def test_on_a_terminal_until_somebody_ends_it(self):
        with pool.Pool(workers=8) as p:
            master, slave = pty.openpty()
            self.addCleanup(os.close, master)
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 6, 30, 0, 0))
            process = subprocess.Popen([PADDOCK, "top", "--runtime-dir", p.runtime], stdout=slave, stderr=slave)
            os.close(slave)
            seen = b""
            while seen.count(b"\33[H\33[J") < 3:
                seen += os.read(master, 4096)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(pool.PATIENCE), 0)
            for screen in seen.split(b"\33[H\33[J")[1:3]:
                lines = screen.decode().replace("\r", "").split("\n")
                self.assertLessEqual(len(lines), 6)
                self.assertLessEqual(max(map(len, lines)), 30)

    def test_the_reader_has_seen_enough(self):
        with pool.Pool(workers=1) as p:
            process = subprocess.Popen([PADDOCK, "top", "--json", "--runtime-dir", p.runtime], stdout=subprocess.PIPE)
            self.assertEqual(json.loads(process.stdout.readline())["queues"][0]["queue"], p.queue)
            process.stdout.close()
            self.assertIn(process.wait(pool.PATIENCE), (0, 141))


if __name__ == "__main__":
    unittest.main()
