"""How near a coded picture comes to the original."""

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.media.picture import Picture, Plane
from cmvc.media.scaling import resize_luma

PEAK = 255.0
LEAST_MEASURED = 8  # frames of a window
_CADENCES = (5, 7, 11, 13, 17, 23, 31, 47)  # prime to all frame steps, so that frames in between are measured, too
MOST_DB = 100.0  # stands for infinity
_C1, _C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
_WINDOW, _SIGMA = (11, 11), 1.5
_STRUCTURE_WEIGHTS = (0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM's scales 1/2 to 1/16 (Wang et al., 2003)
_LEAST_SIDE = 8  # pixels of a scale; smaller ones say nothing

Pair = tuple[Plane, Plane]
Measure = Callable[[Sequence[Pair]], float]
"""From lumas of originals and of what is shown in their place, of one size, to a quality in dB; higher is better."""


def luma_error(reference: Picture, shown: Picture) -> float:
    """Return the mean squared luma error of two pictures of one size."""
    total: float = cv2.norm(reference.y, shown.y, cv2.NORM_L2SQR)
    return total / reference.y.size


def luma_error_resized(reference: Picture, shown: Picture) -> float:
    """Return the mean squared luma error of ``shown`` when it is brought to the size of ``reference``."""
    luma = resize_luma(shown, reference.width, reference.height)
    return luma_error(reference, Picture(luma, reference.u, reference.v))


def psnr_of_errors(errors: Iterable[float]) -> float:
    """Return the PSNR in dB of the mean of squared ``errors``; 100 where there is none."""
    values = list(errors)
    mean = sum(values) / max(len(values), 1)
    return 10 * math.log10(PEAK**2 / mean) if mean > PEAK**2 * 1e-10 else MOST_DB


def psnr(pairs: Sequence[Pair]) -> float:
    """Return the luma PSNR in dB of the mean squared error over all pairs."""
    return psnr_of_errors(cv2.norm(reference, shown, cv2.NORM_L2SQR) / reference.size for reference, shown in pairs)


def structure(pairs: Sequence[Pair]) -> float:
    """Return the structural similarity of luma in dB, -10 log10(1 - similarity), of the mean over the pairs.

    It is MS-SSIM (Wang, Simoncelli and Bovik, 2003) without its finest scale, which costs three quarters of the work.
    """
    similarity = fmean(_similarity(reference, shown) for reference, shown in pairs)
    return -10 * math.log10(max(1 - similarity, 10 ** (-MOST_DB / 10)))


def mixed(pairs: Sequence[Pair]) -> float:
    """Return the mean of ``psnr`` and ``structure``, in dB."""
    return (psnr(pairs) + structure(pairs)) / 2


MEASURES: dict[str, Measure] = {"psnr": psnr, "structure": structure, "mixed": mixed}
DEFAULT_MEASURE = "mixed"
"""What chooses between codings and between modes, by evidence (docs/adr/0024)."""


def cadence(frames: int, every: int, least: int = LEAST_MEASURED) -> int:
    """Return which frames of so many are measured: at most every so many, at least so many of them."""
    return max((each for each in _CADENCES if each <= min(every, frames // least)), default=1)


def _similarity(reference: Plane, shown: Plane) -> float:
    """Return the product of the weighted terms of four scales, 0..1."""
    a, b = _halved(reference), _halved(shown)
    result, weights = 1.0, 0.0
    for number, weight in enumerate(_STRUCTURE_WEIGHTS):
        smaller = None if number == len(_STRUCTURE_WEIGHTS) - 1 else _halved(a)
        last = smaller is None or min(smaller.shape) < _LEAST_SIDE
        result *= max(_ssim(a, b, with_luminance=last), 1e-6) ** weight
        weights += weight
        if last:
            break
        a, b = _halved(a), _halved(b)
    return float(result ** (1 / weights))


def _ssim(a: Plane, b: Plane, *, with_luminance: bool) -> float:
    """Return the mean of SSIM's contrast and structure term, times its luminance term where wanted."""
    x, y = a.astype(np.float32), b.astype(np.float32)
    mean_x, mean_y = _blurred(x), _blurred(y)
    both, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    covariance = _blurred(x * y) - both
    variances = _blurred(x * x + y * y) - squares
    terms = (2 * covariance + _C2) / (variances + _C2)
    if with_luminance:
        terms *= (2 * both + _C1) / (squares + _C1)
    return float(terms.mean())


def _blurred(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(plane, _WINDOW, _SIGMA), np.float32)


def _halved(plane: Plane) -> Plane:
    """Return the means of 2 x 2 samples; sides of one pixel stay."""
    height, width = plane.shape
    size = max(width // 2, 1), max(height // 2, 1)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
