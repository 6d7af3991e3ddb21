"""Services by name. They are separate distributions, found through the entry points ``cmvc.services``."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from cmvc.bitstream.packets import ByteSource
from cmvc.control import Control
from cmvc.errors import MissingServiceError
from cmvc.findings import Finding
from cmvc.options import Options
from cmvc.v1 import decoder_pb2, encoder_pb2

if TYPE_CHECKING:  # pipelines load no grpc, and the gateway runs where NumPy and PyAV are not installed
    import grpc

    from cmvc.media.rgb import Rgb
    from cmvc.server.options import ListenOptions

GROUP = "cmvc.services"


class Attached(Protocol):
    """A service that has its place in a server."""

    names: tuple[str, ...]
    """Full names of its gRPC services, such as ``cmvc.v1.VideoEncoder``."""

    async def start(self) -> None:
        """Make ready; called once, before the server takes calls, and cancelled where that is told to stop before.

        What takes long and cannot be cancelled has to be known as overdue then (``cmvc.wire.bridge.call_in_thread``).
        """

    def health(self) -> dict[str, bool]:
        """Return, for each of ``names``, for parts of them (``NAME/PART``) and for "" (all in all), if it works now."""

    async def close(self) -> None:
        """Let go of everything; called once, after the last call has ended, where ``start`` had come to its end."""


@dataclass(frozen=True)
class KeyframeRecord:
    """A frame that was looked at in search of keyframes.

    Attributes:
        frame: its number.
        similarity: cosine similarity to the keyframe before it, -1..1; 1 for the first frame.
        is_keyframe: whether it became one.
        opens_shot: whether it is the first of a shot.
        thumbnail: of a keyframe, as a player shows it: (height, width, 3) RGB, 0..255; None for other frames.
    """

    frame: int
    similarity: float
    is_keyframe: bool
    opens_shot: bool
    thumbnail: "Rgb | None"


@dataclass(frozen=True)
class KeyframeReport:
    """What an encoder's choice of keyframes for one video comes from.

    Attributes:
        embedding: by which pictures were compared.
        threshold: cosine similarity under which a frame may become a keyframe.
        frame_rate: in frames per second.
        frames: of the video.
        records: in order of frames.
    """

    embedding: str
    threshold: float
    frame_rate: Fraction
    frames: int
    records: Sequence[KeyframeRecord]


class EncoderService(Protocol):
    """What the distribution ``cmvc-encoder`` offers."""

    @property
    def options(self) -> type[Options]:
        """What whoever runs it may choose; to be had without loading what encodes."""

    def encode(
        self, source: str | BinaryIO, config: encoder_pb2.EncodeConfig, control: Control, options: Any
    ) -> Iterator[encoder_pb2.EncodeResponse]:
        """Encode one video in this process."""

    def capabilities(self, options: Any) -> encoder_pb2.VideoEncoderGetCapabilitiesResponse:
        """Return what it can do with these options."""

    def keyframes(
        self, source: str | BinaryIO, config: encoder_pb2.EncodeConfig, control: Control, options: Any
    ) -> KeyframeReport:
        """Return which keyframes ``encode`` would choose for one video, and why; nothing is encoded."""

    def attach(self, server: "grpc.aio.Server", *, running: int | None, waiting: int, options: Any) -> Attached:
        """Add the service to a server.

        Args:
            server: to add it to.
            running: requests at a time; None for as many as suit the machine.
            waiting: more of them in line.
            options: of the service.
        """


class DecoderService(Protocol):
    """What the distribution ``cmvc-decoder`` offers."""

    def capabilities(self) -> decoder_pb2.VideoDecoderGetCapabilitiesResponse:
        """Return what it can do in this process; see ``decode``."""

    @property
    def options(self) -> type[Options]:
        """As of ``EncoderService``."""

    def decode(
        self, source: ByteSource, config: decoder_pb2.DecodeConfig, control: Control
    ) -> Iterator[decoder_pb2.DecodeResponse]:
        """Decode one stream in this process.

        The environment says with what; see ``cmvc.options.from_environment``.
        """

    def examine(self, models: Path | None, triton: str) -> Iterator[Finding]:
        """Yield what ``cmvc doctor`` says of it.

        Args:
            models: root of the model store; None for the default one.
            triton: ``HOST:PORT`` of a Triton server; "" for the usual one, if it is there.
        """

    def attach(self, server: "grpc.aio.Server", *, running: int | None, waiting: int, options: Any) -> Attached:
        """Add the service to a server, as of ``EncoderService``; None for as many as suit the models, too.

        Raises:
            CmvcError: the options cannot be met.
        """


class GatewayService(Protocol):
    """What the distribution ``cmvc-gateway`` offers.

    Attributes:
        options: as of ``EncoderService``; they have a ``check`` of their own.
        limits: those of them that do not say what is behind it.
        new_loop: makes the event loop to serve in.
    """

    @property
    def options(self) -> type[Options]:
        """See above."""

    @property
    def limits(self) -> type[Options]:
        """See above."""

    @property
    def new_loop(self) -> Callable[[], asyncio.AbstractEventLoop]:
        """See above."""

    def attach(self, server: "grpc.aio.Server", options: Any) -> Attached:
        """Add the gateway to a server."""


class WebService(Protocol):
    """What the distribution ``cmvc-web`` offers: CMVC over HTTP, and the studio, in front of a gateway.

    Attributes:
        options: as of ``EncoderService``.
        limits: those of them that do not say where the gateway is.
        server_options: as ``cmvc.server.options.ListenOptions``, with defaults of its own.
    """

    @property
    def options(self) -> type[Options]:
        """See above."""

    @property
    def limits(self) -> type[Options]:
        """See above."""

    @property
    def server_options(self) -> "type[ListenOptions]":
        """See above."""

    def run(self, options: Any, server: "ListenOptions") -> None:
        """Serve until told to stop.

        Raises:
            CmvcError: nothing can listen there, or the options cannot be met.
        """


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


def load_web() -> WebService:
    """Return the web service.

    Raises:
        MissingServiceError: it is not installed.
    """
    return cast(WebService, _load("web"))
