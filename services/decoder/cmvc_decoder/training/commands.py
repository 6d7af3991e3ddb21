"""What the commands that train share: options, how they end, and what is said where libraries are missing.

Exit codes are those of ``cmvc``: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cmvc.cli.messages import print_error
from cmvc.errors import CancelledError, CmvcError, MissingServiceError
from cmvc_decoder.training.stopping import Stopping

_FAILED, _SIGNALLED = 1, 128

Decorator = Callable[[Any], Any]


def count(least: int, most: int | None = None) -> click.IntRange:
    """Return the type of an option that counts."""
    return click.IntRange(least, most)


VIDEOS = click.option("--videos", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
                      help="Folder of videos, searched with the folders in it.")  # fmt: skip
STEPS_OF_A_RUN = (
    click.option("--seed", default=0, show_default=True, type=count(0), help="Of all that is drawn by chance."),
    click.option("--save-every", default=250, show_default=True, type=count(1), help="Steps between saved states."),
)
ENDS = (
    click.option("--resume", is_flag=True, help="Go on with the run in --out, given the same options."),
    click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON."),
)


def with_options(options: Sequence[Decorator]) -> Decorator:
    """Return a decorator that gives a command all of the options, in their order."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@contextmanager
def run_of(context: click.Context) -> Iterator[Stopping]:
    """Listen for signals while a run lasts; where it fails or is stopped say so and exit with the code for it."""
    with Stopping() as stopping:
        try:
            yield stopping
        except CancelledError as error:
            print_error(error.reason, str(error))
            context.exit(_SIGNALLED + stopping.number)
        except CmvcError as error:
            print_error(error.reason, str(error))
            context.exit(_FAILED)
        except OSError as error:
            print_error("IO_ERROR", f"{error}; check the path and the space left on the device")
            context.exit(_FAILED)


@contextmanager
def libraries() -> Iterator[None]:
    """Load what training needs.

    Raises:
        MissingServiceError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        raise MissingServiceError(
            f"training needs {missing.name}, which is not installed; in a checkout run: pip install -c constraints.txt "
            "'.[cli]' './services/decoder[training]'"
        ) from None
