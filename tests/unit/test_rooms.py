"""Which rooms of the house may look into which."""

import ast
from pathlib import Path

import pytest

import cmvc

ROOT = Path(cmvc.__file__).parent


def imported(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize(
    ("room", "closed"),
    [
        ("wire", ("cmvc.server", "cmvc.client", "cmvc.cli")),
        ("server", ("cmvc.client", "cmvc.cli")),
        ("client", ("cmvc.server", "cmvc.cli")),
    ],
)
def test_a_room_looks_only_down(room, closed):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    names = [(file.name, name) for file in files for name in imported(file)]
    assert [(file, name) for file, name in names if f"{name}.".startswith(tuple(f"{each}." for each in closed))] == []
