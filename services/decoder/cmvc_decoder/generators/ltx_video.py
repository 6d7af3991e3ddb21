"""``ltx-video``: LTX-Video 2B 0.9.8 distilled, the fastest.

Facts are in ``cmvc.profiles.ltx_video``. IT2V takes any frames as given; the model is told the frame rate. 8 steps on
the distilled schedule with guidance 1; for other 2B checkpoints few_steps= with 40 steps, guidance 3.

The VAE makes one latent frame of the first picture and one of each eight that follow. So frames from 0 on are given as
latent frames, which needs 8k + 1 of them; any other frame is encoded alone and stands beside the video as extra tokens
with its own time, wherever that is. (HaCohen et al. 2024, "LTX-Video: Realtime Video Latent Diffusion".)
"""

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTXConditionPipeline
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from diffusers.utils.torch_utils import randn_tensor

from cmvc.errors import InvalidSettingError
from cmvc.media.rgb import Rgb
from cmvc.profiles.ltx_video import PROFILE
from cmvc_decoder.diffusion.captions import count_tokens
from cmvc_decoder.diffusion.loading import load_pipeline, require, require_one_dtype
from cmvc_decoder.diffusion.profile import Check, DiffusionProfile, StepCallback, Window
from cmvc_decoder.diffusion.settings import NO_CHOICE, Settings
from cmvc_decoder.diffusion.steps import step_end
from cmvc_decoder.diffusion.tensors import from_bytes, to_bytes
from cmvc_decoder.speed.apply import apply_speed
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.speed.step_cache import step_cached

DISTILLED = "distilled"
# The only times that the distilled checkpoints were trained at; their configuration names them.
DISTILLED_TIMES = (1000.0, 993.7, 987.5, 981.2, 975.0, 909.4, 725.0, 421.9)
NEGATIVE_PROMPT = "worst quality, inconsistent motion, blurry, jittery, distorted"
_FRAMES_PER_LATENT = PROFILE.grid.frames.multiple
_DECODE_TIME = 0.05  # the VAE's decoder does the last denoising step: at this time,
_DECODE_NOISE = 0.025  # with this share of noise


class LtxVideo(DiffusionProfile):
    """The profile ``ltx-video``; see ``DiffusionProfile``."""

    facts = PROFILE
    adapts = "transformer"
    defaults = Settings(steps=len(DISTILLED_TIMES), guidance=1.0, few_steps=DISTILLED)
    samplers = NO_CHOICE

    def load(self, folder: Path, speed: SpeedOptions) -> Any:
        """Return the pipeline; see ``DiffusionProfile``."""
        require_one_dtype(speed)
        require(folder, "pipeline")
        pipe = load_pipeline(LTXConditionPipeline, folder / "pipeline", speed)
        apply_speed(pipe, speed)
        return pipe

    def tokens(self, pipe: Any, prompt: str) -> int:
        """Return how long a caption is; see ``DiffusionProfile``."""
        return count_tokens(pipe.tokenizer, prompt)

    def denoiser(self, pipe: Any, settings: Settings) -> Any:  # noqa: ARG002
        """Return the transformer; see ``DiffusionProfile``."""
        return pipe.transformer

    def denoise(self, pipe: Any, windows: Sequence[Window], settings: Settings, step: StepCallback) -> Sequence[Any]:
        """Return the latents of each window, (channels, latents, height, width); see ``DiffusionProfile``."""
        first, run = windows[0], copy(pipe)  # shares the models; the scheduler is its own
        run.scheduler = _TimesAsGiven.fresh(pipe.scheduler)

        with torch.inference_mode(), step_cached(run.transformer, settings.cache):
            return run(  # type: ignore[no-any-return]
                prompt=[window.prompt for window in windows],
                negative_prompt=[NEGATIVE_PROMPT] * len(windows),
                conditions=_conditions(windows, settings.strength) or None,
                height=first.height,
                width=first.width,
                num_frames=first.frames,
                frame_rate=float(first.frame_rate),
                num_inference_steps=settings.steps,
                timesteps=_times(settings),
                guidance_scale=settings.guidance,
                image_cond_noise_scale=0.0,  # given frames are exact
                max_sequence_length=PROFILE.text_tokens,
                generator=[window.noise for window in windows],
                output_type="latent",
                callback_on_step_end=step_end(run, step),
            ).frames

    def decode(self, pipe: Any, latents: Any, window: Window, settings: Settings, check: Check) -> Rgb:  # noqa: ARG002
        """Return the frames of a window, as the pipeline does; see ``DiffusionProfile``."""
        vae, time = pipe.vae, None
        with torch.inference_mode():
            given = pipe._denormalize_latents(
                latents[None], vae.latents_mean, vae.latents_std, vae.config.scaling_factor
            ).to(pipe.text_encoder.dtype)
            if vae.config.timestep_conditioning:
                place = {"device": given.device, "dtype": given.dtype}
                time, share = (torch.tensor([each], **place) for each in (_DECODE_TIME, _DECODE_NOISE))
                noise = randn_tensor(given.shape, generator=[window.noise], **place)
                given = (1 - share) * given + share * noise
            made = vae.decode(given, time, return_dict=False)[0]
            return to_bytes(pipe.video_processor.postprocess_video(made, output_type="pt")[0])


class _TimesAsGiven(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]  # diffusers has no types
    """The scheduler for times that are final, whatever shifting a checkpoint's configuration asks for.

    The pipeline works out its times before it has a scheduler shift them, and hands over neither what a shift by size
    needs nor a generator.
    """

    @classmethod
    def fresh(cls, scheduler: Any) -> "_TimesAsGiven":
        """Return one with the configuration of ``scheduler``, but for shifts and noise of its own."""
        made: _TimesAsGiven = cls.from_config(
            scheduler.config, use_dynamic_shifting=False, shift=1.0, shift_terminal=None, stochastic_sampling=False
        )
        return made

    def set_timesteps(self, *, timesteps: Any, device: Any = None) -> None:
        """Take the times, 1000 to 0, and the noise shares that they stand for."""
        sigmas = [float(time) / self.config.num_train_timesteps for time in timesteps]
        super().set_timesteps(sigmas=sigmas, timesteps=[float(time) for time in timesteps], device=device)


def _times(settings: Settings) -> list[float] | None:
    """Return the times of the steps, None for the pipeline's own.

    Fewer steps than the distilled schedule has are spread over it, the first included.

    Raises:
        InvalidSettingError: there is no such schedule, or it has fewer steps.
    """
    if not settings.few_steps:
        return None
    if settings.few_steps != DISTILLED:
        raise InvalidSettingError(
            f"few_steps={settings.few_steps} is not known to {PROFILE.id}; use {DISTILLED} or nothing"
        )
    most = len(DISTILLED_TIMES)
    if settings.steps > most:
        raise InvalidSettingError(
            f"steps={settings.steps} is more than few_steps={DISTILLED} has; use {most} or fewer, or few_steps="
        )
    return [DISTILLED_TIMES[number * most // settings.steps] for number in range(settings.steps)]


def _conditions(windows: Sequence[Window], strength: float) -> list[LTXVideoCondition]:
    """Return the known frames of all windows, which have theirs at the same places."""
    positions = sorted(windows[0].known)
    unbroken = next((place for place, position in enumerate(positions) if place != position), len(positions))
    opening = (unbroken - 1) // _FRAMES_PER_LATENT * _FRAMES_PER_LATENT + 1 if unbroken else 0  # fills latent frames
    places = [positions[:opening]] if opening else []
    places += [[position] for position in positions[opening:]]
    return [
        LTXVideoCondition(
            video=[_frames(window, place) for window in windows],
            frame_index=place[0],
            strength=min(strength, 1.0),  # 1 is exact
        )
        for place in places
    ]


def _frames(window: Window, positions: Sequence[int]) -> torch.Tensor:
    """Return known frames, (frames, 3, height, width), 0..1."""
    return torch.cat([from_bytes(window.known[position][None]) for position in positions])
