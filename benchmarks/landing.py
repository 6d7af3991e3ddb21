"""``python -m benchmarks.landing FOLDER [--bitrate 12k ...] [--mode auto]``: does every clip come back as it was?

Encodes and decodes each clip of a folder here, without servers, and checks size, frames, duration, pixel aspect,
rotation, and that the bit rate ends 0 to 5 % under the target. Exits 1 if anything but a stated exception is off.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from benchmarks.report import markdown, save
from cmvc.client import Client
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.settings import MODE_CHOICES, encode_config, parse_bitrate

_SHORT_SECONDS = 3.0  # clips under this length may miss the target


@dataclass(frozen=True)
class Shape:
    """What must survive."""

    width: int
    height: int
    frames: int
    frame_rate: Fraction
    pixel_aspect: Fraction


def shape_of(video: Path) -> Shape:
    """Return the shape of a video, its frames counted."""
    with open_video(video) as reader:
        info = reader.info
        frames = sum(isinstance(item, Picture) for item in reader.read())
    return Shape(info.width, info.height, frames, info.frame_rate, info.pixel_aspect)


def land(client: Client, clip: Path, mode: str, target: int, folder: Path) -> dict[str, object]:
    """Round-trip one clip and return its row; ``problems`` is empty where all is well."""
    stream, video = folder / "clip.cmvc", folder / "clip.mp4"
    summary = client.encode(clip, stream, encode_config(mode=mode, bitrate=target))
    client.decode(stream, video)
    before, after = shape_of(clip), shape_of(video)
    seconds = float(before.frames / before.frame_rate)
    reached = stream.stat().st_size * 8 / seconds
    problems = [
        f"{name} {getattr(before, name)} became {getattr(after, name)}"
        for name in Shape.__dataclass_fields__
        if getattr(before, name) != getattr(after, name)
    ]
    off = 100 * (reached / target - 1)
    if not summary.notes and seconds >= _SHORT_SECONDS and not -5 <= off <= 0:
        problems.append("off target")
    modes = sorted({segment["mode"] for segment in client.inspect(stream)["segments"]})
    return {
        "clip": clip.stem,
        "target": target,
        "seconds": round(seconds, 2),
        "reached": round(reached),
        "off_percent": round(off, 2),
        "modes": " ".join(modes),
        "notes": list(summary.notes),
        "problems": problems,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.landing")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bitrate", type=parse_bitrate, action="append", help="repeatable; 12k and 40k by default")
    parser.add_argument("--mode", choices=MODE_CHOICES, default="auto")
    options = parser.parse_args()
    clips = sorted(options.folder.glob("*.mp4"))
    if not clips:
        parser.error(f"{options.folder} has no .mp4 files")
    rows = []
    with Client() as client, tempfile.TemporaryDirectory(prefix="cmvc-landing-") as folder:
        for clip in clips:
            for target in options.bitrate or [12_000, 40_000]:
                rows.append(land(client, clip, options.mode, target, Path(folder)))
                print(rows[-1], file=sys.stderr, flush=True)
    columns = ("clip", "target", "seconds", "reached", "off_percent", "modes", "notes", "problems")
    cells = [[", ".join(row[c]) if isinstance(row[c], list) else row[c] for c in columns] for row in rows]  # type: ignore[arg-type]
    save("landing", markdown(columns, cells), {"rows": rows})
    sys.exit(any(row["problems"] for row in rows))


if __name__ == "__main__":
    main()
