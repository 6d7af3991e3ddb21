"""Memory that segments in work share: who does not fit waits, in order, and says so; who is alone does not."""

import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import av
import numpy as np
import pytest

from cmvc import process
from cmvc.control import Control
from cmvc.errors import CancelledError
from cmvc.media.fmp4 import FragmentedMp4
from cmvc.media.picture import Picture
from cmvc.records import Progress, SegmentSummary
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_decoder import memory as module
from cmvc_decoder.memory import Memory, need

MIB = 1 << 20
EIGHT_K = pb.StreamHeader(width=7680, height=4320)


def shared(mib):
    return Memory(module._PROCESS_BYTES + mib * MIB)


def test_what_does_not_fit_waits_and_nobody_overtakes_it():
    memory = shared(100)
    with ExitStack() as first, ExitStack() as second, ThreadPoolExecutor(1) as pool:
        assert first.enter_context(memory.line(60 * MIB)).come(0)
        large = second.enter_context(memory.line(50 * MIB))
        with memory.line(60 * MIB) as small:
            assert not large.come(0)
            assert not small.come(0)
            waiting = pool.submit(large.come, 10)
            first.close()
            assert waiting.result(10)
            assert not small.come(0)
            second.close()
            assert small.come(0)


def test_whoever_leaves_the_line_lets_the_next_one_in():
    memory = shared(100)
    with memory.line(60 * MIB), ExitStack() as leaving:
        leaving.enter_context(memory.line(50 * MIB))
        with memory.line(40 * MIB) as small:
            assert not small.come(0)  # it fits, and is not first
            leaving.close()
            assert small.come(0)


def test_one_alone_has_what_it_needs():
    memory = shared(1)
    with memory.line(1 << 60) as turn:
        assert turn.come(0)
        with memory.line(1) as other:
            assert not other.come(0)
    with memory.line(1) as turn:
        assert turn.come(0)


def test_a_segment_that_waits_says_so_and_ends_when_it_is_to(monkeypatch):
    monkeypatch.setattr(module, "_BEAT_SECONDS", 0.01)
    memory, control = shared(1), Control()
    with memory.line(need(EIGHT_K)):
        records = memory.in_turn(EIGHT_K, control, iter([SegmentSummary(1, 1)]))
        assert [next(records), next(records)] == [Progress(0), Progress(0)]
        control.cancel()
        with pytest.raises(CancelledError):
            next(records)
    assert list(memory.in_turn(EIGHT_K, Control(), iter([SegmentSummary(1, 1)]))) == [SegmentSummary(1, 1)]


def test_two_of_8k_share_three_gibibytes_and_not_two():
    for gib, fits in ((3, True), (2, False)):
        memory = Memory(gib << 30)
        with memory.line(need(EIGHT_K)), memory.line(need(EIGHT_K)) as second:
            assert second.come(0) is fits
    odd = need(pb.StreamHeader(width=7679, height=4319))
    assert odd + module._PROCESS_BYTES < 3 << 30


def test_a_container_bounds_the_memory_of_a_machine(monkeypatch, tmp_path):
    bound, none = tmp_path / "bound", tmp_path / "none"
    bound.write_text("123456\n")
    none.write_text("max\n")
    monkeypatch.setattr(process, "_MEMORY_LIMITS", (str(none), str(tmp_path / "missing")))
    whole = process.memory()
    assert whole > 1 << 28
    monkeypatch.setattr(process, "_MEMORY_LIMITS", (str(none), str(bound)))
    assert process.memory() == 123456


def open_encoders():
    return sum(issubclass(type(each), av.CodecContext) and each.is_open for each in gc.get_objects())


def test_mp4_that_nobody_wants_any_more_has_no_encoder():
    header = pb.StreamHeader(width=96, height=64, frame_rate_numerator=24)
    gray = np.full((32, 48), 128, np.uint8)
    output, picture = FragmentedMp4(header), Picture(np.full((64, 96), 90, np.uint8), gray, gray)
    gc.collect()
    before = open_encoders()
    gc.disable()  # which finds it sooner or later; of 8K it holds half a gigabyte
    try:
        data = output.segment(0, iter([picture] * 60))
        assert next(data)
        assert open_encoders() == before + 1
        data.close()
        assert output.prologue
        assert open_encoders() == before
    finally:
        gc.enable()
