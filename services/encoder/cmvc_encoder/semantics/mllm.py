"""What a multimodal LLM is asked, whoever runs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cmvc.media.rgb import Rgb


@dataclass(frozen=True, eq=False)
class Question:
    """One question about pictures.

    Attributes:
        images: in order of time, each (height, width, 3) RGB, 0..255, at least one, all of one size.
        prompt: what is asked about them.
        max_tokens: bound on the answer.
    """

    images: Sequence[Rgb]
    prompt: str
    max_tokens: int


class Mllm(Protocol):
    """Answers questions about pictures. Slow; may be called from any thread, one call at a time."""

    def ask(self, questions: Sequence[Question]) -> list[str]:
        """Return the answers in the order of the questions, as the model wrote them: nothing is checked or cut here.

        Greedy: the same questions get the same answers from the same model.

        Raises:
            SemanticsError: the model cannot be loaded or reached, or failed; the message says what to do.
        """
