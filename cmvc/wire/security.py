"""TLS and tokens of channels."""

import re
from dataclasses import dataclass
from pathlib import Path

import grpc

from cmvc.addresses import is_loopback
from cmvc.errors import InvalidSettingError
from cmvc.wire.roots import system_roots

_TOKEN = re.compile(r"[!-~]+")  # visible ASCII, which all of RFC 6750's are
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ChannelSecurity:
    """How a client proves itself and checks its server.

    Attributes:
        ca: PEM file of the server's authority; turns TLS on.
        cert, key: PEM files of the client, where the server asks for them; turn TLS on.
        token_file: file whose first line is the bearer token; turns TLS on, or whoever is on the way could use it.
        insecure_token: whether the token may be sent without TLS.
        tls: turns TLS on where nothing of the above does.

    Where TLS is on without ``ca``, the authorities that the system trusts are (see ``cmvc.wire.roots``).
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token_file: Path | None = None
    insecure_token: bool = False
    tls: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether the channel is encrypted."""
        return bool(self.tls or self.ca or self.cert or self.key or (self.token_file and not self.insecure_token))

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Return the credentials to connect with, None for a channel in the clear.

        Raises:
            OSError: a file cannot be read.
        """
        if not self.encrypted:
            return None
        return grpc.ssl_channel_credentials(
            self.ca.read_bytes() if self.ca else system_roots(),
            self.key.read_bytes() if self.key else None,
            self.cert.read_bytes() if self.cert else None,
        )

    def metadata(self) -> Metadata:
        """Return what is sent along with every call.

        Raises:
            InvalidSettingError: the token file is empty.
            OSError: it cannot be read.
        """
        if not self.token_file:
            return ()
        words = self.token_file.read_text().split()
        if not words:
            raise InvalidSettingError(f"{self.token_file} has no token; write it on the first line")
        return _bearing(words[0])

    def may_show(self, target: str) -> bool:
        """Return whether a token may be sent to ``target``: nobody on the way could read it, or that is allowed."""
        return self.encrypted or self.insecure_token or is_loopback(target)

    def metadata_for(self, token: str, target: str) -> Metadata:
        """Return what is sent along with a call to ``target`` that shows ``token`` in place of the file's.

        Raises:
            InvalidSettingError: whoever is on the way could read it, or it is none that can be sent.
        """
        if not self.may_show(target):
            raise InvalidSettingError(
                f"a token would go to {target} in the clear; turn TLS on, or allow it with insecure_token"
            )
        if not _TOKEN.fullmatch(token):
            raise InvalidSettingError("the token has letters that a header cannot carry; give it as it was issued")
        return _bearing(token)


def _bearing(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)
