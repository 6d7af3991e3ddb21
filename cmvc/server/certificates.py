"""A server's certificate, read again when its files change: whoever renews it need not restart anything."""

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc

log = logging.getLogger(__name__)
T = TypeVar("T")


class Certificates:
    """Files of a certificate, its key and the authority of clients' certificates."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._seen = self._state()

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a gRPC server listens with; every new connection is given what the files have then.

        Raises:
            OSError: a file cannot be read.
        """

        def changed() -> Any:  # None: as before, of which the stubs do not know
            return self._renewed(self._configuration)

        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), changed, require_client_authentication=self._client_ca is not None
        )

    def context(self) -> ssl.SSLContext:
        """Return what an HTTPS server listens with; every new connection is given what the files have then.

        Raises:
            OSError: a file cannot be read, or the key is another certificate's.
        """
        listening = newest = self._context()

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            nonlocal newest
            newest = self._renewed(self._context) or newest
            connection.context = newest

        listening.sni_callback = choose  # which has no name to go by where the client gave none
        return listening

    def _renewed(self, read: Callable[[], T]) -> T | None:
        """Return what ``read`` makes of files that are new; None where none is, or they are of no use (yet)."""
        try:
            state = self._state()
            if state == self._seen:
                return None
            self._seen = state  # good or bad: once
            found = read()
        except OSError as error:
            log.warning("the certificate stays as it was: %s", error)
            return None
        log.info("%s was read again", self._cert)
        return found

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(self._key.read_bytes(), self._cert.read_bytes())],
            root_certificates=self._client_ca.read_bytes() if self._client_ca else None,
        )

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._cert, self._key)
        if self._client_ca:
            context.load_verify_locations(self._client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _state(self) -> list[tuple[int, int, int, int]]:
        found = [path.stat() for path in (self._cert, self._key, self._client_ca) if path]
        return [(each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for each in found]
