"""What a caller may use comes back steadily, and a debt first."""

import grpc
import pytest

from cmvc.errors import InvalidSettingError, QuotaError
from cmvc.server.quotas import Account, Allowance, Hourly
from cmvc.server.scopes import ALL, read_name, scope_of
from cmvc.server.tokens import Tokens
from cmvc.v1 import decoder_pb2, encoder_pb2
from cmvc.wire.status import from_rpc_error, to_status


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self):
        return self.now


def test_what_is_used_comes_back_within_the_hour():
    clock = Clock()
    allowance = Allowance(3600, clock)
    assert allowance.use(1000) == 2600
    clock.now = 400
    assert allowance.use(0) == 3000
    clock.now = 4000
    assert allowance.use(0) == 3600  # never more than an hour's worth


def test_a_debt_comes_back_first():
    clock = Clock()
    allowance = Allowance(3600, clock)
    allowance.use(5000)
    assert allowance.back_after() == 1400
    assert not allowance.overdrawn
    clock.now = 1400
    assert allowance.back_after() == 0
    allowance.use(3600)
    assert allowance.overdrawn


def test_a_call_that_has_begun_may_go_into_debt_but_not_without_end():
    account = Account("somebody", Hourly(bytes=1000))
    account.check()
    account.carry(1500, "in")
    with pytest.raises(QuotaError) as refused:
        account.check()
    assert 1700 < refused.value.retry_after_s < 1900  # 500 of 1000 an hour
    with pytest.raises(QuotaError, match="bytes"):
        account.carry(600, "out")


def test_seconds_are_counted_beside_bytes():
    account = Account("somebody", Hourly(seconds=10))
    account.hold(11)
    with pytest.raises(QuotaError, match="seconds"):
        account.check()


def test_so_is_what_models_make():
    account = Account("somebody", Hourly(pixel_steps=1e9))
    account.generate(1_500_000_000)
    with pytest.raises(QuotaError, match="pixels times steps"):
        account.check()
    account.carry(1, "out")  # of a call that has begun
    account.generate(10**9)
    with pytest.raises(QuotaError, match="pixels times steps") as refused:
        account.carry(1, "out")
    assert 5300 < refused.value.retry_after_s < 5500


def test_a_quota_is_told_apart_on_the_wire():
    status = to_status(QuotaError("used up", 7.5))

    class Failed:
        code = staticmethod(lambda: grpc.StatusCode.RESOURCE_EXHAUSTED)
        details = staticmethod(lambda: status.message)
        trailing_metadata = staticmethod(lambda: [("grpc-status-details-bin", status.SerializeToString())])

    error = from_rpc_error(Failed(), "there")
    assert isinstance(error, QuotaError)
    assert error.retry_after_s == 7.5


@pytest.mark.parametrize(
    ("line", "scopes"), [("a", ALL), ("a encode", {"encode"}), ("a decode,encode", ALL), ("  a\tdecode ", {"decode"})]
)
def test_a_token_has_the_scopes_beside_it(tmp_path, line, scopes):
    (tmp_path / "tokens").write_text(f"other encode\n\n{line}\n")
    tokens = Tokens(tmp_path / "tokens")
    assert tokens.scopes("a") == scopes
    assert tokens.scopes("b") is None
    assert tokens.accepts("other")


@pytest.mark.parametrize("line", ["a everything", "a encode decode", "a encode,"])
def test_what_is_no_token_is_refused_with_its_line(tmp_path, line):
    (tmp_path / "tokens").write_text(f"fine\n{line}\n")
    with pytest.raises(InvalidSettingError, match="line 2"):
        Tokens(tmp_path / "tokens")


def test_names_of_certificates_have_scopes_too():
    assert read_name("gateway") == ("gateway", ALL)
    assert read_name("up=encode") == ("up", {"encode"})
    for wrong in ("", "=encode", "up=all"):
        with pytest.raises(InvalidSettingError):
            read_name(wrong)


def test_every_method_of_the_services_asks_for_a_scope():
    asked = {
        method.name: scope_of(f"/{service.full_name}/{method.name}")
        for module in (encoder_pb2, decoder_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if method.name != "GetCapabilities"
    }
    assert asked == {"Encode": "encode", "Decode": "decode", "DecodeSegment": "decode"}
    assert scope_of("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo") == ""
