"""TLS and certificates of clients, with real certificates made for the test."""

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from urllib.error import URLError
from urllib.request import urlopen

import grpc
import pytest
from servers import CMVC, PATIENCE_S, servers, until
from streams import stream
from triton_server import SERVER

from cmvc.client import Client
from cmvc.errors import BackendUnavailableError, DeadlineError, InvalidSettingError, UnauthenticatedError
from cmvc.server.security import ServerSecurity
from cmvc.settings import decode_config
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.wire.channel import open_channel
from cmvc.wire.security import ChannelSecurity
from cmvc.wire.transfer import make_chunk

SETTINGS = bytes.fromhex(
    "000000040000000000000000040100000000"
)  # empty ones of HTTP/2, and that the client's are taken
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


def test_without_an_authority_the_systems_are_trusted(certificates, monkeypatch):
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    pair = ("--tls-cert", str(certificates / "server.pem"), "--tls-key", str(certificates / "server.key"))
    with servers() as start:
        server = start("decoder", *pair)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "client.pem"))
        with Client(server.address, ChannelSecurity(tls=True)) as client, pytest.raises(BackendUnavailableError):
            client.health()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "server.pem"))
        with Client(server.address, ChannelSecurity(tls=True)) as client:
            assert client.health().decodes


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


@pytest.fixture
def listener():
    """Yield the address of one that speaks HTTP/2 without TLS, and what is sent to it."""
    got = bytearray()

    def listen():
        connection, _ = server.accept()
        with connection:
            connection.settimeout(2)
            connection.sendall(SETTINGS)
            with suppress(OSError):
                while data := connection.recv(1 << 16):
                    got.extend(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        thread = threading.Thread(target=listen)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", got, thread


@pytest.mark.parametrize("extra", ["nothing", "certificate", "insecure_token"])
def test_a_token_is_not_sent_in_the_clear_unless_it_may(certificates, tmp_path, listener, extra):
    address, got, thread = listener
    (tmp_path / "token").write_text("sekrit-4711\n")
    pair = {"cert": certificates / "client.pem", "key": certificates / "client.key"}
    more = {"nothing": {}, "certificate": pair, "insecure_token": {"insecure_token": True}}[extra]
    security = ChannelSecurity(token_file=tmp_path / "token", **more)
    with Client(address, security) as client, pytest.raises((BackendUnavailableError, DeadlineError)):
        list(client.decode_stream([stream(segments=1)], deadline_s=1.5))
    thread.join()
    assert (b"sekrit-4711" in got) is (extra == "insecure_token")


def test_a_server_without_tls_is_called_that(tmp_path):
    (tmp_path / "token").write_text("sekrit-4711\n")
    security = ChannelSecurity(token_file=tmp_path / "token")
    with servers() as start, Client(start("decoder").address, security) as client:
        made = client.decode_stream([stream(segments=1)], deadline_s=10)
        with pytest.raises(BackendUnavailableError, match=r"does not speak TLS; .*--insecure-token"):
            list(made)


def test_a_renewed_certificate_is_shown_without_a_restart(certificates, tmp_path):
    for name in ("server.pem", "server.key"):
        shutil.copy(certificates / name, tmp_path / name)
    data = stream(segments=1)
    with servers() as start:
        server = start(
            "decoder", *("--tls-cert", str(tmp_path / "server.pem"), "--tls-key", str(tmp_path / "server.key"))
        )
        with Client(server.address, ChannelSecurity(ca=certificates / "server.pem")) as client:
            assert list(client.decode_stream([data]))
        for kind in ("pem", "key"):
            shutil.copy(certificates / f"client.{kind}", tmp_path / f"new.{kind}")
            (tmp_path / f"new.{kind}").replace(tmp_path / f"server.{kind}")
        with Client(server.address, ChannelSecurity(ca=certificates / "client.pem")) as client:
            assert list(client.decode_stream([data]))


def shown_by(address, ca):
    """Return whether an HTTPS server shows a certificate of ``ca`` and answers."""
    try:
        with urlopen(f"https://{address}/healthz", context=ssl.create_default_context(cafile=ca)) as response:
            return response.status == 200
    except URLError as error:
        if not isinstance(error.reason, ssl.SSLCertVerificationError):
            raise
        return False


def test_the_web_service_shows_a_renewed_certificate_and_keeps_a_bad_one_out(certificates, tmp_path):
    def renew(kind, name):
        shutil.copy(certificates / name, tmp_path / "new")
        (tmp_path / "new").replace(tmp_path / f"web.{kind}")

    renew("pem", "server.pem")
    renew("key", "server.key")
    with servers() as start:
        pair = ("--tls-cert", str(tmp_path / "web.pem"), "--tls-key", str(tmp_path / "web.key"))
        server = start("web", "--gateway", "127.0.0.1:1", "--idle", "1", *pair)
        host, port = server.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S / 2) as silent:
            assert shown_by(server.address, certificates / "server.pem")
            renew("pem", "client.pem")  # whose key is another
            assert shown_by(server.address, certificates / "server.pem")
            until(lambda: any("the certificate stays as it was" in each for each in server.lines), "it is told of")
            renew("key", "client.key")
            assert shown_by(server.address, certificates / "client.pem")
            assert not shown_by(server.address, certificates / "server.pem")
            assert silent.recv(1) == b"", "no handshake, and still connected"


def test_the_web_service_asks_for_certificates_of_the_authority_that_there_is_now(certificates, tmp_path):
    shutil.copy(certificates / "server.pem", tmp_path / "ca.pem")
    client = ssl.create_default_context(cafile=certificates / "server.pem")
    client.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    pair = ("--tls-cert", str(certificates / "server.pem"), "--tls-key", str(certificates / "server.key"))
    with servers() as start:
        server = start("web", "--gateway", "127.0.0.1:1", *pair, "--tls-client-ca", str(tmp_path / "ca.pem"))

        def let_in():
            try:
                with urlopen(f"https://{server.address}/healthz", context=client) as response:
                    return response.status == 200
            except OSError:  # a reset, or an alert, whichever comes first
                return False

        assert not let_in()
        shutil.copy(certificates / "client.pem", tmp_path / "ca.pem")
        assert let_in()


def test_callers_are_told_apart_by_their_certificates(certificates):
    with servers() as start:
        decoder = start("decoder")
        gateway = start(
            "gateway", "--decoder", decoder.address, *mutual_tls(certificates), "--max-requests-per-tenant", "1"
        )
        security = ChannelSecurity(
            certificates / "server.pem", certificates / "client.pem", certificates / "client.key"
        )
        with open_channel(gateway.address, security) as channel:
            stub, more = VideoDecoderStub(channel), threading.Event()

            def requests():
                yield decoder_pb2.DecodeRequest(config=decode_config())
                yield decoder_pb2.DecodeRequest(chunk=make_chunk(stream(segments=1)[:100]))
                more.wait(PATIENCE_S)

            holding = stub.Decode(requests(), metadata=(("authorization", "Bearer made-up"),))
            until(lambda: 'direction="in"' in gateway.metrics(), "the first call is in")
            with pytest.raises(grpc.RpcError) as refused:
                list(stub.Decode(requests(), metadata=(("authorization", "Bearer another"),)))
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # it is the same certificate
            more.set()
            holding.cancel()


@pytest.mark.parametrize("command", [["serve", "decoder"], ["triton", "--profile=ltx-video", "--server", SERVER]])
def test_a_server_that_others_reach_wants_protection_or_to_be_told(command):
    done = subprocess.run(
        [*CMVC, *command, "--listen", "0.0.0.0:1"], check=False, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode
    assert "--insecure" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("address", ["0.0.0.0:1", ":1", "[::]:1", "10.0.0.1:1"])
def test_with_tls_or_told_so_it_may_listen_anywhere(address, tmp_path):
    with pytest.raises(InvalidSettingError, match="--tls-cert"):
        ServerSecurity().check_address(address)
    ServerSecurity(insecure=True).check_address(address)
    ServerSecurity(tls_cert=tmp_path, tls_key=tmp_path).check_address(address)
    for near in ("127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/run/cmvc.sock"):
        ServerSecurity().check_address(near)


def test_tokens_are_read_again_and_wrong_ones_are_counted_and_logged(tmp_path):
    accepted, mine, data = tmp_path / "accepted", tmp_path / "mine", stream(segments=1)
    accepted.write_text("old\n")
    mine.write_text("new\n")
    with servers() as start:
        server = start("decoder", "--token-file", str(accepted))

        def let_in():
            with Client(server.address, ChannelSecurity(token_file=mine, insecure_token=True)) as client:
                try:
                    return bool(list(client.decode_stream([data])))
                except UnauthenticatedError:
                    return False

        assert not let_in()
        assert server.metric('cmvc_requests_total{code="UNAUTHENTICATED",method="Decode"}') == 1
        assert any("Decode of ipv4:127.0.0.1" in line and "refused" in line for line in server.lines)
        accepted.write_text("new\n")
        until(let_in, "the new token is accepted")
        accepted.write_text("\n")  # a mistake shuts nobody out
        assert let_in()
