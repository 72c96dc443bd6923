# SPDX-License-Identifier: MIT
"""Figures and health of a real pool over HTTP: right, green only when a job could run, and told by a process that can do
nothing else."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import threading
import unittest

import pool
from command import Command
from command_test import FarRedis

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
MANUAL = os.path.join(ROOT, "docs", "man", "paddock-supervisor.8")
EXPOSITION = os.path.join(ROOT, "supervisor", "metrics", "exposition.c")
LINE = re.compile(r'(?:# (?:HELP|TYPE) paddock_\w+ .+|paddock_\w+(?:\{\w+="[^"\\\n]*"(?:,\w+="[^"\\\n]*")*\})? -?[0-9.e+-]+)')


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Metrics(Command):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"

    def get(self, path, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=pool.PATIENCE)
        connection.request(method, path)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode(), answer.getheader("Content-Type")
        connection.close()
        return found

    def figures(self):
        status, text, kind = self.get("/metrics")
        self.assertEqual((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"))
        for line in text.splitlines():
            self.assertRegex(line, LINE)
        rows = [line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#"]
        self.assertEqual(len({name for name, _ in rows}), len(rows))
        return {name: float(value) for name, value in rows}

    def wait_for_health(self, status, words=""):
        found = pool.wait_until(lambda: (answer := self.get("/health"))[0] == status and words in answer[1] and answer,
                                f"health is {status}: {words}")
        self.assertEqual(self.figures()["paddock_healthy"], float(status == 200))
        return found

    def metrics_pid(self, p):
        pid, = p.processes("paddock-metrics")
        return pid

    def test_figures(self):
        with pool.Pool(workers=2, metrics=self.address) as p:
            for source in ("print(1)", "1/0", "1/0"):
                p.client.run(source)
            p.client.enqueue(pool.make_zip("1"), delay_ms="600000")
            long = p.client.enqueue(pool.make_zip("import time\ntime.sleep(600)"))
            pool.wait_until(lambda: (now := self.figures())['paddock_queue_running{queue="test"}'] == now['paddock_queue_delayed{queue="test"}'] == 1,
                            "the queue's figures come in")
            pool.wait_until(lambda: sum(self.figures()[f'paddock_jobs_total{{verdict="{name}"}}'] for name in ("ok", "exception")) == 3,
                            "all are counted")
            found = self.figures()
            for name, value in (('jobs_total{verdict="ok"}', 1), ('jobs_total{verdict="exception"}', 2), ('queue_delayed{queue="test"}', 1),
                                ('workers{state="running"}', 1), ('workers{state="idle"}', 1), ("job_wait_seconds_count", 4),
                                ("job_run_seconds_count", 3), ('job_run_seconds_bucket{le="+Inf"}', 3), ("zygotes_total", 1),
                                ("workers_wanted", 2), ('queue_waiting{queue="test"}', 0), ('queue_paused{queue="test"}', 0), ("healthy", 1)):
                self.assertEqual(found["paddock_" + name], value, name)
            for name in ("job_wait_seconds", "job_run_seconds"):
                buckets = [value for key, value in found.items() if key.startswith(f"paddock_{name}_bucket")]
                self.assertEqual(buckets, sorted(buckets))
                self.assertEqual(len(buckets), 17)
            self.assertGreaterEqual(found["paddock_sandboxes_total"], 4)
            p.client.cancel(long)
            p.client.wait(long)
            pool.wait_until(lambda: self.figures()['paddock_jobs_total{verdict="cancelled"}'] == 1, "it is counted")

    def test_a_dead_letter(self):
        """The loss by which a job is one is told and counted as its end, not as one after which it runs again."""
        with pool.Pool(workers=1, max_deliveries=2, metrics=self.address) as p:
            self.assertEqual(p.client.run("print(1)").verdict, "ok")
            job = p.client.enqueue(pool.make_zip(pool.LONG))
            for attempt in b"1", b"2":
                next(entry for entry in p.client.entries(job) if (entry[b"k"], entry[b"a"]) == (b"slice", attempt) and b"begun" in entry[b"d"])
                os.kill(p.sandboxes()[0], signal.SIGKILL)  # the oldest runs
            self.assertEqual(p.client.wait(job).verdict, "fault")
            pool.wait_until(lambda: self.figures()['paddock_jobs_total{verdict="fault"}'] == 1, "it is counted")
            self.assertEqual(self.figures()["paddock_attempts_lost_total"], 2)
            self.assertRegex(self.paddock("top", "--once", "--runtime-dir", p.runtime).stdout, rf"before: {job} fault, ")
            lines = [line for line in p.read_log().splitlines() if f"job={job} attempt=" in line]
        self.assertRegex(lines[0], "^warning relay.* attempt=1 lost: ")
        self.assertRegex(lines[1], "^warning relay.* attempt=2 verdict=fault tenant=default queue_ms=.*: Something went wrong on our side.* \\(.+\\)$")
        self.assertEqual(len(lines), 2)

    def test_what_ends_in_the_queue(self):
        """is told and counted as what ran is, and so is an attempt whose worker cannot say it any more."""
        with pool.Pool(workers=1, max_deliveries=1, metrics=self.address) as p:
            lost = p.client.enqueue(pool.make_zip(pool.LONG), tenant="a")
            next(entry for entry in p.client.entries(lost) if entry[b"k"] == b"slice" and b"begun" in entry[b"d"])
            expired, cancelled, replaced = (p.client.enqueue(pool.make_zip("1"), tenant=name, max_wait_s=wait)
                                            for name, wait in (("b", "1"), ("c", "600"), ("d", "600")))
            p.client.cancel(cancelled)
            last = p.client.enqueue(pool.make_zip("1"), tenant="d", replace="1")
            pool.wait_until(lambda: f"job={expired} " in p.read_log(), "it is told")
            os.kill(p.relays()[0], signal.SIGKILL)
            self.assertEqual([p.client.wait(job).verdict for job in (lost, last)], ["fault", "ok"])
            pool.wait_until(lambda: [self.figures()[f'paddock_jobs_total{{verdict="{name}"}}'] for name in
                                     ("expired", "cancelled", "fault", "ok")] == [1, 2, 1, 1], "all are counted")
            self.assertEqual(self.figures()["paddock_attempts_lost_total"], 1)
            log = p.read_log()
        for job, line in ((expired, "attempt=0 verdict=expired tenant=b: Your program waited too long .*(waited longer than max_wait_s)"),
                          (cancelled, "attempt=0 verdict=cancelled tenant=c: The run was cancelled. (cancelled while it waited)"),
                          (replaced, f"attempt=0 verdict=cancelled tenant=d: The run was cancelled. (replaced by {last})"),
                          (lost, "attempt=1 verdict=fault tenant=a: .*(lost 1 times, last: its worker process ended)")):
            self.assertRegex(log, "(?m)^[a-z]+ relay.* queue=test job=" + job + " " + line.replace("(", "\\(").replace(")", "\\)") + "$")
            self.assertEqual(log.count(f"job={job} attempt="), 1, log)

    def test_what_has_no_id(self):
        """Somebody wrote it to Redis himself: it is told, so that it can be taken for no other, and counted as others are."""
        shown = {"": "", "a b": "a\\x20b", "a/b": "a\\x2fb", "k\0z": "k\\x00z", "l\nf:": "l\\x0af\\x3a", "ü": "\\xc3\\xbc",
                 "x" * 65: "x" * 65, "x" * 100000: "x" * 256}
        with pool.Pool(workers=1, metrics=self.address) as p:
            key, redis = p.client.key, p.client.redis
            for number, job in enumerate(shown):
                redis.hset(key("job:", job), mapping={"state": "queued", "tenant": "default", "priority": "normal"})
                redis.set(key("zip:", job), pool.make_zip("print(1)"))
                redis.zadd(key("waits"), {job: 1e15})
                redis.zadd(key("open"), {job: number})
                redis.zadd(key("line1:default"), {job: number})
            redis.zadd(key("turns1"), {"default": 0})
            redis.zadd(key("turns"), {"1": 0})
            self.assertEqual(p.client.run("print(1)").verdict, "ok")
            name = 'paddock_jobs_total{verdict="fault"}'
            pool.wait_until(lambda: self.figures()[name] >= len(shown), "all are counted")
            self.assertEqual((self.figures()[name], self.figures()["paddock_attempts_lost_total"]), (len(shown), 0))
            log = p.read_log()
        for job in shown.values():
            line = f"queue=test job={job} attempt=0 verdict=fault tenant=default: "
            self.assertEqual(log.count(line), 1, log)
        self.assertEqual(log.count("(it cannot be run: its id is none: it takes 1 to 64 letters, digits, _ and -)\n"), len(shown), log)

    def test_what_ends_in_great_numbers(self):
        """in the queue is counted as a number, where there is no room to name each."""
        with pool.Pool(workers=1, metrics=self.address) as p:
            for verdict, number in (("expired", 700), ("cancelled", 80), ("", 9), ("no such", 1)):
                p.client.redis.hincrby(p.client.key("untold_more"), verdict, number)
            names = *(f'paddock_jobs_total{{verdict="{verdict}"}}' for verdict in ("expired", "cancelled")), "paddock_attempts_lost_total"
            pool.wait_until(lambda: [self.figures()[name] for name in names] == [700, 80, 10], "all are counted")
            log = p.read_log()
        for line in ("count=700 verdict=expired", "count=80 verdict=cancelled", "count=9 lost"):
            self.assertRegex(log, f"(?m)^warning relay.* queue=test {line}: too many to name each$")

    def test_reconnects_are_counted(self):
        """Not the first connections, of which each worker has two."""
        with pool.Pool(workers=2, metrics=self.address) as p:
            p.client.run("print(1)")
            self.assertEqual(self.figures()["paddock_redis_reconnects_total"], 0)
            p.client.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            pool.wait_until(lambda: self.figures()["paddock_redis_reconnects_total"] == 4, "all are counted")

    def test_what_alerts_ask_for(self):
        """Each figure that docs/OPERATIONS.md names is there."""
        with open(os.path.join(pool.ROOT, "docs", "OPERATIONS.md"), encoding="utf-8") as file:
            asked = set(re.findall(r"\bpaddock_[a-z0-9_]+\b", file.read().partition("\n## What to watch\n")[2].partition("\n## ")[0]))
        with pool.Pool(workers=1, metrics=self.address) as p:
            p.client.run("print(1)")
            there = {re.sub(r"(_bucket)?\{.*", "", name) for name in self.figures()}
        self.assertGreater(len(asked), 10)
        self.assertEqual(asked - there, set())

    def test_reloads_are_counted(self):
        """With a zygote of their own and without."""
        config = self.path("pool.conf", "")
        with pool.Pool(config=config, workers=1, metrics=self.address) as p:
            for number, text in enumerate(("", "[pool]\nscale_up_ms = 100\n", "[sandbox]\nhash_seed = 1\n"), 1):
                self.path("pool.conf", text)
                p.process.send_signal(signal.SIGHUP)
                pool.wait_until(lambda: p.read_log().count("reloaded: ") == number, "it is in force")
                pool.wait_until(lambda: self.figures()["paddock_reloads_total"] == number, "it is counted")

    def test_who_says_nothing(self):
        """much, and holds as many connections as he gets, shuts out nobody else."""
        with pool.Pool(workers=1, metrics=self.address), contextlib.ExitStack() as held:
            connections, told = [held.enter_context(socket.socket()) for _ in range(100)], threading.Event()
            for connection in connections:
                connection.bind(("127.0.0.2", 0))
                connection.connect(("127.0.0.1", self.port))
                connection.send(b"GET /health HTTP/1.1\r\n")

            def say_little():
                while not told.wait(1):
                    for connection in connections:
                        with contextlib.suppress(OSError):
                            connection.send(b"X: y\r\n")

            thread = threading.Thread(target=say_little)
            thread.start()
            try:
                self.wait_for_health(200)
            finally:
                told.set()
                thread.join()

    def test_health(self):
        with FarRedis() as server, pool.Pool(workers=1, redis=server.address, metrics=self.address, drain_s=60) as p:
            self.wait_for_health(200, "ok")
            p.client.redis.execute_command("FCALL", "paddock_pause", 1, p.client.key("open"))
            self.wait_for_health(503, "the queue is paused")
            p.client.redis.execute_command("FCALL", "paddock_resume", 1, p.client.key("open"))
            self.wait_for_health(200)
            server.process.send_signal(signal.SIGSTOP)
            found = self.wait_for_health(503, "Redis has not answered")
            self.assertIn("no worker could take a job", found[1])
            server.process.send_signal(signal.SIGCONT)
            self.wait_for_health(200)
            job = p.client.enqueue(pool.make_zip("import time\ntime.sleep(600)"))
            pool.wait_until(lambda: p.client.job(job).get("state") == b"running", "it runs")
            self.wait_for_health(200)
            p.process.terminate()
            self.wait_for_health(503, "the pool is ending")
            p.client.cancel(job)
            p.process.wait(pool.PATIENCE)

    def test_who_stands_still(self):
        """is believed no longer than it takes to ask him twice."""
        with pool.Pool(workers=2, metrics=self.address) as p:
            self.wait_for_health(200)
            for pids, words in ((p.relays(), "no worker could take a job\nworkers have stood still for 5 s\n"),
                                ([p.process.pid], "the supervisor has stood still for 5 s\n"),
                                ([p.zygote()], "the zygote has not answered for 5 s\n")):
                with self.subTest(words):
                    for pid in pids:
                        os.kill(pid, signal.SIGSTOP)
                    self.wait_for_health(503, words)
                    for pid in pids:
                        os.kill(pid, signal.SIGCONT)
                    self.wait_for_health(200)
            one = p.relays()[0]
            os.kill(one, signal.SIGSTOP)
            pool.wait_until(lambda: self.figures()["paddock_workers_still"] == 1, "it is seen")
            self.assertEqual(self.get("/health")[0], 200)  # the other one takes jobs
            self.assertEqual(p.client.run("print(1)").verdict, "ok")
            os.kill(one, signal.SIGCONT)
            pool.wait_until(lambda: self.figures()["paddock_workers_still"] == 0, "it goes on")

    def test_a_queue_that_lets_nobody_in(self):
        with FarRedis() as server, pool.Pool(workers=1, redis=server.address, metrics=self.address) as p:
            self.wait_for_health(200)
            for name in ("max_jobs", "max_tenant_jobs", "max_mb", "max_zip_mb"):
                p.client.redis.hset(p.client.key("conf"), name, "0")
                self.wait_for_health(503, "the queue takes no job")
                p.client.redis.hset(p.client.key("conf"), name, "100")
                self.wait_for_health(200)
            p.client.redis.set("of others", b"x" * (64 << 20))
            p.client.redis.config_set("maxmemory", 32 << 20)
            self.wait_for_health(503, "Redis's memory is full")
            found = self.figures()
            self.assertEqual(found["paddock_redis_max_bytes"], 32 << 20)
            self.assertGreater(found["paddock_redis_used_bytes"], 64 << 20)
            p.client.redis.delete("of others")
            self.wait_for_health(200)
            self.assertEqual(p.client.run("print(1)").verdict, "ok")

    def test_a_redis_that_tells_and_takes_nothing(self):
        """is none, also where a worker has a job already, whose questions it answers."""
        obstacles = (("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")), \
                    (("ACL", "SETUSER", "default", "-zadd"), ("ACL", "SETUSER", "default", "+zadd")), \
                    (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")), \
                    (("CLIENT", "PAUSE", "600000", "WRITE"), ("CLIENT", "UNPAUSE"))
        with FarRedis() as server, pool.Pool(workers=2, redis=server.address, metrics=self.address, lease_ms=60000) as p:
            p.client.begin()  # one is busy, the other one is not
            for there, gone in obstacles:
                with self.subTest(there):
                    self.wait_for_health(200)
                    p.redis.execute_command(*there)
                    self.wait_for_health(503, "no worker could take a job")
                    p.redis.execute_command(*gone)
            self.wait_for_health(200)

    def test_a_queue_that_is_refused(self):
        """It is named. Of what was never heard there is no figure."""
        with FarRedis() as server:
            server.connect().execute_command("ACL", "SETUSER", "one", "on", ">secret", "+@all", "~paddock:{one}:*")
            address = server.address.replace("//", "//one:secret@") if "//" in server.address else f"redis://one:secret@{server.address}"
            with pool.Pool(workers=2, redis=address, metrics=self.address, queue="one other") as p:
                self.wait_for_health(503, "Redis refuses to tell of the queue other")
                self.assertEqual(p.read_log().count("queue=other: Redis refuses it to the pool's user: NOPERM"), 1)
                found = self.figures()
                self.assertEqual([name for name in found if 'queue="other"' in name], ['paddock_queue_weight{queue="other"}'])
                self.assertLess(found['paddock_queue_told_seconds{queue="one"}'], 60)
                done = subprocess.run([pool.program("paddock"), "top", "--once", "--runtime-dir", p.runtime], capture_output=True, text=True)
                self.assertIn("\nother: no relay has heard of it yet\n", done.stdout)

    def test_keys_that_are_damaged(self):
        """What the next claim mends is no reason to call a pool ill; who is refused each time is."""
        with FarRedis() as server, pool.Pool(workers=1, redis=server.address, metrics=self.address) as p:
            self.wait_for_health(200)
            for name in ("lease", "dead", "delayed", "open") * 3:
                key = p.client.key(name)
                p.client.redis.pipeline().delete(key).set(key, "x").lpush(p.client.key("wake"), "1").execute()
                while p.client.redis.type(key) == b"string":
                    self.assertEqual(self.get("/health")[:2], (200, "ok\n"))
                self.assertEqual(p.client.run("print(1)").verdict, "ok")
            self.assertIn("WRONGTYPE", p.read_log())
            p.client.redis.execute_command("ACL", "SETUSER", "default", "-zcard")
            self.wait_for_health(503, "Redis refuses to tell of the queue")
            self.assertNotIn("Redis has not answered", self.get("/health")[1])
            p.client.redis.execute_command("ACL", "SETUSER", "default", "+zcard")
            self.wait_for_health(200)

    def test_memory(self):
        def resident(kind):
            return self.figures()[f'paddock_resident_bytes{{process="{kind}"}}']

        with pool.Pool(workers=2, metrics=self.address) as p:
            before = pool.wait_until(lambda: resident("sandbox"), "those that wait are seen")
            p.client.enqueue(pool.make_zip("x = b'x' * (100 << 20)\nimport time\ntime.sleep(600)"), job="large", wall_ms=600000)
            pool.wait_until(lambda: resident("sandbox") > before + (90 << 20), "the job's memory is seen")
            for kind in ("supervisor", "zygote", "relay", "metrics", "redis"):
                self.assertGreater(resident(kind), 1 << 20, kind)
            p.client.cancel("large")
            pool.wait_until(lambda: 0 < resident("sandbox") < before + (90 << 20), "it is gone")

    def test_the_manual_names_all(self):
        with pool.Pool(workers=1, metrics=self.address):
            families = set(re.findall(r"^# TYPE (paddock_\w+) ", self.get("/metrics")[1], re.M))
        with open(MANUAL, encoding="utf-8") as file:
            section = file.read().partition("\n.Sh METRICS\n")[2].partition("\n.Sh ")[0]
        self.assertEqual(set(re.findall(r"paddock_\w+", section)), families)
        with open(EXPOSITION, encoding="utf-8") as file:
            tables = re.findall(r"obstacles\[\] = {(.+?)\n};", file.read(), re.S)
        rows = re.findall(r'"([^"]+)"(?:, "([^"]*)")?\}', "".join(tables))
        reasons = [before + behind for before, behind in rows]
        self.assertEqual(sorted(re.findall(r'^\.It "(.+)"$', section, re.M)), sorted(reasons))
        self.assertGreater(len(reasons), 5)

    def test_it_can_do_nothing_else(self):
        with pool.Pool(workers=1, metrics=self.address) as p:
            pid = self.metrics_pid(p)
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            if os.geteuid() == 0:
                self.assertEqual((status["Uid"].split(), status["Gid"].split(), status["Groups"].strip()), (["65534"] * 4, ["65534"] * 4, ""))
                self.assertEqual([int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")], [0] * 4)
            self.assertEqual(status["NoNewPrivs"], "1")
            with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
                boards = [line for line in file if line.rstrip().endswith("/scoreboard")]
            self.assertEqual([line.split()[1] for line in boards], ["r--s"])

    def test_what_others_send(self):
        with pool.Pool(workers=1, metrics=self.address):
            self.assertEqual(self.get("/nothing")[0], 404)
            self.assertEqual(self.get("/metrics", "POST")[0], 405)
            self.assertEqual(self.get("/metrics", "DELETE")[0], 405)
            self.wait_for_health(200)
            self.assertEqual(self.get("/health", "HEAD")[:2], (200, ""))
            for words in (b"\0\xff\r\n\r\n", b"GET " + b"x" * 100000, b"GET /metrics HTTP/9.9\r\n\r\n", b"\r\n" * 1000,
                          b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"):
                with socket.create_connection(("127.0.0.1", self.port)) as one:
                    one.settimeout(pool.PATIENCE)
                    try:
                        one.sendall(words)
                        one.shutdown(socket.SHUT_WR)
                        one.recv(100)
                    except OSError:
                        pass
            self.assertEqual(self.get("/health")[0], 200)
            idle = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(50)]  # more than it takes at once
            for one in idle:
                one.close()
            self.assertEqual(self.get("/health")[0], 200)

    def test_killed_it_comes_back(self):
        with pool.Pool(workers=1, metrics=self.address) as p:
            os.kill(self.metrics_pid(p), signal.SIGKILL)
            pool.wait_until(lambda: self.answers() and self.figures()['paddock_process_deaths_total{process="metrics"}'] == 1,
                            "it is there again")
            self.assertEqual(p.client.run("print(1)").verdict, "ok")

    def answers(self):
        try:
            return self.get("/health")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def test_a_port_that_is_taken(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", self.port))
            other.listen()
            self.refuse(self.address, f"metrics {self.address}: Address already in use")

    def test_addresses_that_are_none(self):
        for address in ("9464", "localhost", ":9464", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "::1:9464", "[::1]9464",
                        "[]:1", "127.0.0.1:http"):
            with self.subTest(address):
                self.refuse(address, f"metrics {address}: takes HOST:PORT")
        self.refuse("no.such.host.invalid:9464", "metrics no.such.host.invalid:9464: ")

    def refuse(self, address, words):
        runtime = self.path("runtime")
        done = subprocess.run([pool.program("paddock"), "up", "--runtime-dir", runtime, "--metrics", address], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)
        self.assertEqual(done.returncode, 100, done)
        self.assertIn(words, done.stderr)
        self.assertFalse(os.path.exists(runtime))

    def test_of_ipv6(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("there is no IPv6 here")
        with pool.Pool(workers=1, metrics=f"[::1]:{self.port}"):
            connection = http.client.HTTPConnection("::1", self.port, timeout=pool.PATIENCE)
            connection.request("GET", "/metrics")
            self.assertEqual(connection.getresponse().status, 200)
            connection.close()


if __name__ == "__main__":
    unittest.main()
