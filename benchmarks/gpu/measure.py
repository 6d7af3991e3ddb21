"""Seconds and memory of ways of making the same work, taking turns.

A run of s steps takes ``other + s * step`` seconds: each step does the same work, whatever it is given, but for the
first of a step cache, which so counts with the rest. Two short runs say both numbers, and with them the time of all.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from benchmarks.gpu.variants import Variant
from benchmarks.gpu.work import Work

_GIB = 2**30
_FEW = 2, 4  # steps of runs that tell what a step takes and what all else
Row = dict[str, Any]


class Clock:
    """Says when there is time for another run."""

    def __init__(self, end: float) -> None:
        """Keep when it is over, by ``time.monotonic``."""
        self._end = end

    def has(self, seconds: float) -> bool:
        """Return whether a run that takes so long would end in time."""
        return time.monotonic() + seconds < self._end


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        work: what is made.
        repeats: timed runs of each variant.
        device: of torch, where they run.
        whole: whether a run takes all steps, instead of two runs of few.
    """

    work: Work
    repeats: int
    device: str
    whole: bool = False

    def lengths(self, variant: Variant) -> tuple[int, ...]:
        """Return the steps of the runs that are timed."""
        steps = variant.settings.steps
        return (steps,) if self.whole or steps <= max(_FEW) else _FEW


@dataclass
class _Found:
    """What is known of a variant: seconds of its first run, of those of each length, and the most memory in GiB."""

    first: float
    times: dict[int, list[float]] = field(default_factory=dict)
    peak: float = 0.0


def measure(
    variants: Sequence[Variant], plan: Plan, clock: Clock, told: Callable[[str], None]
) -> tuple[list[Row], list[str]]:
    """Return one row per variant, and the names of those for which there was no time.

    The first is what the others are compared with: without it there are no rows. Each runs once to warm up (and to
    compile) and once for each length, one after the other, so that what there is time for is whole; then all take
    turns.

    Args:
        variants: ways of making it.
        plan: what is measured, and how often.
        clock: says for how long.
        told: called with the name of a variant before each of its rounds.
    """
    found: dict[str, _Found] = {}
    for variant in variants:
        if not clock.has(max((each.first for each in found.values()), default=0)):
            break
        told(variant.name)
        found[variant.name] = _Found(_seconds(variant, plan, plan.lengths(variant)[0]))
        told(variant.name)
        _round(variant, plan, found[variant.name])
    for _ in range(plan.repeats - 1):
        for variant in variants[: len(found)]:
            if clock.has(sum(map(median, found[variant.name].times.values()))):
                told(variant.name)
                _round(variant, plan, found[variant.name])
    rows = [_row(variant, plan.work, found[variant.name]) for variant in variants[: len(found)]]
    for row in rows:
        row["times_stock"] = round(rows[0]["seconds"] / row["seconds"], 2)
    return rows, [variant.name for variant in variants[len(found) :]]


def _round(variant: Variant, plan: Plan, found: _Found) -> None:
    """Time one run of each length."""
    for steps in plan.lengths(variant):
        before = _start_peak(plan.device)
        found.times.setdefault(steps, []).append(_seconds(variant, plan, steps))
        found.peak = max(found.peak, _peak(variant, before, plan.device))


def _row(variant: Variant, work: Work, found: _Found) -> Row:
    taken = {steps: median(times) for steps, times in found.times.items()}
    seconds, apart = taken.get(variant.settings.steps), {"step_s": "", "other_s": ""}
    if seconds is None:
        (few, short), (more, long) = sorted(taken.items())
        step = max(long - short, 0.0) / (more - few)
        seconds = short + step * (variant.settings.steps - few)
        apart = {"step_s": f"{step:.3f}", "other_s": f"{short - step * few:.2f}"}
    rate = work.videos * work.frames / seconds
    return {
        "variant": variant.name,
        "kind": variant.kind,
        "steps": variant.settings.steps,
        "batch": work.videos,
        "seconds": round(seconds, 3),
        **apart,
        "seconds_per_frame": round(1 / rate, 4),
        "frames_per_second": round(rate, 2),
        "realtime_x": round(rate / float(work.frame_rate), 3),
        "peak_gib": round(found.peak, 2) if found.peak else "",
        "first_run_s": round(found.first, 1),
    }


def _seconds(variant: Variant, plan: Plan, steps: int) -> float:
    _wait(plan.device)
    began = time.perf_counter()
    variant.run(plan.work, steps)
    _wait(plan.device)
    return time.perf_counter() - began


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _start_peak(device: str) -> int:
    if not device.startswith("cuda"):
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _peak(variant: Variant, before: int, device: str) -> float:
    """Return the most memory that a run took, in GiB, as if no other variant were in memory; 0 without a GPU."""
    if not device.startswith("cuda"):
        return 0.0
    weights = {id(weight): weight for model in variant.models for weight in model.state_dict(keep_vars=True).values()}
    own: int = sum(weight.numel() * weight.element_size() for weight in weights.values())
    more: int = torch.cuda.max_memory_allocated(device) - before
    return (more + own) / _GIB
