"""Published adapters (LoRA) of Wan as the decoder installs them: one file of plain LoRA in diffusers' names, described.

Publishers have names of their own (``diffusion_model.blocks.0.self_attn.q.lora_down.weight``), which diffusers knows to
translate. What is no pair of matrices, such as changed biases, is left out: the few that there are say little.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import WanVACEPipeline
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn.functional import pad

from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc.profiles.profile import ModelProfile
from cmvc_decoder.weights.adapters import (
    FEW_STEPS,
    METADATA,
    MOST_BYTES,
    WEIGHTS,
    Adapter,
    checked_name,
    install,
    write_adapter,
)

_TRANSLATORS = {"wan-vace-1.3b": WanVACEPipeline}
_PART = "transformer"
_A, _B = ".lora_A.weight", ".lora_B.weight"


def adopt(file: Path, facts: ModelProfile, root: Path, *, name: str, licence: str, base: str) -> tuple[Adapter, int]:
    """Install a published adapter that cuts steps; return what it is, and how many of its tensors were left out.

    Args:
        file: safetensors, as published.
        facts: of the profile whose model it changes.
        root: of the model store.
        name: that it is to have.
        licence: of it; an SPDX identifier where there is one.
        base: where it is from, such as a repository and its commit.

    Raises:
        InvalidSettingError: the name is none, a text too long, or the profile has no published adapters that are known.
        MissingWeightsError: the file is no adapter of that profile's model, or cannot be read.
        OSError: it cannot be written.
    """
    if facts.id not in _TRANSLATORS:
        raise InvalidSettingError(f"published adapters are known of {', '.join(_TRANSLATORS)}, not of {facts.id}")
    found = _translated(file, _TRANSLATORS[facts.id])
    pairs = {key: weight for key, weight in found.items() if key.endswith((_A, _B)) and _has_both(key, found)}
    if not pairs:
        raise MissingWeightsError(f"{file} has no pairs of LoRA matrices; is it an adapter?")
    rank = max(weight.shape[0] for key, weight in pairs.items() if key.endswith(_A))
    with tempfile.TemporaryDirectory(prefix="cmvc-") as scratch:
        folder = Path(scratch) / checked_name(name)
        folder.mkdir()
        # Alpha is in the matrices by now. Those of a lower rank get zeros, which change nothing.
        metadata = {METADATA: json.dumps({f"{_PART}.r": rank, f"{_PART}.lora_alpha": rank}), "format": "pt"}
        save_file({key: _of_rank(key, weight, rank) for key, weight in pairs.items()}, folder / WEIGHTS, metadata)
        write_adapter(
            folder, profile=facts.id, revision=facts.revision, steps=0, base=base, kind=FEW_STEPS, licence=licence
        )
        return install(folder, root), len(found) - len(pairs)


def _translated(file: Path, pipeline: Any) -> Mapping[str, torch.Tensor]:
    """Return the tensors of a file under diffusers' names."""
    try:
        if not 0 < (size := file.stat().st_size) <= MOST_BYTES:
            raise MissingWeightsError(f"{file} has {size} bytes; an adapter has 1 to {MOST_BYTES}")
        weights: Mapping[str, torch.Tensor] = pipeline.lora_state_dict(load_file(file))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise MissingWeightsError(f"{file} is no adapter that can be used here: {error}") from error
    return weights


def _has_both(key: str, weights: Mapping[str, torch.Tensor]) -> bool:
    module = key.removesuffix(_A).removesuffix(_B)
    return module + _A in weights and module + _B in weights


def _of_rank(key: str, weight: torch.Tensor, rank: int) -> torch.Tensor:
    """Return a matrix with zeros up to ``rank``."""
    missing = rank - weight.shape[0 if key.endswith(_A) else 1]
    return pad(weight, (0, 0, 0, missing) if key.endswith(_A) else (0, missing)).contiguous()
