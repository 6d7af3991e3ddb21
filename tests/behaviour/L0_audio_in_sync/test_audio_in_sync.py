"""A flash and a beep that coincide in the source coincide in what comes out."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from media_files import OneWay, Sound, gray_frame, header_of, read_all, write_video

from cmvc.bitstream.audio import first_packet
from cmvc.errors import InvalidSettingError, MediaError
from cmvc.media.audio import AudioPacket, packet_start
from cmvc.media.output import open_output
from cmvc.media.picture import Picture
from cmvc.media.reader import VideoInfo, open_video
from cmvc.v1 import decoder_pb2, encoder_pb2

FLASHES = (24, 60)  # frames; at 1.0 and 2.5 s
BEEPS = (1.0, 2.5)
FRAMES = 96
TOLERANCE = 0.020  # seconds
COPY = encoder_pb2.AudioConfig(copy=True)
OPUS = encoder_pb2.AudioConfig(opus_bits_per_second=16_000)


def _clip(sound: Sound, container: str) -> bytes:
    frames = [gray_frame(235 if n in FLASHES else 16) for n in range(FRAMES)]
    return write_video(frames, container=container, codec="libx264", options={"preset": "ultrafast"}, sound=sound)


def _written(info: VideoInfo, pictures: list[Picture], packets: list[AudioPacket], segment: int = 29) -> bytes:
    """Return the MP4 whose segments are written one by one, each with the packets that start within it."""
    header, rate = header_of(info), info.frame_rate
    data = open_output(decoder_pb2.OUTPUT_FORMAT_FMP4, header).prologue
    for start in range(0, len(pictures), segment):
        end = min(start + segment, len(pictures))
        first, last = (int(first_packet(header.audio, rate, frame)) for frame in (start, end))
        carried = [packet.data for packet in packets[first:last]]
        output = open_output(decoder_pb2.OUTPUT_FORMAT_FMP4, header)
        data += b"".join(output.segment(start, pictures[start:end], carried, first))
    return data


def _flashes(data: bytes) -> list[float]:
    with av.open(io.BytesIO(data)) as container:
        levels = [(frame.time, float(frame.to_ndarray()[:48].mean())) for frame in container.decode(video=0)]
    return [time for (time, level), (_, before) in zip(levels[1:], levels, strict=False) if level > 120 > before]


def _beeps(data: bytes) -> list[float]:
    """Return when beeps start, by the frames' own times."""
    times, samples = [], []
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode(audio=0):
            sound = frame.to_ndarray().astype(float).reshape(frame.layout.nb_channels, -1, order="F")[0]
            sound = sound / 32768 if frame.format.name.startswith("s16") else sound
            samples.append(sound)
            times.append(frame.time + np.arange(len(sound)) / frame.sample_rate)
    time, sound = np.concatenate(times), np.abs(np.concatenate(samples))
    loud = time[sound > 0.15]
    return [float(start) for start, before in zip(loud, [-9.0, *loud], strict=False) if start - before > 0.5]


def _check(data: bytes, lead: float = 0.0) -> None:
    """Check an MP4 whose first picture stands ``lead`` seconds longer than in the clip."""
    flashes, beeps = _flashes(data), _beeps(data)
    assert len(flashes) == len(beeps) == 2
    for flash, beep, due in zip(flashes, beeps, BEEPS, strict=True):
        assert abs(flash - due - lead) < 0.001
        assert abs(beep - flash) < TOLERANCE


CASES = [
    ("aac", "mp4", 48_000),
    ("aac", "matroska", 44_100),
    ("aac", "mpegts", 44_100),
    ("libopus", "matroska", 48_000),
    ("libopus", "mp4", 48_000),
    ("libmp3lame", "matroska", 44_100),
    ("libmp3lame", "mp4", 48_000),
]


@pytest.mark.parametrize("treatment", [COPY, OPUS], ids=["copy", "opus"])
@pytest.mark.parametrize("offset", [0.0, 0.37, -0.5])
@pytest.mark.parametrize(("codec", "container", "rate"), CASES)
def test_sound_stays_in_sync(
    codec: str, container: str, rate: int, offset: float, treatment: encoder_pb2.AudioConfig
) -> None:
    source = _clip(Sound(codec, BEEPS, seconds=4.0 - offset, offset=offset, rate=rate), container)
    info, pictures, packets, _ = read_all(source, audio=treatment)
    lead = (len(pictures) - FRAMES) / info.frame_rate
    kept = offset < 0 and container != "mp4"  # whose edit list leaves out what comes before the picture
    assert abs(lead + (offset if kept else 0)) <= 1 / info.frame_rate
    assert [packet.index for packet in packets] == list(range(len(packets)))
    assert info.audio_track
    assert packet_start(info.audio_track, 0) <= 0
    _check(_written(info, pictures, packets), float(lead))


@pytest.mark.parametrize("codec", ["pcm_s16le", "ac3", "flac"])
def test_any_sound_can_be_encoded(codec: str) -> None:
    source = _clip(Sound(codec, BEEPS, seconds=4.0), "matroska")
    _check(_written(*read_all(source, audio=OPUS)[:3]))
    with pytest.raises(MediaError, match="opus:"):
        read_all(source, audio=COPY)


def test_sound_from_a_stream() -> None:
    source = _clip(Sound("aac", BEEPS, seconds=4.0), "mp4")
    _check(_written(*read_all(OneWay(source), audio=OPUS)[:3]))


def test_packets_come_with_the_pictures_of_their_time() -> None:
    source = _clip(Sound("aac", BEEPS, seconds=6.0), "matroska")
    done = 0
    with open_video(io.BytesIO(source), audio=OPUS) as reader:
        track, rate = reader.info.audio_track, reader.info.frame_rate
        assert track
        for item in reader.read():
            if isinstance(item, Picture):
                done += 1
                continue
            late = done / rate - packet_start(track, item.index)
            assert -Fraction(1, 24) <= late <= Fraction(1, 12)
    assert done == 6 * 24  # the last picture stands until the sound has ended


def test_the_last_picture_stands_while_sound_goes_on() -> None:
    info, pictures, packets, notes = read_all(_clip(Sound("libopus", BEEPS, seconds=6.0), "matroska"), audio=COPY)
    assert info.audio_track
    assert abs(len(pictures) / info.frame_rate - 6) <= 1 / info.frame_rate
    assert 5.9 < packet_start(info.audio_track, packets[-1].index) < len(pictures) / info.frame_rate
    assert any("sound ends 2.0" in note for note in notes)


def test_opus_bit_rates_out_of_range_are_refused() -> None:
    source = _clip(Sound("pcm_s16le", BEEPS, seconds=4.0), "matroska")
    with pytest.raises(InvalidSettingError, match="256000"):
        read_all(source, audio=encoder_pb2.AudioConfig(opus_bits_per_second=300_000))


@pytest.mark.parametrize("config", [None, encoder_pb2.AudioConfig(), encoder_pb2.AudioConfig(copy=False)])
def test_sound_can_be_left_out(config: encoder_pb2.AudioConfig | None) -> None:
    info, _, packets, _ = read_all(_clip(Sound("aac", BEEPS, seconds=4.0), "mp4"), audio=config)
    assert info.audio_track is None
    assert packets == []
