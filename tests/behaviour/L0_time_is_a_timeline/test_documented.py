"""docs/timeline.md shows the matrix as it is."""

from pathlib import Path

from test_matrix import CELLS, THROUGH
from troubles import CONTAINERS, TROUBLES

DOCUMENT = Path(__file__).parents[3] / "docs" / "timeline.md"


def table() -> str:
    """Return the matrix in Markdown, its cells counted."""
    cells = {(trouble.name, container.name) for trouble, container in CELLS}
    names = [container.name for container in CONTAINERS]
    lines = ["| | " + " | ".join(names) + " |", "|---|" + ":-:|" * len(names)]
    for trouble in TROUBLES:
        marks = [
            "◆" if (trouble.name, name) in THROUGH else "●" if (trouble.name, name) in cells else "" for name in names
        ]
        lines.append(f"| {trouble.name} | " + " | ".join(marks) + " |")
    return "\n".join([*lines, "", f"{len(cells)} cells, {len(THROUGH)} of them ◆."])


def test_the_matrix_is_the_documented_one() -> None:
    assert table() in DOCUMENT.read_text()
