"""A program of its own: ``python -m cmvc_web.measure MEASURE ORIGINAL START DURATION < decoded.y4m``.

It needs what the web service itself does without: media libraries, and for LPIPS torch. It prints a JSON object: the
score of every frame that was looked at by its number, or the error.
"""

import json
import sys

from cmvc.errors import CmvcError
from cmvc.evaluate import evaluate

VMAF, LPIPS = "vmaf", "lpips"
_NAMES = {VMAF: "vmaf", LPIPS: "lpips_alex"}


def main(measure: str, original: str, start: str, duration: str) -> None:
    """Measure what comes on standard input against a part of ``original`` (seconds; 0 for all)."""
    try:
        scores = evaluate(
            original,
            sys.stdin.buffer,
            vmaf=measure == VMAF,
            perceptual=measure == LPIPS,
            start=float(start),
            duration=float(duration),
            isolated=True,
        )
    except CmvcError as error:
        found: dict[str, object] = {"error": str(error), "reason": error.reason}
    else:
        name = _NAMES[measure]
        found = {"frames": {n: each[name] for n, each in enumerate(scores.per_frame) if name in each}}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
