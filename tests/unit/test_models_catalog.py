"""What profiles say of their weights can be pulled safely and exactly."""

import re
from pathlib import PurePosixPath

import pytest

from cmvc.errors import UnknownProfileError
from cmvc.profiles.registry import MODEL_PROFILES, model_profile

SAFE = {".safetensors", ".json", ".txt", ".model"}
WEIGHTS = [(models.id, weights) for models in MODEL_PROFILES.values() for weights in models.weights]


@pytest.mark.parametrize(("profile", "weights"), WEIGHTS, ids=[f"{profile}/{each.name}" for profile, each in WEIGHTS])
def test_weights_are_pinned_and_without_code(profile, weights):
    assert re.fullmatch("[0-9a-f]{40}", weights.revision)
    assert weights.size > 0
    assert weights.licence.url.startswith("https://")
    suffixes = {PurePosixPath(pattern).suffix for pattern in weights.files}
    # The one pickle there is, read with weights_only=True by the conversion.
    assert suffixes <= (SAFE | {".ckpt"} if profile == "videocrafter2" else SAFE)


def test_no_weights_are_pulled_twice_in_another_type():
    assert not [each for _, weights in WEIGHTS for each in weights.files if ".bin" in each or "fp16" in each]


@pytest.mark.parametrize("models", MODEL_PROFILES.values(), ids=MODEL_PROFILES)
def test_a_folder_of_the_store_has_one_origin(models):
    names = [*(each.name for each in models.weights), *models.made]
    assert len(names) == len(set(names))


def test_optional_weights_come_only_when_asked_for():
    models = model_profile("animatediff")
    assert {each.name for each in models.chosen(optional=True)} - {
        each.name for each in models.chosen(optional=False)
    } == {"lcm-motion-adapter", "lcm-lora"}


def test_a_profile_without_models_is_named_with_those_that_have_some():
    with pytest.raises(UnknownProfileError, match=r"'embedded'; profiles with models: wan-vace-1\.3b, ltx-video"):
        model_profile("embedded")
