# SPDX-License-Identifier: MIT
"""A real pool for the tests: paddock-supervisor with its own Redis in a folder of its own, and a client
that speaks plain Redis only, as a backend in any language would."""

import contextlib
import ctypes
import io
import json
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import zipfile

import redis

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("PADDOCK_BIN", os.path.join(ROOT, "build", "release", "bin"))
SANITIZED = bool(os.environ.get("PADDOCK_SANITIZED"))
# A user that owns nothing and that nobody is.
STRANGER = 54321
# A watchdog, not an expectation: ten times what anything here should take.
PATIENCE = 120
# Options of a supervisor that take no value, whatever a test gives them.
SWITCHES = {"hold"}
LONG = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"


def program(name):
    return os.path.join(BIN, name)


def copy_programs(folder):
    """The programs, where any user can run them: a build tree may lie in a folder of its owner alone. By a process of
    its own: what a thread forks meanwhile would have them open for writing, and nobody could execute them."""
    subprocess.run(["cp", "-R", BIN, folder], check=True)
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o755)


def put_on(code):
    """A filter for this process and what it starts: rows of code, jumps if true and if false, operand."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in code))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 and libc.prctl(38, 1, 0, 0, 0) != 0:  # NO_NEW_PRIVS
        raise OSError(ctypes.get_errno(), "prctl")
    if libc.prctl(22, 2, header, 0, 0) != 0:  # SECCOMP
        raise OSError(ctypes.get_errno(), "prctl")


def refuse_namespaces():
    """For preexec_fn: what many containers do. clone() with CLONE_NEWUSER fails with EPERM from here on; clone3(),
    whose flags a filter cannot see, with ENOSYS."""
    allow, eperm, enosys = 0x7fff0000, 0x00050001, 0x00050000 | 38
    code = [(0x20, 0, 0, 0), (0x15, 4, 0, 435), (0x15, 0, 2, 56),  # the call's number: clone3, clone
            (0x20, 0, 0, 16), (0x45, 2, 0, 0x10000000),  # the low half of its first argument: CLONE_NEWUSER
            (0x06, 0, 0, allow), (0x06, 0, 0, enosys), (0x06, 0, 0, eperm)]
    put_on(code)


# Numbers of x86-64.
CALLS = {"prctl": 157, "prlimit64": 302, "close_range": 436, "capset": 126, "landlock_restrict_self": 446,
         "pivot_root": 155, "sethostname": 170, "shmctl": 31, "init_module": 175, "getppid": 110, "connect": 42, "setresuid": 117,
         "pidfd_open": 434, "pidfd_send_signal": 424, "kill": 62, "memfd_create": 319, "eventfd2": 290, "signalfd4": 289,
         "timer_create": 222, "timer_settime": 223, "socketpair": 53, "mount": 165, "readlinkat": 267,
         "ioctl": 16, "poll": 7, "rt_sigprocmask": 14, "wait4": 61, "waitid": 247}


def lie(call, first, third, error=0):
    """For preexec_fn: this call does nothing and answers 0, or fails. `third`: only where its third argument is not 0."""
    allow, nothing = 0x7fff0000, 0x00050000 | error
    put_on([(0x20, 0, 0, 0), (0x15, 0, 6, CALLS[call]),
            (0x20, 0, 0, 16), (0x15, 0, 4 if first is not None else 0, first or 0),
            (0x20, 0, 0, 32), (0x15, 2 if third else 0, 0, 0), (0x06, 0, 0, nothing),
            (0x06, 0, 0, allow), (0x06, 0, 0, allow)])


def make_zip(files, compression=zipfile.ZIP_DEFLATED):
    """A ZIP of {name: text or bytes}; a text alone is robot.py."""
    if isinstance(files, str):
        files = {"robot.py": files}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def parent_of(pid):
    """0 where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


with open("/proc/sys/kernel/pid_max") as limit:
    PIDS = int(limit.read())


def children_of(pid):
    """All living descendants of a process, as {pid: command}, in the order in which they were started. Numbers are given out in
    turn, and begin anew above all that there may be: those of one clock tick are ordered from their ancestor's on."""
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                head, _, tail = file.read().rpartition(")")
        except OSError:
            continue
        state, parent, *rest = tail.split()
        if state != "Z":
            parents[int(entry)] = (int(parent), head.partition("(")[2], int(rest[17]))
    found = {}
    grown = True
    while grown:
        grown = False
        for child, (parent, command, started) in parents.items():
            if child not in found and (parent == pid or parent in found):
                found[child] = (started, (child - pid) % PIDS, command)
                grown = True
    return {child: command for child, (_, _, command) in sorted(found.items(), key=lambda one: one[1])}


def wait_until(condition, what, seconds=PATIENCE):
    """Polls until the condition holds: a watchdog for what must happen, not a measurement."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"never happened: {what}")


def connect(address):
    """A client of the Redis at an address as Paddock takes it."""
    if address.startswith("unix:"):
        return redis.Redis(unix_socket_path=address.partition(":")[2])
    return redis.Redis.from_url(address if "://" in address else f"redis://{address}")


def is_there(client):
    """Does its Redis answer, having loaded what it keeps? Who has no password is not told so (RedisServer.answer)."""
    with contextlib.suppress(redis.ConnectionError):
        return client.ping()
    return False


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Job:
    def __init__(self, entries):
        self.entries = entries
        states = [json.loads(e[b"d"]) for e in entries if e[b"k"] == b"state"]
        results = [json.loads(e[b"d"]) for e in entries if e[b"k"] == b"result"]
        assert len(results) == 1, f"{len(results)} results"
        assert entries[-1][b"k"] == b"result", "something follows the result"
        self.states = states
        self.result = results[0]
        self.attempt = entries[-1][b"a"]
        self.recording = b"".join(
            e[b"d"] for e in entries if e[b"k"] == b"slice" and e[b"a"] == self.attempt)

    @property
    def verdict(self):
        return self.result["verdict"]


class Client:
    """The queue, by plain Redis commands."""

    def __init__(self, connection, queue):
        self.redis = connection
        self.prefix = f"paddock:{{{queue}}}:"

    def key(self, name, job=""):
        return self.prefix + name + job

    def enqueue(self, data, job=None, **fields):
        job = job or secrets.token_hex(8)
        upload = secrets.token_hex(8)
        flat = [x for pair in fields.items() for x in pair]
        pipe = self.redis.pipeline(transaction=False)
        pipe.set(self.key("up:", upload), data, ex=60)
        pipe.execute_command("FCALL", "paddock_enqueue", 1, self.key("open"), job, "upload", upload,
                             *flat)
        answer = pipe.execute()[1].decode()
        assert answer.startswith("queued"), answer
        return job

    def entries(self, job):
        """The entries of the job's Stream up to its result, as they come."""
        last = "0-0"
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self.redis.xread({self.key("frames:", job): last}, block=1000)
            for _, entries in answer:
                for last, fields in entries:
                    yield fields
                    if fields[b"k"] == b"result":
                        return
        raise AssertionError(f"job {job} has no result")

    def wait(self, job):
        return Job(list(self.entries(job)))

    def run(self, files, **fields):
        data = files if isinstance(files, bytes) else make_zip(files)
        return self.wait(self.enqueue(data, **fields))

    def begin(self, source=LONG, **fields):
        """A job whose program has said that it has begun."""
        job = self.enqueue(make_zip(source), wall_ms=600000, **fields)
        for entry in self.entries(job):
            if entry[b"k"] == b"slice" and b"begun" in entry[b"d"]:
                return job
        raise AssertionError(f"job {job} ended before it began")

    def cancel(self, job):
        return self.redis.execute_command("FCALL", "paddock_cancel", 1, self.key("open"), job)

    def job(self, job):
        return {k.decode(): v for k, v in self.redis.hgetall(self.key("job:", job)).items()}


class Pool:
    """with Pool(workers=2) as pool: pool.client.run("print('hello')")

    `user`: who starts it, where that is not us; `born`: further arguments of Popen, such as its groups;
    `runtime`: its runtime folder, where that is another's."""

    def __init__(self, workers=2, queue="test", user=None, born=None, runtime=None, **options):
        self.queue = queue
        self.options = {"workers": workers, "queue": queue, "log_level": "info", **options}
        self.user = user
        self.born = born or {}
        self.runtime = runtime

    def launch(self, command, **options):
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, **options,
                                **self.born)

    def supervisor(self):
        """The program, and how it is to be born."""
        if self.user is None:
            return program("paddock-supervisor"), {}
        os.chown(self.folder, self.user, self.user)
        copy_programs(os.path.join(self.folder, "bin"))
        return (os.path.join(self.folder, "bin", "paddock-supervisor"),
                {"user": self.user, "group": self.user, "extra_groups": []})

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="paddock-test-")
        self.runtime = self.runtime or os.path.join(self.folder, "run")
        self.log_path = os.path.join(self.folder, "log")
        self.log = open(self.log_path, "wb")
        self.program, self.birth = self.supervisor()
        self.ready = None
        try:
            self.start()
        except AssertionError:
            self.log.close()
            shutil.rmtree(self.folder)
            raise
        self.redis = connect(self.options.get("redis", f"unix:{self.runtime}/redis.sock"))
        self.client = Client(self.redis, self.queue)
        return self

    def start(self):
        """Returns when it is ready. Also for one whose supervisor was killed: as an init system would start it again."""
        ours, theirs = socket.socketpair()
        command = [self.program, "--ready-fd", str(theirs.fileno()), f"--runtime_dir={self.runtime}"]
        command += [f"--{name}" if name in SWITCHES else f"--{name}={value}" for name, value in self.options.items() if value is not None]
        self.process = self.launch(command, pass_fds=[theirs.fileno()], **self.birth)
        theirs.close()
        if self.ready is not None:
            self.ready.close()
        self.ready = ours
        ours.settimeout(PATIENCE)
        if ours.recv(6) != b"ready\n":
            self.process.wait()
            ours.close()
            raise AssertionError("the pool did not start:\n" + self.read_log())

    def read_log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def processes(self, command=None):
        """Pids of the pool's processes, by command name if one is given, in the order in which they were started."""
        found = children_of(self.process.pid)
        return [p for p, c in found.items() if command is None or c.startswith(command[:12])]

    def relays(self):
        return self.processes("paddock-relay")

    def zygotes(self):
        """In the order in which they were started: two while one takes over from the other. A sandbox bears their name, too, in
        the moment of its birth."""
        return [p for p in self.processes("paddock-zygote") if parent_of(p) == self.process.pid]

    def zygote(self):
        """The oldest."""
        return next(iter(self.zygotes()), None)

    def sandboxes(self):
        return self.processes("paddock-sandbox")

    def count_fds(self):
        """Of every process that serves more than one job, as {pid: fds}, when each relay knows (holds a pidfd of) the one
        sandbox that waits for it, and there is no other."""
        def fds(pid):
            found = []
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(FileNotFoundError):  # closed while we look
                    found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
            return found

        wait_until(lambda: len(self.sandboxes()) == self.options["workers"]
                   and all("anon_inode:[pidfd]" in fds(r) for r in self.relays()), "only the waiting sandboxes are there")
        return {pid: len(fds(pid)) for pid in [self.process.pid, self.zygote(), *self.relays()]}

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)
        return self.process.returncode

    def __exit__(self, kind, value, traceback):
        before = list(children_of(self.process.pid))
        try:
            self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.ready.close()
            self.log.close()
            if kind is not None:
                print(self.read_log())
            left = [pid for pid in before if os.path.exists(f"/proc/{pid}")]
            leftovers = os.listdir(self.runtime) if os.path.exists(self.runtime) else []
            shutil.rmtree(self.folder)
        if kind is None:
            assert not left, f"processes left behind: {left}"
            assert not leftovers, f"files left behind: {leftovers}"


class TestCase(unittest.TestCase):
    """Tests that share one pool, of OPTIONS."""

    OPTIONS = {}

    @classmethod
    def setUpClass(cls):
        cls.pool = cls.enterClassContext(Pool(**cls.OPTIONS))
        cls.client = cls.pool.client


class RedisServer:
    """A Redis of the test's own, which can be stopped and started again, its data kept. `port`: it listens there, too;
    `environment`: its own, beside ours."""

    def __init__(self, *options, port=0, environment=None):
        self.environment = {**os.environ, **(environment or {})}
        self.folder = tempfile.TemporaryDirectory()
        os.chmod(self.folder.name, 0o755)  # for pools of other users, too
        self.port = port
        self.socket = os.path.join(self.folder.name, "redis.sock")
        self.address = f"unix:{self.socket}"
        self.start(*options)

    def start(self, *options, wait=True):
        self.process = subprocess.Popen(["redis-server", "--port", str(self.port), "--unixsocket", self.socket,
                                         "--unixsocketperm", "777", "--save", "",
                                         "--dir", self.folder.name, *options],
                                        stdout=subprocess.DEVNULL, env=self.environment)
        if wait:
            wait_until(lambda: not self.answer().startswith((b"-LOADING", b"!")), "redis-server answers")

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def answer(self):
        """What it says to PING, b"!" where it is not there."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.socket)
                client.sendall(b"PING\r\n")
                return client.recv(64) or b"!"
        except OSError:
            return b"!"

    def connect(self):
        return redis.Redis(unix_socket_path=self.socket)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def keys_without_expiry(client):
    """Keys of jobs that would stay for ever: there should be none once all jobs are final."""
    found = []
    for key in client.redis.scan_iter(client.prefix + "*"):
        name = key.decode()[len(client.prefix):]
        if re.match(r"(job|zip|frames|ctl|in|up):", name) and client.redis.ttl(key) < 0:
            found.append(name)
    return found
