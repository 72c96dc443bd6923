# SPDX-License-Identifier: MIT
"""Processes that stand still (SIGSTOP) for longer than a lease, at each step of a job's life: there is one result, and what was
done too late is refused."""

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
        command = moment.steps[-1][1]
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


if __name__ == "__main__":
    unittest.main()
