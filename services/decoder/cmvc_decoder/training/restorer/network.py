"""The restorer's network, for training; ``export`` makes of it what decoders run.

It sees three pictures that were decoded and scaled to the wanted size, and adds a correction to the middle one. All
convolutions work on cells of 4x4 luma samples, so that the cost is that of the shown size whatever the coded one.
"""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmvc.restoration.condition import CELL

WIDTH = 48  # channels; a multiple of 16, as CPUs with wide vectors like it
BLOCKS = 2
_LUMA, _CHROMA = CELL * CELL, 2 * (CELL // 2) ** 2  # samples of a cell
_HIDDEN = 32
_AROUND = 5  # cells a side whose mean is taken out
_CONTRAST = 32.0  # codes that stand for 1 in the network
_CORRECTION = 4.0  # likewise, of what it adds


class Restorer(nn.Module):
    """Corrects 8-bit pictures."""

    def __init__(self) -> None:
        """Begin as what changes nothing: the last layer is zero."""
        super().__init__()
        self.head = nn.Conv2d(3 * _LUMA + _CHROMA + 3, WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(2)) for _ in range(BLOCKS)
        )
        self.tail = nn.Conv2d(WIDTH, _LUMA + _CHROMA, 3, padding=1)
        tuning = nn.Linear(_HIDDEN, 2 * WIDTH + _LUMA + _CHROMA)
        self.told = nn.Sequential(nn.Linear(2, _HIDDEN), nn.ReLU(), tuning)
        for parameter in self.tail.parameters():
            nn.init.zeros_(parameter)
        nn.init.normal_(tuning.weight, std=0.01)
        nn.init.zeros_(tuning.bias)

    def forward(self, luma: Tensor, chroma: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return the corrected luma (n, 1, h, w) and chroma (n, 2, h / 2, w / 2), unrounded codes.

        Args:
            luma: (n, 3, h, w) codes 0..255 of the previous, this and the next picture; sides divide by 4.
            chroma: (n, 2, h / 2, w / 2) codes of this picture.
            condition: (n, 2), see ``condition``.
        """
        scale, shift, gain = self.told(condition)[:, :, None, None].split([WIDTH, WIDTH, _LUMA + _CHROMA], 1)
        x = functional.relu(self.head(_standing_out(luma, chroma)) * (1 + scale) + shift)
        for first, second in cast("Iterable[tuple[nn.Module, nn.Module]]", self.blocks):
            x = x + second(functional.relu(first(x)))
        correction = self.tail(functional.relu(x)) * ((1 + gain) * _CORRECTION)
        return (
            luma[:, 1:2] + functional.pixel_shuffle(correction[:, :_LUMA], CELL),
            chroma + functional.pixel_shuffle(correction[:, _LUMA:], CELL // 2),
        )


def _standing_out(luma: Tensor, chroma: Tensor) -> Tensor:
    """Return the samples of each cell as channels, less the mean around it, and these means.

    What is to be corrected is a matter of a few codes; as it is it would drown in the brightness.
    """
    cells, colours = functional.pixel_unshuffle(luma, CELL), functional.pixel_unshuffle(chroma, CELL // 2)
    now = cells[:, _LUMA : 2 * _LUMA].mean(1, keepdim=True)
    samples = _CHROMA // 2
    tints = [part.mean(1, keepdim=True) for part in (colours[:, :samples], colours[:, samples:])]
    means = functional.avg_pool2d(torch.cat([now, *tints], 1), _AROUND, 1, _AROUND // 2, count_include_pad=False)
    luma_mean, *tint_means = means.chunk(3, 1)
    return torch.cat(
        [
            (cells - luma_mean) / _CONTRAST,
            (colours[:, :samples] - tint_means[0]) / _CONTRAST,
            (colours[:, samples:] - tint_means[1]) / _CONTRAST,
            means / 128 - 1,
        ],
        1,
    )
