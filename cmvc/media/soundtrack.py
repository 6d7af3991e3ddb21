"""The sound beside the pictures: made as far as the pictures have come, and no further."""

from collections.abc import Iterator
from fractions import Fraction

from cmvc.errors import MediaError
from cmvc.media.audio import AudioPacket, AudioSource, OpusEncoder, PacketCopy, packet_start
from cmvc.media.frames import AnyPacket
from cmvc.media.lanes import Lanes, Wait
from cmvc.notes import Note
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import encoder_pb2


def open_soundtrack(lanes: Lanes, start: Fraction, audio: encoder_pb2.AudioConfig) -> "Soundtrack | None":
    """Return the sound of a video, None where it has none.

    Args:
        lanes: that it comes from.
        start: of frame 0 on the container's clock, in seconds.
        audio: what to do with the sound.

    Raises:
        MediaError: it cannot be treated as asked.
        InvalidSettingError: the bit rate is out of range.
    """
    stream = lanes.sound
    if stream is None:
        return None
    if audio.WhichOneof("treatment") == "opus_bits_per_second":
        return Soundtrack(lanes, start, OpusEncoder(stream, start, audio.opus_bits_per_second), None)
    if not audio.copy:
        return None
    first = lanes.next_sound(None)
    if first is None:
        return None
    if isinstance(first, Wait):
        raise MediaError(
            "no sound comes near the start, and from a pipe it cannot be copied without having seen it; "
            "give the file itself, or have it encoded (opus:16k)"
        )
    return Soundtrack(lanes, start, PacketCopy(stream, start, first), first)


class Soundtrack:
    """The sound of a video being read."""

    def __init__(self, lanes: Lanes, start: Fraction, source: AudioSource, first: AnyPacket | None) -> None:
        """Take the packets of ``lanes``, after ``first``, to frame 0 at ``start`` on their clock, in seconds."""
        self._lanes, self._start, self._source = lanes, start, source
        self._first = first
        self._until = Fraction(0)  # where the pictures are, in seconds after frame 0
        self._next: AudioPacket | None = None
        self._packets = self._all()
        self._filled = False

    @property
    def track(self) -> pb.AudioTrack:
        """How the packets are to be understood."""
        return self._source.track

    def before(self, time: Fraction) -> Iterator[AudioPacket]:
        """Yield the packets, not yet taken, that start before ``time`` seconds.

        Raises:
            MediaError: a packet cannot be carried.
        """
        self._until = time
        while True:
            if self._next is None:
                self._next = next(self._packets, None)
            if self._next is None or packet_start(self.track, self._next.index) >= time:
                return
            packet, self._next = self._next, None
            yield packet

    def notes(self) -> Iterator[str]:
        """Yield what the user should know."""
        if self._source.damaged:
            yield Note.SOURCE_DAMAGED.line(f"{self._source.damaged} damaged packets of the sound were left out")
        if self._filled:
            text = "the sound lags far behind the picture in the input; where it had not come yet, silence was put"
            yield Note.SILENCE_PUT.line(text)

    def _all(self) -> Iterator[AudioPacket | None]:
        """Yield packet by packet; None where no more of them come for now."""
        if self._first is not None:
            yield from self._source.packets(self._first)
        while (packet := self._lanes.next_sound(self._start + self._until)) is not None:
            if isinstance(packet, Wait):
                self._filled = True
                yield from self._source.silence(self._until)
                yield None
            else:
                yield from self._source.packets(packet)
        yield from self._source.packets(None)
