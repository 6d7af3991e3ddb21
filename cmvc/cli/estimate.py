"""What encoding a video would give, foretold from a few seconds of it: ``cmvc encode --estimate``.

All efforts try the same seconds, so that they can be compared; ``best`` takes too long to try more of them.
"""

import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cmvc.cli.decoded import as_video
from cmvc.cli.messages import print_json
from cmvc.cli.progress import progress_bar
from cmvc.client import Client
from cmvc.errors import InvalidSettingError
from cmvc.evaluate import evaluate
from cmvc.media.reader import open_video
from cmvc.settings import EFFORTS_BY_NAME
from cmvc.v1 import encoder_pb2

_PART_SECONDS = 3.0


@dataclass(frozen=True)
class Forecast:
    """What one effort would give.

    Attributes:
        effort: its name.
        bytes: of the whole stream.
        bits_per_second: of the part that was coded.
        modes: share of its frames, 0..1, by mode.
        vmaf: mean of its frames, 0..100; None where no FFmpeg with libvmaf was found.
        ssim: likewise, 0..1.
        seconds: that the work takes on this machine, were windows coded one after the other.
    """

    effort: str
    bytes: int
    bits_per_second: float
    modes: dict[str, float]
    vmaf: float | None
    ssim: float
    seconds: float


def estimate(client: Client, source: str, config: encoder_pb2.EncodeConfig) -> list[Forecast]:
    """Encode and decode a short part of a video at each effort, and say what the whole would come to.

    Args:
        client: encodes and decodes.
        source: path of the video.
        config: of the encoding.

    Raises:
        InvalidSettingError: the source is no file, or does not say how long it is.
        MediaError: it cannot be read.
    """
    if not Path(source).is_file():
        raise InvalidSettingError(f"'{source}' is no file, so a part of it cannot be tried; give the path of a file")
    length = _seconds_of(source, config)
    tried = encoder_pb2.EncodeConfig()
    tried.CopyFrom(config)
    tried.duration = min(length, _PART_SECONDS)
    tried.start = config.start + (length - tried.duration) / 2
    return [_forecast(client, source, tried, effort, length) for effort in EFFORTS_BY_NAME]


def _seconds_of(source: str, config: encoder_pb2.EncodeConfig) -> float:
    with open_video(source, start=config.start, duration=config.duration) as video:
        frames, rate = video.info.frames_estimate, video.info.frame_rate
    if not frames:
        raise InvalidSettingError(f"'{source}' does not say how long it is; give its --duration")
    return float(frames / rate)


def _forecast(client: Client, source: str, part: encoder_pb2.EncodeConfig, effort: str, length: float) -> Forecast:
    part.effort = EFFORTS_BY_NAME[effort]
    with tempfile.TemporaryDirectory() as folder:
        stream = Path(folder, "part.cmvc")
        began = time.monotonic()
        with progress_bar(f"trying {effort}") as progress:
            client.encode(source, stream, part, progress=progress)
        took = time.monotonic() - began
        found = client.inspect(stream)
        with as_video(str(stream), client) as decoded:
            scores = evaluate(source, decoded, start=part.start, duration=part.duration)
    frames: Counter[str] = Counter()
    for segment in found["segments"]:
        frames[segment["mode"]] += segment["frames"]
    totals = found["totals"]
    times = length / totals["duration_s"]
    return Forecast(
        effort,
        bytes=round(totals["bytes"] * times),
        bits_per_second=totals["bits_per_second"],
        modes={mode: round(count / frames.total(), 3) for mode, count in frames.most_common()},
        vmaf=None if scores.vmaf is None else round(scores.vmaf, 2),
        ssim=round(scores.ssim, 4),
        seconds=round(took * times, 1),
    )


def show(forecasts: list[Forecast], *, as_json: bool) -> None:
    """Print what was foretold, as a table or as one JSON object."""
    if as_json:
        print_json({"efforts": [asdict(each) for each in forecasts]})
        return
    table = Table(title=f"expected, from {_PART_SECONDS:g} s in the middle", title_justify="left")
    for name in ("effort", "bytes", "kbit/s", "modes", "VMAF", "SSIM", "seconds, at most"):
        table.add_column(name, justify="left" if name in ("effort", "modes") else "right")
    for each in forecasts:
        modes = ", ".join(f"{mode} {share:.0%}" for mode, share in each.modes.items())
        vmaf = "not measured" if each.vmaf is None else f"{each.vmaf:.1f}"
        rate = f"{each.bits_per_second / 1000:.2f}"
        table.add_row(each.effort, str(each.bytes), rate, modes, vmaf, f"{each.ssim:.3f}", f"{each.seconds:.1f}")
    Console().print(table)
