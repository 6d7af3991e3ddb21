"""The extractor over a model whose answers are known; real models are in test_transformers_mllm.py and beyond."""

import threading
from fractions import Fraction

import numpy as np
import pytest

from cmvc.bitstream.repeated_text import own_text, repeated_text
from cmvc.bitstream.segments import closes_shot, frame_count
from cmvc.bitstream.text import decode_text, encode_text
from cmvc.control import Control
from cmvc.errors import CancelledError, SemanticsError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.picture import Picture
from cmvc.observer import NullObserver
from cmvc_encoder.coding.tt2v import Tt2vCoder
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.by_mllm import MllmExtractor
from cmvc_encoder.semantics.embedded import EmbeddedExtractor
from cmvc_encoder.semantics.fallback import FallbackExtractor

RATE = Fraction(10)
GRAY = np.full((18, 32), 128, np.uint8)


def window(count, keyframes, first_frame=0, *, opens_shot=True):
    """Frames that are the brighter the later."""
    pictures = [Picture(np.full((36, 64), 16 + (first_frame + n) % 200, np.uint8), GRAY, GRAY) for n in range(count)]
    return Window(pictures, first_frame, 64, 36, RATE, opens_shot, True, None, tuple(keyframes))


class Scripted:
    """Answers with what it was asked about."""

    def __init__(self):
        self.batches = []

    def ask(self, questions):
        self.batches.append(questions)
        return [self._answer(question) for question in questions]

    def _answer(self, question):
        levels = [round(float(image.mean()) * 219 / 255) for image in question.images]
        if len(levels) == 1:
            return f"Level {levels[0]} wall."
        return f"From {levels[0]} to {levels[-1]}."

    @property
    def asked(self):
        return [question for batch in self.batches for question in batch]


def test_content_is_of_the_keyframe_and_motion_of_the_frames_until_the_next():
    found = MllmExtractor("test", Scripted()).describe(window(60, (30, 50)), range(30, 50))
    assert (found.content, found.motion) == ("Level 30 wall.", "From 30 to 49.")


def test_all_keyframes_of_a_window_are_asked_about_at_once_and_twice_at_most():
    model = Scripted()
    coder = Tt2vCoder(MllmExtractor("test", model))
    keyframes = (0, 45, 70)
    coder.encode(window(100, keyframes), 500, Control())
    assert len(model.batches) == 1
    assert len(model.asked) <= 2 * len(keyframes)


@pytest.mark.parametrize("keyframes", [(0,), (0, 3, 6, 9), (0, 10, 30, 31, 32, 90), tuple(range(0, 100, 5))])
def test_two_calls_a_keyframe_at_most(keyframes):
    model = Scripted()
    Tt2vCoder(MllmExtractor("test", model)).encode(window(100, keyframes), 900, Control())
    assert len(model.asked) <= 2 * len(keyframes)


def test_segments_of_one_keyframe_say_it_once():
    trial = Tt2vCoder(MllmExtractor("test", Scripted())).encode(window(100, (0, 50)), 900, Control())
    texts = [decode_text(segment.text) for segment in trial.segments]
    assert texts == ["Level 0 wall.\nFrom 0 to 49.", "", "Level 50 wall.\nFrom 50 to 99.", "", ""]


def test_what_is_left_out_comes_back_to_the_reader():
    trial = Tt2vCoder(MllmExtractor("test", Scripted())).encode(window(100, (0, 50)), 900, Control())
    before, whole = "", []
    for segment in trial.segments:
        text = repeated_text(segment, before, DEFAULT_LIMITS) or own_text(segment, DEFAULT_LIMITS)
        whole.append(text)
        before = "" if closes_shot(segment) else text
    assert whole == [*["Level 0 wall.\nFrom 0 to 49."] * 2, *["Level 50 wall.\nFrom 50 to 99."] * 3]
    assert sum(frame_count(segment, 0) for segment in trial.segments) == 100


def test_a_keyframe_of_the_window_before_is_not_asked_about_again():
    model = Scripted()
    extractor = MllmExtractor("test", model)
    extractor.describe(window(40, (0,)), range(20, 40))
    asked = len(model.asked)
    found = extractor.describe(window(40, (30,), 40, opens_shot=False), range(20))
    assert found.content == "Level 0 wall."
    assert len(model.asked) == asked


def test_a_single_frame_is_not_asked_for_its_motion():
    model = Scripted()
    found = MllmExtractor("test", model).describe(window(1, (0,)), range(1))
    assert found.motion == ""
    assert len(model.asked) == 1


def test_an_empty_answer_is_a_failure():
    class Silent(Scripted):
        def _answer(self, question):
            return "\u200b ..."

    with pytest.raises(SemanticsError, match="said nothing"):
        MllmExtractor("test", Silent()).describe(window(20, (0,)), range(20))


class Failing(Scripted):
    """Fails until told otherwise."""

    failing = True

    def ask(self, questions):
        if self.failing:
            self.batches.append(questions)
            raise SemanticsError("the model is away")
        return super().ask(questions)


class Counting(NullObserver):
    def __init__(self):
        self.fallbacks = 0

    def fallback(self, extractor):
        self.fallbacks += 1


def guarded(model, control=None, observer=None, *, patience_s=5.0, strict=False):
    extractor = MllmExtractor("test", model)
    control, observer = control or Control(), observer or NullObserver()
    return FallbackExtractor(extractor, control, observer, patience_s=patience_s, strict=strict)


def describe(extractor, number):
    return extractor.describe(window(20, (0,), 20 * number), range(20)).content


def test_embedded_stands_in_for_a_failing_model_and_it_is_counted_and_said():
    observer = Counting()
    extractor = guarded(Failing(), observer=observer)
    expected = EmbeddedExtractor().describe(window(20, (0,)), range(20))
    assert extractor.describe(window(20, (0,)), range(20)) == expected
    assert observer.fallbacks == 1
    assert extractor.notes() == ["semantics: 'embedded' described 1 of 1 windows instead of 'test': the model is away"]


def test_a_failing_model_is_asked_ever_less_often_and_taken_back():
    model = Failing()
    extractor = guarded(model)
    for number in range(9):
        describe(extractor, number)
    assert len(model.batches) == 4  # windows 0, 1, 3, 6
    model.failing = False
    assert not any(describe(extractor, number).startswith("Level") for number in (9, 10))
    assert describe(extractor, 11).startswith("Level")
    assert describe(extractor, 12).startswith("Level")


def test_a_failing_model_ends_a_strict_stream():
    with pytest.raises(SemanticsError, match="away"):
        describe(guarded(Failing(), strict=True), 0)


class Hanging(Scripted):
    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def ask(self, questions):
        self.batches.append(questions)
        self.go.wait()
        return super().ask(questions)


def test_a_hanging_model_is_waited_for_no_longer_than_its_patience_and_not_asked_meanwhile():
    model = Hanging()
    extractor = guarded(model, patience_s=0.2)
    assert not describe(extractor, 0).startswith("Level")
    assert not describe(extractor, 1).startswith("Level")
    assert len(model.batches) == 1
    assert "earlier question" in extractor.notes()[0]
    model.go.set()


def test_cancelling_ends_the_waiting():
    model, control = Hanging(), Control()
    threading.Timer(0.2, control.cancel).start()
    with pytest.raises(CancelledError):
        describe(guarded(model, control, patience_s=60), 0)
    model.go.set()


def test_texts_that_repeat_nothing_stay_as_they_are():
    trial = Tt2vCoder(EmbeddedExtractor()).encode(window(40, (0,)), 200, Control())
    assert not any(repeated_text(segment, "", DEFAULT_LIMITS) for segment in trial.segments)
    segment = trial.segments[0]
    segment.text = encode_text("Blue wall background.")
    assert repeated_text(segment, "Red wall background.\nCamera pans left.", DEFAULT_LIMITS) == ""
    segment.text = encode_text("\nCamera pans right.")
    assert repeated_text(segment, "Red wall.\nCamera pans left.", DEFAULT_LIMITS) == "Red wall.\nCamera pans right."
