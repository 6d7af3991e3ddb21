"""Framing: packets to bytes and back, with nothing trusted on the way in.

A stream is ``MAGIC``, one format version byte, then packets. A serialised ``Packet`` with its one field set is
``tag, varint length, body``, so it frames itself. Behind a segment stand four bytes of CRC32C (RFC 3720, little endian)
over all bytes since the last of them; in format version 1 they stood behind every packet.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import google_crc32c
from google.protobuf.message import DecodeError

from cmvc.errors import CorruptStreamError, LimitError, NotCmvcError, TruncatedStreamError, UnsupportedVersionError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.v1 import bitstream_pb2 as pb

MAGIC = b"CMVC"
FORMAT_VERSION = 2
FIRST_VERSION = 1
PREAMBLE = MAGIC + bytes([FORMAT_VERSION])
CRC_BYTES = 4
_SEGMENT = 3  # field of Packet
_LENGTH_DELIMITED = 2  # protobuf wire type
_LIMIT_OF_KIND = {1: "header_bytes", 2: "profile_table_bytes", 3: "segment_bytes", 4: "trailer_bytes"}


class ByteSource(Protocol):
    """Anything that ``read``s; at most ``size`` bytes come back, none at the end."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes."""


@dataclass(frozen=True)
class ReadPacket:
    """One packet with its place in the stream: ``offset`` and ``size`` in bytes, CRC included."""

    packet: pb.Packet
    offset: int
    size: int


def serialise(packet: pb.Packet) -> bytes:
    """Return the packet's own bytes."""
    return packet.SerializeToString(deterministic=True)


def check_size(packet: pb.Packet, limits: Limits) -> None:
    """Return if the packet is no larger than ``read_packets`` with the same limits takes it.

    Raises:
        LimitError: it is.
    """
    kind = packet.WhichOneof("kind")
    assert kind is not None
    number = packet.DESCRIPTOR.fields_by_name[kind].number
    limits.check(_LIMIT_OF_KIND[number], getattr(packet, kind).ByteSize())


def frame_packet(packet: pb.Packet, unchecked: bytes = b"") -> bytes:
    """Return a segment's packet as it stands in a stream, with the CRC of ``unchecked`` bytes before it and its own."""
    body = serialise(packet)
    return body + struct.pack("<I", google_crc32c.value(unchecked + body))


class _Reader:
    """Reads exactly as much as is asked for, and knows where it is.

    Attributes:
        offset: in bytes from the start.
        unchecked: CRC32C of the bytes since it was last set to 0.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.offset = 0
        self.unchecked = 0

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end of the stream."""
        parts: list[bytes] = []
        missing = size
        while missing and (part := self._source.read(missing)):
            parts.append(part)
            missing -= len(part)
        data = b"".join(parts)
        self.offset += len(data)
        self.unchecked = google_crc32c.extend(self.unchecked, data)
        return data

    def read_exactly(self, size: int, what: str) -> bytes:
        start = self.offset
        data = self.read(size)
        if len(data) < size:
            raise TruncatedStreamError(f"the stream ends within {what}", start + len(data))
        return data

    def read_varint(self, first: bytes = b"") -> tuple[int, bytes]:
        """Return a varint of at most five bytes with its own bytes."""
        raw = first
        while True:
            if raw and raw[-1] < 0x80:
                break
            if len(raw) == 5:
                raise CorruptStreamError("a length or tag is longer than five bytes", self.offset)
            raw += self.read_exactly(1, "a packet's length")
        value = 0
        for shift, byte in enumerate(raw):
            value |= (byte & 0x7F) << (7 * shift)
        return value, raw


def read_packets(source: ByteSource, limits: Limits = DEFAULT_LIMITS) -> Iterator[ReadPacket]:
    """Yield the packets of a stream in order, each whole. With a segment's, all before it are verified.

    Args:
        source: the stream from its first byte.
        limits: what sizes to believe.

    Raises:
        NotCmvcError: the stream does not start as one.
        UnsupportedVersionError: it was written in a newer format version.
        TruncatedStreamError: it ends within a packet, or without a trailer; raised after the last whole packet.
        CorruptStreamError: a checksum or a packet's contents do not hold; raised after the last whole packet.
        LimitError: a packet claims to be larger than ``limits`` allow.
    """
    reader = _Reader(source)
    version = _check_preamble(reader.read(len(PREAMBLE)))
    yield from _read_on(reader, limits, version)


def read_packets_from(source: ByteSource, offset: int, limits: Limits = DEFAULT_LIMITS) -> Iterator[ReadPacket]:
    """Yield the packets of a stream of ``FORMAT_VERSION`` from a segment on that follows another.

    Args:
        source: the stream from ``offset`` on.
        offset: of the segment's packet in the stream, in bytes.
        limits: what sizes to believe.

    Raises:
        TruncatedStreamError, CorruptStreamError, LimitError: see ``read_packets``.
    """
    reader = _Reader(source)
    reader.offset = offset
    yield from _read_on(reader, limits, FORMAT_VERSION)


def _read_on(reader: _Reader, limits: Limits, version: int) -> Iterator[ReadPacket]:
    while True:
        start = reader.offset
        if version == FIRST_VERSION:
            reader.unchecked = 0
        first = reader.read(1)
        if not first:
            raise TruncatedStreamError("the stream ends without its trailer", start)
        packet = _read_packet(reader, first, start, limits, version)
        yield ReadPacket(packet, start, reader.offset - start)
        if packet.WhichOneof("kind") == "trailer":
            return


def _check_preamble(preamble: bytes) -> int:
    """Return the format version."""
    if preamble[: len(MAGIC)] != MAGIC[: len(preamble)] or not preamble:
        raise NotCmvcError("this is not a CMVC stream; it should start with 'CMVC'", 0)
    if len(preamble) < len(PREAMBLE):
        raise TruncatedStreamError("the stream ends within its first five bytes", len(preamble))
    if not FIRST_VERSION <= preamble[-1] <= FORMAT_VERSION:
        raise UnsupportedVersionError(
            f"format version {preamble[-1]} is not supported, only up to {FORMAT_VERSION}; update cmvc-sdk", len(MAGIC)
        )
    return preamble[-1]


def _read_packet(reader: _Reader, first: bytes, start: int, limits: Limits, version: int) -> pb.Packet:
    tag, raw_tag = reader.read_varint(first)
    if tag & 7 != _LENGTH_DELIMITED or tag >> 3 == 0:
        raise CorruptStreamError(f"no packet starts with tag {tag}", start)
    length, raw_length = reader.read_varint()
    try:
        limits.check(_LIMIT_OF_KIND.get(tag >> 3, "unknown_packet_bytes"), length)
    except LimitError as error:
        raise LimitError(f"{error} (packet at byte {start})") from None
    body = raw_tag + raw_length + reader.read_exactly(length, "a packet")
    if version == FIRST_VERSION or tag >> 3 == _SEGMENT:
        expected = reader.unchecked
        (checksum,) = struct.unpack("<I", reader.read_exactly(CRC_BYTES, "a packet's checksum"))
        if checksum != expected:
            raise CorruptStreamError("a packet's checksum does not hold", start)
        reader.unchecked = 0
    try:
        return pb.Packet.FromString(body)
    except DecodeError as error:
        raise CorruptStreamError(f"a packet cannot be parsed: {error}", start) from None
