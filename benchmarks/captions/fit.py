"""``python -m benchmarks.captions.fit``: fits the weights of the caption coder and writes them into its primer.

Each caption of the primer is coded with a primer that lacks it. Every guess made is a sample: what each kind of context
had counted, and whether the guess was right. The weights are a logistic regression over the cells of those counts. New
weights would be a new format: they are fitted again only for a new coder id.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import cmvc.bitstream
from cmvc.bitstream.caption_coder import CaptionModel
from cmvc.bitstream.caption_primer import END, HIT_ROWS, KINDS, MISS_COLUMNS, RANKS, Primer, Weights, captions, read
from cmvc.range_coder import BitCoder, BitEncoder

WEIGHTS = Path(cmvc.bitstream.__file__).parent / "primer" / "weights.txt"
EPOCHS, BATCH, RATE, DECAY = 8, 512, 0.05, 2e-5
UNITS = 256  # in a natural logarithm of odds
MOST = 2047  # of a weight, either way
CELLS = HIT_ROWS * MISS_COLUMNS
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Recorder(CaptionModel):
    """Takes note of each guess instead of coding it."""

    def __init__(self, known: Primer, samples: list[list[int]]) -> None:
        """Add to ``samples``: whether right, its rank, the cell of each kind of context."""
        super().__init__(known, weights_of(np.zeros(RANKS), np.zeros(KINDS * CELLS)))
        self._samples = samples

    def hit(self, coder: BitCoder, number: int, hits: list[int], totals: list[int], hit: bool) -> int:  # noqa: ARG002
        """Take note of one guess; see ``CaptionModel``."""
        cells = []
        for kind, yes in enumerate(hits):
            totals[kind] -= yes
            row, column = min(yes.bit_length(), HIT_ROWS - 1), min(totals[kind].bit_length(), MISS_COLUMNS - 1)
            cells.append(kind * CELLS + row * MISS_COLUMNS + column)
        self._samples.append([int(hit), min(number, RANKS - 1), *cells])
        return hit


def weights_of(rank: Floats, cells: Floats) -> Weights:
    """Return float weights as the coder takes them."""
    return Weights(written(rank, cells))


def written(rank: Floats, cells: Floats) -> str:
    """Return weights as the file holds them: a line of ranks, then each kind's rows of hits."""
    rows: list[Ints] = [
        np.rint(np.clip(row * UNITS, -MOST, MOST)).astype(int) for row in (rank, *cells.reshape(-1, MISS_COLUMNS))
    ]
    return "".join(" ".join(map(str, row)) + "\n" for row in rows)


def samples(texts: Sequence[bytes], words: Sequence[bytes]) -> Ints:
    """Return one row for each guess at each of ``texts``, coded with a primer of all the others."""
    found: list[list[int]] = []
    for number, text in enumerate(texts):
        model = Recorder(Primer([*texts[:number], *texts[number + 1 :]], words), found)
        coder = BitEncoder()
        for byte in [*text, END]:
            model.code(coder, byte)
    return np.array(found)


def regression(rows: Ints) -> tuple[Floats, Floats]:
    """Return the weights of ranks and cells: logistic regression by Adam (Kingma and Ba 2014) with a falling rate."""
    right, rank, cells = rows[:, 0], rows[:, 1], rows[:, 2:] + RANKS
    features = np.concatenate([rank[:, None], cells], axis=1)
    weights = np.zeros(RANKS + KINDS * CELLS)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    random = np.random.default_rng(0)
    step, steps = 0, EPOCHS * -(-len(rows) // BATCH)
    for _ in range(EPOCHS):
        order = random.permutation(len(rows))
        for start in range(0, len(rows), BATCH):
            batch = order[start : start + BATCH]
            logits = weights[features[batch]].sum(1)
            error = 1 / (1 + np.exp(-logits)) - right[batch]
            slope = np.repeat(error[:, None], features.shape[1], axis=1) / len(batch)
            gradient = np.bincount(features[batch].ravel(), slope.ravel(), len(weights)) + 2 * DECAY * weights
            step += 1
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            scaled = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            weights -= RATE * (1 - step / steps) * scaled
    return weights[:RANKS], weights[RANKS:]


def main() -> None:
    """Write the weights."""
    rows = samples(captions(), read("vocabulary.txt").split())
    rank, cells = regression(rows)
    WEIGHTS.write_text(written(rank, cells))
    print(f"{len(rows)} guesses; written: {WEIGHTS}")


if __name__ == "__main__":
    main()
