"""Makes free text fit its bytes: what comes last in a sentence goes first."""

import re
from collections.abc import Callable, Sequence

from cmvc.bitstream.text import encode_text
from cmvc_encoder.semantics.base import Description

CONTENT_SHARE = 0.6  # of the bytes, at least, where both lines are too long
_BREAK = re.compile(r"(?<=[,;:.!?])\s|\s(?=(?:and|with|while|as|in|on|against|near|under|over|behind)\s)")
_LOOSE_ENDS = re.compile(
    r"(?:[\s,;:\u2013\u2014-]+|\s(?:a|an|the|and|or|of|with|while|as|in|on|at|to|its|their|his|her|is|are|by|from|near))+$",
    re.IGNORECASE,
)
_LEAST_WORDS = 2  # of a text that was cut at a word; one word alone says nothing


def fit(content: str, motion: str, max_bytes: int) -> Description:
    """Return as much of both lines as ``max_bytes`` of coded text hold; content first, as its share allows."""
    whole = Description(content, motion)
    if _fits(whole.text, max_bytes):
        return whole
    few = cut(content, int(max_bytes * CONTENT_SHARE)) if motion else ""
    if not few:  # an empty content would stand for the one before
        return Description(cut(content, max_bytes), "")
    told = _longest(_prefixes(motion), lambda text: _fits(Description(few, text).text, max_bytes))
    longer = [each for each in _prefixes(content) if len(each) > len(few)]
    return Description(_longest(longer, lambda text: _fits(Description(text, told).text, max_bytes)) or few, told)


def coded_size(text: str) -> int:
    """Return the bytes that a text is coded in."""
    return len(encode_text(text))


def cut(text: str, most: int, size: Callable[[str], int] = coded_size) -> str:
    """Return the longest start of one line whose ``size`` is at most ``most``; empty where there is none."""
    return _longest(_prefixes(text), lambda each: size(each) <= most)


def _fits(text: str, max_bytes: int) -> bool:
    return coded_size(text) <= max_bytes


def _longest(texts: Sequence[str], fits: Callable[[str], bool]) -> str:
    """Return the first of texts that fits, given the longest first; empty where none does.

    By bisection, because coding takes its time: a longer text is taken not to fit where a shorter one does not.
    """
    best = ""
    low, high = 0, len(texts)
    while low < high:
        middle = (low + high) // 2
        if fits(texts[middle]):
            best, high = texts[middle], middle
        else:
            low = middle + 1
    return best


def _prefixes(text: str) -> list[str]:
    """Return the text, then its starts that end at a clause, then those that end at a word, longest first."""
    clauses = [_tidied(text[: match.start()]) for match in _BREAK.finditer(text)]
    shortest = len(clauses[0]) if clauses else len(text)
    words = [match.start() for match in re.finditer(r"\s", text)][_LEAST_WORDS - 1 :]
    by_word = [_tidied(text[:end]) for end in words if end < shortest]
    found = dict.fromkeys([text, *reversed(clauses), *reversed(by_word)])
    return [each for each in found if each]


def _tidied(text: str) -> str:
    return _LOOSE_ENDS.sub("", text)
