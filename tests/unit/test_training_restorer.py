"""Training of the restorer: pairs from videos, a run that can be stopped, and a file that decoders run."""

import csv
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from media_files import moving_frames, write_video

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
runtime = pytest.importorskip("onnxruntime")

from perceptual_weights import random_weights  # noqa: E402

from cmvc.errors import CancelledError, InvalidSettingError  # noqa: E402
from cmvc.restoration.condition import condition  # noqa: E402
from cmvc_decoder.training.restorer.batches import Batch  # noqa: E402
from cmvc_decoder.training.restorer.command import command  # noqa: E402
from cmvc_decoder.training.restorer.export import read_weights  # noqa: E402
from cmvc_decoder.training.restorer.network import Restorer  # noqa: E402
from cmvc_decoder.training.restorer.options import RestorerOptions, RestorerPlaces  # noqa: E402
from cmvc_decoder.training.restorer.pairs import Pairs, planes, split  # noqa: E402
from cmvc_decoder.training.restorer.perceptual import Perceptual  # noqa: E402
from cmvc_decoder.training.restorer.run import CHART, LOSSES, MODEL, RECORD, train  # noqa: E402
from cmvc_decoder.training.stopping import Stopping  # noqa: E402

OPTIONS = RestorerOptions(
    variant="fidelity", start_from="", steps=4, batch=2, learning_rate=1e-3, codings=1, patches=4, held_out=0.5, seed=0
)
STOPPED_AT = 2


class Shown:
    """Shows nothing; notes a signal at a step."""

    def __init__(self, stopping, at=None):
        self.stopping, self.at = stopping, at

    def progress(self, what, done, total, note=""):
        if what == "training" and done == self.at:
            self.stopping.number = 2

    def line(self, text):
        pass


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name, size in (("a", (128, 96)), ("b", (160, 112))):
        (folder / f"{name}.mkv").write_bytes(write_video(moving_frames(6, *size)))
    return folder


def run(videos, out, *, resume=False, stop_at=None, options=OPTIONS):
    places = RestorerPlaces(videos=videos, out=out, save_every=100, evaluate_every=2, device="cpu", threads=1)
    stopping = Stopping()
    return train(options, places, stopping=stopping, show=Shown(stopping, stop_at), resume=resume)


def losses(out):
    with (out / LOSSES).open(newline="") as file:
        return [row[:3] for row in csv.reader(file)]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(videos, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    summary = run(videos, whole)
    with pytest.raises(CancelledError, match="--resume"):
        run(videos, parts, stop_at=STOPPED_AT)
    assert len(losses(parts)) == 1 + 1 + STOPPED_AT  # names, before training, its steps
    with pytest.raises(InvalidSettingError, match="has a run already"):
        run(videos, parts)
    run(videos, parts, resume=True)
    assert losses(parts) == losses(whole)
    assert (parts / MODEL).read_bytes() == (whole / MODEL).read_bytes()
    assert (whole / CHART).stat().st_size > 1000
    assert summary["held_out_after"] <= summary["held_out_before"]


def test_the_file_does_what_the_network_does(videos, tmp_path):
    run(videos, tmp_path / "run", options=RestorerOptions(**{**OPTIONS.to_json(), "steps": 1}))
    pairs = Pairs(tmp_path / "run" / "pairs", [videos / "a.mkv", videos / "b.mkv"])
    luma, chroma, source, _ = planes(pairs.draw(1, np.random.default_rng(0))[0])
    told = condition(0.5, 200)[None]
    session = runtime.InferenceSession((tmp_path / "run" / MODEL).read_bytes(), providers=["CPUExecutionProvider"])
    shown = session.run(None, {"luma": luma, "chroma": chroma, "condition": told})
    assert [part.dtype for part in shown] == [np.uint8, np.uint8]
    assert np.abs(luma[0, 1].astype(int) - source[0, 0]).mean() < 40  # the source of that very place
    assert np.abs(shown[0].astype(int) - luma[:, 1:2]).mean() < 2  # after one step it hardly corrects


def test_the_command_goes_on_from_weights_that_there_are(videos, tmp_path):
    first, second = Path(str(files("cmvc.restoration").joinpath("fidelity.onnx"))), tmp_path / "second"
    options = ["--videos", str(videos), "--out", str(second), "--steps", "1", "--batch", "1", "--codings", "1"]
    options += ["--patches", "2", "--held-out", "0.5", "--threads", "1", "--start-from", str(first), "--json"]
    done = CliRunner().invoke(command, options)
    assert done.exit_code == 0, done.output
    before, after = (read_weights(path) for path in (first, second / MODEL))
    assert all((before[name] - after[name]).abs().max() < 1e-2 for name in before)  # one step from there
    assert json.loads((second / RECORD).read_bytes())["start_from"] == str(first)


def test_what_is_no_restorer_cannot_be_started_from(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"no")
    with pytest.raises(InvalidSettingError, match="cannot be started from"):
        read_weights(tmp_path / "no.onnx")


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(np.kron(rng.integers(40, 200, (2, 1, 12, 12)), np.ones((1, 1, 8, 8)))).float()
    source = coarse, torch.full((2, 2, 48, 48), 120.0)
    blurred = torch.nn.functional.avg_pool2d(coarse, 9, 1, 4)
    return Batch(blurred.expand(-1, 3, -1, -1), source[1], torch.zeros(2, 2), source)


def test_the_loss_of_the_perceptual_variant_is_least_for_the_source(batch):
    loss, network = Perceptual(random_weights()), Restorer()
    plain = batch.luma[:, 1:2].clone().requires_grad_()
    of_plain = loss(network, batch, (plain, batch.chroma))
    of_plain.backward()
    assert float(loss(network, batch, batch.source)) < float(of_plain.detach())
    assert plain.grad is not None
    assert float(plain.grad.abs().sum()) > 0
    assert float(loss.lpips("alexnet", batch, batch.source).max()) == pytest.approx(0, abs=1e-5)


def test_corrections_that_come_and_go_cost(batch):
    loss, network = Perceptual(random_weights()), Restorer()
    still = Batch(batch.source[0].expand(-1, 3, -1, -1), batch.chroma, batch.told, batch.source)
    steady = loss(network, still, still.source)
    flickering = loss(network, batch, still.source)  # the same pictures, of others that stood still
    assert float(steady) < float(flickering)


def test_the_network_begins_as_what_changes_nothing():
    luma, chroma = torch.rand(1, 3, 16, 24) * 255, torch.rand(1, 2, 8, 12) * 255
    shown = Restorer()(luma, chroma, torch.zeros(1, 2))
    assert torch.equal(shown[0], luma[:, 1:2])
    assert torch.equal(shown[1], chroma)


def test_videos_are_trained_on_or_held_out(videos):
    trained, held_out = split(videos, 0.5, 0)
    assert sorted(path.name for path in trained + held_out) == ["a.mkv", "b.mkv"]
    assert len(trained) == len(held_out) == 1
