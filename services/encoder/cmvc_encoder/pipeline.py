"""The encoder's main job: pictures -> windows -> mode coder -> segments -> bytes of a stream.

A plain generator of plain records; no grpc. Each step has its room: ``ingest``, ``keyframes``, ``semantics``,
``coding``, ``planning`` and ``stream``.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import BinaryIO

from cmvc.control import Control
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.observer import NullObserver, Observer
from cmvc.records import EncodeRecord
from cmvc.v1 import common_pb2, encoder_pb2
from cmvc_encoder.coding.effort import EFFORTS
from cmvc_encoder.coding.mode import ModeCoder
from cmvc_encoder.coding.registry import Tools, make_coder
from cmvc_encoder.ingest.cutting import Clock, plan_shape
from cmvc_encoder.ingest.reading import open_input, pictures_ahead, read_windows
from cmvc_encoder.job import read_job
from cmvc_encoder.keyframes.choice import embedder_of, make_selector
from cmvc_encoder.options import EncoderOptions
from cmvc_encoder.planning.auto import AutoCoder
from cmvc_encoder.semantics import check_extractor, make_extractor
from cmvc_encoder.semantics.timed import TimedExtractor
from cmvc_encoder.semantics.tokens import within_tokens
from cmvc_encoder.stream.writing import StreamOutput

NO_OBSERVER = NullObserver()
NO_OPTIONS = EncoderOptions()


def check_request(config: encoder_pb2.EncodeConfig, options: EncoderOptions) -> None:
    """Return if ``encode`` would begin; so that a call is refused before it stands in line.

    Raises:
        CmvcError: it would not; see ``encode``.
    """
    check_extractor(read_job(config).semantics, options)
    embedder_of(config.keyframes, options)


def encode(
    source: str | Path | BinaryIO,
    config: encoder_pb2.EncodeConfig,
    control: Control,
    *,
    limits: Limits = DEFAULT_LIMITS,
    observer: Observer = NO_OBSERVER,
    options: EncoderOptions = NO_OPTIONS,
) -> Generator[EncodeRecord]:
    """Encode one video; yield its stream piece by piece as segments are ready, progress between, the summary last.

    Args:
        source: path of a file, or a binary file object, in any container that FFmpeg opens.
        config: how to encode.
        control: cancels or ends the work early.
        limits: bounds everything that is read.
        observer: is told how long stages took and what was written.
        options: which models understand the pictures.

    Raises:
        InvalidSettingError: ``config`` is not valid.
        UnknownProfileError: it names a generator profile that there is none of, or that does not decode the mode.
        UnknownExtractorError: ``config`` names a semantic extractor that is not set up.
        UnknownEmbeddingError: it names an embedding that is not installed.
        MissingServiceError: libraries of one of them are not installed.
        MissingWeightsError: weights of one of them are not on this machine.
        SemanticsError: the model of the extractor failed, and ``config`` is strict.
        MediaError: the source is not a video that can be read.
        LimitError: the source is over the limits.
        CancelledError: ``control`` was cancelled.
        DeadlineError: its deadline passed.
    """
    job = read_job(config)
    embedder = embedder_of(config.keyframes, options)
    model = make_extractor(job.semantics, options, strict=job.strict, control=control, observer=observer)
    extractor = TimedExtractor(within_tokens(model, job.generator), job.mode, observer)
    tools = Tools(extractor, job.captions, EFFORTS[job.effort], observer, job.generator)
    by_mode = job.mode != common_pb2.MODE_UNSPECIFIED
    coder: ModeCoder = make_coder(job.mode, tools) if by_mode else AutoCoder(tools)
    with open_input(source, job, control, limits) as reader:
        dropped = [job.sound.dropped] if job.sound.dropped and reader.has_sound else []
        shape = plan_shape(reader.info, job, limits)
        selector = make_selector(config.keyframes, embedder, shape.frame_rate)
        output = StreamOutput(reader.info, job, shape, observer, limits)
        clock = Clock()
        yield from output.open()
        with closing(read_windows(reader, shape, control, depth=pictures_ahead(shape), clock=clock)) as batches:
            for index in count():
                batch = yield from output.meanwhile(partial(next, batches, None), clock)
                if batch is None:
                    break
                control.check()
                with observer.piece("window", index=index, frames=len(batch.window.pictures)):
                    keyframes = yield from output.meanwhile(partial(selector.select, batch.window), clock)
                    batch = replace(batch, window=replace(batch.window, keyframes=keyframes))
                    yield from output.add(batch, coder, control, clock)
                    output.ingested(clock)
        yield from output.close([*dropped, *reader.notes, *extractor.notes()])
