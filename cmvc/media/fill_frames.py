"""From a low frame rate back to the full one."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice

import cv2
import numpy as np

from cmvc.media.motion_fill import FOLLOWED_PIXELS, Field, motion_between, picture_between
from cmvc.media.picture import Picture
from cmvc.media.scaling import resize


def fill_frames(
    coded: Iterable[Picture],
    step: int,
    frames: int,
    following: Picture | None = None,
    *,
    by_motion: bool = False,
    every: int = 1,
) -> Iterator[Picture]:
    """Yield ``frames`` pictures, of which number ``k * step`` is coded picture k itself.

    After the last coded picture they go on towards ``following`` (the picture after the segment), or that one stays.

    Args:
        coded: pictures of one size.
        step: frames from one to the next.
        frames: how many there are.
        following: None where the shot ends.
        by_motion: pictures in between follow what moves, unless they are large, instead of being cross-faded from their
            two neighbours.
        every: only every so many pictures are made, from the first on.
    """
    if step == 1:
        yield from islice(coded, 0, frames, every)
        return
    position = 0
    for gap in _gaps(coded, step, frames, following, by_motion=by_motion):
        yield from (gap.at(number) for number in range(-position % every, gap.length, every))
        position += gap.length


def _gaps(
    coded: Iterable[Picture], step: int, frames: int, following: Picture | None, *, by_motion: bool
) -> Iterator["_Gap"]:
    before: Picture | None = None
    left = frames
    for picture in coded:
        if before is not None and left > 0:
            yield _Gap(before, picture, min(step, left), step, by_motion=by_motion)
            left -= step
        before = picture
    if before is not None and left > 0:
        yield _Gap(before, following, left, left, by_motion=by_motion)


class _Gap:
    """A coded picture and those up to the next one."""

    def __init__(self, before: Picture, after: Picture | None, length: int, steps: int, *, by_motion: bool) -> None:
        """Take both, how many pictures there are from the first on, and in how many the second would be reached."""
        self._before = before
        self._after = resize(after, before.width, before.height) if after else None
        self.length = length
        self._steps = steps
        self._by_motion = by_motion and before.width * before.height <= FOLLOWED_PIXELS

    def at(self, number: int) -> Picture:
        if number == 0 or self._after is None:
            return self._before
        if self._by_motion:
            return picture_between(self._before, self._after, self._field, number, self._steps)
        return mix(self._before, self._after, number / self._steps)

    @cached_property
    def _field(self) -> Field:
        assert self._after is not None
        return motion_between(self._before.y, self._after.y)


def mix(before: Picture, after: Picture, weight: float) -> Picture:
    """Return ``before * (1 - weight) + after * weight``; both must be of one size."""
    planes = (
        np.asarray(cv2.addWeighted(a, 1.0 - weight, b, weight, 0.0), np.uint8)
        for a, b in zip(before.planes, after.planes, strict=True)
    )
    return Picture(*planes)
