"""Many inputs and folders of them become one folder of outputs; what is done stays done, what is not is redone."""

import json
from pathlib import Path

import fsspec
import pytest
from click.testing import CliRunner
from media_files import moving_frames, write_video
from streams import stream

from cmvc.cli import cli

QUICK = ("--mode", "coded", "--bitrate", "40k", "--effort", "fast")


def run(*arguments):
    """Return the exit code of a command, and what it says of its files as JSON by their outputs."""
    result = CliRunner().invoke(cli, [*map(str, arguments), "--json", "-q"])
    files = json.loads(result.stdout)["files"] if result.stdout else []
    return result.exit_code, {each["output"]: each for each in files}


def states(found):
    return {name: each["state"] for name, each in found.items()}


@pytest.fixture(scope="module")
def video():
    return write_video(moving_frames(6))


@pytest.fixture
def folder(tmp_path, video):
    """Return a folder with two videos, one of them deeper, beside what is none."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.mkv").write_bytes(video)
    (tmp_path / "in" / "deep" / "b.mkv").write_bytes(video + b"\0")
    (tmp_path / "in" / "notes.txt").write_text("no video")
    return tmp_path


def test_what_is_done_is_skipped_and_what_is_not_is_redone(folder):
    encode = ("encode", folder / "in", "-o", folder / "out", *QUICK)
    code, found = run(*encode)
    assert (code, states(found)) == (0, {"a.cmvc": "done", "deep/b.cmvc": "done"})
    assert found["a.cmvc"]["numbers"]["frames"] == 6
    a = folder / "out" / "a.cmvc"
    whole, before = a.read_bytes(), a.stat().st_mtime_ns
    assert states(run(*encode)[1]) == {"a.cmvc": "was done", "deep/b.cmvc": "was done"}
    assert a.stat().st_mtime_ns == before
    a.write_bytes(whole[:-1])  # half done, as a disk that was full leaves it
    assert states(run(*encode)[1]) == {"a.cmvc": "done", "deep/b.cmvc": "was done"}
    assert a.read_bytes() == whole
    a.unlink()
    (folder / "in" / "deep" / "b.mkv").write_bytes(write_video(moving_frames(4)))  # another under the same name
    assert states(run(*encode)[1]) == {"a.cmvc": "done", "deep/b.cmvc": "done"}
    assert states(run(*encode, "--seed", 1)[1]) == {"a.cmvc": "done", "deep/b.cmvc": "done"}  # asked for otherwise
    code, found = run("decode", folder / "out", "-o", folder / "back", "--format", "y4m")
    assert (code, states(found)) == (0, {"a.y4m": "done", "deep/b.y4m": "done"})
    assert (folder / "back" / "deep" / "b.y4m").read_bytes().count(b"FRAME\n") == 4


def test_one_that_fails_keeps_no_other_from_it(folder):
    (folder / "in" / "a.mkv").write_bytes(b"no video")
    code, found = run("encode", folder / "in", "-o", folder / "out", *QUICK)
    assert (code, states(found)) == (1, {"a.cmvc": "failed", "deep/b.cmvc": "done"})
    assert found["a.cmvc"]["error"].startswith("UNREADABLE_MEDIA: ")
    assert not (folder / "out" / "a.cmvc").exists()


def test_what_others_have_made_is_replaced_only_when_asked(folder):
    (folder / "out").mkdir()
    (folder / "out" / "a.cmvc").write_bytes(b"precious")
    encode = ("encode", folder / "in" / "a.mkv", "-o", folder / "out", *QUICK)
    code, found = run(*encode)
    assert (code, found["a.cmvc"]["error"].partition(":")[0]) == (1, "OUTPUT_EXISTS")
    assert (folder / "out" / "a.cmvc").read_bytes() == b"precious"
    assert run(*encode, "-y")[0] == 0


def test_shares_do_each_file_once(folder, video):
    (folder / "in" / "c.mkv").write_bytes(video)
    (folder / "in" / "c.mp4").write_bytes(video)  # of one name but for the ending
    first, second = (
        run("encode", folder / "in", "-o", folder / "out", *QUICK, "--share", f"{number}/2")[1] for number in (0, 1)
    )
    assert sorted([*first, *second]) == ["a.cmvc", "c.mkv.cmvc", "c.mp4.cmvc", "deep/b.cmvc"]


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_inputs_and_outputs_may_lie_in_object_storage(scheme, tmp_path, video):
    root = f"memory://{tmp_path.name}" if scheme == "memory" else f"file://{tmp_path}"
    files, path = fsspec.core.url_to_fs(root)
    files.makedirs(f"{path}/in/deep")
    files.pipe_file(f"{path}/in/deep/a.mkv", video)
    encode = ("encode", f"{root}/in", "-o", f"{root}/out", *QUICK)
    assert states(run(*encode)[1]) == {"deep/a.cmvc": "done"}
    assert states(run(*encode)[1]) == {"deep/a.cmvc": "was done"}
    whole = files.cat_file(f"{path}/out/deep/a.cmvc")
    files.pipe_file(f"{path}/out/deep/a.cmvc", whole[:-1])
    assert states(run(*encode)[1]) == {"deep/a.cmvc": "done"}
    assert files.cat_file(f"{path}/out/deep/a.cmvc") == whole
    code, found = run("decode", f"{root}/out/deep/a.cmvc", "-o", f"{root}/back", "--format", "y4m")
    assert (code, states(found)) == (0, {"a.y4m": "done"})
    assert files.cat_file(f"{path}/back/a.y4m").count(b"FRAME\n") == 6


@pytest.mark.parametrize(
    ("place", "reason"), [("nowhere", "NOT_FOUND"), ("odd://x/y", "SERVICE_NOT_INSTALLED"), (".", "NOT_FOUND")]
)
def test_what_is_not_there_is_said_in_one_line(place, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["encode", place, "-o", "out"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {reason}: "), result.stderr
    assert not Path("out").exists()


def test_there_is_one_table(folder):
    (folder / "x.cmvc").write_bytes(stream(segments=1))
    result = CliRunner().invoke(cli, ["decode", str(folder / "x.cmvc"), "-o", str(folder / "back")])
    assert result.stdout.split() == ["output", "state", "took", "s", "frames", "segments", *result.stdout.split()[6:]]
    assert result.stdout.splitlines()[1].split()[:2] == ["x.mp4", "done"]
