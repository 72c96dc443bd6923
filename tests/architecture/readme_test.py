# SPDX-License-Identifier: MIT
"""The README's code works as it stands: readme_test.py BIN ROOT NAME=VALUE... Its Python and its redis-cli lines are run
against a real pool; only the path of the socket is another. Its terminal recording is typed anew. The variables are what
Python needs to import paddock_importer."""

import os
import re
import subprocess
import sys
import tempfile

import console

PROGRAM = "print('hello from the README')\n"
# What each line of the shell block must answer, in order.
ANSWERS = [r"OK", r"queued \d+", r"frames:run-18(?s:.*)state", r"(queued|running|done)", r"(cancelled|requested|final)"]


def run_python(text, folder, environment):
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120, env={**os.environ, **environment})
    expected = r"queued 0\nok - Your program ran to its end\.\nhello from the README\n"
    if done.returncode != 0 or not re.fullmatch(expected, done.stdout):
        yield f"the Python code ends with {done.returncode} and prints:\n{done.stdout}"


def run_shell(text, folder):
    lines = re.search(r"```sh\n(.*?)```", text, re.S)[1].splitlines()
    if len(lines) != len(ANSWERS):
        yield f"{len(lines)} lines for redis-cli, and {len(ANSWERS)} answers here"
    for line, answer in zip(lines, ANSWERS):
        done = subprocess.run(["bash", "-c", line], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=120)
        if not re.search(answer, done.stdout) or re.match("ERR|WRONGTYPE", done.stdout):
            yield f"{line}\nanswers: {done.stdout}"


def run_recording(text, binaries, folder):
    """What it shows with `cat` is there before."""
    for commands, outputs in console.recordings(text):
        for command, output in zip(commands, outputs):
            if command.startswith("cat "):
                with open(os.path.join(folder, command.split()[1]), "w", encoding="utf-8") as file:
                    file.writelines(output)
    found, differing = console.differences(text, binaries, folder)
    return differing if found else ["no terminal recording"]


def main():
    binaries, root = sys.argv[1:3]
    environment = dict(variable.split("=", 1) for variable in sys.argv[3:])
    os.environ["PADDOCK_BIN"] = binaries
    sys.path.insert(0, os.path.join(root, "tests", "e2e"))
    import pool
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        text = file.read()
    with tempfile.TemporaryDirectory() as folder, pool.Pool(workers=1, queue="default") as p:
        with open(os.path.join(folder, "robot.zip"), "wb") as file:
            file.write(pool.make_zip(PROGRAM))
        text = re.sub(r"(?m)^\$ paddock (submit|follow|trace)", rf"$ paddock \1 --runtime-dir {p.runtime}", text)
        text = text.replace("/run/paddock-redis/redis.sock", os.path.join(p.runtime, "redis.sock"))
        breaches = [*run_python(text, folder, environment), *run_shell(text, folder), *run_recording(text, binaries, folder)]
    for breach in breaches:
        print(breach)
    sys.exit(1 if breaches else 0)


main()
