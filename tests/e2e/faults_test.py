# SPDX-License-Identifier: MIT
"""kill -9 of each kind of process in the middle of a job: the job ends `ok` on a later attempt, the program of the
lost attempt is gone before the next one starts, and the pool goes on."""

import os
import signal
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
        return min(self.pool.sandboxes())

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

    def test_lost_three_times_is_dead(self):
        job = self.client.enqueue(pool.make_zip(SLOW))
        attempts = []
        for entry in self.client.entries(job):
            if entry[b"k"] == b"slice" and b"begun" in entry[b"d"] and entry[b"a"] not in attempts:
                attempts.append(entry[b"a"])
                os.kill(self.running_sandbox(), signal.SIGKILL)
        ended = self.client.wait(job)
        self.assertEqual(attempts, [b"1", b"2", b"3"])
        self.assertEqual(ended.verdict, "fault")
        self.assertEqual(ended.result["exit_code"], 99)
        self.assertEqual(self.client.job(job)["state"], b"dead")
        self.assertEqual(self.client.redis.zcard(self.client.key("dead")), 1)
        self.assertEqual(self.client.run("print(1)").verdict, "ok")

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
        for name in os.listdir(self.pool.runtime):
            os.unlink(os.path.join(self.pool.runtime, name))


if __name__ == "__main__":
    unittest.main()
