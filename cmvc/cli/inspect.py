"""``cmvc inspect``."""

import sys
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
from rich.console import Console
from rich.table import Table

from cmvc.bitstream.inspect import PARTS
from cmvc.bitstream.packets import MAGIC
from cmvc.cli.messages import print_json, print_notes
from cmvc.cli.options import encoder_options, number, option_flags, overwrite_flag, source_of, take_options
from cmvc.client import Client
from cmvc.client.destinations import open_destination
from cmvc.control import Control
from cmvc.errors import InvalidSettingError
from cmvc.options import Options
from cmvc.plain import one_line
from cmvc.services import KeyframeRecord, KeyframeReport, load_encoder
from cmvc.settings import encode_config

CAPTION_WIDTH = 80
_ENCODER = encoder_options()


@click.command("inspect")
@click.argument("source", metavar="IN")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--keyframes",
    "chart",
    metavar="OUT.png",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of a video: draw which keyframes an encoder would choose, and why.",
)
@click.option("--embedding", help="That keyframes are chosen by: embedded, clip or siglip.  [default: embedded]")
@overwrite_flag
@option_flags(_ENCODER, only=("embedding_model", "semantics"))
@click.option(
    "--threshold",
    type=number("keyframes.threshold"),
    help="Similarity under which a new keyframe may come.  [default: the embedding's]",
)
@click.option(
    "--max-gap", type=number("keyframes.max_gap_ms", 1000), help="Longest seconds between keyframes.  [default: 8]"
)
def command(
    source: str,
    as_json: bool,
    chart: Path | None,
    embedding: str | None,
    threshold: float | None,
    max_gap: float | None,
    overwrite: bool,
    **others: Any,
) -> None:
    """Show what is in a CMVC stream (- for standard input), to the byte.

    With --keyframes, IN is a video, and what is shown is how its keyframes are chosen.
    """
    options = take_options(_ENCODER, others)
    if chart:
        if chart.suffix.lower() != ".png":
            raise click.UsageError("--keyframes draws a PNG; give its file a name that ends in .png")
        with open_destination(chart, source_of(source), overwrite=overwrite) as file:
            report = _draw(source, file, (embedding or "embedded", threshold, max_gap or 0.0), options)
        if as_json:
            print_json(_as_json(report))
        else:
            _print_keyframes(report)
        return
    if embedding or options != _ENCODER() or threshold is not None or max_gap is not None:
        raise click.UsageError("--embedding, --threshold and the like say how --keyframes OUT.png is drawn; add it")
    with Client() as client:
        found = client.inspect(source_of(source))
    if as_json:
        print_json(found)
        return
    _print_tables(found)
    print_notes(found["notes"])


def _draw(source: str, chart: BinaryIO, choice: tuple[str, float | None, float], options: Options) -> KeyframeReport:
    from cmvc.cli.keyframe_chart import draw_chart  # noqa: PLC0415 - Pillow is not installed with every command line

    embedding, threshold, max_gap = choice
    _refuse_stream(source)
    config = encode_config(keyframes=embedding, keyframe_threshold=threshold, keyframe_gap_ms=round(1000 * max_gap))
    given = sys.stdin.buffer if source == "-" else source  # as it was looked at above
    report = load_encoder().keyframes(given, config, Control(), options)
    chart.write(draw_chart(report, "standard input" if source == "-" else Path(source).name))
    return report


def _refuse_stream(source: str) -> None:
    """Make sure that the source is not a CMVC stream.

    Raises:
        InvalidSettingError: it is.
        OSError: it cannot be read.
    """
    if source == "-":
        start = cast(BufferedReader, sys.stdin.buffer).peek(len(MAGIC))[: len(MAGIC)]
    else:
        with Path(source).open("rb") as file:
            start = file.read(len(MAGIC))
    if start == MAGIC:
        raise InvalidSettingError(f"--keyframes draws from a video, and {source} is a CMVC stream; give its source")


def _as_json(report: KeyframeReport) -> dict[str, Any]:
    samples = [
        {
            "frame": each.frame,
            "at_s": round(float(each.frame / report.frame_rate), 3),
            "similarity": round(each.similarity, 4),
            "is_keyframe": each.is_keyframe,
            "opens_shot": each.opens_shot,
        }
        for each in report.records
    ]
    return {
        "embedding": report.embedding,
        "threshold": round(report.threshold, 4),
        "frame_rate": str(report.frame_rate),
        "frames": report.frames,
        "keyframes": [each.frame for each in report.records if each.is_keyframe],
        "samples": samples,
    }


def _print_keyframes(report: KeyframeReport) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("keyframe", "at s", "similarity"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("why", no_wrap=True)
    for each in report.records:
        if each.is_keyframe:
            at = float(each.frame / report.frame_rate)
            table.add_row(str(each.frame), f"{at:.3f}", f"{each.similarity:.3f}", _why(each, report.threshold))
    Console().print(table, highlight=False, markup=False)


def _why(keyframe: KeyframeRecord, threshold: float) -> str:
    if keyframe.opens_shot:
        return "opens a shot"
    return "drifted" if keyframe.similarity < threshold else "longest gap"


def _print_tables(found: dict[str, Any]) -> None:
    header, totals = found["header"], found["totals"]
    # As wide as the tables need when nobody watches, so that a pipe gets whole lines.
    console = Console() if Console().is_terminal else Console(width=200)
    console.print(
        f"{header['width']}x{header['height']}, {header['frame_rate']} frames/s, {totals['frames']} frames,"
        f" {totals['duration_s']:.3f} s; {totals['bytes']} bytes, {totals['bits_per_second'] / 1000:.3f} kbit/s,"
        f" {totals['bits_per_pixel']:.6f} bit/pixel",
        highlight=False,
    )
    profiles = ", ".join(one_line(profile["id"]) for profile in found["profiles"])
    console.print(f"profiles: {profiles}", highlight=False, markup=False)
    table = Table(box=None, pad_edge=False)
    for column in ("segment", "at s", "frames", "mode", "keyframes", "coded", "step", "q", *PARTS):
        table.add_column(column, justify="left" if column == "mode" else "right", no_wrap=True)
    table.add_column("caption", no_wrap=True, max_width=CAPTION_WIDTH)
    for each in found["segments"]:
        table.add_row(
            str(each["index"]),
            f"{each['pts_s']:.3f}",
            str(each["frames"]),
            each["mode"],
            str(each["keyframes"]),
            "x".join(map(str, each["coded_size"] or ())),
            str(each["frame_step"]) if each["coded_size"] else "",
            "" if each["base_q_idx"] is None else str(each["base_q_idx"]),
            *(str(each["bytes"][part]) for part in PARTS),
            one_line(each["text"].replace("\n", " / ")),
        )
    table.add_row(
        "all", "", str(totals["frames"]), *[""] * 5, *(str(totals["segment_bytes"][part]) for part in PARTS), ""
    )
    console.print(table, highlight=False, markup=False)
    console.print(
        f"preamble {totals['preamble_bytes']}, header {totals['header_bytes']}, profile table"
        f" {totals['profile_table_bytes']}, trailer {totals['trailer_bytes']}, unknown {totals['unknown_bytes']} bytes",
        highlight=False,
    )
