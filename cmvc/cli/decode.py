"""``cmvc decode``."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cmvc.cli.many import Made, many_flags, report, run_many, two_names
from cmvc.cli.messages import how_much, json_flag, print_json, print_notes, say, talking_flags
from cmvc.cli.options import (
    INPUT,
    ClientOptions,
    destination_of,
    option_flags,
    overwrite_flag,
    part_flags,
    refuse_json_to_stdout,
    source_of,
    take_options,
)
from cmvc.cli.progress import progress_bar
from cmvc.client import Client
from cmvc.client.destinations import name_of, refuse_the_source
from cmvc.limits import DEFAULT_LIMITS
from cmvc.settings import DEFAULT_CRF, FORMATS_BY_NAME, STREAM_ENDING, decode_config
from cmvc.v1 import decoder_pb2

_NAMES = "IN.cmvc OUT.mp4|OUT.y4m | IN... -o DIR"


@click.command("decode")
@click.argument("names", metavar=_NAMES, nargs=-1, type=INPUT)
@many_flags
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
@json_flag
@talking_flags
@option_flags(ClientOptions)
def command(
    names: tuple[str, ...],
    folder: str | None,
    share: tuple[int, int],
    profile: str,
    output: str | None,
    crf: int | None,
    start: float,
    duration: float,
    overwrite: bool,
    as_json: bool,
    **others: Any,
) -> None:
    """Decode the CMVC stream IN.cmvc (- for standard input) to a video (- for standard output).

    With -o DIR, decode many streams and folders of them; those that are done already are skipped.
    """
    options = take_options(ClientOptions, others)
    chosen: dict[str, Any] = {"profile": profile, "start": start, "duration": duration, "crf": crf}
    if folder is not None:
        config = decode_config(output=output or "mp4", **chosen)
        with options.client() as client:
            outcomes = run_many(
                names,
                folder,
                _work(client, config, options.deadline),
                endings=frozenset({STREAM_ENDING}),
                ending="." + (output or "mp4"),
                settings=config.SerializeToString(deterministic=True),
                share=share,
                overwrite=overwrite,
            )
        click.get_current_context().exit(report(outcomes, as_json=as_json))
    source, destination = two_names(names, _NAMES)
    refuse_json_to_stdout(destination, as_json=as_json)
    out = destination_of(destination)
    refuse_the_source(out, source_of(source))
    config = decode_config(output=output, name=name_of(out), **chosen)
    with options.client() as client:
        made = _work(client, config, options.deadline)(source_of(source), out, overwrite=overwrite)
    if as_json:
        print_json({"input": source, "output": destination, **made.numbers, "notes": made.notes})
        return
    print_notes(made.notes)
    name = "standard output" if destination == "-" else Path(destination).name
    say(f"{name}: {made.numbers['frames']} frames in {made.numbers['segments']} segments")


def _work(client: Client, config: decoder_pb2.DecodeConfig, deadline: float | None) -> Callable[..., Made]:
    """Return what decodes one stream, and takes its source, its destination and what to call the work."""

    def work(source: Any, destination: Any, called: str = "", *, overwrite: bool = True) -> Made:
        began = time.monotonic()
        with progress_bar(f"decoding {called}".rstrip()) as progress:
            summary = client.decode(
                source, destination, config, progress=progress, deadline_s=deadline, overwrite=overwrite
            )
        if how_much() > 0:
            took = time.monotonic() - began
            say(f"{summary.frames} frames in {took:.2f} s, {summary.frames / took:.2f} a second")
        return Made({"frames": summary.frames, "segments": summary.segments}, tuple(summary.notes))

    return work
