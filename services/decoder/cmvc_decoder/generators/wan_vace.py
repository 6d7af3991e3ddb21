"""``wan-vace-1.3b``: Wan2.1-VACE-1.3B, the default on a GPU.

Facts are in ``cmvc.profiles.wan_vace``. IT2V takes any frames as given, VT2V the low-rate video as VACE's control
video; 30 steps (UniPC) with guidance 5. With an adapter that cuts steps, sampler=lcm or sampler=dmd: 4, guidance 1.
With vae=fast the latents are decoded by a network of their own; given frames and guides are encoded by the VAE always.

VACE sees a video and a mask: frames to keep are black in the mask, frames to make are white and gray in the video;
a control video is white in the mask and not gray. (Jiang et al. 2025, "VACE: All-in-One Video Creation and Editing".)
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from diffusers import WanVACEPipeline
from diffusers.pipelines.wan.pipeline_wan_vace import prompt_clean

from cmvc.media.rgb import Rgb
from cmvc.profiles.wan_vace import PROFILE
from cmvc_decoder.diffusion.captions import count_tokens
from cmvc_decoder.diffusion.fast_vae import FastVae
from cmvc_decoder.diffusion.loading import load_pipeline, require
from cmvc_decoder.diffusion.profile import Check, DiffusionProfile, StepCallback, Window
from cmvc_decoder.diffusion.samplers import DMD, LCM, UNIPC, flow_scheduler
from cmvc_decoder.diffusion.settings import FAST, Settings, refuse_few_steps
from cmvc_decoder.diffusion.steps import step_end
from cmvc_decoder.diffusion.tensors import from_bytes, to_bytes
from cmvc_decoder.speed.apply import apply_speed
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.speed.step_cache import step_cached

NEGATIVE_PROMPT = (
    "overexposed, still picture, blurred details, subtitles, watermark, painting, overall gray, worst quality, "
    "compression artifacts, deformed, extra limbs, fused fingers, messy background"
)
_GRAY = 0.5


class WanVace(DiffusionProfile):
    """The profile ``wan-vace-1.3b``; see ``DiffusionProfile``."""

    facts = PROFILE
    adapts = "transformer"
    defaults = Settings(steps=PROFILE.steps, guidance=5.0)
    samplers: Mapping[str, Settings] = MappingProxyType(
        {
            UNIPC: replace(defaults, sampler=UNIPC),
            LCM: Settings(steps=PROFILE.sampler_steps[LCM], guidance=1.0, sampler=LCM),
            DMD: Settings(steps=PROFILE.sampler_steps[DMD], guidance=1.0, sampler=DMD),
        }
    )

    def load(self, folder: Path, speed: SpeedOptions) -> Any:
        """Return the pipeline; see ``DiffusionProfile``."""
        require(folder, "pipeline")
        pipe = load_pipeline(BatchedVace, folder / "pipeline", speed)
        apply_speed(pipe, speed)
        pipe.fast_vae = FastVae(folder, speed)
        return pipe

    def tokens(self, pipe: Any, prompt: str) -> int:
        """Return how long a caption is; see ``DiffusionProfile``."""
        return count_tokens(pipe.tokenizer, prompt_clean(prompt))

    def denoiser(self, pipe: Any, settings: Settings) -> Any:  # noqa: ARG002
        """Return the transformer; see ``DiffusionProfile``."""
        return pipe.transformer

    def denoise(self, pipe: Any, windows: Sequence[Window], settings: Settings, step: StepCallback) -> Sequence[Any]:
        """Return the latents of each window, (channels, latents, height, width); see ``DiffusionProfile``."""
        refuse_few_steps(settings, PROFILE.id)
        if settings.vae == FAST:
            pipe.fast_vae.load()  # before any step
        first, run = windows[0], copy(pipe)  # shares the models; the scheduler is its own
        run.scheduler = flow_scheduler(settings, [window.noise for window in windows])

        with torch.inference_mode(), step_cached(run.transformer, settings.cache):
            prompts, negative = (
                run.encode_prompt(  # here, because the pipeline takes one prompt, but any number of these
                    prompt=[window.prompt for window in windows],
                    negative_prompt=[NEGATIVE_PROMPT] * len(windows),
                    do_classifier_free_guidance=settings.guidance > 1,
                    max_sequence_length=PROFILE.text_tokens,
                )
            )
            return run(  # type: ignore[no-any-return]
                prompt_embeds=prompts,
                negative_prompt_embeds=negative,
                video=torch.stack([vace_video(window) for window in windows]),
                mask=torch.stack([vace_mask(window) for window in windows]),
                conditioning_scale=settings.strength,
                height=first.height,
                width=first.width,
                num_frames=first.frames,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                generator=[window.noise for window in windows],
                output_type="latent",
                callback_on_step_end=step_end(run, step),
            ).frames

    def decode(self, pipe: Any, latents: Any, window: Window, settings: Settings, check: Check) -> Rgb:  # noqa: ARG002
        """Return the frames of a window; see ``DiffusionProfile``."""
        with torch.inference_mode():
            if settings.vae == FAST:
                return to_bytes(pipe.fast_vae.load().decode(latents, check))
            vae = copy(pipe.vae)  # shares the weights; what is carried from frame to frame is its own
            config, given = vae.config, latents[None].to(vae.dtype)
            mean, deviation = (
                torch.tensor(each).view(1, -1, 1, 1, 1).to(given) for each in (config.latents_mean, config.latents_std)
            )
            # Divided by the inverse, as in the pipeline, whose frames are rounded so.
            made = vae.decode(given / (1.0 / deviation) + mean, return_dict=False)[0]
            return to_bytes(pipe.video_processor.postprocess_video(made, output_type="pt")[0])


class BatchedVace(WanVACEPipeline):  # type: ignore[misc]  # diffusers has no types
    """The pipeline for several videos at once: the original takes one, only because of how it prepares conditions."""

    def prepare_video_latents(self, video: Any, mask: Any, reference_images: Any, _generator: Any, device: Any) -> Any:
        """Return the conditioning latents of each video, (videos, channels, frames, height, width).

        They are the distribution's mode, so that no generator is needed.
        """
        each = [
            super(BatchedVace, self).prepare_video_latents(video[k : k + 1], mask[k : k + 1], [images], None, device)
            for k, images in enumerate(reference_images)
        ]
        return torch.cat(each)

    def prepare_masks(self, mask: Any, reference_images: Any, _generator: Any) -> Any:
        """Return the mask latents of each video, likewise."""
        each = [
            super(BatchedVace, self).prepare_masks(mask[k : k + 1], [images], None)
            for k, images in enumerate(reference_images)
        ]
        return torch.cat(each)


def vace_video(window: Window) -> torch.Tensor:
    """Return what VACE sees, (frames, 3, height, width), 0..1: known frames, else the guide, else gray."""
    if window.guide is None:
        video = torch.full((window.frames, 3, window.height, window.width), _GRAY)
    else:
        video = from_bytes(window.guide)
    for index, frame in window.known.items():
        video[index] = from_bytes(frame[None])[0]
    return video


def vace_mask(window: Window) -> torch.Tensor:
    """Return the mask, shaped as the video: 0 for frames to keep, 1 for frames to make."""
    mask = torch.ones((window.frames, 3, window.height, window.width))
    mask[list(window.known)] = 0.0
    return mask
