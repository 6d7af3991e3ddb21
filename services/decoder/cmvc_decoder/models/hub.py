"""The model hub, through huggingface_hub: what a repository holds at a commit, and one file of it. GitHub likewise.

A download that ends early goes on where it stopped, in the next call as well as after a lost connection
(``hf_hub_download`` starts a file again when its process has ended).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from cmvc.errors import BackendUnavailableError, ChecksumError, MissingServiceError, MissingWeightsError
from cmvc.profiles import weights as catalog
from cmvc.profiles.weights import Weights
from cmvc_decoder.weights.digests import Report, git_blob_of, sha256_of
from cmvc_decoder.weights.store import FileRecord

if TYPE_CHECKING:
    from httpx2 import Response

_TRIES = 5  # in a row without a byte of progress
_WAIT_S = 1.0  # between them


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository at a commit.

    Attributes:
        path: in the repository.
        size: in bytes.
        sha256: of large files; "" for those that git holds itself.
        blob: git's hash of those.
    """

    path: str
    size: int
    sha256: str
    blob: str


class Hub:
    """A hub as huggingface_hub reaches it: HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE hold."""

    def __init__(self) -> None:
        """Load huggingface_hub.

        Raises:
            MissingServiceError: it is not installed.
        """
        try:
            import huggingface_hub  # noqa: PLC0415  # takes a while, and listing the catalog needs none of it
        except ModuleNotFoundError as missing:
            raise MissingServiceError(
                f"pulling models needs {missing.name}; in a checkout run: pip install './services/decoder[diffusion]'"
            ) from None
        self._hub = huggingface_hub

    def files(self, weights: Weights) -> list[RemoteFile]:
        """Return the files that the catalog asks for, at its commit.

        Raises:
            MissingWeightsError: the repository, the commit or one of the files is not there, or not for everybody.
            BackendUnavailableError: the hub cannot be reached.
        """
        if weights.on_github:
            return [RemoteFile(each.path, each.size, "", each.blob) for each in weights.on_github]
        with _explained(weights):
            info = self._hub.HfApi().model_info(weights.repo, revision=weights.revision, files_metadata=True)
        if info.sha != weights.revision:
            raise MissingWeightsError(
                f"{weights.repo} answers with commit {info.sha} instead of {weights.revision}; check HF_ENDPOINT"
            )
        found = [
            RemoteFile(each.rfilename, each.size or 0, each.lfs.sha256 if each.lfs else "", each.blob_id or "")
            for each in info.siblings or ()
        ]
        chosen = [file for file in found if any(fnmatchcase(file.path, pattern) for pattern in weights.files)]
        for pattern in weights.files:
            if not any(fnmatchcase(file.path, pattern) for file in chosen):
                raise MissingWeightsError(f"{weights.repo} has no file '{pattern}' at {weights.revision}")
        for file in chosen:
            if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
                raise MissingWeightsError(f"{weights.repo} names a file '{file.path}', which is outside its folder")
        return chosen

    def fetch(self, weights: Weights, file: RemoteFile, path: Path, report: Report) -> FileRecord:
        """Make ``path`` that file; what is there already is taken for its beginning.

        Args:
            weights: where it is from.
            file: which.
            path: where it goes.
            report: called with the bytes that are there at first, and with those that come.

        Raises:
            BackendUnavailableError: the hub cannot be reached; what came is kept.
            ChecksumError: what came is something else; it is removed.
            MissingWeightsError: the file is not there, or not for everybody.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        began = path.exists()
        self._download(weights, file, path, report)
        try:
            return _checked(file, path)
        except ChecksumError:
            if not began:
                raise
        report(-file.size)  # what was there was the beginning of something else
        self._download(weights, file, path, report)
        return _checked(file, path)

    def _download(self, weights: Weights, file: RemoteFile, path: Path, report: Report) -> None:
        with path.open("ab") as sink:
            if sink.tell() > file.size:
                _empty(sink)
            report(sink.tell())
            stuck = 0
            while (have := sink.tell()) < file.size:
                lost = BackendUnavailableError(f"nothing more comes of {file.path}; pull again later")
                try:
                    with _explained(weights):
                        self._more(weights, file, sink, report)
                except BackendUnavailableError as error:
                    lost = error
                    time.sleep(_WAIT_S)
                stuck = 0 if sink.tell() > have else stuck + 1
                if stuck == _TRIES:
                    raise lost

    def _more(self, weights: Weights, file: RemoteFile, sink: BinaryIO, report: Report) -> None:
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # noqa: PLC0415  # documented

        have = sink.tell()
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        if weights.on_github:  # which is not shown the hub's token
            url = f"{catalog.GITHUB}/{weights.repo}/{weights.revision}/{file.path}"
        else:
            url = self._hub.hf_hub_url(weights.repo, file.path, revision=weights.revision)
            headers = {**build_hf_headers(), **headers}
        with self._hub.get_session().stream("GET", url, headers=headers, timeout=60) as response:
            self._hub.hf_raise_for_status(response)
            if have and response.status_code == 200:  # the server sends all of it again
                _empty(sink)
                report(-have)
            _write(response, file, sink, report)


def _empty(sink: BinaryIO) -> None:
    sink.seek(0)
    sink.truncate()


def _write(response: "Response", file: RemoteFile, sink: BinaryIO, report: Report) -> None:
    for chunk in response.iter_bytes():
        if sink.tell() + len(chunk) > file.size:
            raise ChecksumError(f"the hub sends more of {file.path} than the {file.size} bytes that it has")
        sink.write(chunk)
        report(len(chunk))


def _checked(file: RemoteFile, path: Path) -> FileRecord:
    sha256 = sha256_of(path, lambda _: None)
    if file.sha256 != sha256 if file.sha256 else git_blob_of(path) != file.blob:
        path.unlink()
        raise ChecksumError(f"{file.path} is not what the hub says it is (checksum); it was removed, so pull it again")
    return FileRecord(file.size, sha256)


@contextmanager
def _explained(weights: Weights) -> Iterator[None]:
    """Turn what huggingface_hub and its HTTP client raise into errors that say what to do."""
    import httpx2  # noqa: PLC0415
    from huggingface_hub import constants, errors  # noqa: PLC0415

    if weights.on_github:
        origin, settings, try_this = catalog.GITHUB, "", "update CMVC, which may know where it went"
    else:
        origin, settings, try_this = constants.ENDPOINT, " and HF_ENDPOINT", "check HF_ENDPOINT and HF_TOKEN"
    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise MissingWeightsError(
            f"the weights '{weights.name}' are not here and HF_HUB_OFFLINE is set; unset it, or copy the model store "
            "from a machine that has them"
        ) from error
    except errors.GatedRepoError as error:
        raise MissingWeightsError(
            f"{weights.repo} wants its terms accepted: do so at {constants.ENDPOINT}/{weights.repo}, then set HF_TOKEN"
        ) from error
    except errors.HfHubHTTPError as error:
        if error.response.status_code == HTTPStatus.NOT_FOUND or isinstance(error, errors.RepositoryNotFoundError):
            raise MissingWeightsError(
                f"{origin} has no {weights.repo} at {weights.revision}, or not for you; {try_this}"
            ) from error
        raise BackendUnavailableError(
            f"{origin} answered {error.response.status_code}; pull again later, it goes on where it stopped"
        ) from error
    except httpx2.TransportError as error:
        raise BackendUnavailableError(
            f"cannot reach {origin} ({error}); check the network{settings}, then pull again: it goes on "
            "where it stopped"
        ) from error
