"""One clock from timestamps that start over or leap, as in transport streams that were joined.

All streams of a container share a clock. Where it starts over, everything after moves by one amount, so that sound and
picture stay together; each stream crosses the seam at its own packet, since their packets are not in step. A picture
that stands for long is no leap, so a gap counts as one only where no other stream goes on through it.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from cmvc.media.frames import AnyPacket

LONGEST_STAND_SECONDS = 3600  # a longer gap, with no other stream in it, is a leap of the clock
_LONGEST_ALONE_IN_BROADCAST = 120  # the same for the only stream of a container whose clocks are known to leap
_APART_SECONDS = 10.0  # streams are interleaved more closely than this; so far apart, ffmpeg takes it for a leap too
_BACK_SECONDS = 0.1  # decoding times go back by no more unless the clock starts over
_OVERLAP_SECONDS = 0.12  # by which one stream may outlast the other at a seam, to the length of a packet of sound


@dataclass
class _Track:
    """One stream as far as it was read, in seconds.

    Attributes:
        offset: from the container's clock to ours.
        clock: the latest decoding time that was said.
        reached: how far the stream has come by these, on our clock.
        end: of what is shown last, on our clock.
        gap: from one packet to the next; stands in for a duration that is not known.
    """

    offset: Fraction
    clock: float
    reached: float
    end: float
    gap: float = 0.0


class Continuity:
    """Moves packets, given in the order of the container, onto one clock that never starts over.

    Attributes:
        leaps: how often the clock started over or leapt; such gaps are closed.
    """

    def __init__(self, *, broadcast: bool) -> None:
        """Start a clock; ``broadcast`` for containers whose clocks are known to leap (transport streams)."""
        self._broadcast = broadcast
        self._tracks: dict[int, _Track] = {}
        self._offset = Fraction(0)  # from the last seam on
        self.leaps = 0

    def move(self, packet: AnyPacket) -> None:
        """Move the packet's times; one without any stays as it is."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None:
            return
        base = packet.time_base
        shown = float(ticks * base)
        track = self._tracks.get(packet.stream_index)
        if track is None:
            offset = float(self._offset)
            track = _Track(self._offset, -math.inf, shown + offset, shown + offset)
            self._tracks[packet.stream_index] = track
        if packet.dts is not None:
            self._follow(track, float(packet.dts * base), shown, base)
        length = float(packet.duration * base) if packet.duration else track.gap
        track.reached = max(track.clock + float(track.offset) + length, track.reached)
        track.end = max(track.end, shown + float(track.offset) + length)
        if track.offset:
            moved = round(track.offset / base)
            packet.pts = None if packet.pts is None else packet.pts + moved
            packet.dts = None if packet.dts is None else packet.dts + moved

    def _follow(self, track: _Track, clock: float, shown: float, base: Fraction) -> None:
        """Take the stream to a packet, across a seam where there is one."""
        if track.clock == -math.inf:
            track.clock = clock
        elif self._leaps(track, clock):
            self._cross(track, shown, base)
            track.reached = clock + float(track.offset)
        else:
            track.gap = clock - track.clock or track.gap
        track.clock = clock

    def _leaps(self, track: _Track, clock: float) -> bool:
        """Say whether the clock is another one from this packet on."""
        if track.clock - clock > _BACK_SECONDS:
            return True
        moved = clock + float(track.offset)
        ahead = moved - track.reached
        if ahead <= _APART_SECONDS:
            return False
        if track.offset != self._offset and abs(clock + float(self._offset) - track.reached) < ahead:
            return True  # another stream has crossed the same seam
        return ahead > self._longest() and moved - max(each.reached for each in self._tracks.values()) > _APART_SECONDS

    def _longest(self) -> float:
        """Return the longest gap, in seconds, that no stream goes on through and that is still believed."""
        if not self._broadcast:
            return LONGEST_STAND_SECONDS
        return _LONGEST_ALONE_IN_BROADCAST if len(self._tracks) == 1 else _APART_SECONDS

    def _cross(self, track: _Track, shown: float, base: Fraction) -> None:
        """Give the stream the offset of the seam that another stream has crossed, or begin a new one."""
        known = track.offset != self._offset and abs(shown + float(self._offset) - track.end) <= _APART_SECONDS
        if not known:
            front = max(each.end for each in self._tracks.values())
            due = track.end if front - track.end <= _OVERLAP_SECONDS else front
            self._offset = round(Fraction(due - shown) / base) * base
            self.leaps += 1
        track.offset = self._offset
