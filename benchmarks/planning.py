"""``python -m benchmarks.planning [--bitrate 12k ...]``: what sharing bytes out by quality brings over equal shares.

Calm and busy dev clips are joined, one after the other and over again, scaled to one size, and encoded twice: once with
every window given the same bytes a second, once as the planner shares them out. The scores are means over all frames.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

from benchmarks.clips import joined, shared_clips
from benchmarks.report import markdown, save
from cmvc.client import Client
from cmvc.evaluate import Scores, evaluate
from cmvc.settings import EFFORTS_BY_NAME, encode_config, parse_bitrate
from cmvc_encoder.stream.writing import StreamOutput

PAIRS = (
    ("talk_d0_512", "davis_parkour"),
    ("nasa_lowlight_320x180", "vid4_walk"),
    ("foreman_cif_intra", "davis_parkour"),
    ("davis_blackswan", "nasa_lowlight_320x180", "sam2_juggle_720p"),
)
WIDTH, HEIGHT, RATE, SECONDS = 426, 240, 24, 14
SCORES = ("vmaf", "vmaf_neg", "psnr_y", "ms_ssim")


def run(client: Client, clip: Path, target: int, effort: str, folder: Path, *, equal: bool) -> tuple[int, Scores]:
    """Return the bytes of a clip's stream and what it scores."""
    stream, video = folder / "clip.cmvc", folder / "clip.y4m"
    with patch.object(StreamOutput, "outlook", 0) if equal else nullcontext():
        summary = client.encode(clip, stream, encode_config(mode="auto", bitrate=target, effort=effort, audio="none"))
    client.decode(stream, video)
    return summary.stream_bytes, evaluate(clip, video)


def compare(clips: Sequence[Path], targets: Sequence[int], effort: str) -> list[dict[str, object]]:
    """Return a row for each clip and bit rate."""
    rows = []
    with Client() as client, tempfile.TemporaryDirectory(prefix="cmvc-planning-") as folder:
        for clip in clips:
            for target in targets:
                found = [run(client, clip, target, effort, Path(folder), equal=equal) for equal in (True, False)]
                allowed = target * SECONDS / 8
                row: dict[str, object] = {"clip": clip.stem.removesuffix(f"-{WIDTH}x{HEIGHT}-{RATE}-{SECONDS}s")}
                row["bit/s"] = target
                row["off_percent"] = _both([100 * (size / allowed - 1) for size, _ in found])
                for name in SCORES:
                    row[name] = _both([getattr(scores, name) for _, scores in found], 4 if name == "ms_ssim" else 2)
                row["psnr_y of mean error"] = _both([_pooled(scores) for _, scores in found])
                rows.append(row)
                print(row, file=sys.stderr, flush=True)
    return rows


def _pooled(scores: Scores) -> float:
    """Return the PSNR in dB of luma's mean squared error over all frames."""
    return -10 * math.log10(fmean(10 ** (-frame["psnr_y"] / 10) for frame in scores.per_frame))


def _both(values: Sequence[float], digits: int = 2) -> str:
    return " → ".join(f"{value:.{digits}f}" for value in values)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planning")
    parser.add_argument("--bitrate", type=parse_bitrate, action="append", help="repeatable; 12k and 24k by default")
    parser.add_argument("--effort", choices=EFFORTS_BY_NAME, default="default")
    options = parser.parse_args()
    by_name = {clip.stem: clip for clip in shared_clips()}
    if not by_name:
        parser.error("no clips; set CMVC_CLIPS")
    size: dict[str, Any] = {"seconds": SECONDS, "width": WIDTH, "height": HEIGHT, "rate": RATE}
    clips = [joined([by_name[name] for name in names], "+".join(names), **size) for names in PAIRS]
    rows = compare(clips, options.bitrate or [12_000, 24_000], options.effort)
    head = (
        f"`python -m benchmarks.planning --effort {options.effort}`: {SECONDS} s of {WIDTH}x{HEIGHT} at {RATE} "
        "frames/s, equal shares → shared out.\n\n"
    )
    save("planning", head + markdown(list(rows[0]), [list(row.values()) for row in rows]), {"rows": rows})


if __name__ == "__main__":
    main()
