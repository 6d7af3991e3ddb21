"""Serves ``/metrics`` over HTTP: to few at a time, and to nobody who dawdles."""

import threading
from contextlib import suppress
from dataclasses import dataclass
from socket import SOCK_STREAM, getaddrinfo
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import disable_created_metrics, make_wsgi_app

from cmvc.addresses import join_address, split_address
from cmvc.server.listening import why_not

MOST_CONNECTIONS = 16  # at once; the next are closed unread
SECONDS = 5.0  # to send a request in, or to take a part of the answer


class _Handler(WSGIRequestHandler):
    timeout = SECONDS

    def handle(self) -> None:
        with suppress(OSError):  # it took too long, or has gone: nobody is there to tell
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Log nothing: scrapes come every few seconds."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()


@dataclass(frozen=True)
class MetricsServer:
    """Where ``/metrics`` is served.

    Attributes:
        address: ``HOST:PORT``.
        server: to be shut down at the end.
    """

    address: str
    server: WSGIServer


def serve_metrics(address: str) -> MetricsServer:
    """Serve ``/metrics`` on ``HOST:PORT`` in a thread.

    Raises:
        InvalidSettingError: the address is malformed.
        AddressError: nothing can listen there.
    """
    host, port = split_address(address)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a creation time for each series says nothing
    try:
        family, *_, where = getaddrinfo(host, port, type=SOCK_STREAM)[0]
        kind: Any = type("_FamilyServer", (_Server,), {"address_family": family})
        server: WSGIServer = make_server(str(where[0]), port, make_wsgi_app(), kind, _Handler)
    except OSError as error:
        raise why_not(address, error) from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return MetricsServer(join_address(host, server.server_port), server)
