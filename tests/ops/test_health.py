"""The images' health check against real servers."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from servers import servers

SCRIPT = Path(__file__).parents[2] / "docker" / "health.py"


def check(address, *options):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--address", address, *options], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.fixture
def authority(tmp_path):
    """Make an authority and a certificate for localhost, as the mtls component has them."""
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificates, is absent")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    for command in (
        ["req", "-x509", *key, "-subj", "/CN=CMVC", "-keyout", "ca.key", "-out", "ca.crt"],
        ["req", "-x509", *key, "-subj", "/CN=decoder", "-addext", "subjectAltName=DNS:localhost,DNS:decoder",
         "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "tls.key", "-out", "tls.crt"],
    ):  # fmt: skip
        subprocess.run(["openssl", *command], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_a_server_that_takes_work_is_well():
    with servers() as start:
        decoder = start("decoder").address
        assert check(decoder) == (0, "")
        assert check(decoder, "--service", "cmvc.v1.VideoDecoder") == (0, "")
        assert check(decoder, "--service", "cmvc.v1.VideoEncoder")[0] == 1


def test_a_gateway_without_backends_lives_but_is_not_well():
    with servers() as start:
        gateway = start("gateway", "--decoder", "127.0.0.1:1").address
        assert check(gateway) == (1, f"{gateway}: NOT_SERVING\n")
        assert check(gateway, "--live") == (0, "")


def test_nobody_there_is_not_alive():
    code, said = check("127.0.0.1:1", "--live")
    assert code == 1
    assert "UNAVAILABLE" in said


def test_it_shows_a_certificate_where_one_is_asked_for(authority):
    own = ("--tls-cert", str(authority / "tls.crt"), "--tls-key", str(authority / "tls.key"))
    with servers() as start:
        decoder = start("decoder", *own, "--tls-client-ca", str(authority / "ca.crt")).address
        address = decoder.replace("127.0.0.1", "localhost")
        assert check(address, "--tls-ca", str(authority / "ca.crt"), *own) == (0, "")
        assert check(decoder, "--tls-ca", str(authority / "ca.crt"), *own, "--server-name", "decoder") == (0, "")
        assert check(address, "--tls-ca", str(authority / "ca.crt"))[0] == 1
        assert check(address)[0] == 1
