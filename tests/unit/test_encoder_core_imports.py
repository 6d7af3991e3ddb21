"""The encoder's pipeline is a core that any transport can be put around, and its rooms follow the data."""

import ast
import subprocess
import sys
from pathlib import Path

import cmvc_encoder

TRANSPORTS = ("grpc", "tritonclient")
ROOT = Path(cmvc_encoder.__file__).parent
ASKED = ("options", "profile_table", "sound", "job", "extra", "model_files")  # what was asked for, what models need
FLOW = ("ingest", "keyframes", "semantics", "coding", "planning", "workers", "stream", "pipeline")
ROOMS = (*ASKED, *FLOW, "capabilities", "servicer", "service")


def test_the_pipeline_loads_no_transport():
    code = f"import sys, cmvc_encoder.pipeline; print(*[name for name in {TRANSPORTS!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_room_uses_itself_and_those_before_it():
    for path in set(ROOT.rglob("*.py")) - {ROOT / "__init__.py"}:
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        nodes = ast.walk(ast.parse(path.read_text()))
        names = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
        used = {name.split(".")[1] for name in names if name.startswith("cmvc_encoder.")}
        assert used <= set(ROOMS[: ROOMS.index(room) + 1]), path
