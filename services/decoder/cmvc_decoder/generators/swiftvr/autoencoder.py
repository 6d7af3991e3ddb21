"""The autoencoder of SwiftVR (ReAE): convolutions over single frames, and blocks that remember the frame before.

48 channels of latents stand for 16x16 pixels of four frames. What it remembers between chunks is one frame of each
block, so that chunks one after the other come to what the whole at once would. The layers are those of TAEHV (MIT,
github.com/madebyollin/taehv), wider in the decoder.
"""

from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional

from cmvc_decoder.diffusion.remembering import Memory, SoftClamp, conv, remembering, through

PATCH = 2  # pixels a side that the first and the last layer take as channels of one
FRAMES_PER_LATENT = 4
_RGB = 3


class SwiftVrAutoencoder(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers has no types
    """Encoder and decoder. The names of their layers are those of the published ``reae.safetensors``."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        latent_channels: int = 48,
        encoder_width: int = 64,
        decoder_widths: tuple[int, int, int, int] = (512, 256, 128, 64),
    ) -> None:
        """Build the layers, with random weights.

        Args:
            latent_channels: of latents.
            encoder_width: channels of all of the encoder's layers.
            decoder_widths: of the decoder's levels, coarsest first.
        """
        super().__init__()
        pixels, wide = _RGB * PATCH**2, encoder_width
        a, b, c, d = decoder_widths
        self.encoder = nn.Sequential(
            *(conv(pixels, wide), nn.ReLU(), FewerFrames(wide, 2), _halving(wide), *remembering(wide)),
            *(FewerFrames(wide, 2), _halving(wide), *remembering(wide)),
            *(FewerFrames(wide, 1), _halving(wide), *remembering(wide)),
            conv(wide, latent_channels),
        )
        self.decoder = nn.Sequential(
            *(SoftClamp(), conv(latent_channels, a), nn.ReLU()),
            *(*remembering(a), nn.Upsample(scale_factor=2), SameFrames(a), conv(a, b, bias=False)),
            *(*remembering(b), nn.Upsample(scale_factor=2), TwiceFrames(b), conv(b, c, bias=False)),
            *(*remembering(c), nn.Upsample(scale_factor=2), TwiceFrames(c), conv(c, d, bias=False)),
            *(nn.ReLU(), conv(d, pixels)),
        )

    def encode(self, frames: Any, memory: Memory) -> Any:
        """Return latents, (videos, frames / 4, channels, height / 16, width / 16).

        Args:
            frames: that follow those before, (videos, frames, 3, height, width) RGB, 0..1; a multiple of 4 of them,
                height and width divide by 16.
            memory: of the encoder, empty for the first frames; changed to what the next frames need.
        """
        return through(self.encoder, functional.pixel_unshuffle(frames, PATCH), memory)

    def decode(self, latents: Any, memory: Memory) -> Any:
        """Return frames, (videos, latents * 4, 3, height, width) RGB, 0..1.

        The first latents of a video give three frames too many, which come first: those before its first one.

        Args:
            latents: that follow those before, shaped as ``encode`` gives them.
            memory: of the decoder, likewise.
        """
        return functional.pixel_shuffle(through(self.decoder, latents, memory).clamp(0, 1), PATCH)


class FewerFrames(nn.Module):
    """Makes one frame of ``step``."""

    def __init__(self, width: int, step: int) -> None:
        """Build it for so many channels."""
        super().__init__()
        self._step = step
        self.conv = nn.Conv2d(width * step, width, 1, bias=False)

    def forward(self, frames: Any) -> Any:
        """Return frames, a ``step``-th as many."""
        _, channels, height, width = frames.shape
        return self.conv(frames.reshape(-1, self._step * channels, height, width))


class SameFrames(nn.Module):
    """Stands where frames could become more, and mixes channels."""

    def __init__(self, width: int) -> None:
        """Build it for so many channels."""
        super().__init__()
        self.proj = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, frames: Any) -> Any:
        """Return as many frames."""
        return self.proj(frames)


class TwiceFrames(nn.Module):
    """Makes two frames of each: it is shown twice, and three taps in time go over the two, black before and after.

    Each of the two then sees the same frame through two taps, so that their sums are what is applied.
    """

    def __init__(self, width: int) -> None:
        """Build it for so many channels."""
        super().__init__()
        self.conv3d = nn.Conv3d(width, width, (3, 1, 1), bias=False)

    def forward(self, frames: Any) -> Any:
        """Return frames, twice as many."""
        before, now, after = self.conv3d.weight.unbind(dim=2)
        made = functional.conv2d(frames, torch.cat([now + after, before + now]))
        return made.view(2 * len(frames), -1, *made.shape[2:])


def _halving(width: int) -> nn.Conv2d:
    return nn.Conv2d(width, width, 3, padding=1, stride=2, bias=False)
