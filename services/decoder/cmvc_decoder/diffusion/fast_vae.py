"""The fast decoder of Wan's latents: some fifty times less to compute than the VAE's own, and a little less sharp.

Convolutions over single frames, with blocks that see the frame before as well. Its architecture is TAEHV's (Ollin Boer
Bohan, github.com/madebyollin/taehv, MIT), and so are the names of its layers: weights are loaded as they are published.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from cmvc.errors import MissingWeightsError
from cmvc.profiles.wan_vace import FAST_VAE_FILE
from cmvc.profiles.weights import FAST_VAE
from cmvc_decoder.diffusion.loading import require
from cmvc_decoder.speed.options import SpeedOptions

CHANNELS = 16  # of Wan's latents
WIDTHS = 256, 128, 64, 64  # channels of the layers, coarsest first; each level but the first has twice the size
FRAMES_PER_LATENT = 4
_LATENTS_AT_ONCE = 2  # of a video; its finest layers take 0.4 GB for each at 480x832
_PART = "decoder."  # of the published file, which has the encoder too

Memory = dict[int, torch.Tensor]
"""The last frame that each block has seen, by its place among the layers: (1, channels, height, width)."""


class FastVae:
    """The decoder with the weights of a model store, loaded when it is first used."""

    def __init__(self, folder: Path, speed: SpeedOptions) -> None:
        """Take note of where it is, and how it is to run.

        Args:
            folder: of the profile's weights.
            speed: device and number format.
        """
        self._folder = folder
        self._speed = speed
        self._decoder: FastDecoder | None = None

    def load(self) -> "FastDecoder":
        """Return the decoder.

        Raises:
            MissingWeightsError: its weights are not there, or others.
        """
        if self._decoder is None:
            require(self._folder, FAST_VAE, optional=True)
            decoder = FastDecoder()
            path = self._folder / FAST_VAE / FAST_VAE_FILE
            try:
                weights = load_file(path)
                decoder.load_state_dict({key: each for key, each in weights.items() if key.startswith(_PART)})
            except (OSError, SafetensorError, RuntimeError) as error:
                raise MissingWeightsError(
                    f"{path} is no decoder of Wan's latents: {error}; run: cmvc models pull --optional "
                    f"{self._folder.name}"
                ) from None
            self._decoder = decoder.eval().to(self._speed.device, getattr(torch, self._speed.dtype))
        return self._decoder


class FastDecoder(nn.Module):
    """The layers, with random weights."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        """Build them with so many channels at each level."""
        super().__init__()
        a, b, c, d = widths
        self.decoder = nn.Sequential(
            *(_SoftClamp(), _conv(CHANNELS, a), nn.ReLU()),
            *(*_blocks(a), nn.Upsample(scale_factor=2), _MoreFrames(a, 1), _conv(a, b, bias=False)),
            *(*_blocks(b), nn.Upsample(scale_factor=2), _MoreFrames(b, 2), _conv(b, c, bias=False)),
            *(*_blocks(c), nn.Upsample(scale_factor=2), _MoreFrames(c, 2), _conv(c, d, bias=False)),
            *(nn.ReLU(), _conv(d, 3)),
        )

    def decode(self, latents: Any) -> Any:
        """Return the frames of one video, (frames, 3, 8 height, 8 width) RGB, 0..1.

        Args:
            latents: as the denoiser leaves them, (channels, latents, height, width): the first of them stands for one
                frame, each other one for four.
        """
        memory: Memory = {}
        weight = self.decoder[1].weight
        parts = latents.transpose(0, 1).to(weight.device, weight.dtype).split(_LATENTS_AT_ONCE)
        frames = torch.cat([self._through(part, memory).clamp(0, 1) for part in parts])
        return frames[FRAMES_PER_LATENT - 1 :]  # what comes first would be before the video

    def _through(self, frames: Any, memory: Memory) -> Any:
        """Return what all layers make of frames that follow those before."""
        for place, layer in enumerate(self.decoder):
            if not isinstance(layer, _Block):
                frames = layer(frames)
                continue
            last = memory[place] if place in memory else torch.zeros_like(frames[:1])
            memory[place] = frames[-1:].clone()  # not all frames are to be kept for one's sake
            frames = layer(frames, torch.cat([last, frames[:-1]]))
        return frames


class _Block(nn.Module):
    """A residual block that sees each frame beside the one before."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(2 * width, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width)
        )

    def forward(self, frames: Any, before: Any) -> Any:
        return functional.relu(self.conv(torch.cat([frames, before], dim=1)) + frames)


class _MoreFrames(nn.Module):
    """Makes ``times`` frames of each."""

    def __init__(self, width: int, times: int) -> None:
        super().__init__()
        self._times = times
        self.conv = nn.Conv2d(width, width * times, 1, bias=False)

    def forward(self, frames: Any) -> Any:
        return self.conv(frames).unflatten(1, (self._times, -1)).flatten(0, 1)


class _SoftClamp(nn.Module):
    """Keeps latents within -3..3."""

    def forward(self, latents: Any) -> Any:
        return torch.tanh(latents / 3) * 3


def _conv(before: int, after: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, bias=bias)


def _blocks(width: int) -> list[_Block]:
    return [_Block(width) for _ in range(3)]
