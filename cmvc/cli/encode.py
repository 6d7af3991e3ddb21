"""``cmvc encode``."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cmvc.cli.many import Made, many_flags, report, run_many, two_names
from cmvc.cli.messages import how_much, json_flag, print_json, print_notes, say, talking_flags
from cmvc.cli.options import (
    INPUT,
    Audio,
    BitRate,
    ClientOptions,
    destination_of,
    encoder_options,
    number,
    option_flags,
    overwrite_flag,
    part_flags,
    refuse_json_to_stdout,
    source_of,
    take_options,
    whole_number,
)
from cmvc.cli.progress import progress_bar
from cmvc.client import Client
from cmvc.client.destinations import name_of, refuse_the_source
from cmvc.options import Options, arguments
from cmvc.settings import (
    EFFORTS_BY_NAME,
    MODE_CHOICES,
    STREAM_ENDING,
    VIDEO_ENDINGS,
    check_stream_name,
    encode_config,
    parse_settings,
)
from cmvc.v1 import encoder_pb2

_ENCODER = encoder_options()
_NAMES = "IN OUT.cmvc | IN... -o DIR"
_NOT_SETTINGS = ("--jobs=", "--isolate-media=")  # of an encoder's options: how the work is done changes no byte


@click.command("encode")
@click.argument("names", metavar=_NAMES, nargs=-1, type=INPUT)
@many_flags
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
@click.option(
    "--estimate",
    "only_estimate",
    is_flag=True,
    help="Write nothing: say from 3 s of IN what size, modes, quality and time to expect at each effort.",
)
@click.option("--seed", type=whole_number("seed"), default=0, show_default=True, help="Of the stream.")
@click.option("--profile", default="", help="Generator that the stream is made for.  [default: embedded]")
@click.option(
    "--set", "generator", metavar="NAME=VALUE", multiple=True, help="Its setting, such as steps=20; repeatable."
)
@click.option("--adapter", metavar="NAME@HASH", default="", help="Its adapter (LoRA), as 'cmvc models list' shows it.")
@overwrite_flag
@json_flag
@talking_flags
@option_flags(ClientOptions)
def command(
    names: tuple[str, ...],
    folder: str | None,
    share: tuple[int, int],
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
    only_estimate: bool,
    seed: int,
    profile: str,
    generator: tuple[str, ...],
    adapter: str,
    overwrite: bool,
    as_json: bool,
    **others: Any,
) -> None:
    """Encode the video IN (- for standard input) to a CMVC stream (- for standard output).

    With -o DIR, encode many videos and folders of them; those that are done already are skipped.
    """
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
    options, encoder = take_options(ClientOptions, others), take_options(_ENCODER, others)
    with options.client(encoder) as client:
        if only_estimate:
            from cmvc.cli.estimate import estimate, show  # noqa: PLC0415 - a client alone has no media libraries

            show(estimate(client, _one_name(names, folder), config), as_json=as_json)
            return
        work = _work(client, config, options.deadline)
        if folder is not None:
            outcomes = run_many(
                names,
                folder,
                work,
                endings=VIDEO_ENDINGS,
                ending=STREAM_ENDING,
                settings=_settings(config, encoder),
                share=share,
                overwrite=overwrite,
            )
            click.get_current_context().exit(report(outcomes, as_json=as_json))
        source, destination = two_names(names, _NAMES)
        _encode_one(work, source, destination, overwrite=overwrite, as_json=as_json)


def _one_name(names: tuple[str, ...], folder: str | None) -> str:
    if len(names) != 1 or folder is not None:
        raise click.UsageError("--estimate takes IN alone; it writes nothing")
    return names[0]


def _coding(coding: encoder_pb2.SegmentCoding) -> dict[str, Any] | None:
    """Return how a segment was coded, for programs; None for text."""
    if not coding.measure:
        return None
    return {
        "coded_size": [coding.width, coding.height],
        "frame_step": coding.frame_step,
        "crf": coding.crf,
        "preset": coding.preset,
        "measure": coding.measure,
        "decibels": round(coding.decibels, 3),
    }


_Work = Callable[..., Made]


def _work(client: Client, config: encoder_pb2.EncodeConfig, deadline: float | None) -> _Work:
    """Return what encodes one video, and takes its source, its destination and what to call the work."""

    def work(source: Any, destination: Any, called: str = "", *, overwrite: bool = True) -> Made:
        began = time.monotonic()
        with progress_bar(f"encoding {called}".rstrip()) as progress:
            summary = client.encode(
                source, destination, config, progress=progress, deadline_s=deadline, overwrite=overwrite
            )
        took = time.monotonic() - began
        seconds = 8 * summary.stream_bytes / summary.bits_per_second if summary.bits_per_second else 0.0
        if how_much() > 0:
            say(f"{seconds:.2f} s of video in {took:.2f} s, {seconds / took:.2f} times real time")
        numbers = {
            "frames": summary.frames,
            "bytes": summary.stream_bytes,
            "bits_per_second": round(summary.bits_per_second, 3),
            "seconds": round(seconds, 3),
        }
        return Made(numbers, tuple(summary.notes), {"codings": [_coding(each) for each in summary.codings]})

    return work


def _encode_one(work: _Work, source: str, destination: str, *, overwrite: bool, as_json: bool) -> None:
    refuse_json_to_stdout(destination, as_json=as_json)
    out = destination_of(destination)
    refuse_the_source(out, source_of(source))
    check_stream_name(name_of(out))
    made = work(source_of(source), out, overwrite=overwrite)
    if as_json:
        print_json({"input": source, "output": destination, **made.numbers, "notes": made.notes, **made.details})
        return
    print_notes(made.notes)
    name = "standard output" if destination == "-" else Path(destination).name
    numbers = made.numbers
    say(f"{name}: {numbers['frames']} frames, {numbers['bytes']} bytes, {numbers['bits_per_second'] / 1000:.2f} kbit/s")


def _settings(config: encoder_pb2.EncodeConfig, encoder: Options) -> bytes:
    """Return what streams depend on beside their videos."""
    models = [each for each in arguments(encoder) if not each.startswith(_NOT_SETTINGS)]
    return config.SerializeToString(deterministic=True) + "\0".join(models).encode()
