"""A tiny AnimateDiff: Stable Diffusion, motion modules, SparseCtrl, AnimateLCM."""

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    MotionAdapter,
    PNDMScheduler,
    SparseControlNetModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from cmvc.profiles.animatediff import LCM_LORA_FILE
from tiny_models.videocrafter2 import VOCABULARY, tokenizer

_CHANNELS = (8, 16)  # of the denoiser
_LAYERS = 1  # per block
_RANK = 2  # of the LoRA
_SIZES = {
    "block_out_channels": _CHANNELS,
    "layers_per_block": _LAYERS,
    "norm_num_groups": 4,
    "cross_attention_dim": 16,
    "attention_head_dim": 2,  # heads, in spite of its name
}


def write(folder: Path) -> None:
    """Write all weights as the real checkpoints' repositories are laid out."""
    torch.manual_seed(3)
    unet = _unet()
    _base(unet).save_pretrained(folder / "base")
    _name_what_is_not_pulled(folder / "base" / "model_index.json")
    for name in ("motion-adapter", "lcm-motion-adapter"):
        _motion().save_pretrained(folder / name)
    _sparse_control().save_pretrained(folder / "sparsectrl-rgb")
    (folder / "lcm-lora").mkdir()
    save_file(_lora(unet), folder / "lcm-lora" / LCM_LORA_FILE)


def _unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **_SIZES,
    ).eval()


def _base(unet: UNet2DConditionModel) -> StableDiffusionPipeline:
    text = CLIPTextConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=len(VOCABULARY) - 2,
        eos_token_id=len(VOCABULARY) - 1,
    )
    return StableDiffusionPipeline(
        unet=unet,
        vae=AutoencoderKL(
            block_out_channels=(8, 8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=4,
        ).eval(),
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=tokenizer(),
        scheduler=PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            skip_prk_steps=True,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _name_what_is_not_pulled(index: Path) -> None:
    """Let the index name the parts that the real one names and that the model store leaves out."""
    named = {
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
    }
    index.write_text(json.dumps(json.loads(index.read_text()) | named))


def _motion() -> MotionAdapter:
    return _no_zeros(
        MotionAdapter(
            block_out_channels=_CHANNELS,
            motion_layers_per_block=_LAYERS,
            motion_num_attention_heads=2,
            motion_norm_num_groups=4,
            use_motion_mid_block=False,  # as v3
        )
    )


def _sparse_control() -> SparseControlNetModel:
    return _no_zeros(
        SparseControlNetModel(
            down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"), motion_num_attention_heads=2, **_SIZES
        )
    )


def _no_zeros(model: torch.nn.Module) -> torch.nn.Module:
    """Fill the layers that start as zeros, so that they matter as in a trained model."""
    for weight in model.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.2)
    return model.eval()


def _lora(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    """Return a LoRA on the attention of ``unet``, named as kohya's scripts do."""
    weights = {}
    for path, layer in unet.named_modules():
        if path.endswith(("to_q", "to_v")):
            name = f"lora_unet_{path.replace('.', '_')}"
            weights[f"{name}.lora_down.weight"] = torch.randn(_RANK, layer.in_features)
            weights[f"{name}.lora_up.weight"] = torch.randn(layer.out_features, _RANK)
            weights[f"{name}.alpha"] = torch.tensor(float(_RANK))
    return weights
