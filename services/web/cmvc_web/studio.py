"""What all requests share: the gateway, the results, and how much is taken on."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.requests import Request

from cmvc.client import AsyncClient
from cmvc.server.slots import Slots
from cmvc.v1 import decoder_pb2, encoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub
from cmvc.wire.channel import open_aio_channel
from cmvc.wire.status import from_rpc_error
from cmvc_web.decoding import Decodes
from cmvc_web.options import WebOptions
from cmvc_web.store import Result, Store

COOKIE = "cmvc_token"  # of the page: media elements and downloads send no headers of its choice
TENANT = "cmvc.tenant"  # in the scope of a request
_ASK_SECONDS = 10.0
_EXPIRE_SECONDS = 60.0


class Studio:
    """The web service, without its routes.

    Attributes:
        options: as they were given.
        client: of the gateway.
        store: of results.
        slots: for encodes and decodes.
        decodes: of stored streams, each once however many watch.
        threads: for reading streams.
    """

    def __init__(self, options: WebOptions, store: Store, idle_s: float) -> None:
        """Make everything; in a running event loop.

        Args:
            options: see there.
            store: of results.
            idle_s: seconds that a caller may send nothing.
        """
        self.options = options
        self.idle_s = idle_s
        self.client = AsyncClient(options.gateway, options.security)
        self.store = store
        self.slots = Slots(options.web_requests, per_tenant=options.web_requests_per_tenant)
        self.decodes = Decodes(self.client, self.slots)
        self.threads = ThreadPoolExecutor(2 * options.web_requests, thread_name_prefix="cmvc-web")
        self._channel = open_aio_channel(options.gateway, options.security)
        self._security = options.security
        self._expiring = asyncio.create_task(self._expire())

    def result(self, request: Request) -> Result:
        """Return the result that a request's path names.

        Raises:
            UnknownResultError: there is none.
        """
        return self.store.get(request.path_params["id"], tenant_of(request))

    def shown(self, request: Request) -> str:
        """Return the token that a request's work is done with at the gateway; "" for this service's own, or none.

        That is the caller's, so that the gateway knows whose work it is, but where this service was given one of its
        own, or the caller's could be read on the way.
        """
        may_show = not self._security.token_file and self._security.may_show(self.options.gateway)
        return token_of(request) if may_show else ""

    async def capabilities(self, token: str) -> dict[str, Any]:
        """Return what the services behind the gateway can do, asked with ``token`` (see ``shown``).

        Raises:
            CmvcError: they do not answer.
        """
        shown = self._security.metadata_for(token, self.options.gateway) if token else self._security.metadata()
        ask: dict[str, Any] = {"timeout": _ASK_SECONDS, "metadata": shown}
        encoder, decoder = VideoEncoderStub(self._channel), VideoDecoderStub(self._channel)
        try:
            encoders, decoders = await asyncio.gather(
                encoder.GetCapabilities(encoder_pb2.VideoEncoderGetCapabilitiesRequest(), **ask),
                decoder.GetCapabilities(decoder_pb2.VideoDecoderGetCapabilitiesRequest(), **ask),
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self.options.gateway) from None
        return {
            "encoder": MessageToDict(encoders, preserving_proto_field_name=True),
            "decoder": MessageToDict(decoders, preserving_proto_field_name=True),
            "limits": {"upload_mib": self.options.upload_mib, "store_age_s": self.options.store_age_s},
        }

    async def serving(self) -> bool:
        """Return whether the gateway says that it can work."""
        try:
            answer = await health_pb2_grpc.HealthStub(self._channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_ASK_SECONDS
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRE_SECONDS)
            self.store.expire()

    async def close(self) -> None:
        """Stop what is in work, and let go of everything."""
        self._expiring.cancel()
        await self.decodes.close()
        await self.client.close()
        await self._channel.close(None)
        self.threads.shutdown(wait=False, cancel_futures=True)


def token_of(request: Request) -> str:
    """Return the bearer token of a request, from its header or the page's cookie; "" for none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme == "Bearer" else request.cookies.get(COOKIE, "")


def tenant_of(request: Request) -> str:
    """Return a short name for whoever calls, by the token that ``guard`` accepted; "" where none is asked for."""
    name: str = request.scope.get(TENANT, "")
    return name
