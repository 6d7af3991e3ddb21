"""``cmvc doctor``."""

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import click
import numpy as np

from cmvc import __version__
from cmvc.cli.messages import print_json
from cmvc.errors import CmvcError, MissingServiceError
from cmvc.findings import Finding, Health
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.plain import one_line
from cmvc.process import prepare
from cmvc.services import load_decoder, load_encoder
from cmvc.vmaf import find_ffmpeg

_SIDE = 64  # pixels of the pictures that AV1 is tried on


@click.command("doctor")
@click.option("--models", envvar="CMVC_MODELS", type=click.Path(path_type=Path, file_okay=False), help="Model store.")
@click.option("--triton", metavar="HOST:PORT", envvar="CMVC_TRITON", default="", help="Triton server to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(context: click.Context, models: Path | None, triton: str, as_json: bool) -> None:
    """Say what this machine can run, and what to do about what it cannot; exit with 1 where something is broken."""
    prepare()
    findings = []
    for each in _all(models, triton):
        findings.append(each)
        if not as_json:
            click.echo("\n".join(_lines(each)))
    well = all(each.health is not Health.FAULT for each in findings)
    if as_json:
        print_json({"ok": well, "findings": [asdict(each) for each in findings]})
    context.exit(0 if well else 1)


def _lines(finding: Finding) -> list[str]:
    lines = [f"{finding.health:7} " + one_line(f"{finding.name}: {finding.found}")]
    return [*lines, f"        {one_line(finding.advice)}"] if finding.advice else lines


def _all(models: Path | None, triton: str) -> Iterator[Finding]:
    yield Finding("cmvc", Health.OK, f"{__version__}, Python {platform.python_version()}, {_machine()}")
    yield _svt_av1()
    yield _libvmaf()
    yield _encoder()
    try:
        decoder = load_decoder()
    except MissingServiceError as error:
        yield Finding("decoder", Health.ABSENT, "not installed", str(error))
        return
    yield from decoder.examine(models, triton)


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory"


def _svt_av1() -> Finding:
    """Encode and decode two pictures."""
    chroma = np.full((_SIDE // 2, _SIDE // 2), 128, np.uint8)
    pictures = [Picture(np.full((_SIDE, _SIDE), luma, np.uint8), chroma, chroma) for luma in (60, 180)]
    try:
        decoded = len(list(av1.decode(av1.encode(pictures, frame_rate=Fraction(24), crf=50))))
    except (CmvcError, av.FFmpegError, ValueError) as error:
        advice = "install PyAV's own wheels, which bring SVT-AV1 and dav1d: pip install -c constraints.txt av"
        return Finding("SVT-AV1", Health.FAULT, f"PyAV {av.__version__} cannot encode and decode AV1: {error}", advice)
    return Finding("SVT-AV1", Health.OK, f"{decoded} pictures encoded and decoded through PyAV {av.__version__}")


def _libvmaf() -> Finding:
    program = find_ffmpeg()
    if program is None:
        return Finding(
            "FFmpeg with libvmaf", Health.ABSENT, "none", "for VMAF in cmvc evaluate: pip install imageio-ffmpeg"
        )
    return Finding("FFmpeg with libvmaf", Health.OK, program)


def _encoder() -> Finding:
    try:
        load_encoder()
    except MissingServiceError as error:
        return Finding("encoder", Health.ABSENT, "not installed", str(error))
    return Finding("encoder", Health.OK, "installed")
