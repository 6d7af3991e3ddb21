"""Lands on a size: CRF in quarters comes near it, the encoder's price of a bit does the rest.

A quarter of CRF moves bytes by 2 to 5 %, around 61 and 63 by up to 25. Another price of a bit against error (Lagrange's
lambda) moves them by less than a percent and costs no quality: at equal bytes the measure stays within 0.05 dB of the
line from one quarter to the next.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cmvc.media import av1
from cmvc_encoder.coding.expectations import octaves_saved
from cmvc_encoder.coding.roots import Aim, largest_within

FINEST_CRF = 10.0  # finer cannot be told from the source
NEAR = 0.2  # octaves from the budget that prices make up for
NEAR_TRIES = 4  # to come that near
COARSE_FROM = 58.0  # CRF below which quarters are steps so small that they do, and prices next to nothing
GRAIN = 0.005  # octaves of bytes between neighbouring prices, about
BYTES_PER_PRICE = 0.48  # octaves of bytes saved per octave of the price; 0.43 to 0.56 on dev clips
FARTHEST = 72  # prices on each side of the usual one


@dataclass(frozen=True)
class Quantiser:
    """What decides how many bytes a shape takes: ``crf`` and ``bit_price`` as ``av1.encode`` takes them."""

    crf: float
    bit_price: float = 1.0


QUARTERS = [
    Quantiser(FINEST_CRF + k * av1.CRF_STEP) for k in range(round((av1.HIGHEST_CRF - FINEST_CRF) / av1.CRF_STEP) + 1)
]
SAVED = [octaves_saved(quarter.crf) for quarter in QUARTERS]  # octaves of bytes
COARSEST = QUARTERS[-1]
_PRICES_SAVED = [GRAIN * k for k in range(-FARTHEST, FARTHEST + 1)]
_PRICES = [2 ** (saved / BYTES_PER_PRICE) for saved in _PRICES_SAVED]


def quarter_of(crf: float) -> int:
    """Return the index in ``QUARTERS`` of the nearest to a CRF."""
    return round((min(max(crf, FINEST_CRF), av1.HIGHEST_CRF) - FINEST_CRF) / av1.CRF_STEP)


def landed(octaves: Callable[[Quantiser], float], crf: float, aim: Aim, tries: int) -> Quantiser | None:
    """Return the quantiser with the largest size found within the aim; None where none is.

    Args:
        octaves: log2 of the size in bytes with a quantiser; asked again for one that it was asked for.
        crf: where to begin.
        aim: what to come near.
        tries: sizes asked for, at most.
    """
    seen: dict[Quantiser, float] = {}

    def size(quantiser: Quantiser) -> float:
        seen[quantiser] = octaves(quantiser)
        return seen[quantiser]

    middle = aim.most - aim.slack / 2
    near_enough = NEAR if crf >= COARSE_FROM else aim.slack / 2
    about = Aim(middle + near_enough, 2 ** (-2 * near_enough))
    largest_within(lambda step: size(QUARTERS[step]), SAVED, quarter_of(crf), about, min(NEAR_TRIES, tries))
    near = min(seen, key=lambda quantiser: abs(seen[quantiser] - middle))
    largest_within(
        lambda step: size(Quantiser(near.crf, _PRICES[step])), _PRICES_SAVED, FARTHEST, aim, tries - len(seen) + 1
    )
    fitting = [quantiser for quantiser in seen if seen[quantiser] <= aim.most]
    return max(fitting, key=lambda quantiser: seen[quantiser]) if fitting else None
