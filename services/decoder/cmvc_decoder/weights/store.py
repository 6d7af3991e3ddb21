"""The model store: ``<root>/<profile id>/<weights name>/``, each folder with a manifest of what it holds.

A folder appears under its name once it is whole. Until then it is called ``.<name>.part`` and a pull goes on there.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from cmvc.errors import MissingWeightsError
from cmvc.files import whole_file
from cmvc.profiles.profile import ModelProfile
from cmvc.profiles.weights import Weights

DEFAULT_ROOT = Path("~/.cache/cmvc/models")
MANIFEST = "manifest.json"


class State(StrEnum):
    """What is on this machine."""

    MISSING = "missing"
    PARTIAL = "partly there"
    OUTDATED = "other revision"
    DAMAGED = "damaged"
    READY = "ready"


@dataclass(frozen=True)
class FileRecord:
    """A file as it was pulled: size in bytes and SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a folder of the store holds.

    Attributes:
        repo: where it is from.
        commit: of that repository.
        files: by path in the folder.
    """

    repo: str
    commit: str
    files: Mapping[str, FileRecord]


class ModelStore:
    """Weights on this machine."""

    def __init__(self, root: Path | None = None) -> None:
        """Use ``root``, or ``DEFAULT_ROOT``. It need not be there.

        A user without a home has no default: then it is a folder that is not there.
        """
        try:
            self.root = (root or DEFAULT_ROOT).expanduser()
        except RuntimeError:
            self.root = root or DEFAULT_ROOT

    def folder(self, profile_id: str, name: str = "") -> Path:
        """Return a profile's folder, or that of weights of it."""
        return self.root / profile_id / name

    def part(self, profile_id: str, name: str) -> Path:
        """Return the folder in which weights wait until they are whole."""
        return self.root / profile_id / f".{name}.part"

    def manifest(self, profile_id: str, name: str) -> Manifest | None:
        """Return what a folder is said to hold; None where there is no manifest.

        Raises:
            MissingWeightsError: the manifest cannot be read.
        """
        path = self.folder(profile_id, name) / MANIFEST
        try:
            content = json.loads(path.read_text())
            files = {each: FileRecord(**record) for each, record in content["files"].items()}
            return Manifest(content["repo"], content["commit"], files)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise MissingWeightsError(
                f"{path} is not a manifest ({error}); remove {path.parent} and run: cmvc models pull {profile_id}"
            ) from error

    def state(self, profile_id: str, weights: Weights) -> State:
        """Return whether weights are there and whole, by their files' sizes (``verify`` reads them).

        Raises:
            MissingWeightsError: the manifest cannot be read.
        """
        state = self._state(profile_id, weights.name)
        manifest = self.manifest(profile_id, weights.name)
        if state is State.READY and manifest is not None and manifest.commit != weights.revision:
            return State.OUTDATED
        return state

    def made_state(self, models: ModelProfile, name: str) -> State:
        """Return the same of a folder that was made from weights; outdated where they have changed since."""
        state = self._state(models.id, name)
        manifest = self.manifest(models.id, name)
        if state is State.READY and manifest is not None and manifest.commit != origin(models):
            return State.OUTDATED
        return state

    def ready(self, models: ModelProfile) -> bool:
        """Return whether all that a profile needs is there and whole."""
        return all(self.state(models.id, each) is State.READY for each in models.chosen(optional=False)) and all(
            self.made_state(models, name) is State.READY for name in models.made
        )

    def publish(self, profile_id: str, name: str, manifest: Manifest) -> None:
        """Give a whole part its name, in place of what stood there."""
        part, folder = self.part(profile_id, name), self.folder(profile_id, name)
        with whole_file(part / MANIFEST) as file:
            file.write(json.dumps(asdict(manifest), indent=2).encode() + b"\n")
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)

    def _state(self, profile_id: str, name: str) -> State:
        folder, manifest = self.folder(profile_id, name), self.manifest(profile_id, name)
        if manifest is not None:
            return (
                State.READY
                if all(_sized(folder / path, file.size) for path, file in manifest.files.items())
                else (State.DAMAGED)
            )
        if folder.is_dir():
            return State.DAMAGED  # not by a pull, or its manifest is gone
        return State.PARTIAL if self.part(profile_id, name).is_dir() else State.MISSING


def origin(models: ModelProfile) -> str:
    """Return what identifies the weights that made folders are made from: their commits."""
    return "+".join(each.revision for each in models.weights)


def _sized(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
