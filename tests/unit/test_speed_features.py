"""Each speed feature on tiny pipelines of the real classes."""

import os
import shutil
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import torch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry
from tiny_models import WRITERS

from cmvc.errors import InvalidSettingError
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.generators.animatediff import AnimateDiff
from cmvc_decoder.generators.ltx_video import LtxVideo
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.generators.videocrafter2 import VideoCrafter2
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.speed.apply import apply_speed
from cmvc_decoder.speed.compile import CACHE_DIR, KERNELS, keep_kernels
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.speed.parts import denoiser, models

PROFILES = {profile.facts.id: profile for profile in (WanVace(), LtxVideo(), AnimateDiff(), VideoCrafter2())}
FRAMES = {"wan-vace-1.3b": 5, "ltx-video": 9, "animatediff": 8, "videocrafter2": 16}
TRANSFORMERS = ("wan-vace-1.3b", "ltx-video")
UNETS = ("animatediff", "videocrafter2")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the folder of a profile's tiny model, written when it is first asked for."""
    root = tmp_path_factory.mktemp("store")

    def folder(profile_id):
        if not (root / profile_id).exists():
            WRITERS[profile_id](root / profile_id)
        return root / profile_id

    return folder


def load(store, profile_id, **options):
    return PROFILES[profile_id].load(store(profile_id), SpeedOptions(**options))


def pipeline(loaded):
    return getattr(loaded, "full", loaded)  # AnimateDiff's are two


def made(profile_id, loaded, size=64, cache=0.0):
    window = Window(
        prompt="red ball",
        frames=FRAMES[profile_id],
        width=size,
        height=size,
        frame_rate=Fraction(8),
        noise=torch.Generator().manual_seed(1),
    )
    settings = Settings(steps=2, guidance=2.0, cache=cache)
    (frames,) = PROFILES[profile_id].run(loaded, [window], settings, lambda done, total: None)
    assert frames.shape == (FRAMES[profile_id], size, size, 3)
    assert frames.dtype == np.uint8
    return frames


def far(one, other):
    return np.abs(one.astype(int) - other).mean()


def dtypes(model):
    return {weight.dtype for weight in model.parameters()}


@pytest.mark.parametrize("profile_id", PROFILES)
def test_dtype_is_that_of_denoiser_and_text_and_frames_stay_near(store, profile_id):
    plain = made(profile_id, load(store, profile_id))

    loaded = load(store, profile_id, dtype="bfloat16")
    pipe, frames = pipeline(loaded), made(profile_id, loaded)

    assert denoiser(pipe).dtype == torch.bfloat16
    assert dtypes(pipe.text_encoder) == {torch.bfloat16}
    assert pipe.vae.dtype == (torch.float32 if profile_id == "wan-vace-1.3b" else torch.bfloat16)
    assert far(frames, plain) < 4, "far from what float32 makes"


def test_what_must_keep_float32_does(store):
    transformer = load(store, "wan-vace-1.3b", dtype="bfloat16").transformer

    kept = {name for name, weight in transformer.named_parameters() if weight.dtype == torch.float32}

    assert "scale_shift_table" in kept
    assert "condition_embedder.time_embedder.linear_1.weight" in kept
    assert "blocks.0.attn1.to_q.weight" not in kept
    halves = load(store, "wan-vace-1.3b", dtype="float16").text_encoder
    assert dtypes(halves) == {torch.float16, torch.float32}  # T5 overflows in float16


def test_converting_is_the_same_as_loading(store):
    """Formats are those that from_pretrained gives, so nothing is converted back and forth."""
    pipe = load(store, "wan-vace-1.3b")
    folder = store("wan-vace-1.3b") / "pipeline"
    for name in ("transformer", "text_encoder"):
        model = getattr(pipe, name)
        loaded = type(model).from_pretrained(folder / name, dtype=torch.bfloat16)

        apply_speed(pipe, SpeedOptions(dtype="bfloat16"))

        assert {key: weight.dtype for key, weight in model.state_dict().items()} == {
            key: weight.dtype for key, weight in loaded.state_dict().items()
        }


def test_the_vae_may_have_another_dtype(store):
    loaded = load(store, "wan-vace-1.3b", vae_dtype="bfloat16")

    made("wan-vace-1.3b", loaded)

    assert (loaded.vae.dtype, loaded.transformer.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("profile_id", TRANSFORMERS)
def test_attention_backends_agree(store, profile_id):
    plain = made(profile_id, load(store, profile_id))
    process_wide = _AttentionBackendRegistry.get_active_backend()[0]

    loaded = load(store, profile_id, attention="_native_math")

    blocks = next(
        getattr(loaded.transformer, name)
        for name in ("blocks", "transformer_blocks")
        if hasattr(loaded.transformer, name)
    )
    assert blocks[0].attn1.processor._attention_backend.value == "_native_math"
    assert far(made(profile_id, loaded), plain) < 1
    assert _AttentionBackendRegistry.get_active_backend()[0] == process_wide


def test_text_that_is_masked_keeps_the_native_backend(store):
    loaded = load(store, "ltx-video", attention="_native_flash")

    block = loaded.transformer.transformer_blocks[0]
    assert block.attn1.processor._attention_backend.value == "_native_flash"
    assert block.attn2.processor._attention_backend.value == "native"
    made("ltx-video", loaded)


@pytest.mark.parametrize(
    ("profile_id", "backend", "reason"),
    [
        ("wan-vace-1.3b", "fastest", "is not known; choose one of .*native"),
        ("wan-vace-1.3b", "flash", "flash-attn"),
        ("wan-vace-1.3b", "flash_hub", "downloads"),
        ("wan-vace-1.3b", "_native_cudnn", "does not work here"),
        ("animatediff", "native", "torch's own kernels only"),
        ("videocrafter2", "native", "torch's own kernels only"),
    ],
)
def test_attention_that_cannot_be_is_refused(store, profile_id, backend, reason):
    if backend == "_native_cudnn" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU, where this attention backend may work")

    with pytest.raises(InvalidSettingError, match=reason):
        load(store, profile_id, attention=backend)


@pytest.mark.parametrize(
    "profile_id",
    [
        "ltx-video",
        pytest.param("wan-vace-1.3b", marks=pytest.mark.slow),
        pytest.param("videocrafter2", marks=pytest.mark.slow),
    ],
)
def test_compiled_blocks_make_the_same_and_once(store, profile_id):
    if shutil.which("c++") is None:
        pytest.skip("compiling for the CPU needs a C++ compiler")
    cache = 0.5 if profile_id in TRANSFORMERS else 0.0
    plain = made(profile_id, load(store, profile_id), cache=cache)
    torch.compiler.reset()
    statistics = torch._dynamo.utils.counters["stats"]

    loaded = load(store, profile_id, compile="regional")
    before = statistics["unique_graphs"]
    frames, graphs = made(profile_id, loaded, cache=cache), statistics["unique_graphs"]
    made(profile_id, loaded, cache=cache)

    assert far(frames, plain) < 1
    assert graphs > before
    assert statistics["unique_graphs"] == graphs, "compiled again for the next run"


def test_what_is_compiled_is_kept_in_the_model_store(tmp_path, monkeypatch):
    if shutil.which("c++") is None:
        pytest.skip("compiling for the CPU needs a C++ compiler")
    monkeypatch.setenv(CACHE_DIR, "gone after the test")
    monkeypatch.delenv(CACHE_DIR)
    WRITERS["ltx-video"](tmp_path / "ltx-video")
    make_generator("ltx-video", tmp_path, SpeedOptions()).load()
    assert not (tmp_path / KERNELS).exists()

    make_generator("ltx-video", tmp_path, SpeedOptions(compile="regional")).load()
    torch.compile(lambda x: x.sin() + 1)(torch.ones(8))
    assert [path for path in (tmp_path / KERNELS).rglob("*.so") if path.is_file()]
    assert (tmp_path / KERNELS).stat().st_mode & 0o077 == 0


def test_another_place_for_what_is_compiled_and_a_store_that_is_not_there_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_DIR, "/elsewhere")
    keep_kernels(tmp_path)
    assert os.environ[CACHE_DIR] == "/elsewhere"
    monkeypatch.delenv(CACHE_DIR)
    keep_kernels(tmp_path / "absent")
    assert CACHE_DIR not in os.environ


def test_nothing_compiled_is_taken_from_where_anybody_may_write(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_DIR, "gone after the test")
    monkeypatch.delenv(CACHE_DIR)
    (tmp_path / KERNELS).mkdir()
    (tmp_path / KERNELS).chmod(0o777)
    keep_kernels(tmp_path)
    assert CACHE_DIR not in os.environ
    (tmp_path / KERNELS).chmod(0o700)
    keep_kernels(tmp_path)
    assert os.environ[CACHE_DIR] == str((tmp_path / KERNELS).resolve())


@pytest.mark.parametrize("profile_id", PROFILES)
def test_repeated_blocks_are_what_is_compiled(store, profile_id):
    model = denoiser(pipeline(load(store, profile_id, compile="regional")))

    compiled = {type(part).__name__ for part in model.modules() if part._compiled_call_impl is not None}

    assert compiled == {
        "wan-vace-1.3b": {"WanTransformerBlock", "WanVACETransformerBlock"},
        "ltx-video": {"LTXVideoTransformerBlock"},
    }.get(profile_id, {"BasicTransformerBlock"})


@pytest.mark.parametrize("profile_id", UNETS)
def test_the_vae_of_stable_diffusion_has_tiles(store, profile_id):
    assert pipeline(load(store, profile_id, tiling=True)).vae.use_tiling


@pytest.mark.parametrize("profile_id", TRANSFORMERS)
def test_tiles_change_nothing_in_small_frames(store, profile_id):
    plain = made(profile_id, load(store, profile_id))

    loaded = load(store, profile_id, tiling=True)

    assert pipeline(loaded).vae.use_tiling
    assert np.array_equal(made(profile_id, loaded), plain)


def test_frames_larger_than_a_tile_come_out_whole(store):
    plain = made("wan-vace-1.3b", load(store, "wan-vace-1.3b"), size=288)

    tiled = made("wan-vace-1.3b", load(store, "wan-vace-1.3b", tiling=True), size=288)

    assert 0 < far(tiled, plain) < 16


@pytest.mark.parametrize("profile_id", PROFILES)
def test_offload_needs_a_gpu(store, profile_id):
    with pytest.raises(InvalidSettingError, match="needs a CUDA device, not cpu; use offload=none"):
        load(store, profile_id, offload="group")


def test_pipelines_may_share_models(store):
    loaded = load(store, "animatediff", dtype="bfloat16", compile="regional", tiling=True)

    assert loaded.full.unet is not loaded.lcm.unet
    assert loaded.full.vae is loaded.lcm.vae
    for pipe in (loaded.full, loaded.lcm):
        assert {model.dtype for model in models(pipe).values()} == {torch.bfloat16}


@pytest.mark.parametrize("profile_id", TRANSFORMERS)
def test_the_step_cache_shapes_frames_of_its_run_alone(store, profile_id):
    loaded = load(store, profile_id)
    plain = made(profile_id, loaded)

    cached = made(profile_id, loaded, cache=1.0)

    assert not np.array_equal(cached, plain)
    assert np.array_equal(made(profile_id, loaded), plain)


@pytest.mark.parametrize("profile_id", UNETS)
def test_the_step_cache_is_refused_where_there_is_none(store, profile_id):
    with pytest.raises(InvalidSettingError, match="cache"):
        made(profile_id, load(store, profile_id), cache=0.1)
