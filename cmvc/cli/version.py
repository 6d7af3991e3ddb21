"""What ``cmvc --version`` says: the version, and the builds of what codes pictures."""

import ctypes
import sys
from pathlib import Path
from typing import TypeVar

import click

from cmvc import __version__

C = TypeVar("C", bound=click.Command)
_MAPPED = Path("/proc/self/maps")


def version_flag(command: C) -> C:
    """Give a command ``--version``, which is worked out where it is asked for."""

    def show(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted and not context.resilient_parsing:
            click.echo("\n".join(_lines()))
            context.exit()

    command.params.append(
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=show,
            help="Show the version and the builds of FFmpeg and SVT-AV1.",
        )
    )
    return command


def _lines() -> list[str]:
    lines = [f"cmvc {__version__}, Python {sys.version.split()[0]}"]
    try:
        import av  # noqa: PLC0415 - a client alone has no media libraries
    except ImportError:
        return [*lines, "FFmpeg: not installed; a client that sends its work to a server needs none"]
    libraries = ", ".join(f"{name} {'.'.join(map(str, av.library_versions[name]))}" for name in ("libavcodec",))
    return [
        *lines,
        f"FFmpeg {av.ffmpeg_version_info} ({libraries}, in PyAV {av.__version__})",
        f"SVT-AV1 {_svt_av1()}",
    ]


def _svt_av1() -> str:
    """Return the version of the SVT-AV1 that PyAV has loaded, by asking it."""
    for line in _MAPPED.read_text().splitlines() if _MAPPED.exists() else ():
        path = line.rpartition(" ")[2]
        if "SvtAv1Enc" in path:
            ask = ctypes.CDLL(path).svt_av1_get_version
            ask.restype = ctypes.c_char_p
            return bytes(ask()).decode().removeprefix("v")
    return "of the FFmpeg above"
