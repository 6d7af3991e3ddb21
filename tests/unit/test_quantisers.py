from itertools import pairwise

import pytest

from cmvc.media import av1
from cmvc_encoder.coding.expectations import octaves_saved
from cmvc_encoder.coding.quantisers import COARSEST, FINEST_CRF, GRAIN, QUANTISERS, SAVED, Quantiser, step_of


def test_steps_are_less_than_two_percent_of_the_bytes_apart_where_rates_are_low():
    gaps = [coarser - finer for finer, coarser in pairwise(SAVED)]
    assert min(gaps) > 0
    assert max(gaps) < 2 * GRAIN
    assert len(QUANTISERS) == len(SAVED)
    assert SAVED[-1] == pytest.approx(octaves_saved(av1.HIGHEST_CRF) - octaves_saved(FINEST_CRF))


@pytest.mark.parametrize("crf", [FINEST_CRF, 45.25, 62.75, 63.0, av1.HIGHEST_CRF])
def test_every_quarter_of_crf_is_a_step_at_the_usual_price(crf):
    step = step_of(crf)
    assert QUANTISERS[step] == Quantiser(crf)
    assert SAVED[step] == pytest.approx(octaves_saved(crf) - octaves_saved(FINEST_CRF))


def test_prices_stay_near_the_usual_one():
    assert all(0.8 < quantiser.bit_price < 1.25 for quantiser in QUANTISERS)
    assert QUANTISERS[-1] == COARSEST
