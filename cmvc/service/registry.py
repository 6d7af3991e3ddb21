"""Services by name. They are separate distributions, found through the entry points ``cmvc.services``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import grpc

from cmvc.bitstream.packets import ByteSource
from cmvc.control import Control
from cmvc.errors import MissingServiceError
from cmvc.service.security import ChannelSecurity
from cmvc.v1 import decoder_pb2, encoder_pb2

GROUP = "cmvc.services"


class Attached(Protocol):
    """A service that has its place in a server."""

    names: tuple[str, ...]
    """Full names of its gRPC services, such as ``cmvc.v1.VideoEncoder``."""

    async def start(self) -> None:
        """Make ready; called once, before the server takes calls."""

    def health(self) -> dict[str, bool]:
        """Return, for each of ``names`` and for "" (all in all), whether it can do its work now."""

    async def close(self) -> None:
        """Let go of everything; called once, after the last call has ended."""


class EncoderService(Protocol):
    """What the distribution ``cmvc-encoder`` offers."""

    def encode(
        self, source: str | BinaryIO, config: encoder_pb2.EncodeConfig, control: Control
    ) -> Iterator[encoder_pb2.EncodeResponse]:
        """Encode one video in this process."""

    def attach(self, server: grpc.aio.Server, *, running: int, waiting: int) -> Attached:
        """Add the service to a server; ``running`` requests at a time, ``waiting`` more in line."""


@dataclass(frozen=True)
class DecoderOptions:
    """What a decoder generates with.

    Attributes:
        profiles: generator profiles to serve; empty for every one that there is.
        models: root of the model store; None for the default one.
        speed: speed options such as ``dtype=bfloat16`` (see docs/speed.md).
        triton: ``HOST:PORT`` of a Triton server that runs the profiles with weights; "" to run them in this process.
        shared_memory: whether frames come from Triton in shared memory, which needs it on the same host.
    """

    profiles: Sequence[str] = ()
    models: Path | None = None
    speed: Sequence[str] = ()
    triton: str = ""
    shared_memory: bool = False


class DecoderService(Protocol):
    """What the distribution ``cmvc-decoder`` offers."""

    def decode(
        self, source: ByteSource, config: decoder_pb2.DecodeConfig, control: Control
    ) -> Iterator[decoder_pb2.DecodeResponse]:
        """Decode one stream in this process.

        The environment says with what: ``CMVC_MODELS``, ``CMVC_SPEED``, ``CMVC_TRITON``.
        """

    def attach(self, server: grpc.aio.Server, *, running: int, waiting: int, options: DecoderOptions) -> Attached:
        """Add the service to a server; ``running`` requests at a time, ``waiting`` more in line.

        Raises:
            CmvcError: the options cannot be met.
        """


@dataclass(frozen=True)
class GatewayOptions:
    """How a gateway works.

    Attributes:
        encoders: addresses, ``HOST:PORT``.
        decoders: likewise.
        max_requests: at once; more are refused.
        max_requests_per_tenant: at once from one bearer token.
        cache_bytes: of decoded segments to keep; 0 keeps none.
        wait_s: seconds that work waits for a backend to come back before it is refused.
        stall_s: seconds without a word after which a decoder's segment is driven again elsewhere.
        security: how it connects to them.
    """

    encoders: Sequence[str]
    decoders: Sequence[str]
    max_requests: int
    max_requests_per_tenant: int
    cache_bytes: int
    wait_s: float
    stall_s: float
    security: ChannelSecurity


class GatewayService(Protocol):
    """What the distribution ``cmvc-gateway`` offers."""

    def attach(self, server: grpc.aio.Server, options: GatewayOptions) -> Attached:
        """Add the gateway to a server."""


def _load(name: str) -> Any:
    for entry_point in entry_points(group=GROUP, name=name):
        return entry_point.load()
    raise MissingServiceError(
        f"the {name} is not installed here; in a checkout run: pip install '.[cli]' ./services/{name}"
    )


def load_encoder() -> EncoderService:
    """Return the encoder.

    Raises:
        MissingServiceError: it is not installed.
    """
    return cast(EncoderService, _load("encoder"))


def load_decoder() -> DecoderService:
    """Return the decoder.

    Raises:
        MissingServiceError: it is not installed.
    """
    return cast(DecoderService, _load("decoder"))


def load_gateway() -> GatewayService:
    """Return the gateway.

    Raises:
        MissingServiceError: it is not installed.
    """
    return cast(GatewayService, _load("gateway"))
