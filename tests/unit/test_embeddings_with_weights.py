import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch", reason="the vision towers need torch")
pytest.importorskip("transformers", reason="and transformers")

import torch
from media_files import moving_frames
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_models import clip, siglip
from transformers import AutoImageProcessor, CLIPModel, SiglipModel

from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc.media.frames import from_frame
from cmvc.media.picture import Picture
from cmvc.media.rgb import to_rgb
from cmvc_encoder.keyframes.embeddings import embedding_names, make_embedder
from cmvc_encoder.options import EncoderOptions

WRITERS = {"clip": clip.write, "siglip": siglip.write, "naflex": siglip.write_naflex}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("towers")
    for name, write in WRITERS.items():
        write(root / name)
    return root


def embedder(name, model, *settings):
    return make_embedder(name, EncoderOptions(embedding_model=str(model), semantics=settings))


def stripes(width, level):
    luma = np.full((54, 96), 40, np.uint8)
    luma[:, : 96 - 96 % (2 * width)].reshape(54, -1, 2, width)[:, :, 0] = level
    return Picture(luma, np.full((27, 48), 110, np.uint8), np.full((27, 48), 150, np.uint8))


PICTURES = [stripes(48, 200), stripes(6, 120), *[from_frame(frame) for frame in moving_frames(2, 96, 54)]]


@pytest.mark.parametrize(("name", "model"), [("clip", "clip"), ("siglip", "siglip"), ("siglip", "naflex")])
def test_vectors_have_length_one_and_tell_pictures_apart(models, name, model):
    vectors = embedder(name, models / model).embed(PICTURES, 1)
    assert vectors.shape == (4, 16 if name == "clip" else 32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alike = vectors @ vectors.T
    assert alike[2, 3] > max(alike[0, 1], alike[0, 2], alike[1, 2])
    assert alike[2, 3] > 0.99
    assert alike[0, 1] < 0.95


@pytest.mark.parametrize(("name", "whole"), [("clip", CLIPModel), ("siglip", SiglipModel)])
def test_vectors_are_the_image_features_of_the_whole_model(models, name, whole):
    images = [Image.fromarray(to_rgb(picture, 5)) for picture in PICTURES]
    processor = AutoImageProcessor.from_pretrained(models / name)
    with torch.inference_mode():
        found = whole.from_pretrained(models / name).get_image_features(**processor(images, return_tensors="pt"))
    expected = torch.nn.functional.normalize(found.pooler_output, dim=1).numpy()
    assert np.allclose(embedder(name, models / name).embed(PICTURES, 5), expected, atol=1e-5)


def test_batches_do_not_change_vectors(models):
    towers = embedder("clip", models / "clip")
    many = towers.embed(PICTURES * 10, 1)
    assert np.allclose(many[-4:], towers.embed(PICTURES, 1), atol=1e-5)


def test_color_matrix_counts(models):
    towers = embedder("clip", models / "clip")
    assert not np.allclose(towers.embed(PICTURES[:1], 1), towers.embed(PICTURES[:1], 9), atol=1e-4)


def test_half_precision_is_close(models):
    exact = embedder("siglip", models / "siglip").embed(PICTURES, 1)
    rough = embedder("siglip", models / "siglip", "dtype=bfloat16", "device=cpu").embed(PICTURES, 1)
    assert (exact * rough).sum(1).min() > 0.99
    assert not np.array_equal(exact, rough)


def test_the_processor_config_of_the_published_clip_loads(models, tmp_path):
    folder = shutil.copytree(models / "clip", tmp_path / "clip")
    path = folder / "preprocessor_config.json"
    config = json.loads(path.read_text())
    del config["image_processor_type"]  # it is of 2021
    config |= {"feature_extractor_type": "CLIPFeatureExtractor", "size": clip.SIDE, "crop_size": clip.SIDE}
    path.write_text(json.dumps(config))
    old = embedder("clip", folder).embed(PICTURES, 1)
    assert np.allclose(old, embedder("clip", models / "clip").embed(PICTURES, 1), atol=1e-5)


def test_both_are_on_offer():
    assert embedding_names() == ("embedded", "clip", "siglip")


@pytest.mark.parametrize(
    ("name", "model", "advice"),
    [
        ("clip", "", "run: hf download openai/clip-vit-base-patch32, or"),
        ("siglip", "google/siglip2-base-patch16-224@0123abc", "run: hf download .* --revision 0123abc, or"),
    ],
)
def test_absent_weights_say_how_to_get_them_and_only_when_needed(monkeypatch, tmp_path, name, model, advice):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    waiting = embedder(name, model)
    with pytest.raises(MissingWeightsError, match=advice):
        waiting.embed(PICTURES, 1)


@pytest.mark.parametrize("missing", ["model.safetensors", "preprocessor_config.json", "config.json"])
def test_a_folder_that_lacks_a_file_is_named(models, tmp_path, missing):
    folder = shutil.copytree(models / "siglip", tmp_path / "tower")
    (folder / missing).unlink()
    with pytest.raises(MissingWeightsError, match=f"{folder} is no whole model"):
        embedder("siglip", folder).embed(PICTURES, 1)


def test_weights_that_are_cut_off_are_missing_weights(models, tmp_path):
    folder = shutil.copytree(models / "clip", tmp_path / "tower")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(MissingWeightsError, match="no whole model"):
        embedder("clip", folder).embed(PICTURES, 1)


def test_weights_that_lack_a_layer_are_missing_weights(models, tmp_path):
    folder = shutil.copytree(models / "siglip", tmp_path / "tower")
    weights = load_file(folder / "model.safetensors")
    layer = "vision_model.encoder.layers.1.mlp.fc1.bias"
    save_file({name: weight for name, weight in weights.items() if name != layer}, folder / "model.safetensors")
    with pytest.raises(MissingWeightsError, match=f"its weights lack .*{layer.partition('.')[2]}"):
        embedder("siglip", folder).embed(PICTURES, 1)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (("dtype=int3",), "dtype=int3 is not known; choose one of auto, float32"),
        (("device=abacus",), "device=abacus is no device"),
        (("device=cuda:7",), "device=cuda:7"),
    ],
)
def test_wrong_settings_are_named(models, settings, complaint):
    with pytest.raises(InvalidSettingError, match=complaint):
        embedder("clip", models / "clip", *settings).embed(PICTURES, 1)


def test_a_model_of_another_kind_is_refused(models):
    with pytest.raises(InvalidSettingError, match="a model of type 'siglip'; this embedding takes clip"):
        embedder("clip", models / "siglip").embed(PICTURES, 1)
