"""Clips to measure on."""

import os
from fractions import Fraction
from pathlib import Path

import av

from cmvc.media.frames import to_frame
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.media.scaling import resize
from examples.demo.clip import render

CACHE = Path("build/benchmarks")


def shared_clips() -> list[Path]:
    """Return the clips of ``CMVC_CLIPS``/dev, by name; none where the folder is absent."""
    return sorted((Path(os.environ.get("CMVC_CLIPS", "../shared/clips")) / "dev").glob("*.mp4"))


def train_clips() -> list[Path]:
    """Return the clips of ``CMVC_CLIPS``/train, by name; none where the folder is absent."""
    return sorted((Path(os.environ.get("CMVC_CLIPS", "../shared/clips")) / "train").glob("*.mp4"))


def own_clip() -> Path:
    """Return the clip that the demo renders, rendered once."""
    return render(CACHE / "own.mp4", lambda _done, _total: None)


def joined(clips: list[Path], name: str, *, seconds: float, width: int, height: int, rate: int) -> Path:
    """Return a video of so many seconds, made of the clips one after the other, over and over.

    Every clip is scaled to the size and shown at ``rate`` frames per second, whatever its own rate.
    """
    path = CACHE / f"{name}-{width}x{height}-{rate}-{seconds:g}s.mp4"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    total = round(seconds * rate)
    unfinished = path.with_suffix(".part.mp4")
    with av.open(str(unfinished), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "14", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        number = 0
        while number < total:
            for clip in clips:
                for picture in _pictures(clip, total - number):
                    frame = to_frame(resize(picture, width, height))
                    frame.pts, frame.time_base = number, Fraction(1, rate)
                    container.mux(stream.encode(frame))
                    number += 1
        container.mux(stream.encode())
    return unfinished.replace(path)


def _pictures(clip: Path, most: int) -> list[Picture]:
    """Return the clip's pictures, ``most`` of them at most."""
    pictures: list[Picture] = []
    with open_video(clip) as reader:
        for item in reader.read():
            if len(pictures) == most:
                break
            if isinstance(item, Picture):
                pictures.append(item)
    return pictures
