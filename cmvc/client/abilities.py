"""What a server, or the services in this process, can do and whether they do it now."""

from dataclasses import dataclass

from cmvc.v1.decoder_pb2 import VideoDecoderGetCapabilitiesResponse
from cmvc.v1.encoder_pb2 import VideoEncoderGetCapabilitiesResponse


@dataclass(frozen=True)
class Health:
    """Whether work would be done now.

    Attributes:
        encodes: whether videos can be encoded.
        decodes: whether streams can be decoded.
    """

    encodes: bool
    decodes: bool


@dataclass(frozen=True)
class Capabilities:
    """What can be done.

    Attributes:
        encoder: version, modes, semantic extractors and embeddings; None where nothing encodes.
        decoder: version, profiles with their modes and adapters, output formats; None where nothing decodes.
    """

    encoder: VideoEncoderGetCapabilitiesResponse | None
    decoder: VideoDecoderGetCapabilitiesResponse | None
