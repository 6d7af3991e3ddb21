"""A tuned adapter brings the frames between two anchors closer to the truth, on videos that it was not tuned on.

The model is the toy checkpoint (a fixture, see ``toy_vace``), which knows flat things before flat backgrounds. It is
tuned on several of them that cross each other, where it was trained on one that moves along an axis.
"""

import json
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")
pytest.importorskip("peft", reason="training needs peft")
pytest.importorskip("matplotlib", reason="training needs matplotlib")


from benchmarks.interpolation import PAINTED_FRAMES, crowd, psnr, write_crowds
from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.media.rgb import from_rgb, to_rgb
from cmvc.v1 import common_pb2
from cmvc_decoder.generator import Anchor, Conditions
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.training.videos import load_index, split

pytestmark = pytest.mark.slow  # a minute on one core

COMMAND = [sys.executable, "-c", "from cmvc_decoder.training.command import main; main()"]
SIDE, FRAMES, RATE = 64, 5, Fraction(16)
VIDEOS, STEPS, SEED = 20, 120, 0
LARGEST_SHARE = 0.9  # of the held-out loss before training
LEAST_GAIN = 0.3  # dB, over the frames between


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    write_crowds(folder / "videos", VIDEOS)
    (folder / "models" / "wan-vace-1.3b").mkdir(parents=True)
    weights = Path(__file__).parents[2] / "toy_vace" / "weights"
    (folder / "models" / "wan-vace-1.3b" / "pipeline").symlink_to(weights)
    return folder


def start(folder: Path, *more: str) -> subprocess.Popen:
    options = {
        "videos": "videos", "out": "run", "models": "models", "name": "crowds", "size": f"{SIDE}x{SIDE}",
        "frames": FRAMES, "steps": STEPS, "batch": 8, "accumulate": 1, "learning-rate": 2e-3, "clips": 40,
        "held-out": 0.2, "held-out-clips": 6, "seed": SEED, "evaluate-every": 60, "device": "cpu",
    }  # fmt: skip
    command = [*COMMAND, *(part for name, value in options.items() for part in (f"--{name}", str(value))), *more]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def summary(folder) -> dict:
    """What a run says that was terminated on its way and resumed."""
    first = start(folder)
    losses = folder / "run" / "loss.csv"
    while first.poll() is None and not (losses.exists() and len(losses.read_text().splitlines()) > 10):
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    _, errors = first.communicate()
    assert first.returncode == 143, errors
    assert "go on with --resume" in errors
    second = start(folder, "--resume", "--install", "--json")
    told, errors = second.communicate()
    assert second.returncode == 0, errors
    return json.loads(told)


def between(generator, video: np.ndarray, adapter: str) -> np.ndarray:
    """Return the decoded frames between two anchors."""
    anchors = tuple(Anchor(n, from_rgb(video[n], 1)) for n in (0, FRAMES - 1))
    conditions = Conditions(
        mode=common_pb2.MODE_IT2V,
        width=SIDE,
        height=SIDE,
        frames=FRAMES - 1,
        frame_rate=RATE,
        seed=1,
        anchors=anchors,
        settings={"steps": "4", "guidance": "1", "pixels": str(SIDE * SIDE)},
        adapter=adapter,
    )
    made = [item for item in generator.generate(conditions, Control()) if isinstance(item, Picture)]
    return np.stack([to_rgb(picture, 1) for picture in made[1:]])


def test_held_out_loss_falls(summary):
    assert (summary["videos"], summary["held_out_videos"]) == (16, 4)
    assert summary["held_out_after"] < LARGEST_SHARE * summary["held_out_before"]


def test_frames_between_anchors_come_closer_to_the_truth(summary, folder):
    _, held_out = split(load_index(folder / "run" / "videos.json"), FRAMES, 0.2, SEED)
    generator = make_generator("wan-vace-1.3b", folder / "models", SpeedOptions())
    gains = []
    for video in held_out:
        truth = crowd(int(Path(video.path).stem.removeprefix("painted_")), PAINTED_FRAMES)[4 : 4 + FRAMES]
        before, after = (between(generator, truth, name) for name in ("", "crowds"))
        gains += [psnr(b, c) - psnr(a, c) for a, b, c in zip(before, after, truth[1:-1], strict=True)]
    assert np.mean(gains) > LEAST_GAIN, gains
