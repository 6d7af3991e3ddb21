"""A diffusion profile as a ``Generator``: conditions in, steps and then pictures out, for one segment or several.

A segment is worked on in threads of its own: its anchors and guide are decoded and scaled, its frames restored, while
the model denoises windows of others and the VAE decodes those of a third. Only the model's own runs are one at a time,
and windows of one shape share them, whichever segments, streams and callers they are from.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cmvc.ahead import Pace, StoppedError, reported
from cmvc.bitstream.modes import Mode
from cmvc.control import Control
from cmvc.errors import CmvcError, InvalidSettingError, OverloadedError
from cmvc.media.rgb import Rgb
from cmvc.profiles.continuity import TAIL
from cmvc.records import Remark
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.adapting import Adapters
from cmvc_decoder.diffusion.captions import cut_note
from cmvc_decoder.diffusion.grid import Plan, usual_size
from cmvc_decoder.diffusion.profile import DiffusionProfile, Window
from cmvc_decoder.diffusion.restore import restore
from cmvc_decoder.diffusion.segment import Native, make_plan, make_segment
from cmvc_decoder.diffusion.settings import BLENDED, FAST, Settings, read_settings
from cmvc_decoder.diffusion.tail import make_tail
from cmvc_decoder.generator import STUCK_S, Conditions, Made, Step
from cmvc_decoder.speed.batching import Batcher
from cmvc_decoder.speed.compile import allow_variants, compiles, keep_kernels
from cmvc_decoder.speed.device import on_this_machine
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.speed.streams import SideStream
from cmvc_decoder.upscale import upscale
from cmvc_decoder.weights.adapters import Adapter, find_adapter

BEAT_S = 1.0  # between two signs of life of a segment that waits for the model
_NOT_BEGUN = Step(0, 1)
Report = Callable[[Step | None], None]


@dataclass
class _Job:
    """A segment in work: ``windows_done`` of those that its plan has; its caption has ``tokens`` once one is made.

    ``said`` is how far it was when that was last said.
    """

    conditions: Conditions
    control: Control
    settings: Settings
    adapter: Adapter | None
    plan: Plan
    windows_done: int = 0
    tokens: int = 0
    said: Step = _NOT_BEGUN


@dataclass(frozen=True, eq=False)
class _Wish:
    """A window that a job wants made; ``report`` is told of steps, and ``mixed`` says whether its profile mixes."""

    job: _Job
    window: Window
    report: Report
    mixed: bool

    @property
    def shape(self) -> tuple[object, ...]:
        """What those in one run share."""
        return self.job.settings, self.job.adapter, self.window.size if self.mixed else self.window.shape

    @property
    def goes_on(self) -> bool:
        """Whether it is not its segment's last."""
        return self.job.windows_done + 1 < len(self.job.plan.windows)

    def check(self) -> None:
        """Return if it is still wanted; raise what says why where it is not."""
        self.job.control.check()
        self.report(None)

    def tell(self, done: int, total: int) -> bool:
        """Say how far its run has come; return whether it is still wanted."""
        windows = len(self.job.plan.windows)
        try:
            self.job.control.check()
            self.job.said = Step(self.job.windows_done * total + done, total * windows)
            self.report(self.job.said)
        except (CmvcError, StoppedError):
            return False
        return True


@dataclass(frozen=True)
class _Denoised:
    """Latents of one window, all there once the device has come to ``mark``."""

    latents: Any
    mark: Any


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
        self._loading = threading.Lock()
        self._moved = 0.0  # when a step was made or a window decoded, by ``time.monotonic``
        self._batcher: Batcher[_Wish, _Denoised, Rgb] = Batcher(self._denoise, self._decode, self._speed.batch)

    def load(self) -> None:
        """Load the model, unless it is; one that compiles for a GPU makes a first window of the usual shape.

        Raises:
            MissingWeightsError: they are not on this machine.
        """
        with self._loading:
            if self._pipe is None:
                if self._speed.compile != "off":
                    keep_kernels(self._folder.parent)
                pipe = self._profile.load(self._folder, self._speed)
                if compiles(self._speed):
                    self._warm_up(pipe)
                self._side = SideStream(self._speed.device)
                self._pipe = pipe

    def generate(self, conditions: Conditions, control: Control) -> Iterator[Made]:
        """Yield the steps, the tail, and then the frames of one segment; see ``Generator``."""
        if conditions.mode == common_pb2.MODE_CODED:  # nothing is invented
            yield from upscale(conditions, control)
            return
        job = self._job(conditions, control)
        self.load()  # what was refused, or needs no model, does not wait for one
        native = yield from reported(partial(self._native, job))
        if job.tokens > self._profile.facts.text_tokens:
            yield Remark(cut_note(self._profile.facts))
        if native.plan.tail:
            yield make_tail(native, conditions)
        yield from restore(native, conditions, control, blended=job.settings.anchors == BLENDED)

    def _job(self, conditions: Conditions, control: Control) -> _Job:
        settings = read_settings(conditions.settings, self._profile.defaults, self._profile.samplers)
        if settings.continuity == TAIL and not self._profile.facts.takes_frames:
            raise InvalidSettingError(f"{self.id} takes no frames to go on from; leave continuity={TAIL} out")
        if settings.vae == FAST and not self._profile.facts.has_fast_vae:
            raise InvalidSettingError(f"{self.id} has no fast VAE; leave vae={FAST} out")
        plan = make_plan(conditions, self._profile.facts.grid, settings)
        return _Job(conditions, control, settings, self._adapter(conditions), plan)

    def _adapter(self, conditions: Conditions) -> Adapter | None:
        """Return the adapter that the stream asks for; its file is read when it is loaded."""
        if not conditions.wants_adapter:
            return None
        if not self._profile.adapts:
            raise InvalidSettingError(
                f"the profile {self.id} takes no adapter; leave it out, or name another --profile"
            )
        return find_adapter(self._folder, self.revision, conditions.adapter, conditions.adapter_sha256)

    def _native(self, job: _Job, report: Report) -> Native:
        """Return the native frames of a job."""
        segment = make_segment(job.conditions, self._profile.facts.grid, job.plan)
        pace = Pace(BEAT_S)

        def wait() -> None:
            job.control.check()
            lives = time.monotonic() - self._moved < STUCK_S
            report(job.said if pace.is_due() and lives else None)

        with self._batcher.member(), closing(segment):
            try:
                window = next(segment)
                while True:
                    wish = _Wish(job, window, report, self._profile.facts.mixes)
                    made = self._batcher.make(wish, wait)
                    job.control.check()
                    job.windows_done += 1
                    window = segment.send(made)
            except StopIteration as end:
                native: Native = end.value
                return native
            except StoppedError:  # of a run that nobody wanted any more: it is this job's to say why
                wish.check()
                raise

    def _denoise(self, wishes: Sequence[_Wish]) -> list[_Denoised]:
        """Return the latents of windows that share a shape, an adapter and settings."""
        settings, windows = wishes[0].job.settings, [wish.window for wish in wishes]

        def step(done: int, total: int) -> None:
            self._moved = time.monotonic()
            wanted = [wish for wish in wishes if wish.tell(done, total)]
            if not wanted:
                raise StoppedError("nobody wants these windows any more")

        self._moved = time.monotonic()
        if self._speed.compile != "off":
            allow_variants()  # this is not the thread that loaded the model
        with _room_for(windows):
            self._adapt(settings, wishes[0].job.adapter)
            for wish in wishes:
                wish.job.tokens = wish.job.tokens or self._profile.tokens(self._pipe, wish.window.prompt)
            made = self._profile.denoise(self._pipe, windows, settings, step)
        mark = self._side.mark()
        return [_Denoised(latents, mark) for latents in made]

    def _decode(self, wish: _Wish, made: _Denoised) -> Rgb:
        """Return the frames of a window, while others are denoised."""
        wish.check()
        self._moved = time.monotonic()
        with _room_for([wish.window]), self._side.after(made.mark):
            return self._profile.decode(self._pipe, made.latents, wish.window, wish.job.settings, wish.check)

    def _adapt(self, settings: Settings, adapter: Adapter | None) -> None:
        """Have the next runs with these settings made with ``adapter``, or without one."""
        if not self._profile.adapts:
            return
        denoiser = self._profile.denoiser(self._pipe, settings)
        if denoiser not in self._adapters:
            self._adapters[denoiser] = Adapters(denoiser, self._profile.adapts)
        self._adapters[denoiser].use(adapter, self._folder)

    def _warm_up(self, pipe: Any) -> None:
        """Make one step of a whole window at the usual size, so that what is compiled is what will run."""
        facts, grid = self._profile.facts, self._profile.facts.grid
        (width, height), frames = usual_size(grid), grid.shaping_frames
        noise = torch.Generator("cpu").manual_seed(0)
        guide = np.zeros((frames, height, width, 3), np.uint8) if facts.restores else None
        window = Window("", frames, width, height, grid.frame_rate, noise, guide=guide)
        allow_variants()
        self._profile.run(pipe, [window], replace(self._profile.defaults, steps=1), lambda _done, _total: None)


@contextmanager
def _room_for(windows: Sequence[Window]) -> Iterator[None]:
    """Say what to do where the device has too little memory for what the block makes of windows of one size."""
    try:
        yield
    except torch.OutOfMemoryError:
        what = f"{len(windows)} windows of {windows[0].width}x{windows[0].height}, {windows[0].frames} frames"
        raise OverloadedError(
            f"the device has too little memory for {what}; use --speed tiling=on, offload=group or batch=1"
        ) from None
