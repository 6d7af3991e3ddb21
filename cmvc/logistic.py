"""The logistic function in integers, piecewise linear (docs/bitstream.md, "Coder 3")."""

# 65536 / (1 + exp(-x)) for x = -8, -7.5, ... 8
_LOGISTIC = (
    22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743, 32768,
    40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
)  # fmt: skip
_STEP = 128  # between them, in 1/256
_FARTHEST = 8 * 256 - 1


def probability(logit: int) -> int:
    """Return the probability, in 1/65536, of what has ``logit`` in 1/256."""
    place = 2048 + max(-_FARTHEST, min(logit, _FARTHEST))
    low = _LOGISTIC[place // _STEP]
    return low + (_LOGISTIC[place // _STEP + 1] - low) * (place % _STEP) // _STEP
