"""TLS and certificates of clients, with real certificates made for the test."""

import shutil
import subprocess

import pytest
from servers import servers
from streams import stream

from cmvc.client import Client
from cmvc.errors import BackendUnavailableError
from cmvc.wire.security import ChannelSecurity

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl, which makes the certificates, is absent")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "client"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "1", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
    return folder


def mutual_tls(certificates):
    return (
        *("--tls-cert", str(certificates / "server.pem"), "--tls-key", str(certificates / "server.key")),
        *("--tls-client-ca", str(certificates / "client.pem")),
    )


def test_only_a_client_with_both_certificates_gets_through(certificates):
    data = stream(segments=1)
    with servers() as start:
        server = start("decoder", *mutual_tls(certificates))
        proper = ChannelSecurity(certificates / "server.pem", certificates / "client.pem", certificates / "client.key")
        with Client(server.address, proper) as client:
            assert b"".join(client.decode_stream([data])) == b"".join(Client().decode_stream([data]))
        for wrong in (
            ChannelSecurity(),
            ChannelSecurity(ca=certificates / "server.pem"),
            ChannelSecurity(certificates / "client.pem", certificates / "client.pem", certificates / "client.key"),
        ):
            with Client(server.address, wrong) as client, pytest.raises(BackendUnavailableError):
                list(client.decode_stream([data]))


def test_a_gateway_shows_its_backends_a_certificate(certificates):
    data = stream(segments=1)
    with servers() as start:
        decoder = start("decoder", *mutual_tls(certificates))
        proof = (
            *("--backend-ca", str(certificates / "server.pem")),
            *("--backend-cert", str(certificates / "client.pem"), "--backend-key", str(certificates / "client.key")),
        )
        gateway = start("gateway", "--decoder", decoder.address, *proof)
        with Client(gateway.address) as client:
            assert b"".join(client.decode_stream([data])) == b"".join(Client().decode_stream([data]))
        bare = start("gateway", "--decoder", decoder.address, *proof[:2])
        assert gateway.metric(f'cmvc_backend_up{{backend="{decoder.address}"}}') == 1
        assert bare.metric(f'cmvc_backend_up{{backend="{decoder.address}"}}') == 0
