# SPDX-License-Identifier: MIT
"""paddock(1) has all that the command's own tables have: every command, every option, every word that a field takes;
paddock-supervisor(8) has every argument; paddock.conf(5) every option, in its section, with the words of --help for what it
takes, whether it reloads and its default, and examples that are good.
man_test.py PADDOCK SUPERVISOR TABLES SOURCE"""

import os
import re
import subprocess
import sys
import tempfile

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


def takes(lines):
    """The sentence that ends what --help says of an option: its type, unit and range, whether it reloads, its default."""
    return "Takes " + " ".join(lines.split()).rpartition(" Takes ")[2] + "."


def configuration_lacks():
    page, printed = read("paddock.conf.5"), said(SUPERVISOR, "--print-config")
    known, sections = settings(page), {}
    for section, body in re.findall(r"^\[(\w+)\]\n((?:(?!\[).*\n)*)", printed, re.M):
        sections |= dict.fromkeys(re.findall(r"^(\w+) =", body, re.M), section)
    for name, lines in re.findall(r"^  --([a-z_]+)=VALUE\n((?:        .*\n)*)", said(SUPERVISOR, "--help"), re.M):
        section, text = known.pop(name, ("", ""))
        if section != sections[name]:
            yield f"{name}, in section [{sections[name]}]"
        if not text.endswith(f" .br {takes(lines)}"):
            yield f"{name}: {takes(lines)}"
    yield from (f"an option for {name}" for name in known)
    whole = re.search(r"^Options of the whole file are\n((?:.*\n)*?)they are errors", page, re.M)[1]
    if set(re.findall(r"\b[a-z_]+\b", whole)) - {"and"} != set(re.search(r"but for: (.*)", printed)[1].split()):
        yield "which options are the whole file's"
    yield from wrong_examples(page.partition(".Sh EXAMPLES\n")[2])


def wrong_examples(text):
    """A reader copies them."""
    examples = re.findall(r"^\.Bd -literal.*\n((?:(?!\.Ed).*\n)*)", text, re.M)
    yield from () if examples else ["examples"]
    for example in examples:
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(example)
            file.flush()
            done = subprocess.run([SUPERVISOR, "--config", file.name, "--check-config"], capture_output=True, text=True)
        if done.returncode != 0:
            yield f"a good example: {done.stderr.strip()}"


def supervisor_lacks():
    page, text = read("paddock-supervisor.8"), said(SUPERVISOR, "--help")
    flags = re.findall(r"--([a-z-]+)", text.partition("Options:")[0])
    yield from (f"--{flag}" for flag in flags if not re.search(rf"Fl -{flag}\b", page))


def main():
    page = read("paddock.1")
    synopsis = page.partition(".Sh DESCRIPTION")[0]
    known, missing = items(page), []
    for command in re.findall(r"^  ([a-z]+) ", said(PADDOCK, "--help"), re.M):
        if f"\n.Cm {command}\n" not in synopsis:
            missing.append(f"{command}, in the synopsis")
        if command not in known:
            missing.append(command)
        if command != "up":  # whose options are paddock.conf(5)'s
            options = re.findall(r"^  (--[a-z_-]+)", said(PADDOCK, command, "--help"), re.M)
            missing += [name for name in (option.replace("_", "-") for option in options)
                        if name not in known and f"\n.Fl {name[1:]}\n" not in "\n" + known.get(command, "")]
    for field, words in re.findall(r"^\| `([a-z_]+)` \| one of: ([^|]*) \|", said(TABLES, "protocol"), re.M):
        option = "--" + field.replace("_", "-")
        missing += [f"{option} {word}" for word in words.split() if not re.search(rf"\b{word}\b", known.get(option, ""))]
    lacking = [f"docs/man/paddock.1 lacks {what}" for what in dict.fromkeys(missing)]
    lacking += [f"docs/man/paddock-supervisor.8 lacks {what}" for what in supervisor_lacks()]
    lacking += [f"docs/man/paddock.conf.5 lacks {what}" for what in configuration_lacks()]
    print(*lacking, sep="\n", end="\n" * bool(lacking))
    sys.exit(bool(lacking))


main()
