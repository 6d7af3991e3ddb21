"""TLS and tokens of servers, and who calls them."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import grpc

from cmvc.errors import InvalidSettingError, UnauthenticatedError
from cmvc.options import Options, option
from cmvc.wire.status import abort

Handler = Any  # grpc.RpcMethodHandler, whose stubs and source disagree on its parameters
_OPEN_METHODS = ("/grpc.health.v1.Health/",)  # probes carry no token


@attrs.frozen
class ServerSecurity(Options):
    """How a server is protected.

    Attributes:
        tls_cert, tls_key: PEM files of the server; both or neither. Neither serves in the clear.
        tls_client_ca: PEM file; where given, clients must show a certificate of this authority.
        token_file: one accepted bearer token per line; None accepts everyone.
    """

    tls_cert: Path | None = option(None, "PEM file of the server's certificate; turns TLS on.")
    tls_key: Path | None = option(None, "PEM file of the server's key.")
    tls_client_ca: Path | None = option(None, "PEM file; clients must show a certificate of it.")
    token_file: Path | None = option(None, "Accepted bearer tokens, one per line.")

    def credentials(self) -> grpc.ServerCredentials | None:
        """Return the credentials to listen with, None for a port in the clear.

        Raises:
            InvalidSettingError: the settings do not fit each other.
            OSError: a file cannot be read.
        """
        if not self.tls_cert and not self.tls_key and not self.tls_client_ca:
            return None
        if not self.tls_cert or not self.tls_key:
            raise InvalidSettingError("TLS needs both --tls-cert and --tls-key")
        return grpc.ssl_server_credentials(
            [(self.tls_key.read_bytes(), self.tls_cert.read_bytes())],
            root_certificates=self.tls_client_ca.read_bytes() if self.tls_client_ca else None,
            require_client_auth=self.tls_client_ca is not None,
        )

    def tokens(self) -> list[str]:
        """Return the accepted tokens; none at all means everyone.

        Raises:
            InvalidSettingError: the file has no token.
            OSError: the file cannot be read.
        """
        if not self.token_file:
            return []
        tokens = self.token_file.read_text().split()
        if not tokens:
            raise InvalidSettingError(f"{self.token_file} has no token; write one per line")
        return tokens


class TokenInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # a plain class at run time
    """Refuses calls without an accepted bearer token, but for health checks."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = [token.encode() for token in tokens]

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Let the call through or answer it with UNAUTHENTICATED."""
        method = handler_call_details.method or ""
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith(_OPEN_METHODS) or self._accepts(handler_call_details):
            return handler
        return _refusing(handler)

    def _accepts(self, call: grpc.HandlerCallDetails) -> bool:
        given = bearer_token(call.invocation_metadata).encode()
        return any(hmac.compare_digest(given, token) for token in self._tokens)


def bearer_token(metadata: Any) -> str:
    """Return the bearer token in a call's metadata, "" for none."""
    for key, value in metadata or ():
        if key == "authorization" and isinstance(value, str) and value.startswith("Bearer "):
            return value.removeprefix("Bearer ")
    return ""


def tenant_of(metadata: Any) -> str:
    """Return a short name for whoever calls: a hash of the token, "" where there is none."""
    token = bearer_token(metadata)
    return hashlib.sha256(token.encode()).hexdigest()[:12] if token else ""


def _refusing(handler: Handler) -> Handler:
    error = UnauthenticatedError("this server wants a bearer token; give it with --token-file")

    async def refuse(_request: Any, context: Any) -> None:
        await abort(context, error)

    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(refuse)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(refuse)
    return grpc.unary_unary_rpc_method_handler(refuse)
