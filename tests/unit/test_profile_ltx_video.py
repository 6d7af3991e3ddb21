"""``ltx-video`` on a tiny model of the real classes."""

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import torch
from diffusers.utils.torch_utils import randn_tensor
from tiny_models import ltx_video as tiny

from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.diffusion.tensors import from_bytes
from cmvc_decoder.generators.ltx_video import (
    DISTILLED,
    DISTILLED_TIMES,
    LtxVideo,
    _conditions,
    _times,
    _TimesAsGiven,
)
from cmvc_decoder.speed.options import SpeedOptions

DISTILLED_IN_TWO = Settings(steps=2, guidance=1.0, few_steps=DISTILLED)
FULL = Settings(steps=3, guidance=3.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "ltx-video"
    tiny.write(folder)
    return folder


@pytest.fixture(scope="module")
def pipe(folder):
    return LtxVideo().load(folder, SpeedOptions())


def window(seed=1, prompt="red ball", known=(), frames=17, pictures=0, rate=24):
    rng = np.random.default_rng(pictures)
    return Window(
        prompt=prompt,
        frames=frames,
        width=96,
        height=64,
        frame_rate=Fraction(rate),
        noise=torch.Generator("cpu").manual_seed(seed),
        known={k: rng.integers(0, 255, (64, 96, 3), np.uint8) for k in known},
    )


def make(pipe, *windows, settings=DISTILLED_IN_TWO, step=lambda done, total: None):
    return LtxVideo().run(pipe, windows, settings, step)


@pytest.mark.parametrize("settings", [DISTILLED_IN_TWO, FULL], ids=["distilled", "full"])
@pytest.mark.parametrize("known", [(), (0,), (0, 16), (5,), tuple(range(9)), (*range(11), 16)])
def test_windows_of_every_kind_become_frames(pipe, known, settings):
    (frames,) = make(pipe, window(known=known), settings=settings)
    assert frames.shape == (17, 64, 96, 3)
    assert frames.dtype == np.uint8


def test_the_seed_decides(pipe):
    first, again, other = (make(pipe, window(seed, known=(0, 16)))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def seen_by_the_transformer(pipe, asked):
    """Return the tokens of the first step, (tokens, channels), and the time of each in frames."""
    calls = []
    hook = pipe.transformer.register_forward_pre_hook(lambda _, __, given: calls.append(given), with_kwargs=True)
    try:
        make(pipe, asked)
    finally:
        hook.remove()
    return calls[0]["hidden_states"][0], calls[0]["video_coords"][0, 0] * float(asked.frame_rate)


def latents_of(pipe, asked, places):
    """Return the latents of known frames as tokens, drawn as the pipeline draws them: after the window's noise."""
    draws = [torch.Generator("cpu").manual_seed(asked.noise.initial_seed())]
    randn_tensor((1, *latent_shape(asked)), generator=draws)
    frames = from_bytes(np.stack([asked.known[place] for place in places])).transpose(0, 1)[None]
    with torch.inference_mode():
        found = pipe.vae.encode(2 * frames - 1).latent_dist.sample(draws)
        normal = pipe._normalize_latents(found, pipe.vae.latents_mean, pipe.vae.latents_std)
        return pipe._pack_latents(normal, 1, 1)[0]


def latent_shape(asked):
    return 8, (asked.frames - 1) // 8 + 1, asked.height // 32, asked.width // 32


@pytest.mark.parametrize("place", [5, 8, 16])
def test_a_known_frame_is_seen_at_its_own_time(pipe, place):
    asked = window(known=(place,))
    tokens, times = seen_by_the_transformer(pipe, asked)
    given = latents_of(pipe, asked, [place])
    of_the_video = np.prod(latent_shape(asked)[1:])
    assert len(tokens) == len(given) + of_the_video
    assert torch.allclose(tokens[: len(given)], given, atol=1e-5)
    assert torch.allclose(times[: len(given)], torch.tensor(float(place)))
    assert times[len(given) :].unique().tolist() == pytest.approx([0, 1, 9])  # the video's own: 1, then 8 and 8 frames


@pytest.mark.parametrize("count", [1, 9])
def test_known_frames_from_the_first_on_fill_the_first_latents_of_the_video(pipe, count):
    asked = window(known=tuple(range(count)))
    tokens, times = seen_by_the_transformer(pipe, asked)
    given = latents_of(pipe, asked, range(count))
    assert len(tokens) == np.prod(latent_shape(asked)[1:])
    assert torch.allclose(tokens[: len(given)], given, atol=1e-5)
    assert times[: len(given)].unique().tolist() == pytest.approx([0, 1][: 1 + count // 9])


def test_known_frames_reach_the_frames(pipe):
    first, other = (make(pipe, window(known=(5,), pictures=pictures))[0] for pictures in (0, 1))
    assert not np.array_equal(first, other)


def test_the_frame_rate_is_told_to_the_model(pipe):
    first, other = (make(pipe, window(rate=rate))[0] for rate in (24, 8))
    assert not np.array_equal(first, other)


def test_windows_of_a_batch_are_those_made_one_by_one(pipe):
    known = (*range(9), 16)
    asked = [(1, "red ball", known, 17, 0), (2, "blue box", known, 17, 1)]
    together = make(pipe, *(window(*each) for each in asked))
    alone = [make(pipe, window(*each))[0] for each in asked]
    for a, b in zip(together, alone, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1  # kernels of another batch size may round the other way


def test_a_step_cache_that_never_skips_changes_nothing_and_one_that_skips_does(pipe):
    whole, never, often = (
        make(pipe, window(known=(0,)), settings=Settings(steps=8, guidance=1.0, few_steps=DISTILLED, cache=cache))[0]
        for cache in (0.0, 1e-9, 1.0)
    )
    assert np.array_equal(whole, never)
    assert not np.array_equal(whole, often)


def test_steps_are_counted_and_what_step_raises_ends_the_run(pipe):
    whole = make(pipe, window(known=(0, 16)))[0]
    steps = []

    def stop(done, total):
        steps.append((done, total))
        raise TimeoutError

    with pytest.raises(TimeoutError):
        make(pipe, window(known=(0, 16)), step=stop)
    assert steps == [(1, 2)]
    again = make(pipe, window(known=(0, 16)), step=lambda *each: steps.append(each))[0]
    assert np.array_equal(again, whole)
    assert steps[1:] == [(1, 2), (2, 2)]


def test_frames_from_the_first_on_fill_latent_frames_and_others_stand_alone():
    def placed(*known):
        return [(each.frame_index, len(each.video[0])) for each in _conditions([window(known=known)], 1.0)]

    assert placed() == []
    assert placed(0) == [(0, 1)]
    assert placed(0, 16) == [(0, 1), (16, 1)]
    assert placed(*range(9)) == [(0, 9)]
    assert placed(*range(11)) == [(0, 9), (9, 1), (10, 1)]
    assert placed(1, 2, 3) == [(1, 1), (2, 1), (3, 1)]
    assert placed(*range(8, 17)) == [(position, 1) for position in range(8, 17)]


def test_strength_ends_at_exact():
    assert [_conditions([window(known=(0,))], strength)[0].strength for strength in (0.5, 1.0, 2.0)] == [0.5, 1.0, 1.0]


def test_fewer_steps_are_spread_over_the_distilled_times():
    for steps in range(1, len(DISTILLED_TIMES) + 1):
        times = _times(Settings(steps=steps, guidance=1.0, few_steps=DISTILLED))
        assert len(times) == len(set(times)) == steps
        assert times[0] == 1000
        assert set(times) <= set(DISTILLED_TIMES)


def test_times_are_not_shifted_whatever_the_checkpoint_says(pipe):
    assert pipe.scheduler.config.use_dynamic_shifting
    scheduler = _TimesAsGiven.fresh(pipe.scheduler)
    scheduler.set_timesteps(timesteps=[1000, 500])
    assert scheduler.timesteps.tolist() == [1000, 500]
    assert scheduler.sigmas.tolist() == [1, 0.5, 0]


def test_speed_options_work_with_it(folder):
    fast = LtxVideo().load(folder, SpeedOptions(dtype="bfloat16", tiling=True))
    for known in ((), (0, 16)):
        assert make(fast, window(known=known))[0].shape == (17, 64, 96, 3)


def test_a_vae_of_another_format_is_refused(folder):
    with pytest.raises(InvalidSettingError, match="vae_dtype=float32"):
        LtxVideo().load(folder, SpeedOptions(dtype="bfloat16", vae_dtype="float32"))


def test_settings_that_it_does_not_have_are_refused(pipe):
    with pytest.raises(InvalidSettingError, match="few_steps=lcm"):
        make(pipe, window(), settings=Settings(steps=2, guidance=1.0, few_steps="lcm"))
    with pytest.raises(InvalidSettingError, match="steps=9"):
        make(pipe, window(), settings=Settings(steps=9, guidance=1.0, few_steps=DISTILLED))


def test_missing_weights_say_what_to_run(tmp_path):
    with pytest.raises(MissingWeightsError, match="cmvc models pull ltx-video"):
        LtxVideo().load(tmp_path / "ltx-video", SpeedOptions())


def test_weights_that_are_not_whole_say_what_to_run(tmp_path):
    folder = tmp_path / "ltx-video"
    tiny.write(folder)
    next((folder / "pipeline" / "transformer").glob("*.safetensors")).unlink()
    with pytest.raises(MissingWeightsError, match="cmvc models pull ltx-video"):
        LtxVideo().load(folder, SpeedOptions())


def test_the_frame_rule_is_that_of_the_vae(pipe):
    rule = LtxVideo.facts.grid.frames
    assert [rule.at_least(frames) for frames in (1, 9, 10, 24, 25, 121, 200)] == [9, 9, 17, 25, 25, 121, 121]
    assert rule.multiple == pipe.vae_temporal_compression_ratio
    assert LtxVideo.facts.grid.side_multiple == pipe.vae_spatial_compression_ratio
    assert rule.at_least(LtxVideo.facts.grid.overlap) == LtxVideo.facts.grid.overlap
