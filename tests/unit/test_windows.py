from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvc.errors import InvalidSettingError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.audio import AudioPacket
from cmvc.media.picture import Picture
from cmvc.media.reader import VideoInfo
from cmvc.v1 import encoder_pb2
from cmvc_encoder.ingest.cutting import WINDOW_BYTES, Batch, Marked, WindowShape, cut_windows, plan_shape
from cmvc_encoder.job import read_job

RATE = Fraction(10)
LONGEST, FIRST, SPARE = 30, 12, 6
PACKET = Fraction(6, 100)


def _picture(number: int) -> Picture:
    plane = np.full((1, 1), number % 256, np.uint8)
    return Picture(plane, plane, plane)


def _shape(packet: Fraction | None = None, skip: Fraction = Fraction(0)) -> WindowShape:
    return WindowShape(1, 1, 1, 1, RATE, LONGEST, FIRST, SPARE, packet, skip)


def _stream(shots: list[int]) -> Iterator[Marked]:
    for length in shots:
        for n in range(length):
            yield Marked(_picture(n), n == 0)


def _with_packets(shots: list[int], packets: int, skip: Fraction, early: int) -> Iterator[Marked | AudioPacket]:
    """Yield pictures, each packet before the one during which it starts, by up to ``early`` pictures."""
    index = 0
    for n, marked in enumerate(_stream(shots)):
        while index < packets and index * PACKET - skip < Fraction(n + 1 + early) / RATE:
            yield AudioPacket(index, b"")
            index += 1
        yield marked
    for left in range(index, packets):
        yield AudioPacket(left, b"")


def _check_whole(batches: list[Batch], shots: list[int]) -> None:
    frame = 0
    for batch in batches:
        assert batch.window.first_frame == frame
        assert 0 < len(batch.window.pictures) <= LONGEST
        frame += len(batch.window.pictures)
    assert frame == sum(shots)
    assert [batch.last for batch in batches] == [False] * (len(batches) - 1) + [True]


@given(shots=st.lists(st.integers(1, 80), min_size=1, max_size=8))
def test_windows_cover_every_frame_and_never_span_a_cut(shots):
    batches = list(cut_windows(_stream(shots), _shape()))
    _check_whole(batches, shots)
    starts = {sum(shots[:n]) for n in range(len(shots))}
    for batch in batches:
        window = batch.window
        end = window.first_frame + len(window.pictures)
        assert window.opens_shot == (window.first_frame in starts)
        assert window.closes_shot == (end in starts)
        assert not starts & set(range(window.first_frame + 1, end))
        assert (window.following is None) == (window.closes_shot or batch.last)


@given(shots=st.lists(st.integers(1, 80), min_size=1, max_size=6))
def test_no_tiny_window_is_left_at_the_end_of_a_long_shot(shots):
    for batch in list(cut_windows(_stream(shots), _shape()))[1:]:
        window = batch.window
        if not window.opens_shot and (window.closes_shot or batch.last):
            assert len(window.pictures) >= SPARE


def test_first_window_is_short_but_not_for_a_shot_that_is_nearly_as_short():
    assert len(next(cut_windows(_stream([100]), _shape())).window.pictures) == FIRST
    assert len(next(cut_windows(_stream([FIRST + 5]), _shape())).window.pictures) == FIRST + 5


@settings(max_examples=60)
@given(
    shots=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    packets=st.integers(0, 200),
    skip=st.sampled_from([Fraction(0), Fraction(1, 10)]),
    early=st.integers(0, 9),
)
def test_audio_packets_are_in_the_window_in_which_they_start(shots, packets, skip, early):
    batches = list(cut_windows(_with_packets(shots, packets, skip, early), _shape(PACKET, skip)))
    _check_whole(batches, shots)
    taken = [packet.index for batch in batches for packet in batch.audio]
    within = [n for n in range(packets) if n * PACKET - skip < Fraction(sum(shots)) / RATE]
    assert taken == within
    for batch in batches:
        window = batch.window
        end = (window.first_frame + len(window.pictures)) / RATE
        for packet in batch.audio:
            time = packet.index * PACKET - skip
            assert time < end
            assert time >= window.first_frame / RATE or window.first_frame == 0


def test_a_window_is_out_before_the_video_ends():
    read = 0

    def counted() -> Iterator[Marked]:
        nonlocal read
        for marked in _stream([1000]):
            read += 1
            yield marked

    next(cut_windows(counted(), _shape()))
    assert read == FIRST + SPARE


def _info(width: int, height: int, rate: int = 25) -> VideoInfo:
    return VideoInfo(width, height, Fraction(rate), Fraction(1), 1, 1, 1, False, None, None)


@pytest.mark.parametrize(
    ("width", "height", "rate"),
    [(3840, 2160, 60), (1920, 1080, 25), (854, 480, 24), (1080, 1920, 30), (7680, 4320, 240)],
)
@pytest.mark.parametrize("bits", [1000, 12_000, 2_000_000])
def test_memory_for_a_window_is_bounded(width, height, rate, bits):
    config = encoder_pb2.EncodeConfig(bits_per_second=bits)
    shape = plan_shape(_info(width, height, rate), read_job(config), DEFAULT_LIMITS)
    assert (shape.longest + shape.spare) * shape.width * shape.height * 1.5 <= WINDOW_BYTES
    assert shape.width <= width
    assert abs(shape.width / shape.height - width / height) < 0.02 * width / height
    assert 1 <= shape.first <= shape.longest <= 10 * rate


def test_small_video_keeps_its_size_and_long_windows():
    shape = plan_shape(_info(353, 287), read_job(encoder_pb2.EncodeConfig()), DEFAULT_LIMITS)
    assert (shape.width, shape.height, shape.longest) == (353, 287, 250)


def test_latency_bounds_the_window():
    config = encoder_pb2.EncodeConfig(latency_ms=1000)
    shape = plan_shape(_info(640, 360), read_job(config), DEFAULT_LIMITS)
    assert shape.longest + shape.spare + 3 <= 25


@pytest.mark.parametrize(("rate", "least_ms"), [(25, 200), (1, 5000), (240, 21)])
def test_a_latency_that_no_window_can_keep_is_refused(rate, least_ms):
    def shape(latency_ms):
        job = read_job(encoder_pb2.EncodeConfig(latency_ms=latency_ms))
        return plan_shape(_info(640, 360, rate), job, DEFAULT_LIMITS)

    assert shape(least_ms).longest == 1
    with pytest.raises(InvalidSettingError, match=f"ask for {least_ms} ms or more") as raised:
        shape(least_ms - 1)
    assert raised.value.field == "config.latency_ms"
