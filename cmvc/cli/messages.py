"""What the commands say on standard error, and how they show progress there."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from cmvc.client import ProgressCallback
from cmvc.plain import one_line
from cmvc.v1 import common_pb2

_WARNINGS = ("TRUNCATED: ", "CORRUPT: ")


def say(line: str) -> None:
    """Print one line on standard error, where somebody listens; whatever is in it, it stays one line."""
    with suppress(OSError):  # nobody does: the work is as well done
        click.echo(one_line(line), err=True)


def print_error(reason: str, message: str) -> None:
    """Print the one line that a failed command leaves."""
    say(f"error: {reason}: {message}")


def print_notes(notes: Iterable[str]) -> None:
    """Print what the user should know, one line each; what is missing from the result as a warning."""
    for note in notes:
        kind = "warning" if note.startswith(_WARNINGS) else "note"
        say(f"{kind}: {note}")


class _Rate(ProgressColumn):
    """Bit rate of the CMVC stream so far."""

    def render(self, task: Task) -> Text:
        rate = task.fields.get("kbit_per_s")
        return Text("" if rate is None else f"{rate:.2f} kbit/s")


@contextmanager
def progress_bar(verb: str, count: Callable[[], int] = lambda: 0) -> Iterator[ProgressCallback | None]:
    """Show a bar on standard error while the block runs, if that is a terminal; yield what to call with progress.

    Args:
        verb: what is being done.
        count: says how many frames there are in all, where progress itself does not; 0 for unknown.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.fields[of]} frames"),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        known = count()
        task = bar.add_task(verb, total=known or None, of=known or "?")

        def show(progress: common_pb2.Progress) -> None:
            seconds, total = progress.seconds_done, progress.frames_total or known
            bar.update(
                task,
                completed=progress.frames_done,
                total=total or None,
                of=total or "?",
                kbit_per_s=8e-3 * progress.stream_bytes / seconds if seconds else None,
            )

        yield show
