"""Calls to a server, over a channel."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import grpc

from cmvc.client.call import Kind, Work
from cmvc.client.sources import pieces_of, refuse_unreadable
from cmvc.wire import tracing
from cmvc.wire.channel import open_channel
from cmvc.wire.security import ChannelSecurity
from cmvc.wire.status import from_rpc_error
from cmvc.wire.transfer import make_chunk


class Remote:
    """Carries calls to the server at ``target``."""

    def __init__(self, target: str, security: ChannelSecurity) -> None:
        """Connect to ``HOST:PORT`` when first needed.

        Raises:
            OSError: a file of ``security`` cannot be read.
        """
        self.target = target
        self._channel = open_channel(target, security)
        self._metadata = security.metadata()

    def exchange(self, kind: Kind, source: Any, config: Any, work: Work, span: tracing.AnySpan) -> Generator[Any]:
        """See ``cmvc.client.call.Transport``. gRPC reads the source in a thread of its own."""
        refuse_unreadable(source)  # before a server that is not there is blamed
        call = kind.method(self._channel)(
            _requests(kind, source, config, work),
            timeout=work.control.remaining(),
            metadata=(*self._metadata, *span.metadata()),
        )
        forget = work.control.on_cancel(call.cancel)
        try:
            yield from call
        except grpc.RpcError as failed:
            work.control.check()  # what was stopped from here was not the server's to end
            raise from_rpc_error(failed, self.target) from None
        finally:
            forget()
            call.cancel()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def _requests(kind: Kind, source: Any, config: Any, work: Work) -> Iterator[Any]:
    yield kind.request(config=config)
    with work.callers(pass_on=False), closing(pieces_of(source, work)) as pieces:
        for piece in pieces:
            yield kind.request(chunk=make_chunk(piece))
