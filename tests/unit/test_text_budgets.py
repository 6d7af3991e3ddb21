"""Captions stay within what a profile's text encoder reads, by a bound that needs no tokenizer."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.media.picture import Picture
from cmvc.profiles import animatediff, embedded, wan_vace
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import Description
from cmvc_encoder.semantics.tokens import token_bound, within_tokens

MLLM = Path(__file__).parents[2] / "benchmarks" / "captions" / "mllm.txt"
GRAY = np.full((18, 32), 128, np.uint8)
WINDOW = Window([Picture(np.full((36, 64), 99, np.uint8), GRAY, GRAY)] * 9, 0, 64, 36, Fraction(9), True, True, None)
CONTENT = "A chestnut horse stands in a muddy paddock beside a broken wooden fence, with low hills and grey clouds, "
MOTION = "The horse lifts its head and walks slowly towards the camera, which stays still."


class Fixed:
    """An extractor that says what it was given."""

    id = "fixed"

    def __init__(self, content, motion):
        self.found = Description(content, motion)

    def prepare(self, window, runs):
        pass

    def describe(self, window, frames, max_bytes=120, said=None):
        return self.found

    def notes(self):
        return ["first"]


def told(extractor, said=None):
    return extractor.describe(WINDOW, range(9), 900, said)


@given(st.text())
def test_the_bound_is_at_least_a_token_for_each_word_and_at_most_one_a_byte(text):
    words = [word for word in text.split() if word.strip()]
    assert token_bound(text) >= len(words)
    assert token_bound(text) <= len(text.encode())


@given(st.text(), st.text())
def test_a_longer_text_is_never_bound_lower(a, b):
    assert token_bound(f"{a} {b}") == token_bound(a) + token_bound(b)


@pytest.mark.parametrize(
    ("text", "clip"),  # counted with CLIP's published byte-pair code
    [
        ("cyan", 2),
        ("imperceptibly.", 5),
        ("djellaba.", 4),
        ("Straßenbahn.", 6),
        ("镜头保持静止。", 18),
        ("a red ball", 3),
    ],
)
def test_the_bound_holds_for_what_cost_a_real_tokenizer_most(text, clip):
    assert token_bound(text) >= clip


def test_captions_are_bound_near_two_tokens_a_word():
    lines = [line for line in MLLM.read_text().splitlines() if line.isascii() and line]
    words = sum(len(line.split()) for line in lines)
    assert 1.5 * words < sum(map(token_bound, lines)) < 2.3 * words


def test_what_clip_would_cut_is_left_out_before_it_is_sent_and_motion_keeps_its_share():
    fixed = Fixed(2 * CONTENT, MOTION)
    kept = within_tokens(fixed, animatediff.PROFILE)
    found = told(kept)
    assert token_bound(found.text) <= animatediff.PROFILE.text_tokens - 2
    assert CONTENT.startswith(found.content[:60])
    assert found.motion
    assert MOTION.startswith(found.motion)
    assert [note.split(":")[0] for note in kept.notes()] == ["first", "text-shortened"]


def test_what_a_model_reads_whole_is_left_alone():
    kept = within_tokens(Fixed(CONTENT, MOTION), wan_vace.PROFILE)
    assert told(kept) == Description(CONTENT, MOTION)
    assert kept.notes() == ["first"]
    assert within_tokens(kept, embedded.PROFILE) is kept


def test_motion_fits_beside_a_content_that_is_not_said_again():
    narrow = replace(animatediff.PROFILE, text_tokens=40)
    before = told(within_tokens(Fixed(CONTENT, ""), narrow))
    found = told(within_tokens(Fixed("", MOTION), narrow), before)
    assert not found.content
    assert 0 < token_bound(found.motion) <= 38 - token_bound(before.content)
