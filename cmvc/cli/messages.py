"""What the commands say on standard error."""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import click

from cmvc.plain import one_line

F = TypeVar("F", bound=Callable[..., Any])
_WARNINGS = ("TRUNCATED: ", "CORRUPT: ")
_HOW_MUCH = "cmvc.cli.how_much"  # what is said, in the context: below 0 less, above 0 more


def how_much() -> int:
    """Return how much the user wants to be told: -1 only what went wrong, 0 the usual, 1 also what it took."""
    context = click.get_current_context(silent=True)
    return int(context.meta.get(_HOW_MUCH, 0)) if context else 0


def talking_flags(function: F) -> F:
    """Give a command ``-v`` and ``-q``, which ``how_much`` tells of."""

    def keep(level: int) -> Callable[[click.Context, click.Parameter, bool], None]:
        def callback(context: click.Context, _: click.Parameter, given: bool) -> None:
            if given:
                context.meta[_HOW_MUCH] = level

        return callback

    quiet = click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=keep(-1), help="Say only what went wrong."
    )
    verbose = click.option(
        "-v", "--verbose", is_flag=True, expose_value=False, callback=keep(1), help="Say what it took, too."
    )
    return verbose(quiet(function))


json_flag = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def say(line: str) -> None:
    """Print one line on standard error, where somebody listens; whatever is in it, it stays one line."""
    if how_much() >= 0:
        _print(line)


def print_error(reason: str, message: str) -> None:
    """Print the one line that a failed command leaves."""
    _print(f"error: {reason}: {message}")


def print_notes(notes: Iterable[str]) -> None:
    """Print what the user should know, one line each; what is missing from the result as a warning."""
    for note in notes:
        if note.startswith(_WARNINGS):
            _print(f"warning: {note}")
        else:
            say(f"note: {note}")


def print_json(found: Any) -> None:
    """Print one JSON object on standard output, in printable ASCII, whatever strangers wrote into it."""
    click.echo(json.dumps(found, indent=2, allow_nan=False).replace("\x7f", r"\u007f"))


def _print(line: str) -> None:
    with suppress(OSError):  # nobody listens: the work is as well done
        click.echo(one_line(line), err=True)
