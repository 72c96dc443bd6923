# SPDX-License-Identifier: MIT
"""The renewal of the zygote: jobs run on over it, none is lost and none runs twice, whoever is killed in whichever phase
of it; with the zygote its hash seed and its addresses change."""

import collections
import contextlib
import os
import re
import shutil
import signal
import tempfile
import time
import unittest

import pool
import recording

# What programs can learn of the zygote that they were forked from: its hash seed, where its libraries lie, and its heap.
LOOK = "import sys\nprint(hash('abc'), id(int), id(sys))\n"

# Runs until it is told to end, which the test does by a signal: see Renewal.end.
LONG = ("import signal, time\nended = []\nsignal.signal(signal.SIGUSR1, lambda *_: ended.append(1))\n"
        "print('begun', flush=True)\nwhile not ended: time.sleep(0.01)\nprint('done')\n")


def waits_for_signal(pid):
    """It catches SIGUSR1."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return int(re.search(r"^SigCgt:\s*(\w+)$", file.read(), re.M)[1], 16) >> (signal.SIGUSR1 - 1) & 1
    except OSError:
        return False


class Renewal(unittest.TestCase):
    def start(self, **options):
        self.pool = pool.Pool(**{"workers": 2, **options})
        self.pool.__enter__()
        self.addCleanup(self.pool.__exit__, None, None, None)
        self.client = self.pool.client

    def begin(self, before=""):
        job = self.client.enqueue(pool.make_zip(before + LONG), wall_ms=100000)
        for entry in self.client.entries(job):
            if entry[b"k"] == b"slice" and b"begun" in entry[b"d"]:
                return job
        self.fail("it ended before it began")

    def end(self, job):
        """Ends the program of a job that is LONG, in whichever attempt it runs, and waits for its result."""
        def is_over():
            for pid in filter(waits_for_signal, self.pool.sandboxes()):
                with contextlib.suppress(ProcessLookupError):  # told the time before, it has ended
                    os.kill(pid, signal.SIGUSR1)
            return self.client.job(job)["state"] == b"done"
        pool.wait_until(is_over, "the job ends")
        return self.client.wait(job)

    def wait_for_renewal(self):
        """One sandbox of the former zygote runs, and both relays have one of the new zygote. Returns the zygotes."""
        def is_done():
            parents = collections.Counter(pool.parent_of(pid) for pid in self.pool.sandboxes())
            zygotes = self.pool.zygotes()
            return len(zygotes) == 2 and parents == {zygotes[0]: 1, zygotes[1]: 2} and zygotes
        return pool.wait_until(is_done, "the renewal")

    def text(self, job):
        return recording.text(recording.decode(job.recording))

    def look(self):
        """Runs one job; returns its zygote's hash seed (by a hash) and addresses."""
        job = self.client.run(LOOK)
        self.assertEqual((job.verdict, job.attempt), ("ok", b"1"), job.result)
        numbers = self.text(job).split()
        return numbers[0], tuple(numbers[1:])

    def count(self, sentence):
        return self.pool.read_log().count(sentence)

    def renewals(self):
        return self.count("zygote ready") - 1

    def check_settled(self):
        """One zygote is left, and serves."""
        self.look()
        pool.wait_until(lambda: len(self.pool.zygotes()) == 1, "the zygote before is gone")
        self.look()


class Running(Renewal):
    def check_jobs_run(self, renewals, **options):
        self.start(zygote_forks=5, **options)
        jobs, seen = [], set()
        while self.renewals() < renewals:
            jobs += [self.client.enqueue(pool.make_zip(LOOK)) for _ in range(4)]
            for job in jobs[-4:]:
                ended = self.client.wait(job)
                self.assertEqual((ended.verdict, ended.attempt), ("ok", b"1"), ended.result)
                self.assertEqual([s["state"] for s in ended.states], ["running"])
                seen.add(self.text(ended))
        self.assertGreaterEqual(len(seen), renewals)
        self.assertEqual(len({line.split()[0] for line in seen}), len(seen), "a hash seed was used again")
        self.assertEqual(len({line.split()[1] for line in seen}), len(seen), "a layout was used again")
        # What is not to be had of namespaces and control groups is said once, before the first zygote.
        log = self.pool.read_log().partition("zygote ready")[2]
        for sentence in ("given back", "lost", "unable", "is gone", "died"):
            self.assertNotIn(sentence, log)
        pool.wait_until(lambda: len(self.pool.zygotes()) == 1, "the zygote before is gone")

    def test_jobs_run_over_many_renewals(self):
        self.check_jobs_run(4)

    def test_with_one_id(self):
        self.check_jobs_run(2, isolation="single")

    def test_without_namespaces(self):
        self.check_jobs_run(2, isolation="none")

    @unittest.skipUnless(os.geteuid() == 0, "takes root")
    def test_as_another_user_without_namespaces(self):
        self.check_jobs_run(2, user=pool.STRANGER, born={"preexec_fn": pool.refuse_namespaces})

    def test_never(self):
        self.start(zygote_forks=0, workers=1)
        self.assertEqual(len({self.look() for _ in range(20)}), 1)

    def test_same_seed_in_every_zygote(self):
        self.start(zygote_forks=4, hash_seed=7)
        seeds, layouts = set(), set()
        while self.renewals() < 2 or len(layouts) < 3:
            seed, layout = self.look()
            seeds.add(seed)
            layouts.add(layout)
        self.assertEqual(len(seeds), 1)
        with pool.Pool(workers=1, hash_seed=7) as again, pool.Pool(workers=1, hash_seed=8) as other:
            hashes = [self.text(p.client.run(LOOK)).split()[0] for p in (again, other)]
        self.assertEqual(hashes[0], seeds.pop())
        self.assertNotEqual(hashes[0], hashes[1])

    def test_ids_of_two_zygotes_differ(self):
        """A program of the former zygote and one of the newest, alive at once."""
        self.start(zygote_forks=3)
        uid = "import os\nprint(os.getuid(), flush=True)\n"
        job = self.begin(uid)
        self.wait_for_renewal()
        other = self.text(self.client.run(uid)).split()
        ended = self.end(job)
        self.assertEqual(ended.attempt, b"1")
        if os.geteuid() == 0:
            self.assertNotEqual(self.text(ended).split()[0], other[0])


class Killed(Renewal):
    """A job takes the first zygote's third sandbox and runs on while that is renewed."""

    def setUp(self):
        self.start(zygote_forks=3)

    def begin_and_stop_successor(self):
        """The successor is stopped before it is ready. Returns the job, and both zygotes."""
        job = self.begin()
        old, new = pool.wait_until(lambda: len(self.pool.zygotes()) == 2 and self.pool.zygotes(), "a successor")
        os.kill(new, signal.SIGSTOP)
        self.assertEqual(self.renewals(), 0)
        return job, old, new

    def begin_and_renew(self):
        """Returns the job that runs in the former zygote, and both zygotes."""
        job = self.begin()
        return (job, *self.wait_for_renewal())

    def check(self, job, lost):
        """Where a zygote was killed a second attempt may begin in another sandbox of it, in the moment before that dies."""
        ended = self.end(job)
        self.assertEqual((ended.verdict, ended.attempt > b"1"), ("ok", lost), ended.result)
        self.assertEqual(self.text(ended), "begun\ndone\n")
        self.check_settled()

    def test_successor_before_it_is_ready(self):
        job, old, new = self.begin_and_stop_successor()
        os.kill(new, signal.SIGKILL)
        pool.wait_until(lambda: self.renewals() == 1, "another one")
        self.assertIn("the zygote could not be renewed: the old one goes on", self.pool.read_log())
        self.check(job, lost=False)

    def test_old_one_before_the_successor_is_ready(self):
        job, old, new = self.begin_and_stop_successor()
        os.kill(old, signal.SIGKILL)
        pool.wait_until(lambda: self.pool.zygotes() == [new], "the old one is gone")
        os.kill(new, signal.SIGCONT)
        self.check(job, lost=True)

    def test_both_before_the_successor_is_ready(self):
        job, old, new = self.begin_and_stop_successor()
        os.kill(old, signal.SIGKILL)
        os.kill(new, signal.SIGKILL)
        self.check(job, lost=True)

    def test_sandbox_that_comes_after_its_heir(self):
        """The old zygote is asked for one and stops; the new one is quicker. The late one must not hold the old one."""
        job, old, new = self.begin_and_stop_successor()
        os.kill(old, signal.SIGSTOP)
        other = self.begin()
        time.sleep(0.2)  # the relay asks for the next one a few ms into a job
        os.kill(new, signal.SIGCONT)
        pool.wait_until(lambda: [pool.parent_of(p) for p in self.pool.sandboxes()].count(new) == 2, "both heirs")
        os.kill(old, signal.SIGCONT)
        self.end(other)
        self.check(job, lost=False)

    def test_old_one_while_it_retires(self):
        job, old, new = self.begin_and_renew()
        os.kill(old, signal.SIGKILL)
        self.check(job, lost=True)
        self.assertIn("the sandbox's host process died", self.pool.read_log())

    def test_new_one_while_the_old_one_retires(self):
        job, old, new = self.begin_and_renew()
        os.kill(new, signal.SIGKILL)
        self.assertEqual(self.client.run(LOOK).verdict, "ok")
        self.assertIn(old, self.pool.zygotes())
        self.check(job, lost=False)

    def test_relay_while_the_old_one_retires(self):
        """What it ran, in the old zygote, is dead before the job is given back."""
        job, old, new = self.begin_and_renew()
        sandbox = next(p for p in self.pool.sandboxes() if pool.parent_of(p) == old)
        slot = int(self.client.job(job)["owner"].rpartition(b".")[2])
        os.kill(self.pool.relays()[slot], signal.SIGKILL)
        for entry in self.client.entries(job):
            if entry[b"k"] == b"state" and entry[b"a"] == b"2":
                self.assertFalse(os.path.exists(f"/proc/{sandbox}"), "both attempts were alive")
                break
        self.check(job, lost=True)

    def test_relay_and_old_one_while_it_retires(self):
        """No word of the old zygote will come any more: the supervisor has seen that it is gone."""
        job, old, new = self.begin_and_renew()
        slot = int(self.client.job(job)["owner"].rpartition(b".")[2])
        os.kill(old, signal.SIGSTOP)
        victim = self.pool.relays()[slot]
        os.kill(victim, signal.SIGKILL)
        pool.wait_until(lambda: len(self.pool.relays()) == 2 and victim not in self.pool.relays(), "another relay")
        self.look()
        os.kill(old, signal.SIGKILL)
        self.check(job, lost=True)

    def test_drain_before_the_successor_is_ready(self):
        """It runs no job, and is killed, whatever it is at."""
        job, old, new = self.begin_and_stop_successor()
        self.drain()
        pool.wait_until(lambda: self.pool.zygotes() == [old], "the successor is gone")
        self.check_drained(job)

    def test_drain_while_the_old_one_retires(self):
        job, old, new = self.begin_and_renew()
        self.drain()
        self.assertEqual(self.pool.zygotes(), [old, new])
        self.check_drained(job)

    def drain(self):
        self.pool.process.send_signal(signal.SIGTERM)
        pool.wait_until(lambda: self.count("draining") > 1, "supervisor and relays have heard it")

    def check_drained(self, job):
        pids = [pid for pid in self.pool.sandboxes() if waits_for_signal(pid)]
        os.kill(pids[0], signal.SIGUSR1)
        self.assertEqual([entry[b"k"] for entry in self.client.entries(job)][-1], b"result")
        self.assertEqual(self.pool.process.wait(pool.PATIENCE), 0)


class Failing(Renewal):
    def test_successor_that_cannot_start(self):
        """The library that the first one mapped is replaced by one that will not do: the first one goes on; once that is
        put right, it is renewed."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        path = shutil.copy(pool.program("python-library.zip"), folder)
        self.start(zygote_forks=3, library=path)
        os.rename(path, path + ".good")
        with open(path, "wb") as file:
            file.write(b"no library")
        first = self.look()
        pool.wait_until(lambda: self.count("the zygote could not be renewed") >= 2, "it is tried again")
        self.assertEqual({self.look() for _ in range(5)}, {first})
        os.replace(path + ".good", path)
        pool.wait_until(lambda: self.renewals() >= 1, "the renewal")
        self.check_settled()
        self.assertNotEqual(self.look(), first)


if __name__ == "__main__":
    unittest.main()
