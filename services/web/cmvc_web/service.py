"""What the entry point ``web`` in the group ``cmvc.services`` leads to."""

import asyncio
import logging
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from cmvc.addresses import is_loopback, join_address, split_address
from cmvc.server.listening import why_not
from cmvc.server.options import ListenOptions
from cmvc.server.run import MOST_CALLS, say, stop_event
from cmvc.server.scraping import serve_metrics
from cmvc.services import WebService
from cmvc_web.app import make_app
from cmvc_web.connection import patient_for
from cmvc_web.options import WebLimits, WebOptions, WebServerOptions
from cmvc_web.store import Store
from cmvc_web.studio import Studio

_BACKLOG = 512
HANDSHAKE_S = 10.0  # as gRPC servers give it; less where callers may be idle for less
log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """Uvicorn's server, which says where it listens and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext | None, idle_s: float, address: str) -> None:
        super().__init__(config)
        self._tls = tls
        self._idle_s = idle_s
        self._address = address

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, as uvicorn would, which knows no bound for handshakes."""

        def connection() -> asyncio.Protocol:
            made: type[Any] = self.config.http_protocol_class
            return made(config=self.config, server_state=self.server_state, app_state={})  # type: ignore[no-any-return]

        handshake_s = min(HANDSHAKE_S, self._idle_s) if self._tls else None
        listen = partial(asyncio.get_running_loop().create_server, connection, backlog=_BACKLOG, ssl=self._tls)
        self.servers = [await listen(sock=each, ssl_handshake_timeout=handshake_s) for each in sockets or ()]
        self.started = True
        say(f"listening on {self._address}")


def _bind(address: str) -> socket.socket:
    host, port = split_address(address)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise why_not(address, error) from None


def _look_at_the_gateway(options: WebOptions, *, asked_for_tokens: bool) -> None:
    """Say where callers' tokens end here.

    Raises:
        InvalidSettingError: the gateway's address is none.
    """
    near = is_loopback(options.gateway)
    if asked_for_tokens and not (near or options.gateway_token_file or options.security.may_show(options.gateway)):
        log.warning(
            "callers' tokens do not go on to %s, where they could be read on the way; give --gateway-ca, or "
            "--gateway-insecure-token",
            options.gateway,
        )


async def _serve(options: WebOptions, server: ListenOptions, folder: Path) -> None:
    server.security.check_address(server.listen)
    tokens, tls = server.security.tokens(), server.security.context()
    _look_at_the_gateway(options, asked_for_tokens=tokens is not None)
    listening = _bind(server.listen)
    host, _ = split_address(server.listen)
    metrics = serve_metrics(server.metrics_listen) if server.metrics_listen else None
    stop = stop_event(server.end_with_stdin)
    studio = Studio(options, Store(folder, options.store_mib << 20, options.store_age_s), server.idle_s)
    config = uvicorn.Config(
        make_app(studio, tokens),
        http=patient_for(server.idle_s),
        limit_concurrency=MOST_CALLS,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(server.grace_s)),
    )
    web = _Server(config, tls, server.idle_s, join_address(host, listening.getsockname()[1]))
    if metrics:
        say(f"metrics on http://{metrics.address}/metrics")
    serving = asyncio.create_task(web.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    web.should_exit = True
    await serving
    stopping.cancel()
    await studio.close()
    if metrics:
        metrics.server.shutdown()


class _Service:
    options = WebOptions
    limits = WebLimits
    server_options = WebServerOptions

    def run(self, options: WebOptions, server: ListenOptions) -> None:
        with ExitStack() as stack:
            folder = options.store or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cmvc-web-")))
            asyncio.run(_serve(options, server, folder))


SERVICE: WebService = _Service()
