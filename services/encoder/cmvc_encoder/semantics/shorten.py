"""Makes free text fit its bytes: what comes last in a sentence goes first."""

import re

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
    if _size(whole) <= max_bytes:
        return whole
    few = cut(content, int(max_bytes * CONTENT_SHARE)) if motion else cut(content, max_bytes)
    texts = (Description(few, each) for each in _prefixes(motion))
    described = next((each for each in texts if _size(each) <= max_bytes), Description(few, ""))
    texts = (Description(each, described.motion) for each in _prefixes(content))
    return next((each for each in texts if len(each.content) > len(few) and _size(each) <= max_bytes), described)


def cut(text: str, max_bytes: int) -> str:
    """Return the longest start of one line that codes in ``max_bytes``; empty where none does."""
    return next((each for each in _prefixes(text) if len(encode_text(each)) <= max_bytes), "")


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


def _size(description: Description) -> int:
    return len(encode_text(description.text))
