from contextlib import suppress

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.bitstream.text import TextCoder, decode_text, encode_text, normalise
from cmvc.errors import BitstreamError, LimitError


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=500))
def test_text_comes_back(text):
    assert decode_text(encode_text(text)) == text


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
