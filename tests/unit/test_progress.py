"""How far the work is: told within a window and a segment, never backwards, and of how many where that is known."""

import io
from itertools import pairwise

import pytest
from media_files import moving_frames, write_video
from streams import stream

from cmvc import records
from cmvc.bitstream.stream import StreamReader
from cmvc.bitstream.work import segment_requests
from cmvc.client.totals import frames_of
from cmvc.control import Control
from cmvc.settings import decode_config, encode_config
from cmvc_decoder import pipeline as decoding
from cmvc_decoder.executors.registry import make_executor
from cmvc_decoder.options import DecoderOptions
from cmvc_encoder.pipeline import encode
from cmvc_encoder.stream import writing


def progress_in(made):
    return [record for record in made if isinstance(record, records.Progress)]


def test_an_encode_tells_of_itself_within_a_window(monkeypatch):
    monkeypatch.setattr(writing, "PROGRESS_SECONDS", 0.001)  # one window takes hundreds of them
    config = encode_config(mode="coded", bitrate="40k")
    told = progress_in(encode(io.BytesIO(write_video(moving_frames(24))), config, Control()))
    before = [each for each in told if not each.frames_done]
    assert len(before) > 2
    assert 0 < max(each.frames_read for each in before) <= 24
    assert (told[-1].frames_done, told[-1].frames_read) == (24, 24)
    assert all(early.frames_read <= late.frames_read for early, late in pairwise(told))


def decoded(data, config, *, seekable=True):
    source = io.BytesIO(data)
    if not seekable:
        source.seekable = lambda: False
    return progress_in(decoding.decode(source, config, Control(), make_executor(DecoderOptions())))


@pytest.mark.parametrize("output", ["y4m", "mp4"])
def test_a_decode_tells_of_itself_within_a_segment(monkeypatch, output):
    monkeypatch.setattr(decoding, "PROGRESS_SECONDS", 0)
    told = decoded(stream(segments=3, frames=48), decode_config(output=output))
    done = [each.frames_done for each in told]
    assert len(set(done) - {0, 48, 96, 144}) > 2
    assert done == sorted(done)
    assert done[-1] == 144
    assert {each.frames_total for each in told} == {144}


def test_the_total_is_that_of_the_part_asked_for(monkeypatch):
    monkeypatch.setattr(decoding, "PROGRESS_SECONDS", 0)
    told = decoded(stream(segments=3, frames=24), decode_config(start=0.5, duration=1.5))
    assert {each.frames_total for each in told} == {36}
    assert told[-1].frames_done == 36


@pytest.mark.parametrize(("segments", "known_early"), [(1, True), (3, False)])
def test_a_stream_that_is_read_once_shows_its_total_with_its_last_segment(monkeypatch, segments, known_early):
    monkeypatch.setattr(decoding, "PROGRESS_SECONDS", 0)
    told = decoded(stream(segments=segments, frames=24), decode_config(), seekable=False)
    assert told[-1].frames_total == 24 * segments
    assert bool(told[0].frames_total) is known_early


def test_a_segment_tells_of_itself_between_its_data(monkeypatch):
    monkeypatch.setattr(decoding, "PROGRESS_SECONDS", 0)
    reader = StreamReader(io.BytesIO(stream(segments=1, frames=48)))
    _, request = next(segment_requests(reader, decode_config(output="y4m")))
    made = list(decoding.decode_segment(request, Control(), make_executor(DecoderOptions())))
    first_data = next(n for n, record in enumerate(made) if isinstance(record, records.StreamBytes))
    assert progress_in(made[first_data:])


def test_clients_look_into_files_and_bytes_alone(tmp_path):
    data = stream(segments=3, frames=24)
    (tmp_path / "a.cmvc").write_bytes(data)
    for source in (data, tmp_path / "a.cmvc", str(tmp_path / "a.cmvc")):
        assert frames_of(source, decode_config()) == 72
    assert frames_of(data, decode_config(start=2)) == 24
    for source in (iter([data]), [data], io.BytesIO(data), tmp_path / "absent", b"none", data[:-30]):
        assert frames_of(source, decode_config()) == 0
