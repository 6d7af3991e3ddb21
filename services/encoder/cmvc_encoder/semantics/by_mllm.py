"""The extractor that asks a multimodal LLM: at most one question on content and one on motion for each keyframe."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cmvc.errors import SemanticsError
from cmvc.media.rgb import Rgb, to_rgb
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.answers import clean, clean_motion
from cmvc_encoder.semantics.base import STILL, Description
from cmvc_encoder.semantics.mllm import Mllm, Question
from cmvc_encoder.semantics.prompts import content_prompt, motion_prompt
from cmvc_encoder.semantics.shorten import cut, fit

CONTENT_WORDS, MOTION_WORDS = 25, 15  # asked for; 120 bytes hold about so many
TOKENS_PER_WORD = 2  # an answer of so many words in any common tokenizer, twice over
MOTION_FRAMES = 4  # enough to tell direction and speed; each costs as many tokens as a keyframe
LONGEST_SIDE = 512  # pixels of what is asked about; backends shrink further as their model wants
About = int | tuple[int, int]  # what a question is about: the content of a frame, or the motion of a span of frames


@dataclass(frozen=True)
class _Subject:
    """What one description is about.

    Attributes:
        keyframe: number of the frame in the stream that shows the content.
        motion: numbers of the first frame and of the one after the last whose motion is told.
    """

    keyframe: int
    motion: tuple[int, int]


class MllmExtractor:
    """Describes frames in a model's own words."""

    def __init__(self, name: str, mllm: Mllm) -> None:
        """Ask ``mllm``; ``name`` is the extractor's registered name."""
        self.id = name
        self._mllm = mllm
        self._answers: dict[About, str] = {}

    def prepare(self, window: Window, runs: Sequence[range]) -> None:
        """Ask everything about a window at once; see ``SemanticExtractor``.

        Raises:
            SemanticsError: the model does not answer, or says nothing about a keyframe.
        """
        subjects = [self._subject(window, frames) for frames in runs]
        wanted: list[About] = [*(each.keyframe for each in subjects), *(each.motion for each in subjects)]
        known = {each: "" if _is_one_frame(each) else self._answers.get(each) for each in wanted}
        missing = [each for each, answer in known.items() if answer is None]
        answers = self._mllm.ask([_question(window, each) for each in missing]) if missing else []
        texts = {
            each: clean(answer) if isinstance(each, int) else clean_motion(answer)
            for each, answer in zip(missing, answers, strict=True)
        }
        if any(not text for each, text in texts.items() if isinstance(each, int)):
            raise SemanticsError(f"the model behind '{self.id}' said nothing about a keyframe; try another model")
        self._answers = {each: texts[each] if answer is None else answer for each, answer in known.items()}

    def describe(
        self, window: Window, frames: range, max_bytes: int = 120, said: Description | None = None
    ) -> Description:
        """Describe consecutive frames; see ``SemanticExtractor`` and ``prepare``."""
        subject = self._subject(window, frames)
        if subject.keyframe not in self._answers or subject.motion not in self._answers:
            self.prepare(window, [frames])
        content, motion = self._answers[subject.keyframe], self._answers[subject.motion]
        if said is None or not said.content or not content.startswith(said.content):
            return fit(content, motion, max_bytes)
        if motion.startswith(said.motion) and bool(motion) == bool(said.motion):
            return Description("", "")
        # One byte is the line feed's.
        return Description("", cut(motion or STILL, max_bytes - 1))

    def notes(self) -> list[str]:
        """Return nothing."""
        return []

    def _subject(self, window: Window, frames: range) -> _Subject:
        """Return the keyframe that the middle of the frames belongs to, and the longer of them and its interval."""
        first = window.first_frame
        middle = (frames.start + frames.stop) // 2
        keyframe = max((position for position in window.keyframes if position <= middle), default=None)
        if keyframe is None:  # it stands in an earlier window: what was said then holds, if it was
            known = [each for each in self._answers if isinstance(each, int) and each < first]
            spans = [each for each in self._answers if isinstance(each, tuple) and each[1] == first]
            if known and spans and not window.opens_shot:
                return _Subject(max(known), spans[-1])
            keyframe = 0
        end = min((p for p in window.keyframes if p > keyframe), default=len(window.pictures))
        start, stop = (keyframe, end) if end - keyframe >= len(frames) else (frames.start, frames.stop)
        return _Subject(first + keyframe, (first + start, first + stop))


def _is_one_frame(about: About) -> bool:
    """Say whether it is a span in which nothing can be seen to move."""
    return isinstance(about, tuple) and about[1] - about[0] < 2


def _question(window: Window, about: About) -> Question:
    """Return the question on the content of a frame, or on the motion of a span of frames."""
    if isinstance(about, int):
        images = [_image(window, about - window.first_frame)]
        return Question(images, content_prompt(CONTENT_WORDS), CONTENT_WORDS * TOKENS_PER_WORD)
    start, end = (frame - window.first_frame for frame in about)
    positions = np.linspace(start, end - 1, min(MOTION_FRAMES, end - start)).round().astype(int)
    images = [_image(window, int(position)) for position in positions]
    return Question(images, motion_prompt(MOTION_WORDS), MOTION_WORDS * TOKENS_PER_WORD)


def _image(window: Window, position: int) -> Rgb:
    image = to_rgb(window.pictures[position], window.color_matrix)
    height, width = image.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return image
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
