# SPDX-License-Identifier: MIT
"""The event loop of asyncio where there are no sockets, pipes or child processes.

In the archive that programs import Python's library from, it stands in for asyncio/unix_events.py, whose loop waits in
select() for a socket of its own. This one waits for a lock, so that timers, tasks, threads and signals work, and says what
does not. It runs in the sandbox, beside programs that may be hostile, and is no boundary.
"""

import errno
import signal
import threading

from . import base_events
from . import events

__all__ = ("SelectorEventLoop", "DefaultEventLoopPolicy")

_NO_NETWORK = "There is no network here: a program cannot open a connection"
_NO_PROCESSES = "Programs cannot start other programs here"
_NO_FILES = "There is nothing here that a program could wait for but time, threads and signals"


class _Waiter:
    """In the place of a selector: nothing is ever ready, but a wait can be ended."""

    def __init__(self):
        self._lock = threading.Lock()  # free when somebody has woken us
        self._lock.acquire()

    def select(self, timeout=None):
        self._lock.acquire(timeout=-1 if timeout is None else timeout)
        return ()

    def wake(self):
        try:
            self._lock.release()
        except RuntimeError:
            pass  # awake already


def _refused(sentence):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EPERM, sentence)
    return refuse


def _refused_coroutine(sentence):
    async def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EPERM, sentence)
    return refuse


class SelectorEventLoop(base_events.BaseEventLoop):
    def __init__(self, selector=None):  # there is nothing to select among
        super().__init__()
        self._selector = _Waiter()
        self._signal_handlers = {}

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        self._selector.wake()

    def close(self):
        if not self.is_running():
            for number in list(self._signal_handlers):
                self.remove_signal_handler(number)
        super().close()

    def add_signal_handler(self, sig, callback, *args):
        self._check_closed()
        handle = events.Handle(callback, args, self, None)
        signal.signal(sig, lambda number, frame: self._add_callback_signalsafe(handle))
        self._signal_handlers[sig] = handle

    def remove_signal_handler(self, sig):
        handle = self._signal_handlers.pop(sig, None)
        if handle is None:
            return False
        handle.cancel()
        signal.signal(sig, signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL)
        return True

    create_connection = create_datagram_endpoint = create_server = _refused_coroutine(_NO_NETWORK)
    create_unix_connection = create_unix_server = connect_accepted_socket = _refused_coroutine(_NO_NETWORK)
    sock_accept = sock_connect = sock_recv = sock_recv_into = sock_sendall = _refused_coroutine(_NO_NETWORK)
    getaddrinfo = getnameinfo = _refused_coroutine(_NO_NETWORK)
    subprocess_exec = subprocess_shell = _refused_coroutine(_NO_PROCESSES)
    connect_read_pipe = connect_write_pipe = _refused_coroutine(_NO_FILES)
    add_reader = remove_reader = add_writer = remove_writer = _refused(_NO_FILES)


class DefaultEventLoopPolicy(events.BaseDefaultEventLoopPolicy):
    _loop_factory = SelectorEventLoop
