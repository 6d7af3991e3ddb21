"""One segment, window by window: what the model is asked, and how its answers become one run of native frames."""

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
import torch

from cmvc.media.picture import Picture
from cmvc.media.rgb import Rgb, from_rgb, to_rgb
from cmvc.media.scaling import resize
from cmvc.profiles.profile import NativeGrid
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.color import Tones, tones
from cmvc_decoder.diffusion.grid import Plan, plan
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.generator import Conditions
from cmvc_decoder.upscale import filled

WINDOW_SEEDS = 1 << 16  # apart, so that no window of one segment has the noise of another's
_SEED_BITS = (1 << 63) - 1


@dataclass(frozen=True)
class Native:
    """A segment on the model's grid.

    Attributes:
        plan: which frames there are.
        frames: (frames, height, width, 3) RGB, 0..255, as the model made them.
        wanted: tones that are known, by native frame (see ``ColorRestorer``).
    """

    plan: Plan
    frames: Rgb
    wanted: dict[int, Tones] = field(default_factory=dict)


def make_plan(conditions: Conditions, grid: NativeGrid, settings: Settings) -> Plan:
    """Return the plan of a segment with these conditions."""
    return plan(
        grid=grid,
        width=conditions.width,
        height=conditions.height,
        frames=conditions.frames,
        frame_rate=conditions.frame_rate,
        positions=[anchor.position for anchor in conditions.anchors],
        pixels=settings.pixels,
        hands_on=conditions.hands_on,
    )


def make_segment(conditions: Conditions, grid: NativeGrid, planned: Plan) -> Generator[Window, Rgb, Native]:
    """Yield the windows of a segment, one after the other; each is to be answered with its frames, as ``Window`` says.

    TT2V segments of the same content start from the same noise, so that they show one world; one that goes on from the
    segment before has noise of its own, or the same motion would begin again.
    Each window is given the last frames of the one before as known, and is faded in over them; the first those of the
    segment before, where that has handed any on.
    """
    size = planned.width, planned.height
    seed = conditions.seed if conditions.opening or conditions.scene_seed is None else conditions.scene_seed
    known, wanted = _anchors(conditions, planned)
    guide = _guide(conditions, planned) if conditions.mode == common_pb2.MODE_VT2V else None
    if guide is not None:
        wanted = {n: tones(from_rgb(frame, conditions.color_matrix)) for n, frame in enumerate(guide)}
    frames: Rgb = np.zeros((len(planned.times), size[1], size[0], 3), np.uint8)
    opening = [_native(picture, conditions, planned) for picture in conditions.opening[: grid.overlap]]
    frames[: len(opening)] = opening or 0
    for number, start in enumerate(planned.windows):
        end = start + planned.window_frames
        before = range(start, start + (grid.overlap if number else len(opening)))
        given = {n: frames[n].copy() for n in before} | {n: each for n, each in known.items() if start <= n < end}
        made = yield Window(
            prompt=" ".join(conditions.text.split()),
            frames=planned.window_frames,
            width=size[0],
            height=size[1],
            frame_rate=conditions.frame_rate / planned.stride,
            noise=_noise(seed, number),
            known={n - start: given[n] for n in sorted(given)},
            guide=None if guide is None else guide[start:end],
        )
        frames[start + len(before) : end] = made[len(before) :]
        for place, n in enumerate(before, 1):
            frames[n] = _faded(frames[n], made[n - start], place / (len(before) + 1))
    return Native(planned, frames, wanted)


def _noise(seed: int, window: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed((seed * WINDOW_SEEDS + window) & _SEED_BITS)


def _faded(before: Rgb, after: Rgb, share: float) -> Rgb:
    mixed = before + np.float32(share) * (after.astype(np.float32) - before)
    return np.rint(mixed).astype(np.uint8)


def _anchors(conditions: Conditions, planned: Plan) -> tuple[dict[int, Rgb], dict[int, Tones]]:
    known, wanted = {}, {}
    for native, number in planned.anchors.items():
        picture = resize(conditions.anchors[number].picture, planned.width, planned.height)
        known[native], wanted[native] = to_rgb(picture, conditions.color_matrix), tones(picture)
    return known, wanted


def _guide(conditions: Conditions, planned: Plan) -> Rgb:
    """Return the low-rate video at the native size and rate; past the segment's end its last picture stays."""
    guide: Rgb = np.zeros((len(planned.times), planned.height, planned.width, 3), np.uint8)
    place, last = 0, guide[0]
    for position, picture in enumerate(filled(conditions)):
        if place < len(planned.times) and planned.times[place] <= position:
            last = _native(picture, conditions, planned)
            guide[place] = last
            place += 1
    guide[place:] = last
    return guide


def _native(picture: Picture, conditions: Conditions, planned: Plan) -> Rgb:
    return to_rgb(resize(picture, planned.width, planned.height), conditions.color_matrix)
