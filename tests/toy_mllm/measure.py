"""Measures the toy MLLM on scenes that it was not trained on: ``python -m tests.toy_mllm.measure [SCENES]``."""

import sys
from collections.abc import Sequence

import numpy as np
import torch

from cmvc.media.rgb import Rgb
from cmvc_encoder.semantics.mllm import Mllm, Question
from cmvc_encoder.semantics.prompts import content_prompt, motion_prompt
from cmvc_encoder.semantics.transformers import TransformersMllm
from tests.toy_mllm import FOLDER
from tests.toy_mllm.answers import content_answer, motion_answer
from tests.toy_vace.domain import Scene, draw, random_scene

FRAMES, IMAGES = 13, 4  # of a scene; that a question about motion shows, as the encoder does
SEED = 7  # the training's is another


def load() -> TransformersMllm:
    """Return the toy as the encoder loads it."""
    return TransformersMllm(str(FOLDER), {"device": "cpu", "batch": "16"})


def scenes(count: int) -> list[Scene]:
    """Return scenes that are new to the toy."""
    rng = np.random.default_rng(SEED)
    return [random_scene(rng, FRAMES) for _ in range(count)]


def about_content(picture: Rgb) -> Question:
    """Return the encoder's question about one picture."""
    return Question([picture], content_prompt(25), 50)


def about_motion(pictures: Sequence[Rgb]) -> Question:
    """Return the encoder's question about pictures in order of time."""
    return Question(list(pictures), motion_prompt(15), 30)


def evenly(video: np.ndarray) -> np.ndarray:
    """Return ``IMAGES`` frames, the first and the last among them."""
    return video[np.linspace(0, len(video) - 1, IMAGES).round().astype(int)]


def measure(mllm: Mllm, tried: Sequence[Scene]) -> dict[str, float]:
    """Return the share of scenes, 0..1, in which each thing was told right."""
    videos = [draw(scene, FRAMES) for scene in tried]
    contents = mllm.ask([about_content(video[FRAMES // 2]) for video in videos])
    motions = mllm.ask([about_motion(evenly(video)) for video in videos])
    right: dict[str, list[bool]] = {}

    def note(name: str, is_right: bool) -> None:
        right.setdefault(name, []).append(is_right)

    for scene, content, motion in zip(tried, contents, motions, strict=True):
        truth, told = content_answer(scene).split(), content.split()
        same = [said == true for said, true in zip(told, truth, strict=False)] + [False] * (len(truth) - len(told))
        for name, place in {"background": 0, "size": 3, "colour": 4, "shape": 5}.items():
            note(name, same[place])
        truth, told = motion_answer(scene).split(), motion.split()
        note("moves or not", told[:1] == truth[:1])
        if scene.direction:
            note("direction", told[-1:] == truth[-1:])
            note("colour of what moves", told[1:2] == truth[1:2])
    return {name: sum(each) / len(each) for name, each in right.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    for name, share in measure(load(), scenes(number)).items():
        print(f"{name}: {share:.1%}")
