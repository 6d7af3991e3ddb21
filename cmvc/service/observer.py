"""What a pipeline tells whoever measures it. No metrics library here: the services decide where numbers go."""

from typing import Protocol

from cmvc.bitstream.modes import Mode


class Observer(Protocol):
    """Is told what each segment took. Called from the pipeline's own thread or its helpers; must be quick.

    Stages of the encoder: ``ingest``, ``keyframe``, ``semantics``, ``rate`` (of which the two before it are part;
    they may overlap). A stage may be told in several pieces, each when it ends. Parts of a stream: ``text``,
    ``keyframe``, ``motion``, ``video``, ``audio``, ``overhead``; they add up to the stream's bytes.
    """

    def stage(self, stage: str, mode: Mode.ValueType, seconds: float) -> None:
        """A segment took ``seconds`` in ``stage``, which has just ended."""

    def payload(self, mode: Mode.ValueType, part: str, size: int) -> None:
        """``size`` bytes of ``part`` were written; the mode is unspecified for header, profiles and trailer."""

    def fallback(self, extractor: str) -> None:
        """The semantic extractor failed for one window, which "embedded" described instead."""


class NullObserver:
    """Measures nothing."""

    def stage(self, stage: str, mode: Mode.ValueType, seconds: float) -> None:
        """Do nothing."""

    def payload(self, mode: Mode.ValueType, part: str, size: int) -> None:
        """Do nothing."""

    def fallback(self, extractor: str) -> None:
        """Do nothing."""
