"""From the authors' ``model.ckpt`` to the folder that the profile ``videocrafter2`` loads.

    python -m cmvc_decoder.generators.videocrafter2.checkpoint model.ckpt OUT --tokenizer DIR

Every weight of the checkpoint has to have its place and every place its weight; what is left out is named in
``_UNUSED``. The file is read with ``weights_only=True``, so that it cannot run code.
"""

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from cmvc.errors import CmvcError, MissingWeightsError
from cmvc_decoder.generators.videocrafter2.names import renamed, text_names, unet_names, vae_names
from cmvc_decoder.generators.videocrafter2.scheduler import ScaledDDIMScheduler
from cmvc_decoder.generators.videocrafter2.unet import VideoCrafterUNet

UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.model."
_UNUSED = (
    "text_projection",
    "logit_scale",
    "attn_mask",
)  # of the text encoder: pooling, and a mask CLIPTextModel makes
_FUSED = {"attn.in_proj_weight": "weight", "attn.in_proj_bias": "bias"}
_SCHEDULES = (
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
)  # all follow from betas and alphas_cumprod
_PAD = "!"  # token 0, which OpenCLIP pads with
_SHOWN = 5  # names in a message
Weights = Mapping[str, torch.Tensor]


def convert(weights: Weights, unet: Any, vae: Any, text_encoder: Any, scheduler: Any) -> None:
    """Fill the modules, which may be on the meta device, with the weights of the authors' checkpoint.

    Args:
        weights: by their names.
        unet: a ``VideoCrafterUNet``.
        vae: an ``AutoencoderKL``.
        text_encoder: a ``CLIPTextModel`` with one layer less than the checkpoint has: theirs is not used.
        scheduler: a ``ScaledDDIMScheduler`` that the checkpoint's schedules are compared with.

    Raises:
        MissingWeightsError: a name is not known, a weight is missing or of another shape, a schedule differs.
    """
    text = _unfused(_part(weights, TEXT))
    spare = f"transformer.resblocks.{text_encoder.config.num_hidden_layers}."
    text = {key: weight for key, weight in text.items() if key not in _UNUSED and not key.startswith(spare)}
    _fill(unet, _part(weights, UNET), unet_names(unet.config), UNET)
    _fill(vae, _part(weights, VAE), vae_names(vae.config), VAE)
    _fill(text_encoder, text, text_names(text_encoder.config), TEXT)
    _check_schedules(
        {key: weight for key, weight in weights.items() if not key.startswith((UNET, VAE, TEXT))}, scheduler
    )


def read(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights in a ``.ckpt`` file, by name.

    Raises:
        MissingWeightsError: it is not there, or holds something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise MissingWeightsError(f"{path} is not there; docs/videocrafter2.md says where it comes from") from None
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise MissingWeightsError(f"{path} is not a file of weights alone: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise MissingWeightsError(f"{path} holds no weights by name")
    weights = content.get("state_dict", content)
    return {key: weight for key, weight in weights.items() if isinstance(weight, torch.Tensor)}


def published() -> tuple[Any, Any, Any]:
    """Return denoiser, VAE and text encoder at the published sizes, on the meta device (without memory)."""
    levels = 4
    text = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=23,
        num_attention_heads=16,
        hidden_act="gelu",
        projection_dim=1024,
    )
    with torch.device("meta"):
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            layers_per_block=2,
            sample_size=512,
        )
        return VideoCrafterUNet(), vae, CLIPTextModel(text)


def tokenizer(folder: Path, words: int) -> Any:
    """Return CLIP's tokenizer, from a folder with its ``vocab.json`` and ``merges.txt``, set up as OpenCLIP's.

    Raises:
        MissingWeightsError: they are not there, or are those of a vocabulary of another size than ``words``.
    """
    for name in ("vocab.json", "merges.txt"):
        if not (folder / name).is_file():
            raise MissingWeightsError(f"{folder / name} is not there; --tokenizer wants the folder of a CLIP tokenizer")
    made = CLIPTokenizer.from_pretrained(folder, pad_token=_PAD, model_max_length=77, local_files_only=True)
    if len(made) != words or made.pad_token_id != 0:
        raise MissingWeightsError(f"{folder} is no CLIP tokenizer of {words} tokens, of which '{_PAD}' is the first")
    return made


def _part(weights: Weights, prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): weight for key, weight in weights.items() if key.startswith(prefix)}


def _unfused(weights: Weights) -> dict[str, torch.Tensor]:
    """Return the text encoder's weights with those of query, key and value apart."""
    apart = {}
    for key, weight in weights.items():
        fused = next((name for name in _FUSED if key.endswith(name)), None)
        if fused is None:
            apart[key] = weight
            continue
        stem = key.removesuffix(fused)
        for letter, third in zip("qkv", weight.chunk(3), strict=True):
            apart[f"{stem}attn.{letter}_proj.{_FUSED[fused]}"] = third
    return apart


def _fill(module: Any, weights: Weights, names: Mapping[str, str], part: str) -> None:
    places = module.state_dict()
    filled: dict[str, torch.Tensor] = {}
    unknown = []
    for key, weight in weights.items():
        place = renamed(key, names)
        if place is None or place not in places or place in filled:
            unknown.append(part + key)
        else:
            filled[place] = _shaped(weight, places[place].shape, part + key)
    missing = [place for place in places if place not in filled]
    if unknown or missing:
        raise MissingWeightsError(
            f"this is no VideoCrafter2 checkpoint: in {part} {len(unknown)} names are not known {_some(unknown)} and "
            f"{len(missing)} weights are missing {_some(missing)}"
        )
    module.load_state_dict(filled, assign=True)


def _shaped(weight: torch.Tensor, shape: torch.Size, name: str) -> torch.Tensor:
    """Return the weight in ``shape``; a convolution of one element becomes a linear layer."""
    bare = weight.shape
    while len(bare) > len(shape) and bare[-1] == 1:
        bare = bare[:-1]
    if bare != shape:
        raise MissingWeightsError(
            f"this is no VideoCrafter2 checkpoint: {name} is {_size(weight.shape)}, not {_size(shape)}"
        )
    return weight.reshape(shape)


def _check_schedules(buffers: Weights, scheduler: Any) -> None:
    expected = {
        "betas": scheduler.betas,
        "alphas_cumprod": scheduler.alphas_cumprod,
        "scale_arr": scheduler.scales,  # theirs goes on past the last timestep, at the same value
    }
    unknown = [key for key in buffers if key not in expected and key not in _SCHEDULES]
    if unknown:
        raise MissingWeightsError(
            f"this is no VideoCrafter2 checkpoint: {len(unknown)} names are not known {_some(unknown)}"
        )
    for name, values in expected.items():
        if name in buffers and not torch.allclose(buffers[name][: len(values)].float(), values, rtol=1e-4, atol=1e-6):
            raise MissingWeightsError(f"the checkpoint was trained with another schedule: its {name} differ")


def _some(names: list[str]) -> str:
    return f"({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})" if names else ""


def _size(shape: torch.Size) -> str:
    return "x".join(map(str, shape))


def main() -> None:
    """Convert a checkpoint, as the command line says."""
    parser = argparse.ArgumentParser(description="Convert VideoCrafter2's model.ckpt for the profile videocrafter2.")
    parser.add_argument("checkpoint", type=Path, help="the authors' model.ckpt")
    parser.add_argument("out", type=Path, help="the profile's folder in the model store")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with CLIP's vocab.json and merges.txt")
    given = parser.parse_args()
    try:
        write(given.checkpoint, given.out, given.tokenizer)
    except CmvcError as error:
        parser.exit(1, f"error: {error}\n")


def write(checkpoint: Path, out: Path, tokenizer_folder: Path) -> None:
    """Write ``out/unet`` and ``out/base`` from a checkpoint of the published sizes.

    Raises:
        MissingWeightsError: the checkpoint or the tokenizer is not there, or is another model's.
    """
    scheduler = ScaledDDIMScheduler()
    unet, vae, text_encoder = published()
    words = tokenizer(tokenizer_folder, text_encoder.config.vocab_size)
    convert(read(checkpoint), unet, vae, text_encoder, scheduler)
    save(out, unet, vae=vae, text_encoder=text_encoder, tokenizer=words, scheduler=scheduler)


def save(out: Path, unet: Any, **base: Any) -> None:
    """Write the denoiser and the parts of the base (by name) as ``VideoCrafter2.load`` finds them."""
    unet.save_pretrained(out / "unet")
    for name, part in base.items():
        part.save_pretrained(out / "base" / name)


if __name__ == "__main__":
    main()
