"""The same architectures at toy sizes, so that the benchmark's code runs where there is no GPU."""

from benchmarks.gpu.architectures import Components, Config

_TEXT = {"vocab_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
_T5 = {"vocab_size": 64, "num_layers": 2, "num_heads": 2, "d_model": 16, "d_kv": 8, "d_ff": 32}
_UNET = {
    "block_out_channels": [8, 16, 16, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "cross_attention_dim": 16,
}
_SIZES: dict[str, Config] = {
    "WanVACETransformer3DModel": {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "text_dim": 16,
        "freq_dim": 32,
        "ffn_dim": 32,
        "num_layers": 2,
        "vace_layers": [0],
    },
    "AutoencoderKLWan": {"base_dim": 4, "num_res_blocks": 1},
    "UMT5EncoderModel": _T5,
    "T5EncoderModel": _T5,
    "LTXVideoTransformer3DModel": {
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "cross_attention_dim": 16,
        "caption_channels": 16,
        "num_layers": 2,
    },
    "AutoencoderKLLTXVideo": {
        "block_out_channels": [8, 8, 8, 16, 16],
        "decoder_block_out_channels": [8, 16, 32],
        "layers_per_block": [1] * 5,
        "decoder_layers_per_block": [1] * 4,
    },
    "AutoencoderKL": {"block_out_channels": [8] * 4, "layers_per_block": 1, "norm_num_groups": 4},
    "CLIPTextModel": _TEXT,
    "UNet2DConditionModel": _UNET | {"attention_head_dim": 2},
    "SparseControlNetModel": _UNET | {"attention_head_dim": 2, "motion_num_attention_heads": 2},
    "VideoCrafterUNet": _UNET | {"attention_head_dim": 4},
    "SwiftVrTransformer": {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "in_channels": 8,
        "out_channels": 8,
        "text_dim": 16,
        "freq_dim": 32,
        "ffn_dim": 32,
        "num_layers": 2,
        "window": [2, 2],
    },
    "SwiftVrAutoencoder": {"latent_channels": 8, "encoder_width": 8, "decoder_widths": [16, 12, 8, 8]},
    "MotionAdapter": {
        "block_out_channels": [8, 16, 16, 16],
        "motion_layers_per_block": 1,
        "motion_norm_num_groups": 4,
        "motion_num_attention_heads": 2,
    },
}


def shrunk(components: Components) -> Components:
    """Return the same classes with a few layers and channels each; what is not a size stays as it is."""
    return {name: (cls, config | _SIZES[cls.__name__]) for name, (cls, config) in components.items()}
