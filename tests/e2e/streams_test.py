# SPDX-License-Identifier: MIT
"""The `paddock` command's own surroundings: its streams closed, full or left by their readers, signals at any moment,
and nothing left behind."""

import os
import pty
import signal
import subprocess
import unittest

import pool
from command import PADDOCK, Command


class Closed(Command):
    """Descriptors 0, 1 and 2 are no one else's, open or not."""

    def closed(self, redirection, *words):
        return subprocess.run(["sh", "-c", f'exec "$@" {redirection}', "sh", *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)

    def test_what_a_program_prints_is_no_command_of_redis(self):
        evil = self.path("evil.py", "import sys\nfor stream in (sys.stdout, sys.stderr):\n"
                                    "    print('\\r\\nSET pwned 1\\r\\n', file=stream, flush=True)\n")
        with pool.Pool(workers=1) as p:
            address = f"unix:{p.runtime}/redis.sock"
            self.paddock("submit", evil, "--id", "job-1", "--queue", p.queue, "--redis", address)
            for command in (["submit", evil, "--follow"], ["run", evil], ["follow", "job-1"]):
                for redirection in (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
                    with self.subTest(command[0] + redirection):
                        self.closed(redirection, PADDOCK, *command, "--queue", p.queue, "--redis", address)
                        self.assertFalse(p.redis.exists("pwned"))

    def test_a_pool_keeps_its_files_to_itself(self):
        file = self.path("x.py", "print('hello')\n")
        done = self.closed("2>&-", PADDOCK, "run", file)
        self.check(done, 0, "hello\n")
        done = self.closed("<&- >&- 2>&-", pool.program("paddock-supervisor"), "--runtime_dir=/nowhere/run")
        self.assertEqual(done.returncode, 100)

    def test_a_supervisor_keeps_its_lock_to_itself(self):
        runtime = self.path("run")
        words = [pool.program("paddock-supervisor"), f"--runtime_dir={runtime}", "--workers=1", "--log_level=debug"]
        supervisor = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words])
        lock = f"{runtime}/lock"
        pool.wait_until(lambda: os.path.exists(f"{runtime}/pool"), "it is ready")
        with open(lock) as file:
            self.assertRegex(file.read(), f"^{supervisor.pid}\nmade\n[0-9a-f]{{32}}\n$")
        supervisor.send_signal(signal.SIGTERM)
        self.assertEqual(supervisor.wait(pool.PATIENCE), 0)


class Lost(Command):
    """Output that cannot be written: said once, and never taken for success."""

    def to(self, target, *words):
        return subprocess.run(["sh", "-c", f'"$@" {target}', "sh", *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=pool.PATIENCE)

    def test_full_and_closed(self):
        file = self.path("x.py", "for i in range(10): print('hello', flush=True)\n")
        for target, reason in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
            for words in (["run", file], ["run", file, "--json"], ["--version"], ["run", "--help"], ["verdicts"],
                          ["up", "--help"], ["check"], ["check", "--policy"]):
                with self.subTest(" ".join(words) + target):
                    done = self.to(target, PADDOCK, *words)
                    self.assertIn(done.returncode, (99, 111))
                    self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                    self.assertIn("unable to write", done.stderr)
                    if words[-1] != "--policy":  # of more than one buffer the reason of the first is not kept
                        self.assertIn(reason, done.stderr)

    def test_a_reader_who_has_seen_enough(self):
        for words in (["check", "--policy"], ["verdicts"], ["up", "--help"]):
            done = self.to("| true", PADDOCK, *words)
            self.assertEqual(done.stderr, "")

    def test_standard_error_that_nobody_wants(self):
        file = self.path("x.py", "import sys\nprint('hello')\nprint('error', file=sys.stderr)\nexit(3)\n")
        self.check(self.to("2>&-", PADDOCK, "run", file), 3, "hello\n")

    def test_who_follows_may_leave(self):
        endless = self.path("endless.py", "import time\nwhile True: print('x', flush=True) or time.sleep(0.01)\n")
        with pool.Pool(workers=1) as p:
            submit = subprocess.Popen([PADDOCK, "submit", endless, "--follow", "--id", "job-1", "--runtime-dir", p.runtime,
                                       "--wall-ms", "300000", "--output-kb", "10000"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.leave(submit)
            self.assertEqual(p.client.job("job-1")["state"], b"running")
            follow = subprocess.Popen([PADDOCK, "follow", "job-1", "--runtime-dir", p.runtime], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.leave(follow)
            self.assertEqual(p.client.job("job-1")["state"], b"running")
            run = subprocess.Popen([PADDOCK, "run", endless, "--id", "job-2", "--queue", p.queue, "--wall-ms", "300000",
                                    "--redis", f"unix:{p.runtime}/redis.sock"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            p.client.cancel("job-1")
            self.leave(run)
            self.assertEqual(p.client.job("job-2")["verdict"], b"cancelled")

    def leave(self, process):
        self.assertEqual(process.stdout.readline(), "x\n")
        process.stdout.close()
        self.assertEqual((process.wait(pool.PATIENCE), process.stderr.read()), (141, ""))
        process.stderr.close()


class Silent(Command):
    """Standard input that neither says anything nor ends."""

    def test_it_is_said_that_it_is_waited_for(self):
        file = self.path("x.py", "print(input())\n")
        for words in (["run", file], ["run", "-"]):
            with self.subTest(words[1]):
                master, terminal = pty.openpty()
                run = subprocess.Popen([PADDOCK, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=terminal)
                os.close(terminal)
                said = b""
                while b"\n" not in said:
                    said += os.read(master, 1000)
                self.assertIn(b"paddock: waiting for standard input to end", said)
                out, _ = run.communicate(b"print('x')\n", timeout=pool.PATIENCE)
                os.close(master)
                self.assertEqual((run.returncode, out), (0, b"print('x')\n" if words[1] == file else b"x\n"))


class Left(Command):
    """Who started it goes away: by a signal, or by closing what it reads."""

    def test_output_appears_while_it_runs_and_interrupt_cancels(self):
        file = self.path("endless.py", "print('begun')\nwhile True: pass\n")
        run = subprocess.Popen([PADDOCK, "run", file, "--cpu-ms", "60000"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.stdout.readline(), "begun\n")
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=pool.PATIENCE)
        self.assertEqual((run.returncode, out), (90, ""))
        self.assertIn("The run was cancelled.", err)

    def start(self):
        """A run that has just begun to start its pool."""
        file = self.path("x.py", "print('hello')\n")
        run = subprocess.Popen([PADDOCK, "run", file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        return run, pool.wait_until(lambda: pool.children_of(run.pid), "it starts a pool")

    def wait_for_the_end_of(self, pids):
        pool.wait_until(lambda: not [p for p in pids if os.path.exists(f"/proc/{p}")], "its pool is gone")

    def test_a_signal_while_the_pool_starts(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number):
                run, _ = self.start()
                run.send_signal(number)
                out, err = run.communicate(timeout=pool.PATIENCE)
                self.assertEqual((run.returncode, out, err), (90, "", "paddock: The run was cancelled.\n"))
                self.assertEqual(os.listdir(self.temporary.name), [])

    def test_a_signal_that_was_to_be_ignored(self):
        run = subprocess.Popen(["sh", "-c", 'trap "" HUP; exec "$@"', "sh", PADDOCK, "run",
                                self.path("x.py", "print('begun', flush=True)\nimport time\ntime.sleep(1)\nprint('over')")],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.assertEqual(run.stdout.readline(), "begun\n")
        run.send_signal(signal.SIGHUP)
        self.assertEqual(run.communicate(timeout=pool.PATIENCE)[0], "over\n")
        self.assertEqual(run.returncode, 0)

    def test_killed_command_leaves_nothing(self):
        file = self.path("endless.py", "print('begun')\nwhile True: pass\n")
        run = subprocess.Popen([PADDOCK, "run", file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        run.stdout.readline()
        pids = pool.children_of(run.pid)
        self.assertGreaterEqual(len(pids), 4)
        run.kill()
        run.communicate()
        self.wait_for_the_end_of(pids)
        run, pids = self.start()
        run.kill()
        self.wait_for_the_end_of(pids)
        run.communicate()


if __name__ == "__main__":
    unittest.main()
