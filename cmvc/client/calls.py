"""What both clients share: where calls go, and which are in flight."""

import threading
from collections.abc import Generator
from typing import Any
from weakref import WeakSet

from cmvc.arguments import check_types
from cmvc.client.abilities import Capabilities, Health
from cmvc.client.call import Call, Kind, Transport, Work, converse
from cmvc.client.local import Local
from cmvc.client.remote import Remote
from cmvc.client.retry import Retry
from cmvc.errors import ClosedError, InvalidSettingError
from cmvc.options import Options
from cmvc.wire import tracing
from cmvc.wire.security import ChannelSecurity


class Calls:
    """The calls of one client."""

    def __init__(
        self,
        target: str | None,
        security: ChannelSecurity | None,
        encoder: Options | None,
        retry: Retry,
        *,
        wait_for_ready: bool,
    ) -> None:
        """See ``Client``."""
        check_types(
            target=(target, str), security=(security, ChannelSecurity), encoder=(encoder, Options), retry=(retry, Retry)
        )
        if target and encoder and encoder != type(encoder)():
            raise InvalidSettingError(
                f"the models of a server are chosen by whoever runs it; leave them out, or the target {target}"
            )
        tracing.start("client")
        self._transport: Transport = (
            Remote(target, security or ChannelSecurity(), retry, wait_for_ready=wait_for_ready)
            if target
            else Local(encoder)
        )
        self._lock = threading.Lock()
        self._works: WeakSet[Work] = WeakSet()
        self._closed = False

    def health(self, deadline_s: float | None) -> Health:
        """See ``Client.health``."""
        self._check_open()
        return self._transport.health(Work(None, deadline_s).control)

    def capabilities(self, deadline_s: float | None) -> Capabilities:
        """See ``Client.capabilities``."""
        self._check_open()
        return self._transport.capabilities(Work(None, deadline_s).control)

    def begin(self, kind: Kind, config: Any, work: Work, source: Any) -> Call:
        """Return a call, which begins when its first message is asked for."""
        with self._lock:
            self._works.add(work)
        return Call(work, self._begin(kind, config, work, source))

    def _begin(self, kind: Kind, config: Any, work: Work, source: Any) -> Generator[Any]:
        self._check_open()
        return (yield from converse(self._transport, kind, source, config, work))

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this client is closed; make another, or leave the block that closes it later")

    def close(self) -> None:
        """Stop every call in flight and let go of the connection."""
        with self._lock:
            self._closed = True
            works = tuple(self._works)
        for work in works:
            work.control.cancel()
        self._transport.close()
