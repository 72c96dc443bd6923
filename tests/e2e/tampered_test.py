# SPDX-License-Identifier: MIT
"""Keys of waiting jobs that somebody wrote to behind the queue's back: a relay reads no more of them than it takes, and says what
it cannot understand."""

import re
import unittest

import pool

MB = 1 << 20
LARGE = 200 * MB


def most_kb(pid):
    """The most memory that a process has had."""
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"^VmHWM:\s*(\d+) kB$", file.read(), re.M)[1])


class Tampered(pool.TestCase):
    OPTIONS = {"workers": 1, "maxmemory_mb": 4096}

    def end(self, tamper, code="print(1)"):
        """Enqueues a job, has its keys tampered with while no job is claimed, and waits for its end."""
        self.call("pause", "a test")
        job = self.client.enqueue(pool.make_zip(code) if isinstance(code, str) else code)
        tamper(job)
        self.call("resume")
        return self.client.wait(job)

    def call(self, name, *words):
        self.client.redis.execute_command("FCALL", f"paddock_{name}", 1, self.client.key("open"), *words)

    def check_service(self):
        relays = self.pool.relays()
        self.assertEqual(self.client.run("print(1)").verdict, "ok")
        self.assertEqual(self.pool.relays(), relays)
        for relay in relays:
            self.assertLess(most_kb(relay), LARGE // 1024)

    def test_a_zip_that_has_grown(self):
        ended = self.end(lambda job: self.client.redis.setrange(self.client.key("zip:", job), LARGE, "x"))
        self.assertEqual((ended.verdict, ended.result["state"]), ("fault", "dead"))
        self.assertIn("its ZIP has grown to", ended.result["detail"])
        self.check_service()

    def test_the_largest_zip(self):
        """A byte more than this pool takes is too much, whatever the queue does."""
        self.client.redis.hset(self.client.key("conf"), "max_zip_mb", 50)
        for more in (0, 1):
            with self.subTest(more):
                ended = self.end(lambda job: None, code=bytes(10 * MB + more))
                self.assertEqual(ended.verdict, "bad_zip")
                self.assertEqual("larger than the 10 MB" in ended.result["sentence"], more > 0)
                self.check_service()

    def test_a_zip_of_no_bytes(self):
        ended = self.end(lambda job: None, code=b"")
        self.assertEqual((ended.verdict, ended.attempt), ("bad_zip", b"1"))

    def test_fields_that_have_grown(self):
        for field, verdict in (("stdin", "fault"), ("entry", "fault"), ("tenant", "fault"), ("unknown", "fault"), ("sentence", "ok")):
            with self.subTest(field):
                ended = self.end(lambda job: self.client.redis.hset(self.client.key("job:", job), field, b"x" * LARGE))
                self.assertEqual(ended.verdict, verdict, ended.result.get("detail"))
                self.check_service()

    def test_an_attempt_beyond_all_numbers(self):
        ended = self.end(lambda job: self.client.redis.hset(self.client.key("job:", job), "attempt", 5_000_000_000))
        self.assertEqual((ended.verdict, ended.result["state"]), ("fault", "dead"))
        self.assertIn("its field attempt takes a whole number", ended.result["detail"])
        self.check_service()


class Cut(pool.TestCase):
    OPTIONS = {"workers": 2, "lease_ms": 2000}

    def test_an_id_that_begins_as_another(self):
        """It is not cut to that one's, which would run a second time into its recording; also where the library lets it pass."""
        redis, key = self.client.redis, self.client.key
        listed = redis.execute_command("FUNCTION", "LIST", "LIBRARYNAME", "paddock", "WITHCODE")[0]
        code = listed[listed.index(b"library_code") + 1]
        self.addCleanup(redis.function_load, code, replace=True)
        redis.function_load(code.replace(b"if not CHECKS.id(nil, id) then\n      return nil,", b"if false then\n      return nil,"), replace=True)
        for job, other in (("k", "k\0z"), ("x" * 64, "x" * 65)):
            with self.subTest(job):
                self.client.begin(job=job)
                for name in ("job:", "zip:"):
                    redis.copy(key(name, job), key(name, other))
                redis.hset(key("job:", other), "state", "queued")
                redis.zadd(key("waits"), {other: 1e15})
                redis.zadd(key("open"), {other: 0})
                redis.zadd(key("line1:default"), {other: 0})
                redis.zadd(key("turns1"), {"default": 0})
                redis.zadd(key("turns"), {"1": 0})
                redis.lpush(key("wake"), "1")
                pool.wait_until(lambda: self.client.job(other)["lost"] == b"1", "its lease runs out")
                redis.zrem(key("waits"), other)
                redis.delete(key("job:", other))
                self.client.cancel(job)
                self.assertEqual({entry[b"a"] for entry in self.client.wait(job).entries}, {b"1"})
                self.assertNotIn(f"job={job} attempt=2", self.pool.read_log())


if __name__ == "__main__":
    unittest.main()
