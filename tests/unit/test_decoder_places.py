"""How many segments a decoder works on at once follows from its models and speed options, unless somebody says it."""

import asyncio
from types import SimpleNamespace

import grpc
import pytest

from cmvc.errors import InvalidSettingError
from cmvc.findings import Health
from cmvc.profiles.registry import MODEL_PROFILES
from cmvc.server.options import HALF
from cmvc_decoder.findings import examine
from cmvc_decoder.options import DecoderOptions
from cmvc_decoder.service import SERVICE

WAN = "wan-vace-1.3b"


def at_once(running=None, **options):
    async def ask():
        servicer = SERVICE.attach(grpc.aio.server(), running=running, waiting=1, options=DecoderOptions(**options))
        asked_by = SimpleNamespace(peer=lambda: "ipv4:127.0.0.1:1")
        return (await servicer.GetCapabilities(None, asked_by)).segments_at_once

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, HALF),
        ({"speed": ("batch=4",)}, HALF),  # nothing here has a model
        ({"profiles": (WAN, "embedded")}, 3),
        ({"profiles": (WAN, "embedded"), "speed": ("batch=4",)}, 12),
        ({"profiles": (WAN, "ltx-video"), "speed": ("compile=regional", "batch=2")}, 12),
        ({"profiles": ()}, 3 * len(MODEL_PROFILES)),  # all that there are
        ({"profiles": (WAN,), "speed": ("batch=4",), "running": 2}, 2),
    ],
)
def test_it_follows_from_models_and_batch(options, wanted):
    assert at_once(**options) == wanted


def test_where_triton_runs_the_models_too():
    pytest.importorskip("tritonclient.grpc", reason="the client of Triton is not installed")
    assert at_once(profiles=(WAN,), triton="127.0.0.1:1", speed=("batch=2",)) == 6


def test_a_speed_that_is_none_is_refused():
    with pytest.raises(InvalidSettingError, match="batch=many"):
        at_once(profiles=(WAN,), speed=("batch=many",))


def found(monkeypatch, tmp_path, **environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (finding,) = [each for each in examine(tmp_path, "127.0.0.1:1") if each.name == "speed"]
    return finding


def test_doctor_says_what_follows(monkeypatch, tmp_path):
    finding = found(monkeypatch, tmp_path, CMVC_SPEED="batch=4 compile=regional")
    assert (finding.health, finding.found) == (Health.OK, "batch=4: 12 segments at once keep a model busy")
    finding = found(monkeypatch, tmp_path, CMVC_SERVE_DECODER_RUNNING="2")
    assert finding.found.endswith("keep a model busy; a decoder here works on 2")
    assert finding.advice == "leave CMVC_SERVE_DECODER_RUNNING out, or say 12 or more"
    assert found(monkeypatch, tmp_path, CMVC_SPEED="batch=0").health is Health.FAULT
