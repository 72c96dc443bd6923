# SPDX-License-Identifier: MIT
"""What Paddock changes in the interpreter before any program is there.

Run once, in the zygote, before its lock. Trusts nothing and knows no job. interpreter.c passes in PRELOAD (a list of module
names), HOST_MODULES and HOST_PATH (the operator's modules, and folders in which they are), STARTUP (the modules that Python
starts with), ADDED (packages that the library's archive offers beyond Python's own), REPLACED (modules in which refusals.c
replaces something), MODULE and HOST (program_module.py and what it stands on), HOSTS_MODULE and HOSTS (the same of
hosts/host_module.py), HOSTS_CLOCK (hosts/host_clock.py), SUGGESTION (hint.h), ASK (report.h), UNTRACED, LOADING (host_loading.h),
ALLOW_CTYPES and what imports.py defines as NOTES, and reads back `loaded`, `missing`, `kept`, `links` and what guest.c and hosts.c
call. What it raises as SystemExit is for the operator to read.
"""

import sys

# What `python3 robot.py` has loaded before it looks into the program's folder: a module of the program's that is called
# so is not found on a disk either.
startup_modules = frozenset(STARTUP) | {
    "_collections_abc", "_sitebuiltins", "genericpath", "os", "os.path", "posixpath", "site", "sitecustomize", "stat",
    # frozen, and so found before any path
    "ntpath", "runpy", "importlib.machinery", "importlib.util"}

import os

# Hooks that modules want to run after a fork are dropped, those of threading and random first of all: they repair locks
# and threads that a single-threaded parent can not have left in disorder, and cost a third of a birth. random is seeded
# anew in C.
_register_at_fork = os.register_at_fork
os.register_at_fork = lambda **hooks: None

import _queue
import _sitebuiltins
import _thread
import ast
import atexit
import builtins
import importlib
import importlib.machinery
import io
import json
import linecache
import mmap
import multiprocessing.pool
import ntpath
import posix
import random
import re
import runpy
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import traceback
import types
import zipfile

loaded = []
missing = []

def _load(name):
    try:
        importlib.import_module(name)
        loaded.append(name)
    except Exception as error:  # of the operator's packages, any
        missing.append(f"{name}: {error}")


def _has_descriptor(file):
    """numpy.compat.isfileobj() of numpy 1.25 and later."""
    if not isinstance(file, (io.FileIO, io.BufferedReader, io.BufferedWriter)):
        return False
    try:
        file.fileno()
    except OSError:
        return False
    return True


# What packages take for granted and a sandbox does not have: module, name, what stands there from now on.
_ADAPTED = (
    # numpy 1.24 reads whatever open() gives by its file descriptor; members have none, and are read by read().
    ("numpy.compat.py3k", "isfileobj", _has_descriptor),
    ("numpy.compat", "isfileobj", _has_descriptor),
    ("numpy.lib.format", "isfileobj", _has_descriptor),
)


def _extensions(folder, prefix):
    """The names of the extension modules below a folder, tests left out."""
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in ("tests", "__pycache__"))
        parts = os.path.relpath(path, folder).split(os.sep) if path != folder else []
        for file in sorted(files):
            for end in importlib.machinery.EXTENSION_SUFFIXES:
                if file.endswith(end) and "." not in file[:-len(end)]:
                    yield ".".join([*prefix, *parts, file[:-len(end)]])
                    break


for _name in PRELOAD:
    _load(_name)

# Extension modules can only be loaded while there is a disk. Of Python's own the preload list names those that are worth
# their price (each is five mappings more for every fork); of the operator's packages all are loaded.
if ADDED:
    # A place for what packages cache as they are imported; it is gone before there is a job.
    _scratch = tempfile.mkdtemp(prefix="paddock-")
    os.environ.update(HOME=_scratch, MPLCONFIGDIR=_scratch, MPLBACKEND="agg")
    try:
        for _name in ADDED:
            _load(_name)
            for _folder in getattr(sys.modules.get(_name), "__path__", ()):
                for _extension in _extensions(_folder, [_name]):
                    _load(_extension)
    finally:
        shutil.rmtree(_scratch)
        tempfile.tempdir = None


# The module that programs import to speak to whoever runs them. It stays what it is, as a module in C would.
def _make_module(name, source, **given):
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__dict__.update(given)
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    sys.modules[name] = module
    return module


_module = _make_module("paddock", MODULE, _host=HOST, _dumps=json.dumps, _BytesIO=io.BytesIO, _re=re, _sys=sys)
returned = _module._returned


def _as_text(words):
    return words.encode("utf-8", "backslashreplace").decode()


def _load_host_module(name):
    what, problem = name, None
    try:
        LOADING(what)
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            what = _as_text(f"{name} ({spec.origin})")
            LOADING(what)
        importlib.import_module(name)
        for stream in sys.__stdout__, sys.__stderr__:
            stream.flush()
    except BaseException as error:
        said = _as_text(" ".join(str(error).split()))
        problem = f"{type(error).__name__}{said and ': '}{said}"
    LOADING("")
    if not problem and len(os.listdir("/proc/self/task")) > 1:
        problem = "it has begun a thread, which no sandbox would have"
    if problem:
        raise SystemExit(f"unable to load the host module {what}: {problem}")
    loaded.append(name)


def _keep_sources(modules):
    """For tracebacks: there will be no disk."""
    for module in modules:
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py"):
            linecache.getlines(file)


# The operator's own modules, trusted as we are, with what they alone may import: paddock.host.
start_hosts, _with_clock = None, []
if HOST_MODULES:
    _clock = {"__name__": "paddock.clock", "_builtin": HOST.builtin}
    exec(compile(HOSTS_CLOCK, "<paddock.clock>", "exec"), _clock)
    _with_clock = ["queue"]
    _before, _path = {*sys.modules}, sys.path[:]
    _module.host = _make_module("paddock.host", HOSTS_MODULE, _hosts=HOSTS, _plain=HOST.plain, _json=_module._json,
                                _take=_clock["take"])
    start_hosts = _module.host._start
    sys.path[:0] = HOST_PATH
    for _name in HOST_MODULES:
        _load_host_module(_name)
    sys.path[:] = _path
    del _module.host, sys.modules["paddock.host"]
    _keep_sources([sys.modules[name] for name in sys.modules.keys() - _before])
    # Their names are the operator's: what a program calls so does not hide them.
    startup_modules |= {name for name in sys.modules for host in HOST_MODULES
                        if f"{name}.".startswith(f"{host.partition('.')[0]}.")}

os.register_at_fork = _register_at_fork

for _name, _attribute, _value in _ADAPTED:
    if hasattr(sys.modules.get(_name), _attribute):
        setattr(sys.modules[_name], _attribute, _value)

# Raw memory and system calls are for pools that test the sandbox. The filter holds without this, too.
if ALLOW_CTYPES:
    importlib.import_module("ctypes")
else:
    for _name in ("_ctypes", "ctypes"):
        sys.modules.pop(_name, None)


# What a class of the program's says of these is not asked.
_cause, _context = BaseException.__cause__.__get__, BaseException.__context__.__get__
_trace, _is_alone = BaseException.__traceback__.__get__, BaseException.__suppress_context__.__get__
_members = BaseExceptionGroup.exceptions.__get__
_named_so, _made_in = (vars(type)[name].__get__ for name in ("__qualname__", "__module__"))
_PLACE = {name: vars(SyntaxError)[name].__get__ for name in ("filename", "lineno", "end_lineno", "text", "offset", "end_offset", "msg")}


def _own(value):
    """Without what a class of the program's makes of it; None where it is neither text nor a number."""
    if issubclass(type(value), str):
        return str.__str__(value)
    return int.__int__(value) if issubclass(type(value), int) else None


def _points(told):
    """Can the place in its text be shown? The interpreter takes numbers alone, and leaves out what is beyond the line."""
    first, last = int(told.lineno or 0), int(told.end_lineno or told.lineno or 0)
    if told.text is None or told.offset is None:
        return
    most = len(told.text) + 1
    told.offset = min(told.offset, most)
    end = len(told.text) if last > first else told.end_offset or 0
    told.end_offset = max(told.offset, min(end, most))


class _Said:
    """An exception that has said its text, and its notes; None stands for what could not be made. Of the rest a SyntaxError's
    place is shown, and it is not asked for that."""

    __suppress_context__, __notes__ = False, None

    def __init__(self, value, text, notes):
        self._text = text
        if notes is not None:
            self.__notes__ = [note if note is not None else _Said(value, None, None) for note in notes]
        if issubclass(type(value), SyntaxError):
            for name, of in _PLACE.items():
                setattr(self, name, _own(of(value)))

    def __str__(self):
        return self._text  # of None no text can be made


def _class(value):
    """A class of the same name, which is not the program's."""
    kind = type(value)
    named = {"__qualname__": _own(_named_so(kind)), "__module__": _own(_made_in(kind))}
    return type("", (SyntaxError if issubclass(kind, SyntaxError) else Exception,), named)


def _name(value):
    """Its class's, as a traceback has it."""
    kind = _class(value)
    name, module = kind.__qualname__, kind.__module__
    return name if module in ("__main__", "builtins") else f"{module}.{name}"


class _Told(traceback.TracebackException):
    """An exception whose frames are known, and nothing else: its text, its notes and what a SyntaxError points at are
    asked for when the frames are printed, as the interpreter does. What hangs, or ends the process, costs no more."""

    def __init__(self, value, trace, limit, seen):
        super().__init__(None, None, trace, limit=limit, _seen=seen)
        seen.add(id(value))
        self._value = value
        self.__suppress_context__ = False
        self.__cause__ = self.__context__ = self.exceptions = None

    def format_exception_only(self, _only=traceback.TracebackException, _text=traceback._safe_string, **how):
        value = self._value

        def lines(*said):
            told = _only(_class(value), _Said(value, *said) if said else value, None, _seen=set())
            if issubclass(type(value), SyntaxError):
                _points(told)
            meant = SUGGESTION(value)
            if meant is not None:
                told._str += f". {meant}"
            return [*told.format_exception_only(**how)]

        try:
            return ASK(value, lines)
        except Exception:
            # What it says of itself cannot be printed.
            return [f"{_name(value)}: {_text(value, 'exception')}\n"]


def _tell(value, trace, limit):
    """Each exception once, as the interpreter does; none is asked for anything."""
    seen = set()
    first = _Told(value, trace, limit, seen)
    queue = [first] if issubclass(type(value), BaseException) else []

    def tell(other):
        queue.append(_Told(other, _trace(other), limit, seen))
        return queue[-1]

    while queue:
        told = queue.pop()
        cause, context = _cause(told._value), _context(told._value)
        if cause is not None:
            told.__cause__ = tell(cause) if id(cause) not in seen else None
        elif context is not None and not _is_alone(told._value):
            told.__context__ = tell(context) if id(context) not in seen else None
        if issubclass(type(told._value), BaseExceptionGroup):
            told.exceptions = [tell(member) for member in _members(told._value)]
    return first


def _limit():
    """As the interpreter reads sys.tracebacklimit: it shows the innermost frames; what is no number says nothing."""
    most = getattr(sys, "tracebacklimit", None)
    if not issubclass(type(most), int):
        return sys.maxsize
    return -min(int.__add__(most, 0), sys.maxsize) if int.__gt__(most, 0) else None


def _print_lines(lines, file, _print=print):
    """A program may have made a `print` of its own."""
    for line in lines:
        _print(line, end="", file=file)


def _print_chain(value, trace, file, limit=None):
    """As traceback.print_exception(), and with what the interpreter's own printing adds of names."""
    _print_lines(_tell(value, trace, _limit() if limit is None else limit).format(), file)


@UNTRACED
def _print_thread_exception(args):
    """threading.excepthook with source lines: the built-in one looks for them on the disk."""
    file = sys.stderr if sys.stderr is not None or args.thread is None else args.thread._stderr
    if args.exc_type is SystemExit or file is None:
        return
    name = args.thread.name if args.thread is not None else _thread.get_ident()
    _print_lines([f"Exception in thread {name}:\n"], file)
    _print_chain(args.exc_value, args.exc_traceback, file)


threading.excepthook = _print_thread_exception


def _bind(function, **modules):
    """The function, with modules of ours for those that it imports when it is called: of a program's own it knows nothing."""
    own = {**vars(builtins), "__import__": lambda name, *rest: modules[name]}
    return types.FunctionType(function.__code__, {**function.__globals__, "__builtins__": own}, function.__name__)


# Its own takes what trails a line for what it begins with: marks would stand too far to the left.
_whole_line = traceback.FrameSummary._original_line.fget
traceback.FrameSummary._original_line = property(lambda self: _whole_line(self).rstrip() + "\n")
traceback._extract_caret_anchors_from_line_segment = _bind(traceback._extract_caret_anchors_from_line_segment, ast=ast)


@UNTRACED
def _print_unraisable(args):
    """sys.unraisablehook with source lines: of __del__, atexit and the like; that one alone, as the interpreter has it."""
    if sys.stderr is None:
        return
    what = ""
    if args.object is not None:
        try:
            what = f": {args.object!r}"
        except Exception:
            what = ": <object repr() failed>"
    _print_lines([f"{args.err_msg or 'Exception ignored in'}{what}\n"], sys.stderr)
    value = args.exc_value

    def lines(*said):
        return [f"{_name(value)}: {traceback._safe_string(_Said(value, *said) if said else value, 'exception')}\n"]

    if args.exc_traceback is not None:
        _print_lines(["Traceback (most recent call last):\n", *traceback.extract_tb(args.exc_traceback, _limit()).format()], sys.stderr)
    if value is not None:
        _print_lines(ASK(value, lines), sys.stderr)


@UNTRACED
def _print_exception(kind, value, trace, limit=None):
    if sys.stderr is not None:
        _print_chain(value, trace, sys.stderr, limit)


@UNTRACED
def _excepthook(kind, value, trace, /):
    """sys.excepthook with source lines, for programs that call it: of the exception's own traceback, where it has one."""
    if sys.stderr is None:
        return
    if not issubclass(type(value), BaseException):
        what = f"TypeError: print_exception(): Exception expected for value, {type(value).__name__} found\n"
        return _print_lines([what], sys.stderr)
    own = _trace(value)
    _print_chain(value, own if own is not None or type(trace) is not types.TracebackType else trace, sys.stderr)


sys.unraisablehook = sys.__unraisablehook__ = _print_unraisable
sys.excepthook = sys.__excepthook__ = _excepthook

# The site module, which is not run, would have made these.
builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
builtins.help = _sitebuiltins._Helper()

# Small stacks: with Linux's 8 MiB each, a hundred threads would use up a job's memory before they start. The first few get as much
# all the same, for within 1 MiB Python cannot recurse as deep as its own limit lets it.
_SMALL, _LARGE = 1 << 20, 5 << 20
threading.stack_size(_SMALL)

_starting = _thread.RLock()


def _has_room(size):
    """A thread that gets its stack, and then no memory to begin with, is waited for by Thread.start() for ever."""
    try:
        mmap.mmap(-1, size + (2 << 20), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
        return True
    except OSError:
        return False


def _start_new_thread(function, arguments, named={}, _start=_thread.start_new_thread):
    with _starting:
        asked = _thread.stack_size()  # which also sets it, to 0
        size = asked or _LARGE
        memory = os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE  # the job's
        if asked == _SMALL and _thread._count() < memory // (2 * _LARGE) and _has_room(_LARGE):
            size = _LARGE
        try:
            if not _has_room(size):
                raise RuntimeError("can't start new thread")
            _thread.stack_size(size)
            return _start(function, arguments, named)
        finally:
            _thread.stack_size(asked)


threading._start_new_thread = _thread.start_new_thread = _thread.start_new = _start_new_thread


class _ThreadQueue(_queue.SimpleQueue):
    """multiprocessing.SimpleQueue, which multiprocessing.pool.ThreadPool makes; with no processes it serves threads."""

    _reader = None  # is asked for, and not used

    @property
    def _writer(self):
        multiprocessing.Pipe()  # is refused, and says why

    def close(self):
        pass


multiprocessing.context.BaseContext.SimpleQueue = lambda self: _ThreadQueue()
multiprocessing.SimpleQueue = multiprocessing.context._default_context.SimpleQueue
# Of what it waits for, only the queue can be, and no process.
multiprocessing.pool.Pool._wait_for_updates = staticmethod(lambda sentinels, changes, timeout=None: changes.get())

# As Python itself begins; a sandbox leaves these three as they are.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

# What a program prints appears line by line, as on a terminal, though it writes into a pipe.
sys.stdout.reconfigure(line_buffering=True)


def _zone_rule(name):
    """The rule at the end of a zone's file, which is what the C library can do without a disk; None: there is none."""
    try:
        from zoneinfo import _tzpath
        with open(_tzpath.find_tzfile(name.removeprefix(":")), "rb") as file:
            return file.read().rpartition(b"\n")[0].rpartition(b"\n")[2].decode("ascii")
    except Exception:
        return None


def _tzset(_tzset=time.tzset):
    """time.tzset: by the zone's rule for now and the future, where TZ names a zone."""
    name = os.environ.get("TZ")
    rule = _zone_rule(name) if name else None
    if not rule:
        return _tzset()
    try:
        os.environ["TZ"] = rule
        _tzset()
    finally:
        os.environ["TZ"] = name


time.tzset = _tzset

# What programs ask to tell Linux from Windows. The call itself is denied: which kernel this is, and what the machine is
# called, is nobody's business.
_machine = os.uname_result(("Linux", "sandbox", "6.0.0", "#1", os.uname().machine))
os.uname = posix.uname = lambda: _machine
if "platform" in sys.modules:
    sys.modules["platform"]._uname_cache = None
    sys.modules["platform"]._platform_cache.clear()

# Nothing may be looked up on the disk from here on: there is none.
linecache.checkcache = lambda filename=None: None


def _lazycache(filename, module_globals, _lazycache=linecache.lazycache):
    """linecache.lazycache: the loader of a module knows the lines of its own file, and not those of a text that it has run."""
    file = module_globals.get("__file__") if module_globals else None
    return type(file) is type(filename) is str and file == filename and _lazycache(filename, module_globals)


linecache.lazycache = _lazycache


def _updatecache(filename, module_globals=None, _updatecache=linecache.updatecache):
    """linecache.updatecache, also for the name of a text that is none of a file."""
    try:
        return _updatecache(filename, module_globals)
    except UnicodeError:
        return []


linecache.updatecache = _updatecache
os.environ.clear()
os.environ.update(LANG="C.UTF-8", HOME="/", USER="robot")
# Without a word on it the C library looks for the machine's zone each time that it makes or prints a time, as for every member
# of a ZIP. Programs do not see this one: it is what they have anyway, told as a rule, which needs no file.
os.putenv("TZ", "UTC0")
time.tzset()

# What a waiting sandbox runs to have its pages ready (guest.h): the things that nearly every program does.
_stream = io.BytesIO()
with zipfile.ZipFile(_stream, "w", zipfile.ZIP_DEFLATED) as _archive:
    _archive.writestr("robot.py", """\
import math
class Robot:
    def __init__(self, name):
        self.name = name
    def move(self, steps):
        return [math.sqrt(step) for step in range(steps)]
robot = Robot('rehearsal')
print(f'{robot.name}: {sum(robot.move(3)):.2f}', len({1: 'a'}))
""")
rehearsal = _stream.getvalue()

# What a program's own modules may hide (importer/hide.c). What is changed above or by refusals.c would come back as it was;
# packages of the operator's have states of their own in C; and pickle's part in C holds on to copyreg.
kept, links = NOTES["stop"](startup_modules, [*REPLACED, *_with_clock, "threading", "linecache", "traceback", "platform", "copyreg",
                                                "multiprocessing.pool", "paddock"], [*ADDED, *HOST_MODULES])


def _new_key(process=multiprocessing.process, urandom=os.urandom):
    process._current_process._config["authkey"] = process.AuthenticationString(urandom(32))


# The parts of a program's life that guest.c calls.
random_instance = random._inst
# What else has numbers drawn from one state for all: of packages that are loaded ahead.
reseeders = [_new_key] + ([sys.modules["numpy.random"].seed] if "numpy.random" in sys.modules else [])
print_exception = _print_exception
shutdown_threads = threading._shutdown
threads = threading._active, threading._shutdown_locks, threading._threading_atexits
# At exit, where it has made a pool of multiprocessing's.
shutdown_pools, finalizers = multiprocessing.util._exit_function, multiprocessing.util._finalizer_registry
atexit.unregister(shutdown_pools)
# And where a program has made a handler: that none is left unflushed costs nothing else.
if "logging" in sys.modules:
    shutdown_logging, handlers = sys.modules["logging"].shutdown, sys.modules["logging"]._handlerList
    atexit.unregister(shutdown_logging)
else:
    shutdown_logging, handlers = None, []
