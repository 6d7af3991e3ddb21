"""The GPU benchmark's own code, at toy sizes on the CPU."""

import json

import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import torch

from benchmarks.gpu import __main__ as benchmark
from benchmarks.gpu.variants import FEWER, SAME, SKIPPED


def report(folder, *arguments):
    """Run the benchmark and return its rows, its notes and its Markdown."""
    benchmark.main(["--tiny", "--steps", "2", "--repeats", "1", "--out", str(folder), *arguments])
    found = json.loads((folder / "gpu-tiny.json").read_text())
    return found["rows"], found["notes"], (folder / "gpu-tiny.md").read_text()


def kinds(rows):
    return [(row["kind"], row["batch"], row["steps"]) for row in rows]


def test_wan_with_every_feature_but_compiling(tmp_path):
    rows, notes, text = report(
        tmp_path, "--profile", "wan-vace-1.3b", "--batch", "1", "2", "--features", "served", "vae", "attention", "cache"
    )

    assert kinds(rows) == [(SAME, 1, 2)] * 4 + [(SKIPPED, 1, 2)] + [(SAME, 2, 2)] * 2
    assert [row["variant"] for row in rows[:4]] == [
        "stock diffusers",
        "served, nothing switched on",
        "+ VAE in bfloat16",
        "+ attention native",
    ]
    assert [row["variant"] for row in rows[5:]] == ["stock diffusers", "+ attention native"]
    assert not notes
    for row in rows:
        assert row["size"] == "64x64x5"
        assert row["frames_per_second"] == pytest.approx(row["batch"] * 5 / row["seconds"], rel=0.05, abs=0.01)
        assert row["realtime_x"] == pytest.approx(row["frames_per_second"] / 16, abs=0.01)
        stock = next(other for other in rows if other["batch"] == row["batch"])
        assert row["times_stock"] == pytest.approx(stock["seconds"] / row["seconds"], abs=0.02)
    assert "Toy sizes: the numbers mean nothing" in text
    assert f"torch: {torch.__version__}" in text


def test_fewer_steps_are_named_so(tmp_path):
    rows, notes, text = report(
        tmp_path, "--profile", "animatediff", "--batch", "1", "--features", "attention", "few-steps"
    )

    assert kinds(rows) == [(SAME, 1, 2), (FEWER, 1, 2)]
    assert "animatediff, + attention native: left out" in notes[0]
    assert notes[0] in text


@pytest.mark.parametrize("profile", ["ltx-video", "videocrafter2"])
def test_the_other_profiles(tmp_path, profile):
    rows, _, text = report(tmp_path, "--profile", profile, "--batch", "1", "--features", "served")

    assert kinds(rows) == [(SAME, 1, 2)] * 2
    assert f"## {profile}, 64x64x" in text


def test_without_a_gpu_it_says_what_to_do(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, so the benchmark runs instead of refusing")

    with pytest.raises(SystemExit):
        benchmark.main(["--out", str(tmp_path)])

    assert "no CUDA device; --tiny" in capsys.readouterr().err
