"""``cmvc encode``."""

from pathlib import Path
from typing import Any

import click

from cmvc.cli.messages import print_notes, progress_bar, say
from cmvc.cli.options import (
    Audio,
    BitRate,
    ClientOptions,
    destination_of,
    encoder_options,
    number,
    option_flags,
    overwrite_flag,
    part_flags,
    source_of,
    take_options,
    whole_number,
)
from cmvc.client.destinations import name_of, refuse_the_source
from cmvc.settings import EFFORTS_BY_NAME, MODE_CHOICES, check_stream_name, encode_config, parse_settings

_ENCODER = encoder_options()


@click.command("encode")
@click.argument("source", metavar="IN")
@click.argument("destination", metavar="OUT.cmvc")
@click.option("--mode", type=click.Choice(MODE_CHOICES), default="auto", show_default=True, help="How to code.")
@click.option("--bitrate", type=BitRate(), help="Of the whole stream: 8k, 12000, 1.5M.  [default: 12k]")
@click.option("--quality", type=whole_number("quality"), help="1 (least) to 100 (best), instead of a bit rate.")
@click.option(
    "--semantics",
    default="embedded",
    show_default=True,
    help="Who writes captions: embedded, transformers or openai.",
)
@click.option("--strict", is_flag=True, help="Fail when its model fails, instead of going on with embedded.")
@click.option(
    "--keyframes",
    default="embedded",
    show_default=True,
    help="Embedding that keyframes are chosen by: embedded, clip or siglip.",
)
@click.option(
    "--keyframe-threshold",
    type=number("keyframes.threshold"),
    help="Similarity under which a new keyframe may come.  [default: the embedding's]",
)
@click.option(
    "--keyframe-gap",
    type=number("keyframes.max_gap_ms", 1000),
    help="Longest seconds between keyframes.  [default: 8]",
)
@option_flags(_ENCODER)
@click.option("--audio", type=Audio(), default="auto", show_default=True, help="Sound: auto, none, copy or opus:8k.")
@click.option("--audio-track", default="", help="Which sound: its number, from 1, or language such as fra.")
@click.option("--metadata", is_flag=True, help="Carry title, chapters and language.")
@click.option(
    "--latency",
    type=number("latency_ms", 1000),
    help="For live use: longest seconds that a frame waits for others, besides the time to code.  [default: any]",
)
@click.option(
    "--effort",
    type=click.Choice(tuple(EFFORTS_BY_NAME)),
    default="default",
    show_default=True,
    help="How hard to search.",
)
@part_flags
@click.option("--seed", type=whole_number("seed"), default=0, show_default=True, help="Of the stream.")
@click.option("--profile", default="", help="Generator that the stream is made for.  [default: embedded]")
@click.option(
    "--set", "generator", metavar="NAME=VALUE", multiple=True, help="Its setting, such as steps=20; repeatable."
)
@click.option("--adapter", metavar="NAME@HASH", default="", help="Its adapter (LoRA), as 'cmvc models list' shows it.")
@overwrite_flag
@option_flags(ClientOptions)
def command(
    source: str,
    destination: str,
    mode: str,
    bitrate: int | None,
    quality: int | None,
    semantics: str,
    strict: bool,
    keyframes: str,
    keyframe_threshold: float | None,
    keyframe_gap: float | None,
    audio: str,
    audio_track: str,
    metadata: bool,
    latency: float | None,
    effort: str,
    start: float,
    duration: float,
    seed: int,
    profile: str,
    generator: tuple[str, ...],
    adapter: str,
    overwrite: bool,
    **others: Any,
) -> None:
    """Encode the video IN (- for standard input) to a CMVC stream (- for standard output)."""
    if bitrate is not None and quality is not None:
        raise click.UsageError("--bitrate and --quality exclude each other; give one of them")
    config = encode_config(
        mode=mode,
        bitrate=bitrate,
        quality=quality,
        semantics=semantics,
        strict=strict,
        keyframes=keyframes,
        keyframe_threshold=keyframe_threshold,
        keyframe_gap_ms=round(1000 * (keyframe_gap or 0)),
        audio=audio,
        audio_track=audio_track,
        metadata=metadata,
        latency_ms=round(1000 * (latency or 0)),
        effort=effort,
        seed=seed,
        profile=profile,
        settings=parse_settings(generator),
        adapter=adapter,
        start=start,
        duration=duration,
    )
    out = destination_of(destination)
    refuse_the_source(out, source_of(source))
    check_stream_name(name_of(out))
    options = take_options(ClientOptions, others)
    with options.client(take_options(_ENCODER, others)) as client, progress_bar("encoding") as progress:
        summary = client.encode(
            source_of(source), out, config, progress=progress, deadline_s=options.deadline, overwrite=overwrite
        )
    print_notes(summary.notes)
    name = "standard output" if destination == "-" else Path(destination).name
    say(f"{name}: {summary.frames} frames, {summary.stream_bytes} bytes, {summary.bits_per_second / 1000:.2f} kbit/s")
