# SPDX-License-Identifier: MIT
"""The attacks: one module and one table for each letter of the list, its rows named after it (A1, B40).

A row is a program with what must come of it (Attack), or system calls with what the filter must answer (Call). Where a
row expects something else than the list does, it says why."""

from dataclasses import dataclass, field
from typing import Callable, Optional, Union

# How many attacks each letter of the list has. H, hostile ZIPs, has its own tests: tests/importer and tests/fuzz.
COUNTS = {"A": 24, "B": 40, "C": 6, "D": 10, "E": 15, "F": 16, "G": 25, "I": 10}


@dataclass
class Attack:
    id: str
    what: str
    source: Union[str, bytes, dict]
    verdicts: str  # those that are right, separated by spaces
    fields: dict = field(default_factory=dict)
    claim: str = ""  # what the claim must hold
    call: str = ""  # the call that the result must name
    out: Optional[str] = None  # all that it may have printed
    check: Optional[Callable] = None  # asked with the job's records, returns whether they are right
    why: str = ""  # why another outcome than the list's is the right one
    asan: bool = True  # AddressSanitizer lets it happen: memory that runs out and faults are its own affair


@dataclass
class Call:
    id: str
    name: str
    number: int
    arguments: str  # Python, with what RAW defines
    answer: str  # the errno, or "forbidden": the program is killed and the call named
    same: str = ""  # why the kernel says the same, or cannot be asked


# Raw system calls. It runs in a job, and for the controls outside of any sandbox.
RAW = """\
import ctypes, errno, os

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
kept = []
PID, PPID, TTY, HIGH = os.getpid(), os.getppid(), 0, 1 << 32

def at(data=b"", size=4096):
    '''The address of memory that begins with data.'''
    kept.append(ctypes.create_string_buffer(data, max(size, len(data) + 1)))
    return ctypes.addressof(kept[-1])

def page():
    '''The address of a page of its own.'''
    return at(size=3 * 4096) + 4095 & ~4095

def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    if result == 0 and number in (56, 57):
        os._exit(0)  # the child of a fork that was granted
    return errno.errorcode.get(ctypes.get_errno(), "?") if result == -1 else "done"

no_time = at()

def is_there(place):
    '''Whether the memory at the address can be read: rt_sigtimedwait reads a mask.'''
    return call(128, place, 0, no_time, 8) != "EFAULT"

"""


def program(calls):
    """Makes the calls, one after the other, and prints each one's answer."""
    return RAW + "".join(f"print({c.name!r}, call({c.number}, {c.arguments}), flush=True)\n" for c in calls)


def jobs_of(calls):
    """The calls as attacks: those of a row that are refused in one program, and one for each that is forbidden."""
    for row in dict.fromkeys(c.id for c in calls):
        refused = [c for c in calls if c.id == row and c.answer != "forbidden"]
        if refused:
            yield Attack(row, "refused calls", program(refused), "ok",
                         out="".join(f"{c.name} {c.answer}\n" for c in refused))
        for c in calls:
            if c.id == row and c.answer == "forbidden":
                # Not the same call by way of libc, which might make another one first.
                yield Attack(row, c.name, program([c]), "forbidden", call=c.name.partition(" ")[0], out="")
