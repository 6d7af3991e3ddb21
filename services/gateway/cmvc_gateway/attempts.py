"""What becomes of a segment whose decoder did not give it: driven again, or given up, and for which reason."""

import time
from collections.abc import Collection

from cmvc.errors import (
    AdapterMismatchError,
    BackendUnavailableError,
    ChecksumError,
    CmvcError,
    MissingWeightsError,
    OverloadedError,
    PoisonedSegmentError,
    ServerError,
)

TRIES = 5
STRIKES = 2  # decoders that a segment may take with it; a third would be one too many
REASONS = ("unavailable", "stalled", "overloaded", "checksum", "missing", "failed")
BLAMED = ("unavailable", "stalled", "checksum", "failed")  # after which others come before the decoder for a while
PAUSE_SECONDS = 0.5  # before the third attempt where decoders end calls, twice as long before each one more


class StalledError(BackendUnavailableError):
    """A decoder has gone silent in the middle of a segment."""


class AgainError(Exception):
    """A segment is to be driven again."""

    def __init__(self, why: str, wait_s: float) -> None:
        """Say why, one of ``REASONS``, and after how many seconds."""
        super().__init__(why)
        self.why = why
        self.wait_s = wait_s


class Attempts:
    """The attempts at one segment so far.

    Attributes:
        last: address of the decoder that had it last; "" before the first attempt.
        lacking: addresses of decoders that have not what it is made with.
    """

    def __init__(self, index: int, wait_s: float) -> None:
        """Begin with none.

        Args:
            index: of the segment in its stream.
            wait_s: how many seconds decoders may refuse it for want of room.
        """
        self.last = ""
        self.lacking: set[str] = set()
        self._number = 0
        self._index = index
        self._wait_s = wait_s
        self._tries = 0
        self._ended: set[str] = set()  # decoders; one that dies twice may have reasons of its own
        self._refused_since: float | None = None

    def next_number(self) -> int:
        """Return the number of the next attempt, from 1."""
        self._number += 1
        return self._number

    def failed(self, error: CmvcError, *, begun: bool, others: Collection[str]) -> CmvcError | AgainError:
        """Return what follows from ``error``: that the segment is driven again, or what its client is told.

        Refusals for want of room are nobody's fault: they are waited out and count as nothing. Nor is it one to lack an
        adapter; what another decoder may have is looked for there.

        Args:
            error: how the attempt ended.
            begun: whether the decoder had begun to work on it.
            others: addresses of the other decoders that may do it.
        """
        reason = redrive_reason(error)
        if isinstance(error, OverloadedError):
            return AgainError(reason, error.retry_after_s) if self._may_wait() else error
        if reason == "missing":
            self.lacking.add(self.last)
            return AgainError(reason, 0.0) if set(others) - self.lacking else error
        if not reason:
            return error
        self._tries += 1
        if reason == "stalled" or (reason == "unavailable" and begun):
            self._ended.add(self.last)
        if len(self._ended) >= STRIKES:
            return PoisonedSegmentError(
                f"segment {self._index} ended {len(self._ended)} decoders and is not driven again; last: {error}"
            )
        pause = PAUSE_SECONDS * 2 ** (self._tries - 2) if reason == "unavailable" and self._tries > 1 else 0.0
        return error if self._tries >= TRIES else AgainError(reason, pause)

    def _may_wait(self) -> bool:
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since < self._wait_s


def redrive_reason(error: CmvcError) -> str:
    """Return why a segment that ended with ``error`` should be driven again, "" where that would not help."""
    if isinstance(error, StalledError):
        return "stalled"
    if isinstance(error, BackendUnavailableError):
        return "unavailable"
    if isinstance(error, OverloadedError):
        return "overloaded"
    if isinstance(error, ChecksumError):
        return "checksum"
    if isinstance(error, MissingWeightsError | AdapterMismatchError):
        return "missing"
    return "failed" if isinstance(error, ServerError) else ""
