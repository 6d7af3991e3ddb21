"""Which rooms of the decoder may look into which."""

import ast
from pathlib import Path

import pytest

import cmvc_decoder

ROOT = Path(cmvc_decoder.__file__).parent
FLOORS = [  # from the ground up
    {"generator", "options"},
    {"conditions", "upscale", "weights", "speed"},
    {"diffusion"},
    {"generators"},
    {"executors"},
    {"memory"},
    {"pipeline", "capabilities", "recent"},
    {"triton"},
    {"servicer", "findings"},
    {"service"},
]
BESIDE = {"models", "training"}  # use what serving stands on, and none of what serves
NOT_SERVING = {"weights", "speed", "diffusion", "generators"}


def rooms_used(file: Path) -> set[str]:
    """Return the rooms of the decoder that a file imports from."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return {module.split(".")[1] for module in modules if module.startswith("cmvc_decoder.")}


def looks_into() -> dict[str, set[str]]:
    """Return for each room the others that it imports from."""
    seen: dict[str, set[str]] = {}
    for file in ROOT.rglob("*.py"):
        room = file.relative_to(ROOT).parts[0].removesuffix(".py")
        seen.setdefault(room, set()).update(rooms_used(file) - {room})
    return seen


def test_every_room_has_its_floor_and_is_on_the_map():
    rooms = looks_into().keys() - {"__init__"}
    assert rooms == set().union(*FLOORS, BESIDE)
    assert all(f"``{room}``" in cmvc_decoder.__doc__ for room in rooms)


def test_a_room_looks_only_down():
    seen = looks_into()
    for number, floor in enumerate(FLOORS):
        below = set().union(*FLOORS[:number])
        assert {room: seen[room] - below for room in floor} == {room: set() for room in floor}


@pytest.mark.parametrize("room", sorted(BESIDE))
def test_it_stands_beside_what_serves(room):
    assert looks_into()[room] <= NOT_SERVING
