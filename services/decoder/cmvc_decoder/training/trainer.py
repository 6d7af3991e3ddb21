"""The training loop.

Which clips a step sees, at which times and with which noise follows from the seed and the step alone, so that a run
that was stopped and resumed makes the same losses as one that was not.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from cmvc.errors import InvalidSettingError
from cmvc_decoder.training.log import Log, Row
from cmvc_decoder.training.options import TrainOptions
from cmvc_decoder.training.samples import Samples
from cmvc_decoder.training.task import InterpolationTask

_ORDER, _TIME, _NOISE, _HELD_OUT_NOISE = range(10, 14)  # what random numbers are for; ``videos`` has those below
_HELD_OUT_TIMES = 4  # at which each held-out clip is looked at, evenly spread
_WARM_UP = 100  # steps at most, a tenth of all otherwise
_LARGEST_GRADIENT = 1.0  # norm that gradients are scaled down to
_WEIGHT_DECAY = 0.01


class Trainer:
    """Makes steps.

    Attributes:
        step: made so far.
        seconds: that they took.
    """

    def __init__(
        self,
        options: TrainOptions,
        accelerator: Any,
        sets: tuple[Samples, Samples],
        *,
        task: InterpolationTask,
        denoiser: Any,
        weights: list[Any],
    ) -> None:
        """Prepare for the first step.

        Args:
            options: of the run.
            accelerator: of accelerate.
            sets: clips to train on, and held-out ones.
            task: whose loss it is.
            denoiser: the network, its adapter in it.
            weights: those that are tuned.
        """
        self.step, self.seconds = 0, 0.0
        self._options, self._accelerator, self._task = options, accelerator, task
        self._train, self._held_out = sets
        optimizer = torch.optim.AdamW(weights, options.learning_rate, weight_decay=_WEIGHT_DECAY)
        self._weights = weights
        self._denoiser, self._optimizer = accelerator.prepare(denoiser, optimizer)

    @property
    def denoiser(self) -> Any:
        """The network as it was given."""
        return self._accelerator.unwrap_model(self._denoiser)

    def run(self, log: Log | None, every: Callable[[Row, bool], None], evaluate_every: int) -> None:
        """Make the steps that are left.

        Args:
            log: where rows go; None in processes other than the main one.
            every: called after every step with its row, and whether this was the last; raises to stop.
            evaluate_every: steps from one held-out loss to the next. There is one before the first step and one
                after the last.
        """
        options = self._options
        if not self.step and log is not None and not log.rows:
            log.add(Row(0, None, self.held_out_loss(), 0.0, 0.0))
        elif not self.step:
            self.held_out_loss()
        while self.step < options.steps:
            began = time.monotonic()
            loss = self._make_step()
            self.seconds += time.monotonic() - began
            last = self.step == options.steps
            held_out = self.held_out_loss() if last or self.step % evaluate_every == 0 else None
            row = Row(self.step, loss, held_out, learning_rate(self.step, options), round(self.seconds, 3))
            if log is not None:
                log.add(row)
            every(row, last)

    def _make_step(self) -> float:
        """Make a step; return its loss, over all processes."""
        options, accelerator = self._options, self._accelerator
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self.step + 1, options)
        losses = []
        for part in range(options.accumulate):
            with accelerator.accumulate(self._denoiser):
                loss = self._loss(part)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(self._weights, _LARGEST_GRADIENT)
                self._optimizer.step()
                self._optimizer.zero_grad()
                losses.append(loss.detach())
        self.step += 1
        mean = float(accelerator.reduce(torch.stack(losses).mean(), "mean"))
        if not math.isfinite(mean):
            raise InvalidSettingError(
                f"the loss is no number any more at step {self.step}; use a lower --learning-rate, or --dtype float32"
            )
        return mean

    def _loss(self, part: int) -> torch.Tensor:
        """Return the loss of one batch of the next step in this process."""
        options, accelerator = self._options, self._accelerator
        batches = (self.step * options.accumulate + part) * accelerator.num_processes + accelerator.process_index
        draws = range(batches * options.batch, (batches + 1) * options.batch)
        batch = self._train.batch([_clip(options.seed, n, len(self._train)) for n in draws], accelerator.device)
        times = [np.random.default_rng((options.seed, _TIME, n)).random() for n in draws]
        noise = [_generator(options.seed, _NOISE, n) for n in draws]
        losses = self._task.loss(self._denoiser, batch, _tensor(times, accelerator.device), noise)
        return losses.mean()

    @torch.no_grad()
    def held_out_loss(self) -> float | None:
        """Return the mean loss of held-out clips, always at the same times with the same noise; None without any."""
        if not len(self._held_out):
            return None
        options, accelerator = self._options, self._accelerator
        total = torch.zeros((), device=accelerator.device)
        for number in range(accelerator.process_index, len(self._held_out), accelerator.num_processes):
            places = range(number * _HELD_OUT_TIMES, (number + 1) * _HELD_OUT_TIMES)
            noise = [_generator(options.seed, _HELD_OUT_NOISE, place) for place in places]
            times = [(place % _HELD_OUT_TIMES + 0.5) / _HELD_OUT_TIMES for place in places]
            for first in range(0, _HELD_OUT_TIMES, options.batch):  # a batch that fits when training fits here
                some = slice(first, first + options.batch)
                batch = self._held_out.batch([number] * len(noise[some]), accelerator.device)
                # The network itself: processes have different numbers of clips, and need not wait for each other.
                total += self._task.loss(
                    self.denoiser, batch, _tensor(times[some], accelerator.device), noise[some]
                ).sum()
        return float(accelerator.reduce(total, "sum")) / (len(self._held_out) * _HELD_OUT_TIMES)


def learning_rate(step: int, options: TrainOptions) -> float:
    """Return the learning rate of a step, from 1: a linear warm-up, then half a cosine down to 0."""
    warm_up = min(_WARM_UP, max(options.steps // 10, 1))
    decay = 0.5 * (1 + math.cos(math.pi * (step - 1) / options.steps))
    return options.learning_rate * min(step / warm_up, 1.0) * decay


def _clip(seed: int, n: int, clips: int) -> int:
    """Return the number of the n-th clip of a run: all of them in some order, then in another."""
    order = np.random.default_rng((seed, _ORDER, n // clips)).permutation(clips)
    return int(order[n % clips])


def _generator(seed: int, what: int, n: int) -> torch.Generator:
    state = np.random.SeedSequence((seed, what, n)).generate_state(2)
    return torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


def _tensor(values: list[float], device: torch.device) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)
