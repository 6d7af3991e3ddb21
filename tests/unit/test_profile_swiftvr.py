"""``swiftvr``: against what the authors' code makes at toy size, and on a tiny model of the real classes."""

import shutil
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import swiftvr_golden as toy
import torch
from diffusers import WanTransformer3DModel
from profile_streams import requests, stream
from tiny_models import swiftvr as tiny

from cmvc.control import Control
from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.picture import Picture
from cmvc.profiles.swiftvr import AUTOENCODER, PROFILE
from cmvc.v1 import common_pb2
from cmvc_decoder.conditions import read_conditions
from cmvc_decoder.diffusion.color import tones
from cmvc_decoder.diffusion.generator import DiffusionGenerator
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.generators.swiftvr import SwiftVr
from cmvc_decoder.generators.swiftvr.autoencoder import SwiftVrAutoencoder
from cmvc_decoder.generators.swiftvr.pipeline import SwiftVrPipeline, borders
from cmvc_decoder.generators.swiftvr.transformer import SwiftVrTransformer
from cmvc_decoder.generators.swiftvr.windows import starts, windows
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.triton.sign_of_life import sign_of_life
from cmvc_decoder.upscale import upscale

ONE_STEP = SwiftVr.defaults
CPU = torch.device("cpu")


def filled(model, draw):
    """Return a model with the toy's weights, and their check."""
    weights = draw({name: tuple(each.shape) for name, each in model.state_dict().items()})
    model.load_state_dict({name: torch.from_numpy(each) for name, each in weights.items()}, strict=True)
    return model.eval(), toy.check(weights)


def toy_parts(window=toy.WINDOW):
    widths = (256, 128, 64, 64)  # the narrowest that the authors' class can be
    vae, first = filled(SwiftVrAutoencoder(latent_channels=toy.LATENT_CHANNELS, decoder_widths=widths), toy.autoencoder)
    transformer, second = filled(SwiftVrTransformer(**toy.TRANSFORMER, window=window), toy.transformer)
    return SwiftVrPipeline(transformer, vae, torch.from_numpy(toy.prompt())), first + second


@pytest.fixture(scope="module")
def golden():
    with np.load(toy.GOLDEN) as file:
        return dict(file)


# Beside the authors' code


@pytest.mark.parametrize("name", toy.CASES)
def test_frames_are_those_of_the_authors_code(golden, name):
    pipe, check = toy_parts()
    assert check == pytest.approx(golden[toy.CHECK], rel=1e-9), (
        "weights are drawn otherwise: make the golden file again"
    )
    case = toy.CASES[name]
    made = torch.cat(list(pipe([toy.pictures(case)], case.chunk)), dim=1)[0]
    assert made.shape == (case.frames, 3, case.height, case.width)
    assert np.abs(toy.sampled(made.numpy()) - golden[name]).max() <= 1e-4


@pytest.mark.parametrize("window", [(16, 16), (3, 3)])
def test_other_windows_are_seen_by_the_golden_file(golden, window):
    pipe, _ = toy_parts(window)
    case = toy.CASES["windows"]
    first = next(pipe([toy.pictures(case)], case.chunk))[0].numpy()
    assert np.abs(toy.sampled(first) - golden["windows"][: len(first)]).max() > 1e-3


def test_the_stock_class_loads_the_weights_and_is_wrong():
    """What makes this profile necessary: the same names and shapes, and other numbers."""
    pipe, _ = toy_parts()
    stock = WanTransformer3DModel(**toy.TRANSFORMER)
    stock.load_state_dict(pipe.transformer.state_dict(), strict=True)
    latents = torch.randn(1, 8, 2, 18, 20, generator=torch.Generator().manual_seed(1))
    given = (latents, torch.tensor([1000.0]), pipe.prompt[None])
    with torch.inference_mode():
        ours, theirs = pipe.transformer(*given, 0), stock.eval()(*given, return_dict=False)[0]
        whole = toy_parts((16, 16))[0].transformer(*given, 0)
    assert torch.allclose(whole, theirs, atol=1e-5)  # one window is what the stock class has
    assert (ours - theirs).abs().mean() > 0.02 * theirs.std()


# Windows and chunks


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(("height", "width"), [(9, 10), (4, 4), (3, 17), (8, 6)])
def test_every_token_takes_its_result_from_its_own_place_in_a_window(height, width, shifted):
    made = windows((2, height, width), (4, 4), shifted, CPU)
    assert torch.equal(made.gather[made.owner], torch.arange(2 * height * width))
    assert len(made.gather) == made.count * 2 * min(height, 4) * min(width, 4)


def test_windows_begin_where_the_authors_do():
    assert [starts(9, 4, shifted) for shifted in (False, True)] == [[0, 4, 5], [0, 2, 5]]
    assert [starts(12, 4, shifted) for shifted in (False, True)] == [[0, 4, 8], [0, 2, 6, 8]]
    assert [starts(8, 4, shifted) for shifted in (False, True)] == [[0, 4], [0, 4]]  # the one between is covered
    assert starts(4, 4, True) == starts(3, 4, False) == [0]


@pytest.mark.parametrize("frames", [1, 5, 25, 29, 53, 57, 453])
def test_chunks_are_of_24_frames_after_a_first_of_28(frames):
    lengths = [end - start for start, end in pairwise(borders(frames, 24))]
    assert sum(lengths) == frames
    assert lengths[1:-1] == [24] * len(lengths[1:-1])
    assert len(lengths) == 1 or (lengths[0] == 28 and 0 < lengths[-1] <= 24)


def test_what_the_autoencoder_remembers_makes_chunks_one_whole():
    vae = toy_parts()[0].vae
    frames = torch.rand(2, 12, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole = vae.decode(vae.encode(frames, {}), {})
        encoded, decoded = {}, {}
        parts = [vae.decode(vae.encode(part, encoded), decoded) for part in frames.split(4, dim=1)]
        alone = [vae.decode(vae.encode(part, {}), {}) for part in frames.split(4, dim=1)]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)
    assert (torch.cat(alone, dim=1) - whole).abs().max() > 0.01


# The profile


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swiftvr")
    tiny.write(folder)
    return folder


@pytest.fixture(scope="module")
def pipe(folder):
    return SwiftVr().load(folder, SpeedOptions())


def guide(seed=1, frames=9, height=64, width=96):
    return np.random.default_rng(seed).integers(0, 255, (frames, height, width, 3), np.uint8)


def window(guide):
    frames, height, width, _ = guide.shape
    return Window("", frames, width, height, Fraction(24), torch.Generator().manual_seed(1), guide=guide)


def make(pipe, *guides, settings=ONE_STEP, step=lambda done, total: None):
    return SwiftVr().run(pipe, [window(each) for each in guides], settings, step)


@pytest.mark.parametrize("frames", [1, 9, 33])
def test_a_guide_becomes_as_many_frames(pipe, frames):
    (made,) = make(pipe, guide(frames=frames))
    assert (made.shape, made.dtype) == ((frames, 64, 96, 3), np.uint8)
    assert made.std() > 1


def test_the_guide_decides_and_nothing_else(pipe):
    first, again, other = (make(pipe, guide(seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)  # nothing is remembered from one run to the next
    assert not np.array_equal(first, other)


def test_windows_of_a_batch_are_those_made_one_by_one(pipe):
    together = make(pipe, guide(1, 33), guide(2, 33))
    for made, seed in zip(together, (1, 2), strict=True):
        assert np.abs(made.astype(int) - make(pipe, guide(seed, 33))[0]).max() <= 1


def test_chunks_are_counted_and_what_step_raises_ends_the_run(pipe):
    steps = []

    def stop(done, total):
        steps.append((done, total))
        raise TimeoutError

    whole = make(pipe, guide(frames=57))[0]
    with pytest.raises(TimeoutError):
        make(pipe, guide(frames=57), step=stop)
    assert steps == [(1, 3)]
    assert np.array_equal(make(pipe, guide(frames=57), step=lambda *each: steps.append(each))[0], whole)
    assert steps[1:] == [(1, 3), (2, 3), (3, 3)]


def test_no_frame_depends_on_chunks_that_follow(pipe):
    one = guide(frames=57)
    other = one.copy()
    other[28:] = 255 - other[28:]
    before, after = make(pipe, one)[0], make(pipe, other)[0]
    assert np.array_equal(before[:25], after[:25])
    assert not np.array_equal(before[25:], after[25:])


@pytest.mark.parametrize("settings", [Settings(2, 1.0), Settings(1, 2.0), replace(ONE_STEP, cache=0.1)])
def test_settings_that_it_cannot_follow_are_refused(pipe, settings):
    with pytest.raises(InvalidSettingError, match="one step"):
        make(pipe, guide(), settings=settings)


def test_a_window_without_a_video_is_refused(pipe):
    with pytest.raises(InvalidSettingError, match="VT2V"):
        SwiftVr().run(pipe, [replace(window(guide()), guide=None)], ONE_STEP, lambda *_: None)


def test_missing_and_damaged_weights_say_what_to_run(tmp_path):
    with pytest.raises(MissingWeightsError, match="cmvc models pull swiftvr"):
        SwiftVr().load(tmp_path / "swiftvr", SpeedOptions())
    tiny.write(tmp_path / "swiftvr")
    (tmp_path / "swiftvr" / "checkpoint" / AUTOENCODER).write_bytes(b"not weights")
    with pytest.raises(MissingWeightsError, match="not whole"):
        SwiftVr().load(tmp_path / "swiftvr", SpeedOptions())


# In a decoder


@pytest.fixture(scope="module")
def generator(folder):
    return DiffusionGenerator(SwiftVr(), folder, SpeedOptions())


@pytest.mark.parametrize("compiled", [False, True])
def test_a_canary_is_a_video_to_restore(generator, compiled):
    """Where it is compiled, of the shapes that were compiled beforehand."""
    speed = SpeedOptions(device="cuda", compile="regional") if compiled else SpeedOptions()
    asked = sign_of_life(PROFILE, speed)
    pictures = generator.generate(replace(asked, settings={"pixels": "1"}), Control())
    assert sum(isinstance(each, Picture) for each in pictures) == asked.frames == (53 if compiled else 1)
    assert (asked.width, asked.height) == ((1280, 704) if compiled else (16, 16))
    lengths = [end - start for start, end in pairwise(borders(PROFILE.grid.shaping_frames, 24))]
    assert lengths == [28, 24, 1]


def test_what_is_compiled_beforehand_is_a_video_to_restore(folder, monkeypatch):
    made, profile = [], SwiftVr()
    monkeypatch.setattr(profile, "run", lambda pipe, windows, settings, step: made.extend(windows), raising=False)
    DiffusionGenerator(profile, folder, SpeedOptions())._warm_up(None)
    (warm,) = made
    assert (warm.frames, warm.width, warm.height) == (53, 1280, 704)
    assert warm.guide.shape == (53, 704, 1280, 3)


def test_tones_are_those_of_the_guide_and_segments_do_not_know_of_each_other(generator):
    data = stream("swiftvr", "vt2v")
    (request,) = requests(data)

    def made():
        found = generator.generate(read_conditions(request, DEFAULT_LIMITS), Control())
        return [each for each in found if isinstance(each, Picture)]

    pictures, again = made(), made()
    wanted = upscale(replace(read_conditions(request, DEFAULT_LIMITS), mode=common_pb2.MODE_CODED), Control())
    assert [each.y.tobytes() for each in pictures] == [each.y.tobytes() for each in again]
    for picture, coded in zip(pictures, wanted, strict=True):
        for shown, of_guide in zip(tones(picture), tones(coded), strict=True):  # nearer than one tone for all would be
            assert np.abs(shown - of_guide).mean() < 0.75 * np.abs(of_guide - of_guide.mean()).mean() + 1
            if of_guide.std() > 0:  # a drawn clip's colours are flat
                assert np.corrcoef(shown.ravel(), of_guide.ravel())[0, 1] > 0.75
        assert max(abs(a.mean() - b.mean()) for a, b in zip(picture.planes, coded.planes, strict=True)) < 1


# Speed


def test_bfloat16_stays_near(folder, pipe):
    half = SwiftVr().load(folder, SpeedOptions(dtype="bfloat16"))
    assert half.transformer.dtype == half.vae.dtype == torch.bfloat16
    assert half.transformer.scale_shift_table.dtype == torch.float32
    assert np.abs(make(half, guide())[0].astype(int) - make(pipe, guide())[0]).mean() < 4


def test_attention_backends_agree(folder, pipe):
    other = SwiftVr().load(folder, SpeedOptions(attention="_native_math"))
    assert other.transformer.blocks[1].attn1.processor._attention_backend.value == "_native_math"
    assert np.abs(make(other, guide())[0].astype(int) - make(pipe, guide())[0]).max() <= 1


def test_what_is_compiled_are_its_blocks(folder):
    transformer = SwiftVr().load(folder, SpeedOptions(compile="regional")).transformer
    compiled = [part for part in transformer.modules() if part._compiled_call_impl is not None]
    assert compiled == list(transformer.blocks)


@pytest.mark.slow
def test_compiled_blocks_make_the_same_and_once_for_all_chunks_of_a_shape(folder, pipe):
    if shutil.which("c++") is None:
        pytest.skip("compiling for the CPU needs a C++ compiler")
    torch.compiler.reset()
    statistics = torch._dynamo.utils.counters["stats"]
    compiled = SwiftVr().load(folder, SpeedOptions(compile="regional"))
    (made,) = make(compiled, guide(frames=57))
    graphs = statistics["unique_graphs"]
    assert np.abs(made.astype(int) - make(pipe, guide(frames=57))[0]).max() <= 1
    make(compiled, guide(frames=81))
    assert statistics["unique_graphs"] == graphs, "compiled again for chunks of the same shapes"


@pytest.mark.parametrize(
    ("options", "reason"), [({"tiling": True}, "no tiles"), ({"offload": "group"}, "needs a CUDA")]
)
def test_what_it_cannot_do_is_refused(folder, options, reason):
    with pytest.raises(InvalidSettingError, match=reason):
        SwiftVr().load(folder, SpeedOptions(**options))


def test_a_segment_of_the_longest_time_is_one_window():
    assert PROFILE.grid.window_frames(Fraction(45)) >= 10 * 45
    assert PROFILE.grid.window_frames(Fraction(60)) >= 10 * 60
