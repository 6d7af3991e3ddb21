"""What the process that reads media does: it opens one video and hands over what comes of it."""

import importlib
import io
import mmap
import os
import pkgutil
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import BinaryIO, cast

import av
import numpy as np

from cmvc.errors import CmvcError, LimitError, MediaCrashedError
from cmvc.media.audio import AudioPacket
from cmvc.media.isolated.allowed import for_strangers
from cmvc.media.isolated.messages import SLOTS, Kind, Opened, Order, pack_error, pack_notes, slot_bytes
from cmvc.media.picture import Picture, Plane
from cmvc.media.reader import VideoReader, open_video
from cmvc.media.tonemap import TABLES
from cmvc.processes.confinement import Allowance, confine

BEAT_SECONDS = 1.0
CPU_SECONDS = 24 * 3600  # a day; a shorter silence is noticed by whoever listens
_ON_THEIR_WAY = 64 << 20  # bytes of pictures, where that many are two or more


def prepare() -> None:
    """Read modules and tables that are otherwise read when they are needed: later no file opens any more."""
    for name in ("numpy.ma", *(each.name for each in pkgutil.walk_packages(av.__path__, "av."))):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    TABLES.beforehand()


def serve(connection: Connection, memory: int, spool: int) -> None:
    """Read the one video that is ordered over a connection.

    Args:
        connection: that the source comes through, and what is read of it goes.
        memory: file descriptor of the slots for pictures.
        spool: of an empty file, for a source that has to be kept aside.
    """
    order = Order.unpack(connection.recv_bytes())
    limits = order.limits
    slots = np.frombuffer(mmap.mmap(memory, SLOTS * slot_bytes(limits.pixels)), np.uint8).reshape(SLOTS, -1)
    confine(Allowance(limits.media_bytes, CPU_SECONDS, limits.spool_bytes))
    talk = _Talk(connection, slots)
    try:
        with open_video(
            cast(BinaryIO, _Source(talk, order.size)),  # as much of a file as is asked for
            audio=order.audio,
            metadata=order.metadata,
            limits=for_strangers(limits),
            check=talk.beat,
            look=order.look,
            start=order.start,
            duration=order.duration,
            spool=lambda: os.fdopen(spool, "w+b"),
        ) as reader:
            _hand_over(reader, talk)
    except CmvcError as error:
        talk.say(Kind.FAILED, pack_error(error))
    except MemoryError:
        large = LimitError(f"reading the input takes more than {limits.media_bytes >> 20} MiB; send something smaller")
        talk.say(Kind.FAILED, pack_error(large))
    except (EOFError, ConnectionError):
        return  # nobody wants it any more
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        traceback.print_exc()
        failed = MediaCrashedError(f"reading the input failed ({type(error).__name__}: {error})")
        talk.say(Kind.FAILED, pack_error(failed))
    talk.stay()


def _hand_over(reader: VideoReader, talk: "_Talk") -> None:
    talk.say(Kind.OPENED, Opened(reader.info, reader.has_sound, reader.notes).pack())
    last: Picture | None = None
    for item in reader.read():
        if isinstance(item, AudioPacket):
            talk.say(Kind.SOUND, item.index.to_bytes(8, "little") + item.data)
        elif item is last:
            talk.say(Kind.AGAIN)
        else:
            last = item
            talk.show(item)
    talk.say(Kind.ENDED, pack_notes(reader.notes))


class _Talk:
    """This end of the connection."""

    def __init__(self, connection: Connection, slots: Plane) -> None:
        """Take the connection, and the slots as (slot, byte)."""
        self._connection = connection
        self._slots = slots
        self._taken = 0  # slots with pictures that the other end has not taken out
        self._next = 0
        self._said = time.monotonic()

    def say(self, kind: Kind, data: bytes = b"") -> None:
        """Send a message."""
        self._connection.send_bytes(bytes([kind]) + data)
        self._said = time.monotonic()

    def beat(self) -> None:
        """Say that the work goes on, where nothing was said for long."""
        if time.monotonic() - self._said > BEAT_SECONDS:
            self.say(Kind.BEAT)

    def ask(self, position: int, size: int) -> bytes:
        """Return bytes of the source, none at its end."""
        self.say(Kind.READ, position.to_bytes(8, "little") + size.to_bytes(8, "little"))
        while True:
            message = self._connection.recv_bytes()
            if message[0] == Kind.DATA:
                return message[1:]
            self._taken -= 1

    def stay(self) -> None:
        """Wait to be ended: what was said last is not lost, and what is said meanwhile has somewhere to go."""
        with suppress(EOFError, ConnectionError):
            while True:
                self._connection.recv_bytes()

    def show(self, picture: Picture) -> None:
        """Hand a picture over, once there is room for it."""
        size = sum(plane.size for plane in picture.planes)
        most = min(SLOTS, max(_ON_THEIR_WAY // size, 2))
        while self._taken >= most:
            self._connection.recv_bytes()
            self._taken -= 1
        room = self._slots[self._next]
        at = 0
        for plane in picture.planes:
            room[at : at + plane.size].reshape(plane.shape)[:] = plane
            at += plane.size
        self.say(Kind.PICTURE, bytes([self._next]))
        self._taken += 1
        self._next = (self._next + 1) % SLOTS


class _Source:
    """The source at the other end, as a file."""

    def __init__(self, talk: _Talk, size: int | None) -> None:
        """Make it of ``size`` bytes; None for one that comes as it comes."""
        self._talk, self._size = talk, size
        self._position = 0

    def seekable(self) -> bool:
        """Return whether it can be read again."""
        return self._size is not None

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place, from its start or its end; return where that is."""
        self._position = offset + (self._size or 0 if whence == io.SEEK_END else 0)
        return self._position

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        data = self._talk.ask(self._position, size)
        self._position += len(data)
        return data
