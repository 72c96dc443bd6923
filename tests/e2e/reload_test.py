# SPDX-License-Identifier: MIT
"""A reload beside what else befalls zygotes: one that fails takes nothing with it, one that mends is held up by nothing that is of
the configuration before, and a job that runs for long holds none."""

import contextlib
import os
import resource
import signal
import socket
import threading
import time
import unittest

import configured
import pool
import proxy

PLAIN = configured.Configured.FIRST


class Reload(configured.Configured):
    def with_modules(self, names, before=PLAIN):
        return before + f"[sandbox]\nhost_path = {self.folder}\nhost_modules = {names}\n"

    def start_loading(self, then="raise RuntimeError('bad')\n", before=PLAIN):
        """A reload whose zygote is in a host module until `go` is there. Then that fails, or what is given is done."""
        self.write("print('here', flush=True)\n", "talks.py")
        self.write(f"import os, time\nwhile not os.path.exists({self.folder + '/go'!r}): time.sleep(0.01)\n" + then, "waits.py")
        self.reload(self.with_modules("talks waits", before), "says: here")

    def go(self, *sentences):
        self.write("", "go")
        self.wait_for(*sentences)

    def wait_for(self, *sentences):
        def has_come():
            self.assertIsNone(self.pool.process.poll(), self.pool.read_log())
            return all(s in self.pool.read_log() for s in sentences)
        pool.wait_until(has_come, sentences)

    def wait_for_log(self, before, sentence):
        pool.wait_until(lambda: sentence in self.pool.read_log()[before:], sentence)

    def check_works(self):
        self.assertEqual(self.client.run("print(1)").verdict, "ok")
        self.assertIsNone(self.pool.process.poll(), self.pool.read_log())

    def wear(self, *sentences):
        """Runs jobs until that has been logged."""
        def has_come():
            self.check_works()
            return all(s in self.pool.read_log() for s in sentences)
        pool.wait_until(has_come, sentences)


class Refused(Reload):
    KEPT = "the configuration stays as it was: no zygote starts with the new one"

    def test_the_zygote_that_serves_dies_meanwhile(self):
        """One of the configuration that stays follows it."""
        self.start_loading()
        os.kill(self.pool.zygote(), signal.SIGKILL)
        self.wait_for("the zygote is gone", "zygote 0 died")
        self.go(self.KEPT)
        self.check_works()

    def test_what_the_supervisor_alone_does_is_taken_back(self):
        """It was in force at once, before the zygote was ready."""
        self.start_loading(before="[pool]\nworkers = 1\n")
        self.count(1)
        self.go(self.KEPT)
        self.count(2)
        self.check_works()

    def test_a_zygote_that_cannot_be_started(self):
        """The machine has no file descriptors for it. That is no reason to try for ever, nor to hold up the next reload."""
        supervisor, files = self.pool.process.pid, resource.RLIMIT_NOFILE
        used, limit, free = {int(fd) for fd in os.listdir(f"/proc/{supervisor}/fd")}, 0, 0
        while free < 5:  # the file is read, and poll(2) takes as many
            free += limit not in used
            limit += 1
        before = resource.prlimit(supervisor, files)
        resource.prlimit(supervisor, files, (limit, before[1]))
        self.reload(PLAIN + "[sandbox]\nhash_seed = 1\n", "unable to start zygote", self.KEPT)
        resource.prlimit(supervisor, files, before)
        self.assertNotIn("is started", self.pool.read_log())
        self.reload("[pool]\nworkers = 3\n", "reloaded: the new configuration is in force")
        self.count(3)

    def test_a_newer_one_while_it_loads(self):
        """It is called off, and the newer one does not wait for a module that may never be loaded."""
        self.start_loading(before="[pool]\nworkers = 1\n")
        self.reload("[pool]\nworkers = 3\n", "is called off: there is a newer one", "reloaded: the new configuration is in force")
        self.count(3)
        self.check_works()
        for word in "error ", "warning ":
            self.assertNotIn("\n" + word, self.pool.read_log())


class Worn(Reload):
    FIRST = "[pool]\nworkers = 1\n[sandbox]\nzygote_forks = 20\n"

    def test_during_a_reload_that_fails(self):
        """It is renewed when that has failed."""
        self.start_loading(before="[pool]\nworkers = 1\n")
        first = self.pool.zygote()
        self.wear("zygote 0 is to be renewed")
        self.write(self.FIRST)
        self.go("the configuration stays as it was: no zygote starts")
        pool.wait_until(lambda: first not in self.pool.zygotes(), "it is renewed")
        self.check_works()


class Outgrown(Reload):
    """Bounds that are raised again while the zygote's successor, for fewer workers, is on its way, or serves."""

    FIRST = "[pool]\nworkers = 2\nmax_workers = 8\n[sandbox]\nzygote_forks = 40\n"
    LOWERED = FIRST.replace("8", "2")
    RAISED = "[pool]\nworkers = 8\n[sandbox]\nzygote_forks = 40\n"
    IN_FORCE = "reloaded: the new configuration is in force"

    def check_all(self):
        self.count(8)
        jobs = [self.client.begin() for _ in range(8)]
        for job in jobs:
            self.client.cancel(job)
            self.assertEqual(self.client.wait(job).verdict, "cancelled")
        self.assertEqual(len(self.pool.relays()), 8)
        self.assertNotIn("unable to get a sandbox", self.pool.read_log())

    def test_while_it_starts(self):
        self.reload(self.LOWERED, self.IN_FORCE)
        first, heirs = self.pool.zygote(), []
        while not heirs:
            self.client.enqueue(pool.make_zip("print(1)"))
            heirs = [pid for pid in self.pool.zygotes() if pid != first]
        os.kill(heirs[0], signal.SIGSTOP)
        self.reload(self.RAISED)
        with contextlib.suppress(ProcessLookupError):
            pool.wait_until(lambda: "a zygote of the new configuration is started" in self.pool.read_log() or os.kill(heirs[0], signal.SIGCONT), "it is called off")
        self.wait_for(self.IN_FORCE)
        self.check_all()

    def test_when_it_serves(self):
        self.reload(self.LOWERED, self.IN_FORCE)
        first = self.pool.zygote()
        self.wear("zygote 0 is to be renewed")
        pool.wait_until(lambda: first not in self.pool.zygotes(), "it is renewed")
        self.reload(self.RAISED, self.IN_FORCE)
        self.check_all()


class Unrenewed(Reload):
    """The zygote that serves is worn, and what its configuration names cannot be loaded any more."""

    FIRST = PLAIN  # the module's folder is to be there first

    def setUp(self):
        super().setUp()
        self.write("x = 1\n", "sim.py")
        self.reload(self.with_modules("sim") + "zygote_forks = 20\n", "reloaded: the new")
        self.write("import nosuch\n", "sim.py")
        pool.wait_until(lambda: self.client.run("print(1)").verdict == "ok" and "could not be renewed" in self.pool.read_log(),
                        "the renewal has failed")

    def test_a_reload_that_mends(self):
        self.reload(PLAIN + "[limits]\nmax_wall_ms = 1000\n", "reloaded: the new configuration is in force")
        pool.wait_until(lambda: len(self.pool.zygotes()) == 1, "the former zygote is over")
        os.kill(self.pool.zygote(), signal.SIGKILL)
        pool.wait_until(lambda: self.client.run("import time\ntime.sleep(3)\n", wall_ms=9000).verdict == "wall_limit", "the new limit holds")

    def test_a_reload_when_none_is_left(self):
        """The pool is there without a zygote: a job waits until one that will do is named."""
        os.kill(self.pool.zygote(), signal.SIGKILL)
        self.wait_for("no zygote serves: another is tried after a while, or at a reload")
        job = self.client.enqueue(pool.make_zip("print(1)"))
        self.reload(PLAIN, "reloaded: the new configuration is in force")
        self.assertEqual(self.client.wait(job).verdict, "ok")

    def test_a_reload_when_the_module_is_mended(self):
        """The file is the same; the one that serves and the one that is to follow it are of what was."""
        self.write("x = 2\n", "sim.py")
        self.reload(self.with_modules("sim") + "zygote_forks = 20\n", "reloaded: the new configuration is in force")
        pool.wait_until(lambda: self.client.run("import sim\nassert sim.x == 2\n").verdict == "ok", "jobs have the new one")


class Claimed(Reload):
    """One whose zygote is ready while the answer to a claim is on its way."""

    FIRST = PLAIN.replace("2", "1")

    def options(self):
        server = self.enterContext(pool.RedisServer())
        self.way = self.enterContext(proxy.Proxy(server.socket))
        self.manager = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.manager.bind(os.path.join(self.folder, "notify"))
        self.manager.setblocking(False)
        return {"redis": self.way.address, "born": {"env": {**os.environ, "NOTIFY_SOCKET": os.path.join(self.folder, "notify")}}}

    def told(self):
        """What the service manager has been told since it was asked last, of being ready or not."""
        words = []
        with contextlib.suppress(BlockingIOError):
            while True:
                words += self.manager.recv(4096).decode().split("\n")
        return [word for word in words if word in ("READY=1", "RELOADING=1", "STOPPING=1")]

    def hold_a_claim(self):
        """The job that it takes, once the zygote of the reload is ready, and what lets it pass."""
        held, passes = threading.Event(), threading.Event()

        def hook(moment, words):
            if moment == "before" and words[1:2] == ["paddock_claim"]:
                held.set()
                passes.wait(pool.PATIENCE)

        self.start_loading(then="", before=self.FIRST)
        self.way.hook = hook
        job = self.client.enqueue(pool.make_zip("import talks"))  # which the former one has not
        self.assertTrue(held.wait(pool.PATIENCE))
        before = len(self.pool.read_log())
        self.go("zygote ready")
        self.wait_for_log(before, "zygote ready")
        return job, passes

    def test_one_that_fails_meanwhile(self):
        """It is ready when the one before is in force, which is said once."""
        _, passes = self.hold_a_claim()
        before = len(self.pool.read_log())
        self.reload(self.with_modules("nosuch", before=self.FIRST), Refused.KEPT)
        self.assertEqual(self.told(), ["READY=1", "RELOADING=1", "RELOADING=1"])
        passes.set()
        self.wait_for_log(before, "reloaded: the new configuration is in force")
        pool.wait_until(lambda: self.told() == ["READY=1"], "it is ready")
        self.assertEqual(self.client.run("import talks").verdict, "ok")

    def test_an_end_meanwhile(self):
        """Nothing is ready any more, nor in force."""
        _, passes = self.hold_a_claim()
        self.pool.process.send_signal(signal.SIGTERM)
        self.wait_for("draining")
        passes.set()
        self.pool.process.wait(pool.PATIENCE)
        self.assertEqual(self.told(), ["READY=1", "RELOADING=1", "STOPPING=1"])
        self.assertNotIn("reloaded", self.pool.read_log())

    def test_it_is_said_when_nobody_claims_for_the_former_one(self):
        job, passes = self.hold_a_claim()
        before = len(self.pool.read_log())
        time.sleep(0.5)
        self.assertNotIn("reloaded", self.pool.read_log())
        passes.set()
        self.wait_for_log(before, "reloaded: the new configuration is in force")
        self.assertEqual(self.client.run("import talks").verdict, "ok")
        self.assertEqual(self.client.wait(job).verdict, "exception")


class Lowered(Reload):
    """A pool that had more workers once."""

    FIRST = "[pool]\nworkers = 6\n"

    def test_those_on_their_way_out_count(self):
        """There are no more than the most that is in force, however often it was another one."""
        self.reload("[pool]\nworkers = 2\n", "reloaded: the new configuration is in force")
        self.count(2)
        running = [self.client.begin() for _ in range(2)]
        waiting = [self.client.enqueue(pool.make_zip("print(1)")) for _ in range(2)]
        for _ in range(2):
            for workers in 1, 2:
                self.reload(f"[pool]\nworkers = {workers}\n", "reloaded: the new configuration is in force")
                time.sleep(1.2)  # until the pool is looked at
        self.assertEqual(len(self.pool.relays()), 2)
        self.assertEqual([self.client.job(job)["state"] for job in waiting], [b"queued"] * 2)
        for job in running:
            self.client.cancel(job)
        self.assertEqual([self.client.wait(job).verdict for job in waiting], ["ok"] * 2)
        self.count(2)


    def test_nor_more_than_the_zygote_has_room_for(self):
        """While a reload that wants more, and another zygote for them, is under way."""
        running = [self.client.begin() for _ in range(6)]
        self.reload("[pool]\nworkers = 1\n", "reloaded: the new configuration is in force")
        waiting = [self.client.enqueue(pool.make_zip("print(1)")) for _ in range(6)]
        self.start_loading(before="[pool]\nworkers = 6\nmax_workers = 32\n")
        time.sleep(2.5)  # the pool is looked at
        self.assertEqual(len(self.pool.relays()), 6)
        self.assertEqual([self.client.job(job)["state"] for job in waiting], [b"queued"] * 6)
        self.go("the configuration stays as it was: no zygote starts with the new one")
        for job in running:
            self.client.cancel(job)
        self.assertEqual([self.client.wait(job).verdict for job in waiting], ["ok"] * 6)
        self.count(1)


class Long(Reload):
    """Jobs that run on in former zygotes."""

    FIRST = "[pool]\nworkers = 6\n"

    def seed(self, number, *sentences, workers=6):
        self.reload(f"[pool]\nworkers = {workers}\n[sandbox]\nhash_seed = {number}\n", *sentences)

    def begin_and_reload(self, number):
        """A job in the zygote that serves; then another one serves. Returns the job."""
        job = self.client.begin()
        self.seed(number, "reloaded: the new configuration is in force")
        self.assertEqual(len(self.pool.zygotes()), number + 1)
        return job

    def test_as_many_as_there_are_places(self):
        jobs = [self.begin_and_reload(number) for number in (1, 2, 3)]
        self.assertEqual(len(self.pool.zygotes()), 4)
        before = len(self.pool.read_log())
        self.seed(4, "jobs run in 3 former zygotes", workers=4)
        self.count(4)  # at once, though the rest waits
        self.assertNotIn("is started", self.pool.read_log()[before:].replace("is started when one of these is over", ""))
        self.check_works()
        self.client.cancel(jobs[1])
        self.wait_for_log(before, "reloaded: the new configuration is in force")
        self.assertEqual(self.client.wait(jobs.pop(1)).verdict, "cancelled")
        self.check_works()
        for job in jobs:
            self.assertEqual(self.client.job(job)["state"], b"running")
            self.client.cancel(job)
            ended = self.client.wait(job)
            self.assertEqual((ended.verdict, ended.attempt), ("cancelled", b"1"))
        pool.wait_until(lambda: len(self.pool.zygotes()) == 1, "all former ones are over")
        self.count(4)

    def test_a_newer_one_while_that_waits(self):
        jobs = [self.begin_and_reload(number) for number in (1, 2, 3)]
        self.seed(4, "jobs run in 3 former zygotes", workers=4)
        self.count(4)
        self.seed(3, "is called off", "reloaded: nothing has changed")
        self.count(6)
        for job in jobs:
            self.client.cancel(job)
            self.assertEqual(self.client.wait(job).verdict, "cancelled")
        self.check_works()

    def test_one_that_is_killed_with_its_zygote(self):
        """Its worker is of a configuration before the last, and is followed by one of the last: the job runs again, once."""
        job = self.begin_and_reload(1)
        self.seed(2, "reloaded: the new configuration is in force")
        pool.wait_until(lambda: len(self.pool.zygotes()) == 2, "its worker holds none but its own zygote")
        os.kill(self.pool.zygote(), signal.SIGKILL)
        for entry in self.client.entries(job):
            if entry[b"k"] == b"slice" and entry[b"a"] == b"2":
                break
        self.client.cancel(job)
        self.assertEqual(self.client.wait(job).verdict, "cancelled")
        self.check_works()


if __name__ == "__main__":
    unittest.main()
