"""Inputs of every kind, once or from the start again; cancelled at any point; with what they hold kept in bounds."""

import gc
import io
import os
import threading
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_files import OneWay, Sound, moving_frames, numbered_frames, read_all, write_video

from cmvc.errors import CancelledError, LimitError, MediaError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.opening import open_source
from cmvc.media.orientation import from_matrix
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.media.spool import Source, go_on
from cmvc.media.webp import HEAD_BYTES, is_animated
from cmvc.v1 import encoder_pb2

OPUS = encoder_pb2.AudioConfig(opus_bits_per_second=8_000)


@given(st.binary(max_size=300), st.integers(0, 300), st.lists(st.integers(1, 90), max_size=9), st.booleans())
def test_looking_takes_nothing_away(data: bytes, look: int, sizes: list[int], can_rewind: bool) -> None:
    source = Source(io.BytesIO(data) if can_rewind else OneWay(data), can_rewind=can_rewind)  # type: ignore[arg-type]
    assert source.head(look) == data[:look]
    view = source.view()
    begun = b"".join(view.read(size) for size in sizes)  # up to so many bytes each
    assert begun + b"".join(iter(lambda: view.read(90), b"")) == data
    assert source.taken <= len(data)


def test_two_views_of_a_file_do_not_disturb_each_other() -> None:
    source = Source(io.BytesIO(bytes(range(100))), can_rewind=True)
    one, two = source.view(), source.view()
    assert one.read(3) + two.read(2) + one.read(1) == bytes([0, 1, 2, 0, 1, 3])


def test_a_named_pipe_is_read_once(tmp_path) -> None:
    data, path = write_video(numbered_frames(20)), tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    _, pictures, _, _ = read_all(path)
    writer.join()
    assert len(pictures) == 20


@pytest.mark.parametrize("from_pipe", [False, True])
@pytest.mark.parametrize("after", [0, 1, 2, 4, 8, 16])
def test_work_stops_wherever_the_source_is(after: int, from_pipe: bool) -> None:
    data = write_video(moving_frames(200, 160, 120), sound=Sound("flac", [0.5], seconds=8))
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked > after:
            raise CancelledError("stop")

    source = OneWay(data) if from_pipe else io.BytesIO(data)
    with pytest.raises(CancelledError), open_video(source, audio=OPUS, check=check) as reader:  # type: ignore[arg-type]
        list(reader.read())
    assert asked <= after + 2


def test_frames_are_not_kept(tmp_path) -> None:
    data = write_video(moving_frames(90), container="mp4", codec="libx264", quarter_turns=1)
    gc.collect()
    gc.disable()
    try:
        with open_video(io.BytesIO(data)) as reader:
            for item in reader.read():
                assert isinstance(item, Picture)
                del item
            alive = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())
    finally:
        gc.enable()
    assert alive <= 12


def test_too_much_sound_before_a_picture_of_a_pipe_is_refused_and_of_a_file_is_not() -> None:
    sound = Sound("pcm_s16le", [], seconds=1500, rate=48_000)
    times = [Fraction(0), Fraction(1500)]
    data = write_video(numbered_frames(2), times=times, sound=sound)
    with pytest.raises(LimitError, match="give the file"):
        read_all(OneWay(data), audio=OPUS)
    info, pictures, packets, _ = read_all(data, audio=OPUS)
    assert abs(len(pictures) / info.frame_rate - 1500) <= 1 / info.frame_rate
    assert len(packets) * 0.06 > 1499


def test_an_animated_webp_that_is_damaged_says_so() -> None:
    animation = cv2.Animation()
    animation.frames = [np.full((24, 32, 4), level, np.uint8) for level in (50, 100, 200)]
    animation.durations = [100, 200, 300]
    encoded, data = cv2.imencodeanimation(".webp", animation)
    assert encoded
    whole = data.tobytes()
    assert is_animated(whole[:HEAD_BYTES])
    info, pictures, _, _ = read_all(whole)
    assert len(pictures) / info.frame_rate == Fraction(6, 10)
    with pytest.raises(MediaError, match="damaged"):
        read_all(whole[:60])


@given(st.binary(max_size=HEAD_BYTES))
def test_any_bytes_are_an_animation_or_not(head: bytes) -> None:
    assert isinstance(is_animated(head), bool)


@given(st.tuples(*[st.integers(-(1 << 31), (1 << 31) - 1)] * 9))
def test_any_matrix_turns_a_picture_by_quarters(matrix: tuple[int, ...]) -> None:
    way_up = from_matrix(np.array(matrix, np.int32).tobytes())
    plane = np.arange(12, dtype=np.uint8).reshape(3, 4)
    upright = way_up.upright(Picture(plane, plane, plane))
    assert upright.y.shape == ((4, 3) if way_up.transposed else (3, 4))
    assert sorted(upright.y.ravel()) == list(range(12))
    assert upright.y.flags.c_contiguous


def test_an_empty_source_is_refused(tmp_path) -> None:
    with pytest.raises(MediaError, match="empty"), open_source(io.BytesIO(b""), DEFAULT_LIMITS, go_on):
        pass
