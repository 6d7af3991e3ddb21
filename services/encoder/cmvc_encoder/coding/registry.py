"""The coder of each mode."""

from collections.abc import Callable

from cmvc.bitstream.modes import Mode
from cmvc.observer import Observer
from cmvc.v1 import common_pb2
from cmvc_encoder.coding.it2v import It2vCoder
from cmvc_encoder.coding.mode import ModeCoder
from cmvc_encoder.coding.tt2v import Tt2vCoder
from cmvc_encoder.coding.video import VideoCoder
from cmvc_encoder.semantics.base import SemanticExtractor

_CODERS: dict[Mode.ValueType, Callable[[SemanticExtractor, Observer], ModeCoder]] = {
    common_pb2.MODE_TT2V: lambda extractor, _: Tt2vCoder(extractor),
    common_pb2.MODE_IT2V: It2vCoder,
    common_pb2.MODE_VT2V: lambda extractor, _: VideoCoder("guide", extractor),
    common_pb2.MODE_CODED: lambda *_: VideoCoder("video"),
}


def make_coder(mode: Mode.ValueType, extractor: SemanticExtractor, observer: Observer) -> ModeCoder:
    """Return a coder of ``mode`` for one stream; ``observer`` is told how long its keyframes took."""
    return _CODERS[mode](extractor, observer)
