# SPDX-License-Identifier: MIT
"""Types every command of deploy/examples/README.md and compares what comes out: examples_test.py BIN ROOT."""

import difflib
import os
import re
import subprocess
import sys


def blocks(text):
    """The commands of each console block, and the output that stands below them."""
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        lines = block.splitlines(keepends=True)
        yield [line[2:] for line in lines if line.startswith("$ ")], [line for line in lines if not line.startswith("$ ")]


def steady(line):
    """Where in a loop a limit strikes is chance."""
    return re.sub(r"(It was at \S+, line) \d+", r"\1 N", line)


def main():
    binaries, root = sys.argv[1:]
    folder = os.path.join(root, "deploy", "examples")
    environment = {**os.environ, "PATH": binaries + os.pathsep + os.environ["PATH"]}
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as file:
        found = list(blocks(file.read()))
    differing = 0
    for commands, expected in found:
        shell = subprocess.run(["bash", "-c", "".join(commands)], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        seen = shell.stdout.splitlines(keepends=True)
        if [steady(line) for line in seen] != [steady(line) for line in expected]:
            differing += 1
            sys.stdout.writelines(difflib.unified_diff(expected, seen, "README.md", commands[0].strip()))
    print(f"{len(found)} blocks, {differing} differ")
    sys.exit(1 if differing or not found else 0)


main()
