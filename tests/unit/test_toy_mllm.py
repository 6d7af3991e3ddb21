"""The toy looks at what it is shown; so tests that stand on it show that pictures and their order reach the model."""

import numpy as np
import pytest

from tests.toy_vace.domain import COLORS, Scene, draw

torch = pytest.importorskip("torch", reason="the encoder's extra 'transformers' is not installed")
pytest.importorskip("transformers", reason="the encoder's extra 'transformers' is not installed")

from tests.toy_mllm import FOLDER  # noqa: E402
from tests.toy_mllm.measure import FRAMES, about_content, about_motion, evenly, load, measure, scenes  # noqa: E402


@pytest.fixture(scope="module")
def toy():
    return load()


@pytest.fixture(scope="module")
def accuracy(toy):
    return measure(toy, scenes(96))


def test_new_scenes_are_described_rightly(accuracy):
    assert accuracy["background"] >= 0.95
    assert accuracy["colour"] >= 0.9


def test_what_moves_and_which_way_is_told_rightly(accuracy):
    assert accuracy["direction"] >= 0.8
    assert accuracy["colour of what moves"] >= 0.9


def test_the_order_of_the_images_decides_the_direction(toy):
    ways = {"right": (16, 32), "left": (48, 32), "up": (32, 48), "down": (32, 16)}  # with where the ball begins
    balls = [Scene("white", "blue", "ball", "large", way, start, 2.5) for way, start in ways.items()]
    videos = [evenly(draw(ball, FRAMES)) for ball in balls]
    forth = toy.ask([about_motion(video) for video in videos])
    back = toy.ask([about_motion(video[::-1]) for video in videos])
    assert [answer.split()[-1] for answer in forth] == ["right.", "left.", "up.", "down."]
    assert [answer.split()[-1] for answer in back] == ["left.", "right.", "down.", "up."]


def test_each_question_of_a_batch_is_answered_from_its_own_picture(toy):
    colors = list(COLORS)
    shown = [Scene(back, color, "box", "large", "", (32, 32), 0)
             for back, color in zip(colors, np.roll(colors, 1), strict=True)]  # fmt: skip
    answers = toy.ask([about_content(draw(scene, 1)[0]) for scene in shown])
    assert [answer.split()[0].lower() for answer in answers] == colors
    assert [answer.split()[4] for answer in answers] == [scene.color for scene in shown]


def test_where_nothing_moves_it_says_so(toy):
    still = draw(Scene("green", "white", "box", "large", "", (30, 30), 0), FRAMES)
    assert toy.ask([about_motion(evenly(still))])[0].strip() == "Nothing moves."


def test_the_weights_are_small_enough_for_the_repository():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_000_000
