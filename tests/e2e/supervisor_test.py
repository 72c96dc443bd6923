# SPDX-License-Identifier: MIT
"""The supervisor: configuration, restarts, drain and stop, and what it leaves behind: nothing."""

import contextlib
import errno
import glob
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

import pool

SUPERVISOR = pool.program("paddock-supervisor")


# What is said of the ways to run.
FULL = "namespaces, 65536 ids"
SINGLE = "namespaces, one id: sandboxes are kept apart by seccomp alone"
ROOT = "no namespaces, ids of its own for each sandbox"
NONE = "no namespaces and one id: seccomp, Landlock and limits alone"


def supervisor(*words, **options):
    return subprocess.run([SUPERVISOR, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=pool.PATIENCE, **options)


class Hurried(pool.Pool):
    """One that is told to reload as soon as its Redis has been started."""

    def launch(self, command, **options):
        process = super().launch(command, **options)

        def reload():
            pool.wait_until(lambda: any("redis" in name for name in pool.children_of(process.pid).values()), "it is started")
            process.send_signal(signal.SIGHUP)

        threading.Thread(target=reload).start()
        return process


class Configuration(unittest.TestCase):
    def check_file(self, text, sentence):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(text)
            file.flush()
            self.assertEqual(supervisor("--config", file.name, "--check-config").returncode, 100)
            done = supervisor("--config", file.name)
            self.assertEqual(done.returncode, 100, done)
            self.assertIn(f"{file.name}:{sentence}", done.stderr)

    def test_two_tasks(self):
        for words in ("--check-config", "--check-sandbox"), ("--check-sandbox", "--print-config"):
            done = supervisor(*words)
            self.assertEqual((done.returncode, done.stdout), (100, ""))
            self.assertIn(f"{words[1]} beside {words[0]}: one of these at a time", done.stderr)

    def test_bad_files(self):
        self.check_file("[pool]\nworkers = many\n", "2: workers = many: takes a whole number from 1 to 256")
        self.check_file("[pool]\nworker = 1\n", "2: there is no option 'worker'; did you mean 'workers'?")
        self.check_file("[pond]\n", "1: there is no section [pond]")
        self.check_file("workers = 1\n", "1: 'workers' belongs into section [pool]")
        self.check_file("[pool]\nworkers\n", "2: expected NAME = VALUE")
        self.check_file("[pool]\nworkers = 1\nworkers = 2\n", "3: 'workers' is set twice")
        self.check_file("[pool]\nworkers = 4\nmax_workers = 2\n", "3: max_workers (2) is less than workers (4)")
        self.check_file("[pool]\nworkers = 4\nredis = h:1\n[redis]\nmaxmemory_mb = 64\n",
                        "5: maxmemory_mb is for a Redis that Paddock starts itself, and redis names another one")
        self.check_file("[pool]\nredis_web = redis://me:secret@h:1\n", "2: redis_web is for the Redis that redis names, and that is empty")
        self.check_file("[pool]\ndata_dir = /tmp\nredis = h:1\n", "2: data_dir is for a Redis that Paddock starts itself, and redis names another one")
        self.check_file("[sandbox]\nisolation = some\n", "2: isolation = some: takes one of: auto range single none")
        self.check_file("[pool]\nmetrics = 9464\n", "2: metrics 9464: takes HOST:PORT, for example 127.0.0.1:9464")

        self.check_file("[pool]\nworkers = 1\0\nworkers = 0\n", "2: a NUL byte has no place in this file")
        self.check_file("[pool]\nredis = http://:secret@x\n", "2: redis: takes unix:/PATH, HOST:PORT or")
        self.check_file("[pool]\nqueue = {x}\n", "2: queue = {x}: takes at most 8 different names of at most 64 letters, digits and _.-, each with or without a weight")
        self.check_file("[pool]\nruntime_dir = x\n", "2: runtime_dir = x: takes an absolute path")
        self.check_file("[pool]\n\ndata_dir = /dev/null/x\n", "3: data_dir = /dev/null/x: takes the absolute path of a folder")
        self.check_file("[sandbox]\nlibrary = /dev/null/x\n", "2: library = /dev/null/x: takes the absolute path of a file")

    def test_a_check_finds_what_would_not_start(self):
        """as far as it can be seen without starting: in the same words, and nothing is made."""
        with tempfile.TemporaryDirectory() as folder:
            file, open_to_all = f"{folder}/f.conf", f"{folder}/open"
            os.mkdir(open_to_all)
            os.chmod(open_to_all, 0o755)
            for words, said in ((f"[pool]\nruntime_dir = {folder}/none/x", f"unable to make runtime_dir {folder}/none/x: No such file"),
                                (f"[pool]\nruntime_dir = {file}/x", f"unable to make runtime_dir {file}/x: Not a directory"),
                                (f"[pool]\nruntime_dir = {file}", f"runtime_dir {file} must be a folder of yours"),
                                (f"[pool]\nruntime_dir = {open_to_all}", f"runtime_dir {open_to_all} must be a folder of yours"),
                                (f"[pool]\nruntime_dir = {folder}/{'x' * 100}", f"{file}:2: runtime_dir = {folder}/{'x' * 100}: its sockets")):
                with open(file, "w", encoding="utf-8") as config:
                    config.write(words)
                for options in ["--check-config"], []:
                    with self.subTest(said, options=options):
                        done = supervisor("--config", file, *options)
                        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (100, "", 1), done.stderr)
                        self.assertIn(said, done.stderr)
            self.assertEqual((sorted(os.listdir(folder)), os.listdir(open_to_all)), (["f.conf", "open"], []))
            for words in "[sandbox]\nlibrary = /etc/passwd\n", "[pool a]\n[pool b]\nlibrary = /etc/passwd\n":
                with open(file, "w", encoding="utf-8") as config:
                    config.write(f"[pool]\nruntime_dir = {folder}/run\n" + words)
                done = supervisor("--config", file, "--check-config")
                self.assertEqual((done.returncode, done.stderr), (100, "paddock-supervisor: library = /etc/passwd: it is no library of "
                                                                       "Python: paddock-library makes one\n"))

    def test_users_of_a_redis_that_one_of_several_pools_does_not_have(self):
        """Its commands would go to the Redis of others. (Of one pool: test_bad_files.)"""
        shared = "[pool]\nredis_web = h:1\n"
        for words, said in ((shared + "[pool x]\nredis = h:1\n[pool y]\nqueue = y\n", "pool y: {}:2: redis_web is for"),
                            (shared + "redis = h:1\n[pool x]\n[pool y]\nredis =\n", "pool y: {}:2: redis_web is for"),
                            ("[pool x]\nredis_operator = h:1\n[pool y]\nredis = h:1\n", "pool x: {}:2: redis_operator is for"),
                            ("[pool x]\n[pool y]\nredis_web = h:1\n", "pool y: {}:3: redis_web is for"),
                            (shared + "[pool x]\nredis = h:1\n[pool y]\nredis = h:2\n", None),
                            (shared + "[pool x]\nredis = h:1\n[pool y]\nredis_web =\n", None)):
            with self.subTest(words), tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
                file.write(words)
                file.flush()
                done = supervisor("--config", file.name, "--check-config")
                said = said and f"{said.format(file.name)} the Redis that redis names, and that is empty\n"
                self.assertEqual((done.returncode, done.stderr), (100, f"paddock-supervisor: {said}") if said else (0, ""))
                if said:
                    self.assertIn(said, supervisor("--config", file.name).stderr)

    def test_what_a_bad_file_holds_is_seen(self):
        """and does nothing to a terminal."""
        for bad, seen in ((b"queue = \x1b[31m", "queue = \\x1b[31m: takes"), (b"queue = a\xe2\x80\xaeb", "queue = a\\xe2\\x80\\xaeb: takes"),
                          (b"queue = \xff", "queue = \\xff: takes"), (b"[p\x07]", "there is no section [p\\x07]")):
            with self.subTest(seen), tempfile.NamedTemporaryFile("wb", suffix=".conf") as file:
                file.write(b"[pool]\n" + bad + b"\n")
                file.flush()
                for words in ["--check-config"], []:
                    done = subprocess.run([SUPERVISOR, "--config", file.name, *words], capture_output=True, stdin=subprocess.DEVNULL,
                                          timeout=pool.PATIENCE)
                    self.assertEqual(done.returncode, 100)
                    self.assertIn(f"{file.name}:2: {seen}".encode(), done.stderr)

    def test_bad_options(self):
        """The command line is configuration, as the file is."""
        for words, sentence in (
                (["--zork=1"], "there is no option 'zork'"), (["--zork"], "there is no option 'zork'"), (["--workers"], "--workers needs a value"),
                (["--config"], "--config needs a value"), (["run"], "is no option"), (["--ready-fd", "x"], "a bad value"),
                (["--workers", "0"], "takes a whole number"), (["--queue", "{x}"], "queue = {x}: takes at most 8 different names"),
                (["--runtime-dir", "x"], "takes an absolute path"), (["--pool", "x"], "--pool goes with --config"),
                (["--hold"], "--hold goes with --pool and --ready-fd"),
                (["--check-config=no"], "--check-config takes no value"), (["--version="], "--version takes no value"),
                (["--config-fd", "0"], "--config-fd goes with --config and --ready-fd"), (["--json"], "--json goes with --check-sandbox"),
                (["--workers", "4", "--max-workers", "2"], "max_workers (2) is less than workers (4)"),
                (["--data-dir", "/dev/null/x"], "data_dir = /dev/null/x: takes the absolute path of a folder"),
                (["--redis", "http://:secret@x"], "--redis: redis: takes unix:/PATH"),
                (["--pool", "x" * 6000], "--pool: a bad value: xxx"), (["x" * 6000], "xxx...' is no option; see --help"),
                (["--workers", "1" * 6000], "111...: takes a whole number"), (["--config", "x" * 6000], "xxx...: File name too long")):
            with self.subTest(words):
                done = supervisor(*words)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (100, 1))
                self.assertIn(sentence, done.stderr)
                self.assertNotIn("secret", done.stderr)

    def test_an_option_of_the_command_line_over_the_file_s(self):
        """What is said of both names the line that is still in force."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("[pool]\nworkers = 4\nmax_workers = 8\n")
            file.flush()
            for words, said in ((["--max-workers=2"], f"{file.name}:2: max_workers (2) is less than workers (4)"),
                                (["--workers=9"], f"{file.name}:3: max_workers (8) is less than workers (9)"),
                                (["--workers=9", "--max-workers=2"], "paddock-supervisor: max_workers (2) is less than workers (9)"),
                                (["--redis=h:1", "--data-dir=/tmp"], "paddock-supervisor: data_dir is for a Redis that Paddock starts itself")):
                done = supervisor("--config", file.name, *words)
                self.assertEqual(done.returncode, 100, done)
                self.assertIn(said, done.stderr)

    def test_no_file(self):
        done = supervisor("--config", "/nowhere.conf")
        self.assertEqual(done.returncode, 100)
        self.assertIn("/nowhere.conf: No such file", done.stderr)

    def test_what_is_no_regular_file(self):
        """A pipe would be empty when it is read again, and a FIFO has nobody who writes."""
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            ours, theirs = os.pipe()
            os.write(theirs, b"[pool]\nworkers = 3\n")
            os.close(theirs)
            os.mkfifo(folder + "/fifo")
            listener.bind(folder + "/socket")
            for path in f"/dev/fd/{ours}", folder + "/fifo", folder + "/socket", folder:
                for words in (["--check-config"], []):
                    with self.subTest(path, words=words):
                        done = supervisor("--config", path, *words, pass_fds=[ours])
                        self.assertEqual((done.returncode, done.stdout, done.stderr), (
                            100, "", f"paddock-supervisor: {path}: is no regular file, and it is read more than once\n"))
            os.close(ours)

    def test_a_file_that_gets_pools_of_its_own(self):
        """As the other way round, that takes a restart: what is said outside of their sections is not in force alone."""
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/paddock.conf"
            os.chmod(folder, 0o755)
            with open(path, "w", encoding="ascii") as file:
                file.write("[pool]\nworkers = 1\n")
            served = self.enterContext(pool.Pool(config=path, workers=None, queue=None))
            with open(path, "a", encoding="ascii") as file:
                file.write("[limits]\n[pool a]\nworkers = 2\n")
            served.process.send_signal(signal.SIGHUP)
            pool.wait_until(lambda: "the configuration stays as it was: it has [pool a] now, which takes a restart"
                            in served.read_log(), "it is said")
            self.assertEqual(len(served.relays()), 1)

    def test_a_file_that_becomes_a_fifo(self):
        """The configuration stays, and the supervisor goes on to do as it is told."""
        for words in "[pool]\nworkers = 1\n", "[pool]\nworkers = 1\n[pool a]\n":
            with self.subTest(words), tempfile.TemporaryDirectory() as folder:
                path = folder + "/paddock.conf"
                with open(path, "w", encoding="ascii") as file:
                    file.write(words)
                os.chmod(folder, 0o755)
                with pool.Pool(config=path, workers=None, queue=None) as served:
                    os.unlink(path)
                    os.mkfifo(path)
                    served.process.send_signal(signal.SIGHUP)
                    pool.wait_until(lambda: "the configuration stays as it was: " in served.read_log(), "it is said")
                    self.assertIn(f"{path}: is no regular file", served.read_log())
                    served.process.send_signal(signal.SIGTERM)
                    self.assertEqual(served.process.wait(pool.PATIENCE), 0)

    def test_data_dir_that_will_not_do(self):
        """What the private redis-server says of it is said."""
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(folder + "/data")
            with open(folder + "/data/appendonlydir", "w"):  # where Redis makes a folder
                pass
            done = supervisor("--runtime-dir", folder + "/run", "--data-dir", folder + "/data")
            self.assertEqual(done.returncode, 100)
            self.assertIn(f"the private redis-server, with data_dir = {folder}/data, ended at once: ", done.stderr)
            self.assertIn("appendonlydir", done.stderr)
            self.assertEqual(os.listdir(folder), ["data"])

    def test_data_dir_that_cannot_be_locked(self):
        """No Redis is started, as another one could be there already."""
        with tempfile.TemporaryDirectory() as folder:
            data = folder + "/data" + ("/" + "x" * 200) * 6
            os.makedirs(data)
            os.symlink("elsewhere", data + "/paddock.lock")
            done = supervisor("--runtime-dir", folder + "/run", "--data-dir", data)
            self.assertEqual(done.returncode, 100)
            self.assertIn(f"unable to make {data}/paddock.lock: {os.strerror(errno.ELOOP)}\n", done.stderr)
            self.assertEqual((os.listdir(folder), os.listdir(data)), (["data"], ["paddock.lock"]))

    def test_sample_is_good(self):
        sample = supervisor("--print-config").stdout
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(sample)
            file.flush()
            self.assertEqual(supervisor("--config", file.name, "--check-config").returncode, 0)

    def test_memory_is_added_up(self):
        done = supervisor("--check-config", "--workers=2", "--max-workers=3", "--max-memory-mb=100", "--maxmemory-mb=64")
        self.assertIn("3 workers x (100 MB of a job + 8 MB) + 100 MB of zygotes + 64 MB of Redis = 488 MB", done.stdout)
        done = supervisor("--check-config", "--workers=256", "--max-memory-mb=65536")
        self.assertIn("that is more than there is", done.stdout)

    def test_folder_of_somebody_else(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            done = supervisor("--runtime-dir", folder)
            self.assertEqual(done.returncode, 100)
            self.assertIn("that nobody else can enter", done.stderr)


class Life(unittest.TestCase):
    def test_second_supervisor_is_refused(self):
        with pool.Pool(workers=1) as p:
            done = supervisor("--runtime-dir", p.runtime)
            self.assertEqual(done.returncode, 100)
            self.assertIn(f"another supervisor (process {p.process.pid}) runs in {p.runtime}", done.stderr)
            self.assertEqual(p.client.run("print(1)").verdict, "ok")

    def test_a_second_one_on_the_same_data(self):
        """Two Redis would write one file. When the first one is gone, by force too, the next one may."""
        with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as other:
            with pool.Pool(workers=1, data_dir=data) as p:
                done = supervisor("--runtime-dir", other + "/run", "--data-dir", data, "--workers=1")
                self.assertEqual((done.returncode, os.listdir(other)), (100, []), done.stderr)
                self.assertIn(f"data_dir = {data}: the Redis of another supervisor keeps its queue there\n", done.stderr)
                self.assertEqual(p.client.run("print(1)").verdict, "ok")
                p.process.kill()
                p.process.wait()
                p.start()
                self.assertEqual(p.client.run("print(1)").verdict, "ok")

    def test_a_data_dir_of_any_name(self):
        """It is that folder, also where its name has what means something in a file of Redis's."""
        with tempfile.TemporaryDirectory() as folder:
            for name in "d\\x", 'd"x', "d 'x":
                with self.subTest(name):
                    data = os.path.join(folder, name)
                    os.mkdir(data)
                    with pool.Pool(workers=1, data_dir=data) as p:
                        self.assertEqual(p.client.run("print(1)").verdict, "ok")
                    self.assertIn("appendonlydir", os.listdir(data))

    def test_a_redis_that_does_not_come_up_again(self):
        """Why it does not is said, in its own words."""
        with tempfile.TemporaryDirectory() as data, pool.Pool(workers=1, data_dir=data) as p:
            self.assertEqual(p.client.run("print(1)").verdict, "ok")
            file, = glob.glob(data + "/appendonlydir/*.incr.aof")
            with open(file, "a") as file:
                file.write("garbage\n")
            os.kill(p.processes("redis")[0], signal.SIGKILL)
            pool.wait_until(lambda: "the private redis-server ended: Bad file format reading the append only file" in p.read_log(), "it is said")

    def test_every_process_is_replaced(self):
        with tempfile.TemporaryDirectory() as data, pool.Pool(workers=2, data_dir=data) as p:
            for command in ("paddock-relay", "paddock-zygote", "redis"):
                victim = p.processes(command)[0]
                os.kill(victim, signal.SIGKILL)
                pool.wait_until(lambda: victim not in p.processes(command) and p.processes(command),
                                f"{command} is replaced")
                pool.wait_until(self.answers(p), "redis answers")
                self.assertEqual(p.client.run("print(1)").verdict, "ok")

    def test_sandboxes_that_cannot_be_tested_for_a_while(self):
        """Nothing runs until they can be; the pool goes on. Without a place for its signal, no timer ends a program."""
        with pool.Pool(workers=1) as p:
            supervisor, signals = p.process.pid, resource.RLIMIT_SIGPENDING
            before = resource.prlimit(supervisor, signals)
            resource.prlimit(supervisor, signals, (0, before[1]))
            os.kill(p.zygote(), signal.SIGKILL)
            pool.wait_until(lambda: not p.sandboxes(), "the sandbox that waited is gone")
            job = p.client.enqueue(pool.make_zip("print(1)"))
            pool.wait_until(lambda: p.read_log().count("unable to test its sandboxes") >= 2 or p.process.poll() is not None,
                            "it is tried again")
            self.assertIsNone(p.process.poll(), p.read_log())
            self.assertEqual(p.client.job(job)["state"], b"queued")
            resource.prlimit(supervisor, signals, before)
            self.assertEqual(p.client.wait(job).verdict, "ok")

    @staticmethod
    def answers(p):
        def ask():
            try:
                return p.redis.ping()
            except Exception:
                return False
        return ask

    def test_own_redis_only_where_none_is_configured(self):
        with pool.Pool(workers=1) as first:
            self.assertEqual(len(first.processes("redis")), 1)
            address = f"unix:{first.runtime}/redis.sock"
            with pool.Pool(workers=1, queue="other", redis=address) as second:
                self.assertEqual(second.processes("redis"), [])
                self.assertEqual(second.client.run("print(1)").verdict, "ok")

    def test_a_reload_while_redis_loads_its_data(self):
        with tempfile.TemporaryDirectory() as data:
            server = pool.RedisServer("--dir", data, "--appendonly", "yes", "--aof-use-rdb-preamble", "no")
            with server:
                for _ in range(10):
                    pipe = server.connect().pipeline(transaction=False)
                    for i in range(20000):
                        pipe.set(f"other:{i}", "x" * 20)
                    pipe.execute()
                server.stop()
            config = os.path.join(data, "paddock.conf")
            with open(config, "w", encoding="utf-8"):
                pass
            with Hurried(workers=1, data_dir=data, config=config) as p:
                pool.wait_until(lambda: "reloaded: nothing has changed" in p.read_log(), "it is reloaded")
                self.assertEqual(p.client.run("print(1)").verdict, "ok")

    def test_the_service_manager_is_told(self):
        """What systemd hears of Type=notify and WatchdogSec=; no child of ours inherits its socket."""
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            path = os.path.join(folder, "notify")
            manager.bind(path)
            manager.settimeout(pool.PATIENCE)

            def heard(line):
                while True:
                    words = manager.recv(4096).decode().split("\n")
                    if line in words:
                        return words

            environment = {**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others, contextlib.suppress(BlockingIOError):
                others.setblocking(False)  # a manager who has much to hear does not miss it
                while True:
                    others.sendto(b"OTHERS=1", path)
            with pool.Pool(workers=1, drain_s=600, born={"env": environment}) as p:
                self.assertIn("STATUS=serving queue test with 1 workers", heard("READY=1"))
                for _ in range(3):
                    heard("WATCHDOG=1")
                with open(f"/proc/{p.zygote()}/environ", "rb") as file:
                    self.assertNotIn(b"NOTIFY", file.read())
                p.process.send_signal(signal.SIGHUP)
                heard("RELOADING=1")
                heard("READY=1")
                p.process.send_signal(signal.SIGTERM)
                self.assertIn("EXTEND_TIMEOUT_USEC=630000000", heard("STOPPING=1"))

    def test_drain_lets_a_job_end(self):
        with pool.Pool(workers=1) as p:
            slow = p.client.enqueue(pool.make_zip("import time\ntime.sleep(1)\nprint('done')\n"))
            later = p.client.enqueue(pool.make_zip("print('later')"))
            pool.wait_until(lambda: p.client.job(slow).get("state") == b"running", "it runs")
            states = []
            p.process.send_signal(signal.SIGTERM)
            for entry in p.client.entries(slow):
                states.append(entry[b"k"])
            self.assertEqual(states[-1], b"result")
            try:
                self.assertEqual(p.client.job(later).get("state", b"queued"), b"queued")
            except Exception:
                pass  # Redis has ended as well by now
            p.process.wait(pool.PATIENCE)
            self.assertEqual(p.process.returncode, 0)

    def test_drain_gives_back_what_does_not_end(self):
        """At once, without a fault on its account, for another pool to run it."""
        with pool.RedisServer() as server:
            client = pool.Client(server.connect(), "test")
            with pool.Pool(workers=1, redis=server.address, drain_s=0):
                job = client.enqueue(pool.make_zip("while True: pass"), cpu_ms=60000, wall_ms=300000)
                pool.wait_until(lambda: client.job(job).get("state") == b"running", "it runs")
            fields = client.job(job)
            self.assertEqual((fields["state"], fields["attempt"], fields["lost"]), (b"queued", b"1", b"0"))

    def test_second_signal_stops(self):
        with pool.Pool(workers=1, drain_s=600) as p:
            job = p.client.enqueue(pool.make_zip("while True: pass"), cpu_ms=60000, wall_ms=300000)
            pool.wait_until(lambda: p.client.job(job).get("state") == b"running", "it runs")
            sandboxes = p.sandboxes()
            p.process.send_signal(signal.SIGTERM)
            pool.wait_until(lambda: "draining" in p.read_log(), "it drains")
            self.assertIsNone(p.process.poll())
            p.process.send_signal(signal.SIGTERM)
            p.process.wait(pool.PATIENCE)
            self.assertEqual([s for s in sandboxes if os.path.exists(f"/proc/{s}")], [])

    def test_starter_that_goes_away_stops_it(self):
        with pool.Pool(workers=1) as p:
            p.ready.close()
            p.process.wait(pool.PATIENCE)

    def test_signal_at_the_start(self):
        """However early it comes, all that is there ends without a complaint."""
        for options in ([], ["--redis", "unix:/nowhere/redis.sock"]):
            with self.subTest(options), tempfile.TemporaryDirectory() as folder:
                begun = subprocess.Popen([SUPERVISOR, "--runtime-dir", folder + "/run", *options],
                                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                pool.wait_until(lambda: "paddock-zygote" in pool.children_of(begun.pid).values(), "a zygote")
                begun.send_signal(signal.SIGTERM)
                _, said = begun.communicate(timeout=pool.PATIENCE)
                self.assertEqual((begun.returncode, os.listdir(folder)), (0, []))
                self.assertNotIn("error ", said)


def groups_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return re.search(r"^Groups:(.*)$", file.read(), re.M)[1].split()


class Ways(unittest.TestCase):
    """As root with namespaces is what all other tests do; here are all ways, and what is said of each."""

    def check_pool(self, said, **options):
        with pool.Pool(workers=2, **options) as p:
            self.assertIn("isolation: " + said, p.read_log())
            self.assertEqual("warning supervisor" in p.read_log(), said != FULL)
            self.assertEqual(p.client.run("print(1)").verdict, "ok")
            self.assertEqual(p.client.run("open('/etc/passwd')").verdict, "exception")
            self.assertEqual(p.client.run("import os\nos.kill(-1, 9)").verdict, "exception")
            self.assertEqual(p.client.run("while True: pass", cpu_ms=100).verdict, "cpu_limit")
            if os.geteuid() == 0:
                own = {os.readlink(f"/proc/{pid}/ns/user") for pid in [os.getpid(), p.zygote(), *p.sandboxes()]}
                self.assertEqual(len(own), 2 if said in (FULL, SINGLE) else 1, own)

    def test_one_id(self):
        self.check_pool(SINGLE, isolation="single")

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root(self):
        self.check_pool(FULL)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root_without_namespaces(self):
        self.check_pool(ROOT, isolation="none")
        self.check_pool(ROOT, born={"preexec_fn": pool.refuse_namespaces})

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become somebody else")
    def test_ordinary_user(self):
        self.check_pool(SINGLE, user=pool.STRANGER)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become somebody else")
    def test_ordinary_user_without_namespaces(self):
        self.check_pool(NONE, user=pool.STRANGER, born={"preexec_fn": pool.refuse_namespaces})

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become somebody else")
    def test_namespaces_that_are_good_for_nothing(self):
        """Ubuntu lets everybody make them, and refuses to mount in them: they are not taken, and it is said why."""
        for user, way in ((None, ROOT), (pool.STRANGER, NONE)):
            with self.subTest(user=user):
                self.check_pool(way + ": unable to enter an empty root: Operation not permitted", user=user,
                                born={"preexec_fn": lambda: pool.lie("mount", None, False, errno.EPERM)})

    def test_not_granted(self):
        """A way that was asked for and is not granted is not replaced by a weaker one."""
        done = supervisor("--isolation", "single", "--check-sandbox", preexec_fn=pool.refuse_namespaces)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("unable to start zygote 0: unable to make a process: Operation not permitted", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become somebody else")
    def test_ids_that_only_root_can_map(self):
        """is wrong configuration, and nothing is left of it."""
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            pool.copy_programs(os.path.join(folder, "bin"))
            for more in ((), ("--check-sandbox",)):
                done = subprocess.run([os.path.join(folder, "bin", "paddock-supervisor"), f"--runtime-dir={folder}/run", "--isolation=range", *more],
                                      capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=pool.PATIENCE, user=pool.STRANGER,
                                      group=pool.STRANGER, extra_groups=[])
                self.assertEqual(done.returncode, 100, done)
                self.assertIn("isolation = range: only root can map 65,536 ids\n", done.stderr)
                self.assertFalse(os.path.exists(f"{folder}/run"))

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to have groups")
    def test_no_groups(self):
        for isolation in ("range", "single", "none"):
            with self.subTest(isolation), pool.Pool(workers=1, isolation=isolation,
                                                    born={"extra_groups": [0, 4, 27, 46]}) as p:
                self.assertEqual(groups_of(p.process.pid), ["0", "4", "27", "46"])
                sandbox, = pool.wait_until(p.sandboxes, "a sandbox waits")
                self.assertEqual([groups_of(p.zygote()), groups_of(sandbox)], [[], []])


if __name__ == "__main__":
    unittest.main()
