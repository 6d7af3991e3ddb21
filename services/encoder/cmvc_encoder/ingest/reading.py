"""The windows of a video, read in a thread of its own, ahead of whoever takes them."""

from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import BinaryIO

from cmvc.ahead import ahead
from cmvc.control import Control
from cmvc.limits import Limits
from cmvc.media.audio import AudioPacket
from cmvc.media.isolated.reader import IsolatedReader, open_isolated
from cmvc.media.lanes import LOOK_SECONDS
from cmvc.media.reader import VideoReader, open_video
from cmvc_encoder.ingest.cutting import BYTES_PER_PIXEL, Batch, Clock, Marked, WindowShape, cut_windows, mark
from cmvc_encoder.job import Job

AHEAD_BYTES = 24 << 20  # of pictures read ahead of what cuts them into windows


Reader = VideoReader | IsolatedReader


def open_input(
    source: str | Path | BinaryIO, job: Job, control: Control, limits: Limits, *, isolated: bool = False
) -> Reader:
    """Open what is to be encoded; a latency bounds how far a source that cannot seek is looked into.

    Args:
        source: path of a file, or a binary file object.
        job: says what is read of it.
        control: cancels or ends the work early.
        limits: bounds what is read.
        isolated: whether it is read in a process of its own.

    Raises:
        CmvcError: see ``open_video`` and ``open_isolated``; also when ``control`` says stop.
    """
    opened = partial(open_isolated, source, control) if isolated else partial(open_video, source, check=control.check)
    return opened(
        audio=job.sound.treatment,
        metadata=job.metadata,
        limits=limits,
        look=LOOK_SECONDS if job.latency_s is None else min(LOOK_SECONDS, Fraction(job.latency_s) / 2),
        start=job.start,
        duration=job.duration,
    )


def pictures_ahead(shape: WindowShape) -> int:
    """Return how many pictures to read ahead of the window that is being filled, in bounded memory."""
    picture_bytes = shape.width * shape.height * BYTES_PER_PIXEL
    return min(max(int(AHEAD_BYTES / picture_bytes), 2), shape.longest)


def read_windows(reader: Reader, shape: WindowShape, control: Control, *, depth: int, clock: Clock) -> Generator[Batch]:
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
