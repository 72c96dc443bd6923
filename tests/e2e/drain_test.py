# SPDX-License-Identifier: MIT
"""`paddock drain`: a pool takes no more jobs, what runs ends, and the command waits for it."""

import os
import signal
import subprocess
import unittest

import pool
from command import PADDOCK, Command
from screen import Terminal

SLOW = pool.make_zip("import time\nprint('begun', flush=True)\ntime.sleep(1)\nprint('done')\n")
ENDLESS = pool.make_zip("import time\nprint('begun', flush=True)\ntime.sleep(600)\n")


def run(p, program, **fields):
    """The id of one that has begun."""
    job = p.client.enqueue(program, wall_ms="600000", **fields)
    pool.wait_until(lambda: p.client.job(job).get("state") == b"running", "it runs")
    return job


class Drain(Command):
    def setUp(self):
        super().setUp()
        self.server = self.enterContext(pool.RedisServer())

    def drain(self, p, *words):
        return self.paddock("drain", *words, "--runtime-dir", p.runtime)

    def test_what_runs_ends_and_what_waits_stays(self):
        for words, out in ((), "drained\n"), (("--json",), '{"kind":"drain","answer":"drained"}\n'):
            with self.subTest(words), pool.Pool(workers=1, redis=self.server.address) as p:
                running = run(p, SLOW)
                waiting = p.client.enqueue(SLOW)
                self.check(self.drain(p, *words), 0, out, err="")
                self.assertEqual(p.client.wait(running).verdict, "ok")
                self.assertEqual(p.client.job(waiting)["state"], b"queued")
                p.client.cancel(waiting)
                self.check(self.drain(p), 100, err="no pool runs here")

    def test_what_does_not_end_is_given_back(self):
        with pool.Pool(workers=1, redis=self.server.address, drain_s=1) as p:
            job = run(p, ENDLESS)
            self.check(self.drain(p), 0, "drained\n", err="")
            self.assertEqual(p.client.job(job)["state"], b"queued")
            p.client.cancel(job)

    def test_twice_is_no_stop(self):
        with pool.Pool(workers=1, redis=self.server.address) as p:
            job = run(p, SLOW)
            command = [PADDOCK, "drain", "--runtime-dir", p.runtime]
            both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
            self.assertEqual([(*one.communicate(timeout=pool.PATIENCE), one.returncode) for one in both], [("drained\n", "", 0)] * 2)
            self.assertEqual(p.client.wait(job).verdict, "ok")

    def test_at_a_terminal_and_interrupted(self):
        with pool.Pool(workers=1, redis=self.server.address) as p:
            job = run(p, ENDLESS)
            terminal = Terminal([PADDOCK, "drain", "--runtime-dir", p.runtime])
            terminal.wait_for("draining: 1 job runs")
            terminal.type("\x03")
            self.assertEqual(terminal.end(), 1)
            self.assertEqual(terminal.screen.lines(), ["paddock: the pool goes on draining"])
            p.client.cancel(job)
            self.check(self.drain(p), 0, "drained\n")

    def test_bad_input(self):
        self.check(self.paddock("drain", "--redis", self.server.address), 2, err="--redis: drain is about a pool of this machine")
        self.check(self.paddock("drain", "--queue", "test"), 2, err="--queue: drain is about a pool, with all of its queues")
        self.check(self.paddock("drain", "j"), 2, err="usage")
        self.check(self.paddock("drain", "--runtime-dir", self.path("empty/x", "")), 100, err="no pool runs here")

    def test_a_pool_that_was_killed(self):
        """Its number in the folder may be anybody's by now, who is left alone."""
        with pool.Pool(workers=1, redis=self.server.address) as p:
            os.kill(p.process.pid, signal.SIGKILL)
            pool.wait_until(lambda: not p.processes(), "all have ended")
            done = self.drain(p)
            self.check(done, 100, err="unable to reach the supervisor")
            p.process.wait()
            p.start()  # the next one takes the folder over
            self.check(self.drain(p), 0, "drained\n")


if __name__ == "__main__":
    unittest.main()
