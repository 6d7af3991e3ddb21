"""``videocrafter2``: VideoCrafter2 text to video at 320x512, as in the paper.

Facts are in ``cmvc.profiles.videocrafter2``. 50 steps (DDIM, eta 1) with guidance 12.

The model is asked for ``FPS`` frames/s whatever the window's rate is: so do the authors, who show the result at 8 or
10. Asked for less it moves more.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from diffusers import AutoencoderKL
from transformers import CLIPTextModel, CLIPTokenizer

from cmvc.media.rgb import Rgb
from cmvc.profiles.videocrafter2 import PROFILE
from cmvc_decoder.diffusion.captions import count_tokens
from cmvc_decoder.diffusion.loading import load_model, require
from cmvc_decoder.diffusion.profile import Check, DiffusionProfile, StepCallback, Window
from cmvc_decoder.diffusion.settings import NO_CHOICE, Settings, refuse_cache, refuse_few_steps
from cmvc_decoder.diffusion.tensors import known_frames, to_bytes
from cmvc_decoder.generators.videocrafter2.pipeline import VideoCrafterPipeline
from cmvc_decoder.generators.videocrafter2.scheduler import ScaledDDIMScheduler
from cmvc_decoder.generators.videocrafter2.unet import VideoCrafterUNet
from cmvc_decoder.speed.apply import apply_speed
from cmvc_decoder.speed.options import SpeedOptions

FPS = 28


class VideoCrafter2(DiffusionProfile):
    """The profile ``videocrafter2``; see ``DiffusionProfile``."""

    facts = PROFILE
    adapts = ""  # there is nothing between anchors to be made: it takes text alone
    defaults = Settings(steps=PROFILE.steps, guidance=12.0)
    samplers = NO_CHOICE

    def load(self, folder: Path, speed: SpeedOptions) -> Any:
        """Return the pipeline; see ``DiffusionProfile``."""
        require(folder, "unet", *(f"base/{part}" for part in ("tokenizer", "text_encoder", "vae", "scheduler")))
        base, vae_speed = folder / "base", replace(speed, dtype=speed.vae_dtype or speed.dtype)
        pipe = VideoCrafterPipeline(
            tokenizer=CLIPTokenizer.from_pretrained(base / "tokenizer", local_files_only=True),
            text_encoder=load_model(CLIPTextModel, base, speed, subfolder="text_encoder"),
            unet=load_model(VideoCrafterUNet, folder / "unet", speed),
            vae=load_model(AutoencoderKL, base, vae_speed, subfolder="vae"),
            scheduler=ScaledDDIMScheduler.from_pretrained(base / "scheduler", local_files_only=True),
        )
        apply_speed(pipe, speed)
        return pipe

    def tokens(self, pipe: Any, prompt: str) -> int:
        """Return how long a caption is; see ``DiffusionProfile``."""
        return count_tokens(pipe.tokenizer, prompt)

    def denoiser(self, pipe: Any, settings: Settings) -> Any:  # noqa: ARG002
        """Return the UNet; see ``DiffusionProfile``."""
        return pipe.unet

    def denoise(self, pipe: Any, windows: Sequence[Window], settings: Settings, step: StepCallback) -> Sequence[Any]:
        """Return the latents of each window, (channels, frames, height, width); see ``DiffusionProfile``."""
        refuse_few_steps(settings, PROFILE.id)
        refuse_cache(settings, PROFILE.id)
        first = windows[0]
        return pipe(  # type: ignore[no-any-return]
            [window.prompt for window in windows],
            frames=first.frames,
            height=first.height,
            width=first.width,
            steps=settings.steps,
            guidance=settings.guidance,
            fps=FPS,
            generators=[window.noise for window in windows],
            step=step,
            known={place: known_frames(windows, place) for place in first.known},
        )

    def decode(self, pipe: Any, latents: Any, window: Window, settings: Settings, check: Check) -> Rgb:  # noqa: ARG002
        """Return the frames of a window, decoded one by one for the memory's sake; see ``DiffusionProfile``."""
        made = []
        for picture in latents.unbind(dim=1):
            check()
            made.append(to_bytes(pipe.decode(picture[None])))
        return np.concatenate(made)
