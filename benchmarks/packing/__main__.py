"""``python -m benchmarks.packing [--folder FOLDER]``: what headers of AV1 take, packed and not, on dev clips.

Each clip is coded by SVT-AV1 at two scales and three CRFs with presets 4 and 6, as a still, and as keyframes in one
sequence. FOLDER keeps the streams. Times are CPU time of one core, for 240 coded frames.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.clips import CACHE, shared_clips
from benchmarks.packing.streams import Setting, streams
from benchmarks.report import markdown, save
from cmvc.bitstream.av1pack.payload import is_packed, pack, packed_size, unpack
from cmvc.bitstream.av1pack.reading import Reading, obus
from cmvc.bitstream.av1pack.stream import ObuType, Stream
from cmvc.process import prepare

VIDEO = [(scale, crf) for scale in (0.6, 0.3) for crf in (55, 63, 68)]
STILLS = [(0.4, 40), (0.4, 55)]
KEYFRAME_STEP = 16
FRAMES_TIMED = 240
COMMAND = "python -m benchmarks.packing"
SETS = {
    "video, preset 4": [Setting("video", 4, *each) for each in VIDEO],
    "video, preset 6": [Setting("video", 6, *each) for each in VIDEO],
    "keyframes in a sequence": [Setting("keyframes", 4, *each, KEYFRAME_STEP) for each in STILLS],
    "stills": [Setting("still", 4, *each) for each in STILLS],
}


@dataclass(frozen=True)
class Sizes:
    """Bytes of one stream: its tile data, its headers plain and packed, and its coded frames."""

    tiles: int
    plain: int
    packed: int
    frames: int


@dataclass(frozen=True)
class Times:
    """CPU seconds for ``FRAMES_TIMED`` coded frames, and for the estimate of one stream."""

    pack: float
    unpack: float
    estimate: float


def sizes(data: bytes) -> Sizes:
    """Return what a stream takes."""
    stream, reading = Stream(), Reading(data)
    found = list(obus(data))
    spans = [reading.payload(stream, obu) for obu in found]
    tiles = sum(end - start for start, end in spans)
    packed = pack(data)
    assert is_packed(packed), "a stream of SVT-AV1 is not packed"
    frames = sum(obu.kind == ObuType.FRAME for obu in found)
    return Sizes(tiles, len(data) - tiles, len(packed) - tiles, frames)


def times(data: bytes, frames: int) -> Times:
    """Return how long a stream of ``frames`` coded frames takes, verified when it is packed."""
    marks = [time.process_time()]
    packed = pack(data)
    marks.append(time.process_time())
    unpack(packed)
    marks.append(time.process_time())
    packed_size(data)
    marks.append(time.process_time())
    packing, unpacking, estimating = (end - start for start, end in pairwise(marks))
    return Times(packing * FRAMES_TIMED / frames, unpacking * FRAMES_TIMED / frames, estimating)


def main() -> None:
    """Measure and write the report."""
    prepare()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=CACHE / "packing-dev", help="keeps the streams")
    folder = parser.parse_args().folder
    found: dict[str, dict[str, list[Sizes]]] = {name: {} for name in SETS}
    spent: list[Times] = []
    for clip in shared_clips():
        for name, settings in SETS.items():
            for setting, data in streams(clip, settings, folder):
                each = sizes(data)
                found[name].setdefault(clip.stem, []).append(each)
                if setting.kind == "video":
                    spent.append(times(data, each.frames))
        print(f"{clip.stem} done", flush=True)
    save("packing", report(found, spent), {"command": COMMAND, "sizes": plain(found), "times": times_of(spent)})


def per_frame(each: Sizes, part: str) -> float:
    """Return bytes of headers per coded frame."""
    return float(getattr(each, part)) / each.frames


def report(found: dict[str, dict[str, list[Sizes]]], spent: Sequence[Times]) -> str:
    """Return the report's text."""
    columns = ["streams", "number", "plain", "packed", "worst clip", "worst stream", "payload saved"]
    clips = [[clip, *(f"{mean(found[name][clip], 'packed'):.2f}" for name in SETS)] for clip in found["stills"]]
    rows = [[name, *(f"{seconds:.3f} s" for seconds in pair)] for name, pair in times_of(spent).items()]
    return "\n\n".join([
        f"`{COMMAND}`: bytes of AV1 headers per coded frame, lengths, sequence header and the run's end included.",
        markdown(columns, [summary(name, streams) for name, streams in found.items()]),
        "Packed, by clip:",
        markdown(["clip", *SETS], clips),
        f"CPU time on one core for {FRAMES_TIMED} coded frames (10 s at 24 frames/s), median and largest of "
        f"{len(spent)} streams:",
        markdown(["", "median", "largest"], rows),
    ])  # fmt: skip


def mean(streams: Sequence[Sizes], part: str) -> float:
    """Return the mean of a clip's streams: bytes of headers per coded frame."""
    return statistics.mean(per_frame(each, part) for each in streams)


def summary(name: str, clips: dict[str, list[Sizes]]) -> list[object]:
    """Return a row of the first table."""
    every = [each for streams in clips.values() for each in streams]
    worst = max(clips, key=lambda clip: mean(clips[clip], "packed"))
    saved = statistics.mean(1 - (each.tiles + each.packed) / (each.tiles + each.plain) for each in every)
    return [
        name,
        len(every),
        f"{mean(every, 'plain'):.1f}",
        f"{mean(every, 'packed'):.2f}",
        f"{mean(clips[worst], 'packed'):.2f} ({worst})",
        f"{max(per_frame(each, 'packed') for each in every):.2f}",
        f"{100 * saved:.0f} %",
    ]


def times_of(spent: Sequence[Times]) -> dict[str, tuple[float, float]]:
    """Return the median and the largest of each time, in seconds."""
    names = {"pack": "packing, verified", "unpack": "unpacking", "estimate": "estimating the packed size of one stream"}
    found = {}
    for part, name in names.items():
        values = [float(getattr(each, part)) for each in spent]
        found[name] = statistics.median(values), max(values)
    return found


def plain(found: dict[str, dict[str, list[Sizes]]]) -> dict[str, dict[str, list[list[int]]]]:
    """Return the sizes as lists: tile data, headers plain and packed, coded frames."""
    return {
        name: {clip: [[s.tiles, s.plain, s.packed, s.frames] for s in streams] for clip, streams in clips.items()}
        for name, clips in found.items()
    }


if __name__ == "__main__":
    main()
