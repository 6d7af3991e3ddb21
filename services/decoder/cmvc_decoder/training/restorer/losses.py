"""What the restorer is trained to make small: the distance to the source, and luma's loss of structure."""

import torch
from torch import Tensor
from torch.nn import functional

_CHROMA_WEIGHT = 0.25
_STRUCTURE_WEIGHT = 6.0  # of 1 - similarity, about as large as the distance, in codes
_SOFT = 1.0  # codes; Charbonnier's epsilon
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SCALES = 3
_SIGMA, _TAPS = 1.5, 11


def distance(shown: Tensor, source: Tensor) -> Tensor:
    """Return the Charbonnier distance of codes, a mean over all samples."""
    return torch.sqrt((shown - source) ** 2 + _SOFT**2).mean() - _SOFT


def _kernel() -> Tensor:
    taps = torch.arange(_TAPS, dtype=torch.float32) - _TAPS // 2
    weights = torch.exp(-(taps**2) / (2 * _SIGMA**2))
    weights = weights / weights.sum()
    return weights


def _blur(planes: Tensor, kernel: Tensor) -> Tensor:
    planes = functional.conv2d(planes, kernel.view(1, 1, 1, -1).to(planes))
    return functional.conv2d(planes, kernel.view(1, 1, -1, 1).to(planes))


def similarity(shown: Tensor, source: Tensor) -> Tensor:
    """Return the mean over scales 1, 1/2 and 1/4 of SSIM (Wang et al., 2004) of lumas (n, 1, h, w) in codes."""
    kernel, means = _kernel(), []
    for scale in range(_SCALES):
        if scale:
            shown, source = functional.avg_pool2d(shown, 2), functional.avg_pool2d(source, 2)
        stacked = torch.cat([shown, source, shown * shown, source * source, shown * source])
        x, y, xx, yy, xy = _blur(stacked, kernel).chunk(5)
        both, squares = x * y, x * x + y * y
        terms = (2 * (xy - both) + _C2) / (xx + yy - squares + _C2) * (2 * both + _C1) / (squares + _C1)
        means.append(terms.mean())
    return torch.stack(means).mean()


def fidelity(shown: tuple[Tensor, Tensor], source: tuple[Tensor, Tensor]) -> Tensor:
    """Return the loss of luma and chroma: their distances, and how much of luma's structure is lost."""
    (luma, chroma), (luma_source, chroma_source) = shown, source
    return (
        distance(luma, luma_source)
        + _CHROMA_WEIGHT * distance(chroma, chroma_source)
        + _STRUCTURE_WEIGHT * (1 - similarity(luma, luma_source))
    )
