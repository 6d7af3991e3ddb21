"""Windows are coded by several processes at once; bytes do not show it, and however the work ends they end with it."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from av.video.frame import VideoFrame
from media_files import write_video
from servers import command_line, until

from cmvc.client import Client
from cmvc.control import Control
from cmvc.errors import CancelledError, DeadlineError
from cmvc.settings import encode_config
from cmvc_encoder.options import EncoderOptions

FORKING = "cmvc_encoder.workers.task"


@pytest.fixture(scope="module")
def clip() -> bytes:
    """Five shots of a second each that pan over noise."""
    frames = []
    for seed in range(5):
        view = np.repeat(np.repeat(np.random.default_rng(seed).integers(30, 220, (12, 80, 3), np.uint8), 8, 0), 4, 1)
        shown = [np.ascontiguousarray(view[:, n : n + 160]) for n in range(24)]
        frames += [VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p") for image in shown]
    return write_video(frames, codec="libx264", options={"crf": "10"})


@pytest.fixture(scope="module")
def path(clip, tmp_path_factory) -> Path:
    """The clip as a file."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    path.write_bytes(clip)
    return path


def encode(clip: bytes, jobs: int, **config) -> bytes:
    with Client(encoder=EncoderOptions(jobs=jobs)) as client:
        return b"".join(client.encode_stream(io.BytesIO(clip), encode_config(**config)))


def forking(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes that fork workers for one process."""
    return [child for child in process.children() if FORKING in command_line(child)]


def workers(process: psutil.Process) -> list[psutil.Process]:
    """Return the workers of a process that are alive."""
    return [worker for child in forking(process) for worker in child.children() if lives(worker)]


def lives(process: psutil.Process) -> bool:
    """Say whether a process has not ended; one that nobody has reaped yet has."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("mode", ["auto", "it2v"])
def test_bytes_do_not_depend_on_the_number_of_workers(clip, mode):
    one, four = (encode(clip, jobs, mode=mode, bitrate=8000, effort="fast") for jobs in (1, 4))
    assert one == four


@pytest.mark.parametrize("stop", ["cancel", "close"])
def test_work_that_is_stopped_frees_the_processor(clip, stop):
    here, control = psutil.Process(), Control()
    config = encode_config(mode="coded", bitrate=12_000)
    with Client(encoder=EncoderOptions(jobs=2)) as client:
        transfer = client.encode_stream(io.BytesIO(clip), config, control=control)
        parts = iter(transfer)
        next(parts)  # what stands before the segments
        next(parts)
        until(lambda: workers(here), "other windows are in work")
        if stop == "cancel":
            control.cancel()
            with pytest.raises(CancelledError):
                list(parts)
        transfer.close()
    until(lambda: not workers(here), "the workers are gone")


def test_work_past_its_deadline_frees_the_processor(clip):
    config = encode_config(mode="coded", bitrate=12_000, effort="best")
    with Client(encoder=EncoderOptions(jobs=2)) as client, pytest.raises(DeadlineError):
        list(client.encode_stream(io.BytesIO(clip), config, deadline_s=2.0))
    until(lambda: not workers(psutil.Process()), "the workers are gone")


def test_a_worker_that_is_killed_costs_time_only(clip):
    here, config = psutil.Process(), {"mode": "coded", "bitrate": 12_000, "effort": "fast"}
    with Client(encoder=EncoderOptions(jobs=1)) as client:
        transfer = client.encode_stream(io.BytesIO(clip), encode_config(**config))
        parts = iter(transfer)
        data = next(parts) + next(parts)
        until(lambda: workers(here), "the second window is in work")
        workers(here)[0].kill()
        data += b"".join(parts)
    assert data == encode(clip, 2, **config)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_ended_leaves_no_process(path, tmp_path, number):
    arguments = ["encode", str(path), str(tmp_path / "out.cmvc"), "--effort", "best", "--mode", "coded", "--jobs", "2"]
    with subprocess.Popen([sys.executable, "-m", "cmvc.cli", *arguments], stderr=subprocess.DEVNULL) as command:
        process = psutil.Process(command.pid)
        until(lambda: len(workers(process)) == 2, "two windows are in work")
        all_ = [*forking(process), *workers(process)]
        os.kill(command.pid, number)
    until(lambda: not any(map(lives, all_)), "its processes are gone")
    assert not (tmp_path / "out.cmvc").exists()


SCRIPT = """
import sys
from cmvc.client import Client
from cmvc.settings import encode_config
print("once")
with Client() as client:
    client.encode(sys.argv[1], sys.argv[2], encode_config(mode="tt2v"))
"""


def test_a_script_needs_no_guard(path, tmp_path):
    script, stream = tmp_path / "script.py", tmp_path / "out.cmvc"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(path), str(stream)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("once\n", "")
    assert stream.stat().st_size > 0
