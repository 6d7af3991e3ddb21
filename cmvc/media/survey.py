"""What the timestamps of a container say before a picture is decoded: when pictures come, and sound."""

from array import array
from fractions import Fraction

import numpy as np

from cmvc.media.cadence import Seconds
from cmvc.media.frames import AnyPacket

LONGEST_LAST_SECONDS = 600  # a picture, or silence, at the end is not believed to last longer


class Survey:
    """Timestamps, collected packet by packet.

    Attributes:
        whole: whether all packets were seen.
        pictures: how many packets of video there were.
        sound_bytes: of all packets of sound.
        sound_start: time of the first sound in seconds, None for no sound.
    """

    def __init__(self) -> None:
        self.whole = False
        self.pictures = self.sound_bytes = 0
        self.sound_start: Fraction | None = None
        self._times = array("d")
        self._keyframes = array("d")  # times of those pictures that need no others
        self._last: tuple[Fraction, Fraction | None] | None = None  # the latest picture's time and duration
        self._sound: list[tuple[Fraction, Fraction]] = []  # from, to, where there is sound

    def see(self, packet: AnyPacket, *, is_picture: bool) -> None:
        """Take note of a packet; of one that is not to be shown or heard, none."""
        if packet.is_discard:
            return
        if is_picture:
            self._see_picture(packet)
        else:
            self._see_sound(packet)

    def span(self) -> float:
        """Return how many seconds the pictures take so far."""
        return max(self._times) - min(self._times) if self._times else 0.0

    def _see_picture(self, packet: AnyPacket) -> None:
        self.pictures += 1
        time = time_of(packet)
        if time is None:
            return
        self._times.append(float(time))
        if packet.is_keyframe:
            self._keyframes.append(float(time))
        if self._last is None or time >= self._last[0]:
            self._last = (time, packet.duration * packet.time_base if packet.duration else None)

    def _see_sound(self, packet: AnyPacket) -> None:
        self.sound_bytes += packet.size
        time = time_of(packet)
        if time is None:
            return
        if self.sound_start is None:
            self.sound_start = time
        end = time + (packet.duration or 0) * packet.time_base
        if self._sound and time <= self._sound[-1][1] + LONGEST_LAST_SECONDS:
            self._sound[-1] = (self._sound[-1][0], max(end, self._sound[-1][1]))
        else:
            self._sound.append((time, end))

    def times_from(self, start: Fraction) -> Seconds:
        """Return when pictures come, ascending, in seconds after ``start``; none from before it."""
        times = np.sort(np.frombuffer(self._times, np.float64)) - float(start)
        return np.asarray(times[times > -1e-9], np.float64)

    def keyframe_before(self, time: Fraction) -> float | None:
        """Return when the last picture at or before ``time`` comes that needs no others; None where there is none."""
        return max((each for each in self._keyframes if each <= time), default=None)

    def picture_end(self) -> Fraction | None:
        """Return when the last picture ends, in seconds; None where there are no times."""
        if self._last is None:
            return None
        time, duration = self._last
        if duration is None or duration > LONGEST_LAST_SECONDS:
            gaps = np.diff(np.sort(np.frombuffer(self._times, np.float64)))
            duration = Fraction(float(np.median(gaps))) if len(gaps) else Fraction(0)
        return time + duration

    def sound_last(self) -> Fraction | None:
        """Return when the last sound ends, however late, in seconds; None for no sound."""
        return max((last for _, last in self._sound), default=None)

    def sound_end(self, after: Fraction) -> Fraction | None:
        """Return when the sound ends that goes on at ``after``, or starts soon behind it; in seconds.

        None for no sound there. What comes after a silence longer than ``LONGEST_LAST_SECONDS`` does not count.
        """
        end: Fraction | None = None
        for first, last in self._sound:
            if first <= max(after, end or after) + LONGEST_LAST_SECONDS:
                end = max(last, end or last)
        return end


def time_of(packet: AnyPacket) -> Fraction | None:
    """Return when a packet is shown or heard, in seconds; None where it does not say."""
    ticks = packet.pts if packet.pts is not None else packet.dts
    return None if ticks is None else ticks * packet.time_base
