"""Which tokens attend to each other: those of one window, of equal size everywhere, through all frames of a chunk.

Windows tile the picture from the top left, or from half a window before it (``shifted``). One that would leave the
picture is moved inside, and so overlaps its neighbour: no mask and no padding is needed, and a token in two windows
takes what comes of one of them, the first where they are not shifted and the last where they are. (Windowed attention
of "SwiftVR: Real-Time One-Step Generative Video Restoration", arXiv 2606.09516, after Liu et al. 2021, "Swin
Transformer".)
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import torch


@dataclass(frozen=True)
class Windows:
    """How tokens get into windows and back.

    Attributes:
        count: of windows.
        gather: token of each place in each window, (windows * places).
        owner: place among all those that each token takes its result from, (tokens).
    """

    count: int
    gather: torch.Tensor
    owner: torch.Tensor


@lru_cache(maxsize=16)
def windows(chunk: tuple[int, int, int], size: tuple[int, int], shifted: bool, device: torch.device) -> Windows:
    """Return the windows of a chunk.

    Args:
        chunk: its frames, height and width, in tokens.
        size: height and width of a window, in tokens; what is larger than the picture is cut to it.
        shifted: whether they begin half a window before the picture.
        device: of the result.
    """
    _, height, width = chunk
    tokens = torch.arange(prod(chunk)).view(chunk)
    high, wide = min(size[0], height), min(size[1], width)
    found = [
        tokens[:, top : top + high, left : left + wide].flatten()
        for top in starts(height, size[0], shifted)
        for left in starts(width, size[1], shifted)
    ]
    owner = torch.empty(tokens.numel(), dtype=torch.long)
    places = len(found[0])
    order = range(len(found)) if shifted else reversed(range(len(found)))
    for number in order:  # a later one takes over what is in two
        owner[found[number]] = torch.arange(number * places, (number + 1) * places)
    return Windows(len(found), torch.cat(found).to(device), owner.to(device))


def starts(length: int, window: int, shifted: bool) -> list[int]:
    """Return where windows begin along one side, in tokens; none whose neighbours cover it."""
    if length <= window:
        return [0]
    first = -(window // 2) if shifted else 0
    found = sorted({min(max(start, 0), length - window) for start in range(first, length, window)})
    inner = [each for before, each, after in zip(found, found[1:], found[2:], strict=False) if after > before + window]
    return [found[0], *inner, found[-1]]
