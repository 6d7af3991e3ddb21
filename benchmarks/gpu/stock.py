"""The pipelines of diffusers as their documentation calls them: what the served path is compared with.

bfloat16 (Wan's VAE float32, as its page says), torch's own attention, no cache, nothing compiled.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from diffusers import (
    AnimateDiffPipeline,
    DDIMScheduler,
    UNet3DConditionModel,
    WanTransformer3DModel,
    WanVACEPipeline,
)
from diffusers.pipelines.deprecated.text_to_video_synthesis import TextToVideoSDPipeline

from benchmarks.gpu.architectures import components
from benchmarks.gpu.architectures.tiny import shrunk
from benchmarks.gpu.architectures.weights import random_model
from benchmarks.gpu.work import PROMPT, Work

NEGATIVE = "worst quality, blurry"
Call = Callable[[Work, int], Any]


def stock_call(profile_id: str, loaded: Any, scale: str) -> tuple[Any, Call]:
    """Return the stock pipeline over the same models, and what makes a batch of videos with it in so many steps.

    Args:
        profile_id: registered name.
        loaded: what ``random_pipeline`` returned.
        scale: ``full`` or ``tiny``.
    """
    pipe = _MAKERS[profile_id](loaded, scale)
    pipe.set_progress_bar_config(disable=True)

    def call(work: Work, steps: int) -> None:
        _CALLS[profile_id](pipe, replace(work, settings=replace(work.settings, steps=steps)))

    return pipe, call


def _wan_vace(loaded: Any, _: str) -> Any:
    return WanVACEPipeline(**loaded.components)


def _ltx_video(loaded: Any, _: str) -> Any:
    return type(loaded)(**loaded.components)


def _animatediff(loaded: Any, _: str) -> Any:
    parts = {name: part for name, part in loaded.full.components.items() if name != "controlnet"}
    pipe = AnimateDiffPipeline(**parts)
    pipe.scheduler = DDIMScheduler.from_config(
        pipe.scheduler.config, beta_schedule="linear", clip_sample=False, timestep_spacing="linspace", steps_offset=1
    )
    return pipe


def _videocrafter2(loaded: Any, scale: str) -> Any:
    """Return the text-to-video pipeline with a UNet of its own class and VideoCrafter2's sizes.

    There is no pipeline for VideoCrafter2; this is the one that its converted UNet is put into.
    """
    found = components("videocrafter2")
    _, config = (shrunk(found) if scale == "tiny" else found)["unet"]
    known = {name: value for name, value in config.items() if not name.startswith("_")}
    unet = random_model(UNet3DConditionModel, known, str(loaded.device), loaded.unet.dtype)
    parts = {name: getattr(loaded, name) for name in ("vae", "text_encoder", "tokenizer")}
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)
    return TextToVideoSDPipeline(unet=unet, scheduler=scheduler, **parts)


class _WholeAttention(WanTransformer3DModel):  # type: ignore[misc]  # diffusers has no types
    """The stock class, called as SwiftVR's denoiser is: every token attends to all of its chunk."""

    def forward(self, latents: Any, timestep: Any, prompt: Any, first_frame: int) -> Any:  # noqa: ARG002
        return super().forward(latents, timestep, prompt, return_dict=False)[0]


def _swiftvr(loaded: Any, _: str) -> Any:
    """Return the same pipeline with the stock class of its denoiser, of the same sizes: diffusers has none for it."""
    config = {name: value for name, value in loaded.transformer.config.items() if name != "window" and name[0] != "_"}
    transformer = random_model(_WholeAttention, config, str(loaded.device), loaded.transformer.dtype)
    return type(loaded)(**(loaded.components | {"transformer": transformer}))


def _restored(pipe: Any, work: Work) -> None:
    for _ in pipe([work.guide()] * work.videos):
        pass


def _one_by_one(pipe: Any, work: Work) -> None:
    """Make the videos one after another: the pipeline takes one prompt."""
    for number in range(work.videos):
        pipe(prompt=PROMPT, negative_prompt=NEGATIVE, **_sizes(work), generator=_noise(number))


def _at_once(pipe: Any, work: Work, **more: Any) -> None:
    pipe(
        prompt=[PROMPT] * work.videos,
        negative_prompt=[NEGATIVE] * work.videos,
        **_sizes(work),
        generator=[_noise(number) for number in range(work.videos)],
        **more,
    )


def _sizes(work: Work) -> dict[str, Any]:
    return {
        "num_frames": work.frames,
        "width": work.width,
        "height": work.height,
        "num_inference_steps": work.settings.steps,
        "guidance_scale": work.settings.guidance,
    }


def _noise(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


_MAKERS: dict[str, Callable[[Any, str], Any]] = {
    "wan-vace-1.3b": _wan_vace,
    "ltx-video": _ltx_video,
    "animatediff": _animatediff,
    "videocrafter2": _videocrafter2,
    "swiftvr": _swiftvr,
}
_CALLS: dict[str, Callable[..., None]] = {
    "wan-vace-1.3b": _one_by_one,
    "ltx-video": partial(_at_once, decode_timestep=0.05, decode_noise_scale=0.025),
    "animatediff": _at_once,
    "videocrafter2": _at_once,
    "swiftvr": _restored,
}
