"""One model, and several threads that want something made with it: what is of one shape is made in one run."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

LINGER_S = 0.2  # that a run waits for others to be ready, who have said that they will want something
_POLL_S = 0.1


class Shaped(Protocol):
    """Something to be made."""

    @property
    def shape(self) -> Any:
        """What those made in one batch must share; comparable."""


Wish = TypeVar("Wish", bound=Shaped)
Made = TypeVar("Made")


class Batcher(Generic[Wish, Made]):
    """Makes wishes in the order in which they came, each together with others of its shape.

    A thread of its own runs the model while there are wishes; callers only wait. So whoever is stopped returns at once,
    whatever else is made with it, and everything but the model goes on beside it.
    """

    def __init__(self, run: Callable[[Sequence[Wish]], list[Made]], batch: int) -> None:
        """Begin with nobody.

        Args:
            run: makes wishes, all of one shape, at most ``batch``; returns as many.
            batch: at least 1.
        """
        self._run = run
        self._batch = batch
        self._changed = threading.Condition()
        self._line: list[tuple[Wish, Future[Made]]] = []
        self._members = 0  # who may want something soon
        self._works = False

    @contextmanager
    def member(self) -> Iterator[None]:
        """Say that this thread will have wishes, so that runs that are not full linger for it."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def make(self, wish: Wish, check: Callable[[], object]) -> Made:
        """Return what is made of a wish of a ``member``.

        Args:
            wish: what is wanted.
            check: called while it is waited for; raises to give up.

        Raises:
            BaseException: what the run raised, or ``check``.
        """
        mine = wish, Future[Made]()
        with self._changed:
            self._line.append(mine)
            self._members -= 1
            if not self._works:
                self._works = True
                threading.Thread(target=self._work, name="model", daemon=True).start()
            self._changed.notify_all()
        try:
            while not wait([mine[1]], _POLL_S).done:
                check()
            return mine[1].result()
        finally:
            with self._changed:
                self._line = [each for each in self._line if each is not mine]
            self._count(1)

    def _count(self, more: int) -> None:
        with self._changed:
            self._members += more
            self._changed.notify_all()

    def _work(self) -> None:
        while chosen := self._next():
            futures = [future for _, future in chosen]
            try:
                answers = list(zip(futures, self._run([wish for wish, _ in chosen]), strict=True))
                for future, made in answers:
                    future.set_result(made)
            except BaseException as error:  # noqa: BLE001 - handed over to those who wait, whatever it is
                for future in futures:
                    future.set_exception(error)

    def _next(self) -> list[tuple[Wish, "Future[Made]"]]:
        """Take the next batch out of the line; nothing where there is none, and then this thread ends."""
        with self._changed:
            until = time.monotonic() + LINGER_S
            while self._members and self._line and len(self._first()) < self._batch:
                if not self._changed.wait(until - time.monotonic()):
                    break
            chosen = self._first()
            self._line = [each for each in self._line if all(each is not other for other in chosen)]
            self._works = bool(chosen)
            return chosen

    def _first(self) -> list[tuple[Wish, "Future[Made]"]]:
        alike = [each for each in self._line if each[0].shape == self._line[0][0].shape]
        return alike[: self._batch]
