"""From a low frame rate back to the full one."""

from collections.abc import Iterable, Iterator
from itertools import islice

import cv2
import numpy as np

from cmvc.media.picture import Picture, resize


def fill_frames(
    coded: Iterable[Picture], step: int, frames: int, following: Picture | None = None
) -> Iterator[Picture]:
    """Yield ``frames`` pictures, of which number ``k * step`` is coded picture k itself.

    Pictures in between are cross-faded from their two neighbours, because that invents nothing. After the last coded
    picture the fade goes towards ``following`` (the picture after the segment), or the last one stays.
    """
    return islice(coded if step == 1 else _fade(coded, step, frames, following), frames)


def _fade(coded: Iterable[Picture], step: int, frames: int, following: Picture | None) -> Iterator[Picture]:
    before: Picture | None = None
    position = 0
    for picture in coded:
        if before is not None:
            yield from _between(before, picture, step)
            position += step
        before = picture
    if before is None:
        return
    last = resize(following, before.width, before.height) if following else before
    yield from _between(before, last, max(frames - position, 1))


def _between(before: Picture, after: Picture, step: int) -> Iterator[Picture]:
    yield before
    for k in range(1, step):
        yield mix(before, after, k / step)


def mix(before: Picture, after: Picture, weight: float) -> Picture:
    """Return ``before * (1 - weight) + after * weight``; both must be of one size."""
    planes = (
        np.asarray(cv2.addWeighted(a, 1.0 - weight, b, weight, 0.0), np.uint8)
        for a, b in zip(before.planes, after.planes, strict=True)
    )
    return Picture(*planes)
