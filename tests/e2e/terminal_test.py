# SPDX-License-Identifier: MIT
"""What somebody sees who follows a program at a terminal: what it prints, and at the foot a row that leaves no trace."""

import unittest

import pool
from command import PADDOCK, Command
from screen import Terminal

WAIT = "import time\ndef wait(s=600):\n    time.sleep(s)\n"


class Rows(Command):
    def run_at(self, source, *words, **size):
        return Terminal([PADDOCK, "run", self.path("x.py", source), *words], **size)

    def stop(self, terminal):
        terminal.type("\x03")
        self.assertEqual(terminal.end(), 90)

    def test_the_line_that_runs(self):
        terminal = self.run_at(WAIT + "print('begun', flush=True)\nwait(0.5)\nprint('over')\n", "--trace", "lines")
        terminal.wait_for("/robot/x.py:1 <module>", "begun", "  /robot/x.py:2 wait", "> /robot/x.py:3 wait")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.screen.lines(), ["/robot/x.py:1 <module>", "begun", "  /robot/x.py:2 wait", "over"])

    def test_below_a_line_that_is_not_finished(self):
        """Wherever on the screen, which scrolls where there is no row below."""
        for rows in 2, 3, 24:
            with self.subTest(rows):
                code = ("import time\nprint('begun')\nfor i in range(3):\n    print('.', end='', flush=True)\n    time.sleep(0.3)\n"
                        "time.sleep(1)\nprint(' over')\n")
                terminal = self.run_at(code, "--trace", "lines", rows=rows)
                whole = ["/robot/x.py:1 <module>", "begun"]
                terminal.wait_for(*[*whole, "...", "> /robot/x.py:6 <module>"][-rows:])
                self.assertEqual((terminal.screen.x, terminal.screen.y), (3, min(2, rows - 2)))
                self.assertEqual(terminal.end(), 0)
                self.assertEqual([line for line in terminal.screen.lines() if line], [*whole, "... over"][1 - rows:])

    def test_nothing_is_erased(self):
        """Of a line that the program goes back in, or that fills its row: it looks as the program alone would have made it."""
        bar = "print('[..........] moving', end='' + chr(8) * 18, flush=True)\nfor i in range(5):\n    print('##', end='', flush=True)\n    time.sleep(0.2)\n"
        for name, code, seen in (
                ("a bar", bar, "[##########] moving"),
                ("a line that begins again", "for i in range(3):\n    print('part', i, 'of 3', end=chr(13), flush=True)\n    time.sleep(0.2)\n", "part 2 of 3"),
                ("a full row", "print('w' * 40, end='', flush=True)\ntime.sleep(0.3)\nprint('ABC')\n", "w" * 40 + "\nABC"),
                ("a full row of colours", "print('w' * 30 + chr(27) + '[31m' + 'r' * 10 + chr(27) + '[0m', end='', flush=True)\ntime.sleep(0.3)\nprint('ABC')\n",
                 "w" * 30 + "r" * 10 + "\nABC"),
                ("two rows, wide", "print('\u8a9e' * 40, end='', flush=True)\ntime.sleep(0.3)\nprint('ABC')\n", "\u8a9e" * 20 + "\n" + "\u8a9e" * 20 + "\nABC"),
                ("a full row, in parts", "import os\nfor b in ('\u8a9e' * 20).encode():\n    os.write(1, bytes([b]))\n    time.sleep(0.02)\nprint('ABC')\n", "\u8a9e" * 20 + "\nABC"),
                ("back from the end", "print('w' * 40, end=chr(8) * 2, flush=True)\ntime.sleep(0.3)\nprint('ABC')\n", "w" * 37 + "ABC"),
                ("no character at the end of a line", "import os\nos.write(1, b'caf' + bytes([0xe9, 10]) + b'=' * 40)\ntime.sleep(0.3)\nprint('ABC')\n", "caf\ufffd\n" + "=" * 40 + "\nABC"),
                ("tabs", "print(chr(9) * 7 + 'x', end='', flush=True)\ntime.sleep(0.3)\nprint('ABC')\n", " " * 39 + "x\nABC")):
            for rows in 5, 24:
                with self.subTest(name, rows=rows):
                    terminal = self.run_at("import time\n" + code + "time.sleep(0.3)\n", "--trace", "lines", columns=40, rows=rows)
                    self.assertEqual(terminal.end(), 0)
                    self.assertEqual([line.replace("\x00", "") for line in terminal.screen.lines()][1:], seen.split("\n"))

    def test_a_prompt_that_is_answered_by_an_end(self):
        """Nothing ends its line."""
        code = "import time\ntry: input('name: ')\nexcept EOFError: pass\ntime.sleep(0.5)\nprint('ABC')\n"
        terminal = self.run_at(code, "--trace", "lines")
        terminal.wait_until(lambda lines: any("waiting for input" in line for line in lines))
        terminal.type("\4")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.screen.lines()[1:], ["name: ABC"])

    def test_a_prompt_that_is_answered_by_what_is_no_line(self):
        """An end behind a text only sends that: it stands where it was typed."""
        code = "import os, time\nprint('name: ', end='', flush=True)\nname = os.read(0, 10)\nprint(end='!', flush=True)\ntime.sleep(0.5)\nprint('ABC')\n"
        for typed, shown in ("Ada\4", "Ada"), ("\x16\7b\4", "^Gb"):
            terminal = self.run_at(code, "--trace", "lines")
            terminal.wait_until(lambda lines: any("waiting for input" in line for line in lines))
            terminal.type(typed)
            terminal.wait_until(lambda lines: lines[-1].startswith("> /robot/x.py:5"), "there is a row")
            self.assertEqual(terminal.end(), 0)
            self.assertEqual(terminal.screen.lines()[1:], [f"name: {shown}!ABC"])

    def test_what_is_passed_on_may_come_back(self):
        """Another program prints it on the same terminal, whenever it likes."""
        source = self.path("x.py", "import time\nfor i in range(5):\n    print('.', end='', flush=True)\n    time.sleep(0.3)\nprint(' over')\n")
        for words, row in ("| cat", False), ("| tee /dev/null", False), ("> /dev/null", True):
            with self.subTest(words):
                terminal = Terminal(["/bin/sh", "-c", f"{PADDOCK} run {source} --trace lines {words}"])
                self.assertEqual(terminal.end(), 0)
                self.assertEqual(b"> /robot/x.py:4" in terminal.bytes, row)
                self.assertEqual(terminal.screen.lines()[1:], [] if row else ["..... over"])

    def test_nothing_is_erased_where_it_is_not_sure(self):
        for emoji in 1, 2:
            for filled in 36, 37, 38, 39:
                with self.subTest(emoji=emoji, filled=filled):
                    terminal = self.run_at(f"import time\nprint('\U0001f40d' + 'w' * {filled}, end='', flush=True)\ntime.sleep(0.3)\nprint('ABC')\n", "--trace", "lines", columns=40)
                    terminal.screen.emoji = emoji
                    self.assertEqual(terminal.end(), 0)
                    self.assertEqual("".join(terminal.screen.lines()[1:]), "\U0001f40d" + "w" * filled + "ABC")
            for text in "w" * 39 + "\U0001f40d", "w" * 38 + "\U0001f40d", "\U0001f40d" + "w" * 37 + "\u8a9e", "w" * 39 + "\U0001f40dw":
                with self.subTest(text, emoji=emoji):
                    terminal = self.run_at(f"import time\nprint({text!r}, end='', flush=True)\ntime.sleep(0.3)\nprint('ABC')\n", "--trace", "lines", columns=40)
                    terminal.screen.emoji = emoji
                    self.assertEqual(terminal.end(), 0)
                    self.assertEqual("".join(terminal.screen.lines()[1:]).replace("\x00", ""), text + "ABC")

    def test_who_drives_the_terminal(self):
        """Or prints in colours: a row of ours would be in the way. Behind the colours there is one again."""
        for text in ("\x1b[A", "\x1b[?25h", "\x1b]0;robot\x07", "\x1b(0", "\x1b7", "\x1bD", "\x1b[2;3H", "\x0e", "\x0b", "\x9d", "\x1b[41m", "\x1b[1;44m", "\x1b[48;2;1;2;3m", "\x1b[7m", "\x1b[0;100m", "\x1b[>4m",
                     "\x1b[41;58;5;49m", "\x1b[41m\x1b[58;2;0;0;0m", "\x1b[48:5:1m", "\x1b[48:2::1:0:0m", "\x1b[41;100000m", "\x1b[" + "41;" * 40 + "49m"):
            for end in "", "\n":
                with self.subTest(text, end=end):
                    terminal = self.run_at(f"import sys, time\nsys.stdout.write({text + 'moved' + end!r})\nsys.stdout.flush()\ntime.sleep(0.3)\n", "--trace", "lines")
                    terminal.screen.strict = False
                    self.assertEqual(terminal.end(), 0)
                    self.assertNotIn(b"\x1b", terminal.bytes.partition(b"moved")[2])
                    self.assertNotIn(b"> /robot", terminal.bytes.partition(b"moved")[2])
        for colours in "\x1b[31;42m{}\x1b[0m", "\x1b[32m{}\x1b[m", "\x1b[31m{}\x1b[39m", "\x1b[44m{}\x1b[49m", "\x1b[7m{}\x1b[27m", "\x1b[38;5;48m{}", "\x1b[38;2;48;7;44m{}", "\x1b[1;48;5;9m{}\x1b[;m", \
                "\x1b[38:5:1m{}", "\x1b[4:3;58;5;41m{}", "\x1b[48:5:1m{}\x1b[49m":
            with self.subTest(colours):
                terminal = self.run_at(f"import time\nprint({colours.format('green')!r}, end='', flush=True)\ntime.sleep(600)\n", "--trace", "lines")
                terminal.wait_until(lambda lines: lines[-1].startswith("> /robot/x.py:3"), "there is a row")
                self.stop(terminal)

    def test_no_wider_than_the_terminal(self):
        names = {"a" * 60: "/robot/" + "a" * 12, "\u8a9e" * 30: "/robot/" + "\u8a9e" * 5, "e\u0301" * 30: "/robot/" + "e\u0301" * 10,
                 "new\nline \x1b[2J\u202e.py": "/robot/new\\nline ?[2J?.py"}
        for name, begin in names.items():
            for columns in 20, 30, 80:
                with self.subTest(name, columns=columns):
                    code = ("import time\nprint('begun', flush=True)\n"
                            f"exec(compile('x = 1\\ntime.sleep(600)\\n', '/robot/' + {name!r}, 'exec'))\n")
                    terminal = self.run_at(code, "--trace", "lines", columns=columns, rows=8)
                    terminal.wait_until(lambda lines: lines[-1].startswith("> " + begin[:8]))
                    row = "".join(terminal.screen.rows[terminal.screen.y])
                    self.assertLess(terminal.screen.x, columns)
                    expected = "> " + begin
                    self.assertEqual(row[:len(expected)], expected[:len(row)])
                    self.stop(terminal)
                    self.assertEqual([line for line in terminal.screen.lines() if line.startswith("> ")], [])

    def test_the_window_changes(self):
        code = WAIT + "for i in range(2):\n    wait(1)\n    print(i, flush=True)\nwait()\n"
        terminal = self.run_at(code, "--trace", "lines", "--wall-ms", "600000", columns=80)
        terminal.wait_for("/robot/x.py:1 <module>", "  /robot/x.py:2 wait", "> /robot/x.py:3 wait")
        terminal.resize(25)
        terminal.wait_for("/robot/x.py:1 <module>", "  /robot/x.py:2 wait", "0", "  /robot/x.py:2 wait", "> /robot/x.py:3 wait")
        terminal.resize(12)
        terminal.wait_until(lambda lines: lines[-1] == "> /robot/")
        self.stop(terminal)

    def test_a_name_on_one_line(self):
        """Also of what is called, and of where it ended."""
        evil = "exec(compile('def evil(): {}\\nevil()\\n', '/robot/a\\nb.py', 'exec'))\n"
        done = self.paddock("run", self.path("e.py", evil.format("1 / 0")), "--trace", "calls")
        self.check(done, 1, err="  /robot/a\\nb.py:1 <module>\n    /robot/a\\nb.py:1 evil\n")
        self.assertIn("ZeroDivisionError: division by zero (a\\nb.py, line 1). ", done.stderr.splitlines()[-1])
        done = self.paddock("run", self.path("l.py", evil.format("print(list(range(999)))")), "--output-kb", "1")
        self.assertIn("It was at a\\nb.py, line 1. ", done.stderr.splitlines()[-1])


class Waiting(Command):
    """A program that waits for input says so at a terminal, and to who asks."""

    ASK = "import time\nname = input({!r})\nprint('Hello', name, flush=True)\ninput()\nprint('over')\n"

    def test_run(self):
        for rows in 3, 24:
            for prompt in "Who? ", "":
                with self.subTest(prompt, rows=rows):
                    terminal = Terminal([PADDOCK, "run", self.path("ask.py", self.ASK.format(prompt))], rows=rows)
                    terminal.wait_for(prompt.rstrip(), "> waiting for input: type a line")
                    self.assertEqual((terminal.screen.x, terminal.screen.y), (len(prompt), 0))
                    terminal.type("Ada\n")
                    lines = [f"{prompt}Ada", "Hello Ada", "", "> waiting for input: type a line"]
                    terminal.wait_for(*lines[-rows:])
                    terminal.type("\n")
                    self.assertEqual(terminal.end(), 0)
                    self.assertEqual(terminal.screen.lines(), [f"{prompt}Ada", "Hello Ada", "", "over"][-rows + 1:])

    def test_for_its_turn(self):
        with pool.Pool(workers=1) as p:
            where = ["--runtime-dir", p.runtime]
            self.paddock("pause", *where)
            self.check(self.paddock("submit", self.path("x.py", "print('hello')\n"), "--id", "j", *where), 0, "j\n")
            terminal = Terminal([PADDOCK, "follow", "j", *where])
            terminal.wait_for("", "> waiting for its turn")
            self.paddock("resume", *where)
            self.assertEqual(terminal.end(), 0)
            self.assertEqual(terminal.screen.lines(), ["hello"])

    def test_many_lines(self):
        """What is typed stands where it was typed, and nothing of ours in it."""
        terminal = Terminal([PADDOCK, "run", self.path("all.py", "import sys\nprint(len(sys.stdin.read()))\n")])
        lines = []
        for line in "first line", "b", "", "the last":
            terminal.wait_for(*lines, "", "> waiting for input: type a line")
            terminal.type(line + "\n")
            lines.append(line)
        terminal.wait_for(*lines, "", "> waiting for input: type a line")
        terminal.type("\4")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.screen.lines(), [*lines, "23"])

    def test_follow_and_status(self):
        for encoding in "binary", "json":
            with self.subTest(encoding), pool.Pool(workers=1) as p:
                where = ["--runtime-dir", p.runtime]
                ask = self.path("ask.py", self.ASK.format("Who? "))
                self.check(self.paddock("submit", ask, "--id", "j", "--live-input", "--encoding", encoding, "--wall-ms", "600000", *where),
                           0, "j\n")
                terminal = Terminal([PADDOCK, "follow", "j", *where], columns=31)
                terminal.wait_for("Who?", "> waiting for input: paddock")
                self.assertRegex(self.paddock("status", "j", *where).stdout, r"(?m)^waits_for +input$")
                self.assertIn('"waits_for":"input"', self.paddock("status", "j", "--json", *where).stdout)
                self.check(self.paddock("input", "j", "Ada", *where), 0, "")
                terminal.wait_for("Who? Hello Ada", "", "> waiting for input: paddock")
                self.check(self.paddock("input", "j", "", *where), 0, "")
                self.assertEqual(terminal.end(), 0)
                self.assertEqual(terminal.screen.lines(), ["Who? Hello Ada", "over"])
                self.assertNotIn("waits_for", self.paddock("status", "j", *where).stdout)

    def test_while_another_thread_prints(self):
        with pool.Pool(workers=1) as p:
            where = ["--runtime-dir", p.runtime]
            ask = self.path("ask.py", "import threading, time\ndone = []\ndef count():\n    for i in range(5):\n"
                            "        print(i, flush=True)\n        time.sleep(0.05)\n    print('counted', flush=True)\n    while not done: time.sleep(0.02)\n"
                            "threading.Thread(target=count).start()\ninput()\ndone.append(1)\nprint('over')\n")
            self.check(self.paddock("submit", ask, "--id", "j", "--live-input", "--trace", "lines", "--wall-ms", "600000", *where), 0, "j\n")
            terminal = Terminal([PADDOCK, "follow", "j", *where])
            note = "> waiting for input: paddock input j"
            terminal.wait_until(lambda seen: seen[-3:] == ["counted", "", note], note)
            self.assertRegex(self.paddock("status", "j", *where).stdout, r"(?m)^waits_for +input$")
            self.check(self.paddock("input", "j", "", *where), 0, "")
            self.assertEqual(terminal.end(), 0)
            self.assertEqual(terminal.screen.lines()[-2:], ["counted", "over"])

    def test_status_of_one_that_runs(self):
        with pool.Pool(workers=1) as p:
            where = ["--runtime-dir", p.runtime]
            busy = self.path("busy.py", "input()\nprint('on', flush=True)\nimport time\ntime.sleep(600)\n")
            self.paddock("submit", busy, "--id", "j", "--live-input", "--trace", "lines", "--wall-ms", "600000", *where)
            pool.wait_until(lambda: "waits_for" in self.paddock("status", "j", *where).stdout, "it waits")
            self.paddock("input", "j", "x", *where)
            pool.wait_until(lambda: "waits_for" not in self.paddock("status", "j", *where).stdout, "it goes on")
            self.assertIn("running", self.paddock("status", "j", *where).stdout)
            self.paddock("cancel", "j", *where)

    def test_no_row_on_a_terminal_that_cannot(self):
        for source, words in ((WAIT + "wait(0.5)\nprint('over')\n", ["--trace", "lines"]), (self.ASK.format("Who? "), [])):
            terminal = Terminal([PADDOCK, "run", self.path("x.py", source), *words], term="dumb")
            terminal.type("Ada\n\n")
            self.assertEqual(terminal.end(), 0)
            self.assertEqual([line for line in terminal.shown if line.startswith(">")], [])


if __name__ == "__main__":
    unittest.main()
