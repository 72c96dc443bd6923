# SPDX-License-Identifier: MIT
"""A client of Paddock for a backend (docs/PROTOCOL.md). Python 3.9 or later, and redis-py 4 (Debian's python3-redis);
nothing else.

    queue = Queue(redis.Redis(unix_socket_path="/run/paddock-redis/redis.sock"), "default")
    job = queue.enqueue(zip_bytes, tenant="team-7", trace="calls", cpu_ms=2000)
    for entry in queue.follow(job.id):
        if entry.kind == "slice":
            show(entry.data)  # bytes of the recording: recording.py decodes them
    print(entry.data["verdict"], "-", entry.data["sentence"])

Needs no more rights than the user `paddock-web` of redis-users.acl has. It starts no thread, and blocks as the connection
does; one Queue may be used by several threads, as the connection may. It is here that calls are repeated, not by a `retry` of
the connection, which would send input twice. Where Redis is away calls are repeated for `patience`
seconds, and `follow` goes on where it was, for as long each time; what Redis itself says to it then is raised: a
redis.ConnectionError or redis.TimeoutError."""

import json
import math
import re
import secrets
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

import redis

START = "0-0"
# The result is the last entry that there can be: nothing else is behind this one.
BEFORE_RESULT = "18446744073709551615-18446744073709551614"
END = "18446744073709551615-18446744073709551615"
BLOCK_MS = 5000
COUNT = 16  # entries of up to 256 KB that are read at once
PAUSES_S = 0.05, 0.1, 0.2, 0.5, 1.0  # between a call and its repetitions; the last one from then on

# What is a number in a job's hash, as it is in its result.
NUMBER = re.compile(r"\w+_(ms|kb|mb|s)|attempt|bytes|lost|max_deliveries|exit_code|signal|frames_dropped|live_input|replace")


class PaddockError(Exception):
    """Whatever Paddock has to say against a call."""


class NoPool(PaddockError):
    """No pool has served this Redis yet."""


class NoSuchJob(PaddockError):
    """There is none of this id, or its time is over."""


class Refused(PaddockError):
    """Nothing was changed."""


class BadField(Refused):
    """There is no such `field`, or it takes no such value, which `sentence` says."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}")
        self.field, self.sentence = field, sentence


class TooBig(Refused):
    """Now and later: `limit` bytes are allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class Full(Refused):
    """`reason` says what is at its limit: "jobs", "bytes", "tenant" or "memory". Try again after `retry_ms`."""

    def __init__(self, reason: str, retry_ms: int) -> None:
        super().__init__(f"{reason}: try again after {retry_ms} ms")
        self.reason, self.retry_ms = reason, retry_ms


class Duplicate(Refused):
    """There is a job of this id already, in this `state`."""

    def __init__(self, state: str) -> None:
        super().__init__(f"there is a job of this id, which is {state}")
        self.state = state


class InputRefused(Refused):
    """`reason`: "full" (it has taken all that a job may), "closed" (its end was sent), "refused" (it has no live input) or
    "final"."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the job takes no such input: {reason}")
        self.reason = reason


class Enqueued(NamedTuple):
    id: str
    position: int  # jobs that could run and wait before it


class Entry(NamedTuple):
    position: str  # where `follow` goes on behind it
    kind: str
    attempt: int
    data: Any  # bytes of a slice; of "state" and "result" a dict


class Position(NamedTuple):
    ahead: int
    wait_ms: int


class Queue:
    """One queue of a pool. `connection`: a redis.Redis; where it has `decode_responses`, another one to the same server is used."""

    def __init__(self, connection: "redis.Redis", name: str = "default", patience: float = 30) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
            raise ValueError("a queue's name is 1 to 64 letters, digits, _, . and -")
        self._redis, self._prefix, self._patience = _of_bytes(connection), f"paddock:{{{name}}}:", patience
        timeout = connection.connection_pool.connection_kwargs.get("socket_timeout")
        self._block_ms = BLOCK_MS if timeout is None else max(min(BLOCK_MS, int(timeout * 500)), 1)

    def enqueue(self, program: bytes, job_id: Optional[str] = None, **fields: Union[str, bytes, int]) -> Enqueued:
        """A ZIP, or one bare source file (source="py"), with the fields of PROTOCOL's table. Without an id it makes one. A
        connection that is lost on the way costs nothing: what is sent again has the same id."""
        job_id = secrets.token_hex(16) if job_id is None else _checked(job_id)
        began = time.monotonic()
        words = [word for name, value in fields.items() for word in (name, int(value) if isinstance(value, bool) else value)]
        answer, repeated = self._repeat(lambda: self._submit(program, job_id, words))
        word, *rest = answer.split()
        if word == "full":
            raise Full(rest[0], int(rest[1]))
        if word == "duplicate":
            if not repeated or not self._is_of_late(job_id, began):
                raise Duplicate(rest[0])
            ahead = self.position(job_id)
            return Enqueued(job_id, ahead.ahead if ahead else 0)
        return Enqueued(job_id, int(rest[0]))

    def follow(self, job_id: str, position: str = START, timeout: Optional[float] = None) -> Iterator[Entry]:
        """The entries of the job's Stream behind this position, as they come, up to its one result. At each "state" a reader
        forgets what it has: an attempt begins. Slices of a lost attempt are left out. Raises NoSuchJob where there is none (any
        more), and TimeoutError after so many seconds in all, also where Redis is away; one that stands still holds each call for
        as long as the connection waits (its `socket_timeout`)."""
        if not re.fullmatch(r"[0-9]{1,20}-[0-9]{1,20}", position) or max(map(int, position.split("-"))) >= 1 << 64:
            raise BadField("position", "takes that of an entry")
        return self._entries(_checked(job_id), position, timeout)

    def result(self, job_id: str, timeout: Optional[float] = None) -> Dict[str, Any]:
        """How the job ended, as soon as it has. Raises as `follow` does."""
        return next(self._entries(_checked(job_id), BEFORE_RESULT, timeout)).data

    def cancel(self, job_id: str) -> str:
        """"cancelled" (it waited), "requested" (it runs, and is about to be stopped) or "final"."""
        return self._known(job_id, _text(self._function("FCALL", "cancel", _checked(job_id))))

    def input(self, job_id: str, data: Union[str, bytes] = b"", eof: bool = False) -> str:
        """Sends at most 65,536 bytes to a job with live_input=1, and with `eof` their end: "ok" (it runs) or "queued". Is not
        repeated, as it would be sent twice: do so where the connection is lost only if the program does not mind."""
        try:
            word = self._redis.execute_command("FCALL", "paddock_input", 1, self._prefix + "open", _checked(job_id), data, *["eof"] * eof)
        except redis.ResponseError as error:
            raise _meaning(error) from error
        if self._known(job_id, _text(word)) not in ("ok", "queued"):
            raise InputRefused(_text(word))
        return _text(word)

    def exists(self, job_id: str) -> bool:
        return bool(self._call("EXISTS", self._prefix + "job:" + _checked(job_id)))

    def status(self, job_id: str) -> Dict[str, Any]:
        """The job's hash: its `state`, the fields that it was enqueued with, and when it has ended those of its result."""
        pairs = self._call("HGETALL", self._prefix + "job:" + _checked(job_id))
        if not pairs:
            raise NoSuchJob(job_id)
        return {name: int(value) if NUMBER.fullmatch(name) and re.fullmatch(r"-?\d+", value) else value
                for name, value in ((_text(name), _text(value)) for name, value in pairs.items())}

    def position(self, job_id: str) -> Optional[Position]:
        """How many jobs have their turn before it and how long that may take, an estimate, in a paused queue from when it goes on;
        zeros: it runs, or is the next. None: it is final, or there is none."""
        ahead, wait_ms = self._function("FCALL_RO", "position", _checked(job_id))
        return Position(ahead, wait_ms) if ahead >= 0 else None

    def _entries(self, job_id: str, position: str, timeout: Optional[float]) -> Iterator[Entry]:
        end = math.inf if timeout is None else time.monotonic() + timeout
        attempt = self._attempt_at(job_id, position, end)
        silent = True  # the first time, too: whether there is such a job is known before one waits
        while position != END:
            if silent and not self._call("EXISTS", self._prefix + "job:" + job_id, end=end):
                raise NoSuchJob(job_id)
            entries = self._read(job_id, position, end)
            silent = not entries
            if silent and time.monotonic() >= end:
                raise TimeoutError(f"job {job_id} has no result yet")
            for position, fields in entries:
                kind, number = _text(fields[b"k"]), int(fields[b"a"])
                if kind == "slice" and attempt not in (number, None):
                    continue  # its relay was lost, and has sent it late
                attempt = number
                yield Entry(position, kind, number, fields[b"d"] if kind == "slice" else json.loads(fields[b"d"]))

    def _read(self, job_id: str, position: str, end: float) -> List[Tuple[str, Dict[bytes, bytes]]]:
        key = self._prefix + "frames:" + job_id

        def ask() -> Any:  # for what is left by then
            block_ms = max(int(min((end - time.monotonic()) * 1000, self._block_ms)), 1)
            return self._redis.execute_command("XREAD", "COUNT", COUNT, "BLOCK", block_ms, "STREAMS", key, position)

        answer, _ = self._repeat(ask, end)
        return [(_text(at), fields) for _, entries in answer or () for at, fields in entries]

    def _attempt_at(self, job_id: str, position: str, end: float) -> Optional[int]:
        """Of the entry that a reader has seen last, if it has seen one."""
        if position in (START, BEFORE_RESULT, END):
            return None
        entries = self._call("XRANGE", self._prefix + "frames:" + job_id, position, position, end=end)
        return int(entries[0][1][b"a"]) if entries else None

    def _submit(self, program: bytes, job_id: str, words: List[Any]) -> str:
        upload = secrets.token_hex(16)
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.execute_command("SET", self._prefix + "up:" + upload, program, "EX", 60)
            pipe.execute_command("FCALL", "paddock_enqueue", 1, self._prefix + "open", job_id, "upload", upload, *words)
            stored, answer = pipe.execute(raise_on_error=False)
        for failed in (answer, stored):
            # Where Redis has no room for the upload, the function says so better.
            if isinstance(failed, Exception) and (failed is answer or not _text(answer).startswith("full")):
                raise failed
        return _text(answer)

    def _is_of_late(self, job_id: str, began: float) -> bool:
        """Was it enqueued since then? The answer that was lost was its own, then."""
        seconds, micros = self._call("TIME")
        elapsed_ms = (time.monotonic() - began) * 1000  # after it: on its way it takes time, too
        enqueued = self._call("HGET", self._prefix + "job:" + job_id, "enqueued_ms")
        return enqueued is not None and int(enqueued) >= seconds * 1000 + micros // 1000 - elapsed_ms - 1

    def _function(self, how: str, name: str, *words: Any) -> Any:
        return self._call(how, "paddock_" + name, 1, self._prefix + "open", *words)

    def _known(self, job_id: str, word: str) -> str:
        if word == "unknown":
            raise NoSuchJob(job_id)
        return word

    def _call(self, *words: Any, end: float = math.inf) -> Any:
        return self._repeat(lambda: self._redis.execute_command(*words), end)[0]

    def _repeat(self, ask: Callable[[], Any], end: float = math.inf) -> Tuple[Any, bool]:
        """The answer, and whether it took more than one call. Raises TimeoutError where there is none by `end`."""
        give_up, asked = time.monotonic() + self._patience, 0
        while True:
            try:
                return ask(), asked > 0
            except redis.ResponseError as error:
                raise _meaning(error) from error
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if isinstance(error, redis.AuthenticationError) or time.monotonic() > give_up:
                    raise
                if time.monotonic() >= end:
                    raise TimeoutError("Redis is away") from error
            time.sleep(min(PAUSES_S[min(asked, len(PAUSES_S) - 1)], max(end - time.monotonic(), 0)))
            asked += 1


def _of_bytes(connection: "redis.Redis") -> "redis.Redis":
    """A recording is no text."""
    pool = connection.connection_pool
    if not pool.connection_kwargs.get("decode_responses"):
        return connection
    options = {**pool.connection_kwargs, "decode_responses": False}
    return redis.Redis(connection_pool=redis.ConnectionPool(pool.connection_class, pool.max_connections, **options))


def _checked(job_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", job_id):
        raise BadField("id", "takes 1 to 64 letters, digits, _ and -")
    return job_id


def _text(word: bytes) -> str:
    return word.decode("utf-8", "replace")


def _meaning(error: Exception) -> Exception:
    """What Redis's error says of Paddock; itself, where that is nothing."""
    code, _, rest = str(error).partition(" ")
    if code == "BADFIELD":
        return BadField(*rest.split(": ", 1)) if ": " in rest else BadField("", rest)
    if code == "TOOBIG":
        return TooBig(int(rest))
    if code == "OOM" or "used memory > 'maxmemory'" in rest:
        return Full("memory", 1000)
    return NoPool("no pool has served this Redis yet") if "Function not found" in str(error) else error
