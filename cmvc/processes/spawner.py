"""Starts workers: each is forked from a process that has loaded what they need and has nothing else in it.

That process is started as a program of its own, so that neither the threads of this process nor its main script
matter, and is told over a socket to fork a worker or to kill one. It ends, and its workers with it, when that socket
closes, however this process ended.
"""

import atexit
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from cmvc.processes.commands import COMMAND, FORK, KILL

_CODE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from cmvc.processes.forking import main
main(int(sys.argv[2]), sys.argv[3])
"""


@dataclass(frozen=True)
class Worker:
    """A forked process.

    Attributes:
        connection: to tell it what to do, and to hear of it.
        kill: ends it at once, from any thread.
    """

    connection: "Connection[Any, Any]"
    kill: Callable[[], None]


class Spawner:
    """Starts the process that forks when a worker is first wanted. Safe to use from several threads.

    There is one for each kind of work, for as long as the program runs.
    """

    def __init__(self, entry: str, *, variables: Collection[str] | None = None) -> None:
        """Start nothing.

        Args:
            entry: what workers do, as ``module:function``; it is called with a connection and the descriptors.
            variables: of the environment, that the process may see; None for all of them.
        """
        self._entry = entry
        self._variables = variables
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._workers = 0
        atexit.register(self.stop)
        os.register_at_fork(after_in_child=self.forget)

    def start(self) -> None:
        """Start the process unless it runs; return before it is ready."""
        with self._lock:
            self._running()

    @contextmanager
    def worker(self, *descriptors: int, patience_s: float = 0) -> Iterator[Worker]:
        """Fork a worker that is given file descriptors, too; it is killed when the block ends.

        Args:
            descriptors: that the worker gets as its own; they stay open here.
            patience_s: seconds after which reading the rest of a message, or sending one, raises ``BlockingIOError``
                where the worker does nothing about it; 0 for any time.
        """
        ours, theirs = socket.socketpair()
        timeout = struct.pack("@ll", int(patience_s), int(patience_s % 1 * 1_000_000))
        for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, way, timeout)
        connection: Connection[Any, Any] = Connection(ours.detach())
        with connection:
            with theirs:
                number = self._fork((theirs.fileno(), *descriptors))
            try:
                yield Worker(connection, lambda: self._kill(number))
            finally:
                self._kill(number)

    def stop(self) -> None:
        """End the process and all workers."""
        with self._lock:
            if self._control is not None and self._process is not None:
                self._control.close()
                self._control = None
                self._process.terminate()  # it may not listen yet
                self._process.wait()

    def forget(self) -> None:
        """Leave the process to the one that this one was forked from."""
        self._lock = threading.Lock()
        if self._control is not None:
            self._control.close()
            self._control = None

    def _fork(self, descriptors: Sequence[int]) -> int:
        with self._lock:
            self._workers += 1
            message = COMMAND.pack(FORK, self._workers)
            try:
                socket.send_fds(self._running(), [message], descriptors)
            except ConnectionError:  # somebody killed it
                self._control = None
                socket.send_fds(self._running(), [message], descriptors)
            return self._workers

    def _kill(self, number: int) -> None:
        with self._lock, suppress(ConnectionError):  # where it has ended, its workers have
            if self._control is not None:
                self._control.sendall(COMMAND.pack(KILL, number))

    def _running(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _CODE, json.dumps(sys.path), str(theirs.fileno()), self._entry],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # the stream may go there: nobody else may hold it open
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # what a terminal sends is for this process
                    env=self._environment(),
                )
        return self._control

    def _environment(self) -> dict[str, str]:
        seen = {name: value for name, value in os.environ.items() if self._variables is None or name in self._variables}
        return seen | {"OPENBLAS_NUM_THREADS": "1"}  # threads do not outlive a fork
