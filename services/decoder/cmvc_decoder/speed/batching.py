"""One model, and several threads that want something made with it, in two stages.

What is of one shape is denoised in one run. The latents of a run are decoded in a thread of its own, one after the
other, while the next run denoises; each is let go as soon as it is decoded.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

LINGER_S = 0.2  # that a run waits for others to be ready, who have said that they will want something
_POLL_S = 0.1


class Shaped(Protocol):
    """Something to be made."""

    @property
    def shape(self) -> Any:
        """What those made in one batch must share; comparable."""

    @property
    def goes_on(self) -> bool:
        """Whether who wants it will want something more once it is made."""


Wish = TypeVar("Wish", bound=Shaped)
Latents = TypeVar("Latents")
Made = TypeVar("Made")


@dataclass(eq=False)
class _Place(Generic[Wish, Made]):
    """A wish that somebody waits for, unless ``left`` says that nobody does any more."""

    wish: Wish
    made: "Future[Made]" = field(default_factory=Future)
    left: bool = False


class Batcher(Generic[Wish, Latents, Made]):
    """Makes wishes in the order in which they came, each denoised together with others of its shape.

    A thread for each stage works while there is something to do; callers only wait. So whoever is stopped returns at
    once, whatever else is made with it, and everything but the model goes on beside it. What was denoised for somebody
    who is gone is not decoded.

    A run begins when fewer latents than a batch wait to be decoded, so that at most twice as many ever do.
    """

    def __init__(
        self,
        denoise: Callable[[Sequence[Wish]], Sequence[Latents]],
        decode: Callable[[Wish, Latents], Made],
        batch: int,
    ) -> None:
        """Begin with nobody.

        Args:
            denoise: takes wishes, all of one shape, at most ``batch``; returns as many latents. One call at a time.
            decode: makes one wish of its latents. One call at a time, beside one of ``denoise``.
            batch: at least 1.
        """
        self._denoise = denoise
        self._decode = decode
        self._batch = batch
        self._changed = threading.Condition()
        self._line: list[_Place[Wish, Made]] = []
        self._latents: dict[_Place[Wish, Made], Latents] = {}  # that wait to be decoded, the earliest first
        self._denoised: set[_Place[Wish, Made]] = set()  # that are waited for
        self._members = 0  # who may want something soon
        self._at_work: set[str] = set()  # stages

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
            BaseException: what its run or its decoding raised, or ``check``.
        """
        mine = _Place[Wish, Made](wish)
        with self._changed:
            self._line.append(mine)
            self._members -= 1
            self._set_to_work("model", self._run)
            self._changed.notify_all()
        try:
            while not wait([mine.made], _POLL_S).done:
                check()
            return mine.made.result()
        finally:
            with self._changed:
                mine.left = True
                self._line = [each for each in self._line if each is not mine]
                self._latents.pop(mine, None)
                self._denoised.discard(mine)
                self._members += 1
                self._changed.notify_all()

    def _count(self, more: int) -> None:
        with self._changed:
            self._members += more
            self._changed.notify_all()

    def _set_to_work(self, stage: str, work: Callable[[], bool]) -> None:
        """Have a stage work in a thread of its own, unless it does, until it has nothing to do; with the lock held."""

        def go_on() -> None:
            while work():
                pass

        if stage not in self._at_work:
            self._at_work.add(stage)
            threading.Thread(target=go_on, name=stage, daemon=True).start()

    def _run(self) -> bool:
        """Denoise the next batch and hand its latents over; return False where there is none."""
        chosen = self._next()
        if not chosen:
            return False
        try:
            made = dict(zip(chosen, self._denoise([each.wish for each in chosen]), strict=True))
        except BaseException as error:  # noqa: BLE001 - handed over to those who wait, whatever it is
            for each in chosen:
                each.made.set_exception(error)
            return True
        with self._changed:
            wanted = {place: latents for place, latents in made.items() if not place.left}
            self._latents |= wanted
            self._denoised |= wanted.keys()
            self._set_to_work("vae", self._decode_next)
        return True

    def _decode_next(self) -> bool:
        """Decode the latents that have waited longest; return False where none wait."""
        with self._changed:
            if not self._latents:
                self._at_work.discard("vae")
                return False
            place = next(iter(self._latents))
            latents = self._latents.pop(place)
            self._changed.notify_all()
        try:
            place.made.set_result(self._decode(place.wish, latents))
        except BaseException as error:  # noqa: BLE001 - handed over to who waits, whatever it is
            place.made.set_exception(error)
        return True

    def _next(self) -> "list[_Place[Wish, Made]]":
        """Take the next batch out of the line; nothing where there is none, and then the model has nothing to do."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._latents) < self._batch)
            self._gather()
            chosen = self._first()
            self._line = [each for each in self._line if each not in chosen]
            if not chosen:
                self._at_work.discard("model")
            return chosen

    def _gather(self) -> None:
        """Wait until the next run is full, or nobody more is to be expected soon.

        Those whose latents are being decoded come back when that is done: so segments that began together go on so.
        """
        until = time.monotonic() + LINGER_S
        while self._line and len(self._first()) < self._batch:
            if any(place.wish.goes_on for place in self._denoised):
                self._changed.wait()
                until = time.monotonic() + LINGER_S
            elif not self._members or not self._changed.wait(until - time.monotonic()):
                return

    def _first(self) -> "list[_Place[Wish, Made]]":
        alike = [each for each in self._line if each.wish.shape == self._line[0].wish.shape]
        return alike[: self._batch]
