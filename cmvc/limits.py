"""The one place that says how large anything from outside may be, and which kinds of media are read."""

from dataclasses import dataclass
from fractions import Fraction

from cmvc.errors import LimitError


@dataclass(frozen=True)
class Limits:
    """Upper bounds on everything that is read from outside, checked before anything is allocated for it."""

    width: int = 7680  # pixels; 8K UHD
    height: int = 7680  # pixels; as wide, because of portrait video
    pixels: int = 7680 * 4320
    frame_rate: int = 240  # frames per second
    seconds_per_frame: int = 60
    rational_term: int = (1 << 31) - 1  # numerator or denominator of a frame rate or pixel aspect
    code_point: int = 255  # of ITU-T H.273
    quarter_turns: int = 3
    audio_channels: int = 8
    audio_sample_rate: int = 384_000  # samples per second
    audio_packet_samples: int = 384_000
    audio_skip_samples: int = 3_840_000
    audio_config_bytes: int = 900  # written; with metadata it has to fit a header
    stream_frames: int = 1 << 31  # of which MP4 numbers its fragments with 32 bits
    segment_seconds: int = 10  # of more than one frame
    segment_frames: int = 2400  # segment_seconds at frame_rate
    segment_pixels: int = 8 << 30  # of all its frames; 10 s of 4K at 100 frames/s, of 8K at 25
    segment_pixel_steps: int = 1 << 34  # that a model makes for one: 10 s of 1080p at 24 frames/s in 30 steps
    call_pixel_steps: int = 1 << 39  # likewise for all that a call asks for: half an hour of 480p
    # Of all frames that a call asks for: 6 h of 1080p at 24 frames/s from text alone, which takes next to no bytes, and
    # so many more for each byte of its segments. Coded video has that picture in 3 kbit/s at the least, which is this
    # rate: what is really carried is not bounded, however long it is, and what a few bytes claim is.
    call_pixels: int = 1 << 40
    call_pixels_per_byte: int = 1 << 17
    segment_bytes: int = 8 << 20
    header_bytes: int = 4096  # header packet, audio configuration included
    metadata_bytes: int = 3072  # title, chapters and language, within the header packet
    metadata_text_bytes: int = 255  # the title, or the name of a chapter; what MP4 has room for
    language_bytes: int = 35  # the longest tag that BCP 47 asks software to take
    chapters: int = 255  # what MP4 has room for
    profile_table_bytes: int = 64 << 10
    profiles: int = 64
    segments: int = 1 << 20
    trailer_bytes: int = 8 << 20
    unknown_packet_bytes: int = 8 << 20
    text_bytes: int = 4096  # one text, decompressed
    keyframes: int = 64  # in one segment
    keyframe_pixels: int = 4096 * 2304  # of one; a generator's fields of motion take 100 bytes for each
    anchor_pixels: int = 128 << 20  # of all keyframes of one segment together
    obus: int = 64 * 2400  # in one segment
    packed_obus: int = 3 * 2400  # in one packed AV1 payload; some seconds of unpacking
    motion_cells: int = 1 << 16  # of all control times in one motion track; about a second of decoding
    audio_packets: int = 2048  # in one segment
    chunk_bytes: int = 1 << 20  # one chunk of a gRPC stream
    segment_notes: int = 32  # that a decoder says of one segment
    stream_notes: int = 256  # that are kept of all segments of a stream
    prologue_bytes: int = 1 << 20  # what stands before the first segment of an output: the initialisation of MP4
    tail_bytes: int = 8 << 20  # the few pictures that the next segment goes on from; as a segment's
    spool_bytes: int = 4 << 30  # temporary file for inputs that need seeking
    media_bytes: int = 6 << 30  # address space of a process that reads media (see cmvc.media.isolated)
    containers: tuple[str, ...] = ()  # that are read, by FFmpeg's names; none for all
    decoders: tuple[str, ...] = ()  # likewise
    crf: int = 51  # of 8-bit H.264
    y4m_pixels: int = 1920 * 1088  # raw output is for measurement

    def check(self, name: str, value: int, field: str = "") -> int:
        """Return ``value`` if it is within the limit called ``name``; ``field`` of a request is where it comes from.

        Raises:
            LimitError: it is not; the message names the limit and both numbers.
        """
        bound: int = getattr(self, name)
        if not 0 <= value <= bound:
            raise LimitError(f"{name.replace('_', ' ')}: {value} is over the limit of {bound}", field=field)
        return value

    def check_segment(self, frames: int, rate: Fraction, pixels: int) -> int:
        """Return ``frames`` where a segment of so many, of ``pixels`` each, at ``rate`` a second is within the limits.

        What a decoder has to make follows from these alone, however few bytes ask for it.

        Raises:
            LimitError: it has too many frames, several that last too long, or too many pixels in all.
        """
        self.check("segment_frames", frames)
        self.check("segment_pixels", frames * pixels)
        if frames > 1 and frames > self.segment_seconds * rate:
            raise LimitError(f"segment seconds: {float(frames / rate):.1f} is over the limit of {self.segment_seconds}")
        return frames


DEFAULT_LIMITS = Limits()
