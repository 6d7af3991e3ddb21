"""``cmvc serve``. Which options a service has it says itself (see ``cmvc.options``)."""

from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import attrs
import click

from cmvc import process
from cmvc.addresses import UNIX
from cmvc.cli.fleet import Children, Fleet
from cmvc.cli.options import option_flags, take_options
from cmvc.errors import InvalidSettingError, MissingServiceError
from cmvc.options import Options, arguments
from cmvc.server import logs
from cmvc.server.options import DecoderWorkerOptions, ListenOptions, LogOptions, ServerOptions, WorkerOptions
from cmvc.server.run import run, say
from cmvc.server.security import ServerSecurity
from cmvc.services import DecoderService, EncoderService, load_decoder, load_encoder, load_gateway, load_web
from cmvc.wire import tracing

L = TypeVar("L", bound=ListenOptions)
_COUNT = click.IntRange(min=1)
_server_flags = option_flags(ServerOptions, ServerSecurity, LogOptions)


def _worker(
    name: str, load: Callable[[], EncoderService | DecoderService], kind: type[WorkerOptions] = WorkerOptions
) -> click.Command:
    service = load()

    @click.command(name=name, help=_SERVICES[name].help)
    @option_flags(service.options)
    @_server_flags
    @option_flags(kind)
    def command(**settings: Any) -> None:
        _begin(name, settings)
        process.prepare()
        options, worker = take_options(service.options, settings), take_options(kind, settings)
        run(
            lambda server: service.attach(server, running=worker.running, waiting=worker.waiting, options=options),
            _server(settings, ServerOptions),
        )

    return command


def _gateway() -> click.Command:
    service = load_gateway()

    @click.command(name="gateway", help=_SERVICES["gateway"].help)
    @option_flags(service.options)
    @_server_flags
    def command(**settings: Any) -> None:
        options = take_options(service.options, settings)
        _begin("gateway", settings)
        _run_gateway(options, _server(settings, ServerOptions))

    return command


def _web() -> click.Command:
    service = load_web()

    @click.command(name="web", help=_SERVICES["web"].help)
    @option_flags(service.options)
    @option_flags(service.server_options, ServerSecurity, LogOptions)
    def command(**settings: Any) -> None:
        options = take_options(service.options, settings)
        _begin("web", settings)
        service.run(options, _server(settings, service.server_options))

    return command


def _web_limits() -> type[Options]:
    """Return the limits of the web service that is installed here, none where there is none."""
    try:
        return load_web().limits
    except MissingServiceError:
        return Options


def _studio(listen: str, server: ServerOptions, more: tuple[str, ...]) -> Children:
    """Return a web service at the private socket of a gateway that is served like ``server``, tokens and all."""
    return Children(1, (f"--gateway={server.private}", *arguments(server.security), *more), listen)


def _all() -> click.Command:
    encoder, decoder, gateway, web_limits = load_encoder(), load_decoder(), load_gateway(), _web_limits()

    @click.command(name="all", help=_SERVICES["all"].help)
    @click.option("--encoders", type=_COUNT, default=1, show_default=True, help="How many.")
    @click.option("--decoders", type=_COUNT, default=1, show_default=True, help="How many.")
    @click.option("--web", metavar="HOST:PORT", help="Serve the studio there, too.  [default: nowhere]")
    @option_flags(encoder.options, decoder.options, gateway.limits, web_limits)
    @_server_flags
    def command(encoders: int, decoders: int, web: str | None, **settings: Any) -> None:
        log = take_options(LogOptions, dict(settings))
        _begin("gateway", settings)
        children = {
            "encoder": Children(encoders, _child_arguments(encoder.options, settings, log)),
            "decoder": Children(decoders, _child_arguments(decoder.options, settings, log)),
        }
        limits, keeping = take_options(gateway.limits, settings), take_options(web_limits, settings)
        server = _server(settings, ServerOptions)
        with TemporaryDirectory(prefix="cmvc-") as folder:
            if web:
                server = attrs.evolve(server, private=f"{UNIX}{folder}/gateway")
                children["web"] = _studio(web, server, (*arguments(keeping), *arguments(log)))
            with Fleet(children, metrics=bool(server.metrics_listen)) as fleet:
                for address in fleet.addresses("web"):
                    say(f"studio on http{'s' if server.security.tls_cert else ''}://{address}/")
                behind = {"encoders": fleet.addresses("encoder"), "decoders": fleet.addresses("decoder")}
                _run_gateway(gateway.options(**behind, **attrs.asdict(limits)), server)

    return command


@attrs.frozen
class _Service:
    """A subcommand: what makes it where it is installed, and its help."""

    make: Callable[[], click.Command]
    help: str


_SERVICES = {
    "encoder": _Service(lambda: _worker("encoder", load_encoder), "Serve an encoder."),
    "decoder": _Service(lambda: _worker("decoder", load_decoder, DecoderWorkerOptions), "Serve a decoder."),
    "gateway": _Service(_gateway, "Serve a gateway in front of encoders and decoders."),
    "web": _Service(_web, "Serve HTTP, and the studio: a page that encodes, plays and compares; needs a gateway."),
    "all": _Service(_all, "Serve a gateway with an encoder and a decoder of its own, each in its own process."),
}


class _Services(click.Group):
    """The services that there are, each with the options that it offers where it is installed."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_SERVICES)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        service = _SERVICES.get(cmd_name)
        try:
            return service.make() if service else None
        except MissingServiceError as missing:
            return _not_installed(cmd_name, missing)


def _not_installed(name: str, missing: MissingServiceError) -> click.Command:
    """Return a command that takes any options and says what is missing."""
    context_settings = {"ignore_unknown_options": True}

    @click.command(name=name, help=_SERVICES[name].help, context_settings=context_settings)
    @click.argument("_arguments", nargs=-1, type=click.UNPROCESSED)
    def command(_arguments: tuple[str, ...]) -> None:
        raise missing

    return command


@click.command("serve", cls=_Services)
def command() -> None:
    """Serve over gRPC until SIGTERM or Ctrl-C; requests in work are let finish."""


def _begin(role: str, settings: dict[str, Any]) -> None:
    """Set up what tells of everything after it."""
    log = take_options(LogOptions, settings)
    logs.set_up(log.log_format, log.log_level, role)
    tracing.start(role)


def _server(settings: dict[str, Any], kind: type[L]) -> L:
    security = take_options(ServerSecurity, settings)
    return attrs.evolve(take_options(kind, settings), security=security)


def _child_arguments(kind: type[Options], settings: dict[str, Any], log: LogOptions) -> tuple[str, ...]:
    return (*arguments(take_options(kind, settings)), *arguments(log))


def _run_gateway(options: Any, server: ServerOptions) -> None:
    try:
        options.check()
    except InvalidSettingError as error:
        raise click.UsageError(str(error)) from None
    service = load_gateway()
    run(lambda grpc_server: service.attach(grpc_server, options), server, service.new_loop)
