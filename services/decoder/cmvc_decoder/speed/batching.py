"""Several jobs at once: what they want at the same time and in the same shape is made in one run of the model."""

from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar


class Shaped(Protocol):
    """Something to be made."""

    @property
    def shape(self) -> Any:
        """What those made in one batch must share; hashable."""


Wish = TypeVar("Wish", bound=Shaped)
Made = TypeVar("Made")
Result = TypeVar("Result")


def drive(
    jobs: Sequence[Generator[Wish, Made, Result]], run: Callable[[Sequence[Wish]], list[Made]], batch: int
) -> list[Result]:
    """Run jobs to their ends and return what each returned, in their order.

    A job yields what it wants made, such as a ``Window``, and is sent what was made of it, until it returns. All jobs
    wait until the fullest batch, the one of the earliest job among equals, was made.

    Args:
        jobs: not yet started.
        run: makes what is wanted; all of one shape, at most ``batch``; returns as many.
        batch: at least 1.

    Raises:
        ValueError: ``run`` returned more or fewer than it was given.
        BaseException: whatever ``run`` or a job raises. All jobs are closed then.
    """
    results: dict[int, Result] = {}
    wishes: dict[int, Wish] = {}

    def advance(number: int, made: Made | None) -> None:
        try:
            # To send None is to start; a job that was started is sent only what was made.
            wishes[number] = jobs[number].send(made)  # type: ignore[arg-type]
        except StopIteration as end:
            results[number] = end.value

    try:
        for number in range(len(jobs)):
            advance(number, None)
        while wishes:
            chosen = _fullest(wishes, batch)
            made = run([wishes.pop(number) for number in chosen])
            for number, each in zip(chosen, made, strict=True):
                advance(number, each)
    finally:
        for job in jobs:
            job.close()
    return [results[number] for number in range(len(jobs))]


def _fullest(wishes: dict[int, Wish], batch: int) -> list[int]:
    """Return the numbers of the jobs whose wishes make the fullest batch."""
    groups: dict[Any, list[int]] = {}
    for number in sorted(wishes):
        groups.setdefault(wishes[number].shape, []).append(number)
    return max(groups.values(), key=lambda group: min(len(group), batch))[:batch]
