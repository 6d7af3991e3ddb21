"""A multimodal LLM in this process, through ``transformers``: Qwen-VL, SmolVLM and others, by folder or model id."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cmvc.errors import InvalidSettingError, MissingServiceError
from cmvc.media.rgb import Rgb
from cmvc_encoder.extra import INSTALL, LIBRARIES
from cmvc_encoder.semantics.mllm import Question

if TYPE_CHECKING:
    from cmvc_encoder.semantics.pretrained import Pretrained

SETTINGS = {
    "device": "where the model runs: auto (a GPU where there is one), cpu, cuda or cuda:NUMBER",
    "dtype": "number format of its weights: auto (bfloat16 on a GPU, else float32), float32, bfloat16 or float16",
    "batch": "questions that are answered together, 1 to 64 (4)",
    "image_side": "pixels of the longer side that images are shrunk to, 28 to 4096 (384)",
    "download": "yes to fetch a model that is not on this machine (no)",
}
_CHOICES = {"dtype": ("auto", "float32", "bfloat16", "float16"), "download": ("yes", "no")}
_RANGES = {"batch": (1, 64), "image_side": (28, 4096)}
_DEVICE = re.compile(r"[a-z]+(:\d{1,3})?")


@dataclass(frozen=True)
class MllmSettings:
    """How a model runs; the fields are those of ``SETTINGS``."""

    device: str = "auto"
    dtype: str = "auto"
    batch: int = 4
    image_side: int = 384
    download: bool = False


def read_mllm_settings(texts: Mapping[str, str]) -> MllmSettings:
    """Return the settings that NAME=VALUE pairs stand for.

    Raises:
        InvalidSettingError: a name is not known, or a value out of range.
    """
    for name, value in texts.items():
        if name not in SETTINGS:
            raise InvalidSettingError(f"transformers has no setting '{name}'; known: {', '.join(SETTINGS)}")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise InvalidSettingError(f"{name}={value} is not known; choose one of {', '.join(_CHOICES[name])}")
        if name == "device" and not _DEVICE.fullmatch(value):
            raise InvalidSettingError(f"device={value} is no device; use auto, cpu, cuda or cuda:NUMBER")
    return MllmSettings(
        device=texts.get("device", MllmSettings.device),
        dtype=texts.get("dtype", MllmSettings.dtype),
        batch=_number(texts, "batch", MllmSettings.batch),
        image_side=_number(texts, "image_side", MllmSettings.image_side),
        download=texts.get("download") == "yes",
    )


def _number(texts: Mapping[str, str], name: str, default: int) -> int:
    text = texts.get(name, str(default))
    low, high = _RANGES[name]
    if not text.isdecimal() or not low <= int(text) <= high:
        raise InvalidSettingError(f"{name}={text[:40]} is not a whole number from {low} to {high}")
    return int(text)


class TransformersMllm:
    """Answers questions with a model on this machine. All objects of a process share the models that they load."""

    def __init__(self, model: str, settings: Mapping[str, str] | None = None) -> None:
        """Keep the settings; the model is loaded when it is first asked.

        Args:
            model: folder of the model, or its id as ``ID@REVISION``.
            settings: those of ``SETTINGS``.

        Raises:
            InvalidSettingError: a setting is unknown or out of range.
            MissingServiceError: libraries that it needs are not installed.
        """
        self._settings = read_mllm_settings(settings or {})
        self._model = model
        missing = [library for library in LIBRARIES if not find_spec(library)]
        if missing:
            raise MissingServiceError(
                f"the extractor transformers needs {', '.join(missing)}, not installed; in a checkout run: {INSTALL}"
            )

    def ask(self, questions: Sequence[Question]) -> list[str]:
        """Return the answers; see ``Mllm``. Those of one shape are answered together, ``batch`` at a time.

        Raises:
            SemanticsError: the model fails at these questions, or memory does not suffice.
            MissingWeightsError: it is not on this machine, or not whole.
            MissingServiceError: a library that this model needs is not installed.
            InvalidSettingError: there is no such device, or the model does not answer questions about images.
        """
        model = self._load()
        answers = [""] * len(questions)
        shapes = [_shape(question) for question in questions]
        order = sorted(range(len(questions)), key=shapes.__getitem__)  # stable: equal shapes in the order asked
        for _, group in groupby(order, shapes.__getitem__):
            numbers = list(group)
            for start in range(0, len(numbers), self._settings.batch):
                batch = numbers[start : start + self._settings.batch]
                for number, answer in zip(batch, self._answer(model, [questions[n] for n in batch]), strict=True):
                    answers[number] = answer
        return answers

    def _load(self) -> "Pretrained":
        # Only here, so that encoding with other extractors needs no torch, and starts without its seconds of import.
        from cmvc_encoder.semantics.pretrained import load  # noqa: PLC0415

        settings = self._settings
        return load(self._model, settings.device, settings.dtype, download=settings.download)

    def _answer(self, model: "Pretrained", questions: Sequence[Question]) -> list[str]:
        images = [[_shrink(image, self._settings.image_side) for image in each.images] for each in questions]
        return model.answer(images, [each.prompt for each in questions], questions[0].max_tokens)


def _shape(question: Question) -> tuple[int, ...]:
    """Return what questions that are answered together have in common."""
    return len(question.images), *question.images[0].shape, question.max_tokens


def _shrink(image: Rgb, side: int) -> Rgb:
    """Return the image with no side longer than ``side``: what a model spends on it grows with its pixels."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
