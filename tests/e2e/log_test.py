# SPDX-License-Identifier: MIT
"""The log: one event, one line, as text or as JSON, and nothing that a client or a program chose gets out of its place."""

import json
import os
import re
import subprocess
import unittest

import pool

TEXT = re.compile(r"(error|warning|info|debug) [a-z]+(-\d+)?\[\d+\] .+")


class Log(unittest.TestCase):
    def lines(self, p):
        p.stop()
        return p.read_log().splitlines()

    def objects(self, p):
        # LeakSanitizer has its own word at the end of who has given up its rights.
        return [json.loads(line) for line in self.lines(p) if line.startswith("{") or not pool.SANITIZED]

    def test_json(self):
        with pool.Pool(workers=2, log_format="json", log_level="debug", metrics=f"127.0.0.1:{pool.free_port()}") as p:
            p.client.run("print(1)\n")
            p.client.wait(p.client.enqueue(pool.make_zip("1 / 0\n"), job="007"))
            p.client.wait(p.client.enqueue(pool.make_zip("1 / 0\n"), job="8"))
            lines = self.objects(p)
        for line in lines:
            with self.subTest(line):
                self.assertEqual(list(line)[:5], ["time", "level", "role", "pid", "message"])
                self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
                self.assertIn(line["level"], ("error", "warning", "info", "debug"))
                self.assertIsInstance(line["pid"], int)
        self.assertLessEqual({"supervisor", "relay-0", "relay-1"}, {line["role"] for line in lines})
        for job in "007", "8":
            [end] = [line for line in lines if line.get("job") == job and "verdict" in line]
            self.assertEqual((end["verdict"], end["attempt"]), ("exception", 1))
            self.assertIsInstance(end["cpu_ms"], int)

    def test_text(self):
        with pool.Pool(workers=1) as p:
            p.client.run("print(1)\n")
            lines = self.lines(p)
        for line in lines:
            self.assertRegex(line, TEXT)

    def test_one_line_says_what_became_of_a_job(self):
        rows = {"print(1)\n": ("ok", 0, 0, ""), "exit(3)\n": ("exit", 3, 0, "exit(3)"),
                "1 / 0\n": ("exception", 1, 0, "ZeroDivisionError: division by zero (robot.py, line 1)"),
                "print(1)\nwhile True: pass\n": ("cpu_limit", 83, 9, "more than 200 ms of computing time and was stopped. It was at robot.py, line 2"),
                "import ctypes\nctypes.CDLL(None).ptrace(0, 0, 0, 0)\n": ("forbidden", 87, 9, "ptrace")}
        with pool.Pool(workers=1, log_format="json", allow_ctypes="yes") as p:
            ids = [p.client.run(source, tenant="team-7", cpu_ms="200").result["id"] for source in rows]
            told = {line["job"]: line for line in self.objects(p) if "verdict" in line}
        for (source, (verdict, exit_code, signal, words)), job in zip(rows.items(), ids):
            with self.subTest(source):
                line = told[job]
                self.assertEqual([line[name] for name in ("level", "queue", "attempt", "tenant", "verdict", "signal")],
                                 ["info", p.queue, 1, "team-7", verdict, signal])
                self.assertEqual(line["exit_code"], exit_code)
                for name in "queue_ms", "wall_ms", "cpu_ms":
                    self.assertIsInstance(line[name], int)
                self.assertIn(words, line["message"].partition(": ")[2])

    def test_what_others_say_stays_in_its_place(self):
        """A reason is shown with what a program or a client made of it, which is neither a line nor a fact of its own."""
        with pool.Pool(workers=1, log_format="json", max_deliveries=1) as p:
            job = p.client.enqueue(pool.make_zip("print(1)\n"), entry="x\nlevel=error verdict=ok job=other\x1b[31m")
            verdict = p.client.wait(job).verdict
            p.client.redis.set(p.client.key("up:x"), b"PK")
            p.client.redis.execute_command("FCALL", "paddock_enqueue", 1, p.client.key("open"), "two", "upload", "x", "meta", "job=9 verdict=ok\n")
            p.client.wait("two")
            lines = self.objects(p)
        told = [line for line in lines if "verdict" in line]
        self.assertEqual([line["job"] for line in told], [job, "two"])
        self.assertEqual(told[0]["verdict"], verdict)
        self.assertNotIn("\x1b", "".join(line["message"] for line in lines))

    def test_lines_of_one_job(self):
        """What docs/OPERATIONS.md looks for finds a job's and a tenant's own lines, whatever others are called and say."""
        with open(os.path.join(pool.ROOT, "docs", "OPERATIONS.md"), encoding="utf-8") as file:
            patterns = re.findall(r"journalctl .*grep -E '(.*)'", file.read())
        self.assertEqual([re.search(r"ID|TEAM", pattern)[0] for pattern in patterns], ["ID", "TEAM"])
        fake = "raise Exception('queue=test job=a attempt=1 verdict=ok tenant=t queue_ms=1: ')"
        with pool.Pool(workers=1) as p:
            for job, tenant in (("a", "t"), ("ab", "tt"), ("xa", "x:t"), ("a-1", "t:t")):
                p.client.wait(p.client.enqueue(pool.make_zip("1 / 0" if job == "a" else fake), job=job, tenant=tenant))
            lines = "\n".join(self.lines(p)) + "\n"
        for pattern in patterns:
            with self.subTest(pattern):
                done = subprocess.run(["grep", "-E", pattern.replace("ID", "a").replace("TEAM", "t")], input=lines, capture_output=True, text=True)
                self.assertEqual(re.findall(r" job=(\S+) attempt=1 verdict=exception tenant=(\S+) queue_ms=.*", done.stdout), [("a", "t")])
                self.assertEqual(done.stdout.count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
