"""The server that every service runs in: health, reflection, tokens, metrics, and a decent end."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from cmvc.errors import AddressError
from cmvc.server.health import Health
from cmvc.server.logs import SAID
from cmvc.server.options import ServerOptions
from cmvc.server.security import TokenInterceptor
from cmvc.server.telemetry import serve_metrics
from cmvc.services import Attached
from cmvc.wire.address import split_address
from cmvc.wire.channel import SERVER_OPTIONS

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(
    attach: Callable[[grpc.aio.Server], Attached],
    options: ServerOptions,
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Serve in an event loop of its own, one from ``new_loop`` where that is given; else see ``serve``."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(attach, options))


async def serve(attach: Callable[[grpc.aio.Server], Attached], options: ServerOptions) -> None:
    """Serve until SIGTERM or SIGINT, then let the calls in flight end.

    Says ``listening on HOST:PORT`` (see ``cmvc.server.logs.SAID``) once calls are taken.

    Raises:
        AddressError: nothing can listen on one of the addresses.
        CmvcError: the service cannot start.
    """
    tokens = options.security.tokens()
    server = grpc.aio.server(interceptors=[TokenInterceptor(tokens)] if tokens else [], options=SERVER_OPTIONS)
    service = attach(server)
    reporting = Health(server, service)
    names = (*service.names, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    await reporting.starting()
    host, _ = split_address(options.listen)
    port = _bind(server, options)
    metrics = serve_metrics(options.metrics_listen) if options.metrics_listen else None
    stop = _stop_event(options.end_with_stdin)
    await service.start()
    await server.start()
    await reporting.look()
    watching = asyncio.create_task(reporting.watch())
    if metrics:
        _say(f"metrics on http://{split_address(options.metrics_listen or '')[0]}:{metrics[0]}/metrics")
    _say(f"listening on {host}:{port}")
    await stop.wait()
    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)  # a second one ends this at once
    watching.cancel()
    await reporting.ending()
    await server.stop(options.grace_s)
    await service.close()
    if metrics:
        metrics[1].shutdown()


def _say(line: str) -> None:
    logging.getLogger(SAID).info(line)


def _bind(server: grpc.aio.Server, options: ServerOptions) -> int:
    credentials = options.security.credentials()
    try:
        if credentials:
            return server.add_secure_port(options.listen, credentials)
        return server.add_insecure_port(options.listen)
    except RuntimeError:
        raise AddressError(
            f"cannot listen on {options.listen}; it may be in use, so choose another with --listen (port 0: a free one)"
        ) from None


def _stop_event(end_with_stdin: bool) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    if end_with_stdin:

        def look() -> None:
            if not os.read(sys.stdin.fileno(), 1):
                loop.remove_reader(sys.stdin.fileno())
                stop.set()

        loop.add_reader(sys.stdin.fileno(), look)
    return stop
