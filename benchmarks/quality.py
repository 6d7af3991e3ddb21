"""``make bench-quality``: what each mode looks like at its bit rate, beside x264, SVT-AV1 and VVenC.

CMVC's bytes are those of the whole file: header, profile table, segments and trailer. A baseline's are those of its
elementary stream, without any container, which favours the baselines. Each baseline is coded at several scales and
quantisers; what is compared is the upper hull of those points. Quality is measured on Y4M, frame by frame.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

from benchmarks.baselines import CODECS, SCALES, Codec, decode, encode
from benchmarks.clips import own_clip, shared_clips
from benchmarks.report import RESULTS, markdown, save
from cmvc.client import Client
from cmvc.evaluate import evaluate
from cmvc.media.reader import open_video
from cmvc.settings import encode_config

RATES = {
    "tt2v": (1_000,),
    "it2v": (4_000, 8_000, 12_000),
    "vt2v": (8_000, 12_000, 24_000),
    "coded": (8_000, 12_000, 24_000, 40_000),
    "auto": (8_000, 12_000, 24_000, 40_000),
}
DEFAULT_CLIPS = ("davis_blackswan", "sam2_juggle_720p", "foreman_cif_intra")
_MOST = 60_000  # bit/s; baselines above are of no use here


@dataclass(frozen=True)
class Point:
    """One coding of one clip."""

    clip: str
    method: str
    bits_per_second: float
    psnr_y: float
    ssim: float
    vmaf: float
    detail: str


@dataclass(frozen=True)
class Source:
    """A clip and its shape."""

    path: Path
    width: int
    height: int
    rate: Fraction
    seconds: float


def source_of(path: Path) -> Source:
    """Look at a clip."""
    scores = evaluate(path, path, vmaf=False)
    with open_video(path) as reader:
        info = reader.info
    return Source(path, info.width, info.height, info.frame_rate, float(scores.frames / info.frame_rate))


def ours(client: Client, source: Source, folder: Path) -> Iterator[Point]:
    """Yield a point for each mode and bit rate."""
    stream, video = folder / "clip.cmvc", folder / "clip.y4m"
    for mode, rates in RATES.items():
        for rate in rates:
            client.encode(source.path, stream, encode_config(mode=mode, bitrate=rate))
            client.decode(stream, video)
            modes = sorted({segment["mode"] for segment in client.inspect(stream)["segments"]})
            yield _point(source, f"cmvc {mode}", (stream.stat().st_size, video), " ".join(modes))


def theirs(codec: Codec, source: Source, folder: Path) -> Iterator[Point]:
    """Yield a point for each scale and quantiser that ends below 60 kbit/s."""
    stream, video = folder / f"clip{codec.suffix}", folder / "clip.y4m"
    for scale in SCALES:
        size = max(round(source.width * scale / 2) * 2, 64), max(round(source.height * scale / 2) * 2, 64)
        for value in codec.values:
            encode(codec, source.path, stream, value, size)
            frames = round(source.seconds * source.rate)
            size_bytes = stream.stat().st_size - frames * codec.frame_overhead
            if size_bytes * 8 / source.seconds <= _MOST:
                decode(stream, video, str(source.rate), (source.width, source.height))
                yield _point(source, codec.name, (size_bytes, video), f"{size[0]}x{size[1]} {codec.knob} {value}")


def _point(source: Source, method: str, result: tuple[int, Path], detail: str) -> Point:
    size, video = result
    scores = evaluate(source.path, video)
    video.unlink()
    rate = size * 8 / source.seconds
    point = Point(source.path.stem, method, rate, scores.psnr_y, scores.ssim, scores.vmaf or math.nan, detail)
    print(f"{point.clip} {method} {rate:.0f} bit/s: VMAF {point.vmaf:.1f}, {detail}", file=sys.stderr, flush=True)
    return point


def hull_at(points: list[Point], bits_per_second: float) -> float:
    """Return the best VMAF that mixing two of the points reaches at a bit rate; NaN below the lowest."""
    under = [point for point in points if point.bits_per_second <= bits_per_second]
    over = [point for point in points if point.bits_per_second > bits_per_second]
    best = max((point.vmaf for point in under), default=math.nan)
    for a in under:
        for b in over:
            along = math.log(bits_per_second / a.bits_per_second) / math.log(b.bits_per_second / a.bits_per_second)
            best = max(best, a.vmaf + along * (b.vmaf - a.vmaf))
    return best


def table(points: list[Point]) -> str:
    """Return our points, each beside the baselines' hulls at its own bit rate."""
    names = [codec.name for codec in CODECS if any(point.method == codec.name for point in points)]
    rows = []
    for point in points:
        if point.method.startswith("cmvc"):
            row: list[object] = [point.clip, point.method, f"{point.bits_per_second / 1000:.2f}"]
            row += [f"{point.psnr_y:.2f}", f"{point.ssim:.4f}", f"{point.vmaf:.1f}"]
            for name in names:
                same = [other for other in points if (other.clip, other.method) == (point.clip, name)]
                best = hull_at(same, point.bits_per_second)
                row.append("-" if math.isnan(best) else f"{best:.1f}")
            rows.append(row)
    columns = ["clip", "method", "kbit/s", "PSNR", "SSIM", "VMAF", *(f"{name} VMAF" for name in names)]
    return markdown(columns, rows)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("clips", nargs="*", type=Path, help="by default the project's own and three of CMVC_CLIPS")
    parser.add_argument("--codec", action="append", choices=[codec.name for codec in CODECS], help="all by default")
    options = parser.parse_args()
    clips = options.clips or [own_clip(), *(clip for clip in shared_clips() if clip.stem in DEFAULT_CLIPS)]
    points: list[Point] = []
    with Client() as client, tempfile.TemporaryDirectory(prefix="cmvc-quality-") as folder:
        for clip in clips:
            source = source_of(clip)
            points += ours(client, source, Path(folder))
            for codec in CODECS:
                if codec.name in (options.codec or [codec.name]):
                    points += theirs(codec, source, Path(folder))
    from benchmarks.chart import draw  # noqa: PLC0415  # matplotlib is for this command alone

    RESULTS.mkdir(parents=True, exist_ok=True)
    draw([asdict(point) for point in points], RESULTS / "quality.png")
    save("quality", table(points), {"points": [asdict(point) for point in points]})


if __name__ == "__main__":
    main()
