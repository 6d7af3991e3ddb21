"""What the supervisor takes for a stuck model."""

import os
import time

import pytest

pytest.importorskip("tritonclient", reason="the Triton client is not installed")

from cmvc_decoder.triton import supervisor
from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.canary import Watch
from cmvc_decoder.triton.wire import STUCK_S


@pytest.fixture
def watch(monkeypatch, tmp_path):
    monkeypatch.setattr(supervisor, "_heartbeats", lambda: f"{tmp_path}/steps_")
    each = Watch(Address("127.0.0.1:1"), "model")
    each.alive = True
    return each


def beat(tmp_path, ago):
    path = tmp_path / "steps_model"
    path.touch()
    os.utime(path, (time.time() - ago,) * 2)


def test_a_canary_that_just_left_proves_nothing(watch, tmp_path):
    watch.asked = time.time() - 1
    beat(tmp_path, ago=2 * STUCK_S)
    assert not supervisor._is_stuck(watch)


def test_a_long_line_that_moves_is_not_stuck(watch, tmp_path):
    watch.asked = time.time() - 10 * STUCK_S
    beat(tmp_path, ago=2)
    assert not supervisor._is_stuck(watch)


@pytest.mark.parametrize("ever", [True, False])
def test_no_answer_and_no_step_is_stuck(watch, tmp_path, ever):
    watch.asked = time.time() - 2 * STUCK_S
    if ever:
        beat(tmp_path, ago=1.5 * STUCK_S)
    assert supervisor._is_stuck(watch)


def test_without_a_canary_on_its_way_nothing_is_stuck(watch, tmp_path):
    beat(tmp_path, ago=2 * STUCK_S)
    assert not supervisor._is_stuck(watch)


def test_a_model_that_is_still_loading_is_not_stuck(watch):
    watch.alive, watch.asked = False, time.time() - 2 * STUCK_S
    assert not supervisor._is_stuck(watch)
