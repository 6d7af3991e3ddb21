import cv2
import numpy as np
import pytest

from cmvc.media.picture import Picture
from cmvc.media.shots import FLASH_FRAMES, CutFinder

WIDTH, HEIGHT = 160, 96


def _scene(seed: int, tint: int) -> np.ndarray:
    """Return a wide textured landscape: (HEIGHT, 4 * WIDTH) luma."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, 4 * WIDTH)), (0, 0), 9)
    return np.clip(tint + 40 * noise / noise.std(), 20, 230).astype(np.uint8)


def _pan(seed: int, tint: int, frames: int, speed: int = 3, chroma: int = 128) -> list[Picture]:
    scene = _scene(seed, tint)
    plane = np.full((HEIGHT // 2, WIDTH // 2), chroma, np.uint8)
    return [
        Picture(np.ascontiguousarray(scene[:, n * speed : n * speed + WIDTH]), plane, 255 - plane)
        for n in range(frames)
    ]


def _flash(picture: Picture) -> Picture:
    return Picture(np.full_like(picture.y, 235), np.full_like(picture.u, 128), np.full_like(picture.v, 128))


def _cuts(pictures: list[Picture]) -> list[int]:
    finder = CutFinder()
    decisions = [opens for picture in pictures for opens in finder.push(picture)] + finder.finish()
    assert len(decisions) == len(pictures)
    return [n for n, opens in enumerate(decisions) if opens]


def test_every_cut_is_found_and_panning_is_none():
    shots = [_pan(1, 90, 20), _pan(2, 150, 7, chroma=110), _pan(3, 60, 30, speed=6, chroma=150), _pan(4, 180, 12)]
    starts = [0, 20, 27, 57]
    assert _cuts([picture for shot in shots for picture in shot]) == starts


@pytest.mark.parametrize("length", [1, 2, 3])
def test_flash_is_no_cut(length):
    pictures = _pan(1, 100, 30)
    pictures[12 : 12 + length] = [_flash(picture) for picture in pictures[12 : 12 + length]]
    assert _cuts(pictures) == [0]


def test_fade_of_brightness_is_no_cut():
    pictures = [
        Picture((p.y * (1 - n / 40)).astype(np.uint8), p.u, p.v) for n, p in enumerate(_pan(5, 140, 30, speed=1))
    ]
    assert _cuts(pictures) == [0]


def test_there_is_one_decision_for_each_picture_and_soon():
    finder = CutFinder()
    for count, picture in enumerate(_pan(6, 120, 9), start=1):
        assert len(finder.push(picture)) == (count > FLASH_FRAMES)
    assert len(finder.finish()) == FLASH_FRAMES


def test_nothing_in_nothing_out():
    assert _cuts([]) == []
    assert _cuts(_pan(1, 100, 1)) == [0]
