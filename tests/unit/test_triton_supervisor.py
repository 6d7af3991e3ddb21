"""What the supervisor takes for a stuck model."""

import os

import pytest

pytest.importorskip("tritonclient", reason="the Triton client is not installed")

from cmvc_decoder.generator import STUCK_S
from cmvc_decoder.triton import supervisor
from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.canary import Watch

NOW = 1e6  # by time.monotonic


@pytest.fixture
def watch():
    each = Watch(Address("127.0.0.1:1"), "model")
    each.alive = True
    return each


@pytest.fixture
def steps(monkeypatch, tmp_path):
    monkeypatch.setattr(supervisor, "_heartbeats", lambda: f"{tmp_path}/steps_")
    return supervisor.Steps("model")


@pytest.fixture
def beat(tmp_path, steps):
    """Yield what makes a step: ``ago`` seconds before NOW it is seen, with ``clock`` on the machine's clock."""

    def beat(ago, clock=1e9):
        path = tmp_path / "steps_model"
        path.touch()
        os.utime(path, (clock, clock))
        steps.last(NOW - ago)

    return beat


def test_a_canary_that_just_left_proves_nothing(watch, steps, beat):
    watch.asked = NOW - 1
    beat(ago=2 * STUCK_S)
    assert not supervisor._is_stuck(watch, steps, NOW)


def test_a_long_line_that_moves_is_not_stuck(watch, steps, beat):
    watch.asked = NOW - 10 * STUCK_S
    beat(ago=2)
    assert not supervisor._is_stuck(watch, steps, NOW)


@pytest.mark.parametrize("ever", [True, False])
def test_no_answer_and_no_step_is_stuck(watch, steps, beat, ever):
    watch.asked = NOW - 2 * STUCK_S
    if ever:
        beat(ago=1.5 * STUCK_S)
    assert supervisor._is_stuck(watch, steps, NOW)


@pytest.mark.parametrize("years", [-30, 30])
def test_a_clock_that_jumps_makes_nothing_stuck_and_nothing_well(watch, steps, beat, years):
    watch.asked = NOW - 10 * STUCK_S
    beat(ago=STUCK_S / 2)
    beat(ago=2, clock=1e9 + years * 3e7)
    assert not supervisor._is_stuck(watch, steps, NOW)
    assert supervisor._is_stuck(watch, steps, NOW + STUCK_S)


def test_without_a_canary_on_its_way_nothing_is_stuck(watch, steps, beat):
    beat(ago=2 * STUCK_S)
    assert not supervisor._is_stuck(watch, steps, NOW)


def test_a_model_that_is_still_loading_is_not_stuck(watch, steps):
    watch.alive, watch.asked = False, NOW - 2 * STUCK_S
    assert not supervisor._is_stuck(watch, steps, NOW)
