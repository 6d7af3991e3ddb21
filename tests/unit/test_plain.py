import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.errors import AddressError, BitstreamError, CmvcError, MissingServiceError, MissingWeightsError
from cmvc.plain import MOST_BYTES, one_line
from cmvc.records import DecodeSummary
from cmvc.wire.messages import decode_summary


@given(st.text(max_size=300) | st.builds(lambda text: text * 2000, st.text(min_size=1, max_size=20)))
def test_any_text_is_one_printable_line_of_bounded_length(text):
    line = one_line(text)
    assert line.isprintable()
    assert len(line.encode()) <= MOST_BYTES
    assert one_line(line) == line


def test_honest_text_stays_as_it_is():
    assert one_line("my film é 電影.mp4: 24 frames") == "my film é 電影.mp4: 24 frames"


@pytest.mark.parametrize("kind", [CmvcError, BitstreamError, AddressError, MissingServiceError, MissingWeightsError])
def test_what_a_stranger_wrote_into_an_error_neither_acts_nor_fills_memory(kind):
    error = kind("bad name \x1b[2J\nerror: OK: \u202e" + "x" * 1_000_000)
    assert str(error).startswith(r"bad name \x1b[2J error: OK: \u202exxx")
    assert len(str(error).encode()) == MOST_BYTES


def test_notes_are_plain():
    (note,) = decode_summary(DecodeSummary(1, 1, ("CORRUPT: \x1b[31m\n",))).notes
    assert note == r"CORRUPT: \x1b[31m"
