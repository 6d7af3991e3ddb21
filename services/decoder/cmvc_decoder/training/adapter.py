"""From a tuned network to the folder that a decoder loads."""

import json
import secrets
import shutil
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model_state_dict

from cmvc.files import whole_file
from cmvc_decoder.training.options import TrainOptions
from cmvc_decoder.training.task import InterpolationTask
from cmvc_decoder.weights.adapters import WEIGHTS, Adapter, write_adapter
from cmvc_decoder.weights.store import ModelStore


def add_adapter(denoiser: Any, options: TrainOptions, targets: tuple[str, ...]) -> list[Any]:
    """Put a new adapter into a network, the rest of which does not change; return its weights, in float32."""
    denoiser.requires_grad_(False)
    denoiser.add_adapter(LoraConfig(r=options.rank, lora_alpha=options.alpha, target_modules=list(targets)))
    weights = [weight for weight in denoiser.parameters() if weight.requires_grad]
    for weight in weights:
        weight.data = weight.data.float()  # small steps would be lost in bfloat16
    return weights


def save_adapter(denoiser: Any, task: InterpolationTask, out: Path, name: str, *, steps: int, base: str) -> Adapter:
    """Write ``<out>/<name>/``, in place of an earlier one; return what it is.

    Args:
        denoiser: the tuned network.
        task: whose profile it is.
        out: folder of the run.
        name: of the adapter.
        steps: of training so far.
        base: what it was tuned on.
    """
    facts = task.profile.facts
    folder, apart = out / name, out / f".{name}.{secrets.token_hex(4)}.part"
    part, adapts = apart / name, task.profile.adapts
    try:
        lora = denoiser.peft_config["default"].to_dict()
        lora["target_modules"] = sorted(lora["target_modules"])
        saved = {f"{adapts}_lora_layers": get_peft_model_state_dict(denoiser), f"{adapts}_lora_adapter_metadata": lora}
        task.pipeline.save_lora_weights(str(part), **saved)
        _settle(part / WEIGHTS)
        adapter = write_adapter(part, profile=facts.id, revision=facts.revision, steps=steps, base=base)
        if folder.exists():
            folder.rename(apart / "before")
        part.rename(folder)
    finally:
        shutil.rmtree(apart, ignore_errors=True)
    return adapter


def _settle(path: Path) -> None:
    """Sort the header of a safetensors file, which has its metadata in random order, so that a hash says what is in it.

    The format: 8 bytes with the header's length, the header as JSON, which may end in blanks, the numbers.
    """
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with whole_file(path) as file:
        file.write(content[:8] + header.ljust(end - 8) + content[end:])


def base_of(store: ModelStore, profile_id: str, name: str) -> str:
    """Return what weights are installed: repository and commit, or the folder's name where they were not pulled."""
    manifest = store.manifest(profile_id, name)
    return f"{manifest.repo}@{manifest.commit}" if manifest else store.folder(profile_id, name).resolve().name
