"""Windows are coded here, several at a time, each in a worker of its own."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cmvc.control import Control
from cmvc.errors import EncoderCrashedError
from cmvc.observer import Observer
from cmvc_encoder.coding.mode import Trial
from cmvc_encoder.coding.probe import Probe
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import SemanticExtractor
from cmvc_encoder.workers.pictures import SharedPictures, shared
from cmvc_encoder.workers.spawner import SPAWNER
from cmvc_encoder.workers.task import (
    Describe,
    Failed,
    Message,
    Order,
    Prepare,
    ProbeOrder,
    Result,
    Stage,
    Task,
)

TRIES = 2  # a worker may have been killed by whoever was short of memory


class Workshop:
    """Codes windows of one stream in workers. Safe to use from several threads."""

    def __init__(self, extractor: SemanticExtractor, observer: Observer, control: Control) -> None:
        """Take who is asked for descriptions, who is told how long stages took, and what ends all workers."""
        self._extractor = extractor
        self._asking = threading.Lock()  # extractors are not made for several threads
        self._observer = observer
        self._control = control
        self._content = ""  # see ``Trial``; where it matters windows are coded one after the other

    def code(self, window: Window, order: Order) -> Trial:
        """Return a window coded as ordered; raises as ``probe`` does."""
        if window.opens_shot:
            self._content = ""
        trial = self._carried_out(window, replace(order, content=self._content))
        assert isinstance(trial, Trial)
        self._content = trial.content or self._content
        return trial

    def probe(self, window: Window, order: ProbeOrder) -> Probe:
        """Return what trials of a window tell.

        Raises:
            CancelledError, DeadlineError: the work is to stop; the worker is gone then.
            EncoderCrashedError: workers end without a word.
            CmvcError: whatever went wrong in the worker or with the extractor.
        """
        found = self._carried_out(window, order)
        assert isinstance(found, Probe)
        return found

    def _carried_out(self, window: Window, order: Order | ProbeOrder) -> Result:
        window = window if isinstance(window.pictures, SharedPictures) else shared(window)
        for _ in range(TRIES):
            result = self._try(window, order)
            if result is not None:
                return result
        frames = f"{window.first_frame} to {window.first_frame + len(window.pictures) - 1}"
        raise EncoderCrashedError(
            f"{TRIES} processes that coded frames {frames} ended without a word; give them more memory, or use "
            "fewer at a time with --jobs"
        )

    def _try(self, window: Window, order: Order | ProbeOrder) -> Result | None:
        """Return what a worker made of a window in shared memory; None where it ended before."""
        assert isinstance(window.pictures, SharedPictures)
        bare = replace(window, pictures=[], following=None)
        task = Task(order, bare, window.pictures.layout, window.following is not None)
        self._control.check()
        with SPAWNER.worker(window.pictures.memory) as worker:
            forget = self._control.on_cancel(worker.kill)
            try:
                worker.connection.send(task)
                while True:
                    if not worker.connection.poll(self._control.remaining()):
                        self._control.check()
                        continue
                    message: Message = worker.connection.recv()
                    if isinstance(message, Result):
                        return message
                    self._answer(message, worker.connection.send, window)
            except (EOFError, ConnectionError):
                self._control.check()
                return None
            finally:
                forget()

    def _answer(self, message: Message, send: Callable[[Any], None], window: Window) -> None:
        match message:
            case Stage(stage, mode, seconds):
                self._observer.stage(stage, mode, seconds)
            case Prepare(runs):
                with self._asking:
                    self._extractor.prepare(window, runs)
                send(None)
            case Describe(frames, max_bytes, said):
                with self._asking:
                    description = self._extractor.describe(window, frames, max_bytes, said)
                send(description)
            case Failed(error):
                raise error
