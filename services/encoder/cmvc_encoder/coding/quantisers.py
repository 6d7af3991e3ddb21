"""The steps of the quantiser that searches land on: CRF in quarters, and finer ones between them.

A quarter of CRF moves bytes by 2 to 5 %, the one before 63 by 15 to 25. Between two quarters the encoder's price of a
bit against error (Lagrange's lambda) is changed a little, which costs no quality: at equal bytes the measure stays
within 0.05 dB of the line from one quarter to the next.
"""

from dataclasses import dataclass
from itertools import pairwise

from cmvc.media import av1
from cmvc_encoder.coding.expectations import octaves_saved

FINEST_CRF = 10.0  # finer cannot be told from the source
GRAIN = 0.01  # octaves of bytes between neighbouring steps, about
BYTES_PER_PRICE = 0.48  # octaves of bytes saved per octave of the price; 0.43 to 0.56 on dev clips


@dataclass(frozen=True)
class Quantiser:
    """What decides how many bytes a shape takes: ``crf`` and ``bit_price`` as ``av1.encode`` takes them."""

    crf: float
    bit_price: float = 1.0


def _grid() -> tuple[list[Quantiser], list[float]]:
    """Return the steps, finest first, and the octaves that each is expected to save over the first."""
    count = round((av1.HIGHEST_CRF - FINEST_CRF) / av1.CRF_STEP)
    quarters = [FINEST_CRF + k * av1.CRF_STEP for k in range(count + 1)]
    steps, saved = [Quantiser(FINEST_CRF)], [0.0]
    for finer, coarser in pairwise(quarters):
        gap = octaves_saved(coarser) - octaves_saved(finer)
        parts = max(round(gap / GRAIN), 1)
        for part in range(1, parts + 1):
            near, behind = (finer, part) if part <= parts / 2 else (coarser, part - parts)
            steps.append(Quantiser(near, 2 ** (gap * behind / parts / BYTES_PER_PRICE)))
            saved.append(octaves_saved(finer) - octaves_saved(FINEST_CRF) + gap * part / parts)
    return steps, saved


QUANTISERS, SAVED = _grid()
COARSEST = QUANTISERS[-1]


def step_of(crf: float) -> int:
    """Return the index in ``QUANTISERS`` of a CRF in quarters."""
    return QUANTISERS.index(Quantiser(crf))
