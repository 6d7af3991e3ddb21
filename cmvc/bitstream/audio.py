"""Audio packets: which segment they belong to, and how a segment stores them."""

from fractions import Fraction
from itertools import accumulate

from cmvc.errors import CorruptStreamError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.v1 import bitstream_pb2 as pb


def first_packet(track: pb.AudioTrack, rate: Fraction, frame: int) -> int:
    """Return the number of the first audio packet of a segment that starts with ``frame``.

    Packet n starts ``(n * packet_samples - skip_samples) / sample_rate`` seconds after frame 0 and belongs to the
    segment within which it starts; those that start before frame 0 belong to the first segment.

    Args:
        track: of the stream.
        rate: frames per second.
        frame: number of the segment's first frame in the stream.
    """
    if frame == 0:
        return 0
    samples = frame / rate * track.sample_rate + track.skip_samples
    return -(-samples // track.packet_samples)


def pack_audio(packets: list[bytes]) -> pb.SegmentAudio:
    """Return the packets as a segment stores them; packets of one size have it stored once."""
    sizes = [len(packet) for packet in packets]
    return pb.SegmentAudio(data=b"".join(packets), sizes=sizes[:1] if len(set(sizes)) == 1 else sizes)


def unpack_audio(audio: pb.SegmentAudio, limits: Limits = DEFAULT_LIMITS) -> list[bytes]:
    """Return the packets of a segment.

    Raises:
        CorruptStreamError: the sizes do not add up to the data.
        LimitError: there are more packets than ``limits`` allow.
    """
    limits.check("audio_packets", len(audio.sizes))
    total, sizes = len(audio.data), list(audio.sizes)
    if not total and not sizes:
        return []
    if len(sizes) == 1 and sizes[0] and total % sizes[0] == 0:
        limits.check("audio_packets", total // sizes[0])
        sizes *= total // sizes[0]
    if sum(sizes) != total or 0 in sizes:
        raise CorruptStreamError(f"audio packet sizes add up to {sum(sizes)} bytes, the data has {total}")
    ends = accumulate(sizes)
    return [audio.data[end - size : end] for end, size in zip(ends, sizes, strict=True)]
