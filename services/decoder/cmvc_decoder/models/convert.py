"""Folders that a profile loads and nobody publishes, made once from weights that are published."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from cmvc.errors import MissingServiceError, MissingWeightsError
from cmvc.profiles import ltx_video
from cmvc.profiles.profile import ModelProfile
from cmvc_decoder.weights.digests import sha256_of
from cmvc_decoder.weights.store import MANIFEST, FileRecord, Manifest, ModelStore, State, origin


def make(models: ModelProfile, store: ModelStore) -> bool:
    """Make the folders that are not there yet, from weights that are; return whether any was made.

    Raises:
        MissingServiceError: a library that it needs is not installed.
        MissingWeightsError: the weights are other than expected.
    """
    if all(store.made_state(models, name) is State.READY for name in models.made):
        return False
    folder = store.folder(models.id)
    out = folder / ".made"
    shutil.rmtree(out, ignore_errors=True)
    try:
        _MAKERS[models.id](folder, out)
        for name in models.made:
            shutil.rmtree(store.part(models.id, name), ignore_errors=True)
            (out / name).rename(store.part(models.id, name))
            store.publish(models.id, name, _record(models, store.part(models.id, name)))
    except ModuleNotFoundError as missing:
        raise MissingServiceError(
            f"preparing {models.id} needs {missing.name}; in a checkout run: "
            "pip install './services/decoder[diffusion]'"
        ) from None
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return True


def _record(models: ModelProfile, folder: Path) -> Manifest:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return Manifest(
        "made of " + " and ".join(each.repo for each in models.weights),
        origin(models),
        {
            path.relative_to(folder).as_posix(): FileRecord(path.stat().st_size, sha256_of(path, lambda _: None))
            for path in files
        },
    )


def _ltx_video(folder: Path, out: Path) -> None:
    """Put the single file's transformer and VAE beside text encoder and tokenizer, as a pipeline."""
    import torch  # noqa: PLC0415
    from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel  # noqa: PLC0415

    parts = {"transformer": LTXVideoTransformer3DModel, "vae": AutoencoderKLLTXVideo}
    text, pipeline = folder / "text", out / "pipeline"
    # The large files are links: they take no space and go with the last folder that has them.
    shutil.copytree(text, pipeline, copy_function=os.link, ignore=shutil.ignore_patterns(MANIFEST, *parts))
    checkpoint = folder / "checkpoint" / ltx_video.CHECKPOINT
    for name, kind in parts.items():
        try:
            model = kind.from_single_file(
                str(checkpoint),
                config=str(text),
                subfolder=name,
                dtype=torch.bfloat16,  # as it is stored
                local_files_only=True,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise MissingWeightsError(
                f"{checkpoint} has no {name} that fits ({error}); run: cmvc models verify ltx-video"
            ) from error
        model.save_pretrained(pipeline / name)


def _videocrafter2(folder: Path, out: Path) -> None:
    """Give the authors' weights the names and folders of the profile's classes."""
    from cmvc_decoder.generators.videocrafter2.checkpoint import write  # noqa: PLC0415

    write(folder / "checkpoint" / "model.ckpt", out, folder / "tokenizer" / "tokenizer")


_MAKERS: dict[str, Callable[[Path, Path], None]] = {"ltx-video": _ltx_video, "videocrafter2": _videocrafter2}
