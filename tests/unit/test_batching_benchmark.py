"""The benchmark of batching runs, and what it counts is so."""

import json

import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

from benchmarks import batching


def test_every_segment_is_made_in_runs_of_at_most_the_batch(tmp_path):
    options = ["--segments", "2", "--step", "0.01", "--vae", "0.02", "--batch", "1", "2", "--out", str(tmp_path)]
    batching.main(options)
    found = json.loads((tmp_path / "batching.json").read_text())
    assert [(row["VAE"], row["batch"]) for row in found["rows"]] == [
        (kind, batch) for batch in (1, 2) for kind in batching.KINDS
    ]
    for row in found["rows"]:
        assert 2 / row["batch"] <= row["runs"] <= 2
        assert row["runs"] * row["mean_run"] == 2
        assert row["first_segment_s"] <= row["seconds"]
    assert found["versions"].keys() == {"torch", "diffusers"}
    assert found["command"].startswith("python -m benchmarks.batching --segments 2")
    text = (tmp_path / "batching.md").read_text()
    assert "a step takes 0.01 s" in text
    assert "the VAE 0.02 s" in text
