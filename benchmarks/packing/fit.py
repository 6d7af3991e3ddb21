"""``python -m benchmarks.packing.fit [FOLDER]``: makes the primer of packed AV1 from the clips of ``CMVC_CLIPS``/train.

FOLDER keeps the coded streams. Each context's start is the beta prior under which its bits, stream by stream, are
likeliest. The weights are what coding teaches them: over one half of the clips, with contexts that only the other half
was counted for, so that they learn how far contexts are to be believed on clips not seen before. A new primer would
be a new format: it needs a new version of packed AV1 (docs/bitstream.md, "Packed AV1").
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from math import log
from pathlib import Path

import numpy as np

import cmvc.bitstream.av1pack
from benchmarks.clips import CACHE, train_clips
from benchmarks.packing.streams import streams, training_settings
from cmvc.bitstream.av1pack.coding import Packing
from cmvc.bitstream.av1pack.cost import CostCoder
from cmvc.bitstream.av1pack.model import Model
from cmvc.bitstream.av1pack.odds import SLOWEST, Odds
from cmvc.bitstream.av1pack.primed import LEVELS, Key, Primed
from cmvc.bitstream.av1pack.primer import LOGITS, WEIGHT_ONE, odds_of
from cmvc.bitstream.av1pack.reading import obus
from cmvc.bitstream.av1pack.stream import Stream
from cmvc.process import prepare
from cmvc.range_coder import OddsCoder

PRIMER = Path(cmvc.bitstream.av1pack.__file__).parent / "primer.txt"
SEEN = (0, 1, 2, 3, 5, 8, 12, 18, 27, 40, SLOWEST)
LEAST_GAIN = 10.0  # bits over all streams, of a context that is worth its line
DOUBT = 0.3  # of a stream in which one bit was a 0, and of one in which it was a 1
MOST_COUNT = 200  # of a bit in one stream and context
Counts = dict[Key, list[int]]
States = dict[Key, tuple[int, int]]


class CountingOdds(Odds):
    """Counts each context's bits."""

    def __init__(self, primed: Primed) -> None:
        super().__init__(primed)
        self.counts: Counts = {}

    def one(self, coder: OddsCoder, key: Key, bit: int) -> int:
        """See ``Odds``."""
        self._count(key, bit)
        return super().one(coder, key, bit)

    def three(self, coder: OddsCoder, group: str, keys: tuple[Key, Key, Key], bit: int) -> int:
        """See ``Odds``."""
        for key in keys:
            self._count(key, bit)
        return super().three(coder, group, keys, bit)

    def _count(self, key: Key, bit: int) -> None:
        counts = self.counts.setdefault(key, [0, 0])
        counts[bit] = min(counts[bit] + 1, MOST_COUNT)


def coded(data: bytes, odds: Odds) -> None:
    """Code a stream for what ``odds`` learn from it."""
    stream = Stream()
    packing = Packing(data, Model(stream, CostCoder(), odds))
    found = list(obus(data))
    for obu in found:
        packing.obu(stream, obu, last=obu is found[-1])


def counted(clip: Path, seed: int, folder: Path) -> list[Counts]:
    """Return what the contexts saw in each of a clip's streams."""
    found = []
    for _, data in streams(clip, training_settings(seed), folder):
        odds = CountingOdds(Primed({}, {}))
        coded(data, odds)
        found.append(odds.counts)
    return found


class Priors:
    """Every start that a context can have, and how likely it makes what was counted."""

    def __init__(self) -> None:
        pairs = [(logit, seen) for seen in SEEN for logit in range(-LOGITS, LOGITS + 1)]
        self._pairs = pairs
        weight = np.array([seen + 0.5 for _, seen in pairs])  # as the contexts' rate of learning has it
        one = np.array([odds_of(logit) / 65536 for logit, _ in pairs])
        self._ones, self._zeros, self._both = _rising(weight * one), _rising(weight * (1 - one)), _rising(weight)
        self._none = pairs.index((0, 0))

    def best(self, counts: Mapping[tuple[int, int], float]) -> tuple[tuple[int, int], float]:
        """Return the likeliest start, a logit and bits seen, and how many bits it saves.

        Args:
            counts: how many streams had so many zeros and ones.
        """
        zeros, ones = np.array(list(counts)).T
        streams = np.array(list(counts.values()))
        likelihood = (self._ones[:, ones] + self._zeros[:, zeros] - self._both[:, zeros + ones]) @ streams
        best = int(likelihood.argmax())
        return self._pairs[best], float(likelihood[best] - likelihood[self._none]) / log(2)


def _rising(start: np.ndarray) -> np.ndarray:
    """Return the logarithm of start (start + 1) ... (start + n - 1), a row for each start, a column for each n."""
    table = np.zeros((len(start), 2 * MOST_COUNT + 1))
    table[:, 1:] = np.cumsum(np.log(start[:, None] + np.arange(2 * MOST_COUNT)), axis=1)
    return table


def fitted(found: Iterable[Counts]) -> States:
    """Return the start, a logit and bits seen, of each context that is worth its line."""
    streams: dict[Key, dict[tuple[int, int], float]] = {}
    for counts in found:
        for key, (zeros, ones) in counts.items():
            rows = streams.setdefault(key, {(1, 0): DOUBT, (0, 1): DOUBT})
            rows[zeros, ones] = rows.get((zeros, ones), 0.0) + 1
    priors = Priors()
    best = {key: priors.best(rows) for key, rows in streams.items()}
    return {key: start for key, (start, gain) in best.items() if gain >= LEAST_GAIN}


def learnt(clips: Sequence[tuple[Path, int]], states: States, folder: Path) -> dict[str, list[list[int]]]:
    """Return the weights after the streams of all ``clips`` were coded one after the other."""
    starts = {key: (odds_of(logit), seen) for key, (logit, seen) in states.items()}
    weights: dict[str, list[list[int]]] = {}
    for clip, seed in clips:
        for _, data in streams(clip, training_settings(seed), folder):
            odds = Odds(Primed(starts, weights))
            coded(data, odds)
            weights.update(odds.weights)
    return weights


def written(states: States, weights: Mapping[str, Sequence[Sequence[int]]]) -> str:
    """Return a primer as ``cmvc.bitstream.av1pack.primer`` reads it."""
    groups: dict[str, dict[tuple[int, ...], dict[int, str]]] = {group: {} for group in weights}
    for (group, node, *around), (logit, seen) in sorted(states.items()):
        contexts = groups.setdefault(str(group), {})
        contexts.setdefault(tuple(map(int, around)), {})[int(node)] = f"{node} {logit} {seen}"
    lines = []
    for group, contexts in sorted(groups.items()):
        row = [round(weight * WEIGHT_ONE / 65536) for row in weights.get(group, ()) for weight in row]
        assert len(row) in (0, 3 * LEVELS)
        lines.append(" ".join(map(str, [group, *row])))
        for numbers, nodes in sorted(contexts.items()):
            lines.append(f"{' '.join(map(str, numbers))}:{', '.join(nodes[node] for node in sorted(nodes))}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the primer."""
    prepare()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CACHE / "packing"
    clips = [(clip, seed) for seed, clip in enumerate(train_clips())]
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(counted, *zip(*[(*each, folder) for each in clips], strict=True)))
    halves = [[counts for each in found[half::2] for counts in each] for half in (0, 1)]
    weights = learnt(clips[1::2], fitted(halves[0]), folder)
    states = fitted([*halves[0], *halves[1]])
    PRIMER.write_text(written(states, weights))
    print(f"{len(states)} contexts, {len(weights)} groups with weights; written: {PRIMER}")


if __name__ == "__main__":
    main()
