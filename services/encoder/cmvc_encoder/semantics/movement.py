"""Measures how the camera and the things in front of it move, on tiny pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.media.picture import Picture

Floats = NDArray[np.float32]
_PIXELS = 112 * 63
_PAIRS = 10  # measured at most


@dataclass(frozen=True)
class Movement:
    """What was measured; lengths are in units of sqrt(width * height) of the picture, times in seconds.

    Attributes:
        pan, tilt: velocity of the camera to the right and downwards.
        zoom: growth rate of the picture.
        shake: deviation of the camera's velocity from its mean.
        velocity: mean velocity of each pixel on the screen, (height, width, 2).
        unrest: mean speed of each pixel against the camera, (height, width).
        brightening: change of the mean luma, as a share of it.
        flicker: deviation of the mean luma from a steady course, as a share of it.
    """

    pan: float
    tilt: float
    zoom: float
    shake: float
    velocity: Floats
    unrest: Floats
    brightening: float
    flicker: float


def measure_movement(pictures: Sequence[Picture], frame_rate: Fraction) -> Movement:
    """Measure frames of one shot."""
    first = pictures[0]
    scale = min((_PIXELS / (first.width * first.height)) ** 0.5, 1.0)
    size = tuple(max(round(side * scale), 16) for side in (first.width, first.height))
    width, height = size
    unit = float(np.sqrt(width * height))
    flow_search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow_search.setFinestScale(0)
    step = max(round(float(frame_rate) / 12), 1)
    starts = _spread(len(pictures) - step, _PAIRS)
    flows, cameras, lumas = [], [], []
    for start in starts:
        a, b = (_small(pictures[i], width, height) for i in (start, start + step))
        flow = flow_search.calc(a, b, np.zeros((height, width, 2), np.float32)) * (float(frame_rate) / step / unit)
        flows.append(np.asarray(flow, np.float32))
        cameras.append(_camera_of(flows[-1], _edges(a)))
        lumas.append(float(a.mean()))
    if not flows:
        return Movement(
            0, 0, 0, 0, np.zeros((height, width, 2), np.float32), np.zeros((height, width), np.float32), 0, 0
        )
    path = np.array(cameras)
    pan, tilt, zoom = (float(v) for v in np.median(path, 0))
    rest = [np.linalg.norm(f - _flow_of(c, width, height), axis=-1) for f, c in zip(flows, cameras, strict=True)]
    light = np.array(lumas) / max(float(np.mean(lumas)), 1.0)
    course = np.polyval(np.polyfit(np.arange(len(light)), light, 1), np.arange(len(light))) if len(light) > 1 else light
    return Movement(
        pan=-pan,
        tilt=-tilt,
        zoom=zoom,
        shake=float(np.hypot(*path[:, :2].std(0))),
        velocity=np.asarray(np.mean(flows, 0), np.float32),
        unrest=np.asarray(np.mean(rest, 0), np.float32),
        brightening=float(course[-1] - course[0]),
        flicker=float((light - course).std()),
    )


def _spread(count: int, most: int) -> list[int]:
    """Return up to ``most`` numbers spread over 0..count-1."""
    if count <= 0:
        return []
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, most))})


def _small(picture: Picture, width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture.y, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _offsets(width: int, height: int) -> tuple[Floats, Floats]:
    """Return x and y from the middle, in units of the picture."""
    unit = float(np.sqrt(width * height))
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / unit
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / unit
    return x[None, :], y[:, None]


def _flow_of(camera: tuple[float, float, float], width: int, height: int) -> Floats:
    x, y = _offsets(width, height)
    right, down, zoom = camera
    shape = (height, width)
    return np.stack([np.broadcast_to(right + zoom * x, shape), np.broadcast_to(down + zoom * y, shape)], -1)


def _edges(luma: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the pixels whose motion can be seen: the half with the steepest edges."""
    steep = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1))
    return np.asarray(steep >= np.median(steep), np.bool_)


def _camera_of(flow: Floats, seen: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the (right, down, zoom) that most of the ``seen`` pixels follow: least squares, thrice."""
    height, width = flow.shape[:2]
    x, y = (np.broadcast_to(v, (height, width))[seen] for v in _offsets(width, height))
    u, v = flow[..., 0][seen], flow[..., 1][seen]
    right, down, zoom = float(np.median(u)), float(np.median(v)), 0.0
    for _ in range(3):
        error = np.hypot(u - right - zoom * x, v - down - zoom * y)
        keep = error <= np.median(error) * 1.5 + 1e-4
        ones, zeros = np.ones(int(keep.sum())), np.zeros(int(keep.sum()))
        rows = np.concatenate([np.stack([ones, zeros, x[keep]], 1), np.stack([zeros, ones, y[keep]], 1)])
        solved, *_ = np.linalg.lstsq(rows, np.concatenate([u[keep], v[keep]]), rcond=None)
        right, down, zoom = (float(s) for s in solved)
    return right, down, zoom
