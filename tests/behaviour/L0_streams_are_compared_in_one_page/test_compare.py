"""A report shows streams beside their reference and needs nothing else; posters and scores need no decoded file."""

import base64
import io
import json
import re
import shutil
import subprocess

import av
import numpy as np
import pytest
from click.testing import CliRunner
from media_files import moving_frames, write_video

from cmvc.cli import cli
from cmvc.client import Client
from cmvc.settings import decode_config, encode_config

NAMES = ("coded.cmvc", "<b>text.cmvc")


def run(*arguments):
    result = CliRunner().invoke(cli, [*map(str, arguments)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a video, a stream in many segments, and a described one."""
    path = tmp_path_factory.mktemp("compare")
    (path / "ref.mkv").write_bytes(write_video(moving_frames(60, 192, 112)))
    with Client() as client:
        for name, mode in zip(NAMES, ("coded", "tt2v"), strict=True):
            config = encode_config(mode=mode, bitrate="40k", latency_ms=800, effort="fast")
            client.encode(path / "ref.mkv", path / name, config)
    run("compare", path / "ref.mkv", *(path / name for name in NAMES), "-o", path / "report.html")
    return path


def test_the_page_needs_nothing_else(folder):
    page = (folder / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:)|https?://|url\(|@import", page)
    pictures = re.findall(r'<img class="p"[^>]* src="data:image/webp;base64,([^"]+)"', page)
    assert len(pictures) == 6 * 3  # moments, and the reference and two streams
    with av.open(io.BytesIO(base64.b64decode(pictures[0]))) as picture:
        stream = picture.streams.video[0]
        assert (stream.width, stream.height) == (192, 112)
    assert page.count("<svg") == 2
    assert "prefers-color-scheme: dark" in page
    assert "<b>text" not in page  # names are data
    assert "&lt;b&gt;text.cmvc" in page


def test_it_says_what_is_in_the_streams(folder):
    page = (folder / "report.html").read_text()
    for name in NAMES:
        found = json.loads(run("inspect", "--json", folder / name))
        for segment in found["segments"]:
            assert f"{segment['mode']} {sum(segment['bytes'].values())} B</div>" in page
        assert f"<td>{found['totals']['bytes']}</td>" in page


@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no Chromium")
def test_a_browser_runs_it_without_a_word(folder, tmp_path):
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"]
    address = (folder / "report.html").as_uri()
    command = ["chromium", *options, f"--user-data-dir={tmp_path}", "--dump-dom", address]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.count('<img class="p"') == 18
    assert not [line for line in shown.stderr.splitlines() if "CONSOLE" in line]


def test_evaluate_takes_streams_as_they_are(folder, tmp_path):
    run("decode", folder / "coded.cmvc", tmp_path / "back.y4m")
    decoded = run("evaluate", folder / "ref.mkv", tmp_path / "back.y4m", "--json")
    assert json.loads(run("evaluate", folder / "ref.mkv", folder / "coded.cmvc", "--json")) == json.loads(decoded)


def test_a_poster_is_a_picture_of_the_stream(folder, tmp_path):
    with Client() as client:
        raw = b"".join(client.decode_stream(folder / "coded.cmvc", decode_config(output="y4m")))
        first_frames = [round(each["pts_s"] * 24) for each in client.inspect(folder / "coded.cmvc")["segments"]]
    wanted = next(frame for frame in first_frames if frame >= 6)
    for at, frame in ((), wanted), (("--at", "1.5"), 36):
        run("thumb", folder / "coded.cmvc", "-o", tmp_path / "x.png", "-y", *at)
        with av.open(str(tmp_path / "x.png")) as picture:
            shown = next(picture.decode(video=0)).to_ndarray(format="gray").astype(int)
        with av.open(io.BytesIO(raw), format="yuv4mpegpipe") as video:
            frames = [each.to_ndarray(format="gray").astype(int) for each in video.decode(video=0)]
        off = [np.abs(each - shown).mean() for each in frames]
        assert off[frame] < 2
        assert off[frame] == min(off)


def test_what_is_no_stream_or_no_picture_is_said(folder, tmp_path):
    refused = CliRunner().invoke(
        cli, ["compare", str(folder / "ref.mkv"), str(folder / "ref.mkv"), "-o", str(tmp_path / "x.html")]
    )
    assert refused.stderr.startswith("error: NOT_CMVC: ")
    refused = CliRunner().invoke(cli, ["thumb", str(folder / "coded.cmvc"), "-o", str(tmp_path / "x.tiff")])
    assert refused.stderr.startswith("error: INVALID_SETTING: 'x.tiff' has no ending of a picture")
    assert not list(tmp_path.iterdir())
