"""The report: tables as Markdown, and all points as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from benchmarks.rd.compare import Field, Part
from benchmarks.rd.hull import Difference, Shape
from benchmarks.rd.points import TITLES, Point
from benchmarks.rd.programs import version
from benchmarks.report import markdown

README_METRICS = ("vmaf", "vmaf_neg", "ms_ssim", "psnr_y")
_PARTS = (Part.SHARED_RATES, Part.WATCHABLE)
_PART_TITLES = [f"VMAF, {Part.SHARED_RATES.value}", Part.WATCHABLE.value]
_METHOD = """BD-rate in percent: how many more bytes CMVC needs at equal quality; negative is a saving. Each side is
the upper hull of its points, which is what mixing them gives, from its lowest point to {limit:g} kbit/s; only qualities
that both reach are compared, and a set against itself gives 0. CMVC's bytes are the whole file. Baselines'
bytes are their elementary stream without temporal delimiters, SEI, access unit delimiters and containers. Means are
arithmetic, over the clips on which both share a range. "From the higher floor" leaves out the points at rates that one
side alone reaches, "VMAF ≥ 20" what lies under the rate from which the baselines' hull has VMAF 20."""


def text(command: str, field: Field, unfinished: Sequence[tuple[str, str]], metrics: Sequence[str]) -> str:
    """Return the whole report as Markdown; ``command`` is the one that it comes from."""
    parts = [f"`{command}`\n\n{version()}"]
    parts.append(_METHOD.format(limit=field.limit / 1000))
    if unfinished:
        listed = ", ".join(f"{clip} {codec}" for clip, codec in unfinished)
        parts.append(f"**Unfinished**, so that hulls are lower than they will be: {listed}.")
    for method in field.methods:
        if any(field.mean(method, field.main, metric) for metric in metrics):
            parts += [
                f"## {method}",
                means(field, method, metrics),
                shapes(field, method, metrics),
                per_clip(field, method, metrics),
            ]
    parts += ["## Floors", floors(field), "## CMVC's points", our_points(field, metrics)]
    return "\n\n".join([*parts, "## Commands", commands(field.points)])


def means(field: Field, method: str, metrics: Sequence[str]) -> str:
    """Return the means of a method over each set of opponents, the worst clip in brackets."""
    rows: list[list[object]] = []
    for title, names in field.opponents.items():
        for part in Part:
            found = [field.mean(method, names, metric, part) for metric in metrics]
            cells = [f"{mean.percent:+.1f} ({mean.worst:+.1f})" if mean else "-" for mean in found]
            clips = max((mean.clips for mean in found if mean), default=0)
            rows.append([title, part.value, clips, *cells])
    return markdown(["mean (worst clip) against the hull of", "compared", "clips", *_titles(metrics)], rows)


def shapes(field: Field, method: str, metrics: Sequence[str]) -> str:
    """Return the means against the main baselines by each way to make points a curve."""
    rows: list[list[object]] = []
    for shape in Shape:
        for part in Part:
            found = [replace(field, shape=shape).mean(method, field.main, metric, part) for metric in metrics]
            rows.append([shape.value, part.value, *(f"{mean.percent:+.1f}" if mean else "-" for mean in found)])
    return markdown([f"mean against {' + '.join(field.main)}, by curve", "compared", *_titles(metrics)], rows)


def per_clip(field: Field, method: str, metrics: Sequence[str]) -> str:
    """Return a method's BD-rate over the main baselines for each clip, and the range compared, in VMAF."""
    rows: list[list[object]] = []
    for clip in field.clips:
        found = {metric: field.difference(clip, method, field.main, metric) for metric in {*metrics, "vmaf"}}
        parts = [field.difference(clip, method, field.main, "vmaf", part) for part in _PARTS]
        cells = [_percent(difference) for difference in [*(found[metric] for metric in metrics), *parts]]
        rows.append([clip, *cells, _range(found["vmaf"])])
    return markdown(["clip", *_titles(metrics), *_PART_TITLES, "VMAF compared (share)"], rows)


def floors(field: Field) -> str:
    """Return the lowest rate of each side on each clip, with its VMAF."""
    rows: list[list[object]] = []
    for clip in field.clips:
        theirs = field.of(clip, field.baselines)
        row: list[object] = [clip, _lowest(theirs, name=True)]
        for method in field.methods:
            mine = field.of(clip, [method])
            row.append(_lowest(mine) + _below(mine, theirs))
        rows.append(row)
    return markdown(["lowest kbit/s (VMAF there)", "baselines", *field.methods], rows)


def our_points(field: Field, metrics: Sequence[str]) -> str:
    """Return each point of ours with its scores, and the main baselines' hull at the same rate."""
    rows: list[list[object]] = []
    for point in field.points:
        if point.codec in field.methods:
            row: list[object] = [point.clip, point.codec, f"{point.bits_per_second / 1000:.2f}", " ".join(point.modes)]
            for metric in metrics:
                hull = field.hull(point.clip, field.main, metric)
                best = hull.quality_at(point.bits_per_second)
                row.append(f"{point.scores[metric]:.4g} / " + ("-" if best is None else f"{best:.4g}"))
            rows.append(row)
    return markdown(["clip", "method", "kbit/s", "modes", *(f"{name}, ours / hull" for name in _titles(metrics))], rows)


def commands(points: Sequence[Point]) -> str:
    """Return the commands behind one point of each codec, and the one that measures."""
    firsts = {point.codec: point for point in reversed(points)}
    named = [(f"{name}, {point.clip}", point.commands[:-1]) for name, point in sorted(firsts.items())]
    named += [("Measuring", point.commands[-1:]) for point in list(firsts.values())[:1]]
    return "\n\n".join(f"{title}:\n\n    " + "\n    ".join(lines) for title, lines in named)


def as_json(field: Field, unfinished: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the report's data: every point, but for its commands."""
    points = [asdict(point) for point in field.points]
    for point in points:
        del point["commands"], point["stream"]
        point["scores"] = {name: round(score, 4) for name, score in point["scores"].items()}
    return {"ffmpeg": version(), "limit": field.limit, "unfinished": list(unfinished), "points": points}


def readme_table(field: Field, method: str) -> str:
    """Return the table for the README: each clip and the mean, losses as they are."""
    rows: list[list[object]] = []
    for clip in field.clips:
        found = [field.difference(clip, method, field.main, metric) for metric in README_METRICS]
        found += [field.difference(clip, method, field.main, "vmaf", part) for part in _PARTS]
        mine, theirs = (_lowest(field.of(clip, names)) for names in ([method], field.main))
        rows.append([clip, *(_percent(difference) for difference in found), f"{mine} / {theirs}"])
    means = [field.mean(method, field.main, metric) for metric in README_METRICS]
    means += [field.mean(method, field.main, "vmaf", part) for part in _PARTS]
    rows.append(["**mean**", *(f"**{mean.percent:+.1f}**" if mean else "-" for mean in means), ""])
    return markdown(["clip", *_titles(README_METRICS), *_PART_TITLES, "lowest kbit/s (VMAF), ours / theirs"], rows)


def _titles(metrics: Sequence[str]) -> list[str]:
    return [TITLES[metric] for metric in metrics]


def _percent(difference: Difference | None) -> str:
    return f"{difference.percent:+.1f}" if difference else "no overlap"


def _range(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    return f"{difference.low:.0f} to {difference.high:.0f} ({100 * difference.share:.0f} %)"


def _lowest(points: Sequence[Point], *, name: bool = False) -> str:
    if not points:
        return "-"
    point = min(points, key=lambda point: point.bits_per_second)
    codec = f" {point.codec}" if name else ""
    return f"{point.bits_per_second / 1000:.2f} ({point.scores['vmaf']:.0f}){codec}"


def _below(mine: Sequence[Point], theirs: Sequence[Point]) -> str:
    """Return how far our floor is under or over theirs, in percent."""
    if not mine or not theirs:
        return ""
    lowest, floor = (min(point.bits_per_second for point in points) for points in (mine, theirs))
    return f", {100 * (lowest / floor - 1):+.0f} %"
