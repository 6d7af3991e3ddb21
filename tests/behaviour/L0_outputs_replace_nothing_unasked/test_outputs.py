"""An output never replaces its input, nor a file that stands there unless that was asked for, and says what it is."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from media_files import moving_frames, write_video
from streams import stream

from cmvc.cli import cli
from cmvc.client import Client
from cmvc.errors import InvalidSettingError, OutputExistsError, OutputIsInputError
from cmvc.files import is_special, whole_file
from cmvc.settings import encode_config

VIDEO = write_video(moving_frames(6), container="mp4", codec="libx264")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.mp4").write_bytes(VIDEO)
    (tmp_path / "in.cmvc").write_bytes(stream(segments=1))
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def run(*arguments):
    return CliRunner().invoke(cli, arguments)


def refused(done, reason):
    assert done.exit_code == 1
    assert done.output.startswith(f"error: {reason}: ")
    assert done.output.count("\n") == 1


@pytest.mark.parametrize("way", ["itself", "symlink", "hard link", "proc", "other spelling", "symlinked folder"])
@pytest.mark.parametrize("arguments", [(), ("-y",)])
def test_output_that_is_the_input_is_refused(folder, way, arguments):
    name = "in.cmvc"
    if way == "symlink":
        Path(name := "link.cmvc").symlink_to("in.cmvc")
    elif way == "hard link":
        Path(name := "link.cmvc").hardlink_to("in.cmvc")
    elif way == "proc":
        name = "/proc/self/cwd/in.cmvc"
    elif way == "other spelling":
        name = f"../{folder.name}/./in.cmvc"
    elif way == "symlinked folder":
        Path("here").symlink_to(".")
        name = "here/in.cmvc"
    before = names(folder)
    refused(run("encode", *arguments, "in.cmvc", name), "OUTPUT_IS_INPUT")
    assert (folder / "in.cmvc").read_bytes() == stream(segments=1)
    assert names(folder) == before


def test_the_same_of_open_files_and_of_the_library(folder):
    config = encode_config(mode="coded", bitrate="40k")
    with Client() as client, (folder / "in.mp4").open("r+b") as file:
        for source, destination in (
            ("in.mp4", "in.mp4"), (file, "in.mp4"), ("in.mp4", file), (file, file),
            (file, f"/proc/self/fd/{file.fileno()}"),
        ):  # fmt: skip
            with pytest.raises(OutputIsInputError):
                client.encode(source, destination, config)
        memory = io.BytesIO(VIDEO)
        assert client.encode(memory, io.BytesIO(), config).frames == 6
        assert client.encode("in.mp4", "/dev/null", config).frames == 6
    assert (folder / "in.mp4").read_bytes() == VIDEO


@pytest.mark.parametrize("arguments", [("encode", "in.mp4", "old.cmvc"), ("decode", "in.cmvc", "old.mp4")])
def test_existing_output_stays_unless_asked(folder, arguments):
    old = folder / arguments[-1]
    old.write_text("old")
    refused(run(*arguments), "OUTPUT_EXISTS")
    assert old.read_text() == "old"
    for flag in ("-y", "--overwrite"):
        assert run(arguments[0], flag, *arguments[1:]).exit_code == 0
    assert old.read_bytes() != b"old"
    assert CliRunner().invoke(cli, arguments, env={f"CMVC_{arguments[0].upper()}_OVERWRITE": "1"}).exit_code == 0


def test_library_replaces_unless_told_not_to(folder):
    (folder / "old.mp4").write_text("old")
    with Client() as client:
        with pytest.raises(OutputExistsError):
            client.decode("in.cmvc", "old.mp4", overwrite=False)
        assert (folder / "old.mp4").read_text() == "old"
        client.decode("in.cmvc", "old.mp4")
    assert (folder / "old.mp4").read_bytes() != b"old"


def test_file_that_came_while_working_stays(folder):
    opened = whole_file(folder / "new", overwrite=False)
    opened.__enter__().write(b"ours")
    (folder / "new").write_text("theirs")
    with pytest.raises(OutputExistsError):
        opened.__exit__(None, None, None)
    assert (folder / "new").read_text() == "theirs"
    assert names(folder) == ["in.cmvc", "in.mp4", "new"]


def test_new_file_is_made_where_none_may_be_replaced(folder):
    with whole_file(folder / "new", overwrite=False) as file:
        file.write(b"ours")
    assert (folder / "new").read_bytes() == b"ours"
    assert names(folder) == ["in.cmvc", "in.mp4", "new"]


@pytest.mark.parametrize("name", ["folder", "folder/", "new/"])
def test_folder_is_refused(folder, name):
    (folder / "folder").mkdir()
    for command in (("encode", "in.mp4"), ("decode", "in.cmvc")):
        done = run(*command, name)
        assert done.exit_code == 1
        assert done.output.count("\n") == 1
    refused(run("encode", "in.mp4", "folder"), "IO_ERROR")


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "frame_%04d.png", "a", "a.mp4.txt", "a.cmvc"])
def test_ending_of_no_video_that_is_written_is_refused(folder, name):
    refused(run("decode", "in.cmvc", name), "INVALID_SETTING")
    with pytest.raises(InvalidSettingError, match=r"choose one of \.mp4, \.m4v, \.y4m"), Client() as client:
        client.decode("in.cmvc", name)
    assert not (folder / name).exists()
    assert run("decode", "in.cmvc", name, "--format", "y4m").exit_code == 0
    assert (folder / name).read_bytes().startswith(b"YUV4MPEG2")


@pytest.mark.parametrize("name", ["a.mp4", "a", "a.cmvc.mkv"])
def test_ending_of_no_stream_is_refused(folder, name):
    refused(run("encode", "in.mp4", name), "INVALID_SETTING")
    assert not (folder / name).exists()


def test_descriptors_and_devices_take_anything(folder):
    assert is_special("/dev/null")
    assert is_special("/dev/stdout")
    assert is_special("/proc/self/fd/1")
    assert not is_special("in.mp4")
    assert run("decode", "in.cmvc", "/dev/null").exit_code == 0
    assert run("encode", "in.mp4", "/dev/null").exit_code == 0


def test_chart_of_keyframes(folder):
    assert run("inspect", "--keyframes", "chart.jpg", "in.mp4").exit_code == 2
    (folder / "chart.png").write_text("old")
    refused(run("inspect", "--keyframes", "chart.png", "in.mp4"), "OUTPUT_EXISTS")
    assert run("inspect", "-y", "--keyframes", "chart.png", "in.mp4").exit_code == 0
    assert (folder / "chart.png").read_bytes()[1:4] == b"PNG"
