"""Pictures and sound of a container, each at its own pace.

A file is opened once for each, so that nothing piles up, however far apart they stand in it. What comes through a pipe
is read once; the stream that runs ahead waits in memory, within bounds.
"""

from collections import deque
from enum import Enum, auto
from fractions import Fraction
from typing import Protocol

from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from cmvc.errors import LimitError
from cmvc.limits import Limits
from cmvc.media.demux import Demuxer, Guard
from cmvc.media.frames import AnyPacket
from cmvc.media.spool import Source
from cmvc.media.survey import Survey, time_of

LOOK_SECONDS = Fraction(4)  # of a pipe that are read before its rate is settled
_LOOK_PACKETS = 1000
_LOOK_BYTES = 16 << 20
_PATIENCE_SECONDS = 10  # that pictures of a pipe run ahead of sound which may still come
_SETTLING_SECONDS = 1  # before a part of a file, from which its sound is read
_WAITING_BYTES = 64 << 20  # of packets of one kind that wait for the other


class Wait(Enum):
    """No packet yet."""

    OVER = auto()  # and none is waited for any longer


class Lanes(Protocol):
    """Packets of one video and its sound.

    Attributes:
        demuxer: that pictures come from.
        survey: of timestamps: all of a file, of a pipe what has been read.
    """

    demuxer: Demuxer
    survey: Survey

    @property
    def video(self) -> VideoStream:
        """The stream of pictures."""

    @property
    def sound(self) -> AudioStream | None:
        """The stream of sound; None where there is none."""

    def next_picture(self) -> AnyPacket | None:
        """Return the next packet of video, None at the end."""

    def next_sound(self, until: Fraction | None) -> AnyPacket | Wait | None:
        """Return the next packet of sound, None at the end.

        Args:
            until: where pictures are by now, in seconds; None while there are none yet.
        """

    def skip_to(self, time: Fraction) -> bool:
        """Leave out what is not needed to decode from ``time`` seconds on, where the container says what that is.

        Returns:
            whether pictures come anew, from another packet on, and have to be given to another decoder.
        """

    def close(self) -> None:
        """Close the containers, not the source."""


class FileLanes:
    """The lanes of an input that can be read again from its start."""

    def __init__(self, source: Source, limits: Limits, guard: Guard, *, sound_track: str) -> None:
        """Open the input and go through its timestamps.

        Raises:
            CmvcError: see ``Demuxer``.
        """
        self._opened_with = (source, limits, guard, sound_track)
        self.demuxer = Demuxer(*self._opened_with)
        self._sounds: Demuxer | None = None
        self._skipped_to: float | None = None
        self._first: AnyPacket | None = None  # picture that was read and not taken
        self._can_skip = False
        self.survey = Survey()
        if not self.demuxer.steady:
            _look_through(self.demuxer, self.survey)
            self._can_skip = self.demuxer.can_skip
            self._reopen()

    @property
    def video(self) -> VideoStream:
        """See ``Lanes``."""
        return self.demuxer.video

    @property
    def sound(self) -> AudioStream | None:
        """See ``Lanes``; opens the input once more."""
        if self._sounds is None and self.demuxer.sound is not None:
            self._sounds = Demuxer(*self._opened_with)
            if self._skipped_to is not None:
                self._sounds.skip_to(self._skipped_to)
        return self._sounds.sound if self._sounds else None

    def next_picture(self) -> AnyPacket | None:
        """See ``Lanes``."""
        if self._first is not None:
            packet, self._first = self._first, None
            return packet
        return _next_of(self.demuxer, self.demuxer.video.index)

    def next_sound(self, until: Fraction | None) -> AnyPacket | Wait | None:  # noqa: ARG002 - there is no waiting here
        """See ``Lanes``."""
        stream = self.sound
        return _next_of(self._sounds, stream.index) if self._sounds and stream else None

    def skip_to(self, time: Fraction) -> bool:
        """See ``Lanes``; before any sound is asked for."""
        target = self.survey.keyframe_before(time - _SETTLING_SECONDS) if self._can_skip else None
        if target is None:
            return False
        self._reopen()
        self.demuxer.skip_to(target)
        first = self.next_picture()
        at = time_of(first) if first is not None else None
        if first is not None and first.is_keyframe and at is not None and at <= time:
            self._first, self._skipped_to = first, target
        else:  # the container's index is wrong
            self._reopen()
        return True

    def _reopen(self) -> None:
        self.demuxer.close()
        self.demuxer = Demuxer(*self._opened_with)

    def close(self) -> None:
        """See ``Lanes``."""
        self.demuxer.close()
        if self._sounds:
            self._sounds.close()


def _look_through(demuxer: Demuxer, survey: Survey) -> None:
    while (packet := demuxer.next()) is not None:
        survey.see(packet, is_picture=packet.stream_index == demuxer.video.index)
    survey.whole = True


def _next_of(demuxer: Demuxer, index: int) -> AnyPacket | None:
    while (packet := demuxer.next()) is not None:
        if packet.stream_index == index:
            return packet
    return None


class StreamLanes:
    """The lanes of an input that is read once."""

    def __init__(
        self, source: Source, limits: Limits, guard: Guard, *, look: Fraction, keep_sound: bool, sound_track: str
    ) -> None:
        """Open the input and read about its first ``look`` seconds.

        Raises:
            CmvcError: see ``Demuxer``.
        """
        self.demuxer = Demuxer(source, limits, guard, sound_track)
        self.survey = Survey()
        self._keep_sound = keep_sound
        self._pictures: deque[AnyPacket] = deque()
        self._sounds: deque[AnyPacket] = deque()
        self._picture_bytes = self._sound_bytes = 0
        self._reached = Fraction(0)  # by pictures
        while not self.demuxer.steady and not self._seen_enough(look) and self._read():
            pass

    @property
    def video(self) -> VideoStream:
        """See ``Lanes``."""
        return self.demuxer.video

    @property
    def sound(self) -> AudioStream | None:
        """See ``Lanes``."""
        return self.demuxer.sound

    def next_picture(self) -> AnyPacket | None:
        """See ``Lanes``."""
        while not self._pictures:
            if not self._read():
                return None
        packet = self._pictures.popleft()
        self._picture_bytes -= packet.size
        return packet

    def next_sound(self, until: Fraction | None) -> AnyPacket | Wait | None:
        """See ``Lanes``.

        Raises:
            LimitError: see ``_read``.
        """
        while not self._sounds:
            too_long = until is not None and self._reached > until + _PATIENCE_SECONDS
            if too_long or self._picture_bytes > _WAITING_BYTES:
                return Wait.OVER
            if not self._read():
                return None
        packet = self._sounds.popleft()
        self._sound_bytes -= packet.size
        return packet

    def skip_to(self, time: Fraction) -> bool:  # noqa: ARG002 - all of it has to be read
        """See ``Lanes``."""
        return False

    def close(self) -> None:
        """See ``Lanes``."""
        self.demuxer.close()

    def _seen_enough(self, look: Fraction) -> bool:
        if self._picture_bytes + self._sound_bytes > _LOOK_BYTES or self.survey.pictures > _LOOK_PACKETS:
            return True
        return self.survey.span() >= look

    def _read(self) -> bool:
        """Read a packet into its lane; say whether there was one.

        Raises:
            LimitError: there is too much sound before the next picture.
        """
        packet = self.demuxer.next()
        if packet is None:
            self.survey.whole = True
            return False
        is_picture = packet.stream_index == self.demuxer.video.index
        self.survey.see(packet, is_picture=is_picture)
        if is_picture:
            self._pictures.append(packet)
            self._picture_bytes += packet.size
            self._reached = max(time_of(packet) or self._reached, self._reached)
        elif self._keep_sound:
            self._sounds.append(packet)
            self._sound_bytes += packet.size
            if self._sound_bytes > _WAITING_BYTES:
                raise LimitError(
                    f"more than {_WAITING_BYTES >> 20} MiB of sound stand before the next picture, too much to keep "
                    f"while reading from a pipe; give the file itself"
                )
        return True


def open_lanes(
    source: Source, limits: Limits, guard: Guard, *, look: Fraction, keep_sound: bool, sound_track: str = ""
) -> Lanes:
    """Return the lanes of an input.

    Args:
        source: to read.
        limits: bound what is read.
        guard: held while FFmpeg works.
        look: seconds to look ahead where the input is read once.
        keep_sound: whether the sound will be asked for.
        sound_track: which sound; see ``choose_sound``.

    Raises:
        CmvcError: see ``Demuxer``.
    """
    if source.can_rewind:
        return FileLanes(source, limits, guard, sound_track=sound_track)
    return StreamLanes(source, limits, guard, look=look, keep_sound=keep_sound, sound_track=sound_track)
