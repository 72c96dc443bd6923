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


class Strace:
    """Follows processes and all that they fork."""

    def __init__(self, pids):
        self.file = tempfile.NamedTemporaryFile("r", errors="replace")
        command = ["strace", "-f", "-q", "-o", self.file.name,
                   "-e", "trace=open,openat,openat2,creat,rename,renameat2,mkdir,mkdirat,link,symlink,"
                         "execve,memfd_create,getrandom"]
        for pid in pids:
            command += ["-p", str(pid)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def wait_for(self, pids):
        for pid in pids:
            pool.wait_until(lambda: self.traced(pid), f"strace holds {pid}")

    @staticmethod
    def traced(pid):
        with open(f"/proc/{pid}/status") as file:
            return re.search(r"^TracerPid:\t[1-9]", file.read(), re.M)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(pool.PATIENCE)
        return self.file.read()


class Package(unittest.TestCase):
    def test_networkx(self):
        with pool.Pool(workers=1, max_cpu_ms=60000) as p:
            traced = p.relays() + [p.zygote()] + p.sandboxes()
            strace = Strace(traced)
            strace.wait_for(traced)
            # The sandbox that was waiting and one that was forked under the eyes of strace.
            for _ in range(2):
                job = p.client.run(networkx_zip(), cpu_ms=60000, wall_ms=60000)
                self.assertEqual(job.verdict, "ok", job.result)
                self.assertEqual(
                    recording.text(recording.decode(job.recording)),
                    "['start', 'wall', 'ramp', 'zone']\n/robot/networkx/__init__.py\n")
            calls = strace.stop()
        self.assertIn("memfd_create", calls, "strace saw nothing of the relay")
        opened = [line for line in calls.splitlines() if re.search(r"\b(open|openat|creat)\(", line)]
        written = [line for line in opened if WRITES.search(line) and "= -1" not in line]
        self.assertEqual(written, [])
        for call in ("execve", "rename", "mkdir", "link(", "symlink"):
            self.assertNotIn(call, calls)

    @unittest.skipUnless(os.path.isdir(NETWORKX), "python3-networkx is not installed")
    def test_traced_package(self):
        with pool.Pool(workers=1) as p:
            job = p.client.run(networkx_zip(), trace="calls", cpu_ms=60000, wall_ms=60000)
            self.assertEqual(job.verdict, "ok", job.result)
            records = recording.decode(job.recording)
            kinds = [r["kind"] for r in records]
            calls = recording.calls(records)
            self.assertIn("/robot/networkx/classes/graph.py", {file for file, _, _ in calls})
            self.assertGreater(len(calls), 1000)
            self.assertEqual(records[-1]["produced"],
                             sum(k in ("call", "return", "unwind") for k in kinds))


if __name__ == "__main__":
    unittest.main()
