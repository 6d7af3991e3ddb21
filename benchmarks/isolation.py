"""``python -m benchmarks.isolation``: what reading a video in a process of its own costs.

The two take turns, on a 1080p clip as H.264 and as Y4M: once with nothing done to the pictures, and once with what an
encoder does first, shrinking them and looking for cuts. Medians of pictures per second, and their ratio.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

import av

from benchmarks.clips import joined, own_clip, shared_clips
from benchmarks.report import markdown, save
from cmvc.control import Control
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.isolated.reader import IsolatedReader, open_isolated
from cmvc.media.picture import Picture
from cmvc.media.reader import VideoReader, open_video
from cmvc.settings import encode_config
from cmvc_encoder.ingest.cutting import Clock, mark, plan_shape
from cmvc_encoder.job import read_job

WIDTH, HEIGHT, RATE = 1920, 1080, 24
Reader = VideoReader | IsolatedReader


def bare(reader: Reader) -> int:
    """Read a video and do nothing with it; return how many pictures it has."""
    return sum(isinstance(item, Picture) for item in reader.read())


def marked(reader: Reader) -> int:
    """Read a video as the encoder does; return how many pictures it has."""
    shape = plan_shape(reader.info, read_job(encode_config(bitrate="12k")), DEFAULT_LIMITS)
    clock = Clock()
    for _ in mark(reader.read(), shape, clock):
        pass
    return clock.pictures


def per_second(open_: Callable[[Path], Reader], path: Path, work: Callable[[Reader], int]) -> float:
    """Return how many pictures a second are read, opening included."""
    began = time.perf_counter()
    with closing(open_(path)) as reader:
        count = work(reader)
    return count / (time.perf_counter() - began)


def as_y4m(path: Path) -> Path:
    """Return a video as Y4M, written once: there is nothing to decode, so that what is moved about shows most."""
    raw = path.with_suffix(".y4m")
    if not raw.exists():
        with av.open(str(path)) as source, av.open(str(raw), "w", format="yuv4mpegpipe") as output:
            stream = output.add_stream("wrapped_avframe", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for frame in source.decode(video=0):
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
    return raw


def main() -> None:
    """Measure and write ``benchmarks/results/isolation.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6, help="of video")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    clips = shared_clips() or [own_clip()]
    video = joined(clips, "isolation", seconds=options.seconds, width=WIDTH, height=HEIGHT, rate=RATE)
    readers: dict[str, Callable[[Path], Reader]] = {
        "here": open_video,
        "isolated": lambda path: open_isolated(path, Control()),
    }
    per_second(readers["isolated"], video, bare)  # so that the process to fork from is there
    rows, found = [], {}
    for source in (video, as_y4m(video)):
        for work in (bare, marked):
            rates: dict[str, list[float]] = {name: [] for name in readers}
            for _ in range(options.rounds):
                for name, open_ in readers.items():
                    rates[name].append(per_second(open_, source, work))
            here, isolated = (median(rates[name]) for name in readers)
            what = f"{source.suffix[1:]}, {work.__name__}"
            rows.append([what, f"{here:.1f}", f"{isolated:.1f}", f"{isolated / here:.2f}"])
            found[what] = rates
    text = markdown(["1080p, pictures a second", "in this process", "in its own", "ratio"], rows)
    save("isolation", text, {"pictures_per_second": found})


if __name__ == "__main__":
    main()
