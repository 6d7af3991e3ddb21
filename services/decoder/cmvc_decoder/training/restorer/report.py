"""What restoring held-out patches gains, by scale and quantiser."""

from collections import defaultdict
from typing import Any

from torch import Tensor

from cmvc_decoder.training.restorer.losses import similarity, squared_error
from cmvc_decoder.training.restorer.pairs import Coding

_SCALES = (0.3, 0.42, 0.6, 0.85)  # borders between groups
_QUANTISERS = (128, 192, 232)


def _psnr(shown: Tensor, source: Tensor) -> float:
    return float(-10 * squared_error(shown.round().clamp(0, 255), source).clamp(min=0.1).log10().mean())


def _structure(shown: Tensor, source: Tensor) -> float:
    return float(-10 * (1 - similarity(shown, source)).clamp(min=1e-4).log10().mean())


class Gains:
    """Gathers gains of codings."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)

    def add(self, coding: Coding, plain: Tensor, restored: Tensor, source: Tensor) -> None:
        """Add the lumas (n, 1, h, w) of one coding, in codes."""
        key = sum(coding.scale > each for each in _SCALES), sum(coding.quantiser > each for each in _QUANTISERS)
        gain = _psnr(restored, source) - _psnr(plain, source)
        structure = _structure(restored, source) - _structure(plain, source)
        self._found[key].append((gain, structure))

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each group: scales and quantisers above which it begins, codings, and dB gained."""
        return [
            {
                "scale_above": (0.0, *_SCALES)[scale],
                "quantiser_above": (0, *_QUANTISERS)[quantiser],
                "codings": len(rows),
                "psnr": round(sum(row[0] for row in rows) / len(rows), 3),
                "structure": round(sum(row[1] for row in rows) / len(rows), 3),
                "worst_psnr": round(min(row[0] for row in rows), 3),
            }
            for (scale, quantiser), rows in sorted(self._found.items())
        ]
