# SPDX-License-Identifier: MIT
"""A pool of several has in force what its keeper has read: no other file, and none that it refused."""

import os
import signal

import pool
import pools_test

FILE = pools_test.FILE + "hash_seed = 8\n"  # of competition
ROBOT = "print(hash('robot'))"


class Handed(pools_test.Serving):
    def hashed(self, name):
        return pools_test.text(self.client(name).run(ROBOT))

    def reload_while_it_stands(self, words):
        """The other one has read it then."""
        self.reload(words, ["competition/supervisor", "reloaded: "])

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
