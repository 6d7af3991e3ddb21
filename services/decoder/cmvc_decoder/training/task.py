"""What a profile has to say about itself to be trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch

from cmvc.media.rgb import Rgb
from cmvc_decoder.diffusion.profile import DiffusionProfile

Sample = dict[str, torch.Tensor]  # all that a step needs of one clip, on the CPU, without a batch axis
Batch = dict[str, torch.Tensor]  # several, stacked, on the device


@dataclass(frozen=True)
class Shape:
    """Of clips: so many frames, ``width`` x ``height`` pixels."""

    frames: int
    width: int
    height: int


class InterpolationTask(Protocol):
    """Filling the frames between two anchors with the model of one profile. One file per profile implements it.

    Attributes:
        profile: whose model it is; its ``adapts`` names the part of the pipeline that is tuned.
        pipeline: class of diffusers that knows how its adapters are saved.
        base: name of the weights, in the store, that are tuned.
        targets: the ends of the names of the layers that get an adapter.
    """

    profile: ClassVar[DiffusionProfile]
    pipeline: ClassVar[Any]
    base: ClassVar[str]
    targets: ClassVar[tuple[str, ...]]

    def __init__(self, pipe: Any, shape: Shape) -> None:
        """Take from the pipeline what ``loss`` needs and is the same for all clips; no more of it is kept."""

    def encode(self, pipe: Any, frames: Rgb, caption: str) -> Sample:
        """Return what a clip is to the model; conditions as the profile's ``denoise`` has them at IT2V.

        Args:
            pipe: what the profile loaded.
            frames: (frames, height, width, 3) RGB, 0..255; the first and the last are the anchors.
            caption: in one line; may be empty.
        """

    def loss(self, denoiser: Any, batch: Batch, times: torch.Tensor, noise: Sequence[torch.Generator]) -> torch.Tensor:
        """Return the loss of each clip, (clips,) float32.

        Args:
            denoiser: the network, its adapter in it.
            batch: clips as ``encode`` made them.
            times: (clips,) 0..1, evenly spread; the profile maps them to the times that its schedule visits.
            noise: CPU generators, one for each clip.
        """


def draw(shape: Sequence[int], noise: Sequence[torch.Generator], device: torch.device) -> torch.Tensor:
    """Return noise of (generators, *shape), float32, drawn on the CPU so that it is the same on every device."""
    return torch.stack([torch.randn(tuple(shape), generator=each) for each in noise]).to(device)


def shifted(times: torch.Tensor, shift: float) -> torch.Tensor:
    """Return times moved towards 1 (noise), as flow matching schedulers do (Esser et al. 2024, equation 23)."""
    return shift * times / (1 + (shift - 1) * times)
