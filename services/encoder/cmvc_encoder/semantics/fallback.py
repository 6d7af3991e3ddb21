"""Keeps a stream going when a model fails or is slow: ``embedded`` stands in, counted and said at the end."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from threading import Thread
from typing import Any, TypeVar

from cmvc.control import Control
from cmvc.errors import CmvcError, SemanticsError
from cmvc.notes import Note
from cmvc.observer import Observer
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import Description, SemanticExtractor
from cmvc_encoder.semantics.embedded import EmbeddedExtractor

T = TypeVar("T")
DEFAULT_PATIENCE_S = 60.0  # for one window; a small model on a CPU takes some seconds
MOST_RESTED = 16  # windows without asking, after failures in a row
_POLL_SECONDS = 0.1
_log = logging.getLogger(__name__)


class FallbackExtractor:
    """Describes by a model while it answers in time. After a failure ``embedded`` describes the rest of the window.

    The model is asked again at the next window, after a second failure in a row a window later, then two, four, up to
    ``MOST_RESTED``.
    """

    def __init__(
        self, model: SemanticExtractor, control: Control, observer: Observer, *, patience_s: float, strict: bool
    ) -> None:
        """Stand in for ``model``.

        Args:
            model: the extractor that may fail.
            control: of the stream; ends the waiting.
            observer: is told of each window that ``embedded`` described instead.
            patience_s: longest time for the answers about one window.
            strict: raise instead of standing in.
        """
        self.id = model.id
        self._model = model
        self._stand_in = EmbeddedExtractor()
        self._control = control
        self._observer = observer
        self._patience_s = patience_s
        self._strict = strict
        self._stuck: Future[Any] | None = None
        self._window = -1  # the first frame of the last one
        self._windows = 0
        self._replaced = 0  # windows
        self._failures = 0  # in a row
        self._rest = 0  # windows still to pass without asking
        self._failed_here = False
        self._reason = ""

    def prepare(self, window: Window, runs: Sequence[range]) -> None:
        """Have the model prepare; see ``SemanticExtractor``.

        Raises:
            SemanticsError: it failed, under ``strict``.
        """
        self._enter(window)
        self._try(lambda: self._model.prepare(window, runs))

    def describe(
        self, window: Window, frames: range, max_bytes: int = 120, said: Description | None = None
    ) -> Description:
        """Describe by the model, else by ``embedded``; see ``SemanticExtractor``.

        Raises:
            SemanticsError: the model failed, under ``strict``.
        """
        self._enter(window)
        found = self._try(lambda: self._model.describe(window, frames, max_bytes, said))
        return found or self._stand_in.describe(window, frames, max_bytes, said)

    def notes(self) -> list[str]:
        """Return how many windows ``embedded`` described, and why."""
        if not self._replaced:
            return self._model.notes()
        return [
            Note.SEMANTICS.line(
                f"'embedded' described {self._replaced} of {self._windows} windows instead of '{self.id}': "
                f"{self._reason}"
            )
        ]

    def _enter(self, window: Window) -> None:
        """Note a new window."""
        if window.first_frame == self._window:
            return
        self._window = window.first_frame
        self._windows += 1
        self._failed_here = self._rest > 0
        if self._rest:
            self._rest -= 1
            self._replace()

    def _try(self, work: Callable[[], T]) -> T | None:
        """Return what the model says; None where it fails or is not asked."""
        if self._failed_here:
            return None
        try:
            found = self._within_patience(work)
        except SemanticsError as error:
            if self._strict:
                raise
            self._reason = str(error)
            self._failed_here = True
            self._rest = min(2 ** (self._failures - 1), MOST_RESTED) if self._failures else 0
            self._failures += 1
            self._replace()
            _log.warning("semantics: '%s' failed, 'embedded' stands in: %s", self.id, error)
            return None
        self._failures = 0
        return found

    def _replace(self) -> None:
        self._replaced += 1
        self._observer.fallback(self.id)

    def _within_patience(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns; raise when it takes too long, is cancelled, or an earlier one never ended."""
        if self._stuck and not self._stuck.done():
            raise SemanticsError(
                "the model is still at an earlier question; give it more patience_s or a faster device"
            )
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed over to whoever waits, whatever it is
                done.set_exception(error)

        Thread(target=run, name="semantics", daemon=True).start()  # daemon: nothing can end a model that hangs
        end = time.monotonic() + self._patience_s
        while not wait([done], timeout=_POLL_SECONDS).done:
            try:
                self._control.check()
                if time.monotonic() > end:
                    raise SemanticsError(
                        f"no answer within {self._patience_s:g} s; give it more patience_s or a faster device"
                    )
            except CmvcError:
                self._stuck = done
                raise
        return done.result()
