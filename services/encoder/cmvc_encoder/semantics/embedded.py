"""The ``embedded`` extractor: measures pixels, needs no weights."""

from collections.abc import Sequence
from fractions import Fraction

from cmvc.bitstream.text import encode_text
from cmvc.media.picture import Picture, resize
from cmvc_encoder.semantics.base import Description


class EmbeddedExtractor:
    """Describes brightness; colours, layout and motion follow."""

    id = "embedded"

    def describe(self, pictures: Sequence[Picture], frame_rate: Fraction, max_bytes: int = 120) -> Description:  # noqa: ARG002
        """Describe the middle frame; see ``SemanticExtractor``."""
        tiny = resize(pictures[len(pictures) // 2], 32, 18)
        content = "Dark scene." if tiny.y.mean() < 70 else "Bright scene."
        found = Description(content, "")
        return found if len(encode_text(found.text)) <= max_bytes else Description("", "")
