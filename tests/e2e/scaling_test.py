# SPDX-License-Identifier: MIT
"""How many workers a pool has: as many as its work asks for, within what is configured; and a configuration that is read again
while jobs run."""

import os
import shutil
import signal
import socket
import tempfile
import threading
import unittest

import configured
import pool

SLEEP = pool.make_zip("import time\ntime.sleep(3)\n")


class Scaling(unittest.TestCase):
    def count(self, number, what):
        pool.wait_until(lambda: len(self.pool.relays()) == number, f"{number} workers {what}")

    def wait_for_slice(self, job, attempt):
        self.assertIn((b"slice", attempt), ((entry[b"k"], entry[b"a"]) for entry in self.client.entries(job)))

    def check(self, jobs):
        ended = [self.client.wait(job) for job in jobs]
        self.assertEqual({(job.verdict, job.attempt) for job in ended}, {("ok", b"1")})
        self.assertEqual(pool.keys_without_expiry(self.client), [])

    def test_by_load(self):
        with pool.Pool(workers=2, max_workers=16, scale_up_ms=100, scale_down_s=1, spare_memory_mb=0) as self.pool:
            self.client = self.pool.client
            self.count(2, "at the start")
            jobs = [self.client.enqueue(SLEEP) for _ in range(60)]
            self.count(16, "while jobs wait")
            self.check(jobs)
            self.count(2, "when nothing is to be done")
            self.check([self.client.enqueue(pool.make_zip("print(1)")) for _ in range(20)])

    def test_a_paused_queue(self):
        """Its jobs could not begin, however many workers there were."""
        with pool.Pool(workers=1, max_workers=4, scale_up_ms=100, scale_down_s=1, spare_memory_mb=0) as self.pool:
            self.client = self.pool.client
            jobs = [self.client.enqueue(SLEEP) for _ in range(12)]
            self.count(4, "while jobs wait")
            self.client.redis.execute_command("FCALL", "paddock_pause", 1, self.client.key("open"))
            self.count(1, "while those that wait could not begin")
            self.client.redis.execute_command("FCALL", "paddock_resume", 1, self.client.key("open"))
            self.check(jobs)

    def test_a_job_that_was_put_off(self):
        """All workers have a job when it is due: from then on it could run. So could one that rests after it was lost."""
        with pool.Pool(workers=1, max_workers=2, scale_up_ms=100, spare_memory_mb=0) as self.pool:
            self.client = self.pool.client
            lost = self.client.begin()
            for attempt in b"1", b"2":
                self.wait_for_slice(lost, attempt)
                os.kill(self.pool.sandboxes()[0], signal.SIGKILL)
            pool.wait_until(lambda: self.client.job(lost)["lost"] == b"2", "it rests")
            long = self.client.begin()
            self.wait_for_slice(lost, b"3")
            self.client.cancel(lost)
            self.assertEqual(self.client.run("print(1)", delay_ms=1000).verdict, "ok")
            self.assertEqual(self.client.job(long)["state"], b"running")
            for job in lost, long:
                self.client.cancel(job)
                self.assertEqual(self.client.wait(job).verdict, "cancelled")

    def test_a_worker_that_is_lost_on_its_way_out(self):
        """Killed with its last job: that is its successor's to give back, and is run."""
        with pool.Pool(workers=1, max_workers=2, scale_up_ms=100, scale_down_s=1, spare_memory_mb=0) as self.pool:
            self.client = self.pool.client
            jobs = [self.client.enqueue(pool.make_zip("import time\ntime.sleep(6)\n")) for _ in range(2)]
            self.count(2, "while jobs wait")
            pool.wait_until(lambda: [self.client.job(job)["state"] for job in jobs] == [b"running"] * 2, "both run")
            os.kill(self.pool.relays()[-1], signal.SIGKILL)
            self.assertEqual({self.client.wait(job).verdict for job in jobs}, {"ok"})
            self.count(1, "when nothing is to be done")

    def test_scarce_memory(self):
        with pool.Pool(workers=1, max_workers=4, scale_up_ms=100, spare_memory_mb=1048576) as self.pool:
            self.client = self.pool.client
            self.check([self.client.enqueue(pool.make_zip("import time\ntime.sleep(0.5)\n")) for _ in range(6)])
            self.assertNotIn("workers=2", self.pool.read_log())


class Reloaded(configured.Configured):
    def keep_busy(self, seconds, every):
        """Enqueues until it is stopped. Returns how to stop it, which returns the jobs."""
        ended, jobs, data = threading.Event(), [], pool.make_zip(f"import time\ntime.sleep({seconds})\n")

        def enqueue():
            while not ended.wait(every):
                jobs.append(self.client.enqueue(data))

        thread = threading.Thread(target=enqueue)
        thread.start()
        self.addCleanup(ended.set)

        def stop():
            pool.wait_until(lambda: len(jobs) > 20, "there was something to do")
            ended.set()
            thread.join()
            return jobs
        return stop

    def check(self, jobs):
        """Some may have been given back before they began, by a worker on its way out: there is no slice of that attempt."""
        ended = [self.client.wait(job) for job in jobs]
        self.assertEqual({job.verdict for job in ended}, {"ok"})
        self.assertEqual({len({entry[b"a"] for entry in job.entries if entry[b"k"] == b"slice"}) for job in ended}, {1})
        self.assertEqual({self.client.job(job).get("lost", b"0") for job in jobs}, {b"0"})

    def test_workers(self):
        """To 16 and back, by the file alone, under load: no job is lost, none runs twice."""
        stop = self.keep_busy(0.1, 0.05)
        for number in 16, 2:
            self.reload(f"[pool]\nworkers = {number}\n", "reloaded: the new configuration is in force")
            self.count(number)
        self.check(stop())

    def test_by_both(self):
        """The file lets it grow, load makes it grow, the file takes that back while load goes on."""
        stop = self.keep_busy(1, 0.1)
        self.reload("[pool]\nworkers = 2\nmax_workers = 16\nscale_up_ms = 100\nscale_down_s = 1\nspare_memory_mb = 0\n",
                    "reloaded: the new configuration is in force")
        self.count(16)
        self.reload("[pool]\nworkers = 3\nmax_workers = 4\n", "reloaded: the new configuration is in force")
        self.count(4)
        self.check(stop())
        self.reload("[pool]\nworkers = 2\n", "reloaded: the new configuration is in force")
        self.count(2)

    def test_each_change_is_said(self):
        """To the log and to the service manager, also where there never were so many, for which there is to be another zygote; and
        at the start how many there are."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, tempfile.TemporaryDirectory() as folder:
            manager.bind(os.path.join(folder, "notify"))
            manager.settimeout(pool.PATIENCE)
            os.chmod(manager.getsockname(), 0o777)
            config = os.path.join(folder, "paddock.conf")
            said = []

            def wait_for(status):
                while status not in said:
                    said.extend(line for line in manager.recv(4096).decode().splitlines() if line.startswith("STATUS="))

            with open(config, "w") as file:
                file.write("[pool]\nworkers = 3\n")
            with pool.Pool(config=config, workers=None, born={"env": {**os.environ, "NOTIFY_SOCKET": manager.getsockname()}}) as p:
                for before, number in ((None, 3), (3, 2), (3, 6), (6, 3)):
                    if before is not None:
                        with open(config, "w") as file:
                            file.write(f"[pool]\nworkers = {number}\n")
                        p.process.send_signal(signal.SIGHUP)
                        pool.wait_until(lambda: f"workers={number} were={before} " in p.read_log(), "it is logged")
                    wait_for(f"STATUS=serving queue test with {number} workers")
                    said.clear()

    def test_none_is_free_for_more(self):
        """Each that is wanted again is on its way out: it is followed by another, and that is said once."""
        jobs = [self.client.enqueue(pool.make_zip("input()"), live_input=1, wall_ms=100000) for _ in range(2)]
        pool.wait_until(lambda: [self.client.job(job)["state"] for job in jobs] == [b"running"] * 2, "both run")
        self.reload("[pool]\nworkers = 1\n", "workers=1 were=2")
        before = len(self.pool.read_log())
        self.reload("[pool]\nworkers = 2\n", "workers=2 were=1")
        for _ in range(3):  # each looks at the workers again
            self.reload("[pool]\nworkers = 2\n", "reloaded: nothing has changed")
        for job in jobs:
            self.client.redis.execute_command("FCALL", "paddock_input", 1, self.client.key("open"), job, "\n")
        self.check(jobs)
        self.count(2)
        self.assertEqual(self.pool.read_log()[before:].count("were="), 1)

    def test_limits(self):
        """What runs goes on with what it began with; what begins later has the new limit."""
        sleeper = self.client.enqueue(pool.make_zip("import time\ntime.sleep(5)\n"), wall_ms=20000)
        pool.wait_until(lambda: self.client.job(sleeper)["state"] == b"running", "it runs")
        relays, zygotes = self.pool.relays(), self.pool.zygotes()
        self.reload("[pool]\nworkers = 2\n[limits]\nmax_wall_ms = 1000\n", "max_wall_ms is another one", "reloaded: the new")
        pool.wait_until(lambda: set(self.pool.relays()) - set(relays), "who had nothing to do is followed by another")
        late = self.client.run("import time\ntime.sleep(3)\n", wall_ms=20000)
        self.assertEqual(late.verdict, "wall_limit", late.result)
        self.assertEqual(self.client.wait(sleeper).verdict, "ok")
        pool.wait_until(lambda: len(self.pool.relays()) == 2 and not set(relays) & set(self.pool.relays()), "all relays are new")
        pool.wait_until(lambda: len(self.pool.zygotes()) == 1 and not set(zygotes) & set(self.pool.zygotes()), "and the zygote")

    def test_under_load(self):
        stop = self.keep_busy(0.05, 0.02)
        for number in range(3):
            self.reload(f"[pool]\nworkers = 2\n[sandbox]\nhash_seed = {number}\n", "reloaded: the new configuration is in force")
        self.check(stop())
        self.assertIn("hash_seed is another one", self.pool.read_log())

    def test_bad_files(self):
        """Each keeps the old configuration and says why, where and which."""
        for text, sentence in (("[pool]\nworkers = none\n", f"{self.file}:2: workers = none: takes a whole number"),
                               ("[pool]\nzork = 1\n", f"{self.file}:2: there is no option"),
                               ("[pool]\nworkers = 4\nmax_workers = 3\n", f"{self.file}:3: max_workers (3) is less than workers (4)")):
            self.reload(text, "the configuration stays as it was: " + sentence)
        os.unlink(self.file)
        self.pool.process.send_signal(signal.SIGHUP)
        pool.wait_until(lambda: f"{self.file}: No such file" in self.pool.read_log(), "a file that is gone")
        self.reload("[pool]\nworkers = 2\n", "reloaded: nothing has changed")
        self.assertEqual(self.client.run("print(1)").verdict, "ok")

    def test_a_zygote_that_does_not_start(self):
        """It takes its configuration with it; the next reload is as good as any."""
        zygote = self.pool.zygote()
        self.reload("[pool]\nworkers = 8\n[sandbox]\nlibrary = /etc/passwd\n",
                    "the configuration stays as it was: no zygote starts with the new one")
        self.assertEqual(self.client.run("print(1)").verdict, "ok")
        self.assertEqual((self.pool.zygotes(), len(self.pool.relays())), ([zygote], 2))
        self.assertNotIn("tried again", self.pool.read_log())
        self.reload("[pool]\nworkers = 3\n", "reloaded: the new configuration is in force")
        self.count(3)

    def test_while_redis_takes_nobody_new(self):
        """Its password is another one: the new relays wait until it is ours again, and what runs goes on."""
        job = self.client.enqueue(pool.make_zip("input()"), live_input=1, wall_ms=100000)
        pool.wait_until(lambda: self.client.job(job)["state"] == b"running", "it runs")
        self.client.redis.config_set("requirepass", "other")
        self.reload("[pool]\nworkers = 2\n[sandbox]\nhash_seed = 1\n", "reloaded: the new", "Redis will not do, and is asked again")
        self.assertIsNone(self.pool.process.poll())
        self.client.redis.execute_command("FCALL", "paddock_input", 1, self.client.key("open"), job, "\n")
        self.check([job])
        self.client.redis.config_set("requirepass", "")
        self.check([self.client.enqueue(pool.make_zip("print(1)")) for _ in range(4)])

    def test_a_library_that_was_made_anew(self):
        """As where Debian has updated Python: a reload takes it, whatever the configuration is."""
        text = "[pool]\nworkers = 2\n[sandbox]\nlibrary = {}\n"
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            library = os.path.join(folder, "library.zip")
            for again in range(2):
                before = self.pool.zygotes()
                shutil.copy(pool.program("python-library.zip"), library + ".new")
                os.rename(library + ".new", library)
                self.reload(text.format(library), "reloaded: the new configuration is in force")
                pool.wait_until(lambda: len(self.pool.zygotes()) == 1 and self.pool.zygotes() != before, "the zygote is another one")
            self.reload(text.format(library), "reloaded: nothing has changed")

    def test_what_only_a_restart_changes(self):
        self.reload("[pool]\nworkers = 2\nredis = redis://:secret@localhost:1\n[sandbox]\nisolation = none\n",
                    "redis is another one in the new configuration: only a restart changes it", "isolation is another one",
                    "nothing has changed")
        self.assertNotIn("secret", self.pool.read_log())
        self.assertEqual(self.client.run("print(1)").verdict, "ok")

    def test_the_end_while_a_zygote_starts(self):
        """It is in a host module that does not end: nobody waits for that, and nothing went wrong."""
        self.write("print('here', flush=True)\n", "talks.py")
        self.write("while True: pass\n", "hangs.py")
        self.reload(f"[pool]\nworkers = 2\n[sandbox]\nhost_path = {self.folder}\nhost_modules = talks hangs\n", "says: here")
        self.assertEqual(self.pool.stop(signal.SIGTERM), 0)
        for word in "error ", "warning ":
            self.assertNotIn("\n" + word, self.pool.read_log())

    def test_quit(self):
        """Stops at once: what runs is given back."""
        job = self.client.enqueue(pool.make_zip("import time\ntime.sleep(60)\n"), wall_ms=100000)
        pool.wait_until(lambda: self.client.job(job)["state"] == b"running", "it runs")
        self.assertEqual(self.pool.stop(signal.SIGQUIT), 0)
        self.assertIn("stopping: running jobs are given back", self.pool.read_log())


if __name__ == "__main__":
    unittest.main()
