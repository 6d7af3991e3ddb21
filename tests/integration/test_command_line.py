"""The habits of the tools that people know: versions, help, completion, how much is said, JSON."""

import json
import os
import re
import subprocess

import av
import click
import pytest
from click.testing import CliRunner
from media_files import moving_frames, write_video
from servers import CMVC
from streams import stream

from cmvc.cli import cli
from cmvc.cli.progress import LINE_SECONDS, Lines
from cmvc.v1.common_pb2 import Progress


def run(*arguments):
    return CliRunner().invoke(cli, [*map(str, arguments)])


def commands(group, names=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*names, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))


def test_version_names_what_codes_pictures():
    said = subprocess.run([*CMVC, "--version"], capture_output=True, text=True, check=True).stdout
    assert re.match(r"cmvc \d+\.\d+\.\d+, Python 3", said)
    assert f"FFmpeg {av.ffmpeg_version_info} (libavcodec " in said
    assert re.search(r"SVT-AV1 \d+\.\d+\.\d+\n", said)


def test_every_command_has_short_help():
    found = list(commands(cli))
    assert ("serve", "gateway") in found
    for names in found:
        result = run(*names, "-h")
        assert result.exit_code == 0, (names, result.output)
        assert result.output.startswith("Usage: ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(shell):
    assert "_CMVC_COMPLETE" in run("completion", shell).output


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("cmvc en", "plain,encode"), ("cmvc encode --effort b", "plain,best"), ("cmvc decode x", "file,x")],
)
def test_completion_knows_commands_choices_and_files(typed, offered):
    words = typed.split()
    environment = {
        **os.environ,
        "_CMVC_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    told = subprocess.run([*CMVC], env=environment, capture_output=True, text=True, check=False)
    assert offered in told.stdout.splitlines()


def test_how_much_is_said(tmp_path):
    source, out = tmp_path / "in.cmvc", tmp_path / "out.y4m"
    source.write_bytes(stream(segments=2))
    assert run("decode", source, out).stderr == "out.y4m: 48 frames in 2 segments\n"
    assert run("decode", source, out, "-y", "-q").stderr == ""
    assert re.fullmatch(
        r"48 frames in [\d.]+ s, [\d.]+ a second\nout.y4m: .*\n", run("decode", source, out, "-y", "-v").stderr
    )
    source.write_bytes(stream(segments=2)[:-1])
    assert run("decode", source, out, "-y", "-q").stderr.startswith("warning: TRUNCATED: ")
    assert run("decode", source, out, "-q").stderr.startswith("error: OUTPUT_EXISTS: ")


def test_json_is_all_that_standard_output_has(tmp_path):
    video, coded, back = (tmp_path / name for name in ("in.mkv", "x.cmvc", "x.mp4"))
    video.write_bytes(write_video(moving_frames(12)))
    told = json.loads(run("encode", video, coded, "--effort", "fast", "--bitrate", "200k", "--json").stdout)
    assert (told["frames"], told["bytes"]) == (12, coded.stat().st_size)
    assert [note.partition(":")[0] for note in told["notes"]] == ["saturated"]
    told = json.loads(run("decode", coded, back, "--json").stdout)
    assert (told["frames"], told["segments"]) == (12, 1)
    assert json.loads(run("evaluate", video, back, "--json").stdout)["frames"] == 12
    refused = run("decode", coded, "-", "--json")
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_a_higher_crf_makes_a_smaller_mp4(tmp_path):
    (tmp_path / "in.cmvc").write_bytes(stream(segments=1))
    sizes = []
    for crf in ((), ("--crf", 18), ("--crf", 40)):
        run("decode", tmp_path / "in.cmvc", tmp_path / "out.mp4", "-y", *crf)
        sizes.append((tmp_path / "out.mp4").stat().st_size)
    assert sizes[0] == sizes[1] > 1.5 * sizes[2]
    refused = run("decode", tmp_path / "in.cmvc", tmp_path / "out.y4m", "--crf", 20)
    assert refused.stderr.startswith("error: INVALID_SETTING: a CRF says how good H.264 in MP4 is")


def test_where_there_is_no_terminal_progress_is_lines_now_and_then():
    now, lines = [0.0], []
    shown = Lines("encoding", clock=lambda: now[0], write=lines.append)
    for second in range(0, 41):
        now[0] = float(second)
        total = 100 if second else 0
        shown.show(Progress(frames_done=second, frames_total=total, stream_bytes=10 * second, seconds_done=second))
    assert len(lines) == 40 // LINE_SECONDS
    assert lines[0] == "encoding: 10/100 frames, 0.08 kbit/s, 0:01:30 left"
    now[0] = 100.0
    shown.show(Progress(frames_total=100, frames_read=48))  # before the first window is done
    assert lines[-1] == "encoding: 0/100 frames, 48 read"
