# SPDX-License-Identifier: MIT
"""Live input: a program that waits is seen to wait, gets what is sent, and ends in every way in which others do."""

import contextlib
import hashlib
import json
import os
import pty
import select
import signal
import subprocess
import time
import unittest

import attacks.output
import pool
import recording
from command import PADDOCK, Command

ASK = "name = input('Who? ')\nprint('Hello', name)\n"
# Of struct ring_shared (common/ring.h), behind what attacks/output.py knows.
AREA = attacks.output.RING + "INPUT, READ, BYTES = 348160, 348224, 352256\n"


class Case(pool.TestCase):
    OPTIONS = {"workers": 2}

    def enqueue(self, program, **fields):
        return self.client.enqueue(pool.make_zip(program), **{"live_input": "1", **fields})

    def send(self, job, *words):
        return self.client.redis.execute_command("FCALL", "paddock_input", 1, self.client.key("open"), job, *words).decode()

    def give(self, job, *words):
        """Sends what the job takes, whether its turn has come or not."""
        self.assertIn(self.send(job, *words), ("ok", "queued"))

    def records(self, job):
        entries = self.client.redis.xrange(self.client.key("frames:", job))
        return recording.decode(b"".join(e[b"d"] for _, e in entries if e[b"k"] == b"slice"), partial=True)

    def kinds(self, job):
        """What it printed and when it waited, as one list."""
        return [r["data"].decode() if r["kind"] == "out" else "?" for r in self.records(job) if r["kind"] in ("out", "input")]

    def waits(self, job):
        """What its recording says of that, in order."""
        return [r["kind"] for r in self.records(job) if r["kind"].startswith("input")]

    def wait_for_wait(self, job, count=1):
        pool.wait_until(lambda: self.kinds(job).count("?") >= count, f"it waits for the {count}. time")

    def check(self, job, verdict, out=None):
        ended = self.client.wait(job)
        self.assertEqual(ended.verdict, verdict, ended.result)
        if out is not None:
            self.assertEqual(recording.text(recording.decode(ended.recording)), out)
        return ended


class Live(Case):
    def test_a_prompt_and_its_answer(self):
        for prompt in ("Who? ", "Who?\\n"):
            job = self.enqueue(ASK.replace("Who? ", prompt))
            self.wait_for_wait(job)
            shown = prompt.replace("\\n", "\n")
            self.assertEqual(self.kinds(job), [shown, "?"], "the prompt comes before the wait")
            self.assertEqual(self.send(job, "Ada\n"), "ok")
            self.check(job, "ok", shown + "Hello Ada\n")
            self.assertEqual(self.kinds(job).count("?"), 1)

    def test_word_of_it_that_is_lost(self):
        """As where it went to who had the job before: with the next beat it is looked for."""
        job = self.enqueue(ASK)
        self.wait_for_wait(job)
        self.client.redis.append(self.client.key("in:", job), "Ada\n")
        self.check(job, "ok", "Who? Hello Ada\n")

    def test_a_thread_that_waits(self):
        """It is that one that does, and no longer does, while another one runs: as long as the trace is kept, and then."""
        job = self.enqueue("import threading\nthread = threading.Thread(target=lambda: print(input('> ')))\nthread.start()\n"
                           "while thread.is_alive(): pass\n", trace="lines", recording_kb="64", cpu_ms="60000")
        self.wait_for_wait(job)
        self.give(job, "Ada\n")
        self.check(job, "ok")
        thread, found = 0, []
        for record in self.records(job):
            thread = record["thread"] if record["kind"] in ("thread", "sync") else thread
            if record["kind"] in ("out", "input", "input_end"):
                found.append((record["kind"], thread))
        self.assertEqual(found[:3] + found[-1:], [("out", 1), ("input", 1), ("input_end", 1), ("out", 1)])
        self.assertEqual({thread for _, thread in found}, {1})

    def test_lines_one_after_the_other(self):
        job = self.enqueue("while line := input('> '):\n    print(line.upper())\nprint('bye')\n")
        for i in range(10):
            self.wait_for_wait(job, i + 1)
            self.send(job, f"line {i}\n")
        self.wait_for_wait(job, 11)
        self.send(job, "\n")
        self.check(job, "ok", "".join(f"> LINE {i}\n" for i in range(10)) + "> bye\n")
        self.assertEqual(self.kinds(job).count("?"), 11)

    def test_half_a_line_is_waited_on(self):
        job = self.enqueue(ASK)
        self.wait_for_wait(job)
        self.send(job, "A")
        self.wait_for_wait(job, 2)
        self.send(job, "da\n")
        self.check(job, "ok", "Who? Hello Ada\n")

    def test_it_goes_on_where_stdin_ends(self):
        job = self.enqueue("print([input() for _ in range(3)])\n", stdin="one\ntw")
        self.wait_for_wait(job)
        self.send(job, "o\nthree\n")
        self.check(job, "ok", "['one', 'two', 'three']\n")

    def test_the_end(self):
        job = self.enqueue("import sys\nprint(sys.stdin.read())\nprint(sys.stdin.read(), 'twice')\ninput()\n")
        self.wait_for_wait(job)
        self.send(job, "all ")
        self.send(job, "of it", "eof")
        ended = self.check(job, "exception")
        self.assertIn("EOFError", ended.result["sentence"])
        self.assertIn("all of it\n twice\n", recording.text(recording.decode(ended.recording)))
        job = self.enqueue("import os\nprint(os.read(0, 0), os.read(0, 9), os.read(0, 9))\n")
        self.wait_for_wait(job)
        self.send(job, "", "eof")
        self.check(job, "ok", "b'' b'' b''\n")

    def test_sent_before_it_is_asked_for(self):
        job = self.enqueue("import time\ntime.sleep(0.3)\nprint(input(), input())\n")
        pool.wait_until(lambda: self.client.job(job)["state"] == b"running", "it runs")
        self.assertEqual([self.send(job, "one\n"), self.send(job, "two\n")], ["ok", "ok"])
        self.check(job, "ok", "one two\n")
        self.assertNotIn("?", self.kinds(job), "it never had to wait")

    def test_sent_before_it_runs(self):
        job = self.enqueue(ASK, delay_ms="300")
        self.assertEqual(self.send(job, "Ada\n", "eof"), "queued")
        self.check(job, "ok", "Who? Hello Ada\n")

    def test_a_megabyte_in_pieces(self):
        data = os.urandom(1 << 20)
        job = self.enqueue("import hashlib, sys, time\ntime.sleep(0.1)\ndata = sys.stdin.buffer.read()\n"
                           "print(len(data), hashlib.sha256(data).hexdigest())\n")
        sizes = [1, 65536, 3, 40000]
        while data_left := len(data) - sum(sizes):
            sizes.append(min(65536, data_left))
        at = 0
        for size in sizes:
            self.give(job, data[at:at + size])
            at += size
        self.assertEqual(self.send(job, "x"), "full")
        self.give(job, "", "eof")
        self.check(job, "ok", f"{len(data)} {hashlib.sha256(data).hexdigest()}\n")

    def test_connections_that_break_lose_and_double_nothing(self):
        data = os.urandom(1 << 20)
        job = self.enqueue("import hashlib, sys\ndata = sys.stdin.buffer.read()\n"
                           "print(len(data), hashlib.sha256(data).hexdigest())\n", wall_ms="60000")
        self.wait_for_wait(job)
        for at in range(0, len(data), 1 << 14):
            self.give(job, data[at:at + (1 << 14)])
            if at % (1 << 17) == 0:
                self.client.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.send(job, "", "eof")
        self.check(job, "ok", f"{len(data)} {hashlib.sha256(data).hexdigest()}\n")

    def test_read_byte_by_byte(self):
        job = self.enqueue("import os\nwhile os.read(0, 1): pass\nprint('read')\n", cpu_ms="20000", wall_ms="60000")
        for _ in range(3):
            self.send(job, "x" * 65536)
        self.send(job, "", "eof")
        self.check(job, "ok", "read\n")

    def test_parts(self):
        """readv takes what is there, and waits for its first bytes only."""
        job = self.enqueue("import os\nparts = [bytearray(0), bytearray(2), bytearray(3), bytearray(9)]\n"
                           "print(os.readv(0, parts), parts[1:])\nprint(os.readv(0, parts), parts[1])\n")
        self.wait_for_wait(job)
        self.send(job, "abcdef")
        self.wait_for_wait(job, 2)
        self.send(job, "gh")
        self.check(job, "ok", "6 [bytearray(b'ab'), bytearray(b'cde'), bytearray(b'f\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00')]\n"
                   "2 bytearray(b'gh')\n")

    def test_a_debugger(self):
        """It works, and whoever leaves it is not told that nobody can type."""
        job = self.enqueue("x = 41\nbreakpoint()\nprint('on')\n")
        self.wait_for_wait(job)
        self.give(job, "p x + 1\nq\n")
        ended = self.check(job, "exception")
        self.assertIn("(Pdb) 42\n", recording.text(recording.decode(ended.recording)))
        self.assertNotIn("nobody can type", ended.result["sentence"])

    def test_without_it_nothing_has_changed(self):
        job = self.enqueue("input()\n", live_input="0")
        self.assertIn("EOFError", self.check(job, "exception").result["sentence"])
        self.assertEqual(self.send(job, "x"), "final")

    def test_a_job_that_is_over(self):
        job = self.enqueue("print('over')\n")
        self.check(job, "ok", "over\n")
        self.assertEqual(self.send(job, "late\n"), "final")
        self.assertEqual(pool.keys_without_expiry(self.client), [])

    # ---- while it waits ----

    def test_a_wait_costs_wall_time_and_no_computing(self):
        job = self.enqueue("input()\n", wall_ms="1500", cpu_ms="500")
        ended = self.check(job, "wall_limit")
        self.assertLess(ended.result["cpu_ms"], 200)
        self.assertGreaterEqual(ended.result["wall_ms"], 1500)

    def test_cancelled_while_it_waits(self):
        job = self.enqueue("try:\n    input()\nfinally:\n    print('never')\n", wall_ms="600000")
        self.wait_for_wait(job)
        self.assertEqual(self.client.cancel(job), b"requested")
        self.check(job, "cancelled", "")

    def test_other_threads_go_on(self):
        job = self.enqueue("import threading, time\ndone = []\n"
                           "def count():\n    while not done: print('.', flush=True); time.sleep(0.02)\n"
                           "t = threading.Thread(target=count)\nt.start()\nline = input('go?\\n')\ndone.append(1)\nt.join()\n"
                           "print(line)\n")
        self.wait_for_wait(job)
        pool.wait_until(lambda: "".join(self.kinds(job)).partition("?\n?")[2].count(".") >= 5, "the other one prints meanwhile")
        self.send(job, "end\n")
        self.check(job, "ok")
        self.assertEqual(self.kinds(job)[-1], "end\n")
        self.assertEqual(self.waits(job), ["input", "input_end"])

    def test_threads_that_wait_together(self):
        job = self.enqueue("import os, threading\ndef read():\n    got.append(os.read(0, 1))\n"
                           "got = []\nthreads = [threading.Thread(target=read) for _ in range(4)]\n"
                           "for t in threads: t.start()\nfor t in threads: t.join()\nprint(sorted(got))\n")
        self.wait_for_wait(job)
        self.send(job, "ab")
        self.assertEqual(self.waits(job), ["input"])
        self.send(job, "cd")
        self.check(job, "ok", "[b'a', b'b', b'c', b'd']\n")
        self.assertEqual(self.waits(job), ["input", "input_end"])
        job = self.enqueue("import os, threading\nthreads = [threading.Thread(target=os.read, args=(0, 1)) for _ in range(4)]\n"
                           "for t in threads: t.start()\nfor t in threads: t.join()\nprint('all')\n")
        self.wait_for_wait(job)
        self.send(job, "", "eof")
        self.check(job, "ok", "all\n")

    def test_a_wait_of_a_thread_that_nobody_joins(self):
        job = self.enqueue("import threading\nthreading.Thread(target=input, daemon=True).start()\n"
                           "import time\ntime.sleep(0.1)\nprint('main')\n")
        self.check(job, "ok", "main\n")

    def test_signals(self):
        """As on a terminal: a handler that raises ends the wait, one that returns does not, and neither loses input."""
        job = self.enqueue("import signal\ndef late(*_): raise TimeoutError\nsignal.signal(signal.SIGALRM, late)\n"
                           "signal.alarm(1)\ntry:\n    input('first?\\n')\nexcept TimeoutError:\n    print('late')\n"
                           "signal.signal(signal.SIGALRM, lambda *_: print('tick'))\nsignal.alarm(1)\nprint(input('second?\\n'))\n")
        self.wait_for_wait(job, 3)
        self.assertEqual(self.kinds(job), ["first?\n", "?", "late\n", "second?\n", "?", "tick\n", "?"])
        self.send(job, "in time\n")
        self.check(job, "ok")
        self.assertEqual(self.kinds(job)[-1], "in time\n")
        self.assertEqual(self.waits(job), ["input", "input_end"] * 3)

    STORM = ("import os, signal, sys, threading\nmain = threading.main_thread().ident\ncount = 0\n"
             "def storm():\n    while count >= 0:\n        signal.pthread_kill(main, signal.SIGUSR1)\n        os.sched_yield()\n"
             "def ring(*_):\n    global count\n    count += 1\n    {}\n    if count == {}: raise TimeoutError\n"
             "signal.signal(signal.SIGUSR1, ring)\nthread = threading.Thread(target=storm)\nthread.start()\n"
             "try:\n    os.read(0, 1)\nexcept TimeoutError:\n    signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
             "count = -1\nthread.join()\n")

    def test_a_storm_of_signals_is_one_wait(self):
        for encoding in "binary", "json":
            job = self.enqueue(self.STORM.format("pass", 20000), encoding=encoding, output_kb="1", recording_kb="64", cpu_ms="60000",
                               wall_ms="120000")
            ended = self.client.wait(job)
            self.assertEqual(ended.verdict, "ok", ended.result)
            self.assertLess(len(ended.recording), 1000)
            if encoding == "binary":
                self.assertEqual(self.kinds(job), ["?"])

    def test_waits_are_bounded(self):
        """Also those of a program that prints between them, and its output is whole."""
        job = self.enqueue(self.STORM.format("os.write(1, b'x')", 60000), encoding="json", output_kb="1024", recording_kb="64",
                           cpu_ms="120000", wall_ms="240000")
        ended = self.client.wait(job)
        self.assertEqual(ended.verdict, "ok", ended.result)
        records = [json.loads(line) for line in ended.recording.splitlines()]
        waits = [line for line in ended.recording.splitlines() if line.startswith(b'{"kind":"input"')]
        self.assertLessEqual(sum(len(line) + 1 for line in waits), (1 << 20) + 128)
        self.assertEqual(sum(len(r["data"]) for r in records if r["kind"] == "out"), 60000)

    def test_signals_of_other_threads(self):
        """A thread that waits takes none that is to wake the main one."""
        job = self.enqueue("import os, signal, threading, time\ndef ring(*_): raise TimeoutError\n"
                           "signal.signal(signal.SIGALRM, ring)\n"
                           "threading.Thread(target=os.read, args=(0, 1), daemon=True).start()\ntime.sleep(0.2)\n"
                           "signal.alarm(1)\ntry:\n    time.sleep(600)\nexcept TimeoutError:\n    print('woken')\n")
        self.check(job, "ok", "woken\n")

    def test_signals_that_are_blocked(self):
        job = self.enqueue("import signal\nsignal.signal(signal.SIGALRM, lambda *_: print('rang'))\n"
                           "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\nsignal.alarm(1)\ninput()\n"
                           "print(signal.SIGALRM in signal.sigpending())\n"
                           "signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])\n")
        self.wait_for_wait(job)
        time.sleep(1.5)
        self.assertEqual(self.kinds(job), ["?"])
        self.send(job, "\n")
        self.check(job, "ok", "True\nrang\n")


class Hostile(Case):
    OPTIONS = {"workers": 2, "allow_ctypes": "yes"}

    def test_nonsense_in_the_input_area_harms_nobody(self):
        other = self.enqueue(ASK, wall_ms="60000")
        self.wait_for_wait(other)
        for what in ("word(ring + READ).value = 1 << 63\n", "word(ring + READ).value = (1 << 64) - 1\n",
                     "word(ring + INPUT).value = 1 << 62\n", "word(ring + INPUT + 8).value = (1 << 64) - 1\n",
                     "ctypes.memset(ring + BYTES, 255, 1 << 16)\n", "ctypes.memset(ring + INPUT, 255, 4096 + (1 << 16))\n",
                     "import threading\ndef lie():\n    while True: word(ring + READ).value += 4096\n"
                     "threading.Thread(target=lie).start()\n"):
            with self.subTest(what):
                job = self.enqueue(AREA + "print('begun', flush=True)\n" + what + "import time\ntime.sleep(600)\n",
                                   wall_ms="2000", cpu_ms="500")
                pool.wait_until(lambda: self.kinds(job) or self.client.job(job).get("verdict"), "it has begun")
                with contextlib.suppress(AssertionError):
                    for _ in range(16):
                        self.assertEqual(self.send(job, "x" * 65536), "ok")
                ended = self.client.wait(job)
                self.assertIn(ended.verdict, ("wall_limit", "cpu_limit"), ended.result)
        self.send(other, "Ada\n")
        self.check(other, "ok", "Who? Hello Ada\n")
        self.assertEqual(len(self.pool.relays()), 2)

    def test_input_that_is_never_read(self):
        relays = self.pool.relays()
        job = self.enqueue("import time\ntime.sleep(1)\nprint('done')\n")
        for _ in range(16):
            self.give(job, "x" * 65536)
        self.check(job, "ok", "done\n")
        self.assertEqual(self.pool.relays(), relays)


class Attempts(Case):
    OPTIONS = {"workers": 1}

    def test_another_attempt_reads_it_from_its_start(self):
        for find in (lambda: self.pool.relays()[0], lambda: self.pool.sandboxes()[0], self.pool.zygote):
            job = self.enqueue("print(input(), input(), input(), sep=', ')\n", stdin="given\n", wall_ms="60000")
            self.send(job, "sent\n")
            self.wait_for_wait(job)
            os.kill(find(), signal.SIGKILL)
            pool.wait_until(lambda: self.client.job(job)["attempt"] == b"2", "it runs again")
            self.wait_for_wait(job, 2)
            self.give(job, "last\n")
            ended = self.check(job, "ok", "given, sent, last\n")
            self.assertEqual(ended.attempt, b"2")


class Typed(Command):
    """`paddock run` at a terminal."""

    def run_at_terminal(self, *words):
        """The command's pid, and our end of the terminal that is its own."""
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.execv(PADDOCK, [PADDOCK, *words])
            finally:
                os._exit(127)
        return pid, terminal

    def read_until(self, terminal, text):
        said = b""
        while text not in said:
            ready, _, _ = select.select([terminal], [], [], pool.PATIENCE)
            self.assertTrue(ready, said)
            said += os.read(terminal, 1000)
        return said

    def end(self, pid, terminal):
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
        return status

    def test_a_prompt_is_answered(self):
        pid, terminal = self.run_at_terminal("run", self.path("ask.py", ASK))
        self.read_until(terminal, b"Who? ")
        os.write(terminal, b"Ada\n")
        self.read_until(terminal, b"Hello Ada\r\n")
        self.assertEqual(self.end(pid, terminal), 0)

    def test_the_end_of_the_file(self):
        pid, terminal = self.run_at_terminal("run", self.path("all.py", "import sys\nprint('?', flush=True)\n"
                                                              "print(sys.stdin.read().split(), 'read')\n"))
        self.read_until(terminal, b"?")
        os.write(terminal, b"one\ntwo\n\x04")
        self.read_until(terminal, b"['one', 'two'] read")
        self.assertEqual(self.end(pid, terminal), 0)

    def test_what_nobody_asks_for_is_left(self):
        pid, terminal = self.run_at_terminal("run", self.path("x.py", "import time\ntime.sleep(0.5)\nprint('over')\n"))
        os.write(terminal, b"for the shell\n")
        self.read_until(terminal, b"over")
        os.waitpid(pid, 0)
        os.close(terminal)
        master, slave = pty.openpty()
        run = subprocess.Popen([PADDOCK, "run", self.path("x.py")], stdin=slave, stdout=subprocess.PIPE)
        os.write(master, b"for the shell\n")
        self.assertEqual(run.communicate(timeout=pool.PATIENCE), (b"over\n", None))
        self.assertEqual(os.read(slave, 100), b"for the shell\n")
        os.close(master), os.close(slave)

    def test_interrupted_while_it_waits(self):
        pid, terminal = self.run_at_terminal("run", self.path("ask.py", ASK), "--wall-ms", "600000")
        self.read_until(terminal, b"Who? ")
        os.write(terminal, b"\x03")
        self.read_until(terminal, b"cancelled")
        self.assertEqual(self.end(pid, terminal), 90)

    def test_not_where_it_is_not_wanted(self):
        file = self.path("ask.py", ASK)
        for words in (["--live-input=0"], ["--stdin", "Ada"]):
            pid, terminal = self.run_at_terminal("run", file, *words)
            self.read_until(terminal, b"Hello Ada" if words[0] == "--stdin" else b"EOFError")
            self.end(pid, terminal)

    def test_a_pipe(self):
        file = self.path("ask.py", ASK + "import sys\nprint(len(sys.stdin.read()))\n")
        self.check(self.paddock("run", file, stdin="Ada\n" + "x" * 1_000_000), 0, "Who? Hello Ada\n1000000\n")
        self.check(self.paddock("run", file), 1, err="EOFError")
        self.check(self.paddock("run", file, "--live-input", stdin="Ada\n" + "x" * 1_000_000), 0,
                   "Who? Hello Ada\n1000000\n")
        done = self.paddock("run", file, "--live-input", stdin="Ada\n" + "x" * 2_000_000)
        self.check(done, 0, err="it has been sent all the input that a job takes")
        self.check(self.paddock("run", file, "--live-input=2"), 2, err="live_input takes a whole number from 0 to 1")

    def test_a_pipe_that_answers(self):
        run = subprocess.Popen([PADDOCK, "run", self.path("ask.py", ASK), "--live-input"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
        self.assertEqual(os.read(run.stdout.fileno(), 100), b"Who? ")
        self.assertEqual(run.communicate(b"Ada\n", timeout=pool.PATIENCE), (b"Hello Ada\n", None))
        self.assertEqual(run.returncode, 0)

    def test_from_elsewhere(self):
        ask = self.path("ask.py", "print(input('a'), input('b'), input('c'), sep=',')\ninput()\n")
        with pool.Pool(workers=1) as p:
            where = ["--runtime-dir", p.runtime]
            self.check(self.paddock("submit", ask, "--id", "j", "--live-input", "--delay-ms", "200", *where), 0, "j\n")
            follow = subprocess.Popen([PADDOCK, "follow", "j", "--json", *where], stdout=subprocess.PIPE, text=True)
            self.check(self.paddock("input", "j", "one", *where), 0, "")
            pool.wait_until(lambda: p.client.job("j")["state"] == b"running", "it runs")
            self.check(self.paddock("input", "j", "--json", *where, stdin="two\nthree\n"), 0,
                       '{"kind":"input","id":"j","answer":"ok"}\n')
            self.check(self.paddock("input", "j", "--eof", *where), 0, "")
            out, _ = follow.communicate(timeout=pool.PATIENCE)
            self.assertIn("one,two,three", out)
            self.assertEqual(p.client.job("j")["verdict"], b"exception")
            self.check(self.paddock("input", "j", "x", *where), 1, err="job j: it is over")
            self.check(self.paddock("input", "nobody", "x", *where), 1, err="there is no such job")
            self.check(self.paddock("input", "nobody", "x" * 65536, *where), 2, err="64 KB")
            self.paddock("submit", ask, "--id", "k", "--delay-ms", "100000", *where)
            self.check(self.paddock("input", "k", "x", *where), 1, err="--live-input")

    def test_followed_as_json(self):
        file = self.path("ask.py", ASK)
        run = subprocess.Popen([PADDOCK, "run", file, "--live-input", "--json"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
        kinds = []
        for line in run.stdout:
            kinds.append(json.loads(line)["kind"])
            if kinds[-1] == "input":
                run.stdin.write("Ada\n")
                run.stdin.close()
        self.assertEqual(run.wait(pool.PATIENCE), 0)
        run.stdout.close()
        self.assertEqual(kinds, ["state", "header", "out", "input", "input_end", "out", "end", "result"])


if __name__ == "__main__":
    unittest.main()
