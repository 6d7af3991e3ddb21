"""What is heard of a process that reads media, and what it is answered: bytes of the source."""

import logging
import math
import os
import time
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from google.protobuf.message import DecodeError

from cmvc.control import Control
from cmvc.errors import CmvcError, MediaCrashedError, MediaStalledError
from cmvc.media.isolated.messages import MOST_BYTES, READ_BYTES, Kind, Order, unpack_error
from cmvc.media.opening import can_seek
from cmvc.processes.spawner import Worker

log = logging.getLogger(__name__)
R = TypeVar("R")
NONSENSE = "what read the input went wrong; convert the input first, and report it"
_NO_SENSE = (ValueError, TypeError, KeyError, IndexError, ArithmeticError, DecodeError)


class Conversation:
    """This end of a connection.

    Attributes:
        size: of the source, in bytes; None where it cannot be read again.
        ended: whether nobody here wants to hear any more.
    """

    def __init__(self, worker: Worker, source: BinaryIO, control: Control, stall_s: float) -> None:
        """Take the process, what it may read, what ends it, and how many seconds it may say nothing."""
        self._worker, self._source, self._control, self._stall_s = worker, source, control, stall_s
        self.size = source.seek(0, os.SEEK_END) if can_seek(source) else None
        self.ended = False

    def order(self, order: Order) -> None:
        """Say what is to be read."""
        self._tell(order.pack())

    def free(self) -> None:
        """Say that a picture was taken out of its slot."""
        self._tell(bytes([Kind.FREE]))

    def end(self) -> None:
        """End the process; whoever listens hears no more."""
        self.ended = True
        self._worker.kill()

    def next(self) -> tuple[Kind, bytes]:
        """Return what comes next that is neither a question, which is answered, nor a sign of life.

        Raises:
            CmvcError: what went wrong there.
            MediaCrashedError: the process ended, or talks nonsense.
            MediaStalledError: it says nothing, or does not listen.
            CancelledError, DeadlineError: the work is to stop.
            BaseException: whatever the source raises.
        """
        while True:
            data = self._heard()
            kind, body = self.sense(Kind, data[0]), data[1:]
            if kind is Kind.READ:
                self._answer(body)
            elif kind is Kind.FAILED:
                raise self.sense(unpack_error, body)
            elif kind is not Kind.BEAT:
                return kind, body

    def sense(self, parse: Callable[..., R], *said: object) -> R:
        """Return what ``parse`` makes of what the process said.

        Raises:
            CmvcError: from ``parse``.
            MediaCrashedError: it makes no sense; only a defect, or whoever took the process over, says such things.
        """
        try:
            return parse(*said)
        except CmvcError:
            raise
        except _NO_SENSE:
            raise MediaCrashedError(NONSENSE) from None

    def _heard(self) -> bytes:
        silent_until = time.monotonic() + self._stall_s
        connection = self._worker.connection
        while True:
            left = min(silent_until - time.monotonic(), self._left())
            try:
                if connection.poll(max(left, 0.0)):
                    return connection.recv_bytes(MOST_BYTES)
            except BlockingIOError:  # it has said half of it
                left = -math.inf
            except (EOFError, OSError):
                raise self._broken() from None
            self._control.check()
            if time.monotonic() >= silent_until or left == -math.inf:
                raise self._stalled()

    def _left(self) -> float:
        remaining = self._control.remaining()
        return math.inf if remaining is None else remaining + 0.01  # past it, not at it

    def _answer(self, question: bytes) -> None:
        position, size = int.from_bytes(question[:8], "little"), int.from_bytes(question[8:16], "little")
        self._control.check()
        if self.size is not None:
            self._source.seek(min(position, self.size))
        data = self._source.read(max(min(size, READ_BYTES), 1))
        self._tell(bytes([Kind.DATA]) + data)

    def _tell(self, message: bytes) -> None:
        try:
            self._worker.connection.send_bytes(message)
        except BlockingIOError:
            raise self._stalled() from None
        except OSError:
            raise self._broken() from None

    def _broken(self) -> CmvcError:
        """Return why the process is gone."""
        self._control.check()
        if not self.ended:
            log.warning("a process that read media ended by itself; dmesg may say why")
        return MediaCrashedError(
            "FFmpeg ended while it read the input, which may be damaged or made to do that; convert it first"
        )

    def _stalled(self) -> CmvcError:
        self._control.check()
        return MediaStalledError(
            f"FFmpeg said nothing for {self._stall_s:g} s while it read the input, which may be damaged or made to do "
            "that; convert it first"
        )
