"""Options that several commands share, and how they become values."""

import errno
import sys
from collections.abc import Callable, Collection
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar, cast

import attrs
import click

from cmvc.bounds import ENCODE_BOUNDS
from cmvc.client import Client
from cmvc.errors import InvalidSettingError, MissingServiceError
from cmvc.options import Option, Options, declared, option
from cmvc.services import load_encoder
from cmvc.settings import parse_audio, parse_bitrate, parse_seconds
from cmvc.wire.security import ChannelSecurity

F = TypeVar("F", bound=Callable[..., Any])
O = TypeVar("O", bound=Options)  # noqa: E741 - a type variable of one letter


INPUT = click.Path(allow_dash=True)  # checked by whoever opens it; said so that shells complete names of files


class BitRate(click.ParamType[int]):
    """A bit rate such as 8k, 12000 or 1.5M."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return it in bit/s."""
        try:
            return parse_bitrate(str(value))
        except InvalidSettingError as error:
            self.fail(str(error), param, ctx)


class Seconds(click.ParamType[float]):
    """A time such as 90, 1:30 or 0:01:30.5."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return it in seconds."""
        try:
            return parse_seconds(str(value))
        except InvalidSettingError as error:
            self.fail(str(error), param, ctx)


class Audio(click.ParamType[str]):
    """A way to treat sound: auto, none, copy or opus:RATE."""

    name = "audio"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as it is, once it is known to be one."""
        try:
            parse_audio(str(value))
        except InvalidSettingError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def whole_number(path: str) -> click.IntRange:
    """Return the type of an option for the field of ``EncodeConfig`` at ``path``, within its bound."""
    bound = ENCODE_BOUNDS[path]
    return click.IntRange(int(bound.least), int(bound.most))


def number(path: str, unit: float = 1) -> click.FloatRange:
    """Return the type of an option for the field at ``path``, in units of ``unit`` of the field's."""
    bound = ENCODE_BOUNDS[path]
    return click.FloatRange(bound.least / unit, bound.most / unit)


def option_flags(*kinds: type[Options], only: Collection[str] = ()) -> Callable[[F], F]:
    """Return what gives a command the options of ``kinds`` (see ``cmvc.options``); of some fields ``only``."""
    wanted = [each for kind in kinds for each in declared(kind) if not only or each.field in only]

    def add(function: F) -> F:
        for each in reversed(wanted):
            function = _flag(each)(function)
        return function

    return add


def take_options(kind: type[O], settings: dict[str, Any]) -> O:
    """Take the values of a class's options out of a command's ``settings`` and return what they stand for."""
    return kind(**{each.field: settings.pop(each.name) for each in declared(kind) if each.name in settings})


def _flag(each: Option) -> Callable[[F], F]:
    has_default = each.default not in (None, "", (), False)
    words = f"  [default: {each.default_text}]" if each.default_text and not has_default else ""
    return click.option(
        each.flag,
        each.name,
        type=_click_type(each),
        default=each.default,
        show_default=(each.default_text or True) if has_default else False,
        multiple=each.many,
        is_flag=each.kind is bool,
        metavar=each.metavar,
        envvar=each.variable,
        hidden=each.hidden,
        help=each.help + words,
    )


def _click_type(each: Option) -> click.ParamType[Any] | None:
    if each.choices is not None:
        return click.Choice(each.choices)
    if each.kind is int:
        return click.IntRange(min=None if each.least is None else int(each.least))
    if each.kind is float:
        return click.FloatRange(min=each.least if each.above is None else each.above, min_open=each.above is not None)
    if each.kind is Path:
        return click.Path(path_type=Path, dir_okay=each.folder, file_okay=not each.folder)
    return None


@attrs.frozen(kw_only=True)
class ClientOptions(Options):
    """Where a command has its work done, and for how long.

    Attributes:
        target: ``HOST:PORT`` of a server; None works in the command itself.
        deadline: seconds that it may take.
    """

    target: str | None = option(None, "Server to use; without it the work is done here.", metavar="HOST:PORT")
    tls: bool = option(False, "Encrypt; the server's certificate has to be of an authority that this system trusts.")
    tls_ca: Path | None = option(None, "PEM file of the server's authority; turns TLS on.")
    tls_cert: Path | None = option(None, "PEM file of the client's certificate; turns TLS on.")
    tls_key: Path | None = option(None, "PEM file of the client's key.")
    token_file: Path | None = option(None, "File with the bearer token; turns TLS on.")
    insecure_token: bool = option(False, "Send the token without TLS: whoever is on the way can read and use it.")
    deadline: float | None = option(None, "Seconds that it may take.", above=0)

    def client(self, encoder: Options | None = None) -> Client:
        """Return the client that they ask for; ``encoder``: see ``Client``."""
        security = ChannelSecurity(
            self.tls_ca, self.tls_cert, self.tls_key, self.token_file, self.insecure_token, self.tls
        )
        return Client(self.target, security, encoder)


def encoder_options() -> type[Options]:
    """Return the options of the encoder that is installed here, none where there is none."""
    try:
        return load_encoder().options
    except MissingServiceError:
        return Options


overwrite_flag = click.option("-y", "--overwrite", is_flag=True, help="Replace the output where it is there already.")


def part_flags(function: F) -> F:
    """Give a command the options that say which part of a video is worked on: ``start`` and ``duration`` in seconds."""
    start = click.option("--start", "-ss", type=Seconds(), default=0.0, help="Where to begin: 90, 1:30 or 0:01:30.5.")
    duration = click.option("--duration", "-t", type=Seconds(), default=0.0, help="How long to go on.")
    return start(duration(function))


def refuse_json_to_stdout(destination: str, *, as_json: bool) -> None:
    """Return unless standard output is to have both JSON and the data.

    Raises:
        click.UsageError: it is.
    """
    if as_json and destination == "-":
        raise click.UsageError("--json prints on standard output, where the data would go; name a file for these")


def source_of(name: str) -> str | BinaryIO:
    """Return the path, or standard input for ``-``.

    Raises:
        OSError: that is closed.
    """
    if name != "-":
        return name
    # Unbuffered: whoever waits for it in a thread holds no lock that Python wants on its way out.
    return cast(BinaryIO, cast(BufferedReader, _open_stream(sys.stdin, "standard input").buffer).raw)


def destination_of(name: str) -> str | BinaryIO:
    """Return the path, or standard output for ``-``.

    Raises:
        OSError: that is closed.
    """
    return _open_stream(sys.stdout, "standard output").buffer if name == "-" else name


def _open_stream(stream: TextIO | None, name: str) -> TextIO:
    if stream is None:
        raise OSError(errno.EBADF, f"{name} is closed")
    return stream
