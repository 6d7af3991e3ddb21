import logging

import pytest

from cmvc.errors import InvalidSettingError
from cmvc_gateway.discovery import Name, is_name, resolve


class Answers:
    """A resolver that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    async def __call__(self, name):
        self.asked.append(name)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


def failure(why="Name or service not known"):
    return OSError(-2, why)


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("target", ["dns:decoders.video.svc:50051", "dns:///decoders.video.svc:50051"])
async def test_every_address_of_a_name_is_found_once_with_its_port(target):
    assert is_name(target)
    answers = Answers(["10.0.0.2", "10.0.0.1", "fd00::7", "10.0.0.2"])
    name = Name(target, answers)
    assert not name.looked.is_set()
    await name.look()
    assert name.addresses == ("10.0.0.1:50051", "10.0.0.2:50051", "[fd00::7]:50051")
    assert answers.asked == ["decoders.video.svc"]
    assert name.looked.is_set()


@pytest.mark.parametrize("target", ["127.0.0.1:50051", "[::1]:50051", "decoders:50051", "dnsmasq:53"])
def test_a_plain_address_is_no_name_to_follow(target):
    assert not is_name(target)


@pytest.mark.parametrize(
    "target",
    ["dns:", "dns:decoders", "dns:decoders:", "dns::50051", "dns:decoders:http", "dns:decoders:0", "dns:decoders:70000",
     "dns://8.8.8.8/decoders:50051", "dns:a:b:50051", "dns:[::1]:50051", f"dns:{'x' * 64}:50051"],
)  # fmt: skip
def test_a_malformed_target_is_refused(target):
    with pytest.raises(InvalidSettingError, match="dns:NAME:PORT"):
        Name(target, Answers([]))


async def test_addresses_come_and_go_with_each_look():
    name = Name("dns:decoders:1", Answers(["10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.2"], []))
    seen = []
    for _ in range(4):
        await name.look()
        seen.append(name.addresses)
    assert seen == [("10.0.0.1:1",), ("10.0.0.1:1", "10.0.0.2:1"), ("10.0.0.2:1",), ()]


async def test_a_failed_look_keeps_what_is_known_and_is_logged_once_per_change(caplog):
    answers = Answers(["10.0.0.1"], failure(), failure(), failure("server failed"), ["10.0.0.2"], ["10.0.0.2"])
    name = Name("dns:decoders:1", answers)
    await name.look()
    for _ in range(3):
        await name.look()
        assert name.addresses == ("10.0.0.1:1",)
    for _ in range(2):
        await name.look()
        assert name.addresses == ("10.0.0.2:1",)
    unknown, failed, back = warnings(caplog)
    assert "cannot resolve decoders: Name or service not known; keeping 1 known" in unknown
    assert "server failed" in failed
    assert "resolves again" in back


async def test_a_first_look_that_fails_counts_as_a_look():
    name = Name("dns:decoders:1", Answers(failure()))
    await name.look()
    assert name.looked.is_set()
    assert name.addresses == ()


async def test_the_system_is_asked_for_real_names():
    assert set(await resolve("localhost")) & {"127.0.0.1", "::1"}
    with pytest.raises(OSError):  # noqa: PT011 - its text differs from system to system
        await resolve("no-such-name.invalid")
