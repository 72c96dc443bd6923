# SPDX-License-Identifier: MIT
"""kill -9 of each kind of process in the middle of a job: the job ends `ok` on a later attempt, the program of the
lost attempt is gone before the next one starts, and the pool goes on."""

import contextlib
import http.client
import os
import signal
import time
import unittest

import pool
import recording

# Runs until its second attempt: the first one waits for its death. The attempt is told by the file name of
# nothing: a program cannot know it, so it waits for a time that only an undisturbed run survives.
SLOW = "import time\nprint('begun', flush=True)\ntime.sleep(2)\nprint('done')\n"


def begun(client, job):
    """Waits until the job's program has printed; returns its attempt."""
    for entry in client.entries(job):
        if entry[b"k"] == b"slice" and b"begun" in entry[b"d"]:
            return entry[b"a"]
    raise AssertionError("the job ended before it began")


class Faults(unittest.TestCase):
    def setUp(self):
        self.pool = pool.Pool(workers=1)
        self.pool.__enter__()
        self.client = self.pool.client

    def tearDown(self):
        self.pool.__exit__(None, None, None)

    def running_sandbox(self):
        """The sandbox that runs: the oldest (the one that waits was forked later)."""
        return self.pool.sandboxes()[0]

    def check_second_attempt(self, job):
        ended = self.client.wait(job)
        self.assertEqual(ended.verdict, "ok", ended.result)
        self.assertEqual(ended.attempt, b"2")
        self.assertEqual([s["attempt"] for s in ended.states if s["state"] == "running"], [1, 2])
        self.assertEqual(recording.text(recording.decode(ended.recording)), "begun\ndone\n")
        self.assertEqual(self.client.run("print(1)").verdict, "ok")

    def lose(self, find):
        job = self.client.enqueue(pool.make_zip(SLOW))
        begun(self.client, job)
        sandbox = self.running_sandbox()
        os.kill(find(), signal.SIGKILL)
        self.wait_for_second_start(job, sandbox)
        self.check_second_attempt(job)

    def wait_for_second_start(self, job, sandbox):
        """When the second attempt is announced, the first one's program no longer exists."""
        for entry in self.client.entries(job):
            if entry[b"k"] == b"state" and entry[b"a"] == b"2":
                self.assertFalse(os.path.exists(f"/proc/{sandbox}"), "both attempts were alive")
                return

    def test_relay_killed(self):
        self.lose(lambda: self.pool.relays()[0])

    def test_sandbox_killed(self):
        self.lose(self.running_sandbox)

    def test_zygote_killed(self):
        self.lose(self.pool.zygote)

    def lose_three_times(self, find):
        job = self.client.enqueue(pool.make_zip(SLOW))
        attempts = []
        for entry in self.client.entries(job):
            if entry[b"k"] == b"slice" and b"begun" in entry[b"d"] and entry[b"a"] not in attempts:
                attempts.append(entry[b"a"])
                os.kill(find(), signal.SIGKILL)
        ended = self.client.wait(job)
        self.assertEqual(attempts, [b"1", b"2", b"3"])
        self.assertEqual(ended.verdict, "fault")
        self.assertEqual(ended.result["exit_code"], 99)
        self.assertEqual(self.client.job(job)["state"], b"dead")
        self.assertEqual(self.client.redis.zcard(self.client.key("dead")), 1)
        self.assertEqual(self.client.run("print(1)").verdict, "ok")

    def test_sandbox_lost_three_times_is_dead(self):
        self.lose_three_times(self.running_sandbox)

    def test_relay_lost_three_times_is_dead(self):
        self.lose_three_times(lambda: self.pool.relays()[0])

    def test_zygote_lost_three_times_is_dead(self):
        self.lose_three_times(self.pool.zygote)

    def test_idle_processes_killed(self):
        for find in (lambda: self.pool.relays()[0], lambda: self.pool.sandboxes()[0], self.pool.zygote):
            os.kill(pool.wait_until(lambda: self.pool.sandboxes() and find(), "a process"), signal.SIGKILL)
            self.assertEqual(self.client.run("print(1)").verdict, "ok")

    def test_supervisor_killed(self):
        job = self.client.enqueue(pool.make_zip("while True: pass"))
        pool.wait_until(lambda: self.client.job(job).get("state") == b"running", "it runs")
        pids = self.pool.processes()
        os.kill(self.pool.process.pid, signal.SIGKILL)
        pool.wait_until(lambda: not [p for p in pids if os.path.exists(f"/proc/{p}")],
                        "every process of the pool is gone")
        self.check_takeover(self.pool.runtime)

    def check_takeover(self, runtime):
        """Files are left, which nobody was there to remove; the next pool of that folder does, and at its end removes
        the folder, too, which the killed one had made. (tearDown looks after that.)"""
        files = {"lock", "pool", "redis.sock", "scoreboard"}
        self.assertEqual(set(os.listdir(runtime)), files)
        with open(os.path.join(runtime, "pool.new"), "w"):  # had it been killed while it wrote that
            pass
        with pool.RedisServer() as server, pool.Pool(workers=1, runtime=runtime, redis=server.address):
            self.assertEqual(set(os.listdir(runtime)), files - {"redis.sock"})
        self.assertFalse(os.path.exists(runtime))


class TwoPools(unittest.TestCase):
    """Pools of one machine that serve one queue: neither takes what the other one has."""

    def test_the_second_leaves_the_jobs_of_the_first(self):
        with pool.RedisServer() as server, pool.Pool(workers=2, redis=server.address) as first:
            job = first.client.enqueue(pool.make_zip(SLOW))
            begun(first.client, job)
            with pool.Pool(workers=2, redis=server.address) as second:
                self.assertNotIn("left behind", second.read_log())
                others = [second.client.enqueue(pool.make_zip("print(1)")) for _ in range(8)]
                self.assertEqual({second.client.wait(other).verdict for other in others}, {"ok"})
                done = first.client.wait(job)
                self.assertEqual((done.verdict, done.result["attempt"]), ("ok", 1))

    def test_two_of_one_name_are_told_so(self):
        """Whose jobs are taken has the name in its log: the second believes to follow the first."""
        with pool.RedisServer() as server, pool.Pool(workers=1, redis=server.address, owner="twin", lease_ms=3000) as first:
            job = first.client.enqueue(pool.make_zip("while True: pass"), wall_ms=100000, cpu_ms=100000)
            pool.wait_until(lambda: first.client.job(job).get("state") == b"running", "it runs")
            with pool.Pool(workers=1, redis=server.address, owner="twin") as second:
                pool.wait_until(lambda: f"job={job} was left behind" in second.read_log(), "it takes the job")
                pool.wait_until(lambda: f"job={job} was taken from here although its lease holds: is there another pool with the "
                                        "owner of this one, twin?" in first.read_log(), "the first is told")
                first.client.cancel(job)
                self.assertEqual(first.client.wait(job).verdict, "cancelled")

    def test_who_follows_one_that_was_killed_takes_its_jobs_back(self):
        """At once, with the relays that were killed with it: nobody has given them back."""
        with pool.RedisServer() as server, pool.Pool(workers=2, redis=server.address, lease_ms=60000) as p:
            job = p.client.enqueue(pool.make_zip(SLOW))
            begun(p.client, job)
            everybody = p.processes()
            for pid in [*p.relays(), p.zygote(), p.process.pid]:
                os.kill(pid, signal.SIGSTOP)
            for pid in [*p.relays(), p.zygote(), p.process.pid]:
                os.kill(pid, signal.SIGKILL)
            pool.wait_until(lambda: not [pid for pid in everybody if os.path.exists(f"/proc/{pid}")], "all are gone")
            p.process.wait()
            p.start()
            ended = p.client.wait(job)
            self.assertEqual((ended.verdict, ended.attempt), ("ok", b"2"))
            self.assertIn(f"job={job} was left behind", p.read_log())


class RedisAway(unittest.TestCase):
    """A Redis that goes, and comes back: running jobs go on, and who dies meanwhile is replaced."""

    def setUp(self):
        self.server = self.enterContext(pool.RedisServer("--appendonly", "yes"))
        self.pool = self.enterContext(pool.Pool(workers=2, redis=self.server.address))
        self.client = self.pool.client

    def begin(self):
        """A job that runs, and the slots of the relay that has it and of the one that has not."""
        job = self.client.enqueue(pool.make_zip(SLOW))
        begun(self.client, job)
        busy = int(self.client.job(job)["owner"].rpartition(b".")[2])
        return job, busy, 1 - busy

    def kill_relay(self, slot):
        """Relays are started in the order of their slots."""
        victim = self.pool.relays()[slot]
        os.kill(victim, signal.SIGKILL)
        pool.wait_until(lambda: victim not in self.pool.relays() and len(self.pool.relays()) == 2 or self.ended(),
                        "the relay is replaced")
        self.assertFalse(self.ended(), self.pool.read_log())

    def ended(self):
        return self.pool.process.poll() is not None

    def wait_for_log(self, *sentences):
        pool.wait_until(lambda: any(s in self.pool.read_log() for s in sentences) or self.ended(), sentences)
        self.assertFalse(self.ended(), self.pool.read_log())

    def check_all_work(self):
        jobs = [self.client.enqueue(pool.make_zip("print(1)")) for _ in range(4)]
        self.assertEqual([self.client.wait(job).verdict for job in jobs], ["ok"] * 4)

    def lose_while_away(self, victim, attempt):
        job, busy, idle = self.begin()
        self.server.stop()
        slot = {"busy": busy, "idle": idle}[victim]
        self.kill_relay(slot)
        fresh = self.pool.relays()[-1]
        self.wait_for_log(f"relay-{slot}[{fresh}] Redis is away")
        self.server.start("--appendonly", "yes")
        ended = self.client.wait(job)
        self.assertEqual((ended.verdict, ended.attempt), ("ok", attempt), self.pool.read_log())
        self.check_all_work()

    def test_idle_relay_dies(self):
        self.lose_while_away("idle", b"1")

    def test_busy_relay_dies(self):
        self.lose_while_away("busy", b"2")

    def test_redis_that_will_not_do(self):
        """It did when the pool came up: whoever is started meanwhile waits for it, and says so once; what runs goes on."""
        job, busy, idle = self.begin()
        self.client.redis.config_set("maxmemory-policy", "allkeys-lru")
        self.kill_relay(idle)
        self.wait_for_log("Redis will not do, and is asked again (commands)")
        ended = self.client.wait(job)
        self.assertEqual((ended.verdict, ended.attempt), ("ok", b"1"))
        self.kill_relay(0)
        time.sleep(2)
        self.assertFalse(self.ended(), self.pool.read_log())
        self.assertEqual(self.pool.read_log().count("Redis will not do"), 2)
        self.client.redis.config_set("maxmemory-policy", "noeviction")
        self.check_all_work()

    def test_a_password_that_is_another_one_for_a_moment(self):
        """The only relay of a pool that was ready is killed in it: its health says so until it is ours again."""
        address = f"127.0.0.1:{pool.free_port()}"

        def health():
            with contextlib.closing(http.client.HTTPConnection(address, timeout=pool.PATIENCE)) as connection:
                connection.request("GET", "/health")
                return connection.getresponse().status

        with pool.RedisServer() as server, pool.Pool(workers=1, redis=server.address, metrics=address) as self.pool:
            admin = server.connect()
            admin.ping()
            admin.config_set("requirepass", "other")
            os.kill(self.pool.relays()[0], signal.SIGKILL)
            self.wait_for_log("Redis will not do, and is asked again (commands)")
            pool.wait_until(lambda: health() == 503, "its health is red")
            admin.config_set("requirepass", "")
            self.assertEqual(self.pool.client.run("print(1)").verdict, "ok")
            pool.wait_until(lambda: health() == 200, "its health is green")
            self.assertIn("it wants a password", self.pool.read_log())


class RedisPaused(unittest.TestCase):
    def test_a_program_that_prints_is_not_charged(self):
        """Redis stands still for longer than the program may run: it waits, nothing of what it prints is lost, and no idle worker
        takes it for lost, as its lease has run out meanwhile."""
        with pool.RedisServer() as server, pool.Pool(workers=3, redis=server.address, max_output_kb=16384) as p:
            code = "print('begun', flush=True)\nfor i in range(120_000): print('x' * 50)\nprint('done')\n"
            job = p.client.enqueue(pool.make_zip(code), wall_ms=10_000, cpu_ms=10_000, output_kb=16384)
            begun(p.client, job)
            os.kill(server.process.pid, signal.SIGSTOP)
            time.sleep(30)
            os.kill(server.process.pid, signal.SIGCONT)
            ended = p.client.wait(job)
            self.assertEqual((ended.verdict, ended.attempt, ended.result["frames_dropped"]), ("ok", b"1", 0), ended.result)
            self.assertEqual(recording.text(recording.decode(ended.recording)), "begun\n" + ("x" * 50 + "\n") * 120_000 + "done\n")


class PutOff(unittest.TestCase):
    def test_a_relay_sleeps_until_the_first_is_due(self):
        with pool.RedisServer() as server, pool.Pool(workers=1, redis=server.address) as p:
            self.assertEqual(p.client.wait(p.client.enqueue(pool.make_zip("print(1)"))).verdict, "ok")
            with p.client.redis.monitor() as monitor:
                jobs = [p.client.enqueue(pool.make_zip("print(1)"), delay_ms=ms) for ms in (4000, 2000)]
                waits, ended = [], 0
                while ended < 2:
                    words = monitor.next_command()["command"].split()
                    ended += words[:2] == ["FCALL", "paddock_finish"]
                    if words[0] == "BLPOP" and words[1].endswith(":wake"):
                        waits.append(float(words[2]))
            self.assertLessEqual(min(waits), 2.001, waits)
            self.assertEqual([p.client.wait(job).verdict for job in jobs], ["ok"] * 2)


class RedisLoading(unittest.TestCase):
    def test_pool_waits_for_its_data(self):
        """Reading its data takes Redis longer here than a relay has patience with one that is not there."""
        slowly = ("--key-load-delay", "70000", "--loading-process-events-interval-bytes", "1024", "--rdbcompression",
                  "no")
        with pool.RedisServer("--rdbcompression", "no") as server:
            for i in range(100):
                server.connect().set(f"other:{i}", "x" * 2000)
            server.connect().save()
            server.stop()
            server.start(*slowly, wait=False)
            pool.wait_until(lambda: server.answer().startswith(b"-LOADING"), "it loads")
            with pool.Pool(workers=1, redis=server.address) as p:
                self.assertIn("waiting for Redis", p.read_log())
                self.assertEqual(p.client.run("print(1)").verdict, "ok")


if __name__ == "__main__":
    unittest.main()
