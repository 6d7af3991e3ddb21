"""A server's certificate, read again when its files change: whoever renews it need not restart anything."""

import logging
from pathlib import Path
from typing import Any

import grpc

log = logging.getLogger(__name__)


class Certificates:
    """Files of a certificate, its key and the authority of clients' certificates."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._seen = self._state()

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a server listens with; every new connection is given what the files have then.

        Raises:
            OSError: a file cannot be read.
        """
        changed: Any = self._changed  # whose stubs do not know that None means: as before
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), changed, require_client_authentication=self._client_ca is not None
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what is new; None where nothing is, or where it cannot be read (yet)."""
        try:
            state = self._state()
            if state == self._seen:
                return None
            configuration = self._configuration()
        except OSError as error:
            log.warning("the certificate stays as it was: %s", error)
            return None
        self._seen = state
        log.info("%s was read again", self._cert)
        return configuration

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(self._key.read_bytes(), self._cert.read_bytes())],
            root_certificates=self._client_ca.read_bytes() if self._client_ca else None,
        )

    def _state(self) -> list[tuple[int, int, int]]:
        found = [path.stat() for path in (self._cert, self._key, self._client_ca) if path]
        return [(each.st_ino, each.st_size, each.st_mtime_ns) for each in found]
