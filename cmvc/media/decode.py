"""Packets of video to frames, each with the time at which it is shown."""

import heapq
from fractions import Fraction

import av
from av.video.frame import VideoFrame

from cmvc.limits import Limits
from cmvc.media import probe
from cmvc.media.demux import Demuxer, Guard
from cmvc.media.frames import AnyPacket

_MOST_HELD = 64  # packets in a decoder: 16 pictures out of order, and those that its threads work at


class FrameDecoder:
    """Decodes the video of one container.

    Where its packets have decoding times alone, the frames, which come in the order in which they are shown, get these
    in ascending order.

    Attributes:
        damaged: how many packets or frames were damaged so far.
        name: of the codec.
    """

    def __init__(self, demuxer: Demuxer, limits: Limits, guard: Guard) -> None:
        self._context = probe.make_decoder(demuxer.video, limits)
        self._limits, self._guard = limits, guard
        self._without_pts = demuxer.without_pts
        self._times: list[int] = []  # of packets whose frames are still to come, a heap
        self._ended = False
        self._no_more = av.Packet()  # unlike none at all, it lets the frames that are left know their time base
        self._no_more.time_base = demuxer.video.time_base or Fraction(1)
        self.damaged = 0
        self.name = self._context.name

    def decode(self, packet: AnyPacket | None) -> list[VideoFrame]:
        """Return what becomes ready with a packet, at the end (None) all that is left.

        Raises:
            LimitError: a frame is too large.
        """
        if self._ended:
            return []
        self._ended = packet is None
        if packet is not None and self._without_pts and packet.dts is not None:
            heapq.heappush(self._times, packet.dts)
        try:
            with self._guard.lock:
                frames = [] if self._guard.closed else self._context.decode(packet or self._no_more)
        except (av.FFmpegError, ValueError):
            self.damaged += 1
            if self._without_pts and packet is not None:
                self._times = sorted(set(self._times) - {packet.dts})
            return []
        for frame in frames:
            probe.check_size(frame.width, frame.height, self._limits)
            self.damaged += frame.is_corrupt
            if self._without_pts and self._times:
                frame.pts = heapq.heappop(self._times)
        while len(self._times) > _MOST_HELD:  # of frames that were lost
            heapq.heappop(self._times)
        return frames
