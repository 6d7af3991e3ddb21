import pytest

from cmvc.addresses import is_loopback, is_near, join_address, socket_path, split_address
from cmvc.errors import InvalidSettingError


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1:50051", "127.0.0.1", 50051),
        (":0", "0.0.0.0", 0),
        ("[::1]:7", "::1", 7),
        ("[fe80::1]:65535", "fe80::1", 65535),
        ("encoder.example:1", "encoder.example", 1),
    ],
)
def test_address_is_taken_apart_and_put_together(address, host, port):
    assert split_address(address) == (host, port)
    assert join_address(host, port) == (address if not address.startswith(":") else f"0.0.0.0{address}")


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "host:", "host:x", "host:-1", "host:65536", "::1:50051", "[::1]", "[host]:1", "a b:1", "h:1\n",
     "http://host:1", "host:٣"],
)  # fmt: skip
def test_malformed_address_is_said_to_be(address):
    with pytest.raises(InvalidSettingError, match="is not HOST:PORT; write such as"):
        split_address(address)


def test_socket_has_a_path_that_fits():
    assert str(socket_path("unix:/run/cmvc.sock")) == "/run/cmvc.sock"
    assert str(socket_path("unix:///run/cmvc.sock")) == "/run/cmvc.sock"
    assert socket_path("host:1") is None
    for address in ("unix:", f"unix:/{'n' * 107}"):
        with pytest.raises(InvalidSettingError, match="1 to 107 bytes"):
            socket_path(address)


NEAR = [
    "127.0.0.1:1",
    "localhost:1",
    "a.localhost",
    "[::1]:1",
    "::1",
    "unix:/s",
    "10.2.3.4:1",
    "192.168.0.1",
    "172.16.0.1:1",
    "[fd00::1]:1",
    "169.254.1.1:1",
    "0.0.0.0:1",
    "encoder:1",
    "encoder",
    "encoder.cmvc.svc:1",
    "a.b.svc.cluster.local:1",
    "dns:///encoder:1",
    "host.docker.internal:8000",
]
FAR = [
    "8.8.8.8:1",
    "example.com:1",
    "api.openai.com",
    "[2606:4700::1]:443",
    "dns:///example.com:1",
    "svc.example.com:1",
]


def test_what_is_near_needs_no_proxy():
    assert [each for each in NEAR if not is_near(each)] == []
    assert [each for each in FAR if is_near(each)] == []


def test_loopback():
    assert all(map(is_loopback, ("127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/s")))
    assert not any(map(is_loopback, ("10.0.0.1:1", "encoder:1", "0.0.0.0:1")))
