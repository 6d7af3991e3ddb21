"""The encoder's main job: pictures -> windows -> workers with mode coders -> segments -> bytes of a stream.

A plain generator of plain records; no grpc. Each step has its room: ``ingest``, ``keyframes``, ``semantics``,
``coding``, ``planning``, ``workers`` and ``stream``.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from cmvc.bitstream.modes import mode_of
from cmvc.control import Control
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.observer import NullObserver, Observer
from cmvc.process import cores
from cmvc.records import EncodeRecord, Progress
from cmvc.v1 import encoder_pb2
from cmvc_encoder.coding.mode import Trial
from cmvc_encoder.ingest.cutting import Batch, Clock, plan_shape
from cmvc_encoder.ingest.reading import open_input, pictures_ahead, read_windows
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.job import Job, read_job
from cmvc_encoder.keyframes.choice import KeyframeSelector, embedder_of, make_selector
from cmvc_encoder.options import EncoderOptions
from cmvc_encoder.planning.planner import MOST_JOBS
from cmvc_encoder.semantics import check_extractor, make_extractor
from cmvc_encoder.semantics.timed import TimedExtractor
from cmvc_encoder.semantics.tokens import within_tokens
from cmvc_encoder.stream.writing import StreamOutput
from cmvc_encoder.workers.line import Work, in_order
from cmvc_encoder.workers.outlook import Known, looked_ahead
from cmvc_encoder.workers.pictures import shared
from cmvc_encoder.workers.spawner import SPAWNER
from cmvc_encoder.workers.task import Order
from cmvc_encoder.workers.workshop import Workshop

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
        options: which models understand the pictures, and how many windows are coded at a time.

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
        EncoderCrashedError: processes that code windows end before they are done.
        CancelledError: ``control`` was cancelled.
        DeadlineError: its deadline passed.
    """
    job = read_job(config)
    embedder = embedder_of(config.keyframes, options)
    SPAWNER.start()  # it gets ready while the input is opened and read
    with control.part() as part:
        model = make_extractor(job.semantics, options, strict=job.strict, control=part, observer=observer)
        extractor = TimedExtractor(within_tokens(model, job.generator), job.mode, observer)
        workshop = Workshop(extractor, observer, part)
        with open_input(source, job, part, limits, isolated=options.isolate_media == "always") as reader:
            shape = plan_shape(reader.info, job, limits)
            selector = make_selector(config.keyframes, embedder, shape.frame_rate)
            output = StreamOutput(reader.info, job, shape, observer, limits)
            clock = Clock()
            yield from output.open()
            jobs = _jobs(job, options)
            batches = _held(read_windows(reader, shape, part, depth=pictures_ahead(shape), clock=clock), selector)
            known = looked_ahead(
                batches, lambda batch: workshop.probe(batch.window, output.probe_order(batch)), output.outlook, jobs
            )
            beginning = Beginning(output, workshop, observer, clock)

            def code(window: Window, order: Order) -> Generator[Progress, None, Trial]:
                return output.meanwhile(partial(workshop.code, window, order), clock, part)

            with closing(in_order(known, beginning.begin, jobs, part)) as coded:
                while done := (yield from output.meanwhile(partial(next, coded, None), clock, part)):
                    batch, trial = done
                    yield from output.add(batch, trial, code, clock)
                    del done, batch, trial  # pictures would outlive their use
            dropped = [job.sound.dropped] if job.sound.dropped and reader.has_sound else []
            yield from output.close([*dropped, *reader.notes, *extractor.notes()])


def _held(batches: Generator[Batch], selector: KeyframeSelector) -> Generator[Batch]:
    """Yield windows as they are kept: in shared memory, with their keyframes."""
    with closing(batches):
        for batch in batches:
            keyframes = selector.select(batch.window)
            batch = replace(batch, window=shared(replace(batch.window, keyframes=keyframes)))  # noqa: PLW2901 - memory
            yield batch


class Beginning:
    """What happens to a window before it is coded; called for all of them in order."""

    def __init__(self, output: StreamOutput, workshop: Workshop, observer: Observer, clock: Clock) -> None:
        """Take who plans, who codes, who is told, and the time that reading takes."""
        self._output = output
        self._workshop = workshop
        self._observer = observer
        self._clock = clock
        self._ingest_seconds = 0.0
        self._windows = 0

    def begin(self, known: Sequence[Known]) -> tuple[Batch, Work]:
        """Return a window and the work of coding it.

        Args:
            known: the window, and those after it that are known.
        """
        batch, window = known[0].batch, known[0].batch.window
        order, index = self._output.plan(known), self._windows
        ingested = self._clock.seconds - self._ingest_seconds
        self._ingest_seconds += ingested
        self._windows += 1

        def work() -> Trial:
            with self._observer.piece("window", index=index, frames=len(window.pictures)):
                started = time.perf_counter()
                trial = self._workshop.code(window, order)
                mode = mode_of(trial.segments[-1])
                self._observer.stage("rate", mode, time.perf_counter() - started)
                self._observer.stage("ingest", mode, ingested)
                return trial

        return batch, work


def _jobs(job: Job, options: EncoderOptions) -> int:
    """Return how many windows are coded at a time."""
    return 1 if job.takes_turns else min(options.jobs or cores(), MOST_JOBS)
