"""Notes have a code beside their prose."""

import pytest

from cmvc import records
from cmvc.notes import Note, code_of
from cmvc.v1 import common_pb2
from cmvc.wire.messages import decode_summary, encode_summary


@pytest.mark.parametrize("note", Note)
def test_every_word_has_a_code_of_its_name(note):
    code = code_of(note.line("what happened: this"))
    assert common_pb2.NoteCode.Name(code) == f"NOTE_CODE_{note.name}"


def test_every_code_has_a_word():
    assert set(common_pb2.NoteCode.keys()) == {f"NOTE_CODE_{note.name}" for note in Note} | {"NOTE_CODE_UNSPECIFIED"}


@pytest.mark.parametrize("line", ["", "no word", "unheard-of: text", "Floor: text", "FLOOR: text"])
def test_other_words_have_none(line):
    assert code_of(line) == common_pb2.NOTE_CODE_UNSPECIFIED


def test_summaries_carry_a_code_for_each_note():
    notes = (Note.FLOOR.line("x"), "something else", Note.SOUND_CUT.line("y"))
    codes = [common_pb2.NOTE_CODE_FLOOR, common_pb2.NOTE_CODE_UNSPECIFIED, common_pb2.NOTE_CODE_SOUND_CUT]
    assert list(encode_summary(records.EncodeSummary(1, 1, 1.0, notes)).note_codes) == codes
    assert list(decode_summary(records.DecodeSummary(1, 1, notes)).note_codes) == codes
