"""Where each weight of the authors' checkpoint belongs: prefixes of their names beside prefixes of ours.

Their layout is latent diffusion's: blocks are counted through all levels, and a block's residual, spatial and temporal
layers are numbered within it. Ours is diffusers': by level, then by kind of layer. Below a layer the names are alike,
except for those in the tables.
"""

from collections.abc import Mapping
from typing import Any

Names = dict[str, str]

_RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_UNET = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "fps_embedding.0": "fps_embedding.linear_1",
    "fps_embedding.2": "fps_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "init_attn.0": "transformer_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_VAE_MIDDLE = {
    "mid.block_1": "mid_block.resnets.0",
    "mid.block_2": "mid_block.resnets.1",
    "mid.attn_1.norm": "mid_block.attentions.0.group_norm",
    "mid.attn_1.q": "mid_block.attentions.0.to_q",
    "mid.attn_1.k": "mid_block.attentions.0.to_k",
    "mid.attn_1.v": "mid_block.attentions.0.to_v",
    "mid.attn_1.proj_out": "mid_block.attentions.0.to_out.0",
    "conv_in": "conv_in",
    "norm_out": "conv_norm_out",
    "conv_out": "conv_out",
}
_TEXT = {
    "token_embedding": "embeddings.token_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final": "final_layer_norm",
}
_TEXT_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn": "self_attn",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def renamed(key: str, names: Mapping[str, str]) -> str | None:
    """Return ``key`` with the longest of its prefixes that is in ``names`` replaced; None if none is."""
    parts = key.split(".")
    for count in range(len(parts), 0, -1):
        prefix = names.get(".".join(parts[:count]))
        if prefix is not None:
            return ".".join([prefix, *parts[count:]])
    return None


def unet_names(config: Any) -> Names:
    """Return the names of the denoiser (``model.diffusion_model``), for a ``VideoCrafterUNet`` of that config."""
    names = _UNET | _layers("middle_block", "mid_block", 0, attends=True) | _residual("middle_block.3", "mid_block", 1)
    last, count = len(config.down_block_types) - 1, 1
    for level, kind in enumerate(config.down_block_types):
        for layer in range(config.layers_per_block):
            names |= _layers(f"input_blocks.{count}", f"down_blocks.{level}", layer, attends=kind.startswith("Cross"))
            count += 1
        if level < last:
            names[f"input_blocks.{count}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
            count += 1
    count = 0
    for level, kind in enumerate(config.up_block_types):
        attends = kind.startswith("Cross")
        for layer in range(config.layers_per_block + 1):
            names |= _layers(f"output_blocks.{count}", f"up_blocks.{level}", layer, attends=attends)
            count += 1
        if level < last:
            names[f"output_blocks.{count - 1}.{3 if attends else 1}"] = f"up_blocks.{level}.upsamplers.0"
    return names


def vae_names(config: Any) -> Names:
    """Return the names of the VAE (``first_stage_model``), for an ``AutoencoderKL`` of that config."""
    names = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    levels, layers = len(config.block_out_channels), config.layers_per_block
    for side in ("encoder", "decoder"):
        names |= {f"{side}.{theirs}": f"{side}.{ours}" for theirs, ours in _VAE_MIDDLE.items()}
    for level in range(levels):
        down, up = (
            f"encoder.down_blocks.{level}",
            f"decoder.up_blocks.{levels - 1 - level}",
        )  # ups count from the bottom
        names[f"encoder.down.{level}.downsample"] = f"{down}.downsamplers.0"
        names[f"decoder.up.{level}.upsample"] = f"{up}.upsamplers.0"
        names |= _vae_layers(f"encoder.down.{level}", down, layers) | _vae_layers(f"decoder.up.{level}", up, layers + 1)
    return names


def text_names(config: Any) -> Names:
    """Return the names of the text encoder (``cond_stage_model.model``), for a ``CLIPTextModel`` of that config.

    The attention's fused weights are expected as three: ``attn.q_proj``, ``attn.k_proj`` and ``attn.v_proj``.
    """
    names = dict(_TEXT)
    for layer in range(config.num_hidden_layers):
        theirs, ours = f"transformer.resblocks.{layer}", f"encoder.layers.{layer}"
        names |= {f"{theirs}.{part}": f"{ours}.{_TEXT_LAYER[part]}" for part in _TEXT_LAYER}
    return names


def _layers(theirs: str, ours: str, layer: int, *, attends: bool) -> Names:
    names = _residual(f"{theirs}.0", ours, layer)
    if attends:
        names |= {f"{theirs}.1": f"{ours}.attentions.{layer}", f"{theirs}.2": f"{ours}.temp_attentions.{layer}"}
    return names


def _residual(theirs: str, ours: str, layer: int) -> Names:
    names = {f"{theirs}.{part}": f"{ours}.resnets.{layer}.{_RESIDUAL[part]}" for part in _RESIDUAL}
    names[f"{theirs}.temopral_conv"] = f"{ours}.temp_convs.{layer}"  # as they spell it
    return names


def _vae_layers(theirs: str, ours: str, count: int) -> Names:
    names = {}
    for layer in range(count):
        names[f"{theirs}.block.{layer}"] = f"{ours}.resnets.{layer}"
        names[f"{theirs}.block.{layer}.nin_shortcut"] = f"{ours}.resnets.{layer}.conv_shortcut"
    return names
