"""Packed AV1: what comes back is what went in, whoever made it, and nothing else does any harm."""

import hashlib
import io
import json
import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cmvc.bitstream.av1pack.bits import BitReader, BitWriter
from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.kinds import UVLC, Subexp, below, bits, counted, signed
from cmvc.bitstream.av1pack.payload import first_picture, is_packed, pack, packed, packed_size, unpack
from cmvc.bitstream.av1pack.primer import read
from cmvc.bitstream.av1pack.stream import ObuType
from cmvc.bitstream.inspect import inspect
from cmvc.bitstream.obu import FRAME, split_obus
from cmvc.bitstream.stream import DEFAULT_PROFILES, StreamReader, StreamWriter
from cmvc.errors import BitstreamError, CmvcError, LimitError
from cmvc.limits import Limits
from cmvc.media import av1
from cmvc.v1 import bitstream_pb2 as pb
from tests.av1_streams import A_STREAM, by_ffmpeg, drawn, moving, svt
from tests.av1_trace import traced, walked

LUMAS = moving(20)
CODED = svt(LUMAS, 8)
PACKED = pack(CODED)
HEADER = pb.StreamHeader(width=64, height=64, frame_rate_numerator=24)


@pytest.mark.parametrize(
    ("count", "preset", "parameters"),
    [
        (1, 4, "crf=40:avif=1"),
        (1, 10, "crf=63"),
        (2, 4, "crf=60:use-fixed-qindex-offsets=1"),
        (5, 6, "crf=70"),
        (17, 2, "crf=55:tune=0"),
        (20, 13, "crf=30"),
        (40, 8, "crf=63:lookahead=0"),
        (20, 9, "crf=50:pred-struct=1"),
        (20, 8, "crf=50:film-grain=8"),
        (20, 8, "crf=50:enable-qm=1:aq-mode=1"),
        (12, 8, "crf=50:keyint=4"),
        (12, 8, "crf=50:superres-mode=1:superres-denom=12"),
        (20, 8, "crf=50:tile-columns=1:enable-overlays=1"),
    ],
)
def test_every_stream_of_svt_av1_is_packed(count, preset, parameters):
    coded = svt(LUMAS[:count] if count <= 20 else moving(count), preset, parameters)
    found = pack(coded)
    assert is_packed(found)
    assert unpack(found) == coded
    frames = sum(kind == FRAME for kind, _ in split_obus(coded))
    assert len(found) < len(coded) - 8 * frames
    assert abs(packed_size(coded) - len(found)) < 0.05 * len(found) + 8


def test_global_motion_is_packed():
    coded = svt(moving(20, 192, 128, zoom=0.012), 3, "crf=40")
    assert unpack(pack(coded)) == coded


@pytest.mark.parametrize(
    "options",
    [
        ("-c:v", "libaom-av1", "-cpu-used", "8", "-lag-in-frames", "19"),
        ("-c:v", "libaom-av1", "-cpu-used", "8", "-lag-in-frames", "0", "-aom-params", "error-resilient=1"),
        ("-c:v", "libaom-av1", "-cpu-used", "8", "-aq-mode", "1", "-aom-params", "tile-columns=1:film-grain-test=3"),
        ("-c:v", "librav1e", "-speed", "10"),
    ],
    ids=["libaom", "error-resilient", "aq-grain", "rav1e"],
)
def test_other_encoders_streams_are_read_as_ffmpeg_reads_them_and_packed(tmp_path, options):
    path = tmp_path / "stream.obu"
    coded = by_ffmpeg(path, moving(12, 192, 128), *options)
    assert walked(coded) == traced(path)
    assert is_packed(pack(coded))
    assert unpack(pack(coded)) == coded


def test_stills_one_behind_the_other_are_one_payload():
    coded = b"".join(svt(LUMAS[k : k + 1], 8, "crf=50:avif=1") for k in (0, 7, 14))
    found = pack(coded)
    assert unpack(found) == coded
    assert len(found) < len(coded) - 3 * 10


def test_the_first_picture_needs_nothing_behind_it():
    kinds = list(split_obus(CODED))
    head = b"".join(obu for _, obu in kinds[:2])
    assert first_picture(PACKED) == first_picture(CODED) == head
    with pytest.raises(BitstreamError):
        first_picture(kinds[0][1])


def test_a_stream_of_packed_segments_reads_as_one_of_plain_ones():
    readers = []
    for payload in (PACKED, CODED):
        writer = StreamWriter(HEADER, DEFAULT_PROFILES)
        segments = [pb.Segment(keyframes=payload, frames=20), pb.Segment(video=payload, closing_frames=20)]
        stream = b"".join([writer.open(), *map(writer.write, segments), writer.close()])
        readers.append(list(StreamReader(io.BytesIO(stream)).segments()))
        found = inspect(io.BytesIO(stream))["segments"]
        assert [each["packed"] for each in found] == 2 * [payload is PACKED]
        assert found[0]["keyframes"] == sum(kind == FRAME for kind, _ in split_obus(CODED))
    assert readers[0][0].next_anchor == readers[1][0].next_anchor == first_picture(CODED)
    pictures = [[picture.y.tobytes() for picture in av1.decode(payload)] for payload in (PACKED, CODED)]
    assert pictures[0] == pictures[1]


def test_golden_payloads_unpack_to_what_they_did():
    golden = json.loads((Path(__file__).parents[1] / "vectors" / "packed-av1.json").read_text())
    page = (Path(__file__).parents[2] / "docs" / "bitstream.md").read_text()
    assert hashlib.sha256(read().encode()).hexdigest() == golden["primer_sha256"]
    assert golden["primer_sha256"] in page
    for each in golden["payloads"]:
        obus = bytes.fromhex(each["obus"])
        assert unpack(bytes.fromhex(each["packed"])) == obus
        assert pack(obus).hex() == each["packed"]


def test_plain_payloads_stay_what_they_are():
    assert unpack(CODED) == CODED
    assert unpack(b"") == pack(b"") == b""
    assert not is_packed(CODED)


def padded(obus: bytes) -> bytes:
    """Return OBUs whose sizes take one byte more than they need."""
    kind, obu = next(split_obus(obus))
    assert kind == ObuType.SEQUENCE_HEADER
    return bytes([obu[0], obu[1] | 0x80, 0]) + obu[2:] + obus[len(obu) :]


@pytest.mark.parametrize(
    "data",
    [
        padded(CODED),
        CODED[:-1],
        CODED + b"\x12",
        CODED[:1] + b"\x00" + CODED[2:],
        next(split_obus(CODED))[1] + bytes([ObuType.TILE_LIST << 3 | 2, 4, 0, 0, 0, 0]),
        b"not AV1",
    ],
    ids=["padded", "cut", "cut-header", "empty-header", "tile-list", "text"],
)
def test_what_cannot_be_packed_is_left_alone(data):
    assert pack(data) == data
    assert packed_size(data) == len(data)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 40), st.booleans())
@example(105994, False)  # the size of a frame of which the order hint alone is known
def test_any_stream_along_the_syntax_comes_back(seed, wild):
    """Error resilience, short signalling, superres, segmentation, grain, operating points, tile groups: all drawn."""
    dice = random.Random(seed)

    def draw(low: int, high: int) -> int:
        chance = dice.random()
        return low if chance < 0.55 else min(high, low + 1) if chance < 0.7 else dice.randint(low, high)

    kinds = [ObuType.SEQUENCE_HEADER, *dice.choices(list(ObuType), k=6)] if wild else A_STREAM
    with suppress(NotPackableError):
        data = drawn(draw, kinds, {} if wild else {"show_existing_frame": 0})
        assert unpack(packed(data)) == data


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_a_payload_or_an_error(data):
    with suppress(CmvcError):
        unpack(bytes([data[0] | 0x80]) + data[1:])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255), st.integers(0, 40))
def test_damage_is_found_or_comes_back_as_something_else(place, change, cut):
    damaged = bytearray(PACKED)
    damaged[place] ^= change
    with suppress(CmvcError):
        assert unpack(bytes(damaged)) != CODED
    with suppress(CmvcError):
        assert cut == 0 or unpack(PACKED[: len(PACKED) - cut]) != CODED


def test_limits_hold():
    with pytest.raises(LimitError):
        unpack(PACKED, Limits(packed_obus=3))
    with pytest.raises(LimitError):
        unpack(PACKED, Limits(segment_bytes=100))
    assert pack(CODED, Limits(packed_obus=3)) == CODED


def test_a_version_to_come_is_refused():
    with pytest.raises(BitstreamError, match="update"):
        unpack(b"\xff" * 40)


KINDS = [bits(5), signed(7), below(5), below(64), below(1), counted(1, 2), counted(0, 6), UVLC]


@given(st.sampled_from(KINDS) | st.builds(Subexp, st.just(512), st.integers(-512, 512)), st.data())
def test_every_kind_writes_what_it_reads(kind, data):
    value = data.draw(st.integers(kind.low, kind.high) | st.sampled_from([kind.low, kind.high]))
    writer = BitWriter()
    kind.write(writer, value)
    written = writer.finish()
    reader = BitReader(written, 0, len(written))
    assert kind.read(reader) == value
    assert reader.position == writer.position
