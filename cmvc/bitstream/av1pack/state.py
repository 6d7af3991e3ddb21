"""What later headers depend on: the sequence header, the frame that is being coded, the eight reference slots."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from cmvc.bitstream.av1pack.kinds import Kind

SLOTS = 8
REFERENCES = 7  # that a frame names
NO_PRIMARY = 7
SEGMENTS = 8
FEATURES = 8
SELECT = 2  # of screen content tools and integer motion vectors: each frame says
IDENTITY = (0, 0, 1 << 16, 0, 0, 1 << 16)


class FrameType(IntEnum):
    """Of frame_type."""

    KEY = 0
    INTER = 1
    INTRA_ONLY = 2
    SWITCH = 3


class Elements(Protocol):
    """What goes through the elements of headers in their order: it reads, writes or codes each of them."""

    def code(self, name: str, kind: Kind, *at: int) -> int:
        """Return the value of the element ``name``, or of its part number ``at`` where it has several."""

    def flag(self, name: str, *at: int) -> int:
        """Return the value of an element of one bit."""


@dataclass
class OperatingPoint:
    """What a frame header needs to know of one."""

    idc: int
    decoder_model: int = 0


@dataclass
class Sequence:
    """Of a sequence header, what other headers depend on. Names are the specification's."""

    reduced: int = 0
    equal_picture_interval: int = 0
    decoder_model_info: int = 0
    removal_time_bits: int = 0
    presentation_time_bits: int = 0
    operating_points: list[OperatingPoint] = field(default_factory=lambda: [OperatingPoint(0)])
    width_bits: int = 0
    height_bits: int = 0
    width: int = 0
    height: int = 0
    frame_id_bits: int = 0  # 0: there are none
    delta_frame_id_bits: int = 0
    large_superblocks: int = 0
    warped_motion: int = 0
    order_hint_bits: int = 0
    reference_mvs: int = 0
    force_screen_content: int = SELECT
    force_integer_mv: int = SELECT
    superres: int = 0
    cdef: int = 0
    restoration: int = 0
    monochrome: int = 0
    subsampled: int = 0  # in both directions
    subsampling: tuple[int, int] = (1, 1)
    separate_uv_delta_q: int = 0
    film_grain: int = 0


@dataclass
class Frame:
    """Of a frame header, what other elements, later frames and models depend on. Names are the specification's."""

    frame_type: int = FrameType.KEY
    show_frame: int = 1
    showable_frame: int = 0
    error_resilient_mode: int = 1
    screen_content: int = 0
    force_integer_mv: int = 0
    frame_id: int = 0
    size_override: int = 0
    order_hint: int = 0
    primary_ref_frame: int = NO_PRIMARY
    refresh_frame_flags: int = 0xFF
    reference_slots: list[int] = field(default_factory=list)  # ref_frame_idx
    upscaled_width: int = 0
    width: int = 0
    height: int = 0
    render_width: int = 0
    render_height: int = 0
    allow_intrabc: int = 0
    high_precision_mv: int = 0
    disable_cdf_update: int = 0
    tile_columns: int = 1
    tile_rows: int = 1
    tile_bits: int = 0
    base_q_idx: int = 0
    delta_q: list[int] = field(default_factory=list)
    delta_q_present: int = 0
    segmentation: int = 0
    features: dict[tuple[int, int], int] = field(default_factory=dict)
    coded_lossless: int = 0
    all_lossless: int = 0
    loop_filter: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    cdef_bits: int = 0
    cdef: list[int] = field(default_factory=list)
    reference_select: int = 0
    global_motion: list[tuple[int, ...]] = field(default_factory=lambda: [IDENTITY] * (REFERENCES + 1))
    data_size: int = 0  # bytes behind its header
    place: int = 0  # in the pyramid
    shown: int = 0

    @property
    def intra(self) -> bool:
        """Whether it refers to no other frame."""
        return self.frame_type in (FrameType.KEY, FrameType.INTRA_ONLY)


class Slots:
    """The decoder's memory between frames (section 7.20): which frame stands in each of the eight slots."""

    def __init__(self) -> None:
        self.frames: list[Frame | None] = [None] * SLOTS

    def hint(self, slot: int) -> int:
        """Return the order hint of the frame in ``slot``, 0 where there is none."""
        frame = self.frames[slot]
        return frame.order_hint if frame else 0

    def refresh(self, frame: Frame) -> None:
        """Keep ``frame`` where it says."""
        for slot in range(SLOTS):
            if frame.refresh_frame_flags >> slot & 1:
                self.frames[slot] = frame


def distance(hint: int, other: int, bits: int) -> int:
    """Return ``hint`` less ``other`` in the circle of order hints of ``bits`` bits (get_relative_dist)."""
    half = 1 << bits >> 1
    difference = hint - other
    return (difference & (half - 1)) - (difference & half)
