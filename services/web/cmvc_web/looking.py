"""What is said of a result, and how its files are named and asked for."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cmvc.bitstream.inspect import inspect
from cmvc_web.store import Result
from cmvc_web.studio import Studio

_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{1,15})?")
_PLAIN = re.compile(r"[^\w.-]+")


async def look(studio: Studio, result: Result) -> dict[str, Any]:
    """Return what ``GET /v1/streams/{id}`` answers.

    Raises:
        CmvcError: the stream cannot be read.
    """
    here = f"/v1/streams/{result.id}"
    said: dict[str, Any] = {
        "id": result.id,
        "name": result.name,
        "state": "ready" if result.ready else "making",
        "settings": result.settings,
        "made": datetime.fromtimestamp(result.made, UTC).isoformat(timespec="seconds"),
        "expires": datetime.fromtimestamp(result.made + studio.store.age_s, UTC).isoformat(timespec="seconds"),
        "codecs": result.video.fragments.codecs if result.video else "",
        "links": {
            "stream": f"{here}/stream.cmvc",
            "video": f"{here}/video.mp4",
            "fragments": f"{here}/fragments",
            "hls": f"{here}/hls.m3u8",
            "events": f"{here}/events",
        },
    }
    if result.ready:
        loop = asyncio.get_running_loop()
        with result.held():
            found, notes = await loop.run_in_executor(studio.threads, _read, result)
        said |= {**found, "notes": [*notes, *found["notes"]]}
        said["modes"] = sorted({each["mode"] for each in found["segments"]})
    return said


async def segments_of(studio: Studio, result: Result) -> list[int]:
    """Return how many frames each segment of a result has.

    Raises:
        CmvcError: the stream cannot be read.
    """
    found, _ = await asyncio.get_running_loop().run_in_executor(studio.threads, _read, result)
    return [each["frames"] for each in found["segments"]]


def _read(result: Result) -> tuple[dict[str, Any], list[str]]:
    with result.stream_path.open("rb") as file:
        return inspect(file), result.about()["notes"]


def download_name(result: Result, ending: str) -> str:
    """Return the name that a file of a result gets where it is downloaded."""
    stem = _PLAIN.sub("-", Path(result.name).stem).strip("-.") or "video"
    return f"{stem}.{ending}"


def start_of_range(header: str) -> tuple[int, int | None] | None:
    """Return the first byte and the one after the last that a ``Range`` header asks for; None for what is no such.

    Of a header without an end the second is None; ranges of several parts are not served of what is not whole.
    """
    match = _RANGE.fullmatch(header.strip())
    if not match or not match[2] or int(match[2]) < int(match[1]):
        return None
    return int(match[1]), int(match[2]) + 1
