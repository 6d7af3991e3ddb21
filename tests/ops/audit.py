"""Looks up every pinned distribution in the advisory database of the package index: ``python tests/ops/audit.py``.

Ends with 0 where all were looked up and nothing is known of them, with 1 where something is, or where some or all could
not be looked up: an audit of nothing is none.
"""

import json
import subprocess
import sys
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"


class NoDatabaseError(Exception):
    """The advisory database cannot be reached, or has nothing to do with the index that packages come from."""


def findings(report):
    """Return what is wrong, from pip-audit's JSON: a line for each advisory and each distribution not looked up.

    Raises:
        NoDatabaseError: none was looked up.
    """
    dependencies = json.loads(report)["dependencies"]
    skipped = [each for each in dependencies if "skip_reason" in each]
    if len(skipped) == len(dependencies):
        raise NoDatabaseError(skipped[0]["skip_reason"] if skipped else "nothing is pinned")
    found = [f"not audited: {each['skip_reason']}" for each in skipped]
    for each in dependencies:
        for known in each.get("vulns", ()):
            fixed = ", ".join(known["fix_versions"]) or "none"
            found.append(f"{each['name']} {each['version']}: {known['id']}; fixed in: {fixed}")
    return found


def audit(pinned=CONSTRAINTS):
    """Return what is wrong with what a file of exact pins names; see ``findings``."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(pinned), "--no-deps", "--disable-pip"]
    options = ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise NoDatabaseError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip-audit said nothing")
    return findings(done.stdout)


def main():
    """Audit, say what was found, and return the exit status."""
    try:
        found = audit()
    except NoDatabaseError as error:
        found = [f"nothing was audited: {error}"]
    print(*(found or ["all pins were looked up; no advisory is known"]), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
