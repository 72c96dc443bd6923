# SPDX-License-Identifier: MIT
"""What the operator's host modules say to Paddock, and are told: from paddock import host (docs/HOSTS.md).

Loaded in the zygote where a pool has host modules, before them; they alone can import it, while they are loaded. Run in
sandboxes, beside programs that may do to it what they like: nothing of it is a boundary."""

__all__ = ["at_start", "clock", "emit", "end", "job"]

_starters = []


@_plain
def emit(value):
    """Says something in the recording, in a `host` record: anything that can be JSON, of at most 16 KiB. It counts as output."""
    _hosts.told(_json(value))


@_plain
def job():
    """What the job is, as a dict: `argv`, a list; `host`, the text that whoever enqueued it has for host modules; and its
    limits, with `trace` among them."""
    given = _hosts.job()
    given["argv"] = given["argv"].split("\n") if given["argv"] else []
    return given


@_plain
def end(message=""):
    """Ends the match here, in whatever thread, and does not return: what was printed is kept, nothing of the program runs any
    more. The message, one line of at most 200 characters, becomes part of the sentence of the result."""
    if not isinstance(message, str):
        raise TypeError(f"the message of a match's end is a text, not {type(message).__name__}")
    _hosts.end(" ".join(message.split())[:200])


@_plain
def at_start(function):
    """Registers a function, called without arguments in each job before the first line of its program; in the order in which
    they were registered. Returns it, and so is a decorator."""
    if not callable(function):
        raise TypeError(f"what is to be called at the start of a job is a function, not {type(function).__name__}")
    _starters.append(function)
    return function


@_plain
def clock(now, sleep):
    """From here on in this job time is the simulator's: now() gives seconds since its start, sleep(seconds) lets so many pass.
    Neither is called by two threads at once."""
    if not callable(now) or not callable(sleep):
        raise TypeError("a clock is two functions, now() and sleep(seconds)")
    _hosts.job()  # or there is none
    _take(now, sleep)


def _start():
    """The first line of a job, in its sandbox."""
    for function in _starters:
        try:
            function()
        except SystemExit as error:  # which would be the program's own end
            raise RuntimeError(f"{function!r} has called exit()") from error
