"""Addresses of servers as people write them: ``HOST:PORT``, an IPv6 host in brackets, or ``unix:PATH``."""

import re
from ipaddress import ip_address
from pathlib import Path

from cmvc.errors import InvalidSettingError

UNIX = "unix:"
_EXAMPLE = "write such as 127.0.0.1:50051, [::1]:50051 or unix:/run/cmvc.sock"
_LONGEST_SOCKET_PATH = 107  # bytes; sun_path of Linux
_NEAR = ("localhost", "local", "internal", "svc", "cluster.local")  # endings of names that no proxy could look up
_SCHEME = re.compile(r"^(dns|ipv4|ipv6):(///)?")


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; an empty host stands for every address of this machine.

    Raises:
        InvalidSettingError: it is not of that form.
    """
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    plain = host[1:-1] if bracketed else host
    well = bool(colon) and port.isascii() and port.isdecimal() and int(port) <= 65535 and not re.search(r"[\s/]", host)
    if not well or (":" in plain and not bracketed) or (bracketed and not _is_ipv6(plain)):
        raise InvalidSettingError(f"'{address}' is not HOST:PORT; {_EXAMPLE}")
    return plain or "0.0.0.0", int(port)


def join_address(host: str, port: int) -> str:
    """Return ``HOST:PORT`` as it can be given to a client, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def socket_path(address: str) -> Path | None:
    """Return the path of ``unix:PATH``, None for an address of another form.

    Raises:
        InvalidSettingError: no socket can have that path.
    """
    if not address.startswith(UNIX):
        return None
    path = Path(address.removeprefix(UNIX).removeprefix("//"))
    if not path.name or len(bytes(path.absolute())) > _LONGEST_SOCKET_PATH:
        raise InvalidSettingError(
            f"'{address}' is no socket: its path must have 1 to {_LONGEST_SOCKET_PATH} bytes; {_EXAMPLE}"
        )
    return path


def is_loopback(address: str) -> bool:
    """Return whether what is sent to ``address`` stays on this machine.

    Raises:
        InvalidSettingError: it is malformed.
    """
    return address.startswith(UNIX) or is_loopback_host(split_address(_SCHEME.sub("", address))[0])


def is_loopback_host(host: str) -> bool:
    """Return whether ``host`` (a name or an address, with or without brackets) is this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name
        return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")


def is_near(target: str) -> bool:
    """Return whether ``target`` (host, or host and port, as gRPC takes them) is this machine or in its own network.

    Proxies are for what is far: they could not reach these, or would send what stays inside through the outside.
    """
    if target.startswith((UNIX, "unix-abstract:")):
        return True
    host = _SCHEME.sub("", target)
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") <= 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith(tuple(f".{each}" for each in _NEAR))
    return address.is_loopback or address.is_private or address.is_link_local or address.is_unspecified


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False
