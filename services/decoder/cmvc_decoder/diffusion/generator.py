"""A diffusion profile as a ``Generator``: conditions in, steps and then pictures out, for one segment or several."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cmvc.ahead import StoppedError, reported
from cmvc.bitstream.modes import Mode
from cmvc.control import Control
from cmvc.errors import CmvcError, InvalidSettingError, OverloadedError
from cmvc.media.picture import Picture
from cmvc.media.rgb import Rgb
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.adapting import Adapters
from cmvc_decoder.diffusion.grid import Plan
from cmvc_decoder.diffusion.profile import DiffusionProfile, Window
from cmvc_decoder.diffusion.restore import restore
from cmvc_decoder.diffusion.segment import Native, make_plan, make_segment
from cmvc_decoder.diffusion.settings import BLENDED, Settings, read_settings
from cmvc_decoder.generator import Conditions, Item, Step, Work
from cmvc_decoder.speed.batching import drive
from cmvc_decoder.speed.compile import allow_variants
from cmvc_decoder.speed.device import on_this_machine
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.upscale import upscale
from cmvc_decoder.weights.adapters import Adapter, find_adapter

_POLL_SECONDS = 0.1
_NOTHING: Rgb = np.zeros((0, 0, 0, 3), np.uint8)
Report = Callable[[tuple[int, Item]], None]


@dataclass
class _Job:
    """A segment in work: ``windows_done`` of those that its plan has, and the ``error`` that ended it, if one did."""

    number: int
    conditions: Conditions
    control: Control
    settings: Settings
    adapter: Adapter | None
    plan: Plan
    windows_done: int = 0
    error: CmvcError | None = None

    def stopped(self) -> CmvcError | None:
        """Return why it should not go on, None if it should."""
        if self.error:
            return self.error
        try:
            self.control.check()
        except CmvcError as error:
            return error
        return None


class DiffusionGenerator:
    """Makes frames with the model of one profile. One run of the model at a time, whoever calls."""

    def __init__(self, profile: DiffusionProfile, folder: Path, speed: SpeedOptions) -> None:
        """Take over the profile; nothing is loaded before ``load`` or the first segment.

        Args:
            profile: whose model it is.
            folder: of the profile's weights.
            speed: where and how fast it runs.
        """
        self.id = profile.facts.id
        self.revision = profile.facts.revision
        self.modes: tuple[Mode.ValueType, ...] = profile.facts.modes
        self._profile = profile
        self._folder = folder
        self._speed = on_this_machine(speed)
        self._pipe: Any = None
        self._adapters: dict[Any, Adapters] = {}  # by denoiser
        self._lock = threading.Lock()

    def load(self) -> None:
        """Load the model, unless it is.

        Raises:
            MissingWeightsError: they are not on this machine.
        """
        with self._lock:
            if self._pipe is None:
                self._pipe = self._profile.load(self._folder, self._speed)

    def generate(self, conditions: Conditions, control: Control) -> Iterator[Step | Picture]:
        """Yield the steps and then the frames of one segment; see ``Generator``."""
        for _, item in self.generate_batch([(conditions, control)]):
            if isinstance(item, CmvcError):
                raise item
            yield item

    def generate_batch(self, works: Sequence[Work]) -> Iterator[tuple[int, Item]]:
        """Yield steps, then frames of several segments, each with the number of its work; see ``Generator``.

        Windows of equal shape share runs of the model.
        """
        jobs: list[_Job] = []
        for number, (conditions, control) in enumerate(works):
            if conditions.mode == common_pb2.MODE_CODED:  # nothing is invented
                yield from _numbered(number, upscale(conditions, control))
                continue
            try:
                jobs.append(self._job(number, conditions, control))
            except CmvcError as error:
                yield number, error
        if jobs:  # what was refused, or needs no model, does not wait for one
            self.load()
        made = yield from reported(partial(self._denoise, jobs))
        for job, native in zip(jobs, made, strict=True):
            if isinstance(native, CmvcError):
                yield job.number, native
            else:
                blended = job.settings.anchors == BLENDED
                yield from _numbered(job.number, restore(native, job.conditions, job.control, blended=blended))

    def _job(self, number: int, conditions: Conditions, control: Control) -> _Job:
        settings = read_settings(conditions.settings, self._profile.defaults)
        plan = make_plan(conditions, self._profile.facts.grid, settings)
        return _Job(number, conditions, control, settings, self._adapter(conditions), plan)

    def _adapter(self, conditions: Conditions) -> Adapter | None:
        """Return the adapter that the stream asks for; its file is read when it is loaded."""
        if not conditions.wants_adapter:
            return None
        if not self._profile.adapts:
            raise InvalidSettingError(
                f"the profile {self.id} takes no adapter; leave it out, or name another --profile"
            )
        return find_adapter(self._folder, self.revision, conditions.adapter, conditions.adapter_sha256)

    def _denoise(self, jobs: Sequence[_Job], report: Report) -> list[Native | CmvcError]:
        """Return the native frames of each job, or why there are none."""
        while not self._lock.acquire(timeout=_POLL_SECONDS):
            errors = [job.stopped() for job in jobs]
            if all(errors):
                return [error for error in errors if error]
        if self._speed.compile != "off":
            allow_variants()  # this is not the thread that loaded the model
        try:
            results: dict[int, Native | CmvcError] = {}
            for settings, adapter in dict.fromkeys((job.settings, job.adapter) for job in jobs):
                run = _Run(self._profile, self._pipe, settings, report)
                alike = [job for job in jobs if (job.settings, job.adapter) == (settings, adapter)]
                try:
                    self._adapt(settings, adapter)
                except CmvcError as error:
                    results |= {job.number: error for job in alike}
                    continue
                made = drive([run.story(job) for job in alike], run.make, self._speed.batch)
                results |= {job.number: native for job, native in zip(alike, made, strict=True)}
            return [results[job.number] for job in jobs]
        finally:
            self._lock.release()

    def _adapt(self, settings: Settings, adapter: Adapter | None) -> None:
        """Have the next runs with these settings made with ``adapter``, or without one."""
        if not self._profile.adapts:
            return
        denoiser = self._profile.denoiser(self._pipe, settings)
        if denoiser not in self._adapters:
            self._adapters[denoiser] = Adapters(denoiser, self._profile.adapts)
        self._adapters[denoiser].use(adapter, self._folder)


class _Run:
    """Makes the windows of jobs that have the same settings."""

    def __init__(self, profile: DiffusionProfile, pipe: Any, settings: Settings, report: Report) -> None:
        self._profile, self._pipe, self._settings, self._report = profile, pipe, settings, report
        self._owners: dict[int, _Job] = {}

    def story(self, job: _Job) -> Generator[Window, Rgb, Native | CmvcError]:
        """Yield the windows of a job while it is wanted; return its frames, or why it ended."""
        segment = make_segment(job.conditions, self._profile.facts.grid, job.plan)
        try:
            window = next(segment)
            while True:
                self._owners[id(window)] = job
                made = yield window
                if error := job.stopped():
                    return error
                job.windows_done += 1
                window = segment.send(made)
        except StopIteration as end:
            native: Native = end.value
            return native
        except CmvcError as error:
            return error

    def make(self, windows: Sequence[Window]) -> list[Rgb]:
        """Return the frames of windows of one shape; anything for jobs that have ended."""
        jobs = [self._owners.pop(id(window)) for window in windows]

        def step(done: int, total: int) -> None:
            if all(job.stopped() for job in jobs):
                raise StoppedError("nobody wants these windows any more")
            for job in jobs:
                steps = Step(job.windows_done * total + done, total * len(job.plan.windows))
                self._report((job.number, steps))

        try:
            return self._profile.run(self._pipe, windows, self._settings, step)
        except StoppedError:
            if not all(job.stopped() for job in jobs):
                raise  # whoever takes the results has gone
        except CmvcError as error:
            _end(jobs, error)
        except torch.OutOfMemoryError:
            what = f"{len(windows)} windows of {windows[0].width}x{windows[0].height}, {windows[0].frames} frames"
            _end(
                jobs,
                OverloadedError(
                    f"the device has too little memory for {what}; use --speed tiling=on, offload=group or batch=1"
                ),
            )
        return [_NOTHING] * len(windows)


def _numbered(number: int, pictures: Iterator[Picture]) -> Iterator[tuple[int, Item]]:
    """Yield pictures with their work's number; an error ends them alone, not the others of their batch."""
    try:
        yield from ((number, picture) for picture in pictures)
    except CmvcError as error:
        yield number, error


def _end(jobs: Sequence[_Job], error: CmvcError) -> None:
    for job in jobs:
        job.error = error
