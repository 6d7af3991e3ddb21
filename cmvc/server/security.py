"""How servers are protected: TLS, tokens, and where they may listen without."""

import ssl
from pathlib import Path

import attrs
import grpc

from cmvc.addresses import is_loopback
from cmvc.errors import InvalidSettingError
from cmvc.options import Options, option
from cmvc.server.certificates import Certificates
from cmvc.server.tokens import Tokens


@attrs.frozen
class ServerSecurity(Options):
    """How a server is protected.

    Attributes:
        tls_cert, tls_key: PEM files of the server; both or neither. Neither serves in the clear.
        tls_client_ca: PEM file; where given, clients must show a certificate of this authority.
        token_file: accepted bearer tokens, one per line, each with what it may do; None accepts everyone.
        insecure: whether the server may listen in the clear where other machines reach it.

    All files are read again when they change.
    """

    tls_cert: Path | None = option(None, "PEM file of the server's certificate; turns TLS on.")
    tls_key: Path | None = option(None, "PEM file of the server's key.")
    tls_client_ca: Path | None = option(None, "PEM file; clients must show a certificate of it.")
    token_file: Path | None = option(None, "Accepted tokens, one per line: TOKEN, or TOKEN encode,decode.")
    insecure: bool = option(False, "Listen without TLS where other machines reach it.")

    @property
    def tls(self) -> bool:
        """Whether the server listens with TLS.

        Raises:
            InvalidSettingError: the settings do not fit each other.
        """
        if not self.tls_cert and not self.tls_key and not self.tls_client_ca:
            return False
        if not self.tls_cert or not self.tls_key:
            raise InvalidSettingError("TLS needs both --tls-cert and --tls-key")
        return True

    def credentials(self) -> grpc.ServerCredentials | None:
        """Return the credentials to listen with, None for a port in the clear.

        Raises:
            InvalidSettingError: the settings do not fit each other.
            OSError: a file cannot be read.
        """
        certificates = self._certificates()
        return certificates.credentials() if certificates else None

    def context(self) -> ssl.SSLContext | None:
        """Return likewise what an HTTPS server listens with.

        Raises:
            InvalidSettingError: the settings do not fit each other.
            OSError: a file cannot be read, or the key is another certificate's.
        """
        certificates = self._certificates()
        return certificates.context() if certificates else None

    def _certificates(self) -> Certificates | None:
        if not self.tls:
            return None
        assert self.tls_cert and self.tls_key  # noqa: PT018 - one statement of what ``tls`` has seen to
        return Certificates(self.tls_cert, self.tls_key, self.tls_client_ca)

    def check_address(self, address: str) -> None:
        """Return if a server may listen on ``address`` (``HOST:PORT`` or ``unix:PATH``) like this.

        Raises:
            InvalidSettingError: other machines reach it, in the clear, and nobody said that they may.
        """
        if not self.tls and not self.insecure and not is_loopback(address):
            raise InvalidSettingError(
                f"{address} can be reached from other machines, and there is no TLS: give --tls-cert and --tls-key, or "
                "--insecure where nobody else is on the way"
            )

    def tokens(self) -> Tokens | None:
        """Return the accepted tokens; None means everyone.

        Raises:
            InvalidSettingError: the file has no token.
            OSError: the file cannot be read.
        """
        return Tokens(self.token_file) if self.token_file else None
