"""Memory for the segments in work: what does not fit beside the others waits, so that none of them is killed for it."""

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from cmvc.control import Control
from cmvc.limits import DEFAULT_LIMITS
from cmvc.records import Progress, SegmentRecord
from cmvc.v1 import bitstream_pb2 as pb

_BEAT_SECONDS = 0.5  # between two signs of life of a segment that waits
_PROCESS_BYTES = 512 << 20  # of a server without segments: code, the restorer, messages on their way
# What decoding one segment was seen to add to a process, rounded up, in the modes and sizes that take most: pictures
# held ahead, as many as there may be of a size, at both ends of a hand-over; x264's and those on their way there, by
# pixel of the output; warping, by pixel of the keyframes.
_AHEAD_BYTES = 96  # for each pixel
_MOST_AHEAD_BYTES = 128 << 20
_OUTPUT_BYTES = 28  # for each pixel of 4:2:0
_OUTPUT_444_BYTES = 50
_CODED_BYTES = 26


def need(header: pb.StreamHeader) -> int:
    """Return how many bytes decoding a segment takes at most, from the size of the pictures alone.

    Models, whose memory does not grow with that size, are not counted.
    """
    pixels = header.width * header.height
    odd = header.width % 2 or header.height % 2
    output = pixels * (_OUTPUT_444_BYTES if odd else _OUTPUT_BYTES)
    warping = min(pixels, DEFAULT_LIMITS.keyframe_pixels) * _CODED_BYTES
    return min(pixels * _AHEAD_BYTES, _MOST_AHEAD_BYTES) + output + warping


class Turn:
    """A place in the line for memory."""

    def __init__(self, changed: threading.Condition, size: int) -> None:
        """Stand in line for ``size`` bytes."""
        self._changed = changed
        self.size = size
        self.came = False

    def come(self, seconds: float) -> bool:
        """Wait for the memory, at most ``seconds``, and return whether it has come."""
        with self._changed:
            return self._changed.wait_for(lambda: self.came, seconds)


class Memory:
    """Shares out so many bytes, in the order of arrival; one who is alone has them whatever the size."""

    def __init__(self, process_bytes: int | None = None) -> None:
        """Share out what a process of ``process_bytes`` has beside itself; None: nobody waits."""
        self._most = None if process_bytes is None else process_bytes - _PROCESS_BYTES
        self._changed = threading.Condition()
        self._line: deque[Turn] = deque()
        self._held: list[Turn] = []

    @contextmanager
    def line(self, size: int) -> Iterator[Turn]:
        """Stand in line for ``size`` bytes, and hold them once their turn has come, for the length of the block."""
        turn = Turn(self._changed, size)
        with self._changed:
            self._line.append(turn)
            self._hand_out()
        try:
            yield turn
        finally:
            with self._changed:
                (self._held if turn.came else self._line).remove(turn)
                self._hand_out()

    def in_turn(
        self, header: pb.StreamHeader, control: Control, records: Generator[SegmentRecord]
    ) -> Generator[SegmentRecord]:
        """Yield the ``records`` of a segment of a stream with ``header`` once it has its memory; signs of life before.

        Raises:
            CmvcError: ``control`` says stop; whatever the records raise.
        """
        with self.line(need(header)) as turn:
            while not turn.come(_BEAT_SECONDS):
                control.check()
                yield Progress(0)  # of a total that is told once it is in work
            yield from records

    def _hand_out(self) -> None:
        while self._line and self._fits(self._line[0].size):
            turn = self._line.popleft()
            turn.came = True
            self._held.append(turn)
        self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self._most is None or not self._held or sum(turn.size for turn in self._held) + size <= self._most
