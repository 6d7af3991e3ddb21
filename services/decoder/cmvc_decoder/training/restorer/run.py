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
from cmvc.restoration.condition import condition
from cmvc_decoder.training.log import Log, Row, draw_chart, read_rows
from cmvc_decoder.training.restorer.export import export
from cmvc_decoder.training.restorer.losses import fidelity
from cmvc_decoder.training.restorer.network import Restorer
from cmvc_decoder.training.restorer.options import RestorerOptions, RestorerPlaces
from cmvc_decoder.training.restorer.pairs import Bytes, Coding, Pairs, make_missing, planes, split
from cmvc_decoder.training.restorer.report import Gains
from cmvc_decoder.training.stopping import Stopping

RECORD, STATE, LOSSES, CHART, MODEL, GAINS = (
    "run.json",
    "state.pt",
    "losses.csv",
    "losses.png",
    "restorer.onnx",
    "gains.json",
)
_WARM_UP = 200  # steps
_LARGEST_GRADIENT = 1.0
_AVERAGED = 0.999  # share of the past in the weights that are kept
_HELD_OUT_PATCHES = 8  # of each coding
_STEP = 30  # what random numbers are for


class Show(Protocol):
    """Shows how far a run is."""

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show that ``done`` of ``total`` are done."""

    def line(self, text: str) -> None:
        """Show a line."""


@dataclass(frozen=True)
class Batch:
    """Patches on the device, as floats of codes, with what the network is told."""

    luma: Tensor
    chroma: Tensor
    told: Tensor
    source: tuple[Tensor, Tensor]


def make_batch(patches: Bytes, codings: list[Coding], device: str) -> Batch:
    """Return patches as tensors."""
    parts = [torch.from_numpy(np.ascontiguousarray(part)).to(device).float() for part in planes(patches)]
    told = np.stack([condition(coding.scale, coding.quantiser) for coding in codings])
    return Batch(parts[0], parts[1], torch.from_numpy(told).to(device), (parts[2], parts[3]))


def _turned(batch: Batch, rng: np.random.Generator) -> Batch:
    """Return the patches mirrored, laid on their side and played backwards by chance."""
    flips = [axis for axis in (-1, -2) if rng.integers(2)]
    order = [2, 1, 0] if rng.integers(2) else [0, 1, 2]
    aside = bool(rng.integers(2))

    def turned(part: Tensor) -> Tensor:
        part = part.flip(flips)
        return part.mT if aside else part

    return Batch(
        turned(batch.luma[:, order]),
        turned(batch.chroma),
        batch.told,
        (turned(batch.source[0]), turned(batch.source[1])),
    )


def learning_rate(step: int, options: RestorerOptions) -> float:
    """Return the learning rate of a step, from 1: a warm-up, then a cosine to nothing."""
    warm = min(step / min(_WARM_UP, max(options.steps // 10, 1)), 1.0)
    return options.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * (step - 1) / options.steps))


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
        self.network, self.averaged = Restorer().to(device), Restorer().to(device)
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
        batch = _turned(batch, rng)
        loss = fidelity(self.network(batch.luma, batch.chroma, batch.told), batch.source)
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

    def measure(self, pairs: Pairs) -> float:
        """Return the held-out loss of the average, and keep it if there was no better one."""
        loss = self.held_out(pairs, self.averaged)[0]
        if loss < self._best_loss:
            self._best_loss = loss
            self.best.load_state_dict(self.averaged.state_dict())
        return loss

    @torch.no_grad()
    def held_out(self, pairs: Pairs, network: Restorer) -> tuple[float, Gains]:
        """Return a network's loss of held-out patches, and what restoring them gains."""
        losses, gains = [], Gains()
        for patches, codings in pairs.each(_HELD_OUT_PATCHES):
            batch = make_batch(patches, codings, self._device)
            shown = network(batch.luma, batch.chroma, batch.told)
            losses.append(float(fidelity(shown, batch.source)))
            gains.add(codings[0], batch.luma[:, 1:2], shown[0], batch.source[0])
        return float(np.mean(losses)), gains

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
        state, losses = places.out / STATE, places.out / LOSSES
        if state.exists():
            self._trainer.load(state)
        self._log = Log(losses, read_rows(losses, self._trainer.step) if losses.exists() else [])

    def train(self) -> dict[str, Any]:
        """Make the steps that are left, and write what decoders run."""
        trainer, log, out = self._trainer, self._log, self._places.out
        if not log.rows:
            log.add(Row(0, None, trainer.measure(self._held_out), 0.0, 0.0))
        while trainer.step < self._options.steps:
            self._go_on()
        self._keep()
        export(trainer.best, out / MODEL)
        gains = trainer.held_out(self._held_out, trainer.best)[1].table()
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
        measured = trainer.measure(self._held_out) if due else None
        rate = learning_rate(trainer.step, self._options)
        self._log.add(Row(trainer.step, loss, measured, rate, round(trainer.seconds, 3)))
        self._show.progress("training", trainer.step, steps, f"loss {loss:.3f}")
        if measured is not None:
            self._show.line(f"step {trainer.step}/{steps}: held-out {measured:.4f}")
        if trainer.step % places.save_every == 0 or self._stopping.number:
            self._keep()
        if self._stopping.number and not last:
            raise CancelledError(f"stopped at step {trainer.step} of {steps}, and saved; go on with --resume")

    def _keep(self) -> None:
        self._trainer.save(self._places.out / STATE)
        draw_chart(self._log.rows, self._places.out / CHART)
