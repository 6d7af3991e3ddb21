"""``cmvc serve``."""

import os
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import click

from cmvc.cli.fleet import Children, Fleet
from cmvc.cli.options import encoder_model_options, make_encoder_options
from cmvc.server import logs
from cmvc.server.run import ServerOptions, run
from cmvc.server.security import ServerSecurity
from cmvc.services import (
    DecoderOptions,
    EncoderOptions,
    GatewayOptions,
    load_decoder,
    load_encoder,
    load_gateway,
)
from cmvc.wire import tracing
from cmvc.wire.address import split_address
from cmvc.wire.security import ChannelSecurity

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)
_COUNT = click.IntRange(min=1)
_BACKEND = "[dns:]HOST:PORT"
LISTEN = "127.0.0.1:50051"
HALF = max(1, (os.cpu_count() or 1) // 2)


def _server_options(function: F) -> F:
    options = (
        click.option("--listen", metavar="HOST:PORT", default=LISTEN, show_default=True, help="Port 0: any free."),
        click.option("--metrics-listen", metavar="HOST:PORT", help="Where to serve /metrics.  [default: nowhere]"),
        click.option("--tls-cert", type=_FILE, help="PEM file of the server's certificate; turns TLS on."),
        click.option("--tls-key", type=_FILE, help="PEM file of the server's key."),
        click.option("--tls-client-ca", type=_FILE, help="PEM file; clients must show a certificate of it."),
        click.option("--token-file", type=_FILE, help="Accepted bearer tokens, one per line."),
        click.option(
            "--log-format",
            type=click.Choice(logs.FORMATS),
            default="text",
            show_default=True,
            envvar="CMVC_LOG_FORMAT",
            help="Of standard error; json: one object a line, with ids of traces.",
        ),
        click.option(
            "--log-level",
            type=click.Choice(logs.LEVELS),
            default="warning",
            show_default=True,
            envvar="CMVC_LOG_LEVEL",
            help="From which on lines are logged; info: also every call.",
        ),
        click.option("--grace", type=click.FloatRange(min=0), default=30.0, help="Seconds to drain.  [default: 30]"),
        click.option("--end-with-stdin", is_flag=True, hidden=True),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _gateway_options(function: F) -> F:
    options = (
        click.option("--max-requests", type=_COUNT, default=64, show_default=True, help="At once; more are refused."),
        click.option("--max-requests-per-tenant", type=_COUNT, help="At once from one token.  [default: no bound]"),
        click.option("--cache-mib", type=click.IntRange(min=0), default=0, show_default=True, help="Decoded segments."),
        click.option(
            "--wait",
            type=click.FloatRange(min=0),
            default=60.0,
            show_default=True,
            help="Seconds that work waits for a backend to come back.",
        ),
        click.option(
            "--stall-timeout",
            type=click.FloatRange(min=0, min_open=True),
            default=60.0,
            show_default=True,
            help="Seconds of a decoder's silence before its segment goes elsewhere.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _worker_options(function: F) -> F:
    options = (
        click.option(
            "--running",
            type=_COUNT,
            default=HALF,
            show_default="half the cores",
            help="Requests at once.",
        ),
        click.option("--waiting", type=click.IntRange(min=0), default=16, show_default=True, help="Requests in line."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _generator_options(function: F) -> F:
    options = (
        click.option(
            "--profile",
            "profiles",
            metavar="ID",
            multiple=True,
            default=("embedded",),
            show_default="embedded",
            help="A generator profile to serve; repeatable.",
        ),
        click.option(
            "--models",
            type=click.Path(path_type=Path, file_okay=False),
            envvar="CMVC_MODELS",
            help="Model store, as 'cmvc models' fills it.  [default: ~/.cache/cmvc/models]",
        ),
        click.option(
            "--speed",
            metavar="NAME=VALUE",
            multiple=True,
            envvar="CMVC_SPEED",
            help="Where and how fast generators run, such as dtype=bfloat16; repeatable.",
        ),
        click.option(
            "--triton",
            metavar="HOST:PORT",
            default="",
            envvar="CMVC_TRITON",
            help="Triton server that runs the profiles with weights.  [default: run them here]",
        ),
        click.option(
            "--shared-memory", is_flag=True, help="Take frames from Triton in shared memory (same host only)."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _decoder_options(settings: dict[str, Any]) -> DecoderOptions:
    return DecoderOptions(
        profiles=settings.pop("profiles"),
        models=settings.pop("models"),
        speed=settings.pop("speed"),
        triton=settings.pop("triton"),
        shared_memory=settings.pop("shared_memory"),
    )


def _options(settings: dict[str, Any]) -> ServerOptions:
    security = ServerSecurity(
        settings.pop("tls_cert"), settings.pop("tls_key"), settings.pop("tls_client_ca"), settings.pop("token_file")
    )
    return ServerOptions(
        listen=settings.pop("listen"),
        metrics_listen=settings.pop("metrics_listen"),
        security=security,
        grace_s=settings.pop("grace"),
        end_with_stdin=settings.pop("end_with_stdin"),
    )


def _is_loopback(address: str) -> bool:
    host = split_address(address)[0]
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def _begin(role: str, settings: dict[str, Any]) -> None:
    """Set up what tells of everything after it."""
    logs.set_up(settings.pop("log_format"), settings.pop("log_level"), role)
    tracing.start(role)


@click.group("serve")
def command() -> None:
    """Serve over gRPC until SIGTERM or Ctrl-C; requests in work are let finish."""


@command.command()
@encoder_model_options
@_server_options
@_worker_options
def encoder(running: int, waiting: int, **settings: Any) -> None:
    """Serve an encoder."""
    _begin("encoder", settings)
    service = load_encoder()
    options = make_encoder_options(settings)
    run(lambda server: service.attach(server, running=running, waiting=waiting, options=options), _options(settings))


@command.command()
@_generator_options
@_server_options
@_worker_options
def decoder(running: int, waiting: int, **settings: Any) -> None:
    """Serve a decoder."""
    _begin("decoder", settings)
    service = load_decoder()
    options = _decoder_options(settings)
    run(lambda server: service.attach(server, running=running, waiting=waiting, options=options), _options(settings))


@command.command()
@click.option("--encoder", "encoders", metavar=_BACKEND, multiple=True, help="An encoder, or many by name; repeatable.")
@click.option("--decoder", "decoders", metavar=_BACKEND, multiple=True, help="A decoder, or many by name; repeatable.")
@click.option("--backend-ca", type=_FILE, help="PEM file of the backends' authority; turns TLS to them on.")
@click.option("--backend-cert", type=_FILE, help="PEM file of the gateway's certificate, for backends that ask for it.")
@click.option("--backend-key", type=_FILE, help="PEM file of the gateway's key.")
@click.option("--backend-token-file", type=_FILE, help="File with the bearer token for the backends.")
@_gateway_options
@_server_options
def gateway(
    encoders: tuple[str, ...],
    decoders: tuple[str, ...],
    backend_ca: Path | None,
    backend_cert: Path | None,
    backend_key: Path | None,
    backend_token_file: Path | None,
    **settings: Any,
) -> None:
    """Serve a gateway in front of encoders and decoders."""
    if not encoders and not decoders:
        raise click.UsageError("a gateway needs at least one --encoder HOST:PORT or --decoder HOST:PORT")
    if (backend_cert or backend_key) and not (backend_ca and backend_cert and backend_key):
        raise click.UsageError("--backend-cert and --backend-key need each other and --backend-ca")
    if backend_token_file and not backend_ca and not all(map(_is_loopback, (*encoders, *decoders))):
        raise click.UsageError("a bearer token would travel in the clear; give the backends TLS and --backend-ca")
    security = ChannelSecurity(backend_ca, backend_cert, backend_key, backend_token_file)
    _begin("gateway", settings)
    _run_gateway(encoders, decoders, security, settings)


@command.command(name="all")
@click.option("--encoders", type=_COUNT, default=1, show_default=True, help="How many.")
@click.option("--decoders", type=_COUNT, default=1, show_default=True, help="How many.")
@encoder_model_options
@_generator_options
@_gateway_options
@_server_options
def serve_all(encoders: int, decoders: int, **settings: Any) -> None:
    """Serve a gateway with an encoder and a decoder of its own, each in its own process."""
    load_encoder(), load_decoder()
    log = (f"--log-format={settings['log_format']}", f"--log-level={settings['log_level']}")
    _begin("gateway", settings)
    children = {
        "encoder": Children(encoders, (*_as_encoder_arguments(make_encoder_options(settings)), *log)),
        "decoder": Children(decoders, (*_as_decoder_arguments(_decoder_options(settings)), *log)),
    }
    with Fleet(children, metrics=bool(settings["metrics_listen"])) as fleet:
        _run_gateway(fleet.addresses("encoder"), fleet.addresses("decoder"), ChannelSecurity(), settings)


def _as_encoder_arguments(options: EncoderOptions) -> tuple[str, ...]:
    """Return the arguments of ``serve encoder`` that stand for the options."""
    values = {
        "model": options.model,
        "endpoint": options.endpoint,
        "api-key-file": options.key_file,
        "embedding-model": options.embedding_model,
    }
    given = (f"--{name}={value}" for name, value in values.items() if value)
    return (*given, *(f"--semantics-set={each}" for each in options.semantics))


def _as_decoder_arguments(options: DecoderOptions) -> tuple[str, ...]:
    """Return the arguments of ``serve decoder`` that stand for the options."""
    arguments = [*(f"--profile={each}" for each in options.profiles), *(f"--speed={each}" for each in options.speed)]
    if options.models:
        arguments.append(f"--models={options.models}")
    if options.triton:
        arguments.append(f"--triton={options.triton}")
    return (*arguments, "--shared-memory") if options.shared_memory else tuple(arguments)


def _run_gateway(
    encoders: tuple[str, ...], decoders: tuple[str, ...], security: ChannelSecurity, settings: dict[str, Any]
) -> None:
    service = load_gateway()
    max_requests = settings.pop("max_requests")
    options = GatewayOptions(
        encoders=encoders,
        decoders=decoders,
        max_requests=max_requests,
        max_requests_per_tenant=settings.pop("max_requests_per_tenant") or max_requests,
        cache_bytes=settings.pop("cache_mib") << 20,
        wait_s=settings.pop("wait"),
        stall_s=settings.pop("stall_timeout"),
        security=security,
    )
    run(lambda server: service.attach(server, options), _options(settings), service.new_loop)
