from contextlib import suppress

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvc.bitstream.text import TextCoder, decode_text, encode_text, normalise
from cmvc.bitstream.words import CODE_LENGTHS, END, LINE, pack_words, unpack_words
from cmvc.errors import BitstreamError, LimitError
from cmvc.limits import DEFAULT_LIMITS


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=500))
def test_text_comes_back(text):
    assert decode_text(encode_text(text)) == text


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_decode_or_fail_clearly(data):
    with suppress(BitstreamError, LimitError):
        assert isinstance(decode_text(data), str)


def test_empty_text_costs_nothing():
    assert encode_text("") == b""


def test_english_is_compressed():
    text = "A red car moves left on a grey road under a blue sky with green trees."
    assert len(encode_text(text)) < 0.85 * len(text)


def test_a_text_that_inflates_is_refused():
    bomb = bytes([TextCoder.BROTLI]) + brotli.compress(b"a" * 50_000_000)
    with pytest.raises(LimitError):
        decode_text(bomb)


def test_text_too_long_is_refused():
    with pytest.raises(LimitError):
        encode_text("a" * 5000)


def test_unknown_coder_is_named():
    with pytest.raises(BitstreamError, match="text coder 77"):
        decode_text(bytes([77]) + b"abc")


def test_normalise_drops_control_characters():
    assert normalise("a\x1b[31m red\t\tcar\n\x00moves ") == "a [31m red car\nmoves"


@given(st.lists(st.sampled_from(sorted(set(CODE_LENGTHS) - {END}))))
def test_words_of_the_vocabulary_come_back(words):
    text = ""
    for last, word in zip([LINE, *words], words, strict=False):
        if word == LINE:
            text += "\n"
        elif word in (",", "."):
            text += word
        else:
            text += ("" if last == LINE else " ") + (word.capitalize() if last in (LINE, ".") else word)
    packed = pack_words(text)
    assert packed is not None
    assert unpack_words(packed, len(text)) == text
    if text:
        with pytest.raises(LimitError):
            unpack_words(packed, len(text) - 1)
        assert encode_text(text) == bytes([TextCoder.WORDS]) + packed


@given(
    st.lists(st.sampled_from(["red", ",", ".", "dull", "\n"]), max_size=6).map(" ".join),
    st.binary(max_size=3),
    st.integers(0, 99),
)
def test_bytes_are_words_in_one_way_or_not_at_all(text, noise, at):
    data = pack_words(text) or b""
    at %= len(data) + 1
    data = data[:at] + noise + data[at + 1 :]
    with suppress(BitstreamError):
        assert pack_words(unpack_words(data, DEFAULT_LIMITS.text_bytes)) == data


@pytest.mark.parametrize("text", ["," * 4096, "\n" * 4096, "Dull" + " inner" * 682])
def test_the_longest_text_comes_back_whole(text):
    assert len(text) == DEFAULT_LIMITS.text_bytes
    assert decode_text(encode_text(text)) == text


@pytest.mark.parametrize("size", [30_000, 2 << 20])
def test_words_over_the_limit_are_refused(size):
    with pytest.raises(LimitError, match="limit of 4096"):
        decode_text(bytes([TextCoder.WORDS]) + bytes(size))  # commas


def test_words_end_where_their_bytes_end():
    packed = pack_words("Dull")
    assert packed is not None
    assert unpack_words(packed, 4) == "Dull"
    for wrong in (packed + b"\0", packed + b"x", packed[:-1], b""):
        with pytest.raises(BitstreamError):
            unpack_words(wrong, 4)
    free = -(CODE_LENGTHS["dull"] + CODE_LENGTHS[END]) % 8
    assert free
    for bit in range(free):
        with pytest.raises(BitstreamError, match="behind its end mark"):
            unpack_words(packed[:-1] + bytes([packed[-1] | 1 << bit]), 4)
