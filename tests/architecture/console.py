# SPDX-License-Identifier: MIT
"""Terminal recordings in a document: types their commands, and compares what comes out."""

import difflib
import os
import re
import subprocess


def recordings(text):
    """The commands of each console block, and the output that stands below each of them."""
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        steps = re.findall(r"^\$ (.*\n)((?:(?!\$ ).*\n)*)", block, re.M)
        yield [command for command, _ in steps], [output.splitlines(keepends=True) for _, output in steps]


def steady(line):
    """Where in a loop a limit strikes is chance, and so is the time at which something happened."""
    return re.sub(r"^ +\d+\.\d{3} ", "T ", re.sub(r"(It was at \S+, line) \d+", r"\1 N", line))


def differences(text, binaries, folder):
    """How many recordings there are, and a diff for each whose commands, typed in the folder, print something else."""
    environment = {**os.environ, "PATH": binaries + os.pathsep + os.environ["PATH"]}
    found, differing = 0, []
    for commands, outputs in recordings(text):
        shell = subprocess.run(["bash", "-c", "".join(commands)], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        seen, expected = shell.stdout.splitlines(keepends=True), sum(outputs, [])
        found += 1
        if [steady(line) for line in seen] != [steady(line) for line in expected]:
            differing.append("".join(difflib.unified_diff(expected, seen, "document", commands[0].strip())))
    return found, differing
