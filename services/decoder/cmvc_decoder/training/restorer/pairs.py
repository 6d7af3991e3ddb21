"""Pairs to train on: patches of pictures coded by this project's AV1 settings, and of their sources.

A coding is one video at one scale and quantiser, drawn by chance. Its patches are one file, with what it was beside.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmvc.bitstream.av1pack.first_headers import first_quantiser
from cmvc.errors import InvalidSettingError, LimitError, MediaError
from cmvc.files import whole_file
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.media.scaling import resize
from cmvc.media.shrink import Shrinker
from cmvc.restoration.condition import CELL
from cmvc_decoder.training.restorer.options import RestorerOptions
from cmvc_decoder.training.videos import Check, find_videos

SIDE = 96  # pixels of a patch
CODED_FRAMES = 48  # of a video at most, as a segment has
_PIXELS = 854 * 480  # a video is scaled to at most so many, the largest size that profiles show
_PRESET = 4  # what the encoder takes for most sizes and rates
_SMALLEST = 2.25  # octaves below full size
_FINEST, _COARSEST = 40.0, av1.HIGHEST_CRF
_LUMA, _CHROMA = SIDE * SIDE, (SIDE // 2) ** 2
PATCH_BYTES = 4 * _LUMA + 4 * _CHROMA
_DRAWS, _SPLIT = 20, 21  # what random numbers are for

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Coding:
    """How a video was coded.

    Attributes:
        video: its name.
        scale: coded side over the shown one.
        crf: asked for.
        quantiser: AV1's of the first frame.
    """

    video: str
    scale: float
    crf: float
    quantiser: int


@dataclass(frozen=True)
class Draw:
    """One coding to be made: number ``number`` of ``path``."""

    path: Path
    number: int

    @property
    def name(self) -> str:
        """Of the files without their ends."""
        return f"{self.path.stem}-{self.number:02d}"


def split(folder: Path, share: float, seed: int) -> tuple[list[Path], list[Path]]:
    """Return the videos to train on and those held out; a whole video is either.

    Raises:
        InvalidSettingError: there are fewer than two videos.
    """
    videos = find_videos(folder)
    if len(videos) < 2:
        raise InvalidSettingError(f"{folder} has one video only, and one is held out; add another")
    count = min(max(round(share * len(videos)), 1), len(videos) - 1)
    held = set(np.random.default_rng((seed, _SPLIT)).permutation(len(videos))[:count].tolist())
    return (
        [video for number, video in enumerate(videos) if number not in held],
        [video for number, video in enumerate(videos) if number in held],
    )


def make_missing(
    videos: list[Path], options: RestorerOptions, cache: Path, *, check: Check, report: Callable[[int, int], None]
) -> list[str]:
    """Make what is not yet in ``cache``; return a note for each video that cannot be read.

    Args:
        videos: to code.
        options: of the run: how many codings of each and patches of each coding, and the seed.
        cache: folder of the pairs.
        check: called before every coding.
        report: called with how many codings are there, of how many.
    """
    cache.mkdir(parents=True, exist_ok=True)
    draws = [Draw(path, number) for number in range(options.codings) for path in videos]
    notes: dict[Path, str] = {}
    for done, draw in enumerate(draws):
        report(done, len(draws))
        check()
        if draw.path in notes or (cache / f"{draw.name}.json").exists():
            continue
        try:
            _make(draw, options.patches, np.random.default_rng((options.seed, _DRAWS, *draw.name.encode())), cache)
        except (MediaError, LimitError) as error:
            notes[draw.path] = f"{draw.path} is left out: {error}"
    report(len(draws), len(draws))
    return list(notes.values())


def _make(draw: Draw, patches: int, rng: np.random.Generator, cache: Path) -> None:
    sources = list(_read(draw.path))
    shown_width, shown_height = sources[0].width, sources[0].height
    scale = 2.0 ** -rng.uniform(0, _SMALLEST) if draw.number % 4 else 1.0
    crf = float(_FINEST + (_COARSEST - _FINEST) * max(rng.random(), rng.random()))
    size = [max(round(side * scale / 2) * 2, av1.LEAST_SIDE) for side in (shown_width, shown_height)]
    shrinker = Shrinker(*size)
    with open_video(draw.path) as reader:
        rate = reader.info.frame_rate
    obus = av1.encode([shrinker.shrink(each) for each in sources], frame_rate=rate, crf=crf, preset=_PRESET)
    shown = [resize(picture, shown_width, shown_height) for picture in av1.decode(obus)]
    side = float(np.sqrt(size[0] * size[1] / (shown_width * shown_height)))
    coding = Coding(draw.path.name, side, crf, first_quantiser(obus))
    cut = np.stack([_cut(sources, shown, rng) for _ in range(patches)])
    with whole_file(cache / f"{draw.name}.npy") as file:
        np.save(file, cut)
    with whole_file(cache / f"{draw.name}.json") as file:
        file.write(json.dumps(asdict(coding)).encode() + b"\n")


def _read(path: Path) -> Iterator[Picture]:
    """Yield the video's first pictures, at a size whose sides divide by a cell."""
    with open_video(path) as reader:
        info = reader.info
        shrunk = min((_PIXELS / (info.width * info.height)) ** 0.5, 1.0)
        size = [max(int(side * shrunk) // CELL * CELL, SIDE) for side in (info.width, info.height)]
        shrinker = Shrinker(*size)
        pictures = (item for item in reader.read() if isinstance(item, Picture))
        yield from map(shrinker.shrink, islice(pictures, CODED_FRAMES))


def _cut(sources: list[Picture], shown: list[Picture], rng: np.random.Generator) -> Bytes:
    """Return one patch as bytes: luma before, now, after; Cb, Cr; and the source's luma, Cb, Cr.

    It stands on whole cells, as the network's do in pictures: AV1's blocks then meet cells alike.
    """
    now = int(rng.integers(len(shown)))
    left, top = (CELL * int(rng.integers((side - SIDE) // CELL + 1)) for side in (shown[0].width, shown[0].height))
    before, after = shown[max(now - 1, 0)], shown[min(now + 1, len(shown) - 1)]
    rows, columns = slice(top, top + SIDE), slice(left, left + SIDE)
    small = slice(top // 2, (top + SIDE) // 2), slice(left // 2, (left + SIDE) // 2)
    lumas = [picture.y[rows, columns] for picture in (before, shown[now], after)]
    chromas = [plane[small] for plane in (shown[now].u, shown[now].v)]
    source = [sources[now].y[rows, columns], sources[now].u[small], sources[now].v[small]]
    return np.concatenate([part.ravel() for part in (*lumas, *chromas, *source)])


class Pairs:
    """All patches of some videos."""

    def __init__(self, cache: Path, videos: list[Path]) -> None:
        """Open what is in ``cache`` of these videos."""
        stems = {video.stem for video in videos}
        self._files: list[Bytes] = []
        self.codings: list[Coding] = []
        for record in sorted(cache.glob("*.json")):
            if record.stem.rsplit("-", 1)[0] in stems:
                self.codings.append(Coding(**json.loads(record.read_bytes())))
                self._files.append(np.load(record.with_suffix(".npy"), mmap_mode="r"))

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Bytes, list[Coding]]:
        """Return ``count`` patches (count, PATCH_BYTES) by chance, with their codings."""
        chosen = rng.integers(len(self._files), size=count)
        patches = np.stack([self._files[k][int(rng.integers(len(self._files[k])))] for k in chosen])
        return patches, [self.codings[k] for k in chosen]

    def each(self, patches: int) -> Iterator[tuple[Bytes, list[Coding]]]:
        """Yield the first ``patches`` of each coding."""
        for coding, file in zip(self.codings, self._files, strict=True):
            part = np.asarray(file[:patches])
            yield part, [coding] * len(part)


def planes(patches: Bytes) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Return lumas (n, 3, h, w), chromas (n, 2, h / 2, w / 2), and the source's luma (n, 1, h, w) and chromas."""
    count, half = len(patches), SIDE // 2
    ends = np.cumsum([3 * _LUMA, 2 * _CHROMA, _LUMA])
    lumas, chromas, luma, chroma = np.split(patches, ends, axis=1)
    return (
        lumas.reshape(count, 3, SIDE, SIDE),
        chromas.reshape(count, 2, half, half),
        luma.reshape(count, 1, SIDE, SIDE),
        chroma.reshape(count, 2, half, half),
    )
