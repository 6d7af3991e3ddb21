"""``python -m fuzz.unled TARGET SECONDS RUNS``: gives a target mutants of its corpus, several times as many.

What a target runs is not watched, so that it runs as fast as it does; the corpus leads. A mutant is mutated up to eight
times over. What fails goes to ``build/fuzz/TARGET``, as when led.
"""

import hashlib
import logging
import random
import resource
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from fuzz.mutation import blind, mutated
from fuzz.reached import CORPUS
from fuzz.targets import run

FOUND = Path("build/fuzz")
MOST_BYTES = 16384
HANG_SECONDS = 1  # of processor time, so that a busy machine is no hang
MOST_KIB = 2 << 20
TOLD_EVERY = 10_000


class HangError(Exception):
    """A target takes too long."""


def _hang(_number: int, _frame: FrameType | None) -> None:
    raise HangError


def inputs_of(name: str) -> list[bytes]:
    """Return the corpus, and what was found when led."""
    folders = [folder for folder in (CORPUS / name, FOUND / name) if folder.is_dir()]
    files = [path for folder in folders for path in sorted(folder.iterdir()) if not path.name.startswith("failed-")]
    return [path.read_bytes() for path in files]


def one(name: str, inputs: list[bytes], rng: random.Random) -> None:
    """Run a mutant, and keep it where it fails."""
    data = rng.choice(inputs)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        data = mutated(name, data, lambda part: blind(part, rng), rng)[:MOST_BYTES]
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
    try:
        run(name, data)
    except Exception:
        logging.exception("%s failed", name)
        (FOUND / name / f"failed-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MOST_KIB:
        (FOUND / name / f"failed-memory-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
        raise SystemExit("error: more than 2 GiB of memory")


def main(name: str, seconds: str, runs: str) -> None:
    """See the module; 0 seconds and -1 runs are without end."""
    logging.basicConfig(level=logging.ERROR)
    signal.signal(signal.SIGPROF, _hang)
    (FOUND / name).mkdir(parents=True, exist_ok=True)
    inputs, rng = inputs_of(name), random.Random(time.time_ns())
    end, count = time.monotonic() + (float(seconds) or float("inf")), 0
    while time.monotonic() < end and count != int(runs):
        one(name, inputs, rng)
        count += 1
        if count % TOLD_EVERY == 0:
            print(f"#{count}", file=sys.stderr, flush=True)
    print(f"Done {count} runs", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
