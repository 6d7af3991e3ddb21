"""Seconds and memory of ways of making the same work, taking turns."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch

from benchmarks.gpu.variants import Variant
from benchmarks.gpu.work import Work

_GIB = 2**30
Row = dict[str, Any]


def measure(
    variants: Sequence[Variant], work: Work, repeats: int, device: str, told: Callable[[str], None]
) -> list[Row]:
    """Return one row per variant; the first is what the others are compared with.

    Every variant runs once to warm up (and to compile), then all take turns ``repeats`` times.

    Args:
        variants: ways of making it.
        work: what is made.
        repeats: timed runs of each.
        device: of torch, where they run.
        told: called with the name of a variant before each of its runs.
    """
    first, peaks = [], []
    for variant in variants:
        told(variant.name)
        first.append(_seconds(variant, work, device))
        peaks.append(0.0)
    times: list[list[float]] = [[] for _ in variants]
    for _ in range(repeats):
        for index, variant in enumerate(variants):
            told(variant.name)
            before = _start_peak(device)
            times[index].append(_seconds(variant, work, device))
            peaks[index] = max(peaks[index], _peak(variant, before, device))
    stock = median(times[0])
    rows = [_row(variant, work, median(found)) for variant, found in zip(variants, times, strict=True)]
    for row, warm_up, peak in zip(rows, first, peaks, strict=True):
        row["peak_gib"] = round(peak, 2) if peak else ""
        row["first_run_s"] = round(warm_up, 1)
        row["times_stock"] = round(stock / row["seconds"], 2)
    return rows


def _row(variant: Variant, work: Work, seconds: float) -> Row:
    rate = work.videos * work.frames / seconds
    return {
        "variant": variant.name,
        "kind": variant.kind,
        "steps": variant.settings.steps,
        "batch": work.videos,
        "seconds": round(seconds, 3),
        "seconds_per_frame": round(1 / rate, 4),
        "frames_per_second": round(rate, 2),
        "realtime_x": round(rate / float(work.frame_rate), 3),
    }


def _seconds(variant: Variant, work: Work, device: str) -> float:
    _wait(device)
    began = time.perf_counter()
    variant.run(work)
    _wait(device)
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
