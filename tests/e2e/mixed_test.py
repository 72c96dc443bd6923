# SPDX-License-Identifier: MIT
"""A thousand jobs of all kinds at once, each with a verdict that is known beforehand and a random token that
must be found in its own recording and in no other."""

import random
import secrets
import unittest

import pool
import recording

JOBS = 200 if pool.SANITIZED else 1000

GOOD = "import math\nprint('{token}', math.sqrt(16))\n"
PACKAGE = {"robot.py": "from arm import grip\ngrip.close('{token}')\n",
           "arm/__init__.py": "", "arm/grip.py": "def close(t):\n    print(t)\n"}
RAISING = "print('{token}')\ndef go(n):\n    return 1 // n\ngo(0)\n"
ENDLESS = "print('{token}')\nwhile True:\n    pass\n"
SLEEPING = "import time\nprint('{token}')\ntime.sleep(1000)\n"
CRASHING = "import os, signal\nprint('{token}')\nos.kill(os.getpid(), signal.SIGSEGV)\n"
EXITING = "import sys\nprint('{token}')\nsys.exit(3)\n"
VANISHING = "import os\nprint('{token}', flush=True)\nos._exit(0)\n"
HUNGRY = "print('{token}')\nx = []\nwhile True:\n    x.append(bytearray(1 << 20))\n"
TALKING = "print('{token}')\nwhile True:\n    print('x' * 1000)\n"
BROKEN = "print('{token}'\n"

# name, program, fields, verdict, exit code, weight, prints its token
KINDS = [
    ("good", GOOD, {}, "ok", 0, 40, True),
    ("package", PACKAGE, {}, "ok", 0, 15, True),
    ("traced", PACKAGE, {"trace": "calls"}, "ok", 0, 5, True),
    ("raising", RAISING, {}, "exception", 1, 10, True),
    ("exiting", EXITING, {}, "exit", 3, 5, True),
    ("broken", BROKEN, {}, "compile_error", 1, 5, False),
    ("endless", ENDLESS, {"cpu_ms": 100}, "cpu_limit", 83, 3, True),
    ("sleeping", SLEEPING, {"wall_ms": 500}, "wall_limit", 84, 3, True),
    ("hungry", HUNGRY, {"memory_mb": 64}, "memory_limit", 85, 3, True),
    ("talking", TALKING, {"output_kb": 16}, "output_limit", 86, 3, True),
    ("crashing", CRASHING, {}, "crashed", 88, 4, True),
    ("vanishing", VANISHING, {}, "vanished", 89, 2, True),
    ("garbage", b"this is no ZIP: {token}", {}, "bad_zip", 80, 3, False),
    ("nameless", {"robot1.py": "print('{token}')\n"}, {}, "no_entry", 81, 3, False),
]


if pool.SANITIZED:
    # AddressSanitizer ends a process that gets no memory, before Python can.
    KINDS = [kind for kind in KINDS if kind[0] != "hungry"]


def fill(content, token):
    if isinstance(content, bytes):
        return content.replace(b"{token}", token.encode())
    if isinstance(content, str):
        return pool.make_zip(content.replace("{token}", token))
    return pool.make_zip({n: c.replace("{token}", token) for n, c in content.items()})


class Mixed(unittest.TestCase):
    def test_every_job_ends_as_it_must(self):
        choose = random.Random(20100301)
        with pool.Pool(workers=4) as p:
            young = p.count_fds()
            jobs = self.enqueue_all(p, choose)
            tokens = {token for _, token, _ in jobs.values()}
            for job, (kind, token, _) in jobs.items():
                self.check(p.client.wait(job), kind, token, tokens)
            self.check_nothing_left(p)
            pool.wait_until(lambda: p.count_fds() == young, f"no fd more than when the pool was young: {young}")

    def enqueue_all(self, p, choose):
        jobs = {}
        for _ in range(JOBS):
            kind = choose.choices(KINDS, [k[5] for k in KINDS])[0]
            token = secrets.token_hex(16)
            job = p.client.enqueue(fill(kind[1], token), **kind[2],
                                   tenant=choose.choice(["a", "b", "c"]))
            jobs[job] = (kind, token, None)
        return jobs

    def check(self, job, kind, token, tokens):
        name, _, _, verdict, exit_code, _, prints = kind
        with self.subTest(kind=name):
            self.assertEqual(job.verdict, verdict, job.result)
            self.assertEqual(job.result["exit_code"], exit_code)
            records = recording.decode(job.recording, partial=True)
            output = recording.text(records)
            self.assertEqual(token in output, prints)
            others = [t for t in tokens if t != token and t.encode() in job.recording]
            self.assertEqual(others, [])

    def check_nothing_left(self, p):
        client = p.client
        for name in ("open", "lease", "delayed", "dead"):
            self.assertEqual(client.redis.zcard(client.key(name)), 0, name)
        self.assertEqual(int(client.redis.get(client.key("bytes")) or 0), 0)
        self.assertEqual(pool.keys_without_expiry(client), [])
        self.assertEqual(list(client.redis.scan_iter(client.key("zip:*"))), [])


if __name__ == "__main__":
    unittest.main()
