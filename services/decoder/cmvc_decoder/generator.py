"""What a generator is given and what it gives back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from cmvc.bitstream.modes import Mode
from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.motion.track import MotionTrack
from cmvc.records import Remark, Tail

STUCK_S = 300.0  # of a model without a step; the longest one is a compiled model's first


@dataclass(frozen=True)
class Anchor:
    """An exactly decoded picture at ``position`` frames from the segment's start.

    ``position`` equals the segment's frame count for the opening anchor of the next segment.
    """

    position: int
    picture: Picture


@dataclass(frozen=True)
class Step:
    """Says how far the denoising of a segment has come: ``done`` of ``total`` steps.

    It is said again now and then while a model has others in work, since long silence is taken for a death.
    """

    done: int
    total: int


@dataclass(frozen=True)
class Conditions:
    """Everything that a generator may know about one segment.

    Attributes:
        mode: of the segment.
        width, height: of the frames wanted, in pixels.
        frames: how many are wanted.
        frame_rate: in frames per second.
        seed: of this segment.
        scene_seed: of the noise that models start from, alike for all that show one content; None for ``seed``.
        text: its caption ("" for none). TT2V: content, line feed, motion.
        anchors: IT2V: exact pictures, by rising position, at their coded size; the first stands at 0.
        guide: VT2V and CODED: decoded pictures at their coded size; decoded while they are iterated over, once.
        frame_step: guide picture k stands for frame k * frame_step.
        follows_motion: frames between guide pictures follow what moves, instead of being cross-faded.
        quantiser: VT2V: AV1's ``base_q_idx`` of the guide's first frame, 0..255.
        next_guide: VT2V and CODED: the next segment's opening anchor, to go on towards when frame_step > 1.
        motion: IT2V: decoded motion track, if it was sent.
        settings: of the profile, as strings, but for ``adapter``.
        color_matrix: of the pictures, code point of ITU-T H.273.
        adapter: name of the adapter (LoRA) that the frames are made with; "" where none is named.
        adapter_sha256: first 8 bytes of the SHA-256 of its file; empty where any of that name will do.
        opening: TT2V that goes on from the segment before: its first frames on the model's grid as that one made them,
            decoded, at the model's size.
        hands_on: whether the next segment goes on from this one (see ``cmvc.profiles.continuity``).
    """

    mode: Mode.ValueType
    width: int
    height: int
    frames: int
    frame_rate: Fraction
    seed: int
    text: str = ""
    anchors: tuple[Anchor, ...] = ()
    guide: Iterable[Picture] = ()
    frame_step: int = 1
    follows_motion: bool = False
    quantiser: int = 0
    next_guide: Picture | None = None
    motion: MotionTrack | None = None
    settings: dict[str, str] = field(default_factory=dict)
    color_matrix: int = 1
    adapter: str = ""
    adapter_sha256: bytes = b""
    scene_seed: int | None = None
    opening: tuple[Picture, ...] = ()
    hands_on: bool = False

    @property
    def wants_adapter(self) -> bool:
        """Whether frames are to be made with an adapter."""
        return bool(self.adapter or self.adapter_sha256)


Made = Step | Remark | Tail | Picture


class Generator(Protocol):
    """Makes the frames of one segment."""

    id: str
    revision: str
    modes: tuple[Mode.ValueType, ...]

    def load(self) -> None:
        """Load what it needs, unless that is done.

        Raises:
            MissingWeightsError: weights are not on this machine.
        """

    def generate(self, conditions: Conditions, control: Control) -> Iterator[Made]:
        """Yield any number of steps, then ``conditions.frames`` pictures of ``conditions.width`` x ``height`` in order.

        Before the pictures come what the user should know, and the tail where a model ``hands_on``.

        ``control.check()`` is called at least once per frame and once per denoising step.
        """
