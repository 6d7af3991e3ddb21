"""``python -m benchmarks.restoring_speed [--cores 2] [--rounds 3]``: how fast VT2V decodes, by the size that is coded.

The demo's clip (854x480, 24 frames/s) is coded at each scale by the project's AV1 settings and put into a stream four
times over. ``cmvc decode`` then writes Y4M, restored and only scaled, in turns; the medians of the rounds are times
real time, start of the program included. Run it on an idle machine.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median

from benchmarks.clips import own_clip
from benchmarks.report import markdown, save
from cmvc.bitstream.segments import new_segment
from cmvc.bitstream.stream import StreamReader, StreamWriter
from cmvc.client import Client
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.media.shrink import Shrinker
from cmvc.restoration.settings import FIDELITY, SETTING
from cmvc.settings import encode_config
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_encoder.coding.payload import payload
from cmvc_encoder.profile_table import RESTORED_PROFILE, profile_table

SCALES = ((0.25, 60), (0.5, 60), (1.0, 63))
"""Of the sides, with the CRF that such a size is coded at."""
PRESET, REPEATS = 6, 4
PLAIN = ("--profile", "embedded")


def pictures(clip: Path) -> tuple[list[Picture], Fraction]:
    """Return a clip's pictures and its frame rate."""
    with open_video(clip) as reader:
        return [item for item in reader.read() if isinstance(item, Picture)], reader.info.frame_rate


def vt2v(clip: Path, scale: float, crf: float, folder: Path) -> tuple[Path, float]:
    """Return a VT2V stream of the clip at a scale, and how many seconds it lasts."""
    found, rate = pictures(clip)
    found = found[: round(10 * rate)]  # the longest segment
    coded = folder / "coded.cmvc"
    with Client() as client:
        client.encode(clip, coded, encode_config(mode="coded", bitrate="20k", effort="fast", audio="none", duration=1))
    header = StreamReader(io.BytesIO(coded.read_bytes())).header
    shrinker = Shrinker(*(round(side * scale / 2) * 2 for side in (found[0].width, found[0].height)))
    obus = av1.encode([shrinker.shrink(each) for each in found], frame_rate=rate, crf=crf, preset=PRESET)
    segment = new_segment(len(found), closes_shot=True)
    segment.guide, segment.profile = payload(obus), RESTORED_PROFILE
    writer = StreamWriter(header, profile_table(pb.Profile(settings={SETTING: FIDELITY})))
    stream = folder / f"{scale:g}.cmvc"
    stream.write_bytes(b"".join([writer.open(), *(writer.write(segment) for _ in range(REPEATS)), writer.close()]))
    return stream, float(REPEATS * len(found) / rate)


def decode_seconds(stream: Path, options: tuple[str, ...], cores: int) -> float:
    """Return how long ``cmvc decode`` takes, on so many cores."""
    video = stream.with_suffix(".y4m")
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "cmvc.cli", "decode", "-q", "-y", str(stream), str(video), *options],
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]),
    )
    taken = time.monotonic() - began
    video.unlink()
    return taken


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restoring_speed")
    parser.add_argument("--cores", type=int, default=2, help="of the decoder [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="[%(default)s]")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="cmvc-restoring-") as name:
        for scale, crf in SCALES:
            stream, seconds = vt2v(own_clip(), scale, crf, Path(name))
            taken: dict[tuple[str, ...], list[float]] = {(): [], PLAIN: []}
            for _ in range(options.rounds):
                for how, found in taken.items():
                    found.append(decode_seconds(stream, how, options.cores))
            restored, plain = (round(seconds / median(found), 2) for found in taken.values())
            rows.append({"scale": scale, "crf": crf, "restored": restored, "scaled": plain})
            print(rows[-1], file=sys.stderr, flush=True)
    head = (
        f"`python -m benchmarks.restoring_speed --cores {options.cores}`: times real time, 854x480 at 24 frames/s.\n\n"
    )
    cells = [[f"{row['scale']:g}", row["crf"], f"{row['restored']}x", f"{row['scaled']}x"] for row in rows]
    text = markdown(["coded sides over shown", "CRF", "restored", "only scaled"], cells)
    save("restoring_speed", head + text, {"cores": options.cores, "rows": rows})


if __name__ == "__main__":
    main()
