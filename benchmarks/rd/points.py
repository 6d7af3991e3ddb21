"""One coding of one clip, and the scores by which it is judged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.rd.hull import Hull, Shape

METRICS = {
    "vmaf": "VMAF",
    "vmaf_neg": "VMAF-NEG",
    "ms_ssim": "MS-SSIM",
    "psnr_y": "PSNR-Y",
    "psnr_u": "PSNR-U",
    "psnr_v": "PSNR-V",
    "ssim": "SSIM",
    "xpsnr": "XPSNR",
}
"""Scores by name, with what tables call them. Each is the mean over the frames, on the source's size."""
PERCEPTUAL = {"lpips_alex": "1 - LPIPS (AlexNet)", "lpips_vgg": "1 - LPIPS (VGG16)", "dists": "1 - DISTS"}
"""Likewise, over a picture every half second, where they are asked for: ``benchmarks.rd.perceptual``."""
TITLES = METRICS | PERCEPTUAL


@dataclass(frozen=True)
class Point:
    """One coding of one clip.

    Attributes:
        clip: its name.
        codec: as tables call it; CMVC's begin with ``cmvc``.
        setting: what it was asked for.
        size_bytes: that count (see ``elementary``); of CMVC, the whole file.
        bits_per_second: of those bytes.
        modes: of CMVC's segments.
        scores: by the names in ``METRICS``; empty for a coding that was not measured.
        stream: the coded file's name in the cache.
        commands: that made, decoded and measured it.
    """

    clip: str
    codec: str
    setting: str
    size_bytes: int
    bits_per_second: float
    modes: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    stream: str = ""
    commands: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Point":
        """Return the point that ``dataclasses.asdict`` was given, after its way through JSON."""
        return cls(**{**record, "modes": tuple(record["modes"]), "commands": tuple(record["commands"])})


def hull_of(points: Iterable[Point], metric: str, shape: Shape = Shape.HULL) -> Hull:
    """Return the hull of the measured points by one metric."""
    return Hull.of(((point.bits_per_second, point.scores[metric]) for point in points if point.scores), shape)
