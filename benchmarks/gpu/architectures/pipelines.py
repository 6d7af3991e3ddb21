"""Pipelines as the profiles load them, of the full architectures with random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTXConditionPipeline, PNDMScheduler, UniPCMultistepScheduler

from benchmarks.gpu.architectures import Components, components, vocabularies
from benchmarks.gpu.architectures.tiny import shrunk
from benchmarks.gpu.architectures.weights import random_model
from cmvc_decoder.generators.animatediff import BatchedSparseControl, Denoisers
from cmvc_decoder.generators.swiftvr.pipeline import SwiftVrPipeline
from cmvc_decoder.generators.videocrafter2.pipeline import VideoCrafterPipeline
from cmvc_decoder.generators.videocrafter2.scheduler import ScaledDDIMScheduler
from cmvc_decoder.generators.wan_vace import BatchedVace

Parts = dict[str, Any]
_PROMPT_TOKENS = 512  # of the published embedding
_SCALES: dict[str, Callable[[Components], Components]] = {"full": lambda real: real, "tiny": shrunk}


def random_pipeline(profile_id: str, device: str, dtype: torch.dtype, scale: str = "full") -> Any:
    """Return what the profile's ``load`` returns, but for ``apply_speed``: that is up to the caller.

    Args:
        profile_id: registered name.
        device: of torch, where the models are made.
        dtype: of all models.
        scale: ``full`` for the real sizes, ``tiny`` for the same code at toy sizes.

    Raises:
        FileNotFoundError: the profile has no architecture here.
    """
    found = _SCALES[scale](components(profile_id))
    parts = {name: random_model(cls, config, device, dtype) for name, (cls, config) in found.items()}
    return _ASSEMBLERS[profile_id](parts, device)


def _wan_vace(parts: Parts, device: str) -> Any:
    scheduler = _make(UniPCMultistepScheduler, prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    return _ready(_make(BatchedVace, tokenizer=vocabularies.t5(), scheduler=scheduler, **parts), device)


def _ltx_video(parts: Parts, device: str) -> Any:
    scheduler = _make(FlowMatchEulerDiscreteScheduler)
    return _ready(_make(LTXConditionPipeline, tokenizer=vocabularies.t5(), scheduler=scheduler, **parts), device)


def _animatediff(parts: Parts, device: str) -> Denoisers:
    scheduler = _make(
        PNDMScheduler,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        steps_offset=1,
    )
    shared = {name: parts[name] for name in ("unet", "vae", "text_encoder")}
    shared |= {"tokenizer": vocabularies.clip(), "scheduler": scheduler, "controlnet": parts["sparsectrl_rgb"]}
    made = []
    for adapter in ("motion_adapter", "lcm_motion_adapter"):  # AnimateLCM's LoRA would be fused: it takes no time
        pipe = _ready(_make(BatchedSparseControl, motion_adapter=parts[adapter], **shared), device)
        pipe.motion_adapter = None  # the denoiser has copied it
        pipe.unet.requires_grad_(False).eval()
        made.append(pipe)
    full, lcm = made
    return Denoisers(full, lcm, Path())


def _videocrafter2(parts: Parts, device: str) -> Any:
    scheduler = _make(ScaledDDIMScheduler)
    return _ready(_make(VideoCrafterPipeline, tokenizer=vocabularies.clip(), scheduler=scheduler, **parts), device)


def _swiftvr(parts: Parts, device: str) -> Any:
    prompt = torch.randn(
        _PROMPT_TOKENS, parts["transformer"].config.text_dim, generator=torch.Generator().manual_seed(0)
    )
    return _ready(_make(SwiftVrPipeline, prompt=prompt, **parts), device)


def _make(cls: Any, **parts: Any) -> Any:
    """Return an object of a class without types."""
    return cls(**parts)


def _ready(pipe: Any, device: str) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


_ASSEMBLERS: dict[str, Callable[[Parts, str], Any]] = {
    "wan-vace-1.3b": _wan_vace,
    "ltx-video": _ltx_video,
    "animatediff": _animatediff,
    "videocrafter2": _videocrafter2,
    "swiftvr": _swiftvr,
}
