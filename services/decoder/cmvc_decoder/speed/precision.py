"""The number format of weights and activations.

Denoiser, text encoders and control networks get ``SpeedOptions.dtype``, but for the few modules that their classes name
as needing float32 (time embeddings and norms of Wan, output projections of T5 in float16). A VAE gets
``SpeedOptions.vae_dtype``; without it what its authors run it in, which is float32 for Wan's and the denoiser's format
for all others.
"""

from typing import Any

import torch

from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.speed.parts import VAE, models

FLOAT32_VAES = frozenset({"AutoencoderKLWan"})


def vae_dtype(vae_class: str, speed: SpeedOptions) -> torch.dtype:
    """Return the format of a VAE, to load it in: weights read in a smaller one do not grow exact again.

    Args:
        vae_class: name of its class.
        speed: what the operator chose.
    """
    if speed.vae_dtype:
        return _dtype(speed.vae_dtype)
    return torch.float32 if vae_class in FLOAT32_VAES else _dtype(speed.dtype)


def apply_precision(pipe: Any, speed: SpeedOptions) -> None:
    """Convert the weights of a pipeline to their formats, in place; those that have theirs already are left alone."""
    for name, model in models(pipe).items():
        dtype = vae_dtype(type(model).__name__, speed) if name == VAE else _dtype(speed.dtype)
        kept = _kept_in_float32(model, dtype)
        for weight_name, weight in model.state_dict(keep_vars=True).items():
            wanted = torch.float32 if kept.intersection(weight_name.split(".")) else dtype
            if weight.is_floating_point() and weight.dtype != wanted:
                weight.data = weight.data.to(wanted)


def _kept_in_float32(model: Any, dtype: torch.dtype) -> set[str]:
    """Return the names of modules that keep float32, as diffusers and transformers do when they load a checkpoint."""
    if dtype == torch.float32:
        return set()
    kept = set(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    overflows_only = hasattr(model, "_keep_in_fp32_modules_strict")  # transformers: that list is for float16 alone
    if dtype == torch.float16 or not overflows_only:
        kept |= set(getattr(model, "_keep_in_fp32_modules", None) or ())
    return kept


def _dtype(name: str) -> torch.dtype:
    found: torch.dtype = getattr(torch, name)
    return found
