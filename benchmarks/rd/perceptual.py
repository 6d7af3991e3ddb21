"""What the eye minds, of points that were coded before: LPIPS and DISTS of a picture every half second, steadiness.

Nothing here decides what is coded. Scores are turned so that more is better, as those of ``METRICS`` are.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.rd.cache import Cache
from benchmarks.rd.points import PERCEPTUAL, Point
from benchmarks.rd.programs import PROGRAM, run
from benchmarks.rd.sources import Source
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.perceptual.meter import PerceptualMeter

_KEPT = ".perceptual.json"
_VIDEO = "shown.y4m"


def with_perceptual(
    points: Sequence[Point], sources: Sequence[Source], cache: Cache, show: Callable[[Point], object]
) -> list[Point]:
    """Return the points with 1 less each distance among their scores; the cache keeps what was measured.

    Args:
        points: with their streams in the cache; those without scores stay as they are.
        sources: of the points.
        cache: of both.
        show: called with each point before it is measured.

    Raises:
        CmvcError: a stream does not decode, or the weights of the metrics cannot be had.
    """
    by_name = {source.name: source for source in sources}

    def seen(point: Point) -> Point:
        show(point)
        found = looked_at(by_name[point.clip], cache.stream(point))
        return replace(point, scores={**point.scores, **{name: 1 - found[name] for name in PERCEPTUAL}})

    return [seen(point) if point.scores else point for point in points]


def looked_at(source: Source, stream: Path) -> dict[str, float]:
    """Return the scores of ``PerceptualMeter`` of a coded file against its source; kept beside it.

    Raises:
        CmvcError: it does not decode, or the weights of the metrics cannot be had.
    """
    kept = stream.with_suffix(_KEPT)
    if not kept.exists():
        with tempfile.TemporaryDirectory(prefix="cmvc-rd-") as name:
            video = Path(name) / _VIDEO
            run(_decode(source, stream.absolute()), Path(name))
            part = kept.with_suffix(".part")
            part.write_text(json.dumps(_measured(source, video)))
            part.replace(kept)
    scores: dict[str, float] = json.loads(kept.read_bytes())
    return scores


def _decode(source: Source, stream: Path) -> list[str]:
    """Return the command that shows a stream at the source's size, as ``measure_command`` does."""
    if stream.suffix == ".cmvc":
        return [sys.executable, "-m", "cmvc.cli", "decode", str(stream), _VIDEO]
    size = f"scale={source.width}:{source.height}:flags=lanczos,format=yuv420p"
    return [PROGRAM, "-threads", "1", "-r", str(source.rate), "-i", str(stream), "-vf", size, _VIDEO]


def _measured(source: Source, video: Path) -> dict[str, float]:
    with open_video(source.reference) as before, open_video(video) as after:
        meter = PerceptualMeter(source.rate, before.info.color_matrix)
        for reference, shown in zip(_pictures(before.read()), _pictures(after.read()), strict=True):
            meter.push(reference, shown)
        return meter.scores()


def _pictures(items: Iterator[object]) -> Iterator[Picture]:
    return (item for item in items if isinstance(item, Picture))
