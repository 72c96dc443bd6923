# SPDX-License-Identifier: MIT
"""kill -9 of each kind of process at each step of a job's life: the job ends once, as it must, in as many attempts as it takes;
nobody else notices; nothing is left behind; the pool goes on."""

import os
import shutil
import signal
import unittest

import moments
import pool
import proxy
from moments import MOMENTS, Stage

class Deaths(unittest.TestCase):
    def walk(self, victim, deed, group, **options):
        with Stage(**options) as stage:
            for moment in group:
                stage.reach(moment, deed)
                stage.check_end(moment.attempts[victim])
            assert stage.client.run("print(1)").verdict == "ok"
        return stage.seen

    def check_walk(self, victim, deed, size, **options):
        found = [m for m in MOMENTS if not m.alone]
        seen = moments.walk(lambda group: self.walk(victim, deed, group, **options), found, size)
        self.assertEqual(seen, {m.state for m in found})

    def test_every_step_has_a_moment(self):
        self.assertEqual({m.state for m in MOMENTS}, set(moments.states()))
        self.assertEqual({command for m in MOMENTS for _, command, _ in m.steps}, set(moments.COMMANDS))

    def test_relay(self):
        def deed(stage, when):
            stage.doom(stage.sandboxes())
            stage.kill(stage.relay())
            raise proxy.Torn

        self.check_walk("relay", deed, 4, bystander=True)

    def test_sandbox(self):
        def deed(stage, when):
            for sandbox in stage.sandboxes()[:1]:
                stage.kill(sandbox)

        self.check_walk("sandbox", deed, 10, bystander=True)

    def test_zygote(self):
        def deed(stage, when):
            stage.doom(stage.sandboxes())
            stage.kill(stage.pool.zygote())

        self.check_walk("zygote", deed, 3)

    def test_redis(self):
        """It comes back with its data."""
        self.check_walk("redis", self.kill_redis, 10, bystander=True)

    @staticmethod
    def kill_redis(stage, when):
        stage.server.process.kill()
        stage.server.process.wait()
        stage.server.start(*stage.REDIS)
        raise proxy.Torn

    def test_orphans(self):
        """In the moment between the zygote's death and the sandbox's, of which the relay has not heard yet."""
        def kill_relay(stage, when):
            stage.kill(stage.relay())

        def kill_redis(stage, when):
            relay = stage.relay()
            stage.server.process.kill()
            stage.server.process.wait()
            os.kill(relay, signal.SIGCONT)
            pool.wait_until(lambda: f"[{relay}] state=orphaned" in stage.pool.read_log(), "it is orphaned")
            stage.server.start(*stage.REDIS)
            raise proxy.Torn

        for victim, deed in (("relay", kill_relay), ("redis", kill_redis)):
            self.walk(victim, deed, [m for m in MOMENTS if m.alone])

    def test_redis_without_its_data(self):
        """The job is gone. So is what ran of it, and the pool serves the next one."""
        moments.walk(self.walk_empty, [m for m in MOMENTS if not m.alone], 6)

    def walk_empty(self, group):
        def deed(stage, when):
            stage.server.process.kill()
            stage.server.process.wait()
            shutil.rmtree(os.path.join(stage.server.folder.name, "appendonlydir"))
            stage.server.start(*stage.REDIS)
            raise proxy.Torn

        with Stage() as stage:
            for moment in group:
                stage.reach(moment, deed)
                self.check_gone(stage, moment)
        return stage.seen

    def check_gone(self, stage, moment):
        client = stage.client
        pool.wait_until(lambda: client.redis.execute_command("FUNCTION", "LIST"), "a relay has loaded the library again")
        assert client.run("print(1)").verdict == "ok"
        pool.wait_until(lambda: stage.is_idle(), "it has nothing to do")
        pool.wait_until(lambda: len(stage.pool.sandboxes()) == 1, "no sandbox but the one that waits")
        left = [key for key in client.redis.scan_iter("*") if stage.job.encode() in key]
        assert left == [], f"{moment}: {left}"
        for name in ("open", "lease", "delayed", "waits", "dead"):
            assert client.redis.zcard(client.key(name)) == 0, f"{moment}: {name}"

    def test_supervisor(self):
        """Its pool ends with it, and gives the job back, for the next pool."""
        moments.walk(self.walk_supervisor, [m for m in MOMENTS if not m.alone and m.steps[-1][0] == "after"], 5)

    def walk_supervisor(self, group):
        def deed(stage, when):
            stage.doom(stage.sandboxes())
            os.kill(stage.pool.process.pid, signal.SIGKILL)

        seen = set()
        for moment in group:
            with Stage() as stage:
                stage.reach(moment, deed)
                pool.wait_until(lambda: not stage.processes(), "every process of the pool is gone")
                stage.follow()
                stage.check_end(moment.attempts["supervisor"])
            seen |= stage.seen
        return seen


if __name__ == "__main__":
    unittest.main()
