# SPDX-License-Identifier: MIT
"""Limits of memory and their verdicts: by Python's own word, by the kernel's, and for whom neither counts."""

import contextlib
import glob
import mmap
import os
import resource
import signal
import subprocess
import tempfile
import unittest

import pool
import recording

MADV_COLLAPSE = 25

# A megabyte at a time, slowly: what its group may hold is changed meanwhile.
SLOW = ("import time\nprint('before', flush=True)\nkept = []\nfor _ in range(150):\n    kept.append(b'x' * (1 << 20))\n"
        "    time.sleep(0.02)\nprint('after')\n")

CAUGHT = ("kept = []\ntry:\n    while True: kept.append(bytearray(1 << 20))\nexcept MemoryError:\n    count = len(kept)\n"
          "    kept.clear()\nprint(count)\n")


def groups():
    """Every pool's group that there is, in all hierarchies."""
    return set(glob.glob("/sys/fs/cgroup/**/paddock-*", recursive=True))


def leaf_of(pid, controller="memory"):
    """The folder of a process's group, or "" where it is none of a pool's."""
    with open(f"/proc/{pid}/cgroup") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    for _, controllers, path in lines:
        if controller in controllers.split(",") and "paddock-" in path:
            return f"/sys/fs/cgroup/{controller}{path}"
    for _, controllers, path in lines:
        if not controllers and "paddock-" in path:
            return f"/sys/fs/cgroup{path}"
    return ""


def limit_file(leaf):
    return os.path.join(leaf, "memory.max" if os.path.exists(leaf + "/memory.max") else "memory.limit_in_bytes")


def limit_of(leaf):
    with open(limit_file(leaf)) as file:
        return int(file.read())


def makes_huge_pages():
    """Can it, does it, and has it any left?"""
    size = 8 << 20
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.write(bytes(size))
        try:
            memory.madvise(MADV_COLLAPSE)
        except OSError:
            return False
    return True


def has_groups(p):
    return "cgroup: v" in p.read_log()


@unittest.skipIf(pool.SANITIZED, "AddressSanitizer has its own memory, and ends a process that gets none")
class Memory(pool.TestCase):
    def text(self, job):
        return recording.text(recording.decode(job.recording, partial=True))

    def need_groups(self):
        if not has_groups(self.pool):
            self.skipTest("no control groups here")

    def test_memory_error_by_claim(self):
        job = self.client.run("x = []\nwhile True: x.append(bytearray(1 << 20))", memory_mb=32)
        self.assertEqual((job.verdict, job.result["signal"]), ("memory_limit", 0), job.result)
        self.assertIn("MemoryError", job.result["claim"])
        self.assertIn("32 MB", job.result["sentence"])

    def test_memory_error_that_is_caught(self):
        """It comes before the group's limit, at every size, and the program goes on."""
        for memory in (16, 64, 200):
            with self.subTest(memory):
                job = self.client.run(CAUGHT, memory_mb=memory)
                self.assertEqual(job.verdict, "ok", job.result)
                self.assertGreater(int(self.text(job)), memory * 3 // 4 - 4)

    def leaves(self):
        return [leaf for leaf in map(leaf_of, self.pool.sandboxes()) if leaf]

    def start(self, code, **fields):
        """A job that runs, and the lowest of the limits that its pool's groups have then: its own."""
        usual = max(pool.wait_until(lambda: [limit_of(leaf) for leaf in self.leaves()], "sandboxes are born"))
        job = self.client.enqueue(pool.make_zip(code), wall_ms=60000, **fields)
        leaf = pool.wait_until(lambda: min((l for l in self.leaves() if limit_of(l) < usual), key=limit_of, default=None),
                               "the limit of its group is set")
        return job, leaf

    def test_killed_by_its_group(self):
        """No program can get that far (RLIMIT_DATA comes first): so the group is made smaller while one runs."""
        self.need_groups()
        job, leaf = self.start(SLOW, memory_mb=200)
        with open(limit_file(leaf), "w") as file:
            file.write(str(60 << 20))
        job = self.client.wait(job)
        self.assertEqual((job.verdict, job.result["signal"], job.result["exit_code"]), ("memory_limit", 9, 85), job.result)
        self.assertIn("control group", job.result["detail"])
        self.assertIn("200 MB", job.result["sentence"])
        self.assertNotIn("group", job.result["sentence"])
        self.assertGreater(job.result["memory_kb"], 50 << 10)
        self.assertLessEqual(job.result["memory_kb"], 60 << 10)
        self.assertEqual(self.text(job), "before\n")
        self.assertEqual(self.client.run("print(1)").verdict, "ok")

    def test_limit_is_the_job_s_own(self):
        """As far above the job's memory as it is stated, whatever the job before on the same leaf had."""
        self.need_groups()
        above = set()
        for memory in (32, 400, 32):
            job, leaf = self.start("import time\ntime.sleep(0.5)", memory_mb=memory)
            above.add(limit_of(leaf) - (memory << 20) * 257 // 256 >> 14)
            self.assertEqual(self.client.wait(job).verdict, "ok")
        self.assertEqual(len(above), 1, above)
        self.assertGreater(min(above), 32 << 6)

    def test_peak_is_the_job_s_own(self):
        self.need_groups()
        sizes = [self.client.run(f"x = bytearray({size} << 20)", memory_mb=200).result.get("memory_kb", 0)
                 for size in (100, 1, 100, 1)]
        self.assertGreater(min(sizes[0], sizes[2]), 100 << 10)
        self.assertLess(max(sizes[1], sizes[3]), 100 << 10)

    def test_two_at_once(self):
        """Two jobs of 60 % each do not take one another's memory."""
        code = "import time\nx = b'x' * (38 << 20)\ntime.sleep(0.5)\nprint(len(x))"
        jobs = [self.client.enqueue(pool.make_zip(code), memory_mb=64) for _ in range(2)]
        for job in map(self.client.wait, jobs):
            self.assertEqual(job.verdict, "ok", job.result)

    def test_killed_from_outside_is_no_limit(self):
        """A SIGKILL that no count of the group explains is ours, and the job runs again."""
        job = self.client.enqueue(pool.make_zip("import time\ntime.sleep(1)\nprint('done')"), wall_ms=60000)
        pool.wait_until(lambda: self.client.job(job).get("state") == b"running", "it runs")
        for pid in self.pool.sandboxes():
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.client.wait(job).verdict, "ok")

    @unittest.skipUnless(makes_huge_pages(), "the kernel makes no huge pages of others")
    def test_zygote_s_pages_are_huge(self):
        """As many as fit between where its memory starts and ends."""
        with open(f"/proc/{self.pool.zygote()}/smaps_rollup") as file:
            kib = next(int(line.split()[1]) for line in file if line.startswith("AnonHugePages:"))
        self.assertGreater(kib, 0)

    def test_where_sandboxes_live(self):
        self.need_groups()
        zygote = self.pool.zygote()
        for controller in ("memory", "pids"):
            lives = pool.wait_until(
                lambda: [leaf_of(pid, controller) for pid in self.pool.sandboxes()], "sandboxes are born")
            self.assertNotIn("", lives)
            self.assertEqual(len(set(lives)), len(lives), lives)
            self.assertNotIn(leaf_of(zygote, controller), lives)


def log_of(*words, **options):
    return subprocess.run([pool.program("paddock-supervisor"), *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=pool.PATIENCE, **options)


class Groups(unittest.TestCase):
    def test_none_is_no_error(self):
        with pool.Pool(workers=1, cgroup="none", log_level="info") as p:
            self.assertIn("cgroup: none: as configured", p.read_log())
            pool.wait_until(lambda: p.client.run("print(1)").result.get("shared_kb"), "a sandbox was ready ahead of its job")
            for size in 2, 100, 2:
                result = p.client.run(f"x = bytearray({size} << 20)\nfor i in range(0, len(x), 4096): x[i] = 1", memory_mb=200).result
                self.assertGreater(result["memory_kb"], size - 1 << 10)
                self.assertLess(result["memory_kb"], size + 20 << 10)
                self.assertEqual(result["max_rss_kb"] - result["shared_kb"], result["memory_kb"])

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become somebody else")
    def test_not_granted_is_no_error(self):
        with pool.Pool(workers=1, user=pool.STRANGER) as p:
            self.assertIn("cgroup: none: ", p.read_log())
            self.assertEqual(p.client.run("print(1)").verdict, "ok")

    def test_more_workers_than_files(self):
        """A reload to more than the limit on open files has room for changes nothing, and says which limit that is."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("[pool]\nworkers = 1\nmax_workers = 4\n")
            file.flush()
            os.chmod(file.name, 0o644)
            with pool.Pool(config=file.name, workers=None,
                           born={"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))}) as p:
                if not has_groups(p):
                    self.skipTest("there are no control groups")
                file.seek(0)
                file.write("[pool]\nworkers = 1\nmax_workers = 200\n")
                file.flush()
                p.process.send_signal(signal.SIGHUP)
                pool.wait_until(lambda: "the configuration stays as it was: no zygote starts" in p.read_log(), "it is given up")
                self.assertIn("the limit on open files (ulimit -n), 1024, has no room for the files of ", p.read_log())
                self.assertEqual(p.client.run("print(1)").verdict, "ok")

    def test_a_path_that_is_none_is_refused(self):
        for path in ("/tmp", "/nowhere"):
            with self.subTest(path), tempfile.TemporaryDirectory() as folder:
                done = log_of("--runtime-dir", folder + "/run", "--cgroup", path)
                self.assertEqual(done.returncode, 100)
                self.assertIn(f"cgroup = {path}: ", done.stderr)
                self.assertEqual(os.listdir(folder), [])

    def test_nothing_is_left(self):
        with pool.Pool(workers=2) as p:
            if not has_groups(p):
                self.skipTest("no control groups here")
            mine = {path for path in groups() if f"paddock-{p.process.pid}-" in path}
            self.assertTrue(mine)
            os.kill(p.zygote(), signal.SIGKILL)
            self.assertEqual(p.client.run("print(1)").verdict, "ok")
            pool.wait_until(lambda: not glob.glob(min(mine) + "/1.*"), "the dead zygote's groups are removed")
            self.assertTrue(glob.glob(min(mine) + "/2.*"))
        self.assertFalse(mine & groups())

    def test_the_next_one_cleans_up(self):
        with tempfile.TemporaryDirectory() as folder:
            with pool.Pool(workers=2, runtime=folder + "/run") as p:
                if not has_groups(p):
                    self.skipTest("no control groups here")
                left = {path for path in groups() if f"paddock-{p.process.pid}-" in path}
                p.process.kill()
                p.process.wait()
                self.assertTrue(left and left <= groups())
                with pool.Pool(workers=1, runtime=folder + "/run") as second:
                    self.assertFalse(left & groups())
                    self.assertEqual(second.client.run("print(1)").verdict, "ok")

    def test_groups_that_somebody_removes(self):
        """Jobs go on without them, limited by RLIMIT_DATA."""
        with pool.Pool(workers=2) as p:
            if not has_groups(p):
                self.skipTest("no control groups here")
            self.assertEqual(p.client.run("print(1)").verdict, "ok")

            def leaves():
                for pid in p.sandboxes():
                    with contextlib.suppress(FileNotFoundError):  # it goes while we look
                        if leaf_of(pid):
                            return [folder for folder, folders, _ in os.walk(os.path.dirname(leaf_of(pid))) if not folders]
                return []

            def removed():
                found = leaves()
                for leaf in found:
                    with contextlib.suppress(OSError):  # likewise; the next round finds what is left
                        with open(leaf + "/cgroup.procs") as file:
                            for pid in file.read().split():
                                os.kill(int(pid), signal.SIGKILL)
                        os.rmdir(leaf)
                return not found

            pool.wait_until(removed, "no sandbox is in a group")
            for _ in range(6):
                self.assertEqual(p.client.run("print(1)").verdict, "ok", p.read_log())

    @unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/sys/fs/cgroup/memory/tasks"), "needs root and cgroup v1")
    def test_pools_whose_hierarchies_part(self):
        """One of them has its memory counted elsewhere, and its tasks beside the other's."""
        def move(path):
            with open(f"{path}/tasks", "w") as file:
                file.write("0")

        with open("/proc/self/cgroup") as file:
            here = "/sys/fs/cgroup/memory" + next(line.rstrip("\n").split(":")[2] for line in file if ":memory:" in line)
        other = f"{here}/test-{os.getpid()}"
        os.mkdir(other)
        self.addCleanup(os.rmdir, other)
        with pool.Pool(workers=1) as first:
            move(other)
            try:
                with pool.Pool(workers=1) as second:
                    self.assertEqual(second.client.run("print(1)").verdict, "ok")
            finally:
                move(here)
            for _ in range(4):
                job = first.client.run("print(1)")
                self.assertEqual((job.verdict, job.attempt), ("ok", b"1"), first.read_log())

    @unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/sys/fs/cgroup/memory/tasks"), "needs root and cgroup v1")
    def test_a_path_of_our_own(self):
        for controller in ("memory", "pids"):
            os.mkdir(f"/sys/fs/cgroup/{controller}/test-{os.getpid()}")
        path = f"/sys/fs/cgroup/memory/test-{os.getpid()}"
        try:
            with pool.Pool(workers=1, cgroup=path) as p:
                self.assertIn(f"cgroup: v1: memory and tasks, in {path}/paddock-{p.process.pid}-0", p.read_log())
                self.assertEqual(p.client.run("print(1)").verdict, "ok")
        finally:
            for controller in ("memory", "pids"):
                os.rmdir(f"/sys/fs/cgroup/{controller}/test-{os.getpid()}")

    @unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/sys/fs/cgroup/memory/tasks"), "needs root and cgroup v1")
    def test_a_part_that_is_ours(self):
        """An ordinary user to whom a group was given makes its own in it."""
        paths = [f"/sys/fs/cgroup/{controller}/test-{os.getpid()}" for controller in ("memory", "pids")]
        for path in paths:
            os.mkdir(path)
            os.chown(path, pool.STRANGER, pool.STRANGER)
        try:
            with pool.Pool(workers=1, cgroup=paths[0], user=pool.STRANGER) as p:
                self.assertIn("cgroup: v1: memory and tasks", p.read_log())
                self.assertEqual(p.client.run("print(1)").verdict, "ok")
                sandbox, = pool.wait_until(p.sandboxes, "a sandbox waits")
                self.assertTrue(leaf_of(sandbox).startswith(paths[0]))
        finally:
            for path in paths:
                os.rmdir(path)


if __name__ == "__main__":
    unittest.main()
