"""The fast decoder of Wan's latents: the authors' frames, wherever they are cut, and as a setting of the profile."""

import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import tiny_models
import torch
from safetensors.torch import save_file

from cmvc.control import Control
from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc.media.picture import Picture
from cmvc.profiles.registry import model_profile
from cmvc.profiles.wan_vace import FAST_VAE_FILE
from cmvc.profiles.weights import FAST_VAE
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion import fast_vae
from cmvc_decoder.diffusion.fast_vae import FastDecoder
from cmvc_decoder.generator import Conditions, Step
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.speed.options import SpeedOptions

GOLDEN = Path(__file__).parents[1] / "fast_vae_golden"
sys.path.insert(0, str(GOLDEN.parent))
from fast_vae_golden.weights import latents, weights  # noqa: E402

PROFILE = "wan-vace-1.3b"
ASKED = Conditions(
    common_pb2.MODE_TT2V, 64, 64, 9, Fraction(16), 0, text="red ball", settings={"steps": "1", "pixels": "4096"}
)


@pytest.fixture(scope="module")
def decoder():
    made = FastDecoder()
    made.load_state_dict({f"decoder.{name}": each for name, each in weights(made.decoder.state_dict()).items()})
    return made.eval()


def decoded(decoder, video):
    with torch.inference_mode():
        return decoder.decode(video, lambda: None).numpy()


def test_its_layers_are_those_of_the_published_weights(decoder):
    assert {name: list(each.shape) for name, each in decoder.state_dict().items()} == json.loads(
        (GOLDEN / "layout.json").read_text()
    )


def test_its_frames_are_those_of_the_authors_code(decoder):
    assert np.abs(decoded(decoder, latents()) - np.load(GOLDEN / "frames.npy")).max() <= 1e-4


@pytest.mark.parametrize("at_once", [1, 3, 9])
def test_it_does_not_matter_how_many_latents_are_decoded_at_once(decoder, monkeypatch, at_once):
    whole = decoded(decoder, latents())
    monkeypatch.setattr(fast_vae, "_LATENTS_AT_ONCE", at_once)
    assert np.abs(decoded(decoder, latents()) - whole).max() <= 1e-5
    assert np.abs(decoded(decoder, latents()[:, 1:]) - whole[4:]).max() > 1e-3  # for it does remember


@pytest.fixture(scope="module")
def store(tmp_path_factory, decoder):
    root = tmp_path_factory.mktemp("store")
    tiny_models.store(root, PROFILE, "ltx-video")
    path = root / PROFILE / FAST_VAE / FAST_VAE_FILE
    path.parent.mkdir(parents=True)
    published = {name: each.half() for name, each in decoder.state_dict().items()}
    save_file(published | {"encoder.0.bias": torch.zeros(64)}, path)
    return root


def frames(generator, asked):
    items = list(generator.generate(asked, Control()))
    return np.stack([item.y for item in items if isinstance(item, Picture)])


def fast(asked=ASKED):
    return replace(asked, settings=dict(asked.settings) | {"vae": "fast"})


def test_with_the_setting_latents_are_decoded_by_it(store):
    generator = make_generator(PROFILE, store, SpeedOptions(batch=1))
    own, quick = frames(generator, ASKED), frames(generator, fast())
    assert own.shape == quick.shape == (9, 64, 64)
    assert np.abs(own.astype(int) - quick).mean() > 5
    assert np.array_equal(quick, frames(generator, fast()))
    assert np.array_equal(own, frames(generator, replace(ASKED, settings=dict(ASKED.settings) | {"vae": "own"})))


def test_what_it_is_given_are_the_latents_that_the_model_made(store, monkeypatch):
    """Those of the model's own space, not those that its VAE is given, which are scaled."""
    given = []
    decode = FastDecoder.decode
    monkeypatch.setattr(
        FastDecoder, "decode", lambda self, video, check: given.append(video) or decode(self, video, check)
    )
    generator = make_generator(PROFILE, store, SpeedOptions())
    frames(generator, fast())
    vae, seen = generator._pipe.vae, []
    own = vae.decode
    monkeypatch.setattr(vae, "decode", lambda video, **options: seen.append(video) or own(video, **options))
    frames(generator, ASKED)
    mean, std = (torch.tensor(getattr(vae.config, name)).view(-1, 1, 1, 1) for name in ("latents_mean", "latents_std"))
    assert torch.allclose(given[0] * std + mean, seen[0][0], atol=1e-4)


def test_profiles_without_it_refuse_before_they_load_anything(tmp_path):
    generator = make_generator("ltx-video", tmp_path, SpeedOptions())
    with pytest.raises(InvalidSettingError, match="ltx-video has no fast VAE; leave vae=fast out"):
        next(generator.generate(fast(), Control()))


def test_weights_that_are_missing_or_others_are_named_before_any_step(store, tmp_path):
    (tmp_path / PROFILE).mkdir()
    (tmp_path / PROFILE / "pipeline").symlink_to(store / PROFILE / "pipeline")
    generator = make_generator(PROFILE, tmp_path, SpeedOptions())
    with pytest.raises(MissingWeightsError, match=f"lacks the weights {FAST_VAE}; run: .* --optional {PROFILE}"):
        frames(generator, fast())
    (tmp_path / PROFILE / FAST_VAE / FAST_VAE_FILE).parent.mkdir(parents=True)
    save_file({"decoder.1.bias": torch.zeros(3)}, tmp_path / PROFILE / FAST_VAE / FAST_VAE_FILE)
    steps = []
    with pytest.raises(MissingWeightsError, match="is no decoder of Wan's latents"):
        steps.extend(item for item in generator.generate(fast(), Control()) if isinstance(item, Step))
    assert not any(step.done for step in steps)


def test_the_published_file_is_as_large_as_its_weights():
    (published,) = [each for each in model_profile(PROFILE).weights if each.name == FAST_VAE]
    (file,) = published.on_github
    decoder = sum(each.numel() for each in FastDecoder().state_dict().values())
    assert (file.path, file.size) == (FAST_VAE_FILE, published.size)
    assert file.size > 2 * decoder > file.size // 2  # in float16; the encoder is smaller
