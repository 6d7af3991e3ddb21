"""Between 8-bit RGB frames and the tensors that models see."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from cmvc.media.rgb import Rgb
from cmvc_decoder.diffusion.profile import Window


def from_bytes(frames: Rgb) -> torch.Tensor:
    """Return (frames, height, width, 3) RGB, 0..255, as (frames, 3, height, width) float32, 0..1."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255


def to_bytes(frames: Any) -> Rgb:
    """Return (frames, 3, height, width), 0..1, as (frames, height, width, 3), 0..255; rounded where the tensor is."""
    return np.asarray((frames.float() * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())


def known_frames(windows: Sequence[Window], position: int) -> torch.Tensor:
    """Return the frame known at ``position`` in each window, (windows, 3, height, width), 0..1."""
    return torch.cat([from_bytes(window.known[position][None]) for window in windows])
