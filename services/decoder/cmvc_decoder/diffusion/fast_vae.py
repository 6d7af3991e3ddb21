"""The fast decoder of Wan's latents: some fifty times less to compute than the VAE's own, and a little less sharp.

Its architecture is TAEHV's (see ``remembering``), and so are the names of its layers: weights are loaded as they are
published.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from cmvc.errors import MissingWeightsError
from cmvc.profiles.wan_vace import FAST_VAE_FILE
from cmvc.profiles.weights import FAST_VAE
from cmvc_decoder.diffusion.loading import require
from cmvc_decoder.diffusion.profile import Check
from cmvc_decoder.diffusion.remembering import Memory, SoftClamp, conv, remembering, through
from cmvc_decoder.speed.options import SpeedOptions

CHANNELS = 16  # of Wan's latents
WIDTHS = 256, 128, 64, 64  # channels of the layers, coarsest first; each level but the first has twice the size
FRAMES_PER_LATENT = 4
_LATENTS_AT_ONCE = 2  # of a video; its finest layers take 0.4 GB for each at 480x832
_PART = "decoder."  # of the published file, which has the encoder too


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

    def __init__(self) -> None:
        """Build them."""
        super().__init__()
        a, b, c, d = WIDTHS
        self.decoder = nn.Sequential(
            *(SoftClamp(), conv(CHANNELS, a), nn.ReLU()),
            *(*remembering(a), nn.Upsample(scale_factor=2), _MoreFrames(a, 1), conv(a, b, bias=False)),
            *(*remembering(b), nn.Upsample(scale_factor=2), _MoreFrames(b, 2), conv(b, c, bias=False)),
            *(*remembering(c), nn.Upsample(scale_factor=2), _MoreFrames(c, 2), conv(c, d, bias=False)),
            *(nn.ReLU(), conv(d, 3)),
        )

    def decode(self, latents: Any, check: Check) -> Any:
        """Return the frames of one video, (frames, 3, 8 height, 8 width) RGB, 0..1.

        Args:
            latents: as the denoiser leaves them, (channels, latents, height, width): the first of them stands for one
                frame, each other one for four.
            check: called before each part; raises to stop.
        """
        memory: Memory = {}
        made = []
        weight = self.decoder[1].weight
        parts = latents.transpose(0, 1).to(weight.device, weight.dtype).split(_LATENTS_AT_ONCE)
        for part in parts:
            check()
            made.append(through(self.decoder, part[None], memory)[0].clamp(0, 1))
        return torch.cat(made)[FRAMES_PER_LATENT - 1 :]  # what comes first would be before the video


class _MoreFrames(nn.Module):
    """Makes ``times`` frames of each."""

    def __init__(self, width: int, times: int) -> None:
        super().__init__()
        self._times = times
        self.conv = nn.Conv2d(width, width * times, 1, bias=False)

    def forward(self, frames: Any) -> Any:
        return self.conv(frames).unflatten(1, (self._times, -1)).flatten(0, 1)
