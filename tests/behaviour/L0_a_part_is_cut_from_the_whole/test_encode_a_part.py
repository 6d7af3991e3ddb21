"""What is encoded of a part of a video are the pictures and the sound of the whole, in step."""

import io
from fractions import Fraction

import pytest
from media_files import RATE, OneWay, Sound, moving_frames, number_of, numbered_frames, read_all, write_video
from sound_files import heard_of

from cmvc.client import Client
from cmvc.errors import InvalidSettingError
from cmvc.media.audio import packet_start
from cmvc.settings import encode_config
from cmvc.v1 import encoder_pb2

OPUS = encoder_pb2.AudioConfig(opus_bits_per_second=16_000)
COPY = encoder_pb2.AudioConfig(copy=True)
PARTS = [(1.0, 1.0), (4.5, 0.0), (0.0, 0.75), (2.98, 0.01)]


def clip(container, codec, **options):
    return write_video(
        moving_frames(144), container=container, codec=codec, sound=Sound("aac", (0.5,), seconds=6.0), **options
    )


CLIPS = {
    "mp4 with B-frames": lambda: clip("mp4", "libx264", options={"g": "30", "bf": "3", "preset": "medium"}),
    "matroska": lambda: clip("matroska", "libx264", options={"g": "12", "preset": "ultrafast"}),
    "a transport stream": lambda: clip("mpegts", "libx264", options={"g": "30", "preset": "ultrafast"}),
}


@pytest.mark.parametrize("name", CLIPS)
def test_pictures_are_those_of_the_whole(name):
    source = CLIPS[name]()
    _, whole, _, _ = read_all(source, audio=OPUS)
    for start, duration in PARTS:
        first = round(start * RATE)
        end = max(round((start + duration) * RATE), first + 1) if duration else len(whole)
        for given in (source, OneWay(source)):
            info, part, packets, notes = read_all(given, audio=OPUS, start=start, duration=duration)
            assert len(part) == end - first
            assert all((a.y == b.y).all() for a, b in zip(part, whole[first:end], strict=True))
            assert not notes
            assert packet_start(info.audio_track, len(packets)) >= len(part) / RATE
            assert packet_start(info.audio_track, len(packets) - 1) < len(part) / RATE
        info = read_all(source, start=start, duration=duration)[0]
        assert info.frames_estimate == end - first


def test_a_picture_that_stands_at_the_start_is_kept():
    times = [Fraction(n, 10) for n in range(10)] + [Fraction(4 + n, 10) + 2 for n in range(10)]
    source = write_video(numbered_frames(20), times=times)
    _, part, _, _ = read_all(source, start=1.5, duration=1.2)
    assert [number_of(picture) for picture in part] == 9 * [9] + [10, 11, 12]


@pytest.mark.parametrize("audio", ["opus:16k", "copy"])
def test_sound_starts_with_the_pictures(audio):
    beeps = (0.5, 1.6, 3.4)
    source = write_video(
        moving_frames(96), container="mp4", codec="libx264", sound=Sound("aac", beeps, seconds=4.0), options={"g": "12"}
    )
    config = encode_config(mode="coded", bitrate="400k", audio=audio, effort="fast", start=1.5, duration=2.0)
    with Client() as client:
        coded = b"".join(client.encode_stream(source, config))
        data = b"".join(client.decode_stream(coded))
    sound, rate, times = heard_of(data)
    assert len(times) == 48
    loud = [n for n, level in enumerate(abs(sound)) if level > 0.15]
    heard = [at / rate for before, at in zip([-rate, *loud], loud, strict=False) if at - before > 0.5 * rate]
    assert heard == pytest.approx([0.1, 1.9], abs=0.02)


def test_what_is_not_there_is_an_error(tmp_path):
    source = write_video(moving_frames(24))
    for given in (source, OneWay(source)):
        with pytest.raises(InvalidSettingError, match=r"starts at 3\.000 s, and the video ends at 1\.000 s"):
            read_all(given, start=3.0)
    with pytest.raises(InvalidSettingError, match="starts at"), Client() as client:
        client.encode(io.BytesIO(source), tmp_path / "x.cmvc", encode_config(start=3.0))
    assert not list(tmp_path.iterdir())
