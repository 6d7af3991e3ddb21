"""Global motion (AV1 specification, sections 5.9.24 and 5.9.25)."""

from dataclasses import dataclass

from cmvc.bitstream.av1pack.kinds import Subexp
from cmvc.bitstream.av1pack.state import IDENTITY, REFERENCES, Elements, Frame

_ONE = 1 << 16
_ALONE_BITS, _ALONE_SHIFT = 9, 16 - 3  # of a translation without a matrix


@dataclass(frozen=True)
class _Precision:
    """Of parameters: how many bits their magnitude has, and how many of the 16 behind the point are not coded."""

    width: int
    shift: int

    def part(self, c: Elements, before: tuple[int, ...], k: int, part: int) -> int:
        """Go through a parameter of reference ``k``; ``before`` are those of the primary reference."""
        one = _ONE if part in (2, 5) else 0
        reference = (before[part] >> self.shift) - (one >> self.shift)
        return (c.code("gm_params", Subexp(1 << self.width, reference), k, part) << self.shift) + one


_MATRIX = _Precision(12, 16 - 15)
_TRANSLATION = _Precision(12, 16 - 6)


def global_motion_params(c: Elements, f: Frame, previous: Frame | None) -> None:
    """Go through global_motion_params; ``previous`` is the primary reference."""
    before = previous.global_motion if previous else [IDENTITY] * (REFERENCES + 1)
    for k in range(1, REFERENCES + 1):
        if c.flag("is_global", k):
            f.global_motion[k] = _motion(c, f, before[k], k)


def _motion(c: Elements, f: Frame, before: tuple[int, ...], k: int) -> tuple[int, ...]:
    now = list(IDENTITY)
    rotation = c.flag("is_rot_zoom", k)
    if not rotation and c.flag("is_translation", k):
        coarse = 1 - f.high_precision_mv
        alone = _Precision(_ALONE_BITS - coarse, _ALONE_SHIFT + coarse)
        now[:2] = (alone.part(c, before, k, part) for part in (0, 1))
        return tuple(now)
    now[2:4] = (_MATRIX.part(c, before, k, part) for part in (2, 3))
    now[4:] = (-now[3], now[2]) if rotation else (_MATRIX.part(c, before, k, part) for part in (4, 5))
    now[:2] = (_TRANSLATION.part(c, before, k, part) for part in (0, 1))
    return tuple(now)
