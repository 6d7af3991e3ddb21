"""Conventional codecs to compare with, through an FFmpeg binary."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from cmvc.errors import CmvcError
from cmvc.vmaf import find_ffmpeg

SCALES = (1.0, 0.5, 0.25)
"""Of the source's sides; at these bit rates a smaller picture scaled up beats a full-sized one."""


@dataclass(frozen=True)
class Codec:
    """A codec, how hard it works, and its quantisers from fine to coarse."""

    name: str
    suffix: str
    options: tuple[str, ...]
    knob: str
    values: tuple[int, ...]
    frame_overhead: int = 0  # bytes per frame that a container would not store


CODECS = (
    Codec("x264", ".h264", ("-c:v", "libx264", "-preset", "slow", "-tune", "psnr"), "-crf", (28, 34, 40, 46, 51)),
    Codec("SVT-AV1", ".obu", ("-c:v", "libsvtav1", "-preset", "4"), "-crf", (38, 46, 54, 59, 63), 2),
    Codec("VVenC", ".266", ("-c:v", "libvvenc", "-preset", "faster"), "-qp", (32, 38, 44, 50), 0),
)


def run_ffmpeg(arguments: list[str]) -> None:
    """Run the FFmpeg binary.

    Raises:
        CmvcError: there is none, or it failed; the message has its last line.
    """
    ffmpeg = find_ffmpeg()
    if ffmpeg is None:
        raise CmvcError("no FFmpeg with the baseline encoders was found; run: make bench-quality")
    done = subprocess.run([ffmpeg, "-hide_banner", "-v", "error", "-y", *arguments], capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise CmvcError(f"FFmpeg failed: {lines[-1] if lines else done.returncode}")


def encode(codec: Codec, source: Path, stream: Path, value: int, size: tuple[int, int]) -> None:
    """Encode ``source`` at a size into an elementary stream: one pass, constant quantiser or CRF, one keyframe."""
    scale = f"scale={size[0]}:{size[1]}:flags=area"
    arguments = ["-i", str(source), "-vf", scale, "-pix_fmt", _pixel_format(codec), "-g", "9999"]
    run_ffmpeg([*arguments, *codec.options, codec.knob, str(value), "-an", str(stream)])


def decode(stream: Path, video: Path, rate: str, size: tuple[int, int]) -> None:
    """Decode an elementary stream to Y4M at the original size."""
    scale = f"scale={size[0]}:{size[1]}:flags=lanczos"
    run_ffmpeg(["-r", rate, "-i", str(stream), "-vf", scale, "-pix_fmt", "yuv420p", "-r", rate, str(video)])


def _pixel_format(codec: Codec) -> str:
    return "yuv420p10le" if codec.name == "VVenC" else "yuv420p"  # VVenC takes nothing else
