"""Conventional codecs over their quantisers, each at five sizes.

Every codec works on one key frame, on one thread where threads would cost quality, and without what it does for the eye
at the expense of the scores (``-tune psnr`` of x264 and x265, ``qpa=0`` of VVenC; SVT-AV1 and libaom tune for PSNR by
default). Pictures are scaled down and up again with Lanczos kernels.

Only rates up to a limit are of interest. At each size a codec starts from its coarsest quantiser and goes finer in
steps of 6 (twice the rate, where much moves) until it is over the limit; that last point counts too, so that the curve
reaches the limit. The walk begins at half size and goes up until a size has no point under the limit, then down; a size
below half ends early at a point under the hulls of the sizes before, since it is behind by then, and finer quantisers
leave it further behind. Last, the quantisers halfway between a corner of a hull and its neighbours are tried as well.
The hulls that decide are those of VMAF, VMAF-NEG, MS-SSIM and PSNR-Y.
"""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.rd.cache import Cache, key_of, quoted
from benchmarks.rd.elementary import picture_bytes
from benchmarks.rd.measure import REFERENCE, measure_command, read_scores
from benchmarks.rd.points import Point, hull_of
from benchmarks.rd.programs import PROGRAM, run, version
from benchmarks.rd.sources import Source

LARGER, SMALLER = (0.5, 0.7, 1.0), (0.35, 0.25)
"""Sizes, of the source's sides, as they are tried; at these bit rates small pictures scaled up often look best."""

_STEP = 3  # of the quantiser; at first every other one is tried
_DECIDING = ("vmaf", "vmaf_neg", "ms_ssim", "psnr_y")
_LEAST_SIDE = 16  # of a coded picture, in pixels: SVT-AV1 takes none below
_OVER = 1.25  # times the limit: a size whose coarsest point is above has none


@dataclass(frozen=True)
class Codec:
    """A codec: how it is called, and its quantisers from coarse to fine.

    Attributes:
        name: as tables call it.
        suffix: of its elementary stream.
        options: FFmpeg's; ``{}`` stands for the quantiser.
        quantisers: from the coarsest.
        pixel_format: that it is given.
    """

    name: str
    suffix: str
    options: str
    quantisers: tuple[int, ...]
    pixel_format: str = "yuv420p"

    def command(self, size: tuple[int, int], quantiser: int) -> list[str]:
        """Return the command that codes the reference at a size."""
        scale = ["-vf", f"scale={size[0]}:{size[1]}:flags=lanczos", "-pix_fmt", self.pixel_format]
        options = self.options.format(quantiser).split()
        return [
            PROGRAM,
            "-filter_threads",
            "1",
            "-i",
            REFERENCE,
            *scale,
            *options,
            "-g",
            "9999",
            f"stream{self.suffix}",
        ]


def _x264(preset: str) -> Codec:
    options = f"-c:v libx264 -preset {preset} -tune psnr -threads 1 -crf {{}}"
    return Codec(f"x264 {preset}", ".h264", options, tuple(range(51, 0, -_STEP)))


def _x265(preset: str) -> Codec:
    options = (
        f"-c:v libx265 -preset {preset} -tune psnr -x265-params pools=none:frame-threads=1:log-level=error -crf {{}}"
    )
    return Codec(f"x265 {preset}", ".h265", options, tuple(range(51, 0, -_STEP)))


def _svt_av1(preset: int) -> Codec:
    # Through svtav1-params: FFmpeg's own option stops at 63. From 63 to 62 the rate leaps by 30 %, so 63 is among them.
    options = f"-c:v libsvtav1 -preset {preset} -svtav1-params lp=1:crf={{}}"
    return Codec(f"SVT-AV1 {preset}", ".obu", options, (70, 67, *range(63, 0, -_STEP)))


_AOM = Codec("libaom 2", ".obu", "-c:v libaom-av1 -cpu-used 2 -threads 1 -b:v 0 -crf {}", tuple(range(63, 0, -_STEP)))
_VVENC = Codec(
    "VVenC medium",
    ".h266",
    # FFmpeg's wrapper would set an intra period of a second.
    "-c:v libvvenc -preset medium -threads 1 -vvenc-params IntraPeriod=9984:qpa=0 -qp {}",
    tuple(range(63, 0, -_STEP)),
    "yuv420p10le",  # VVenC takes nothing else
)
_Place = tuple[float, int]  # scale, and position in ``Codec.quantisers``
_Points = dict[_Place, Point]

MAIN = (_x264("slow"), _x265("slow"), _svt_av1(4))
"""The hull of these is what the main figures are relative to."""
CODECS = {codec.name: codec for codec in (*MAIN, _VVENC, _AOM, _svt_av1(2), _x264("veryslow"), _x265("veryslow"))}


class NotCachedError(Exception):
    """A point would have to be made, and only those in the cache were asked for."""


@dataclass(frozen=True)
class Coder:
    """Codes and measures, unless the cache has the result.

    Attributes:
        cache: where results are kept.
        may_run: False where only what the cache has is wanted.
        done: called with each point, made or found.
    """

    cache: Cache
    may_run: bool
    done: Callable[[Point], None]

    def code(self, source: Source, codec: Codec, scale: float, quantiser: int, most: float) -> Point:
        """Return one point; measured if its rate is at most ``most`` bit/s.

        Raises:
            NotCachedError: it is not in the cache, and ``may_run`` is False.
            CmvcError: FFmpeg failed.
            MediaError: frames went missing.
        """
        size = _scaled(source, scale)
        encode, measure = codec.command(size, quantiser), measure_command(source, f"stream{codec.suffix}")
        key = key_of(source.sha256, encode, measure, version())
        point = self.cache.get(key)
        if point is None or (not point.scores and point.bits_per_second <= most):
            if not self.may_run:
                raise NotCachedError
            with tempfile.TemporaryDirectory(prefix="cmvc-rd-") as name:
                folder = Path(name)
                stream = folder / f"stream{codec.suffix}"
                (folder / REFERENCE).symlink_to(source.reference.absolute())
                run(encode, folder)
                count = picture_bytes(stream.read_bytes(), codec.suffix)
                setting = f"{size[0]}x{size[1]} q {quantiser}"
                point = Point(source.name, codec.name, setting, count, count * 8 / source.seconds)
                point = replace(point, commands=quoted([encode]))
                if point.bits_per_second <= most:
                    run(measure, folder)
                    point = replace(point, scores=read_scores(source, folder), commands=quoted([encode, measure]))
                point = self.cache.put(key, point, stream)
        self.done(point)
        return point


def walk(coder: Coder, source: Source, codec: Codec, limit: float) -> tuple[list[Point], bool]:
    """Return the measured points of a codec on a clip up to ``limit`` bit/s, and whether they are all.

    They are not where the coder may not run and the cache lacks some.

    Raises:
        CmvcError: FFmpeg failed.
        MediaError: frames went missing.
    """
    points: _Points = {}
    try:
        for scale in LARGER:
            if not _one_size(coder, source, codec, (scale, limit), points):
                break  # a larger one has still higher rates
        for scale in SMALLER:
            _one_size(coder, source, codec, (scale, limit), points)
        for scale, step in _halfway(points, limit):
            points[scale, step] = coder.code(source, codec, scale, codec.quantisers[step], math.inf)
    except NotCachedError:
        return list(points.values()), False
    return list(points.values()), True


def _one_size(coder: Coder, source: Source, codec: Codec, task: tuple[float, float], points: _Points) -> bool:
    """Add the points of one ``(scale, limit)``; says whether there are any.

    Raises:
        NotCachedError: one would have to be made; those before it are added.
    """
    scale, limit = task
    others = list(points.values())
    for step, quantiser in enumerate(codec.quantisers[::2]):
        point = coder.code(source, codec, scale, quantiser, math.inf if step else limit * _OVER)
        if not point.scores:
            return False
        points[scale, 2 * step] = point
        if point.bits_per_second > limit or (scale in SMALLER and _is_behind(point, others)):
            break
    return True


def _halfway(points: _Points, limit: float) -> list[_Place]:
    """Return the places between two points on one size of which one is a corner of a hull."""
    corners = set()
    for metric in _DECIDING:
        rates = hull_of(points.values(), metric).up_to(limit).rates
        corners |= {place for place, point in points.items() if point.bits_per_second in rates}
    pairs = [((scale, step), (scale, step + 2)) for scale, step in points]
    return [(a[0], a[1] + 1) for a, b in pairs if b in points and (a in corners or b in corners)]


def _is_behind(point: Point, others: list[Point]) -> bool:
    """Say whether a point lies under the others' hulls in each of the deciding metrics."""
    for metric in _DECIDING:
        best = hull_of(others, metric).quality_at(point.bits_per_second)
        if best is None or point.scores[metric] >= best:
            return False
    return True


def _scaled(source: Source, scale: float) -> tuple[int, int]:
    """Return the coded size: even sides."""
    if scale == 1.0:
        return source.width, source.height
    width, height = (max(round(side * scale / 2) * 2, _LEAST_SIDE) for side in (source.width, source.height))
    return width, height
