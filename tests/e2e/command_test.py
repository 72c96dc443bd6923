# SPDX-License-Identifier: MIT
"""The `paddock` command as people use it, right and wrong: output, exit codes, sentences, and nothing left behind."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import unittest
import zipfile

import pool
from command import PADDOCK, Command


class Run(Command):
    def test_file_folder_zip_and_standard_input(self):
        code = "import sys\nprint('hello', __file__, sys.argv[1:])\n"
        file = self.path("hello.py", code)
        self.check(self.paddock("run", file, "--", "a", "b c"), 0, "hello /robot/hello.py ['a', 'b c']\n", "")
        self.path("project/robot.py", "from arm import grip\nprint(grip.force)\n")
        self.path("project/arm/grip.py", "force = 3\n")
        self.path("project/__pycache__/robot.pyc", b"\0")
        self.path("project/.git/config", "x")
        self.check(self.paddock("run", self.path("project")), 0, "3\n")
        with zipfile.ZipFile(self.path("p.zip"), "w") as archive:
            archive.writestr("main.py", code)
        self.check(self.paddock("run", self.path("p.zip")), 0, "hello /robot/main.py []\n")
        self.check(self.paddock("run", "-", stdin="print('from a pipe')\n"), 0, "from a pipe\n")

    def test_input_goes_to_the_program(self):
        file = self.path("echo.py", "print(input().upper())\nprint(input().upper())\n")
        self.check(self.paddock("run", file, stdin="one\ntwo\n"), 0, "ONE\nTWO\n")
        self.check(self.paddock("run", file, "--stdin", "one\ntwo"), 0, "ONE\nTWO\n")

    def test_streams_and_exit_codes(self):
        file = self.path("exit.py", "import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(7)\n")
        done = self.paddock("run", file)
        self.check(done, 7, "out\n", "err\n")
        self.assertIn("paddock: Your program ended itself with exit(7).", done.stderr)
        for code, exit_code, sentence in (
                ("exit(9)", 9, "exit(9)"),
                ("quit()", 0, ""),
                ("1/0", 1, "ZeroDivisionError: division by zero (x.py, line 1)"),
                ("print(", 1, "SyntaxError"),
                ("while True: pass", 83, "computing time"),
                ("import time\ntime.sleep(99)", 84, "was not finished after"),
                ("x = 'x' * (1 << 30)", 85, "memory"),
                ("while True: print('x' * 999)", 86, "printed more than"),
                ("import os; os.abort()", 88, "Python gave up"),
                ("import os; os._exit(0)", 89, "without coming to its end")):
            if pool.SANITIZED and exit_code == 85:
                continue
            with self.subTest(code):
                wall = "--wall_ms=400" if "sleep" in code else "--wall_ms=60000"
                done = self.paddock("run", self.path("x.py", code), "--cpu-ms", "200", wall, "--memory-mb", "64",
                                    "--output-kb", "8")
                self.check(done, exit_code, err=sentence)

    def test_json(self):
        file = self.path("j.py", "print('a\\nb')\n{'k': 1}['x']\n")
        done = self.paddock("run", file, "--json", "--trace", "calls")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(done.returncode, 1)
        self.assertEqual([lines[0]["kind"], lines[1]["kind"], lines[-1]["kind"]], ["state", "header", "result"])
        self.assertEqual("".join(l["data"] for l in lines if l["kind"] == "out"), "a\nb\n")
        self.assertEqual([l["frames"][-1]["line"] for l in lines if l["kind"] == "error"], [2])
        for key in ("id", "verdict", "exit_code", "signal", "cpu_ms", "wall_ms", "max_rss_kb"):
            self.assertIn(key, lines[-1])

    def test_a_program_cannot_forge_a_line(self):
        forged = '{"kind":"result","verdict":"ok"}'
        file = self.path("f.py", f"print('\\n{forged}\\n', flush=True)\nraise SystemExit(3)\n")
        done = self.paddock("run", file, "--json")
        results = [l for l in map(json.loads, done.stdout.splitlines()) if l["kind"] == "result"]
        self.assertEqual([r["verdict"] for r in results], ["exit"])

    def test_calls_are_listed_with_their_files(self):
        self.path("robot/robot.py", "import bees\nbees.buzz()\n")
        self.path("robot/bees.py", "def buzz():\n    print('bzz')\n")
        done = self.paddock("run", self.path("robot"), "--trace", "calls")
        self.check(done, 0, "bzz\n")
        self.assertEqual(done.stderr.splitlines(), ["/robot/robot.py:1 <module>", "  /robot/bees.py:1 <module>",
                                                    "  /robot/bees.py:1 buzz"])

    def test_calls_that_come_again_are_not_all_listed(self):
        file = self.path("x.py", "def f(): pass\nfor _ in range(100000): f()\n")
        done = self.paddock("run", file, "--trace", "calls", "--recording_kb", "65536")
        self.check(done, 0, "", "paddock: and so on: ")
        self.assertLess(len(done.stderr.splitlines()), 100000)

    def test_less_than_full_isolation_is_said(self):
        file = self.path("x.py", "print('hello')\n")
        said = "warning supervisor"
        if os.geteuid() == 0:
            self.assertNotIn(said, self.paddock("run", file).stderr)
        done = self.paddock("run", file, preexec_fn=pool.refuse_namespaces)
        self.check(done, 0, "hello\n", "isolation: no namespaces")
        self.assertEqual(done.stderr.count(said), 1)


class BadInput(Command):
    def test_usage(self):
        file, empty = self.path("x.py", "print(1)"), self.path("empty")
        os.mkdir(empty)
        for words, sentence in (
                ([], "usage: paddock COMMAND"),
                (["rum", file], "there is no command 'rum'; did you mean 'run'?"),
                (["run"], "usage: paddock run"),
                (["run", file, "--zork", "1"], "there is no option --zork here"),
                (["run", file, "--cpu-mss", "100"], "did you mean --cpu_ms?"),
                (["run", file, "--cpu-ms", "1"], "cpu_ms takes a whole number from 10 to 600000"),
                (["run", file, "--cpu-ms"], "--cpu-ms needs a value"),
                (["run", file, "--trace", "everything"], "trace takes one of: off calls"),
                (["run", self.path("nothing.py")], "No such file or directory"),
                (["run", empty], "there is no file in this folder"),
                (["run", "/dev/null"], "is neither a file nor a folder"),
                (["run", "-x", file], "there is no option -x here"),
                (["run", file, "-hx"], "there is no option -hx here"),
                (["run", file, "--id", "a b"], "takes 1 to 64 letters"),
                (["run", file, "--json=no"], "--json takes no value"),
                (["status", "--help="], "--help takes no value"),
                (["top", "--once=no"], "--once takes no value"),
                (["dead", "drop", "--all=no"], "--all takes no value"),
                (["status", "--redis", "127.0.0.1:1", "--pool", "a"], "--redis names the queue's Redis and --pool a pool"),
                (["top", "--runtime-dir", empty, "--redis", "127.0.0.1:1"], "and --runtime-dir a pool")):
            with self.subTest(words=words[1:]):
                self.check(self.paddock(*words), 2, "", sentence)

    def test_what_is_quoted_shows_as_what_it_is(self):
        """A terminal is told nothing by it, and it is one line; what is no control character is left."""
        for words in ["\33[2Jrum\n"], ["status", "--queue", "\33[2J\n"], ["run", self.path("\33[2J\n")], ["run", "--\33[2J\n"]:
            with self.subTest(words):
                done = self.paddock(*words)
                self.assertNotIn("\33", done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn("\\x1b[2J", done.stderr)
        self.assertIn("no command 'r\u00fcm'", self.paddock("r\u00fcm").stderr)

    def test_what_is_long_is_named(self):
        long = "x" * 6000
        folder = os.path.dirname(self.path("run/pool", "redis=127.0.0.1:1\n"))
        for words, code, sentence in ((["drain", "--runtime-dir", folder, "--pool", long], 100, f"--pool {long}: takes at most 32 letters"),
                                      (["run", self.path("x.py", "print(1)"), "--id", long], 2, f"--id {long}: takes 1 to 64 letters")):
            with self.subTest(words[0]):
                self.check(self.paddock(*words), code, "", sentence)
        with FarRedis() as server:
            for words in ["cancel", long], ["input", long, "word"]:
                done = self.paddock(*words, "--json", "--redis", server.address)
                self.assertEqual((done.returncode, json.loads(done.stdout)["id"]), (1, long), done.stderr)

    def test_a_pool_that_does_not_run(self):
        folder = os.path.dirname(self.path("run/pool", "redis=127.0.0.1:1\npools=a bb\n"))
        for name, said in ("bb", f"it is configured in {folder}, and does not run now"), ("b", f"there is none of that name in {folder}; there are: a bb"):
            self.check(self.paddock("status", "--runtime-dir", folder, "--pool", name), 100, "", f"--pool {name}: {said}\n")

    def test_names_of_queues(self):
        """One that is too long is not the one that begins like it."""
        for name, shown in ("x" * 65, "x" * 65), ("\33[2J", "\\x1b[2J"):
            for words in ["status"], ["top", "--once"]:
                done = self.paddock(*words, "--redis", "127.0.0.1:1", "--queue", name)
                self.check(done, 100, "", f"--queue {shown}: takes at most 64 letters, digits and _.-\n")
        folder = os.path.dirname(self.path("run/pool", "redis=127.0.0.1:1\nqueue=" + "x" * 70 + "\n"))
        self.check(self.paddock("status", "--runtime-dir", folder), 100, "", "x: takes at most 64 letters, digits and _.-\n")

    def test_help(self):
        for words in (["status", "-h"], ["status", "--help"], ["status", "some-id", "-h"]):
            done = self.paddock(*words)
            self.check(done, 0, err="")
            self.assertIn("usage: paddock status [ID]", done.stdout)
        for word in ("-h", "--help", "help"):
            self.assertIn("usage: paddock COMMAND", self.paddock(word).stdout)

    def test_usage_of_a_pool(self):
        for words, sentence in ((["--bogus", "1"], "there is no option 'bogus'"), (["--workers"], "needs a value"),
                                (["--data-dir", "/dev/null/x"], "takes the absolute path of a folder that is there")):
            with self.subTest(words):
                self.check(self.paddock("up", *words), 100, "", sentence)

    def test_unreadable(self):
        file = self.path("secret.py", "print(1)")
        os.chmod(self.folder.name, 0o755)
        os.chmod(file, 0)
        self.check(self.as_nobody("run", file), 2, "", "secret.py: Permission denied")

    def test_programs_that_are_none(self):
        cases = [
            ("noise.zip", b"\x00\x01\x02\xff not a zip", 80, "This is not a ZIP"),
            ("text.zip", b"just some words", 80, "This is a text, not a ZIP"),
            ("empty.zip", b"PK\5\6" + b"\0" * 18, 80, "The ZIP holds no file"),
            ("cut.zip", pool.make_zip("print(1)")[:40], 80, "This ZIP is cut off"),
            ("wrong.zip", pool.make_zip({"robot1.py": "print(1)"}), 81,
             "There is no robot.py. I found robot1.py: is that it?"),
            ("data.zip", pool.make_zip({"readme.txt": "x"}), 81, "nor any other Python file"),
        ]
        for name, content, code, sentence in cases:
            with self.subTest(name):
                self.check(self.paddock("run", self.path(name, content)), code, "", sentence)
        self.check(self.paddock("run", self.path("nil.zip", b"")), 80, "", "The ZIP is empty")

    def test_too_large(self):
        file = self.path("big.zip", pool.make_zip({"robot.py": "print(1)", "noise": os.urandom(11 << 20)}))
        size = os.path.getsize(file)
        self.check(self.paddock("run", file), 2, "",
                   f"big.zip: too large to be sent: {size} bytes, and the queue takes {10 << 20}")

    @unittest.skipIf(os.geteuid() != 0, "needs two users")
    def test_a_pool_of_others(self):
        with pool.Pool(workers=1) as p:
            os.chmod(p.folder, 0o755)
            done = self.as_nobody("status", "--runtime-dir", p.runtime)
            self.check(done, 100, "", f"{p.runtime}: this user may not use the pool there")
        os.chmod(self.folder.name, 0o755)
        file = self.path("pool", "redis=unix:/nowhere\n")
        os.chown(file, 1234, 1234)
        self.check(self.as_nobody("status", "--runtime-dir", self.folder.name), 100, "", "not believed")

    def test_no_pool(self):
        file = self.path("x.py", "print(1)")
        empty = {**os.environ, "XDG_RUNTIME_DIR": self.folder.name}
        if not os.path.exists("/run/paddock/pool") and not os.path.exists(f"/tmp/paddock-{os.geteuid()}/pool"):
            self.check(self.paddock("submit", file, env=empty), 100, "", "no pool runs here")

    def test_a_pool_file_that_is_none(self):
        for text in ("", "[pool]\nredis = unix:/nowhere\n", "redis = unix:/nowhere\n", "redis=\n", "queue=q\n"):
            with self.subTest(text):
                file = self.path("pool", text)
                self.check(self.paddock("status", "--runtime-dir", self.folder.name), 100, "",
                           f"paddock: {file}: no line begins with redis= and an address, ")


class LostRedis(Command):
    def test_it_is_said_once(self):
        with pool.RedisServer() as server:
            words = ["--queue", "q", "--redis", f"unix:{server.socket}"]
            self.paddock("submit", self.path("x.py", "print(1)"), "--id", "job-1", *words)
            follow = subprocess.Popen([PADDOCK, "follow", "job-1", *words], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(server.socket)

                def waits():
                    client.sendall(b"CLIENT LIST\r\n")
                    return b"cmd=xread" in client.recv(65536)

                pool.wait_until(waits, "it reads the job's Stream")
            server.process.kill()
            out, err = follow.communicate(timeout=pool.PATIENCE)
            self.assertEqual((follow.returncode, out, err), (99, "", "paddock: the connection to Redis was lost\n"))


class UnservedRedis(Command):
    def test_it_is_said_once(self):
        """Where no pool serves the queue; not of one that is paused."""
        with pool.RedisServer() as server, server.connect() as connection:
            def wait_for_reads():
                before = connection.info("commandstats").get("cmdstat_xread", {"calls": 0})["calls"]
                pool.wait_until(lambda: connection.info("commandstats").get("cmdstat_xread", {"calls": 0})["calls"] > before + 6, "they read")

            words = ["--queue", "q", "--redis", f"unix:{server.socket}"]
            self.check(self.paddock("pause", *words), 0)
            self.check(self.paddock("submit", self.path("x.py", "print(1)"), "--id", "a", *words), 0)
            follow = subprocess.Popen([PADDOCK, "follow", "a", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
            wait_for_reads()
            self.assertEqual(self.paddock("resume", *words).stdout, "resumed\n")
            other = subprocess.Popen([PADDOCK, "follow", "a", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
            self.assertEqual(other.stderr.readline(),
                             "paddock: the job waits, and no job of its queue runs: it seems that no pool serves it\n")
            wait_for_reads()
            with pool.Pool(workers=1, queue="q", redis=f"unix:{server.socket}"):
                self.assertEqual(follow.communicate(timeout=pool.PATIENCE), ("1\n", ""))
                self.assertEqual(other.communicate(timeout=pool.PATIENCE), ("1\n", ""))


class FarRedis(pool.RedisServer):
    """A real server with an address of a host and a port."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def serve(self):
        try:
            while True:
                client, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.socket)
                threading.Thread(target=self.copy, args=(client, server, bytes), daemon=True).start()
                threading.Thread(target=self.copy, args=(server, client, self.edit), daemon=True).start()
        except OSError:
            pass

    @staticmethod
    def edit(data):
        return data

    @staticmethod
    def copy(source, target, edit):
        try:
            while data := source.recv(65536):
                target.sendall(edit(data))
        except OSError:
            pass
        target.close()

    def __exit__(self, *error):
        self.listener.close()
        super().__exit__(*error)


class OldRedis(FarRedis):
    """One that tells a version from before Functions."""

    @staticmethod
    def edit(data):
        return data.replace(b"redis_version:7", b"redis_version:6")


class BadRedis(Command):
    def check_all(self, address, sentence):
        """The command says it, and a pool refuses to start with it."""
        file = self.path("x.py", "print(1)")
        self.check(self.paddock("run", file, "--redis", address), 100, "", sentence)
        self.check(self.paddock("check", "--redis", address), 100, "", sentence)
        runtime = os.path.join(self.folder.name, "run")
        up = self.paddock("up", "--redis", address, "--runtime-dir", runtime)
        self.assertEqual(up.returncode, 100, up)
        self.assertIn(sentence, up.stderr)
        self.assertNotIn("unable to report", up.stderr)
        self.assertFalse(os.path.exists(runtime))

    def test_not_there(self):
        self.check_all("unix:/nowhere/redis.sock", "unable to reach Redis at unix:/nowhere/redis.sock")

    def test_address_that_is_none(self):
        self.check(self.paddock("status", "--redis", "http://x"), 100, "", "of a kind that is not known")
        self.check(self.paddock("status", "--redis", "host:port"), 100, "", "a port is a number")
        self.check(self.paddock("up", "--redis", "http://x"), 100, "", "redis: takes unix:/PATH")

    def test_wrong_policy(self):
        with pool.RedisServer("--maxmemory-policy", "allkeys-lru") as server:
            self.check_all(f"unix:{server.socket}", "maxmemory-policy allkeys-lru")

    def test_too_old(self):
        with OldRedis() as server:
            self.check_all(server.address, "Paddock needs Redis 7.0 or newer")

    def test_a_password_does_not_stay_on_the_command_line(self):
        runtime = self.path("run")
        for words in (["status"], ["up", "--workers=1", "--runtime-dir", runtime]):
            with self.subTest(words[0]), socket.create_server(("127.0.0.1", 0)) as listener:
                address = "redis://:sesame-open@127.0.0.1:%d" % listener.getsockname()[1]
                command = subprocess.Popen([PADDOCK, *words, "--redis", address], stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                listener.settimeout(pool.PATIENCE)
                client, _ = listener.accept()
                with client:
                    self.assertIn(b"sesame-open", client.recv(1000))
                    for pid in [command.pid, *pool.children_of(command.pid)]:
                        with open(f"/proc/{pid}/cmdline") as file:
                            self.assertNotIn("sesame", file.read())
                command.terminate()
                self.assertNotIn("sesame", command.communicate(timeout=pool.PATIENCE)[1])
        self.assertFalse(os.path.exists(runtime))

    def test_an_address_with_a_password_in_a_file(self):
        with FarRedis("--requirepass", "sesame-open") as server:
            self.path("pool", f"redis=redis://:sesame-open@{server.address}\nqueue=school\n")
            done = self.paddock("status", "--json", "--runtime-dir", self.folder.name)
            self.check(done, 0)
            self.assertEqual(json.loads(done.stdout)["queue"], "school")

    def test_password(self):
        with pool.RedisServer("--requirepass", "sesame-open") as server:
            self.check_all(f"unix:{server.socket}", "it wants a password")


class Pools(Command):
    def test_submit_follow_status_cancel(self):
        with pool.Pool(workers=1) as p:
            here = ("--runtime-dir", p.runtime)
            file = self.path("x.py", "print('hello')\n")
            done = self.paddock("submit", file, "--id", "job-1", "--meta", "kept", *here)
            self.check(done, 0, "job-1\n")
            self.check(self.paddock("follow", "job-1", *here), 0, "hello\n")
            status = self.paddock("status", "job-1", "--json", *here)
            job = json.loads(status.stdout)
            self.assertEqual((job["state"], job["verdict"], job["meta"]), ("done", "ok", "kept"))
            self.check(self.paddock("status", *here), 0, err="")
            self.check(self.paddock("submit", file, "--id", "job-1", *here), 1, "", "there is a job of this id")
            self.check(self.paddock("cancel", "job-1", *here), 1, "final\n")
            for command in ("follow", "status", "cancel"):
                self.check(self.paddock(command, "no-such", *here), 1, "", "there is no job no-such")
            for job, code, answer in (("job-1", 1, "final"), ("no-such", 1, "unknown")):
                done = self.paddock("cancel", job, "--json", *here)
                self.check(done, code)
                self.assertEqual(json.loads(done.stdout), {"kind": "cancel", "id": job, "answer": answer})
            self.check(self.paddock("submit", file, "--follow", *here), 0, "hello\n")

            endless = self.path("endless.py", "print('begun')\nwhile True: pass\n")
            self.paddock("submit", endless, "--id", "job-2", "--cpu-ms", "60000", *here)
            pool.wait_until(lambda: p.client.job("job-2").get("state") == b"running", "it runs")
            self.check(self.paddock("cancel", "job-2", *here), 0, "requested\n")
            self.check(self.paddock("follow", "job-2", *here), 90, err="The run was cancelled.")

    def test_ids_that_begin_with_a_dash(self):
        """stand behind "--", as clients make them whose ids are random texts."""
        with pool.Pool(workers=1, max_deliveries=1) as p:
            here = "--runtime-dir", p.runtime
            file = self.path("x.py", "print(1)\n")
            self.check(self.paddock("submit", file, "--id", "-abc", *here), 0, "-abc\n")
            self.check(self.paddock("follow", *here, "--", "-abc"), 0, "1\n")
            self.check(self.paddock("trace", *here, "--", "-abc"), 0)
            self.check(self.paddock("save", *here, "--output", self.path("saved"), "--", "-abc"), 0)
            for id in ("-abc", "--all", "--help", "-"):
                self.check(self.paddock("status", *here, "--", id), 1 - (id == "-abc"))
            self.assertIn("verdict", self.paddock("status", *here, "--", "-abc").stdout)
            for words, sentence in ((["status", "-abc"], "no option -abc here; a name that begins with a dash stands behind --"),
                                    (["cancel", "--abc"], "no option --abc here; a name that begins with a dash stands behind --"),
                                    (["status", "--jsno"], "no option --jsno here; did you mean --json?"),
                                    (["resume", "-abc"], "no option -abc here\n"), (["resume", "--", "-abc"], "usage: paddock resume"),
                                    (["status", "a", "--", "b"], "usage: paddock status")):
                with self.subTest(words):
                    self.check(self.paddock(words[0], *here, *words[1:]), 2, "", sentence)
            for id in ("--all", "-q", "-r"):
                job = p.client.begin(job=id)
                lost = len(p.client.redis.zrange(p.client.key("dead"), 0, -1))
                os.kill(p.relays()[0], signal.SIGKILL)
                pool.wait_until(lambda: p.client.redis.zcard(p.client.key("dead")) > lost, f"{job} is dead")
            self.check(self.paddock("dead", "show", *here, "--", "-q"), 0)
            self.check(self.paddock("dead", "drop", *here, "--", "--all"), 0, "dropped 1\n")
            self.check(self.paddock("dead", *here, "--", "drop", "-r"), 0)
            self.check(self.paddock("dead", "requeue", *here, "--", "-q"), 0)
            self.check(self.paddock("cancel", *here, "--", "-q"), 0)
            self.assertEqual(p.client.wait("-q").verdict, "cancelled")

    def test_pause_and_resume(self):
        with pool.Pool(workers=1) as p:
            here = ("--runtime-dir", p.runtime)
            self.check(self.paddock("resume", *here), 0, "running\n")
            self.check(self.paddock("pause", "the hall is moved", *here), 0, "paused\n")
            status = json.loads(self.paddock("status", "--json", *here).stdout)
            self.assertEqual((status["queue"], status["waiting"], status["paused"]), ("test", 0, "the hall is moved"))
            self.assertIn("paused           the hall is moved\n", self.paddock("status", *here).stdout)
            self.paddock("submit", self.path("x.py", "print('hello')"), "--id", "job-1", *here)
            self.assertIn("waiting          1\n", self.paddock("status", *here).stdout)
            done = self.paddock("resume", "--json", *here)
            self.check(done, 0)
            self.assertEqual(json.loads(done.stdout), {"kind": "resume", "answer": "resumed"})
            self.check(self.paddock("follow", "job-1", *here), 0, "hello\n")
            self.assertNotIn("paused", self.paddock("status", *here).stdout)
            self.check(self.paddock("pause", "x" * 257, *here), 2, "", "a reason takes at most 256 bytes")

    def bury(self, p, job):
        """A job that somebody has damaged while it waited."""
        here = ("--runtime-dir", p.runtime)
        self.paddock("pause", *here)
        self.paddock("submit", self.path("x.py", "print('hello')"), "--id", job, "--tenant", "ada", *here)
        p.redis.hset(p.client.key("job:", job), "cpu_ms", "\x1b[2J")
        self.paddock("resume", *here)
        self.check(self.paddock("follow", job, *here), 99)

    def test_dead_letters(self):
        with pool.Pool(workers=1) as p:
            here = ("--runtime-dir", p.runtime)
            self.check(self.paddock("dead", "list", *here), 0, "")
            for job in ("job-1", "job-2", "job-3"):
                self.bury(p, job)
            lines = self.paddock("dead", "list", *here).stdout.splitlines()
            self.assertEqual([line.split()[2:4] for line in lines], [["job-3", "ada"], ["job-2", "ada"], ["job-1", "ada"]])
            self.assertIn("it cannot be run: its field cpu_ms takes a whole number from 10 to 600000", lines[0])
            letters = [json.loads(line) for line in self.paddock("dead", "list", "--json", *here).stdout.splitlines()]
            self.assertEqual([letter["id"] for letter in letters], ["job-3", "job-2", "job-1"])
            self.assertEqual(set(letters[0]), {"kind", "id", "time_ms", "tenant", "detail"})
            self.assertIn("state            dead\n", self.paddock("dead", "show", "job-1", *here).stdout)

            p.redis.hset(p.client.key("job:", "job-1"), "cpu_ms", "1000")
            self.check(self.paddock("dead", "requeue", "job-1", *here), 0, err="")
            self.check(self.paddock("follow", "job-1", *here), 0, "hello\n")
            self.check(self.paddock("dead", "show", "job-1", *here), 1, "", "job job-1 is done, not dead")
            for action in ("requeue", "drop"):
                self.check(self.paddock("dead", action, "job-1", *here), 1, "", "there is no dead letter job-1")
            self.check(self.paddock("dead", "show", "no-such", *here), 1, "", "there is no job no-such")

            self.check(self.paddock("dead", "drop", "job-2", *here), 0, "dropped 1\n")
            p.redis.delete(p.client.key("zip:", "job-3"))
            self.check(self.paddock("dead", "requeue", "job-3", *here), 1, "gone\n")
            done = self.paddock("dead", "drop", "--all", "--json", *here)
            self.assertEqual(json.loads(done.stdout), {"kind": "drop", "dropped": 1})
            self.check(self.paddock("dead", "list", *here), 0, "")
            for words in ([], ["lost"], ["list", "job-1"], ["show"], ["requeue", "--all"], ["drop"], ["drop", "x", "--all"]):
                self.check(self.paddock("dead", *words, *here), 2, "", "usage: paddock dead list|show ID")

    def test_dead_letters_without_an_id(self):
        """What somebody wrote to Redis himself is listed, and as no other's."""
        with pool.Pool(workers=1) as p:
            here = ("--runtime-dir", p.runtime)
            for when, job in enumerate(("k\0z", "x" * 100000, "a b", "*"), 1):
                p.redis.zadd(p.client.key("dead"), {job: p.redis.time()[0] * 1000 + when})
            letters = [json.loads(line) for line in self.paddock("dead", "list", "--json", *here).stdout.splitlines()]
            self.assertEqual([letter["id"] for letter in letters], ["*", "a b", "x" * 256, "k\0z"])
            lines = self.paddock("dead", "list", *here).stdout.splitlines()
            self.assertEqual(len(lines), 4)
            self.assertRegex(lines[3], r"  k\S+z  ")
            self.check(self.paddock("dead", "drop", "*", *here), 2, "", "* is the id of no job, and goes with --all")
            self.check(self.paddock("dead", "drop", "a b", *here), 0, "dropped 1\n")
            self.check(self.paddock("dead", "drop", "--all", *here), 0, "dropped 3\n")

    def test_replace(self):
        with pool.Pool(workers=1) as p:
            here = ("--runtime-dir", p.runtime)
            self.paddock("pause", *here)
            file = self.path("x.py", "print('hello')")
            for job in ("job-1", "job-2"):
                self.check(self.paddock("submit", file, "--id", job, "--replace", *here), 0)
            self.paddock("resume", *here)
            self.check(self.paddock("follow", "job-1", *here), 90)
            self.check(self.paddock("follow", "job-2", *here), 0, "hello\n")

    def test_status_of_anything(self):
        with pool.Pool(workers=1) as p:
            here = ("--runtime-dir", p.runtime)
            forger = self.path("forger.py", "raise Exception('a\\nverdict          ok\\x1b[2J\\u202e')\n")
            self.paddock("submit", forger, "--id", "forger", "--follow", *here)
            lines = self.paddock("status", "forger", *here).stdout.splitlines()
            self.assertEqual([line for line in lines if line.startswith("verdict ")], ["verdict          exception"])
            self.assertIn("a\\nverdict          ok?[2J?", "".join(line for line in lines if line.startswith("claim")))

            stopped = self.path("stopped.py", "while True: pass\n")
            self.paddock("submit", stopped, "--id", "stopped", "--cpu-ms", "100", "--meta", "x" * 200, "--follow", *here)
            first = ["state", "verdict", "sentence", "where"]  # it has no `detail`
            self.assertEqual([line.split()[0] for line in self.paddock("status", "stopped", *here).stdout.splitlines()][:4], first)
            self.assertEqual(list(json.loads(self.paddock("status", "stopped", "--json", *here).stdout))[:4], first)

            large = "\x01\"\n" * 300000
            p.client.enqueue(pool.make_zip("print(1)"), "large", stdin=large, delay_ms=600000)
            job = json.loads(self.paddock("status", "large", "--json", *here).stdout)
            self.assertEqual((job["stdin"], job["state"]), (large, "queued"))
            lines = self.paddock("status", "large", *here).stdout.splitlines()
            self.assertIn("... (900000 bytes in all)", "".join(line for line in lines if line.startswith("stdin")))

    def test_a_file_and_what_is_to_be_run_in_it(self):
        path = self.path("eb.py", "import sys\nprint('top', __name__)\ndef go():\n    return {'a': 1}\n")
        for entry, name in ("eb:go", "eb"), ("eb", "__main__"), ("eb.py", "__main__"), ("other.py", "__main__"):
            with self.subTest(entry):
                self.check(self.paddock("run", path, "--entry", entry), 0, out=f"top {name}\n")
        done = self.paddock("run", path, "--entry", "eb:go", "--json")
        self.assertIn('{"a": 1}', [json.loads(line).get("part") for line in done.stdout.splitlines()])
        self.check(self.paddock("run", path, "--entry", "no:go"), 81, err="There is no module no")

    def test_the_result_needs_no_more_than_its_entry(self):
        with pool.Pool(workers=1) as p:
            here = ("--runtime-dir", p.runtime)
            file = self.path("x.py", "print('out')\nexit('a \\u00e4 \"exit_code\\\":0')\n")
            self.paddock("submit", file, "--id", "job-1", "--follow", *here)
            seven = self.path("seven.py", "exit(7)")
            self.paddock("submit", seven, "--id", "job-7", "--follow", *here)
            p.redis.delete(p.client.key("job:", "job-1"), p.client.key("job:", "job-7"))
            done = self.paddock("follow", "job-1", "--json", *here)
            self.check(done, 1)
            self.assertEqual(json.loads(done.stdout.splitlines()[-1])["kind"], "result")
            self.check(self.paddock("follow", "job-7", *here), 7, "", "Your program ended itself with exit(7).")

    def test_run_in_a_pool_that_is_there(self):
        with pool.Pool(workers=1) as p:
            file = self.path("x.py", "print('hello')\n")
            address = f"unix:{p.runtime}/redis.sock"
            self.check(self.paddock("run", file, "--redis", address, "--queue", p.queue), 0, "hello\n")

    def test_check(self):
        done = self.paddock("check")
        self.check(done, 0)
        self.assertNotIn("FAIL", done.stdout)
        self.assertGreaterEqual(done.stdout.count("ok "), 10)
        layers = [json.loads(line) for line in self.paddock("check", "--json").stdout.splitlines()]
        self.assertEqual([layer["name"] for layer in layers], [line[6:24].strip() for line in done.stdout.splitlines()])
        self.assertTrue(all(layer["holds"] for layer in layers if layer["mandatory"]), layers)
        self.assertEqual({tuple(layer) for layer in layers}, {("kind", "name", "holds", "mandatory", "granted", "detail")})
        self.check(self.paddock("check", "--json", "--policy"), 2, "", "--policy")
        for words in ("--config", "f", "--redis", "127.0.0.1:1"), ("--policy", "--config", "f"), ("--redis", "127.0.0.1:1", "--policy"):
            self.check(self.paddock("check", *words), 2, "", "--policy, --config, --redis: one of these at a time")
        self.check(self.paddock("check", "--queue", "q"), 2, "", "there is no option --queue here")
        for name, code, sentence in ("{x}", 100, "takes at most 64 letters"), ("x", 2, "is one of a pool that runs"):
            self.check(self.paddock("run", self.path("nobody.py"), "--queue", name), code, "", sentence)
        with pool.RedisServer() as server:
            first = self.paddock("check", "--json", "--redis", f"unix:{server.socket}").stdout.splitlines()[0]
        self.assertEqual(json.loads(first)["name"], "redis")
        policy = self.paddock("check", "--policy")
        self.check(policy, 0)
        for word in ("ptrace", "EPERM", "FSIZE", "doorbell", "SETUID", "ABI 4", "MDWE", "cgroup"):
            self.assertIn(word, policy.stdout)
        for line in policy.stdout.splitlines():
            self.assertGreaterEqual(len(line.split()), 4, line)
        kinds = {line.split()[0] for line in policy.stdout.splitlines()}
        self.assertLessEqual({"rlimit", "group", "capability", "landlock", "prctl", "namespace"}, kinds)
        bad = self.path("bad.conf", "[pool]\nworkers = none\n")
        self.check(self.paddock("check", "--config", bad), 100, "", "bad.conf:2: workers = none")

    def test_verdicts(self):
        done = self.paddock("verdicts", "--json")
        names = [json.loads(line)["verdict"] for line in done.stdout.splitlines()]
        self.assertEqual(len(names), 17)
        self.assertIn("forbidden", names)


if __name__ == "__main__":
    unittest.main()
