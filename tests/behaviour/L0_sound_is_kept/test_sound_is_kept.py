"""Sound is kept unless that would cost the picture more than half of the bits, and whatever is left out is said."""

import io
import subprocess
from pathlib import Path
from typing import Any

import av
import media_files
import numpy as np
import pytest
from av.video.frame import VideoFrame
from media_files import OneWay, gray_frame, header_of, moving_frames, read_all
from servers import CMVC
from sound_files import Track, beeps, beeps_in, noise, silence, sine, sound_of, speech_like, write_video

from cmvc.bitstream.header import check_header
from cmvc.client import Client
from cmvc.errors import InvalidSettingError, LimitError, MediaError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.opus import pause_of
from cmvc.media.output import open_output
from cmvc.settings import encode_config
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2, encoder_pb2
from cmvc_encoder.sound import SHARE, CopiedShare, plan_sound

FLASHES = (24, 96)  # frames; at 1.0 and 4.0 s
BEEPS = (1.0, 4.0)
FRAMES = 144
SECONDS = 6.0
TOLERANCE = 0.020  # seconds
CHAPTERS = ((0.0, "Anfang"), (1.5, "Schluß"))


def _encode(source: Any, config: encoder_pb2.EncodeConfig) -> tuple[bytes, list[str]]:
    out = io.BytesIO()
    summary = Client().encode(io.BytesIO(source) if isinstance(source, bytes) else source, out, config)
    assert summary.stream_bytes == len(out.getvalue())
    return out.getvalue(), list(summary.notes)


def _decode(stream: bytes) -> bytes:
    out = io.BytesIO()
    Client().decode(io.BytesIO(stream), out)
    return out.getvalue()


def _inspect(stream: bytes) -> dict[str, Any]:
    found: dict[str, Any] = Client().inspect(io.BytesIO(stream))
    return found


@pytest.fixture(scope="module")
def clip() -> bytes:
    """A video of 6 s with two flashes and, at their time, beeps."""
    frames = moving_frames(FRAMES)
    for number in FLASHES:
        frames[number] = gray_frame(235)
    return write_video(frames, [Track(beeps(SECONDS, BEEPS), codec="aac")], container="mp4")


def _flashes(data: bytes) -> list[float]:
    with av.open(io.BytesIO(data)) as container:
        levels = [(frame.time or 0.0, float(frame.to_ndarray()[:48].mean())) for frame in container.decode(video=0)]
    return [time for (time, level), (_, before) in zip(levels[1:], levels, strict=False) if level > 150 > before]


def test_by_default_sound_is_kept_and_in_sync(clip: bytes) -> None:
    stream, notes = _encode(clip, encode_config(mode="coded"))
    back = _decode(stream)
    heard, seen = beeps_in(back), _flashes(back)
    assert len(heard) == len(seen) == len(BEEPS)
    for beep, flash, due in zip(heard, seen, BEEPS, strict=True):
        assert abs(flash - due) < 0.5 / 24
        assert abs(beep - flash) < TOLERANCE
    assert not [note for note in notes if note.startswith("sound")]


@pytest.mark.parametrize(("sound", "rate"), [(sine, 12_000), (speech_like, 12_000), (noise, 24_000)])
def test_the_stream_lands_with_sound_in_it_and_the_picture_has_its_share(sound: Any, rate: int) -> None:
    frames = [*moving_frames(72), *moving_frames(72)[::-1]]
    source = write_video(frames, [Track(sound(SECONDS))])
    stream, notes = _encode(source, encode_config(mode="coded", bitrate=rate))
    allowed = rate * SECONDS / 8
    assert 0.95 * allowed <= len(stream) <= allowed
    parts = _inspect(stream)["totals"]["segment_bytes"]
    assert 0 < parts["audio"] <= float(SHARE) * allowed
    assert not [note for note in notes if note.startswith(("sound", "floor"))]


@pytest.mark.parametrize("rate", [5_500, 8_000, 16_000, 32_000])
@pytest.mark.parametrize("sound", [sine, noise, speech_like, silence])
def test_opus_takes_no_more_than_it_was_given(sound: Any, rate: int) -> None:
    source = write_video([gray_frame(60)] * 96, [Track(sound(4))], codec="ffv1")
    _, _, packets, _ = read_all(source, audio=encoder_pb2.AudioConfig(opus_bits_per_second=rate))
    taken = 8 * sum(len(packet.data) for packet in packets) / 4
    assert taken <= (1.25 if sound is sine else 1.03) * rate
    if sound is silence:
        assert taken < 0.1 * rate


def _through_opus(source: bytes, rate: int, track: str = "") -> tuple[bytes, list[bytes]]:
    """Return the video as it is written when its sound goes through Opus alone, and the packets of sound in it."""
    config = encoder_pb2.AudioConfig(opus_bits_per_second=rate, track=track)
    info, pictures, packets, _ = read_all(source, audio=config)
    sound = [packet.data for packet in packets]
    output = open_output(decoder_pb2.OUTPUT_FORMAT_FMP4, header_of(info))
    return output.prologue + b"".join(output.segment(0, pictures, sound)), sound


@pytest.mark.parametrize("rate", [6_000, 16_000, 48_000])
@pytest.mark.parametrize("decoder", ["opus", "libopus"])
def test_silence_takes_next_to_nothing_and_what_follows_it_is_heard(rate: int, decoder: str) -> None:
    frames = [gray_frame(60)] * (24 * 12)
    source = write_video(frames, [Track(beeps(12, (1.0, 9.0)))], codec="ffv1")
    back, packets = _through_opus(source, rate)
    pause = [len(packet) for number, packet in enumerate(packets) if 1.6 < number * 0.06 < 8.9]
    assert len(pause) > 100
    assert max(pause) <= 2
    assert beeps_in(back, decoder) == pytest.approx([1.0, 9.0], abs=TOLERANCE)
    time, sound = sound_of(back, decoder)
    assert np.abs(sound[(time > 1.5) & (time < 8.8)]).max() < 0.002


def test_a_quiet_sound_is_no_silence() -> None:
    source = write_video([gray_frame(60)] * 96, [Track(sine(4) / 200)], codec="ffv1")
    _, _, packets, _ = read_all(source, audio=encoder_pb2.AudioConfig(opus_bits_per_second=8000))
    assert min(len(packet.data) for packet in packets[:-1]) > 2


@pytest.mark.parametrize(
    ("packet", "pause"),
    [
        (b"\x18abc", b"\x18"),
        (b"\x19abcd", b"\x19"),
        (b"\x1a\x01abcd", b"\x19"),
        (b"\xfb\x03abc", b"\xfb\x03"),
        (b"\xfb\xc3\x01abc", b"\xfb\x03"),
    ],
)
def test_a_pause_lasts_as_long_as_its_packet(packet: bytes, pause: bytes) -> None:
    assert pause_of(packet) == pause


def test_the_rate_of_kept_sound_follows_the_bit_rate() -> None:
    chosen = []
    for rate in range(500, 400_000, 250):
        plan = plan_sound(encoder_pb2.EncodeConfig(), rate)
        opus = plan.treatment.opus_bits_per_second if plan.treatment else 0
        assert opus <= rate / 2
        assert (opus == 0) == (rate < 11_000) == plan.dropped.startswith("sound-left-out: ")
        chosen.append(opus)
    assert chosen == sorted(chosen)
    assert max(chosen) == 64_000
    by_quality = [plan_sound(encoder_pb2.EncodeConfig(quality=quality), None).treatment for quality in range(1, 101)]
    rates = [plan.opus_bits_per_second for plan in by_quality if plan]
    assert rates == sorted(rates)
    assert (rates[0], rates[-1], len(rates)) == (5_500, 64_000, 100)


def test_sound_that_would_eat_the_picture_is_left_out_with_a_note(rich: bytes) -> None:
    stream, notes = _encode(rich, encode_config(mode="coded", bitrate="8k"))
    assert _inspect(stream)["header"]["audio"] is None
    (note,) = [note for note in notes if note.startswith("sound-left-out: ")]
    assert "5500 bit/s" in note
    assert "8000 bit/s" in note
    mute = write_video(moving_frames(24), [])
    assert not [note for note in _encode(mute, encode_config(mode="coded", bitrate="8k"))[1] if "sound" in note]


@pytest.mark.parametrize("one_way", [False, True])
@pytest.mark.parametrize(("audio", "taken"), [("opus:8k", "8000 bit/s"), ("copy", "12.... bit/s")])
def test_sound_that_was_asked_for_and_would_eat_the_picture_is_refused(audio: str, taken: str, one_way: bool) -> None:
    container = "matroska" if one_way else "mp4"
    track = Track(noise(SECONDS), codec="aac", bits_per_second=128_000)
    source = write_video(moving_frames(FRAMES), [track], container=container)
    with pytest.raises(InvalidSettingError, match=rf"{taken}.*12000 bit/s"):
        _encode(OneWay(source) if one_way else source, encode_config(mode="coded", audio=audio))


def test_copied_sound_is_judged_as_a_whole_where_that_is_known() -> None:
    loud_first = Track(np.concatenate([noise(2), silence(6)]), codec="aac", bits_per_second=64_000)
    source = write_video([gray_frame(60)] * 192, [loud_first])
    info, _, packets, _ = read_all(source, audio=encoder_pb2.AudioConfig(copy=True))
    whole = info.source_audio_rate
    assert whole == pytest.approx(8 * sum(len(packet.data) for packet in packets) / 8, rel=0.02)
    share = CopiedShare(round(2.5 * whole), whole)
    share.add(packets[:90], 2.0)
    assert read_all(OneWay(source))[0].source_audio_rate is None
    share = CopiedShare(round(2.5 * whole), None)
    with pytest.raises(InvalidSettingError, match="more than half"):
        share.add(packets[:90], 2.0)


def test_a_call_that_says_nothing_of_sound_keeps_it_and_an_empty_one_drops_it(rich: bytes) -> None:
    config = encoder_pb2.EncodeConfig(mode=common_pb2.MODE_CODED, bits_per_second=24_000)
    assert _inspect(_encode(rich, config)[0])["header"]["audio"]["codec"] == "opus"
    config.audio.SetInParent()
    stream, notes = _encode(rich, config)
    assert _inspect(stream)["header"]["audio"] is None
    assert not [note for note in notes if "sound" in note]


@pytest.fixture(scope="module")
def rich() -> bytes:
    """A video of 3 s with two languages, subtitles, chapters and a title."""
    tracks = [Track(beeps(3, [1.0]), "eng"), Track(beeps(3, [2.0]), "fra", codec="aac")]
    return write_video(moving_frames(72), tracks, subtitles=["deu", "spa"], chapters=CHAPTERS, title="Größe")


@pytest.mark.parametrize(("track", "beep"), [("", 1.0), ("1", 1.0), ("2", 2.0), ("fra", 2.0), ("ENG", 1.0)])
def test_a_track_is_chosen_by_number_or_language(rich: bytes, track: str, beep: float) -> None:
    video, _ = _through_opus(rich, 8000, track)
    assert beeps_in(video) == pytest.approx([beep], abs=TOLERANCE)


@pytest.mark.parametrize("track", ["0", "3", "ita", "²", "-1"])
def test_a_track_that_is_not_there_is_refused_with_those_that_are(rich: bytes, track: str) -> None:
    with pytest.raises(InvalidSettingError, match=r"1 \(eng, pcm_s16le\), 2 \(fra, aac\)"):
        _encode(rich, encode_config(audio_track=track))


def test_a_track_of_dropped_sound_is_refused() -> None:
    with pytest.raises(InvalidSettingError, match="'fra'"):
        encode_config(audio="none", audio_track="fra")


def test_what_is_left_out_is_said(rich: bytes) -> None:
    notes = read_all(rich, audio=encoder_pb2.AudioConfig(opus_bits_per_second=8000))[3]
    assert [note.partition(": ")[0] for note in notes if "left-out" in note] == [
        "tracks-left-out",
        "subtitles-left-out",
        "chapters-left-out",
    ]
    said = "\n".join(notes)
    assert "1 more sound track (fra) was left out" in said
    assert "2 subtitle tracks (deu, spa) were left out" in said
    assert "2 chapters were left out" in said


def test_sound_long_after_the_end_is_cut_off_and_said() -> None:
    config = encoder_pb2.AudioConfig(opus_bits_per_second=8000)
    for last_at, said in ((0.0, []), (700.0, ["sound-cut: sound up to 699"])):
        source = write_video([gray_frame(60)] * 24, [Track(sine(1), last_at=last_at)], codec="ffv1")
        _, pictures, _, notes = read_all(source, audio=config)
        assert len(pictures) <= 25
        assert [note.partition(".")[0] for note in notes if note.startswith("sound")] == said


def test_transparency_that_is_lost_is_said() -> None:
    rgba = np.full((48, 64, 4), 255, np.uint8)
    opaque = [VideoFrame.from_ndarray(rgba, format="rgba")]
    rgba[:, :32, 3] = 0
    clear = [VideoFrame.from_ndarray(rgba, format="rgba")]
    for frames, count in ((opaque, 0), (opaque + clear * 2, 1)):
        _, _, _, notes = read_all(media_files.write_video(frames, container="nut", codec="rawvideo"))
        assert [note.partition(": ")[0] for note in notes] == ["alpha-flattened"] * count


def test_metadata_is_carried_when_asked_for_and_every_byte_of_it_counts(rich: bytes) -> None:
    plain, _ = _encode(rich, encode_config(mode="coded", bitrate="24k", audio_track="fra"))
    stream, notes = _encode(rich, encode_config(mode="coded", bitrate="24k", audio_track="fra", metadata=True))
    assert not [note for note in notes if note.startswith("chapters")]
    found = _inspect(stream)
    assert found["totals"]["bytes"] == len(stream) <= 24_000 * 3 / 8
    assert found["header"]["metadata"] == {
        "title": "Größe",
        "language": "fra",
        "chapters": [{"start_s": start, "title": title} for start, title in CHAPTERS],
    }
    assert found["totals"]["header_bytes"] > _inspect(plain)["totals"]["header_bytes"] + 40
    with av.open(io.BytesIO(_decode(stream))) as container:
        assert container.metadata["title"] == "Größe"
        assert container.streams.audio[0].language == "fra"
        chapters = [(chapter["start"] * chapter["time_base"], chapter["metadata"]) for chapter in container.chapters()]
    assert chapters == [(start, {"title": title}) for start, title in CHAPTERS]
    with av.open(io.BytesIO(_decode(plain))) as container:
        assert "title" not in container.metadata
        assert not container.chapters()


@pytest.mark.parametrize(
    "metadata",
    [
        pb.Metadata(title="x" * 256),
        pb.Metadata(language="x" * 36),
        pb.Metadata(chapters=[pb.Chapter(title="x" * 256)]),
        pb.Metadata(chapters=[pb.Chapter()] * 256),
        pb.Metadata(chapters=[pb.Chapter(title="x" * 200)] * 16),
    ],
)
def test_metadata_over_the_limits_is_refused(metadata: pb.Metadata) -> None:
    header = pb.StreamHeader(width=2, height=2, frame_rate_numerator=1, metadata=metadata)
    with pytest.raises(LimitError):
        check_header(header, None, DEFAULT_LIMITS)


def test_the_command_line_names_what_it_left_out(rich: bytes, tmp_path: Path) -> None:
    (tmp_path / "in.mkv").write_bytes(rich)
    asked = ["--mode", "coded", "--audio-track", "eng", "--metadata", "--audio", "opus:6k"]
    command = [*CMVC, "encode", "in.mkv", "out.cmvc", *asked]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "note: tracks-left-out: 1 more sound track (fra) was left out" in done.stderr
    header = _inspect((tmp_path / "out.cmvc").read_bytes())["header"]
    assert header["metadata"]["language"] == "eng"
    assert header["audio"]["codec"] == "opus"


def test_metadata_that_is_too_long_is_cut_and_said() -> None:
    chapters = [(n / 100, "ß" * 200) for n in range(300)]
    source = write_video(moving_frames(72), [], chapters=chapters, title="ü" * 400)
    info, _, _, notes = read_all(source, metadata=True)
    kept = info.metadata
    assert kept
    assert kept.title == "ü" * 127
    assert 5 < len(kept.chapters) < 255
    assert {chapter.title for chapter in kept.chapters} == {"ß" * 127}
    header = header_of(info)
    header.metadata.CopyFrom(kept)
    check_header(header, None, DEFAULT_LIMITS)
    assert f"the last {300 - len(kept.chapters)} of 300 chapters did not fit" in "\n".join(notes)


def test_sound_whose_description_no_header_has_room_for_is_not_carried() -> None:
    source, out = write_video([gray_frame(60)] * 48, [Track(beeps(2, [1]), codec="aac")]), io.BytesIO()
    with av.open(io.BytesIO(source)) as read, av.open(out, "w", format="matroska") as written:
        streams = {stream.index: written.add_stream_from_template(stream) for stream in read.streams}
        context = streams[1].codec_context
        context.extradata = context.extradata.ljust(5000, b"\0")
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                written.mux(packet)
    with pytest.raises(MediaError, match="too many to carry"):
        _encode(out.getvalue(), encode_config(mode="coded", audio="copy", quality=30))
