# SPDX-License-Identifier: MIT
"""D: memory."""

import zipfile

import pool
from attacks import RAW, Attack, Call
from attacks.output import RING

SMALL = {"memory_mb": 32}
CONSTANTS = "x = b'" + "x" * (8 << 20) + "'\nprint(len(x))\n"
GIANTS = ("set(range(10 ** 9))", "'x' * (1 << 28) * 8", "'%1000000000d' % 1", "[0] * (1 << 40)", "bytes(1 << 62)")

CALLS = [
    Call("D10", "mmap of more address space than there is memory", 9, "0, 1 << 40, 0, 0x4022, -1, 0", "ENOMEM"),
]

ATTACKS = [
    Attack("D1", "4 GB at once", "bytearray(4 << 30)\n", "memory_limit", claim="MemoryError", asan=False),
    Attack("D2", "one by one", "x = []\nwhile True: x.append(bytearray(1 << 20))\n", "memory_limit", SMALL, asan=False),
    Attack("D2", "caught, and gone on", "x = []\nwhile True:\n    try:\n        x.append(bytearray(1 << 16))\n"
           "    except MemoryError:\n        pass\n", "cpu_limit", {**SMALL, "cpu_ms": 300}, asan=False),
    Attack("D2", "caught, and given back", "x = []\ntry:\n    while True: x.append(bytearray(1 << 20))\n"
           "except MemoryError:\n    n = len(x)\n    x.clear()\nprint(16 <= n <= 40)\n", "ok", SMALL, out="True\n", asan=False),
    Attack("D3", "slowly, page by page", "kept = []\nwhile True: kept.append(bytearray(4096))\n", "memory_limit", SMALL,
           asan=False),
    Attack("D3", "by raw calls", RAW + "n = 0\nwhile call(9, 0, 1 << 20, 3, 0x22, -1, 0) == 'done': n += 1\n"
           "print(16 <= n <= 48, call(9, 0, 1 << 24, 3, 0x22, -1, 0))\n", "ok", SMALL, out="True ENOMEM\n", asan=False),
    Attack("D3", "by reserving first", RAW + "libc.mmap.restype = ctypes.c_void_p\nlibc.mmap.argtypes = "
           "[ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_long] * 4\n"
           "place, n = libc.mmap(None, 256 << 20, 0, 0x4022, -1, 0), 0\n"
           "while n < 256 and call(10, place + (n << 20), 1 << 20, 3) == 'done': n += 1\nprint(16 <= n <= 48)\n", "ok",
           SMALL, out="True\n", asan=False),
    *[Attack("D4", giant, giant + "\n", "memory_limit", claim="MemoryError", asan=False,
             fields={"memory_mb": 64}) for giant in GIANTS],
    Attack("D4", "a width of ten digits", "format(1, '10000000000')\n", "exception memory_limit", asan=False),
    Attack("D5", "circles that nobody collects", "import gc\ngc.disable()\nwhile True:\n    x = [bytearray(1000)]\n"
           "    x.append(x)\n", "memory_limit", SMALL, asan=False),
    Attack("D6", "a deep tuple, and its end", "x = ()\ntry:\n    while True: x = (x,)\nexcept MemoryError:\n    pass\n"
           "del x\nprint('gone')\n", "ok crashed memory_limit", SMALL, asan=False),
    Attack("D7", "shared memory", "import mmap\nmmap.mmap(-1, 1 << 30)\n", "exception", claim="PermissionError"),
    Attack("D7", "shared memory with a name", "from multiprocessing import shared_memory\n"
           "shared_memory.SharedMemory(create=True, size=1 << 30)\n", "exception"),
    Attack("D7", "the recording's memory, mapped again and again", RING + "n = 0\n"
           "while n < 9999 and call(25, ring, 0, 1 << 20, 1) == 'done': n += 1\nprint(10 < n < 4000)\n", "ok", SMALL,
           out="True\n", asan=False,
           why="only the one shared mapping could be doubled, and address space has its own limit"),
    Attack("D9", "constants of 8 MB", pool.make_zip(CONSTANTS, zipfile.ZIP_STORED), "ok", out="8388608\n",
           why="an interpreter has no BSS that a program could size; this is what comes nearest"),
    Attack("D10", "address space that is never touched", RAW + "print(call(9, 0, 64 << 20, 0, 0x4022, -1, 0))\n", "ok",
           SMALL, out="done\n", asan=False, why="reserved is not used: thread stacks and arenas need it; there is a ceiling"),
]
