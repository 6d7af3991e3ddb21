"""A tiny LTX-Video pipeline, with the VAE's blocks of 0.9.5 and later."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
    LTXVideoTransformer3DModel,
)
from transformers import T5Config, T5EncoderModel

from tiny_models.wan_vace import tokenizer

_CHANNELS = 8  # of latents


def _vae() -> AutoencoderKLLTXVideo:
    return AutoencoderKLLTXVideo(
        latent_channels=_CHANNELS,
        block_out_channels=(8, 8, 8, 16, 16),
        down_block_types=("LTXVideo095DownBlock3D",) * 4,
        decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True, True),
        decoder_spatio_temporal_scaling=(True, True, True),
        decoder_inject_noise=(False, False, False, False),
        downsample_type=("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
        upsample_residual=(True, True, True),
        upsample_factor=(2, 2, 2),
        timestep_conditioning=True,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )


def write(folder: Path) -> None:
    """Write ``folder/pipeline`` as the real checkpoint's repository is laid out."""
    torch.manual_seed(2)
    letters = tokenizer()
    text = T5Config(vocab_size=len(letters), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    LTXConditionPipeline(
        # Shifted by size, as published; the pipeline cannot do that.
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True,
            base_shift=0.95,
            max_shift=2.05,
            base_image_seq_len=1024,
            max_image_seq_len=4096,
            shift_terminal=0.1,
        ),
        vae=_vae().eval(),
        text_encoder=T5EncoderModel(text).eval(),
        tokenizer=letters,
        transformer=LTXVideoTransformer3DModel(
            in_channels=_CHANNELS,
            out_channels=_CHANNELS,
            num_attention_heads=2,
            attention_head_dim=8,
            cross_attention_dim=16,
            num_layers=2,
            caption_channels=16,
        ).eval(),
    ).save_pretrained(folder / "pipeline")
