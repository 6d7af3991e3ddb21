"""Training an adapter for ``ltx-video`` and ``animatediff``, on tiny models of the real classes."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")
pytest.importorskip("peft", reason="training needs peft")
pytest.importorskip("matplotlib", reason="training needs matplotlib")

import tiny_models
import torch
from test_training import OPTIONS, run, save_video
from toy_vace.domain import draw, random_scene

from cmvc.control import Control
from cmvc.media.rgb import from_rgb
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.generator import Anchor, Conditions, Step
from cmvc_decoder.generators.ltx_video import DISTILLED
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.training.animatediff import AnimateDiffTask
from cmvc_decoder.training.ltx_video import LtxVideoTask
from cmvc_decoder.training.task import Shape
from cmvc_decoder.weights.adapters import install, read_layout

SIDE = 64


@dataclass(frozen=True)
class Case:
    """A profile: its task, frames of a clip, their rate, and settings of a run whose first time is the noisiest."""

    task: Any
    frames: int
    rate: Fraction
    settings: Settings

    @property
    def id(self) -> str:
        return self.task.profile.facts.id


LTX = Case(LtxVideoTask, 9, Fraction(24), Settings(steps=1, guidance=1.0, few_steps=DISTILLED))
ANIMATEDIFF = Case(AnimateDiffTask, 8, Fraction(8), Settings(steps=1, guidance=1.0))
CASES = pytest.mark.parametrize("case", [LTX, ANIMATEDIFF], ids=lambda case: case.id)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("store")
    tiny_models.store(root, LTX.id, ANIMATEDIFF.id)
    return root


def clip(case, seed=3):
    return draw(random_scene(np.random.default_rng(seed), case.frames), case.frames)


def given_to(module, work):
    """Return what a network was called with, first and by name."""
    calls = []
    hook = module.register_forward_pre_hook(lambda _, first, named: calls.append((first, named)), with_kwargs=True)
    try:
        work()
    finally:
        hook.remove()
    return calls[0]


def noise():
    """Return the noise that clips are encoded with, where the VAE draws from a distribution."""
    return [torch.Generator().manual_seed(0)]


def both(case, store, network):
    """Return what ``network`` is called with at IT2V and in training, for the same clip."""
    profile, frames = case.task.profile, clip(case)
    pipe = profile.load(store / case.id, SpeedOptions())
    task = case.task(pipe, Shape(case.frames, SIDE, SIDE))
    batch = {name: each[None] for name, each in task.encode(pipe, frames, "a red ball").items()}
    denoiser, last = profile.denoiser(pipe, case.settings), case.frames - 1
    window = Window("a red ball", case.frames, SIDE, SIDE, case.rate, noise()[0], {n: frames[n] for n in (0, last)})
    module = network(pipe)
    at_work = given_to(module, lambda: profile.run(pipe, [window], case.settings, lambda *_: None))
    with torch.no_grad():
        learning = given_to(module, lambda: task.loss(denoiser, batch, torch.tensor([0.0]), noise()))
    return at_work, learning


def test_ltx_is_trained_under_the_conditions_of_its_pipeline(store):
    (_, at_work), (_, learning) = both(LTX, store, lambda pipe: pipe.transformer)
    given = at_work["timestep"][0] == 0
    assert given.sum() == 8  # two frames of 2x2 tokens: the first latents of the video, and those beside it
    for name in ("timestep", "encoder_hidden_states", "video_coords", "encoder_attention_mask"):
        assert torch.allclose(at_work[name].float(), learning[name].float(), atol=1e-4), name
    assert torch.allclose(at_work["hidden_states"][0][given], learning["hidden_states"][0][given], atol=1e-2)


def test_animatediff_is_trained_under_what_sparsectrl_sees(store):
    (_, at_work), (_, learning) = both(ANIMATEDIFF, store, lambda pipe: pipe.full.controlnet)
    assert at_work["conditioning_mask"][0, 0, :, 0, 0].tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert torch.equal(
        at_work["conditioning_mask"].expand_as(learning["conditioning_mask"]), learning["conditioning_mask"]
    )
    for name in ("controlnet_cond", "encoder_hidden_states"):
        assert torch.allclose(at_work[name], learning[name], atol=1e-4), name


@CASES
def test_a_run_learns_and_its_adapter_decodes(case, store, tmp_path):
    for number in range(3):
        save_video(tmp_path / "videos" / f"{number}.mkv", clip(case, number), case.rate)
    options = replace(
        OPTIONS, profile=case.id, frames=case.frames, steps=12, learning_rate=2e-2, clips=2, held_out_clips=1
    )
    summary = run(tmp_path / "videos", store, tmp_path / "out", options, evaluate_every=12)
    assert summary.held_out_after < summary.held_out_before
    layout = read_layout(tmp_path / "out" / options.name / "pytorch_lora_weights.safetensors")
    assert layout.part == case.task.profile.adapts
    if case is ANIMATEDIFF:
        assert all("motion_modules" in name for name in layout.modules)

    adapter = install(tmp_path / "out" / options.name, store)
    generator = make_generator(case.id, store, SpeedOptions())
    frames = clip(case)
    anchors = tuple(Anchor(n, from_rgb(frames[n], 1)) for n in (0, case.frames - 1))

    def made(**more):
        asked = Conditions(
            common_pb2.MODE_IT2V, SIDE, SIDE, case.frames, case.rate, 7, anchors=anchors,
            settings={"steps": "1", "guidance": "1", "pixels": str(SIDE * SIDE)}, **more,
        )  # fmt: skip
        items = generator.generate(asked, Control())
        return np.stack([item.y for item in items if not isinstance(item, Step)])

    assert not np.array_equal(made(adapter=adapter.name, adapter_sha256=adapter.short), made())
