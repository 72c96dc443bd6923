# SPDX-License-Identifier: MIT
"""A terminal of a set size, and what is to be seen on it: so much of one as the `paddock` command takes for granted."""

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import unicodedata

import pool

SEQUENCE = re.compile(r"\x1b(\[[0-9:;]*[A-Za-z]|[^\[])")


def width_of(character, emoji=2):
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return emoji if character >= "\U0001f000" else 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Screen:
    def __init__(self, columns, rows):
        self.columns, self.height = columns, rows
        self.rows = [[] for _ in range(rows)]  # of cells: a character, with those upon it; "" behind a wide one
        self.x = self.y = 0
        self.saved = (0, 0)
        self.pending = ""
        self.strict = True  # no sequence is passed over
        self.emoji = 2  # the width of one: terminals do not agree
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def lines(self):
        """Without the empty ones at the end."""
        return "\n".join("".join(row).rstrip() for row in self.rows).rstrip("\n").split("\n")

    def down(self):
        if self.y + 1 < self.height:
            self.y += 1
        else:
            self.rows = [*self.rows[1:], []]

    def put(self, character):
        width = width_of(character, self.emoji)
        if width == 0:
            if self.x:
                self.rows[self.y][self.x - 1] += character
            return
        if self.x + width > self.columns:
            self.x = 0
            self.down()
        row = self.rows[self.y]
        row += [" "] * (self.x + width - len(row))
        row[self.x:self.x + width] = [character] + [""] * (width - 1)
        self.x += width

    def erase(self):
        del self.rows[self.y][self.x:]

    def erase_below(self):
        self.erase()
        self.rows[self.y + 1:] = [[] for _ in range(self.height - self.y - 1)]

    def restore(self):
        self.x, self.y = self.saved

    def save(self):
        self.saved = (self.x, self.y)

    def up(self):
        assert self.y > 0
        self.y -= 1
        self.stay()

    def index(self):
        self.down()
        self.stay()

    def stay(self):
        """Who is moved is no longer about to begin the next row."""
        self.x = min(self.x, self.columns - 1)

    def back(self):
        self.stay()
        self.x -= self.x > 0

    def tab(self):
        if self.x < self.columns:
            self.x = min((self.x // 8 + 1) * 8, self.columns - 1)

    def begin(self):
        self.x = 0

    def feed(self, data):
        actions = {"\r": self.begin, "\n": self.down, "\b": self.back, "\t": self.tab, "\x1b[K": self.erase, "\x1b[J": self.erase_below,
                   "\x1bD": self.index, "\x1bM": self.up, "\x1b7": self.save, "\x1b8": self.restore}
        text = self.pending + self.decoder.decode(data)
        self.pending = ""
        while text:
            sequence = SEQUENCE.match(text)
            if text[0] == "\x1b" and not sequence:
                self.pending, text = text, ""
                continue
            one = sequence.group() if sequence else text[0]
            action = actions.get(one)
            if action:
                action()
            else:
                if sequence and (one.endswith("m") or not self.strict):  # colours
                    text = text[len(one):]
                    continue
                if one < " " and not self.strict:
                    one = "?"
                assert one >= " ", f"a terminal is not asked for {one!r}"
                self.put(one)
            text = text[len(one):]


class Terminal:
    """A command that runs at a terminal of its own."""

    def __init__(self, words, columns=80, rows=24, term="xterm"):
        self.screen = Screen(columns, rows)
        self.bytes = b""
        self.shown = set()  # every row that there ever was behind a piece of output
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.environ["TERM"] = term
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.execv(words[0], words)
            finally:
                os._exit(127)

    def read(self):
        data = os.read(self.fd, 4096)
        if not data:
            raise OSError
        self.bytes += data
        self.screen.feed(data)
        self.shown.update(self.screen.lines())

    def wait_until(self, condition, what="what was waited for"):
        while not condition(self.screen.lines()):
            ready, _, _ = select.select([self.fd], [], [], pool.PATIENCE)
            assert ready, f"{self.screen.lines()}, and not {what}"
            try:
                self.read()
            except OSError:
                raise AssertionError(f"in the end {self.screen.lines()}, and never {what}") from None

    def wait_for(self, *lines):
        """Until these are all that is to be seen, one below the other."""
        self.wait_until(lambda seen: seen == list(lines), lines)

    def type(self, text):
        os.write(self.fd, text.encode())

    def resize(self, columns):
        """What is there stays where it is, as long as it fits."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.screen.height, columns, 0, 0))
        self.screen.columns = columns

    def end(self):
        """Its exit code, when it has ended by itself."""
        with contextlib.suppress(OSError):
            while True:
                self.read()
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return status
