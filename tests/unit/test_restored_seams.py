"""The benchmark of seams between restored segments: what it counts, and that it runs."""

import json

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

from benchmarks import restored_seams as benchmark


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(benchmark, "SEGMENT", 8)
    monkeypatch.setattr(benchmark, "SIDE", 32)


def test_a_jump_where_segments_meet_is_counted_there():
    guide = np.full((24, 32, 32, 3), 100, np.uint8) + np.arange(24, dtype=np.uint8)[:, None, None, None]
    jumping = guide.copy()
    jumping[8:16] += 5
    even, odd = benchmark.row("even", guide, guide), benchmark.row("odd", jumping, guide)
    assert (even["change inside"], even["change at borders"], even["error of all"]) == (1, 1, 0)
    assert (odd["change inside"], odd["most inside"], odd["change at borders"]) == (
        1,
        1,
        5,
    )  # one up by 6, one down by 4
    assert odd["error of a segment's first 4 frames"] == 2.5


def test_it_runs_from_training_to_the_table(tmp_path):
    benchmark.main(["--steps", "4", "--videos", "1", "--out", str(tmp_path)])
    rows = json.loads((tmp_path / "restored_seams.json").read_text())["rows"]
    assert rows[0]["frames"] == "the guide"
    assert len(rows) == 5
    assert all(np.isfinite(row["change inside"]) for row in rows)
