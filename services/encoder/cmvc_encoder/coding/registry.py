"""The coder of each mode."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cmvc.bitstream.modes import Mode
from cmvc.observer import NullObserver, Observer
from cmvc.profiles import embedded
from cmvc.profiles.profile import Profile
from cmvc.restoration.restorer import Restorer
from cmvc.v1 import common_pb2
from cmvc_encoder.coding.effort import DEFAULT, Effort
from cmvc_encoder.coding.expectations import Seen
from cmvc_encoder.coding.it2v import It2vCoder
from cmvc_encoder.coding.mode import ModeCoder
from cmvc_encoder.coding.tt2v import Tt2vCoder
from cmvc_encoder.coding.video import VideoCoder
from cmvc_encoder.semantics.base import SemanticExtractor


@dataclass(frozen=True)
class Tools:
    """What the coders of one stream work with.

    Attributes:
        extractor: writes captions.
        captions: whether pictures are accompanied by captions; without, only TT2V has text.
        effort: how much work goes into a coding.
        observer: is told how long keyframes took.
        generator: the profile that the stream is made for.
        seen: a trial of the first window at about its bytes; None where there was none.
        content: see ``Trial``; of the window before the first, where that was text.
        restorer: that decoders have for VT2V; None where they only scale.
    """

    extractor: SemanticExtractor
    captions: bool = True
    effort: Effort = DEFAULT
    observer: Observer = field(default_factory=NullObserver)
    generator: Profile = embedded.PROFILE
    seen: Seen | None = None
    content: str = ""
    restorer: Restorer | None = None

    @property
    def captioner(self) -> SemanticExtractor | None:
        """Who writes the captions beside pictures; None for nobody."""
        return self.extractor if self.captions else None


_CODERS: dict[Mode.ValueType, Callable[[Tools], ModeCoder]] = {
    common_pb2.MODE_TT2V: lambda tools: Tt2vCoder(tools.extractor, tools.generator, tools.content),
    common_pb2.MODE_IT2V: lambda tools: It2vCoder(tools.captioner, tools.observer, tools.effort, tools.generator),
    common_pb2.MODE_VT2V: lambda tools: VideoCoder("guide", tools.captioner, tools.effort, tools.seen, tools.restorer),
    common_pb2.MODE_CODED: lambda tools: VideoCoder("video", None, tools.effort, tools.seen),
}


def make_coder(mode: Mode.ValueType, tools: Tools) -> ModeCoder:
    """Return a coder of ``mode`` for one stream."""
    return _CODERS[mode](tools)


def make_video_coder(tools: Tools) -> ModeCoder:
    """Return a coder of CODED that turns to VT2V where decoders restore that better; for one stream."""
    return VideoCoder("video", None, tools.effort, tools.seen, tools.restorer)
