"""The packets of one video and its sound, out of a container and onto one clock."""

import threading
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.stream import Discard
from av.video.stream import VideoStream

from cmvc.limits import Limits
from cmvc.media import probe
from cmvc.media.continuity import Continuity
from cmvc.media.crop import NO_CROP, crops_of
from cmvc.media.frames import AnyPacket
from cmvc.media.spool import Source
from cmvc.media.tracks import choose_sound

_CLOCK_LEAPS = 0x0200  # AVFMT_TS_DISCONT
_WITHOUT_PTS = {"avi"}  # it knows decoding order alone; what FFmpeg makes of that is wrong with B-frames
_WITH_INDEX = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}  # containers that know where their keyframes are
_STEADY = {"yuv4mpegpipe"}  # one rate for all pictures, and nothing else


class Guard:
    """Keeps FFmpeg's parts from being closed under the hands of another thread.

    Attributes:
        lock: held while FFmpeg works.
        closed: whether that is over.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.closed = False


class Demuxer:
    """Reads a container from its start.

    Attributes:
        container: opened.
        video, sound: the streams that are read; no sound where there is none.
        crop: what the container says is not to be shown of the pictures.
        without_pts: whether packets of video say only when they are decoded.
        damage: why the input could not be read to its end; empty where it could.
    """

    def __init__(self, source: Source, limits: Limits, guard: Guard, sound_track: str = "") -> None:
        """Open ``source`` and choose its video and the sound that ``sound_track`` names (see ``choose_sound``).

        Raises:
            MediaError, NoVideoError, LimitError: see ``open_container`` and ``choose_video``.
            InvalidSettingError: there is no such sound track.
        """
        self._source, self._guard = source, guard
        crops = crops_of(source)
        self.container = probe.open_container(source, limits)
        self.video: VideoStream = probe.choose_video(self.container, limits)
        self.sound: AudioStream | None = choose_sound(self.container, self.video, sound_track, limits)
        self.crop = dict(enumerate(crops)).get(list(self.container.streams.video).index(self.video), NO_CROP)
        self.damage = ""
        streams = [stream for stream in (self.video, self.sound) if stream]
        for stream in self.container.streams:
            if stream not in streams:
                stream.discard = Discard.all
        self._streams = streams
        self._packets = self.container.demux(*streams)
        self._continuity = Continuity(broadcast=bool(self.container.format.flags & _CLOCK_LEAPS))
        self.without_pts = self.container.format.name in _WITHOUT_PTS

    @property
    def steady(self) -> bool:
        """Whether the container can hold nothing but pictures at one rate."""
        return self.container.format.name in _STEADY

    @property
    def can_skip(self) -> bool:
        """Whether packets can be had from a keyframe on: the container knows where it is, and has one clock so far."""
        return self.container.format.name in _WITH_INDEX and not self.leaps

    def skip_to(self, time: float) -> None:
        """Go to the keyframe at ``time`` seconds; of sound, to what stands there."""
        with self._guard.lock:
            base = self.video.time_base or Fraction(1)
            self.container.seek(round(Fraction(time) / base), stream=self.video)
            self._packets = self.container.demux(*self._streams)

    @property
    def unknown_sound(self) -> bool:
        """Whether there is sound whose format FFmpeg cannot tell."""
        return self.sound is None and bool(self.container.streams.audio)

    @property
    def leaps(self) -> int:
        """How often the clock started over or leapt so far."""
        return self._continuity.leaps

    def next(self) -> AnyPacket | None:
        """Return the next packet of either stream; None at the end, or where the input cannot be read any further.

        What a source raises that is not a file passes through.
        """
        packet = self._next()
        self._source.raise_pending()
        if packet is not None and self.without_pts and packet.stream_index == self.video.index:
            packet.pts = None
        if packet is not None:
            self._continuity.move(packet)
        return packet

    def _next(self) -> AnyPacket | None:
        try:
            with self._guard.lock:
                while not self._guard.closed and (packet := next(self._packets, None)) is not None:
                    if packet.size:
                        return packet
        except (av.FFmpegError, ValueError) as error:
            self.damage = f"the input is damaged and was read up to there: {error}"
        return None

    def close(self) -> None:
        """Close the container, not the source."""
        self.container.close()
