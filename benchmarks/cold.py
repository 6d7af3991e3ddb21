"""What each way to set CMVC up takes from nothing: seconds, what is downloaded, what lies on the disk afterwards.

Each route starts in a fresh clone of the last commit, with an empty cache of pip and none of the environment's virtual
environments. How much is downloaded is counted from pip's log, which has the size of what came over the network, and
the names of wheels that a configured folder had. The network is the machine's own: seconds say more about it than
about CMVC.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import markdown, save

ROOT = Path(__file__).resolve().parents[1]
_FROM_A_FOLDER = re.compile(r"Processing (\S+\.whl)")
_FROM_AFAR = re.compile(r"Downloading \S+ \(([\d.]+) (bytes|kB|MB|GB)\)")
_BYTES = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
# What the README says to type, in order; PYTHON is an interpreter that knows nothing.
ROUTES = {
    "demo": ("make demo",),
    "command": ("make setup", ".venv/bin/cmvc --version"),
    "client": ("$PYTHON -m venv .sdk", ".sdk/bin/pip install -q .", ".sdk/bin/python -c 'from cmvc import Client'"),
    "wheels": (
        "$PYTHON -m venv .sdk",
        ".sdk/bin/pip wheel -q --no-deps -w dist . ./services/encoder ./services/decoder",
        ".sdk/bin/pip install -q -c constraints.txt --find-links dist 'cmvc-sdk[cli]' cmvc-encoder cmvc-decoder",
        ".sdk/bin/cmvc --version",
    ),
    "tests": ("make .venv/.dev",),
}
QUICK = ("demo", "command", "client", "wheels")


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder, each once whatever its names."""
    found = {
        (each.stat().st_dev, each.stat().st_ino): each.stat().st_size for each in folder.rglob("*") if is_file(each)
    }
    return sum(found.values())


def is_file(path: Path) -> bool:
    """Return whether a path is of a file, and no link to one."""
    return path.is_file() and not path.is_symlink()


def downloaded(log: str) -> float:
    """Return the bytes that pip was given from elsewhere, by its log: over the network, or from a folder of wheels."""
    near = {Path(name) for name in _FROM_A_FOLDER.findall(log)}
    far = sum(float(number) * _BYTES[unit] for number, unit in _FROM_AFAR.findall(log))
    return far + sum(each.stat().st_size for each in near if each.is_file())


def measure(name: str) -> dict[str, object]:
    """Return what one route takes.

    Raises:
        subprocess.CalledProcessError: it does not work; what it said is on standard error.
    """
    with tempfile.TemporaryDirectory(prefix="cmvc-cold-") as folder:
        clone, log = Path(folder, "clone"), Path(folder, "pip.log")
        log.touch()
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        around = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
        python = str(Path(sys.base_prefix, "bin", "python3"))
        around |= {"PIP_CACHE_DIR": str(Path(folder, "cache")), "PIP_LOG": str(log), "PYTHON": python}
        load, began = os.getloadavg()[0], time.monotonic()
        for command in ROUTES[name]:
            subprocess.run(command, shell=True, cwd=clone, env=around, stdout=subprocess.DEVNULL, check=True)
        return {
            "route": name,
            "commands": ROUTES[name],
            "seconds": round(time.monotonic() - began, 1),
            "downloaded_mb": round(downloaded(log.read_text(errors="replace")) / 1e6, 1),
            "installed_mb": round(sum(size_of(clone / each) for each in (".venv", ".sdk")) / 1e6, 1),
            "load_before": round(load, 2),
        }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description="Time set-up from nothing.")
    parser.add_argument("routes", nargs="*", metavar="ROUTE", help=f"of {', '.join(ROUTES)}  [default: all but tests]")
    names = parser.parse_args().routes or QUICK
    if unknown := set(names) - set(ROUTES):
        parser.error(f"no such route: {', '.join(sorted(unknown))}")
    rows = [measure(name) for name in names]
    columns = ("route", "seconds", "downloaded_mb", "installed_mb", "load_before")
    table = markdown(
        ("route", "s", "MB downloaded", "MB installed", "load before"), [[row[c] for c in columns] for row in rows]
    )
    what = "\n".join(
        f"- {row['route']}: {'; '.join(f'`{each}`' for each in ROUTES[str(row['route'])])}" for row in rows
    )
    save("cold", f"`python -m benchmarks.cold {' '.join(names)}`\n\n{table}\n\n{what}", {"routes": rows})


if __name__ == "__main__":
    main()
