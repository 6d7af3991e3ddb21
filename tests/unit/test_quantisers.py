import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.media import av1
from cmvc_encoder.coding.expectations import octaves_saved
from cmvc_encoder.coding.quantisers import FINEST_CRF, QUARTERS, Quantiser, landed, quarter_of
from cmvc_encoder.coding.roots import Aim

HIT = 0.98


def _sizes(first: float, steepness: float, price: float, jump_at: float, jump: float):
    """Sizes that fall with CRF, at one place by a leap, and with the price of a bit."""

    def octaves(quantiser: Quantiser) -> float:
        size = first - steepness * octaves_saved(quantiser.crf) - price * math.log2(quantiser.bit_price)
        return size - jump * (quantiser.crf >= jump_at)

    return octaves


@pytest.mark.parametrize(("crf", "quarter"), [(0.0, FINEST_CRF), (10.1, 10.0), (62.8, 62.75), (99.0, av1.HIGHEST_CRF)])
def test_quarters_are_found(crf, quarter):
    assert QUARTERS[quarter_of(crf)] == Quantiser(quarter)


@given(
    first=st.floats(15, 17),
    steepness=st.floats(0.8, 1.4),
    price=st.floats(0.4, 0.6),
    jump_at=st.floats(55, 68),
    jump=st.floats(0, 0.25),
    start=st.floats(50, 70),
    crf=st.floats(50, 69),
)
def test_any_size_is_landed_on_though_crf_leaps_over_it(first, steepness, price, jump_at, jump, start, crf):
    octaves = _sizes(first, steepness, price, jump_at, jump)
    most = octaves(Quantiser(crf)) + jump / 2
    asked = []

    def counted(quantiser: Quantiser) -> float:
        asked.append(quantiser)
        return octaves(quantiser)

    found = landed(counted, start, Aim(most, HIT), tries=8)
    assert found is not None
    assert most + math.log2(HIT) <= octaves(found) <= most
    assert len(set(asked)) <= 8


def test_none_is_small_enough():
    assert landed(_sizes(30, 1, 0.5, 60, 0), 63.0, Aim(8.0, HIT), tries=6) is None
