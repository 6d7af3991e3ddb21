"""``cmvc compare``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmvc.cli.decoded import as_video, is_stream
from cmvc.cli.messages import say, talking_flags
from cmvc.cli.options import overwrite_flag
from cmvc.cli.progress import frames_to, progress_bar
from cmvc.client import Client
from cmvc.client.destinations import open_destination
from cmvc.errors import NotCmvcError

if TYPE_CHECKING:
    from cmvc.report.gather import Shown

_FILE = click.Path(exists=True, dir_okay=False)


@click.command("compare")
@click.argument("reference", type=_FILE, metavar="REF")
@click.argument("streams", type=_FILE, nargs=-1, required=True, metavar="X.cmvc...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="OUT.html", help="Report."
)
@overwrite_flag
@talking_flags
def command(reference: str, streams: tuple[str, ...], output: Path, overwrite: bool) -> None:
    """Show CMVC streams beside the video REF that they were made of, in one page that needs nothing else.

    The page has rate and quality over time, modes and bytes of every segment, and pictures at equal moments with a
    slider. VMAF needs an FFmpeg with libvmaf, as in cmvc evaluate.
    """
    from cmvc.report.gather import gather  # noqa: PLC0415 - help and completion need none of it
    from cmvc.report.page import make_page  # noqa: PLC0415

    for name in streams:
        if not is_stream(name):
            raise NotCmvcError(f"{name} is no CMVC stream; encode it, or use cmvc evaluate for other videos", 0)
    shown: list[Shown] = []
    originals: Sequence[bytes] = ()
    with open_destination(output, reference, overwrite=overwrite) as file, Client() as client:
        for number, name in enumerate(streams, 1):
            found = client.inspect(name)
            called = f"comparing {Path(name).name} ({number}/{len(streams)})"
            with as_video(name, client) as decoded, progress_bar(called) as show:
                stream, originals = gather(reference, Path(name).name, found, decoded, frames_to(show))
            shown.append(stream)
        file.write(make_page(Path(reference).name, shown, originals).encode())
    say(f"{output.name}: {len(shown)} stream{'s' if len(shown) > 1 else ''} beside {Path(reference).name}")
