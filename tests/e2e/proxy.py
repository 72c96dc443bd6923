# SPDX-License-Identifier: MIT
"""A way to Redis that can be held up, slowed down and cut: for tests of what becomes of those who depend on it. It passes bytes on
as they are, and reads along only to know which command is under way."""

import contextlib
import os
import socket
import struct
import tempfile
import threading


class Torn(Exception):
    pass


class Reader:
    """Values of RESP2, with the bytes that they are made of, from a socket."""

    def __init__(self, connection):
        self.connection = connection
        self.bytes = b""

    def line(self):
        while b"\r\n" not in self.bytes:
            self.more()
        line, _, self.bytes = self.bytes.partition(b"\r\n")
        return line

    def take(self, size):
        while len(self.bytes) < size:
            self.more()
        taken, self.bytes = self.bytes[:size], self.bytes[size:]
        return taken

    def more(self):
        try:
            received = self.connection.recv(1 << 16)
        except OSError:
            received = b""
        if not received:
            raise Torn
        self.bytes += received

    def value(self):
        """(the value: bytes, or a list of values, and its own bytes)."""
        line = self.line()
        raw = line + b"\r\n"
        if line[:1] == b"$" and line != b"$-1":
            body = self.take(int(line[1:]) + 2)
            return body[:-2], raw + body
        if line[:1] == b"*" and line != b"*-1":
            parts = [self.value() for _ in range(int(line[1:]))]
            return [value for value, _ in parts], raw + b"".join(part for _, part in parts)
        return line[1:], raw


class Connection:
    """One client's way to the server. `words`: of the command under way, as text. `pid`: the client's."""

    def __init__(self, proxy, client, server):
        self.proxy = proxy
        self.ends = client, server
        self.pid, _, _ = struct.unpack("iii", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self.asked = []  # commands whose answers are to come, the oldest first
        for run in (self.requests, self.answers):
            threading.Thread(target=self.guarded, args=(run,), daemon=True).start()

    def guarded(self, run):
        self.proxy.here.connection = self
        with contextlib.suppress(Torn, OSError):
            run()
        self.cut()

    def requests(self):
        reader = Reader(self.ends[0])
        while True:
            value, raw = reader.value()
            words = [word.decode(errors="surrogateescape") for word in value]
            self.proxy.pass_by("before", words)
            self.asked.append(words)
            self.ends[1].sendall(raw)

    def answers(self):
        reader = Reader(self.ends[1])
        while True:
            _, raw = reader.value()
            self.proxy.pass_by("after", self.asked.pop(0))
            self.ends[0].sendall(raw)

    def cut(self):
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """with Proxy(server.socket) as proxy: Pool(redis=proxy.address)

    `hook`: called as hook("before" or "after", words) when a command has come from a client, or its answer from Redis, and is
    to be passed on: while it runs, that direction of that connection stands, which is `here.connection`, and which it can tear
    (raise Torn). `delay_s`: how long each is held up."""

    def __init__(self, target):
        self.target = target
        self.hook = None
        self.here = threading.local()
        self.delay_s = 0
        self.passable = threading.Event()
        self.passable.set()
        self.connections = []

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        os.chmod(self.folder.name, 0o755)
        self.socket = os.path.join(self.folder.name, "redis.sock")
        self.address = f"unix:{self.socket}"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket)
        os.chmod(self.socket, 0o777)
        self.listener.listen(128)
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.mend()
        self.cut()
        self.folder.cleanup()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                server.close()
                continue
            self.connections.append(Connection(self, client, server))

    def pass_by(self, moment, words):
        if self.delay_s > 0:
            threading.Event().wait(self.delay_s)
        if self.hook is not None:
            self.hook(moment, words)
        self.passable.wait()

    def hole(self):
        """From here on nothing is passed on, and no connection is closed for it: as if a cable were pulled out."""
        self.passable.clear()

    def mend(self):
        self.passable.set()

    def cut(self):
        """Closes all connections; new ones are taken."""
        connections, self.connections = self.connections, []
        for connection in connections:
            connection.cut()
