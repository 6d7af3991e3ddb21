"""What is known before the first bit: the contexts and weights that are part of the format."""

from collections.abc import Mapping, Sequence

Key = tuple[str | int, ...]
LEVELS = 6  # of confidence
_ONE = 1 << 16  # a weight
# Before anything was learnt: the more confident an input, the more it counts.
_PLAIN = [[_ONE * min(level + 1, 4) // 6 for level in range(LEVELS)] for _ in range(3)]


class Primed:
    """States of contexts, and weights of their groups."""

    def __init__(self, states: Mapping[Key, Sequence[int]], weights: Mapping[str, Sequence[Sequence[int]]]) -> None:
        self.states = states
        self._weights = weights

    def weights_of(self, group: str) -> Sequence[Sequence[int]]:
        """Return the weights of a group: a row for each of its three inputs, in it one for each level of confidence."""
        return self._weights.get(group, _PLAIN)
