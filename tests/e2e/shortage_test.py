# SPDX-License-Identifier: MIT
"""fork, memfd_create, timers and descriptors fail for a while, all or some of the time: what runs goes on, nobody's attempt is
spent on it, the log says why once, and all is done when there is enough again."""

import contextlib
import os
import resource
import signal
import time
import unittest

import pool

WORKERS = 3
SLEEPER = "import time\nprint('begun', flush=True)\ntime.sleep({})\nprint('done')\n"


def descriptors(pid):
    return {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}


def have_settled(pids):
    """None of them is about to close what it has for a moment."""
    before = [descriptors(pid) for pid in pids]
    time.sleep(0.3)
    return before == [descriptors(pid) for pid in pids]


def lowest_free(pid):
    taken = descriptors(pid)
    return min(set(range(len(taken) + 1)) - taken)


def inboxes(pid):
    """Of sandboxes that the relay has or has asked for."""
    found = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return len([path for path in found if "paddock-inbox" in path])


@contextlib.contextmanager
def limited(limit, pids, most):
    """These may have no more for a while."""
    before = {pid: resource.prlimit(pid, limit) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, limit, (most(pid), hard))
    yield
    for pid, both in before.items():
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, limit, both)


class Shortage(pool.TestCase):
    OPTIONS = {"workers": WORKERS}

    def setUp(self):
        pool.wait_until(lambda: len(self.pool.sandboxes()) == WORKERS, "a sandbox waits for each")
        self.logged = len(self.pool.read_log())

    def log(self):
        return self.pool.read_log()[self.logged:]

    def enqueue(self, code="print(1)"):
        return self.client.enqueue(pool.make_zip(code))

    def suffer(self, limit, pids, most, sentence, code=SLEEPER.format(1)):
        """One job runs when it begins, and there are more than sandboxes that wait."""
        running = self.enqueue(SLEEPER.format(2))
        pool.wait_until(lambda: self.client.redis.xlen(self.client.key("frames:", running)) >= 2, "it has begun")
        pool.wait_until(lambda: len(self.pool.sandboxes()) == WORKERS + 1, "a sandbox waits for each")
        pool.wait_until(lambda: have_settled(pids), "they have what they need")
        with limited(limit, pids, most):
            jobs = [self.enqueue(code) for _ in range(2 * WORKERS)]
            pool.wait_until(lambda: sentence in self.log(), sentence)
            self.check(running)
        for job in jobs:
            self.check(job)
        self.assertNotRegex(self.log(), "the zygote is gone|link lost|left behind|lost:")
        self.assertLessEqual(self.log().count(sentence), 2 * WORKERS, "it is said, and not again and again")

    def check(self, job):
        ended = self.client.wait(job)
        self.assertEqual((ended.verdict, ended.attempt), ("ok", b"1"), ended.result)

    def test_fork(self):
        self.suffer(resource.RLIMIT_NPROC, [self.pool.zygote()], lambda _: 1, "can not fork: Resource temporarily unavailable")

    def test_another_cause_than_before(self):
        """It is said, too: what waited is gone, and none follows."""
        with limited(resource.RLIMIT_NPROC, [self.pool.zygote()], lambda _: 1):
            for sandbox in self.pool.sandboxes():
                os.kill(sandbox, signal.SIGKILL)
            for sentence in "it ended before its job by signal 9", "can not fork: Resource temporarily unavailable":
                pool.wait_until(lambda: self.log().count(sentence) == WORKERS, sentence)
            job = self.enqueue()
        self.check(job)

    def test_causes_in_turns(self):
        """Each is said, and not again and again."""
        for _ in range(6):
            with limited(resource.RLIMIT_NPROC, [self.pool.zygote()], lambda _: 1):
                for sandbox in self.pool.sandboxes():
                    os.kill(sandbox, signal.SIGKILL)
                time.sleep(0.3)
            pool.wait_until(lambda: len(self.pool.sandboxes()) == WORKERS, "a sandbox waits for each")
        self.assertLessEqual(self.log().count("unable to get a sandbox"), 2 * WORKERS)
        self.check(self.enqueue())

    def test_timers(self):
        self.suffer(resource.RLIMIT_SIGPENDING, [self.pool.zygote()], lambda _: 0,
                    "can not fork: Resource temporarily unavailable")

    def test_descriptors_of_relays(self):
        """memfd_create, eventfd and what comes with a message."""
        self.suffer(resource.RLIMIT_NOFILE, self.pool.relays(), lowest_free, "no memory to share: Too many open files")

    def test_descriptors_of_the_zygote(self):
        self.suffer(resource.RLIMIT_NOFILE, [self.pool.zygote()], lowest_free, "the zygote can not fork: Too many open files")

    def test_some_of_the_time(self):
        """There is room for some, whoever comes first."""
        zygote = self.pool.zygote()
        jobs = []
        for _ in range(10):
            with limited(resource.RLIMIT_NPROC, [zygote], lambda _: 1), \
                    limited(resource.RLIMIT_NOFILE, self.pool.relays(), lowest_free):
                jobs += [self.enqueue() for _ in range(4)]
                time.sleep(0.05)
            jobs += [self.enqueue() for _ in range(2)]
            time.sleep(0.05)
        for job in jobs:
            self.check(job)

    def test_a_pidfd_for_which_there_is_no_room(self):
        """The relay had one when it asked: the sandbox is given back, and asked for again."""
        zygote, relays = self.pool.zygote(), self.pool.relays()
        os.kill(zygote, signal.SIGSTOP)
        jobs = [self.enqueue() for _ in range(WORKERS + 1)]
        pool.wait_until(lambda: all(inboxes(relay) == 2 for relay in relays), "they have asked for their next ones")
        with limited(resource.RLIMIT_NOFILE, relays, lowest_free):
            os.kill(zygote, signal.SIGCONT)
            pool.wait_until(lambda: "no room for its pidfd: Too many open files" in self.log(), "it is said")
        for job in jobs:
            self.check(job)
        self.assertNotIn("unable to understand", self.log())

    def test_the_supervisor_can_start_nothing(self):
        """Who has died is started when it can be."""
        pid = self.pool.process.pid
        with limited(resource.RLIMIT_NOFILE, [pid], lambda _: 1 + max(map(int, os.listdir(f"/proc/{pid}/fd")))):
            os.kill(self.pool.relays()[0], signal.SIGKILL)
            os.kill(self.pool.zygote(), signal.SIGKILL)
            pool.wait_until(lambda: "unable to start zygote 0: unable to" in self.log(), "it is said")
            job = self.enqueue()
        self.check(job)


if __name__ == "__main__":
    unittest.main()
