"""``swiftvr``: SwiftVR, which restores a low-rate video in one step.

Facts are in ``cmvc.profiles.swiftvr``. It reads no caption and draws no noise. A segment is one video: what is
remembered goes from chunk to chunk and ends with the segment.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file

from cmvc.errors import InvalidSettingError
from cmvc.media.rgb import Rgb
from cmvc.profiles.swiftvr import AUTOENCODER, PROFILE, PROMPT, TRANSFORMER
from cmvc_decoder.diffusion.loading import load_model, not_whole, require
from cmvc_decoder.diffusion.profile import Check, DiffusionProfile, StepCallback, Window
from cmvc_decoder.diffusion.settings import NO_CHOICE, Settings
from cmvc_decoder.diffusion.tensors import to_bytes
from cmvc_decoder.generators.swiftvr.autoencoder import SwiftVrAutoencoder
from cmvc_decoder.generators.swiftvr.pipeline import CHUNK, SwiftVrPipeline, borders
from cmvc_decoder.generators.swiftvr.transformer import SwiftVrTransformer
from cmvc_decoder.speed.apply import apply_speed
from cmvc_decoder.speed.options import SpeedOptions


class SwiftVr(DiffusionProfile):
    """The profile ``swiftvr``; see ``DiffusionProfile``."""

    facts = PROFILE
    adapts = ""  # there is nothing between anchors to be made
    defaults = Settings(steps=PROFILE.steps, guidance=1.0)
    samplers = NO_CHOICE

    def load(self, folder: Path, speed: SpeedOptions) -> Any:
        """Return the pipeline; see ``DiffusionProfile``."""
        require(folder, "checkpoint")
        checkpoint = folder / "checkpoint"
        pipe = SwiftVrPipeline(
            transformer=load_model(SwiftVrTransformer, checkpoint, speed, subfolder=TRANSFORMER),
            vae=_autoencoder(checkpoint),
            prompt=_weights(checkpoint, PROMPT)["prompt_emb"][0],
        )
        apply_speed(pipe, speed)
        return pipe

    def tokens(self, pipe: Any, prompt: str) -> int:  # noqa: ARG002
        """Return 0: no caption is read."""
        return 0

    def denoiser(self, pipe: Any, settings: Settings) -> Any:  # noqa: ARG002
        """Return the transformer; see ``DiffusionProfile``."""
        return pipe.transformer

    def denoise(self, pipe: Any, windows: Sequence[Window], settings: Settings, step: StepCallback) -> Sequence[Any]:
        """Return for each window the latents of its chunks, which steps count; see ``DiffusionProfile``."""
        if replace(settings, pixels=0) != self.defaults:
            raise InvalidSettingError(f"{PROFILE.id} takes one step, its own way; leave all settings but pixels out")
        guides = [window.guide for window in windows if window.guide is not None]
        if len(guides) != len(windows):
            raise InvalidSettingError(f"{PROFILE.id} restores a video, and one window has none; use it for VT2V")
        chunks: list[Any] = []
        total = len(borders(windows[0].frames, CHUNK)) - 1
        for latents in pipe.restored(guides):
            chunks.append(latents)
            step(len(chunks), total)
        return [[latents[number : number + 1] for latents in chunks] for number in range(len(windows))]

    def decode(self, pipe: Any, latents: Any, window: Window, settings: Settings, check: Check) -> Rgb:  # noqa: ARG002
        """Return the frames of a window, chunk by chunk; see ``DiffusionProfile``."""
        made: list[Rgb] = []
        for frames in pipe.decoded(latents):
            made.append(to_bytes(frames[0]))
            check()
        return np.concatenate(made)


def _autoencoder(checkpoint: Path) -> SwiftVrAutoencoder:
    """Return the autoencoder, of the size that its weights have."""
    weights = _weights(checkpoint, AUTOENCODER)
    try:
        wide, latent = (weights[f"encoder.{place}.bias"].shape[0] for place in (0, 17))
        vae: SwiftVrAutoencoder = SwiftVrAutoencoder(
            latent_channels=latent,
            encoder_width=wide,
            decoder_widths=tuple(weights[f"decoder.{place}.weight"].shape[0] for place in (1, 8, 14, 20)),
        )
        vae.load_state_dict(weights, strict=True)
    except (KeyError, RuntimeError) as error:
        raise not_whole(checkpoint, error) from error
    vae.eval()
    return vae


def _weights(checkpoint: Path, name: str) -> Any:
    try:
        return load_file(checkpoint / name)
    except (OSError, SafetensorError) as error:
        raise not_whole(checkpoint, error) from error
