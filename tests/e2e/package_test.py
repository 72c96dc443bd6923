# SPDX-License-Identifier: MIT
"""A large real package, from Debian, through queue, worker and recording; and the proof, by tracing their system
calls, that no process near it opens a file for writing."""

import os
import re
import signal
import subprocess
import tempfile
import unittest

import pool
import recording

NETWORKX = "/usr/lib/python3/dist-packages/networkx"
ENTRY = """\
import networkx as nx

graph = nx.Graph()
graph.add_weighted_edges_from([
    ("start", "ramp", 4), ("start", "wall", 1), ("wall", "ramp", 2), ("ramp", "zone", 5),
    ("wall", "zone", 9)])
print(nx.shortest_path(graph, "start", "zone", weight="weight"))
print(nx.__file__)
"""
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")


def networkx_zip():
    files = {"robot.py": ENTRY}
    for folder, _, names in os.walk(NETWORKX):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    files[os.path.relpath(path, os.path.dirname(NETWORKX))] = file.read()
    return pool.make_zip(files)


class TracedPool(pool.Pool):
    """A pool with strace on the supervisor and all that it forks, from before its first step."""

    def launch(self, command, **options):
        self.calls = tempfile.NamedTemporaryFile("r", errors="replace")
        process = super().launch(["sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *command], **options)
        command = ["strace", "-f", "-q", "-s", "4096", "-e", "trace=%file,memfd_create", "-e", "signal=none"]
        self.strace = subprocess.Popen([*command, "-o", self.calls.name, "-p", str(process.pid)],
                                       stderr=subprocess.DEVNULL)
        pool.wait_until(lambda: self.traced(process.pid), "strace holds the supervisor")
        process.send_signal(signal.SIGCONT)
        return process

    @staticmethod
    def traced(pid):
        with open(f"/proc/{pid}/status") as file:
            return re.search(r"^TracerPid:\t[1-9]", file.read(), re.M)

    def stop_strace(self):
        self.strace.send_signal(signal.SIGINT)
        self.strace.wait(pool.PATIENCE)
        return self.calls.read().splitlines()


def whole_lines(lines):
    """(pid, call) of a trace, calls that strace cut in two put together again."""
    cut = {}
    for line in lines:
        pid, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            cut[pid] = call.removesuffix("<unfinished ...>").rstrip()
            continue
        if match := re.match(r"<\.\.\. \w+ resumed>", call):
            call = cut.pop(pid, "") + call[match.end():]
        yield pid, call
    yield from cut.items()  # it died in the middle of them


def programs_of(lines):
    """(program, call) of all but the supervisor: what a process does before its exec is the supervisor's doing; one
    that never does an exec was forked by the zygote."""
    calls = list(whole_lines(lines))
    started = {pid for pid, call in calls if re.match(r"execve(?:at)?\(.* = 0$", call)}
    program = {}
    for pid, call in calls:
        if match := re.match(r'execve(?:at)?\(.*?\["([^"]+)".* = 0$', call):
            program[pid] = match[1]
        elif pid not in started or pid in program:
            yield program.get(pid, "sandbox"), call


# Calls that take the name of a file and leave the file as it is; those that open one are looked at closely.
HARMLESS = {"access", "faccessat", "faccessat2", "chdir", "execve", "execveat", "getcwd", "lstat", "newfstatat",
            "readlink", "readlinkat", "stat", "statfs", "statx"}
OPENS = {"open", "openat", "openat2"}
# What makes the zygote's empty root, before the lock; strace shows them with the rest.
ROOT = {"mount", "umount2", "pivot_root"}


def is_write(program, call):
    """Whether a traced call opens a file for writing, or makes, changes or removes one. Unknown ones do."""
    match = re.match(r"(\w+)\(", call)
    if match is None or " = -1 " in call:
        return False  # a signal, an exit; a call that failed
    if match[1] in OPENS:
        return WRITES.search(call) is not None
    if match[1] == "memfd_create":
        return program != "paddock-relay"  # its rings and inboxes: memory
    return match[1] not in HARMLESS and not (program == "paddock-zygote" and match[1] in ROOT)


class Check(unittest.TestCase):
    """The check itself, on lines as strace writes them."""

    HARMLESS_LINES = [
        'openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 4',
        'openat(AT_FDCWD, "/x", O_WRONLY|O_CREAT|O_TRUNC, 0666) = -1 EACCES (Permission denied)',
        'openat2(AT_FDCWD, "/x", {flags=O_RDONLY|O_CLOEXEC, resolve=0}, 24) = 4',
        'unlink("/x") = -1 EPERM (Operation not permitted)',
        'newfstatat(AT_FDCWD, "/x", {st_mode=S_IFREG|0644, ...}, 0) = 0',
        'readlink("/proc/self/exe", "/usr/sbin/paddock", 4095) = 17',
        "+++ exited with 0 +++", "--- SIGCHLD {si_signo=SIGCHLD} ---"]
    WRITING_LINES = [
        'open("/x", O_RDWR) = 4', 'openat(AT_FDCWD, "/x", O_WRONLY) = 4', 'openat(3, "x", O_RDONLY|O_CREAT, 0666) = 4',
        'openat(AT_FDCWD, "/x", O_RDONLY|O_TRUNC) = 4', 'openat(AT_FDCWD, "/", O_RDWR|O_TMPFILE, 0600) = 4',
        'openat2(AT_FDCWD, "/x", {flags=O_WRONLY|O_APPEND, mode=0, resolve=0}, 24) = 4', 'creat("/x", 0666) = 4',
        'unlink("/x") = 0', 'unlinkat(AT_FDCWD, "/x", 0) = 0', 'rmdir("/x") = 0', 'truncate("/x", 0) = 0',
        'mknod("/x", S_IFIFO|0666) = 0', 'mknodat(AT_FDCWD, "/x", S_IFREG|0666) = 0', 'mkdir("/x", 0777) = 0',
        'mkdirat(AT_FDCWD, "/x", 0777) = 0', 'rename("/x", "/y") = 0', 'renameat(3, "x", 3, "y") = 0',
        'renameat2(AT_FDCWD, "/x", AT_FDCWD, "/y", 0) = 0', 'link("/x", "/y") = 0', 'symlink("/x", "/y") = 0',
        'linkat(3, "x", 3, "y", 0) = 0', 'symlinkat("x", 3, "y") = 0', 'chmod("/x", 0777) = 0',
        'fchmodat(AT_FDCWD, "/x", 0777) = 0', 'chown("/x", 0, 0) = 0', 'utimensat(AT_FDCWD, "/x", NULL, 0) = 0',
        'setxattr("/x", "user.x", "1", 1, 0) = 0', 'a_call_of_tomorrow("/x") = 0',
        'openat(AT_FDCWD, "/x", O_WRONLY|O_CREAT']  # it died in it

    def test_every_kind_of_line(self):
        for program in ("paddock-zygote", "paddock-relay", "sandbox"):
            self.assertEqual([line for line in self.HARMLESS_LINES if is_write(program, line)], [])
            self.assertEqual([line for line in self.WRITING_LINES if not is_write(program, line)], [])
        for line, right in (('mount("none", "/tmp", "tmpfs", 0, "") = 0', "paddock-zygote"),
                            ('memfd_create("ring", MFD_CLOEXEC) = 5', "paddock-relay")):
            for program in ("paddock-zygote", "paddock-relay", "sandbox"):
                self.assertEqual(is_write(program, line), program != right)

    def test_whose_a_line_is(self):
        lines = ['1 execve("/x/paddock-supervisor", ["/x/paddock-supervisor"], 0x1 /* 3 vars */) = 0',
                 '2 openat(AT_FDCWD, "/dev/null", O_RDWR|O_CLOEXEC) = 4',
                 '2 execveat(11, "", ["paddock-zygote"], 0x1 /* 3 vars */, AT_EMPTY_PATH <unfinished ...>',
                 '1 openat(AT_FDCWD, "/run/lock", O_RDWR) = 5', "2 <... execveat resumed>) = 0",
                 '3 creat("/x", 0666 <unfinished ...>', '2 stat("/x", 0x1) = 0', "3 <... creat resumed>) = 4",
                 '2 unlink("/y" <unfinished ...>']
        self.assertEqual([(who, call) for who, call in programs_of(lines) if "supervisor" not in who],
                         [("paddock-zygote", 'stat("/x", 0x1) = 0'), ("sandbox", 'creat("/x", 0666) = 4'),
                          ("paddock-zygote", 'unlink("/y"')])


class Package(unittest.TestCase):
    @unittest.skipUnless(os.path.isdir(NETWORKX), "python3-networkx is not installed")
    def test_networkx(self):
        self.maxDiff = None
        # Said, lest the supervisor tries an empty root in a child of its own, and that is traced, too.
        isolation = "range" if os.geteuid() == 0 else "single"
        with (pool.RedisServer() as server,
              TracedPool(workers=1, max_cpu_ms=60000, redis=server.address, isolation=isolation) as p):
            for _ in range(2):
                job = p.client.run(networkx_zip(), cpu_ms=60000, wall_ms=60000)
                self.assertEqual(job.verdict, "ok", job.result)
                self.assertEqual(
                    recording.text(recording.decode(job.recording)),
                    "['start', 'wall', 'ramp', 'zone']\n/robot/networkx/__init__.py\n")
            calls = [(who, call) for who, call in programs_of(p.stop_strace()) if not who.endswith("supervisor")]
        self.assertEqual([(who, call) for who, call in calls if is_write(who, call)], [])
        # As for each member of a ZIP, whose times are made: that is trapped, refused, and for nothing.
        self.assertEqual([call for who, call in calls if who == "sandbox" and "localtime" in call], [])
        # That all were seen, and from their start: the zygote reads Python's library, the relay makes its memories.
        for who, sight in (("paddock-zygote", "openat("), ("paddock-zygote", "pivot_root("), ("paddock-relay", "openat("),
                           ("paddock-relay", "memfd_create("), ("sandbox", "+++ exited with 0 +++")):
            self.assertTrue([1 for seen, call in calls if seen == who and call.startswith(sight)], (who, sight))

    @unittest.skipUnless(os.path.isdir(NETWORKX), "python3-networkx is not installed")
    def test_traced_package(self):
        with pool.Pool(workers=1, max_memory_mb=1024) as p:
            job = p.client.run(networkx_zip(), trace="calls", cpu_ms=60000, wall_ms=60000, memory_mb=1024 if pool.SANITIZED else 256)
            self.assertEqual(job.verdict, "ok", job.result)
            records = recording.decode(job.recording)
            calls = recording.calls(records)
            self.assertIn("/robot/networkx/classes/graph.py", {file for file, _, _ in calls})
            self.assertGreater(len(calls), 1000)
            self.assertEqual(records[-1]["produced"], recording.produced(records))


if __name__ == "__main__":
    unittest.main()
