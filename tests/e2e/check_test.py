# SPDX-License-Identifier: MIT
"""paddock check: each layer that is broken on purpose is found out. The kernel is made to lie: a filter that the
supervisor inherits lets a call look as if it had succeeded, which it did not."""

import ctypes
import errno
import json
import os
import platform
import re
import signal
import subprocess
import tempfile
import unittest

import pool

SET_DEATH, SET_DUMPABLE, SET_SECCOMP, DROP_BOUNDING, SET_NO_NEW_PRIVS, SET_MDWE = 1, 4, 22, 24, 38, 65

# The layers that must be found broken; what lies: call, first argument (None: any), only with a third; the way to run.
BROKEN = [
    ({"seccomp", "no network"}, ("prctl", SET_SECCOMP, False), "auto"),  # the files are out of reach twice more
    ({"rlimits"}, ("prlimit64", 0, True), "auto"),
    ({"closed fds", "Landlock"}, ("close_range", 3, False), "auto"),  # with all fds taken, Landlock cannot be attacked
    ({"unprivileged uid"}, ("capset", None, False), "single"),
    ({"unprivileged uid"}, ("prctl", DROP_BOUNDING, False), "auto"),
    ({"unprivileged uid"}, ("prctl", DROP_BOUNDING, False), "single"),
    ({"unprivileged uid"}, ("prctl", DROP_BOUNDING, False), "none"),
    ({"Landlock"}, ("landlock_restrict_self", None, False), "auto"),
    ({"not dumpable"}, ("prctl", SET_DUMPABLE, False), "single"),  # a change of ids clears it, too
    ({"parent's death"}, ("prctl", SET_DEATH, False), "auto"),
    ({"cgroup namespace"}, ("readlinkat", None, False), "auto"),
    ({"no new code"}, ("prctl", SET_MDWE, False), "auto"),
    ({"network namespace", "Landlock"}, ("connect", None, False), "auto"),
    ({"user namespace"}, ("init_module", None, False), "auto"),
    ({"IPC namespace"}, ("shmctl", None, True), "auto"),
    ({"UTS namespace"}, ("sethostname", None, False), "auto"),
    ({"empty root", "mount namespace"}, ("pivot_root", None, False), "auto"),
    ({"CPU limit"}, ("timer_settime", None, False), "auto"),
    ({"CPU limit"}, ("timer_settime", None, False), "single"),
    ({"CPU limit", "wall limit"}, ("kill", None, False), "auto"),
]

if not pool.SANITIZED:  # AddressSanitizer asks who its parent is, too, and waits for another answer
    BROKEN.append(({"PID namespace"}, ("getppid", None, False), "auto"))

# What Paddock's own processes need of the kernel.
NEEDS = ["pidfd_open", "pidfd_send_signal", "kill", "waitid", "poll", "memfd_create", "eventfd2", "signalfd4",
         "timer_create", "socketpair"]
if not pool.SANITIZED:  # AddressSanitizer needs these two itself
    NEEDS += ["wait4", "rt_sigprocmask"]

# What fails openly; the step that is then named.
STEPS = [("setresuid", None, False, "change its ids"), ("close_range", 3, False, "close its file descriptors")]
if not pool.SANITIZED:  # AddressSanitizer sets limits of its own
    STEPS.append(("prlimit64", 0, True, "limit its resources"))


def landlock_abi():
    return max(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1), 0)


def check(*words, **options):
    """How it ended, and {name of a layer: object}."""
    done = subprocess.run([pool.program("paddock-supervisor"), "--check-sandbox", "--json", *words], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=pool.PATIENCE, **options)
    return done, {layer["name"]: layer for layer in map(json.loads, done.stdout.splitlines())}


@unittest.skipUnless(os.geteuid() == 0 and platform.machine() == "x86_64", "needs root, to put a filter on, and its numbers")
class Broken(unittest.TestCase):
    def test_whole(self):
        done, layers = check()
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual([name for name, layer in layers.items() if layer["granted"] and not layer["holds"]], [])
        self.assertIn("control groups", layers)

    def test_each_lie_is_found_out(self):
        for names, (call, first, third), way in BROKEN:
            with self.subTest(call=call, first=first):
                _, usual = check("--isolation", way)
                if not all(usual[name]["holds"] for name in names):
                    continue  # not granted here
                done, layers = check("--isolation", way, preexec_fn=lambda: pool.lie(call, first, third))
                broken = {name for name, layer in layers.items() if usual[name]["holds"] and not layer["holds"]}
                self.assertEqual(broken, names, done)
                self.assertEqual(done.returncode, 125)

    def test_what_cannot_be_put_on_ends_the_start(self):
        """Where a step fails openly, nothing runs, and the reason is said."""
        done, _ = check(preexec_fn=lambda: pool.lie("prctl", SET_NO_NEW_PRIVS, False))
        self.assertNotEqual(done.returncode, 0)

    def test_which_step_fails_and_why(self):
        for call, first, third, step in STEPS:
            with self.subTest(call):
                done, _ = check(preexec_fn=lambda: pool.lie(call, first, third, errno.EPERM))
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(f"a sandbox cannot be locked: unable to {step}: Operation not permitted", done.stderr)
                self.assertNotIn("does not hold", done.stderr)

    def test_what_paddock_needs_of_the_kernel(self):
        """Refused to its own processes it would fail the first job; so nothing is started, and it is said what and why."""
        for call in NEEDS:
            for error, text in ((errno.EPERM, "Operation not permitted"), (errno.ENOSYS, "Function not implemented")):
                with self.subTest(call, error=text):
                    done, layers = check(preexec_fn=lambda: pool.lie(call, None, False, error))
                    self.assertEqual((done.returncode, layers), (125, {}), done)
                    self.assertRegex(done.stderr, rf"^error supervisor\[\d+\] {call} is refused here, .*: {text}\n$")
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run([pool.program("paddock-supervisor"), "--runtime_dir", folder], capture_output=True, text=True,
                                      timeout=pool.PATIENCE, preexec_fn=lambda: pool.lie(call, None, False, errno.EPERM))
                self.assertEqual(done.returncode, 125, done)
                self.assertEqual(os.listdir(folder), [])

    @unittest.skipIf(pool.SANITIZED, "AddressSanitizer needs more than these limits leave")
    def test_limits_that_it_was_started_with(self):
        """Too low for Paddock: said by name, as ulimit has them; and one that may be raised is raised."""
        for option, low in ("-v", 100000), ("-d", 1000), ("-f", 100), ("-n", 40), ("-u", 10), ("-i", 1), ("-t", 3), ("-s", 1024):
            with self.subTest(option):
                done = subprocess.run(["bash", "-c", f'ulimit {option} {low}; exec "$0" --check-sandbox', pool.program("paddock-supervisor")],
                                      capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)
                self.assertEqual((done.returncode, done.stdout), (125, ""), done)
                self.assertIn(f"(ulimit {option}) is ", done.stderr)
        done = subprocess.run(["bash", "-c", 'ulimit -Sn 40; exec "$0" --check-sandbox', pool.program("paddock-supervisor")],
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)
        self.assertEqual(done.returncode, 0, done)

    def test_open_files_for_so_many_workers(self):
        """Those that it must have, and those of control groups, without which it can do."""
        for limit, workers, code, said in ((300, 100, 125, "(ulimit -n) is 300, and Paddock needs 528"), (300, 20, 0, "no control groups: ")):
            with self.subTest(limit=limit, workers=workers):
                done = subprocess.run(["bash", "-c", f'ulimit -n {limit}; exec "$0" --check-sandbox --workers={workers}',
                                       pool.program("paddock-supervisor")], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                      timeout=pool.PATIENCE)
                self.assertEqual(done.returncode, code, done)
                self.assertIn(said, done.stderr)

    def test_children_are_not_reaped_for_it(self):
        """Whoever started it may have ignored SIGCHLD."""
        done = subprocess.run(["bash", "-c", "trap '' CHLD; exec \"$0\" --check-sandbox", pool.program("paddock-supervisor")],
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)
        self.assertEqual(done.returncode, 0, done)

    def test_no_notifications(self):
        """Where forbidden calls cannot be heard of, that is found out, and nobody waits for ever."""
        done, layers = check(preexec_fn=lambda: pool.lie("ioctl", None, False, errno.EPERM))
        self.assertEqual((done.returncode, layers["forbidden calls"]["holds"]), (125, False), done)

    def test_nothing_ends_a_sandbox(self):
        """Where one that stands in a call cannot be killed, that is said, and nobody waits for ever."""
        done, _ = check(preexec_fn=lambda: (pool.lie("ioctl", None, False, errno.EPERM), pool.lie("kill", None, False)))
        self.assertEqual(done.returncode, 125, done)
        self.assertIn("a sandbox cannot be ended here: it outlives a SIGKILL", done.stderr)

    def test_a_child_without_ids_ends_by_itself(self):
        """One that is started in a way that is not granted: by root of a namespace that has but one id."""
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            pool.copy_programs(os.path.join(folder, "bin"))
            done = subprocess.run(["unshare", "-Ur", os.path.join(folder, "bin", "paddock-supervisor"), "--check-sandbox", "--isolation=range"],
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=pool.PATIENCE, user=pool.STRANGER,
                                  group=pool.STRANGER, extra_groups=[], preexec_fn=lambda: pool.lie("kill", None, False))
        self.assertEqual(done.returncode, 125, done)
        self.assertIn("unable to start zygote 0: unable to map ids: Operation not permitted", done.stderr)

    def test_a_zygote_that_says_nothing(self):
        """It is given up, and that is said."""
        process = subprocess.Popen([pool.program("paddock-supervisor"), "--check-sandbox"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        found = pool.wait_until(lambda: [pid for pid, name in pool.children_of(process.pid).items() if name.startswith("paddock-zyg")],
                                "a zygote starts")
        os.kill(min(found), signal.SIGSTOP)
        _, said = process.communicate(timeout=pool.PATIENCE)
        self.assertEqual(process.returncode, 125, said)
        self.assertRegex(said, r"the check was given up after \d+ s, in which the zygote said nothing\n")

    def test_no_pool_without_limits(self):
        """What `check` finds out keeps a pool from starting, too."""
        for call, name in ("timer_settime", "CPU limit"), ("kill", "wall limit"):
            with self.subTest(call), tempfile.TemporaryDirectory() as folder:
                done = subprocess.run([pool.program("paddock-supervisor"), "--runtime_dir", folder], capture_output=True, text=True,
                                      timeout=pool.PATIENCE, preexec_fn=lambda: pool.lie(call, None, False))
                self.assertEqual(done.returncode, 125, done)
                self.assertIn(f"a mandatory layer of the sandbox does not hold: {name}\n", done.stderr)
                self.assertEqual(os.listdir(folder), [])

    def test_what_the_kernel_has_is_granted(self):
        """No layer that this kernel offers is left out unnoticed."""
        _, layers = check()
        release = tuple(map(int, re.match(r"(\d+)\.(\d+)", platform.release()).groups()))
        self.assertEqual(layers["no new code"]["granted"], release >= (6, 3))
        self.assertEqual(layers["Landlock"]["granted"], landlock_abi() > 0)
        self.assertTrue(all(layers[name]["granted"] for name in ("own uid", "parent's death", "cgroup namespace", "user namespace")))

    def test_landlock_handles_all_that_it_can(self):
        """As landlock(7) has the rights of each ABI."""
        abi = landlock_abi()
        if abi == 0:
            self.skipTest("this kernel has no Landlock")
        files = (1 << 13) - 1
        for number, bit in ((2, 13), (3, 14), (5, 15)):
            files |= (abi >= number) << bit
        with tempfile.NamedTemporaryFile("r") as calls:
            subprocess.run(["strace", "-f", "-q", "-X", "raw", "-e", "trace=landlock_create_ruleset", "-o", calls.name,
                            pool.program("paddock-supervisor"), "--check-sandbox"], stdout=subprocess.DEVNULL,
                           stdin=subprocess.DEVNULL, timeout=pool.PATIENCE)
            found = re.findall(r"handled_access_fs=(0x[0-9a-f]+)(?:, handled_access_net=(0x[0-9a-f]+))?", calls.read())
        self.assertEqual({int(fs, 16) for fs, _ in found}, {files}, found)
        if all(net for _, net in found):  # an older strace does not know it
            self.assertEqual({int(net, 16) for _, net in found}, {3})

    def test_missing_is_not_broken(self):
        done, layers = check("--isolation=none", "--cgroup=none")
        self.assertEqual(done.returncode, 0)
        for name in ("PID namespace", "memory group", "tasks group", "control groups"):
            self.assertEqual((layers[name]["holds"], layers[name]["granted"]), (False, False))
        self.assertEqual(layers["control groups"]["detail"], "none: as configured")


if __name__ == "__main__":
    unittest.main()
