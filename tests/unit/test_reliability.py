"""docs/reliability.md: every cell names tests, and every test that it names is there."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/reliability.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| fault")
]
CELLS = [(row[0], cell) for row in ROWS for cell in (row[1:] if len(row) > 3 else row[-1:])]


def named(cell):
    """Yield the file and the words of each test that a cell names."""
    found = [*re.finditer(r"`(tests/[\w/]+\.py)`", cell), None]
    for this, following in pairwise(found):
        for words in re.findall(r"\*([^*]+)\*", cell[this.end() : following.start() if following else len(cell)]):
            yield this[1], words


@pytest.mark.parametrize(("fault", "cell"), CELLS, ids=lambda text: text[:40])
def test_what_a_cell_promises_a_test_has_seen(fault, cell):
    tests = list(named(cell))
    assert tests, f"{fault}: no test is named"
    for path, words in tests:
        names = re.findall(r"def test_(\w+)", (ROOT / path).read_text())
        assert any(words in name.replace("_", " ") for name in names), f"{path} has no test of '{words}'"


def test_there_are_tables():
    assert len(ROWS) > 25
