"""Addresses as people write them."""

from cmvc.errors import AddressError


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``.

    Raises:
        AddressError: it is not of that form.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise AddressError(f"'{address}' is not HOST:PORT; for example 127.0.0.1:50051")
    return host.strip("[]") or "0.0.0.0", int(port)
