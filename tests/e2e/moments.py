# SPDX-License-Identifier: MIT
"""The moments of a job's life at which somebody can be killed or stopped. Each is a command of a relay, before Redis has it or
before its answer is back, in one of the states that `paddock-relay --states` prints."""

import concurrent.futures
import contextlib
import dataclasses
import os
import signal
import subprocess
import threading

import pool
import proxy
import recording

BEGUN = "import time\nprint('begun', flush=True)\n"
SHORT = BEGUN + "time.sleep(0.3)\nprint('done')\n"
LATER = BEGUN + "time.sleep(0.1)\nprint('more', flush=True)\ntime.sleep(0.3)\nprint('done')\n"
LONG = BEGUN + "time.sleep(1.3)\nprint('done')\n"  # it outlasts a beat
READER = BEGUN + "print(input(), flush=True)\ntime.sleep(0.3)\nprint('done')\n"
ENDLESS = BEGUN + "while True: time.sleep(1)\n"

LEASE_MS = 3000


def function(name, how="FCALL"):
    return lambda words, job: words[:2] == [how, "paddock_" + name] and job in (words + [""] * 5)[4]


def plain(command, key):
    return lambda words, job: words[0] == command and words[1].endswith(key + job)


def of_no_job(matches):
    return lambda words, job: matches(words, "")


COMMANDS = {
    "wait for work": of_no_job(plain("BLPOP", ":wake")),
    "claim": of_no_job(function("claim")),
    "fetch": plain("GETRANGE", ":zip:"),
    "publish": plain("XADD", ":frames:"),
    "look for slices": plain("XRANGE", ":frames:"),
    "wait for word": plain("BLPOP", ":ctl:"),
    "beat": function("beat"),
    "read input": function("input_from", "FCALL_RO"),
    "finish": function("finish"),
    "lose": function("lost"),
    "give back": function("requeue"),
    "recover": of_no_job(function("recover")),
}


# Who can be killed. `redis` comes back with its data, `empty redis` without.
VICTIMS = ("relay", "sandbox", "zygote", "supervisor", "redis", "empty redis")
# Of a job that runs once, or once more, whoever is killed: whether its command has reached Redis decides.
NOT_YET = {"relay": {1}, "sandbox": {1, 2}, "zygote": {1, 2}, "supervisor": {1, 2}, "redis": {1}}
AGAIN = {"relay": {2}, "sandbox": {2}, "zygote": {2}, "supervisor": {2}, "redis": {1}}
GONE = {**AGAIN, "redis": {2}}
OVER = {"relay": {1}, "sandbox": {1}, "zygote": {1}, "supervisor": {1}, "redis": {1}}
UNSENT = {**OVER, "relay": {2}, "supervisor": {1, 2}}
# A job that was given back may have been claimed again in the same write.
TWICE = {victim: {2, 3} for victim in AGAIN}


@dataclasses.dataclass
class Moment:
    """`steps`: (before or after, command, what is done then) until it comes; the last one's deed is the victim's death.
    `attempts`: in how many the job may end, by victim."""

    state: str
    steps: list
    attempts: dict
    code: str = SHORT
    fields: dict = dataclasses.field(default_factory=dict)
    input: bytes = b""
    verdict: str = "ok"
    idle: bool = False  # the job comes only when somebody was killed
    followed: bool = False  # by a second job, which is claimed in the same write
    alone: bool = False  # it takes the zygote with it

    def __str__(self):
        return ", ".join(f"{when} '{command}'" for when, command, _ in self.steps)


def cancel(stage):
    stage.client.cancel(stage.job)


def kill_sandbox(stage):
    stage.kill(stage.sandboxes()[0])


def kill_relay(stage):
    stage.kill(stage.relay())
    raise proxy.Torn


def cut(stage):
    raise proxy.Torn


def orphan(stage):
    """The relay has still to hear of it."""
    stage.doom(stage.sandboxes())
    os.kill(stage.relay(), signal.SIGSTOP)
    stage.kill(stage.pool.zygote())


MOMENTS = [
    Moment("idle", [("before", "wait for work", None)], OVER, idle=True),
    Moment("idle", [("after", "wait for work", None)], {**OVER, "supervisor": {1, 2}}),
    Moment("claiming", [("before", "claim", None)], NOT_YET),
    Moment("claiming", [("after", "claim", None)], GONE),
    Moment("fetching", [("before", "fetch", None)], AGAIN),
    Moment("fetching", [("after", "fetch", None)], AGAIN),
    Moment("running", [("before", "publish", None)], AGAIN),
    Moment("running", [("after", "publish", None)], AGAIN),
    Moment("running", [("before", "publish", None), ("before", "publish", None)], AGAIN, LATER),
    Moment("running", [("after", "publish", None), ("after", "publish", None)], AGAIN, LATER),
    Moment("running", [("after", "publish", cut), ("before", "look for slices", None)], AGAIN, LONG),
    Moment("running", [("after", "publish", cut), ("after", "look for slices", None)], AGAIN, LONG),
    Moment("running", [("before", "wait for word", None)], AGAIN),
    Moment("running", [("before", "beat", None)], AGAIN, LONG),
    Moment("running", [("after", "beat", None)], AGAIN, LONG),
    Moment("running", [("before", "read input", None)], AGAIN, READER, {"live_input": 1}, b"word\n"),
    Moment("running", [("after", "read input", None)], AGAIN, READER, {"live_input": 1}, b"word\n"),
    Moment("running", [("after", "publish", cancel), ("after", "wait for word", None)], OVER, ENDLESS, {"wall_ms": 60000},
           verdict="cancelled"),
    Moment("orphaned", [("after", "publish", orphan)], TWICE, alone=True),
    Moment("settling", [("before", "finish", None)], UNSENT),
    Moment("settling", [("after", "finish", None)], OVER),
    Moment("settling", [("after", "finish", None)], OVER, followed=True),
    Moment("settling", [("after", "publish", kill_sandbox), ("before", "lose", None)], TWICE),
    Moment("settling", [("after", "publish", kill_sandbox), ("after", "lose", None)], TWICE),
    Moment("settling", [("after", "fetch", kill_sandbox), ("before", "give back", None)], TWICE),
    Moment("settling", [("after", "fetch", kill_sandbox), ("after", "give back", None)], TWICE),
    Moment("idle", [("after", "publish", kill_relay), ("before", "recover", None)], TWICE),
    Moment("idle", [("after", "publish", kill_relay), ("after", "recover", None)], TWICE),
]


def states():
    """The steps of a job's life, as the code names them."""
    printed = subprocess.run([pool.program("paddock-relay"), "--states"], capture_output=True, text=True, check=True)
    return [line.split()[0] for line in printed.stdout.splitlines()]


def walk(visit, found, size, at_once=3):
    """visit(some of the moments), which takes a pool of its own, several at once, until all of them were visited: who is killed
    again and again is given a rest by who starts it. Returns all states that they have seen."""
    groups = [found[i:i + size] for i in range(0, len(found), size)]
    with concurrent.futures.ThreadPoolExecutor(at_once) as executor:
        return set().union(*executor.map(visit, groups))


class Stage:
    """A pool behind a proxy, and one moment after the other. `bystander`: another worker has a job meanwhile, which waits for
    input until all is over, and must notice nothing of it."""

    REDIS = ("--appendonly", "yes", "--appendfsync", "no")  # what it has answered, it has written

    def __init__(self, bystander=False, workers=1, **options):
        self.bystander = bystander
        self.options = {"workers": workers + bystander, "lease_ms": LEASE_MS, "log_level": "debug", **options}
        self.seen = set()
        self.job = self.moment = self.deed = None
        self.doomed = []

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.server = stack.enter_context(pool.RedisServer(*self.REDIS))
            self.way = stack.enter_context(proxy.Proxy(self.server.socket))
            self.pool = stack.enter_context(pool.Pool(redis=self.way.address, **self.options))
            self.client = pool.Client(self.server.connect(), "test")
            self.others = {"relays": set(), "sandboxes": set()}
            if self.bystander:
                self.begin_bystander()
            self.way.hook = self.pass_by
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        try:
            if error[0] is None and self.bystander:
                self.end_bystander()
            if error[0] is None:
                assert pool.keys_without_expiry(self.client) == []
        finally:
            self.way.hook = None
            self.stack.__exit__(*error)

    # The one who must notice nothing.

    def begin_bystander(self):
        self.neighbour = self.client.enqueue(pool.make_zip("print(input())"), live_input=1, wall_ms=300_000)
        pool.wait_until(lambda: len(self.pool.sandboxes()) == self.options["workers"] + 1
                        and self.client.job(self.neighbour)["state"] == b"running", "the bystander runs")
        slot = int(self.client.job(self.neighbour)["owner"].rpartition(b".")[2])
        self.others = {"relays": {self.pool.relays()[slot]}, "sandboxes": set()}

    def end_bystander(self):
        self.client.redis.execute_command("FCALL", "paddock_input", 1, self.client.key("open"), self.neighbour, "bye\n")
        ended = self.client.wait(self.neighbour)
        assert (ended.verdict, ended.attempt) == ("ok", b"1"), ended.result

    # Who is who.

    def relay(self):
        """The one whose command it is, or, outside of the hook, the one that is no bystander."""
        connection = getattr(self.way.here, "connection", None)
        return connection.pid if connection else (set(self.pool.relays()) - self.others["relays"]).pop()

    def sandboxes(self):
        """Of that relay, the running one first: it holds their pidfds."""
        found = set()
        folder = f"/proc/{self.relay()}/fdinfo"
        for fd in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError), open(f"{folder}/{fd}") as file:
                found |= {int(line.split()[1]) for line in file if line.startswith("Pid:") and not line.endswith("-1\n")}
        return sorted(found)

    def attempt(self):
        return int(self.client.job(self.job).get("attempt", 0))

    def state(self):
        """As the log has it."""
        lines = [line for line in self.pool.read_log().splitlines() if f"[{self.relay()}] state=" in line]
        return lines[-1].partition("state=")[2].split()[0] if lines else "idle"

    # The hook.

    def arm(self, moment, deed):
        self.moment, self.deed = moment, deed
        self.left = list(moment.steps)
        self.lock = threading.Lock()
        self.enqueued, self.done = threading.Event(), threading.Event()
        self.failure = None
        self.doomed = []

    def alive(self):
        return [pid for pid in self.doomed if os.path.exists(f"/proc/{pid}")]

    def check_doomed(self):
        """Before a job starts again, what ran of it before is dead."""
        try:
            assert not self.alive(), f"{self.moment}: {self.alive()} would run twice at once"
        except AssertionError as error:
            self.failure = error

    def pass_by(self, when, words):
        if self.moment is None:
            return
        runs = self.moment.state in ("fetching", "running", "orphaned")  # else those sandboxes only wait
        if when == "after" and runs and self.doomed and COMMANDS["fetch"](words, self.job) and self.attempt() > self.doomed_in:
            self.check_doomed()
        with self.lock:
            if not self.left or not self.is_next(when, words):
                return
            _, _, action = self.left.pop(0)
            last = not self.left
        try:
            if action is not None:
                action(self)
        finally:
            if last:
                self.act(when)

    def is_next(self, when, words):
        due, command, _ = self.left[0]
        if when != due or not COMMANDS[command](words, self.job or "no job"):
            return False
        if (when, command) == ("after", "claim"):  # the one that has brought the job: others may have been woken, too
            job = self.client.job(self.job)
            return job.get("state") == b"running" and job["owner"].decode() in words
        return True

    def act(self, when):
        try:
            if not self.moment.idle:
                self.enqueued.wait(pool.PATIENCE)  # whoever did that has been told so
            if self.moment.followed:
                pool.wait_until(lambda: self.client.job(self.second).get("state") == b"running", "the next one is claimed")
            state = self.state()
            if not self.moment.alone:
                assert state == self.moment.state, f"{self.moment}: it is {state}"
                self.seen.add(state)
            self.deed(self, when)
        except proxy.Torn:
            raise
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self.done.set()

    # The deed's tools.

    def doom(self, sandboxes):
        """These must die, too."""
        self.doomed, self.doomed_in = list(sandboxes), self.attempt()

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        pool.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "it is dead")

    # One moment.

    def enqueue(self):
        self.client.enqueue(pool.make_zip(self.moment.code), job=self.job, **self.moment.fields)
        if self.moment.input:
            self.client.redis.execute_command("FCALL", "paddock_input", 1, self.client.key("open"), self.job, self.moment.input)
        if self.moment.followed:
            self.client.enqueue(pool.make_zip(SHORT), job=self.second)
        self.enqueued.set()

    def reach(self, moment, deed):
        """Until the deed is done."""
        number = getattr(self, "number", 0)
        self.number = number + 1
        self.job, self.second = f"job{number}", f"second{number}"
        pool.wait_until(lambda: len(self.pool.sandboxes()) == self.options["workers"] + self.bystander
                        and len(self.pool.relays()) == self.options["workers"] and self.is_idle(), "all are ready")
        self.born = self.pool.processes()
        self.arm(moment, deed)
        if moment.idle:
            self.client.redis.lpush(self.client.key("wake"), "1")
        else:
            self.enqueue()
        assert self.done.wait(pool.PATIENCE), f"never came: {moment}"
        if self.failure:
            raise self.failure

    def processes(self):
        return [p for p in self.born if os.path.exists(f"/proc/{p}")]

    def follow(self):
        """The next pool, in the place of one whose supervisor was killed."""
        self.stack.enter_context(pool.Pool(redis=self.way.address, runtime=self.pool.runtime, **self.options))

    def is_idle(self):
        """Whoever has no job waits for one."""
        clients = [c for c in self.server.connect().client_list() if c["cmd"] == "blpop"]
        return len(clients) == self.options["workers"]

    def check_end(self, attempts):
        if not self.enqueued.is_set():
            self.enqueue()
        self.check_job(self.job, attempts, self.moment.verdict, self.moment.code)
        if self.moment.followed:
            again = {1, 2} if attempts == {1} else attempts
            self.check_job(self.second, again, "ok", SHORT)
        if self.failure:
            raise self.failure
        pool.wait_until(lambda: not self.alive(), "what was to die is dead")
        for name in ("open", "lease", "delayed", "waits", "dead"):
            left = {job.decode() for job in self.client.redis.zrange(self.client.key(name), 0, -1)}
            assert left <= ({self.neighbour} if self.bystander else set()), f"{self.moment}: {left} in {name}"

    def check_job(self, job, attempts, verdict, code):
        ended = self.client.wait(job)
        assert ended.verdict == verdict, f"{self.moment}: {ended.result}"
        assert int(ended.attempt) in attempts, f"{self.moment}: attempt {ended.attempt}, {ended.result}"
        if verdict == "ok":
            printed = [word for word in ("begun", "word" if code == READER else None, "more" if code == LATER else None, "done")
                       if word]
            assert recording.text(recording.decode(ended.recording)).split() == printed, f"{self.moment}: its recording"
