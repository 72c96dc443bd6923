# SPDX-License-Identifier: MIT
"""Several pools of one file: each with what its section says, one beside the other, and one Redis."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import pool
import recording

PADDOCK = pool.program("paddock")
FILE = """
[pool]
workers = 1
drain_s = 60
[redis]
maxmemory_mb = 64
[pool exercises]
queue = exercises:3 homework
max_cpu_ms = 300
hash_seed = 7
[pool competition]
queue = competition
workers = 2
"""
FAR = FILE.replace("[redis]\nmaxmemory_mb = 64\n", "")  # for a Redis that is not theirs
THIRD = "[pool third]\nqueue = third\n"


def text(job):
    return recording.text(recording.decode(job.recording))


class Serving(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        os.chmod(self.folder, 0o755)
        self.file = os.path.join(self.folder, "paddock.conf")

    def write(self, words):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(words)

    def serve(self, words=FILE, **options):
        self.write(words)
        self.pool = self.enterContext(pool.Pool(config=self.file, workers=None, queue=None, **options))
        return self.pool

    def client(self, queue):
        return pool.Client(self.pool.redis, queue)

    def command(self, *words):
        return subprocess.run([PADDOCK, *words, "--runtime-dir", self.pool.runtime], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)

    def words(self, pid):
        """Its command line; none where it is gone."""
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
            return file.read().split("\0")
        return []

    def supervisor(self, name):
        """The process of a pool's supervisor, or None."""
        return next((pid for pid in pool.children_of(self.pool.process.pid) if f"--pool={name}" in self.words(pid)), None)

    def servers(self):
        """The private Redis."""
        return [pid for pid in pool.children_of(self.pool.process.pid)
                if any(word.startswith("redis-server") for word in self.words(pid))]

    def workers(self, name):
        above = self.supervisor(name)
        return [pid for pid, command in pool.children_of(above).items() if command.startswith("paddock-relay")] if above else []

    def reload(self, words, said):
        """`said`: what the log says then."""
        before = len(self.pool.read_log())
        self.write(words)
        self.pool.process.send_signal(signal.SIGHUP)
        pool.wait_until(lambda: all(one in self.pool.read_log()[before:] for one in said), f"the log says {said}")


class Pools(Serving):
    def test_each_has_what_its_section_says(self):
        self.serve()
        self.assertEqual((len(self.workers("exercises")), len(self.workers("competition"))), (1, 2))
        for queue, verdict in ("exercises", "cpu_limit"), ("homework", "cpu_limit"), ("competition", "ok"):
            job = self.client(queue).run("import time\nwhile time.process_time() < 0.6: pass\n", cpu_ms=5000)
            self.assertEqual(job.verdict, verdict, queue)
        hashes = [text(self.client("exercises").run("print(hash('robot'))")) for _ in range(2)]
        self.assertEqual(hashes[0], hashes[1])
        self.assertNotEqual(text(self.client("competition").run("print(hash('robot'))")), hashes[0])

    def test_what_they_share(self):
        """One Redis; and nobody's sandbox has an id of another's."""
        self.serve()
        self.assertEqual(len(self.servers()), 1)
        jobs = [self.client(queue).begin() for queue in ("exercises", "competition")]
        pids = [pid for pid in self.pool.sandboxes()]
        owners = {name: {os.stat(f"/proc/{pid}").st_uid for pid in pids if self.supervisor(name) in self.ancestors(pid)}
                  for name in ("exercises", "competition")}
        self.assertTrue(all(owners.values()), owners)
        if os.geteuid() == 0:
            self.assertEqual(owners["exercises"] & owners["competition"], set(), owners)
        for queue, job in zip(("exercises", "competition"), jobs):
            self.client(queue).cancel(job)
            self.assertEqual(self.client(queue).wait(job).verdict, "cancelled")

    def ancestors(self, pid):
        found = []
        while pid := pool.parent_of(pid):
            found.append(pid)
        return found

    def test_it_says_that_it_is_there(self):
        self.serve()
        self.assertEqual(self.pool.ready.recv(6) + self.pool.ready.recv(6), b"alive\nalive\n")

    def test_the_command(self):
        self.serve()
        with open(os.path.join(self.pool.runtime, "pool"), encoding="ascii") as file:
            self.assertIn("pools=exercises competition\n", file.read())
        program = os.path.join(self.folder, "hello.py")
        with open(program, "w", encoding="utf-8") as file:
            file.write("print('hello')")
        for words, queue in ((), "exercises"), (("--pool", "competition"), "competition"), (("--queue", "homework"), "homework"):
            done = self.command("submit", program, "--json", *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            job = json.loads(done.stdout)["id"]
            self.assertEqual(text(self.client(queue).wait(job)), "hello\n")
        done = self.command("run", program, "--pool", "competition")
        self.assertEqual((done.returncode, done.stdout), (0, "hello\n"), done.stderr)
        for words, code, said in (
                (["top", "--once"], 100, f"several pools run in {self.pool.runtime}: name one of them with --pool: "
                                         "exercises competition"),
                (["drain"], 100, "name one of them with --pool: exercises competition"),
                (["top", "--once", "--pool", "none"], 100, "--pool none: there is none of that name in "),
                (["status", "--pool", "../x"], 100, "--pool ../x: takes at most 32 letters, digits, _ and -")):
            done = self.command(*words)
            self.assertEqual((done.returncode, done.stdout), (code, ""), done)
            self.assertIn(said, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        done = self.command("top", "--once", "--json", "--pool", "competition")
        self.assertEqual([queue["queue"] for queue in json.loads(done.stdout)["queues"]], ["competition"], done)

    def test_the_log_says_whose_line_it_is(self):
        for form in "text", "json":
            with self.subTest(form), contextlib.ExitStack() as stack:
                self.write(FILE)
                self.pool = stack.enter_context(pool.Pool(config=self.file, workers=None, queue=None, log_format=form))
                self.client("competition").run("print(1)")
                log = self.pool.read_log()
            if form == "text":
                self.assertRegex(log, r"(?m)^info competition/relay-[01]\[\d+\] queue=competition job=\w+ attempt=1 verdict=ok")
                self.assertRegex(log, r"(?m)^info exercises/supervisor\[\d+\] pool ready ")
                self.assertRegex(log, r"(?m)^info supervisor\[\d+\] pools ready count=2")
                continue
            lines = [json.loads(line) for line in log.splitlines()]
            self.assertEqual([line["pool"] for line in lines if "verdict=ok" in line["message"]], ["competition"])
            self.assertEqual([line.get("pool") for line in lines if "pools ready" in line["message"]], [None])

    def test_how_it_is_logged_is_read_again(self):
        """By the supervisor of all, too."""
        self.serve(FILE + THIRD, log_level=None)
        self.reload(FILE.replace("[pool]\n", "[pool]\nlog_format = json\n"), ["third is not in the new configuration"])
        line = next(line for line in self.pool.read_log().splitlines() if "third is not in the new configuration" in line)
        self.assertEqual(json.loads(line)["role"], "supervisor")
        quiet = FILE.replace("[pool]\n", "[pool]\nlog_level = error\n")
        self.reload(quiet + THIRD, ["log_level is another one"])
        pool.wait_until(lambda: self.supervisor("third"), "the third one is there")
        before = len(self.pool.read_log())
        self.write(quiet)
        self.pool.process.send_signal(signal.SIGHUP)
        pool.wait_until(lambda: self.supervisor("third") is None, "its pool is over")
        self.assertNotIn("third is not in the new configuration", self.pool.read_log()[before:])

    def test_a_pool_that_is_added_changed_and_taken_out(self):
        """The file is read again: the others have no part in it, and what runs goes on."""
        self.serve()
        job = self.client("competition").begin("import time\nprint('begun', flush=True)\ntime.sleep(8)\nprint('over')\n")
        at_start = self.supervisor("exercises")
        self.reload(FILE + THIRD, ["third/supervisor", "pool ready queue=third"])
        self.assertEqual(self.client("third").run("print(1)").verdict, "ok")
        self.reload((FILE + THIRD).replace("hash_seed = 7", "hash_seed = 8").replace("workers = 2", "workers = 3"),
                    ["hash_seed is another one", "workers is another one"])
        pool.wait_until(lambda: len(self.workers("competition")) == 3, "there are three workers")
        self.assertEqual(self.supervisor("exercises"), at_start)
        competition = FILE.index("[pool competition]")
        self.reload(FILE[:competition] + THIRD, ["pool competition is not in the new configuration: it is drained"])
        self.assertEqual(text(self.client("competition").wait(job)), "begun\nover\n")
        pool.wait_until(lambda: self.supervisor("competition") is None, "its pool is over")
        pool.wait_until(lambda: not os.path.exists(os.path.join(self.pool.runtime, "competition")), "its folder is gone")
        waiting = self.client("competition").enqueue(pool.make_zip("print(2)"))
        self.reload(FILE, ["competition/supervisor", "pool third is not in the new configuration"])
        self.assertEqual(self.client("competition").wait(waiting).verdict, "ok")

    def test_one_that_is_renamed(self):
        """Its successor has the port of its metrics from the first, whatever the old one still runs."""
        port = pool.free_port()
        words = FILE + f"metrics = 127.0.0.1:{port}\n"
        self.serve(words)
        job = self.client("competition").begin()
        self.reload(words.replace("[pool competition]", "[pool contest]"), ["pool competition is not in the new configuration", "pool ready queue=competition"])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=pool.PATIENCE)
        connection.request("GET", "/metrics")
        self.assertIn("\npaddock_workers_wanted 2\n", connection.getresponse().read().decode())
        connection.close()
        self.assertIsNotNone(self.supervisor("competition"), "it drains")
        self.assertNotIn("Address already in use", self.pool.read_log())
        self.client("competition").cancel(job)
        pool.wait_until(lambda: self.supervisor("competition") is None, "its pool is over")

    def test_one_that_has_the_owner_of_another(self):
        """which runs: it takes nothing back that is not lost. It begins when that is over, also where that was the only one; and
        where that keeps its owner, the file is refused."""
        server = self.enterContext(pool.RedisServer())
        one = "[pool]\nworkers = 1\ndrain_s = 60\n[pool one]\nqueue = q\nowner = me\n"
        self.serve(one, redis=server.address)
        source = "import time\nprint('begun', flush=True)\ntime.sleep(4)\n"
        job = self.client("q").begin(source)
        self.reload(one.replace("owner = me", "owner = you") + "[pool two]\nqueue = q\nowner = me\n",
                    ["the configuration stays as it was: a pool that runs keeps what only a restart changes: "
                     "owner = me: the pools one and two cannot have the same one\n"])
        self.reload(one.replace("pool one", "pool two"), ["pool two starts when pool one is over: its owner is the same"])
        after = self.client("q").enqueue(pool.make_zip("print(2)"))
        for each in job, after:
            ended = self.client("q").wait(each)
            self.assertEqual((ended.verdict, ended.attempt), ("ok", b"1"), ended.result)
        self.assertIsNone(self.supervisor("one"))
        self.assertIsNotNone(self.supervisor("two"))
        self.assertNotIn("left behind", self.pool.read_log())

    def test_an_owner_that_another_keeps(self):
        """A pool that is started again has all that the file says: that may be another's that runs."""
        server = self.enterContext(pool.RedisServer())
        words = "[pool]\nworkers = 1\n[pool one]\nqueue = one\nowner = {}\n[pool two]\nqueue = two\nowner = {}\n"
        self.serve(words.format("me", "you"), redis=server.address)
        self.reload(words.format("you", "me"), ["one/supervisor", "two/supervisor", "reloaded: nothing has changed"])
        os.kill(self.supervisor("one"), signal.SIGKILL)
        pool.wait_until(lambda: "unable to start pool one: owner = you: pool two has it until it is started again"
                        in self.pool.read_log(), "it is said")
        self.assertEqual(self.client("two").run("print(1)").verdict, "ok")
        self.reload(words.format("we", "me"), ["pool ready queue=one"])
        self.assertEqual(self.client("one").run("print(1)").verdict, "ok")

    def test_a_port_that_another_keeps(self):
        """Only a restart changes it there, so no other can have it."""
        port = pool.free_port()
        words = FILE + f"metrics = 127.0.0.1:{port}\n"
        self.serve(words)
        self.reload(words.replace(str(port), str(pool.free_port())) + THIRD + f"metrics = 127.1:{port}\n",
                    ["the configuration stays as it was: a pool that runs keeps what only a restart changes: "
                     f"metrics = 127.1:{port}: the pools competition and third cannot have the same one, and 127.0.0.1:{port} is"])
        self.assertIsNone(self.supervisor("third"))

    def test_a_link_that_is_switched_to_another_file(self):
        """As by what looks after a machine's configuration: it is read by the name that was given, by a pool that stays, one that
        is new, and one that is started again."""
        for relative in False, True:
            with self.subTest(relative=relative), contextlib.ExitStack() as stack:
                for name, seed in ("first", 7), ("second", 8):
                    with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                        file.write(FILE.replace("hash_seed = 7", f"hash_seed = {seed}") + (THIRD if name == "second" else ""))
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.file)
                os.symlink("first", self.file)
                self.pool = stack.enter_context(pool.Pool(config="paddock.conf" if relative else self.file, workers=None, queue=None,
                                                          born={"cwd": self.folder}))
                first = text(self.client("exercises").run("print(hash('robot'))"))
                os.symlink("second", self.file + ".new")
                os.rename(self.file + ".new", self.file)
                self.pool.process.send_signal(signal.SIGHUP)
                pool.wait_until(lambda: "reloaded: the new configuration is in force" in self.pool.read_log(), "it is read again")
                second = text(self.client("exercises").run("print(hash('robot'))"))
                self.assertNotEqual(second, first)
                self.assertEqual(self.client("third").run("print(1)").verdict, "ok")
                os.kill(self.supervisor("exercises"), signal.SIGKILL)
                self.assertEqual(text(self.client("exercises").run("print(hash('robot'))")), second)

    def test_a_bad_file_changes_nothing(self):
        self.serve()
        for words, said in ((FILE + "[pool x]\nworkers = none\n", ":15: workers = none: takes a whole number"),
                            (FILE.replace("workers = 2", "workers = 4\nmax_workers = 3"),
                             "paddock.conf:14: max_workers (3) is less than workers (4)"),
                            ("[pool]\nworkers = 3\n", "it has no [pool NAME] any more"),
                            (FILE + "[pool exercises]\n", "section [pool exercises] is there twice")):
            with self.subTest(said):
                self.reload(words, ["the configuration stays as it was: ", said])
        self.assertEqual((len(self.workers("exercises")), len(self.workers("competition"))), (1, 2))
        self.assertEqual(self.client("exercises").run("print(1)").verdict, "ok")

    def test_one_that_dies_while_a_bad_file_lies_there(self):
        """or none: it has what is in force, also where it is the only one; and the log is as that has it."""
        words = "[pool]\nworkers = 1\nlog_format = json\n[redis]\nmaxmemory_mb = 64\n[pool one]\nqueue = one\n"
        for more in "", "[pool two]\nqueue = two\n":
            with self.subTest(more), contextlib.ExitStack() as stack:
                self.write(words + more)
                self.pool = stack.enter_context(pool.Pool(config=self.file, workers=None, queue=None))
                self.reload(words.replace("workers = 1", "workers = none"), ["the configuration stays as it was: "])
                for _ in range(2):
                    os.kill(self.supervisor("one"), signal.SIGKILL)
                    pool.wait_until(lambda: self.supervisor("one"), "it is started again")
                    self.assertEqual(self.client("one").run("print(1)").verdict, "ok")
                    if os.path.exists(self.file):
                        os.unlink(self.file)
                self.reload(words.replace("workers = 1", "workers = 2") + more, ["reloaded: the new configuration is in force"])
                pool.wait_until(lambda: len(self.workers("one")) == 2, "what is good again is read")
                # Killed while it looks for leaks, a sanitizer says so.
                said = re.sub(r"(?m)^==\d+==Unable to get registers from thread \d+\.\n", "", self.pool.read_log())
                for line in said.splitlines():
                    self.assertIn("message", json.loads(line))

    def test_one_that_dies_after_no_zygote_came_up(self):
        """It still has what it kept, and the other one what is new."""
        self.serve()
        self.reload(FILE.replace("hash_seed = 7", "hash_seed = 8\nhost_modules = nosuch").replace("workers = 2", "workers = 3"),
                    ["no zygote starts with the new one", "reloaded: the new configuration is in force"])
        for name, count in ("exercises", 1), ("competition", 3):
            os.kill(self.supervisor(name), signal.SIGKILL)
            pool.wait_until(lambda: len(self.workers(name)) == count, "it is as it was")
            self.assertEqual(self.client(name).run("print(1)").verdict, "ok")
        self.reload(FILE, ["exercises/supervisor", "nothing has changed", "workers is another one"])

    def test_none_of_them_starts_any_more(self):
        """They are tried again, and Redis has what waits."""
        self.serve()
        renamed = FILE.replace("[pool exercises]", "[pool one]").replace("[pool competition]", "[pool two]")
        self.reload(renamed.replace("[redis]", "[sandbox]\nhost_modules = nosuch\n[redis]"), ["pool one ended with exit code 100",
                                                                                          "pool two ended with exit code 100"])
        job = self.client("competition").enqueue(pool.make_zip("print(1)"))
        time.sleep(2)
        self.assertIsNone(self.pool.process.poll())
        self.reload(renamed, ["one/supervisor", "two/supervisor", "pool ready queue=competition"])
        self.assertEqual(self.client("competition").wait(job).verdict, "ok")

    def test_why_one_of_them_does_not_start(self):
        """is said in their log, as the other lines are."""
        self.write("[pool]\nlog_format = json\nworkers = none\n[pool one]\n")
        ours, theirs = socket.socketpair()
        with ours, theirs:
            done = subprocess.run([pool.program("paddock-supervisor"), f"--config={self.file}", "--pool=one", f"--ready-fd={theirs.fileno()}"],
                                  pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=pool.PATIENCE)
        self.assertEqual((done.returncode, done.stdout), (100, ""))
        said = json.loads(done.stderr)
        self.assertEqual((said["level"], said["pool"], said["role"]), ("error", "one", "supervisor"))
        self.assertIn(":3: workers = none: takes a whole number", said["message"])

    def published(self):
        """What stands in the file by which the command finds them, and which one it is."""
        with open(os.path.join(self.pool.runtime, "pool"), encoding="ascii") as file:
            return dict(line.split("=", 1) for line in file.read().splitlines()), os.fstat(file.fileno()).st_ino

    def reload_published(self, words, said):
        before = self.published()[1]
        self.reload(words, said)
        pool.wait_until(lambda: self.published()[1] != before, "the file is written anew")
        return self.published()[0]

    def submit(self):
        """A job for whoever serves the first queue of the first pool."""
        program = os.path.join(self.folder, "hello.py")
        with open(program, "w", encoding="utf-8") as file:
            file.write("print('hello')")
        done = self.command("submit", program, "--follow")
        self.assertEqual((done.returncode, done.stdout), (0, "hello\n"), done.stderr)

    def manager(self):
        """A socket as the service manager's, and an environment that names it."""
        path = os.path.join(self.folder, "notify")
        manager = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(path)
        manager.settimeout(pool.PATIENCE)
        return manager, {**os.environ, "NOTIFY_SOCKET": path}

    def test_those_that_serve_are_found(self):
        """Not one that does not start, nor one that was drained; the service manager is told, too."""
        manager, environment = self.manager()
        self.serve(born={"env": environment})
        taken = self.enterContext(socket.socket())
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = f"[pool first]\nqueue = first\nmetrics = 127.0.0.1:{taken.getsockname()[1]}\n" + FILE
        self.reload(first, ["Address already in use", "pool first ended with exit code 100"])
        while (said := manager.recv(4096).decode()) != "READY=1\nSTATUS=serving 2 of 3 pools":
            self.assertNotEqual(said, "READY=1\nSTATUS=serving 3 pools")
        self.assertEqual((self.published()[0]["queue"], self.published()[0]["pools"]), ("exercises", "exercises competition"))
        self.submit()
        taken.close()
        self.pool.process.send_signal(signal.SIGHUP)
        self.assertIn("RELOADING=1\n", manager.recv(4096).decode())
        self.assertEqual(manager.recv(4096).decode(), "READY=1\nSTATUS=serving 3 pools", "it is tried again, and waited for")
        self.reload(FILE, ["pool first is not in the new configuration"])
        while manager.recv(4096).decode() != "READY=1\nSTATUS=serving 2 pools":
            pass
        self.assertEqual(self.command("drain", "--pool", "exercises").returncode, 0)
        self.assertEqual(manager.recv(4096).decode(), "STATUS=serving 1 of 2 pools")
        self.assertEqual((self.published()[0]["queue"], self.published()[0]["pools"]), ("competition", "competition"))
        self.submit()

    def test_a_queue_that_only_a_restart_changes(self):
        """Jobs go where the pool serves, before and after."""
        self.serve()
        other = FILE.replace("queue = exercises:3 homework", "queue = other")
        found = self.reload_published(other, ["queue is another one in the new configuration: only a restart changes it"])
        self.assertEqual(found["queue"], "exercises")
        self.submit()
        os.kill(self.supervisor("exercises"), signal.SIGKILL)
        pool.wait_until(lambda: self.published()[0]["queue"] == "other", "it is found by its new queue")
        self.submit()

    def test_a_redis_that_only_a_restart_changes(self):
        """Nor is a private one started that nobody uses; the restart of one pool is enough for its own."""
        first, second = (self.enterContext(pool.RedisServer()) for _ in range(2))
        words = FAR.replace("[pool]\n", "[pool]\nredis = {}\n", 1)
        self.serve(words.format(first.address))
        for other in words.format(second.address), FAR:
            found = self.reload_published(other, ["redis is another one in the new configuration: only a restart changes it"])
            self.assertEqual((found["redis"], self.servers()), (first.address, []))
            self.submit()
        os.kill(self.supervisor("exercises"), signal.SIGKILL)
        private = f"unix:{self.pool.runtime}/redis.sock"
        pool.wait_until(lambda: self.published()[0]["redis"] == private, "it is found in its new Redis")
        self.assertEqual(len(self.servers()), 1)
        self.submit()

    def test_twice_in_a_row(self):
        """What is read again while that is under way is read once more."""
        self.serve()
        for seed in range(8, 12):
            self.write(FILE.replace("hash_seed = 7", f"hash_seed = {seed}").replace("workers = 2", f"workers = {seed - 7}"))
            self.pool.process.send_signal(signal.SIGHUP)
            pool.wait_until(lambda: self.pool.read_log().count("is another one in the new configuration") > (seed - 8), "it is read")
        pool.wait_until(lambda: len(self.workers("competition")) == 4, "there are as many workers as were asked for last")
        wanted = subprocess.run(["/usr/bin/python3", "-c", "print(hash('robot'))"], env={"PYTHONHASHSEED": "11"},
                                capture_output=True, text=True, check=True).stdout
        pool.wait_until(lambda: text(self.client("exercises").run("print(hash('robot'))")) == wanted, "the last seed is in force")

    def test_again_and_again_while_one_starts(self):
        """What comes before it can take it waits for it, and does not end it."""
        self.serve()
        self.write(FILE + THIRD)
        for _ in range(300):
            self.pool.process.send_signal(signal.SIGHUP)
            time.sleep(0.0002)
        pool.wait_until(lambda: "pool ready queue=third" in self.pool.read_log(), "it serves")
        self.assertNotIn("died of", self.pool.read_log())
        self.assertEqual(self.client("third").run("print(1)").verdict, "ok")

    def test_one_that_was_drained(self):
        """It stays so until the file is read again; the other goes on."""
        self.serve()
        done = self.command("drain", "--pool", "exercises")
        self.assertEqual((done.returncode, done.stdout), (0, "drained\n"), done.stderr)
        pool.wait_until(lambda: "pool exercises was drained" in self.pool.read_log(), "it is said")
        waiting = self.client("exercises").enqueue(pool.make_zip("print(1)"))
        self.assertEqual(self.client("competition").run("print(1)").verdict, "ok")
        self.assertIsNone(self.supervisor("exercises"))
        self.reload(FILE, ["exercises/supervisor"])
        self.assertEqual(self.client("exercises").wait(waiting).verdict, "ok")

    def test_one_that_is_being_drained(self):
        """The file is read again meanwhile: it is started again when it is over. A reload from before starts nobody again."""
        self.serve()
        job = self.client("exercises").begin()
        with subprocess.Popen([PADDOCK, "drain", "--pool", "exercises", "--runtime-dir", self.pool.runtime],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as drain:
            pool.wait_until(lambda: "draining: running jobs may end" in self.pool.read_log(), "it drains")
            self.reload(FILE, ["not read again: the pool is ending", "nothing has changed"])
            self.client("exercises").cancel(job)
            self.assertEqual(drain.wait(pool.PATIENCE), 0)
        self.assertEqual(self.client("exercises").run("print(1)").verdict, "ok")
        self.assertIn("pool exercises was drained: it is started again, as a reload has come since", self.pool.read_log())
        pool.wait_until(lambda: self.supervisor("exercises"), "it serves")
        self.reload(FILE.replace("hash_seed = 7", "hash_seed = 8"), ["hash_seed is another one"])
        self.assertEqual(self.command("drain", "--pool", "exercises").returncode, 0)
        pool.wait_until(lambda: "pool exercises was drained: a reload starts it again" in self.pool.read_log(), "it is said")
        self.assertIsNone(self.supervisor("exercises"))

    def test_when_all_were_drained_it_is_over(self):
        self.serve()
        for name in "exercises", "competition":
            self.assertEqual(self.command("drain", "--pool", name).returncode, 0)
        self.assertEqual(self.pool.process.wait(pool.PATIENCE), 0)

    def test_what_is_killed(self):
        """A pool's supervisor takes all of its pool along, and is followed by another, which gives back what ran; the other pool
        has no part in it. Redis is followed by another, too."""
        self.serve()
        other = self.client("competition").begin("import time\nprint('begun', flush=True)\ntime.sleep(5)\nprint('over')\n")
        job = self.client("exercises").begin("import os, time\nprint('begun', flush=True)\ntime.sleep(2)\n")
        os.kill(self.supervisor("exercises"), signal.SIGKILL)
        ended = self.client("exercises").wait(job)
        self.assertEqual((ended.verdict, ended.attempt), ("ok", b"2"), ended.result)
        ended = self.client("competition").wait(other)
        self.assertEqual((ended.verdict, ended.attempt, text(ended)), ("ok", b"1", "begun\nover\n"))
        os.kill(self.servers()[0], signal.SIGKILL)
        for queue in "exercises", "competition":
            pool.wait_until(lambda: self.answers(queue), "jobs run on a new Redis")

    def test_redis_ends_by_itself(self):
        """Told so, and not by force: it does what it is configured to do at its end. Also one that has followed another."""
        data = os.path.join(self.folder, "data")
        for dies in False, True:
            with self.subTest(dies=dies), contextlib.ExitStack() as stack:
                os.mkdir(data)
                self.write(FILE)
                self.pool = stack.enter_context(pool.Pool(config=self.file, workers=None, queue=None, data_dir=data))
                if dies:
                    os.kill(self.servers()[0], signal.SIGKILL)
                    pool.wait_until(lambda: self.answers("exercises"), "jobs run on a new Redis")
                self.pool.redis.config_set("shutdown-on-sigterm", "save")
                self.pool.stop(signal.SIGQUIT)
                self.assertIn("dump.rdb", os.listdir(data))
                shutil.rmtree(data)

    def answers(self, queue):
        with contextlib.suppress(Exception):
            return self.client(queue).run("print(1)").verdict == "ok"

    def test_one_that_does_nothing_any_more(self):
        """Stopped, as in a loop of its own: it is killed and replaced."""
        self.serve()
        stopped = self.supervisor("competition")
        os.kill(stopped, signal.SIGSTOP)
        pool.wait_until(lambda: self.supervisor("competition") not in (None, stopped), "another has followed it")
        self.assertIn("pool competition has not answered for 30 s: it is killed and replaced", self.pool.read_log())
        pool.wait_until(lambda: self.workers("competition"), "its workers are there")
        self.assertEqual(self.client("competition").run("print(1)").verdict, "ok")

    def test_the_keeper_is_killed(self):
        """All go with it; the next one, in the same folder, finds what they have left."""
        server = self.enterContext(pool.RedisServer())
        self.serve(FAR, redis=server.address)
        self.assertEqual(self.servers(), [])
        job = self.client("exercises").begin("import time\nprint('begun', flush=True)\ntime.sleep(2)\n")
        before = list(pool.children_of(self.pool.process.pid))
        self.pool.process.kill()
        self.pool.process.wait()
        pool.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in before), "all are gone")
        self.pool.start()
        ended = self.client("exercises").wait(job)
        self.assertEqual((ended.verdict, ended.attempt), ("ok", b"2"), ended.result)

    def test_what_a_killed_keeper_left_of_a_pool_that_is_none_any_more(self):
        """is removed by whoever follows it, several pools or one, and nothing else that lies there."""
        server = self.enterContext(pool.RedisServer())
        self.serve(FAR, redis=server.address)
        runtime, other = self.pool.runtime, os.path.join(self.pool.runtime, "notes")
        os.mkdir(other, 0o700)
        for words, left in ((FAR[:FAR.index("[pool competition]")], {"exercises"}), ("[pool]\nworkers = 1\n", set())):
            before = list(pool.children_of(self.pool.process.pid))
            self.pool.process.kill()
            self.pool.process.wait()
            pool.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in before), "all are gone")
            self.write(words)
            self.pool.start()
            self.assertEqual({name for name in os.listdir(runtime) if os.path.isdir(os.path.join(runtime, name))}, left | {"notes"})
            self.assertEqual(os.listdir(other), [])
        os.rmdir(other)

    def test_ends(self):
        """SIGTERM lets jobs end, a second one does not, nor does SIGQUIT."""
        server = self.enterContext(pool.RedisServer())
        source = "import time\nprint('begun', flush=True)\ntime.sleep(3)\n"
        for signals, state in ([signal.SIGTERM], b"done"), ([signal.SIGTERM, signal.SIGTERM], b"queued"), \
                ([signal.SIGQUIT], b"queued"):
            with self.subTest(signals), contextlib.ExitStack() as stack:
                self.write(FAR)
                self.pool = stack.enter_context(pool.Pool(config=self.file, workers=None, queue=None, redis=server.address))
                jobs = {queue: self.client(queue).begin(source) for queue in ("exercises", "competition")}
                for i, number in enumerate(signals):
                    if i > 0:
                        pool.wait_until(lambda: "draining" in self.pool.read_log(), "it drains")
                    self.pool.process.send_signal(number)
                self.assertEqual(self.pool.process.wait(pool.PATIENCE), 0)
                for queue, job in jobs.items():
                    self.assertEqual(self.client(queue).job(job)["state"], state)
                    self.client(queue).cancel(job)

    def test_one_that_lets_jobs_end_goes_to_all(self):
        """However often, and also the one that a pool is mostly sent by its keeper: by that the port is given up meanwhile."""
        def is_served(port):
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        server = self.enterContext(pool.RedisServer())
        port = pool.free_port()
        for number in signal.SIGUSR1, signal.SIGUSR2:
            with self.subTest(number), contextlib.ExitStack() as stack:
                self.write(FAR + f"metrics = 127.0.0.1:{port}\n")
                self.pool = stack.enter_context(pool.Pool(config=self.file, workers=None, queue=None, redis=server.address))
                jobs = {queue: self.client(queue).begin() for queue in ("exercises", "competition")}
                for _ in range(2):
                    self.pool.process.send_signal(number)
                    pool.wait_until(lambda: self.pool.read_log().count("draining: running jobs may end, within 60 s") == 2, "both drain")
                pool.wait_until(lambda: is_served(port) == (number == signal.SIGUSR1), "the port is given up, or not")
                for queue, job in jobs.items():
                    self.client(queue).cancel(job)
                    self.assertEqual(self.client(queue).wait(job).verdict, "cancelled")
                self.assertEqual(self.pool.process.wait(pool.PATIENCE), 0)

    def test_each_has_its_own_time_to_end(self):
        """At the end of all, too: one that was taken out before, and one that keeps its time as it cannot do what is new."""
        server = self.enterContext(pool.RedisServer())
        rest = "[pool]\nworkers = 1\ndrain_s = 0\n[pool one]\nqueue = one\n"
        long = "import time\nprint('begun', flush=True)\ntime.sleep(16)\n"
        for after, said in (("", "pool two is not in the new configuration"),
                            ("[pool two]\nqueue = two\nhost_modules = nosuch\n", "no zygote starts with the new one")):
            with self.subTest(said), contextlib.ExitStack() as stack:
                self.write(rest + "[pool two]\nqueue = two\ndrain_s = 60\n")
                self.pool = stack.enter_context(pool.Pool(config=self.file, workers=None, queue=None, redis=server.address))
                job = self.client("two").begin(long)
                self.reload(rest + after, [said])
                self.assertEqual(self.pool.stop(), 0)
                self.assertEqual(self.client("two").job(job)["state"], b"done")

    def test_one_that_does_not_end_is_killed(self):
        """Beyond all times, and it is said."""
        self.serve(FILE.replace("drain_s = 60", "drain_s = 0"))
        os.kill(self.supervisor("competition"), signal.SIGSTOP)
        self.assertEqual(self.pool.stop(), 0)
        self.assertEqual(self.pool.read_log().count("pool competition has not ended in its time: it is killed"), 1)

    def test_under_load(self):
        """Pools come, change and go, all the time: no job is lost, and none has two results."""
        self.serve()
        sleep = pool.make_zip("import time\ntime.sleep(0.1)\n")
        jobs = [(queue, self.client(queue).enqueue(sleep)) for _ in range(60) for queue in ("exercises", "competition", "third")]
        for turn in range(4):
            seed = FILE.replace("hash_seed = 7", f"hash_seed = {turn}")
            self.reload(seed + THIRD, ["third/supervisor", "pool ready queue=third"])
            self.reload(seed.replace("workers = 2", f"workers = {3 + turn}"), ["pool third is not in the new configuration"])
            pool.wait_until(lambda: self.supervisor("third") is None, "the third one is over")
        self.reload(FILE + THIRD, ["third/supervisor"])
        for queue, job in jobs:
            ended = self.client(queue).wait(job)
            self.assertEqual((ended.verdict, ended.attempt), ("ok", b"1"), ended.result)

    def test_as_a_user(self):
        self.serve(user=pool.STRANGER)
        for queue in "exercises", "competition":
            self.assertEqual(self.client(queue).run("print(1)").verdict, "ok")

    def test_one_of_them_alone(self):
        self.serve(pool="competition")
        self.assertEqual(self.client("competition").run("print(1)").verdict, "ok")
        self.assertEqual((self.pool.processes("paddock-superv"), len(self.pool.relays())), ([], 2))

    def test_one_that_is_held(self):
        """It is up, and takes no job until it is let go; by any other word it ends."""
        for word in b"go\n", b"begin\n":
            with self.subTest(word), contextlib.ExitStack() as stack:
                server = stack.enter_context(pool.RedisServer())
                self.write(FAR)
                self.pool = stack.enter_context(pool.Pool(config=self.file, workers=None, queue=None, pool="competition", hold="",
                                                          redis=server.address))
                client = self.client("competition")
                job = client.enqueue(pool.make_zip("print(1)"))
                self.assertEqual(self.pool.ready.recv(6), b"alive\n")
                self.assertEqual(self.pool.sandboxes(), [])
                self.pool.ready.send(word)
                if word == b"go\n":
                    self.assertEqual(client.wait(job).verdict, "ok")
                else:
                    self.assertEqual(self.pool.process.wait(pool.PATIENCE), 0)
                    self.assertEqual(client.job(job)["state"], b"queued")

    def test_word_to_the_service_manager(self):
        path = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            said = []

            def listen():  # all the time: a socket holds ten words, and a start takes more signs of life than that
                while word := manager.recv(4096):
                    said.extend(word.decode().split("\n"))

            listener = threading.Thread(target=listen, daemon=True)
            listener.start()
            environment = {**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
            self.serve(born={"env": environment})
            pool.wait_until(lambda: "STATUS=serving 2 pools" in said and "WATCHDOG=1" in said, "it says that it serves")
            self.assertEqual(said.count("READY=1"), 1)
            self.reload(FILE, ["exercises/supervisor", "nothing has changed"])
            pool.wait_until(lambda: said.count("READY=1") == 2, "it says that this is over")
            self.write(FILE.replace("hash_seed = 7", "hash_seed = 8") + THIRD)
            self.pool.process.send_signal(signal.SIGHUP)
            pool.wait_until(lambda: said.count("READY=1") == 3, "it says that the next one is over, too")
            self.assertEqual([line for line in said if line.startswith("STATUS=")],
                             ["STATUS=serving 2 pools"] * 2 + ["STATUS=serving 3 pools"])
            log = self.pool.read_log()
            self.assertIn("reloaded: the new configuration is in force", log)  # by then
            self.assertIn("pool ready queue=third", log)
            self.pool.stop()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", path)
            listener.join(pool.PATIENCE)
            self.assertEqual(len([line for line in said if line.startswith("RELOADING=1")]), 2, said)
            self.assertEqual((said.count("READY=1"), said.count("STOPPING=1")), (3, 1), said)


class BadInput(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.file = os.path.join(self.folder, "f.conf")

    def start(self, words, *options):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(words)
        return subprocess.run([pool.program("paddock-supervisor"), "--config", self.file,
                               f"--runtime-dir={self.folder}/run", *options], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)

    def test_sentences(self):
        """One clear line, exit code 100, and nothing is started."""
        rows = [
            ("[pool a]\nqueue = {x}\n", "f.conf:2: queue = {x}: takes at most"),
            ("[pool a]\nworkers = 1\n[pool b]\nworkers = 0\n", "f.conf:4: workers = 0: takes a whole number from 1 to 256"),
            ("[pool a]\ndata_dir = /tmp\n", "f.conf:2: 'data_dir' is the whole file's: it belongs into section [pool]"),
            ("[pool a/b]\n", "f.conf:1: [pool a/b]: a pool has a name of at most 32 letters, digits, _ and -"),
            ("[pool a]\n[pool a]\n", "f.conf:2: section [pool a] is there twice"),
            ("[pool a]\n[pool pool]\n", "f.conf:2: [pool pool]: no pool can have this name, as a file has it"),
            ("[pool lock]\n", "f.conf:1: [pool lock]: no pool can have this name"),
            ("[pool scoreboard]\n", "f.conf:1: [pool scoreboard]: no pool can have this name"),
            ("[limits a]\n", "f.conf:1: there is no section [limits a]"),
            ("[pool a]\nmetrics = 127.0.0.1:9\n[pool b]\nmetrics = 127.0.0.1:9\n",
             "metrics = 127.0.0.1:9: the pools a and b cannot have the same one"),
            ("[pool a]\nmetrics = 127.0.0.1:9\n[pool b]\n[pool c]\nmetrics = 127.1:9\n",
             "metrics = 127.1:9: the pools a and c cannot have the same one, and 127.0.0.1:9 is the same"),
            ("[pool a]\nmetrics = 0.0.0.0:9\n[pool b]\nmetrics = 127.0.0.1:9\n",
             "metrics = 127.0.0.1:9: the pools a and b cannot have the same one, and 0.0.0.0:9 is the same, or takes it in"),
            ("[pool a]\nmetrics = 127.0.0.1:9\n[pool b]\nmetrics = [::]:9\n",
             "metrics = [::]:9: the pools a and b cannot have the same one, and 127.0.0.1:9 is the same, or takes it in"),
            ("[pool]\nowner = me\n[pool a]\n[pool b]\n", "owner = me: the pools a and b cannot have the same one"),
            ("[sandbox]\nuid_first = 4294836224\n[pool a]\n", "uid_first = 4294836224: with several pools it is at most"),
            ("[pool a]\nmax_workers = 1\nworkers = 2\n", "f.conf:2: max_workers (1) is less than workers (2)"),
            ("[pool]\nworkers = 3\n[pool a]\nmax_workers = 2\n", "pool a: {file}:4: max_workers (2) is less than workers (3)"),
            ("[redis]\nmaxmemory_mb = 64\n[pool a]\nredis = h:1\n[pool b]\nredis = h:2\n",
             "f.conf:2: maxmemory_mb is for a Redis that Paddock starts itself, and redis names another one"),
        ]
        for words, said in rows:
            for options in ((), ("--check-config",)):
                with self.subTest(said, options=options):
                    done = self.start(words, *options)
                    self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (100, "", 1), done.stderr)
                    self.assertIn(said.format(file=self.file) if "{file}" in said else said, done.stderr)
                    self.assertFalse(os.path.exists(f"{self.folder}/run"))

    def test_nobody_is_asked_for_names(self):
        """Who knows them may not answer, and all pools would wait: names are compared as they stand there."""
        if os.geteuid() != 0:
            self.skipTest("only root has a name server of his own")
        server = self.enterContext(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind(("127.0.53.53", 53))
        server.setblocking(False)
        with open(os.path.join(self.folder, "resolv.conf"), "w", encoding="ascii") as file:
            file.write("nameserver 127.0.53.53\noptions timeout:1 attempts:1\n")
        words = "".join(f"[pool {name}]\nqueue = {name}\nmetrics = {host}:9464\n" for name, host in
                        (("a", "one.internal"), ("b", "two.internal"), ("c", "127.0.0.1"), ("d", "{}")))
        for host, code, said in (("three.internal", 0, ""), ("One.internal", 100, "the pools a and d cannot have the same one"),
                                 ("[::]", 100, "the pools a and d cannot have the same one")):
            with self.subTest(host):
                with open(self.file, "w", encoding="utf-8") as file:
                    file.write(words.format(host))
                done = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"',
                                       f"{self.folder}/resolv.conf", pool.program("paddock-supervisor"), "--config", self.file,
                                       "--check-config"], capture_output=True, text=True, timeout=pool.PATIENCE)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(said, done.stderr)
                with self.assertRaises(BlockingIOError):
                    server.recv(512)

    def test_a_pool_that_is_none(self):
        done = self.start("[pool a]\n", "--pool=b")
        self.assertEqual(done.returncode, 100)
        self.assertIn("f.conf: there is no section [pool b]", done.stderr)
        done = subprocess.run([pool.program("paddock-supervisor"), "--pool=b"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (100, "paddock-supervisor: --pool goes with --config\n"))

    def test_one_that_cannot_start_ends_all(self):
        """One error, which names the pool and what it lacks; and no other pool has taken a job."""
        server = self.enterContext(pool.RedisServer())
        client = pool.Client(pool.connect(server.address), "a")
        subprocess.run([PADDOCK, "submit", "--redis", server.address, "--queue", "a", "--id", "waiting", "-"], input="print(1)",
                       text=True, check=True, capture_output=True)
        taken = self.enterContext(socket.socket())
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for words, said in ((f"metrics = 127.0.0.1:{port}", rf"b/supervisor\[\d+\] metrics 127.0.0.1:{port}: Address already in use"),
                            (f"redis = unix:{self.folder}/none", rf"b/relay-0\[\d+\] unable to use Redis: .* at unix:{self.folder}/none: "),
                            ("host_modules = nosuch", r"b/zygote\[\d+\] unable to load the host module nosuch: ")):
            with self.subTest(words):
                done = self.start(f"[pool]\nworkers = 1\nredis = {server.address}\n[pool a]\nqueue = a\n[pool b]\nqueue = b\n{words}\n")
                self.assertEqual((done.returncode, done.stdout), (100, ""), done.stderr)
                self.assertEqual(client.job("waiting")["state"], b"queued", done.stderr)
                errors = [line for line in done.stderr.splitlines() if line.startswith("error ")]
                self.assertEqual(len(errors), 1, done.stderr)
                self.assertRegex(errors[0], said)
                self.assertIn("pool b did not start", done.stderr)
                self.assertFalse(os.path.exists(f"{self.folder}/run"))

    def test_what_it_adds_up_to(self):
        done = self.start("[pool]\nworkers = 3\n[limits]\nmax_memory_mb = 92\n[pool a]\n[pool b]\nmax_workers = 5\n"
                          "[redis]\nmaxmemory_mb = 50\n", "--check-config")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "the configuration is good")
        self.assertIn("  pool a: 3 workers x (92 MB of a job + 8 MB) + 100 MB of zygotes = 400 MB", lines)
        self.assertIn("  pool b: 5 workers x (92 MB of a job + 8 MB) + 100 MB of zygotes = 600 MB", lines)
        self.assertTrue(lines[4].startswith("  together + 50 MB of Redis = 1050 MB;"), lines)
        done = self.start("[pool]\nworkers = 3\n[limits]\nmax_memory_mb = 92\n[pool a]\n[pool b]\nredis = 127.0.0.1:1\n[redis]\nmaxmemory_mb = 50\n", "--check-config")
        self.assertIn("  together + 50 MB of Redis = 850 MB, and what another Redis may have where that runs here;", done.stdout)
