"""What a semantic extractor gives back: text that a generator can show."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from cmvc.media.picture import Picture


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

    def describe(self, pictures: Sequence[Picture], frame_rate: Fraction, max_bytes: int = 120) -> Description:
        """Describe consecutive frames of one shot.

        Args:
            pictures: the frames, at any size, at least one.
            frame_rate: in frames per second.
            max_bytes: bound on the coded text (``cmvc.bitstream.text.encode_text`` of ``Description.text``); what
                matters least is left out first. The empty description always fits.
        """
