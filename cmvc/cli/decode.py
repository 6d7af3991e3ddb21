"""``cmvc decode``."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from cmvc.bitstream.stream import StreamReader, frame_rate
from cmvc.cli.messages import print_notes, progress_bar, say
from cmvc.cli.options import (
    ClientOptions,
    destination_of,
    option_flags,
    overwrite_flag,
    part_flags,
    source_of,
    take_options,
)
from cmvc.client.destinations import name_of, refuse_the_source
from cmvc.errors import CmvcError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.part import part_of
from cmvc.settings import DEFAULT_CRF, FORMATS_BY_NAME, decode_config
from cmvc.v1 import decoder_pb2


def _frames(source: str, config: decoder_pb2.DecodeConfig) -> int:
    """Return the frames that are asked for; 0 where the stream cannot be read twice or at all, which decoding tells."""
    with suppress(CmvcError, OSError):
        if Path(source).is_file():
            with Path(source).open("rb") as file:
                reader = StreamReader(file)
                index = reader.index()
                frames = index.frames if index else sum(placed.frames for placed in reader.segments())
            part = part_of(config.start, config.duration, frame_rate(reader.header), DEFAULT_LIMITS)
            return len(part.of_run(0, frames))
    return 0


@click.command("decode")
@click.argument("source", metavar="IN.cmvc")
@click.argument("destination", metavar="OUT.mp4|OUT.y4m")
@click.option("--profile", default="", help="Generator profile.  [default: the stream's own]")
@click.option(
    "--format",
    "output",
    type=click.Choice(list(FORMATS_BY_NAME)),
    help="Of the output.  [default: by its name]",
)
@click.option(
    "--crf",
    type=click.IntRange(0, DEFAULT_LIMITS.crf),
    help=f"Of the H.264 in MP4: more is a smaller file of less quality.  [default: {DEFAULT_CRF}]",
)
@part_flags
@overwrite_flag
@option_flags(ClientOptions)
def command(
    source: str,
    destination: str,
    profile: str,
    output: str | None,
    crf: int | None,
    start: float,
    duration: float,
    overwrite: bool,
    **others: Any,
) -> None:
    """Decode the CMVC stream IN.cmvc (- for standard input) to a video (- for standard output)."""
    out = destination_of(destination)
    refuse_the_source(out, source_of(source))
    config = decode_config(profile=profile, output=output, name=name_of(out), start=start, duration=duration, crf=crf)
    options = take_options(ClientOptions, others)
    with options.client() as client, progress_bar("decoding", lambda: _frames(source, config)) as progress:
        summary = client.decode(
            source_of(source), out, config, progress=progress, deadline_s=options.deadline, overwrite=overwrite
        )
    print_notes(summary.notes)
    name = "standard output" if destination == "-" else Path(destination).name
    say(f"{name}: {summary.frames} frames in {summary.segments} segments")
