"""The step cache on tiny transformers of the real classes."""

from collections import Counter
from contextlib import contextmanager

import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import torch
from diffusers import LTXVideoTransformer3DModel, UNet2DConditionModel, WanVACETransformer3DModel

from cmvc.errors import InvalidSettingError
from cmvc_decoder.speed.step_cache import step_cached

ALWAYS = 1.0  # a threshold under which small moves reuse


def wan(layers=4, hints=(0, 2)):
    torch.manual_seed(1)
    return WanVACETransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        text_dim=16,
        freq_dim=32,
        ffn_dim=32,
        num_layers=layers,
        vace_layers=list(hints),
    ).eval()


def ltx():
    torch.manual_seed(1)
    return LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        num_layers=3,
        caption_channels=16,
    ).eval()


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def wan_inputs(videos=1, seed=0):
    return {
        "hidden_states": normal(videos, 16, 2, 4, 4, seed=seed),
        "timestep": torch.full((videos,), 500.0),
        "encoder_hidden_states": normal(videos, 7, 16, seed=seed + 1),
        "control_hidden_states": normal(videos, 96, 2, 4, 4, seed=seed + 2),
    }


def ltx_inputs(videos=1, seed=0):
    return {
        "hidden_states": normal(videos, 12, 8, seed=seed),
        "timestep": torch.full((videos,), 500.0),
        "encoder_hidden_states": normal(videos, 7, 16, seed=seed + 1),
        "encoder_attention_mask": torch.ones(videos, 7),
        "num_frames": 3,
        "height": 2,
        "width": 2,
    }


MODELS = {
    "wan": (wan, wan_inputs),
    "wan with a hint after its last block": (lambda: wan(3, (0, 2)), wan_inputs),
    "wan with one hint": (lambda: wan(3, (0,)), wan_inputs),
    "ltx": (ltx, ltx_inputs),
}


@pytest.fixture(params=MODELS)
def model_and_inputs(request):
    make, inputs = MODELS[request.param]
    return make(), inputs


@contextmanager
def counted(model):
    """Count the calls of each block."""
    calls = Counter()
    blocks = {
        f"{name}.{index}": block
        for name in ("blocks", "vace_blocks", "transformer_blocks")
        for index, block in enumerate(getattr(model, name, ()))
    }
    hooks = [block.register_forward_hook(lambda *_, key=key: calls.update([key])) for key, block in blocks.items()]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()
        calls.update(dict.fromkeys(blocks, 0))


def call(model, inputs, kind="cond"):
    with torch.inference_mode(), model.cache_context(kind):
        return model(**inputs, return_dict=False)[0]


def moved(inputs, by):
    return inputs | {"hidden_states": inputs["hidden_states"] + by * normal(*inputs["hidden_states"].shape, seed=9)}


def test_an_unchanged_step_is_skipped_and_gives_the_same(model_and_inputs):
    model, inputs = model_and_inputs
    plain = call(model, inputs())

    with counted(model) as calls, step_cached(model, 0.05):
        first, second = call(model, inputs()), call(model, inputs())

    assert torch.equal(first, plain)
    torch.testing.assert_close(second, plain)
    heads = {key for key in calls if key in {"blocks.0", "transformer_blocks.0"}}
    assert {calls[key] for key in heads} == {2}
    assert {calls[key] for key in set(calls) - heads} == {1}


def test_a_small_move_is_skipped_and_changes_little(model_and_inputs):
    model, inputs = model_and_inputs
    step = moved(inputs(), 0.01)
    plain = call(model, step)

    with counted(model) as calls, step_cached(model, ALWAYS):
        before = call(model, inputs())
        after = call(model, step)

    assert calls.total() == len(calls) + 1
    error, size = (after - plain).abs().mean(), plain.abs().mean()
    assert 0 < error < 0.05 * size
    assert not torch.equal(after, before)


def test_a_great_move_is_computed(model_and_inputs):
    model, inputs = model_and_inputs
    step = inputs(seed=50)
    plain = call(model, step)

    with counted(model) as calls, step_cached(model, 0.01):
        call(model, inputs())
        after = call(model, step)

    assert set(calls.values()) == {2}
    assert torch.equal(after, plain)


def test_calls_with_and_without_prompt_are_told_apart(model_and_inputs):
    model, inputs = model_and_inputs
    other = inputs(seed=50)

    with counted(model) as calls, step_cached(model, 0.05):
        for _ in range(2):
            with_prompt, without = call(model, inputs()), call(model, other, "uncond")

    torch.testing.assert_close(with_prompt, call(model, inputs()))
    torch.testing.assert_close(without, call(model, other))
    assert calls.total() == 2 * (len(calls) + 1)


def test_each_video_of_a_batch_decides_for_itself(model_and_inputs):
    """What a video becomes does not depend on what it is batched with."""
    model, inputs = model_and_inputs
    calm = [inputs(), moved(inputs(), 0.01)]
    wild = [inputs(seed=20), inputs(seed=50)]

    def run(steps):
        with step_cached(model, 0.2):
            return [call(model, step) for step in steps][-1]

    alone = torch.cat([run(calm), run(wild)])
    together = run([joined(*pair) for pair in zip(calm, wild, strict=True)])

    torch.testing.assert_close(together, alone)
    assert (alone[:1] - call(model, calm[-1])).abs().max() > 1e-4, "the calm one was not from the cache"


def joined(one, other):
    return {key: torch.cat([one[key], other[key]]) if torch.is_tensor(one[key]) else one[key] for key in one}


def test_nothing_is_left_behind(model_and_inputs):
    model, inputs = model_and_inputs
    plain, names = call(model, inputs()), [name for name, _ in model.named_modules()]

    def interrupted():
        with step_cached(model, ALWAYS):
            call(model, inputs())
            with model.proj_out.register_forward_hook(interrupt):
                call(model, moved(inputs(), 0.01))

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert [name for name, _ in model.named_modules()] == names
    assert "cache_context" not in vars(model)
    with counted(model) as calls:
        assert torch.equal(call(model, inputs()), plain)
        assert torch.equal(call(model, inputs()), plain)
    assert set(calls.values()) == {2}


def interrupt(*_):
    raise KeyboardInterrupt


def test_zero_turns_it_off(model_and_inputs):
    model, inputs = model_and_inputs

    with counted(model) as calls, step_cached(model, 0):
        call(model, inputs())
        call(model, inputs())

    assert set(calls.values()) == {2}


def test_a_unet_is_refused():
    unet = UNet2DConditionModel(
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
        block_out_channels=(8,),
        layers_per_block=1,
        norm_num_groups=4,
        mid_block_type=None,
    )

    with pytest.raises(InvalidSettingError, match="no blocks to skip"), step_cached(unet, 0.1):
        pass
