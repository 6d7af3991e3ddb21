"""The end of ``cmvc.media.isolated`` that asks for a video, and believes nothing of what it is told."""

import logging
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from cmvc.control import Control
from cmvc.errors import CancelledError, MediaCrashedError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.media.audio import AudioPacket
from cmvc.media.isolated.conversation import NONSENSE, Conversation
from cmvc.media.isolated.messages import SLOTS, Kind, Opened, Order, slot_bytes, unpack_notes
from cmvc.media.lanes import LOOK_SECONDS
from cmvc.media.opening import open_path
from cmvc.media.picture import Picture, Plane, chroma_size
from cmvc.media.reader import VideoInfo
from cmvc.processes.confinement import filters_calls
from cmvc.processes.memory import shared_memory
from cmvc.processes.spawner import Spawner
from cmvc.v1 import encoder_pb2

STALL_SECONDS = 60.0  # without a word, after which FFmpeg is taken to hang
_VARIABLES = {"PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "TMPDIR"}  # no secrets
log = logging.getLogger(__name__)

SPAWNER = Spawner("cmvc.media.isolated.child:serve", variables=_VARIABLES)
"""The process that those which read media are forked from."""


@cache
def warm_up() -> None:
    """Get ready to read media; say so once where that is less confined than it could be."""
    if not filters_calls():
        log.warning(
            "media are read without a filter of system calls, under limits of resources alone; "
            "install libseccomp2 and pyseccomp"
        )
    SPAWNER.start()


def open_isolated(
    source: str | Path | BinaryIO,
    control: Control,
    *,
    audio: encoder_pb2.AudioConfig | None = None,
    metadata: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    look: Fraction = LOOK_SECONDS,
    start: float = 0.0,
    duration: float = 0.0,
    stall_s: float = STALL_SECONDS,
) -> "IsolatedReader":
    """Open a video in a process of its own; otherwise as ``open_video``.

    Args:
        source: path of a file, or a binary file object.
        control: ends the process, whatever it is at.
        audio: what to do with the sound; None drops it.
        metadata: whether title, chapters and language are read.
        limits: bounds what is read, and the process; containers and decoders are bounded by ``allowed``.
        look: seconds that are read, of a source that cannot seek, before the rate is settled.
        start: seconds of the video that are left out before what is read.
        duration: seconds that are read; 0 for all that follow.
        stall_s: seconds without a word from it after which it is given up.

    Raises:
        CmvcError: see ``open_video``.
        MediaCrashedError: the process ended.
        MediaStalledError: it said nothing for too long.
        CancelledError, DeadlineError: ``control`` said stop.
    """
    warm_up()
    with ExitStack() as stack:
        file = stack.enter_context(open_path(Path(source))) if isinstance(source, (str, Path)) else source
        spool = stack.enter_context(tempfile.TemporaryFile(buffering=0))
        memory = shared_memory("cmvc-media", SLOTS * slot_bytes(limits.pixels))
        stack.callback(os.close, memory)
        control.check()
        worker = stack.enter_context(SPAWNER.worker(memory, spool.fileno(), patience_s=stall_s))
        stack.callback(control.on_cancel(worker.kill))
        child = Conversation(worker, file, control, stall_s)
        child.order(Order(audio, metadata, limits, look, start, duration, child.size))
        slots = np.frombuffer(mmap.mmap(memory, 0), np.uint8).reshape(SLOTS, -1)
        return IsolatedReader(child, slots, limits, stack.pop_all())


class IsolatedReader:
    """A video being read elsewhere; a context manager, used as a ``VideoReader``. See ``open_isolated``.

    Attributes:
        info: what holds for the whole video.
        notes: what the user should know, one line each; complete when ``read`` has ended.
        has_sound: whether the source has a track of sound, kept or not.
    """

    def __init__(self, child: Conversation, slots: Plane, limits: Limits, stack: ExitStack) -> None:
        """Hear that the video is open; ``stack`` is closed where it is not, otherwise by ``close``."""
        self._child, self._slots = child, slots
        self._reading = threading.Lock()  # another thread may read
        with stack:
            kind, data = child.next()
            if kind is not Kind.OPENED:
                raise MediaCrashedError(NONSENSE)
            said = child.sense(Opened.unpack, data, limits)
            self.info: VideoInfo = said.info
            self.notes, self.has_sound = said.notes, said.has_sound
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process, and close the file where a path was given."""
        self.close()

    def close(self) -> None:
        """End the process, and close the file where a path was given; reading in another thread ends then."""
        self._child.end()
        with self._reading:
            self._stack.close()

    def read(self) -> Iterator[Picture | AudioPacket]:
        """Yield the pictures in order, each audio packet before the picture during which it starts. Once.

        Raises:
            CmvcError: see ``open_isolated``.
        """
        last: Picture | None = None
        while (item := self._next(last)) is not None:
            if isinstance(item, Picture):
                last = item
            yield item

    def _next(self, last: Picture | None) -> Picture | AudioPacket | None:
        """Return what comes after the picture ``last``; None at the end."""
        with self._reading:
            try:
                kind, data = self._child.next()
            except (CancelledError, MediaCrashedError):
                if self._child.ended:
                    return None
                raise
            if kind is Kind.PICTURE:
                return self._child.sense(self._take, data)
            if kind is Kind.AGAIN and last is not None:
                return last
            if kind is Kind.SOUND:
                return AudioPacket(int.from_bytes(data[:8], "little"), data[8:])
            if kind is Kind.ENDED:
                self.notes = self._child.sense(unpack_notes, data)
                return None
            raise MediaCrashedError(NONSENSE)

    def _take(self, data: bytes) -> Picture:
        """Return the picture in a slot, which is free from then on."""
        width, height = self.info.width, self.info.height
        columns, rows = chroma_size(width, height)
        luma, chroma = width * height, columns * rows
        planes = self._slots[data[0]][: luma + 2 * chroma].copy()
        self._child.free()
        y, u, v = np.split(planes, (luma, luma + chroma))
        return Picture(y.reshape(height, width), u.reshape(rows, columns), v.reshape(rows, columns))
