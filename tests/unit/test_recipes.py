"""Three recipes of CONTRIBUTING.md, walked: a mode, a profile, an extractor, each by what its recipe says to touch."""

from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from cmvc.bitstream.inspect import inspect
from cmvc.client import Client
from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.media.y4m import Y4m
from cmvc.profiles import embedded as embedded_facts
from cmvc.profiles import registry as profile_registry
from cmvc.settings import encode_config
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2
from cmvc_decoder.generators import registry as generator_registry
from cmvc_decoder.generators.embedded import EmbeddedGenerator
from cmvc_decoder.service import _local_executor
from cmvc_encoder import semantics
from cmvc_encoder.coding import registry as coder_registry
from cmvc_encoder.coding.video import VideoCoder
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.options import EncoderOptions
from cmvc_encoder.semantics.embedded import EmbeddedExtractor

WIDTH, HEIGHT, FRAMES = 96, 64, 24
GREY = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)


@pytest.fixture
def clip(tmp_path):
    coarse = np.random.default_rng(3).integers(40, 200, (HEIGHT // 8, WIDTH // 8), np.uint8)
    noise = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    header = pb.StreamHeader(width=WIDTH, height=HEIGHT, frame_rate_numerator=24, frame_rate_denominator=1)
    output = Y4m(header)
    pictures = (Picture(np.roll(noise, number, 1), GREY, GREY) for number in range(FRAMES))
    path = tmp_path / "clip.y4m"
    path.write_bytes(output.prologue + b"".join(output.segment(0, pictures, [], 0)))
    return path


def encoded(clip, options=None, **settings):
    stream = clip.with_suffix(".cmvc")
    with Client(encoder=options) as client:
        client.encode(clip, stream, encode_config(**settings))
    with stream.open("rb") as file:
        return stream, inspect(file)


class Counting(VideoCoder):
    """A mode's coder: here one that says how often it was asked."""

    asked = 0

    def encode(self, window, byte_budget, control):
        Counting.asked += 1
        return super().encode(window, byte_budget, control)


def test_a_mode_is_a_coder_and_a_line(monkeypatch):
    monkeypatch.setitem(coder_registry._CODERS, common_pb2.MODE_CODED, lambda _: Counting("video"))
    coder = coder_registry.make_coder(common_pb2.MODE_CODED, coder_registry.Tools(EmbeddedExtractor()))
    pictures = [Picture(np.full((HEIGHT, WIDTH), 90, np.uint8), GREY, GREY)] * 4
    trial = coder.encode(Window(pictures, 0, WIDTH, HEIGHT, Fraction(24), True, True, None), 2000, Control())
    assert Counting.asked == 1
    assert [segment.WhichOneof("content") for segment in trial.segments] == ["video"]


class Negative(EmbeddedGenerator):
    """A profile's generator: here one that shows everything inverted."""

    id = "negative"

    def generate(self, conditions, control):
        for picture in super().generate(conditions, control):
            yield replace(picture, y=255 - picture.y)


def test_a_profile_is_facts_and_a_generator_and_a_line_for_each(monkeypatch, clip):
    facts = replace(embedded_facts.PROFILE, id="negative")
    monkeypatch.setitem(profile_registry.PROFILES, facts.id, facts)
    _local_executor.cache_clear()  # it knows the profiles that there were
    make = generator_registry.make_generator
    monkeypatch.setattr(
        "cmvc_decoder.executors.in_process.make_generator",
        lambda name, models, speed: Negative() if name == facts.id else make(name, models, speed),
    )
    made = {}
    for profile in ("embedded", "negative"):
        stream, _ = encoded(clip, mode="coded", bitrate="40k", profile=profile)
        shown = clip.with_name(f"{profile}.y4m")
        with Client() as client:
            client.decode(stream, shown)
        made[profile] = np.frombuffer(shown.read_bytes()[-WIDTH * HEIGHT * 3 // 2 :], np.uint8)[: WIDTH * HEIGHT]
        stream.unlink()
    _local_executor.cache_clear()
    assert np.array_equal(made["negative"], 255 - made["embedded"])


@dataclass
class Parrot:
    """A multimodal LLM: here one that always says the same."""

    says: str

    def ask(self, questions):
        return [self.says for _ in questions]


def test_an_extractor_is_a_model_and_a_line(monkeypatch, clip):
    model = semantics._Model(lambda *_: Parrot("A parrot on a perch"), "nothing", lambda _: True, ())
    monkeypatch.setitem(semantics._MODELS, "parrot", model)
    assert "parrot" in semantics.extractor_names(EncoderOptions())
    _, found = encoded(clip, mode="tt2v", bitrate="2k", semantics="parrot")
    assert "parrot on a perch" in found["segments"][0]["text"].lower()
    assert Fraction(found["header"]["frame_rate"]) == 24
