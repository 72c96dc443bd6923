# SPDX-License-Identifier: MIT
"""How many workers a pool has: as many as its work asks for, within what is configured."""

import os
import signal
import unittest

import pool

SLEEP = pool.make_zip("import time\ntime.sleep(3)\n")


class Scaling(unittest.TestCase):
    def count(self, number, what):
        pool.wait_until(lambda: len(self.pool.relays()) == number, f"{number} workers {what}")

    def check(self, jobs):
        ended = [self.client.wait(job) for job in jobs]
        self.assertEqual({(job.verdict, job.attempt) for job in ended}, {("ok", b"1")})
        self.assertEqual(pool.keys_without_expiry(self.client), [])

    def test_by_load(self):
        with pool.Pool(workers=2, max_workers=16, scale_up_ms=100, scale_down_s=1, spare_memory_mb=0) as self.pool:
            self.client = self.pool.client
            self.count(2, "at the start")
            jobs = [self.client.enqueue(SLEEP) for _ in range(60)]
            self.count(16, "while jobs wait")
            self.check(jobs)
            self.count(2, "when nothing is to be done")
            self.check([self.client.enqueue(pool.make_zip("print(1)")) for _ in range(20)])

    def test_a_worker_that_is_lost_on_its_way_out(self):
        """Killed with its last job: that is its successor's to give back, and is run."""
        with pool.Pool(workers=1, max_workers=2, scale_up_ms=100, scale_down_s=1, spare_memory_mb=0) as self.pool:
            self.client = self.pool.client
            jobs = [self.client.enqueue(pool.make_zip("import time\ntime.sleep(6)\n")) for _ in range(2)]
            self.count(2, "while jobs wait")
            pool.wait_until(lambda: [self.client.job(job)["state"] for job in jobs] == [b"running"] * 2, "both run")
            os.kill(max(self.pool.relays()), signal.SIGKILL)
            self.assertEqual({self.client.wait(job).verdict for job in jobs}, {"ok"})
            self.count(1, "when nothing is to be done")

    def test_scarce_memory(self):
        with pool.Pool(workers=1, max_workers=4, scale_up_ms=100, spare_memory_mb=1048576) as self.pool:
            self.client = self.pool.client
            self.check([self.client.enqueue(pool.make_zip("import time\ntime.sleep(0.5)\n")) for _ in range(6)])
            self.assertNotIn("workers=2", self.pool.read_log())


if __name__ == "__main__":
    unittest.main()
