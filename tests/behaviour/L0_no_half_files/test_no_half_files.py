"""An output file is whole or not there."""

import signal
import subprocess

import pytest
from servers import CMVC, PATIENCE_S, servers, until
from streams import stream

LONG = 4000  # segments; far longer to decode than it takes to press Ctrl-C, on a busy machine too


def start_decoding(folder, *arguments):
    (folder / "long.cmvc").write_bytes(stream(segments=LONG))
    command = [*CMVC, "decode", "long.cmvc", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def half_written(folder):
    return [path for path in folder.glob(".out.y4m.*.part") if path.stat().st_size]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_command_leaves_nothing(tmp_path, number, status):
    process = start_decoding(tmp_path, "out.y4m")
    until(lambda: bool(half_written(tmp_path)), "some output is there")
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["long.cmvc"]


def test_interrupted_remote_command_leaves_nothing(tmp_path):
    with servers() as start:
        process = start_decoding(tmp_path, "out.y4m", "--target", start("decoder").address)
        until(lambda: bool(half_written(tmp_path)), "some output is there")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["long.cmvc"]


def test_server_that_dies_leaves_nothing(tmp_path):
    with servers() as start:
        decoder = start("decoder")
        process = start_decoding(tmp_path, "out.y4m", "--target", decoder.address)
        until(lambda: bool(half_written(tmp_path)), "some output is there")
        decoder.process.kill()
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert errors.startswith("error: BACKEND_UNAVAILABLE: ")
    assert errors.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["long.cmvc"]


def test_failed_command_leaves_the_old_file(tmp_path):
    (tmp_path / "out.y4m").write_text("old")
    (tmp_path / "bad.cmvc").write_bytes(b"no stream at all")
    done = subprocess.run(
        [*CMVC, "decode", "-y", "bad.cmvc", "out.y4m"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert (tmp_path / "out.y4m").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.cmvc", "out.y4m"]


def test_finished_file_replaces_the_old_one(tmp_path):
    (tmp_path / "out.y4m").write_text("old")
    (tmp_path / "good.cmvc").write_bytes(stream(segments=1))
    subprocess.run([*CMVC, "decode", "-y", "good.cmvc", "out.y4m"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "out.y4m").read_bytes().startswith(b"YUV4MPEG2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.cmvc", "out.y4m"]


def test_pipe_gets_what_a_file_gets(tmp_path):
    data = stream(segments=2)
    (tmp_path / "good.cmvc").write_bytes(data)
    subprocess.run([*CMVC, "decode", "good.cmvc", "out.y4m"], cwd=tmp_path, check=True, capture_output=True)
    piped = subprocess.run(
        [*CMVC, "decode", "-", "-", "--format", "y4m"], input=data, cwd=tmp_path, check=True, capture_output=True
    )
    assert piped.stdout == (tmp_path / "out.y4m").read_bytes()
