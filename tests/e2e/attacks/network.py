# SPDX-License-Identifier: MIT
"""C: the network, and what is like it."""

from attacks import Attack, Call

ABSTRACT = "at(b'\\x01\\x00\\x00paddock'), 10"

CALLS = [
    Call("C1", "AF_INET", 41, "2, 1, 0", "EACCES"),
    Call("C1", "AF_INET6", 41, "10, 1, 0", "EACCES"),
    Call("C1", "AF_UNIX", 41, "1, 1, 0", "EACCES"),
    Call("C1", "AF_NETLINK", 41, "16, 3, 0", "EACCES"),
    Call("C1", "AF_PACKET", 41, "17, 3, 0", "EACCES"),
    Call("C1", "AF_ALG", 41, "38, 5, 0", "EACCES"),
    Call("C1", "AF_VSOCK", 41, "40, 1, 0", "EACCES"),
    Call("C1", "socketpair", 53, "1, 1, 0, at()", "EACCES"),
    Call("C3", "connect", 42, f"0, {ABSTRACT}", "EPERM"),
    Call("C3", "bind", 49, f"0, {ABSTRACT}", "EPERM"),
    Call("C3", "listen", 50, "0, 1", "EPERM"),
    Call("C3", "accept4", 288, "0, 0, 0, 0", "EPERM"),
    Call("C4", "SOCK_DGRAM", 41, "2, 2, 0", "EACCES"),
    Call("C4", "sendto", 44, "0, at(), 1, 0, 0, 0", "EPERM"),
    Call("C4", "recvfrom", 45, "0, at(), 1, 0, 0, 0", "EPERM"),
    Call("C5", "sendmsg", 46, "0, at(), 0", "EPERM"),
    Call("C5", "recvmsg", 47, "0, at(), 0", "EPERM"),
    Call("C5", "sendmmsg", 307, "0, at(), 1, 0", "EPERM"),
    Call("C5", "recvmmsg", 299, "0, at(), 1, 0, 0", "EPERM"),
    Call("C5", "setsockopt", 54, "0, 1, 2, at(), 4", "EPERM"),
]

ATTACKS = [
    Attack("C1", "a socket", "import socket\nsocket.socket()\n", "exception", claim="PermissionError"),
    Attack("C1", "a socket past what Python says of it", "import _socket\n_socket.socket(2, 1)\n", "exception",
           claim="PermissionError"),
    Attack("C1", "a pair of sockets", "import socket\nsocket.socketpair()\n", "exception", claim="PermissionError"),
    Attack("C2", "a page, by name", "import urllib.request\nurllib.request.urlopen('http://localhost/')\n", "exception",
           claim="URLError"),
    Attack("C2", "a page, by number", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1/')\n", "exception",
           claim="URLError"),
    Attack("C3", "another's abstract socket", "import _socket\ns = _socket.socket(1, 1)\ns.connect('\\0paddock')\n",
           "exception", claim="PermissionError"),
    Attack("C4", "a datagram", "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))\n",
           "exception", claim="PermissionError"),
    Attack("C6", "an event loop", "import asyncio\nasync def tick(n):\n    await asyncio.sleep(0.001)\n    return n\n"
           "async def main():\n    print(await asyncio.gather(*[tick(n) for n in range(3)]))\nasyncio.run(main())\n", "ok",
           out="[0, 1, 2]\n", why="Paddock's own event loop works without any fd"),
    Attack("C6", "an event loop that connects", "import asyncio\n"
           "asyncio.run(asyncio.open_connection('127.0.0.1', 80))\n", "exception"),
]
