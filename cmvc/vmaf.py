"""VMAF and VMAF-NEG through an FFmpeg that has libvmaf (PyAV's has not)."""

import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np

from cmvc.errors import CmvcError
from cmvc.media.picture import Picture, Plane

_MODELS = r"version=vmaf_v0.6.1\:name=vmaf|version=vmaf_v0.6.1neg\:name=vmaf_neg"


@cache
def find_ffmpeg() -> str | None:
    """Return the path of an FFmpeg with libvmaf: imageio-ffmpeg's or the one on PATH; None where there is none."""
    candidates: list[str] = []
    try:
        import imageio_ffmpeg  # noqa: PLC0415  # an optional dependency

        candidates.append(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # RuntimeError: installed, but without a binary for this platform
        pass
    candidates += filter(None, [shutil.which("ffmpeg")])
    for candidate in candidates:
        listed = subprocess.run([candidate, "-hide_banner", "-filters"], capture_output=True, text=True, check=False)
        if " libvmaf " in listed.stdout:
            return candidate
    return None


class VmafMeter:
    """One run of FFmpeg that is fed pair by pair.

    The two pictures of a pair go in as one picture, the reference above the distorted one, and are cut apart inside,
    so that they cannot be paired wrongly.
    """

    def __init__(self, ffmpeg: str, width: int, height: int) -> None:
        """Say what will be compared; the run starts on ``__enter__``."""
        self._folder = tempfile.TemporaryDirectory(prefix="cmvc-vmaf-")
        self._log = Path(self._folder.name) / "vmaf.json"
        offset = height + height % 2  # the lower picture starts on a whole chroma line
        graph = (
            f"[0:v]split[a][b];[a]crop={width}:{height}:0:0:exact=1[reference];"
            f"[b]crop={width}:{height}:0:{offset}:exact=1[distorted];"
            f"[distorted][reference]libvmaf=model='{_MODELS}':log_fmt=json:log_path={self._log.name}"
            f":n_threads={os.cpu_count()}"
        )
        shape = f"{width}x{2 * offset}"
        self._command = [ffmpeg, "-hide_banner", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p"]
        self._command += ["-s", shape, "-r", "24", "-i", "pipe:0", "-lavfi", graph, "-f", "null", "-"]

    def __enter__(self) -> Self:
        """Start FFmpeg."""
        with (Path(self._folder.name) / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder.name, stdin=subprocess.PIPE, stderr=errors, stdout=subprocess.DEVNULL
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End FFmpeg, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._folder.cleanup()

    def push(self, reference: Picture, distorted: Picture) -> None:
        """Take the next pair, both of the meter's size.

        Raises:
            CmvcError: FFmpeg gave up; the message has its last words.
        """
        planes = zip(reference.planes, distorted.planes, strict=True)
        offset = reference.height + reference.height % 2
        rows = (offset, offset // 2, offset // 2)
        data = b"".join(_stacked(a, b, count) for (a, b), count in zip(planes, rows, strict=True))
        try:
            self._stdin.write(data)
        except BrokenPipeError as error:
            raise self._failure() from error

    def finish(self) -> list[dict[str, float]]:
        """Return ``vmaf`` and ``vmaf_neg`` of each pair.

        Raises:
            CmvcError: FFmpeg gave up; the message has its last words.
        """
        try:
            self._stdin.close()
        except BrokenPipeError as error:
            raise self._failure() from error
        if self._process.wait():
            raise self._failure()
        frames = json.loads(self._log.read_bytes())["frames"]
        return [{name: float(frame["metrics"][name]) for name in ("vmaf", "vmaf_neg")} for frame in frames]

    @property
    def _stdin(self) -> IO[bytes]:
        if self._process.stdin is None:
            raise ValueError("not started")
        return self._process.stdin

    def _failure(self) -> CmvcError:
        self._process.wait()
        lines = (Path(self._folder.name) / "stderr").read_text(errors="replace").strip().splitlines()
        return CmvcError(f"FFmpeg could not measure VMAF: {lines[-1] if lines else 'it ended early'}")


def _stacked(upper: Plane, lower: Plane, rows: int) -> bytes:
    """Return two planes of one shape above each other, each on ``rows`` lines."""
    height, width = upper.shape
    both = np.zeros((2 * rows, width), np.uint8)
    both[:height] = upper
    both[rows : rows + height] = lower
    return both.tobytes()
