"""When a call is made again, and when it is not."""

import time

import pytest

from cmvc.client.retry import NO_RETRY, Retry, Tries, is_repeatable
from cmvc.control import Control
from cmvc.errors import (
    BackendUnavailableError,
    CancelledError,
    ChecksumError,
    DeadlineError,
    InvalidSettingError,
    OverloadedError,
    SemanticsError,
    ServerError,
    error_classes,
)

QUICK = Retry(tries=3, first_s=0, most_s=0)


def test_what_a_server_asks_for_is_waited_and_a_little_more():
    pauses = [Retry().pause(OverloadedError("busy", 2.0), 1) for _ in range(200)]
    assert 2.0 <= min(pauses) < max(pauses) <= 2.5


def test_where_it_says_nothing_the_bound_doubles_up_to_the_most():
    for tried, bound in ((1, 0.2), (2, 0.4), (3, 0.8), (30, 5.0)):
        pauses = [Retry().pause(BackendUnavailableError("away"), tried) for _ in range(300)]
        assert min(pauses) >= 0
        assert 0.5 * bound < max(pauses) <= bound


@pytest.mark.parametrize("kind", [BackendUnavailableError, OverloadedError])
def test_passing_reasons_are_tried_so_often(kind):
    tries, error = Tries(QUICK, Control()), kind("busy") if kind is BackendUnavailableError else kind("busy", 0.0)
    tries.again(error)
    tries.again(error)
    with pytest.raises(kind):
        tries.again(error)


@pytest.mark.parametrize("kind", [ServerError, ChecksumError, InvalidSettingError, DeadlineError, SemanticsError])
def test_other_reasons_are_not(kind):
    with pytest.raises(kind):
        Tries(QUICK, Control()).again(kind("no"))


def test_only_two_reasons_pass():
    assert {kind.reason for kind in error_classes().values() if kind.transient} == {"OVERLOADED", "BACKEND_UNAVAILABLE"}


def test_it_stops_at_the_deadline_with_what_went_wrong():
    control = Control(deadline=time.monotonic() + 30)
    with pytest.raises(OverloadedError):
        Tries(Retry(), control).again(OverloadedError("busy", 3600.0))


def test_cancelling_ends_the_wait():
    control = Control()
    control.cancel()
    with pytest.raises(CancelledError):
        Tries(Retry(), control).again(OverloadedError("busy", 3600.0))


def test_never_means_once():
    with pytest.raises(OverloadedError):
        Tries(NO_RETRY, Control()).again(OverloadedError("busy", 0.0))


@pytest.mark.parametrize("settings", [{"tries": 0}, {"first_s": -1}, {"first_s": 2, "most_s": 1}])
def test_what_is_no_way_to_try_again(settings):
    with pytest.raises(InvalidSettingError):
        Retry(**settings)


def test_sources_that_can_be_read_again(tmp_path):
    (tmp_path / "there").write_bytes(b"x")
    for source in (tmp_path / "there", str(tmp_path / "there"), b"x", bytearray(b"x"), [b"x"], (b"x",)):
        assert is_repeatable(source)
    with (tmp_path / "there").open("rb") as file:
        for source in (file, iter([b"x"]), tmp_path / "absent", "/dev/stdin"):
            assert not is_repeatable(source)
