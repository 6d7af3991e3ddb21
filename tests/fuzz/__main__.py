"""``python -m fuzz TARGET [SECONDS] [RUNS] [HOW]``: looks for what a target does wrong, until stopped, and keeps count.

What was run of a target is added up in ``build/fuzz/TARGET.json``; ``python -m fuzz.table`` makes the table of it.
"""

import json
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from fuzz.reached import FILES

FOUND = Path("build/fuzz")
_COUNT = re.compile(r"^#(\d+)\b|^stat::number_of_executed_units:\s*(\d+)|^Done (\d+) runs")
WAYS = ("led", "unled")  # by coverage, or by the corpus alone
NOTHING = {**dict.fromkeys(WAYS, 0), "cpu_seconds": 0.0}


def executions(lines: Iterable[str]) -> int:
    """Pass on what libFuzzer says, and return how many inputs it has run."""
    count = 0
    for line in lines:
        sys.stderr.write(line)
        if found := _COUNT.match(line):
            count = max(count, *(int(each) for each in found.groups() if each))
    return count


def main(name: str = "", seconds: str = "0", runs: str = "-1", how: str = "led") -> int:
    """Fuzz a target and add up what was run; return 0 where nothing was found."""
    if name not in FILES:
        raise SystemExit(f"error: {name} is no target; there are: {', '.join(FILES)}")
    if how not in WAYS:
        raise SystemExit(f"error: {how} is no way to look; there are: {', '.join(WAYS)}")
    command = [sys.executable, "-m", f"fuzz.{how}", name, seconds, runs]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as looking:
        assert looking.stderr
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends by itself, and says how far it came
        signal.signal(signal.SIGTERM, lambda *_: looking.terminate())
        count = executions(looking.stderr)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    path = FOUND / f"{name}.json"
    total = json.loads(path.read_text()) if path.exists() else NOTHING
    total = {**total, how: total[how] + count, "cpu_seconds": round(total["cpu_seconds"] + cpu, 1)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(total) + "\n")
    failed = sorted(each.name for each in (FOUND / name).glob("failed-*"))
    print(f"{name}: {count} executions, {how}, in {cpu / 60:.1f} CPU-minutes; of it with those before: {total[how]}")
    print(f"{name}: {len(failed)} that failed {' '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
