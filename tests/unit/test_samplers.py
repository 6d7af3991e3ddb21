"""Samplers of Wan, and adapters that cut steps, on tiny models and the toy checkpoint of the real classes."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import torch
from click.testing import CliRunner
from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors.torch import load_file, save_file
from tiny_models import wan_vace as tiny

from cmvc.cli import cli
from cmvc.control import Control
from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc.profiles.registry import model_profile
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.samplers import flow_scheduler
from cmvc_decoder.diffusion.settings import MOST_SHIFT, Settings, read_settings
from cmvc_decoder.generator import Conditions, Step
from cmvc_decoder.generators.ltx_video import LtxVideo
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.models.adopt import adopt
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.weights.adapters import FOLDER, WEIGHTS, read_adapter, verify_adapter

TOY = Path(__file__).parents[1] / "toy_vace" / "weights"
PROFILE = "wan-vace-1.3b"
SAMPLERS = ("unipc", "lcm", "dmd")


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wan")
    tiny.write(folder)
    return WanVace().load(folder, SpeedOptions())


def window(seed):
    return Window("red ball", 5, 64, 64, Fraction(16), torch.Generator().manual_seed(seed))


def make(pipe, *seeds, **settings):
    return WanVace().run(pipe, [window(seed) for seed in seeds], Settings(3, 1.0, **settings), lambda *_: None)


def noise(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize(
    ("name", "times"),
    [("unipc", (999, 937, 833, 625)), ("lcm", (1000, 910, 717, 24)), ("dmd", (1000, 938, 833, 625))],
)
def test_times_are_those_of_the_shift(name, times):
    scheduler = flow_scheduler(Settings(4, 1.0, sampler=name, shift=5.0), noise(1))
    scheduler.set_timesteps(4, device="cpu")
    assert scheduler.timesteps.tolist() == pytest.approx(times, abs=0.7)


@pytest.mark.parametrize("name", SAMPLERS)
def test_with_a_model_that_knows_the_video_every_sampler_ends_there(name):
    """The flow to a clean x0 from x at noise share s is (x - x0) / s."""
    clean = torch.randn(2, 16, 2, 8, 8, generator=torch.Generator().manual_seed(3))
    scheduler = flow_scheduler(Settings(4, 1.0, sampler=name), noise(1, 2))
    scheduler.set_timesteps(4, device="cpu")
    latents = torch.randn(clean.shape, generator=torch.Generator().manual_seed(4))
    for index, time in enumerate(scheduler.timesteps):
        flow = (latents - clean) / scheduler.sigmas[index]
        latents = scheduler.step(flow, time, latents, return_dict=False)[0]
    assert torch.allclose(latents, clean, atol=1e-4)


@pytest.mark.parametrize("name", ["lcm", "dmd"])
def test_all_noise_follows_from_the_windows(pipe, name):
    torch.manual_seed(1)
    together = make(pipe, 1, 2, sampler=name)
    torch.manual_seed(2)
    alone = [make(pipe, seed, sampler=name)[0] for seed in (1, 2)]
    for a, b in zip(together, alone, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1  # kernels of another batch size may round the other way
    assert not np.array_equal(*alone)
    assert np.array_equal(make(pipe, 1, sampler=name)[0], alone[0])


def test_what_is_downloaded_says_nothing_of_times(pipe):
    own, shift = make(pipe, 1)[0], make(pipe, 1, shift=9.0)[0]
    assert not np.array_equal(own, shift)
    kept, pipe.scheduler = pipe.scheduler, FlowMatchEulerDiscreteScheduler(shift=9.0)
    try:
        assert np.array_equal(make(pipe, 1)[0], own)
        assert np.array_equal(make(pipe, 1, sampler="unipc", shift=3.0)[0], own)
    finally:
        pipe.scheduler = kept


def test_a_sampler_brings_its_steps_and_guidance():
    def read(**texts):
        return read_settings(texts, WanVace.defaults, WanVace.samplers)

    assert (read().steps, read().guidance) == (30, 5.0)
    assert read(sampler="unipc").steps == 30
    for name in ("lcm", "dmd"):
        found = read(sampler=name)
        assert (found.steps, found.guidance, found.sampler) == (4, 1.0, name)
    assert read(sampler="dmd", steps="8", guidance="2").steps == 8
    assert read(shift="7.5").shift == 7.5
    for texts in ({"sampler": "euler"}, {"shift": str(MOST_SHIFT + 1)}, {"shift": "nan"}):
        with pytest.raises(InvalidSettingError):
            read(**texts)
    for texts in ({"sampler": "dmd"}, {"shift": "3"}):
        with pytest.raises(InvalidSettingError, match="no choice of samplers"):
            read_settings(texts, LtxVideo.defaults, LtxVideo.samplers)


def published(folder: Path) -> Path:
    """Write an adapter as publishers of Wan's do: names of their own, ranks that differ, alpha apart, and a bias."""
    torch.manual_seed(5)
    channels = json.loads((TOY / "transformer" / "config.json").read_text())
    width = channels["num_attention_heads"] * channels["attention_head_dim"]
    weights = {}
    for module, rank in (("self_attn.q", 2), ("cross_attn.v", 4)):
        name = f"diffusion_model.blocks.0.{module}"
        weights[f"{name}.lora_down.weight"] = torch.randn(rank, width)
        weights[f"{name}.lora_up.weight"] = torch.randn(width, rank)
        weights[f"{name}.alpha"] = torch.tensor(1.0)
    weights["diffusion_model.blocks.0.self_attn.q.diff_b"] = torch.ones(width)
    save_file(weights, folder / "published.safetensors")
    return folder / "published.safetensors"


@pytest.fixture
def store(tmp_path):
    (tmp_path / "store" / PROFILE).mkdir(parents=True)
    (tmp_path / "store" / PROFILE / "pipeline").symlink_to(TOY)
    return tmp_path / "store"


def test_a_published_adapter_is_a_line_of_configuration(tmp_path, store):
    file = published(tmp_path)
    told = [
        "--profile",
        PROFILE,
        "--name",
        "fast",
        "--licence",
        "Apache-2.0",
        "--from",
        "a test",
        "--models",
        str(store),
    ]
    done = CliRunner().invoke(cli, ["models", "adopt", str(file), *told])
    assert done.exit_code == 0, done.output
    folder = store / PROFILE / FOLDER / "fast"
    adapter = read_adapter(folder)
    assert (adapter.kind, adapter.licence, adapter.base) == ("few-steps", "Apache-2.0", "a test")
    assert f"--adapter {adapter.label} --set sampler=dmd" in done.output
    assert "1 tensors that are no LoRA were left out" in done.output

    own, theirs = load_file(folder / WEIGHTS), load_file(file)
    for module, name, rank in (("attn1.to_q", "self_attn.q", 2), ("attn2.to_v", "cross_attn.v", 4)):
        a, b = (own[f"transformer.blocks.0.{module}.lora_{side}.weight"] for side in "AB")
        up, down = (theirs[f"diffusion_model.blocks.0.{name}.lora_{way}.weight"] for way in ("up", "down"))
        assert torch.allclose(b @ a * adapter.alpha / adapter.rank, up @ down * 1.0 / rank, atol=1e-5)
    verify_adapter(folder, adapter)

    generator = make_generator(PROFILE, store, SpeedOptions())

    def frames(**more):
        asked = Conditions(
            common_pb2.MODE_TT2V, 64, 64, 5, Fraction(16), 7, text="a red ball",
            settings={"sampler": "dmd", "pixels": "4096"}, **more,
        )  # fmt: skip
        items = list(generator.generate(asked, Control()))
        assert max(item.done for item in items if isinstance(item, Step)) == 4
        return np.stack([item.y for item in items if not isinstance(item, Step)])

    with_it = frames(adapter="fast", adapter_sha256=adapter.short)
    assert not np.array_equal(with_it, frames())
    assert np.array_equal(with_it, frames(adapter="fast", adapter_sha256=adapter.short))


def test_what_is_no_adapter_is_refused(tmp_path, store):
    facts, told = model_profile(PROFILE), {"name": "x", "licence": "MIT", "base": "a test"}
    (tmp_path / "junk").write_bytes(b"junk")
    save_file({"diffusion_model.blocks.0.odd.weight": torch.ones(2)}, tmp_path / "odd")
    save_file({"weight": torch.ones(2)}, tmp_path / "plain")
    for name in ("junk", "odd", "plain"):
        with pytest.raises(MissingWeightsError):
            adopt(tmp_path / name, facts, store, **told)
    with pytest.raises(InvalidSettingError, match="ltx-video"):
        adopt(tmp_path / "junk", model_profile("ltx-video"), store, **told)
    with pytest.raises(InvalidSettingError):
        adopt(published(tmp_path), facts, store, **{**told, "name": "../x"})
    assert not (store / PROFILE / FOLDER).exists()
