"""Who has segments decoded here at the moment: gateways that share this decoder are told how many they are."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

RECENT_SECONDS = 5.0  # a gateway in the middle of a stream may have none in work for a moment, not for so long


class RecentCallers:
    """Callers that have segments in work, or had of late; a gateway is one, by its connection."""

    def __init__(self) -> None:
        """Begin with none."""
        self._in_work: Counter[str] = Counter()
        self._left: dict[str, float] = {}  # when the last of a caller's segments ended

    @contextmanager
    def working(self, caller: str) -> Iterator[None]:
        """Count ``caller`` for the length of the block and ``RECENT_SECONDS`` more."""
        self._in_work[caller] += 1
        try:
            yield
        finally:
            self._in_work -= Counter([caller])  # which forgets who has none left
            self._left[caller] = time.monotonic()

    def count(self, *, with_one: str) -> int:
        """Return how many there are, ``with_one`` among them."""
        now = time.monotonic()
        self._left = {caller: then for caller, then in self._left.items() if now - then < RECENT_SECONDS}
        return len({*self._in_work, *self._left, with_one})
