"""Charts and moments of a report, for any numbers."""

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from cmvc.report.charts import HEIGHT, WIDTH, Line, binned, chart, steps
from cmvc.report.gather import moments_of

VALUES = st.floats(0, 1e6, allow_subnormal=False)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=20), st.booleans(), st.text(max_size=20))
def test_lines_stay_within_the_chart(points, from_zero, name):
    seconds = max(time for time, _ in points) or 1.0
    drawn = chart("a chart", [Line("s0", name, points)], seconds, from_zero=from_zero)
    printable = "".join(c for c in drawn if c.isprintable())
    (line,) = [each for each in ElementTree.fromstring(printable).iter() if each.tag == "polyline"]
    for x, y in re.findall(r"([-\d.]+),([-\d.]+)", line.attrib["points"]):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT


@given(st.integers(1, 1000))
def test_moments_are_frames(frames):
    moments = moments_of(frames)
    assert moments == sorted(set(moments))
    assert 1 <= len(moments) <= 6
    assert 0 <= moments[0] <= moments[-1] < frames


def test_values_over_time():
    assert binned([1.0, 3.0, 5.0], rate=4) == [(0.25, 2.0), (0.625, 5.0)]
    assert steps([(0, 1, 7), (1, 3, 8)]) == [(0, 7), (1, 7), (1, 8), (3, 8)]
