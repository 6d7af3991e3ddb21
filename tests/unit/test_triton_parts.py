"""Parts of the way to Triton that need no Triton server."""

import os
import queue
import time
from pathlib import Path

import pytest

pytest.importorskip("tritonclient", reason="the client of Triton is not installed")

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2

from cmvc.control import Control
from cmvc.errors import (
    BackendUnavailableError,
    DeadlineError,
    InvalidSettingError,
    MissingWeightsError,
    OverloadedError,
    ServerError,
)
from cmvc.media.picture import Picture, chroma_size
from cmvc_decoder.triton import call
from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.shared_memory import shared_region
from cmvc_decoder.triton.wire import error_text, pack, picture_bytes, read_error, unpack

TARGET = "127.0.0.1:1"


def noise(width, height, seed):
    rng = np.random.default_rng(seed)
    across, down = chroma_size(width, height)
    return Picture(
        *(rng.integers(0, 256, size, np.uint8) for size in ((height, width), (down, across), (down, across)))
    )


@pytest.mark.parametrize(("width", "height"), [(16, 16), (17, 15), (1, 1), (854, 480)])
def test_pictures_of_any_size_come_back(width, height):
    pictures = [noise(width, height, seed) for seed in range(3)]
    rows = pack(pictures)
    assert rows.shape == (3, picture_bytes(width, height))
    for row, picture in zip(rows, pictures, strict=True):
        got = unpack(row, width, height)
        assert all(np.array_equal(a, b) for a, b in zip(got.planes, picture.planes, strict=True))


def test_a_row_of_another_size_is_refused():
    with pytest.raises(ServerError, match="another version"):
        unpack(np.zeros(10, np.uint8), 16, 16)


@pytest.mark.parametrize(
    "error", [MissingWeightsError("run: pull"), InvalidSettingError("a: b\nc"), OverloadedError("x")]
)
def test_errors_of_a_model_come_back_as_they_were(error):
    for prefix in ("", "[request id: r1] "):
        got = read_error(prefix + error_text(error), TARGET)
        assert type(got) is type(error)
        assert str(got) == str(error)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[request id: r1] Exceeds maximum queue size", OverloadedError),
        ("Stub process 'x_0_0' is not healthy.", BackendUnavailableError),
        ("The stream is no longer in valid state, the error detail is reported", BackendUnavailableError),
        ("Stream removed (Socket closed)", BackendUnavailableError),
        ("NO_SUCH_REASON: boom", ServerError),
    ],
)
def test_what_triton_itself_says_has_a_class(text, kind):
    assert type(read_error(text, TARGET)) is kind


def test_a_model_that_falls_silent_is_given_up(monkeypatch):
    monkeypatch.setattr(call, "SILENT_S", 0.2)
    answers = queue.SimpleQueue()
    answers.put(triton.InferResult(service_pb2.ModelInferResponse()))  # it has begun
    with pytest.raises(BackendUnavailableError, match="silent"):
        list(call._responses(answers, Control(), TARGET, None, call.SILENT_S))


def test_work_in_line_is_not_given_up_for_silence(monkeypatch):
    monkeypatch.setattr(call, "SILENT_S", 0.2)
    seen = []
    with pytest.raises(DeadlineError):
        seen.extend(call._responses(queue.SimpleQueue(), Control(time.monotonic() + 2.5), TARGET, None, call.SILENT_S))
    assert [name for name, _ in seen] == [call.IN_LINE] * len(seen)
    assert seen


def test_memory_that_is_not_there_is_found_out_before_triton_writes_to_it():
    free = os.statvfs("/dev/shm")
    before = set(Path("/dev/shm").iterdir())
    with pytest.raises(OSError, match="space"), shared_region(Address(TARGET), 2 * free.f_blocks, free.f_frsize):
        raise AssertionError("there cannot be so much")
    assert not [each for each in set(Path("/dev/shm").iterdir()) - before if each.name.startswith("cmvc-")]
