"""How far a command has come: a bar at a terminal, now and then a line elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from cmvc.cli.messages import how_much, say
from cmvc.client import ProgressCallback
from cmvc.v1 import common_pb2

LINE_SECONDS = 10.0  # between two lines, where there is no terminal
_PATIENCE_SECONDS = 3600.0  # over which the speed is averaged: a window may take a minute


class _Rate(ProgressColumn):
    """Bit rate of the CMVC stream so far."""

    def render(self, task: Task) -> Text:
        rate = task.fields.get("kbit_per_s")
        return Text("" if rate is None else f"{rate:.2f} kbit/s")


@contextmanager
def progress_bar(verb: str, count: Callable[[], int] = lambda: 0) -> Iterator[ProgressCallback | None]:
    """Show on standard error how far the block has come; yield what to call with progress.

    At a terminal that is a bar, elsewhere a line every ``LINE_SECONDS``; nothing where the user wants to hear nothing.

    Args:
        verb: what is being done.
        count: says how many frames there are in all, where progress itself does not; 0 for unknown.
    """
    console = Console(stderr=True)
    if how_much() < 0:
        yield None
    elif console.is_terminal:
        with _bar(verb, count(), console) as show:
            yield show
    else:
        yield Lines(verb, count).show


@contextmanager
def _bar(verb: str, known: int, console: Console) -> Iterator[ProgressCallback]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.fields[of]} frames"),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, speed_estimate_period=_PATIENCE_SECONDS) as bar:
        task = bar.add_task(verb, total=known or None, of=known or "?")

        def show(progress: common_pb2.Progress) -> None:
            total = progress.frames_total or known
            bar.update(
                task,
                completed=progress.frames_done,
                total=total or None,
                of=total or "?",
                kbit_per_s=_rate(progress),
            )

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
        self,
        verb: str,
        count: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[str], None] = say,
    ) -> None:
        """See ``progress_bar``; ``clock`` counts seconds, ``write`` takes a line."""
        self._verb, self._count, self._clock, self._write = verb, count, clock, write
        self._known: int | None = None  # once it is worth counting
        self._began = self._said = clock()

    def show(self, progress: common_pb2.Progress) -> None:
        """Take note of progress."""
        now = self._clock()
        if now - self._said < LINE_SECONDS:
            return
        self._said = now
        if self._known is None:
            self._known = self._count()
        total, done = progress.frames_total or self._known, progress.frames_done
        rate = _rate(progress)
        parts = [f"{done}/{total or '?'} frames"]
        parts += [f"{rate:.2f} kbit/s"] if rate is not None else []
        if done and total:
            left = (now - self._began) * (total - done) / done
            parts.append(f"{timedelta(seconds=round(max(left, 0)))} left")
        self._write(f"{self._verb}: {', '.join(parts)}")


def _rate(progress: common_pb2.Progress) -> float | None:
    """Return the bit rate of the CMVC stream so far in kbit/s, None where it is not known."""
    return 8e-3 * progress.stream_bytes / progress.seconds_done if progress.seconds_done else None
