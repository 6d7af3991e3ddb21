"""Mutations that get past checksums and lengths: of parts of a stream or a request, which are then made whole."""

import hashlib
import random
import struct
from collections.abc import Callable

import google_crc32c
from google.protobuf.message import DecodeError

from cmvc.bitstream.packets import CRC_BYTES, PREAMBLE
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2

Mutate = Callable[[bytes], bytes]
SEGMENT, TRAILER = 0x1A, 0x22  # first bytes of the packets


def blind(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with a few bytes changed, added, repeated or left out."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randint(0, len(changed)), rng.choice((1, 1, 2, 4, 16))
        changed[at : at + size] = rng.choice(
            (
                rng.randbytes(size),
                b"",
                changed[at : at + size] * 2,
                bytes([rng.choice((0, 1, 127, 128, 255))]) * size,
                bytes(byte ^ 1 << rng.randint(0, 7) for byte in changed[at : at + size]),
            )
        )
    return bytes(changed)


def packets_of(stream: bytes) -> list[bytes]:
    """Return the packets of a stream without their checksums, as far as their lengths hold."""
    found, at = [], len(PREAMBLE)
    while at < len(stream):
        start, size, shift = at, 0, 0
        at += 1
        while at < len(stream) and shift < 35:
            size |= (stream[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if stream[at - 1] < 128:
                break
        found.append(stream[start : at + size])
        at += size + (CRC_BYTES if stream[start] == SEGMENT else 0)
    return found


def varint(value: int) -> bytes:
    """Return a number as protobuf writes it."""
    raw = b""
    while value > 127:
        raw, value = raw + bytes([value & 127 | 128]), value >> 7
    return raw + bytes([value])


def stream_of(packets: list[bytes]) -> bytes:
    """Return a stream of ``packets`` with checksums and a trailer's hash that hold."""
    data = unchecked = PREAMBLE
    for packet in packets:
        whole = hashed(packet, data) if packet[:1] == bytes([TRAILER]) else packet
        unchecked += whole
        data += whole
        if packet[:1] == bytes([SEGMENT]):
            data += struct.pack("<I", google_crc32c.value(unchecked))
            unchecked = b""
    return data


def hashed(packet: bytes, before: bytes) -> bytes:
    """Return a trailer with the hash of what stands before it, where it can be parsed."""
    try:
        read = pb.Packet.FromString(packet)
    except DecodeError:
        return packet
    read.trailer.sha256 = hashlib.sha256(before).digest()[:4]
    return read.SerializeToString()


def stream(data: bytes, mutate: Mutate, rng: random.Random) -> bytes:
    """Return a stream with one packet changed, doubled, moved or left out."""
    packets = packets_of(data)
    if not packets or rng.random() < 0.1:
        return mutate(data)
    at = rng.randrange(len(packets))
    kind = rng.randrange(8)
    if kind == 0:
        packets.insert(rng.randrange(len(packets)), packets[at])
    elif kind == 1:
        del packets[at]
    else:
        body = mutate(_body(packets[at]))
        packets[at] = packets[at][:1] + varint(len(body)) + body
    return stream_of(packets)


def _body(packet: bytes) -> bytes:
    at = 1
    while at < len(packet) and packet[at] > 127:
        at += 1
    return packet[at + 1 :]


def segment(data: bytes, mutate: Mutate, rng: random.Random) -> bytes:
    """Return a request with one of its coded fields changed, or anything."""
    try:
        request = decoder_pb2.DecodeSegmentRequest.FromString(data)
    except DecodeError:
        return mutate(data)
    coded = request.segment
    fields = [name for name in ("text", "keyframes", "guide", "video", "caption", "motion") if getattr(coded, name)]
    if rng.random() < 0.3 or not fields:
        return mutate(data)
    name = rng.choice(fields)
    setattr(coded, name, mutate(getattr(coded, name)))
    return request.SerializeToString()


MUTATORS = {"stream": stream, "segment": segment}


def mutated(target: str, data: bytes, mutate: Mutate, rng: random.Random) -> bytes:
    """Return another input for ``target``; ``mutate`` changes bytes."""
    structured = MUTATORS.get(target)
    return structured(data, mutate, rng) if structured else mutate(data)
