"""Runs what a report needs: clips by codecs, several at once, with a progress bar."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.rd import baselines, ours
from benchmarks.rd.cache import Cache
from benchmarks.rd.points import Point
from benchmarks.rd.sources import Source, open_source


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        clips: videos.
        codecs: baselines.
        modes: of CMVC; each a mode and further options of ``cmvc encode``.
        limit: highest rate of interest, bit/s.
        rates: how many points CMVC shall have at least.
        jobs: how many codings at once.
        run_baselines, run_ours: False to take of one side only what the cache has.
    """

    clips: Sequence[Path]
    codecs: Sequence[baselines.Codec]
    modes: Sequence[str]
    limit: float
    rates: int
    jobs: int
    run_baselines: bool
    run_ours: bool


@dataclass(frozen=True)
class Results:
    """What came of a plan: every measured point, and the ``(clip, codec)`` of which the cache had not all."""

    sources: list[Source]
    points: list[Point]
    unfinished: list[tuple[str, str]]


def carry_out(plan: Plan, cache: Cache) -> Results:
    """Run a plan; results of earlier runs are taken from the cache.

    Raises:
        CmvcError: coding or measuring failed; the cache keeps what was done before.
        MediaError: a clip is no video, or frames went missing.
    """
    results = Results([open_source(clip, cache.references) for clip in plan.clips], [], [])
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("coding", total=None)

        def show(point: Point) -> None:
            progress.update(bar, description=f"{point.clip} {point.codec} {point.setting}")

        theirs, our_own = (baselines.Coder(cache, may, show) for may in (plan.run_baselines, plan.run_ours))
        works: dict[tuple[str, str], Callable[[], tuple[list[Point], bool]]] = {}
        for mode in plan.modes:
            for source in results.sources:
                works[source.name, ours.name_of(mode)] = _ours(our_own, source, mode, plan)
        for codec in plan.codecs:
            for source in results.sources:
                works[source.name, codec.name] = _theirs(theirs, source, codec, plan)
        progress.update(bar, total=len(works))
        with ThreadPoolExecutor(plan.jobs) as pool:
            futures = {pool.submit(work): place for place, work in works.items()}
            try:
                for future in as_completed(futures):
                    points, whole = future.result()
                    results.points.extend(points)
                    results.unfinished.extend([] if whole else [futures[future]])
                    progress.advance(bar)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    results.points.sort(key=lambda point: (point.clip, point.codec, point.bits_per_second))
    return results


def _ours(coder: baselines.Coder, source: Source, mode: str, plan: Plan) -> Callable[[], tuple[list[Point], bool]]:
    return lambda: ours.walk(coder, source, mode, plan.limit, plan.rates)


def _theirs(
    coder: baselines.Coder, source: Source, codec: baselines.Codec, plan: Plan
) -> Callable[[], tuple[list[Point], bool]]:
    return lambda: baselines.walk(coder, source, codec, plan.limit)
