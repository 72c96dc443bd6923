# SPDX-License-Identifier: MIT
"""paddock(1) has all that the command's own tables have: every command, every option, every word that a field takes. So has
paddock-supervisor(8): every option, in its section, with what it takes and its default, and whether a reload changes it.
man_test.py PADDOCK SUPERVISOR TABLES SOURCE"""

import os
import re
import subprocess
import sys

PADDOCK, SUPERVISOR, TABLES, SOURCE = sys.argv[1:5]


def said(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def items(page):
    """{what an item is about: its text}: commands as they are, options with their hyphens."""
    found = {}
    for head, text in re.findall(r"^\.It (.*)\n((?:(?!\.It |\.El).*\n)*)", page, re.M):
        for kind, name in re.findall(r"(Cm|Fl) -?([a-z-]+)", head)[:2]:
            found["--" * (kind == "Fl") + name] = text
    return found


def read(name):
    with open(os.path.join(SOURCE, "docs", "man", name), encoding="utf-8") as file:
        return file.read()


def settings(page):
    """{option: (its section, its text)}"""
    found = {}
    for section, body in re.findall(r"^\.Ss \[(\w+)\]\n((?:(?!\.S[sh] ).*\n)*)", page, re.M):
        for name, text in re.findall(r"^\.It Va (\w+)\n((?:(?!\.It |\.El).*\n)*)", body, re.M):
            found[name] = section, " ".join(text.split())
    return found


def facts(text):
    """What a page must say of an option: its range, its words, its default where that is a word or a number."""
    default = re.search(r"default: (\S+)(?=$|, for | \()", text)
    words = re.search(r"one of: ([a-z ]+);", text)
    return {*re.findall(r"\d+", (re.search(r"from \d+ to \d+", text) or [""])[0]), *(words[1].split() if words else []),
            *([default[1].rstrip(",")] if default and default[1] != "none" else [])}


def supervisor_lacks():
    page, text = read("paddock-supervisor.8"), said(SUPERVISOR, "--help")
    known, sections = settings(page), {}
    for section, body in re.findall(r"^\[(\w+)\]\n((?:(?!\[).*\n)*)", said(SUPERVISOR, "--print-config"), re.M):
        sections |= dict.fromkeys(re.findall(r"^(\w+) =", body, re.M), section)
    restart = set(re.findall(r"[a-z_]+", re.search(r"Options that only a restart changes\n((?:.*\n)*?)are named", page)[1]))
    options = re.findall(r"^  --([a-z_]+)=VALUE\n((?:        .*\n)*)", text, re.M)
    flags = re.findall(r"--([a-z-]+)", text.partition("Options:")[0])
    yield from (f"--{flag}" for flag in flags if not re.search(rf"Fl -{flag}\b", page))
    for name, lines in options:
        about = " ".join(lines.split())
        section, words = known.pop(name, ("", ""))
        if section != sections[name]:
            yield f"{name}, in section [{sections[name]}]"
        plain = re.sub(r"(?<=\d),(?=\d)", "", words)
        yield from (f"{name}: {fact}" for fact in sorted(facts(about)) if not re.search(rf"\b{fact}\b", plain))
        if ("; reloads" in about) == (name in restart):
            yield f"{name}: whether only a restart changes it"
    yield from (f"an option for {name}" for name in known)


def main():
    page = read("paddock.1")
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
    lacking = [f"docs/man/paddock.1 lacks {what}" for what in dict.fromkeys(missing)]
    lacking += [f"docs/man/paddock-supervisor.8 lacks {what}" for what in supervisor_lacks()]
    print(*lacking, sep="\n", end="\n" * bool(lacking))
    sys.exit(bool(lacking))


main()
