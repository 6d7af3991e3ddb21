import math
import threading
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc_encoder.coding.effort import FAST
from cmvc_encoder.coding.expectations import Seen
from cmvc_encoder.coding.probe import FLATTEST, STEEPEST, Curve, Probe, probe
from cmvc_encoder.coding.shapes import Shape
from cmvc_encoder.ingest.cutting import Batch
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.planning.ledger import Ledger
from cmvc_encoder.planning.planner import LAG, OUTLOOK, Part, Planner
from cmvc_encoder.planning.slope import LEAST, MOST, shares
from cmvc_encoder.workers.outlook import looked_ahead

RATE = Fraction(24)
FAIR = 1500.0  # bytes per second
CURVES = st.builds(
    Curve, st.floats(math.log2(FAIR) - 1, math.log2(FAIR) + 1), st.floats(12, 45), st.floats(FLATTEST, STEEPEST)
)
WINDOWS = st.lists(st.tuples(CURVES, st.integers(24, 240)), min_size=1, max_size=6)


def curve(decibels, slope=2.0):
    return Curve(math.log2(FAIR), decibels, slope)


@given(windows=WINDOWS)
def test_shares_use_the_total_within_bounds_and_do_as_much_good_everywhere(windows):
    curves, frames = zip(*windows, strict=True)
    seconds = [count / 24 for count in frames]
    total = FAIR * sum(seconds)
    found = shares(curves, seconds, total, FAIR)
    assert sum(found) == pytest.approx(total, rel=1e-6)
    rates = [share / time for share, time in zip(found, seconds, strict=True)]
    assert all(0.999 * LEAST * FAIR <= rate <= 1.001 * MOST * FAIR for rate in rates)


def test_windows_alike_get_the_same_and_a_good_one_less():
    assert shares([curve(20)] * 2, [2.0, 4.0], 6 * FAIR, FAIR) == pytest.approx([2 * FAIR, 4 * FAIR])
    good, poor = shares([curve(32), curve(18)], [4.0, 4.0], 8 * FAIR, FAIR)
    assert good < 0.8 * poor
    steep, flat = shares([curve(20, 3.0), curve(20, 1.0)], [4.0, 4.0], 8 * FAIR, FAIR)
    assert steep > flat


def planned(windows, use, lag):
    """Return what a stream takes and its budgets, where what a window takes is known ``lag`` windows later."""
    ledger = Ledger(int(8 * FAIR), RATE)
    planner = Planner(ledger, lambda segments, more: 20 + 3 * (segments + more))
    planner.took(60, 0)
    last = len(windows) - 1
    parts = [Part(n, n / 24, 10, 1, curve, last=k == last) for k, (curve, n) in enumerate(windows)]
    size, budgets = 60, []
    for number in range(len(parts)):
        done = number - lag
        if done >= 0:
            size += int(budgets[done] * use[done % len(use)])
            planner.took(size, done + 1)
        budgets.append(planner.budget(parts[number : number + 1 + OUTLOOK]))
    late = range(max(len(parts) - lag, 0), len(parts))
    size += sum(int(budgets[each] * use[each % len(use)]) for each in late)
    return size + 20 + 3 * len(parts), budgets, ledger.allowed(sum(part.frames for part in parts))


MANY = st.lists(st.tuples(CURVES, st.integers(48, 240)), min_size=1, max_size=25)
USES = st.lists(st.floats(0.5, 1.0), min_size=1, max_size=4)


@given(windows=MANY, use=USES, lag=st.integers(1, LAG - 1))
def test_budgets_stay_under_the_target_and_do_not_depend_on_the_windows_in_work(windows, use, lag):
    total, budgets, allowed = planned(windows, use, lag)
    assert budgets == planned(windows, use, LAG - 1)[1]
    assert total <= allowed
    assert min(budgets) >= 0


def test_a_calm_window_leaves_bytes_to_a_busy_one_that_is_known_to_follow():
    calm, busy = (curve(32), 96), (curve(16), 96)
    total, budgets, allowed = planned([calm, busy], [1.0], 1)
    assert budgets[0] < 0.8 * budgets[1]
    assert 0.99 * allowed <= total <= allowed
    _, budgets, _ = planned([busy, calm], [1.0], 1)
    assert budgets[1] < 0.8 * budgets[0]


def test_nothing_is_tried_of_a_single_window_and_each_is_told_with_those_after_it():
    tried = []

    def batches(count):
        window = Window([], 0, 64, 48, RATE, opens_shot=True, closes_shot=False, following=None)
        for number in range(count):
            yield Batch(replace(window, first_frame=number), [], last=number == count - 1)

    def try_(batch):
        tried.append((batch.window.first_frame, threading.current_thread().name))
        return Probe(curve(20), Seen(Shape(64, 48, 1), 63.0, 10.0))

    def numbers(count, depth):
        known = looked_ahead(batches(count), try_, depth, 2)
        return [[(each.batch.window.first_frame, each.probe is not None) for each in window] for window in known]

    assert numbers(1, 2) == [[(0, False)]]
    assert numbers(2, 0) == [[(0, False)], [(1, False)]]
    assert not tried
    seen = [(number, True) for number in range(4)]
    assert numbers(4, 2) == [seen[:3], seen[1:], seen[2:], seen[3:]]
    assert sorted(tried) == [(number, "window") for number in range(4)]


@pytest.mark.parametrize("budget", [400, 1600])
def test_a_window_is_tried_about_its_budget(budget):
    x, y = np.meshgrid(np.arange(160), np.arange(96))
    chroma = np.full((48, 80), 128, np.uint8)
    waves = [120 + 50 * np.sin((x + 2 * n) / 7) * np.cos(y / 5) + 20 * np.sin((x + 2 * n) * y / 90) for n in range(24)]
    pictures = [Picture(wave.astype(np.uint8), chroma, chroma) for wave in waves]
    window = Window(pictures, 0, 160, 96, RATE, opens_shot=True, closes_shot=True, following=None)
    found = probe(window, budget, FAST, Control())
    assert abs(found.curve.octaves - math.log2(budget)) < 1
    assert found.curve.at(found.curve.octaves + 1) > found.curve.decibels > 5
    assert abs(found.seen.octaves - found.curve.octaves) < 1e-6
