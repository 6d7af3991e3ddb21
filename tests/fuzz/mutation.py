"""Mutations that get past checksums and lengths: of parts of a stream or a request, which are then made whole."""

import hashlib
import random
import struct
from collections.abc import Callable, Iterable, Iterator

import google_crc32c
from av1_streams import A_STREAM, drawn
from google.protobuf.message import DecodeError

from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.payload import packed
from cmvc.bitstream.av1pack.stream import ObuType
from cmvc.bitstream.packets import CRC_BYTES, PREAMBLE
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2
from fuzz.targets import messages_of

Mutate = Callable[[bytes], bytes]
SEGMENT, TRAILER = 0x1A, 0x22  # first bytes of the packets
CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"moof", b"traf", b"mvex"}  # of boxes


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


def payload(data: bytes, mutate: Mutate, rng: random.Random) -> bytes:
    """Return a packed payload changed, or one of headers drawn along the syntax of AV1."""
    if rng.random() < 0.8:
        return mutate(data)

    def draw(low: int, high: int) -> int:
        chance = rng.random()
        return low if chance < 0.55 else min(high, low + 1) if chance < 0.7 else rng.randint(low, high)

    kinds = [ObuType.SEQUENCE_HEADER, *rng.choices(list(ObuType), k=4)] if rng.random() < 0.5 else A_STREAM
    try:
        return packed(drawn(draw, kinds, {} if rng.random() < 0.3 else {"show_existing_frame": 0}))
    except NotPackableError:
        return mutate(data)


def media(data: bytes, mutate: Mutate, rng: random.Random) -> bytes:
    """Return how to read, and an MP4 with one box changed and the sizes of those around it mended, or anything."""
    how = bytes([rng.randrange(16)]) if rng.random() < 0.2 else data[:1]
    return how + _video(data[1:], mutate, rng)


def _video(data: bytes, mutate: Mutate, rng: random.Random) -> bytes:
    boxes = list(_boxes(data, 0, len(data)))
    if not boxes or rng.random() < 0.3:
        return mutate(data)
    start, end, around = rng.choice(boxes)
    body = mutate(data[start + 8 : end])
    changed = bytearray(
        data[:start] + struct.pack(">I", len(body) + 8) + data[start + 4 : start + 8] + body + data[end:]
    )
    for at in around:
        size = int.from_bytes(changed[at : at + 4], "big") + len(body) - (end - start - 8)
        changed[at : at + 4] = struct.pack(">I", size & 0xFFFFFFFF)
    return bytes(changed)


def _boxes(data: bytes, at: int, end: int, around: tuple[int, ...] = ()) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Yield where boxes of an MP4 start and end, and where those around them start."""
    while at + 8 <= end:
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if not 8 <= size <= end - at or not kind.isalnum():
            return
        yield at, at + size, around
        if kind in CONTAINERS:
            yield from _boxes(data, at + 8, at + size, (*around, at))
        at += size


def answers(data: bytes, mutate: Mutate, rng: random.Random) -> bytes:
    """Return messages of a process that reads media, one of them changed, doubled, moved or left out."""
    messages = messages_of(data)
    if not messages:
        return mutate(data)
    at = rng.randrange(len(messages))
    kind = rng.randrange(6)
    if kind == 0:
        messages.insert(rng.randrange(len(messages)), messages[at])
    elif kind == 1:
        del messages[at]
    else:
        messages[at] = messages[at][:1] + mutate(messages[at][1:])
    return answers_of(messages)


def answers_of(messages: Iterable[bytes]) -> bytes:
    """Return messages as an input for ``answers``."""
    return b"".join(len(each).to_bytes(2, "big") + each for each in (part[:0xFFFF] for part in messages) if each)


MUTATORS = {"stream": stream, "segment": segment, "payload": payload, "media": media, "answers": answers}


def mutated(target: str, data: bytes, mutate: Mutate, rng: random.Random) -> bytes:
    """Return another input for ``target``; ``mutate`` changes bytes."""
    structured = MUTATORS.get(target)
    return structured(data, mutate, rng) if structured else mutate(data)
