"""The GPU benchmark's own code, at toy sizes on the CPU."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import torch

from benchmarks.gpu import __main__ as benchmark
from benchmarks.gpu import measure
from benchmarks.gpu.measure import Plan
from benchmarks.gpu.variants import FEWER, OTHER, SAME, SKIPPED, Variant
from benchmarks.gpu.work import work
from cmvc_decoder.diffusion.settings import Settings


def report(folder, *arguments):
    """Run the benchmark and return its rows, its notes and its Markdown."""
    benchmark.main(["--tiny", "--steps", "2", "--repeats", "1", "--out", str(folder), *arguments])
    found = json.loads((folder / "gpu-tiny.json").read_text())
    return found["rows"], found["notes"], (folder / "gpu-tiny.md").read_text()


def kinds(rows):
    return [(row["kind"], row["batch"], row["steps"]) for row in rows]


def test_wan_with_every_feature_but_compiling(tmp_path):
    rows, notes, text = report(
        tmp_path,
        "--only",
        "wan-vace-1.3b",
        "--batch",
        "1",
        "2",
        "--features",
        "served",
        "vae",
        "attention",
        "cache",
        "fast-vae",
    )

    assert kinds(rows) == [(SAME, 1, 2)] * 4 + [(SKIPPED, 1, 2), (OTHER, 1, 2)] + [(SAME, 2, 2)] * 2
    assert [row["variant"] for row in rows[:4]] == [
        "stock diffusers",
        "served, nothing switched on",
        "+ VAE in bfloat16",
        "+ attention native",
    ]
    assert [row["variant"] for row in rows[6:]] == ["stock diffusers", "+ attention native"]
    assert not notes
    for row in rows:
        assert row["size"] == "64x64x5"
        assert row["frames_per_second"] == pytest.approx(row["batch"] * 5 / row["seconds"], rel=0.05, abs=0.01)
        assert row["realtime_x"] == pytest.approx(row["frames_per_second"] / 16, abs=0.01)
        stock = next(other for other in rows if other["batch"] == row["batch"])
        assert row["times_stock"] == pytest.approx(stock["seconds"] / row["seconds"], abs=0.02)
    assert "Toy sizes: the numbers mean nothing" in text
    assert f"torch: {torch.__version__}" in text


def test_the_vae_beside_the_next_run_is_shown_in_the_last_batch(tmp_path):
    asked = ("--only", "wan-vace-1.3b", "--batch", "1", "2", "--features", "served", "beside")
    rows, _, _ = report(tmp_path, *asked)

    assert kinds(rows) == [(SAME, 1, 2)] * 2 + [(SAME, 2, 2)] * 2 + [(FEWER, 2, 2)] * 2
    assert [row["variant"] for row in rows[4:]] == [
        "one video a run, decoded in turn",
        "one video a run, decoded beside the next run",
    ]


def test_fewer_steps_are_named_so(tmp_path):
    rows, notes, text = report(
        tmp_path, "--only", "animatediff", "--batch", "1", "--features", "attention", "few-steps"
    )

    assert kinds(rows) == [(SAME, 1, 2), (FEWER, 1, 2)]
    assert "animatediff, + attention native: left out" in notes[0]
    assert notes[0] in text


@pytest.mark.parametrize("profile", ["ltx-video", "videocrafter2"])
def test_the_other_profiles(tmp_path, profile):
    rows, _, text = report(tmp_path, "--only", profile, "--batch", "1", "--features", "served")

    assert kinds(rows) == [(SAME, 1, 2)] * 2
    assert f"## {profile}, 64x64x" in text


def test_a_restorer_is_measured_at_two_sizes(tmp_path):
    rows, _, text = report(tmp_path, "--only", "swiftvr", "--batch", "1", "2", "--features", "served", "attention")

    one_step = [(SAME, batch, 1) for batch in (1, 1, 1, 2, 2, 1, 1)]
    assert kinds(rows) == one_step
    assert [row["size"] for row in rows] == ["64x64x9"] * 5 + ["96x64x9"] * 2
    assert "## swiftvr, 64x64x9" in text
    assert "## swiftvr, 96x64x9" in text


def test_the_time_of_all_steps_follows_from_runs_of_few(tmp_path):
    asked = ("--only", "videocrafter2", "--steps", "6", "--batch", "1", "--features", "served")
    rows, _, _ = report(tmp_path, *asked)
    for row in rows:
        assert row["steps"] == 6
        assert row["seconds"] == pytest.approx(float(row["other_s"]) + 6 * float(row["step_s"]), abs=0.02)
    rows, _, _ = report(tmp_path, *asked, "--whole")
    assert {row["step_s"] for row in rows} == {""}


def test_work_that_steps_are_added_to_takes_as_long_as_was_worked_out():
    """A variant whose runs take a known time by a clock of the test's own."""
    now = [0.0]

    def run(_work, steps):
        now[0] += 5 + 2 * steps

    settings = Settings(30, 5.0)
    variants = [Variant(name, SAME, run, (), settings) for name in ("stock", "served", "late")]
    plan = Plan(replace(work("wan-vace-1.3b", tiny=True, steps=None), videos=1), 2, "cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure.time, "perf_counter", lambda: now[0])
        patch.setattr(measure.time, "monotonic", lambda: now[0])
        rows, late = measure.measure(variants, plan, measure.Clock(70.0), lambda _name: None)
    assert [row["seconds"] for row in rows] == [65.0, 65.0]
    assert [(row["step_s"], row["other_s"]) for row in rows] == [("2.000", "5.00")] * 2
    assert late == ["late"]


def test_a_killed_run_leaves_the_table_of_what_was_done(tmp_path, monkeypatch):
    whole = benchmark.measure

    def stopped(variants, plan, clock, told):
        if plan.work.videos == 2:
            raise KeyboardInterrupt
        return whole(variants, plan, clock, told)

    monkeypatch.setattr(benchmark, "measure", stopped)
    with pytest.raises(KeyboardInterrupt):
        report(tmp_path, "--only", "ltx-video", "--batch", "1", "2", "--features", "served")
    found = json.loads((tmp_path / "gpu-tiny.json").read_text())
    assert kinds(found["rows"]) == [(SAME, 1, 2)] * 2
    assert "## ltx-video" in (tmp_path / "gpu-tiny.md").read_text()


def test_time_that_is_over_begins_no_run(tmp_path):
    rows, notes, text = report(
        tmp_path, "--only", "ltx-video", "--minutes", "0", "--batch", "1", "--features", "served"
    )
    assert rows == []
    assert any("stock diffusers: left out, there was no time" in note for note in notes)
    assert notes[-1] in text


def test_without_a_gpu_it_says_what_to_do(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, so the benchmark runs instead of refusing")

    with pytest.raises(SystemExit):
        benchmark.main(["--out", str(tmp_path)])

    assert "no CUDA device; --tiny" in capsys.readouterr().err
