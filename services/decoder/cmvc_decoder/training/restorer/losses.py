"""What the restorer is trained to make small: errors in dB, as the encoder's measure has them.

In dB every patch counts alike: where much was lost little can be won back, and plain errors would drown the rest.
"""

import torch
from torch import Tensor
from torch.nn import functional

from cmvc_decoder.training.restorer.batches import Batch, Parts
from cmvc_decoder.training.restorer.network import Restorer

_CHROMA_WEIGHT = 0.2
_ERROR_FLOOR, CHROMA_FLOOR = 2.0, 1.0  # squared codes below which errors do not matter
STRUCTURE_FLOOR = 0.003  # likewise, of 1 - similarity
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SCALES, _WINDOW = 2, 7


def squared_error(shown: Tensor, source: Tensor) -> Tensor:
    """Return the mean squared error of each picture (n,) of codes (n, c, h, w)."""
    return ((shown - source) ** 2).mean((1, 2, 3))


def similarity(shown: Tensor, source: Tensor) -> Tensor:
    """Return the mean over scales 1/2 and 1/4 of SSIM (Wang et al., 2004) of lumas (n, 1, h, w) in codes, (n,).

    Windows are squares of 7x7 samples, every second one: a hundredth of the work of Gaussian ones at all places.
    """
    means = []
    for _ in range(_SCALES):
        shown, source = functional.avg_pool2d(shown, 2), functional.avg_pool2d(source, 2)
        stacked = torch.cat([shown, source, shown * shown, source * source, shown * source], 1)
        x, y, xx, yy, xy = functional.avg_pool2d(stacked, _WINDOW, 2).unbind(1)
        both, squares = x * y, x * x + y * y
        terms = (2 * (xy - both) + _C2) / (xx + yy - squares + _C2) * (2 * both + _C1) / (squares + _C1)
        means.append(terms.mean((1, 2)))
    return torch.stack(means).mean(0)


def decibels(errors: Tensor, floor: float) -> Tensor:
    """Return the mean in dB of errors (n,) above a floor."""
    return 10 * torch.log10(errors + floor).mean()


def fidelity(_network: Restorer, batch: Batch, shown: Parts) -> Tensor:
    """Return the loss of luma and chroma: luma's error and its loss of structure, chroma's error, in dB."""
    (luma, chroma), (luma_source, chroma_source) = shown, batch.source
    return (
        decibels(squared_error(luma, luma_source), _ERROR_FLOOR)
        + decibels(1 - similarity(luma, luma_source), STRUCTURE_FLOOR)
        + _CHROMA_WEIGHT * decibels(squared_error(chroma, chroma_source), CHROMA_FLOOR)
    )
