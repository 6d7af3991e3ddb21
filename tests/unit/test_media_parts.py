import io
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_files import moving_frames, write_video

from cmvc.ahead import ahead
from cmvc.errors import InvalidSettingError, LimitError, MediaError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.audio import adts_config, opus_packet_samples
from cmvc.media.boxes import make_box, whole_boxes, with_audio_start
from cmvc.media.frames import from_frame, to_frame
from cmvc.media.output import open_output
from cmvc.media.picture import Picture, full_range
from cmvc.media.reader import open_video
from cmvc.media.tonemap import HLG, PQ, tone_map
from cmvc.media.y4m import Y4m
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_pictures_survive_frames_and_y4m(width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    small = ((height + 1) // 2, (width + 1) // 2)
    picture = Picture(*(rng.integers(16, 236, shape, np.uint8) for shape in ((height, width), small, small)))
    again = from_frame(to_frame(picture))
    assert all(np.array_equal(a, b) for a, b in zip(picture.planes, again.planes, strict=True))
    output = Y4m(pb.StreamHeader(width=width, height=height, frame_rate_numerator=24))
    data = output.prologue + b"".join(output.segment(0, [picture, picture]))
    with open_video(io.BytesIO(data)) as reader:
        read = [item for item in reader.read() if isinstance(item, Picture)]
    assert len(read) == 2
    assert all(np.array_equal(a, b) for a, b in zip(picture.planes, read[1].planes, strict=True))


def test_y4m_says_what_it_holds() -> None:
    header = pb.StreamHeader(
        width=5,
        height=3,
        frame_rate_numerator=30000,
        frame_rate_denominator=1001,
        pixel_aspect_numerator=4,
        pixel_aspect_denominator=3,
        full_range=True,
    )
    planes = (np.full((3, 5), 235, np.uint8), np.full((2, 3), 240, np.uint8), np.full((2, 3), 16, np.uint8))
    output = Y4m(header)
    words = output.prologue.decode().split()
    assert words[:6] == ["YUV4MPEG2", "W5", "H3", "F30000:1001", "Ip", "A4:3"]
    assert "XCOLORRANGE=FULL" in words
    (frame,) = output.segment(0, [Picture(*planes)])
    assert frame == b"FRAME\n" + bytes([255] * 15 + [255] * 6 + [0] * 6)


def test_full_range_maps_the_ends_and_the_middle() -> None:
    codes = np.array([[0, 16, 235, 255]], np.uint8)
    chroma = np.array([[16, 128, 240]], np.uint8)
    wide = full_range(Picture(codes, chroma, chroma))
    assert wide.y.tolist() == [[0, 0, 255, 255]]
    assert wide.u.tolist() == [[0, 128, 255]]


def test_raw_output_is_bounded() -> None:
    header = pb.StreamHeader(width=3840, height=2160, frame_rate_numerator=24)
    with pytest.raises(LimitError, match="y4m pixels"):
        open_output(decoder_pb2.OUTPUT_FORMAT_Y4M, header, DEFAULT_LIMITS)


@pytest.mark.parametrize("output_format", [decoder_pb2.OUTPUT_FORMAT_FMP4, decoder_pb2.OUTPUT_FORMAT_Y4M])
def test_pictures_of_another_size_are_refused(output_format) -> None:
    output = open_output(output_format, pb.StreamHeader(width=64, height=48, frame_rate_numerator=24))
    small = Picture(np.zeros((2, 2), np.uint8), np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))
    with pytest.raises(InvalidSettingError, match="2x2"):
        list(output.segment(0, [small]))


def test_unknown_output_formats_are_refused() -> None:
    with pytest.raises(InvalidSettingError, match="77"):
        open_output(77, pb.StreamHeader(width=64, height=48, frame_rate_numerator=24))  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_boxes_never_reach_beyond_the_data(data: bytes) -> None:
    end = 0
    for box in whole_boxes(data):
        assert end + 8 == box.body <= box.end <= len(data)
        end = box.end


def test_an_edit_list_goes_to_the_sound_track_alone() -> None:
    def track(kind: bytes) -> bytes:
        handler = make_box(b"hdlr", bytes(8) + kind + bytes(12))
        return make_box(b"trak", make_box(b"tkhd", bytes(84)) + make_box(b"mdia", handler))

    init = make_box(b"ftyp", b"iso6") + make_box(
        b"moov", make_box(b"mvhd", bytes(100)) + track(b"vide") + track(b"soun")
    )
    edited = with_audio_start(init, 312)
    assert edited.count(b"elst") == 1
    assert edited.index(b"vide") < edited.index(b"elst") < edited.index(b"soun")
    assert (312).to_bytes(4, "big") in edited[edited.index(b"elst") :]
    assert [box.kind for box in whole_boxes(edited)] == [b"ftyp", b"moov"]


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"\x18", 2880),  # SILK, 60 ms, one frame
        (b"\xfc", 960),  # CELT, 20 ms, one frame
        (b"\xfd", 1920),  # two
        (b"\xff\x03", 2880),  # three, code 3
        (b"\xe0", 120),  # CELT, 2.5 ms
        (b"\x60", 480),  # hybrid, 10 ms
    ],
)
def test_durations_of_opus_packets(packet: bytes, samples: int) -> None:
    assert opus_packet_samples(packet) == samples


@given(st.binary(max_size=12))
def test_packets_from_outside_parse_or_fail_clearly(data: bytes) -> None:
    for parse in (opus_packet_samples, adts_config):
        with suppress(MediaError):
            assert parse(data)


@given(st.sampled_from([PQ, HLG]), st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=20))
def test_tone_mapped_colours_stay_in_range(transfer: int, colours: list[tuple[float, float, float]]) -> None:
    mapped = tone_map(np.array(colours), transfer)
    assert np.isfinite(mapped).all()
    assert mapped.min() >= 0
    assert mapped.max() <= 1


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_tone_mapped_grays_stay_gray_and_in_order(transfer: int) -> None:
    mapped = tone_map(np.repeat(np.linspace(0, 1, 200)[:, None], 3, axis=1), transfer)
    assert np.ptp(mapped, axis=1).max() < 1e-3
    assert (np.diff(mapped[:, 1]) > -1e-6).all()
    assert mapped[0, 0] < 0.01
    assert mapped[-1, 0] > 0.99


def test_tone_mapping_leaves_what_is_dark_as_it_is() -> None:
    code = (0.8359375 + 18.8515625 * 0.001**0.1593017578125) / (1 + 18.6875 * 0.001**0.1593017578125)
    mapped = tone_map(np.full((1, 3), code**78.84375), PQ)  # 10 nits
    assert mapped[0, 0] == pytest.approx((10 / 203) ** (1 / 2.4), abs=0.005)


@pytest.mark.parametrize("taken", [0, 1, 5, 40])
def test_closing_while_another_thread_reads_ends_the_reading(taken: int) -> None:
    reader = open_video(io.BytesIO(write_video(moving_frames(200, 160, 120))))
    items = ahead(reader.read(), 2)
    for _ in range(taken):
        next(items)
    reader.close()
    assert sum(1 for _ in items) < 200 - taken
