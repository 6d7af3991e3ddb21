"""The process that workers are forked from; see ``cmvc.processes.spawner``, which starts it."""

import ctypes
import importlib
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from cmvc import process
from cmvc.processes.commands import COMMAND, FORK, MOST_DESCRIPTORS

Serve = Callable[..., None]
PREPARE = "prepare"  # function of a module with work, called once before anything is forked; it need not have one

_REAP_SECONDS = 1.0
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a service's processes may be sent them all at once


def main(descriptor: int, entry: str) -> None:
    """Do what is told over a socket until it closes; workers call what ``entry``, as ``module:function``, names."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    process.prepare()
    name, _, function = entry.partition(":")
    module = importlib.import_module(name)
    serve: Serve = getattr(module, function)
    getattr(module, PREPARE, lambda: None)()
    children: dict[int, int] = {}  # numbers of workers to process ids, which stay theirs until they are reaped
    with socket.socket(fileno=descriptor) as control:
        while True:
            waiting, _, _ = select.select([control], [], [], _REAP_SECONDS)
            _reap(children)
            if waiting and not _obey(control, children, serve):
                break
    for child in children.values():
        os.kill(child, signal.SIGKILL)


def _obey(control: socket.socket, children: dict[int, int], serve: Serve) -> bool:
    """Do what comes next; return False where nothing ever will."""
    message, descriptors, _, _ = socket.recv_fds(control, COMMAND.size, MOST_DESCRIPTORS)
    if len(message) < COMMAND.size:
        return False
    command, number = COMMAND.unpack(message)
    if command == FORK:
        children[number] = _fork(control, serve, descriptors)
    elif number in children:
        os.kill(children[number], signal.SIGKILL)
    return True


def _reap(children: dict[int, int]) -> None:
    for number, child in list(children.items()):
        if os.waitpid(child, os.WNOHANG)[0]:
            del children[number]


def _fork(control: socket.socket, serve: Serve, descriptors: list[int]) -> int:
    """Return the process id of a new worker, which has the descriptors, of a connection first, to itself."""
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            control.close()
            _end_with(parent)
            serve(Connection(descriptors[0]), *descriptors[1:])
            status = 0
        except BaseException:  # noqa: BLE001 - a worker never returns to the loop that it was forked in
            traceback.print_exc()
        finally:
            os._exit(status)
    for descriptor in descriptors:
        os.close(descriptor)
    return child


def _end_with(parent: int) -> None:
    """Have the system kill this process when ``parent`` ends, where it does such things."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
