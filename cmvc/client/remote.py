"""Calls to a server, over a channel."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cmvc.client.abilities import Capabilities, Health
from cmvc.client.call import Kind, Work
from cmvc.client.retry import NO_RETRY, Retry, Tries, is_repeatable
from cmvc.client.sources import pieces_of, refuse_unreadable
from cmvc.control import Control
from cmvc.errors import CmvcError
from cmvc.v1 import decoder_pb2, encoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub
from cmvc.wire import tracing
from cmvc.wire.channel import open_channel
from cmvc.wire.security import ChannelSecurity, Metadata
from cmvc.wire.status import from_rpc_error
from cmvc.wire.transfer import make_chunk

_ENCODER = encoder_pb2.DESCRIPTOR.services_by_name["VideoEncoder"].full_name
_DECODER = decoder_pb2.DESCRIPTOR.services_by_name["VideoDecoder"].full_name


class Remote:
    """Carries calls to the server at ``target``."""

    def __init__(self, target: str, security: ChannelSecurity, retry: Retry, *, wait_for_ready: bool) -> None:
        """Connect to ``HOST:PORT`` when first needed.

        Raises:
            OSError: a file of ``security`` cannot be read.
        """
        self.target = target
        self._channel = open_channel(target, security)
        self._security = security
        self._metadata = security.metadata()
        self._retry = retry
        self._wait_for_ready = wait_for_ready

    def exchange(self, kind: Kind, source: Any, config: Any, work: Work, span: tracing.AnySpan) -> Generator[Any]:
        """See ``cmvc.client.call.Transport``. gRPC reads the source in a thread of its own."""
        refuse_unreadable(source)  # before a server that is not there is blamed
        metadata = self._security.metadata_for(work.token, self.target) if work.token else self._metadata
        tries = Tries(self._retry if is_repeatable(source) else NO_RETRY, work.control)
        while True:
            taken = False
            try:
                with closing(self._try(kind, source, config, work, (*metadata, *span.metadata()))) as messages:
                    for message in messages:
                        taken = True
                        yield message
            except CmvcError as error:
                if taken:
                    raise
                tries.again(error)
            else:
                return

    def _try(self, kind: Kind, source: Any, config: Any, work: Work, metadata: Metadata) -> Generator[Any]:
        call = kind.method(self._channel)(
            _requests(kind, source, config, work),
            timeout=work.control.remaining(),
            metadata=metadata,
            wait_for_ready=self._wait_for_ready,
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

    def health(self, control: Control) -> Health:
        """See ``cmvc.client.call.Transport``."""
        check = health_pb2_grpc.HealthStub(self._channel).Check

        def serves(service: str) -> bool:
            answer = self._ask(check, health_pb2.HealthCheckRequest(service=service), control)
            return answer is not None and answer.status == health_pb2.HealthCheckResponse.SERVING

        return Health(encodes=serves(_ENCODER), decodes=serves(_DECODER))

    def capabilities(self, control: Control) -> Capabilities:
        """See ``cmvc.client.call.Transport``."""
        encoder, decoder = VideoEncoderStub(self._channel), VideoDecoderStub(self._channel)
        return Capabilities(
            self._ask(encoder.GetCapabilities, encoder_pb2.VideoEncoderGetCapabilitiesRequest(), control),
            self._ask(decoder.GetCapabilities, decoder_pb2.VideoDecoderGetCapabilitiesRequest(), control),
        )

    def _ask(self, method: Any, request: Any, control: Control) -> Any:
        """Return the answer, None from a server that has no such service; asking changes nothing, so it is repeated."""
        tries = Tries(self._retry, control)
        while True:
            options = {"metadata": self._metadata, "wait_for_ready": self._wait_for_ready}
            try:
                return method(request, timeout=control.remaining(), **options)
            except grpc.RpcError as failed:
                if failed.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND):
                    return None
                error = from_rpc_error(failed, self.target)
            tries.again(error)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def _requests(kind: Kind, source: Any, config: Any, work: Work) -> Iterator[Any]:
    yield kind.request(config=config)
    with work.callers(pass_on=False), closing(pieces_of(source, work)) as pieces:
        for piece in pieces:
            yield kind.request(chunk=make_chunk(piece))
