"""Rates, and the slots in which pictures stand."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmvc.errors import LimitError
from cmvc.media.cadence import Cadence, Timed, slots_of
from cmvc.media.rates import LONGEST_FRAME_SECONDS, declared_rate, fitting_rate, within_limits

RATE = Fraction(24)
MOST = 240


def _place(times: list[Fraction | None], rate: Fraction = RATE, end: Fraction | None = None) -> list[int]:
    cadence = Cadence[int](rate)
    placed = list(cadence.place(Timed(n, time) for n, time in enumerate(times)))
    return placed + (list(cadence.hold(len(times) - 1, end)) if end is not None else [])


@given(
    st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(60), Fraction(15, 2)]),
    st.lists(st.fractions(-0.45, 0.45), min_size=1, max_size=80),
    st.fractions(-5, 5),
)
def test_jitter_of_less_than_half_a_frame_keeps_every_frame(rate, jitter, start) -> None:
    times = [start + (n + shift) / rate for n, shift in enumerate([Fraction(0), *jitter[1:]])]
    assert _place(times, rate) == list(range(len(times)))


@given(st.lists(st.fractions(Fraction(1, 1000), Fraction(2)), min_size=1, max_size=40))
def test_any_times_give_the_duration_and_never_go_back(steps: list[Fraction]) -> None:
    times = [sum(steps[:n], Fraction(0)) for n in range(len(steps) + 1)]
    shown = _place(times, end=times[-1] + 1 / RATE)
    assert abs(len(shown) - (times[-1] + 1 / RATE) * RATE) <= 2
    assert shown == sorted(shown)
    for n, number in enumerate(shown):
        assert abs(times[number] - n / RATE) <= max([*steps, 1 / RATE]) + 1 / RATE


@example([Fraction(2123, 1000)], Fraction(240))  # as floating-point numbers a hair beyond a slot
@given(
    st.lists(st.fractions(0, 20), min_size=1, max_size=40), st.sampled_from([Fraction(24), Fraction(1), Fraction(240)])
)
def test_slots_are_those_that_pictures_are_placed_in(times: list[Fraction], rate: Fraction) -> None:
    times = sorted({Fraction(0), *(round(time, 3) for time in times)})
    slots = slots_of(np.array([float(time) for time in times]), float(rate))
    assert (np.diff(slots) >= 1).all()
    if (slots - np.array([float(time * rate) for time in times])).max() <= 1:
        shown = _place(list(times), rate)
        assert [shown.index(n) for n in range(len(times))] == list(slots)


def test_frames_without_times_keep_their_order() -> None:
    assert _place([None] * 5) == [0, 1, 2, 3, 4]


def test_the_first_picture_stands_from_the_start_and_the_last_until_the_end() -> None:
    cadence = Cadence[int](RATE, Fraction(-1))
    shown = list(cadence.place([Timed(7, Fraction(0)), Timed(8, 1 / RATE)]))
    assert shown == [7] * 25 + [8]
    assert list(cadence.hold(8, Fraction(2))) == [8] * 46
    assert (cadence.repeated, cadence.dropped) == (0, 0)


@pytest.mark.parametrize(
    ("guess", "average", "time_base", "first", "rate"),
    [
        (Fraction(19001, 317), Fraction(19001, 317), Fraction(1, 1000), None, Fraction(60000, 1001)),
        (Fraction(30), Fraction(1000, 33), Fraction(33, 1000), None, Fraction(1000, 33)),
        (Fraction(48), None, Fraction(1, 90000), Fraction(1, 24), Fraction(24)),
        (None, None, None, None, Fraction(25)),
        (Fraction(24), Fraction(25), Fraction(1, 1200000), None, Fraction(24)),
    ],
)
def test_the_declared_rate_is_the_sources_own(guess, average, time_base, first, rate) -> None:
    assert declared_rate(guess, average, time_base, first) == rate


@given(st.fractions(Fraction(1, 10_000), Fraction(10_000)))
def test_any_rate_is_brought_within_what_a_stream_can_have(rate: Fraction) -> None:
    found = within_limits(rate, MOST)
    assert Fraction(1, LONGEST_FRAME_SECONDS) <= found <= MOST
    assert (found / rate).numerator == 1 or (found / rate).denominator == 1


def _rate(times: list[float], end: float, declared: int | Fraction, **more: bool) -> Fraction:
    return fitting_rate(np.array(times), end, Fraction(declared), MOST, **{"has_sound": True, **more})


def test_a_rate_that_fits_is_kept() -> None:
    assert _rate([n / 25 for n in range(50)], 2, 25) == 25
    assert _rate(
        [round(n * 1001 / 24, 0) / 1000 for n in range(50)], 50 * 1.001 / 24, Fraction(24000, 1001)
    ) == Fraction(24000, 1001)


def test_two_rates_are_coded_at_the_higher_and_not_at_their_least_common_multiple() -> None:
    times = [n / 24 for n in range(60)] + [2.5 + n / 30 for n in range(60)]
    assert _rate(times, 4.5, 120) == 30


def test_slides_cost_few_frames_where_they_come_at_round_times_and_are_in_sync_where_not() -> None:
    assert _rate([0, 40, 80], 120, 25) == Fraction(1, 5)
    assert _rate([0, 90, 180], 270, Fraction(1, 90), has_sound=False) == Fraction(1, 5)
    rate = _rate([0, 1.37, 2.91, 7.03], 9.1, 25)
    assert (
        max(abs(slots_of(np.array([0, 1.37, 2.91, 7.03]), float(rate)) / float(rate) - [0, 1.37, 2.91, 7.03])) <= 0.02
    )


def test_pulled_down_film_is_coded_as_film() -> None:
    times = [1001 * (5 * (n // 2) + n % 2 * 2) / 60_000 for n in range(48)]
    assert _rate(times, 48 * 1001 / 24_000, Fraction(30000, 1001)) == Fraction(24000, 1001)


def test_pictures_of_a_pipe_may_come_faster_later() -> None:
    assert _rate([0, 1, 2, 3], 4, 25) == 1
    assert _rate([0, 1, 2, 3], 4, 25, whole=False) == 25


def test_more_pictures_than_a_stream_can_have_are_refused() -> None:
    with pytest.raises(LimitError, match="240"):
        _rate([n / 480 for n in range(480)], 1, 480)


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=30), st.sampled_from([25, 30, 120]))
def test_whatever_the_times_every_picture_has_a_slot_near_them(gaps: list[int], declared: int) -> None:
    times = np.cumsum([0, *(gap + 4 for gap in gaps)]) / 1000
    rate = fitting_rate(times, times[-1] + 0.04, Fraction(declared), MOST, has_sound=True)
    off = slots_of(times, float(rate)) / float(rate) - times
    assert np.abs(off).max() <= max(0.0201, 1.0001 / declared)
