"""How near a coded picture comes to the original."""

import math
from collections.abc import Iterable

import cv2

from cmvc.media.picture import Picture, resize_luma

PEAK = 255.0


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
    return 10 * math.log10(PEAK**2 / mean) if mean > PEAK**2 * 1e-10 else 100.0
