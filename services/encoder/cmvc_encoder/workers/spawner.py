"""Starts workers: each is forked from a process that has loaded what they need and has nothing else in it.

That process is started as a program of its own, so that neither the threads of this process nor its main script
matter, and is told over a socket to fork a worker or to kill one. It ends, and its workers with it, when that socket
closes, however this process ended.
"""

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from cmvc_encoder.workers.commands import COMMAND, FORK, KILL

_CODE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from cmvc_encoder.workers.forking import main
main(int(sys.argv[2]))
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
    """Starts the process that forks when a worker is first wanted. Safe to use from several threads."""

    def __init__(self) -> None:
        """Start nothing."""
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._workers = 0

    def start(self) -> None:
        """Start the process unless it runs; return before it is ready."""
        with self._lock:
            self._running()

    @contextmanager
    def worker(self, memory: int) -> Iterator[Worker]:
        """Fork a worker that sees the memory behind a file descriptor; it is killed when the block ends."""
        ours, theirs = socket.socketpair()
        connection: Connection[Any, Any] = Connection(ours.detach())
        with connection:
            with theirs:
                number = self._fork((theirs.fileno(), memory))
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
                    [sys.executable, "-c", _CODE, json.dumps(sys.path), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # the stream may go there: nobody else may hold it open
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # what a terminal sends is for this process
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # threads do not outlive a fork
                )
        return self._control


SPAWNER = Spawner()
"""That of this process."""

atexit.register(SPAWNER.stop)
os.register_at_fork(after_in_child=SPAWNER.forget)
