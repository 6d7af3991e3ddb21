"""What pipelines yield, as messages."""

import pytest

from cmvc import records
from cmvc.limits import DEFAULT_LIMITS
from cmvc.wire.messages import decode_responses, encode_responses, segment_responses
from cmvc.wire.transfer import checked


@pytest.mark.parametrize("responses", [encode_responses, decode_responses, segment_responses])
def test_closing_messages_closes_the_pipeline_at_once(responses):
    closed = []

    def pipeline():
        try:
            yield records.Progress(1)
            yield records.Progress(2)
        finally:
            closed.append(True)

    made = pipeline()  # held here, so that nothing but an explicit close ends it
    messages = responses(made)
    assert next(messages).progress.frames_done == 1
    messages.close()
    assert closed


@pytest.mark.parametrize("responses", [encode_responses, decode_responses, segment_responses])
def test_bytes_of_any_size_fit_messages_and_arrive_whole(responses):
    data = bytes(range(256)) * (DEFAULT_LIMITS.chunk_bytes // 256) + b"end"
    messages = list(responses(iter_of(records.StreamBytes(data))))
    assert len(messages) > 1
    assert b"".join(checked(message.data) for message in messages) == data


def test_a_segment_comes_as_progress_prologue_data_and_summary():
    made = iter_of(
        records.Progress(1, 2, seconds_done=0.5),
        records.Prologue(b"ftyp"),
        records.StreamBytes(b"moof"),
        records.SegmentSummary(2, 4),
    )
    progress, prologue, data, summary = segment_responses(made)
    assert (progress.progress.frames_done, progress.progress.frames_total, progress.progress.seconds_done) == (
        1,
        2,
        0.5,
    )
    assert prologue.prologue == b"ftyp"
    assert checked(data.data) == b"moof"
    assert (summary.summary.frames, summary.summary.bytes) == (2, 4)


def iter_of(*made):
    yield from made
