"""``wan-vace-1.3b`` on a tiny model of the real classes."""

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import torch
from tiny_models import wan_vace as tiny

from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.generators.wan_vace import WanVace, vace_mask, vace_video
from cmvc_decoder.speed.options import SpeedOptions

SETTINGS = Settings(steps=2, guidance=2.0)


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wan")
    tiny.write(folder)
    return WanVace().load(folder, SpeedOptions())


def window(seed=1, prompt="red ball", known=(), guide=None, frames=5):
    rng = np.random.default_rng(seed)
    return Window(
        prompt=prompt,
        frames=frames,
        width=96,
        height=64,
        frame_rate=Fraction(16),
        noise=torch.Generator("cpu").manual_seed(seed),
        known={k: rng.integers(0, 255, (64, 96, 3), np.uint8) for k in known},
        guide=guide,
    )


def make(pipe, *windows, settings=SETTINGS, step=lambda done, total: None):
    return WanVace().run(pipe, windows, settings, step)


@pytest.mark.parametrize("known", [(), (0,), (0, 4), (0, 1, 2)])
def test_windows_of_every_kind_become_frames(pipe, known):
    (frames,) = make(pipe, window(known=known))
    assert frames.shape == (5, 64, 96, 3)
    assert frames.dtype == np.uint8


def test_a_guide_becomes_frames(pipe):
    guide = np.random.default_rng(0).integers(0, 255, (9, 64, 96, 3), np.uint8)
    (frames,) = make(pipe, window(frames=9, guide=guide))
    assert frames.shape == (9, 64, 96, 3)


def test_the_seed_decides(pipe):
    first, again, other = (make(pipe, window(seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_windows_of_a_batch_are_those_made_one_by_one(pipe):
    together = make(pipe, window(1, known=(0, 4)), window(2, "blue box", known=(0, 4)))
    alone = [make(pipe, window(1, known=(0, 4)))[0], make(pipe, window(2, "blue box", known=(0, 4)))[0]]
    for a, b in zip(together, alone, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1  # kernels of another batch size may round the other way


def test_steps_are_counted_and_what_step_raises_ends_the_run(pipe):
    whole = make(pipe, window())[0]
    steps = []

    def stop(done, total):
        steps.append((done, total))
        raise TimeoutError

    with pytest.raises(TimeoutError):
        make(pipe, window(), step=stop)
    assert steps == [(1, 2)]
    assert np.array_equal(make(pipe, window(), step=lambda *each: steps.append(each))[0], whole)
    assert steps[1:] == [(1, 2), (2, 2)]


def test_vace_keeps_what_is_black_in_the_mask_and_sees_gray_where_it_makes():
    asked = window(known=(0, 2))
    video, mask = vace_video(asked), vace_mask(asked)
    assert mask[:, 0, 0, 0].tolist() == [0, 1, 0, 1, 1]
    assert torch.equal(video[1], torch.full((3, 64, 96), 0.5))
    assert np.array_equal((video[2] * 255).round().permute(1, 2, 0).numpy(), asked.known[2])


def test_missing_weights_say_what_to_run(tmp_path):
    with pytest.raises(MissingWeightsError, match=r"cmvc models pull wan-vace-1\.3b"):
        WanVace().load(tmp_path / "wan-vace-1.3b", SpeedOptions())


def test_few_steps_that_it_does_not_have_are_refused(pipe):
    with pytest.raises(InvalidSettingError, match="few_steps"):
        make(pipe, window(), settings=Settings(steps=2, guidance=2.0, few_steps="lcm"))
