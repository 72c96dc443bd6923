# SPDX-License-Identifier: MIT
"""deploy/redis-users.acl: what its users may do is enough for their work, and no more.

Enough is what functions_test.py shows, which makes its calls as these users. Here it runs once more, and the library notes
each command that it gives: all that its text says must have happened, for each user (so nothing is left that could be refused
one day), and of each right of the file there must be something that fails without it."""

import contextlib
import io
import os
import re
import subprocess
import tempfile
import unittest

import redis

import damage_test
import functions_test
import users

HERE = os.path.dirname(os.path.abspath(__file__))
stack = contextlib.ExitStack()
P = f"paddock:{{{functions_test.QUEUE}}}:"

# Commands that are given outside of functions: by relays (worker/relay/claims.c, watch.c), by everybody who connects
# (queue/connect.c, queue/call.c), by clients (docs/PROTOCOL.md; supervisor/ctl).
CONNECT = [["PING"], ["INFO"], ["FCALL_RO", "paddock_version", "1", P + "open"]]
DIRECT = {
    users.WORKER: CONNECT + [
        ["FUNCTION", "LOAD", "REPLACE", "#!lua name=paddock"], ["CLIENT", "ID"], ["CLIENT", "UNBLOCK", "1"],
        ["BLPOP", P + "wake", "5"], ["BLPOP", P + "ctl:a", "5"], ["LPUSH", P + "wake", "1"], ["GETRANGE", P + "zip:a", "0", "10485760"],
        ["EXISTS", P + "zip:a"],
        ["XADD", P + "frames:a", "NOMKSTREAM", "*", "k", "slice", "a", "1", "d", "x"], ["XRANGE", P + "frames:a", "-", "+"]],
    users.WEB: CONNECT + [
        ["SET", P + "up:x", "zip", "EX", "60"], ["HGETALL", P + "job:a"], ["EXISTS", P + "job:a"],
        ["XREAD", "BLOCK", "5000", "STREAMS", P + "frames:a", "0-0"], ["XRANGE", P + "frames:a", "-", "+"],
        ["XREVRANGE", P + "frames:a", "+", "-"]],
    users.OPERATOR: CONNECT + [
        ["HGETALL", P + "job:a"], ["HGETALL", P + "conf"], ["HSET", P + "conf", "max_jobs", "1"], ["HDEL", P + "conf", "max_jobs"],
        ["HGETALL", P + "weights"], ["HSET", P + "weights", "a", "2"], ["HDEL", P + "weights", "a"]],
}

PLACED = "who has a place in a round does not come, and an audit puts it right"

# Parts of the library to which a user's calls lead by the text, but never by what happens.
NEVER = {
    users.WEB: {"bury": "a client makes no job dead", "stopped": "what runs a client does not end",
                'close: "UNLINK", P .. "ctl:" .. id)': "only of a dead letter", "guard: in:": "a new job has no input",
                "join: front + 1)), member)": PLACED},
    users.OPERATOR: {"join: front + 1)), member)": PLACED, "put_off": "a dead letter that is to run is not delayed"},
}

# Of each user something that others do, or nobody: all refused.
FOREIGN = [["KEYS", "*"], ["SCAN", "0"], ["FLUSHALL"], ["FLUSHDB"], ["DBSIZE"], ["SWAPDB", "0", "1"], ["SELECT", "1"],
           ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "GET", "*"], ["ACL", "LIST"], ["ACL", "SETUSER", "x", "on"],
           ["EVAL", "return 1", "0"], ["EVALSHA", "0" * 40, "0"], ["SCRIPT", "LOAD", "return 1"], ["DEBUG", "SLEEP", "0"],
           ["FUNCTION", "FLUSH"], ["FUNCTION", "DELETE", "paddock"], ["FUNCTION", "DUMP"], ["SHUTDOWN"], ["SAVE"], ["MONITOR"],
           ["REPLICAOF", "NO", "ONE"], ["CLIENT", "KILL", "TYPE", "normal"], ["CLIENT", "LIST"], ["SUBSCRIBE", "x"],
           ["PUBLISH", "x", "y"], ["MODULE", "LIST"], ["MIGRATE", "h", "1", "k", "0", "1"], ["DUMP", P + "job:a"],
           ["RESTORE", P + "job:a", "0", "x"], ["COPY", P + "job:a", "x"], ["SORT", P + "open"], ["OBJECT", "HELP"],
           ["HGETALL", "session:a"], ["HGETALL", "paddock:{other}:job:a"], ["HMGET", "paddock:default:job:a", "state"],
           ["HGETALL", "xpaddock:{default}:job:a"]]
REFUSED = {
    users.WORKER: [["FCALL", "paddock_" + name, "1", P + "open"] for name in
                   ("enqueue", "cancel", "input", "pause", "resume", "dead_requeue", "dead_drop")]
    + [["FCALL_RO", "paddock_" + name, "1", P + "open"] for name in ("dead", "status", "position")]
    + [["RENAME", P + "up:x", P + "zip:a"], ["FCALL", "paddock_claim", "1", "paddock:{other}:open"], ["APPEND", P + "in:a", "x"]],
    users.WEB: [["FCALL", "paddock_" + name, "1", P + "open"] for name in
                ("claim", "beat", "finish", "lost", "requeue", "recover", "pause", "resume", "dead_requeue", "dead_drop")]
    + [["FCALL_RO", "paddock_" + name, "1", P + "open"] for name in ("dead", "input_from")]
    + [["FUNCTION", "LOAD", "#!lua name=x"], ["GET", P + "zip:a"], ["HSET", P + "conf", "max_jobs", "1"], ["SET", P + "paused", ""],
       ["BLPOP", P + "wake", "1"], ["HSET", P + "weights", "a", "1"], ["HSET", P + "tact", "a", "1"],
       ["RENAME", P + "zip:a", P + "up:x"], ["FCALL", "paddock_enqueue", "1", "paddock:{other}:open"]],
    users.OPERATOR: [["FCALL", "paddock_" + name, "1", P + "open"] for name in
                     ("claim", "beat", "finish", "lost", "requeue", "recover", "enqueue", "input", "cancel")]
    + [["FUNCTION", "LOAD", "#!lua name=x"], ["GET", P + "zip:a"], ["XREAD", "STREAMS", P + "frames:a", "0"], ["XADD", P + "frames:a", "*", "k", "v"],
       ["GETRANGE", P + "in:a", "0", "1"], ["BLPOP", P + "wake", "1"]],
}


def setUpModule():
    """Without unittest's module cleanups: the run of the other module, within one of our tests, would do these, too."""
    global folder, store
    with contextlib.ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="paddock-acl-"))
        server, store = functions_test.start_server(folder)
        opened.callback(server.wait)
        opened.callback(server.kill)
        opened.callback(store.close)
        with open(functions_test.LIBRARY, encoding="utf-8") as file:
            store.function_load(file.read())
        users.create(store)
        stack.push(opened.pop_all())


def tearDownModule():
    stack.close()


def dry_run(name, commands):
    """What the server would say to this user: "OK", or why not."""
    pipe = store.pipeline(transaction=False)
    for words in commands:
        pipe.execute_command("ACL", "DRYRUN", name, *words)
    return [reply.decode() for reply in pipe.execute()]


class File(unittest.TestCase):
    """As a server reads it."""

    def serve(self, text):
        path = os.path.join(folder, "users.acl")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return subprocess.run(["redis-server", "--port", "0", "--save", "", "--dir", folder, "--daemonize", "no", "--aclfile", path,
                               "--unixsocket", os.path.join(folder, "other.sock")], stdout=subprocess.PIPE, text=True,
                              timeout=functions_test.PATIENCE, check=False)

    def test_as_it_stands_it_lets_nobody_in(self):
        """Whoever forgets to put passwords into it has no server."""
        with open(users.FILE, encoding="ascii") as file:
            done = self.serve(file.read())
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("password hash", done.stdout)

    def test_with_passwords(self):
        path, address = os.path.join(folder, "own.acl"), os.path.join(folder, "own.sock")
        with open(path, "w", encoding="ascii") as file:
            file.write(users.read() + "user admin on nopass ~* &* +@all\n")
        with subprocess.Popen(["redis-server", "--port", "0", "--save", "", "--dir", folder, "--aclfile", path, "--unixsocket", address],
                              stdout=subprocess.DEVNULL) as process:
            try:
                self.look(process, address)
            finally:
                process.kill()

    def look(self, process, address):
        while not os.path.exists(address):
            self.assertIsNone(process.poll())
        with redis.Redis(unix_socket_path=address) as nobody, self.assertRaises(redis.AuthenticationError):
            nobody.ping()
        with redis.Redis(unix_socket_path=address, username="admin", password="x") as admin:
            self.assertEqual(set(admin.acl_users()), {"default", "admin", *users.NAMES})
            for name in users.NAMES:
                self.assertEqual(admin.acl_getuser(name)["channels"], [])
        for name in users.NAMES:
            with redis.Redis(unix_socket_path=address, username=name, password="wrong") as wrong:
                self.assertRaises(redis.ResponseError, wrong.ping)
            with redis.Redis(unix_socket_path=address, username=name, password=users.PASSWORD) as right:
                self.assertTrue(right.ping())

    def test_it_says_each_thing_once_and_nothing_wide(self):
        for name, words in users.rules().items():
            self.assertEqual(len(words), len(set(words)), name)
            self.assertEqual([word for word in words if "@" in word], ["-@all"], name)
            self.assertIn("resetchannels", words)
            for word in words:
                if "~" in word:
                    self.assertIn("~" + P, word)


class Refusals(unittest.TestCase):
    def test_what_is_not_theirs(self):
        for name in users.NAMES:
            with redis.Redis(unix_socket_path=os.path.join(folder, "redis.sock"), username=name, password=users.PASSWORD) as user:
                for words in FOREIGN + REFUSED[name]:
                    with self.subTest(user=name, words=words), self.assertRaises(redis.exceptions.NoPermissionError):
                        user.execute_command(*words)

    def test_each_function_is_somebodys(self):
        with open(functions_test.LIBRARY, encoding="utf-8") as file:
            names = re.findall(r'^register\("(\w+)"', file.read(), re.M)
        for name in names:
            users.function_user(name)
        known = {word for name in names for word in (f"+fcall|paddock_{name}", f"+fcall_ro|paddock_{name}")}
        for words in users.rules().values():
            self.assertEqual({word for word in words if "fcall" in word} - known, set())


class Text:
    """The library as text: which of its parts lead to which lines that give a command."""

    def __init__(self, lines):
        self.sites, self.calls, self.functions = {}, {}, {}
        self.lines, inside, margin = lines, None, ""
        for number, line in enumerate(lines, 1):
            if match := re.match(r"local function (\w+)\(|  (?:local )?function (\w+)\(", line):
                if inside and line[0] == " ":
                    continue  # one within another
                inside, margin = match[1] or match[2], "  " if line[0] == " " else ""
                self.sites[inside], self.calls[inside] = set(), set()
            elif line.startswith(margin + "end"):
                inside, margin = None, ""
            elif match := re.match(r'register\("(\w+)", (\w+)', line):
                self.functions["paddock_" + match[1]] = match[2]
            elif inside and inside != "try":
                code = line.partition(" -- ")[0]
                self.calls[inside] |= set(re.findall(r"(\w+)\(", code)) & set(self.sites)
                if re.search(r"\b(redis\.p?call|try)\(", code):
                    self.sites[inside].add(number)

    def reached(self, functions, never):
        """The lines that calls of these functions may come to."""
        parts, todo = set(), [self.functions[name] for name in functions]
        while todo:
            part = todo.pop()
            if part not in parts and part not in never:
                parts.add(part)
                todo += self.calls[part]
        cut = [key.split(": ", 1) for key in never if ": " in key]
        return {(part, self.lines[line - 1].strip()) for part in parts for line in self.sites[part]
                if not any(part == name and words in self.lines[line - 1] for name, words in cut)}


def rights_of(lines):
    """{function: (commands, kinds of keys) that its user is asked for}, as the library's own list has it."""
    whole = "\n".join(lines)
    lists = {name: re.findall(r'"([^"]+)"', rows) for name, rows in re.findall(r"^local (\w+) = {((?:\"[^\"]*\",?\s*)+)}", whole, re.M)}
    needs = dict(re.findall(r"(\w+) = ([A-Z]+)\b", re.search(r"local NEEDS = {(.*?)}", whole, re.S)[1]))
    found = {}
    for function, name in needs.items():
        words = [right.split() for right in lists[name]]
        found["paddock_" + function] = (
            {words[0] for words in words} | {"TIME"},
            {key_kind(word) for words in words for word in words[1:] if not re.fullmatch("[A-Z]+", word)})
    return found


def key_kind(key):
    """line1:someone is a key like line0: of all."""
    return re.sub(r"\d", "0", re.match(r"[a-z_]+\d?:?", key)[0])


class Closure(unittest.TestCase):
    """What the functions really do, as functions_test.py calls them."""

    @classmethod
    def setUpClass(cls):
        with open(functions_test.LIBRARY, encoding="utf-8") as file:
            head, _, body = file.read().partition("\n")
        body = re.sub(r"^( *return )(redis\.call\(.*\))$", r"\1(\2)", body, flags=re.M)  # a tail call has no line
        with open(os.path.join(HERE, "observe.lua"), encoding="utf-8") as file:
            before = file.read()
        cls.text = Text(body.splitlines())
        offset = before.count("\n") + 1
        inner = next(i for i, line in enumerate(cls.text.lines, 1) if "redis.pcall(...)" in line)
        before = before.replace("TRY", str(offset + inner)).replace("OFFSET", str(offset))
        cls.seen = {}
        path = os.path.join(folder, "observed.lua")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{head}\n{before}{body}")
        cls.run_suite(path)
        cls.uses = {name: cls.uses_of(name) for name in users.NAMES}

    @classmethod
    def harvest(cls):
        for function, line, words in functions_test.store.fcall_ro("paddock_seen", 0):
            cls.seen[function, line, b" ".join(words[:2])] = words

    @classmethod
    def run_suite(cls, path):
        class Store(redis.Redis):
            def function_load(self, code, replace=False):
                if replace and functions_test.Queue.current:
                    cls.harvest()
                return super().function_load(code, replace)

        plain, library, functions_test.redis.Redis = redis.Redis, functions_test.LIBRARY, Store
        functions_test.LIBRARY, functions_test.tearDownModule = path, cls.harvest
        damage_test.tearDownModule = cls.harvest
        try:
            suite, output = unittest.TestSuite(), io.StringIO()
            suite.addTests(map(unittest.defaultTestLoader.loadTestsFromModule, (functions_test, damage_test)))
            result = unittest.TextTestRunner(stream=output).run(suite)
        finally:
            functions_test.redis.Redis, functions_test.LIBRARY = plain, library
            del functions_test.tearDownModule, damage_test.tearDownModule
        assert result.wasSuccessful() and result.testsRun > 100, output.getvalue()

    @staticmethod
    def functions(name):
        return {word.partition("|")[2] for word in users.rules()[name] if word.startswith(("+fcall|", "+fcall_ro|"))}

    @classmethod
    def uses_of(cls, name):
        """All that this user makes the server do."""
        calls = [[word[1:].partition("|")[0], word.partition("|")[2], "1", P + "open"]
                 for word in users.rules()[name] if word.startswith(("+fcall|", "+fcall_ro|"))]
        inside = [words for (function, _, _), words in cls.seen.items() if function.decode() in cls.functions(name)]
        return DIRECT[name] + calls + inside

    def test_what_the_text_says_has_happened(self):
        for name in users.NAMES:
            functions = self.functions(name)
            reached = self.text.reached(functions, NEVER.get(name, {}))
            happened = {self.text.lines[line - 1].strip() for function, line, _ in self.seen if function.decode() in functions and line > 0}
            self.assertEqual({site for site in reached if site[1] not in happened}, set(), name)

    def test_the_rights_that_are_looked_at_before(self):
        """Each command and each kind of key that a function may come to is in its list, and nothing is in a list for nothing."""
        lists = rights_of(self.text.lines)
        together = {}
        for function, asked in lists.items():
            commands, kinds = together.setdefault(str(sorted(asked[0])), (asked, set(), set()))[1:]
            for (name, _, _), words in self.seen.items():
                if name.decode() == function:
                    texts = [functions_test.text(word) for word in words if isinstance(word, bytes)]
                    commands.add(texts[0])
                    kinds |= {key_kind(word[len(P):]) for word in texts if word.startswith(P) and not word.startswith(P + "nobody")}
        for asked, commands, kinds in together.values():
            self.assertEqual(asked[0], commands | {"TIME"})
            self.assertEqual(asked[1], kinds)

    def test_enough(self):
        for name, uses in self.uses.items():
            for words, reply in zip(uses, dry_run(name, uses)):
                self.assertEqual(reply, "OK", (name, words))

    def narrower(self, words):
        """The rules, each time with one taken away or made half."""
        for i, word in enumerate(words):
            if word.startswith("+") or "~" in word:
                yield word, words[:i] + words[i + 1:]
            if word.startswith("~"):
                for half in ("%R", "%W"):
                    yield f"{word} as {half}", words[:i] + [half + word] + words[i + 1:]

    def test_no_more(self):
        unneeded = []
        for name, words in users.rules().items():
            for right, rest in self.narrower(words):
                store.execute_command("ACL", "SETUSER", "narrow", "reset", *rest)
                if set(dry_run("narrow", self.uses[name])) == {"OK"}:
                    unneeded.append((name, right))
        store.execute_command("ACL", "DELUSER", "narrow")
        self.assertEqual(unneeded, [])


if __name__ == "__main__":
    unittest.main()
