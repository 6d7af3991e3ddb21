"""The real models' architectures, by profile: ``<profile id>/<component>.json`` in the form of their ``config.json``.

Where each figure comes from, and how it was checked: docs/architectures.md.
"""

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from cmvc_decoder.generators.swiftvr.autoencoder import SwiftVrAutoencoder
from cmvc_decoder.generators.swiftvr.transformer import SwiftVrTransformer
from cmvc_decoder.generators.videocrafter2.unet import VideoCrafterUNet

Config = dict[str, Any]
Components = dict[str, tuple[Any, Config]]

_FOLDER = Path(__file__).parent
_OURS = {cls.__name__: cls for cls in (VideoCrafterUNet, SwiftVrTransformer, SwiftVrAutoencoder)}


def profiles() -> list[str]:
    """Return the ids of the profiles whose architectures are here."""
    return sorted(path.name for path in _FOLDER.iterdir() if any(path.glob("*.json")))


def components(profile_id: str) -> Components:
    """Return the class and the configuration of each model of a profile, by its name.

    Raises:
        FileNotFoundError: the profile has no architecture here.
    """
    paths = sorted((_FOLDER / profile_id).glob("*.json"))
    if not paths:
        raise FileNotFoundError(f"{_FOLDER / profile_id} has no architecture; there are: {', '.join(profiles())}")
    return {path.stem: _component(json.loads(path.read_text())) for path in paths}


def build(cls: Any, config: Config) -> Any:
    """Return a model of that class and configuration, on torch's default device and with the weights of its class."""
    if issubclass(cls, transformers.PreTrainedModel):
        return cls(cls.config_class.from_dict(config))
    return cls.from_config(config)


def on_meta(profile_id: str) -> dict[str, Any]:
    """Return each model of a profile on the meta device: all its shapes, none of its memory."""
    with torch.device("meta"):
        return {name: build(cls, config) for name, (cls, config) in components(profile_id).items()}


def _component(config: Config) -> tuple[Any, Config]:
    if "architectures" in config:
        return getattr(transformers, config["architectures"][0]), config
    name = config["_class_name"]
    return _OURS.get(name) or getattr(diffusers, name), config
