"""``python -m fuzz.table``: writes benchmarks/results/fuzz.md, what was run of each target, and what it came to.

Executions and processor time are those that ``build/fuzz/TARGET.json`` adds up; lines, those that the corpus reaches.
"""

import json
import re
import subprocess
import sys

from fuzz.__main__ import FOUND, NOTHING, WAYS
from fuzz.reached import CORPUS, FILES, ROOT

RESULTS = ROOT / "benchmarks/results"
HEAD = """# What was fuzzed

`make fuzz TARGET=… SECONDS=…`, past checksums ([the targets](../../tests/fuzz/README.md)): led by coverage (atheris),
and with `HOW=unled` mutants of the corpus and of what was found so, several times as many a second. Executions and
processor time (of `media` without the processes that read) are added up over all runs (`make fuzz-table`). Inputs that
failed are mended, and replayed by `make test`.

"""
COLUMNS = (
    "target",
    "led by coverage",
    "mutants of the corpus",
    "CPU-minutes",
    "lines reached",
    "inputs in the corpus",
    "failing inputs left",
)


def share(target: str) -> float:
    """Return the percentage of its lines that a target's corpus reaches."""
    said = subprocess.run([sys.executable, "-m", "fuzz.reached", target], check=True, capture_output=True, text=True)
    found = re.search(r"([\d.]+) %", said.stdout)
    assert found, said.stdout
    return float(found[1])


def row(target: str) -> dict[str, float]:
    """Return what there is to say of a target."""
    path = FOUND / f"{target}.json"
    run = json.loads(path.read_text()) if path.exists() else NOTHING
    return {
        **{how: run[how] for how in WAYS},
        "cpu_minutes": round(run["cpu_seconds"] / 60, 1),
        "lines_percent": share(target),
        "corpus": len(list((CORPUS / target).iterdir())),
        "failed": len(list((FOUND / target).glob("failed-*"))),
    }


def main() -> None:
    """See the module."""
    rows = {target: row(target) for target in FILES}
    cells = [COLUMNS, len(COLUMNS) * ("---",)]
    for target, each in rows.items():
        led, unled, minutes, lines, *counts = each.values()
        cells.append((f"`{target}`", f"{led:,}", f"{unled:,}", str(minutes), f"{lines} %", *map(str, counts)))
    (RESULTS / "fuzz.md").write_text(HEAD + "".join(f"| {' | '.join(line)} |\n" for line in cells))
    (RESULTS / "fuzz.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
