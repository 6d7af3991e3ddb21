"""Byte streams in chunks: the one place that cuts and checks them, for clients and servers alike."""

from collections.abc import Iterator

import google_crc32c

from cmvc.errors import ChecksumError, InvalidMessageError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.v1 import common_pb2

CHUNK_BYTES = 256 << 10  # large enough that a message costs nothing beside its bytes, small enough to flow


def make_chunk(data: bytes) -> common_pb2.Chunk:
    """Return ``data`` (at most ``Limits.chunk_bytes``) with its checksum."""
    return common_pb2.Chunk(data=data, crc32c=google_crc32c.value(data))


def make_chunks(data: bytes) -> Iterator[common_pb2.Chunk]:
    """Yield ``data`` in pieces that fit a message."""
    if len(data) <= DEFAULT_LIMITS.chunk_bytes:
        yield make_chunk(data)
        return
    for start in range(0, len(data), CHUNK_BYTES):
        yield make_chunk(data[start : start + CHUNK_BYTES])


def checked(chunk: common_pb2.Chunk, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the chunk's bytes.

    Raises:
        InvalidMessageError: the checksum is missing.
        ChecksumError: they are not what was sent.
        LimitError: they are too many.
    """
    data = chunk.data
    limits.check("chunk_bytes", len(data), field="chunk.data")
    if google_crc32c.value(data) != chunk.crc32c:
        if not chunk.HasField("crc32c"):  # senders of before 0.2.0 leave out one that is 0
            raise InvalidMessageError(
                "a chunk has no crc32c, which is required; send the CRC32C (RFC 3720) of its data along",
                field="chunk.crc32c",
            )
        raise ChecksumError(f"a chunk of {len(data)} bytes was damaged on its way; send it again")
    return data
