"""An encoder whose FFmpeg crashes or hangs on a video loses that video, and nothing else."""

import io
import signal
import threading
from pathlib import Path

import psutil
import pytest
from media_files import OneWay, moving_frames, write_video
from servers import command_line, servers, until

from cmvc.client import Client
from cmvc.control import Control
from cmvc.errors import CancelledError, MediaCrashedError
from cmvc.settings import encode_config

CONFIG = encode_config(mode="coded", bitrate="20k", effort="fast")


@pytest.fixture(scope="module")
def encoder():
    with servers() as start:
        yield start("encoder", "--running", "1", "--waiting", "1")


@pytest.fixture(scope="module")
def clip() -> bytes:
    return write_video(moving_frames(48, 320, 240))


class Paused(OneWay):
    """A video of which the second half comes once it is let go."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._half = len(data) // 2
        self.go_on = threading.Event()

    def read(self, size=-1):
        if self.taken >= self._half:
            assert self.go_on.wait(60)
        return super().read(min(size, 4096) if size > 0 else 4096)


def readers(server) -> list[psutil.Process]:
    """Return the processes that read media for a server and are alive: they have memory for pictures."""
    found = psutil.Process(server.process.pid).children(recursive=True)
    return [each for each in found if "cmvc-media" in _maps(each.pid) and "isolated" in command_line(each)]


def _maps(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # it is gone
        return ""


def begun(server, clip, **settings):
    """Return an encode of which half has been sent, what lets it go on, and the process that reads it."""
    source, failed = Paused(clip), []

    def encode():
        with Client(server.address) as client:
            try:
                list(client.encode_stream(source, CONFIG, **settings))
            except Exception as error:  # noqa: BLE001 - looked at
                failed.append(error)

    thread = threading.Thread(target=encode, daemon=True)
    thread.start()
    until(lambda: readers(server), "the video is being read")
    return thread, failed, source, readers(server)[0]


def encodes(server, clip) -> bool:
    with Client(server.address) as client:
        return client.encode(io.BytesIO(clip), io.BytesIO(), CONFIG).frames == 48


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_costs_one_call(encoder, clip, number):
    thread, failed, source, reader = begun(encoder, clip)
    reader.send_signal(number)
    source.go_on.set()
    thread.join(60)
    (error,) = failed
    assert isinstance(error, MediaCrashedError)
    assert "FFmpeg ended" in str(error)
    assert encodes(encoder, clip)


def test_a_hang_ends_when_the_caller_says(encoder, clip):
    control = Control()
    thread, failed, source, reader = begun(encoder, clip, control=control)
    reader.suspend()
    source.go_on.set()
    control.cancel()
    thread.join(60)
    assert isinstance(failed[0], CancelledError)
    until(lambda: not readers(encoder), "the process is gone")
    assert encodes(encoder, clip)


def test_a_server_that_is_ended_leaves_no_process(clip):
    with servers() as start:
        server = start("encoder")
        thread, _, source, reader = begun(server, clip)
        reader.suspend()
        server.process.kill()
        until(lambda: not reader.is_running() or reader.status() == psutil.STATUS_ZOMBIE, "the process is gone")
        source.go_on.set()
        thread.join(60)
