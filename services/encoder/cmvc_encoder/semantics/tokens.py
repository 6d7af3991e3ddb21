"""Keeps captions within what a generator's text encoder reads: what is longer would be cut there, motion first.

The profile's tokenizer is not here, so tokens are bounded from above: an ASCII word of n letters is at most n / 3 of
them, rounded up, and anything else one a byte. Of the captions in ``benchmarks/captions`` CLIP's own byte-pair code
takes 0.62 of that on average and 0.97 at most; the vocabularies of T5 and umT5 are no smaller.
"""

import re
from collections.abc import Sequence

from cmvc.notes import Note
from cmvc.profiles.profile import ModelProfile, Profile
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import Description, SemanticExtractor
from cmvc_encoder.semantics.shorten import CONTENT_SHARE, cut

LETTERS_A_TOKEN = 3  # of an ASCII word, at least on average over a caption
_MARKS = 2  # tokens for the beginning and the end of a text
_PART = re.compile(r"[A-Za-z]+|[^\sA-Za-z]")


def token_bound(text: str) -> int:
    """Return how many tokens a text is at most, its marks of beginning and end not counted."""
    return sum(
        -(-len(part) // LETTERS_A_TOKEN) if part.isascii() and part.isalpha() else len(part.encode())
        for part in _PART.findall(text)
    )


def within_tokens(extractor: SemanticExtractor, generator: Profile) -> SemanticExtractor:
    """Return what keeps the texts of ``extractor`` within what ``generator`` reads; itself where that has no tokens."""
    if not (isinstance(generator, ModelProfile) and generator.reads_text):
        return extractor
    return _WithinTokens(extractor, generator.id, generator.text_tokens - _MARKS)


class _WithinTokens:
    """An extractor whose texts have a number of tokens at most; see ``SemanticExtractor``."""

    def __init__(self, extractor: SemanticExtractor, profile: str, most: int) -> None:
        self.id = extractor.id
        self._extractor = extractor
        self._profile = profile
        self._most = most
        self._shortened = 0

    def prepare(self, window: Window, runs: Sequence[range]) -> None:
        self._extractor.prepare(window, runs)

    def describe(
        self, window: Window, frames: range, max_bytes: int = 120, said: Description | None = None
    ) -> Description:
        found = self._extractor.describe(window, frames, max_bytes, said)
        # No more of it than this ever: what moves later in the shot has to fit beside it.
        content = cut(found.content, int(self._most * CONTENT_SHARE), token_bound)
        before = content or (said.content if said else "")
        motion = cut(found.motion, self._most - token_bound(before), token_bound)
        self._shortened += (content, motion) != (found.content, found.motion)
        return Description(content, motion)

    def notes(self) -> list[str]:
        notes = self._extractor.notes()
        if self._shortened:
            what = f"{self._shortened} captions were shortened to what {self._profile} reads ({self._most} tokens)"
            notes = [*notes, Note.TEXT_SHORTENED.line(what)]
        return notes
