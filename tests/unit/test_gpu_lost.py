"""A GPU that failed in this process: what needs it is refused from then on, and health says so."""

import pytest
from profile_streams import requests
from streams import stream
from text_streams import text_stream

from cmvc.control import Control
from cmvc.errors import BackendUnavailableError
from cmvc.limits import DEFAULT_LIMITS
from cmvc_decoder.conditions import read_conditions
from cmvc_decoder.executors import in_process
from cmvc_decoder.executors.in_process import InProcessExecutor

PROFILE = "wan-vace-1.3b"
(TEXT,) = requests(text_stream(1))
(CODED,) = requests(stream(1, profile=PROFILE))
(EMBEDDED,) = requests(stream(1))


class Model:
    """Stands for a model; fails once with ``error``."""

    def __init__(self, error):
        self.errors = [error]

    def generate(self, conditions, control):
        if self.errors:
            raise self.errors.pop()
        yield from ()


def executor(monkeypatch, tmp_path, error):
    model = Model(error)
    monkeypatch.setattr(in_process, "make_generator", lambda *_: model)
    return InProcessExecutor([PROFILE, "embedded"], tmp_path, ())


def made(executor, request):
    return list(executor.generate(request, read_conditions(request, DEFAULT_LIMITS), Control()))


def test_a_gpu_that_failed_takes_its_profiles_down_and_nothing_else(monkeypatch, tmp_path):
    each = executor(monkeypatch, tmp_path, RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert each.works(PROFILE)
    for _ in range(2):
        with pytest.raises(BackendUnavailableError, match="start it again"):
            made(each, TEXT)
    assert not each.works(PROFILE)
    assert each.works("embedded")
    assert made(each, CODED) == made(each, EMBEDDED) == []


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory. Tried to allocate"), ValueError("a defect")])
def test_other_failures_are_those_of_one_segment(monkeypatch, tmp_path, error):
    each = executor(monkeypatch, tmp_path, error)
    with pytest.raises(type(error)):
        made(each, TEXT)
    assert each.works(PROFILE)
    assert made(each, TEXT) == []
