"""Segments written by writers that know nothing of each other make one MP4."""

import io
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from media_files import moving_frames

from cmvc.media.boxes import whole_boxes
from cmvc.media.frames import from_frame
from cmvc.media.output import open_output
from cmvc.media.picture import Picture
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2

FMP4 = decoder_pb2.OUTPUT_FORMAT_FMP4


def _header(width: int = 64, height: int = 48, **fields: object) -> pb.StreamHeader:
    return pb.StreamHeader(
        **{"width": width, "height": height, "frame_rate_numerator": 24, **fields}  # type: ignore[arg-type]
    )


def _pictures(count: int, width: int = 64, height: int = 48) -> list[Picture]:
    return [from_frame(frame) for frame in moving_frames(count, width, height)]


def _joined(header: pb.StreamHeader, pictures: list[Picture], lengths: list[int]) -> bytes:
    """Return the file that writers of their own for each segment make, written last to first."""
    starts = [sum(lengths[:k]) for k in range(len(lengths))]
    parts = {
        start: b"".join(open_output(FMP4, header).segment(start, iter(pictures[start : start + length])))
        for start, length in reversed(list(zip(starts, lengths, strict=True)))
    }
    return open_output(FMP4, header).prologue + b"".join(parts[start] for start in starts)


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001), Fraction(15, 2), Fraction(120)])
def test_every_frame_decodes_at_its_time(rate: Fraction) -> None:
    header = _header(frame_rate_numerator=rate.numerator, frame_rate_denominator=rate.denominator)
    pictures = _pictures(96)
    data = _joined(header, pictures, [40, 1, 30, 25])
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
    assert [round(frame.pts * frame.time_base * rate) for frame in frames] == list(range(96))
    assert max(abs(float(frame.pts * frame.time_base - n / rate)) for n, frame in enumerate(frames)) < 1e-4
    for frame, picture in zip(frames, pictures, strict=True):
        error = from_frame(frame).y.astype(float) - picture.y
        assert 10 * np.log10(255**2 / np.mean(error**2)) > 38


def test_fragments_are_numbered_upwards_and_whole() -> None:
    header = _header()
    pictures = _pictures(96)
    output = open_output(FMP4, header)
    chunks = [*output.segment(0, pictures[:60]), *open_output(FMP4, header).segment(60, pictures[60:])]
    numbers = []
    for chunk in chunks:
        boxes = list(whole_boxes(chunk))
        assert boxes[-1].end == len(chunk)
        assert {box.kind for box in boxes} == {b"moof", b"mdat"}
        numbers += [
            int.from_bytes(chunk[inner.body + 4 : inner.body + 8], "big")
            for box in boxes
            if box.kind == b"moof"
            for inner in whole_boxes(chunk, box.body, box.end)
            if inner.kind == b"mfhd"
        ]
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 4  # about one for each second


def test_the_first_fragment_comes_long_before_the_last_picture() -> None:
    pictures, asked = _pictures(96), []
    source = (asked.append(n) or picture for n, picture in enumerate(pictures))
    chunks = open_output(FMP4, _header()).segment(0, source)
    next(chunks)
    assert len(asked) <= 30


OTHER_PROCESS = """
import sys
from cmvc.media.output import open_output
from cmvc.v1 import bitstream_pb2 as pb
header = pb.StreamHeader.FromString(bytes.fromhex(sys.argv[1]))
sys.stdout.buffer.write(open_output(1, header).prologue)
"""


@pytest.mark.parametrize("audio", [False, True])
def test_the_init_segment_is_the_same_in_another_process(audio: bool) -> None:
    header = _header(quarter_turns=1)
    if audio:
        head = bytes.fromhex("0101380180bb0000000000")  # OpusHead after its magic: mono, 312 samples to skip
        header.audio.CopyFrom(
            pb.AudioTrack(codec=1, sample_rate=48000, channels=1, packet_samples=2880, skip_samples=312, extradata=head)
        )
    command = [sys.executable, "-c", OTHER_PROCESS, header.SerializeToString().hex()]
    other = subprocess.run(command, capture_output=True, check=True).stdout
    output = open_output(FMP4, header)
    assert other == output.prologue
    b"".join(output.segment(7, _pictures(3)))
    assert output.prologue == open_output(FMP4, header).prologue == other


def test_the_same_pictures_give_the_same_bytes() -> None:
    pictures = _pictures(30)
    once, again = (b"".join(open_output(FMP4, _header()).segment(5, pictures)) for _ in range(2))
    assert once == again


@pytest.mark.parametrize(("width", "height"), [(35, 17), (1, 1), (2, 1), (64, 47), (16, 2)])
def test_odd_sizes_stay_as_they_are(width: int, height: int) -> None:
    small = ((height + 1) // 2, (width + 1) // 2)
    pictures = [
        Picture(
            np.full((height, width), 40 + 9 * n, np.uint8), np.full(small, 100, np.uint8), np.full(small, 160, np.uint8)
        )
        for n in range(8)
    ]
    data = _joined(_header(width, height), pictures, [5, 3])
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {(width, height)}
    for n, frame in enumerate(frames):
        y, u, v = (plane.astype(float).mean() for plane in from_frame(frame.reformat(format="yuv420p")).planes)
        assert (round(y), round(u), round(v)) == pytest.approx((40 + 9 * n, 100, 160), abs=2)
    assert len(frames) == 8


@pytest.mark.parametrize(("width", "height"), [(35, 17), (1, 1), (64, 47), (64, 48)])
def test_odd_sizes_are_made_even_for_players_that_want_them_so(width: int, height: int) -> None:
    ramp = np.linspace(40, 200, width * height).reshape(height, width).astype(np.uint8)
    small = ((height + 1) // 2, (width + 1) // 2)
    picture = Picture(ramp, np.full(small, 100, np.uint8), np.full(small, 160, np.uint8))
    output = open_output(decoder_pb2.OUTPUT_FORMAT_FMP4_EVEN, _header(width, height))
    with av.open(io.BytesIO(output.prologue + b"".join(output.segment(0, [picture] * 3)))) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 3
    shown = frames[0]
    assert shown.format.name == "yuv420p"
    assert (shown.width, shown.height) == (width + width % 2, height + height % 2)
    assert np.abs(from_frame(shown).y[:height, :width].astype(int) - ramp).max() <= 12
    assert np.abs(from_frame(shown).y[-1].astype(int) - from_frame(shown).y[height - 1]).max() <= 12


def test_aspect_rotation_and_colours_are_written() -> None:
    header = _header(
        quarter_turns=3,
        pixel_aspect_numerator=64,
        pixel_aspect_denominator=45,
        color_primaries=5,
        color_transfer=6,
        color_matrix=5,
    )
    with av.open(io.BytesIO(_joined(header, _pictures(4), [4]))) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        assert stream.sample_aspect_ratio == Fraction(64, 45)
    assert round(-frame.rotation / 90) % 4 == 3
    assert (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range) == (5, 6, 5, 1)


def test_full_range_is_restored() -> None:
    picture = Picture(
        np.full((48, 64), 235, np.uint8), np.full((24, 32), 128, np.uint8), np.full((24, 32), 128, np.uint8)
    )
    with av.open(io.BytesIO(_joined(_header(full_range=True), [picture] * 3, [3]))) as container:
        frame = next(container.decode(video=0))
    assert frame.color_range == 2
    assert from_frame(frame).y.mean() > 253
