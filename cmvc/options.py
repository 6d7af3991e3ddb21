"""Options of services, each said once: a field of an ``Options`` class.

Flags, environment variables, help, the page ``docs/options.md`` and what ``cmvc serve all`` hands to the servers that
it starts follow from the field. Here is what a field says; ``cmvc.cli.options`` makes flags of it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from cmvc.errors import InvalidSettingError

_KEY = "cmvc.option"  # in the metadata of a field


@attrs.frozen
class _Said:
    """What a field says of its option, beside its type and default; see ``option``."""

    help: str
    flag: str | None
    name: str | None
    metavar: str | None
    variable: str | None
    default_text: str | None
    least: float | None
    above: float | None
    choices: Sequence[str] | None
    folder: bool
    hidden: bool


def option(
    default: Any,
    help: str,
    *,
    flag: str | None = None,
    name: str | None = None,
    metavar: str | None = None,
    variable: str | None = None,
    default_text: str | None = None,
    least: float | None = None,
    above: float | None = None,
    choices: Sequence[str] | None = None,
    folder: bool = False,
    hidden: bool = False,
) -> Any:
    """Return a field of an ``Options`` class that is an option of the command line, too.

    Args:
        default: where it is not given.
        help: one line.
        flag: such as ``--profile``; None: the field's name.
        name: by which ``CMVC_SERVE_..._NAME`` sets it; None: the field's.
        metavar: stands for the value in help.
        variable: a further environment variable, which also sets it where there is no command line.
        default_text: says in words what the default is.
        least: the value may not be below it.
        above: the value has to be above it.
        choices: what the value may be.
        folder: whether a path is that of a folder.
        hidden: whether help leaves it out.
    """
    said = _Said(help, flag, name, metavar, variable, default_text, least, above, choices, folder, hidden)
    return attrs.field(default=default, validator=_check, metadata={_KEY: said})


def _check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
    said: _Said = field.metadata[_KEY]
    if value is None:
        return
    low = (said.least is not None and value < said.least) or (said.above is not None and value <= said.above)
    if low or (said.choices is not None and value not in said.choices):
        raise InvalidSettingError(f"{field.name}={value} is out of range; see the option's help")


@attrs.frozen
class Options:
    """Base of classes whose fields are options. Fields made without ``option`` are for programs alone."""


O = TypeVar("O", bound=Options)  # noqa: E741 - a type variable of one letter


@attrs.frozen
class Option:
    """One option, everything said.

    Attributes:
        field: name in its class.
        name: by which ``CMVC_SERVE_..._NAME`` sets it.
        flag: such as ``--profile``.
        kind: type of the value, or of each of several.
        many: whether it may be given several times.
        default: where it is not given.
        help, metavar, variable, default_text, least, above, choices, folder, hidden: see ``option``.
    """

    field: str
    name: str
    flag: str
    kind: type
    many: bool
    default: Any
    help: str
    metavar: str | None
    variable: str | None
    default_text: str | None
    least: float | None
    above: float | None
    choices: Sequence[str] | None
    folder: bool
    hidden: bool


def declared(kind: type[Options]) -> Iterator[Option]:
    """Yield the options of a class, in the order of its fields."""
    hints = get_type_hints(kind)
    for field in attrs.fields(kind):
        said: _Said | None = field.metadata.get(_KEY)
        if said is None:
            continue
        value, many = _value_type(hints[field.name])
        yield Option(
            field=field.name,
            name=said.name or field.name,
            flag=said.flag or "--" + field.name.replace("_", "-"),
            kind=value,
            many=many,
            default=field.default,
            help=said.help,
            metavar=said.metavar,
            variable=said.variable,
            default_text=said.default_text,
            least=said.least,
            above=said.above,
            choices=said.choices,
            folder=said.folder,
            hidden=said.hidden,
        )


def _value_type(hint: Any) -> tuple[type, bool]:
    """Return the type of one value, and whether there may be several."""
    if get_origin(hint) in (Union, UnionType):  # such as Path | None
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0]), False
    if get_origin(hint) is not None and issubclass(get_origin(hint), Sequence):
        return get_args(hint)[0], True
    return hint, False


def arguments(options: Options) -> tuple[str, ...]:
    """Return the arguments that set ``options`` on a command line: every option that is not at its default."""
    given: list[str] = []
    for each in declared(type(options)):
        value = getattr(options, each.field)
        if value == each.default:
            continue
        if each.kind is bool:
            given.append(each.flag)
        else:
            given += [f"{each.flag}={item}" for item in (value if each.many else (value,))]
    return tuple(given)


def from_environment(kind: type[O]) -> O:
    """Return the options that variables of their own set (see ``option``), where there is no command line.

    Several values stand in one variable with spaces between them.

    Raises:
        InvalidSettingError: a value is out of range.
    """
    found: dict[str, Any] = {}
    for each in declared(kind):
        text = os.environ.get(each.variable or "", "")
        if text:
            convert: Callable[[str], Any] = each.kind
            found[each.field] = tuple(map(convert, text.split())) if each.many else convert(text)
    return kind(**found)
