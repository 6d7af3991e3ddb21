import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.errors import ChecksumError, InvalidMessageError, LimitError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.v1 import common_pb2
from cmvc.wire.transfer import checked, make_chunk, make_chunks


@given(st.binary(max_size=2000))
def test_chunk_round_trips(data):
    assert checked(make_chunk(data)) == data


@given(st.binary(min_size=1, max_size=200), st.data())
def test_any_flipped_bit_is_noticed(data, draw):
    bit = draw.draw(st.integers(0, 8 * len(data) - 1))
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ChecksumError):
        checked(common_pb2.Chunk(data=bytes(damaged), crc32c=make_chunk(data).crc32c))


def test_known_checksum():
    assert make_chunk(b"123456789").crc32c == 0xE3069283  # RFC 3720's check value


def test_oversized_chunk_is_refused():
    data = bytes(DEFAULT_LIMITS.chunk_bytes + 1)
    with pytest.raises(LimitError):
        checked(make_chunk(data))
    pieces = list(make_chunks(data))
    assert b"".join(map(checked, pieces)) == data


def test_a_missing_checksum_is_called_missing():
    with pytest.raises(InvalidMessageError, match="no crc32c, which is required") as raised:
        checked(common_pb2.Chunk(data=b"123456789"))
    assert raised.value.field == "chunk.crc32c"


def test_a_checksum_of_0_may_be_left_out():
    assert checked(common_pb2.Chunk()) == b""  # as clients of before 0.2.0 send it
    assert make_chunk(b"").HasField("crc32c")
