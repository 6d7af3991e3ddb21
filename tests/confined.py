"""What a confined process does in ``test_confinement.py``: it tries what it may not, and says how that ends."""

import errno
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from cmvc.processes import confinement
from cmvc.processes.confinement import Allowance, confine

SEVERAL = 64 << 20  # bytes


def _fork():
    if os.fork() == 0:
        os._exit(0)


def _socket():
    socket.socket()


def _connect():
    socket.create_connection(("127.0.0.1", 9))


def _execute():
    os.execv("/bin/true", ["true"])


def _start():
    subprocess.run([sys.executable, "-c", ""], check=True)


def _open():
    Path("/etc/hostname").read_bytes()


def _write():
    Path("/tmp/cmvc-confined").write_bytes(b"x")


def _kill():
    os.kill(os.getppid(), 0)


def _trace():
    os.sched_setaffinity(0, {0})


def _memory():
    bytearray(1 << 40)


def _thread():
    done = []
    thread = threading.Thread(target=lambda: done.append(1))
    thread.start()
    thread.join()
    assert done


TRIES = {each.__name__[1:]: each for each in (_fork, _socket, _connect, _execute, _start, _open, _write, _kill, _trace)}
MAY = {"thread": _thread}


def serve(connection, file):
    """Answer names of what to try with what came of it."""
    confine(Allowance(2 << 30, 60, SEVERAL))
    while True:
        name = connection.recv_bytes().decode()
        try:
            {**TRIES, **MAY, "memory": _memory, "large": lambda: os.pwrite(file, b"x", SEVERAL)}[name]()
            outcome = "done"
        except OSError as error:
            outcome = errno.errorcode[error.errno]
        except BaseException as error:  # noqa: BLE001 - it is told
            outcome = type(error).__name__
        connection.send_bytes(outcome.encode())


def serve_unfiltered(connection, file):
    """Likewise, on a machine without libseccomp."""
    confinement.pyseccomp = None
    serve(connection, file)
