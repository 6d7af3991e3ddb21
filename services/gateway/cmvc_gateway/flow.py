"""What of a segment leaves while it is made."""

from collections import deque
from collections.abc import Iterator

from cmvc.bitstream.modes import mode_of
from cmvc.profiles import embedded
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc.wire.transfer import make_chunk
from cmvc_gateway.released import Released


def may_flow(request: decoder_pb2.DecodeSegmentRequest) -> bool:
    """Return whether another decoder writes the same bytes: where no model makes the pictures (docs/adr/0008)."""
    return request.profile.id == embedded.PROFILE.id or mode_of(request.segment) == common_pb2.MODE_CODED


class Flow:
    """The output of one segment on its way, from as many attempts as it takes; each byte comes once.

    Attributes:
        prologue: what stands before the first segment of the output.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.prologue = b""
        self._released = Released("decoders")
        self._chunks: deque[common_pb2.Chunk] = deque()

    @property
    def size(self) -> int:
        """How many bytes of it have come, taken or not."""
        return self._released.size

    def again(self) -> None:
        """Expect the output from its start once more."""
        self._released.again()

    def __bool__(self) -> bool:
        """Return whether there is something to take."""
        return bool(self._chunks)

    def add(self, chunk: common_pb2.Chunk) -> None:
        """Take the next of it.

        Raises:
            ServerError: an attempt before began otherwise.
        """
        if new := self._released.new(chunk.data):
            self._chunks.append(chunk if len(new) == len(chunk.data) else make_chunk(new))

    def take(self) -> Iterator[common_pb2.Chunk]:
        """Yield what has come since the last time."""
        while self._chunks:
            yield self._chunks.popleft()

    def rest(self, whole: Iterator[common_pb2.Chunk], size: int) -> Iterator[common_pb2.Chunk]:
        """Yield what has not been taken of the ``whole`` output of ``size`` bytes.

        Raises:
            ServerError: an attempt before began otherwise.
        """
        yield from self.take()
        if self._released.size == size:
            return
        self.again()
        for chunk in whole:
            self.add(chunk)
            yield from self.take()
