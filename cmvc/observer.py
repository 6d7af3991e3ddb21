"""What a pipeline tells whoever measures it. No metrics library here: the services decide where numbers go."""

from types import TracebackType
from typing import Protocol, Self

from cmvc.bitstream.modes import Mode


class Piece(Protocol):
    """A piece of a pipeline's work: a context manager, to be entered and left in one thread."""

    def event(self, name: str, **attributes: str | float | bool) -> None:
        """Something happened within it, just now."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class NoPiece:
    """Nobody wants to know of the piece."""

    def event(self, name: str, **attributes: str | float | bool) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing."""


NO_PIECE = NoPiece()


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

    def video(self, mode: Mode.ValueType, seconds: float) -> None:
        """A segment that shows ``seconds`` of video is done."""

    def stream(self, mode: Mode.ValueType, bits_per_second: float, bits_per_pixel: float) -> None:
        """A stream has ended at these rates, by the pixels of the source; the mode is the one asked for."""

    def over_target(self, mode: Mode.ValueType) -> None:
        """A stream has ended over the bit rate asked for; the mode is the one asked for."""

    def stored_plain(self, mode: Mode.ValueType) -> None:
        """The AV1 payload of a segment was stored plain: packing would not give it back, or saves nothing."""

    def fallback(self, extractor: str) -> None:
        """The semantic extractor failed for one window, which "embedded" described instead."""

    def generation(self, pixel_steps: int) -> None:
        """A model is about to make a segment: so many pixels, times denoising steps."""

    def piece(self, name: str, **attributes: str | float | bool) -> Piece:
        """Return a piece of the work that begins now: what is told within it belongs to it.

        Pieces are each ``window`` of an encoder and each ``segment`` of a decoder's stream, with their ``index``, and
        ``generate``, which is told as a stage, too.
        """


class NullObserver:
    """Measures nothing."""

    def stage(self, stage: str, mode: Mode.ValueType, seconds: float) -> None:
        """Do nothing."""

    def payload(self, mode: Mode.ValueType, part: str, size: int) -> None:
        """Do nothing."""

    def video(self, mode: Mode.ValueType, seconds: float) -> None:
        """Do nothing."""

    def stream(self, mode: Mode.ValueType, bits_per_second: float, bits_per_pixel: float) -> None:
        """Do nothing."""

    def over_target(self, mode: Mode.ValueType) -> None:
        """Do nothing."""

    def stored_plain(self, mode: Mode.ValueType) -> None:
        """Do nothing."""

    def fallback(self, extractor: str) -> None:
        """Do nothing."""

    def generation(self, pixel_steps: int) -> None:
        """Do nothing."""

    def piece(self, name: str, **attributes: str | float | bool) -> Piece:  # noqa: ARG002
        """Return one that does nothing."""
        return NO_PIECE
