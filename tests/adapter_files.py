"""Adapters (LoRA) of random weights, large enough to be seen, in the format that diffusers saves."""

from pathlib import Path

import torch
from diffusers import WanVACEPipeline
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model

from cmvc.profiles.registry import model_profile
from cmvc_decoder.weights.adapters import Adapter, write_adapter

TARGETS = ["to_q", "to_v", "ffn.net.0.proj"]


def save_lora(denoiser, folder: Path, *, seed=1, rank=4, alpha=8, part="transformer", targets=TARGETS) -> Path:
    """Write an adapter of random weights for a denoiser, which is changed; return the folder."""
    torch.manual_seed(seed)
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets), denoiser)
    weights = {
        f"{part}.{name}": 0.2 * torch.randn_like(weight) for name, weight in get_peft_model_state_dict(denoiser).items()
    }
    folder.mkdir(parents=True)
    WanVACEPipeline.write_lora_layers(
        weights,
        str(folder),
        is_main_process=True,
        weight_name=None,
        save_function=None,
        safe_serialization=True,
        lora_adapter_metadata={f"{part}.r": rank, f"{part}.lora_alpha": alpha},
    )
    return folder


def make_adapter(denoiser, folder: Path, *, profile="wan-vace-1.3b", **lora) -> Adapter:
    """Write an adapter with its record."""
    save_lora(denoiser, folder, **lora)
    return write_adapter(folder, profile=profile, revision=model_profile(profile).revision, steps=3, base="a toy")
