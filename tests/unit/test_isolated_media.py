"""FFmpeg in a process of its own: what comes of a video is the same, and what goes wrong costs that video alone."""

import io
import logging
import signal
import threading
import time
from fractions import Fraction
from pathlib import Path

import psutil
import pytest
from media_files import OneWay, Sound, gray_frame, moving_frames, read_all, write_video
from servers import command_line, until

import cmvc.media.isolated.reader as isolated
from cmvc.control import Control
from cmvc.errors import (
    CancelledError,
    CmvcError,
    DeadlineError,
    LimitError,
    MediaCrashedError,
    MediaError,
    MediaStalledError,
)
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.media.audio import AudioPacket
from cmvc.media.isolated.messages import Opened, unpack_error
from cmvc.media.isolated.reader import SPAWNER, open_isolated
from cmvc.media.picture import Picture
from cmvc.processes.confinement import filters_calls
from cmvc.v1 import encoder_pb2

OPUS = encoder_pb2.AudioConfig(opus_bits_per_second=16_000)


@pytest.fixture(scope="module")
def clip() -> bytes:
    """Two seconds that move, with sound."""
    return write_video(moving_frames(48), sound=Sound("libopus", [0.5, 1.5], seconds=2.0))


@pytest.fixture(scope="module")
def long() -> bytes:
    """More than fits on the way to whoever reads."""
    return write_video(moving_frames(96, 320, 240), codec="libx264", options={"preset": "ultrafast"})


def servers() -> list[psutil.Process]:
    """Return the process that those which read media are forked from."""
    return [each for each in psutil.Process().children() if "isolated.child" in command_line(each)]


def children() -> list[psutil.Process]:
    """Return the processes that read media and are alive."""
    found = [child for each in servers() for child in each.children()]
    return [each for each in found if each.status() != psutil.STATUS_ZOMBIE]


def child() -> psutil.Process:
    (found,) = children()
    return found


def all_of(reader):
    with reader:
        items = list(reader.read())
        pictures = [item for item in items if isinstance(item, Picture)]
        return reader.info, pictures, [item for item in items if isinstance(item, AudioPacket)], reader.notes


def go_on_after(reader, happens):
    """Read a video of which the first picture has come when something happens."""
    items = reader.read()
    next(items)
    happens()
    return list(items)


def same(one, other):
    assert (one[0], one[2], one[3]) == (other[0], other[2], other[3])
    assert [[plane.tobytes() for plane in each.planes] for each in one[1]] == [
        [plane.tobytes() for plane in each.planes] for each in other[1]
    ]


def hdr():
    """Return a video whose tone mapping reads a table: no file opens while it is read elsewhere."""
    frames = [gray_frame(level, pixel_format="yuv420p10le") for level in (64, 500, 940)]
    for frame in frames:
        frame.color_trc, frame.color_primaries, frame.colorspace = 16, 9, 9
    return write_video(frames)


def index_last(frames):
    return write_video(frames, container="mp4", codec="libx264")


@pytest.mark.parametrize("source", [io.BytesIO, OneWay])
@pytest.mark.parametrize(
    "data",
    [
        write_video(moving_frames(30, 35, 17), sound=Sound("libopus", [0.5], seconds=1.2, offset=0.1)),
        index_last(moving_frames(30)),
        write_video(moving_frames(9), times=[Fraction(n * n, 30) for n in range(9)]),
        write_video(moving_frames(20), container="yuv4mpegpipe", codec="wrapped_avframe"),
        hdr(),
    ],
    ids=["sound", "index last", "pictures that stand", "y4m", "hdr"],
)
def test_what_comes_is_the_same(data, source):
    settings = {"audio": OPUS, "metadata": True}
    same(all_of(open_isolated(source(data), Control(), **settings)), read_all(source(data), **settings))


def test_a_part_of_a_path_is_the_same(clip, tmp_path):
    path = tmp_path / "clip.mkv"
    path.write_bytes(clip)
    part = {"start": 0.5, "duration": 0.5}
    same(all_of(open_isolated(path, Control(), **part)), read_all(path, **part))


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        (b"no video", MediaError, "not a video"),
        (b"", MediaError, "empty"),
        (write_video(moving_frames(2, 512, 256)), LimitError, "512x256"),
        (write_video(moving_frames(2), container="nut", codec="asv1"), MediaError, "asv1, which is not read here"),
        (write_video(moving_frames(2), container="swf", codec="flv"), MediaError, "not a video"),
    ],
    ids=["text", "empty", "large", "codec", "container"],
)
def test_errors_come_through(data, kind, text):
    with pytest.raises(kind, match=text):
        open_isolated(io.BytesIO(data), Control(), limits=Limits(width=500))
    until(lambda: not children(), "the process is gone")


def test_a_sound_of_another_codec_is_left_out():
    data = write_video(moving_frames(24), sound=Sound("tta", [], seconds=1.0))
    info, pictures, _, notes = all_of(open_isolated(io.BytesIO(data), Control(), audio=OPUS))
    assert (info.audio_track, len(pictures)) == (None, 24)
    assert any(note.startswith("sound-left-out") for note in notes)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_costs_one_video(long, clip, number):
    reader = open_isolated(io.BytesIO(long), Control())
    with reader, pytest.raises(MediaCrashedError, match="FFmpeg ended") as raised:
        go_on_after(reader, lambda: child().send_signal(number))
    assert raised.value.reason == "MEDIA_CRASHED"
    assert len(all_of(open_isolated(io.BytesIO(clip), Control()))[1]) == 48


def test_silence_ends_it(long):
    reader = open_isolated(io.BytesIO(long), Control(), stall_s=0.5)
    with reader, pytest.raises(MediaStalledError, match=r"nothing for 0.5 s"):
        go_on_after(reader, child().suspend)
    until(lambda: not children(), "the process is gone")


@pytest.mark.parametrize(("stop", "kind"), [("cancel", CancelledError), ("deadline", DeadlineError)])
def test_cancel_and_deadline_end_it_whatever_it_is_at(long, stop, kind):
    control = Control()

    def happens():
        child().suspend()
        if stop == "cancel":
            threading.Timer(0.3, control.cancel).start()
        else:
            control.deadline = time.monotonic() + 0.3

    with open_isolated(io.BytesIO(long), control) as reader, pytest.raises(kind):
        go_on_after(reader, happens)
    until(lambda: not children(), "the process is gone")


def test_memory_is_bounded():
    large = write_video(moving_frames(3, 3840, 2160), codec="ffv1")
    all_of(open_isolated(io.BytesIO(large), Control()))
    (server,) = servers()
    loaded = server.memory_info().vms + (32 << 20)  # libraries, and less than those pictures take
    with pytest.raises(CmvcError) as raised:
        all_of(open_isolated(io.BytesIO(large), Control(), limits=Limits(media_bytes=loaded)))
    assert raised.value.reason in {"LIMIT_EXCEEDED", "NO_VIDEO", "MEDIA_CRASHED"}
    assert len(all_of(open_isolated(io.BytesIO(large), Control()))[1]) == 3


def test_closing_early_ends_the_process(long):
    with open_isolated(io.BytesIO(long), Control()) as reader:
        items = reader.read()
        next(items)
        assert children()
    assert list(items) == []
    until(lambda: not children(), "the process is gone")


def test_what_a_source_raises_is_raised():
    class Broken(OneWay):
        def read(self, size=-1):
            raise ConnectionResetError("the caller is gone")

    with pytest.raises(ConnectionResetError, match="the caller is gone"):
        open_isolated(Broken(b""), Control())
    until(lambda: not children(), "the process is gone")


@pytest.mark.skipif(not filters_calls(), reason="libseccomp2 is not installed")
def test_the_process_is_under_the_filter_and_has_no_secrets(long, monkeypatch):
    SPAWNER.stop()
    monkeypatch.setenv("CMVC_TOKEN", "secret")
    with open_isolated(io.BytesIO(long), Control()):
        found = child()
        status = dict(line.split(":\t", 1) for line in _proc(found, "status").decode().splitlines() if ":\t" in line)
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        assert b"secret" not in _proc(found.parent(), "environ")
        inherited = {each.readlink().name for each in Path(f"/proc/{found.pid}/fd").iterdir()}
        assert {each.partition(":")[0] for each in inherited if each[0] != "#"} <= {"null", "socket", "pipe", "memfd"}


def _proc(process, name):
    return Path(f"/proc/{process.pid}/{name}").read_bytes()


def test_a_machine_without_the_filter_says_so_once(monkeypatch, caplog):
    monkeypatch.setattr(isolated, "filters_calls", lambda: False)
    isolated.warm_up.cache_clear()
    with caplog.at_level(logging.WARNING):
        isolated.warm_up()
        isolated.warm_up()
    assert [record.message for record in caplog.records if "libseccomp2" in record.message] == [
        "media are read without a filter of system calls, under limits of resources alone; "
        "install libseccomp2 and pyseccomp"
    ]


@pytest.mark.parametrize(
    "said",
    [b"", b"[]", b"null", b'{"info": {}}', b'{"reason": "CANCELLED", "message": "", "field": ""}', b"\xff" * 20],
)
def test_nonsense_is_no_crash_here(said):
    with pytest.raises((ValueError, TypeError, KeyError)):
        Opened.unpack(said, DEFAULT_LIMITS)
    with pytest.raises((ValueError, TypeError, KeyError)):
        unpack_error(said)
