"""What ``cmvc encode --estimate`` foretells from a part is what encoding that part gives."""

import json

import pytest
from click.testing import CliRunner
from media_files import moving_frames, write_video

from cmvc.cli import cli


def run(*arguments):
    return CliRunner().invoke(cli, [*map(str, arguments)])


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "in.mkv"
    path.write_bytes(write_video(moving_frames(96, 64, 48)))  # 4 s
    return path


def test_of_a_whole_video_and_of_one_four_times_as_long(video):
    part = ("--start", "0.5", "--duration", "3", "--bitrate", "20k", "--seed", "7")
    short = json.loads(run("encode", video, "--estimate", "--json", *part).stdout)["efforts"]
    assert [each["effort"] for each in short] == ["fast", "default", "best"]
    made = json.loads(run("encode", video, video.with_suffix(".cmvc"), "--json", *part).stdout)
    assert short[1]["bytes"] == made["bytes"]
    assert short[1]["bits_per_second"] == pytest.approx(made["bits_per_second"], abs=0.1)
    for each in short:
        assert sum(each["modes"].values()) == pytest.approx(1)
        assert 0 < each["ssim"] <= 1
        assert each["seconds"] > 0
    whole = json.loads(run("encode", video, "--estimate", "--json", *part[4:]).stdout)["efforts"]
    # its middle 3 s are the part above
    assert [each["bits_per_second"] for each in whole] == [each["bits_per_second"] for each in short]
    assert whole[0]["bytes"] == pytest.approx(short[0]["bytes"] * 4 / 3, abs=1)


def test_it_writes_nothing_and_wants_one_file(video, tmp_path):
    assert "IN alone" in run("encode", video, tmp_path / "out.cmvc", "--estimate").stderr
    assert "no file" in run("encode", "-", "--estimate").stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.mkv"]
