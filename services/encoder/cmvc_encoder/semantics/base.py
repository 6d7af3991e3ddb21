"""What a semantic extractor gives back: text that a generator can show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cmvc_encoder.ingest.window import Window

STILL = "Nothing moves."  # where a motion that was told before has ended


@dataclass(frozen=True)
class Description:
    """What a run of frames shows.

    Attributes:
        content: what is seen, one line.
        motion: what moves and how, one line; may be empty.
    """

    content: str
    motion: str

    @property
    def text(self) -> str:
        """The two as a segment carries them: content, line feed, motion; no line feed where nothing moves."""
        return f"{self.content}\n{self.motion}" if self.motion else self.content


class SemanticExtractor(Protocol):
    """Turns frames into text. Objects live for one stream and may keep state from call to call."""

    id: str

    def prepare(self, window: Window, runs: Sequence[range]) -> None:
        """Be told which runs of a window will be described, so that slow work is done for all of them at once.

        Args:
            window: of which the runs are.
            runs: positions in the window, each run without a gap.
        """

    def describe(
        self, window: Window, frames: range, max_bytes: int = 120, said: Description | None = None
    ) -> Description:
        """Describe consecutive frames of one shot.

        Args:
            window: of which the frames are.
            frames: their positions in it, at least one.
            max_bytes: bound on the coded text (``cmvc.bitstream.text.encode_text`` of ``Description.text``); what
                matters least is left out first. The empty description always fits.
            said: what the viewer was told of the frames before them, in the same shot. An empty content then stands
                for the same content, and an empty text for the same text; None where nothing can be repeated.
        """

    def notes(self) -> list[str]:
        """Return what the user should know at the end of the stream, one line each."""
