"""What counts of a baseline's stream, by streams put together from units of known size."""

import pytest

from benchmarks.rd.elementary import picture_bytes
from cmvc.errors import BitstreamError


def obu(kind: int, size: int) -> bytes:
    return bytes([kind << 3 | 2, size]) + bytes(size)


def test_temporal_delimiters_metadata_and_padding_are_no_pictures() -> None:
    data = obu(2, 0) + obu(1, 10) + obu(5, 7) + obu(6, 100) + obu(2, 0) + obu(15, 3) + obu(3, 1)
    assert picture_bytes(data, ".obu") == 12 + 102 + 3


@pytest.mark.parametrize(
    ("suffix", "heads"),
    [
        # Parameter set, text, delimiter, filler and picture, by the first two bytes of their NAL units.
        (".h264", (b"\x67\x64", b"\x06\x05", b"\x09\x10", b"\x0c\xff", b"\x65\x88")),
        (".h265", (b"\x40\x01", b"\x4e\x01", b"\x46\x01", b"\x4c\x01", b"\x26\x01")),
        (".h266", (b"\x00\x79", b"\x00\xb9", b"\x00\xa1", b"\x00\xc9", b"\x00\x39")),
    ],
)
def test_sei_delimiters_and_filler_are_no_pictures(suffix: str, heads: tuple[bytes, ...]) -> None:
    parameters, text, delimiter, filler, picture = heads
    data = b"\0\0\0\1" + parameters + b"\x11" * 20
    data += b"\0\0\1" + text + b"x264 - core" + b"\0\0\0\1" + delimiter + b"\0\0\1" + filler + b"\xff" * 9
    data += b"\0\0\0\1" + picture + b"\x22" * 300
    assert picture_bytes(data, suffix) == (4 + 2 + 20) + (4 + 2 + 300)


def test_a_vvc_suffix_sei_does_not_count_either() -> None:
    assert picture_bytes(b"\0\0\1\0\x39\x22" + b"\0\0\1\0\xc1\x01", ".h266") == 6


@pytest.mark.parametrize("data", [b"", b"text", b"\x01\0\0\1\x67\x64", b"\0\0\1\x67\0\0\1\x65\x88"])
def test_what_is_no_annex_b_stream_is_refused(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        picture_bytes(data, ".h264")
