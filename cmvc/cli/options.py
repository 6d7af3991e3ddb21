"""Options that several commands share, and how they become values."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from cmvc.client import Client
from cmvc.errors import InvalidSettingError
from cmvc.services import EncoderOptions
from cmvc.settings import parse_audio, parse_bitrate
from cmvc.wire.security import ChannelSecurity

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)


class BitRate(click.ParamType[int]):
    """A bit rate such as 8k, 12000 or 1.5M."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return it in bit/s."""
        try:
            return parse_bitrate(str(value))
        except InvalidSettingError as error:
            self.fail(str(error), param, ctx)


class Audio(click.ParamType[str]):
    """A way to treat sound: none, copy or opus:RATE."""

    name = "audio"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as it is, once it is known to be one."""
        try:
            parse_audio(str(value))
        except InvalidSettingError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


client_options = _all(
    click.option("--target", metavar="HOST:PORT", help="Server to use; without it the work is done here."),
    click.option("--tls-ca", type=_FILE, help="PEM file of the server's authority; turns TLS on."),
    click.option("--tls-cert", type=_FILE, help="PEM file of the client's certificate."),
    click.option("--tls-key", type=_FILE, help="PEM file of the client's key."),
    click.option("--token-file", type=_FILE, help="File with the bearer token."),
    click.option("--deadline", type=click.FloatRange(min=0, min_open=True), help="Seconds that it may take."),
)


encoder_model_options = _all(
    click.option("--model", default="", help="Multimodal LLM of --semantics: folder, ID@REVISION or name there."),
    click.option("--endpoint", metavar="URL", default="", help="OpenAI-compatible server, for --semantics openai."),
    click.option("--api-key-file", "key_file", type=_FILE, help="File with the endpoint's key."),
    click.option("--embedding-model", default="", help="Model of --keyframes clip or siglip: folder or ID@REVISION."),
    click.option(
        "--semantics-set",
        "semantics_settings",
        metavar="NAME=VALUE",
        multiple=True,
        help="How those models run, such as device=cuda; repeatable.",
    ),
)


def make_encoder_options(settings: dict[str, Any]) -> EncoderOptions:
    """Take the values of ``encoder_model_options`` out of ``settings`` and return what they stand for."""
    return EncoderOptions(
        model=settings.pop("model"),
        endpoint=settings.pop("endpoint"),
        key_file=settings.pop("key_file"),
        embedding_model=settings.pop("embedding_model"),
        semantics=settings.pop("semantics_settings"),
    )


def make_client(
    target: str | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    token_file: Path | None,
    encoder: EncoderOptions | None = None,
) -> Client:
    """Return the client that the options ask for."""
    return Client(target, ChannelSecurity(tls_ca, tls_cert, tls_key, token_file), encoder)


def source_of(name: str) -> str | BinaryIO:
    """Return the path, or standard input for ``-``."""
    return sys.stdin.buffer if name == "-" else name


def destination_of(name: str) -> str | BinaryIO:
    """Return the path, or standard output for ``-``."""
    return sys.stdout.buffer if name == "-" else name
