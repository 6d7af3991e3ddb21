"""Patches as tensors, turned this way and that."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cmvc.restoration.condition import condition
from cmvc_decoder.training.restorer.pairs import Bytes, Coding, planes

Parts = tuple[Tensor, Tensor]
"""Luma (n, 1, h, w) and chroma (n, 2, h / 2, w / 2) in codes."""


@dataclass(frozen=True)
class Batch:
    """Patches on the device, as floats of codes, with what the network is told.

    Attributes:
        luma: (n, 3, h, w) as decoded: before, now and after.
        chroma: (n, 2, h / 2, w / 2) as decoded.
        told: (n, 2), see ``condition``.
        source: what was coded.
    """

    luma: Tensor
    chroma: Tensor
    told: Tensor
    source: Parts


def make_batch(patches: Bytes, codings: list[Coding], device: str) -> Batch:
    """Return patches as tensors."""
    parts = [torch.from_numpy(np.ascontiguousarray(part)).to(device).float() for part in planes(patches)]
    told = np.stack([condition(coding.scale, coding.quantiser) for coding in codings])
    return Batch(parts[0], parts[1], torch.from_numpy(told).to(device), (parts[2], parts[3]))


def turned(batch: Batch, rng: np.random.Generator) -> Batch:
    """Return the patches mirrored, laid on their side and played backwards by chance."""
    flips = [axis for axis in (-1, -2) if rng.integers(2)]
    order = [2, 1, 0] if rng.integers(2) else [0, 1, 2]
    aside = bool(rng.integers(2))

    def turn(part: Tensor) -> Tensor:
        part = part.flip(flips)
        return part.mT if aside else part

    return Batch(
        turn(batch.luma[:, order]), turn(batch.chroma), batch.told, (turn(batch.source[0]), turn(batch.source[1]))
    )
