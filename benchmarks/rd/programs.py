"""The FFmpeg binary that codes the baselines and measures."""

import subprocess
from functools import cache
from pathlib import Path

from cmvc.errors import CmvcError
from cmvc.vmaf import find_ffmpeg

PROGRAM = "ffmpeg"
"""First word of a command that ``run`` takes: stands for the binary, wherever it is."""


@cache
def _binary() -> str:
    found = find_ffmpeg()
    if found is None:
        raise CmvcError("no FFmpeg with libvmaf and the baseline encoders was found; run: make bench-rd")
    return found


@cache
def version() -> str:
    """Return the first line that the binary says of itself.

    Raises:
        CmvcError: there is no FFmpeg with libvmaf.
    """
    said = subprocess.run([_binary(), "-version"], capture_output=True, text=True, check=True).stdout
    return said.splitlines()[0]


def run(command: list[str], folder: Path) -> None:
    """Run a command in a folder.

    Raises:
        CmvcError: there is no FFmpeg with libvmaf, or the command failed; the message has its last line.
    """
    if command[0] == PROGRAM:
        command = [_binary(), "-hide_banner", "-nostdin", "-v", "error", "-y", *command[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise CmvcError(f"{Path(command[0]).name} failed: {lines[-1] if lines else done.returncode}")
