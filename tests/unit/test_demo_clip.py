"""The demo clip is the same on every run, and things move in it."""

import numpy as np
import pytest

from examples.demo.shots import HEIGHT, WIDTH, Lake, Village
from examples.demo.sound import RATE, soundtrack


@pytest.mark.parametrize("shot", [Village, Lake])
def test_a_shot_repeats_exactly_and_moves(shot: type) -> None:
    first, second = shot(), shot()
    assert first(1.0).shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(first(1.0), second(1.0))
    moved = np.abs(first(1.0) - first(1.2)).max(axis=2) > 0.1
    assert 0.01 < moved.mean() < 0.9


def test_the_car_overtakes_the_camera() -> None:
    village = Village()

    def red_at(t: float) -> float:
        picture = village(t)
        r, g, b = (picture[300:, :, channel] for channel in range(3))
        return float(np.nonzero((r > 0.4) & (g < 0.2) & (b < 0.2))[1].mean())

    assert red_at(1.0) < red_at(1.6) < red_at(2.2)


def test_sound_is_stereo_audible_and_repeats() -> None:
    sound = soundtrack(1.0, 0.5)
    assert sound.shape == (2, round(1.5 * RATE))
    assert 0.01 < np.abs(sound).max() <= 1
    assert not np.array_equal(sound[0], sound[1])
    assert np.array_equal(sound, soundtrack(1.0, 0.5))
