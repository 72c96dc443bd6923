# SPDX-License-Identifier: MIT
"""Redis's clock, the only one of the queue, jumps: by an hour forward, or six, and back. No job of an owner that is well is given to
another, the jobs of one that is gone are, and nothing waits longer for it than it had to."""

import os
import signal
import struct
import tempfile
import time
import unittest

import pool
import recording

LIBRARY = os.path.join(os.path.dirname(pool.BIN), "tests", "e2e", "shifted_clock.so")
HOUR = 3600
LEASE_MS = 2000
# It outlasts its lease by far.
LONG = "import time\nprint('begun', flush=True)\ntime.sleep(4)\nprint('done')\n"


class Clock:
    """By how much a redis-server's is wrong."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile()
        self.shift(0)
        self.environment = {"LD_PRELOAD": LIBRARY, "SHIFTED_CLOCK": self.file.name}

    def shift(self, seconds):
        with open(self.file.name, "r+b") as file:
            file.write(struct.pack("q", seconds))


class Jumps(unittest.TestCase):
    def setUp(self):
        self.clock = Clock()
        self.addCleanup(self.clock.file.close)
        server = self.enterContext(pool.RedisServer(environment=self.clock.environment))
        self.pool = self.enterContext(pool.Pool(workers=3, redis=server.address, lease_ms=LEASE_MS))
        self.client = self.pool.client

    def jump(self, seconds):
        self.clock.shift(seconds)
        self.assertAlmostEqual(self.client.redis.time()[0] - time.time(), seconds, delta=60)

    def begin(self):
        job = self.enqueue(LONG)
        pool.wait_until(lambda: any(b"begun" in fields.get(b"d", b"") for _, fields in
                                    self.client.redis.xrange(self.client.key("frames:", job))), "it has begun")
        return job

    def enqueue(self, code="print(1)", **fields):
        """What is said of it outlasts the jump."""
        return self.client.enqueue(pool.make_zip(code), keep_s=10 * HOUR, **fields)

    def check(self, job, verdict="ok", attempt=b"1"):
        ended = self.client.wait(job)
        self.assertEqual((ended.verdict, ended.attempt), (verdict, attempt), ended.result)
        return ended

    def check_runs_on(self, job):
        ended = self.check(job)
        self.assertEqual(recording.text(recording.decode(ended.recording)), "begun\ndone\n")
        self.assertNotIn("not ours", self.pool.read_log())

    def check_empty(self):
        for name in ("open", "lease", "delayed", "waits", "dead"):
            self.assertEqual(self.client.redis.zcard(self.client.key(name)), 0, name)
        self.assertEqual(pool.keys_without_expiry(self.client), [])

    def test_forward(self):
        """An hour has passed for all that waits, and its sender knows it; what runs goes on."""
        job = self.begin()
        self.client.redis.execute_command("FCALL", "paddock_pause", 1, self.client.key("open"), "")
        impatient, patient = self.enqueue(max_wait_s=HOUR // 2), self.enqueue(max_wait_s=2 * HOUR)
        later = self.enqueue(delay_ms=HOUR * 900, max_wait_s=HOUR)
        self.jump(HOUR)
        self.client.redis.execute_command("FCALL", "paddock_resume", 1, self.client.key("open"))
        self.check(impatient, "expired", b"0")
        self.check(patient)
        self.check(later)
        self.check_runs_on(job)
        self.check_empty()

    def test_forward_by_hours_when_an_owner_is_gone(self):
        """His job's program has not expired: it runs again."""
        job = self.begin()
        owner = self.pool.relays()[int(self.client.job(job)["owner"].rpartition(b".")[2])]
        os.kill(owner, signal.SIGSTOP)
        self.jump(6 * HOUR)
        os.kill(owner, signal.SIGKILL)
        self.check(job, attempt=b"2")
        self.check_empty()

    def test_back(self):
        job, later = self.begin(), self.enqueue(delay_ms=1000)
        self.jump(-HOUR)
        self.check(self.enqueue())
        self.check(later)
        self.check_runs_on(job)
        self.check_empty()

    def test_back_when_an_owner_is_gone(self):
        """He had a job, which does not stay his for an hour."""
        job = self.begin()
        owner = self.pool.relays()[int(self.client.job(job)["owner"].rpartition(b".")[2])]
        os.kill(owner, signal.SIGSTOP)
        self.jump(-HOUR)
        self.check(job, attempt=b"2")
        os.kill(owner, signal.SIGCONT)
        pool.wait_until(lambda: f"job={job} attempt=1 is not ours" in self.pool.read_log() or "stale" in self.pool.read_log(),
                        "he is told so")
        self.check_empty()

    def test_to_and_fro(self):
        jobs = []
        for i in range(60):
            self.clock.shift((i % 3 - 1) * HOUR)
            jobs += [self.enqueue("import time; time.sleep(0.05)", max_wait_s=10 * HOUR)]
            time.sleep(0.02)
        for job in jobs:
            self.check(job)
        self.check_empty()


if __name__ == "__main__":
    unittest.main()
