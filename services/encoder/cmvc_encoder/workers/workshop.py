"""Windows are coded here, several at a time, each in a worker of its own."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from cmvc.control import Control
from cmvc.errors import EncoderCrashedError, EncoderStalledError
from cmvc.observer import Observer
from cmvc.processes.spawner import Worker
from cmvc_encoder.coding.mode import Trial
from cmvc_encoder.coding.probe import Probe
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import SemanticExtractor
from cmvc_encoder.workers import life
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

TRIES = 2  # a worker may have been killed by whoever was short of memory, or hang where it seldom does
Lost = EncoderCrashedError | EncoderStalledError
log = logging.getLogger(__name__)


class _SilentError(Exception):
    """A worker hangs."""


@contextmanager
def _heard_out() -> Iterator[None]:
    """Say of a message that stops in the middle that the worker hangs."""
    try:
        yield
    except BlockingIOError:  # see ``Spawner.worker``
        raise _SilentError from None


def _send(worker: Worker, message: object) -> None:
    with _heard_out():
        worker.connection.send(message)


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
            EncoderStalledError: a worker hangs (see ``workers.life``), and so does another.
            CmvcError: whatever went wrong in the worker or with the extractor.
        """
        found = self._carried_out(window, order)
        assert isinstance(found, Probe)
        return found

    def _carried_out(self, window: Window, order: Order | ProbeOrder) -> Result:
        window = window if isinstance(window.pictures, SharedPictures) else shared(window)
        result = self._try(window, order)
        for _ in range(TRIES - 1):
            if isinstance(result, Lost):
                log.warning("%s; they are coded again", result)
                result = self._try(window, order)
        if isinstance(result, Lost):
            raise result
        return result

    def _try(self, window: Window, order: Order | ProbeOrder) -> Result | Lost:
        """Return what a worker made of a window in shared memory; an error where it ended before, or hangs."""
        assert isinstance(window.pictures, SharedPictures)
        bare = replace(window, pictures=[], following=None)
        task = Task(order, bare, window.pictures.layout, window.following is not None)
        frames = f"{window.first_frame} to {window.first_frame + len(window.pictures) - 1}"
        self._control.check()
        with SPAWNER.worker(window.pictures.memory, patience_s=life.SILENT_SECONDS) as worker:
            forget = self._control.on_cancel(worker.kill)
            try:
                return self._talk(worker, task, window)
            except (EOFError, ConnectionError):
                self._control.check()
                return EncoderCrashedError(
                    f"a process that coded frames {frames} ended without a word; give it more memory, or use fewer "
                    "at a time with --jobs"
                )
            except _SilentError:
                return EncoderStalledError(
                    f"a process that coded frames {frames} said nothing for {life.SILENT_SECONDS:g} s; see whether the "
                    "machine has memory and processor time left for it"
                )
            finally:
                forget()

    def _talk(self, worker: Worker, task: Task, window: Window) -> Result:
        """Give a worker its task, answer its questions, and return its result."""
        _send(worker, task)
        patience = life.STARTING_SECONDS
        while not isinstance(message := self._next(worker, patience), Result):
            self._answer(message, partial(_send, worker), window)
            patience = life.SILENT_SECONDS
        return message

    def _next(self, worker: Worker, patience_s: float) -> Message:
        """Return a worker's next message.

        Raises:
            _SilentError: none came, or not to its end.
            EOFError, ConnectionError: it has ended.
            CancelledError, DeadlineError: the work is to stop.
        """
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            left = self._control.remaining()
            wait = max(end - time.monotonic(), 0.0)
            if worker.connection.poll(wait if left is None else min(left, wait)):
                with _heard_out():
                    message: Message = worker.connection.recv()
                return message
            self._control.check()
        raise _SilentError

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
