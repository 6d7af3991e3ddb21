import math

from hypothesis import given
from hypothesis import strategies as st

from cmvc_encoder.coding.expectations import crf_saving, octaves_saved
from cmvc_encoder.coding.roots import Aim, largest_within

EXPECTED = [0.1 * step for step in range(200)]
STEEPNESSES = st.floats(0.4, 2.5)
NOISE = st.lists(st.floats(-0.2, 0.2), min_size=200, max_size=200)


def _sizes(first: float, steepness: float) -> list[float]:
    return [first - steepness * saved for saved in EXPECTED]


@given(first=st.floats(8, 14), steepness=STEEPNESSES, start=st.integers(-5, 300), most=st.floats(5, 13))
def test_the_largest_size_within_the_budget_is_found(first, steepness, start, most):
    sizes = _sizes(first, steepness)
    found = largest_within(sizes.__getitem__, EXPECTED, start, Aim(most, hit=0.999999), tries=100)
    fitting = [step for step, size in enumerate(sizes) if size <= most]
    assert found == (fitting[0] if fitting else None)


@given(first=st.floats(8, 14), steepness=STEEPNESSES, noise=NOISE, most=st.floats(5, 13))
def test_what_is_found_is_within_the_budget_though_sizes_are_uneven(first, steepness, noise, most):
    sizes = [size + more for size, more in zip(_sizes(first, steepness), noise, strict=True)]
    asked: list[int] = []

    def octaves(step: int) -> float:
        asked.append(step)
        return sizes[step]

    found = largest_within(octaves, EXPECTED, 100, Aim(most, hit=0.97), tries=6)
    assert len(asked) == len(set(asked)) <= 6
    assert found is None or sizes[found] == max(sizes[step] for step in asked if sizes[step] <= most)
    assert (found is None) == all(sizes[step] > most for step in asked)


def test_few_sizes_are_asked_for_where_they_are_as_expected():
    asked: list[int] = []

    def octaves(step: int) -> float:
        asked.append(step)
        return 12.0 - 0.8 * EXPECTED[step]

    found = largest_within(octaves, EXPECTED, 100, Aim(9.0, hit=0.94), tries=10)
    assert found is not None
    assert 9.0 + math.log2(0.94) <= 12.0 - 0.8 * EXPECTED[found] <= 9.0
    assert len(asked) <= 4


@given(crf=st.floats(10, 70))
def test_expected_savings_rise_with_crf_and_can_be_turned_round(crf):
    assert math.isclose(crf_saving(octaves_saved(crf)), crf, abs_tol=1e-6)
