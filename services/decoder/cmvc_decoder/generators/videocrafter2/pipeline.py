"""Text to video with VideoCrafter2, and its continuation from frames that are given."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor

from cmvc_decoder.diffusion.profile import StepCallback

ETA = 1.0  # of the authors' runs: as much fresh noise in every step as DDPM


class VideoCrafterPipeline(DiffusionPipeline):  # type: ignore[misc]  # diffusers has no types
    """Text encoder, denoiser, VAE and sampler. Latents are float32 throughout; the models may be of another dtype."""

    def __init__(self, tokenizer: Any, text_encoder: Any, unet: Any, vae: Any, scheduler: Any) -> None:
        """Take over the parts.

        Args:
            tokenizer: CLIP's, padding with token 0 as OpenCLIP does.
            text_encoder: OpenCLIP ViT-H/14's without its last layer.
            unet: a ``VideoCrafterUNet``.
            vae: of Stable Diffusion, for single frames.
            scheduler: a ``ScaledDDIMScheduler``, the template of each run's own.
        """
        super().__init__()
        self.register_modules(tokenizer=tokenizer, text_encoder=text_encoder, unet=unet, vae=vae, scheduler=scheduler)

    @torch.inference_mode()
    def __call__(
        self,
        prompts: Sequence[str],
        *,
        frames: int,
        height: int,
        width: int,
        steps: int,
        guidance: float,
        fps: int,
        generators: Sequence[torch.Generator],
        step: StepCallback,
        known: dict[int, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Return the latents of videos, (videos, channels, frames, height / 8, width / 8), on the models' device.

        Args:
            prompts: one for each video.
            frames: of a video.
            height: in pixels; divides by 64.
            width: likewise.
            steps: of denoising.
            guidance: classifier-free guidance scale; 1 turns it off.
            fps: frame rate that the model is asked for, with the prompt and without alike.
            generators: of all noise, one for each video; on the CPU, so that noise is the same on every device.
            step: called at the end of every denoising step; what it raises ends the run.
            known: frames that are given, by their place: (videos, 3, height, width), 0..1.
        """
        scheduler = type(self.scheduler).from_config(self.scheduler.config)
        scheduler.set_timesteps(steps)
        text = (
            self.embed(prompts) if guidance == 1 else torch.cat([self.embed([""] * len(prompts)), self.embed(prompts)])
        )
        given = self.encode(known) if known else None
        device, draws = self._execution_device, list(generators)
        shape = len(prompts), self.unet.config.in_channels, frames, *self._latent_size(height, width)
        latents: torch.Tensor = randn_tensor(shape, generator=draws, device=device, dtype=torch.float32)
        for index, time in enumerate(scheduler.timesteps.tolist()):
            if known and given is not None:
                noise = randn_tensor(given.shape, generator=draws, device=device, dtype=torch.float32)
                latents[:, :, list(known)] = scheduler.noised(given, noise, time)
            noise = self._noise(latents, time, text, guidance, fps)
            latents = scheduler.advance(noise, time, latents, ETA, draws)
            step(index + 1, steps)
        return latents

    def embed(self, prompts: Sequence[str]) -> Any:
        """Return the text embeddings, (prompts, tokens, channels). That of "" is the unconditional one."""
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        return self.text_encoder(tokens.to(self._execution_device)).last_hidden_state

    def encode(self, known: dict[int, torch.Tensor]) -> Any:
        """Return the latents of given frames, (videos, channels, frames, height / 8, width / 8)."""
        factor, place = self.vae.config.scaling_factor, {"device": self._execution_device, "dtype": self.vae.dtype}
        made = [
            self.vae.encode(frame.to(**place) * 2 - 1).latent_dist.mode().float() * factor for frame in known.values()
        ]
        return torch.stack(made, dim=2)

    @torch.inference_mode()
    def decode(self, latents: Any) -> Any:
        """Return pictures, (pictures, 3, height, width), 0..1."""
        made = self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype)).sample
        return (made.float() / 2 + 0.5).clamp(0, 1)

    def _latent_size(self, height: int, width: int) -> tuple[int, int]:
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        return height // factor, width // factor

    def _noise(self, latents: Any, time: int, text: Any, guidance: float, fps: int) -> Any:
        if guidance == 1:
            return self.unet(latents.to(self.unet.dtype), time, text, fps).float()
        without, with_text = self.unet(torch.cat([latents] * 2).to(self.unet.dtype), time, text, fps).float().chunk(2)
        return without + guidance * (with_text - without)
