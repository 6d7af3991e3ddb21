"""Weights from the hub into the store: pinned, resumable, checked, and under their name only once they are whole."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from cmvc.errors import InvalidSettingError, MissingWeightsError, OverloadedError
from cmvc.profiles.profile import ModelProfile
from cmvc.profiles.weights import Weights
from cmvc_decoder.models.convert import make
from cmvc_decoder.models.hub import Hub, RemoteFile
from cmvc_decoder.weights.digests import Report
from cmvc_decoder.weights.store import Manifest, ModelStore, State

_SPARE = 1 << 28  # bytes to be left free on the device


class Progress(Protocol):
    """Shows one piece of work."""

    def __call__(self, what: str, total: int | None) -> Report:
        """Begin work named ``what`` of ``total`` bytes, if that is known; return what to call with the bytes done."""


def pull(models: ModelProfile, store: ModelStore, progress: Progress, *, optional: bool, offline: bool) -> None:
    """Make sure that all weights of a profile are in the store, whole and at the catalog's revision.

    Args:
        models: what the profile needs.
        store: where it goes.
        progress: is told about each of the weights that is not there yet.
        optional: whether to pull those as well that the profile works without.
        offline: use no network; for checking that a store is complete.

    Raises:
        BackendUnavailableError: the hub cannot be reached; what came is kept.
        ChecksumError: the hub sent something else than it says.
        InvalidSettingError: the device has too little space.
        MissingServiceError: a library that is needed is not installed.
        MissingWeightsError: weights are not at the hub, not for everybody, or not here when ``offline``.
        OverloadedError: another pull of this profile is under way.
    """
    wanted = [each for each in models.chosen(optional) if store.state(models.id, each) is not State.READY]
    if not wanted and all(store.made_state(models, name) is State.READY for name in models.made):
        return  # before the lock: whoever only asks may have a store that cannot be written to
    if offline and wanted:
        raise MissingWeightsError(
            f"{store.folder(models.id)} lacks the weights {', '.join(each.name for each in wanted)}; leave out "
            f"--offline, or copy the folder from a machine that has them"
        )
    with _alone(store.folder(models.id)):
        hub: Hub | None = None
        for weights in wanted:
            hub = hub or Hub()
            _pull_weights(hub, models.id, weights, store, progress)
        if models.made:
            progress(f"{models.id}: preparing {', '.join(models.made)}", None)
        make(models, store)


def _pull_weights(hub: Hub, profile_id: str, weights: Weights, store: ModelStore, progress: Progress) -> None:
    files, part = hub.files(weights), store.part(profile_id, weights.name)
    _start(store, profile_id, weights, files)
    _check_space(part, files)
    report = progress(f"{profile_id}/{weights.name}", sum(file.size for file in files))
    records = {file.path: hub.fetch(weights, file, part / file.path, report) for file in files}
    store.publish(profile_id, weights.name, Manifest(weights.repo, weights.revision, records))


def _start(store: ModelStore, profile_id: str, weights: Weights, files: list[RemoteFile]) -> None:
    """Make the part's folder. What may be whole in a damaged or outdated folder is kept in it; the rest goes."""
    part, folder = store.part(profile_id, weights.name), store.folder(profile_id, weights.name)
    repair = folder.is_dir() and not part.is_dir()
    if repair:
        folder.rename(part)
    part.mkdir(parents=True, exist_ok=True)
    sizes = {file.path: file.size for file in files}
    for path in [path for path in part.rglob("*") if path.is_file()]:
        name = path.relative_to(part).as_posix()
        # A file that was whole once is never added to: what was made of it may share it (a hard link).
        if name not in sizes or (repair and path.stat().st_size != sizes[name]):
            path.unlink()


def _check_space(part: Path, files: list[RemoteFile]) -> None:
    here = sum((part / file.path).stat().st_size for file in files if (part / file.path).is_file())
    need, free = sum(file.size for file in files) - here, shutil.disk_usage(part).free
    if need + _SPARE > free:
        raise InvalidSettingError(
            f"{part.parent} needs {need / 1e9:.1f} GB more and its device has {free / 1e9:.1f} GB left; make space, or "
            "choose another place with --models or CMVC_MODELS"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OverloadedError(f"{folder} is being pulled by another process; wait until it is done") from None
        yield
