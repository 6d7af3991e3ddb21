"""How close a video is to its reference: PSNR, SSIM, MS-SSIM, XPSNR, VMAF and VMAF-NEG.

Frames are paired by number, never by time stamp: containers round time stamps (Matroska to milliseconds), and a
comparison that pairs by them can silently set each frame against its neighbour. Both videos are read as an encoder
reads them (8-bit 4:2:0, limited range, constant frame rate), and the distorted one is scaled to the reference's size.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import zip_longest
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from cmvc.control import Control
from cmvc.errors import MediaError, MissingServiceError
from cmvc.media.frames import to_frame
from cmvc.media.isolated.reader import IsolatedReader, open_isolated
from cmvc.media.picture import Picture, Plane
from cmvc.media.reader import VideoReader, open_video
from cmvc.media.scaling import resize
from cmvc.vmaf import VmafMeter, find_ffmpeg

if TYPE_CHECKING:
    from cmvc.perceptual.meter import PerceptualMeter

Reader = VideoReader | IsolatedReader
MAX_DB = 100.0
"""Stands for infinity in PSNR and XPSNR: JSON has none, and one identical frame must not make a mean infinite."""

FrameScores = dict[str, float]
"""Scores of one frame, by the names in ``Scores``."""

_MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik, 2003
_MS_SSIM_MIN_SIDE = 11 << 4  # the window of 11 must fit the coarsest of the five scales
_TIME_BASE = Fraction(1, 24)  # any will do: it is the same on both sides


@dataclass(frozen=True)
class Scores:
    """Scores of a video: each the arithmetic mean over its frames.

    Attributes:
        frames: number of frames compared.
        width, height: of the reference, in pixels.
        psnr_y: PSNR of luma in dB, at most ``MAX_DB``.
        psnr: (6 Y + U + V) / 8 of the planes' PSNR in dB, at most ``MAX_DB``.
        ssim: SSIM of luma, 0..1.
        ms_ssim: multi-scale SSIM of luma, 0..1; None where a side is under 176 pixels.
        xpsnr: XPSNR of luma in dB, at most ``MAX_DB``.
        vmaf, vmaf_neg: 0..100; None where no FFmpeg with libvmaf was found.
        per_frame: the same for each frame; of the perceptual ones LPIPS and DISTS, for frames that were looked at.
        perceptual: LPIPS of AlexNet and VGG16, DISTS, ``warping_error``, ``flicker`` (``cmvc.perceptual``): 0, 0, 0,
            1 and 0 for the same video; None where they were not asked for.
    """

    frames: int
    width: int
    height: int
    psnr_y: float
    psnr: float
    ssim: float
    ms_ssim: float | None
    xpsnr: float
    vmaf: float | None
    vmaf_neg: float | None
    per_frame: list[FrameScores]
    perceptual: dict[str, float] | None = None

    def as_json(self, *, per_frame: bool = False) -> str:
        """Return the scores as a JSON object, unknown ones as null."""
        fields = asdict(self)
        if not per_frame:
            del fields["per_frame"]
        return json.dumps(fields, allow_nan=False)


def evaluate(
    reference: str | Path | BinaryIO,
    distorted: str | Path | BinaryIO,
    *,
    vmaf: bool = True,
    perceptual: bool = False,
    start: float = 0.0,
    duration: float = 0.0,
    isolated: bool = False,
    progress: Callable[[int, int | None], object] = lambda *_: None,
    watch: Callable[[int, Picture, Picture], object] = lambda *_: None,
) -> Scores:
    """Compare a video with its reference, frame by frame.

    Args:
        reference: path or file of the original, in any container that FFmpeg opens.
        distorted: path or file of what became of it, with as many frames, of any size.
        vmaf: whether to measure VMAF, which takes longer than all the rest, where it can be had.
        watch: is shown each pair with its number, both at the reference's size.
        perceptual: whether to measure LPIPS, DISTS and steadiness, which needs the extra of that name and takes seconds
            for each second of video.
        start: seconds of the original before the part that ``distorted`` is of.
        duration: seconds of that part; 0 for all that follow.
        isolated: whether FFmpeg reads the original in a process of its own (docs/adr/0036), as it does a stranger's.
        progress: is told, frame by frame, how many are compared and how many there are, where that is known.

    Raises:
        MediaError: one of them cannot be read, or their frame counts differ (the message has both).
        MissingServiceError: the extra ``perceptual`` is not installed.
        MissingWeightsError: the weights of LPIPS and DISTS cannot be had.
    """
    with ExitStack() as stack:
        opened: Callable[..., Reader] = partial(open_isolated, control=Control()) if isolated else open_video
        before = opened(reference, start=start, duration=duration)
        stack.push(before)
        after = stack.enter_context(open_video(distorted, audio=None))
        width, height = before.info.width, before.info.height
        ffmpeg = find_ffmpeg() if vmaf else None
        meter = _Filters(width, height)
        vmaf_meter = stack.enter_context(VmafMeter(ffmpeg, width, height)) if ffmpeg else None
        eye = _perceptual_meter(before) if perceptual else None
        scores = []
        for original, copy in _pairs(before, after):
            scores.append(meter.score(original, copy))
            if min(width, height) >= _MS_SSIM_MIN_SIDE:
                scores[-1]["ms_ssim"] = ms_ssim(original.y, copy.y)
            if vmaf_meter:
                vmaf_meter.push(original, copy)
            watch(len(scores) - 1, original, copy)
            if eye:
                eye.push(original, copy)
            progress(len(scores), before.info.frames_estimate)
        if vmaf_meter:
            scores = [a | b for a, b in zip(scores, vmaf_meter.finish(), strict=True)]
    found = _pool(scores, width, height)
    if eye is None:
        return found
    for number, seen in eye.looked_at():
        found.per_frame[number].update(seen)
    return replace(found, perceptual=eye.scores())


def _perceptual_meter(video: Reader) -> "PerceptualMeter":
    try:
        from cmvc.perceptual.meter import PerceptualMeter  # noqa: PLC0415  # loads torch
    except ModuleNotFoundError as missing:
        raise MissingServiceError(
            f"perceptual measures need {missing.name}, which is not installed; in a checkout run: pip install -c "
            "constraints.txt '.[perceptual]'"
        ) from None
    return PerceptualMeter(video.info.frame_rate, video.info.color_matrix)


def ms_ssim(reference: Plane, distorted: Plane) -> float:
    """Return the multi-scale SSIM of two planes of one shape, both sides at least 176; 0..1."""
    a, b = reference.astype(np.float32), distorted.astype(np.float32)
    result = 1.0
    for scale, weight in enumerate(_MS_SSIM_WEIGHTS):
        luminance, structure = _ssim_terms(a, b)
        last = scale == len(_MS_SSIM_WEIGHTS) - 1
        term = float((luminance * structure).mean() if last else structure.mean())
        result *= max(term, 0.0) ** weight
        a, b = _halved(a), _halved(b)
    return result


def _ssim_terms(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return SSIM's luminance and contrast-structure maps: Gaussian window of 11, sigma 1.5, whole windows only."""

    def mean(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5), np.float32)[5:-5, 5:-5]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a * mean_a, mean(b * b) - mean_b * mean_b
    covariance = mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return np.asarray(luminance, np.float32), np.asarray(structure, np.float32)


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means of 2 x 2 samples; an odd last line or column is left out."""
    height, width = plane.shape
    even = plane[: height & ~1, : width & ~1]
    return np.asarray(cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.float32)


class _Filters:
    """FFmpeg's psnr, ssim and xpsnr filters in one graph, fed pair by pair."""

    def __init__(self, width: int, height: int) -> None:
        self._graph = graph = Graph()
        layout = VideoFormat("yuv420p", width, height)
        sources = [graph.add_buffer(width=width, height=height, format=layout, time_base=_TIME_BASE) for _ in range(2)]
        self._reference, self._distorted = sources
        split = graph.add("split", "3")
        self._reference.link_to(split)
        last = self._distorted
        for output, name in enumerate(("psnr", "ssim", "xpsnr")):
            metric = graph.add(name)
            last.link_to(metric, 0, 0)
            split.link_to(metric, output, 1)
            last = metric
        last.link_to(graph.add("buffersink"))
        graph.configure()
        self._count = 0

    def score(self, reference: Picture, distorted: Picture) -> FrameScores:
        """Return the scores of the next pair."""
        for source, picture in ((self._distorted, distorted), (self._reference, reference)):
            frame = to_frame(picture)
            frame.pts, frame.time_base = self._count, _TIME_BASE
            source.push(frame)
        self._count += 1
        scored = self._graph.pull()
        if not isinstance(scored, VideoFrame):
            raise TypeError(f"the metric filters returned {type(scored).__name__} instead of a frame")
        values = {key.removeprefix("lavfi."): float(value) for key, value in scored.metadata.items()}
        y, u, v = (min(values[f"psnr.psnr.{plane}"], MAX_DB) for plane in "yuv")
        xpsnr = min(values["xpsnr.xpsnr.y"], MAX_DB)
        return {"psnr_y": y, "psnr": (6 * y + u + v) / 8, "ssim": values["ssim.Y"], "xpsnr": xpsnr}


def _pictures(video: Reader) -> Iterator[Picture]:
    return (item for item in video.read() if isinstance(item, Picture))


def _pairs(reference: Reader, distorted: Reader) -> Iterator[tuple[Picture, Picture]]:
    """Yield the pictures pair by pair, the distorted ones at the reference's size."""
    counts = [0, 0]
    for original, copy in zip_longest(_pictures(reference), _pictures(distorted)):
        counts[0] += original is not None
        counts[1] += copy is not None
        if original is not None and copy is not None:
            yield original, resize(copy, original.width, original.height)
    if counts[0] != counts[1]:
        raise MediaError(
            f"the reference has {counts[0]} frames and the distorted video {counts[1]}; "
            "only videos of equal frame count can be compared"
        )


def _pool(scores: list[FrameScores], width: int, height: int) -> Scores:
    """Average over the frames."""
    means = {name: fmean(score[name] for score in scores) for name in scores[0]}
    return Scores(
        frames=len(scores),
        width=width,
        height=height,
        psnr_y=means["psnr_y"],
        psnr=means["psnr"],
        ssim=means["ssim"],
        ms_ssim=means.get("ms_ssim"),
        xpsnr=means["xpsnr"],
        vmaf=means.get("vmaf"),
        vmaf_neg=means.get("vmaf_neg"),
        per_frame=scores,
    )
