"""``animatediff`` on tiny models of the real classes."""

import shutil
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import torch
from safetensors.torch import load_file
from tiny_models import animatediff as tiny

from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc.profiles.animatediff import LCM_LORA_FILE
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.diffusion.tensors import from_bytes
from cmvc_decoder.generators.animatediff import (
    LCM,
    LCM_LORA_SCALE,
    AnimateDiff,
)
from cmvc_decoder.speed.options import SpeedOptions

FULL = Settings(steps=2, guidance=2.0)
FEW = Settings(steps=2, guidance=1.5, few_steps=LCM)
KNOWN = [(), (0,), (0, 7), (3,), (0, 1, 2, 3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "animatediff"
    tiny.write(folder)
    return folder


@pytest.fixture(scope="module")
def pipe(folder):
    return AnimateDiff().load(folder, SpeedOptions())


def window(seed=1, prompt="red ball", known=(), pictures=0):
    rng = np.random.default_rng(pictures)
    return Window(
        prompt=prompt,
        frames=8,
        width=64,
        height=64,
        frame_rate=Fraction(8),
        noise=torch.Generator("cpu").manual_seed(seed),
        known={k: rng.integers(0, 255, (64, 64, 3), np.uint8) for k in known},
    )


def make(pipe, *windows, settings=FULL, step=lambda done, total: None):
    return AnimateDiff().run(pipe, windows, settings, step)


@pytest.mark.parametrize("settings", [FULL, FEW, Settings(steps=2, guidance=1.0)], ids=["full", "lcm", "unguided"])
@pytest.mark.parametrize("known", KNOWN)
def test_windows_of_every_kind_become_frames(pipe, known, settings):
    (frames,) = make(pipe, window(known=known), settings=settings)
    assert frames.shape == (8, 64, 64, 3)
    assert frames.dtype == np.uint8


@pytest.mark.parametrize("settings", [FULL, FEW], ids=["full", "lcm"])
@pytest.mark.parametrize("known", [(), (0, 7)])
def test_the_seed_decides(pipe, known, settings):
    first, again, other = (make(pipe, window(seed, known=known), settings=settings)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_nothing_but_the_seed_decides(pipe):
    first = make(pipe, window(known=(0, 7)))[0]
    torch.manual_seed(99)
    assert np.array_equal(make(pipe, window(known=(0, 7)))[0], first)


@pytest.mark.parametrize("settings", [FULL, FEW, Settings(steps=2, guidance=1.0)], ids=["full", "lcm", "unguided"])
@pytest.mark.parametrize("known", [(0,), (0, 7), (3,), (2, 5, 6)])
def test_the_control_network_sees_known_frames_in_their_places_and_nothing_elsewhere(pipe, known, settings):
    asked, calls = window(known=known), []
    hook = pipe.full.controlnet.register_forward_pre_hook(lambda _, __, given: calls.append(given), with_kwargs=True)
    try:
        make(pipe, asked, settings=settings)
    finally:
        hook.remove()
    vae = pipe.full.vae
    for given in calls:
        for seen, mask in zip(given["controlnet_cond"], given["conditioning_mask"], strict=True):  # twice for guidance
            marked = mask.flatten(2).unique(dim=2)
            assert marked.shape == (1, 8, 1)
            assert [place for place in range(8) if marked[0, place]] == list(known)
            for place in range(8):
                wanted = torch.zeros_like(seen[:, place])
                if place in known:
                    with torch.inference_mode():
                        latent = vae.encode(2 * from_bytes(asked.known[place][None]) - 1).latent_dist.mode()[0]
                    wanted = latent * vae.config.scaling_factor
                assert torch.allclose(seen[:, place], wanted, atol=1e-5), place


def test_known_frames_and_the_strength_reach_the_frames(pipe):
    first = make(pipe, window(known=(0, 7)))[0]
    others = (
        make(pipe, window(known=(0, 7), pictures=1))[0],
        make(pipe, window(known=(0, 7)), settings=Settings(steps=2, guidance=2.0, strength=0.5))[0],
    )
    assert not any(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("settings", [FULL, FEW, Settings(steps=2, guidance=1.0)], ids=["full", "lcm", "unguided"])
@pytest.mark.parametrize("known", [(), (0, 7)])
def test_windows_of_a_batch_are_those_made_one_by_one(pipe, known, settings):
    asked = [(1, "red ball", known, 0), (2, "blue box", known, 1)]
    together = make(pipe, *(window(*each) for each in asked), settings=settings)
    alone = [make(pipe, window(*each), settings=settings)[0] for each in asked]
    for a, b in zip(together, alone, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1  # kernels of another batch size may round the other way


@pytest.mark.parametrize("settings", [FULL, FEW], ids=["full", "lcm"])
@pytest.mark.parametrize("known", [(), (0, 7)])
def test_steps_are_counted_and_what_step_raises_ends_the_run(pipe, known, settings):
    whole = make(pipe, window(known=known), settings=settings)[0]
    steps = []

    def stop(done, total):
        steps.append((done, total))
        raise TimeoutError

    with pytest.raises(TimeoutError):
        make(pipe, window(known=known), settings=settings, step=stop)
    assert steps == [(1, 2)]
    again = make(pipe, window(known=known), settings=settings, step=lambda *each: steps.append(each))[0]
    assert np.array_equal(again, whole)
    assert steps[1:] == [(1, 2), (2, 2)]


def test_schedulers_are_those_of_the_model_cards(pipe):
    full, few = pipe.choose("").scheduler, pipe.choose(LCM).scheduler
    assert (type(full).__name__, type(few).__name__) == ("DDIMScheduler", "LCMScheduler")
    assert {full.config.beta_schedule, few.config.beta_schedule} == {"linear"}
    assert (full.config.clip_sample, full.config.timestep_spacing, full.config.steps_offset) == (False, "linspace", 1)
    assert full.config.beta_end == 0.012  # the base's own


def test_animatelcm_adds_its_lora_and_its_motion_modules(pipe, folder):
    lora = load_file(folder / "lcm-lora" / LCM_LORA_FILE)
    full, few = (dict(each.unet.named_parameters()) for each in (pipe.full, pipe.lcm))
    assert full.keys() == few.keys()
    touched = set()
    for name in full:
        key = f"lora_unet_{name.removesuffix('.weight').replace('.', '_')}"
        if "motion_modules" not in name and f"{key}.alpha" in lora:
            touched.add(key)
            added = lora[f"{key}.lora_up.weight"] @ lora[f"{key}.lora_down.weight"] * LCM_LORA_SCALE
            assert torch.allclose(few[name] - full[name], added, atol=1e-5), name
        elif "motion_modules" not in name:
            assert torch.equal(few[name], full[name]), name
    assert len(touched) * 3 == len(lora)
    assert any(not torch.equal(few[name], full[name]) for name in full if "motion_modules" in name)


def test_all_but_the_denoiser_is_shared(pipe):
    for name in ("vae", "text_encoder", "controlnet"):
        assert getattr(pipe.full, name) is getattr(pipe.lcm, name)


@pytest.mark.parametrize("name", ["lcm-lora", "lcm-motion-adapter"])
def test_without_animatelcm_the_rest_works_and_few_steps_say_what_to_run(folder, tmp_path, name):
    partial = tmp_path / "animatediff"
    shutil.copytree(folder, partial, ignore=shutil.ignore_patterns(name))
    pipe = AnimateDiff().load(partial, SpeedOptions())
    assert make(pipe, window())[0].shape == (8, 64, 64, 3)
    with pytest.raises(MissingWeightsError, match=f"{name}; run: cmvc models pull --optional animatediff"):
        make(pipe, window(), settings=FEW)


@pytest.mark.parametrize("name", ["base", "motion-adapter", "sparsectrl-rgb"])
def test_missing_weights_say_what_to_run(folder, tmp_path, name):
    partial = tmp_path / "animatediff"
    shutil.copytree(folder, partial, ignore=shutil.ignore_patterns(name))
    with pytest.raises(MissingWeightsError, match=f"{name}; run: cmvc models pull animatediff"):
        AnimateDiff().load(partial, SpeedOptions())


def test_speed_options_work_with_it(folder):
    fast = AnimateDiff().load(folder, SpeedOptions(dtype="bfloat16", tiling=True))
    for settings, known in ((FULL, (0, 7)), (FEW, ())):
        assert make(fast, window(known=known), settings=settings)[0].shape == (8, 64, 64, 3)


def test_a_vae_of_another_format_is_refused(folder):
    with pytest.raises(InvalidSettingError, match="vae_dtype=float32"):
        AnimateDiff().load(folder, SpeedOptions(dtype="bfloat16", vae_dtype="float32"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(steps=2, guidance=1.0, few_steps="distilled"), "few_steps=distilled"),
        (Settings(steps=51, guidance=1.0, few_steps=LCM), "steps=51"),
        (Settings(steps=2, guidance=1.0, cache=0.1), "cache=0.1"),
    ],
)
def test_settings_that_it_does_not_have_are_refused(pipe, settings, message):
    with pytest.raises(InvalidSettingError, match=message):
        make(pipe, window(), settings=settings)


def test_the_frame_rule_stays_within_the_motion_modules(pipe):
    rule = AnimateDiff.facts.grid.frames
    assert [rule.at_least(frames) for frames in (1, 8, 11, 16, 40)] == [8, 8, 11, 16, 16]
    assert rule.most <= pipe.full.unet.config.motion_max_seq_length
