"""What a pipeline tells whoever measures it. No metrics library here: the services decide where numbers go."""

from typing import Protocol

from cmvc.bitstream.modes import Mode


class Observer(Protocol):
    """Is told what each segment took. Called from the pipeline's own thread or its helpers; must be quick.

    Stages of the encoder: ``ingest``, ``keyframe``, ``semantics``, ``rate``. Parts of a stream: ``text``,
    ``keyframe``, ``motion``, ``video``, ``audio``, ``overhead``; they add up to the stream's bytes.
    """

    def stage(self, stage: str, mode: Mode.ValueType, seconds: float) -> None:
        """One segment took ``seconds`` in ``stage``."""

    def payload(self, mode: Mode.ValueType, part: str, size: int) -> None:
        """``size`` bytes of ``part`` were written; the mode is unspecified for header, profiles and trailer."""


class NullObserver:
    """Measures nothing."""

    def stage(self, stage: str, mode: Mode.ValueType, seconds: float) -> None:
        """Do nothing."""

    def payload(self, mode: Mode.ValueType, part: str, size: int) -> None:
        """Do nothing."""
