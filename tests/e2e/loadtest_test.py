# SPDX-License-Identifier: MIT
"""deploy/loadtest at real pools: what it measures is there, and what goes wrong is found."""

import importlib.machinery
import importlib.util
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import pool

LOADTEST = os.path.join(pool.ROOT, "deploy", "loadtest")


def where(p):
    return "--redis", f"unix:{p.runtime}/redis.sock", "--queue", p.queue


def measures():
    """The program itself, as a module."""
    loader = importlib.machinery.SourceFileLoader("loadtest", LOADTEST)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("loadtest", loader))
    loader.exec_module(module)
    return module


class LoadTest(pool.TestCase):
    OPTIONS = {"workers": 2, "max_wall_ms": 60_000}

    def run_it(self, *words, p=None, **options):
        p = p or self.pool
        return subprocess.run([LOADTEST, *words, *where(p)], capture_output=True, text=True, timeout=pool.PATIENCE, **options)

    def report(self, *words, code=0, p=None):
        done = self.run_it(*words, "--json", p=p)
        self.assertEqual((done.returncode, done.stderr), (code, ""), done.stdout)
        return json.loads(done.stdout)

    @unittest.skipIf(pool.SANITIZED, "memory cannot be limited with AddressSanitizer")
    def test_smoke(self):
        """Each kind of program ends as it must, whatever it is beside."""
        report = self.report("smoke")
        tenants = set(re.findall(r" tenant=(\S+)", self.pool.read_log()))
        self.assertEqual({name for name in tenants if not re.fullmatch(r"loadtest-\d+", name)}, set(), "its own names")
        self.assertLessEqual({f"loadtest-{i}" for i in range(4)}, tenants)
        self.assertEqual((report["submitted"], report["done"], report["lost"], report["double"], report["wrong"], report["missed"]),
                         (24, 24, [], [], [], []))
        self.assertEqual({tuple(row.values()) for row in report["verdicts"].values()}, {(2,)})
        self.assertEqual(report["tenants"], 4)
        for name in "wait_ms", "start_ms", "result_ms":
            values = list(report[name].values())
            self.assertEqual(values, sorted(values))
        self.assertLess(report["wait_ms"]["p50"], report["start_ms"]["p50"])
        self.assertLess(report["start_ms"]["p50"], report["result_ms"]["p50"])
        self.assertEqual(self.client.redis.zcard(self.client.key("open")), 0)

    def test_loops(self):
        for words in (["--students", "3", "--think-s", "0"], ["--rate", "20"], ["--rate", "0"]):
            with self.subTest(words):
                report = self.report("lesson", "--jobs", "12", "--mix", "short", *words)
                self.assertEqual((report["done"], report["verdicts"]), (12, {"short": {"ok": 12}}))

    def test_a_queue_that_is_full(self):
        """What is refused is submitted again, and counted."""
        self.client.redis.hset(self.client.key("conf"), "max_jobs", 3)
        self.addCleanup(self.client.redis.delete, self.client.key("conf"))
        report = self.report("deadline", "--jobs", "12", "--mix", "short=1")
        self.assertEqual(report["done"], 12)
        self.assertGreater(report["refusals"], 0)

    def test_thresholds(self):
        done = self.run_it("--jobs", "4", "--mix", "short", "--max-result-p95", "0.001", "--min-fairness", "0", "--min-rate", "1e9")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(re.findall(r"missed      --(\S+) (\S+):", done.stdout), [("max-result-p95", "0.001"), ("min-rate", "1e+09")])
        self.assertRegex(done.stdout, r"smoke: 4 of 4 jobs of 4 tenants in .*\nms +p50 +p90 +p95 +p99 +max\nlate .*\nwait .*\nstart .*\nresult .*\n"
                                      r"verdicts    short: 4 ok\nfairness    [01].*\nrefused     0 .*\nlost        0, double 0, wrong 0, ")

    def test_jobs_that_end_as_they_must_not(self):
        with pool.Pool(workers=1, max_cpu_ms=10) as p:
            report = self.report("--jobs", "2", "--mix", "long", p=p, code=1)
        self.assertEqual([line.partition(": ")[2] for line in report["wrong"]], ["long ended as cpu_limit"] * 2)
        self.assertEqual(len(report["missed"]), 1)

    def test_jobs_that_are_lost(self):
        """Nobody takes them."""
        self.client.redis.execute_command("FCALL", "paddock_pause", 1, self.client.key("open"), "")
        self.addCleanup(self.client.redis.execute_command, "FCALL", "paddock_resume", 1, self.client.key("open"))
        report = self.report("--jobs", "3", "--mix", "short", "--patience-s", "0.5", code=1)
        self.assertEqual((report["done"], len(report["lost"]), report["wait_ms"], report["fairness"]), (0, 3, None, None))
        self.assertIn("--max-lost 0: 3", report["missed"][0])

    def test_measures(self):
        loadtest = measures()
        self.assertEqual([loadtest.percentile(list(range(count, 0, -1)), percent) for count, percent in
                          ((1, 50), (2, 50), (3, 50), (10, 90), (20, 95), (100, 99), (7, 100))], [1, 1, 2, 9, 19, 99, 7])
        self.assertGreater(loadtest.fairness([[1], [2, 5], [9]]), 0.99)  # which nobody feels
        self.assertLess(loadtest.fairness([[1000], [2000, 3000], [9000]]), 0.7)
        self.assertIsNone(loadtest.fairness([]))

    def test_jobs_that_are_refused_for_good(self):
        """They are told as what they are, beside the others."""
        self.client.redis.hset(self.client.key("conf"), "max_zip_mb", 1)
        self.addCleanup(self.client.redis.delete, self.client.key("conf"))
        for words in [], ["--students", "1"]:
            report = self.report("--jobs", "4", "--mix", "big,short", *words, code=1)
            self.assertEqual((report["verdicts"], report["done"], report["refused"], report["never_submitted"]),
                             ({"big": {"refused": 2}, "short": {"ok": 2}}, 2, 2, 0))
            self.assertEqual([line.partition(": ")[2] for line in report["wrong"]], ["big was refused: more than 1048576 bytes"] * 2)

    def test_redis_goes_away(self):
        """What was measured until then is told, and what is open."""
        with pool.RedisServer() as server, pool.Pool(workers=2, redis=server.address) as p:
            words = [LOADTEST, "--jobs", "12", "--mix", "sleeping", "--rate", "0", "--json", "--redis", server.address, "--queue", p.queue,
                     "--patience-s", "5"]
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            pool.wait_until(lambda: p.read_log().count(" verdict=ok ") > 2, "some have ended")
            server.stop()
            out, err = process.communicate(timeout=pool.PATIENCE)
        self.assertEqual((process.returncode, err.count("\n")), (3, 1), err)
        report = json.loads(out)
        self.assertIn(report["cut"], err)
        self.assertGreater(report["done"], 0)
        self.assertEqual((report["done"] + len(report["open"]), report["lost"]), (12, []))

    def test_redis_is_started_again(self):
        """Whoever sees nothing lost by that has seen it to the end. Jobs that were due meanwhile have waited since then."""
        with pool.RedisServer("--appendonly", "yes", "--appendfsync", "always") as server, pool.Pool(workers=2, redis=server.address) as p:
            words = [LOADTEST, "--jobs", "60", "--mix", "short", "--rate", "20", "--json", "--redis", server.address, "--queue", p.queue]
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            pool.wait_until(lambda: p.read_log().count(" verdict=ok ") > 2, "some have ended")
            server.stop()
            time.sleep(1)
            server.start("--appendonly", "yes", "--appendfsync", "always")
            out, err = process.communicate(timeout=pool.PATIENCE)
        self.assertEqual((process.returncode, err), (0, ""), out)
        report = json.loads(out)
        self.assertEqual((report["done"], report["lost"], report["double"], report["wrong"]), (60, [], [], []))
        for name in "late_ms", "start_ms", "result_ms":
            self.assertGreater(report[name]["max"], 900, name)

    def test_interrupted(self):
        """By who looks on: the line of progress is gone then, too, and it says what there is."""
        self.client.redis.execute_command("FCALL", "paddock_pause", 1, self.client.key("open"), "")
        self.addCleanup(self.client.redis.execute_command, "FCALL", "paddock_resume", 1, self.client.key("open"))
        ours, theirs = pty.openpty()
        process = subprocess.Popen([LOADTEST, "--jobs", "3", "--mix", "short", "--rate", "0", *where(self.pool)], text=True,
                                   stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        shown = ""
        while "3 open" not in shown:
            shown += os.read(ours, 1 << 16).decode()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=pool.PATIENCE)
        self.assertTrue((shown + os.read(ours, 1 << 16).decode()).endswith("\r\x1b[K"))
        os.close(ours)
        self.assertIn("\ncut off     interrupted: 3 are open, and run on; 0 were not submitted\n", out)
        self.assertEqual((process.returncode, out.splitlines()[-1]), (1, "missed      --max-lost 0: 3 (jobs without a result)"))

    def test_progress(self):
        """Where somebody looks, on one line that is gone in the end."""
        ours, theirs = pty.openpty()
        done = subprocess.run([LOADTEST, "--jobs", "4", "--mix", "short", *where(self.pool)],
                              stdout=subprocess.DEVNULL, stderr=theirs, timeout=pool.PATIENCE)
        os.close(theirs)
        shown = os.read(ours, 1 << 16).decode()
        os.close(ours)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(shown, r"^\r\x1b\[Ksmoke: \d of 4 submitted, \d done, \d open, [0-9.]+ jobs/s")
        self.assertTrue(shown.endswith("\r\x1b[K"), shown)

    def test_wrong_usage(self):
        for words, sentence in ((["zork"], "there is no scenario 'zork'; there are smoke"), (["--mix", "zork=1"], "--mix zork=1: there is no program"),
                                (["--mix", "short=none"], "--mix short=none: the share is a number"), (["--jobs", "0"], "--jobs 0: takes a number"),
                                (["--rate", "-1"], "--rate -1: takes a number"), (["--rate", "nan"], "--rate nan: takes a number"),
                                (["--patience-s", "-1"], "--patience-s -1: takes a number above 0"),
                                (["--max-result-p95", "nan"], "--max-result-p95 nan: takes a number from 0 on"),
                                (["--think-s", "inf"], "--think-s inf: takes a number"), (["--mix", ""], "--mix : there is no program ''"),
                                (["--mix", "short=9,short=1"], "--mix short=9,short=1: short is in it twice"),
                                (["--jobs", "99999999999999"], "--jobs 1e+14: takes 1e+06 at most"),
                                (["--min-fairness", "2"], "--min-fairness 2: takes 1 at most"),
                                (["steady", "--rate", "1", "--students", "2"], "--rate, --students: an open loop has no students"),
                                (["deadline", "--think-s", "9"], "--think-s: in an open loop nobody waits")):
            with self.subTest(words):
                done = self.run_it(*words)
                self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done.stderr)
                self.assertIn("paddock-loadtest: " + sentence, done.stderr)
        done = subprocess.run([LOADTEST, "--redis", "unix:/nowhere/redis.sock"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (3, 1), done.stderr)
        self.assertIn("paddock-loadtest: unix:/nowhere/redis.sock: ", done.stderr)

    def test_pools(self):
        def run_it(folder):
            done = subprocess.run([LOADTEST, "--jobs", "1", "--mix", "short", "--runtime-dir", folder], capture_output=True, text=True,
                                  timeout=pool.PATIENCE)
            return done.returncode, done.stderr

        self.assertEqual(run_it(self.pool.runtime), (0, ""))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "pool")
            self.assertEqual(run_it(folder), (3, f"paddock-loadtest: {path}: No such file or directory\n"))
            with open(path, "w", encoding="ascii") as file:
                file.write("[pool]\nredis = unix:/nowhere\n")
            self.assertEqual(run_it(folder), (3, f"paddock-loadtest: {path}: no line begins with redis= and an address\n"))
            if os.geteuid() == 0:
                os.chown(path, 1234, 1234)
                self.assertEqual(run_it(folder), (3, f"paddock-loadtest: {path}: it is another user's, and not believed\n"))

    @unittest.skipIf(os.geteuid() != 0, "needs two users")
    def test_of_a_pool_that_this_user_may_not_use(self):
        """It is there all the same."""
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as copy:
            os.chmod(copy, 0o755)
            program = os.path.join(shutil.copytree(os.path.dirname(LOADTEST), os.path.join(copy, "deploy")), "loadtest")
            os.mkdir(os.path.join(folder, "paddock"), 0o700)
            done = subprocess.run([program], user=pool.STRANGER, group=pool.STRANGER, extra_groups=[], capture_output=True, text=True,
                                  env={**os.environ, "XDG_RUNTIME_DIR": folder}, cwd="/")
            self.assertEqual((done.returncode, done.stderr), (3, f"paddock-loadtest: {folder}/paddock/pool: Permission denied\n"))


if __name__ == "__main__":
    unittest.main()
