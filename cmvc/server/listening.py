"""Where a server listens: ports, sockets, and why it cannot."""

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

from cmvc.addresses import UNIX, join_address, socket_path, split_address
from cmvc.errors import AddressError, AddressInUseError

_OTHER = "choose another with --listen (port 0: a free one)"


def listen(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> str:
    """Have ``server`` listen on ``HOST:PORT`` or ``unix:PATH``; return what to give to clients.

    Raises:
        InvalidSettingError: the address is malformed.
        AddressInUseError: somebody listens there.
        AddressError: nobody can listen there.
    """
    path = socket_path(address)
    if path:
        _make_way(path)
        _add(server, f"{UNIX}{path.absolute()}", credentials)
        return f"{UNIX}{path.absolute()}"
    host, port = split_address(address)
    return join_address(host, _add(server, join_address(host, port), credentials))


def _add(server: Any, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        if credentials:
            return int(server.add_secure_port(address, credentials))
        return int(server.add_insecure_port(address))
    except RuntimeError:  # which says nothing of why
        raise why_not(address) from None


def why_not(address: str, error: OSError | None = None) -> AddressError:
    """Return why nobody can listen on ``address``: ``error``, or what an attempt to do so shows."""
    error = error or _attempt(address)
    if error is None or error.errno == errno.EADDRINUSE:
        return AddressInUseError(f"{address} is in use; {_OTHER}")
    if isinstance(error, socket.gaierror):
        return AddressError(f"cannot listen on {address}: the name cannot be resolved; {_OTHER}")
    if error.errno == errno.EADDRNOTAVAIL:
        return AddressError(f"cannot listen on {address}: this machine has no such address; {_OTHER}")
    return AddressError(f"cannot listen on {address}: {error.strerror}; {_OTHER}")


def _attempt(address: str) -> OSError | None:
    """Return what the system says to listening on ``address``; None where it would do."""
    try:
        if path := socket_path(address):
            with socket.socket(socket.AF_UNIX) as attempt:
                attempt.bind(os.fspath(path))
            path.unlink()
            return None
        for family, kind, protocol, _, where in socket.getaddrinfo(*split_address(address), type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as attempt:
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                attempt.bind(where)
                attempt.listen()
    except OSError as error:
        return error
    return None


def _make_way(path: Path) -> None:
    """Remove a socket that a server left behind.

    Raises:
        AddressInUseError: a server listens on it.
        AddressError: it is something else than a socket.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise AddressError(f"cannot listen on {UNIX}{path}: there is a file of that name; {_OTHER}")
        with socket.socket(socket.AF_UNIX) as attempt:
            try:
                attempt.connect(os.fspath(path))
            except ConnectionRefusedError:
                path.unlink()
            else:
                raise AddressInUseError(f"{UNIX}{path} is in use; {_OTHER}")
