"""How often SVT-AV1 hangs, or writes other bytes, on a busy machine: ``python -m benchmarks.svt_threads``.

The same small pictures are coded again and again, by more processes than there are cores, so that each waits for the
others; with one thread of work and with two.
"""

import argparse
import json
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from fractions import Fraction
from multiprocessing import get_context

import numpy as np
from rich.console import Console
from rich.progress import Progress

from cmvc.ahead import within
from cmvc.errors import CorruptStreamError
from cmvc.media import av1
from cmvc.media.picture import Picture

WIDTH, HEIGHT, PICTURES = 64, 48, 48
CRF, PRESET = 60.0, 10  # as trials of the search have
PATIENCE_S = 20.0  # some hundred times what an encode takes
BATCH = 50  # encodes in one process: what hung stays in it


def _pictures() -> list[Picture]:
    """Return a pan over a coarse pattern with a bright box that moves its own way."""
    view = np.kron(np.random.default_rng(1).integers(30, 220, (8, 60)), np.ones((8, 4))).astype(np.uint8)
    pictures = []
    for n in range(PICTURES):
        y = view[:HEIGHT, 2 * n : 2 * n + WIDTH].copy()
        y[12:24, 3 * n % 48 : 3 * n % 48 + 12] = 235
        half = (HEIGHT // 2, WIDTH // 2)
        pictures.append(Picture(y, np.full(half, 100, np.uint8), np.full(half, 140, np.uint8)))
    return pictures


def _outcomes(threads: int) -> Counter[str]:
    """Code the pictures some times; return how often each came: the size in bytes, ``hung`` or ``damaged``."""
    av1.THREADS = threads
    settings, pictures = av1.settings(CRF), _pictures()
    found: Counter[str] = Counter()
    for _ in range(BATCH):
        try:
            obus = within(PATIENCE_S, lambda: av1.encode_once(pictures, Fraction(24), settings, PRESET))
            whole = sum(1 for _ in av1.decode(obus)) == PICTURES
            found[f"{len(obus)} bytes" if whole else "damaged"] += 1
        except TimeoutError:
            found["hung"] += 1
        except CorruptStreamError:
            found["damaged"] += 1
    return found


def main() -> None:
    """Print one JSON object: by threads of work, how often each outcome came."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encodes", type=int, default=4000, help="for each number of threads")
    parser.add_argument("--processes", type=int, default=4 * (os.cpu_count() or 1))
    asked = parser.parse_args()
    found: dict[int, Counter[str]] = {1: Counter(), 2: Counter()}
    batches = -(-asked.encodes // BATCH)
    # A process that an encode hung in does not end by itself: each batch has a new one, and all are killed in the end.
    pool = ProcessPoolExecutor(asked.processes, get_context("spawn"), max_tasks_per_child=1)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("coding", total=2 * batches)
        works = {pool.submit(_outcomes, threads): threads for _ in range(batches) for threads in found}
        for work in as_completed(works):
            found[works[work]] += work.result()
            progress.advance(bar)
    print(json.dumps({f"{threads} threads": counts for threads, counts in found.items()}))
    os._exit(0)


if __name__ == "__main__":
    main()
