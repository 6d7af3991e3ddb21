"""Every code block of the README runs as it stands, in order, against a short clip called my.mp4."""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from doc_blocks import blocks, end, environment, start

ROOT = Path(__file__).parents[3]
BLOCKS = blocks(ROOT / "README.md")
PORT = "50051"


def is_make(text: str) -> bool:
    return text.lstrip().startswith("make ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with my.mp4: 2 s of something that moves, with sound."""
    with av.open(str(tmp_path / "my.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 192, 112, "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="mono")
        y, x = np.mgrid[0:112, 0:192]
        for number in range(48):
            rgb = np.stack([x + number, y + 60, 255 - x], axis=-1).astype(np.uint8)
            rgb[40:72, 2 * number : 2 * number + 32] = (220, 60, 40)
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
            tone = np.sin(np.arange(2000) * 0.06)[None].astype(np.float32) * 0.2
            sound = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 48_000, 2000 * number, Fraction(1, 48_000)
            container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())
    return tmp_path


@pytest.fixture
def servers() -> Iterator[list[subprocess.Popen]]:
    """What the blocks leave running in the background."""
    started: list[subprocess.Popen] = []
    yield started
    end(started)


def run_bash(text: str, folder: Path, servers: list[subprocess.Popen]) -> None:
    """Run a block; a line that ends in & is started, and must say that it listens before the rest runs."""
    lines = text.splitlines()
    for line in (line for line in lines if line.endswith("&")):
        start(line, folder, servers)
    script = "\n".join(line for line in lines if not line.endswith("&"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stderr.decode()}"


def test_blocks_run(folder: Path, servers: list[subprocess.Popen]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    wanted = [(language, text) for language, text in BLOCKS if not is_make(text)]
    assert {language for language, _ in wanted} == {"bash", "python"}
    for language, text in wanted:
        block = text.replace(PORT, port)
        if language == "bash":
            run_bash(block, folder, servers)
        else:
            command = [sys.executable, "-c", block]
            done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, check=False)
            assert done.returncode == 0, f"{block}\n{done.stderr.decode()}"
    for name in ("my.cmvc", "back.mp4", "back.y4m"):
        assert (folder / name).stat().st_size > 0
    with av.open(str(folder / "back.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 48


@pytest.mark.slow
def test_set_up_and_demo_run_in_a_fresh_copy(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    copy = folder / "copy"
    for name in filter(None, listed.decode().split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    shutil.copy2(folder / "my.mp4", copy)
    for language, text in BLOCKS:
        if is_make(text):
            assert language == "bash"
            run_bash(text, copy, [])
    assert (copy / ".venv" / "bin" / "cmvc").exists()
    for name in ("contact-sheet.png", "metrics.txt", "tt2v.cmvc", "it2v.mp4", "vt2v.mp4", "coded.mp4"):
        assert (copy / "demo" / name).stat().st_size > 0


def test_setting_up_takes_two_commands() -> None:
    assert BLOCKS[0][1].splitlines() == ["make demo", "make test"]


def test_what_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
