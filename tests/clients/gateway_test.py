# SPDX-License-Identifier: MIT
"""deploy/examples/gateway: 500 who look on, on one connection that waits; those who leave, come back, are slow; what it refuses; a
Redis that goes and comes; and the page that makes the best of it. The viewers speak HTTP as a browser does, without one."""

import asyncio
import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

import clients_test
import npm
import pool
import recording
import users
from clients_test import END, PREFIX

FOLDER = os.path.join(clients_test.PACKAGES, "gateway")
JOBS, VIEWERS_EACH = 50, 10
NOISE = "import os\nfor i in range(1500):\n    os.write(1, b'%7d' % i * 1024)\n"  # 10 MB: more than sockets hold
ROOM = 1 << 24  # for an event
COUNTS = "import time\nfor i in range(12):\n    print('step', i, flush=True)\n    time.sleep(0.02)\n"


def start(redis_socket, stderr, **environment):
    variables = {"REDIS_URL": "unix:" + redis_socket, "REDIS_USERNAME": users.WEB, "REDIS_PASSWORD": users.PASSWORD,
                 "QUEUE": clients_test.QUEUE, "PORT": "0", **environment}
    return subprocess.Popen(["node", "server.js"], cwd=FOLDER, stdout=subprocess.PIPE, stderr=stderr, text=True,
                            env={**os.environ, **variables})


class Gateway:
    """The example as it stands, beside the pinned node-redis."""

    def __init__(self, server, **environment):
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(os.path.join(clients_test.ROOT, "deploy", "examples", "gateway"), FOLDER)
        self.errors = tempfile.TemporaryFile("w+")
        self.process = start(server.socket, stderr=self.errors, **environment)
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(pool.PATIENCE)
        self.process.stdout.close()
        self.errors.close()
        assert code == 0, f"the gateway ends with {code}"

    def complaints(self):
        """All that it has said on standard error."""
        self.errors.seek(0)
        return self.errors.read()

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, what the JSON says)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=pool.PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
        finally:
            connection.close()

    def submit(self, program, **fields):
        query = "&".join(f"{name}={value}" for name, value in fields.items())
        status, _, told = self.ask("POST", f"/jobs?{query}", pool.make_zip(program))
        assert status == 202, (status, told)
        return told["id"]


class Viewer:
    """Who follows a job: `events` are (id, kind, data) as they came."""

    def __init__(self, gateway, job):
        self.port, self.job, self.events, self.writer = gateway.port, job, [], None

    async def come(self):
        """Again, where it was here before. Returns the status."""
        await self.go()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=ROOM)
        last = f"Last-Event-ID: {self.events[-1][0]}\r\n" if self.events else ""
        self.writer.write(f"GET /jobs/{self.job}/events HTTP/1.0\r\n{last}\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])

    async def look(self, most=10**9):
        """Until so many have come in all, or no more come."""
        fields = {}
        while len(self.events) < most and (line := await self.reader.readline()):
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                self.events.append((fields["id"], fields["event"], json.loads(fields["data"])))
                fields = {}

    async def go(self):
        if self.writer is not None:
            self.writer.close()
            with contextlib.suppress(ConnectionError):
                await self.writer.wait_closed()

    async def see_all(self):
        """Comes back, as EventSource does, until it has the result."""
        while not self.events or self.events[-1][0] != END:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.come()
                await self.look()
            await self.go()

    def output(self):
        return recording.text(recording.decode(b"".join(base64.b64decode(data["data"]) for _, kind, data in self.events if kind == "slice")))


class Script:
    """One that runs in node and prints lines of JSON."""

    def __init__(self, gateway, name, *words):
        self.process = subprocess.Popen(["node", os.path.join(clients_test.HERE, name), FOLDER, f"http://127.0.0.1:{gateway.port}/", *words],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.watchdog = threading.Timer(pool.PATIENCE, self.process.kill)
        self.watchdog.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        """It ends by itself, for nothing is left to follow, or to be told."""
        self.watchdog.cancel()
        if error[0] is not None:
            self.process.kill()
        self.process.stdin.close()
        code = self.process.wait(pool.PATIENCE)
        self.process.stdout.close()
        assert error[0] is not None or code == 0, f"it ends with {code}"

    def line(self):
        return json.loads(self.process.stdout.readline())

    def until(self, **wanted):
        """The lines up to one that has this."""
        lines = [self.line()]
        while not wanted.items() <= lines[-1].items():
            lines.append(self.line())
        return lines


class Page(Script):
    """What the page follows a job with: `line` is the next event, or an answer about the job."""

    def __init__(self, gateway, job):
        super().__init__(gateway, "page.mjs", job)


class Form(Script):
    """Somebody at the page: `line` is what he sees next."""

    def __init__(self, gateway):
        super().__init__(gateway, "form.mjs")

    def do(self, **acts):
        self.process.stdin.write(json.dumps(acts) + "\n")
        self.process.stdin.flush()

    def run(self, program, name="robot.py"):
        self.do(run=[name, program])

    def output(self, seen):
        """[[kind, text], ...], of pieces of one kind that follow on each other one, and none of them anything but text."""
        pieces = []
        for kind, text, elements in seen["output"]:
            assert elements == 0, seen
            if pieces and pieces[-1][0] == kind:
                pieces[-1][1] += text
            else:
                pieces.append([kind, text])
        return pieces


class GatewayTest(clients_test.Tier, unittest.IsolatedAsyncioTestCase):
    WORKERS = 8

    @classmethod
    def setUpClass(cls):
        npm.install(os.path.join(clients_test.HERE, "packages"), clients_test.PACKAGES)
        super().setUpClass()
        cls.gateway = cls.enterClassContext(Gateway(cls.server, MAX_ZIP_BYTES="100000", HEARTBEAT_MS="200", SLOW_MS="1500"))

    def connections(self):
        return [c for c in self.admin.client_list() if c["user"] == users.WEB]

    def operate(self, name):
        self.admin.execute_command("FCALL", "paddock_" + name, 1, PREFIX + "open")

    def check_events(self, viewer):
        """Each entry once, and in order; what it says, too."""
        entries = self.admin.xrange(PREFIX + "frames:" + viewer.job)
        told = [(at, kind, base64.b64decode(data["data"]) if kind == "slice" else data) for at, kind, data in viewer.events]
        self.assertEqual(told, [(at.decode(), f[b"k"].decode(), f[b"d"] if f[b"k"] == b"slice" else json.loads(f[b"d"])) for at, f in entries])

    def viewer(self, job):
        viewer = Viewer(self.gateway, job)
        self.addAsyncCleanup(viewer.go)
        return viewer

    async def in_thread(self, call, *words, **more):
        return await asyncio.get_running_loop().run_in_executor(None, lambda: call(*words, **more))

    async def test_500_viewers(self):
        self.operate("pause")
        self.addCleanup(self.operate, "resume")
        jobs = [await self.in_thread(self.gateway.submit, COUNTS) for _ in range(JOBS)]
        viewers = [self.viewer(job) for job in jobs for _ in range(VIEWERS_EACH)]
        self.assertEqual(set(await asyncio.gather(*(viewer.come() for viewer in viewers))), {200})
        self.assertEqual(len(self.connections()), 2)
        pool.wait_until(lambda: [c["cmd"] for c in self.connections() if "b" in c["flags"]] == ["xread"], "one waits")
        woken = pool.wait_until(lambda: self.admin.keys(PREFIX + "frames:.*"), "it was woken for those who came")
        self.assertTrue(all(self.admin.ttl(key) > 0 for key in woken))
        self.operate("resume")
        await asyncio.gather(*(self.behave(i % VIEWERS_EACH, viewer) for i, viewer in enumerate(viewers)))
        for viewer in viewers:
            self.check_events(viewer)
        self.assertEqual({viewer.output() for viewer in viewers}, {"".join(f"step {i}\n" for i in range(12))})
        pool.wait_until(lambda: len(self.connections()) == 1 and not self.admin.keys(PREFIX + "frames:.*"), "nobody follows")

    async def behave(self, kind, viewer):
        """Of ten: two leave after some entries and come back, two do so twice, one leaves at once and comes late, five stay."""
        for most in {1: [3], 2: [1], 3: [2, 5], 4: [1, 2], 5: [0]}.get(kind, []):
            await viewer.look(most)
            await viewer.go()
            if kind == 5:
                await self.in_thread(pool.wait_until, lambda: self.admin.exists(PREFIX + "frames:" + viewer.job), "it runs")
            await viewer.come()
        await viewer.look()
        await viewer.go()
        self.assertLessEqual(len(self.connections()), 2)

    async def test_who_takes_nothing(self):
        """Holds nobody up, is dropped, and goes on where he was."""
        job = pool.Client(self.admin, clients_test.QUEUE).enqueue(pool.make_zip("input()\n" + NOISE), output_kb=20000, live_input=1)
        slow, other = self.viewer(job), self.viewer(job)
        greedy = await self.in_thread(self.greedy, job)
        await self.in_thread(pool.wait_until, lambda: len(self.connections()) == 2, "it looks on")
        await self.in_thread(self.gateway.ask, "POST", f"/jobs/{job}/input?eof=1", b"\n")
        await other.see_all()
        self.check_events(other)
        await self.in_thread(pool.wait_until, lambda: len(self.connections()) == 1, "it is dropped")
        pieces = []
        while piece := await self.in_thread(self.receive, greedy):
            pieces.append(piece)
        greedy.close()
        whole = b"".join(pieces).rpartition(b"\n\n")[0] + b"\n\n"  # what was cut off a browser forgets, too
        slow.reader = asyncio.StreamReader(limit=ROOM)
        slow.reader.feed_data(whole.partition(b"\r\n\r\n")[2])
        slow.reader.feed_eof()
        await slow.look()
        self.assertNotEqual(slow.events[-1][0], END)
        await slow.see_all()
        self.check_events(slow)

    def greedy(self, job):
        """A connection that asks, and does not read until it was dropped."""
        greedy = socket.socket()
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.connect(("127.0.0.1", self.gateway.port))
        greedy.sendall(f"GET /jobs/{job}/events HTTP/1.0\r\n\r\n".encode())
        return greedy

    @staticmethod
    def receive(connection):
        try:
            return connection.recv(1 << 16)
        except ConnectionError:
            return b""

    async def test_cancel_and_input(self):
        job = await self.in_thread(self.gateway.submit, clients_test.ASKS, live_input=1)
        viewer = self.viewer(job)
        await viewer.come()
        await viewer.look(2)
        for line, eof in ((b"Ada\n", 0), (b"Grace\n", 1)):
            self.assertEqual((await self.in_thread(self.gateway.ask, "POST", f"/jobs/{job}/input?eof={eof}", line))[2], {"answer": "ok"})
        await viewer.look()
        self.check_events(viewer)
        self.assertEqual(viewer.output(), "begun\ngot Ada\ngot Grace\n")
        self.assertEqual(self.gateway.ask("POST", f"/jobs/{job}/input", b"x")[0], 409)
        self.assertEqual(await viewer.come(), 204)  # a browser that has the result comes no more
        job = await self.in_thread(self.gateway.submit, pool.LONG)
        viewer = self.viewer(job)
        await viewer.come()
        await viewer.look(1)
        self.assertEqual((await self.in_thread(self.gateway.ask, "POST", f"/jobs/{job}/cancel"))[2], {"answer": "requested"})
        await viewer.look()
        self.assertEqual(viewer.events[-1][2]["verdict"], "cancelled")
        status, _, told = self.gateway.ask("GET", f"/jobs/{job}")
        self.assertEqual((status, told["state"], told["verdict"], "token" in told), (200, "cancelled", "cancelled", False))

    async def test_what_is_refused(self):
        ask = self.gateway.ask
        for method, path, status in (("GET", "/jobs/nobody", 404), ("GET", "/jobs/nobody/events", 404), ("POST", "/jobs/nobody/cancel", 404),
                                     ("GET", "/jobs/a.b", 400), ("GET", "/elsewhere", 404), ("DELETE", "/jobs/a", 404),
                                     ("GET", "//", 404), ("GET", "///", 404), ("GET", "//x", 404), ("GET", "*", 400), ("GET", "http://%", 400),
                                     ("GET", "http://gateway/elsewhere", 404), ("GET", "/jobs/nobody/events?from=x", 400)):
            self.assertEqual(ask(method, path)[0], status, path)
        for position in "x", "99999999999999999999-0":
            self.assertEqual(ask("GET", "/jobs/nobody/events", headers={"Last-Event-ID": position})[0], 400)
        self.assertEqual(ask("GET", f"/jobs/nobody/events?from={END}")[0], 204)
        self.assertEqual(ask("GET", f"/jobs/nobody/events?from={END}", headers={"Last-Event-ID": "0-0"})[0], 404)
        program = pool.make_zip("print(1)")
        self.assertEqual(ask("POST", "/jobs?trace=all", program)[0], 400)
        status, _, told = ask("POST", "/jobs?trace=calls&cpu_ms=60000", program)
        self.assertEqual((status, told["error"]), (400, "cpu_ms: is not for who calls; there are entry, source, trace, tabs, live_input"))
        self.assertEqual(ask("POST", "/jobs", b"x" * 100001)[0], 413)
        self.assertEqual(ask("POST", "/jobs", iter([b"x" * 60000] * 2))[0], 413)
        self.assertEqual(ask("POST", "/jobs", headers={"Content-Length": "400001"})[0], 413)  # of which nothing is waited for
        self.admin.execute_command("FCALL", "paddock_pause", 1, PREFIX + "open")
        self.addCleanup(self.operate, "resume")
        self.configure(max_jobs=1)
        for name, value in (("tenant", "anybody"), ("priority", "interactive")):
            self.assertEqual(ask("POST", f"/jobs?{name}={value}", program)[0], 400)
        job = self.gateway.submit("print(1)")
        self.assertEqual(self.admin.hmget(PREFIX + "job:" + job, "tenant", "priority"), [b"default", b"normal"])
        status, headers, told = ask("POST", "/jobs", program)
        self.assertEqual((status, headers["Retry-After"]), (429, "1"), told)
        self.assertEqual(ask("POST", f"/jobs/{job}/cancel")[2], {"answer": "cancelled"})
        self.assertNotIn("    at ", self.gateway.complaints())  # of none of these a stack

    async def test_redis_away_and_back(self):
        job = await self.in_thread(self.gateway.submit, clients_test.ASKS, live_input=1)
        viewer, late = self.viewer(job), self.viewer(job)
        await viewer.come()
        await viewer.look(2)
        watching = asyncio.ensure_future(self.come_back(viewer))
        await self.in_thread(self.server.stop)
        status, headers, _ = await self.in_thread(self.gateway.ask, "GET", f"/jobs/{job}")
        self.assertEqual((status, headers["Retry-After"]), (503, "1"))
        await self.in_thread(self.start_again)
        await self.in_thread(pool.wait_until, lambda: self.gateway.ask("GET", f"/jobs/{job}")[0] == 200, "it is back")
        self.assertEqual((await self.in_thread(self.gateway.ask, "POST", f"/jobs/{job}/input?eof=1", b"back\n"))[2], {"answer": "ok"})
        await watching
        await late.see_all()
        for one in viewer, late:
            self.check_events(one)
        self.assertEqual(viewer.output(), "begun\ngot back\n")

    async def come_back(self, viewer):
        await viewer.look()
        await viewer.go()
        await viewer.see_all()

    async def test_who_runs_a_program_at_the_page(self):
        """He sees what it prints, as text; can type where it asks, and not elsewhere; and how it ended."""
        with Form(self.gateway) as form:
            self.assertEqual(form.line(), {"said": "", "output": [], "stop": False, "line": False})
            form.run("import sys\nprint('<b>begun</b>')\nprint('&lt;', file=sys.stderr)\nprint('hello', input('who? '))\n")
            seen = form.until(line=True)
            self.assertTrue({"It runs."} <= {one["said"] for one in seen}, seen)
            self.assertEqual((seen[-1]["stop"], seen[0]["line"]), (True, False))
            form.do(type="<i>robot</i>")
            last = form.until(stop=False)[-1]
            self.assertEqual((last["said"], last["line"]), ("Your program ran to its end.", False))
            self.assertEqual(form.output(last), [["out", "<b>begun</b>\n"], ["err", "&lt;\n"], ["out", "who? hello <i>robot</i>\n"]])

    async def test_who_stops_it_at_the_page_and_runs_another(self):
        """Of the one before nothing is left."""
        with Form(self.gateway) as form:
            form.run("print('first', flush=True)\nwhile True: pass\n")
            while not form.line()["output"]:
                pass
            form.do(stop=True)
            self.assertEqual(form.until(stop=False)[-1]["said"], "The run was cancelled.")
            form.run("print('second')\n")
            seen = form.until(said="Your program ran to its end.")
            self.assertEqual(form.output(seen[-1]), [["out", "second\n"]])

    async def test_who_runs_another_while_one_runs(self):
        """Nothing of the one before comes any more, not its end either. A name as Windows has it is one of a source file, too."""
        slow = "import time\nfor i in range({}):\n    print('{}', flush=True)\n    time.sleep(0.1)\n"
        with Form(self.gateway) as form:
            form.run(slow.format(10, "first"))
            while not form.line()["output"]:
                pass
            form.run(slow.format(25, "second"), "ROBOT.PY")
            seen = form.until(said="Your program ran to its end.")
            self.assertEqual((form.output(seen[-1]), seen[-1]["stop"]), ([["out", "second\n" * 25]], False))

    async def test_what_is_refused_is_said_at_the_page(self):
        with Form(self.gateway) as form:
            form.run("x" * 100001)
            while not (said := form.line())["said"]:
                pass
            self.assertEqual((said["stop"], said["line"]), (False, False))
            self.assertEqual(said["said"], "more than 100000 bytes")
            form.run("print('robot'", "a.py")
            form.until(stop=True)
            last = form.until(stop=False)[-1]
            self.assertTrue(last["said"].startswith("Python cannot read your program: SyntaxError: '(' was never closed (a.py, line 1)."))
            self.assertIn("SyntaxError", "".join(text for _, text in form.output(last)))
        with Gateway(self.server) as gateway:
            form = self.enterContext(Form(gateway))
            form.line()
        form.run("print('robot')")
        form.until(said="The server cannot be reached: try again in a moment.")

    def check_page(self, job, lines):
        """Each entry once, and in order."""
        told = [(line["kind"], line["data"]["data"] if line["kind"] == "slice" else line["data"]) for line in lines if "kind" in line]
        self.assertEqual(told, [(f[b"k"].decode(), base64.b64encode(f[b"d"]).decode() if f[b"k"] == b"slice" else json.loads(f[b"d"]))
                                for _, f in self.admin.xrange(PREFIX + "frames:" + job)])

    def test_a_page_while_redis_is_away(self):
        """A 503 ends its EventSource for good: it makes another one, that goes on where it was."""
        job = pool.Client(self.admin, clients_test.QUEUE).enqueue(pool.make_zip(clients_test.ASKS), wall_ms=60000, live_input=1)
        with Page(self.gateway, job) as page:
            seen = page.until(kind="slice")
            self.server.stop()
            seen += page.until(asked=503)
            self.start_again()
            pool.wait_until(lambda: self.gateway.ask("GET", f"/jobs/{job}")[0] == 200, "it is back")
            self.assertEqual(self.gateway.ask("POST", f"/jobs/{job}/input?eof=1", b"back\n")[2], {"answer": "ok"})
            seen += page.until(kind="result")
        self.check_page(job, seen)

    async def test_a_page_of_too_many(self):
        with Gateway(self.server, MAX_VIEWERS="1") as gateway:
            job = await self.in_thread(gateway.submit, clients_test.ASKS, live_input=1)
            viewer = Viewer(gateway, job)
            await viewer.come()
            with Page(gateway, job) as page:
                await self.in_thread(page.until, asked=200)
                await viewer.go()
                await self.in_thread(gateway.ask, "POST", f"/jobs/{job}/input?eof=1", b"\n")
                self.check_page(job, await self.in_thread(page.until, kind="result"))

    def test_a_page_without_a_job(self):
        with Page(self.gateway, "nobody") as page:
            self.assertEqual(page.until(kind="gone"), [{"asked": 404}, {"kind": "gone"}])

    async def test_redis_is_away_at_the_start(self):
        """It listens, says so to who calls, ends when it is told to; and serves as soon as there is one."""
        await self.in_thread(self.server.stop)
        with Gateway(self.server) as gateway:
            status, headers, _ = await self.in_thread(gateway.ask, "GET", "/jobs/nobody")
            self.assertEqual((status, headers["Retry-After"]), (503, "1"))
        with Gateway(self.server) as gateway:
            await self.in_thread(self.start_again)
            await self.in_thread(pool.wait_until, lambda: gateway.ask("GET", "/jobs/nobody")[0] == 404, "it has found it")

    async def test_what_it_cannot_start_with(self):
        taken = self.gateway.port
        for variables, line in (({"PORT": str(taken)}, f"http://127.0.0.1:{taken}: listen EADDRINUSE: "),
                                ({"REDIS_PASSWORD": "wrong"}, "Redis: WRONGPASS "), ({"REDIS_PASSWORD": ""}, "Redis: NOAUTH ")):
            with self.subTest(line):
                process = start(self.server.socket, subprocess.PIPE, **variables)
                _, err = await self.in_thread(process.communicate, timeout=pool.PATIENCE)
                self.assertEqual((process.returncode, err.count("\n")), (1, 1), err)
                self.assertTrue(err.startswith(line), err)
        self.assertEqual([(entry["username"], entry["object"]) for entry in self.admin.acl_log()], [(users.WEB, "AUTH")])
        self.admin.acl_log_reset()

    async def test_heartbeats(self):
        """While nothing comes; and who goes is forgotten."""
        self.operate("pause")
        self.addCleanup(self.operate, "resume")
        job = await self.in_thread(self.gateway.submit, "print(1)")
        viewer = self.viewer(job)
        await viewer.come()
        self.assertEqual([await viewer.reader.readline() for _ in range(4)], [b"retry: 1000\n", b"\n", b":\n", b"\n"])
        await viewer.go()
        await self.in_thread(pool.wait_until, lambda: len(self.connections()) == 1, "nobody is waited for")
        self.gateway.ask("POST", f"/jobs/{job}/cancel")

    async def test_the_page(self):
        for path in "/", "/follow.js", "/recording.js":
            connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=pool.PATIENCE)
            connection.request("GET", path)
            self.assertEqual(connection.getresponse().status, 200)
            connection.close()


if __name__ == "__main__":
    unittest.main()
