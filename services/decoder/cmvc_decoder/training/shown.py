"""Progress of a training run, as a command shows it."""

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Shown:
    """Shows progress on standard error: bars on a terminal, lines elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Show nothing if ``quiet``."""
        self._console = Console(stderr=True, quiet=quiet)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Show bars from here on."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show them no more."""
        self._bars.stop()

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show that ``done`` of ``total`` are done of ``what``."""
        if what not in self._tasks:
            if not self._console.is_terminal:
                self.line(f"{what}: {done} of {total}")
            self._tasks[what] = self._bars.add_task(what, total=total, completed=done, note=note)
        self._bars.update(self._tasks[what], completed=done, total=total, note=note)

    def line(self, text: str) -> None:
        """Show a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
