"""The golden streams of tests/vectors: what they mean may never change."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[1] / "vectors"
NAMES = sorted(path.stem for path in VECTORS.glob("*.cmvc"))

spec = importlib.util.spec_from_file_location("make_vectors", VECTORS / "make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)


def test_every_golden_stream_is_here():
    assert sorted(make.streams()) == [name for name in NAMES if not name.startswith("v1-")]
    assert len(NAMES) == 12


@pytest.mark.parametrize("name", NAMES)
def test_golden_stream_means_what_it_meant(name):
    stream = (VECTORS / f"{name}.cmvc").read_bytes()
    expected = json.loads((VECTORS / f"{name}.json").read_text())
    assert make.describe(stream) == expected


@pytest.mark.parametrize("name", NAMES)
def test_parts_add_up_to_the_file_size(name):
    stream = (VECTORS / f"{name}.cmvc").read_bytes()
    totals = make.describe(stream)["inspect"]["totals"]
    fixed = ("preamble", "header", "profile_table", "trailer", "unknown")
    assert sum(totals["segment_bytes"].values()) + sum(totals[f"{part}_bytes"] for part in fixed) == len(stream)


def test_the_dump_in_the_docs_is_the_golden_stream():
    page = (VECTORS.parents[1] / "docs" / "bitstream.md").read_text()
    dump = page.split("<!-- dump:begin -->")[1].split("<!-- dump:end -->")[0]
    packed = re.sub("[` ]", "", "".join(re.findall("`[0-9a-f ]+`", dump)))
    assert bytes.fromhex(packed) == (VECTORS / "text-2x1s.cmvc").read_bytes()
