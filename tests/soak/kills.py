# SPDX-License-Identifier: MIT
"""Many jobs while processes of their pool are killed and stopped at random. What must hold is read from Redis when all is over:
each job has one result, and the one that its program gives; nothing is left running, and nothing is left behind."""

import bisect
import collections
import contextlib
import json
import os
import random
import re
import signal
import time

import pool

OPEN_AT_MOST = 100  # jobs in the queue at once
PATIENCE_S = 300  # for the next result, whatever happens: a watchdog
# Longer than any stop: whom a stop makes late is not to be blamed for it.
LIMITS = {"wall_ms": 120_000, "cpu_ms": 20_000}

SLEEPER = "import time\nprint('begun', flush=True)\ntime.sleep({})\nprint('done')\n"

# What is run: how often, its source, its verdict.
PROGRAMS = [
    (80, "x = 1 + 2\nprint(x)\n", "ok"),
    *((2, SLEEPER.format(ms / 1000), "ok") for ms in (50, 100, 150, 200, 250, 300)),
    (2, "raise SystemExit(3)\n", "exit"),
    (2, "print([][1])\n", "exception"),
    (2, "import os\nos.abort()\n", "crashed"),
    (2, "def f(:\n", "compile_error"),
]
TENANTS = [f"tenant-{number}" for number in range(7)]
CLASSES = ("interactive", "normal", "batch")

SLACK_MS = 20  # a job may begin so long after the blow that takes it away

# How often who is stopped, and for how many ms. A lease is 10 s: a relay that stood still for longer must not have its say.
STOPS = ((3, "relays", 50), (3, "relays", 500), (2, "relays", 13_000), (3, "sandboxes", 500), (1, "sandboxes", 13_000),
         (3, "zygotes", 50), (2, "zygotes", 500), (1, "zygotes", 2000))
LONG_STOP_MS = 500
LEASE_MS = 10_000  # as it is by default


class Log:
    """What the pool says, line by line."""

    def __init__(self, path):
        self.file = open(path, errors="replace")

    def skip(self):
        self.file.seek(0, os.SEEK_END)

    def wait(self, pattern, seconds):
        """The next line that fits, as a match; None where there is none in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            line = self.file.readline()
            if match := re.search(pattern, line):
                return match
            if not line:
                time.sleep(0.002)
        return None


def now_ms():
    """By the clock that Redis stamps entries with."""
    return time.time() * 1000


def choose(dice, rows):
    return dice.choices(rows, [row[0] for row in rows])[0]


def send(pid, signo):
    """Returns whether there was such a process."""
    try:
        os.kill(pid, signo)
    except ProcessLookupError:
        return False
    return True


class Chaos:
    """What befalls the pool. `blows`: (kind, when in ms) of those that hit all that runs; `victims`: {(job, attempt): (kind,
    when)} of the others; `stops`: (from, to) in ms; `wrong`: sentences."""

    def __init__(self, running, dice):
        self.pool, self.dice = running, dice
        self.log = Log(running.log_path)
        self.blows, self.victims, self.stops = [], {}, []
        self.stopped = {}  # pid: when it goes on, in s of the monotonic clock
        self.done = collections.Counter()
        self.wrong = []

    def look_after(self):
        """Whatever is done to the others, a supervisor goes on."""
        code = self.pool.process.poll()
        if code is not None:
            self.wrong.append(f"the supervisor ended by itself, with {code}")
            self.blows.append(("supervisor", now_ms()))
            self.pool.start()

    def running_jobs(self):
        """{slot: (job, attempt)}, as Redis knows it."""
        client, found = self.pool.client, {}
        for job in client.redis.zrange(client.key("lease"), 0, -1):
            owner, attempt = client.redis.hmget(client.key("job:", job.decode()), "owner", "attempt")
            if owner is not None:
                found[int(owner.rpartition(b".")[2])] = (job.decode(), int(attempt))
        return found

    def pick(self, pids):
        """0: there is none. Who stands still is let go on, and not killed before."""
        moving = sorted(set(pids) - set(self.stopped))
        return self.dice.choice(moving) if moving else 0

    def kill_relay(self):
        """Stopped first, so that it is known which job it has."""
        pid = self.pick(self.pool.relays())
        self.log.skip()
        if not pid or not send(pid, signal.SIGSTOP):
            return False
        jobs, when = self.running_jobs(), now_ms()
        send(pid, signal.SIGKILL)
        died = self.log.wait(r"relay (\d+) died of signal 9", 2)
        job = jobs.get(int(died[1])) if died else None
        if job:
            self.victims.setdefault(job, ("relay", when))
        return True

    def kill_sandbox(self):
        """One that waits has no job, and is not missed."""
        pid = self.pick(self.pool.sandboxes())
        self.log.skip()
        when = now_ms()
        if not pid or not send(pid, signal.SIGKILL):
            return False
        lost = self.log.wait(r"job=(\S+) attempt=(\d+) (?:lost: (?!its worker|its lease)|given back|verdict=fault)", 0.1)
        if lost:
            self.victims.setdefault((lost[1], int(lost[2])), ("sandbox", when))
        return True

    def kill_zygote(self):
        pid = self.pick(self.pool.zygotes())
        self.blows.append(("zygote", now_ms()))
        return bool(pid) and send(pid, signal.SIGKILL)

    def kill_supervisor(self):
        """It would take those with it that stand still, and are to be let go on."""
        if self.stopped:
            return False
        self.blows.append(("supervisor", now_ms()))
        self.pool.process.kill()
        self.pool.process.wait()
        self.pool.start()
        return True

    def stop_one(self):
        _, whom, milliseconds = choose(self.dice, STOPS)
        pid = self.pick(getattr(self.pool, whom)())
        if not pid or not send(pid, signal.SIGSTOP):
            return False
        self.stopped[pid] = time.monotonic() + milliseconds / 1000
        self.stops.append((now_ms(), now_ms() + milliseconds))
        return True

    # how often, what is told of it, how
    ACTS = [(8, "relay", kill_relay), (8, "sandbox", kill_sandbox), (2, "zygote", kill_zygote), (4, "stop", stop_one),
            (0.8, "supervisor", kill_supervisor)]

    def is_spared(self):
        """What is lost a third time is a dead letter, and rightly so: whoever has lost two attempts may end the third."""
        client = self.pool.client
        pipe = client.redis.pipeline(transaction=False)
        for job in client.redis.zrange(client.key("open"), 0, -1):
            pipe.hget(client.key("job:", job.decode()), "lost")
        return any(int(count or 0) >= 2 for count in pipe.execute())

    def strike(self):
        if self.is_spared():
            return
        _, name, act = choose(self.dice, self.ACTS)
        with contextlib.suppress(pool.redis.ConnectionError):
            self.done[name] += act(self)

    def let_go(self, all_of_them=False):
        for pid, until in list(self.stopped.items()):
            if all_of_them or time.monotonic() >= until:
                send(pid, signal.SIGCONT)
                del self.stopped[pid]


class Census:
    """Every process that the pool ever had, so far as it was seen."""

    def __init__(self):
        self.seen = set()

    @staticmethod
    def birth(pid):
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rpartition(")")[2].split()[19]
        except OSError:
            return None

    def take(self, supervisor):
        self.seen |= {(pid, self.birth(pid)) for pid in [supervisor, *pool.children_of(supervisor)]}

    def left(self):
        """Who is there when all have had the time to go: those of a supervisor that was killed just now take a second."""
        end = time.monotonic() + pool.PATIENCE
        while self.alive() and time.monotonic() < end:
            time.sleep(0.05)
        return self.alive()

    def alive(self):
        return [pid for pid, birth in self.seen if birth is not None and self.birth(pid) == birth]


def choose_jobs(dice, number):
    """[(id, ZIP, verdict, fields)]"""
    programs = [(often, pool.make_zip(source), verdict) for often, source, verdict in PROGRAMS]
    jobs = []
    for count in range(number):
        _, data, verdict = choose(dice, programs)
        fields = {"tenant": dice.choice(TENANTS), "priority": dice.choice(CLASSES), **LIMITS}
        jobs.append((f"job-{count}", data, verdict, fields))
    return jobs


def run(chaos, census, jobs, every_ms, note):
    """Returns when none is open any more, or when for long none has ended."""
    client, waiting = chaos.pool.client, list(reversed(jobs))
    ended, watchdog, next_blow = -1, 0, time.monotonic()
    while True:
        still_open, put_off = client.redis.zcard(client.key("open")), client.redis.zcard(client.key("delayed"))
        for _ in range(min(OPEN_AT_MOST - still_open, len(waiting))):
            job, data, _, fields = waiting.pop()
            client.enqueue(data, job, **fields)
        if not waiting and still_open == 0:
            return
        now = time.monotonic()
        if len(jobs) - len(waiting) - still_open != ended:
            ended, watchdog = len(jobs) - len(waiting) - still_open, now + PATIENCE_S
        if now >= watchdog:
            return
        chaos.let_go()
        chaos.look_after()
        if now >= next_blow and (waiting or still_open > put_off):
            census.take(chaos.pool.process.pid)
            chaos.strike()
            next_blow = time.monotonic() + every_ms / 1000 * chaos.dice.uniform(0.5, 1.5)
            note(f"kills: {ended} of {len(jobs)} jobs have ended, {sum(chaos.done.values())} blows")
        time.sleep(0.005)


class Story:
    """What a job's Stream tells. `runs`: {attempt: when it began, in ms}; `ended`: when its result came."""

    def __init__(self, client, job):
        self.runs, self.results, self.last, self.ended = {}, [], None, 0
        for identity, entry in client.redis.xrange(client.key("frames:", job)):
            self.last = entry[b"k"]
            if self.last == b"state":
                state = json.loads(entry[b"d"])
                self.runs.setdefault(state["attempt"], state["time_ms"])
            elif self.last == b"result":
                self.results.append(json.loads(entry[b"d"]))
                self.ended = int(identity.partition(b"-")[0])

    def is_dead(self):
        return len(self.results) == 1 and self.results[0]["state"] == "dead" and self.results[0]["verdict"] == "fault"

    def losses(self):
        """(attempt, when it began, when the next one did or it was given up), of each that was lost."""
        for attempt, when in self.runs.items():
            if attempt + 1 in self.runs:
                yield attempt, when, self.runs[attempt + 1]
            elif self.is_dead():
                yield attempt, when, self.ended


def judge_job(story, verdict):
    """What is wrong with it; None: nothing."""
    if not story.results:
        return "lost"
    if len(story.results) > 1:
        return "two results"
    if story.last != b"result":
        return "something follows the result"
    result = story.results[0]
    return None if result["verdict"] == verdict else f"{result['verdict']} and not {verdict}: {result['sentence']}"


def blame(chaos, job, attempt, begun, again):
    """(kind, when) of what made this attempt be lost. What is not known is not taken for a kill."""
    for since, until in chaos.stops:
        if until - since > LEASE_MS and since - SLACK_MS <= again and until >= begun and again - begun > LEASE_MS * 4 / 5:
            return "lease ran out", max(since, begun)
    if (job, attempt) in chaos.victims:
        return chaos.victims[job, attempt]
    first = bisect.bisect_left(chaos.blows, begun - SLACK_MS, key=lambda blow: blow[1])
    if first < len(chaos.blows) and chaos.blows[first][1] <= again:
        return chaos.blows[first]
    for since, until in chaos.stops:
        if since <= again and until >= begun:
            return "stop", max(since, begun)
    return "unknown", begun


def row_of(chaos, kind, attempt, when, again):
    """In which row the time of a job is: who had to wait for one that stood still is not told with the others."""
    stood = kind not in ("stop", "lease ran out") and any(since <= again and until >= when and until - since >= LONG_STOP_MS
                                   for since, until in chaos.stops)
    return f"{kind}, {'first' if attempt == 1 else 'later'} loss{', another stood still' if stood else ''}"


def left_in_redis(client, jobs):
    """What should not be there when all jobs are final: sentences."""
    keys = {key.decode()[len(client.prefix):] for key in client.redis.scan_iter(client.prefix + "*", count=1000)}
    expected = {f"{kind}{job}" for job, *_ in jobs for kind in ("job:", "frames:")}
    lasting = {"wake", "kept", "audited", "untold", "untold_by", "untold_more"}  # bounded, or for seconds
    for name in sorted(keys - expected - lasting):
        kind = client.redis.type(client.key(name))
        value = client.redis.get(client.key(name)) if kind == b"string" else kind
        if value != b"0" and not (kind == b"string" and client.redis.ttl(client.key(name)) > 0):
            yield f"the key {name} is left: {value.decode()}"
    for name in pool.keys_without_expiry(client):
        yield f"the key {name} does not expire"


def summarise_times(times):
    """{cause: {p50: ...}} of lists of ms."""
    def part(values, share):
        return round(values[min(int(len(values) * share), len(values) - 1)])
    table = {}
    for cause, values in sorted(times.items()):
        values.sort()
        table[cause] = {"jobs": len(values), "p50": part(values, .5), "p90": part(values, .9), "p99": part(values, .99),
                        "max": round(values[-1])}
    return table


def examine(chaos, jobs):
    """From what is in Redis: (sentences, {cause: [ms, ...]}, attempts that were lost to what is not known, {dead letter:
    causes})."""
    client = chaos.pool.client
    wrong, times, unknown, dead = list(chaos.wrong), collections.defaultdict(list), [], {}
    for job, _, verdict, _ in jobs:
        story, causes = Story(client, job), []
        for attempt, begun, again in story.losses():
            kind, when = blame(chaos, job, attempt, begun, again)
            causes.append(kind)
            if attempt + 1 in story.runs:
                times[row_of(chaos, kind, attempt, when, again)].append(again - when)
            if kind == "unknown":
                unknown.append(f"{job}, attempt {attempt}, begun {begun:.0f}, again {again:.0f}")
        problem = judge_job(story, verdict)
        if story.is_dead() and len(causes) >= 3 and "unknown" not in causes:
            dead[job] = causes
        elif problem:
            wrong.append(f"{job}: {problem} (lost before: {', '.join(causes) or 'never'})")
    client.redis.execute_command("FCALL", "paddock_dead_drop", 1, client.key("open"), "*")
    for name in ("lease", "open"):
        wrong += [f"{job.decode()} is left in {name}" for job in client.redis.zrange(client.key(name), 0, -1)]
    wrong += left_in_redis(client, jobs)
    return wrong, times, unknown, dead


def measure(options, number, note):
    dice = random.Random(options.seed)
    jobs, census = choose_jobs(dice, number), Census()
    begun = time.monotonic()
    with pool.RedisServer() as server, pool.Pool(workers=options.workers, redis=server.address) as p:
        chaos = Chaos(p, dice)
        try:
            run(chaos, census, jobs, options.every_ms, note)
        finally:
            chaos.let_go(all_of_them=True)
        p.count_fds()  # when nobody has a job any more: who stood still has had his say
        took = time.monotonic() - begun
        wrong, times, unknown, dead = examine(chaos, jobs)
        census.take(p.process.pid)
        errors = collections.Counter(re.findall(r"^error (.*)$", re.sub(r"\[\d+\]", "", p.read_log()), re.M))
        p.stop()
        wrong += [f"process {pid} is left" for pid in census.left()]
    return {"jobs": number, "workers": options.workers, "seconds": round(took, 1), "blows": dict(chaos.done),
            "lost_attempts": sum(map(len, times.values())), "dead_letters": dead, "again_ms": summarise_times(times),
            "unknown": unknown, "errors": dict(errors), "wrong": wrong}


def show(figures):
    blows = ", ".join(f"{name} {count}" for name, count in figures["blows"].items())
    print(f"kills: {figures['jobs']} jobs, {figures['workers']} workers, {figures['seconds']} s; blows: {blows}")
    print(f"attempts lost and made again: {figures['lost_attempts']}")
    for job, causes in figures["dead_letters"].items():
        print(f"{job} is a dead letter, lost three times: {', '.join(causes)}")
    print(f"{'from the blow until it ran again, ms':40} {'jobs':>6} {'p50':>7} {'p90':>7} {'p99':>7} {'max':>7}")
    for cause, row in figures["again_ms"].items():
        print(f"{cause:40} " + " ".join(f"{row[name]:>{6 if name == 'jobs' else 7}}" for name in row))
    for attempt in figures["unknown"]:
        print(f"lost, and it is not known to what: {attempt}")
    for line, count in figures["errors"].items():
        print(f"logged as an error, {count} times: {line}")
    for sentence in figures["wrong"][:50]:
        print(f"WRONG: {sentence}")
    print(f"kills: {len(figures['wrong'])} things are wrong")
