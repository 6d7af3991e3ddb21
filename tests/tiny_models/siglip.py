"""A tiny SigLIP and a tiny SigLIP 2 (NaFlex), both towers, as the published checkpoints are laid out."""

from pathlib import Path

import torch
from transformers import (
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

from tiny_models.clip import SIDE, sharpen

_TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_TEXT = {**_TOWER, "vocab_size": 64, "max_position_embeddings": 16, "projection_size": 32}


def write(folder: Path) -> None:
    """Write a SigLIP checkpoint; those of SigLIP 2 with a fixed resolution are laid out alike."""
    torch.manual_seed(6)
    vision = {**_TOWER, "image_size": SIDE, "patch_size": 8}
    model = SiglipModel(SiglipConfig(text_config=_TEXT, vision_config=vision)).eval()
    sharpen(model.vision_model)
    model.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)


def write_naflex(folder: Path) -> None:
    """Write a SigLIP 2 checkpoint that keeps a picture's shape."""
    torch.manual_seed(7)
    vision = {**_TOWER, "patch_size": 8, "num_patches": 16}
    model = Siglip2Model(Siglip2Config(text_config=_TEXT, vision_config=vision)).eval()
    sharpen(model.vision_model)
    model.save_pretrained(folder)
    Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16).save_pretrained(folder)
