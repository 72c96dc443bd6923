# SPDX-License-Identifier: MIT
"""The users of deploy/redis-users.acl, for tests that do their work as these."""

import functools
import os

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/redis-users.acl")
PASSWORD = "not-secret"
WORKER, WEB, OPERATOR = NAMES = "paddock-worker", "paddock-web", "paddock-operator"


def read():
    """The file as somebody makes it fit who follows docs/SECURITY.md."""
    with open(FILE, encoding="ascii") as file:
        return file.read().replace("#SHA256-OF-ITS-PASSWORD", ">" + PASSWORD)


@functools.cache
def rules():
    """{user: its rules}, but for that of the server's default user."""
    lines = [line.split() for line in read().splitlines()]
    return {words[1]: words[2:] for words in lines if words[1] != "default"}


def create(administrator):
    for name, words in rules().items():
        administrator.execute_command("ACL", "SETUSER", name, "reset", *words)


@functools.cache
def function_user(function):
    """Who calls it; where several may, the one whose work it is comes first."""
    for name, words in rules().items():
        if {f"+fcall|paddock_{function}", f"+fcall_ro|paddock_{function}"} & set(words):
            return name
    raise AssertionError(f"nobody may call paddock_{function}")
