"""The script of the batch overlay, with the real command on real files."""

import os
import subprocess
import sys
from pathlib import Path

from manifests import K8S
from media_files import moving_frames, write_video
from servers import until

SCRIPT = K8S / "overlays" / "batch" / "share.sh"


def environment_of(folder, direction, share, source, target, shares):
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DIRECTION": direction,
        "SHARES": str(shares),
        "JOB_COMPLETION_INDEX": str(share),
        "IN": str(folder / source),
        "OUT": str(folder / target),
        "CMVC_ENCODE_MODE": "coded",
        "CMVC_ENCODE_BITRATE": "40k",
    }


def run(folder, direction, share, source, target, shares=2):
    """Run one share; return its exit code and output."""
    environment = environment_of(folder, direction, share, source, target, shares)
    done = subprocess.run(["sh", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_shares_do_every_file_once_and_back(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a b.mp4", "c.mp4", "d.mp4"):
        (tmp_path / "in" / name).write_bytes(write_video(moving_frames(8)))
    assert run(tmp_path, "encode", 0, "in", "out")[0] == 0
    assert names(tmp_path / "out") == ["a b.mp4.cmvc", "d.mp4.cmvc"]
    assert run(tmp_path, "encode", 1, "in", "out")[0] == 0
    assert names(tmp_path / "out") == ["a b.mp4.cmvc", "c.mp4.cmvc", "d.mp4.cmvc"]
    assert run(tmp_path, "decode", 0, "out", "back", shares=1)[0] == 0
    assert names(tmp_path / "back") == ["a b.mp4.mp4", "c.mp4.mp4", "d.mp4.mp4"]


def test_a_share_goes_on_where_it_stopped_and_past_what_fails(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(b"no video")
    (tmp_path / "in" / "b.mp4").write_bytes(write_video(moving_frames(8)))
    code, said = run(tmp_path, "encode", 0, "in", "out", shares=1)
    assert code == 1
    assert "a.mp4: failed" in said
    whole = (tmp_path / "out" / "b.mp4.cmvc").read_bytes()
    code, said = run(tmp_path, "encode", 0, "in", "out", shares=1)
    assert code == 1
    assert "b.mp4" not in said
    assert (tmp_path / "out" / "b.mp4.cmvc").read_bytes() == whole


def test_a_volume_without_the_folder_is_an_error(tmp_path):
    code, said = run(tmp_path, "encode", 0, "in", "out")
    assert code == 2
    assert said == f"there is no folder {tmp_path}/in; put the files there\n"


def test_a_share_that_is_told_to_end_leaves_no_half_file(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "long.mkv").write_bytes(write_video(moving_frames(600, 160, 120)))
    (tmp_path / "out").mkdir()
    share = subprocess.Popen(["sh", SCRIPT], env=environment_of(tmp_path, "encode", 0, "in", "out", 1))
    until(lambda: list((tmp_path / "out").iterdir()) != [], "it begins to write")
    share.terminate()
    assert share.wait() == 143
    assert list((tmp_path / "out").iterdir()) == []


def test_addresses_in_object_storage_go_to_the_command_as_they_are(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mkv").write_bytes(write_video(moving_frames(8)))
    environment = environment_of(tmp_path, "encode", 0, "in", "out", 1)
    environment |= {name: f"file://{environment[name]}" for name in ("IN", "OUT")}
    done = subprocess.run(["sh", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, names(tmp_path / "out")) == (0, [".cmvc", "a.cmvc"])
