"""Tables as Markdown, and results kept as JSON beside them."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cmvc import __version__

RESULTS = Path(__file__).parent / "results"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; all columns but the first are aligned right."""
    lines = [f"| {' | '.join(columns)} |", f"| --- |{' ---: |' * (len(columns) - 1)}"]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "cmvc": __version__,
    }


def save(name: str, text: str, data: Mapping[str, Any], folder: Path = RESULTS) -> None:
    """Write ``name``.md and ``name``.json and print the text."""
    print(write(name, text, data, folder), flush=True)
    print(f"\nwritten: {folder / name}.md and .json")


def write(name: str, text: str, data: Mapping[str, Any], folder: Path = RESULTS) -> str:
    """Write ``name``.md and ``name``.json and return what the former says."""
    folder.mkdir(parents=True, exist_ok=True)
    about = machine()
    head = f"{about['cores']} cores of {about['cpu']}, Python {about['python']}, CMVC {about['cmvc']}\n\n"
    (folder / f"{name}.md").write_text(head + text + "\n")
    (folder / f"{name}.json").write_text(json.dumps({"machine": about, **data}, indent=1) + "\n")
    return head + text
