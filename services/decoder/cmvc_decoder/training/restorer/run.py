"""The training of a restorer, from a folder of videos to its ONNX file.

Which patches a step sees follows from the seed and the step alone, so that a run that was stopped and resumed makes
the same losses as one that was not.
"""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from cmvc.errors import CancelledError, InvalidSettingError
from cmvc.files import whole_file
from cmvc.perceptual.weights import load_weights
from cmvc_decoder.training.log import Log, Row, draw_chart, read_rows
from cmvc_decoder.training.restorer.batches import Batch, Parts, make_batch, turned
from cmvc_decoder.training.restorer.export import export, read_weights
from cmvc_decoder.training.restorer.losses import fidelity
from cmvc_decoder.training.restorer.network import Restorer
from cmvc_decoder.training.restorer.options import PERCEPTUAL, RestorerOptions, RestorerPlaces
from cmvc_decoder.training.restorer.pairs import Pairs, make_missing, split
from cmvc_decoder.training.restorer.perceptual import Perceptual
from cmvc_decoder.training.restorer.report import Gains
from cmvc_decoder.training.stopping import Stopping

RECORD, STATE, MODEL, GAINS = "run.json", "state.pt", "restorer.onnx", "gains.json"
LOSSES, CHART = "losses.csv", "losses.png"
JUDGED, JUDGED_CHART = "lpips-alex.csv", "lpips-alex.png"  # of the perceptual variant
_WARM_UP = 200  # steps
_LARGEST_GRADIENT = 1.0
_AVERAGED = 0.999  # share of the past in the weights that are kept
_HELD_OUT_PATCHES = 8  # of each coding
_STEP = 30  # what random numbers are for


class Loss(Protocol):
    """What training makes small."""

    def __call__(self, network: Restorer, batch: Batch, shown: Parts, /) -> Tensor:
        """Return it for what ``network`` showed of ``batch``."""


class Show(Protocol):
    """Shows how far a run is."""

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show that ``done`` of ``total`` are done."""

    def line(self, text: str) -> None:
        """Show a line."""


def loss_of(variant: str, device: str) -> Loss:
    """Return what a variant of the restorer is trained to make small.

    Raises:
        MissingWeightsError: it needs weights of LPIPS, which cannot be had.
    """
    if variant != PERCEPTUAL:
        return fidelity
    return Perceptual({name: each.to(device) for name, each in load_weights().items()})


def learning_rate(step: int, options: RestorerOptions) -> float:
    """Return the learning rate of a step, from 1: a warm-up, then a cosine to nothing."""
    warm = min(step / min(_WARM_UP, max(options.steps // 10, 1)), 1.0)
    return options.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * (step - 1) / options.steps))


@dataclass(frozen=True)
class HeldOut:
    """How a network does on patches that were not trained on.

    Attributes:
        loss: their mean.
        lpips_alex: LPIPS by AlexNet, which nothing is trained on; None where it is not measured.
        gains: what restoring gains.
    """

    loss: float
    lpips_alex: float | None
    gains: Gains


class Trainer:
    """Makes steps; keeps an average of the weights, and of it what held-out patches liked best.

    Attributes:
        step: made so far.
        seconds: that they took.
    """

    def __init__(self, options: RestorerOptions, pairs: Pairs, device: str) -> None:
        """Prepare for the first step."""
        torch.manual_seed(options.seed)
        self._options, self._pairs, self._device = options, pairs, device
        self._loss = loss_of(options.variant, device)
        self.network, self.averaged = Restorer().to(device), Restorer().to(device)
        if options.start_from:
            self.network.load_state_dict(read_weights(Path(options.start_from)))
        self.averaged.load_state_dict(self.network.state_dict())
        self.best, self._best_loss = Restorer().to(device), math.inf
        self._optimizer = torch.optim.Adam(self.network.parameters(), options.learning_rate)
        self.step, self.seconds = 0, 0.0

    def make_step(self) -> float:
        """Make a step; return its loss."""
        began = time.monotonic()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self.step + 1, self._options)
        rng = np.random.default_rng((self._options.seed, _STEP, self.step))
        batch = make_batch(*self._pairs.draw(self._options.batch, rng), self._device)
        batch = turned(batch, rng)
        loss = self._loss(self.network, batch, self.network(batch.luma, batch.chroma, batch.told))
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self._optimizer.step()
        self._average()
        self.step += 1
        self.seconds += time.monotonic() - began
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        kept = min(_AVERAGED, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, 1 - kept)

    def measure(self, pairs: Pairs) -> HeldOut:
        """Return how the average does on held-out patches, and keep it if none did better."""
        found = self.held_out(pairs, self.averaged)
        if found.loss < self._best_loss:
            self._best_loss = found.loss
            self.best.load_state_dict(self.averaged.state_dict())
        return found

    @torch.no_grad()
    def held_out(self, pairs: Pairs, network: Restorer) -> HeldOut:
        """Return how a network does on held-out patches."""
        losses, judged, gains = [], [], Gains()
        for patches, codings in pairs.each(_HELD_OUT_PATCHES):
            batch = make_batch(patches, codings, self._device)
            shown = network(batch.luma, batch.chroma, batch.told)
            losses.append(float(self._loss(network, batch, shown)))
            gains.add(codings[0], batch.luma[:, 1:2], shown[0], batch.source[0])
            if isinstance(self._loss, Perceptual):
                judged.append(float(self._loss.lpips("alexnet", batch, shown).mean()))
        return HeldOut(float(np.mean(losses)), float(np.mean(judged)) if judged else None, gains)

    def save(self, path: Path) -> None:
        """Save all that a run goes on from."""
        with whole_file(path) as file:
            torch.save(
                {
                    "step": self.step,
                    "seconds": self.seconds,
                    "network": self.network.state_dict(),
                    "averaged": self.averaged.state_dict(),
                    "best": self.best.state_dict(),
                    "best_loss": self._best_loss,
                    "optimizer": self._optimizer.state_dict(),
                },
                file,
            )

    def load(self, path: Path) -> None:
        """Go on from what ``save`` saved."""
        state = torch.load(path, map_location=self._device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.best.load_state_dict(state["best"])
        self._best_loss = state["best_loss"]
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


def begin(options: RestorerOptions, out: Path, *, resume: bool) -> None:
    """Record a new run, or make sure that the one to go on with has these options.

    Raises:
        InvalidSettingError: there is a run already, or none to resume, or it was begun with others.
    """
    record = out / RECORD
    if not resume:
        if record.exists():
            raise InvalidSettingError(f"{out} has a run already; go on with --resume, or name another --out")
        out.mkdir(parents=True, exist_ok=True)
        with whole_file(record) as file:
            file.write(json.dumps(options.to_json(), indent=2).encode() + b"\n")
        return
    if not record.exists():
        raise InvalidSettingError(f"there is no run in {out}; leave out --resume to begin one")
    if (begun := json.loads(record.read_bytes())) != options.to_json():
        raise InvalidSettingError(f"{record} was begun with {begun}; resume with the same options")


def train(
    options: RestorerOptions, places: RestorerPlaces, *, stopping: Stopping, show: Show, resume: bool
) -> dict[str, Any]:
    """Train, and write the ONNX file; return a summary.

    Raises:
        CancelledError: it was stopped, and saved.
        InvalidSettingError: options do not fit each other, the run, or the videos.
    """
    torch.set_num_threads(places.threads)
    begin(options, places.out, resume=resume)
    return _Run(options, places, stopping, show).train()


class _Run:
    """What the parts of a run share."""

    def __init__(self, options: RestorerOptions, places: RestorerPlaces, stopping: Stopping, show: Show) -> None:
        self._options, self._places, self._stopping, self._show = options, places, stopping, show
        trained, held_out = self._pairs()
        self._held_out = held_out
        self._trainer = Trainer(options, trained, places.device)
        if (state := places.out / STATE).exists():
            self._trainer.load(state)
        self._log = self._log_in(LOSSES)
        self._judged = self._log_in(JUDGED) if options.variant == PERCEPTUAL else None

    def train(self) -> dict[str, Any]:
        """Make the steps that are left, and write what decoders run."""
        trainer, log, out = self._trainer, self._log, self._places.out
        if not log.rows:
            log.add(Row(0, None, self._measured(), 0.0, 0.0))
        while trainer.step < self._options.steps:
            self._go_on()
        self._keep()
        export(trainer.best, out / MODEL)
        gains = trainer.held_out(self._held_out, trainer.best).gains.table()
        with whole_file(out / GAINS) as file:
            file.write(json.dumps(gains, indent=1).encode() + b"\n")
        return {
            "steps": trainer.step,
            "seconds": round(trainer.seconds, 1),
            "model": str(out / MODEL),
            "held_out_before": log.held_out[0],
            "held_out_after": min(log.held_out),
            "gains": gains,
        }

    def _pairs(self) -> tuple[Pairs, Pairs]:
        """Return the patches to train on and the held-out ones; codings that are missing are made."""
        options, cache = self._options, self._places.out / "pairs"
        trained, held_out = split(self._places.videos, options.held_out, options.seed)
        notes = make_missing(
            [*trained, *held_out],
            options,
            cache,
            check=self._stopping.check,
            report=lambda done, total: self._show.progress("coding videos", done, total),
        )
        for note in notes:
            self._show.line(f"note: {note}")
        return Pairs(cache, trained), Pairs(cache, held_out)

    def _go_on(self) -> None:
        """Make a step, with all that is due after it."""
        trainer, places, steps = self._trainer, self._places, self._options.steps
        loss = trainer.make_step()
        last = trainer.step == steps
        due = last or trainer.step % places.evaluate_every == 0
        measured = self._measured() if due else None
        rate = learning_rate(trainer.step, self._options)
        self._log.add(Row(trainer.step, loss, measured, rate, round(trainer.seconds, 3)))
        self._show.progress("training", trainer.step, steps, f"loss {loss:.3f}")
        if measured is not None:
            self._show.line(f"step {trainer.step}/{steps}: held-out {measured:.4f}")
        if trainer.step % places.save_every == 0 or self._stopping.number:
            self._keep()
        if self._stopping.number and not last:
            raise CancelledError(f"stopped at step {trainer.step} of {steps}, and saved; go on with --resume")

    def _measured(self) -> float:
        """Return the held-out loss; note beside it how the network is judged by what it is not trained on."""
        trainer = self._trainer
        found = trainer.measure(self._held_out)
        if self._judged:
            rate = learning_rate(max(trainer.step, 1), self._options)
            self._judged.add(Row(trainer.step, None, found.lpips_alex, rate, round(trainer.seconds, 3)))
        return found.loss

    def _log_in(self, name: str) -> Log:
        path = self._places.out / name
        return Log(path, read_rows(path, self._trainer.step) if path.exists() else [])

    def _keep(self) -> None:
        self._trainer.save(self._places.out / STATE)
        draw_chart(self._log.rows, self._places.out / CHART)
        if self._judged:
            draw_chart(self._judged.rows, self._places.out / JUDGED_CHART, "held-out LPIPS by AlexNet")
