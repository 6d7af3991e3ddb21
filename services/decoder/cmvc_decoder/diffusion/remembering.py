"""Layers of TAEHV's architecture: convolutions over single frames, and blocks that see the frame before as well.

What they remember between chunks is one frame of each block, so that chunks one after the other come to what the whole
at once would. (Ollin Boer Bohan, github.com/madebyollin/taehv, MIT.)
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

Memory = dict[int, torch.Tensor]
"""The last frame that each remembering block has seen, by its place among the layers: (videos, 1, channels, ...)."""


class RememberingBlock(nn.Module):
    """A residual block that sees a frame and the one before."""

    def __init__(self, width: int) -> None:
        """Build it for so many channels."""
        super().__init__()
        self.conv = nn.Sequential(conv(2 * width, width), nn.ReLU(), conv(width, width), nn.ReLU(), conv(width, width))

    def forward(self, frames: Any, before: Any) -> Any:
        """Return frames, (frames, channels, height, width), shaped as both arguments."""
        return functional.relu(self.conv(torch.cat([frames, before], dim=1)) + frames)


class SoftClamp(nn.Module):
    """Keeps latents within -3..3."""

    def forward(self, latents: Any) -> Any:
        """Return latents."""
        return torch.tanh(latents / 3) * 3


def conv(before: int, after: int, *, bias: bool = True) -> nn.Conv2d:
    """Return a convolution of 3x3 from so many channels to so many."""
    return nn.Conv2d(before, after, 3, padding=1, bias=bias)


def remembering(width: int) -> list[RememberingBlock]:
    """Return the three blocks of a level."""
    return [RememberingBlock(width) for _ in range(3)]


def through(layers: nn.Sequential, videos: Any, memory: Memory) -> Any:
    """Return what layers for single frames make of frames that follow those before.

    Args:
        layers: one after the other.
        videos: (videos, frames, channels, height, width).
        memory: empty for the first frames; changed to what the next ones need.
    """
    count, frames = len(videos), videos.flatten(0, 1)
    for place, layer in enumerate(layers):
        if not isinstance(layer, RememberingBlock):
            frames = layer(frames)
            continue
        now = frames.unflatten(0, (count, -1))
        last = memory[place] if place in memory else torch.zeros_like(now[:, :1])
        memory[place] = now[:, -1:].clone()  # not all of it is to be kept for one frame's sake
        frames = layer(frames, torch.cat([last, now[:, :-1]], dim=1).flatten(0, 1))
    return frames.unflatten(0, (count, -1))
