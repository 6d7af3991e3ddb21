"""``python -m benchmarks.restoring [CLIP ...] [--perceptual]``: what restoring brings, the AV1 data being the same.

Each clip is coded as CODED at rates from 20 kbit/s down to its floor, as ``benchmarks.rd`` does it. Each stream is then
written again as VT2V without a caption, which costs two bytes a segment, once for every restorer. BD-rates are those of
``benchmarks.rd``; "where it helps" takes of each pair the stream with the better mean of PSNR-Y and MS-SSIM in dB, as
an encoder does. ``--perceptual`` looks at 5 and 10 kbit/s instead, beside SVT-AV1 at the size of five that VMAF likes
best, between its points of ``benchmarks.rd``, and wants those made before (``--codec 'SVT-AV1 4'``).
"""

import argparse
import hashlib
import io
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.clips import shared_clips
from benchmarks.rd.baselines import CODECS, Coder, walk
from benchmarks.rd.cache import Cache, key_of
from benchmarks.rd.hull import bd_rate
from benchmarks.rd.measure import REFERENCE, measure_command, read_scores
from benchmarks.rd.ours import down_to_floor
from benchmarks.rd.points import TITLES, Point, hull_of
from benchmarks.rd.programs import run
from benchmarks.rd.sources import Source, open_source
from benchmarks.report import markdown, save
from cmvc.bitstream.stream import StreamReader, StreamWriter
from cmvc.restoration.settings import CHOICES, FIDELITY, OFF, SETTING
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_encoder.profile_table import RESTORED_PROFILE, profile_table

CACHE = Path("build/bench-rd")
MOST, LEAST_POINTS = 20_000, 5
SVT_MOST = 40_000  # bit/s; as ``benchmarks.rd`` has it by default, so that the cache has all
LOOKED_AT = (5_000, 10_000)
BD_METRICS = ("vmaf_neg", "ms_ssim", "psnr_y")
EYES = ("lpips_alex", "lpips_vgg", "dists", "warping_error", "flicker")
SVT = "SVT-AV1 4"
PLAIN = "coded"
RESTORERS = tuple(name for name in CHOICES if name != OFF)
CMVC = (sys.executable, "-m", "cmvc.cli")
VIDEO = "shown.y4m"

Seen = dict[str, dict[str, dict[str, float]]]
"""Scores of each way to show each clip."""
Rows = list[dict[str, Any]]
"""What is kept of a table."""


def as_vt2v(data: bytes, restorer: str) -> bytes:
    """Return a CODED stream as VT2V without captions, for a restorer."""
    reader = StreamReader(io.BytesIO(data))
    segments = [placed.segment for placed in reader.segments()]
    writer = StreamWriter(reader.header, profile_table(pb.Profile(settings={SETTING: restorer})))
    written = [writer.open()]
    for segment in segments:
        segment.guide, segment.profile = segment.video, RESTORED_PROFILE
        written.append(writer.write(segment))
    return b"".join([*written, writer.close()])


@dataclass(frozen=True)
class Bench:
    """Codes and measures one clip; what was done before is taken from the cache."""

    source: Source
    cache: Cache

    def stream(self, rate: int, restorer: str) -> Path:
        """Return the clip at a rate, bit/s: CODED, or as VT2V for a restorer."""
        made = self.cache.folder / f"{self.source.name}-{rate}-{restorer}{_network(restorer)}.cmvc"
        if not made.exists():
            data = self._coded(rate) if restorer == PLAIN else as_vt2v(self.stream(rate, PLAIN).read_bytes(), restorer)
            part = made.with_suffix(".part")
            part.write_bytes(data)
            part.replace(made)
        return made

    def point(self, rate: int, restorer: str) -> Point:
        """Return the measured stream."""
        stream, measure = self.stream(rate, restorer), measure_command(self.source, VIDEO)
        key = key_of(self.source.sha256, stream.name, hashlib.sha256(stream.read_bytes()).hexdigest(), measure)
        if found := self.cache.get(key):
            return found
        with self._folder() as folder:
            run([*CMVC, "decode", str(stream.absolute()), VIDEO], folder)
            run(measure, folder)
            scores = read_scores(self.source, folder)
        size = stream.stat().st_size
        point = Point(self.source.name, restorer, str(rate), size, 8 * size / self.source.seconds, (), scores)
        return self.cache.put(key, point, stream)

    def _coded(self, rate: int) -> bytes:
        with self._folder() as folder:
            run([*CMVC, "encode", REFERENCE, "coded.cmvc", "--mode", "coded", "--bitrate", str(rate)], folder)
            return (folder / "coded.cmvc").read_bytes()

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """Yield a folder for commands, with the source in it."""
        with tempfile.TemporaryDirectory(prefix="cmvc-rd-") as name:
            (Path(name) / REFERENCE).symlink_to(self.source.reference.absolute())
            yield Path(name)


def _network(restorer: str) -> str:
    """Return the beginning of the hash of a restorer's network."""
    if restorer == PLAIN:
        return ""
    return hashlib.sha256(files("cmvc.restoration").joinpath(f"{restorer}.onnx").read_bytes()).hexdigest()[:8]


def gains(bench: Bench) -> list[float]:
    """Return BD-rates over CODED in percent: for each metric restored everywhere, then where it helps."""
    plain: list[Point] = []

    def code(rate: int) -> Point:
        plain.append(bench.point(rate, PLAIN))
        return plain[-1]

    down_to_floor(code, MOST, LEAST_POINTS)
    restored = [bench.point(int(point.setting), FIDELITY) for point in plain]
    chosen = [max(pair, key=decibels) for pair in zip(restored, plain, strict=True)]
    found = []
    for points in (restored, chosen):
        for metric in BD_METRICS:
            difference = bd_rate(hull_of(points, metric), hull_of(plain, metric))
            found.append(difference.percent if difference else math.nan)
    return found


def decibels(point: Point) -> float:
    """Return the mean of PSNR-Y and MS-SSIM in dB."""
    return (point.scores["psnr_y"] - 10 * math.log10(1 - point.scores["ms_ssim"])) / 2


def look(bench: Bench, rate: int) -> dict[str, dict[str, float]]:
    """Return what the eye minds of each way to show a clip at a rate, and of SVT-AV1 in as many bytes."""
    from benchmarks.rd.perceptual import looked_at  # noqa: PLC0415  # loads torch

    found = {name: looked_at(bench.source, bench.stream(rate, name)) for name in (PLAIN, *RESTORERS)}
    bits = 8 * bench.stream(rate, PLAIN).stat().st_size / bench.source.seconds
    if near := best_size(walk(Coder(bench.cache, False, lambda _: None), bench.source, CODECS[SVT], SVT_MOST)[0], bits):
        low, high, along = near
        one, other = (looked_at(bench.source, bench.cache.stream(point)) for point in (low, high))
        found[SVT] = {name: value + along * (other[name] - value) for name, value in one.items()}
    return found


def best_size(points: Sequence[Point], bits: float) -> tuple[Point, Point, float] | None:
    """Return the points around a rate of the size that VMAF likes best there; see ``between``."""
    sizes: dict[str, list[Point]] = {}
    for point in points:
        sizes.setdefault(point.setting.split()[0], []).append(point)
    known = [near for each in sizes.values() if (near := between(each, bits))]
    return max(known, key=lambda near: _along(near, "vmaf"), default=None)


def _along(near: tuple[Point, Point, float], metric: str) -> float:
    low, high, along = near
    return low.scores[metric] + along * (high.scores[metric] - low.scores[metric])


def between(points: Sequence[Point], bits: float) -> tuple[Point, Point, float] | None:
    """Return the two points around a rate, bit/s, and where between them it is in log rate, 0..1."""
    ordered = sorted(points, key=lambda point: point.bits_per_second)
    for low, high in pairwise(ordered):
        if low.bits_per_second <= bits <= high.bits_per_second:
            whole = math.log(high.bits_per_second / low.bits_per_second)
            return low, high, math.log(bits / low.bits_per_second) / whole
    return None


def rate_table(benches: Sequence[Bench]) -> tuple[str, Rows]:
    """Return BD-rates as Markdown and as data."""
    rows: Rows = []
    for bench in benches:
        rows.append({"clip": bench.source.name, "bd_rate": [round(each, 2) for each in gains(bench)]})
        print(rows[-1], file=sys.stderr, flush=True)
    ways = [f"{name}{where}" for where in ("", ", where it helps") for name in (TITLES[each] for each in BD_METRICS)]
    columns = [[float(value) for value in column] for column in zip(*(row["bd_rate"] for row in rows), strict=True)]
    ends = [["mean", *(f"{fmean(column):+.1f}" for column in columns)]]
    ends.append(["worst", *(f"{max(column):+.1f}" for column in columns)])
    cells = [[row["clip"], *(f"{value:+.1f}" for value in row["bd_rate"])] for row in rows]
    return markdown(["clip", *ways], [*cells, *ends]), rows


def eye_table(benches: Sequence[Bench]) -> tuple[str, Rows]:
    """Return what the eye minds as Markdown, a table for each rate, and as data."""
    parts, data = [], []
    for rate in LOOKED_AT:
        seen = {}
        for bench in benches:
            seen[bench.source.name] = look(bench, rate)
            print(rate, bench.source.name, seen[bench.source.name], file=sys.stderr, flush=True)
        whole = {clip: ways for clip, ways in seen.items() if SVT in ways}
        parts += [f"## {rate / 1000:g} kbit/s", _means(whole), _each(seen)]
        data.append({"rate": rate, "clips": seen})
    return "\n\n".join(parts), data


def _means(seen: Seen) -> str:
    """Return the means over clips of each way, and how much more those of the restorers are than others, in percent."""
    names = list(next(iter(seen.values())))
    means = {way: [fmean(ways[way][each] for ways in seen.values()) for each in EYES] for way in names}
    rows: list[list[object]] = [[way, *(f"{value:.3f}" for value in values)] for way, values in means.items()]
    for way in RESTORERS:
        for other in (PLAIN, SVT):
            over = (100 * (a / b - 1) for a, b in zip(means[way], means[other], strict=True))
            rows.append([f"{way} over {other}, %", *(f"{percent:+.1f}" for percent in over)])
    return markdown([f"mean of {len(seen)} clips", *EYES], rows)


def _each(seen: Seen) -> str:
    rows = [[clip, way, *(f"{ways[way][each]:.3f}" for each in EYES)] for clip, ways in seen.items() for way in ways]
    return markdown(["clip", "shown", *EYES], rows)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restoring")
    parser.add_argument("clips", nargs="*", type=Path, metavar="CLIP", help="videos; by default those of CMVC_CLIPS")
    parser.add_argument(
        "--perceptual",
        action="store_true",
        help="LPIPS, DISTS and steadiness in place of BD-rates; needs '.[perceptual]'",
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of what was done before [%(default)s]")
    options = parser.parse_args()
    cache = Cache(options.cache)
    clips = options.clips or shared_clips()
    if not clips:
        parser.error("no clips; set CMVC_CLIPS")
    benches = [Bench(open_source(clip, cache.references), cache) for clip in clips]
    name = "restoring-perceptual" if options.perceptual else "restoring"
    text, rows = (eye_table if options.perceptual else rate_table)(benches)
    command = f"`python -m benchmarks.restoring{' --perceptual' if options.perceptual else ''}`"
    save(name, f"{command}, {len(benches)} clips; the AV1 data are the same.\n\n{text}", {"rows": rows})


if __name__ == "__main__":
    main()
