"""Codings that were made before, one file each, so that a run goes on where another stopped.

A key holds all that the result depends on: the pictures' hash, the commands word for word, and the versions of what
they run. What a key has no file for was not made, or was made by something else.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.rd.points import Point


def key_of(*parts: object) -> str:
    """Return the key of what depends on the parts; each must have a JSON form."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class Cache:
    """A folder of points and their streams."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def references(self) -> Path:
        """Where the sources' pictures are kept."""
        return self.folder / "references"

    def get(self, key: str) -> Point | None:
        """Return the point of that key, if it was made."""
        try:
            return Point.from_json(json.loads(self._path(key, ".json").read_bytes()))
        except FileNotFoundError:
            return None

    def put(self, key: str, point: Point, stream: Path) -> Point:
        """Keep a point and its stream; returns the point as ``get`` will."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = self._path(key, stream.suffix)
        shutil.copyfile(stream, kept)
        point = replace(point, stream=kept.name)
        part = self._path(key, ".part")
        part.write_text(json.dumps(asdict(point), indent=1))
        part.replace(self._path(key, ".json"))  # last: a point in the cache is whole
        return point

    def stream(self, point: Point) -> Path:
        """Return the path of a point's stream."""
        return self.folder / point.stream

    def _path(self, key: str, suffix: str) -> Path:
        return self.folder / f"{key}{suffix}"


def quoted(commands: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return commands as one types them."""
    import shlex  # noqa: PLC0415

    return tuple(shlex.join(command) for command in commands)
