# SPDX-License-Identifier: MIT
"""Rules that the sources must keep: tree.py CHECK ROOT. Prints each breach as file:line and exits 1 if there is one.

exceptions.txt, beside this file, lists breaches that are put up with, one a line, as they are printed but without the
line number. It may only shrink: an exception that nothing needs any more is a breach, too."""

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
    r"Python\.h|frameobject\.h|structmember\.h|cpython/.*|internal/pycore.*": {"importer", "worker/sandbox"},
    r"hiredis/.*": {"queue", "worker/relay", "supervisor/ctl"},
    r"zip\.h": {"importer"},
    r"seccomp\.h": {"worker/sandbox"},
}
BANNED = r"\b(strcpy|strcat|sprintf|strtok|gets|atoi|atol|alloca|signal|system|popen|tmpfile|mktemp)\s*\("
BARE = r"\b(strto(?:u?ll?|d))\s*\([^,;]*,\s*NULL"  # the end of the number is not looked at
LEFT_OPEN = r"\b(TODO|FIXME|XXX|HACK)\b"
SOURCES = ("common", "queue", "importer", "worker", "supervisor")
LINES_MAX = 600
FUNCTION_LINES_MAX = 80
COMPLEXITY_MAX = 15


def sources(root, *folders, ends=(".c", ".h")):
    for folder in folders or SOURCES:
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
                for header, users in LIBRARIES.items():
                    if re.fullmatch(header, match[1]) and area(name) not in users:
                        yield f"{name}:{number}: {area(name)} may not use <{match[1]}>"


def without_comments(text):
    """Comments and strings blanked, lines kept."""
    blank = lambda match: re.sub(r"[^\n]", " ", match[0])
    return re.sub(r"""/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])'""", blank, text, flags=re.S)


def words(root):
    for name in sources(root, *SOURCES, "tests"):
        code = without_comments(read(root, name))
        for number, line in enumerate(code.splitlines(), 1):
            if match := re.search(BANNED, line):
                yield f"{name}:{number}: {match[1]} is not used here"
            if not name.startswith("tests/") and (match := re.search(BARE, line)):
                yield f"{name}:{number}: {match[1]} without its end pointer believes any text"
            if "//" in line:
                yield f"{name}:{number}: comments are written /* so */"
        for number, line in enumerate(read(root, name).splitlines(), 1):
            if match := re.search(LEFT_OPEN, line):
                yield f"{name}:{number}: {match[1]} is left open"
        if re.search(r"^extern\b", code, re.M) and name.endswith(".c"):
            yield f"{name}: extern belongs into a header"


def openings(root):
    for name in sources(root, *SOURCES, "tests"):
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
            yield f"{name}:{count}: more than {LINES_MAX} lines"
    report = subprocess.run(["pmccabe", *names], cwd=root, capture_output=True, text=True, check=True)
    for line in report.stdout.splitlines():
        complexity, _, _, start, length, place = line.split("\t")
        name, function = place.split("(")[0], place.split(": ")[-1]
        if int(complexity) > COMPLEXITY_MAX:
            yield f"{name}:{start}: {function} is more complex than {COMPLEXITY_MAX}"
        if int(length) > FUNCTION_LINES_MAX:
            yield f"{name}:{start}: {function} is longer than {FUNCTION_LINES_MAX} lines"


def format(root):
    names = list(sources(root, *SOURCES, "tests"))
    report = subprocess.run(["clang-format", "--dry-run", *names], cwd=root, capture_output=True, text=True)
    for line in report.stderr.splitlines():
        if "warning:" in line:
            yield line


def forgive(check, breaches):
    """Takes the exceptions of this check out, and puts those in that nothing needs any more."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "exceptions.txt"), encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    excepted = [line.partition(" ")[2] for line in lines if line.partition(" ")[0] == check]
    found = [re.sub(r":\d+:", ":", breach, count=1) for breach in breaches]
    return ([breach for breach, text in zip(breaches, found) if text not in excepted]
            + [f"exceptions.txt: no longer needed: {check} {text}" for text in excepted if text not in found])


CHECKS = {check.__name__: check for check in (includes, words, openings, sizes, format)}


def main():
    check, root = sys.argv[1:]
    breaches = forgive(check, list(CHECKS[check](root)))
    for breach in breaches[:100]:
        print(breach)
    print(f"{check}: {len(breaches)} breaches")
    sys.exit(1 if breaches else 0)


main()
