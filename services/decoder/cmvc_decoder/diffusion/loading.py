"""From a folder of the model store to models in memory. Nothing here ever downloads."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging as diffusers_log
from transformers.utils import logging as transformers_log

from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.speed.precision import vae_dtype


def require(folder: Path, *names: str, optional: bool = False) -> None:
    """Make sure that weights are there.

    Args:
        folder: of a profile in the model store; called as the profile.
        names: of the weights, each a folder in it.
        optional: whether they come only where they are asked for.

    Raises:
        MissingWeightsError: one is not.
    """
    missing = [name for name in names if not (folder / name).is_dir()]
    if missing:
        raise MissingWeightsError(
            f"{folder} lacks the weights {', '.join(missing)}; run: cmvc models pull "
            f"{'--optional ' if optional else ''}{folder.name}"
        )


def require_one_dtype(speed: SpeedOptions) -> None:
    """Make sure that a pipeline whose VAE takes latents as the denoiser leaves them can run.

    Raises:
        InvalidSettingError: the VAE is to run in another format.
    """
    if speed.vae_dtype not in {"", speed.dtype}:
        raise InvalidSettingError(
            f"vae_dtype={speed.vae_dtype} differs from dtype={speed.dtype}, which this profile cannot; leave it out"
        )


def load_pipeline(cls: Any, folder: Path, speed: SpeedOptions, **components: Any) -> Any:
    """Return a diffusers pipeline in host memory, in its formats; ``apply_speed`` puts it on its device.

    Args:
        cls: the pipeline's class.
        folder: of the weights: ``<store>/<profile id>/<weights name>``.
        speed: in which formats it runs.
        components: parts that are not to be read from ``folder``.

    Raises:
        MissingWeightsError: files are missing in ``folder``.
    """
    try:
        vae = json.loads((folder / "model_index.json").read_bytes())["vae"][1]
    except OSError as error:
        raise not_whole(folder, error) from error
    dtypes = {"default": getattr(torch, speed.dtype), "vae": vae_dtype(vae, speed)}
    pipe = _load(cls, folder, dtypes, components)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def load_model(cls: Any, folder: Path, speed: SpeedOptions, **options: Any) -> Any:
    """Return one model of diffusers or transformers; else as ``load_pipeline``.

    Args:
        cls: the model's class.
        folder: of the weights, as above.
        speed: in which format it runs.
        options: of ``from_pretrained``, such as ``subfolder``.

    Raises:
        MissingWeightsError: files are missing in ``folder``.
    """
    return _load(cls, folder, getattr(torch, speed.dtype), options)


def _load(cls: Any, folder: Path, dtype: Any, options: dict[str, Any]) -> Any:
    for log in (diffusers_log, transformers_log):
        log.disable_progress_bar()
        log.set_verbosity_error()  # they warn at every caption that is longer than a model reads, and print it
    try:
        return cls.from_pretrained(folder, local_files_only=True, dtype=dtype, **options)
    except OSError as error:
        raise not_whole(folder, error) from error


def not_whole(folder: Path, error: Exception) -> MissingWeightsError:
    """Return the error that weights in ``folder``, ``<store>/<profile id>/<weights name>``, are not all there."""
    return MissingWeightsError(f"{folder} is not whole: {error}; run: cmvc models pull {folder.parent.name}")
