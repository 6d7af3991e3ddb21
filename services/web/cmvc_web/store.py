"""Results on disk: bounded in bytes and number, and gone after a while.

A result is a folder named by its id: ``stream.cmvc``, ``video.mp4`` once somebody has watched it, and ``about.json``.
Ids are long and random (or the caller's own, as long): whoever has one and the same token may see the result.
"""

import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmvc.errors import InvalidSettingError, OverloadedError, UnknownResultError
from cmvc.files import whole_file
from cmvc_web.events import Events
from cmvc_web.growing import GrowingFile
from cmvc_web.video import Video

ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_NAME_LETTERS = 200
_BLOCK_BYTES = 4096  # that the folder takes, and that a file may take beside its bytes
RESULT_BYTES = 5 * _BLOCK_BYTES  # of every result: its folder, upload, stream, video and ``about.json``
MOST_RESULTS = 10_000  # of each, what happened to it is in memory


class Result:
    """One result.

    Attributes:
        id: its name.
        tenant: short name of the token that made it; "" for none.
        name: of the file that it was made from, to show.
        made: when it was begun, in seconds since 1970.
        folder: where it lies.
        stream: the CMVC stream, where it was made in this run of the server.
        video: what is shown of it, where somebody has watched.
        events: what happened to it.
        settings: that it was encoded with, as they were given.
        holders: how many are working on it or reading it; it is kept for them.
        size: bytes on disk, at most.
    """

    def __init__(self, store: "Store", folder: Path, tenant: str, name: str, made: float) -> None:
        self.store = store
        self.id = folder.name
        self.tenant = tenant
        self.name = name[:_NAME_LETTERS]
        self.made = made
        self.folder = folder
        self.events = Events()
        self.settings: dict[str, str] = {}
        self.holders = 0
        self.size = RESULT_BYTES
        self.stream: GrowingFile | None = None
        self.video: Video | None = None

    @property
    def stream_path(self) -> Path:
        """Of the CMVC stream."""
        return self.folder / "stream.cmvc"

    @property
    def video_path(self) -> Path:
        """Of the decoded video."""
        return self.folder / "video.mp4"

    @property
    def ready(self) -> bool:
        """Whether the stream is whole."""
        return self.stream_path.exists()

    def begin(self, path: Path) -> GrowingFile:
        """Begin to write a file of this result."""
        return GrowingFile(path, self._take)

    def _take(self, size: int) -> None:
        """Make room for ``size`` bytes more; below 0, say that so many are gone."""
        if size > 0:
            self.store.make_room(size)
        self.size += size

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep it for the length of the block."""
        self.holders += 1
        try:
            yield
        finally:
            self.holders -= 1

    def settle(self, notes: list[str]) -> None:
        """Keep the result: its stream is whole.

        Raises:
            OverloadedError: there is no room for what is to be said of it.
        """
        assert self.stream
        about = {"tenant": self.tenant, "name": self.name, "made": self.made, "settings": self.settings, "notes": notes}
        data = json.dumps(about).encode()
        self._take(len(data))
        self.stream.finish()
        with whole_file(self.folder / "about.json") as file:
            file.write(data)

    def about(self) -> dict[str, Any]:
        """Return what ``settle`` has kept.

        Raises:
            OSError: nothing.
        """
        kept: dict[str, Any] = json.loads((self.folder / "about.json").read_text())
        return kept


class Store:
    """Keeps results in a folder of their own.

    Attributes:
        folder: where.
        age_s: how long, in seconds.
    """

    def __init__(self, folder: Path, most_bytes: int, age_s: float, most_results: int = MOST_RESULTS) -> None:
        """Take over what lies there; half results of an earlier run are removed.

        Args:
            folder: see the class.
            most_bytes: that all results may take there, blocks of files and folders included.
            age_s: see the class.
            most_results: that there may be.

        Raises:
            OSError: the folder cannot be used.
        """
        self.folder = folder
        self.age_s = age_s
        self._most_bytes = most_bytes
        self._most_results = most_results
        self._results: dict[str, Result] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for each in sorted(folder.iterdir()):
            if ID.fullmatch(each.name) and each.is_dir():
                self._take_over(each)

    def _take_over(self, folder: Path) -> None:
        result = Result(self, folder, "", "", 0.0)
        for other in (*folder.glob("*.part"), folder / "upload", result.video_path):  # a video is decoded again
            other.unlink(missing_ok=True)
        try:
            about = result.about() if result.ready else {}
            result.tenant, result.name, result.made = about["tenant"], about["name"], about["made"]
            result.settings = about["settings"]
        except (OSError, ValueError, KeyError):  # a crash has left less than all of it
            shutil.rmtree(folder)
            return
        result.events.end()
        self._results[result.id] = result
        result.size += sum(path.stat().st_size for path in folder.iterdir())

    def add(self, wanted: str, tenant: str, name: str) -> Result:
        """Return a new result.

        Args:
            wanted: its id; "" for one that is made up.
            tenant: whose it is.
            name: of what it is made from.

        Raises:
            InvalidSettingError: the id is none, or taken.
            OverloadedError: there is no room for one more.
        """
        self.expire()
        identity = wanted or secrets.token_urlsafe(16)
        if not ID.fullmatch(identity) or identity in self._results:
            raise InvalidSettingError("the id is taken or none; give 16 to 64 random letters, digits, - and _")
        self.make_room(RESULT_BYTES)
        while len(self._results) >= self._most_results:
            self._give_way()
        folder = self.folder / identity
        folder.mkdir()
        self._results[identity] = Result(self, folder, tenant, name, time.time())
        return self._results[identity]

    def get(self, identity: str, tenant: str) -> Result:
        """Return a result of a tenant.

        Raises:
            UnknownResultError: there is none.
        """
        self.expire()
        result = self._results.get(identity)
        if result is None or result.tenant != tenant:
            raise UnknownResultError(
                f"there is no result of that name here, or no more: results are kept for {self.age_s / 3600:g} hours; "
                "encode it again"
            )
        return result

    def remove(self, result: Result) -> None:
        """Forget a result; who reads it may read on."""
        if self._results.pop(result.id, None):
            shutil.rmtree(result.folder)

    def make_room(self, size: int) -> None:
        """Make room for ``size`` bytes; the oldest results that nobody reads make way.

        Raises:
            OverloadedError: there is none.
        """
        while sum(each.size for each in self._results.values()) + size > self._most_bytes:
            self._give_way()

    def _give_way(self) -> None:
        idle = [each for each in self._results.values() if not each.holders]
        if not idle:
            raise OverloadedError("the store of results is full of what is in use; try again later", 30.0)
        self.remove(min(idle, key=lambda each: each.made))

    def expire(self) -> None:
        """Remove what is too old, but for what is read just now."""
        oldest = time.time() - self.age_s
        for each in list(self._results.values()):
            if each.made < oldest and not each.holders:
                self.remove(each)
