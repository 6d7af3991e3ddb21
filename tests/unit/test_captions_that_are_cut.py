"""A caption that a model cannot read whole is told of, by the count of the profile's own tokenizer."""

import io

import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import text_streams
import tiny_models
from text_streams import text_stream

from cmvc.control import Control
from cmvc.notes import Note, code_of
from cmvc.profiles.registry import MODEL_PROFILES
from cmvc.records import DecodeSummary
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.generators.animatediff import AnimateDiff
from cmvc_decoder.generators.ltx_video import LtxVideo
from cmvc_decoder.generators.videocrafter2 import VideoCrafter2
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.pipeline import decode
from cmvc_decoder.speed.options import SpeedOptions


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    tiny_models.store(root, *MODEL_PROFILES)
    return root


def notes(store, profile, caption, monkeypatch):
    monkeypatch.setattr(text_streams, "CAPTION", caption)
    local = InProcessExecutor([profile], store, ("device=cpu", "dtype=float32"))
    *_, last = decode(io.BytesIO(text_stream(2, profile=profile)), decoder_pb2.DecodeConfig(), Control(), local)
    assert isinstance(last, DecodeSummary)
    return last.notes


@pytest.mark.parametrize("made", [AnimateDiff(), VideoCrafter2()], ids=lambda made: made.facts.id)
def test_one_token_more_than_fits_is_told_of_once(store, made, monkeypatch):
    profile = made.facts.id
    pipe = made.load(store / profile, SpeedOptions())
    most = made.facts.text_tokens
    caption = "red"
    while made.tokens(pipe, caption) < most:
        caption += " red"
    assert made.tokens(pipe, caption) == most
    assert notes(store, profile, caption, monkeypatch) == ()
    (note,) = notes(store, profile, f"{caption} red", monkeypatch)
    assert note.startswith(f"{Note.TEXT_CUT}: ")
    assert code_of(note) == common_pb2.NOTE_CODE_TEXT_CUT
    assert f"{most} tokens" in note


@pytest.mark.parametrize(
    "made", [WanVace(), LtxVideo(), AnimateDiff(), VideoCrafter2()], ids=lambda made: made.facts.id
)
def test_the_count_is_what_the_pipeline_reads(store, made):
    """A cut at the count changes nothing of what the tokenizer gives; a cut at one less does."""
    pipe = made.load(store / made.facts.id, SpeedOptions())
    tokenizer = getattr(pipe, "full", pipe).tokenizer
    count = made.tokens(pipe, "a red ball moves right")
    whole = tokenizer("a red ball moves right").input_ids
    assert tokenizer("a red ball moves right", truncation=True, max_length=count).input_ids == whole
    assert tokenizer("a red ball moves right", truncation=True, max_length=count - 1).input_ids != whole
