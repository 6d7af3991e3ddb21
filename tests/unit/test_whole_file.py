import os
import stat
import threading

import pytest

from cmvc.files import whole_file


def test_file_appears_when_the_block_ends(tmp_path):
    with whole_file(tmp_path / "out") as file:
        file.write(b"all of it")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out").read_bytes() == b"all of it"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_what_was_there(tmp_path, kind):
    (tmp_path / "out").write_text("old")
    opened = whole_file(tmp_path / "out")
    opened.__enter__().write(b"half")
    assert not opened.__exit__(kind, kind(), None)
    assert (tmp_path / "out").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with whole_file(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_permissions_are_the_usual_ones(tmp_path):
    with whole_file(tmp_path / "out"), (tmp_path / "plain").open("wb"):
        pass
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_pipe_is_written_to_directly(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with whole_file(tmp_path / "pipe") as file:
        file.write(b"through")
    reader.join()
    assert got == [b"through"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
