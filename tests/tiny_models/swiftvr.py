"""A tiny SwiftVR, its files as the authors lay them out: windows of 2x2 tokens, a narrow autoencoder."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from cmvc.profiles.swiftvr import AUTOENCODER, PROMPT, TRANSFORMER
from cmvc_decoder.generators.swiftvr.autoencoder import SwiftVrAutoencoder
from cmvc_decoder.generators.swiftvr.transformer import SwiftVrTransformer


def write(folder: Path) -> None:
    """Write ``folder/checkpoint`` as the real checkpoint's repository is laid out."""
    torch.manual_seed(1)
    transformer = SwiftVrTransformer(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=8,
        out_channels=8,
        text_dim=16,
        freq_dim=32,
        ffn_dim=32,
        num_layers=4,
        window=(2, 2),
    )
    vae = SwiftVrAutoencoder(latent_channels=8, encoder_width=8, decoder_widths=(16, 12, 8, 8))
    with torch.no_grad():
        vae.decoder[-1].bias += 0.5  # frames of the middle, not of black
    checkpoint = folder / "checkpoint"
    transformer.save_pretrained(checkpoint / TRANSFORMER)
    save_file(vae.state_dict(), checkpoint / AUTOENCODER)
    save_file({"prompt_emb": torch.randn(1, 6, 16)}, checkpoint / PROMPT)
