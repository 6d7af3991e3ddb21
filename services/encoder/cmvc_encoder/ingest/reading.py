"""The windows of a video, read in a thread of its own, ahead of whoever takes them."""

from collections.abc import Generator, Iterator
from contextlib import closing

from cmvc.ahead import ahead
from cmvc.control import Control
from cmvc.media.audio import AudioPacket
from cmvc.media.reader import VideoReader
from cmvc_encoder.ingest.cutting import BYTES_PER_PIXEL, Batch, Clock, Marked, WindowShape, cut_windows, mark

AHEAD_BYTES = 96 << 20  # of pictures read ahead of coding


def pictures_ahead(shape: WindowShape) -> int:
    """Return how many pictures to read ahead of coding, in bounded memory."""
    picture_bytes = shape.width * shape.height * BYTES_PER_PIXEL
    return min(max(int(AHEAD_BYTES / picture_bytes), 2), shape.longest)


def read_windows(
    reader: VideoReader, shape: WindowShape, control: Control, *, depth: int, clock: Clock
) -> Generator[Batch]:
    """Yield the windows of a video in order, at most ``depth`` pictures read ahead; ``clock`` counts their time.

    Raises:
        MediaError: a frame or a sound packet cannot be read.
        CancelledError: ``control`` was cancelled.
        DeadlineError: its deadline passed.
    """
    marked = mark(reader.read(), shape, clock)
    with closing(ahead(_checked(marked, control), depth)) as items:
        yield from cut_windows(items, shape)


def _checked(items: Iterator[Marked | AudioPacket], control: Control) -> Iterator[Marked | AudioPacket]:
    for item in items:
        control.check()
        yield item
