"""A stream that is there whole is decoded several segments at once, and comes out the same."""

import io
import threading
from pathlib import Path

import pytest
from media_files import OneWay
from streams import bytes_of, stream

from cmvc.control import Control
from cmvc.errors import CmvcError, ServerError
from cmvc.records import DecodeSummary, StreamBytes
from cmvc.v1 import decoder_pb2
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.pipeline import decode

FORMATS = [decoder_pb2.OUTPUT_FORMAT_Y4M, decoder_pb2.OUTPUT_FORMAT_FMP4]


class Watched(InProcessExecutor):
    """Notes which segments it began; tells of each before it makes it."""

    def __init__(self, before=lambda index: None):
        super().__init__(["embedded"], Path(), ())
        self.begun = []
        self._before = before

    def generate(self, request, conditions, control):
        self.begun.append(request.index)
        self._before(request.index)
        yield from super().generate(request, conditions, control)


def decoded(source, executor, at_once, output=FORMATS[0], **config):
    wanted = decoder_pb2.DecodeConfig(format=output, **config)
    return decode(source, wanted, Control(), executor, at_once=at_once)


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("part", [{}, {"start": 1.5, "duration": 2.0}])
def test_it_comes_out_the_same(output, part):
    data = stream(segments=5)
    one, *more = (list(decoded(io.BytesIO(data), Watched(), n, output, **part)) for n in (1, 2, 3, 9))
    for records in more:
        assert bytes_of(records) == bytes_of(one)
        assert records[-1] == one[-1]
        assert isinstance(records[-1], DecodeSummary)


def test_the_next_segment_begins_before_one_is_done():
    second = threading.Event()
    executor = Watched(lambda index: second.wait(60) if index == 0 else second.set())
    records = decoded(io.BytesIO(stream(segments=3)), executor, 2)
    assert any(isinstance(record, StreamBytes) for record in records)
    assert second.is_set()


def test_no_more_are_in_work_than_were_allowed():
    executor = Watched()
    records = decoded(io.BytesIO(stream(segments=6)), executor, 2)
    next(record for record in records if isinstance(record, StreamBytes))
    assert set(executor.begun) <= {0, 1}
    records.close()
    assert set(executor.begun) <= {0, 1}
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


@pytest.mark.parametrize("cut", [True, False])
def test_what_may_still_be_written_is_not_read_ahead(cut):
    data = stream(segments=4)
    executor = Watched()
    records = decoded(io.BytesIO(data[:-40]) if cut else OneWay(data), executor, 3)
    next(record for record in records if isinstance(record, StreamBytes))
    assert executor.begun == [0]
    records.close()


def test_what_comes_before_a_segment_that_fails_is_given():
    def fails(index):
        if index == 2:
            raise ServerError("no")

    given = []
    with pytest.raises(CmvcError, match="no"):
        given.extend(decoded(io.BytesIO(stream(segments=4)), Watched(fails), 4))
    whole = list(decoded(io.BytesIO(stream(segments=4)), Watched(), 1))
    assert bytes_of(given) == bytes_of(whole)[: len(bytes_of(given))]
    assert len(bytes_of(given)) > len(bytes_of(whole)) // 3


def test_what_comes_before_a_place_that_cannot_be_read_is_given():
    data = stream(segments=4)

    class Fails(io.BytesIO):
        bad = False

        def read(self, size=-1):
            if self.bad and self.tell() + max(size, 0) > len(data) * 5 // 8:
                raise OSError("the disk is gone")
            return super().read(size)

    source, given = Fails(data), []
    records = decoded(source, Watched(), 2)
    given.append(next(records))
    source.bad = True
    with pytest.raises(OSError, match="disk"):
        given.extend(records)
    whole = bytes_of(decoded(io.BytesIO(data), Watched(), 1))
    assert len(bytes_of(given)) > len(whole) // 4
    assert whole.startswith(bytes_of(given))
