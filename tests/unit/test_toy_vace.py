"""Whether conditions matter, on the toy checkpoint (a fixture, see ``toy_vace``), through ``wan-vace-1.3b``."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import torch
from toy_vace.domain import COLORS, SIDE, Scene, draw, low_rate, random_scene

from cmvc.control import Control
from cmvc.media.rgb import from_rgb, to_rgb
from cmvc.profiles.profile import FrameRule, NativeGrid
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.generator import DiffusionGenerator
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.generator import Anchor, Conditions, Step
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.speed.options import SpeedOptions

FRAMES = 9
UNGUIDED = Settings(steps=4, guidance=1.0)  # where given frames and guides say it all, captions need no weight


class Toy(WanVace):
    """The profile on the grid that the toy was trained on."""

    facts = replace(WanVace.facts, grid=NativeGrid(SIDE * SIDE, 16, FrameRule(4, 1, 5, 13), Fraction(16), overlap=5))
    defaults = Settings(steps=8, guidance=3.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("toy")
    (store / "pipeline").symlink_to(Path(__file__).parents[1] / "toy_vace" / "weights")
    return store


@pytest.fixture(scope="module")
def pipe(folder):
    return Toy().load(folder, SpeedOptions())


def make(pipe, prompt, *, known=None, guide=None, seed=1, settings=Toy.defaults):
    window = Window(
        prompt=prompt,
        frames=FRAMES,
        width=SIDE,
        height=SIDE,
        frame_rate=Fraction(16),
        noise=torch.Generator("cpu").manual_seed(seed),
        known=known or {},
        guide=guide,
    )
    return Toy().run(pipe, [window], settings, lambda done, total: None)[0]


def scene(background, color):
    return Scene(background, color, "ball", "large", "right", (20, 32), 3.0)


def psnr(a, b):
    return 10 * np.log10(255**2 / max(float(np.mean((a.astype(float) - b) ** 2)), 1e-3))


def nearest(color):
    return min(COLORS, key=lambda name: np.abs(color - np.array(COLORS[name])).sum())


def test_fixture_is_small():
    files = [path for path in (Path(__file__).parents[1] / "toy_vace" / "weights").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000


@pytest.mark.parametrize("background", COLORS)
def test_the_caption_gives_the_background_its_color(pipe, background):
    frames = make(pipe, scene(background, "red" if background != "red" else "white").caption)
    assert nearest(frames[:, :6, :6].mean((0, 1, 2))) == background


@pytest.mark.parametrize("color", ["red", "green", "blue", "white"])
def test_the_caption_gives_the_thing_its_color(pipe, color):
    shares = {}
    for named in (color, "yellow"):
        frames = np.concatenate([make(pipe, scene("black", named).caption, seed=seed) for seed in (1, 2)])
        lit = frames[frames.sum(-1) > 200].astype(float)
        shares[named] = np.abs(lit.mean(0) - COLORS[color]).mean() if len(lit) else 255.0
    assert shares[color] < shares["yellow"] - 15


def pairs():
    """Return scenes, each with the same one mirrored, so that both have the same caption but other frames."""
    rng = np.random.default_rng(11)
    scenes = [random_scene(rng, FRAMES) for _ in range(60)]
    still = [each for each in scenes if each.size == "large" and not each.direction][:2]
    moving = [each for each in scenes if each.size == "large" and each.direction][:2]
    return [(draw(each, FRAMES), draw(each, FRAMES)[:, ::-1, ::-1], each.caption) for each in (*still, *moving)]


def test_given_frames_pull_those_beside_them(pipe):
    gains = []
    for own, other, caption in pairs():
        near = make(pipe, caption, known={0: own[0], 8: own[8]}, settings=UNGUIDED)
        far = make(pipe, caption, known={0: other[0], 8: other[8]}, settings=UNGUIDED)
        gains += [psnr(near[n], own[n]) - psnr(far[n], own[n]) for n in (1, 7)]
    assert np.mean(gains) > 3, gains


def test_frames_follow_a_guide(pipe):
    gains = []
    for own, other, caption in pairs():
        guides = [low_rate(np.ascontiguousarray(video)) for video in (own, other)]
        near, far = (make(pipe, caption, guide=guide, settings=UNGUIDED) for guide in guides)
        gains.append(psnr(near, own) - psnr(far, own))
    assert np.mean(gains) > 5, gains


def decoded(generator, **conditions):
    asked = Conditions(width=SIDE, height=SIDE, frame_rate=Fraction(16), seed=5, **conditions)
    pictures = [item for item in generator.generate(asked, Control()) if not isinstance(item, Step)]
    return np.stack([to_rgb(picture, 1) for picture in pictures]).astype(float)


def shot(generator, captions, seeds):
    """Return segments made from text alone, each with the seed of its content."""
    each = zip(captions, seeds, strict=True)
    return [decoded(generator, mode=common_pb2.MODE_TT2V, frames=13, text=text, scene_seed=n) for text, n in each]


@pytest.mark.parametrize(("background", "color"), [("black", "red"), ("blue", "yellow"), ("white", "green")])
def test_segments_of_a_shot_show_one_world(folder, background, color):
    """The same content and the same noise: told that it moves the other way, the same thing stands in the same place.

    What a border shows is the same clip from its start again: at most half as much again as the largest change inside.
    """
    generator = DiffusionGenerator(Toy(), folder, SpeedOptions())
    right = scene(background, color).caption
    left = replace(scene(background, color), direction="left").caption
    first, goes_on, elsewhere = shot(generator, (right, left, left), (5, 5, 6))
    assert 2 * np.abs(first - goes_on).mean() < np.abs(first - elsewhere).mean()
    inside = np.abs(np.diff(first, axis=0)).mean((1, 2, 3))
    assert np.abs(goes_on[0] - first[-1]).mean() <= 1.5 * max(inside)


@pytest.mark.parametrize("mode", ["it2v", "vt2v"])
def test_a_window_seam_is_no_worse_than_its_neighbours(folder, mode):
    """29 frames take three windows of 13 that overlap by 5. The fade between them does it: the toy hardly goes on."""
    generator = DiffusionGenerator(Toy(), folder, SpeedOptions())
    video = draw(replace(scene("black", "red"), start=(14, 32), speed=1.2), 29)
    if mode == "it2v":
        anchors = tuple(Anchor(n, from_rgb(video[n], 1)) for n in (0, 10, 20, 28))
        frames = decoded(generator, mode=common_pb2.MODE_IT2V, frames=29, text="", anchors=anchors)
    else:
        guide = [from_rgb(frame, 1) for frame in low_rate(video)]
        frames = decoded(generator, mode=common_pb2.MODE_VT2V, frames=29, text="", guide=guide)
    changes = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    seams = [changes[n - 1] for start in (8, 16) for n in range(start, start + 6)]
    assert max(seams) <= 1.05 * max(np.delete(changes, [n - 1 for start in (8, 16) for n in range(start, start + 6)]))
