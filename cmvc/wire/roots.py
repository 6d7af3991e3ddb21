"""The authorities that the system trusts, for TLS: gRPC by itself would take those that its wheel brings along."""

import os
import ssl
from pathlib import Path

_GRPC_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
# Where distributions keep all of them in one file, for systems whose OpenSSL names a folder alone.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)


def system_roots() -> bytes | None:
    """Return their certificates as PEM; None to leave it to gRPC: the environment has a file for it, or none is found.

    ``SSL_CERT_FILE`` names another file, as for everything else that uses OpenSSL.
    """
    if os.environ.get(_GRPC_ROOTS):
        return None
    named = ssl.get_default_verify_paths().cafile  # None where there is no such file
    for path in filter(None, (named, *_BUNDLES)):
        if Path(path).is_file():
            return Path(path).read_bytes()
    found = ssl.create_default_context().get_ca_certs(binary_form=True)  # of Windows' own store
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode() or None
