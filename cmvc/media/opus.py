"""Opus: an encoder whose rate follows the sound, and packets of silence that cost a byte or two."""

from fractions import Fraction
from typing import TypeAlias

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from cmvc.errors import InvalidSettingError

Samples: TypeAlias = NDArray[np.float32]

OPUS_RATE = 48_000  # the clock of Opus, whatever is inside
LEAST_BITS_PER_SECOND = 5_000  # asked for less, the encoder takes nearly as much, for speech that is hardly understood
MOST_BITS_PER_SECOND = 256_000
_SPEECH_BITS_PER_SECOND = 16_000  # up to here Opus does better in its speech mode
_PACKET_MS = 60
_SILENCE_RMS = 10 ** (-70 / 20)  # of full scale; quieter is not heard at any usual volume
_HANGOVER_PACKETS = 4  # of silence that are sent, so that a decoder has come to rest before it goes on by itself


class OpusStream:
    """Encodes to packets of 60 ms, at a rate that follows the sound.

    Speech, noise and music take the rate asked for or less; a steady tone, below 16 kbit/s, up to a quarter more.

    Attributes:
        channels: 1 or 2.
        packet_samples: of 48 kHz in each packet.
        head: as MP4 stores it, the OpusHead of RFC 7845.
    """

    def __init__(self, layout: str, bits_per_second: int) -> None:
        """Start encoding ``layout`` (``mono`` or ``stereo``) at 5000..256000 bit/s.

        Raises:
            InvalidSettingError: the bit rate is out of range.
        """
        if not LEAST_BITS_PER_SECOND <= bits_per_second <= MOST_BITS_PER_SECOND:
            raise InvalidSettingError(
                f"Opus at {bits_per_second} bit/s: give between {LEAST_BITS_PER_SECOND} and {MOST_BITS_PER_SECOND}"
            )
        self._layout = layout
        self._encoder = _open_encoder(layout, bits_per_second)
        self.channels, self.packet_samples = self._encoder.channels, self._encoder.frame_size
        self.head = self._encoder.extradata or b""
        self._pauses = Pauses()
        self._samples = 0

    def encode(self, samples: Samples) -> list[bytes]:
        """Return the packets that one packet's worth of samples makes complete.

        Args:
            samples: (``packet_samples``, ``channels``), -1..1.
        """
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="flt", layout=self._layout)
        frame.sample_rate = OPUS_RATE
        frame.pts, frame.time_base = self._samples, Fraction(1, OPUS_RATE)
        self._samples += self.packet_samples
        return [self._pauses.shortened(bytes(packet), samples) for packet in self._encoder.encode(frame)]

    def finish(self) -> list[bytes]:
        """Return the last packets."""
        rest = np.zeros((0, self.channels), np.float32)
        return [self._pauses.shortened(bytes(packet), rest) for packet in self._encoder.encode(None)]


def _open_encoder(layout: str, bits_per_second: int) -> AudioCodecContext:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate = OPUS_RATE
    encoder.layout = layout
    encoder.format = "flt"
    encoder.bit_rate = bits_per_second
    encoder.time_base = Fraction(1, OPUS_RATE)
    application = "voip" if bits_per_second <= _SPEECH_BITS_PER_SECOND else "audio"
    encoder.options = {"vbr": "constrained", "frame_duration": str(_PACKET_MS), "application": application}
    encoder.open()
    return encoder


class Pauses:
    """Discontinuous transmission, which FFmpeg's wrapper of libopus does not offer.

    Once a few packets of silence were sent, further ones are cut down to what says how long they last. A decoder
    conceals those (RFC 6716, section 2.1.9): it goes on as before, that is, with silence.
    """

    def __init__(self) -> None:
        """Start with sound."""
        self._silent = 0

    def shortened(self, packet: bytes, samples: Samples) -> bytes:
        """Return what to send for the next packet.

        Args:
            packet: as it was encoded.
            samples: that it was encoded from, -1..1, in any shape.
        """
        power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
        self._silent = self._silent + 1 if power <= _SILENCE_RMS**2 else 0
        return pause_of(packet) if self._silent > _HANGOVER_PACKETS else packet


def pause_of(packet: bytes) -> bytes:
    """Return a packet that lasts as long as ``packet`` and has nothing in it (RFC 6716, section 3.2)."""
    toc, code = packet[0] & 0xFC, packet[0] & 3
    if code == 0:
        return bytes([toc])
    if code < 3:
        return bytes([toc | 1])  # two frames of equal size
    return bytes([toc | 3, packet[1] & 63])  # as many frames, of equal size, without padding
