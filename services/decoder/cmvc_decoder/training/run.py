"""A whole training run: from a folder of videos to an adapter."""

import gc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Protocol

import torch
from accelerate import Accelerator, InitProcessGroupKwargs

from cmvc.errors import CancelledError, InvalidSettingError
from cmvc_decoder.speed.device import on_this_machine
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.training.adapter import add_adapter, base_of, save_adapter
from cmvc_decoder.training.log import Log, Row, draw_chart, read_rows
from cmvc_decoder.training.options import Places, TrainOptions, check_fit
from cmvc_decoder.training.registry import task_of
from cmvc_decoder.training.samples import Samples, encode_missing
from cmvc_decoder.training.state import begin, check_resumed, keep_adapter_alone, load_state, save_state
from cmvc_decoder.training.stopping import Stopping
from cmvc_decoder.training.task import InterpolationTask, Shape
from cmvc_decoder.training.trainer import Trainer
from cmvc_decoder.training.videos import (
    HELD_OUT,
    TRAIN,
    choose_clips,
    load_index,
    look_through_all,
    save_index,
    split,
)
from cmvc_decoder.weights.adapters import Adapter
from cmvc_decoder.weights.store import ModelStore

INDEX, LOSSES, CHART = "videos.json", "loss.csv", "loss.png"
_SEED_OF_ADAPTER = 20
_PATIENCE = timedelta(hours=24)  # of processes that wait for another, such as for the one that looks through videos


class Show(Protocol):
    """Tells a person how far the run is."""

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Say that so much of ``what`` is done."""

    def line(self, text: str) -> None:
        """Say something once."""


@dataclass(frozen=True)
class Summary:
    """What came of a run.

    Attributes:
        adapter: the folder of the adapter.
        label: of the adapter, ``NAME@HASH``.
        sha256: of its weights.
        steps: made.
        loss: of the last step.
        held_out_before, held_out_after: held-out loss before the first and after the last step; None without any.
        videos, held_out_videos: trained on, and held out.
        clips, held_out_clips: likewise.
        seconds: of training, over all sittings.
    """

    adapter: str
    label: str
    sha256: str
    steps: int
    loss: float | None
    held_out_before: float | None
    held_out_after: float | None
    videos: int
    held_out_videos: int
    clips: int
    held_out_clips: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it for ``json``."""
        return asdict(self)


def make_accelerator(options: TrainOptions, places: Places) -> Any:
    """Return accelerate's view of the devices: this process is one of those that ``accelerate launch`` started, if so.

    Raises:
        InvalidSettingError: there is no GPU where one is asked for.
    """
    if places.device == "cuda" and not torch.cuda.is_available():
        raise InvalidSettingError("--device cuda: torch sees no GPU here; use --device cpu, or install torch with CUDA")
    return Accelerator(
        cpu=places.device == "cpu",
        mixed_precision="no",  # weights have the formats that the decoder runs them in; the adapter is in float32
        gradient_accumulation_steps=options.accumulate,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )


def train(
    options: TrainOptions, places: Places, accelerator: Any, *, stopping: Stopping, show: Show, resume: bool = False
) -> Summary:
    """Train, or go on training; return what came of it.

    Args:
        options: what shapes the result.
        places: where and how it runs.
        accelerator: what ``make_accelerator`` returned for them.
        stopping: says when to save and end.
        show: told how far it is; by the main process alone.
        resume: whether to go on with the run in ``places.out``.

    Raises:
        CancelledError: it was stopped, and can be resumed.
        CmvcError: options, videos or weights do not do; the message says what to do.
    """
    task_type = task_of(options.profile)
    check_fit(options, task_type.profile.facts.grid)
    if accelerator.is_main_process:
        check_resumed(places.out, options) if resume else begin(places.out, options)
    run = _Run(options, places, accelerator, stopping, show)
    return run.tune(task_type, run.cut(task_type))


class _Run:
    """What the parts of a run share."""

    def __init__(self, options: TrainOptions, places: Places, accelerator: Any, stopping: Stopping, show: Show) -> None:
        self._options, self._places, self._accelerator = options, places, accelerator
        self._stopping, self._show = stopping, show
        self._videos = (0, 0)  # trained on, and held out

    def cut(self, task_type: type[InterpolationTask]) -> tuple[Samples, Samples]:
        """Return the clips to train on and the held-out ones; videos are looked through once in a run."""
        options, places, index = self._options, self._places, self._places.out / INDEX
        if self._accelerator.is_main_process and not index.exists():
            rate, report = task_type.profile.facts.grid.frame_rate, self._reporter("looking through videos")
            found, notes = look_through_all(places.videos, rate, self._stopping.check, report)
            for note in notes:
                self._show.line(f"note: {note}")
            split(found, options.frames, options.held_out, options.seed)  # raises, before others wait for the index
            save_index(found, index)
        self._accelerator.wait_for_everyone()
        trained, held_out = split(load_index(index), options.frames, options.held_out, options.seed)
        self._videos = len(trained), len(held_out)
        size = options.width, options.height
        clips = choose_clips(trained, options.clips, options.frames, size, (options.seed, TRAIN))
        others = choose_clips(held_out, options.held_out_clips, options.frames, size, (options.seed, HELD_OUT))
        cache = places.out / "samples"
        return Samples(cache / "train", clips), Samples(cache / "held-out", others)

    def tune(self, task_type: type[InterpolationTask], sets: tuple[Samples, Samples]) -> Summary:
        """Encode the clips, tune, save."""
        options, out = self._options, self._places.out
        task, denoiser = self._encoded(task_type, sets)
        torch.manual_seed(options.seed + _SEED_OF_ADAPTER)
        weights = add_adapter(denoiser, options, task.targets)
        if self._places.gradient_checkpointing:
            denoiser.enable_gradient_checkpointing()
        trainer = Trainer(options, self._accelerator, sets, task=task, denoiser=denoiser, weights=weights)
        keep_adapter_alone(self._accelerator)
        trainer.step, trainer.seconds = load_state(self._accelerator, out)
        main = self._accelerator.is_main_process
        rows = read_rows(out / LOSSES, trainer.step) if (out / LOSSES).exists() else []
        log = Log(out / LOSSES, rows) if main else None
        base = base_of(ModelStore(self._places.models), options.profile, task.base)

        def save() -> Adapter | None:
            save_state(self._accelerator, out, trainer.step, trainer.seconds)
            if log is None:
                return None
            draw_chart(log.rows, out / CHART)
            return save_adapter(trainer.denoiser, task, out, options.name, steps=trainer.step, base=base)

        trainer.run(log, self._after_step(save), self._places.evaluate_every)
        adapter = save()
        return self._summary(trainer, log, adapter, sets)

    def _encoded(self, task_type: type[InterpolationTask], sets: tuple[Samples, Samples]) -> tuple[Any, Any]:
        """Encode all clips; return the task and the network; the rest of the pipeline is let go."""
        accelerator, options, places = self._accelerator, self._options, self._places
        profile = task_type.profile
        device = "cpu" if accelerator.device.type == "cpu" else str(accelerator.device)  # accelerate numbers CPUs, too
        speed = on_this_machine(SpeedOptions(device=device, dtype=places.dtype))
        pipe = profile.load(ModelStore(places.models).folder(options.profile), speed)
        shape = Shape(options.frames, options.width, options.height)
        task = task_type(pipe, shape)
        encode_missing(
            places.videos,
            sets,
            task,
            pipe,
            shape,
            captions=options.captions,
            share=(accelerator.process_index, accelerator.num_processes),
            check=self._stopping.check,
            report=self._reporter("encoding clips"),
        )
        accelerator.wait_for_everyone()
        denoiser = profile.denoiser(pipe, profile.defaults)
        del pipe  # VAE and text encoder are the most of it
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return task, denoiser

    def _reporter(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self._show.progress(what, done, total)

    def _after_step(self, save: Callable[[], Adapter | None]) -> Callable[[Row, bool], None]:
        steps = self._options.steps

        def after(row: Row, last: bool) -> None:
            self._show.progress("training", row.step, steps, f"loss {row.loss:.4f}")
            if row.held_out_loss is not None:
                self._show.line(f"step {row.step}/{steps}: loss {row.loss:.4f}, held-out {row.held_out_loss:.4f}")
            if self._stopping.number:
                self._accelerator.set_trigger()  # a signal may reach one process alone
            if self._accelerator.check_trigger() and not last:
                save()
                raise CancelledError(f"stopped at step {row.step} of {steps}, and saved; go on with --resume")
            if row.step % self._places.save_every == 0 and not last:
                save()

        return after

    def _summary(
        self, trainer: Trainer, log: Log | None, adapter: Adapter | None, sets: tuple[Samples, Samples]
    ) -> Summary:
        rows = log.rows if log else []
        held_out = log.held_out if log else []
        train, others = sets
        return Summary(
            adapter=str(self._places.out / self._options.name),
            label=adapter.label if adapter else "",
            sha256=adapter.sha256 if adapter else "",
            steps=trainer.step,
            loss=rows[-1].loss if rows else None,
            held_out_before=held_out[0] if held_out else None,
            held_out_after=held_out[-1] if held_out else None,
            videos=self._videos[0],
            held_out_videos=self._videos[1],
            clips=len(train),
            held_out_clips=len(others),
            seconds=round(trainer.seconds, 1),
        )
