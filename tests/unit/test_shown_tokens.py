"""A token that is shown for one call: never where somebody on the way could read it, unless that is allowed."""

from pathlib import Path

import pytest

from cmvc.client import Client
from cmvc.errors import InvalidSettingError
from cmvc.wire.security import ChannelSecurity

FAR = "gateway.example:50051"
CLEAR, ALLOWED, ENCRYPTED = ChannelSecurity(), ChannelSecurity(insecure_token=True), ChannelSecurity(tls=True)


@pytest.mark.parametrize(
    ("security", "target", "may"),
    [
        (CLEAR, FAR, False),
        (CLEAR, "dns:///gateway.example:50051", False),
        (CLEAR, "10.0.0.7:50051", False),
        (CLEAR, "127.0.0.1:50051", True),
        (CLEAR, "localhost:50051", True),
        (CLEAR, "unix:/run/cmvc.sock", True),
        (ALLOWED, FAR, True),
        (ENCRYPTED, FAR, True),
        (ChannelSecurity(ca=Path("ca.pem")), FAR, True),
    ],
)
def test_a_token_is_shown_where_nobody_else_can_read_it(security, target, may):
    assert security.may_show(target) is may


def test_a_call_with_a_token_in_the_clear_is_refused_before_anybody_is_asked():
    with Client(FAR) as client, pytest.raises(InvalidSettingError, match="in the clear"):
        next(client.decode_stream(b"CMVC", token="sekrit"))


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "schlüssel"])
def test_what_no_header_can_carry_is_refused(token):
    with pytest.raises(InvalidSettingError, match="letters"):
        ALLOWED.metadata_for(token, FAR)


def test_a_token_is_text():
    with Client(FAR) as client, pytest.raises(TypeError, match="token"):
        client.decode_stream(b"CMVC", token=b"sekrit")
