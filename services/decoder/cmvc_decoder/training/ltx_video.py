"""How ``ltx-video`` learns to interpolate: flow matching under the conditions that its pipeline gives it.

The model is shown the first frame as the video's first latents and the last one as tokens of its own beside them, both
without noise and at time 0, and predicts noise minus latents of all others, at the times that the distilled schedule
visits.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import LTXConditionPipeline

from cmvc.media.rgb import Rgb
from cmvc_decoder.diffusion.profile import DiffusionProfile
from cmvc_decoder.diffusion.tensors import from_bytes
from cmvc_decoder.generators.ltx_video import DISTILLED_TIMES, LtxVideo
from cmvc_decoder.training.task import Batch, Sample, Shape, draw

_TIMES = 1000.0


class LtxVideoTask:
    """See ``InterpolationTask``."""

    profile: ClassVar[DiffusionProfile] = LtxVideo()
    pipeline: ClassVar[Any] = LTXConditionPipeline
    base: ClassVar[str] = "checkpoint"
    targets: ClassVar[tuple[str, ...]] = ("to_q", "to_k", "to_v", "to_out.0")

    def __init__(self, pipe: Any, shape: Shape) -> None:
        """See ``InterpolationTask``."""
        black = np.zeros((shape.frames, shape.height, shape.width, 3), np.uint8)
        _, mask, places, _ = _prepared(pipe, black)
        self._given = mask[0].float().cpu()  # (tokens,): 1 for those of the two frames
        self._places = places[0].float().cpu()
        self._places[0] /= float(self.profile.facts.grid.frame_rate)  # the first of the three is time

    def encode(self, pipe: Any, frames: Rgb, caption: str) -> Sample:
        """See ``InterpolationTask``."""
        with torch.no_grad():
            tokens, _, _, extra = _prepared(pipe, frames)
            truth = pipe.vae.encode(_shown(pipe, frames)).latent_dist.mode().float()
            truth = pipe._normalize_latents(truth, pipe.vae.latents_mean, pipe.vae.latents_std)
            truth = pipe._pack_latents(
                truth, pipe.transformer_spatial_patch_size, pipe.transformer_temporal_patch_size
            )[0].cpu()
            prompt, heard, _, _ = pipe.encode_prompt(
                prompt=[caption], do_classifier_free_guidance=False, max_sequence_length=self.profile.facts.text_tokens
            )
        shown = tokens[0].cpu()
        whole = torch.cat([shown[:extra], truth])
        return {
            "latents": torch.where(self._given[:, None] > 0, shown, whole),
            "prompt": prompt[0].to("cpu", pipe.transformer.dtype),
            "heard": heard[0].cpu(),
        }

    def loss(self, denoiser: Any, batch: Batch, times: torch.Tensor, noise: Sequence[torch.Generator]) -> torch.Tensor:
        """See ``InterpolationTask``."""
        latents, prompt = batch["latents"], batch["prompt"]
        given = self._given.to(latents.device)
        visited = torch.tensor(DISTILLED_TIMES, device=latents.device) / _TIMES
        time = visited[(times * len(visited)).long().clamp(max=len(visited) - 1)].view(-1, 1, 1)
        drawn = draw(latents.shape[1:], noise, latents.device)
        mixed = torch.where(given[:, None] > 0, latents, (1 - time) * latents + time * drawn)
        made = denoiser(
            hidden_states=mixed.to(prompt.dtype),
            encoder_hidden_states=prompt,
            timestep=torch.minimum(time[..., 0], 1 - given) * _TIMES,
            encoder_attention_mask=batch["heard"],
            video_coords=self._places.to(latents.device).expand(len(latents), *self._places.shape),
            return_dict=False,
        )[0]
        wrong = (made.float() - (drawn - latents))[:, given == 0]
        loss: torch.Tensor = (wrong**2).mean((1, 2))
        return loss


def _shown(pipe: Any, frames: Rgb) -> torch.Tensor:
    """Return frames as the VAE takes them, (1, 3, frames, height, width), -1..1."""
    return (from_bytes(frames) * 2 - 1).transpose(0, 1)[None].to(pipe.vae.device, pipe.vae.dtype)


def _prepared(pipe: Any, frames: Rgb) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """Return tokens, which of them are given, their places, and how many stand beside the video, as at IT2V."""
    count, height, width = frames.shape[:3]
    prepared: tuple[torch.Tensor, torch.Tensor, torch.Tensor, int] = pipe.prepare_latents(
        [_shown(pipe, frames[place : place + 1]) for place in (0, count - 1)],
        [1.0, 1.0],
        [0, count - 1],
        num_channels_latents=pipe.transformer.config.in_channels,
        height=height,
        width=width,
        num_frames=count,
        generator=torch.Generator().manual_seed(0),
        device=pipe.vae.device,
        dtype=torch.float32,
    )
    return prepared
