# SPDX-License-Identifier: MIT
"""The attack suite: every row of attacks/ as a real job through a real pool, in each of the three ways to run, beside
honest jobs whose results must stay what they are; and what no program can do by itself: processes killed and stopped, a
Redis that goes, blobs that vanish. Whatever was tried, nothing is left of it."""

import contextlib
import os
import re
import secrets
import signal
import subprocess
import unittest

import attacks
import faults_test
import mixed_test
import pool
import recording
from attacks import control, cpu, interpreter, kernel, memory, network, output, processes

MODULES = {"A": processes, "B": kernel, "C": network, "D": memory, "E": cpu, "F": output, "G": interpreter}
WORKERS = 3
ANY = {"workers": WORKERS, "allow_ctypes": "yes"}  # in each of the ways to run
UIDS = range(1879048192, 1879048192 + 65536)  # of uid_first
HONEST = "import json, math\nprint(json.dumps(['{}', math.sqrt(16)]))\n"
# What other pools and tests of the same user have there while we look.
OTHERS = ("paddock-",)


def calls_of(letter):
    return getattr(MODULES[letter], "CALLS", [])


def attacks_of(letter):
    rows = MODULES[letter].ATTACKS + list(attacks.jobs_of(calls_of(letter)))
    return [row for row in rows if row.asan or not pool.SANITIZED]


def refused_calls():
    """[(name, number, errno)] and [(name, number)] of the policy's rows that look at no argument: refused, and forbidden."""
    text = subprocess.run([pool.program("paddock"), "check", "--policy"], capture_output=True, text=True, check=True).stdout
    numbers = dict(re.findall(r"#define __NR_(\w+) (\d+)", read("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")))
    rows = [(line.split()[1:3], line.rpartition(";")) for line in text.splitlines() if ";" in line]
    whole = [(action, name, about.rpartition("; ")[2]) for (action, name), (about, _, condition) in rows if not condition]
    return ([(name, int(numbers[name]), answer) for action, name, answer in whole if action == "errno"],
            [(name, int(numbers[name])) for action, name, _ in whole if action == "kill"])


class Ended:
    """A job that has ended, as the rows look at it."""

    def __init__(self, job):
        self.result, self.recording, self.verdict = job.result, job.recording, job.verdict

    @property
    def records(self):
        return recording.decode(self.recording, partial=True)

    @property
    def text(self):
        return recording.text(self.records)

    @property
    def errors(self):
        return recording.text(self.records, "err")


# ---- what is left ----

def is_ours(uid):
    return uid in UIDS or uid == pool.STRANGER


def files_of_sandboxes():
    found = []
    for folder in "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/run/lock":
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):  # others come and go while we look
                if not name.startswith(OTHERS) and is_ours(os.lstat(path).st_uid):
                    found.append(path)
    return found


def keys_of_sandboxes():
    with open("/proc/key-users") as file:
        return [line for line in file if is_ours(int(line.partition(":")[0]))]


def ipc_objects(pid):
    """Shared memory, semaphores and queues where the process is, but for those of others."""
    names = [f"/proc/sysvipc/{kind}" for kind in ("shm", "sem", "msg")]
    enter = ["nsenter", "--target", str(pid), "--ipc"] if os.geteuid() == 0 else []
    text = subprocess.run([*enter, "cat", *names], capture_output=True, text=True, check=True).stdout
    same = os.readlink(f"/proc/{pid}/ns/ipc") == os.readlink("/proc/self/ns/ipc")
    rows = [line for line in text.splitlines() if not line.lstrip().startswith("key")]
    return [] if same and os.geteuid() != 0 else [r for r in rows if not same or any(is_ours(int(w)) for w in r.split())]


def escaped():
    """Sandboxes that have lost their zygote: in a namespace there can be none."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as file:
                head, _, tail = file.read().rpartition(")")
        except OSError:
            continue
        if head.endswith("(paddock-sandbox") and tail.split()[1] == "1" and tail.split()[0] != "Z":
            found.append(entry)
    return found


def read(path):
    with open(path) as file:
        return file.read()


class State:
    """What attacks must not change, and what is left of them: nothing that was not there before."""

    def __init__(self, p):
        self.fds = p.count_fds()  # of the supervisor, the zygote and the relays, by pid
        self.mounts = {pid: read(f"/proc/{pid}/mountinfo") for pid in self.fds}
        self.groups = {pid: read(f"/proc/{pid}/cgroup") for pid in self.fds}
        self.left = {*files_of_sandboxes(), *keys_of_sandboxes(), *ipc_objects(p.zygote()), *escaped()}

    def difference(self, p):
        now = State(p)
        now.left |= self.left  # what others left may go
        return [(name, before, getattr(now, name)) for name, before in vars(self).items() if before != getattr(now, name)]


def resident_kb(pid):
    return int(re.search(r"^VmRSS:\s*(\d+)", read(f"/proc/{pid}/status"), re.M)[1])


# ---- the three ways ----

class Attacked:
    """Every letter's rows in a pool of one way. Subclasses say which way, and are tests."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.before = State(cls.pool)

    def check(self, row, job):
        with self.subTest(row=row.id, what=row.what):
            ended = Ended(job)
            self.assertIn(ended.verdict, row.verdicts.split(), ended.result)
            self.assertIn(row.claim, ended.result.get("claim", ""))
            if row.call:
                self.assertEqual(ended.result["call"], row.call)
            if row.out is not None:
                self.assertEqual(ended.text, row.out)
            if row.check is not None and not row.check(ended):
                self.fail((ended.result, ended.recording[:2000]))

    def check_honest(self, token, job, what):
        with self.subTest(honest=what):
            self.assertEqual((job.verdict, job.attempt), ("ok", b"1"), job.result)
            self.assertEqual(recording.text(recording.decode(job.recording)), f'["{token}", 4.0]\n')

    def enqueue_honest(self):
        token = secrets.token_hex(16)
        return token, self.client.enqueue(pool.make_zip(HONEST.format(token)))

    def attack(self, letter):
        """Attacks and honest programs in turn, and as many at once as there are workers."""
        jobs = []
        for row in attacks_of(letter):
            data = row.source if isinstance(row.source, bytes) else pool.make_zip(row.source)
            jobs.append((row, self.client.enqueue(data, **row.fields), self.enqueue_honest()))
        for row, job, (token, honest) in jobs:
            self.check(row, self.client.wait(job))
            self.check_honest(token, self.client.wait(honest), row.what)
        self.check_every_slot()
        self.check_nothing_left()

    def check_every_slot(self):
        """Jobs that each take a while, as many at once as there are slots, until every slot has had one."""
        code = pool.make_zip("import time\ntime.sleep(0.1)\nprint('here')\n")
        owners = set()

        def round_of_jobs():
            jobs = [self.client.enqueue(code) for _ in range(WORKERS)]
            for job in jobs:
                self.assertEqual(self.client.wait(job).verdict, "ok")
                owners.add(self.client.job(job)["owner"])
            return len(owners) == WORKERS

        pool.wait_until(round_of_jobs, "every slot runs jobs")

    def check_nothing_left(self):
        difference = self.before.difference(self.pool)
        pool.wait_until(lambda: not self.before.difference(self.pool), f"all is as before: {difference}", 20)
        self.assertEqual(pool.keys_without_expiry(self.client), [])
        for name in "lease", "dead", "delayed":
            self.assertEqual(self.client.redis.zcard(self.client.key(name)), 0, name)
        if not pool.SANITIZED:
            for pid in self.before.fds:
                self.assertLess(resident_kb(pid), 64 << 10, "memory of a process that serves many jobs")

    def test_A_processes(self):
        self.attack("A")

    def test_B_kernel(self):
        self.attack("B")

    def test_B_every_call_that_is_refused(self):
        """Each row of the policy without a condition, by its number, with arguments that mean nothing: the filter asks for
        none. Outside of a sandbox the kernel gives another answer (sandbox.syscalls has the controls)."""
        refused, forbidden = refused_calls()
        self.assertGreater(len(refused), 60)
        code = attacks.RAW + f"for name, number, answer in {refused!r}:\n    said = call(number, -1, -1, -1, -1, -1)\n" \
            "    if said != answer: print(name, said, answer)\nprint('done')\n"
        job = self.client.run(code)
        self.assertEqual(recording.text(recording.decode(job.recording, partial=True)), "done\n", job.result)
        jobs = [(name, self.client.enqueue(pool.make_zip(attacks.RAW + f"call({number}, -1, -1, -1, -1, -1)\n")))
                for name, number in forbidden]
        self.assertGreater(len(jobs), 30)
        for name, job in jobs:
            ended = self.client.wait(job)
            self.assertEqual((ended.verdict, ended.result["call"]), ("forbidden", name), ended.result)

    def test_C_network(self):
        self.attack("C")

    def test_D_memory(self):
        self.attack("D")

    def test_E_cpu(self):
        self.attack("E")

    def test_F_output(self):
        self.attack("F")

    def test_G_interpreter(self):
        self.attack("G")

    def test_D08_two_jobs_do_not_share_a_limit(self):
        code = "x = bytearray(38 << 20)\nimport time\ntime.sleep(0.2)\nprint(len(x))\n"
        jobs = [self.client.enqueue(pool.make_zip(code), memory_mb=64) for _ in range(2)]
        self.assertEqual([self.client.wait(job).verdict for job in jobs], ["ok", "ok"])

    def test_F07_no_bell_spins_its_relay(self):
        """One that rings in vain, in one thread or several, and one that rings for a byte each time."""
        def woken(pid):
            with open(f"/proc/{pid}/status") as file:
                return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M)[1])

        bell = "import os, threading\ndef f():\n    while True: os.write(0, b'\\x01' + bytes(7))\n"
        with pool.Pool(workers=1) as p:
            relay, = p.relays()
            for source in (bell + "f()\n", bell + "for _ in range(3): threading.Thread(target=f).start()\nf()\n",
                           "import os\nwhile True:\n    os.write(1, b'x')\n    os.write(0, b'\\x01' + bytes(7))\n"):
                with self.subTest(source):
                    before = woken(relay)
                    job = p.client.run(source, cpu_ms="1000", wall_ms="60000", output_kb="65536")
                    self.assertEqual(job.verdict, "cpu_limit", job.result)
                    self.assertLess(woken(relay) - before, job.result["wall_ms"], "less than one a millisecond")

    def test_G20_nothing_is_seen_of_the_job_before(self):
        first = ("import json, os, builtins, random, locale, sys\njson.left = builtins.left = 1\nos.environ['LEFT'] = '1'\n"
                 "random.seed(0)\nsys.path.append('/left')\nsys.modules['left'] = sys\nos.umask(0o777)\n")
        second = ("import json, os, builtins, sys\nprint(hasattr(json, 'left'), 'LEFT' in os.environ,"
                  " hasattr(builtins, 'left'), '/left' in sys.path, 'left' in sys.modules, os.umask(0) == 0o777)\n")
        for code, text in [(first, "")] * 6 + [(second, "False " * 5 + "False\n")] * 6:
            job = self.client.run(code)
            self.assertEqual((job.verdict, recording.text(recording.decode(job.recording))), ("ok", text))

    def test_G21_random_numbers_differ(self):
        code = "import random, secrets, uuid\nprint(random.random(), random.getrandbits(64), uuid.uuid4())\n"
        outputs = {recording.text(recording.decode(self.client.run(code).recording)).split()[i]
                   for _ in range(8) for i in range(3)}
        self.assertEqual(len(outputs), 24)

    def test_I05_1000_poison_jobs(self):
        poison = [("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "crashed"),
                  ("import os\nos._exit(0)\n", "vanished"), (attacks.RAW + "call(101, 0, 0, 0, 0)\n", "forbidden"),
                  ("1 / 0\n", "exception")]
        jobs = []
        for i in range(100 if pool.SANITIZED else 1000):
            code, verdict = poison[i % len(poison)]
            jobs.append((self.client.enqueue(pool.make_zip(code)), verdict))
        for job, verdict in jobs:
            ended = self.client.wait(job)
            self.assertEqual(ended.verdict, verdict, ended.result)
        self.check_every_slot()
        self.check_nothing_left()


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class AsRoot(Attacked, pool.TestCase):
    OPTIONS = {**ANY, "isolation": "range"}

    def test_G22_who_it_is(self):
        job = self.client.run("import os\nids = os.getresuid() + os.getresgid()\n"
                              "print(len(set(ids)) == 1 and ids[0] in range(1, 65536), os.getgroups())\n")
        self.assertEqual(recording.text(recording.decode(job.recording)), "True []\n")

    def test_I07_process_numbers_are_used_again(self):
        """Each sandbox gets the number of the one before: what is said of one is never taken for the other."""
        seen = []
        for n in range(12):
            self.start_over()
            code = "import os\nprint(os.getpid())\n" + ("while True: pass\n" if n % 2 else "")
            job = self.client.run(code, cpu_ms=50)
            seen.append(recording.text(recording.decode(job.recording, partial=True)))
            self.assertEqual(job.verdict, "cpu_limit" if n % 2 else "ok", job.result)
        self.assertLess(len(set(seen)), len(seen))

    def start_over(self):
        """The next process of the zygote's namespace gets the lowest number that is free."""
        subprocess.run(["nsenter", "--target", str(self.pool.zygote()), "--pid", "sh", "-c",
                        "echo 1 > /proc/sys/kernel/ns_last_pid"], check=True)


class AsUser(Attacked, pool.TestCase):
    OPTIONS = {**ANY, "isolation": "single", **({"user": pool.STRANGER} if os.geteuid() == 0 else {})}


class WithoutNamespaces(Attacked, pool.TestCase):
    OPTIONS = {**ANY, "born": {"preexec_fn": pool.refuse_namespaces}, **({"user": pool.STRANGER} if os.geteuid() == 0 else {})}


# ---- the filter, and not the kernel ----

class Controls(unittest.TestCase):
    """Each call that is refused, made outside of any sandbox by a user without power: it gets another answer. What is
    forbidden in a sandbox, which ends the program, returns there."""

    def test_it_is_the_filter_that_says_no(self):
        calls = [c for letter in MODULES for c in calls_of(letter)]
        answers = control.ask(calls)
        for row in calls:
            with self.subTest(row.id, name=row.name, arguments=row.arguments):
                answer = answers.get((row.id, row.name))
                if not row.same:
                    self.assertIsNotNone(answer, "it did not return")
                    self.assertNotEqual(answer, row.answer)


# ---- what no program can do ----

class Lifecycle:
    """I, and what else is done to a pool and not by a program. faults_test and mixed_test have the rest."""

    WAY = {}

    def start(self, **options):
        self.pool = self.enterContext(pool.Pool(**self.WAY, **options))
        self.client = self.pool.client
        return self.pool

    def test_A24_sandbox_dies_as_its_job_comes(self):
        self.start(workers=1)
        for _ in range(10):
            self.pool.count_fds()  # when a sandbox waits
            victim, = self.pool.sandboxes()
            job = self.client.enqueue(pool.make_zip("print(1)"))
            with contextlib.suppress(ProcessLookupError):  # the program may be over already
                os.kill(victim, signal.SIGKILL)
            self.assertEqual(self.client.wait(job).verdict, "ok")

    def test_I02_relay_stopped(self):
        """Its job is given to the other worker; what it says when it goes on changes nothing."""
        self.start(workers=2, lease_ms=1000)
        job = self.client.enqueue(pool.make_zip("import time\nprint('begun', flush=True)\ntime.sleep(0.5)\nprint('done')\n"))
        faults_test.begun(self.client, job)
        slot = int(self.client.job(job)["owner"].rpartition(b".")[2])
        relay = self.pool.relays()[slot]
        os.kill(relay, signal.SIGSTOP)
        ended = self.client.wait(job)
        os.kill(relay, signal.SIGCONT)
        self.assertEqual((ended.verdict, ended.attempt), ("ok", b"2"), ended.result)
        for _ in range(4):
            self.assertEqual(self.client.run("print(1)").verdict, "ok")
        self.assertEqual(self.client.wait(job).result, ended.result)

    def test_I02_sandbox_stopped(self):
        self.start(workers=1)
        job = self.client.enqueue(pool.make_zip("print('begun', flush=True)\nwhile True: pass\n"), wall_ms=500)
        faults_test.begun(self.client, job)
        os.kill(self.pool.sandboxes()[0], signal.SIGSTOP)
        self.assertEqual(self.client.wait(job).verdict, "wall_limit")
        self.assertEqual(self.client.run("print(1)").verdict, "ok")

    def test_I03_redis_drops_while_a_job_ends(self):
        """The result is kept until Redis is back, and comes once."""
        with pool.RedisServer("--appendonly", "yes") as server:
            self.start(workers=1, redis=server.address)
            job = self.client.enqueue(pool.make_zip(faults_test.SLOW))
            faults_test.begun(self.client, job)
            sandbox = self.pool.sandboxes()[0]
            server.stop()
            pool.wait_until(lambda: not os.path.exists(f"/proc/{sandbox}"), "the program ends")
            server.start("--appendonly", "yes")
            ended = self.client.wait(job)
            self.assertEqual((ended.verdict, ended.attempt), ("ok", b"1"), ended.result)
            self.assertEqual(recording.text(recording.decode(ended.recording)), "begun\ndone\n")
            self.assertEqual(self.client.run("print(1)").verdict, "ok")
            self.pool.stop()

    def test_I04_blob_vanishes(self):
        self.start(workers=1)
        job = self.client.enqueue(pool.make_zip("print(1)"), delay_ms=300)
        self.assertEqual(self.client.redis.delete(self.client.key("zip:", job)), 1)
        self.assertEqual(self.client.wait(job).verdict, "fault")
        self.assertEqual(self.client.run("print(1)").verdict, "ok")

    def test_I08_no_clock_that_can_be_stepped(self):
        """The machine's clock is not ours to step in a test: who measures must not ask for it."""
        for folder in "common", "worker", "supervisor", "queue":
            for path, _, names in os.walk(os.path.join(pool.ROOT, folder)):
                for name in names:
                    if name.endswith((".c", ".h")) and name != "log.c":  # which tells people when
                        text = read(os.path.join(path, name)).replace("FUTEX_CLOCK_REALTIME", "")
                        self.assertNotRegex(text, r"\bCLOCK_REALTIME\b|\b(gettimeofday|time)\(", os.path.join(path, name))

    def test_I09_same_names(self):
        """Two jobs with the same files, at once: each sees its own. The same id: there is one job."""
        self.start(workers=2)
        program = {"robot.py": "import time, arm\ntime.sleep(0.1)\nprint(arm.TOKEN, open('data.txt').read())\n"}
        tokens = [secrets.token_hex(8) for _ in range(6)]
        jobs = [self.client.enqueue(pool.make_zip({**program, "arm.py": f"TOKEN = '{t}'\n", "data.txt": t})) for t in tokens]
        for token, job in zip(tokens, jobs):
            ended = self.client.wait(job)
            self.assertEqual(recording.text(recording.decode(ended.recording)), f"{token} {token}\n")
        with self.assertRaisesRegex(AssertionError, "duplicate done"):
            self.client.enqueue(pool.make_zip("print(1)"), jobs[0])

    def test_I10_side_channels_are_out_of_scope_and_said_so(self):
        text = read(os.path.join(pool.ROOT, "docs", "SECURITY.md"))
        self.assertIn("side channels", text[text.index("## What is not a boundary"):])


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class LifecycleAsRoot(Lifecycle, unittest.TestCase):
    WAY = {"isolation": "range"}


class LifecycleAsUser(Lifecycle, unittest.TestCase):
    WAY = {"isolation": "single", **({"user": pool.STRANGER} if os.geteuid() == 0 else {})}


class LifecycleWithoutNamespaces(Lifecycle, unittest.TestCase):
    WAY = {"born": {"preexec_fn": pool.refuse_namespaces}, **({"user": pool.STRANGER} if os.geteuid() == 0 else {})}


# Rows that are tests elsewhere, which have more than the row in view.
ELSEWHERE = {
    "I1": faults_test.Faults.test_zygote_killed,
    "I6": mixed_test.Mixed.test_every_job_ends_as_it_must,
}


class Complete(unittest.TestCase):
    def test_every_row_is_there(self):
        listed = {f"{letter}{n}" for letter, count in attacks.COUNTS.items() for n in range(1, count + 1)}
        found = set(ELSEWHERE)
        for letter in MODULES:
            found |= {row.id for row in MODULES[letter].ATTACKS + calls_of(letter)}
        for case in Attacked, AsRoot, Lifecycle:
            names = [re.match(r"test_([A-I])(\d+)_", name) for name in dir(case)]
            found |= {f"{name[1]}{int(name[2])}" for name in names if name}
        self.assertEqual(sorted(listed ^ found), [])

    def test_each_row_is_in_its_table(self):
        for letter, module in MODULES.items():
            for row in module.ATTACKS + calls_of(letter):
                self.assertEqual(row.id[0], letter)


if __name__ == "__main__":
    unittest.main()
