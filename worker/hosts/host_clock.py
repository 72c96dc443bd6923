# SPDX-License-Identifier: MIT
"""Time as a simulator has it: in a job whose host module has called clock(), who waits or asks for the time goes by its clock.

Run in the zygote of a pool that has host modules, before these are loaded, with _builtin in its namespace; what it puts in the
place of Python's own goes on to that until `take` is called. Run in sandboxes by programs that may be hostile: no boundary.

Who waits is listed, with what he waits for and until when. The clock goes on to the first of these times when nobody has
anything else to do: when all threads wait here, or those that do not have had a while of real time."""

import _thread
import math
import operator
import queue
import sys
import threading
import time

_CLOCKS = "time", "monotonic", "perf_counter"
_LEAST_S = 1e-9  # what is less is no time
_POLL_S = 0.0001  # of real time
_GRACE = 20  # polls in which threads that do not wait may come to do so; while one holds the interpreter's lock there are none

_real = {name: getattr(time, name) for name in ("sleep", "localtime", "gmtime", "ctime", "asctime", "strftime",
                                                *_CLOCKS, *(f"{name}_ns" for name in _CLOCKS))}
_now = _sleep = None  # the simulator's; None: time is the machine's
_began_ns = {}  # what each clock has shown when the simulator's was at 0
_waits = []  # of threads: (until, is_done)
_begun = 0  # waits so far
_going_on = _thread.allocate_lock()  # held by the thread in which the simulator's clock goes on


def _shown_ns(name):
    return _real[f"{name}_ns"]() if _now is None else _began_ns[name] + round(_now() * 1e9)


def take(now, sleep):
    """From here on these are the clock; each goes on from what it has shown."""
    global _now, _sleep
    began_ns = {name: _shown_ns(name) - round(now() * 1e9) for name in _CLOCKS}
    _began_ns.update(began_ns)
    _now, _sleep = now, sleep


# ---- waiting ----

def _is_time(polls):
    """Does nobody come to do something by himself: who is being started, or need not wait any more?"""
    return (len(_waits) > _thread._count() or polls >= _GRACE) and not threading._limbo and not any(done() for _, done in _waits)


def _go_on(until):
    """False where another thread does so already."""
    if not _going_on.acquire(False):
        return False
    try:
        _sleep(max(until - _now(), 0))
    finally:
        _going_on.release()
    return True


def _wait_among_others(until, is_done):
    global _begun
    mine, polls, seen = (until, is_done), 0, None
    _waits.append(mine)
    _begun += 1
    try:
        while not is_done():
            if until - _now() < _LEAST_S:
                return False
            is_first = min(_waits, key=operator.itemgetter(0)) is mine and until < math.inf
            if is_first and _is_time(polls) and _go_on(until):
                continue
            polls = polls + 1 if is_first and seen == (_begun, len(_waits)) else 0
            seen = _begun, len(_waits)
            _real["sleep"](_POLL_S)
        return True
    finally:
        _waits.remove(mine)


def _wait(is_done, seconds=math.inf):
    """Returns whether it is done; False: so many seconds have passed. is_done() changes nothing."""
    if is_done():
        return True
    if _thread._count() > 0 or seconds == math.inf:
        return _wait_among_others(_now() + seconds, is_done)
    _go_on(_now() + seconds)
    return is_done()


def sleep(seconds):
    if _now is None:
        return _real["sleep"](seconds)
    seconds = seconds if isinstance(seconds, float) else operator.index(seconds)
    if not 0 <= seconds < math.inf:
        return _real["sleep"](-1 if seconds < 0 else seconds)  # says what is wrong with it
    _wait(lambda: False, seconds)


class _Lock:
    """threading.Lock: who waits for it waits in the simulator's time."""

    __slots__ = "_lock", "release", "locked", "__weakref__"

    def __init__(self):
        self._lock = _thread.allocate_lock()
        self.release, self.locked = self._lock.release, self._lock.locked

    def acquire(self, blocking=True, timeout=-1):
        if _now is None or not blocking or timeout == 0 or timeout < -1:
            return self._lock.acquire(blocking, timeout)
        until = math.inf if timeout == -1 else _now() + timeout
        while not self._lock.acquire(False):
            if not _wait(lambda: not self._lock.locked(), until - _now()):
                return False
        return True

    def _at_fork_reinit(self):
        self._lock._at_fork_reinit()

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *error):
        self._lock.release()


def _wait_for_thread(thread, block=True, timeout=-1, _real=threading.Thread._wait_for_tstate_lock):
    lock = thread._tstate_lock
    if _now is None or not block or lock is None or _wait(lambda: not lock.locked(), timeout if timeout >= 0 else math.inf):
        _real(thread, block, timeout)


def _join_all(_real=threading._shutdown):
    """At the end of a program, which waits for its threads."""
    while _now is not None and (left := [thread for thread in threading.enumerate()
                                         if thread is not threading.current_thread() and not thread.daemon]):
        left[0].join()
    _real()


# ---- telling the time ----

def _clock(name):
    return {name: lambda: _real[name]() if _now is None else _shown_ns(name) / 1e9, f"{name}_ns": lambda: _shown_ns(name)}


def _from_seconds(name):
    """A function that takes seconds, or without them what it is now."""
    def tell(*seconds):
        return _real[name](*seconds if _now is None or seconds not in ((), (None,)) else (time.time(),))
    return tell


def _from_date(name, before):
    """A function that takes a date behind so many others, or without it that of now."""
    def tell(*given):
        return _real[name](*given, *() if _now is None or len(given) != before else (time.localtime(),))
    return tell


_ours = {"sleep": sleep, **{name: _from_seconds(name) for name in ("localtime", "gmtime", "ctime")},
         "asctime": _from_date("asctime", 0), "strftime": _from_date("strftime", 1)}
for _name in _CLOCKS:
    _ours |= _clock(_name)

# Wherever a module that is loaded already holds Python's own.
_instead = {}
for _name, _function in _ours.items():
    _function.__name__, _function.__doc__ = _name, _real[_name].__doc__
    _instead[id(_real[_name])] = _builtin(_function)
for _module in [*sys.modules.values()]:
    for _name, _value in [*getattr(_module, "__dict__", {}).items()]:
        if id(_value) in _instead:
            setattr(_module, _name, _instead[id(_value)])

threading.Lock = threading._allocate_lock = _Lock
threading.Thread._wait_for_tstate_lock = _wait_for_thread
threading._shutdown = _join_all
queue.SimpleQueue = queue._PySimpleQueue
