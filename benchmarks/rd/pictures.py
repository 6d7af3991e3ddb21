"""Pictures side by side: the source, the best of the main baselines near a rate, and CMVC in as many bytes."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmarks.rd import ours
from benchmarks.rd.baselines import Coder, NotCachedError
from benchmarks.rd.cache import Cache
from benchmarks.rd.compare import Field
from benchmarks.rd.points import Point
from benchmarks.rd.programs import PROGRAM, run
from benchmarks.rd.sources import Source
from cmvc.client import Client

_WIDTH = 480  # of one picture, in pixels
_LABEL = 24  # height of the line under it
_QUALITY = 88  # of the JPEG


@dataclass(frozen=True)
class Pair:
    """Two codings of one clip in the same number of bytes, or ours in a few less."""

    source: Source
    theirs: Point
    ours: Point


def choose(field: Field, source: Source, coder: Coder, mode: str, rate: float) -> Pair | None:
    """Return the corner of the main baselines' VMAF hull nearest to ``rate``, and CMVC asked for that one's rate.

    Returns:
        None where there is no such corner, or ours is not in the cache and the coder may not run.
    """
    corners = field.hull(source.name, field.main, "vmaf").rates
    known = [point for point in field.of(source.name, field.main) if point.bits_per_second in corners]
    if not known:
        return None
    theirs = min(known, key=lambda point: abs(point.bits_per_second / rate - 1))
    try:
        return Pair(source, theirs, ours.code_at(coder, source, mode, int(theirs.bits_per_second)))
    except NotCachedError:
        return None


def draw(pairs: Sequence[Pair], cache: Cache, path: Path) -> None:
    """Draw the middle frame of each pair beside the source's, a row per clip, as JPEG.

    Raises:
        CmvcError: a stream does not decode.
    """
    rows = [_row(pair, cache) for pair in pairs]
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    sheet.save(path, quality=_QUALITY)


def _row(pair: Pair, cache: Cache) -> Image.Image:
    shots = [(f"{pair.source.name}: source", _frame(pair.source, pair.source.reference))]
    for point in (pair.theirs, pair.ours):
        said = f"{point.codec}: {point.size_bytes} bytes, VMAF {point.scores['vmaf']:.0f}"
        shots.append((said, _frame(pair.source, cache.stream(point))))
    row = Image.new("RGB", (len(shots) * (_WIDTH + 4), shots[0][1].height + _LABEL), "white")
    pen = ImageDraw.Draw(row)
    for column, (said, shot) in enumerate(shots):
        row.paste(shot, (column * (_WIDTH + 4), 0))
        pen.text((column * (_WIDTH + 4), shot.height + 2), said, "black", ImageFont.load_default(16))
    return row


def _frame(source: Source, stream: Path) -> Image.Image:
    """Return the middle frame, scaled to the source's size as the scores see it, then to the sheet's."""
    with tempfile.TemporaryDirectory(prefix="cmvc-rd-") as name:
        folder = Path(name)
        video = stream.absolute()
        if stream.suffix == ".cmvc":
            video = folder / "video.y4m"
            with Client() as client:
                client.decode(stream, video)
        sizes = f"scale={source.width}:{source.height}:flags=lanczos,scale={_WIDTH}:-2"
        graph = f"select=eq(n\\,{source.frames // 2}),{sizes}"
        run([PROGRAM, "-i", str(video), "-vf", graph, "-frames:v", "1", "frame.png"], folder)
        with Image.open(folder / "frame.png") as image:
            return image.convert("RGB")
