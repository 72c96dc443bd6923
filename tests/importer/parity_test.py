# SPDX-License-Identifier: MIT
"""A program cannot tell that it is not on disk: all that probes.py asks is answered alike by a folder on a read-only file
system and by the importer. What differs, and why it may, stands in DIFFERENT."""

import difflib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
MODIFIED = (2020, 2, 2, 2, 2, 2)

# Probe: what is replaced in both answers before they are compared, as it may differ.
DIFFERENT = {
    "writing_is_refused": [
        (r"/tmp\w{8}\b", "/tmp"),  # a name that tempfile makes up
        # os.utime() does not name what it refuses.
        (r"Read-only file system(: 'levels/1.txt')? 30 (None|levels/1.txt)", "Read-only file system"),
        # shutil.rmtree() goes by file descriptors on a disk, and comes one step further.
        (r"Read-only file system: '(levels|3.txt)' 30 (levels|3.txt)", "Read-only file system"),
    ],
    # What C libraries open by themselves is not served.
    "more_formats": [(r"error \[Errno \d+\] (Read-only file system|No such file or directory)(: 'levels/shelf' \d+ .*)",
                      r"error\2"), (r"levels/shelf' \d+", "levels/shelf'")],
    # With a working directory on a disk, there is no relative path to what is on none.
    "working_directory": [(r"(/ False) (True|False)\n$", r"\1\n")],
}


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def make_zip(tree, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, text in tree.items():
            archive.writestr(zipfile.ZipInfo(name, MODIFIED), as_bytes(text), method)
    return stream.getvalue()


def write_tree(root, tree):
    modified = time.mktime((*MODIFIED, 0, 0, -1))
    for name, text in tree.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(as_bytes(text))
        os.utime(path, (modified, modified))


def ask(function, output):
    """In a process of its own: all that the probe prints goes to the file."""
    child = os.fork()
    if child == 0:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        try:
            function()
        except BaseException:
            import traceback
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    output.seek(0)
    answer = re.sub("0x[0-9a-f]{6,}", "0x", output.read())
    return answer if status == 0 else f"{answer}\nended with {status}"


def answer_all():
    """The other half of this file, in a process that serves one kind of folder."""
    import probes
    kind = os.environ["PROBE_KIND"]
    if kind == "disk":
        for root, tree in (probes.ROOT, probes.TREE), (probes.OTHER, probes.TREE2):
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root], check=True)
            write_tree(root, tree)
            subprocess.run(["mount", "-o", "remount,ro", root], check=True)
    else:
        import paddock_importer
        for root, tree in (probes.ROOT, probes.TREE), (probes.OTHER, probes.TREE2):
            paddock_importer.mount(make_zip(tree), root, files=kind == "files")
    answers = {}
    outputs = [tempfile.TemporaryFile("w+", dir=os.environ["PROBE_OUTPUT"], encoding="utf-8") for _ in probes.PROBES]
    sys.path[:] = [probes.ROOT, probes.OTHER, *sys.path[1:]]
    if kind != "module":
        os.chdir(probes.ROOT)
    for function, output in zip(probes.PROBES, outputs):
        answers[function.__name__] = ask(function, output)
    with open(os.path.join(os.environ["PROBE_OUTPUT"], "answers"), "w", encoding="utf-8") as file:
        json.dump(answers, file)


class Parity(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = os.path.join(cls.folder.name, "robot")
        os.mkdir(cls.root)
        os.mkdir(cls.root + "2")
        cls.disk = cls.answers("disk")
        cls.memory = cls.answers("files")

    @classmethod
    def answers(cls, kind):
        environment = {**os.environ, "PROBE_KIND": kind, "PROBE_ROOT": cls.root, "PROBE_OUTPUT": cls.folder.name,
                       "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-W", "default", "-W", "ignore::ResourceWarning", os.path.abspath(__file__), "answer"]
        if kind == "disk":
            command = ["unshare", "--mount", "--map-root-user", *command]
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise AssertionError(f"{kind}: {done.returncode}\n{done.stdout}{done.stderr}")
        with open(os.path.join(cls.folder.name, "answers"), encoding="utf-8") as file:
            return json.load(file)

    def test_answers(self):
        self.assertGreater(len(self.disk), 50)
        for name, expected in self.disk.items():
            with self.subTest(name):
                self.assertTrue(expected)
                seen = self.memory[name]
                for pattern, replacement in DIFFERENT.get(name, ()):
                    expected, seen = (re.sub(pattern, replacement, text) for text in (expected, seen))
                if seen != expected:
                    self.fail("\n" + "".join(difflib.unified_diff(
                        expected.splitlines(True), seen.splitlines(True), "disk", "memory", n=1)))


if __name__ == "__main__":
    if sys.argv[1:] == ["answer"]:
        sys.path[0] = HERE
        answer_all()
    else:
        unittest.main()
