"""How far a command has come: a bar at a terminal, now and then a line elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from cmvc.cli.messages import how_much, say
from cmvc.client import ProgressCallback
from cmvc.plain import one_line
from cmvc.v1 import common_pb2

LINE_SECONDS = 10.0  # between two lines, where there is no terminal


@contextmanager
def progress_bar(verb: str) -> Iterator[ProgressCallback | None]:
    """Show on standard error how far the block has come; yield what to call with progress.

    At a terminal that is a bar, elsewhere a line every ``LINE_SECONDS``; nothing where the user wants to hear nothing.
    """
    console = Console(stderr=True)
    if how_much() < 0:
        yield None
    elif console.is_terminal:
        with _bar(verb, console) as show:
            yield show
    else:
        yield Lines(verb).show


@contextmanager
def _bar(verb: str, console: Console) -> Iterator[ProgressCallback]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[says]}"))
    began = time.monotonic()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(one_line(verb), total=None, says="")

        def show(progress: common_pb2.Progress) -> None:
            done = progress.frames_done  # before the first the bar only shows that something goes on
            total = progress.frames_total if done and progress.frames_total else None
            says = "  ".join(_says(progress, time.monotonic() - began))
            bar.update(task, completed=done, total=total, says=says)

        yield show


def frames_to(show: ProgressCallback | None) -> Callable[[int, int | None], None]:
    """Return what is told of frames done, and of all there are where that is known, and shows it."""

    def tell(done: int, total: int | None) -> None:
        if show:
            show(common_pb2.Progress(frames_done=done, frames_total=total or 0))

    return tell


class Lines:
    """Says how far something has come, one line at a time."""

    def __init__(
        self, verb: str, clock: Callable[[], float] = time.monotonic, write: Callable[[str], None] = say
    ) -> None:
        """See ``progress_bar``; ``clock`` counts seconds, ``write`` takes a line."""
        self._verb, self._clock, self._write = verb, clock, write
        self._began = self._said = clock()

    def show(self, progress: common_pb2.Progress) -> None:
        """Take note of progress."""
        now = self._clock()
        if now - self._said < LINE_SECONDS:
            return
        self._said = now
        self._write(f"{self._verb}: {', '.join(_says(progress, now - self._began))}")


def _says(progress: common_pb2.Progress, seconds: float) -> Iterator[str]:
    """Yield what there is to say of what was done in ``seconds``, in pieces."""
    done, total, read = progress.frames_done, progress.frames_total, progress.frames_read
    yield f"{done}/{total or '?'} frames"
    if not done and read:
        yield f"{read} read"
    if progress.seconds_done:
        yield f"{8e-3 * progress.stream_bytes / progress.seconds_done:.2f} kbit/s"
    if done and total:
        yield f"{timedelta(seconds=round(max(0.0, seconds * (total - done) / done)))} left"
