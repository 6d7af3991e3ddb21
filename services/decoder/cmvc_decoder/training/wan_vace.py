"""How ``wan-vace-1.3b`` learns to interpolate: flow matching under VACE's conditions.

The model is shown a video whose first and last frame are kept and whose others are gray, and predicts noise minus
latents from a mix of both (Lipman et al. 2023, "Flow Matching for Generative Modeling"), at times that are shifted as
its sampler shifts them.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import WanVACEPipeline

from cmvc.media.rgb import Rgb
from cmvc_decoder.diffusion.profile import DiffusionProfile, Window
from cmvc_decoder.diffusion.samplers import TRAINED, shift_of
from cmvc_decoder.diffusion.tensors import from_bytes
from cmvc_decoder.generators.wan_vace import WanVace, vace_mask, vace_video
from cmvc_decoder.training.task import Batch, Sample, Shape, draw, shifted


class WanVaceTask:
    """See ``InterpolationTask``."""

    profile: ClassVar[DiffusionProfile] = WanVace()
    pipeline: ClassVar[Any] = WanVACEPipeline
    base: ClassVar[str] = "pipeline"
    targets: ClassVar[tuple[str, ...]] = ("to_q", "to_k", "to_v", "to_out.0")

    def __init__(self, pipe: Any, shape: Shape) -> None:
        """See ``InterpolationTask``."""
        self._shift = shift_of(self.profile.defaults)
        black = np.zeros((shape.frames, shape.height, shape.width, 3), np.uint8)
        video, mask = _shown(pipe, black)
        made = video * mask  # gray where frames are to be made; the same for all clips, and so is the mask
        with torch.no_grad():
            self._same = torch.cat([_latents(pipe, made), pipe.prepare_masks(mask, [[]], None)[0].float().cpu()])

    def encode(self, pipe: Any, frames: Rgb, caption: str) -> Sample:
        """See ``InterpolationTask``."""
        video, mask = _shown(pipe, frames)
        truth = (from_bytes(frames) * 2 - 1).transpose(0, 1)[None]
        dtype = pipe.transformer.dtype
        with torch.no_grad():
            prompt, _ = pipe.encode_prompt(
                prompt=[caption],
                do_classifier_free_guidance=False,
                max_sequence_length=self.profile.facts.text_tokens,
            )
            return {
                "latents": _latents(pipe, truth.to(video.device)),
                "kept": _latents(pipe, video * (1 - mask)).to(dtype),
                "prompt": prompt[0].to("cpu", dtype),
            }

    def loss(self, denoiser: Any, batch: Batch, times: torch.Tensor, noise: Sequence[torch.Generator]) -> torch.Tensor:
        """See ``InterpolationTask``."""
        latents, kept = batch["latents"], batch["kept"]
        time = shifted(times, self._shift).view(-1, 1, 1, 1, 1)
        drawn = draw(latents.shape[1:], noise, latents.device)
        same = self._same.to(kept.device, kept.dtype).expand(len(kept), -1, -1, -1, -1)
        made = denoiser(
            hidden_states=((1 - time) * latents + time * drawn).to(kept.dtype),
            timestep=time.flatten() * TRAINED,
            encoder_hidden_states=batch["prompt"],
            control_hidden_states=torch.cat([kept, same], 1),
            return_dict=False,
        )[0]
        wrong: torch.Tensor = made.float() - (drawn - latents)
        return (wrong**2).mean((1, 2, 3, 4))


def _shown(pipe: Any, frames: Rgb) -> tuple[torch.Tensor, torch.Tensor]:
    """Return video (-1..1) and mask (0 for frames to keep) as VACE sees them, (1, 3, frames, height, width)."""
    count, height, width = frames.shape[:3]
    window = Window(
        prompt="",
        frames=count,
        width=width,
        height=height,
        frame_rate=Fraction(16),  # VACE is not told
        noise=torch.Generator(),  # VACE's conditions need none
        known={0: frames[0], count - 1: frames[-1]},
    )
    video, mask, _ = pipe.preprocess_conditions(
        vace_video(window)[None], vace_mask(window)[None], None, 1, height, width, count, torch.float32, pipe.vae.device
    )
    return video, mask


def _latents(pipe: Any, video: torch.Tensor) -> torch.Tensor:
    """Return the latents of a video as the denoiser has them, (channels, frames, height, width), on the CPU.

    The pipeline's own method does this for the kept and the made frames together, of which one is always the same.
    """
    config = pipe.vae.config
    mean, deviation = (torch.tensor(each).view(-1, 1, 1, 1) for each in (config.latents_mean, config.latents_std))
    latents: torch.Tensor = pipe.vae.encode(video.to(pipe.vae.dtype)).latent_dist.mode()[0].float().cpu()
    return (latents - mean) / deviation
