# SPDX-License-Identifier: MIT
"""Rules that the sources must keep: tree.py CHECK ROOT. Prints each breach as file:line and exits 1 if there is one."""

import os
import re
import subprocess
import sys

# Which folder may include which; Python.h and hiredis likewise. Arrows only point down (docs/ARCHITECTURE.md).
MAY_INCLUDE = {
    "common": {"common"},
    "queue": {"queue", "common"},
    "importer": {"importer", "common"},
    "worker/relay": {"worker/relay", "queue", "common"},
    "worker/sandbox": {"worker/sandbox", "importer", "common"},
    "supervisor/ctl": {"supervisor/ctl", "queue", "common"},
    "supervisor": {"supervisor", "common"},
}
LIBRARIES = {
    "Python.h": {"importer", "worker/sandbox"},
    "frameobject.h": {"importer", "worker/sandbox"},
    "hiredis/hiredis.h": {"queue", "worker/relay", "supervisor/ctl"},
    "zip.h": {"importer"},
    "seccomp.h": {"worker/sandbox"},
}
BANNED = r"\b(strcpy|strcat|sprintf|strtok|gets|atoi|atol|alloca|signal|system|popen|tmpfile|mktemp)\s*\("
LEFT_OPEN = r"\b(TODO|FIXME|XXX|HACK)\b"
LINES_MAX = 600
FUNCTION_LINES_MAX = 80
COMPLEXITY_MAX = 15


def sources(root, *folders, ends=(".c", ".h")):
    for folder in folders or ("common", "queue", "importer", "worker", "supervisor"):
        for path, _, names in os.walk(os.path.join(root, folder)):
            for name in sorted(names):
                if name.endswith(ends):
                    yield os.path.relpath(os.path.join(path, name), root)


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8") as file:
        return file.read()


def area(name):
    """The longest folder of the table that a file lies in."""
    fitting = [a for a in MAY_INCLUDE if name.startswith(a + "/")]
    return max(fitting, key=len) if fitting else None


def includes(root):
    for name in sources(root):
        for number, line in enumerate(read(root, name).splitlines(), 1):
            if match := re.match(r'#include "([^"]+)"', line):
                if area(match[1]) not in MAY_INCLUDE[area(name)]:
                    yield f"{name}:{number}: {area(name)} may not use {match[1]}"
            if match := re.match(r"#include <([^>]+)>", line):
                if area(name) not in LIBRARIES.get(match[1], {area(name)}):
                    yield f"{name}:{number}: {area(name)} may not use <{match[1]}>"


def without_comments(text):
    """Comments and strings blanked, lines kept."""
    blank = lambda match: re.sub(r"[^\n]", " ", match[0])
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def words(root):
    for name in sources(root, "common", "queue", "importer", "worker", "supervisor", "tests"):
        code = without_comments(read(root, name))
        for number, line in enumerate(code.splitlines(), 1):
            if match := re.search(BANNED, line):
                yield f"{name}:{number}: {match[1]} is not used here"
            if "//" in line:
                yield f"{name}:{number}: comments are written /* so */"
        for number, line in enumerate(read(root, name).splitlines(), 1):
            if match := re.search(LEFT_OPEN, line):
                yield f"{name}:{number}: {match[1]} is left open"
        if re.search(r"^extern\b", code, re.M) and name.endswith(".c"):
            yield f"{name}: extern belongs into a header"


def openings(root):
    for name in sources(root, "common", "queue", "importer", "worker", "supervisor", "tests"):
        lines = read(root, name).splitlines()
        if not lines or lines[0] != "/* SPDX-License-Identifier: MIT */":
            yield f"{name}:1: the licence stands on the first line"
        elif len(lines) < 2 or not lines[1].startswith("/*"):
            yield f"{name}:2: a file begins by saying what it is for"
        if name.endswith(".h") and "#pragma once" not in lines:
            yield f"{name}: a header begins with #pragma once"


def sizes(root):
    names = list(sources(root, ends=(".c",)))
    for name in names:
        if (count := read(root, name).count("\n")) > LINES_MAX:
            yield f"{name}: {count} lines, more than {LINES_MAX}"
    report = subprocess.run(["pmccabe", *names], cwd=root, capture_output=True, text=True, check=True)
    for line in report.stdout.splitlines():
        complexity, _, _, _, length, place = line.split("\t")
        if int(complexity) > COMPLEXITY_MAX or int(length) > FUNCTION_LINES_MAX:
            yield f"{place}: complexity {complexity}, {length} lines"


def format(root):
    names = list(sources(root, "common", "queue", "importer", "worker", "supervisor", "tests"))
    report = subprocess.run(["clang-format", "--dry-run", *names], cwd=root, capture_output=True, text=True)
    for line in report.stderr.splitlines():
        if "warning:" in line:
            yield line


def main():
    check, root = sys.argv[1:]
    breaches = list(globals()[check](root))
    for breach in breaches[:100]:
        print(breach)
    print(f"{check}: {len(breaches)} breaches")
    sys.exit(1 if breaches else 0)


main()
