# SPDX-License-Identifier: MIT
"""Recordings as lines of JSON (encoding=json): the records of the binary form, whatever a program does, and read with
redis-cli and jq alone."""

import base64
import json
import os
import re
import subprocess
import tempfile
import unittest

import pool
import recording

FOLLOW = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "clients", "follow.sh")
PROGRAM = """\
import os, sys, threading
import paddock

class Bee:
    def hum(self, text):
        print(text, end='', flush=True)
        os.write(2, 'é'.encode()[:1])
        os.write(2, 'é'.encode()[1:])

def work():
    for text in 'Hé!\\n', '\\x00\\x1b\\x7f"\\\\\\t', '\\U0001f40e':
        Bee().hum(text)

work()
thread = threading.Thread(target=work)
thread.start()
thread.join()
paddock.save('all.bin', bytes(range(256)) * 40)
paddock.result({'answer': ['é' * 3000]})
raise ValueError('no \\udc80 thing')
"""


def objects(job):
    """The lines of a recording: each is JSON, and there is nothing else."""
    assert job.recording.endswith(b"\n")
    return [json.loads(line) for line in job.recording.decode().split("\n")[:-1]]


def joined(records, kind, decode=lambda part: part.encode()):
    return b"".join(decode(r["part"]) for r in records if r["kind"] == kind)


def text(records, kind="out"):
    return "".join(r["data"] for r in records if r["kind"] == kind)


def told(records):
    """What records tell, beside when, and in how many pieces output and values come."""
    return [{name: value for name, value in r.items() if name not in ("time", "depth") and (name != "thread" or r["kind"] == name)}
            for r in records if r["kind"] not in ("out", "err", "value", "saved", "repeat")]


class Lines(pool.TestCase):
    def test_they_are_the_records_of_the_binary_form(self):
        binary = self.client.run(PROGRAM, trace="calls")
        job = self.client.run(PROGRAM, trace="calls", encoding="json")
        self.assertEqual(job.verdict, "exception", job.result)
        self.assertEqual(binary.verdict, "exception", binary.result)
        lines, records = objects(job), list(recording.unfold(recording.decode(binary.recording)))
        self.assertEqual(told(lines), told(records))
        for kind in "out", "err":
            self.assertEqual(text(lines, kind), recording.text(records, kind))
        self.assertEqual(joined(lines, "saved", base64.b64decode), bytes(range(256)) * 40)
        self.assertEqual(json.loads(joined(lines, "value")), {"answer": ["é" * 3000]})
        times = [r["time"] for r in lines if "time" in r]
        self.assertEqual(times, sorted(times))
        self.assertEqual(lines[-1]["kind"], "end")

    def test_output_is_told_as_it_comes(self):
        job = self.client.enqueue(pool.make_zip("print('now')\nwhile True: pass\n"), encoding="json")
        for entry in self.client.entries(job):
            if entry[b"k"] == b"slice" and b'"data":"now\\n"' in entry[b"d"]:
                self.assertTrue(entry[b"d"].endswith(b"\n"))
                self.client.cancel(job)
        self.assertEqual(self.client.wait(job).verdict, "cancelled")

    def test_a_long_trace_keeps_its_head_and_tail(self):
        code = ("def work(n):\n    return n + 1\ndef last(n):\n    while True:\n        pass\n"
                "print('begin')\nn = 0\nfor _ in range(100000):\n    n = work(n)\nprint('end')\nlast(n)\n")
        job = self.client.run(code, trace="calls", encoding="json", recording_kb=64, cpu_ms=5000, wall_ms=60000)
        self.assertEqual(job.verdict, "cpu_limit", job.result)
        records = objects(job)
        self.assertEqual(text(records), "begin\nend\n")
        functions = {r["function"]: r["name"] for r in records if r["kind"] == "function"}
        names = [functions[r["function"]] for r in records if r["kind"] == "call"]
        self.assertEqual((names[:2], names[-1]), (["<module>", "work"], "last"))
        self.assertIn("sync", [r["kind"] for r in records])
        self.assertGreater([r["produced"] for r in records if r["kind"] == "dropped"][-1], 190000)
        self.assertLess(len(job.recording), 64 * 1024 + 2 * 32 * 1024 + 4096)

    def test_the_end_of_a_long_trace_stands_before_the_end(self):
        code = "def work(n):\n    return n\nfor n in range(20000):\n    work(n)\nprint('end')\n"
        job = self.client.run(code, trace="calls", encoding="json", recording_kb=64, cpu_ms=30000, wall_ms=60000)
        self.assertEqual(job.verdict, "ok", job.result)
        records = objects(job)
        self.assertEqual(records[-1]["produced"], 2 * 20000 + 2)
        self.assertEqual(records[-2]["kind"], "return")

    def test_output_byte_by_byte_is_no_fault(self):
        code = ("import os\nfor i in range(60 * 1024):\n    os.write(1, b'\\x01')\n"
                "os.write(1, '\\u20ac'.encode() * 1000)\n")
        job = self.client.run(code, encoding="json", output_kb=512, recording_kb=64, cpu_ms=30000, wall_ms=60000)
        self.assertEqual(job.verdict, "ok", job.result)
        self.assertEqual(text(objects(job)), "\x01" * 60 * 1024 + "\u20ac" * 1000)

    def test_lines_are_no_more_than_eight_times_the_output_limit(self):
        for call in ("os.write(1, b'x')", "os.write(2, b'\\x01' * 7)", "paddock.save('a', b'')", "paddock.result(1)"):
            code = f"import os, paddock\nwhile True:\n    {call}\n"
            job = self.client.run(code, encoding="json", output_kb=64, recording_kb=64, cpu_ms=30000, wall_ms=60000)
            self.assertIn(job.verdict, ("output_limit", "exception"), job.result)
            self.assertTrue(64 * 1024 < len(job.recording) < 8 * 64 * 1024 + 16384, (call, len(job.recording)))

    def test_an_output_limit_cuts_no_line(self):
        job = self.client.run("while True:\n    print('\\u20ac' * 100)\n", encoding="json", output_kb=10)
        self.assertEqual(job.verdict, "output_limit", job.result)
        self.assertEqual(text(objects(job)), (("\u20ac" * 100 + "\n") * 40)[:10 * 1024 // 301 * 101 + (10 * 1024 % 301) // 3])

    def test_bytes_that_are_no_text(self):
        job = self.client.run("import os\nos.write(1, bytes(range(256)))\nos.write(2, b'\\xf0\\x9f')\n", encoding="json")
        records = objects(job)
        self.assertEqual(text(records)[:128], "".join(map(chr, range(128))))
        self.assertEqual(set(text(records)[128:]), {"\ufffd"})
        self.assertEqual([r["kind"] for r in records], ["header", "out", "err", "end"])
        self.assertEqual(set(text(records, "err")), {"\ufffd"})

    def test_an_error_of_control_characters(self):
        name = "a" * 250
        files = {"robot.py": f"import {name}\n{name}.f(5)\n",
                 name + ".py": "def f(n):\n    '" + "\x01" * 240 + "' and (f(n - 1) if n else " + "1 / 0)\n"}
        job = self.client.run(files, encoding="json")
        error = [r for r in objects(job) if r["kind"] == "error"][0]
        self.assertEqual((job.verdict, error["type"], len(error["frames"])), ("exception", "ZeroDivisionError", 7))

    def test_lines_and_steps_are_refused(self):
        for trace in "lines", "steps":
            with self.assertRaisesRegex(Exception, "BADFIELD encoding: json goes with trace off or calls$"):
                self.client.run("pass\n", trace=trace, encoding="json")
        with self.assertRaisesRegex(Exception, "BADFIELD encoding: takes one of: binary json$"):
            self.client.run("pass\n", encoding="xml")

    def test_a_job_of_another_making_is_none(self):
        """What enqueue would have refused."""
        job = self.client.enqueue(pool.make_zip("def f(): pass\nf()\n"), trace="calls", encoding="json", delay_ms=400)
        self.client.redis.hset(self.client.key("job:", job), "trace", "steps")
        ended = self.client.wait(job)
        self.assertEqual((ended.verdict, ended.result["state"]), ("fault", "dead"))
        self.assertIn("json goes with trace off or calls", ended.result["detail"])

    def paddock(self, *words, **options):
        return subprocess.run([pool.program("paddock"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, check=True, **options)

    def test_the_command_reads_it_as_the_other_form(self):
        with tempfile.TemporaryDirectory() as folder:
            binary, lines = os.path.join(folder, "binary"), os.path.join(folder, "lines")
            for path, encoding in (binary, "binary"), (lines, "json"):
                with open(path, "wb") as file:
                    file.write(self.client.run(PROGRAM, trace="calls", encoding=encoding).recording)
            with open(lines, "rb") as file:
                self.assertEqual(self.paddock("trace", lines, "--format", "json").stdout, file.read())
            for output in "stdout", "stderr":
                self.assertEqual(getattr(self.paddock("follow", lines), output), getattr(self.paddock("follow", binary), output))
            self.assertEqual(self.paddock("trace", lines).stdout.count(b"Bee.hum"),
                             self.paddock("trace", binary).stdout.count(b"Bee.hum"))
            self.paddock("save", lines, "--output", os.path.join(folder, "saved"))
            with open(os.path.join(folder, "saved", "files", "all.bin"), "rb") as file:
                self.assertEqual(file.read(), bytes(range(256)) * 40)

    def follow(self, job, queue="test"):
        return subprocess.run([FOLLOW, queue, job, "-s", f"{self.pool.runtime}/redis.sock"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=pool.PATIENCE, stdin=subprocess.DEVNULL)

    def test_redis_cli_and_jq_follow_it(self):
        job = self.client.enqueue(pool.make_zip(PROGRAM), trace="calls", encoding="json")
        done = self.follow(job)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual((lines[0]["kind"], lines[-1]["verdict"]), ("state", "exception"))
        self.assertEqual(lines[1:-1], objects(self.client.wait(job)))
        jq = subprocess.run(["jq", "-j", 'select(.kind == "out").data'], input=done.stdout, stdout=subprocess.PIPE, text=True,
                            check=True)
        self.assertEqual(jq.stdout, text(lines))

    def test_slices_of_a_lost_attempt_are_passed_over(self):
        frames = self.client.key("frames:", "lost")
        for kind, attempt, data in (("state", 1, '{"n":1}'), ("slice", 1, '{"n":2}\n'), ("state", 2, '{"n":3}'),
                                    ("slice", 1, '{"n":4}\n'), ("slice", 2, '{"n":5}\n{"n":6}\n'), ("result", 2, '{"n":7}')):
            self.client.redis.xadd(frames, {"k": kind, "a": attempt, "d": data})
        self.assertEqual([json.loads(line)["n"] for line in self.follow("lost").stdout.splitlines()], [1, 2, 3, 5, 6, 7])
        self.client.redis.delete(frames)

    def test_there_is_no_such_job(self):
        done = self.follow("nobody")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("there is no job nobody", done.stderr)
        job = self.client.enqueue(pool.make_zip("print('hi')\n"))
        self.client.wait(job)
        done = self.follow(job)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"the recording of job {job} is binary: this reads those of jobs with encoding=json", done.stderr)
        done = subprocess.run([FOLLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, re.match("usage: ", done.stderr) is not None), (2, True))


if __name__ == "__main__":
    unittest.main()
