"""A tiny CLIP, both towers, as the published checkpoints are laid out."""

from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from tiny_models.wan_vace import tokenizer

SIDE = 32  # pixels


def write(folder: Path) -> None:
    """Write the checkpoint; its patch embedding sees contrast, so that different pictures get different vectors."""
    torch.manual_seed(5)
    letters = tokenizer()
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**tower, "vocab_size": len(letters), "max_position_embeddings": 77, "projection_dim": 16},
        vision_config={**tower, "image_size": SIDE, "patch_size": 8, "projection_dim": 16},
        projection_dim=16,
    )
    model = CLIPModel(config).eval()
    sharpen(model.vision_model)
    model.save_pretrained(folder)
    crop = {"height": SIDE, "width": SIDE}
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=crop).save_pretrained(folder)
    letters.save_pretrained(folder)


def sharpen(vision: torch.nn.Module) -> None:
    """Scale the patch embedding of a random vision tower: as drawn, positions drown what the picture shows."""
    with torch.no_grad():
        vision.embeddings.patch_embedding.weight.mul_(20)
