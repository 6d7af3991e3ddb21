"""Backends by name: which addresses a DNS name has at the moment.

gRPC resolves a name again only when a connection breaks, so it would miss replicas that come later. So names are
looked up here, again and again, and each address gets a channel of its own.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence

from cmvc.addresses import join_address
from cmvc.errors import InvalidSettingError
from cmvc_gateway.options import Resolver

SCHEME = "dns:"
log = logging.getLogger(__name__)


async def resolve(name: str) -> Sequence[str]:
    """Return every IPv4 and IPv6 address of ``name``, as the system sees it now.

    Raises:
        OSError: the name has none, or nobody could be asked.
    """
    # The thread may take as long as the system's resolver likes; only the looks at this name wait for it.
    found = await asyncio.to_thread(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Name:
    """A DNS name of backends that all listen on one port.

    Attributes:
        name: without scheme and port; also what the backends' certificates have to be for.
        addresses: ``HOST:PORT`` of each, as of the last look that went well; sorted.
        looked: set once the first look has ended, well or not.
    """

    def __init__(self, target: str, resolver: Resolver) -> None:
        """Take a target in the form ``dns:NAME:PORT`` (or ``dns:///NAME:PORT``, as gRPC writes it).

        Raises:
            InvalidSettingError: it has another form.
        """
        self.name, self._port = _split(target)
        self._resolver = resolver
        self._trouble = ""
        self.addresses: tuple[str, ...] = ()
        self.looked = asyncio.Event()

    async def look(self) -> None:
        """Look the name up. Where that fails, the addresses stay what they were."""
        try:
            hosts = await self._resolver(self.name)
        except OSError as error:
            self._note(f"{error.strerror or error}")
        else:
            self.addresses = tuple(sorted({join_address(host, self._port) for host in hosts}))
            self._note("")
        self.looked.set()

    def _note(self, trouble: str) -> None:
        """Log a change from well to not, or from one trouble to another, once."""
        if trouble and trouble != self._trouble:
            log.warning("cannot resolve %s: %s; keeping %d known addresses", self.name, trouble, len(self.addresses))
        elif self._trouble and not trouble:
            log.warning("%s resolves again: %d addresses", self.name, len(self.addresses))
        self._trouble = trouble


def is_name(target: str) -> bool:
    """Return whether a target is to be looked up here rather than one fixed ``HOST:PORT``."""
    return target.startswith(SCHEME)


def _split(target: str) -> tuple[str, int]:
    name, _, port = target.removeprefix(SCHEME).removeprefix("///").rpartition(":")
    wrong = InvalidSettingError(f"'{target}' is not dns:NAME:PORT; for example dns:cmvc-decoder:50051")
    if not name or any(sign in name for sign in "/:[] ") or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise wrong
    try:
        name.encode("idna")  # as the lookup does it
    except UnicodeError:
        raise wrong from None
    return name, int(port)
