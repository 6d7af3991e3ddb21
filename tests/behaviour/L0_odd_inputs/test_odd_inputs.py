"""Any video is read, or refused with an error that says why."""

import io
import resource
import struct
import zlib
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from media_files import (
    RATE,
    OneWay,
    Sound,
    gray_frame,
    moving_frames,
    number_of,
    numbered_frames,
    read_all,
    write_video,
)

from cmvc.errors import CancelledError, DeadlineError, LimitError, MediaError, NoVideoError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video

PQ, HLG, BT2020 = 16, 18, 9
H264_EXACT = {"qp": "0", "preset": "ultrafast"}


@pytest.mark.parametrize(("width", "height"), [(35, 17), (1, 1), (1, 9), (7, 2), (2, 2), (353, 288)])
def test_any_size_comes_through_exactly(width: int, height: int) -> None:
    noise = np.random.default_rng(0).integers(16, 236, (height, width), np.uint8)
    frame = gray_frame(0, width, height)
    np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(height, -1)[:, :width] = noise
    info, pictures, _, _ = read_all(
        write_video([frame, gray_frame(90, width, height)], container="nut", codec="rawvideo")
    )
    assert (info.width, info.height, len(pictures)) == (width, height, 2)
    assert np.array_equal(pictures[0].y, noise)
    assert pictures[0].u.shape == ((height + 1) // 2, (width + 1) // 2)


@pytest.mark.parametrize(
    ("count", "container", "codec"),
    [
        (1, "mp4", "libx264"),
        (2, "mp4", "libx264"),
        (1, "matroska", "ffv1"),
        (2, "matroska", "ffv1"),
        (1, "mpegts", "libx264"),
    ],
)
def test_very_short(count: int, container: str, codec: str) -> None:
    info, pictures, _, notes = read_all(write_video(numbered_frames(count), container=container, codec=codec))
    assert len(pictures) == count
    assert info.frame_rate == RATE
    assert notes == []


@pytest.mark.parametrize("rate", ["24", "24000/1001", "30000/1001", "25", "60000/1001", "13", "15/2", "120"])
@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "libx264"),
        ("matroska", "ffv1"),
        ("mpegts", "libx264"),
        ("flv", "flv"),
        ("avi", "ffv1"),
        ("yuv4mpegpipe", "wrapped_avframe"),
    ],
)
def test_a_constant_rate_keeps_its_frames(rate: str, container: str, codec: str) -> None:
    data = write_video(numbered_frames(40), container=container, codec=codec, rate=Fraction(rate))
    info, pictures, _, notes = read_all(data)
    assert info.frame_rate == Fraction(rate)
    assert [number_of(picture) for picture in pictures] == list(range(40))
    assert notes == []


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_a_variable_rate_becomes_constant(container: str) -> None:
    rng = np.random.default_rng(3)
    steps = [1] * 12 + [int(n) for n in rng.integers(1, 6, 24)]
    slots = np.concatenate([[0], np.cumsum(steps)])
    times = [Fraction(int(slot), 30) for slot in slots]
    data = write_video(
        numbered_frames(len(times)),
        container=container,
        codec="libx264",
        rate=Fraction(30),
        times=times,
        options=H264_EXACT,
    )
    info, pictures, _, notes = read_all(data)
    assert abs(len(pictures) - float((times[-1] + Fraction(1, 30)) * info.frame_rate)) <= 1 + steps[-1]
    shown = [number_of(picture) for picture in pictures]
    for n, number in enumerate(shown[: int(slots[-1])]):
        instant = n / info.frame_rate
        nearest = {k for k, time in enumerate(times) if abs(time - instant) <= Fraction(1, 30)}
        due = max(k for k, time in enumerate(times) if time <= instant + Fraction(1, 1000))
        assert number in nearest | {due}
    assert any("frame rate varies" in note for note in notes)


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p10le"])
def test_ten_bits(pixel_format: str) -> None:
    info, pictures, _, _ = read_all(
        write_video([gray_frame(level, pixel_format=pixel_format) for level in (64, 500, 940)])
    )
    assert [round(float(picture.y.mean())) for picture in pictures] == [16, 125, 235]
    assert all(abs(float(picture.u.mean()) - 128) < 0.5 for picture in pictures)
    assert not info.full_range


def _pq(nits: float) -> float:
    y = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def _hlg(light: float) -> float:
    return float(np.sqrt(3 * light)) if light <= 1 / 12 else 0.17883277 * np.log(12 * light - 0.28466892) + 0.55991073


def _hdr_patch(rgb: tuple[float, float, float], transfer: int) -> VideoFrame:
    red, green, blue = rgb
    luma = 0.2627 * red + 0.678 * green + 0.0593 * blue
    frame = VideoFrame(32, 32, "yuv420p10le")
    codes = (64 + 876 * luma, 512 + 896 * (blue - luma) / 1.8814, 512 + 896 * (red - luma) / 1.4746)
    for plane, code in zip(frame.planes, codes, strict=True):
        np.frombuffer(memoryview(plane), np.uint16)[:] = round(code)
    frame.colorspace = frame.color_primaries = BT2020
    frame.color_trc, frame.color_range = transfer, 1
    return frame


@pytest.mark.parametrize(
    ("transfer", "curve", "lights", "white"),
    [(PQ, _pq, (0, 1, 10, 50, 203, 600), 203), (HLG, _hlg, (0, 0.01, 0.05, 0.265, 0.5), 0.265)],
)
def test_high_dynamic_range_is_tone_mapped(transfer: int, curve, lights, white: float) -> None:
    grays = [_hdr_patch((curve(light),) * 3, transfer) for light in lights]
    red = _hdr_patch((curve(white), curve(white / 50), curve(white / 50)), transfer)
    info, pictures, _, notes = read_all(write_video([*grays, red]))
    assert (info.color_primaries, info.color_transfer, info.color_matrix, info.full_range) == (1, 1, 1, False)
    levels = [float(picture.y.mean()) for picture in pictures[:-1]]
    assert abs(levels[0] - 16) <= 1
    assert 230 < levels[-1] <= 236
    assert 205 < levels[lights.index(white)] < 220
    assert all(low + 2 < high for low, high in pairwise(levels))
    for picture in pictures[:-1]:
        assert abs(float(picture.u.mean()) - 128) <= 1
        assert abs(float(picture.v.mean()) - 128) <= 1
    assert float(pictures[-1].v.mean()) > 180
    assert float(pictures[-1].u.mean()) < 145  # a red outside BT.709 loses some of its saturation
    assert any(note.startswith("hdr-tone-mapped") for note in notes)


@pytest.mark.parametrize(
    ("container", "codec", "pixel_format"),
    [
        ("matroska", "ffv1", "bgra"),
        ("mov", "png", "rgba"),
        ("mov", "qtrle", "argb"),
        ("mov", "prores_ks", "yuva444p10le"),
        ("webm", "libvpx-vp9", "yuva420p"),
    ],
)
def test_transparent_parts_are_black(container: str, codec: str, pixel_format: str) -> None:
    image = np.zeros((48, 64, 4), np.uint8)
    image[..., :3] = 255
    image[:16, :, 3], image[16:32, :, 3] = 255, 128
    frame = VideoFrame.from_ndarray(image, format="rgba").reformat(format=pixel_format)
    _, pictures, _, _ = read_all(write_video([frame], container=container, codec=codec))
    rows = pictures[0].y[:, 32].astype(int)
    assert abs(rows[8] - 235) <= 1
    assert abs(rows[24] - 126) <= 2  # 16 + 219 * 128 / 255
    assert abs(rows[40] - 16) <= 1


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_pictures_come_the_right_way_up(turns: int) -> None:
    data = write_video(
        moving_frames(3), container="mp4", codec="libx264", quarter_turns=turns, pixel_aspect=Fraction(4, 3)
    )
    info, pictures, _, _ = read_all(data)
    size, aspect = ((48, 64), Fraction(3, 4)) if turns % 2 else ((64, 48), Fraction(4, 3))
    assert (info.width, info.height) == (pictures[0].width, pictures[0].height) == size
    assert info.pixel_aspect == aspect
    _, plain, _, _ = read_all(write_video(moving_frames(3), container="mp4", codec="libx264"))
    assert np.array_equal(pictures[0].y, np.rot90(plain[0].y, -turns))


def test_pixel_aspect_is_kept() -> None:
    info, _, _, _ = read_all(
        write_video(moving_frames(2), container="mp4", codec="libx264", pixel_aspect=Fraction(64, 45))
    )
    assert info.pixel_aspect == Fraction(64, 45)


def _combing(luma: np.ndarray) -> float:
    rows = luma.astype(float)
    return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())


def test_interlaced_frames_become_progressive() -> None:
    frames = []
    for n in range(12):
        luma = np.full((48, 64), 60, np.uint8)
        luma[0::2, 4 * n : 4 * n + 8] = 200
        luma[1::2, 4 * n + 2 : 4 * n + 10] = 200  # the second field is half a frame later
        frame = gray_frame(0)
        np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(48, -1)[:, :64] = luma
        frames.append(frame)
    options = {**H264_EXACT, "x264-params": "tff=1", "flags": "+ilme+ildct"}
    data = write_video(frames, codec="libx264", options=options)
    _, pictures, _, _ = read_all(data)
    assert len(pictures) == 12
    before = np.mean(
        [_combing(np.frombuffer(memoryview(f.planes[0]), np.uint8).reshape(48, -1)[:, :64]) for f in frames]
    )
    after = np.mean([_combing(picture.y) for picture in pictures])
    assert after < before / 3


def test_a_change_of_size_is_scaled_to_the_first() -> None:
    small = write_video(numbered_frames(6), container="h264", codec="libx264", options={"bf": "0"})
    large = write_video(numbered_frames(6, 96, 80), container="h264", codec="libx264", options={"bf": "0"})
    info, pictures, _, notes = read_all(small + large)
    assert (info.width, info.height) == (64, 48)
    assert {(picture.width, picture.height) for picture in pictures} == {(64, 48)}
    assert [number_of(picture) for picture in pictures] == [*range(6), *range(6)]
    assert any("another size" in note for note in notes)


@pytest.mark.parametrize(("container", "codec"), [("matroska", "ffv1"), ("mpegts", "libx264")])
def test_a_negative_first_time_is_shifted_to_zero(container: str, codec: str) -> None:
    times = [n / RATE - 1 for n in range(30)]
    options = {"avoid_negative_ts": "disabled"}
    data = write_video(numbered_frames(30), container=container, codec=codec, times=times, container_options=options)
    _, pictures, _, _ = read_all(data)
    assert [number_of(picture) for picture in pictures] == list(range(30))


@pytest.mark.parametrize(
    ("container", "codec"), [("mpegts", "mpeg2video"), ("mpegts", "libx264"), ("matroska", "libx264")]
)
def test_a_damaged_tail_costs_only_the_tail(container: str, codec: str) -> None:
    data = bytearray(write_video(moving_frames(60), container=container, codec=codec, options={"g": "6", "bf": "0"}))
    start = len(data) * 2 // 3
    data[start:] = np.random.default_rng(5).integers(0, 256, len(data) - start, np.uint8).tobytes()
    _, pictures, _, notes = read_all(bytes(data))
    assert 30 <= len(pictures) <= 62
    assert notes or container == "mpegts"  # whose reader takes noise for a gap


@pytest.mark.parametrize(
    ("container", "options"), [("matroska", {}), ("mpegts", {}), ("mp4", {"movflags": "faststart"}), ("avi", {})]
)
def test_half_a_file_gives_about_half_the_frames(container: str, options: dict[str, str]) -> None:
    frames = moving_frames(96)
    data = write_video(
        frames, container=container, codec="libx264", options={"g": "12", "bf": "0"}, container_options=options
    )
    _, pictures, _, notes = read_all(data[: len(data) // 2])
    assert 30 <= len(pictures) <= 66
    assert notes or container == "mpegts"  # which declares nothing to compare with


def test_half_a_file_with_its_index_at_the_end_says_so() -> None:
    data = write_video(moving_frames(48), container="mp4", codec="libx264")
    with pytest.raises(MediaError, match="moov"):
        read_all(data[: len(data) // 2])


def test_sound_alone_is_no_video() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        sound = Sound("aac", [0.2], seconds=1)
        output.mux(sound.encoded(sound.add_to(output)))
    with pytest.raises(NoVideoError, match="audio"):
        read_all(file.getvalue())


TEXT = b"1\n00:00:00,000 --> 00:00:02,000\nHello, this is only text.\n\n" * 200
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    "data",
    [b"", b"x", TEXT, b"Just some words.\n" * 500, np.random.default_rng(9).bytes(200_000), bytes(100_000), PLAYLIST],
    ids=["empty", "one byte", "subtitles", "text", "noise", "zeros", "playlist"],
)
@pytest.mark.parametrize("name", [None, "input.txt", "input.mp4"])
def test_what_is_no_video_is_refused(data: bytes, name: str | None, tmp_path) -> None:
    source = data
    if name:
        source = tmp_path / name
        source.write_bytes(data)
    with pytest.raises(MediaError) as caught:
        read_all(source)
    assert len(str(caught.value)) > 20
    assert "\n" not in str(caught.value)


def test_a_playlist_cannot_reach_other_files(tmp_path) -> None:
    video = tmp_path / "secret.ts"
    video.write_bytes(write_video(moving_frames(24), container="mpegts", codec="libx264"))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n".encode()
    with pytest.raises(MediaError):
        read_all(playlist)
    concat = f"ffconcat version 1.0\nfile '{video}'\n".encode()
    with pytest.raises(MediaError):
        read_all(concat)


def test_an_empty_input_is_called_so(tmp_path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    for source in (b"", path, OneWay(b"")):
        with pytest.raises(MediaError, match="empty"):
            read_all(source)


@pytest.mark.parametrize("name", ["absent.mp4", "."])
def test_a_path_that_is_no_file(name: str, tmp_path) -> None:
    with pytest.raises(MediaError, match="cannot open"):
        open_video(tmp_path / name)


def _mp4_of_four_hours(data: bytes) -> bytes:
    changed = bytearray(data)
    for kind, at in ((b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16), (b"elst", 8)):  # versions 0, where durations stand
        struct.pack_into(">I", changed, data.index(kind) + 4 + at, 4 * 3600 * 12288)
    return bytes(changed)


def _matroska_of_four_hours(data: bytes) -> bytes:
    changed = bytearray(data)
    struct.pack_into(">d", changed, data.index(b"\x44\x89\x88") + 3, 4 * 3600 * 1000.0)
    return bytes(changed).replace(b"00:00:01.0", b"04:00:00.0")


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_a_declared_duration_of_four_hours_is_not_believed(container: str) -> None:
    data = write_video(numbered_frames(24), container=container, codec="libx264")
    lying = _mp4_of_four_hours(data) if container == "mp4" else _matroska_of_four_hours(data)
    assert lying != data
    info, pictures, _, notes = read_all(lying)
    assert info.frame_rate == RATE
    assert [number_of(picture) for picture in pictures] == list(range(24))
    assert any("declares 14400" in note for note in notes) or container == "mp4"  # FFmpeg counts the frames instead


def test_a_last_frame_of_four_hours_is_not_held_that_long() -> None:
    times = [n / RATE for n in range(24)] + [Fraction(4 * 3600)]
    data = write_video(numbered_frames(25), times=times)
    _, pictures, _, notes = read_all(data)
    assert 25 <= len(pictures) <= 25 + 10 * RATE
    assert any("timestamps jump" in note for note in notes)


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def _matroska_of(size: int) -> bytes:
    data = write_video(moving_frames(3, 320, 272), codec="ffv1")
    declared = b"\xb0\x82\x01\x40\xba\x82\x01\x10"  # PixelWidth and PixelHeight
    assert declared in data
    return data.replace(declared, struct.pack(">BBHBBH", 0xB0, 0x82, size, 0xBA, 0x82, size))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"YUV4MPEG2 W10000 H10000 F24:1 C420\nFRAME\n" + bytes(1000), LimitError),
        (_matroska_of(12_000), NoVideoError),
        (_matroska_of(16_384), NoVideoError),
        (b"YUV4MPEG2 W16384 H16384 F24:1 C420\nFRAME\n" + bytes(1000), MediaError),
        (_png(16384, 16384), NoVideoError),
        (_png(10000, 10000), NoVideoError),
    ],
    ids=["y4m 10k", "matroska 12k", "matroska 16k", "y4m 16k", "png 16k", "png 10k"],
)
def test_a_declared_size_of_16k_is_refused_before_memory_is_taken(data: bytes, error: type[Exception]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(error):
        read_all(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB; one picture would be 256 MiB


def test_full_range_is_limited_inside_and_remembered() -> None:
    frames = [gray_frame(level) for level in (0, 255)]
    for frame in frames:
        frame.color_range = 2
    info, pictures, _, _ = read_all(write_video(frames, codec="libx264", options=H264_EXACT))
    assert info.full_range
    assert [int(picture.y.mean()) for picture in pictures] == [16, 235]


def test_a_stream_gives_pictures_before_its_last_byte_is_read() -> None:
    data = write_video(moving_frames(240, 160, 120))
    source = OneWay(data)
    with open_video(source) as reader:
        items = reader.read()
        assert isinstance(next(items), Picture)
        assert source.taken < len(data) // 2
        assert sum(1 for _ in items) == 239


@pytest.mark.parametrize("flags", ["", "faststart", "frag_keyframe+empty_moov"])
def test_an_mp4_from_a_stream(flags: str) -> None:
    options = {"movflags": flags} if flags else {}
    data = write_video(numbered_frames(48), container="mp4", codec="libx264", container_options=options)
    _, pictures, _, _ = read_all(OneWay(data))
    assert [number_of(picture) for picture in pictures] == list(range(48))


def test_what_has_to_be_kept_aside_is_bounded() -> None:
    data = write_video(moving_frames(24), container="mp4", codec="libx264")
    with pytest.raises(LimitError, match="faststart"):
        read_all(OneWay(data), limits=replace(DEFAULT_LIMITS, spool_bytes=len(data) - 1))


@pytest.mark.parametrize("error", [CancelledError("stop"), DeadlineError("late"), LimitError("long"), OSError("gone")])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_what_a_stream_raises_reaches_the_caller(error: Exception, share: float, container: str, capfd) -> None:
    data = write_video(moving_frames(60, 160, 120), container=container, codec="libx264")

    class Failing(OneWay):
        def read(self, size: int = -1) -> bytes:
            if self.taken >= share * len(data):
                raise error
            return super().read(min(size, 4096))

    with pytest.raises(type(error)) as caught:
        read_all(Failing(data))
    assert caught.value is error
    assert capfd.readouterr().err == ""


def test_an_unknown_video_format_is_refused() -> None:
    data = write_video(moving_frames(3), container="mp4", codec="libx264")
    with pytest.raises(MediaError, match="cannot decode"):
        read_all(data.replace(b"avc1", b"zzzz"))


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_sound_that_outlasts_the_video_is_no_damage(container: str) -> None:
    sound = Sound("aac", [0.2], seconds=3)
    info, pictures, _, notes = read_all(
        write_video(moving_frames(24), container=container, codec="libx264", sound=sound)
    )
    assert len(pictures) == info.frames_estimate == 24
    assert notes == []
