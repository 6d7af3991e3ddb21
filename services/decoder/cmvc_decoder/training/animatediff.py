"""How ``animatediff`` learns to interpolate: its motion modules predict noise under SparseCtrl's conditions.

The denoiser is shown a noisy video, SparseCtrl its first and last frame. What is tuned are the motion modules alone:
the image model stays as it is, and SparseCtrl, too. (Ho et al. 2020, "Denoising Diffusion Probabilistic Models".)
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from cmvc.media.rgb import Rgb
from cmvc_decoder.diffusion.profile import DiffusionProfile
from cmvc_decoder.diffusion.tensors import from_bytes
from cmvc_decoder.generators.animatediff import AnimateDiff, BatchedSparseControl, Denoisers
from cmvc_decoder.training.task import Batch, Sample, Shape, draw

_LAYERS = [f"attn{number}.{name}" for number in (1, 2) for name in ("to_q", "to_k", "to_v", "to_out.0")]


class AnimateDiffTask:
    """See ``InterpolationTask``."""

    profile: ClassVar[DiffusionProfile] = AnimateDiff()
    pipeline: ClassVar[Any] = BatchedSparseControl
    base: ClassVar[str] = "motion-adapter"
    targets: ClassVar[tuple[str, ...]] = tuple(
        f"motion_modules.{module}.transformer_blocks.0.{layer}" for module in range(3) for layer in _LAYERS
    )

    def __init__(self, pipe: Denoisers, shape: Shape) -> None:
        """See ``InterpolationTask``."""
        scheduler = pipe.choose(self.profile.defaults.few_steps).scheduler
        self._kept_share = scheduler.alphas_cumprod.sqrt().cpu()  # of the clean video, by time
        self._noise_share = (1 - scheduler.alphas_cumprod).sqrt().cpu()
        self._given = torch.zeros(1, shape.frames)
        self._given[:, [0, -1]] = 1
        self._controlnet = pipe.full.controlnet.requires_grad_(False)

    def encode(self, pipe: Denoisers, frames: Rgb, caption: str) -> Sample:
        """See ``InterpolationTask``."""
        vae, full = pipe.full.vae, pipe.full
        with torch.no_grad():
            shown = (from_bytes(frames) * 2 - 1).to(vae.device, vae.dtype)
            latents = vae.encode(shown).latent_dist.mode().float().cpu() * vae.config.scaling_factor
            prompt, _ = full.encode_prompt([caption], vae.device, 1, False)
        return {
            "latents": latents.transpose(0, 1),
            "prompt": prompt[0].to("cpu", full.unet.dtype),
        }

    def loss(self, denoiser: Any, batch: Batch, times: torch.Tensor, noise: Sequence[torch.Generator]) -> torch.Tensor:
        """See ``InterpolationTask``."""
        latents, prompt = batch["latents"], batch["prompt"]  # (clips, channels, frames, height, width)
        steps = (times.cpu() * len(self._kept_share)).long().clamp(max=len(self._kept_share) - 1)
        drawn = draw(latents.shape[1:], noise, latents.device)
        kept, added = (
            each[steps].view(-1, 1, 1, 1, 1).to(latents.device) for each in (self._kept_share, self._noise_share)
        )
        noisy, steps = (kept * latents + added * drawn).to(prompt.dtype), steps.to(latents.device)
        given = self._given.to(latents.device)[None, :, :, None, None]
        told = prompt.repeat_interleave(latents.shape[2], 0)  # each frame is told it
        with torch.no_grad():
            down, middle = self._controlnet.to(latents.device)(
                noisy,
                steps,
                encoder_hidden_states=told,
                controlnet_cond=(latents * given).to(prompt.dtype),
                conditioning_mask=given.expand(len(latents), -1, -1, *latents.shape[3:]).to(prompt.dtype),
                return_dict=False,
            )
        made = denoiser(
            noisy,
            steps,
            encoder_hidden_states=told,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample
        loss: torch.Tensor = ((made.float() - drawn) ** 2).mean((1, 2, 3, 4))
        return loss
