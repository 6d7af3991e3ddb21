"""What is decoded of a part of a stream are the frames and the sound of the whole, and little else is read."""

import io
import subprocess

import numpy as np
import pytest
from media_files import Sound, gray_frame, moving_frames, write_video
from servers import CMVC, servers
from sound_files import heard_of
from streams import stream

from cmvc.bitstream.stream import StreamReader
from cmvc.client import Client
from cmvc.errors import InvalidSettingError, TruncatedStreamError
from cmvc.settings import decode_config, encode_config

RATE = 24
FRAMES = 92
# In seconds; within a segment, across several, one frame, to the end.
PARTS = [(1.5, 0.25), (0.75, 2.5), (3.3, 0.0), (0.0, 0.01)]


@pytest.fixture(scope="module")
def gateway():
    with servers() as start:
        yield start("all").address


@pytest.fixture(scope="module", params=["tt2v", "it2v", "vt2v", "coded"])
def coded(request):
    """Return a stream of one shot in many segments."""
    config = encode_config(mode=request.param, bitrate="30k", latency_ms=800, effort="fast")
    with Client() as client:
        return b"".join(client.encode_stream(write_video(moving_frames(FRAMES)), config))


def frames_of(source, target=None, **part):
    with Client(target) as client:
        raw = b"".join(client.decode_stream(source, decode_config(output="y4m", **part)))
    return raw.split(b"FRAME\n")[1:]


def wanted(frames, start, duration):
    first = round(start * RATE)
    return frames[first : max(round((start + duration) * RATE), first + 1) if duration else None]


def test_frames_are_those_of_the_whole(coded, gateway):
    whole = frames_of(coded)
    assert len(whole) == FRAMES
    for start, duration in PARTS:
        part = wanted(whole, start, duration)
        assert frames_of(coded, start=start, duration=duration) == part
        assert frames_of((piece for piece in [coded]), start=start, duration=duration) == part  # cannot be sought
        assert frames_of(coded, gateway, start=start, duration=duration) == part


class Counting(io.BytesIO):
    """Counts the bytes that are read of it."""

    count = 0

    def read(self, size=-1, /):
        data = super().read(size)
        self.count += len(data)
        return data


def test_no_more_is_read_than_the_part_needs():
    whole = stream(segments=40)
    placed = list(StreamReader(io.BytesIO(whole)).segments())
    source = Counting(whole)
    assert len(frames_of(source, start=20.5, duration=1.0)) == 24
    # The stream's first, where its profiles might stand, that which has the start, twice, another, and the next.
    assert source.count <= 5 * max(each.size for each in placed) + 3000 < len(whole) / 7
    cut = Counting(whole[:-1])  # without an index all before it has to be read
    assert frames_of(cut, start=20.5, duration=1.0) == frames_of(whole, start=20.5, duration=1.0)
    assert cut.count > placed[20].offset


def test_damage_elsewhere_does_not_matter():
    damaged = bytearray(stream(segments=8))
    damaged[list(StreamReader(io.BytesIO(damaged)).segments())[2].offset + 40] ^= 0x55
    assert frames_of(bytes(damaged), start=5, duration=2) == frames_of(stream(segments=8), start=5, duration=2)


def test_what_is_not_there_is_an_error():
    whole = stream(segments=2)
    for source in (whole, (piece for piece in [whole])):
        with pytest.raises(InvalidSettingError, match=r"starts at 5\.000 s, and the video ends at 2\.000 s"):
            frames_of(source, start=5)
    with pytest.raises(TruncatedStreamError):
        frames_of(whole[:-100], start=1.5)
    for bad in (-1.0, float("nan")):
        with pytest.raises(InvalidSettingError, match="is no time"):
            frames_of(whole, start=bad)


BEEPS = (0.4, 1.2, 2.9, 4.1)


@pytest.fixture(scope="module", params=["opus:16k", "copy"])
def beeping(request):
    """Return a stream in which pictures flash when it beeps."""
    frames = [gray_frame(235 if any(0 <= n - round(at * RATE) < 2 for at in BEEPS) else 16) for n in range(120)]
    sound = Sound("aac", BEEPS, seconds=5.0)
    source = write_video(frames, container="mp4", codec="libx264", sound=sound)
    config = encode_config(mode="coded", bitrate="400k", audio=request.param, latency_ms=700, effort="fast")
    with Client() as client:
        return b"".join(client.encode_stream(source, config))


def sound_of(coded, **part):
    with Client() as client:
        return heard_of(b"".join(client.decode_stream(coded, decode_config(**part))))


@pytest.mark.parametrize(("start", "duration"), [(1.0, 1.0), (2.5, 0.0), (0.0, 1.5), (0.5, 3.0)])
def test_sound_is_cut_to_match(beeping, start, duration):
    whole, rate, _ = sound_of(beeping)
    sound, _, times = sound_of(beeping, start=start, duration=duration)
    assert times[0] == 0
    seconds = len(times) / RATE
    expected = whole[round(start * rate) : round((start + seconds) * rate)]
    assert abs(len(sound) - len(expected)) < 0.06 * rate  # a last packet that a player does not cut
    length = min(len(sound), len(expected))
    level = np.sqrt(np.mean(expected[:length] ** 2))
    assert level > 0.05
    settled = round(0.02 * rate)
    assert np.sqrt(np.mean((sound[settled:length] - expected[settled:length]) ** 2)) < 0.2 * level


def test_the_command_takes_times_as_people_write_them(tmp_path):
    (tmp_path / "in.cmvc").write_bytes(stream(segments=8))
    arguments = ["decode", "in.cmvc", "out.y4m", "-ss", "0:03.5", "-t", "1"]
    subprocess.run([*CMVC, *arguments], cwd=tmp_path, check=True)
    assert (tmp_path / "out.y4m").read_bytes().split(b"FRAME\n")[1:] == frames_of(stream(segments=8))[84:108]
    arguments[4] = "3.5 minutes"
    failed = subprocess.run([*CMVC, *arguments], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert failed.returncode == 2
    assert "is no time; write seconds" in failed.stderr
