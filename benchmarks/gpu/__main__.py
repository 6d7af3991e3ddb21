"""``python -m benchmarks.gpu``: what each profile costs on a GPU, and which speed feature gives what.

The models have their full real architecture and random weights: speed does not depend on the values. The stock
pipeline of diffusers and the served path take turns in one process. ``--tiny`` runs the same code at toy sizes
where there is no GPU, to try it; its numbers mean nothing.

The time of all steps is worked out from runs of few (see ``measure``), unless ``--whole`` says to take them all.
Results are written after each profile and batch, and no run begins that would end after ``--minutes``.
"""

import argparse
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from benchmarks.gpu.architectures.pipelines import random_pipeline
from benchmarks.gpu.beside import beside
from benchmarks.gpu.measure import Clock, Plan, Row, measure
from benchmarks.gpu.stock import stock_call
from benchmarks.gpu.variants import PROFILES, SAME, SETTINGS, Variant, Wanted, features, ladder, networks
from benchmarks.gpu.work import FULL, work
from benchmarks.report import RESULTS, markdown, write
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.speed.precision import apply_precision

_DTYPES = {"full": "bfloat16", "tiny": "float32"}  # bfloat16 is slow on CPUs


def profile_rows(
    profile_id: str, options: argparse.Namespace, progress: Progress, clock: Clock
) -> Iterator[tuple[list[Row], list[str]]]:
    """Yield the rows of one profile for each batch, and notes on what was left out."""
    scale = "tiny" if options.tiny else "full"
    speed = SpeedOptions(device=options.device, dtype=_DTYPES[scale])
    task = work(profile_id, tiny=options.tiny, steps=options.steps)
    loaded = random_pipeline(profile_id, options.device, getattr(torch, speed.dtype), scale)
    for pipe in (loaded.full, loaded.lcm) if hasattr(loaded, "full") else (loaded,):
        apply_precision(pipe, speed)  # what from_pretrained gives: Wan's VAE and time embedding in float32
    pipe, call = stock_call(profile_id, loaded, scale)
    stock = Variant("stock diffusers", SAME, call, networks(pipe), task.settings, served=False)
    variants, fastest, notes = ladder(profile_id, loaded, task, speed, options.wanted)
    best = [variant for variant in variants if variant.kind == SAME][-1:]
    plans = [(task, [stock, *variants])]
    plans += [(replace(task, videos=batch), [stock, *best]) for batch in options.batch if batch > 1]
    if options.wanted.beside and plans[1:]:
        most, chosen = plans.pop()
        plans.append((most, [*chosen, *beside(PROFILES[profile_id], fastest, task, options.device)]))
    plans += [(replace(task, width=width, height=height), [stock, *best]) for width, height in task.other_sizes]
    bar = progress.add_task(profile_id, total=sum(len(chosen) for _, chosen in plans) * (options.repeats + 1))
    yield [], notes

    def told(name: str) -> None:
        progress.update(bar, advance=1, description=f"{profile_id}: {name[:40]}")

    for wanted, chosen in plans:
        plan = Plan(wanted, options.repeats, options.device, whole=options.whole)
        size, what = f"{wanted.width}x{wanted.height}x{wanted.frames}", f"{profile_id}, batch {wanted.videos}"
        try:
            made, late = measure(chosen, plan, clock, told)
        except torch.OutOfMemoryError:
            yield [], [f"{what}: left out, it does not fit into the card's memory"]
            continue
        rows = [{"profile": profile_id, "size": size} | row for row in made]
        yield rows, [f"{what}, {name}: left out, there was no time for it" for name in late]


def card(device: str) -> dict[str, str]:
    """Return what the numbers were measured with."""
    about = {
        "device": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
        "command": "python -m benchmarks.gpu " + " ".join(sys.argv[1:]),
    }
    if device.startswith("cuda"):
        about |= {"device": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda), "driver": _driver()}
    return about


def _driver() -> str:
    tool = shutil.which("nvidia-smi")
    if not tool:
        return "unknown"
    asked = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.partition("\n")[0] or "unknown"


def text(rows: Sequence[Row], notes: Sequence[str], about: dict[str, str], *, tiny: bool) -> str:
    """Return the report in Markdown."""
    head = "".join(f"{name}: {value}\n" for name, value in about.items())
    warning = "**Toy sizes: the numbers mean nothing.**\n\n" if tiny else ""
    told = (
        "Variants add up, one feature per line; times_stock compares with the stock pipeline at the same batch. "
        f"Only lines of the kind '{SAME}' do the same work as stock. Where step_s is given, seconds is other_s and "
        "step_s times the steps, both from runs of two and of four steps.\n\n"
    )
    tables = []
    for profile_id, size in dict.fromkeys((row["profile"], row["size"]) for row in rows):
        own = [row for row in rows if (row["profile"], row["size"]) == (profile_id, size)]
        columns = [name for name in own[0] if name not in {"profile", "size"}]
        cells: list[list[Any]] = [[row[name] for name in columns] for row in own]
        tables.append(f"## {profile_id}, {size}\n\n{markdown(columns, cells)}\n")
    left_out = "".join(f"- {note}\n" for note in notes)
    return f"{head}\n{warning}{told}" + "\n".join(tables) + (f"\n{left_out}" if notes else "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(PROFILES), help="repeatable; all by default")
    parser.add_argument("--minutes", type=float, default=7.5, help="after which no run begins")
    parser.add_argument("--whole", action="store_true", help="take all steps in each run")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 2, 4], help="videos made at once")
    parser.add_argument("--steps", type=int, help="instead of each profile's own")
    names = [*features(""), *SETTINGS]
    parser.add_argument("--features", nargs="+", choices=names, default=names, help="in place of all")
    parser.add_argument("--attention", help="backend to try; by default cuDNN's on a GPU")
    parser.add_argument("--repeats", type=int, default=2, help="timed runs of each variant, where there is time")
    parser.add_argument("--tiny", action="store_true", help="toy sizes on the CPU, to try the code")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the report")
    options = parser.parse_args(arguments)
    options.device = "cpu" if options.tiny else "cuda"
    attention = options.attention or ("native" if options.tiny else "_native_cudnn")
    switches = {name: feature for name, feature in features(attention).items() if name in options.features}
    options.wanted = Wanted(switches, *(name in options.features for name in SETTINGS))
    if not options.tiny and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --tiny tries the same code without one")
    rows: list[Row] = []
    notes: list[str] = []
    about, name = card(options.device), "gpu-tiny" if options.tiny else "gpu"
    said = ""
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn()) as progress:
        for profile_id, clock in shared_out(options.only or list(PROFILES), 60 * options.minutes):
            for more, left_out in profile_rows(profile_id, options, progress, clock):
                rows += more
                notes += left_out
                found = {"card": about, "rows": rows, "notes": notes}
                said = write(name, text(rows, notes, about, tiny=options.tiny), found, options.out)
    print(f"{said}\n\nwritten: {options.out / name}.md and .json")


def shared_out(profile_ids: Sequence[str], seconds: float) -> Iterator[tuple[str, Clock]]:
    """Yield each profile with its share of the time that is left then."""
    end = time.monotonic() + seconds
    shares = [FULL[profile_id].share for profile_id in profile_ids]
    for number, profile_id in enumerate(profile_ids):
        left = end - time.monotonic()
        yield profile_id, Clock(time.monotonic() + left * shares[number] / sum(shares[number:]))


if __name__ == "__main__":
    main()
