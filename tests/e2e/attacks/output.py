# SPDX-License-Identifier: MIT
"""F: output, and the memory that a sandbox shares with its relay."""

from attacks import RAW, Attack

FLOOD = {"output_kb": 10}

# Where the ring lies: its address is among the variables of the program that Python runs in, some way behind the table of
# the function that stands in for os.fork. Offsets are those of struct ring_shared (common/ring.h).
RING = RAW + """\
def word(place):
    return ctypes.c_uint64.from_address(place)

def is_ring(place):
    return (1 << 32 < place < 1 << 47 and place % 4096 == 0 and is_there(place)
            and ctypes.c_uint32.from_address(place + 8).value == 1 and 0 < word(place + HEAD).value < 1 << 20
            and b"PADDOCK" in ctypes.string_at(place + DATA, 16))

HEAD, OVER, CLAIM, CHUNKS, DATA, SIZE = 64, 76, 4096, 20480, 86016, 1 << 18
place = word(id(os.fork) + 16).value
while not is_ring(word(place).value):
    place += 8
ring = word(place).value

def claim(verdict, exit_code=0, report=b"", size=None):
    part = (ctypes.c_uint32 * 4).from_address(ring + CLAIM)
    ctypes.memmove(ring + CLAIM + 16, report, len(report))
    part[1], part[2], part[3] = verdict, exit_code, len(report) if size is None else size
    part[0] = 1

OK, EXCEPTION, CPU_LIMIT, CANCELLED = 1, 3, 8, 15
"""

SPIN = "while True: pass\n"
NONSENSE = "bytes that are no records reach only who reads this recording"


def kept(job):
    """A prefix of what was printed, up to the limit."""
    return job.text == ("abcdefghij\n" * 1000)[:10 << 10]


def order(job):
    kinds = [r["kind"] for r in job.records if r["kind"] in ("out", "err", "error")]
    return job.text == "one\nthree\n" and job.errors.startswith("two\nTraceback") and kinds[:4] == ["out", "err", "out", "err"]


def raw_bytes(expected):
    return lambda job: b"".join(r["data"] for r in job.records if r["kind"] == "out") == expected


def told_in_short(job):
    return len(job.errors) <= (10 + 16) << 10 and job.errors.startswith("Traceback")


ODD = "a\0b\x1b[2J\rc" + "\u200b" * 1000 + "<script>"

ATTACKS = [
    Attack("F1", "a flood", "while 1: print('abcdefghij')\n", "output_limit", FLOOD, check=kept),
    Attack("F2", "one line of 10 MB", "print('x' * 10_000_000)\n", "output_limit", FLOOD, out="x" * (10 << 10)),
    Attack("F3", "a flood past sys.stdout", "import os\nwhile True: os.write(1, b'A' * 65536)\n", "output_limit", FLOOD,
           out="A" * (10 << 10)),
    Attack("F3", "a flood by threads", "import os, threading\ndef flood():\n    while True: os.write(2, b'A' * 100)\n"
           "for _ in range(4): threading.Thread(target=flood).start()\n", "output_limit", FLOOD, out=""),
    Attack("F3", "a flood in parts", RAW + "part = [at(b'A' * 4096), 4096]\n"
           "parts = at(b''.join(word.to_bytes(8, 'little') for word in part * 16))\nwhile True: call(20, 1, parts, 16)\n",
           "output_limit", FLOOD, out="A" * (10 << 10)),
    Attack("F3", "a count that is a lie", RAW + "call(1, 1, at(), 1 << 40)\n", "output_limit crashed", FLOOD, out=None,
           asan=False),
    Attack("F4", "half a character", "print(chr(56550))\n", "exception", claim="UnicodeEncodeError"),
    Attack("F4", "bytes that are no text", "import os\nos.write(1, b'\\xff\\xfe')\n", "ok", check=raw_bytes(b"\xff\xfe")),
    Attack("F4", "a character on the edge of a record", "import sys\nsys.stdout.buffer.write(b'x' * 16383 + 'é'.encode())\n",
           "ok", out="x" * 16383 + "é"),
    Attack("F5", "signs that a terminal or a page obeys", f"print({ODD!r})\n", "ok", out=ODD + "\n"),
    Attack("F6", "fds closed", "import os\nfor fd in range(64):\n    try: os.close(fd)\n    except OSError: pass\n"
           "print('x')\n", "ok", out="x\n", why="a program may believe that it closed its output: the doorbell stays"),
    Attack("F7", "a result, printed", "print('{\"kind\": \"result\", \"verdict\": \"ok\"}')\nimport os\nos.abort()\n",
           "crashed", asan=False),
    Attack("F7", "a result, written to every fd", "import os\nfor fd in range(64):\n    try: os.write(fd, b'\\x01' * 8)\n"
           "    except OSError: pass\nos._exit(0)\n", "vanished"),
    Attack("F7", "a claim of its own, then a crash", RING + "claim(OK)\nos.abort()\n", "crashed", asan=False),
    Attack("F7", "a claim of its own, then a limit", RING + "claim(OK)\n" + SPIN, "cpu_limit", {"cpu_ms": 50}),
    Attack("F7", "a claim of its own, then the end", RING + "claim(EXCEPTION, 1, b'mine')\nos._exit(0)\n", "exception",
           claim="mine", why="how it ended by itself is a program's own word"),
    Attack("F7", "a claim of what only evidence can say", RING + "claim(CPU_LIMIT)\nos._exit(0)\n", "vanished"),
    Attack("F7", "a claim of what only the queue can say", RING + "claim(CANCELLED)\nos._exit(0)\n", "vanished"),
    Attack("F7", "a doorbell that rings without end", "import os\nwhile True: os.write(0, b'\\x01' + bytes(7))\n", "cpu_limit",
           {"cpu_ms": 50}),
    Attack("F8", "a claim with a length that is a lie", RING + "claim(OK, size=(1 << 32) - 1)\nos._exit(0)\n", "vanished"),
    Attack("F8", "a claim of no number", RING + "claim(0xffffffff)\nos._exit(0)\n", "vanished"),
    Attack("F8", "a claim with an exit code that is none", RING + "claim(OK, 1 << 20)\nos._exit(0)\n", "vanished"),
    Attack("F8", "a claim that looks like a terminal's orders", RING + "claim(EXCEPTION, 1, b'\\x1b[2J\\0\\xff')\n"
           "os._exit(0)\n", "exception", check=lambda job: "\x1b" not in job.result["sentence"]),
    Attack("F8", "a head far ahead", RING + "word(ring + HEAD).value = 1 << 63\n" + SPIN, "forbidden", call="recording",
           fields={"cpu_ms": 5000}),
    Attack("F8", "a head that goes back", RING + "while not word(ring).value: pass  # until the relay has read\n"
           "word(ring + HEAD).value = 0\n" + SPIN, "forbidden", call="recording",
           fields={"cpu_ms": 5000}),
    Attack("F8", "a head far ahead, and the end", RING + "word(ring + HEAD).value = 1 << 32\nos._exit(0)\n", "forbidden",
           call="recording"),
    Attack("F8", "a tail that is moved", RING + "word(ring).value = 1 << 62\nos._exit(0)\n", "vanished"),
    Attack("F8", "half a record, and a length that is a lie", RING + "at_head = word(ring + HEAD).value\n"
           "ctypes.memmove(ring + DATA + at_head, b'\\xff' * 20, 20)\nword(ring + HEAD).value = at_head + 20\nos._exit(0)\n",
           "vanished", check=lambda job: job.recording.endswith(b"\xff" * 20), why=NONSENSE),
    Attack("F8", "chunks with sizes that are lies", RING + "for i in range(2):\n    chunk = ring + CHUNKS + i * 32768\n"
           "    word(chunk).value = word(chunk + 8).value = (1 << 64) - 1 - i\nos._exit(0)\n", "vanished", why=NONSENSE),
    Attack("F9", "trace without end", "def f(): pass\nwhile True: f()\n", "cpu_limit",
           {"trace": "calls", "recording_kb": 64, "cpu_ms": 300}, check=lambda job: len(job.recording) < 300_000),
    Attack("F9", "records without end, past the writer", RING + "while True: word(ring + HEAD).value += 1 << 14\n",
           "output_limit forbidden", {"output_kb": 10, "recording_kb": 64},
           check=lambda job: len(job.recording) < 2_000_000),
    Attack("F9", "a full ring, for ever", RING + "word(ring + HEAD).value += SIZE - word(ring + HEAD).value\n"
           "while True: word(ring + HEAD).value = word(ring).value + SIZE\n", "output_limit forbidden wall_limit",
           {"output_kb": 10, "recording_kb": 64, "wall_ms": 3000}),
    Attack("F9", "an output limit that it did not reach", RING + "import time\n"
           "ctypes.c_uint32.from_address(ring + OVER).value = 1\ntime.sleep(1000)\n", "output_limit"),
    Attack("F10", "input that is not read", "print('done')\n", "ok", {"stdin": "x" * 1_000_000}, out="done\n"),
    Attack("F10", "input that is read for ever", "import sys\nwhile True: sys.stdin.read(1)\n", "cpu_limit",
           {"stdin": "x", "cpu_ms": 50}),
    Attack("F11", "output, errors and a traceback, in turn", "import sys\nprint('one')\nprint('two', file=sys.stderr)\n"
           "print('three')\n1 / 0\n", "exception", check=order),
    Attack("F12", "streams gone", "import sys\nsys.stdout = sys.stderr = sys.excepthook = None\n"
           "raise ValueError('still told')\n", "exception", claim="still told"),
    Attack("F12", "a hook that raises", "import sys\ndef hook(*a): raise SystemExit(0)\nsys.excepthook = hook\n1 / 0\n",
           "exception", claim="ZeroDivisionError"),
    Attack("F13", "an error of 10 MB", "raise ValueError('x' * 10_000_000)\n", "exception", FLOOD, check=told_in_short),
    Attack("F13", "an error of a thousand errors", "e = None\nfor i in range(1000):\n    f = ValueError('x' * 100)\n"
           "    f.__cause__ = e\n    e = f\nraise e\n", "exception output_limit", FLOOD, check=lambda job: True),
    Attack("F13", "an error that is its own cause", "e = ValueError('round')\nf = ValueError('and round')\n"
           "e.__cause__, f.__cause__ = f, e\nraise e\n", "exception", claim="round"),
    Attack("F14", "an error's text without end", "class E(Exception):\n    def __str__(self):\n        while True: pass\n"
           "raise E\n", "exception", {"cpu_ms": 50}),
    Attack("F14", "an error's text that raises", "class E(Exception):\n    def __str__(self): raise E\nraise E\n",
           "exception", claim="its text could not be made"),
    Attack("F14", "an error's text that leaves", "import os\nclass E(Exception):\n    def __str__(self): os._exit(0)\n"
           "raise E\n", "exception"),
    Attack("F14", "an error's text of 1 GB", "class E(Exception):\n    def __str__(self): return 'x' * (1 << 30)\n"
           "raise E\n", "exception output_limit memory_limit", asan=False),
    Attack("F14", "an error's text that is none", "class E(Exception):\n    __str__ = lambda self: 5\nraise E\n",
           "exception"),
    Attack("F15", "an error that claims to be another", "class E(Exception):\n    __class__ = property(lambda s: SystemExit)\n"
           "raise E('a lie')\n", "exception", claim="a lie"),
    Attack("F15", "an exit with a number that lies", "class N(int):\n    def __index__(self): return 0\n"
           "raise SystemExit(N(7))\n", "exit", check=lambda job: job.result["exit_code"] == 7),
    Attack("F16", "printed at the end", "import atexit\natexit.register(print, 'late')\nprint('first')\n", "ok",
           out="first\nlate\n"),
    Attack("F16", "printed by what is deleted last", "class Last:\n    def __del__(self): print('late')\nlast = Last()\n", "ok",
           out="late\n"),
]
