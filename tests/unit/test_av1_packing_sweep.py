"""Everything that SVT-AV1 in the ``av`` wheel writes is packed: a sweep over what it can be asked for."""

import pytest

from cmvc.bitstream.av1pack.payload import is_packed, pack, unpack
from tests.av1_streams import moving, svt

pytestmark = pytest.mark.slow

SIZES = [(64, 64), (66, 98), (130, 70), (320, 180), (640, 360), (1024, 64)]
COUNTS = [1, 2, 3, 7, 16, 17, 33, 64, 65, 100, 300]
PARAMETERS = [
    "tune=0", "tune=1", "tune=2", "avif=1", "use-fixed-qindex-offsets=1", "lookahead=0", "lookahead=32",
    "pred-struct=1", "hierarchical-levels=2", "hierarchical-levels=5", "keyint=7", "film-grain=10", "enable-qm=1",
    "aq-mode=1", "variance-boost=1:enable-variance-boost=1", "superres-mode=1:superres-denom=13", "resize-mode=1",
    "tile-columns=1:tile-rows=1", "enable-overlays=1", "enable-cdef=0", "enable-restoration=0", "enable-dlf=0",
    "fast-decode=1", "scm=1", "enable-tf=0", "color-range=1", "enable-stat-report=0", "max-qp=40",
]  # fmt: skip


def check(lumas, preset, parameters):
    coded = svt(lumas, preset, parameters)
    assert is_packed(pack(coded))
    assert unpack(pack(coded)) == coded


@pytest.mark.parametrize("preset", range(14))
def test_presets(preset):
    for crf in ("20", "48.25", "63", "70"):
        check(moving(20, 96, 64), preset, f"crf={crf}")
    check(moving(1, 96, 64), preset, "crf=50:avif=1")


@pytest.mark.parametrize("size", SIZES)
def test_sizes(size):
    check(moving(10, *size), 8, "crf=55")


@pytest.mark.parametrize("count", COUNTS)
def test_lengths(count):
    check(moving(count), 8, "crf=60")


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_settings(parameters):
    check(moving(1 if "avif" in parameters else 24, 128, 96), 7, f"crf=52:{parameters}")
