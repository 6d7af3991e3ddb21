"""``cmvc decode``."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from cmvc.bitstream.stream import StreamReader
from cmvc.cli.messages import print_notes, progress_bar, say
from cmvc.cli.options import ClientOptions, destination_of, option_flags, overwrite_flag, source_of, take_options
from cmvc.client.destinations import name_of, refuse_the_source
from cmvc.errors import CmvcError
from cmvc.settings import FORMATS_BY_NAME, decode_config


def _frames(source: str) -> int:
    """Return the frames of a stream in a file; 0 where it cannot be read twice or at all, which decoding will tell."""
    with suppress(CmvcError, OSError):
        if Path(source).is_file():
            with Path(source).open("rb") as file:
                return sum(placed.frames for placed in StreamReader(file).segments())
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
@overwrite_flag
@option_flags(ClientOptions)
def command(
    source: str,
    destination: str,
    profile: str,
    output: str | None,
    overwrite: bool,
    **others: Any,
) -> None:
    """Decode the CMVC stream IN.cmvc (- for standard input) to a video (- for standard output)."""
    out = destination_of(destination)
    refuse_the_source(out, source_of(source))
    config = decode_config(profile=profile, output=output, name=name_of(out))
    options = take_options(ClientOptions, others)
    with options.client() as client, progress_bar("decoding", lambda: _frames(source)) as progress:
        summary = client.decode(
            source_of(source), out, config, progress=progress, deadline_s=options.deadline, overwrite=overwrite
        )
    print_notes(summary.notes)
    name = "standard output" if destination == "-" else Path(destination).name
    say(f"{name}: {summary.frames} frames in {summary.segments} segments")
