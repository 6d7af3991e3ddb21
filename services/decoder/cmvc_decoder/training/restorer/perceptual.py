"""The loss of the restorer that invents detail: LPIPS by VGG16, colours and brightness kept, corrections that stay.

LPIPS by AlexNet is left to judge what comes of it, and never trained on.
"""

import torch
from torch import Tensor
from torch.nn import functional

from cmvc.perceptual.metrics import Weights, lpips_each
from cmvc_decoder.training.restorer.batches import Batch, Parts
from cmvc_decoder.training.restorer.losses import CHROMA_FLOOR, STRUCTURE_FLOOR, decibels, similarity, squared_error
from cmvc_decoder.training.restorer.network import Restorer

_LPIPS_WEIGHT = 40.0  # of LPIPS, about 0.3 to 0.6, beside errors in dB
_SEEN = 64  # pixels a side that LPIPS is given, from the middle: it was fitted to patches of that size
_COARSE = 4  # pixels a side whose mean brightness has to be right: within them detail may be made up
_COARSE_WEIGHT, _STRUCTURE_WEIGHT, _CHROMA_WEIGHT = 0.5, 0.3, 0.1
_COARSE_FLOOR = 1.0  # squared codes below which errors do not matter
_STEADY_WEIGHT = 0.5  # of each code that a correction changes where the picture stays
_STAYS = 2.0  # codes of change from picture to picture; more counts little
_BT709 = ((1.0, 0.0, 1.5748), (1.0, -0.1873, -0.4681), (1.0, 1.8556, 0.0))


class Perceptual:
    """The loss; a callable, as ``losses.fidelity`` is."""

    def __init__(self, weights: Weights) -> None:
        """Keep the weights of LPIPS, on the device that trains; see ``load_weights``."""
        self._weights = weights

    def __call__(self, network: Restorer, batch: Batch, shown: Parts) -> Tensor:
        """Return the loss of what ``network`` showed."""
        luma, chroma = shown
        luma_source, chroma_source = batch.source
        coarse = functional.avg_pool2d(luma, _COARSE), functional.avg_pool2d(luma_source, _COARSE)
        return (
            _LPIPS_WEIGHT * self.lpips("vgg16", batch, shown).mean()
            + _COARSE_WEIGHT * decibels(squared_error(*coarse), _COARSE_FLOOR)
            + _STRUCTURE_WEIGHT * decibels(1 - similarity(luma, luma_source), STRUCTURE_FLOOR)
            + _CHROMA_WEIGHT * decibels(squared_error(chroma, chroma_source), CHROMA_FLOOR)
            + _STEADY_WEIGHT * _unsteady(network, batch, luma)
        )

    def lpips(self, net: str, batch: Batch, shown: Parts) -> Tensor:
        """Return LPIPS of what was shown, (n,); see ``lpips_each``."""
        return lpips_each(self._weights, net, _middle(rgb(*shown)), _middle(rgb(*batch.source)))


def rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    """Return planes in codes of limited range as RGB of BT.709, (n, 3, h, w), 0..1."""
    wide = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    values = torch.cat([(luma - 16) / 219, (wide - 128) / 224], 1)
    return torch.einsum("ij,njhw->nihw", values.new_tensor(_BT709), values).clamp(0, 1)


def _middle(pictures: Tensor) -> Tensor:
    top, left = ((side - _SEEN) // 2 for side in pictures.shape[-2:])
    return pictures[..., top : top + _SEEN, left : left + _SEEN]


def _unsteady(network: Restorer, batch: Batch, luma: Tensor) -> Tensor:
    """Return how much corrections of a picture and the one before differ, in codes, where these look alike.

    The one before the first is not at hand: the first stands in for it, as it does where a video begins.
    """
    before, now = batch.luma[:, :1], batch.luma[:, 1:2]
    earlier = network(batch.luma[:, [0, 0, 1]], batch.chroma, batch.told)[0]
    stays = torch.exp(-(((now - before) / _STAYS) ** 2))
    unsteady: Tensor = (stays * ((luma - now) - (earlier - before)).abs()).mean()
    return unsteady
