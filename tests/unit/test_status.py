import grpc
import pytest
from google.rpc import error_details_pb2

from cmvc.errors import CmvcError, Code, InvalidSettingError, OverloadedError, ServerError, error_classes
from cmvc.wire.status import DETAILS_KEY, GRPC_CODES, from_rpc_error, to_status


class Failed:
    """A failed call as a client sees it."""

    def __init__(self, code, details, metadata=()):
        self._parts = code, details, metadata

    def code(self):
        return self._parts[0]

    def details(self):
        return self._parts[1]

    def trailing_metadata(self):
        return self._parts[2]


def over_the_wire(error):
    status = to_status(error)
    return Failed(GRPC_CODES[status.code], status.message, ((DETAILS_KEY, status.SerializeToString()),))


@pytest.mark.parametrize("kind", error_classes().values(), ids=lambda kind: kind.__name__)
def test_every_error_comes_back_as_itself(kind):
    back = from_rpc_error(over_the_wire(kind("what and what to do")), "there:1")
    assert type(back) is kind
    assert str(back) == "what and what to do"


def test_a_field_that_is_wrong_comes_back_as_a_violation():
    error = InvalidSettingError("the seed 70000 is not within 0..65535", field="config.seed")
    (violation,) = violations_of(error)
    assert (violation.field, violation.description) == ("config.seed", str(error))
    assert from_rpc_error(over_the_wire(error), "there:1").field == "config.seed"
    assert violations_of(InvalidSettingError("no field of it")) == []
    assert from_rpc_error(over_the_wire(InvalidSettingError("no field of it")), "there:1").field == ""


def violations_of(error):
    found = error_details_pb2.BadRequest()
    for detail in to_status(error).details:
        detail.Unpack(found)
    return list(found.field_violations)


def test_reasons_are_unique():
    pending, reasons = [CmvcError], []
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if "reason" in vars(kind):
            reasons.append(kind.reason)
    assert len(reasons) == len(set(reasons))


def test_codes_are_grpcs():
    for code in Code:
        assert GRPC_CODES[int(code)].name == code.name


def test_retry_hint_comes_back():
    assert from_rpc_error(over_the_wire(OverloadedError("busy", 2.5)), "there:1").retry_after_s == 2.5


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "BACKEND_UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (grpc.StatusCode.CANCELLED, "CANCELLED"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
        (grpc.StatusCode.UNKNOWN, "SERVER_FAILED"),
    ],
)
def test_status_of_a_stranger_still_says_what_to_do(code, reason):
    error = from_rpc_error(Failed(code, "details of theirs"), "there:1")
    assert error.reason == reason


def test_details_of_another_domain_are_not_ours():
    status = to_status(CmvcError("x"))
    status.details[0].value = status.details[0].value.replace(b"cmvc", b"else")
    failed = Failed(grpc.StatusCode.INTERNAL, "x", ((DETAILS_KEY, status.SerializeToString()),))
    assert type(from_rpc_error(failed, "there:1")) is ServerError
