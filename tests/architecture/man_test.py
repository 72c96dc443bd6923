# SPDX-License-Identifier: MIT
"""paddock(1) has all that the command's own tables have: every command, every option, every word that a field takes.
man_test.py PADDOCK TABLES SOURCE"""

import os
import re
import subprocess
import sys

PADDOCK, TABLES, SOURCE = sys.argv[1:4]


def said(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def items(page):
    """{what an item is about: its text}: commands as they are, options with their hyphens."""
    found = {}
    for head, text in re.findall(r"^\.It (.*)\n((?:(?!\.It |\.El).*\n)*)", page, re.M):
        for kind, name in re.findall(r"(Cm|Fl) -?([a-z-]+)", head)[:2]:
            found["--" * (kind == "Fl") + name] = text
    return found


def main():
    with open(os.path.join(SOURCE, "docs", "man", "paddock.1"), encoding="utf-8") as file:
        page = file.read()
    synopsis = page.partition(".Sh DESCRIPTION")[0]
    known, missing = items(page), []
    for command in re.findall(r"^  ([a-z]+) ", said(PADDOCK, "--help"), re.M):
        if f"\n.Cm {command}\n" not in synopsis:
            missing.append(f"{command}, in the synopsis")
        if command not in known:
            missing.append(command)
        if command != "up":  # whose options are paddock-supervisor(8)'s
            options = re.findall(r"^  (--[a-z_-]+)", said(PADDOCK, command, "--help"), re.M)
            missing += [name for name in (option.replace("_", "-") for option in options)
                        if name not in known and f"\n.Fl {name[1:]}\n" not in "\n" + known.get(command, "")]
    for field, words in re.findall(r"^\| `([a-z_]+)` \| one of: ([^|]*) \|", said(TABLES, "protocol"), re.M):
        option = "--" + field.replace("_", "-")
        missing += [f"{option} {word}" for word in words.split() if not re.search(rf"\b{word}\b", known.get(option, ""))]
    for what in dict.fromkeys(missing):
        print(f"docs/man/paddock.1 lacks {what}")
    sys.exit(bool(missing))


main()
