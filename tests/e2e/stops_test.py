# SPDX-License-Identifier: MIT
"""Processes that stand still (SIGSTOP) for longer than a lease, at each step of a job's life: there is one result, and what was
done too late is refused."""

import concurrent.futures
import os
import signal
import time
import unittest

import moments
import pool
from moments import MOMENTS, Stage

LEASE_MS = 2000
LONGER_S = LEASE_MS / 1000 * 1.25
AT_ONCE = 6  # pools, which sleep most of the time

# With a worker that has nothing to do, no claim finds a job in the same write.
FOUND = [m for m in MOMENTS if not m.alone and not m.followed]


class Stops(unittest.TestCase):
    def walk(self, visit):
        def visit_all(group):
            with Stage(workers=2, lease_ms=LEASE_MS) as stage:
                for moment in group:
                    visit(stage, moment)
                assert stage.client.run("print(1)").verdict == "ok"
            return stage.seen

        self.assertEqual(moments.walk(visit_all, FOUND, 5, AT_ONCE), {m.state for m in FOUND})

    def test_relay(self):
        """Its job runs again elsewhere, when its lease has run out; that it goes on then changes nothing."""
        self.walk(self.stop_relay)

    def stop_relay(self, stage, moment):
        stopped = []

        def deed(stage, when):
            stopped.append(stage.relay())
            os.kill(stage.relay(), signal.SIGSTOP)

        stage.reach(moment, deed)
        if moment.idle:
            stage.enqueue()
        pool.wait_until(lambda: stage.client.run("print(1)").verdict == "ok" and self.has_moved(stage), "it has moved")
        os.kill(stopped[0], signal.SIGCONT)
        stage.check_end(self.attempts(moment))
        if self.attempts(moment) == {2} and moment.verdict == "ok":
            pool.wait_until(lambda: self.is_told(stage, stopped[0]), f"{moment}: it is told so")

    @staticmethod
    def is_told(stage, relay):
        lines = [line for line in stage.pool.read_log().splitlines() if f"[{relay}]" in line and stage.job in line]
        return any("stale" in line or "not ours" in line for line in lines)

    @staticmethod
    def has_moved(stage):
        """Another one has the job, or it is over."""
        job = stage.client.job(stage.job)
        return int(job["attempt"]) > 1 or job["state"] not in (b"running", b"queued")

    @staticmethod
    def attempts(moment):
        """What had been sent reaches Redis, whether its sender stands or not."""
        when, command, _ = moment.steps[-1]
        if (when, command) == ("before", "claim"):
            return {1, 2}  # the other one may come first
        if moment.attempts is moments.TWICE:
            return {2, 3}
        return {1} if command in ("wait for work", "finish") or moment.verdict == "cancelled" else {2}

    def test_zygote(self):
        """The relays keep what they have."""
        self.walk(lambda stage, moment: self.hold(stage, moment, stage.pool.zygote()))

    def test_redis(self):
        """All leases have run out, and all of their owners are as well as ever."""
        self.walk(lambda stage, moment: self.hold(stage, moment, stage.server.process.pid))

    def hold(self, stage, moment, pid):
        def deed(stage, when):
            os.kill(pid, signal.SIGSTOP)

        stage.reach(moment, deed)
        time.sleep(LONGER_S)
        os.kill(pid, signal.SIGCONT)
        stage.check_end({1, 2, 3} if moment.attempts is moments.TWICE else {1})


class ForGood(unittest.TestCase):
    """Who does not go on is replaced; who was only held up is not."""

    # As root and as a user, with namespaces and without: whoever has a sandbox's pidfd can kill it.
    WAYS = [{}, {"isolation": "none"}, {"user": pool.STRANGER},
            {"user": pool.STRANGER, "born": {"preexec_fn": pool.refuse_namespaces}}]

    def begin(self, client, **fields):
        job = client.enqueue(pool.make_zip(moments.ENDLESS), **fields)
        pool.wait_until(lambda: client.redis.xlen(client.key("frames:", job)) > 1, "its program has printed")
        return job

    def end(self, client, job):
        """Its attempt and verdict."""
        ended = client.wait(job)
        return int(ended.attempt), ended.verdict

    def check_service(self, p):
        for job in [p.client.enqueue(pool.make_zip("print(1)")) for _ in range(4)]:
            self.assertEqual(p.client.wait(job).verdict, "ok")
        pool.wait_until(lambda: len(p.relays()) == 2 and len(p.zygotes()) == 1, "all are there")

    def test_zygote(self):
        """Programs end all the same when they are to; then there is another."""
        ways = self.WAYS if os.geteuid() == 0 else [{}, {"isolation": "none"}]
        with concurrent.futures.ThreadPoolExecutor(len(ways)) as executor:
            list(executor.map(self.stop_zygote, ways))

    def stop_zygote(self, way):
        with pool.Pool(workers=2, **way) as p:
            late, cancelled = self.begin(p.client, wall_ms=2000), self.begin(p.client, wall_ms=60000)
            zygote, sandboxes = p.zygote(), p.sandboxes()
            os.kill(zygote, signal.SIGSTOP)
            p.client.cancel(cancelled)
            self.assertEqual(self.end(p.client, cancelled), (1, "cancelled"))
            self.assertEqual(self.end(p.client, late), (1, "wall_limit"))
            self.assertEqual(p.zygotes(), [zygote])  # they are told while it stands
            log = p.read_log()
            self.assertIn(f"job={late} attempt=1 is to end and does not: its sandbox is killed without the zygote", log)
            self.assertNotIn(f"job={cancelled} attempt=1 is to end", log)  # it was killed at once
            waiting = p.client.enqueue(pool.make_zip("print(1)"))
            self.assertEqual(self.end(p.client, waiting), (1, "ok"))  # no relay has claimed it for a zygote that stands
            self.check_service(p)
            self.assertNotIn(" lost: ", p.read_log())
            self.assertNotEqual(p.zygote(), zygote)
            pool.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in sandboxes), "its sandboxes are gone")
            self.assertIn("zygote 0 has not answered for 10 s: it is killed and replaced", p.read_log())
            self.assertNotIn("unable to kill", p.read_log())

    def test_sandbox_that_waits(self):
        """Its job did not begin: that is no limit of the student's, whether it has long or not."""
        for wall_ms in 2000, 600000:
            with self.subTest(wall_ms), pool.Pool(workers=1) as p:
                pool.wait_until(lambda: len(p.sandboxes()) == 1, "it waits")
                stopped, = p.sandboxes()
                os.kill(stopped, signal.SIGSTOP)
                job = p.client.enqueue(pool.make_zip("print(1)"), wall_ms=wall_ms)
                self.assertEqual(self.end(p.client, job), (2, "ok"))
                self.assertIn(f"job={job} attempt=1 lost: the sandbox did not begin its job", p.read_log())
                self.assertFalse(os.path.exists(f"/proc/{stopped}"))

    def test_sandbox_that_runs(self):
        """That its program stands still is its time."""
        with pool.Pool(workers=1) as p:
            job = self.begin(p.client, wall_ms=2000)
            for pid in p.sandboxes():
                os.kill(pid, signal.SIGSTOP)
            self.assertEqual(self.end(p.client, job), (1, "wall_limit"))
            self.assertEqual(p.client.run("print(1)").verdict, "ok")  # though the one that waits for it may stand, too

    def test_zygote_that_is_left(self):
        """One that was renewed, and that a job still runs in."""
        with pool.Pool(workers=2, zygote_forks=5) as p:
            job = self.begin(p.client, wall_ms=60000)
            first = p.zygote()
            pool.wait_until(lambda: p.client.run("print(1)").verdict == "ok" and len(p.zygotes()) == 2, "there are two")
            os.kill(first, signal.SIGSTOP)
            pool.wait_until(lambda: first not in p.zygotes(), "it is gone")
            pool.wait_until(lambda: p.client.job(job)["attempt"] == b"2", "its job runs again")
            p.client.cancel(job)
            self.assertEqual(self.end(p.client, job), (2, "cancelled"))
            self.check_service(p)

    def test_supervisor_and_zygote(self):
        """Nobody replaces what does not answer: a job whose end nobody can tell is left to others."""
        with pool.RedisServer() as server, pool.Pool(workers=2, redis=server.address, lease_ms=2000) as p:
            late = self.begin(p.client, wall_ms=3000)
            job = p.client.enqueue(pool.make_zip("import time\ntime.sleep(1)"))
            pool.wait_until(lambda: p.client.redis.xlen(p.client.key("frames:", job)) > 1, "it has begun")
            zygote = p.zygote()
            for pid in p.process.pid, zygote:
                os.kill(pid, signal.SIGSTOP)
            self.assertEqual(self.end(p.client, late), (1, "wall_limit"))
            with pool.Pool(workers=1, redis=server.address) as other:
                self.assertEqual(self.end(other.client, job), (2, "ok"))
            self.assertIn(f"job={job} attempt=1 is left to others: nobody says that it has ended, or how", p.read_log())
            os.kill(zygote, signal.SIGKILL)
            os.kill(p.process.pid, signal.SIGCONT)
            self.assertEqual(p.client.run("print(1)").verdict, "ok")

    def test_relay(self):
        with pool.Pool(workers=2) as p:
            relay = p.relays()[0]
            os.kill(relay, signal.SIGSTOP)
            pool.wait_until(lambda: len(p.relays()) == 2 and relay not in p.relays(), "there is another")
            self.check_service(p)
            self.assertIn("relay 0 has not answered for 10 s: it is killed and replaced", p.read_log())

    def test_all_relays(self):
        """Nobody is left who looks after the queue: what ran runs again, and what waited is not forgotten."""
        with pool.Pool(workers=2, lease_ms=LEASE_MS) as p:
            running = [self.begin(p.client, wall_ms=600000) for _ in range(2)]
            waiting = p.client.enqueue(pool.make_zip("print(1)"))
            put_off = p.client.enqueue(pool.make_zip("print(1)"), delay_ms=500)
            relays = p.relays()
            for relay in relays:
                os.kill(relay, signal.SIGSTOP)
            pool.wait_until(lambda: len(p.relays()) == 2 and not {*relays} & {*p.relays()}, "there are others")
            pool.wait_until(lambda: all(p.client.job(job)["attempt"] == b"2" for job in running), "they run again")
            for job in running:
                p.client.cancel(job)
            self.assertEqual([self.end(p.client, job) for job in running], [(2, "cancelled")] * 2)
            self.assertEqual([self.end(p.client, job) for job in (waiting, put_off)], [(1, "ok")] * 2)
            self.check_service(p)

    def test_held_up(self):
        """A supervisor that stood still blames nobody; nor is a zygote blamed that somebody has looked into."""
        with pool.Pool(workers=2) as p:
            job = self.begin(p.client, wall_ms=60000)
            before = sorted([p.zygote(), *p.relays()])
            for pid, seconds in (p.process.pid, 15), (p.zygote(), 6):
                os.kill(pid, signal.SIGSTOP)
                time.sleep(seconds)
                os.kill(pid, signal.SIGCONT)
                time.sleep(5)  # all are asked again
            self.assertEqual(sorted([p.zygote(), *p.relays()]), before)
            p.client.cancel(job)
            self.assertEqual(self.end(p.client, job), (1, "cancelled"))
            self.assertNotIn("has not answered", p.read_log())


if __name__ == "__main__":
    unittest.main()
