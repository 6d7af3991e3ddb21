"""``cmvc inspect --keyframes`` shows which keyframes a video gets, and why."""

import json
import subprocess
import sys

import numpy as np
import pytest
from media_files import moving_frames, numbered_frames, write_video
from PIL import Image
from servers import CMVC
from streams import stream

from cmvc.media.picture import Picture
from cmvc.media.reader import open_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    frames = moving_frames(30, 96, 64) + numbered_frames(1, 96, 64) * 30
    (root / "two.mkv").write_bytes(write_video(frames))
    (root / "good.cmvc").write_bytes(stream(segments=1))
    return root


def inspect(folder, *arguments, **settings):
    return subprocess.run([*CMVC, "inspect", *arguments], cwd=folder, capture_output=True, check=False, **settings)


def test_json_says_which_frames_and_the_chart_is_drawn(folder):
    done = inspect(folder, "two.mkv", "--keyframes", "out.png", "--json", "--max-gap", "1", "--threshold", "0.2")
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    assert (found["embedding"], found["threshold"], found["frame_rate"], found["frames"]) == ("embedded", 0.2, "24", 60)
    assert found["keyframes"] == [0, 24, 30, 54]
    assert [each["frame"] for each in found["samples"]] == [0, 6, 12, 18, 24, 30, 36, 42, 48, 54]
    assert [each["frame"] for each in found["samples"] if each["opens_shot"]] == [0, 30]
    assert found["samples"][5]["at_s"] == 1.25
    assert found["samples"][5]["similarity"] < 0.5 < found["samples"][6]["similarity"]


def test_the_chart_shows_the_keyframes_themselves(folder):
    inspect(folder, "two.mkv", "--keyframes", "two.png").check_returncode()
    chart = Image.open(folder / "two.png").convert("RGB")
    with open_video(folder / "two.mkv") as reader:
        gray = [item for item in reader.read() if isinstance(item, Picture)][40]
    level = round((int(gray.y[0, 0]) - 16) * 255 / 219)
    flat = sum(count for count, color in chart.getcolors(1 << 20) if max(abs(each - level) for each in color) <= 2)
    assert flat > 10_000  # pixels of the second shot's thumbnail


def test_a_table_says_why(folder):
    done = inspect(folder, "two.mkv", "--keyframes", "table.png", "--max-gap", "1", "--threshold", "0.2")
    rows = [line.split(maxsplit=3) for line in done.stdout.decode().splitlines()]
    assert [(row[0], row[3].strip()) for row in rows[1:]] == [
        ("0", "opens a shot"),
        ("24", "longest gap"),
        ("30", "opens a shot"),
        ("54", "longest gap"),
    ]


def test_a_video_may_come_by_standard_input(folder):
    done = inspect(folder, "-", "--keyframes", "piped.png", input=(folder / "two.mkv").read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    inspect(folder, "two.mkv", "--keyframes", "named.png").check_returncode()
    title = 60  # pixels; it names the source
    piped, named = (np.asarray(Image.open(folder / name))[title:] for name in ("piped.png", "named.png"))
    assert np.array_equal(piped, named)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("good.cmvc", "--keyframes", "bad.png"), "INVALID_SETTING"),
        (("missing.mp4", "--keyframes", "bad.png"), "NOT_FOUND"),
        (("two.mkv", "--keyframes", "nowhere/bad.png"), "NOT_FOUND"),
        (("two.mkv", "--keyframes", "bad.png", "--embedding", "sift"), "UNKNOWN_EMBEDDING"),
    ],
)
def test_failure_is_one_line_and_leaves_no_chart(folder, arguments, reason):
    done = inspect(folder, *arguments, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {reason}: ")
    assert done.stderr.count("\n") == 1
    assert not list(folder.rglob("*bad.png*"))


def test_a_stream_by_standard_input_is_refused_too(folder):
    done = inspect(folder, "-", "--keyframes", "bad.png", input=(folder / "good.cmvc").read_bytes())
    assert done.stderr.startswith(b"error: INVALID_SETTING: --keyframes draws from a video")


def test_options_of_the_chart_need_it(folder):
    done = inspect(folder, "good.cmvc", "--threshold", "0.5", text=True)
    assert done.returncode == 2
    assert "add it" in done.stderr


def test_without_pillow_it_says_what_to_install(folder):
    code = "import sys; sys.modules['PIL'] = None; import cmvc.cli; cmvc.cli.main()"
    command = [sys.executable, "-c", code, "inspect", "two.mkv", "--keyframes", "bad.png"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("error: SERVICE_NOT_INSTALLED: drawing needs Pillow")
    assert done.returncode == 1
