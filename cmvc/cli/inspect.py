"""``cmvc inspect``."""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cmvc.bitstream.inspect import PARTS
from cmvc.cli.messages import print_notes
from cmvc.cli.options import source_of
from cmvc.client import Client

CAPTION_WIDTH = 80


@click.command("inspect")
@click.argument("source", metavar="IN.cmvc")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(source: str, as_json: bool) -> None:
    """Show what is in a CMVC stream (- for standard input), to the byte."""
    with Client() as client:
        found = client.inspect(source_of(source))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    _print_tables(found)
    print_notes(found["notes"])


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
    console.print("profiles: " + ", ".join(profile["id"] for profile in found["profiles"]), highlight=False)
    table = Table(box=None, pad_edge=False)
    for column in ("segment", "at s", "frames", "mode", "keyframes", *PARTS):
        table.add_column(column, justify="left" if column == "mode" else "right", no_wrap=True)
    table.add_column("caption", no_wrap=True, max_width=CAPTION_WIDTH)
    for each in found["segments"]:
        table.add_row(
            str(each["index"]),
            f"{each['pts_s']:.3f}",
            str(each["frames"]),
            each["mode"],
            str(each["keyframes"]),
            *(str(each["bytes"][part]) for part in PARTS),
            each["text"].replace("\n", " / "),
        )
    table.add_row("all", "", str(totals["frames"]), "", "", *(str(totals["segment_bytes"][part]) for part in PARTS), "")
    console.print(table, highlight=False, markup=False)
    console.print(
        f"preamble {totals['preamble_bytes']}, header {totals['header_bytes']}, profile table"
        f" {totals['profile_table_bytes']}, trailer {totals['trailer_bytes']}, unknown {totals['unknown_bytes']} bytes",
        highlight=False,
    )
