"""AV1 streams of clips, as the encoder's modes make them, each coded once and kept in a folder."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import PictureType

from cmvc.bitstream.obu import without_temporal_delimiters

LINES = 480  # of the largest pictures
MOST_FRAMES = 300
LEAST_SIDE = 64  # a scale that makes a side smaller is doubled
SCALES = (1, 0.7, 0.5, 0.35, 0.25)
PRESETS = (4, 4, 4, 6, 6, 2, 8, 5, 3, 7, 10)
CRFS = (35, 45, 50, 55, 58, 60, 62, 63, 65, 67, 69, 70, 53.25, 61.5, 66.75)
STEPS = (1, 1, 1, 1, 2, 3)
KEYFRAME_STEPS = (8, 16, 24, 40)
STILLS = 4
KEYFRAME_SEQUENCES = 3


@dataclass(frozen=True)
class Setting:
    """How one stream is made of a clip.

    Attributes:
        kind: "video", "keyframes" (a sequence with even quality) or "still".
        preset: of SVT-AV1.
        scale: of sides, where a clip of at most ``LINES`` lines has 1.
        crf: of SVT-AV1, up to 70.
        step: frames of the clip for one of the stream; of a still, the number of its frame.
    """

    kind: str
    preset: int
    scale: float
    crf: float
    step: int = 1

    @property
    def name(self) -> str:
        """File name."""
        return f"{self.kind}-p{self.preset}-{self.scale:g}-crf{self.crf:g}-{self.step}.obu"


def training_settings(seed: int) -> list[Setting]:
    """Return a clip's settings for training, drawn at random."""
    draw = random.Random(seed)
    found = [Setting("video", p, draw.choice(SCALES), draw.choice(CRFS), draw.choice(STEPS)) for p in PRESETS]
    for kind, count, steps in (("still", STILLS, range(48)), ("keyframes", KEYFRAME_SEQUENCES, KEYFRAME_STEPS)):
        for _ in range(count):
            scale, crf = draw.choice(SCALES[1:]), draw.choice(CRFS)
            found.append(Setting(kind, draw.choice(PRESETS), scale, crf, draw.choice(steps)))
    return found


def streams(clip: Path, settings: Sequence[Setting], folder: Path) -> Iterator[tuple[Setting, bytes]]:
    """Yield the streams of a clip; those that ``folder`` does not have yet are coded and kept there."""
    frames: list[av.VideoFrame] = []
    rate = Fraction(0)
    for setting in settings:
        path = folder / clip.stem / setting.name
        if not path.exists():
            if not frames:
                frames, rate = _frames(clip)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            unfinished.write_bytes(_encode(frames, rate, setting))
            unfinished.replace(path)
        yield setting, path.read_bytes()


def size_of(width: int, height: int, scale: float) -> tuple[int, int]:
    """Return the even sides of a clip's pictures at a scale."""
    scale *= min(1, LINES / min(width, height))
    sides = [round(side * scale / 2) * 2 for side in (width, height)]
    if min(sides) < LEAST_SIDE:
        sides = [round(side * scale) * 2 for side in (width, height)]
    return sides[0], sides[1]


def _frames(clip: Path) -> tuple[list[av.VideoFrame], Fraction]:
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        frames = [frame for _, frame in zip(range(MOST_FRAMES), container.decode(stream), strict=False)]
        return frames, Fraction(stream.average_rate or 25)


def _encode(frames: list[av.VideoFrame], rate: Fraction, setting: Setting) -> bytes:
    parameters = {"video": "", "keyframes": ":use-fixed-qindex-offsets=1", "still": ":avif=1"}[setting.kind]
    still = setting.kind == "still"
    used = [frames[setting.step % len(frames)]] if still else frames[:: setting.step]
    context = av.CodecContext.create("libsvtav1", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = size_of(frames[0].width, frames[0].height, setting.scale)
    context.pix_fmt = "yuv420p"
    context.framerate = rate if still else rate / setting.step
    context.time_base = 1 / context.framerate
    context.options = {
        "preset": str(setting.preset),
        "svtav1-params": f"crf={setting.crf}:lp=2:scd=0:keyint=-1{parameters}",
    }
    packets: list[bytes] = []
    for number, frame in enumerate(used):
        picture = frame.reformat(context.width, context.height, "yuv420p", interpolation="LANCZOS")
        picture.pts, picture.time_base = number, context.time_base
        picture.pict_type = PictureType.NONE  # else the clip's key frames would be ours
        packets += map(bytes, context.encode(picture))
    packets += map(bytes, context.encode(None))
    return without_temporal_delimiters(b"".join(packets))
