"""The page of a report, from what was gathered."""

import base64
from collections.abc import Sequence
from fractions import Fraction
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from cmvc import __version__
from cmvc.report.charts import Line, binned, chart, steps
from cmvc.report.gather import Shown, moments_of

STYLES = 6  # colours for streams; then they come again


def make_page(reference: str, streams: Sequence[Shown], originals: Sequence[bytes]) -> str:
    """Return the report as HTML that needs nothing else.

    Args:
        reference: name of the original.
        streams: at least one, all with as many frames.
        originals: pictures of the reference as WebP, at the moments of the streams' pictures.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("report.html").read_text())
    shown = [_stream(stream, f"s{number % STYLES}") for number, stream in enumerate(streams)]
    first = streams[0]
    rate = float(Fraction(first.found["header"]["frame_rate"]))
    moments = [frame / rate for frame in moments_of(first.found["totals"]["frames"])]
    seconds = first.found["totals"]["duration_s"]
    vmaf = all(stream.scores.vmaf is not None for stream in streams)
    return template.render(
        version=__version__,
        reference=reference,
        width=first.scores.width,
        height=first.scores.height,
        frame_rate=f"{rate:g}",
        seconds=f"{seconds:.4g}",
        streams=shown,
        moments=[f"{moment:.2f}" for moment in moments],
        originals=[_address(data) for data in originals],
        rate_chart=chart(
            "Bit rate over time",
            [_rate_line(each, shown[n]) for n, each in enumerate(streams)],
            seconds,
            from_zero=True,
        ),
        quality_name="VMAF" if vmaf else "PSNR of luma, dB",
        quality_chart=chart(
            "Quality over time",
            [_quality_line(each, shown[n], "vmaf" if vmaf else "psnr_y", rate) for n, each in enumerate(streams)],
            seconds,
            from_zero=False,
        ),
    )


def _stream(stream: Shown, style: str) -> dict[str, Any]:
    totals, scores = stream.found["totals"], stream.scores
    return {
        "name": stream.name,
        "style": style,
        "bytes": totals["bytes"],
        "kbit_per_s": f"{totals['bits_per_second'] / 1000:.2f}",
        "scores": [
            _number(scores.vmaf, 1),
            _number(scores.vmaf_neg, 1),
            _number(scores.psnr_y, 2),
            _number(scores.ssim, 4),
            _number(scores.ms_ssim, 4),
            _number(scores.xpsnr, 2),
        ],
        "segments": [_segment(segment, totals["frames"]) for segment in stream.found["segments"]],
        "notes": stream.found["notes"],
        "pictures": [_address(data) for data in stream.pictures],
    }


def _segment(segment: dict[str, Any], frames: int) -> dict[str, Any]:
    return {
        "mode": segment["mode"],
        "at": f"{segment['pts_s']:.2f}",
        "frames": segment["frames"],
        "bytes": sum(segment["bytes"].values()),
        "parts": ", ".join(f"{part} {size}" for part, size in segment["bytes"].items() if size),
        "text": segment["text"],
        "share": f"{100 * segment['frames'] / frames:.3f}",
    }


def _rate_line(stream: Shown, shown: dict[str, Any]) -> Line:
    rate = Fraction(stream.found["header"]["frame_rate"])
    runs = []
    for segment in stream.found["segments"]:
        seconds = float(segment["frames"] / rate)
        kbit = 8e-3 * sum(segment["bytes"].values())
        runs.append((segment["pts_s"], segment["pts_s"] + seconds, kbit / seconds))
    return Line(shown["style"], stream.name, steps(runs))


def _quality_line(stream: Shown, shown: dict[str, Any], metric: str, rate: float) -> Line:
    return Line(shown["style"], stream.name, binned([frame[metric] for frame in stream.scores.per_frame], rate))


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _address(data: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(data).decode()
