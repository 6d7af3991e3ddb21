"""What the rate-quality report says of points whose differences are known."""

import pytest

from benchmarks.rd import ours, report
from benchmarks.rd.compare import Field, Part
from benchmarks.rd.points import METRICS, Point

MAIN = "SVT-AV1 4"
CURVE = [(4_000, 5), (8_000, 20), (16_000, 40), (32_000, 50), (64_000, 60)]


def point(clip: str, codec: str, rate: float, quality: float, mode: str = "coded") -> Point:
    return Point(clip, codec, "", round(rate), rate, (mode,), dict.fromkeys(METRICS, quality), "", ("code", "measure"))


def curve(clip: str, codec: str, factor: float) -> list[Point]:
    return [point(clip, codec, factor * rate, quality) for rate, quality in CURVE]


@pytest.fixture
def field() -> Field:
    """One clip won by a fifth, one lost by a tenth, one where the two sides share no quality."""
    points = [*curve("won", "cmvc auto", 0.8), *curve("won", MAIN, 1), *curve("won", "VVenC medium", 0.4)]
    points += [*curve("lost", "cmvc auto", 1.1), *curve("lost", MAIN, 1)]
    points += [point("apart", "cmvc auto", 1_000 * quality, quality) for quality in (8, 9)]
    points += [point("apart", MAIN, 1_000 * quality, quality) for quality in (10, 11)]
    return Field([*points, point("won", "cmvc auto", 1_000, 59, "tt2v")], 40_000)


def test_means_and_worst_clips(field: Field) -> None:
    table = report.means(field, "cmvc auto", ["vmaf"]).splitlines()
    assert f"| {MAIN} | each from its floor | 2 | -5.0 (+10.0) |" in table
    assert f"| {MAIN} | VMAF ≥ 20 | 2 | -5.0 (+10.0) |" in table
    assert "| VVenC medium | each from its floor | 1 | +100.0 (+100.0) |" in table
    assert "| all of them | each from its floor | 2 | +55.0 (+100.0) |" in table


def test_each_clip_its_losses_and_where_nothing_is_compared(field: Field) -> None:
    table = report.per_clip(field, "cmvc auto", ["psnr_y"]).splitlines()
    assert "| lost | +10.0 | +10.0 | +10.0 | 5 to 51 (98 %) |" in table
    assert "| apart | no overlap | no overlap | no overlap | - |" in table


def test_from_the_higher_floor_points_below_do_not_count(field: Field) -> None:
    ours_alone = Field([*field.points, point("lost", "cmvc auto", 1_000, 30)], field.limit)
    whole, shared = (
        ours_alone.difference("lost", "cmvc auto", [MAIN], "vmaf", part) for part in (Part.WHOLE, Part.SHARED_RATES)
    )
    assert whole is not None
    assert shared is not None
    assert whole.percent < 0
    assert shared.percent == pytest.approx(10)


def test_the_readme_table_ends_with_the_mean(field: Field) -> None:
    table = report.readme_table(field, "cmvc auto").splitlines()
    assert "| won | -20.0 | -20.0 | -20.0 | -20.0 | -20.0 | -20.0 | 3.20 (5) / 4.00 (5) |" in table
    assert table[-1].startswith("| **mean** | **-5.0** |")


def test_floors_are_put_side_by_side(field: Field) -> None:
    assert "| won | 1.60 (5) VVenC medium | 3.20 (5), +100 % |" in report.floors(field).splitlines()


def test_the_report_names_what_is_unfinished(field: Field) -> None:
    whole = report.text("the command", field, [("won", MAIN)], list(METRICS))
    assert f"**Unfinished**, so that hulls are lower than they will be: won {MAIN}." in whole
    assert len(report.as_json(field, [])["points"]) == len(field.points)


@pytest.mark.parametrize(("floor", "least"), [(3_000, 8), (30_000, 6), (300, 6), (90_000, 6)])
def test_ours_goes_down_to_the_floor(floor: int, least: int) -> None:
    asked: list[int] = []

    def code(rate: int) -> Point:
        asked.append(rate)
        return point("clip", "cmvc auto", max(0.98 * rate, floor), 1)

    ours.down_to_floor(code, 40_000, least)
    assert max(asked) == 40_000
    if floor < 40_000:
        assert len(asked) >= least
        assert min(asked) <= max(floor, 1.5 * ours.LEAST_RATE)
    else:
        assert asked == [40_000]


def test_ours_ends_where_only_text_is_left() -> None:
    asked: list[int] = []

    def code(rate: int) -> Point:
        asked.append(rate)
        return point("clip", "cmvc auto", rate, 1, "coded" if rate > 5_000 else "tt2v")

    ours.down_to_floor(code, 40_000, 3)
    assert asked == [40_000, 28_284, 20_000, 14_142, 10_000, 7_071, 5_000]
