"""Nothing from outside is unpickled: ruff sees to ``pickle`` (S301), this to what unpickles by another name."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for room in ("cmvc", "services", "benchmarks", "examples") for path in (ROOT / room).rglob("*.py")
)


def faults(tree):
    """Yield the lines of calls that would unpickle."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        given = {each.arg: ast.unparse(each.value) for each in call.keywords}
        loads = name.endswith("torch.load") and given.get("weights_only") != "True"
        if loads or given.get("allow_pickle") == "True" or name.startswith(("dill.", "joblib.", "cloudpickle.")):
            yield call.lineno


def test_nothing_here_unpickles():
    assert len(SOURCES) > 200
    found = {path.relative_to(ROOT): list(faults(ast.parse(path.read_text()))) for path in SOURCES}
    assert not {path: lines for path, lines in found.items() if lines}


def test_what_reads_media_is_heard_as_bytes():
    """``Connection.recv`` unpickles; ``recv_bytes`` does not."""
    rooms = [ROOT / "cmvc" / each for each in ("media", "processes")]
    calls = [
        (path.name, ast.unparse(node.func))
        for room in rooms
        for path in room.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]
    assert any(name.endswith(".recv_bytes") for _, name in calls)
    assert [(path, name) for path, name in calls if name.endswith((".recv", ".send"))] == []


@pytest.mark.parametrize("line", ["torch.load(path)", "np.load(file, allow_pickle=True)", "joblib.load(path)"])
def test_what_would_is_found(line):
    assert list(faults(ast.parse(line))) == [1]
