"""Many inputs into one folder, so that what was interrupted goes on where it stopped.

Beside the outputs, in the hidden folder ``.cmvc``, each has a record of what it was made of: the SHA-256 of its input
and of itself, and the settings. Where all of that still holds, the input is done and left alone.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cmvc import __version__
from cmvc.cli.folders import Folder
from cmvc.cli.messages import print_json, print_notes, say
from cmvc.cli.places import find_inputs, open_folder
from cmvc.errors import CmvcError, OutputExistsError
from cmvc.plain import one_line

_RECORDS = ".cmvc"
_RECORD_BYTES = 64 << 10


class State(StrEnum):
    """What became of an input."""

    DONE = "done"
    SKIPPED = "was done"
    FAILED = "failed"


@dataclass(frozen=True)
class Made:
    """What came of one input.

    Attributes:
        numbers: by name, what is worth a column of the table: frames, bytes and the like.
        notes: what the user should know.
        details: by name, what else ``--json`` says of one input.
    """

    numbers: Mapping[str, float]
    notes: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        input, output: names, in their folders.
        state: of the work.
        took_s: seconds that it took.
        numbers, notes: see ``Made``.
        error: why it failed.
    """

    input: str
    output: str
    state: State
    took_s: float = 0.0
    numbers: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class _Task:
    folder: Folder
    input: str
    output: str


Work = Callable[[Path, Path, str], Made]
"""Makes a file of a file; is given both paths, and what to call the work while it goes on."""


class Share(click.ParamType[tuple[int, int]]):
    """A share of the inputs such as 0/8: every eighth, from the first on."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return its number and how many there are."""
        if isinstance(value, tuple):
            return value
        number, slash, count = str(value).partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and int(number) < int(count)):
            self.fail(f"'{value}' is no share; write NUMBER/COUNT such as 0/8, NUMBER from 0", param, ctx)
        return int(number), int(count)


def many_flags(function: Any) -> Any:
    """Give a command the options for many inputs: ``folder`` and ``share``."""
    folder = click.option(
        "-o",
        "--output",
        "folder",
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="Folder for the outputs of many inputs and folders of them, s3:// and gs:// too; what is done is skipped.",
    )
    share = click.option(
        "--share", type=Share(), default="0/1", help="With -o: of the inputs, every COUNT-th from NUMBER on."
    )
    return folder(share(function))


def two_names(names: tuple[str, ...], metavar: str) -> tuple[str, str]:
    """Return the input and the output that are meant where there is no ``-o``.

    Raises:
        click.UsageError: they are not two.
    """
    if len(names) != 2:
        raise click.UsageError(f"give {metavar}; with -o DIR there may be many inputs, and folders of them")
    return names[0], names[1]


def run_many(
    places: Iterable[str],
    folder: str,
    work: Work,
    *,
    endings: frozenset[str],
    ending: str,
    settings: bytes,
    share: tuple[int, int],
    overwrite: bool,
) -> list[Outcome]:
    """Do ``work`` on every input that is not done yet, and say what became of each.

    An input that fails keeps none of the others from being done.

    Args:
        places: of inputs and folders of them.
        folder: for the outputs.
        work: makes one of them.
        endings: of inputs in folders.
        ending: of the outputs.
        settings: what outputs depend on beside their inputs.
        share: which inputs: its number, and how many shares there are.
        overwrite: whether what stands there and is not known is replaced.

    Raises:
        OSError: a place is not there.
    """
    target = open_folder(folder)
    tasks = list(_tasks(places, endings, ending))[share[0] :: share[1]]
    fingerprint = hashlib.sha256(__version__.encode() + b"\0" + settings).hexdigest()
    outcomes = []
    for number, task in enumerate(tasks, 1):
        called = f"{task.input} ({number}/{len(tasks)})"
        outcome = _run(task, target, work, called, fingerprint, overwrite=overwrite)
        say(f"{called}: {outcome.state}{': ' + outcome.error if outcome.error else ''}")
        print_notes(outcome.notes)
        outcomes.append(outcome)
    return outcomes


def _tasks(places: Iterable[str], endings: frozenset[str], ending: str) -> Iterator[_Task]:
    """Yield what is to be done, in order; inputs whose outputs would be of one name keep their endings in it."""
    found = [(folder, name) for place in places for folder, names in [find_inputs(place, endings)] for name in names]
    stems = Counter(str(PurePosixPath(name).with_suffix("")) for _, name in found)
    taken: set[str] = set()
    for folder, name in found:
        stem = str(PurePosixPath(name).with_suffix(""))
        output = (stem if stems[stem] == 1 else name) + ending
        if output in taken:
            raise click.UsageError(f"two inputs are called {one_line(name)}; give them folders of their own")
        taken.add(output)
        yield _Task(folder, name, output)


def _run(task: _Task, target: Folder, work: Work, called: str, fingerprint: str, *, overwrite: bool) -> Outcome:
    began = time.monotonic()
    try:
        with task.folder.local(task.input) as source:
            record = {"settings": fingerprint, "input_sha256": _digest_of(task)}
            known = _record(target, task.output)
            present = target.digest(task.output)
            if known and present == known.get("output_sha256") and record.items() <= known.items():
                return Outcome(task.input, task.output, State.SKIPPED, numbers=known.get("numbers", {}))
            if present and not known and not overwrite:
                raise OutputExistsError(f"{task.output} is there already, made by others; add -y to replace it")
            with target.written(task.output) as path:
                made = work(source, path, called)
            made_of = {**record, "output_sha256": target.digest(task.output), "numbers": dict(made.numbers)}
            target.write(_record_name(task.output), json.dumps(made_of, indent=1).encode())
    except (CmvcError, OSError) as error:
        reason = error.reason if isinstance(error, CmvcError) else "IO_ERROR"
        return Outcome(
            task.input, task.output, State.FAILED, round(time.monotonic() - began, 3), error=f"{reason}: {error}"
        )
    took = round(time.monotonic() - began, 3)
    return Outcome(task.input, task.output, State.DONE, took, made.numbers, made.notes)


def _digest_of(task: _Task) -> str:
    digest = task.folder.digest(task.input)
    if digest is None:
        raise FileNotFoundError(2, "No such file", task.input)
    return digest


def _record_name(output: str) -> str:
    return f"{_RECORDS}/{output}.json"


def _record(target: Folder, output: str) -> dict[str, Any] | None:
    """Return what is known of an output; None where that is nothing, or no JSON object."""
    data = target.read(_record_name(output), _RECORD_BYTES)
    with suppress(ValueError):
        found = json.loads(data or b"null")
        if isinstance(found, dict):
            return found
    return None


def report(outcomes: list[Outcome], *, as_json: bool) -> int:
    """Print what became of the inputs, and return the exit code: 1 where one of them failed."""
    counts = Counter(each.state for each in outcomes)
    if as_json:
        files = [asdict(each) for each in outcomes]
        print_json({"files": files, **{state.name.lower(): counts[state] for state in State}})
    else:
        console = Console() if Console().is_terminal else Console(width=200)
        console.print(_table(outcomes), highlight=False, markup=False)
    return 1 if counts[State.FAILED] else 0


def _table(outcomes: list[Outcome]) -> Table:
    columns = list(dict.fromkeys(name for each in outcomes for name in each.numbers))
    table = Table(box=None, pad_edge=False)
    table.add_column("output", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("took s", *columns):
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for each in outcomes:
        numbers = [_cell(each.numbers.get(name)) for name in columns]
        state = f"{each.state}: {one_line(each.error.partition(':')[0])}" if each.error else each.state
        table.add_row(one_line(each.output), state, f"{each.took_s:.1f}" if each.took_s else "", *numbers)
    return table


def _cell(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:.2f}" if isinstance(number, float) else str(number)
