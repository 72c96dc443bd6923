# SPDX-License-Identifier: MIT
"""A pool of several has in force what its keeper has read: no other file, and none that it refused."""

import os
import re
import signal
import unittest

import pool
import pools_test

FILE = pools_test.FILE + "hash_seed = 8\n"  # of competition
ROBOT = "print(hash('robot'))"


class Handing(pools_test.Serving):
    def hashed(self, name):
        return pools_test.text(self.client(name).run(ROBOT))

    def reload_while_it_stands(self, words):
        """The other one has read it then."""
        self.reload(words, ["competition/supervisor", "reloaded: "])


class Handed(Handing):
    def test_a_file_that_nobody_has_asked_to_read(self):
        """It is written over the one that was read before the pool has come to read that."""
        self.serve(FILE)
        other = self.supervisor("exercises")
        os.kill(other, signal.SIGSTOP)
        self.reload_while_it_stands(FILE.replace("hash_seed = 7", "hash_seed = 8"))
        self.write(FILE.replace("hash_seed = 7", "hash_seed = 9"))
        os.kill(other, signal.SIGCONT)
        pool.wait_until(lambda: "reloaded: the new configuration is in force" in self.pool.read_log(), "it has read it")
        self.assertEqual(self.hashed("exercises"), self.hashed("competition"))

    def test_a_file_that_was_refused(self):
        """It follows on a good one, which the pool has not come to read."""
        self.serve(FILE)
        other = self.supervisor("exercises")
        os.kill(other, signal.SIGSTOP)
        self.reload_while_it_stands(FILE.replace("hash_seed = 7", "hash_seed = 8"))
        self.reload(FILE.replace("hash_seed = 7", "hash_seed = 9\nowner = me").replace("workers = 2", "owner = me"),
                    ["the configuration stays as it was: owner = me"])
        os.kill(other, signal.SIGCONT)
        pool.wait_until(lambda: "reloaded: the new configuration is in force" in self.pool.read_log(), "it has read the good one")
        self.assertEqual(self.hashed("exercises"), self.hashed("competition"))

    def test_the_word_of_the_reload_before(self):
        """It comes just as the next one begins, and is not taken for its own: that one fails, and is never in force."""
        self.serve(FILE)
        self.write(FILE.replace("hash_seed = 7", "hash_seed = 8"))
        self.pool.process.send_signal(signal.SIGHUP)
        pool.wait_until(lambda: "a zygote of the new configuration is started" in self.pool.read_log(), "it is at it")
        self.pool.process.send_signal(signal.SIGSTOP)
        pool.wait_until(lambda: "reloaded: the new configuration is in force" in self.pool.read_log(), "it has said so")
        self.write(FILE.replace("hash_seed = 7", "host_modules = nosuch"))
        self.pool.process.send_signal(signal.SIGHUP)
        self.pool.process.send_signal(signal.SIGCONT)
        pool.wait_until(lambda: "no zygote starts with the new one" in self.pool.read_log(), "the second one fails")
        os.kill(self.supervisor("exercises"), signal.SIGKILL)
        self.assertEqual(self.hashed("exercises"), self.hashed("competition"))

    def test_one_after_the_other_while_it_stands(self):
        """Of those that it has not come to read the last one counts, and it is started again with that."""
        self.serve(FILE)
        other = self.supervisor("exercises")
        os.kill(other, signal.SIGSTOP)
        for seed in 9, 10, 11, 12, 8:
            self.reload_while_it_stands(FILE.replace("hash_seed = 7", f"hash_seed = {seed}"))
        os.kill(other, signal.SIGCONT)
        pool.wait_until(lambda: self.hashed("exercises") == self.hashed("competition"), "it has read the last one")
        os.kill(self.supervisor("exercises"), signal.SIGKILL)
        self.assertEqual(self.hashed("exercises"), self.hashed("competition"))

    def test_a_signal_for_the_keeper(self):
        """It reads nothing, and says whose the signal is."""
        self.serve(FILE)
        self.write(FILE.replace("hash_seed = 7", "hash_seed = 8"))
        os.kill(self.supervisor("exercises"), signal.SIGHUP)
        pool.wait_until(lambda: f"SIGHUP is for process {self.pool.process.pid}, which keeps all pools" in self.pool.read_log(), "it is said")
        self.assertNotEqual(self.hashed("exercises"), self.hashed("competition"))


SLOW = "slow"  # a module that takes 2 s, and then fails
OTHER = FILE.replace("hash_seed = 7", "hash_seed = 8")


class Unanswered(Handing):
    """The pool is gone before it can say what came of a reload."""

    def serve(self, words=FILE, **options):
        super().serve(words, **options)
        with open(os.path.join(self.folder, SLOW + ".py"), "w", encoding="utf-8") as file:
            file.write("import time\ntime.sleep(2)\nraise ValueError('it is not well')\n")
        self.old = self.hashed("exercises")
        self.new = self.hashed("competition")
        self.assertNotEqual(self.old, self.new)

    def with_slow(self, words):
        return words.replace("hash_seed = 7", f"hash_seed = 8\nhost_path = {self.folder}\nhost_modules = {SLOW}")

    def hashes_to(self, expected, why):
        pool.wait_until(lambda: self.supervisor("exercises"), "it is started again")
        self.assertEqual(self.hashed("exercises"), expected, why)

    def test_killed_while_a_bad_one_loads(self):
        """It goes on with the one that was in force, and tries the bad one again as if nothing had been."""
        self.serve()
        self.reload(self.with_slow(FILE), ["exercises/supervisor", "reloading: a zygote of the new configuration is started"])
        os.kill(self.supervisor("exercises"), signal.SIGKILL)
        pool.wait_until(lambda: "no zygote starts with the new one" in self.pool.read_log(), "the bad one is tried, and refused")
        self.hashes_to(self.old, self.pool.read_log())

    def test_killed_while_a_good_one_loads(self):
        self.serve()
        other = self.supervisor("exercises")
        os.kill(other, signal.SIGSTOP)
        self.reload_while_it_stands(OTHER)
        os.kill(other, signal.SIGKILL)
        pool.wait_until(lambda: "exercises/supervisor" in self.pool.read_log().partition("died of signal 9")[2]
                        and "reloaded: the new configuration is in force" in self.pool.read_log().partition("died of signal 9")[2], "it is handed over")
        self.hashes_to(self.new, self.pool.read_log())

    def test_a_new_pool_whose_file_is_mended_while_it_starts(self):
        """What it is started with fails: it is tried at once with what has come since."""
        self.serve()
        third = f"[pool third]\nqueue = third\nworkers = 1\nhash_seed = 8\nhost_path = {self.folder}\nhost_modules = {SLOW}\n"
        self.reload(FILE + third, ["competition/supervisor"])
        pool.wait_until(lambda: any("zygote" in command for command in pool.children_of(self.supervisor("third")).values()), "it starts")
        self.reload(FILE + third.partition("host_path")[0], ["the configuration is read again after this: the pool is starting"])
        pool.wait_until(lambda: "pool third ended with exit code" in self.pool.read_log(), "it has failed")
        self.assertEqual(self.hashed("third"), self.new)
        self.assertEqual(self.pool.read_log().count("pool third ended with exit code"), 1, self.pool.read_log())

    def test_killed_while_it_drains(self):
        """The reload that has come meanwhile starts it again."""
        self.serve()
        client = self.client("exercises")
        job = client.begin(pool.LONG)
        os.kill(self.supervisor("exercises"), signal.SIGUSR1)
        pool.wait_until(lambda: "draining: running jobs may end" in self.pool.read_log(), "it drains")
        self.reload(OTHER, ["the configuration is not read again: the pool is ending"])
        os.kill(self.supervisor("exercises"), signal.SIGKILL)
        client.cancel(job)
        self.hashes_to(self.new, self.pool.read_log())

    def test_killed_while_it_drains_and_no_reload_has_come(self):
        """It stays as drained as somebody wanted it."""
        self.serve()
        job = self.client("exercises").begin(pool.LONG)
        os.kill(self.supervisor("exercises"), signal.SIGUSR1)
        pool.wait_until(lambda: "draining: running jobs may end" in self.pool.read_log(), "it drains")
        os.kill(self.supervisor("exercises"), signal.SIGKILL)
        self.client("exercises").cancel(job)
        pool.wait_until(lambda: "pool exercises was drained: a reload starts it again" in self.pool.read_log(), "it is said")
        self.reload(OTHER, ["competition/supervisor", "nothing has changed"])
        self.hashes_to(self.new, self.pool.read_log())

    def test_drained_and_the_next_file_is_bad(self):
        """It is started again by that, and then with what was in force, which is better than not at all."""
        self.serve()
        self.assertEqual(self.command("drain", "--pool", "exercises").returncode, 0)
        self.reload(self.with_slow(FILE), ["pool exercises is started with the configuration that was in force there"])
        pool.wait_until(lambda: "no zygote starts with the new one" in self.pool.read_log(), "the bad one is tried again, and refused")
        self.hashes_to(self.old, self.pool.read_log())
        self.reload(OTHER, ["exercises/supervisor", "reloaded: the new configuration is in force"])
        self.hashes_to(self.new, self.pool.read_log())

    def test_neither_the_new_file_nor_the_one_before_starts(self):
        """Each is tried once at once, and then they are waited for; a reload that mends it is not."""
        module = os.path.join(self.folder, "shaky.py")
        both = FILE.replace("hash_seed = 7", f"hash_seed = 7\nhost_path = {self.folder}\nhost_modules = shaky")

        def write_module(words):
            with open(module, "w", encoding="utf-8") as file:
                file.write(words)

        write_module("")
        self.serve(both)
        before = len(self.pool.read_log())
        write_module("1 / 0\n")
        self.assertEqual(self.command("drain", "--pool", "exercises").returncode, 0)
        pool.wait_until(lambda: "pool exercises was drained" in self.pool.read_log(), "it has ended")
        self.reload(both.replace("= 7", "= 8"), ["pool exercises is tried again in 30.0 s"])
        log = self.pool.read_log()[before:]
        self.assertEqual(log.count("pool exercises ended with exit code"), 2, log)
        self.assertEqual(log.count("pool exercises is started with the configuration that was in force there"), 1, log)
        write_module("")
        self.reload(both.replace("= 7", "= 8"), [])
        self.hashes_to(self.new, self.pool.read_log())

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_no_process_can_be_had(self):
        """As between two versions of the package: commands find it no more, and it is tried more and more rarely."""
        self.serve(user=os.geteuid())  # with programs of its own
        program = os.path.join(self.pool.folder, "bin", "paddock-supervisor")
        os.rename(program, program + ".old")
        os.kill(self.supervisor("exercises"), signal.SIGKILL)
        waits = re.compile(r"unable to start pool exercises: unable to find paddock-supervisor.*\n.*pool exercises is tried again in ([0-9.]+) s\n")
        pool.wait_until(lambda: len(waits.findall(self.pool.read_log())) >= 4, "it is tried again and again")
        self.assertEqual(waits.findall(self.pool.read_log())[:4], ["0.1", "0.2", "0.4", "0.8"])
        with open(os.path.join(self.pool.runtime, "pool"), encoding="utf-8") as file:
            self.assertIn("pools=competition\n", file.read())
        os.rename(program + ".old", program)
        self.hashes_to(self.old, self.pool.read_log())

    def test_one_that_stands_still_is_taken_out_and_put_in_again(self):
        self.serve()
        stopped = self.supervisor("exercises")
        os.kill(stopped, signal.SIGSTOP)
        self.reload(FILE.replace("[pool exercises]", "[pool other]").replace("queue = exercises:3", "queue = other"),
                    ["pool exercises is not in the new configuration: it is drained"])
        self.reload(FILE, ["pool other is not in the new configuration: it is drained"])
        pool.wait_until(lambda: self.supervisor("exercises") not in (None, stopped), "another has followed it")
        self.assertIn("pool exercises has not answered for 30 s: it is killed", self.pool.read_log())
        self.hashes_to(self.old, self.pool.read_log())
