"""``animatediff``: AnimateDiff v3 on Stable Diffusion 1.5, as in the paper.

Facts are in ``cmvc.profiles.animatediff``. IT2V takes any frames as given, by SparseCtrl. 25 steps (DDIM) with guidance
7.5; with AnimateLCM (few_steps=lcm) 6 steps, guidance 1 to 2.

The motion modules sit between the layers of the image model; they know nothing of a frame rate. SparseCtrl sees the
given frames and a mask of where they are, and steers the same denoiser; so windows without given frames run without
it. AnimateLCM has motion modules and a LoRA of its own, and so a second denoiser. SparseCtrl was not trained with it.
(Guo et al. 2023, "AnimateDiff" and "SparseCtrl"; Wang et al. 2024, "AnimateLCM".)
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AnimateDiffPipeline,
    AnimateDiffSparseControlNetPipeline,
    DDIMScheduler,
    LCMScheduler,
    MotionAdapter,
    SparseControlNetModel,
)

from cmvc.errors import InvalidSettingError
from cmvc.media.rgb import Rgb
from cmvc.profiles.animatediff import LCM_LORA_FILE, PROFILE
from cmvc_decoder.diffusion.captions import count_tokens
from cmvc_decoder.diffusion.loading import load_model, load_pipeline, require, require_one_dtype
from cmvc_decoder.diffusion.profile import Check, DiffusionProfile, StepCallback, Window
from cmvc_decoder.diffusion.settings import NO_CHOICE, Settings, refuse_cache
from cmvc_decoder.diffusion.steps import step_end
from cmvc_decoder.diffusion.tensors import known_frames, to_bytes
from cmvc_decoder.speed.apply import apply_speed
from cmvc_decoder.speed.options import SpeedOptions

LCM = "lcm"
LCM_LORA_SCALE = 0.8  # these and the schedules below: from the model cards
LCM_MOST_STEPS = 50  # of the schedule that it was distilled from
NEGATIVE_PROMPT = "bad quality, worse quality, low resolution"
_DDIM = {"beta_schedule": "linear", "clip_sample": False, "timestep_spacing": "linspace", "steps_offset": 1}
_LCM = {"beta_schedule": "linear"}


@dataclass(frozen=True)
class Denoisers:
    """What ``AnimateDiff.load`` returns: pipelines that share all models but the denoiser.

    Attributes:
        full: with AnimateDiff's own motion modules.
        lcm: with those of AnimateLCM and its LoRA; None where they are not installed.
        folder: of the weights.
    """

    full: Any
    lcm: Any
    folder: Path

    def choose(self, few_steps: str) -> Any:
        """Return the pipeline for a setting, with a scheduler of its own.

        Raises:
            MissingWeightsError: it is not installed.
            InvalidSettingError: there is none of that name.
        """
        if few_steps not in {"", LCM}:
            raise InvalidSettingError(f"few_steps={few_steps} is not known to {PROFILE.id}; use {LCM} or leave it out")
        if few_steps and self.lcm is None:
            require(self.folder, "lcm-motion-adapter", "lcm-lora", optional=True)
        pipe = copy(self.lcm if few_steps else self.full)
        scheduler, facts = (LCMScheduler, _LCM) if few_steps else (DDIMScheduler, _DDIM)
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **facts)
        return pipe


class AnimateDiff(DiffusionProfile):
    """The profile ``animatediff``; see ``DiffusionProfile``."""

    facts = PROFILE
    adapts = "unet"
    defaults = Settings(steps=PROFILE.steps, guidance=7.5)
    samplers = NO_CHOICE

    def load(self, folder: Path, speed: SpeedOptions) -> Denoisers:
        """Return the pipelines; see ``DiffusionProfile``. AnimateLCM's only if both its weights are there."""
        require_one_dtype(speed)
        require(folder, "base", "motion-adapter", "sparsectrl-rgb")
        controlnet = load_model(SparseControlNetModel, folder / "sparsectrl-rgb", speed)
        full = _pipeline(folder, "motion-adapter", speed, controlnet=controlnet)
        lcm = None
        if all((folder / name).is_dir() for name in ("lcm-motion-adapter", "lcm-lora")):
            shared = {name: part for name, part in full.components.items() if name not in {"unet", "motion_adapter"}}
            lcm = _pipeline(folder, "lcm-motion-adapter", speed, **shared)
            _fuse(lcm.unet, folder / "lcm-lora")
            apply_speed(lcm, speed)
        apply_speed(full, speed)
        return Denoisers(full, lcm, folder)

    def tokens(self, pipe: Denoisers, prompt: str) -> int:
        """Return how long a caption is; see ``DiffusionProfile``."""
        return count_tokens(pipe.full.tokenizer, prompt)

    def denoiser(self, pipe: Denoisers, settings: Settings) -> Any:
        """Return the denoiser with the motion modules that the settings ask for; see ``DiffusionProfile``.

        AnimateLCM's own LoRA is part of its denoiser's weights, so an adapter comes on top of it.
        """
        return pipe.choose(settings.few_steps).unet

    def denoise(
        self, pipe: Denoisers, windows: Sequence[Window], settings: Settings, step: StepCallback
    ) -> Sequence[Any]:
        """Return the latents of each window, (channels, frames, height, width); see ``DiffusionProfile``."""
        _check(settings)
        run, first = pipe.choose(settings.few_steps), windows[0]
        given: dict[str, Any] = {}
        if first.known:
            given = {
                "conditioning_frames": [known_frames(windows, position) for position in first.known],
                "controlnet_frame_indices": list(first.known),
                "controlnet_conditioning_scale": float(settings.strength),
            }
        else:
            run = _without_control(run)

        with torch.inference_mode():
            return run(  # type: ignore[no-any-return]
                prompt=[window.prompt for window in windows],
                negative_prompt=[NEGATIVE_PROMPT] * len(windows),
                height=first.height,
                width=first.width,
                num_frames=first.frames,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                generator=[window.noise for window in windows],
                output_type="latent",
                callback_on_step_end=step_end(run, step),
                **given,
            ).frames

    def decode(self, pipe: Denoisers, latents: Any, window: Window, settings: Settings, check: Check) -> Rgb:  # noqa: ARG002
        """Return the frames of a window; see ``DiffusionProfile``."""
        with torch.inference_mode():
            made = pipe.full.decode_latents(latents[None])
            return to_bytes(pipe.full.video_processor.postprocess_video(made, output_type="pt")[0])


class BatchedSparseControl(AnimateDiffSparseControlNetPipeline):  # type: ignore[misc]  # diffusers has no types
    """The pipeline for several videos at once, each with frames of its own.

    The original prepares given frames for one video, and draws their latents with noise that no generator decides.
    """

    def prepare_image(self, image: Any, width: int, height: int, device: Any, dtype: Any) -> Any:  # noqa: ARG002
        """Return the latents of given frames, (videos, channels, frames, height, width); twice for guidance.

        Args:
            image: for each given frame that of every video, (videos, 3, height, width), 0..1.
            width: of the frames, in pixels; they have it already.
            height: likewise.
            device: of the latents.
            dtype: of the latents.
        """
        frames = torch.stack(image, dim=1).to(device, self.vae.dtype)  # (videos, frames, 3, height, width)
        found = self.vae.encode(2 * frames.flatten(0, 1) - 1).latent_dist.mode() * self.vae.config.scaling_factor
        latents = found.unflatten(0, frames.shape[:2]).transpose(1, 2).to(dtype)
        return torch.cat([latents, latents]) if self.do_classifier_free_guidance else latents


def _pipeline(folder: Path, adapter: str, speed: SpeedOptions, **shared: Any) -> Any:
    """Return the pipeline whose denoiser has the motion modules ``adapter`` (a name in ``folder``)."""
    motion = load_model(MotionAdapter, folder / adapter, speed)
    parts = {"feature_extractor": None, "motion_adapter": motion, **shared}  # without IP adapter's
    pipe = load_pipeline(BatchedSparseControl, folder / "base", speed, **parts)
    pipe.motion_adapter = None  # the denoiser has copied it
    return pipe


def _fuse(unet: Any, folder: Path) -> None:
    """Add AnimateLCM's LoRA to a denoiser's weights for good."""
    lora, alphas = BatchedSparseControl.lora_state_dict(
        folder, weight_name=LCM_LORA_FILE, local_files_only=True, unet_config=unet.config
    )
    unet.load_lora_adapter(lora, network_alphas=alphas, prefix="unet")
    unet.fuse_lora(lora_scale=LCM_LORA_SCALE)
    unet.unload_lora()


def _without_control(pipe: Any) -> Any:
    """Return the pipeline of the same models that takes no given frames."""
    parts = {name: part for name, part in pipe.components.items() if name != "controlnet"}
    made = AnimateDiffPipeline(**parts)
    made.set_progress_bar_config(disable=True)
    return made


def _check(settings: Settings) -> None:
    refuse_cache(settings, PROFILE.id)
    if settings.few_steps == LCM and settings.steps > LCM_MOST_STEPS:
        raise InvalidSettingError(
            f"steps={settings.steps} is more than few_steps={LCM} has; use {LCM_MOST_STEPS} or fewer"
        )
