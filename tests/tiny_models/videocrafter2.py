"""A tiny VideoCrafter2, in our layout and in that of the authors' checkpoint."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from cmvc_decoder.generators.videocrafter2.checkpoint import TEXT, UNET, VAE, save
from cmvc_decoder.generators.videocrafter2.names import renamed, text_names, unet_names, vae_names
from cmvc_decoder.generators.videocrafter2.scheduler import ScaledDDIMScheduler
from cmvc_decoder.generators.videocrafter2.unet import VideoCrafterUNet

_LETTERS = "abcdefghijklmnopqrstuvwxyz.,"
VOCABULARY = ("!", *_LETTERS, *(f"{letter}</w>" for letter in _LETTERS), "<|startoftext|>", "<|endoftext|>")
# Ours are linear layers, theirs convolutions of one element, over time and over pictures.
_CONVOLUTIONS = {
    "transformer_in.proj_in.weight": 1,
    "transformer_in.proj_out.weight": 1,
    **{f"mid_block.attentions.0.{name}.weight": 2 for name in ("to_q", "to_k", "to_v", "to_out.0")},
}


def tokenizer() -> CLIPTokenizer:
    """Return a CLIP tokenizer of single letters, so that any caption has tokens."""
    vocabulary = {word: number for number, word in enumerate(VOCABULARY)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], pad_token="!", model_max_length=77)


def modules() -> tuple[VideoCrafterUNet, AutoencoderKL, CLIPTextModel]:
    """Return denoiser, VAE and text encoder with weights that let each of their layers matter."""
    text = CLIPTextConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_act="gelu",
        bos_token_id=len(VOCABULARY) - 2,
        eos_token_id=len(VOCABULARY) - 1,
    )
    made = (
        VideoCrafterUNet(
            sample_size=(8, 8),
            block_out_channels=(8, 16),
            down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
            up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=16,
            attention_head_dim=4,
        ),
        AutoencoderKL(
            block_out_channels=(8, 8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=4,
            sample_size=64,
        ),
        CLIPTextModel(text),
    )
    noise = torch.Generator().manual_seed(1)
    for module in made:
        for name, weight in module.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            weight.data = centre + 0.2 * torch.randn(weight.shape, generator=noise)
    return tuple(module.eval() for module in made)  # type: ignore[return-value]


def write(folder: Path) -> None:
    """Write ``folder/base`` and ``folder/unet`` as the conversion does."""
    unet, vae, text_encoder = modules()
    save(folder, unet, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer(), scheduler=ScaledDDIMScheduler())


def unconverted(unet, vae, text_encoder) -> dict[str, torch.Tensor]:
    """Return the weights by the names and in the shapes of the authors' checkpoint, without its schedules."""
    weights = {}
    parts = {UNET: (unet, unet_names), VAE: (vae, vae_names), TEXT: (text_encoder, text_names)}
    for prefix, (module, names) in parts.items():
        theirs = {ours: theirs for theirs, ours in names(module.config).items()}
        for name, weight in module.state_dict().items():
            ends = next((count for ending, count in _CONVOLUTIONS.items() if name.endswith(ending)), 0)
            ends = 0 if prefix == UNET and "mid_block" in name else ends
            weights[f"{prefix}{renamed(name, theirs)}"] = weight.reshape(weight.shape + (1,) * ends)
    return _fused(weights) | _unused(text_encoder)


def _fused(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    fused = dict(weights)
    for name in weights:
        if ".attn.q_proj." in name:
            three = [fused.pop(name.replace("q_proj", f"{letter}_proj")) for letter in "qkv"]
            fused[name.replace("q_proj.", "in_proj_")] = torch.cat(three)
    return fused


def _unused(text_encoder) -> dict[str, torch.Tensor]:
    """Return the text encoder's last layer and what pools its text, which the denoiser never sees."""
    config, layer = text_encoder.config, f"{TEXT}transformer.resblocks.{text_encoder.config.num_hidden_layers}"
    wide, device = config.hidden_size, text_encoder.device
    shapes = {
        f"{TEXT}text_projection": (wide, config.projection_dim),
        f"{TEXT}logit_scale": (),
        f"{layer}.attn.in_proj_weight": (3 * wide, wide),
        f"{layer}.attn.in_proj_bias": (3 * wide,),
        f"{layer}.attn.out_proj.weight": (wide, wide),
        f"{layer}.attn.out_proj.bias": (wide,),
        f"{layer}.mlp.c_fc.weight": (config.intermediate_size, wide),
        f"{layer}.mlp.c_fc.bias": (config.intermediate_size,),
        f"{layer}.mlp.c_proj.weight": (wide, config.intermediate_size),
        f"{layer}.mlp.c_proj.bias": (wide,),
        **{f"{layer}.{norm}.{kind}": (wide,) for norm in ("ln_1", "ln_2") for kind in ("weight", "bias")},
    }
    return {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}
