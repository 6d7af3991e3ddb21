"""Adaptive odds of one bit: what one or three contexts say, weighed up. In integers (docs/bitstream.md, "Odds")."""

from cmvc.bitstream.av1pack.primed import LEVELS, Key, Primed
from cmvc.logistic import probability
from cmvc.range_coder import OddsCoder

HALF = 1 << 15
SLOWEST = 60  # bits seen, beyond which a context learns no more slowly
_ONE = 1 << 16
_RATES = [_ONE * 2 // (2 * n + 3) for n in range(SLOWEST + 1)]
_LEVEL = [min(n.bit_length(), LEVELS - 1) for n in range(SLOWEST + 1)]
_LEARNING = 15  # bits that weights learn more slowly by than logits are large
_LEAST, _MOST = 32, _ONE - 32
_SQUASHED = [probability(logit) for logit in range(-2048, 2048)]
State = list[int]  # the probability of a 1, in 1/65536, and how many bits that rests on


class Odds:
    """The contexts and weights of one payload."""

    def __init__(self, primed: Primed) -> None:
        self._primed = primed
        self._states: dict[Key, State] = {}
        self.weights: dict[str, list[list[int]]] = {}

    def one(self, coder: OddsCoder, key: Key, bit: int) -> int:
        """Code one bit in the context that ``key`` names, a decoder ignoring ``bit``, and return it."""
        state = self._states.get(key) or self._new(key)
        bit = coder.odds(_ONE - state[0], bit)
        _learn(state, bit)
        return bit

    def three(self, coder: OddsCoder, group: str, keys: tuple[Key, Key, Key], bit: int) -> int:
        """Code one bit in three contexts at once, weighed as ``group`` does, and return it."""
        a, b, c = (self._states.get(key) or self._new(key) for key in keys)
        of_a, of_b, of_c = self.weights.get(group) or self._new_weights(group)
        level_a, level_b, level_c = _LEVEL[a[1]], _LEVEL[b[1]], _LEVEL[c[1]]
        logit_a, logit_b, logit_c = _STRETCHED[a[0] >> 4], _STRETCHED[b[0] >> 4], _STRETCHED[c[0] >> 4]
        logit = (logit_a * of_a[level_a] + logit_b * of_b[level_b] + logit_c * of_c[level_c]) >> 16
        one = _SQUASHED[0 if logit < -2047 else 4095 if logit > 2047 else logit + 2048]
        bit = coder.odds(_ONE - one, bit)
        error = (bit << 16) - one
        of_a[level_a] += error * logit_a >> _LEARNING
        of_b[level_b] += error * logit_b >> _LEARNING
        of_c[level_c] += error * logit_c >> _LEARNING
        _learn(a, bit)
        _learn(b, bit)
        _learn(c, bit)
        return bit

    def _new(self, key: Key) -> State:
        state = self._states[key] = list(self._primed.states.get(key, (HALF, 0)))
        return state

    def _new_weights(self, group: str) -> list[list[int]]:
        rows = self.weights[group] = [list(row) for row in self._primed.weights_of(group)]
        return rows


def _learn(state: State, bit: int) -> None:
    one, seen = state
    one += ((_ONE - one if bit else -one) * _RATES[seen]) >> 16
    state[0] = _LEAST if one < _LEAST else _MOST if one > _MOST else one
    if seen < SLOWEST:
        state[1] = seen + 1


def _stretched() -> list[int]:
    """Return the logit, in 1/256, of each probability in 1/4096: the inverse of ``probability``."""
    found = []
    logit = -2047
    for level in range(4096):
        while logit < 2047 and probability(logit) < 16 * level + 8:
            logit += 1
        found.append(logit)
    return found


_STRETCHED = _stretched()
