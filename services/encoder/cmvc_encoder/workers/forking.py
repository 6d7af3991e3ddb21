"""The process that workers are forked from; see ``cmvc_encoder.workers.spawner``, which starts it."""

import ctypes
import os
import select
import signal
import socket
import sys
import traceback
from multiprocessing.connection import Connection

from cmvc import process
from cmvc_encoder.workers.commands import COMMAND, FORK
from cmvc_encoder.workers.task import serve

_REAP_SECONDS = 1.0
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a service's processes may be sent them all at once


def main(descriptor: int) -> None:
    """Do what is told over a socket until it closes."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    process.prepare()
    children: dict[int, int] = {}  # numbers of workers to process ids, which stay theirs until they are reaped
    with socket.socket(fileno=descriptor) as control:
        while True:
            waiting, _, _ = select.select([control], [], [], _REAP_SECONDS)
            _reap(children)
            if waiting and not _obey(control, children):
                break
    for child in children.values():
        os.kill(child, signal.SIGKILL)


def _obey(control: socket.socket, children: dict[int, int]) -> bool:
    """Do what comes next; return False where nothing ever will."""
    message, descriptors, _, _ = socket.recv_fds(control, COMMAND.size, 2)
    if len(message) < COMMAND.size:
        return False
    command, number = COMMAND.unpack(message)
    if command == FORK:
        children[number] = _fork(control, *descriptors)
    elif number in children:
        os.kill(children[number], signal.SIGKILL)
    return True


def _reap(children: dict[int, int]) -> None:
    for number, child in list(children.items()):
        if os.waitpid(child, os.WNOHANG)[0]:
            del children[number]


def _fork(control: socket.socket, connection: int, memory: int) -> int:
    """Return the process id of a new worker, which has the two descriptors to itself."""
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            control.close()
            _end_with(parent)
            serve(Connection(connection), memory)
            status = 0
        except BaseException:  # noqa: BLE001 - a worker never returns to the loop that it was forked in
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(connection)
    os.close(memory)
    return child


def _end_with(parent: int) -> None:
    """Have the system kill this process when ``parent`` ends, where it does such things."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
