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
from cmvc_decoder.restoration.condition import condition
from cmvc_decoder.training.log import Log, Row, draw_chart, read_rows
from cmvc_decoder.training.restorer.export import export
from cmvc_decoder.training.restorer.losses import fidelity
from cmvc_decoder.training.restorer.network import Restorer
from cmvc_decoder.training.restorer.options import RestorerOptions, RestorerPlaces
from cmvc_decoder.training.restorer.pairs import Bytes, Coding, Pairs, make_missing, planes, split
from cmvc_decoder.training.restorer.report import Gains
from cmvc_decoder.training.stopping import Stopping

RECORD, STATE, LOSSES, CHART, MODEL, GAINS = (
    "run.json", "state.pt", "losses.csv", "losses.png", "restorer.onnx", "gains.json"
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
    luma, chroma, *source = (torch.from_numpy(part).to(device).float() for part in map(np.ascontiguousarray, planes(patches)))
    told = np.stack([condition(coding.scale, coding.quantiser) for coding in codings])
    return Batch(luma, chroma, torch.from_numpy(told).to(device), (source[0], source[1]))


def learning_rate(step: int, options: RestorerOptions) -> float:
    """Return the learning rate of a step, from 1: a warm-up, then a cosine to nothing."""
    warm = min(step / min(_WARM_UP, max(options.steps // 10, 1)), 1.0)
    return options.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * (step - 1) / options.steps))


class Trainer:
    """Makes steps; keeps an average of the weights, which is what is used.

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
        self._optimizer = torch.optim.Adam(self.network.parameters(), options.learning_rate)
        self.step, self.seconds = 0, 0.0

    def make_step(self) -> float:
        """Make a step; return its loss."""
        began = time.monotonic()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self.step + 1, self._options)
        rng = np.random.default_rng((self._options.seed, _STEP, self.step))
        batch = make_batch(*self._pairs.draw(self._options.batch, rng), self._device)
        flips = [axis for axis in (-1, -2) if rng.integers(2)]
        luma, chroma, *source = (part.flip(flips) for part in (batch.luma, batch.chroma, *batch.source))
        loss = fidelity(self.network(luma, chroma, batch.told), (source[0], source[1]))
        self._optimizer.zero_grad()
        loss.backward()
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

    @torch.no_grad()
    def held_out(self, pairs: Pairs) -> tuple[float, Gains]:
        """Return the loss of held-out patches, and what restoring them gains."""
        losses, gains = [], Gains()
        for patches, codings in pairs.each(_HELD_OUT_PATCHES):
            batch = make_batch(patches, codings, self._device)
            shown = self.averaged(batch.luma, batch.chroma, batch.told)
            losses.append(float(fidelity(shown, batch.source)))
            gains.add(codings[0], batch.luma[:, 1:2], shown[0], batch.source[0])
        return float(np.mean(losses)), gains

    def save(self, path: Path) -> None:
        """Save all that a run goes on from."""
        with whole_file(path) as file:
            torch.save({
                "step": self.step, "seconds": self.seconds, "network": self.network.state_dict(),
                "averaged": self.averaged.state_dict(), "optimizer": self._optimizer.state_dict(),
            }, file)

    def load(self, path: Path) -> None:
        """Go on from what ``save`` saved."""
        state = torch.load(path, map_location=self._device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
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
    sets = _pairs(options, places, stopping, show)
    trainer = Trainer(options, sets[0], places.device)
    out = places.out
    if (out / STATE).exists():
        trainer.load(out / STATE)
    log = Log(out / LOSSES, read_rows(out / LOSSES, trainer.step) if (out / LOSSES).exists() else [])
    if not log.rows:
        log.add(Row(0, None, trainer.held_out(sets[1])[0], 0.0, 0.0))
    while trainer.step < options.steps:
        _go_on(trainer, log, sets[1], places, options, stopping, show)
    _keep(trainer, log, places.out)
    export(trainer.averaged, out / MODEL)
    gains = trainer.held_out(sets[1])[1].table()
    with whole_file(out / GAINS) as file:
        file.write(json.dumps(gains, indent=1).encode() + b"\n")
    return {"steps": trainer.step, "seconds": round(trainer.seconds, 1), "model": str(out / MODEL),
            "held_out_before": log.held_out[0], "held_out_after": log.held_out[-1], "gains": gains}


def _pairs(
    options: RestorerOptions, places: RestorerPlaces, stopping: Stopping, show: Show
) -> tuple[Pairs, Pairs]:
    cache = places.out / "pairs"
    trained, held_out = split(places.videos, options.held_out, options.seed)

    def report(done: int, total: int) -> None:
        show.progress("coding videos", done, total)

    for note in make_missing(
        [*trained, *held_out], options.codings, options.patches, options.seed, cache, stopping.check, report
    ):
        show.line(f"note: {note}")
    return Pairs(cache, trained), Pairs(cache, held_out)


def _go_on(
    trainer: Trainer, log: Log, held_out: Pairs, places: RestorerPlaces, options: RestorerOptions,
    stopping: Stopping, show: Show,
) -> None:
    loss = trainer.make_step()
    last = trainer.step == options.steps
    measured = trainer.held_out(held_out)[0] if last or trainer.step % places.evaluate_every == 0 else None
    log.add(Row(trainer.step, loss, measured, learning_rate(trainer.step, options), round(trainer.seconds, 3)))
    show.progress("training", trainer.step, options.steps, f"loss {loss:.3f}")
    if measured is not None:
        show.line(f"step {trainer.step}/{options.steps}: held-out {measured:.4f}")
    if trainer.step % places.save_every == 0 or stopping.number:
        _keep(trainer, log, places.out)
    if stopping.number and not last:
        raise CancelledError(f"stopped at step {trainer.step} of {options.steps}, and saved; go on with --resume")


def _keep(trainer: Trainer, log: Log, out: Path) -> None:
    trainer.save(out / STATE)
    draw_chart(log.rows, out / CHART)
