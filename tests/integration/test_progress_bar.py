"""What a person at a terminal sees, and nobody else."""

import os
import pty
import re
import subprocess

from media_files import moving_frames, write_video
from servers import CMVC
from streams import stream


def shown_at_a_terminal(command, folder):
    here, there = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, cwd=folder, stderr=there, env=environment) as process:
        os.close(there)
        shown = b"".join(iter(lambda: read(here), b""))
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())


def test_bar_shows_frames_rate_and_time_left_on_a_terminal_only(tmp_path):
    (tmp_path / "in.cmvc").write_bytes(stream(segments=100))
    command = [*CMVC, "decode", "-y", "in.cmvc", "out.mp4"]
    text = shown_at_a_terminal(command, tmp_path)
    assert "decoding" in text
    assert re.search(r"\d+/2400 frames +\d+\.\d\d kbit/s +\d:\d\d:\d\d left", text)

    quiet = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    *lines, last = quiet.stderr.splitlines()
    assert last == "out.mp4: 2400 frames in 100 segments"
    assert all(re.fullmatch(r"decoding: \d+/2400 frames, .*", line) for line in lines)  # where it takes long


def test_an_encode_shows_what_it_has_read_before_its_first_window_is_done(tmp_path):
    (tmp_path / "in.mp4").write_bytes(write_video(moving_frames(96, 320, 180), container="mp4", codec="libx264"))
    text = shown_at_a_terminal([*CMVC, "encode", "in.mp4", "out.cmvc", "--mode", "coded"], tmp_path)
    assert re.search(r"encoding.* 0/96 frames +[1-9]\d* read", text)


def read(terminal):
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux says that the other side has closed
        return b""
