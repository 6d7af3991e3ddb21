"""Segments of several callers in one process share runs of the model, and the model alone is what they wait for."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import torch
from servers import until
from together import together

from cmvc.control import Control
from cmvc.errors import CancelledError, DeadlineError
from cmvc.media.picture import Picture
from cmvc.profiles.profile import FrameRule
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion import generator as diffusion_generator
from cmvc_decoder.diffusion.generator import DiffusionGenerator
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.generator import Anchor, Conditions, Step
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.memory import Memory
from cmvc_decoder.servicer import DecoderServicer
from cmvc_decoder.speed import batching
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.triton.sign_of_life import sign_of_life

PATIENCE_S = 120
WAN = WanVace.facts.id
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
    """The profile, whose runs are noted; those of windows of a width of ``held`` or more wait until ``go`` is set.

    Decoding waits until ``decoding`` is set.
    """

    def __init__(self, held=0):
        self.held = held
        self.runs, self.decoded = [], []
        self.go, self.decoding = threading.Event(), threading.Event()
        self.decoding.set()
        self.begun, self.decoding_begun = threading.Semaphore(0), threading.Semaphore(0)

    def denoise(self, pipe, windows, settings, step):
        self.runs.append(len(windows))
        self.last = windows[-1], settings
        self.begun.release()
        assert windows[0].width < self.held or self.go.wait(PATIENCE_S)
        return super().denoise(pipe, windows, settings, step)

    def decode(self, pipe, latents, window, settings, check):
        self.decoded.append(window.noise.initial_seed())
        self.decoding_begun.release()
        assert self.decoding.wait(PATIENCE_S)
        check()
        return super().decode(pipe, latents, window, settings, check)


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


def test_the_vae_decodes_one_segment_while_the_next_is_denoised(folder):
    """By the order of events alone: the first is not let out of the VAE before the second is in the model."""
    profile = Noted()
    profile.go.set()
    generator = DiffusionGenerator(profile, folder, SpeedOptions())
    asked = [ASKED, replace(given_a_frame(0), seed=1)]  # of which the second has a frame to be encoded meanwhile
    alone = [pictures(generator, each) for each in asked]
    profile.begun, profile.decoding_begun = threading.Semaphore(0), threading.Semaphore(0)
    profile.decoding.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(pictures, generator, asked[0])
        assert profile.decoding_begun.acquire(timeout=PATIENCE_S)
        assert profile.begun.acquire(timeout=PATIENCE_S)
        second = pool.submit(pictures, generator, asked[1])
        assert profile.begun.acquire(timeout=PATIENCE_S)
        assert not first.done()
        profile.decoding.set()
        made = [each.result(PATIENCE_S) for each in (first, second)]
    assert all(np.array_equal(one, other) for one, other in zip(made, alone, strict=True))


def test_weights_are_loaded_once_at_the_start_before_the_profile_is_ready(tmp_path, folder, monkeypatch):
    """Whoever comes meanwhile waits for that and for nothing else."""
    (tmp_path / WAN).symlink_to(folder)
    loading, may_go_on, loads = threading.Event(), threading.Event(), []
    load = WanVace.load

    def slow(self, *asked):
        loads.append(asked)
        loading.set()
        assert may_go_on.wait(PATIENCE_S)
        return load(self, *asked)

    monkeypatch.setattr(WanVace, "load", slow)
    executor = InProcessExecutor([WAN], tmp_path, ("device=cpu",))
    servicer = DecoderServicer(executor, 1, 1, Memory())
    with ThreadPoolExecutor(2) as pool:
        starting = pool.submit(asyncio.run, servicer.start())
        assert loading.wait(PATIENCE_S)
        assert not any(servicer.health().values())
        generator = executor._generator(WAN)
        early = pool.submit(pictures, generator, ASKED)
        coded = replace(ASKED, mode=common_pb2.MODE_CODED, guide=[given_a_frame(0).anchors[0].picture] * 5)
        assert len(pictures(generator, coded)) == 5  # needs no weights
        may_go_on.set()
        starting.result(PATIENCE_S)
        assert all(servicer.health().values())
        assert len(early.result(PATIENCE_S)) == 5
    assert len(loads) == 1


@pytest.mark.parametrize("stuck_s", [PATIENCE_S, -1], ids=["while the model lives", "and not for a stuck one"])
def test_whoever_waits_for_the_model_is_heard_of(folder, monkeypatch, stuck_s):
    monkeypatch.setattr(diffusion_generator, "BEAT_S", 0.0)
    monkeypatch.setattr(diffusion_generator, "STUCK_S", stuck_s)
    profile = Noted()
    generator = DiffusionGenerator(profile, folder, SpeedOptions())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(pictures, generator, ASKED)
        assert profile.begun.acquire(timeout=PATIENCE_S)
        items = generator.generate(replace(ASKED, seed=1), Control())
        if stuck_s < 0:
            profile.go.set()
            assert Step(0, 1) not in items
        else:
            assert [next(items) for _ in range(3)] == 3 * [Step(0, 1)]
            profile.go.set()
            assert sum(isinstance(item, Picture) for item in items) == 5
        first.result(PATIENCE_S)


def test_encoding_leaves_what_is_being_decoded_alone(folder):
    """The VAE carries frames from one latent to the next while it decodes; those of another video are not its own."""
    profile = Noted()
    profile.go.set()
    generator = DiffusionGenerator(profile, folder, SpeedOptions())
    generator.load()
    alone = pictures(generator, ASKED)
    vae = generator._pipe.vae

    def encode(*_):
        vae.encode(torch.zeros(1, 3, 5, 64, 64))

    hook = vae.decoder.register_forward_hook(encode)
    try:
        assert np.array_equal(pictures(generator, ASKED), alone)
    finally:
        hook.remove()


@pytest.mark.parametrize("why", [CancelledError, DeadlineError])
def test_a_segment_that_is_stopped_in_the_vae_ends_there(folder, why):
    profile = Noted()
    profile.go.set()
    profile.decoding.clear()
    generator = DiffusionGenerator(profile, folder, SpeedOptions())
    controls = [Control(), Control()]
    with ThreadPoolExecutor(3) as pool:
        made = [pool.submit(pictures, generator, ASKED, controls[0])]
        assert profile.decoding_begun.acquire(timeout=PATIENCE_S)
        made += [pool.submit(pictures, generator, replace(ASKED, seed=1), controls[1])]
        until(lambda: generator._batcher._latents, "the second's latents wait")
        for control in controls:
            if why is DeadlineError:
                control.deadline = 0.0
            else:
                control.cancel()
        for each in made:
            with pytest.raises(why):
                each.result(PATIENCE_S)
        profile.decoding.set()
        assert len(pictures(generator, replace(ASKED, seed=2))) == 5
    assert len(profile.decoded) == 2  # the first, which ended in it, and the last


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
