"""docs/timeline.md shows the matrix as it is."""

from pathlib import Path

from test_matrix import CELLS, THROUGH, read_now
from troubles import CONTAINERS, TROUBLES

DOCUMENT = Path(__file__).parents[3] / "docs" / "timeline.md"


def table() -> str:
    """Return the matrix in Markdown, its cells counted."""
    cells = {(trouble.name, box.name): "●" if read_now((trouble, box)) else "○" for trouble, box in CELLS}
    cells |= dict.fromkeys(THROUGH, "◆")
    names = [container.name for container in CONTAINERS]
    lines = ["| | " + " | ".join(names) + " |", "|---|" + ":-:|" * len(names)]
    for trouble in TROUBLES:
        marks = [cells.get((trouble.name, name), "") for name in names]
        lines.append(f"| {trouble.name} | " + " | ".join(marks) + " |")
    counts = ", ".join(f"{list(cells.values()).count(mark)} {mark}" for mark in "●◆○")
    return "\n".join([*lines, "", f"{len(cells)} cells: {counts}."])


def test_the_matrix_is_the_documented_one() -> None:
    assert table() in DOCUMENT.read_text()
