"""The coder of each mode."""

from collections.abc import Callable

from cmvc.bitstream.modes import Mode
from cmvc.v1 import common_pb2
from cmvc_encoder.coders.it2v import It2vCoder
from cmvc_encoder.coders.tt2v import Tt2vCoder
from cmvc_encoder.coders.video import VideoCoder
from cmvc_encoder.semantics.base import SemanticExtractor
from cmvc_encoder.window import ModeCoder

_CODERS: dict[Mode.ValueType, Callable[[SemanticExtractor], ModeCoder]] = {
    common_pb2.MODE_TT2V: Tt2vCoder,
    common_pb2.MODE_IT2V: It2vCoder,
    common_pb2.MODE_VT2V: lambda extractor: VideoCoder("guide", extractor),
    common_pb2.MODE_CODED: lambda _: VideoCoder("video"),
}


def make_coder(mode: Mode.ValueType, extractor: SemanticExtractor) -> ModeCoder:
    """Return a coder of ``mode`` for one stream."""
    return _CODERS[mode](extractor)
