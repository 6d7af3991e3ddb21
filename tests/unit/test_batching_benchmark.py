"""The benchmark of batching runs, and what it counts is so."""

import json

import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

from benchmarks import batching


def test_every_segment_is_made_in_runs_of_at_most_the_batch(tmp_path):
    batching.main(["--segments", "4", "--step", "0.01", "--batch", "1", "2", "--out", str(tmp_path)])
    one, two = json.loads((tmp_path / "batching.json").read_text())["rows"]
    assert (one["runs"], one["mean_run"]) == (4, 1)
    assert 2 <= two["runs"] <= 4
    assert two["runs"] * two["mean_run"] == pytest.approx(4, abs=0.05)
    assert one["first_segment_s"] <= one["seconds"]
    assert "a step takes 0.01 s" in (tmp_path / "batching.md").read_text()
