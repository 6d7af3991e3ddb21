"""``python -m benchmarks.rd [CLIP ...] [--quick] [--codec NAME ...] [--ours MODE ...]``: see the package."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from benchmarks.clips import shared_clips
from benchmarks.rd import report
from benchmarks.rd.baselines import CODECS, MAIN, Coder
from benchmarks.rd.cache import Cache
from benchmarks.rd.compare import Field
from benchmarks.rd.ours import name_of
from benchmarks.rd.points import METRICS, PERCEPTUAL, Point
from benchmarks.rd.run import Plan, Results, carry_out
from benchmarks.report import RESULTS, save
from cmvc.settings import MODE_CHOICES, parse_bitrate

CACHE = Path("build/bench-rd")
QUICK_CLIPS = ("foreman_cif_intra", "davis_blackswan", "davis_parkour", "talk_d0_512", "nasa_lowlight_320x180")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rd", description="Rate and quality beside others.")
    add = parser.add_argument
    add("clips", nargs="*", type=Path, metavar="CLIP", help="videos; by default those of CMVC_CLIPS")
    add("--quick", action="store_true", help=f"{len(QUICK_CLIPS)} of the clips, the main codecs and auto alone")
    add("--codec", action="append", choices=list(CODECS), help="repeatable; all by default")
    add(
        "--ours",
        action="append",
        metavar="MODE",
        help="a mode, with options of cmvc encode; repeatable; all by default",
    )
    add("--metric", action="append", choices=list(METRICS), help="to report; repeatable; all by default")
    add("--perceptual", action="store_true", help="LPIPS and DISTS as well, in minutes a clip; needs '.[perceptual]'")
    add("--rates", type=int, default=8, help="least number of points of ours [%(default)s]")
    add("--to", type=parse_bitrate, default=40_000, metavar="RATE", help="highest rate of interest [40k]")
    add("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="codings at once [%(default)s]")
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--baselines-only", action="store_true", help="code nothing with CMVC; take what the cache has")
    side.add_argument("--ours-only", action="store_true", help="code with CMVC alone; take baselines from the cache")
    add("--pictures-at", type=parse_bitrate, default=10_000, metavar="RATE", help="of pictures side by side [10k]")
    add("--name", default="rd", help="of the files in benchmarks/results [%(default)s]")
    add("--readme", action="store_true", help="print the README's table as well")
    add("--cache", type=Path, default=CACHE, help="folder of what was done before [%(default)s]")
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what the options ask for."""
    clips = options.clips or shared_clips()
    if options.quick and not options.clips:
        clips = [clip for clip in clips if clip.stem in QUICK_CLIPS]
    codecs = (
        [CODECS[name] for name in options.codec] if options.codec else list(MAIN if options.quick else CODECS.values())
    )
    return Plan(
        clips=clips,
        codecs=codecs,
        modes=options.ours or (["auto"] if options.quick else list(MODE_CHOICES)),
        limit=options.to,
        rates=options.rates,
        jobs=options.jobs,
        run_baselines=not options.ours_only,
        run_ours=not options.baselines_only,
    )


def _shown(arguments: list[str]) -> str:
    """Return the command line without where things lie on this machine."""
    words, skip = [], False
    for word in arguments:
        if not skip and word != "--cache":
            words.append(Path(word).name if word.endswith((".mp4", ".y4m", ".mkv")) else word)
        skip = word == "--cache"
    return shlex.join(["python", "-m", "benchmarks.rd", *words])


def _looked_at(results: Results, cache: Cache) -> list[Point]:
    from benchmarks.rd.perceptual import with_perceptual  # noqa: PLC0415  # loads torch

    def show(point: Point) -> None:
        print(f"looking at {point.clip} {point.codec} {point.setting}", file=sys.stderr, flush=True)

    return with_perceptual(results.points, results.sources, cache, show)


def main() -> None:
    """Run from the command line."""
    options = parse()
    cache, plan = Cache(options.cache), plan_of(options)
    results = carry_out(plan, cache)
    points, metrics = results.points, options.metric or list(METRICS)
    if options.perceptual:
        points, metrics = _looked_at(results, cache), [*metrics, *PERCEPTUAL]
    field = Field(points, plan.limit)
    text = report.text(_shown(sys.argv[1:]), field, results.unfinished, metrics)
    save(options.name, text, report.as_json(field, results.unfinished))
    from benchmarks.rd import pictures, plots  # noqa: PLC0415  # matplotlib is for this command alone

    for metric in metrics:
        plots.draw(field, metric, RESULTS / f"{options.name}-{metric}.png")
    coder = Coder(cache, plan.run_ours, lambda _point: None)
    mode = plan.modes[0]
    chosen = [pictures.choose(field, source, coder, mode, options.pictures_at) for source in results.sources]
    if pairs := [pair for pair in chosen if pair]:
        pictures.draw(pairs, cache, RESULTS / f"{options.name}-pictures.jpg")
    if options.readme:
        print(report.readme_table(field, name_of(mode)))


if __name__ == "__main__":
    main()
