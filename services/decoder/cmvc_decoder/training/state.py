"""A run on disk: its record, its options, and the states that it can go on from."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from cmvc.errors import InvalidSettingError
from cmvc.files import whole_file
from cmvc_decoder.training.options import TrainOptions, check_same

RECORD = "run.json"
_KEPT = 2  # states; one more than needed, in case a disk lies
_WEIGHTS = "adapter.safetensors"
_PROGRESS = "progress.json"
_NAME = re.compile(r"step-(\d+)")


def begin(out: Path, options: TrainOptions) -> None:
    """Record a new run.

    Raises:
        InvalidSettingError: there is one already.
    """
    if (out / RECORD).exists():
        raise InvalidSettingError(f"{out} has a run already; go on with --resume, or name another --out")
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(out / RECORD) as file:
        file.write(json.dumps(options.to_json(), indent=2).encode() + b"\n")


def check_resumed(out: Path, options: TrainOptions) -> None:
    """Make sure that there is a run to go on with, and that it was begun with these options.

    Raises:
        InvalidSettingError: there is none, or it was not.
    """
    path = out / RECORD
    if not path.exists():
        raise InvalidSettingError(f"there is no run in {out}; leave out --resume to begin one")
    check_same(options, json.loads(path.read_bytes()), path)


def keep_adapter_alone(accelerator: Any) -> None:
    """Have the states that ``accelerator`` saves hold the adapter in place of the whole model."""

    def save(models: list[Any], weights: list[Any], folder: str) -> None:
        weights.clear()  # or they would be saved as well
        if accelerator.is_main_process:
            save_file(get_peft_model_state_dict(accelerator.unwrap_model(models[0])), Path(folder, _WEIGHTS))

    def load(models: list[Any], folder: str) -> None:
        set_peft_model_state_dict(accelerator.unwrap_model(models.pop()), load_file(Path(folder, _WEIGHTS)))

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)


def save_state(accelerator: Any, out: Path, step: int, seconds: float) -> None:
    """Save the adapter, the optimizer and how far the run is; called by all processes."""
    folder = out / "state" / f"step-{step:06d}"
    part = folder.with_name(f".{folder.name}.part")
    if folder.exists():
        return
    if accelerator.is_main_process:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(part))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (part / _PROGRESS).write_text(json.dumps({"step": step, "seconds": seconds}))
        part.rename(folder)
        for old in _states(out)[:-_KEPT]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def load_state(accelerator: Any, out: Path) -> tuple[int, float]:
    """Go on from the last state, if there is one; return its step and the seconds that it took to get there."""
    states = _states(out)
    if not states:
        return 0, 0.0
    accelerator.load_state(str(states[-1]))
    progress = json.loads((states[-1] / _PROGRESS).read_bytes())
    return progress["step"], progress["seconds"]


def _states(out: Path) -> list[Path]:
    """Return the folders of whole states, the oldest first."""
    found = [(int(match[1]), path) for path in (out / "state").glob("*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]
