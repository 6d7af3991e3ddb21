"""``cmvc thumb``."""

import io
from pathlib import Path
from typing import Any

import click
import cv2

from cmvc.bitstream.stream import StreamReader, frame_rate
from cmvc.cli.messages import say, talking_flags
from cmvc.cli.options import ClientOptions, Seconds, option_flags, overwrite_flag, take_options
from cmvc.client.destinations import open_destination
from cmvc.errors import InvalidSettingError
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.media.rgb import to_rgb
from cmvc.settings import decode_config

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
_PAST = 0.1  # of the video, where the poster is looked for: what comes before is often black, or a title


@click.command("thumb")
@click.argument("source", type=click.Path(exists=True, dir_okay=False), metavar="FILE.cmvc")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="OUT.png",
    help=f"Picture: {', '.join(_ENDINGS)}.",
)
@click.option("--at", type=Seconds(), help="When.  [default: where a segment starts, a tenth in]")
@overwrite_flag
@talking_flags
@option_flags(ClientOptions)
def command(source: str, output: Path, at: float | None, overwrite: bool, **others: Any) -> None:
    """Make a poster picture of a CMVC stream, of which no more is read and decoded than one segment."""
    if output.suffix.lower() not in _ENDINGS:
        raise InvalidSettingError(f"'{output.name}' has no ending of a picture; choose one of {', '.join(_ENDINGS)}")
    options = take_options(ClientOptions, others)
    start, duration, matrix = _moment(source, at)
    config = decode_config(output="y4m", start=start, duration=duration)
    with open_destination(output, source, overwrite=overwrite) as file:
        with options.client() as client:
            raw = b"".join(client.decode_stream(source, config, deadline_s=options.deadline))
        with open_video(io.BytesIO(raw)) as reader:
            picture = next(item for item in reader.read() if isinstance(item, Picture))
        rgb = to_rgb(picture, matrix)
        _, data = cv2.imencode(output.suffix.lower(), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        file.write(data.tobytes())
    say(f"{output.name}: {rgb.shape[1]}x{rgb.shape[0]}, at {start:.3f} s")


def _moment(source: str, at: float | None) -> tuple[float, float, int]:
    """Return when the picture is shown and for how long, in seconds, and its matrix coefficients.

    Raises:
        BitstreamError: the file is no CMVC stream.
    """
    with Path(source).open("rb") as file:
        reader = StreamReader(file)
        rate, index = frame_rate(reader.header), reader.index()
    start = 0.0 if at is None else at
    if at is None and index is not None:
        wanted = _PAST * index.frames
        start = float(next((first for first in index.first_frames if first >= wanted), 0) / rate)
    return start, float(1 / rate), reader.header.color_matrix or 1
