"""Folders made from what is published are what the profiles load."""

import re

import pytest
import torch
from diffusers import AutoencoderKLLTXVideo, LTXConditionPipeline, LTXVideoTransformer3DModel
from safetensors.torch import load_file, save_file
from tiny_models import ltx_video

from cmvc.errors import MissingWeightsError
from cmvc.profiles.ltx_video import CHECKPOINT
from cmvc.profiles.registry import model_profile
from cmvc_decoder.models.convert import make
from cmvc_decoder.weights.store import Manifest, ModelStore, State

MODELS = model_profile("ltx-video")
# Of a VAE of 0.9.5 and later: the published names of its blocks, which run through samplers and blocks alike.
PUBLISHED = (
    (r"encoder\.mid_block", "encoder.down_blocks.8"),
    (r"encoder\.down_blocks\.(\d)\.downsamplers\.0", lambda found: f"encoder.down_blocks.{2 * int(found[1]) + 1}"),
    (r"encoder\.down_blocks\.(\d)\.resnets", lambda found: f"encoder.down_blocks.{2 * int(found[1])}.res_blocks"),
    (r"decoder\.up_blocks\.(\d)\.upsamplers\.0", lambda found: f"decoder.up_blocks.{2 * int(found[1]) + 1}"),
    (
        r"decoder\.up_blocks\.(\d)\.(resnets|time)",
        lambda found: f"decoder.up_blocks.{2 * int(found[1]) + 2}.{found[2]}",
    ),
    (r"decoder\.mid_block", "decoder.up_blocks.0"),
    (r"resnets", "res_blocks"),
    (r"^decoder\.(time_embedder|scale_shift_table)", r"decoder.last_\1"),
    (r"^latents_mean", "per_channel_statistics.mean-of-means"),
    (r"^latents_std", "per_channel_statistics.std-of-means"),
)


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "store")


@pytest.fixture
def published(store):
    """Put text encoder and single file into the store, as they are published; return transformer and VAE."""
    ltx_video.write(store.folder(MODELS.id))
    text = store.part(MODELS.id, "text")
    store.folder(MODELS.id, "pipeline").rename(text)
    transformer = LTXVideoTransformer3DModel.from_pretrained(text / "transformer")
    # diffusers knows this architecture by the 2048 channels before the last layer of the encoder.
    changes = {"block_out_channels": (8, 8, 8, 16, 2048), "layers_per_block": (1, 1, 1, 1, 0)}
    vae = AutoencoderKLLTXVideo.from_config({**AutoencoderKLLTXVideo.load_config(text / "vae"), **changes})
    vae.save_config(text / "vae")
    for weights in [*text.glob("transformer/*.safetensors"), *text.glob("vae/*.safetensors")]:
        weights.unlink()
    checkpoint = store.part(MODELS.id, "checkpoint")
    checkpoint.mkdir()
    save_file(single_file(transformer.bfloat16(), vae.bfloat16()), checkpoint / CHECKPOINT)
    for weights in MODELS.weights:
        store.publish(MODELS.id, weights.name, Manifest(weights.repo, weights.revision, {}))
    return transformer, vae


def single_file(transformer, vae):
    renames = {"proj_in": "patchify_proj", "time_embed": "adaln_single", "norm_q": "q_norm", "norm_k": "k_norm"}
    weights = {}
    for name, weight in transformer.state_dict().items():
        weights["model.diffusion_model." + replaced(name, renames.items())] = weight.contiguous()
    for name, weight in vae.state_dict().items():
        weights["vae." + replaced(name, PUBLISHED)] = weight.contiguous()
    return weights


def replaced(name, renames):
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def test_ltx_video_becomes_a_pipeline_with_every_weight_of_the_single_file(store, published):
    assert not store.ready(MODELS)
    assert make(MODELS, store)
    assert store.ready(MODELS)
    pipe = LTXConditionPipeline.from_pretrained(store.folder(MODELS.id, "pipeline"), dtype=torch.bfloat16)
    for made, original in zip((pipe.transformer, pipe.vae), published, strict=True):
        expected = original.state_dict()
        assert made.state_dict().keys() == expected.keys()
        assert all(torch.equal(weight, expected[name]) for name, weight in made.state_dict().items())
    assert pipe.text_encoder is not None
    assert pipe.tokenizer is not None


def test_what_is_made_takes_no_space_twice_and_is_made_once(store, published):
    make(MODELS, store)
    large = "text_encoder/model.safetensors"
    assert (store.folder(MODELS.id, "text") / large).samefile(store.folder(MODELS.id, "pipeline") / large)
    assert not make(MODELS, store)


@pytest.mark.parametrize("missing", [None, "model.diffusion_model.patchify_proj.bias", "vae.decoder.conv_in.conv.bias"])
def test_a_file_that_lacks_something_leaves_nothing_that_passes_for_a_pipeline(store, published, missing):
    checkpoint = store.folder(MODELS.id, "checkpoint") / CHECKPOINT
    weights = load_file(checkpoint)
    checkpoint.unlink()
    if missing:
        del weights[missing]
        save_file(weights, checkpoint)
    with pytest.raises(MissingWeightsError, match=r"has no .* that fits .* run: cmvc models verify ltx-video"):
        make(MODELS, store)
    assert store.made_state(MODELS, "pipeline") is State.MISSING
    assert not (store.folder(MODELS.id) / ".made").exists()


def test_videocrafter2_is_made_of_the_folders_that_are_pulled(store):
    models = model_profile("videocrafter2")
    for weights in models.weights:
        store.part(models.id, weights.name).mkdir(parents=True)
        store.publish(models.id, weights.name, Manifest(weights.repo, weights.revision, {}))
    with pytest.raises(MissingWeightsError, match=r"videocrafter2/tokenizer/tokenizer/vocab\.json is not there"):
        make(models, store)
