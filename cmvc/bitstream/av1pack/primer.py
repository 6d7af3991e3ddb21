"""The format's primer for packed AV1: its contexts and weights, read once (docs/bitstream.md, "Primer of packed AV1").

A line without a colon is a group: its name, then 18 weights in 1/256 (three inputs times six levels of confidence) or
none. The lines behind it are the group's contexts: the numbers of one, a colon, and for each of its nodes the node's
number, the odds of a 1 as a logit in fifths, and how many bits they rest on.
"""

from functools import cache
from importlib.resources import files

from cmvc.bitstream.av1pack.primed import LEVELS, Key, Primed
from cmvc.logistic import probability

LOGITS = 40  # fifths, of the farthest odds
WEIGHT_ONE = 1 << 8
_FIFTH = 51  # of 256
_FILE = "primer.txt"
_ONE = 1 << 16


def odds_of(logit: int) -> int:
    """Return the probability, in 1/65536, that a logit in fifths stands for."""
    return probability(_FIFTH * logit)


@cache
def primed() -> Primed:
    """Return the primer."""
    return parse(read())


def read() -> str:
    """Return the primer as it stands in its file."""
    return (files(__package__) / _FILE).read_text()


def parse(text: str) -> Primed:
    """Return the contexts and weights that a primer says."""
    states: dict[Key, tuple[int, int]] = {}
    weights: dict[str, list[list[int]]] = {}
    group = ""
    for line in text.splitlines():
        context, colon, nodes = line.partition(":")
        if colon:
            key = tuple(map(int, context.split()))
            for each in nodes.split(","):
                node, logit, seen = map(int, each.split())
                states[(group, node, *key)] = odds_of(logit), seen
            continue
        group, *numbers = line.split()
        if numbers:
            row = [int(number) * _ONE // WEIGHT_ONE for number in numbers]
            weights[group] = [row[k : k + LEVELS] for k in range(0, 3 * LEVELS, LEVELS)]
    return Primed(states, weights)
