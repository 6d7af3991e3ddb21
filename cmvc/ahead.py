"""Work in threads of its own: ahead of its consumer, or with a limit to how long it is waited for."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from contextvars import copy_context
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_POLL_SECONDS = 0.1


class StoppedError(Exception):
    """Ends work whose result nobody wants any more."""


class _End:
    """Marks the end of the items, with the error that caused it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Yield ``items`` while a thread works out up to ``depth`` more; see ``merged``."""
    with closing(merged([items], depth)) as numbered:
        for _, item in numbered:
            yield item


class Begun(Generic[T]):
    """The items of a source, which a thread works out from now on, up to ``depth`` ahead.

    An error is raised after the items before it. To be closed: that stops the source before its next item, and waits
    for it.
    """

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._work = _Ahead[T](depth)
        self._thread = self._work.thread(0, items)
        self._thread.start()
        self._ended = False

    def __iter__(self) -> Iterator[T]:
        """Return itself."""
        return self

    def __next__(self) -> T:
        """Return the next item."""
        item = _End() if self._ended else self._work.ready.get()
        if not isinstance(item, _End):
            return item[1]
        self._ended = True
        if item.error:
            raise item.error
        raise StopIteration

    def close(self) -> None:
        """Stop the source."""
        self._work.stopped.set()
        self._thread.join()


def merged(sources: Sequence[Iterator[T]], depth: int) -> Generator[tuple[int, T], None, None]:
    """Yield the items of several sources as they come, each with its source's number.

    Each source is worked out in a thread of its own, all together up to ``depth`` items ahead. An error of one is
    raised here, after the items before it. When the consumer stops early (closes this generator), each source is
    stopped before its next item, and this waits for that.
    """
    work = _Ahead[T](depth)
    threads = [work.thread(number, items) for number, items in enumerate(sources)]
    for thread in threads:
        thread.start()
    left = len(threads)
    try:
        while left:
            item = work.ready.get()
            if not isinstance(item, _End):
                yield item
            elif item.error:
                raise item.error
            else:
                left -= 1
    finally:
        work.stopped.set()
        for thread in threads:
            thread.join()


class _Ahead(Generic[T]):
    """What threads work out ahead of one consumer."""

    def __init__(self, depth: int) -> None:
        self.ready: queue.Queue[tuple[int, T] | _End] = queue.Queue(depth)
        self.stopped = threading.Event()

    def thread(self, number: int, items: Iterator[T]) -> threading.Thread:
        """Return a thread for ``produce``, in a copy of this context: traces and logs know what its work belongs to."""
        run = copy_context().run
        return threading.Thread(target=run, args=(self.produce, number, items), name="ahead", daemon=True)

    def produce(self, number: int, items: Iterator[T]) -> None:
        """Offer each of the items, until they end or nobody wants them any more."""
        end = _End()
        try:
            for item in items:
                self._offer((number, item))
                if self.stopped.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, whatever it is
            end = _End(error)
        finally:
            close = getattr(items, "close", None)
            if close:
                close()
        self._offer(end)

    def _offer(self, item: tuple[int, T] | _End) -> None:
        while not self.stopped.is_set():
            with suppress(queue.Full):
                self.ready.put(item, timeout=_POLL_SECONDS)
                return


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, run in a thread of its own.

    Raises:
        TimeoutError: it took longer; its thread is left behind, since nothing can end it.
        BaseException: whatever ``work`` raised.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed over to the caller, whatever it is
            done.set_exception(error)

    threading.Thread(target=run, name="within", daemon=True).start()
    return done.result(seconds)


def reported(work: Callable[[Callable[[T | None], None]], R]) -> Generator[T, None, R]:
    """Yield what ``work`` reports while it runs in a thread of its own; return what it returns.

    Args:
        work: is given a function to report with; None reports nothing. Once the consumer has stopped early (closed this
            generator), that function raises ``StoppedError``, and this waits for ``work`` to end.

    Raises:
        BaseException: whatever ``work`` raised, after its reports.
    """
    reports: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
    stopped = threading.Event()
    done: Future[R] = Future()

    def report(item: T | None) -> None:
        if stopped.is_set():
            raise StoppedError("nobody wants the result any more")
        if item is not None:
            reports.put(item)

    def run() -> None:
        try:
            done.set_result(work(report))
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, whatever it is
            done.set_exception(error)
        finally:
            reports.put(_End())

    thread = threading.Thread(target=run, name="reported", daemon=True)
    thread.start()
    try:
        while not isinstance(item := reports.get(), _End):
            yield item
    finally:
        stopped.set()
        thread.join()
    return done.result()


def beats(work: Callable[[], R], seconds: float, stop: Callable[[], object] = lambda: None) -> Generator[None, None, R]:
    """Yield every ``seconds`` while ``work`` runs in a thread of its own; return what it returns.

    When the consumer stops early (closes this generator), it calls ``stop`` and waits for ``work`` to end.

    Raises:
        BaseException: whatever ``work`` raised.
    """
    done: Future[R] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, whatever it is
            done.set_exception(error)

    # In a copy of this context, so that traces and logs know what the work belongs to.
    thread = threading.Thread(target=copy_context().run, args=(run,), name="beats", daemon=True)
    thread.start()
    try:
        while not done.done():
            thread.join(seconds)
            if not done.done():
                yield
    finally:
        if not done.done():
            stop()
        thread.join()
    return done.result()


class Pace:
    """Says when it is time again to tell how far the work has come."""

    def __init__(self, seconds: float) -> None:
        """Let so many seconds pass between two times."""
        self._seconds = seconds
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Return whether it is time; if so, the next seconds begin."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


class Stopwatch(Generic[T]):
    """Passes ``items`` on, counts them in ``count``, and the time spent in them in ``seconds``."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self.seconds = 0.0
        self.count = 0

    def __iter__(self) -> Iterator[T]:
        """Return itself."""
        return self

    def __next__(self) -> T:
        """Return the next item."""
        started = time.monotonic()
        try:
            item = next(self._items)
        finally:
            self.seconds += time.monotonic() - started
        self.count += 1
        return item

    def close(self) -> None:
        """Stop the items, where they can be stopped."""
        close = getattr(self._items, "close", None)
        if close:
            close()
