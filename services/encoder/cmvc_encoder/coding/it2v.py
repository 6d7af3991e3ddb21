"""IT2V: keyframes, and a motion track along which the pictures between them are warped."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cmvc.bitstream.packets import frame_packet
from cmvc.bitstream.segments import new_segment, pack_motion
from cmvc.bitstream.text import encode_text, normalise
from cmvc.control import Control
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.media.scaling import resize, resize_luma
from cmvc.motion.track import MotionTrack
from cmvc.motion.warp import GapWarper, SegmentWarper
from cmvc.observer import NullObserver, Observer
from cmvc.profiles import embedded
from cmvc.profiles.profile import ModelProfile, Profile
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2
from cmvc_encoder.coding.effort import DEFAULT, Effort
from cmvc_encoder.coding.keyframe_images import KeyframeCoder, Keyframes
from cmvc_encoder.coding.measure import DEFAULT_MEASURE, MEASURES
from cmvc_encoder.coding.mode import Made, Trial
from cmvc_encoder.coding.motion_search import MotionPlanner, MotionSettings
from cmvc_encoder.coding.payload import payload
from cmvc_encoder.coding.quality import DB_PER_OCTAVE, HIT_DB, LEAST_DB, quality_db
from cmvc_encoder.coding.quantisers import FINEST_CRF
from cmvc_encoder.coding.roots import Aim, largest_within
from cmvc_encoder.coding.shapes import Shape
from cmvc_encoder.ingest.window import Window

if TYPE_CHECKING:
    from cmvc_encoder.semantics.base import SemanticExtractor

SPACINGS = (0.5, 1.0, 2.0, 4.0)  # seconds between keyframes; the first is the best most often
SEARCH_WIDTH = 320  # pixels; motion is searched for and tried out at this size
CAPTION_BYTES = 60
LEAST_CAPTION_BYTES = 8  # fewer say nothing
CAPTION_SHARE = 0.06  # of the budget at most
CELLS = (1 / 12, 1 / 20, 1 / 32)  # of the width
CONTROLS = (1, 2, 3, 5, 8)
CONTROLS_PER_SECOND = 2.0  # tried first
STEPS = (6, 12)  # of vectors, in 1/4096 of the width; 6 is a pixel and a quarter at 854
PROBES = 8  # pictures of a window that a motion track is judged by
PRICES = (1.0, 0.3, 3.0)  # of a bit of motion, against one of keyframes
MISPLACED = 1500.0  # mean squared error around a pixel at which it counts double: something stands in the wrong place
KEYFRAME_SHARE = 0.75  # of the bytes, about
LEAST_ROOM = 16  # bytes
LEAST_MOTION_SIDE = 32  # pixels at search size; in less, optical flow finds nothing to hold on to
LEAST_GAP = 4  # frames between keyframes
SHORTEST_CLOSED = 6  # frames; shorter windows before a cut have no closing keyframe
LEAST_BITS_PER_PIXEL = 0.0003  # of the smallest coding that is tried for a quality
QUALITY_OVERHEAD = 60  # bytes of it that do not grow with the picture
QUALITY_OCTAVES = [k / 4 for k in range(37)]  # of bytes above that
QUALITY_TRIES = 5
NO_OBSERVER = NullObserver()


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
    """A motion track on trial: its bytes, and the error that it leaves with the sample of the keyframes."""

    track: MotionTrack | None
    data: bytes
    error: float
    settings: MotionSettings | None  # None where there is nothing to be settled


@dataclass(frozen=True, eq=False)
class _Sample:
    """Keyframes near what they will be in the end, to try motion on.

    Attributes:
        anchors: all anchors at search size.
        error: of the keyframes at their own positions.
    """

    anchors: tuple[Picture, ...]
    error: float


@dataclass(frozen=True, eq=False)
class _Plan:
    """One way to divide a window's bytes between keyframes and motion, with the error expected of it."""

    layout: _Layout
    keyframes: KeyframeCoder
    sample: _Sample
    scale: float
    motion: _Motion
    error: float


class It2vCoder:
    """Codes windows as IT2V."""

    def __init__(
        self,
        extractor: SemanticExtractor | None = None,
        observer: Observer = NO_OBSERVER,
        effort: Effort = DEFAULT,
        generator: Profile = embedded.PROFILE,
    ) -> None:
        """Keep who writes captions (None for nobody), who is told of times, the effort, and for whom it is made."""
        self._effort = effort
        self._generator = generator
        self._extractor = extractor
        self._observer = observer
        self._spacing: float | None = None  # of the last window of this shot, in seconds

    def encode(self, window: Window, byte_budget: int, control: Control) -> Trial:
        """Return the best coding of at most ``byte_budget`` bytes; see ``ModeCoder``."""
        if window.opens_shot:
            self._spacing = None
        most, step = self._caption_room(byte_budget), anchor_step(self._generator, window)
        room = max(byte_budget - overhead(window, most, step), LEAST_ROOM)
        search = _Search(window, control, self._observer, self._effort, step, motion=self._generator.reads_motion)
        with ThreadPoolExecutor(1) as beside:  # a model writes the caption while keyframes are coded
            writing = beside.submit(self._caption, window, most)
            self._spacing, plan = _best_layout(search, self._layouts(window, step), room)
            plan = search.improve(plan, room)
            caption = writing.result()
        room = max(byte_budget - overhead(window, len(caption), step), LEAST_ROOM)
        return search.trial(plan, room, caption, byte_budget)

    def _layouts(self, window: Window, step: int) -> list[tuple[float, _Layout]]:
        """Return spacings to try, closest first: all at the start of a shot, then the last one and its neighbours."""
        at = SPACINGS.index(self._spacing) if self._spacing else 0
        spacings = SPACINGS[max(at - 1, 0) : at + 2] if self._spacing else SPACINGS
        most = max(len(window.pictures) // max(LEAST_GAP, step), 1)
        layouts: dict[int, float] = {}
        for spacing in spacings:
            layouts.setdefault(min(max(round(window.seconds / spacing), 1), most), spacing)
        return [(spacing, layout_of(window, gaps, step)) for gaps, spacing in layouts.items()]

    def encode_quality(self, window: Window, quality: int, control: Control) -> Trial:
        """Return the smallest coding found that measures what ``quality`` stands for; see ``coding.quality``.

        Where warping cannot reach that, the best one found is returned.
        """
        picture = window.pictures[0]
        least = picture.width * picture.height * len(window.pictures) * LEAST_BITS_PER_PIXEL / 8 + QUALITY_OVERHEAD
        wanted = quality_db(quality)
        tried: dict[int, Trial] = {}

        def error(step: int) -> float:
            if step not in tried:
                tried[step] = self.encode(window, round(least * 2 ** QUALITY_OCTAVES[step]), control)
            return -tried[step].score / DB_PER_OCTAVE

        start = bisect_left(QUALITY_OCTAVES, (wanted - LEAST_DB) / DB_PER_OCTAVE / 2)
        aim = Aim(-wanted / DB_PER_OCTAVE, 2 ** -(HIT_DB / DB_PER_OCTAVE))
        found = largest_within(error, QUALITY_OCTAVES, start, aim, QUALITY_TRIES)
        return max(tried.values(), key=lambda trial: trial.score) if found is None else tried[found]

    def _caption_room(self, byte_budget: int) -> int:
        """Return how many bytes a caption may take; 0 for none."""
        most = int(min(CAPTION_BYTES, CAPTION_SHARE * byte_budget))
        return 0 if self._extractor is None or most < LEAST_CAPTION_BYTES else most

    def _caption(self, window: Window, most: int) -> bytes:
        if self._extractor is None or not most:
            return b""
        words = self._extractor.describe(window, range(len(window.pictures)), most)
        coded = encode_text(normalise(words.text))
        return coded if len(coded) <= most else b""


def _best_layout(search: _Search, layouts: list[tuple[float, _Layout]], room: int) -> tuple[float, _Plan]:
    """Return the spacing and plan of the best of ``layouts``; the search ends at the first that is no better."""
    best: tuple[float, _Plan] | None = None
    with ThreadPoolExecutor(1) as beside:  # the second layout's keyframes are coded while the first's motion is tried
        ahead = [beside.submit(search.keyframes, layout, room) for _, layout in layouts[:2]]
        for number, (spacing, layout) in enumerate(layouts):
            bare = ahead[number].result() if number < len(ahead) else search.keyframes(layout, room)
            plan = search.plan(bare, room)
            if best and plan.error >= best[1].error:
                break
            best = spacing, plan
    assert best is not None
    return best[0], _evened(search, best[1], room)


def _evened(search: _Search, plan: _Plan, room: int) -> _Plan:
    """Return the plan, or the one with as many keyframes at even distances where that is better."""
    even = search.evened(plan.layout)
    if even is None:
        return plan
    return min(plan, search.plan(search.keyframes(even, room), room), key=lambda each: each.error)


def anchor_step(generator: Profile, window: Window) -> int:
    """Return the frames from one place for a keyframe to the next: where the model has a latent for it alone."""
    return generator.grid.anchor_step(window.frame_rate) if isinstance(generator, ModelProfile) else 1


def layout_of(window: Window, gaps: int, step: int = 1, *, even: bool = False) -> _Layout:
    """Return how keyframes stand in ``window`` when that many gaps divide it.

    All but the last anchor stand at multiples of ``step``; there are fewer where two would stand at the same.

    Those that the embeddings chose are among them where there are gaps enough, with gaps of about one length between
    them; else, or when ``even``, all gaps are of one length.
    """
    frames = len(window.pictures)
    if not window.following and frames < SHORTEST_CLOSED:
        return _Layout((0,), False, (0,), frames)
    last = frames if window.following else frames - 1
    chosen = () if even else _apart(window.keyframes, last)
    bounds = [0, *chosen, last] if len(chosen) < gaps else [0, last]
    positions = _snapped(_divided(bounds, gaps), step)
    if window.following:
        return _Layout(positions[:-1], False, positions, None)
    return _Layout(positions, True, positions, None)


def _apart(keyframes: Sequence[int], last: int) -> tuple[int, ...]:
    """Return the keyframes within the window that keep their distance from its ends and from each other."""
    kept: list[int] = []
    for position in keyframes:
        if position - (kept[-1] if kept else 0) >= LEAST_GAP and last - position >= LEAST_GAP:
            kept.append(position)
    return tuple(kept)


def _divided(bounds: Sequence[int], gaps: int) -> list[int]:
    """Return positions from the first to the last of ``bounds``, all of them included, that many gaps apart."""
    counts = [1] * (len(bounds) - 1)
    spans = [end - start for start, end in pairwise(bounds)]
    for _ in range(gaps - len(counts)):
        longest = max(range(len(counts)), key=lambda k: spans[k] / counts[k])
        counts[longest] += 1
    starts = [b + k * span // n for b, span, n in zip(bounds, spans, counts, strict=False) for k in range(n)]
    return [*starts, bounds[-1]]


def _snapped(positions: Sequence[int], step: int) -> tuple[int, ...]:
    """Return the positions, each but the last at the nearest multiple of ``step``; one alone where two would meet."""
    if step == 1:
        return tuple(positions)
    *before, last = positions
    snapped = sorted({(2 * position + step) // (2 * step) * step for position in before})
    return (*(position for position in snapped if last - position >= min(LEAST_GAP, last)), last)


def overhead(window: Window, caption_bytes: int, step: int = 1) -> int:
    """Return the size of a packet around its keyframes and motion, at most; ``step`` as in ``layout_of``."""
    segment = _segment(window, _Layout((0,), True, (0,), None), b"-", b"-", bytes(caption_bytes))
    if step > 1 or _apart(window.keyframes, len(window.pictures)):
        most = min(len(window.pictures) // max(LEAST_GAP, step), round(window.seconds / SPACINGS[0]))
        segment.keyframe_positions.extend([len(window.pictures)] * most)
    return len(frame_packet(pb.Packet(segment=segment))) + 2  # three lengths may need two bytes more each, less dashes


def _segment(window: Window, layout: _Layout, keyframes: bytes, motion: bytes, caption: bytes) -> pb.Segment:
    segment = new_segment(len(window.pictures), closes_shot=window.closes_shot or layout.closing)
    if layout.positions != layout_of(window, len(layout.anchors) - 1 or 1, even=True).positions:
        segment.keyframe_positions.extend(layout.positions[1:])
    segment.keyframes = keyframes
    segment.motion = pack_motion(caption, motion)
    return segment


def _other_controls(settings: MotionSettings) -> list[MotionSettings]:
    at = CONTROLS.index(settings.controls)
    return [replace(settings, controls=CONTROLS[k]) for k in (at - 1, at + 1) if 0 <= k < len(CONTROLS)]


def _other_prices(settings: MotionSettings) -> list[MotionSettings]:
    return [replace(settings, price=settings.price * price) for price in PRICES[1:]]


def _other_cells(settings: MotionSettings) -> list[MotionSettings]:
    at = CELLS.index(settings.cell)
    return [replace(settings, cell=CELLS[k]) for k in (at - 1, at + 1) if 0 <= k < len(CELLS)]


def _other_steps(settings: MotionSettings) -> list[MotionSettings]:
    return [replace(settings, step=step) for step in STEPS[1:]]


def _displacement_error(source: Picture, shown: Picture) -> float:
    """Return the mean squared luma error, where large errors around a pixel count more than their share."""
    squared = np.square(source.y.astype(np.float32) - shown.y)
    around = np.asarray(cv2.blur(squared, (9, 9)), np.float32)
    return float(np.mean(around * (1.0 + np.minimum(around / MISPLACED, 1.0))))


class _Search:
    """The search for one window's best coding."""

    def __init__(
        self, window: Window, control: Control, observer: Observer, effort: Effort, step: int, *, motion: bool
    ) -> None:
        self._effort = effort
        self._step = step
        self._moves = motion
        self._window = window
        self._control = control
        self._observer = observer
        self._all = [*window.pictures, *([window.following] if window.following else [])]
        first = window.pictures[0]
        scale = min(SEARCH_WIDTH / first.width, 1.0)
        self._size = max(round(first.width * scale), 1), max(round(first.height * scale), 1)
        self._small = [resize(picture, *self._size) for picture in self._all]

    @cached_property
    def _planner(self) -> MotionPlanner:
        return MotionPlanner([picture.y for picture in self._small])

    def evened(self, layout: _Layout) -> _Layout | None:
        """Return the layout with as many gaps of one length; None where it has them."""
        if len(layout.anchors) == 1:
            return None
        even = layout_of(self._window, len(layout.anchors) - 1, self._step, even=True)
        return even if even.positions != layout.positions else None

    def keyframes(self, layout: _Layout, room: int) -> _Plan:
        """Return the plan that spends all bytes on keyframes; may run in a thread of its own."""
        started = time.perf_counter()
        frames = len(self._window.pictures)
        rate = self._window.frame_rate * len(layout.positions) / frames
        keyframes = KeyframeCoder([self._all[p] for p in layout.positions], rate, self._control)
        sample = self._sample(keyframes, layout, room)
        error, scale = keyframes.error_at(room)
        self._observer.stage("keyframe", common_pb2.MODE_IT2V, time.perf_counter() - started)
        return _Plan(layout, keyframes, sample, scale, _Motion(None, b"", 0.0, None), error)

    def plan(self, bare: _Plan, room: int) -> _Plan:
        """Return a good division of ``room`` bytes for a plan of keyframes alone."""
        layout, frames = bare.layout, len(self._window.pictures)
        still = self._join(bare, _Motion(None, b"", self._error(bare, None), None), room)
        nothing = (len(layout.anchors) == 1 and layout.end is None) or min(self._size) < LEAST_MOTION_SIDE
        if nothing or not self._moves:
            return still
        gap = frames / (len(layout.positions) - layout.closing) / float(self._window.frame_rate)
        controls = min(CONTROLS, key=lambda count: abs(count - gap * CONTROLS_PER_SECOND))
        settings = MotionSettings(CELLS[0], STEPS[0], controls, PRICES[0] * self._price(bare.keyframes, room))
        moving = self._try(still, settings, room)
        return moving if moving.error < still.error else replace(still, motion=replace(still.motion, settings=settings))

    def improve(self, best: _Plan, room: int) -> _Plan:
        """Return the plan with the number of control times and the size of cells that suit it best."""
        for variants in (_other_controls, _other_prices, _other_cells, _other_steps):
            settings = best.motion.settings
            for other in variants(settings) if settings else ():
                best = min(best, self._try(best, other, room), key=lambda plan: plan.error)
        return best

    def trial(self, plan: _Plan, room: int, caption: bytes, byte_budget: int) -> Trial:
        """Return the plan carried out."""
        started = time.perf_counter()
        coded = plan.keyframes.fit(plan.scale, room - len(plan.motion.data))
        self._observer.stage("keyframe", common_pb2.MODE_IT2V, time.perf_counter() - started)
        motion = plan.motion
        if coded.size + len(motion.data) > room:
            motion = _Motion(None, b"", 0.0, None)
        segment = _segment(self._window, plan.layout, payload(coded.obus), motion.data, caption)
        size = len(frame_packet(pb.Packet(segment=segment)))
        return Trial(
            segments=[segment],
            size=size,
            score=self._shown_score(plan.layout, coded, motion.track),
            saturated=coded.quantiser.crf <= FINEST_CRF and coded.scale == plan.keyframes.full_scale,
            floor=size > byte_budget,
            made=Made(Shape(*coded.coded_size, 1), coded.quantiser.crf, coded.preset, DEFAULT_MEASURE),
        )

    def _try(self, plan: _Plan, settings: MotionSettings, room: int) -> _Plan:
        """Return the plan with its motion coded under other settings."""
        self._control.check()
        track, data = self._planner.track(plan.layout.anchors, plan.layout.end, settings)
        return self._join(plan, _Motion(track, data, self._error(plan, track), settings), room)

    def _join(self, plan: _Plan, motion: _Motion, room: int) -> _Plan:
        error, scale = plan.keyframes.error_at(max(room - len(motion.data), LEAST_ROOM))
        return replace(plan, scale=scale, motion=motion, error=motion.error + error - plan.sample.error)

    def _sample(self, keyframes: KeyframeCoder, layout: _Layout, room: int) -> _Sample:
        coded = keyframes.probe(keyframes.error_at(room * KEYFRAME_SHARE)[1])
        pictures = coded.pictures()
        if len(layout.anchors) > len(pictures):
            pictures.append(self._following(coded, pictures[0]))
        return _Sample(tuple(resize(picture, *self._size) for picture in pictures), coded.error)

    def _price(self, keyframes: KeyframeCoder, room: int) -> float:
        """Return the squared error, over the window at search size, that one bit more for the keyframes would save."""
        more, less = keyframes.error_at(room)[0], keyframes.error_at(0.8 * room)[0]
        per_pixel = max(less - more, 0.0) / (0.2 * room * 8)
        return max(per_pixel * self._size[0] * self._size[1] * len(self._window.pictures), 1.0)

    def _error(self, plan: _Plan, track: MotionTrack | None) -> float:
        """Return the error of warping the plan's sample of keyframes, from a few pictures per gap."""
        layout, anchors = plan.layout, plan.sample.anchors
        errors: list[float] = []
        weights: list[int] = []
        ends = [*layout.anchors[1:], *([layout.end] if layout.end else [])]
        probes = max(PROBES // max(len(ends), 1), 1)
        for index, (start, end) in enumerate(zip(layout.anchors, ends, strict=False)):
            closing = anchors[index + 1] if end != layout.end else None
            gap = track.gaps[index] if track and index < len(track.gaps) else None
            warper = GapWarper(anchors[index], closing, gap, track.step if track else 1, end - start)
            for probe in range(probes):
                offset = (end - start) * (2 * probe + 1) // (2 * probes)
                if 0 < offset < end - start:
                    errors.append(_displacement_error(self._small[start + offset], warper.at(offset)))
                    weights.append(end - start)
        return float(np.average(errors, weights=weights)) if errors else 0.0

    def _shown_score(self, layout: _Layout, coded: Keyframes, track: MotionTrack | None) -> float:
        pictures = coded.pictures()
        anchors = list(zip(layout.positions, pictures, strict=True))
        frames = len(self._window.pictures)
        if self._window.following and not layout.closing:
            anchors.append((frames, self._following(coded, pictures[0])))
        warper = SegmentWarper(anchors, track, frames)
        every = self._effort.measure_every if frames >= self._effort.measure_every else 1
        originals = ((n, self._all[n]) for n in range(0, frames, every))
        pairs = [(one.y, resize_luma(warper.at(n), one.width, one.height)) for n, one in originals]
        return MEASURES[DEFAULT_MEASURE](pairs)

    def _following(self, coded: Keyframes, first: Picture) -> Picture:
        """Return the next window's opening anchor as it will look if that window is coded like this one."""
        picture = resize(self._all[-1], first.width, first.height)
        obus = av1.encode([picture], frame_rate=self._window.frame_rate, crf=coded.quantiser.crf, still=True)
        return next(iter(av1.decode(obus)))
