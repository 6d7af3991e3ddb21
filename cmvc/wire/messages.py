"""Records of pipelines as the messages that carry them, data cut into chunks with checksums.

Whoever closes an iterator of messages has closed the pipeline behind it.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict

from cmvc import records
from cmvc.notes import code_of
from cmvc.plain import one_line
from cmvc.v1 import common_pb2, decoder_pb2, encoder_pb2
from cmvc.wire.transfer import make_chunks


def progress_message(progress: records.Progress) -> common_pb2.Progress:
    """Return the message for ``progress``."""
    return common_pb2.Progress(
        frames_done=progress.frames_done,
        frames_total=progress.frames_total,
        stream_bytes=progress.stream_bytes,
        seconds_done=progress.seconds_done,
        frames_read=progress.frames_read,
    )


def encode_responses(made: Generator[records.EncodeRecord]) -> Generator[encoder_pb2.EncodeResponse]:
    """Yield the messages of an encode, in order."""
    with closing(made):
        for record in made:
            match record:
                case records.StreamBytes(data):
                    for chunk in make_chunks(data):
                        yield encoder_pb2.EncodeResponse(data=chunk)
                case records.Progress():
                    yield encoder_pb2.EncodeResponse(progress=progress_message(record))
                case records.EncodeSummary():
                    yield encoder_pb2.EncodeResponse(summary=encode_summary(record))


def encode_summary(summary: records.EncodeSummary) -> encoder_pb2.EncodeSummary:
    """Return the message for ``summary``."""
    return encoder_pb2.EncodeSummary(
        frames=summary.frames,
        stream_bytes=summary.stream_bytes,
        bits_per_second=summary.bits_per_second,
        notes=map(one_line, summary.notes),
        note_codes=map(code_of, summary.notes),
        codings=[encoder_pb2.SegmentCoding(**(asdict(coding) if coding else {})) for coding in summary.codings],
    )


def decode_responses(made: Generator[records.DecodeRecord]) -> Generator[decoder_pb2.DecodeResponse]:
    """Yield the messages of a decode, in order."""
    with closing(made):
        for record in made:
            match record:
                case records.StreamBytes(data):
                    for chunk in make_chunks(data):
                        yield decoder_pb2.DecodeResponse(data=chunk)
                case records.Progress():
                    yield decoder_pb2.DecodeResponse(progress=progress_message(record))
                case records.DecodeSummary():
                    yield decoder_pb2.DecodeResponse(summary=decode_summary(record))


def decode_summary(summary: records.DecodeSummary) -> decoder_pb2.DecodeSummary:
    """Return the message for ``summary``."""
    return decoder_pb2.DecodeSummary(
        frames=summary.frames,
        segments=summary.segments,
        notes=map(one_line, summary.notes),
        note_codes=map(code_of, summary.notes),
    )


def segment_responses(made: Generator[records.SegmentRecord]) -> Generator[decoder_pb2.DecodeSegmentResponse]:
    """Yield the messages of one segment, in order, one record in each."""
    with closing(made):
        for record in made:
            match record:
                case records.Progress():
                    yield decoder_pb2.DecodeSegmentResponse(progress=progress_message(record))
                case records.Prologue(data):
                    yield decoder_pb2.DecodeSegmentResponse(prologue=data)
                case records.Remark(note):
                    yield decoder_pb2.DecodeSegmentResponse(note=one_line(note))
                case records.Tail(data):
                    yield decoder_pb2.DecodeSegmentResponse(tail=data)
                case records.StreamBytes(data):
                    for chunk in make_chunks(data):
                        yield decoder_pb2.DecodeSegmentResponse(data=chunk)
                case records.SegmentSummary(frames, size):
                    summary = decoder_pb2.DecodeSegmentSummary(frames=frames, bytes=size)
                    yield decoder_pb2.DecodeSegmentResponse(summary=summary)
