"""``python -m benchmarks.quality [--quality 30 ...] [--mode coded ...]``: does one quality look the same on every clip?

The first seconds of each dev clip are encoded at a quality in every mode that has pictures. What is shown is measured
against the source, at its size, by the measure that a quality is defined by (``cmvc_encoder.coding.quality``).
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.clips import shared_clips
from benchmarks.report import markdown, save
from cmvc.client import Client
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.media.scaling import resize_luma
from cmvc.settings import EFFORTS_BY_NAME, encode_config
from cmvc.v1.encoder_pb2 import EncodeConfig
from cmvc_encoder.coding.measure import DEFAULT_MEASURE, MEASURES
from cmvc_encoder.coding.quality import quality_db

MODES = ("coded", "vt2v", "it2v")
EVERY = 5  # frames


def measured(client: Client, clip: Path, config: EncodeConfig, folder: Path) -> float:
    """Return the quality in dB of what is shown of a clip."""
    stream, video = folder / "clip.cmvc", folder / "clip.y4m"
    client.encode(clip, stream, config)
    client.decode(stream, video)
    pairs = islice(zip(_pictures(video), _pictures(clip), strict=False), 0, None, EVERY)
    return MEASURES[DEFAULT_MEASURE]([(one.y, resize_luma(shown, one.width, one.height)) for shown, one in pairs])


def _pictures(video: Path) -> Iterator[Picture]:
    with open_video(video) as reader:
        yield from (item for item in reader.read() if isinstance(item, Picture))


def spread(found: Sequence[float]) -> list[float]:
    """Return mean, least, most and standard deviation."""
    return [round(value, 2) for value in (fmean(found), min(found), max(found), stdev(found))]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("--quality", type=int, action="append", help="repeatable; 15, 30 and 50 by default")
    parser.add_argument("--mode", choices=MODES, action="append", help="repeatable; all by default")
    parser.add_argument("--effort", choices=EFFORTS_BY_NAME, default="fast")
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    clips = shared_clips()
    if len(clips) < 2:
        parser.error("no clips; set CMVC_CLIPS")
    rows = []
    with Client() as client, tempfile.TemporaryDirectory(prefix="cmvc-quality-") as folder:
        for mode in options.mode or MODES:
            for quality in options.quality or [15, 30, 50]:
                values = {}
                config = encode_config(
                    mode=mode, quality=quality, effort=options.effort, audio="none", duration=options.seconds
                )
                for clip in clips:
                    values[clip.stem] = round(measured(client, clip, config, Path(folder)), 2)
                wanted = round(quality_db(quality), 2)
                rows.append({"mode": mode, "quality": quality, "wanted": wanted, "clips": values})
                print(rows[-1], file=sys.stderr, flush=True)
    cells = [[row["mode"], row["quality"], row["wanted"], *spread(list(row["clips"].values()))] for row in rows]
    head = (
        f"`python -m benchmarks.quality --effort {options.effort} --seconds {options.seconds:g}`: {len(clips)} clips, "
        "dB of the measure.\n\n"
    )
    columns = ("mode", "quality", "wanted", "mean", "least", "most", "deviation")
    save("quality", head + markdown(columns, cells), {"rows": rows})


if __name__ == "__main__":
    main()
