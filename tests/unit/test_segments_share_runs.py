"""Segments of several callers in one process share runs of the model, and the model alone is what they wait for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

from together import together

from cmvc.control import Control
from cmvc.errors import CancelledError
from cmvc.media.picture import Picture
from cmvc.profiles.profile import FrameRule
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.generator import DiffusionGenerator
from cmvc_decoder.generator import Anchor, Conditions, Step
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.speed import batching
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.triton.sign_of_life import sign_of_life

PATIENCE_S = 120
ASKED = Conditions(
    common_pb2.MODE_TT2V,
    64,
    64,
    5,
    Fraction(16),
    0,
    text="Black wall background, large red ball.",
    settings={"steps": "2", "guidance": "1", "pixels": "4096"},
)


class Noted(WanVace):
    """The profile, whose runs are noted; those of windows of a width of ``held`` or more wait until ``go`` is set."""

    def __init__(self, held=0):
        self.held = held
        self.runs = []
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)

    def run(self, pipe, windows, settings, step):
        self.runs.append(len(windows))
        self.last = windows[-1], settings
        self.begun.release()
        assert windows[0].width < self.held or self.go.wait(PATIENCE_S)
        return super().run(pipe, windows, settings, step)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pipeline").symlink_to(Path(__file__).parents[1] / "toy_vace" / "weights")
    return tmp_path


def pictures(generator, conditions, control=None):
    items = generator.generate(conditions, control or Control())
    return np.stack([item.y for item in items if not isinstance(item, Step)])


def given_a_frame(position):
    picture = Picture(*(np.full(shape, 40 * position + 60, np.uint8) for shape in ((64, 64), (32, 32), (32, 32))))
    return replace(ASKED, mode=common_pb2.MODE_IT2V, anchors=(Anchor(position, picture),))


@pytest.mark.parametrize(
    "asked",
    [
        [replace(ASKED, seed=seed) for seed in range(3)],
        [ASKED, given_a_frame(0), replace(given_a_frame(4), frame_rate=Fraction(12))],
    ],
    ids=["of one kind", "given other frames"],
)
def test_callers_of_one_process_share_runs_and_get_what_they_would_alone(folder, monkeypatch, asked):
    monkeypatch.setattr(batching, "LINGER_S", PATIENCE_S)  # so that all are in, however slow this machine is
    profile = Noted()
    profile.go.set()
    generator = DiffusionGenerator(profile, folder, SpeedOptions(batch=3))
    generator.load()
    alone = [pictures(generator, each) for each in asked]
    profile.runs.clear()
    ready = threading.Barrier(3)
    plan = generator._job

    def planned(conditions, control):
        found = plan(conditions, control)
        ready.wait(PATIENCE_S)
        return found

    generator._job = planned
    with generator._batcher.member(), ThreadPoolExecutor(3) as pool:  # nothing runs alone before all three are in
        made = [pool.submit(pictures, generator, each) for each in asked]
        for number, each in enumerate(made):
            # Sums of a batch are rounded in another order than those of one segment alone.
            assert np.abs(each.result(PATIENCE_S).astype(int) - alone[number]).max() <= 2
    assert profile.runs == [3]


def test_a_stopped_segment_ends_while_the_model_is_busy_with_others(folder):
    profile = Noted()
    generator = DiffusionGenerator(profile, folder, SpeedOptions())
    stopped = Control()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(pictures, generator, ASKED)
        assert profile.begun.acquire(timeout=PATIENCE_S)
        second = pool.submit(pictures, generator, replace(ASKED, seed=1), stopped)
        stopped.cancel()
        with pytest.raises(CancelledError):
            second.result(PATIENCE_S)
        profile.go.set()
        assert len(first.result(PATIENCE_S)) == 5
    assert profile.runs == [1]


def test_a_segment_leaves_when_it_is_done_and_not_when_its_batch_is(folder):
    """The second is wider: it is made in a run of its own, which does not end before the first has left."""
    profile = Noted(held=80)
    generator = DiffusionGenerator(profile, folder, SpeedOptions(batch=2))
    plan = generator._job

    def planned(conditions, control):
        if conditions.width > 64:
            assert profile.begun.acquire(timeout=PATIENCE_S)  # the first has begun
        return plan(conditions, control)

    generator._job = planned
    left = {0: 5, 1: 5}
    for number, item in together(generator, [(ASKED, Control()), (replace(ASKED, width=128), Control())]):
        left[number] -= isinstance(item, Picture)
        if not left[0]:
            profile.go.set()
    assert left == {0: 0, 1: 0}
    assert profile.runs == [1, 1]


def test_what_is_compiled_beforehand_has_the_shape_of_real_work(folder):
    profile = Noted()
    profile.go.set()
    small = replace(WanVace.facts.grid, pixels=64 * 112, frames=FrameRule(4, 1, 5, 9))
    profile.facts = replace(WanVace.facts, grid=small)
    generator = DiffusionGenerator(profile, folder, SpeedOptions())
    pipe = profile.load(folder, SpeedOptions())
    generator._warm_up(pipe)
    warm, settings = profile.last
    assert settings.steps == 1
    real = replace(ASKED, width=1920, height=1080, frames=9, settings={"steps": "1"})
    pictures(generator, real)
    assert profile.last[0].shape == warm.shape
    profile.last = ()
    pictures(generator, sign_of_life(profile.facts, SpeedOptions(device="cuda", compile="regional")))
    assert profile.last[0].shape == warm.shape
    for eager in (SpeedOptions(device="cuda"), SpeedOptions(device="cpu", compile="regional")):
        assert sign_of_life(profile.facts, eager).frames == 1
