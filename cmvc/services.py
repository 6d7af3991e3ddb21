"""Services by name. They are separate distributions, found through the entry points ``cmvc.services``."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from cmvc.bitstream.packets import ByteSource
from cmvc.control import Control
from cmvc.errors import MissingServiceError
from cmvc.v1 import decoder_pb2, encoder_pb2

if TYPE_CHECKING:  # pipelines load no grpc, and the gateway runs where NumPy and PyAV are not installed
    import grpc

    from cmvc.media.rgb import Rgb
    from cmvc.wire.security import ChannelSecurity

GROUP = "cmvc.services"
Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the IP addresses that a DNS name has now; raises OSError where nobody can say."""


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


@dataclass(frozen=True)
class EncoderOptions:
    """What an encoder understands pictures with. Whoever runs it decides; callers choose among what there is by name.

    Attributes:
        model: the multimodal LLM of the extractors ``transformers`` (folder, or id as ``ID@REVISION``) and ``openai``
            (its name at the endpoint).
        endpoint: base URL of an OpenAI-compatible server, such as ``http://127.0.0.1:8000/v1``.
        key_file: file with the endpoint's key; None where it asks for none.
        embedding_model: the model of the embeddings ``clip`` and ``siglip``: folder, or ``ID@REVISION``.
        semantics: further settings of extractors and embeddings such as ``device=cuda`` (see docs/semantics.md).
    """

    model: str = ""
    endpoint: str = ""
    key_file: Path | None = None
    embedding_model: str = ""
    semantics: Sequence[str] = ()


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

    def encode(
        self,
        source: str | BinaryIO,
        config: encoder_pb2.EncodeConfig,
        control: Control,
        options: EncoderOptions = EncoderOptions(),
    ) -> Iterator[encoder_pb2.EncodeResponse]:
        """Encode one video in this process."""

    def keyframes(
        self, source: str | BinaryIO, config: encoder_pb2.EncodeConfig, control: Control, options: EncoderOptions
    ) -> KeyframeReport:
        """Return which keyframes ``encode`` would choose for one video, and why; nothing is encoded."""

    def attach(self, server: "grpc.aio.Server", *, running: int, waiting: int, options: EncoderOptions) -> Attached:
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

    def attach(self, server: "grpc.aio.Server", *, running: int, waiting: int, options: DecoderOptions) -> Attached:
        """Add the service to a server; ``running`` requests at a time, ``waiting`` more in line.

        Raises:
            CmvcError: the options cannot be met.
        """


@dataclass(frozen=True)
class GatewayOptions:
    """How a gateway works.

    Attributes:
        encoders: addresses, ``HOST:PORT``, and names with one or more addresses, ``dns:NAME:PORT``.
        decoders: likewise.
        max_requests: at once; more are refused.
        max_requests_per_tenant: at once from one bearer token.
        cache_bytes: of decoded segments to keep; 0 keeps none.
        wait_s: seconds that work waits for a backend to come back before it is refused.
        stall_s: seconds without a word after which a decoder's segment is driven again elsewhere.
        security: how it connects to them.
        resolver: looks names up; None asks the system.
    """

    encoders: Sequence[str]
    decoders: Sequence[str]
    max_requests: int
    max_requests_per_tenant: int
    cache_bytes: int
    wait_s: float
    stall_s: float
    security: "ChannelSecurity"
    resolver: Resolver | None = None


class GatewayService(Protocol):
    """What the distribution ``cmvc-gateway`` offers.

    Attributes:
        new_loop: makes the event loop to serve in.
    """

    @property
    def new_loop(self) -> Callable[[], asyncio.AbstractEventLoop]:
        """See above."""

    def attach(self, server: "grpc.aio.Server", options: GatewayOptions) -> Attached:
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
