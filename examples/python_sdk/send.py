"""Sends a video over a thin line: encodes it at a gateway, keeps the stream, and shows what came of it.

    python -m examples.python_sdk.send my.mp4 my.cmvc --gateway gateway.example:50051

mypy and pyright check it as they would check yours.
"""

import argparse
import sys
from pathlib import Path

from cmvc import Client, CmvcError, encode_config
from cmvc.v1.common_pb2 import NOTE_CODE_FLOOR, Progress


def main() -> int:
    """Send what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("stream", type=Path)
    parser.add_argument("--gateway", help="HOST:PORT; without it the work is done here")
    parser.add_argument("--bitrate", default="12k")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        send(given.video, given.stream, given.gateway, bitrate=given.bitrate, seed=given.seed)
    except CmvcError as error:
        field = f" ({error.field})" if error.field else ""
        print(f"{error.reason}{field}: {error}", file=sys.stderr)
        return 1
    return 0


def send(video: Path, stream: Path, gateway: str | None, *, bitrate: str, seed: int) -> None:
    """Encode ``video`` to ``stream`` and print how it went.

    Raises:
        CmvcError: it cannot be done; ``reason`` says why, and ``field`` which setting is wrong.
    """
    config = encode_config(bitrate=bitrate, seed=seed)
    with Client(gateway, wait_for_ready=True) as client:
        if not client.health(deadline_s=30).encodes:
            print("nothing encodes there just now", file=sys.stderr)
        summary = client.encode(video, stream, config, progress=show, deadline_s=3600)
    for note, code in zip(summary.notes, summary.note_codes, strict=True):
        print("too small a rate" if code == NOTE_CODE_FLOOR else note)
    print(f"{summary.frames} frames, {summary.bits_per_second:.0f} bit/s")


def show(progress: Progress) -> None:
    """Print how far it is."""
    total = f" of {progress.frames_total}" if progress.frames_total else ""
    print(f"{progress.frames_done}{total} frames", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
