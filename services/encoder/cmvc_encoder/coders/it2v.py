"""IT2V: keyframes, and a motion track along which the pictures between them are warped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from cmvc.bitstream.packets import frame_packet
from cmvc.bitstream.text import encode_text, normalise
from cmvc.control import Control
from cmvc.media import av1
from cmvc.media.picture import Picture, resize
from cmvc.motion.track import MotionTrack
from cmvc.motion.warp import GapWarper, warp_segment
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_encoder.coders.keyframes import FINEST_CRF, KeyframeCoder, Keyframes
from cmvc_encoder.coders.motion_search import MotionPlanner, MotionSettings
from cmvc_encoder.measure import luma_error, psnr_of_errors
from cmvc_encoder.window import Trial, Window

if TYPE_CHECKING:
    from cmvc_encoder.semantics.base import SemanticExtractor

SPACINGS = (4.0, 2.0, 1.0, 0.5)  # seconds between keyframes
SEARCH_WIDTH = 428  # pixels; motion is searched for and tried out at this size
CAPTION_BYTES = 60
CAPTION_SHARE = 0.06  # of the budget at most
CELLS = (1 / 12, 1 / 20, 1 / 32)
CONTROLS = (1, 2, 3, 5)
STEP = 6  # 1/4096 of the width: a pixel and a quarter at 854
MEASURE_EVERY = 5  # frames
PROBED_PER_GAP = 3  # pictures of a gap that a motion track is judged by
UNBOUNDED = 1 << 62  # bytes


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the keyframes of a window stand.

    Attributes:
        positions: of the keyframes.
        closing: whether the last of them is the window's last frame.
        anchors: positions of all anchors, that of the following window's opening keyframe included.
        end: number of frames when no anchor closes the window, else None.
    """

    positions: tuple[int, ...]
    closing: bool
    anchors: tuple[int, ...]
    end: int | None


@dataclass(frozen=True, eq=False)
class _Motion:
    """A motion track on trial: its bytes, and the squared luma error per pixel that it leaves with exact anchors."""

    track: MotionTrack | None
    data: bytes
    error: float


@dataclass(frozen=True, eq=False)
class _Plan:
    """One way to divide a window's bytes between keyframes and motion, with the error expected of it."""

    layout: _Layout
    keyframes: KeyframeCoder
    scale: float
    motion: _Motion
    error: float


class It2vCoder:
    """Codes windows as IT2V."""

    def __init__(self, extractor: SemanticExtractor | None = None) -> None:
        """Keep who writes captions (None for no captions)."""
        self._extractor = extractor
        self._spacing: float | None = None  # of the last window of this shot, in seconds

    def encode(self, window: Window, byte_budget: int, control: Control) -> Trial:
        """Return the best coding of at most ``byte_budget`` bytes; see ``ModeCoder``."""
        if window.opens_shot:
            self._spacing = None
        caption = self._caption(window, byte_budget)
        room = max(byte_budget - overhead(window, caption), 16)
        search = _Search(window, control)
        plan = min(
            (search.plan(layout, room) for layout in self._layouts(window)),
            key=lambda p: p.error,
        )
        return search.trial(plan, room, caption, byte_budget)

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return the coding at ``quality``: it sets the bits per pixel, from 0.0003 (1) to 0.06 (100)."""
        picture = window.pictures[0]
        pixels = picture.width * picture.height * len(window.pictures)
        return self.encode(window, round(pixels * 0.0003 * 200 ** ((quality - 1) / 99) / 8) + 60, control)

    def _layouts(self, window: Window) -> list[_Layout]:
        layouts = {}
        for spacing in SPACINGS:
            for layout in layouts_of(len(window.pictures), spacing * window.frame_rate, window.following is None):
                layouts[layout.positions] = layout
        return list(layouts.values())

    def _caption(self, window: Window, byte_budget: int) -> bytes:
        most = int(min(CAPTION_BYTES, CAPTION_SHARE * byte_budget))
        if self._extractor is None or most < 8:
            return b""
        words = self._extractor.describe(window.pictures, window.frame_rate, most)
        coded = encode_text(normalise(words.text))
        return coded if len(coded) <= most else b""


def layouts_of(frames: int, spacing: Fraction | float, ends: bool) -> list[_Layout]:
    """Return how keyframes may stand about ``spacing`` frames apart; ``ends`` says that no picture follows."""
    gaps = max(round(frames / spacing), 1)
    if gaps > frames // 2 and gaps > 1:
        return []
    open_positions = tuple(k * frames // gaps for k in range(gaps))
    if not ends:
        return [_Layout(open_positions, False, (*open_positions, frames), None)]
    result = [_Layout(open_positions, False, open_positions, frames)]
    if frames > 2:
        closed = tuple(k * (frames - 1) // gaps for k in range(gaps + 1))
        result.append(_Layout(closed, True, closed, None))
    return result


def overhead(window: Window, caption: bytes) -> int:
    """Return the size of a packet around its keyframes and motion, at most."""
    segment = _segment(window, _Layout((0,), True, (0,), None), b"-", b"-", caption)
    return len(frame_packet(pb.Packet(segment=segment))) + 2  # three lengths may need two bytes more each, less dashes


def _segment(window: Window, layout: _Layout, keyframes: bytes, motion: bytes, caption: bytes) -> pb.Segment:
    return pb.Segment(
        frames=len(window.pictures),
        closes_shot=window.closes_shot,
        keyframes=keyframes,
        motion=motion,
        closing_keyframe=layout.closing,
        caption=caption,
    )


class _Search:
    """The search for one window's best coding."""

    def __init__(self, window: Window, control: Control) -> None:
        self._window = window
        self._control = control
        self._all = [*window.pictures, *([window.following] if window.following else [])]
        first = window.pictures[0]
        scale = min(SEARCH_WIDTH / first.width, 1.0)
        self._size = max(round(first.width * scale), 1), max(round(first.height * scale), 1)
        self._small = [resize(picture, *self._size) for picture in self._all]
        self._planner = MotionPlanner([picture.y for picture in self._small])

    def plan(self, layout: _Layout, room: int) -> _Plan:
        """Return the best division of ``room`` bytes for this layout."""
        frames = len(self._window.pictures)
        rate = self._window.frame_rate * len(layout.positions) / frames
        keyframes = KeyframeCoder([self._all[p] for p in layout.positions], rate, self._control)
        still = _Motion(None, b"", self._error(layout, None))
        best = self._join(layout, keyframes, still, room)
        if layout.anchors == (0,) and layout.end is None:
            return best
        price = self._price(keyframes, room)
        settings = MotionSettings(CELLS[1], STEP, CONTROLS[0], price)
        for controls in CONTROLS:
            candidate = self._try(layout, keyframes, replace(settings, controls=controls), room)
            if candidate.error < best.error:
                best, settings = candidate, replace(settings, controls=controls)
        for cell in (CELLS[0], CELLS[2]):
            candidate = self._try(layout, keyframes, replace(settings, cell=cell), room)
            if candidate.error < best.error:
                best = candidate
        return best

    def trial(self, plan: _Plan, room: int, caption: bytes, byte_budget: int) -> Trial:
        """Return the plan carried out."""
        coded = plan.keyframes.fit(plan.scale, room - len(plan.motion.data))
        motion = plan.motion
        if len(coded.obus) + len(motion.data) > room:
            motion = _Motion(None, b"", 0.0)
        segment = _segment(self._window, plan.layout, coded.obus, motion.data, caption)
        size = len(frame_packet(pb.Packet(segment=segment)))
        return Trial(
            segments=[segment],
            size=size,
            psnr=self._shown_psnr(plan.layout, coded, motion.track),
            saturated=coded.crf <= FINEST_CRF and coded.scale == 1.0,
            floor=size > byte_budget,
        )

    def _try(self, layout: _Layout, keyframes: KeyframeCoder, settings: MotionSettings, room: int) -> _Plan:
        self._control.check()
        track, data = self._planner.track(layout.anchors, layout.end, settings)
        return self._join(layout, keyframes, _Motion(track, data, self._error(layout, track)), room)

    def _join(self, layout: _Layout, keyframes: KeyframeCoder, motion: _Motion, room: int) -> _Plan:
        error, scale = keyframes.error_at(max(room - len(motion.data), 16))
        return _Plan(layout, keyframes, scale, motion, error + motion.error)

    def _price(self, keyframes: KeyframeCoder, room: int) -> float:
        """Return the squared error, over the window at search size, that one bit more for the keyframes would save."""
        more, less = keyframes.error_at(room)[0], keyframes.error_at(0.8 * room)[0]
        per_pixel = max(less - more, 0.0) / (0.2 * room * 8)
        return max(per_pixel * self._size[0] * self._size[1] * len(self._window.pictures), 1.0)

    def _error(self, layout: _Layout, track: MotionTrack | None) -> float:
        """Return the mean squared luma error of warping exact anchors, at search size, from a few pictures per gap."""
        errors: list[float] = []
        weights: list[int] = []
        ends = [*layout.anchors[1:], *([layout.end] if layout.end else [])]
        for index, (start, end) in enumerate(zip(layout.anchors, ends, strict=False)):
            closing = self._small[end] if end != layout.end else None
            gap = track.gaps[index] if track and index < len(track.gaps) else None
            warper = GapWarper(self._small[start], closing, gap, track.step if track else 1, end - start)
            for probe in range(PROBED_PER_GAP):
                offset = (end - start) * (2 * probe + 1) // (2 * PROBED_PER_GAP)
                if 0 < offset < end - start:
                    errors.append(luma_error(self._small[start + offset], warper.at(offset)))
                    weights.append(end - start)
        return float(np.average(errors, weights=weights)) if errors else 0.0

    def _shown_psnr(self, layout: _Layout, coded: Keyframes, track: MotionTrack | None) -> float:
        anchors = list(zip(layout.positions, coded.pictures, strict=True))
        frames = len(self._window.pictures)
        if self._window.following and not layout.closing:
            anchors.append((frames, self._following(coded)))
        shown = warp_segment(anchors, track, frames)
        errors = [
            luma_error(self._all[n], resize(picture, self._all[n].width, self._all[n].height))
            for n, picture in enumerate(shown)
            if n % MEASURE_EVERY == 0 or frames < MEASURE_EVERY
        ]
        return psnr_of_errors(errors)

    def _following(self, coded: Keyframes) -> Picture:
        """Return the next window's opening anchor as it will look if that window is coded like this one."""
        first = coded.pictures[0]
        picture = resize(self._all[-1], first.width, first.height)
        obus = av1.encode([picture], frame_rate=self._window.frame_rate, crf=coded.crf, still=True)
        return next(iter(av1.decode(obus)))
