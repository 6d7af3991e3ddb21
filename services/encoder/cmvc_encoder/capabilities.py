"""What an encoder can do."""

from cmvc import __version__
from cmvc.bitstream.modes import MODE_NAMES
from cmvc.v1.encoder_pb2 import VideoEncoderGetCapabilitiesResponse
from cmvc_encoder.keyframes.embeddings import embedding_names
from cmvc_encoder.options import EncoderOptions
from cmvc_encoder.semantics import extractor_names


def capabilities(options: EncoderOptions) -> VideoEncoderGetCapabilitiesResponse:
    """Return what an encoder with these options can do."""
    return VideoEncoderGetCapabilitiesResponse(
        version=__version__,
        modes=list(MODE_NAMES),
        semantics=extractor_names(options),
        embeddings=embedding_names(),
    )
