# SPDX-License-Identifier: MIT
"""What a student reads when a program does not import: one row each, with the whole text of the sentence."""

import unittest

import pool
import recording

READ = "Python cannot read your program: {}. Look at that line and the one above it."
STOPPED = "Your program stopped with an error: {}. The last lines of its output show where."
NO_NETWORK = "There is no network here: a program cannot open a connection"
NO_PROGRAMS = "Programs cannot start other programs here"
NO_PROCESSES = ("Programs cannot start processes here; threads work: threading and "
                "concurrent.futures.ThreadPoolExecutor")
NO_FILES = "Programs cannot write files here; io.StringIO and io.BytesIO are files in memory"
NO_PIPES = "Programs have their input and output here, and cannot open a pipe or wait for files"
MIXED = "def f():\n    if 1:\n        x = '''\n\ttext\n'''\n\tprint(1)\n    return 2\nprint(f())\n"

# name: (files, verdict, sentence)
ROWS = {
    "only robot1.py": ({"robot1.py": "x = 1\n"}, "no_entry", "There is no robot.py. I found robot1.py: is that it?"),
    "Robot.py": ({"Robot.py": "x = 1\n"}, "no_entry", "There is no robot.py. I found Robot.py: is that it?"),
    "a ZIP in the ZIP": ({"robot.zip": pool.make_zip("x = 1\n")}, "no_entry",
                         "There is no robot.py, but another ZIP, robot.zip: please upload that one."),
    "a ZIP beside other files": ({"README.txt": "", "old/a.ZIP": "", "robot.zip": pool.make_zip("x = 1\n")}, "no_entry",
                                 "There is no robot.py, but another ZIP, robot.zip: please upload that one."),
    "ROBOT.ZIP": ({"ROBOT.ZIP": pool.make_zip("x = 1\n")}, "no_entry",
                  "There is no robot.py, but another ZIP, ROBOT.ZIP: please upload that one."),
    "ROBOT.PY": ({"ROBOT.PY": "x = 1\n", "lib/arm.py": ""}, "no_entry",
                 "There is no robot.py. I found ROBOT.PY: is that it?"),
    "robot.py.txt": ({"robot.py.txt": "x = 1\n", "README": "", "arm.py": ""}, "no_entry",
                     "There is no robot.py. I found robot.py.txt: is that it?"),
    "no Python at all": ({"robot.txt": "x = 1\n"}, "no_entry",
                         "There is no robot.py, nor any other Python file."),
    "tabs and spaces": ({"robot.py": MIXED}, "compile_error", READ.format(
        "TabError: inconsistent use of tabs and spaces in indentation (robot.py, line 6). Line 6 is indented with tabs, "
        "and line 3 with spaces: use only one of them in a file")),
    "tabs and spaces in a module": ({"robot.py": "import arm\n", "arm.py": "if 1:\n\tx = 1\n        y = 2\n"},
                                    "compile_error", READ.format(
        "TabError: inconsistent use of tabs and spaces in indentation (arm.py, line 3). Line 3 is indented with spaces, "
        "and line 2 with tabs: use only one of them in a file")),
    "an unindent between tabs and spaces": ({"robot.py": "def f():\n\tx = 1\n    y = 2\n"}, "compile_error", READ.format(
        "IndentationError: unindent does not match any outer indentation level (robot.py, line 3). Line 3 is indented with "
        "spaces, and line 2 with tabs: use only one of them in a file")),
    "an indent between tabs and spaces": ({"robot.py": "def f():\n\tx = 1\n            y = 2\n"}, "compile_error",
                                          READ.format(
        "IndentationError: unexpected indent (robot.py, line 3). Line 3 is indented with spaces, and line 2 with tabs: use "
        "only one of them in a file")),
    "an unindent of spaces alone": ({"robot.py": "if 1:\n\tx = 1\nif 2:\n    y = 2\n  z = 3\n"}, "compile_error", READ.format(
        "IndentationError: unindent does not match any outer indentation level (robot.py, line 5)")),
    "print of Python 2": ({"robot.py": "x = 1\nprint 'hello'\n"}, "compile_error", READ.format(
        "SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)? (robot.py, line 2). This is "
        "Python 2; in Python 3 it is print(...), with brackets")),
    "except of Python 2": ({"robot.py": "try:\n    pass\nexcept ValueError, e:\n    pass\n"}, "compile_error", READ.format(
        "SyntaxError: multiple exception types must be parenthesized (robot.py, line 3). This is Python 2; in Python 3 "
        "it is \"except Error as e:\"")),
    "a module of Python 2": ({"robot.py": "import Queue\n"}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'Queue' (robot.py, line 1). This is Python 2; in Python 3 the module is "
        "called queue")),
    "a function of Python 2": ({"robot.py": "name = raw_input('Who? ')\n"}, "exception", STOPPED.format(
        "NameError: name 'raw_input' is not defined (robot.py, line 1). This is Python 2; in Python 3 it is input()")),
    "a method of Python 2": ({"robot.py": "d = {}\nd.has_key(1)\n"}, "exception", STOPPED.format(
        "AttributeError: 'dict' object has no attribute 'has_key' (robot.py, line 2). This is Python 2; in Python 3 it is key in dict")),
    "a list of Python 2": ({"robot.py": "d = {1: 2}\nd.keys()[0]\n"}, "exception", STOPPED.format(
        "TypeError: 'dict_keys' object is not subscriptable (robot.py, line 2). This is Python 2; in Python 3 it is "
        "list(d.keys())[0]")),
    "a name that is nearly one": ({"robot.py": "prnt('x')\n"}, "exception", STOPPED.replace(". The", " The").format(
        "NameError: name 'prnt' is not defined (robot.py, line 1). Did you mean: 'print'?")),
    "an attribute that is nearly one": ({"robot.py": "import math\nmath.sqr(3)\n"}, "exception", STOPPED.replace(". The", " The").format(
        "AttributeError: module 'math' has no attribute 'sqr' (robot.py, line 2). Did you mean: 'sqrt'?")),
    "a name that cannot be asked for": ({"robot.py": "class A:\n    def __dir__(self): 1 / 0\nA().x\n"}, "exception", STOPPED.format(
        "AttributeError: 'A' object has no attribute 'x' (robot.py, line 3)")),
    "random.py": ({"robot.py": "import random\nprint(random.randint(1, 2))\n", "random.py": "x = 1\n"}, "exception",
                  STOPPED.format("AttributeError: module 'random' has no attribute 'randint' (robot.py, line 2). Your "
                                 "random.py hides Python's own module random: give it another name")),
    "a package statistics": ({"robot.py": "from statistics import mean\n", "statistics/__init__.py": ""}, "exception",
                             STOPPED.format(
        "ImportError: cannot import name 'mean' from 'statistics' (/robot/statistics/__init__.py) (robot.py, line 1). "
        "Your statistics/__init__.py hides Python's own module statistics: give it another name")),
    "numpy": ({"robot.py": "import numpy.linalg\n"}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'numpy' (robot.py, line 1). There is no numpy here; math, array and "
        "statistics come near")),
    "Helper.py for helper": ({"robot.py": "import helper\n", "Helper.py": ""}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'helper' (robot.py, line 1). There is the file Helper.py: capital letters "
        "count, write import Helper")),
    "a module in a folder": ({"robot.py": "import helper\n", "lib/arm/helper.py": ""}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'helper' (robot.py, line 1). There is the file lib/arm/helper.py: write "
        "import lib.arm.helper")),
    "email.py": ({"robot.py": "import email.mime.text\n", "email.py": ""}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'email.mime'; 'email' is not a package (robot.py, line 1). Your email.py "
        "hides Python's own module email: give it another name")),
    "lib/Thing.py for lib.thing": ({"robot.py": "from lib.thing import x\n", "lib/Thing.py": ""}, "exception",
                                   STOPPED.format(
        "ModuleNotFoundError: No module named 'lib.thing' (robot.py, line 1). There is the file lib/Thing.py: capital "
        "letters count, write import lib.Thing")),
    "Lib/ for lib": ({"robot.py": "import lib.arm\n", "Lib/arm.py": ""}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'lib' (robot.py, line 1). There is the folder Lib: capital letters count, "
        "write import Lib")),
    "nothing in a package": ({"robot.py": "import pkg.nothing\n", "pkg/__init__.py": "", "pkg/arm.py": ""}, "exception",
                             STOPPED.format("ModuleNotFoundError: No module named 'pkg.nothing' (robot.py, line 1)")),
    "a slip in a package": ({"user/robot.py": "import pkg.in_ner.arn\n", "user/pkg/in_ner/arm.py": "", "README": ""},
                            "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'pkg.in_ner.arn' (user/robot.py, line 1). Perhaps you meant pkg.in_ner.arm")),
    "a file that is no package": ({"robot.py": "import helper.sub\n", "helper.py": ""}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'helper.sub'; 'helper' is not a package (robot.py, line 1). helper is the "
        "file helper.py, and no folder that holds sub")),
    "one of Python's that has no such part": ({"robot.py": "import json.nothing\n"}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'json.nothing' (robot.py, line 1)")),
    "two letters that changed places": ({"robot.py": "import tiem\n"}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'tiem' (robot.py, line 1). Perhaps you meant time")),
    "sr.robot": ({"robot.py": "from sr.robot import *\n"}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'sr' (robot.py, line 1). There is no sr here: no robot, real or simulated, "
        "is connected")),
    "scipy without numpy": ({"robot.py": "import scipy\n"}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'scipy' (robot.py, line 1). There is no scipy here; math, cmath and "
        "statistics come near")),
    "a slip": ({"robot.py": "import maths\n"}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'maths' (robot.py, line 1). Perhaps you meant math")),
    "a slip in one's own": ({"robot.py": "import moter\n", "motor.py": ""}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'moter' (robot.py, line 1). Perhaps you meant motor")),
    "nothing comes near": ({"robot.py": "import zyxwvut\n"}, "exception", STOPPED.format(
        "ModuleNotFoundError: No module named 'zyxwvut' (robot.py, line 1)")),
    "tkinter": ({"robot.py": "import tkinter\n"}, "exception", STOPPED.format(
        "ModuleNotFoundError: There is no screen here: a program can print, and no window opens (robot.py, line 1)")),
    "from ctypes": ({"robot.py": "from ctypes import CDLL\n"}, "exception", STOPPED.format(
        "ModuleNotFoundError: Programs cannot reach into memory here, so there is no ctypes (robot.py, line 1)")),
    "a file to write": ({"robot.py": "open('log.txt', 'w')\n"}, "exception", STOPPED.format(
        "OSError: [Errno 30] Read-only file system: 'log.txt' (robot.py, line 1). Programs cannot write files here; what "
        "they print is kept")),
    "no input": ({"robot.py": "input('name? ')\n"}, "exception", STOPPED.format(
        "EOFError: EOF when reading a line (robot.py, line 1). It asked for a line of input when there was none left: a program "
        "gets its input when it is started")),
    "a database in a file": ({"robot.py": "import shelve\nshelve.open('x')\n"}, "exception", STOPPED.format(
        "OSError: [Errno 30] Read-only file system: b'x.dat' (robot.py, line 2). Programs cannot write files here; what they "
        "print is kept")),
    "https": ({"robot.py": "import urllib.request as u\nu.urlopen('https://localhost/')\n"}, "exception", STOPPED.format(
        "URLError: <urlopen error unknown url type: https> (robot.py, line 2). " + NO_NETWORK)),
    "another error": ({"robot.py": "x = None\nx.y\n"}, "exception", STOPPED.format(
        "AttributeError: 'NoneType' object has no attribute 'y' (robot.py, line 2)")),
}

# How a file is saved: where, and what to do about it.
REMOVE = "This encoding is not offered here: save the file as UTF-8, which can write all languages, and remove that line."
NO_UTF8 = "SyntaxError: this line holds a byte that is not UTF-8: 0xe9 (robot.py, line {}). Save the file as UTF-8."
AT_ITS_TOP = "Save the file in the encoding that it names at its top, or in UTF-8 and without that name."
LOOK = "Look at that line and the one above it."
UTF16 = "SyntaxError: the file is saved in UTF-16 (robot.py, line 1). Save it as UTF-8."
ROWS.update({f"encoding, {what}": ({"robot.py": code}, "compile_error", "Python cannot read your program: " + said) for what, code, said in (
    ("another one", b"# coding: gbk\nx = 1\n", "SyntaxError: unknown encoding: gbk (robot.py, line 1). " + REMOVE),
    ("none", b"\n# vim: fileencoding=foo\nx = 1\n", "SyntaxError: unknown encoding: foo (robot.py, line 2). " + REMOVE),
    ("none of text", b"# coding: rot13\n", "SyntaxError: 'rot13' is not a text encoding; use codecs.decode() to handle arbitrary codecs "
                                           "(robot.py, line 1). " + REMOVE),
    ("two", b"\xef\xbb\xbf# coding: latin-1\n", "SyntaxError: encoding problem: iso-8859-1 with BOM (robot.py, line 1). "
                                                "The file begins as UTF-8 does: remove that line."),
    ("UTF-16", "x = 1\n".encode("utf-16"), UTF16), ("UTF-16 without a mark", "x = 1\n".encode("utf-16-be"), UTF16),
    ("Latin-1", b"x = 1\n\ny = 'caf\xe9'\n", NO_UTF8.format(3)), ("Latin-1 in a text", b'x = """\n\xe9\n\n"""\n', NO_UTF8.format(2)),
    ("ASCII that is none", b"# coding: ascii\nx = '\xe9'\n", "SyntaxError: this line holds a byte that is not ascii: 0xe9 (robot.py, line 2). "
                                                             + AT_ITS_TOP),
    ("a NUL", b"x = 1\n\0\n", "SyntaxError: source code cannot contain null bytes (robot.py, line 2). " + LOOK),
    ("another error before", b"x = = 1\ny = '\xe9'\n", "SyntaxError: invalid syntax (robot.py, line 1). " + LOOK),
)})

# What an exception says, however odd.
ROWS.update({
    "half a character": ({"robot.py": "raise ValueError('\\ud800abc')\n"}, "exception",
                         STOPPED.format("ValueError: \\ud800abc (robot.py, line 1)")),
    "a long name": ({"robot.py": f"class {'E' * 5000}(Exception): pass\nraise {'E' * 5000}('said')\n"}, "exception",
                    STOPPED.format(f"{'E' * 80}...: said (robot.py, line 2)")),
    "a long name of wide letters": ({"robot.py": "class E{0}(Exception): pass\nraise E{0}\n".format("\u00e4" * 500)}, "exception",
                                    STOPPED.format("E" + "\u00e4" * 39 + "... (robot.py, line 2)")),
    "a long text": ({"robot.py": "raise ValueError('\u20ac' * 5000)\n"}, "exception",
                    STOPPED.format("ValueError: " + "\u20ac" * 681 + "... (robot.py, line 1)")),
    "turned around": ({"robot.py": "raise ValueError('a\\u202eb\\u2066c\\x9bd')\n"}, "exception",
                      STOPPED.format("ValueError: a?b?c?d (robot.py, line 1)")),
    "a NUL": ({"robot.py": "raise ValueError('a\\0b')\n"}, "exception", STOPPED.format("ValueError: a?b (robot.py, line 1)")),
    "gone": ({"robot.py": "import os, time\ntime.sleep(0.1)\nos._exit(0)\n"}, "vanished",
             "Your program ended itself without coming to its end. os._exit() does that: use exit() instead."),
})

NOT_ALLOWED = ("What that line asks of the machine is not allowed here: a program has its own files, its input and its output, and "
               "no other processes")
ROWS.update({
    "a call that is denied": ({"robot.py": "import os\nos.nice(1)\n"}, "exception", STOPPED.format(
        "PermissionError: [Errno 1] Operation not permitted (robot.py, line 2). " + NOT_ALLOWED)),
    "waiting for a key": ({"robot.py": "import select, sys\nselect.select([sys.stdin], [], [], 0)\n"}, "exception", STOPPED.format(
        "PermissionError: [Errno 1] Operation not permitted (robot.py, line 2). " + NOT_ALLOWED)),
    "an exit code of more than a byte": ({"robot.py": "exit(300)\n"}, "exit", "Your program ended itself with exit(300), which is exit code 44."),
    "a negative exit code": ({"robot.py": "import sys\nsys.exit(-1)\n"}, "exit",
                             "Your program ended itself with exit(-1), which is exit code 255."),
    "an exit code beyond all": ({"robot.py": "import sys\nsys.exit(2 ** 70)\n"}, "exit", 
                                "Your program ended itself with exit(1180591620717411303424), which is exit code 255."),
    "one that is longer": ({"robot.py": "exit(10 ** 4000)\n"}, "exit",
                           "Your program ended itself with exit(100000000000000000000000...), which is exit code 255."),
    "one that is longer still": ({"robot.py": "exit(1 << 100000)\n"}, "exit",
                                 "Your program ended itself with exit(...), which is exit code 255."),
    "a number with something to say": (
        {"robot.py": "class N(int):\n    def __str__(self): return 'x'\n    __repr__ = __index__ = __str__\nraise SystemExit(N(300))\n"},
        "exit", "Your program ended itself with exit(300), which is exit code 44."),
    "interrupted by itself": ({"robot.py": "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n"
                                           "except KeyboardInterrupt:\n    raise ValueError('caught')\n"}, "exception", STOPPED.format(
        "ValueError: caught (robot.py, line 5)")),
})

# What is refused when it is used, by an OSError that programs may catch: (module, statement, exception's text).
USES = [
    ("os", "os.system('clear')", f"PermissionError: [Errno 1] {NO_PROGRAMS}"),
    ("os", "os.execv('/usr/bin/python3', ['python3'])", f"PermissionError: [Errno 1] {NO_PROGRAMS}"),
    ("os", "os.execlp('python3', 'python3')", f"PermissionError: [Errno 1] {NO_PROGRAMS}"),
    ("os", "os.popen('date')", f"PermissionError: [Errno 1] {NO_PROGRAMS}"),
    ("os", "os.fork()", f"PermissionError: [Errno 1] {NO_PROGRAMS}"),
    ("os", "os.spawnlp(os.P_WAIT, 'date', 'date')", f"PermissionError: [Errno 1] {NO_PROGRAMS}"),
    ("os", "os.pipe()", f"PermissionError: [Errno 1] {NO_PIPES}"),
    ("selectors", "selectors.DefaultSelector()", f"PermissionError: [Errno 1] {NO_PIPES}"),
    ("subprocess", "subprocess.run(['date'])", f"PermissionError: [Errno 1] {NO_PROGRAMS}"),
    ("subprocess", "subprocess.check_output('date', shell=True)", f"PermissionError: [Errno 1] {NO_PROGRAMS}"),
    ("subprocess", "subprocess.Popen(['date', '-s', '1'])", f"PermissionError: [Errno 1] {NO_PROGRAMS}"),
    ("multiprocessing", "multiprocessing.Process(target=print).start()", f"PermissionError: [Errno 1] {NO_PROCESSES}"),
    ("multiprocessing", "multiprocessing.Pool(2)", f"PermissionError: [Errno 1] {NO_PROCESSES}"),
    ("multiprocessing", "multiprocessing.get_context('spawn').Queue()", f"PermissionError: [Errno 1] {NO_PROCESSES}"),
    ("multiprocessing.pool", "multiprocessing.pool.Pool(2)", f"PermissionError: [Errno 1] {NO_PROCESSES}"),
    ("concurrent.futures", "concurrent.futures.ProcessPoolExecutor()", f"PermissionError: [Errno 1] {NO_PROCESSES}"),
    ("socket", "socket.socket()", f"PermissionError: [Errno 13] {NO_NETWORK}"),
    ("socket", "socket.socket(socket.AF_INET, type=socket.SOCK_DGRAM)", f"PermissionError: [Errno 13] {NO_NETWORK}"),
    ("socket", "socket.create_connection(('localhost', 80))", f"gaierror: [Errno -3] {NO_NETWORK}"),
    ("socket", "socket.gethostbyname('localhost')", f"gaierror: [Errno -3] {NO_NETWORK}"),
    ("http.client", "http.client.HTTPConnection('localhost').request('GET', '/')", f"gaierror: [Errno -3] {NO_NETWORK}"),
    ("urllib.request", "urllib.request.urlopen('http://localhost/')", f"URLError: <urlopen error [Errno -3] {NO_NETWORK}>"),
    ("smtplib", "smtplib.SMTP('localhost')", f"gaierror: [Errno -3] {NO_NETWORK}"),
    ("http.server", "http.server.HTTPServer(('', 80), None)", f"PermissionError: [Errno 13] {NO_NETWORK}"),
    ("tempfile", "tempfile.mkdtemp()", f"OSError: [Errno 30] {NO_FILES}"),
    ("tempfile", "tempfile.NamedTemporaryFile()", f"OSError: [Errno 30] {NO_FILES}"),
]

# What says nothing of a refusal by itself: program, hint.
HINTS = [
    ("import logging.config\nlogging.config.dictConfig({'version': 1, 'handlers': {'f': {'class': 'logging.FileHandler', "
     "'filename': 'app.log'}}, 'root': {'handlers': ['f']}})\n", "Programs cannot write files here; what they print is kept"),
    ("import smtplib\nsmtplib.SMTP_SSL('localhost', 465)\n", NO_NETWORK),
    ("from http.client import HTTPSConnection\n", NO_NETWORK),
    ("import ftplib\nftplib.FTP_TLS()\n", NO_NETWORK),
    ("import sys, termios\ntermios.tcgetattr(sys.stdin)\n", "There is no terminal here"),
    ("import threading\nthreading.stack_size(512 << 20)\nthreading.Thread(target=print).start()\n", "about a hundred threads"),
    ("import sqlite3\nsqlite3.connect(':memory:').execute(\"attach 'x.db' as x\")\n", 'sqlite3.connect(":memory:") works'),
]


NO_USERS = "There are no users here, and no home folders: getpass.getuser() gives a name"
NO_DESCRIPTORS = "Files have no numbers (descriptors) here: open() opens them, not os.open()"
NO_DEBUGGER = "breakpoint() and pdb wait for somebody who types, and nobody can type here: print what you want to see"
HINTS += [
    ("open('/dev/stdin')\n", "A program's input is sys.stdin, and input() reads a line of it"),
    ("import os\nos.open('/dev/stdin', os.O_RDONLY)\n", "A program's input is sys.stdin, and input() reads a line of it"),
    ("open('/dev/stdout', 'w')\n", "A program's output is sys.stdout, and print() writes to it"),
    ("open('/dev/stderr', 'w')\n", "sys.stderr: print(..., file=sys.stderr)"),
    ("import os\nos.open(os.devnull, os.O_RDWR)\n", NO_DESCRIPTORS),
    ("import os\nos.open('robot.py', os.O_RDONLY)\n", NO_DESCRIPTORS),
    ("import os\nos.dup2(open(os.devnull, 'w').fileno(), 1)\n", NO_DESCRIPTORS),
    ("import os, pwd\npwd.getpwuid(os.getuid())\n", NO_USERS),
    ("import pwd\npwd.getpwnam('robot')\n", NO_USERS),
    ("import os, grp\ngrp.getgrgid(os.getgid())\n", NO_USERS),
    ("import grp\ngrp.getgrnam('robot')\n", NO_USERS),
    ("import pathlib\npathlib.Path('~robot').expanduser()\n", NO_USERS),
    ("x = 1\nbreakpoint()\nprint(x)\n", NO_DEBUGGER),
    ("import pdb\npdb.set_trace()\nprint(1)\n", NO_DEBUGGER),
]


class Sentences(pool.TestCase):
    def test_rows(self):
        for name, (files, verdict, sentence) in ROWS.items():
            with self.subTest(name):
                job = self.client.run(pool.make_zip(files))
                self.assertEqual((job.verdict, job.result["sentence"]), (verdict, sentence))

    def test_what_is_refused_when_it_is_used(self):
        for module, statement, text in USES:
            with self.subTest(statement):
                code = f"import {module}\ntry:\n    {statement}\nexcept OSError as e:\n    print('caught')\n{statement}\n"
                job = self.client.run(code)
                self.assertEqual(job.result["sentence"], STOPPED.format(f"{text} (robot.py, line 6)"))
                self.assertEqual(recording.text(recording.decode(job.recording)), "caught\n")

    def test_hints(self):
        for code, hint in HINTS:
            with self.subTest(code):
                job = self.client.run(code)
                self.assertEqual(job.verdict, "exception")
                self.assertIn(hint, job.result["sentence"])

    def test_who_runs_a_program(self):
        job = self.client.run("import getpass, os, pathlib\nprint(getpass.getuser(), os.path.expanduser('~'), pathlib.Path.home())\n")
        self.assertEqual(recording.text(recording.decode(job.recording)), "robot / /\n", job.result)

    def test_null_device(self):
        job = self.client.run("import contextlib, os, sys\nwith open(os.devnull, 'w') as null, contextlib.redirect_stdout(null):\n"
                              "    print('unheard')\nprint(open(os.devnull).read() == '', open('../dev/null', 'rb').read())\n"
                              "sys.stderr = open(os.devnull, 'wb', 0)\nprint(sys.stderr.write(b'unheard'))\n"
                              "sys.stdin = open(os.devnull)\ntry:\n    input()\nexcept EOFError:\n    print('nothing')\n"
                              "sys.stdout = open(os.devnull, 'w')\nprint('unheard')\n")
        records = recording.decode(job.recording)
        self.assertEqual((job.verdict, recording.text(records), recording.text(records, "err")),
                         ("ok", "True b''\n7\nnothing\n", ""), job.result)

    def test_half_a_character_is_told(self):
        """In the records and on stderr, too; and where Python itself has to say it."""
        for code in "raise ValueError('\\ud800abc')\n", "raise SyntaxError('\\ud800abc', ('/robot/robot.py', 1, 1, '\\udfff'))\n":
            with self.subTest(code):
                records = recording.decode(self.client.run(code).recording)
                self.assertIn("Error: \\ud800abc\n", recording.text(records, "err"))
                error, = (record for record in records if record["kind"] == "error")
                self.assertEqual(error["message"].partition(" (")[0], "\\ud800abc")
                self.assertEqual(error["frames"][-1]["source"], "\\udfff" if "udfff" in code else code.strip())

    def test_a_program_s_own_errors_are_no_other_verdict(self):
        """Whatever type they are of: ours is what the importer itself refused, and what Python raised."""
        for code in ("import zipimport\nraise zipimport.ZipImportError('x')\n", "import zipimport\nzipimport.zipimporter('data.zip')\n",
                     "class Full(MemoryError): pass\nraise Full\n", "class Bad(SyntaxError): pass\nraise Bad\n"):
            with self.subTest(code):
                self.assertEqual(self.client.run(code).verdict, "exception")

    def test_a_module_that_goes_while_it_is_looked_at(self):
        code = ("import sys\nclass M: __file__ = '/robot/robot.py'\nclass N: __file__ = '/robot/other.py'\nclass S:\n"
                "    def __contains__(self, name):\n        del sys.modules['random']\n        self.kept = [N() for _ in range(99)]\n        return True\n"
                "sys.modules['random'] = M()\nsys.stdlib_module_names = S()\nraise ImportError('no', name='random')\n")
        self.assertIn("Your robot.py hides Python's own module random", self.client.run(code).result["sentence"])

    def test_a_syntax_error_that_a_program_made_up(self):
        """Python has read it, whatever the error says; one that it raises again is still its compiler's."""
        for where in "'/robot/robot.py', 'notanint', object(), 5", "'/robot/robot.py', 1, 2, 'abc'":
            for source in "raise SyntaxError('lie', ({}))\n", "def f(): raise SyntaxError('lie', ({}))\ntry: f()\nexcept SyntaxError as e: raise e\n":
                with self.subTest(source, where=where):
                    job = self.client.run(source.format(where))
                    self.assertEqual((job.verdict, job.result["sentence"]), ("exception", STOPPED.format("SyntaxError: lie (robot.py, line 1)")))
        for source in "import arm\n", "try: import arm\nexcept SyntaxError as e: raise e\n", "exec(compile('(', __file__, 'exec'))\n":
            with self.subTest(source):
                self.assertEqual(self.client.run(pool.make_zip({"robot.py": source, "arm.py": "x = (\n"})).verdict, "compile_error")

    def test_no_guess_by_chance(self):
        """Well-known names are known; others are near to one of Python's only by a slip."""
        names = ("yaml attr simpy psutil game pygame serial cv2 RPi requests scipy pandas typer attrs flask pytest django "
                 "torch zmq nltk rich tqdm redis future mock lxml boto").split()
        job = self.client.run("import importlib\n" + "".join(
            f"try:\n    import {name}\nexcept ImportError as e:\n    {name} = e\n" for name in names))
        self.assertEqual(job.verdict, "ok", job.result)
        for name in names:
            with self.subTest(name):
                self.assertNotIn("Perhaps you meant", self.client.run(f"import {name}\n").result["sentence"])

    def test_two_files_of_one_name(self):
        data = pool.make_zip({"robot.py": "x = 1\n", "arm.py": "", "brm.py": ""}).replace(b"brm.py", b"arm.py")
        job = self.client.run(data)
        self.assertEqual((job.verdict, job.result["sentence"]),
                         ("bad_zip", 'The ZIP cannot be used: "arm.py" is in the ZIP twice.'))

    def test_tabs_of_python2(self):
        """Opted in, a mixed file is read; a text with tabs in it stays as it is, and lines keep their numbers."""
        files = {"robot.py": MIXED + "import arm\n", "arm.py": "if 1:\n\tx = 'a\tb'\n        y = '''\n\tc'''\nprint(repr(x + y))\n1 / 0\n"}
        job = self.client.run(pool.make_zip(files), tabs="8")
        self.assertEqual(job.verdict, "exception", job.result)
        self.assertIn("(arm.py, line 6)", job.result["sentence"])
        self.assertEqual(recording.text(recording.decode(job.recording)), "1\n2\n'a\\tb\\n\\tc'\n")
        self.assertEqual(self.client.run(pool.make_zip(files)).verdict, "compile_error")

    def test_refused_modules_can_be_asked_for(self):
        job = self.client.run("import importlib.util as u\nprint(u.find_spec('numpy'), u.find_spec('tkinter') is None)\n"
                              "try:\n    import tkinter\nexcept ImportError as e:\n    print(e.name, e)\n"
                              "import sys\nprint('tkinter' in sys.modules)\n")
        self.assertEqual(recording.text(recording.decode(job.recording)),
                         "None False\ntkinter There is no screen here: a program can print, and no window opens\nFalse\n")

    def test_what_hides_and_what_does_not(self):
        """As on a disk: own modules come before Python's, but for those that Python itself has loaded before."""
        files = {"robot.py": "import os, io, math, json, random, xml, statistics\n"
                             "print(os.sep, io.StringIO, math.pi > 3, json.loads('1'), random.mine, xml.mine, statistics.mean([1, 3]))\n"
                             "import xml.etree.ElementTree\n",
                 "os.py": "", "io.py": "", "math.py": "", "json/data.txt": "", "random.py": "mine = 1\n",
                 "xml/__init__.py": "mine = 2\n"}
        job = self.client.run(pool.make_zip(files))
        self.assertEqual(recording.text(recording.decode(job.recording)), "/ <class '_io.StringIO'> True 1 1 2 2\n")
        self.assertIn("No module named 'xml.etree'", job.result["sentence"])

    def test_what_hides_later(self):
        """As on a disk: a folder that is put on the path before Python's. What it does not hide is what it always was."""
        code = ("import importlib, sys, json.decoder, decimal\n"
                "print('random' in sys.modules, 'xml' in sys.modules, json.decoder is sys.modules['json.decoder'])\n"
                "sys.path.insert(0, '/robot/lib')\nimport random, xml\n"
                "print(random.mine, xml.mine, '_decimal' in sys.modules)\n"
                "print(json.loads('[1]'), json.__spec__.loader, json.__file__)\n"
                "sys.path.pop(0)\ndel sys.modules['random'], sys.modules['xml']\n"
                "import random, statistics, xml.etree.ElementTree as tree\n"
                "print(random is statistics.random, tree.fromstring('<a/>').tag, random.__spec__.name)\n"
                "first = random\ndel sys.modules['random']\nimport random\n"
                "print(first is random, random.randrange(1), importlib.reload(random) is random)\n"
                "del sys.modules['_decimal']\nimport _decimal\nprint(_decimal.Decimal is decimal.Decimal, _decimal.__spec__)\n")
        files = {"robot.py": code, "lib/random.py": "mine = 1\n", "lib/xml/__init__.py": "mine = 2\n",
                 "lib/_decimal.py": "1 / 0\n", "parts/json.py": "1 / 0\n", "parts/__init__.py": ""}
        job = self.client.run(pool.make_zip(files))
        self.assertEqual(recording.text(recording.decode(job.recording)).partition("0x")[0] + "0x",
                         "False False True\n1 2 True\n"
                         "[1] <archive loader of '/usr/lib/python3.11/json/__init__.py'> /usr/lib/python3.11/json/__init__.py\n"
                         "True a random\nFalse 0 True\n"
                         "True ModuleSpec(name='_decimal', loader=<_frozen_importlib_external.ExtensionFileLoader object at 0x",
                         job.result)

    def test_what_others_have_imported_hides_nothing(self):
        """As on a disk: logging has imported Python's traceback before lib is on the path; resource, which is C, nobody has."""
        code = ("import inspect, json, logging, sys\n"
                "print(len(inspect.getsource(json.JSONDecoder)) > 100, 'json.decoder' in sys.modules, 'resource' in sys.modules)\n"
                "print(json.__loader__ is json.__spec__.loader, inspect.getmodule(logging.Logger).__name__)\n"
                "sys.path.insert(0, 'lib')\nimport traceback, resource, mmap\n"
                "print(traceback.format_exception_only(OSError('x')), resource.load('map'), mmap.PAGESIZE, mmap.__spec__.name)\n")
        files = {"robot.py": code, "lib/traceback.py": "mine = 1\n", "lib/resource.py": "def load(name):\n    return name\n",
                 "util/mmap.py": "1 / 0\n", "util/json.py": "1 / 0\n"}
        job = self.client.run(pool.make_zip(files))
        self.assertEqual(recording.text(recording.decode(job.recording)),
                         "True True False\nTrue logging\n['OSError: x\\n'] map 4096 mmap\n", job.result)

    def test_library_modules_are_imported_as_on_a_disk(self):
        """What a library module imports in a function only is not imported with it; what it imports of the program's fails there."""
        for files, text, error in (
                ({"robot.py": "import json, re\nprint(json.loads('1'), 'typing' in sys.modules)\n", "typing.py": "1 / 0\n"}, "1 False\n", ""),
                ({"robot.py": "import settings\nimport typing\ntyping.play()\n", "settings.py": "import json\nWORDS = json.loads('[1]')\n",
                  "typing.py": "from settings import WORDS\ndef play():\n    print(WORDS)\n"}, "[1]\n", ""),
                ({"robot.py": "import decimal\nsys.path.insert(0, 'lib')\nimport numbers\nprint(numbers.__file__)\n",
                  "lib/numbers.py": ""}, "/usr/lib/python3.11/numbers.py\n", ""),
                ({"robot.py": "import runpy, ntpath\nprint(hasattr(runpy, 'mine'))\n", "runpy.py": "mine = 1\n", "ntpath.py": "1 / 0\n"},
                 "False\n", ""),
                ({"robot.py": "1 / 0\n", "enum.py": "while True: pass\n", "ast.py": "raise KeyboardInterrupt\n"}, "",
                 "    import sys; 1 / 0\n                ~~^~~\nZeroDivisionError: division by zero\n"),
                ({"robot.py": "from concurrent import futures; import jobs\nf = jobs.start()\nf.cancel()\ntry: f.result()\n"
                              "except futures.CancelledError: print('cancelled')\n",
                  "jobs.py": "from concurrent.futures import Future\ndef start(): return Future()\n", "game/types.py": ""}, "cancelled\n", ""),
                ({"robot.py": "import traceback\nprint(traceback.linecache.tokenize.re.compile('a+z?').pattern)\n", "game/types.py": ""},
                 "a+z?\n", ""),
                ({"robot.py": "from urllib import parse\n", "re.py": "print('mine')\n"}, "mine\n", "AttributeError: "),
                ({"robot.py": "import decimal, fractions\nprint(decimal.Decimal('0.5') == fractions.Fraction(1, 2))\n",
                  "util/numbers.py": ""}, "True\n", ""),
                ({"robot.py": "import zoneinfo\ntry: zoneinfo.ZoneInfo('No/Where')\nexcept zoneinfo.ZoneInfoNotFoundError: print('no')\n",
                  "game/types.py": "", "game/struct.py": ""}, "no\n", ""),
                ({"robot.py": "import statistics\n", "random.py": "x = (\n"}, "",
                 "  File \"/usr/lib/python3.11/statistics.py\", line 132, in <module>\n    import random\n"
                 "  File \"/robot/random.py\", line 1\n")):
            files["robot.py"] = "import sys; " + files["robot.py"]
            with self.subTest(files["robot.py"]):
                records = recording.decode(self.client.run(pool.make_zip(files)).recording)
                self.assertEqual(recording.text(records), text)
                self.assertIn(error, recording.text(records, "err"))

    def test_own_threading_is_left_alone_by_the_trace(self):
        for files in ({"threading.py": "1 / 0\n"}, {"lib/threading.py": "mine = 1\n"}):
            code = "print('first')\n" + ("import sys\nsys.path.insert(0, 'lib')\nimport threading\nprint(threading.mine)\n"
                                         if "lib/threading.py" in files else "")
            job = self.client.run(pool.make_zip({"robot.py": code, **files}), trace="calls")
            self.assertEqual((job.verdict, recording.text(recording.decode(job.recording))),
                             ("ok", "first\n1\n" if "lib/threading.py" in files else "first\n"), job.result)


if __name__ == "__main__":
    unittest.main()
