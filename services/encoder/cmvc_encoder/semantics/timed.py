"""Tells an observer how long an extractor took."""

import time
from collections.abc import Sequence

from cmvc.bitstream.modes import Mode
from cmvc.observer import Observer
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import Description, SemanticExtractor


class TimedExtractor:
    """An extractor whose time is reported as the stage ``semantics``, that of ``prepare`` with the next description."""

    def __init__(self, extractor: SemanticExtractor, mode: Mode.ValueType, observer: Observer) -> None:
        """Report under ``mode``."""
        self.id = extractor.id
        self._extractor = extractor
        self._mode = mode
        self._observer = observer
        self._started: float | None = None  # when ``prepare`` was called, until it is reported

    def prepare(self, window: Window, runs: Sequence[range]) -> None:
        """Prepare; see ``SemanticExtractor``."""
        self._started = time.perf_counter()
        self._extractor.prepare(window, runs)

    def describe(
        self, window: Window, frames: range, max_bytes: int = 120, said: Description | None = None
    ) -> Description:
        """Describe and report; see ``SemanticExtractor``."""
        started = self._started or time.perf_counter()
        self._started = None
        description = self._extractor.describe(window, frames, max_bytes, said)
        self._observer.stage("semantics", self._mode, time.perf_counter() - started)
        return description

    def notes(self) -> list[str]:
        """Return what the extractor says."""
        return self._extractor.notes()
